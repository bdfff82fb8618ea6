#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients over HTTP that wait, leave, dawdle, are too many; reload, drain, bad configuration."""

import contextlib
import os
import pathlib
import resource
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, START_S, wait_until  # noqa: E402
from http_raw import ADMIN, CALLS, Http, HttpLab, request  # noqa: E402
from test_reload import reload  # noqa: E402

PING = {"event": "ping", "id": 1}
PONG = {"id": 1, "ok": True, "event": "pong"}


def waiting_call(number=0, **more):
    return {"event": "call", "call": f"c{number}", "to": f"u{number}", "wait": "register"} | more


def wake(lab, number=0):
    return lab.events.ask(event="register", user=f"u{number}", token=harness.token(number),
                          contact="sip:x@192.0.2.1", app=lab.app.bundle)


def test_many_wait_at_once():
    """500 long polls: a register each releases its own, in any order."""
    count = 500
    with HttpLab(events={"max-clients": count + 1}) as lab:
        lab.phones(count)
        polls = [lab.http().send(request(waiting_call(n), token=CALLS)) for n in range(count)]
        wait_until(lambda: len(lab.simulator.requests()) == count, START_S, "every phone is pushed")
        assert lab.daemon.metric("pbxpush_clients") == count + 1
        for number in reversed(range(count)):
            wake(lab, number)
        for number, poll in enumerate(polls):
            reply = poll.answer(START_S).json
            assert (reply["call"], reply["verdict"]) == (f"c{number}", "registered"), reply


def test_who_waits_is_not_cut_and_who_dawdles_is():
    """What the times are for: 10 s for the bytes of a request, none for its answer."""
    with HttpLab() as lab:
        lab.phones(1)
        start = time.monotonic()
        poll = lab.http().send(request(waiting_call(wait_ms=12000)))
        silent, idle = lab.http(), lab.http()
        assert idle.ask(PING).json == PONG
        whole = request(PING)
        slow = {name: (lab.http(), data) for name, data in (
            ("head", whole[:60]), ("body", whole[:-2]),
            ("chunk", request(length=None, Content_Length=None, Transfer_Encoding="chunked") +
             b"10\r\n{"))}
        ended, sent = {}, 0
        while len(ended) < len(slow):
            for name, (http, data) in slow.items():
                if name in ended or sent >= len(data):
                    continue
                with contextlib.suppress(OSError):
                    http.send(data[sent:sent + 1])  # a byte now and then
            sent += 1
            ready = select.select([http.socket for name, (http, _) in slow.items()
                                   if name not in ended], [], [], 0.1)[0]
            for name, (http, _) in slow.items():
                if http.socket in ready:
                    answer = http.answer()
                    assert answer.status == 408, (name, answer)
                    assert http.at_end(), name
                    ended[name] = time.monotonic() - start
            assert time.monotonic() - start < 20, (sent, ended)
        assert all(9 < seconds < 15 for seconds in ended.values()), ended
        assert silent.at_end() and idle.at_end(), "nor may one do nothing"
        reply = poll.answer(START_S).json
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "no-register"), reply
        assert time.monotonic() - start > 11.9, "it waited as long as it wanted"
        wait_until(lambda: lab.daemon.status()["clients"] == 2, what="the poll and lab.events")


def test_client_leaves_while_it_waits():
    with HttpLab() as lab:
        lab.phones(30)
        for round_number in range(3):
            polls = [lab.http().send(request([waiting_call(n, call=f"{round_number}-{n}"), PING]))
                     for n in range(30)]
            wait_until(lambda: len(lab.simulator.requests()) == 30 * (round_number + 1))
            for number, poll in enumerate(polls):
                if number % 3 == 1:  # with a reset
                    poll.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                if number % 3 == 2:  # half of it is enough: HTTP cannot tell it from a close
                    poll.socket.shutdown(socket.SHUT_WR)
                    assert poll.at_end()
                poll.close()
            wait_until(lambda: lab.daemon.status()["clients"] <= 1, what="all are gone")
        # the calls live on, and a reply to nobody does no harm
        for number in range(30):
            assert len(wake(lab, number)["calls"]) == 3
        assert lab.ask(PING).json == PONG


def test_half_closed_behind_a_request():
    """What is answered at once is answered to one who said already that there is no more."""
    with HttpLab() as lab:
        http = lab.http()
        http.send(request(PING) * 3)
        http.socket.shutdown(socket.SHUT_WR)
        assert [http.answer().json for _ in range(3)] == [PONG] * 3
        assert http.at_end()


def test_max_clients():
    with HttpLab(events={"max-clients": 3}) as lab:
        lab.phones(3)
        idle = [lab.http() for _ in range(3)]
        for http in idle:
            assert http.ask(PING).json == PONG
        polls = []
        for number in range(3):  # who does nothing makes room, the longest idle first
            polls.append(lab.http().send(request(waiting_call(number))))
            wait_until(lambda: len(lab.simulator.requests()) == len(polls))
            assert idle[number].at_end()
        for _ in range(50):
            late = lab.http()
            late.send(request(PING))
            answer = late.answer()
            assert (answer.status, answer.json["error"]) == (503, "overloaded"), answer
            assert late.at_end()
            late.close()
        assert lab.daemon.stderr().count("more are turned away") == 1
        # and those who are told so are bounded, too
        crowd = [lab.http() for _ in range(60)]
        wait_until(lambda: 1 <= lab.daemon.status()["clients"] <= 3 + 32 + 1)
        for http in crowd:
            http.close()
        wake(lab, 1)
        assert polls[1].answer().json["verdict"] == "registered"
        assert lab.ask(PING).json == PONG
        assert lab.events.ask(event="ping")["event"] == "pong", "the event socket counts for itself"


def test_crowd_that_asks_before_it_is_read():
    """Nobody who has sent a request is taken for idle: each is served, or told that it is not."""
    with HttpLab(events={"max-clients": 3}) as lab:
        with lab.daemon.asleep():
            crowd = [lab.http().send(request(PING)) for _ in range(5)]
        answers = [http.answer() for http in crowd]
        assert [answer and answer.status for answer in answers] == [200] * 3 + [503] * 2, answers


def test_client_that_does_not_read():
    with HttpLab() as lab:
        before = lab.daemon.metric("process_resident_memory_bytes")
        clients = [lab.http() for _ in range(3)]
        data = request([{"event": "ping", "id": "x" * 200}] * 100) * 20
        for http in clients:
            http.socket.setblocking(False)
            sent = 0
            while select.select([], [http.socket], [], 0.5)[1]:
                with contextlib.suppress(BlockingIOError):
                    sent += http.socket.send(data)
                assert sent < 64 << 20, "reads without end"
            assert lab.ask(PING).json == PONG, "others do not notice"
        grown = lab.daemon.metric("process_resident_memory_bytes") - before
        assert grown < 16 << 20, f"{grown / 2**20:.1f} MiB for three clients that do not read"
        wait_until(lambda: lab.daemon.status()["clients"] == 0, START_S, "they are given up")


def test_a_body_is_not_taken_from_strangers():
    with HttpLab() as lab:
        before = lab.daemon.metric("process_resident_memory_bytes")
        for _ in range(100):
            http = lab.http()
            http.send(request(length=1 << 20, token="guess"))
            assert http.answer().status == 401
            with contextlib.suppress(OSError):
                http.send(b"x" * 500000)
        grown = lab.daemon.metric("process_resident_memory_bytes") - before
        assert grown < 16 << 20, f"{grown / 2**20:.1f} MiB for 100 clients without a token"


def test_no_descriptors_left():
    with HttpLab() as lab:
        assert lab.events.ask(event="ping")["event"] == "pong"
        pid = lab.daemon.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        open_now = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 2, hard))
        crowd = [lab.http().send(request(PING)) for _ in range(10)]
        wait_until(lambda: "http: accept: Too many open files" in lab.daemon.stderr())
        assert lab.events.ask(event="ping")["event"] == "pong"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for http in crowd:
            assert http.answer().json == PONG, "who waited is served"
        assert lab.daemon.stderr().count("Too many open files") < 5, lab.daemon.stderr()


def test_reload():
    with HttpLab() as lab:
        lab.phones(2)
        old, lab.address = lab.address, f"127.0.0.1:{harness.free_port()}"
        polls = [lab.http(old).send(request(waiting_call(n), token=CALLS)) for n in range(2)]
        kept = lab.http(old)
        assert kept.ask(PING, token=CALLS).json == PONG
        wait_until(lambda: len(lab.simulator.requests()) == 2)
        lab.write_tokens("another-token\n")
        reload(lab, {"events": {"http": lab.address}})
        assert lab.ask(PING, token="another-token").json == PONG
        assert lab.ask(PING, token=CALLS).status == 401, "the old token is void"
        again = lab.ask(waiting_call(wait="verdict"), token="another-token")
        assert again.json["duplicate"] is True, again
        assert kept.ask(PING, token=CALLS).status == 401, "on an old connection, too"
        with contextlib.suppress(ConnectionRefusedError):
            Http(old)
            raise AssertionError("the old address is given up")
        wake(lab, 0)
        assert polls[0].answer().json["verdict"] == "registered", "open requests are not lost"
        # off, on the fly; and on again
        reload(lab, {"events": {"http": None, "http-token-file": None}})
        with contextlib.suppress(ConnectionRefusedError):
            lab.http()
            raise AssertionError("nobody listens any more")
        wake(lab, 1)
        assert polls[1].answer().json["verdict"] == "registered"
        reload(lab, {"events": {"http": lab.address, "http-token-file": lab.write_tokens("new")}})
        assert lab.ask(PING, token="new").json == PONG


def test_bad_reload_changes_nothing():
    with HttpLab() as lab, socket.create_server(("127.0.0.1", 0)) as taken:
        taken = f"127.0.0.1:{taken.getsockname()[1]}"
        good = {"http": lab.address}
        lab.write_tokens("another-token\n")
        for change, words in (({"http": taken}, "Address already in use"),
                              ({"http": "0.0.0.0:8599"}, "must be a loopback address"),
                              ({"http-token-file": "/nowhere"}, "No such file")):
            said = reload(lab, {"events": good | change}, good=False)
            assert words in said, said
            lab.daemon.configure({"events": {"http-token-file": lab.place / "tokens"}})
            assert lab.ask(PING).json == PONG, "the old tokens hold"
            assert lab.ask(PING, token="another-token").status == 401


def test_drain():
    with HttpLab(config={"daemon": {"drain-timeout": "10s"}}) as lab:
        lab.phones(2)
        lab.simulator.rule(token=harness.token(1), delay_ms=500)
        idle, part = lab.http(), lab.http()
        assert idle.ask(PING).json == PONG
        part.send(request(PING)[:-3])
        waits = lab.http().send(request(waiting_call(0)))
        pushes = lab.http().send(request(waiting_call(1, wait="push")) + request(PING))
        wait_until(lambda: len(lab.simulator.requests()) == 2)
        lab.daemon.send_signal(harness.signal.SIGTERM)
        reply = pushes.answer()
        assert reply.json["devices"][0]["result"] == "accepted", reply
        assert reply.headers["connection"] == "close", reply
        assert pushes.at_end(), "no new request is taken"
        reply = waits.answer()
        assert reply.json["verdict"] == "push", "it is told how the call stands"
        assert idle.at_end() and part.at_end()
        with contextlib.suppress(ConnectionRefusedError):
            lab.http()
            raise AssertionError("no new client is taken")
        lab.daemon.check_end()
        lab.daemon = None


def test_address_in_use():
    with HttpLab(start=False) as lab, socket.create_server(("127.0.0.1", 0)) as taken:
        lab.address = f"127.0.0.1:{taken.getsockname()[1]}"
        try:
            lab.start_daemon()
            raise SystemError("started")
        except AssertionError as why:
            assert f"cannot start: {lab.address}: Address already in use" in str(why), why
        assert not (lab.place / "events.sock").exists(), "what was opened before is closed again"


def test_addresses():
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "[::1]"):
        if host == "[::1]" and not os.path.exists("/proc/sys/net/ipv6"):
            continue
        with HttpLab(start=False) as lab:
            lab.address = lab.address.replace("127.0.0.1", host)
            lab.start_daemon()
            if host == "localhost":
                lab.address = lab.address.replace(host, "127.0.0.1")
            assert lab.ask(PING).json == PONG, host


def test_bad_configuration():
    def faults(**events):
        good = {"http": lab.address, "http-token-file": lab.place / "tokens"}
        lab.daemon.configure({"events": good | {
            key.replace("_", "-"): value for key, value in events.items()}})
        done = subprocess.run([BUILD / "pbxpushd", "-t", "-c", lab.daemon.config_path],
                              capture_output=True, text=True)
        lines = done.stderr.splitlines()
        assert bool(lines) == bool(done.returncode), done
        return lines

    with HttpLab() as lab:
        assert faults() == []
        for address in ("0.0.0.0:8599", "192.0.2.1:8599", "[::]:8599", "[2001:db8::1]:8599",
                        "128.0.0.1:8599", "126.255.255.255:1", "example.com:8599",
                        "127.0.0.1.example.com:1", "localhost.example.com:1", "127.1:8599",
                        "[::ffff:127.0.0.1]:8599", "*:8599"):
            fault, = faults(http=address)
            assert f'[events] http = "{address}": must be a loopback address' in fault, fault
            assert "pbxpush.conf:" in fault, fault
            fault, = faults(http=None, http_token_file=None) + [""]
            assert not fault, "off needs nothing"
        for address in ("127.0.0.1", "8599", "127.0.0.1:0", "127.0.0.1:65536"):
            fault, = faults(http=address)
            assert "must be host:port" in fault, fault
        fault, = faults(http_token_file=None)
        assert "needs http-token-file" in fault, fault
        secret = "s3cret-s3cret"
        for text, expected in (
                ("", ["holds no token"]), ("# only\n;comments\n \n", ["holds no token"]),
                (f"good\n{secret} root\n", ["line 2: behind the token"]),
                (f"{secret} calls admin\n", ["line 1: behind the token"]),
                (f"a\n\n{secret}\n{secret} admin\n", ["line 4: the same token as in line 3"]),
                (f"{secret}\0 calls\n{secret}\x7f\n", ["line 1: a token", "line 2: a token"]),
                (f"{'t' * 257}\n", ["line 1: the token is longer"]),
                ("\n".join(f"token-{n}" for n in range(65)), ["line 65: one token too many"])):
            lab.write_tokens(text)
            found = faults()
            assert len(found) == len(expected), (text, found)
            for fault, words in zip(found, expected):
                assert f'http-token-file = "{lab.place / "tokens"}": {words}' in fault, fault
                assert secret not in fault, fault
        for mode in (0o644, 0o604, 0o660, 0o602):
            lab.write_tokens("token", mode)
            fault, = faults()
            assert f"has mode {mode:04o}" in fault and "chmod 0600" in fault, fault
        lab.write_tokens("token", 0o640)
        assert faults() == []
        lab.write_tokens("x" * 70000)
        fault, = faults()
        assert "too long" in fault, fault
        fault, = faults(http_token_file=lab.place.path)
        assert "has mode" in fault or "no regular file" in fault, fault
        fault, = faults(http_token_file="/nowhere/tokens")
        assert "No such file" in fault, fault


if __name__ == "__main__":
    harness.main(globals())
