#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The answer is garbage: no JSON, a body or headers without end, a reason nobody knows, bytes that
are no HTTP/2.

Right: bounded, treated as the status says, told once in the log; the device's token is kept, and
other pushes go on. Where no status came the push is ambiguous, and tried once on another
connection.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab  # noqa: E402

OTHER = "b2" * 32
FAILED = ("unreachable", "push-failed")
PUSH = ("push", None)

# rule of the simulator, (verdict, rule), result, status, reason, requests
ANSWERS = (
    ({"status": 400, "garbage": "json"}, FAILED, "rejected", 400, "other", 1),
    ({"status": 400, "garbage": "body"}, FAILED, "rejected", 400, "other", 1),
    ({"status": 400, "reason": "NewThing"}, FAILED, "rejected", 400, "other", 1),
    ({"status": 403, "reason": "NewThing"}, FAILED, "rejected", 403, "other", 1),
    ({"status": 404, "reason": "Unregistered"}, FAILED, "rejected", 404, "Unregistered", 1),
    ({"status": 503, "garbage": "json"}, FAILED, "rejected", 503, "other", 2),
    ({"status": 503, "garbage": "body", "times": 1}, PUSH, "accepted", 200, None, 2),
    ({"status": 302, "reason": "Moved"}, FAILED, "rejected", 302, "other", 1),
    ({"status": 599, "reason": "NewThing", "times": 1}, PUSH, "accepted", 200, None, 2),
    ({"status": 200, "garbage": "body"}, PUSH, "accepted", 200, None, 1),
    ({"status": 200, "garbage": "headers"}, PUSH, "accepted", 200, None, 1),
    ({"status": 400, "garbage": "headers"}, FAILED, "rejected", 400, "other", 1),
    ({"garbage": "frames", "times": 1}, PUSH, "accepted", 200, None, 2),
    ({"garbage": "frames"}, FAILED, "failed", None, "connection", 2),
)


def test_each_answer():
    with Lab() as lab:
        lab.register()
        lab.register(user="1002", token=OTHER)
        for number, (rule, verdict, result, status, reason, count) in enumerate(ANSWERS):
            lab.daemon.wait_connected()
            lab.simulator.control(clear_rules=True)
            lab.simulator.rule(token=TOKEN, **rule)
            before = len(lab.simulator.requests_to(TOKEN))
            told = lab.daemon.stderr().count("token=a1b2c3d4 ")
            reply = lab.events.ask(event="call", call=f"c{number}", to="1001")
            device, = reply["devices"]
            assert (reply["verdict"], reply["rule"]) == verdict, (rule, reply)
            assert (device["result"], device["status"], device["reason"], device["attempts"]) == (
                result, status, reason, count), (rule, reply)
            assert len(lab.simulator.requests_to(TOKEN)) - before == count, rule
            told = lab.daemon.stderr().count("token=a1b2c3d4 ") - told
            assert told == (result != "accepted"), (rule, told)
            reply = lab.events.ask(event="call", call=f"o{number}", to="1002")
            assert reply["verdict"] == "push", (rule, reply)
        device, = lab.events.ask(event="show", user="1001")["devices"]
        assert device["state"] == "ok", device


def test_memory_is_bounded():
    with Lab(start=False) as lab:
        lab.start_daemon(environment={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        lab.daemon.wait_connected()
        lab.register()
        lab.simulator.rule(status=400, garbage="body")  # a mebibyte each
        lab.events.ask(event="call", call="first", to="1001")
        before = lab.daemon.metric("process_resident_memory_bytes")
        calls = [lab.events.post(event="call", call=f"c{n}", to="1001") for n in range(100)]
        for call in calls:
            assert lab.events.reply(call)["devices"][0]["status"] == 400
        grown = lab.daemon.metric("process_resident_memory_bytes") - before
        assert grown < 20 << 20, f"{grown} bytes more after 100 MiB of answers"
        # Nor is all of it read: each stream is given up.
        closed = [event["detail"] for event in lab.simulator.events("stream-closed")]
        assert closed == ["CANCEL"] * 101, closed


def test_unknown_reason_is_told_once():
    for status, alarm in ((400, True), (503, False)):
        with Lab() as lab:
            lab.register()
            lab.simulator.rule(status=status, reason="BrandNewReason", times=6)
            for n in range(3):
                reply = lab.events.ask(event="call", call=f"c{n}", to="1001")
                assert reply["devices"][0]["reason"] == "other", reply
            assert lab.daemon.stderr().count("BrandNewReason") == 1, "the log names it, once"
            assert ("BrandNewReason" in (lab.daemon.route()["alarm"] or "")) == alarm, status
            assert "BrandNewReason" not in lab.daemon.get("/metrics")[1]


if __name__ == "__main__":
    harness.main(globals())
