"""
Tests of L{skypetrunk.media.way}, by the statistics of legs.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress, MediaWay
from skypetrunk.media.plane import MediaPlane
from tests.media.doubles import CARRIER, PBX, STRANGER, Call, SecurePeer, key, rtp


class WayTests(SynchronousTestCase):
    """Where packets go and come from."""

    def test_usual(self) -> None:
        """Told, bound, signalled and heard; the time since the last packet."""
        call = Call(reports=True)
        self.assertIsNone(call.plain.statistics().way.quiet)
        call.clock.advance(2)
        call.fromPBX(rtp(1), (PBX[0], 5555))
        way = call.plain.statistics().way
        self.assertEqual(
            way,
            MediaWay(
                told="192.0.2.1",
                bound="192.0.2.1",
                signalled=PBX[0],
                source=PBX[0],
                described=2.0,
                packetsSince=1,
                quiet=0.0,
            ),
        )
        call.clock.advance(9)
        self.assertEqual(call.plain.statistics().way.quiet, 9.0)

    def test_strangers(self) -> None:
        """A host that the SDP does not name is counted and named; what comes before a new SDP is not."""
        call = Call()
        for number in range(3):
            call.fromPBX(rtp(number), STRANGER)
        way = call.plain.statistics().way
        self.assertEqual((way.strangeSince, way.stranger), (3, STRANGER[0]))
        call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        call.fromPBX(rtp(9), STRANGER)
        way = call.plain.statistics().way
        self.assertEqual((way.strangeSince, way.stranger, way.packetsSince), (1, STRANGER[0], 0))

    def test_unauthentic(self) -> None:
        """So are packets that fail authentication; on hold the last host that was signalled stays known."""
        call = Call()
        call.fromCarrier(call.peer.protect(rtp(1)))
        call.secure.setRemote(None)
        forger = SecurePeer(key(3), key(4))
        for number in range(4):
            call.fromCarrier(forger.protect(rtp(10 + number)))
        way = call.secure.statistics().way
        self.assertEqual((way.unauthenticSince, way.packetsSince), (4, 0))
        self.assertEqual((way.signalled, way.source), (CARRIER[0], CARRIER[0]))

    def test_advertised(self) -> None:
        """What we say and what we have may differ."""
        call = Call()
        plane = MediaPlane(
            call.network, call.clock, "192.0.2.1", "203.0.113.7", (21000, 21099), lambda count: bytes(count)
        )
        leg = plane.allocate("carrier", True)
        way = leg.statistics().way
        self.assertEqual((way.told, way.bound, way.described), ("203.0.113.7", "192.0.2.1", None))
