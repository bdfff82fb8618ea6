# SPDX-License-Identifier: MIT
"""Phones that sleep and are called, and callers."""

import time
import uuid

from agent import Agent, Dialog, check_request, new_tag
from sip import (Malformed, parameter, sdp, tag_of, uri_of)

PHRASES = {180: "Ringing", 200: "OK", 486: "Busy Here", 487: "Request Terminated", 603: "Decline"}


class Ring:
    """An INVITE at a phone: ringing -> answered -> ended, or cancelled, refused."""

    def __init__(self, phone, invite):
        self.phone, self.invite, self.tag = phone, invite, new_tag()
        self.call_id, self.uuid = invite.call_id, invite.get("x-pbxpush-uuid")
        self.state, self.acked, self.reason, self.dialog = "new", False, None, None
        self.at_s = time.monotonic()
        self.caller = invite.get("from")

    def respond(self, status, headers=(), body=b""):
        self.phone.respond(self.invite, status, PHRASES[status], self.tag,
                           [("Contact", self.phone.contact), *headers], body)

    def ring(self):
        self.state = "ringing"
        self.respond(180)

    def answer(self):
        invite = self.invite
        self.state = "answered"
        self.dialog = Dialog(
            self.phone, self.call_id, f"{invite.get('to')};tag={self.tag}", invite.get("from"),
            uri_of(invite.get("contact")), invite.all("record-route"), 1)
        self.respond(200, [("Content-Type", "application/sdp")], sdp("127.0.0.1", 40000))

    def refuse(self, status):
        self.state = "refused"
        self.respond(status)

    def hang_up(self):
        self.state = "ended"
        self.dialog.send("BYE")


class Phone(Agent):
    """A phone of a user. With a token it is an iPhone: it can sleep(), and a push wakes it."""

    def __init__(self, network, proxy, user, domain, token=None, app=None, same_port=False,
                 expires_s=600):
        super().__init__(network, proxy, user, domain)
        self.token, self.app, self.same_port, self.expires_s = token, app, same_port, expires_s
        self.instance = f"urn:uuid:{uuid.uuid4()}"
        self.rings, self.reported, self.pushes = [], {}, []
        self.registered = None   # the last 200 of a REGISTER
        self.register_at_s = []  # when each REGISTER was sent
        self.register_cseq, self.register_call_id = 0, uuid.uuid4().hex
        self.asleep, self.answers, self.wakes = False, True, True
        self.open()

    # ---- registration ----

    @property
    def contact_uri(self):
        uri = f"sip:{self.user}@127.0.0.1:{self.port}"
        if self.token:
            uri += (f";pn-provider=apns;pn-param={self.app.team}.{self.app.bundle}.voip"
                    f";pn-prid={self.token}")
        return uri

    @property
    def contact(self):
        return f'<{self.contact_uri}>;+sip.instance="<{self.instance}>"'

    def _register(self, expires_s, done):
        self.register_cseq += 1
        self.register_at_s.append(time.monotonic())

        def on_response(response):
            if response is None or response.status >= 300:
                raise Malformed(f"REGISTER of {self}: {response and response.start}")
            if response.status >= 200:
                self.registered = response
                self._learn(response)
                done()

        self.send_request("REGISTER", f"sip:{self.domain}", [
            ("From", f"<{self.address_of_record}>;tag={new_tag()}"),
            ("To", f"<{self.address_of_record}>"), ("Call-ID", self.register_call_id),
            ("CSeq", f"{self.register_cseq} REGISTER"), ("Contact", self.contact),
            ("Expires", str(expires_s))], done=on_response)

    def register(self, expires_s=None, deadline_s=30):
        """Registers, and returns the 200."""
        answered = []
        self.network.do(lambda: self._register(
            self.expires_s if expires_s is None else expires_s, lambda: answered.append(True)))
        self.network.wait(lambda: answered, deadline_s, f"REGISTER of {self} is answered")
        return self.registered

    def _learn(self, response):
        """What became of calls that we have reported: the rule for late phones."""
        for value in response.all("x-pbxpush-call"):
            name = value.split(";")[0].strip()
            if name in self.reported:
                self.reported[name] = parameter(value, "state")

    def sleep(self, gone=False):
        """iOS suspends the app. gone: its registration has run out; else the PBX still has it."""
        if gone:
            self.register(expires_s=0)
        self.close()
        self.asleep = True

    def on_push(self, payload):
        """A VoIP push: CallKit is told at once, then the app registers."""
        def job():
            self.pushes.append(payload)
            self.reported.setdefault(payload["uuid"], "reported")
            if self.wakes:
                self._wake()

        self.network.do(job)

    def _wake(self):
        """An app that is awake registers all the same (RFC 8599 4.1.1)."""
        if self.asleep:
            self.asleep = False
            self.open(self.port if self.same_port else 0)
        self._register(self.expires_s, lambda: None)

    def wake(self):
        """What a push does, for a phone that has been slow (wakes = False)."""
        self.network.wait(lambda: self.pushes, 30, f"a push for {self}")
        self.wakes = True
        self.network.do(self._wake)

    # ---- calls ----

    def on_request(self, request):
        if request.method == "ACK":
            self._on_ack(request)
        elif request.method == "INVITE":
            self._on_invite(request)
        elif request.method == "CANCEL":
            self._on_cancel(request)
        elif request.method == "BYE":
            self._on_bye(request)
        else:
            raise Malformed(f"{request.start} at a phone")

    def _on_invite(self, request):
        check_request(request, self.contact_uri)
        if not request.all("record-route") or not request.get("contact"):
            raise Malformed(f"INVITE without Record-Route or Contact: {request.headers}")
        if any(ring.call_id == request.call_id for ring in self.rings):
            raise Malformed(f"{self}: the call {request.call_id} comes a second time")
        ring = Ring(self, request)
        self.rings.append(ring)
        ring.ring()
        if self.answers:
            ring.answer()

    def _ring_of(self, request):
        for ring in self.rings:
            if ring.call_id == request.call_id:
                return ring
        raise Malformed(f"{request.start} for a call that {self} does not know")

    def _on_ack(self, request):
        ring = self._ring_of(request)
        if tag_of(request.get("to")) != ring.tag:
            raise Malformed(f"ACK with To {request.get('to')}")
        if ring.dialog:
            check_request(request, self.contact_uri)
            ring.dialog.check(request)
        elif request.branch != ring.invite.branch:
            raise Malformed(f"ACK of another transaction: {request.get('via')}")
        ring.acked = True

    def _on_cancel(self, request):
        ring, invite = self._ring_of(request), None
        invite = ring.invite
        if (request.branch, request.uri, request.cseq[0]) != (
                invite.branch, invite.uri, invite.cseq[0]):
            raise Malformed(f"CANCEL that matches no INVITE: {request.headers}")
        for name in ("from", "to"):
            if request.get(name) != invite.get(name):
                raise Malformed(f"CANCEL with {name} {request.get(name)}")
        self.respond(request, 200, "OK", ring.tag)
        if ring.state == "ringing":
            ring.state, ring.reason = "cancelled", request.get("reason")
            ring.respond(487)

    def _on_bye(self, request):
        ring = self._ring_of(request)
        check_request(request, self.contact_uri)
        ring.dialog.check(request)
        ring.state = "ended"
        self.respond(request, 200, "OK", ring.tag)

    # ---- for tests ----

    def wait_ring(self, state="ringing", deadline_s=30, number=0):
        """Ring `number`, once it is in that state."""
        def ready():
            return len(self.rings) > number and self.rings[number].state == state and (
                state != "answered" or self.rings[number].acked)

        self.network.wait(ready, deadline_s, lambda: (
            f"{self} is {state}; rings {[r.state for r in self.rings]}, "
            f"{len(self.pushes)} pushes, {len(self.register_at_s)} REGISTERs"))
        return self.rings[number]


    def wait_reported(self, state, deadline_s=30):
        """Until its only call, as CallKit was told of it, stands so."""
        self.network.wait(lambda: list(self.reported.values()) == [state], deadline_s,
                          lambda: f"{self} knows {state}; calls {self.reported}")


class Call:
    """A caller's call: calling -> ringing -> answered -> ended, or failed with `status`."""

    def __init__(self, caller, to, name, call_id=None, video=False, uri=None):
        self.caller, self.call_id = caller, call_id or f"{uuid.uuid4().hex}@caller"
        self.state, self.status, self.dialog, self.wants_cancel = "calling", None, None, False
        self.responses = []
        self.local = f'{name} <{caller.address_of_record}>;tag={new_tag()}'.strip()
        self.uri, self.video = uri or f"sip:{to}@{caller.domain}", video
        self.to = f"<{self.uri}>"
        self.sent_s = self.ended_s = None

    def start(self):
        self.sent_s = time.monotonic()
        self.transaction = self.caller.send_request("INVITE", self.uri, [
            ("From", self.local), ("To", self.to), ("Call-ID", self.call_id), ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:{self.caller.user}@127.0.0.1:{self.caller.port}>"),
            ("Content-Type", "application/sdp")], sdp("127.0.0.1", 30000, self.video),
            self._on_response)

    def _on_response(self, response):
        if response is None:
            self.state, self.status, self.ended_s = "failed", 408, time.monotonic()
            return
        self.responses.append(response.status)
        if response.status < 200:
            if response.status > 100:
                self.state = "ringing"
            if self.wants_cancel:
                self._cancel()
        elif response.status < 300:
            self._on_answer(response)
        else:
            self.state, self.status, self.ended_s = "failed", response.status, time.monotonic()

    def _on_answer(self, response):
        if not response.get("contact") or not response.all("record-route"):
            raise Malformed(f"200 without Contact or Record-Route: {response.headers}")
        dialog = Dialog(
            self.caller, self.call_id, self.local, response.get("to"),
            uri_of(response.get("contact")), reversed(response.all("record-route")), 1)
        dialog.send("ACK")
        if not self.dialog:
            self.dialog, self.state = dialog, "answered"
        elif tag_of(self.dialog.remote) != tag_of(response.get("to")):
            dialog.send("BYE")  # two phones at the same moment: the second has no luck

    def _cancel(self):
        """RFC 3261 9.1: after a provisional response only; same branch, same everything."""
        self.wants_cancel = False
        invite = self.transaction.request
        cancel = [(name, value) for name, value in invite.headers
                  if name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "Route")]
        request = type(invite)(f"CANCEL {invite.uri} SIP/2.0", [*cancel, ("CSeq", "1 CANCEL")])
        type(self.transaction)(
            self.caller, request, self.transaction.address, lambda response: None)

    def cancel(self):
        def job():
            if self.transaction.provisional:
                self._cancel()
            else:
                self.wants_cancel = True

        self.caller.network.do(job)

    def hang_up(self, deadline_s=30):
        """BYE, and its 200."""
        answered = []

        def on_response(response):
            if response is None or response.status != 200:
                raise Malformed(f"BYE: {response and response.start}")
            self.state = "ended"
            answered.append(True)

        self.caller.network.do(lambda: self.dialog.send("BYE", on_response))
        self.caller.network.wait(lambda: answered, deadline_s, "BYE is answered")

    def wait(self, state, deadline_s=30):
        self.caller.network.wait(lambda: self.state == state, deadline_s, lambda: (
            f"call is {state}; it is {self.state}, responses {self.responses}"))
        return self


class Caller(Agent):
    def __init__(self, network, proxy, user, domain):
        super().__init__(network, proxy, user, domain)
        self.calls = []
        self.open()

    def call(self, to, name="", **options):
        call = Call(self, to, name, **options)
        self.calls.append(call)
        self.network.do(call.start)
        return call

    def on_request(self, request):
        call = next((c for c in self.calls if c.call_id == request.call_id), None)
        if not call or request.method != "BYE":
            raise Malformed(f"{request.start} at a caller")
        check_request(request, f"sip:{self.user}@127.0.0.1:{self.port}")
        call.dialog.check(request)
        call.state = "ended"
        self.respond(request, 200, "OK", None)
