#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kamailio's evapi: a Kamailio of our own listens, the daemon connects to it (`make e2e` has the
real one)."""

import json
import pathlib
import re
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import DEADLINE_S, START_S, TOKEN, Lab, Skip, free_port, token, wait_until  # noqa: E402

CALLS = 500


def netstring(text):
    return b"%d:%s," % (len(text), text)


class Connection:
    """Netstrings in both directions."""

    def __init__(self, sock):
        self.socket, self.data, self.frames = sock, b"", []
        self.socket.settimeout(DEADLINE_S)

    def send(self, **event):
        self.socket.sendall(netstring(json.dumps(event).encode()))

    def frame(self):
        """The next netstring's text as it is; None when the daemon has closed its half."""
        while True:
            length, colon, rest = self.data.partition(b":")
            if colon and len(rest) > int(length):
                size = int(length)
                assert rest[size:size + 1] == b",", rest
                self.data = rest[size + 1:]
                return rest[:size]
            more = self.socket.recv(65536)
            if not more:
                assert not self.data, self.data
                return None
            self.data += more

    def read(self):
        frame = self.frame()
        return frame if frame is None else json.loads(frame)

    def ask(self, **event):
        self.send(**event)
        return self.read()

    def reset(self):
        """Ends it as a process does that is killed with something unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()


class Kamailio:
    """Listens where evapi does."""

    def __init__(self, port=0, host="127.0.0.1", name=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.listener.settimeout(DEADLINE_S)
        self.port = self.listener.getsockname()[1]
        self.address = f"{name or host}:{self.port}"
        self.connections = []

    def accept(self):
        self.connections.append(Connection(self.listener.accept()[0]))
        return self.connections[-1]

    def close(self):
        for connection in self.connections:
            connection.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def config(kamailio, **sections):
    return {"kamailio": {"evapi": kamailio if kamailio is None else kamailio.address}} | sections


def evapi(lab):
    return lab.daemon.status()["evapi"]


def said(lab, text):
    return len(re.findall(rf" evapi: .*{text}", lab.daemon.stderr()))


def reload(lab, changes, text=": reloaded"):
    before = len(lab.daemon.stderr())
    lab.daemon.configure(changes)
    lab.daemon.reload()
    wait_until(lambda: text in lab.daemon.stderr()[before:], what=text)


def test_events_and_replies():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        reply = peer.ask(id="1:2", event="register", user="1001", app=lab.app.bundle, token=TOKEN)
        assert reply["id"] == "1:2" and reply["stored"], reply
        reply = peer.ask(id=7, event="call", call="a@b", to="1001")
        assert reply["id"] == 7 and reply["verdict"] == "push", reply
        assert [request["token"] for request in lab.simulator.requests()] == [TOKEN]
        reply = peer.ask(event="nonsense")
        assert reply["error"] == "unknown-event", reply
        assert evapi(lab) == {
            "address": kamailio.address, "connected": True, "owed": 0, "last_error": None}
        assert lab.daemon.metric("pbxpush_evapi_connected") == 1
        # The user of the event socket sees the same call.
        assert lab.events.ask(event="call-state", call="a@b")["state"] == "ringing"


def test_it_is_off_where_it_is_not_configured():
    with Lab() as lab:
        assert evapi(lab) is None
        assert not re.search("^pbxpush_evapi_connected", lab.daemon.get("/metrics")[1], re.M)
        assert not said(lab, "")


def test_addresses():
    for host, name in (("127.0.0.1", "localhost"), ("::1", "[::1]")):
        with Kamailio(host=host, name=name) as kamailio, Lab(config=config(kamailio)) as lab:
            assert kamailio.accept().ask(id=1, event="ping")["event"] == "pong"
            assert said(lab, "connecting -> connected") == 1 and not said(lab, "plain text")


def test_a_name_with_several_addresses():
    with Kamailio() as kamailio, Lab(start=False) as lab:
        names = {"kamailio.test": ["127.0.0.9", "127.0.0.1"]}
        address = f"kamailio.test:{kamailio.port}"
        lab.start_daemon({"kamailio": {"evapi": address}},
                         wrapper=harness.Hosts(lab.place, names).wrapper)
        assert kamailio.accept().ask(id=1, event="ping")["ok"]
        assert said(lab, "waiting") == 0


def test_another_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as why:
            raise Skip(f"no address but loopback: {why}") from None
        host = probe.getsockname()[0]
    with Kamailio(host=host) as kamailio, Lab(config=config(kamailio)) as lab:
        assert kamailio.accept().ask(id=1, event="ping")["ok"]
        assert said(lab, "is another machine: calls travel in plain text") == 1


def test_netstrings_in_pieces():
    ping = netstring(b'{"event":"ping","id":"x"}')
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        for cut in range(1, len(ping)):
            peer.socket.sendall(ping[:cut])
            if cut % 7 == 0:  # now and then it surely arrives in two pieces
                lab.daemon.status()
            peer.socket.sendall(ping[cut:])
            assert peer.read()["id"] == "x"
        peer.socket.sendall(ping * 1000)
        for _ in range(1000):
            assert peer.read()["id"] == "x"
        peer.socket.sendall(b"0:," * 10 + ping)
        assert peer.read()["id"] == "x"
        # A reply is a netstring of a size that Kamailio cannot cut in a bad place.
        peer.socket.sendall(ping)
        frame = peer.frame()
        assert len(netstring(frame)) % 31 == 0 and frame.rstrip() != frame


def test_bounds():
    events = {"events": {"max-line": "2k"}}
    with Kamailio() as kamailio, Lab(config=config(kamailio, **events)) as lab:
        peer = kamailio.accept()
        longest = json.dumps({"event": "ping", "id": 1, "x": ""}).encode()
        longest = longest[:-2] + b"x" * (2048 - len(longest)) + longest[-2:]
        peer.socket.sendall(netstring(longest))
        assert peer.read()["event"] == "pong"
        peer.socket.sendall(netstring(longest + b" "))
        assert peer.read()["error"] == "too-long"
        peer.socket.sendall(b"10000000:")
        assert peer.read()["error"] == "too-long"  # said before it has come
        for _ in range(100):
            peer.socket.sendall(b"x" * 100000)
        peer.socket.sendall(b",")
        assert peer.ask(id=2, event="ping") == {"id": 2, "ok": True, "event": "pong"}
        reload(lab, {"events": {"max-line": "4k"}})
        peer.socket.sendall(netstring(longest + b" "))
        assert peer.read()["event"] == "pong"
        assert said(lab, "connected") == 1


def test_a_reply_that_evapi_could_not_take():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        count = 1200
        for number in range(count):
            peer.send(event="block", user="1001", number=f"+4930{number:06}")
        for _ in range(count):
            assert peer.read()["ok"]
        reply = peer.ask(id="big", event="show", user="1001")
        assert reply["id"] == "big" and not reply["ok"] and reply["error"] == "too-long"
        assert len(lab.events.ask(event="show", user="1001")["blocks"]) == count
        assert peer.ask(id=1, event="ping")["ok"]


def test_many_in_flight():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        for number in range(CALLS):
            peer.send(id=f"r{number}", event="register", user=f"u{number}", token=token(number),
                      app=lab.app.bundle)
        assert all(peer.read()["stored"] for _ in range(CALLS))
        lab.simulator.control(delay_ms=50)
        for number in range(CALLS):
            peer.send(id=f"c{number}", event="call", call=f"call-{number}", to=f"u{number}")
        replies = {reply["id"]: reply for reply in (peer.read() for _ in range(CALLS))}
        for number in range(CALLS):
            reply = replies[f"c{number}"]
            assert reply["call"] == f"call-{number}" and reply["verdict"] == "push", reply
        assert evapi(lab)["owed"] == 0


def test_role():
    with Kamailio() as kamailio, \
            Lab(config=config(kamailio, events={"admin-users": "0"})) as lab:
        peer = kamailio.accept()
        assert peer.ask(event="dnd", user="1001", on=True)["error"] == "not-permitted"
        assert peer.ask(event="call", call="c", to="1001")["rule"] == "no-device"
        reload(lab, {"events": {"admin-users": ""}})
        assert peer.ask(event="dnd", user="1001", on=True)["ok"]
        reload(lab, {"events": {"admin-users": "0"}})
        assert peer.ask(event="dnd", user="1001", on=True)["error"] == "not-permitted"
        assert said(lab, "connected") == 1


def test_kamailio_comes_later():
    with Lab(config={"kamailio": {"evapi": f"127.0.0.1:{free_port()}"}}) as lab:
        address = lab.daemon.sections["kamailio"]["evapi"]
        wait_until(lambda: evapi(lab)["last_error"])
        assert evapi(lab) == {"address": address, "connected": False, "owed": 0,
                              "last_error": "Connection refused"}
        assert lab.daemon.metric("pbxpush_evapi_connected") == 0
        assert re.search("^pbxpush_evapi_connected 0$", lab.daemon.get("/metrics")[1], re.M)
        assert lab.daemon.get("/health")[0] == 200
        assert lab.events.ask(event="ping")["ok"]
        with Kamailio(int(address.rpartition(":")[2])) as kamailio:
            assert kamailio.accept().ask(id=1, event="ping")["ok"]
            assert evapi(lab)["connected"] and evapi(lab)["last_error"] is None
        # A line for each change, however often it tried.
        assert said(lab, "connecting -> waiting: Connection refused") == 1
        assert said(lab, "connecting -> connected") == 1


def test_a_name_that_is_none():
    with Lab(config={"kamailio": {"evapi": "no-such-host.invalid:8448"}}) as lab:
        wait_until(lambda: evapi(lab)["last_error"])
        assert lab.events.ask(event="ping")["ok"]


def test_connection_is_lost():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        for number, end in enumerate((Connection.close, Connection.reset, Connection.close)):
            peer = kamailio.accept()
            assert peer.ask(id=1, event="ping")["ok"]
            end(peer)
            wait_until(lambda: said(lab, "connected -> waiting") == number + 1)
        assert kamailio.accept().ask(id=1, event="ping")["ok"]
        assert said(lab, "connected -> waiting: closed by Kamailio") == 2
        assert said(lab, "connected -> waiting: Connection reset by peer") == 1


def test_replies_belong_to_their_connection():
    """The answer to an event of a connection that has gone must not pass for another's."""
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        lab.register()
        first = kamailio.accept()
        first.send(id="same", event="call", call="c1", to="1001", wait="register")
        wait_until(lab.simulator.requests)
        first.close()
        second = kamailio.accept()
        lab.register(contact="sip:1001@192.0.2.7")  # releases the call
        assert second.ask(id="same", event="ping")["event"] == "pong"
        assert evapi(lab)["owed"] == 0
        # and what the first had begun goes on
        assert second.ask(id=2, event="call", call="c1", to="1001")["duplicate"]


def test_tries_are_spaced():
    """Somebody who closes at once is asked less and less often."""
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        times = []
        for _ in range(5):
            kamailio.accept().close()
            times.append(time.monotonic())
        # At least half of 100, 200, 400, 800 ms; a little less, as accept() itself took time.
        assert times[-1] - times[0] > 0.6, times
        assert said(lab, "connected -> waiting: closed by Kamailio") >= 1


def test_garbage():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        for _ in range(3):
            peer = kamailio.accept()
            peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert peer.frame() is None
        peer = kamailio.accept()
        # Whatever went before in the same connection counts.
        peer.socket.sendall(netstring(b'{"event":"ping"}') * 3 + b'{"event":"ping"}\n')
        replies = 0
        while peer.read():
            replies += 1
        assert replies in (0, 3)
        peer = kamailio.accept()
        assert peer.ask(id=1, event="ping")["ok"]
        assert said(lab, "this is no netstring") == 1, lab.daemon.stderr()
        peer.close()
        kamailio.accept()
        wait_until(lambda: said(lab, "closed by Kamailio") == 1)  # it is trusted again


def test_a_kamailio_that_does_not_read():
    """The daemon goes on reading, so that no SIP worker stops, until it gives the connection up."""
    event = netstring(json.dumps({"event": "ping", "id": "x" * 15000}).encode())
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        sent = 0
        try:
            while sent < 200 << 20:
                sent += peer.socket.send(event)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert 4 << 20 < sent < 200 << 20, sent
        second = kamailio.accept()
        assert second.ask(id=1, event="ping")["ok"]
        assert said(lab, "connected -> waiting: Kamailio does not read its replies") == 1
        assert lab.events.ask(event="ping")["ok"]


def test_a_kamailio_that_reads_late():
    """What piles up in Kamailio's and the kernel's buffers is whole when it is read."""
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        count = 3000
        for number in range(count):
            peer.send(id=f"{number}:" + "x" * (number % 1000), event="ping")
        wait_until(lambda: lab.daemon.metric("pbxpush_events_total", event="ping") == count)
        for number in range(count):
            assert peer.read()["id"].startswith(f"{number}:")


def test_another_address():
    with Kamailio() as one, Kamailio() as two, Lab(config=config(one)) as lab:
        first = one.accept()
        assert first.ask(id=1, event="ping")["ok"]
        reload(lab, config(one, calls={"ring-timeout": "20s"}))  # nothing for evapi
        assert first.ask(id=2, event="ping")["ok"]
        reload(lab, config(two, nonsense={"a": "b"}), "nothing has changed")
        assert first.ask(id=3, event="ping")["ok"]
        del lab.daemon.sections["nonsense"]
        reload(lab, config(two))
        assert first.frame() is None
        second = two.accept()
        assert second.ask(id=4, event="ping")["ok"]
        assert evapi(lab)["address"] == two.address
        reload(lab, config(None))
        assert second.frame() is None
        assert evapi(lab) is None
        reload(lab, config(one))
        assert one.accept().ask(id=5, event="ping")["ok"]


def test_another_address_while_it_tries():
    with Kamailio() as kamailio, \
            Lab(config={"kamailio": {"evapi": f"127.0.0.1:{free_port()}"}}) as lab:
        wait_until(lambda: evapi(lab)["last_error"])
        reload(lab, config(kamailio))
        assert kamailio.accept().ask(id=1, event="ping")["ok"]


def test_drain():
    """What is owed is answered, a call that still comes goes on without us, then it is closed."""
    with Kamailio() as kamailio, \
            Lab(config=config(kamailio, daemon={"drain-timeout": "1m"})) as lab:
        lab.register()
        lab.simulator.control(delay_ms=500)
        peer = kamailio.accept()
        peer.send(id="open", event="call", call="c1", to="1001")
        wait_until(lambda: evapi(lab)["owed"] == 1)
        lab.daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: "running -> draining" in lab.daemon.stderr())
        reply = peer.ask(id="late", event="call", call="c2", to="1001")
        assert (reply["id"], reply["verdict"], reply["rule"]) == (
            "late", "unreachable", "overloaded"), reply
        assert peer.ask(id="too", event="ping")["error"] == "overloaded"
        reply = peer.read()
        assert reply["id"] == "open" and reply["verdict"] == "push", reply
        assert peer.frame() is None
        peer.close()
        assert lab.daemon.process.wait(START_S) == 0
        assert not kamailio_is_called(kamailio)


def test_drain_of_who_waits_for_a_phone():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        lab.register()
        peer = kamailio.accept()
        peer.send(id="w", event="call", call="c1", to="1001", wait="register")
        wait_until(lambda: lab.daemon.metric("pbxpush_pushes_total", result="accepted") == 1)
        lab.daemon.send_signal(signal.SIGTERM)
        assert peer.read()["id"] == "w"
        assert peer.frame() is None
        peer.close()
        assert lab.daemon.process.wait(START_S) == 0


def test_drain_without_connection():
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        peer = kamailio.accept()
        kamailio.listener.close()
        peer.close()
        wait_until(lambda: "refused" in (evapi(lab)["last_error"] or ""))
        lab.daemon.send_signal(signal.SIGTERM)
        assert lab.daemon.process.wait(START_S) == 0


def test_drain_with_a_kamailio_that_is_stopped():
    """It neither reads nor closes: the daemon ends all the same."""
    with Kamailio() as kamailio, Lab(config=config(kamailio)) as lab:
        kamailio.accept().send(id=1, event="ping")
        wait_until(lambda: lab.daemon.metric("pbxpush_events_total", event="ping") == 1)
        lab.daemon.send_signal(signal.SIGTERM)
        assert lab.daemon.process.wait(START_S) == 0


def kamailio_is_called(kamailio):
    return bool(select.select([kamailio.listener], [], [], 0)[0])


if __name__ == "__main__":
    harness.main(globals())
