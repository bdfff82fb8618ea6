#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kamailio's evapi: a Kamailio of our own listens, the daemon connects to it."""

import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import DEADLINE_S, TOKEN, Lab, wait_until  # noqa: E402


class Kamailio:
    """What evapi is on the wire: a listener, netstrings in both directions."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.listener = socket.create_server((host, port))
        self.listener.settimeout(DEADLINE_S)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.socket, self.data, self.replies = None, b"", {}

    def accept(self):
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(DEADLINE_S)
        self.data = b""
        return self

    def send(self, **event):
        text = json.dumps(event).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))

    def read(self):
        """The next reply; None when the daemon has closed."""
        while True:
            head, colon, rest = self.data.lstrip().partition(b":")
            if colon and len(rest) > int(head):
                text, self.data = rest[:int(head)], rest[int(head) + 1:]
                assert rest[int(head):int(head) + 1] == b",", rest
                return json.loads(text)
            more = self.socket.recv(65536)
            if not more:
                assert not self.data.strip(), self.data
                return None
            self.data += more

    def ask(self, **event):
        self.send(**event)
        return self.read()

    def close(self):
        for sock in (self.socket, self.listener):
            if sock:
                sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def config(kamailio, **events):
    return {"kamailio": {"evapi": kamailio.address}, "events": events}


def test_events_and_replies():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        kamailio.accept()
        reply = kamailio.ask(id="1:2", event="register", user="1001", app=lab.app.bundle, token=TOKEN)
        assert reply["id"] == "1:2" and reply["stored"], reply
        reply = kamailio.ask(id=7, event="call", call="a@b", to="1001")
        assert reply["id"] == 7 and reply["verdict"] == "push", reply
        assert [request["token"] for request in lab.simulator.requests()] == [TOKEN]
        assert lab.daemon.status()["evapi"] == {
            "address": kamailio.address, "connected": True, "owed": 0, "last_error": None}
        assert lab.daemon.metric("pbxpush_evapi_connected") == 1


if __name__ == "__main__":
    harness.main(globals())
