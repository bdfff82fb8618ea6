#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two teams push over one connection.

APNs binds a connection to the team, the key and the environment of its first push, and refuses
every other: InvalidProviderToken, UnrelatedKeyIdInToken. Right: a pool for each (environment, team,
key), never shared; apps of one key do share one. The status shows one route each.
"""

import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab  # noqa: E402

APPS = (
    App(bundle="com.example.phone"),
    App(bundle="com.example.second", key_id="SECONDKEY1"),  # the same team
    App(bundle="org.example.other", team="OTHERTEAM1", key_id="OTHERKEY01"),
    App(bundle="com.example.test", environment="sandbox"),  # the first one's key
)
SHARES = App(bundle="com.example.shares")  # key and environment of the first


def test_two_teams():
    with Lab(start=False, sandbox=(), violations=0) as lab:
        for app in APPS[1:]:
            lab.simulator.control(app=lab.place.app_spec(app))
            lab.sandbox.control(app=lab.place.app_spec(app))
        lab.simulator.control(app=lab.place.app_spec(SHARES))
        lab.apps = (*APPS, SHARES)
        lab.start_daemon()
        for number, app in enumerate(lab.apps):
            lab.register(user=f"u{number}", token=f"{number:02x}" * 32, app=app)
        calls = [lab.events.post(event="call", call=f"{turn}-{number}", to=f"u{number}")
                 for turn in range(20) for number in range(len(lab.apps))]
        for call in calls:
            reply = lab.events.reply(call)
            assert reply["verdict"] == "push" and reply["devices"][0]["attempts"] == 1, reply

        for simulator, routes in ((lab.simulator, 3), (lab.sandbox, 1)):
            bound, topics = {}, {}
            for line in simulator.requests():
                jwt = line["headers"]["authorization"]
                bound.setdefault(line["connection"], set()).add((jwt["iss"], jwt["kid"]))
                topics.setdefault(jwt["kid"], set()).add(line["headers"]["apns-topic"])
            assert all(len(owners) == 1 for owners in bound.values()), bound
            assert len({min(owners) for owners in bound.values()}) == routes, bound
        routes = [(route["environment"], route["team"], route["key"])
                  for route in lab.daemon.status()["routes"] if route["ready"]]
        assert sorted(routes) == sorted({
            (app.environment, app.team, app.key_id) for app in APPS}), routes


def test_fault_of_one_team_is_its_own():
    """One team's key is revoked: the others go on, and only its route has the alarm."""
    other = APPS[2]
    with Lab(apps=(APPS[0], other), violations=0) as lab:
        lab.register()
        lab.register(user="1002", token="b2" * 32, app=other)
        lab.simulator.rule(token="b2*", status=403, reason="InvalidProviderToken")
        reply = lab.events.ask(event="call", call="bad", to="1002")
        assert reply["devices"][0]["reason"] == "InvalidProviderToken", reply
        reply = lab.events.ask(event="call", call="good", to="1001")
        assert reply["verdict"] == "push", reply
        alarms = {(route["team"], route["environment"]): route["alarm"]
                  for route in lab.daemon.status()["routes"]}
        assert "InvalidProviderToken" in alarms.pop((other.team, "production")), alarms
        assert set(alarms.values()) == {None}, alarms


def test_fault_of_one_app_is_not_mended_by_another():
    """Two apps of one key, and the topic of one is forbidden: its alarm stays, and is told once."""
    other = harness.App(bundle="com.example.second")
    with Lab(apps=(harness.App(), other)) as lab:
        def pushed(user, call):
            return lab.events.ask(event="call", call=call, to=user)["verdict"] == "push"

        lab.register()
        lab.register(user="1002", token="b2" * 32, app=other)
        lab.simulator.rule(token="b2*", status=400, reason="TopicDisallowed", times=3)
        for n in range(3):
            assert not pushed("1002", f"bad-{n}")
            assert pushed("1001", f"good-{n}")
            alarm = lab.daemon.route()["alarm"]
            assert "TopicDisallowed" in alarm and other.bundle in alarm, alarm
        assert lab.daemon.stderr().count("alarm=") == 1
        assert pushed("1002", "good")
        assert lab.daemon.route()["alarm"] is None


def test_each_part_of_the_key_counts():
    """Environments at one address, teams and key ids with one file: a pool each all the same."""
    first = APPS[0]
    apps = (first, App(bundle="com.example.test", environment="sandbox"),
            App(bundle="org.example.other", team="OTHERTEAM1"),
            App(bundle="com.example.third", key_id="SAMEFILE01"))
    with Lab(start=False) as lab:
        for ours, other in zip(lab.place.app_key(first.key_id), lab.place.app_key("SAMEFILE01")):
            shutil.copy(ours, other)
        for app in apps[1:]:
            lab.simulator.control(app=lab.place.app_spec(app))
        lab.apps = apps
        lab.start_daemon()
        for number, app in enumerate(apps):
            lab.register(user=f"u{number}", token=f"{number:02x}" * 32, app=app)
        for number in range(len(apps)):
            assert lab.call(number)["attempts"] == 1
        used = {r["connection"]: r["headers"]["apns-topic"] for r in lab.simulator.requests()}
        assert len(used) == len(apps), used
        routes = [(route["environment"], route["team"], route["key"])
                  for route in lab.daemon.status()["routes"] if route["ready"]]
        assert sorted(routes) == sorted(
            (app.environment, app.team, app.key_id) for app in apps), routes


if __name__ == "__main__":
    harness.main(globals())
