# SPDX-License-Identifier: MIT
"""SIP messages, read strictly: what a phone of ours does not understand fails the test."""

import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "c": "content-type", "s": "subject", "k": "supported"}
LISTS = ("via", "route", "record-route", "contact")
REQUIRED = ("via", "from", "to", "call-id", "cseq")
COOKIE = "z9hG4bK"  # RFC 3261 8.1.1.7


class Malformed(Exception):
    """Not SIP as RFC 3261 has it."""


def split_list(value):
    """The members of a header that is a list; commas in quotes and <> do not count."""
    parts, part, quoted, angle, escaped = [], "", False, False, False
    for char in value:
        if char == "," and not quoted and not angle:
            parts.append(part.strip())
            part = ""
            continue
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and char == "\\" and not escaped
        if not quoted:
            angle = char == "<" or (angle and char != ">")
        part += char
    return [*parts, part.strip()]


def uri_of(value):
    """The URI of a name-addr or addr-spec."""
    match = re.search(r"<([^>]*)>", value)
    return match[1] if match else value.split(";")[0].strip()


def user_of(uri):
    return re.match(r"sips?:([^@;]+)@", uri)[1]


def parameter(value, name):
    """A header's parameter (behind the > where there is one), None where it is absent."""
    rest = value.rpartition(">")[2]
    match = re.search(rf";\s*{re.escape(name)}(?:\s*=\s*(\"[^\"]*\"|[^;,\s]+))?", rest, re.I)
    return (match[1] or "").strip('"') if match else None


def tag_of(value):
    return parameter(value, "tag")


def address_of(uri):
    """(host, port) of a numeric SIP URI."""
    match = re.match(r"sips?:(?:[^@]*@)?([\d.]+)(?::(\d+))?(?:[;?]|$)", uri)
    if not match:
        raise Malformed(f"no address in {uri}")
    return match[1], int(match[2] or 5060)


class Message:
    """A request (method, uri) or a response (status, reason). Headers keep their order."""

    def __init__(self, start, headers, body=b""):
        self.start, self.headers, self.body = start, list(headers), body
        words = start.split(" ", 2)
        self.is_response = words[0] == "SIP/2.0"
        if self.is_response:
            self.status, self.reason = int(words[1]), words[2] if len(words) > 2 else ""
        else:
            self.method, self.uri = words[0], words[1]

    @classmethod
    def parse(cls, data):
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            raise Malformed(f"no empty line in {data!r}")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
        if not re.match(r"SIP/2\.0 [1-6]\d\d |[A-Z]+ \S+ SIP/2\.0$", lines[0]):
            raise Malformed(f"start line {lines[0]!r}")
        message = cls(lines[0], [])
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not re.fullmatch(r"[\w.!%*+`'~-]+\s*", name):
                raise Malformed(f"header {line!r}")
            message.headers.append((name.strip(), value.strip()))
        message.body = body
        message._check()
        return message

    def _check(self):
        for name in REQUIRED:
            if len(self.all(name)) < 1 or (name != "via" and len(self.all(name)) > 1):
                raise Malformed(f"{len(self.all(name))} {name} headers in {self.start}")
        if not re.fullmatch(r"\d+ [A-Z]+", self.get("cseq")):
            raise Malformed(f"CSeq {self.get('cseq')!r}")
        if not self.is_response and self.cseq[1] != self.method:
            raise Malformed(f"CSeq {self.get('cseq')!r} of {self.start}")
        for via in self.all("via"):
            if not via.startswith("SIP/2.0/") or not parameter(via, "branch"):
                raise Malformed(f"Via {via!r}")
        length = self.get("content-length")
        if length is not None and int(length) != len(self.body):
            raise Malformed(f"Content-Length {length}, body has {len(self.body)}")

    def encode(self):
        headers = [*self.headers, ("Content-Length", str(len(self.body)))]
        text = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.start}\r\n{text}\r\n".encode("utf-8", "surrogateescape") + self.body

    def all(self, name):
        name = name.lower()
        values = [value for key, value in self.headers
                  if COMPACT.get(key.lower(), key.lower()) == name]
        if name in LISTS:
            return [part for value in values for part in split_list(value)]
        return values

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def cseq(self):
        number, method = self.get("cseq").split()
        return int(number), method

    @property
    def call_id(self):
        return self.get("call-id")

    @property
    def branch(self):
        return parameter(self.get("via"), "branch")


def sdp(host, port, video=False):
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
             f"m=audio {port} RTP/AVP 0"]
    if video:
        lines.append(f"m=video {port + 2} RTP/AVP 96")
    return ("\r\n".join(lines) + "\r\n").encode()
