#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make demo`: a real call wakes a simulated phone, step by step, in a temporary directory.

The real pbxpushd talks TLS and HTTP/2 to the simulator, which checks what Apple checks. Every step is asserted:
the exit status is 0 only when all of it happened.
"""

import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import harness  # noqa: E402

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
SHOWN_HEADERS = ("apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-id",
                 "authorization")


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def step(number, text):
    print("\n" + paint("1;36", f"{number}. {text}"))


def show(arrow, who, value):
    # ASCII: the name with the direction override would turn the terminal's line around.
    text = value if isinstance(value, str) else json.dumps(value)
    print(f"   {paint('1;33', arrow)} {paint('2', who + ':')} {text}")


def good(text):
    print(f"   {paint('1;32', 'ok')} {text}")


class Demo:
    def __init__(self, lab):
        self.lab, self.events = lab, lab.events

    def tell(self, **event):
        """The PBX writes an event; returns its id."""
        show("->", "PBX writes ", {k: v for k, v in event.items() if k != "id"})
        self.asked_s = time.monotonic()
        return self.events.post(**event)

    def hear(self, event_id):
        reply = self.events.reply(event_id)
        took_ms = (time.monotonic() - self.asked_s) * 1000
        show("<-", f"PBX reads after {took_ms:.1f} ms", {k: v for k, v in reply.items() if k != "id"})
        return reply

    def ask(self, **event):
        return self.hear(self.tell(**event))

    def pushes(self):
        return self.lab.simulator.requests()

    def next_push(self, known):
        harness.wait_until(lambda: len(self.pushes()) > known, what="a push at APNs")
        push = self.pushes()[known]
        assert push["status"] == 200, push
        return push

    def show_push(self, push):
        show("->", "APNs gets   ", f"POST /3/device/{push['token'][:8]}... on connection "
             f"{push['connection']}, stream {push['stream']}")
        for name in SHOWN_HEADERS:
            show("  ", f"  {name:16}", push["headers"][name])
        show("  ", "  payload         ", push["payload"])
        show("<-", "APNs answers", str(push["status"]))

    def no_push(self, known, why):
        # The daemon has answered and drains nothing: what it did not send by now it never will.
        assert len(self.pushes()) == known, self.pushes()[known:]
        good(f"no push: {why}")


def run(lab):
    demo = Demo(lab)
    token = harness.TOKEN

    step(1, "A phone registers: the PBX passes on what its REGISTER carried (RFC 8599)")
    contact = (f"<sip:1001@192.0.2.7:5060;transport=tls;pn-provider=apns;"
               f"pn-param={lab.app.team}.{lab.app.bundle}.voip;pn-prid={token}>"
               ';+sip.instance="<urn:uuid:0f6d3a2e-iphone>"')
    reply = demo.ask(event="register", user="1001", contact=contact)
    assert reply["ok"] and reply["stored"], reply
    good("the token is on disk; the phone goes to sleep")

    step(2, "Alice calls 1001: the phone is woken, registers, and the PBX may send the INVITE")
    waiting = demo.tell(event="call", call="a84b4c76e66710@pbx.example.com", to="1001", wait="register",
                        **{"from": {"number": "+15551230001", "name": "Alice \u202eecilA"}})
    push = demo.next_push(0)
    demo.show_push(push)
    assert push["headers"]["apns-push-type"] == "voip", push
    assert push["headers"]["apns-expiration"] == "0", push
    assert push["headers"]["authorization"]["valid"], push
    assert push["payload"]["caller"] == {"name": "Alice ecilA", "number": "+15551230001"}, push
    good("the provider token verifies; the caller's name lost its right-to-left trick")
    print(f"   {paint('1;35', '**')} the phone shows the call, wakes up and sends REGISTER")
    demo.events.ask(event="register", user="1001", contact=contact)
    reply = demo.hear(waiting)
    assert reply["verdict"] == "registered" and reply["uuid"] == push["payload"]["uuid"], reply
    good(f"registered {reply['registered']['wake_ms']} ms after the push: the PBX sends the INVITE")
    assert demo.ask(event="answer", call="a84b4c76e66710@pbx.example.com")["known"]
    assert demo.ask(event="end", call="a84b4c76e66710@pbx.example.com")["known"]

    step(3, "A blocked caller")
    assert demo.ask(event="block", user="1001", number="+15559990000")["ok"]
    reply = demo.ask(event="call", call="blocked-1", to="1001", **{"from": {"number": "+15559990000"}})
    assert (reply["verdict"], reply["rule"]) == ("reject", "blocked"), reply
    demo.no_push(1, "the phone stays dark, the PBX declines")

    step(4, "Do not disturb")
    assert demo.ask(event="dnd", user="1001", on=True)["ok"]
    reply = demo.ask(event="call", call="dnd-1", to="1001", **{"from": {"number": "+15551230001"}})
    assert (reply["verdict"], reply["rule"]) == ("reject", "dnd"), reply
    demo.no_push(1, "the PBX goes to voicemail")
    assert demo.ask(event="dnd", user="1001", on=False)["ok"]

    step(5, "APNs is out of reach for a moment, and the caller hangs up before the push")
    lab.simulator.control(refuse=True)
    lab.simulator.control(close=True, connection="open")
    harness.wait_until(lambda: not any(r["connected"] for r in lab.daemon.status()["routes"]),
                       what="the daemon sees it")
    waiting = demo.tell(event="call", call="gone-1", to="1001", **{"from": {"number": "+15551230001"}})
    reply = demo.ask(event="end", call="gone-1")
    assert reply["known"] and reply["withdrawn"] == 1, reply
    reply = demo.hear(waiting)
    assert (reply["verdict"], reply["rule"]) == ("ended", "cancelled"), reply
    lab.simulator.control(refuse=False)
    harness.wait_until(lambda: any(r["connected"] for r in lab.daemon.status()["routes"]),
                       what="the daemon reconnects")
    demo.no_push(1, "the queued push was withdrawn, and stays so after the reconnect")

    step(6, "What the daemon says about itself: pbxpushctl status, and the story of the first call")
    for command in (("status",), ("explain", "a84b4c76e66710@pbx.example.com")):
        done = lab.ctl(*command)
        assert done.returncode == 0, done
        print("\n".join("   " + line for line in done.stdout.splitlines()))


def main():
    print(paint("1", "pbxpush: a call wakes a sleeping phone")
          + " (throw-away key and certificate, loopback only)")
    with harness.Lab() as lab:
        run(lab)
    print("\n" + paint("1;32", "Everything happened as shown.") + " Cleaned up.")


if __name__ == "__main__":
    main()
