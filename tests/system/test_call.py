#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A call event on its whole way: what APNs sees, and what the PBX hears (CONTRACT 2.1 and 3)."""

import json
import pathlib
import re
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, App, Lab  # noqa: E402

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ALERT_TOKEN = "0f" * 32
CALL = {"event": "call", "to": "1001"}


def uuid_of(call, attempt=1):
    name = f"sip-call-id:{call}" + (f"#{attempt}" if attempt > 1 else "")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def register(lab, user="1001", **fields):
    reply = lab.events.ask(event="register", user=user,
                           **({"app": lab.app.bundle, "token": TOKEN, "device": "phone"} | fields))
    assert reply["ok"] and reply["stored"], reply
    return reply


def last(lab):
    return lab.simulator.requests()[-1]


def test_voip_push():
    with Lab() as lab:
        register(lab)
        started_ms = int(time.time() * 1000)
        reply = lab.events.ask(
            **CALL, call="abc@pbx", started_ms=started_ms, ring_ms=20000, video=True,
            leg="leg@pbx", data={"queue": "sales", "n": [1, None]},
            **{"from": {"number": "+15551230001", "name": "Alice", "uri": "sip:a@example.com"}})
        request, = lab.simulator.requests()
        headers = dict(request["headers"])
        apns_id = headers.pop("apns-id")
        assert UUID.fullmatch(apns_id), apns_id
        iat = headers["authorization"].pop("iat")
        assert abs(iat - time.time()) < 600, iat
        assert headers == {
            ":method": "POST", ":scheme": "https", ":path": f"/3/device/{TOKEN}",
            ":authority": lab.simulator.address,
            "authorization": {"kid": lab.app.key_id, "iss": lab.app.team, "valid": True},
            "apns-push-type": "voip", "apns-topic": lab.app.bundle + ".voip",
            "apns-expiration": "0", "apns-priority": "10"}, headers
        assert request["payload"] == {
            "aps": {}, "v": 1, "type": "call", "uuid": uuid_of("abc@pbx"), "call_id": "leg@pbx",
            "caller": {"name": "Alice", "number": "+15551230001"}, "callee": "1001", "video": True,
            "started_ms": started_ms, "expires_ms": started_ms + 20000,
            "data": {"queue": "sales", "n": [1, None]}}, request["payload"]
        device, = reply.pop("devices")
        assert isinstance(device.pop("ms"), int)
        assert device == {
            "device": "phone", "app": lab.app.bundle, "push": "voip", "result": "accepted",
            "reason": None, "status": 200, "apns_id": apns_id, "attempts": 1}, device
        assert reply == {"id": reply["id"], "ok": True, "event": "call", "call": "abc@pbx",
                         "uuid": uuid_of("abc@pbx"), "verdict": "push", "rule": None}, reply


def test_caller_in_the_payload():
    numbers = {"country-code": "49"}
    callers = (
        (None, ("Connecting call...", None)),
        ({}, ("Connecting call...", None)),
        ({"number": ""}, ("Anonymous", None)),
        ({"number": "Anonymous"}, ("Anonymous", None)),
        ({"number": "anonymous@anonymous.invalid"}, ("Anonymous", None)),
        ({"number": "UNAVAILABLE", "name": "Somebody"}, ("Somebody", None)),
        ({"number": "1002"}, ("1002", "1002")),
        ({"number": "089 123456"}, ("+4989123456", "+4989123456")),
        ({"number": "+49 (89) 123-456", "name": " "}, ("+4989123456", "+4989123456")),
        ({"number": "0044207946000", "name": "Bob\u202e\u2066\x07\n"}, ("Bob", "+44207946000")),
        ({"name": "Zoë 🦊\u200d"}, ("Zoë 🦊\u200d", None)),
        ({"name": "a\ud800b"}, ("a\ufffdb", None)),
        ({"uri": "sip:+4989123@example.com"}, ("+4989123", "+4989123")),
    )
    with Lab(config={"numbers": numbers}) as lab:
        register(lab)
        for number, (caller, (name, shown)) in enumerate(callers):
            fields = {} if number == 1 and caller is None else {"from": caller}
            reply = lab.events.ask(**CALL, call=f"caller-{number}", **fields)
            assert reply["verdict"] == "push", (caller, reply)
            assert last(lab)["payload"]["caller"] == {"name": name, "number": shown}, (
                caller, last(lab)["payload"])


def test_identity():
    given = "8F14E45F-CEEA-467F-A9F1-3D1F2C3B4A59"
    with Lab() as lab:
        register(lab)
        for call, fields, identity in (
                ("c1", {}, uuid_of("c1")), ("c1", {"attempt": 2}, uuid_of("c1", 2)),
                ("c1", {"attempt": 3.0}, uuid_of("c1", 3)), ("c2", {"uuid": given}, given.lower()),
                ("ü\u2028\"\\", {}, uuid_of("ü\u2028\"\\"))):
            reply = lab.events.ask(**CALL, call=call, **fields)
            assert (reply["uuid"], reply["verdict"]) == (identity, "push"), reply
            assert last(lab)["payload"]["uuid"] == identity
            assert last(lab)["payload"]["call_id"] == call
        ids = [request["headers"]["apns-id"] for request in lab.simulator.requests()]
        assert len(set(ids)) == len(ids) == 5


def test_alert_push():
    with Lab() as lab:
        register(lab, mode="alert", alert_token=ALERT_TOKEN)
        reply = lab.events.ask(**CALL, call="c", ring_ms=30000, **{"from": {"name": "Alice"}})
        device, = reply["devices"]
        assert (reply["verdict"], device["push"], device["result"]) == ("push", "alert", "accepted")
        request, = lab.simulator.requests()
        headers, payload = request["headers"], request["payload"]
        assert request["token"] == ALERT_TOKEN
        assert (headers["apns-push-type"], headers["apns-topic"], headers["apns-priority"]) == (
            "alert", lab.app.bundle, "10"), headers
        assert headers["apns-collapse-id"] == reply["uuid"], headers
        # Whole seconds, and none after the deadline.
        assert 0 <= payload["expires_ms"] - int(headers["apns-expiration"]) * 1000 < 1000, headers
        aps = payload.pop("aps")
        assert aps["interruption-level"] == "time-sensitive" and aps["mutable-content"] == 1, aps
        assert {"title", "body", "loc-key", "loc-args"} <= aps["alert"].keys(), aps
        assert {"sound", "thread-id", "category"} <= aps.keys(), aps
        assert payload | {"started_ms": 0, "expires_ms": 0} == {
            "v": 1, "type": "call", "uuid": reply["uuid"], "call_id": "c", "callee": "1001",
            "caller": {"name": "Alice", "number": None}, "video": False, "started_ms": 0,
            "expires_ms": 0}, payload


def test_app_in_alert_mode():
    china = App(bundle="com.example.china")
    with Lab(apps=(App(), china),
             config={f"app {china.bundle}": {"mode": "alert"}}) as lab:
        # by the app's mode; by the only token there is; the device's own word counts more
        for user, fields, push in (
                ("1", {"app": china.bundle, "alert_token": ALERT_TOKEN}, "alert"),
                ("2", {"token": None, "alert_token": ALERT_TOKEN}, "alert"),
                ("3", {"app": china.bundle, "mode": "voip"}, "voip")):
            register(lab, user, **fields)
            reply = lab.events.ask(event="call", call=f"c{user}", to=user)
            assert [(d["push"], d["result"]) for d in reply["devices"]] == [(push, "accepted")], reply
            topic = (fields.get("app") or lab.app.bundle) + (".voip" if push == "voip" else "")
            assert last(lab)["headers"]["apns-topic"] == topic


def test_too_large():
    """No call is lost to its size: the name is cut, then `data` goes."""
    with Lab() as lab:
        register(lab)
        for name, fields in (
                ("name", {"from": {"name": "ä" * 9000}}),
                ("data", {"data": {"x": "y" * 9000}}),
                ("both", {"from": {"name": "🦊" * 4000, "number": "+1555"}, "data": {"x": "\n" * 5000}})):
            reply = lab.events.ask(**CALL, call=name, **fields)
            assert reply["verdict"] == "push" and reply["truncated"] is True, reply
            request = last(lab)
            assert request["payload_bytes"] <= 5120 and request["status"] == 200, request
            assert request["payload"]["uuid"] == reply["uuid"]
            shown = request["payload"]["caller"]["name"]
            assert shown and "\ufffd" not in shown, shown
            assert ("data" in request["payload"]) is False or name == "name"
        # just fitting is not truncated
        reply = lab.events.ask(**CALL, call="fits", data={"x": "y" * 4500})
        assert "truncated" not in reply and last(lab)["payload"]["data"] == {"x": "y" * 4500}


def test_contacts_instead_of_the_directory():
    other = "5e" * 32
    with Lab() as lab:
        register(lab)
        def contact(token, provider="apns", service="voip"):
            return (f"sip:1001@10.0.0.9:5060;pn-provider={provider};pn-prid={token};"
                    f"pn-param={lab.app.team}.{lab.app.bundle}.{service}")
        reply = lab.events.ask(**CALL, call="c1", contacts=[
            contact(other.upper()), "sip:1001@10.0.0.7", contact(other)])
        results = [(d["result"], d["reason"]) for d in reply["devices"]]
        assert results == [("accepted", None), ("skipped", "same-phone")], reply
        assert [r["token"] for r in lab.simulator.requests()] == [other]
        # an unknown app cannot be pushed to; nothing to push to at all
        for call, contacts, rule in (
                ("c2", ["sip:1001@10.0.0.7"], "no-device"), ("c3", [], "no-device"),
                ("c4", [contact(other).replace(lab.app.bundle, "com.example.unknown")], "no-device")):
            reply = lab.events.ask(**CALL, call=call, contacts=contacts)
            assert (reply["verdict"], reply["rule"]) == ("unreachable", rule), reply
        assert len(lab.simulator.requests()) == 1


def test_users_are_aors():
    with Lab(config={"directory": {"default-domain": "pbx.example.com"}}) as lab:
        register(lab, "1001")
        for number, to in enumerate((
                "1001@PBX.example.com", "sip:1001@pbx.example.com;transport=tls",
                "sips:1001@pbx.example.com", "1001")):
            reply = lab.events.ask(event="call", call=f"c{number}", to=to)
            assert reply["verdict"] == "push", (to, reply)
            assert last(lab)["payload"]["callee"] == to, "as given"
        for to in ("1001@other.example.com", "2001"):
            reply = lab.events.ask(event="call", call="none", to=to)
            assert (reply["verdict"], reply["rule"]) == ("unreachable", "no-device"), reply


def test_names_in_bytes_that_are_not_utf8():
    with Lab() as lab:
        register(lab)
        line = json.dumps({"id": "x", **CALL, "call": "c", "from": {"name": "NAME"}}).encode()
        lab.events.send_raw(line.replace(b"NAME", b"Andr\xe9 \\u0000\\ud83d") + b"\n")
        reply = lab.events.reply("x")
        assert reply["verdict"] == "push", reply
        assert last(lab)["payload"]["caller"]["name"] == "Andr\ufffd \ufffd\ufffd", last(lab)


if __name__ == "__main__":
    harness.main(globals())
