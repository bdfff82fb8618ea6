#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wakes the phones of a called user, waits until one has registered, and prints what to do with the
call: dial, reject, voicemail or stop. Needs nothing but Python.

    PBXPUSH_TO=1001 PBXPUSH_CALL=$call_id PBXPUSH_FROM_NAME=$name pbxpush_call.py
"""
import json
import os
import socket

TO_DO = {"push": "dial", "registered": "dial", "reject": "reject", "unreachable": "voicemail",
         "ended": "stop"}


def ask(timeout_s, **event):
    """The daemon's reply to an event; {} where it is absent, hangs, or closes."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout_s)
            sock.connect(os.environ.get("PBXPUSH_EVENTS", "/run/pbxpush/events.sock"))
            sock.sendall(json.dumps(event).encode() + b"\n")
            return json.loads(sock.makefile("rb").readline())
    except (OSError, ValueError):
        return {}


def call(to, call_id, number, name):
    event = {"event": "call", "to": to, "call": call_id, "from": {"number": number, "name": name}}
    reply = ask(0.3, **event, wait="verdict")  # what is to be done is known at once …
    if reply.get("verdict") == "push":         # … and the same call again waits for the phone
        reply = ask(16, **event, wait="register", wait_ms=15000)
    return TO_DO.get(reply.get("verdict"), "dial")  # without an answer, as if there were no push


if __name__ == "__main__":
    print(call(os.environ["PBXPUSH_TO"], os.environ["PBXPUSH_CALL"],
               os.environ.get("PBXPUSH_FROM_NUMBER"), os.environ.get("PBXPUSH_FROM_NAME")))
