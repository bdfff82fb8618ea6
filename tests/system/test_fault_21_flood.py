#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One tenant floods: ten thousand pushes of one app are queued, and somebody else's phone has to
ring.

Right: apps take turns at the streams, so that another app's push waits for a round trip, not for
the flood; and in an outage one app cannot fill the queue: every other app keeps its share.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import App, Lab, wait_until  # noqa: E402

FLOOD = App(bundle="com.example.flood")
QUIET = App(bundle="com.example.quiet")
QUEUE = 100_000  # pushes that the daemon lets wait
CONTACT = "sip:u{}@192.0.2.1;pn-provider=apns;pn-param={}.{}.voip;pn-prid={:064x}"


def test_others_keep_their_latency():
    with Lab(apps=(FLOOD, QUIET), simulator=("--streams", "5", "--delay-ms", "20"),
             config={"apns": {"connections": 1, "max-connections": 1}}) as lab:
        lab.register(user="loud", app=FLOOD)
        lab.register(user="quiet", token="b2" * 32, app=QUIET)
        flood, quiet = lab.client(), lab.client()
        calls = [flood.post(event="call", call=f"f{n}", to="loud") for n in range(1500)]
        wait_until(lambda: lab.daemon.route()["queued"] > 1000, what="the flood is queued")
        left = 0
        for n in range(10):
            reply = quiet.ask(event="call", call=f"q{n}", to="quiet")
            assert reply["verdict"] == "push", reply
            left = lab.daemon.route()["queued"]
            assert left > 0, f"the quiet app's push {n} waited for the whole flood"
        for call in calls:
            assert flood.reply(call, harness.START_S)["verdict"] == "push"
        order = [line["headers"]["apns-topic"] for line in lab.simulator.requests()]
        assert len(order) == 1510, len(order)
        last = max(at for at, topic in enumerate(order) if topic == QUIET.bundle + ".voip")
        # Each took its turn with at most the streams that were under way before it.
        assert len(order) - last > 500, f"flood after the last quiet push: {len(order) - last}"


def fill(lab, app, name, count):
    """Calls of 32 phones, whose pushes have to wait. Returns the replies."""
    client, replies = lab.client(), []
    for n in range(count):
        replies.append(client.ask(
            event="call", call=f"{name}{n}", to=f"{name}{n}", wait="verdict", ring_ms=60000,
            contacts=[CONTACT.format(p, app.team, app.bundle, n * 32 + p + 1)
                      for p in range(32)]))
    return [(reply["verdict"], reply["rule"]) for reply in replies]


def test_queue_is_shared():
    with Lab(apps=(FLOOD, QUIET), config={"daemon": {"drain-timeout": "0s", "log-level": "error"}}
             ) as lab:
        lab.daemon.wait_connected()
        lab.simulator.control(refuse=True)
        lab.simulator.control(rst=True)
        wait_until(lambda: not lab.daemon.route()["ready"])
        share = QUEUE * 3 // 4  # half is for all, the rest divided by two
        flood = fill(lab, FLOOD, "loud", share // 32 + 50)
        assert flood[0] == ("push", None) and flood[-1] == ("unreachable", "overloaded"), flood
        assert lab.daemon.route()["queued"] == share
        assert set(fill(lab, QUIET, "quiet", 10)) == {("push", None)}
        assert lab.daemon.route()["queued"] == share + 320


if __name__ == "__main__":
    harness.main(globals())
