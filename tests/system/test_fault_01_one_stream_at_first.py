#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 1. A fresh token-authenticated connection allows one stream until its first request
succeeds; who sends a burst at once loses all but one. Right: one request a connection, before
SETTINGS too, the rest waits, and none of 1,000 calls is lost or sent twice."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, token  # noqa: E402

CALLS = 1000
DEADLINE_S = 60


def first_ones(log, connection):
    """Requests of a connection that came before its first answer could raise the limit."""
    count = 0
    for line in log:
        if line["connection"] == connection and line.get("event") == "settings":
            break
        count += line["connection"] == connection and "stream" in line
    return count


def burst_on_fresh_connections(simulator, after_start):
    with Lab(simulator=simulator, start=False) as lab:
        after_start(lab)
        lab.start_daemon()
        lab.phones(CALLS)
        calls = [lab.post_call(number) for number in range(CALLS)]
        devices = [lab.device(call, DEADLINE_S) for call in calls]
        assert all(device["result"] == "accepted" for device in devices), devices
        assert all(device["attempts"] == 1 for device in devices), devices
        requests = lab.simulator.requests()
        assert sorted(r["token"] for r in requests) == [token(n) for n in range(CALLS)]
        assert not lab.simulator.events("refused")
        assert not lab.simulator.events("goaway")
        log = [line for line in lab.simulator.log() if "connection" in line]
        for connection in {request["connection"] for request in requests}:
            assert first_ones(log, connection) == 1, connection


def test_burst_of_1000():
    burst_on_fresh_connections(("--delay-ms", "50"), lambda lab: None)


def test_burst_before_settings():
    burst_on_fresh_connections(
        ("--delay-ms", "300"), lambda lab: lab.simulator.control(late_settings=True))


if __name__ == "__main__":
    harness.main(globals())
