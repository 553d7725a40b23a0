"""
Tests of L{skypetrunk.media.plane}.
"""

from __future__ import annotations

import gc
from errno import EADDRNOTAVAIL
from typing import Any
from weakref import ref

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import MalformedSDP, PortsExhausted
from skypetrunk.interfaces import IMediaPlane, MediaAddress, MediaHost, MediaPath
from skypetrunk.media import MediaPlane
from tests.media.doubles import Call, MemoryNetwork, entropy, rtp


class PlaneTests(SynchronousTestCase):
    """Legs get ports, and give them back."""

    def plane(
        self,
        network: Any,
        address: str = "192.0.2.1",
        advertise: str | None = None,
        ports: tuple[int, int] = (20000, 20007),
    ) -> MediaPlane:
        """A plane of four pairs."""
        return MediaPlane(network, Clock(), address, advertise, ports=ports, entropy=entropy())

    def test_interfaces(self) -> None:
        """It provides L{IMediaPlane}; the network double is what it says."""
        self.assertTrue(verifyObject(IMediaPlane, self.plane(MemoryNetwork())))
        self.assertTrue(verifyObject(IReactorUDP, MemoryNetwork()))

    def test_pairs(self) -> None:
        """RTP is on an even port, RTCP on the next, and the SDP says so."""
        network = MemoryNetwork()
        leg = self.plane(network).allocate("call", False)
        self.assertEqual(leg.address, MediaAddress("192.0.2.1", 20000, 20001))
        self.assertEqual(sorted(network.ports), [20000, 20001])

    def test_advertise(self) -> None:
        """The public address is for the carrier; the PBX is told ours, unless ours is a wildcard."""
        network = MemoryNetwork()
        for address, advertise, secure, plain in (
            ("192.0.2.1", None, "192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "203.0.113.7", "203.0.113.7", "192.0.2.1"),
            ("0.0.0.0", "203.0.113.7", "203.0.113.7", "203.0.113.7"),
            ("2001:db8::1", None, "2001:db8::1", "2001:db8::1"),
        ):
            plane = self.plane(network, address, advertise)
            legs = plane.allocate("s", True), plane.allocate("p", False)
            self.assertEqual(tuple(leg.address.host for leg in legs), (secure, plain))
            for leg in legs:
                leg.release()

    def test_path(self) -> None:
        """A leg is where its path says, of either IP version; each port is given once."""
        network = MemoryNetwork()
        plane = self.plane(network)
        hosts = MediaHost("2001:db8::1", "2001:db8::99"), MediaHost("192.0.2.9")
        path = MediaPath(hosts=hosts)
        legs = [
            plane.allocate("s", True, path),
            plane.allocate("p", False, path),
            plane.allocate("p", False, path.preferring(4)),
            plane.allocate("p", False),
        ]
        self.assertEqual(
            [(leg.address.host, leg.address.port) for leg in legs],
            [("2001:db8::99", 20000), ("2001:db8::1", 20002), ("192.0.2.9", 20004), ("192.0.2.1", 20006)],
        )
        legs[1].setRemote(MediaAddress("2001:db8::7", 4000, 4001))
        self.assertRaises(MalformedSDP, legs[1].setRemote, MediaAddress("192.0.2.7", 4000, 4001))
        legs[2].setRemote(MediaAddress("192.0.2.7", 4000, 4001))
        self.assertEqual(path.preferring(None), path)
        self.assertEqual(path.preferring(6), path)

    def test_opened(self) -> None:
        """Whoever wants to know is told of each port that is bound."""
        network = MemoryNetwork()
        opened: list[Any] = []
        plane = MediaPlane(
            network, Clock(), "192.0.2.1", None, (20000, 20007), entropy(), opened=opened.append
        )
        plane.allocate("call", True)
        self.assertEqual(opened, list(network.ports.values()))
        self.assertEqual(len(opened), 2)

    def test_literal(self) -> None:
        """Names and nonsense are refused when the plane is made."""
        for address, advertise in (("localhost", None), ("192.0.2.1", "trunk.example"), ("", None)):
            self.assertRaises(ValueError, self.plane, MemoryNetwork(), address, advertise)
        self.assertRaises(ValueError, self.plane, MemoryNetwork(), ports=(20001, 20002))

    def test_busy(self) -> None:
        """Ports of other programs are passed over; half a pair is not kept."""
        network = MemoryNetwork()
        network.taken = {20000, 20003}
        plane = self.plane(network)
        self.assertEqual(plane.allocate("call", True).address.port, 20004)
        self.assertEqual(sorted(network.ports), [20004, 20005])
        self.assertEqual(plane.openPorts, 2)

    def test_exhausted(self) -> None:
        """No pair is left: an error, nothing kept; one that is given back can be had again."""
        network = MemoryNetwork()
        plane = self.plane(network)
        legs = [plane.allocate(str(number), bool(number % 2)) for number in range(4)]
        self.assertRaises(PortsExhausted, plane.allocate, "more", True)
        self.assertEqual(plane.openPorts, 8)
        legs[2].release()
        self.assertEqual(plane.allocate("again", True).address.port, legs[2].address.port)
        self.assertEqual(plane.openPorts, 8)

    def test_badAddress(self) -> None:
        """An address that is not ours is said at once, not tried with each port."""
        tried = []

        class Elsewhere(MemoryNetwork):
            def listenUDP(
                self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
            ) -> Any:
                tried.append(port)
                raise CannotListenError(
                    interface, port, OSError(EADDRNOTAVAIL, "Cannot assign requested address")
                )

        plane = self.plane(Elsewhere())
        error = self.assertRaises(PortsExhausted, plane.allocate, "call", True)
        self.assertIn("192.0.2.1: [Errno 99] Cannot assign requested address", str(error))
        self.assertEqual((tried, plane.openPorts), ([20000], 0))

    def test_release(self) -> None:
        """Ports, timers and the other leg are let go; the counters stay, also for a second call."""
        call = Call()
        call.fromPBX(rtp(1))
        self.assertEqual((call.plane.openPorts, len(call.network.ports)), (4, 4))
        final = call.secure.release()
        self.assertEqual(final.sent.packets, 4)
        self.assertEqual(call.secure.release(), final)
        self.assertEqual(call.plane.openPorts, 2)
        call.network.take()
        call.fromPBX(rtp(2))
        self.assertEqual(call.network.sent, [])
        self.assertEqual(call.plain.release().received.packets, 2)
        self.assertEqual((call.plane.openPorts, call.network.ports), (0, {}))
        self.assertEqual(call.clock.getDelayedCalls(), [])

    def test_strangeLeg(self) -> None:
        """Legs of another implementation cannot be joined."""
        plane = self.plane(MemoryNetwork())
        self.assertRaises(TypeError, plane.join, plane.allocate("call", False), object(), "call")

    def test_manyCalls(self) -> None:
        """A thousand calls, one after another: nothing stays behind."""
        network = MemoryNetwork()
        plane = self.plane(network)
        for _ in range(1000):
            one, other = plane.allocate("one", False), plane.allocate("other", True)
            plane.join(one, other, "call")
            one.release()
            other.release()
        self.assertEqual((plane.openPorts, network.ports), (0, {}))

    def test_nothingRefersBack(self) -> None:
        """A leg that was released goes at once: contexts and keys do not wait for the garbage collector."""
        gc.disable()
        self.addCleanup(gc.enable)
        for secure in (False, True):
            call = Call()
            leg = call.secure if secure else call.plain
            call.fromPBX(rtp(1))
            gone = ref(leg)
            for each in (call.plain, call.secure):
                each.release()
            del leg, each, call
            self.assertIsNone(gone())
