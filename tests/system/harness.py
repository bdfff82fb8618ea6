# SPDX-License-Identifier: MIT
"""What the system tests share: a throw-away place with keys and certificates, the simulator, the
daemon, clients for its sockets, and waiting without sleeping.

A test file is an executable with functions called test_*, and ends with `harness.main(globals())`.
Programs come from $PBXPUSH_BUILD (default: build). Standard library only.

    def test_call_reaches_the_phone():
        with harness.Lab() as lab:
            lab.events.ask(event="register", user="1001", app=lab.app.bundle, token=harness.TOKEN)
            reply = lab.events.ask(event="call", call="a@b", to="1001")
            assert reply["verdict"] == "push", reply
            assert lab.simulator.requests()[0]["token"] == harness.TOKEN
"""

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD = pathlib.Path(os.environ.get("PBXPUSH_BUILD", "build")).resolve()
TOKEN = "a1b2c3d4" * 8
DEADLINE_S = 10.0
# Sanitizers make a program slow, and a machine may be busy: only a hang should reach this.
START_S = 20.0
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:")


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def token(number):
    """The token of phone `number`."""
    return f"{number:064x}"


def wait_until(condition, deadline_s=DEADLINE_S, what="condition"):
    """Asks until the condition is true, and returns what it returned."""
    end = time.monotonic() + deadline_s
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def free_port():
    """A TCP port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True)
    if done.returncode:
        raise AssertionError(f"openssl {args[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def der_to_raw(der):
    """An ECDSA signature as JOSE wants it: R and S, 32 bytes each (RFC 7518 3.4)."""
    raw, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        number = der[at + 2 : at + 2 + length].lstrip(b"\0")
        raw += number.rjust(32, b"\0")
        at += 2 + length
    return raw


def jwt(key_file, kid, iss, iat=None, header=None, claims=None, der=False):
    """A provider token. header and claims replace members; a value None takes one out."""
    head = {"alg": "ES256", "kid": kid} | (header or {})
    body = {"iss": iss, "iat": int(time.time()) if iat is None else iat} | (claims or {})
    text = ".".join(
        base64url(json.dumps({k: v for k, v in part.items() if v is not None},
                             separators=(",", ":")).encode())
        for part in (head, body)
    )
    signature = openssl("dgst", "-sha256", "-sign", key_file, stdin=text.encode())
    return text + "." + base64url(signature if der else der_to_raw(signature))


@dataclasses.dataclass(frozen=True)
class App:
    bundle: str = "com.example.phone"
    team: str = "DEF123GHIJ"
    key_id: str = "ABC123DEFG"
    environment: str = "production"


class Place:
    """A temporary directory with keys (one a key id), a CA, and a certificate of 127.0.0.1."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="pbxpush-"))
        try:
            self.ca, self.ca_key = self.path / "ca.pem", self.key(self.path / "ca.key")
            openssl("req", "-x509", "-new", "-key", self.ca_key, "-out", self.ca, "-days", "2",
                    "-subj", "/CN=throw-away CA", "-addext", "basicConstraints=critical,CA:TRUE")
            self.cert, self.cert_key = self.certificate("server")
        except BaseException:
            self.remove()
            raise

    def __truediv__(self, name):
        return self.path / name

    def certificate(self, name, names="DNS:localhost,IP:127.0.0.1,IP:::1", signed=True, days=2):
        """A server certificate for the names, of our CA or (signed=False) of nobody; days=-1 makes
        one that has expired. Returns the files of certificate and key."""
        cert, key = self.path / f"{name}.pem", self.key(self.path / f"{name}.key")
        request = openssl("req", "-new", "-key", key, "-subj", f"/CN={name}",
                          "-addext", f"subjectAltName={names}")
        issuer = ["-CA", self.ca, "-CAkey", self.ca_key] if signed else ["-key", key]
        openssl("x509", "-req", "-copy_extensions", "copy", "-days", days, "-out", cert,
                "-set_serial", time.monotonic_ns(), *issuer, stdin=request)
        return cert, key

    def key(self, path):
        """A P-256 key in PKCS#8, the form of Apple's .p8 files, readable by its owner only."""
        old = os.umask(0o077)
        try:
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-out", path)
        finally:
            os.umask(old)
        return path

    def app_key(self, key_id):
        """The private and the public key file of a key id, made at the first request."""
        private, public = self.path / f"AuthKey_{key_id}.p8", self.path / f"{key_id}.pub"
        if not private.exists():
            self.key(private)
            openssl("pkey", "-in", private, "-pubout", "-out", public)
        return private, public

    def app_spec(self, app, *bundles):
        """The simulator's --app."""
        public = self.app_key(app.key_id)[1]
        return f"{app.team}:{app.key_id}:{public}:{','.join((app.bundle, *bundles))}"

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Program:
    """A process of ours: its stderr goes to a file, and ends up checked."""

    def __init__(self, place, name, argv, stdout=None, environment=None):
        self.name, self.place = name, place
        self.stderr_path = place / f"{name}.stderr"
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(
                [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                env=os.environ | (environment or {}))

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, deadline_s=START_S):
        """Ends it, and returns its exit status (negative: killed by that signal)."""
        if self.running():
            self.send_signal(number)
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} does not end:\n{self.stderr()}") from None
        finally:
            if self.process.stdout:
                self.process.stdout.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def check_end(self, expected=0):
        status = self.stop()
        text = self.stderr()
        assert not REPORT.search(text), f"{self.name}: sanitizer report\n{text}"
        assert status == expected, f"{self.name}: exit status {status}\n{text}"


class Simulator(Program):
    """An APNs of our own. See tests/simulator/README.md for options and commands."""

    def __init__(self, place, *args, apps=(App(),), name="simulator", log=True):
        self.log_path, self.control_path = place / f"{name}.log", place / f"{name}.control"
        argv = [BUILD / "apns-simulator", "--cert", place.cert, "--key", place.cert_key,
                "--control", self.control_path]
        if log:
            argv += ["--log", self.log_path]
        for app in apps:
            argv += ["--app", app if isinstance(app, str) else place.app_spec(app)]
        super().__init__(place, name, [*argv, *args], stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, f"simulator did not start:\n{self.stderr()}"
        self.address = json.loads(line)["listening"]
        self._control = JsonLines(self.control_path)

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def control(self, **command):
        """Sends a command and returns its answer; a refusal fails the test."""
        self._control.send(command)
        answer = self._control.read()
        assert answer["ok"], (command, answer)
        return answer

    def rule(self, **members):
        self.control(rule=members)

    def stats(self):
        return self.control(stats=True)

    def log(self):
        """Every line of the log so far, requests and events, as objects."""
        text = self.log_path.read_text() if self.log_path.exists() else ""
        # Not splitlines(): a name may hold U+2028. The last piece is empty, or not whole yet.
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def requests(self):
        return [line for line in self.log() if "stream" in line]

    def attempts(self, number):
        """Every request to phone `number`."""
        return self.requests_to(token(number))

    def events(self, name):
        return [line for line in self.log() if line.get("event") == name]

    def violations(self):
        return [line for line in self.log()
                if line.get("violation") or line.get("event") == "violation"]

    def requests_to(self, token):
        return [line for line in self.requests() if line["token"] == token]

    def close_control(self):
        self._control.close()


class JsonLines:
    """A unix socket with a JSON object a line in both directions."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.data = b""

    def send(self, value):
        self.send_raw(json.dumps(value).encode() + b"\n")

    def send_raw(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, deadline_s=DEADLINE_S):
        """The next line; None when the other side has closed."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self.data:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no line within {deadline_s} s") from None
            if not more:
                return None
            self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return json.loads(line)

    def close(self):
        self.socket.close()


class Events(JsonLines):
    """A client of the event socket, who matches replies by id."""

    def __init__(self, path):
        super().__init__(path)
        self.last_id = 0
        self.replies = {}

    def post(self, **event):
        """Sends an event and returns its id, for reply()."""
        self.last_id += 1
        self.send({"id": self.last_id} | event)
        return event.get("id", self.last_id)

    def reply(self, event_id, deadline_s=DEADLINE_S):
        end = time.monotonic() + deadline_s
        while event_id not in self.replies:
            reply = self.read(max(end - time.monotonic(), 0.001))
            assert reply is not None, f"closed before the reply to {event_id}"
            self.replies[reply.get("id")] = reply
        return self.replies.pop(event_id)

    def ask(self, deadline_s=DEADLINE_S, **event):
        return self.reply(self.post(**event), deadline_s)


class Daemon(Program):
    """pbxpushd with a configuration of its own. `config` holds {section: {key: value}} to add."""

    def __init__(self, place, production, sandbox=None, apps=(App(),), config=None, args=(),
                 environment=None, wrapper=()):
        self.events_path, self.status_path = place / "events.sock", place / "status.sock"
        self.config_path = place / "pbxpush.conf"
        self.sections = {
            "apns": {"production": production, "sandbox": sandbox or production,
                     "ca-file": place.ca},
            "events": {"socket": self.events_path},
            "status": {"socket": self.status_path},
            "directory": {"path": place / "directory.db"},
        }
        for app in apps:
            self.sections[f"app {app.bundle}"] = {
                "team-id": app.team, "key-id": app.key_id,
                "key-file": place.app_key(app.key_id)[0], "environment": app.environment}
        self.args = args
        self.configure(config or {}, place)
        super().__init__(place, "pbxpushd",
                         [*wrapper, BUILD / "pbxpushd", "-c", self.config_path, *args],
                         environment=environment)
        self.wait_ready()

    def configure(self, config, place=None):
        """Merges into the configuration and writes it; a value None takes a key out."""
        for section, keys in config.items():
            self.sections.setdefault(section, {}).update(keys)
        text = "".join(
            f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None)
            for section, keys in self.sections.items())
        # Renamed into place: the daemon never reads half a file.
        new = (place or self.place) / "pbxpush.conf.new"
        new.write_text(text)
        new.rename(self.config_path)

    def wait_ready(self):
        def ready():
            assert self.running(), f"pbxpushd ended:\n{self.stderr()}"
            with contextlib.suppress(OSError):
                JsonLines(self.events_path).close()
                JsonLines(self.status_path).close()
                return True
            return False

        wait_until(ready, START_S, "pbxpushd listens")

    def reload(self):
        self.send_signal(signal.SIGHUP)

    @contextlib.contextmanager
    def asleep(self):
        """Stops it where it stands: what is done meanwhile finds it at one moment."""
        self.send_signal(signal.SIGSTOP)
        yield
        self.send_signal(signal.SIGCONT)

    def get(self, path, deadline_s=DEADLINE_S, method="GET"):
        """(status, body) of the status socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(deadline_s)
            sock.connect(str(self.status_path))
            sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: pbxpush\r\n"
                         "Connection: close\r\n\r\n".encode())
            answer = b""
            while more := sock.recv(65536):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = unchunk(body)
        return int(head.split()[1]), body.decode()

    def status(self):
        status, body = self.get("/status")
        assert status == 200, body
        return json.loads(body)

    def route(self, environment="production", **members):
        """The one route of the status whose members are these."""
        members["environment"] = environment
        route, = [route for route in self.status()["routes"]
                  if all(route[key] == value for key, value in members.items())]
        return route

    def wait_connected(self, count=2, **members):
        wait_until(lambda: self.route(**members)["ready"] >= count, START_S, "connections ready")

    def metric(self, name, **labels):
        """The sum of the samples of a metric that carry the labels, 0 where there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            match = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
            if match and all(label in (match[1] or "") for label in wanted):
                total += float(match[2])
        return total


def unchunk(data):
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
    return body


class Hosts:
    """A hosts(5) file of the daemon's own, {name: [address, ...]}, in a mount namespace: give
    `wrapper` to start_daemon(). It may be written anew while the daemon runs."""

    def __init__(self, place, names):
        self.path = place / "hosts"
        self.write(names)
        self.wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c",
                        'mount --bind "$0" /etc/hosts && exec "$@"', self.path]
        try:
            done = subprocess.run([*self.wrapper, "true"], capture_output=True, text=True)
        except OSError as why:
            raise Skip(f"no unshare here: {why}") from None
        if done.returncode:
            raise Skip(f"no mount namespace of our own here: {done.stderr.strip()}")

    def write(self, names):
        # In place: the mount is of this very file.
        self.path.write_text("".join(
            f"{address} {name}\n" for name, addresses in names.items() for address in addresses))


class Proxy:
    """An HTTP proxy on 127.0.0.1 that knows CONNECT and nothing else.

    mode: "pass"; "deny" (407 whatever is sent); "bad" (502); "hang" (no answer); "drop" (closes).
    With user and password, "pass" too asks for them. `requests` holds the heads received.
    """

    def __init__(self, user=None, password=None, port=0):
        self.mode, self.requests, self.sockets = "pass", [], []
        self.wanted = user and base64.b64encode(f"{user}:{password}".encode()).decode()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                self.sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _answer(self, head):
        if self.mode == "bad":
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        given = re.search(r"(?im)^proxy-authorization: basic (\S+)\r$", head)
        if self.mode == "deny" or (self.wanted and (not given or given[1] != self.wanted)):
            return (b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
        return None

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            data = b""
            while b"\r\n\r\n" not in data:
                more = client.recv(4096)
                if not more:
                    return
                data += more
            head = data.partition(b"\r\n\r\n")[0].decode(errors="replace") + "\r\n"
            self.requests.append(head)
            if self.mode == "drop":
                return
            if self.mode == "hang":
                client.recv(1)  # until the client gives up
                return
            if answer := self._answer(head):
                client.sendall(answer)
                return
            host, _, port = head.split()[1].rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port))) as server:
                self.sockets.append(server)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self):
        """Ends every tunnel, as a proxy does that is restarted."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


class Lab:
    """Simulator and daemon together; at the end both must have behaved.

    simulator, sandbox: more options for the simulator; sandbox=None starts no second one.
    violations: how many the simulator is expected to count, None: any number.
    start=False leaves the daemon to start_daemon().
    """

    def __init__(self, apps=(App(),), simulator=(), sandbox=None, config=None, violations=0,
                 start=True, log=True):
        self.apps, self.app = apps, apps[0]
        self.simulator_args, self.sandbox_args = simulator, sandbox
        self.config, self.expected_violations = config, violations
        self.start, self.log = start, log
        self.simulator = self.sandbox = self.daemon = self.place = None
        self.clients, self.last_call = [], 0

    def __enter__(self):
        try:
            self.place = Place()
            self.simulator = Simulator(
                self.place, *self.simulator_args, apps=self.apps, log=self.log)
            if self.sandbox_args is not None:
                self.sandbox = Simulator(
                    self.place, "--environment", "sandbox", *self.sandbox_args, apps=self.apps,
                    name="sandbox", log=self.log)
            if self.start:
                self.start_daemon()
        except BaseException:
            self._clean()
            raise
        return self

    def start_daemon(self, config=None, args=(), environment=None, wrapper=()):
        self.daemon = Daemon(
            self.place, self.simulator.address, self.sandbox and self.sandbox.address, self.apps,
            config or self.config, args, environment, wrapper)
        return self.daemon

    def restart_daemon(self):
        """Stops it as systemd does, checks how it ended, and starts it on the same files."""
        self.daemon.check_end()
        return self.start_daemon()

    def register(self, user="1001", token=TOKEN, app=None, **event):
        """A phone of the user: its REGISTER, with a token."""
        reply = self.events.ask(event="register", user=user, token=token,
                                app=(app or self.app).bundle, **event)
        assert reply["ok"] and reply["stored"], reply
        return reply

    def client(self):
        """A new client of the event socket, closed at the end."""
        self.clients.append(Events(self.daemon.events_path))
        return self.clients[-1]

    @property
    def events(self):
        """The client that most tests need."""
        return self.clients[0] if self.clients else self.client()

    def phones(self, count):
        """Users u0, u1, ... each with a phone, whose token is token(number)."""
        for number in range(count):
            self.events.post(id=f"phone {number}", event="register", user=f"u{number}",
                             app=self.app.bundle, token=token(number))
        for number in range(count):
            assert self.events.reply(f"phone {number}", START_S)["stored"]

    def call(self, number, **event):
        """Calls user `number`, and returns the reply's only device."""
        return self.device(self.post_call(number, **event))

    def post_call(self, number, **event):
        """The same without waiting: an id for device()."""
        self.last_call += 1
        return self.events.post(
            event="call", call=f"call-{self.last_call}", to=f"u{number}", **event)

    def device(self, event_id, deadline_s=START_S):
        devices = self.events.reply(event_id, deadline_s)["devices"]
        assert len(devices) == 1, devices
        return devices[0]

    def wait_ready(self, connections):
        """Until so many connections to the simulator stand."""
        def ready():
            states = [conn["state"] for conn in self.simulator.stats()["open"]]
            return states.count("open") == connections
        wait_until(ready, START_S, f"{connections} connections")

    def serve_with_two(self):
        """Two connections that have each had a good push."""
        self.phones(2)
        self.wait_ready(2)
        self.simulator.rule(times=2, delay_ms=300)
        for call in [self.post_call(number) for number in range(2)]:
            self.device(call)
        assert {r["connection"] for r in self.simulator.requests()} == {1, 2}

    def ctl(self, *args, stdin=None, deadline_s=START_S):
        """Runs pbxpushctl against this daemon."""
        done = subprocess.run(
            [BUILD / "pbxpushctl", "--events", self.daemon.events_path, "--status",
             self.daemon.status_path, *map(str, args)],
            input=stdin, capture_output=True, text=True, timeout=deadline_s)
        assert not REPORT.search(done.stderr), done.stderr
        return done

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._check()
            elif self.daemon:
                print(f"--- pbxpushd said:\n{self.daemon.stderr()[-8000:]}---", file=sys.stderr)
        finally:
            self._clean()

    def _check(self):
        for client in self.clients:
            client.close()
        if self.daemon:
            self.daemon.check_end()
        for simulator in filter(None, (self.simulator, self.sandbox)):
            stats = simulator.stats()
            if self.expected_violations is not None:
                assert stats["violations"] == self.expected_violations, simulator.violations()
            simulator.close_control()
            simulator.check_end()

    def _clean(self):
        for client in self.clients:
            client.close()
        for program in filter(None, (self.daemon, self.simulator, self.sandbox)):
            if program.running():
                program.kill()
        if self.place:
            self.place.remove()


def main(names):
    """Runs the test_* functions of a file, in order; arguments choose among them by name."""
    failed = 0
    for name, test in list(names.items()):
        if not name.startswith("test_") or (sys.argv[1:] and name not in sys.argv[1:]):
            continue
        try:
            test()
            print(f"[       OK ] {name}")
        except Skip as why:
            print(f"[  SKIPPED ] {name}: {why}")
        except Exception:
            traceback.print_exc()
            print(f"[  FAILED  ] {name}")
            failed += 1
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
