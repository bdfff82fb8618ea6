#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The clock of the machine is wrong, and later jumps to the right time (a board without a battery,
before NTP).

`iat` in the provider token is wall time, so APNs calls the token expired, or, where it is from the
future, invalid. Right: an expired one is tried once more (row 15), then the push is rejected with
APNs' reason; an alarm names the skew, taken from the `date` header, once in the log; no further
token is signed by a clock that is still wrong. After the jump the next call signs a new token at
once and gets through, and the alarm goes by itself.
"""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, jwt, wait_until  # noqa: E402
from preload import Clock  # noqa: E402

HOURS_2 = 7200
MINUTE = 61  # so often the daemon looks at its tokens; a second to be sure

def wrong_clock(shift_s, status, reason, attempts):
    with Lab(start=False, violations=None, simulator=("--token-min-age", "0")) as lab:
        clock = Clock(lab.place)
        clock.shift(shift_s)
        lab.start_daemon(environment=clock.environment)
        lab.register()
        for call in ("first", "second"):
            reply = lab.events.ask(event="call", call=call, to="1001")
            device, = reply["devices"]
            assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
            assert (device["status"], device["reason"], device["attempts"]) == (
                status, reason, attempts), reply
        sent = lab.simulator.requests()
        assert len(sent) == 2 * attempts, sent
        assert len({line["apns_id"] for line in sent}) == 2, "a retry keeps its apns-id"
        tokens = {line["headers"]["authorization"]["iat"] for line in sent}
        assert len(tokens) <= 2, f"a wrong clock signs no third token: {tokens}"
        alarm = lab.daemon.route()["alarm"]
        skew = re.search(r"([+-]\d+) s from ours", alarm)
        assert skew and abs(int(skew[1]) + shift_s) < 120, alarm
        log = [line for line in lab.daemon.stderr().splitlines() if "s from ours" in line]
        assert 1 <= len(log) <= 2, log

        clock.shift(0)
        reply = lab.events.ask(event="call", call="third", to="1001")
        assert reply["verdict"] == "push", (reply, lab.daemon.stderr())
        assert lab.simulator.requests()[-1]["headers"]["authorization"]["valid"]
        reply = lab.events.ask(event="call", call="fourth", to="1001")
        assert reply["devices"][0]["attempts"] == 1, reply
        assert lab.daemon.route()["alarm"] is None, "the alarm is over"


def test_slow_clock_jumps_forward():
    wrong_clock(-HOURS_2, 403, "ExpiredProviderToken", 2)


def test_fast_clock_jumps_back():
    wrong_clock(HOURS_2, 403, "InvalidProviderToken", 1)


def test_alarm_before_it_hurts():
    """Ten minutes are no reason for APNs to refuse, but a warning; half a minute is neither."""
    with Lab() as lab:
        lab.register()
        for skew_s, alarm in ((30, False), (600, True), (0, False)):
            lab.simulator.control(clock_skew_s=skew_s)
            if skew_s == 600:  # the first answer of a connection is the one that is looked at
                lab.simulator.control(close=True)
                wait_until(lambda: lab.simulator.stats()["connections"] == 4)
            reply = lab.events.ask(event="call", call=f"skew {skew_s}", to="1001")
            assert reply["verdict"] == "push", reply
            text = lab.daemon.route()["alarm"]
            assert bool(text) == alarm, (skew_s, text)


def age(lab, clock, elapsed_s):
    clock.elapse(elapsed_s, lab.daemon)
    return lab.daemon.route()["token_age_s"]


def test_jump_replaces_a_token_before_a_call_finds_out():
    with Lab() as lab:
        lab.phones(1)
        lab.call(0)
        # Twenty minutes old: a younger one is not replaced for a clock, but when APNs minds.
        file, = wait_until(lambda: list(lab.place.path.glob("provider-token-*[0-9a-f]")))
        key = lab.place.app_key(lab.app.key_id)[0]
        iat = int(time.time()) - 1300
        lab.clients.clear()
        lab.daemon.check_end()
        file.write_text(jwt(key, lab.app.key_id, lab.app.team, iat=iat) + "\n")
        clock = Clock(lab.place)
        lab.start_daemon(environment=clock.environment)
        assert age(lab, clock, MINUTE) >= 1300 + MINUTE, "nothing has jumped"
        clock.shift(-600)
        assert age(lab, clock, 2 * MINUTE) < MINUTE, "signed anew"
        lab.call(0)
        sent = lab.simulator.requests()[-1]["headers"]["authorization"]
        assert sent["valid"] and sent["iat"] > iat, sent


def test_age_is_not_wall_time():
    with Lab(start=False) as lab:
        clock = Clock(lab.place)
        lab.start_daemon(environment=clock.environment)
        clock.shift(HOURS_2)
        assert MINUTE <= age(lab, clock, MINUTE) < 2 * MINUTE, "neither older, nor signed anew"


if __name__ == "__main__":
    harness.main(globals())
