"""UPDATE (RFC 3311), in both directions, over all transports, before the answer and after it."""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import Neighbour
from tests.core.races import Race

ALLOWS = [("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE")]
REQUIRED = [("Require", "100rel")]


class UpdateCase(Race):
    """Calls whose peers take UPDATE, or do not."""

    def calling(
        self, allow: bool = True, ofInvite: Sequence[tuple[str, str]] = (), attributes: str = ""
    ) -> tuple[Request, Request]:
        """The caller's INVITE, and the one that reached the callee."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        headers = [*ofInvite, *(ALLOWS if allow else [])]
        near = self.caller.invite(uri, self.description(self.caller, 1, attributes), headers)
        return near, self.callee.request("INVITE")

    def standing(self, allow: bool = True) -> tuple[Request, Response, Request]:
        """A call that stands."""
        near, far = self.calling(allow)
        self.callee.answers(far, 200, self.description(self.callee), headers=ALLOWS if allow else [])
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.got()
        self.callee.got()
        return near, accepted, far

    def held(self, neighbour: Neighbour, version: int = 2) -> bytes:
        """A description on hold."""
        return self.description(neighbour, version, "a=sendonly\r\n")

    def moved(self, neighbour: Neighbour, version: int = 2) -> bytes:
        """A description with another port."""
        body = self.description(neighbour, version)
        return body.replace(b"audio 4000", b"audio 4200").replace(b"audio 6000", b"audio 6200")

    def port(self, leg: int) -> int:
        """Where the media of a leg goes: 0 is the caller's."""
        return self.net.plane.legs[leg].last("remote").port  # type: ignore[attr-defined,no-any-return]


class Standing(UpdateCase):
    """Once the call is answered."""

    def test_allowed(self) -> None:
        """We say that we take it, in INVITE and 2xx."""
        _, accepted, far = self.standing()
        self.assertIn("UPDATE", far.values("Allow"))
        self.assertIn("UPDATE", accepted.values("Allow"))

    def test_crosses(self) -> None:
        """An offer goes on as UPDATE, the answer comes back, each with a Contact (section 5)."""
        near, accepted, far = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.assertEqual(self.caller.got(), [], "the answer waits")
        update = self.callee.request("UPDATE")
        self.assertEqual(parseSDP(update.body).media[0].direction, "sendonly")
        self.assertEqual(update.cseq.number, far.cseq.number + 1)
        self.assertTrue(update.contacts)
        self.callee.answers(update, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        answered = self.caller.response(200)
        self.assertEqual(answered.cseq.method, "UPDATE")
        self.assertEqual(parseSDP(answered.body).media[0].direction, "recvonly")
        self.assertTrue(answered.contacts)
        self.assertEqual(self.callee.got(), ["UPDATE"], "no ACK")
        self.caller.within(near, accepted, "BYE", 3)
        self.assertEqual(self.callee.request("BYE").cseq.number, far.cseq.number + 2)

    def test_asReinvite(self) -> None:
        """A peer that does not take UPDATE gets a re-INVITE."""
        near, accepted, _ = self.standing(allow=False)
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        again = self.callee.request("INVITE")
        self.callee.answers(again, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        self.assertEqual(self.callee.got(), ["INVITE", "ACK"])
        self.assertEqual(self.caller.response(200).cseq.method, "UPDATE")

    def test_slowReinvite(self) -> None:
        """It has to be answered in time: 504, and the re-INVITE is taken back (section 5.2)."""
        near, accepted, _ = self.standing(allow=False)
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        again = self.callee.request("INVITE")
        self.callee.answers(again, 180)
        self.net.clock.advance(20)
        self.assertEqual(self.caller.got(), [504])
        self.assertEqual(self.callee.got()[-1], "CANCEL")
        self.callee.answers(again, 487)
        self.caller.within(near, accepted, "UPDATE", 3, self.held(self.caller, 3))
        self.assertEqual(self.callee.got()[-1], "INVITE")

    def test_refused(self) -> None:
        """488 crosses, and the session stays as it was."""
        near, accepted, _ = self.standing()
        before = self.port(0), self.port(1)
        self.caller.within(near, accepted, "UPDATE", 2, self.moved(self.caller))
        self.callee.answers(self.callee.request("UPDATE"), 488)
        self.assertEqual(self.caller.got(), [488])
        self.assertEqual((self.port(0), self.port(1)), before)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_gone(self) -> None:
        """481: the other side knows nothing of the call any more, which ends (RFC 3261 section 12.2.1.2)."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.callee.answers(self.callee.request("UPDATE"), 481)
        self.assertEqual(self.caller.got()[-1], "BYE")

    def test_rfc4320_4_2(self) -> None:
        """408 is no answer to an UPDATE, also where it is the other side's; the call ends."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.callee.answers(self.callee.request("UPDATE"), 408)
        self.assertEqual(self.caller.got()[0], 504)
        self.assertEqual(self.net.observer.ended[0].by, "trunk")

    def test_unanswered(self) -> None:
        """Silence: 408 is no answer of the callee, the call ends."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.net.observer.ended[0].by, "trunk")

    def test_withoutOffer(self) -> None:
        """One without an offer never crosses; the new Contact is where requests go from then on."""
        near, accepted, far = self.standing()
        moved = "<sip:moved@192.0.2.77:5090>"
        self.caller.twist = lambda message: message.withHeader("Contact", moved).encode()
        self.caller.within(near, accepted, "UPDATE", 2)
        self.caller.twist = None
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], []))
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.caller.request("BYE").uri, "sip:moved@192.0.2.77:5090")

    def test_glare(self) -> None:
        """Both sides offer at once: 491 to whoever came second (section 5.2)."""
        near, accepted, far = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.callee.back(far, "UPDATE", 1, body=self.held(self.callee))
        self.assertEqual(self.callee.got(), ["UPDATE", 491])
        self.callee.back(far, "INVITE", 2, body=self.held(self.callee))
        self.assertEqual(self.callee.got()[-1], 491)
        self.callee.back(far, "UPDATE", 3)
        self.assertEqual(self.callee.got(), [200], "nothing is offered in it")

    def test_twice(self) -> None:
        """A second one before the first is answered: 500 with Retry-After (section 5.2)."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.caller.within(near, accepted, "UPDATE", 3, self.held(self.caller, 3))
        refusal = self.caller.response(500)
        self.assertIn(int(refusal.header("Retry-After") or "-1"), range(11))

    def test_outOfOrder(self) -> None:
        """A CSeq that goes back: 500 (RFC 3261 section 12.2.2)."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 1)
        self.assertEqual(self.caller.got(), [500])

    def test_malformed(self) -> None:
        """A body of another kind: 415; a description that is none: 488; the call goes on."""
        near, accepted, _ = self.standing()
        self.caller.twist = lambda message: message.withHeader("Content-Type", "text/plain").encode()
        self.caller.within(near, accepted, "UPDATE", 2, b"x")
        self.caller.twist = None
        self.assertEqual(self.caller.got(), [415])
        self.caller.within(near, accepted, "UPDATE", 3, b"v=0\r\n")
        self.assertEqual((self.caller.got(), self.callee.got()), ([488], []))
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_outside(self) -> None:
        """Outside of a dialog: 481 (RFC 3261 section 12.2.2)."""
        near, accepted, _ = self.standing()
        stranger = accepted.withHeader("To", (accepted.header("To") or "") + "0")
        self.caller.within(near, stranger, "UPDATE", 2)
        self.assertEqual(self.caller.got(), [481])

    def test_repeated(self) -> None:
        """An offer that changes nothing is answered here."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.description(self.caller))
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], []))

    def test_hungUpMeanwhile(self) -> None:
        """BYE while it crosses: the late answer to the UPDATE changes nothing."""
        near, accepted, _ = self.standing()
        self.caller.within(near, accepted, "UPDATE", 2, self.held(self.caller))
        self.caller.within(near, accepted, "BYE", 3)
        self.assertEqual(self.callee.got(), ["UPDATE", "BYE"])

    def test_refreshes(self) -> None:
        """Our session refresh is an UPDATE without description where the peer takes that (RFC 4028)."""
        near, far = self.calling()
        headers = [*ALLOWS, ("Session-Expires", "1800;refresher=uac"), ("Require", "timer")]
        self.callee.answers(far, 200, self.description(self.callee), headers=headers)
        self.caller.ack(near, self.caller.response(200))
        self.callee.got()
        events = [len(leg.events) for leg in self.net.plane.legs]
        self.net.clock.advance(900)
        refresh = self.callee.request("UPDATE")
        self.assertEqual((refresh.body, refresh.header("Session-Expires")), (b"", "1800;refresher=uac"))
        self.callee.answers(refresh, 200, headers=headers[1:])
        self.assertEqual(self.callee.got(), ["UPDATE"])
        self.net.clock.advance(899)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(1)
        self.assertEqual(self.callee.got(), ["UPDATE"], "the next interval has begun")
        self.assertEqual([len(leg.events) for leg in self.net.plane.legs], events, "no media was touched")

    def test_refreshNotTaken(self) -> None:
        """A peer that has UPDATE in Allow and refuses it: re-INVITE, at once if that says all, else later."""
        for status, seconds in ((405, 0), (501, 0), (500, 10), (403, 10)):
            near, far = self.calling()
            headers = [*ALLOWS, ("Session-Expires", "1800;refresher=uac"), ("Require", "timer")]
            self.callee.answers(far, 200, self.description(self.callee), headers=headers)
            self.caller.ack(near, self.caller.response(200))
            self.net.clock.advance(900)
            refresh = self.callee.request("UPDATE")
            self.callee.channel.clear()
            self.callee.answers(refresh, status)
            self.net.clock.advance(seconds)
            again = self.callee.request("INVITE")
            self.assertTrue(again.body, status)
            self.callee.answers(again, 200, self.description(self.callee), headers=headers[1:])
            self.net.clock.advance(900)
            self.assertEqual(self.callee.request("INVITE").cseq.number, again.cseq.number + 1)
            [call] = self.net.manager.media()
            self.net.manager.hangUp(call, "enough")
            self.callee.channel.clear()

    def test_tooBrief(self) -> None:
        """422 to it: again, with the longer interval (RFC 4028 section 7.3)."""
        near, far = self.calling()
        headers = [*ALLOWS, ("Session-Expires", "300;refresher=uac"), ("Require", "timer")]
        self.callee.answers(far, 200, self.description(self.callee), headers=headers)
        self.caller.ack(near, self.caller.response(200))
        self.net.clock.advance(150)
        self.callee.answers(self.callee.request("UPDATE"), 422, headers=[("Min-SE", "600")])
        again = self.callee.request("UPDATE")
        self.assertEqual(again.header("Session-Expires"), "600;refresher=uac")
        self.assertEqual(again.cseq.number, far.cseq.number + 2)


class Early(UpdateCase):
    """Before the answer each leg is settled by itself; the other one is told afterwards."""

    early: Response

    def ringing(self, attributes: str = "") -> tuple[Request, Request]:
        """Reliable early media on both legs: offer and answer of the INVITE are complete."""
        near, far = self.calling(True, REQUIRED, attributes)
        headers = [*REQUIRED, ("RSeq", "1"), *ALLOWS]
        self.callee.answers(far, 183, self.description(self.callee, 1, attributes), headers=headers)
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.early = self.caller.response(183)
        self.pracks(near, 2)
        self.caller.got()
        self.callee.got()
        return near, far

    def pracks(self, near: Request, number: int) -> None:
        """The caller's PRACK of the last 183."""
        early = self.caller.response(183)
        rack = [("RAck", f"{early.header('RSeq')} 1 INVITE")]
        self.caller.within(near, early, "PRACK", number, b"", rack)

    def other(self, near: Request, far: Request) -> None:
        """Another branch says its stream in a reliable 183."""
        headers = [*REQUIRED, ("RSeq", "1"), *ALLOWS]
        self.callee.answers(far, 183, self.description(self.callee), "other", headers)
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.pracks(near, 3)

    def answered(self, near: Request, far: Request) -> Response:
        """The callee answers, the caller acknowledges."""
        self.callee.answers(far, 200)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        return accepted

    def test_caller(self) -> None:
        """The caller's is answered on its leg; what changed is offered to the callee after the answer."""
        near, far = self.ringing()
        self.caller.within(near, self.early, "UPDATE", 3, self.held(self.caller))
        answer = self.caller.response(200)
        self.assertEqual(parseSDP(answer.body).media[0].direction, "recvonly")
        self.assertEqual(self.callee.got(), [])
        self.answered(near, far)
        renewal = self.callee.request("INVITE")
        self.assertEqual(parseSDP(renewal.body).media[0].direction, "sendonly")
        self.callee.answers(renewal, 200, self.description(self.callee, 2, "a=recvonly\r\n"))
        self.assertEqual(self.callee.got()[-1], "ACK")

    def test_callerHasResources(self) -> None:
        """
        Some begin with a stream that is inactive, and change it when they may: what the callee answers to
        that after the answer is told to the caller.
        """
        near, far = self.ringing("a=inactive\r\n")
        self.caller.within(near, self.early, "UPDATE", 3, self.description(self.caller, 2))
        answer = self.caller.response(200)
        self.assertEqual(parseSDP(answer.body).media[0].direction, "inactive", "the callee has said so")
        self.answered(near, far)
        self.caller.got()
        self.callee.answers(self.callee.request("INVITE"), 200, self.description(self.callee, 2))
        renewal = self.caller.request("INVITE")
        self.assertEqual(parseSDP(renewal.body).media[0].direction, "sendrecv")
        self.caller.answers(renewal, 200, self.description(self.caller, 2))
        self.assertEqual((self.caller.got()[-1], self.callee.got()[-1]), ("ACK", "ACK"))

    def test_callee(self) -> None:
        """The callee's is answered on its leg; the caller is asked again only if the stream differs."""
        near, far = self.ringing()
        self.callee.back(far, "UPDATE", 1, body=self.moved(self.callee))
        answer = self.callee.response(200)
        self.assertTrue(answer.body)
        self.assertEqual(self.port(1), 4200 if self.callee is self.net.pbx else 6200)
        self.assertEqual(self.caller.got(), [])
        self.answered(near, far)
        self.assertEqual(self.caller.got(), [200])
        self.assertEqual(self.port(1), 4200 if self.callee is self.net.pbx else 6200)

    def test_calleeChangesDirection(self) -> None:
        """A stream that differs is offered to the caller after its ACK."""
        near, far = self.ringing()
        self.callee.back(far, "UPDATE", 1, body=self.held(self.callee))
        self.answered(near, far)
        renewal = self.caller.request("INVITE")
        self.assertEqual(parseSDP(renewal.body).media[0].direction, "sendonly")
        self.caller.answers(renewal, 200, self.description(self.caller, 2, "a=recvonly\r\n"))
        self.assertEqual(self.caller.got()[-1], "ACK")

    def test_calleeWithoutOffer(self) -> None:
        """Some phones only tell of themselves: 200, on an early dialog without 100rel too."""
        _, far = self.calling()
        self.callee.answers(far, 180)
        self.callee.back(far, "UPDATE", 1)
        self.assertEqual(self.callee.got()[-1], 200)
        self.callee.back(far, "UPDATE", 2, tag="stranger")
        self.assertEqual(self.callee.got(), [481])
        self.callee.back(far, "BYE", 3)
        self.assertEqual(self.callee.got(), [481], "a callee may not hang up before it answered")

    def test_otherBranch(self) -> None:
        """A branch puts its stream into a second line, and another one answers the INVITE, of one line."""
        near, far = self.ringing()
        body = self.moved(self.callee).replace(b"m=audio", b"m=video 0 RTP/AVP 31\r\nm=audio")
        self.callee.back(far, "UPDATE", 1, body=body)
        self.assertEqual(self.callee.got(), [200])
        self.callee.answers(far, 200, self.description(self.callee), tag="other")
        self.caller.ack(near, self.caller.response(200))
        self.assertEqual(self.port(1), 4000 if self.callee is self.net.pbx else 6000)
        [call] = self.net.manager._bridges
        [line] = parseSDP(call.legs[1].session.repeatOffer()).media
        self.assertEqual(line, parseSDP(far.body).media[0])

    def test_otherBranchAnswersReliably(self) -> None:
        """A branch changes its stream, another one says its own in a reliable 183 alone, and answers."""
        near, far = self.ringing()
        self.callee.back(far, "UPDATE", 1, body=self.moved(self.callee))
        self.other(near, far)
        self.callee.answers(far, 200, tag="other")
        self.assertEqual(self.port(1), 4000 if self.callee is self.net.pbx else 6000)
        self.caller.ack(near, self.caller.response(200))

    def test_bothBranches(self) -> None:
        """Two branches change their streams, and the first of them answers."""
        near, far = self.ringing()
        self.callee.back(far, "UPDATE", 1, body=self.moved(self.callee))
        self.other(near, far)
        self.callee.back(far, "UPDATE", 1, "other", self.held(self.callee))
        self.callee.got()
        self.callee.answers(far, 200)
        self.assertEqual(self.port(1), 4200 if self.callee is self.net.pbx else 6200)
        self.caller.ack(near, self.caller.response(200))

    def test_unsettled(self) -> None:
        """An offer while the first one has no answer: 491 to the callee, 500 to the caller (section 5.2)."""
        near, far = self.calling()
        self.callee.answers(far, 183, self.description(self.callee))
        self.callee.back(far, "UPDATE", 1, body=self.moved(self.callee))
        self.assertEqual(self.callee.got()[-1], 491)
        self.caller.within(near, self.caller.response(183), "UPDATE", 2, self.moved(self.caller))
        self.assertEqual(self.caller.got()[-1], 500)

    def test_noCodec(self) -> None:
        """No codec that the other side has: 488, and the early media goes on."""
        near, far = self.ringing()
        body = self.description(self.callee, 2).replace(b" 8 101", b" 18").replace(b" 8 0 101", b" 18")
        before = self.port(1)
        self.callee.back(far, "UPDATE", 1, body=body)
        self.assertEqual((self.callee.got(), self.port(1)), ([488], before))
        body = self.description(self.caller, 2).replace(b" 8 101", b" 18").replace(b" 8 0 101", b" 18")
        self.caller.within(near, self.early, "UPDATE", 3, body)
        self.assertEqual(self.caller.got(), [488])
        self.answered(near, far)


class InboundStanding(Standing):
    """The same where the carrier calls."""

    outbound = False


class TCPStanding(Standing):
    """The same with the PBX on TCP."""

    transport = "tcp"


class InboundEarly(Early):
    """The same where the carrier calls."""

    outbound = False


class TCPEarly(Early):
    """The same with the PBX on TCP."""

    transport = "tcp"
