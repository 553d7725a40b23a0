"""
Tests of L{skypetrunk.core.client_transaction} and its machines: RFC 3261 section 17.1 and RFC 6026.
"""

from __future__ import annotations

import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IClientTransaction
from skypetrunk.testing import RecordingChannel, RecordingClientUser, RecordingTransactionUser, countingToken
from skypetrunk.wire.message import Request
from tests.core.messages import MACHINES, answer, outgoing, undecided

UDP, TLS = "udp:192.0.2.1:5060", "tls:192.0.2.1:5061"


class ClientTests(SynchronousTestCase):
    """What both kinds of client transactions need."""

    def begin(self, peer: str = UDP, request: Request | None = None) -> None:
        """Send C{request}, by default an INVITE."""
        self.clock = Clock()
        self.layer = Transactions(self.clock, RecordingTransactionUser(), countingToken())
        self.channel = RecordingChannel(self.clock, peer)
        self.user = RecordingClientUser()
        self.transaction = self.layer.sendRequest(request or outgoing(), self.channel, self.user)

    def answered(self, status: int, tag: str = "theirs") -> None:
        """The peer answers with C{status}."""
        self.layer.messageReceived(answer(self.transaction.request, status, tag), self.channel)

    def assertOver(self) -> None:
        """Nothing is left: no transaction, no timer."""
        self.assertEqual(self.layer.pending, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MachineTests(SynchronousTestCase):
    """The tables."""

    def test_every_input_is_decided_in_every_state(self) -> None:
        """No machine can raise C{NoTransition}."""
        self.assertEqual(
            {name: undecided(start) for name, start in MACHINES.items()}, {name: [] for name in MACHINES}
        )


class InviteTests(ClientTests):
    """INVITE client transactions."""

    def test_interface(self) -> None:
        """L{IClientTransaction} is provided."""
        self.begin()
        self.assertTrue(verifyObject(IClientTransaction, self.transaction))

    def test_8_1_1_7_via(self) -> None:
        """The Via has our address, the magic branch and rport (RFC 3581 section 3)."""
        self.begin()
        self.assertEqual(
            self.transaction.request.header("Via"), "SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKt1"
        )
        self.assertEqual(self.channel.requests[0].headers[0].name, "Via")

    def test_17_1_1_2_provisional_stops_retransmission(self) -> None:
        """In Proceeding nothing is sent and nothing ends by itself; each 1xx is the user's."""
        self.begin()
        self.answered(100)
        self.answered(180)
        self.answered(183)
        self.clock.advance(1000)
        self.assertEqual(self.channel.summary(), ["INVITE"])
        self.assertEqual(self.user.events, [("response", 100), ("response", 180), ("response", 183)])
        self.assertEqual(self.layer.pending, 1)

    def test_17_1_1_3_ack(self) -> None:
        """The ACK of a non-2xx: Via, Route, From, Call-ID and CSeq of the INVITE, To of the answer."""
        invite = outgoing(Route="<sip:edge.example;lr>, <sip:core.example;lr>", Authorization="Digest x=y")
        self.begin(request=invite.withHeader("Content-Type", "application/sdp"))
        self.answered(486)
        ack = self.channel.requests[1]
        self.assertEqual(
            (ack.startLine(), [(header.name, header.value) for header in ack.headers], ack.body),
            (
                "ACK sip:2000@carrier.example SIP/2.0",
                [
                    ("Via", "SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKt1"),
                    ("Max-Forwards", "70"),
                    ("Route", "<sip:edge.example;lr>"),
                    ("Route", "<sip:core.example;lr>"),
                    ("From", "<sip:1000@carrier.example>;tag=ours"),
                    ("To", "<sip:2000@carrier.example>;tag=theirs"),
                    ("Call-ID", "call-1@198.51.100.1"),
                    ("CSeq", "7 ACK"),
                    ("Authorization", "Digest x=y"),
                    ("Content-Length", "0"),
                ],
                b"",
            ),
        )

    def test_17_1_1_2_timer_d(self) -> None:
        """Each retransmitted non-2xx gets its ACK, and is not told again, until timer D."""
        self.begin()
        self.answered(180)
        self.answered(503)
        self.answered(503)
        self.clock.advance(31.9)
        self.answered(503)
        self.answered(180)
        self.answered(200)
        self.assertEqual(self.channel.summary(), ["INVITE", "ACK", "ACK", "ACK"])
        self.assertEqual(self.user.events, [("response", 180), ("response", 503)])
        self.clock.advance(0.1)
        self.assertOver()
        self.answered(503)
        self.assertEqual((self.layer.dropped, len(self.channel.sent)), (1, 4))

    def test_17_1_1_2_timer_d_reliable(self) -> None:
        """Over TLS a non-2xx ends the transaction at once, after its ACK."""
        self.begin(TLS)
        self.answered(486)
        self.assertEqual(self.channel.summary(), ["INVITE", "ACK"])
        self.assertEqual(self.user.events, [("response", 486)])
        self.assertOver()

    def test_rfc6026_8_4_timer_m(self) -> None:
        """Every 2xx, retransmitted or forked, is the user's for 64*T1, over TLS too; no ACK is sent here."""
        for peer in (UDP, TLS):
            self.begin(peer)
            self.answered(200, "one")
            self.answered(200, "one")
            self.answered(180, "two")
            self.answered(486, "three")
            self.clock.advance(31)
            self.answered(200, "two")
            self.assertEqual([r.toAddress.tag for r in self.user.responses], ["one", "one", "two"])
            self.assertEqual(self.user.events, [("response", 200)] * 3)
            self.assertEqual(self.channel.summary(), ["INVITE"])
            self.clock.advance(1)
            self.assertOver()

    def test_9_1_cancel_held_until_provisional(self) -> None:
        """No CANCEL before the first 1xx; the INVITE is retransmitted meanwhile."""
        self.begin()
        self.transaction.cancel([("Authorization", "Digest x=y")])
        self.clock.advance(0.5)
        self.assertEqual(self.channel.summary(), ["INVITE", "INVITE"])
        self.answered(100)
        self.assertEqual(self.channel.summary(), ["INVITE", "INVITE", "CANCEL"])
        self.assertEqual(self.user.events, [("response", 100)])

    def test_9_1_cancel(self) -> None:
        """The CANCEL has what section 9.1 wants of its INVITE, and the headers that are given."""
        self.begin(request=outgoing(Route="<sip:edge.example;lr>", Authorization="Digest old"))
        self.answered(180)
        self.transaction.cancel([("Authorization", "Digest x=y"), ("Reason", "SIP;cause=200")])
        cancel = self.channel.requests[1]
        self.assertEqual(
            (cancel.startLine(), [(header.name, header.value) for header in cancel.headers]),
            (
                "CANCEL sip:2000@carrier.example SIP/2.0",
                [
                    ("Via", "SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKt1"),
                    ("Max-Forwards", "70"),
                    ("Route", "<sip:edge.example;lr>"),
                    ("From", "<sip:1000@carrier.example>;tag=ours"),
                    ("To", "<sip:2000@carrier.example>"),
                    ("Call-ID", "call-1@198.51.100.1"),
                    ("CSeq", "7 CANCEL"),
                    ("Authorization", "Digest x=y"),
                    ("Reason", "SIP;cause=200"),
                    ("Content-Length", "0"),
                ],
            ),
        )

    def test_9_1_cancel_twice(self) -> None:
        """A second cancel changes nothing, held or sent."""
        self.begin(TLS)
        self.transaction.cancel()
        self.transaction.cancel()
        self.answered(100)
        self.transaction.cancel()
        self.assertEqual(self.channel.summary(), ["INVITE", "CANCEL"])

    def test_9_1_cancel_then_487(self) -> None:
        """The answers to CANCEL stay here; the 487 gets its ACK and is the user's."""
        self.begin(TLS)
        self.answered(180)
        self.transaction.cancel()
        self.layer.messageReceived(answer(self.channel.requests[1], 200), self.channel)
        self.answered(487)
        self.assertEqual(self.channel.summary(), ["INVITE", "CANCEL", "ACK"])
        self.assertEqual(self.user.events, [("response", 180), ("response", 487)])
        self.assertOver()

    def test_9_1_cancel_retransmitted(self) -> None:
        """Over UDP the CANCEL is a transaction of its own."""
        self.begin()
        self.answered(180)
        self.transaction.cancel()
        self.clock.advance(0.5)
        self.assertEqual(self.channel.summary(), ["INVITE", "CANCEL", "CANCEL"])
        self.answered(180)
        self.assertEqual(self.user.events, [("response", 180), ("response", 180)])

    def test_9_1_bound_after_cancel(self) -> None:
        """Without a final response 64*T1 after the CANCEL the transaction gives up."""
        self.begin(TLS)
        self.answered(180)
        self.clock.advance(100)
        self.transaction.cancel()
        self.layer.messageReceived(answer(self.channel.requests[1], 481), self.channel)
        self.clock.advance(31.9)
        self.assertEqual(self.user.events, [("response", 180)])
        self.clock.advance(0.1)
        self.assertEqual(self.user.events, [("response", 180), ("timed out",)])
        self.assertOver()

    def test_9_1_2xx_crosses_cancel(self) -> None:
        """A 2xx after the CANCEL is the user's: it has to send ACK and BYE."""
        self.begin(TLS)
        self.answered(180)
        self.transaction.cancel()
        self.answered(200)
        self.assertEqual(self.user.events, [("response", 180), ("response", 200)])

    def test_9_1_2xx_before_held_cancel(self) -> None:
        """A 2xx as the first response: the CANCEL that was held is never sent."""
        self.begin(TLS)
        self.transaction.cancel()
        self.answered(200)
        self.answered(180)
        self.assertEqual(self.channel.summary(), ["INVITE"])
        self.assertEqual(self.user.events, [("response", 200)])

    def test_cancel_after_end(self) -> None:
        """Too late a cancel does nothing."""
        for status in (200, 486):
            self.begin()
            self.answered(status)
            self.transaction.cancel()
            self.clock.advance(32)
            self.transaction.cancel()
            self.assertNotIn("CANCEL", self.channel.summary())
            self.assertOver()

    def test_cancel_from_the_user(self) -> None:
        """The user may cancel while it is told of a response."""
        self.begin(TLS)
        self.user.onResponse = lambda response, transaction: transaction.cancel()
        self.answered(180)
        self.assertEqual(self.channel.summary(), ["INVITE", "CANCEL"])


class OtherTests(ClientTests):
    """Client transactions of other methods."""

    def test_17_1_2_2_timer_k(self) -> None:
        """Retransmitted answers are absorbed for T4."""
        self.begin(request=outgoing("BYE"))
        self.answered(200)
        self.answered(200)
        self.answered(500)
        self.clock.advance(4.9)
        self.assertEqual(self.layer.pending, 1)
        self.clock.advance(0.1)
        self.assertOver()
        self.assertEqual((self.user.events, self.channel.summary()), ([("response", 200)], ["BYE"]))

    def test_17_1_2_2_timer_k_reliable(self) -> None:
        """Over TLS the answer ends it."""
        self.begin(TLS, outgoing("BYE"))
        self.answered(100)
        self.answered(481)
        self.assertOver()
        self.assertEqual(self.user.events, [("response", 100), ("response", 481)])

    def test_9_1_cannot_be_cancelled(self) -> None:
        """Only an INVITE can be cancelled."""
        self.begin(request=outgoing("BYE"))
        self.transaction.cancel()
        self.answered(100)
        self.transaction.cancel()
        self.assertEqual(self.channel.summary(), ["BYE"])


class FailureTests(ClientTests):
    """Channels that break and users that raise."""

    def test_fails_at_once(self) -> None:
        """A channel that cannot send is reported after C{sendRequest} has returned."""
        for method in ("INVITE", "OPTIONS"):
            clock, user = Clock(), RecordingClientUser()
            layer = Transactions(clock, RecordingTransactionUser(), countingToken())
            channel = RecordingChannel(clock, TLS)
            channel.failure = "no way"
            layer.sendRequest(outgoing(method), channel, user)
            self.assertEqual(user.events, [])
            clock.advance(0)
            self.assertEqual(user.events, [("failed", "no way")])
            self.assertEqual((layer.pending, clock.getDelayedCalls()), (0, []))

    def test_fails_when_resending(self) -> None:
        """The same for a retransmission."""
        self.begin()
        self.channel.failure = "no way"
        self.clock.advance(0.5)
        self.clock.advance(0)
        self.assertEqual(self.user.events, [("failed", "no way")])
        self.assertOver()

    def test_answer_after_failed_send(self) -> None:
        """A failure that was noted is forgotten when a final answer ends the transaction first."""
        self.begin(TLS, outgoing("OPTIONS"))
        self.channel.failure = "no way"
        second = self.layer.sendRequest(outgoing("OPTIONS"), self.channel, self.user)
        self.answered(200)
        self.layer.messageReceived(answer(second.request, 200), self.channel)
        self.clock.advance(0)
        self.assertEqual(self.user.events, [("response", 200)] * 2)
        self.assertOver()

    def test_17_1_4_channel_lost(self) -> None:
        """A lost channel fails what waits for an answer, and nothing else."""
        self.begin(TLS)
        other = RecordingClientUser()
        self.layer.sendRequest(outgoing(), RecordingChannel(self.clock, TLS), other)
        done = RecordingClientUser()
        accepted = self.layer.sendRequest(outgoing(), self.channel, done)
        self.layer.messageReceived(answer(accepted.request, 200), self.channel)
        self.layer.channelLost(self.channel, ChannelFailed("reset by peer"))
        self.assertEqual(self.user.events, [("failed", "reset by peer")])
        self.assertEqual(done.events, [("response", 200)])
        self.assertEqual((other.events, self.layer.pending), ([], 2))

    def test_accepted_outlives_its_channel(self) -> None:
        """A 2xx whose ACK was lost with the connection comes again over another one."""
        self.begin(TLS)
        self.answered(200)
        self.layer.channelLost(self.channel, ChannelFailed("gone"))
        another = RecordingChannel(self.clock, TLS)
        self.layer.messageReceived(answer(self.transaction.request, 200), another)
        self.assertEqual(self.user.events, [("response", 200)] * 2)
        self.clock.advance(32)
        self.assertOver()

    def test_channel_lost_in_each_state(self) -> None:
        """Exactly one of time-out, failure and final response is told."""
        for statuses, cancelled, told in (
            ([], False, True),
            ([], True, True),
            ([180], False, True),
            ([180], True, True),
            ([200], False, False),
            ([486], False, False),
        ):
            self.begin()
            for status in statuses:
                self.answered(status)
            if cancelled:
                self.transaction.cancel()
            self.layer.channelLost(self.channel, ChannelFailed("gone"))
            self.assertEqual(("failed", "gone") in self.user.events, told, (statuses, cancelled))
            self.clock.advance(32 if 200 in statuses else 0)
            self.assertOver()

    def test_ack_fails(self) -> None:
        """An ACK that cannot leave changes nothing: the answer comes again."""
        self.begin()
        self.channel.failure = "full"
        self.answered(486)
        self.channel.failure = None
        self.answered(486)
        self.assertEqual(self.channel.summary(), ["INVITE", "ACK"])
        self.assertEqual(self.user.events, [("response", 486)])

    def test_user_raises(self) -> None:
        """What a user raises is logged and changes nothing."""

        def explode(*ignored: object) -> None:
            raise ZeroDivisionError

        self.begin()
        self.user.onResponse = explode
        self.answered(180)
        self.answered(486)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.channel.summary(), ["INVITE", "ACK"])
        for name, happen in (
            ("timedOut", lambda: self.clock.advance(32)),
            ("channelFailed", lambda: self.layer.channelLost(self.channel, ChannelFailed("gone"))),
        ):
            self.begin()
            self.patch(self.user, name, explode)
            happen()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertOver()

    def test_channel_bug(self) -> None:
        """An unexpected exception of a channel is logged, and is a failure like any other."""

        def explode(*ignored: object) -> None:
            raise ZeroDivisionError("bug")

        self.begin()
        self.channel.receiver = explode
        transaction = self.layer.sendRequest(outgoing("OPTIONS"), self.channel, self.user)
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.user.events, [("failed", "bug")])
        self.assertEqual(transaction.request.method, "OPTIONS")

    def test_stop(self) -> None:
        """Stopping cancels all timers in each state and tells nobody."""
        for method in ("INVITE", "OPTIONS"):
            for statuses in ([], [100], [200], [486]):
                self.begin(request=outgoing(method))
                for status in statuses:
                    self.answered(status)
                self.layer.stop()
                self.assertOver()
                self.assertEqual(self.user.events, [("response", status) for status in statuses])
        self.begin()
        self.answered(180)
        self.transaction.cancel()
        self.layer.stop()
        self.assertOver()

    def test_nothing_keeps_it(self) -> None:
        """A transaction that is over is freed at once, without the garbage collector."""
        for peer, method, status in ((TLS, "INVITE", 486), (TLS, "BYE", 200), (UDP, "INVITE", 200)):
            self.begin(peer, outgoing(method))
            reference = weakref.ref(self.transaction)
            self.answered(status)
            self.clock.advance(32)
            del self.transaction
            self.assertIsNone(reference())
