"""
The cryptography of MIKEY with a pre-shared key: keys from keys, encryption and proof of messages (RFC 3830
sections 4.1, 4.2 and 5.2).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from skypetrunk.wire.mikey import Message
from skypetrunk.wire.mikey_payloads import (
    TEK,
    TEK_SALT,
    TGK,
    Identity,
    KeyData,
    Random,
    Timestamp,
    UnsupportedMIKEY,
)
from skypetrunk.wire.sdes import SUITES, MasterKey

TEK_LABEL, SALT_LABEL = 0x2AD01C64, 0x39A2C14B
"""Constants of section 4.1.3: for an SRTP master key and its salt."""

AUTHENTICATION_LABEL, ENCRYPTION_LABEL = 0x1B5C7973, 0x15798CEF
"""The same for the keys of other protocols, which SRTP makes itself."""

MESSAGE_ENCRYPTION_LABEL, MESSAGE_SALT_LABEL = 0x150533E1, 0x29B88916
MESSAGE_AUTHENTICATION_LABEL = 0x2D22AC75
"""Constants of section 4.1.4: for the keys of a message itself."""

MESSAGE_SESSION = 0xFF
"""Stands where a crypto session has its number, in the keys of a message."""

PRF_HASHES: Mapping[int, str] = MappingProxyType({0: "sha1", 1: "sha256"})
"""Hashes of the pseudo-random functions: MIKEY-1, and that of RFC 6043."""

MAC_OCTETS = 20
"""Of HMAC-SHA-1-160."""

LEAST_RANDOM = 16
"""Octets of a RAND payload (section 6.11)."""

_BLOCK = 32


def prf(key: bytes, label: bytes, octets: int, function: int = 0) -> bytes:
    """
    The pseudo-random function of section 4.1.2.

    @param octets: how many are wanted.
    @param function: one of L{PRF_HASHES}.
    @raise UnsupportedMIKEY: there is no such function, or it is not known how it takes so long a key.
    """
    name = PRF_HASHES.get(function)
    if name is None or (function and len(key) > _BLOCK):
        raise UnsupportedMIKEY(f"key derivation {function} with a key of {len(key)} octets")
    made = bytes(octets)
    for at in range(0, len(key), _BLOCK):
        part = _expanded(key[at : at + _BLOCK], label, octets, name)
        made = bytes(one ^ other for one, other in zip(made, part, strict=True))
    return made


def _expanded(key: bytes, label: bytes, octets: int, name: str) -> bytes:
    """P of section 4.1.2."""
    made, chain = b"", label
    while len(made) < octets:
        chain = hmac.digest(key, chain, name)
        made += hmac.digest(key, chain + label, name)
    return made[:octets]


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    What goes into every key of a crypto session bundle beside the key it is made of.

    @ivar random: the RAND of its first message.
    @ivar function: one of L{PRF_HASHES}.
    """

    number: int
    random: bytes
    function: int = 0

    def derive(self, key: bytes, label: int, session: int, octets: int) -> bytes:
        """
        A key of crypto session C{session}, or of a message (sections 4.1.3 and 4.1.4).

        @raise UnsupportedMIKEY: see L{prf}.
        """
        text = label.to_bytes(4, "big") + bytes((session,)) + self.number.to_bytes(4, "big") + self.random
        return prf(key, text, octets, self.function)

    def master(self, data: KeyData, session: int, suite: str) -> MasterKey:
        """
        The SRTP keys of crypto session C{session}: derived, or as they were transported.

        @raise UnsupportedMIKEY: C{data} does not make a key and a salt for C{suite}.
        """
        known = SUITES[suite]
        if data.type == TGK:
            return MasterKey(
                self.derive(data.key, TEK_LABEL, session, known.keyOctets),
                self.derive(data.key, SALT_LABEL, session, known.saltOctets),
            )
        if data.type in (TEK, TEK_SALT):
            # Some write key and salt as one key.
            octets = data.key + data.salt
            if len(octets) == known.keyOctets + known.saltOctets:
                return MasterKey(octets[: known.keyOctets], octets[known.keyOctets :])
        raise UnsupportedMIKEY(
            f"key data of type {data.type}, {len(data.key)} and {len(data.salt)} octets, for {suite}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class MessageKeys:
    """The keys of one message: sections 4.1.4 and 4.2.3."""

    encryption: bytes
    salt: bytes
    authentication: bytes

    def crypt(self, bundle: Bundle, time: Timestamp, data: bytes) -> bytes:
        """Encrypt or decrypt key data with AES in counter mode (section 4.2.3)."""
        told = bytes(2) + bundle.number.to_bytes(4, "big") + time.value
        mixed = bytes(one ^ other for one, other in zip(self.salt, told.ljust(14, b"\0"), strict=True))
        cipher = Cipher(algorithms.AES(self.encryption), modes.CTR(mixed + bytes(2)))
        return cipher.encryptor().update(data)

    def mac(self, octets: bytes) -> bytes:
        """HMAC-SHA-1-160 (section 4.2.4)."""
        return hmac.digest(self.authentication, octets, "sha1")

    def __repr__(self) -> str:
        return "MessageKeys(<hidden>)"


def messageKeys(psk: bytes, bundle: Bundle) -> MessageKeys:
    """
    The keys of the messages of C{bundle}, from the pre-shared key.

    @raise UnsupportedMIKEY: see L{prf}.
    """
    return MessageKeys(
        bundle.derive(psk, MESSAGE_ENCRYPTION_LABEL, MESSAGE_SESSION, 16),
        bundle.derive(psk, MESSAGE_SALT_LABEL, MESSAGE_SESSION, 14),
        bundle.derive(psk, MESSAGE_AUTHENTICATION_LABEL, MESSAGE_SESSION, 20),
    )


def bundleOf(message: Message) -> Bundle:
    """
    What the keys of an initiator's message are made with.

    @raise UnsupportedMIKEY: without enough random octets.
    """
    randoms = [each.value for each in message.payloads if isinstance(each, Random)]
    if len(randoms) != 1 or len(randoms[0]) < LEAST_RANDOM:
        raise UnsupportedMIKEY(f"one RAND of {LEAST_RANDOM} octets or more is wanted")
    return Bundle(message.bundle, randoms[0], message.prf)


def verificationInput(octets: bytes, identities: tuple[Identity, ...], time: Timestamp) -> bytes:
    """
    What the MAC of a responder's message is made over: the message without it, then the identities, the
    initiator's first, then the initiator's time stamp (section 5.2).

    @param octets: the message, with room for the MAC at its end.
    """
    return octets[:-MAC_OCTETS] + b"".join(each.data for each in identities) + time.value
