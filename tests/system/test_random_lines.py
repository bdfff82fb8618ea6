#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Thousands of lines that are nearly right, from several clients, while pushes fail and reloads come:
each gets one reply that is JSON in UTF-8, and nothing grows. The same lines in every run."""

import json
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab  # noqa: E402

LINES, CLIENTS, MAX_CALLS = 16000, 8, 200
DEADLINE_S = 60
EVENTS = ["call"] * 12 + ["register"] * 7 + ["answer", "end", "ringing", "unblock"] * 2 + [
    "call-state", "unregister", "forget", "dnd", "block", "allow", "unallow", "show", "ping", "nonsense"]
TOKENS = [f"{number:02x}" * 32 for number in range(16)] + ["d4" * 256, "zz", 5]
USERS = [f"u{number}" for number in range(12)] + ["1001", "1002@t.example.com", "sip:1001"] * 4 + [
    "*", "*@t.example.com", "ü", "x" * 300, "", None]
NUMBERS = [f"+4930{number}" for number in range(20)] + ["anonymous", "", "+49*", 5, None]
CONTACT = f"sip:1@h;pn-provider=apns;pn-param={App.team}.{App.bundle}.voip;pn-prid="


def member(rng, name):
    """A value for a field, good or bad."""
    choices = {
        "call": [f"c{rng.randrange(300)}"] * 9 + ["x" * 256, "", None, "ü\x01"],
        "to": USERS, "user": USERS, "token": TOKENS, "alert_token": TOKENS, "number": NUMBERS,
        "from": [None, {}, 5, {"number": rng.choice(NUMBERS)}, {"name": "Ä" * rng.choice([1, 9000])}],
        "wait": ["verdict", "push", "register", "x"], "wait_ms": [0, 1, 50, -1, 1e18],
        "ring_ms": [1000, 1500, 300000, 5], "attempt": [1, 2, 1000, 0], "uuid": ["x", None],
        "device": ["d", "e", None, "x" * 300], "mode": ["voip", "alert", "x"],
        "environment": ["auto", "sandbox", "production"], "expires_s": [0, 60, -1],
        "contact": ["*", f"<{CONTACT}{TOKENS[3]}>;expires=0", CONTACT + TOKENS[4], '<<>>;;="', "sip:"],
        "contacts": [[], [1], [CONTACT + TOKENS[5]] * rng.choice([1, 32])],
        "data": [{}, [], {"a": [1] * rng.choice([1, 5000])}], "reason": ["declined", "x"],
        "on": [True] + [False] * 6, "until_ms": [0, 1, 2**53, 2**63], "sip": [True, False],
        "forget": [True, False], "bypass": [True, False], "dnd": [True] + [False] * 5,
        "pn": [None, {}, {"provider": "apns"}, {"prid": TOKENS[6]}], "started_ms": [0, 2**50],
    }
    return rng.choice(choices[name])


NAMES = ["call", "to", "user", "token", "alert_token", "number", "from", "wait", "wait_ms", "ring_ms",
         "attempt", "uuid", "device", "mode", "environment", "expires_s", "contact", "contacts", "data",
         "reason", "on", "until_ms", "sip", "forget", "bypass", "dnd", "pn", "started_ms"]


def mutate(rng, line):
    line = bytearray(line)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(line))
        if rng.random() < 0.5:
            line[at] = rng.randrange(256)
        else:
            line[at:at + rng.randrange(9)] = line[:rng.randrange(9)]
    return b"x" + line.replace(b"\n", b"?") if rng.random() < 0.2 else line.replace(b"\n", b"?") or b"x"


def make_line(rng):
    event = {"id": rng.choice([1, "x", None, 1.5]), "event": rng.choice(EVENTS)}
    for name in ["call", "to", "user"] + rng.sample(NAMES, rng.randrange(6)):
        event[name] = member(rng, name)
    line = json.dumps(event).encode()
    return bytes(mutate(rng, line)).strip(b"\r") or b"x" if rng.random() < 0.15 else line


def count_replies(client, replies):
    while (reply := client.read(DEADLINE_S)) is not None:
        assert type(reply["ok"]) is bool
        replies.append(reply["ok"])


def test_each_line_gets_its_reply():
    rng = random.Random(8599)
    config = {"events": {"max-calls": MAX_CALLS}, "calls": {"remember": "50ms"},
              "daemon": {"log-level": "debug", "drain-timeout": "0s"},
              "apns": {"response-timeout": "300ms"}}
    with Lab(apps=(App(environment="auto"),), sandbox=(), config=config, violations=None) as lab:
        for simulator in (lab.simulator, lab.sandbox):
            simulator.rule(token=TOKENS[1], status=400, reason="BadDeviceToken")
            simulator.rule(token=TOKENS[2], status=410, reason="Unregistered")
            simulator.rule(token="d4*", action="silent")
        clients = [lab.client() for _ in range(CLIENTS)]
        replies = [[] for _ in clients]
        threads = [threading.Thread(target=count_replies, args=pair, daemon=True)
                   for pair in zip(clients, replies)]
        for thread in threads:
            thread.start()
        for number in range(LINES):
            clients[number % CLIENTS].send_raw(make_line(rng) + b"\n")
            if number % 2000 == 0:
                lab.daemon.reload()
                for path in ("/calls", "/calls/c1", "/metrics", "/status"):
                    assert lab.daemon.get(path)[0] in (200, 404)
        for client in clients:
            client.half_close()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert [len(got) for got in replies] == [LINES // CLIENTS] * CLIENTS
        assert LINES // 4 < sum(map(sum, replies)) < LINES, "good ones and bad ones"
        calls = lab.daemon.status()["calls"]
        assert calls["ringing"] + calls["answered"] + calls["ended"] <= MAX_CALLS, calls


if __name__ == "__main__":
    harness.main(globals())
