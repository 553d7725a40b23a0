"""
One call of a PBX in this process: a leg of its own, and the vendor's object that is told of it.

A L{Leg} does the SIP: its dialog, its INVITEs, its end.  Here stands what a bridge does for two of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.answers import causesOf, isRefusal, refusalHeaders
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.description import description
from skypetrunk.core.info import writtenKey
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.sides import Side
from skypetrunk.core.update import UpdateServer
from skypetrunk.errors import CallRefused, EmergencyRefused, RemoteError
from skypetrunk.interfaces import IMediaEndpoint, IPBXCall, IPBXCallUser, IServerTransaction
from skypetrunk.pbx.line_session import LineSession
from skypetrunk.pbx.line_transfer import LineTransfer
from skypetrunk.pbx.memory import Turns
from skypetrunk.pbx.told_user import Tell, ToldUser
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.reasons import reasonPhrase

DECLINED = CallRefused("declined", 603, 21)
"""What becomes of a call that is hung up before it was answered; Q.850 cause 21: call rejected."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who calls whom, for people and for the vendor."""

    call: str
    caller: str
    callerName: str | None
    called: str


@implementer(IPBXCall)
class LineCall:
    """
    See L{IPBXCall}; it is the L{skypetrunk.core.leg_owner.LegOwner} of its one leg.

    @ivar over: nothing more happens to it.
    """

    _log = Logger()

    def __init__(
        self,
        who: Who,
        plugin: str,
        side: Side,
        media: IMediaEndpoint,
        workshop: Workshop,
        turns: Turns,
        reach: Callable[[str], tuple[NameAddr, bool]],
        gone: Callable[[LineCall], None],
    ) -> None:
        """
        @param plugin: its name, for the log.
        @param reach: the address of a number, and whether that is one for emergencies.
        @param gone: told when nothing is left of the call.
        """
        self.call, self.caller = who.call, who.caller
        self.callerName, self.called = who.callerName, who.called
        self.media = media
        self.over = False
        self._plugin = plugin
        self._turns = turns
        self._reach = reach
        self._gone = gone
        self._transfer: LineTransfer | None = None
        self._session = LineSession(media, workshop.entropy)
        self._leg = Leg(who.call, side, self._session.session, self, workshop)
        self._told = ToldUser(who.call, plugin, turns, self._vendorFailed)
        # The INVITE that came in, until it is answered.
        self._server: InviteServer | None = None
        # A 2xx of ours that holds the offer: its ACK holds the answer.
        self._late: InviteServer | UpdateServer | None = None
        self._placed = self._emergency = self._connected = self._reoffered = False
        media.attach(self._told.packetReceived, self._told.digitReceived, partial(self._told.failed, "play"))

    # How it begins

    def receive(self, transaction: IServerTransaction, take: Callable[[IPBXCall], IPBXCallUser]) -> None:
        """
        The INVITE of a call that comes in.

        @param take: the vendor's.
        @raise RemoteError: it cannot be answered within a dialog.
        """
        self._server = server = self._leg.invited(transaction)
        body = description(server.request)
        try:
            if body:
                self._session.check(body)
        except RemoteError as error:
            self._leg.warn("the offer", error)
            self._refuse(CallRefused(str(error), error.status or 488))
            return
        try:
            user: object = take(self)
            if not IPBXCallUser.providedBy(user):
                raise TypeError(f"callReceived returns an IPBXCallUser, not {type(user).__name__}")
        except CallRefused as refusal:
            self.refuse(refusal)
            if self._server is None:
                self.hangUp()
        except (Exception, SystemExit):
            self._told.failed("callReceived")
        else:
            self._told.user = user

    def place(self, addresses: CallAddresses, user: IPBXCallUser, emergency: bool) -> None:
        """
        Send the INVITE of a call to a trunk.

        @param emergency: the number is one for emergencies; this decides how the refusal is told, no more.
        """
        self._placed, self._emergency = True, emergency
        self._told.user, self._told.listening = user, True
        self._leg.place(addresses, self._session.makeOffer())

    # IPBXCall

    def ring(self) -> None:
        """See L{IPBXCall}."""
        if self._server is not None:
            self._leg.progress(self._server, 180)

    def answer(self) -> None:
        """See L{IPBXCall}."""
        server, self._server = self._server, None
        if server is None:
            return
        try:
            self._accept(server)
        except RemoteError as error:
            self._leg.warn("the offer", error)
            self._end(str(error))
            self._leg.refuse(server, error.status or 488)

    def refuse(self, refusal: CallRefused) -> None:
        """See L{IPBXCall}."""
        if self._server is None:
            return
        if not isRefusal(refusal):
            self._log.warn(
                "{call}: the plugin {plugin} refuses with {status}, cause {cause}: 500 is sent instead",
                call=self.call,
                plugin=self._plugin,
                status=refusal.status,
                cause=refusal.cause,
            )
            refusal = CallRefused(str(refusal), 500)
        self._refuse(refusal)

    def hangUp(self) -> None:
        """See L{IPBXCall}."""
        if self._server is not None:
            self._refuse(DECLINED)
        elif not self.over:
            self._end("hung up", CallRefused("taken back", 487))
            self._leg.hangUp()

    def transfer(self, called: str) -> Deferred[None]:
        """See L{IPBXCall}."""
        if self.over or not self._connected or (self._transfer is not None and self._transfer.pending):
            return fail(CallRefused("the call cannot be transferred now", 491))
        target, emergency = self._reach(called)
        self._transfer = transfer = LineTransfer(self._turns, emergency, self._transferred)
        self._leg.refer(str(target), transfer.answered, transfer.notified)
        return transfer.finished

    def _transferred(self) -> None:
        """Who has transferred a call hangs up (RFC 5589 section 6.1)."""
        self._end("transferred")
        self._leg.hangUp()

    def _refuse(self, refusal: CallRefused) -> None:
        server, self._server = self._server, None
        assert server is not None
        self._end(f"refused: {refusal}")
        self._leg.refuse(server, refusal.status or 403, refusalHeaders(refusal))

    # An INVITE from the trunk

    def _accept(self, server: InviteServer | UpdateServer) -> None:
        """
        200, with our answer or, where nothing was offered, our offer.

        @raise RemoteError: the offer holds nothing for us; what stood before stands.
        """
        body = description(server.request)
        if body:
            self._leg.accept(server, self._session.answerTo(body, self._connected))
        else:
            self._late = server
            self._leg.accept(server, self._session.makeOffer())

    def legReoffered(self, leg: Leg, body: bytes, tag: str) -> bytes:
        """The trunk offers anew before the call is answered."""
        if self.over or not self._placed:
            raise RemoteError("an offer while another one has no answer", 491)
        answer = self._session.answerTo(body, self._connected)
        self._reoffered = True
        return answer

    def legInvited(self, leg: Leg, server: InviteServer | UpdateServer) -> None:
        """Hold, its end, another codec: answered here; what cannot be taken changes nothing."""
        if self.over:
            leg.refuse(server, 487)
            return
        if leg.answerRefresh(server):
            return
        before = self._session.state
        try:
            self._accept(server)
        except RemoteError as error:
            leg.warn("the new offer", error)
            leg.refuse(server, error.status or 488)
            return
        self._tellChange(before)

    def _tellChange(self, before: tuple[str, bool]) -> None:
        if self._session.state != before:
            self._tell("mediaChanged", lambda user: user.mediaChanged())

    def legAcknowledged(self, leg: Leg, server: InviteServer, ack: Request) -> None:
        """The ACK of our 2xx; the first one connects."""
        before = self._session.state
        if server is self._late:
            self._late = None
            try:
                self._session.answerReceived(description(ack))
            except RemoteError as error:
                leg.warn("the answer", error)
                self._end(f"no usable answer: {error}")
                leg.hangUp()
                return
            self._session.answered()
        if self._connected:
            self._tellChange(before)
        else:
            self._connect()

    def legCancelled(self, leg: Leg, server: InviteServer, cause: str) -> None:
        """The caller gave up; a later INVITE that is taken back changes nothing."""
        if server is self._server:
            self._server = None
            self._end(cause)

    # Our INVITE

    def legProgressed(self, leg: LegClient, response: Response) -> None:
        """Ringing, or early media."""
        body = description(response)
        if body and not self.over:
            try:
                self._session.answerReceived(body)
            except RemoteError as error:
                leg.warn("the early media", error)
        self._tell("progressed", lambda user: user.progressed(response.status))

    def legAccepted(self, leg: LegClient, response: Response) -> None:
        """Connected."""
        leg.acknowledge(response)
        try:
            if not self._reoffered:
                self._session.answerReceived(description(response))
        except RemoteError as error:
            leg.warn("the answer", error)
            self._end("", CallRefused(f"no usable answer: {error}", error.status or 488))
            leg.hangUp()
            return
        self._session.answered()
        self._connect()

    def legSilent(self, leg: LegClient) -> None:
        """The trunk is in this process: there is nowhere else to go."""

    def legFailed(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """Refused."""
        cause = None if response is None else next(causesOf(response), None)
        refusal = CallRefused(reason or reasonPhrase(status), status, cause)
        if self._emergency:
            refusal = EmergencyRefused("emergency numbers never leave by a trunk", status, cause)
        self._end("", refusal)

    def legCrossed(self, leg: LegClient, response: Response) -> None:
        """Only refreshes are sent within the dialog, and those the leg keeps to itself."""

    def legOffered(self, leg: LegClient, response: Response) -> bytes:
        """No re-INVITE goes out without an offer."""
        return b""

    # Both

    def _connect(self) -> None:
        def connected(user: IPBXCallUser) -> Awaitable[None] | None:
            self._told.listening = True
            return user.answered()

        self._connected = True
        self._tell("answered", connected)

    def legInformed(self, leg: Leg, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """A key in INFO."""
        done(200)
        key = writtenKey(body)
        if key:
            self._told.digitReceived(key)

    def legReferred(self, leg: Leg, refer: ReferServer) -> None:
        """The other side wants this PBX to call somebody else: what it calls is its own affair."""
        refer.refuse(603)

    def legEnded(self, leg: LegClient, cause: str) -> None:
        """The other side hung up."""
        self._end(cause)

    def legGone(self, leg: LegClient) -> None:
        """Nothing is left on the wire."""
        self._server = None
        self._end("over")
        self._gone(self)

    def abandon(self) -> None:
        """The line stops: give back what it has, and tell the user while there is somebody to be told."""
        self._server = None
        self._end("the trunk has stopped")

    def _end(self, cause: str, refusal: CallRefused | None = None) -> None:
        """@param refusal: what a call that was placed, and never answered, came to."""
        if self.over:
            return
        if self._placed and not self._connected:
            why = refusal or CallRefused(cause, 487)
            self._tell("refused", lambda user: user.refused(why))
        else:
            self._tell("ended", lambda user: user.ended(cause))
        self.over = True
        if self._transfer is not None:
            self._transfer.fail(487)
        self.media.release()

    # The vendor

    def _tell(self, what: str, tell: Tell) -> None:
        if not self.over:
            self._told.later(what, tell)

    def _vendorFailed(self) -> None:
        if self._server is not None:
            self._refuse(CallRefused("the PBX failed", 500))
        else:
            self.hangUp()


__all__ = ["LineCall", "Who"]
