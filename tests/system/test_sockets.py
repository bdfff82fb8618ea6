#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The sockets as files: rights, what lies in their way, what is left behind."""

import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, START_S, Lab, Skip, wait_until  # noqa: E402


FILES = {"events": "events.sock", "status": "status.sock", "directory": "directory.db"}


def second_daemon(lab, shared=(), **moved):
    """Runs another daemon. What is shared with the first it must not get; the rest is in a folder of
    its own, or where moved says."""
    folder = lab.place / "second"
    folder.mkdir(exist_ok=True)
    text = (lab.place / "pbxpush.conf").read_text()
    for what, name in FILES.items():
        if what not in shared:
            text = text.replace(str(lab.place / name), str(moved.get(what, folder / name)))
    (folder / "pbxpush.conf").write_text(text)
    done = subprocess.run([BUILD / "pbxpushd", "-c", folder / "pbxpush.conf"], capture_output=True,
                          text=True, timeout=START_S)
    assert not harness.REPORT.search(done.stderr), done.stderr
    left = [path.name for path in folder.iterdir() if path.suffix in (".sock", ".lock", ".new")]
    assert not left, left
    return done


def rights(path):
    info = os.lstat(path)
    assert stat.S_ISSOCK(info.st_mode)
    return stat.S_IMODE(info.st_mode), info.st_gid


def test_mode_and_group():
    with Lab() as lab:
        for path in (lab.daemon.events_path, lab.daemon.status_path):
            assert rights(path) == (0o660, os.getegid())
    if os.getuid():
        raise Skip("needs root, for a group that is not ours")
    config = {"events": {"socket-mode": "0600", "socket-group": "nogroup"},
              "status": {"socket-mode": "0666", "socket-group": "65534"}}
    with Lab(config=config) as lab:
        assert rights(lab.daemon.events_path) == (0o600, 65534)
        assert rights(lab.daemon.status_path) == (0o666, 65534)
        lab.daemon.configure({"events": {"socket-mode": "0660", "socket-group": "0"}})
        lab.daemon.reload()
        wait_until(lambda: rights(lab.daemon.events_path) == (0o660, 0))
        assert rights(lab.daemon.status_path) == (0o666, 65534)


def test_files_are_private():
    """Whatever the umask: tokens of phones and of the provider are nobody else's."""
    old = os.umask(0)
    try:
        with Lab() as lab:
            lab.events.ask(event="register", user="1001", token=harness.TOKEN)
            assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
            # the signed provider token is written beside the database
            known = {"ca.pem", "server.pem", "pbxpush.conf", "simulator.log", "simulator.stderr",
                     "pbxpushd.stderr", f"{lab.app.key_id}.pub"}

            def made():
                return [path for path in lab.place.path.rglob("*") if path.is_file() and
                        path.name not in known and path.suffix not in (".key", ".p8")]

            wait_until(lambda: len(made()) >= 2, what="database and provider token")
            for path in made():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    finally:
        os.umask(old)


def test_stale_sockets_are_replaced():
    with Lab(start=False) as lab:
        for name in ("events.sock", "status.sock"):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(lab.place / name))
        lab.start_daemon()
        assert lab.events.ask(event="ping")["event"] == "pong"
        assert lab.daemon.get("/health")[0] == 200


def test_what_is_in_use_is_not_stolen():
    with Lab() as lab:
        for what, said in (("events", "another process listens there"),
                           ("status", "another process listens there"),
                           ("directory", "another")):
            done = second_daemon(lab, shared=(what,))
            assert done.returncode == 1 and FILES[what] in done.stderr and said in done.stderr, done
        # and the first one does not notice
        assert lab.events.ask(event="ping")["event"] == "pong"
        assert lab.client().ask(event="dnd", user="1001", on=True)["ok"]
        assert lab.daemon.get("/health")[0] == 200


def test_something_else_is_in_the_way():
    with Lab(start=False) as lab:
        path = lab.place / "events.sock"
        path.write_text("precious")
        try:
            lab.start_daemon()
        except AssertionError as error:
            assert "something other than a socket" in str(error), error
        else:
            raise AssertionError("it started")
        assert path.read_text() == "precious"


def test_no_folder():
    with Lab() as lab:
        done = second_daemon(lab, events=lab.place / "missing" / "events.sock")
        assert done.returncode == 1 and "No such file" in done.stderr, done
        long = lab.place / ("x" * 120)
        done = second_daemon(lab, events=long)
        assert done.returncode == 1 and "longer than 100" in done.stderr, done


def test_nothing_is_left():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Lab() as lab:
            lab.events.ask(event="ping")
            assert lab.daemon.stop(number) == 0
            left = [path.name for path in lab.place.path.iterdir() if path.name.endswith(
                (".sock", ".lock", ".new", "-wal", "-shm"))]
            assert not left, left


def test_a_socket_that_was_taken_away():
    """Somebody removed the path and put another there: at its end the daemon leaves that alone."""
    with Lab() as lab:
        lab.daemon.events_path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(lab.daemon.events_path))
            other.listen()
            assert lab.daemon.stop() == 0
            assert os.path.lexists(lab.daemon.events_path)


def test_relative_paths():
    """They are relative to the configuration file, wherever the daemon was started."""
    with Lab(start=False) as lab:
        (lab.place / "run").mkdir()
        key, name = lab.place.app_key(lab.app.key_id)[0], lab.app.bundle
        shutil.copy2(key, lab.place / "run" / "key.p8")
        lab.start_daemon(config={
            "events": {"socket": "events.sock"}, "directory": {"path": "run/d.db"},
            "apns": {"ca-file": "ca.pem"}, f"app {name}": {"key-file": "run/key.p8"}})
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"
        assert (lab.place / "run" / "d.db").exists()


if __name__ == "__main__":
    harness.main(globals())
