"""Calls whose outbound SRTP contexts are lost: the carrier is offered a new key, as soon as that can be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.lost_media import FIRST_PATIENCE, LOOK_SECONDS
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.message import Request
from skypetrunk.wire.sdes import MasterKey, parseCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import SAVP, CallNet, sdp

CARRIER = "203.0.113.9"


def keyOf(request: Request) -> MasterKey:
    """The first of our description in C{request}."""
    return parseCrypto(parseSDP(request.body).media[0].crypto[0]).keys[0].master


class LostMediaTests(SynchronousTestCase):
    """A call of the PBX."""

    def setUp(self) -> None:
        """It stands."""
        self.net = CallNet()
        self.near, self.far = self.net.outboundCall(answer=sdp(SAVP, CARRIER))
        self.net.carrier.got()
        self.accepted = self.net.pbx.response(200)
        self.net.pbx.got()
        self.plain, self.secure = self.net.plane.legs

    def lose(self) -> None:
        """The process with the contexts is gone: another one has other ports."""
        self.secure.lost = True
        self.secure.address = MediaAddress("198.51.100.1", 30000, 30001)
        self.net.manager.lostMedia.begin()

    def renewed(self, answer: int = 200) -> None:
        """The carrier is offered a new key at the new ports, and answers."""
        again = self.net.carrier.request("INVITE")
        self.assertNotEqual(keyOf(again), keyOf(self.far))
        self.assertEqual(parseSDP(again.body).media[0].port, 30000)
        self.net.carrier.answers(again, answer, sdp(SAVP, CARRIER, 2) if answer == 200 else b"")
        self.assertEqual(self.net.carrier.got()[-1:], ["ACK"])

    def later(self, seconds: float) -> list[str | int]:
        """What the carrier gets in that time."""
        for _ in range(int(seconds / LOOK_SECONDS)):
            self.net.clock.advance(LOOK_SECONDS)
        return self.net.carrier.got()

    def test_atOnce(self) -> None:
        """One re-INVITE, to the carrier alone; nothing more once it has the key."""
        self.lose()
        self.renewed()
        self.assertFalse(self.secure.lost)
        self.assertEqual((self.later(100), self.net.pbx.got()), ([], []))

    def test_refused(self) -> None:
        """Who refuses is asked again, and left alone for longer each time; the call stays."""
        self.lose()
        for patience in (FIRST_PATIENCE, 2 * FIRST_PATIENCE, 4 * FIRST_PATIENCE):
            self.renewed(488)
            self.assertEqual(self.later(patience - LOOK_SECONDS), [])
            self.net.clock.advance(LOOK_SECONDS)
        self.renewed()
        self.assertEqual(self.later(100), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_gone(self) -> None:
        """A carrier that knows the call no more ends it, as with any re-INVITE."""
        self.lose()
        again = self.net.carrier.request("INVITE")
        self.net.carrier.answers(again, 481)
        self.assertIn("BYE", self.net.pbx.got())

    def test_busy(self) -> None:
        """A change of the PBX that is under way goes first, still with the old key."""
        self.net.pbx.within(self.near, self.accepted, "INVITE", 2, sdp(version=2))
        change = self.net.carrier.request("INVITE")
        self.lose()
        self.assertEqual(self.later(2 * LOOK_SECONDS), ["INVITE"])
        self.net.carrier.answers(change, 200, sdp(SAVP, CARRIER, 2))
        self.net.pbx.ack(self.near.withHeader("CSeq", "2 INVITE"), self.net.pbx.response(200))
        self.assertTrue(self.secure.lost)
        self.net.clock.advance(LOOK_SECONDS)
        self.renewed()
        self.assertFalse(self.secure.lost)

    def test_nothingLeft(self) -> None:
        """A call that ends meanwhile takes the timer with it."""
        self.lose()
        self.renewed(488)
        self.net.pbx.within(self.near, self.accepted, "BYE", 2)
        self.net.carrier.answers(self.net.carrier.request("BYE"), 200)
        self.net.settle()
        self.assertEqual(self.net.clock.getDelayedCalls(), [])


class RingingTests(SynchronousTestCase):
    """A call that is not answered yet, and had early media."""

    def test_answered(self) -> None:
        """The key comes after the answer, which is still to the offer of before."""
        net = CallNet()
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 183, sdp(SAVP, CARRIER))
        secure = net.plane.legs[1]
        secure.lost = True
        net.manager.lostMedia.begin()
        net.carrier.got()
        for _ in range(20):
            net.clock.advance(LOOK_SECONDS)
        self.assertEqual(net.carrier.got(), [])
        net.carrier.answers(far, 200, sdp(SAVP, CARRIER))
        net.pbx.ack(near, net.pbx.response(200))
        self.assertEqual((net.carrier.got(), secure.lost), (["ACK"], True))
        net.clock.advance(LOOK_SECONDS)
        again = net.carrier.request("INVITE")
        self.assertNotEqual(keyOf(again), keyOf(far))
        net.carrier.answers(again, 200, sdp(SAVP, CARRIER, 2))
        self.assertFalse(secure.lost)
