"""Tests of L{skypetrunk.pbx.line_session}: what a call of a PBX in this process agrees on."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedSDP
from skypetrunk.media import MediaPlane
from skypetrunk.pbx.line_session import LineSession
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, sdp
from tests.media.doubles import MemoryNetwork, entropy

BOTH = "m=audio 4000 RTP/AVP 0 8\r\n"
NEITHER = "m=audio 4000 RTP/AVP 9\r\n"


class LineSessionTests(SynchronousTestCase):
    """Offers and answers."""

    def setUp(self) -> None:
        """One with an endpoint of its own."""
        plane = MediaPlane(MemoryNetwork(), Clock(), "198.51.100.1", None, (30000, 30019), entropy())
        self.media = plane.endpoint("one")
        self.session = LineSession(self.media, entropy())

    def answer(self, media: str, connected: bool = False) -> tuple[str, ...]:
        """The formats of our answer to C{media}."""
        return parseSDP(self.session.answerTo(sdp(media), connected)).media[0].formats

    def test_offered(self) -> None:
        """All that is offered is G.711 and keys; the answer's codec holds."""
        offer = parseSDP(self.session.makeOffer())
        self.assertEqual(offer.media[0].formats, ("8", "0", "101"))
        self.session.answerReceived(sdp("m=audio 4000 RTP/AVP 0\r\n"))
        self.assertEqual(self.session.state, ("PCMU", True))
        self.session.answered()
        self.assertRaises(MalformedSDP, self.session.answerReceived, sdp(PCMA))

    def test_noAnswer(self) -> None:
        """None, and one without G.711, change nothing of the codec."""
        self.session.makeOffer()
        for body in (b"", sdp(NEITHER)):
            self.assertRaises(MalformedSDP, self.session.answerReceived, body)
        self.assertEqual(self.media.codec, "PCMA")

    def test_preferred(self) -> None:
        """The codec that the peer names first; in a call that is connected the one in use."""
        self.assertEqual(self.answer(PCMA), ("8", "101"))
        self.assertEqual(self.answer(BOTH, connected=True), ("8",))
        self.assertEqual(self.answer(BOTH), ("0",))
        self.assertEqual(self.media.codec, "PCMU")

    def test_refused(self) -> None:
        """An offer that holds nothing for us leaves what stands."""
        self.answer(BOTH)
        self.assertEqual(self.session.state, ("PCMU", True))
        self.assertRaises(MalformedSDP, self.session.check, sdp(NEITHER))
        for body in (sdp(NEITHER), b"", b"\xff"):
            self.assertRaises(MalformedSDP, self.session.answerTo, body, True)
        self.assertEqual(self.session.state, ("PCMU", True))
        self.assertEqual(self.answer(BOTH, connected=True), ("0",))

    def test_held(self) -> None:
        """Who is on hold is not sent to."""
        self.answer(PCMA)
        self.answer(PCMA + "a=sendonly\r\n", connected=True)
        self.assertEqual(self.session.state, ("PCMA", False))
