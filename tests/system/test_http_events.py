#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Events over HTTP: what is answered, to whom, and what it takes to be refused (CONTRACT 6)."""

import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, wait_until  # noqa: E402
from http_raw import ADMIN, CALLS, HttpLab, request  # noqa: E402

PING = {"event": "ping", "id": 1}
PONG = {"id": 1, "ok": True, "event": "pong"}
CODES = {400: "bad-json", 401: "not-permitted", 404: "unknown-event", 405: "unknown-event",
         408: "bad-json", 411: "bad-json", 413: "too-long", 417: "bad-json", 431: "too-long",
         501: "bad-json", 503: "overloaded", 505: "bad-json"}


def check_refusal(answer, status, closes=True):
    """A refusal has the shape of CONTRACT 2, whatever was refused."""
    assert answer and answer.status == status, (status, answer)
    reply = answer.json
    assert set(reply) == {"ok", "error", "field", "message"}, reply
    assert (reply["ok"], reply["error"], reply["field"]) == (False, CODES[status], None), reply
    assert reply["message"], reply
    assert answer.headers["content-type"] == "application/json", answer
    assert (answer.headers.get("connection") == "close") == closes, answer


def test_forms():
    pretty = json.dumps(PING, indent=2).encode()
    three = [PING | {"id": n} for n in (1, 2, 3)]
    pongs = [PONG | {"id": n} for n in (1, 2, 3)]
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in three)
    tricky = {"event": "ping", "id": "a]},{[\\\"\n\\"}
    rows = (
        ("one", PING, PONG), ("on many lines", pretty, PONG),
        ("with blanks around", b"\r\n\t " + pretty + b"\r\n \n", PONG),
        ("a line", json.dumps(PING).encode() + b"\r\n", PONG),
        ("array", three, pongs), ("array of one", [PING], [PONG]),
        ("empty array", b" [ ]\n", []),
        ("array, spread out", json.dumps(three, indent=4).encode(), pongs),
        ("brackets in strings", [tricky, PING], [PONG | {"id": tricky["id"]}, PONG]),
        ("quoted bracket at the end", tricky, PONG | {"id": tricky["id"]}),
    )
    with HttpLab() as lab:
        http = lab.http()
        for name, body, expected in rows:
            answer = http.ask(body)
            assert (answer.status, answer.json) == (200, expected), (name, answer)
            assert answer.headers["content-type"] == "application/json", (name, answer)
        for name, body in (("lines", lines), ("no line end", lines[:-1]),
                           ("CR LF and empty lines", b"\n" + lines.replace(b"\n", b"\r\n\r\n"))):
            answer = http.ask(body)
            assert (answer.status, answer.lines) == (200, pongs), (name, answer)
            assert answer.body.endswith(b"\n"), (name, answer)
            assert answer.headers["content-type"] == "application/x-ndjson", (name, answer)
        # Asterisk's CURL() sends raw JSON under the type of a form
        for kind in (None, "application/x-www-form-urlencoded", "text/plain", "nonsense"):
            assert http.ask(PING, Content_Type=kind).json == PONG, kind


def test_status_of_one_event():
    rows = (
        (200, PING, None), (200, {"event": "call", "call": "nobody", "to": "999"}, None),
        (200, {"event": "end", "call": "unknown"}, None),
        (400, b"{", "bad-json"), (400, b"nonsense", "bad-json"), (400, b'"ping"', "bad-json"),
        (400, {"event": "pong"}, "unknown-event"), (400, {"event": "call"}, "missing-field"),
        (400, {"event": "call", "call": "c", "to": 7}, "bad-field"),
        (403, {"event": "dnd", "user": "1", "on": True}, "not-permitted"),
        (403, {"event": "forget", "user": "1"}, "not-permitted"),
        (403, {"event": "export"}, "not-permitted"),
        (413, {"event": "ping", "pad": "x" * 70000}, "too-long"),
    )
    with HttpLab() as lab:
        http = lab.http()
        for status, body, code in rows:
            answer = http.ask(body, token=CALLS)
            assert answer.status == status, (body, answer)
            assert answer.json["ok"] == (not code) and answer.json.get("error") == code, answer
            assert "connection" not in answer.headers, "the connection stays"
        assert lab.daemon.metric("pbxpush_events_total", event="ping", outcome="ok") == 1
        assert lab.daemon.metric("pbxpush_events_total", outcome="not-permitted") == 3


def test_status_of_several():
    bad, worse = {"event": "call"}, {"event": "dnd", "user": "1", "on": True}
    rows = ((200, [PING, PING]), (400, [bad, {"event": "nope"}, 7]), (403, [worse, worse]),
            (207, [PING, bad]), (207, [bad, worse, PING]))
    with HttpLab() as lab:
        http = lab.http()
        for status, events in rows:
            lines = "\n".join(map(json.dumps, events)).encode()
            for answer, replies in ((a := http.ask(events, token=CALLS), lambda: a.json),
                                    (b := http.ask(lines, token=CALLS), lambda: b.lines)):
                assert answer.status == status and len(replies()) == len(events), answer
                for event, reply in zip(events, replies()):
                    assert reply["ok"] == (event is PING), (event, reply)


def test_bad_bodies():
    many = [{"event": "ping"}] * 1001
    rows = ((400, b""), (400, b" \r\n"), (400, b"["), (400, b"[{}"), (400, b'[{},]'),
            (400, b'[{}] {}'), (400, b"[{} {}]"), (400, b"[,]"), (400, b"[]]"),
            (413, many), (413, b"\n".join(b'{"event":"ping"}' for _ in many)))
    with HttpLab() as lab:
        http = lab.http()
        for status, body in rows:
            check_refusal(http.ask(body), status, closes=False)
        assert len(http.ask(many[:1000]).json) == 1000
        assert lab.daemon.metric("pbxpush_events_total", event="ping") == 1000, \
            "nothing of what was refused took effect"


LONG = b"x" * 9000
POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % ADMIN.encode()
BAD_REQUESTS = (
    (400, "no request", b"hello\r\n\r\n"), (400, "no target", b"POST\r\n\r\n"),
    (400, "no version", b"POST /v1/events\r\n\r\n"),
    (400, "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    (400, "two blanks", POST.replace(b"POST /", b"POST  /") + b"\r\n"),
    (400, "blank in front", b" " + POST + b"\r\n"),
    (400, "NUL in the target", POST.replace(b"events", b"events\0", 1) + b"\r\n"),
    (400, "no colon", POST + b"Nonsense\r\n\r\n"),
    (400, "blank before the colon", POST + b"Content-Length : 2\r\n\r\n{}"),
    (400, "folded", POST + b"X: a\r\n b\r\n\r\n"), (400, "no name", POST + b": a\r\n\r\n"),
    (400, "control character", POST + b"X: a\x01b\r\n\r\n"),
    (400, "CR within a field", POST + b"X: a\rb\r\n\r\n"),
    (400, "NUL", POST + b"X: a\0b\r\n\r\n"),
    (400, "length", POST + b"Content-Length: x\r\n\r\n"),
    (400, "negative length", POST + b"Content-Length: -1\r\n\r\n"),
    (400, "signed length", POST + b"Content-Length: +2\r\n\r\n{}"),
    (400, "no length", POST + b"Content-Length:\r\n\r\n"),
    (400, "two lengths", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    (400, "list of lengths", POST + b"Content-Length: 2, 2\r\n\r\n{}"),
    (400, "length and chunks",
     POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "two tokens", POST + b"Authorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}"),
    (400, "chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    (400, "negative chunk", POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n"),
    (400, "empty chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n"),
    (400, "huge chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n"),
    (400, "no end of chunk", POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n"),
    (400, "long line in front of a chunk",
     POST + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"e" * 300 + b"\r\n"),
    (400, "no line in front of a chunk", POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 300),
    (400, "trailer without end",
     POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + (b"T: " + b"t" * 200 + b"\r\n") * 50),
    (404, "other path", POST.replace(b"/v1/events", b"/v1/event") + b"\r\n"),
    (404, "longer path", POST.replace(b"/v1/events", b"/v1/events/") + b"\r\n"),
    (404, "much longer path", POST.replace(b"/v1/events", b"/v1/events" + b"s" * 300) + b"\r\n"),
    (404, "no path", POST.replace(b"/v1/events", b"*") + b"\r\n"),
    (404, "status", POST.replace(b"/v1/events", b"/status") + b"\r\n"),
    (405, "GET", POST.replace(b"POST", b"GET") + b"\r\n"),
    (405, "OPTIONS, as browsers ask", POST.replace(b"POST", b"OPTIONS") + b"\r\n"),
    (405, "unknown method", POST.replace(b"POST", b"PROPFINDANDMUCHMORETHANTHAT") + b"\r\n"),
    (411, "no body", POST + b"\r\n"), (411, "no body, close", POST + b"Connection: close\r\n\r\n"),
    (413, "large", POST + b"Content-Length: 1048577\r\n\r\n"),
    (413, "too large for a number", POST + b"Content-Length: 99999999999999999999\r\n\r\n"),
    (413, "large and on its way", POST + b"Content-Length: 9000000\r\n\r\n" + b"x" * 3000000),
    (413, "large chunk", POST + b"Transfer-Encoding: chunked\r\n\r\n100001\r\n"),
    (413, "many chunks", POST + b"Transfer-Encoding: chunked\r\n\r\n" +
     (b"40000\r\n" + b" " * 0x40000 + b"\r\n") * 5),
    (417, "other expectation", POST + b"Expect: miracles\r\nContent-Length: 2\r\n\r\n{}"),
    (431, "long request line", b"POST /" + LONG + b" HTTP/1.1\r\n\r\n"),
    (431, "line without end", LONG), (431, "long field", POST + b"X: " + LONG + b"\r\n\r\n"),
    (431, "many fields", POST + b"X: y\r\n" * 2000 + b"\r\n"),
    (431, "many empty lines", b"\r\n" * 5000),
    (501, "gzip", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    (501, "chunked twice",
     POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (505, "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (505, "HTTP/0.9", POST.replace(b"HTTP/1.1", b"HTTP/0.9") + b"\r\n"),
)


def test_bad_requests():
    with HttpLab() as lab:
        for status, name, data in BAD_REQUESTS:
            http = lab.http()
            answer = http.send(data).answer()
            try:
                check_refusal(answer, status)
                assert http.at_end(), "closes behind it"
                assert answer.headers.get("allow") == ("POST" if status == 405 else None), answer
            except AssertionError as why:
                raise AssertionError(f"{name}: {why}") from why
        assert lab.ask(PING).json == PONG
        assert lab.daemon.metric("pbxpush_events_total") == 1


def test_unusual_requests():
    body = json.dumps(PING).encode()
    good = request(body)
    chunked = (POST + b"Transfer-Encoding: Chunked\r\n\r\n" + b"1;ext=\"a;b\"\r\n{\r\n" +
               b"%X\r\n%s\r\n" % (len(body) - 1, body[1:]) + b"000\r\nTrailer: x\r\n\r\n")
    rows = (
        ("as it should be", good), ("empty lines in front", b"\r\n\r\n" + good),
        ("bare line feeds", good.replace(b"\r\n", b"\n")),
        ("any case", good.replace(b"Content-Length", b"cONTENT-lENGTH")
         .replace(b"Bearer", b"bEARER")),
        ("blanks", good.replace(b"Content-Length: ", b"Content-Length:\t  ")),
        ("no blanks", good.replace(b"Content-Length: ", b"Content-Length:")),
        ("the same length twice",
         good.replace(b"Host", b"Content-Length: %d\r\nHost" % len(body))),
        ("absolute target", good.replace(b"/v1", b"http://127.0.0.1:1/v1", 1)),
        ("query", good.replace(b"events", b"events?a=b", 1)), ("chunks", chunked),
        ("keep-alive of 1.0",
         good.replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: Keep-Alive\r\n")),
        ("list of options", good.replace(b"Host", b"Connection: te, keep-alive\r\nHost")),
    )
    with HttpLab() as lab:
        http = lab.http()
        for name, data in rows:
            answer = http.send(data).answer()
            assert (answer.status, answer.json) == (200, PONG), (name, answer)
        for byte in chunked:  # in pieces: each state is left and entered again
            http.send(bytes([byte]))
        assert http.answer().json == PONG
        for data in (good.replace(b"HTTP/1.1", b"HTTP/1.0"), request(body, Connection="close"),
                     request(body, Connection="te, CLOSE")):
            http = lab.http()
            answer = http.send(data).answer()
            assert answer.json == PONG and answer.headers["connection"] == "close", answer
            assert http.at_end()
        http = lab.http()
        answer = http.send(request(method="HEAD")).answer(with_body=False)
        assert answer.status == 405 and int(answer.headers["content-length"]) > 0, answer
        assert http.at_end(), "HEAD has no body"


def test_expect_continue():
    with HttpLab() as lab:
        http = lab.http()
        body = json.dumps(PING).encode()
        head = request(length=len(body), Expect="100-continue")
        for _ in range(2):
            assert http.send(head).answer().status == 100
            assert http.send(body).answer().json == PONG
        assert http.send(head + body).answer().json == PONG, "who does not wait is not asked"
        # refused before the body was sent, instead of the 100
        check_refusal(http.send(request(length=2 << 20, Expect="100-continue")).answer(), 413)
        check_refusal(lab.http().send(
            request(length=10, token=None, Expect="100-continue")).answer(), 401)


def test_pipelining():
    with HttpLab() as lab:
        lab.register(device="phone")
        http = lab.http()
        waits = {"event": "call", "call": "c", "to": "1001", "wait": "register"}
        http.send(b"".join(request(PING | {"id": n}) for n in range(200)) + request(waits) +
                  b"".join(request(PING | {"id": n}) for n in range(200, 210)))
        for number in range(200):
            assert http.answer().json["id"] == number
        wait_until(lambda: lab.simulator.requests())
        lab.register(device="phone", contact="sip:x@192.0.2.1")
        assert http.answer().json["verdict"] == "registered"
        for number in range(200, 210):
            assert http.answer().json["id"] == number


def test_tokens():
    tokens = (f"# comment\n\n; another\n{CALLS}\r\n \t{ADMIN}\t admin \n"
              f"x{'y' * 255} calls\nshort calls")
    good = ((CALLS, 403), (ADMIN, 200), ("x" + "y" * 255, 403), ("short", 403), (" " + ADMIN, 200))
    bad = (None, "", "nonsense", ADMIN[:-1], ADMIN + "x", ADMIN.upper(), ADMIN + " x", "calls",
           "x" + "y" * 254, "x" + "y" * 256, "x" * 400, "x" * 4000, "#", f"{CALLS} calls", "ä")
    dnd = {"event": "dnd", "user": "1001", "on": False}
    with HttpLab(tokens=tokens) as lab:
        for token, status in good:
            answer = lab.ask(dnd, token=token)
            assert answer.status == status, (token, answer)
            assert lab.ask(PING, token=token).json == PONG
        for token in bad:
            answer = lab.ask(dnd, token=token)
            check_refusal(answer, 401)
            challenge = answer.headers["www-authenticate"]
            assert challenge.startswith('Bearer realm="pbxpush"'), challenge
            assert ("invalid_token" in challenge) == (token is not None), (token, challenge)
        for scheme in (f"Basic {ADMIN}", ADMIN, f"Bearer{ADMIN}", f"Bearer\t{ADMIN}"):
            check_refusal(lab.ask(dnd, token=None, Authorization=scheme), 401)
        said = lab.daemon.stderr()
        assert said.count("without a valid token") == 1, said
        assert not any(token in said for token in (CALLS, ADMIN, "yyyy", "nonsense")), said


def test_a_call_over_http():
    with HttpLab() as lab:
        http = lab.http()
        phone = {"event": "register", "user": "1001", "device": "phone"}
        reply = http.ask(phone | {"app": lab.app.bundle, "token": TOKEN}).json
        assert reply["stored"] is True, reply
        call = {"event": "call", "call": "c1", "to": "1001",
                "from": {"number": "+15551230001", "name": "Äßü \ud83d\ude00"}}
        reply = http.ask(call, token=CALLS).json
        assert reply["verdict"] == "push" and reply["devices"][0]["result"] == "accepted", reply
        assert lab.simulator.requests()[-1]["payload"]["caller"]["name"] == "Äßü 😀"
        waiting = http.send(request(call | {"call": "c2", "wait": "register"}))
        wait_until(lambda: len(lab.simulator.requests()) == 2)
        # what one front end says, the other hears
        lab.events.ask(contact="sip:1001@192.0.2.7", **phone)
        reply = waiting.answer().json
        assert reply["verdict"] == "registered" and reply["registered"]["device"] == "phone", reply
        assert http.ask([{"event": "end", "call": c} for c in ("c1", "c2")]).status == 200
        story = json.loads(lab.daemon.get("/calls/c2")[1])
        assert story, "the story of a call is the same, whoever told it"


def test_replies_stand_in_the_order_of_the_events():
    with HttpLab() as lab:
        lab.phones(3)
        lab.simulator.rule(token=harness.token(0), delay_ms=300)
        calls = [{"id": n, "event": "call", "call": f"c{n}", "to": f"u{n}"} for n in range(3)]
        events = [calls[0], PING | {"id": "x"}, calls[1], {"event": "nope", "id": None}, calls[2]]
        answer = lab.ask(events)
        assert answer.status == 207
        assert [reply.get("id") for reply in answer.json] == [0, "x", 1, None, 2], answer.json
        assert answer.json[0]["devices"][0]["ms"] >= 300, "the slowest is waited for"
        # each sees what the one before has changed
        answer = lab.ask([{"event": "block", "user": "u1", "number": "+4930"},
                          {"event": "call", "call": "d", "to": "u1", "from": {"number": "+4930"}}])
        assert [reply.get("verdict") for reply in answer.json] == [None, "reject"], answer.json


def test_random_bodies():
    random.seed(5)
    pieces = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\r\n", b" ", b"null", b"\0",
              b'"event"', b'"ping"', b'{"event":"ping"}', b'{"event":"ping","id":', b"1", b"\xff",
              b'{"event":"call","call":"c","to":"1001"}', b"\xc3\xa4", b"\\u0000", b"\xed\xa0\x80"]
    with HttpLab() as lab:
        http = lab.http()
        for _ in range(1500):
            body = b"".join(random.choices(pieces, k=random.randrange(12)))
            answer = http.ask(body)
            assert answer.status in (200, 207, 400), (body, answer)
            replies = answer.lines if "ndjson" in answer.headers["content-type"] else answer.json
            for reply in replies if isinstance(replies, list) else [replies]:
                assert reply["ok"] in (True, False), (body, answer)
        assert http.ask(PING).json == PONG


def test_random_requests():
    """Whatever is sent, each answer has the right form, and the next client is served."""
    random.seed(6)
    good = [request([PING] * 3), POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            request(b"[]", Expect="100-continue")]
    with HttpLab() as lab:
        for number in range(400):
            data = bytearray(random.choice(good) * random.choice((1, 3)))
            for _ in range(random.randrange(1, 4)):
                at = random.randrange(len(data))
                data[at:at + random.randrange(3)] = random.randbytes(random.randrange(3))
            http = lab.http()
            http.send(bytes(data[:random.randrange(len(data) + 1)] if number % 4 else data))
            http.socket.shutdown(harness.socket.SHUT_WR)
            while answer := http.answer():
                assert answer.status in (100, 200, 207, *CODES), (data, answer)
            http.close()
        assert lab.ask(PING).json == PONG


if __name__ == "__main__":
    harness.main(globals())
