#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may ring: lists, do-not-disturb, what the PBX says, and in which order (CONTRACT 2.3)."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab, wait_until  # noqa: E402

PUSH = ("push", None)


def number(text):
    return {"from": {"number": text}}


class Policy:
    """A lab with one phone, whose calls are numbered."""

    def __init__(self, user="1001", **config):
        self.lab, self.user, self.count = Lab(config=config), user, 0

    def __enter__(self):
        self.lab.__enter__()
        self.tell(event="register", device="d", token=TOKEN)
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def tell(self, **event):
        reply = self.lab.events.ask(**{"user": self.user} | event)
        assert reply["ok"], reply
        return reply

    def call(self, **fields):
        self.count += 1
        before = len(self.lab.simulator.requests())
        reply = self.lab.events.ask(event="call", call=f"c{self.count}", to=self.user, **fields)
        verdict = reply["verdict"], reply["rule"]
        assert len(self.lab.simulator.requests()) - before == (verdict == PUSH), "a push, or none"
        return verdict


def test_lists():
    # entry; caller; blocked?
    table = (
        ("+4990123", "+4990123", True), ("+4990123", "0090123", False), ("+4990123", "+49901234", False),
        ("+4990*", "+4990123", True), ("+4990*", "+4989123", False), ("+4990*", "090 123", True),
        ("0 90/123", "+4990123", True), ("0049 90 1*", "090-123", True), ("1002", "1002", True),
        ("1002", "+491002", False), ("sip:1002@pbx.example.com", "1002", True),
        ("anonymous", "anonymous", True), ("anonymous", "", True), ("anonymous", "Restricted", True),
        ("anonymous", "+4990123", False), ("1002", None, False), ("anonymous", None, False))
    with Policy(numbers={"country-code": "49"}) as policy:
        for entry, caller, blocked in table:
            policy.tell(event="block", number=entry)
            policy.tell(event="block", number=entry)
            rule = "anonymous" if entry == "anonymous" else "blocked"
            fields = {} if caller is None else number(caller)
            expected = ("reject", rule) if blocked else PUSH
            assert policy.call(**fields) == expected, (entry, caller)
            assert policy.call(**fields, bypass=True) == PUSH
            policy.tell(event="unblock", number=entry)
            assert policy.call(**fields) == PUSH, (entry, "unblocked")
        assert policy.tell(event="show")["blocks"] == []


def test_whose_lists():
    with Policy("1001@t.example.com") as policy:
        for user, counts in (("*", True), ("*@t.example.com", True), ("*@T.Example.COM", True),
                             ("*@other.example.com", False), ("1001", False),
                             ("sip:1001@T.EXAMPLE.com;x=y", True)):
            policy.tell(event="block", user=user, number="+49901")
            assert policy.call(**number("+49901")) == (("reject", "blocked") if counts else PUSH), user
            assert policy.lab.events.ask(event="show", user=user)["blocks"] == ["+49901"], user
            # the user's own list of the allowed beats every block
            policy.tell(event="allow", number="+4990*")
            assert policy.call(**number("+49901")) == PUSH
            policy.tell(event="unallow", number="+4990*")
            policy.tell(event="unblock", user=user, number="+49901")
        policy.tell(event="allow", user="*", number="+49901")
        policy.tell(event="block", number="+49901")
        assert policy.call(**number("+49901")) == PUSH


def test_dnd():
    with Policy() as policy:
        policy.tell(event="dnd", on=True)
        assert policy.call() == ("reject", "dnd")
        assert policy.call(bypass=True) == PUSH
        policy.tell(event="allow", number="+49901")
        assert policy.call(**number("+49901")) == PUSH
        assert policy.call(**number("+49902")) == ("reject", "dnd")
        policy.tell(event="dnd", on=False)
        assert policy.call() == PUSH
        # of one phone
        policy.tell(event="dnd", on=True, device="d")
        assert policy.call() == ("reject", "dnd")
        assert policy.call(**number("+49901")) == PUSH
        policy.tell(event="register", device="e", token="e5" * 32)
        assert policy.call() == PUSH, "the other one rings"
        policy.tell(event="dnd", on=False, device="d")


def test_dnd_that_ends():
    with Policy() as policy:
        now_ms = int(time.time() * 1000)
        policy.tell(event="dnd", on=True, until_ms=now_ms - 1)
        assert policy.call() == PUSH
        policy.tell(event="dnd", on=True, until_ms=now_ms + 3600_000)
        assert policy.tell(event="show")["dnd"] is True
        assert policy.call() == ("reject", "dnd")
        policy.tell(event="dnd", on=True, until_ms=int(time.time() * 1000) + 300)
        wait_until(lambda: policy.tell(event="show")["dnd"] is False, what="it ends by itself")
        assert policy.call() == PUSH


def test_order():
    """pbx-*, stale, ended, lists, do-not-disturb, busy, devices: the first that says no is named."""
    old = {"started_ms": int(time.time() * 1000) - 3600_000}
    with Policy(calls={"call-waiting": "no"}) as policy:
        policy.call()
        policy.lab.events.ask(event="answer", call="c1")
        assert policy.call(**number("+49901")) == ("reject", "busy")
        policy.tell(event="dnd", on=True)
        assert policy.call(**number("+49901")) == ("reject", "dnd")
        policy.tell(event="block", number="+49901")
        policy.tell(event="block", number="anonymous")
        assert policy.call(**number("+49901")) == ("reject", "blocked")
        assert policy.call(**number("")) == ("reject", "anonymous")
        policy.lab.events.ask(event="end", call=f"c{policy.count + 1}")
        assert policy.call(**number("+49901")) == ("ended", "cancelled")
        policy.lab.events.ask(event="end", call=f"c{policy.count + 1}")
        assert policy.call(**number("+49901"), **old) == ("ended", "stale")
        assert policy.call(**number("+49901"), **old, dnd=True) == ("reject", "pbx-dnd")
        assert policy.call(**number("+49901"), **old, blocked=True) == ("reject", "pbx-blocked")
        assert policy.call(bypass=True, dnd=True) == ("reject", "pbx-dnd"), "bypass is about us only"
        assert policy.call(**number("+49901"), bypass=True) == PUSH


if __name__ == "__main__":
    harness.main(globals())
