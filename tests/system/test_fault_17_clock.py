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

import mmap
import pathlib
import re
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

HOURS_2 = 7200

# Shifts the daemon's wall clock, and only that, by the seconds at the start of a file.
SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	static volatile int64_t *shift_s;
	int rv = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock != CLOCK_REALTIME || rv)
		return rv;
	if (!shift_s) {
		int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY | O_CLOEXEC);
		shift_s = mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	ts->tv_sec += *shift_s;
	return rv;
}
"""


class Clock:
    """The wall clock of a daemon, to be started with `environment`."""

    def __init__(self, place):
        source, library, shift = place / "clock.c", place / "clock.so", place / "clock.shift"
        source.write_text(SHIM)
        done = subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source],
                              capture_output=True, text=True)
        if done.returncode:
            raise harness.Skip(f"no compiler for the clock: {done.stderr.strip()}")
        shift.write_bytes(bytes(8))
        with open(shift, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)
        # A sanitizer wants to be the first library of all, unless told otherwise.
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(shift),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def shift(self, seconds):
        self.memory[:] = struct.pack("q", seconds)


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


if __name__ == "__main__":
    harness.main(globals())
