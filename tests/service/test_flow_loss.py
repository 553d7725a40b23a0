"""
A connection to the carrier dies while calls are up: real TLS in memory, a dialog manager, a PBX and a carrier
that the tests play.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from skypetrunk.core.dialogs import DialogManager
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.service.ways import REDIAL_SECONDS
from skypetrunk.testing import RecordingChannel, RecordingClientUser, countingToken
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.core.callnet import SAVP, Finder, Neighbour, Observer, Plan, Policy, RecordingMediaPlane, sdp
from tests.service.carriernet import CarrierCase

FLOW_TIMER = ("Flow-Timer", "30")


class FlowLossCase(CarrierCase):
    """A registered trunk beside a PBX, and one way for its connection to end."""

    def setUp(self) -> None:
        """Registered."""
        super().setUp()
        numbers = count(1)
        self.plane = RecordingMediaPlane()
        self.observer = Observer()
        self.manager = DialogManager(
            self.reactor,
            Timers(),
            countingToken(),
            lambda octets: next(numbers).to_bytes(octets, "big"),
            self.plane,
            Plan(),
            Policy(),
            self,
            [self.observer],
        )
        channel = RecordingChannel(self.reactor, "udp:192.0.2.10:5070", "udp:198.51.100.1:5060")
        finder = Finder(channel)
        address, ours = parseURI("sip:192.0.2.10:5070"), parseURI("sip:198.51.100.1:5060")
        assert isinstance(address, SIPURI) and isinstance(ours, SIPURI)
        self.pbx = Neighbour(PBXSide("office", finder, address, ours), channel, finder, "192.0.2.10")
        self.pbx.side.transactions = Transactions(self.reactor, self.pbx.side, countingToken())
        for side in (self.pbx.side, self.trunk.side):
            self.manager.addSide(side)
        self.branches = count(1)
        self.start()
        self.opened()

    def opened(self) -> None:
        """The carrier grants what is asked first."""
        self.grants(FLOW_TIMER)

    def destinations(self, source: str, called: str) -> Sequence[Side]:
        """From one to the other."""
        return [self.trunk.side if source == "office" else self.pbx.side]

    def lose(self) -> None:
        """The connection ends."""
        raise AssertionError("each case has its own way")

    def recovers(self) -> None:
        """The trunk has a new connection, and is registered over it."""
        before = len(self.requests("REGISTER"))
        for _ in range(400):
            self.network.advance(0.25)
            if len(self.requests("REGISTER")) > before:
                break
        transactions = [each for each in self.carrier.transactions if each.request.method == "REGISTER"]
        self.carrier.transactions.append(transactions[-1])
        self.grants(FLOW_TIMER)
        self.assertTrue(self.trunk.side.up)
        self.network.advance(0.1)

    def say(self, request: Request) -> RecordingClientUser:
        """The carrier asks something over the connection that it has."""
        user = RecordingClientUser()
        self.layer.sendRequest(request, self.connections[-1], user)
        self.network.flush()
        return user

    def outboundCall(self) -> tuple[Request, Request, Response]:
        """A call of the PBX that stands: its INVITE, the carrier's, and our 200 to the PBX."""
        near = self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        far = self.requests("INVITE")[-1]
        self.accepts(SAVP)
        accepted = self.pbx.response(200)
        self.pbx.ack(near, accepted)
        self.network.flush()
        self.pbx.got()
        return near, far, accepted

    def accepts(self, media: str, version: int = 1) -> None:
        """The carrier's 200 to the last request."""
        transaction = self.carrier.transactions[-1]
        lines = [Header("Contact", "<sip:far@carrier.example>")]
        if media:
            lines.append(Header("Content-Type", "application/sdp"))
        body = sdp(media, "203.0.113.9", version) if media else b""
        transaction.respond(responseTo(transaction.request, 200, None, lines, body, toTag="carrier"))
        self.network.flush()

    def invite(self) -> Request:
        """An INVITE of the carrier."""
        lines = [
            Header("Max-Forwards", "70"),
            Header("From", "<sip:+4420@carrier.example>;tag=there"),
            Header("To", "<sip:account@carrier.example>"),
            Header("Call-ID", "of-the-carrier"),
            Header("CSeq", "1 INVITE"),
            Header("Contact", "<sip:far@carrier.example>"),
            Header("Content-Type", "application/sdp"),
        ]
        return Request("INVITE", "sip:account@192.0.2.99:40000", tuple(lines), sdp(SAVP, "203.0.113.9"))


class Reset(FlowLossCase):
    """RST."""

    def lose(self) -> None:
        """The carrier's host knows nothing of the connection."""
        self.connections[-1].abort("reset")
        self.network.flush()

    def test_mediaAndDialogStay(self) -> None:
        """
        No media leg is touched; over the new connection the carrier is told where we are now, and BYE goes on
        with the same dialog.
        """
        near, far, accepted = self.outboundCall()
        events = [list(leg.events) for leg in self.plane.legs]
        self.lose()
        self.recovers()
        self.assertEqual([leg.released for leg in self.plane.legs], [False, False])
        refresh = self.requests("INVITE")[-1]
        self.assertEqual((refresh.callID, refresh.toAddress.tag), (far.callID, "carrier"))
        self.assertEqual(refresh.cseq.number, far.cseq.number + 1)
        self.assertNotEqual(refresh.header("Contact"), far.header("Contact"))
        self.assertIn(str(40000 + len(self.network.pumps) - 1), refresh.header("Contact") or "")
        self.accepts(SAVP)
        self.assertEqual(len(self.carrier.acks), 2)
        after = [leg.events[: len(each)] for leg, each in zip(self.plane.legs, events, strict=True)]
        self.assertEqual(after, events)
        self.assertEqual(self.pbx.got(), [], "nothing crosses")
        self.pbx.within(near, accepted, "BYE", 2)
        self.network.flush()
        bye = self.requests("BYE")[-1]
        self.assertEqual((bye.callID, bye.cseq.number), (far.callID, far.cseq.number + 2))

    def test_byeMeanwhile(self) -> None:
        """BYE while there is no connection waits for the next one."""
        near, far, accepted = self.outboundCall()
        self.lose()
        self.pbx.within(near, accepted, "BYE", 2)
        self.assertEqual(self.pbx.got(), [200])
        self.recovers()
        self.assertEqual(self.requests("BYE")[-1].callID, far.callID)

    def test_nodeKnowsNothing(self) -> None:
        """The new node has never heard of the call: 481 ends it, and the record says so."""
        self.outboundCall()
        self.lose()
        self.recovers()
        self.answers(481)
        self.assertIn("BYE", self.pbx.got())
        [ended] = self.observer.ended
        self.assertEqual(ended.cause, "the refresh was answered 481")

    def test_answerMoves(self) -> None:
        """The PBX answers the carrier's call while there is no connection: the 200 goes by the next one."""
        user = self.say(self.invite())
        far = self.pbx.request("INVITE")
        self.pbx.answers(far, 180)
        self.network.flush()
        branch = user.responses[-1]
        self.assertEqual(branch.status, 180)
        heard: list[Request | Response] = []
        self.listen(heard)
        self.lose()
        self.pbx.answers(far, 200, sdp())
        self.assertEqual(self.pbx.got()[-1], "ACK")
        self.recovers()
        answers = [each for each in heard if isinstance(each, Response)]
        self.assertIn((200, 1), [(each.status, each.cseq.number) for each in answers])
        self.assertEqual(self.manager.callCount(), 1)

    def test_ringingMoves(self) -> None:
        """What was said last is said again over the new connection: it may have been lost with the old."""
        self.say(self.invite())
        self.pbx.answers(self.pbx.request("INVITE"), 180)
        self.network.flush()
        heard: list[Request | Response] = []
        self.listen(heard)
        self.lose()
        self.recovers()
        answers = [each for each in heard if isinstance(each, Response) and each.cseq.method == "INVITE"]
        self.assertEqual([each.status for each in answers], [180])

    def test_ringingEnds(self) -> None:
        """
        A call that rings at the carrier when the connection ends: the PBX hears 503, and the carrier gets the
        CANCEL over the next connection, so that nobody answers a call without a caller.
        """
        self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        transaction = self.carrier.transactions[-1]
        transaction.respond(responseTo(transaction.request, 180, toTag="carrier"))
        self.network.flush()
        heard: list[Request | Response] = []
        self.listen(heard)
        self.lose()
        self.assertEqual(self.pbx.got()[-1], 503)
        self.recovers()
        [cancel] = [each for each in heard if each.cseq.method == "CANCEL"]
        self.assertEqual(cancel.topVia.branch, transaction.request.topVia.branch)
        self.assertEqual(cancel.cseq.number, transaction.request.cseq.number)

    def test_patience(self) -> None:
        """No connection for too long: the PBX stops ringing."""
        self.say(self.invite())
        self.pbx.answers(self.pbx.request("INVITE"), 180)
        self.network.flush()
        self.network.unlisten("192.0.2.1", 5061)
        self.lose()
        for _ in range(160):
            self.network.advance(0.25)
            if "CANCEL" in self.pbx.channel.summary():
                break
        self.assertIn("CANCEL", self.pbx.got())
        self.assertGreaterEqual(self.reactor.seconds(), REDIAL_SECONDS)

    def test_lostAck(self) -> None:
        """The ACK was lost with the connection: the 2xx that comes again over the next one gets it."""
        near = self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        self.network.deafen()
        transaction = self.carrier.transactions[-1]
        self.accepts(SAVP)
        self.pbx.ack(near, self.pbx.response(200))
        self.network.flush()
        self.assertEqual(self.carrier.acks, [])
        self.lose()
        self.recovers()
        assert transaction.request.method == "INVITE"
        lines = [Header("Contact", "<sip:far@carrier.example>"), Header("Content-Type", "application/sdp")]
        again = responseTo(transaction.request, 200, None, lines, sdp(SAVP, "203.0.113.9"), toTag="carrier")
        self.connections[-1].send(again)
        self.network.flush()
        self.assertEqual([each.callID for each in self.carrier.acks], [transaction.request.callID])

    def listen(self, heard: list[Request | Response]) -> None:
        """Keep what reaches the carrier, whatever connection it comes by."""
        received: Callable[..., None] = self.layer.messageReceived

        def messageReceived(message: Request | Response, channel: object) -> None:
            heard.append(message)
            received(message, channel)

        self.layer.messageReceived = messageReceived  # type: ignore[method-assign]


class Closed(Reset):
    """close_notify and FIN."""

    def lose(self) -> None:
        """The carrier closes."""
        self.connections[-1].close()
        self.network.flush()


class Swallowed(Reset):
    """Packets vanish, the connection seems to stand: a ping without pong shows it."""

    def lose(self) -> None:
        """Nothing reaches anybody any more."""
        pump = self.network.pumps[-1]
        pump.serverIO.bufferReceived = lambda data: None
        pump.clientIO.bufferReceived = lambda data: None
        self.network.advance(45)
        self.network.advance(11)

    def test_lostAck(self) -> None:
        """It took longer to notice than a 2xx is sent again (64*T1): what comes later belongs to nothing."""
        self.assertRaises(AssertionError, super().test_lostAck)
        self.assertEqual(self.carrier.acks, [])
