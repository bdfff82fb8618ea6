#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 14. Stalled streams eat the connection's window of 64 KB; stream ids run out. Right:
nothing is sent into a window without room, and a connection whose window stays shut is replaced
in time. (Ids need 2^30 pushes: tests/unit/test_apns_session.c skips them.)"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

CALLS = 40
CONFIG = {"apns": {"connections": 1, "max-connections": 1}}


def test_window_that_stays_shut():
    with Lab(config=CONFIG) as lab:
        lab.phones(CALLS + 1)
        lab.call(CALLS)
        lab.simulator.control(stall_window=True, connection=1)
        calls = [lab.post_call(number, data={"filler": "x" * 4000}) for number in range(CALLS)]
        for call in calls:
            device = lab.device(call)
            assert (device["result"], device["attempts"]) == ("accepted", 1), device
        by_connection = {1: 0, 2: 0}
        for request in lab.simulator.requests():
            by_connection[request["connection"]] += request["payload_bytes"]
        assert 50000 < by_connection[1] <= 65535, by_connection
        assert by_connection[2] > 65535, by_connection
        assert "window stays shut" in lab.daemon.stderr()
        assert lab.simulator.stats()["connections"] == 2


def test_window_of_timed_out_streams():
    config = {"apns": CONFIG["apns"] | {"response-timeout": "1s"}}
    with Lab(config=config) as lab:
        lab.phones(CALLS)
        lab.simulator.rule(action="silent", times=1, after=5)
        lab.simulator.control(stall_window=True, connection=1)
        calls = [lab.post_call(number, data={"filler": "x" * 4000}) for number in range(CALLS)]
        for number, call in enumerate(calls):
            assert lab.device(call)["result"] == "accepted"
            # Those that the window cut short were never seen.
            sent = lab.simulator.attempts(number)
            assert len(sent) == 1 + (sent[0]["action"] == "silent"), sent
            assert len({r["apns_id"] for r in sent}) == 1, sent


def test_connection_that_answers_nothing():
    """Each timed-out stream costs a part of the window: three in a row cost the connection."""
    config = {"apns": CONFIG["apns"] | {"response-timeout": "300ms"}}
    with Lab(config=config) as lab:
        lab.phones(2)
        lab.simulator.rule(connection=1, action="silent")
        device = lab.call(0)
        assert (device["result"], device["reason"]) == ("failed", "timeout"), device
        device = lab.call(1)
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        assert [r["connection"] for r in lab.simulator.requests()] == [1, 1, 1, 2]
        assert "no answer to push after push" in lab.daemon.stderr()


if __name__ == "__main__":
    harness.main(globals())
