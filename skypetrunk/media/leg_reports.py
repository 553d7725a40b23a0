"""
What is known of one leg, and its RTCP: what its peer reports is read, and reports are made for it where none
cross.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from skypetrunk.errors import PacketRefused
from skypetrunk.media.feedback import Feedback, Stream
from skypetrunk.media.glance import Glance, Looks
from skypetrunk.media.quality import legStatistics
from skypetrunk.media.reporting import ReportMaker
from skypetrunk.media.way import Way
from skypetrunk.wire.reports import senderTime
from skypetrunk.wire.rtp import parseRTCP, parseRTP

if TYPE_CHECKING:
    from skypetrunk.interfaces import LegStatistics, MediaAddress
    from skypetrunk.media.counters import Counters
    from skypetrunk.media.lent import Lent
    from skypetrunk.media.onward import Onward
    from skypetrunk.media.reporting import Sending
    from skypetrunk.media.source import Address, AuthenticatedSource, SignalledSource
    from skypetrunk.media.statistics import Reception
    from skypetrunk.wire.rtp import RTCPPacket

STRANGE = 10
"""Packets of strangers that are worth a line in the log: fewer are left over from another call."""


class ReportingLeg(ABC):
    """
    What a leg has of it.

    @ivar feedback: what its peer reports.
    @ivar way: where packets go and come from.
    """

    _log: Logger
    name: str
    secure: bool
    address: MediaAddress
    received: Counters
    sent: Counters
    _other: ReportingLeg | None
    _sending: bool
    _packetTime: int | None
    _rtp: SignalledSource | AuthenticatedSource
    _seconds: Callable[[], float]
    _onward: Onward | None
    heardBy: Lent | None

    def _beginReports(self, cname: bytes) -> None:
        """@param cname: names us in RTCP."""
        self._cname = cname
        self._heardBefore: Reception | None = None
        self.feedback = Feedback()
        self.way = Way()
        self._looks = Looks()
        self._reports = ReportMaker(cname)

    def _stranger(
        self, what: str, strange: int, signalled: str | None, address: Address
    ) -> PacketRefused:
        """
        Nobody of the peer's sent it.  The log gets one line, however many there are.

        @param strange: how many of them so far.
        @param signalled: the host that SDP names.
        """
        self.way.stranger = address[0]
        if strange == STRANGE and signalled is not None:
            self._log.warn(
                "{leg}: {what} from {host} port {port} is refused, as SDP names {signalled}",
                leg=self.name,
                what=what,
                host=address[0],
                port=address[1],
                signalled=signalled,
            )
        return PacketRefused("source")

    def goOn(self) -> None:
        """A leg of a process that is gone has sent to the peer, which counts on in its reports."""
        self.feedback.goesOn = True

    def statistics(self) -> LegStatistics:
        """Counters so far."""
        return self._seen(self.secure, self.suite)

    def _seen(self, secure: bool, suite: str | None) -> LegStatistics:
        """What the leg has seen, as one with or without SRTP."""
        self.sync()
        source = self._rtp.usual()
        host = None if source is None else source[0]
        way = self.way.value(self.address.host, host, self.received, self._seconds())
        return legStatistics(
            self.name,
            secure,
            suite,
            self.received,
            self.sent,
            self.feedback,
            way,
            self._looks,
            self._packetTime,
        )

    def _described(self, host: str | None) -> None:
        """The peer's SDP is taken; C{host} as for L{Way.described}."""
        self.sync()
        self.way.described(host, self.received, self._seconds())

    def report(self, now: float) -> None:
        """An interval is over: a report of our own, where there is something to say and nobody else does."""
        self.sync()
        before = self.way.quietSince
        self.way.look(self.received, now)
        if before != self.way.quietSince and self._looks.isDue():
            self.glance()
        others = self._other.received.packets if self._other is not None and self._sending else 0
        if not self._reports.isDue(self.received.packets, others, self.sent.packets, now):
            return
        ssrc = self._sentSSRC()
        if ssrc is not None:
            reception = self.received.reception
            self._sendReport(self._reports.make(ssrc, self._sentSoFar(now), reception, self.feedback, now))

    def glance(self) -> None:
        """At the next packet of the peer."""
        if self.heardBy is not None:
            self.heardBy.show()
            return
        onward = self._onward
        if onward is not None and not isinstance(onward, Glance):
            self._onward = Glance(self, onward)

    def looked(self, packet: bytes, payloadType: int, now: float) -> None:
        """A packet of the peer in clear, of this payload type when it came, at C{now} (seconds)."""
        header = parseRTP(packet)
        end = -packet[-1] if header.padding else None
        codec = self.received.reception.names.get(payloadType)
        self._looks.at(packet[header.headerLength : end], codec, now)

    def _hears(self, reception: Reception) -> None:
        """What is sent comes from there from now on; what was lost before is nothing to it."""
        before, self._heardBefore = self._heardBefore, reception
        if before is not None and before is not reception:
            self.feedback.explained += before.lost
            self.feedback.disown()

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

    @property
    @abstractmethod
    def suite(self) -> str | None:
        """Name of the SRTP suite, C{None} on a plain leg."""

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
