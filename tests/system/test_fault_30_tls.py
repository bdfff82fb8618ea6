#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TLS fails: a certificate of another name, expired, of an unknown CA, or a server that does not
agree on h2.

It may be a middle box, or an attack. Right: refused, before a single byte of a push or a provider
token is sent; no fall-back to anything weaker; pushes fail with `tls`, the route raises its alarm
with the reason, and tries again without a hot loop. When it is mended the next call gets through,
and the alarm goes.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab  # noqa: E402

# name, certificate (None: the good one), ALPN, what the alarm says
FAULTS = (
    ("wrong name", {"names": "DNS:push.example.com,IP:192.0.2.1"}, "h2", "mismatch"),
    ("expired", {"days": -1}, "h2", "expired"),
    ("unknown CA", {"signed": False}, "h2", "certificate refused"),
    ("http/1.1 only", None, "http/1.1", "no application protocol"),
    ("no ALPN", None, "", "does not speak h2"),
)


def use(lab, cert, key):
    lab.simulator.control(certificate={"cert": str(cert), "key": str(key)})


def test_refused_until_mended():
    for name, options, alpn, why in FAULTS:
        with Lab(start=False, config={"apns": {"connections": 1}}) as lab:
            if options:
                use(lab, *lab.place.certificate("other", **options))
            lab.simulator.control(alpn=alpn)
            lab.start_daemon()
            lab.register()
            reply = lab.events.ask(event="call", call="one", to="1001", ring_ms=1500)
            device, = reply["devices"]
            assert reply["verdict"] == "unreachable", (name, reply)
            assert reply["rule"] == "push-failed", (name, reply)
            assert (device["result"], device["reason"], device["attempts"]) == (
                "failed", "tls", 0), (name, reply)
            alarm = lab.daemon.route()["alarm"]
            assert alarm and why in alarm, (name, alarm)
            assert f'alarm="{alarm}"' in lab.daemon.stderr(), name
            assert lab.daemon.stderr().count("alarm=") == 1, f"{name}: told once"
            tries = lab.simulator.stats()["connections"]
            assert 1 <= tries <= 20, f"{name}: {tries} connects in a second"
            assert lab.simulator.requests() == [], name

            use(lab, lab.place.cert, lab.place.cert_key)
            lab.simulator.control(alpn="h2")
            reply = lab.events.ask(event="call", call="two", to="1001")
            assert reply["verdict"] == "push", (name, reply)
            assert lab.daemon.route()["alarm"] is None, name


def test_the_alarm_goes_without_a_push():
    with Lab(start=False) as lab:
        lab.simulator.control(alpn="http/1.1")
        lab.start_daemon()
        harness.wait_until(lambda: lab.daemon.route()["alarm"])
        lab.simulator.control(alpn="h2")
        harness.wait_until(lambda: not lab.daemon.route()["alarm"])
        assert lab.daemon.route()["ready"]


def test_one_that_fails_leaves_the_other():
    """The certificate expires while a connection stands: calls go on over that one."""
    with Lab() as lab:
        lab.daemon.wait_connected()
        lab.register()
        use(lab, *lab.place.certificate("old", days=-1))
        lab.simulator.control(rst=True, connection=1)
        harness.wait_until(lambda: "certificate" in (lab.daemon.route()["alarm"] or ""))
        for n in range(3):
            reply = lab.events.ask(event="call", call=f"c{n}", to="1001")
            assert reply["verdict"] == "push", reply
        assert {line["connection"] for line in lab.simulator.requests()} == {2}


# What an administrator, or an old system, may allow.
LAX = """
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
"""


@contextlib.contextmanager
def old_server(place, environment):
    """Speaks TLS 1.1 and h2. The port."""
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_1", "-cipher",
         "DEFAULT@SECLEVEL=0", "-alpn", "h2", "-cert", place.cert, "-key", place.cert_key],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    try:
        for line in process.stdout:
            if accepts := re.match(r"ACCEPT 127.0.0.1:(\d+)", line):
                yield int(accepts[1])
                return
        raise harness.Skip("openssl has no TLS 1.1 here")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_nothing_older_than_tls_1_2():
    with Lab(start=False) as lab:
        lax = lab.place / "openssl.cnf"
        lax.write_text(LAX)
        environment = {"OPENSSL_CONF": str(lax)}
        with old_server(lab.place, os.environ | environment) as port:
            lab.start_daemon({"apns": {"production": f"127.0.0.1:{port}", "connections": 1}},
                             environment=environment)
            lab.register()
            reply = lab.events.ask(event="call", call="one", to="1001", ring_ms=1500)
            device, = reply["devices"]
            assert (device["result"], device["reason"], device["attempts"]) == (
                "failed", "tls", 0), reply
            assert "protocol" in lab.daemon.route()["alarm"], lab.daemon.route()


# names of the certificate, is it good for api.push.test at 127.0.0.1
NAMES = (
    ("DNS:push.example.com,IP:127.0.0.1", False),
    ("DNS:ap*.push.test", False),
    ("DNS:*.push.test", True),
)


def test_name_must_match():
    """A name in the configuration is not proved by an address, nor by half a wildcard."""
    with Lab(start=False) as lab:
        hosts = harness.Hosts(lab.place, {"api.push.test": ["127.0.0.1"]})
        use(lab, *lab.place.certificate("names 0", NAMES[0][0]))
        lab.start_daemon({"apns": {"production": f"api.push.test:{lab.simulator.port}",
                                   "connections": 1}}, wrapper=hosts.wrapper)
        lab.register()
        for number, (names, good) in enumerate(NAMES):
            use(lab, *lab.place.certificate(f"names {number}", names))
            reply = lab.events.ask(event="call", call=names, to="1001",
                                   ring_ms=10000 if good else 1500)
            device, = reply["devices"]
            assert device["reason"] == (None if good else "tls"), (names, reply)
            assert (lab.daemon.route()["alarm"] is None) == good, names


if __name__ == "__main__":
    harness.main(globals())
