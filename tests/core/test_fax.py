"""T.38: refused by itself, while the call stays on G.711."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from skypetrunk.wire.message import Request
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from tests.core.callnet import PCMA, sdp
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
        wanted = f"{self.caller.side.name} wanted fax by T.38, which trunk.media.t38 refuses: "
        self.assertEqual(self.diagnosis(), wanted + "it went on over G.711")

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


class LateFax(Race):
    """T.38 in the 200 to a re-INVITE that has no offer: the ACK refuses it, and sound goes on."""

    def setUp(self) -> None:
        """It is established."""
        super().setUp()
        self.near, self.accepted, self.far = self.established()
        self.before = [list(leg.events) for leg in self.net.plane.legs]

    def asked(self, body: bytes, number: int = 2, status: int = 488) -> SessionDescription:
        """
        The caller leaves the offer to the callee, which makes this one.

        @return: what the ACK answers.
        """
        self.caller.within(self.near, self.accepted, "INVITE", number)
        offered = self.callee.request("INVITE")
        self.assertEqual(offered.body, b"")
        self.callee.answers(offered, 200, body)
        self.caller.ackRefusal(status)
        return parseSDP(self.callee.request("ACK").body)

    def assertSoundAgain(self, lines: list[tuple[str, bool]]) -> Request:
        """The callee is offered the sound that it had, with the key and port of the beginning."""
        again = self.callee.request("INVITE")
        offer, first = parseSDP(again.body), parseSDP(self.far.body).media[0]
        self.assertEqual([(line.kind, bool(line.port)) for line in offer.media], lines)
        [sound] = [line for line in offer.media if line.port]
        self.assertEqual((sound.port, sound.crypto), (first.port, first.crypto[:1]))
        return again

    def test_alone(self) -> None:
        """In the place of the sound."""
        answer = self.asked(sdp(IMAGE, version=2))
        self.assertTrue((self.caller.response(488).header("Warning") or "").startswith("304 "))
        [line] = answer.media
        self.assertEqual((line.kind, line.port, line.protocol), ("image", 0, "udptl"))
        self.assertEqual([leg.events for leg in self.net.plane.legs], self.before)
        again = self.assertSoundAgain([("audio", True)])
        self.assertGreater(int(parseSDP(again.body).origin.version), int(answer.origin.version))
        self.callee.answers(again, 200, self.description(self.callee, 3))
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))
        self.assertNotIn("BYE", self.caller.got() + self.callee.got())
        self.caller.within(self.near, self.accepted, "INVITE", 3, self.description(self.caller, 3))
        self.answer(self.callee.request("INVITE"))
        self.assertEqual(self.caller.got()[-1], 200)
        wanted = f"{self.callee.side.name} wanted fax by T.38, which trunk.media.t38 refuses: "
        self.assertEqual(self.diagnosis(), wanted + "it went on over G.711")

    def test_cancelled(self) -> None:
        """It crosses the CANCEL of that re-INVITE: the ACK refuses it, and sound is offered after that."""
        asked = self.caller.within(self.near, self.accepted, "INVITE", 2)
        offered = self.callee.request("INVITE")
        self.callee.got()
        self.caller.cancel(asked)
        self.callee.answers(offered, 200, sdp(IMAGE, version=2))
        requests = [each for each in self.callee.channel.requests if each.method != "CANCEL"]
        self.assertEqual([each.method for each in requests], ["ACK", "INVITE"])
        [line] = parseSDP(requests[0].body).media
        self.assertEqual((line.kind, line.port), ("image", 0))
        again = self.assertSoundAgain([("audio", True)])
        self.callee.answers(again, 200, self.description(self.callee, 3))
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_audioOff(self) -> None:
        """Beside audio with port 0, in either order: each line is refused, and keeps its place."""
        audio = "m=audio 0 RTP/AVP 8\r\n"
        for number, body in enumerate((audio + IMAGE, IMAGE + audio), 2):
            answer = self.asked(sdp(body, version=number), number)
            kinds = ["audio", "image"] if number == 2 else ["image", "audio"]
            self.assertEqual([(line.kind, line.port) for line in answer.media], [(kind, 0) for kind in kinds])
            again = self.assertSoundAgain([(kind, kind == "audio") for kind in kinds])
            answered = [f"m={kind} 0 udptl t38\r\n" if kind == "image" else "" for kind in kinds]
            sound = self.description(self.callee, number + 2)
            start = sound.index(b"m=audio")
            head, line = sound[:start], sound[start:]
            body = answered[0] + line.decode() + answered[1]
            self.callee.answers(again, 200, head + body.encode())
            self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_soundRefused(self) -> None:
        """Who does not want its sound back keeps what it has: silence is for the watch of it."""
        self.asked(sdp(IMAGE, version=2))
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))
        self.assertEqual([leg.events for leg in self.net.plane.legs], self.before)

    def test_noKey(self) -> None:
        """The same of sound that one of the two may not have."""
        carrier = self.callee is self.net.carrier
        body = sdp(PCMA if carrier else "m=audio 4900 RTP/SAVP 8\r\n", version=2)
        answer = self.asked(body)
        self.assertEqual([(line.kind, line.port) for line in answer.media], [("audio", 0)])
        self.callee.answers(self.assertSoundAgain([("audio", True)]), 200, self.description(self.callee, 3))
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))
        self.assertIsNone(self.diagnosis())


class InboundLateFax(LateFax):
    """The same where the carrier calls."""

    outbound = False


class CalleeLateFax(Race):
    """The called side leaves the offer to the caller."""

    def test_alone(self) -> None:
        """The same."""
        _, _, far = self.established()
        self.callee.back(far, "INVITE", 1)
        self.caller.answers(self.caller.request("INVITE"), 200, sdp(IMAGE, version=2))
        self.callee.ackRefusal(488)
        [line] = parseSDP(self.caller.request("ACK").body).media
        self.assertEqual((line.kind, line.port), ("image", 0))
        again = self.caller.request("INVITE")
        [line] = parseSDP(again.body).media
        self.assertEqual((line.kind, bool(line.port)), ("audio", True))
        self.caller.answers(again, 200, self.description(self.caller, 3))
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))


class InboundCalleeLateFax(CalleeLateFax):
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

    def test_late(self) -> None:
        """In the 200 to a first INVITE: an ACK with an answer, and BYE (RFC 3261 section 13.2.2.4)."""
        _, far = self.call(b"")
        self.callee.answers(far, 200, sdp(IMAGE))
        self.caller.ackRefusal(488)
        [line] = parseSDP(self.callee.request("ACK").body).media
        self.assertEqual((line.kind, line.port), ("image", 0))
        self.callee.answers(self.callee.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 0)


class InboundFirstFax(FirstFax):
    """The same where the carrier calls."""

    outbound = False
