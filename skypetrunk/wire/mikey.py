"""
MIKEY messages (RFC 3830 section 6.1), and how SDP carries them (RFC 4567): octets in, frozen values out, the
same octets back.

What the pre-shared key method needs is read, with and without encryption; public keys and Diffie-Hellman are
known by their names only.  Nothing is decrypted or verified here.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from skypetrunk.wire.mikey_payloads import (
    READERS,
    MalformedMIKEY,
    Payload,
    Reader,
    UnsupportedMIKEY,
    encodePayload,
    numberOf,
)

__all__ = [
    "ERROR",
    "INITIATE",
    "MAX_OCTETS",
    "PROTOCOL",
    "VERIFY",
    "CryptoSession",
    "Message",
    "messageIn",
    "parseMIKEY",
    "protocolsIn",
    "sdpValue",
]

MAX_OCTETS = 2048
"""A message for one call has some 200; identities and extensions may come on top."""

INITIATE, VERIFY, ERROR = 0, 1, 6
"""Data types: the initiator's message with a pre-shared key, the responder's to it, an error."""

PROTOCOL = "mikey"
"""In C{a=key-mgmt}."""

_METHODS = {2: "public keys", 3: "public keys", 4: "Diffie-Hellman", 5: "Diffie-Hellman"}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True)
class CryptoSession:
    """
    One SRTP stream (section 6.1.1).

    @ivar policy: number of its L{SecurityPolicy}.
    @ivar ssrc: 0: its sender chooses it yet.
    @ivar roc: roll-over counter that it begins with.
    """

    policy: int
    ssrc: int
    roc: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message.

    @ivar type: L{INITIATE}, L{VERIFY} or L{ERROR}.
    @ivar answered: the responder shall prove that it has the key (the V flag).
    @ivar prf: number of the pseudo-random function that keys are derived with.
    @ivar bundle: number of the crypto session bundle, 32 bits.
    @ivar sessions: numbered from 1 on.
    """

    type: int
    answered: bool
    prf: int
    bundle: int
    sessions: tuple[CryptoSession, ...]
    payloads: tuple[Payload, ...]

    def encode(self) -> bytes:
        """The octets."""
        first, *others = (*(numberOf(each) for each in self.payloads), 0)
        octets = bytearray((1, self.type, first, self.answered << 7 | self.prf))
        octets += self.bundle.to_bytes(4, "big") + bytes((len(self.sessions), 0))
        for each in self.sessions:
            octets += bytes((each.policy,)) + each.ssrc.to_bytes(4, "big") + each.roc.to_bytes(4, "big")
        for payload, following in zip(self.payloads, others, strict=True):
            octets += bytes((following,)) + encodePayload(payload)
        return bytes(octets)


def parseMIKEY(octets: bytes) -> Message:
    """
    Read a message.

    @raise MalformedMIKEY: it breaks section 6, or is longer than L{MAX_OCTETS}.
    @raise UnsupportedMIKEY: it is of a method or has a payload that is not known here.
    """
    if len(octets) > MAX_OCTETS:
        raise MalformedMIKEY(f"{len(octets)} octets, {MAX_OCTETS} at most are read")
    reader = Reader(octets, "the message")
    version, kind, following, flags = reader.take(4)
    if version != 1:
        raise MalformedMIKEY(f"version {version}, 1 is wanted")
    if kind in _METHODS:
        raise UnsupportedMIKEY(f"the method with {_METHODS[kind]} is not known here")
    if kind not in (INITIATE, VERIFY, ERROR):
        raise MalformedMIKEY(f"data type {kind}")
    bundle = reader.number(4)
    count, mapped = reader.take(2)
    if mapped:
        raise UnsupportedMIKEY(f"map of crypto sessions of type {mapped}, 0 is that of SRTP")
    sessions = tuple(CryptoSession(reader.number(), reader.number(4), reader.number(4)) for _ in range(count))
    payloads = []
    while following:
        read = READERS.get(following)
        if read is None:
            raise UnsupportedMIKEY(f"payload of type {following}")
        following = reader.number()
        payloads.append(read(reader))
    reader.finish()
    return Message(kind, bool(flags & 0x80), flags & 0x7F, bundle, sessions, tuple(payloads))


def protocolsIn(values: Iterable[str]) -> tuple[str, ...]:
    """The protocols named by what stands behind C{a=key-mgmt:} (RFC 4567 section 3.1)."""
    return tuple(value.strip().partition(" ")[0].lower() for value in values)


def messageIn(values: Iterable[str]) -> bytes | None:
    """
    The octets of the first MIKEY message in what stands behind C{a=key-mgmt:}, C{None} if there is none:
    other protocols are passed over (RFC 4567 section 4.1).

    @raise MalformedMIKEY: they are not base64, or more than L{MAX_OCTETS}.
    """
    for value in values:
        protocol, _, text = value.strip().partition(" ")
        if protocol.lower() != PROTOCOL:
            continue
        text = text.strip()
        if len(text) > MAX_OCTETS * 4 // 3 + 4:
            raise MalformedMIKEY(f"{len(text)} characters, {MAX_OCTETS} octets at most are read")
        if not text or len(text) % 4 or not _BASE64.fullmatch(text):
            raise MalformedMIKEY("the attribute is not base64")
        return b64decode(text, validate=True)
    return None


def sdpValue(octets: bytes) -> str:
    """A message as it stands behind C{a=key-mgmt:}."""
    return f"{PROTOCOL} {b64encode(octets).decode('ascii')}"
