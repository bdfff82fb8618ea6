#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""410: the app is gone from the phone. Or it was, and has come back since.

APNs tells since when the token is dead. Right: older than the last registration, it is kept, and
nothing is said to be dead; else it is marked, durably, before the PBX hears `dead-token`, and the
next call pushes nothing. A later REGISTER brings it back, as the app registers its token only while
it has it.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

HOUR_MS = 3600_000


def now_ms():
    return int(time.time() * 1000)


def state(lab, user="1001"):
    device, = lab.events.ask(event="show", user=user)["devices"]
    return device["state"]


def call(lab, name):
    reply = lab.events.ask(event="call", call=name, to="1001")
    device, = reply["devices"]
    return reply["verdict"], reply["rule"], device["result"], device["reason"]


def test_dead():
    for reason in ("Unregistered", "ExpiredToken"):
        with Lab() as lab:
            lab.register()
            lab.simulator.rule(status=410, reason=reason, timestamp=now_ms() + 1000, times=1)
            assert call(lab, "first") == ("unreachable", "dead-token", "rejected", reason)
            assert state(lab) != "ok"
            skipped = ("unreachable", "dead-token", "skipped", "dead-token")
            assert call(lab, "second") == skipped
            lab.clients.clear()
            lab.restart_daemon()
            assert call(lab, "after the restart") == skipped
            assert len(lab.simulator.requests()) == 1
            harness.wait_until(lambda: now_ms() > died_ms(lab) + 1, what="later than the 410")
            assert lab.register()["token_state"] == "ok"
            assert call(lab, "back") == ("push", None, "accepted", None)


def test_dead_although_the_answer_does_not_end():
    config = {"apns": {"response-timeout": "2s", "ping-timeout": "2s"}}
    for action in ("silent", "close", "refuse"):
        with Lab(config=config) as lab:
            lab.register()
            lab.simulator.rule(status=410, headers_first=True, action=action, times=1)
            outcome = call(lab, "first")
            assert outcome[:3] == ("unreachable", "dead-token", "rejected"), (action, outcome)
            assert state(lab) != "ok", action
            assert len(lab.simulator.requests()) == 1, action


def died_ms(lab):
    command, = [event["detail"] for event in lab.simulator.events("control")
                if "timestamp" in event["detail"]]
    return harness.json.loads(command)["rule"]["timestamp"]


def test_older_than_the_registration():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(status=410, reason="Unregistered", timestamp=now_ms() - HOUR_MS, times=1)
        assert call(lab, "first") == ("unreachable", "push-failed", "rejected", "Unregistered")
        assert state(lab) == "ok"
        assert call(lab, "second") == ("push", None, "accepted", None)
        assert len(lab.simulator.requests()) == 2


def test_without_timestamp():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(status=410, reason="Unregistered", times=1)
        assert call(lab, "first")[1] == "dead-token"
        assert call(lab, "second")[2:] == ("skipped", "dead-token")
        assert len(lab.simulator.requests()) == 1


def test_after_the_call():
    """The 410 comes when the caller has gone: it is not lost."""
    with Lab(simulator=("--delay-ms", "200")) as lab:
        lab.register()
        lab.simulator.rule(status=410, reason="Unregistered", timestamp=now_ms() + 1000)
        waiting = lab.events.post(event="call", call="gone", to="1001")
        harness.wait_until(lambda: lab.simulator.requests())
        lab.events.ask(event="end", call="gone")
        assert lab.events.reply(waiting)["verdict"] == "ended"
        harness.wait_until(lambda: state(lab) != "ok", what="the token is marked")


def test_phone_of_two_users():
    """Dead for both, and with the REGISTER of one it is back for both."""
    with Lab() as lab:
        for user in ("1001", "1002"):
            lab.register(user=user)
        lab.simulator.rule(status=410, reason="Unregistered", timestamp=now_ms() + 500, times=1)
        assert call(lab, "first")[1] == "dead-token"
        assert state(lab) != "ok" and state(lab, "1002") != "ok"
        harness.wait_until(lambda: now_ms() > died_ms(lab) + 1, what="later than the 410")
        lab.register(user="1002")
        assert state(lab) == state(lab, "1002") == "ok"
        assert call(lab, "back") == ("push", None, "accepted", None)


if __name__ == "__main__":
    harness.main(globals())
