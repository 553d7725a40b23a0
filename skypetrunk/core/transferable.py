"""
What becomes of a call in a transfer: legs come from another call, leave for one, or take each other's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.interfaces import IDelayedCall

from skypetrunk.core.answers import ELSEWHERE
from skypetrunk.core.bridge_owner import BridgeOwner
from skypetrunk.core.crossing import Crossing
from skypetrunk.core.diagnosis import CallMedia, diagnose
from skypetrunk.core.diagnosis import Side as Seen
from skypetrunk.core.exchange import Exchange
from skypetrunk.core.identity import Caller
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.keys_pressed import listen
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.leg_owner import LegOwner, Workshop
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.session import description
from skypetrunk.core.sides import Side
from skypetrunk.core.transfer import (
    REFERRER_SECONDS,
    TRANSFERRED,
    ReplacingExchange,
    Transfer,
    agree,
    referredExchange,
)
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.core.warning import warningOf
from skypetrunk.errors import CallRefused, RemoteError
from skypetrunk.interfaces import CallRequest, IMediaPlane, IServerTransaction, LegStatistics


class Transferable(Crossing):
    """
    A call whose legs may change.

    @ivar request: who asked for what.
    """

    def __init__(
        self,
        request: CallRequest,
        caller: Caller,
        owner: BridgeOwner,
        workshop: Workshop,
        plane: IMediaPlane,
    ) -> None:
        super().__init__(workshop)
        self.request = request
        self._caller = caller
        self._owner = owner
        self._plane = plane
        self._legs: dict[LegClient, tuple[Side, ...]] = {}
        self._statistics: list[LegStatistics] = []
        self._transfer: Transfer | None = None
        self._leaving: IDelayedCall | None = None

    def _makeLeg(self, side: Side, forwarder: Side | None = None, offer: bytes = b"") -> Leg:
        """A leg of this call."""
        raise AssertionError("a call has its own")

    def _asOwner(self) -> LegOwner:
        """This call, as its legs know it."""
        raise AssertionError("a call has its own")

    def _forget(self, leg: LegClient) -> None:
        """It counts no longer."""
        for side in self._legs.pop(leg):
            side.calls -= 1
        self._costsNoMore(leg)

    def _costsNoMore(self, leg: LegClient) -> None:
        """It has ended, also for an earlier call that has asked for it."""
        if leg.paidBy is not None and leg.side.guard is not None:
            leg.side.guard.legEnded(leg.paidBy)
            leg.paidBy = None

    def _placedNoMore(self, leg: LegClient) -> None:
        """Somebody who has called in, or was called for another call, has the place of C{leg}."""
        if leg.side.guard is not None:
            leg.side.guard.legReplaced(self.request.call)

    def callerOf(self, leg: Leg) -> Caller:
        """Who is on this leg, for a call that it makes."""
        return self._caller if leg is self._near else Caller(self.request.called, None)

    def media(self) -> CallMedia:
        """What is known of its media so far, with the legs that have left it first."""
        legs = tuple(leg.session.media.statistics() for leg in self.legs)
        return CallMedia((*self._statistics, *legs), self.silent, self._diagnosis(legs))

    def _diagnosis(self, seen: Sequence[LegStatistics]) -> str | None:
        """
        What is wrong with its audio.

        @param seen: by L{legs}.
        """
        near, far = self._near, self._far
        if near is None or far is None or self._answeredAt is None:
            return None
        seconds = self._workshop.clock.seconds() - self._answeredAt
        return diagnose((_side(near, seen[0]), _side(far, seen[1])), seconds, self._faxInSound)

    @property
    def movable(self) -> bool:
        """The call stands, and neither a change nor a transfer of it is under way."""
        return self.settled and self._transfer is None

    def legReferred(self, leg: Leg, refer: ReferServer) -> None:
        """The owner knows the rules; one at a time."""
        other = self.other(leg)
        if other is None or not self.movable:
            refer.refuse(491)
        else:
            self._owner.bridgeReferred(self, leg, other, refer)

    def transferBegun(self, transfer: Transfer) -> None:
        """The transferee stays here until C{transfer} has an outcome."""
        self._transfer = transfer

    def transferFailed(self, transferee: Leg) -> None:
        """This call goes on; the transferee may have heard the target meanwhile."""
        self._transfer = None
        other = self.other(transferee)
        if other is not None and not self._ended:
            self._joinBoth()

    def release(self, leg: Leg, hangUp: bool) -> None:
        """
        C{leg} goes on in another call, and this one is over.

        @param hangUp: the one that stays behind has not hung up yet.
        """
        self._transfer = None
        self._dropChange(leg)
        other = self.other(leg)
        by = "callee" if leg is self._near else "caller"
        self._statistics.append(leg.session.media.statistics())
        placed = leg is self._far
        if leg is self._near:
            self._near = None
        else:
            self._far = None
        for forwarder in self._legs.pop(leg)[1:]:
            forwarder.calls -= 1
        name, guard = self.request.call, leg.side.guard
        if placed and leg.paidBy is None and guard is not None and guard.goesOn(name, leg.side.name):
            # The carrier counts on: whoever asked for a leg pays for it until it ends.  A caller who goes on
            # may be one of the same carrier's, who had called in.
            leg.paidBy = name
        self._end(by, TRANSFERRED, None)
        if other is not None:
            # What its peer still answers is no matter of C{leg} any more.
            other.refresh.stop()
        if hangUp and other is not None:
            self._leaving = self._workshop.clock.callLater(REFERRER_SECONDS, other.hangUp)

    def _dropChange(self, leg: Leg) -> None:
        """A re-INVITE or UPDATE that is on its way across has nobody to go to any more; C{leg} goes on."""
        exchange = self._exchange
        if exchange is None:
            return
        success = exchange.success
        if success is not None and exchange.answering is not leg:
            return
        self._exchange = None
        if success is not None:
            # Whose answer its offer has waited for is not its other side any more.
            leg.acknowledge(success, self.legOffered(leg, success))
            return
        self._stopRinging()
        exchange.refuse(491)
        if exchange.answering is not None:
            exchange.answering.cancelInvite()

    def takeOver(self, leg: Leg) -> None:
        """The transferee is the calling leg from now on; another call had it."""
        self._near = leg
        self._adopt(leg)
        self.joinMedia(leg)

    def joinMedia(self, leg: Leg) -> None:
        """C{leg} and the called one hear each other."""
        if self._far is not None:
            seconds = self._workshop.clock.seconds
            listen(leg, self._far, seconds)
            listen(self._far, leg, seconds)
            self._plane.join(leg.session.media, self._far.session.media, self.request.call)

    def _joinBoth(self) -> None:
        if self._near is not None:
            self.joinMedia(self._near)

    def _adopt(self, leg: Leg) -> None:
        leg.owner = self._asOwner()
        leg.call = self.request.call
        self._legs[leg] = (leg.side,)

    def swap(self, old: Leg, new: Leg) -> None:
        """C{new} takes the place of C{old}, which hangs up."""
        other = self.other(old)
        assert other is not None
        if old is self._near:
            self._near = new
        else:
            self._far = new
            self._placedNoMore(old)
        self._adopt(new)
        self._joinBoth()
        self._statistics.append(old.session.media.release())
        old.hangUp()

    def agree(self, new: Leg) -> None:
        """Tell each side what the other can do, after C{new} came from another call."""
        other = self.other(new)
        if other is not None:
            agree(new, other)

    def asReplaced(self, leg: Leg, caller: Caller) -> CallRequest:
        """
        This call as limits and policies see it, if C{caller} is to take the place of C{leg}: the number that
        was called stays, and so does who pays.
        """
        other = self.other(leg)
        if leg is not self._near or other is None:
            return replace(self.request, destinations=(leg.side.name,))
        return replace(self.request, caller=caller.user, destinations=(other.side.name,))

    def refusal(self, leg: Leg, asked: CallRequest) -> CallRefused | None:
        """Why there is no room for C{asked}, in the place of C{leg}; the call is counted already."""
        counted = [side for sides in self._legs.values() for side in sides]
        for side in counted:
            side.calls -= 1
        try:
            return self._owner.refusal(leg.side, asked)
        finally:
            for side in counted:
                side.calls += 1

    def ringsFor(self, leg: Leg) -> bool:
        """
        Can another one wait in the place of C{leg}?  Not if that is the one who is called, nothing rings yet,
        or the offer was left to the target, or is fax.
        """
        exchange = self._exchange
        return (
            exchange is not None
            and leg is self._near
            and exchange.answering is not None
            and not exchange.late
            and not exchange.fax
        )

    def takeOverRinging(self, transfer: Transfer) -> None:
        """The transferee takes the place of the referrer, who L{has called<ringsFor>} the target."""
        exchange, near = self._exchange, self._near
        assert exchange is not None and near is not None
        self._exchange = referredExchange(transfer, exchange)
        self._near = None
        self._statistics.append(near.session.media.release())
        exchange.refuse(487)

    def replaced(self, leg: Leg, transaction: IServerTransaction) -> None:
        """
        An INVITE from the side of C{leg} is to take its place (RFC 3891 section 3).

        @raise PortsExhausted: no media ports.
        @raise RemoteError: the INVITE cannot be taken; it carries the status.
        """
        exchange = self._exchange
        if self.other(leg) is None if self.standing else exchange is None or exchange.answering is not leg:
            # One of the peer's own that is not answered yet, or one that has ended.
            raise CallRefused("the call to be replaced is not up", 481)
        if self._transfer is not None:
            raise CallRefused("the call to be replaced is being transferred", 491)
        new = self._makeLeg(leg.side, offer=description(transaction.request))
        try:
            server = new.invited(transaction)
        except RemoteError:
            new.session.media.release()
            self._forget(new)
            raise
        if exchange is None or self.standing:
            exchange = ReplacingExchange(asking=new, server=server, replaced=leg, swap=self.swap)
            self._cross(exchange, self.other(leg), update=False)
        else:
            self._pickUp(exchange, leg, new, server)

    def _pickUp(self, exchange: Exchange, leg: Leg, new: Leg, server: InviteServer) -> None:
        """C{leg} rings, and C{new} answers instead."""
        try:
            answer, forAsking = exchange.pickedUp(new, description(server.request))
        except RemoteError as error:
            new.warn("the offer", error)
            new.refuse(server, error.status or 488, warningOf(error))
            new.session.media.release()
            return
        self._far, self._exchange = new, None
        self._placedNoMore(leg)
        self._stopRinging()
        self._joinBoth()
        self._statistics.append(leg.session.media.release())
        leg.hangUp([ELSEWHERE])
        new.accept(server, answer)
        self._tellAccepted(exchange, forAsking)


def _side(leg: Leg, seen: LegStatistics) -> Seen:
    side, session = leg.side, leg.session
    learned = side.address.learned if isinstance(side, TrunkSide) else None
    host = None if learned is None else learned[0]
    return Seen(side.name, session.expectsMedia, seen, host)
