#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 4. APNs says GOAWAY, and a client goes on using the session for hours. Right: no request
after GOAWAY; what flies is answered there, and a replacement is opened before the old one is
done."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

ONE = {"apns": {"connections": 1}}


def test_replacement_comes_before_the_old_one_is_done():
    with Lab(config=ONE) as lab:
        lab.phones(9)
        lab.call(0)
        lab.simulator.rule(times=4, delay_ms=1500)
        flying = [lab.post_call(number) for number in range(1, 5)]
        wait_until(lambda: lab.simulator.stats()["requests"] == 5, what="requests in flight")
        lab.simulator.control(goaway={"reason": "Shutdown"})
        # The new calls need not wait for the old ones.
        for number in range(5, 9):
            device = lab.call(number)
            assert (device["result"], device["attempts"]) == ("accepted", 1), device
        assert lab.simulator.stats()["accepted"] == 5
        for call in flying:
            device = lab.device(call)
            assert (device["result"], device["attempts"]) == ("accepted", 1), device
        requests = lab.simulator.requests()
        assert [r["connection"] for r in requests] == [1] * 5 + [2] * 4
        wait_until(lambda: lab.simulator.events("close"), what="the old connection's end")
        opened = next(e for e in lab.simulator.events("open") if e["connection"] == 2)
        closing = next(e for e in lab.simulator.events("closing") if e["connection"] == 1)
        assert opened["ms"] < closing["ms"]
        assert lab.daemon.metric("pbxpush_goaway_total", reason="Shutdown") == 1
        assert "ready -> draining" in lab.daemon.stderr()


def test_session_is_left_though_the_peer_keeps_it():
    with Lab(config=ONE) as lab:
        lab.phones(1)
        lab.call(0)
        lab.simulator.control(goaway={"keep": True})
        for _ in range(20):
            assert lab.call(0)["attempts"] == 1
        assert {r["connection"] for r in lab.simulator.requests()[1:]} == {2}
        wait_until(lambda: lab.simulator.events("client-goaway"), what="our own good-bye")


if __name__ == "__main__":
    harness.main(globals())
