#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls that ring nobody: what the caller hears, and that no phone is woken in vain."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import Stage, harness, talk  # noqa: E402


def refuse(stage, user, status):
    call = stage.caller.call(user)
    assert call.wait("failed").status == status, (user, call.responses)
    assert call.responses[:-1] in ([100], []), call.responses
    return call.ended_s - call.sent_s


def test_do_not_disturb():
    with Stage() as stage:
        phone, desk = stage.iphone("1001"), stage.desk_phone("1001")
        stage.lab.events.ask(event="dnd", user="1001", on=True)
        took = refuse(stage, "1001", 486)
        assert not stage.pushes() and not phone.rings and not desk.rings
        stage.lab.events.ask(event="dnd", user="1001", on=False)
        desk.answers = False
        talk(stage.caller.call("1001"), phone)
        print(f"[  NOTE    ] do-not-disturb: INVITE to 486 {took * 1000:.1f} ms")


def test_do_not_disturb_of_one_phone():
    with Stage() as stage:
        quiet, phone = stage.iphone("1001"), stage.iphone("1001")
        device = quiet.instance
        stage.lab.events.ask(event="dnd", user="1001", device=device, on=True)
        talk(stage.caller.call("1001"), phone)
        stage.wait_pushes(1, phone)
        assert not stage.pushes(quiet) and not quiet.rings


def test_blocked():
    with Stage() as stage:
        phone = stage.iphone("1001")
        stage.lab.events.ask(event="block", user="1001", number="2001")
        stage.lab.events.ask(event="block", user="1001", number="anonymous")
        took = refuse(stage, "1001", 603)
        hidden = stage.add_caller("anonymous")
        assert hidden.call("1001").wait("failed").status == 433
        assert not stage.pushes() and not phone.rings
        talk(stage.add_caller("2002").call("1001"), phone)
        print(f"[  NOTE    ] blocked: INVITE to 603 {took * 1000:.1f} ms")


def test_dead_token():
    """Apple knows the token no more: the caller does not wait for a phone that cannot come."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        stage.lab.simulator.rule(token=phone.token, status=410, reason="Unregistered",
                                 timestamp=int(time.time() * 1000))
        first = refuse(stage, "1001", 480)
        stage.wait_pushes(1)
        second = refuse(stage, "1001", 480)
        stage.wait_pushes(1)  # nobody tries a dead token again
        # the app comes back, with a REGISTER that is younger than Apple's timestamp
        stage.lab.simulator.control(clear_rules=True)
        stage.lab.simulator.rule(token="*", status=200)
        phone.open()
        phone.register()
        phone.asleep = False
        phone.sleep(gone=True)
        stage.times([(stage.caller.calls[0], phone)], "dead token")
        talk(stage.caller.call("1001"), phone)
        print(f"[  NOTE    ] dead token: INVITE to 480 {first * 1000:.1f} ms, "
              f"known to be dead {second * 1000:.1f} ms")


def test_nobody_registers():
    """480 at the deadline, not before, and the phone that comes after it is told."""
    with Stage(ring_ms=2500) as stage:
        phone = stage.iphone("1001")
        phone.wakes = False
        took = refuse(stage, "1001", 480)
        assert took >= 2.4, took
        stage.wait_pushes(1)
        stage.wait_state(stage.caller.calls[0], "timeout")
        stage.times([(stage.caller.calls[0], phone)], "nobody registers")
        phone.wake()
        phone.wait_reported("timeout")
        assert not phone.rings
        print(f"[  NOTE    ] nobody registers within 2500 ms: INVITE to 480 {took * 1000:.1f} ms")


def test_nobody_answers():
    """The deadline holds for phones that ring, too, however late they came."""
    with Stage(ring_ms=4000) as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1001")
        desk.answers = phone.answers = False
        call = stage.caller.call("1001")
        desk.wait_ring()
        phone.wait_ring()
        assert call.wait("failed").status == 408, call.responses
        assert call.ended_s - call.sent_s >= 3.9
        desk.wait_ring("cancelled")
        phone.wait_ring("cancelled")
        stage.wait_state(call, "timeout")


def test_user_without_phones():
    with Stage() as stage:
        took = refuse(stage, "1009", 480)
        assert not stage.pushes()
        print(f"[  NOTE    ] user without phones: INVITE to 480 {took * 1000:.1f} ms")


if __name__ == "__main__":
    harness.main(globals())
