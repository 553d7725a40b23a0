"""
The carrier side where SRTP is taken from a peer that can do it, and RTP in clear from one that cannot
(opportunistic SRTP, RFC 8643).

Until the peer has answered nobody knows which it will be: what comes waits.  Then the leg is a L{SecureLeg},
or hands all on to a L{PlainLeg} with the same ports and counters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from skypetrunk.interfaces import ANY_PATH, LegStatistics, MediaPath
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.port import MediaPort
from skypetrunk.media.secure import SecureLeg

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys
    from skypetrunk.media.context import Context
    from skypetrunk.media.reporting import Sending
    from skypetrunk.media.source import Address, AuthenticatedSource, SignalledSource
    from skypetrunk.media.stream import OutboundStream
    from skypetrunk.wire.rtp import RTPHeader
    from skypetrunk.wire.sdes import MasterKey


class EitherLeg(SecureLeg):
    """A leg that is SRTP or RTP in clear, as was agreed last."""

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        giveBack: Callable[[], None],
        path: MediaPath = ANY_PATH,
    ) -> None:
        super().__init__(name, clock, entropy, giveBack, path)
        self._plain = PlainLeg(name, clock, entropy, lambda: None, path)
        self._plain.received, self._plain.sent = self.received, self.sent
        self._plain.feedback, self._plain._reports = self.feedback, self._reports
        self._plain.way = self.way
        self._clear = False

    def openPorts(self) -> tuple[MediaPort, MediaPort]:
        """The ports are those of both."""
        self._plain.rtpPort, self._plain.rtcpPort = ports = super().openPorts()
        return ports

    def setClear(self) -> None:
        """What came early is heard now, from the signalled host only."""
        if self._clear or self._released:
            return
        self.takeBack()
        self._clear = True
        self._forgetRefused()
        self._takeEarly()

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """It is SRTP from now on."""
        self._clear = False
        super().setLocalKey(suite, key, ssrc)

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """It is SRTP from now on."""
        self._clear = False
        super().setRemoteKey(suite, key, declared)

    def statistics(self) -> LegStatistics:
        """It was secure if what was agreed last is."""
        secure = not self._clear and self.suite is not None
        suite = self.suite if secure else None
        return self._seen(secure, suite)

    # What both have to know

    def setSending(self, sending: bool) -> None:
        """Whether the agreed direction lets us send."""
        super().setSending(sending)
        self._plain.setSending(sending)

    def _signal(self, rtp: Address | None, rtcp: Address | None) -> None:
        super()._signal(rtp, rtcp)
        self._plain._together = self._together
        self._plain._signal(rtp, rtcp)

    def _ended(self) -> None:
        super()._ended()
        self._plain._ended()
        self._plain._onward = self._plain._other = None

    # The helper

    def usualContext(self, ssrc: int, sequence: int) -> Context | None:
        """See L{SecureLeg}: no SRTP is taken off in clear."""
        return None if self._clear else super().usualContext(ssrc, sequence)

    @property
    def stream(self) -> OutboundStream | None:
        """See L{SecureLeg}: in clear there is none of our own."""
        return None if self._clear else super().stream

    # Connected sockets

    @property
    def heardFrom(self) -> SignalledSource | AuthenticatedSource:
        """See L{MediaLeg}."""
        return self._plain._rtp if self._clear else self._rtp

    # Packets

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port."""
        if self._clear:
            # Whom it is joined to may change at any time.
            self._plain._onward = self._onward
            self._plain.rtpReceived(packet, address)
        else:
            super().rtpReceived(packet, address)

    def rtcpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTCP port."""
        if self._clear:
            self._plain._onward, self._plain._other = self._onward, self._other
            self._plain.rtcpReceived(packet, address)
        else:
            super().rtcpReceived(packet, address)

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """The PBX sent a packet."""
        if self._clear:
            self._plain.sendRTP(packet, header, now)
        else:
            super().sendRTP(packet, header, now)

    def sendRTCP(self, compound: bytes) -> None:
        """The PBX sent a compound."""
        if self._clear:
            self._plain.sendRTCP(compound)
        else:
            super().sendRTCP(compound)

    def _sentSSRC(self) -> int | None:
        if not self._clear:
            return super()._sentSSRC()
        self._plain._other = self._other
        return self._plain._sentSSRC()

    def _sentSoFar(self, now: float) -> Sending | None:
        if not self._clear:
            return super()._sentSoFar(now)
        self._plain._other = self._other
        return self._plain._sentSoFar(now)

    def _sendReport(self, compound: bytes) -> None:
        if self._clear:
            self._plain._sendReport(compound)
        else:
            super()._sendReport(compound)

    def _sendKeepAlives(self, count: int) -> bool:
        # In clear the PBX's packets must do: one of ours would be of another source.
        return not self._clear and super()._sendKeepAlives(count)


__all__ = ["EitherLeg"]
