#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The corporate proxy is down, slow, answers nonsense, or asks for a password.

Right: CONNECT with basic auth; pushes fail with `proxy`, while the caller still rings, and the
status says what the proxy said (never the password); a missing or wrong password raises the alarm.
Once the proxy is well the next call gets through, without a restart.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

USER, PASSWORD = "pbx@example.com", "s3cr3t/%:"
LOGIN = "pbx%40example.com:s3cr3t%2F%25%3A"


def config(proxy, login=LOGIN + "@"):
    return {"apns": {"proxy": f"http://{login}127.0.0.1:{proxy}", "connect-timeout": "300ms",
                     "connections": 1}}


def fails(lab, name, why):
    reply = lab.events.ask(event="call", call=name, to="1001", ring_ms=1500)
    device, = reply["devices"]
    assert (reply["verdict"], reply["rule"]) == ("unreachable", "push-failed"), (name, reply)
    assert (device["result"], device["reason"]) == ("failed", "proxy"), (name, reply)
    assert device["ms"] < 1500, (name, reply)
    harness.wait_until(lambda: why in lab.daemon.route()["last_error"], what=f"status of {name}")
    return lab.daemon.route()["alarm"]


def works(lab, name):
    reply = lab.events.ask(event="call", call=name, to="1001")
    assert reply["verdict"] == "push", (name, reply)
    route = lab.daemon.route()
    assert route["alarm"] is None, (name, route)


def no_secret(lab):
    for text in (lab.daemon.stderr(), lab.daemon.get("/status")[1], lab.daemon.get("/metrics")[1]):
        assert PASSWORD not in text and LOGIN not in text and proxy_secret() not in text


def proxy_secret():
    return harness.base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def test_password():
    proxy = harness.Proxy(USER, PASSWORD)
    with Lab(config=config(proxy.port)) as lab:
        lab.register()
        works(lab, "one")
        head, = proxy.requests
        assert head.startswith(f"CONNECT {lab.simulator.address} HTTP/1.1\r\n"), head
        assert f"Host: {lab.simulator.address}\r\n" in head, head
        no_secret(lab)
    proxy.close()


def test_faults_and_recovery():
    """mode of the proxy, what the status says"""
    proxy = harness.Proxy(USER, PASSWORD)
    with Lab(config=config(proxy.port), start=False) as lab:
        proxy.mode = "deny"
        lab.start_daemon()
        lab.register()
        for mode, why in (("deny", "407"), ("bad", "502"), ("drop", "closes"),
                          ("hang", "connect-timeout: no proxy")):
            proxy.mode = mode
            alarm = fails(lab, mode, why)
            assert ("407" in (alarm or "")) == (mode == "deny"), (mode, alarm)
            proxy.mode = "pass"
            works(lab, f"after {mode}")
            proxy.mode = "bad"
            proxy.cut()
            harness.wait_until(lambda: not lab.daemon.route()["connected"])
        no_secret(lab)
    proxy.close()


def test_wrong_password():
    proxy = harness.Proxy(USER, PASSWORD)
    with Lab(config=config(proxy.port, "guest:guest@")) as lab:
        lab.register()
        assert "407" in fails(lab, "wrong", "407")
        lab.daemon.configure(config(proxy.port))
        lab.daemon.reload()
        harness.wait_until(lambda: "reloaded" in lab.daemon.stderr())
        works(lab, "right")
    proxy.close()


def test_down():
    port = harness.free_port()
    with Lab(config=config(port)) as lab:
        lab.register()
        fails(lab, "down", "refused")
        proxy = harness.Proxy(USER, PASSWORD, port)
        works(lab, "up")
        proxy.close()


def test_unknown_name():
    settings = config(0)
    settings["apns"]["proxy"] = "http://proxy.invalid:3128"
    with Lab(config=settings) as lab:
        lab.register()
        fails(lab, "unknown", "")


if __name__ == "__main__":
    harness.main(globals())
