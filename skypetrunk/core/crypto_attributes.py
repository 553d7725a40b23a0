"""
Security descriptions (SDES, RFC 4568) as the L{IKeyAgreement} of one leg: C{a=crypto} lines read from and
written into the audio stream of its descriptions.  What is agreed stands in L{skypetrunk.core.keys}.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from skypetrunk.core.keys import SecurityDescriptions, troubles
from skypetrunk.errors import KeyAgreementFailed
from skypetrunk.interfaces import IKeyAgreement, KeyPair
from skypetrunk.wire.sdes import usableCrypto
from skypetrunk.wire.sdp import SessionDescription
from skypetrunk.wire.sdp_lines import Attribute


@implementer(IKeyAgreement)
class CryptoAttributes:
    """SDES for one leg, in its SDP."""

    def __init__(self, keys: SecurityDescriptions) -> None:
        self._keys = keys
        # The suite of a description that was repeated: its lines may be older than the last offer.
        self._repeated: str | None = None

    def offer(self, fresh: bool = False) -> tuple[Attribute, ...]:
        """One line for each suite allowed, or for the one in use."""
        self._repeated = None
        return tuple(("crypto", line.encode()) for line in self._keys.offer(fresh))

    def repeat(self, written: Sequence[Attribute]) -> tuple[Attribute, ...]:
        """The same lines: a key is repeated in every later offer (RFC 4568 section 6.4)."""
        self._repeated = self._keys.agreed
        return tuple(written)

    def answered(self, answer: SessionDescription, audio: int) -> KeyPair:
        """Exactly one line, of those offered."""
        values = answer.media[audio].crypto
        lines = usableCrypto(values)
        if self._repeated is None or not lines:
            return self._keys.answered(lines)
        if lines[0].suite != self._repeated:
            raise KeyAgreementFailed(f"a refresh goes from {self._repeated} to {lines[0].suite}")
        return self._keys.answer(lines)[1]

    def answer(self, offer: SessionDescription, audio: int) -> tuple[tuple[Attribute, ...], KeyPair]:
        """The first usable line, the suite in use before all others."""
        values = offer.media[audio].crypto
        try:
            line, pair = self._keys.answer(usableCrypto(values))
        except KeyAgreementFailed as failure:
            more = troubles(values, weakening=False)
            if not more:
                raise
            raise KeyAgreementFailed(f"{failure}; {more}", warning=failure.warning) from failure
        return (("crypto", line.encode()),), pair

    def agree(self, pair: KeyPair) -> None:
        """See L{IKeyAgreement}."""
        self._keys.agree(pair)


__all__ = ["CryptoAttributes"]
