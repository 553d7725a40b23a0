"""Reliable provisional responses (RFC 3262), as user agent client and server, over all transports."""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.core.early_dialogs import BRANCHES
from skypetrunk.core.reliable_provisional import MOST_WAITING
from skypetrunk.errors import ChannelFailed
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP
from tests.core.races import Race

REQUIRED = [("Require", "100rel")]


class Reliable(Race):
    """The callee is the one that sends them to us; the caller requires them of us."""

    def progress(
        self, far: Request, number: int | str, body: bytes = b"", tag: str = "far", status: int = 183
    ) -> None:
        """A reliable provisional response of the callee."""
        self.callee.answers(far, status, body, tag, [*REQUIRED, ("RSeq", str(number))])

    def demanding(self, body: bytes | None = None) -> tuple[Request, Request]:
        """The caller requires reliable provisional responses."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        offer = self.description(self.caller) if body is None else body
        return self.caller.invite(uri, offer, REQUIRED), self.callee.request("INVITE")

    def prack(
        self, near: Request, response: Response, number: int, rack: str | None = None, body: bytes = b""
    ) -> None:
        """The caller's PRACK."""
        rack = rack or f"{response.header('RSeq')} 1 INVITE"
        self.caller.within(near, response, "PRACK", number, body, [("RAck", rack)])

    # The client

    def test_supported(self) -> None:
        """INVITEs with an offer say that we can; PRACK is allowed."""
        _, far = self.call()
        self.assertIn("100rel", far.values("Supported"))
        self.assertIn("PRACK", far.values("Allow"))

    def test_lateOffer(self) -> None:
        """An INVITE without offer does not: an offer in a reliable 183 would want its answer in PRACK."""
        _, far = self.call(b"")
        self.assertNotIn("100rel", far.values("Supported"))

    def test_acknowledged(self) -> None:
        """PRACK in the early dialog with RAck and the next CSeq; BYE goes on counting (section 4)."""
        near, far = self.call()
        self.progress(far, 776656, self.description(self.callee))
        prack = self.callee.request("PRACK")
        self.assertEqual(prack.header("RAck"), f"776656 {far.cseq.number} INVITE")
        self.assertEqual(prack.cseq.number, far.cseq.number + 1)
        self.assertEqual((prack.toAddress.tag, prack.callID), ("far", far.callID))
        self.callee.answers(prack, 200)
        self.progress(far, 776657)
        self.assertEqual(self.callee.request("PRACK").cseq.number, far.cseq.number + 2)
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.answer(far)
        self.assertEqual(self.callee.request("ACK").cseq.number, far.cseq.number)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.within(near, accepted, "BYE", 2)
        self.assertEqual(self.callee.request("BYE").cseq.number, far.cseq.number + 3)

    def test_crosses(self) -> None:
        """Its description crosses as that of any 183; a 200 without one has the same (section 5)."""
        near, far = self.call()
        self.progress(far, 1, self.description(self.callee))
        early = self.caller.response(183)
        self.assertTrue(early.body)
        self.assertEqual(early.values("Require"), ())
        self.callee.answers(far, 200)
        self.assertEqual(self.caller.response(200).body, early.body)
        self.caller.ack(near, self.caller.response(200))

    def test_order(self) -> None:
        """One that came before, and one before which another is missing, count for nothing (section 4)."""
        _, far = self.call()
        self.progress(far, 10)
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.caller.got()
        self.callee.got()
        self.progress(far, 10)
        self.progress(far, 12)
        self.assertEqual((self.caller.got(), self.callee.got()), ([], []))
        self.progress(far, 11)
        self.assertEqual((self.caller.got(), self.callee.got()), ([183], ["PRACK"]))

    def test_forks(self) -> None:
        """Each branch has numbers of its own, RSeq and CSeq."""
        _, far = self.call()
        for tag, number in (("one", 5), ("two", 900), ("one", 6)):
            self.progress(far, number, tag=tag)
            prack = self.callee.request("PRACK")
            self.assertEqual((prack.toAddress.tag, prack.header("RAck")), (tag, f"{number} 1 INVITE"))
            self.assertEqual(prack.cseq.number, 3 if number == 6 else 2)
            self.callee.answers(prack, 200)

    def test_reinvite(self) -> None:
        """One to a re-INVITE: its PRACK counts on in the dialog, RSeq begins anew."""
        near, far = self.call()
        self.progress(far, 7)
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        again = self.callee.request("INVITE")
        self.progress(again, 3)
        prack = self.callee.request("PRACK")
        self.assertEqual(prack.header("RAck"), f"3 {again.cseq.number} INVITE")
        self.assertEqual((again.cseq.number, prack.cseq.number), (far.cseq.number + 2, far.cseq.number + 3))
        self.callee.answers(prack, 200)
        self.answer(again)

    def test_reinviteAnswered(self) -> None:
        """Its 183 holds the answer, and the 200 none any more: that is an answer (section 5)."""
        near, accepted, _ = self.established()
        held = self.description(self.caller, 2, "a=sendonly\r\n")
        self.caller.within(near, accepted, "INVITE", 2, held)
        far = self.callee.request("INVITE")
        self.progress(far, 3, self.description(self.callee, 2, "a=recvonly\r\n"))
        self.assertNotIn(200, self.caller.got())
        self.callee.answers(far, 200)
        self.assertEqual(self.callee.channel.summary(), ["INVITE", "PRACK", "ACK"])
        again = self.caller.response(200)
        self.assertEqual(parseSDP(again.body).media[0].direction, "recvonly")
        self.caller.within(near, again, "ACK", 2)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_refreshAnswered(self) -> None:
        """The same where the re-INVITE is a refresh of ours (RFC 4028)."""
        near, far = self.call()
        timer = [("Session-Expires", "90;refresher=uac"), ("Require", "timer")]
        self.callee.answers(far, 200, self.description(self.callee), headers=timer)
        self.caller.ack(near, self.caller.response(200))
        self.callee.got()
        self.net.clock.advance(45)
        again = self.callee.request("INVITE")
        self.progress(again, 3, self.description(self.callee))
        self.callee.answers(again, 200)
        self.assertEqual(self.callee.got(), ["INVITE", "PRACK", "ACK"])
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_reinviteAnsweredAndCancelled(self) -> None:
        """The 200 without an answer crosses our CANCEL: what the 183 said is undone."""
        near, accepted, _ = self.established()
        held = self.description(self.caller, 2, "a=sendonly\r\n")
        again = self.caller.within(near, accepted, "INVITE", 2, held)
        far = self.callee.request("INVITE")
        self.progress(far, 3, self.description(self.callee, 2, "a=recvonly\r\n"))
        self.caller.cancel(again)
        self.callee.got()
        self.callee.answers(far, 200)
        self.assertEqual(self.callee.channel.summary(), ["ACK", "INVITE"])
        [line] = parseSDP(self.callee.request("INVITE").body).media
        self.assertEqual(line.direction, "sendrecv")

    def test_unreadable(self) -> None:
        """Without a number that can be read it is one like any other."""
        _, far = self.call()
        for number in ("", "many", "9" * 5000):
            self.progress(far, number)
        self.assertEqual(self.caller.got()[-3:], [183] * 3)
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_prackRefused(self) -> None:
        """481 to our PRACK, or silence, is no end of the call: the final response decides."""
        near, far = self.call()
        self.progress(far, 1)
        self.callee.answers(self.callee.request("PRACK"), 481)
        self.progress(far, 2)
        self.net.clock.advance(33)
        self.answer(far)
        self.caller.ack(near, self.caller.response(200))
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_challengedLate(self) -> None:
        """A challenge that comes after the 200: the second PRACK takes a number that no BYE has after it."""
        near, far = self.call()
        self.progress(far, 7)
        prack = self.callee.request("PRACK")
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        challenge = 'Digest realm="carrier.example", nonce="n1", algorithm=MD5'
        self.callee.answers(prack, 401, headers=[("WWW-Authenticate", challenge)])
        self.caller.within(near, accepted, "BYE", 2)
        sent = [each for each in self.callee.channel.requests if each.method in ("PRACK", "BYE")]
        # A PBX is given no password.
        self.assertEqual([each.cseq.number for each in sent], [2, 3, 4] if self.outbound else [2, 3])

    def test_cancelled(self) -> None:
        """CANCEL while a PRACK is under way."""
        near, far = self.call()
        self.progress(far, 1)
        self.caller.cancel(near)
        self.assertIn("CANCEL", self.callee.got())
        self.callee.answers(far, 487)

    # The server

    def supporting(self, headers: Sequence[tuple[str, str]] = ()) -> tuple[Request, Request]:
        """The caller supports reliable provisional responses, and does not require them."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        near = self.caller.invite(uri, self.description(self.caller), [("Supported", "100rel"), *headers])
        return near, self.callee.request("INVITE")

    def test_supportedOnly(self) -> None:
        """
        A carrier that only supports them gets an early answer reliably, and what comes after it, as section 3
        allows; ringing alone goes as ever.  PBXes that do are not trusted with it: some cannot.
        """
        near, far = self.supporting()
        self.callee.answers(far, 180)
        self.assertEqual(self.caller.response(180).header("RSeq"), None)
        self.callee.answers(far, 183, self.description(self.callee))
        early = self.caller.response(183)
        if self.outbound:
            self.assertEqual((early.header("RSeq"), early.values("Require")), (None, ()))
            return
        self.assertEqual(early.values("Require"), ("100rel",))
        self.prack(near, early, 2)
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.assertEqual(int(ringing.header("RSeq") or ""), int(early.header("RSeq") or "") + 1)
        self.prack(near, ringing, 3)
        self.answer(far)
        accepted = self.caller.response(200)
        self.assertEqual(accepted.body, b"")
        self.caller.ack(near, accepted)

    def test_supportedInName(self) -> None:
        """One that supports them in name only costs one call: the others do not wait for PRACK."""
        if self.outbound:
            return
        _, far = self.supporting()
        self.callee.answers(far, 183, self.description(self.callee))
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.got()[-1], 500)
        self.callee.answers(far, 487)
        near, far = self.supporting()
        self.callee.answers(far, 183, self.description(self.callee))
        self.assertIsNone(self.caller.response(183).header("RSeq"))
        self.answer(far)
        self.caller.ack(near, self.caller.response(200))
        # Whoever requires them gets them still.
        self.supporting(REQUIRED)
        self.callee.answers(self.callee.request("INVITE"), 180)
        self.assertIsNotNone(self.caller.response(180).header("RSeq"))

    def test_resent(self) -> None:
        """180 with Require and RSeq, again after T1, 2*T1 and so on, until its PRACK (section 3)."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.assertEqual(ringing.values("Require"), ("100rel",))
        self.caller.got()
        self.net.clock.pump([0.5] * 7)
        self.assertEqual(self.caller.got(), [180] * 3)
        self.prack(near, ringing, 2)
        self.assertEqual(self.caller.got(), [200])
        self.net.clock.pump([0.5] * 20)
        self.assertEqual(self.caller.got(), [])

    def test_oneAtATime(self) -> None:
        """The next one, and the 200, wait for the PRACK; RSeq goes up by one (section 3)."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        self.callee.answers(far, 183, self.description(self.callee))
        self.answer(far)
        self.assertEqual(self.caller.got(), [100, 180])

    def test_answerThatWaited(self) -> None:
        """The call is answered before the 183 with the answer could be sent: the 200 holds it."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        self.callee.answers(far, 183, self.description(self.callee))
        self.callee.answers(far, 183, self.description(self.callee))
        self.answer(far)
        self.prack(near, self.caller.response(180), 2)
        invited = [m for m in self.caller.channel.messages if m.cseq.method == "INVITE"][-1]
        assert isinstance(invited, Response)
        self.assertEqual((invited.status, len(parseSDP(invited.body).media)), (200, 1))
        self.caller.ack(near, invited)

    def test_answerOnce(self) -> None:
        """The 183 holds the answer; the 200 waits for its PRACK and holds none any more (section 5)."""
        near, far = self.demanding()
        self.callee.answers(far, 183, self.description(self.callee))
        early = self.caller.response(183)
        self.assertTrue(early.body)
        self.caller.got()
        self.answer(far)
        self.assertEqual(self.caller.got(), [])
        self.prack(near, early, 2)
        self.assertEqual(self.caller.channel.summary(), [200, 200])
        invited = [m for m in self.caller.channel.messages if m.cseq.method == "INVITE"][-1]
        assert isinstance(invited, Response)
        self.assertEqual((invited.body, invited.contentType), (b"", None))
        self.caller.ack(near, invited)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_numbers(self) -> None:
        """RSeq goes up by one, and each PRACK belongs to one response."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        first = self.caller.response(180)
        self.prack(near, first, 2)
        self.callee.answers(far, 183)
        second = self.caller.response(183)
        self.assertEqual(int(second.header("RSeq") or 0), int(first.header("RSeq") or 0) + 1)
        self.caller.got()
        for number, rack in enumerate((f"{first.header('RSeq')} 1 INVITE", "1 1 INVITE", "x"), 3):
            self.prack(near, second, number, rack)
        self.prack(near, second, 6, f"{second.header('RSeq')} 2 INVITE")
        self.assertEqual(self.caller.got(), [481] * 4)
        self.prack(near, second, 7)
        self.assertEqual(self.caller.got(), [200])

    def test_prackWithOffer(self) -> None:
        """An offer in the PRACK of our answer is answered in its 200 (RFC 3262 section 5)."""
        near, far = self.demanding()
        self.callee.answers(far, 183, self.description(self.callee))
        early = self.caller.response(183)
        offer = self.description(self.caller, 2).replace(b"o 4000", b"o 4200").replace(b"o 6000", b"o 6200")
        self.prack(near, early, 2, body=offer)
        answered = self.caller.response(200)
        self.assertEqual(answered.cseq.method, "PRACK")
        self.assertEqual(parseSDP(answered.body).media[0].formats, ("8", "101"))
        self.assertIn(self.net.plane.legs[0].last("remote").port, (4200, 6200))  # type: ignore[attr-defined]
        self.prack(near, early, 2)
        self.prack(near, early, 3)
        self.assertEqual(self.caller.got()[-3:], [200, 500, 481])

    def test_offerWhileItRings(self) -> None:
        """What rings once more after the answer has none: its PRACK may be missing, and an offer come."""
        near, far = self.demanding()
        self.callee.answers(far, 183, self.description(self.callee))
        self.callee.answers(far, 180)
        early = self.caller.response(183)
        self.prack(near, early, 2, body=self.description(self.caller, 2, "a=sendonly\r\n"))
        answered = self.caller.response(200)
        self.assertEqual(parseSDP(answered.body).media[0].direction, "recvonly")
        ringing = self.caller.response(180)
        self.assertTrue(ringing.header("RSeq"))
        self.caller.got()
        self.caller.within(near, early, "UPDATE", 3, self.description(self.caller, 3))
        self.assertEqual(self.caller.got(), [200])
        self.prack(near, ringing, 4)
        self.assertEqual(self.caller.got(), [200])

    def test_many(self) -> None:
        """Neither branches nor responses pile up; the call is answered all the same."""
        near, far = self.demanding()
        for number in range(3 * BRANCHES):
            self.progress(far, 1, tag=f"branch{number}")
        self.assertEqual(self.callee.got().count("PRACK"), BRANCHES)
        for number in range(2, 3 * BRANCHES):
            self.progress(far, number, tag="branch0")
        self.callee.answers(far, 183, self.description(self.callee))
        pracked = 0
        for number in range(2, 10 * BRANCHES):
            waiting = [each for each in self.caller.channel.responses if each.header("RSeq")]
            if pracked == len({each.header("RSeq") for each in waiting}):
                break
            self.prack(near, waiting[-1], number)
            pracked += 1
        self.assertEqual(pracked, MOST_WAITING + 1)
        self.answer(far)
        accepted = [each for each in self.caller.channel.responses if each.cseq.method == "INVITE"][-1]
        self.assertEqual((accepted.status, bool(accepted.body)), (200, True))
        self.caller.ack(near, accepted)

    def test_prackWithOfferAfterAnswer(self) -> None:
        """The same where the 200 has waited for that PRACK; the callee is offered it after that."""
        near, far = self.demanding()
        self.callee.answers(far, 183, self.description(self.callee))
        early = self.caller.response(183)
        self.answer(far)
        self.callee.got()
        held = self.description(self.caller, 2, "a=sendonly\r\n")
        self.prack(near, early, 2, body=held)
        invited, pracked = self.caller.channel.responses[-2:]
        self.assertEqual((invited.status, invited.cseq.method, invited.body), (200, "INVITE", b""))
        self.assertEqual((pracked.status, pracked.cseq.method), (200, "PRACK"))
        self.assertEqual(parseSDP(pracked.body).media[0].direction, "recvonly")
        self.caller.ack(near, invited)
        again = self.callee.request("INVITE")
        self.assertEqual(parseSDP(again.body).media[0].direction, "sendonly")
        self.callee.answers(again, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_prackWithOfferTooEarly(self) -> None:
        """An offer in the PRACK of a 180 that held no answer, or one without a codec of ours: 488."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        self.prack(near, self.caller.response(180), 2, body=self.description(self.caller, 2))
        self.assertEqual(self.caller.got()[-1], 488)
        self.callee.answers(far, 183, self.description(self.callee))
        other = self.description(self.caller, 2).replace(b" 8 ", b" 18 ").replace(b" 0 101", b"")
        other = other.replace(b" 101\r", b"\r")
        self.prack(near, self.caller.response(183), 3, body=other)
        self.assertEqual(self.caller.got()[-1], 488)
        self.answer(far)
        self.caller.ack(near, self.caller.response(200))

    def test_never(self) -> None:
        """No PRACK within 64*T1: 500, and the callee's leg is taken back (section 3)."""
        _, far = self.demanding()
        self.callee.answers(far, 180)
        self.callee.got()
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.got()[-1], 500)
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.callee.answers(far, 487)

    def test_neverAfterAnswer(self) -> None:
        """The same where the callee has answered: BYE to it."""
        _, far = self.demanding()
        self.callee.answers(far, 180)
        self.answer(far)
        self.callee.got()
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.got()[-1], 500)
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_byeMeanwhile(self) -> None:
        """The caller hangs up while the 200 waits for its PRACK: the INVITE is answered 487."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.answer(far)
        self.caller.got()
        self.caller.within(near, ringing, "BYE", 2)
        self.assertEqual(self.caller.got(), [200, 487])

    def test_reinviteMeanwhile(self) -> None:
        """A re-INVITE or UPDATE before the PRACK: there is no final answer yet (RFC 3261 section 14.2)."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.answer(far)
        self.callee.got()
        for number, method in ((2, "INVITE"), (3, "UPDATE")):
            self.caller.within(near, ringing, method, number, self.description(self.caller, 2))
            self.assertIsNotNone(self.caller.response(500).header("Retry-After"))
        self.assertEqual(self.callee.got(), [])

    def test_calleesReinviteMeanwhile(self) -> None:
        """Nor does one of the callee's cross: for the caller the first INVITE is under way (section 14.1)."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.answer(far)
        self.caller.got()
        self.callee.back(far, "INVITE", 1, body=self.description(self.callee, 2, "a=sendonly\r\n"))
        self.assertEqual((self.callee.got()[-1], self.caller.got()), (491, []))
        self.prack(near, ringing, 2)
        self.caller.ack(near, next(m for m in self.caller.channel.responses if m.cseq.method == "INVITE"))
        self.callee.back(far, "INVITE", 2, body=self.description(self.callee, 2, "a=sendonly\r\n"))
        self.assertEqual(self.caller.got()[-1], "INVITE")

    def test_cancelledAfterAnswer(self) -> None:
        """CANCEL while the 200 waits for its PRACK: 487, as none was sent (RFC 3261 section 9.2), and BYE."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.answer(far)
        self.caller.got()
        self.callee.got()
        self.caller.cancel(near)
        self.assertEqual((self.caller.got(), self.callee.got()), ([200, 487], ["BYE"]))
        self.prack(near, ringing, 2)
        self.assertEqual(self.caller.got(), [481])
        self.assertEqual([each.cause for each in self.net.observer.ended], ["cancelled"])

    def test_calleeHangsUpMeanwhile(self) -> None:
        """The callee is gone before the PRACK: the caller hears so at once, and of no answer."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.answer(far)
        self.caller.got()
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.caller.got(), [480])
        self.prack(near, ringing, 2)
        self.assertEqual(self.caller.got(), [481])

    def test_lostAfterAnswer(self) -> None:
        """The connection breaks while the 200 waits: nobody will ever get it."""
        _, far = self.demanding()
        self.callee.answers(far, 180)
        self.answer(far)
        self.callee.got()
        if self.caller.channel.reliable:
            self.caller.side.transactions.channelLost(self.caller.channel, ChannelFailed("reset"))
            self.assertEqual(self.callee.got(), ["BYE"])

    def test_refusedMeanwhile(self) -> None:
        """A refusal does not wait, and ends what is sent again."""
        _, far = self.demanding()
        self.callee.answers(far, 180)
        self.callee.answers(far, 486)
        self.assertEqual(self.caller.got(), [100, 180, 486])
        self.caller.finder.waiting = None
        self.net.clock.pump([0.5] * 4)
        self.assertNotIn(180, self.caller.got())

    def test_cancelledMeanwhile(self) -> None:
        """So does CANCEL."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        self.caller.got()
        self.net.clock.pump([0.5] * 4)
        self.assertNotIn(180, self.caller.got())

    def test_lateOfferRequired(self) -> None:
        """The INVITE has no offer: none but 100, as the first would have to hold ours (section 5)."""
        _, far = self.demanding(b"")
        self.callee.answers(far, 180)
        self.assertEqual(self.caller.got(), [100])

    def test_outsideOfDialogs(self) -> None:
        """PRACK of no dialog: 481."""
        near, far = self.demanding()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180).withHeader("To", "<sip:x@example.com>;tag=other")
        self.caller.got()
        self.prack(near, ringing, 2)
        self.assertEqual(self.caller.got(), [481])


class InboundReliable(Reliable):
    """The same where the carrier calls."""

    outbound = False


class TCPReliable(Reliable):
    """The same with the PBX on TCP."""

    transport = "tcp"


class InboundTCPReliable(InboundReliable):
    """The same where the carrier calls, with the PBX on TCP."""

    transport = "tcp"
