"""
The relay over real sockets on loopback.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable

from twisted.internet import reactor as globalReactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from skypetrunk.interfaces import DirectionStatistics, IMediaLeg, LegStatistics, MediaAddress, MediaPath
from skypetrunk.media import MediaPlane, plane
from skypetrunk.wire.rtp import parseRTP
from skypetrunk.wire.telephone_event import KeyReader
from tests.media.doubles import SUITE, SecurePeer, key, rtp

reactor: object = globalReactor


def ports() -> tuple[int, int]:
    """A part of all media ports: another test that runs on the same address has another part."""
    first = random.randrange(20000, 30000, 100)
    return first, first + 99


class Peer(DatagramProtocol):
    """
    Keeps what it receives.

    @ivar heard: datagrams with their source.
    """

    noisy = False

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, tuple[str, int]]] = []
        self.wanted = 0
        self.waiting: Deferred[None] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Keep it."""
        self.heard.append((datagram, addr))
        if len(self.heard) == self.wanted:
            self.waiting.callback(None)

    def wait(self, count: int) -> Deferred[None]:
        """Fires when C{count} datagrams are here in all."""
        self.wanted, self.waiting = count, Deferred()
        if len(self.heard) >= count:
            self.waiting.callback(None)
        return self.waiting.addTimeout(5, reactor)  # type: ignore[arg-type]


class LoopbackTests(TestCase):
    """A call between two real peers."""

    helped = True

    # An address of this process's own: what else runs on the machine has other ports.
    host = f"127.9.{os.getpid() % 256}.{os.getpid() // 256 % 254 + 1}"

    def setUp(self) -> None:
        """Two peers, two legs."""
        try:
            with socket.socket(
                socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM
            ) as probe:
                probe.bind((self.host, 0))
        except OSError as error:
            self.skipTest(f"{self.host}: {error}")
        self.pbx, self.carrier = self.peer(), self.peer()
        self.plane = self.firstPlane()
        self.plain, self.secure = self.leg(False), self.leg(True)
        self.plane.join(self.plain, self.secure, "call")
        self.srtp = SecurePeer(key(2), key(1))
        self.plain.setRemote(self.address(self.pbx))
        self.secure.setRemoteKey(SUITE, key(2))
        self.secure.setLocalKey(SUITE, key(1))
        self.secure.setRemote(self.address(self.carrier))

    def firstPlane(self) -> MediaPlane:
        """What the legs are of."""
        return self.makePlane(ports())

    def makePlane(self, ports: tuple[int, int]) -> MediaPlane:
        """Another one."""
        return MediaPlane(
            reactor,  # type: ignore[arg-type]
            reactor,  # type: ignore[arg-type]
            self.host,
            None,
            ports,
            os.urandom,
            helped=self.helped,
        )

    async def counted(self, leg: IMediaLeg, right: Callable[[DirectionStatistics], bool]) -> None:
        """What C{leg} has received is C{right}."""
        self.assertTrue(right(leg.statistics().received), leg.statistics())

    async def told(self, leg: IMediaLeg) -> None:
        """What was said to C{leg} has been done."""

    async def final(self, leg: IMediaLeg) -> LegStatistics:
        """The counters of C{leg} in the end."""
        return leg.release()

    def peer(self) -> Peer:
        """A peer on a port of the system's choice."""
        peer = Peer()
        port = reactor.listenUDP(0, peer, interface=self.host)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return peer

    def leg(self, secure: bool) -> IMediaLeg:
        """A leg, released at the end."""
        leg = self.plane.allocate("call", secure)
        self.addCleanup(leg.release)
        return leg

    def address(self, peer: Peer) -> MediaAddress:
        """What C{peer}'s SDP says."""
        port = peer.transport.getHost().port  # type: ignore[union-attr]
        return MediaAddress(self.host, port, port)

    def send(self, peer: Peer, leg: IMediaLeg, packet: bytes) -> None:
        """C{peer} sends to C{leg}."""
        peer.transport.write(packet, (self.host, leg.address.port))  # type: ignore[union-attr]

    async def talk(self) -> None:
        """Fifty packets each way, behind the three keep-alives."""
        for sequence in range(50):
            self.send(self.pbx, self.plain, rtp(sequence, payload=b"to carrier"))
            self.send(self.carrier, self.secure, self.srtp.protect(rtp(sequence, payload=b"to pbx")))
        await self.carrier.wait(53)
        await self.pbx.wait(50)
        for datagram, source in self.carrier.heard:
            self.srtp.receive(datagram)
            self.assertEqual(source, (self.host, self.secure.address.port))
        self.assertEqual(self.srtp.refused, [])
        self.assertEqual({packet[12:] for packet in self.srtp.plain[3:]}, {b"to carrier"})
        first = self.srtp.headers[0].sequence
        self.assertEqual([header.sequence for header in self.srtp.headers], list(range(first, first + 53)))
        self.assertEqual([parseRTP(datagram).sequence for datagram, _ in self.pbx.heard], list(range(50)))

    async def test_call(self) -> None:
        """Both ways, and no port is left at the end."""
        await self.talk()
        for leg in (self.plain, self.secure):
            self.assertEqual((await self.final(leg)).received.packets, 50)
        self.assertEqual(self.plane.openPorts, 0)
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        with socket.socket(
            socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:
            probe.bind((self.host, self.plain.address.port))

    async def test_opportunistic(self) -> None:
        """Branches of a call differ: SRTP, in clear, and the first one again, whose stream goes on."""
        leg = self.plane.allocate("call/opportunistic", True, MediaPath(srtp="opportunistic"))
        self.addCleanup(leg.release)
        self.plane.join(self.plain, leg, "call")
        leg.setRemote(self.address(self.carrier))
        # Before the first packet there are three keep-alives of each of the two legs with keys.
        for sequence, secure, count in ((1, True, 7), (2, False, 8), (3, True, 9)):
            if secure:
                leg.setRemoteKey(SUITE, key(6))
                leg.setLocalKey(SUITE, key(5))
            else:
                leg.setClear()
            await self.told(leg)
            self.send(self.pbx, self.plain, rtp(sequence, payload=b"to carrier"))
            await self.carrier.wait(count)
        heard = [data for data, source in self.carrier.heard if source[1] == leg.address.port]
        self.assertEqual(heard.pop(4), rtp(2, payload=b"to carrier"))
        peer = SecurePeer(key(6), key(5))
        for datagram in heard:
            peer.receive(datagram)
        self.assertEqual((len(peer.plain), peer.refused), (5, []))
        steps = [each.sequence - peer.headers[0].sequence for each in peer.headers]
        self.assertEqual(steps, [0, 1, 2, 3, 5])  # what went in clear is missing in between
        self.assertTrue((await self.final(leg)).secure)

    async def test_closedPort(self) -> None:
        """Towards a closed port (ICMP) the carrier's packets raise nothing; then the call goes on."""
        with socket.socket(
            socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM
        ) as closed:
            closed.bind((self.host, 0))
            port = closed.getsockname()[1]
        self.plain.setRemote(MediaAddress(self.host, port, port))
        for sequence in range(1000, 1010):
            self.send(self.carrier, self.secure, self.srtp.protect(rtp(sequence)))
            await deferLater(reactor, 0.002)  # type: ignore[arg-type]
        await self.counted(self.secure, lambda received: received.packets == 10)
        self.plain.setRemote(self.address(self.pbx))
        await self.told(self.plain)
        self.send(self.carrier, self.secure, self.srtp.protect(rtp(1010)))
        await self.pbx.wait(1)

    async def test_busyPair(self) -> None:
        """A pair whose second port is another program's is passed over, the first one given back."""
        with self.busyPair() as other:
            first = other.getsockname()[1] - 1
            plane = self.makePlane((first, first + 99))
            leg = plane.allocate("call", False)
            self.addCleanup(leg.release)
            self.assertGreater(leg.address.port, first)
            self.assertEqual(plane.openPorts, 2)
            await deferLater(reactor, 0)  # type: ignore[arg-type]
            with socket.socket(other.family, socket.SOCK_DGRAM) as again:
                again.bind((self.host, first))

    def busyPair(self) -> socket.socket:
        """The second port of a pair whose first one is free."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for _ in range(100):
            other = socket.socket(family, socket.SOCK_DGRAM)
            other.bind((self.host, 0))
            port = other.getsockname()[1]
            with socket.socket(family, socket.SOCK_DGRAM) as first:
                try:
                    first.bind((self.host, port - 1))
                except OSError:
                    port = 0
            if port % 2:
                return other
            other.close()
        self.fail("no pair is free")

    async def test_key(self) -> None:
        """A key that is sent as an event comes to the carrier."""
        types = {0: "", 101: "telephone-event/8000"}
        for leg in (self.plain, self.secure):
            leg.setPayloadTypes(types, types)
        self.secure.sendKey("5", 80)
        reader, read, ends = KeyReader(), "", 0
        # Behind three keep-alives; how many packets come before its end is a matter of the machine's speed.
        for number in range(3, 3 + 6):
            await self.carrier.wait(number + 1)
            self.srtp.receive(self.carrier.heard[number][0])
            header, packet = self.srtp.headers[-1], self.srtp.plain[-1]
            self.assertEqual(header.payloadType, 101)
            read += "".join(reader.received(1, header.timestamp, packet[12:]))
            ends += packet[13] >> 7
            if ends == 3:
                break
        self.assertEqual((read, ends), ("5", 3))

    async def test_fax(self) -> None:
        """
        Datagrams in the place of sound, both ways, at our same ports and other ones of the peers; then sound,
        whose stream goes on.
        """
        await self.talk()
        pbxFax, carrierFax = self.peer(), self.peer()
        for leg, peer in ((self.plain, pbxFax), (self.secure, carrierFax)):
            leg.setFax(self.address(peer))
        await self.told(self.secure)
        fax = [number.to_bytes(2, "big") + b"\x01\x06\x00\x00" for number in range(50)]
        for datagram in fax:
            self.send(pbxFax, self.plain, datagram)
            self.send(carrierFax, self.secure, datagram)
        await pbxFax.wait(50)
        await carrierFax.wait(50)
        for peer, faxPeer, leg in ((self.pbx, pbxFax, self.plain), (self.carrier, carrierFax, self.secure)):
            self.assertEqual(faxPeer.heard, [(each, (self.host, leg.address.port)) for each in fax])
            leg.setRemote(self.address(peer))
            leg.setSending(True)
        await self.told(self.secure)
        last = self.srtp.headers[-1].sequence
        self.send(self.pbx, self.plain, rtp(50))
        self.send(self.carrier, self.secure, self.srtp.protect(rtp(50)))
        await self.pbx.wait(51)
        await self.carrier.wait(54)
        self.srtp.receive(self.carrier.heard[53][0])
        self.assertEqual((self.srtp.headers[-1].sequence, self.srtp.refused), (last + 1, []))
        for leg in (self.plain, self.secure):
            counted = await self.final(leg)
            self.assertEqual((counted.fax, counted.received.fax, counted.sent.fax), (True, 50, 50))
            self.assertEqual((counted.received.packets, counted.received.refused), (51, ()))

    async def test_large(self) -> None:
        """A packet longer than any of media is refused as such, not cut off."""
        self.send(self.carrier, self.secure, bytes(9000))
        self.send(self.pbx, self.plain, rtp(1, payload=bytes(9000)))
        self.send(self.pbx, self.plain, rtp(2, payload=bytes(1388)))
        await self.carrier.wait(4)
        for leg in (self.plain, self.secure):
            await self.counted(leg, lambda received: received.refused == (("size", 1),))
        self.assertEqual(len(self.carrier.heard[3][0]), 1410)


class LoopbackIPv6Tests(LoopbackTests):
    """The same over IPv6."""

    host = "::1"


class LoopbackByPythonTests(LoopbackTests):
    """The same without the compiled helper, where the others have it."""

    helped = False


class LoopbackWithoutEpollTests(LoopbackTests):
    """The same on a system whose sockets the reactor has to watch one by one."""

    def setUp(self) -> None:
        """There is no epoll."""
        self.patch(plane, "mediaReactor", lambda reactor, clock, helper: reactor)
        super().setUp()
