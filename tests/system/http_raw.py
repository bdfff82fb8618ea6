# SPDX-License-Identifier: MIT
"""A strict HTTP/1.1 client on a raw socket: sends what it is told, byte by byte if need be, and
checks the form of every answer. And a Lab whose daemon takes events over HTTP."""

import dataclasses
import json
import os
import re
import socket
import time

import harness

CALLS, ADMIN = "calls-0123456789abcdef", "admin-0123456789abcdef"
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]


def request(body=b"", token=ADMIN, method="POST", path="/v1/events", length=None, **headers):
    """The bytes of a request. Header names are given with _ for -; a value None leaves one out."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "localhost", "Authorization": token and f"Bearer {token}",
              "Content-Length": len(body) if length is None else length}
    fields |= {key.replace("_", "-"): value for key, value in headers.items()}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(
        f"{key}: {value}\r\n" for key, value in fields.items() if value is not None)
    return head.encode() + b"\r\n" + body


class Http:
    """A connection."""

    def __init__(self, address, deadline_s=harness.DEADLINE_S):
        host, _, port = address.rpartition(":")
        self.deadline_s, self.data = deadline_s, b""
        self.socket = socket.create_connection((host.strip("[]"), int(port)), deadline_s)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def ask(self, body=b"", **headers):
        return self.send(request(body, **headers)).answer()

    def _more(self, end):
        self.socket.settimeout(max(end - time.monotonic(), 0.001))
        try:
            more = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"no answer in time, only {self.data!r}") from None
        self.data += more
        return bool(more)

    def answer(self, deadline_s=None, with_body=True):
        """The next answer; None when the daemon has closed instead."""
        end = time.monotonic() + (deadline_s or self.deadline_s)
        while b"\r\n\r\n" not in self.data:
            if not self._more(end):
                assert not self.data, self.data
                return None
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        first, *fields = head.decode("ascii").split("\r\n")
        version, status, phrase = first.split(" ", 2)
        assert version == "HTTP/1.1" and phrase, first
        headers = {}
        for field in fields:
            name, value = re.fullmatch(r"([A-Za-z-]+): (\S.*)", field).groups()
            assert name.lower() not in headers, field
            headers[name.lower()] = value
        if status == "100":
            assert not headers, headers
            return Answer(100, {}, b"")
        assert DATE.fullmatch(headers["date"]), headers
        length = int(headers["content-length"]) if with_body else 0
        while len(self.data) < length:
            assert self._more(end), "closed within the body"
        body, self.data = self.data[:length], self.data[length:]
        return Answer(int(status), headers, body)

    def at_end(self):
        """True when the daemon closes and has said nothing more."""
        end = time.monotonic() + self.deadline_s
        try:
            while self._more(end):
                pass
        except ConnectionResetError:
            pass
        return self.data == b""

    def close(self):
        self.socket.close()


class HttpLab(harness.Lab):
    """A Lab with `[events] http`; `address` is where."""

    def __init__(self, tokens=f"{CALLS} calls\n{ADMIN} admin\n", events=None, **options):
        self.tokens, self.more_events = tokens, events or {}
        self.address = f"127.0.0.1:{harness.free_port()}"
        self.connections = []
        super().__init__(**options)

    def write_tokens(self, text, mode=0o600):
        path = self.place / "tokens"
        new = self.place / "tokens.new"
        new.write_text(text)
        os.chmod(new, mode)
        new.rename(path)
        return path

    def start_daemon(self, config=None, **options):
        config = dict(config or self.config or {})
        config["events"] = {"http": self.address, "http-token-file": self.write_tokens(self.tokens),
                            **self.more_events, **config.get("events", {})}
        # Memory is measured here: what was freed must not lie in quarantine.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        return super().start_daemon(config, environment={"ASAN_OPTIONS": sanitizer}, **options)

    def http(self, address=None):
        """A new connection, closed at the end."""
        self.connections.append(Http(address or self.address))
        return self.connections[-1]

    def ask(self, body=b"", **headers):
        """Over a connection of its own."""
        connection = Http(self.address)
        answer = connection.ask(body, **headers)
        connection.close()
        return answer

    def _clean(self):
        for connection in self.connections:
            connection.close()
        super()._clean()
