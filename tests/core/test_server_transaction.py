"""
Tests of L{skypetrunk.core.server_transaction} and its machines: RFC 3261 section 17.2 and RFC 6026.
"""

from __future__ import annotations

import weakref
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.server_transaction import ServerTransaction, replyChannel
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.testing import RecordingChannel, RecordingTransactionUser, countingToken
from skypetrunk.wire.message import responseTo
from tests.core.messages import incoming

UDP, TLS = "udp:192.0.2.1:5060", "tls:192.0.2.1:5061"


class ServerTests(SynchronousTestCase):
    """What both kinds of server transactions need."""

    def begin(self, peer: str = UDP, method: str = "INVITE", patience: float = 0.0, **more: Any) -> None:
        """A request arrives."""
        self.clock = Clock()
        self.user = RecordingTransactionUser()
        self.layer = Transactions(self.clock, self.user, countingToken(), patience=patience)
        self.channel = RecordingChannel(self.clock, peer)
        self.request = incoming(method, **more)
        self.layer.messageReceived(self.request, self.channel)
        self.transaction = self.user.transactions[0]

    def respond(self, status: int) -> None:
        """The user answers."""
        self.transaction.respond(responseTo(self.transaction.request, status, toTag="ours"))

    def again(self, method: str | None = None, **more: Any) -> None:
        """A request of the same branch arrives: by default the same one again."""
        self.layer.messageReceived(incoming(method or self.request.method, **more), self.channel)

    def assertOver(self) -> None:
        """Nothing is left: no transaction, no timer, no memory of merged requests."""
        self.assertEqual((self.layer.pending, self.layer._origins), (0, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class InviteTests(ServerTests):
    """INVITE server transactions."""

    def test_interface(self) -> None:
        """L{IServerTransaction} is provided."""
        self.begin()
        self.assertTrue(verifyObject(IServerTransaction, self.transaction))

    def test_17_2_1_100_before_the_user(self) -> None:
        """100 has left when the user is told."""
        clock, seen = Clock(), []
        user = RecordingTransactionUser()
        channel = RecordingChannel(clock)
        user.onRequest = lambda transaction: seen.append(channel.summary())
        Transactions(clock, user, countingToken()).messageReceived(incoming(), channel)
        self.assertEqual(seen, [[100]])
        self.assertIsNone(channel.responses[0].toAddress.tag)

    def test_17_2_1_retransmission_in_proceeding(self) -> None:
        """A retransmitted INVITE gets the last provisional response."""
        self.begin()
        self.again()
        self.respond(180)
        self.again()
        self.assertEqual(self.channel.summary(), [100, 100, 180, 180])
        self.assertEqual(self.user.events, [("request", "INVITE")])
        self.clock.advance(1000)
        self.assertEqual(self.layer.pending, 1)

    def test_17_2_1_completed(self) -> None:
        """A non-2xx is sent again for each INVITE and by timer G, until the ACK; timer I absorbs others."""
        self.begin()
        self.respond(486)
        self.again()
        self.clock.advance(0.5)
        self.assertEqual(self.channel.summary(), [100, 486, 486, 486])
        self.again("ACK", toTag=";tag=ours")
        self.again("ACK", toTag=";tag=ours")
        self.again()
        self.clock.advance(4.9)
        self.assertEqual((self.channel.summary(), self.layer.pending), ([100, 486, 486, 486], 1))
        self.clock.advance(0.1)
        self.assertOver()
        self.assertEqual(self.user.events, [("request", "INVITE")])

    def test_17_2_1_timer_i_reliable(self) -> None:
        """Over TLS the ACK ends it."""
        self.begin(TLS)
        self.respond(486)
        self.assertEqual(self.layer.pending, 1)
        self.again("ACK", toTag=";tag=ours")
        self.assertOver()

    def test_17_2_1_one_final_answer(self) -> None:
        """After a non-2xx no other answer is sent, in any state."""
        self.begin()
        self.respond(486)
        for _ in range(2):
            for status in (180, 200, 500):
                self.respond(status)
            self.again("ACK", toTag=";tag=ours")
        self.clock.advance(5)
        self.respond(200)
        self.assertEqual(self.channel.summary(), [100, 486])

    def test_rfc6026_8_7_accepted(self) -> None:
        """After a 2xx INVITEs are absorbed; the user's further 2xx pass; timer L ends it, over TLS too."""
        for peer in (UDP, TLS):
            self.begin(peer)
            self.respond(200)
            self.again()
            self.respond(180)
            self.respond(486)
            self.clock.advance(31)
            self.respond(200)
            self.assertEqual(self.channel.summary(), [100, 200, 200])
            self.clock.advance(1)
            self.assertOver()
            self.respond(200)
            self.assertEqual(self.channel.summary(), [100, 200, 200])

    def test_rfc6026_7_1_ack_of_2xx(self) -> None:
        """An ACK is the user's in Accepted, also one that repeats the branch of the INVITE."""
        self.begin()
        self.respond(200)
        self.again("ACK", toTag=";tag=ours")
        self.again("ACK", toTag=";tag=ours", via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKack")
        self.assertEqual(self.user.events, [("request", "INVITE"), ("ack", 1), ("ack", 1)])

    def test_ack_before_an_answer(self) -> None:
        """An ACK to nothing but 100 is no ACK."""
        self.begin()
        self.again("ACK")
        self.assertEqual((self.user.events, self.channel.summary()), ([("request", "INVITE")], [100]))


class CancelTests(ServerTests):
    """CANCEL: RFC 3261 section 9.2."""

    def test_9_2_cancel(self) -> None:
        """CANCEL is answered 200 before the user is told, and the user answers the INVITE."""
        self.begin()
        self.respond(180)
        seen: list[list[str | int]] = []

        def onCancel(transaction: IServerTransaction) -> None:
            seen.append(self.channel.summary())
            self.respond(487)

        self.user.onCancel = onCancel
        self.again("CANCEL")
        self.assertEqual(self.channel.summary(), [100, 180, 200, 487])
        self.assertEqual(seen, [[100, 180, 200]])
        self.assertEqual(self.user.events, [("request", "INVITE"), ("cancel",)])
        cancelled = self.channel.responses[2]
        self.assertEqual(
            (str(cancelled.cseq), cancelled.toAddress.tag, cancelled.vias),
            ("1 CANCEL", "ours", self.request.vias),
        )

    def test_9_2_cancel_before_a_tag(self) -> None:
        """The 200 to CANCEL has a To tag even when the INVITE has no response with one."""
        self.begin()
        self.again("CANCEL")
        self.assertEqual(self.channel.responses[1].toAddress.tag, "t1")

    def test_9_2_cancel_retransmitted(self) -> None:
        """A retransmitted CANCEL gets the same answer; the user is told once."""
        self.begin()
        self.again("CANCEL")
        self.again("CANCEL")
        self.assertEqual(self.channel.summary(), [100, 200, 200])
        self.assertEqual(self.channel.messages[1], self.channel.messages[2])
        self.assertEqual(self.user.events, [("request", "INVITE"), ("cancel",)])

    def test_9_2_cancel_of_nothing(self) -> None:
        """481 for a CANCEL that belongs to no INVITE."""
        self.begin(method="OPTIONS")
        self.again("CANCEL")
        self.assertEqual(self.channel.summary(), [481])
        self.assertEqual(self.user.events, [("request", "OPTIONS")])

    def test_9_2_cancel_too_late(self) -> None:
        """After a final answer CANCEL is answered 200 and changes nothing."""
        for status in (200, 486):
            self.begin()
            self.respond(status)
            self.again("CANCEL")
            self.assertEqual(self.channel.summary(), [100, status, 200])
            self.assertEqual(self.user.events, [("request", "INVITE")])

    def test_cancel_while_user_is_told(self) -> None:
        """A CANCEL that finds the INVITE confirmed changes nothing either."""
        self.begin()
        self.respond(486)
        self.again("ACK", toTag=";tag=ours")
        self.again("CANCEL")
        self.assertEqual(self.user.events, [("request", "INVITE")])


class OtherTests(ServerTests):
    """Server transactions of other methods."""

    def test_17_2_2_trying(self) -> None:
        """Retransmissions are absorbed until there is an answer, then get it, until timer J."""
        self.begin(method="BYE")
        self.again()
        self.assertEqual(self.channel.summary(), [])
        self.respond(100)
        self.again()
        self.respond(200)
        self.again()
        self.respond(500)
        self.respond(100)
        self.assertEqual(self.channel.summary(), [100, 100, 200, 200])
        self.clock.advance(31.9)
        self.again()
        self.assertEqual(self.channel.summary(), [100, 100, 200, 200, 200])
        self.clock.advance(0.1)
        self.assertOver()
        self.assertEqual(self.user.events, [("request", "BYE")])

    def test_17_2_2_timer_j_reliable(self) -> None:
        """Over TLS the answer ends it."""
        self.begin(TLS, "BYE")
        self.respond(200)
        self.assertOver()
        self.assertEqual(self.channel.summary(), [200])

    def test_rfc4320_4_2_no_answer(self) -> None:
        """A user that gives no answer within 64*T1 is told, and nothing is sent any more."""
        for peer in (UDP, TLS):
            self.begin(peer, "OPTIONS")
            self.clock.advance(32)
            self.respond(200)
            self.assertEqual(self.user.events[1:], [("failed", "no answer was given within 32 s")])
            self.assertEqual(self.channel.summary(), [])
            self.assertOver()


class FailureTests(ServerTests):
    """Channels that break and users that raise."""

    def test_user_raises(self) -> None:
        """A user that raises: logged, and 500 where there is no final answer."""

        def explode(transaction: object) -> None:
            raise ZeroDivisionError

        for method, expected in (("INVITE", [100, 500]), ("OPTIONS", [500])):
            clock, user = Clock(), RecordingTransactionUser()
            user.onRequest = explode
            channel = RecordingChannel(clock)
            layer = Transactions(clock, user, countingToken())
            layer.messageReceived(incoming(method), channel)
            self.assertEqual(channel.summary(), expected)
            self.assertIsNotNone(channel.responses[-1].toAddress.tag)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_user_raises_after_answer(self) -> None:
        """The answer that was given stands."""

        def explode(transaction: IServerTransaction) -> None:
            transaction.respond(responseTo(transaction.request, 404, toTag="ours"))
            raise ZeroDivisionError

        clock, user = Clock(), RecordingTransactionUser()
        user.onRequest = explode
        channel = RecordingChannel(clock)
        Transactions(clock, user, countingToken()).messageReceived(incoming(), channel)
        self.assertEqual(channel.summary(), [100, 404])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_user_raises_on_cancel(self) -> None:
        """500 to the INVITE, with the tag it had."""

        def explode(transaction: IServerTransaction) -> None:
            raise ZeroDivisionError

        self.begin()
        self.respond(180)
        self.user.onCancel = explode
        self.again("CANCEL")
        self.assertEqual(self.channel.summary(), [100, 180, 200, 500])
        self.assertEqual(self.channel.responses[-1].toAddress.tag, "ours")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_user_raises_elsewhere(self) -> None:
        """The same for ACKs and failures: logged."""

        def explode(*ignored: object) -> None:
            raise ZeroDivisionError

        self.begin()
        self.respond(200)
        self.patch(self.user, "ackReceived", explode)
        self.again("ACK", toTag=";tag=ours")
        self.again("ACK", toTag=";tag=ours", via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKack")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.begin()
        self.patch(self.user, "transactionFailed", explode)
        self.respond(486)
        self.clock.advance(32)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertOver()

    def test_17_2_4_answer_cannot_leave(self) -> None:
        """An answer that cannot be sent is reported, after C{respond} has returned."""
        for peer in (UDP, TLS):
            for method in ("INVITE", "OPTIONS"):
                for status in (180, 200, 486):
                    self.begin(peer, method)
                    self.channel.failure = "no way"
                    self.respond(status)
                    self.assertEqual(self.user.events, [("request", method)])
                    self.clock.advance(0)
                    self.assertEqual(self.user.events[1:], [("failed", "no way")])
                    self.assertOver()

    def test_17_2_4_channel_lost(self) -> None:
        """A lost channel is told where an answer or its ACK is missing."""
        for method, status, told in (
            ("INVITE", None, True),
            ("INVITE", 180, True),
            ("INVITE", 486, True),
            ("INVITE", 200, False),
            ("OPTIONS", None, True),
            ("OPTIONS", 200, False),
        ):
            self.begin(UDP, method)
            if status is not None:
                self.respond(status)
            self.layer.channelLost(self.channel, ChannelFailed("gone"))
            self.assertEqual(self.user.events[1:], [("failed", "gone")] if told else [], (method, status))
            self.assertOver()
        self.begin()
        self.respond(486)
        self.again("ACK", toTag=";tag=ours")
        self.layer.channelLost(self.channel, ChannelFailed("gone"))
        self.assertEqual(self.user.events, [("request", "INVITE")])
        self.assertOver()

    def test_moved(self) -> None:
        """
        Over another channel the last answer goes again, or what has waited; not a 2xx to INVITE, which is
        the user's to send again, and of which no more than the tag is kept.
        """
        for status, again in ((180, [180]), (486, [486]), (200, [])):
            self.begin(TLS)
            self.respond(status)
            self.assertEqual(self.moved().summary(), again)
        [answer] = self.moved(200).responses
        self.assertEqual((answer.status, answer.callID), (200, self.request.callID))

    def test_movedLater(self) -> None:
        """What was answered without a connection waits for one, also where the answer is the end of it."""
        for method, status in (("INVITE", 486), ("BYE", 200), ("INFO", 500)):
            self.begin(TLS, method, patience=8.0)
            self.layer.channelLost(self.channel, ChannelFailed("gone"))
            self.respond(status)
            self.clock.advance(2)
            other = RecordingChannel(self.clock, TLS)
            self.layer.channelFound(other)
            self.assertEqual(other.summary(), [status], method)
            self.layer.stop()

    def moved(self, meanwhile: int | None = None) -> RecordingChannel:
        """
        The transaction loses its channel and gets another, which is returned.

        @param meanwhile: an answer of the user in between.
        """
        assert isinstance(self.transaction, ServerTransaction)
        self.transaction.hold()
        if meanwhile is not None:
            self.respond(meanwhile)
        other = RecordingChannel(self.clock, TLS)
        self.transaction.moveTo(other)
        return other

    def test_stop(self) -> None:
        """Stopping cancels all timers in each state and tells nobody."""
        for method in ("INVITE", "OPTIONS"):
            for status in (180, 200, 486):
                for acknowledged in (False, True):
                    self.begin(method=method)
                    self.respond(status)
                    if acknowledged:
                        self.again("ACK", toTag=";tag=ours")
                    del self.user.events[:]
                    self.layer.stop()
                    self.assertOver()
                    self.assertEqual(self.user.events, [])

    def test_nothing_keeps_it(self) -> None:
        """A transaction that is over is freed at once, without the garbage collector."""
        for peer, method, status in ((TLS, "BYE", 200), (UDP, "BYE", 200), (UDP, "INVITE", 200)):
            self.begin(peer, method)
            reference = weakref.ref(self.transaction)
            self.respond(status)
            self.clock.advance(32)
            del self.transaction, self.user.transactions[:]
            self.assertIsNone(reference())


class ReplyTests(ServerTests):
    """Where responses go: RFC 3261 sections 18.2.1 and 18.2.2, RFC 3581."""

    def via(self, value: str, peer: str = "udp:192.0.2.1:40000") -> tuple[str, str]:
        """
        @return: the destination of the response to a request with the Via C{value} from C{peer}, and the
            parameters of its Via.
        """
        self.begin(peer, via=value + ";branch=z9hG4bKx")
        sent = self.channel.sent[0]
        return str(sent.peer), str(sent.message.topVia.params.without("branch"))

    def test_18_2_2_sent_by_port(self) -> None:
        """Without rport: to the port of sent-by, or 5060."""
        self.assertEqual(self.via("SIP/2.0/UDP 192.0.2.1:5070"), ("udp:192.0.2.1:5070", ""))
        self.assertEqual(self.via("SIP/2.0/UDP 192.0.2.1"), ("udp:192.0.2.1:5060", ""))

    def test_18_2_1_received(self) -> None:
        """received is added when sent-by is a name or another address, and the response goes there."""
        self.assertEqual(
            self.via("SIP/2.0/UDP pbx.example:5070"), ("udp:192.0.2.1:5070", ";received=192.0.2.1")
        )
        self.assertEqual(self.via("SIP/2.0/UDP 10.0.0.1"), ("udp:192.0.2.1:5060", ";received=192.0.2.1"))

    def test_rfc3581_4_rport(self) -> None:
        """With rport: to the source port; received is added even where sent-by has the same address."""
        for value in ("SIP/2.0/UDP 192.0.2.1:5070;rport", "SIP/2.0/UDP 10.0.0.1;rport"):
            self.assertEqual(self.via(value), ("udp:192.0.2.1:40000", ";rport=40000;received=192.0.2.1"))

    def test_18_2_2_maddr(self) -> None:
        """maddr wins, with the port of sent-by; a name there is not resolved."""
        self.assertEqual(self.via("SIP/2.0/UDP 10.0.0.1:5070;maddr=192.0.2.9;rport")[0], "udp:192.0.2.9:5070")
        self.assertEqual(self.via("SIP/2.0/UDP 192.0.2.1;maddr=pbx.example")[0], "udp:192.0.2.1:5060")

    def test_forged_received(self) -> None:
        """received and rport written by the peer itself are replaced by the truth."""
        self.assertEqual(
            self.via("SIP/2.0/UDP 192.0.2.1;received=203.0.113.1;rport=9"),
            ("udp:192.0.2.1:40000", ";received=192.0.2.1;rport=40000"),
        )

    def test_ipv6(self) -> None:
        """IPv6: brackets in sent-by, none in received (RFC 3261 section 25.1)."""
        self.assertEqual(
            self.via("SIP/2.0/UDP [2001:db8::9]:5070;rport", "udp:[2001:db8::1]:40000"),
            ("udp:[2001:db8::1]:40000", ";rport=40000;received=2001:db8::1"),
        )

    def test_reliable(self) -> None:
        """Over TCP and TLS the response takes the connection of the request."""
        self.assertEqual(
            self.via("SIP/2.0/TLS 10.0.0.1:5070;maddr=192.0.2.9;rport", "tls:192.0.2.1:40000")[0],
            "tls:192.0.2.1:40000",
        )

    def test_retransmissions_go_there_too(self) -> None:
        """All responses of a transaction go the same way."""
        self.via("SIP/2.0/UDP 10.0.0.1:5070")
        self.respond(486)
        self.clock.advance(0.5)
        self.assertEqual({str(sent.peer) for sent in self.channel.sent}, {"udp:192.0.2.1:5070"})

    def test_same_channel(self) -> None:
        """Where the way back is the source, the channel itself is used."""
        channel = RecordingChannel(Clock())
        self.assertIs(replyChannel(incoming(), channel), channel)
