"""
How MIKEY messages are protected: by a pre-shared key, or not at all (RFC 3830 sections 3.1 and 4.2).

Without a pre-shared key the keys are in clear, and nothing proves who made the message: it may go over
verified TLS only, as SDES.  With one nothing less than encryption and a MAC is taken, else whoever changes a
message could take both off.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from skypetrunk.core.mikey_keys import (
    MAC_OCTETS,
    Bundle,
    MessageKeys,
    bundleOf,
    messageKeys,
    verificationInput,
)
from skypetrunk.wire.mikey import ERROR, VERIFY, CryptoSession, Message
from skypetrunk.wire.mikey_payloads import (
    AES_CM,
    HMAC_SHA1,
    NULL,
    SDP_IDS,
    TGK,
    Extension,
    Failure,
    Identity,
    KeyData,
    KeyTransport,
    MalformedMIKEY,
    Timestamp,
    UnsupportedMIKEY,
    Verification,
    encodeKeyData,
    parseKeyData,
)
from skypetrunk.wire.secret import Secret

LEAST_KEY = 16
"""Octets of a key that others are made of."""


class MessageProtection(Protocol):
    """One of the two."""

    def time(self, message: Message) -> Timestamp:
        """The one time stamp of a message.  Raises L{MalformedMIKEY} where there is none, or another."""

    def seal(self, message: Message, bundle: Bundle, keys: Sequence[KeyData]) -> tuple[Message, bytes]:
        """A message of ours with C{keys} at its end, and its octets."""

    def open(self, message: Message, octets: bytes) -> tuple[Bundle, tuple[KeyData, ...]]:
        """
        The keys in an initiator's message, after it was proved.

        @raise UnsupportedMIKEY: it is protected in another way.
        @raise MalformedMIKEY: it is not proved, or there are no keys.
        """

    def respond(self, message: Message, sessions: tuple[CryptoSession, ...]) -> bytes:
        """The octets of our response to a message that was opened."""

    def verify(self, response: Message, octets: bytes, message: Message) -> None:
        """
        Does the response to our C{message} prove that its sender has the key?

        @raise UnsupportedMIKEY: it is protected in another way.
        @raise MalformedMIKEY: it does not.
        """


class _Common:
    """What the two share."""

    algorithm: int

    def time(self, message: Message) -> Timestamp:
        """The one time stamp of a message."""
        found = [each for each in message.payloads if isinstance(each, Timestamp)]
        if len(found) != 1:
            raise MalformedMIKEY(f"{len(found)} time stamps, one is wanted")
        return found[0]

    def _transport(self, message: Message) -> KeyTransport:
        """The keys stand at the end, as their MAC is over what stands before it."""
        last = message.payloads[-1] if message.payloads else None
        if not isinstance(last, KeyTransport):
            raise UnsupportedMIKEY("keys at the end of the message are wanted")
        if sum(isinstance(each, KeyTransport) for each in message.payloads) != 1:
            raise UnsupportedMIKEY("keys in one place are wanted")
        return last

    def _response(
        self, message: Message, sessions: tuple[CryptoSession, ...], mac: bytes
    ) -> tuple[Message, bytes]:
        """Header, the initiator's time stamp, and the proof (section 3.1)."""
        payloads = (self.time(message), Verification(self.algorithm, mac))
        response = replace(message, type=VERIFY, answered=False, sessions=sessions, payloads=payloads)
        return response, response.encode()

    def _verification(self, response: Message) -> Verification:
        last = response.payloads[-1] if response.payloads else None
        if not isinstance(last, Verification):
            raise MalformedMIKEY("no verification at its end")
        if last.algorithm != self.algorithm:
            raise UnsupportedMIKEY(f"verification by algorithm {last.algorithm}, {self.algorithm} is wanted")
        return last


class NoProtection(_Common):
    """Keys in clear, without a MAC; a L{MessageProtection}."""

    algorithm = NULL

    def seal(self, message: Message, bundle: Bundle, keys: Sequence[KeyData]) -> tuple[Message, bytes]:
        """See L{MessageProtection}."""
        transport = KeyTransport(NULL, encodeKeyData(keys), NULL, b"")
        sealed = replace(message, payloads=(*message.payloads, transport))
        return sealed, sealed.encode()

    def open(self, message: Message, octets: bytes) -> tuple[Bundle, tuple[KeyData, ...]]:
        """See L{MessageProtection}."""
        transport = self._transport(message)
        if transport.encryption != NULL or transport.algorithm != NULL:
            raise UnsupportedMIKEY("it is protected by a pre-shared key, and there is none here")
        self.time(message)
        return bundleOf(message), parseKeyData(transport.data)

    def respond(self, message: Message, sessions: tuple[CryptoSession, ...]) -> bytes:
        """See L{MessageProtection}."""
        return self._response(message, sessions, b"")[1]

    def verify(self, response: Message, octets: bytes, message: Message) -> None:
        """There is nothing to prove, but it must be a response."""
        self._verification(response)


class PreSharedKey(_Common):
    """Encryption and MAC by keys made of a pre-shared one; a L{MessageProtection}."""

    algorithm = HMAC_SHA1

    def __init__(self, key: Secret) -> None:
        """
        @param key: in hexadecimal digits.
        """
        self._key = key

    def _keys(self, bundle: Bundle) -> MessageKeys:
        return messageKeys(bytes.fromhex(self._key.reveal()), bundle)

    def seal(self, message: Message, bundle: Bundle, keys: Sequence[KeyData]) -> tuple[Message, bytes]:
        """See L{MessageProtection}."""
        protecting = self._keys(bundle)
        data = protecting.crypt(bundle, self.time(message), encodeKeyData(keys))
        return self._sealed(message, KeyTransport(AES_CM, data, HMAC_SHA1, bytes(MAC_OCTETS)), protecting)

    def _sealed(
        self, message: Message, transport: KeyTransport, protecting: MessageKeys
    ) -> tuple[Message, bytes]:
        bare = replace(message, payloads=(*message.payloads, transport)).encode()
        mac = protecting.mac(bare[:-MAC_OCTETS])
        return (
            replace(message, payloads=(*message.payloads, replace(transport, mac=mac))),
            bare[:-MAC_OCTETS] + mac,
        )

    def open(self, message: Message, octets: bytes) -> tuple[Bundle, tuple[KeyData, ...]]:
        """See L{MessageProtection}."""
        transport = self._transport(message)
        if transport.encryption != AES_CM or transport.algorithm != HMAC_SHA1:
            raise UnsupportedMIKEY(
                f"encryption {transport.encryption} and MAC {transport.algorithm}, with a pre-shared key"
                f" {AES_CM} and {HMAC_SHA1} are wanted"
            )
        bundle = bundleOf(message)
        protecting = self._keys(bundle)
        if not hmac.compare_digest(protecting.mac(octets[:-MAC_OCTETS]), transport.mac):
            raise MalformedMIKEY("it is not proved: its sender has another pre-shared key, or it was changed")
        return bundle, parseKeyData(protecting.crypt(bundle, self.time(message), transport.data))

    def respond(self, message: Message, sessions: tuple[CryptoSession, ...]) -> bytes:
        """See L{MessageProtection}."""
        response, bare = self._response(message, sessions, bytes(MAC_OCTETS))
        return bare[:-MAC_OCTETS] + self._proof(response, bare, message)

    def verify(self, response: Message, octets: bytes, message: Message) -> None:
        """See L{MessageProtection}."""
        told = self._verification(response)
        if not hmac.compare_digest(self._proof(response, octets, message), told.mac):
            raise MalformedMIKEY("it does not prove that its sender has the pre-shared key")

    def _proof(self, response: Message, octets: bytes, message: Message) -> bytes:
        # Identities that are not told are no part of it; the initiator's come first.
        identities = [
            each for one in (message, response) for each in one.payloads if isinstance(each, Identity)
        ]
        told = tuple(dict.fromkeys(identities))
        return self._keys(bundleOf(message)).mac(verificationInput(octets, told, self.time(message)))


def refuseErrors(message: Message) -> None:
    """
    @raise UnsupportedMIKEY: the message is an error.
    """
    if message.type == ERROR:
        told = [each.text for each in message.payloads if isinstance(each, Failure)]
        raise UnsupportedMIKEY(f"the peer says {', '.join(told[:1]) or 'that there is an error'}")


def checkProtocols(message: Message, protocols: Sequence[str]) -> None:
    """
    A list of what was offered shows whether somebody took a better one away (RFC 4567 section 4.1.4).

    @param protocols: of C{a=key-mgmt}.
    @raise UnsupportedMIKEY: it lists others.
    """
    for each in message.payloads:
        if isinstance(each, Extension) and each.kind == SDP_IDS:
            listed = each.data.decode("ascii", "replace").lower().split()
            if sorted(listed) != sorted(protocols):
                raise UnsupportedMIKEY("it was offered beside other protocols than it lists")


def chosenKeys(keys: Sequence[KeyData]) -> tuple[KeyData, KeyData]:
    """
    What the keys of the two crypto sessions are made of.

    @raise UnsupportedMIKEY: that cannot be told.
    """
    for each in keys:
        if each.identifier or each.interval:
            raise UnsupportedMIKEY("a key with an MKI, or for a part of the packets")
    if len(keys) == 1 and keys[0].type == TGK:
        if len(keys[0].key) < LEAST_KEY:
            raise UnsupportedMIKEY(f"a key of {len(keys[0].key)} octets, {LEAST_KEY} at least are wanted")
        return keys[0], keys[0]
    if len(keys) == 2 and TGK not in (keys[0].type, keys[1].type):
        return keys[0], keys[1]
    raise UnsupportedMIKEY(f"{len(keys)} keys; one to make others of is wanted, or one for each direction")


__all__ = [
    "LEAST_KEY",
    "MessageProtection",
    "NoProtection",
    "PreSharedKey",
    "checkProtocols",
    "chosenKeys",
    "refuseErrors",
]
