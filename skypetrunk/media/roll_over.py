"""
What was accepted of an SRTP source, and which roll-over counters a packet may have that does not fit.

An SRTP packet has 16 bits of its index; the other 32, the roll-over counter (ROC), both ends count for
themselves (RFC 3711 section 3.3.1).  Peers lose theirs, and begin again at 0 under the same key: after hold,
after a transfer, when they moved to another machine.  From then on every packet of theirs has a tag that we
compute otherwise, or is behind our replay window, and the call is mute.

To follow them is to accept indices that were used before, where who has recorded the call could play it
again.  Two rules keep recordings out:

 - Ahead of all that was accepted anything is followed that is authentic: it was not accepted before.
 - Back to ROC 0 only a packet is followed whose time stamp, which is under the tag, was never accepted:
   it is later, or of a part of the circle where its source never was.  A recording has neither.
   From then on, until the indices are beyond the old ones, no packet may have one of those time stamps
   (L{Life}).  A source whose time stamps have gone back or leapt while its indices went on proves nothing
   by them, and is not followed back; nor is one whose key is older than L{OLDEST}, as time stamps wrap, too.

What was recorded and never accepted cannot be told from a peer that has begun again.  So time stamps of a
while before all that was heard (L{EARLIER}) are not followed, and no leap is as long as the source is heard
(L{SILENCE}).
"""

from __future__ import annotations

from typing import TypeAlias

from skypetrunk.wire.rtp import RTPHeader

AHEAD = 3
"""Roll-over counters tried ahead of the one that we know: more than an hour of sound at 20 ms."""

OLDEST = 12 * 3600.0
"""Seconds; at 48 kHz the time stamp is half around after 12.4 hours, and later is earlier then."""

FASTEST = 48_000
"""Units of a time stamp for each second, at most (RFC 7587: Opus)."""

LEAP = 2 * FASTEST
"""A step of a time stamp that needs no silence to explain it."""

LATE = 10 * FASTEST
"""Further back than this it is no late packet, and no event that began a while ago (RFC 4733)."""

EARLIER = 600 * FASTEST
"""How long before the first packet that was heard its source may have sent others."""

SILENCE = 0.5
"""Seconds without a packet before the time stamps of a source may begin anew."""

MOST_RUNS = 8
"""Times that they may: all that were heard are remembered."""

TRIES = 16
"""At first; then L{TRIES_PER_SECOND}: each is an HMAC that a stranger's packet costs us."""

TRIES_PER_SECOND = 8.0

_WORD = 0xFFFFFFFF


Run: TypeAlias = tuple[int, int]
"""Time stamps: the first, and how many follow it."""


def isIn(run: Run, timestamp: int) -> bool:
    """Is it one of them?"""
    start, length = run
    return (timestamp - start & _WORD) <= length


class Timeline:
    """
    What was accepted of one source.  The relay writes to it for each packet that is simply the next one.

    @ivar index: the highest, with its roll-over counter (48 bits).
    @ivar newest: the latest time stamp.
    @ivar oldest: the first one, since they have begun anew.
    @ivar time: when the latest came, in seconds.
    @ivar steady: time stamps have only gone on.
    """

    __slots__ = ("index", "newest", "oldest", "ssrc", "steady", "time")

    def __init__(self, ssrc: int | None, index: int, timestamp: int, now: float) -> None:
        """
        @param ssrc: C{None}: no source.
        """
        self.ssrc = ssrc
        self.index = index
        self.steady = True
        self.begin(timestamp, now)

    def begin(self, timestamp: int, now: float) -> None:
        """Time stamps begin here."""
        self.newest = self.oldest = timestamp
        self.time = now

    def advance(self, header: RTPHeader, now: float) -> None:
        """A packet was accepted that may be any but the next one."""
        # Half around is ahead, as for who took it: behind it would be too old.
        ahead = (header.sequence - self.index + 0x7FFF & 0xFFFF) - 0x7FFF
        if self.index + ahead < 0:
            ahead += 0x10000  # there is no roll-over counter below 0
        if ahead > 0:
            self.index += ahead
        step = header.timestamp - self.newest & _WORD
        if 0x100000000 - step <= LATE:
            return
        if step > self._mostSteps(now):
            self.steady = False
        self.newest = header.timestamp
        self.time = now

    def isNew(self, timestamp: int, now: float) -> bool:
        """Is it later than all that was accepted, and no later than time allows?"""
        return self.steady and 0 < (timestamp - self.newest & _WORD) <= self._mostSteps(now)

    @property
    def run(self) -> Run:
        """What was heard, and a while before it."""
        start = self.oldest - EARLIER & _WORD
        return start, self.newest - start & _WORD

    def leaps(self, timestamp: int, now: float) -> bool:
        """Is it far from all that was heard, after a silence?"""
        return self.steady and now - self.time >= SILENCE and not self.isNew(timestamp, now) and not isIn(
            self.run, timestamp
        )

    def counters(self, header: RTPHeader, now: float, old: bool) -> list[int]:
        """
        Roll-over counters that a packet may have which is not what we expected, the likeliest first.

        @param old: the key is older than L{OLDEST}.
        """
        new = self.isNew(header.timestamp, now) or self.leaps(header.timestamp, now)
        if self.steady and not new:
            return []
        counter, sequence = self.index >> 16, header.sequence
        ahead = range(counter, counter + AHEAD + 1)
        found = [each for each in ahead if (each << 16 | sequence) - self.index >= 0x8000]
        if new and not old and sequence < self.index:
            found.insert(0, 0)
        return found

    def _mostSteps(self, now: float) -> int:
        return LEAP + int(max(0.0, now - self.time) * FASTEST)


class Life:
    """
    The numbers of a source since they were found again.

    @ivar beyond: the highest index that it has had before it went back; 0 where it has not.
    @ivar runs: the time stamps that were accepted before that.
    """

    __slots__ = ("beyond", "runs")

    def __init__(self) -> None:
        self.beyond = 0
        self.runs: tuple[Run, ...] = ()

    def knows(self, timestamp: int) -> bool:
        """May it have been accepted before?"""
        return any(isIn(run, timestamp) for run in self.runs)

    def close(self, line: Timeline, back: bool) -> None:
        """
        What C{line} has heard is over.

        @param back: its indices begin anew, too.
        """
        start, length = line.run
        # Of the same beginning more may be known: C{line} can be how the source was a while ago.
        length = max([length, *[run[1] for run in self.runs if run[0] == start]])
        self.runs = (*(run for run in self.runs if run[0] != start), (start, length))
        if back:
            self.beyond = max(line.index, self.beyond)


class Tries:
    """How often something may be tried."""

    __slots__ = ("_left", "_time")

    def __init__(self) -> None:
        self._left = float(TRIES)
        self._time: float | None = None

    def take(self, now: float) -> bool:
        """Once more?"""
        if self._time is not None:
            self._left = min(float(TRIES), self._left + (now - self._time) * TRIES_PER_SECOND)
        self._time = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


__all__ = [
    "AHEAD",
    "EARLIER",
    "LATE",
    "LEAP",
    "MOST_RUNS",
    "OLDEST",
    "SILENCE",
    "TRIES",
    "TRIES_PER_SECOND",
    "Life",
    "Run",
    "Timeline",
    "Tries",
]
