#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""APNs cannot be reached for an hour, and the calls go on coming.

Right: each push ends at its call's deadline, and the PBX hears `push-failed` while the caller still
rings; the queue is empty again after each wave, and memory does not grow from wave to wave; too
many calls at once get `overloaded`, never silence. When APNs comes back, the next call gets through
without a restart.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

WAVES, CALLS, PHONES, DATA_BYTES = 6, 50, 32, 2000
CONTACT = "sip:u{}@192.0.2.1;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;pn-prid={}"


def contacts():
    return [CONTACT.format(n, f"{n:02x}" * 32) for n in range(PHONES)]


def wave(lab, name):
    calls = [lab.events.post(event="call", call=f"{name}-{n}", to="1001", ring_ms=1500,
                             contacts=contacts(), data={"filler": "x" * DATA_BYTES})
             for n in range(CALLS)]
    for call in calls:
        reply = lab.events.reply(call, harness.START_S)
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
        for device in reply["devices"]:
            assert (device["result"], device["reason"]) == ("failed", "connection"), device
            assert device["ms"] < 1500, f"the caller still rings: {device}"
    assert lab.daemon.route()["queued"] == 0
    return lab.daemon.metric("process_resident_memory_bytes")


def test_outage():
    with Lab(start=False, config={"calls": {"remember": "0s"},
                                 "daemon": {"log-level": "error"}}) as lab:
        # Else a sanitizer keeps what was freed, and every byte ever used counts.
        lab.start_daemon(environment={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        lab.daemon.wait_connected()
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        sizes = [wave(lab, f"wave{n}") for n in range(WAVES)]
        # The pushes of two waves, had they been left behind. Stories of past calls take less.
        assert sizes[-1] - sizes[-3] < 2 * CALLS * PHONES * DATA_BYTES, sizes
        harness.wait_until(lambda: not any(lab.daemon.status()["calls"].values()),
                           what="every call is forgotten")
        lab.simulator.control(refuse=False)
        reply = lab.events.ask(event="call", call="after", to="1001", contacts=contacts()[:1])
        assert reply["verdict"] == "push", reply
        assert len(lab.simulator.requests()) == 1, "nothing late was sent"


def test_too_many_at_once():
    with Lab(config={"events": {"max-calls": 50}}) as lab:
        lab.daemon.wait_connected()
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        lab.register()
        calls = [lab.events.post(event="call", call=f"c{n}", to="1001", ring_ms=1500)
                 for n in range(80)]
        rules = [lab.events.reply(call)["rule"] for call in calls]
        assert rules.count("overloaded") == 30 and rules.count("push-failed") == 50, rules


if __name__ == "__main__":
    harness.main(globals())
