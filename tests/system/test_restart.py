#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What survives the end of the daemon, an orderly one and kill -9."""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab, wait_until  # noqa: E402

ALERT_TOKEN = "0f" * 32
DEAD_TOKEN = "dd" * 32


def ends(lab):
    """Both ways of ending, and the start after each."""
    yield lab.restart_daemon
    def kill_and_start():
        lab.daemon.send_signal(signal.SIGKILL)
        lab.daemon.process.wait()
        assert lab.daemon.events_path.exists(), "the dead sockets stay"
        lab.start_daemon()
    yield kill_and_start


def test_directory_is_kept():
    with Lab() as lab:
        ask = lab.events.ask
        ask(event="register", user="1001", device="a", token=TOKEN, contact="sip:1001@10.0.0.1")
        ask(event="register", user="1001", device="b", alert_token=ALERT_TOKEN, mode="alert",
            environment="sandbox")
        ask(event="register", user="1002@t.example.com", device="c", token=DEAD_TOKEN)
        lab.simulator.rule(token=DEAD_TOKEN, status=410, reason="Unregistered")
        assert ask(event="call", call="c", to="1002@t.example.com")["rule"] == "dead-token"
        until_ms = int(time.time() * 1000) + 3600_000
        for event in (
                {"event": "dnd", "user": "1001", "on": True, "until_ms": until_ms},
                {"event": "dnd", "user": "1001", "device": "b", "on": True},
                {"event": "block", "user": "1001", "number": "+4990*"},
                {"event": "block", "user": "*", "number": "anonymous"},
                {"event": "block", "user": "*@t.example.com", "number": "+491"},
                {"event": "allow", "user": "1001", "number": "+4990123"},
                {"event": "block", "user": "1001", "number": "+492"},
                {"event": "unblock", "user": "1001", "number": "+492"},
                {"event": "register", "user": "1003", "device": "gone", "token": "ab" * 32},
                {"event": "forget", "user": "1003", "device": "gone"}):
            assert ask(**event)["ok"], event
        users = ("1001", "1002@t.example.com", "1003", "*", "*@t.example.com")

        def everything():
            client = lab.client()
            shown = [client.ask(event="show", user=user) for user in users]
            for reply in shown:
                del reply["id"]
                for device in reply["devices"]:
                    # presence is the registrar's knowledge, not the directory's
                    device.pop("registered")
            return shown

        before = everything()
        assert [d["state"] for d in before[1]["devices"]] == ["dead"], before
        assert before[0]["dnd_until_ms"] == until_ms and before[2]["devices"] == [], before
        for end in ends(lab):
            end()
            assert everything() == before
            client = lab.client()
            number = {"from": {"number": "+4990123"}}
            call = {"event": "call", "call": f"again {end}", "to": "1001"}
            assert client.ask(**call)["rule"] == "dnd"
            assert client.ask(**call | {"call": f"allowed {end}"}, **number)["verdict"] == "push"


def test_reply_means_on_disk():
    """A phone whose registration was answered is known after the hardest end."""
    with Lab() as lab:
        client = lab.client()
        for number in range(200):
            client.post(event="register", user=f"u{number}", token=f"{number:064x}")
        answered = []
        while len(answered) < 50:
            answered.append(client.read()["device"])
        lab.daemon.send_signal(signal.SIGKILL)
        lab.daemon.process.wait()
        while (reply := client.read()) is not None:
            answered.append(reply["device"])
        lab.start_daemon()
        client = lab.client()
        known = {d["device"] for number in range(200)
                 for d in client.ask(event="show", user=f"u{number}")["devices"]}
        assert set(answered) <= known, set(answered) - known


def test_provider_token_is_kept():
    """A daemon that starts over and over must not look like one that asks for ever new tokens."""
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        for number, end in enumerate((lambda: None, *ends(lab), *ends(lab))):
            end()
            assert lab.client().ask(event="call", call=f"c{number}", to="1001")["verdict"] == "push"
            if not number:
                # time passes, so that a new token would be another one
                issued_s = int(time.time())
                wait_until(lambda: int(time.time()) > issued_s)
        issued = [r["headers"]["authorization"]["iat"] for r in lab.simulator.requests()]
        assert len(issued) == 5 and len(set(issued)) == 1, issued
        assert lab.simulator.stats()["tokens"] == 1


def test_stored_token_that_is_broken():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        before = {p for p in lab.place.path.rglob("*") if p.is_file()}
        stored = [p for p in before if p.stat().st_size < 8192 and b"eyJ" in p.read_bytes()]
        assert len(stored) == 1, stored
        for text in (b"", b"nonsense\n", stored[0].read_bytes()[:-40], b"\xff" * 5000):
            lab.daemon.check_end()
            stored[0].write_bytes(text)
            lab.start_daemon()
            reply = lab.client().ask(event="call", call=f"c{len(text)}", to="1001")
            assert reply["verdict"] == "push", (text, reply)


def test_broken_database():
    """It says so and does not start, rather than forget every phone."""
    with Lab(start=False) as lab:
        (lab.place / "directory.db").write_bytes(b"this is no database" * 1000)
        try:
            lab.start_daemon()
        except AssertionError as error:
            assert "directory.db" in str(error), error
        else:
            raise AssertionError("it started")
        assert (lab.place / "directory.db").read_bytes().startswith(b"this is no database")


if __name__ == "__main__":
    harness.main(globals())
