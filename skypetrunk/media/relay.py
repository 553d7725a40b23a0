"""
One side of a call's media, and how two of them are joined.

A leg decides what to believe of its own peer, and hands on plain RTP; what its peer
must see of the other side's packets is the sending leg's own work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from errno import EDESTADDRREQ
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.errors import LocalError, MalformedSDP
from skypetrunk.interfaces import IMediaLeg, LegStatistics, MediaAddress
from skypetrunk.media.counters import Counters
from skypetrunk.media.fax import FaxLeg
from skypetrunk.media.key_events import KeySender, KeysHeard, typesOf
from skypetrunk.media.onward import Onward, Show, Tapped
from skypetrunk.media.port import CLOSED, UNSENT, MediaPort
from skypetrunk.media.renumbering import NOTHING, Numbers, Renumbered
from skypetrunk.media.source import signalledHost
from skypetrunk.media.statistics import meanings
from skypetrunk.wire.address import literal
from skypetrunk.wire.rtp import isRTCP
from skypetrunk.wire.telephone_event import KeyReader

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys
    from skypetrunk.media.heard import Heard
    from skypetrunk.media.lent import Lent
    from skypetrunk.media.source import Address, AuthenticatedSource, SignalledSource
    from skypetrunk.wire.rtp import RTPHeader
    from skypetrunk.wire.sdes import MasterKey
__all__ = ["UNSENT", "MediaLeg", "MediaPort", "Onward", "Show", "Tapped"]


@implementer(IMediaLeg)
class MediaLeg(FaxLeg):
    """
    What plain and secure legs have in common.

    @ivar name: for logs and statistics.
    @ivar address: what our SDP says.
    @ivar received: counters of what came in.
    @ivar sent: counters of what went out.
    @ivar group: the one multicast group that the peer may name.
    @ivar connects: may the socket be connected to the peer?
    @ivar heardBy: the helper, while it takes what the peer sends.
    @ivar sentBy: the helper, while it sends to the peer.
    @ivar lost: a leg of this process loses nothing.
    """

    _log = Logger()
    secure: bool
    lost = False
    group: str | None = None
    connects = False

    def __init__(
        self, name: str, clock: IReactorTime, entropy: Callable[[int], bytes], giveBack: Callable[[], None]
    ) -> None:
        """
        @param entropy: that many random octets.
        @param giveBack: closes both ports.
        """
        self.name = name
        self.received = Counters()
        self.sent = Counters()
        self.rtpPort: MediaPort
        self.rtcpPort: MediaPort
        self._rtp: SignalledSource | AuthenticatedSource
        self._rtcp: SignalledSource | AuthenticatedSource
        self._seconds = clock.seconds
        self._giveBack = giveBack
        self._other: MediaLeg | None = None
        self._onward: Onward | None = None
        self._show: Show | None = None
        self._numbers = NOTHING
        self._packetTime: int | None = None
        self._clock, self._entropy = clock, entropy
        self._keySender: KeySender | None = None
        self._keyReader: KeyReader | None = None
        self._keysHeard: Callable[[str], None] | None = None
        # RTP and RTCP over one port (RFC 5761).
        self._together = False
        self._sending = True
        self._released = self._failed = False
        self._family = 4
        self.heardBy: Lent | None = None
        self.sentBy: Lent | None = None
        # Short-lived and random: says nothing of us or of the other side (RFC 7022).
        self._beginReports(entropy(12).hex().encode("ascii"))

    def openPorts(self) -> tuple[MediaPort, MediaPort]:
        """New ports, not yet bound: one that the reactor closes cannot be bound again at once."""
        self.rtpPort = MediaPort(self.rtpReceived, self)
        self.rtcpPort = MediaPort(self.rtcpReceived, self)
        return self.rtpPort, self.rtcpPort

    def bound(self, host: str, advertised: str, port: int) -> None:
        """Both ports are bound on C{host}; C{advertised} is what the peer is told."""
        self.way.bound = host
        self._family = literal(host).version
        self.address = MediaAddress(advertised, port, port + 1)

    def join(self, other: MediaLeg | None, show: Show | None = None) -> None:
        """
        Hand what comes in to C{other} from now on.

        @param show: gets the RTP of it too.
        """
        self.takeBack()
        before, self._other, self._show = self._other, other, show
        if other is not None:
            self._hears(other.received.reception)
        self._arrange()
        if before is not None and before is not other and before._other is self:
            before._other = before._onward = None

    def _arrange(self) -> None:
        """What has to stand between this leg and the other one, and nothing else."""
        self.takeBack()
        other = self._other
        if other is None:
            self._onward = None
            return
        other.takeBack()
        onward: Onward = other if other._keySender is None else other._keySender
        numbers = self._numbers.towards(other._numbers)
        if numbers:
            onward = Renumbered(self, onward, numbers, other.feedback)
        if self._keysHeard is not None and self._numbers.events and not other._numbers.agreedEvents:
            self._keyReader = self._keyReader or KeyReader()
            told = self._numbers.events, self._keyReader, self._keysHeard
            onward = KeysHeard(onward, *told, other.feedback)
        self._onward = onward if self._show is None else Tapped(self, onward, self._show)

    def sync(self) -> None:
        """Before counters, or numbers of a stream, are read."""
        for lent in (self.heardBy, self.sentBy):
            if lent is not None:
                lent.sync()

    def takeBack(self) -> None:
        """Before anything changes of what the helper was told."""
        for lent in (self.heardBy, self.sentBy):
            if lent is not None:
                lent.takeBack()

    def untap(self, tapped: Tapped) -> None:
        """C{tapped} has no more to do."""
        if self._onward is tapped:
            self._show = None
            self._arrange()

    def setRemote(self, address: MediaAddress | None) -> None:
        """
        Where the peer's SDP says it receives.

        @raise MalformedSDP: not a literal address, or one of the other family; nothing has changed.
        """
        self.takeBack()
        host = rtcpHost = None
        if address is not None and address.port:
            host = self._reached(address.host)
            rtcpHost = host if address.rtcpHost is None else self._reached(address.rtcpHost)
            if host is not None:
                self._takePart(address)
        # Nothing is refused from here on.
        self._soundAgain()
        self.rtpPort.disconnect()
        self._described(host)
        if address is None or host is None:
            self._signal(None, None)
            return
        rtcp = (rtcpHost, address.rtcpPort) if rtcpHost is not None and address.rtcpPort else None
        self._together = rtcp == (host, address.port)
        if not self._released:
            self._hearSound()
        self._signal((host, address.port), rtcp)

    def _hearSound(self) -> None:
        self.rtpPort.hear(self._eitherReceived if self._together else self.rtpReceived)
        self.rtcpPort.receive = self.rtcpReceived

    def _reached(self, host: str) -> str | None:
        """A host of the peer's SDP as packets come from it; C{None} for C{0.0.0.0}."""
        try:
            signalled, version, unspecified, multicast = signalledHost(host)
        except ValueError:
            # A name would be looked up, waiting, by the first packet sent there.
            text = f"media address {host!r} is not a literal address"
            raise MalformedSDP(text, warning=301) from None
        if unspecified:
            return None
        if version != self._family or (multicast and host != self.group):
            text = f"media address {signalled} cannot be reached from {self.address.host}"
            raise MalformedSDP(text, warning=301)
        return signalled

    def setSending(self, sending: bool) -> None:
        """Whether the agreed direction lets us send media to this peer."""
        self.takeBack()
        self._sending = sending

    def setClear(self) -> None:
        """
        There is to be no SRTP.

        @raise LocalError: there has to be.
        """
        if self.secure:
            raise LocalError(f"{self.name} is a secure leg")

    def setPayloadTypes(self, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """The numbers of our description and of the peer's, with their encodings."""
        self.takeBack()
        reception = self.received.reception
        reception.ticks, reception.names = meanings((*theirs.items(), *ours.items()))
        numbers = Numbers.of(ours, theirs, self._numbers)
        if numbers is self._numbers:
            return
        self._numbers = numbers
        self._arrange()
        if self._other is not None and self._other._other is self:
            self._other._arrange()

    def hearKeys(self, heard: Callable[[str], None] | None) -> None:
        """See L{IMediaLeg}."""
        if heard is not self._keysHeard:
            self._keysHeard = heard
            self._arrange()

    def sendKey(self, key: str, milliseconds: int) -> None:
        """See L{IMediaLeg}."""
        if self._released or not self._sending or not self._numbers.agreedEvents:
            return
        if self._keySender is None:
            self._keySender = KeySender(self, self._clock, self._entropy, partial(typesOf, self))
            if self._other is not None:
                self._other._arrange()
        both = self._other is not None and bool(self._other._numbers.agreedEvents)
        self._keySender.press(key, milliseconds, both)

    def setPacketTime(self, milliseconds: int | None) -> None:
        """What the peer wants in a packet."""
        self._packetTime = milliseconds

    def release(self) -> LegStatistics:
        """Close both ports, give them back; the final counters."""
        if not self._released:
            self._released = True
            self.join(None)
            self._keysHeard = None
            if self._keySender is not None:
                self._keySender.stop()
            self._ended()
            self._giveBack()
            self.rtpPort.forget()
            self.rtcpPort.forget()
        return self.statistics()

    def packetFailed(self) -> None:
        """
        Called while an exception that nobody foresaw is handled.  The first one of a leg is
        logged; all are counted.
        """
        self.received.refuse("malformed")
        if not self._failed:
            self._failed = True
            self._log.failure("Media packet of {leg} failed", leg=self.name)

    def _transmit(self, packet: bytes, destination: Address, again: bool = True) -> bool:
        """An RTP packet leaves."""
        sent, port = self.sent, self.rtpPort
        try:
            if destination is port.peer:
                port.write(packet)
            else:
                port.send(packet, destination)
        except OSError as error:
            if again and isinstance(error, ConnectionRefusedError):
                # That was the one before.  This one has not left yet, and is no worse for it.
                sent.refuse(CLOSED)
                return self._transmit(packet, destination, again=False)
            if port.peer is not None and error.errno == EDESTADDRREQ:
                port.disconnect()  # another process that has the socket, too, has done so
                return self._transmit(packet, destination, again)
            sent.refuse(UNSENT)
            return False
        sent.packets += 1
        sent.octets += len(packet)
        return True

    def _transmitRTCP(self, packet: bytes, destination: Address, again: bool = True) -> None:
        """An RTCP compound leaves."""
        try:
            (self.rtpPort if self._together else self.rtcpPort).send(packet, destination)
        except OSError as error:
            if again and isinstance(error, ConnectionRefusedError):
                self.sent.refuse(CLOSED)
                self._transmitRTCP(packet, destination, again=False)
            else:
                self.sent.refuse(UNSENT)
        else:
            self.sent.rtcpPackets += 1

    @property
    def _controlWay(self) -> Address | None:
        """Where RTCP is sent now."""
        return (self._rtp if self._together else self._rtcp).destination

    def _eitherReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the one port of both: the second octet says what it is."""
        (self.rtcpReceived if isRTCP(packet) else self.rtpReceived)(packet, address)

    def joined(self, payloadType: int) -> tuple[MediaLeg, int] | None:
        """The leg that gets such packets of the peer, and their number there; C{None}: none, or a tap."""
        other, onward = self._other, self._onward
        number = payloadType if onward is other else None
        if isinstance(onward, Renumbered):
            number = onward.numberOf(payloadType)
        return None if other is None or number is None or self.faxing else (other, number)

    @property
    def accepted(self) -> tuple[Heard, ...]:
        """What was accepted of the peer, for each of its keys; the latest last."""
        return ()

    @property
    def unheard(self) -> bool:
        """See L{skypetrunk.interfaces.IMediaLeg}; without SRTP no peer loses count."""
        return False

    @property
    def wayOut(self) -> Address | None:
        """Where RTP of the other leg is sent now."""
        return self._rtp.destination if self._sending else None

    @property
    def usualSource(self) -> Address | None:
        """Where the last packet came from, while the next one from there is the peer's, too."""
        return self.heardFrom.usual()

    @property
    def steadyPeer(self) -> Address | None:
        """Where the peer is, if that is where its SDP says, and ours go there."""
        return self.heardFrom.steady

    @property
    def heardFrom(self) -> SignalledSource | AuthenticatedSource:
        """Where RTP comes from."""
        return self._rtp

    @property
    @abstractmethod
    def suite(self) -> str | None:
        """Name of the SRTP suite, C{None} on a plain leg."""

    @abstractmethod
    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port.  Raises L{PacketRefused}."""

    @abstractmethod
    def rtcpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTCP port.  Raises L{PacketRefused}."""

    @abstractmethod
    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """The other side's peer sent an RTP packet.  Never raises."""

    @abstractmethod
    def sendRTCP(self, compound: bytes) -> None:
        """The other side's peer sent an RTCP compound.  Raises L{PacketRefused} for what is malformed."""

    @abstractmethod
    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """The key we protect with."""

    @abstractmethod
    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """The key the peer protects with."""

    @abstractmethod
    def _signal(self, rtp: Address | None, rtcp: Address | None) -> None:
        """The peer's SDP names these addresses."""

    def _takePart(self, address: MediaAddress) -> None:  # noqa: B027
        """C{address} may be L{group}, or not any more.  Raises L{MalformedSDP}, and nothing has changed."""

    def _ended(self) -> None:  # noqa: B027
        """The leg is being released: let go of timers and keys, where there are any."""
