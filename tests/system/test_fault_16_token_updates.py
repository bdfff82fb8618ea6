#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 16. TooManyProviderTokenUpdates: senders mint a token a process, a connection, a restart.
Right: one token per key for the whole daemon, kept across restarts in a private file, replaced
when it is between 40 and 50 minutes old; the answer is never another new one: the push waits and
goes with the same, within its deadline."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, App, jwt, wait_until  # noqa: E402
from preload import Clock  # noqa: E402

import os
import re
import stat
import time

TOO_MANY = {"status": 429, "reason": "TooManyProviderTokenUpdates"}
MIN_AGE = ("--token-min-age", "1200")
SECOND = App(bundle="com.example.second")


def kept(lab):
    """The one file that the token is kept in; it is written beside the calls."""
    def files():
        return [file for file in lab.place.path.glob("provider-token-*")
                if not file.name.endswith(".new")]
    file, = wait_until(files, what="a kept token")
    return file


def test_one_token_for_all_connections_apps_and_restarts():
    apps = (App(), SECOND)
    with Lab(apps=apps, simulator=MIN_AGE) as lab:
        for number, app in enumerate(apps * 2):
            lab.events.ask(event="register", user=f"u{number}", app=app.bundle,
                           token=f"{number:064x}")
        for _ in range(3):
            lab.wait_ready(2)
            calls = [lab.post_call(number) for number in range(4)]
            for call in calls:
                assert lab.device(call)["attempts"] == 1
            file = kept(lab)
            assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
            name = f"provider-token-{lab.app.team}-{lab.app.key_id}-[0-9a-f]{{16}}"
            assert re.fullmatch(name, file.name), "the last is the key's fingerprint"
            lab.clients.clear()
            lab.restart_daemon()
        assert lab.simulator.stats()["tokens"] == 1
        assert len({r["connection"] for r in lab.simulator.requests()}) >= 3


# name, age of the kept token, its mode, is it signed with our key, is it used
KEPT = (
    ("young", 600, 0o600, True, True),
    ("of half an hour", 1800, 0o600, True, True),
    ("older than 40 minutes", 3000, 0o600, True, False),
    ("expired", 4000, 0o600, True, False),
    ("from the future", -3000, 0o600, True, False),
    ("open to others", 600, 0o644, True, False),
    ("of another key", 600, 0o600, False, False),
)


def test_age_of_the_kept_token():
    for name, age_s, mode, ours, used in KEPT:
        with Lab() as lab:
            lab.phones(1)
            lab.call(0)
            file = kept(lab)
            lab.clients.clear()
            lab.daemon.check_end()
            iat = int(time.time()) - age_s
            key = lab.place.app_key(lab.app.key_id if ours else "ANOTHERKEY")[0]
            file.write_text(jwt(key, lab.app.key_id, lab.app.team, iat=iat) + "\n")
            file.chmod(mode)
            lab.start_daemon()
            assert lab.call(0)["result"] == "accepted", name
            sent = lab.simulator.requests()[-1]["headers"]["authorization"]["iat"]
            assert (sent == iat) == used, (name, sent - iat)


def test_push_waits_and_goes_with_the_same_token():
    with Lab() as lab:
        lab.phones(2)
        lab.simulator.rule(times=2, **TOO_MANY)
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 3), device
        assert len({r["apns_id"] for r in lab.simulator.attempts(0)}) == 1
        assert lab.simulator.stats()["tokens"] == 1
        retries = lab.daemon.metric("pbxpush_retries_total", reason=TOO_MANY["reason"])
        assert retries == 2


def test_expired_and_then_too_many():
    with Lab() as lab:
        lab.phones(1)
        first = kept(lab).read_text()
        lab.simulator.rule(times=1, status=403, reason="ExpiredProviderToken")
        lab.simulator.rule(times=1, **TOO_MANY)
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 3), device
        assert lab.simulator.stats()["tokens"] == 2
        wait_until(lambda: kept(lab).read_text() != first, what="the second is kept")


def test_deadline_comes_first():
    with Lab() as lab:
        lab.phones(1)
        lab.simulator.rule(**TOO_MANY)
        call = lab.post_call(0, ring_ms=3000)
        reply = lab.events.reply(call)
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
        device = reply["devices"][0]
        assert (device["status"], device["reason"]) == (429, TOO_MANY["reason"]), device
        first, last = (lab.simulator.requests()[at]["ms"] for at in (0, -1))
        assert last - first < 3000
        assert lab.simulator.stats()["tokens"] == 1


def test_replaced_by_itself_after_40_minutes():
    with Lab(start=False, simulator=MIN_AGE) as lab:
        clock = Clock(lab.place)
        lab.start_daemon(environment=clock.environment)
        lab.phones(1)
        lab.call(0)
        old = kept(lab).read_text()
        clock.elapse(2340, lab.daemon)
        assert lab.daemon.route()["token_age_s"] >= 2340
        clock.elapse(3060, lab.daemon)
        assert lab.daemon.route()["token_age_s"] < 60
        wait_until(lambda: kept(lab).read_text() != old, what="the new token is kept")
        lab.simulator.control(clock_skew_s=3060)
        assert lab.call(0)["attempts"] == 1
        assert lab.simulator.stats()["tokens"] == 2


if __name__ == "__main__":
    harness.main(globals())
