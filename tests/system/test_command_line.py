#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pbxpushd's options, and what `-t` finds in a configuration."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, App, Place  # noqa: E402

APP = App()
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*args):
    done = subprocess.run([BUILD / "pbxpushd", *map(str, args)], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, timeout=harness.START_S)
    assert not harness.REPORT.search(done.stderr), done.stderr
    return done


class Config:
    """A place with a configuration file that can be tested."""

    def __enter__(self):
        self.place = Place()
        self.key = self.place.app_key(APP.key_id)[0]
        self.app = (f"[app {APP.bundle}]\nteam-id = {APP.team}\nkey-id = {APP.key_id}\n"
                    f"key-file = {self.key}\n")
        return self

    def __exit__(self, *_):
        self.place.remove()

    def test(self, text):
        path = self.place / "pbxpush.conf"
        path.write_text(text)
        done = run("-t", "-c", path)
        faults = [line.removeprefix(f"{path}") for line in done.stderr.splitlines()]
        assert done.returncode == bool(faults), done
        return faults


def test_options():
    version = (ROOT / "src/VERSION").read_text().strip()
    for args, code, out, err in (
            (["-V"], 0, f"pbxpushd {version}\n", ""), (["--version"], 0, version, ""),
            (["-h"], 0, "usage: pbxpushd", ""), (["--help"], 0, "-c, --config FILE", ""),
            (["-x"], 2, "", "--help"), (["--nonsense"], 2, "", "nonsense"), (["-c"], 2, "", "--help"),
            (["surplus"], 2, "", "surplus"), (["-t", "-c", "/nonexistent"], 1, "", "/nonexistent"),
            (["-c", "/nonexistent"], 1, "", "No such file"), (["-t", "-c", "/"], 1, "", "/")):
        done = run(*args)
        assert done.returncode == code, (args, done)
        assert out in done.stdout and err in done.stderr, (args, done)
        assert bool(done.stdout) == (code == 0) and bool(done.stderr) == (code != 0), (args, done)


def test_good_files():
    with Config() as config:
        example = (ROOT / "conf/pbxpush.conf").read_text()
        defaults = "".join(
            line.removeprefix(";") + "\n" for line in example.partition(";[app ")[0].splitlines()
            if line[:1] == "[" or line[1:2].islower())
        assert "\nlog-level = info " in defaults, defaults
        for text in (config.app, example + config.app, defaults + config.app,
                     "# comment\n; comment\n\n[daemon]\nlog-level=debug ; trailing\n" + config.app,
                     config.app.replace("\n", "\r\n"),
                     config.app.replace("key-file = ", "key-file=\t"), config.app[:-1]):
            faults = config.test(text)
            assert not faults, faults
        # a path relative to the file
        assert config.test(config.app.replace(str(config.key), config.key.name)) == []


FAULTS = (
    # section, line, what its fault must say
    ("daemon", "log-level = loud", ("log-level", '"loud"', "debug")),
    ("daemon", "drain-timeout = 5", ("drain-timeout", '"5"', "30s")),
    ("daemon", "drain-timeout = 11m", ("drain-timeout",)),
    ("daemon", "log-numbers = some", ("log-numbers", "masked")),
    ("daemon", "nonsense = 1", ("nonsense", "unknown key", "log-level")),
    ("daemon", "justaword", ("justaword",)),
    ("events", "socket-mode = 0999", ("socket-mode",)),
    ("events", "socket-group = no-such-group", ("socket-group", "no-such-group")),
    ("events", "allow-users = no-such-user", ("allow-users", "no-such-user")),
    ("events", "admin-users = root, no-such-user", ("admin-users", "no-such-user")),
    ("events", "max-clients = 0", ("max-clients", '"0"')),
    ("events", "max-clients = -5", ("max-clients",)),
    ("events", "max-clients = 10x", ("max-clients",)),
    ("events", "max-clients =", ("max-clients",)),
    ("events", "max-line = 1", ("max-line",)),
    ("events", "max-line = 64K5", ("max-line",)),
    ("events", "max-calls = 99999999999999999999", ("max-calls",)),
    ("events", "http = 127.0.0.1:8599", ("http", '"127.0.0.1:8599"', "http-token-file")),
    ("events", "http = 0.0.0.0:8599", ("http", '"0.0.0.0:8599"', "loopback")),
    ("status", "http = 192.0.2.1:9599", ("http", '"192.0.2.1:9599"', "loopback")),
    ("calls", "call-waiting = maybe", ("call-waiting", "yes", "no")),
    ("calls", "repeat-caller = often", ("repeat-caller", "duration")),
    ("numbers", "country-code = +49", ("country-code",)),
    ("apns", "production = api.push.apple.com", ("production", "port")),
    ("apns", "production = api.push.apple.com:99999", ("production",)),
    ("apns", "connections = 9\nmax-connections = 3", ("connections", "max-connections")),
    ("apns", "proxy = ftp://x", ("proxy",)),
    ("apns", "ca-file = /nonexistent/ca.pem", ("ca-file",)),
    ("hook", "url = http://example.com/", ("url", '"http://example.com/"', "https", "loopback")),
    ("hook", "url = example.com/hook", ("url", "must be a URL")),
    ("hook", "url = https://u:p@example.com/", ("[hook] url:", "token-file")),
    ("hook", "token-file = /nonexistent/token", ("token-file", "/nonexistent/token", "No such file")),
    ("hook", "ca-file = /nonexistent/ca.pem", ("ca-file", "/nonexistent/ca.pem", "No such file")),
    ("nonsense", "a = b", ("[nonsense]", "unknown section", "[daemon]")),
    ("app", "x = y", ("[app]",)),
    ("app com.example/slash", "team-id = DEF123GHIJ", ("bundle id",)),
)


def test_each_fault_alone():
    with Config() as config:
        missing = []
        for section, line, wanted in FAULTS:
            faults = config.test(f"{config.app}[{section}]\n{line}\n")
            if not any(all(word in fault for word in wanted) for fault in faults):
                missing.append((section, line, faults))
        assert not missing, "\n".join(map(str, missing))


def test_every_fault_is_reported():
    with Config() as config:
        text, wanted = config.app, []
        for section, line, _ in FAULTS:
            if section == "daemon" and line.split(" = ")[0] not in text:
                text += f"[daemon]\n{line}\n"
                wanted.append(text.count("\n"))
        text += "[nonsense]\na = b\n"
        wanted.append(text.count("\n") - 1)
        faults = config.test(text)
        for number in wanted:
            assert any(fault.startswith(f":{number}: ") for fault in faults), (number, faults)


def test_faults_of_apps():
    with Config() as config:
        key = config.key
        wrong = config.place / "wrong.p8"
        wrong.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
        wrong.chmod(0o600)
        rsa = config.place / "rsa.p8"
        harness.openssl("genpkey", "-algorithm", "RSA", "-out", rsa)
        rsa.chmod(0o600)
        open_key = config.place / "open.p8"
        open_key.write_bytes(key.read_bytes())
        open_key.chmod(0o644)
        public = config.place / f"{APP.key_id}.pub"
        public.chmod(0o600)
        for text, wanted in (
                ("", ("[app",)),
                (config.app.replace("team-id", ";team-id"), ("needs team-id",)),
                (config.app.replace("key-id", ";key-id"), ("needs key-id",)),
                (config.app.replace("key-file", ";key-file"), ("needs key-file",)),
                (config.app.replace(APP.team, "SHORT"), ("team-id", "SHORT")),
                (config.app.replace(str(key), "/nonexistent.p8"), ("/nonexistent.p8", "No such file")),
                (config.app.replace(str(key), str(config.place.path)), (str(config.place.path),)),
                (config.app.replace(str(key), "missing.p8"), (str(config.place / "missing.p8"),)),
                (config.app.replace(str(key), str(open_key)), (str(open_key), "0644", "0600")),
                (config.app.replace(str(key), str(wrong)), (str(wrong),)),
                (config.app.replace(str(key), str(rsa)), (str(rsa), "P-256")),
                (config.app.replace(str(key), str(public)), (str(public),)),
                (config.app.replace(str(key), "${CREDENTIALS_DIRECTORY}/x.p8"),
                 ("CREDENTIALS_DIRECTORY",)),
                (config.app * 2, ("twice",)),
                (config.app + f"team-id = {APP.team}\n", ("team-id", "twice"))):
            faults = config.test(text)
            assert any(all(word in fault for word in wanted) for fault in faults), (wanted, faults)
            assert "secret" not in "".join(faults), faults


def test_broken_bytes():
    with Config() as config:
        path = config.place / "pbxpush.conf"
        for data in (b"", b"\0\0\0", b"[", b"[]", b"]", b"=", b"[daemon\nx", b"x" * 100000,
                     b"[daemon]\nlog-level = " + b"y" * 100000, b"\xff\xfe[\0d\0", b"[app " + b"a" * 5000 + b"]\n"):
            path.write_bytes(data)
            done = run("-t", "-c", path)
            assert done.returncode == 1 and done.stderr, (data[:40], done)


if __name__ == "__main__":
    harness.main(globals())
