#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Other configurations of Kamailio: the one it comes with, domains, voicemail, forwarding, a shared
location table."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stage import CONFIG, Skip, Stage, harness, talk, wait_until  # noqa: E402

STOCK = pathlib.Path("/etc/kamailio/kamailio.cfg")
ROUTES = ("", "_REGISTER", "_REGISTERED", "_INVITE", "_BRANCH", "_REPLY", "_FAILURE")


def with_our_lines(text):
    """Kamailio's own configuration, after what the README says to do with it."""
    done = subprocess.run(["sed", "-f", CONFIG.parent / "stock.sed"], input=text,
                          capture_output=True, text=True, check=True)
    for route in ROUTES:
        assert done.stdout.count(f"route(PBXPUSH{route});") == 1, route
    return done.stdout


def test_stock_configuration():
    if not STOCK.exists() or "PBXPUSH" in STOCK.read_text():
        raise Skip(f"{STOCK} is not the one that Kamailio comes with")
    with Stage(source=STOCK, edit=with_our_lines, ring_ms=4000) as stage:
        stage.expected.append("ACC: ")
        desk, phone = stage.desk_phone("1001"), stage.iphone("1001")
        desk.answers = False
        call = stage.caller.call("1001")
        talk(call, phone)
        desk.wait_ring("cancelled")
        stage.check_match(phone)
        stage.times([(call, phone)], "Kamailio's own configuration")
        # who hangs up, who is not there, who does not come
        late = stage.iphone("1002")
        late.wakes = False
        call = stage.caller.call("1002")
        stage.wait_pushes(1, late)
        call.cancel()
        assert call.wait("failed").status == 487
        late.wake()
        late.wait_reported("cancelled")
        assert stage.caller.call("1009").wait("failed").status == 480
        late.sleep(gone=True)
        late.wakes = False
        assert stage.caller.call("1002").wait("failed").status == 480


def test_domains():
    """1001 of one company is not 1001 of the other."""
    names = "a.example.com", "b.example.com"
    more = 'modparam("usrloc", "use_domain", 1)\n' + "".join(f'alias="{n}"\n' for n in names)
    with Stage(defines={"PBXPUSH_DOMAIN": 1}, more=more) as stage:
        phones = [stage.iphone("1001", domain=name) for name in names]
        desk = stage.desk_phone("1001", domain=names[1])
        desk.answers = False
        call = stage.add_caller("2001", names[0]).call("1001")
        talk(call, phones[0])
        assert stage.check_match(phones[0])["callee"] == "1001@a.example.com"
        assert not stage.pushes(phones[1]) and not desk.rings
        phones[1].wakes = False
        call = stage.add_caller("2002", names[1]).call("1001")
        desk.wait_ring()
        phones[1].wake()
        talk(call, phones[1])
        stage.wait_pushes(1, phones[0])


def test_voicemail():
    """Who must not or cannot ring has a mailbox; it gets the time that it needs."""
    port = harness.free_port()
    more = (f'route[VOICEMAIL] {{\n\t$ru = "sip:vm@127.0.0.1:{port}";\n'
            '\tappend_hf("X-Rule: $avp(pbxpush_rule)\\r\\n");\n\troute(RELAY);\n}\n')
    with Stage(defines={"PBXPUSH_VOICEMAIL": "VOICEMAIL"}, more=more, ring_ms=2000) as stage:
        mailbox = stage.desk_phone("vm", registers=False)
        mailbox.close()
        mailbox.open(port)
        phone, second = stage.iphone("1001"), stage.iphone("1002")
        stage.lab.events.ask(event="dnd", user="1001", on=True)
        talk(stage.caller.call("1001"), mailbox, 0)
        second.wakes = False
        talk(stage.caller.call("1002"), mailbox, 1)
        talk(stage.caller.call("1003"), mailbox, 2)
        rules = [ring.invite.get("x-rule") for ring in mailbox.rings]
        assert rules == ["dnd", "no-register", "no-device"], rules
        assert not phone.pushes and not phone.rings and not second.rings
        # the mailbox rings longer than the phones may
        mailbox.answers = False
        call = stage.caller.call("1001")
        ring = mailbox.wait_ring(number=3)
        ended = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > ended, what="the ring time is over")
        assert ring.state == "ringing" and call.state == "ringing", (ring.state, call.responses)
        mailbox.network.do(ring.answer)
        call.wait("answered").hang_up()


def test_forwarding():
    """A failure_route that forwards to another user: his phone is woken, too."""
    def edit(text):
        line = "\troute(PBXPUSH_FAILURE);\n"
        assert line in text
        return text.replace(line, line + '\tif (t_check_status("486") && $rU == "1001") {\n'
                            '\t\t$rU = "1002";\n\t\troute(LOCATION);\n\t\texit;\n\t}\n')

    with Stage(edit=edit) as stage:
        desk, phone = stage.desk_phone("1001"), stage.iphone("1002")
        desk.answers = False
        call = stage.caller.call("1001")
        desk.network.do(lambda ring=desk.wait_ring(): ring.refuse(486))
        talk(call, phone)
        assert stage.check_match(phone)["callee"] == "1002"


def test_shared_location_table():
    """pbxpushd here has never heard of the phone: it registered at another server, and does so
    again when it is woken."""
    with Stage(defines={"PBXPUSH_CONTACTS": 1}) as stage:
        here = stage.iphone("1001", gone=False)
        stage.lab.events.ask(event="forget", user="1001")
        call = stage.caller.call("1001")
        talk(call, here)
        there = stage.iphone("1002", gone=False)
        there.wakes = False
        stage.lab.events.ask(event="forget", user="1002")
        call = stage.caller.call("1002")
        stage.wait_pushes(1, there)
        there.open()
        stage.kamailio.rpc("ul.add", "location", "s:1002", there.contact_uri, "600", "1.0", ".", "0",
                           str(1 << 29), "8191")
        stage.lab.events.ask(event="register", user="1002", contact=there.contact)
        talk(call, there)


if __name__ == "__main__":
    harness.main(globals())
