"""
A whole dialog manager between two neighbours made of memory: a PBX over UDP or TCP and a carrier over
TLS.  A test plays the neighbours' messages, and reads what was sent to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from skypetrunk.core.dialogs import DialogManager
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.errors import MalformedMessage, NoTarget, PortsExhausted
from skypetrunk.interfaces import (
    ANY_PATH,
    CallEnded,
    CallRequest,
    DeclaredKeys,
    ICallPolicy,
    ICarrierProfile,
    IChannelFinder,
    IDialogObserver,
    IMediaLeg,
    IMediaPlane,
    IMessageChannel,
    INumberPlan,
    LegStatistics,
    MediaAddress,
    MediaPath,
)
from skypetrunk.interfaces import DirectionStatistics as Directions
from skypetrunk.testing import MemoryCredentials, RecordingChannel, countingToken
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.message import Header, Request, Response, parseMessage, responseTo
from skypetrunk.wire.sdes import MasterKey
from skypetrunk.wire.uri import SIPURI, parseURI

PCMA = "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
OTHER_KEY = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
SAVP = f"m=audio 6000 RTP/SAVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"


def sdp(media: str = PCMA, host: str = "192.0.2.10", version: int = 1) -> bytes:
    """A peer's session description."""
    return (
        f"v=0\r\no=peer 77 {version} IN IP4 {host}\r\ns=marker-session\r\nc=IN IP4 {host}\r\nt=0 0\r\n{media}"
    ).encode()


@implementer(IMediaLeg)
class RecordingMediaLeg:
    """
    A media leg without sockets: C{events} holds what was asked of it.

    @ivar heard: what it is to have seen of its peer.
    """

    def __init__(self, name: str, secure: bool, port: int) -> None:
        self.name = name
        self.secure = secure
        self.address = MediaAddress("198.51.100.1", port, port + 1)
        self.events: list[tuple[object, ...]] = []
        self.joined: RecordingMediaLeg | None = None
        self.calling = False
        self.call = ""
        self.path = ANY_PATH
        self.released = False
        self.lost = False
        self.unheard = False
        self.keysHeard: Callable[[str], None] | None = None
        self.heard = Directions()

    def setRemote(self, address: MediaAddress | None) -> None:
        """Record it."""
        self.events.append(("remote", address))

    def setFax(self, address: MediaAddress | None) -> None:
        """Record it."""
        self.events.append(("fax", address))

    def setSending(self, sending: bool) -> None:
        """Record it."""
        self.events.append(("sending", sending))

    def setPayloadTypes(self, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """Record it."""
        self.events.append(("payload types", frozenset({**theirs, **ours})))
        self.events.append(("numbers", (tuple(ours.items()), tuple(theirs.items()))))

    def hearKeys(self, heard: Callable[[str], None] | None) -> None:
        """Keep it."""
        self.keysHeard = heard

    def sendKey(self, key: str, milliseconds: int) -> None:
        """Record it."""
        self.events.append(("key", (key, milliseconds)))

    def setPacketTime(self, milliseconds: int | None) -> None:
        """Record it."""
        self.events.append(("packet time", milliseconds))

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """Record it.  A key that was lost with its context brings nothing back."""
        if not any(event[0] == "local" and event[2] == key for event in self.events):
            self.lost = False
        self.events.append(("local", suite, key, *([] if ssrc is None else [ssrc])))

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """Record it."""
        self.events.append(("remote key", suite, key, *([declared] if declared else [])))

    def setClear(self) -> None:
        """Record it, where it could be otherwise."""
        if self.secure:
            self.events.append(("clear", True))

    def last(self, name: str) -> object:
        """The last value of one kind."""
        return [event[1] for event in self.events if event[0] == name][-1]

    def statistics(self) -> LegStatistics:
        """Nothing was seen but what was C{heard}."""
        fax = any(event[0] == "fax" for event in self.events)
        return LegStatistics(self.name, self.secure, None, self.heard, Directions(), fax=fax)

    def release(self) -> LegStatistics:
        """Record it."""
        self.released = True
        return self.statistics()


@implementer(IMediaPlane)
class RecordingMediaPlane:
    """A media plane without sockets."""

    def __init__(self) -> None:
        self.legs: list[RecordingMediaLeg] = []
        self.left = 1000

    def allocate(self, name: str, secure: bool, path: MediaPath = ANY_PATH) -> RecordingMediaLeg:
        """The next pair of ports, as long as any are C{left}."""
        if not self.left:
            raise PortsExhausted("no media ports left")
        self.left -= 1
        leg = RecordingMediaLeg(name, secure, 20000 + 2 * len(self.legs))
        leg.path = path
        self.legs.append(leg)
        return leg

    def join(self, caller: IMediaLeg, called: IMediaLeg, call: str) -> None:
        """Record it."""
        assert isinstance(caller, RecordingMediaLeg) and isinstance(called, RecordingMediaLeg)
        caller.joined, called.joined = called, caller
        caller.calling, called.calling = True, False
        caller.call = called.call = call

    @property
    def open(self) -> int:
        """Legs not released."""
        return sum(not leg.released for leg in self.legs)


@implementer(ICarrierProfile)
@frozen
class Profile:
    """The profile of the carrier of these tests."""

    name: str = "test"
    domain: str | None = "carrier.example"
    register: bool = True
    expires: int = 300
    suites: tuple[str, ...] = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
    calledFrom: str = "request-uri"
    fromUser: str = "account"
    numberForm: str = "as-dialled"
    callerForm: str = "as-dialled"
    inboundForm: str = "as-dialled"
    callerFrom: str = "from"
    callerHeader: str = "none"
    anonymous: str = "from"
    diversion: str = "none"
    wildcards: bool = False
    staticRSA: bool = False
    ownName: bool = False
    userPhone: bool = False
    uriParameters: Parameters = Parameters()
    mediasec: bool = False


@implementer(INumberPlan)
class Plan:
    """112 is an emergency number, also behind a 9."""

    def isEmergency(self, called: str) -> bool:
        """112 or 9112."""
        return called in ("112", "9112")

    def normalise(self, called: str) -> str:
        """00 becomes a plus."""
        return "+" + called[2:] if called.startswith("00") else called


@implementer(ICallPolicy)
class Policy:
    """Admits all, or as told."""

    def __init__(self) -> None:
        self.result: Callable[[CallRequest], Deferred[None] | None] = lambda request: None

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """As told."""
        return self.result(request)


@implementer(IDialogObserver)
class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []
        self.ended: list[CallEnded] = []
        self.media: list[Sequence[LegStatistics]] = []

    def callStarted(self, request: CallRequest) -> None:
        """Record it."""
        self.events.append(("started", request))

    def callAnswered(self, call: str) -> None:
        """Record it."""
        self.events.append(("answered", call))

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """Record it."""
        self.events.append(("ended", ended.cause))
        self.ended.append(ended)
        self.media.append(media)


@implementer(IChannelFinder)
class Finder:
    """Leads to one channel, or to its sibling for another host; keeps each URI that was asked for."""

    def __init__(self, channel: RecordingChannel) -> None:
        self.channel = channel
        self.asked: list[str] = []
        self.down = False
        self.waiting: list[Deferred[IMessageChannel]] | None = None

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """Fires at once, unless C{waiting} is a list or C{down} is set."""
        self.asked.append(str(uri))
        if self.down:
            return fail(NoTarget("nothing can be reached"))
        if self.waiting is not None:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        return succeed(self.channel)


class Neighbour:
    """
    A PBX or carrier played by a test.

    @ivar channel: what was sent to it.
    @ivar twist: set it, and it makes the octets of each message that the neighbour says.
    """

    def __init__(self, side: Side, channel: RecordingChannel, finder: Finder, host: str) -> None:
        self.side = side
        self.channel = channel
        self.finder = finder
        self.host = host
        self.twist: Callable[[Request | Response], bytes] | None = None
        self._numbers = count(1)
        self._branches = count(1)
        self._said: dict[tuple[str, int], Request] = {}

    def _via(self) -> str:
        branch = f"z9hG4bK{self.side.name}{next(self._branches)}"
        return f"SIP/2.0/{self.channel.peer.transport} {self.host}:5070;branch={branch};rport"

    def says(self, message: Request | Response) -> None:
        """A message of the neighbour, read from its octets."""
        if isinstance(message, Request) and message.method == "INVITE":
            self._said[message.callID, message.cseq.number] = message
        octets = message.encode() if self.twist is None else self.twist(message)
        try:
            read = parseMessage(octets, stream=self.channel.reliable)
        except MalformedMessage:
            # The transport layer answers it.
            if self.twist is None:
                raise
            return
        self.side.transactions.messageReceived(read, self.channel)

    def got(self) -> list[str | int]:
        """Methods and statuses sent to it since the last time, in order."""
        summary = self.channel.summary()
        self.channel.clear()
        return summary

    def take(self, kind: str | int) -> Request | Response:
        """The last message of this method or status that was sent to it."""
        for sent in reversed(self.channel.sent):
            m = sent.message
            if (m.method if isinstance(m, Request) else m.status) == kind:
                return m
        raise AssertionError(f"no {kind} among {self.channel.summary()}")

    def request(self, kind: str) -> Request:
        """The last request of this method."""
        message = self.take(kind)
        assert isinstance(message, Request)
        return message

    def response(self, status: int) -> Response:
        """The last response of this status."""
        message = self.take(status)
        assert isinstance(message, Response)
        return message

    def invite(
        self, uri: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = (), callID: str | None = None
    ) -> Request:
        """A new INVITE of the neighbour; it is said."""
        number = next(self._numbers)
        lines = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f'"Marker" <sip:1001@{self.host}>;tag=near{number}'),
            ("To", f"<{uri}>"),
            ("Call-ID", callID or f"marker-call-{number}@{self.host}"),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:1001@{self.host}:5070>"),
            *headers,
        ]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        request = Request("INVITE", uri, tuple(Header(*line) for line in lines), body)
        self.says(request)
        return request

    def ack(self, invite: Request, response: Response, body: bytes = b"") -> Request:
        """The ACK of a 2xx; it is said."""
        return self.within(invite, response, "ACK", invite.cseq.number, body)

    def ackRefusal(self, status: int) -> None:
        """The ACK of the last refusal with this status."""
        self.ackOf(self.response(status))

    def ackOf(self, refusal: Response) -> None:
        """The ACK of a refusal, hop by hop (RFC 3261 section 17.1.1.3)."""
        invite = self._said[refusal.callID, refusal.cseq.number]
        headers = invite.withHeader("To", refusal.header("To") or "").headers
        self.says(Request("ACK", invite.uri, _withMethod(headers, "ACK")))

    def cancel(self, invite: Request) -> None:
        """The CANCEL of an INVITE that the neighbour sent; it is said."""
        self.says(Request("CANCEL", invite.uri, _withMethod(invite.headers, "CANCEL")))

    def within(
        self,
        invite: Request,
        response: Response,
        method: str,
        number: int,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Request:
        """A request in the dialog that C{response} to the neighbour's C{invite} made; it is said."""
        target = str(response.contacts[0].uri)
        lines = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", invite.header("From") or ""),
            ("To", response.header("To") or ""),
            ("Call-ID", invite.callID),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:1001@{self.host}:5070>"),
            *headers,
        ]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        request = Request(method, target, tuple(Header(*line) for line in lines), body)
        self.says(request)
        return request

    def back(
        self,
        invite: Request,
        method: str,
        number: int,
        tag: str = "far",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        kind: str = "application/sdp",
    ) -> Request:
        """A request of the neighbour in the dialog of an INVITE that it took; it is said."""
        lines = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f"{invite.header('To')};tag={tag}"),
            ("To", invite.header("From") or ""),
            ("Call-ID", invite.callID),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:far@{self.host}:5071>"),
            *headers,
        ]
        if body:
            lines.append(("Content-Type", kind))
        request = Request(method, str(invite.contacts[0].uri), tuple(Header(*line) for line in lines), body)
        self.says(request)
        return request

    def answers(
        self,
        request: Request,
        status: int,
        body: bytes = b"",
        tag: str = "far",
        headers: Sequence[tuple[str, str]] = (),
        contact: str | None = None,
    ) -> Response:
        """The neighbour's response; it is said."""
        lines = list(headers)
        if request.method == "INVITE" and status < 300:
            lines.append(("Contact", contact or f"<sip:far@{self.host}:5071>"))
        if body:
            lines.append(("Content-Type", "application/sdp"))
        response = responseTo(request, status, None, lines, body, toTag=None if status == 100 else tag)
        self.says(response)
        return response


def _withMethod(headers: Sequence[Header], method: str) -> tuple[Header, ...]:
    """Headers of an INVITE for its ACK or CANCEL: the same without body and with another method in CSeq."""
    return tuple(
        Header(name, value.replace("INVITE", method) if name == "CSeq" else value)
        for name, value in headers
        if name != "Content-Type"
    )


class CallNet:
    """
    The dialog manager and its neighbours.

    @ivar pbx: over UDP unless told otherwise.
    @ivar carrier: over TLS.
    """

    def __init__(self, pbxTransport: str = "udp", second: bool = False, limit: int | None = None) -> None:
        self.clock = Clock()
        token = countingToken()
        self.plane = RecordingMediaPlane()
        self.policy = Policy()
        self.observer = Observer()
        self._entropy = count(1)
        self.manager = DialogManager(
            self.clock,
            Timers(),
            token,
            self._random,
            self.plane,
            Plan(),
            self.policy,
            self,
            [self.observer],
        )
        self.profile = Profile()
        local = f"{pbxTransport}:198.51.100.1:5060"
        channel = RecordingChannel(self.clock, f"{pbxTransport}:192.0.2.10:5070", local)
        finder = Finder(channel)
        address = parseURI("sip:192.0.2.10:5070")
        ours = parseURI("sip:198.51.100.1:5060")
        assert isinstance(address, SIPURI) and isinstance(ours, SIPURI)
        self.pbx = Neighbour(PBXSide("office", finder, address, ours), channel, finder, "192.0.2.10")
        self.carrier = self._trunk("carrier", "203.0.113.1", limit)
        self.second = self._trunk("second", "203.0.113.2", None) if second else None
        for neighbour in (self.pbx, self.carrier, self.second):
            if neighbour is not None:
                neighbour.side.transactions = Transactions(self.clock, neighbour.side, token)
                self.manager.addSide(neighbour.side)

    def _trunk(self, name: str, host: str, limit: int | None) -> Neighbour:
        channel = RecordingChannel(self.clock, f"tls:{host}:5061", "tls:198.51.100.2:40000")
        finder = Finder(channel)
        side = TrunkSide(
            name,
            finder,
            "carrier.example",
            "account",
            self.profile,
            Plan(),
            MemoryCredentials({"carrier.example": ("account", "s3cret")}),
            self.profile.suites,
            limit,
        )
        side.up = True
        return Neighbour(side, channel, finder, host)

    def _random(self, octets: int) -> bytes:
        return next(self._entropy).to_bytes(octets, "big")

    def destinations(self, source: str, called: str) -> Sequence[Side]:
        """From the PBX to the trunks, from a trunk to the PBX; 404 has no route."""
        if called == "404":
            return ()
        if source == "office":
            return [n.side for n in (self.carrier, self.second) if n is not None]
        return [self.pbx.side]

    def leftovers(self) -> dict[str, int]:
        """What still exists; all zero when every call is over."""
        neighbours = [n for n in (self.pbx, self.carrier, self.second) if n is not None]
        return {
            "calls": self.manager.callCount(),
            "dialogs": self.manager.dialogCount,
            "media": self.plane.open,
            "transactions": sum(n.side.transactions.pending for n in neighbours),  # type: ignore[attr-defined]
            "timers": len(self.clock.getDelayedCalls()),
            "legs": sum(n.side.calls for n in neighbours),
            "refers": sum(n.side.refers for n in neighbours),
        }

    def outboundCall(self, body: bytes | None = None, answer: bytes | None = None) -> tuple[Request, Request]:
        """A call of the PBX, answered: the PBX's INVITE and the carrier's."""
        near = self.pbx.invite("sip:+4420@198.51.100.1", sdp() if body is None else body)
        far = self.carrier.request("INVITE")
        self.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9") if answer is None else answer)
        self.pbx.ack(near, self.pbx.response(200))
        return near, far

    def inboundCall(self) -> tuple[Request, Request]:
        """A call of the carrier, answered: the carrier's INVITE and the PBX's."""
        near = self.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", sdp(SAVP, "203.0.113.9"))
        far = self.pbx.request("INVITE")
        self.pbx.answers(far, 200, sdp())
        self.carrier.ack(near, self.carrier.response(200))
        return near, far

    def settle(self) -> None:
        """Let every timer of finished calls run out; peers say nothing any more."""
        for _ in range(1000):
            waiting = self.clock.getDelayedCalls()
            if not waiting:
                return
            self.clock.advance(max(min(call.getTime() for call in waiting) - self.clock.seconds(), 0.0))
