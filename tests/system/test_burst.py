#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A burst on a daemon that has not spoken to APNs yet, which allows one stream then."""

import collections
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

CALLS = 1000
DEADLINE_S = 60


def token(number):
    return f"{number:064x}"


def register_all(lab, count):
    for number in range(count):
        lab.events.post(id=f"r{number}", event="register", user=f"u{number}", token=token(number))
    for number in range(count):
        assert lab.events.reply(f"r{number}", DEADLINE_S)["stored"]


def check_burst(lab, replies):
    assert len(replies) == CALLS
    bad = [r for r in replies if r["verdict"] != "push" or r["devices"][0]["result"] != "accepted"]
    assert not bad, (len(bad), bad[:3])
    counts = collections.Counter(r["token"] for r in lab.simulator.requests() if r["status"] == 200)
    assert len(counts) == CALLS, f"{len(counts)} of {CALLS} phones"
    assert set(counts.values()) == {1}, "a phone was pushed to twice"
    assert not lab.simulator.violations()


def test_burst_on_a_cold_connection():
    with Lab(simulator=("--streams", "100")) as lab:
        register_all(lab, CALLS)
        lab.restart_daemon()
        client = lab.client()
        lines = b"".join(
            json.dumps({"id": n, "event": "call", "call": f"c{n}", "to": f"u{n}"}).encode() + b"\n"
            for n in range(CALLS))
        # On a thread of its own: a client that writes all before it reads could wait for ever.
        writer = threading.Thread(target=client.send_raw, args=(lines,))
        writer.start()
        replies = [client.reply(n, DEADLINE_S) for n in range(CALLS)]
        writer.join()
        check_burst(lab, replies)
        stats = lab.simulator.stats()
        assert stats["tokens"] == 1, stats
        assert 1 < stats["max_streams"] <= 100, stats
        assert lab.daemon.status()["pushes"] == CALLS


def test_burst_while_the_limit_falls():
    with Lab(simulator=("--streams", "200", "--delay-ms", "1")) as lab:
        register_all(lab, CALLS)
        for number in range(CALLS):
            lab.events.post(id=number, event="call", call=f"c{number}", to=f"u{number}")
            if number == CALLS // 2:
                lab.simulator.control(limit=3)
        check_burst(lab, [lab.events.reply(number, DEADLINE_S) for number in range(CALLS)])


def test_many_clients_at_once():
    with Lab() as lab:
        register_all(lab, CALLS)
        clients = [lab.client() for _ in range(50)]
        for number in range(CALLS):
            clients[number % 50].send(
                {"id": number, "event": "call", "call": f"c{number}", "to": f"u{number}"})
        check_burst(lab, [clients[number % 50].reply(number, DEADLINE_S) for number in range(CALLS)])


if __name__ == "__main__":
    harness.main(globals())
