#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon is stopped while pushes are in flight: an update, a reboot.

Right: accepts no new events, waits up to `drain-timeout` for the answers that are still to come,
replies to every open event, and exits 0. A push that gets no answer does not hold it up for longer.
"""

import pathlib
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CALLS = 40


def post(lab, **event):
    calls = [lab.events.post(event="call", call=f"c{n}", to="1001", **event) for n in range(CALLS)]
    wait_until(lambda: lab.daemon.status()["events"] >= CALLS + 1, what="the calls are read")
    return calls


def refuses(path):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) != 0


def test_answers_are_waited_for():
    with Lab(simulator=("--delay-ms", "700")) as lab:
        lab.register()
        calls = post(lab)
        lab.daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(lab.daemon.events_path), what="no new client")
        assert lab.daemon.running(), "it waits for the answers"
        for call in calls:
            reply = lab.events.reply(call)
            device, = reply["devices"]
            assert (reply["verdict"], device["result"]) == ("push", "accepted"), reply
        assert lab.events.read() is None, "then it closes"
        lab.daemon.check_end()
        sent = lab.simulator.requests()
        assert len(sent) == len({line["apns_id"] for line in sent}) == CALLS


def test_not_for_longer_than_drain_timeout():
    for wait in ("push", "register"):
        with Lab(config={"daemon": {"drain-timeout": "500ms"}}) as lab:
            lab.register()
            lab.simulator.rule(action="silent")
            calls = post(lab, wait=wait)
            lab.daemon.send_signal(signal.SIGTERM)
            for call in calls:
                reply = lab.events.reply(call)
                assert reply["verdict"] == "push", (wait, reply)
                assert reply["devices"][0]["result"] == "pending", (wait, reply)
            assert lab.events.read() is None
            lab.daemon.check_end()


def test_a_phone_that_is_being_woken():
    """It will register with the PBX, which should wait for it, not send the caller to voicemail."""
    with Lab(config={"daemon": {"drain-timeout": "1m"}}) as lab:
        lab.register()
        calls = post(lab, wait="register")
        wait_until(lambda: lab.simulator.stats()["accepted"] == CALLS)
        lab.daemon.send_signal(signal.SIGTERM)
        for call in calls:
            reply = lab.events.reply(call)
            assert (reply["verdict"], reply["rule"]) == ("push", None), reply
            assert reply["devices"][0]["result"] == "accepted", reply
        lab.daemon.check_end()


def test_clients_that_are_there_are_not_heard_either():
    with Lab(simulator=("--delay-ms", "1000")) as lab:
        lab.register()
        calls = post(lab)
        lab.daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: "running -> draining" in lab.daemon.stderr(), what="the drain")
        lab.events.post(id="late", event="call", call="late", to="1001")
        for call in calls:
            assert lab.events.reply(call)["verdict"] == "push"
        assert "late" not in lab.events.replies
        lab.daemon.check_end()
        assert len(lab.simulator.requests()) == CALLS


if __name__ == "__main__":
    harness.main(globals())
