"""INFO: keys cross, and nothing else; SDP in a body of several parts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.leg_dialog import MOST_KEYS
from skypetrunk.wire.message import Request
from skypetrunk.wire.multipart import partOf
from tests.core.races import Race

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"
PARTS = (
    b"preamble\r\n--b 1\r\nContent-Type: application/pkcs7-signature\r\n\r\n\x00\xff\r\n"
    b"--b 1\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n\r\nSDP"
    b"\r\n--b 1--\r\nepilogue"
)


class Info(Race):
    """RFC 6086 with the bodies of old."""

    def send(self, number: int, body: bytes, kind: str = RELAY) -> None:
        """An INFO of the caller."""
        headers = [("Content-Type", kind), ("X-Marker", "marker")] if body else []
        lines = self.near.withHeader("To", self.accepted.header("To") or "")
        lines = lines.withHeader("CSeq", f"{number} INFO").withoutHeader("Content-Type").withoutHeader("Via")
        request = Request("INFO", str(self.accepted.contacts[0].uri), lines.headers, body)
        for header in headers:
            request = request.addingHeader(*header)
        via = str(self.near.topVia).replace("branch=", f"branch=z9hG4bKinfo{number}{len(body)}")
        self.caller.says(request.prependingHeader("Via", via))

    def setUp(self) -> None:
        """A call that stands."""
        super().setUp()
        self.near, self.accepted, self.far = self.established()

    def test_key(self) -> None:
        """A key crosses with its duration, in words of our own; the answer comes back (section 4.2.2)."""
        self.send(2, b"Signal= 5\r\nDuration= 160\r\nX-Secret: marker\r\n")
        info = self.callee.request("INFO")
        self.assertEqual((info.body, info.contentType), (b"Signal=5\r\nDuration=160\r\n", RELAY))
        self.assertNotIn(b"marker", info.encode())
        self.assertEqual(self.caller.got(), [])
        self.callee.answers(info, 200)
        self.assertEqual(self.caller.got(), [200])

    def test_plain(self) -> None:
        """The shorter form."""
        self.send(2, b"#", PLAIN)
        info = self.callee.request("INFO")
        self.assertEqual((info.body, info.contentType), (b"#", PLAIN))
        self.callee.answers(info, 200)
        self.assertEqual(self.caller.got(), [200])

    def test_refusedThere(self) -> None:
        """A side that takes no INFO: the other one learns that it is not its own fault."""
        self.send(2, b"Signal=1\r\n")
        self.callee.answers(self.callee.request("INFO"), 405)
        self.assertEqual(self.caller.got(), [502])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_rfc4320_4_2(self) -> None:
        """408 is no answer to an INFO, also where it is the other side's."""
        self.send(2, b"Signal=1\r\n")
        self.callee.answers(self.callee.request("INFO"), 408)
        self.assertEqual(self.caller.got(), [504])

    def test_refused(self) -> None:
        """Other types 415 with Accept, keys that are none 400, an empty one 200; nothing crosses."""
        self.send(2, b"<xml/>", "application/media_control+xml")
        self.assertIn(RELAY, self.caller.response(415).header("Accept") or "")
        self.send(3, b"Signal=marker\r\n")
        self.send(4, b"55", PLAIN)
        self.send(5, b"")
        self.assertEqual(self.caller.got(), [415, 400, 400, 200])
        self.assertEqual(self.callee.got(), [])

    def test_491(self) -> None:
        """A key that meets something else of the peer is sent once more, before the next."""
        for again in (200, 491):
            self.send(again, b"Signal=7\r\n")
            self.send(again + 1, b"Signal=8\r\n")
            first = self.callee.request("INFO")
            self.callee.got()
            self.callee.answers(first, 491)
            self.net.clock.advance(0.4)
            self.assertEqual((self.callee.got(), self.caller.got()), ([], []))
            self.net.clock.advance(0.2)
            second = self.callee.request("INFO")
            self.assertEqual((second.body, second.cseq.number), (first.body, first.cseq.number + 1))
            self.callee.answers(second, again)
            self.assertEqual(self.caller.got(), [again])
            self.callee.answers(self.callee.request("INFO"), 200)
            self.assertEqual((self.caller.got(), self.callee.got()), ([200], ["INFO", "INFO"]))

    def test_491AtTheEnd(self) -> None:
        """The call ends before a key is sent again: it is not."""
        self.endsWith491(True, ["200", "480", "480"])

    def test_491AfterTheEnd(self) -> None:
        """The same where 491 is on its way when the call ends."""
        self.endsWith491(False, ["200", "480", "491"])

    def endsWith491(self, early: bool, wanted: list[str]) -> None:
        """A call that ends before or after a key of two is answered 491, and what the caller hears."""
        self.send(2, b"Signal=7\r\n")
        self.send(3, b"Signal=8\r\n")
        info = self.callee.request("INFO")
        if early:
            self.callee.answers(info, 491)
        self.callee.got()
        self.caller.within(self.near, self.accepted, "BYE", 5)
        if not early:
            self.callee.answers(info, 491)
        self.net.clock.advance(1.0)
        self.assertNotIn("INFO", self.callee.got())
        self.assertEqual(sorted(map(str, self.caller.got())), wanted)

    def test_outOfOrder(self) -> None:
        """A CSeq that is not new: 500."""
        self.send(1, b"Signal=1\r\n")
        self.assertEqual(self.caller.got(), [500])

    def test_endsMeanwhile(self) -> None:
        """The call ends before the answer to INFO."""
        self.send(2, b"Signal=1\r\n")
        self.caller.within(self.near, self.accepted, "BYE", 3)
        self.callee.answers(self.callee.request("BYE"), 200)
        self.assertEqual(self.caller.got(), [200])

    def test_order(self) -> None:
        """Keys that come fast: the next is sent when the one before is answered, and overtakes none."""
        for number, key in enumerate("147*", 2):
            self.send(number, f"Signal={key}\r\n".encode())
        for number, key in enumerate("147*"):
            self.assertEqual(self.callee.channel.summary(), ["INFO"] * (number + 1))
            info = self.callee.request("INFO")
            self.assertEqual(info.body[:8], f"Signal={key}".encode())
            self.callee.answers(info, 200)
            self.assertEqual(self.caller.got(), [200])

    def test_waitingAtTheEnd(self) -> None:
        """The call ends, from either side: what waits is answered, and not sent any more."""
        for number in (2, 3, 4):
            self.send(number, b"Signal=1\r\n")
        info = self.callee.request("INFO")
        self.callee.got()
        self.caller.within(self.near, self.accepted, "BYE", 5)
        self.assertEqual(sorted(map(str, self.caller.got())), ["200", "480", "480"])
        self.callee.answers(info, 200)
        self.callee.answers(self.callee.request("BYE"), 200)
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_anotherBranchEnds(self) -> None:
        """Another branch of the call answers late, and is hung up: keys that wait are not its own."""
        for number in (2, 3, 4):
            self.send(number, b"Signal=1\r\n")
        info = self.callee.request("INFO")
        self.callee.answers(self.far, 200, self.description(self.callee), tag="late")
        self.assertIn("BYE", self.callee.got())
        self.assertEqual(self.caller.got(), [])
        self.callee.answers(info, 200)
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], ["INFO"]))

    def test_tooMany(self) -> None:
        """Of more than wait at most the last are refused."""
        for number in range(2, 2 + MOST_KEYS + 3):
            self.send(number, b"Signal=1\r\n")
        self.assertEqual(self.caller.got(), [503, 503])
        self.callee.back(self.far, "BYE", 1)
        self.assertEqual(self.caller.got().count(480), MOST_KEYS)

    def test_multipart(self) -> None:
        """An offer among other parts is found; the other parts do not cross (RFC 5621)."""
        offer = self.description(self.caller, 2)
        body = PARTS.replace(b"SDP", offer)
        again = self.near.withHeader("To", self.accepted.header("To") or "").withHeader("CSeq", "2 INVITE")
        again = again.withHeader("Content-Type", 'multipart/mixed;boundary="b 1"')
        via = str(self.near.topVia).replace("branch=", "branch=z9hG4bKparts")
        self.caller.says(
            Request("INVITE", str(self.accepted.contacts[0].uri), again.headers, body).withHeader("Via", via)
        )
        crossed = self.callee.request("INVITE")
        self.assertEqual(crossed.contentType, "application/sdp")
        self.assertNotIn(b"pkcs7", crossed.encode())
        self.answer(crossed)
        self.assertEqual(self.caller.got()[-1], 200)


class InboundInfo(Info):
    """The same where the carrier calls."""

    outbound = False


class TCPInfo(Info):
    """The same with the PBX on TCP."""

    transport = "tcp"


class PartTests(SynchronousTestCase):
    """Finding the part."""

    def test_found(self) -> None:
        """By its type, with a boundary in quotes or without, to the octet."""
        self.assertEqual(partOf('multipart/mixed; boundary="b 1"', PARTS, "application/sdp"), b"SDP")
        plain = PARTS.replace(b"b 1", b"b1")
        self.assertEqual(partOf("multipart/mixed;boundary=b1", plain, "application/sdp"), b"SDP")

    def test_notFound(self) -> None:
        """No such part, no boundary, another boundary, an encoding: none."""
        right = 'multipart/mixed; boundary="b 1"'
        self.assertIsNone(partOf(right, PARTS, "text/plain"))
        self.assertIsNone(partOf("multipart/mixed", PARTS, "application/sdp"))
        self.assertIsNone(partOf("multipart/mixed;boundary=x", PARTS, "application/sdp"))
        encoded = PARTS.replace(b"Content-Disposition: session", b"Content-Transfer-Encoding: base64")
        self.assertIsNone(partOf(right, encoded, "application/sdp"))

    def test_everyCut(self) -> None:
        """Cut anywhere it gives the part, a piece of it, or none, and never fails."""
        for end in range(len(PARTS)):
            found = partOf('multipart/mixed; boundary="b 1"', PARTS[:end], "application/sdp")
            self.assertTrue(found is None or b"SDP\r\n--b 1".startswith(found), end)
