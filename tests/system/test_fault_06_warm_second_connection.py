#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 6. A connection is lost, healing it takes half a minute, and real-time pushes die. Right: a
warm second connection takes over at once; with both lost, a call waits for a handshake and no
longer."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CALLS = 50
HEALED_MS = 5000  # of a handshake on a busy machine; what goes wrong costs the call's deadline


def test_second_connection_takes_over_without_a_handshake():
    with Lab() as lab:
        lab.phones(CALLS)
        lab.wait_ready(2)
        lab.call(0)
        # From now on no handshake comes to an end.
        lab.simulator.control(pause=True, connection="new")
        lab.simulator.control(goaway={}, connection=1)
        calls = [lab.post_call(number) for number in range(1, CALLS)]
        for call in calls:
            device = lab.device(call)
            assert (device["result"], device["attempts"]) == ("accepted", 1), device
            assert device["ms"] < HEALED_MS, device
        assert {r["connection"] for r in lab.simulator.requests()[1:]} == {2}
        lab.simulator.control(pause=False)
        lab.wait_ready(2)


def test_pushes_in_flight_move_to_the_second():
    with Lab() as lab:
        lab.phones(CALLS)
        lab.wait_ready(2)
        lab.call(0)
        lab.simulator.control(pause=True, connection="new")
        lab.simulator.rule(connection=1, action="silent", times=1)
        lab.simulator.rule(connection=1, action="reset", times=1)
        calls = [lab.post_call(number) for number in range(1, CALLS)]
        for number, call in enumerate(calls, 1):
            device = lab.device(call)
            assert device["result"] == "accepted" and device["ms"] < HEALED_MS, device
            assert len({r["apns_id"] for r in lab.simulator.attempts(number)}) == 1
        assert lab.daemon.metric("pbxpush_retries_total", reason="ambiguous") >= 2
        lab.simulator.control(pause=False)


def lose_both(how):
    with Lab() as lab:
        lab.phones(CALLS)
        lab.wait_ready(2)
        lab.call(0)
        lab.simulator.control(**{how: True}, connection="open")
        calls = [lab.post_call(number) for number in range(CALLS)]
        for number, call in enumerate(calls):
            device = lab.device(call)
            assert device["result"] == "accepted" and device["ms"] < HEALED_MS, device
            assert len(lab.simulator.attempts(number)) == 1 + (number == 0)
        lab.wait_ready(2)


def test_both_closed_under_pushes():
    with Lab() as lab:
        lab.phones(CALLS)
        lab.wait_ready(2)
        # The first good push of each raises its limit from one stream.
        lab.simulator.rule(times=2, delay_ms=300)
        for call in [lab.post_call(number) for number in range(2)]:
            lab.device(call)
        lab.simulator.rule(action="silent", connection=1)
        lab.simulator.rule(action="silent", connection=2)
        calls = [lab.post_call(number) for number in range(2)]
        wait_until(lambda: lab.simulator.stats()["requests"] == 4, what="a push on each connection")
        with lab.daemon.asleep():
            lab.simulator.control(close=True, connection="open")
        for number, call in enumerate(calls):
            device = lab.device(call)
            assert (device["result"], device["attempts"]) == ("accepted", 2), device
            ids = [r["apns_id"] for r in lab.simulator.attempts(number)]
            assert len(ids) == 3 and ids[1] == ids[2], ids


def test_handshakes_are_short():
    """A connection takes up the TLS session of the last one to the same address."""
    with Lab(config={"apns": {"connections": 1, "max-connections": 1}}) as lab:
        lab.phones(3)
        lab.call(0)
        assert lab.simulator.stats()["resumed"] == 0
        for number, end in enumerate(("close", "rst"), 1):
            lab.simulator.control(**{end: True}, connection=number)
            assert lab.call(number)["result"] == "accepted"
            requests = [r["connection"] for r in lab.simulator.requests()]
            assert requests[-1] == number + 1, (end, requests)
            assert lab.simulator.stats()["resumed"] == number, end


def test_both_reset():
    lose_both("rst")


def test_both_closed():
    lose_both("close")


def test_both_are_replaced_at_once():
    """Good connections that end are no failure: both are opened again side by side, not one after
    another and after a pause."""
    with Lab(config={"apns": {"connect-timeout": "30s"}}) as lab:
        lab.serve_with_two()
        lab.simulator.control(pause=True, connection="new")
        with lab.daemon.asleep():
            lab.simulator.control(rst=True, connection="open")
        wait_until(lambda: len(lab.simulator.events("accept")) == 4, what="two replacements")
        lab.simulator.control(pause=False)


if __name__ == "__main__":
    harness.main(globals())
