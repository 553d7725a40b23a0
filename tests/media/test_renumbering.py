"""Tests of L{skypetrunk.media.renumbering}, on a call with a plain and a secure leg."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.renumbering import MEANINGLESS, Renumbered
from skypetrunk.wire.rtp import parseRTP
from tests.media.doubles import Call, rtp

EVENTS = "telephone-event/8000"
OPUS = "opus/48000/2"


def numbered(number: int, sequence: int, marker: bool = False) -> bytes:
    """A packet with this payload type."""
    packet = bytearray(rtp(sequence))
    packet[1] = number | marker << 7
    return bytes(packet)


class RenumberingTests(SynchronousTestCase):
    """The PBX has events as 101 and opus as 111, the carrier as 96 and 97."""

    def setUp(self) -> None:
        """Both legs are agreed."""
        self.call = Call()
        self.agree()

    def agree(self) -> None:
        """What L{skypetrunk.core.session} tells the legs."""
        pbx, carrier = {111: OPUS, 8: "", 101: EVENTS}, {97: OPUS, 8: "", 96: EVENTS}
        self.call.plain.setPayloadTypes(pbx, pbx)
        # Our offer to the carrier had the PBX's numbers.
        self.call.secure.setPayloadTypes(pbx, carrier)

    def toCarrier(self, *packets: bytes) -> list[tuple[int, bool]]:
        """Payload types and markers that the carrier gets; the first of a source has a marker of ours."""
        self.call.peer.plain.clear()
        for packet in packets:
            self.call.fromPBX(packet)
        self.assertEqual(self.call.receiveAll(), [])
        return [(header.payloadType, header.marker) for header in self.call.peer.headers]

    def toPBX(self, *packets: bytes) -> list[bytes]:
        """What the PBX gets of these packets of the carrier."""
        for packet in packets:
            self.call.fromCarrier(self.call.peer.protect(packet))
        return [datagram.data for datagram in self.call.receiveAll()]

    def test_rewritten(self) -> None:
        """Numbers change, markers and what follows do not; static ones stay."""
        packets = [numbered(111, 1, True), numbered(101, 2, True), numbered(8, 3), numbered(101, 4)]
        wanted = [(97, True), (96, True), (8, False), (96, False)]
        self.assertEqual(self.toCarrier(*packets), wanted)
        self.assertEqual(
            [packet[12:] for packet in self.call.peer.plain], [packet[12:] for packet in packets]
        )

    def test_back(self) -> None:
        """The carrier sends with the numbers of our offer: they are the PBX's, to the octet."""
        packets = [numbered(111, 1), numbered(101, 2, True), numbered(8, 3)]
        self.assertEqual(self.toPBX(*packets), packets)

    def test_ownNumbers(self) -> None:
        """A carrier that sends with the numbers of its own answer is understood."""
        got = self.toPBX(numbered(97, 1), numbered(96, 2, True))
        self.assertEqual(got, [numbered(111, 1), numbered(101, 2, True)])

    def test_otherMeaning(self) -> None:
        """A number that would be another codec there is not passed on, and counted."""
        self.call.plain.setPayloadTypes({96: "speex/8000", 8: ""}, {96: "speex/8000", 8: ""})
        self.assertEqual(self.toCarrier(numbered(96, 1), numbered(8, 2)), [(8, True)])
        self.assertEqual(dict(self.call.plain.statistics().received.refused), {MEANINGLESS: 1})

    def test_stillOnTheWay(self) -> None:
        """A re-INVITE with other numbers: packets under those of before are what they were."""
        self.toCarrier(numbered(111, 1))
        for number, first in ((100, 2), (102, 6)):
            pbx = {number: OPUS, 8: "", 105: EVENTS}
            self.call.plain.setPayloadTypes(pbx, pbx)
            packets = [numbered(each, first + n) for n, each in enumerate((111, 101, number, 105))]
            wanted = [(97, False), (96, False), (97, False), (96, False)]
            self.assertEqual(self.toCarrier(*packets), wanted)
        # A number that means something else now is no more what it was.
        again = {111: "speex/8000", 8: "", 105: EVENTS}
        self.call.plain.setPayloadTypes(again, again)
        carrier = {97: OPUS, 98: "speex/8000", 96: EVENTS}
        self.call.secure.setPayloadTypes(carrier, carrier)
        self.assertEqual(self.toCarrier(numbered(111, 10), numbered(102, 11)), [(98, False), (97, False)])

    def test_unknown(self) -> None:
        """A number that means nothing to anybody crosses as it is."""
        self.assertEqual(self.toCarrier(numbered(13, 1)), [(13, True)])

    def test_onlyWhereNeeded(self) -> None:
        """With the same numbers on both legs nothing stands between them."""
        self.assertIsInstance(self.call.plain._onward, Renumbered)
        call = Call()
        same = {8: "PCMA/8000", 101: EVENTS}
        call.plain.setPayloadTypes(same, same)
        call.secure.setPayloadTypes(same, {8: "", 101: EVENTS.upper()})
        self.assertIs(call.plain._onward, call.secure)
        self.assertIs(call.secure._onward, call.plain)

    def test_nothingAgreed(self) -> None:
        """Before both legs know their numbers, packets cross as they are."""
        call = Call()
        self.assertIs(call.plain._onward, call.secure)
        call.plain.setPayloadTypes({101: EVENTS}, {101: EVENTS})
        self.assertIs(call.plain._onward, call.secure)

    def test_joinedAnew(self) -> None:
        """A leg that is joined to another one has that one's numbers to look at."""
        other = self.call.plane.allocate("other", True)
        self.call.plane.join(self.call.plain, other, "another")
        self.assertIs(self.call.plain._onward, other)
        other.setPayloadTypes({8: "", 101: EVENTS}, {8: "", 100: EVENTS})
        self.assertIsInstance(self.call.plain._onward, Renumbered)
        self.assertIsNone(self.call.secure._onward)

    def test_tapped(self) -> None:
        """Who listens is shown packets as their sender made them, and may stop listening."""
        shown: list[int] = []

        def show(packet: bytes, time: float) -> bool:
            shown.append(parseRTP(packet).payloadType)
            return len(shown) < 2

        self.call = Call(taps=lambda call: (show, show))
        self.agree()
        got = self.toCarrier(*(numbered(101, sequence) for sequence in (1, 2, 3)))
        self.assertEqual((shown, [number for number, _ in got]), ([101, 101], [96, 96, 96]))

    def test_rtcp(self) -> None:
        """RTCP crosses as ever."""
        report = bytes.fromhex("80c9000100000001")
        self.call.network.deliver(
            self.call.secure.address.rtcpPort, self.call.peer.protectRTCP(report), ("203.0.113.20", 6001)
        )
        self.assertEqual(len(self.call.network.take()), 1)
