#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`environment`: production, sandbox, and finding out by asking (FAULTS 25)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, App, Lab  # noqa: E402

AUTO = (App(environment="auto"),)
BAD = {"status": 400, "reason": "BadDeviceToken"}


def asked(lab):
    return len(lab.simulator.requests()), len(lab.sandbox.requests())


def state(lab):
    device, = lab.events.ask(event="show", user="1001")["devices"]
    return device["state"], device["environment"]


def call(lab, name):
    reply = lab.events.ask(event="call", call=name, to="1001")
    return reply["verdict"], reply["rule"], reply["devices"][0]


def test_fixed_environments():
    for app, device, expected in (("production", None, (1, 0)), ("sandbox", None, (0, 1)),
                                  ("production", "sandbox", (0, 1)), ("sandbox", "production", (1, 0)),
                                  ("auto", "sandbox", (0, 1))):
        with Lab(apps=(App(environment=app),), sandbox=()) as lab:
            lab.events.ask(event="register", user="1001", token=TOKEN, environment=device)
            assert call(lab, "c")[0] == "push" and asked(lab) == expected, (app, device)
            # what is said is not doubted: no asking elsewhere
            lab.simulator.rule(**BAD)
            lab.sandbox.rule(**BAD)
            assert call(lab, "d")[:2] == ("unreachable", "dead-token")
            assert sum(asked(lab)) == 2, asked(lab)


def test_auto_finds_the_sandbox():
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.simulator.rule(**BAD)
        lab.events.ask(event="register", user="1001", token=TOKEN)
        verdict, rule, device = call(lab, "c")
        assert (verdict, rule, device["result"], device["attempts"]) == ("push", None, "accepted", 2)
        assert asked(lab) == (1, 1) and state(lab) == ("ok", "sandbox")
        uuids = {r["payload"]["uuid"] for r in lab.simulator.requests() + lab.sandbox.requests()}
        assert len(uuids) == 1
        # remembered, in memory and on disk
        assert call(lab, "d")[0] == "push" and asked(lab) == (1, 2)
        lab.restart_daemon()
        lab.client()
        lab.clients.reverse()
        assert call(lab, "e")[0] == "push" and asked(lab) == (1, 3)
        # until the app is installed from the store: then it is the other way round
        lab.simulator.control(clear_rules=True)
        lab.sandbox.rule(**BAD)
        assert call(lab, "f")[0] == "push" and asked(lab) == (2, 4)
        assert state(lab) == ("ok", "production")
        assert call(lab, "g")[0] == "push" and asked(lab) == (3, 4)


def test_both_refuse():
    with Lab(apps=AUTO, sandbox=()) as lab:
        lab.simulator.rule(**BAD)
        lab.sandbox.rule(**BAD)
        lab.events.ask(event="register", user="1001", token=TOKEN)
        verdict, rule, device = call(lab, "c")
        assert (verdict, rule, device["result"]) == ("unreachable", "dead-token", "rejected"), device
        assert asked(lab) == (1, 1) and state(lab)[0] == "dead"
        assert call(lab, "d")[:2] == ("unreachable", "dead-token") and asked(lab) == (1, 1)


def test_only_a_bad_token_is_asked_about():
    with Lab(apps=AUTO, sandbox=()) as lab:
        for number, (status, reason) in enumerate((
                (410, "Unregistered"), (403, "InvalidProviderToken"), (400, "BadTopic"),
                (400, "DeviceTokenNotForTopic"))):
            lab.events.ask(event="forget", user="1001")
            lab.events.ask(event="register", user="1001", token=f"{number:064x}")
            lab.simulator.control(clear_rules=True)
            lab.simulator.rule(status=status, reason=reason)
            assert call(lab, reason)[0] == "unreachable"
            assert asked(lab) == (number + 1, 0), reason


def test_each_environment_has_its_own_connections():
    with Lab(apps=AUTO, sandbox=()) as lab:
        assert lab.sandbox.stats()["accepted"] == 0, "none before one is needed"
        lab.events.ask(event="register", user="1001", token=TOKEN, environment="sandbox")
        assert call(lab, "c")[0] == "push"
        routes = {r["environment"]: r for r in lab.daemon.status()["routes"]}
        assert routes["sandbox"]["connected"] and routes["production"]["connected"], routes
        issued = {r["headers"]["authorization"]["iat"] for r in lab.sandbox.requests()}
        lab.events.ask(event="register", user="1002", token="ab" * 32, environment="production")
        lab.events.ask(event="call", call="d", to="1002")
        issued |= {r["headers"]["authorization"]["iat"] for r in lab.simulator.requests()}
        assert len(issued) == 1, "one provider token a key for both"


if __name__ == "__main__":
    harness.main(globals())
