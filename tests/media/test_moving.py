"""
A peer that moves in mid-call: sound is back within a second, with a new SDP and without.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from twisted.internet import reactor as globalReactor
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media import MediaPlane
from skypetrunk.media.source import SETTLING, SILENCE
from tests.media.doubles import CARRIER, PBX, SUITE, Call, SecurePeer, key, rtp
from tests.media.test_loopback import Peer

reactor: object = globalReactor

ELSEWHERE = ("203.0.113.200", 7000)

FRAME = 0.02
"""Seconds of sound in a packet."""


class MovingTests(SynchronousTestCase):
    """On a clock, with every frame of both directions."""

    def setUp(self) -> None:
        """A call on which both talk."""
        self.call = Call()
        self.sequence = 0
        for _ in range(50):
            self.frame(CARRIER)

    def frame(self, carrier: tuple[str, int], pbx: tuple[str, int] = PBX) -> tuple[bool, bool]:
        """
        One frame each way, 20 ms later.

        @return: does the PBX hear the carrier there, and the carrier the PBX?
        """
        call = self.call
        call.clock.advance(FRAME)
        self.sequence += 1
        call.fromCarrier(call.peer.protect(rtp(self.sequence)), carrier)
        call.fromPBX(rtp(self.sequence), pbx)
        sent = [(each.port, each.destination) for each in call.network.take()]
        secure = (call.secure.address.port, carrier)
        return (call.plain.address.port, pbx) in sent, secure in sent

    def silence(self, frame: Callable[[], tuple[bool, bool]]) -> float:
        """Seconds until both hear each other again, and go on doing so."""
        last = 0
        for number in range(1, 201):
            if frame() != (True, True):
                last = number
        return last * FRAME

    def test_carrierWithoutSDP(self) -> None:
        """The first authentic packet of the new place moves the call."""
        self.assertEqual(self.silence(lambda: self.frame(ELSEWHERE)), 0.0)

    def test_carrierWithSDP(self) -> None:
        """So does a new SDP, before any packet has come from there."""
        self.call.secure.setRemote(MediaAddress(*ELSEWHERE, ELSEWHERE[1] + 1))
        self.sequence += 1
        self.call.fromPBX(rtp(self.sequence))
        self.assertEqual(self.call.network.take()[-1].destination, ELSEWHERE)
        self.assertEqual(self.silence(lambda: self.frame(ELSEWHERE)), 0.0)

    def test_carrierBehindNAT(self) -> None:
        """Its new SDP names an address that it does not send from: what is authentic decides, soon."""
        self.call.secure.setRemote(MediaAddress("10.0.0.5", 7000, 7001))
        self.assertLess(self.silence(lambda: self.frame(CARRIER)), SETTLING + 2 * FRAME)
        self.call.secure.setRemote(MediaAddress("10.0.0.6", 7000, 7001))
        self.assertEqual(self.silence(lambda: self.frame(ELSEWHERE)), 0.0)

    def test_forgedMove(self) -> None:
        """Packets without the key, from everywhere, move nothing."""
        for number in range(100):
            self.call.fromCarrier(os.urandom(172), ("198.51.100.66", 1024 + number))
            self.assertEqual(self.frame(CARRIER), (True, True))

    def test_pbx(self) -> None:
        """A PBX that goes to another port of its host, without a word, is heard again after a moment."""
        moved = (PBX[0], PBX[1] + 100)
        self.frame(CARRIER, (PBX[0], PBX[1] + 50))
        self.assertLess(self.silence(lambda: self.frame(CARRIER, moved)), SILENCE + 2 * FRAME)

    def test_pbxWithSDP(self) -> None:
        """With a new SDP at once, at another host too."""
        moved = ("192.0.2.180", 6000)
        self.call.plain.setRemote(MediaAddress(*moved, 6001))
        self.assertEqual(self.silence(lambda: self.frame(CARRIER, moved)), 0.0)


class MovingSocketsTests(TestCase):
    """The same over sockets: the carrier takes another address and port in mid-call."""

    helped = True

    bound = "0.0.0.0"

    host, elsewhere = "127.0.0.1", "127.77.0.2"

    def setUp(self) -> None:
        """Both legs, both peers."""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((self.elsewhere, 0))
        except OSError as error:
            self.skipTest(f"{self.elsewhere}: {error}")
        self.pbx, self.carrier = self.peer(self.host), self.peer(self.host)
        self.moved = self.peer(self.elsewhere)
        plane = MediaPlane(
            reactor,  # type: ignore[arg-type]
            reactor,  # type: ignore[arg-type]
            self.bound,
            None,
            (20000, 29999),
            os.urandom,
            helped=self.helped,
        )
        self.plain, self.secure = plane.allocate("pbx", False), plane.allocate("carrier", True)
        for leg in (self.plain, self.secure):
            self.addCleanup(leg.release)
        plane.join(self.plain, self.secure, "call")
        self.srtp = SecurePeer(key(2), key(1))
        self.plain.setRemote(self.address(self.pbx))
        self.secure.setRemoteKey(SUITE, key(2))
        self.secure.setLocalKey(SUITE, key(1))
        self.secure.setRemote(self.address(self.carrier))
        self.place = self.carrier
        self.sequence = 0
        talking = LoopingCall(self.frame)
        self.addCleanup(talking.stop)
        talking.start(FRAME)

    def peer(self, host: str) -> Peer:
        """A peer on a port of the system's choice."""
        peer = Peer()
        port = reactor.listenUDP(0, peer, interface=host)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return peer

    def address(self, peer: Peer) -> MediaAddress:
        """What C{peer}'s SDP says."""
        place = peer.transport.getHost()  # type: ignore[union-attr]
        return MediaAddress(place.host, place.port, place.port)

    def frame(self) -> None:
        """Both talk, the carrier from where it is."""
        self.sequence += 1
        where = "127.0.0.1"
        packet = rtp(self.sequence)
        self.pbx.transport.write(packet, (where, self.plain.address.port))  # type: ignore[union-attr]
        protected = self.srtp.protect(rtp(self.sequence))
        self.place.transport.write(protected, (where, self.secure.address.port))  # type: ignore[union-attr]

    async def move(self, signalled: bool) -> None:
        """After some sound the carrier moves: both hear each other there within a second."""
        await self.carrier.wait(13)
        await self.pbx.wait(10)
        self.place = self.moved
        began = reactor.seconds()  # type: ignore[attr-defined]
        if signalled:
            self.secure.setRemote(self.address(self.moved))
        before = len(self.pbx.heard)
        await self.moved.wait(5)
        await self.pbx.wait(before + 5)
        self.assertLess(reactor.seconds() - began, 1.0)  # type: ignore[attr-defined]
        # What comes from the old place by then is nothing.
        left = len(self.carrier.heard)
        await deferLater(reactor, 3 * FRAME)  # type: ignore[arg-type]
        self.assertEqual(len(self.carrier.heard), left)
        for datagram, _ in self.carrier.heard + self.moved.heard:
            self.srtp.receive(datagram)
        self.assertEqual(self.srtp.refused, [])

    async def test_withoutSDP(self) -> None:
        """It sends from elsewhere."""
        await self.move(False)

    async def test_withSDP(self) -> None:
        """It says so in a re-INVITE."""
        await self.move(True)


class MovingByPythonTests(MovingSocketsTests):
    """The same without the compiled helper."""

    helped = False


class MovingConnectedTests(MovingSocketsTests):
    """The same with sockets that are connected to the peers, as those of one address are."""

    bound = "127.0.0.1"


class MovingConnectedByPythonTests(MovingConnectedTests):
    """The same without the compiled helper."""

    helped = False
