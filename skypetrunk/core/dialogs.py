"""
The dialog manager: takes every request of every side, finds the dialog it belongs to, and makes
a new call of an INVITE that belongs to none (RFC 3261 sections 8.2 and 12.2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.answers import NO_CIRCUIT, reasonHeader, refusalHeaders
from skypetrunk.core.bridge import Bridge
from skypetrunk.core.capabilities import ACCEPT, ALLOW, SERVER, SUPPORTED, notTaken, refusalOf
from skypetrunk.core.diagnosis import CallMedia
from skypetrunk.core.emergency import isEmergencyCall
from skypetrunk.core.identity import Caller
from skypetrunk.core.key_lifetime import KeyWatch
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.leg_table import LegTable
from skypetrunk.core.lost_media import LostMedia
from skypetrunk.core.redirection import Redirector
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.replacing import Replacing
from skypetrunk.core.routes import Routes
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.silence import SilenceWatch
from skypetrunk.core.timers import Timers
from skypetrunk.core.transferable import Transferable
from skypetrunk.core.transfers import Transfers
from skypetrunk.errors import CallRefused, PortsExhausted, RemoteError
from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    ICallPolicy,
    IDialogManager,
    IDialogObserver,
    IMediaPlane,
    IMessageChannel,
    INumberPlan,
    IServerTransaction,
    LegStatistics,
)
from skypetrunk.wire.message import Header, Request, Response, responseTo


@implementer(IDialogManager)
class DialogManager:
    """
    All calls of one process.

    @ivar emergencies: emergency calls that were sent back to the PBX's own line, and redirections and
        transfers to an emergency number.
    @ivar sides: by name.
    @ivar lostMedia: to be told when media legs are C{lost}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        timers: Timers,
        token: Callable[[], str],
        entropy: Callable[[int], bytes],
        plane: IMediaPlane,
        numbers: INumberPlan,
        policy: ICallPolicy,
        routes: Routes,
        observers: Sequence[IDialogObserver] = (),
        gate: ICallPolicy | None = None,
        silence: float = 0.0,
    ) -> None:
        """
        @param token: makes random text for tags, Call-IDs and the names of calls.
        @param entropy: random octets, as L{os.urandom}.
        @param gate: asked before anything is taken for a call, unlike C{policy}; it answers at once.
        @param silence: seconds without a packet from either side that end a call; 0 for none.
        """
        self._clock = clock
        self._legs = LegTable()
        register, unregister = self._legs.register, self._legs.unregister
        self._workshop = Workshop(clock, timers, token, entropy, register, unregister)
        self._token = token
        self._entropy = entropy
        self._plane = plane
        self._numbers = numbers
        self._policy = policy
        self._routes = routes
        self._gate = gate
        self._observers = tuple(observers)
        self.emergencies = 0
        self._redirector = Redirector(
            numbers, routes.destinations, policy, self.refusal, self._emergencyRefused
        )
        self._replacing = Replacing(self, policy, clock)
        self._transfers = Transfers(self, numbers, token, self._replacing)
        self.sides: dict[str, Side] = {}
        self._bridges: set[Bridge] = set()
        self._silence = SilenceWatch(clock, silence, lambda: self._bridges, self.sides.values)
        self._keys = KeyWatch(clock, lambda: self._bridges)
        self.lostMedia = LostMedia(clock, lambda: self._bridges)
        self._draining: Deferred[None] | None = None
        self._drainTimer: IDelayedCall | None = None

    def addSide(self, side: Side) -> None:
        """Take requests of C{side} from now on."""
        self.sides[side.name] = side
        side.manager = self

    # Requests

    def requestReceived(self, side: Side, transaction: IServerTransaction) -> None:
        """A new request from C{side}, neither ACK nor CANCEL."""
        try:
            self._take(side, transaction)
        except RemoteError as error:
            # A header that only we read, such as P-Called-Party-ID, breaks its grammar.
            self.refuse(side, transaction, error)

    def refuse(self, side: Side, transaction: IServerTransaction, error: RemoteError) -> None:
        """Answer a request that cannot be carried out."""
        request = transaction.request
        self._log.info("{side} sent {request}: {error}", side=side.name, request=request, error=error)
        headers = refusalHeaders(error) if isinstance(error, CallRefused) else ()
        transaction.respond(self._response(request, error.status or 400, headers))

    def _take(self, side: Side, transaction: IServerTransaction) -> None:
        request = transaction.request
        refusal = refusalOf(request, side.leastExpires)
        if refusal is not None:
            transaction.respond(self._response(request, *refusal))
        elif request.toAddress.tag is not None:
            if not self._legs.take(side, transaction):
                transaction.respond(self._response(request, 481))
        elif request.method == "INVITE":
            self._invited(side, transaction)
        elif request.method == "OPTIONS":
            transaction.respond(self._options(side, request))
        elif request.method == "REGISTER" and side.registrar is not None:
            transaction.respond(side.registrar(transaction))
        elif request.method in ("BYE", "PRACK", "INFO", "UPDATE", "NOTIFY"):
            transaction.respond(self._response(request, 481))
        elif request.method == "REFER":
            # Only a call can be transferred.
            transaction.respond(self._response(request, 403))
        else:
            transaction.respond(self._response(request, notTaken(request.method), [ALLOW]))

    def findLeg(self, side: Side, callID: str, localTag: str, remoteTag: str) -> Leg | None:
        """The leg of this dialog."""
        return self._legs.find(side, callID, localTag, remoteTag)

    def ackReceived(self, side: Side, request: Request) -> None:
        """The ACK of a 2xx."""
        self._legs.ackReceived(side, request)

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """An INVITE was cancelled."""
        if not self._legs.cancelled(transaction) and self._replacing.withdrawn(transaction):
            transaction.respond(self._response(transaction.request, 487))

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """An answer was lost, or has no way any more."""
        self._log.debug(
            "{method}: the answer was lost: {reason}", method=transaction.request.method, reason=str(reason)
        )
        if not self._legs.connectionLost(transaction.request):
            self._replacing.withdrawn(transaction)

    def _options(self, side: Side, request: Request) -> Response:
        """200 only while a call could leave, so that a PBX's own probe finds its fallback."""
        if isinstance(side, PBXSide):
            ways = self._routes.destinations(side.name, "")
            if self._draining is not None or not any(way.usable() for way in ways):
                return self._response(request, side.optionsUnusable)
        return self._response(request, 200, [ALLOW, SUPPORTED, ACCEPT])

    def _response(self, request: Request, status: int, headers: Sequence[Header] = ()) -> Response:
        lines = (*headers, SERVER)
        return responseTo(request, status, None, lines, toTag=self._token())

    # New calls

    def _invited(self, side: Side, transaction: IServerTransaction) -> None:
        request = transaction.request
        called = side.calledOf(request)
        if isinstance(side, PBXSide) and isEmergencyCall(request, self._numbers, called):
            # Before any rewriting, routing or policy: the PBX is to use its own line.
            self.emergencies += 1
            self._log.warn("an emergency call from {side} goes back to its own line", side=side.name)
            headers = [reasonHeader(NO_CIRCUIT, "emergency numbers never leave by this trunk")]
            transaction.respond(self._response(request, side.emergencyStatus, headers))
            return
        if self._draining is not None:
            transaction.respond(self._response(request, 503))
            return
        challenge = None if side.doorkeeper is None else side.doorkeeper(request)
        if challenge is not None:
            transaction.respond(challenge)
            return
        if request.header("Replaces") is not None:
            self._replacing.invited(side, transaction)
            return
        caller = side.callerOf(request)
        destinations = self._routes.destinations(side.name, called) if called else ()
        if not destinations:
            self._log.warn("no route for a call from {side} to {called}", side=side.name, called=called)
            transaction.respond(self._response(request, 404))
            return
        asked = CallRequest(
            call=self._token()[:8],
            caller=caller.user,
            called=called,
            source=side.name,
            destinations=tuple(dict.fromkeys(way.name for way in destinations)),
        )
        refusal = self.refusal(side, asked)
        if refusal is not None:
            self._respondRefused(transaction, asked, refusal)
            return
        bridge = self.newCall(asked, caller, side, destinations)
        try:
            bridge.start(transaction, max((request.maxForwards or 70) - 1, 0))
        except (RemoteError, PortsExhausted) as error:
            status = (error.status or 400) if isinstance(error, RemoteError) else 503
            self._log.warn("a call from {side} is refused: {reason}", side=side.name, reason=str(error))
            transaction.respond(self._response(request, status))
            self.bridgeEnded(bridge, CallEnded(asked.call, str(error), status, "trunk", 0.0), ())
            self.bridgeGone(bridge)

    def newCall(
        self, asked: CallRequest, caller: Caller, source: Side, destinations: Sequence[Side]
    ) -> Bridge:
        """A call that is admitted, not begun yet."""
        bridge = Bridge(
            asked,
            caller,
            source,
            destinations,
            self,
            self._workshop,
            self._plane,
            self._policy,
            self._entropy,
            self._redirector,
        )
        self._bridges.add(bridge)
        self._silence.begin()
        self._keys.begin()
        self._tell(lambda observer: observer.callStarted(asked))
        return bridge

    def refusal(self, side: Side, asked: CallRequest) -> CallRefused | None:
        """Why there is no room for this call, before anything is taken for it."""
        try:
            if self._gate is not None:
                self._gate.admit(asked)
        except CallRefused as refusal:
            return refusal
        return CallRefused("as many calls as allowed are up", 503, NO_CIRCUIT) if side.overfull else None

    def _emergencyRefused(self) -> None:
        self.emergencies += 1

    def emergencyRefused(self, side: Side) -> None:
        """A transfer to an emergency number was refused."""
        self.emergencies += 1
        self._log.warn("{side} transfers a call to an emergency number: that is refused", side=side.name)

    def destinations(self, source: Side, called: str) -> Sequence[Side]:
        """Where a call from C{source} may go."""
        return self._routes.destinations(source.name, called)

    def _respondRefused(
        self, transaction: IServerTransaction, asked: CallRequest, refusal: CallRefused
    ) -> None:
        status = refusal.status or 403
        self._log.warn(
            "a call from {source} to {called} is refused with {status}, cause {cause}: {reason}",
            source=asked.source,
            called=asked.called,
            status=status,
            cause=refusal.cause,
            reason=str(refusal),
        )
        transaction.respond(self._response(transaction.request, status, refusalHeaders(refusal)))

    # BridgeOwner

    def bridgeAnswered(self, bridge: Bridge) -> None:
        """Observers are told."""
        self._log.info("{call}: answered", call=bridge.request.call)
        self._tell(lambda observer: observer.callAnswered(bridge.request.call))

    def bridgeEnded(self, bridge: Bridge, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """Observers are told."""
        self._log.info(
            "{call}: ended by {by} after {duration:.1f} s: {cause}",
            call=ended.call,
            by=ended.by,
            duration=ended.duration,
            cause=ended.cause,
        )
        self._tell(lambda observer: observer.callEnded(ended, media))
        self._replacing.ended(bridge)

    def bridgeReferred(
        self, bridge: Transferable, referrer: Leg, transferee: Leg, refer: ReferServer
    ) -> None:
        """Refused, passed or carried out."""
        self._transfers.referred(bridge, referrer, transferee, refer)

    def bridgeGone(self, bridge: Bridge) -> None:
        """Forgotten; the last one ends a drain."""
        self._bridges.discard(bridge)
        if not self._bridges:
            self._silence.end()
            self._keys.end()
            self.lostMedia.end()
            self._drained()

    def _tell(self, tell: Callable[[IDialogObserver], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception:
                self._log.failure("the observer {observer!r} failed", observer=observer)

    def sideMoved(self, side: Side, channel: IMessageChannel) -> None:
        """C{side} is reached over another connection from now on."""
        self._legs.moved(side, channel, self._clock)

    # IDialogManager

    def callCount(self) -> int:
        """Calls in any state."""
        return len(self._bridges)

    @property
    def dialogCount(self) -> int:
        """Dialogs that requests can find; 0 when no call is up."""
        return len(self._legs)

    def media(self) -> dict[str, CallMedia]:
        """What is known of the media of each call, by the name of the call."""
        return {each.request.call: each.media() for each in self._bridges}

    def hangUp(self, call: str, cause: str) -> bool:
        """End one call from our side; false if there is none of that name."""
        for bridge in self._bridges:
            if bridge.request.call == call:
                bridge.hangUp(cause)
                return True
        return False

    def drain(self, seconds: float) -> Deferred[None]:
        """End every call; see L{IDialogManager}."""
        if self._draining is None:
            self._draining = Deferred()
            self._replacing.stop()
            for bridge in tuple(self._bridges):
                bridge.hangUp("the trunk is stopping")
            if not self._bridges:
                self._drained()
            else:
                self._drainTimer = self._clock.callLater(seconds, self._drained)
        return self._draining

    def _drained(self) -> None:
        if self._draining is None or self._draining.called:
            return
        if self._drainTimer is not None and self._drainTimer.active():
            self._drainTimer.cancel()
        self._draining.callback(None)
