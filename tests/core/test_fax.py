"""T.38: refused by itself, while the call stays on G.711."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from skypetrunk.wire.message import Request
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import sdp
from tests.core.races import Race

IMAGE = (
    "m=image 4900 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
    "a=T38FaxRateManagement:transferredTCF\r\n"
    "a=T38FaxMaxBuffer:200\r\na=T38FaxMaxDatagram:72\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
)


class Fax(Race):
    """A call that stands, and an offer of the caller's."""

    def setUp(self) -> None:
        """It is established."""
        super().setUp()
        self.near, self.accepted, self.far = self.established()
        self.before = [list(leg.events) for leg in self.net.plane.legs]

    def offer(self, body: bytes, method: str = "INVITE") -> Request:
        """The caller's."""
        return self.caller.within(self.near, self.accepted, method, 2, body)

    def assertUntouched(self) -> None:
        """The other side saw nothing, media is as it was, and the call stands."""
        self.assertEqual(self.callee.got(), [])
        self.assertEqual([leg.events for leg in self.net.plane.legs], self.before)
        self.assertEqual(self.net.manager.callCount(), 1)

    def assertRefused(self) -> None:
        """488 that says why, and nothing else."""
        refusal = self.caller.response(488)
        self.assertTrue((refusal.header("Warning") or "").startswith("304 "), refusal.header("Warning"))
        self.assertUntouched()

    def test_alone(self) -> None:
        """A re-INVITE with T.38 alone (ITU-T T.38 annex D): 488, and a line that says what it was."""
        with capturedLogs() as events:
            self.offer(sdp(IMAGE, version=2))
        self.assertRefused()
        self.caller.ackRefusal(488)
        [line] = [each for each in map(formatEvent, events) if "T.38" in each]
        self.assertIn("fax over G.711 goes on", line)

    def test_audioOff(self) -> None:
        """Beside audio with port 0: the same."""
        self.offer(sdp("m=audio 0 RTP/AVP 8\r\n" + IMAGE, version=2))
        self.assertRefused()
        self.caller.ackRefusal(488)

    def test_update(self) -> None:
        """In UPDATE."""
        self.offer(sdp(IMAGE + "m=audio 0 RTP/AVP 8\r\n", version=2), "UPDATE")
        self.assertRefused()

    def test_beside(self) -> None:
        """Beside audio: image is refused with port 0; the other side is offered audio alone."""
        body = self.description(self.caller, 2, "a=sendonly\r\n")
        self.offer(body + IMAGE.encode())
        offered = self.callee.request("INVITE")
        self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["audio"])
        self.callee.answers(offered, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        answer = parseSDP(self.caller.response(200).body)
        self.assertEqual(
            [(line.kind, bool(line.port)) for line in answer.media], [("audio", True), ("image", False)]
        )
        self.assertEqual(answer.media[1].formats, ("t38",))

    def test_thenAudio(self) -> None:
        """After the refusal audio may be offered as ever."""
        self.offer(sdp(IMAGE, version=2))
        self.caller.ackRefusal(488)
        self.caller.within(
            self.near, self.accepted, "INVITE", 3, self.description(self.caller, 3, "a=sendonly\r\n")
        )
        self.answer(self.callee.request("INVITE"))
        self.assertEqual(self.caller.got()[-1], 200)


class InboundFax(Fax):
    """The same where the carrier calls."""

    outbound = False


class CalleeFax(Race):
    """The called side offers T.38: a receiving fax machine does, as soon as it hears the tone."""

    def test_alone(self) -> None:
        """The same."""
        _, _, far = self.established()
        before = [list(leg.events) for leg in self.net.plane.legs]
        self.callee.back(far, "INVITE", 1, body=sdp(IMAGE, version=2))
        refusal = self.callee.response(488)
        self.assertTrue((refusal.header("Warning") or "").startswith("304 "))
        self.callee.ackRefusal(488)
        self.assertEqual(self.caller.got(), [])
        self.assertEqual([leg.events for leg in self.net.plane.legs], before)
        self.assertEqual(self.net.manager.callCount(), 1)


class InboundCalleeFax(CalleeFax):
    """The same where the carrier calls."""

    outbound = False


class FirstFax(Race):
    """A call that begins with T.38."""

    def test_alone(self) -> None:
        """488, no INVITE, no port."""
        self.invite(sdp(IMAGE))
        self.assertTrue((self.caller.response(488).header("Warning") or "").startswith("304 "))
        self.caller.ackRefusal(488)
        self.assertEqual((self.callee.got(), self.net.plane.open), ([], 0))


class InboundFirstFax(FirstFax):
    """The same where the carrier calls."""

    outbound = False
