#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The daemon with an APNs that shares nothing with ours: python3-h2, ssl, and openssl for the JWT.

It sees what the simulator does not log: the provider token's bytes, SETTINGS, and how headers are
encoded.
"""

import base64
import contextlib
import json
import pathlib
import socket
import ssl
import sys
import threading
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, App, Daemon, Events, Place, Skip  # noqa: E402

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
    import h2.settings
    import hpack
except ImportError:
    h2 = None

APP = App()


class Server:
    """One stream until the first answer, then `limit`. `requests` and `faults` are for the tests."""

    def __init__(self, place, limit=20):
        self.limit, self.requests, self.faults, self.settings = limit, [], [], []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(place.cert, place.cert_key)
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                raw = self.listener.accept()[0]
                self.sockets.append(raw)
                threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as sock:
                self.sockets.append(sock)
                self.converse(sock)
        except h2.exceptions.ProtocolError as error:
            self.faults.append(repr(error))
        except OSError:
            pass  # the daemon left

    def converse(self, sock):
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        conn.local_settings = h2.settings.Settings(client=False, initial_values={
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        conn.initiate_connection()
        sock.sendall(conn.data_to_send())
        bodies, heads = {}, {}
        while data := sock.recv(65536):
            ended = []
            for event in conn.receive_data(data):
                stream = getattr(event, "stream_id", None)
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    self.settings.append({int(k): v.new_value for k, v in event.changed_settings.items()})
                elif isinstance(event, h2.events.RequestReceived):
                    heads[stream], bodies[stream] = event.headers, b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[stream] += event.data
                    conn.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.append(stream)
            for stream in ended:
                self.requests.append((heads.pop(stream), bodies.pop(stream)))
                conn.send_headers(stream, [(":status", "200"), ("apns-id", self.apns_id())],
                                  end_stream=True)
                if conn.local_settings.max_concurrent_streams == 1:
                    conn.update_settings(
                        {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.limit})
            sock.sendall(conn.data_to_send())

    def apns_id(self):
        fields = {bytes(k): bytes(v) for k, v in self.requests[-1][0]}
        return fields[b"apns-id"].decode().upper()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.sockets:
            sock.close()


@contextlib.contextmanager
def lab():
    if h2 is None:
        raise Skip("needs python3-h2")
    place = Place()
    server = daemon = client = None
    try:
        server = Server(place)
        daemon = Daemon(place, server.address)
        client = Events(daemon.events_path)
        yield types.SimpleNamespace(place=place, server=server, daemon=daemon, ask=client.ask,
                                    events=client)
        client.close()
        daemon.check_end()
        assert not server.faults, server.faults
    finally:
        for end in (client and client.close, server and server.close,
                    daemon and daemon.running() and daemon.kill):
            if end:
                end()
        place.remove()


def decode(part):
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def raw_to_der(raw):
    """The other way than harness.der_to_raw()."""
    body = b""
    for number in (raw[:32], raw[32:]):
        number = number.lstrip(b"\0")
        if number[:1] >= b"\x80":
            number = b"\0" + number
        body += b"\x02" + bytes([len(number)]) + number
    return b"\x30" + bytes([len(body)]) + body


def check_jwt(place, token):
    head, claims, signature = token.split(b".")
    for part in (head, claims, signature):
        assert b"=" not in part and b"+" not in part and b"/" not in part, "base64url, no padding"
    assert json.loads(decode(head)) == {"alg": "ES256", "kid": APP.key_id}, decode(head)
    claims_read = json.loads(decode(claims))
    assert claims_read.keys() == {"iss", "iat"} and claims_read["iss"] == APP.team, claims_read
    assert type(claims_read["iat"]) is int and 0 <= time.time() - claims_read["iat"] < 3600
    assert len(decode(signature)) == 64, "R and S, no DER"
    file = place / "signature"
    file.write_bytes(raw_to_der(decode(signature)))
    said = harness.openssl("dgst", "-sha256", "-verify", place.app_key(APP.key_id)[1],
                           "-signature", file, stdin=head + b"." + claims)
    assert b"Verified OK" in said


def test_one_call():
    with lab() as at:
        assert at.ask(event="register", user="1001", token=TOKEN)["stored"]
        reply = at.ask(event="call", call="c", to="1001", **{"from": {"name": "Älice"}})
        assert reply["verdict"] == "push", reply
        (headers, body), = at.server.requests
        names = [bytes(name).decode() for name, _ in headers]
        assert len(set(names)) == len(names) and names == [name.lower() for name in names], names
        pseudo = [name for name in names if name.startswith(":")]
        assert names[:4] == pseudo and set(pseudo) == {":method", ":scheme", ":path", ":authority"}
        values = {bytes(name).decode(): bytes(value).decode() for name, value in headers}
        assert values[":method"] == "POST" and values[":path"] == f"/3/device/{TOKEN}", values
        assert values["apns-topic"] == APP.bundle + ".voip", values
        assert (values["apns-push-type"], values["apns-priority"], values["apns-expiration"]) == (
            "voip", "10", "0"), values
        assert int(values.get("content-length", len(body))) == len(body) <= 5120
        payload = json.loads(body.decode())
        assert payload["caller"]["name"] == "Älice" and payload["uuid"] == reply["uuid"], payload
        # the reply's id is a UUID in lower case, whatever the push service writes
        assert reply["devices"][0]["apns_id"] == values["apns-id"], reply
        scheme, token = values["authorization"].split(" ")
        assert scheme == "bearer"
        check_jwt(at.place, token.encode())


def test_what_stays_out_of_the_header_table():
    """Apple: never the path, which differs each time; and nobody may guess at a secret (RFC 7541 7.1.3)."""
    with lab() as at:
        at.ask(event="register", user="1001", token=TOKEN)
        for number in range(3):
            assert at.ask(event="call", call=f"c{number}", to="1001")["verdict"] == "push"
        for headers, _ in at.server.requests:
            never = {bytes(field[0]).decode() for field in headers
                     if isinstance(field, hpack.NeverIndexedHeaderTuple)}
            assert {":path", "authorization"} <= never, never
            assert "apns-topic" not in never, never


def test_settings_and_streams():
    with lab() as at:
        for number in range(200):
            at.events.post(id=f"r{number}", event="register", user=f"u{number}", token=f"{number:064x}")
        for number in range(200):
            at.events.reply(f"r{number}")
        calls = [at.events.post(event="call", call=f"c{n}", to=f"u{n}") for n in range(200)]
        for call in calls:
            assert at.events.reply(call)["verdict"] == "push"
        paths = [bytes(dict(headers)[b":path"]) for headers, _ in at.server.requests]
        assert len(paths) == len(set(paths)) == 200
        tokens = {bytes(dict(headers)[b"authorization"]) for headers, _ in at.server.requests}
        assert len(tokens) == 1, "one provider token a key"
        enable_push = int(h2.settings.SettingCodes.ENABLE_PUSH)
        assert at.server.settings and all(s.get(enable_push) == 0 for s in at.server.settings)
        # h2 would have raised at a stream too many: see faults in lab()


def test_server_leaves_and_comes_back():
    with lab() as at:
        at.ask(event="register", user="1001", token=TOKEN)
        assert at.ask(event="call", call="c", to="1001")["verdict"] == "push"
        for sock in list(at.server.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        assert at.ask(event="call", call="d", to="1001")["verdict"] == "push"


if __name__ == "__main__":
    harness.main(globals())
