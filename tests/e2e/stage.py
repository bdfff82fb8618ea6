# SPDX-License-Identifier: MIT
"""A whole telephone system for a test: simulator, pbxpushd, Kamailio with conf/pbx/kamailio, and
phones that only hear of a call through the simulator.

    def test_one_phone():
        with Stage() as stage:
            phone = stage.iphone("1001")
            phone.sleep()
            call = stage.caller.call("1001")
            phone.wait_ring("answered")
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests/system")]
import harness  # noqa: E402
from harness import START_S, Lab, Program, Skip, wait_until  # noqa: E402
from network import Network  # noqa: E402
from phone import Caller, Phone  # noqa: E402

CONFIG = ROOT / "conf/pbx/kamailio/kamailio.cfg"
RING_MS = 60000  # unless a test waits for the end of it: a busy machine is slow
LATE_MS = 400
END_S = 5  # of Kamailio
# What Kamailio says at ERROR and above is a fault of ours, except for this.
HARMLESS = ("could not rev. resolve",)


def udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Kamailio(Program):
    """Kamailio in the foreground, with a directory of its own for all that it writes."""

    def __init__(self, place, port, evapi_port, defines=(), config=CONFIG, more="",
                 name="kamailio"):
        self.run = place / f"{name}.run"
        self.run.mkdir(exist_ok=True)
        path = place / f"{name}.cfg"
        values = {"PBXPUSH_EVAPI": f'"127.0.0.1:{evapi_port}"', "PBXPUSH_RING_MS": RING_MS,
                  "PBXPUSH_LATE_MS": LATE_MS} | dict(defines)
        path.write_text("#!KAMAILIO\n" + "".join(
            f"#!define {key} {value}\n" for key, value in values.items())
            + f'include_file "{config}"\n{more}\n')
        self.port = port
        super().__init__(place, name, [
            "setsid", "kamailio", "-f", path, "-DD", "-E", "-n", "4", "-m", "128", "-M", "16",
            "-l", f"udp:127.0.0.1:{port}", "-Y", self.run, "-P", self.run / "pid", "-w", self.run])
        self.wait_ready()
        # Transactions that are over stay for a while, and a test waits until all have gone.
        self.rpc("cfg.set_now_int", "tm", "wt_timer", "1000")

    def wait_ready(self):
        def ready():
            assert self.running(), f"kamailio ended:\n{self.stderr()[-8000:]}"
            return self.rpc("core.version", check=False).returncode == 0

        wait_until(ready, START_S, "kamailio answers kamcmd")

    def rpc(self, *command, check=True):
        done = subprocess.run(["kamcmd", "-s", f"unix:{self.run}/kamailio_ctl", *command],
                              capture_output=True, text=True, timeout=START_S)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def shared(self, name):
        """The value of a $shv()."""
        return int(re.search(r"value: (-?\d+)", self.rpc("pv.shvGet", name).stdout)[1])

    def kill(self):
        """A crash of all its processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Stops it as systemd does. Kamailio 5.6 hangs once in a while as it ends: then killed."""
        self.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def complaints(self):
        return [line for line in self.stderr().splitlines()
                if any(f"{word}: " in line for word in ("ERROR", "CRITICAL", "ALERT", "BUG"))
                and not any(text in line for text in HARMLESS)]

    def transactions(self):
        """How many transactions have not ended. tm keeps those that have for some seconds, and on a
        busy machine now and then one for good (Kamailio 5.6: t_continue() and the timer of a
        suspended INVITE in the same moment leave it a reference)."""
        figures = dict(line.strip().split(": ") for line in self.rpc("tm.stats").stdout.splitlines()
                       if ": " in line)
        return int(figures["current"]) - int(figures["waiting"])


class Apple(threading.Thread):
    """Carries the pushes that the simulator has accepted to the phones, as Apple would."""

    def __init__(self, simulator):
        super().__init__(daemon=True)
        self.simulator, self.phones, self.running = simulator, {}, True
        self.seen = []  # the log's lines of requests

    def run(self):
        while not self.simulator.log_path.exists() and self.running:
            time.sleep(0.002)
        with open(self.simulator.log_path, encoding="utf-8", newline="\n") as log:
            text = ""
            while self.running:
                text += log.readline()
                if not text.endswith("\n"):
                    time.sleep(0.001)
                    continue
                line, text = json.loads(text), ""
                if "stream" in line:
                    self.seen.append(line)
                    if line["status"] == 200 and line["token"] in self.phones:
                        self.phones[line["token"]].on_push(line["payload"])

    def stop(self):
        self.running = False
        self.join()


def talk(call, phone, number=0):
    """The phone has answered ring `number`; the caller hangs up."""
    call.wait("answered")
    ring = phone.wait_ring("answered", number=number)
    call.hang_up()
    phone.network.wait(lambda: ring.state == "ended", 30, "the phone hears the BYE")


class Stage:
    """config, simulator: as for Lab. For Kamailio: defines, more lines after its configuration, or
    edit(text), which returns another one; ring_ms: how long it lets calls ring. quiet: at the end no
    transaction may be left."""

    def __init__(self, config=None, simulator=(), defines=(), more="", edit=None, source=CONFIG,
                 ring_ms=RING_MS, domain=None, quiet=True):
        if not shutil.which("kamailio"):
            raise Skip("no kamailio: make e2e installs it")
        self.port, self.evapi_port = udp_port(), harness.free_port()
        config = {"kamailio": {"evapi": f"127.0.0.1:{self.evapi_port}"}, **(config or {})}
        self.lab = Lab(config=config, simulator=simulator)
        self.defines = {"PBXPUSH_RING_MS": ring_ms} | dict(defines)
        self.more, self.edit, self.source, self.quiet = more, edit, source, quiet
        self.domain = domain or f"127.0.0.1:{self.port}"
        self.kamailio = self.network = self.apple = None
        self.agents, self.tokens, self.starts, self.settler = [], 0, 0, None
        self.expected = []  # complaints of Kamailio that the test provokes

    def __enter__(self):
        self.lab.__enter__()
        try:
            self.network = Network()
            self.apple = Apple(self.lab.simulator)
            self.apple.start()
            self.start_kamailio()
            self.wait_connected()
            self.caller = self.add_caller("2001")
        except BaseException:
            self.lab.__exit__(*sys.exc_info())
            self._clean()
            raise
        return self

    def start_kamailio(self):
        self.starts += 1
        config = self.source
        if self.edit:
            config = self.lab.place / "edited.cfg"
            config.write_text(self.edit(self.source.read_text()))
            for path in CONFIG.parent.glob("pbxpush*.cfg"):
                shutil.copy(path, self.lab.place.path)
        self.kamailio = Kamailio(self.lab.place, self.port, self.evapi_port, self.defines, config,
                                 self.more, name=f"kamailio{self.starts}")

    def wait_connected(self):
        """Until pbxpushd and Kamailio have found each other."""
        wait_until(lambda: self.kamailio.shared("pbxpush_up") == 1, START_S,
                   "pbxpushd is connected to Kamailio")

    def wait_delivered(self):
        """Until all that Kamailio has said lies in the daemon's socket, though it may not read."""
        def delivered():
            queues = [line.split()[4] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()
                      if line.split()[1].endswith(f":{self.evapi_port:04X}")
                      and line.split()[3] == "01"]
            assert len(queues) == 1, queues
            return queues[0].startswith("00000000:")

        wait_until(delivered, what="Kamailio's events have arrived")

    def kill_daemon(self):
        """A crash. What it has not read becomes a reset of the connection, which Kamailio logs."""
        self.lab.daemon.kill()
        self.lab.clients.clear()
        self.expected.append("cannot read the client message")

    # ---- who takes part ----

    def add_caller(self, user, domain=None):
        caller = Caller(self.network, ("127.0.0.1", self.port), user, domain or self.domain)
        self.agents.append(caller)
        return caller

    def desk_phone(self, user, domain=None, registers=True, **options):
        phone = Phone(self.network, ("127.0.0.1", self.port), user, domain or self.domain, **options)
        self.agents.append(phone)
        if registers:
            phone.register()
        return phone

    def iphone(self, user, asleep=True, gone=True, **options):
        """A phone that the daemon knows; it sleeps (see Phone.sleep)."""
        self.tokens += 1
        token = harness.token(0xa000 + self.tokens)
        phone = self.desk_phone(user, token=token, app=self.lab.app, **options)
        self.apple.phones[token] = phone
        if asleep:
            phone.sleep(gone)
        if asleep and not gone:
            self.settle()
        return phone

    def settle(self):
        """Until Kamailio is done with the REGISTERs so far: it sends the 200 before it looks for
        calls, and a call in this very moment finds a phone that is awake. Those that wait for
        pbxpushd go on one after another."""
        if not self.settler:
            self.settler = self.desk_phone("9999", registers=False, token=harness.token(0x9999),
                                           app=self.lab.app)
        self.settler.register()

    # ---- what happened ----

    def pushes(self, phone=None):
        """The log's lines of pushes (to this phone), refused ones, too."""
        return [line for line in self.apple.seen if not phone or line["token"] == phone.token]

    def wait_pushes(self, count, phone=None, deadline_s=30):
        wait_until(lambda: len(self.pushes(phone)) >= count, deadline_s, f"{count} pushes")
        pushes = self.pushes(phone)
        assert len(pushes) == count, pushes
        return pushes

    def check_match(self, phone, number=0):
        """Push and INVITE are of one call: uuid and Call-ID say so. Returns the payload, which may
        come after the INVITE where another push has woken the phone."""
        ring = phone.rings[number]
        payload = self.network.wait(
            lambda: next((p for p in phone.pushes if p["uuid"] == ring.uuid), None), 30,
            lambda: f"push {ring.uuid} among {[p['uuid'] for p in phone.pushes]}")
        assert payload["call_id"] == ring.call_id, payload
        return payload

    def times(self, calls, what):
        """Prints INVITE -> push and, where the phone got it, REGISTER -> INVITE of (call, phone)
        pairs."""
        to_push, to_invite = [], []
        for call, phone in calls:
            sent_ms = next(line["ms"] for line in self.pushes(phone)
                           if line["payload"]["call_id"] == call.call_id)
            to_push.append(sent_ms - call.sent_s * 1000)
            at_s = next((ring.at_s for ring in phone.rings if ring.call_id == call.call_id), None)
            if at_s:
                registered_s = max(s for s in phone.register_at_s if s <= at_s)
                to_invite.append((at_s - registered_s) * 1000)

        def text(values):
            worst = f" (worst {max(values):.1f})" if len(values) > 1 else ""
            return f"{statistics.median(values):.1f} ms{worst}"

        print(f"[  NOTE    ] {what}: INVITE to push {text(to_push)}"
              + (f", REGISTER to INVITE {text(to_invite)}" if to_invite else ""))

    def state_of(self, call):
        """How the daemon sees a call."""
        return self.lab.events.ask(event="call-state", call=call.call_id)["state"]

    def wait_state(self, call, state):
        wait_until(lambda: self.state_of(call) == state, START_S,
                   f"call is {state} for pbxpushd, not {self.state_of(call)}")

    # ---- the end ----

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._check()
            else:
                print(f"--- Kamailio said:\n{self.kamailio.stderr()[-6000:]}---", file=sys.stderr)
                print("".join(f"problem: {text}\n" for text in self.network.problems),
                      file=sys.stderr)
        except BaseException:
            kind, error, trace = sys.exc_info()
            raise
        finally:
            with contextlib.ExitStack() as ends:
                ends.callback(self._clean)
                self.lab.__exit__(kind, error, trace)

    def _check(self):
        assert not self.network.problems, "\n".join(self.network.problems)
        if self.quiet:
            # Nothing may stay behind: not a transaction that nobody ends.
            wait_until(lambda: self.kamailio.transactions() == 0, START_S * 2, "transactions end")
        complaints = [line for line in self.kamailio.complaints()
                      if not any(text in line for text in self.expected)]
        assert not complaints, "\n".join(complaints)

    def _clean(self):
        if self.apple:
            self.apple.stop()
        for agent in self.agents:
            agent.close()
        if self.network:
            self.network.stop()
        if self.kamailio and self.kamailio.running():
            self.kamailio.end()
