"""
One call: two legs, and what crosses from one to the other.

An INVITE that comes in on one leg, first or re-INVITE, goes out on the other; answers, errors,
CANCEL and the end travel back.  Nothing else crosses: each leg has its own dialog and its own SDP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.core.answers import Answer, across, acrossStatus, refusalHeaders
from skypetrunk.core.bridge_owner import RINGING_SECONDS, BridgeOwner
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.destinations import Destinations, Verdict, Way, unusable
from skypetrunk.core.exchange import Exchange
from skypetrunk.core.identity import Caller
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.keys import SecurityDescriptions
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.redirection import Redirector
from skypetrunk.core.session import Session, description
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.update import UPDATE_SECONDS, UpdateServer
from skypetrunk.core.warning import warningOf, warningsAcross
from skypetrunk.errors import CallRefused, PortsExhausted, RemoteError
from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    ICallPolicy,
    IMediaPlane,
    IServerTransaction,
    LegStatistics,
)
from skypetrunk.wire.message import Header, Request, Response


class Bridge:
    """
    One call.

    @ivar request: who asked for what.
    """

    _log = Logger()

    def __init__(
        self,
        request: CallRequest,
        caller: Caller,
        source: Side,
        destinations: Sequence[Side],
        owner: BridgeOwner,
        workshop: Workshop,
        plane: IMediaPlane,
        policy: ICallPolicy,
        entropy: Callable[[int], bytes],
        redirector: Redirector,
    ) -> None:
        self.request = request
        self._source = source
        ways = [Way(side, caller, request) for side in destinations]
        self._destinations = Destinations(ways, lambda way: redirector.admit(way, source))
        self._redirector = redirector
        self._way: Way | None = None
        self._owner = owner
        self._workshop = workshop
        self._plane = plane
        self._policy = policy
        self._entropy = entropy
        self._near: Leg | None = None
        self._far: Leg | None = None
        self._legs: dict[LegClient, tuple[Side, ...]] = {}
        self._exchange: Exchange | None = None
        self._ringing: IDelayedCall | None = None
        self._answeredAt: float | None = None
        self._ended = False
        self._maxForwards = 70
        self._statistics: list[LegStatistics] = []

    # Setting up

    def start(self, transaction: IServerTransaction, maxForwards: int) -> None:
        """
        Take the INVITE that asks for the call.

        @raise PortsExhausted: no media ports.
        @raise RemoteError: the INVITE cannot be taken; it carries the status.
        """
        self._maxForwards = maxForwards
        near = self._makeLeg(self._source)
        try:
            server = near.invited(transaction)
        except RemoteError:
            near.session.media.release()
            self._forget(near)
            raise
        self._near = near
        self._exchange = Exchange(near, server)
        try:
            self._exchange.receiveOffer()
        except RemoteError as error:
            near.warn("the offer", error)
            self._refuse(error.status or 488, "caller", str(error), warningOf(error))
            return
        self._ringing = self._workshop.clock.callLater(RINGING_SECONDS, self._rangTooLong)
        admitted = maybeDeferred(self._policy.admit, self.request)
        admitted.addCallbacks(self._admitted, self._notAdmitted)
        admitted.addErrback(self._broken)

    def _admitted(self, result: None) -> None:
        if not self._ended:
            self._destinations.next(unusable(), self._place, self._giveUp)

    def _notAdmitted(self, failure: Failure) -> None:
        refusal = failure.value
        if isinstance(refusal, CallRefused):
            self._refuse(refusal.status or 403, "trunk", str(refusal), refusalHeaders(refusal))
        else:
            # Whatever went wrong in it: a policy that cannot say yes has said no.
            self._log.failure("{call}: the call policy failed", failure, call=self.request.call)
            self._refuse(500, "trunk", "the call policy failed")

    def _broken(self, failure: Failure) -> None:
        self._log.failure("{call}: cannot be placed", failure, call=self.request.call)
        self._refuse(500, "trunk", "internal error")
        self._hangUp()

    def _makeLeg(self, side: Side, forwarder: Side | None = None) -> Leg:
        media = self._plane.allocate(f"{self.request.call}/{side.name}", side.secure)
        keys = SecurityDescriptions(side.suites, self._entropy) if side.secure else None
        leg = Leg(self.request.call, side, Session(media, keys, self._entropy), self, self._workshop)
        # A PBX that sends the call on has one call as long as that is up.
        self._legs[leg] = (side,) if forwarder is None else (side, forwarder)
        for each in self._legs[leg]:
            each.calls += 1
        return leg

    def _forget(self, leg: LegClient) -> None:
        for side in self._legs.pop(leg):
            side.calls -= 1

    def _place(self, way: Way, addresses: CallAddresses) -> None:
        """Place the call at a destination that can take it."""
        exchange, side = self._exchange, way.side
        if exchange is None or self._near is None or self._ended:
            return
        try:
            far = self._makeLeg(side, way.forwarder)
        except PortsExhausted as error:
            self._giveUp(unusable(str(error)))
            return
        self._far, self._way = far, way
        if side.guard is not None:
            side.guard.taken(side.name, way.request)
        self._plane.join(self._near.session.media, far.session.media)
        offer = exchange.sendTo(far)
        self._log.info(
            "{call}: {source} calls {called} by way of {side}",
            call=way.request.call,
            source=way.request.source,
            called=way.request.called,
            side=side.name,
        )
        far.place(addresses, offer, max(self._maxForwards - self._destinations.redirections, 0))

    def _giveUp(self, verdict: Verdict) -> None:
        """There is no destination, or no other one."""
        self._refuse(verdict.answer.status, verdict.by, verdict.reason, verdict.answer.headers)

    def _across(self, status: int, response: Response | None) -> Answer:
        """What the asking side is told of the other's refusal."""
        assert self._exchange is not None
        return across(status, response, isinstance(self._exchange.asking.side, PBXSide))

    def _refuse(self, status: int, by: str, reason: str, headers: Sequence[Header] = ()) -> None:
        exchange = self._exchange
        if exchange is not None and not self._ended:
            self._end(by, reason, status)
            exchange.asking.refuse(exchange.server, status, headers)

    def _rangTooLong(self) -> None:
        """No final answer: the end of a first INVITE; another one is taken back on both legs."""
        self._ringing = None
        exchange = self._exchange
        if exchange is None:
            return
        if self._answeredAt is None:
            self._refuse(480, "trunk", f"no answer within {RINGING_SECONDS:.0f} s")
            self._hangUp()
        elif exchange.answering is not None:
            self._exchange = None
            exchange.asking.session.forget()
            # RFC 3311 section 5.2: 504 where the other side takes longer than an UPDATE can wait.
            status = 504 if isinstance(exchange.server, UpdateServer) else 480
            exchange.asking.refuse(exchange.server, status)
            exchange.answering.cancelInvite()

    # LegOwner: an INVITE crosses

    def legInvited(self, leg: Leg, server: InviteServer | UpdateServer) -> None:
        """
        A re-INVITE or UPDATE is passed to the other leg; glare across the bridge is 491 (RFC 3261 section
        14.1).
        """
        other = self._other(leg)
        settled = self._answeredAt is not None and self._exchange is None and not self._ended
        if settled and leg.answerRefresh(server):
            return
        if not settled or other is None or other.busy:
            leg.refuse(server, 491)
            return
        exchange = Exchange(leg, server)
        try:
            exchange.receiveOffer()
        except RemoteError as error:
            leg.warn("the new offer", error)
            leg.refuse(server, error.status or 488, warningOf(error))
            return
        self._exchange = exchange
        update = isinstance(server, UpdateServer)
        offer = exchange.sendTo(other)
        if not (update and other.allows("UPDATE")):
            # One that goes on as UPDATE has the bound of its own transaction.
            seconds = UPDATE_SECONDS if update else RINGING_SECONDS
            self._ringing = self._workshop.clock.callLater(seconds, self._rangTooLong)
        other.change(offer, update)

    def legReoffered(self, leg: Leg, body: bytes, tag: str) -> bytes:
        """Before the answer each leg is settled by itself; the other is told after it."""
        if self._exchange is None or self._ended:
            raise RemoteError("the call is over", 481)
        return self._exchange.reoffered(leg, body, tag)

    def legProgressed(self, leg: LegClient, response: Response) -> None:
        """180, 183 and their like cross, with an early answer if there is one."""
        exchange = self._exchange
        if exchange is None or leg is not exchange.answering or self._answeredAt is not None:
            return
        try:
            body = exchange.progress(response)
        except RemoteError as error:
            leg.warn("the early media", error)
            body = b""
        exchange.asking.progress(exchange.server, response.status, body)

    def legAccepted(self, leg: LegClient, response: Response) -> None:
        """A 2xx crosses: with the answer, or with the offer that the asking side left to the other."""
        exchange = self._exchange
        if exchange is None or leg is not exchange.answering or self._ended:
            leg.acknowledge(response)
            leg.hangUp()
            return
        self._stopRinging()
        asking = exchange.asking
        try:
            body = exchange.accept(response)
        except RemoteError as error:
            leg.warn("the answer", error)
            leg.acknowledge(response)
            self._end("trunk", str(error), error.status or 488)
            asking.refuse(exchange.server, error.status or 488, warningsAcross([error.warning]))
            self._hangUp()
            return
        if not exchange.late:
            leg.acknowledge(response)
            self._exchange = None
        asking.accept(exchange.server, body)
        if exchange.renewal is not None:
            asking.refresh.renew(exchange.renewal)
        if exchange.answeringRenewal is not None:
            leg.refresh.renew(exchange.answeringRenewal)
        if self._answeredAt is None:
            self._answeredAt = self._workshop.clock.seconds()
            self._owner.bridgeAnswered(self)

    def legAcknowledged(self, leg: Leg, server: InviteServer, ack: Request) -> None:
        """The ACK of the asking side; after a late offer it holds the answer for the other (RFC 3264)."""
        exchange = self._exchange
        if exchange is None or server is not exchange.server or exchange.success is None:
            return
        self._exchange = None
        answering = exchange.answering
        assert answering is not None
        try:
            body = exchange.acknowledge(ack)
        except RemoteError as error:
            answering.acknowledge(exchange.success)
            self._end("trunk", f"no usable answer in the ACK: {error}", None)
            self._hangUp()
            return
        answering.acknowledge(exchange.success, body)

    def legCancelled(self, leg: Leg, server: InviteServer, cause: str) -> None:
        """CANCEL crosses; a first INVITE was the whole call."""
        exchange = self._exchange
        if exchange is None or server is not exchange.server:
            return
        self._exchange = None
        self._stopRinging()
        if self._answeredAt is None:
            self._end("caller", cause, 487)
            self._hangUp()
        elif exchange.answering is not None:
            leg.session.forget()
            exchange.answering.cancelInvite()

    def legCrossed(self, leg: LegClient, response: Response) -> None:
        """The other side had changed the session already: its media goes where it now wants it."""
        try:
            if not self._ended:
                leg.session.answerReceived(description(response))
        except RemoteError as error:
            leg.warn("a crossing answer", error)
        leg.session.forget()

    def legFailed(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """A refusal crosses, unless another destination may be tried; a re-INVITE's changes nothing."""
        exchange = self._exchange
        if exchange is None or leg is not exchange.answering or self._ended:
            return
        if self._answeredAt is not None:
            answer = self._across(status, response)
            self._exchange = None
            self._stopRinging()
            exchange.asking.session.forget()
            exchange.asking.refuse(exchange.server, answer.status, answer.headers)
            if status in (408, 481):
                # RFC 3261 section 12.2.1.2: the dialog is gone.
                self._end("trunk", f"a re-INVITE was answered {status}", None)
                self._hangUp()
            return
        self._log.info(
            "{call}: {side} answers {status} {reason}",
            call=self.request.call,
            side=leg.side.name,
            status=status,
            reason=reason,
        )
        self._far = exchange.answering = None
        self._statistics.append(leg.session.media.release())
        self._forget(leg)
        assert self._way is not None
        outcome = self._redirector.failed(leg, status, response, reason, self._way, exchange.asking.side)
        self._destinations.add(outcome.ways, outcome.left)
        self._destinations.next(outcome.verdict, self._place, self._giveUp)

    def _other(self, leg: LegClient) -> Leg | None:
        return self._far if leg is self._near else self._near

    def legInformed(self, leg: Leg, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """Keys cross once both sides are connected."""
        other = self._other(leg)
        if self._answeredAt is None or self._ended or other is None:
            done(480)
        else:
            toPBX = isinstance(leg.side, PBXSide)
            other.inform(kind, body, lambda got: done(got if got < 300 else acrossStatus(got, toPBX)))

    # The end

    def legEnded(self, leg: LegClient, cause: str) -> None:
        """One side hung up: so does the other."""
        by = "caller" if leg is self._near else "callee"
        self._end(by, cause, None if self._answeredAt is not None else 487)
        other = self._other(leg)
        if other is not None:
            other.hangUp(leg.reasons)

    def hangUp(self, cause: str) -> None:
        """End the call from our side: 503 before it was answered, BYE after."""
        if self._answeredAt is None:
            self._refuse(503, "trunk", cause)
        self._end("trunk", cause, None)
        self._hangUp()

    def _hangUp(self) -> None:
        for leg in (self._near, self._far):
            if leg is not None:
                leg.hangUp()

    def _stopRinging(self) -> None:
        ringing, self._ringing = self._ringing, None
        if ringing is not None and ringing.active():
            ringing.cancel()

    def _end(self, by: str, cause: str, status: int | None) -> None:
        """Once: stop timers, give back media, tell the owner."""
        if self._ended:
            return
        self._ended = True
        self._stopRinging()
        exchange, self._exchange = self._exchange, None
        if exchange is not None and exchange.success is not None and exchange.answering is not None:
            # The answer that its ACK waited for will not come; before the BYE there must be an ACK.
            exchange.answering.acknowledge(exchange.success)
        now = self._workshop.clock.seconds()
        duration = 0.0 if self._answeredAt is None else now - self._answeredAt
        for leg in (self._near, self._far):
            if leg is not None:
                self._statistics.append(leg.session.media.release())
        went = None if self._way is None or not self._way.redirected else self._way.request.called
        ended = CallEnded(self.request.call, cause, status, by, duration, went)
        self._owner.bridgeEnded(self, ended, self._statistics)

    def legGone(self, leg: LegClient) -> None:
        """Both gone: nothing is left of the call."""
        if leg not in self._legs:
            return
        self._forget(leg)
        if not self._legs:
            self._owner.bridgeGone(self)
