"""
SRTP keys agreed by security descriptions (SDES, RFC 4568): which line of a leg's SDP is taken, and its key.

A suite's key is made once for a leg and repeated in every later offer and answer, so that
the context that protects with it is never made twice (RFC 4568 section 6.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from skypetrunk.errors import KeyAgreementFailed
from skypetrunk.interfaces import DeclaredKeys, IMediaLeg, KeyPair
from skypetrunk.wire.sdes import (
    SUITES,
    CryptoAttribute,
    InlineKey,
    MalformedCrypto,
    MasterKey,
    UnsupportedCrypto,
    parseCrypto,
)

LEAST_LIFETIME = 2**16
"""
Packets that a peer's key must be good for: 22 minutes of sound at 20 ms.  With fewer a call would do little
but change keys.
"""

MOST_KEYS = 16
"""Of a peer's line: each is kept as long as the call."""

MOST_REASONS = 4
"""Lines whose trouble is told."""


class SecurityDescriptions:
    """
    SDES for one leg.

    @ivar agreed: the suite in use, once there is one.
    """

    def __init__(self, suites: Sequence[str], entropy: Callable[[int], bytes]) -> None:
        """
        @param suites: names of the suites allowed, in order of preference.
        @param entropy: random octets, as L{os.urandom}.
        """
        self.agreed: str | None = None
        self._suites = tuple(suites)
        self._entropy = entropy
        self._keys: dict[str, MasterKey] = {}
        # Suites that were in use, and of whose keys another branch of the call may still make use.
        self._left: set[str] = set()
        self._offered: tuple[CryptoAttribute, ...] = ()

    def _key(self, suite: str) -> MasterKey:
        key = self._keys.get(suite)
        if key is None:
            key = self._keys[suite] = self._make(suite)
        return key

    def _make(self, suite: str) -> MasterKey:
        size = SUITES[suite].keyOctets
        octets = self._entropy(size + SUITES[suite].saltOctets)
        return MasterKey(octets[:size], octets[size:])

    def _line(self, tag: int, suite: str, key: MasterKey) -> CryptoAttribute:
        return CryptoAttribute(tag, suite, (InlineKey(key, None, None, None),), ())

    def offer(self, fresh: bool = False) -> tuple[CryptoAttribute, ...]:
        """
        One line for each allowed suite; once a suite is agreed, that one alone: some peers
        take a repeated list for a new negotiation and start their contexts again.
        """
        self._giveUp()
        suites = (self.agreed,) if self.agreed is not None else self._suites
        keys = {suite: self._make(suite) if fresh else self._key(suite) for suite in suites}
        self._offered = tuple(self._line(tag, *each) for tag, each in enumerate(keys.items(), 1))
        return self._offered

    def answered(self, lines: Sequence[CryptoAttribute]) -> KeyPair:
        """RFC 4568 section 5.1.3: exactly one line, with the tag and suite of an offered one."""
        if len(lines) != 1:
            raise KeyAgreementFailed(f"the answer has {len(lines)} crypto lines, wanted exactly one")
        line = lines[0]
        offered = {ours.tag: ours for ours in self._offered}
        if line.tag not in offered:
            raise KeyAgreementFailed(f"the answer has crypto tag {line.tag}, offered were {sorted(offered)}")
        ours = offered[line.tag]
        if line.suite != ours.suite:
            raise KeyAgreementFailed(
                f"the answer has {line.suite} under tag {line.tag}, offered was {ours.suite}"
            )
        trouble = self._trouble(line)
        if trouble:
            raise KeyAgreementFailed(f"the answer's crypto line {trouble}")
        if line.suite not in self._keys:
            raise KeyAgreementFailed(f"the answer goes back to {line.suite}, whose key was given up")
        return _pair(ours.keys[0].master, line)

    def answer(self, lines: Sequence[CryptoAttribute]) -> tuple[CryptoAttribute, KeyPair]:
        """RFC 4568 section 5.1.2: the first usable line of the offer, the suite in use before all others."""
        self._giveUp()
        usable = [line for line in lines if line.suite in self._suites and not self._trouble(line)]
        if not usable:
            reasons = [f"{line.suite} {self._trouble(line) or 'is not allowed'}" for line in lines]
            raise KeyAgreementFailed(
                f"no usable crypto line: {_few(reasons) or 'none'}; wanted one of {', '.join(self._suites)}",
                warning=306,
            )
        chosen = next((line for line in usable if line.suite == self.agreed), usable[0])
        key = self._key(chosen.suite)
        return self._line(chosen.tag, chosen.suite, key), _pair(key, chosen)

    def agree(self, pair: KeyPair) -> None:
        """
        A suite's key ends with its context (RFC 3711 section 3.2.3): the one in use before is given up, as
        soon as no other branch can answer with that suite.
        """
        if self.agreed is not None:
            self._left.add(self.agreed)
        self._left.discard(pair.suite)
        self.agreed = pair.suite
        self._keys[pair.suite] = pair.local

    def _trouble(self, line: CryptoAttribute) -> str:
        """Why a peer's line cannot be used, in words; empty if it can."""
        ours = {*self._keys.values(), *[key.master for each in self._offered for key in each.keys]}
        if any(key.master in ours for key in line.keys):
            # Packets of ours that somebody sent back to us would be heard, and draw the next ones to him.
            return "has a key of ours"
        return _unusable(line)

    def _giveUp(self) -> None:
        """An exchange begins: what was left in the one before ends with it."""
        for suite in self._left:
            self._keys.pop(suite, None)
        self._left.clear()


@dataclass(eq=False, slots=True)
class KeyUse:
    """
    Since when one key is in use, as its leg counts.

    @ivar lifetime: packets that it is good for, as its owner says; C{None}: no word of it.
    @ivar packets: SRTP packets counted before it.
    @ivar rtcpPackets: SRTCP packets counted before it.
    @ivar told: the log has that it was overrun.
    @ivar asked: its owner was offered a new key of ours since.
    """

    lifetime: int | None
    packets: int
    rtcpPackets: int
    told: bool = False
    asked: bool = False


class KeyUses:
    """
    The two keys in use of one leg, as numbers.

    @ivar ours: the one we protect with.
    @ivar theirs: the one the peer protects with.
    @ivar unheard: the peer was offered a new key as it did not hear us, and was not seen to hear us since.
    """

    def __init__(self) -> None:
        self.ours: KeyUse | None = None
        self.theirs: KeyUse | None = None
        self.unheard = False
        self._pair: KeyPair | None = None
        # Nothing can have been counted before the first key.
        self._fresh = True

    def settled(self, pair: KeyPair, media: IMediaLeg) -> None:
        """C{pair} is agreed; a key that was in use before is so since then."""
        before, self._pair = self._pair, pair
        sameOurs = before is not None and before.local == pair.local
        sameTheirs = before is not None and (before.remote, before.declared) == (pair.remote, pair.declared)
        if sameOurs and sameTheirs:
            return
        if self._fresh:
            self._fresh = False
            self.ours, self.theirs = KeyUse(None, 0, 0), KeyUse(pair.lifetime, 0, 0)
            return
        counted = media.statistics()
        if not sameOurs:
            self.ours = KeyUse(None, counted.sent.authenticated, counted.sent.rtcpPackets)
        if not sameTheirs:
            received = counted.received
            self.theirs = KeyUse(pair.lifetime, received.authenticated, received.rtcpPackets)

    def forget(self) -> None:
        """The leg is over: no key is kept."""
        self.ours = self.theirs = self._pair = None
        self._fresh = False


def troubles(values: Iterable[str], weakening: bool) -> str:
    """
    What is wrong with C{a=crypto} lines that are no use to L{SecurityDescriptions}, in words and without any
    key; empty if nothing is.

    @param weakening: tell also of those that can be read, and ask for less security.
    """
    found = []
    for value in values:
        try:
            line = parseCrypto(value)
        except (MalformedCrypto, UnsupportedCrypto) as error:
            found.append(str(error))
        else:
            if weakening and line.negotiated:
                found.append(f"crypto {line.tag} {_unusable(line)}")
    return _few(found)


def _pair(ours: MasterKey, line: CryptoAttribute) -> KeyPair:
    lifetimes = [key.lifetime for key in line.keys if key.lifetime is not None]
    plain = len(line.keys) == 1 and line.keys[0].mki is None and not line.derivationRate
    return KeyPair(
        line.suite,
        ours,
        line.keys[0].master,
        sum(lifetimes) if len(lifetimes) == len(line.keys) else None,
        None if plain else DeclaredKeys(line.keys, line.derivationRate),
    )


def _few(reasons: Sequence[str]) -> str:
    """They go into the log and a header field, and the peer chooses how many there are."""
    return ", ".join(list(dict.fromkeys(reasons))[:MOST_REASONS])


def _unusable(line: CryptoAttribute) -> str:
    """Why a well-formed line cannot be used, in words; empty if it can."""
    if line.negotiated:
        return f"asks for {' '.join(sorted(line.negotiated))}"
    if len(line.keys) > MOST_KEYS:
        return f"has {len(line.keys)} keys, {MOST_KEYS} at most are taken"
    for key in line.keys:
        if key.lifetime is not None and key.lifetime < LEAST_LIFETIME:
            return f"has a lifetime of {key.lifetime} packets, {LEAST_LIFETIME} at least are wanted"
    # What is left changes nothing here: the window size is a hint, an order of FEC without FEC says
    # nothing, and what is marked with a dash may be ignored (RFC 4568 sections 6.3.4, 6.3.6 and 6.3.7).
    return ""


__all__ = ["LEAST_LIFETIME", "KeyUse", "KeyUses", "SecurityDescriptions", "troubles"]
