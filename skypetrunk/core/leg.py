"""
One leg of a call: the dialog with one side, its INVITEs both ways, and its end.

The L{bridge<skypetrunk.core.bridge.Bridge>} that owns two legs decides what crosses; a leg knows
nothing of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from twisted.internet.interfaces import IDelayedCall

from skypetrunk.core.answers import reasonsAcross
from skypetrunk.core.audio_stream import AudioStream
from skypetrunk.core.capabilities import ALLOW, SUPPORTED
from skypetrunk.core.dialog import MAX_FORWARDS, Dialog, firstInvite
from skypetrunk.core.invite_client import InviteClient
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg_dialog import LegDialog
from skypetrunk.core.leg_machine import Ends, startLeg
from skypetrunk.core.leg_owner import LegOwner, Workshop
from skypetrunk.core.session import Session, description
from skypetrunk.core.session_timer import RETRY_SECONDS, SessionTimer
from skypetrunk.core.sides import CallAddresses, Side
from skypetrunk.core.timers import glareDelay
from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import IMessageChannel, IServerTransaction
from skypetrunk.wire.headers import CSeq
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI


class Leg(LegDialog, Ends):
    """
    One leg: its INVITEs, its session timer and its end; see L{LegDialog} for what it has.

    @ivar reasons: what may cross of why the peer hung up.
    @ivar renewal: a stream that the peer is to be offered as soon as every 2xx of ours has its ACK.
    """

    def __init__(self, call: str, side: Side, session: Session, owner: LegOwner, workshop: Workshop) -> None:
        super().__init__(call, side, session, workshop)
        self._owner = owner
        self._inputs = startLeg(self)
        self._timer = SessionTimer(self, workshop.clock)
        self._pending: InviteServer | None = None
        self._unacknowledged: dict[int, InviteServer] = {}
        self._client: InviteClient | None = None
        self.reasons: tuple[Header, ...] = ()
        self.renewal: AudioStream | None = None
        self._refreshing: InviteClient | None = None
        self._later: IDelayedCall | None = None

    # INVITEs from the peer

    def invited(self, transaction: IServerTransaction) -> InviteServer:
        """
        Take the first INVITE.

        @raise MalformedMessage: no usable Contact.
        """
        request = transaction.request
        uri = request.requestURI
        # The peer reached us under this user part, so our Contact keeps it.
        user = uri.user if isinstance(uri, SIPURI) and uri.user else "trunk"
        self._contact = self.side.contactFor(user, transaction.channel)
        self.dialog = Dialog.fromRequest(request, self._workshop.token(), self._contact)
        self._workshop.register(self)
        return self._serve(transaction)

    def reinvited(self, transaction: IServerTransaction) -> None:
        """An INVITE within the dialog (RFC 3261 section 14.2)."""
        assert self.dialog is not None
        request = transaction.request
        if not self.dialog.sequenceAccepted(request):
            transaction.respond(self._response(request, 500))
        elif self._pending is not None:
            # RFC 3261 section 14.2: "a randomly chosen value of between 0 and 10 seconds".
            seconds = self._workshop.entropy(1)[0] % 11
            transaction.respond(self._response(request, 500, [Header("Retry-After", str(seconds))]))
        elif self._client is not None:
            # Glare (section 14.1): the peer is to try again a little later.
            transaction.respond(self._response(request, 491))
        else:
            self._owner.legInvited(self, self._serve(transaction))

    def _serve(self, transaction: IServerTransaction) -> InviteServer:
        clock, timers = self._workshop.clock, self._workshop.timers
        sequence = 1 + int.from_bytes(self._workshop.entropy(3), "big")
        server = self._served = self._pending = InviteServer(transaction, self, clock, timers, sequence)
        return server

    def progress(self, server: InviteServer, status: int, body: bytes = b"") -> None:
        """Send a provisional response."""
        server.progress(self._response(server.request, status, (), body))

    def accept(self, server: InviteServer, body: bytes) -> None:
        """Send 200 with our answer or offer."""
        assert self.dialog is not None
        self._pending = None
        self._unacknowledged[server.request.cseq.number] = server
        self.dialog.refreshTarget(server.request)
        self._inputs.answer()
        headers = (ALLOW, SUPPORTED, *self._timer.acceptedHeaders(server.request))
        server.accept(self._response(server.request, 200, headers, body))

    def refuse(self, server: InviteServer, status: int, headers: Sequence[Header] = ()) -> None:
        """Refuse an INVITE; the refusal of the first one ends the leg."""
        self._pending = None
        server.refuse(self._response(server.request, status, headers))
        self._inputs.refuse()

    def awaits(self, request: Request) -> bool:
        """Is this the INVITE that is pending?"""
        return self._pending is not None and self._pending.request is request

    def cancelled(self) -> None:
        """The peer took back the INVITE that is pending: it is answered 487 (RFC 3261 section 9.2)."""
        if self._pending is not None:
            self._pending.cancel(self._response(self._pending.request, 487))

    def connectionLost(self) -> None:
        """No answer to the INVITE that is pending can reach the peer: as if it had taken it back."""
        server, self._pending = self._pending, None
        if server is not None:
            self._owner.legCancelled(self, server, "the connection broke")
            self._inputs.refuse()

    def ackReceived(self, ack: Request) -> None:
        """The ACK of one of our 2xx, found by its CSeq; others are retransmissions of a known one."""
        server = self._unacknowledged.pop(ack.cseq.number, None)
        if server is not None:
            server.ackReceived(ack)

    def inviteCancelled(self, server: InviteServer) -> None:
        """L{InviteServer}: 487 was sent."""
        self._pending = None
        self._owner.legCancelled(self, server, "cancelled")
        self._inputs.refuse()

    def inviteAcknowledged(self, server: InviteServer, ack: Request) -> None:
        """L{InviteServer}: the ACK came."""
        self._owner.legAcknowledged(self, server, ack)
        self._confirm()

    def _confirm(self) -> None:
        """BYE may be sent, as soon as every 2xx of ours has its ACK (RFC 3261 section 15)."""
        if not self._unacknowledged:
            self._inputs.confirm()
            if self.renewal is not None and not self.busy:
                self._renew()

    def ackMissing(self, server: InviteServer) -> None:
        """L{InviteServer}: no ACK in 64*T1; the session is ended (RFC 3261 section 13.3.1.4)."""
        self._unacknowledged.pop(server.request.cseq.number, None)
        self._inputs.confirm()
        self._giveUp("the answer was never acknowledged")

    def prackMissing(self, server: InviteServer) -> None:
        """L{InviteServer}: no PRACK in 64*T1: 500, and the call is over (RFC 3262 section 3)."""
        server.refuse(self._response(server.request, 500))
        if self._pending is server:
            self.connectionLost()
            return
        self._unacknowledged.pop(server.request.cseq.number, None)
        self._owner.legEnded(self, "the early answer was never acknowledged")
        self._inputs.end()

    # INVITEs to the peer

    def place(self, addresses: CallAddresses, body: bytes, maxForwards: int = MAX_FORWARDS) -> None:
        """Send the first INVITE; an empty C{body} asks the peer for the offer."""
        callID = self._workshop.token()
        tag = self._workshop.token()
        caller = replace(addresses.caller, params=addresses.caller.params.with_("tag", tag))
        sequence = self._nextSequence()

        def makeRequest(channel: IMessageChannel) -> Request:
            self._contact = self.side.contactFor(addresses.contactUser, channel)
            headers = self._inviteHeaders(body, self._timer.requestHeaders())
            return firstInvite(addresses, caller, callID, sequence, self._contact, maxForwards, headers, body)

        self._startClient(makeRequest, addresses.requestURI)

    def reinvite(self, body: bytes) -> None:
        """Send an INVITE within the dialog (RFC 3261 section 14.1)."""
        dialog = self.dialog
        assert dialog is not None
        headers = self._inviteHeaders(body, self._timer.requestHeaders())
        request = dialog.makeRequest("INVITE", dialog.reserveSequence(), headers, body)
        self._startClient(lambda channel: request, dialog.nextHop)

    def _startClient(self, makeRequest: Callable[[IMessageChannel], Request], nextHop: SIPURI) -> None:
        side, authentication = self.side, self._authentication
        self._client = InviteClient(
            makeRequest, nextHop, self, side.transactions, side.finder, authentication, self._nextSequence
        )
        self._client.start()

    @property
    def busy(self) -> bool:
        """An INVITE is under way in one of the two directions."""
        return self._client is not None or self._pending is not None

    @property
    def anyProvisional(self) -> bool:
        """Our INVITE was taken on by some server."""
        return self._client is not None and self._client.anyProvisional

    def cancelInvite(self) -> None:
        """Take our pending INVITE back."""
        if self._client is not None:
            self._client.cancel()

    def acknowledge(self, response: Response, body: bytes = b"") -> None:
        """Send the ACK of a 2xx, with our answer if the 2xx held the offer."""
        client, self._client = self._client, None
        assert client is not None and self.dialog is not None
        self._acknowledge(client, self.dialog, response, body)

    def inviteProgressed(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: a provisional response."""
        if self._acknowledgeReliable(client.request, response) and client is not self._refreshing:
            self._owner.legProgressed(self, response)

    def inviteAccepted(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: the first 2xx makes the dialog, or refreshes its target."""
        if self.dialog is None:
            assert self._contact is not None
            self.dialog = self._early.continued(
                Dialog.fromResponse(client.request, response, self._contact)
            )
            self._workshop.register(self)
        else:
            self.dialog.refreshTarget(response)
        self._confirm()
        self._timer.accepted(response)
        if client is self._refreshing:
            self._refreshed(response)
        else:
            self._owner.legAccepted(self, response)

    def inviteUnwanted(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: a second fork, or an answer that crossed our CANCEL: ACK, then BYE."""
        if self.dialog is not None and self.dialog.remote.tag == response.toAddress.tag:
            # Only the re-INVITE was taken back; the dialog goes on.
            self._client = None
            self._acknowledge(client, self.dialog, response, b"")
            self._owner.legCrossed(self, response)
            return
        assert self._contact is not None
        dialog = self._early.continued(Dialog.fromResponse(client.request, response, self._contact))
        self._acknowledge(client, dialog, response, b"")
        self._bye(dialog, lambda status: self._inputs.refuse())

    def inviteFailed(
        self, client: InviteClient, status: int, response: Response | None, reason: str
    ) -> None:
        """L{InviteClient}: refused, or no answer."""
        if self.dialog is not None:
            self.session.forget()
        if client is self._refreshing:
            self._refreshFailed(status)
            return
        self._owner.legFailed(self, status, response, reason)
        self._client = None
        self._inputs.refuse()

    def inviteTooBrief(self, client: InviteClient, response: Response) -> Request | None:
        """L{InviteClient}: 422; the INVITE with a longer interval (RFC 4028 section 7.3)."""
        if not self._timer.raised(response):
            return None
        request = client.request.withHeader("CSeq", str(CSeq(self._nextSequence(), "INVITE")))
        for header in self._timer.requestHeaders():
            request = request.withHeader(*header)
        return request.withoutHeader("Authorization").withoutHeader("Proxy-Authorization")

    # Session timer

    def answerRefresh(self, server: InviteServer) -> bool:
        """
        Accept a re-INVITE that changes nothing, on this leg alone (RFC 4028 section 9).

        @return: false if it changes something, or may.
        """
        body = description(server.request)
        if not self.session.repeats(body, server.request.header("Session-Expires") is not None):
            return False
        self.accept(server, self.session.repeatAnswer(body))
        return True

    def sessionRefreshDue(self) -> None:
        """L{SessionTimer}: an INVITE with the description that stands (RFC 4028 section 7.4)."""
        if self.busy:
            self._timer.postpone(RETRY_SECONDS)
            return
        self.reinvite(self.session.repeatOffer())
        self._refreshing = self._client

    def _renew(self) -> None:
        """An INVITE of our own that changes the stream, on this leg alone."""
        self._later = None
        if self.renewal is not None and not self.busy:
            self.reinvite(self.session.makeOffer(self.renewal))
            self._refreshing = self._client

    def _refreshed(self, response: Response) -> None:
        self._refreshing = self.renewal = None
        self.acknowledge(response)
        try:
            self.session.answerReceived(description(response))
            self.session.answered()
        except RemoteError as error:
            self._giveUp(f"the refresh was answered with {error}")

    def _refreshFailed(self, status: int) -> None:
        self._refreshing = self._client = None
        if status in (408, 481):
            # RFC 4028 section 10, RFC 3261 section 12.2.1.2: the dialog is gone.
            self._giveUp(f"the refresh was answered {status}")
            return
        delay = RETRY_SECONDS
        if status == 491:
            chance = int.from_bytes(self._workshop.entropy(2), "big")
            delay = glareDelay(self._sequence > 0, chance)
        if self.renewal is None:
            self._timer.postpone(delay)
        elif status == 491:
            self._later = self._workshop.clock.callLater(delay, self._renew)
        else:
            # The peer keeps what it has; what it hears of the other codec is its own affair.
            self.renewal = None

    def sessionExpired(self) -> None:
        """L{SessionTimer}: the session ends with BYE (RFC 4028 section 10)."""
        self._giveUp("the session was not refreshed")

    def _giveUp(self, cause: str) -> None:
        self.hangUp()
        self._owner.legEnded(self, cause)

    def _stopRefreshing(self) -> None:
        """The answer to a refresh that is under way changes nothing any more."""
        self._timer.stop()
        self._refreshing = self.renewal = None
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def infoReceived(self, transaction: IServerTransaction) -> None:
        """A key that crosses, or an INFO that does not."""
        self.keyReceived(transaction, partial(self._owner.legInformed, self))

    # The end

    def byeReceived(self, transaction: IServerTransaction) -> None:
        """The peer hangs up (RFC 3261 section 15.1.2): a pending INVITE gets 487, the BYE 200."""
        request = transaction.request
        assert self.dialog is not None
        if not self.dialog.sequenceAccepted(request):
            transaction.respond(self._response(request, 500))
            return
        transaction.respond(self._response(request, 200))
        self.reasons = reasonsAcross(request)
        self._stopRefreshing()
        if self._pending is not None:
            self._pending.refuse(self._response(self._pending.request, 487))
            self._pending = None
        self._owner.legEnded(self, "hung up")
        self._inputs.end()

    def hangUp(self, reasons: Sequence[Header] = ()) -> None:
        """
        End the leg: 487, CANCEL, or BYE as soon as it may be sent.

        @param reasons: Reason headers of the BYE.
        """
        self._reasons = tuple(reasons) or self._reasons
        self._stopRefreshing()
        if self._pending is not None:
            self.refuse(self._pending, 487)
        self._inputs.hangUp()

    def sendBye(self) -> None:
        """Machine: BYE (RFC 3261 section 15.1.1)."""
        assert self.dialog is not None
        self._bye(self.dialog, lambda status: self._inputs.end())

    def goAway(self) -> None:
        """Machine: nothing of this leg is left on the wire, but a re-INVITE that the end overtook."""
        self._stopRefreshing()
        self.cancelInvite()
        for server in self._unacknowledged.values():
            server.stop()
        self._unacknowledged.clear()
        self._workshop.unregister(self)
        self._owner.legGone(self)
