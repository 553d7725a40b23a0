"""
Keys pressed, in INFO (RFC 6086; the two bodies that PBXes and carriers use without a registered package).

What crosses is written anew: the key and its duration, nothing else of the body.
"""

from __future__ import annotations

import re

from skypetrunk.errors import RemoteError
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.telephone_event import KEYS

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"

DEFAULT_DURATION = 100
"""Milliseconds of a key whose duration is not told."""

ACCEPT_INFO = Header("Accept", f"{RELAY}, {PLAIN}")

_KEY = r"[0-9A-Da-d*#]|1[0-6]"
_signal = re.compile(rf"^Signal[ \t]*=[ \t]*({_KEY})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE).search
_duration = re.compile(r"^Duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE).search
_plain = re.compile(rf"\s*({_KEY})\s*").fullmatch


class InfoRefused(RemoteError):
    """An INFO of another kind (415), or a key that cannot be read (400)."""

    status = 415


def keyIn(request: Request) -> tuple[str, bytes] | None:
    """
    Type and body of the INFO for the other leg, C{None} for an empty one, which says nothing.

    @raise InfoRefused: anything else.
    """
    if not request.body:
        return None
    kind = (request.contentType or "").lower()
    text = request.body[:200].decode("ascii", "replace")
    if kind == RELAY:
        signal, duration = _signal(text), _duration(text)
        if signal is None:
            raise InfoRefused("no key in INFO", 400)
        milliseconds = int(duration[1]) if duration is not None else DEFAULT_DURATION
        return RELAY, f"Signal={signal[1].upper()}\r\nDuration={milliseconds}\r\n".encode()
    if kind == PLAIN:
        plain = _plain(text)
        if plain is None:
            raise InfoRefused("no key in INFO", 400)
        return PLAIN, plain[1].upper().encode()
    raise InfoRefused("INFO of a kind that does not cross")


def durationOf(body: bytes) -> int:
    """Milliseconds of the key in a body that L{keyIn} has written."""
    found = _duration(body.decode("ascii"))
    return int(found[1]) if found is not None else DEFAULT_DURATION


def writtenKey(body: bytes) -> str:
    """The key in a body that L{keyIn} has written: C{0-9 * # A-D}; empty for a flash of the hook."""
    text = body.decode("ascii").removeprefix("Signal=").split("\r\n", 1)[0]
    if text.isdigit():
        return KEYS[int(text)] if int(text) < len(KEYS) else ""
    return text
