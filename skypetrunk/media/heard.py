"""
What one keeper of a leg has accepted of its peer, as it is told to the next one.

A context does not outlive its process.  Whoever goes on with the key must not lose count, nor accept again
what was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from skypetrunk.media.roll_over import Run

REMOTE_KEYS = 8
"""Keys of a peer whose contexts are kept: one that returns to one finds its own; none can pile them up."""

KEYS_REMEMBERED = 256
"""
Keys of which is known what was accepted, where a peer returns to one, and somebody has recorded it.  It is
a few hundred octets each; a key every hour is ten days.
"""

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
    """

    masters: tuple[bytes, ...]
    made: float
    sources: tuple[Source, ...]
    reporters: tuple[Reported, ...]


def remember(before: dict[tuple[bytes, ...], Heard], heard: Heard) -> None:
    """Add it to what is known of a leg, as the latest; of too many the oldest is forgotten."""
    before.pop(heard.masters, None)
    before[heard.masters] = heard
    if len(before) > KEYS_REMEMBERED:
        del before[next(iter(before))]


__all__ = ["KEYS_REMEMBERED", "REMOTE_KEYS", "Heard", "Reported", "Source", "remember"]
