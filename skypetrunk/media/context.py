"""
The context of one key of a peer's: what was let in under it is not let in again, and its sender is followed
where it loses count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.guards import ClosedGuard, GapGuard, ResumedGuard, RTPGuard
from skypetrunk.media.heard import Heard
from skypetrunk.media.known import Known
from skypetrunk.media.own_srtp import LAST_RTCP_INDEX, OwnGuard
from skypetrunk.media.replay import WINDOW, Seen
from skypetrunk.media.reporters import Reporter
from skypetrunk.media.roll_over import AHEAD, MOST_RUNS, OLDEST, Life, Timeline, Tries
from skypetrunk.media.srtp_keys import reportEnd
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from skypetrunk.wire.sdes import SUITES

MOST_WOUND = 1000 << 16
"""An index up to which libsrtp is led: 15 days of sound."""

MOST_LED = 10_000
"""Packets that lead it to all that was accepted, at most: they take 20 ms, in which no other is relayed."""

Recovered = Callable[[str, int, int], object]
"""Told what is counted, which value was expected, and the one that a packet has."""


class Context:
    """
    One key of the peer, or all that it has declared together.

    @ivar guard: takes its packets.
    @ivar line: of the source heard last; see L{Timeline}.
    @ivar suite: its name.
    @ivar known: what was accepted; that of other contexts, too, with which it has a master key in common.
    """

    __slots__ = (
        "_isLong",
        "_make",
        "_makeOwn",
        "_masters",
        "_own",
        "_ownReports",
        "_plain",
        "_tries",
        "_united",
        "guard",
        "known",
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
        self._make, self._makeOwn = make, makeOwn
        self._own: OwnGuard | None = None
        self._united = False
        self.known = known = Known(now)
        # Those whose RTCP goes to the other guard.
        self._ownReports: set[int] = set()
        # Of sources that are known, of others, and of RTCP.
        self._tries = Tries(), Tries(), Tries()
        for each in told:
            known.add(Known.told(each))
        lines, lives = known.lines, known.lives
        led = 0
        for ssrc in sorted(lines, key=lambda each: lines[each].time, reverse=True):
            index = lines[ssrc].index
            led += WINDOW + (index >> 14)
            if index > MOST_WOUND or led > MOST_LED:
                lives.setdefault(ssrc, Life())
        self._plain = make({ssrc: line.index for ssrc, line in lines.items() if ssrc not in lives})
        self.suite = self._plain.suite
        # Are the tags of its RTCP those of the suite, and nothing else?  See L{_openReport}.
        self._isLong = SUITES[self.suite].tagOctets >= SUITES[self.suite].srtcpTagOctets
        self.guard: RTPGuard
        for ssrc in lives:
            self._resumed().skip(ssrc, lines[ssrc].index)
        for ssrc, reporter in known.reporters.items():
            # To the guard that can be told an index: it takes nothing up to theirs.
            self._ownReports.add(ssrc)
            self._resumed().resumeReports(ssrc, reporter.index, seen=True)
        self._arrange()

    @property
    def masters(self) -> frozenset[bytes]:
        """What its master keys are known by."""
        return self._masters

    def guardOf(self, ssrc: int) -> RTPGuard:
        """What takes packets of a source that is known; what others need does not stand before it."""
        return self.guard if ssrc in self.known.lives or ssrc in self.known.gaps else self._plain

    def begin(self) -> None:
        """It is in use from now on: nothing was heard since."""
        self.line = Timeline(None, 0, 0, 0.0)

    def took(self, header: RTPHeader, now: float) -> None:
        """An RTP packet was accepted that is not simply the next one of the source heard last."""
        line = self.known.lines.get(header.ssrc)
        if line is None:
            line = Timeline(header.ssrc, header.sequence, header.timestamp, now)
            self.known.lines[header.ssrc] = line
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
        reporter = self.known.reporters.get(ssrc)
        if self.known.isStranger(ssrc):
            raise PacketRefused("source")
        if reporter is None or ssrc not in self._ownReports:
            try:
                plain = self._plain.rtcp(packet)
            except PacketRefused as refusal:
                if self._isLong:
                    raise
                return self._shortReport(ssrc, packet, refusal)
            self._isLong = True
            mkiOctets = self._plain.mkiOctets if isinstance(self._plain, OwnGuard) else 0
            end = reportEnd(SUITES[self.suite], packet, mkiOctets)
            return self._tookReport(plain, int.from_bytes(packet[end - 4 : end], "big") & LAST_RTCP_INDEX)
        index, plain = self._openReport(packet)
        if not reporter.admits(plain, index):
            raise PacketRefused("replay")
        self._resumed().takeReport(ssrc, index)
        return self._tookReport(plain, index)

    def _shortReport(self, ssrc: int, packet: bytes, refusal: PacketRefused) -> bytes:
        """It was refused by the guard that knows nothing of short tags, for this reason."""
        try:
            index, plain = self._openReport(packet)
        except PacketRefused:
            raise refusal from None
        own, reporter = self._resumed(), self.known.reporters.get(ssrc)
        self._ownReports.add(ssrc)
        own.resumeReports(ssrc, -1 if reporter is None else reporter.index, seen=True)
        own.takeReport(ssrc, index)
        return self._tookReport(plain, index)

    def _openReport(self, packet: bytes) -> tuple[int, bytes]:
        """
        An RTCP compound's index, and what it says.

        The suites whose RTP has tags of 32 bits have 80 for RTCP (RFC 4568 section 6.2.2), but linphone,
        baresip and ffmpeg give it 32.  That is what proves their sound, too; it is taken until one with 80
        has come.

        @raise PacketRefused: it is not authentic.
        """
        own = self._resumed()
        try:
            found = own.openReport(packet)
        except PacketRefused:
            if self._isLong:
                raise
            return own.openReport(packet, SUITES[self.suite].tagOctets)
        self._isLong = True
        return found

    def resumeReport(self, packet: bytes, now: float, recovered: Recovered) -> bytes | None:
        """
        An RTCP compound has an index that was seen: has its sender begun again?  See
        L{skypetrunk.media.reporters}.

        @return: it, decrypted; C{None}: nothing has changed.
        """
        ssrc = int.from_bytes(packet[4:8], "big")
        reporter = self.known.reporters.get(ssrc)
        if reporter is None or not self._tries[2].take(now):
            return None
        own = self._resumed()
        try:
            index, plain = self._openReport(packet)
        except PacketRefused:
            return None
        if not reporter.isNew(plain):
            return None
        recovered("SRTCP index", reporter.index + 1, index)
        reporter.restart()
        self._ownReports.add(ssrc)
        own.resumeReports(ssrc, index)
        own.takeReport(ssrc, index)
        return self._tookReport(plain, index)

    def _tookReport(self, plain: bytes, index: int) -> bytes:
        ssrc = int.from_bytes(plain[4:8], "big")
        reporters = self.known.reporters
        if ssrc not in reporters:
            reporters[ssrc] = Reporter()
            self._arrange()
        reporters[ssrc].took(plain, index)
        return plain

    def resume(self, packet: bytes, now: float, recovered: Recovered, elsewhere: int = 0) -> bytes | None:
        """
        A packet was not what we expected: has its sender another roll-over counter?

        @param elsewhere: the highest index that was accepted of its source under other keys; some go on
            from there (RFC 3711 section 3.3.1), others begin at 0 with a new key (RFC 4568 section 7.1.4).
        @return: it, decrypted; C{None}: nothing has changed.
        """
        try:
            header = parseRTP(packet)
        except PacketRefused:
            return None
        ssrc = header.ssrc
        line, life = self.known.lines.get(ssrc), self.known.lives.get(ssrc)
        if line is None:
            # Nothing of it was accepted, so nothing can be accepted twice: we have come late.
            expected = 0
            counters = [] if self.known.isFull() else _countersLate(elsewhere >> 16)
        else:
            expected = line.index >> 16
            counters = line.counters(header, now, now - self.known.made > OLDEST)
        if life is not None and (life.knows(header.timestamp) or len(life.runs) >= MOST_RUNS):
            return None
        gap = self.known.gaps.get(ssrc)
        if gap is not None and gap.knows(header.timestamp):
            return None
        tries = self._tries[line is None]
        for counter in counters:
            if not tries.take(now):
                return None
            own = self._resumed()
            if own.opens(packet, header, counter):
                recovered("roll-over counter", expected, counter)
                if self._isNew and counter << 16 <= MOST_WOUND:
                    # Nothing is known that would get lost: another guard of the usual kind does.  What was
                    # sent shortly before it may come yet.
                    index = counter << 16 | header.sequence
                    self._plain, self._own = self._make({ssrc: index - WINDOW}), None
                    self.known.lines[ssrc] = Timeline(ssrc, index, header.timestamp, now)
                    self._arrange()
                    return self._plain.rtp(packet)
                self._goOn(header, counter, now)
                return own.rtp(packet)
        return None

    @property
    def _isNew(self) -> bool:
        """Was nothing accepted under it?"""
        return not (self.known.lines or self.known.reporters or self._united)

    def _resumed(self) -> OwnGuard:
        """The guard of the sources that have L{Life}s."""
        if self._own is None:
            self._own = self._makeOwn()
        return self._own

    def _goOn(self, header: RTPHeader, counter: int, now: float) -> None:
        ssrc, index = header.ssrc, counter << 16 | header.sequence
        lines, life = self.known.lines, self.known.lives.setdefault(ssrc, Life())
        line = lines.get(ssrc)
        if line is None:
            line = lines[ssrc] = Timeline(ssrc, index, header.timestamp, now)
        else:
            leaps, back = line.leaps(header.timestamp, now), index < line.index
            if leaps or back:
                life.close(line, back)
            if leaps:
                line.begin(header.timestamp, now)
        line.index = index
        if ssrc in self.known.gaps:
            self.known.gaps[ssrc].begin(header)
        self._resumed().resume(ssrc, counter)
        self._arrange()

    def _give(self, known: Known, seen: dict[int, Seen]) -> None:
        """Add what is known here, and which indices were seen."""
        own = {} if self._own is None else self._own.seen
        plain = self._plain.seen if isinstance(self._plain, OwnGuard) else {}
        for ssrc, line in self.known.lines.items():
            found = (own if ssrc in self.known.lives else plain).get(ssrc)
            seen.setdefault(ssrc, Seen()).addRTP(found, line.index)
        for ssrc, reporter in self.known.reporters.items():
            found = (own if ssrc in self._ownReports else plain).get(ssrc)
            seen.setdefault(ssrc, Seen()).addRTCP(found, reporter.index)
        known.add(self.known)

    def _take(self, known: Known, seen: dict[int, Seen], ownReports: set[int]) -> None:
        """Go on with it: all is decided by the guard that can share it."""
        guard = self._plain if isinstance(self._plain, OwnGuard) else self._resumed()
        guard.seen = seen
        self._plain = self._own = guard
        self.known, self._ownReports, self._united = known, ownReports, True
        if self.line.ssrc is not None:
            self.line = known.lines[self.line.ssrc]
        self._arrange()

    def _arrange(self) -> None:
        """What stands between a packet and its guard, as far as it is wanted."""
        guard: RTPGuard = self._plain
        # What others do to what is common nobody says here.
        if self._own is not None and (self.known.lives or self._united):
            guard = ResumedGuard(guard, self._own, self.known.lives)
        if self.known.gaps:
            guard = GapGuard(guard, self.known.gaps, self._arrange)
        if self._united or self.known.isFull():
            guard = ClosedGuard(guard, self.known)
        self.guard = guard


def unite(contexts: Sequence[Context]) -> None:
    """
    Contexts with master keys in common: what one lets in has a valid tag for the others, too, with another
    suite or MKI.  So from now on they know the same.
    """
    if len({id(each.known) for each in contexts}) == 1:
        return
    known = Known(contexts[0].known.made)
    seen: dict[int, Seen] = {}
    for each in contexts:
        each._give(known, seen)
    ownReports = set(known.reporters)
    for each in contexts:
        each._take(known, seen, ownReports)


def _countersLate(first: int) -> list[int]:
    """Those that a source may have of which nothing was accepted: from C{first} on, or as one from 0."""
    found = (*range(first, first + AHEAD + 1), *range(1, AHEAD + 1))
    return [each for each in dict.fromkeys(found) if each]


__all__ = ["Context", "Recovered", "unite"]
