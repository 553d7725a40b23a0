"""
The compiled helper, F<native/settled.c>: what is usual about a relayed packet, done without Python.

Most packets of a call are like the one before: from the same place, the next one of the same stream, to
the same destination with the same key.  When some in a row were, their direction is lent to the helper, with
the numbers that it needs.  A packet that is anything else ends that, and so does everything that signalling
changes: what the helper counted is added to what the legs have, and the packet goes the way it would have
gone without the helper.  The legs know all that there is to know; the helper can do nothing that they cannot.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorFDSet

from skypetrunk.errors import LocalError
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.poller import PolledPort, Poller, Received
from skypetrunk.media.port import CLOSED, MediaPort
from skypetrunk.media.relay import UNSENT, MediaLeg
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.srtp import InPlaceGuard
from skypetrunk.media.statistics import Usual
from skypetrunk.media.stream import REORDERING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP

    from skypetrunk.media.helper import Helper
    from skypetrunk.media.roll_over import Timeline
    from skypetrunk.media.source import Address
    from skypetrunk.media.stream import OutboundStream

CALM = 8
"""Packets in a row that Python relays before a direction is lent: lending costs as much as one."""


def mediaReactor(reactor: IReactorUDP, clock: IReactorTime, helper: Helper | None) -> IReactorUDP:
    """
    What to open media ports with: a L{Poller} where system and reactor can have one, else C{reactor}.

    @param clock: as the legs have it.
    """
    if not (hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)):
        return reactor
    return Poller(reactor, clock) if helper is None else SettlingPoller(reactor, clock, helper)


class SettlingPoller(Poller):
    """
    A L{Poller} that lends to the helper what it can do.  One time is taken for all that it relays in a turn.

    @ivar helper: see there.
    @ivar reader: what the helper knows of this poller; NULL before the first port.
    """

    def __init__(self, reactor: Any, clock: IReactorTime, helper: Helper) -> None:
        super().__init__(reactor, clock)
        self.helper = helper
        self.reader: Any = helper.ffi.NULL
        # By descriptor of an RTP port: the port, how many packets it still needs, and what is lent.
        self._ports: dict[int, MediaPort] = {}
        self._calm: dict[int, int] = {}
        self._lent: dict[int, Settled] = {}

    def adopt(
        self, opened: socket.socket, protocol: Any, maxPacketSize: int, lent: bool = False
    ) -> IListeningPort:
        """See L{Poller.adopt}."""
        listening = super().adopt(opened, protocol, maxPacketSize, lent)
        ffi, lib = self.helper
        if not self.reader:
            assert self._epoll is not None
            self.reader = ffi.gc(lib.settled_open(self._epoll.fileno()), lib.settled_close)
            self._packet = ffi.buffer(self.reader.packet)
        if isinstance(protocol, MediaPort) and protocol.leg and protocol is protocol.leg.rtpPort:
            descriptor = opened.fileno()
            self._ports[descriptor], self._calm[descriptor] = protocol, CALM
        return listening

    def forget(self, descriptor: int) -> None:
        """The socket of a port is about to be closed."""
        lent = self._lent.get(descriptor)
        if lent is not None:
            lent.takeBack()
        self._ports.pop(descriptor, None)
        self._calm.pop(descriptor, None)
        super().forget(descriptor)

    def _read(self, rests: int) -> int:
        """See L{Poller}; it is the helper that rests."""
        (ffi, lib), reader, readers = self.helper, self.reader, self._readers
        lib.settled_begin(reader, self._seconds(), rests)
        while what := lib.settled_next(reader):
            descriptor = reader.descriptor
            if what == lib.SETTLED_REFUSED:
                readers[descriptor][3].connectionRefused()
            elif what == lib.SETTLED_DATAGRAM:
                self._lent[descriptor].takeBack()
                self._calm[descriptor] = CALM
                address = ffi.string(reader.host).decode("ascii"), reader.port
                self._received(readers[descriptor][2], self._packet[: reader.length], address, descriptor)
            elif descriptor in readers:
                opened, size, received, protocol = readers[descriptor]
                try:
                    datagram, address = opened.recvfrom(size)
                except ConnectionRefusedError:
                    protocol.connectionRefused()
                except OSError:
                    pass  # read by nobody, or an error of an earlier packet: there will be others
                else:
                    self._received(received, datagram, address, descriptor)
        count: int = reader.count
        return count

    def _received(self, received: Received, datagram: bytes, address: Any, descriptor: int) -> None:
        received(datagram, address)
        calm = self._calm.get(descriptor)
        if calm is None:
            return  # RTCP, or it is over
        leg = self._ports[descriptor].leg
        if leg is not None and leg.sentBy is not None:
            leg.sentBy.look()  # where ours go may have been learned from this packet
        if calm:
            self._calm[descriptor] = calm - 1
        else:
            self._calm[descriptor] = CALM
            self._lend(descriptor)

    def _lend(self, descriptor: int) -> None:
        leg = self._ports[descriptor].leg
        usual = None if leg is None else leg.received.reception.usual()
        joined = None if leg is None or usual is None else leg.joined(usual.payloadType)
        if leg is None or usual is None or joined is None:
            return
        sending, number = joined
        out = sending.rtpPort.transport
        if not isinstance(out, PolledPort) or sending.sentBy is not None:
            return
        path = self.helper.ffi.new("struct settled_path *")
        path.arrival, path.departure = descriptor, out.getHandle().fileno()
        path.own_payload_type = number
        settled: Settled | None = None
        try:
            if type(leg) is PlainLeg and isinstance(sending, SecureLeg):
                settled = Protected.lend(self, path, leg, sending, usual)
            elif isinstance(leg, SecureLeg) and type(sending) is PlainLeg:
                settled = Unprotected.lend(self, path, leg, sending, usual)
        except LocalError:
            return
        if settled is not None and not self.helper.lib.settled_arm(self.reader, path):
            self._lent[descriptor] = settled
            leg.heardBy = sending.sentBy = settled

    def lendSoon(self, descriptor: int) -> None:
        """After the next packet."""
        if descriptor in self._calm:
            self._calm[descriptor] = 0

    def takeBack(self, settled: Settled) -> None:
        """Python reads what comes there."""
        descriptor: int = settled.path.arrival
        self.helper.lib.settled_disarm(self.reader, descriptor)
        del self._lent[descriptor]


class Settled:
    """
    One direction of a call, while it is lent.

    @ivar path: what the helper knows.
    """

    __slots__ = ("_destination", "_guard", "_leg", "_poller", "_sending", "path")

    def __init__(
        self,
        poller: SettlingPoller,
        path: Any,
        leg: MediaLeg,
        sending: MediaLeg,
        guard: InPlaceGuard,
        usual: Usual,
    ) -> None:
        """
        @param leg: whose peer's packets come in.
        @param sending: whose peer they are sent to.
        @param guard: protects or unprotects them, and must live as long as the helper knows its context.
        """
        ffi = poller.helper.ffi
        self.path = path
        self._poller = poller
        self._leg = leg
        self._sending = sending
        self._destination = sending.wayOut
        self._guard = guard
        function, context = guard.addresses
        path.transform = ffi.cast("settled_transform", function)
        path.context = ffi.cast("void *", context)
        path.ssrc, path.sequence, path.payload_type = usual.ssrc, usual.sequence, usual.payloadType
        path.tick, path.transit, path.jitter, path.worst = usual[3:]
        path.connected = sending.rtpPort.peer == self._destination

    def look(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        if self._sending.wayOut != self._destination:
            self.takeBack()
        else:
            self.path.connected = self._sending.rtpPort.peer == self._destination

    def sync(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        path = self.path
        packets = path.packets
        if not packets:
            return
        received, sent = self._leg.received, self._sending.sent
        received.packets += packets
        received.octets += path.octets
        received.reception.went(packets, path.sequence, path.transit, path.jitter, path.worst)
        sent.packets += path.sent
        sent.octets += path.sent_octets
        if path.unsent:
            sent.refuse(UNSENT, path.unsent)
        if path.closed:
            sent.refuse(CLOSED, path.closed)
        self._went(path)
        path.packets = path.octets = path.payload = 0
        path.sent = path.sent_octets = path.unsent = path.closed = 0

    def pause(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        descriptor: int = self.path.arrival
        self.takeBack()
        self._poller.lendSoon(descriptor)

    def takeBack(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        self.sync()
        self._ended(self.path)
        self._poller.takeBack(self)
        self._leg.heardBy = self._sending.sentBy = None

    def _went(self, path: Any) -> None:
        """What only one kind of leg has."""
        raise NotImplementedError

    def _ended(self, path: Any) -> None:
        """What nobody needs to know before."""


class Protected(Settled):
    """RTP of a plain leg, which leaves as SRTP."""

    __slots__ = ("_heard", "_spoke", "_stream")

    @classmethod
    def lend(
        cls, poller: SettlingPoller, path: Any, leg: PlainLeg, sending: SecureLeg, usual: Usual
    ) -> Settled | None:
        """C{None}: something is not as usual."""
        stream = sending.stream
        following = None if stream is None else stream.usual(usual.ssrc, usual.sequence)
        if stream is None or following is None:
            return None
        guard = following.guard
        if not isinstance(guard, InPlaceGuard):
            return None
        if not _addressed(poller, path, leg.usualSource, sending.wayOut):
            return None
        path.own_ssrc, path.own_sequence, path.offset = stream.ssrc, following.sequence, following.offset
        path.timestamp = following.timestamp
        path.recent = following.recent
        settled = cls(poller, path, leg, sending, guard, usual)
        settled._heard, settled._spoke, settled._stream = leg.heard, sending.spoke, stream
        return settled

    _heard: Callable[[float], None]
    _spoke: Callable[[float], None]
    _stream: OutboundStream

    def _went(self, path: Any) -> None:
        now: float = path.time
        self._sending.sent.authenticated += path.sent
        self._heard(now)
        self._spoke(now)
        self._stream.went(path.packets, path.payload, path.timestamp, now)

    def _ended(self, path: Any) -> None:
        self._stream.ended(self._poller.helper.ffi.unpack(path.recent, REORDERING))


class Unprotected(Settled):
    """SRTP of a secure leg, which leaves as RTP."""

    __slots__ = ("_heard", "_line")

    @classmethod
    def lend(
        cls, poller: SettlingPoller, path: Any, leg: SecureLeg, sending: PlainLeg, usual: Usual
    ) -> Settled | None:
        """C{None}: something is not as usual."""
        context = leg.usualContext(usual.ssrc, usual.sequence)
        if context is None or not isinstance(context.guard, InPlaceGuard):
            return None
        if not _addressed(poller, path, leg.usualSource, sending.wayOut):
            return None
        path.secure = 1
        path.timestamp = context.line.newest
        settled = cls(poller, path, leg, sending, context.guard, usual)
        settled._heard, settled._line = leg.heard, context.line
        return settled

    _heard: Callable[[float], None]
    _line: Timeline

    def _went(self, path: Any) -> None:
        self._leg.received.authenticated += path.packets
        self._heard(path.time)
        line = self._line
        line.index += path.packets
        line.newest, line.time = path.timestamp, path.time


def _addressed(
    poller: SettlingPoller, path: Any, source: Address | None, destination: Address | None
) -> bool:
    """Are both known, and such that the helper can compare them?"""
    if source is None or destination is None:
        return False
    found = poller.helper.lib.settled_addresses(
        path, source[0].encode("ascii"), source[1], destination[0].encode("ascii"), destination[1]
    )
    return not found
