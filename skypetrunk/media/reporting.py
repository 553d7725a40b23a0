"""
Reports that we make ourselves, where the other side's peer makes none that could cross (RFC 3550 section 6).

Without them a peer never learns how its sound arrives here, and some take a call without RTCP for dead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.wire.reports import ReportBlock, SenderInfo, middle, writeReport

if TYPE_CHECKING:
    from skypetrunk.media.feedback import Feedback
    from skypetrunk.media.statistics import Reception

INTERVAL = 5.0
"""Seconds: the least interval between reports (section 6.2), which two parties in a call never outgrow."""

QUIET = 12.5
"""Seconds without a report that crossed, after which we make our own: two of the longest intervals."""

COMPENSATION = 1.21828
"""Section 6.3.1: e - 3/2, by which the drawn interval is divided."""

SLOT = 0.25
"""Seconds between looks at who is due: so many reports of many calls never leave in one go."""

_SLOTS = 32


class Sending(NamedTuple):
    """
    The stream that a leg sends.

    @ivar timestamp: of RTP, now.
    @ivar packets: sent so far; C{octets}: of their payload.
    """

    timestamp: int
    packets: int
    octets: int


class ReportMaker:
    """
    Makes the reports of one leg.

    @ivar crossed: when the last report crossed to this leg (seconds); the relay writes it.
    """

    __slots__ = ("_before", "_cname", "_counted", "_expected", "_received", "_sends", "_ssrc", "crossed")

    def __init__(self, cname: bytes) -> None:
        self._cname = cname
        self.crossed: float | None = None
        self._counted = (0, 0, 0)
        self._sends = False
        # What the last report said of: the source, its packets expected and received.
        self._ssrc: int | None = None
        self._expected = self._received = 0
        # What was sent, and in how many packets and octets, before the SSRC that is sent came into use.
        self._before: tuple[int, int, int] | None = None

    def isDue(self, received: int, others: int, sent: int, now: float) -> bool:
        """
        Is there media, and has nothing crossed for long enough?

        @param received: RTP packets so far; C{others}: of the other side's peer; C{sent}: to this one, of
            which some only keep the way open.
        """
        before, self._counted = self._counted, (received, others, sent)
        hears, heard, sends = (now != then for now, then in zip(self._counted, before, strict=True))
        self._sends = heard and sends
        if not hears and not self._sends:
            return False
        if self.crossed is None:
            # The media begins: whoever reports is given the time to.
            self.crossed = now
        return now - self.crossed >= QUIET

    def make(
        self, ssrc: int, sending: Sending | None, reception: Reception, feedback: Feedback, now: float
    ) -> bytes:
        """
        A report, SR where something was sent since the last interval, RR elsewhere, with a description.

        @param ssrc: ours.
        @param sending: what we send; C{None}: nothing yet.
        @param reception: what this leg's peer sends; C{feedback}: what it reports.
        @param now: seconds since 1970.
        """
        info = None
        if sending is not None and self._sends:
            if self._before is None:
                self._before = (ssrc, 0, 0)
            elif self._before[0] != ssrc:
                self._before = (ssrc, sending.packets, sending.octets)
            _, packets, octets = self._before
            info = SenderInfo(now, sending.timestamp, sending.packets - packets, sending.octets - octets)
            feedback.left(middle(now), now, own=True)
        block = self._block(reception, feedback, now)
        return writeReport(ssrc, info, () if block is None else (block,), self._cname)

    def _block(self, reception: Reception, feedback: Feedback, now: float) -> ReportBlock | None:
        """RFC 3550 A.3: of the source heard last."""
        source = reception.current
        if source is None:
            return None
        if source.ssrc != self._ssrc or source.expected < self._expected:
            self._ssrc, self._expected, self._received = source.ssrc, 0, 0
        expected, received = source.expected - self._expected, source.received - self._received
        self._expected, self._received = source.expected, source.received
        lost = expected - received
        fraction = 0 if lost <= 0 else min(256 * lost // expected, 255)
        tick = reception.ticks.get(source.payloadType)
        last, delay = 0, 0
        if feedback.senderReport is not None and feedback.senderReport[0] == source.ssrc:
            _, last, came = feedback.senderReport
            delay = int((now - came) * 65536)
        return ReportBlock(
            source.ssrc,
            fraction,
            source.expected - source.received,
            source.extended,
            0 if tick is None else int(source.jitter / tick),
            last,
            delay,
        )


class Reporter(Protocol):
    """A leg, as the clock knows it."""

    def report(self, now: float) -> None:
        """An interval is over."""


class ReportClock:
    """When each leg's interval is over: one timer for all of them, which stands still without legs."""

    def __init__(self, clock: IReactorTime, entropy: Callable[[int], bytes]) -> None:
        """
        @param entropy: that many random octets.
        """
        self._clock = clock
        self._entropy = entropy
        # Dictionaries for their order: who is drawn for first does not depend on where it lies in memory.
        self._slots: list[dict[Reporter, None]] = [{} for _ in range(_SLOTS)]
        self._places: dict[Reporter, int] = {}
        self._place = 0
        self._next: IDelayedCall | None = None

    def add(self, reporter: Reporter) -> None:
        """From now on; half an interval at first (section 6.2)."""
        self._put(reporter, INTERVAL / 2)
        if self._next is None:
            self._next = self._clock.callLater(SLOT, self._tick)

    def remove(self, reporter: Reporter) -> None:
        """No more."""
        place = self._places.pop(reporter, None)
        if place is not None:
            self._slots[place].pop(reporter, None)
        if not self._places and self._next is not None:
            self._next.cancel()
            self._next = None

    def _put(self, reporter: Reporter, interval: float) -> None:
        """Section 6.3.1: between half and one and a half of the interval."""
        drawn = (0.5 + int.from_bytes(self._entropy(2), "big") / 0x10000) * interval / COMPENSATION
        self._places[reporter] = place = (self._place + max(1, round(drawn / SLOT))) % _SLOTS
        self._slots[place][reporter] = None

    def _tick(self) -> None:
        self._next = self._clock.callLater(SLOT, self._tick)
        self._place = (self._place + 1) % _SLOTS
        due, self._slots[self._place] = self._slots[self._place], {}
        now = self._clock.seconds()
        for reporter in due:
            self._put(reporter, INTERVAL)
            reporter.report(now)


__all__ = ["ReportClock", "ReportMaker", "Reporter", "Sending"]
