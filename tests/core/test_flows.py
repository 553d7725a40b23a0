"""
The call flows of RFC 3665 and RFC 5359, and our own, each played once for every user agent in it.

What does not pass yet is listed with its reason in C{tests/vectors/flows/exceptions.json}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.bindings import bindingsIn
from skypetrunk.core.options_ping import OptionsPing, makeOptions
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.register_request import RegisterRequests
from skypetrunk.core.registration import Registration
from skypetrunk.core.request_client import RequestClient
from skypetrunk.core.transactions import Transactions
from skypetrunk.net.signalling import StreamSignallingFactory
from skypetrunk.testing import (
    MemoryCredentials,
    RecordingChannel,
    RecordingTransactionUser,
    countingToken,
)
from skypetrunk.wire.digest import makeChallenge, parseCredentials, verify
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import Finder
from tests.core.flowplay import FlowFailed, Player, Step, inOrder, same
from tests.core.messages import answer
from tests.core.registrationplay import ACCOUNT, PASSWORD, Observer
from tests.core.transferplay import TransferPlayer
from tests.wire.vectors import checkAgainst, readJSON

FLOWS: list[dict[str, Any]] = readJSON("flows/flows.json")["flows"]

BINDINGS = ["<sip:desk@192.0.2.77>;expires=60", "<sip:bob@192.0.2.4>;expires=3600"]
"""What the registrar has."""

TRANSFERS = ("5359-2.4", "5359-2.5")

USER_AGENTS = ("alice", "bob", "carol", "b1", "b2", "trunk", "peer")


def problem(flow: dict[str, Any], actor: str) -> str | None:
    """What goes wrong with skypetrunk as C{actor}, over the flow's transports, TLS, and on a PBX's leg."""
    transports = dict.fromkeys((*flow["transport"].lower().split(" then "), "tls"))
    places = [("carrier", transport) for transport in transports] + [("pbx", "udp"), ("pbx", "tcp")]
    if flow["id"] == "3665-3.4" and actor == "alice":
        # UDP is the point of it, and a PBX has no second server.
        places = [("carrier", "udp")]
    if flow["id"] == "trunk-prack" and actor == "peer":
        # A PBX is sent reliable responses where it requires them: some support them in name only.
        places = [place for place in places if place[0] == "carrier"]
    for leg, transport in places:
        try:
            (TransferPlayer if flow["id"] in TRANSFERS else Player)(flow, actor, leg, transport).play()
        except FlowFailed as failed:
            return f"{leg} over {transport}: {failed}"
    return None


class Registering:
    """A registration flow with skypetrunk in the place of bob."""

    def __init__(self, flow: dict[str, Any]) -> None:
        self.steps: list[Step] = flow["steps"]
        self.clock = Clock()
        self.layer = Transactions(self.clock, RecordingTransactionUser(), countingToken())
        self.channel = RecordingChannel(self.clock, "tls:203.0.113.1:5061", "tls:198.51.100.1:40000")
        credentials = MemoryCredentials({"carrier": (ACCOUNT.user, PASSWORD)})
        self.registration = Registration(
            self.clock, self.layer, ACCOUNT, credentials, Observer(), countingToken(), lambda: 1.0
        )

    def play(self) -> None:
        """
        Do all steps.

        @raise FlowFailed: with the first that went otherwise.
        """
        shift: int | None = None
        sent: list[Request] = []
        first = self.steps[0]
        fresh = "header" not in first and "notes" not in first
        if not fresh:
            # It was registered before.
            self.registration.start(self.channel)
            self._answer(self.channel.requests[-1], 401)
            self._answer(self.channel.requests[-1], 200)
            self.channel.clear()
        for step in self.steps:
            notes = step.get("notes", [])
            if step["from"] == "registrar":
                self._answer(sent[-1], step["status"], *notes)
                continue
            if not self.channel.sent:
                if fresh:
                    self.registration.start(self.channel)
                else:
                    self.clock.advance(3600)
            if not self.channel.requests:
                raise FlowFailed(f"{step['n']}: no REGISTER is sent")
            request = self.channel.requests[0]
            self.channel.clear()
            number = int(step["cseq"].split()[0])
            shift = request.cseq.number - number if shift is None else shift
            same("CSeq", request.cseq.number - shift, number)
            self._check(step, request, sent)
            sent.append(request)
        if self.channel.sent:
            raise FlowFailed("another REGISTER at once")
        same("registered", self.registration.registered, self.steps[-1]["status"] == 200)

    def _check(self, step: Step, request: Request, before: list[Request]) -> None:
        same("method", request.method, "REGISTER")
        same("Request-URI", request.uri, f"sip:{request.toAddress.uri.host}")  # type: ignore[union-attr]
        if before:
            same("Call-ID", request.callID, before[-1].callID)
            same("From", request.header("From"), before[-1].header("From"))
            if request.topVia.branch == before[-1].topVia.branch:
                raise FlowFailed("the same branch")
        if "Authorization" in step.get("header", ""):
            credentials = parseCredentials(request.header("Authorization") or "")
            if not verify(credentials, Secret(PASSWORD), "REGISTER"):
                raise FlowFailed("Authorization proves nothing")
        for note in step.get("notes", []):
            if note == "no Contact":
                same("Contact", request.values("Contact"), ())
                same("Expires", request.header("Expires"), None)
            elif note == "Contact: * with Expires: 0":
                same("Contact", request.values("Contact"), ("*",))
                same("Expires", request.header("Expires"), "0")

    def _answer(self, request: Request, status: int, *notes: str) -> None:
        response = answer(request, status)
        if status == 401:
            response = response.addingHeader("WWW-Authenticate", makeChallenge("carrier", f"n{len(notes)}"))
        elif "all bindings" in notes:
            for listed in BINDINGS:
                response = response.addingHeader("Contact", listed)
        elif "no Contact" not in notes:
            if "two Contact headers" in notes:
                response = response.addingHeader("Contact", "<sip:desk@192.0.2.77>;expires=60")
            contact = request.contacts[0].replace(params=request.contacts[0].params.with_("expires", "3600"))
            response = response.addingHeader("Contact", str(contact))
        self.layer.messageReceived(response, self.channel)


class Asking(Registering):
    """The same, of one REGISTER beside those of the registration, as C{skypetrunk bindings} sends it."""

    def play(self) -> None:
        """See L{Registering.play}."""
        question, reply = self.steps
        requests = RegisterRequests(ACCOUNT, PublicAddress(), countingToken())
        request = requests.query() if "no Contact" in question["notes"] else requests.removalOfAll()
        told: list[Response | None] = []
        credentials = MemoryCredentials({"carrier": (ACCOUNT.user, PASSWORD)})
        client = RequestClient(
            request,
            self.layer,
            Finder(self.channel),
            Authentication(credentials, countingToken()),
            requests.nextSequence,
            lambda _, response: told.append(response),
        )
        client.start(SIPURI("sip", None, None, ACCOUNT.domain))
        (sent,) = self.channel.requests
        same("CSeq", str(sent.cseq), question["cseq"])
        self._check(question, sent, [])
        self._answer(sent, reply["status"], *reply["notes"])
        (response,) = told
        if response is None:
            raise FlowFailed("the answer is not taken")
        bindings = [str(each) for each in bindingsIn(response)]
        same("bindings", bindings, BINDINGS if "all bindings" in reply["notes"] else [])


def registering(flow: dict[str, Any]) -> str | None:
    """What goes wrong with a registration flow."""
    notes = flow["steps"][0].get("notes", [])
    beside = "no Contact" in notes or "Contact: * with Expires: 0" in notes
    try:
        (Asking if beside else Registering)(flow).play()
    except FlowFailed as failed:
        return str(failed)
    return None


def keepAlive(actor: str) -> str | None:
    """What goes wrong with the CRLF keep-alive of RFC 5626 section 4.4.1 on one connection."""
    clock = Clock()
    layer = Transactions(clock, RecordingTransactionUser(), countingToken())
    factory = StreamSignallingFactory(
        layer, clock, countingToken(), transport="TLS", secure=True, chance=lambda: 1.0
    )
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    transport = StringTransportWithDisconnection()
    transport.protocol = protocol
    protocol.makeConnection(transport)
    if actor == "peer":
        protocol.dataReceived(b"\r\n\r\n")
        return None if transport.value() == b"\r\n" else f"answered with {transport.value()!r}"
    protocol.pingsAnswered(None)
    for _ in range(5):
        clock.advance(120)
        if transport.value() != b"\r\n\r\n":
            return f"{transport.value()!r} after 120 s"
        transport.clear()
        clock.advance(9.9)
        protocol.dataReceived(b"\r\n")
        if transport.value() or transport.disconnecting:
            return "the pong is not understood"
    # The fact of the flow: "no pong within 10 s: the flow is dead".
    clock.advance(120)
    clock.advance(10)
    return "no pong within 10 s, and the connection stands" if transport.connected else None


class Living:
    """Keeps what an L{OptionsPing} tells."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.told: list[int | str] = []

    def pingAnswered(self, response: Response) -> None:
        """Record it."""
        self.told.append(response.status)

    def pingUnanswered(self) -> None:
        """Record it."""
        self.told.append("silence")


def optionsPing(flow: dict[str, Any]) -> str | None:
    """What goes wrong with OPTIONS from a trunk: each final answer is a sign of life, silence is none."""
    clock, living = Clock(), Living()
    layer = Transactions(clock, RecordingTransactionUser(), countingToken())
    channel = RecordingChannel(clock, "tls:203.0.113.1:5061", "tls:198.51.100.1:40000")
    target = SIPURI("sip", None, None, ACCOUNT.domain)
    caller = NameAddr(None, target.replace(user=ACCOUNT.user))
    ping = OptionsPing(
        living, clock, layer, lambda channel: makeOptions(caller, target, caller, countingToken()), 60
    )
    ping.start(channel)
    question, sign = flow["steps"]
    for status in (sign["status"], 404, 405, 503):
        if [request.method for request in channel.requests] != [question["method"]]:
            return f"{channel.summary()} is sent"
        layer.messageReceived(answer(channel.requests[0], status), channel)
        if living.told[-1:] != [status]:
            return f"{status} is not taken for a sign of life"
        channel.clear()
        clock.advance(60)
    clock.advance(32)
    return None if living.told[-1] == "silence" else "silence is not noticed within timer F"


def results() -> Iterator[tuple[str, str | None]]:
    """Each flow with each of its user agents that says anything."""
    for flow in FLOWS:
        for actor in flow["actors"]:
            if actor not in USER_AGENTS or all(step["from"] != actor for step in flow["steps"]):
                continue
            name = f"{flow['id']} as {actor}"
            if flow["id"] == "trunk-crlf-ping":
                yield name, keepAlive(actor)
            elif name == "trunk-options-ping as trunk":
                yield name, optionsPing(flow)
            elif "registrar" in flow["actors"]:
                yield name, registering(flow)
            else:
                yield name, problem(flow, actor)


class FlowTests(SynchronousTestCase):
    """All flows, and the player itself."""

    def test_flows(self) -> None:
        """Each step of each flow is sent, or taken, as the flow has it; at the end nothing is left."""
        seen = list(results())
        self.assertEqual({name.split(" as ")[0] for name, _ in seen}, {flow["id"] for flow in FLOWS})
        self.assertEqual(len(FLOWS), 26)
        checkAgainst(self, readJSON("flows/exceptions.json"), seen)

    def test_playerSees(self) -> None:
        """The player fails where a flow is not what happens: steps left out, added or changed."""
        flow = next(flow for flow in FLOWS if flow["id"] == "3665-3.2")
        steps = flow["steps"]
        mine = inOrder(steps, "alice")
        for number, change, wanted in (
            ("F4", {"branch": "new", "cseq": "3 INVITE"}, "F4: CSeq number is 2 instead of 3"),
            ("F15", {"method": "BYE"}, "F15: ACK instead"),
            ("F21", {"status": 481}, "F21: 200 instead"),
            ("F4", {"sdp": "none"}, "F4: SDP where none belongs"),
            ("F4", {"sdp": "offer a=sendonly"}, "F4: direction is 'sendrecv' instead of 'sendonly'"),
        ):
            changed = [{**step, **change} if step["n"] == number else step for step in steps]
            player = Player({**flow, "steps": changed}, "alice", "carrier", "tls")
            failed = self.assertRaises(FlowFailed, player.play)
            self.assertEqual(str(failed), wanted)
        without = [step for step in steps if step["n"] != "F3"]
        failed = self.assertRaises(
            FlowFailed, Player({**flow, "steps": without}, "alice", "carrier", "tls").play
        )
        self.assertEqual(str(failed), "F4: ACK instead")
        short = [step for step in steps if step is not mine[-1]]
        failed = self.assertRaises(
            FlowFailed, Player({**flow, "steps": short}, "alice", "carrier", "tls").play
        )
        self.assertEqual(str(failed), "not in the flow: [200]")
