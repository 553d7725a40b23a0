"""T.38 where the trunk lets it pass: on both legs or on none, and sound is as before when it is over."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from skypetrunk.core.diagnosis import FaxInSound
from skypetrunk.interfaces import MediaPath
from skypetrunk.wire.message import Response
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, Neighbour, sdp
from tests.core.faxplay import ASKED, OFF, TOLD, PassedCase, image
from tests.core.races import Race


class PassedTests(PassedCase):
    """The caller asks."""

    def inSound(self, asking: Neighbour, other: Neighbour) -> str:
        """What is said of a fax that was refused by one side."""
        one, two = asking.side.name, other.side.name
        return f"{one} wanted fax by T.38, which {two} refuses: it went on over G.711"

    def test_crosses(self) -> None:
        """An image line of our own in the place of audio, with the attributes as they were written."""
        with capturedLogs() as events:
            asked = self.asks(image(ASKED + "a=X-secret:1\r\na=label:7\r\n"))
            offered = self.answers(image(TOLD, 4950, "203.0.113.9"))
            answer = self.taken(asked)
        [line] = parseSDP(offered.body).media
        address = self.leg(self.callee).address
        self.assertEqual(
            (line.kind, line.port, line.protocol, line.formats, line.address),
            ("image", address.port, "udptl", ("t38",), address.host),
        )
        self.assertIn(ASKED.encode() + b"a=sendrecv\r\n", offered.body)
        for foreign in (b"secret", b"label", b"crypto", b"a=rtcp", b"192.0.2.10"):
            self.assertNotIn(foreign, offered.body)
        [line] = answer.media
        address = self.leg(self.caller).address
        self.assertEqual((line.kind, line.port, line.address), ("image", address.port, address.host))
        self.assertEqual(
            line.attributes[:-1],
            (
                *(("T38FaxVersion", "0"), ("t38MaxBitrate", "9600")),
                *(("T38FaxUdpEC", "t38UDPFEC"), ("T38VendorInfo", "0 0 37")),
            ),
        )
        self.assertFax()
        [told] = [each for each in map(formatEvent, events) if "T.38" in each]
        self.assertIn("in clear as trunk.media.t38 allows", told)

    def test_audioOff(self) -> None:
        """Beside audio with port 0, in either order: the answer has a line for each."""
        for number, body in enumerate((OFF + "{}", "{}" + OFF), 2):
            fax = f"m=image 4900 udptl t38\r\n{ASKED}"
            asked = self.asks(sdp(body.format(fax), version=number), number)
            offered = self.answers(image(TOLD, 4950, version=number))
            self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["image"])
            kinds = [(line.kind, bool(line.port)) for line in self.taken(asked).media]
            wanted = [("audio", False), ("image", True)]
            self.assertEqual(kinds, wanted if number == 2 else wanted[::-1])
            self.assertFax()

    def test_beside(self) -> None:
        """Beside audio that is on: sound is taken, and nobody hears of the fax."""
        body = self.description(self.caller, 2, "a=sendonly\r\n") + b"m=image 4900 udptl t38\r\n"
        asked = self.asks(body)
        offered = self.answers(self.description(self.callee, 2, "a=recvonly\r\n"))
        self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["audio"])
        kinds = [(line.kind, bool(line.port)) for line in self.taken(asked).media]
        self.assertEqual(kinds, [("audio", True), ("image", False)])
        self.assertNotIn("fax", [each[0] for leg in self.net.plane.legs for each in leg.events])

    def test_refused(self) -> None:
        """By the other side: no leg is touched, and sound may change as ever."""
        self.asks(image(ASKED))
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.assertUntouched()
        asked = self.asks(self.description(self.caller, 3), 3)
        offered = self.answers(self.description(self.callee, 3))
        self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["audio"])
        self.taken(asked)
        self.assertSound()
        self.assertEqual(self.diagnosis(), self.inSound(self.caller, self.callee))

    def test_refusedForAWhile(self) -> None:
        """By another change that is on its way: that says nothing of T.38."""
        self.asks(image(ASKED))
        self.callee.answers(self.callee.request("INVITE"), 491)
        self.caller.ackRefusal(491)
        self.assertIsNone(self.diagnosis())

    def test_refusedWithPortZero(self) -> None:
        """By an answer without it: the asking side gets 488, the other one is offered its sound again."""
        self.asks(image(ASKED))
        self.answers(image(TOLD, 0))
        self.caller.ackRefusal(488)
        self.assertUntouched()
        back = self.callee.request("INVITE")
        first = parseSDP(self.far.body)
        again = parseSDP(back.body)
        self.assertEqual([line.kind for line in again.media], ["audio"])
        self.assertEqual(again.media[0].crypto, first.media[0].crypto[:1])
        self.assertEqual(again.media[0].port, first.media[0].port)
        self.callee.answers(back, 200, self.description(self.callee, 3))
        self.assertNotIn("fax", [each[0] for leg in self.net.plane.legs for each in leg.events])
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual(self.diagnosis(), self.inSound(self.caller, self.callee))

    def test_badAnswers(self) -> None:
        """Of another kind or protocol, or unreadable: as one with port 0."""
        for number, body in enumerate(
            (sdp("m=audio 4950 RTP/AVP 8\r\n"), sdp("m=image 4950 tcp t38\r\n"), b"v=0\r\n"), 2
        ):
            self.asks(image(ASKED, version=number), number)
            self.answers(body)
            self.caller.ackRefusal(488)
            back = self.callee.request("INVITE")
            self.callee.answers(back, 200, self.description(self.callee, number))
            self.caller.got()
            self.callee.got()
            self.assertEqual([leg.session.fax for leg in self.legs()], [False, False])
            self.assertEqual(self.net.manager.callCount(), 1)

    def test_back(self) -> None:
        """Sound again, by the side that asked: keys, places and direction of the beginning."""
        self.faxed()
        asked = self.asks(self.description(self.caller, 3), 3)
        offered = self.answers(self.description(self.callee, 3))
        [line] = parseSDP(offered.body).media
        self.assertEqual((line.kind, line.protocol), ("audio", parseSDP(self.far.body).media[0].protocol))
        self.assertEqual(line.crypto, parseSDP(self.far.body).media[0].crypto[:1])
        [line] = self.taken(asked).media
        first = parseSDP(self.accepted.body).media[0]
        self.assertEqual((line.kind, line.port, line.crypto), ("audio", first.port, first.crypto))
        self.assertSound()

    def test_backByTheOther(self) -> None:
        """By the other side."""
        self.faxed()
        again = self.callee.back(self.far, "INVITE", 1, body=self.description(self.callee, 3))
        offered = self.caller.request("INVITE")
        self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["audio"])
        self.caller.answers(offered, 200, self.description(self.caller, 3))
        self.callee.ack(again, self.callee.response(200))
        self.assertSound()

    def test_backAfterTwoLines(self) -> None:
        """Where the fax had a line of its own beside that of the sound, each keeps its place."""
        fax = sdp(OFF + "m=image 4900 udptl t38\r\n" + ASKED, version=2)
        asked = self.asks(fax)
        self.answers(image(TOLD, 4950))
        self.taken(asked)
        again = self.callee.back(self.far, "INVITE", 1, body=self.description(self.callee, 3))
        offered = self.caller.request("INVITE")
        lines = [(line.kind, bool(line.port)) for line in parseSDP(offered.body).media]
        self.assertEqual(lines, [("audio", True), ("image", False)])
        sound = self.description(self.caller, 3) + b"m=image 0 udptl t38\r\n"
        self.caller.answers(offered, 200, sound)
        self.callee.ack(again, self.callee.response(200))
        self.assertSound()

    def test_backRefused(self) -> None:
        """A refused return leaves the fax."""
        self.faxed()
        events = [list(leg.events) for leg in self.net.plane.legs]
        self.asks(self.description(self.caller, 3), 3)
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.assertEqual([leg.events for leg in self.net.plane.legs], events)
        self.assertFax()

    def test_update(self) -> None:
        """By UPDATE, which becomes a re-INVITE for who does not say that it takes one."""
        asked = self.asks(image(ASKED), 2, "UPDATE")
        self.answers(image(TOLD, 4950))
        self.taken(asked)
        self.assertFax()

    def test_withoutOffer(self) -> None:
        """The callee offers it in its answer to a re-INVITE without an offer."""
        asked = self.asks(b"")
        self.callee.answers(self.callee.request("INVITE"), 200, image(TOLD, 4950))
        offer: Response = self.caller.response(200)
        self.assertEqual([line.kind for line in parseSDP(offer.body).media], ["image"])
        self.caller.ack(asked, offer, image(ASKED))
        answer = self.callee.request("ACK")
        self.assertEqual([line.kind for line in parseSDP(answer.body).media], ["image"])
        self.assertIn(ASKED.encode(), answer.body)
        self.assertFax()

    def test_withoutOfferRefused(self) -> None:
        """The asking side refuses it in its ACK: so does ours, and both are offered their sound again."""
        for number, body in enumerate((image(ASKED, 0), b""), 2):
            asked = self.asks(b"", number)
            self.callee.answers(self.callee.request("INVITE"), 200, image(TOLD, 4950, version=number))
            self.caller.ack(asked, self.caller.response(200), body)
            [line] = parseSDP(self.callee.request("ACK").body).media
            self.assertEqual((line.kind, line.port), ("image", 0))
            for neighbour in (self.caller, self.callee):
                again = neighbour.request("INVITE")
                self.assertEqual([each.kind for each in parseSDP(again.body).media if each.port], ["audio"])
                neighbour.answers(again, 200, self.description(neighbour, number + 2))
                neighbour.got()
            self.assertSound()
            self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))
        [call] = self.net.manager._bridges
        self.assertEqual(call._faxInSound, FaxInSound(self.callee.side.name, self.caller.side.name))

    def test_withoutOfferCancelled(self) -> None:
        """The callee's offer crosses the CANCEL: nobody wants it now, so it is refused, and sound stays."""
        asked = self.asks(b"")
        offered = self.callee.request("INVITE")
        self.callee.got()
        self.caller.cancel(asked)
        self.callee.answers(offered, 200, image(TOLD, 4950))
        [line] = parseSDP(self.callee.request("ACK").body).media
        self.assertEqual((line.kind, line.port), ("image", 0))
        again = self.callee.request("INVITE")
        self.callee.answers(again, 200, self.description(self.callee, 3))
        self.assertEqual([leg.session.fax for leg in self.legs()], [False, False])
        self.assertEqual(self.net.plane.legs[0].events, self.before[0])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_badAddresses(self) -> None:
        """A name, another family, a group: 488, and nothing changes."""
        for number, host in enumerate(("fax.example", "224.0.1.7"), 2):
            self.asks(image(ASKED, host=host, version=number), number)
            self.caller.ackRefusal(488)
            self.assertUntouched()

    def test_otherTransports(self) -> None:
        """TCP, DTLS, other formats: refused."""
        for number, text in enumerate(("tcp t38", "UDP/TLS/UDPTL t38", "udptl t37"), 2):
            self.asks(sdp(f"m=image 4900 {text}\r\n", version=number), number)
            self.caller.ackRefusal(488)
            self.assertUntouched()


class InboundPassedTests(PassedTests):
    """The same where the carrier calls."""

    outbound = False


class CalleeTests(PassedCase):
    """The called side asks: a receiving fax machine does, as soon as it hears the tone."""

    def test_crosses(self) -> None:
        """The same."""
        again = self.callee.back(self.far, "INVITE", 1, body=image(TOLD, 4950))
        offered = self.caller.request("INVITE")
        self.assertIn(TOLD.encode(), offered.body)
        self.caller.answers(offered, 200, image(ASKED))
        accepted = self.callee.response(200)
        self.assertIn(ASKED.encode(), accepted.body)
        self.callee.ack(again, accepted)
        self.assertFax()

    def test_notSecureAgain(self) -> None:
        """Sound in clear is refused to the carrier after the fax as before it."""
        again = self.callee.back(self.far, "INVITE", 1, body=image(TOLD, 4950))
        self.caller.answers(self.caller.request("INVITE"), 200, image(ASKED))
        self.callee.ack(again, self.callee.response(200))
        carrier = self.net.carrier
        carrier.got()
        clear = sdp(PCMA, "203.0.113.9", 5)
        if carrier is self.caller:
            self.asks(clear, 2)
        else:
            self.callee.back(self.far, "INVITE", 2, body=clear)
        carrier.ackRefusal(488)
        self.assertFax()


class InboundCalleeTests(CalleeTests):
    """The same where the carrier calls."""

    outbound = False


class FirstTests(Race):
    """A call that begins with T.38, and goes on with sound."""

    def test_crosses(self) -> None:
        """Keys are made for the sound, when it comes, and it has to be SRTP."""
        self.net.carrier.side.fax = True
        near = self.invite(image(ASKED, version=1))
        offered = self.callee.request("INVITE")
        self.assertEqual([line.kind for line in parseSDP(offered.body).media], ["image"])
        self.callee.answers(offered, 200, image(TOLD, 4950, version=1))
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        names = [[each[0] for each in leg.events] for leg in self.net.plane.legs]
        self.assertEqual(names, [["fax"], ["fax"]])
        body = self.description(self.caller, 2)
        again = self.caller.within(near, accepted, "INVITE", 2, body)
        offered = self.callee.request("INVITE")
        [line] = parseSDP(offered.body).media
        self.assertEqual((line.kind, bool(line.crypto)), ("audio", self.callee is self.net.carrier))
        self.callee.answers(offered, 200, self.description(self.callee, 2))
        self.caller.ack(again, self.caller.response(200))
        secure = [leg for leg in self.net.plane.legs if leg.secure]
        self.assertEqual([leg.last("sending") for leg in secure], [True])
        self.assertIn("local", [each[0] for each in secure[0].events])

    def test_opportunistic(self) -> None:
        """A refused fax is not offered again in other forms of SRTP: it has none."""
        self.net.carrier.side.fax = True
        self.net.carrier.side.mediaPath = MediaPath(srtp="opportunistic")
        self.invite(image(ASKED, version=1))
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.assertEqual(self.net.manager.callCount(), 0)


class InboundFirstTests(FirstTests):
    """The same where the carrier calls."""

    outbound = False
