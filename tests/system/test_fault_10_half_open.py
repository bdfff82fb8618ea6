#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 10. Half-open TCP: the peer is gone, and nothing says so. Right: a PING with an ACK
deadline while pushes are unanswered; the connection is dropped; what was surely unsent goes
elsewhere freely, and already when the silence becomes suspicious; what may have arrived goes once,
with the same apns-id and uuid. What a socket that blocks still holds is not unsent: it leaves when
the peer reads again. The kernel does not wait for longer than we do."""

import ctypes
import json
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import START_S, Lab, Skip, wait_until  # noqa: E402
from preload import preload  # noqa: E402

# Far above what the PING takes: 2 s of silence and ping-timeout.
CONFIG = {"apns": {"connections": 1, "max-connections": 1, "response-timeout": "30s",
                   "ping-timeout": "1s"}}
LOST_MS = 20000
# No timeout comes to the aid: whatever moves does so for the silence.
PATIENT = {"apns": {"connections": 1, "max-connections": 1, "response-timeout": "50s",
                    "ping-timeout": "50s"}}
BLOCKING = ("--receive-buffer", "16384", "--window", "100000000")
FILLER = {"filler": "x" * 3000}
PHONES = 300
# So many wait, in bytes more than the sockets of both sides hold: what blocks for a moment only, as
# the peer's kernel is slow to take it, cannot take them all later.
QUEUED = 150
SYS_PIDFD_GETFD = 438


def test_peer_is_gone():
    with Lab(simulator=("--streams", "1"), config=CONFIG) as lab:
        lab.phones(3)
        lab.call(0)
        lab.simulator.control(pause=True, connection=1)
        written = lab.post_call(1)
        wait_until(lambda: lab.daemon.route()["streams"] == 1, what="a push on the wire")
        waiting = lab.post_call(2)
        for call, attempts in ((written, 2), (waiting, 1)):
            device = lab.device(call, 40)
            assert (device["result"], device["attempts"]) == ("accepted", attempts), device
            assert device["ms"] < LOST_MS, device
        assert "no answer to PING" in lab.daemon.stderr()
        assert lab.daemon.metric("pbxpush_retries_total", reason="ambiguous") == 1
        assert lab.simulator.stats()["connections"] == 2
        # The peer had only been away: it finds the push, and then that we have left.
        lab.simulator.control(pause=False, connection=1)
        both = wait_until(lambda: len(sent := lab.simulator.attempts(1)) == 2 and sent)
        assert len({r["apns_id"] for r in both}) == 1, both
        assert len({r["payload"]["uuid"] for r in both}) == 1, both
        assert len(lab.simulator.attempts(2)) == 1


def test_new_calls_do_not_join_a_silent_connection():
    config = {"apns": {"response-timeout": "30s", "ping-timeout": "30s", "max-connections": 2},
              "daemon": {"drain-timeout": "100ms"}}
    with Lab(config=config) as lab:
        lab.phones(6)
        lab.wait_ready(2)
        # Two on each, of which the second connection owes its answers but still speaks.
        lab.simulator.rule(times=2, delay_ms=300)
        for call in [lab.post_call(number) for number in range(2)]:
            lab.device(call)
        for which in (1, "new"):
            lab.simulator.control(pause=True, connection=which)
        lab.simulator.rule(times=2, action="silent")
        for number in range(1, 5):
            lab.post_call(number)
        # Its PING after the silence: the other's, which nobody reads, is out by then.
        wait_until(lambda: lab.simulator.stats()["pings"] == 1, what="a PING")
        device = lab.call(5)
        assert (device["result"], device["attempts"]) == ("accepted", 1), device
        assert [r["connection"] for r in lab.simulator.attempts(5)] == [2]


# Gives the daemon's sockets so small a buffer that a peer who does not read blocks it soon.
NARROW = r"""
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int family, int type, int protocol)
{
	int fd = (int)syscall(SYS_socket, family, type, protocol);
	const int size = 4096;

	if (fd >= 0 && family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}
"""
MANY = 250  # pushes: within the connection's window, but with their headers not in the buffers


def long_token(number):
    return f"{number:0512x}"


def narrow_lab(lab):
    """A daemon whose connection takes a part of what is written. Returns the calls, all posted
    while the peer is away."""
    lab.start_daemon(environment=preload(lab.place, "sockets", NARROW))
    for number in range(MANY + 1):
        lab.register(user=f"u{number}", token=long_token(number))
    lab.call(MANY)
    lab.simulator.control(pause=True, connection=1)
    calls = [f"call {number}" for number in range(MANY)]
    # At once, so that the connection is given more than it takes.
    lab.events.send_raw("".join(
        json.dumps({"id": call, "event": "call", "call": call, "to": f"u{number}"}) + "\n"
        for number, call in enumerate(calls)).encode())
    wait_until(lambda: lab.daemon.route()["streams"] > MANY / 2, what="pushes on the wire")
    return calls


def test_unsent_moves_freely_and_written_once():
    with Lab(config=CONFIG, start=False) as lab:
        calls = narrow_lab(lab)
        for call in calls:
            device = lab.device(call, 40)
            assert device["result"] == "accepted" and device["ms"] < LOST_MS, device
        lab.simulator.control(pause=False, connection=1)
        wait_until(lambda: any(event["connection"] == 1 for event in lab.simulator.events("close")),
                   what="the end of the lost connection")
        written = {r["token"] for r in lab.simulator.requests() if r["connection"] == 1}
        # Without the first call, which was answered.
        assert 0 < len(written) - 1 < MANY, len(written)
        ambiguous = lab.daemon.metric("pbxpush_retries_total", reason="ambiguous")
        assert ambiguous == len(written) - 1, (ambiguous, len(written))


def test_unsent_moves_before_the_ack_deadline():
    config = {"apns": CONFIG["apns"] | {"ping-timeout": "30s"},
              "daemon": {"drain-timeout": "100ms"}}
    with Lab(config=config, start=False) as lab:
        calls = narrow_lab(lab)
        device = lab.device(calls[-1])
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        assert "no answer to PING" not in lab.daemon.stderr()


def test_unsent_moves_at_the_silence():
    written, stuck = range(1, 4), range(4, 12)
    with Lab(config=PATIENT) as lab:
        lab.phones(12)
        lab.call(0)
        lab.simulator.rule(action="silent", connection=1)
        calls = {number: lab.post_call(number) for number in written}
        wait_until(lambda: len(lab.simulator.requests()) == 4, what="pushes without an answer")
        # From here a request stands in the stream with its headers only.
        lab.simulator.control(window=0, connection=1)
        wait_until(lambda: len(lab.simulator.events("settings-ack")) ==
                   1 + len(lab.simulator.events("settings")), what="the window is shut")
        calls |= {number: lab.post_call(number) for number in stuck}
        wait_until(lambda: lab.daemon.route()["streams"] == 11, what="all have a stream")
        lab.simulator.control(pause=True, connection=1)
        for number in stuck:
            device = lab.device(calls[number], 40)
            assert (device["result"], device["attempts"]) == ("accepted", 2), device
            assert device["ms"] < LOST_MS, device
        assert lab.daemon.metric("pbxpush_retries_total", reason="ambiguous") == 0
        assert not any(calls[number] in lab.events.replies for number in written)
        lab.simulator.control(pause=False, connection=1)
        wait_until(lambda: len(lab.simulator.events("stream-closed")) == len(stuck),
                   what="streams are cancelled")
        lab.simulator.control(rst=True, connection=1)
        for number in written:
            device = lab.device(calls[number])
            assert (device["result"], device["attempts"]) == ("accepted", 2), device
        for number in stuck:
            assert [r["connection"] for r in lab.simulator.attempts(number)] == [2]


def block(lab):
    """Calls one phone after the other until the socket of connection 1 takes no more; none can go
    elsewhere. Returns {phone: (call, id of its event)}."""
    lab.phones(PHONES)
    lab.call(0)
    lab.simulator.control(refuse=True)
    lab.simulator.control(pause=True, connection=1)
    calls = {}
    for number in range(1, PHONES - 1):
        event = lab.post_call(number, data=FILLER)
        calls[number] = f"call-{lab.last_call}", event
        if lab.daemon.route()["queued"] >= QUEUED:
            return calls
    raise AssertionError("the socket does not block")


def check_once(lab, withdrawn):
    """By connection 1, behind all that it still held, comes another call: by then each of the
    others has arrived as often as it ever will."""
    assert lab.call(PHONES - 1)["result"] == "accepted"
    fence, = lab.simulator.attempts(PHONES - 1)
    assert fence["connection"] == 1, fence
    for number in range(1, PHONES - 1):
        sent = [(r["connection"], r["stream"]) for r in lab.simulator.attempts(number)]
        assert len(sent) <= (number not in withdrawn), (number, number in withdrawn, sent)


def test_blocked_socket_and_the_end_of_calls():
    with Lab(config=PATIENT, simulator=BLOCKING) as lab:
        calls = block(lab)
        withdrawn = {number for number, (call, _) in calls.items()
                     if lab.events.ask(event="end", call=call)["withdrawn"]}
        assert withdrawn, "none was surely unsent"
        for _, event in calls.values():
            assert lab.events.reply(event)["verdict"] == "ended"
        lab.simulator.control(pause=False, connection=1)
        check_once(lab, withdrawn)
        lab.simulator.control(refuse=False)


def test_blocked_socket_and_silence():
    with Lab(config=PATIENT, simulator=BLOCKING) as lab:
        calls = block(lab)
        lab.simulator.control(refuse=False)
        wait_until(lambda: not lab.daemon.route()["queued"] and lab.simulator.requests()[-1]
                   ["connection"] > 1, START_S, "another connection takes what is unsent")
        lab.simulator.control(pause=False, connection=1)
        for _, event in calls.values():
            assert lab.device(event)["result"] == "accepted"
        # The other one leaves, so that the last call comes by the first.
        lab.simulator.control(refuse=True)
        lab.simulator.control(goaway={}, connection=2)
        wait_until(lambda: lab.daemon.route()["ready"] == 1, what="one connection")
        check_once(lab, ())
        lab.simulator.control(refuse=False)


def sockets_of(process, port):
    """Our copies of the process's sockets that are connected to the port."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(process.pid)
    try:
        for name in os.listdir(f"/proc/{process.pid}/fd"):
            fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0:
                raise Skip(f"no look at another's sockets here: {os.strerror(ctypes.get_errno())}")
            try:
                sock = socket.socket(fileno=fd)
            except OSError:  # no socket
                os.close(fd)
                continue
            with sock:
                if sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM and \
                        sock.getpeername()[1] == port:
                    yield sock
    finally:
        os.close(pidfd)


def test_kernel_gives_up_when_we_would():
    config = {"apns": {"connections": 2, "response-timeout": "7s", "ping-timeout": "4s"}}
    with Lab(config=config) as lab:
        lab.register()
        lab.wait_ready(2)
        found = [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                 for sock in sockets_of(lab.daemon.process, lab.simulator.port)]
        assert found == [11000, 11000], found


if __name__ == "__main__":
    harness.main(globals())
