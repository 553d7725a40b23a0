"""
The context of one key of a peer's: what was let in under it is not let in again, and its sender is followed
where it loses count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.heard import Heard
from skypetrunk.media.own_srtp import LAST_RTCP_INDEX, OwnGuard
from skypetrunk.media.replay import WINDOW
from skypetrunk.media.reporters import Reporter
from skypetrunk.media.roll_over import AHEAD, MOST_RUNS, OLDEST, Life, Timeline, Tries
from skypetrunk.media.srtp_keys import reportEnd
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from skypetrunk.wire.sdes import SUITES

MOST_SOURCES = 256
"""
SSRCs of one key.  Each hold and each transfer may bring one; what was accepted of one is never forgotten
while its key stands, so there is an end.
"""

MOST_WOUND = 1000 << 16
"""An index up to which libsrtp is led: 15 days of sound."""

Recovered = Callable[[str, int, int], object]
"""Told what is counted, which value was expected, and the one that a packet has."""

class RTPGuard(Protocol):
    """What L{IPacketGuard} says of RTP."""

    suite: str

    def rtp(self, packet: bytes) -> bytes:
        """See L{IPacketGuard}."""


class Context:
    """
    One key of the peer, or all that it has declared together.

    @ivar guard: takes its packets.
    @ivar line: of the source heard last; see L{Timeline}.
    @ivar suite: its name.
    """

    __slots__ = (
        "_lines",
        "_lives",
        "_made",
        "_makeOwn",
        "_masters",
        "_own",
        "_ownReports",
        "_plain",
        "_reporters",
        "_tries",
        "guard",
        "line",
        "suite",
    )

    def __init__(
        self,
        make: Callable[[Mapping[int, int]], IPacketGuard],
        masters: frozenset[bytes],
        makeOwn: Callable[[], OwnGuard],
        now: float,
        told: Iterable[Heard] = (),
    ) -> None:
        """
        @param make: a guard that takes nothing of these SSRCs up to these indices.
        @param masters: what its master keys are known by.
        @param makeOwn: another guard with the same key, of the kind that can be told a roll-over counter.
        @param told: what was accepted under it elsewhere, the latest last.
        """
        self.line = Timeline(None, 0, 0, now)
        self._masters = masters
        self._makeOwn = makeOwn
        self._made = now
        self._own: OwnGuard | None = None
        self._lines: dict[int, Timeline] = {}
        self._lives: dict[int, Life] = {}
        self._reporters: dict[int, Reporter] = {}
        # Those whose RTCP goes to the other guard.
        self._ownReports: set[int] = set()
        # Of sources that are known, of others, and of RTCP.
        self._tries = Tries(), Tries(), Tries()
        for each in told:
            self._goOnAfter(each)
        lines, lives = self._lines, self._lives
        self._plain = make({ssrc: line.index for ssrc, line in lines.items() if ssrc not in lives})
        self.suite = self._plain.suite
        self.guard: RTPGuard
        for ssrc in lives:
            self._resumed().skip(ssrc, lines[ssrc].index)
        self._skipReports()
        self._arrange()

    def _skipReports(self) -> None:
        """RTCP of all sources goes to the guard that can be told an index, and takes nothing up to theirs."""
        for ssrc, reporter in self._reporters.items():
            self._ownReports.add(ssrc)
            self._resumed().resumeReports(ssrc, reporter.index, seen=True)

    def _goOnAfter(self, heard: Heard) -> None:
        self._made = min(heard.made, self._made)
        for ssrc, index, oldest, newest, time, steady, beyond, runs in heard.sources:
            line = self._lines[ssrc] = Timeline(ssrc, index, oldest, time)
            line.newest, line.steady = newest, steady
            if beyond or runs or index > MOST_WOUND:
                life = self._lives[ssrc] = Life()
                life.beyond, life.runs = beyond, runs
        for ssrc, *seen in heard.reporters:
            self._reporters[ssrc] = Reporter(*seen)

    @property
    def masters(self) -> frozenset[bytes]:
        """What its master keys are known by."""
        return self._masters

    @property
    def heard(self) -> Heard:
        """What was accepted under it, for who goes on elsewhere."""
        sources = []
        for ssrc, line in self._lines.items():
            life = self._lives.get(ssrc) or Life()
            numbers = ssrc, line.index, line.oldest, line.newest, line.time, line.steady
            sources.append((*numbers, life.beyond, life.runs))
        reporters = [
            (ssrc, each.index, each.time, each.beyond, each.floor) for ssrc, each in self._reporters.items()
        ]
        return Heard(tuple(sorted(self._masters)), self._made, tuple(sources), tuple(reporters))

    def begin(self) -> None:
        """It is in use from now on: nothing was heard since."""
        self.line = Timeline(None, 0, 0, 0.0)

    def took(self, header: RTPHeader, now: float) -> None:
        """An RTP packet was accepted that is not simply the next one of the source heard last."""
        line = self._lines.get(header.ssrc)
        if line is None:
            line = Timeline(header.ssrc, header.sequence, header.timestamp, now)
            self._lines[header.ssrc] = line
            self._arrange()
        else:
            line.advance(header, now)
        self.line = line

    def report(self, packet: bytes) -> bytes:
        """
        An RTCP compound, decrypted.

        @raise PacketRefused: nothing has changed.
        """
        ssrc = int.from_bytes(packet[4:8], "big")
        reporter = self._reporters.get(ssrc)
        if reporter is None and ssrc not in self._lines and self._isFull():
            raise PacketRefused("source")
        if reporter is None or ssrc not in self._ownReports:
            return self._tookReport(packet, self._plain.rtcp(packet))
        own = self._resumed()
        index, plain = own.openReport(packet)
        if not reporter.admits(plain, index):
            raise PacketRefused("replay")
        return self._tookReport(packet, own.rtcp(packet))

    def resumeReport(self, packet: bytes, now: float, recovered: Recovered) -> bytes | None:
        """
        An RTCP compound has an index that was seen: has its sender begun again?  See
        L{skypetrunk.media.reporters}.

        @return: it, decrypted; C{None}: nothing has changed.
        """
        ssrc = int.from_bytes(packet[4:8], "big")
        reporter = self._reporters.get(ssrc)
        if reporter is None or not self._tries[2].take(now):
            return None
        own = self._resumed()
        try:
            index, plain = own.openReport(packet)
        except PacketRefused:
            return None
        if not reporter.isNew(plain):
            return None
        recovered("SRTCP index", reporter.index + 1, index)
        reporter.restart()
        self._ownReports.add(ssrc)
        own.resumeReports(ssrc, index)
        return self._tookReport(packet, own.rtcp(packet))

    def _tookReport(self, packet: bytes, plain: bytes) -> bytes:
        ssrc = int.from_bytes(plain[4:8], "big")
        if ssrc not in self._reporters:
            self._reporters[ssrc] = Reporter()
            self._arrange()
        mkiOctets = self._plain.mkiOctets if isinstance(self._plain, OwnGuard) else 0
        end = reportEnd(SUITES[self.suite], packet, mkiOctets)
        self._reporters[ssrc].took(plain, int.from_bytes(packet[end - 4 : end], "big") & LAST_RTCP_INDEX)
        return plain

    def adopt(self, before: Context) -> None:
        """
        Where C{before} has a master key of ours go on with its sources: a packet that it has let in may have
        a valid tag with another suite or MKI, too.
        """
        if not self._masters & before._masters:
            return
        self._made = min(self._made, before._made)
        for ssrc, line in before._lines.items():
            self._lines.setdefault(ssrc, line)
        for ssrc, life in before._lives.items():
            self._lives.setdefault(ssrc, life)
        for ssrc, reporter in before._reporters.items():
            self._reporters.setdefault(ssrc, reporter)
        ours, theirs = self._plain, before._plain
        if isinstance(ours, OwnGuard) and isinstance(theirs, OwnGuard):
            ours.adopt(theirs)
            if before._own is not None:
                self._resumed().adopt(before._own)
                self._ownReports |= before._ownReports
        else:
            for ssrc, line in self._lines.items():
                self._lives.setdefault(ssrc, Life())
                self._resumed().skip(ssrc, line.index)
            self._skipReports()
        self._arrange()

    def resume(self, packet: bytes, now: float, recovered: Recovered) -> bytes | None:
        """
        A packet was not what we expected: has its sender another roll-over counter?

        @return: it, decrypted; C{None}: nothing has changed.
        """
        try:
            header = parseRTP(packet)
        except PacketRefused:
            return None
        ssrc = header.ssrc
        line, life = self._lines.get(ssrc), self._lives.get(ssrc)
        if line is None:
            # Nothing of it was accepted, so nothing can be accepted twice: we have come late.
            expected = 0
            counters = [] if self._isFull() else list(range(1, AHEAD + 1))
        else:
            expected = line.index >> 16
            counters = line.counters(header, now, now - self._made > OLDEST)
        if life is not None and (life.knows(header.timestamp) or len(life.runs) >= MOST_RUNS):
            return None
        tries = self._tries[line is None]
        for counter in counters:
            if not tries.take(now):
                return None
            own = self._resumed()
            if own.opens(packet, header, counter):
                self._goOn(header, counter, now)
                recovered("roll-over counter", expected, counter)
                return own.rtp(packet)
        return None

    def _resumed(self) -> OwnGuard:
        """The guard of the sources that have L{Life}s."""
        if self._own is None:
            self._own = self._makeOwn()
        return self._own

    def _goOn(self, header: RTPHeader, counter: int, now: float) -> None:
        ssrc, index = header.ssrc, counter << 16 | header.sequence
        line = self._lines.get(ssrc)
        life = self._lives.setdefault(ssrc, Life())
        if line is None:
            line = self._lines[ssrc] = Timeline(ssrc, index, header.timestamp, now)
        else:
            leaps, back = line.leaps(header.timestamp, now), index < line.index
            if leaps or back:
                life.close(line, back)
            if leaps:
                line.begin(header.timestamp, now)
        line.index = index
        self._resumed().resume(ssrc, counter)
        self._arrange()

    def _isFull(self) -> bool:
        return len(self._lines.keys() | self._reporters) >= MOST_SOURCES

    def _arrange(self) -> None:
        """What stands between a packet and its guard, as far as it is wanted."""
        guard: RTPGuard = self._plain
        if self._own is not None and self._lives:
            guard = _Resumed(guard, self._own, self._lives)
        if self._isFull():
            guard = _Closed(guard, self._lines, self._reporters)
        self.guard = guard


class _Resumed:
    """RTP of a context some of whose sources go on with other numbers."""

    def __init__(self, plain: RTPGuard, own: OwnGuard, lives: dict[int, Life]) -> None:
        self.suite = plain.suite
        self._plain = plain
        self._own = own
        self._lives = lives

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        life = self._lives.get(int.from_bytes(packet[8:12], "big"))
        if life is None:
            return self._plain.rtp(packet)
        if life.beyond:
            header = parseRTP(packet)
            if life.knows(header.timestamp):
                raise PacketRefused("replay")
            if self._own.highest(header.ssrc) > life.beyond + WINDOW:
                life.beyond = 0
        return self._own.rtp(packet)


class _Closed:
    """RTP of a context that has enough sources."""

    def __init__(self, guard: RTPGuard, lines: dict[int, Timeline], reporters: dict[int, Reporter]) -> None:
        self.suite = guard.suite
        self._guard = guard
        self._lines = lines
        self._reporters = reporters

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        ssrc = int.from_bytes(packet[8:12], "big")
        if ssrc not in self._lines and ssrc not in self._reporters:
            raise PacketRefused("source")
        return self._guard.rtp(packet)


__all__ = ["MOST_SOURCES", "Context", "RTPGuard", "Recovered"]
