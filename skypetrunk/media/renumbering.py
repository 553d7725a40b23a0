"""
Payload types between two legs whose peers have other numbers for the same codec (RFC 3264 section 6.1).

A peer sends with the numbers of our description and receives with those of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from skypetrunk.wire.codec import EVENTS, clockRate, encodingOf, nameOf
from skypetrunk.wire.rtp import RTPHeader

if TYPE_CHECKING:
    from skypetrunk.media.feedback import Feedback
    from skypetrunk.media.onward import Onward
    from skypetrunk.media.relay import MediaLeg

MEANINGLESS = "payload-type"
"""The counter of packets whose number means another codec to who would get them."""


REMEMBERED = 64
"""Results kept of what follows from numbers alone: the calls of a neighbour have the same few."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """
    The numbers of one leg, each with what it means.  As good as the same object for the same numbers.

    @ivar ours: of our description: its peer sends with them.
    @ivar theirs: of the peer's: it receives with them.
    @ivar before: of both before, where they mean nothing now: such packets may still be on their way.
    """

    ours: Mapping[int, str]
    theirs: Mapping[int, str]
    before: Mapping[int, str]

    @property
    def sent(self) -> dict[int, str]:
        """All that the peer may send with."""
        return {**self.before, **self.theirs, **self.ours}

    @property
    def events(self) -> dict[int, int]:
        """Clock rates of the events that the peer may send, by number."""
        return {n: clockRate(codec) for n, codec in self.sent.items() if nameOf(codec) == EVENTS}

    @property
    def agreedEvents(self) -> dict[int, int]:
        """Clock rates of those that the peer may be sent: both descriptions have them."""
        agreed = {codec for codec in self.ours.values() if nameOf(codec) == EVENTS}
        return {n: clockRate(codec) for n, codec in self.theirs.items() if codec in agreed}

    @staticmethod
    def of(ours: Mapping[int, str], theirs: Mapping[int, str], last: Numbers | None = None) -> Numbers:
        """
        @param ours: with what C{a=rtpmap} says, as L{skypetrunk.interfaces.IMediaLeg} takes them.
        @param last: those of the leg so far.
        """
        sent = {} if last is None else last.sent
        before = [each for each in sent.items() if each[0] not in ours and each[0] not in theirs]
        return _numbers(tuple(ours.items()), tuple(theirs.items()), tuple(before))

    def towards(self, other: Numbers) -> Mapping[int, int | None]:
        """
        What becomes of the numbers of this leg's peer on the way to the other's: those that change alone;
        C{None} for one that means something else there.

        A peer that sends with the numbers of its own description, as some do, is understood as long as
        those mean nothing else.  A number that nobody explains stays as it is.
        """
        return _changes(self, other)


@lru_cache(maxsize=REMEMBERED)
def _numbers(
    ours: tuple[tuple[int, str], ...],
    theirs: tuple[tuple[int, str], ...],
    before: tuple[tuple[int, str], ...],
) -> Numbers:
    told, heard = ({n: encodingOf(n, text) for n, text in each} for each in (ours, theirs))
    return Numbers(told, heard, dict(before))


@lru_cache(maxsize=REMEMBERED)
def _changes(one: Numbers, other: Numbers) -> Mapping[int, int | None]:
    wanted: dict[str, int] = {}
    for number, codec in other.theirs.items():
        wanted.setdefault(codec, number)
    changed: dict[int, int | None] = {}
    for number, codec in one.sent.items():
        meant = other.theirs.get(number)
        if meant == codec or codec.startswith("?"):
            continue
        if codec in wanted:
            changed[number] = wanted[codec]
        elif meant is not None and not meant.startswith("?"):
            changed[number] = None
    return changed


NOTHING = Numbers({}, {}, {})
"""Nothing was agreed yet."""


class Renumbered:
    """Stands before a leg, for what comes from one whose peer has other numbers."""

    __slots__ = ("_feedback", "_leg", "_numbers", "_onward")

    def __init__(
        self, leg: MediaLeg, onward: Onward, numbers: Mapping[int, int | None], feedback: Feedback
    ) -> None:
        """
        @param leg: where the packets came in.
        @param onward: where they go.
        @param numbers: as L{Numbers.towards} gives them.
        @param feedback: of who gets them.
        """
        self._feedback = feedback
        self._leg = leg
        self._onward = onward
        self._numbers = numbers

    def numberOf(self, payloadType: int) -> int | None:
        """What such a packet leaves with; C{None}: none leaves."""
        return self._numbers.get(payloadType, payloadType)

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """With the number that it has there."""
        number = self._numbers.get(header.payloadType, -1)
        if number is None:
            self._leg.received.refuse(MEANINGLESS)
            self._feedback.explained += 1
            return
        if number >= 0:
            # The marker bit, and the seven bits of the payload type (RFC 3550 section 5.1).
            packet = b"%c%c%b" % (packet[0], packet[1] & 0x80 | number, packet[2:])
            header = header._replace(payloadType=number)
        self._onward.sendRTP(packet, header, now)

    def sendRTCP(self, compound: bytes) -> None:
        """It holds no payload types."""
        self._onward.sendRTCP(compound)


__all__ = ["MEANINGLESS", "NOTHING", "Numbers", "Renumbered"]
