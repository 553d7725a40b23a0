"""
The payloads of MIKEY messages (RFC 3830 sections 6.2 to 6.15), and the keys inside one of them.

They may hold keys in clear, so no repr and no error shows more than their form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skypetrunk.errors import MalformedSDP

__all__ = [
    "AES_CM",
    "HMAC_SHA1",
    "NULL",
    "READERS",
    "SDP_IDS",
    "TEK",
    "TEK_SALT",
    "TGK",
    "Extension",
    "Failure",
    "Identity",
    "KeyData",
    "KeyTransport",
    "MalformedMIKEY",
    "Payload",
    "Random",
    "Reader",
    "SecurityPolicy",
    "Timestamp",
    "UnsupportedMIKEY",
    "Verification",
    "encodeKeyData",
    "encodePayload",
    "numberOf",
    "parseKeyData",
]

NULL, AES_CM = 0, 1
"""Encryption of the keys; C{NULL} is no MAC, too."""

HMAC_SHA1 = 1
"""A MAC of 20 octets."""

TGK, _TGK_SALT, TEK, TEK_SALT = range(4)
"""Types of key data: from the first kind keys are derived, the other is used as it is."""

SDP_IDS = 1
"""Type of the extension that lists the protocols of C{a=key-mgmt} (RFC 4567)."""

_ERRORS = (
    "authentication failed",
    "invalid time stamp",
    "invalid PRF",
    "invalid MAC algorithm",
    "invalid encryption algorithm",
    "invalid hash function",
    "invalid Diffie-Hellman group",
    "invalid identity",
    "invalid certificate",
    "invalid security policy",
    "invalid parameter of a security policy",
    "invalid data type",
    "unspecified error",
)
_MACS = {NULL: 0, HMAC_SHA1: 20}
_TIMES = {0: 8, 1: 8, 2: 4}
_KEY_DATA = 20


class MalformedMIKEY(MalformedSDP):
    """Octets that are no MIKEY message, or an attribute that holds none."""


class UnsupportedMIKEY(MalformedSDP):
    """A message that asks for something that is not known here, named in the text."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """
    When a message was made (section 6.6).

    @ivar kind: 0 or 1: NTP in 8 octets; 2: a counter in 4.
    """

    kind: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Random:
    """Random octets that all keys of a bundle are derived with (section 6.11)."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """
    Who somebody is (section 6.7).

    @ivar kind: 0: a network access identifier, 1: a URI.
    """

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """
    How streams are protected (section 6.10); L{skypetrunk.wire.mikey_policy} reads it.

    @ivar protocol: 0 is SRTP.
    @ivar parameters: type and value, in order.
    """

    number: int
    protocol: int
    parameters: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, repr=False)
class KeyTransport:
    """
    Keys, and what proves the message before it (KEMAC, section 6.2).

    @ivar data: key data, encrypted by C{encryption}.
    @ivar algorithm: of C{mac}.
    """

    encryption: int
    data: bytes
    algorithm: int
    mac: bytes

    def __repr__(self) -> str:
        return f"<KeyTransport {len(self.data)} octets, encryption {self.encryption}, MAC {self.algorithm}>"


@dataclass(frozen=True, slots=True)
class Verification:
    """What proves that the responder has the key (section 6.9)."""

    algorithm: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was refused (section 6.12)."""

    number: int

    @property
    def text(self) -> str:
        """In words."""
        return _ERRORS[self.number] if self.number < len(_ERRORS) else f"error {self.number}"


@dataclass(frozen=True, slots=True)
class Extension:
    """Anything else (section 6.15)."""

    kind: int
    data: bytes


Payload = Timestamp | Random | Identity | SecurityPolicy | KeyTransport | Verification | Failure | Extension


@dataclass(frozen=True, slots=True, repr=False)
class KeyData:
    """
    One key (section 6.13).

    @ivar type: L{TGK}, L{TEK} or L{TEK_SALT}.
    @ivar salt: empty if there is none.
    @ivar identifier: its MKI, empty if packets carry none.
    @ivar interval: sequence numbers from and to which it is good, empty if it is without bounds.
    """

    type: int
    key: bytes
    salt: bytes = b""
    identifier: bytes = b""
    interval: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"<KeyData type {self.type}, hidden>"


class Reader:
    """Takes octets from the front; there may be fewer than are wanted."""

    def __init__(self, octets: bytes, what: str) -> None:
        self._octets = octets
        self._at = 0
        self._what = what

    def take(self, count: int) -> bytes:
        """So many of them."""
        end = self._at + count
        if end > len(self._octets):
            raise MalformedMIKEY(f"{self._what} ends early")
        taken = self._octets[self._at : end]
        self._at = end
        return taken

    def number(self, octets: int = 1) -> int:
        """A number of so many octets."""
        return int.from_bytes(self.take(octets), "big")

    @property
    def left(self) -> int:
        """How many there are still."""
        return len(self._octets) - self._at

    def finish(self) -> None:
        """There are none left, or something is wrong."""
        if self.left:
            raise MalformedMIKEY(f"{self.left} octets behind {self._what}")


def parseKeyData(octets: bytes) -> tuple[KeyData, ...]:
    """
    The keys of a L{KeyTransport}, decrypted; none where there are no octets.

    @raise MalformedMIKEY: there are none: as a rule the key was the wrong one.
    """
    reader = Reader(octets, "the key data")
    found = []
    following = _KEY_DATA if octets else 0
    while following:
        if following != _KEY_DATA:
            raise MalformedMIKEY("something else among the key data")
        following = reader.number()
        kinds = reader.number()
        kind, validity = kinds >> 4, kinds & 0x0F
        if kind > TEK_SALT or validity > 2:
            raise MalformedMIKEY("key data of an unknown type")
        key = reader.take(reader.number(2))
        salt = reader.take(reader.number(2)) if kind in (_TGK_SALT, TEK_SALT) else b""
        identifier = reader.take(reader.number()) if validity == 1 else b""
        interval = tuple(reader.take(reader.number()) for _ in range(2)) if validity == 2 else ()
        found.append(KeyData(kind, key, salt, identifier, interval))
    reader.finish()
    return tuple(found)


def encodeKeyData(keys: Iterable[KeyData]) -> bytes:
    """The octets of keys without MKI or interval, not encrypted."""
    octets = b""
    for each in reversed(tuple(keys)):
        salt = _long(each.salt) if each.type in (_TGK_SALT, TEK_SALT) else b""
        octets = bytes((_KEY_DATA if octets else 0, each.type << 4)) + _long(each.key) + salt + octets
    return octets


def _long(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


def _keyTransport(reader: Reader) -> KeyTransport:
    encryption = reader.number()
    data = reader.take(reader.number(2))
    algorithm = reader.number()
    return KeyTransport(encryption, data, algorithm, reader.take(_macOctets(algorithm)))


def _verification(reader: Reader) -> Verification:
    algorithm = reader.number()
    return Verification(algorithm, reader.take(_macOctets(algorithm)))


def _macOctets(algorithm: int) -> int:
    if algorithm not in _MACS:
        raise UnsupportedMIKEY(f"MAC algorithm {algorithm}")
    return _MACS[algorithm]


def _timestamp(reader: Reader) -> Timestamp:
    kind = reader.number()
    if kind not in _TIMES:
        raise MalformedMIKEY(f"time stamp of type {kind}")
    return Timestamp(kind, reader.take(_TIMES[kind]))


def _policy(reader: Reader) -> SecurityPolicy:
    number, protocol = reader.take(2)
    inside = Reader(reader.take(reader.number(2)), "a security policy")
    parameters = []
    while inside.left:
        kind, length = inside.take(2)
        parameters.append((kind, inside.take(length)))
    return SecurityPolicy(number, protocol, tuple(parameters))


def _failure(reader: Reader) -> Failure:
    number = reader.number()
    reader.take(2)
    return Failure(number)


READERS: dict[int, Callable[[Reader], Payload]] = {
    1: _keyTransport,
    5: _timestamp,
    6: lambda reader: Identity(reader.number(), reader.take(reader.number(2))),
    9: _verification,
    10: _policy,
    11: lambda reader: Random(reader.take(reader.number())),
    12: _failure,
    21: lambda reader: Extension(reader.number(), reader.take(reader.number(2))),
}


def numberOf(payload: Payload) -> int:
    """The number of its type (section 6.1)."""
    return {
        KeyTransport: 1,
        Timestamp: 5,
        Identity: 6,
        Verification: 9,
        SecurityPolicy: 10,
        Random: 11,
        Failure: 12,
        Extension: 21,
    }[type(payload)]


def encodePayload(payload: Payload) -> bytes:
    """What stands behind the number of the next payload."""
    match payload:
        case KeyTransport(encryption, data, algorithm, mac):
            return bytes((encryption,)) + _long(data) + bytes((algorithm,)) + mac
        case Timestamp(kind, value) | Verification(kind, value):
            return bytes((kind,)) + value
        case Random(value):
            return bytes((len(value),)) + value
        case Identity(kind, data) | Extension(kind, data):
            return bytes((kind,)) + _long(data)
        case Failure(number):
            return bytes((number, 0, 0))
        case SecurityPolicy(number, protocol, parameters):
            inside = b"".join(bytes((kind, len(value))) + value for kind, value in parameters)
            return bytes((number, protocol)) + _long(inside)
