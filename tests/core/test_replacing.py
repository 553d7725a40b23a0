"""
Who takes a place in a call (RFC 3891) is asked what a new call is asked; the limits are in
L{tests.service.test_limits}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from skypetrunk.core.bridge_owner import RINGING_SECONDS
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.errors import CallRefused, ChannelFailed
from skypetrunk.interfaces import CallRequest
from skypetrunk.wire.message import Request
from skypetrunk.wire.sdp import parseSDP
from tests.core import test_transfer
from tests.core.callnet import sdp
from tests.core.races import BOUND


class Asked(test_transfer.TransferCase):
    """A policy that keeps what it is asked, and says what it is told."""

    def setUp(self) -> None:
        """It admits all, until the call stands."""
        super().setUp()
        self.asked: list[CallRequest] = []
        self.says: Deferred[None] | Exception | None = None
        self.net.policy.result = self.admit

    def waits(self) -> bool:
        """Is anything waited for as long as a policy may think?"""
        now = self.net.clock.seconds()
        return any(each.getTime() - now > BOUND for each in self.net.clock.getDelayedCalls())

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """See L{ICallPolicy.admit}."""
        self.asked.append(request)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class InviteCase(Asked):
    """The referrer's call is to be replaced."""

    def replaces(self) -> list[tuple[str, str]]:
        """Names the referrer's dialog, as we know it."""
        tags = f"to-tag={self.accepted.toAddress.tag};from-tag={self.near.fromAddress.tag}"
        return [("Replaces", f"{self.near.callID};{tags}"), ("Require", "replaces")]


class InviteTests(InviteCase):
    """INVITE with Replaces for a call that stands."""

    def taken(self, invite: Request) -> None:
        """The new leg has the place of the old one."""
        again = self.transferee.request("INVITE")
        self.transferee.answers(again, 200, self.description(self.transferee, version=2))
        self.referrer.ack(invite, self.referrer.response(200))
        self.assertIs(self.net.plane.legs[2].joined, self.net.plane.legs[1])
        self.assertEqual(self.net.manager.callCount(), 1)

    def unchanged(self) -> None:
        """The call is as it was, and nothing was taken for another one."""
        self.assertEqual(self.transferee.got(), [])
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_asked(self) -> None:
        """It is the call that it was, with another caller."""
        started = self.net.observer.events[0][1]
        assert isinstance(started, CallRequest)
        self.taken(self.invite(self.referrer, self.replaces()))
        [asked] = self.asked
        self.assertEqual((asked.call, asked.called, asked.source), (started.call, "+4420", "office"))
        self.assertEqual(asked.destinations, ("carrier",))
        self.assertEqual(asked.caller, "1001")

    def test_faxOffered(self) -> None:
        """It has no offer, and the other side's is T.38, which is refused: the call goes on as it was."""
        uri = self.ours(self.referrer)
        self.referrer.invite(uri, b"", self.replaces())
        again = self.transferee.request("INVITE")
        self.assertEqual(again.body, b"")
        self.transferee.answers(again, 200, sdp("m=image 4900 udptl t38\r\n", "203.0.113.9", 2))
        self.referrer.ackRefusal(488)
        [line] = parseSDP(self.transferee.request("ACK").body).media
        self.assertEqual((line.kind, line.port), ("image", 0))
        back = self.transferee.request("INVITE")
        self.assertEqual(parseSDP(back.body).media[0].kind, "audio")
        self.transferee.answers(back, 200, self.description(self.transferee, version=3))
        self.assertEqual([leg.released for leg in self.net.plane.legs], [False, False, True])
        self.assertIs(self.net.plane.legs[0].joined, self.net.plane.legs[1])
        self.assertEqual((self.net.manager.callCount(), self.net.observer.ended), (1, []))

    def test_refused(self) -> None:
        """The policy's status, with Reason and Retry-After; a policy that breaks has said no."""
        cases: list[tuple[Exception, int]] = [(CallRefused("no credit", 402, 21, 60), 402), (KeyError(), 500)]
        for self.says, status in cases:
            self.invite(self.referrer, self.replaces())
            refusal = self.referrer.response(status)
            self.unchanged()
            if status == 402:
                self.assertIn("Q.850;cause=21", refusal.header("Reason") or "")
                self.assertEqual(refusal.header("Retry-After"), "60")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_later(self) -> None:
        """The answer takes its time; one more who wants the place is told 491 meanwhile."""
        says = self.says = Deferred()
        invite = self.invite(self.referrer, self.replaces())
        self.assertEqual((self.referrer.got(), self.transferee.got()), ([100], []))
        self.invite(self.referrer, self.replaces())
        self.assertEqual(self.referrer.got(), [100, 491])
        says.callback(None)
        self.taken(invite)
        self.assertEqual(len(self.asked), 1)

    def test_cancelled(self) -> None:
        """Taken back while the policy thinks: 487, and what it says then is nobody's."""
        says = self.says = Deferred()
        invite = self.invite(self.referrer, self.replaces())
        self.referrer.cancel(invite)
        self.referrer.ackRefusal(487)
        self.assertEqual(self.referrer.got(), [100, 200, 487])
        self.assertFalse(self.waits())
        says.callback(None)
        self.unchanged()
        self.says = None
        self.taken(self.invite(self.referrer, self.replaces()))

    def test_callEnds(self) -> None:
        """The call ends while the policy thinks, whoever hangs up: 481, and what it says is nobody's."""
        for replaced in (False, True):
            says = self.says = Deferred()
            self.invite(self.referrer, self.replaces())
            self.clear()
            if replaced:
                self.referrer.within(self.near, self.accepted, "BYE", 2)
                self.assertEqual(self.referrer.got(), [200, 481])
                self.transferee.answers(self.transferee.request("BYE"), 200)
            else:
                self.transferee.back(self.far, "BYE", 1)
                self.assertEqual(self.referrer.channel.summary(), [481, "BYE"])
                self.referrer.answers(self.referrer.request("BYE"), 200)
            self.assertFalse(self.waits())
            self.clear()
            says.callback(None)
            self.assertEqual((self.referrer.got(), self.transferee.got()), ([], []))
            self.assertEqual((self.net.manager.callCount(), self.net.plane.open), (0, 0))
            self.tearDown()
            self.setUp()

    def test_endedByPolicy(self) -> None:
        """A policy that is asked hangs up instead of an answer: 481, once, and nothing is waited for."""

        def admit(request: CallRequest) -> Deferred[None]:
            self.net.manager.hangUp(request.call, "fraud")
            return Deferred()

        self.net.policy.result = admit
        self.invite(self.referrer, self.replaces())
        self.assertFalse(self.waits())
        self.assertEqual([each for each in self.referrer.got() if each != 100], [481, "BYE"])
        self.net.clock.advance(RINGING_SECONDS)
        self.assertNotIn(500, self.referrer.got())

    def test_silence(self) -> None:
        """A policy that never answers has said no, after as long as a call may ring."""
        says = self.says = Deferred()
        self.invite(self.referrer, self.replaces())
        self.clear()
        with capturedLogs() as events:
            self.net.clock.advance(RINGING_SECONDS)
        self.assertEqual(self.referrer.got(), [500])
        self.assertTrue(any("the call policy does not answer" in str(formatEvent(each)) for each in events))
        self.assertFalse(self.waits())
        self.unchanged()
        says.callback(None)
        self.unchanged()
        self.says = None
        self.taken(self.invite(self.referrer, self.replaces()))

    def test_stopped(self) -> None:
        """The process stops while the policy thinks: 503, and what it says then is nobody's."""
        says = self.says = Deferred()
        self.invite(self.referrer, self.replaces())
        self.clear()
        self.net.manager.drain(5.0)
        self.assertIn(503, self.referrer.got())
        self.assertFalse(self.waits())
        says.callback(None)
        self.assertNotIn("INVITE", self.transferee.got())


class ConnectionTests(InviteCase):
    """The same over TCP."""

    transport = "tcp"

    def test_lost(self) -> None:
        """The connection of the INVITE breaks while the policy thinks: it is forgotten, the call goes on."""
        says = self.says = Deferred()
        self.invite(self.referrer, self.replaces())
        self.referrer.side.transactions.channelLost(self.referrer.channel, ChannelFailed("reset"))
        self.clear()
        says.callback(None)
        self.assertEqual(self.transferee.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)


class PickUpTests(Asked, test_transfer.PickUp):
    """INVITE with Replaces for a call that rings, with a policy that is asked."""

    def test_asked(self) -> None:
        """It is the call that rings: its caller, its number, and the side that it went to."""
        self.invite(self.transferee, self.replaces())
        [asked] = self.asked
        self.assertEqual((asked.called, asked.source), ("+4420", "office"))
        self.assertEqual((asked.caller, asked.destinations), ("1001", ("carrier",)))

    def test_refusedByPolicy(self) -> None:
        """It rings on."""
        self.says = CallRefused("not this one")
        self.invite(self.transferee, self.replaces())
        self.assertEqual(self.transferee.got()[-1], 403)
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="phone")
        self.referrer.ack(self.second, self.referrer.response(200))

    def test_endsMeanwhile(self) -> None:
        """The phone that rings refuses the call while the policy thinks: 481 at once."""
        says = self.says = Deferred()
        self.invite(self.transferee, self.replaces())
        self.transferee.answers(self.far2, 486, tag="phone")
        self.referrer.ackOf(self.referrer.response(486))
        self.assertEqual(self.transferee.got()[-1], 481)
        self.assertFalse(self.waits())
        says.callback(None)
        self.assertEqual(self.transferee.got(), [])

    def test_answeredMeanwhile(self) -> None:
        """It was answered when the policy says yes, and may only be taken over before: 486."""
        says = self.says = Deferred()
        self.invite(self.transferee, self.replaces(";early-only"))
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="phone")
        self.referrer.ack(self.second, self.referrer.response(200))
        self.transferee.got()
        says.callback(None)
        self.assertEqual(self.transferee.got(), [486])


class MergedTests(Asked, test_transfer.Attended):
    """Two calls become one by REFER, with a policy that is asked."""

    def test_asked(self) -> None:
        """It is the second call, with the one who was transferred as its caller."""
        self.refer(self.replacing())
        [asked] = self.asked
        self.assertEqual((asked.called, asked.source, asked.destinations), ("+4420", "office", ("carrier",)))
        self.assertEqual(asked.caller, "+4420")

    def test_refusedByPolicy(self) -> None:
        """NOTIFY says so, and both calls go on."""
        self.says = CallRefused("not this one", 402)
        self.refer(self.replacing())
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 402 Payment Required"))
        self.assertEqual((self.net.manager.callCount(), self.transferee.got()), (2, []))

    def test_meanwhile(self) -> None:
        """One of the two calls has ended, or is changed, when the policy says yes: 481, at once, or 491."""
        for which, status in (("far", "481"), ("far2", "481"), ("", "491")):
            says = self.says = Deferred()
            self.refer(self.replacing())
            self.refer(self.replacing())
            self.assertIn(491, self.referrer.got())
            if which:
                self.transferee.back(getattr(self, which), "BYE", 1, tag="far" if which == "far" else "carol")
            else:
                hold = self.description(self.transferee, "a=sendonly\r\n", 2)
                self.transferee.back(self.far, "INVITE", 1, body=hold)
                says.callback(None)
            state, line = self.notified()[-1]
            self.assertEqual((state, line.split()[1]), ("terminated", status))
            if which:
                self.assertFalse(self.waits())
                says.callback(None)
                self.assertEqual(self.notified()[-1], (state, line))
            self.assertEqual(len(self.net.observer.ended), 1 if which else 0)
            self.net.settle()
            self.tearDown()
            self.setUp()


class RingingTests(Asked, test_transfer.SemiAttended):
    """The target still rings, with a policy that is asked."""

    def setUp(self) -> None:
        """Over a trunk that lets faxes pass."""
        self.patch(TrunkSide, "fax", True)
        super().setUp()

    def test_refusedByPolicy(self) -> None:
        """It rings on for the referrer."""
        self.says = CallRefused("not this one")
        self.refer(self.replacing())
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 403 Forbidden"))
        self.transferee.answers(self.far2, 200, self.description(self.transferee), tag="carol")
        self.referrer.ack(self.second, self.referrer.response(200))
        self.assertEqual(self.net.manager.callCount(), 2)

    def test_faxMeanwhile(self) -> None:
        """The call became a fax while the policy thought: 488, and it is one on."""
        says = self.says = Deferred()
        self.refer(self.replacing())
        fax = sdp("m=image 4900 udptl t38\r\n", version=2)
        asked = self.transferee.back(self.far, "INVITE", 1, body=fax)
        self.referrer.answers(self.referrer.request("INVITE"), 200, fax)
        self.transferee.ack(asked, self.transferee.response(200))
        self.transferee.got()
        says.callback(None)
        self.assertEqual(self.notified()[-1], ("terminated", "SIP/2.0 488 Not Acceptable Here"))
        self.assertEqual((self.net.manager.callCount(), self.transferee.got()), (2, []))
