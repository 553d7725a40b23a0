"""
A vendor's plug-ins, written against the public names only: interfaces, errors, wire's values, testing.

mypy with mypy-zope reads this file strictly; a joint that cannot be implemented as its annotations
say fails there.  L{tests.typing.test_vendor} runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    IPBX,
    AudioPacket,
    CallEnded,
    CallRecord,
    CallRequest,
    ICallPolicy,
    ICallRecordSink,
    ICarrierProfile,
    ICredentials,
    IDialogObserver,
    IMediaTap,
    IMediaTaps,
    INumberPlan,
    IPBXCall,
    IPBXCallUser,
    IPBXDialect,
    IPBXLine,
    IVendorPlugin,
    LegStatistics,
    TappedPacket,
)
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret


@implementer(INumberPlan)
class CampusNumbers:
    """Four digits are extensions, everything else is left alone."""

    def isEmergency(self, called: str) -> bool:
        """The gate house."""
        return called == "5555"

    def normalise(self, called: str) -> str:
        """Extensions of the campus."""
        return f"+4420794600{called[-2:]}" if len(called) == 4 else called


@implementer(ICallPolicy)
class OfficeHours:
    """Admits calls while the office is open; asks a directory about the others."""

    def __init__(self, clock: IReactorTime, opens: float) -> None:
        self._clock = clock
        self._opens = opens
        self.asked: list[Deferred[None]] = []

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """At once, later, or not at all."""
        if request.caller == "anonymous":
            raise CallRefused("anonymous callers are not served", 433, cause=21)
        if self._clock.seconds() >= self._opens:
            return None
        answer: Deferred[None] = Deferred()
        self.asked.append(answer)
        return answer


@implementer(ICredentials)
class Vault:
    """One account."""

    def find(self, realm: str) -> tuple[str, Secret] | None:
        """Only for our carrier."""
        return ("alice", Secret("open sesame")) if realm == "carrier.example" else None


@implementer(IDialogObserver)
class Journal:
    """
    Keeps a line for each call.

    @ivar lines: the journal.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def callStarted(self, request: CallRequest) -> None:
        """Who calls whom."""
        self.lines.append(f"{request.call}: {request.caller} calls {request.called}")

    def callAnswered(self, call: str) -> None:
        """Answered."""
        self.lines.append(f"{call}: answered")

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """How it ended, and whether it was encrypted."""
        secure = any(leg.secure and leg.received.authenticated for leg in media)
        self.lines.append(f"{ended.call}: {ended.cause}, {ended.duration:.0f} s{', SRTP' if secure else ''}")


@implementer(ICarrierProfile)
class RegionalCarrier:
    """A carrier that wants numbers with a plus, and knows its customers by their certificate."""

    name: str = "regional"
    domain: str | None = "sip.regional.example"
    register: bool = False
    expires: int = 600
    suites: tuple[str, ...] = ("AES_CM_128_HMAC_SHA1_80",)
    calledFrom: str = "p-called-party-id"
    fromUser: str = "caller"
    numberForm: str = "plus"
    callerForm: str = "plus"
    inboundForm: str = "plus"
    callerFrom: str = "p-asserted-identity"
    callerHeader: str = "p-asserted-identity"
    anonymous: str = "asserted"
    diversion: str = "none"
    wildcards: bool = False
    staticRSA: bool = False
    ownName: bool = False
    userPhone: bool = False
    uriParameters: Parameters = Parameters()
    mediasec: bool = False


@implementer(ICallRecordSink)
class Ledger:
    """
    Adds up what calls cost.

    @ivar minutes: begun ones of all calls to trunks.
    """

    def __init__(self) -> None:
        self.minutes = 0

    def record(self, record: CallRecord) -> Deferred[None]:
        """Begun minutes; calls that were never answered cost nothing."""
        if record.answered is not None:
            self.minutes += int(record.ended.duration // 60) + 1
        return succeed(None)


@implementer(IPBXDialect)
class Terse:
    """A PBX that reads no Server header, and writes the trunk group where the number belongs."""

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """The number stands in a header of its own."""
        number = message.header("X-Number")
        if isinstance(message, Request) and message.method == "INVITE" and number:
            return message.withURI(f"sip:{number}@trunk.example").withoutHeader("X-Number")
        return message

    def toPBX(self, message: Request | Response) -> Request | Response:
        """Short."""
        return message.withoutHeader("Server").withoutHeader("User-Agent")


@implementer(IPBXCallUser)
class Announcement:
    """
    One caller who is told something, twice at most.

    @ivar keys: what the caller pressed meanwhile.
    """

    def __init__(self, call: IPBXCall) -> None:
        self._call = call
        self.keys = ""

    def progressed(self, status: int) -> None:
        """Only of calls that are placed."""

    async def answered(self) -> None:
        """Play, and hang up."""
        silence = {"PCMA": b"\xd5", "PCMU": b"\xff"}[self._call.media.codec] * 160
        for _ in range(2):
            if not await self._call.media.play([silence] * 50):
                return
        self._call.hangUp()

    def mediaChanged(self) -> None:
        """The playing waits by itself."""

    def packetReceived(self, packet: AudioPacket) -> None:
        """Nobody listens."""

    def digitReceived(self, digit: str) -> Deferred[None]:
        """A star ends it."""
        self.keys += digit
        if digit == "*":
            self._call.hangUp()
        return succeed(None)

    def refused(self, refusal: CallRefused) -> None:
        """Only of calls that are placed."""

    def ended(self, cause: str) -> None:
        """Nothing is left to do."""


@implementer(IPBX)
class Announcements:
    """
    Tells the same to everybody.

    @ivar line: its way out, once it is attached.
    @ivar callers: those that were told.
    """

    line: IPBXLine

    def __init__(self) -> None:
        self.callers: list[Announcement] = []

    def attached(self, line: IPBXLine) -> None:
        """Keep it."""
        self.line = line

    def callReceived(self, call: IPBXCall) -> IPBXCallUser:
        """Nobody without a number."""
        if call.caller == "anonymous":
            raise CallRefused("anonymous callers are not served", 433, cause=21)
        call.answer()
        self.callers.append(Announcement(call))
        return self.callers[-1]


@implementer(IMediaTap)
class Meter:
    """
    How much each side of a call says.

    @ivar octets: of the caller, and of the called one.
    @ivar over: no more will come.
    """

    def __init__(self) -> None:
        self.octets = [0, 0]
        self.over = False

    def packetReceived(self, packet: TappedPacket) -> None:
        """Add it."""
        self.octets[0 if packet.fromCaller else 1] += len(packet.data)

    def ended(self) -> None:
        """That was all."""
        self.over = True


@implementer(IMediaTaps)
class Meters:
    """
    Listens to the calls of the office.

    @ivar meters: by call.
    """

    def __init__(self) -> None:
        self.meters: dict[str, Meter] = {}

    def tap(self, request: CallRequest) -> IMediaTap | None:
        """Not to others."""
        return self.meters.setdefault(request.call, Meter()) if request.source == "office" else None


@implementer(IPlugin, IVendorPlugin)
class LedgerPlugin:
    """What a dropin has."""

    name: str = "ledger"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """A ledger."""
        return Ledger()
