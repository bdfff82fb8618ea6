#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A caller who hangs up before, during and after the push: no phone rings on for him."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import Stage, harness, talk, wait_until  # noqa: E402

AT_ONCE_S = 3.0  # a CANCEL is answered in a millisecond; the machine may be busy


def cancel(call):
    """Hangs up; the caller hears 487 at once, whoever sleeps."""
    start = time.monotonic()
    call.cancel()
    assert call.wait("failed").status == 487, call.responses
    took = time.monotonic() - start
    assert took < AT_ONCE_S, took
    return took


def test_before_the_push():
    """The only stream of the connection to Apple is taken: the push waits, and is withdrawn."""
    with Stage(config={"apns": {"connections": 1, "max-connections": 1}}) as stage:
        other, phone = stage.iphone("1001"), stage.iphone("1002")
        stage.lab.simulator.rule(token=other.token, delay_ms=2000)
        first = stage.caller.call("1001")
        wait_until(lambda: stage.lab.simulator.stats()["requests"] == 1, what="a push is under way")
        call = stage.caller.call("1002")
        stage.wait_state(call, "ringing")
        cancel(call)
        stage.wait_state(call, "cancelled")
        talk(first, other)
        assert not stage.pushes(phone), "the call was over, and was announced"
        # the next call is not the worse for it
        talk(stage.caller.call("1002"), phone)
        stage.wait_pushes(1, phone)


def test_during_the_push():
    """Apple has the push, and its answer is not there yet: the phone comes, and learns at once
    that nobody calls any more."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.wakes = False
        stage.lab.simulator.rule(token=phone.token, delay_ms=3000)
        call = stage.caller.call("1001")
        stage.wait_pushes(1)
        cancel(call)
        stage.wait_state(call, "cancelled")
        assert stage.lab.daemon.metric("pbxpush_pushes_total") == 0, "Apple has answered already"
        phone.wake()
        phone.wait_reported("cancelled")
        assert not phone.rings and len(stage.pushes()) == 1
        stage.times([(call, phone)], "caller hangs up during the push")


def test_after_the_push():
    with Stage() as stage:
        for gone in (True, False):
            phone = stage.iphone("1001" if gone else "1002", gone=gone)
            phone.wakes = False
            call = stage.caller.call(phone.user)
            stage.wait_pushes(1, phone)
            took = cancel(call)
            stage.wait_state(call, "cancelled")
            phone.wake()
            phone.wait_reported("cancelled")
            assert not phone.rings
            # it is told once more when it registers anew, and rings for the next call
            phone.register()
            assert phone.registered.get("x-pbxpush-call").endswith(";state=cancelled")
            stage.times([(call, phone)], f"caller hangs up after the push, contact gone: {gone}")
            talk(stage.caller.call(phone.user), phone)
        print(f"[  NOTE    ] caller hangs up: CANCEL to 487 {took * 1000:.1f} ms")


def test_while_it_rings():
    """The phone has registered and rings: it gets the CANCEL, as any phone does."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.answers = False
        call = stage.caller.call("1001")
        phone.wait_ring()
        cancel(call)
        phone.wait_ring("cancelled")
        stage.wait_state(call, "cancelled")


def test_one_of_two_callers():
    """The other one goes on waiting."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.wakes = False
        calls = [stage.caller.call("1001") for _ in range(2)]
        stage.wait_pushes(2)
        cancel(calls[0])
        phone.wake()
        talk(calls[1], phone)
        assert len(phone.rings) == 1
        phone.network.wait(lambda: "cancelled" in phone.reported.values(), 30,
                           lambda: f"the cancelled call is over: {phone.reported}")


if __name__ == "__main__":
    harness.main(globals())
