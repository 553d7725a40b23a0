"""
Pollers that lend what is usual: see L{skypetrunk.media.settled}.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorFDSet

from skypetrunk.errors import LocalError
from skypetrunk.media.connecting import heardEverybodyElse
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.poller import Came, PolledPort, Poller, Reader
from skypetrunk.media.port import MediaPort
from skypetrunk.media.python_path import PythonPath
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.settled import Protected, Settled, Unprotected
from skypetrunk.media.stream import REORDERING
from skypetrunk.wire.sdes import SUITES

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP

    from skypetrunk.media.helper import Helper
    from skypetrunk.media.relay import MediaLeg
    from skypetrunk.media.source import Address
    from skypetrunk.media.srtp import InPlaceGuard

CALM = 8
"""Packets in a row that go the long way before a direction is lent: lending costs as much as one."""


def mediaReactor(reactor: IReactorUDP, clock: IReactorTime, helper: Helper | None) -> IReactorUDP:
    """
    What to open media ports with: a L{SettlingPoller} where system and reactor can have one, else C{reactor}.

    @param clock: as the legs have it.
    """
    if not (hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)):
        return reactor
    return SettlingPoller(reactor, clock) if helper is None else HelpedPoller(reactor, clock, helper)


class SettlingPoller(Poller):
    """
    A L{Poller} that lends what is usual, to Python.  One time is taken for all that comes in a turn.
    """

    def __init__(self, reactor: Any, clock: IReactorTime) -> None:
        super().__init__(reactor, clock)
        # By descriptor of an RTP port: how many packets it still needs.
        self._calm: dict[int, int] = {}

    def adopt(
        self, opened: socket.socket, protocol: Any, maxPacketSize: int, lent: bool = False
    ) -> IListeningPort:
        """See L{Poller.adopt}."""
        listening = super().adopt(opened, protocol, maxPacketSize, lent)
        if isinstance(protocol, MediaPort) and protocol.leg and protocol is protocol.leg.rtpPort:
            self._calm[opened.fileno()] = CALM
        return listening

    def forget(self, descriptor: int) -> None:
        """The socket of a port is about to be closed."""
        lent = self._readers[descriptor].lent
        if lent is not None:
            lent.takeBack()
        self._calm.pop(descriptor, None)
        super().forget(descriptor)

    def _came(self, came: Iterator[Came]) -> None:
        """See L{Poller}.  What is usual leaves at last, or before anything that is not is done."""
        now = self._seconds()
        leaving: list[tuple[PythonPath, bytes]] = []
        try:
            for reader, datagram, address in came:
                settled = reader.lent
                if settled is not None:
                    path = settled.path
                    made = path.relay(datagram, address, now)
                    if made is not None:
                        leaving.append((path, made))
                        if path.show:
                            _leave(leaving)
                            path.show = False
                            settled.shown(made if path.secure else datagram, now)
                        continue
                _leave(leaving)
                if reader.open:  # and was not closed by what came before it
                    self._goes(reader, datagram, address)
        finally:
            _leave(leaving)

    def _goes(self, reader: Reader, datagram: bytes, address: Any) -> None:
        """The long way."""
        descriptor = reader.socket.fileno()
        if reader.lent is not None:
            reader.lent.takeBack()
            self._calm[descriptor] = CALM
        reader.received(datagram, address)
        calm = self._calm.get(descriptor)
        if calm is None:
            return  # RTCP, or it is over
        leg: MediaLeg | None = reader.protocol.leg
        if leg is not None and leg.sentBy is not None:
            leg.sentBy.look()  # where ours go may have been learned from this packet
        if calm:
            self._calm[descriptor] = calm - 1
        else:
            self._calm[descriptor] = CALM
            self._lend(reader)

    def _lend(self, reader: Reader) -> None:
        leg: MediaLeg | None = reader.protocol.leg
        usual = None if leg is None else leg.received.reception.usual()
        joined = None if leg is None or usual is None else leg.joined(usual.payloadType)
        if leg is None or usual is None or joined is None:
            return
        sending, number = joined
        out = sending.rtpPort.transport
        if not isinstance(out, PolledPort) or sending.sentBy is not None:
            return
        path = self.newPath(reader.socket.fileno(), out.getHandle())
        path.own_payload_type = number
        settled: Settled | None = None
        try:
            if type(leg) is PlainLeg and isinstance(sending, SecureLeg):
                settled = Protected.lend(self, path, leg, sending, usual)
            elif isinstance(leg, SecureLeg) and type(sending) is PlainLeg:
                settled = Unprotected.lend(self, path, leg, sending, usual)
        except LocalError:
            return
        if settled is not None and self.arm(path):
            reader.lent = settled
            leg.heardBy = sending.sentBy = settled

    def lendSoon(self, descriptor: int) -> None:
        """After the next packet."""
        if descriptor in self._calm:
            self._calm[descriptor] = 0

    def takeBack(self, settled: Settled) -> None:
        """It goes the long way again."""
        descriptor: int = settled.path.arrival
        self.disarm(descriptor)
        self._readers[descriptor].lent = None

    # What is known of a direction while it is lent

    def newPath(self, arrival: int, departure: socket.socket) -> Any:
        """What comes in at the one is to leave at the other."""
        return PythonPath(arrival, departure)

    def address(self, path: Any, source: Address | None, destination: Address | None) -> bool:
        """From where it comes and where it goes; are both known?"""
        path.source, path.destination = source, destination
        return source is not None and destination is not None

    def transform(self, path: Any, guard: InPlaceGuard) -> None:
        """What protects or unprotects it."""
        path.transform, path.tag = guard.inPlace, SUITES[guard.suite].tagOctets

    def count(self, path: Any) -> None:
        """What it has counted is told by its attributes now."""
        path.count()

    def recent(self, path: Any) -> list[int]:
        """See L{skypetrunk.media.stream.Following}."""
        found: list[int] = path.recent
        return found

    def arm(self, path: Any) -> bool:
        """From now on; false: it cannot be."""
        reader = self._readers[path.arrival]
        if reader.protocol.peer == path.source and heardEverybodyElse(reader.socket):
            reader.peer = path.source
        return True

    def disarm(self, descriptor: int) -> None:
        """No more."""
        self._readers[descriptor].peer = None


class HelpedPoller(SettlingPoller):
    """
    One that lends to the compiled helper.

    @ivar helper: see there.
    @ivar reader: what the helper knows of this poller; NULL before the first port.
    """

    def __init__(self, reactor: Any, clock: IReactorTime, helper: Helper) -> None:
        super().__init__(reactor, clock)
        self.helper = helper
        self.reader: Any = helper.ffi.NULL

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
        return listening

    def forget(self, descriptor: int) -> None:
        """See L{SettlingPoller}; the helper may have read what is not done yet."""
        super().forget(descriptor)
        self.helper.lib.settled_forget(self.reader, descriptor)

    def _read(self, rests: int) -> int:
        """See L{Poller}; it is the helper that rests."""
        (ffi, lib), reader, readers = self.helper, self.reader, self._readers
        lib.settled_begin(reader, self._seconds(), rests)
        while what := lib.settled_next(reader):
            came = readers.get(reader.descriptor)
            if came is None:
                continue  # closed meanwhile
            if what == lib.SETTLED_REFUSED:
                came.protocol.connectionRefused()
            elif what == lib.SETTLED_SHOWN:
                assert came.lent is not None
                came.lent.shown(self._packet[: reader.length], reader.now)
            elif what == lib.SETTLED_DATAGRAM:
                address = ffi.string(reader.host).decode("ascii"), reader.port
                self._goes(came, self._packet[: reader.length], address)
            else:
                try:
                    datagram, address = came.socket.recvfrom(came.size)
                except ConnectionRefusedError:
                    came.protocol.connectionRefused()
                except OSError:
                    pass  # read by nobody, or an error of an earlier packet: there will be others
                else:
                    self._goes(came, datagram, address)
        count: int = reader.count
        return count

    def newPath(self, arrival: int, departure: socket.socket) -> Any:
        """See L{SettlingPoller}."""
        path = self.helper.ffi.new("struct settled_path *")
        path.arrival, path.departure = arrival, departure.fileno()
        return path

    def address(self, path: Any, source: Address | None, destination: Address | None) -> bool:
        """See L{SettlingPoller}; and can the helper compare them?"""
        if source is None or destination is None:
            return False
        found = self.helper.lib.settled_addresses(
            path, source[0].encode("ascii"), source[1], destination[0].encode("ascii"), destination[1]
        )
        return not found

    def transform(self, path: Any, guard: InPlaceGuard) -> None:
        """See L{SettlingPoller}."""
        function, context = guard.addresses
        path.transform = self.helper.ffi.cast("settled_transform", function)
        path.context = self.helper.ffi.cast("void *", context)

    def count(self, path: Any) -> None:
        """See L{SettlingPoller}; they always do."""

    def recent(self, path: Any) -> list[int]:
        """See L{SettlingPoller}."""
        found: list[int] = self.helper.ffi.unpack(path.recent, REORDERING)
        return found

    def arm(self, path: Any) -> bool:
        """See L{SettlingPoller}."""
        return not self.helper.lib.settled_arm(self.reader, path)

    def disarm(self, descriptor: int) -> None:
        """See L{SettlingPoller}."""
        self.helper.lib.settled_disarm(self.reader, descriptor)


def _leave(leaving: list[tuple[PythonPath, bytes]]) -> None:
    """Send them, and forget them: one after the other, for the sake of the caches, too."""
    for path, packet in leaving:
        path.leave(packet)
    leaving.clear()


__all__ = ["CALM", "HelpedPoller", "SettlingPoller", "mediaReactor"]
