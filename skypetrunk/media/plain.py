"""
The PBX side: RTP in clear, heard from the signalled host, or where the PBX is configured to send from.

The carrier's stream is passed on with its own numbers: a PBX takes a new source as any
endpoint does, and its reports then fit the carrier's stream without translation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import LocalError, MalformedSDP, PacketRefused
from skypetrunk.interfaces import ANY_PATH, MediaPath
from skypetrunk.media.multicast import Group, Membership
from skypetrunk.media.probation import Probation
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.reporting import Sending
from skypetrunk.media.reports import unchanged
from skypetrunk.media.source import SignalledSource
from skypetrunk.media.srtp import DATAGRAM_LIMIT
from skypetrunk.wire.rtp import RTPHeader, parseRTCP, parseRTP

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys, MediaAddress
    from skypetrunk.media.source import Address
    from skypetrunk.wire.sdes import MasterKey

_RTP_HEADER = 12
"""Octets of a header without CSRCs and extensions, as nearly all are."""

RTCP_RATE = 50
"""Compounds taken in a second; there is one in five of them (RFC 3550 section 6.2)."""


class PlainLeg(MediaLeg):
    """A leg without SRTP."""

    secure = False
    suite = None

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        giveBack: Callable[[], None],
        path: MediaPath = ANY_PATH,
    ) -> None:
        super().__init__(name, clock, entropy, giveBack)
        # Stands for us in reports while nothing is sent.
        self._ssrc = int.from_bytes(entropy(4), "big")
        self._path = path
        self._rtp: SignalledSource = SignalledSource(path)
        self._rtcp: SignalledSource = SignalledSource(path)
        self._strange = 0
        # Since when compounds are counted, and how many came.
        self._second = 0.0
        self._compounds = 0
        self._probation = Probation()
        self.group = path.group
        self.connects = path.symmetric and path.group is None
        self._membership: Membership | None = None
        # Set by the plane where there is a group.
        self.joinGroup: Callable[[MediaLeg, Group], Membership] | None = None

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port."""
        if self.heardBy is not None:
            self.heardBy.takeBack()  # it came by another socket: that of a group
        if address[0] != self._rtp.host and not self._rtp.allows(address[0]):
            self._strange += 1
            raise self._stranger("audio", self._strange, self._rtp.host, address)
        if len(packet) > DATAGRAM_LIMIT:
            raise PacketRefused("size")
        # What is no RTP packet must not move the latch.
        header = parseRTP(packet)
        now = self._seconds()
        if not self._rtp.accepts(address, now):
            raise PacketRefused("source")
        if self.received.reception.follows(header):
            self._probation.taken = now
            self._taken(packet, header, now)
            return
        for each in self._probation.proven(packet, header, now, self.received):
            self._taken(*each)

    def _taken(self, packet: bytes, header: RTPHeader, now: float) -> None:
        received = self.received
        received.packets += 1
        received.octets += len(packet)
        received.reception.received(header, now)
        if self._onward is not None:
            self._onward.sendRTP(packet, header, now)

    def rtcpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTCP port."""
        if address[0] != self._rtcp.host and not self._rtcp.allows(address[0]):
            raise PacketRefused("source")
        self.sync()
        packets, now = parseRTCP(packet), self._seconds()
        if not self._rtcp.accepts(address, now):
            raise PacketRefused("source")
        if now - self._second >= 1.0:
            self._second, self._compounds = now, 0
        self._compounds += 1
        if self._compounds > RTCP_RATE:
            raise PacketRefused("rate")
        self._heardReports(packets, now)
        if self._onward is not None:
            self._onward.sendRTCP(self.feedback.crossing(packet, packets))
        self.received.rtcpPackets += 1

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """Pass a packet on as it is."""
        destination = self._rtp.destination
        if destination is not None and self._sending:
            self._transmit(packet, destination)

    def sendRTCP(self, compound: bytes) -> None:
        """Pass on what of a compound may cross."""
        destination = self._controlWay
        if destination is None:
            return
        kept = unchanged(compound, self._cname)
        if kept:
            self._transmitRTCP(kept, destination)
            self._reportCrossed(kept)

    def _sentSSRC(self) -> int | None:
        """The other side's numbers are passed on."""
        source = None if self._other is None else self._other.received.reception.current
        return self._ssrc if source is None else source.ssrc

    def _sentSoFar(self, now: float) -> Sending | None:
        reception = None if self._other is None else self._other.received.reception
        if reception is None or reception.tick is None or reception.timestamps is None:
            return None
        timestamp = int((now - reception.timestamps) / reception.tick)
        sent = self.sent
        return Sending(timestamp, sent.packets, sent.octets - _RTP_HEADER * sent.packets)

    def _sendReport(self, compound: bytes) -> None:
        destination = self._controlWay
        if destination is not None:
            self._transmitRTCP(compound, destination)

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """There is no key here."""
        raise LocalError(f"{self.name} is a plain leg")

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """There is no key here."""
        raise LocalError(f"{self.name} is a plain leg")

    def heard(self, now: float) -> None:
        """Packets came from there, the last one at C{now} (seconds)."""
        self._rtp.went(now)
        self._probation.taken = now

    def _takePart(self, address: MediaAddress) -> None:
        group: Group | None = None
        if address.host == self.group:
            group = Group(
                address.host, address.port, address.rtcpPort, 1 if address.ttl is None else address.ttl
            )
        before = self._membership
        if group == (None if before is None else before.group):
            return
        if group is None:
            self._membership = None
        elif self.joinGroup is None:
            raise MalformedSDP("there is no multicast here", warning=301)
        else:
            self._membership = self.joinGroup(self, group)
        if before is not None:
            before.leave()

    def _ended(self) -> None:
        membership, self._membership, self.joinGroup = self._membership, None, None
        if membership is not None:
            membership.leave()
        self._probation.end(self._seconds(), self.received)

    def _signal(self, rtp: Address | None, rtcp: Address | None) -> None:
        self._rtp.signal(rtp)
        self._rtcp.signal(rtcp)
