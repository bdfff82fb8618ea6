#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""200 calls in parallel, each to a phone that sleeps."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import Stage, harness  # noqa: E402

COUNT = 200
DEADLINE_S = 120


def test_200_calls_in_parallel():
    with Stage() as stage:
        phones = [stage.iphone(f"3{number:03}", gone=number % 2 == 0) for number in range(COUNT)]
        calls = [stage.caller.call(phone.user, f'"Caller {phone.user}"') for phone in phones]
        for call, phone in zip(calls, phones):
            call.wait("answered", DEADLINE_S)
            phone.wait_ring("answered", DEADLINE_S)
            assert stage.check_match(phone)["caller"]["name"] == f"Caller {phone.user}"
        stage.wait_pushes(COUNT)
        assert all(len(phone.rings) == 1 for phone in phones)
        for call in calls:
            call.hang_up(DEADLINE_S)
        for call in (calls[0], calls[-1]):
            stage.wait_state(call, "completed")
        stage.times(zip(calls, phones), f"{COUNT} calls in parallel")


if __name__ == "__main__":
    harness.main(globals())
