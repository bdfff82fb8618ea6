#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pbxpushctl with the real daemon: what a dialplan and an operator type, and the exit status."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab  # noqa: E402

ALERT_TOKEN = "0f" * 32


def ctl(lab, line, code=0, **options):
    done = lab.ctl(*line.split(), **options)
    assert done.returncode == code, (line, done)
    assert bool(done.stderr) == (code in (2, 65, 75)), (line, done)
    return done.stdout


def test_a_day_at_work():
    with Lab() as lab:
        pushes = lab.simulator.requests
        assert "pong" in ctl(lab, "ping")
        ctl(lab, "call --to 1001 --call c0", 3)
        ctl(lab, f"register --user 1001 --device d --token {TOKEN}")
        ctl(lab, "call --to 1001 --call c1 --from-number +4930 --video --ring-ms 20000")
        payload = pushes()[-1]["payload"]
        assert payload["caller"]["number"] == "+4930" and payload["video"] is True, payload
        assert payload["expires_ms"] - payload["started_ms"] == 20000
        ctl(lab, "call --to 1001 --call c2 --video false --wait verdict --attempt 2")
        assert "ringing" in ctl(lab, "call-state --call c1")
        ctl(lab, "ringing --call c1")
        ctl(lab, "answer --call c1 --to 1001 --device d")
        assert "answered" in ctl(lab, "call-state --call c1")
        ctl(lab, "end --call c1 --reason completed")
        ctl(lab, "call --to 1001 --call c1", 3)
        ctl(lab, "dnd --user 1001 --on true")
        ctl(lab, "call --to 1001 --call c3", 1)
        ctl(lab, "call --to 1001 --call c4 --bypass")
        ctl(lab, "allow --user 1001 --number +4930")
        ctl(lab, "call --to 1001 --call c5 --from-number +4930")
        ctl(lab, "unallow --user 1001 --number +4930")
        ctl(lab, "dnd --user 1001 --on false")
        ctl(lab, "block --user * --number anonymous")
        ctl(lab, "call --to 1001 --call c6 --from-number anonymous", 1)
        ctl(lab, "unblock --user * --number anonymous")
        shown = ctl(lab, "show 1001") + ctl(lab, "show --user 1001 --json")
        assert TOKEN[:8] in shown and TOKEN[:9] not in shown, shown
        ctl(lab, "unregister --user 1001 --device d")
        ctl(lab, "call --to 1001 --call c7 --wait register --wait-ms 100", 3)
        ctl(lab, f"register --user 1001 --device d --alert-token {ALERT_TOKEN} --mode alert")
        ctl(lab, "call --to 1001 --call c8")
        assert pushes()[-1]["token"] == ALERT_TOKEN
        ctl(lab, "forget --user 1001")
        ctl(lab, "call --to 1001 --call c9", 3)
        # what the daemon refuses, and what it never hears
        ctl(lab, "call --to 1001 --call c10 --ring-ms 5", 65)
        ctl(lab, "register --user 1001 --token xyz", 65)
        ctl(lab, "call --to 1001", 2)
        ctl(lab, "call --to 1001 --call c11 --colour red", 2)
        ctl(lab, "nonsense", 2)
        assert len(pushes()) == 6, [p["payload"]["call_id"] for p in pushes()]


def test_operators_questions():
    with Lab() as lab:
        ctl(lab, f"register --user 1001 --device d --token {TOKEN}")
        ctl(lab, "call --to 1001 --call a@b")
        assert lab.app.team in ctl(lab, "status")
        assert json.loads(ctl(lab, "status --json"))["version"]
        assert "a@b" in ctl(lab, "calls")
        story = ctl(lab, "explain a@b")
        assert "200" in story and "push" in story, story
        identity = json.loads(ctl(lab, "call --to 1001 --call a@b --json"))["uuid"]
        assert ctl(lab, f"explain {identity}").count("\n") >= 4
        ctl(lab, "health")
        assert "pbxpush_build_info" in ctl(lab, "metrics")
        assert lab.ctl("explain", "unknown").returncode not in (0, 2)


def test_send():
    with Lab() as lab:
        lines = [{"id": n, "event": "ping"} for n in range(2000)] + [
            {"id": "r", "event": "register", "user": "1001", "token": TOKEN},
            {"id": "c", "event": "call", "call": "c", "to": "1001"}]
        done = lab.ctl("send", stdin="".join(json.dumps(line) + "\n" for line in lines) + "nonsense\n")
        replies = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(replies) == len(lines) + 1, (len(replies), done.stderr)
        by_id = {reply.get("id"): reply for reply in replies}
        assert by_id["c"]["verdict"] == "push" and by_id[None]["error"] == "bad-json"
        assert by_id.keys() == {line["id"] for line in lines} | {None}


def test_names_from_outside():
    """Caller names never become something else, on a command line neither."""
    with Lab() as lab:
        ctl(lab, f"register --user 1001 --device d --token {TOKEN}")
        for number, name in enumerate(('"}\n{"event":"ping"}', "-x", "--video", "$(id)", "\\u0000", "ü🦊",
                                       "'; DROP TABLE", "=")):
            done = lab.ctl("call", "--to", "1001", "--call", f"c{number}", "--from-name", name)
            assert done.returncode == 0, (name, done)
            shown = lab.simulator.requests()[-1]["payload"]["caller"]["name"]
            assert shown == "".join(c for c in name if c >= " "), (name, shown)


def test_without_a_daemon():
    with Lab() as lab:
        lab.daemon.check_end()
        for line in ("call --to 1001 --call c", "ping", "status", "health", "metrics", "calls",
                     "explain c"):
            ctl(lab, line, 75)
        done = lab.ctl("send", stdin='{"event":"ping"}\n')
        assert done.returncode == 75, done


def test_daemon_that_hangs():
    with Lab() as lab:
        lab.daemon.process.send_signal(19)  # SIGSTOP
        ctl(lab, "call --to 1001 --call c --timeout 1", 75)
        ctl(lab, "health --timeout 1", 75)
        lab.daemon.process.send_signal(18)  # SIGCONT


def test_not_permitted():
    with Lab(config={"events": {"admin-users": "65534"}}) as lab:
        ctl(lab, "ping")
        ctl(lab, "dnd --user 1001 --on true", 65)
        ctl(lab, "show 1001", 65)


if __name__ == "__main__":
    harness.main(globals())
