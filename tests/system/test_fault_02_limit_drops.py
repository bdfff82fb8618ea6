#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 2. The stream limit drops from 1,000 to 1 in mid-flight, and streams come back with
REFUSED_STREAM: they were not processed. Right: refused ones are sent again at once, with the same
apns-id, and none that was processed goes out twice."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, token, wait_until  # noqa: E402

CALLS = 200
REFUSED = 30
CROSSING = 60


def test_refused_streams_are_sent_again():
    with Lab(simulator=("--delay-ms", "100")) as lab:
        lab.phones(CALLS + 1)
        lab.call(CALLS)
        lab.simulator.control(delay_ms=5)
        lab.simulator.rule(after=REFUSED, times=REFUSED, action="refuse")
        calls = [lab.post_call(number) for number in range(CALLS)]
        lab.simulator.control(limit=1)
        devices = [lab.device(call) for call in calls]
        assert all(device["result"] == "accepted" for device in devices), devices
        assert sum(device["attempts"] > 1 for device in devices) > 0
        requests = [lab.simulator.attempts(number) for number in range(CALLS)]
        for number, attempts in enumerate(requests):
            assert [r["action"] for r in attempts].count("answer") == 1, attempts
            assert len({r["apns_id"] for r in attempts}) == 1, attempts
            assert len(attempts) <= devices[number]["attempts"], attempts
        assert sum(map(len, requests)) == CALLS + REFUSED
        # Those that crossed the new limit on the wire never became requests in the log.
        crossed = len(lab.simulator.events("refused"))
        assert sum(device["attempts"] for device in devices) == CALLS + REFUSED + crossed
        assert lab.daemon.metric("pbxpush_retries_total", reason="refused") == REFUSED + crossed
        assert not lab.simulator.events("goaway")


def test_limit_drops_while_requests_are_on_the_wire():
    with Lab(config={"apns": {"connections": 1, "max-connections": 1}}) as lab:
        lab.phones(CROSSING + 1)
        lab.call(CROSSING)
        lab.simulator.control(pause=True, connection=1)
        calls = [lab.post_call(number) for number in range(CROSSING)]
        wait_until(lambda: lab.daemon.route()["streams"] == CROSSING, what="requests on the wire")
        lab.simulator.control(limit=1, connection=1)
        lab.simulator.control(pause=False, connection=1)
        devices = [lab.device(call) for call in calls]
        assert all(device["result"] == "accepted" for device in devices), devices
        # What was refused there never became a request in the log.
        assert sorted(r["token"] for r in lab.simulator.requests()) == \
            [token(number) for number in range(CROSSING + 1)]
        refused = len(lab.simulator.events("refused"))
        assert refused >= CROSSING - 1
        assert sum(device["attempts"] - 1 for device in devices) == refused


def test_refused_ones_do_not_wait():
    with Lab() as lab:
        lab.phones(11)
        lab.call(10)
        lab.simulator.rule(token=token(10), times=1, delay_ms=2000)
        for number in range(10):
            lab.simulator.rule(token=token(number), times=1, action="refuse")
        slow = lab.post_call(10)
        calls = [lab.post_call(number) for number in range(10)]
        devices = [lab.device(call) for call in calls]
        assert all(device["result"] == "accepted" for device in devices), devices
        assert sum(device["attempts"] for device in devices) == 20, devices
        assert slow not in lab.events.replies, "ten refused ones are quicker than one slow answer"
        assert lab.device(slow)["attempts"] == 1


def test_refused_one_stays_away_once_its_call_is_over():
    with Lab() as lab:
        lab.phones(1)
        lab.simulator.rule(times=1, action="refuse", delay_ms=1000)
        call = lab.post_call(0)
        wait_until(lambda: lab.simulator.requests(), what="a request in flight")
        ended = lab.events.ask(event="end", call="call-1")
        assert ended["known"] and ended["withdrawn"] == 0, ended
        assert lab.events.reply(call)["verdict"] == "ended"
        wait_until(lambda: "push-answer" in lab.daemon.get("/calls/call-1")[1], what="push ends")
        assert len(lab.simulator.requests()) == 1
        assert lab.daemon.metric("pbxpush_retries_total") == 0


if __name__ == "__main__":
    harness.main(globals())
