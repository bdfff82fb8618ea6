#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 5. GOAWAY with a last-stream-id: some streams are done, some were never seen. Right: ids up
to the last finish where they are, ids above are sent again at once with the same apns-id, and
nothing goes out twice. A warning GOAWAY (id 2^31-1) refuses nobody yet."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

ONE = {"apns": {"connections": 1}}


def fly(lab, count):
    """Calls 1 to count, in flight on connection 1 as streams 3, 5, 7, ..."""
    lab.phones(count + 2)
    lab.call(0)
    lab.simulator.rule(times=count, delay_ms=1000)
    calls = [lab.post_call(number) for number in range(1, count + 1)]
    wait_until(lambda: lab.simulator.stats()["requests"] == count + 1, what="requests in flight")
    return calls


def check(lab, calls, kept):
    """The first `kept` finished on connection 1; the others were sent once more, elsewhere."""
    for number, call in enumerate(calls, 1):
        device = lab.device(call)
        sent = lab.simulator.attempts(number)
        assert device["result"] == "accepted", device
        assert device["attempts"] == len(sent) == (1 if number <= kept else 2), (device, sent)
        assert [r["connection"] for r in sent] == [1, 2][: len(sent)]
        assert len({r["apns_id"] for r in sent}) == 1, sent
        assert len({r["payload"]["uuid"] for r in sent}) == 1, sent
    assert lab.simulator.stats()["accepted"] == len(calls) + 1
    retries = lab.daemon.metric("pbxpush_retries_total", reason="goaway")
    assert retries == len(calls) - kept


def test_streams_above_the_last_are_sent_again():
    with Lab(config=ONE) as lab:
        calls = fly(lab, 6)
        lab.simulator.control(goaway={"last_stream": 7})
        check(lab, calls, 3)


def test_streams_above_move_before_those_below_are_done():
    with Lab(config=ONE) as lab:
        calls = fly(lab, 6)
        lab.simulator.control(goaway={"last_stream": 7})
        lab.device(calls[5])
        # The delay of connection 1 is not over: only the warm-up and the moved ones are answered.
        assert lab.simulator.stats()["accepted"] <= 4


def test_warning_refuses_nobody():
    with Lab(config=ONE) as lab:
        calls = fly(lab, 6)
        lab.simulator.control(goaway={"last_stream": "max"})
        assert lab.call(7)["attempts"] == 1
        assert lab.simulator.attempts(7)[0]["connection"] == 2
        lab.simulator.control(goaway={"last_stream": 11}, connection=1)
        check_calls = calls[:5]
        for number, call in enumerate(check_calls, 1):
            assert lab.device(call)["attempts"] == 1
            assert len(lab.simulator.attempts(number)) == 1
        assert lab.device(calls[5])["attempts"] == 2
        assert len({r["apns_id"] for r in lab.simulator.attempts(6)}) == 1
        assert lab.daemon.metric("pbxpush_goaway_total") == 1


if __name__ == "__main__":
    harness.main(globals())
