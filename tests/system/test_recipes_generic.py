#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""conf/pbx/generic: the script, the Python example, and what the Asterisk dialplan sends, each
against the real daemon. The dialplan itself needs an Asterisk, which Debian 12 does not have."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, START_S, TOKEN, Lab, Skip, wait_until  # noqa: E402
from http_raw import CALLS, HttpLab, Http, request  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RECIPES = ROOT / "conf/pbx/generic"
SCRIPT, EXAMPLE = RECIPES / "pbxpush-call.sh", RECIPES / "pbxpush_call.py"
DIALPLAN = (RECIPES / "extensions_pbxpush.conf").read_text()
# What a hung daemon may cost: 0.3 s, and what it takes to start programs on a busy machine.
HUNG_S = 0.3 + (2.0 if "san" in str(BUILD) else 1.0)
GO_ON = (75, 127)  # as if there were no pbxpush
HOSTILE = ('Alice "x","to":"666"}', "a'; touch pwned; '", "$(touch pwned)`touch pwned`", "--json",
           "-", "a\nto=666\n", "back\\slash \\", "100%s%n", "*", "ÄÖÜ 😀", "to=666", "&|<>(){}[]#!~")


class RecipeLab(Lab):
    """1001 has a phone, 1002 one and do-not-disturb, 1003 none."""

    def __enter__(self):
        lab = super().__enter__()
        lab.register("1001", device="phone")
        lab.register("1002", token="ab" * 32)
        assert lab.events.ask(event="dnd", user="1002", on=True)["ok"]
        self.calls = 0
        return lab

    def environment(self, to="1001", name=None, number="+15551230001", wait_ms=None):
        self.calls += 1
        values = {"PBXPUSH_TO": to, "PBXPUSH_CALL": f"call-{self.calls}@pbx",
                  "PBXPUSH_FROM_NUMBER": number, "PBXPUSH_FROM_NAME": name,
                  "PBXPUSH_WAIT_MS": wait_ms}
        return {key: str(value) for key, value in values.items() if value is not None}

    def launch(self, program, environment, *args, lines=None):
        paths = {"PATH": f"{BUILD}:{os.environ['PATH']}", "PBXPUSH_EVENTS": self.daemon.events_path}
        return subprocess.Popen(
            [program, *args], env=os.environ | paths | environment, cwd=self.place.path, text=True,
            stdin=subprocess.PIPE if lines is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, program, environment=None, *args, lines=None):
        """(exit status, stdout, seconds)"""
        start = time.monotonic()
        process = self.launch(program, environment or {}, *args, lines=lines)
        out, err = process.communicate(lines, timeout=START_S + 20)
        assert not harness.REPORT.search(err), err
        return process.returncode, out, time.monotonic() - start

    def comes(self):
        """The phone of 1001 registers."""
        self.events.ask(event="register", user="1001", device="phone", contact="sip:x@192.0.2.1")


def test_script_verdicts():
    with RecipeLab() as lab:
        for to, wait_ms, code, verdict, rule in (
                ("1001", 1000, 3, "unreachable", "no-register"), ("1002", None, 1, "reject", "dnd"),
                ("1003", None, 3, "unreachable", "no-device")):
            status, out, _ = lab.run(SCRIPT, lab.environment(to, wait_ms=wait_ms))
            reply = json.loads(out)
            assert (status, reply["verdict"], reply["rule"]) == (code, verdict, rule), (to, reply)
        for status, environment, args in (
                (2, {}, ()), (2, {"PBXPUSH_TO": "1001"}, ()), (2, {"PBXPUSH_CALL": "c"}, ()),
                (2, lab.environment(), ("1001",)), (2, lab.environment(wait_ms="soon"), ()),
                (2, lab.environment(wait_ms="1;id"), ()), (2, lab.environment(wait_ms="099"), ()),
                (2, lab.environment(wait_ms=100000), ()), (65, lab.environment("sip:"), ())):
            assert lab.run(SCRIPT, environment, *args)[0] == status, (environment, args)
        call = lab.events.ask(event="call-state", call="call-2@pbx")
        assert call["ok"], "what the script said is the daemon's call"


def test_script_waits_for_the_phone():
    with RecipeLab() as lab:
        for way in ("environment", "stdin"):
            environment = lab.environment(name="Alice")
            if way == "stdin":
                lines = "".join(f"{key[8:].lower().replace('_', '-')}={value}\n"
                                for key, value in environment.items())
                process = lab.launch(SCRIPT, {}, "-", lines=lines)
                process.stdin.write(lines)
                process.stdin.close()
                process.stdin = None
            else:
                process = lab.launch(SCRIPT, environment)
            wait_until(lambda: len(lab.simulator.requests()) == lab.calls)
            payload = lab.simulator.requests()[-1]["payload"]
            assert payload["caller"] == {"name": "Alice", "number": "+15551230001"}, payload
            assert process.poll() is None, "it waits"
            lab.comes()
            out, _ = process.communicate(timeout=START_S)
            assert process.returncode == 0, (way, out)
            assert json.loads(out)["verdict"] == "registered", (way, out)
        assert len(lab.simulator.requests()) == 2, "one push a call"


def test_script_and_hostile_names():
    with RecipeLab() as lab:
        for name in HOSTILE:
            environment = lab.environment(name=name, wait_ms=1, number=name)
            environment["PBXPUSH_CALL"] += name
            assert lab.run(SCRIPT, environment)[0] == 3, name
            payload = lab.simulator.requests()[-1]["payload"]
            shown = name.replace("\n", "")  # control characters are taken out for the screen
            assert payload["caller"]["name"] == shown and payload["callee"] == "1001", payload
            assert payload["call_id"] == environment["PBXPUSH_CALL"], payload
        assert not any("pwned" in path.name for path in lab.place.path.iterdir())
        # stdin is a line a value
        lines = 'call=c"1\nfrom-name=$(touch pwned)=\\"\nto=1001\nnonsense\nwait-ms=1'
        assert lab.run(SCRIPT, {}, "-", lines=lines)[0] == 3
        payload = lab.simulator.requests()[-1]["payload"]
        assert payload["caller"]["name"] == '$(touch pwned)=\\"' and payload["call_id"] == 'c"1'
        assert not (lab.place / "pwned").exists()


def test_anonymous_and_unknown():
    with RecipeLab() as lab:
        for number, shown in (("", "Anonymous"), (None, "Connecting call...")):
            lab.run(SCRIPT, lab.environment(number=number, wait_ms=1))
            caller = lab.simulator.requests()[-1]["payload"]["caller"]
            assert caller == {"name": shown, "number": None}, (number, caller)


def test_nobody_there():
    """An absent daemon costs nothing, one that hangs a moment, and the call goes on."""
    with RecipeLab() as lab:
        with lab.daemon.asleep():
            status, _, seconds = lab.run(SCRIPT, lab.environment())
            assert status in GO_ON and seconds < HUNG_S, (status, seconds)
            status, out, seconds = lab.run(EXAMPLE, lab.environment())
            assert (status, out) == (0, "dial\n") and seconds < HUNG_S, (status, out, seconds)
        # it hangs while it is waited for: the wait is all that it costs
        environment = lab.environment(wait_ms=1000)
        process = lab.launch(SCRIPT, environment)
        wait_until(lambda: lab.simulator.requests())
        with lab.daemon.asleep():
            process.communicate(timeout=START_S)
            assert process.returncode in (3, *GO_ON)
        lab.daemon.stop()
        status, _, seconds = lab.run(SCRIPT, lab.environment())
        assert status in GO_ON and seconds < HUNG_S, (status, seconds)
        assert lab.run(EXAMPLE, lab.environment())[1] == "dial\n"
        environment = lab.environment() | {"PATH": "/usr/bin:/bin"}
        if not shutil.which("pbxpushctl", path=environment["PATH"]):
            assert lab.run(SCRIPT, environment)[0] in GO_ON, "nor is pbxpushctl"
        lab.daemon = None


def test_python_example():
    with RecipeLab() as lab:
        for to, printed in (("1002", "reject"), ("1003", "voicemail"), ("sip:", "dial")):
            assert lab.run(EXAMPLE, lab.environment(to))[:2] == (0, printed + "\n"), to
        for name in HOSTILE:
            process = lab.launch(EXAMPLE, lab.environment(name=name))
            wait_until(lambda: len(lab.simulator.requests()) > HOSTILE.index(name))
            payload = lab.simulator.requests()[-1]["payload"]
            assert payload["caller"]["name"] == name.replace("\n", ""), payload
            assert process.poll() is None, "it waits"
            lab.comes()
            out, err = process.communicate(timeout=START_S)
            assert (process.returncode, out) == (0, "dial\n"), (name, out, err)
        environment = lab.environment()
        assert lab.events.ask(event="end", call=environment["PBXPUSH_CALL"])["ok"]
        assert lab.run(EXAMPLE, environment)[1] == "stop\n"
    lines = EXAMPLE.read_text().splitlines()
    body = [line for line in lines[lines.index("import json"):] if line.strip()]
    assert len(body) <= 30, "an example that one sees at a glance"


def safe(text):
    """What FILTER() leaves in the dialplan."""
    wanted = r"\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff"
    assert f"PBXPUSH_SAFE={wanted})" in DIALPLAN
    return re.sub(rf"[^{wanted}]".encode(), b"", text.encode()).decode()


def body(template, **values):
    """A body of the dialplan, which must stand there so, with its variables filled in."""
    assert f"Set(PBXPUSH_BODY={template})\n" in DIALPLAN, template
    return re.sub(r"\$\{(?:PBXPUSH_)?(\w+)\}", lambda match: values[match[1].lower()], template)


def call_body(name="Alice", number="+15551230001", to="1001", call="1763790000.12"):
    return body('{"event":"call","call":"${PBXPUSH_CALL}","to":"${EXTEN}","wait":"verdict",'
                '"from":{"number":"${PBXPUSH_NUMBER}","name":"${PBXPUSH_NAME}"}}',
                call=call, exten=to, number=safe(number), name=safe(name))


def curl(lab, data, *more):
    """As func_curl does it: libcurl with these options. (exit status, HTTP status, body)"""
    for line in ("CURLOPT(conntimeout)=0.2", "CURLOPT(httptimeout)=0.3",
                 "CURLOPT(httpheader)=Authorization: Bearer ",
                 "CURLOPT(httpheader)=Content-Type: application/json",
                 "${CURL(http://127.0.0.1:8599/v1/events,${PBXPUSH_BODY})}"):
        assert line in DIALPLAN, line
    done = subprocess.run(
        ["curl", "-s", "--connect-timeout", "0.2", "--max-time", "0.3", "-w", "\n%{http_code}",
         "-H", f"Authorization: Bearer {CALLS}", "-H", "Content-Type: application/json", *more,
         "--data-binary", "@-", f"http://{lab.address}/v1/events"],
        input=data.encode(), capture_output=True, timeout=START_S)
    text, _, status = done.stdout.decode().rpartition("\n")
    return done.returncode, int(status), text


def dialplan_lab():
    if not shutil.which("curl"):
        raise Skip("no curl")
    return HttpLab()


def test_dialplan_events():
    with dialplan_lab() as lab:
        lab.register("1001", device="phone")
        _, status, text = curl(lab, call_body())
        reply = json.loads(text)
        assert (status, reply["verdict"], reply["rule"]) == (200, "push", None), reply
        assert reply["uuid"], reply
        events = (('{"event":"register","user":"${EXTEN}"}', {"exten": "1001"}),
                  ('{"event":"answer","call":"${PBXPUSH_CALL}"}', {"call": "1763790000.12"}),
                  ('{"event":"end","call":"${PBXPUSH_CALL}","reason":"${PBXPUSH_REASON}"}',
                   {"call": "1763790000.12", "reason": "completed"}))
        for template, values in events:
            _, status, text = curl(lab, body(template, **values))
            assert status == 200 and json.loads(text)["ok"], (template, text)
        state = lab.events.ask(event="call-state", call="1763790000.12")
        assert state["state"] == "completed", state
        for reason in ("timeout:cancelled", "completed:"):
            assert f"?{reason}" in DIALPLAN, reason
            assert lab.events.ask(event="end", call="x", reason=reason.partition(":")[0])["ok"]
        verdicts = set(re.findall(r'PBXPUSH_VERDICT}" = "(\w+)"', DIALPLAN))
        assert verdicts == {"push", "reject", "ended"}, verdicts


def test_dialplan_and_hostile_names():
    with dialplan_lab() as lab:
        lab.register("1001", device="phone")
        for number, name in enumerate((*HOSTILE, "\0\x01\x1f\x7f", '"' * 100, "")):
            _, status, text = curl(lab, call_body(name=name, call=f"17.{number}"))
            assert (status, json.loads(text)["verdict"]) == (200, "push"), (name, text)
            wait_until(lambda: len(lab.simulator.requests()) == number + 1)
            payload = lab.simulator.requests()[-1]["payload"]
            assert payload["callee"] == "1001", payload
            assert payload["caller"]["name"] == (safe(name) or "+15551230001"), payload


def test_dialplan_fails_open():
    with dialplan_lab() as lab:
        # a header that was set twice is sent twice
        assert curl(lab, call_body(), "-H", f"Authorization: Bearer {CALLS}")[1] == 200
        with lab.daemon.asleep():
            start = time.monotonic()
            assert curl(lab, call_body())[0] == 28, "curl's timeout"
            assert time.monotonic() - start < HUNG_S
        lab.daemon.stop()
        assert curl(lab, call_body())[0] == 7, "refused"
        lab.daemon = None


def test_http_waits_for_the_phone():
    """What the README shows: one request that stays open until the phone is there."""
    with dialplan_lab() as lab:
        lab.register("1001", device="phone")
        http = Http(lab.address).send(request(
            {"event": "call", "call": "c", "to": "1001", "wait": "register"}, token=CALLS))
        wait_until(lambda: lab.simulator.requests_to(TOKEN))
        lab.register("1001", device="phone", contact="sip:x@192.0.2.1")
        assert http.answer().json["verdict"] == "registered"
        http.close()


if __name__ == "__main__":
    harness.main(globals())
