#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 8. GOAWAY data names a reason, such as BadCertificateEnvironment, and nobody reads it.
Right: the reason is in log, status and metric; a fault of the configuration raises the route's
alarm; the connection is tried again with pauses, not in a hot loop; and all is well once it is
mended."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

ONE = {"apns": {"connections": 1}}
REASON = "BadCertificateEnvironment"


def test_configuration_fault_raises_the_alarm():
    with Lab(config=ONE) as lab:
        lab.phones(1)
        lab.simulator.rule(action="goaway-before", reason=REASON)
        call = lab.post_call(0)
        wait_until(lambda: lab.daemon.metric("pbxpush_goaway_total", reason=REASON) >= 4, 30)
        route = lab.daemon.route()
        assert REASON in route["alarm"], route
        assert REASON in route["last_error"], route
        log = lab.daemon.stderr()
        assert log.count(f'alarm="GOAWAY error=0 reason={REASON}"') == 1, log
        times = [event["ms"] for event in lab.simulator.events("goaway")]
        assert times[3] - times[0] > 20, times
        assert len(times) < 30, times
        lab.simulator.control(clear_rules=True)
        device = lab.device(call)
        assert device["result"] == "accepted", device
        assert len({r["apns_id"] for r in lab.simulator.attempts(0)}) == 1
        route = lab.daemon.route()
        assert route["alarm"] is None and route["last_error"] is None, route


# A new token mends the third: no fault of the configuration yet.
REASONS = ("Shutdown", "IdleTimeout", "ExpiredProviderToken", "NobodyKnowsThisOne")


def test_other_reasons_raise_none():
    with Lab(config=ONE) as lab:
        lab.phones(1)
        for reason in REASONS:
            lab.call(0)
            lab.simulator.control(goaway={"reason": reason, "code": 2})
        lab.call(0)
        assert lab.daemon.route()["alarm"] is None
        # A good push ends an alarm: the log says whether there was one.
        assert "alarm=" not in lab.daemon.stderr()
        for reason in (*REASONS[:-1], "other"):
            assert lab.daemon.metric("pbxpush_goaway_total", reason=reason) == 1, reason
            assert f"GOAWAY error=2 reason={reason}" in lab.daemon.stderr()


def test_good_connections_are_no_excuse():
    """Two that had served are sent away for a fault of the configuration: others are opened one
    after another, each when the one before has failed."""
    with Lab(config={"apns": {"connect-timeout": "1s"}}) as lab:
        lab.serve_with_two()
        lab.simulator.control(pause=True, connection="new")
        with lab.daemon.asleep():
            lab.simulator.control(goaway={"reason": REASON}, connection="open")
        opened = wait_until(lambda: len(events := lab.simulator.events("accept")) >= 4 and events,
                            what="two attempts")
        assert opened[3]["ms"] - opened[2]["ms"] > 500, opened
        assert REASON in lab.daemon.route()["alarm"]


def test_reason_comes_after_a_warning():
    with Lab(config=ONE) as lab:
        lab.phones(2)
        lab.call(1)
        lab.simulator.rule(action="silent", times=1)
        call = lab.post_call(0)
        wait_until(lambda: lab.simulator.stats()["requests"] == 2, what="a push in flight")
        lab.simulator.control(goaway={"last_stream": "max"})
        wait_until(lambda: lab.daemon.route()["draining"], what="the warning is understood")
        for _ in range(50):
            lab.simulator.control(goaway={"last_stream": 3, "reason": REASON, "keep": True},
                                  connection=1)
        wait_until(lambda: lab.daemon.route()["alarm"], what="the alarm")
        route = lab.daemon.route()
        assert REASON in route["alarm"] and REASON in route["last_error"], route
        # Said fifty times, told once.
        assert lab.daemon.stderr().count(f'goaway="GOAWAY error=0 reason={REASON}"') == 1
        assert lab.daemon.metric("pbxpush_goaway_total", reason=REASON) == 1
        assert lab.daemon.metric("pbxpush_goaway_total", reason="none") == 1
        # What could be sent since shows that nothing is wrong any more.
        lab.call(1)
        assert lab.daemon.route()["alarm"] is None
        assert lab.device(call)["result"] == "accepted"


if __name__ == "__main__":
    harness.main(globals())
