#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The status socket of the real daemon: every route, the metrics, health (CONTRACT 5)."""

import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab, Skip, wait_until  # noqa: E402

CALL_ID = 'a+b%/?#"ü@pbx.example.com'

METRICS = (
    "pbxpush_build_info", "pbxpush_events_total", "pbxpush_calls", "pbxpush_verdicts_total",
    "pbxpush_pushes_total", "pbxpush_push_seconds", "pbxpush_send_seconds", "pbxpush_wake_seconds",
    "pbxpush_connections", "pbxpush_streams", "pbxpush_stream_limit", "pbxpush_goaway_total",
    "pbxpush_retries_total", "pbxpush_provider_token_age_seconds", "pbxpush_directory_devices",
    "pbxpush_clients", "pbxpush_evapi_connected", "process_cpu_seconds_total", "process_resident_memory_bytes",
    "process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds",
    "process_max_fds")
LABELS = {
    "pbxpush_events_total": {"event", "outcome"}, "pbxpush_calls": {"state"},
    "pbxpush_verdicts_total": {"verdict", "rule"}, "pbxpush_goaway_total": {"reason"},
    "pbxpush_pushes_total": {"app", "environment", "type", "result", "reason"},
    "pbxpush_connections": {"team", "key", "environment", "state"},
    "pbxpush_provider_token_age_seconds": {"team", "key"}, "pbxpush_retries_total": {"reason"},
    "pbxpush_directory_devices": {"state"}}
SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})?'
    r" ([+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf|NaN))")


def make_calls(lab):
    """One call of every ending, so that there is something to see."""
    ask = lab.events.ask
    ask(event="register", user="1001", device="d", token=TOKEN)
    ask(event="call", call=CALL_ID, to="1001", wait="push")
    ask(event="register", user="1001", device="d", contact="sip:1001@10.0.0.9")
    ask(event="answer", call=CALL_ID, to="1001", device="d")
    ask(event="end", call=CALL_ID)
    ask(event="call", call="live", to="1001")
    ask(event="call", call="nobody", to="4711")
    ask(event="block", user="1001", number="+4930")
    ask(event="call", call="blocked", to="1001", **{"from": {"number": "+4930"}})
    ask(event="nonsense")
    lab.events.send_raw(b"{\n")
    lab.events.read()
    lab.simulator.rule(token=TOKEN, status=400, reason="SomethingNew", times=1)
    ask(event="call", call="rejected", to="1001")
    lab.simulator.control(goaway={"code": 0, "reason": "whatever\"\\\n"})
    wait_until(lambda: "pbxpush_goaway_total{" in lab.daemon.get("/metrics")[1], what="GOAWAY counted")


def parse(text):
    """Prometheus text as {family: (type, [(name, {label: value}, number)])}; strict."""
    families, current = {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            _, kind, name, rest = line.split(" ", 3)
            if kind == "HELP":
                assert name not in families, f"{name} stands twice"
                families[name], current = [None, []], name
            else:
                assert name == current and rest in ("counter", "gauge", "histogram"), line
                families[name][0] = rest
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        base = re.sub("_(bucket|sum|count)$", "", name) if families[current][0] == "histogram" else name
        assert base == current, f"{line} stands under {current}"
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
        assert len(dict(pairs)) == len(pairs), line
        families[current][1].append((name, dict(pairs), float(value)))
    return families


def test_metrics():
    with Lab() as lab:
        make_calls(lab)
        status, text = lab.daemon.get("/metrics")
        assert status == 200
        families = parse(text)
        assert set(METRICS) <= families.keys(), set(METRICS) - families.keys()
        for name, (kind, samples) in families.items():
            assert kind, name
            keys = [(sample, *sorted(labels.items())) for sample, labels, _ in samples]
            assert len(set(keys)) == len(keys), f"{name}: a sample stands twice"
            for sample, labels, _ in samples:
                assert not name.endswith("_total") or kind == "counter"
                assert labels.keys() == LABELS.get(name, labels.keys()), (name, labels)
            if kind == "histogram":
                buckets = [(labels["le"], value) for sample, labels, value in samples
                           if sample.endswith("_bucket")]
                bounds = [float(bound) for bound, _ in buckets]
                counts = [count for _, count in buckets]
                assert bounds == sorted(bounds) and counts == sorted(counts), buckets
                assert buckets[-1][0] == "+Inf", buckets
                total, = [value for sample, _, value in samples if sample.endswith("_count")]
                assert total == counts[-1], name
        metric = lab.daemon.metric
        for name, labels, value in (
                ("pbxpush_events_total", {"event": "call", "outcome": "ok"}, 5),
                ("pbxpush_events_total", {"event": "other", "outcome": "unknown-event"}, 1),
                ("pbxpush_events_total", {"event": "other", "outcome": "bad-json"}, 1),
                ("pbxpush_verdicts_total", {"verdict": "push"}, 2),
                ("pbxpush_verdicts_total", {"verdict": "unreachable", "rule": "no-device"}, 1),
                ("pbxpush_verdicts_total", {"verdict": "reject", "rule": "blocked"}, 1),
                ("pbxpush_pushes_total", {"result": "accepted", "type": "voip"}, 2),
                ("pbxpush_pushes_total", {"result": "rejected", "reason": "other"}, 1),
                ("pbxpush_wake_seconds_count", {}, 1), ("pbxpush_push_seconds_count", {}, 3),
                ("pbxpush_send_seconds_count", {}, 3), ("pbxpush_clients", {}, 1),
                ("pbxpush_directory_devices", {"state": "known"}, 1)):
            assert metric(name, **labels) == value, (name, labels, metric(name, **labels))
        assert "SomethingNew" not in text and "whatever" not in text, "words from outside"


def test_status():
    with Lab() as lab:
        make_calls(lab)
        status = lab.daemon.status()
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", status["version"])
        assert status["uptime_s"] >= 0
        routes = {route["environment"]: route for route in status["routes"]}
        for name in ("connected", "streams", "stream_limit", "token_age_s", "last_error"):
            assert name in routes["production"], name
        wait_until(lambda: {r["environment"]: r for r in lab.daemon.status()["routes"]}[
            "production"]["connected"], what="connected again")
        assert routes["production"]["team"] == lab.app.team


def test_calls_and_timelines():
    with Lab() as lab:
        make_calls(lab)
        listed = {call["call"]: call for call in json.loads(lab.daemon.get("/calls")[1])["calls"]}
        assert listed[CALL_ID]["state"] == "completed" and listed["live"]["state"] == "ringing", listed
        assert listed["blocked"]["verdict"] == "reject", listed["blocked"]
        identity = listed[CALL_ID]["uuid"]
        quoted = urllib.parse.quote(CALL_ID, safe="")
        by_id = lab.daemon.get(f"/calls/{quoted}")
        for path in (f"/calls/{identity}", f"/calls/{identity.upper()}", f"/calls/{quoted}?x=y"):
            assert lab.daemon.get(path) == by_id, path
        status, body = by_id
        story = json.loads(body)
        assert status == 200 and story["call"] == CALL_ID
        whats = [(entry["what"], entry.get("event")) for entry in story["timeline"]]
        for what in ("event", "decision", "push", "push-answer", "reply", "register"):
            assert what in dict(whats), (what, whats)
        assert [entry["ms"] for entry in story["timeline"]] == sorted(
            entry["ms"] for entry in story["timeline"])
        assert any(entry.get("status") == 200 for entry in story["timeline"])
        assert any("answer" in pair for pair in whats) and any("end" in pair for pair in whats), whats


def test_refusals():
    with Lab() as lab:
        for method, path, expected in (
                ("GET", "/", 404), ("GET", "/nothing", 404), ("GET", "/status/", 404),
                ("GET", "/calls/unknown", 404), ("GET", "/calls/%00", 404), ("GET", "/../etc/passwd", 404), ("GET", "/Status", 404),
                ("POST", "/status", 405), ("PUT", "/metrics", 405), ("DELETE", "/calls", 405),
                ("PATCH", "/calls/x", 405), ("OPTIONS", "/health", 405), ("POST", "/nothing", 404),
                ("GET", "/calls/" + "%41" * 1000, 404)):
            assert lab.daemon.get(path, method=method)[0] == expected, (method, path[:40], expected)
        for data in (b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01", b"GET\r\n\r\n", b"\r\n\r\n",
                     b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n",
                     b"POST /status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(lab.daemon.status_path))
                sock.settimeout(harness.START_S)
                # refused before it was read to the end, which resets the connection
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while answer := sock.recv(4096):
                        assert b" 200 " not in answer, (data[:40], answer)
        assert lab.daemon.get("/health")[0] == 200


def test_health():
    with Lab(start=False) as lab:
        lab.simulator.control(refuse=True)
        lab.start_daemon()
        # none has been needed yet
        assert lab.daemon.get("/health")[0] == 200
        lab.events.ask(event="register", user="1001", token=TOKEN)
        reply = lab.events.ask(event="call", call="c", to="1001", ring_ms=1000)
        assert reply["rule"] == "push-failed"
        # not for a minute yet; that it turns is a flow test's matter, with a clock of its own
        assert lab.daemon.get("/health") == (200, '{"healthy":true,"reason":null}\n')
        routes = [r for r in lab.daemon.status()["routes"] if r["last_error"]]
        assert routes and not routes[0]["connected"], lab.daemon.status()["routes"]
        lab.simulator.control(refuse=False)


def test_curl():
    if not shutil.which("curl"):
        raise Skip("no curl")
    with Lab() as lab:
        def curl(*args):
            return subprocess.run(["curl", "-sS", "--unix-socket", lab.daemon.status_path, *args],
                                  capture_output=True, text=True, timeout=harness.START_S, check=True)
        assert json.loads(curl("http://pbxpush/status").stdout)["version"]
        assert curl("http://pbxpush/metrics").stdout.startswith("# HELP ")
        assert "HTTP/1.1 200" in curl("-I", "http://pbxpush/health").stdout
        assert curl("-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", "http://pbxpush/calls",
                    "-o", "/dev/null", "http://pbxpush/x").stdout == "200 1\n404 0\n", "kept alive"


def test_slow_readers_of_metrics():
    """They hold neither the daemon nor each other."""
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        slow = []
        for _ in range(30):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(lab.daemon.status_path))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            slow.append(sock)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        assert lab.daemon.get("/health")[0] == 200
        for sock in slow:
            sock.close()


if __name__ == "__main__":
    harness.main(globals())
