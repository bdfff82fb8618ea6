#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""413: the payload is too large for APNs, though it is within the documented limit.

Right: made smaller by the rules (the name cut at a character boundary, then `data` left out), and
sent once more; the reply says `truncated`. What cannot become smaller is not sent again. The token
is kept.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab  # noqa: E402

LARGE = {"status": 413, "reason": "PayloadTooLarge"}
DATA = {"ticket": "x" * 3000}


def test_shrunk_once():
    for mode, tokens in (("voip", {}), ("alert", {"token": None, "alert_token": harness.TOKEN})):
        with Lab(config={f"app {App().bundle}": {"mode": mode}}) as lab:
            lab.register(**tokens)
            lab.simulator.rule(times=1, **LARGE)
            reply = lab.events.ask(event="call", call="one", to="1001", data=DATA,
                                   **{"from": {"name": "Åsa", "number": "+15551230001"}})
            device, = reply["devices"]
            assert (reply["verdict"], device["result"], device["attempts"]) == (
                "push", "accepted", 2), (mode, reply)
            assert reply["truncated"] is True, (mode, reply)
            first, second = lab.simulator.requests()
            assert first["payload"]["data"] == DATA and "data" not in second["payload"], mode
            assert second["payload_bytes"] < first["payload_bytes"] / 2
            assert second["payload"]["uuid"] == first["payload"]["uuid"] == reply["uuid"]
            assert second["payload"]["caller"] == {"name": "Åsa", "number": "+15551230001"}


def test_long_name():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(times=1, **LARGE)
        reply = lab.events.ask(event="call", call="one", to="1001",
                               **{"from": {"name": "Ж" * 1500, "number": "+15551230001"}})
        assert reply["verdict"] == "push" and reply["truncated"] is True, reply
        name = lab.simulator.requests()[1]["payload"]["caller"]["name"]
        assert 0 < len(name) < 1500 and set(name) == {"Ж"}, name


def test_not_a_third_time():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(**LARGE)
        # data, and how many requests: what is small already cannot become smaller
        for call, data, count in (("large", DATA, 2), ("small", None, 1)):
            before = len(lab.simulator.requests())
            reply = lab.events.ask(event="call", call=call, to="1001", data=data)
            device, = reply["devices"]
            assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), reply
            assert (device["status"], device["reason"], device["attempts"]) == (
                413, "PayloadTooLarge", count), (call, reply)
            assert len(lab.simulator.requests()) - before == count, call
        show, = lab.events.ask(event="show", user="1001")["devices"]
        assert show["state"] == "ok", show


def test_not_after_the_end():
    with Lab() as lab:
        lab.register()
        lab.simulator.rule(delay_ms=500, **LARGE)
        waiting = lab.events.post(event="call", call="gone", to="1001", data=DATA)
        harness.wait_until(lambda: lab.simulator.requests(), what="a push on the wire")
        lab.events.ask(event="end", call="gone")
        assert lab.events.reply(waiting)["verdict"] == "ended"
        harness.wait_until(lambda: "push-answer" in lab.daemon.get("/calls/gone")[1],
                           what="push ends")
        assert len(lab.simulator.requests()) == 1


if __name__ == "__main__":
    harness.main(globals())
