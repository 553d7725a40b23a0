"""
Races around the first INVITE and the end of a call.  Each is played on both legs: the caller's and the
callee's side are the PBX's (UDP and TCP) and the carrier's (TLS) in turn.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from skypetrunk.errors import ChannelFailed, NoTarget
from skypetrunk.wire.message import Response
from tests.core.races import BOUND, Race

RESENT = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
"""When a 2xx leaves that nobody acknowledges (RFC 3261 section 13.3.1.4): seconds after the first."""


class SetupRaces(Race):
    """Between INVITE and ACK."""

    def test_100AtOnce(self) -> None:
        """100 leaves before anything that may wait: the policy, then the way to the callee."""
        admitted: Deferred[None] = Deferred()
        self.net.policy.result = lambda request: admitted
        self.callee.finder.waiting = []
        self.invite()
        self.assertEqual(self.caller.got(), [100])
        admitted.callback(None)
        self.assertEqual(self.callee.got(), [])
        self.callee.finder.waiting[0].callback(self.callee.channel)
        self.assertEqual(self.callee.got(), ["INVITE"])
        self.assertEqual(self.caller.got(), [])

    def test_2xxResentUntilAck(self) -> None:
        """A 2xx is sent again until its ACK arrives, over TCP and TLS too (section 13.3.1.4)."""
        near, far = self.call()
        self.caller.got()
        self.answer(far)
        self.net.clock.pump([0.5] * 16)
        self.assertEqual(self.caller.channel.times(), [time for time in RESENT if time <= 8.0])
        copies = {message.encode() for message in self.caller.channel.messages}
        self.assertEqual(len(copies), 1)
        self.caller.ack(near, self.caller.response(200))
        self.caller.got()
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_2xxNeverAcknowledged(self) -> None:
        """Without ACK for 64*T1 both legs get a BYE (section 13.3.1.4)."""
        _, far = self.call()
        self.caller.got()
        self.answer(far)
        self.callee.got()
        self.net.clock.pump([0.5] * 63)
        self.assertEqual(self.caller.channel.times(), RESENT)
        self.net.clock.advance(0.5)
        self.assertEqual(self.caller.channel.summary(), [200] * len(RESENT) + ["BYE"])
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_each2xxTheSameAck(self) -> None:
        """Each retransmitted 2xx gets the same ACK (section 13.2.2.4)."""
        _, far = self.call()
        for _ in range(3):
            self.answer(far)
        acks = [request.encode() for request in self.callee.channel.requests if request.method == "ACK"]
        self.assertEqual(len(acks), 3)
        self.assertEqual(len(set(acks)), 1)

    def test_2xxAgainBeforeTheAckCanLeave(self) -> None:
        """While the way for the ACK is still looked up, a retransmitted 2xx makes no second one."""
        _, far = self.call()
        waiting = self.callee.finder.waiting = []
        self.answer(far)
        self.answer(far)
        self.assertNotIn("ACK", self.callee.got())
        waiting[0].callback(self.callee.channel)
        self.assertEqual((len(waiting), self.callee.got()), (1, ["ACK"]))

    def test_ackTakesTheWayOfTheInvite(self) -> None:
        """Where the callee's Contact cannot be reached, the ACK goes where the INVITE went."""
        _, far = self.call()
        self.callee.finder.down = True
        self.answer(far)
        self.assertEqual(self.callee.got()[-1], "ACK")

    def test_forked2xx(self) -> None:
        """A 2xx of a second fork: ACK then BYE in its own dialog; the call stays (section 13.2.2.4)."""
        near, far = self.call()
        self.answer(far)
        self.caller.ack(near, self.caller.response(200))
        self.callee.got()
        self.caller.got()
        for _ in range(2):
            self.callee.answers(far, 200, self.description(self.callee), tag="fork")
        ack, bye, *renewal, again = self.callee.channel.requests
        # Its SRTP key was known to both.
        self.assertEqual(len(renewal), int(self.callee is self.net.carrier))
        self.assertEqual([ack.method, bye.method, again.method], ["ACK", "BYE", "ACK"])
        self.assertEqual(again, ack)
        self.assertEqual([ack.toAddress.tag, bye.toAddress.tag], ["fork", "fork"])
        self.assertEqual(ack.cseq.number, far.cseq.number)
        self.assertEqual(bye.cseq.number, far.cseq.number + 1)
        self.callee.answers(bye, 200)
        self.assertEqual(self.caller.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_ringingBounded(self) -> None:
        """180 s after the INVITE the callee gets CANCEL and the caller 480."""
        _, far = self.call()
        self.callee.answers(far, 180)
        self.net.clock.advance(179.9)
        self.assertEqual(self.callee.got(), ["INVITE"])
        self.net.clock.advance(0.2)
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.assertEqual(self.caller.response(480).cseq.method, "INVITE")
        self.assertEqual(self.net.plane.open, 0)

    def test_policyBounded(self) -> None:
        """A policy that never says anything is no admission."""
        self.net.policy.result = lambda request: Deferred()
        self.invite()
        self.net.clock.advance(180)
        self.assertEqual(self.caller.response(480).cseq.method, "INVITE")
        self.assertEqual(self.callee.got(), [])

    def test_silence(self) -> None:
        """A callee that says nothing at all in 64*T1 (timer B) was never reached: 503."""
        self.call()
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.caller.channel.summary()[:2], [100, 503])

    def test_byeBeforeAnswer(self) -> None:
        """A BYE in the early dialog: 200, 487 for the INVITE (section 15.1.2), CANCEL for the callee."""
        near, far = self.call()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.caller.got()
        self.callee.got()
        self.caller.within(near, ringing, "BYE", 2)
        self.assertEqual(self.caller.got(), [200, 487])
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.assertEqual(self.net.observer.ended[0].status, 487)

    def test_secondINVITEBeforeAnswer(self) -> None:
        """An INVITE before the first was answered: 500 with Retry-After (section 14.2); the first goes on."""
        near, far = self.call()
        self.callee.answers(far, 180)
        self.caller.within(near, self.caller.response(180), "INVITE", 2, self.description(self.caller, 2))
        refusal = self.caller.response(500)
        self.assertIn(int(refusal.header("Retry-After") or -1), range(11))
        self.answer(far)
        self.assertEqual(self.caller.response(200).cseq.number, 1)

    def test_callerLostBeforeAnswer(self) -> None:
        """The caller's connection breaks while it rings: nobody waits any more, the callee gets CANCEL."""
        _, far = self.call()
        self.callee.answers(far, 180)
        self.callee.got()
        channel = self.caller.channel
        channel.failure = "lost"
        self.caller.side.transactions.channelLost(channel, ChannelFailed("lost"))
        self.assertEqual(self.callee.got(), ["CANCEL"])
        self.assertEqual(self.net.plane.open, 0)

    def test_calleeLostBeforeAnswer(self) -> None:
        """The callee's connection breaks while it rings: 503."""
        _, far = self.call()
        self.callee.answers(far, 180)
        self.callee.side.transactions.channelLost(self.callee.channel, ChannelFailed("lost"))
        self.assertEqual(self.caller.got()[-1], 503)

    def test_12_1_1_SIPS(self) -> None:
        """Who calls a SIPS URI over TLS, or has one in its Record-Route, gets a SIPS Contact."""
        secure = self.caller.channel.peer.transport == "TLS"
        user, host = ("account", "198.51.100.2:40000") if secure else ("+4420", "198.51.100.1")
        route = ("Record-Route", "<sips:edge.carrier.example;lr>")
        for scheme, headers, wanted in (("sips", [], True), ("sip", [route], True), ("sip", [], False)):
            uri = f"{scheme}:{user}@{host}"
            near = self.caller.invite(uri, self.description(self.caller), headers)
            self.answer(self.callee.request("INVITE"))
            accepted = self.caller.response(200)
            self.caller.ack(near, accepted)
            contact = str(accepted.contacts[0].uri)
            self.assertEqual(contact.startswith("sips:"), secure and wanted, contact)
            self.assertEqual("transport" in contact, secure and not wanted or "tcp" in contact, contact)

    def test_calleeLostUnheard(self) -> None:
        """
        The callee's connection was none any more, as after a loss of power, and the INVITE shows it: one more
        goes by the next connection, once, as a call of its own.
        """

        def lost() -> None:
            self.callee.side.transactions.channelLost(self.callee.channel, ChannelFailed("reset"))

        near, first = self.call()
        lost()
        second = self.callee.request("INVITE")
        self.assertNotEqual(first.callID, second.callID)
        self.assertNotEqual(first.topVia.branch, second.topVia.branch)
        self.callee.answers(second, 100)
        self.answer(second)
        self.caller.ack(near, self.caller.response(200))
        self.assertEqual((self.net.manager.callCount(), self.net.plane.open), (1, 2))
        self.caller.got()
        self.call()
        lost()
        self.callee.got()
        lost()
        self.assertEqual((self.callee.got(), self.caller.got()[-1]), ([], 503))
        self.assertEqual((self.net.manager.callCount(), self.net.plane.open), (1, 2))

    def test_calleeUnreachable(self) -> None:
        """The way to the callee fails, in any manner: 503."""
        for error in (NoTarget("nothing there"), ZeroDivisionError()):
            waiting = self.callee.finder.waiting = []
            self.invite()
            waiting[0].errback(Failure(error))
            self.assertEqual(self.caller.got(), [100, 503])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_finderRaises(self) -> None:
        """A finder that raises, where it should have returned a Deferred, leaves nothing behind either."""
        self.callee.finder.find = None  # type: ignore[assignment,method-assign]
        self.invite()
        self.assertEqual(self.caller.got(), [100, 503])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_policyRaises(self) -> None:
        """A policy that raises denies."""
        self.net.policy.result = None  # type: ignore[assignment]
        self.invite()
        self.assertEqual((self.caller.got(), self.callee.got()), ([100, 500], []))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class CancelRaces(Race):
    """CANCEL of the first INVITE."""

    def test_cancelHeldUntilProvisional(self) -> None:
        """The callee gets CANCEL after its first 1xx, not before (section 9.1); the caller does not wait."""
        near, far = self.call()
        self.caller.got()
        self.callee.got()
        self.caller.cancel(near)
        self.assertEqual(self.caller.got(), [200, 487])
        self.assertEqual(self.callee.got(), [])
        self.callee.answers(far, 180)
        cancel = self.callee.request("CANCEL")
        self.assertEqual(cancel.topVia.branch, far.topVia.branch)
        self.callee.answers(cancel, 200)
        self.callee.answers(far, 487)
        self.assertEqual(self.callee.got(), ["CANCEL", "ACK"])
        self.assertEqual(self.callee.side.calls, 0)
        self.assertEqual(self.net.observer.ended[0].cause, "cancelled")

    def test_cancelUnanswered(self) -> None:
        """64*T1 after CANCEL the leg is given up, whatever the callee says to it (section 9.1)."""
        near, far = self.call()
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        self.callee.answers(self.callee.request("CANCEL"), 200)
        self.net.clock.pump([0.5] * 63)
        self.assertEqual(self.callee.side.calls, 1)
        self.net.clock.advance(0.5)
        self.assertEqual(self.callee.side.calls, 0)
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_cancelNeverProvisional(self) -> None:
        """A callee that never says anything gets no CANCEL, and is given up by timer B."""
        near, _ = self.call()
        self.caller.cancel(near)
        self.net.clock.pump([0.5] * 64)
        self.assertNotIn("CANCEL", self.callee.got())
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_2xxInsteadOfProvisional(self) -> None:
        """CANCEL was held, and the first thing that comes is a 2xx: ACK, then BYE, no CANCEL."""
        near, far = self.call()
        self.caller.cancel(near)
        self.callee.got()
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])
        self.assertNotIn(200, [m.status for m in self.caller.channel.responses if m.cseq.method == "INVITE"])

    def test_2xxAfterCancel(self) -> None:
        """A 2xx that crosses the CANCEL: ACK, then BYE; the same ACK for each retransmission."""
        near, far = self.call()
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        self.callee.answers(self.callee.request("CANCEL"), 200)
        self.callee.got()
        self.answer(far)
        bye = self.callee.request("BYE")
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK", "BYE", "ACK"])
        self.callee.answers(bye, 200)
        self.assertEqual(self.net.manager.callCount(), 0)
        self.answer(far)
        self.assertEqual(self.callee.got(), ["ACK"])

    def test_2xxOfTwoForksAfterCancel(self) -> None:
        """Each fork that answered in spite of the CANCEL gets its ACK and BYE."""
        near, far = self.call()
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        self.callee.got()
        self.answer(far)
        self.callee.answers(far, 200, self.description(self.callee), tag="fork")
        sent = [(request.method, request.toAddress.tag) for request in self.callee.channel.requests]
        self.assertEqual(sent, [("ACK", "far"), ("BYE", "far"), ("ACK", "fork"), ("BYE", "fork")])

    def test_cancelAfterAnswer(self) -> None:
        """CANCEL after our 2xx changes nothing (section 9.2)."""
        near, far = self.call()
        self.answer(far)
        self.caller.got()
        self.caller.cancel(near)
        self.assertEqual(self.caller.response(200).cseq.method, "CANCEL")
        self.assertNotIn("BYE", self.callee.got())
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_cancelWhileTheWayIsLookedUp(self) -> None:
        """CANCEL before the way to the callee is known: nothing is ever sent there."""
        waiting = self.callee.finder.waiting = []
        near = self.invite()
        self.caller.cancel(near)
        self.assertEqual(self.caller.got(), [100, 200, 487])
        self.assertEqual(self.net.manager.callCount(), 0)
        waiting[0].callback(self.callee.channel)
        self.assertEqual(self.callee.got(), [])

    def test_cancelWhileThePolicyThinks(self) -> None:
        """CANCEL before the policy has decided: whatever it then says, nothing is sent."""
        for say in ("callback", "errback"):
            admitted: Deferred[None] = Deferred()
            self.net.policy.result = lambda request, admitted=admitted: admitted  # type: ignore[misc]
            near = self.invite()
            self.caller.cancel(near)
            self.assertEqual(self.caller.got(), [100, 200, 487])
            self.assertEqual(self.net.plane.open, 0)
            getattr(admitted, say)(None if say == "callback" else ZeroDivisionError())
            self.assertEqual((self.caller.got(), self.callee.got()), ([], []))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ChallengeRaces(Race):
    """Challenges of the carrier: on the trunk's leg only, as a PBX is given no password."""

    def challenge(self, nonce: str) -> list[tuple[str, str]]:
        """The header of a 407."""
        return [("Proxy-Authenticate", f'Digest realm="carrier.example", nonce="{nonce}", qop="auth"')]

    def test_cancelBetweenChallengeAndSecondINVITE(self) -> None:
        """The CANCEL that waited for a 1xx stops the second INVITE when a challenge comes instead."""
        for provisional in (False, True):
            near, far = self.call()
            if provisional:
                self.callee.answers(far, 100)
            self.caller.cancel(near)
            self.callee.got()
            self.callee.answers(far, 407, headers=self.challenge("n1"))
            self.assertEqual(self.callee.got(), ["ACK"])
            self.assertEqual(self.net.manager.callCount(), 0)

    def test_ackAndCancelRepeatCredentials(self) -> None:
        """ACK of a 2xx and CANCEL have the credentials of their INVITE (section 22.1)."""
        for cancelled in (False, True):
            near, far = self.call()
            self.callee.answers(far, 407, headers=self.challenge(f"n{cancelled}"))
            again = self.callee.request("INVITE")
            credentials = again.header("Proxy-Authorization")
            self.assertIsNotNone(credentials)
            self.callee.answers(again, 180)
            if cancelled:
                self.caller.cancel(near)
            else:
                self.answer(again)
            last = self.callee.request("CANCEL" if cancelled else "ACK")
            self.assertEqual(last.header("Proxy-Authorization"), credentials)
            self.assertEqual(last.cseq.number, again.cseq.number)

    def test_challengedCancel(self) -> None:
        """A carrier that challenges CANCEL (it may not) gets no second one; the bound ends the leg."""
        near, far = self.call()
        self.callee.answers(far, 180)
        self.caller.cancel(near)
        cancel = self.callee.request("CANCEL")
        self.callee.got()
        self.callee.answers(cancel, 407, headers=self.challenge("n1"))
        self.assertEqual(self.callee.got(), [])

    def test_cancelOfTheSecondINVITE(self) -> None:
        """A CANCEL that comes after the second INVITE waits for its own first 1xx."""
        near, far = self.call()
        self.callee.answers(far, 100)
        self.callee.answers(far, 407, headers=self.challenge("n1"))
        again = self.callee.request("INVITE")
        self.caller.cancel(near)
        self.assertNotIn("CANCEL", self.callee.got())
        self.callee.answers(again, 180)
        cancel = self.callee.request("CANCEL")
        self.assertEqual(cancel.topVia.branch, again.topVia.branch)
        self.assertEqual(cancel.cseq.number, again.cseq.number)


class EndRaces(Race):
    """BYE."""

    def test_byeWaitsForAck(self) -> None:
        """The callee hangs up before the caller has sent its ACK: BYE waits for it (section 15)."""
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.got()
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.callee.response(200).cseq.method, "BYE")
        self.net.clock.pump([0.5] * 4)
        self.assertEqual(self.caller.got(), [200, 200])
        self.caller.ack(near, accepted)
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_byeWaitsForTheBound(self) -> None:
        """The ACK that BYE waits for never comes: BYE after 64*T1 (section 15)."""
        _, far = self.call()
        self.answer(far)
        self.callee.back(far, "BYE", 1)
        self.caller.got()
        self.net.clock.pump([0.5] * 63)
        self.assertNotIn("BYE", self.caller.got())
        self.net.clock.advance(0.5)
        self.assertEqual(self.caller.got()[0], "BYE")

    def test_byeInsteadOfAck(self) -> None:
        """The caller's own BYE overtakes its ACK: 200, no BYE back, no more 2xx."""
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.got()
        self.callee.got()
        self.caller.within(near, accepted, "BYE", 2)
        self.caller.ack(near, accepted)
        self.assertEqual(self.caller.got(), [200])
        self.net.clock.pump([0.5] * 16)
        self.assertEqual(self.caller.got(), [])
        self.assertEqual(self.callee.got()[0], "BYE")

    def test_byeCrossingBye(self) -> None:
        """Both hang up at once: each BYE gets its 200, whatever becomes of ours."""
        near, accepted, far = self.established()
        self.caller.within(near, accepted, "BYE", 2)
        ours = self.callee.request("BYE")
        self.callee.got()
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.callee.got(), [200])
        self.assertEqual(self.net.manager.callCount(), 0)
        self.callee.answers(ours, 481)
        self.assertEqual(len(self.net.observer.ended), 1)
        self.assertEqual(self.net.observer.ended[0].by, "caller")

    def test_byeUnanswered(self) -> None:
        """A BYE that nobody answers ends with timer F."""
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "BYE", 2)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.net.clock.pump([0.5] * 64)
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_byeCannotLeave(self) -> None:
        """A BYE that has no way, in any manner, ends the leg at once."""
        for error in (NoTarget("nothing there"), ZeroDivisionError()):
            near, accepted, _ = self.established()
            waiting = self.callee.finder.waiting = []
            self.caller.within(near, accepted, "BYE", 2)
            waiting[0].errback(Failure(error))
            self.callee.finder.waiting = None
            self.assertEqual(self.net.manager.callCount(), 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_connectionsLostMidCall(self) -> None:
        """Connections break while a call stands: it goes on, and its BYE takes the next one."""
        near, accepted, _ = self.established()
        for neighbour in (self.caller, self.callee):
            neighbour.side.transactions.channelLost(neighbour.channel, ChannelFailed("lost"))
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual((self.caller.got(), self.callee.got()), ([], []))
        self.caller.within(near, accepted, "BYE", 2)
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], ["BYE"]))

    def test_connectionLostBeforeAck(self) -> None:
        """The caller's connection breaks before its ACK: BYE after 64*T1, by another connection."""
        _, far = self.call()
        self.answer(far)
        self.caller.side.transactions.channelLost(self.caller.channel, ChannelFailed("lost"))
        self.caller.got()
        self.net.clock.pump([0.5] * 65)
        self.assertEqual(self.caller.got()[0], "BYE")

    def test_byeOutOfOrder(self) -> None:
        """A BYE with a CSeq that is not new is 500 (section 12.2.2), and the call stays."""
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "BYE", 1)
        self.assertEqual(self.caller.got(), [500])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_byeOfAnotherDialog(self) -> None:
        """A BYE whose tags belong to no dialog is 481, on either side."""
        near, accepted, far = self.established()
        stranger = Response(200, "OK", accepted.withHeader("To", "<sip:a@b.example>;tag=no").headers)
        self.caller.within(near, stranger, "BYE", 2)
        self.callee.back(far, "BYE", 1, tag="another")
        self.assertEqual((self.caller.got(), self.callee.got()), ([481], [481]))

    def test_drainWhileRinging(self) -> None:
        """Stopping ends what rings, what is looked up and what the policy thinks about."""
        self.call()
        self.callee.finder.waiting = []
        self.invite()
        self.net.policy.result = lambda request: Deferred()
        self.invite()
        self.caller.got()
        self.net.manager.drain(5.0)
        self.assertEqual(self.caller.got(), [503, 503, 503])
        self.assertEqual(self.net.plane.open, 0)
        self.net.clock.pump([0.5] * int(2 * BOUND))
        self.assertEqual(self.net.manager.callCount(), 0)


class TCPSetupRaces(SetupRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TLSSetupRaces(SetupRaces):
    """The carrier calls a PBX over UDP."""

    outbound = False


class TLSToTCPSetupRaces(TLSSetupRaces):
    """The carrier calls a PBX over TCP."""

    transport = "tcp"


class TCPCancelRaces(CancelRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TLSCancelRaces(CancelRaces):
    """The carrier calls a PBX over UDP."""

    outbound = False


class TLSToTCPCancelRaces(TLSCancelRaces):
    """The carrier calls a PBX over TCP."""

    transport = "tcp"


class TCPChallengeRaces(ChallengeRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TCPEndRaces(EndRaces):
    """The PBX calls over TCP."""

    transport = "tcp"


class TLSEndRaces(EndRaces):
    """The carrier calls a PBX over UDP."""

    outbound = False


class TLSToTCPEndRaces(TLSEndRaces):
    """The carrier calls a PBX over TCP."""

    transport = "tcp"
