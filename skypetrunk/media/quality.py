"""
The figures of a leg, of both directions: what was counted here, and what the peer reports of what it gets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from skypetrunk.interfaces import DirectionStatistics, LegStatistics, MediaWay
from skypetrunk.media.opinion import score

if TYPE_CHECKING:
    from skypetrunk.media.counters import Counters
    from skypetrunk.media.feedback import Feedback
    from skypetrunk.media.glance import Looks


def legStatistics(
    name: str,
    secure: bool,
    suite: str | None,
    received: Counters,
    sent: Counters,
    feedback: Feedback,
    way: MediaWay,
    looks: Looks,
    packetTime: int | None,
) -> LegStatistics:
    """
    Of one leg.

    @param feedback: of its peer.
    @param looks: at what was received; C{packetTime} as the value has it.
    """
    trip, stream = feedback.roundTrip, feedback.stream
    whole = None if trip is None or stream is None else trip + stream.beyond
    return LegStatistics(
        name,
        secure,
        suite,
        received.snapshot(looks.silent, looks.clipped, whole),
        _sent(sent.snapshot(), feedback, whole),
        roundTrip=_milliseconds(trip),
        worstRoundTrip=_milliseconds(feedback.worstRoundTrip),
        packetTime=packetTime,
        way=way,
    )


def _sent(counted: DirectionStatistics, feedback: Feedback, trip: float | None) -> DirectionStatistics:
    """As the receiver saw it."""
    stream, lost = feedback.stream, feedback.lost
    if stream is None:
        return counted
    opinion = conversation = None
    if stream.codec is not None:
        # What did not come to us was not sent either.
        arrived = counted.packets - max(0, lost - stream.lost)
        opinion = score(stream.codec, arrived, lost)
        conversation = None if trip is None else score(stream.codec, arrived, lost, 0, trip)
    return replace(
        counted,
        reports=feedback.reports,
        lost=lost,
        fractionLost=round(feedback.fraction, 4),
        jitter=_milliseconds(feedback.jitter),
        worstJitter=_milliseconds(feedback.worstJitter),
        codec=stream.codec,
        opinion=opinion,
        conversation=conversation,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


__all__ = ["legStatistics"]
