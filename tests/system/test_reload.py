#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGHUP: what changes, what does not, and what happens to calls meanwhile."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, App, Events, Lab, wait_until  # noqa: E402

OTHER = App(bundle="com.example.other", team="OTHERTEAM1", key_id="OTHERKEY01")
NEW_KEY = App(key_id="NEWKEY0001")


def reload(lab, config=None, good=True):
    """Reloads and waits for what the daemon says about it; returns the new part of the log."""
    before = len(lab.daemon.stderr())
    lab.daemon.configure(config or {})
    lab.daemon.reload()
    text = ": reloaded" if good else "not reloaded, nothing has changed"
    wait_until(lambda: text in lab.daemon.stderr()[before:], what=text)
    return lab.daemon.stderr()[before:]


def section(lab, app):
    return {f"app {app.bundle}": {
        "team-id": app.team, "key-id": app.key_id, "environment": app.environment,
        "key-file": lab.place.app_key(app.key_id)[0]}}


def test_bad_file_changes_nothing():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        good = lab.daemon.config_path.read_text()
        said = reload(lab, {"events": {"socket": lab.place / "elsewhere.sock", "max-line": "lots"},
                            "nonsense": {"a": "b"}}, good=False)
        for words in ('max-line = "lots"', "[nonsense]", "pbxpush.conf:"):
            assert words in said, (words, said)
        assert lab.events.ask(event="call", call="c1", to="1001")["verdict"] == "push"
        assert lab.client().ask(event="ping")["event"] == "pong"
        assert not (lab.place / "elsewhere.sock").exists()
        lab.daemon.config_path.unlink()
        lab.daemon.reload()
        wait_until(lambda: lab.daemon.stderr().count("not reloaded") == 2)
        assert lab.events.ask(event="call", call="c2", to="1001")["verdict"] == "push"
        lab.daemon.config_path.write_text(good)
        lab.daemon.reload()
        wait_until(lambda: ": reloaded" in lab.daemon.stderr())


def test_what_fails_late_changes_nothing():
    """A file without faults whose socket cannot be had: everything stays as it was."""
    with Lab(apps=(App(), OTHER)) as lab:
        (lab.place / "taken.sock").write_text("precious")
        for change in ({"status": {"socket": lab.place / "taken.sock"}},
                       {"events": {"socket": lab.place / "taken.sock"}}):
            said = reload(lab, change | {"daemon": {"log-level": "debug"},
                                         f"app {OTHER.bundle}": {"environment": "sandbox"}}, good=False)
            assert "taken.sock" in said, said
            lab.daemon.configure({"status": {"socket": lab.daemon.status_path},
                                  "events": {"socket": lab.daemon.events_path}})
        assert lab.client().ask(event="ping")["event"] == "pong"
        assert lab.daemon.get("/health")[0] == 200
        assert " debug " not in lab.daemon.stderr()
        assert (lab.place / "taken.sock").read_text() == "precious"
        reply = lab.events.ask(event="register", user="1", app=OTHER.bundle, token=TOKEN)
        assert reply["stored"]
        assert lab.events.ask(event="call", call="c", to="1")["verdict"] == "push"
        assert lab.simulator.requests()[-1]["headers"]["apns-topic"] == OTHER.bundle + ".voip"


def test_log_level():
    with Lab() as lab:
        lab.client().ask(event="ping")
        assert " debug " not in lab.daemon.stderr()
        reload(lab, {"daemon": {"log-level": "debug"}})
        lab.client().close()
        wait_until(lambda: " debug " in lab.daemon.stderr())
        reload(lab, {"daemon": {"log-level": "notice"}})
        lab.events.ask(event="call", call="quiet", to="1001")
        assert "call=quiet" not in lab.daemon.stderr()


def test_new_app():
    with Lab(apps=(App(), OTHER), start=False) as lab:
        lab.apps = (App(),)
        lab.start_daemon()
        event = {"event": "register", "user": "1001", "app": OTHER.bundle, "token": TOKEN}
        reply = lab.events.ask(**event | {"user": "1002"})
        assert (reply["stored"], reply["reason"]) == (False, "unknown-app"), reply
        reload(lab, section(lab, OTHER))
        assert lab.events.ask(**event)["stored"] is True
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        headers = lab.simulator.requests()[-1]["headers"]
        assert headers["apns-topic"] == OTHER.bundle + ".voip"
        assert headers["authorization"]["iss"] == OTHER.team
        # and away again: known phones stay, and cannot be pushed to
        lab.daemon.sections.pop(f"app {OTHER.bundle}")
        reload(lab)
        reply = lab.events.ask(event="call", call="d", to="1001")
        assert reply["verdict"] == "unreachable", reply
        assert [(d["result"], d["reason"]) for d in reply["devices"]] == [("skipped", "unknown-app")]


def test_new_key_loses_no_call():
    with Lab(apps=(App(), NEW_KEY), start=False) as lab:
        lab.apps = (App(),)
        lab.start_daemon()
        for number in range(20):
            lab.events.ask(event="register", user=f"u{number}", token=f"{number:064x}")
        assert lab.events.ask(event="call", call="warm", to="u0")["verdict"] == "push"
        lab.simulator.control(delay_ms=400)
        calls = [lab.events.post(event="call", call=f"c{n}", to=f"u{n}") for n in range(20)]
        wait_until(lambda: len(lab.simulator.requests()) >= 2, what="a push in flight")
        reload(lab, section(lab, NEW_KEY))
        calls += [lab.events.post(event="call", call=f"d{n}", to=f"u{n}") for n in range(20)]
        replies = [lab.events.reply(call, 30) for call in calls]
        assert all(r["verdict"] == "push" and r["devices"][0]["result"] == "accepted"
                   for r in replies), replies
        requests = lab.simulator.requests()
        pushed = [(r["payload"]["call_id"], r["token"]) for r in requests]
        assert len(pushed) == len(set(pushed)) == 41, "each once"
        for request in requests:
            if request["payload"]["call_id"].startswith("d"):
                assert request["headers"]["authorization"]["kid"] == NEW_KEY.key_id, request
        # never two keys on one connection
        keys = {(r["connection"], r["headers"]["authorization"]["kid"]) for r in requests}
        assert len(keys) == len({connection for connection, _ in keys}), keys


def test_changed_socket_paths():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", device="d", token=TOKEN)
        waiting = lab.events.post(event="call", call="c", to="1001", wait="register")
        wait_until(lambda: lab.simulator.requests())
        old = lab.daemon.events_path, lab.daemon.status_path
        new = lab.place / "new-events.sock", lab.place / "new-status.sock"
        reload(lab, {"events": {"socket": new[0]}, "status": {"socket": new[1]}})
        lab.daemon.events_path, lab.daemon.status_path = new
        assert not any(map(os.path.lexists, old)) and all(map(os.path.lexists, new))
        client = lab.client()
        client.ask(event="register", user="1001", device="d", contact="sip:x@10.0.0.1")
        assert lab.events.reply(waiting)["verdict"] == "registered", "the old client is still heard"
        assert lab.events.ask(event="ping")["event"] == "pong"
        assert lab.daemon.get("/health")[0] == 200
        assert lab.daemon.stop() == 0
        assert not any(map(os.path.lexists, new))


def test_limits_change():
    with Lab() as lab:
        big = {"event": "ping", "pad": "x" * 5000}
        lab.events.send(big)
        assert lab.events.read()["event"] == "pong"
        reload(lab, {"events": {"max-line": "2k", "max-clients": 2}, "calls": {"ring-timeout": "7s"}})
        lab.events.send(big)
        assert lab.events.read()["error"] == "too-long"
        client = lab.client()
        assert client.ask(event="ping")["event"] == "pong"
        late = Events(lab.daemon.events_path)
        assert late.read()["error"] == "overloaded"
        late.close()
        client.ask(event="register", user="1001", token=TOKEN)
        client.ask(event="call", call="c", to="1001")
        payload = lab.simulator.requests()[-1]["payload"]
        assert payload["expires_ms"] - payload["started_ms"] == 7000


def test_timeouts_reach_open_connections():
    with Lab(config={"apns": {"response-timeout": "60s"}}) as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        lab.simulator.rule(times=1, action="silent")
        call = lab.events.post(event="call", call="d", to="1001")
        wait_until(lambda: len(lab.simulator.requests()) == 2, what="a push in flight")
        reload(lab, {"apns": {"response-timeout": "500ms"}})
        device = lab.events.reply(call)["devices"][0]
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        # Nothing else than the timeout ended it.
        assert [e["detail"] for e in lab.simulator.events("stream-closed")] == ["CANCEL"]


def test_other_push_service():
    """New endpoints take effect without a restart, old connections are given up."""
    with Lab(sandbox=()) as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        second = harness.Simulator(lab.place, apps=lab.apps, name="second")
        try:
            reload(lab, {"apns": {"production": second.address}})
            assert lab.events.ask(event="call", call="d", to="1001")["verdict"] == "push"
            assert [r["payload"]["call_id"] for r in second.requests()] == ["d"]
            wait_until(lambda: not lab.simulator.stats()["open"], what="old connections end")
        finally:
            second.close_control()
            second.stop()


def test_directory_path_needs_a_restart():
    with Lab() as lab:
        said = reload(lab, {"directory": {"path": lab.place / "other.db"}})
        assert "[directory] path" in said and "restart" in said, said
        assert not (lab.place / "other.db").exists()


def test_many_reloads():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        for number in range(20):
            lab.daemon.configure({"apns": {"connections": 1 + number % 3}})
            lab.daemon.reload()
            assert lab.events.ask(event="call", call=f"c{number}", to="1001")["verdict"] == "push"
        reload(lab)
        assert len(lab.simulator.requests()) == 20


if __name__ == "__main__":
    harness.main(globals())
