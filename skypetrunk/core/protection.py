"""
What one leg offers and takes of SRTP: that alone, that where the peer can (opportunistic, RFC 8643), or none.

What was agreed as SRTP stays SRTP as long as the leg, in every mode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import IKeyAgreement, KeyPair
from skypetrunk.values import quick
from skypetrunk.wire.sdp import MediaDescription, SessionDescription
from skypetrunk.wire.sdp_lines import Attribute

REQUIRED, OPPORTUNISTIC, OFF = MODES = ("required", "opportunistic", "off")
"""Of a side, from the most secure on."""


@quick
@dataclass(frozen=True, slots=True)
class Form:
    """
    How an audio line speaks of SRTP.

    @ivar protocol: of the line.
    @ivar keyed: it has keys; under C{RTP/AVP} they may be declined (RFC 8643 section 3.1).
    """

    protocol: str
    keyed: bool

    def __str__(self) -> str:
        return f"{self.protocol} {'with' if self.keyed else 'without'} keys"


SECURE = Form("RTP/SAVP", True)
EITHER = Form("RTP/AVP", True)
CLEAR = Form("RTP/AVP", False)

OFFERS = {REQUIRED: (SECURE,), OPPORTUNISTIC: (EITHER, SECURE, CLEAR), OFF: (CLEAR,)}
"""
What a call is offered in each mode, one after the other: peers exist that refuse C{RTP/AVP} with keys because
they want C{RTP/SAVP}, and others that refuse it because they know no keys.
"""


_REFUSED = frozenset((415, 488, 606))
"""What is answered to an offer that cannot be taken (RFC 3261 sections 21.4.13, 21.4.26 and 21.6.4)."""

_OTHERS = frozenset((300, 301, 303, 305, 330, 331, 370))
"""Warnings that speak of addresses, codecs or bandwidth, which are the same in each form."""


def formAfter(mode: str, refused: Form, status: int, warnings: Iterable[int]) -> Form | None:
    """
    What is offered next, after an answer with C{status} to a form of C{mode}; C{None}: nothing.

    @param warnings: the codes of its Warning headers.
    """
    codes = set(warnings)
    if status not in _REFUSED or (codes and codes <= _OTHERS):
        return None
    forms = OFFERS[mode]
    return next((after for before, after in pairwise(forms) if before == refused), None)


class Protection:
    """
    The SRTP of one leg.

    @ivar first: the form of the first offer.
    @ivar form: of our next offer: as it was agreed last, before that as it is tried.
    """

    def __init__(self, keys: IKeyAgreement | None, optional: bool = False, form: Form | None = None) -> None:
        """
        @param keys: C{None}: there is no SRTP.
        @param optional: there need not be.
        @param form: of the first offer; default: the first of the mode.
        """
        self.first = self.form = form or (CLEAR if keys is None else EITHER if optional else SECURE)
        self._keys = keys
        self._optional = optional
        self._stands = False
        protocols = {EITHER.protocol, SECURE.protocol} if optional else {self.form.protocol}
        self._protocols = frozenset(protocols)

    @property
    def secure(self) -> bool:
        """Is it SRTP, by what was agreed last, or is it to be?"""
        return self._keys is not None and self.form.keyed

    @property
    def wanted(self) -> str:
        """What is taken, for who offered something else."""
        return " or ".join(sorted(self._protocols, reverse=True))

    # We offer

    def offer(self, fresh: bool) -> tuple[Attribute, ...]:
        """
        What an offer of this form has of keys.

        @param fresh: with a new key of ours.
        """
        return self._keys.offer(fresh) if self._keys is not None and self.form.keyed else ()

    def repeat(self, audio: MediaDescription) -> tuple[Attribute, ...]:
        """All attributes of our audio line that stands, as they are offered again."""
        # An answer of ours may have had none, to an offer that settled both keys.
        if self._keys is None or not (self.secure or carriesKeys(audio)):
            return audio.attributes
        return self._keys.repeat(audio.attributes)

    def answered(
        self, offered: MediaDescription, answer: SessionDescription, audio: int, secured: bool
    ) -> KeyPair | None:
        """
        What the peer made of our offer; C{None}: RTP in clear.

        @param secured: it must be SRTP, whatever the mode.
        @raise KeyAgreementFailed: that is not allowed, or its keys do not go with the offer.
        """
        if self._keys is None or not carriesKeys(offered):
            return None
        line = answer.media[audio]
        # Those of MIKEY may stand before the streams (RFC 4567 section 3.1).
        keyed = carriesKeys(line) or bool(answer.all("key-mgmt"))
        if not keyed and not secured and self._mayBeClear(line):
            return None
        return self._keys.answered(answer, audio)

    def checkProtocol(self, offered: MediaDescription, answered: MediaDescription) -> None:
        """
        @raise KeyAgreementFailed: the answer has another than our offer, which may have keys.
        """
        if self._keys is not None and answered.protocol.upper() != offered.protocol.upper():
            text = f"wanted {offered.protocol}, the answer has {answered.protocol}"
            raise KeyAgreementFailed(text, warning=302)

    # The peer offers

    def take(self, offer: SessionDescription, audio: int) -> tuple[tuple[Attribute, ...], KeyPair | None]:
        """
        What we answer to one line of an offer, and the keys; C{None}: RTP in clear.  The same offer has the
        same answer.

        @raise RemoteError: it cannot be taken.
        """
        line = offer.media[audio]
        if line.protocol.upper() not in self._protocols:
            text = f"wanted {self.wanted}, the offer has {line.protocol}"
            if self._keys is None:
                raise MalformedSDP(text, warning=302)
            raise KeyAgreementFailed(text, warning=302)
        if self._keys is None:
            return (), None
        try:
            attributes, pair = self._keys.answer(offer, audio)
        except KeyAgreementFailed:
            # RFC 8643 section 3.1.2: keys that are declined leave what the line is without them.
            if self._mayBeClear(line):
                return (), None
            raise
        if not attributes and self._mayBeClear(line):
            # MIKEY may want no answer, but without one it looks declined.
            return (), None
        return attributes, pair

    def rank(self, line: MediaDescription) -> int:
        """The smaller, the better: of several lines the more secure one, where we have the choice."""
        if not self._optional or line.protocol.upper() == SECURE.protocol:
            return 0
        return 1 if carriesKeys(line) else 2

    def _mayBeClear(self, line: MediaDescription) -> bool:
        return self._optional and not self._stands and line.protocol.upper() == CLEAR.protocol

    # Both

    def settled(self, pair: KeyPair | None, protocol: str) -> None:
        """That is agreed, as far as the exchange has come."""
        if pair is not None and self._keys is not None:
            self._keys.agree(pair)
        self.form = Form(protocol.upper(), pair is not None)

    def stands(self) -> None:
        """The exchange is over: SRTP is never given up from now on."""
        self._stands = self._stands or self.secure

    def forget(self) -> None:
        """The leg is over."""
        self._keys = None


def carriesKeys(line: MediaDescription) -> bool:
    """Has it keys, of SDES (RFC 4568) or another protocol (RFC 4567)?"""
    return line.has("crypto") or line.has("key-mgmt")


__all__ = [
    "CLEAR",
    "EITHER",
    "MODES",
    "OFF",
    "OFFERS",
    "OPPORTUNISTIC",
    "REQUIRED",
    "SECURE",
    "Form",
    "Protection",
    "carriesKeys",
    "formAfter",
]
