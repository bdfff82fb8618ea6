#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the service manager is told, over a $NOTIFY_SOCKET of our own (sd_notify(3))."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402


class Manager:
    """The receiving end. `seen` holds every assignment in the order of arrival."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.seen = []

    def look(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.seen += self.socket.recv(4096).decode().splitlines()
        return self.seen

    def wait(self, wanted, count=1):
        wait_until(lambda: sum(line.startswith(wanted) for line in self.look()) >= count,
                   what=f"{count} times {wanted}; there was {self.seen[-5:]}")

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def environment(**values):
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


@contextlib.contextmanager
def managed(address=None, **values):
    with Lab(start=False) as lab:
        manager = Manager((address or str(lab.place / "notify")).replace("@", "\0"))
        with environment(NOTIFY_SOCKET=address or str(lab.place / "notify"), **values):
            lab.start_daemon()
        try:
            yield lab, manager
        finally:
            manager.close()


def test_life():
    with managed() as (lab, manager):
        manager.wait("READY=1")
        assert "STOPPING=1" not in manager.seen and "RELOADING=1" not in manager.seen
        lab.daemon.reload()
        manager.wait("READY=1", 2)
        assert manager.seen.count("RELOADING=1") == 1
        assert manager.seen.index("RELOADING=1") > manager.seen.index("READY=1")
        # a reload that fails is over, too
        lab.daemon.configure({"nonsense": {"a": "b"}})
        lab.daemon.reload()
        manager.wait("READY=1", 3)
        assert manager.seen.count("RELOADING=1") == 2
        lab.daemon.send_signal(signal.SIGTERM)
        manager.wait("STOPPING=1")
        assert lab.daemon.stop() == 0
        assert manager.look()[-1] != "READY=1"


def test_ready_means_that_sockets_are_open():
    with managed() as (lab, manager):
        manager.wait("READY=1")
        assert lab.client().ask(event="ping")["event"] == "pong"
        assert lab.daemon.get("/health")[0] == 200


def test_ready_does_not_need_the_push_service():
    with Lab(start=False) as lab:
        lab.simulator.control(refuse=True)
        manager = Manager(str(lab.place / "notify"))
        with environment(NOTIFY_SOCKET=str(lab.place / "notify")):
            lab.start_daemon()
        manager.wait("READY=1")
        manager.close()


def test_status_text():
    with managed(WATCHDOG_USEC="400000") as (lab, manager):
        manager.wait("STATUS=")
        assert "calls" in next(line for line in manager.seen if line.startswith("STATUS=")), manager.seen


def test_watchdog():
    with managed(WATCHDOG_USEC="200000") as (lab, manager):
        manager.wait("WATCHDOG=1", 5)
        # stopped, it is not fed: the pings come from the loop, not from a thread of their own
        lab.daemon.send_signal(signal.SIGSTOP)
        time_ns = time.monotonic_ns()
        fed = len([line for line in manager.look() if line == "WATCHDOG=1"])
        wait_until(lambda: time.monotonic_ns() - time_ns > 10**9)
        assert len([line for line in manager.look() if line == "WATCHDOG=1"]) <= fed + 1
        lab.daemon.send_signal(signal.SIGCONT)
        manager.wait("WATCHDOG=1", fed + 3)


def test_watchdog_of_somebody_else():
    with managed(WATCHDOG_USEC="20000", WATCHDOG_PID="1") as (lab, manager):
        manager.wait("READY=1")
        for _ in range(200):
            lab.events.ask(event="ping")
        assert "WATCHDOG=1" not in manager.look()


def test_watchdog_goes_on_in_a_drain():
    """systemd minds the watchdog until the process has ended."""
    with managed(WATCHDOG_USEC="200000") as (lab, manager):
        lab.daemon.configure({"daemon": {"drain-timeout": "1m"}, "apns": {"response-timeout": "1m"}})
        lab.daemon.reload()
        manager.wait("READY=1", 2)
        lab.simulator.rule(action="silent")
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        lab.events.post(event="call", call="c", to="1001")
        lab.events.ask(event="ping")
        lab.daemon.send_signal(signal.SIGTERM)
        manager.wait("STOPPING=1")
        fed = manager.look().count("WATCHDOG=1")
        manager.wait("WATCHDOG=1", fed + 3)
        lab.daemon.send_signal(signal.SIGTERM)


def test_abstract_socket():
    with managed(f"@pbxpush-test-{os.getpid()}") as (_, manager):
        manager.wait("READY=1")


def test_socket_that_is_gone():
    with Lab(start=False) as lab:
        for path in (str(lab.place / "missing"), "relative", "", "/" + "x" * 200):
            with environment(NOTIFY_SOCKET=path):
                lab.start_daemon()
            assert lab.client().ask(event="ping")["event"] == "pong"
            lab.daemon.check_end()


def test_credentials_directory():
    """`LoadCredential=` and a key-file below ${CREDENTIALS_DIRECTORY}."""
    with Lab(start=False) as lab:
        folder = lab.place / "credentials"
        folder.mkdir()
        key = lab.place.app_key(lab.app.key_id)[0]
        (folder / "apns.p8").write_bytes(key.read_bytes())
        (folder / "apns.p8").chmod(0o440)  # as systemd gives it
        with environment(CREDENTIALS_DIRECTORY=str(folder)):
            lab.start_daemon(config={
                f"app {lab.app.bundle}": {"key-file": "${CREDENTIALS_DIRECTORY}/apns.p8"}})
        lab.events.ask(event="register", user="1001", token=harness.TOKEN)
        assert lab.events.ask(event="call", call="c", to="1001")["verdict"] == "push"


if __name__ == "__main__":
    harness.main(globals())
