#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`register`, `unregister`, `forget`: which phones the daemon knows, and under which token (CONTRACT 2.2)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab  # noqa: E402

A, B, C = "a1" * 32, "b2" * 32, "c3" * 32
APP = App()
PARAM = f"{APP.team}.{APP.bundle}"


def contact(prid, param=PARAM + ".voip", provider="apns", more=""):
    return (f'"X" <sip:1001@10.0.0.1:5060;pn-provider={provider};pn-param={param};'
            f"pn-prid={prid}>;expires=600{more}")


def register(lab, **fields):
    reply = lab.events.ask(event="register", **({"user": "1001"} | fields))
    assert reply["ok"], reply
    return reply


def shown(lab, user="1001"):
    return {d["device"]: d for d in lab.events.ask(event="show", user=user)["devices"]}


def targets(lab, name, user="1001"):
    """What a call pushes to: [(token, push type)]."""
    before = len(lab.simulator.requests())
    lab.events.ask(event="call", call=name, to=user)
    return sorted((r["token"], r["headers"]["apns-push-type"])
                  for r in lab.simulator.requests()[before:])


# name, fields of the register event, what its reply holds, what a call then pushes to
FORMS = (
    ("token", {"token": A.upper(), "device": "d"}, {"stored": True, "device": "d"}, [(A, "voip")]),
    ("no name", {"token": A}, {"stored": True, "device": f"token-{A[:8]}"}, [(A, "voip")]),
    ("pn", {"pn": {"provider": "apns", "param": PARAM + ".voip", "prid": A}},
     {"stored": True}, [(A, "voip")]),
    ("contact", {"contact": contact(A)}, {"stored": True}, [(A, "voip")]),
    ("bare uri", {"contact": f"sip:1@h;pn-provider=apns;pn-param={PARAM}.voip;pn-prid={A}"},
     {"stored": True}, [(A, "voip")]),
    ("instance", {"contact": contact(A, more=';+sip.instance="<urn:uuid:0000-1>"')},
     {"stored": True, "device": "urn:uuid:0000-1"}, [(A, "voip")]),
    ("linphone", {"contact": contact(f"{B}:remote&{A}:voip", PARAM + ".remote&voip")},
     {"stored": True}, [(A, "voip")]),
    ("percent", {"contact": contact(f"{B}%3Aremote%26{A}%3Avoip", PARAM + ".remote%26voip")},
     {"stored": True}, [(A, "voip")]),
    ("remote only", {"contact": contact(B, PARAM + ".remote")}, {"stored": True}, [(B, "alert")]),
    ("no service", {"contact": contact(B, PARAM)}, {"stored": True}, [(B, "alert")]),
    ("both fields", {"token": A, "alert_token": B}, {"stored": True}, [(A, "voip")]),
    ("alert mode", {"token": A, "alert_token": B, "mode": "alert"}, {"stored": True}, [(B, "alert")]),
    ("other team", {"contact": contact(A, f"OTHERTEAM1.{APP.bundle}.voip")},
     {"stored": False, "reason": "unknown-app"}, []),
    ("other app", {"contact": contact(A, f"{APP.team}.com.example.other.voip")},
     {"stored": False, "reason": "unknown-app"}, []),
    ("other app's name", {"token": A, "app": "com.example.other"},
     {"stored": False, "reason": "unknown-app"}, []),
    ("firebase", {"contact": contact("abc:def", "project", "fcm")},
     {"stored": False, "reason": "unsupported-provider"}, []),
    ("query", {"contact": "<sip:1001@10.0.0.1;pn-provider=apns>"},
     {"stored": False, "reason": "no-push-data"}, []),
    ("desk phone", {"contact": "<sip:1001@10.0.0.1>"}, {"stored": False, "reason": "no-push-data"}, []),
)


def test_forms_of_push_data():
    with Lab() as lab:
        for name, fields, expected, pushes in FORMS:
            reply = register(lab, **fields)
            assert expected.items() <= reply.items(), (name, reply)
            assert reply["feature_caps"] == '*;+sip.pns="apns"', reply
            assert ("token_state" in reply) and (reply["token_state"] == "ok") == bool(pushes), reply
            assert targets(lab, name) == pushes, name
            lab.events.ask(event="forget", user="1001")
            assert shown(lab) == {}, name


def test_sandbox_parameter():
    with Lab(sandbox=()) as lab:
        register(lab, contact=contact(A, provider="apns.dev"))
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        assert [r["token"] for r in lab.sandbox.requests()] == [A] and not lab.simulator.requests()


def test_desk_phone():
    """A desk phone that is registered needs no push."""
    with Lab() as lab:
        register(lab, contact="<sip:1001@10.0.0.1>;expires=60")
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert reply["verdict"] == "registered" and not lab.simulator.requests(), reply
        register(lab, contact="<sip:1001@10.0.0.1>;expires=0")
        reply = lab.events.ask(event="call", call="d", to="1001")
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "no-device"), reply


def test_tokens_move():
    with Lab() as lab:
        register(lab, device="d", token=A)
        register(lab, device="d", token=B)
        assert targets(lab, "new token") == [(B, "voip")]
        register(lab, device="e", token=B)
        assert list(shown(lab)) == ["e"], "renamed"
        # a REGISTER that lacks one of two tokens erases neither
        register(lab, device="e", alert_token=C)
        register(lab, device="e", contact="<sip:1001@10.0.0.1>")
        assert targets(lab, "both kept") == [(B, "voip")]
        register(lab, device="e", mode="alert", alert_token=C)
        assert targets(lab, "the other one") == [(C, "alert")]
        # several accounts on one phone
        reply = register(lab, user="1002", device="e", token=B)
        assert "moved_from" not in reply and targets(lab, "shared", "1002") == [(B, "voip")]
        assert len(shown(lab)) == 1


def test_one_account_only():
    with Lab(config={f"app {APP.bundle}": {"accounts": "one"}}) as lab:
        register(lab, device="d", token=A)
        reply = register(lab, user="1002", device="d", token=A)
        assert reply["moved_from"] == "1001", reply
        assert targets(lab, "old") == [] and targets(lab, "new", "1002") == [(A, "voip")]


def test_unregister():
    log_out = "<sip:1001@10.0.0.1;pn-provider=apns>;expires=0"
    # how, and whether the token stays
    table = (
        ({"event": "unregister", "device": "d"}, True),
        ({"event": "unregister", "contact": contact(A)}, True),
        ({"event": "unregister"}, True),
        ({"event": "register", "device": "d", "expires_s": 0}, True),
        ({"event": "register", "contact": contact(A).replace("600", "0")}, True),
        ({"event": "register", "contact": "*"}, True),
        ({"event": "register", "contact": "*", "expires_s": 0}, True),
        ({"event": "unregister", "device": "d", "forget": True}, False),
        ({"event": "unregister", "device": "d", "contact": log_out}, False),
        ({"event": "forget", "device": "d"}, False),
        ({"event": "forget", "token": A.upper(), "user": None}, False),
        ({"event": "forget"}, False),
    )
    with Lab() as lab:
        for number, (event, stays) in enumerate(table):
            register(lab, device="d", contact=contact(A))
            register(lab, user="1002", device="x", token=B)
            assert shown(lab)["d"]["registered"] is True
            reply = lab.events.ask(**{"user": "1001"} | event)
            assert reply["ok"], (event, reply)
            assert [d["registered"] for d in shown(lab).values()] == [False] * stays, (event, shown(lab))
            assert targets(lab, f"c{number}") == ([(A, "voip")] if stays else []), event
            assert targets(lab, f"d{number}", "1002") == [(B, "voip")], (event, "not others")


def test_unregister_releases_nobody():
    with Lab() as lab:
        register(lab, device="d", token=A)
        waiting = lab.events.post(event="call", call="c", to="1001", wait="register")
        harness.wait_until(lambda: lab.simulator.requests())
        other = lab.client()
        for event in ({"event": "unregister", "device": "d"},
                      {"event": "register", "device": "d", "expires_s": 0},
                      {"event": "register", "contact": "*"},
                      {"event": "register", "device": "d", "token": A, "sip": False}):
            assert other.ask(user="1001", **event)["ok"]
        assert lab.events.ask(event="ping")["ok"] and waiting not in lab.events.replies
        other.ask(event="register", user="1001", device="d")
        assert lab.events.reply(waiting)["verdict"] == "registered"


def test_at_most_so_many_devices():
    with Lab(config={"directory": {"max-devices": 3}}) as lab:
        for number in range(5):
            register(lab, device=f"d{number}", token=f"{number:064x}")
        assert sorted(shown(lab)) == ["d2", "d3", "d4"], "the longest unseen went first"


def test_show():
    with Lab() as lab:
        register(lab, device="d", token=A)
        device = shown(lab)["d"]
        assert {"device": "d", "app": APP.bundle, "token": A[:8], "mode": "voip",
                "environment": "production", "state": "ok", "registered": True}.items() <= device.items()
        reply = lab.events.ask(event="show", user="1001")
        assert {"devices", "dnd", "schedule", "blocks", "allows", "mutes"} <= reply.keys(), reply
        assert A[:9] not in str(reply)


def test_several_apps_need_a_name():
    with Lab(apps=(App(), App(bundle="com.example.two"))) as lab:
        reply = lab.events.ask(event="register", user="1001", token=A)
        assert (reply["ok"], reply["error"], reply["field"]) == (False, "missing-field", "app"), reply
        register(lab, token=A, app="com.example.two")
        register(lab, contact=contact(B))
        assert targets(lab, "c") == [(A, "voip"), (B, "voip")]
        topics = {r["headers"]["apns-topic"] for r in lab.simulator.requests()}
        assert topics == {APP.bundle + ".voip", "com.example.two.voip"}


if __name__ == "__main__":
    harness.main(globals())
