#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGTERM: no new clients, every open event answered, exit status 0, within drain-timeout."""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Events, Lab, wait_until  # noqa: E402

CALLS = 50


def register(lab):
    for number in range(CALLS):
        lab.events.post(id=f"r{number}", event="register", user=f"u{number}", token=f"{number:064x}")
    for number in range(CALLS):
        assert lab.events.reply(f"r{number}")["stored"]


def post_calls(lab, **fields):
    calls = [lab.events.post(event="call", call=f"c{n}", to=f"u{n}", **fields) for n in range(CALLS)]
    # in the daemon's hands, as the next line is answered
    assert lab.events.ask(event="ping")["event"] == "pong"
    return calls


def draining(lab):
    wait_until(lambda: "running -> draining" in lab.daemon.stderr(), what="draining")


def refused(lab):
    try:
        Events(lab.daemon.events_path).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return True
    return False


def test_pushes_in_flight_are_answered():
    with Lab(config={"daemon": {"drain-timeout": "1m"}}) as lab:
        register(lab)
        lab.simulator.control(delay_ms=300)
        calls = post_calls(lab)
        lab.daemon.send_signal(signal.SIGTERM)
        draining(lab)
        assert refused(lab), "no new clients"
        for call in calls:
            reply = lab.events.reply(call)
            assert reply["devices"][0]["result"] == "accepted", reply
        assert lab.events.read() is None
        assert lab.daemon.stop() == 0
        assert len(lab.simulator.requests()) == CALLS


def test_waiters_are_answered_as_the_call_stands():
    """In a drain no REGISTER is heard any more: nobody waits for one."""
    with Lab(config={"daemon": {"drain-timeout": "1m"}}) as lab:
        register(lab)
        calls = post_calls(lab, wait="register")
        wait_until(lambda: len(lab.simulator.requests()) == CALLS)
        lab.daemon.send_signal(signal.SIGTERM)
        for call in calls:
            reply = lab.events.reply(call)
            assert reply["devices"][0]["result"] == "accepted", reply
            assert reply["verdict"] in ("push", "unreachable"), reply
        assert lab.daemon.stop() == 0


def test_drain_timeout():
    """APNs never answers: when the time is up the PBX hears how its calls stand."""
    with Lab(config={"daemon": {"drain-timeout": "300ms"}}) as lab:
        register(lab)
        lab.simulator.rule(action="silent")
        calls = post_calls(lab) + [lab.events.post(event="call", call="c0", to="u0", wait="register")]
        lab.daemon.send_signal(signal.SIGTERM)
        for call in calls:
            reply = lab.events.reply(call)
            assert reply["devices"][0]["result"] == "pending", reply
        assert lab.events.read() is None
        assert lab.daemon.stop() == 0


def test_second_signal_stops_at_once():
    for numbers in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        with Lab(config={"daemon": {"drain-timeout": "10m"},
                         "apns": {"response-timeout": "1m"}}) as lab:
            register(lab)
            lab.simulator.rule(action="silent")
            post_calls(lab)
            lab.daemon.send_signal(numbers[0])
            draining(lab)
            assert lab.daemon.running()
            assert lab.daemon.stop(numbers[1]) == 0
            assert not lab.daemon.events_path.exists() and not lab.daemon.status_path.exists()


def test_changes_reach_the_disk():
    with Lab() as lab:
        posted = [lab.events.post(event="register", user=f"u{n}", token=f"{n:064x}")
                  for n in range(CALLS)]
        lab.events.post(event="ping")
        wait_until(lambda: lab.events.read()["event"] == "pong")
        lab.daemon.send_signal(signal.SIGTERM)
        assert lab.daemon.stop() == 0
        lab.start_daemon()
        client = lab.client()
        for number in range(len(posted)):
            assert len(client.ask(event="show", user=f"u{number}")["devices"]) == 1


def test_idle():
    with Lab(config={"daemon": {"drain-timeout": "10m"}}) as lab:
        assert lab.events.ask(event="ping")["event"] == "pong"
        lab.daemon.send_signal(signal.SIGTERM)
        assert lab.events.read() is None
        assert lab.daemon.stop() == 0


def test_client_that_does_not_read_does_not_hold_us():
    with Lab(config={"daemon": {"drain-timeout": "500ms"}}) as lab:
        register(lab)
        line = b'{"event":"show","user":"u1"}\n'
        client = lab.client()
        client.socket.settimeout(1)
        try:
            while True:
                client.send_raw(line * 1000)
        except TimeoutError:
            pass
        assert lab.daemon.stop() == 0


def test_news_without_answer_are_replied_to():
    with Lab(config={"daemon": {"drain-timeout": "500ms"}}) as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN, alert_token="ab" * 32, sip=False)
        lab.simulator.rule(token="*", action="silent")
        news = lab.events.post(event="voicemail", to="1001", new=1)
        harness.wait_until(lab.simulator.requests, what="the alert at APNs")
        lab.daemon.send_signal(signal.SIGTERM)
        assert lab.events.reply(news)["devices"][0]["result"] == "pending"
        assert lab.daemon.stop() == 0


def test_sighup_while_draining():
    with Lab(config={"daemon": {"drain-timeout": "1m"}}) as lab:
        lab.events.ask(event="register", user="1001", token=TOKEN)
        lab.simulator.control(delay_ms=300)
        call = lab.events.post(event="call", call="c", to="1001")
        lab.events.ask(event="ping")
        lab.daemon.send_signal(signal.SIGTERM)
        draining(lab)
        lab.daemon.reload()
        assert lab.events.reply(call)["verdict"] == "push"
        assert lab.daemon.stop() == 0


if __name__ == "__main__":
    harness.main(globals())
