#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 11. The daemon idles for hours, then a call comes. Right: PINGs keep the connections warm,
and the first call after idling costs no handshake."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

CONFIG = {"apns": {"ping-interval": "1s"}}


def pings(lab, connection):
    return sum(event["connection"] == connection for event in lab.simulator.events("ping"))


def test_first_call_after_idling():
    with Lab(config=CONFIG) as lab:
        lab.phones(1)
        lab.wait_ready(2)
        wait_until(lambda: pings(lab, 1) > 2 and pings(lab, 2) > 2, 30, "PINGs on both")
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device
        assert lab.simulator.stats()["connections"] == 2
        assert not lab.simulator.events("client-goaway")


def test_idle_connection_that_died_is_replaced_before_the_call():
    with Lab(config={"apns": CONFIG["apns"] | {"ping-timeout": "1s"}}) as lab:
        lab.phones(1)
        lab.wait_ready(2)
        lab.call(0)
        lab.simulator.control(pause=True, connection="open")
        wait_until(lambda: lab.simulator.stats()["connections"] == 4, 30, "new connections")
        lab.simulator.control(pause=False, connection="open")
        lab.wait_ready(2)
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device
        assert lab.simulator.requests()[-1]["connection"] > 2


if __name__ == "__main__":
    harness.main(globals())
