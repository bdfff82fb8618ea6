#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Row 12. The peer punishes frequent PINGs. Right: one outstanding at most; when idle none within
ping-interval of the last; two seconds of silence while pushes are unanswered is the only reason
for a sooner one."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, token, wait_until  # noqa: E402

SILENCE_MS = 2000
SLACK_MS = 500  # the simulator notes when it reads, not when a thing was sent


def hasty(lab):
    """PINGs less than two seconds after something else on their connection."""
    last, found = {}, []
    for line in lab.simulator.log():
        connection = line.get("connection")
        if line.get("event") == "ping" and line["ms"] - last[connection] < SILENCE_MS - SLACK_MS:
            found.append(line)
        last[connection] = line["ms"]
    return found


def test_idle_pings_keep_the_interval():
    # The simulator sends away who comes sooner: a violation.
    with Lab(simulator=("--ping-min-ms", "500"), config={"apns": {"ping-interval": "1s"}}) as lab:
        wait_until(lambda: lab.simulator.stats()["pings"] >= 6, 30, "PINGs")
        assert lab.simulator.stats()["connections"] == 2


def test_one_outstanding():
    config = {"apns": {"connections": 1, "ping-interval": "1s", "ping-timeout": "3s"}}
    with Lab(config=config, start=False) as lab:
        lab.simulator.control(ignore_pings=True)
        lab.start_daemon()
        wait_until(lambda: lab.simulator.events("close"), 30, "the end of a connection")
        pings = [event for event in lab.simulator.events("ping") if event["connection"] == 1]
        assert len(pings) == 1, pings
        assert "no answer to PING" in lab.daemon.stderr()


def test_silence_is_asked_after_two_seconds():
    config = {"apns": {"connections": 1, "response-timeout": "3s"}}
    with Lab(config=config) as lab:
        lab.phones(1)
        lab.simulator.rule(action="silent", times=1)
        device = lab.call(0)
        assert (device["result"], device["attempts"]) == ("accepted", 2), device
        assert lab.simulator.stats()["pings"] == 1
        assert not hasty(lab)


def test_no_ping_while_others_are_answered():
    config = {"apns": {"connections": 1, "response-timeout": "4s"}}
    with Lab(config=config) as lab:
        lab.phones(2)
        lab.call(1)
        lab.simulator.rule(action="silent", times=1)
        slow = lab.post_call(0)
        while slow not in lab.events.replies:
            assert lab.call(1)["result"] == "accepted"
        assert lab.device(slow)["attempts"] == 2
        assert not hasty(lab)


def test_answers_are_as_good_as_an_ack():
    """The ACK does not come, but other things do: the connection lives, and is asked no more."""
    config = {"apns": {"connections": 1, "max-connections": 1, "response-timeout": "6s",
                       "ping-timeout": "3s"}}
    with Lab(config=config) as lab:
        lab.phones(3)
        lab.call(1)
        lab.simulator.control(ignore_pings=True)
        lab.simulator.rule(token=token(0), action="silent", times=1)
        lab.simulator.rule(token=token(2), delay_ms=SILENCE_MS + SLACK_MS, times=1)
        slow, late = lab.post_call(0), lab.post_call(2)
        wait_until(lambda: lab.simulator.stats()["pings"] == 1, what="a PING")
        assert lab.device(late)["attempts"] == 1
        assert lab.device(slow)["attempts"] == 2
        assert lab.simulator.stats()["pings"] == 1
        assert "no answer to PING" not in lab.daemon.stderr()


if __name__ == "__main__":
    harness.main(globals())
