"""
One call: how it is set up, how it ends, and what becomes of it in a transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.python.failure import Failure

from skypetrunk.core.admission import askPolicy
from skypetrunk.core.answers import Answer, refusalHeaders
from skypetrunk.core.bridge_owner import RINGING_SECONDS, BridgeOwner
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.destinations import UNUSABLE, Destinations, Verdict, Way, unusable
from skypetrunk.core.dialog import MAX_FORWARDS
from skypetrunk.core.exchange import Exchange
from skypetrunk.core.failover import isAnother, tellServer
from skypetrunk.core.identity import Caller
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.leg_owner import LegOwner, Workshop
from skypetrunk.core.protection import OFF, OPPORTUNISTIC, Form, formAfter
from skypetrunk.core.reaching import happened
from skypetrunk.core.redirection import Redirector
from skypetrunk.core.session import Session, description
from skypetrunk.core.sides import Side
from skypetrunk.core.transferable import Transferable
from skypetrunk.core.warning import warningCodes, warningOf, warningsAcross
from skypetrunk.errors import CallRefused, MalformedSDP, PortsExhausted, RemoteError
from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    ICallAttempt,
    ICallPolicy,
    IMediaPlane,
    IServerTransaction,
)
from skypetrunk.wire.message import Header, Response


class Bridge(Transferable):
    """One call."""

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
        super().__init__(request, caller, owner, workshop, plane)
        self._source = source
        ways = [Way(side, caller, request) for side in destinations]
        legs = self._legs
        self._destinations = Destinations(ways, lambda way: redirector.admit(way, source, legs.values()))
        self._redirector = redirector
        self._way: Way | None = None
        self._policy = policy
        self._entropy = entropy
        self._maxForwards = MAX_FORWARDS
        self._more: tuple[Header, ...] = ()

    # Setting up

    def start(self, transaction: IServerTransaction, maxForwards: int) -> None:
        """
        Take the INVITE that asks for the call.

        @raise PortsExhausted: no media ports.
        @raise RemoteError: the INVITE cannot be taken; it carries the status.
        """
        self._maxForwards = maxForwards
        near = self._makeLeg(self._source, offer=description(transaction.request))
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
        self._ask()

    def startReferred(self, exchange: Exchange, headers: Sequence[Header]) -> None:
        """
        Call the target of a transfer; the transferee joins later.

        @param headers: of the INVITE, beside the usual ones.
        """
        self._exchange = exchange
        self._more = tuple(headers)
        self._ask()

    def _ask(self) -> None:
        self._ringing = self._workshop.clock.callLater(RINGING_SECONDS, self._rangTooLong)
        admitted = askPolicy(self._policy, self.request)
        if not happened(admitted):
            admitted.addCallbacks(self._admitted, self._notAdmitted).addErrback(self._broken)
            return
        try:
            self._admitted(None)
        except Exception:
            self._broken(Failure())  # type: ignore[no-untyped-call]

    def _admitted(self, result: None) -> None:
        if not self._ended:
            self._destinations.next(UNUSABLE, self._place, self._giveUp)

    def _notAdmitted(self, failure: Failure) -> None:
        refusal = failure.value
        assert isinstance(refusal, CallRefused)
        self._refuse(refusal.status or 403, "trunk", str(refusal), refusalHeaders(refusal))

    def _broken(self, failure: Failure) -> None:
        self._log.failure("{call}: cannot be placed", failure, call=self.request.call)
        self._refuse(500, "trunk", "internal error")
        self._hangUp()

    def _makeLeg(
        self, side: Side, forwarder: Side | None = None, offer: bytes = b"", form: Form | None = None
    ) -> Leg:
        name, path = f"{self.request.call}/{side.name}", side.mediaPathFor(offer)
        media = self._plane.allocate(name, side.secure, path)
        keys = None if side.srtp == OFF else side.keyAgreement(self._entropy)
        optional = side.srtp == OPPORTUNISTIC
        asked, group = side.offerAttributes, side.mediaPath.group
        session = Session(media, keys, self._entropy, asked, optional, form, side.choice, group)
        leg = Leg(self.request.call, side, session, self, self._workshop)
        # A PBX that sends the call on has one call as long as that is up.
        self._legs[leg] = (side,) if forwarder is None else (side, forwarder)
        for each in self._legs[leg]:
            each.calls += 1
        return leg

    def _asOwner(self) -> LegOwner:
        return self

    def _place(
        self,
        way: Way,
        addresses: CallAddresses,
        again: bool = False,
        attempt: ICallAttempt | None = None,
        form: Form | None = None,
    ) -> None:
        """
        Place the call at a destination that can take it.

        @param again: at another server of the same one, or with another offer.
        @param attempt: at this server.
        @param form: of the offer, if it is another one than the first of the side.
        """
        exchange, side = self._exchange, way.side
        if exchange is None or self._ended:
            return
        try:
            exchange.check(side)
            far = self._makeLeg(side, way.forwarder, form=form)
        except MalformedSDP as error:
            # Before anything is taken for it: another destination may have other codecs.
            verdict = Verdict(Answer(488, warningsAcross([error.warning])), "trunk", f"{side.name}: {error}")
            self._destinations.next(verdict, self._place, self._giveUp)
            return
        except PortsExhausted as error:
            self._giveUp(unusable(str(error)))
            return
        self._far, self._way = far, way
        if side.guard is not None and not again:
            side.guard.taken(side.name, way.request)
        self._joinBoth()
        offer = exchange.sendTo(far)
        self._log.info(
            "{call}: {source} calls {called} by way of {side}",
            call=way.request.call,
            source=way.request.source,
            called=way.request.called,
            side=side.name,
        )
        if self._more:
            addresses = replace(addresses, headers=(*addresses.headers, *self._more))
        attempt = attempt or way.attempt()
        if attempt is not None:
            far.takeAttempt(attempt)
        far.place(addresses, offer, max(self._maxForwards - self._destinations.redirections, 0))

    def _giveUp(self, verdict: Verdict) -> None:
        """There is no destination, or no other one."""
        self._refuse(verdict.answer.status, verdict.by, verdict.reason, verdict.answer.headers)

    def _unplaced(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """Another destination may be tried, else the refusal crosses."""
        exchange = self._exchange
        assert exchange is not None
        self._log.info(
            "{call}: {side} answers {status} {reason}",
            call=self.request.call,
            side=leg.side.name,
            status=status,
            reason=reason,
        )
        self._leave(leg, exchange)
        way, attempt = self._way, leg.attempt
        assert way is not None
        tellServer(leg, status, response, reason)
        if attempt is not None and isAnother(leg, status, response) and attempt.another():
            # RFC 3263 section 4.3: a new INVITE for another server, with a name and keys of its own.
            self._place(way, way.addresses().anew(), again=True)
            return
        if attempt is None and leg.connectionBroke and not way.again:
            # A PBX that lost its power and is back tells so when the first message comes to it.
            way.again = True
            self._place(way, way.addresses().anew(), again=True)
            return
        form = None
        if response is not None and not exchange.late and not exchange.fax:
            tried = leg.session.protection.first
            form = formAfter(leg.side.srtp, tried, status, warningCodes(response))
        if form is not None:
            # RFC 3261 section 21.4.26: another offer; with a name, ports and keys of its own, too.
            self._log.info("{call}: {side} is offered {form}", call=leg.call, side=leg.side.name, form=form)
            self._place(way, way.addresses().anew(), again=True, attempt=attempt, form=form)
            return
        outcome = self._redirector.failed(leg, status, response, reason, way, exchange.asking.side)
        self._destinations.add(outcome.ways, outcome.left)
        self._destinations.next(outcome.verdict, self._place, self._giveUp)

    def _unheard(self, leg: LegClient) -> None:
        """
        Another server or destination is tried, if there is one.  What was sent stays known: a late 1xx gets
        CANCEL, a late 2xx ACK and BYE (RFC 3261 sections 9.1 and 13.2.2.4).
        """
        attempt = leg.attempt
        if (attempt is not None and attempt.another()) or self._destinations.left:
            self._unplaced(leg, 408, None, "no answer")
            leg.hangUp()

    def _leave(self, leg: LegClient, exchange: Exchange) -> None:
        """C{leg} is no part of the call any more."""
        self._far = exchange.answering = None
        self._statistics.append(leg.session.media.release())
        self._forget(leg)

    # The end

    def legEnded(self, leg: LegClient, cause: str) -> None:
        """One side hung up: so does the other, but one that is being transferred goes on."""
        exchange, other = self._exchange, self.other(leg)
        if leg is not self._near and leg is not self._far:
            if exchange is not None and leg is exchange.asking and self._answeredAt is not None:
                self._exchange = None
                self._stopRinging()
                exchange.withdrawn()
                if exchange.answering is not None:
                    exchange.answering.cancelInvite()
            return
        if self._transfer is not None and other is self._transfer.transferee:
            self._transfer.referrerLeft()
            return
        by = "caller" if leg is self._near else "callee"
        self._end(by, cause, None if self._answeredAt is not None else 487)
        if other is not None:
            other.hangUp(leg.reasons)

    def _hangUp(self, reasons: Sequence[Header] = ()) -> None:
        for leg in (self._near, self._far):
            if leg is not None:
                leg.hangUp(reasons)

    def _end(self, by: str, cause: str, status: int | None) -> None:
        """Once: stop timers, give back media, tell the owner."""
        if self._ended:
            return
        self._ended = True
        self._stopRinging()
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.abandon()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.withdrawn()
        if exchange is not None and exchange.success is not None and exchange.answering is not None:
            # The answer that its ACK waited for will not come; before the BYE there must be an ACK.
            exchange.answering.acknowledge(exchange.success)
        now = self._workshop.clock.seconds()
        # A clock that was set back makes no call end before it began.
        duration = 0.0 if self._answeredAt is None else max(now - self._answeredAt, 0.0)
        seen = tuple(leg.session.media.release() for leg in self.legs)
        diagnosis = self._diagnosis(seen)
        self._statistics += seen
        went = None if self._way is None or not self._way.redirected else self._way.request.called
        ended = CallEnded(self.request.call, cause, status, by, duration, went, self.silent, diagnosis)
        self._owner.bridgeEnded(self, ended, self._statistics)
        for leg in self.legs:
            self._costsNoMore(leg)
        if not self._legs:
            self._owner.bridgeGone(self)

    def _answered(self) -> None:
        for leg in self.legs:
            if leg.side.secure and not leg.session.secure:
                self._log.warn("{call}: {side} is heard in clear", call=leg.call, side=leg.side.name)
        self._owner.bridgeAnswered(self)

    def legGone(self, leg: LegClient) -> None:
        """Both gone: nothing is left of the call."""
        if leg not in self._legs:
            return
        self._forget(leg)
        if not self._legs:
            if self._leaving is not None and self._leaving.active():
                # The referrer was quicker.
                self._leaving.cancel()
            self._owner.bridgeGone(self)
