#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 7. After an outage everybody reconnects at the same moment, and again, and again. Right:
exponential backoff with full jitter, no more than 5 s between attempts while a call waits, and
reset by a good push."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, App, token, wait_until  # noqa: E402

import datetime
import re

TEAMS = [App(bundle=f"com.example.app{n}", team=f"TEAM{n:06}", key_id=f"KEYID{n:05}")
         for n in range(12)]
CONFIG = {"apns": {"connections": 1}, "calls": {"ring-timeout": "60s"}}
FAILED = re.compile(r'^(\S+) .* connection=(\S+)#\d+ .*"connecting -> dead"', re.M)


def failures(lab):
    """The moments, in ms, of failed attempts to connect: {route: [ms, ...]}."""
    found = {}
    for at, route in FAILED.findall(lab.daemon.stderr()):
        moment = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
        found.setdefault(route, []).append(moment.timestamp() * 1000)
    return found


def test_routes_do_not_march_in_step():
    with Lab(apps=TEAMS, config=CONFIG) as lab:
        lab.wait_ready(len(TEAMS))
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)

        def all_failed_twice():
            now = failures(lab)
            return len(now) == len(TEAMS) and min(map(len, now.values())) > 2 and now

        found = wait_until(all_failed_twice, 30, "three failures of each route")
        # The second pause is a random part of half a second: twelve alike, once in a million.
        pauses = [ms[2] - ms[1] for ms in found.values()]
        assert max(pauses) - min(pauses) > 50, pauses
        assert max(len(ms) for ms in found.values()) < 40, found


def test_call_waits_through_an_outage():
    with Lab(config=CONFIG) as lab:
        lab.phones(1)
        assert lab.call(0)["result"] == "accepted"
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        call = lab.post_call(0)
        route = next(iter(wait_until(
            lambda: (now := failures(lab)) and max(map(len, now.values())) > 5 and now, 30)))
        moments = failures(lab)[route]
        span = moments[-1] - moments[0]
        # Growing pauses of up to 0.25, 0.5, 1, 2, 4 s: no hot loop makes six of them in a moment.
        assert span > 100, moments
        lab.simulator.control(refuse=False)
        device = lab.device(call, 30)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device
        # The good push has made an end of the backoff: the next loss is healed at once.
        before = sum(map(len, failures(lab).values()))
        lab.simulator.control(rst=True)
        assert lab.call(0)["result"] == "accepted"
        assert sum(map(len, failures(lab).values())) == before
        assert lab.route()["last_error"] is None


if __name__ == "__main__":
    harness.main(globals())
