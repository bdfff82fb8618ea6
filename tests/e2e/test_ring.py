#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls that find somebody: phones that sleep, phones that do not, and both."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import Stage, harness, talk  # noqa: E402


def test_one_phone():
    with Stage() as stage:
        phone = stage.iphone("1001")
        call = stage.caller.call("1001", '"Alice \\"A\\" Liddell"')
        talk(call, phone)
        payload = stage.check_match(phone)
        assert payload["caller"] == {"name": 'Alice "A" Liddell', "number": "2001"}, payload
        assert (payload["callee"], payload["video"]) == ("1001", False), payload
        assert phone.registered.get("feature-caps") == '*;+sip.pns="apns"', phone.registered.headers
        stage.wait_pushes(1)
        stage.wait_state(call, "completed")
        stage.times([(call, phone)], "one phone")


def test_one_phone_that_is_still_registered():
    """iOS suspends the app, and the PBX still has its contact: no INVITE into the dark, not even
    where the phone comes back on the same port."""
    with Stage() as stage:
        for user, same_port in (("1001", False), ("1002", True)):
            phone = stage.iphone(user, gone=False, same_port=same_port)
            phone.wakes = False
            call = stage.caller.call(user, video=True)
            stage.wait_pushes(1, phone)
            phone.wake()
            talk(call, phone)
            assert stage.check_match(phone)["video"] is True
            stage.times([(call, phone)], f"one phone, still registered, same port: {same_port}")


def test_three_phones_one_answers():
    """The others hear that it was answered elsewhere: by CANCEL, or when they register late."""
    with Stage() as stage:
        first, second, late = (stage.iphone("1001", gone=gone) for gone in (True, False, True))
        first.answers = second.answers = late.wakes = False
        call = stage.caller.call("1001")
        rings = [phone.wait_ring() for phone in (first, second)]
        stage.wait_pushes(3)
        second.network.do(rings[1].answer)
        call.wait("answered")
        assert "cause=200" in first.wait_ring("cancelled").reason
        stage.wait_state(call, "answered")
        late.wake()
        late.wait_reported("answered")
        assert not late.rings
        assert len({phone.pushes[0]["uuid"] for phone in (first, second, late)}) == 1
        # the phone that talks registers again: it is not told to end its own call
        second.register()
        assert not second.registered.all("x-pbxpush-call"), second.registered.headers
        call.hang_up()
        stage.wait_state(call, "completed")
        stage.times([(call, first), (call, second)], "three phones")


def test_two_callers_at_once():
    with Stage() as stage:
        phone = stage.iphone("1001")
        phone.answers = False
        calls = [stage.caller.call("1001"), stage.add_caller("2002").call("1001")]
        rings = [phone.wait_ring(number=0), phone.wait_ring(number=1)]
        assert {ring.call_id for ring in rings} == {call.call_id for call in calls}
        payloads = [stage.check_match(phone, number) for number in (0, 1)]
        assert {payload["caller"]["number"] for payload in payloads} == {"2001", "2002"}
        stage.wait_pushes(2)
        for ring in rings:
            phone.network.do(ring.answer)
        for call in calls:
            call.wait("answered").hang_up()
            stage.wait_state(call, "completed")
        stage.times([(call, phone) for call in calls], "two callers at once")


def test_desk_phone_registers_anew_meanwhile():
    """It rings at once, once, and neither lets the call go early nor rings anew."""
    with Stage() as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1001")
        desk.answers = phone.wakes = False
        call = stage.caller.call("1001")
        desk.wait_ring()
        stage.wait_pushes(1)
        desk.register()
        desk.register()
        phone.wake()
        talk(call, phone)
        assert "cause=200" in desk.wait_ring("cancelled").reason
        assert len(desk.rings) == 1 and len(stage.pushes()) == 1
        stage.times([(call, phone)], "desk phone registers anew meanwhile")


def test_desk_phone_is_busy():
    """A refusal of one phone is not the end while another is being woken; that phone does not
    ring again when it registers anew."""
    with Stage() as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1001")
        desk.answers = phone.wakes = False
        call = stage.caller.call("1001")
        desk.network.do(lambda ring=desk.wait_ring(): ring.refuse(486))
        desk.network.wait(lambda: desk.rings[0].acked, 30, "the 486 is acknowledged")
        desk.register()
        # its 180 may have been overtaken by the 486 in another worker, and is void then
        assert call.state != "failed", call.responses
        phone.wake()
        talk(call, phone)
        assert len(desk.rings) == 1
        # all decline: the caller hears it at once
        phone.answers = False
        call = stage.caller.call("1001")
        for agent in (desk, phone):
            agent.network.do(lambda ring=agent.wait_ring(number=1): ring.refuse(486))
        assert call.wait("failed").status == 486
        stage.wait_state(call, "declined")


def test_only_a_desk_phone():
    with Stage() as stage:
        desk = stage.desk_phone("1001")
        talk(stage.caller.call("1001"), desk)
        assert not stage.pushes()


def test_hostile_names():
    """Whatever a caller calls himself, the call rings, and no JSON of his is believed."""
    table = (
        ('"x\\", \\"wait\\": \\"verdict\\", \\"to\\": \\"1002\\""', 'x", "wait": "verdict", "to": "1002"'),
        ('"$(rm -rf /) `id` ; \\\\"', "$(rm -rf /) `id` ; \\"),
        ('"M\u00fcller \u674e"', "M\u00fcller \u674e"),
        ('"M\udcfcller"', "M?ller"),  # Latin-1
        ('"' + "A" * 3000 + '"', "A" * 3000),
        ("", "2001"))
    with Stage() as stage:
        stage.expected.append('value to add is not a string - "from.name"')
        for number, (name, shown) in enumerate(table):
            phone = stage.iphone(f"10{number}")
            call = stage.caller.call(f"10{number}", name)
            talk(call, phone)
            assert stage.check_match(phone)["caller"]["name"] == shown, phone.pushes
        phone = stage.iphone("1099")
        hidden = stage.add_caller("anonymous")
        hidden.domain = "anonymous.invalid"
        call = hidden.call("1099", '"Anonymous"', uri=f"sip:1099@{stage.domain}")
        talk(call, phone)
        assert stage.check_match(phone)["caller"] == {"name": "Anonymous", "number": None}


if __name__ == "__main__":
    harness.main(globals())
