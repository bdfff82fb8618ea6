#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The simulator, judged by a client that shares nothing with it: python3-h2 and openssl."""

import json
import pathlib
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, App, Place, Simulator, wait_until  # noqa: E402

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
    import h2.settings
    import hyperframe.frame
except ImportError:
    h2 = None

APP = App()
OTHER = App(bundle="com.example.other", team="OTHERTEAM1", key_id="OTHERKEY01")
SECOND_KEY = App(bundle="com.example.phone", key_id="SECONDKEY1")
UUID = "8f14e45f-ceea-467f-a9f1-3d1f2c3b4a59"
PAYLOAD = b'{"aps":{},"v":1}'
MANY = "Maximum active streams violated for this endpoint"


class Client:
    """One connection. Answers and frames are collected by wait()."""

    def __init__(self, lab, alpn=("h2",)):
        context = ssl.create_default_context(cafile=lab.place.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        raw = socket.create_connection(("127.0.0.1", lab.simulator.port), timeout=10)
        try:
            self.socket = context.wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2._frame_dispatch_table[hyperframe.frame.GoAwayFrame] = self.on_goaway
        self.answers, self.bodies, self.seen, self.closed = {}, {}, [], False
        self.corked = False  # collects frames, so that they arrive at once
        self.flush()

    @staticmethod
    def on_goaway(frame):
        """h2 would take no frame after this one, not even the answers that are owed."""
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        event.additional_data = frame.additional_data
        return [], [event]

    def flush(self):
        if self.corked:
            return
        try:
            self.socket.sendall(self.h2.data_to_send())
        except OSError:
            self.closed = True

    def post(self, headers, body, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=not body and end)
        if body:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def wait(self, done, deadline_s=10):
        """Reads until done() is true or the other side has closed."""
        end = time.monotonic() + deadline_s
        while not done() and not self.closed:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return
            for event in self.h2.receive_data(data):
                self.take(event)
            self.flush()

    def take(self, event):
        self.seen.append(event)
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            self.answers[stream] = dict(event.headers)
            self.bodies.setdefault(stream, b"")
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[stream] = self.bodies.get(stream, b"") + event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)

    def got(self, kind, stream=None):
        return [event for event in self.seen if isinstance(event, kind) and
                stream in (None, getattr(event, "stream_id", None))]

    def answer(self, stream):
        """(status, body as object) of a stream."""
        self.wait(lambda: self.got((h2.events.StreamEnded, h2.events.StreamReset), stream))
        assert stream in self.answers, self.seen
        body = self.bodies[stream]
        return int(self.answers[stream][":status"]), json.loads(body) if body else None

    def limit(self):
        return self.h2.remote_settings.max_concurrent_streams

    def close(self):
        self.socket.close()


class Bench:
    """A simulator and a good request, of which tests change single members."""

    def __init__(self, *args, apps=(APP, OTHER, SECOND_KEY), violations=None):
        if h2 is None:
            raise harness.Skip("python3-h2 is not installed")
        self.args, self.apps, self.expected_violations = args, apps, violations
        self.clients = []

    def __enter__(self):
        self.place = Place()
        try:
            self.simulator = Simulator(self.place, *self.args, apps=self.apps)
        except BaseException:
            self.place.remove()
            raise
        self.token = self.jwt()
        return self

    def jwt(self, app=APP, **members):
        return harness.jwt(self.place.app_key(app.key_id)[0], app.key_id, app.team, **members)

    def client(self, **options):
        self.clients.append(Client(self, **options))
        return self.clients[-1]

    def request(self, token=TOKEN, body=PAYLOAD, jwt=None, client=None, extra=(), end=True,
                **change):
        """Posts; `change` replaces headers (- as _; None takes one out). Returns the stream."""
        headers = {
            ":method": "POST", ":scheme": "https", ":authority": "localhost",
            ":path": f"/3/device/{token}", "authorization": f"bearer {jwt or self.token}",
            "apns-topic": APP.bundle + ".voip", "apns-push-type": "voip", "apns-id": UUID,
            "apns-expiration": "0", "apns-priority": "10"}
        for name, value in change.items():
            pseudo = ":" if name in ("path", "method") else ""
            headers[pseudo + name.replace("_", "-")] = value
        pairs = [(name, value) for name, value in headers.items() if value is not None]
        return client.post([*pairs, *extra], body, end)

    def ask(self, client=None, **request):
        """Posts, by a connection of its own unless one is given, and returns the answer."""
        mine = client or self.client()
        answer = mine.answer(self.request(client=mine, **request))
        if not client:
            mine.close()
        return answer

    def __exit__(self, kind, error, trace):
        try:
            for client in self.clients:
                client.close()
            if kind is None:
                if self.expected_violations is not None:
                    assert self.simulator.stats()["violations"] == self.expected_violations, \
                        self.simulator.violations()
                self.simulator.close_control()
                self.simulator.check_end()
        finally:
            if self.simulator.running():
                self.simulator.kill()
            self.place.remove()


ALERT = {"apns_topic": APP.bundle, "apns_push_type": "alert"}
BACKGROUND = {"apns_topic": APP.bundle, "apns_push_type": "background"}

# name, what differs from a good request, status, reason
REQUESTS = (
    ("good", {}, 200, None),
    ("upper-case token", {"token": TOKEN.upper()}, 200, None),
    ("long token", {"token": "ab" * 256}, 200, None),
    ("alert", ALERT, 200, None),
    ("background", BACKGROUND | {"apns_priority": "5"}, 200, None),
    ("no apns-id", {"apns_id": None}, 200, None),
    ("no priority", {"apns_priority": None}, 200, None),
    ("later expiration", {"apns_expiration": "1893456000"}, 200, None),
    ("collapse id of 64", {"apns_collapse_id": "x" * 64}, 200, None),
    ("largest VoIP payload", {"body": b'{"aps":{},"x":"%s"}' % (b"x" * 5102)}, 200, None),
    ("GET", {"method": "GET"}, 405, "MethodNotAllowed"),
    ("other path", {"path": "/3/devices/" + TOKEN}, 404, "BadPath"),
    ("no token", {"token": ""}, 400, "MissingDeviceToken"),
    ("no token, no slash", {"path": "/3/device"}, 400, "MissingDeviceToken"),
    ("token not hex", {"token": "xyz1" * 16}, 400, "BadDeviceToken"),
    ("token too short", {"token": "ab" * 15}, 400, "BadDeviceToken"),
    ("token too long", {"token": "ab" * 257}, 400, "BadDeviceToken"),
    ("token of odd length", {"token": TOKEN + "a"}, 400, "BadDeviceToken"),
    ("no authorization", {"authorization": None}, 403, "MissingProviderToken"),
    ("basic authorization", {"authorization": "basic YTpi"}, 403, "InvalidProviderToken"),
    ("no topic", {"apns_topic": None}, 400, "MissingTopic"),
    ("malformed topic", {"apns_topic": "com.example phone.voip"}, 400, "BadTopic"),
    ("topic of nobody", {"apns_topic": "com.example.nobody.voip"}, 400, "TopicDisallowed"),
    ("topic of another team", {"apns_topic": OTHER.bundle + ".voip"}, 400, "TopicDisallowed"),
    ("bundle's prefix", {"apns_topic": "com.example.phon.voip"}, 400, "TopicDisallowed"),
    ("voip without suffix", {"apns_topic": APP.bundle}, 400, "InvalidPushType"),
    ("alert with suffix", {"apns_push_type": "alert"}, 400, "InvalidPushType"),
    ("unknown type", {"apns_push_type": "ring"}, 400, "InvalidPushType"),
    ("no type", {"apns_push_type": None}, 400, "InvalidPushType"),
    ("priority 7", {"apns_priority": "7"}, 400, "BadPriority"),
    ("priority 10.0", {"apns_priority": "10.0"}, 400, "BadPriority"),
    ("background at 10", BACKGROUND, 400, "BadPriority"),
    ("background by default", BACKGROUND | {"apns_priority": None}, 400, "BadPriority"),
    ("expiration as date", {"apns_expiration": "tomorrow"}, 400, "BadExpirationDate"),
    ("negative expiration", {"apns_expiration": "-1"}, 400, "BadExpirationDate"),
    ("empty expiration", {"apns_expiration": ""}, 400, "BadExpirationDate"),
    ("collapse id of 65", {"apns_collapse_id": "x" * 65}, 400, "BadCollapseId"),
    ("upper-case apns-id", {"apns_id": UUID.upper()}, 400, "BadMessageId"),
    ("apns-id without dashes", {"apns_id": UUID.replace("-", "")}, 400, "BadMessageId"),
    ("topic twice", {"extra": [("apns-topic", APP.bundle + ".voip")]}, 400, "DuplicateHeaders"),
    ("no payload", {"body": b""}, 400, "PayloadEmpty"),
    ("payload not JSON", {"body": b"aps"}, 400, "PayloadEmpty"),
    ("payload without aps", {"body": b'{"v":1}'}, 400, "PayloadEmpty"),
    ("VoIP payload of 5121", {"body": b'{"aps":{},"x":"%s"}' % (b"x" * 5104)}, 413,
     "PayloadTooLarge"),
    ("alert payload of 4097", ALERT | {"body": b'{"aps":{},"x":"%s"}' % (b"x" * 4080)}, 413,
     "PayloadTooLarge"),
)


def test_requests():
    bad = sum(status != 200 for _, _, status, _ in REQUESTS)
    with Bench(violations=bad) as bench:
        for name, change, status, reason in REQUESTS:
            assert bench.ask(**change) == (status, reason and {"reason": reason}), name
        lines = bench.simulator.requests()
        assert len(lines) == len(REQUESTS)
        for line, (name, _, status, reason) in zip(lines, REQUESTS):
            assert (line["status"], line["reason"]) == (status, reason), name
        assert lines[0]["payload"] == json.loads(PAYLOAD), lines[0]
        assert lines[0]["headers"]["apns-topic"] == "com.example.phone.voip", lines[0]
        assert bench.token not in bench.simulator.log_path.read_text(), "JWT in the log"


def test_provider_tokens():
    now = int(time.time())
    table = (
        ("good", {}, 200, None),
        ("almost an hour old", {"iat": now - 3500}, 200, None),
        ("an hour old", {"iat": now - 3700}, 403, "ExpiredProviderToken"),
        ("in the future", {"iat": now + 600}, 403, "InvalidProviderToken"),
        ("iat as string", {"iat": str(now)}, 403, "InvalidProviderToken"),
        ("iat in milliseconds", {"iat": now * 1000}, 403, "InvalidProviderToken"),
        ("iat with fraction", {"iat": now + 0.5}, 403, "InvalidProviderToken"),
        ("DER signature", {"der": True}, 403, "InvalidProviderToken"),
        ("no kid", {"header": {"kid": None}}, 403, "InvalidProviderToken"),
        ("unknown kid", {"header": {"kid": "NOBODYSKEY"}}, 403, "InvalidProviderToken"),
        ("kid of another team", {"header": {"kid": OTHER.key_id}}, 403, "InvalidProviderToken"),
        ("another's key", {"header": {"kid": SECOND_KEY.key_id}}, 403, "InvalidProviderToken"),
        ("no iss", {"claims": {"iss": None}}, 403, "InvalidProviderToken"),
        ("other iss", {"claims": {"iss": "NOBODYTEAM"}}, 403, "InvalidProviderToken"),
        ("alg none", {"header": {"alg": "none"}}, 403, "InvalidProviderToken"),
        ("alg RS256", {"header": {"alg": "RS256"}}, 403, "InvalidProviderToken"),
    )
    with Bench() as bench:
        for name, members, status, reason in table:
            answer = bench.ask(jwt=bench.jwt(**members))
            assert answer == (status, reason and {"reason": reason}), (name, answer)
        for name, token in (("garbage", "garbage"), ("two parts", "e30.e30"),
                            ("padding", bench.token + "=="),
                            ("changed", bench.token[:-4] + "AAAA")):
            assert bench.ask(jwt=token) == (403, {"reason": "InvalidProviderToken"}), name


def test_one_team_a_connection():
    with Bench() as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        table = (
            (OTHER, "InvalidProviderToken"),
            (SECOND_KEY, "UnrelatedKeyIdInToken"),
        )
        for app, reason in table:
            answer = bench.ask(client, jwt=bench.jwt(app), apns_topic=app.bundle + ".voip")
            assert answer == (403, {"reason": reason}), answer
            answer = bench.ask(jwt=bench.jwt(app), apns_topic=app.bundle + ".voip")
            assert answer == (200, None), answer
        assert bench.ask(client)[0] == 200, "the first team goes on"


def test_app_added_later_needs_a_new_connection():
    with Bench() as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        late = App(bundle="com.example.late")
        bench.simulator.control(app=bench.place.app_spec(late))
        topic = late.bundle + ".voip"
        assert bench.ask(client, apns_topic=topic)[1] == {"reason": "TopicDisallowed"}
        assert bench.ask(apns_topic=topic)[0] == 200


def test_token_updates():
    now = int(time.time())
    with Bench("--token-min-age", "1200") as bench:
        first = bench.jwt(iat=now - 2400)
        second = bench.jwt(iat=now - 1200)
        too_many = (429, {"reason": "TooManyProviderTokenUpdates"})
        assert bench.ask(jwt=first)[0] == 200
        assert bench.ask(jwt=bench.jwt(iat=now - 1900)) == too_many
        assert bench.ask(jwt=bench.jwt(iat=now - 2400)) == too_many, "signed anew, same iat"
        assert bench.ask(jwt=second)[0] == 200
        assert bench.ask(jwt=first)[0] == 200, "the one before is still in use elsewhere"
        assert bench.simulator.stats()["tokens"] == 2


def test_apns_id_and_date():
    with Bench(violations=0) as bench:
        client = bench.client()
        client.answer(stream := bench.request(client=client))
        assert client.answers[stream]["apns-id"] == UUID
        assert client.answers[stream]["date"].endswith("GMT")
        client.answer(stream := bench.request(client=client, apns_id=None))
        made = client.answers[stream]["apns-id"]
        assert len(made) == 36 and made != UUID and made == made.lower(), made
        assert "apns-unique-id" not in client.answers[stream]
    with Bench("--environment", "sandbox", violations=0) as bench:
        client = bench.client()
        client.answer(stream := bench.request(client=client))
        assert len(client.answers[stream]["apns-unique-id"]) == 36


def test_alpn_is_required():
    with Bench() as bench:
        try:
            bench.client(alpn=("http/1.1",))
            raise AssertionError("http/1.1 was accepted")
        except ssl.SSLError as error:
            assert "no application protocol" in str(error), error
        client = bench.client(alpn=())
        client.wait(lambda: False)
        assert client.closed and not client.seen, client.seen


def test_streams_before_and_after_the_first_good_request():
    with Bench("--streams", "50", violations=1) as bench:
        client = bench.client()
        client.wait(lambda: client.limit() == 1)
        assert bench.ask(client, apns_priority="7")[0] == 400
        client.wait(lambda: True)
        assert client.limit() == 1, "a bad request does not raise the limit"
        assert bench.ask(client)[0] == 200
        client.wait(lambda: client.limit() == 50)
        streams = [bench.request(client=client, body=b"", end=False) for _ in range(50)]
        for stream in streams:
            client.h2.send_data(stream, PAYLOAD, end_stream=True)
        client.flush()
        assert all(client.answer(stream)[0] == 200 for stream in streams)
        assert bench.simulator.stats()["max_streams"] == 50


def ignore_limit(client):
    """Makes the client break the rule that its library keeps."""
    client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1 << 30
    client.h2.remote_settings.acknowledge()


def test_overshooting_is_punished():
    with Bench("--streams", "10", violations=1) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        client.wait(lambda: client.limit() == 10)
        ignore_limit(client)
        for _ in range(11):
            bench.request(client=client, end=False)
        client.wait(lambda: client.got(h2.events.ConnectionTerminated))
        end = client.got(h2.events.ConnectionTerminated)[0]
        assert end.error_code == 11, end
        assert json.loads(end.additional_data) == {"reason": MANY}, end
        assert bench.simulator.violations()[0]["detail"] == "more streams than allowed"


def test_streams_that_cross_a_lower_limit_are_refused():
    with Bench("--streams", "10", violations=0) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        client.wait(lambda: client.limit() == 10)
        bench.simulator.control(limit=1)
        # The client has not read the new limit: it is not to blame.
        streams = [bench.request(client=client, end=False) for _ in range(3)]
        client.wait(lambda: len(client.got(h2.events.StreamReset)) == 2)
        resets = client.got(h2.events.StreamReset)
        refused = [(event.stream_id, event.error_code) for event in resets]
        assert refused == [(streams[1], 7), (streams[2], 7)], refused


def test_rules():
    table = (
        # rule, what the nth request gets
        ({"status": 410, "reason": "Unregistered", "timestamp": 1763790000123},
         [(410, {"reason": "Unregistered", "timestamp": 1763790000123})] * 2),
        ({"status": 503, "reason": "ServiceUnavailable", "times": 1},
         [(503, {"reason": "ServiceUnavailable"}), (200, None)]),
        ({"status": 500, "reason": "InternalServerError", "after": 1},
         [(200, None), (500, {"reason": "InternalServerError"})]),
        ({"token": "a1b2*", "status": 400, "reason": "BadDeviceToken"},
         [(400, {"reason": "BadDeviceToken"})]),
        ({"token": "dead*", "status": 400, "reason": "BadDeviceToken"}, [(200, None)]),
        ({"token": TOKEN.upper(), "status": 429, "reason": "TooManyRequests"},
         [(429, {"reason": "TooManyRequests"})]),
        ({"delay_ms": 60}, [(200, None)]),
    )
    with Bench(violations=0) as bench:
        client = bench.client()
        for rule, answers in table:
            bench.simulator.control(clear_rules=True)
            bench.simulator.rule(**rule)
            start = time.monotonic()
            for answer in answers:
                assert bench.ask(client) == answer, rule
            assert time.monotonic() - start >= rule.get("delay_ms", 0) / 1000, rule
        bench.simulator.control(reset=True)
        bench.simulator.rule(status=429, reason="TooManyRequests", retry_after_s=7)
        client.answer(stream := bench.request(client=client))
        assert client.answers[stream]["retry-after"] == "7"


def test_rules_on_the_command_line_and_bad_ones():
    rule = json.dumps({"token": "a1*", "status": 403, "reason": "Forbidden"})
    with Bench("--rule", rule, violations=0) as bench:
        assert bench.ask() == (403, {"reason": "Forbidden"})
        control = harness.JsonLines(bench.simulator.control_path)
        for line in ('{"rule":{"status":99}}', '{"rule":{"reason":"a\\"b"}}', '{"rule":[]}',
                     '{"rule":{"action":"dance"}}', '{"nonsense":1}', "nonsense", "[]",
                     '{"goaway":1}', '{"limit":-1}', '{"window":-1}', '{"app":"x"}',
                     '{"rule":{"headers_first":1}}', '{"rule":{"code":-1}}',
                     '{"certificate":{"cert":"/nonexistent","key":"/nonexistent"}}'):
            control.send_raw(line.encode() + b"\n")
            answer = control.read()
            assert answer["ok"] is False and answer["error"], (line, answer)
        control.close()


def test_actions_of_rules():
    with Bench(violations=0) as bench:
        for action, code in (("refuse", 7), ("reset-stream", 2)):
            client = bench.client()
            bench.simulator.control(clear_rules=True)
            bench.simulator.rule(action=action)
            stream = bench.request(client=client)
            client.wait(lambda: client.got(h2.events.StreamReset))
            assert client.got(h2.events.StreamReset, stream)[0].error_code == code, action
        for action in ("close", "reset"):
            client = bench.client()
            bench.simulator.control(clear_rules=True)
            bench.simulator.rule(action=action)
            bench.request(client=client)
            client.wait(lambda: False)
            assert client.closed and not client.answers, action
        bench.simulator.control(clear_rules=True)
        bench.simulator.rule(action="goaway", reason="IdleTimeout")
        client = bench.client()
        stream = bench.request(client=client)
        assert client.answer(stream) == (200, None)
        client.wait(lambda: client.closed)
        end = client.got(h2.events.ConnectionTerminated)[0]
        assert (end.last_stream_id, json.loads(end.additional_data)) == (
            stream, {"reason": "IdleTimeout"}), end


def test_closing_sends_what_was_answered():
    with Bench(violations=0) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        client.wait(lambda: (client.limit() or 0) > 3)
        bench.simulator.rule(action="close", after=2)
        client.corked = True
        streams = [bench.request(client=client) for _ in range(3)]
        client.corked = False
        client.flush()
        client.wait(lambda: False)
        assert [stream in client.answers for stream in streams] == [True, True, False]


def test_silence_leaves_pings_answered():
    with Bench(violations=0) as bench:
        client = bench.client()
        bench.simulator.rule(action="silent")
        bench.request(client=client)
        client.h2.ping(b"12345678")
        client.flush()
        client.wait(lambda: client.got(h2.events.PingAckReceived))
        assert client.got(h2.events.PingAckReceived) and not client.answers
        bench.simulator.control(ignore_pings=True)
        client.h2.ping(b"87654321")
        client.flush()
        wait_until(lambda: bench.simulator.stats()["pings"] == 2)
        bench.simulator.control(clear_rules=True)
        assert bench.ask()[0] == 200
        assert len(client.got(h2.events.PingAckReceived)) == 1


def test_idle_pings_may_be_punished():
    with Bench("--ping-min-ms", "600000", violations=1) as bench:
        client = bench.client()
        for data in (b"12345678", b"23456789"):
            client.h2.ping(data)
        client.flush()
        client.wait(lambda: client.got(h2.events.ConnectionTerminated))
        end = client.got(h2.events.ConnectionTerminated)[0]
        assert (end.error_code, json.loads(end.additional_data)) == (
            11, {"reason": "too_many_pings"}), end


def test_goaway():
    with Bench(violations=0) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        client.wait(lambda: (client.limit() or 0) > 2)
        bench.simulator.rule(delay_ms=150)
        streams = [bench.request(client=client) for _ in range(3)]
        wait_until(lambda: bench.simulator.stats()["requests"] == 4)
        bench.simulator.control(goaway={
            "last_stream": streams[0], "reason": "BadCertificateEnvironment"})
        client.wait(lambda: client.got(h2.events.ConnectionTerminated))
        end = client.got(h2.events.ConnectionTerminated)[0]
        assert end.last_stream_id == streams[0], end
        assert json.loads(end.additional_data) == {"reason": "BadCertificateEnvironment"}, end
        bench.simulator.control(clear_rules=True)
        client.wait(lambda: client.closed)
        assert streams[0] in client.answers and len(client.answers) == 2, client.answers


def test_goaway_as_a_warning():
    with Bench(violations=0) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        bench.simulator.control(goaway={"last_stream": "max"})
        assert bench.ask(client)[0] == 200, "requests that cross a warning are answered"
        end = client.got(h2.events.ConnectionTerminated)
        assert [event.last_stream_id for event in end] == [0x7FFFFFFF], end


def test_requests_after_goaway_are_seen():
    with Bench(violations=1) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        bench.simulator.control(goaway={"keep": True})
        crossing = bench.request(client=client)
        client.wait(lambda: client.got(h2.events.PingReceived))
        assert client.got(h2.events.ConnectionTerminated)
        late = bench.request(client=client)
        wait_until(lambda: bench.simulator.stats()["violations"])
        violation = bench.simulator.violations()[0]
        assert (violation["detail"], violation["value"]) == ("request after GOAWAY", late)
        assert crossing not in client.answers


def test_connections_refused_closed_and_reset():
    with Bench(violations=0) as bench:
        for command in ({"close": True}, {"rst": True}):
            client = bench.client()
            assert bench.ask(client)[0] == 200
            bench.simulator.control(**command)
            client.wait(lambda: False)
            assert client.closed, command
        bench.simulator.control(refuse=True)
        try:
            bench.client()
            raise AssertionError("connection was not refused")
        except ConnectionRefusedError:
            pass
        bench.simulator.control(refuse=False)
        assert bench.ask()[0] == 200


def test_half_open_connection():
    with Bench(violations=0) as bench:
        client = bench.client()
        assert bench.ask(client)[0] == 200
        bench.simulator.control(pause=True, connection="open")
        stream = bench.request(client=client)
        assert bench.ask()[0] == 200, "a new connection works"
        assert stream not in client.answers
        bench.simulator.control(pause=False)
        assert client.answer(stream) == (200, None), "it was only asleep"


def test_window_is_never_opened():
    body = b'{"aps":{},"x":"%s"}' % (b"x" * 5000)
    with Bench(violations=0) as bench:
        client = bench.client()
        bench.simulator.control(stall_window=True)
        while client.h2.outbound_flow_control_window > len(body):
            assert bench.ask(client, body=body)[0] == 200
        assert client.h2.outbound_flow_control_window < len(body)
        bench.simulator.control(stall_window=False)
        client.wait(lambda: client.h2.outbound_flow_control_window > 60000)
        assert bench.ask(client, body=body)[0] == 200


def test_garbage():
    with Bench(violations=0) as bench:
        client = bench.client()
        bench.simulator.rule(status=400, garbage="json", times=1)
        stream = bench.request(client=client)
        client.wait(lambda: client.got(h2.events.StreamEnded, stream))
        try:
            json.loads(client.bodies[stream])
            raise AssertionError("that was JSON")
        except ValueError:
            pass
        bench.simulator.rule(status=400, garbage="body", times=1)
        stream = bench.request(client=client)
        client.wait(lambda: client.got(h2.events.StreamEnded, stream))
        assert len(client.bodies[stream]) == 1 << 20
        for garbage in ("headers", "frames"):
            bench.simulator.control(clear_rules=True)
            bench.simulator.rule(garbage=garbage)
            client = bench.client()
            bench.request(client=client)
            try:
                client.wait(lambda: False)
                raise AssertionError(f"{garbage} did not disturb the library")
            except h2.exceptions.ProtocolError:
                pass
            client.close()


def test_headers_before_their_end():
    bad = {"status": 400, "reason": "BadTopic"}
    # rule, status, body, error code of the stream (None: it has an end), closed
    table = (
        ({"action": "answer"}, 200, None, None, False),
        ({"action": "answer", "delay_ms": 60} | bad, 400, {"reason": "BadTopic"}, None, False),
        ({"action": "refuse"}, 200, None, 7, False),
        ({"action": "reset-stream"}, 200, None, 2, False),
        ({"action": "reset-stream", "code": 8} | bad, 400, None, 8, False),
        ({"action": "close"} | bad, 400, None, None, True),
    )
    with Bench(violations=0) as bench:
        for rule, status, body, code, closed in table:
            bench.simulator.control(clear_rules=True)
            bench.simulator.rule(headers_first=True, **rule)
            client = bench.client()
            stream = bench.request(client=client)
            client.wait(lambda: stream in client.answers)
            assert client.answers[stream][":status"] == str(status), rule
            if closed:
                client.wait(lambda: False)
                assert client.closed and not client.got(h2.events.StreamEnded), rule
                continue
            assert client.answer(stream) == (status, body), rule
            resets = [event.error_code for event in client.got(h2.events.StreamReset)]
            assert resets == ([code] if code is not None else []), rule
            client.close()
        bench.simulator.control(clear_rules=True)
        bench.simulator.rule(headers_first=True, action="silent")
        client = bench.client()
        stream = bench.request(client=client)
        client.wait(lambda: stream in client.answers)
        client.h2.ping(b"12345678")
        client.flush()
        client.wait(lambda: client.got(h2.events.PingAckReceived))
        assert not client.got((h2.events.StreamEnded, h2.events.StreamReset)), client.seen


def test_windows_of_another_size():
    def stream_window(client):
        return client.h2.remote_settings.initial_window_size

    with Bench(violations=0) as bench:
        clients = [bench.client() for _ in range(2)]
        bench.simulator.control(window=1000, connection=1)
        clients[0].wait(lambda: stream_window(clients[0]) == 1000)
        bench.simulator.control(window=200000, connection=2)
        clients[1].wait(lambda: clients[1].h2.outbound_flow_control_window == 200000)
        assert stream_window(clients[1]) == 200000
        bench.simulator.control(window=2000, connection="new")
        client = bench.client()
        client.wait(lambda: stream_window(client) == 2000)
        assert bench.ask(clients[0])[0] == bench.ask(client)[0] == 200
    with Bench("--window", "300000", violations=0) as bench:
        client = bench.client()
        client.wait(lambda: client.h2.outbound_flow_control_window == 300000)
        assert stream_window(client) == 300000


def test_socket_of_a_client_that_is_not_read():
    with Bench("--receive-buffer", "16384", "--window", "100000000") as bench:
        client = bench.client()
        client.wait(lambda: client.h2.outbound_flow_control_window > 65535)
        bench.simulator.control(pause=True, connection=1)
        stream = bench.request(client=client, end=False)
        client.socket.settimeout(0)
        sent = 0
        try:
            while sent < 1000000:
                client.h2.send_data(stream, b"x" * 5000)
                sent += client.socket.send(client.h2.data_to_send())
            raise AssertionError("the socket takes a megabyte")
        except ssl.SSLWantWriteError:
            pass
        assert bench.ask()[0] == 200, "a new connection works"


def test_clock_skew():
    with Bench() as bench:
        bench.simulator.control(clock_skew_s=7200)
        assert bench.ask()[1] == {"reason": "ExpiredProviderToken"}
        bench.simulator.control(clock_skew_s=-7200)
        assert bench.ask()[1] == {"reason": "InvalidProviderToken"}
        client = bench.client()
        client.answer(stream := bench.request(client=client))
        then = time.strptime(client.answers[stream]["date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert abs(time.mktime(then) - time.timezone - (time.time() - 7200)) < 60
        bench.simulator.control(reset=True)
        assert bench.ask()[0] == 200


def test_other_certificates_and_protocols():
    with Bench(violations=0) as bench:
        for name, options in (("unknown", {"signed": False}), ("other", {"names": "DNS:other"}),
                              ("expired", {"days": -1})):
            cert, key = bench.place.certificate(name, **options)
            bench.simulator.control(certificate={"cert": str(cert), "key": str(key)})
            try:
                bench.client()
                raise AssertionError(f"{name} was accepted")
            except ssl.SSLCertVerificationError:
                pass
        bench.simulator.control(certificate={
            "cert": str(bench.place.cert), "key": str(bench.place.cert_key)})
        bench.simulator.control(alpn="http/1.1")
        client = bench.client(alpn=("h2", "http/1.1"))
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        bench.simulator.control(alpn="")
        client = bench.client()
        assert client.socket.selected_alpn_protocol() is None
        bench.simulator.control(reset=True)
        assert bench.ask()[0] == 200


def refused(bench, **command):
    """The error of a command that must be refused."""
    control = harness.JsonLines(bench.simulator.control_path)
    control.send(command)
    answer = control.read()
    control.close()
    assert answer["ok"] is False and answer["error"], (command, answer)
    return answer["error"]


def test_delay_and_clock_of_one_connection():
    # which, whether it meets: connection 1, connection 2, one that comes after the command
    table = ((1, [True, False, False]), ("open", [True, True, False]),
             ("new", [False, False, True]))
    with Bench() as bench:
        old = [bench.client() for _ in range(2)]
        for which, expected in table:
            bench.simulator.control(delay_ms=80, connection=which)
            bench.simulator.control(clock_skew_s=7200, connection=which)
            skewed, slow = [], []
            for client in (*old, bench.client()):
                start = time.monotonic()
                skewed.append(bench.ask(client)[1] == {"reason": "ExpiredProviderToken"})
                slow.append(time.monotonic() - start >= 0.08)
            assert skewed == expected, (which, skewed)
            # A busy machine may delay any answer, and hastens none.
            assert all(was >= must for was, must in zip(slow, expected)), (which, slow)
            delays = [line.get("delay_ms", 0) for line in bench.simulator.requests()[-3:]]
            assert delays == [80 * must for must in expected], (which, delays)
            bench.simulator.control(delay_ms=0)
            bench.simulator.control(clock_skew_s=0)


def test_what_a_handshake_decides_is_for_new_connections():
    with Bench(violations=0) as bench:
        old = bench.client()
        cert, key = map(str, bench.place.certificate("other", names="DNS:other"))
        for command in ({"alpn": "http/1.1"}, {"refuse": True},
                        {"certificate": {"cert": cert, "key": key}}):
            for which in (1, "open", "none", None):
                assert "new" in refused(bench, **command, connection=which), (command, which)
            assert bench.ask()[0] == 200, command
        bench.simulator.control(alpn="http/1.1", connection="new")
        client = bench.client(alpn=("h2", "http/1.1"))
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        bench.simulator.control(alpn="h2")
        bench.simulator.control(certificate={"cert": cert, "key": key}, connection="new")
        bench.simulator.control(refuse=True, connection="new")
        for wanted in (ConnectionRefusedError, ssl.SSLCertVerificationError):
            try:
                bench.client()
                raise AssertionError(f"no {wanted.__name__}")
            except wanted:
                pass
            bench.simulator.control(refuse=False)
        assert bench.ask(old)[0] == 200, "the connection that stood is as it was"


def test_choices_that_a_command_cannot_obey():
    with Bench(violations=0) as bench:
        for command in ({"goaway": {}}, {"close": True}, {"rst": True}):
            assert "open" in refused(bench, **command, connection="new"), command
        for command in ({"stats": True}, {"reset": True}, {"rule": {}}, {"clear_rules": True}):
            assert "takes none" in refused(bench, **command, connection=1), command
        for command in ({"limit": 1}, {"pause": True}, {"delay_ms": 1}, {"clock_skew_s": 1}):
            assert refused(bench, **command, connection="nwe"), command
        assert bench.ask()[0] == 200


def test_proxy_of_the_harness():
    proxy = harness.Proxy("user", "secret")
    basic = "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"
    table = (("pass", basic, "200"), ("pass", "", "407"), ("deny", basic, "407"),
             ("bad", basic, "502"), ("drop", basic, None))
    with Bench(violations=0) as bench:
        for proxy.mode, auth, status in table:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
                sock.sendall(f"CONNECT {bench.simulator.address} HTTP/1.1\r\n{auth}\r\n".encode())
                answer = sock.recv(4096).decode()
                assert (answer.split()[1] if answer else None) == status, (proxy.mode, answer)
                if status == "200":
                    context = ssl.create_default_context(cafile=bench.place.ca)
                    context.set_alpn_protocols(["h2"])
                    tunnel = context.wrap_socket(sock, server_hostname="localhost")
                    assert tunnel.selected_alpn_protocol() == "h2"
                    tunnel.close()
        assert len(proxy.requests) == len(table), proxy.requests
    proxy.close()


def test_listens_on_ipv6_too():
    with Bench("--listen", "[::1]:0", violations=0) as bench:
        assert bench.simulator.address.startswith("[::1]:"), bench.simulator.address
        raw = socket.create_connection(("::1", bench.simulator.port), timeout=10)
        ssl.create_default_context(cafile=bench.place.ca).wrap_socket(
            raw, server_hostname="localhost").close()


if __name__ == "__main__":
    harness.main(globals())
