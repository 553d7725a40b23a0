"""
What was accepted of a peer under one key, or under keys that it has declared together, whatever suite or MKI
its packets had.
"""

from __future__ import annotations

from skypetrunk.media.gap import Gap
from skypetrunk.media.heard import Heard
from skypetrunk.media.reporters import Reporter
from skypetrunk.media.roll_over import Life, Timeline

MOST_SOURCES = 256
"""
SSRCs of one key.  Each hold and each transfer may bring one; what was accepted of one is never forgotten
while its key stands, so there is an end.
"""

_WORD = 0xFFFFFFFF


class Known:
    """
    Its sources.

    @ivar made: when the first context of the key was made, in seconds.
    @ivar lines: of RTP, by SSRC.
    @ivar lives: of those of them that go on with other numbers.
    @ivar reporters: of RTCP, by SSRC.
    @ivar gaps: of those of which not all is known that was accepted.
    @ivar tick: as it was told: see L{Heard}.
    """

    __slots__ = ("gaps", "lines", "lives", "made", "reporters", "tick")

    def __init__(self, made: float) -> None:
        self.made = made
        self.lines: dict[int, Timeline] = {}
        self.lives: dict[int, Life] = {}
        self.reporters: dict[int, Reporter] = {}
        self.gaps: dict[int, Gap] = {}
        self.tick: float | None = None

    def isStranger(self, ssrc: int) -> bool:
        """Is it a new source, of which there are enough?"""
        if ssrc in self.lines or ssrc in self.reporters:
            return False
        return self.isFull()

    def isFull(self) -> bool:
        """Are there as many sources as there may be?"""
        return len(self.lines.keys() | self.reporters) >= MOST_SOURCES

    def heard(self, masters: tuple[bytes, ...]) -> Heard:
        """
        All of it, for who goes on elsewhere.

        @param masters: what the keys are known by.
        """
        sources = []
        for ssrc, line in self.lines.items():
            life = self.lives.get(ssrc) or Life()
            numbers = ssrc, line.index, line.oldest, line.newest, line.time, line.steady
            sources.append((*numbers, life.beyond, life.runs))
        reporters = [
            (ssrc, each.index, each.time, each.beyond, each.floor) for ssrc, each in self.reporters.items()
        ]
        unsure = tuple((ssrc, each.runs) for ssrc, each in self.gaps.items() if each.runs)
        return Heard(masters, self.made, tuple(sources), tuple(reporters), self.tick, unsure)

    @classmethod
    def told(cls, heard: Heard) -> Known:
        """The same again."""
        known = cls(heard.made)
        for ssrc, index, oldest, newest, time, steady, beyond, runs in heard.sources:
            line = known.lines[ssrc] = Timeline(ssrc, index, oldest, time)
            line.newest, line.steady = newest, steady
            if beyond or runs:
                life = known.lives[ssrc] = Life()
                life.beyond, life.runs = beyond, runs
        for ssrc, *seen in heard.reporters:
            known.reporters[ssrc] = Reporter(*seen)
        known.tick = heard.tick
        known.gaps = {ssrc: Gap(runs) for ssrc, runs in heard.unsure}
        return known

    def add(self, other: Known) -> None:
        """What C{other} knows is known here, too; of a source that both know all that either has let in."""
        self.made = min(self.made, other.made)
        self.gaps = other.gaps | self.gaps
        self.tick = other.tick or self.tick
        for ssrc, life in other.lives.items():
            ours = self.lives.setdefault(ssrc, life)
            if ours is not life:
                ours.beyond = max(ours.beyond, life.beyond)
                ours.runs = tuple(dict.fromkeys((*ours.runs, *life.runs)))
        for ssrc, line in other.lines.items():
            mine = self.lines.setdefault(ssrc, line)
            if mine is not line:
                self.lines[ssrc] = self._both(ssrc, mine, line)
        for ssrc, reporter in other.reporters.items():
            before = self.reporters.setdefault(ssrc, reporter)
            if before is not reporter:
                names = "index", "time", "beyond", "floor"
                highest = [max(getattr(before, name), getattr(reporter, name)) for name in names]
                self.reporters[ssrc] = Reporter(*highest)

    def _both(self, ssrc: int, one: Timeline, other: Timeline) -> Timeline:
        """Two that say of one source what was accepted of it."""
        before, last = sorted((one, other), key=lambda each: each.time)
        line = Timeline(ssrc, max(one.index, other.index), last.oldest, last.time)
        line.newest, line.steady = last.newest, one.steady and other.steady
        if before.oldest == last.oldest:
            # One is how the other was a while ago.
            line.newest = max(before.newest, last.newest, key=lambda each: each - line.oldest & _WORD)
        else:
            self.lives.setdefault(ssrc, Life()).close(before, False)
        return line


__all__ = ["MOST_SOURCES", "Known"]
