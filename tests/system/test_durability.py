#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What was acknowledged is on disk, and nothing is half there: kill -9 at random moments, a full
disk, and files that cannot be used. $PBXPUSH_KILL_ROUNDS sets how often it is killed (default 25),
$PBXPUSH_KILL_SEED the moments (default: other ones each time, printed)."""

import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, START_S, TOKEN, Lab, Skip, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("PBXPUSH_KILL_ROUNDS", "25"))
USERS = 8
FLYING = 150  # events on their way at a time
FAR_MS = 4_000_000_000_000


# ---- kill -9 ----

class Changes:
    """Numbered changes. Each is about one thing; of a thing the last acknowledged one must be on
    disk, or one that was sent after it, and never half of one and half of another."""

    def __init__(self):
        self.number = 0
        self.sent = {}  # thing -> numbers, ascending
        self.acked = {}  # thing -> the last acknowledged

    def next(self):
        """(thing, number, event) of the next change."""
        self.number += 1
        n = self.number
        sort, user = n % 9, n // 9 % USERS
        if sort == 0:
            thing, event = ("rename", user), {
                "event": "register", "user": f"renamed{user}", "device": f"name-{n}",
                "token": f"{user + 1:x}" * 64, "sip": False}
        elif sort == 1:
            thing, event = ("dnd", user), {
                "event": "dnd", "user": f"dnd{user}", "on": True, "until_ms": FAR_MS + n}
        elif sort == 2:
            thing, event = ("block", n), {
                "event": "block", "user": f"list{user}", "number": f"+1555{n:08}"}
        elif sort == 3:
            thing, event = ("forget", n), {"event": "forget", "user": f"gone{n - 1}"}
        elif sort == 4:
            thing, event = ("mute", user), {
                "event": "mute", "user": f"mute{user}", "conversation": "c", "until_ms": FAR_MS + n}
        elif sort == 5:
            thing, event = ("schedule", user), {
                "event": "dnd-schedule", "user": f"schedule{user}", "timezone": "UTC",
                "windows": windows_of(n)}
        elif sort == 6:
            thing, event = ("waiting", user), {
                "event": "call-waiting", "user": f"waiting{user}", "on": waiting_of(n)}
        else:
            thing, event = ("phone", user), {
                "event": "register", "user": f"phone{user}", "device": "phone", "sip": False,
                "token": f"{n:08x}" * 8, "mode": mode_of(n), "environment": environment_of(n)}
        return thing, n, event

    def send(self, client):
        thing, n, event = self.next()
        if thing[0] == "forget":
            # First there must be something to forget, of several rows.
            user = {"user": event["user"]}
            client.send({"event": "register", "device": "a", "token": f"{n:08x}" * 8, "sip": False}
                        | user)
            client.send({"event": "dnd", "on": True} | user)
            client.send({"event": "block", "number": f"{n:07}"} | user)
        client.send({"id": n} | event)
        self.sent.setdefault(thing, []).append(n)
        return thing, n

    def ack(self, thing, n):
        self.acked[thing] = max(n, self.acked.get(thing, 0))

    def check(self, thing, n):
        """n: what is found on disk, 0 for nothing."""
        assert n >= self.acked.get(thing, 0), f"{thing}: {self.acked[thing]} is lost, there is {n}"
        assert not n or n in self.sent[thing], f"{thing}: nobody sent {n}"


def mode_of(n):
    return "alert" if n // 7 % 2 else "voip"


def windows_of(n):
    """n in the times, in more than one window."""
    return [{"days": [day], "from": f"{n % 24:02}:{n // 24 % 60:02}",
             "to": f"{n // 1440 % 24:02}:{n // 34560 % 60:02}"} for day in ("mon", "tue", "sun")]


def number_of(windows):
    (low, high), (more, most) = (
        (int(part) for part in windows[0][name].split(":")) for name in ("from", "to"))
    return low + 24 * high + 1440 * more + 34560 * most


def waiting_of(n):
    return n // 9 // USERS % 2 == 1


def environment_of(n):
    return "sandbox" if n // 11 % 2 else "production"


def show(client, user):
    reply = client.ask(event="show", user=user)
    assert reply["ok"], reply
    return reply


def check_phones(client, changes):
    for user in range(USERS):
        devices = show(client, f"phone{user}")["devices"]
        assert len(devices) <= 1, devices
        n = int(devices[0]["token"], 16) if devices else 0
        changes.check(("phone", user), n)
        if devices:
            assert devices[0]["mode"] == mode_of(n), (n, devices)
            assert devices[0]["environment"] == environment_of(n), (n, devices)
        devices = show(client, f"renamed{user}")["devices"]
        assert len(devices) <= 1, f"a rename is one phone, not {devices}"
        n = int(devices[0]["device"].partition("-")[2]) if devices else 0
        changes.check(("rename", user), n)


def check_settings(client, changes):
    for user in range(USERS):
        mutes = show(client, f"mute{user}")["mutes"]
        assert len(mutes) <= 1, mutes
        changes.check(("mute", user), mutes[0]["until_ms"] - FAR_MS if mutes else 0)
        schedule = show(client, f"schedule{user}")["schedule"]
        n = number_of(schedule["windows"]) if schedule else 0
        assert not schedule or schedule["windows"] == windows_of(n), schedule
        changes.check(("schedule", user), n)
        # It says yes or no, so any of those that may be there may have been the last.
        thing = ("waiting", user)
        last = changes.acked.get(thing, 0)
        possible = {waiting_of(n) for n in changes.sent.get(thing, []) if n >= last}
        if not last:
            possible.add(True)  # the default
        assert show(client, f"waiting{user}")["call_waiting"] in possible, (thing, last, possible)


def check_policy(client, changes):
    blocked = set()
    for user in range(USERS):
        until_ms = show(client, f"dnd{user}").get("dnd_until_ms", FAR_MS)
        changes.check(("dnd", user), until_ms - FAR_MS)
        blocked |= {int(number[5:]) for number in show(client, f"list{user}")["blocks"]}
    for thing in [thing for thing in changes.sent if thing[0] == "block"]:
        changes.check(thing, thing[1] if thing[1] in blocked else 0)
        blocked.discard(thing[1])
    assert not blocked, f"nobody blocked {blocked}"


def check_forgotten(client, changes, since):
    """What was forgotten is gone; what was about to be is there as far as it had come."""
    for thing in [t for t in changes.sent if t[0] == "forget" and t[1] > since]:
        reply = show(client, f"gone{thing[1] - 1}")
        parts = [bool(reply["devices"]), reply["dnd"], bool(reply["blocks"])]
        if thing in changes.acked:
            assert not any(parts), f"{thing} was forgotten: {reply}"
        # They came one by one in this order, and go together.
        assert parts in ([False] * 3, [True, False, False], [True, True, False], [True] * 3), reply


def write_until_killed(lab, changes, chance):
    """Keeps events flying, and kills the daemon after so many replies, wherever it is then."""
    client = lab.client()
    flying = {}
    for _ in range(chance.randrange(1, 400)):
        while len(flying) < FLYING:
            thing, n = changes.send(client)
            flying[n] = thing
        read_reply(client, changes, flying)
    lab.daemon.send_signal(signal.SIGKILL)
    with contextlib.suppress(ConnectionError):
        while read_reply(client, changes, flying):
            pass
    lab.daemon.process.wait()


def read_reply(client, changes, flying):
    reply = client.read(START_S)
    if reply is None:
        return False
    assert reply["ok"], reply
    if "id" in reply:
        changes.ack(flying.pop(reply["id"]), reply["id"])
    return True


def test_killed_at_random():
    seed = os.environ.get("PBXPUSH_KILL_SEED") or str(random.randrange(1 << 32))
    chance = random.Random(seed)
    print(f"seed {seed}, {ROUNDS} rounds")
    changes = Changes()
    with Lab() as lab:
        for _ in range(ROUNDS):
            before = changes.number
            write_until_killed(lab, changes, chance)
            lab.start_daemon()
            client = lab.client()
            check_phones(client, changes)
            check_policy(client, changes)
            check_settings(client, changes)
            check_forgotten(client, changes, before)
    print(f"{changes.number} changes")
    assert changes.number > ROUNDS * FLYING / 2


# ---- a disk that refuses ----

@contextlib.contextmanager
def full_disk(lab):
    """No file of the daemon's may grow beyond 64 KiB."""
    pid = lab.daemon.process.pid
    usual = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (65536, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)


def fill(client):
    """Registers phones until the disk is full; returns how many it took, and the refusal."""
    for number in range(2000):
        reply = client.ask(event="register", user=f"full{number}", token=f"{number:064x}",
                           device="x" * 200)
        if not reply["ok"]:
            return number, reply
    raise AssertionError("the disk is never full")


def test_full_disk():
    with Lab() as lab:
        client = lab.client()
        assert client.ask(event="register", user="1001", device="a", token=TOKEN)["ok"]
        with full_disk(lab):
            stored, refusal = fill(client)
            assert refusal["error"] == "storage-failed" and refusal["field"] is None, refusal
            status, body = lab.daemon.get("/health")
            assert status == 503 and "directory.db" in body, (status, body)
            assert lab.daemon.status()["directory"]["healthy"] is False

            # Calls go on, to phones of before and to one that only memory knows.
            for user in ("1001", f"full{stored}"):
                reply = client.ask(event="call", call=f"to {user}", to=user)
                assert reply["verdict"] == "push", reply
                assert reply["devices"][0]["result"] == "accepted", reply
            reply = client.ask(event="dnd", user="1001", on=True)
            assert reply.get("error") == "storage-failed", reply
            reply = client.ask(event="call", call="quiet", to="1001")
            assert reply["rule"] == "dnd", reply
            reply = client.ask(event="ping")
            assert reply["ok"], reply

        # The next change finds that there is room again, and takes along what waited.
        def recovered():
            return client.ask(event="block", user="1001", number="+491")["ok"]

        wait_until(recovered, what="changes are taken again")
        wait_until(lambda: lab.daemon.get("/health")[0] == 200, what="/health is 200 again")
        lab.restart_daemon()
        client = lab.client()
        shown = show(client, "1001")
        assert shown["dnd"] and shown["blocks"] == ["+491"], shown
        for number in range(stored + 1):
            assert len(show(client, f"full{number}")["devices"]) == 1, number


# ---- files ----

def directory(lab):
    return pathlib.Path(lab.daemon.sections["directory"]["path"])


@contextlib.contextmanager
def stopped():
    """A lab whose daemon has written a directory and has ended."""
    with Lab() as lab:
        client = lab.client()
        for number in range(200):
            client.ask(event="register", user=str(number), token=f"{number:064x}", device="iphone")
        lab.daemon.check_end()
        yield lab


def refused(lab, *words, prefix=()):
    """It does not start, and says why; nothing but stderr tells of it."""
    before = directory(lab).read_bytes()
    done = subprocess.run([*prefix, BUILD / "pbxpushd", "-c", lab.daemon.config_path],
                          capture_output=True, text=True, timeout=START_S)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert not harness.REPORT.search(done.stderr), done.stderr
    for word in (str(directory(lab)), *words):
        assert word in done.stderr, f"{word!r} is missing:\n{done.stderr}"
    assert directory(lab).read_bytes() == before, "a refused file stays as it was"


def test_corrupt_file():
    with stopped() as lab:
        with open(directory(lab), "r+b") as file:
            file.seek(4096 * 4)
            file.write(b"x" * 4096)
        refused(lab, "damaged", "restore a backup, or move the file away")


def test_no_database():
    with stopped() as lab:
        directory(lab).write_bytes(b"Dear diary,\n" * 1000)
        refused(lab, "damaged, or no database", "restore a backup, or move the file away")


def test_newer_schema():
    with stopped() as lab:
        with contextlib.closing(sqlite3.connect(directory(lab))) as db:
            db.execute("PRAGMA user_version = 4711")
        refused(lab, "newer pbxpush", "schema 4711", "restore a backup")


def test_read_only_file():
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and not setpriv:
        raise Skip("root may write everything, and there is no setpriv to become somebody else")
    prefix = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"] if setpriv else []
    with stopped() as lab:
        if os.geteuid() == 0:
            if subprocess.run([*prefix, BUILD / "pbxpushd", "-V"], capture_output=True).returncode:
                raise Skip("nobody may not run the program in its folder")
            for path in (lab.place.path, *lab.place.path.iterdir()):
                os.chown(path, 65534, 65534)
        else:
            prefix = []
        directory(lab).chmod(0o400)
        refused(lab, "read-only; pbxpushd must be able to write it", prefix=prefix)
        directory(lab).chmod(0o600)
        lab.start_daemon()
        assert len(show(lab.client(), "7")["devices"]) == 1


# The tables of schema 1, as that version made them.
SCHEMA_1 = """
CREATE TABLE devices (user TEXT NOT NULL, name TEXT NOT NULL, app TEXT NOT NULL,
  contact TEXT NOT NULL, token TEXT, alert_token TEXT, mode INTEGER NOT NULL,
  environment INTEGER NOT NULL, learned INTEGER NOT NULL, token_state INTEGER NOT NULL,
  alert_token_state INTEGER NOT NULL, died_ms INTEGER NOT NULL,
  registered_until_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, dnd INTEGER NOT NULL,
  dnd_until_ms INTEGER NOT NULL, PRIMARY KEY (user, name)) STRICT, WITHOUT ROWID;
CREATE TABLE dnd (user TEXT NOT NULL PRIMARY KEY, until_ms INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE patterns (user TEXT NOT NULL, list INTEGER NOT NULL, pattern TEXT NOT NULL,
  PRIMARY KEY (user, list, pattern)) STRICT, WITHOUT ROWID;
INSERT INTO dnd VALUES ('1002', 4000000000000);
INSERT INTO patterns VALUES ('1001', 0, '+49301*'), ('1001', 1, '+4990112');
PRAGMA application_id = 0x50425850;
PRAGMA user_version = 1;
"""


def test_older_schema():
    with stopped() as lab:
        directory(lab).unlink()
        with contextlib.closing(sqlite3.connect(directory(lab))) as db:
            db.executescript(SCHEMA_1)
            db.execute("INSERT INTO devices VALUES ('1001', 'iphone', 'com.example.phone', "
                       "'sip:1001@192.0.2.1', ?, NULL, 1, 2, 0, 0, 0, 0, 0, ?, 0, 0)",
                       (TOKEN, int(time.time() * 1000)))
            db.commit()
        lab.start_daemon()
        for _ in range(2):
            client = lab.client()
            shown = show(client, "1001")
            assert [d["device"] for d in shown["devices"]] == ["iphone"], shown
            assert shown["blocks"] == ["+49301*"] and shown["allows"] == ["+4990112"], shown
            assert show(client, "1002")["dnd_until_ms"] == 4000000000000
            lab.restart_daemon()
        reply = lab.client().ask(event="call", call="old", to="1001")
        assert reply["verdict"] == "push", json.dumps(reply)


if __name__ == "__main__":
    harness.main(globals())
