#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The key is rotated, or an app is added to the team, while calls come in.

APNs binds a team's bundle ids at a connection's first push, so that an old connection refuses a new
app (TopicDisallowed), and another key (UnrelatedKeyIdInToken). Right: SIGHUP opens new connections,
the old ones finish what they have and close; no call is lost, none is sent twice. A bad file
changes nothing.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab, wait_until  # noqa: E402

OLD = App()
NEW_KEY = App(key_id="NEWKEY1234")
ADDED = App(bundle="com.example.added")
BURST = 100


def reload(lab, config):
    done = lab.daemon.stderr().count("reloaded")
    lab.daemon.configure(config)
    lab.daemon.reload()
    wait_until(lambda: lab.daemon.stderr().count("reloaded") > done, what="reload")


def burst(lab, name):
    return [lab.events.post(event="call", call=f"{name}{n}", to="1001") for n in range(BURST)]


def check(lab, calls):
    for call in calls:
        reply = lab.events.reply(call, harness.START_S)
        device, = reply["devices"]
        assert (reply["verdict"], device["attempts"]) == ("push", 1), reply


def old_ones_are_closed(lab, connections):
    wait_until(lambda: not connections & {conn["connection"]
                                          for conn in lab.simulator.stats()["open"]},
               what="the old connections are closed")


def test_key_is_rotated():
    with Lab(simulator=("--delay-ms", "100")) as lab:
        lab.simulator.control(app=lab.place.app_spec(NEW_KEY))
        lab.register()
        calls = burst(lab, "before")
        wait_until(lambda: lab.simulator.requests())
        reload(lab, {f"app {OLD.bundle}": {
            "key-id": NEW_KEY.key_id, "key-file": lab.place.app_key(NEW_KEY.key_id)[0]}})
        calls += burst(lab, "after")
        check(lab, calls)
        keys = {}
        for line in lab.simulator.requests():
            keys.setdefault(line["connection"], set()).add(line["headers"]["authorization"]["kid"])
        assert all(len(used) == 1 for used in keys.values()), keys
        assert {min(used) for used in keys.values()} == {OLD.key_id, NEW_KEY.key_id}, keys
        old_ones_are_closed(lab, {n for n, used in keys.items() if OLD.key_id in used})
        check(lab, burst(lab, "later"))
        assert {route["key"] for route in lab.daemon.status()["routes"]} == {NEW_KEY.key_id}
        assert len(lab.simulator.requests()) == 3 * BURST


def test_app_is_added():
    with Lab(simulator=("--delay-ms", "100")) as lab:
        lab.register()
        calls = burst(lab, "before")
        wait_until(lambda: lab.simulator.requests())
        old = {conn["connection"] for conn in lab.simulator.stats()["open"]}
        lab.simulator.control(app=lab.place.app_spec(ADDED))
        reload(lab, {f"app {ADDED.bundle}": lab.daemon.sections[f"app {OLD.bundle}"]})
        lab.register(user="1002", token="b2" * 32, app=ADDED)
        calls.append(lab.events.post(event="call", call="added", to="1002"))
        calls += burst(lab, "after")
        check(lab, calls)
        added, = lab.simulator.requests_to("b2" * 32)
        assert added["connection"] not in old, "an old connection does not know the app"
        old_ones_are_closed(lab, old)


def test_bad_file_changes_nothing():
    with Lab() as lab:
        lab.register()
        check(lab, [lab.events.post(event="call", call="before", to="1001")])
        lab.daemon.configure({f"app {OLD.bundle}": {"key-file": lab.place / "missing.p8"}})
        lab.daemon.reload()
        wait_until(lambda: "nothing has changed" in lab.daemon.stderr())
        assert "missing.p8" in lab.daemon.stderr()
        check(lab, burst(lab, "after"))
        assert lab.simulator.stats()["connections"] == 2


ROTATED = {f"app {OLD.bundle}": {"key-id": NEW_KEY.key_id}}


def rotate(lab):
    ROTATED[f"app {OLD.bundle}"]["key-file"] = lab.place.app_key(NEW_KEY.key_id)[0]
    reload(lab, ROTATED)


# rule of the simulator, the pause before the second attempt
AGAIN = (
    ({"status": 503, "reason": "Shutdown", "delay_ms": 1000}, 0),
    ({"action": "reset-stream", "delay_ms": 1000}, 0),
    ({"status": 429, "reason": "TooManyRequests", "retry_after_s": 2}, 2000),
)


def test_key_is_rotated_while_a_push_needs_another_attempt():
    """What the old connection gives back, or a device's pause holds, goes on with the new key."""
    for rule, pause_ms in AGAIN:
        with Lab() as lab:
            lab.simulator.control(app=lab.place.app_spec(NEW_KEY))
            lab.register()
            lab.simulator.rule(times=1, **rule)
            call = lab.events.post(event="call", call="one", to="1001")
            wait_until(lambda: lab.simulator.requests(), what="the first attempt")
            if pause_ms:
                wait_until(lambda: lab.daemon.route()["queued"] == 1, what="the pause")
            rotate(lab)
            device, = lab.events.reply(call)["devices"]
            assert (device["result"], device["attempts"]) == ("accepted", 2), (rule, device)
            assert device["ms"] < 3500, f"on its way at once, not with the next event: {device}"
            first, second = lab.simulator.requests()
            assert first["apns_id"] == second["apns_id"], rule
            assert [line["headers"]["authorization"]["kid"] for line in (first, second)] == [
                OLD.key_id, NEW_KEY.key_id], rule
            assert second["ms"] - first["ms"] >= pause_ms, rule


def test_file_is_replaced_under_its_name():
    """It held a wrong key, and nothing in the configuration changes: it is read again."""
    with Lab(start=False, violations=None) as lab:
        file = lab.place.app_key(OLD.key_id)[0]
        right = file.read_bytes()
        lab.place.key(file)
        lab.start_daemon()
        lab.register()
        reply = lab.events.ask(event="call", call="before", to="1001")
        assert reply["devices"][0]["reason"] == "InvalidProviderToken", reply
        file.write_bytes(right)
        reload(lab, {})
        check(lab, [lab.events.post(event="call", call="after", to="1001")])


def test_more_connections():
    """The old ones are as good as ever: they stay."""
    with Lab() as lab:
        lab.daemon.wait_connected(2)
        reload(lab, {"apns": {"connections": 4}})
        lab.daemon.wait_connected(4)
        assert lab.simulator.stats()["connections"] == 4


if __name__ == "__main__":
    harness.main(globals())
