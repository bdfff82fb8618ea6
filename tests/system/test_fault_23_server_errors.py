#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One connection leads to a server that is ill: 500 or 503, push after push.

Apple says: retry after 15 minutes, which is of no use to a call. Right: one quick retry on another
connection, and a connection that keeps failing is replaced. Where all are ill the PBX hears so at
once, after two attempts.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

ERRORS = ((500, "InternalServerError"), (503, "ServiceUnavailable"), (503, "Shutdown"))


def test_other_connection():
    for status, reason in ERRORS:
        with Lab() as lab:
            lab.daemon.wait_connected()
            lab.register()
            lab.simulator.rule(status=status, reason=reason, times=1)
            reply = lab.events.ask(event="call", call="one", to="1001")
            device, = reply["devices"]
            assert (device["result"], device["status"], device["attempts"]) == (
                "accepted", 200, 2), reply
            first, second = lab.simulator.requests()
            assert first["connection"] != second["connection"], (reason, first, second)
            assert first["apns_id"] == second["apns_id"] == device["apns_id"], reply
            assert lab.daemon.metric("pbxpush_retries_total", reason=reason) == 1


def test_another_is_opened_where_there_is_none():
    with Lab(config={"apns": {"connections": 1}}) as lab:
        lab.phones(1)
        assert lab.call(0)["result"] == "accepted"
        lab.simulator.rule(connection=1, status=500, reason="InternalServerError")
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        assert [line["connection"] for line in lab.simulator.attempts(0)[1:]] == [1, 2]


def test_all_are_ill():
    for status, reason in ERRORS:
        with Lab() as lab:
            lab.register()
            lab.simulator.rule(status=status, reason=reason)
            reply = lab.events.ask(event="call", call="one", to="1001")
            device, = reply["devices"]
            assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
            assert (device["result"], device["status"], device["reason"], device["attempts"]) == (
                "rejected", status, reason, 2), reply
            assert len(lab.simulator.requests()) == 2


def test_ill_connection_is_retired():
    with Lab() as lab:
        lab.daemon.wait_connected()
        lab.register()
        lab.events.ask(event="call", call="well", to="1001")
        ill = lab.simulator.requests()[0]["connection"]
        lab.simulator.rule(connection=ill, status=503, reason="ServiceUnavailable")

        def replaced():
            open_now = [conn["connection"] for conn in lab.simulator.stats()["open"]]
            reply = lab.events.ask(event="call", call=f"c{replaced.calls}", to="1001")
            replaced.calls += 1
            assert reply["verdict"] == "push", reply
            return ill not in open_now

        replaced.calls = 0
        wait_until(replaced, what="the ill connection is closed")
        lab.daemon.wait_connected()
        assert len([r for r in lab.simulator.requests() if r["connection"] == ill]) == 4
        assert "one server error after another" in lab.daemon.stderr()
        reply = lab.events.ask(event="call", call="last", to="1001")
        assert reply["devices"][0]["attempts"] == 1, reply


def test_now_and_then_is_forgiven():
    """One connection, and each of its errors is followed by a good answer: it is kept."""
    with Lab(config={"apns": {"connections": 1, "max-connections": 1}}) as lab:
        lab.register()
        for n in range(5):
            lab.simulator.rule(status=500, reason="InternalServerError", times=1)
            reply = lab.events.ask(event="call", call=f"c{n}", to="1001")
            assert reply["devices"][0]["attempts"] == 2, reply
        assert lab.simulator.stats()["connections"] == 1


def test_answers_that_say_good_bye():
    """The server says that this connection is of no more use: one such answer is enough."""
    for status, reason in ((503, "Shutdown"), (400, "IdleTimeout"), (403, "UnrelatedKeyIdInToken")):
        with Lab() as lab:
            lab.daemon.wait_connected()
            lab.register()
            lab.simulator.rule(status=status, reason=reason, times=1)
            reply = lab.events.ask(event="call", call="one", to="1001")
            device, = reply["devices"]
            assert (device["result"], device["attempts"]) == ("accepted", 2), reply
            left = lab.simulator.requests()[0]["connection"]
            wait_until(lambda: left in [event["connection"]
                                        for event in lab.simulator.events("client-goaway")],
                       what=f"our good-bye after {reason}")


if __name__ == "__main__":
    harness.main(globals())
