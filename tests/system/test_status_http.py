#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`[status] http`: /metrics and /health over TCP, for all on this machine, and nothing else."""

import contextlib
import http.client
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402
from test_reload import reload  # noqa: E402

SERVED_AT_ONCE = 64


def new_address():
    return f"127.0.0.1:{harness.free_port()}"


def get(address, path, method="GET"):
    connection = http.client.HTTPConnection(address, timeout=harness.DEADLINE_S)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def refused(address):
    try:
        get(address, "/health")
    except ConnectionRefusedError:
        return True
    return False


def test_routes():
    address = new_address()
    with Lab(config={"status": {"http": address}}) as lab:
        status, body = get(address, "/metrics")
        assert status == 200 and "\npbxpush_clients " in body, (status, body)
        assert get(address, "/health") == (200, '{"healthy":true,"reason":null}\n')
        lab.events.ask(event="call", call="c", to="1001")
        assert lab.daemon.get("/calls/c")[0] == 200
        for path in ("/", "/status", "/calls", "/calls/c", "/calls/", "/v1/events", "/metrics/",
                     "/Metrics", "/metrics?a", "*", "http://x/calls"):
            expected = 200 if path == "/metrics?a" else 404
            assert get(address, path)[0] == expected, path
        for method in ("POST", "PUT", "DELETE"):
            assert get(address, "/metrics", method)[0] == 405, method


def test_off_by_default():
    with Lab() as lab:
        inodes = {line.split()[9] for line in open("/proc/net/tcp", encoding="ascii")
                  if line.split()[3] == "0A"}
        mine = {link for fd in pathlib.Path(f"/proc/{lab.daemon.process.pid}/fd").iterdir()
                if (link := str(fd.readlink())).startswith("socket:")}
        assert not {f"socket:[{inode}]" for inode in inodes} & mine, "it listens on TCP"


def test_reload():
    first, second = new_address(), new_address()
    with Lab() as lab, socket.create_server(("127.0.0.1", 0)) as taken:
        reload(lab, {"status": {"http": first}})
        assert get(first, "/health")[0] == 200
        reload(lab, {"status": {"http": second}})
        assert refused(first) and get(second, "/health")[0] == 200
        said = reload(lab, {"status": {"http": f"127.0.0.1:{taken.getsockname()[1]}"}}, good=False)
        assert "Address already in use" in said, said
        assert get(second, "/health")[0] == 200, "it stays where it was"
        reload(lab, {"status": {"http": None}})
        assert refused(second)
        reload(lab, {"status": {"http": second}})
        assert get(second, "/health")[0] == 200


def test_crowd():
    """Those that idle keep a bounded number of places, and nobody waits for ever."""
    address = new_address()
    host, _, port = address.rpartition(":")
    with Lab(config={"status": {"http": address}}) as lab:
        crowd = [socket.create_connection((host, int(port))) for _ in range(SERVED_AT_ONCE + 30)]
        wait_until(lambda: lab.daemon.metric("process_open_fds") > SERVED_AT_ONCE)
        descriptors = lab.daemon.metric("process_open_fds")
        assert descriptors < SERVED_AT_ONCE + 50, descriptors
        assert lab.daemon.get("/health")[0] == 200, "the unix socket counts for itself"
        assert lab.events.ask(event="ping")["event"] == "pong"
        for sock in crowd:
            sock.close()
        assert get(address, "/health")[0] == 200


if __name__ == "__main__":
    harness.main(globals())
