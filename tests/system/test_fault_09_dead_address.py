#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 9. One resolved address is dead, or IPv6 is unreachable. Right: the name is resolved again
for each connect, every address of both families is tried within connect-timeout, and one that
takes connections but does not speak is not asked first again."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, Hosts, wait_until  # noqa: E402
from preload import preload  # noqa: E402

import contextlib
import socket

NAME = "apns.test"
CONFIG = {"apns": {"connections": 1, "connect-timeout": "4s"}}


@contextlib.contextmanager
def lab(hosts, *simulator, config=CONFIG):
    """Simulator and daemon, who finds the simulator as apns.test at these addresses."""
    with Lab(simulator=simulator, start=False, config=config) as made:
        cert, key = made.place.certificate("named", "DNS:" + NAME)
        made.simulator.control(certificate={"cert": str(cert), "key": str(key)})
        made.hosts = Hosts(made.place, {NAME: hosts})
        made.daemon_config = {"apns": config["apns"] |
                              {"production": f"{NAME}:{made.simulator.port}"}}
        yield made


def start(made):
    made.start_daemon(made.daemon_config, wrapper=made.hosts.wrapper)
    made.phones(1)


@contextlib.contextmanager
def listener(address, port, full):
    """Takes TCP connections and says nothing; full: its queue is full, and SYNs are lost."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(0 if full else 64)
        for _ in range(8 if full else 0):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield


def check_first_attempt_works(made):
    start(made)
    device = made.call(0)
    assert (device["result"], device["attempts"]) == ("accepted", 1), device
    assert "connecting -> dead" not in made.daemon.stderr()


# getaddrinfo() puts ::1 and 127.0.0.1 first (RFC 6724): those are the dead ones.
DEAD_FIRST = ["::1", "127.0.0.1", "127.0.0.2", "2001:db8::1"]


def test_addresses_that_refuse():
    with lab(DEAD_FIRST, "--listen", "127.0.0.2:0") as made:
        check_first_attempt_works(made)


def test_address_that_swallows_everything():
    with lab(DEAD_FIRST, "--listen", "127.0.0.2:0") as made:
        with listener("127.0.0.1", made.simulator.port, full=True):
            check_first_attempt_works(made)


def test_only_ipv6_is_alive():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as why:
        raise harness.Skip(f"no IPv6 loopback here: {why}") from None
    with lab(["127.0.0.2", "127.0.0.1", "::1"], "--listen", "[::1]:0") as made:
        check_first_attempt_works(made)


def test_name_is_resolved_for_each_connect():
    with lab(["127.0.0.2"]) as made:
        start(made)
        call = made.post_call(0)
        wait_until(lambda: made.daemon.stderr().count("connecting -> dead") > 1, what="failures")
        assert "refused" in made.daemon.route()["last_error"]
        made.hosts.write({NAME: ["127.0.0.1"]})
        device = made.device(call)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device


def test_name_that_is_unknown():
    with lab([], config={"apns": {"connections": 1}}) as made:
        start(made)
        device = made.call(0, ring_ms=1000)
        assert (device["result"], device["reason"]) == ("failed", "dns"), device
        made.hosts.write({NAME: ["127.0.0.1"]})
        assert made.call(0)["result"] == "accepted"


def test_mute_address_is_not_asked_first_again():
    config = {"apns": {"connections": 2, "connect-timeout": "1s"}}
    with lab(["127.0.0.1", "127.0.0.2"], config=config) as made:
        with listener("127.0.0.2", made.simulator.port, full=False):
            start(made)
            assert made.call(0)["result"] == "accepted"
            wait_until(lambda: "no TLS handshake" in made.daemon.stderr(), what="a failure")
            # Good pushes elsewhere do not make it a good address.
            wait_until(lambda: made.call(0)["result"] == "accepted" and
                       made.daemon.route()["ready"] == 2, what="two connections")
            assert made.daemon.stderr().count("no TLS handshake") == 1


def test_each_address_has_its_turn():
    """Two that take connections and do not speak do not hide the third."""
    config = {"apns": {"connections": 1, "connect-timeout": "1s"}}
    with lab(["127.0.0.1", "127.0.0.2", "127.0.0.3"], "--listen", "127.0.0.3:0",
             config=config) as made:
        with listener("127.0.0.1", made.simulator.port, full=False), \
                listener("127.0.0.2", made.simulator.port, full=False):
            start(made)
            assert made.call(0)["result"] == "accepted"
            assert made.daemon.stderr().count("no TLS handshake") == 2


def test_many_that_swallow_everything():
    """Their turns are shortened, so that the last address has its part of connect-timeout."""
    config = {"apns": CONFIG["apns"] | {"connect-timeout": "1200ms"}}
    dead = [f"127.0.0.{number}" for number in range(1, 8)]
    with lab([*dead, "127.0.0.8"], "--listen", "127.0.0.8:0", config=config) as made:
        with contextlib.ExitStack() as stack:
            for address in dead:
                stack.enter_context(listener(address, made.simulator.port, full=True))
            check_first_attempt_works(made)


# A name server that has no answer before a file is there.
SLOW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **list)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		(int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))
			dlsym(RTLD_NEXT, "getaddrinfo");

	while (access(getenv("NAME_SERVER"), F_OK))
		usleep(10000);
	return next(node, service, hints, list);
}
"""


def test_slow_name_server_holds_up_nothing_else():
    with Lab(start=False, config={"apns": {"connections": 1}}) as made:
        answers = made.place / "answers"
        made.start_daemon(environment=preload(
            made.place, "names", SLOW, NAME_SERVER=answers))
        try:
            made.phones(1)
            call = made.post_call(0)
            wait_until(lambda: made.daemon.route()["queued"] == 1, what="a call that waits")
            assert made.daemon.route()["connecting"] == 1
        finally:
            answers.touch()
        device = made.device(call)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device


if __name__ == "__main__":
    harness.main(globals())
