"""
Calls and the servers of a carrier (RFC 3263 section 4.3): real TLS in memory, a PBX and several servers that
the tests play.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from skypetrunk.core.servers import Servers
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    CallRequest,
    ICallAttempt,
    ICallTargets,
    IMessageChannel,
    IServerTransaction,
    Target,
)
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.message import Header, Request, parseMessage, responseTo
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import SAVP, sdp
from tests.net.certificates import dns, leaf
from tests.net.network import Listeners
from tests.service.carriernet import DOMAIN, CarrierCase
from tests.service.test_flow_loss import FlowLossCase

VECTORS = Path(__file__).parent.parent / "vectors" / "dns" / "cases.json"
A, B, C, D = (f"192.0.2.{number}" for number in range(1, 5))


class FailoverCase(FlowLossCase):
    """A trunk that is registered at A, with more servers beside."""

    targets: tuple[tuple[str, int], ...] = ((A, 5061), (B, 5061), (C, 5061))

    def setUp(self) -> None:
        """B takes calls, too."""
        super().setUp()
        self.serve((B, 5061))

    def call(self) -> Request:
        """The PBX calls."""
        invite = self.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.network.flush()
        return invite

    def invites(self, host: str = "") -> list[IServerTransaction]:
        """What was asked of one server, or of all."""
        return [
            each
            for each in self.carrier.transactions
            if each.request.method == "INVITE" and host in ("", each.channel.localAddress.host)
        ]

    def at(self, method: str) -> list[str]:
        """The servers that were asked by C{method}, in order."""
        found = [each for each in self.carrier.transactions if each.request.method == method]
        return [each.channel.localAddress.host for each in found]

    def held(self) -> dict[str, tuple[str, float]]:
        """Who is passed over, why, and for how long."""
        targets: Any = self.trunk.status()["targets"]
        return {each["target"][4:-5]: (each["reason"], each["penalty"]) for each in targets}

    def silence(self, host: str) -> Listeners:
        """A server with TLS, that hears and says nothing."""
        listeners = Listeners()
        self.serve((host, 5061), listeners)
        return listeners

    def deafen(self, host: str) -> None:
        """A server hears nothing more, on any connection."""
        for number, pump in enumerate(self.network.pumps):
            if pump.clientIO.getPeer().host == host:
                self.network.deafen(number)


class Counting:
    """Limits that refuse nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def refusal(self, name: str, request: CallRequest) -> CallRefused | None:
        """None."""
        return None

    def taken(self, name: str, request: CallRequest) -> None:
        """Count it."""
        self.names.append(name)

    def goesOn(self, call: str, name: str) -> bool:
        """It costs nothing."""
        return False

    def legEnded(self, call: str) -> None:
        """Nothing."""

    def legReplaced(self, call: str) -> None:
        """Nothing."""


@implementer(ICallTargets, ICallAttempt)
class Stranger:
    """One server, which has proved nothing."""

    def __init__(self, channel: RecordingChannel) -> None:
        self.channel = channel

    def attempt(self) -> ICallAttempt:
        """The only one."""
        attempt: ICallAttempt = self
        return attempt

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """There."""
        return succeed(self.channel)

    def stands(self) -> bool:
        """It does."""
        return True

    def another(self) -> bool:
        """None."""
        return False

    def answered(self) -> None:
        """Not looked at."""

    def silent(self, reason: str) -> None:
        """Not looked at."""

    def refused(self, reason: str, retryAfter: float | None) -> None:
        """Not looked at."""


class FollowTests(FailoverCase):
    """Calls go where the trunk is registered, and to the next server when that fails."""

    profile = "failover = [480]"

    def test_followed(self) -> None:
        """A call takes the registered connection."""
        self.call()
        self.assertEqual(self.at("INVITE"), [A])
        self.assertEqual(len(self.network.attempts), 1)

    def test_busy(self) -> None:
        """503: a new INVITE for the next server, with branch, Call-ID, tag and keys of its own."""
        self.call()
        self.answers(503)
        self.assertEqual(self.at("INVITE"), [A, B])
        first, second = (each.request for each in self.invites())
        self.assertNotEqual(first.callID, second.callID)
        self.assertNotEqual(first.fromAddress.tag, second.fromAddress.tag)
        self.assertNotEqual(first.topVia.branch, second.topVia.branch)
        keys = [request.body.split(b"inline:")[1][:40] for request in (first, second)]
        self.assertNotEqual(*keys)
        self.accepts(SAVP)
        self.assertIn(200, self.pbx.got())
        self.assertEqual([leg.released for leg in self.plane.legs], [False, True, False])
        self.assertEqual(self.held(), {})

    def test_byeGoesThere(self) -> None:
        """What belongs to the call goes to the server that has it; its Contact names only the domain."""
        invite = self.call()
        self.answers(503)
        self.accepts(SAVP)
        self.pbx.ack(invite, self.pbx.response(200))
        self.pbx.within(invite, self.pbx.response(200), "BYE", 2)
        self.network.flush()
        self.assertEqual(self.at("BYE"), [B])
        self.answers(200)

    def test_contactUnreachable(self) -> None:
        """A Contact of the carrier's inner network: the connection that the call began on is meant."""
        invite = self.call()
        self.answers(503)
        transaction = self.carrier.transactions[-1]
        lines = [Header("Contact", "<sip:far@10.0.0.9>"), Header("Content-Type", "application/sdp")]
        body = sdp(SAVP, "203.0.113.9")
        transaction.respond(responseTo(transaction.request, 200, None, lines, body, toTag="carrier"))
        self.network.flush()
        self.pbx.within(invite, self.pbx.response(200), "BYE", 2)
        self.network.flush()
        self.assertEqual(self.at("BYE"), [B])

    def test_otherConnectionStays(self) -> None:
        """The flow is made anew: a call that is with another server is not told of another place of ours."""
        invite = self.call()
        self.answers(503)
        self.accepts(SAVP)
        self.pbx.ack(invite, self.pbx.response(200))
        self.connections[0].abort("reset")
        self.network.flush()
        self.recovers()
        self.network.advance(1)
        self.assertEqual(self.at("INVITE"), [A, B])

    def test_retryAfter(self) -> None:
        """503 with Retry-After: no call goes there before; REGISTER stays where it is."""
        self.call()
        self.answers(503, ("Retry-After", "120"))
        self.answers(486)
        self.assertEqual(self.held(), {A: ("INVITE is answered 503 Service Unavailable", 120.0)})
        self.call()
        self.answers(486)
        self.network.advance(119)
        self.call()
        self.answers(486)
        self.network.advance(1)
        self.call()
        self.assertEqual(self.at("INVITE"), [A, B, B, B, A])
        self.assertTrue(self.trunk.side.up)

    def test_twice(self) -> None:
        """The second 503 within half a minute counts against the server, whoever is called."""
        for _ in range(2):
            self.call()
            self.answers(503)
            self.answers(486)
        self.call()
        self.assertEqual(self.at("INVITE"), [A, B, A, B, B])
        self.answers(503)
        self.assertEqual(self.at("INVITE")[5:], [A], "the last resort")

    def test_everywhere(self) -> None:
        """RFC 3261 section 21.5.4: what no server takes fails, and no server is asked twice."""
        self.serve((C, 5061))
        self.call()
        for _ in range(3):
            self.answers(503)
        self.assertEqual(self.at("INVITE"), [A, B, C])
        self.assertIn(503, self.pbx.got())
        self.assertEqual(self.plane.open, 0)

    def test_documented(self) -> None:
        """What the profile names leads to the next server, and is not held against the first."""
        self.call()
        self.answers(480)
        self.assertEqual(self.at("INVITE"), [A, B])
        self.answers(404)
        self.assertIn(404, self.pbx.got())
        self.assertEqual(self.held(), {})

    def test_never(self) -> None:
        """404, 486 and 603 speak of the callee."""
        for status in (404, 486, 603, 500, 504):
            self.call()
            self.answers(status)
            self.assertNotIn(B, self.at("INVITE"), status)

    def test_broken(self) -> None:
        """The connection breaks under an INVITE: the next server gets one at once."""
        self.call()
        self.connections[0].abort("reset")
        self.network.flush()
        self.assertEqual(self.at("INVITE"), [A, B])

    def test_withdrawn(self) -> None:
        """The PBX hangs up while another server is being tried."""
        invite = self.call()
        self.answers(503)
        self.pbx.cancel(invite)
        self.network.flush()
        self.assertIn(("cancel",), self.carrier.events)
        self.answers(487)
        self.assertIn(487, self.pbx.got())
        self.assertEqual((self.plane.open, self.trunk.side.calls), (0, 0))

    def test_redirected(self) -> None:
        """Where a call was redirected its next server gets another Call-ID and tag all the same."""
        self.trunk.side.redirect = "follow"
        self.call()
        self.answers(302, ("Contact", f"<sip:+4421@{DOMAIN}>"))
        self.answers(503)
        self.assertEqual(self.at("INVITE"), [A, A, B])
        first, again, other = (each.request for each in self.invites())
        self.assertEqual(first.callID, again.callID)
        self.assertNotEqual(first.callID, other.callID)
        self.assertNotEqual(first.fromAddress.tag, other.fromAddress.tag)
        self.assertEqual((other.uri, other.cseq.number), (again.uri, 1))

    def test_countedOnce(self) -> None:
        """Limits count a call once, however many servers it tries."""
        guard = self.trunk.side.guard = Counting()
        self.call()
        self.answers(503)
        self.assertEqual(guard.names, ["carrier"])

    def test_recovered(self) -> None:
        """A server that answers a call is well again."""
        health = self.trunk.flows.health
        health.failed(Target(A, 5061, A), "INVITE is not answered", mute=True)
        for host in (B, C):
            health.failed(Target(host, 5061, host), "503", 3600)
        self.call()
        self.assertEqual(self.at("INVITE"), [A])
        self.assertIn(A, self.held())
        self.answers(180)
        self.assertNotIn(A, self.held())

    def test_verifiedOnly(self) -> None:
        """A way that is not verified is none (RFC 4568 section 7): nothing is sent there."""
        channel = RecordingChannel(self.reactor, "tcp:192.0.2.66:5060", "tcp:198.51.100.1:5060")
        self.assertFalse(channel.secure)
        self.trunk.side.servers = Servers(lambda: Stranger(channel), 4)
        self.call()
        self.assertEqual(channel.sent, [])
        self.assertIn(503, self.pbx.got())

    def test_statusUp(self) -> None:
        """A call that another server took counts once."""
        self.call()
        self.answers(503)
        self.assertEqual(self.trunk.side.calls, 1)


class RegisterTests(CarrierCase):
    """REGISTER and OPTIONS have the servers that calls have."""

    targets = ((A, 5061), (B, 5061))
    profile = "options_interval = 30"

    def setUp(self) -> None:
        """The first server has REGISTER and OPTIONS."""
        super().setUp()
        self.serve((B, 5061))
        self.start()
        self.assertEqual(self.places(), [("REGISTER", A), ("OPTIONS", A)])

    def places(self) -> list[tuple[str, str]]:
        """What was asked, and where."""
        return [(each.request.method, each.channel.localAddress.host) for each in self.carrier.transactions]

    def test_register(self) -> None:
        """A registrar that asks for a pause: the trunk registers at the next one, and calls would follow."""
        self.carrier.transactions.pop()
        self.answers(503, ("Retry-After", "120"))
        self.network.advance(1.1)
        self.assertEqual(self.places()[1:], [("REGISTER", B), ("OPTIONS", B)])
        self.answers(200)
        self.carrier.transactions.pop()
        self.grants()
        self.assertTrue(self.trunk.side.up)
        self.assertEqual(self.trunk.status()["peer"], f"tls:{B}:5061")

    def test_options(self) -> None:
        """The same for OPTIONS."""
        self.answers(503)
        self.network.advance(1.1)
        self.assertEqual(self.places()[2:], [("REGISTER", B), ("OPTIONS", B)])

    def test_silent(self) -> None:
        """And for a server that does not answer them."""
        self.network.advance(32)
        self.network.advance(1.1)
        self.assertEqual(self.places()[2:], [("REGISTER", B), ("OPTIONS", B)])


class SilentTests(FailoverCase):
    """A server that has TLS up and answers nothing."""

    def setUp(self) -> None:
        """A is mute: the trunk is registered there, and whatever comes next it does not hear."""
        super().setUp()
        self.deafen(A)
        self.invited = self.call()

    def test_next(self) -> None:
        """After four seconds the next server gets an INVITE; the silent one is passed over."""
        self.network.advance(3.9)
        self.assertEqual(self.at("INVITE"), [])
        self.network.advance(0.1)
        self.assertEqual(self.at("INVITE"), [B])
        self.assertEqual(self.held(), {A: ("INVITE is not answered", 15.0)})
        self.accepts(SAVP)
        self.assertIn(200, self.pbx.got())
        self.assertEqual(self.trunk.side.calls, 1)
        self.call()
        self.assertEqual(self.at("INVITE"), [B, B])

    def test_afterChallenge(self) -> None:
        """A server that asks for credentials, and leaves the INVITE with them without an answer."""
        health = self.trunk.flows.health
        health.failed(Target(A, 5061, A), "refused")
        self.pbx.cancel(self.invited)
        self.call()
        (asked,) = self.invites(B)
        challenge = Header("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=MD5, qop="auth"')
        asked.respond(responseTo(asked.request, 401, None, [challenge], toTag="x"))
        self.deafen(B)
        self.serve((C, 5061))
        self.network.flush()
        self.network.advance(4)
        self.assertEqual(self.at("INVITE"), [B, C])

    def test_alone(self) -> None:
        """With nowhere else to go an INVITE has until timer B."""
        for host in (B, C):
            self.trunk.flows.health.failed(Target(host, 5061, host), "503", 3600)
        self.network.advance(31)
        self.assertNotIn(408, self.pbx.got())
        self.network.advance(1.1)
        self.assertTrue({408, 480, 503} & set(self.pbx.got()))

    def test_cancelled(self) -> None:
        """The PBX hangs up before: nothing goes to the next server."""
        self.pbx.cancel(self.invited)
        self.network.advance(5)
        self.assertEqual(self.at("INVITE"), [])


class LateTests(FailoverCase):
    """A server that answers late what was taken to another one."""

    def setUp(self) -> None:
        """The others have failed: C has the INVITE, and said nothing; now A has one, as a last resort."""
        super().setUp()
        self.mute = self.silence(C)
        health = self.trunk.flows.health
        health.failed(Target(A, 5061, A), "refused")
        health.failed(Target(B, 5061, B), "refused")
        self.call()
        (octets,) = self.mute.heard
        request = parseMessage(octets)
        assert isinstance(request, Request)
        self.late = request
        self.network.advance(4)
        self.assertEqual(self.at("INVITE"), [A])

    def says(self, status: int, body: bytes = b"") -> list[str]:
        """C answers now; the methods that it hears then."""
        del self.mute.heard[:]
        lines = [Header("Contact", f"<sip:far@{C}>")]
        if body:
            lines.append(Header("Content-Type", "application/sdp"))
        response = responseTo(self.late, status, None, lines, body, toTag=None if status == 100 else "late")
        transport = self.mute.protocols[0].transport
        assert transport is not None
        transport.write(response.encode())
        self.network.flush()
        return re.findall(r"^([A-Z]+) sip:", b"".join(self.mute.heard).decode(), re.MULTILINE)

    def test_ringing(self) -> None:
        """A late 1xx gets CANCEL (RFC 3261 section 9.1)."""
        for status in (100, 180):
            with self.subTest(status):
                self.setUp()
                self.assertEqual(self.says(status), ["CANCEL"])
                self.assertEqual(self.says(487), ["ACK"])

    def test_accepted(self) -> None:
        """A late 2xx gets ACK and BYE (section 13.2.2.4); the call goes on at the other server."""
        self.assertEqual(self.says(200, sdp(SAVP)), ["ACK", "BYE"])
        self.accepts(SAVP)
        self.assertIn(200, self.pbx.got())
        self.assertEqual(self.trunk.side.calls, 1)

    def test_refused(self) -> None:
        """A late refusal is acknowledged, and is all."""
        self.assertEqual(self.says(486), ["ACK"])
        self.assertEqual(self.at("INVITE"), [A])

    def test_forgotten(self) -> None:
        """64*T1 after it was sent it is known no longer."""
        self.accepts(SAVP)
        self.network.advance(27.9)
        self.assertEqual(self.says(180), ["CANCEL"])
        self.setUp()
        self.accepts(SAVP)
        self.network.advance(28.1)
        self.assertEqual(self.says(200, sdp(SAVP)), [])


class BalanceTests(FailoverCase):
    """Each call goes to the server that comes first."""

    balance = True

    def register(self) -> None:
        """The trunk is registered at B, while A was down."""
        self.network.unlisten(A, 5061)
        self.connections[0].abort("reset")
        self.network.flush()
        self.recovers()
        self.serve((A, 5061))
        self.network.advance(16)

    def test_balanced(self) -> None:
        """A call goes to A although the trunk is registered at B, and the next takes the same connection."""
        self.register()
        self.call()
        self.answers(486)
        self.call()
        self.assertEqual(self.at("INVITE"), [A, A])
        self.assertEqual(len(self.connections), 2)

    def test_flow(self) -> None:
        """What comes next is where the trunk is registered: the call takes that connection."""
        self.register()
        self.network.unlisten(A, 5061)
        self.call()
        self.assertEqual(self.at("INVITE"), [B])
        self.assertEqual(len(self.connections), 1)

    def test_noneReached(self) -> None:
        """No server can be reached, and the flow has asked for a pause: the call is refused."""
        self.trunk.flows.health.failed(Target(A, 5061, A), "503", 60)
        self.network.unlisten(B, 5061)
        self.call()
        self.assertEqual(self.at("INVITE"), [])
        self.assertIn(503, self.pbx.got())


class VectorTests(FailoverCase):
    """C{tests/vectors/dns}, C{failover}: a call at A, B and C, while the trunk is registered at D."""

    targets = ((A, 5061), (B, 5061), (C, 5061), (D, 5061))
    balance = True
    hosts = {"a": A, "b": B, "c": C}

    def begin(self, case: dict[str, Any]) -> None:
        """The candidates do as the case says; the others take no calls."""
        self.setUp()
        for host in (A, B):
            self.network.unlisten(host, 5061)
        self.serve((D, 5061))
        self.connections[0].abort("reset")
        self.network.flush()
        self.recovers()
        self.network.advance(60)
        others = [D, *(host for name, host in self.hosts.items() if name not in case["candidates"])]
        for host in others:
            self.trunk.flows.health.failed(Target(host, 5061, host), "503", 3600)
        self.contact = C if case["id"] == "ack-2xx" else DOMAIN
        if self.contact == C:
            self.serve((C, 5061))
        self.outcomes = {self.hosts[name]: outcome for name, outcome in case["outcomes"].items()}
        for host, outcome in self.outcomes.items():
            if outcome.startswith("tls"):
                self.stranger = Listeners()
                self.serve((host, 5061), self.stranger, leaf(dns("other.example")))
            elif outcome.startswith("no answer"):
                self.silence(host)
            elif outcome != "tcp refused":
                self.serve((host, 5061))
        self.carrier.onRequest = self.plays
        self.before = len(self.network.attempts)

    def plays(self, transaction: IServerTransaction) -> None:
        """One server answers as the case says."""
        outcome = self.outcomes.get(transaction.channel.localAddress.host, "200")
        if transaction.request.method != "INVITE":
            transaction.respond(responseTo(transaction.request, 200, toTag="x"))
        elif outcome == "401" and transaction.request.header("Authorization") is None:
            challenge = Header("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=MD5, qop="auth"')
            transaction.respond(responseTo(transaction.request, 401, None, [challenge], toTag="x"))
        elif outcome[0].isdigit() and not outcome.startswith("100"):
            status, _, more = outcome.partition(" ")
            lines = [Header("Contact", f"<sip:far@{self.contact}>")]
            if more:
                lines.append(Header(*more.split(": ")))
            body = b""
            if status in ("200", "401"):
                status = "200"
                lines.append(Header("Content-Type", "application/sdp"))
                body = sdp(SAVP)
            transaction.respond(responseTo(transaction.request, int(status), None, lines, body, toTag="x"))

    def tried(self) -> list[str]:
        """The servers that this call went to."""
        names = {host: name for name, host in self.hosts.items()}
        found = [host for host, _ in self.network.attempts[self.before :]]
        return [names[host] for host in found if host != self.contact]

    def test_all(self) -> None:
        """Each case tries the candidates that it should, in order, and each its own rule."""
        cases = json.loads(VECTORS.read_text("utf-8"))["failover"]
        self.assertEqual(len(cases), 12)
        for case in cases:
            self.begin(case)
            invite = self.call()
            self.network.advance(20)
            self.assertEqual(self.tried(), case["tried"], case["id"])
            rule = getattr(self, "rule_" + case["id"].replace("-", "_"), None)
            if rule is not None:
                rule(invite)
            else:
                self.assertNotIn("then", case)

    def rule_tls_handshake_fails(self, invite: Request) -> None:
        """Never plain TCP, and nothing was said."""
        self.assertEqual(self.stranger.heard, [])

    def rule_503_retry_after(self, invite: Request) -> None:
        """A is not used again for 120 s."""
        self.network.advance(99)
        self.before = len(self.network.attempts)
        self.call()
        self.assertEqual(self.at("INVITE")[-1], B)
        self.network.advance(2)
        self.call()
        self.assertEqual(self.at("INVITE")[-2:], [A, B])

    def rule_503_all(self, invite: Request) -> None:
        """It fails."""
        self.assertIn(503, self.pbx.got())

    def rule_401(self, invite: Request) -> None:
        """The authenticated request goes to A as well."""
        self.assertEqual(self.at("INVITE"), [A, A])
        self.assertIn(200, self.pbx.got())

    def rule_cancel_same_server(self, invite: Request) -> None:
        """CANCEL and the ACK for a refusal go to A over the same connection."""
        events = self.carrier.events
        self.pbx.cancel(invite)
        self.network.flush()
        self.assertIn(("cancel",), events)
        (ringing,) = self.invites(A)
        ringing.respond(responseTo(ringing.request, 487, toTag="x"))
        self.network.flush()
        self.assertEqual(self.layer.pending, 0)
        self.assertEqual(len(self.network.attempts), self.before + 1)

    def rule_ack_2xx(self, invite: Request) -> None:
        """The ACK of the 2xx is located anew, from the Contact."""
        self.assertEqual(len(self.carrier.acks), 1)
        self.assertEqual([each.localAddress.host for each in self.connections[-2:]], [A, C])
