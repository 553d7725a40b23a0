"""
What crosses between the two legs of a call: INVITE, UPDATE, answers, refusals, CANCEL and keys.

An INVITE that comes in on one leg, first or re-INVITE, goes out on the other; answers, errors and CANCEL
travel back.  Nothing else crosses: each leg has its own dialog and its own SDP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from skypetrunk.core.answers import Answer, across, acrossStatus
from skypetrunk.core.bridge_owner import RINGING_SECONDS
from skypetrunk.core.diagnosis import FaxInSound
from skypetrunk.core.exchange import Exchange, reofferedLate
from skypetrunk.core.fax_stream import FaxRefused
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.keys_pressed import passOn
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.packet_time import difference
from skypetrunk.core.session import description
from skypetrunk.core.sides import PBXSide
from skypetrunk.core.update import UPDATE_SECONDS, UpdateServer
from skypetrunk.core.warning import warningOf, warningsAcross
from skypetrunk.errors import RemoteError
from skypetrunk.wire.message import Header, Request, Response

NOT_ACCEPTABLE = (415, 488, 606)
"""Refusals of what is offered (RFC 3261 sections 21.4.13, 21.4.26 and 21.6.4)."""


class Crossing:
    """
    Two legs, and the exchange that is on its way from one to the other;
    L{Bridge<skypetrunk.core.bridge.Bridge>} is the call that they make.

    @ivar silent: names of the sides from which nothing comes, though it should.
    """

    _log = Logger()

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._near: Leg | None = None
        self._far: Leg | None = None
        self._exchange: Exchange | None = None
        self._ringing: IDelayedCall | None = None
        self._answeredAt: float | None = None
        self._ended = False
        self.silent: tuple[str, ...] = ()
        self._packetTimes = ""
        self._faxed = False
        self._faxInSound: FaxInSound | None = None

    @property
    def standing(self) -> bool:
        """The call is answered, and has not ended."""
        return self._answeredAt is not None and not self._ended

    @property
    def settled(self) -> bool:
        """The call stands, and nothing is on its way across."""
        return self.standing and self._exchange is None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Those that the call has now."""
        return tuple([leg for leg in (self._near, self._far) if leg is not None])

    @property
    def expectsMedia(self) -> bool:
        """Has one side said that it sends, and been told that it may?"""
        return any(leg.session.expectsMedia for leg in self.legs)

    def other(self, leg: LegClient) -> Leg | None:
        """The leg that C{leg} talks to; C{None} for one that is no part of the call any more, or not yet."""
        if leg is self._near:
            return self._far
        return self._near if leg is self._far else None

    # The call

    def _end(self, by: str, cause: str, status: int | None) -> None:
        """Once: stop timers, give back media, tell the owner."""
        raise AssertionError("a call has its own")

    def _hangUp(self, reasons: Sequence[Header] = ()) -> None:
        """
        End both legs.

        @param reasons: what one of them is told of the other's, in CANCEL or BYE.
        """
        raise AssertionError("a call has its own")

    def _answered(self) -> None:
        """Both sides are connected."""
        raise AssertionError("a call has its own")

    def _unplaced(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """A first INVITE was refused."""
        raise AssertionError("a call has its own")

    # INVITE and UPDATE

    def legInvited(self, leg: Leg, server: InviteServer | UpdateServer) -> None:
        """
        A re-INVITE or UPDATE is passed to the other leg; glare across the bridge is 491 (RFC 3261 section
        14.1).
        """
        if self.settled and leg.answerRefresh(server):
            return
        self._cross(Exchange(leg, server), self.other(leg), update=isinstance(server, UpdateServer))

    def _cross(self, exchange: Exchange, other: Leg | None, update: bool) -> None:
        """Within a call that stands: take the offer of one leg to the other."""
        if not self.settled or other is None or other.busy:
            exchange.refuse(491)
            return
        try:
            exchange.receiveOffer()
            exchange.check(other.side)
            offer = exchange.sendTo(other)
        except RemoteError as error:
            if isinstance(error, FaxRefused):
                self._faxInSound = FaxInSound(exchange.asking.side.name, None)
            exchange.asking.warn("the new offer", error)
            exchange.refuse(error.status or 488, warningOf(error))
            return
        self._exchange = exchange
        if not (update and other.allows("UPDATE")):
            # One that goes on as UPDATE has the bound of its own transaction.
            seconds = UPDATE_SECONDS if update else RINGING_SECONDS
            self._ringing = self._workshop.clock.callLater(seconds, self._rangTooLong)
        other.change(offer, update)

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
            # RFC 3311 section 5.2: 504 where the other side takes longer than an UPDATE can wait.
            exchange.refuse(504 if isinstance(exchange.server, UpdateServer) else 480)
            exchange.answering.cancelInvite()

    def hangUp(self, cause: str) -> None:
        """End the call from our side: 503 before it was answered, BYE after."""
        if self._answeredAt is None:
            self._refuse(503, "trunk", cause)
        self._end("trunk", cause, None)
        self._hangUp()

    def _stopRinging(self) -> None:
        ringing, self._ringing = self._ringing, None
        if ringing is not None and ringing.active():
            ringing.cancel()

    def _refuse(self, status: int, by: str, reason: str, headers: Sequence[Header] = ()) -> None:
        """The end of a call that was not answered."""
        exchange = self._exchange
        if exchange is not None and not self._ended:
            self._exchange = None
            self._end(by, reason, status)
            exchange.refuse(status, headers)

    def _across(self, status: int, response: Response | None) -> Answer:
        """What the asking side is told of the other's refusal."""
        assert self._exchange is not None
        invite = not isinstance(self._exchange.server, UpdateServer)
        return across(status, response, isinstance(self._exchange.asking.side, PBXSide), invite)

    def legReoffered(self, leg: Leg, body: bytes, tag: str) -> bytes:
        """Before the answer each leg is settled by itself; the other is told after it."""
        if self._exchange is not None and not self._ended:
            return self._exchange.reoffered(leg, body, tag)
        # In the PRACK that our 2xx has waited for.
        other = self.other(leg)
        if not self.standing or other is None:
            raise RemoteError("the call is over", 481)
        return reofferedLate(leg, other, body)

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
        exchange.tellProgress(response.status, body)

    def legAccepted(self, leg: LegClient, response: Response) -> None:
        """A 2xx crosses: with the answer, or with the offer that the asking side left to the other."""
        exchange = self._exchange
        if exchange is None or leg is not exchange.answering or self._ended:
            leg.acknowledge(response)
            if self._ended or leg not in (self._near, self._far):
                leg.hangUp()
            else:
                # What it answers was given up, and the leg goes on in this call.
                self.legCrossed(leg, response)
            return
        self._stopRinging()
        try:
            body = exchange.accept(response)
        except RemoteError as error:
            leg.warn("the offer" if exchange.late else "the answer", error)
            refusal = leg.session.refuseOffer(description(response)) if exchange.late else b""
            leg.acknowledge(response, refusal)
            self._exchange = None
            if self._answeredAt is not None and (exchange.fax or refusal):
                # T.38 refused with port 0, by them or by us: sound goes on, on both legs.
                if isinstance(error, FaxRefused):
                    self._faxInSound = FaxInSound(leg.side.name, None)
                elif not exchange.late:
                    self._faxInSound = FaxInSound(exchange.asking.side.name, leg.side.name)
                exchange.refuse(488, warningsAcross([error.warning if exchange.late else 304]))
                self._restore(leg)
                return
            self._end("trunk", str(error), error.status or 488)
            exchange.refuse(error.status or 488, warningsAcross([error.warning]))
            self._hangUp()
            return
        if not exchange.late:
            leg.acknowledge(response)
            self._exchange = None
        self._tellAccepted(exchange, body)

    def _restore(self, leg: LegClient) -> None:
        """C{leg} is offered what stood before a change to which its peer has said yes, and which is off."""
        said = leg.session.said
        leg.session.forget()
        if said is not None and not self._ended:
            leg.refresh.restore(said)

    def _tellAccepted(self, exchange: Exchange, body: bytes) -> None:
        exchange.tellAccepted(body)
        if exchange.renewal is not None:
            exchange.asking.refresh.renew(exchange.renewal)
        if exchange.answeringRenewal is not None and exchange.answering is not None:
            exchange.answering.refresh.renew(exchange.answeringRenewal)
        self._sessionsSettled()
        if self._answeredAt is None:
            self._answeredAt = self._workshop.clock.seconds()
            self._answered()

    def _sessionsSettled(self) -> None:
        """Both legs have agreed on something."""
        self._comparePacketTimes()
        if not self._faxed and len(self.legs) == 2 and all(leg.session.fax for leg in self.legs):
            self._faxed = True
            self._log.warn(
                "{call}: fax by T.38 between {one} and {other}, in clear as trunk.media.t38 allows",
                call=self.legs[0].call,
                one=self.legs[0].side.name,
                other=self.legs[1].side.name,
            )

    def _comparePacketTimes(self) -> None:
        """Each side sends as it likes; where they like different things, that is told, once."""
        streams = [leg.session.heard for leg in self.legs]
        if len(streams) == 2 and streams[0] is not None and streams[1] is not None:
            said, self._packetTimes = self._packetTimes, difference(streams[0], streams[1])
            if self._packetTimes not in ("", said):
                sides = " and ".join(leg.side.name for leg in self.legs)
                self._log.info(
                    "{call}: {sides}: {difference}; they cross as they are sent",
                    call=self.legs[0].call,
                    sides=sides,
                    difference=self._packetTimes,
                )

    def legAcknowledged(self, leg: Leg, server: InviteServer, ack: Request) -> None:
        """The ACK of the asking side; after a late offer it holds the answer for the other (RFC 3264)."""
        exchange = self._exchange
        if exchange is None or server is not exchange.server or exchange.success is None:
            if not description(server.request) and not self._ended:
                # It answers an offer of whom it does not talk to any more.
                self.legCrossed(leg, ack)
            return
        self._exchange = None
        answering = exchange.answering
        assert answering is not None
        try:
            body = exchange.acknowledge(ack)
        except RemoteError as error:
            # With a refusal of its offer: LegDialog._acknowledge.
            answering.acknowledge(exchange.success)
            if leg.session.said is not None and answering.session.said is not None:
                # What stood before the change that was refused goes on, on both legs.
                leg.warn("the answer in the ACK", error)
                if exchange.fax:
                    self._faxInSound = FaxInSound(answering.side.name, leg.side.name)
                self._restore(leg)
                self._restore(answering)
                return
            self._end("trunk", f"no usable answer in the ACK: {error}", None)
            self._hangUp()
            return
        answering.acknowledge(exchange.success, body)
        self._sessionsSettled()
        answering.refresh.proceed()

    def legCancelled(self, leg: Leg, server: InviteServer, cause: str) -> None:
        """CANCEL crosses; a first INVITE was the whole call."""
        exchange = self._exchange
        if exchange is None or server is not exchange.server:
            return
        self._exchange = None
        self._stopRinging()
        if self._answeredAt is None:
            self._end("caller", cause, 487)
            self._hangUp(leg.reasons)
        elif exchange.answering is not None:
            leg.session.forget()
            exchange.withdrawn()
            exchange.answering.cancelInvite()

    def legCrossed(self, leg: LegClient, response: Response | Request) -> None:
        """
        The other side had changed the session already: its media goes where it now wants it, and it is
        offered what stood before, as nobody wants the change any more.
        """
        try:
            if not self._ended:
                leg.session.answerReceived(description(response))
        except RemoteError as error:
            leg.warn("a crossing answer", error)
        self._restore(leg)

    def legOffered(self, leg: LegClient, response: Response) -> bytes:
        """
        An offer that nobody waits for is answered with what this leg was told last: nothing changes.  One
        that has no such answer, as T.38, is refused, and what stood before is offered.
        """
        if self._ended or leg.session.said is None:
            return b""
        try:
            return leg.session.repeatAnswer(description(response))
        except RemoteError as error:
            leg.warn("a crossing offer", error)
            refusal = leg.session.refuseOffer(description(response))
            self._restore(leg)
            return refusal

    def legFailed(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """A refusal crosses, unless another destination may be tried; a re-INVITE's changes nothing."""
        exchange = self._exchange
        if exchange is None or leg is not exchange.answering or self._ended:
            return
        if self._answeredAt is not None:
            answer = self._across(status, response)
            if exchange.fax and status in NOT_ACCEPTABLE:
                self._faxInSound = FaxInSound(exchange.asking.side.name, leg.side.name)
            self._exchange = None
            self._stopRinging()
            exchange.refuse(answer.status, answer.headers)
            if status in (408, 481):
                # RFC 3261 section 12.2.1.2: the dialog is gone.
                self._end("trunk", f"a re-INVITE was answered {status}", None)
                self._hangUp()
            return
        self._unplaced(leg, status, response, reason)

    def legSilent(self, leg: LegClient) -> None:
        """The INVITE of a call that nobody has taken on goes elsewhere, if it can."""
        exchange = self._exchange
        if exchange is not None and leg is exchange.answering and self._answeredAt is None:
            self._unheard(leg)

    def _unheard(self, leg: LegClient) -> None:
        """A first INVITE is not answered, so far."""
        raise AssertionError("a call has its own")

    def legInformed(self, leg: Leg, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """Keys cross once both sides are connected."""
        other = self.other(leg)
        if self._answeredAt is None or self._ended or other is None:
            done(480)
        else:
            toPBX = isinstance(leg.side, PBXSide)

            def answered(got: int) -> None:
                done(got if got < 300 else acrossStatus(got, toPBX, invite=False))

            passOn(leg, other, kind, body, answered, self._workshop.clock.seconds())
