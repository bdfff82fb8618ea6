#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`export` and `import`: a directory leaves and comes back whole, a file with a fault changes
nothing, and neither is for everybody."""

import json
import os
import pathlib
import pty
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, START_S, Lab, token  # noqa: E402

USERS = 20000
LONG_S = 300  # sanitizers, and a busy machine
FAR_MS = 4_000_000_000_000


def events_of(number):
    """What user `number` has; everybody something, some more than others."""
    user = f"u{number}@t{number % 7}.example.com"
    yield {"event": "register", "user": user, "device": "iphone", "app": harness.App.bundle,
           "token": token(number), "alert_token": token(number + USERS), "environment": "sandbox",
           "sip": False}
    yield {"event": "block", "user": user, "number": f"+4930{number}*"}
    yield {"event": "allow", "user": user, "number": f"+4940{number}"}
    if number % 2:
        yield {"event": "mute", "user": user, "conversation": f"Größe \"{number}\"\t🦊"}
    if number % 3 == 0:
        yield {"event": "dnd", "user": user, "on": True, "until_ms": FAR_MS + number}
    if number % 5 == 0:
        yield {"event": "dnd-schedule", "user": user, "timezone": "Europe/Berlin", "windows": [
            {"days": ["mon", "sun"], "from": "22:00", "to": f"{number % 24:02}:30"}]}
    if number % 7 == 0:
        yield {"event": "call-waiting", "user": user, "on": number % 2 == 0}
    if number % 11 == 0:
        yield {"event": "register", "user": user, "device": "ipad", "app": harness.App.bundle,
               "alert_token": token(number + 2 * USERS), "mode": "alert", "sip": False}
        yield {"event": "dnd", "user": user, "device": "ipad", "on": True}


def everything(users):
    yield {"event": "block", "user": "*", "number": "anonymous"}
    yield {"event": "allow", "user": "*@t1.example.com", "number": "+49110"}
    for number in range(users):
        yield from events_of(number)


def text_of(events):
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def lines_of(events):
    """Sorted, and alike whatever the order of the members."""
    return sorted(json.dumps(event, sort_keys=True) for event in events)


def export(lab):
    done = lab.ctl("export", deadline_s=LONG_S)
    assert done.returncode == 0 and not done.stderr, done.stderr
    # Not splitlines(): a name may hold U+2028.
    return lines_of(json.loads(line) for line in done.stdout.split("\n")[:-1]), done.stdout


def run_import(lab, text, code, *options):
    """(summary, faults) of an import from stdin."""
    done = lab.ctl("import", *options, stdin=text, deadline_s=LONG_S)
    assert done.returncode == code, done
    return done.stdout, done.stderr


def wipe(lab):
    lab.daemon.check_end()
    for path in lab.place.path.glob("directory.db*"):
        path.unlink()
    lab.start_daemon()
    assert export(lab)[0] == []


def timed(what, work, *args):
    begin = time.monotonic()
    result = work(*args)
    print(f"{what}: {time.monotonic() - begin:.2f} s")
    return result


def test_there_and_back():
    wanted = list(everything(USERS))
    with Lab(log=False) as lab:
        summary, faults = timed(f"import of {USERS} users, {len(wanted)} events",
                                run_import, lab, text_of(wanted), 0)
        assert summary == f"{len(wanted)} of {len(wanted)} events imported\n", summary
        assert faults == "", faults
        lines, text = timed("export", export, lab)
        assert lines == lines_of(wanted)

        wipe(lab)
        path = lab.place / "directory.json"
        path.write_text(text)
        done = timed("import of the export", lambda: lab.ctl("import", path, deadline_s=LONG_S))
        assert done.returncode == 0, done
        assert export(lab)[0] == lines
        # On disk, and again the same over what is there.
        lab.restart_daemon()
        assert export(lab)[0] == lines
        run_import(lab, text, 0)
        assert export(lab)[0] == lines


FAULTY = [
    # line; what is said of it
    ('{"event":"block","user":"1001","number":"+491"}', None),
    ("", None),
    ('{"event":"block","user":"1001"}', "missing-field: 'block' needs 'number'"),
    ('{"event":"unblock","user":"1001","number":"+491"}',
     "'unblock' is nothing that an export writes"),
    ('{"event":"call","call":"c","to":"1001"}', "'call' is nothing that an export writes"),
    ('{"event":"forget","user":"1001"}', "'forget' is nothing that an export writes"),
    ('{"event":"register","user":"1001","token":"%s"}' % token(1), "'sip' must be false"),
    ('{"event":"register","user":"1001","sip":false}', "without a token restores nothing"),
    ('{"event":"register","user":"1001","token":"xyz","sip":false}', "'token' must be"),
    ('{"event":"dnd","user":"1001","on":"yes"}', "'on' must be true or false"),
    ('{"event":"dnd-schedule","user":"1001","timezone":"UTC","windows":[{"days":["mon"]}]}',
     "window 1 has no 'from'"),
    ('{"event":"dnd-schedule","user":"1001","windows":[{"days":["mon"],"from":"1"}]}',
     "'timezone'"),
    ('{"event":"dnd-schedule","user":"1001","windows":[]}\r', None),
    ('{"event":"dnd","user":"1001","on":true', "bad-json"),
    ("nonsense\033[2J", "bad-json"),
    ("[]", "bad-json"),
    ('{"event":"mute","user":"1001","conversation":"c","x":"%s"}' % ("y" * 65536), "too-long"),
    ('{"event":"mute","user":"1001","conversation":"family","id":1.5,"new":"ignored"}', None),
]
FAULTS = {number: what for number, (_, what) in enumerate(FAULTY, 1) if what}
GOOD = 3  # lines that are good and not empty


def check_faults(stderr):
    """Each fault on a line of its own, under its number, and a last line."""
    told = stderr.split("\n")[:-1]
    assert len(told) == len(FAULTS) + 1, stderr
    for line, (number, what) in zip(told, FAULTS.items()):
        assert line.startswith(f"line {number}: ") and what in line, (line, number, what)
        assert line.isprintable(), line
    return told[-1]


def test_all_or_nothing():
    # The last line, too, lacks its end.
    text = "\n".join(line for line, _ in FAULTY)
    with Lab() as lab:
        events = lab.daemon.metric("pbxpush_events_total")
        summary, stderr = run_import(lab, text, 65)
        assert summary == f"0 of {GOOD + len(FAULTS)} events imported\n", summary
        assert check_faults(stderr) == \
            f"pbxpushctl: {len(FAULTS)} faulty, 0 refused: nothing was sent", stderr
        assert lab.daemon.metric("pbxpush_events_total") == events, "nothing was sent"
        assert export(lab)[0] == []


def test_line_by_line():
    text = "\n".join(line for line, _ in FAULTY)
    with Lab() as lab:
        summary, stderr = run_import(lab, text, 65, "--line-by-line")
        assert summary == f"{GOOD} of {GOOD + len(FAULTS)} events imported\n", summary
        assert check_faults(stderr) == f"pbxpushctl: {len(FAULTS)} faulty, 0 refused", stderr
        assert export(lab)[0] == lines_of([
            {"event": "block", "user": "1001", "number": "+491"},
            {"event": "mute", "user": "1001", "conversation": "family"}])
        # Without a fault it is the same as without the option.
        line = '{"event":"dnd","user":"1","on":true}'
        assert run_import(lab, line, 0, "--line-by-line") == ("1 of 1 events imported\n", "")


def test_refused_by_the_daemon():
    """What only the daemon knows: each line is told, the others hold."""
    lines = [
        {"event": "register", "user": "1001", "app": "com.example.other", "token": token(1),
         "sip": False},
        {"event": "dnd", "user": "1001", "device": "iphone", "on": True},
        {"event": "dnd-schedule", "user": "1001", "timezone": "Nowhere/Land", "windows": [
            {"days": ["mon"], "from": "00:00", "to": "01:00"}]},
        {"event": "block", "user": "1001", "number": "+491"},
    ]
    with Lab() as lab:
        summary, stderr = run_import(lab, text_of(lines), 65)
        assert summary == "1 of 4 events imported\n", summary
        told = {line.partition(":")[0]: line for line in stderr.split("\n")[:-1]}
        assert "unknown-app" in told["line 1"] and "no device" in told["line 2"], stderr
        assert "Nowhere/Land" in told["line 3"], stderr
        assert told["pbxpushctl"] == "pbxpushctl: 0 faulty, 3 refused", stderr
        assert export(lab)[0] == lines_of(lines[3:])


def test_who_may():
    with Lab(config={"events": {"admin-users": "65534"}}) as lab:
        lab.register("1001", token(1))
        done = lab.ctl("export")
        assert done.returncode == 65 and done.stdout == "", done
        assert "not-permitted" in done.stderr, done
        # A device alone would be taken from anybody: not so the import.
        line = next(events_of(2))
        summary, stderr = run_import(lab, text_of([line]), 65)
        assert summary == "0 of 1 events imported\n" and "not-permitted" in stderr, stderr
        assert lab.daemon.status()["directory"]["devices"] == 1


def test_without_a_daemon():
    with Lab() as lab:
        lab.daemon.check_end()
        assert lab.ctl("export").returncode == 75
        assert run_import(lab, text_of(events_of(1)), 75)[0] == "0 of 4 events imported\n"


def test_pages():
    """Each page has its share; a cursor holds as long as the daemon runs."""
    wanted = list(everything(2000))
    with Lab(log=False) as lab:
        run_import(lab, text_of(wanted), 0)
        client, cursor, items, pages = lab.client(), None, [], 0
        while pages == 0 or cursor:
            page = client.ask(event="export", cursor=cursor)
            assert page["ok"] and len(page["items"]) < 1000, page
            items, cursor, pages = items + page["items"], page["cursor"], pages + 1
            if pages == 3:
                again = client.ask(event="export", cursor=cursor)
                old = cursor
        assert pages > 10 and lines_of(items) == lines_of(wanted), pages
        assert again["items"] and again["items"] == client.ask(event="export", cursor=old)["items"]
        # After a restart the order is another one: to go on would leave some out.
        client.close()
        lab.restart_daemon()
        reply = lab.client().ask(event="export", cursor=old)
        assert reply.get("error") == "bad-field" and reply["field"] == "cursor", reply


def on_terminal(lab, *words):
    """What a person sees on stderr; stdout goes elsewhere."""
    master, slave = pty.openpty()
    with subprocess.Popen(
            [BUILD / "pbxpushctl", "--events", lab.daemon.events_path, *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave,
            env={**os.environ, "TERM": "xterm"}) as process:
        os.close(slave)
        seen = b""
        try:
            while more := os.read(master, 4096):
                seen += more
        except OSError:  # EIO: the other side is closed
            pass
        assert process.wait(START_S) == 0, seen
    os.close(master)
    return seen.decode()


def test_progress():
    with Lab() as lab:
        path = lab.place / "directory.json"
        path.write_text(text_of(everything(200)))
        total = len(list(everything(200)))
        seen = on_terminal(lab, "import", path)
        assert f" of {total}" in seen and "%" in seen and seen.endswith("\r\033[K"), repr(seen)
        seen = on_terminal(lab, "export")
        assert "exported " in seen and seen.endswith("\r\033[K"), repr(seen)


def test_show_everyone():
    with Lab() as lab:
        for user, number in (("*", "anonymous"), ("*", "+4990*"), ("*@t.example.com", "+491")):
            assert lab.events.ask(event="block", user=user, number=number)["ok"]
        shown = lab.ctl("show", "*").stdout
        assert shown == "blocked: 2\n  +4990*\n  anonymous\nallowed: 0\n", shown
        assert lab.ctl("show", "*@t.example.com").stdout == "blocked: 1\n  +491\nallowed: 0\n"
        assert json.loads(lab.ctl("show", "*", "--json").stdout)["devices"] == []


if __name__ == "__main__":
    harness.main(globals())
