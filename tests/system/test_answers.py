#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each answer of APNs: what the PBX hears of it, what the directory keeps, how often we asked."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

FUTURE_MS = int(time.time() * 1000) + 3600_000
PAST_MS = int(time.time() * 1000) - 3600_000
PUSH = ("push", None)
FAILED = ("unreachable", "push-failed")
DEAD = ("unreachable", "dead-token")

# name, rules of the simulator, result, status, reason, (verdict, rule), token's state afterwards, requests
ANSWERS = (
    ("good", (), "accepted", 200, None, PUSH, "ok", 1),
    ("bad token", ({"status": 400, "reason": "BadDeviceToken"},),
     "rejected", 400, "BadDeviceToken", DEAD, "dead", 1),
    ("not for topic", ({"status": 400, "reason": "DeviceTokenNotForTopic"},),
     "rejected", 400, "DeviceTokenNotForTopic", DEAD, "dead", 1),
    ("bad topic", ({"status": 400, "reason": "BadTopic"},),
     "rejected", 400, "BadTopic", FAILED, "ok", 1),
    ("400 unknown reason", ({"status": 400, "reason": "NewThing"},),
     "rejected", 400, "other", FAILED, "ok", 1),
    ("400 garbage", ({"status": 400, "garbage": "json"},), "rejected", 400, "other", FAILED, "ok", 1),
    ("expired provider token, once", ({"status": 403, "reason": "ExpiredProviderToken", "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
    ("bad provider token", ({"status": 403, "reason": "InvalidProviderToken"},),
     "rejected", 403, "InvalidProviderToken", FAILED, "ok", 1),
    ("unregistered", ({"status": 410, "reason": "Unregistered"},),
     "rejected", 410, "Unregistered", DEAD, "dead", 1),
    ("unregistered, later", ({"status": 410, "reason": "Unregistered", "timestamp": FUTURE_MS},),
     "rejected", 410, "Unregistered", DEAD, "dead", 1),
    ("unregistered, long ago", ({"status": 410, "reason": "Unregistered", "timestamp": PAST_MS},),
     "rejected", 410, "Unregistered", FAILED, "ok", 1),
    ("expired token", ({"status": 410, "reason": "ExpiredToken", "timestamp": FUTURE_MS},),
     "rejected", 410, "ExpiredToken", DEAD, "dead", 1),
    ("too large", ({"status": 413, "reason": "PayloadTooLarge"},),
     "rejected", 413, "PayloadTooLarge", FAILED, "ok", 1),
    ("too many, once", ({"status": 429, "reason": "TooManyRequests", "retry_after_s": 0, "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
    ("too many, for longer than it rings",
     ({"status": 429, "reason": "TooManyRequests", "retry_after_s": 3600},),
     "rejected", 429, "TooManyRequests", FAILED, "ok", 1),
    ("internal error, once", ({"status": 500, "reason": "InternalServerError", "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
    ("internal error", ({"status": 500, "reason": "InternalServerError"},),
     "rejected", 500, "InternalServerError", FAILED, "ok", 2),
    ("unavailable, once", ({"status": 503, "reason": "ServiceUnavailable", "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
    ("unavailable", ({"status": 503, "reason": "ServiceUnavailable"},),
     "rejected", 503, "ServiceUnavailable", FAILED, "ok", 2),
    ("unavailable, then gone", ({"status": 503, "reason": "ServiceUnavailable", "times": 1},
                                {"status": 410, "reason": "Unregistered"}),
     "rejected", 410, "Unregistered", DEAD, "dead", 2),
    ("redirected", ({"status": 301},), "rejected", 301, "other", FAILED, "ok", 1),
    ("stream refused, once", ({"action": "refuse", "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
    ("answer never, then reset", ({"action": "reset-stream", "times": 1},),
     "accepted", 200, None, PUSH, "ok", 2),
)


def state_of(lab, user):
    device, = lab.events.ask(event="show", user=user)["devices"]
    return device["state"]


def test_each_answer():
    # Stays in production: test_environments.py has the other one.
    with Lab(simulator=("--token-min-age", "0")) as lab:
        for number, (name, rules, result, status, reason, verdict, state, count) in enumerate(ANSWERS):
            user, token = f"u{number}", f"{number:02x}" * 32
            lab.simulator.control(clear_rules=True)
            for rule in rules:
                lab.simulator.rule(token=token, **rule)
            assert lab.events.ask(event="register", user=user, token=token)["token_state"] == "ok"
            reply = lab.events.ask(event="call", call=f"{name} {number}", to=user)
            device, = reply["devices"]
            got = (device["result"], device["status"], device["reason"])
            assert got == (result, status, reason), (name, device)
            assert (reply["verdict"], reply["rule"]) == verdict, (name, reply)
            requests = [r for r in lab.simulator.requests() if r["token"] == token]
            assert len(requests) == device["attempts"] == count, (name, device, requests)
            # Whatever was tried again went with the same identity.
            identities = {(r["headers"]["apns-id"], r["payload"]["uuid"]) for r in requests}
            assert identities == {(device["apns_id"], reply["uuid"])}, (name, device, identities)
            assert state_of(lab, user) == state, name
            # A dead token is not pushed to again; any other is.
            lab.simulator.control(clear_rules=True)
            reply = lab.events.ask(event="call", call=f"{name} {number} again", to=user)
            device, = reply["devices"]
            if state == "dead":
                assert (device["result"], device["reason"]) == ("skipped", "dead-token"), reply
                assert (reply["verdict"], reply["rule"]) == DEAD, reply
            else:
                assert device["result"] == "accepted", (name, reply)


def test_dead_tokens_come_back():
    token, other = "1a" * 32, "2b" * 32
    gone = {"status": 410, "reason": "Unregistered", "times": 1}
    bad = {"status": 400, "reason": "BadDeviceToken", "times": 1}
    # rule that kills, what the phone registers next, alive then?
    table = (
        ("410, registers again", gone, {"token": token}, True),
        ("410, new token", gone, {"token": other}, True),
        ("400, registers again", bad, {"token": token}, False),
        ("400, new token", bad, {"token": other}, True),
        ("400, new environment", bad, {"token": token, "environment": "production"}, True),
    )
    with Lab() as lab:
        for number, (name, rule, fields, alive) in enumerate(table):
            user = f"user{number}"
            lab.simulator.rule(token=token, **rule)
            # of several users with one token each learns of its end, so every row cleans up
            lab.events.ask(event="register", user=user, device="d", token=token)
            assert lab.events.ask(event="call", call=f"a{number}", to=user)["rule"] == "dead-token"
            # a REGISTER is later than the 410 by the clock of milliseconds
            now_ms = int(time.time() * 1000)
            wait_until(lambda: int(time.time() * 1000) > now_ms + 1)
            reply = lab.events.ask(event="register", user=user, device="d", **fields)
            assert reply["token_state"] == ("ok" if alive else "dead"), (name, reply)
            reply = lab.events.ask(event="call", call=f"b{number}", to=user)
            assert reply["verdict"] == ("push" if alive else "unreachable"), (name, reply)
            lab.events.ask(event="forget", user=user)


def test_too_many_provider_tokens():
    """Never answered with another new token: the push waits, and goes with the same one."""
    with Lab() as lab:
        lab.simulator.rule(status=429, reason="TooManyProviderTokenUpdates", times=1, retry_after_s=0)
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        reply = lab.events.ask(event="call", call="c", to="1001")
        assert reply["verdict"] == "push" and reply["devices"][0]["attempts"] == 2, reply
        issued = {r["headers"]["authorization"]["iat"] for r in lab.simulator.requests()}
        assert len(issued) == 1 and lab.simulator.stats()["tokens"] == 1, issued


def test_expired_provider_token():
    """One new token, one retry; then the PBX hears of it, and operators do."""
    with Lab(simulator=("--token-min-age", "0")) as lab:
        lab.simulator.rule(status=403, reason="ExpiredProviderToken")
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        reply = lab.events.ask(event="call", call="c", to="1001")
        device, = reply["devices"]
        assert (device["result"], device["reason"], reply["rule"]) == (
            "rejected", "ExpiredProviderToken", "push-failed"), reply
        assert len(lab.simulator.requests()) == device["attempts"] <= 2
        route, = [r for r in lab.daemon.status()["routes"] if r["environment"] == "production"]
        assert "ExpiredProviderToken" in route["alarm"], route
        lab.simulator.control(clear_rules=True)
        assert lab.events.ask(event="call", call="d", to="1001")["verdict"] == "push"


def test_alarm_names_the_fault():
    with Lab() as lab:
        lab.simulator.rule(status=403, reason="InvalidProviderToken", times=1)
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["rule"] == "push-failed"
        assert "InvalidProviderToken" in lab.daemon.stderr()
        assert lab.daemon.metric("pbxpush_pushes_total", result="rejected",
                                 reason="InvalidProviderToken") == 1

        def alarms():
            return [r["alarm"] for r in lab.daemon.status()["routes"] if r["alarm"]]

        assert alarms() == ["InvalidProviderToken"], alarms()
        assert lab.events.ask(event="call", call="d", to="1001")["verdict"] == "push"
        assert not alarms(), "a good push ends the alarm"


def test_no_answer():
    """Silence is ambiguous: one attempt more with the same identity, then `failed`, `timeout`."""
    with Lab(config={"apns": {"response-timeout": "300ms"}}) as lab:
        lab.simulator.rule(action="silent")
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        reply = lab.events.ask(event="call", call="c", to="1001")
        device, = reply["devices"]
        assert (device["result"], device["reason"], device["status"]) == ("failed", "timeout", None), reply
        assert (reply["verdict"], reply["rule"]) == FAILED, reply
        requests = lab.simulator.requests()
        assert len(requests) == 2 and len({r["headers"]["apns-id"] for r in requests}) == 1, requests


def test_nobody_there():
    with Lab() as lab:
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        lab.simulator.control(refuse=True)
        lab.simulator.control(close=True)
        reply = lab.events.ask(event="call", call="c", to="1001", ring_ms=1500)
        device, = reply["devices"]
        assert (device["result"], device["reason"]) == ("failed", "connection"), reply
        assert (reply["verdict"], reply["rule"]) == FAILED, reply
        lab.simulator.control(refuse=False)
        assert lab.events.ask(event="call", call="d", to="1001")["verdict"] == "push"


if __name__ == "__main__":
    harness.main(globals())
