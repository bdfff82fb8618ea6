#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A connect fails, and strands the pushes that waited for it.

Clients have been seen that forget who waited for a connection that never came. Right: everyone who
waits is told why before its deadline, while the caller still rings; or moves to the next attempt,
which sends it once.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CALLS = 50


def test_all_are_told_in_time():
    """name of the fault, how it is caused, reason of the pushes"""
    table = (
        ("refused", {"refuse": True}, "connection"),
        ("handshake hangs", {"pause": True}, "connection"),
    )
    for name, fault, reason in table:
        with Lab(start=False, config={"apns": {"connect-timeout": "300ms"}}) as lab:
            lab.simulator.control(**fault)
            lab.start_daemon()
            lab.register()
            calls = [lab.events.post(event="call", call=f"c{n}", to="1001", ring_ms=2000)
                     for n in range(CALLS)]
            for call in calls:
                reply = lab.events.reply(call)
                device, = reply["devices"]
                assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), name
                assert (device["result"], device["reason"]) == ("failed", reason), (name, reply)
                assert device["attempts"] == 0, (name, reply)
                assert device["ms"] < 2000, f"{name}: the caller still rings: {reply}"
            route = lab.daemon.route()
            assert route["queued"] == 0 and route["last_error"], route
            assert lab.simulator.requests() == []


def test_all_move_to_the_next_attempt():
    config = {"apns": {"connect-timeout": "300ms", "connections": 1, "max-connections": 1}}
    with Lab(start=False, config=config) as lab:
        lab.simulator.control(pause=True)
        lab.start_daemon()
        lab.register()
        calls = [lab.events.post(event="call", call=f"c{n}", to="1001") for n in range(CALLS)]
        wait_until(lambda: "connect-timeout: no TLS handshake" in lab.daemon.stderr(),
                   what="the first connect fails")
        lab.simulator.control(pause=False)
        for call in calls:
            device, = lab.events.reply(call)["devices"]
            assert (device["result"], device["attempts"]) == ("accepted", 1), device
        assert len(lab.simulator.requests()) == CALLS


if __name__ == "__main__":
    harness.main(globals())
