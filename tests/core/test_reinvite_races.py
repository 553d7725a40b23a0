"""Races of re-INVITEs and of offers that come late, on both legs and all transports."""

from __future__ import annotations

from skypetrunk.errors import ChannelFailed
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import RecordingMediaLeg
from tests.core.races import Race


class ReinviteRaces(Race):
    """An INVITE within the dialog (RFC 3261 section 14)."""

    def events(self) -> list[list[tuple[object, ...]]]:
        """What was asked of each media leg so far."""
        return [list(leg.events) for leg in self.net.plane.legs]

    def callerAnswers(self) -> None:
        """The caller accepts the re-INVITE that it got last."""
        self.caller.answers(self.caller.request("INVITE"), 200, self.description(self.caller, 4))

    def calleeMedia(self) -> RecordingMediaLeg:
        """The media leg towards the callee."""
        return self.net.plane.legs[1]

    def test_glareOnOneLeg(self) -> None:
        """Both ends of the callee's leg send INVITE: 491 to the callee (section 14.1), the other goes on."""
        again, far, _, first = self.reinvited()
        self.caller.got()
        self.callee.got()
        self.callee.back(first, "INVITE", 1, body=self.description(self.callee, 2))
        self.assertEqual(self.callee.got(), [100, 491])
        self.answer(far)
        self.assertEqual(self.caller.got(), [200])
        self.assertEqual(self.callee.got(), ["ACK"])

    def test_glareSeenByTheCallee(self) -> None:
        """The callee's 491 to our INVITE crosses: it is the caller who tries again; the session stands."""
        _, far, _, _ = self.reinvited()
        before = self.events()
        self.callee.answers(far, 491)
        self.assertEqual(self.caller.got()[-1], 491)
        self.assertEqual(self.events(), before)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_glareAcrossTheBridge(self) -> None:
        """The callee's INVITE while the caller's is under way to it: 491 too, and its next one crosses."""
        again, far, _, first = self.reinvited()
        self.callee.back(first, "INVITE", 1, body=self.description(self.callee, 2))
        self.assertEqual(self.callee.response(491).cseq.number, 1)
        self.answer(far)
        self.caller.ack(again, self.caller.response(200))
        self.callee.back(first, "INVITE", 2, body=self.description(self.callee, 3))
        self.callerAnswers()
        self.assertEqual(self.callee.response(200).cseq.number, 2)

    def test_secondINVITEBeforeAnswer(self) -> None:
        """A second re-INVITE before the first was answered: 500, Retry-After 0 to 10 s (section 14.2)."""
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        far = self.callee.request("INVITE")
        self.caller.got()
        self.caller.within(near, accepted, "INVITE", 3, self.description(self.caller, 3))
        self.assertIn(int(self.caller.response(500).header("Retry-After") or -1), range(11))
        self.answer(far)
        self.assertEqual(self.caller.response(200).cseq.number, 2)

    def test_outOfOrder(self) -> None:
        """A re-INVITE with a CSeq that is not new: 500 (section 12.2.2)."""
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "INVITE", 1, self.description(self.caller, 2))
        self.assertEqual(self.caller.got(), [100, 500])
        self.assertEqual(self.callee.got(), [])

    def test_rightAfterAck(self) -> None:
        """The callee's re-INVITE overtakes the caller's ACK (Asterisk sends one at once): it crosses."""
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.got()
        self.callee.back(far, "INVITE", 1, body=self.description(self.callee, 2))
        self.caller.ack(near, accepted)
        self.callerAnswers()
        self.assertEqual(self.callee.response(200).cseq.number, 1)
        self.caller.got()
        self.net.clock.pump([0.5] * 16)
        self.assertEqual(self.caller.got(), [])

    def test_answeredBeforeAck(self) -> None:
        """The caller answers our re-INVITE before its ACK of the first 2xx: BYE still waits for that."""
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        self.callee.back(far, "INVITE", 1, body=self.description(self.callee, 2))
        self.callerAnswers()
        self.caller.got()
        self.callee.back(far, "BYE", 2)
        self.assertEqual(self.caller.got(), [])
        self.caller.ack(near, accepted)
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_2xxResentUntilAck(self) -> None:
        """The 2xx to a re-INVITE is sent again until its ACK, and BYE waits for it as well."""
        again, far, accepted, first = self.reinvited()
        self.caller.got()
        self.answer(far)
        self.net.clock.pump([0.5] * 4)
        self.assertEqual(self.caller.got(), [200, 200, 200])
        self.callee.back(first, "BYE", 1)
        self.assertEqual(self.caller.got(), [])
        self.caller.ack(again, accepted)
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_twoUnacknowledged(self) -> None:
        """Two 2xx without ACK: BYE waits for both ACKs."""
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        again = self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        self.answer(self.callee.request("INVITE"))
        self.caller.got()
        self.caller.ack(near, accepted)
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.caller.got(), [])
        self.caller.ack(again, accepted)
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_neverAcknowledged(self) -> None:
        """Without ACK for 64*T1 both legs get a BYE."""
        _, far, _, _ = self.reinvited()
        self.answer(far)
        self.caller.got()
        self.callee.got()
        self.net.clock.pump([0.5] * 64)
        self.assertIn("BYE", self.caller.got())
        self.assertEqual(self.callee.got()[0], "BYE")

    def test_eachTheSameAck(self) -> None:
        """Each retransmitted 2xx to a re-INVITE gets the same ACK."""
        _, far, _, _ = self.reinvited()
        self.callee.got()
        self.answer(far)
        self.answer(far)
        one, other = self.callee.channel.requests
        self.assertEqual((one, one.method), (other, "ACK"))

    def test_cancelled(self) -> None:
        """CANCEL of a re-INVITE crosses; what was agreed before stands, and the call goes on."""
        again, far, accepted, _ = self.reinvited()
        before = self.events()
        self.callee.answers(far, 100)
        self.caller.got()
        self.caller.cancel(again)
        self.assertEqual(self.caller.got(), [200, 487])
        self.callee.answers(self.callee.request("CANCEL"), 200)
        self.callee.answers(far, 487)
        self.assertEqual(self.events(), before)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.callee.got()
        self.caller.within(again, accepted, "INVITE", 3, self.description(self.caller, 3))
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_cancelledTooLate(self) -> None:
        """
        The 2xx crosses the CANCEL: ACK, no BYE; our side of that leg follows what the callee took, who is
        offered what stood before.
        """
        again, far, _, _ = self.reinvited()
        self.callee.answers(far, 100)
        self.caller.cancel(again)
        self.callee.got()
        before = len(self.calleeMedia().events)
        self.answer(far)
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK", "INVITE", "ACK"])
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual([event[0] for event in self.calleeMedia().events[before:]][0], "remote")

    def test_holdCancelledTooLate(self) -> None:
        """A hold that the callee took, and the caller took back: the callee is told to speak again."""
        near, accepted, _ = self.established()
        hold = self.description(self.caller, 2, "a=sendonly\r\n")
        again = self.caller.within(near, accepted, "INVITE", 2, hold)
        far = self.callee.request("INVITE")
        self.callee.answers(far, 100)
        self.caller.cancel(again)
        self.callee.answers(far, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        offer = self.callee.request("INVITE")
        self.assertEqual(parseSDP(offer.body).media[0].direction, "sendrecv")
        self.callee.answers(offer, 200, self.description(self.callee, 3))
        self.assertEqual(self.callee.got()[-1], "ACK")
        self.assertEqual(self.calleeMedia().last("sending"), True)

    def test_cancelledAndBusy(self) -> None:
        """Until the callee has answered the CANCELled one, another re-INVITE is 491, on either leg."""
        again, _, accepted, first = self.reinvited()
        self.caller.cancel(again)
        self.caller.got()
        self.caller.within(again, accepted, "INVITE", 3, self.description(self.caller, 3))
        self.assertEqual(self.caller.got(), [100, 491])
        self.callee.got()
        self.callee.back(first, "INVITE", 1, body=self.description(self.callee, 3))
        self.assertEqual(self.callee.got(), [100, 491])

    def test_unanswered(self) -> None:
        """A re-INVITE that is never answered, though 100 came, is taken back after 180 s; the call stays."""
        _, far, _, _ = self.reinvited()
        self.callee.answers(far, 100)
        self.caller.got()
        self.callee.got()
        self.net.clock.advance(180)
        self.assertEqual(self.caller.got(), [480])
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_silence(self) -> None:
        """A re-INVITE that nobody hears for 64*T1 (408) ends the call on both legs (section 12.2.1.2)."""
        self.reinvited()
        self.caller.got()
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.channel.summary()[0], 408)
        self.assertIn("BYE", self.caller.got())
        self.assertEqual(self.callee.got()[-1], "BYE")

    def test_byeMeanwhile(self) -> None:
        """The caller hangs up while its re-INVITE is under way: 200 and 487, BYE for the callee."""
        again, far, accepted, _ = self.reinvited()
        self.caller.got()
        self.callee.got()
        self.caller.within(again, accepted, "BYE", 3)
        self.assertEqual(self.caller.got(), [200, 487])
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_refusedAfterTheEnd(self) -> None:
        """One that is challenged, or asks for too short an interval, is not sent again behind the BYE."""
        challenge = 'Digest realm="carrier.example", nonce="n1", algorithm=MD5'
        for status, header in ((422, ("Min-SE", "4000")), (401, ("WWW-Authenticate", challenge))):
            again, far, accepted, _ = self.reinvited()
            self.caller.within(again, accepted, "BYE", 3)
            self.callee.got()
            self.callee.answers(far, status, headers=[header])
            self.assertEqual(self.callee.got(), ["ACK"])

    def test_2xxAfterTheEnd(self) -> None:
        """A re-INVITE's 2xx that comes when the call is over still gets its ACK; media stays closed."""
        again, far, accepted, _ = self.reinvited()
        self.caller.within(again, accepted, "BYE", 3)
        bye = self.callee.request("BYE")
        before = self.events()
        self.callee.got()
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK"])
        self.callee.answers(bye, 200)
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK"])
        self.assertEqual(self.events(), before)

    def test_2xxAfterAllIsOver(self) -> None:
        """The same when the BYE was answered before: the leg is gone, its ACK is not."""
        again, far, accepted, _ = self.reinvited()
        self.caller.within(again, accepted, "BYE", 3)
        before = self.events()
        self.callee.answers(self.callee.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 0)
        self.callee.got()
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK"])
        self.assertEqual(self.events(), before)

    def test_refusedLineIsForgotten(self) -> None:
        """A refused re-INVITE that added a stream adds no line to our own next offer (section 14.1)."""
        near, accepted, first = self.established()
        more = self.description(self.caller, 2) + b"m=video 4400 RTP/AVP 31\r\n"
        for number, end in enumerate(("refused", "cancelled", "unanswered"), 1):
            again = self.caller.within(near, accepted, "INVITE", number + 1, more)
            far = self.callee.request("INVITE")
            self.callee.answers(far, 100)
            if end == "cancelled":
                self.caller.cancel(again)
            elif end == "unanswered":
                self.net.clock.advance(180)
            self.callee.answers(far, 488 if end == "refused" else 487)
            self.callee.back(first, "INVITE", number, body=self.description(self.callee, 3))
            self.assertEqual(len(parseSDP(self.caller.request("INVITE").body).media), 1)
            self.callerAnswers()
            self.callee.back(first, "ACK", number)

    def test_calleeHangsUpInstead(self) -> None:
        """The callee answers a re-INVITE with BYE: 487 and BYE for the caller, CANCEL bounds the rest."""
        _, far, _, first = self.reinvited()
        self.callee.answers(far, 100)
        self.caller.got()
        self.callee.got()
        self.callee.back(first, "BYE", 1)
        self.assertEqual(self.caller.got(), [487, "BYE"])
        self.assertEqual(self.callee.got(), [200, "CANCEL"])

    def test_connectionLost(self) -> None:
        """The caller's connection breaks during its re-INVITE: it is taken back; the call stays."""
        _, far, _, _ = self.reinvited()
        self.callee.answers(far, 100)
        self.callee.got()
        self.caller.side.transactions.channelLost(self.caller.channel, ChannelFailed("lost"))
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_calleesConnectionLost(self) -> None:
        """The callee's breaks: 503 for the re-INVITE; the call stays."""
        self.reinvited()
        self.callee.side.transactions.channelLost(self.callee.channel, ChannelFailed("lost"))
        self.assertEqual(self.caller.got()[-1], 503)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_wayLookedUpTooLong(self) -> None:
        """The way for a re-INVITE is never found out: CANCEL, or 180 s, ends that and not the call."""
        near, accepted, _ = self.established()
        self.callee.finder.waiting = []
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        self.net.clock.advance(180)
        self.assertEqual(self.caller.got(), [100, 480])
        self.assertEqual(self.callee.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_unreadableOffer(self) -> None:
        """A re-INVITE whose body is no session description is 488 and changes nothing."""
        near, accepted, _ = self.established()
        before = self.events()
        self.caller.within(near, accepted, "INVITE", 2, b"v=0\r\nnonsense\r\n")
        self.assertEqual(self.caller.got(), [100, 488])
        self.assertEqual((self.callee.got(), self.events()), ([], before))

    def test_unreadableAnswer(self) -> None:
        """A 2xx whose body is none: ACK, and the call ends with 488 for the INVITE and BYE on both legs."""
        _, far, _, _ = self.reinvited()
        self.callee.got()
        self.caller.got()
        self.callee.answers(far, 200, b"nonsense")
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])
        self.assertEqual(self.caller.got(), [488, "BYE"])


class LateOfferRaces(Race):
    """INVITE without an offer: the offer comes in the 2xx, the answer in the ACK (RFC 3264, RFC 6337)."""

    def assertRefusedInACK(self) -> None:
        """The callee's offer has an answer all the same (RFC 3261 section 13.2.2.4): nothing is taken."""
        [line] = parseSDP(self.callee.request("ACK").body).media
        self.assertEqual((line.kind, line.port), ("audio", 0))

    def test_ackNeverComes(self) -> None:
        """No ACK, no answer: the callee gets an ACK all the same, then BYE."""
        _, far = self.call(b"")
        self.answer(far)
        self.net.clock.pump([0.5] * 63)
        self.assertNotIn("ACK", self.callee.got())
        self.net.clock.advance(0.5)
        self.assertRefusedInACK()
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])
        self.assertEqual(self.caller.got()[-1], "BYE")

    def test_byeInsteadOfAck(self) -> None:
        """The caller hangs up instead: ACK, then BYE for the callee."""
        near, far = self.call(b"")
        self.answer(far)
        self.callee.got()
        self.caller.within(near, self.caller.response(200), "BYE", 2)
        self.assertRefusedInACK()
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])

    def test_calleeHangsUpFirst(self) -> None:
        """The callee hangs up before the answer: the late ACK changes nothing, BYE follows it."""
        near, far = self.call(b"")
        self.answer(far)
        accepted = self.caller.response(200)
        self.callee.back(far, "BYE", 1)
        self.caller.got()
        self.caller.ack(near, accepted, self.description(self.caller))
        self.assertEqual(self.caller.got(), ["BYE"])
        self.assertTrue(all(leg.released for leg in self.net.plane.legs))
        self.assertEqual([leg.events for leg in self.net.plane.legs], [[], []])

    def test_unreadableAnswer(self) -> None:
        """An ACK with a body that is no answer ends the call on both legs."""
        near, far = self.call(b"")
        self.answer(far)
        offered = self.caller.response(200)
        self.callee.got()
        self.caller.ack(near, offered, b"nonsense")
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])
        self.assertEqual(self.caller.got()[-1], "BYE")

    def test_reinviteMeanwhile(self) -> None:
        """A re-INVITE of the callee while the answer is due: 491."""
        near, far = self.call(b"")
        self.answer(far)
        self.callee.got()
        self.callee.back(far, "INVITE", 1, body=self.description(self.callee, 2))
        self.assertEqual(self.callee.got(), [100, 491])

    def test_cancelTooLate(self) -> None:
        """The 2xx with the offer crosses the CANCEL: ACK, then BYE."""
        near, far = self.call(b"")
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        self.callee.got()
        self.answer(far)
        self.assertRefusedInACK()
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])

    def test_secondBranch(self) -> None:
        """Another branch answers too: its offer is refused in its own dialog, and the call's is as it was."""
        near, far = self.call(b"")
        self.answer(far)
        offered = self.caller.response(200)
        self.callee.answers(far, 200, self.description(self.callee), "fork")
        self.assertRefusedInACK()
        self.assertEqual(self.callee.got()[-2:], ["ACK", "BYE"])
        self.caller.ack(near, offered, self.description(self.caller))
        ack = self.callee.request("ACK")
        answer = parseSDP(ack.body)
        self.assertEqual((ack.toAddress.tag, len(answer.media), answer.origin.version), ("far", 1, "1"))
        self.assertTrue(answer.media[0].port)
        self.assertEqual(self.callee.got(), ["ACK"])

    def test_reinviteAfterTheEnd(self) -> None:
        """Its 2xx comes when the call is over: refused there, too."""
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "INVITE", 2)
        far = self.callee.request("INVITE")
        self.caller.within(near, accepted, "BYE", 3)
        for _ in range(2):
            self.answer(far)
            self.assertRefusedInACK()
            self.callee.channel.clear()

    def test_reinviteAnswerRefused(self) -> None:
        """
        A re-INVITE whose ACK refuses the offer, or says nothing to it: so is it refused on the other side,
        and both are offered what stood before.
        """
        near, accepted, _ = self.established()
        refusal = self.description(self.caller).replace(b"audio 4000", b"audio 0").replace(b"6000", b"0")
        bodies = [refusal, b"", b"nonsense"]
        if not self.outbound:
            # The carrier, which has SRTP, would go on in clear.
            bodies.append(self.description(self.caller).replace(b"SAVP", b"AVP"))
        for number, body in enumerate(bodies, 2):
            asked = self.caller.within(near, accepted, "INVITE", number)
            self.answer(self.callee.request("INVITE"))
            self.callee.got()
            self.caller.ack(asked, self.caller.response(200), body)
            self.assertRefusedInACK()
            for neighbour in (self.caller, self.callee):
                again = neighbour.request("INVITE")
                [line] = parseSDP(again.body).media
                self.assertEqual((bool(line.port), line.direction), (True, "sendrecv"))
                neighbour.answers(again, 200, self.description(neighbour, number + 2))
                neighbour.got()
            self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_reinviteCancelledTooLate(self) -> None:
        """
        The offer that crosses the CANCEL of an offerless re-INVITE is no answer to an older offer.  Its own
        answer is in the ACK (RFC 3261 section 13.2.1), and is what stood before.
        """
        near, accepted, _ = self.established()
        before = [list(leg.events) for leg in self.net.plane.legs]
        kinds = ("remote", "sending")
        stood = [self.net.plane.legs[1].last(kind) for kind in kinds]
        again = self.caller.within(near, accepted, "INVITE", 2)
        far = self.callee.request("INVITE")
        self.callee.got()
        self.caller.cancel(again)
        self.answer(far)
        ack = self.callee.request("ACK")
        self.assertEqual(parseSDP(ack.body).media[0].direction, "sendrecv")
        self.assertEqual(self.callee.got()[-1:], ["ACK"])
        self.assertEqual(self.net.plane.legs[0].events, before[0])
        self.assertGreater(len(self.net.plane.legs[1].events), len(before[1]))
        self.assertEqual([self.net.plane.legs[1].last(kind) for kind in kinds], stood)

    def test_reinviteCancelledAndUnusable(self) -> None:
        """One that cannot be answered gets an ACK without, and is offered what stood before."""
        near, accepted, _ = self.established()
        again = self.caller.within(near, accepted, "INVITE", 2)
        far = self.callee.request("INVITE")
        self.callee.got()
        self.caller.cancel(again)
        self.callee.answers(far, 200, b"nonsense")
        self.assertEqual(self.callee.got(), ["ACK", "INVITE"])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_reinviteRefused(self) -> None:
        """An offerless re-INVITE that is refused changes nothing."""
        near, accepted, _ = self.established()
        before = [list(leg.events) for leg in self.net.plane.legs]
        self.caller.within(near, accepted, "INVITE", 2)
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.assertEqual(self.caller.got()[-1], 488)
        self.assertEqual([list(leg.events) for leg in self.net.plane.legs], before)

    def test_offerInProvisional(self) -> None:
        """An offer in an unreliable 183 is none (RFC 3262 section 5): it rings, and the 2xx brings it."""
        near, far = self.call(b"")
        self.callee.answers(far, 183, self.description(self.callee))
        self.assertEqual(self.caller.response(183).body, b"")
        self.answer(far)
        offered = self.caller.response(200)
        self.caller.ack(near, offered, self.description(self.caller))
        self.assertEqual(len(parseSDP(offered.body).media), 1)
        self.assertEqual(len(parseSDP(self.callee.request("ACK").body).media), 1)


class TCPReinviteRaces(ReinviteRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TLSReinviteRaces(ReinviteRaces):
    """The carrier calls a PBX over UDP."""

    outbound = False


class TLSToTCPReinviteRaces(TLSReinviteRaces):
    """The carrier calls a PBX over TCP."""

    transport = "tcp"


class TCPLateOfferRaces(LateOfferRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TLSLateOfferRaces(LateOfferRaces):
    """The carrier calls a PBX over UDP."""

    outbound = False


class TLSToTCPLateOfferRaces(TLSLateOfferRaces):
    """The carrier calls a PBX over TCP."""

    transport = "tcp"
