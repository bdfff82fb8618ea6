#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""429 TooManyRequests: too many pushes to one device.

Right: that device waits, as long as Retry-After says, or with backoff, within the call's deadline,
and is then pushed to with the same apns-id. A second call to it waits along; other devices go on at
once. Where the wait is longer than the caller will ring, the PBX hears so now.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab, token  # noqa: E402

MANY = {"token": TOKEN, "status": 429, "reason": "TooManyRequests"}
OTHER = "b2" * 32


def test_device_waits_others_go_on():
    with Lab() as lab:
        lab.register()
        lab.register(user="1002", token=OTHER)
        lab.simulator.rule(times=1, retry_after_s=2, **MANY)
        call = lab.events.post(event="call", call="one", to="1001")
        harness.wait_until(lambda: lab.simulator.requests())
        for n in range(10):
            reply = lab.events.ask(event="call", call=f"other{n}", to="1002")
            assert reply["verdict"] == "push", reply
        assert len(lab.simulator.requests_to(TOKEN)) == 1, "the others did not wait"
        # Who calls the same phone meanwhile waits with the first.
        late = lab.events.post(event="call", call="two", to="1001")
        device, = lab.events.reply(call)["devices"]
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        assert lab.events.reply(late)["devices"][0]["attempts"] == 1
        first, *others = lab.simulator.requests_to(TOKEN)
        assert len(others) == 2, others
        assert all(line["ms"] - first["ms"] >= 2000 for line in others), (first, others)
        assert [line["apns_id"] for line in others].count(first["apns_id"]) == 1
        assert first["apns_id"] == device["apns_id"]
        assert lab.daemon.metric("pbxpush_retries_total", reason="TooManyRequests") == 1


def test_backoff_without_retry_after():
    backs_off()


def test_backoff_with_retry_after_0():
    backs_off(retry_after_s=0)


def backs_off(**rule):
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(times=2, **rule, **MANY)
        reply = lab.events.ask(event="call", call="one", to="1001")
        assert reply["verdict"] == "push" and reply["devices"][0]["attempts"] == 3, reply
        times = [line["ms"] for line in lab.simulator.requests()]
        assert all(b - a >= 150 for a, b in zip(times, times[1:])), f"a hot loop: {times}"


def test_within_the_deadline():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(retry_after_s=60, **MANY)
        reply = lab.events.ask(event="call", call="long", to="1001")
        device, = reply["devices"]
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
        assert (device["result"], device["status"], device["reason"], device["attempts"]) == (
            "rejected", 429, "TooManyRequests", 1), reply
        assert device["ms"] < 5000, "told at once, not at the deadline"
        show, = lab.events.ask(event="show", user="1001")["devices"]
        assert show["state"] == "ok", show


def test_ended_while_it_waits():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(times=1, retry_after_s=1, **MANY)
        call = lab.events.post(event="call", call="gone", to="1001")
        harness.wait_until(lambda: lab.daemon.route()["queued"] == 1)
        assert lab.events.ask(event="end", call="gone")["withdrawn"] == 1
        device, = lab.events.reply(call)["devices"]
        assert device["result"] == "withdrawn", device
        assert lab.daemon.route()["queued"] == 0
        assert len(lab.simulator.requests()) == 1


def test_backoff_grows():
    """Pauses of up to 1, 2 and 4 s: that twelve third ones are short happens once in a million."""
    with Lab() as lab:
        lab.phones(12)
        for number in range(12):
            lab.simulator.rule(times=3, **MANY | {"token": token(number)})
        for call in [lab.post_call(number) for number in range(12)]:
            assert lab.device(call)["result"] == "accepted"
        times = [[r["ms"] for r in lab.simulator.attempts(number)] for number in range(12)]
        assert max(four[3] - four[2] for four in times) > 1300, times


if __name__ == "__main__":
    harness.main(globals())
