"""
Tests of L{skypetrunk.media.connecting}: a leg's socket is connected to a peer that is where its SDP says.
"""

from __future__ import annotations

import select
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from skypetrunk.interfaces import ANY_PATH, MediaAddress, MediaPath
from skypetrunk.media.connecting import LOOK, Connections, disconnect, heardEverybodyElse, mayConnect
from skypetrunk.media.helper import findHelper
from skypetrunk.media.keeping import LocalKeeper, Opening
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.poller import Poller, boundSocket
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.settling import CALM
from skypetrunk.media.source import SILENCE
from tests.media.doubles import entropy, rtp
from tests.media.test_poller import Readers
from tests.media.test_settled import FIRST, HOST, Play, Rig, packet


class ConnectedTests(SynchronousTestCase):
    """A call of Python's alone."""

    helped = False
    ports = 31000

    def setUp(self) -> None:
        """Both have sent some packets from where their SDP says."""
        if not hasattr(select, "epoll"):
            raise SkipTest("no epoll")
        self.begin()
        self.both()

    def begin(self, path: MediaPath = ANY_PATH) -> None:
        """A call."""
        self.rig = Rig(self, self.helped, self.ports, path)
        type(self).ports = 31000 + (self.ports - 31000 + 100) % 1000
        for leg in (self.rig.plain, self.rig.secure):
            self.rig.plane._reports.remove(leg)
        self.play = Play(self.rig)

    def both(self, place: int = 0) -> None:
        """Twelve packets of each, from there."""
        for carrier in (False, True):
            self.play.run(FIRST._replace(carrier=carrier, place=place))

    def connected(self) -> tuple[bool, bool]:
        """Is the socket towards the PBX connected to it, and that towards the carrier?"""
        found = []
        for leg, place in ((self.rig.plain, 0), (self.rig.secure, 1)):
            peer = leg.rtpPort.peer
            try:
                name = leg.rtpPort.transport.getHandle().getpeername()  # type: ignore[union-attr]
            except OSError:
                name = None
            self.assertEqual(name, peer)
            self.assertIn(peer, (None, self.rig.sockets[place].getsockname()))
            found.append(peer is not None)
        return found[0], found[1]

    def heard(self) -> tuple[int, int]:
        """RTP packets of the PBX and of the carrier so far."""
        plain, secure = self.rig.statistics()
        return plain.received.packets, secure.received.packets

    def test_first(self) -> None:
        """The first packet from there connects, and sound goes on in both directions."""
        self.assertEqual(self.connected(), (True, True))
        self.begin()
        self.play.run(FIRST._replace(frames=1))
        self.assertEqual(self.connected(), (True, False))
        self.both()
        self.assertEqual(self.heard(), (13, 12))
        heard = self.rig.take()
        self.assertEqual((len(heard[0]), len(heard[1])), (12, 13))

    def test_strangers(self) -> None:
        """Nobody else is heard: the kernel keeps it from us."""
        for leg in (self.rig.plain, self.rig.secure):
            self.rig.deliver(rtp(1), 4, leg)
            self.assertEqual(leg.statistics().received.refused, ())
        for carrier in (False, True):
            self.play.run(FIRST._replace(frames=1, carrier=carrier, place=1))
        self.assertEqual(self.heard(), (12, 12))

    def test_silence(self) -> None:
        """Who is silent for so long is not waited for: whoever has the key is heard, and the PBX's host."""
        for carrier in (False, True):
            self.play.run(FIRST._replace(frames=1, carrier=carrier))
        self.rig.take()
        self.rig.clock.advance(SILENCE - 0.05)
        self.assertEqual(self.connected(), (True, True))
        self.rig.clock.advance(0.05)
        self.rig.clock.advance(LOOK)
        self.assertEqual(self.connected(), (False, False))
        self.both(place=1)
        self.assertEqual(self.connected(), (False, False))
        self.assertEqual(self.heard(), (25, 25))
        self.rig.take()
        self.both(place=1)
        heard = self.rig.take()
        self.assertEqual([len(each) for each in heard], [0, 0, 12, 12, 0])

    def test_talking(self) -> None:
        """While they talk they stay connected; who pauses is connected again."""
        for _ in range(60):
            self.both()
        self.assertEqual(self.connected(), (True, True))
        self.rig.clock.advance(0.1)
        self.play.run(FIRST._replace(frames=20))
        self.assertEqual(self.connected(), (True, False))
        self.play.run(FIRST._replace(frames=1, carrier=True))
        self.assertEqual(self.connected(), (True, True))
        self.assertEqual(self.heard(), (12 * 61 + 20, 12 * 61 + 1))

    def test_described(self) -> None:
        """Each SDP disconnects, be it the same; and one of another place is followed at once."""
        for leg, place in ((self.rig.plain, 0), (self.rig.secure, 1)):
            leg.setRemote(self.rig.addressOf(place))
        self.assertEqual(self.connected(), (False, False))
        self.both()
        self.assertEqual(self.connected(), (True, True))
        self.play.event("moved")
        self.both(place=1)
        self.assertEqual(self.heard(), (36, 36))
        for leg, place in ((self.rig.plain, 2), (self.rig.secure, 3)):
            self.assertEqual(leg.rtpPort.peer, self.rig.sockets[place].getsockname())

    def test_notSound(self) -> None:
        """Neither on hold nor during a fax, which may come from another port."""
        for leg in (self.rig.plain, self.rig.secure):
            leg.setRemote(None)
        self.assertEqual(self.connected(), (False, False))
        self.play.event("back")
        self.both()
        self.assertEqual(self.connected(), (True, True))
        self.rig.plain.setFax(self.rig.addressOf(2))
        self.rig.deliver(b"a fax", 2, self.rig.plain)
        self.rig.deliver(b"a fax", 2, self.rig.plain)
        self.assertEqual(self.rig.plain.faxed[0], 2)
        self.assertEqual(self.connected(), (False, True))

    def test_elsewhere(self) -> None:
        """Who sends from where it does not receive is never connected, nor is anybody where that is said."""
        self.begin()
        self.both(place=1)
        self.both(place=1)
        self.assertEqual(self.connected(), (False, False))
        self.assertEqual(self.heard(), (24, 24))
        self.both()
        self.assertEqual(self.connected(), (True, True))
        self.begin(MediaPath(symmetric=False))
        self.both()
        self.assertEqual(self.connected(), (True, False))

    def test_group(self) -> None:
        """A leg that may have a multicast group for its peer is not."""
        leg = PlainLeg("pbx", Clock(), entropy(), lambda: None, MediaPath(group="239.1.2.3"))
        self.assertFalse(leg.connects)
        leg = PlainLeg("pbx", Clock(), entropy(), lambda: None, MediaPath(symmetric=False))
        self.assertFalse(leg.connects)

    def test_closed(self) -> None:
        """A peer whose port is closed: that is counted, and the next packets leave as ever."""
        rig = self.rig
        name = rig.sockets[1].getsockname()
        rig.sockets[1].close()
        self.play.run(FIRST._replace(frames=5))
        sent = rig.statistics()[1].sent
        self.assertEqual(sent.packets, 3 + 12 + 5)  # with keep-alives at the beginning
        # Each but the last has been answered by then, or several at once; and the last answer is read.
        rig.turn()
        refused = dict(rig.statistics()[1].sent.refused)
        self.assertEqual(list(refused), ["closed"])
        self.assertIn(refused["closed"], range(1, 6))
        rig.sockets[1] = again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.setblocking(False)
        again.bind(name)
        rig.take()
        self.play.run(FIRST._replace(frames=5))
        self.assertEqual(len(rig.take()[1]), 5)
        self.assertEqual(dict(rig.statistics()[1].sent.refused), refused)

    def test_disconnectedByOther(self) -> None:
        """A keeper that has not let go yet, after a transfer, disconnects the socket: all packets leave."""
        rig = self.rig
        for _ in range(2):  # it may be lent, or not
            for leg in (rig.plain, rig.secure):
                disconnect(leg.rtpPort.transport.getHandle())  # type: ignore[union-attr]
            rig.take()
            self.both()
            self.assertEqual([len(each) for each in rig.take()[:2]], [12, 12])
            for counted in rig.statistics():
                self.assertEqual(counted.sent.refused, ())
            for carrier in (False, True):
                self.play.run(FIRST._replace(frames=1, carrier=carrier, jump=3))

    def test_connectedByOther(self) -> None:
        """One that has connected it meanwhile: the peer's next SDP is followed as ever."""
        self.begin()
        for leg, place in ((self.rig.plain, 0), (self.rig.secure, 1)):
            handle = leg.rtpPort.transport.getHandle()  # type: ignore[union-attr]
            handle.connect(self.rig.sockets[place].getsockname())
            leg.rtpPort.shared = True
        self.play.event("moved")
        self.both(place=1)
        self.assertEqual(self.heard(), (12, 12))

    def test_before(self) -> None:
        """What a stranger sent before the socket was connected is refused as ever."""
        self.begin()
        rig = self.rig
        first = packet(1, 160, 0, False, 5, b"")
        for place in (0, 4, 0):
            rig.sockets[place].sendto(first, (HOST, rig.plain.address.port))
        for _ in range(4):
            rig.turn()
        self.assertEqual(self.connected(), (True, False))
        received = rig.statistics()[0].received
        self.assertEqual((received.packets, dict(received.refused)), (2, {"source": 1}))

    def test_beforeLent(self) -> None:
        """The same where the way has become usual meanwhile, and a stranger knows what comes next."""
        self.begin()
        rig = self.rig
        last = CALM + 3
        for number in range(1, last + 1):
            sound = packet(number, 160 * number, 0, False, 5, bytes(160))
            rig.sockets[4 if number == last else 0].sendto(sound, (HOST, rig.plain.address.port))
        for _ in range(last):
            self.assertEqual(rig.plain.heardBy is not None, rig.plain.received.packets > CALM)
            rig.turn()
        received = rig.statistics()[0].received
        self.assertEqual((received.packets, dict(received.refused)), (last - 1, {"source": 1}))

    def test_over(self) -> None:
        """When the call is over nothing is left of it."""
        self.rig.close()
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])
        self.begin()
        self.both()
        self.play.event("moved")
        self.rig.clock.advance(1)
        self.rig.close()
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])


class ConnectedByHelperTests(ConnectedTests):
    """The same with the compiled helper."""

    helped = True
    ports = 32000

    def setUp(self) -> None:
        """See L{ConnectedTests}."""
        if findHelper() is None:
            raise SkipTest("skypetrunk was installed without a compiler")
        super().setUp()

    def test_lent(self) -> None:
        """What the helper has relayed is no silence; after a silence the next packet is lent again."""
        rig = self.rig
        self.assertIsNotNone(rig.plain.heardBy)
        self.play.run(FIRST._replace(frames=40))
        self.assertEqual(self.connected(), (True, False))
        self.assertIsNotNone(rig.plain.heardBy)
        rig.clock.advance(SILENCE)
        rig.clock.advance(LOOK)
        self.assertIsNone(rig.plain.heardBy)
        self.play.run(FIRST._replace(frames=1))
        self.assertIsNotNone(rig.plain.heardBy)


class SocketTests(SynchronousTestCase):
    """Sockets by themselves."""

    def setUp(self) -> None:
        """Two of them."""
        if not hasattr(select, "epoll"):
            raise SkipTest("no epoll")

    def opened(self, host: str, port: int = 0) -> socket.socket:
        """One that is bound."""
        try:
            found = boundSocket(port, host)
        except Exception as error:
            raise SkipTest(f"{host}: {error}") from None
        self.addCleanup(found.close)
        return found

    def free(self, host: str) -> socket.socket:
        """One whose port was asked for, as those of legs are."""
        with self.opened(host) as probe:
            port: int = probe.getsockname()[1]
        return self.opened(host, port)

    def test_heardEverybodyElse(self) -> None:
        """Nothing waits, neither a datagram, be it empty, nor an error; and asking takes nothing away."""
        one, peer = self.opened("127.0.0.1"), self.opened("127.0.0.1")
        one.connect(peer.getsockname())
        self.assertTrue(heardEverybodyElse(one))
        peer.sendto(b"", one.getsockname())
        self.assertFalse(heardEverybodyElse(one))
        self.assertEqual(one.recv(10), b"")
        self.assertTrue(heardEverybodyElse(one))
        peer.close()
        one.send(b"a")
        self.assertFalse(heardEverybodyElse(one))
        self.assertRaises(ConnectionRefusedError, one.recv, 10)
        self.assertTrue(heardEverybodyElse(one))

    def test_disconnect(self) -> None:
        """It has the address that it had, and hears everybody again."""
        for host in ("127.0.0.1", "::1"):
            one, peer, other = self.free(host), self.opened(host), self.opened(host)
            name = one.getsockname()
            disconnect(one)
            one.connect(peer.getsockname())
            other.sendto(b"a", name)
            self.assertRaises(BlockingIOError, one.recv, 10)
            disconnect(one)
            self.assertEqual(one.getsockname(), name)
            for each in (peer, other):
                each.sendto(b"b", name)
                self.assertEqual(one.recvfrom(10), (b"b", each.getsockname()))

    def test_closedBefore(self) -> None:
        """That the peer's port was closed is no matter of what is sent next, to whomever."""
        for host in ("127.0.0.1", "::1"):
            one, peer, other = self.free(host), self.opened(host), self.opened(host)
            one.connect(peer.getsockname())
            peer.close()
            one.send(b"a")
            self.assertTrue(select.select([one], [], [], 5)[0])
            disconnect(one)
            one.sendto(b"b", other.getsockname())
            self.assertEqual(other.recv(10), b"b")

    def test_mayConnect(self) -> None:
        """One that is bound to all addresses would lose all but one."""
        for host, may in (("127.0.0.1", True), ("0.0.0.0", False), ("::1", True), ("::", False)):
            self.assertEqual(mayConnect(self.opened(host)), may, host)

    def test_takenOver(self) -> None:
        """A socket that was connected when its keeper died is heard by the next one."""
        rtpSocket, rtcp, peer = self.free("127.0.0.1"), self.free("127.0.0.1"), self.opened("127.0.0.1")
        rtpSocket.connect(self.opened("127.0.0.1").getsockname())
        readers, clock = Readers(), Clock()
        keeper = LocalKeeper(Poller(readers, clock), clock, entropy(), object())
        port = rtpSocket.getsockname()[1]
        opening = Opening("pbx", False, ANY_PATH, "127.0.0.1", "127.0.0.1", port)
        number = keeper.open(opening, rtpSocket, rtcp)
        leg: MediaLeg = keeper.leg(number)
        host, port = peer.getsockname()
        leg.setRemote(MediaAddress(host, port, 9))
        peer.sendto(rtp(1), rtpSocket.getsockname())
        readers.readers[0].doRead()
        self.assertEqual(leg.received.packets, 1)
        self.assertEqual(leg.rtpPort.peer, peer.getsockname())
        keeper.release(number)
        self.assertEqual(clock.getDelayedCalls(), [])


class Port:
    """
    A port that is silent after a while.

    @ivar heard: when it last was not.
    @ivar ended: when it was disconnected.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heard = 0.0
        self.ended: float | None = None

    def quietIn(self, now: float) -> float:
        """See L{skypetrunk.media.connecting.Connected}."""
        return self.heard + SILENCE - now

    def disconnect(self) -> None:
        """See L{skypetrunk.media.connecting.Connected}."""
        self.ended = self.clock.seconds()


class ConnectionsTests(SynchronousTestCase):
    """When they end."""

    def test_ends(self) -> None:
        """Each is ended 0.05 s too late at most, whatever others do, and what the reactor is late."""
        self.ends(0.01)
        self.ends(0.013)
        self.ends(0.09)
        self.ends(0.2)

    def ends(self, turn: float) -> None:
        """The reactor's turns take so many seconds."""
        clock = Clock()
        connections = Connections(clock)
        ports = [Port(clock) for _ in range(20)]
        for port in ports:
            connections.add(port, SILENCE)
        for _ in range(int(2 / turn) + 2):
            for number, port in enumerate(ports):
                if clock.seconds() < 0.05 * number:
                    port.heard = clock.seconds()
            clock.advance(turn)
        for port in ports:
            assert port.ended is not None
            self.assertGreaterEqual(port.ended + 1e-9, port.heard + SILENCE)
            self.assertLess(port.ended, port.heard + 0.35 + turn + 0.001)
            connections.remove(port)
        self.assertEqual(clock.getDelayedCalls(), [])
