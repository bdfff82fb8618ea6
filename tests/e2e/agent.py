# SPDX-License-Identifier: MIT
"""A SIP user agent on UDP: transactions with their retransmissions (RFC 3261 17), and the checks
that both ends of a call share. Everything here runs in the network's thread."""

import itertools
import uuid

from sip import (COOKIE, Malformed, Message, address_of, parameter, tag_of, uri_of)

T1_S, T2_S = 0.5, 4.0
TIMEOUT_S = 64 * T1_S
COUNTER = itertools.count(1)


def new_tag():
    return uuid.uuid4().hex[:12]


class ClientTransaction:
    """A request of ours until its final response. `done(response)` hears of every response, and of
    None when none came in time."""

    def __init__(self, agent, request, address, done):
        self.agent, self.request, self.address, self.done = agent, request, address, done
        self.branch, self.method = request.branch, request.method
        self.provisional = self.final = None
        self.interval_s, self.cancel_timer = T1_S, None
        self.cancel_timeout = agent.network.later(TIMEOUT_S, self._timeout)
        agent.client[(self.branch, self.method)] = self
        self._transmit()

    def _transmit(self):
        self.agent.transmit(self.request, self.address)
        self.cancel_timer = self.agent.network.later(self.interval_s, self._transmit)
        self.interval_s = self.interval_s * 2 if self.method == "INVITE" else min(
            self.interval_s * 2, T2_S)

    def stop(self):
        self.cancel_timer()
        self.cancel_timeout()

    def _timeout(self):
        self.stop()
        self.done(None)

    def receive(self, response):
        check_response(self.request, response)
        if response.status < 200:
            if self.final:
                return  # workers of the proxy have overtaken one another
            self.provisional = response
            if self.method == "INVITE":
                self.stop()
            self.done(response)
            return
        first, self.final = self.final is None, self.final or response
        self.stop()
        if self.method == "INVITE" and response.status >= 300:
            self._ack(response)
        if first or (self.method == "INVITE" and response.status < 300):
            self.done(response)

    def _ack(self, response):
        """RFC 3261 17.1.1.3: of the same transaction, with the To of the response."""
        number = self.request.cseq[0]
        self.agent.transmit(Message(f"ACK {self.request.uri} SIP/2.0", [
            ("Via", self.request.get("via")), ("Max-Forwards", "70"),
            ("From", self.request.get("from")), ("To", response.get("to")),
            ("Call-ID", self.request.call_id), ("CSeq", f"{number} ACK"),
            *(("Route", route) for route in self.request.all("route"))]), self.address)


def check_response(request, response):
    """Whether a response belongs to the request, in all that a client may rely on."""
    if len(response.all("via")) != 1:
        raise Malformed(f"{response.start} with {response.all('via')}")
    for name in ("from", "call-id", "cseq"):
        if response.get(name) != request.get(name):
            raise Malformed(f"{response.start}: {name} {response.get(name)!r} "
                            f"instead of {request.get(name)!r}")
    if uri_of(response.get("to")) != uri_of(request.get("to")):
        raise Malformed(f"{response.start}: To {response.get('to')!r}")
    if response.status > 100 and not tag_of(response.get("to")):
        raise Malformed(f"{response.start} without To tag")


def check_request(request, contact_uri):
    """A request from the proxy to us."""
    via = request.get("via")
    if not request.branch.startswith(COOKIE):
        raise Malformed(f"branch {via!r}")
    if not 0 < int(request.get("max-forwards") or 0) < 70:
        raise Malformed(f"Max-Forwards {request.get('max-forwards')}")
    if not tag_of(request.get("from")):
        raise Malformed(f"{request.start} without From tag")
    if request.all("route"):
        raise Malformed(f"{request.start}: the proxy's Route was left in it")
    if request.uri != contact_uri:
        raise Malformed(f"{request.start}: our contact is {contact_uri}")


class Agent:
    """One user agent. `domain` is what its users are called under; everything goes by way of
    `proxy`, (host, port)."""

    def __init__(self, network, proxy, user, domain):
        self.network, self.proxy, self.user, self.domain = network, proxy, user, domain
        self.socket, self.port = None, 0
        self.client, self.server, self.repeating = {}, {}, {}

    def __repr__(self):
        return self.user

    def open(self, port=0):
        self.socket = self.network.open(self._receive, port)
        self.port = self.socket.getsockname()[1]

    def close(self):
        """Deaf and dumb, as an app that iOS has suspended."""
        with self.network.changed:
            if self.socket:
                self.network.close(self.socket)
                self.socket = None
            for transaction in self.client.values():
                transaction.stop()
            for stop in self.repeating.values():
                stop()
            self.client, self.server, self.repeating = {}, {}, {}

    @property
    def address_of_record(self):
        return f"sip:{self.user}@{self.domain}"

    def transmit(self, message, address):
        if self.socket:
            self.socket.sendto(message.encode(), address)

    def via(self):
        return ("Via", f"SIP/2.0/UDP 127.0.0.1:{self.port};rport;"
                       f"branch={COOKIE}-{self.user}-{next(COUNTER)}")

    def send_request(self, method, uri, headers, body=b"", done=lambda response: None,
                     routes=()):
        address = address_of(uri_of(routes[0])) if routes else self.proxy
        request = Message(f"{method} {uri} SIP/2.0", [
            self.via(), ("Max-Forwards", "70"), *(("Route", route) for route in routes), *headers,
            ("User-Agent", "pbxpush-e2e")], body)
        if method == "ACK":
            self.transmit(request, address)
            return request
        return ClientTransaction(self, request, address, done)

    def respond(self, request, status, reason, tag, headers=(), body=b""):
        """Answers; final answers to an INVITE are repeated until the ACK."""
        to = request.get("to") if tag_of(request.get("to")) else f"{request.get('to')};tag={tag}"
        response = Message(f"SIP/2.0 {status} {reason}", [
            *(("Via", via) for via in request.all("via")), ("From", request.get("from")),
            ("To", to), ("Call-ID", request.call_id), ("CSeq", request.get("cseq")),
            *(("Record-Route", route) for route in request.all("record-route")), *headers], body)
        key = (request.branch, request.method)
        self.server[key] = response
        self._repeat_until_ack(request, response, status, T1_S)

    def _repeat_until_ack(self, request, response, status, interval_s):
        via = request.get("via")
        address = (parameter(via, "received") or address_of("sip:" + via.split()[1])[0],
                   int(parameter(via, "rport") or address_of("sip:" + via.split()[1])[1]))
        self.transmit(response, address)
        if request.method != "INVITE" or status < 200:
            return
        key = (request.call_id, request.cseq[0])
        self.repeating[key] = self.network.later(interval_s, lambda: self._repeat_until_ack(
            request, response, status, min(interval_s * 2, T2_S)))

    def _receive(self, data, address):
        if not data.strip():
            return  # a keep-alive
        message = Message.parse(data)
        if message.is_response:
            transaction = self.client.get((message.branch, message.cseq[1]))
            if not transaction:
                raise Malformed(f"{message.start} to nothing we asked: {message.get('cseq')}")
            transaction.receive(message)
            return
        if message.method == "ACK":
            stop = self.repeating.pop((message.call_id, message.cseq[0]), None)
            if stop:
                stop()
                self.on_request(message)
            return
        key = (message.branch, message.method)
        if key in self.server:
            if self.server[key]:
                self._repeat_once(message, self.server[key])
            return
        self.server[key] = None
        self.on_request(message)

    def _repeat_once(self, request, response):
        if request.method != "INVITE" or response.status < 200:
            self._repeat_until_ack(request, response, response.status, T1_S)

    def on_request(self, request):
        raise NotImplementedError


class Dialog:
    """What both ends of an answered call keep (RFC 3261 12)."""

    def __init__(self, agent, call_id, local, remote, target, routes, cseq):
        self.agent, self.call_id, self.local, self.remote = agent, call_id, local, remote
        self.target, self.routes, self.cseq = target, list(routes), cseq

    def headers(self, method, number=None):
        return [("From", self.local), ("To", self.remote), ("Call-ID", self.call_id),
                ("CSeq", f"{self.cseq if number is None else number} {method}")]

    def send(self, method, done=lambda response: None):
        if method != "ACK":
            self.cseq += 1
        return self.agent.send_request(
            method, self.target, self.headers(method), done=done, routes=self.routes)

    def check(self, request):
        """A request within this dialog."""
        if tag_of(request.get("to")) != tag_of(self.local) or (
                tag_of(request.get("from")) != tag_of(self.remote)):
            raise Malformed(f"{request.start}: tags of another dialog")
