#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The connection dies after a push was written: it may have arrived, or not.

Right: sent once more with the same apns-id and uuid, by which the app knows a call that it has
already; never a third time; counted as ambiguous. Not at all once the call is over, and not where
its status has come, although the rest of the answer has not: it surely arrived.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CONFIG = {"apns": {"response-timeout": "300ms", "ping-timeout": "300ms"}}

# what the simulator does with a request that it has read, reason of a push that found no answer
FAULTS = (("close", "connection"), ("reset", "connection"), ("reset-stream", "connection"),
          ("silent", "timeout"))


def same_push(lab, count):
    sent = lab.simulator.requests()
    assert len(sent) == count, sent
    for key in ("token", "apns_id", "payload"):
        assert all(line[key] == sent[0][key] for line in sent), (key, sent)
    return sent


def test_once_more():
    for action, _ in FAULTS:
        with Lab(config=CONFIG) as lab:
            lab.register()
            lab.simulator.rule(action=action, times=1)
            reply = lab.events.ask(event="call", call="once", to="1001")
            device, = reply["devices"]
            assert (reply["verdict"], device["result"]) == ("push", "accepted"), (action, reply)
            assert device["attempts"] == 2, (action, reply)
            sent = same_push(lab, 2)
            assert sent[1]["payload"]["uuid"] == reply["uuid"], sent
            assert sent[1]["apns_id"] == device["apns_id"], sent
            assert lab.daemon.metric("pbxpush_retries_total", reason="ambiguous") == 1, action


def test_never_a_third_time():
    for action, reason in FAULTS:
        with Lab(config=CONFIG) as lab:
            lab.register()
            lab.simulator.rule(action=action)
            reply = lab.events.ask(event="call", call="twice", to="1001")
            device, = reply["devices"]
            assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
            assert (device["result"], device["reason"], device["attempts"]) == (
                "failed", reason, 2), (action, reply)
            same_push(lab, 2)


def test_a_status_without_its_end_is_an_answer():
    config = {"apns": {"response-timeout": "2s", "ping-timeout": "2s"}}
    for end in ({"action": "close"}, {"action": "reset"}, {"action": "silent"},
                {"action": "refuse"}, {"action": "reset-stream", "code": 0},
                {"action": "reset-stream", "code": 2}, {"action": "reset-stream", "code": 8}):
        with Lab(config=config) as lab:
            lab.register()
            lab.simulator.rule(headers_first=True, times=1, **end)
            device, = lab.events.ask(event="call", call="known", to="1001")["devices"]
            assert (device["result"], device["status"], device["attempts"]) == (
                "accepted", 200, 1), (end, device)
            same_push(lab, 1)


def test_not_after_the_end():
    with Lab(config=CONFIG) as lab:
        lab.register()
        lab.simulator.rule(action="silent")
        call = lab.events.post(event="call", call="gone", to="1001")
        wait_until(lambda: len(lab.simulator.requests()) == 1)
        ended = lab.events.ask(event="end", call="gone")
        assert ended["known"] and ended["withdrawn"] == 0, ended
        assert lab.events.reply(call)["verdict"] == "ended"
        wait_until(lambda: "push-answer" in lab.daemon.get("/calls/gone")[1], what="push ends")
        same_push(lab, 1)


def test_cannot_be_called_back():
    """It waits for its second attempt, and the call ends: withdrawn would mean that no phone rings,
    and this one may."""
    with Lab(config=CONFIG) as lab:
        lab.register()
        lab.simulator.rule(action="silent")
        call = lab.events.post(event="call", call="gone", to="1001")
        wait_until(lambda: lab.simulator.requests(), what="a push on the wire")
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        wait_until(lambda: lab.daemon.route()["queued"] == 1, what="the second attempt waits")
        ended = lab.events.ask(event="end", call="gone")
        assert ended["known"] and ended["withdrawn"] == 0, ended
        assert lab.events.reply(call)["verdict"] == "ended"
        lab.simulator.control(refuse=False)


def test_outweighs_an_earlier_answer():
    """The first attempt was rejected, the second had no answer: the phone may ring."""
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(status=503, reason="ServiceUnavailable", times=1)
        lab.simulator.rule(action="silent")
        reply = lab.events.ask(event="call", call="both", to="1001", ring_ms=1500)
        device, = reply["devices"]
        assert (device["result"], device["reason"], device["attempts"]) == (
            "failed", "timeout", 2), reply


if __name__ == "__main__":
    harness.main(globals())
