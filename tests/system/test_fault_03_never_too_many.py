#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 3. A client that overshoots the stream limit is sent away: GOAWAY, "Maximum active streams
violated for this endpoint". Right: requests are submitted only under the limit of the moment,
however it moves, and the limit is used."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CALLS = 300
LIMITS = (7, 2, 20, 1, 50)


def test_limit_is_kept_while_it_moves():
    with Lab(simulator=("--streams", "7", "--delay-ms", "10")) as lab:
        lab.phones(CALLS)
        calls = []
        for limit in LIMITS:
            lab.simulator.control(limit=limit)
            calls += [lab.post_call(number) for number in range(
                len(calls), len(calls) + CALLS // len(LIMITS))]
        devices = [lab.device(call) for call in calls]
        assert len(devices) == CALLS
        assert all(device["result"] == "accepted" for device in devices), devices
        processed = [r for r in lab.simulator.requests() if r["action"] == "answer"]
        assert len({r["token"] for r in processed}) == len(processed) == CALLS
        assert not lab.simulator.events("goaway")


def test_rest_waits_in_our_queue():
    config = {"apns": {"connections": 1, "max-connections": 1}}
    with Lab(simulator=("--streams", "7"), config=config) as lab:
        lab.phones(31)
        lab.call(30)
        lab.simulator.rule(action="silent", times=7)
        calls = [lab.post_call(number) for number in range(30)]
        wait_until(lambda: lab.daemon.route()["queued"] == 23, what="a queue")
        route = lab.daemon.route()
        assert (route["streams"], route["stream_limit"]) == (7, 7), route
        wait_until(lambda: lab.simulator.stats()["max_streams"] == 7, what="streams in use")
        # In our queue they can still be called back.
        for call in range(8, 32):
            lab.events.ask(event="end", call=f"call-{call}")
        results = [lab.device(call)["result"] for call in calls]
        assert results.count("withdrawn") == 23, results
        assert len(lab.simulator.requests()) >= 8


if __name__ == "__main__":
    harness.main(globals())
