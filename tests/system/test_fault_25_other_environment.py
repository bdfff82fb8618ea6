#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BadDeviceToken, because the token is of a development build and we asked production.

Right: with `environment = auto` the other environment is asked, once, within the same call, and
what is learned is remembered across restarts; a token that both refuse is dead. Where the
configuration says one environment, the other is never asked.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab  # noqa: E402

BAD = {"status": 400, "reason": "BadDeviceToken"}
AUTO = (App(environment="auto"),)


def call(lab, name):
    reply = lab.events.ask(event="call", call=name, to="1001")
    device, = reply["devices"]
    return reply["verdict"], reply["rule"], device["result"], device["attempts"]


def requests(lab):
    return len(lab.simulator.requests()), len(lab.sandbox.requests())


def test_other_one_is_tried_and_remembered():
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.register()
        lab.simulator.rule(**BAD)
        assert call(lab, "first") == ("push", None, "accepted", 2)
        assert requests(lab) == (1, 1)
        sent, = lab.sandbox.requests()
        assert sent["payload"] == lab.simulator.requests()[0]["payload"], "the same call"
        assert call(lab, "second") == ("push", None, "accepted", 1)
        assert requests(lab) == (1, 2)
        lab.clients.clear()
        lab.restart_daemon()
        assert call(lab, "after the restart") == ("push", None, "accepted", 1)
        assert requests(lab) == (1, 3)


def test_back_again():
    """The development build is replaced by the one of the store, and its token with it."""
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.register()
        lab.simulator.rule(times=1, **BAD)
        assert call(lab, "first")[3] == 2
        lab.sandbox.rule(**BAD)
        assert call(lab, "second") == ("push", None, "accepted", 2)
        assert call(lab, "third") == ("push", None, "accepted", 1)
        assert requests(lab) == (3, 2)


def test_both_refuse():
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.register()
        for simulator in (lab.simulator, lab.sandbox):
            simulator.rule(**BAD)
        assert call(lab, "first") == ("unreachable", "dead-token", "rejected", 2)
        assert call(lab, "second") == ("unreachable", "dead-token", "skipped", 0)
        lab.clients.clear()
        lab.restart_daemon()
        assert call(lab, "after the restart") == ("unreachable", "dead-token", "skipped", 0)
        assert requests(lab) == (1, 1)


def test_only_the_configured_one():
    for environment in ("production", "sandbox"):
        with Lab(apps=(App(environment=environment),), sandbox=()) as lab:
            lab.register()
            for simulator in (lab.simulator, lab.sandbox):
                simulator.rule(**BAD)
            assert call(lab, "first") == ("unreachable", "dead-token", "rejected", 1)
            assert requests(lab) == ((1, 0) if environment == "production" else (0, 1))


def test_call_ends_before_the_other_one_is_asked():
    """One refusal proves nothing yet: the next call asks both."""
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.register()
        lab.simulator.rule(delay_ms=500, **BAD)
        waiting = lab.events.post(event="call", call="first", to="1001")
        harness.wait_until(lambda: lab.simulator.requests(), what="a push on the wire")
        lab.events.ask(event="end", call="first")
        assert lab.events.reply(waiting)["verdict"] == "ended"
        harness.wait_until(lambda: "push-answer" in lab.daemon.get("/calls/first")[1],
                           what="push ends")
        assert requests(lab) == (1, 0)
        assert call(lab, "second") == ("push", None, "accepted", 2)


if __name__ == "__main__":
    harness.main(globals())
