"""A second flow to another server (RFC 5626): calls go on over it while the first is made anew."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

from skypetrunk.interfaces import IServerTransaction
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.carrier import UNREGISTER_SECONDS
from skypetrunk.service.second_flow import RETRY_SECONDS
from skypetrunk.testing import RecordingClientUser
from skypetrunk.wire.message import Header, Request, responseTo
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import SAVP, sdp
from tests.service.test_failover import A, B
from tests.service.test_flow_loss import FlowLossCase

OUTBOUND = ("Require", "outbound")


class SecondFlowTests(FlowLossCase):
    """A trunk with two servers, whose registrar keeps flows."""

    targets: tuple[tuple[str, int], ...] = ((A, 5061), (B, 5061))
    profile = "outbound = true"
    instance = "urn:uuid:00000000-0000-5000-8000-000000000001"

    def setUp(self) -> None:
        """B takes connections, too."""
        super().setUp()
        self.assertEqual(self.flows(), [(A, "1"), (B, "2")])
        self.grants(OUTBOUND)
        self.assertEqual(self.trunk.status()["secondPeer"], f"tls:{B}:5061")

    def opened(self) -> None:
        """The registrar keeps flows."""
        self.assertEqual(self.flows(), [(A, "1")])
        self.serve((B, 5061))
        self.grants(OUTBOUND)

    def flows(self) -> list[tuple[str, str]]:
        """Where REGISTERs came, and with which flow's number."""
        found = []
        for host, request in self.asked("REGISTER"):
            [contact] = request.contacts
            self.assertEqual(contact.params.get("+sip.instance"), f'"<{self.instance}>"')
            found.append((host, contact.params.get("reg-id") or ""))
        return found

    def connection(self, host: str) -> StreamSignalling:
        """The carrier's end of that to a server."""
        [found] = [each for each in self.connections if each.localAddress.host == host]
        return found

    def reset(self, host: str) -> None:
        """A server's connection breaks."""
        self.connection(host).abort("reset")
        self.network.flush()

    def at(self, method: str) -> list[str]:
        """The servers that were asked, in order."""
        return [host for host, _ in self.asked(method)]

    def test_firstIsLost(self) -> None:
        """The call goes on over the second at once, a new one takes it, and the trunk never was down."""
        self.outboundCall()
        self.reset(A)
        self.assertTrue(self.trunk.side.up)
        self.network.advance(0.1)
        # The call's peer is told where to go now.
        host, refreshed = self.asked("INVITE")[-1]
        self.assertEqual(host, B)
        self.assertIsNotNone(refreshed.toAddress.tag)
        [contact] = refreshed.contacts
        self.assertIn(";ob", str(contact.uri))
        self.accepts("")
        before = len(self.at("INVITE"))
        self.pbx.invite("sip:+4430@198.51.100.1", sdp())
        self.network.flush()
        self.assertEqual(self.at("INVITE")[before:], [B])

    def test_firstComesBack(self) -> None:
        """It is registered under its number again; what comes then takes it."""
        self.network.advance(11)
        self.reset(A)
        self.network.advance(2)
        self.assertEqual(self.flows()[2:], [(A, "1")])
        self.grants(OUTBOUND)
        self.assertTrue(self.trunk.side.up)
        self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        self.assertEqual(self.at("INVITE"), [A])
        self.assertEqual(self.trunk.status()["secondPeer"], f"tls:{B}:5061")

    def test_firstIsNotRegistered(self) -> None:
        """While it is connected and no more, new calls go over the second, as what the carrier knows."""
        self.network.advance(11)
        self.reset(A)
        self.network.advance(2)
        self.assertEqual(self.flows()[2:], [(A, "1")])
        register = self.carrier.transactions[-1]
        self.assertTrue(self.trunk.side.up)
        self.assertEqual(self.called(), (B, self.connection(B).peer.port))
        self.assertEqual(self.trunk.side.serviceRoute, ())
        self.carrier.transactions.append(register)
        self.grants(OUTBOUND, ("Service-Route", "<sip:carrier.example;lr;at=first>"))
        self.assertEqual(self.called(), (A, self.connection(A).peer.port))
        self.assertEqual(self.requests("INVITE")[-1].header("Route"), "<sip:carrier.example;lr;at=first>")

    def test_firstIsRefused(self) -> None:
        """Its server takes nothing now: the trunk is up by the second, not down with the first."""
        self.network.advance(11)
        self.reset(A)
        self.network.advance(2)
        self.answers(500, ("Retry-After", "600"))
        self.assertTrue(self.trunk.side.up)
        self.assertEqual(self.called()[0], B)

    def test_firstRunsOut(self) -> None:
        """What the first was granted has run out, and no refresh came through: the second has calls."""
        self.runsOut()
        self.assertTrue(self.trunk.side.up)
        self.assertEqual(self.called()[0], B)

    def runsOut(self, status: int = 500) -> None:
        """A answers REGISTER so until what it has granted is over; it stays connected."""

        def received(transaction: IServerTransaction) -> None:
            self._received(transaction)
            request = transaction.request
            if request.method == "REGISTER":
                good = transaction.channel.localAddress.host == B
                lines = Header("Contact", f"{request.contacts[0]};expires=3600"), Header(*OUTBOUND)
                answer = responseTo(request, 200 if good else status, None, lines, toTag="carrier")
                transaction.respond(answer)

        self.carrier.onRequest = received
        for _ in range(80):
            self.network.advance(50)
        self.assertIsNone(self.trunk.status()["expires"])
        self.assertIsNotNone(self.trunk.flows.current())

    def calledIn(self, contact: str, status: int = 500) -> None:
        """A call of the carrier's from A, which then is registered no more; the PBX hangs up."""
        invite = self.invite().withHeader("Contact", f"<sip:far@{contact}>")
        user = RecordingClientUser()
        self.layer.sendRequest(invite, self.connection(A), user)
        self.network.flush()
        far = self.pbx.request("INVITE")
        self.pbx.answers(far, 200, sdp())
        self.network.flush()
        accepted = user.responses[-1]
        lines = [("Max-Forwards", "70"), ("From", invite.header("From")), ("To", accepted.header("To"))]
        lines += [("Call-ID", invite.callID), ("CSeq", "1 ACK")]
        ack = Request("ACK", str(accepted.contacts[0].uri), tuple(Header(n, v or "") for n, v in lines))
        self.layer.sendAck(ack, self.connection(A))
        self.network.flush()
        self.runsOut(status)
        self.pbx.back(far, "BYE", 1)
        self.network.flush()

    def test_callAfterFirstRanOut(self) -> None:
        """A call's peer is told of the second, and its requests go there, too."""
        self.movesToSecond(500)

    def test_callAfterFirstIsForbidden(self) -> None:
        """The same where no new call may come: it does not name where a router shows the first."""
        self.network.advance(11)
        self.reset(A)
        self.network.advance(2)
        self.router = ("203.0.113.7", 61000)
        for _ in range(2):
            self.assertEqual(self.flows()[-1], (A, "1"))
            self.grants(OUTBOUND)
        self.router = None
        self.movesToSecond(403)
        self.assertFalse(self.trunk.side.up)

    def movesToSecond(self, status: int) -> None:
        """A call that came over A, which then answers REGISTER so, goes on over B."""
        self.calledIn("carrier.example", status)
        self.assertEqual((set(self.at("INVITE")), self.at("BYE")), ({B}, [B]))
        [contact] = self.requests("INVITE")[0].contacts
        self.assertIn(f":{self.connection(B).peer.port};", str(contact.uri))

    def test_callAtCertainServer(self) -> None:
        """One whose peer or first proxy names the server of the first flow is asked there."""
        self.calledIn(f"{A}:5061")
        self.assertEqual(self.at("BYE"), [A])

    def test_callStaysAtItsServer(self) -> None:
        """One that we placed over the first stays with the server that has it while that is connected."""
        near, _, accepted = self.outboundCall()
        self.runsOut()
        self.pbx.within(near, accepted, "BYE", 2)
        self.network.flush()
        self.assertEqual(self.at("BYE"), [A])

    def test_callWhileFirstIsNotRegistered(self) -> None:
        """What belongs to a call goes over the second while the first is connected and no more."""
        near, _, accepted = self.outboundCall()
        self.network.advance(11)
        self.reset(A)
        self.network.advance(0.1)
        self.assertEqual(self.at("INVITE"), [A, B])
        self.accepts(SAVP)
        self.network.advance(2)
        self.assertEqual(self.at("BYE"), [])
        self.assertEqual(self.flows()[2:], [(A, "1")])
        self.assertIsNotNone(self.trunk.flows.current())
        self.pbx.within(near, accepted, "BYE", 2)
        self.network.flush()
        self.assertEqual(self.at("BYE"), [B])

    def test_secondIsThereFirst(self) -> None:
        """Both were lost, and the second is registered before the first: a call's peer is told at once."""
        self.outboundCall()
        self.network.advance(11)
        self.reset(B)
        self.reset(A)
        self.network.advance(2)
        self.assertEqual(self.flows()[2:], [(A, "1")])
        self.answers(500, ("Retry-After", "600"))
        self.assertFalse(self.trunk.side.up)
        before = len(self.flows())
        for _ in range(40):
            if len(self.flows()) == before:
                self.network.advance(1)
        self.assertEqual((self.flows()[before:], self.at("INVITE")), ([(B, "2")], [A]))
        self.grants(OUTBOUND)
        self.network.advance(0.1)
        self.assertEqual(self.at("INVITE"), [A, B])
        _, refreshed = self.asked("INVITE")[-1]
        self.assertIsNotNone(refreshed.toAddress.tag)
        self.assertIn(f":{self.connection(B).peer.port};", refreshed.header("Contact") or "")

    def called(self) -> tuple[str, int | None]:
        """The server that a new call goes to, and the port of ours that it is to be reached at."""
        self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        host, request = self.asked("INVITE")[-1]
        [contact] = request.contacts
        assert isinstance(contact.uri, SIPURI)
        self.assertIn("ob", contact.uri.params)
        return host, contact.uri.port

    def test_firstMoves(self) -> None:
        """It comes to the server of the second, which then goes to another."""
        self.reset(A)
        self.network.advance(2)
        self.assertEqual(self.flows()[2:], [(B, "1")])
        self.grants(OUTBOUND)
        while len(self.flows()) == 3:
            self.network.advance(1)
        self.assertEqual(self.flows()[3:], [(A, "2")])
        self.grants(OUTBOUND)
        self.assertEqual(self.trunk.status()["secondPeer"], f"tls:{A}:5061")
        self.assertEqual([each.localAddress.host for each in self.connections], [B, A])

    def test_secondIsLost(self) -> None:
        """Nobody notices; a while later there is another."""
        self.outboundCall()
        self.reset(B)
        self.assertTrue(self.trunk.side.up)
        self.assertIsNone(self.trunk.status()["secondPeer"])
        self.network.advance(RETRY_SECONDS - 1)
        self.assertEqual(len(self.flows()), 2)
        self.network.advance(2)
        self.assertEqual(self.flows()[2:], [(B, "2")])
        self.assertEqual(self.at("INVITE"), [A])
        self.grants(OUTBOUND)
        self.assertEqual(self.trunk.status()["secondPeer"], f"tls:{B}:5061")

    def test_bothAreLost(self) -> None:
        """Then it is down, as with one, and comes back by the first."""
        self.network.unlisten(A, 5061)
        self.network.unlisten(B, 5061)
        self.reset(A)
        self.assertTrue(self.trunk.side.up)
        self.reset(B)
        self.assertFalse(self.trunk.side.up)
        self.serve()
        self.recovers()
        self.assertEqual(self.flows()[-1], (A, "1"))

    def test_otherFlowIsLeft(self) -> None:
        """An answer that lists both flows makes none of them taken back."""
        both = [request.contacts[0] for request in self.requests("REGISTER")]
        listed = [("Contact", str(each.replace(params=each.params.with_("expires", "60")))) for each in both]
        before = len(self.flows())
        while len(self.flows()) == before:
            self.network.advance(10)
        self.answers(200, *listed, OUTBOUND)
        for request in self.requests("REGISTER"):
            self.assertNotIn("expires=0", request.header("Contact") or "")

    def test_refused(self) -> None:
        """A registrar that wants no second flow any more: calls go over the first."""
        self.network.advance(1)
        self.reset(B)
        self.network.advance(RETRY_SECONDS + 1)
        self.assertEqual(self.flows()[-1], (B, "2"))
        self.answers(403)
        self.assertTrue(self.trunk.side.up)
        self.assertIsNone(self.trunk.status()["secondPeer"])
        self.assertFalse(self.trunk.status()["alarm"])
        self.reset(A)
        self.assertFalse(self.trunk.side.up)

    def test_stop(self) -> None:
        """Both are taken back, and both connections closed."""
        stopped = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.assertEqual(sorted(self.flows()[-2:]), [(A, "1"), (B, "2")])
        for transaction in self.carrier.transactions[-2:]:
            self.assertNoResult(stopped)
            transaction.respond(responseTo(transaction.request, 200, toTag="carrier"))
            self.network.flush()
        self.network.advance(0.1)
        self.successResultOf(stopped)
        for request in self.requests("REGISTER")[-2:]:
            self.assertIn("expires=0", request.header("Contact") or "")
        self.assertEqual(self.connections, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopMute(self) -> None:
        """
        Nobody answers any more: neither flow takes the other's time, and all is over after two seconds, which
        is said in plain words.
        """
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        stopped = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.assertEqual(sorted(self.flows()[-2:]), [(A, "1"), (B, "2")])
        self.network.advance(UNREGISTER_SECONDS)
        self.network.flush()
        self.successResultOf(stopped)
        self.assertEqual(self.connections, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        [line] = [each for each in map(eventAsText, events) if "not unregistered" in each]
        self.assertTrue(line.endswith(": not unregistered: no answer within 2 s"), line)

    def test_callStaysBehind(self) -> None:
        """A call over the second flow, which goes to another server: its peer is told where to go now."""
        self.reset(A)
        self.outboundCall()
        self.assertEqual(self.at("INVITE"), [B])
        for wanted in ((B, "1"), (A, "2")):
            for _ in range(40):
                if self.flows()[-1] != wanted:
                    self.network.advance(1)
            self.assertEqual(self.flows()[-1], wanted)
            self.grants(OUTBOUND)
        self.network.advance(1)
        self.assertEqual(self.at("INVITE"), [B, B])
        _, refreshed = self.asked("INVITE")[-1]
        self.assertIsNotNone(refreshed.toAddress.tag)

    def test_connectedAlready(self) -> None:
        """A connection that a call has made to the other server becomes the second flow, again and again."""
        self.reset(B)
        [target] = [each for each in self.trunk.flows.known if each.host == B]
        for _ in range(2):
            self.trunk.flows.channelTo(target)
            before = len(self.flows())
            for _ in range(40):
                if len(self.flows()) == before:
                    self.network.advance(1)
            self.assertEqual(self.flows()[before:], [(B, "2")])
            self.grants(OUTBOUND)
            self.assertEqual(self.trunk.status()["secondPeer"], f"tls:{B}:5061")
            self.reset(B)
