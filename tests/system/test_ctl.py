#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pbxpushctl against a daemon that this file plays, well or badly: exit codes, streams, screens."""
import contextlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

CTL = os.path.join(os.environ.get("PBXPUSH_BUILD", "build"), "pbxpushctl")
WAIT_S = 30  # how long anything may take on a busy machine; nothing sleeps that long


class Fake:
    """A listening unix socket; serve(connection) runs on a thread for each client."""

    def __init__(self, path, serve, backlog=64):
        self.serve = serve
        self.received = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(backlog)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            connection = self.socket.accept()[0]
            with connection:
                if not self.serve:
                    return
                try:
                    self.serve(self, connection)
                except (BrokenPipeError, ConnectionResetError):
                    pass

    def stop(self, path):
        self.serve = None
        with socket.socket(socket.AF_UNIX) as wake:
            wake.connect(path)
        self.thread.join()
        self.socket.close()


def answering(*replies):
    """Reads a line for each reply and answers it."""

    def serve(fake, connection):
        lines = connection.makefile("rb")
        for reply in replies:
            fake.received.append(lines.readline())
            if not isinstance(reply, bytes):
                reply = json.dumps(reply).encode() + b"\n"
            connection.sendall(reply)

    return serve


def http(status, body, headers=None):
    def serve(fake, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        fake.received.append(head)
        text = body.encode()
        fields = f"Content-Length: {len(text)}\r\n" if headers is None else headers
        connection.sendall(f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode() + text)

    return serve


def closing(_fake, _connection):
    pass


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pbxpush-ctl-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.events = os.path.join(self.folder, "events.sock")
        self.status = os.path.join(self.folder, "status.sock")

    def fake(self, path, serve):
        fake = Fake(path, serve)
        self.addCleanup(fake.stop, path)
        return fake

    def ctl(self, *words, stdin=b""):
        command = [CTL, "--events", self.events, "--status", self.status, *words]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=WAIT_S,
                              check=False)

    def check(self, done, code, out=None, err=None):
        self.assertEqual(done.returncode, code, done)
        if out is not None:
            self.assertIn(out, done.stdout.decode())
        if err is None:
            self.assertEqual(done.stderr, b"")
        else:
            self.assertIn(err, done.stderr.decode())
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith(b"pbxpushctl: "))


class Events(Case):
    def test_exit_codes(self):
        call = ("call", "--to", "1001", "--call", "c1")
        base = {"ok": True, "event": "call", "rule": None, "devices": []}
        for words, reply, code, out in [
            (call, {**base, "verdict": "push"}, 0, "push: "),
            (call, {**base, "verdict": "registered"}, 0, "registered: "),
            (call, {**base, "verdict": "reject", "rule": "dnd"}, 1, "reject: do-not-disturb"),
            (call, {**base, "verdict": "unreachable", "rule": "no-device"}, 3, "unreachable: "),
            (call, {**base, "verdict": "ended", "rule": "stale"}, 3, "ended: "),
            (("ping",), {"ok": True, "event": "pong"}, 0, "pong\n"),
            (("end", "c1"), {"ok": True, "event": "end", "known": False}, 0, "known  no"),
        ]:
            with self.subTest(reply=reply):
                fake = Fake(self.events, answering(reply))
                done = self.ctl(*words)
                fake.stop(self.events)
                os.unlink(self.events)
                self.check(done, code, out)
                self.assertEqual(len(fake.received), 1)
                self.assertEqual(json.loads(fake.received[0])["event"], words[0])

    def test_refused(self):
        self.fake(self.events, answering({"ok": False, "error": "bad-field", "field": "to",
                                          "message": "'to' must be\na user"}))
        done = self.ctl("call", "--to", " ", "--call", "c")
        self.check(done, 65, err="bad-field: to: 'to' must be?a user")
        self.assertEqual(done.stdout, b"")

    def test_json_is_the_reply_as_it_came(self):
        reply = b'{"ok":false, "error":"overloaded","field":null,"message":"x"}'
        self.fake(self.events, answering(reply + b"\r\n"))
        done = self.ctl("show", "1001", "--json")
        self.check(done, 65, err="overloaded: x")
        self.assertEqual(done.stdout, reply + b"\r\n")

    def test_a_hostile_name_arrives_as_one_value(self):
        fake = self.fake(self.events, answering({"ok": True, "event": "call", "verdict": "push"}))
        name = b'"}\n{"event":"ping"}'
        done = self.ctl("call", "--to", "1", "--call", "c", "--from-name", name + b"\xff")
        self.check(done, 0, "push")
        self.assertEqual(json.loads(fake.received[0])["from"]["name"], name.decode() + "\ufffd")

    def test_full_daemon_answers_before_it_closes(self):
        def serve(_fake, connection):
            connection.sendall(b'{"ok":false,"error":"overloaded","field":null,"message":"full"}\n')

        self.fake(self.events, serve)
        self.check(self.ctl("ping"), 65, err="overloaded: full")


class Bulk(Case):
    """Export and import against a daemon that misbehaves; test_bulk.py has a real one."""

    PAGE = {"ok": True, "event": "export", "items": [{"event": "dnd", "user": "1", "on": True}]}
    LINE = b'{"event":"dnd","user":"1","on":true}\n'

    def test_export_ends_early(self):
        more = {**self.PAGE, "cursor": "u1-0"}
        item = b'{"event":"dnd","user":"1","on":true}\n'
        for replies, code, err in [
            ((more, {**self.PAGE, "cursor": None}), 0, None),
            ((more, b""), 75, "closed before the answer came"),
            ((more, {"ok": False, "error": "bad-field", "field": "cursor"}), 65,
             "bad-field: cursor"),
            ((more, {"ok": True}), 75, "is not pbxpushd"),
            ((more, {**self.PAGE, "cursor": 7}), 75, "is not pbxpushd"),
            ((more, b"nonsense\n"), 75, "is not pbxpushd"),
        ]:
            with self.subTest(err=err):
                fake = Fake(self.events, answering(*replies))
                done = self.ctl("export")
                fake.stop(self.events)
                os.unlink(self.events)
                self.check(done, code, err=err)
                self.assertEqual(done.stdout, item * (2 if code == 0 else 1))
                asked = [json.loads(line)["cursor"] for line in fake.received if line]
                self.assertEqual(asked, [None, "u1-0"][:len(replies)])

    def test_export_to_a_full_disk(self):
        self.fake(self.events, answering({**self.PAGE, "cursor": None}))
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CTL, "--events", self.events, "export"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=WAIT_S, check=False)
        self.assertEqual(done.returncode, 75, done)
        self.assertIn(b"stdout: No space left on device", done.stderr)

    def test_import_ends_early(self):
        page, good = {**self.PAGE, "cursor": None}, {"ok": True, "id": 1}
        refused = {"ok": False, "id": 2, "error": "storage-failed", "field": None, "message": "m"}
        for replies, code, out, err in [
            ((page, {"ok": True, "id": 2}, good), 0, "2 of 2", None),
            ((page, good), 75, "1 of 2", "closed before the answer came"),
            ((page,), 75, "0 of 2", "closed before the answer came"),
            ((page, b"nonsense\n"), 75, "0 of 2", "is not pbxpushd"),
            (({"ok": False, "error": "not-permitted"},), 65, "0 of 2", "not-permitted"),
            ((page, refused, good), 65, "1 of 2", "line 2: storage-failed: m"),
            ((page, good, {"ok": False, "error": "too-long"}), 65, "1 of 2", "a line: too-long"),
            ((page, good, {"ok": True, "id": 2, "stored": False, "reason": "unknown-app"}), 65,
             "1 of 2", "line 2: not stored: unknown-app"),
        ]:
            with self.subTest(replies=replies):
                fake = Fake(self.events, answering(*replies))
                done = self.ctl("import", stdin=self.LINE * 2)
                fake.stop(self.events)
                os.unlink(self.events)
                self.assertEqual(done.returncode, code, done)
                self.assertEqual(done.stdout.decode(), f"{out} events imported\n")
                self.assertIn(err or "", done.stderr.decode())
                self.assertEqual(bool(done.stderr), bool(err), done)

    def test_import_file(self):
        path = os.path.join(self.folder, "none.json")
        self.check(self.ctl("import", path), 2, err=f"{path}: No such file or directory")
        self.check(self.ctl("import", self.folder), 2, err=f"{self.folder}: Is a directory")
        self.check(self.ctl("import", stdin=self.LINE), 75, err="is pbxpushd running?")

    def test_window(self):
        """Never more than 1,000 events in flight, and no reply is waited for in vain."""
        count = 2500

        def serve(fake, connection):
            connection.recv(4096)
            connection.sendall(json.dumps({**self.PAGE, "cursor": None}).encode() + b"\n")
            for wanted in (1000, 1000, 500):
                data = b""
                while data.count(b"\n") < wanted:
                    data += connection.recv(65536)
                with contextlib.suppress(BlockingIOError):
                    data += connection.recv(65536, socket.MSG_DONTWAIT)
                numbers = [json.loads(line)["id"] for line in data.splitlines()]
                fake.received.append(len(numbers))
                connection.sendall(
                    b"".join(b'{"ok":true,"id":%d}\n' % n for n in reversed(numbers)))

        fake = self.fake(self.events, serve)
        self.check(self.ctl("import", stdin=self.LINE * count), 0, f"{count} of {count} events")
        self.assertEqual(fake.received, [1000, 1000, 500])


class Unavailable(Case):
    CALL = ("call", "--to", "1", "--call", "c")

    def test_absent(self):
        self.check(self.ctl(*self.CALL), 75, err="is pbxpushd running?")
        self.check(self.ctl("status"), 75, err="is pbxpushd running?")
        self.check(self.ctl("send", stdin=b'{"event":"ping"}\n'), 75, err="is pbxpushd running?")

    def test_dead_socket(self):
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(self.events)
        self.check(self.ctl(*self.CALL), 75, err="Connection refused")

    def test_path_too_long(self):
        self.check(self.ctl("ping", "--events", "/" + "x" * 200), 75, err="name too long")

    def test_misbehaving(self):
        for serve, err in [
            (closing, "closed before the answer came"),
            (answering(b"220 mail.example.com ESMTP\r\n"), "is not pbxpushd"),
            (answering(b"[]\n"), "is not pbxpushd"),
            (answering(b'{"ok":true'), "closed before the answer came"),
        ]:
            with self.subTest(err=err):
                fake = Fake(self.events, serve)
                done = self.ctl(*self.CALL)
                fake.stop(self.events)
                os.unlink(self.events)
                self.assertEqual(done.returncode, 75, done)
                self.assertEqual(done.stdout, b"")
                self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)

    def test_silent_daemon_times_out(self):
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(self.events)
            hung.listen(4)
            self.check(self.ctl(*self.CALL, "--timeout", "0.1"), 75, err="no answer in time")
            done = self.ctl("send", "--timeout", "0.1", stdin=b"{}\n")
            self.check(done, 75, err="no answer in time")

    def test_full_backlog_fails_at_once(self):
        with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as waiting:
            hung.bind(self.events)
            hung.listen(0)
            waiting.connect(self.events)
            self.check(self.ctl(*self.CALL, "--timeout", "600"), 75, err="pbxpushd hangs")

    def test_usage(self):
        self.check(self.ctl("call", "--to", "1"), 2, err="call: --call is missing")
        self.check(self.ctl("voicemail", "--to", "1"), 2, err="--new is missing")
        self.check(self.ctl("help", "voicemail"), 0, "--duration-s N")
        self.check(self.ctl("help"), 0, "call-state")
        schedule = self.ctl("help", "dnd-schedule")
        self.check(schedule, 0, "none clears the schedule (may be repeated)")
        self.check(self.ctl("help", "call"), 0, "--from-number TEXT")
        self.check(self.ctl("explain", "--help"), 0, "usage: pbxpushctl explain CALL")
        self.check(self.ctl("--version"), 0, "pbxpushctl ")


class Send(Case):
    def test_replies_overtake_and_the_last_line_lacks_its_end(self):
        def serve(fake, connection):
            lines = connection.makefile("rb").read().splitlines()  # until the half-close
            fake.received.extend(lines)
            for line in reversed([line for line in lines if line]):
                reply = {"id": json.loads(line)["id"], "ok": True}
                connection.sendall(json.dumps(reply).encode() + b"\n")

        fake = self.fake(self.events, serve)
        done = self.ctl("send", stdin=b'{"id":1}\n\r\n\n{"id":2}\r\n{"id":3}')
        self.check(done, 0)
        self.assertEqual([json.loads(line)["id"] for line in done.stdout.splitlines()], [3, 2, 1])
        self.assertEqual(len(fake.received), 5)

    def test_refusals(self):
        self.fake(self.events, answering({"ok": True}, {"ok": False}))
        done = self.ctl("send", stdin=b"{}\n{\n")
        self.check(done, 65, err="1 of 2 events refused")
        self.assertEqual(done.stdout.count(b"\n"), 2)

    def test_daemon_leaves(self):
        self.fake(self.events, answering({"ok": True}))
        done = self.ctl("send", stdin=b"{}\n{}\n")
        self.check(done, 75, out='{"ok": true}', err="closed before the answer came")

    def test_nothing_to_send(self):
        self.fake(self.events, lambda _fake, connection: connection.recv(1))
        self.check(self.ctl("send", stdin=b"\n\n"), 0)

    def test_stdin_that_cannot_be_read(self):
        self.fake(self.events, lambda _fake, connection: connection.recv(1))
        folder = os.open(self.folder, os.O_RDONLY)
        done = subprocess.run([CTL, "--events", self.events, "send"], stdin=folder, timeout=WAIT_S,
                              capture_output=True, check=False)
        os.close(folder)
        self.check(done, 75, err="stdin: Is a directory")

    def test_many_lines_that_are_answered_at_once(self):
        """Neither side may wait for the other while its own buffer is full."""

        def serve(_fake, connection):
            for line in connection.makefile("rb"):
                connection.sendall(b'{"ok":true,"echo":' + line.rstrip() + b"}\n")

        self.fake(self.events, serve)
        lines = b"".join(b'"%0200d"\n' % i for i in range(20000))
        done = self.ctl("send", stdin=lines)
        self.check(done, 0)
        self.assertEqual(done.stdout.count(b"\n"), 20000)


class Status(Case):
    def get(self, serve, *words):
        fake = Fake(self.status, serve)
        done = self.ctl(*words)
        fake.stop(self.status)
        os.unlink(self.status)
        return done, fake.received[0].split(b"\r\n")[0] if fake.received else b""

    def test_questions(self):
        version, call = '{"version":"1"}', '{"call":"a/b@c","timeline":[{"what":"event"}]}'
        strange = "is not pbxpushd"
        for words, path, serve, code, out, err in [
            ("status", "/status", http(200, version), 0, "version  1\n", None),
            ("status --json", "/status", http(200, version), 0, version + "\n", None),
            ("status", "/status", http(200, version, ""), 0, "version  1\n", None),
            ("top", "/status", http(200, '{"uptime_s":61}'), 0, "uptime  1 min 01 s\n", None),
            ("calls", "/calls", http(200, '{"calls":[{"call":"c1"}]}'), 0, "call\nc1\n", None),
            ("metrics", "/metrics", http(200, "a_b 1\n"), 0, "a_b 1\n", None),
            ("explain a/b@c", "/calls/a%2Fb%40c", http(200, call), 0, "announced the call\n", None),
            ("explain x", "/calls/x", http(404, ""), 65, "", "x: not among the calls"),
            ("health", "/health", http(200, '{"ok":true}'), 0, "healthy\n", None),
            ("health", "/health", http(503, '{"reason":"r"}'), 1, "not healthy\nreason  r\n", None),
            ("status", "/status", http(500, ""), 65, "", "status 500"),
            ("health", "/health", http(404, ""), 65, "", "status 404"),
            ("status", "/status", http(200, "<html>"), 75, "", strange),
            ("status", "/status", http(200, "{}", "Content-Length: 9\r\n"), 75, "", strange),
        ]:
            with self.subTest(words=words, out=out, err=err):
                done, line = self.get(serve, *words.split())
                self.check(done, code, out, err)
                self.assertEqual(line.decode(), f"GET {path} HTTP/1.0")

    def test_no_http(self):
        done, _line = self.get(answering(b'{"ok":false}\n'), "status")
        self.check(done, 75, err="is not pbxpushd")


class Terminal(Case):
    """What a person sees: colour on a terminal only, `top` until q."""

    def on_terminal(self, words, end=None, env=None):
        """Exit status and what was seen; end(process, terminal) runs when `top` has drawn."""
        master, slave = pty.openpty()
        command = [CTL, "--events", self.events, "--status", self.status, *words]
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **(env or {})}
        with subprocess.Popen(command, stdin=slave, stdout=slave, env=environment) as process:
            os.close(slave)
            seen = b""
            while select.select([master], [], [], WAIT_S)[0]:
                try:
                    seen += os.read(master, 4096)
                except OSError:  # EIO: the other side is closed
                    break
                if end and b"q ends" in seen:
                    end(process, master)
                    end = None
            else:
                process.kill()
            code = process.wait(WAIT_S)
        os.close(master)
        return code, seen

    def test_colour(self):
        reply = {"ok": True, "event": "call", "verdict": "reject", "rule": "dnd"}
        self.fake(self.events, answering(reply))
        words = ("call", "--to", "1", "--call", "c")
        for env, first in [
            ({}, b"\033[33mreject\033[0m"),
            ({"NO_COLOR": "1"}, b"reject"),
            ({"TERM": "dumb"}, b"reject"),
        ]:
            expected = first + b": do-not-disturb is on (dnd)\r\n"
            self.assertEqual(self.on_terminal(words, env=env), (1, expected))

    def test_top(self):
        self.fake(self.status, http(200, '{"uptime_s":61}'))
        for end in (lambda _process, master: os.write(master, b"q"),
                    lambda process, _master: process.send_signal(signal.SIGINT)):
            code, seen = self.on_terminal(("top",), end)
            self.assertEqual(code, 0)
            self.assertIn(b"uptime  1 min 01 s\r\n", seen)


if __name__ == "__main__":
    unittest.main()
