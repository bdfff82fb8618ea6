#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 15. APNs calls our provider token expired. Right: one new token for the whole key, one
retry of each push that went with the old one; a connection that clings to the old token is
replaced."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

ONE = {"apns": {"connections": 1}}
EXPIRED = {"status": 403, "reason": "ExpiredProviderToken"}


def test_one_new_token_for_a_burst():
    with Lab() as lab:
        lab.phones(51)
        lab.call(50)
        lab.simulator.rule(times=50, delay_ms=300, **EXPIRED)
        calls = [lab.post_call(number) for number in range(50)]
        for number, call in enumerate(calls):
            device = lab.device(call)
            sent = lab.simulator.attempts(number)
            assert device["result"] == "accepted", device
            assert device["attempts"] == len(sent) <= 2, device
            assert len({r["apns_id"] for r in sent}) == 1, sent
        assert lab.simulator.stats()["tokens"] == 2
        retries = lab.daemon.metric("pbxpush_retries_total", reason="ExpiredProviderToken")
        assert retries == 50
        # Those that come later find the new token there: no reason to blame a connection.
        assert not lab.simulator.events("client-goaway")


def test_clock_that_is_hopeless():
    with Lab(config=ONE, violations=None) as lab:
        lab.phones(3)
        lab.simulator.rule(**EXPIRED)
        for number in range(3):
            device = lab.call(number)
            assert (device["result"], device["reason"]) == ("rejected", EXPIRED["reason"]), device
            assert device["attempts"] == len(lab.simulator.attempts(number)) == 2
        assert lab.simulator.stats()["tokens"] == 2
        assert EXPIRED["reason"] in lab.daemon.route()["alarm"]
        lab.simulator.control(clear_rules=True)
        assert lab.call(0)["result"] == "accepted"
        assert lab.daemon.route()["alarm"] is None


def test_wedged_connection_is_replaced():
    with Lab() as lab:
        lab.phones(20)
        lab.wait_ready(2)
        lab.simulator.rule(connection=1, **EXPIRED)
        for number in range(20):
            device = lab.call(number)
            assert device["result"] == "accepted" and device["attempts"] <= 2, device
        wait_until(lambda: [e for e in lab.simulator.events("close") if e["connection"] == 1],
                   what="the end of the wedged connection")
        assert lab.simulator.stats()["tokens"] == 2
        lab.wait_ready(2)


if __name__ == "__main__":
    harness.main(globals())
