"""REFER, taken over, passed and refused, and INVITE with Replaces (RFC 3515, 3891, 5589)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.answers import ELSEWHERE
from skypetrunk.core.leg_subscriptions import MOST_OF_SIDE, MOST_REFERS, RETRY_SECONDS
from skypetrunk.core.session_refresh import Renewal
from skypetrunk.core.sides import PASS, REFUSE, TAKE_OVER
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallRequest
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.message import Request
from skypetrunk.wire.replaces import Replaces, parseReplaces
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, SAVP, CallNet, Neighbour, RecordingMediaLeg, sdp


class TransferCase(SynchronousTestCase):
    """
    One call that stands; the referrer is the PBX, which called, unless a subclass says otherwise.

    @cvar transport: of the PBX's side.
    @cvar byPBX: the PBX refers.
    """

    transport: ClassVar[str] = "udp"
    byPBX: ClassVar[bool] = True

    def setUp(self) -> None:
        """The call."""
        self.net = CallNet(self.transport)
        self.referrer, self.transferee = self.net.pbx, self.net.carrier
        if not self.byPBX:
            self.referrer, self.transferee = self.transferee, self.referrer
        self.near = self.invite(self.referrer)
        self.far = self.transferee.request("INVITE")
        self.transferee.answers(self.far, 200, self.description(self.transferee))
        self.accepted = self.referrer.response(200)
        self.referrer.ack(self.near, self.accepted)
        self.number = 1
        self.policy(TAKE_OVER)
        self.clear()

    def policy(self, policy: str) -> None:
        """What becomes of a REFER of this referrer; one of the other side is refused."""
        side = self.net.carrier.side
        side.transfer, side.ownTransfer = (policy, REFUSE) if self.byPBX else (REFUSE, policy)

    def tearDown(self) -> None:
        """Nothing is left."""
        self.net.manager.drain(5.0)
        self.net.settle()
        self.assertEqual(set(self.net.leftovers().values()), {0}, self.net.leftovers())

    def clear(self) -> None:
        """What was sent so far is read."""
        self.net.pbx.got()
        self.net.carrier.got()

    def invite(self, neighbour: Neighbour, headers: list[tuple[str, str]] | None = None) -> Request:
        """An INVITE of a neighbour to the other side."""
        return neighbour.invite(self.ours(neighbour), self.description(neighbour), headers or [])

    def ours(self, neighbour: Neighbour) -> str:
        """Where a neighbour calls us."""
        return "sip:+4420@198.51.100.1" if neighbour is self.net.pbx else "sip:account@198.51.100.2:40000"

    def description(self, neighbour: Neighbour, attributes: str = "", version: int = 1) -> bytes:
        """What a neighbour offers and answers."""
        if neighbour is self.net.pbx:
            return sdp(PCMA + attributes, version=version)
        return sdp(SAVP + attributes, "203.0.113.9", version)

    def refer(self, target: str, more: list[tuple[str, str]] | None = None) -> None:
        """The referrer's REFER."""
        self.number += 1
        headers = [("Refer-To", target), *(more or [])]
        self.referrer.within(self.near, self.accepted, "REFER", self.number, b"", headers)

    def target(self, number: str = "+4430") -> str:
        """A number behind us, as the referrer names it."""
        host = "198.51.100.1" if self.byPBX else "198.51.100.2:40000"
        return f"<sip:{number}@{host}>"

    def offered(self) -> str:
        """The direction of what the transferee was offered last."""
        invites = [each for each in self.transferee.channel.requests if each.method == "INVITE"]
        offer = [each.body for each in invites if each.callID == self.far.callID][-1]
        return parseSDP(offer).media[0].direction

    @property
    def called(self) -> Neighbour:
        """Who gets the call to the target."""
        return self.transferee

    def notified(self) -> list[tuple[str, str]]:
        """What NOTIFY told the referrer: state and status line.  Each is answered."""
        told = []
        for request in self.referrer.channel.requests:
            if request.method == "NOTIFY":
                state = (request.header("Subscription-State") or "").partition(";")[0]
                told.append((state, request.body.decode().strip()))
                self.assertEqual(request.header("Content-Type"), "message/sipfrag;version=2.0")
                self.referrer.answers(request, 200)
        return told

    def media(self, neighbour: Neighbour, at: int = -1) -> RecordingMediaLeg:
        """A media leg towards a neighbour."""
        secure = neighbour is self.net.carrier
        return [leg for leg in self.net.plane.legs if leg.secure is secure][at]


class Refused(TransferCase):
    """What leads to nothing, and leaves the call as it was."""

    def test_policy(self) -> None:
        """603 where the trunk refuses transfers."""
        self.policy(REFUSE)
        self.refer(self.target())
        self.assertEqual((self.referrer.got(), self.transferee.got()), ([603], []))

    def test_defaults(self) -> None:
        """The PBX's are carried out, the carrier's are not: they might cost its customer money."""
        side = CallNet().carrier.side
        self.assertEqual((side.transfer, side.ownTransfer), (TAKE_OVER, REFUSE))

    def test_malformed(self) -> None:
        """No Refer-To, two of them, or one that cannot be read: 400; another method: 603."""
        for values, status in (
            ([], 400),
            (["<sip:1@a>", "<sip:2@a>"], 400),
            (["<sip:1@a"], 400),
            (["<sip:1@a?Replaces=x>"], 400),
            (["<sip:1@a;method=BYE>"], 603),
        ):
            self.number += 1
            headers = [("Refer-To", value) for value in values]
            self.referrer.within(self.near, self.accepted, "REFER", self.number, b"", headers)
            self.assertEqual((self.referrer.got(), self.transferee.got()), ([status], []), str(values))
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_emergency(self) -> None:
        """An emergency number goes nowhere, however it is written and whatever the policy: 503, counted."""
        for count, target in enumerate(
            (
                self.target("112"),
                "<tel:112>",
                "<tel:9-112>",
                self.target("%31%31%32"),
                "<urn:service:sos>",
                "<sip:urn%3Aservice%3Asos.fire@198.51.100.1>",
                self.target("112;phone-context=+44"),
                "sip:112@elsewhere.example",
            ),
            1,
        ):
            self.policy(PASS if count % 2 else TAKE_OVER)
            self.refer(target)
            refusal = self.referrer.response(503)
            self.assertIn("cause=34", refusal.header("Reason") or "")
            self.assertEqual((self.referrer.got(), self.transferee.got()), ([503], []), target)
            self.assertEqual(self.net.manager.emergencies, count)

    def test_noRoute(self) -> None:
        """404 where no route leads there, or it names no number."""
        self.refer(self.target("404"))
        self.refer("<sip:198.51.100.1>")
        self.assertEqual(self.referrer.got(), [404, 404])

    def test_limits(self) -> None:
        """The limits of new calls hold: the REFER is refused as an INVITE would be."""
        side = self.referrer.side
        side.limit = 1
        self.refer(self.target())
        self.assertEqual((self.referrer.got(), self.transferee.got()), ([503], []))

    def test_callPolicy(self) -> None:
        """The vendor's policy is asked; what it refuses is told by NOTIFY."""
        asked: list[CallRequest] = []

        def refuse(request: CallRequest) -> None:
            asked.append(request)
            raise CallRefused("not that one", 403)

        self.net.policy.result = refuse
        self.refer(self.target())
        self.assertEqual(
            self.notified(), [("active", "SIP/2.0 100 Trying"), ("terminated", "SIP/2.0 403 Forbidden")]
        )
        self.assertEqual([(each.called, each.source) for each in asked], [("+4430", self.referrer.side.name)])
        self.assertEqual(self.transferee.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_outside(self) -> None:
        """REFER outside of a call: 403; NOTIFY of nothing: 481; of another event: 489."""
        request = self.near.withHeader("CSeq", "1 REFER").withHeader("Call-ID", "another")
        self.referrer.says(Request("REFER", request.uri, request.withoutHeader("Content-Type").headers))
        self.assertEqual(self.referrer.got(), [403])
        state = [("Subscription-State", "active")]
        for event, status in (("refer", 481), ("presence", 489)):
            self.number += 1
            headers = [("Event", event), *state]
            self.referrer.within(self.near, self.accepted, "NOTIFY", self.number, b"", headers)
            self.assertEqual(self.referrer.got(), [status])

    def test_twice(self) -> None:
        """One transfer at a time: 491."""
        self.refer(self.target())
        self.referrer.got()
        self.refer(self.target("+4431"))
        self.assertEqual(self.referrer.got(), [491])


class Blind(TransferCase):
    """The trunk calls the target for the transferee."""

    def ringing(self) -> Request:
        """A REFER that was taken: the INVITE at the target."""
        self.refer(self.target())
        self.assertEqual(self.referrer.got()[0], 202)
        invite = self.called.request("INVITE")
        self.called.got()
        return invite

    def test_answered(self) -> None:
        """202, NOTIFY, the target answers, transferee and target are one call, the referrer gets BYE."""
        self.refer(self.target())
        self.assertEqual(self.referrer.channel.summary(), [202, "NOTIFY"])
        self.assertEqual(self.notified(), [("active", "SIP/2.0 100 Trying")])
        self.referrer.got()
        invite = self.called.request("INVITE")
        self.assertNotEqual(invite.callID, self.far.callID)
        self.assertEqual(invite.requestURI.user, "+4430")  # type: ignore[union-attr]
        self.called.got()
        self.called.answers(invite, 180)
        self.assertEqual(self.notified(), [], "one at the beginning and one at the end")
        self.referrer.got()
        self.assertEqual(self.net.manager.callCount(), 2)
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.assertEqual(self.referrer.channel.summary(), ["NOTIFY"])
        self.assertEqual(self.notified(), [("terminated", "SIP/2.0 200 OK")])
        # It may hang up by itself.
        self.net.clock.advance(2)
        self.assertEqual(self.referrer.got(), ["NOTIFY", "BYE"])
        self.assertEqual(self.called.got()[0], "ACK")
        old, target = self.net.plane.legs[1], self.net.plane.legs[2]
        self.assertIs(old.joined, target)
        _, new = self.net.observer.events[2]
        assert isinstance(new, CallRequest)
        # Whoever listens to calls hears it as the new one, whose caller is the transferee.
        self.assertEqual((old.call, old.calling), (new.call, True))
        self.assertFalse(old.released)
        self.assertTrue(self.net.plane.legs[0].released)
        [ended] = self.net.observer.ended
        self.assertEqual((ended.cause, ended.by, ended.status), ("transferred", "caller", None))
        events = [name for name, _ in self.net.observer.events]
        self.assertEqual(events, ["started", "answered", "started", "ended", "answered"])
        # The new call ends like any other, from either side.
        self.called.back(invite, "BYE", 1, tag="target")
        self.assertEqual(self.transferee.request("BYE").callID, self.far.callID)
        self.assertEqual(self.net.observer.ended[1].by, "callee")

    def test_offerAsked(self) -> None:
        """
        The referrer has asked for an offer, and the target answers before it has said what it makes of that:
        the transferee's offer is answered with what it has now, not refused.
        """
        invite = self.ringing()
        self.number += 1
        asked = self.referrer.within(self.near, self.accepted, "INVITE", self.number)
        again = self.transferee.request("INVITE")
        moved = self.description(self.transferee, version=2).replace(b"m=audio 6000", b"m=audio 6400")
        moved = moved.replace(b"m=audio 4000", b"m=audio 6400")
        self.transferee.answers(again, 200, moved)
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        acks = [each for each in self.transferee.channel.requests if each.method == "ACK"]
        [ack] = [each for each in acks if each.callID == again.callID]
        self.assertNotEqual(parseSDP(ack.body).media[0].port, 0)
        self.assertEqual(self.net.plane.legs[1].last("remote").port, 6400)  # type: ignore[attr-defined]
        self.referrer.ack(asked, self.referrer.response(200), self.description(self.referrer, version=2))
        self.transferee.back(self.far, "BYE", 1)
        self.assertEqual(self.called.request("BYE").callID, invite.callID)

    def test_offerAskedByTheTransferee(self) -> None:
        """The other way round: the answer in its ACK counts, and it is offered what the target has said."""
        invite = self.ringing()
        asked = self.transferee.back(self.far, "INVITE", 1)
        again = self.referrer.request("INVITE")
        hold = self.description(self.referrer, "a=sendonly\r\n", 2)
        self.referrer.answers(again, 200, hold)
        offer = self.transferee.response(200)
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.clear()
        moved = self.description(self.transferee, "a=recvonly\r\n", 2)
        moved = moved.replace(b"m=audio 6000", b"m=audio 6400").replace(b"m=audio 4000", b"m=audio 6400")
        self.transferee.ack(asked, offer, moved)
        self.assertEqual(self.net.plane.legs[1].last("remote").port, 6400)  # type: ignore[attr-defined]
        self.assertEqual(self.offered(), "sendrecv")

    def test_referrerAnswersLate(self) -> None:
        """An offer of ours to the referrer is under way: its answer is no matter of the transferee."""
        invite = self.ringing()
        legs = [leg for call in self.net.manager._bridges for leg in call.legs]
        [leg] = [leg for leg in legs if leg.side is self.referrer.side]
        told: list[object] = []
        said = leg.session.said
        assert said is not None
        leg.refresh.renew(Renewal(said, done=told.append))
        offered = self.referrer.request("INVITE")
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.referrer.got()
        self.referrer.answers(offered, 200, self.description(self.referrer, "a=inactive\r\n", 2))
        self.assertEqual((told, self.referrer.got()), ([], ["ACK", "BYE"]))

    def test_transfereeHasAnOffer(self) -> None:
        """
        The transferee has an offer of ours, of what it was told before: when it has answered it gets what
        the target has said.
        """
        invite = self.ringing()
        legs = [leg for call in self.net.manager._bridges for leg in call.legs]
        [leg] = [leg for leg in legs if leg.key == (self.far.callID, self.far.fromAddress.tag)]
        said = leg.session.said
        assert said is not None
        leg.refresh.renew(Renewal(replace(said, direction="inactive")))
        offered = self.transferee.request("INVITE")
        event = "a=rtpmap:101 telephone-event/8000\r\n"
        answer = PCMA if self.called is self.net.pbx else SAVP.replace(" 8 101", " 8 0 101") + event
        if "0" not in said.formats:
            answer = answer.replace(" 0 101", " 101")
        self.called.answers(invite, 200, sdp(answer), tag="target")
        body = self.description(self.transferee, "a=inactive\r\n", 2)
        self.transferee.answers(offered, 200, body)
        self.assertEqual(self.offered(), "sendrecv")

    def test_codec(self) -> None:
        """The transferee is re-INVITEd if the target wants something else than it was told."""
        invite = self.ringing()
        media = (PCMA if self.called is self.net.pbx else SAVP).replace(" 0 101", "").replace(" 101", "")
        self.called.answers(invite, 200, sdp(media), tag="target")
        requests = [each for each in self.transferee.channel.requests if each.method == "INVITE"]
        [again] = [each for each in requests if each.callID == self.far.callID]
        self.assertEqual(parseSDP(again.body).media[0].formats, ("8",))
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        self.assertEqual(self.transferee.request("ACK").cseq.number, again.cseq.number)

    def test_early(self) -> None:
        """Early media of the target is heard by the transferee; the referrer hears it again if that fails."""
        invite = self.ringing()
        first, transferee = self.net.plane.legs[:2]
        call = first.call
        self.called.answers(invite, 183, self.description(self.called))
        self.assertIs(transferee.joined, self.net.plane.legs[2])
        self.assertNotEqual(transferee.call, call)
        self.called.answers(invite, 486)
        self.assertIs(transferee.joined, first)
        self.assertEqual((transferee.call, transferee.calling), (call, False))
        self.assertTrue(self.net.plane.legs[2].released)

    def test_failed(self) -> None:
        """Busy: NOTIFY tells it, the old call goes on."""
        invite = self.ringing()
        self.called.answers(invite, 486)
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 486 Busy Here"))
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False, True])
        self.referrer.got()
        self.transferee.back(self.far, "BYE", 1)
        self.assertEqual(self.referrer.got(), ["BYE"])

    def test_again(self) -> None:
        """After a failure another transfer may be tried; its events have an id (RFC 3515 section 2.4.6)."""
        self.called.answers(self.ringing(), 486)
        self.referrer.got()
        self.refer(self.target())
        self.assertEqual(self.referrer.request("NOTIFY").header("Event"), f"refer;id={self.number}")

    def test_referrerLeaves(self) -> None:
        """The referrer hangs up at once: the transferee waits for the target, NOTIFY tells the outcome."""
        invite = self.ringing()
        self.number += 1
        self.referrer.within(self.near, self.accepted, "BYE", self.number)
        self.assertEqual(self.referrer.got()[-1], 200)
        self.assertNotIn("BYE", self.transferee.got())
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.assertEqual(self.notified(), [("terminated", "SIP/2.0 200 OK")])
        self.assertEqual(self.referrer.got(), ["NOTIFY"], "no second BYE")
        self.assertIs(self.net.plane.legs[1].joined, self.net.plane.legs[2])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_referrerLeavesAndTargetRefuses(self) -> None:
        """Then there is nobody left to go back to: the transferee gets BYE."""
        invite = self.ringing()
        self.number += 1
        self.referrer.within(self.near, self.accepted, "BYE", self.number)
        self.called.answers(invite, 486)
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 486 Busy Here"))
        bye = self.transferee.request("BYE")
        self.assertEqual(bye.callID, self.far.callID)
        self.transferee.answers(bye, 200)
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_transfereeLeaves(self) -> None:
        """The transferee hangs up: the target is no longer called, the referrer is told, and gets BYE."""
        invite = self.ringing()
        self.called.answers(invite, 180)
        self.transferee.back(self.far, "BYE", 1)
        self.assertEqual(self.notified()[-1][0], "terminated")
        self.assertIn("BYE", self.referrer.got())
        cancel = self.called.request("CANCEL")
        self.assertEqual(cancel.callID, invite.callID)
        self.called.answers(cancel, 200)
        self.called.answers(invite, 487)

    def test_transfereeLeavesAfterTheReferrer(self) -> None:
        """The same where the referrer has gone before."""
        invite = self.ringing()
        self.called.answers(invite, 180)
        self.number += 1
        self.referrer.within(self.near, self.accepted, "BYE", self.number)
        self.transferee.back(self.far, "BYE", 1)
        self.called.answers(self.called.request("CANCEL"), 200)
        self.called.answers(invite, 487)
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 487 Request Terminated"))
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_neverAnswered(self) -> None:
        """The target rings for ever: given up as any call is."""
        invite = self.ringing()
        self.called.answers(invite, 180)
        self.net.clock.pump([1.0] * 180)
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 480 Temporarily Unavailable"))
        self.called.answers(self.called.request("CANCEL"), 200)
        self.called.answers(invite, 487)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_heldMeanwhile(self) -> None:
        """The referrer's hold is under way when the target answers: 491 to it, the transferee goes on."""
        invite = self.ringing()
        self.number += 1
        hold = self.description(self.referrer, "a=sendonly\r\n", 2)
        self.referrer.within(self.near, self.accepted, "INVITE", self.number, hold)
        held = self.transferee.request("INVITE")
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.referrer.ackRefusal(491)
        # It crosses our CANCEL, which waits for a provisional response.
        self.transferee.answers(held, 200, self.description(self.transferee, "a=recvonly\r\n", 2))
        self.assertEqual(self.transferee.request("ACK").cseq.number, held.cseq.number)
        self.assertEqual(self.offered(), "sendrecv", "it is to speak to the target")
        self.net.clock.advance(2)
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.assertNotIn("BYE", self.transferee.channel.summary())
        self.assertEqual(self.net.manager.callCount(), 1)
        self.called.back(invite, "BYE", 1, tag="target")
        self.assertEqual(self.transferee.request("BYE").callID, self.far.callID)

    def test_updatedMeanwhile(self) -> None:
        """The same where the hold goes on as an UPDATE, which cannot be taken back."""
        update = [("Allow", "INVITE, ACK, BYE, UPDATE")]
        self.transferee.back(self.far, "UPDATE", 1, headers=update)
        invite = self.ringing()
        self.number += 1
        hold = self.description(self.referrer, "a=sendonly\r\n", 2)
        self.referrer.within(self.near, self.accepted, "UPDATE", self.number, hold)
        held = self.transferee.request("UPDATE")
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        self.assertIn(491, self.referrer.channel.summary())
        self.transferee.answers(held, 200, self.description(self.transferee, "a=recvonly\r\n", 2))
        self.net.clock.advance(2)
        self.assertNotIn("BYE", self.transferee.channel.summary())
        self.assertEqual(self.offered(), "sendrecv", "it is to speak to the target")

    def test_changedMeanwhile(self) -> None:
        """The transferee's own change is under way: 491, it asks again, and the target hears of it."""
        invite = self.ringing()
        change = self.description(self.transferee, version=2)
        again = self.transferee.back(self.far, "INVITE", 1, body=change)
        self.referrer.answers(self.referrer.request("INVITE"), 180)
        self.called.answers(invite, 200, self.description(self.called), tag="target")
        refused = self.transferee.response(491)
        self.assertEqual(refused.cseq.number, again.cseq.number)
        self.transferee.ackOf(refused)
        self.referrer.answers(self.referrer.request("CANCEL"), 200)
        self.transferee.answers(self.transferee.request("INVITE"), 200, change)
        self.called.got()
        hold = self.description(self.transferee, "a=sendonly\r\n", 3)
        self.transferee.back(self.far, "INVITE", 2, body=hold)
        self.assertEqual(self.called.request("INVITE").callID, invite.callID)

    def test_laterAnswerOfThePolicy(self) -> None:
        """The old call, or the transferee, is gone when the policy says yes: nobody is called."""
        for leaves in (self.transferee, self.referrer):
            policy: Deferred[None] = Deferred()
            self.net.policy.result = lambda request, policy=policy: policy  # type: ignore[misc]
            self.refer(self.target())
            self.number += 1
            if leaves is self.referrer:
                self.referrer.within(self.near, self.accepted, "BYE", self.number)
            self.transferee.back(self.far, "BYE", 1)
            self.clear()
            policy.callback(None)
            self.assertNotIn("INVITE", self.called.got())
            self.net.policy.result = lambda request: None
            self.net.settle()
            self.tearDown()
            self.setUp()

    def test_stopped(self) -> None:
        """The process stops in the middle of it."""
        invite = self.ringing()
        self.called.answers(invite, 180)
        self.net.manager.drain(5.0)
        self.assertIn("CANCEL", self.called.got())
        self.called.answers(invite, 487)


class OwnWorld(TransferCase):
    """Targets of the referrer's own side."""

    def test_called(self) -> None:
        """They are called there, with Replaces as it stands: the identifiers are of that world."""
        host = "192.0.2.10:5070" if self.byPBX else "carrier.example"
        self.refer(f"<sip:200@{host}?Replaces=one%40far%3Bto-tag%3Da%3Bfrom-tag%3Db&Require=replaces>")
        invite = self.referrer.request("INVITE")
        self.assertEqual(self.referrer.got(), [202, "NOTIFY", "INVITE"])
        self.assertEqual(invite.requestURI.user, "200")  # type: ignore[union-attr]
        self.assertEqual(parseReplaces(invite.header("Replaces") or ""), Replaces("one@far", "a", "b"))
        self.assertIn("replaces", invite.values("Require"))
        self.referrer.answers(invite, 200, self.description(self.referrer), tag="target")
        self.net.clock.advance(2)
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_stranger(self) -> None:
        """A dialog that we do not know, of a target that is not there: 481."""
        self.refer(self.target()[:-1] + "?Replaces=one%40far%3Bto-tag%3Da%3Bfrom-tag%3Db>")
        self.assertEqual(self.referrer.got(), [481])


class Attended(TransferCase):
    """Two calls of the referrer become one."""

    def setUp(self) -> None:
        """A second call of the referrer."""
        super().setUp()
        self.second = self.invite(self.referrer)
        self.far2 = self.transferee.request("INVITE")
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="carol")
        self.accepted2 = self.referrer.response(200)
        self.referrer.ack(self.second, self.accepted2)
        self.clear()

    def replacing(self, more: str = "") -> str:
        """A Refer-To that names the second call."""
        tags = f"to-tag={self.accepted2.toAddress.tag};from-tag={self.second.fromAddress.tag}{more}"
        value = Replaces(self.second.callID, "x", "y").escaped().partition("%3B")[0]
        tags = tags.replace(";", "%3B").replace("=", "%3D")
        return f"<sip:carol@198.51.100.1?Replaces={value}%3B{tags}&Require=replaces>"

    def test_merged(self) -> None:
        """Both other legs talk to each other after re-INVITEs, the referrer gets BYE twice."""
        self.refer(self.replacing())
        self.assertEqual(self.referrer.channel.summary(), [202, "NOTIFY", "NOTIFY", "BYE"])
        self.assertEqual(
            self.notified(), [("active", "SIP/2.0 100 Trying"), ("terminated", "SIP/2.0 200 OK")]
        )
        first, second = self.net.plane.legs[1], self.net.plane.legs[3]
        self.assertIs(first.joined, second)
        self.assertEqual([leg.released for leg in self.net.plane.legs], [True, False, True, False])
        again = self.transferee.request("INVITE")
        self.assertEqual(again.callID, self.far.callID)
        self.assertEqual(self.transferee.got(), ["INVITE"])
        answer = self.description(self.transferee, version=2)
        self.transferee.answers(again, 200, answer)
        self.assertEqual(self.transferee.got()[0], "ACK")
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.referrer.got()
        self.net.clock.advance(2)
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 1)
        causes = [(each.cause, each.by) for each in self.net.observer.ended]
        self.assertEqual(causes, [("transferred", "caller")])
        self.transferee.back(self.far2, "BYE", 5, tag="carol")
        self.assertEqual(self.transferee.request("BYE").callID, self.far.callID)

    def test_direction(self) -> None:
        """The referrer had put one on hold: both are told to talk again."""
        self.number += 1
        hold = self.description(self.referrer, "a=sendonly\r\n", 2)
        self.referrer.within(self.near, self.accepted, "INVITE", self.number, hold)
        held = self.transferee.request("INVITE")
        self.transferee.answers(held, 200, self.description(self.transferee, "a=recvonly\r\n", 2))
        ack = self.referrer.response(200)
        again = self.near.withHeader("CSeq", f"{self.number} INVITE")
        self.referrer.ack(again, ack)
        self.clear()
        self.refer(self.replacing())
        offer = self.transferee.request("INVITE")
        self.assertEqual(offer.callID, self.far.callID)
        self.assertEqual(parseSDP(offer.body).media[0].direction, "sendrecv")

    def test_refusedReinvite(self) -> None:
        """A re-INVITE that is refused leaves the sound as it was: the calls are one all the same."""
        self.refer(self.replacing())
        self.transferee.answers(self.transferee.request("INVITE"), 488)
        self.net.clock.advance(2)
        for bye in [each for each in self.referrer.channel.requests if each.method == "BYE"]:
            self.referrer.answers(bye, 200)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertIs(self.net.plane.legs[1].joined, self.net.plane.legs[3])

    def test_early(self) -> None:
        """early-only, and the call was answered: 486 (RFC 3891 section 3)."""
        self.refer(self.replacing(";early-only"))
        self.assertEqual(self.referrer.got(), [486])

    def test_itself(self) -> None:
        """A call cannot take itself over: 481."""
        self.second, self.accepted2 = self.near, self.accepted
        self.refer(self.replacing())
        self.assertEqual(self.referrer.got(), [481])
        self.assertEqual(self.net.manager.callCount(), 2)

    def test_transferredMeanwhile(self) -> None:
        """The second call is being transferred itself: 491, as for any other change."""
        self.referrer.within(self.second, self.accepted2, "REFER", 2, b"", [("Refer-To", self.target())])
        self.clear()
        self.refer(self.replacing())
        self.assertEqual(self.referrer.got(), [491])
        self.assertEqual(self.net.manager.callCount(), 3)

    def test_replacedMeanwhile(self) -> None:
        """A leg whose place another has taken, and which waits for the end of its BYE, is none: 481."""
        tags = self.accepted2.toAddress.tag or "", self.second.fromAddress.tag or ""
        replaces = ("Replaces", str(Replaces(self.second.callID, *tags)))
        third = self.invite(self.referrer, [replaces])
        again = self.transferee.request("INVITE")
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        self.referrer.ack(third, self.referrer.response(200))
        self.clear()
        self.refer(self.replacing())
        self.invite(self.referrer, [replaces])
        self.assertEqual(self.referrer.got(), [481, 100, 481])

    def test_wrongTags(self) -> None:
        """Tags the wrong way round name no dialog: 481."""
        self.second, self.accepted2 = (
            self.second.withHeader("From", f"<sip:1@a>;tag={self.accepted2.toAddress.tag}"),
            self.accepted2.withHeader("To", f"<sip:1@a>;tag={self.second.fromAddress.tag}"),
        )
        self.refer(self.replacing())
        self.assertEqual(self.referrer.got(), [481])

    def test_passed(self) -> None:
        """Where the trunk passes transfers, the other side gets its own names of that dialog (RFC 3891)."""
        self.policy(PASS)
        self.refer(self.replacing())
        refer = self.transferee.request("REFER")
        self.assertEqual(refer.callID, self.far.callID)
        [address] = [refer.header("Refer-To") or ""]
        uri = address.strip("<>")
        self.assertTrue(uri.startswith(f"sip:far@{self.transferee.host}"), uri)
        self.assertNotIn(self.second.callID, uri)
        named = dict(pair.split("=", 1) for pair in uri.partition("?")[2].split("&"))
        replaces = parseReplaces(unescape(named["Replaces"]))
        self.assertEqual(replaces, Replaces(self.far2.callID, "carol", self.far2.fromAddress.tag or ""))
        self.transferee.answers(refer, 202)
        self.assertEqual(self.referrer.got(), [202])

    def test_passedStranger(self) -> None:
        """A dialog that is not ours has no name on the other side: 481."""
        self.policy(PASS)
        self.refer("<sip:carol@198.51.100.1?Replaces=one%40far%3Bto-tag%3Da%3Bfrom-tag%3Db>")
        self.assertEqual((self.referrer.got(), self.transferee.got()), ([481], []))


class SemiAttended(TransferCase):
    """The referrer has called the target, which still rings."""

    def setUp(self) -> None:
        """A second call of the referrer, not answered."""
        super().setUp()
        self.second = self.invite(self.referrer)
        self.far2 = self.transferee.request("INVITE")
        self.transferee.answers(self.far2, 183, self.description(self.transferee), tag="carol")
        self.ringing = self.referrer.response(183)
        self.clear()

    def replacing(self) -> str:
        """A Refer-To that names the second call."""
        tags = self.ringing.toAddress.tag or "", self.second.fromAddress.tag or ""
        return f"<sip:carol@198.51.100.1?Replaces={Replaces(self.second.callID, *tags).escaped()}>"

    def test_answered(self) -> None:
        """The transferee waits for the target in the referrer's place, whose INVITE is over."""
        self.refer(self.replacing())
        self.assertEqual(self.referrer.channel.summary(), [202, "NOTIFY", 487])
        self.referrer.ackRefusal(487)
        self.assertEqual(self.transferee.got(), [])
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="carol")
        self.assertEqual(self.transferee.request("ACK").callID, self.far2.callID)
        self.assertEqual(
            self.notified(), [("active", "SIP/2.0 100 Trying"), ("terminated", "SIP/2.0 200 OK")]
        )
        self.assertIs(self.net.plane.legs[1].joined, self.net.plane.legs[3])
        self.assertEqual([leg.released for leg in self.net.plane.legs], [True, False, True, False])
        self.net.clock.advance(2)
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.transferee.back(self.far2, "BYE", 5, tag="carol")
        self.assertEqual(self.transferee.request("BYE").callID, self.far.callID)

    def test_held(self) -> None:
        """The referrer has called as if on hold: target and transferee are offered sound both ways."""
        self.referrer.cancel(self.second)
        self.transferee.answers(self.transferee.request("CANCEL"), 200)
        self.transferee.answers(self.far2, 487, tag="carol")
        held = self.description(self.referrer, "a=sendonly\r\n")
        self.second = self.referrer.invite(self.ours(self.referrer), held)
        self.far2 = self.transferee.request("INVITE")
        self.transferee.answers(self.far2, 180, tag="carol")
        self.ringing = self.referrer.response(180)
        self.refer(self.replacing())
        self.referrer.ackRefusal(487)
        self.clear()
        answer = self.description(self.transferee, "a=recvonly\r\n")
        self.transferee.answers(self.far2, 200, answer, tag="carol")
        invites = [each for each in self.transferee.channel.requests if each.method == "INVITE"]
        [toTarget] = [each for each in invites if each.callID == self.far2.callID]
        [toTransferee] = [each for each in invites if each.callID == self.far.callID]
        directions = [parseSDP(each.body).media[0].direction for each in (toTarget, toTransferee)]
        self.assertEqual(directions, ["sendrecv", "recvonly"])
        self.transferee.answers(toTarget, 200, self.description(self.transferee, version=2))
        answer = self.description(self.transferee, "a=sendonly\r\n", 2)
        self.transferee.answers(toTransferee, 200, answer)
        self.assertEqual(self.offered(), "sendrecv")

    def test_failed(self) -> None:
        """The target refuses: the referrer is told, its first call goes on."""
        self.refer(self.replacing())
        self.referrer.ackRefusal(487)
        self.transferee.answers(self.far2, 486, tag="carol")
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 486 Busy Here"))
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False, True, True])

    def test_called(self) -> None:
        """Whoever is called is not put in the caller's place: 481, and it rings on."""
        second = self.invite(self.transferee)
        ringing = self.referrer.request("INVITE")
        self.referrer.answers(ringing, 180, tag="phone")
        self.clear()
        names = Replaces(ringing.callID, ringing.fromAddress.tag or "", "phone")
        self.refer(f"<sip:phone@198.51.100.1?Replaces={names.escaped()}>")
        self.assertEqual((self.referrer.got(), self.transferee.got()), ([481], []))
        self.referrer.answers(ringing, 200, self.description(self.referrer), tag="phone")
        self.transferee.ack(second, self.transferee.response(200))

    def test_late(self) -> None:
        """An INVITE without offer cannot be taken over before its answer: 481."""
        self.referrer.cancel(self.second)
        self.transferee.answers(self.transferee.request("CANCEL"), 200)
        self.transferee.answers(self.far2, 487, tag="carol")
        self.second = self.referrer.invite(self.ours(self.referrer), b"")
        self.far2 = self.transferee.request("INVITE")
        self.transferee.answers(self.far2, 180, tag="carol")
        self.ringing = self.referrer.response(180)
        self.clear()
        self.refer(self.replacing())
        self.assertEqual(self.referrer.got(), [481])


class PickUp(TransferCase):
    """INVITE with Replaces for a call that rings at the side it comes from (RFC 3891 section 3)."""

    def setUp(self) -> None:
        """A call that rings at the transferee."""
        super().setUp()
        self.second = self.invite(self.referrer)
        self.far2 = self.transferee.request("INVITE")
        self.transferee.answers(self.far2, 180, tag="phone")
        self.clear()

    def replaces(self, more: str = "") -> list[tuple[str, str]]:
        """Names the dialog of the phone that rings, as we know it."""
        ours = self.far2.fromAddress.tag
        return [("Replaces", f"{self.far2.callID};to-tag={ours};from-tag=phone{more}")]

    def test_taken(self) -> None:
        """Another phone answers with an INVITE: 200 to both who asked, CANCEL to the one that rings."""
        for more in ("", ";early-only"):
            invite = self.invite(self.transferee, self.replaces(more))
            accepted = self.transferee.response(200)
            self.assertEqual(accepted.callID, invite.callID)
            self.assertTrue(accepted.body)
            self.transferee.ack(invite, accepted)
            cancel = self.transferee.request("CANCEL")
            self.assertEqual(cancel.header("Reason"), ELSEWHERE.value)
            self.transferee.answers(cancel, 200)
            self.transferee.answers(self.far2, 487, tag="phone")
            answer = self.referrer.response(200)
            self.assertTrue(answer.body)
            self.referrer.ack(self.second, answer)
            near, ringing, new = self.net.plane.legs[-3:]
            self.assertEqual((ringing.released, near.joined), (True, new))
            self.referrer.within(self.second, answer, "BYE", 2)
            self.assertEqual(self.transferee.request("BYE").callID, invite.callID)
            self.transferee.answers(self.transferee.request("BYE"), 200)
            self.second = self.invite(self.referrer)
            self.far2 = self.transferee.request("INVITE")
            self.transferee.answers(self.far2, 180, tag="phone")
            self.clear()

    def test_crossing(self) -> None:
        """The phone answers as it is cancelled: ACK and BYE to it, the call stays where it is."""
        invite = self.invite(self.transferee, self.replaces())
        self.transferee.ack(invite, self.transferee.response(200))
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="phone")
        self.assertEqual(self.transferee.request("BYE").callID, self.far2.callID)
        self.assertEqual(self.net.manager.callCount(), 2)

    def test_refused(self) -> None:
        """No codec in common, or no offer: 488; it rings on."""
        other = self.description(self.transferee).replace(b" 8 0 101", b" 18").replace(b" 8 101", b" 18")
        for body in (other, b""):
            self.transferee.invite(self.ours(self.transferee), body, self.replaces())
            self.assertEqual(self.transferee.got()[-1], 488)
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="phone")
        self.referrer.ack(self.second, self.referrer.response(200))

    def test_own(self) -> None:
        """A call that one's own INVITE asks for may not be taken over before its answer: 481."""
        self.transferee.answers(self.far2, 183, self.description(self.transferee), tag="phone")
        tag = self.referrer.response(183).toAddress.tag
        value = f"{self.second.callID};to-tag={tag};from-tag={self.second.fromAddress.tag}"
        self.invite(self.referrer, [("Replaces", value)])
        self.assertEqual(self.referrer.got()[-1], 481)


class Passed(TransferCase):
    """The other side carries it out."""

    def setUp(self) -> None:
        """The trunk passes transfers."""
        super().setUp()
        self.policy(PASS)

    def passed(self) -> Request:
        """The REFER that reached the transferee, which took it."""
        self.refer(self.target())
        refer = self.transferee.request("REFER")
        self.transferee.answers(refer, 202)
        self.assertEqual(self.referrer.got(), [202])
        self.transferee.got()
        return refer

    def notify(
        self, number: int, status: str, state: str = "active;expires=60", event: str = "refer"
    ) -> None:
        """The transferee tells how it goes."""
        headers = [("Event", event), ("Subscription-State", state), ("Content-Type", "message/sipfrag")]
        body = f"SIP/2.0 {status}\r\n".encode()
        self.transferee.twist = lambda message: message.withBody(body, "message/sipfrag").encode()
        self.transferee.back(self.far, "NOTIFY", number, headers=headers[:2])
        self.transferee.twist = None

    def test_crosses(self) -> None:
        """The number is written for the other side; REFER, its answer and every NOTIFY cross."""
        refer = self.passed()
        uri = (refer.header("Refer-To") or "").strip("<>")
        wanted = "sip:+4430@carrier.example" if self.byPBX else "sip:+4430@198.51.100.1:5060"
        self.assertEqual(uri, wanted)
        self.assertTrue(refer.contacts)
        self.assertNotIn("192.0.2.10" if self.byPBX else "203.0.113", refer.encode().decode())
        self.notify(1, "100 Trying")
        self.notify(2, "200 Splendid")
        self.assertEqual(self.transferee.got(), [200, 200])
        self.assertEqual(
            self.notified(), [("active", "SIP/2.0 100 Trying"), ("terminated", "SIP/2.0 200 OK")]
        )
        self.notify(3, "200 OK")
        self.assertEqual(self.transferee.got(), [481], "the subscription has ended")
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_refused(self) -> None:
        """A refusal crosses as any other does."""
        self.refer(self.target())
        self.transferee.answers(self.transferee.request("REFER"), 603)
        self.assertEqual(self.referrer.got(), [603])
        self.notify(1, "200 OK")
        self.assertEqual(self.transferee.got()[-1], 481)

    def test_silence(self) -> None:
        """A transferee that says nothing for 64*T1, when the referrer's transaction ends too."""
        self.refer(self.target())
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.referrer.got(), [504])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_rfc4320_4_2(self) -> None:
        """408 is no answer to a REFER, also where it is the other side's."""
        self.refer(self.target())
        self.transferee.answers(self.transferee.request("REFER"), 408)
        self.assertEqual(self.referrer.got(), [504])

    def test_afterTheBye(self) -> None:
        """The dialog lives on for the NOTIFYs after both have hung up (RFC 5057 section 4)."""
        self.passed()
        self.number += 1
        self.referrer.within(self.near, self.accepted, "BYE", self.number)
        self.transferee.answers(self.transferee.request("BYE"), 200)
        self.referrer.got()
        self.assertEqual(self.net.manager.callCount(), 0)
        self.notify(1, "200 OK", "terminated;reason=noresource")
        self.assertEqual(self.transferee.got()[-1], 200)
        self.assertEqual(self.notified(), [("terminated", "SIP/2.0 200 OK")])
        self.assertEqual(self.net.manager.dialogCount, 0)

    def test_neverTold(self) -> None:
        """A subscription that nobody ends is forgotten after its time."""
        self.passed()
        self.number += 1
        self.referrer.within(self.near, self.accepted, "BYE", self.number)
        self.transferee.answers(self.transferee.request("BYE"), 200)
        self.assertEqual(self.net.manager.dialogCount, 1)
        self.referrer.got()
        self.net.clock.advance(240)
        self.assertEqual(self.net.manager.dialogCount, 0)
        self.assertEqual(self.notified(), [("terminated", "SIP/2.0 408 Request Timeout")])

    def test_tooMany(self) -> None:
        """As many as one call may have are open: 491, until one ends, by NOTIFY, refusal or time."""
        for count in range(MOST_REFERS):
            self.refer(self.target())
            self.transferee.answers(self.transferee.request("REFER"), 202)
            self.assertEqual((self.referrer.got(), count), ([202], count))
            self.clear()
        for ends in (lambda: self.notify(1, "486 Busy Here"), lambda: self.net.clock.advance(240)):
            self.refer(self.target())
            self.assertEqual((self.referrer.got()[-1], self.transferee.got()), (491, []))
            ends()
            self.clear()
            self.refer(self.target())
            last = self.transferee.request("REFER")
            self.transferee.answers(last, 202)
            self.assertEqual(self.referrer.got()[-1], 202)
            self.clear()
        self.assertEqual(self.transferee.side.refers, 1)
        self.refer(self.target())
        self.transferee.answers(self.transferee.request("REFER"), 603)
        self.assertEqual(self.transferee.side.refers, 1)

    def test_tooManyOfTheSide(self) -> None:
        """As many as the other side may have, over all calls: 480 with Retry-After, until one has ended."""
        self.transferee.side.refers = MOST_OF_SIDE - 1
        self.passed()
        self.refer(self.target())
        refusal = self.referrer.response(480)
        self.assertEqual(refusal.header("Retry-After"), str(RETRY_SECONDS))
        self.assertEqual(self.transferee.got(), [])
        self.notify(1, "200 OK")
        self.clear()
        self.passed()
        self.transferee.side.refers = 1

    def test_lateAnswer(self) -> None:
        """The outcome is told before the REFER is answered, which then is refused: counted once."""
        self.refer(self.target())
        refer = self.transferee.request("REFER")
        self.notify(1, "200 OK")
        self.transferee.answers(refer, 603)
        self.assertEqual(self.transferee.side.refers, 0)
        self.assertEqual(self.notified()[0], ("terminated", "SIP/2.0 200 OK"))

    def test_endsWithoutAnOutcome(self) -> None:
        """Terminated without a final status: 487 for the referrer; an unreadable one counts as progress."""
        self.passed()
        self.notify(1, "nonsense")
        self.notify(2, "nonsense", "terminated;reason=timeout", "refer")
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 487 Request Terminated"))

    def test_anotherId(self) -> None:
        """An id that we did not give: 481."""
        refer = self.passed()
        self.notify(1, "200 OK", event=f"refer;id={refer.cseq.number + 7}")
        self.assertEqual(self.transferee.got(), [481])
        self.notify(2, "200 OK", event=f"refer;id={refer.cseq.number}")
        self.assertEqual(self.transferee.got(), [200])


class Replaced(TransferCase):
    """INVITE with Replaces (RFC 3891), from the side of the leg that is replaced."""

    def replaces(self, more: str = "", callID: str | None = None) -> list[tuple[str, str]]:
        """Names the referrer's dialog, as we know it."""
        tags = f"to-tag={self.accepted.toAddress.tag};from-tag={self.near.fromAddress.tag}{more}"
        return [("Replaces", f"{callID or self.near.callID};{tags}"), ("Require", "replaces")]

    def test_taken(self) -> None:
        """For the other side it is a re-INVITE; then the new leg has the place of the old, which gets BYE."""
        invite = self.invite(self.referrer, self.replaces())
        again = self.transferee.request("INVITE")
        self.assertEqual(again.callID, self.far.callID)
        self.assertNotIn("BYE", self.referrer.channel.summary())
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        self.assertEqual(self.transferee.got()[-1], "ACK")
        accepted = self.referrer.response(200)
        self.assertEqual(accepted.callID, invite.callID)
        bye = self.referrer.request("BYE")
        self.assertEqual(bye.callID, self.near.callID)
        self.referrer.answers(bye, 200)
        self.referrer.ack(invite, accepted)
        self.assertIs(self.net.plane.legs[2].joined, self.net.plane.legs[1])
        self.assertTrue(self.net.plane.legs[0].released)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual(self.net.observer.ended, [])
        self.referrer.within(invite, accepted, "BYE", 2)
        self.assertEqual(self.transferee.request("BYE").callID, self.far.callID)
        self.assertEqual(self.net.observer.ended[0].by, "caller")

    def test_late(self) -> None:
        """Without an offer: the other side makes it, and the ACK answers."""
        uri = self.ours(self.referrer)
        invite = self.referrer.invite(uri, b"", self.replaces())
        again = self.transferee.request("INVITE")
        self.assertEqual(again.body, b"")
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        accepted = self.referrer.response(200)
        self.assertTrue(accepted.body)
        self.referrer.ack(invite, accepted, self.description(self.referrer))
        self.assertTrue(self.transferee.request("ACK").body)
        self.referrer.answers(self.referrer.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_refusedByTheOther(self) -> None:
        """The other side refuses the re-INVITE: so is the INVITE, and the call is as it was."""
        self.invite(self.referrer, self.replaces())
        self.transferee.answers(self.transferee.request("INVITE"), 488)
        self.assertEqual(self.referrer.got()[-1], 488)
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False, True])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_cancelled(self) -> None:
        """Taken back in the middle: 487, the call is as it was."""
        invite = self.invite(self.referrer, self.replaces())
        again = self.transferee.request("INVITE")
        self.transferee.answers(again, 180)
        self.referrer.cancel(invite)
        self.assertEqual(self.referrer.got()[-2:], [200, 487])
        self.transferee.answers(self.transferee.request("CANCEL"), 200)
        self.transferee.answers(again, 487)
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False, True])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_callEnds(self) -> None:
        """The other side hangs up in the middle: both of the referrer's legs end."""
        self.invite(self.referrer, self.replaces())
        self.transferee.back(self.far, "BYE", 1)
        got = self.referrer.got()
        self.assertIn("BYE", got)
        self.assertIn(487, got)

    def test_refused(self) -> None:
        """None such: 481; answered, and only to be replaced before: 486; malformed or two of them: 400."""
        for headers, status in (
            (self.replaces(callID="another"), 481),
            (self.replaces(";early-only"), 486),
            ([("Replaces", "x;to-tag=1")], 400),
            ([("Replaces", "x;to-tag=1;from-tag=2"), ("Replaces", "y;to-tag=1;from-tag=2")], 400),
        ):
            self.invite(self.referrer, headers)
            self.assertEqual((self.referrer.got()[-1], self.transferee.got()), (status, []), str(headers))
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_transferredMeanwhile(self) -> None:
        """The call is being transferred: 491, and the transfer goes on."""
        self.refer(self.target())
        target = self.called.request("INVITE")
        self.clear()
        self.invite(self.referrer, self.replaces())
        self.assertEqual(self.referrer.got(), [100, 491])
        self.called.answers(target, 200, self.description(self.called), tag="target")
        self.assertIs(self.net.plane.legs[1].joined, self.net.plane.legs[2])

    def test_unusableAnswer(self) -> None:
        """What the other side answers cannot be taken: 488, and that is the end of the call."""
        invite = self.invite(self.referrer, self.replaces())
        self.transferee.answers(self.transferee.request("INVITE"), 200, b"no description at all")
        refusal = self.referrer.response(488)
        self.assertEqual(refusal.callID, invite.callID)
        self.assertIn("BYE", self.referrer.got())
        self.assertEqual([leg.released for leg in self.net.plane.legs], [True] * 3)

    def test_lateNeverAcknowledged(self) -> None:
        """The new leg, without an offer, sends no ACK: the call ends, and each leg is counted once."""
        self.referrer.invite(self.ours(self.referrer), b"", self.replaces())
        again = self.transferee.request("INVITE")
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        self.net.clock.pump([0.5] * 64)
        names = [each.name for each in self.net.observer.media[-1]]
        self.assertEqual(len(names), 3)
        self.assertEqual(self.net.observer.ended[-1].cause, "the answer was never acknowledged")

    def test_otherSide(self) -> None:
        """Who is not part of the dialog does not take it over, even if it knows its names: 481."""
        self.invite(self.transferee, self.replaces())
        self.assertEqual(self.transferee.got()[-1], 481)

    def test_busy(self) -> None:
        """Something is on its way across: 491."""
        self.number += 1
        hold = self.description(self.referrer, "a=sendonly\r\n", 2)
        self.referrer.within(self.near, self.accepted, "INVITE", self.number, hold)
        self.invite(self.referrer, self.replaces())
        self.assertEqual(self.referrer.got()[-1], 491)

    def test_ports(self) -> None:
        """No media port for it: 503, the call goes on."""
        self.net.plane.left = 0
        self.invite(self.referrer, self.replaces())
        self.assertEqual(self.referrer.got()[-1], 503)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_emergency(self) -> None:
        """An emergency call with Replaces is an emergency call."""
        if self.byPBX:
            self.referrer.invite("sip:112@198.51.100.1", self.description(self.referrer), self.replaces())
            self.assertEqual(self.referrer.got()[-1], 503)
            self.assertEqual(self.net.manager.emergencies, 1)


class ByCarrierRefused(Refused):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierBlind(Blind):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierOwnWorld(OwnWorld):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierAttended(Attended):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierSemiAttended(SemiAttended):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierPickUp(PickUp):
    """The same where the PBX picks up."""

    byPBX = False


class ByCarrierPassed(Passed):
    """The same where the carrier refers."""

    byPBX = False


class ByCarrierReplaced(Replaced):
    """The same where the carrier's leg is replaced."""

    byPBX = False


class TCPBlind(Blind):
    """The same with the PBX on TCP."""

    transport = "tcp"
