#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What must never be read in a log or a status: tokens, provider tokens, keys, names, numbers."""

import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

TOKEN = "c0ffee11" + "d1" * 28
ALERT_TOKEN = "deadbeef" + "e2" * 28
NAME, DATA = "Wilhelmina Geheim", "topsecret-value"
CALLER, CALLEE = "+4915123456789", "+493055512345"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|notice|info|debug) \w+: \S.*")


def live(lab):
    """As much as possible of what may be logged, with recognisable secrets."""
    ask = lab.events.ask
    contact = (f"<sip:{CALLEE}@10.0.0.7;pn-provider=apns;pn-param={lab.app.team}.{lab.app.bundle}"
               f".voip;pn-prid={TOKEN}>;+sip.instance=\"<urn:uuid:1>\"")
    ask(event="register", user=CALLEE, contact=contact)
    ask(event="register", user=CALLEE, device="alert", alert_token=ALERT_TOKEN, mode="alert")
    caller = {"number": CALLER, "name": NAME, "uri": f"sip:{CALLER}@example.com"}
    call = {"event": "call", "to": CALLEE, "from": caller, "data": {"key": DATA}}
    ask(**call, call="c1")
    ask(**call, call="c1")
    waiting = lab.events.post(**call, call="c2", wait="register")
    ask(event="register", user=CALLEE, contact=contact)
    lab.events.reply(waiting)
    ask(event="end", call="c1", to=CALLEE)
    ask(event="ringing", call="c2", to=CALLEE)
    ask(event="answer", call="c2", to=CALLEE)
    ask(event="block", user=CALLEE, number=CALLER)
    ask(**call, call="c3")
    ask(event="unblock", user=CALLEE, number=CALLER)
    lab.simulator.rule(status=410, reason="Unregistered")
    ask(**call, call="c4")
    lab.simulator.control(clear_rules=True)
    for fields in ({"token": TOKEN + "x"}, {"alert_token": [TOKEN]}, {"pn": {"prid": TOKEN}}):
        ask(event="register", user=CALLEE, **fields)
    lab.events.send_raw(f'{{"event":"register","token":"{TOKEN}","user":"{CALLEE}"'.encode() + b"\n")
    lab.events.read()
    ask(**call | {"from": NAME}, call="c5")
    lab.simulator.rule(status=403, reason="InvalidProviderToken")
    ask(event="register", user=CALLEE, device="new", token="ab" * 32)
    ask(**call, call="c6")
    lab.simulator.control(clear_rules=True)
    ask(event="unregister", user=CALLEE, contact=contact)
    ask(event="forget", token=TOKEN)


def visible(lab):
    """Everything that people get to read, but for replies to the PBX."""
    text = "".join(lab.daemon.get(path)[1] for path in (
        "/status", "/metrics", "/calls", *(f"/calls/c{n}" for n in range(1, 7))))
    return text + lab.daemon.stderr() + lab.ctl("explain", "c2").stdout + lab.ctl("calls").stdout


def secrets(lab):
    key = lab.place.app_key(lab.app.key_id)[0].read_text().splitlines()
    return [TOKEN, TOKEN[:9], TOKEN.upper()[:9], ALERT_TOKEN, ALERT_TOKEN[:9], "eyJ", "bearer",
            "PRIVATE KEY", *key, NAME, NAME.split()[0], DATA]


def lab_with(numbers=None):
    return Lab(config={"daemon": {"log-level": "debug", "log-numbers": numbers}})


def check(lab, text, hidden, shown=()):
    for word in (*secrets(lab), *hidden):
        assert word not in text, [line for line in text.splitlines() if word in line][:3]
    for word in shown:
        assert word in text, word


def test_masked():
    with lab_with() as lab:
        live(lab)
        check(lab, visible(lab), (CALLER, CALLEE, CALLER[1:], CALLEE[1:], CALLER[:-2], CALLEE[:-2]))
        check(lab, visible(lab), (), (CALLEE[-2:], TOKEN[:8]))


def test_full():
    with lab_with("full") as lab:
        live(lab)
        check(lab, visible(lab), (), (CALLER, CALLEE))


def test_none():
    with lab_with("none") as lab:
        live(lab)
        check(lab, visible(lab), (CALLER[-4:], CALLEE[-4:], CALLER[:6], CALLEE[:6]))


def test_lines():
    """One line an event whatever it holds, one outcome line a call, in a fixed order of fields."""
    evil = 'x\n2026-01-01T00:00:00.000Z error fake: forged "quoted" \x1b[31m\u2028 a=b'
    with lab_with() as lab:
        live(lab)
        lab.events.ask(event="call", call=evil, to=evil, **{"from": {"number": evil, "name": evil}})
        lab.events.ask(event=evil)
        lab.events.ask(event="register", user="1", device=evil, token=TOKEN)
        lab.events.ask(event="call", call="c7", to="1")
        lab.daemon.configure({evil.split("\n")[0]: {"a": "b"}})
        lab.daemon.reload()
        wait_until(lambda: "not reloaded" in lab.daemon.stderr())
        lab.daemon.send_signal(signal.SIGTERM)
        lab.daemon.stop()
        text = lab.daemon.stderr_path.read_bytes().decode()
        lines = text.split("\n")
        assert lines.pop() == ""
        for line in lines:
            assert LINE.fullmatch(line), line
            assert line.isprintable(), line
        assert not any(" error fake" in line for line in lines)
        outcomes = [line.partition(" info call: ")[2] for line in lines if " info call: call=" in line]
        fields = [re.findall(r"(\w+)=", line) for line in outcomes]
        assert len(outcomes) >= 6 and all(f == fields[0] for f in fields), fields
        assert [o for o in outcomes if o.startswith("call=c3 ") and "verdict=reject rule=blocked" in o]


if __name__ == "__main__":
    harness.main(globals())
