#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that leave, do not read, are too many, or are not allowed."""

import contextlib
import json
import os
import pathlib
import resource
import select
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Events, Lab, Skip, wait_until  # noqa: E402

NOBODY = 65534
PING = {"ok": True, "event": "pong"}


def test_client_leaves_with_calls_in_flight():
    with Lab() as lab:
        lab.simulator.control(delay_ms=200)
        for number in range(20):
            lab.events.ask(event="register", user=f"u{number}", token=f"{number:064x}")
        for way in ("close", "half", "unread"):
            client = Events(lab.daemon.events_path)
            for number in range(20):
                client.post(event="call", call=f"{way}{number}", to=f"u{number}", wait="push")
            if way == "unread":
                client.post(event="ping")
                select.select([client.socket], [], [], harness.DEADLINE_S)
            if way == "half":
                client.half_close()
            client.close()
        # What it had said still counts: every phone rings, and the daemon serves others.
        wait_until(lambda: len(lab.simulator.requests()) == 60, what="60 pushes")
        assert lab.events.ask(event="ping")["event"] == "pong"
        assert lab.events.ask(event="call-state", call="close7")["state"] == "ringing"
        wait_until(lambda: lab.daemon.status()["clients"] == 1, what="only one client is left")
        wait_until(lambda: lab.daemon.metric("pbxpush_pushes_total", result="accepted") == 60)


def fill(client, line):
    """Writes until the daemon takes no more; returns how many whole lines went out."""
    data, sent = line * 1000, 0
    client.socket.setblocking(False)
    while select.select([], [client.socket], [], 1.0)[1]:
        with contextlib.suppress(BlockingIOError):
            # from where the last write ended within a line
            sent += client.socket.send(data[sent % len(line):])
        assert sent < 64 << 20, "reads without end"
    client.socket.setblocking(True)
    return sent, data


def test_client_that_does_not_read():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        before = lab.daemon.metric("process_resident_memory_bytes")
        clients = [lab.client() for _ in range(3)]
        line = json.dumps({"id": "x" * 200, "event": "ping"}).encode() + b"\n"
        filled = [fill(client, line) for client in clients]
        # others do not notice
        for number in range(20):
            reply = lab.events.ask(event="call", call=f"c{number}", to="1001")
            assert reply["verdict"] == "push", reply
        grown = lab.daemon.metric("process_resident_memory_bytes") - before
        assert grown < 32 << 20, f"{grown / 2**20:.1f} MiB for three clients that do not read"
        # and nothing was lost for those
        for client, (sent, _) in zip(clients, filled):
            whole = sent // len(line)
            for _ in range(whole):
                assert client.read()["event"] == "pong"
            if sent % len(line):
                client.send_raw(line[sent % len(line):])
                assert client.read()["event"] == "pong"


def test_max_clients():
    with Lab(config={"events": {"max-clients": 3}}) as lab:
        wait_until(lambda: lab.daemon.status()["clients"] == 0)
        clients = [lab.client() for _ in range(3)]
        for client in clients:
            assert client.ask(event="ping")["event"] == "pong"
        for _ in range(3):
            late = Events(lab.daemon.events_path)
            reply = late.read()
            assert (reply["ok"], reply["error"]) == (False, "overloaded"), reply
            assert late.read() is None, "and is closed"
            late.close()
        assert lab.daemon.metric("pbxpush_clients") == 3
        clients.pop().close()
        lab.clients.pop()
        wait_until(lambda: lab.daemon.status()["clients"] == 2)
        assert lab.client().ask(event="ping")["event"] == "pong"


def test_no_descriptors_left():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        pid = lab.daemon.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 2, hard))
        crowd = [Events(lab.daemon.events_path) for _ in range(10)]
        wait_until(lambda: "events: accept: Too many open files" in lab.daemon.stderr())
        # those who are there are served, and the log is not filled
        for number in range(20):
            reply = lab.events.ask(event="call", call=f"d{number}", to="1001")
            assert reply["verdict"] == "push", reply
        assert crowd[0].ask(event="ping")["event"] == "pong"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for client in crowd:
            assert client.ask(event="ping")["event"] == "pong", "who waited is served, too"
            client.close()
        assert lab.daemon.get("/health")[0] == 200
        assert lab.daemon.stderr().count("Too many open files") < 5, lab.daemon.stderr()


def as_nobody(lab, *events):
    """Asks under another uid; returns the replies, None where the daemon has closed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            client = Events(lab.daemon.events_path)
            if not events:
                replies = [client.read(), client.read()]
            else:
                replies = [client.ask(**event) for event in events]
            os.write(writer, json.dumps(replies).encode())
            os._exit(0)
        except BaseException as error:  # the child must not run the parent's handlers
            os.write(2, repr(error).encode() + b"\n")
            os._exit(1)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the other user failed"
    return json.loads(text)


def open_lab(**config):
    if os.getuid():
        raise Skip("needs root, for another user")
    return Lab(config={"events": {"socket-mode": "0666"} | config})


def test_allow_users():
    with open_lab(**{"allow-users": "0"}) as lab:
        os.chmod(lab.place.path, 0o755)
        reply, end = as_nobody(lab)
        assert (reply["ok"], reply["error"], end) == (False, "not-permitted", None), reply
        assert lab.events.ask(event="ping")["event"] == "pong"
        lab.daemon.configure({"events": {"allow-users": f"root, {NOBODY}"}})
        lab.daemon.reload()
        wait_until(lambda: "reloaded" in lab.daemon.stderr())
        assert as_nobody(lab, {"event": "ping"})[0]["event"] == "pong"


def test_admin_users():
    with open_lab(**{"admin-users": "root"}) as lab:
        os.chmod(lab.place.path, 0o755)
        lab.events.ask(event="register", user="1001", token=TOKEN)
        events = (
            ({"event": "ping"}, True), ({"event": "register", "user": "1002", "token": "ab" * 32}, True),
            ({"event": "call", "call": "c", "to": "1002"}, True), ({"event": "end", "call": "c"}, True),
            ({"event": "unregister", "user": "1002"}, True),
            ({"event": "show", "user": "1001"}, False),
            ({"event": "dnd", "user": "1001", "on": True}, False),
            ({"event": "block", "user": "1001", "number": "+49"}, False),
            ({"event": "unblock", "user": "1001", "number": "+49"}, False),
            ({"event": "allow", "user": "*", "number": "+49"}, False),
            ({"event": "unallow", "user": "*", "number": "+49"}, False),
            ({"event": "forget", "user": "1001"}, False),
            ({"event": "forget", "token": TOKEN}, False),
        )
        replies = as_nobody(lab, *(event for event, _ in events))
        for (event, allowed), reply in zip(events, replies):
            assert reply["ok"] == allowed, (event, reply)
            assert allowed or reply["error"] == "not-permitted", (event, reply)
        shown = lab.events.ask(event="show", user="1001")
        assert len(shown["devices"]) == 1 and not shown["dnd"] and not shown["blocks"], shown
        assert lab.events.ask(event="dnd", user="1001", on=True)["ok"], "root may"


def test_socket_closed_to_others():
    with open_lab(**{"socket-mode": "0600"}) as lab:
        os.chmod(lab.place.path, 0o755)
        try:
            as_nobody(lab, {"event": "ping"})
        except AssertionError:
            return
        raise AssertionError("somebody else got in")


if __name__ == "__main__":
    harness.main(globals())
