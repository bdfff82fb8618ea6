#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 13. One push gets no answer while others do. Right: it times out by itself, its stream is
cancelled so that the budget comes back, and, as it may have arrived, it goes out once more with
the same apns-id. Never a third time."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, token  # noqa: E402

TIGHT = {"apns": {"connections": 1, "max-connections": 1, "response-timeout": "1s"}}


def same_push(attempts):
    return len({(r["apns_id"], r["payload"]["uuid"]) for r in attempts}) == 1


def test_budget_comes_back():
    with Lab(simulator=("--streams", "1"), config=TIGHT) as lab:
        lab.phones(2)
        lab.simulator.rule(token=token(0), action="silent", times=1)
        silent, waiting = lab.post_call(0), lab.post_call(1)
        for call, attempts in ((silent, 2), (waiting, 1)):
            device = lab.device(call)
            assert (device["result"], device["attempts"]) == ("accepted", attempts), device
        assert same_push(lab.simulator.attempts(0))
        closed = lab.simulator.events("stream-closed")
        assert [event["detail"] for event in closed] == ["CANCEL"], closed
        assert lab.simulator.stats()["connections"] == 1
        assert lab.daemon.metric("pbxpush_retries_total", reason="ambiguous") == 1


def test_others_are_not_held_up():
    config = {"apns": TIGHT["apns"] | {"response-timeout": "3s"}}
    with Lab(config=config) as lab:
        lab.phones(20)
        lab.call(1)
        lab.simulator.rule(token=token(0), action="silent", times=1)
        silent = lab.post_call(0)
        for number in range(1, 20):
            assert lab.call(number)["attempts"] == 1
        assert silent not in lab.events.replies
        assert lab.device(silent)["result"] == "accepted"
        assert not lab.simulator.events("close")


def test_never_a_third_time():
    with Lab(config=TIGHT) as lab:
        lab.phones(2)
        lab.simulator.rule(token=token(0), action="silent")
        device = lab.call(0)
        assert (device["result"], device["reason"]) == ("failed", "timeout"), device
        assert device["attempts"] == len(lab.simulator.attempts(0)) == 2
        assert same_push(lab.simulator.attempts(0))
        assert lab.call(1)["result"] == "accepted"
        assert len(lab.simulator.attempts(0)) == 2


def test_timeout_is_kept():
    """It does not wait for the PING after two seconds, nor for anything else."""
    with Lab(config={"apns": TIGHT["apns"] | {"response-timeout": "200ms"}}) as lab:
        lab.phones(1)
        lab.simulator.rule(action="silent", times=1)
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        first, second = lab.simulator.requests()
        assert 150 < second["ms"] - first["ms"] < 1500, (first, second)


if __name__ == "__main__":
    harness.main(globals())
