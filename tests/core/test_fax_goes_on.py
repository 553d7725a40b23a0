"""What else happens in a call that is a fax: refreshes, changes of mind, lost keys, transfers."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from skypetrunk.core.session_refresh import Renewal
from skypetrunk.wire.sdp import parseSDP
from tests.core.faxplay import ASKED, TOLD, PassedCase, image


class GoingOnTests(PassedCase):
    """The PBX has called."""

    def test_refreshes(self) -> None:
        """The same offer again is answered on its leg, with the same answer."""
        asked = self.asks(image(ASKED))
        self.answers(image(TOLD, 4950))
        first = self.caller.response(200).body
        self.taken(asked)
        again = self.asks(image(ASKED), 3)
        self.assertEqual(self.caller.response(200).body, first)
        self.assertEqual(self.callee.got(), [])
        self.caller.ack(again, self.caller.response(200))
        self.assertFax()

    def test_ownRefresh(self) -> None:
        """Our own refresh offers the fax again, without a key."""
        self.faxed()
        for leg in self.legs():
            self.assertFalse(leg.refresh.rekey())
            again = parseSDP(leg.session.repeatOffer())
            leg.session.forget()
            self.assertEqual([line.kind for line in again.media], ["image"])
            self.assertEqual(again.media[0].crypto, ())

    def test_takenBack(self) -> None:
        """CANCEL, which the 200 has crossed: who is in the fax already is offered its sound again."""
        asked = self.asks(image(ASKED))
        offered = self.callee.request("INVITE")
        self.callee.answers(offered, 180)
        self.caller.cancel(asked)
        self.callee.answers(offered, 200, image(TOLD, 4950))
        back = self.callee.request("INVITE")
        self.assertEqual([line.kind for line in parseSDP(back.body).media], ["audio"])
        self.callee.answers(back, 200, self.description(self.callee, 3))
        self.assertNotEqual(self.leg(self.callee).events[-1][0], "fax")
        self.assertEqual(self.leg(self.caller).events, self.before[0])
        self.assertEqual([leg.session.fax for leg in self.legs()], [False, False])

    def test_takenBackForGood(self) -> None:
        """Who does not go back to sound then is hung up on: the other side has none of its fax."""
        asked = self.asks(image(ASKED))
        offered = self.callee.request("INVITE")
        self.callee.answers(offered, 180)
        self.caller.cancel(asked)
        self.callee.answers(offered, 200, image(TOLD, 4950))
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.callee.answers(self.callee.request("BYE"), 200)
        self.caller.answers(self.caller.request("BYE"), 200)
        [ended] = self.net.observer.ended
        self.assertEqual(ended.cause, "no sound after T.38, which the other side has not")

    def test_soundTakenBack(self) -> None:
        """The same of sound in a fax that stands: who is offered the fax again has it, or is hung up on."""
        for status in (200, 488):
            self.faxed()
            asked = self.asks(self.description(self.caller, 3), 3)
            offered = self.callee.request("INVITE")
            self.callee.answers(offered, 180)
            self.caller.cancel(asked)
            self.callee.answers(offered, 200, self.description(self.callee, 3))
            again = self.callee.request("INVITE")
            self.assertEqual([line.kind for line in parseSDP(again.body).media if line.port], ["image"])
            self.callee.got()
            self.callee.answers(again, status, image(TOLD, 4950) if status == 200 else b"")
            if status == 200:
                self.assertFax()
                self.tearDown()
                self.setUp()
        self.callee.answers(self.callee.request("BYE"), 200)
        self.caller.answers(self.caller.request("BYE"), 200)
        [ended] = self.net.observer.ended
        self.assertEqual(ended.cause, "no T.38 any more, which the other side has")

    def test_changeRefused(self) -> None:
        """A fax that stands goes on when a change of it is answered with port 0, and then refused."""
        self.faxed()
        self.asks(image(ASKED + "a=sendonly\r\n"), 3)
        offered = self.answers(image("", 0))
        self.caller.ackRefusal(488)
        again = self.callee.request("INVITE")
        self.assertIsNot(again, offered)
        self.callee.got()
        self.callee.answers(again, 488)
        self.assertEqual(self.callee.got(), ["ACK"])
        self.assertFax()

    def test_lostContext(self) -> None:
        """A media worker dies meanwhile: the new key is for the sound, when that is there again."""
        carrier = self.net.carrier
        [secure] = [leg for leg in self.net.plane.legs if leg.secure]
        self.faxed()
        secure.lost = True
        self.net.manager.lostMedia.begin()
        self.net.clock.pump([0.5] * 40)
        self.assertEqual((carrier.got(), secure.lost), ([], True))
        asked = self.asks(self.description(self.caller, 3), 3)
        self.answers(self.description(self.callee, 3))
        self.taken(asked)
        self.assertTrue(secure.lost)
        self.net.clock.pump([0.5] * 4)
        again = carrier.request("INVITE")
        [line] = parseSDP(again.body).media
        first = parseSDP((self.far if carrier is self.callee else self.accepted).body).media[0]
        self.assertNotEqual(line.crypto[0], first.crypto[0])
        carrier.answers(again, 200, self.description(carrier, 4))
        self.assertFalse(secure.lost)

    def test_staleSound(self) -> None:
        """
        What a peer was to be offered of sound before a fax waits, and is older than what is agreed after it;
        refreshes do not wait.
        """
        carrier = self.net.carrier
        [leg] = [leg for leg in self.legs() if leg.side is carrier.side]
        said = leg.session.said
        assert said is not None
        self.faxed()
        leg.refresh.renew(Renewal(replace(said, direction="sendonly")))
        self.net.clock.pump([1.0] * 5)
        self.assertEqual(carrier.got(), [])
        leg.refresh.refreshSoon()
        again = carrier.request("INVITE")
        self.assertEqual([line.kind for line in parseSDP(again.body).media], ["image"])
        port = 4900 if carrier is self.caller else 4950
        carrier.answers(again, 200, image(TOLD, port, version=2))
        carrier.got()
        self.assertFax()
        asked = self.asks(self.description(self.caller, 3), 3)
        self.answers(self.description(self.callee, 3))
        accepted = self.caller.response(200)
        carrier.got()
        self.caller.ack(asked, accepted)
        self.net.clock.pump([1.0] * 5)
        self.assertNotIn("INVITE", carrier.got())

    def test_staleFax(self) -> None:
        """A fax that has ended is not offered any more."""
        self.faxed()
        leg = self.legs()[0]
        said = leg.session.said
        assert said is not None
        asked = self.asks(self.description(self.caller, 3), 3)
        self.answers(self.description(self.callee, 3))
        self.taken(asked)
        done: list[object] = []
        leg.refresh.renew(Renewal(said, done=done.append))
        self.assertEqual((done, self.caller.got(), self.callee.got()), ([None], [], []))
        self.assertSound()

    def test_noTransfer(self) -> None:
        """While there is fax, nobody is transferred."""
        self.net.carrier.side.ownTransfer = "take-over"
        self.faxed()
        self.caller.within(
            self.near, self.accepted, "REFER", 3, headers=[("Refer-To", "<sip:+4430@198.51.100.1>")]
        )
        self.assertEqual(self.caller.got(), [488])

    def test_secondFax(self) -> None:
        """Fax, sound, fax: it is told once."""
        with capturedLogs() as events:
            self.faxed()
            asked = self.asks(self.description(self.caller, 3), 3)
            self.answers(self.description(self.callee, 3))
            self.taken(asked)
            asked = self.asks(image(ASKED, version=4), 4)
            self.answers(image(TOLD, 4950, version=4))
            self.taken(asked)
        self.assertFax()
        self.assertEqual(len([each for each in map(formatEvent, events) if "T.38" in each]), 1)


class InboundGoingOnTests(GoingOnTests):
    """The same where the carrier calls."""

    outbound = False
