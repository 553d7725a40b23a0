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
from skypetrunk.core.mikey_messages import (
    LEAST_KEY,
    MessageProtection,
    NoProtection,
    PreSharedKey,
    checkProtocols,
    chosenKeys,
    refuseErrors,
)
from skypetrunk.core.mikey_replay import SeenMessages
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import IKeyAgreement, KeyPair
from skypetrunk.wire.mikey import (
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
    TGK,
    KeyData,
    Random,
    SecurityPolicy,
    UnsupportedMIKEY,
)
from skypetrunk.wire.mikey_policy import policyOf, suiteOf
from skypetrunk.wire.sdes import SUITES, MasterKey
from skypetrunk.wire.sdp import SessionDescription
from skypetrunk.wire.sdp_lines import Attribute
from skypetrunk.wire.secret import Secret

ATTRIBUTE = "key-mgmt"

SDES_KEYS, MIKEY_KEYS = PROTOCOLS = ("sdes", "mikey")
"""How a trunk agrees keys: RFC 4568, or this."""


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
        protection: MessageProtection,
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
        self._bundles: set[int] = set()
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
        self._bundles.add(bundle.number)
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
            refuseErrors(response)
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
            key = made.pair.local
            time = self._protection.time(made.message)
            self._seen.check(octets, time, None if key == self._localKey else key)
        except MalformedSDP as error:
            text = f"the offer's MIKEY message cannot be taken: {error}"
            raise KeyAgreementFailed(text, warning=306) from error
        self._heard = made
        return made.attributes, made.pair

    @property
    def _localKey(self) -> MasterKey | None:
        """What we protect with, if the peer has made it."""
        return None if self._theirs is None else self._theirs.pair.local

    def _standing(self, octets: bytes) -> _Made | None:
        """The message in use, where the peer repeats it, or its response to it, having no other one."""
        if self._theirs is not None and octets == self._theirs.octets:
            return self._theirs
        return self._ours if octets == self._response else None

    def _read(self, octets: bytes, protocols: Sequence[str]) -> _Made:
        message = parseMIKEY(octets)
        refuseErrors(message)
        if message.type != INITIATE:
            raise UnsupportedMIKEY("it is a response")
        if message.bundle in self._bundles:
            # With the roles changed we would protect with the peer's key, and hear packets of ours.
            raise UnsupportedMIKEY("it is our own")
        bundle, keys = self._protection.open(message, octets)
        checkProtocols(message, protocols)
        if len(message.sessions) != 2:
            raise UnsupportedMIKEY(f"it has {len(message.sessions)} crypto sessions, one each way is wanted")
        theirs, ours = message.sessions
        if theirs.roc or ours.roc:
            raise UnsupportedMIKEY("a roll-over counter that does not begin at 0")
        suite = self._suiteOf(message)
        first, second = chosenKeys(keys)
        local = bundle.master(second, 2, suite)
        ssrc = ours.ssrc or _ssrc(self._entropy, theirs.ssrc)
        if self._theirs is not None and local == self._localKey:
            # The stream goes on, whatever the new message says.
            ssrc = self._theirs.pair.ssrc or ssrc
        pair = KeyPair(suite, local, bundle.master(first, 1, suite), ssrc=ssrc)
        if pair.local == pair.remote:
            # Whoever sent us our own packets would be heard.
            raise UnsupportedMIKEY("both directions have the same key")
        attributes: tuple[Attribute, ...] = ()
        if message.answered:
            sessions = (theirs, CryptoSession(ours.policy, ssrc))
            response = self._protection.respond(message, sessions)
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
                time = self._protection.time(self._heard.message)
                self._seen.add(self._heard.octets, time, self._heard.pair.local)
            self._ours, self._theirs, self._response = None, self._heard, None
        self._suite = pair.suite


def _values(description: SessionDescription, audio: int) -> tuple[str, ...]:
    """Of the stream, else of the session (RFC 4567 section 3.1)."""
    return description.media[audio].all(ATTRIBUTE) or description.all(ATTRIBUTE)


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
        self._protection: MessageProtection = NoProtection() if key is None else PreSharedKey(key)
        self._seen = SeenMessages(seconds)

    def agreement(self, suites: Sequence[str], entropy: Callable[[int], bytes]) -> MIKEY:
        """For one more leg; see L{MIKEY}."""
        return MIKEY(suites, self._protection, self._seen, entropy)


__all__ = ["ATTRIBUTE", "MIKEY", "MIKEY_KEYS", "PROTOCOLS", "SDES_KEYS", "MIKEYPeer"]
