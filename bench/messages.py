"""
Just enough SIP for a caller and a carrier that cost next to nothing: what they send is put
together from lines, what they receive is searched.  No model for anything but a benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NUMBER = b"+4420794600"
"""What every called number begins with; the media port's place follows.  Set aside for fiction."""

_PLACE = re.compile(re.escape(NUMBER) + rb"(\d+)@")
_LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE)
_REPEATED = re.compile(rb"\r\n((?:Via|v|From|f|Call-ID|i|CSeq|Record-Route)[ \t]*:[^\r]*)", re.IGNORECASE)
_TO = re.compile(rb"\r\n(?:To|t)[ \t]*:([^\r]*)", re.IGNORECASE)
_CALL = re.compile(rb"\r\n(?:Call-ID|i)[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)
_CSEQ = re.compile(rb"\r\nCSeq[ \t]*:[ \t]*(\d+)[ \t]+([A-Z]+)", re.IGNORECASE)
_CONTACT = re.compile(rb"\r\n(?:Contact|m)[ \t]*:[^\r<]*<([^>]*)>", re.IGNORECASE)
_AUDIO = re.compile(rb"\r\nm=audio (\d+)")
_CONNECTION = re.compile(rb"\r\nc=IN IP4 ([0-9.]+)")


def split(received: bytearray) -> Iterator[bytes]:
    """Take the complete messages of a stream out of C{received}."""
    while True:
        while received[:2] == b"\r\n":
            del received[:2]
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(received, 0, end)
        end += 4 + (int(length[1]) if length else 0)
        if len(received) < end:
            return
        yield bytes(received[:end])
        del received[:end]


def callID(message: bytes) -> bytes:
    """Its Call-ID, empty without one."""
    found = _CALL.search(message)
    return found[1] if found else b""


def to(message: bytes) -> bytes:
    """The value of its To header."""
    found = _TO.search(message)
    return found[1].strip() if found else b""


def cseq(message: bytes) -> tuple[int, bytes]:
    """Number and method."""
    found = _CSEQ.search(message)
    return (int(found[1]), found[2]) if found else (0, b"")


def contact(message: bytes) -> bytes | None:
    """The URI of its Contact."""
    found = _CONTACT.search(message)
    return found[1] if found else None


def place(request: bytes) -> int:
    """Which media port is asked for by the called number."""
    found = _PLACE.search(request)
    return int(found[1]) if found else 0


def media(message: bytes) -> tuple[str, int] | None:
    """Where its SDP wants audio."""
    port, host = _AUDIO.search(message), _CONNECTION.search(message)
    return (host[1].decode(), int(port[1])) if port and host else None


def answer(request: bytes, status: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    """
    A response.

    @param status: status and reason.
    @param headers: further ones, each with its line end; with a body its type is among them.
    """
    tag = to(request)
    if b";tag=" not in tag:
        tag += b";tag=carrier"
    return b"SIP/2.0 %b\r\n%b\r\nTo: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        b"\r\n".join(_REPEATED.findall(request)),
        tag,
        headers,
        len(body),
        body,
    )


def description(host: str, port: int, crypto: bytes | None) -> bytes:
    """SDP for G.711; C{crypto} is the value of C{a=crypto} for SRTP."""
    lines = [
        b"v=0",
        b"o=- 1 1 IN IP4 %b" % host.encode(),
        b"s=-",
        b"c=IN IP4 %b" % host.encode(),
        b"t=0 0",
        b"m=audio %d RTP/%b 0" % (port, b"SAVP" if crypto else b"AVP"),
        b"a=rtpmap:0 PCMU/8000",
    ]
    if crypto:
        lines.append(b"a=crypto:" + crypto)
    return b"\r\n".join(lines) + b"\r\n"
