"""
SRTP keys agreed by MIKEY (RFC 3830) in SDP (RFC 4567): the L{IKeyAgreement} of one leg.

One message makes both keys: its sender's stream is crypto session 1, the other side's is number 2, so that
each direction has a key of its own.  Our message is made once, and repeated in every later offer as long as
its keys are in use; whoever offers another message renews the keys of both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zope.interface import implementer

from skypetrunk.core.mikey_keys import Bundle
from skypetrunk.core.mikey_messages import NoProtection, PreSharedKey, Protection
from skypetrunk.core.mikey_replay import SeenMessages
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import IKeyAgreement, KeyPair
from skypetrunk.wire.mikey import (
    ERROR,
    INITIATE,
    VERIFY,
    CryptoSession,
    Message,
    messageIn,
    parseMIKEY,
    protocolsIn,
    sdpValue,
)
from skypetrunk.wire.mikey_payloads import (
    SDP_IDS,
    TGK,
    Extension,
    Failure,
    KeyData,
    Random,
    SecurityPolicy,
    UnsupportedMIKEY,
)
from skypetrunk.wire.mikey_policy import policyOf, suiteOf
from skypetrunk.wire.sdes import SUITES
from skypetrunk.wire.sdp import SessionDescription
from skypetrunk.wire.sdp_lines import Attribute
from skypetrunk.wire.secret import Secret

ATTRIBUTE = "key-mgmt"

SDES_KEYS, MIKEY_KEYS = PROTOCOLS = ("sdes", "mikey")
"""How a trunk agrees keys: RFC 4568, or this."""

LEAST_KEY = 16
"""Octets of a key that others are made of."""


@dataclass(frozen=True, slots=True)
class _Made:
    """
    A message that made keys.

    @ivar message: read.
    @ivar octets: as it went over the wire.
    @ivar attributes: what we write beside it: the message, if it is ours, else our response.
    """

    message: Message
    octets: bytes
    attributes: tuple[Attribute, ...]
    pair: KeyPair


@implementer(IKeyAgreement)
class MIKEY:
    """MIKEY for one leg."""

    def __init__(
        self,
        suites: Sequence[str],
        protection: Protection,
        seen: SeenMessages,
        entropy: Callable[[int], bytes],
    ) -> None:
        """
        @param suites: names of the suites allowed; the first is the one offered, as a message has one only.
        @param seen: messages of this peer, those of its other calls too.
        @param entropy: random octets, as L{os.urandom}.
        """
        self._suites = tuple(suites)
        self._protection = protection
        self._seen = seen
        self._entropy = entropy
        self._suite = self._suites[0]
        # What is in use: a message of ours, or one of theirs.
        self._ours: _Made | None = None
        self._theirs: _Made | None = None
        self._offered: _Made | None = None
        self._heard: _Made | None = None
        # The response that proved the message of ours that is in use.
        self._response: bytes | None = None
        self._answered: bytes | None = None

    # We offer

    def offer(self, fresh: bool = False) -> tuple[Attribute, ...]:
        """Our message, with the suite in use, else the first one."""
        self._offered = self._make() if fresh or self._ours is None else self._ours
        return self._offered.attributes

    def repeat(self, written: Sequence[Attribute]) -> tuple[Attribute, ...]:
        """The same, unless the message in use is the peer's, who alone may repeat it."""
        message = self.offer()
        kept: list[Attribute] = []
        for each in written:
            if each[0] != ATTRIBUTE:
                kept.append(each)
            elif message:
                kept += message
                message = ()
        return (*kept, *message)

    def _make(self) -> _Made:
        suite = self._suite
        bundle = Bundle(int.from_bytes(self._entropy(4), "big"), self._entropy(16))
        ssrc = _ssrc(self._entropy)
        key = KeyData(TGK, self._entropy(max(LEAST_KEY, SUITES[suite].keyOctets)))
        message = Message(
            INITIATE,
            True,
            bundle.function,
            bundle.number,
            # The other SSRC is not ours to choose (section 6.1.1).
            (CryptoSession(0, ssrc), CryptoSession(0, 0)),
            (self._seen.now(), Random(bundle.random), policyOf(suite)),
        )
        message, octets = self._protection.seal(message, bundle, (key,))
        pair = KeyPair(suite, bundle.master(key, 1, suite), bundle.master(key, 2, suite), ssrc=ssrc)
        return _Made(message, octets, ((ATTRIBUTE, sdpValue(octets)),), pair)

    def answered(self, answer: SessionDescription, audio: int) -> KeyPair:
        """The response to our message, with the proof that the peer has the key (section 3.1)."""
        offered = self._offered
        assert offered is not None
        try:
            octets = messageIn(_values(answer, audio))
            if octets is None:
                raise KeyAgreementFailed("the answer has no MIKEY message")
            response = parseMIKEY(octets)
            _refuseErrors(response)
            if response.type != VERIFY or response.bundle != offered.message.bundle:
                raise KeyAgreementFailed("the answer's MIKEY message is no response to ours")
            self._protection.verify(response, octets, offered.message)
        except MalformedSDP as error:
            raise KeyAgreementFailed(f"the answer's MIKEY message cannot be taken: {error}") from error
        self._answered = octets
        return offered.pair

    # The peer offers

    def answer(self, offer: SessionDescription, audio: int) -> tuple[tuple[Attribute, ...], KeyPair]:
        """The peer's message, and our response where it wants one."""
        values = _values(offer, audio)
        try:
            octets = messageIn(values)
            if octets is None:
                raise KeyAgreementFailed("the offer has no MIKEY message", warning=306)
            standing = self._standing(octets)
            if standing is not None:
                return standing.attributes, standing.pair
            made = self._heard
            if made is None or made.octets != octets:
                made = self._read(octets, protocolsIn(values))
            self._seen.check(octets, self._protection.time(made.message))
        except MalformedSDP as error:
            text = f"the offer's MIKEY message cannot be taken: {error}"
            raise KeyAgreementFailed(text, warning=306) from error
        self._heard = made
        return made.attributes, made.pair

    def _standing(self, octets: bytes) -> _Made | None:
        """The message in use, where the peer repeats it, or its response to it, having no other one."""
        if self._theirs is not None and octets == self._theirs.octets:
            return self._theirs
        return self._ours if octets == self._response else None

    def _read(self, octets: bytes, protocols: Sequence[str]) -> _Made:
        message = parseMIKEY(octets)
        _refuseErrors(message)
        if message.type != INITIATE:
            raise UnsupportedMIKEY("it is a response")
        bundle, keys = self._protection.open(message, octets)
        _checkProtocols(message, protocols)
        if len(message.sessions) != 2:
            raise UnsupportedMIKEY(f"it has {len(message.sessions)} crypto sessions, one each way is wanted")
        theirs, ours = message.sessions
        if theirs.roc or ours.roc:
            raise UnsupportedMIKEY("a roll-over counter that does not begin at 0")
        suite = self._suiteOf(message)
        first, second = _chosen(keys)
        ssrc = ours.ssrc or _ssrc(self._entropy, theirs.ssrc)
        pair = KeyPair(suite, bundle.master(second, 2, suite), bundle.master(first, 1, suite), ssrc=ssrc)
        if pair.local == pair.remote:
            # Whoever sent us our own packets would be heard.
            raise UnsupportedMIKEY("both directions have the same key")
        attributes: tuple[Attribute, ...] = ()
        if message.answered:
            sessions = (theirs, CryptoSession(ours.policy, ssrc))
            response = self._protection.respond(message, octets, sessions)
            attributes = ((ATTRIBUTE, sdpValue(response)),)
        return _Made(message, octets, attributes, pair)

    def _suiteOf(self, message: Message) -> str:
        policies = [each for each in message.payloads if isinstance(each, SecurityPolicy)]
        numbers = {each.policy for each in message.sessions}
        if len(numbers) != 1 or len(policies) > 1 or any(each.number not in numbers for each in policies):
            raise UnsupportedMIKEY("one security policy for both directions is wanted")
        # Without one the defaults count (section 6.10).
        suite = suiteOf(policies[0] if policies else SecurityPolicy(0, 0, ()))
        if suite not in self._suites:
            raise UnsupportedMIKEY(f"{suite} is not allowed; wanted one of {', '.join(self._suites)}")
        return suite

    # Both

    def agree(self, pair: KeyPair) -> None:
        """The keys of the message that was in use before are given up, and it is not repeated any more."""
        if self._offered is not None and pair == self._offered.pair:
            self._ours, self._theirs, self._response = self._offered, None, self._answered
        elif self._heard is not None and pair == self._heard.pair:
            if self._theirs is not self._heard:
                self._seen.add(self._heard.octets, self._protection.time(self._heard.message))
            self._ours, self._theirs, self._response = None, self._heard, None
        self._suite = pair.suite


def _values(description: SessionDescription, audio: int) -> tuple[str, ...]:
    """Of the stream, else of the session (RFC 4567 section 3.1)."""
    return description.media[audio].all(ATTRIBUTE) or description.all(ATTRIBUTE)


def _refuseErrors(message: Message) -> None:
    if message.type == ERROR:
        told = [each.text for each in message.payloads if isinstance(each, Failure)]
        raise UnsupportedMIKEY(f"the peer says {', '.join(told[:1]) or 'that there is an error'}")


def _checkProtocols(message: Message, protocols: Sequence[str]) -> None:
    """A list of what was offered shows whether somebody took a better one away (RFC 4567 section 4.1.4)."""
    for each in message.payloads:
        if isinstance(each, Extension) and each.kind == SDP_IDS:
            listed = each.data.decode("ascii", "replace").lower().split()
            if sorted(listed) != sorted(protocols):
                raise UnsupportedMIKEY("it was offered beside other protocols than it lists")


def _chosen(keys: Sequence[KeyData]) -> tuple[KeyData, KeyData]:
    """The keys of the two crypto sessions are made of these."""
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


def _ssrc(entropy: Callable[[int], bytes], other: int = 0) -> int:
    """An SSRC that is not the other stream's, nor 0, which stands for none."""
    while (ssrc := int.from_bytes(entropy(4), "big")) in (0, other):
        pass
    return ssrc


class MIKEYPeer:
    """What all calls with one peer share."""

    def __init__(self, key: Secret | None, seconds: Callable[[], float]) -> None:
        """
        @param key: the pre-shared key in hexadecimal digits; C{None}: keys go in clear, over verified TLS.
        @param seconds: since 1970, as L{time.time}.
        """
        self._protection: Protection = NoProtection() if key is None else PreSharedKey(key)
        self._seen = SeenMessages(seconds)

    def agreement(self, suites: Sequence[str], entropy: Callable[[int], bytes]) -> MIKEY:
        """For one more leg; see L{MIKEY}."""
        return MIKEY(suites, self._protection, self._seen, entropy)


__all__ = ["ATTRIBUTE", "LEAST_KEY", "MIKEY", "MIKEY_KEYS", "PROTOCOLS", "SDES_KEYS", "MIKEYPeer"]
