"""The RTCP of one leg: what its peer reports is read, and reports are made for it where none cross."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from skypetrunk.media.feedback import Feedback, Stream
from skypetrunk.media.reporting import ReportMaker
from skypetrunk.wire.reports import senderTime
from skypetrunk.wire.rtp import parseRTCP

if TYPE_CHECKING:
    from skypetrunk.media.reporting import Sending
    from skypetrunk.media.statistics import Counters
    from skypetrunk.wire.rtp import RTCPPacket


class ReportingLeg(ABC):
    """
    What a leg has of it.

    @ivar feedback: what its peer reports.
    """

    received: Counters
    sent: Counters
    _other: ReportingLeg | None
    _sending: bool
    _seconds: Callable[[], float]

    def _beginReports(self, cname: bytes) -> None:
        """@param cname: names us in RTCP."""
        self._cname = cname
        self.feedback = Feedback()
        self._reports = ReportMaker(cname)

    def report(self, now: float) -> None:
        """An interval is over: a report of our own, where there is something to say and nobody else does."""
        self.sync()
        others = self._other.received.packets if self._other is not None and self._sending else 0
        if not self._reports.isDue(self.received.packets, others, self.sent.packets, now):
            return
        ssrc = self._sentSSRC()
        if ssrc is not None:
            reception = self.received.reception
            self._sendReport(self._reports.make(ssrc, self._sentSoFar(now), reception, self.feedback, now))

    def _heardReports(self, packets: Sequence[RTCPPacket], now: float) -> None:
        """A compound of the peer came."""
        ssrc, other = self._sentSSRC(), self._other
        stream = None
        if ssrc is not None and other is None:
            stream = Stream(ssrc, None, None, 0, 0.0)
        elif ssrc is not None and other is not None:
            reception, beyond = other.received.reception, other.feedback.roundTrip or 0.0
            stream = Stream(ssrc, reception.codec, reception.tick, reception.lost, beyond)
        self.feedback.heard(packets, stream, now)

    def _reportCrossed(self, compound: bytes) -> None:
        """A compound of the other side's peer left for this leg's."""
        now = self._seconds()
        self._reports.crossed = now
        time = senderTime(parseRTCP(compound)[0])
        if time is not None:
            self.feedback.left(time, now, own=False)

    @abstractmethod
    def sync(self) -> None:
        """Before counters, or numbers of a stream, are read."""

    @abstractmethod
    def _sentSSRC(self) -> int | None:
        """Of the stream that the peer gets from us; C{None}: there is none."""

    @abstractmethod
    def _sentSoFar(self, now: float) -> Sending | None:
        """How far that stream is; C{None}: nothing was sent."""

    @abstractmethod
    def _sendReport(self, compound: bytes) -> None:
        """A compound of our own leaves."""


__all__ = ["ReportingLeg"]
