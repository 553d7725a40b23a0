"""
What one keeper of a leg has accepted of its peer, as it is told to the next one.

A context does not outlive its process.  Whoever goes on with the key must not lose count, nor accept again
what was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from skypetrunk.media.roll_over import Run

REMOTE_KEYS = 8
"""Keys of a peer whose contexts are kept: one that returns to one finds its own; none can pile them up."""

KEYS_REMEMBERED = 256
"""
Keys of which is known what was accepted, where a peer returns to one, and somebody has recorded it.  It is
a few hundred octets each; a key every hour is ten days.
"""

UNTOLD_SECONDS = 12.0
"""Who is lost has told what it had heard some seconds before, and who hangs is missed some later."""

MARGIN = 0.1
"""Seconds by which packets may come earlier than the last one that was told."""

Source: TypeAlias = tuple[int, int, int, int, float, bool, int, tuple[Run, ...]]
"""
Of RTP: its SSRC, highest index, oldest and newest time stamp, the time of that, and whether they are steady;
then C{beyond} and C{runs} of its life.  See L{skypetrunk.media.roll_over}.
"""

Reported: TypeAlias = tuple[int, int, int, int, int]
"""
Of RTCP: its SSRC, then C{index}, C{time}, C{beyond} and C{floor}.  See L{skypetrunk.media.reporters}.
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """
    Under one key, or all keys that a peer has declared together.  Times are those of the machine, in seconds.

    @ivar masters: what the keys are known by: not the keys.
    @ivar made: when the first context of it was made.
    @ivar tick: of the codec that was heard last, seconds of a unit of its time stamps; C{None}: not known.
    @ivar unsure: SSRCs, and time stamps of each that were perhaps accepted.
    """

    masters: tuple[bytes, ...]
    made: float
    sources: tuple[Source, ...]
    reporters: tuple[Reported, ...]
    tick: float | None = None
    unsure: tuple[tuple[int, tuple[Run, ...]], ...] = ()

    def until(self, now: float) -> Heard:
        """
        Who has told it was lost at C{now}: it is not known what it has accepted since.  Time stamps go on
        with time (RFC 3550 section 5.1), so it is known which they were.
        """
        if self.tick is None:
            return self
        unsure = dict(self.unsure)
        for ssrc, _, _, newest, time, *_ in self.sources:
            first = 1 + int(max(0.0, now - UNTOLD_SECONDS - time) / self.tick)
            last = int(max(0.0, now + MARGIN - time) / self.tick)
            run = (newest + first) & 0xFFFFFFFF, last - first
            unsure[ssrc] = (*unsure.get(ssrc, ()), run)
        return replace(self, unsure=tuple(unsure.items()))


def remember(before: dict[tuple[bytes, ...], Heard], heard: Heard) -> None:
    """Add it to what is known of a leg, as the latest; of too many the oldest is forgotten."""
    before.pop(heard.masters, None)
    before[heard.masters] = heard
    if len(before) > KEYS_REMEMBERED:
        del before[next(iter(before))]


__all__ = [
    *("KEYS_REMEMBERED", "MARGIN", "REMOTE_KEYS", "UNTOLD_SECONDS"),
    *("Heard", "Reported", "Source", "remember"),
]
