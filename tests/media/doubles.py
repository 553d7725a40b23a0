"""
A network in memory for media tests: ports bound on it are real L{MediaPort}s, peers speak real SRTP.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EADDRINUSE
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUDP, IUDPTransport
from twisted.internet.task import Clock
from zope.interface import implementer

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import ANY_PATH, LegStatistics, MediaAddress, MediaPath
from skypetrunk.media import MediaPlane
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.relay import Show
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.srtp import protector, unprotector
from skypetrunk.wire.rtp import RTPHeader, parseRTP, writeHeader
from skypetrunk.wire.sdes import MasterKey

SUITE = "AES_CM_128_HMAC_SHA1_80"
PBX = ("192.0.2.10", 4000)
CARRIER = ("203.0.113.20", 6000)
STRANGER = ("198.51.100.66", 6666)

Address = tuple[str, int]


class Datagram(NamedTuple):
    """A datagram that a bound port sent."""

    port: int
    data: bytes
    destination: Address


@implementer(IUDPTransport, IListeningPort)
class MemoryPort:
    """
    A bound UDP port of a L{MemoryNetwork}.

    @ivar failure: raised by each write, if not C{None}.
    """

    def __init__(self, network: MemoryNetwork, number: int, protocol: Any, maxPacketSize: int) -> None:
        self.network = network
        self.number = number
        self.protocol = protocol
        self.maxPacketSize = maxPacketSize
        self.failure: OSError | None = None
        protocol.makeConnection(self)

    def write(self, packet: bytes, addr: Address | None = None) -> None:
        """Send a datagram."""
        if self.failure is not None:
            raise self.failure
        if addr is None:
            raise ValueError("a media port is not connected")
        self.network.sent.append(Datagram(self.number, bytes(packet), addr))

    def deliver(self, data: bytes, source: Address) -> None:
        """A datagram arrives."""
        self.protocol.datagramReceived(data[: self.maxPacketSize], source)

    def getHost(self) -> Any:
        """Not needed by media."""
        raise NotImplementedError

    def connect(self, host: str, port: int) -> None:
        """Media ports stay unconnected."""
        raise NotImplementedError

    def startListening(self) -> None:
        """Done when made."""

    def stopListening(self) -> Deferred[None]:
        """Close the port."""
        del self.network.ports[self.number]
        self.protocol.doStop()
        return succeed(None)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """Not needed by media."""
        raise NotImplementedError

    def getBroadcastAllowed(self) -> bool:
        """Never."""
        return False


@implementer(IReactorUDP)
class MemoryNetwork:
    """
    The UDP side of a reactor.

    @ivar ports: what is bound, by port number.
    @ivar sent: what bound ports sent, in order.
    @ivar taken: port numbers of other programs.
    """

    def __init__(self) -> None:
        self.ports: dict[int, MemoryPort] = {}
        self.sent: list[Datagram] = []
        self.taken: set[int] = set()

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> MemoryPort:
        """Bind a port."""
        if port in self.ports or port in self.taken:
            raise CannotListenError(interface, port, OSError(EADDRINUSE, "Address already in use"))
        self.ports[port] = bound = MemoryPort(self, port, protocol, maxPacketSize)
        return bound

    def deliver(self, port: int, data: bytes, source: Address) -> None:
        """A datagram for C{port} arrives from C{source}."""
        self.ports[port].deliver(data, source)

    def take(self) -> list[Datagram]:
        """What was sent since the last call."""
        sent, self.sent[:] = list(self.sent), []
        return sent


def key(number: int) -> MasterKey:
    """A key of its own for each number."""
    return MasterKey(bytes([number]) * 16, bytes([255 - number]) * 14)


def rtp(
    sequence: int,
    *,
    timestamp: int | None = None,
    ssrc: int = 0x11111111,
    marker: bool = False,
    payload: bytes = b"sound",
) -> bytes:
    """A packet of a source that counts 20 ms of G.711 for each packet."""
    packet = bytearray(12) + payload
    packet[0] = 0x80
    writeHeader(
        packet,
        marker=marker,
        payloadType=0,
        sequence=sequence & 0xFFFF,
        timestamp=(sequence * 160 if timestamp is None else timestamp) & 0xFFFFFFFF,
        ssrc=ssrc,
    )
    return bytes(packet)


class SecurePeer:
    """
    A carrier's end of a stream: sends and receives SRTP with keys of its own context.

    @ivar plain: RTP packets decrypted, in order.
    @ivar refused: reasons for packets that could not be.
    """

    def __init__(self, sends: MasterKey, receives: MasterKey, suite: str = SUITE) -> None:
        self._protector = protector(suite, sends)
        self._unprotector = unprotector(suite, receives)
        self.plain: list[bytes] = []
        self.refused: list[str] = []

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet of this peer."""
        return self._protector.rtp(packet)

    def protectRTCP(self, compound: bytes) -> bytes:
        """An RTCP compound of this peer."""
        return self._protector.rtcp(compound)

    def unprotectRTCP(self, compound: bytes) -> bytes:
        """An RTCP compound sent to this peer."""
        return self._unprotector.rtcp(compound)

    def receive(self, packet: bytes) -> None:
        """An SRTP packet for this peer."""
        try:
            self.plain.append(self._unprotector.rtp(packet))
        except PacketRefused as refusal:
            self.refused.append(refusal.reason)

    @property
    def headers(self) -> list[RTPHeader]:
        """Headers of what was received."""
        return [parseRTP(packet) for packet in self.plain]


def entropy(seed: int = 1) -> Callable[[int], bytes]:
    """Repeatable octets, different each time."""
    counter = seed

    def octets(count: int) -> bytes:
        nonlocal counter
        counter += 1
        return (counter * 0x9E3779B97F4A7C15F39CC0605CEDC835).to_bytes(64, "big")[-count - 2 : -2]

    return octets


class Call:
    """
    A plain and a secure leg, joined, with both peers known: local key 1, remote key 2.

    @ivar peer: the carrier.
    """

    def __init__(
        self,
        suite: str = SUITE,
        ready: bool = True,
        taps: Callable[[str], tuple[Show, Show] | None] | None = None,
        path: MediaPath = ANY_PATH,
        reports: bool = False,
    ) -> None:
        """@param reports: whether we make some where none cross."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = MemoryNetwork()
        self.plane = MediaPlane(self.network, self.clock, "192.0.2.1", None, (20000, 20099), entropy(), taps)
        plain, secure = self.plane.allocate("pbx", False, path), self.plane.allocate("carrier", True, path)
        assert isinstance(plain, PlainLeg) and isinstance(secure, SecureLeg)
        self.plain, self.secure = plain, secure
        self.plane.join(plain, secure, "call")
        for leg in () if reports else (plain, secure):
            self.plane._reports.remove(leg)
        self.peer = SecurePeer(key(2), key(1), suite)
        self.suite = suite
        if ready:
            self.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
            self.secure.setLocalKey(suite, key(1))
            self.secure.setRemoteKey(suite, key(2))
            self.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
            self.receiveAll()
            self.peer.plain.clear()

    def fromPBX(self, packet: bytes, source: Address = PBX) -> None:
        """A packet arrives at the plain leg's RTP port."""
        self.network.deliver(self.plain.address.port, packet, source)

    def fromCarrier(self, packet: bytes, source: Address = CARRIER) -> None:
        """A packet, as it is, arrives at the secure leg's RTP port."""
        self.network.deliver(self.secure.address.port, packet, source)

    def receiveAll(self) -> list[Datagram]:
        """Give the carrier what was sent to it; what was sent to the PBX."""
        rest = []
        for datagram in self.network.take():
            if datagram.port == self.secure.address.port:
                self.peer.receive(datagram.data)
            else:
                rest.append(datagram)
        return rest

    def release(self) -> tuple[LegStatistics, LegStatistics]:
        """End the call."""
        return self.plain.release(), self.secure.release()
