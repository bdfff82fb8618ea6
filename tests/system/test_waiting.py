#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls that live for a while: wait modes, duplicates, several phones, and how a call ends."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

A, B, C = "a1" * 32, "b2" * 32, "c3" * 32
# Where a push stays without answer, the end of the test need not wait for it.
IMPATIENT = {"daemon": {"drain-timeout": "0s"}}


def register(lab, device, token, user="1001", **fields):
    reply = lab.events.ask(event="register", user=user, device=device, token=token, **fields)
    assert reply["stored"], reply


def come(lab, device, user="1001", **fields):
    """The phone's REGISTER after it was woken."""
    return lab.client().ask(event="register", user=user, device=device,
                            contact=f"sip:{user}@10.0.0.1;d={device}", **fields)


def call(lab, name, to="1001", **fields):
    return lab.events.post(event="call", call=name, to=to, **fields)


def results(reply):
    return {d["device"]: (d["result"], d["reason"]) for d in reply["devices"]}


def pushed(lab, count):
    wait_until(lambda: len(lab.simulator.requests()) >= count, what=f"{count} pushes")
    return [request["token"] for request in lab.simulator.requests()]


def test_wait_for_the_verdict():
    with Lab(config=IMPATIENT) as lab:
        register(lab, "a", A)
        lab.simulator.rule(action="silent")
        reply = lab.events.ask(event="call", call="c", to="1001", wait="verdict")
        assert (reply["verdict"], results(reply)) == ("push", {"a": ("pending", None)}), reply
        assert pushed(lab, 1) == [A]


def test_wait_for_the_register():
    with Lab() as lab:
        register(lab, "a", A)
        waiting = call(lab, "c", wait="register")
        # the answer, not the push alone: a REGISTER before it finds the push pending
        wait_until(lambda: lab.daemon.metric("pbxpush_pushes_total", result="accepted"))
        known = come(lab, "a")["calls"]
        reply = lab.events.reply(waiting)
        assert reply["verdict"] == "registered"
        assert results(reply) == {"a": ("accepted", None)}, reply
        registered = reply["registered"]
        assert registered["device"] == "a" and registered["contact"] == "sip:1001@10.0.0.1;d=a"
        assert isinstance(registered["wake_ms"], int)
        assert [(c["call"], c["uuid"], c["state"]) for c in known] == [("c", reply["uuid"], "ringing")]
        assert known[0]["expires_ms"] and known[0]["ended_ms"] is None and known[0]["device"] is None
        assert lab.daemon.metric("pbxpush_wake_seconds_count") == 1


def test_wait_until_time_is_up():
    with Lab() as lab:
        register(lab, "a", A)
        reply = lab.events.ask(event="call", call="c", to="1001", wait="register", wait_ms=200)
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "no-register"), reply
        # the call lives on: the phone still comes, and a duplicate hears of it
        assert come(lab, "a")["calls"][0]["state"] == "ringing"
        reply = lab.events.ask(event="call", call="c", to="1001", wait="register")
        assert reply["verdict"] == "registered" and reply["duplicate"] is True, reply
        # the deadline ends it for good
        reply = lab.events.ask(event="call", call="d", to="1001", ring_ms=1000, wait="register")
        assert (reply["verdict"], reply["rule"]) == ("unreachable", "no-register"), reply
        wait_until(lambda: lab.events.ask(event="call-state", call="d")["state"] == "timeout")
        reply = lab.events.ask(event="call", call="d", to="1001")
        assert (reply["verdict"], reply["rule"], reply["duplicate"]) == ("ended", "timeout", True), reply
        assert len(lab.simulator.requests()) == 2


def test_another_phone_does_not_release():
    with Lab() as lab:
        register(lab, "a", A)
        register(lab, "b", B)
        lab.simulator.rule(token=B, status=410, reason="Unregistered", timestamp=2**42)
        waiting = call(lab, "c", wait="register")
        pushed(lab, 2)

        def states():
            return {d["device"]: d["state"]
                    for d in lab.events.ask(event="show", user="1001")["devices"]}

        # a known phone that is not being woken, and somebody else's
        wait_until(lambda: states() == {"a": "ok", "b": "dead"}, what="b is dead")
        come(lab, "b")
        come(lab, "a", user="1002")
        assert lab.events.ask(event="ping")["ok"] and waiting not in lab.events.replies
        come(lab, "a")
        assert lab.events.reply(waiting)["registered"]["device"] == "a"


def test_a_phone_without_a_name_releases():
    with Lab() as lab:
        register(lab, "a", A)
        waiting = call(lab, "c", wait="register")
        pushed(lab, 1)
        lab.client().ask(event="register", user="1001")
        reply = lab.events.reply(waiting)
        assert (reply["verdict"], reply["registered"]["device"]) == ("registered", None), reply


def test_a_token_or_prid_identifies():
    with Lab() as lab:
        register(lab, "a", A)
        for name, fields in (("c1", {"token": A.upper()}), ("c2", {
                "pn": {"provider": "apns", "prid": A,
                       "param": f"{lab.app.team}.{lab.app.bundle}.voip"}})):
            waiting = call(lab, name, wait="register")
            pushed(lab, int(name[1]))
            lab.client().ask(event="register", user="1001", **fields)
            assert lab.events.reply(waiting)["verdict"] == "registered"


def test_several_phones():
    with Lab() as lab:
        register(lab, "a", A)
        register(lab, "b", B)
        register(lab, "c", C)
        lab.simulator.rule(token=B, status=400, reason="BadDeviceToken")
        lab.simulator.rule(token=C, status=403, reason="InvalidProviderToken")
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert reply["verdict"] == "push" and results(reply) == {
            "a": ("accepted", None), "b": ("rejected", "BadDeviceToken"),
            "c": ("rejected", "InvalidProviderToken")}, reply
        assert sorted(pushed(lab, 3)) == [A, B, C]
        # a dialplan that runs one leg a phone asks for each; nothing is pushed twice
        for device, verdict, rule in (("a", "push", None), ("b", "unreachable", "dead-token"),
                                      ("c", "unreachable", "push-failed"),
                                      ("x", "unreachable", "no-device")):
            reply = lab.events.ask(event="call", call="c", to="1001", device=device)
            assert (reply["verdict"], reply["rule"], reply["duplicate"]) == (verdict, rule, True), reply
            assert list(results(reply)) == ([device] if device != "x" else []), reply
        assert len(lab.simulator.requests()) == 3


def test_a_slow_phone_stands_as_pending():
    """Once one phone is accepted, the others get half a second more."""
    with Lab(config=IMPATIENT) as lab:
        register(lab, "a", A)
        register(lab, "b", B)
        lab.simulator.rule(token=B, action="silent")
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert results(reply) == {"a": ("accepted", None), "b": ("pending", None)}, reply


def test_two_calls_at_once():
    with Lab() as lab:
        register(lab, "a", A)
        first = call(lab, "c1", wait="register", **{"from": {"number": "+491"}})
        second = call(lab, "c2", wait="register", **{"from": {"number": "+492"}})
        assert pushed(lab, 2) == [A, A]
        uuids = {r["payload"]["uuid"]: r["payload"]["caller"]["number"]
                 for r in lab.simulator.requests()}
        assert len(uuids) == 2 and sorted(uuids.values()) == ["+491", "+492"], uuids
        assert len(come(lab, "a")["calls"]) == 2
        replies = [lab.events.reply(first), lab.events.reply(second)]
        assert [r["verdict"] for r in replies] == ["registered"] * 2
        assert lab.events.ask(event="end", call="c1")["known"] is True
        assert lab.events.ask(event="call-state", call="c2")["state"] == "ringing"


def test_duplicates_push_nothing():
    with Lab() as lab:
        register(lab, "a", A)
        register(lab, "a2", B, user="1002")
        replies = [lab.events.reply(event) for event in [call(lab, "c") for _ in range(50)]]
        assert sum("duplicate" in reply for reply in replies) == 49
        assert {reply["uuid"] for reply in replies} == {replies[0]["uuid"]}
        # policy is not asked again; another user and another attempt are other calls
        lab.events.ask(event="dnd", user="1001", on=True)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        assert lab.events.ask(event="call", call="c", to="1001", attempt=2)["rule"] == "dnd"
        assert lab.events.ask(event="call", call="c", to="1002")["verdict"] == "push"
        assert pushed(lab, 2) == [A, B]


def test_one_phone_under_two_users():
    with Lab() as lab:
        register(lab, "a", A)
        register(lab, "a", A, user="1002")
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        reply = lab.events.ask(event="call", call="c", to="1002")
        assert reply["verdict"] == "push" and results(reply) == {"a": ("skipped", "same-phone")}, reply
        assert lab.events.ask(event="call", call="d", to="1002")["verdict"] == "push"
        assert pushed(lab, 2) == [A, A]


def test_ends():
    table = (
        ({"event": "answer"}, "answered"), ({"event": "end"}, "cancelled"),
        ({"event": "end", "reason": "declined"}, "declined"),
        ({"event": "end", "reason": "timeout"}, "timeout"),
        ({"event": "end", "reason": "completed"}, "completed"),
        ({"event": "answer", "to": "1001"}, "answered"), ({"event": "end", "to": "1001"}, "cancelled"))
    with Lab() as lab:
        register(lab, "a", A)
        for number, (end, state) in enumerate(table):
            name = f"c{number}"
            waiting = call(lab, name, wait="register")
            pushed(lab, number + 1)
            reply = lab.client().ask(call=name, **end)
            assert reply["known"] is True, reply
            reply = lab.events.reply(waiting)
            assert (reply["verdict"], reply["rule"]) == ("ended", state), (end, reply)
            assert lab.events.ask(event="call-state", call=name)["state"] == state
            assert lab.events.ask(event="call-state", uuid=reply["uuid"])["state"] == state
            # the late phone hears what became of it
            states = {c["call"]: c for c in come(lab, "a")["calls"]}
            assert states[name]["state"] == state, states
            assert (states[name]["ended_ms"] is None) == (state == "answered"), states
            lab.events.ask(event="end", call=name)


def test_end_before_the_push_is_written():
    """The one stream of a cold connection is taken: what waits behind it is withdrawn."""
    with Lab(config={"apns": {"connections": 1, "max-connections": 1}}) as lab:
        register(lab, "a", A)
        register(lab, "b", B, user="1002")
        lab.simulator.rule(token=A, delay_ms=1000)
        first = call(lab, "first")
        waiting = call(lab, "c", to="1002")
        reply = lab.events.ask(event="end", call="c")
        assert (reply["known"], reply["withdrawn"]) == (True, 1), reply
        reply = lab.events.reply(waiting)
        assert (reply["verdict"], reply["rule"]) == ("ended", "cancelled"), reply
        assert results(reply) == {"b": ("withdrawn", None)}, reply
        assert lab.events.reply(first)["verdict"] == "push"
        assert lab.events.ask(event="call", call="d", to="1002")["verdict"] == "push"
        assert [r["payload"]["call_id"] for r in lab.simulator.requests()] == ["first", "d"]


def test_end_overtakes_its_call():
    with Lab() as lab:
        register(lab, "a", A)
        for end, rule in (({"event": "end", "reason": "cancelled"}, "cancelled"),
                          ({"event": "answer"}, "answered"), ({"event": "end", "to": "1001"}, "cancelled")):
            name = f"{end}"
            reply = lab.events.ask(call=name, **end)
            assert (reply["known"], reply["withdrawn"]) == (False, 0), reply
            reply = lab.events.ask(event="call", call=name, to="1001")
            assert (reply["verdict"], reply["rule"]) == ("ended", rule), reply
        reply = lab.events.ask(event="call", call="old", to="1001",
                               started_ms=int(time.time() * 1000) - 60000)
        assert (reply["verdict"], reply["rule"]) == ("ended", "stale"), reply
        assert not lab.simulator.requests()


def test_one_phone_declines():
    with Lab() as lab:
        register(lab, "a", A)
        register(lab, "b", B)
        waiting = call(lab, "c", wait="register")
        pushed(lab, 2)
        assert lab.client().ask(event="end", call="c", device="a", reason="declined")["known"]
        assert come(lab, "a")["calls"][0]["state"] == "declined"
        assert waiting not in lab.events.replies
        come(lab, "b")
        reply = lab.events.reply(waiting)
        assert reply["registered"]["device"] == "b", reply
        assert results(reply)["a"] == ("skipped", "declined"), reply


def test_ringing_withdraws():
    with Lab(config={"calls": {"registered-delay": "1m"}}) as lab:
        register(lab, "a", A)
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert reply["verdict"] == "registered" and results(reply) == {"a": ("pending", None)}, reply
        reply = lab.events.ask(event="ringing", call="c", to="1001")
        assert (reply["known"], reply["withdrawn"]) == (True, 1), reply
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert results(reply) == {"a": ("skipped", "ringing")}, reply
        assert reply["verdict"] == "registered", reply
        assert not lab.simulator.requests()


def test_registered_delay():
    """A phone that is there gets its push later, unless it rings first."""
    with Lab(config={"calls": {"registered-delay": "300ms"}}) as lab:
        register(lab, "a", A)
        register(lab, "b", B, sip=False)
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert reply["verdict"] == "registered", reply
        assert set(pushed(lab, 2)) == {A, B}


def test_busy():
    with Lab(config={"calls": {"call-waiting": "no"}}) as lab:
        register(lab, "a", A)
        lab.events.ask(event="call", call="c", to="1001")
        assert lab.events.ask(event="call", call="while-ringing", to="1001")["verdict"] == "push"
        lab.events.ask(event="answer", call="c")
        reply = lab.events.ask(event="call", call="d", to="1001")
        assert (reply["verdict"], reply["rule"]) == ("reject", "busy"), reply
        assert lab.events.ask(event="call", call="e", to="1001", bypass=True)["verdict"] == "push"
        lab.events.ask(event="end", call="c")
        assert lab.events.ask(event="call", call="f", to="1001")["verdict"] == "push"


def test_too_many_calls():
    """Live calls over max-calls are never refused as events: they hear `overloaded`."""
    with Lab(config={"events": {"max-calls": 10}}) as lab:
        register(lab, "a", A)
        rules = [lab.events.ask(event="call", call=f"c{n}", to="1001")["rule"] for n in range(12)]
        assert rules == [None] * 10 + ["overloaded"] * 2, rules
        # and whoever asks why it did not ring finds the reason
        assert "rule overloaded" in lab.ctl("explain", "c11").stdout
        assert re.search(r"call=c11 .* verdict=unreachable rule=overloaded", lab.daemon.stderr())
        lab.events.ask(event="end", call="c3")
        # the oldest remembered one makes room
        assert lab.events.ask(event="call", call="new", to="1001")["verdict"] == "push"
        assert lab.events.ask(event="call-state", call="c3")["state"] == "unknown"


if __name__ == "__main__":
    harness.main(globals())
