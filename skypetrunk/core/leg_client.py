"""
INVITE and UPDATE that a leg sends, and how a leg ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from skypetrunk.core.answers import reasonsAcross
from skypetrunk.core.call_addresses import CallAddresses, securedLike
from skypetrunk.core.dialog import MAX_FORWARDS, Dialog, firstInvite
from skypetrunk.core.invite_client import InviteClient, Waiting
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg_machine import Ends, startLeg
from skypetrunk.core.leg_owner import NOBODY, LegOwner, Workshop
from skypetrunk.core.leg_subscriptions import LegSubscriptions
from skypetrunk.core.session import SDP_TYPE, Session, description
from skypetrunk.core.session_refresh import Client, Renewal, SessionRefresh
from skypetrunk.core.sides import Side
from skypetrunk.core.update import UpdateClient, UpdateServer
from skypetrunk.core.verified import VerifiedFinder
from skypetrunk.interfaces import ICallAttempt, IMessageChannel, IServerTransaction
from skypetrunk.wire.headers import CSeq
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI


class LegClient(LegSubscriptions, Ends):
    """
    The user agent client of one leg, and the leg's end; see L{LegSubscriptions} for what it has.

    @ivar owner: told what happens.
    @ivar refresh: the session timer, and the offers that this leg makes of its own.
    @ivar reasons: what may cross of why the peer hung up.
    @ivar paidBy: the call that has ended and pays for this leg all the same, C{None} if it is its own.
    """

    paidBy: str | None = None

    def __init__(self, call: str, side: Side, session: Session, owner: LegOwner, workshop: Workshop) -> None:
        super().__init__(call, side, session, workshop)
        self.owner = owner
        self.refresh = SessionRefresh(self, workshop)
        self.reasons: tuple[Header, ...] = ()
        self._inputs = startLeg(self)
        self._established = False
        self._pending: InviteServer | UpdateServer | None = None
        self._unacknowledged: dict[int, InviteServer] = {}
        self._client: Client | None = None
        # What a provisional response to the re-INVITE under way has answered.
        self._answer: tuple[InviteClient, Response] | None = None

    @property
    def busy(self) -> bool:
        """An INVITE or UPDATE is under way in one of the two directions, as the peer sees it."""
        return self._client is not None or self._pending is not None or self._held is not None

    @property
    def _held(self) -> InviteServer | None:
        """An INVITE of the peer whose 2xx waits for a PRACK."""
        held = [each for each in self._unacknowledged.values() if each.held]
        return held[0] if held else None

    @property
    def free(self) -> bool:
        """The session is established, and no INVITE, UPDATE or ACK is awaited in either direction."""
        return self._established and not self.busy and not self._unacknowledged

    def _confirm(self) -> None:
        """BYE may be sent, as soon as every 2xx of ours has its ACK (RFC 3261 section 15)."""
        if not self._unacknowledged:
            self._inputs.confirm()
            self.refresh.proceed()

    # INVITE

    def place(self, addresses: CallAddresses, body: bytes, maxForwards: int = MAX_FORWARDS) -> None:
        """Send the first INVITE; an empty C{body} asks the peer for the offer."""
        placed = self.placed = addresses.named(self._workshop.token)
        self.key = placed.key
        self.sequence = placed.sequence
        sequence = self._nextSequence()
        self._workshop.register(self)

        def makeRequest(channel: IMessageChannel) -> Request:
            self._contact = placed.secured(self.side.contactFor(placed.contactUser, channel))
            headers = self._inviteHeaders(body, self.refresh.timer.requestHeaders())
            return firstInvite(placed, sequence, self._contact, maxForwards, headers, body)

        side, waiting = self.side, None
        patience = side.patience if side.servers is None else side.servers.patience
        if patience is not None:
            waiting = partial(self._workshop.clock.callLater, patience)
        self._startClient(makeRequest, placed.hop, waiting)

    def takeAttempt(self, attempt: ICallAttempt) -> None:
        """All our requests take this way, from the first INVITE on."""
        self.attempt = attempt
        self.finder = VerifiedFinder(attempt)

    def change(self, body: bytes, update: bool) -> None:
        """
        Send an offer within the dialog.

        @param update: by UPDATE, if the peer takes that.
        """
        if update and self.allows("UPDATE"):
            self.update(body)
        else:
            self.reinvite(body)

    def reinvite(self, body: bytes) -> InviteClient:
        """Send an INVITE within the dialog (RFC 3261 section 14.1)."""
        dialog = self.dialog
        assert dialog is not None
        headers = self._inviteHeaders(body, self.refresh.timer.requestHeaders())
        request = dialog.makeRequest("INVITE", dialog.reserveSequence(), headers, body)
        return self._startClient(lambda channel: request, dialog.nextHop)

    def _startClient(
        self,
        makeRequest: Callable[[IMessageChannel], Request],
        nextHop: SIPURI,
        waiting: Waiting | None = None,
    ) -> InviteClient:
        side, authentication = self.side, self._authentication
        client = self._client = InviteClient(
            lambda channel: self._told(makeRequest(channel)),
            nextHop,
            self,
            side.transactions,
            self.finder,
            authentication,
            self._nextSequence,
            waiting,
        )
        client.start()
        return client

    @property
    def anyProvisional(self) -> bool:
        """Our INVITE was taken on by some server."""
        return isinstance(self._client, InviteClient) and self._client.anyProvisional

    @property
    def connectionBroke(self) -> bool:
        """As L{InviteClient.broke}."""
        return isinstance(self._client, InviteClient) and self._client.broke

    def cancelInvite(self) -> None:
        """Take our pending INVITE back; an UPDATE cannot be."""
        if self._client is not None:
            self._client.cancel(self._reasons)

    def acknowledge(self, response: Response, body: bytes = b"") -> None:
        """Send the ACK of a 2xx to INVITE, with our answer if the 2xx held the offer."""
        client, self._client = self._client, None
        assert client is not None and self.dialog is not None
        if isinstance(client, InviteClient):
            self._acknowledge(client, self.dialog, response, body)

    def inviteSilent(self, client: InviteClient) -> None:
        """L{InviteClient}: no answer within the side's patience."""
        self.owner.legSilent(self)

    def _serverAnswered(self) -> None:
        if self.attempt is not None and not self._established:
            self.attempt.answered()

    def inviteProgressed(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: a provisional response."""
        self._serverAnswered()
        self._read(response)
        if self.dialog is None:
            assert self._contact is not None
            if not self._early.seen(client.request, response, self._contact):
                return
        if not self._acknowledgeReliable(client.request, response):
            return
        if self.dialog is not None and not client.late and description(response):
            self._answer = client, response
        if not self.refresh.active:
            self.owner.legProgressed(self, response)

    def _whole(self, client: InviteClient, response: Response) -> Response:
        """A 2xx to a re-INVITE with its answer, which may have come before it (RFC 3262 section 5)."""
        answer, self._answer = self._answer, None
        if answer is None or answer[0] is not client or description(response):
            return response
        return response.withBody(description(answer[1]), SDP_TYPE)

    def inviteAccepted(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: the first 2xx makes the dialog, or refreshes its target."""
        self._serverAnswered()
        response = self._whole(client, response)
        if self.dialog is None:
            assert self._contact is not None
            self.dialog = self._early.continued(
                Dialog.fromResponse(client.request, response, self._contact)
            )
        else:
            self.dialog.refreshTarget(response)
        self._established = True
        self._accepted(client, response)

    def _accepted(self, client: Client, response: Response) -> None:
        self._read(response)
        self._confirm()
        self.refresh.timer.accepted(response)
        if self.refresh.active:
            self.refresh.accepted(client, response)
        else:
            self.owner.legAccepted(self, response)
            self.refresh.proceed()

    def inviteUnwanted(self, client: InviteClient, response: Response) -> None:
        """L{InviteClient}: a second fork, or an answer that crossed our CANCEL: ACK, then BYE."""
        if self.dialog is not None and self.dialog.remote.tag == response.toAddress.tag:
            # Only the re-INVITE was taken back; the dialog goes on.
            response = self._whole(client, response)
            # RFC 3261 section 13.2.1: an offer in a 2xx wants its answer in the ACK all the same.
            answer = self.owner.legOffered(self, response) if client.late else b""
            # Not before: no offer of ours may overtake the ACK.
            self._client = None
            self._acknowledge(client, self.dialog, response, answer)
            if not client.late:
                self.owner.legCrossed(self, response)
            self.refresh.proceed()
            return
        assert self._contact is not None
        dialog = self._early.continued(Dialog.fromResponse(client.request, response, self._contact))
        self._acknowledge(client, dialog, response, b"")
        self._bye(dialog, lambda status: self._inputs.refuse())
        said, answered = self.session.said, description(response) and not client.late
        if self.dialog is not None and self.session.secure and said is not None and answered:
            # That branch has our key too, and is not to hear what the other does.
            self.refresh.renew(Renewal(said, freshKey=True))

    def inviteFailed(
        self, client: InviteClient, status: int, response: Response | None, reason: str
    ) -> None:
        """L{InviteClient}: refused, or no answer."""
        self._answer = None
        if self.dialog is not None:
            self.session.forget()
        self._failed(client, status, response, reason)
        self._inputs.refuse()

    def _failed(self, client: Client, status: int, response: Response | None, reason: str) -> None:
        if self.refresh.active:
            self._client = None
            self.refresh.failed(status, ours=self.sequence > 0)
            return
        self.owner.legFailed(self, status, response, reason)
        self._client = None
        self.refresh.proceed()

    def inviteTooBrief(self, client: InviteClient, response: Response) -> Request | None:
        """L{InviteClient}: 422; the INVITE with a longer interval (RFC 4028 section 7.3)."""
        return self._longer(client.request, response)

    def _longer(self, request: Request, response: Response) -> Request | None:
        if not self.refresh.timer.raised(response):
            return None
        request = request.withHeader("CSeq", str(CSeq(self._nextSequence(), request.method)))
        for header in self.refresh.timer.requestHeaders():
            request = request.withHeader(*header)
        return request.withoutHeader("Authorization").withoutHeader("Proxy-Authorization")

    # UPDATE

    def update(self, body: bytes) -> UpdateClient:
        """Send an UPDATE, with an offer or without (RFC 3311 section 5.1)."""
        dialog = self.dialog
        assert dialog is not None
        headers = self._inviteHeaders(body, self.refresh.timer.requestHeaders())
        request = dialog.makeRequest("UPDATE", dialog.reserveSequence(), headers, body)
        client = self._client = UpdateClient(
            request, self, lambda each, done: self.sendRequest(dialog, each, done)
        )
        client.start()
        return client

    def updateAccepted(self, client: UpdateClient, response: Response) -> None:
        """L{UpdateClient}: the target is refreshed (RFC 3311 section 5.1)."""
        assert self.dialog is not None
        self.dialog.refreshTarget(response)
        self._accepted(client, response)

    def updateFailed(self, client: UpdateClient, status: int, response: Response | None) -> None:
        """L{UpdateClient}: what stood before stands."""
        self.session.forget()
        self._failed(client, status, response, "" if response is None else response.reason)

    def updateTooBrief(self, client: UpdateClient, response: Response) -> Request | None:
        """L{UpdateClient}: 422; the UPDATE with a longer interval."""
        return self._longer(client.request, response)

    def byeReceived(self, transaction: IServerTransaction) -> None:
        """The peer hangs up (RFC 3261 section 15.1.2): a pending INVITE gets 487, the BYE 200."""
        request = transaction.request
        if not self._inOrder(transaction):
            return
        transaction.respond(self._response(request, 200))
        self.reasons = reasonsAcross(request)
        self.refresh.stop()
        self._terminatePending()
        self.owner.legEnded(self, "hung up")
        self._inputs.end()

    def _terminatePending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.refuse(self._response(pending.request, 487))

    # Another connection

    def moved(self, channel: IMessageChannel) -> None:
        """
        The connection to the peer is another one, and so is where we are reached: the peer is told by a
        refresh (RFC 3261 section 12.2.1.1), which shows as well whether it still knows the call.
        """
        dialog, contact = self.dialog, self._contact
        if not self._established or self._gone or dialog is None or contact is None:
            return
        if self.attempt is not None and self.attempt.stands():
            # It is with another server, whose connection is as it was.
            return
        user = contact.uri.user if isinstance(contact.uri, SIPURI) else None
        moved = securedLike(self.side.contactFor(user or "trunk", channel), (contact.uri,))
        if str(moved) != str(contact):
            self._contact = dialog.contact = moved
            self.refresh.refreshSoon()

    def _unregister(self) -> None:
        self._workshop.unregister(self)

    # The end

    def refuse(
        self, server: InviteServer | UpdateServer, status: int, headers: Sequence[Header] = ()
    ) -> None:
        """Refuse an INVITE or UPDATE; the refusal of the first INVITE ends the leg."""
        self._pending = None
        server.refuse(self._response(server.request, status, headers))
        self._inputs.refuse()
        self.refresh.proceed()

    def giveUp(self, cause: str) -> None:
        """Hang up, and tell the owner."""
        # A BYE that cannot leave ends the leg at once, and then it has no owner any more.
        owner = self.owner
        self.hangUp()
        owner.legEnded(self, cause)

    def hangUp(self, reasons: Sequence[Header] = ()) -> None:
        """
        End the leg: 487, CANCEL, or BYE as soon as it may be sent.

        @param reasons: Reason headers of the CANCEL or BYE.
        """
        self._reasons = tuple(reasons) or self._reasons
        self.refresh.stop()
        if self._pending is not None:
            self.refuse(self._pending, 487)
        held = self._held
        if held is not None:
            # There is nothing yet that a BYE could end.
            del self._unacknowledged[held.request.cseq.number]
            held.refuse(self._response(held.request, 480))
            self._inputs.end()
            return
        self._inputs.hangUp()

    def sendBye(self) -> None:
        """Machine: BYE (RFC 3261 section 15.1.1)."""
        assert self.dialog is not None
        if isinstance(self._client, InviteClient):
            self._client.stop()
        self._informNoMore()
        self._bye(self.dialog, lambda status: self._inputs.end())

    def goAway(self) -> None:
        """Machine: nothing of this leg is left on the wire, but a re-INVITE that the end overtook."""
        self.refresh.stop()
        self.cancelInvite()
        self._terminatePending()
        for server in self._unacknowledged.values():
            # A 2xx that waits for a PRACK was not sent (RFC 3261 section 15.1.2).
            server.refuse(self._response(server.request, 487))
            server.stop()
        self._unacknowledged.clear()
        self._informNoMore()
        self._linger()
        self.owner.legGone(self)
        # A branch may answer for 64*T1 yet.  Its ACK and BYE need the leg, but nothing else of the call.
        self.session.close()
        if self._client is None and not self.refers:
            self.owner = NOBODY
