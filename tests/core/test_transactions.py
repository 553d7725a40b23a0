"""
Tests of L{skypetrunk.core.transactions}: which message belongs to which transaction.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import (
    IClientTransactionUser,
    ICredentials,
    IMessageChannel,
    ITransactions,
    ITransactionUser,
)
from skypetrunk.testing import (
    MemoryCredentials,
    RecordingChannel,
    RecordingClientUser,
    RecordingTransactionUser,
    countingToken,
)
from skypetrunk.wire.message import Request, Response, responseTo
from tests.core.messages import answer, incoming, outgoing


class LayerTests(SynchronousTestCase):
    """What these tests need."""

    def setUp(self) -> None:
        """A transaction layer with one UDP channel."""
        self.clock = Clock()
        self.user = RecordingTransactionUser()
        self.layer = Transactions(self.clock, self.user, countingToken())
        self.channel = RecordingChannel(self.clock)

    def receive(self, message: Request | Response) -> None:
        """C{message} comes in."""
        self.layer.messageReceived(message, self.channel)


class InterfaceTests(LayerTests):
    """Everything provides what it says."""

    def test_interfaces(self) -> None:
        """The layer and the public doubles."""
        for interface, provider in (
            (ITransactions, self.layer),
            (ITransactionUser, self.user),
            (IClientTransactionUser, RecordingClientUser()),
            (IMessageChannel, self.channel),
            (ICredentials, MemoryCredentials({})),
        ):
            self.assertTrue(verifyObject(interface, provider))


class ResponseTests(LayerTests):
    """Matching of responses: RFC 3261 section 17.1.3."""

    def setUp(self) -> None:
        """One INVITE is out."""
        super().setUp()
        self.client = RecordingClientUser()
        self.transaction = self.layer.sendRequest(outgoing(), self.channel, self.client)

    def dropped(self, response: Response) -> None:
        """C{response} is dropped and counted."""
        before = self.layer.dropped
        self.receive(response)
        self.assertEqual((self.client.events, self.layer.dropped), ([], before + 1))

    def test_17_1_3_branch(self) -> None:
        """The branch decides."""
        good = answer(self.transaction.request, 180)
        self.dropped(good.withHeader("Via", "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKother"))
        self.dropped(good.withHeader("Via", "SIP/2.0/UDP 198.51.100.1:5060"))
        self.receive(good)
        self.assertEqual(self.client.events, [("response", 180)])

    def test_17_1_3_method(self) -> None:
        """The method of CSeq decides too: the answers to CANCEL have the branch of the INVITE."""
        self.dropped(answer(self.transaction.request, 200).withHeader("CSeq", "7 CANCEL"))

    def test_18_1_2_sent_by(self) -> None:
        """A response whose top Via is not ours is dropped."""
        good = answer(self.transaction.request, 180)
        for via in ("SIP/2.0/UDP 198.51.100.2:5060", "SIP/2.0/UDP 198.51.100.1:5070"):
            self.dropped(good.withHeader("Via", f"{via};branch=z9hG4bKt1"))

    def test_8_1_3_3_two_vias(self) -> None:
        """A response with a second Via was for somebody behind us, and there is nobody."""
        self.dropped(answer(self.transaction.request, 180).addingHeader("Via", "SIP/2.0/UDP 10.0.0.1"))

    def test_malformed(self) -> None:
        """A response that cannot be matched is dropped, silently."""
        good = answer(self.transaction.request, 180)
        self.dropped(good.withHeader("Via", "nonsense"))
        self.dropped(good.withHeader("CSeq", "x"))
        self.dropped(good.withoutHeader("Via"))
        self.assertEqual(self.channel.summary(), ["INVITE"])

    def test_received_and_rport_are_no_matter(self) -> None:
        """What the peer filled in our Via does not stand in the way."""
        via = str(self.transaction.request.topVia).replace(";rport", ";rport=1;received=10.0.0.9")
        self.receive(answer(self.transaction.request, 180).withHeader("Via", via))
        self.assertEqual(self.client.events, [("response", 180)])

    def test_sent_by_written_otherwise(self) -> None:
        """An IPv6 address is ours in each of its forms (RFC 5952 section 2)."""
        self.channel = RecordingChannel(self.clock, "udp:[2001:db8::2]:5060", "udp:[2001:db8::1]:5060")
        self.transaction = self.layer.sendRequest(outgoing(), self.channel, self.client)
        for number, host in enumerate(("2001:DB8::1", "2001:db8:0:0:0:0:0:1"), 1):
            via = str(self.transaction.request.topVia).replace("2001:db8::1", host)
            self.receive(answer(self.transaction.request, 180).withHeader("Via", via))
            self.assertEqual(len(self.client.events), number)
        other = str(self.transaction.request.topVia).replace("2001:db8::1", "2001:db8::2")
        self.receive(answer(self.transaction.request, 180).withHeader("Via", other))
        self.assertEqual((len(self.client.events), self.layer.dropped), (2, 1))


class RequestTests(LayerTests):
    """Matching of requests: RFC 3261 section 17.2.3."""

    def test_17_2_3_branch_sent_by_method(self) -> None:
        """Each of the three makes another transaction."""
        via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"
        self.receive(incoming("OPTIONS", via=via))
        self.receive(incoming("OPTIONS", via=via))
        self.receive(incoming("OPTIONS", via=via.upper().replace("Z9HG4BKA", "z9hG4bKa")))
        self.assertEqual(len(self.user.events), 1)
        self.receive(incoming("OPTIONS", via=via + "b", callID="b"))
        self.receive(incoming("OPTIONS", via=via.replace(":5060", ":5070"), callID="c"))
        self.receive(incoming("OPTIONS", via=via.replace("192.0.2.1", "pbx.example"), callID="d"))
        self.receive(incoming("MESSAGE", via=via, callID="e"))
        self.assertEqual(len(self.user.events), 5)

    def test_17_2_3_rfc2543(self) -> None:
        """Without a unique branch: Request-URI, tags, Call-ID, CSeq and the top Via."""
        for branch in ("", ";branch=1", ";branch=z9hG4bK"):
            self.setUp()
            via = f"SIP/2.0/UDP 192.0.2.1:5060{branch}"
            self.receive(incoming(via=via))
            self.receive(incoming(via=via))
            self.assertEqual(self.user.events, [("request", "INVITE")])
            self.assertEqual(self.channel.summary(), [100, 100])
            others: tuple[dict[str, Any], ...] = (
                {"uri": "sip:other@198.51.100.1", "number": 11},
                {"fromTag": ""},
                {"callID": "x"},
                {"number": 2},
                {"via": via.replace("5060", "5061"), "number": 12},
            )
            for number, other in enumerate(others, 2):
                self.receive(incoming(**{"via": via, **other}))
                self.assertEqual(len(self.user.events), number, other)

    def test_17_2_3_rfc2543_ack(self) -> None:
        """The ACK of an RFC 2543 peer is told from that of a 2xx by its To tag."""
        via = "SIP/2.0/UDP 192.0.2.1:5060"
        self.receive(incoming(via=via))
        transaction = self.user.transactions[0]
        transaction.respond(responseTo(transaction.request, 486, toTag="ours"))
        self.receive(incoming("ACK", via=via, toTag=";tag=other"))
        self.assertEqual(self.user.events[1:], [("ack", 1)])
        self.receive(incoming("ACK", via=via, toTag=";tag=ours"))
        self.clock.advance(5)
        self.assertEqual((self.layer.pending, self.user.events[2:]), (0, []))

    def test_17_2_3_rfc2543_cancel(self) -> None:
        """The CANCEL of an RFC 2543 peer finds its INVITE."""
        via = "SIP/2.0/UDP 192.0.2.1:5060;branch=1"
        self.receive(incoming(via=via))
        self.receive(incoming("CANCEL", via=via))
        self.assertEqual((self.user.events[1:], self.channel.summary()), ([("cancel",)], [100, 200]))

    def test_stray_ack(self) -> None:
        """An ACK without a transaction is the user's, and never answered."""
        self.receive(incoming("ACK", toTag=";tag=ours"))
        self.assertEqual((self.user.events, self.channel.summary()), ([("ack", 1)], []))

    def test_8_2_2_2_merged(self) -> None:
        """The same request by another way gets 482, and the user is not told."""
        self.receive(incoming())
        merged = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer2"
        self.receive(incoming(via=merged))
        self.assertEqual(self.channel.summary(), [100, 482])
        self.receive(incoming("ACK", via=merged, toTag=";tag=t1"))
        self.clock.advance(5)
        self.assertEqual((self.user.events, self.layer.pending), ([("request", "INVITE")], 1))

    def test_8_2_2_2_not_merged(self) -> None:
        """In a dialog, with another CSeq, and after the first has ended, a request is new."""
        self.receive(incoming())
        self.receive(incoming(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb", number=2))
        self.receive(incoming(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc", toTag=";tag=ours"))
        self.assertEqual(len(self.user.events), 3)
        transaction = self.user.transactions[0]
        transaction.respond(responseTo(transaction.request, 200, toTag="ours"))
        self.clock.advance(32)
        self.receive(incoming(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKd"))
        self.assertEqual(len(self.user.events), 4)

    def test_received_is_filled_in(self) -> None:
        """The user sees the request with received and rport (RFC 3261 section 18.2.1, RFC 3581)."""
        channel = RecordingChannel(self.clock, "udp:192.0.2.7:40000")
        self.layer.messageReceived(incoming(via="SIP/2.0/UDP pbx.example;rport;branch=z9hG4bKx"), channel)
        via = self.user.transactions[0].request.topVia
        self.assertEqual((via.received, via.rport), ("192.0.2.7", 40000))
        self.assertIs(self.user.transactions[0].channel, channel)


class MalformedTests(LayerTests):
    """Requests that break the grammar of what matching needs."""

    def broken(self, name: str, value: str, method: str = "OPTIONS") -> Request:
        """A request whose header C{name} is C{value}."""
        return incoming(method).withHeader(name, value)

    def test_400(self) -> None:
        """Answered with 400 and no transaction."""
        for name, value in (
            ("CSeq", "x"),
            ("CSeq", "1 INVITE"),
            ("To", "<sip:x"),
            ("From", "<sip:x"),
            ("Call-ID", "two words"),
        ):
            self.layer.messageReceived(self.broken(name, value), channel := Raw(self.clock))
            self.assertEqual([response.status for response in channel.raw], [400], name)
        self.assertEqual((self.user.events, self.layer.pending), ([], 0))

    def test_silence(self) -> None:
        """An ACK is never answered, nor a request without Via."""
        self.receive(self.broken("CSeq", "x", "ACK"))
        self.receive(incoming("OPTIONS").withoutHeader("Via"))
        self.assertEqual((self.channel.summary(), self.user.events, self.layer.dropped), ([], [], 2))

    def test_answer_cannot_leave(self) -> None:
        """A channel that fails just then changes nothing."""
        self.channel.failure = "no way"
        self.receive(self.broken("CSeq", "x"))
        self.assertEqual(self.layer.dropped, 1)


class Raw(RecordingChannel):
    """Keeps responses as they are: one to a broken request repeats what is broken."""

    def __init__(self, clock: Clock) -> None:
        """Nothing was sent."""
        super().__init__(clock)
        self.raw: list[Response] = []

    def send(self, message: Request | Response) -> None:
        """Keep it."""
        assert isinstance(message, Response)
        self.raw.append(message)


class AckTests(LayerTests):
    """L{Transactions.sendAck}."""

    def test_13_2_2_4_new_branch(self) -> None:
        """The ACK of a 2xx has a branch of its own, and keeps it when it is sent again."""
        ack = outgoing("ACK")
        sent = self.layer.sendAck(ack, self.channel)
        again = self.layer.sendAck(sent, self.channel)
        self.assertIs(again, sent)
        self.assertEqual(
            [request.header("Via") for request in self.channel.requests],
            ["SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKt1"] * 2,
        )
        self.assertEqual(self.layer.pending, 0)

    def test_cannot_leave(self) -> None:
        """A channel that fails is no error here: the 2xx will come again."""
        self.channel.failure = "no way"
        self.assertIsNotNone(self.layer.sendAck(outgoing("ACK"), self.channel).header("Via"))


class BothSidesTests(SynchronousTestCase):
    """Two transaction layers, one call."""

    def test_call(self) -> None:
        """INVITE, 180, 200, ACK, BYE; then nothing is left on either side."""
        clock = Clock()
        one, other = RecordingTransactionUser(), RecordingTransactionUser()
        layers = [Transactions(clock, one, countingToken()), Transactions(clock, other, countingToken())]
        ways = [
            RecordingChannel(clock, "tls:192.0.2.1:5061", "tls:198.51.100.1:5061"),
            RecordingChannel(clock, "tls:198.51.100.1:5061", "tls:192.0.2.1:5061"),
        ]
        ways[0].receiver = lambda message: layers[1].messageReceived(message, ways[1])
        ways[1].receiver = lambda message: layers[0].messageReceived(message, ways[0])
        client = RecordingClientUser()
        layers[0].sendRequest(outgoing(), ways[0], client)
        transaction = other.transactions[0]
        for status in (180, 200):
            transaction.respond(responseTo(transaction.request, status, toTag="theirs"))
        layers[0].sendAck(outgoing("ACK"), ways[0])
        layers[0].sendRequest(outgoing("BYE", CSeq="8 BYE"), ways[0], client)
        bye = other.transactions[1]
        bye.respond(responseTo(bye.request, 200))
        self.assertEqual(client.events, [("response", status) for status in (100, 180, 200, 200)])
        self.assertEqual(other.events, [("request", "INVITE"), ("ack", 7), ("request", "BYE")])
        self.assertEqual([layer.pending for layer in layers], [1, 1])
        clock.advance(32)
        self.assertEqual([layer.pending for layer in layers], [0, 0])
        self.assertEqual(clock.getDelayedCalls(), [])
