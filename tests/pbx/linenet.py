"""A dialog manager between a PBX of this process, with its real line, and a carrier played by a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from struct import pack
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IPBX, AudioPacket, IPBXCall, IPBXCallUser, IPBXLine
from skypetrunk.media import MediaPlane
from skypetrunk.pbx.line import PBX_URI, TRUNK_URI, Line
from skypetrunk.testing import countingToken
from skypetrunk.wire.message import Request
from tests.core.callnet import SAVP, CallNet, Plan, sdp
from tests.media.doubles import MemoryNetwork, entropy, rtp

OFFER = SAVP + "a=rtpmap:101 telephone-event/8000\r\n"
"""The audio of the carrier."""

SOUND = b"\xd5" * 160
"""A frame of silence, A-law."""


class Boom(Exception):
    """A mistake of a vendor."""


@implementer(IPBXCallUser)
class User:
    """
    Keeps what it is told, in C{events}.

    @ivar refusal: of a call that was placed.
    @ivar on: by event: what is done when it is told.
    """

    def __init__(self) -> None:
        self.events: list[object] = []
        self.refusal: CallRefused | None = None
        self.on: dict[str, Callable[[], Any]] = {}

    def _told(self, what: str, event: object) -> Awaitable[None] | None:
        self.events.append(event)
        result: Awaitable[None] | None = self.on[what]() if what in self.on else None
        return result

    def progressed(self, status: int) -> Awaitable[None] | None:
        """Record it."""
        return self._told("progressed", status)

    def answered(self) -> Awaitable[None] | None:
        """Record it."""
        return self._told("answered", "answered")

    def mediaChanged(self) -> Awaitable[None] | None:
        """Record it."""
        return self._told("mediaChanged", "changed")

    def packetReceived(self, packet: AudioPacket) -> Awaitable[None] | None:
        """Record it."""
        return self._told("packetReceived", packet.payload)

    def digitReceived(self, digit: str) -> Awaitable[None] | None:
        """Record it."""
        return self._told("digitReceived", f"key {digit}")

    def refused(self, refusal: CallRefused) -> Awaitable[None] | None:
        """Record it."""
        self.refusal = refusal
        return self._told("refused", ("refused", refusal.status))

    def ended(self, cause: str) -> Awaitable[None] | None:
        """Record it."""
        return self._told("ended", ("ended", cause))


@implementer(IPBX)
class Exchange:
    """
    Takes calls as told.

    @ivar calls: those that came in.
    @ivar users: of them.
    @ivar take: what is done with a call, before its user is returned.
    @ivar on: of the users of calls that come in.
    """

    line: IPBXLine

    def __init__(self) -> None:
        self.calls: list[IPBXCall] = []
        self.users: list[User] = []
        self.take: Callable[[IPBXCall], object] = lambda call: None
        self.on: dict[str, Callable[[], Any]] = {}

    def attached(self, line: IPBXLine) -> None:
        """Keep it."""
        self.line = line

    def callReceived(self, call: IPBXCall) -> IPBXCallUser:
        """As told."""
        self.calls.append(call)
        user = User()
        user.on = dict(self.on)
        self.users.append(user)
        return self.take(call) or user  # type: ignore[return-value]


class LineNet(CallNet):
    """
    The PBX is C{"attendant"}; the leg of the bridge beside it records what it is told.

    @ivar network: of the line's own media.
    """

    def __init__(self) -> None:
        super().__init__()
        token = countingToken()
        self.vendor = Exchange()
        self.network = MemoryNetwork()
        self.ends = MediaPlane(self.network, self.clock, "198.51.100.1", None, (30000, 30019), entropy())
        self.line = Line(
            "attendant",
            self.vendor,
            "acme",
            self.clock,
            Timers(),
            lambda: "x" + token(),
            self._random,
            Plan(),
            self.ends.endpoint,
        )
        self.side = PBXSide("attendant", self.line.finder, PBX_URI, TRUNK_URI)
        self.trunkTransactions = Transactions(self.clock, self.side, token)
        self.side.transactions = self.trunkTransactions
        self.seen: list[tuple[bool, object]] = []
        self.line.connect(
            self.trunkTransactions, lambda sent, message, channel: self.seen.append((sent, message))
        )
        self.manager.addSide(self.side)
        self.line.attach()

    def destinations(self, source: str, called: str) -> Sequence[Side]:
        """From the PBX to the carrier, and back."""
        if source == "carrier":
            return [self.side]
        return super().destinations("office", called)

    def turn(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(20):
            self.clock.advance(0)

    def incoming(self, body: bytes | None = None) -> Request:
        """An INVITE of the carrier."""
        offer = sdp(OFFER, "203.0.113.9") if body is None else body
        invite = self.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", offer)
        self.turn()
        return invite

    def answeredCall(self, body: bytes | None = None) -> tuple[Request, IPBXCall, User]:
        """A call of the carrier that was answered: its INVITE, and the vendor's two sides."""
        self.vendor.take = lambda call: call.answer()
        invite = self.incoming(body)
        self.carrier.ack(invite, self.carrier.response(200))
        self.turn()
        return invite, self.vendor.calls[-1], self.vendor.users[-1]

    def placedCall(self, called: str = "+4420") -> tuple[IPBXCall, User]:
        """A call of the vendor, on its way."""
        user = User()
        call = self.vendor.line.placeCall(called, "1001", user, "Marker")
        self.turn()
        return call, user

    def relayed(self, *packets: bytes) -> None:
        """The bridge's leg sends these to the line's only call."""
        port = min(self.network.ports)
        leg = self.plane.legs[0] if self.plane.legs[0].name.endswith("attendant") else self.plane.legs[1]
        for packet in packets:
            self.network.deliver(port, packet, (leg.address.host, leg.address.port))

    def left(self) -> dict[str, int]:
        """What still exists of all calls."""
        lefts = self.leftovers()
        lefts["transactions"] += self.trunkTransactions.pending + self.line.transactions.pending
        lefts["legs"] += self.side.calls
        return lefts | {"ends": self.ends.openPorts, "line": self.line.calls}


def sound(payload: bytes, payloadType: int = 8) -> bytes:
    """An RTP packet."""
    packet = rtp(1, payload=payload)
    return packet[:1] + bytes([payloadType]) + packet[2:]


def key(code: int, timestamp: int = 160) -> bytes:
    """The last packet of a key."""
    packet = rtp(1, timestamp=timestamp, payload=pack("!BBH", code, 0x8A, 800))
    return packet[:1] + bytes([101]) + packet[2:]


class LineCase(SynchronousTestCase):
    """One net; at the end of a test nothing may be left of its calls."""

    def setUp(self) -> None:
        """A net, and the log."""
        self.net = LineNet()
        self.vendor, self.carrier = self.net.vendor, self.net.carrier
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def settled(self) -> None:
        """Nothing is left but what was never there."""
        self.net.settle()
        self.assertEqual({name: count for name, count in self.net.left().items() if count}, {})

    def failures(self) -> list[str]:
        """What was logged of plugins that failed."""
        return [
            event["what"]
            for event in self.events
            if event.get("plugin") == "acme" and event["log_level"] is LogLevel.critical
        ]
