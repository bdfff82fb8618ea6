#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""[hook]: the PBX's web application is told of dead tokens, phones that do not register and missed
calls, whatever becomes of it meanwhile."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import TOKEN, Lab, wait_until  # noqa: E402

SECRET = "s3cr3t-hook-token"
QUEUE_MAX = 10000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.app.connections += 1

    def do_POST(self):
        app = self.server.app
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with app.lock:
            app.requests.append((time.monotonic(), self.path, dict(self.headers), json.loads(body)))
            answer = app.answers.pop(0) if app.answers else app.answer
        app.under_way += 1
        app.most = max(app.most, app.under_way)
        with contextlib.suppress(OSError):
            self.give(answer)
        app.under_way -= 1

    def give(self, answer):
        if callable(answer):
            self.close_connection = True
            answer(self.wfile)
            return
        status, headers = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.server.app.wrong.append(self.path)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        if self.app.tls:  # on the connection's thread: a client that refuses us holds nobody
            request = self.app.tls.wrap_socket(request, server_side=True)
        self.app.open.add(request)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        self.app.faults += 1


class WebApp:
    """An HTTP server on 127.0.0.1. `answer`: (status, headers), or a function that writes to the
    connection; `answers` go first, one a request. `requests`: (when, path, headers, body)."""

    def __init__(self, port=0, cert=None, key=None):
        self.answer, self.answers = (200, {}), []
        self.requests, self.wrong, self.open = [], [], set()
        self.connections = self.under_way = self.most = self.faults = 0
        self.lock = threading.Lock()
        self.tls = None
        if cert:
            self.use(cert, key)
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.app = self
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def use(self, cert, key):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
        self.tls = tls

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook?site=5ecret"

    @property
    def bodies(self):
        with self.lock:
            return [body for _, _, _, body in self.requests]

    def wait(self, count, deadline_s=harness.DEADLINE_S):
        """The first `count` bodies."""
        wait_until(lambda: len(self.requests) >= count, deadline_s, f"{count} POSTs")
        return self.bodies[:count]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def config(url, **more):
    return {"hook": {"url": url} | {key.replace("_", "-"): value for key, value in more.items()}}


def missed(lab, count=1, user="1001"):
    """Missed calls, at once: the user does not want to be disturbed. Returns their Call-IDs."""
    assert lab.events.ask(event="dnd", user=user, on=True)["ok"]
    missed.last = getattr(missed, "last", 0)
    calls = [f"missed-{missed.last + n}" for n in range(count)]
    missed.last += count
    posted = [lab.events.post(event="call", call=call, to=user) for call in calls]
    for event_id in posted:
        assert lab.events.reply(event_id, 60)["verdict"] == "reject"
    return calls


def hook(lab):
    return lab.daemon.status()["hook"]


def wait_state(lab, **wanted):
    def there():
        status = hook(lab)
        return all(status[key] == value for key, value in wanted.items())
    wait_until(there, what=f"hook {wanted}")


def lines(lab, text):
    return [line for line in lab.daemon.stderr().splitlines() if " hook: " in line and text in line]


def reload(lab, config, good=True):
    before = len(lab.daemon.stderr())
    lab.daemon.configure(config)
    lab.daemon.reload()
    text = ": reloaded" if good else "not reloaded"
    wait_until(lambda: text in lab.daemon.stderr()[before:], what=text)
    return lab.daemon.stderr()[before:]


def token_file(lab, token=SECRET, mode=0o600):
    path = lab.place / "hook.token"
    path.write_text(token + "\n")
    path.chmod(mode)
    return path


def test_each_event():
    with WebApp() as app, Lab(start=False) as lab:
        lab.start_daemon(config(app.url, token_file=token_file(lab)))
        assert hook(lab) | {"state": 0} == {
            "state": 0, "queued": 0, "delivered": 0, "refused": 0, "expired": 0, "dropped": 0,
            "last_error": None}
        lab.register(device="iphone")
        lab.register(user="1002", device="old", token="d" * 64)
        started = int(time.time() * 1000)
        reply = lab.events.ask(event="call", call="c1", to="1001", ring_ms=1000,
                               **{"from": {"number": "+15551230001", "name": "Älice"}})
        assert reply["verdict"] == "push", reply
        one, two = app.wait(2)
        kinds = {body["event"]: body for body in (one, two)}
        no_register, missed_call = kinds["no-register"], kinds["missed-call"]
        for body in kinds.values():
            assert (body["v"], body["call"], body["uuid"], body["to"], body["attempt"]) == (
                1, "c1", reply["uuid"], "1001", 1), body
            assert started <= body["started_ms"] <= body["at_ms"] - 1000 < started + 20000, body
        assert no_register["devices"] == reply["devices"], no_register
        assert missed_call["from"] == {"number": "+15551230001", "name": "Älice"}
        assert (missed_call["state"], missed_call["rule"]) == ("timeout", None)

        lab.simulator.rule(token="d" * 64, status=410, reason="Unregistered",
                           timestamp=started + 60000)
        reply = lab.events.ask(event="call", call="c2", to="1002")
        assert reply["rule"] == "dead-token", reply
        dead = app.wait(3)[2]
        assert dead["at_ms"] >= started
        assert dead == {
            "v": 1, "event": "dead-token", "id": dead["id"], "at_ms": dead["at_ms"],
            "user": "1002", "device": "old", "app": lab.app.bundle, "environment": "production",
            "push": "voip", "token": "d" * 8, "status": 410, "reason": "Unregistered",
            "died_ms": dead["died_ms"]}, dead

        ids = set()
        for _, path, headers, body in app.requests:
            assert path == "/hook?site=5ecret"
            assert headers["Content-Type"] == "application/json"
            assert headers["Authorization"] == f"Bearer {SECRET}"
            assert headers["Idempotency-Key"] == body["id"]
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["id"])
            assert headers["User-Agent"].startswith("pbxpush/")
            ids.add(body["id"])
        assert len(ids) == 3
        assert app.connections < 3, "connections are kept"
        wait_state(lab, state="works", queued=0, delivered=3)
        for event in kinds | {"dead-token": 0}:
            assert lab.daemon.metric("pbxpush_hook_total", event=event, outcome="delivered") == 1
        assert lab.daemon.metric("pbxpush_hook_queued") == 0
        for text in (lab.daemon.stderr(), lab.daemon.get("/status")[1],
                     lab.daemon.get("/metrics")[1], lab.daemon.get("/calls/c1")[1]):
            assert SECRET not in text and "5ecret" not in text and "lice" not in text


def test_without_url():
    with WebApp() as app, Lab() as lab:
        assert hook(lab) is None
        assert "\npbxpush_hook_queued" not in lab.daemon.get("/metrics")[1]
        missed(lab)
        reload(lab, config(app.url))
        call, = missed(lab)
        assert app.wait(1)[0]["call"] == call
        missed(lab, 3)
        app.wait(4)
        reload(lab, config(""))
        assert hook(lab) is None
        missed(lab)
        reload(lab, config(app.url))
        call, = missed(lab)
        assert app.wait(5)[4]["call"] == call


def test_bad_settings():
    with Lab(start=False) as lab:
        open_file = token_file(lab, mode=0o644)
        long, two, fifo = (lab.place / name for name in ("long", "two", "fifo"))
        long.write_text("x" * 5000)
        two.write_text(SECRET + "\nX: y\n")
        os.mkfifo(fifo, 0o600)
        long.chmod(0o600)
        two.chmod(0o600)
        lab.start_daemon()
        for bad, words in (
                (config("http://pbx.example.com/hook"), ("[hook] url", "http://pbx.example.com", "loopback")),
                (config("https://u:pw5ecret@pbx.example.com/"), ("[hook] url:", "token-file")),
                (config("https://x/", token_file=open_file), ("token-file", "hook.token", "0644")),
                (config("https://x/", token_file="/nonexistent"), ("token-file", "No such file")),
                (config("https://x/", token_file=long), ("token-file", "long", "too long")),
                (config("https://x/", token_file=two), ("token-file", "two", "one line")),
                (config("https://x/", token_file=fifo), ("token-file", "fifo", "regular file")),
                (config("https://x/", token_file=None, ca_file=open_file), ("ca-file", "PEM"))):
            said = reload(lab, bad, good=False)
            assert all(word in said for word in words), (words, said)
            assert re.search(r"pbxpush\.conf:\d+: \[hook\]", said), said
            assert "pw5ecret" not in said and SECRET not in said
        assert hook(lab) is None


def test_tls():
    """Our own CA, until a certificate is of another name, or of nobody; then mended."""
    with Lab(start=False) as lab:
        place = lab.place
        bad = {"mismatch|does not match|no alternative": place.certificate(
                   "other", names="DNS:pbx.example.com"),
               "certificate": place.certificate("self", signed=False),
               "expired": place.certificate("old", days=-1)}
        with WebApp(cert=place.cert, key=place.cert_key) as app:
            lab.start_daemon(config(app.url, ca_file=place.ca))
            call, = missed(lab)
            assert app.wait(1)[0]["call"] == call
            wait_state(lab, state="works", queued=0)
            count = 1
            for why, files in bad.items():
                # What the old certificate opened is closed.
                reload(lab, {})
                app.use(*files)
                call, = missed(lab)
                wait_state(lab, state="fails", queued=1)
                assert re.search(why, hook(lab)["last_error"]), (why, hook(lab))
                assert len(app.requests) == count, "not a byte"
                app.use(place.cert, place.cert_key)
                assert app.wait(count + 1)[count]["call"] == call
                count += 1
                wait_state(lab, state="works", queued=0, last_error=None)
            # The system's authorities know nothing of ours.
            reload(lab, config(app.url, ca_file=None))
            missed(lab)
            wait_state(lab, state="fails", queued=1)
            reload(lab, config(app.url, ca_file=place.ca))
            app.wait(count + 1)


def test_500_then_200():
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        app.answers = [(500, {}), (408, {}), (200, {})]
        missed(lab)
        one, two, three = app.wait(3)
        assert one == two == three, "the same delivery"
        times = [when for when, *_ in app.requests]
        assert 0.5 <= times[1] - times[0] < 5 and 1 <= times[2] - times[1] < 7, times
        keys = {headers["Idempotency-Key"] for _, _, headers, _ in app.requests}
        assert keys == {one["id"]}
        wait_state(lab, state="works", queued=0, delivered=1, refused=0)
        metric = lab.daemon.metric
        assert metric("pbxpush_hook_total", outcome="retried") == 2
        assert metric("pbxpush_hook_total", outcome="delivered") == 1
        assert len(lines(lab, "-> fails: status 500")) == 1 and len(lines(lab, "-> works")) == 1
        assert len(lines(lab, "")) == 2, lines(lab, "")


def test_retry_after():
    """It holds for the others, too."""
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        for number, status in enumerate((429, 503)):
            before = len(app.requests)
            app.answers = [(status, {"Retry-After": "2"})]
            missed(lab)
            app.wait(before + 1)
            wait_state(lab, state="fails")
            missed(lab)
            app.wait(before + 3)
            times = [when for when, *_ in app.requests[before:]]
            assert 1.99 <= times[1] - times[0] < 8, times
            wait_state(lab, state="works", queued=0, delivered=2 * number + 2)


def test_a_date_to_retry_after():
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        app.answers = [(503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})]
        missed(lab)
        app.wait(2)
        assert app.requests[1][0] - app.requests[0][0] < 5
        app.answers = [(503, {"Retry-After": time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))})]
        missed(lab)
        app.wait(4)
        assert app.requests[3][0] - app.requests[2][0] > 1.5


def test_refused():
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        elsewhere = {"Location": f"http://127.0.0.1:{app.port}/elsewhere"}
        for number, (status, headers, words) in enumerate((
                (400, {}, "status 400"), (401, {}, "token refused"), (403, {}, "token refused"),
                (404, {}, "status 404"), (422, {}, "status 422"),
                (302, elsewhere, "redirects are not followed"), (307, elsewhere, "status 307"))):
            app.answers = [(status, headers)]
            missed(lab)
            wait_state(lab, state="refuses", refused=number + 1, queued=0)
            assert words in hook(lab)["last_error"], hook(lab)
            missed(lab)
            wait_state(lab, state="works", delivered=number + 1, queued=0)
        assert not app.wrong and len({body["id"] for body in app.bodies}) == len(app.requests) == 14
        # A fault that comes and goes is no flood in the log.
        assert len(lines(lab, "-> refuses")) == 1, lines(lab, "")
        assert len(lines(lab, "not tried again")) == 1
        assert lab.daemon.metric("pbxpush_hook_total", outcome="refused") == 7


def test_token_refused_says_so():
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        app.answer = (401, {})
        missed(lab, 3)
        wait_state(lab, refused=3)
        said, = lines(lab, "")
        assert "token refused" in said and "missed-call" in said, said


def test_server_restarts():
    with Lab(start=False) as lab:
        port = harness.free_port()
        lab.start_daemon(config(f"http://127.0.0.1:{port}/hook"))
        calls = missed(lab, 5)
        wait_state(lab, state="fails", queued=5)
        assert "refused" in hook(lab)["last_error"] or "connect" in hook(lab)["last_error"]
        with WebApp(port) as app:
            assert sorted(body["call"] for body in app.wait(5)) == calls
            wait_state(lab, state="works", queued=0)
        calls = missed(lab, 5)
        wait_state(lab, state="fails", queued=5)
        with WebApp(port) as app:
            assert sorted(body["call"] for body in app.wait(5)) == calls
            wait_state(lab, state="works", queued=0, delivered=10, dropped=0)
        # The second outage within a minute has no lines of its own.
        assert len(lines(lab, "")) == 2, lines(lab, "")


def test_connection_is_cut():
    """Before the answer: it comes again, with the same id."""
    def cut(stream):
        stream.close()

    with WebApp() as app, Lab(config=config(app.url)) as lab:
        missed(lab)
        app.wait(1)
        app.answers = [cut, cut]
        missed(lab)
        wait_state(lab, state="works", delivered=2)
        ids = [body["id"] for body in app.bodies[1:]]
        assert len(ids) >= 3 and len(set(ids)) == 1, ids


def test_server_that_hangs():
    """Calls go on meanwhile; what hangs is taken back by a reload."""
    with WebApp() as app, WebApp() as other, Lab(config=config(app.url)) as lab:
        over = threading.Event()
        app.answer = lambda _: over.wait(60)
        missed(lab)
        app.wait(1)
        calls = missed(lab, 20)
        app.wait(4)
        lab.register(user="1002")
        began = time.monotonic()
        for number in range(20):
            reply = lab.events.ask(event="call", call=f"busy-{number}", to="1002")
            assert reply["verdict"] == "push", reply
        assert time.monotonic() - began < 5
        assert app.most == 4 and hook(lab)["queued"] == 21
        reload(lab, config(other.url))
        assert {body["call"] for body in other.wait(21)} > set(calls)
        wait_state(lab, state="works", queued=0, delivered=21)
        over.set()


def test_no_answer_within_ten_seconds():
    with WebApp() as app, Lab(config=config(app.url)) as lab:
        over = threading.Event()
        app.answers = [lambda _: over.wait(60)]
        missed(lab)
        one, two = app.wait(2, 30)
        assert one == two and 10 <= app.requests[1][0] - app.requests[0][0] < 25
        wait_state(lab, state="works", queued=0)
        assert len(lines(lab, "-> fails")) == 1
        over.set()


def test_strange_answers():
    def endless_body(stream):
        stream.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            stream.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def endless_headers(stream):
        stream.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            stream.write(b"X-More: " + b"x" * 4000 + b"\r\n")

    def garbage(stream):
        stream.write(b"\0\1\2 nonsense\r\n\r\n" * 10)

    def nothing(_):
        pass

    def early_hints(stream):
        stream.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with WebApp() as app, Lab(config=config(app.url)) as lab:
        # name, answer, whether it comes again
        for number, (answer, again) in enumerate((
                (endless_body, False), (endless_headers, False), (early_hints, False),
                (garbage, True), (nothing, True))):
            before = len(app.requests)
            app.answers = [answer]
            missed(lab)
            wait_state(lab, queued=0, delivered=number + 1)
            # libcurl tries an empty answer once more by itself.
            assert (len(app.requests) - before > 1) == again, (answer, len(app.requests) - before)


def test_proxies_of_the_environment():
    dead = f"http://127.0.0.1:{harness.free_port()}"
    with WebApp() as app, Lab(start=False) as lab:
        lab.start_daemon(config(app.url), environment={
            "http_proxy": dead, "https_proxy": dead, "HTTPS_PROXY": dead, "ALL_PROXY": dead})
        missed(lab)
        app.wait(1)


def test_reload_changes_the_token():
    with WebApp() as app, WebApp() as other, Lab(start=False) as lab:
        path = token_file(lab)
        lab.start_daemon(config(app.url, token_file=path))
        missed(lab)
        app.wait(1)
        app.answer = (503, {"Retry-After": "300"})
        calls = missed(lab, 3)
        app.wait(2)
        wait_state(lab, state="fails", queued=3)
        # a bad file changes nothing …
        path.chmod(0o644)
        reload(lab, config(other.url), good=False)
        assert hook(lab)["queued"] == 3 and not other.requests
        # … and a good one takes the queue along
        token_file(lab, "another-token")
        reload(lab, config(other.url))
        assert {body["call"] for body in other.wait(3)} == set(calls)
        assert {headers["Authorization"] for _, _, headers, _ in other.requests} == {
            "Bearer another-token"}
        wait_state(lab, state="works", queued=0)
        reload(lab, config(other.url, token_file=None))
        missed(lab)
        other.wait(4)
        assert "Authorization" not in other.requests[3][2]


def test_reload_takes_the_hook_away():
    with Lab(config=config(f"http://127.0.0.1:{harness.free_port()}/")) as lab:
        missed(lab, 7)
        wait_state(lab, queued=7, state="fails")
        said = reload(lab, config(""))
        assert "7 events were not delivered" in said, said
        assert hook(lab) is None


def test_drain_delivers():
    def slow(stream):
        time.sleep(0.2)
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with WebApp() as app, Lab(config=config(app.url) | {"daemon": {"drain-timeout": "1m"}}) as lab:
        app.answer = slow
        calls = missed(lab, 12)
        assert lab.daemon.stop() == 0
        assert {body["call"] for body in app.bodies} == set(calls)
        assert not lines(lab, "lost,") and "not delivered" not in lab.daemon.stderr()


def test_drain_ends():
    port = harness.free_port()
    for seconds in ("700ms", "0s"):
        with Lab(config=config(f"http://127.0.0.1:{port}/") | {
                "daemon": {"drain-timeout": seconds}}) as lab:
            missed(lab, 3)
            wait_state(lab, state="fails")
            began = time.monotonic()
            assert lab.daemon.stop() == 0
            assert time.monotonic() - began < 8
            assert len(lines(lab, "3 events were not delivered")) == 1


def test_long_outage():
    """10,000 events wait, the newest are dropped; what waits is delivered, each once."""
    extra = 50
    with Lab(start=False) as lab:
        port = harness.free_port()
        lab.start_daemon(config(f"http://127.0.0.1:{port}/"))
        calls = []
        while len(calls) < QUEUE_MAX + extra:
            calls += missed(lab, 1005)
        status = hook(lab)
        assert (status["state"], status["queued"], status["dropped"]) == (
            "fails", QUEUE_MAX, extra), status
        assert lab.daemon.metric("pbxpush_hook_queued") == QUEUE_MAX
        assert lab.daemon.metric("pbxpush_hook_total", outcome="dropped") == extra
        assert lab.daemon.metric("pbxpush_hook_total", outcome="retried") < 60, "no storm"
        with WebApp(port) as app:
            wait_state(lab, state="works")
            bodies = app.wait(QUEUE_MAX, 120)
            wait_state(lab, queued=0, delivered=QUEUE_MAX)
            assert {body["call"] for body in bodies} == set(calls[:QUEUE_MAX])
            assert len({body["id"] for body in bodies}) == len(app.requests) == QUEUE_MAX
            assert app.most <= 4 and app.connections < 50, (app.most, app.connections)
            missed(lab)
            app.wait(QUEUE_MAX + 1)
        assert len(lines(lab, "queue full")) == 1
        works, = lines(lab, "-> works")
        assert f"lost={extra}" in works, works
        assert len(lines(lab, "")) == 3, lines(lab, "")


def test_long_names():
    """The queue is bounded in bytes, too: 16 MiB."""
    with Lab(start=False) as lab:
        lab.start_daemon(config(f"http://127.0.0.1:{harness.free_port()}/") | {
            "daemon": {"drain-timeout": "0s"}})
        assert lab.events.ask(event="dnd", user="1001", on=True)["ok"]
        for number in range(400):
            reply = lab.events.ask(event="call", call=f"c{number}", to="1001",
                                   **{"from": {"name": "n" * 60000}})
            assert reply["verdict"] == "reject", reply
        status = hook(lab)
        assert 0 < status["queued"] < 280 and status["queued"] + status["dropped"] == 400, status


if __name__ == "__main__":
    harness.main(globals())
