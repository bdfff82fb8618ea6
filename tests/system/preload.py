# SPDX-License-Identifier: MIT
"""C code that a daemon is started with (LD_PRELOAD), so that the system does to it what it rarely
does by itself; among it a clock that the test moves. Give the environment to start_daemon()."""

import contextlib
import mmap
import struct
import subprocess

from harness import Skip

CLOCK = r"""
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
	static volatile int64_t *shift_s; /* of the wall clock, of all */
	int rv = (int)syscall(SYS_clock_gettime, clock, ts);

	if (rv)
		return rv;
	if (!shift_s) {
		int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY | O_CLOEXEC);
		shift_s = mmap(NULL, 2 * sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	ts->tv_sec += shift_s[1] + (clock == CLOCK_REALTIME ? shift_s[0] : 0);
	return rv;
}
"""


def preload(place, name, source, **environment):
    """The environment of a daemon that has the functions of this source instead of the system's."""
    code, library = place / f"{name}.c", place / f"{name}.so"
    code.write_text(source)
    done = subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, code],
                          capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"no compiler for the {name}: {done.stderr.strip()}")
    # A sanitizer wants to be the first library of all, unless told otherwise.
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"} | {
        key: str(value) for key, value in environment.items()}


class Clock:
    """The clocks of a daemon, to be started with `environment`."""

    def __init__(self, place):
        path = place / "clock.shift"
        self.environment = preload(place, "clock", CLOCK, CLOCK_SHIFT=path)
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 16)

    def shift(self, seconds):
        """So far the wall clock, and only that, is from the right time."""
        self.memory[:8] = struct.pack("q", seconds)

    def elapse(self, seconds, daemon):
        """So much time has passed since the start, by every clock, and what is due is done."""
        self.memory[8:] = struct.pack("q", seconds)
        for _ in range(3):
            # Who asks while it passes may have been too slow.
            with contextlib.suppress(OSError, IndexError):
                daemon.get("/status")
