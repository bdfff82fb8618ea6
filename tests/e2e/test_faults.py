#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pbxpushd or Kamailio goes away in the middle of calls: what it costs, and that it heals."""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import LATE_MS, START_S, Stage, harness, talk, wait_until  # noqa: E402

# Time for a busy machine besides what Kamailio waits for pbxpushd: its timers tick every 100 ms.
SLACK_S = 2.0


def seconds_to(call, status):
    assert call.wait("failed").status == status, call.responses
    return call.ended_s - call.sent_s


def wait_decided(stage):
    """Until Kamailio has the verdict on the one call, and has asked how the waking goes."""
    wait_until(lambda: stage.lab.daemon.metric("pbxpush_events_total", event="call") == 2,
               what="Kamailio waits for the phone")


def test_daemon_killed_before_its_verdict():
    """It is back before Kamailio goes on without it, and is asked again."""
    with Stage(defines={"PBXPUSH_LATE_MS": 10000}) as stage:
        phone = stage.iphone("1001")
        stage.lab.daemon.send_signal(signal.SIGSTOP)
        call = stage.caller.call("1001")
        wait_until(lambda: call.responses == [100], what="Kamailio has the INVITE")
        stage.kill_daemon()
        stage.lab.start_daemon()
        talk(call, phone)
        stage.wait_pushes(1)


def test_daemon_killed_while_a_phone_wakes():
    """The phone finds its call all the same. The new daemon is asked to wake it once more, since
    nobody knows whether the old one did; the uuid is the same, so nothing rings twice."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.wakes = False
        call = stage.caller.call("1001")
        stage.wait_pushes(1)
        wait_decided(stage)
        stage.kill_daemon()
        stage.lab.start_daemon()
        stage.wait_pushes(2)
        phone.wake()
        talk(call, phone)
        assert len({payload["uuid"] for payload in phone.pushes}) == 1
        stage.times([(call, phone)], "daemon killed while a phone wakes")
        stage.wait_state(call, "completed")


def test_daemon_killed_and_away():
    """It is not needed any more once the push is out."""
    with Stage() as stage:
        phone, second = stage.iphone("1001"), stage.iphone("1001")
        phone.wakes = second.wakes = False
        call = stage.caller.call("1001")
        stage.wait_pushes(2)
        wait_decided(stage)
        stage.kill_daemon()
        phone.answers = False
        phone.wake()
        phone.wait_ring()
        second.wake()
        talk(call, second)
        phone.wait_ring("cancelled")
        stage.times([(call, phone), (call, second)], "daemon killed and away")
        stage.lab.start_daemon()


def test_daemon_restarted_while_a_phone_wakes():
    """Stopped as systemd does it, the daemon has said what it has pushed: once is enough."""
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.wakes = False
        call = stage.caller.call("1001")
        stage.wait_pushes(1)
        wait_until(lambda: stage.lab.daemon.metric("pbxpush_pushes_total", result="accepted") == 1,
                   what="the push is accepted")
        wait_decided(stage)
        stage.lab.restart_daemon()
        stage.wait_connected()
        phone.wake()
        talk(call, phone)
        other = stage.iphone("1002")
        talk(stage.caller.call("1002"), other)
        stage.wait_pushes(1, phone)
        stage.times([(call, phone)], "daemon restarted while a phone wakes")


def test_daemon_absent():
    """As if there were no pbxpush: who is registered rings, and nobody waits for anybody."""
    with Stage() as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1002")
        stage.lab.daemon.stop()
        wait_until(lambda: stage.kamailio.shared("pbxpush_up") == 0, what="Kamailio knows it")
        call = stage.caller.call("1001")
        talk(call, desk)
        to_desk = desk.rings[0].at_s - call.sent_s
        to_480 = seconds_to(stage.caller.call("1002"), 480)
        start = time.monotonic()
        desk.register()
        phone.open()
        phone.register()
        to_200 = time.monotonic() - start
        assert not phone.registered.get("feature-caps")
        talk(stage.caller.call("1002"), phone)
        assert max(to_desk, to_480, to_200) < SLACK_S
        # and back
        stage.lab.start_daemon()
        stage.wait_connected()
        phone.sleep(gone=True)
        talk(stage.caller.call("1002"), phone, number=1)
        print(f"[  NOTE    ] daemon absent: INVITE to INVITE {to_desk * 1000:.1f} ms, "
              f"to 480 {to_480 * 1000:.1f} ms, two REGISTERs {to_200 * 1000:.1f} ms")


def test_daemon_stopped():
    """SIGSTOP: the first call and the first REGISTER wait for PBXPUSH_LATE_MS, the others not at
    all. What the daemon reads later rings nobody whose call is over."""
    with Stage() as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1002")
        registering = stage.iphone("1003", asleep=False)
        with stage.lab.daemon.asleep():
            call = stage.caller.call("1001")
            talk(call, desk)
            first = desk.rings[0].at_s - call.sent_s
            assert LATE_MS / 1000 - 0.1 <= first < LATE_MS / 1000 + SLACK_S, first
            assert stage.kamailio.shared("pbxpush_late") == 1
            times = []
            for number in range(1, 4):
                call = stage.caller.call("1001")
                talk(call, desk, number=number)
                times.append(desk.rings[number].at_s - call.sent_s)
            times.append(seconds_to(stage.caller.call("1002"), 480))
            start = time.monotonic()
            registering.register()
            times.append(time.monotonic() - start)
            assert max(times) < LATE_MS / 1000, times
        wait_until(lambda: stage.kamailio.shared("pbxpush_late") == 0, what="pbxpushd is back")
        call = stage.caller.call("1002")
        talk(call, phone)
        stage.wait_pushes(1)
        stage.times([(call, phone)], "daemon was stopped")
        print(f"[  NOTE    ] daemon stopped: first INVITE to INVITE {first * 1000:.1f} ms, "
              f"then at worst {max(times) * 1000:.1f} ms")


def test_daemon_stopped_for_long():
    """Its socket fills up, and nobody blocks on it: Kamailio stops telling it."""
    with Stage() as stage:
        desks = [stage.desk_phone(f"10{number}") for number in range(10)]
        phone = stage.iphone("1100")
        with stage.lab.daemon.asleep():
            seconds_to(stage.caller.call("1100"), 480)
            for number in range(100):
                calls = [stage.caller.call(desk.user) for desk in desks]
                for call in calls:
                    call.wait("answered", SLACK_S)
                for call in calls:
                    call.hang_up(SLACK_S)
            for desk in desks:
                desk.register(deadline_s=SLACK_S)
        wait_until(lambda: stage.kamailio.shared("pbxpush_late") == 0, what="pbxpushd is back")
        talk(stage.caller.call("1100"), phone)
        stage.wait_pushes(1)


def test_daemon_stopped_while_it_decides():
    """One caller hangs up, one hears 480; then the daemon reads of the calls and of their ends, and
    pushes for neither."""
    with Stage() as stage:
        phones = [stage.iphone(f"100{number}") for number in range(3)]
        with stage.lab.daemon.asleep():
            call = stage.caller.call("1000")
            call.cancel()
            assert call.wait("failed").status == 487, call.responses
            seconds_to(stage.caller.call("1001"), 480)
            stage.wait_delivered()
        wait_until(lambda: stage.kamailio.shared("pbxpush_late") == 0, what="pbxpushd is back")
        stage.wait_state(call, "cancelled")
        talk(stage.caller.call("1002"), phones[2])
        assert not stage.pushes(phones[0]) and not stage.pushes(phones[1])


def test_kamailio_restarted():
    """Its calls and contacts are gone. A phone that was being woken is told so, and the next call
    wakes it again: the tokens are the daemon's."""
    with Stage(quiet=False) as stage:
        phone, second = stage.iphone("1001"), stage.iphone("1002")
        phone.wakes = False
        stage.caller.call("1001")
        stage.wait_pushes(1)
        began = time.time()
        wait_decided(stage)
        stage.kamailio.kill()
        stage.caller.close()
        # Kamailio compares in seconds whether the call is older than itself.
        wait_until(lambda: int(time.time()) > int(began) + 1, what="a second has passed")
        stage.start_kamailio()
        stage.wait_connected()
        phone.wake()
        phone.wait_reported("unknown")
        assert not phone.rings
        caller = stage.add_caller("2002")
        calls = caller.call("1001"), caller.call("1002")
        talk(calls[0], phone)
        talk(calls[1], second)
        stage.times(zip(calls, (phone, second)), "Kamailio was restarted")
        # a clean stop, too
        phone.sleep(gone=False)
        stage.kamailio.end()
        stage.start_kamailio()
        stage.wait_connected()
        talk(caller.call("1001"), phone, number=1)


if __name__ == "__main__":
    harness.main(globals())
