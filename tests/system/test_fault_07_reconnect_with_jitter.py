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
SLACK_MS = 2500  # for the handshake, on a busy machine
FAILED = re.compile(r'^(\S+) .* connection=(\S+)#\d+ .*"connecting -> dead"', re.M)


def failures(lab):
    """The moments, in ms, of failed attempts to connect: {route: [ms, ...]}."""
    found = {}
    for at, route in FAILED.findall(lab.daemon.stderr()):
        moment = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
        found.setdefault(route, []).append(moment.timestamp() * 1000)
    return found


def outage(lab, times):
    """Loses every connection until each route has failed so often; the pauses between, by route."""
    before = {route: len(ms) for route, ms in failures(lab).items()}
    lab.simulator.control(refuse=True)
    lab.simulator.control(rst=True)

    def enough():
        now = {route: ms[before.get(route, 0):] for route, ms in failures(lab).items()}
        return len(now) == len(TEAMS) and min(map(len, now.values())) >= times and now

    found = wait_until(enough, 30, f"{times} failures of each route")
    lab.simulator.control(refuse=False)
    return [[b - a for a, b in zip(ms, ms[1:])] for ms in found.values()]


def test_routes_do_not_march_in_step():
    with Lab(apps=TEAMS, config=CONFIG) as lab:
        for number, app in enumerate(TEAMS):
            lab.events.ask(event="register", user=f"u{number}", app=app.bundle,
                           token=token(number))
        lab.wait_ready(len(TEAMS))
        found = outage(lab, 3)
        assert max(map(len, found)) < 40, found
        # The second pause is a random part of half a second: twelve alike, once in a million.
        seconds = [pauses[1] for pauses in found]
        assert max(seconds) - min(seconds) > 50, found
        # And the pauses grow: all twelve would be short only once in a million.
        assert max(seconds) > 300, found
        calls = [lab.post_call(number) for number in range(len(TEAMS))]
        assert all(lab.device(call)["result"] == "accepted" for call in calls)
        # The good push has made an end of the backoff: it begins with a quarter of a second.
        assert max(pauses[0] for pauses in outage(lab, 2)) < 1000


def test_good_pushes_elsewhere_heat_no_loop():
    with Lab(config=CONFIG | {"apns": {"connections": 2}}) as lab:
        lab.phones(1)
        lab.wait_ready(2)
        lab.call(0)
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True, connection=2)
        wait_until(lambda: failures(lab), what="a failure")
        for _ in range(300):
            assert lab.call(0)["result"] == "accepted"
        assert sum(map(len, failures(lab).values())) < 20
        lab.simulator.control(refuse=False)


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
        assert lab.daemon.route()["last_error"] is None


def test_call_ends_a_pause_that_was_made_for_nobody():
    """So many failures make a pause of up to a minute, or, as soon as a call waits, of 5 s."""
    many, apps = 12, TEAMS[:6]
    config = CONFIG | {"apns": {"connections": many, "max-connections": many}}
    with Lab(apps=apps, config=config) as lab:
        for number, app in enumerate(apps):
            lab.events.ask(event="register", user=f"u{number}", app=app.bundle,
                           token=token(number))
        lab.wait_ready(many * len(apps))
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        wait_until(lambda: not any(route["connected"] for route in lab.daemon.status()["routes"]),
                   what="no connection left")
        calls = [lab.post_call(number) for number in range(len(apps))]
        lab.simulator.control(refuse=False)
        for call in calls:
            device = lab.device(call, 60)
            assert device["result"] == "accepted", device
            assert device["ms"] < 5000 + SLACK_MS, device


if __name__ == "__main__":
    harness.main(globals())
