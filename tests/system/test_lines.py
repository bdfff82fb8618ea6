#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The event socket as a language: every line gets exactly one reply, good lines and bad ones."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab  # noqa: E402

PING = {"ok": True, "event": "pong"}


def bad(code, field=None):
    return {"ok": False, "error": code, "field": field}


def call(**fields):
    return {"event": "call", "call": "c", "to": "1001"} | fields


# What is sent (an object, or bytes), and what the reply must hold.
LINES = (
    ({"event": "ping"}, PING),
    (b'{"event":"ping"}\r', PING),
    (b' \t{"event" : "ping"} ', PING),
    ({"event": "ping", "newer": {"field": [1, 2]}}, PING),
    (b"nonsense", bad("bad-json")),
    (b'{"event":"ping"', bad("bad-json")),
    (b'{"event":"ping"} {"event":"ping"}', bad("bad-json")),
    (b"[]", bad("bad-json")),
    (b"null", bad("bad-json")),
    (b'"ping"', bad("bad-json")),
    (b"\x00", bad("bad-json")),
    (b"[" * 5000, bad("bad-json")),
    ({}, bad("missing-field", "event")),
    ({"event": None}, bad("missing-field", "event")),
    ({"event": 5}, bad("bad-field", "event")),
    ({"event": "nope"}, bad("unknown-event", "event")),
    ({"event": ""}, bad("unknown-event", "event")),
    ({"event": "PING"}, bad("unknown-event", "event")),
    ({"event": "ev\u0000il"}, bad("unknown-event", "event")),
    ({"event": "voicemail", "to": "1001", "new": -1}, bad("bad-field", "new")),
    ({"event": "show", "user": "*@" + "d" * 300}, bad("bad-field", "user")),
    ({"event": "block", "user": "*@" + "d" * 60000, "number": "1"}, bad("bad-field", "user")),
    ({"event": "call", "to": "1001"}, bad("missing-field", "call")),
    ({"event": "call", "call": "c"}, bad("missing-field", "to")),
    (call(call=None), bad("missing-field", "call")),
    (call(call=""), bad("bad-field", "call")),
    (call(call="x" * 256), bad("bad-field", "call")),
    (call(call=17), bad("bad-field", "call")),
    (call(to=["1001"]), bad("bad-field", "to")),
    (call(to=""), bad("bad-field", "to")),
    (call(to="*"), bad("bad-field", "to")),
    (call(**{"from": "Alice"}), bad("bad-field", "from")),
    (call(**{"from": {"number": 4711}}), bad("bad-field", "from.number")),
    (call(**{"from": {"name": ["x"]}}), bad("bad-field", "from.name")),
    (call(video="yes"), bad("bad-field", "video")),
    (call(ring_ms=999), bad("bad-field", "ring_ms")),
    (call(ring_ms=300001), bad("bad-field", "ring_ms")),
    (call(ring_ms="30000"), bad("bad-field", "ring_ms")),
    (call(ring_ms=30000.5), bad("bad-field", "ring_ms")),
    (call(ring_ms=1e300), bad("bad-field", "ring_ms")),
    (call(attempt=0), bad("bad-field", "attempt")),
    (call(attempt=1001), bad("bad-field", "attempt")),
    (call(uuid="8f14e45f"), bad("bad-field", "uuid")),
    (call(wait="answer"), bad("bad-field", "wait")),
    (call(wait_ms=-1), bad("bad-field", "wait_ms")),
    (call(contacts="sip:x"), bad("bad-field", "contacts")),
    (call(contacts=[1]), bad("bad-field", "contacts")),
    (call(contacts=["sip:a@b"] * 33), bad("bad-field", "contacts")),
    (call(data=[]), bad("bad-field", "data")),
    ({"event": "end"}, bad("missing-field", "call")),
    ({"event": "end", "call": "c", "reason": "bored"}, bad("bad-field", "reason")),
    ({"event": "call-state"}, bad("missing-field", "call")),
    ({"event": "register"}, bad("missing-field", "user")),
    ({"event": "register", "user": "1001", "token": "xyz"}, bad("bad-field", "token")),
    ({"event": "register", "user": "1001", "token": "a" * 31}, bad("bad-field", "token")),
    ({"event": "register", "user": "1001", "token": "a" * 513}, bad("bad-field", "token")),
    ({"event": "register", "user": "1001", "token": TOKEN, "mode": "silent"},
     bad("bad-field", "mode")),
    ({"event": "register", "user": "1001", "pn": {"provider": "apns", "prid": "zz",
      "param": "DEF123GHIJ.com.example.phone.voip"}}, bad("bad-field", "pn.prid")),
    ({"event": "register", "user": "1001", "pn": {"provider": "apns", "prid": TOKEN}},
     bad("bad-field", "pn.param")),
    ({"event": "register", "user": "1001", "contact": "not a uri"}, bad("bad-field", "contact")),
    ({"event": "dnd", "user": "1001"}, bad("missing-field", "on")),
    ({"event": "dnd", "user": "1001", "on": 1}, bad("bad-field", "on")),
    ({"event": "block", "user": "1001"}, bad("missing-field", "number")),
    ({"event": "block", "user": "1001", "number": ""}, bad("bad-field", "number")),
    ({"event": "dnd", "user": "1001", "on": True, "device": "none"}, bad("bad-field", "device")),
    ({"event": "forget"}, bad("missing-field", "user")),
    # these are fine, and end as unknown users do
    (call(ring_ms=30000.0, newer=True), {"ok": True, "rule": "no-device"}),
    (call(**{"from": None, "video": None, "uuid": None}), {"ok": True, "rule": "no-device"}),
)


def test_each_line_alone():
    with Lab() as lab:
        for number, (line, expected) in enumerate(LINES):
            with_id = isinstance(line, dict)
            if with_id:
                line = json.dumps({"id": number} | line).encode()
            lab.events.send_raw(line + b"\n")
            reply = lab.events.read()
            assert expected.items() <= reply.items(), (line[:200], reply)
            assert ("id" in reply) == with_id and reply.get("id", number) == number, reply
            if not reply["ok"]:
                assert reply["message"] and set(reply) <= {"id", "ok", "error", "field", "message"}
        # and not one reply more
        lab.events.send({"id": "last", "event": "ping"})
        assert lab.events.read() == {"id": "last"} | PING
        assert not lab.simulator.requests()


def test_all_lines_at_once():
    """Bad ones among good ones, empty lines between, cut anywhere on the wire."""
    with Lab() as lab:
        data, good = b"", 0
        for line, expected in LINES * 5:
            if isinstance(line, dict):
                line = json.dumps(line).encode()
            data += b"\n\r\n" + line + b"\n"
            good += expected["ok"]
        data += b"\n\n\r\n"
        for start in range(0, len(data), 7001):
            lab.events.send_raw(data[start:start + 7001])
        lab.events.half_close()
        replies = []
        while (reply := lab.events.read()) is not None:
            replies.append(reply)
        assert len(replies) == len(LINES) * 5
        assert sum(reply["ok"] for reply in replies) == good


def test_one_byte_at_a_time():
    with Lab() as lab:
        for byte in b'{"id":"slow","event":"ping"}\r\n':
            lab.events.send_raw(bytes([byte]))
        assert lab.events.read() == {"id": "slow"} | PING


def test_ids():
    with Lab() as lab:
        for text in ('1', '-7', '0', '"a"', '""', '1.5', '9007199254740993', '"\\u00fc\\"\\\\"',
                     '"' + "x" * 1000 + '"', '1e3'):
            lab.events.send_raw(b'{"id":%s,"event":"ping"}\n' % text.encode())
            assert lab.events.read() == {"id": json.loads(text)} | PING, text
        for text in (b'{"event":"ping"}', b'{"id":null,"event":"ping"}'):
            lab.events.send_raw(text + b"\n")
            assert lab.events.read() == PING, text


def test_lines_too_long():
    with Lab(config={"events": {"max-line": "4k"}}) as lab:
        pad = {"event": "ping", "pad": ""}
        room = 4096 - len(json.dumps(pad))
        for length, expected in ((room, PING), (room + 1, bad("too-long")), (10**6, bad("too-long")),
                                 (room, PING)):
            lab.events.send(pad | {"pad": "x" * length})
            reply = lab.events.read()
            assert expected.items() <= reply.items(), (length, reply)
        lab.events.send({"id": 5, "event": "ping"})
        assert lab.events.read() == {"id": 5} | PING


def test_default_line_limit():
    with Lab() as lab:
        pad = {"event": "ping", "pad": ""}
        pad["pad"] = "x" * (65536 - len(json.dumps(pad)))
        lab.events.send(pad)
        assert lab.events.read() == PING
        lab.events.send(pad | {"pad": pad["pad"] + "x"})
        assert lab.events.read()["error"] == "too-long"


def test_replies_overtake():
    with Lab() as lab:
        lab.simulator.control(delay_ms=300)
        lab.events.ask(event="register", user="1001", token=TOKEN)
        slow = lab.events.post(event="call", call="slow", to="1001")
        fast = lab.events.post(event="ping")
        assert lab.events.read()["id"] == fast
        assert lab.events.read()["id"] == slow


def test_half_close_gets_outstanding_replies():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", device="d", token=TOKEN)
        client = lab.client()
        waiting = client.post(event="call", call="c", to="1001", wait="register")
        client.half_close()
        harness.wait_until(lambda: lab.simulator.requests(), what="the push")
        lab.events.ask(event="register", user="1001", device="d", contact="sip:1001@10.0.0.1")
        reply = client.read()
        assert (reply["id"], reply["verdict"]) == (waiting, "registered"), reply
        assert client.read() is None, "then it is closed"
        # the last line may lack its end
        client = lab.client()
        client.send_raw(b'{"id":1,"event":"ping"}\n{"id":2,"event":"ping"}')
        client.half_close()
        assert [client.read(), client.read(), client.read()] == [
            {"id": 1} | PING, {"id": 2} | PING, None]


def test_events_count_at_once():
    """What an event changes is seen by the next one, though its reply waits for the disk."""
    with Lab() as lab:
        lines = (
            {"event": "register", "user": "1001", "token": TOKEN},
            {"id": "first", "event": "call", "call": "c1", "to": "1001"},
            {"event": "dnd", "user": "1001", "on": True},
            {"id": "second", "event": "call", "call": "c2", "to": "1001"},
            {"event": "allow", "user": "1001", "number": "+491234"},
            {"id": "third", "event": "call", "call": "c3", "to": "1001",
             "from": {"number": "+491234"}},
            {"event": "end", "call": "c4"},
            {"id": "fourth", "event": "call", "call": "c4", "to": "1001"},
        )
        lab.events.send_raw(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        rules = [(r["verdict"], r["rule"]) for r in map(
            lab.events.reply, ("first", "second", "third", "fourth"))]
        assert rules == [("push", None), ("reject", "dnd"), ("push", None),
                         ("ended", "cancelled")], rules


if __name__ == "__main__":
    harness.main(globals())
