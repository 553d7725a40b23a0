"""
One leg of a call: the dialog with one side, its INVITEs and UPDATEs both ways, and its end.

The L{bridge<skypetrunk.core.bridge.Bridge>} that owns two legs decides what crosses; a leg knows
nothing of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.core.answers import reasonsAcross
from skypetrunk.core.call_addresses import securedLike
from skypetrunk.core.capabilities import ALLOW, SUPPORTED
from skypetrunk.core.dialog import Dialog
from skypetrunk.core.info import ACCEPT_INFO, InfoRefused, keyIn
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.session import description
from skypetrunk.core.update import UpdateServer
from skypetrunk.core.warning import warningOf
from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.uri import SIPURI


class Leg(LegClient):
    """One leg: here, what its peer asks; see L{LegClient} for the rest."""

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
        if transaction.channel.localAddress.transport == "TLS":
            # RFC 3261 section 12.1.1: like the Request-URI, the top Record-Route or the peer's Contact.
            before = (request.recordRoutes or request.contacts)[:1]
            self._contact = securedLike(self._contact, (uri, *(each.uri for each in before)))
        self.dialog = Dialog.fromRequest(request, self._workshop.token(), self._contact)
        self.key = self.dialog.key[:2]
        self._read(request)
        self._workshop.register(self)
        return self._serve(transaction)

    def reinvited(self, transaction: IServerTransaction) -> None:
        """An INVITE within the dialog (RFC 3261 section 14.2)."""
        if self._inOrder(transaction) and not self._crosses(transaction):
            self.owner.legInvited(self, self._serve(transaction))

    def _crosses(self, transaction: IServerTransaction) -> bool:
        """Is an offer under way already?  Then the new one is refused (RFC 3261 section 14, RFC 3311)."""
        if self._pending is not None or self._held is not None:
            self._respondLater(transaction)
        elif self._client is not None:
            # Glare (section 14.1): the peer is to try again a little later.
            transaction.respond(self._response(transaction.request, 491))
        else:
            self._read(transaction.request)
            return False
        return True

    def _respondLater(self, transaction: IServerTransaction) -> None:
        """RFC 3261 section 14.2: 500, "a randomly chosen value of between 0 and 10 seconds"."""
        seconds = self._workshop.entropy(1)[0] % 11
        again = Header("Retry-After", str(seconds))
        transaction.respond(self._response(transaction.request, 500, [again]))

    def _serve(self, transaction: IServerTransaction) -> InviteServer:
        clock, timers = self._workshop.clock, self._workshop.timers
        sequence = 1 + int.from_bytes(self._workshop.entropy(3), "big")
        server = self._served = self._pending = InviteServer(
            transaction, self, clock, timers, sequence, self.side.earlyAnswersReliable
        )
        return server

    def progress(self, server: InviteServer | UpdateServer, status: int, body: bytes = b"") -> None:
        """Send a provisional response."""
        server.progress(self._response(server.request, status, (), body))

    def accept(self, server: InviteServer | UpdateServer, body: bytes) -> None:
        """Send 200 with our answer or offer."""
        assert self.dialog is not None
        self._pending = None
        if isinstance(server, InviteServer):
            self._unacknowledged[server.request.cseq.number] = server
            self._inputs.answer()
        self._established = True
        self.dialog.refreshTarget(server.request)
        headers = (ALLOW, SUPPORTED, *self.refresh.timer.acceptedHeaders(server.request))
        server.accept(self._response(server.request, 200, headers, body))

    def answerRefresh(self, server: InviteServer | UpdateServer) -> bool:
        """
        Accept an offer that changes nothing, on this leg alone (RFC 4028 section 9).

        @return: false if it changes something, or may.
        """
        body = description(server.request)
        if not self.session.repeats(body, server.request.header("Session-Expires") is not None):
            return False
        self.accept(server, self.session.repeatAnswer(body))
        return True

    def awaits(self, request: Request) -> bool:
        """Is this the INVITE that is pending?"""
        server = self._pending or self._held
        return server is not None and server.request is request

    def cancelled(self, cancel: Request | None) -> None:
        """The peer took back the INVITE that is pending: it is answered 487 (RFC 3261 section 9.2)."""
        if self._pending is not None:
            if cancel is not None and not self._established:
                self.reasons = reasonsAcross(cancel)
            self._pending.cancel(self._response(self._pending.request, 487))
        else:
            self.reasons = self.reasons if cancel is None else reasonsAcross(cancel)
            self._endHeld("cancelled")

    def _endHeld(self, cause: str) -> None:
        """The other side has answered, and this peer, which has not heard of it, is gone."""
        if self._held is not None:
            self._endUnanswered(self._held, 487, cause)

    def connectionLost(self) -> None:
        """No answer to the INVITE that is pending can reach the peer: as if it had taken it back."""
        server, self._pending = self._pending, None
        if isinstance(server, InviteServer):
            self.owner.legCancelled(self, server, "the connection broke")
            self._inputs.refuse()
        else:
            self._endHeld("the connection broke")

    def ackReceived(self, ack: Request) -> None:
        """The ACK of one of our 2xx, found by its CSeq; others are retransmissions of a known one."""
        server = self._unacknowledged.pop(ack.cseq.number, None)
        if server is not None:
            server.ackReceived(ack)

    def inviteCancelled(self, server: InviteServer) -> None:
        """L{InviteServer}: 487 was sent."""
        self._pending = None
        self.owner.legCancelled(self, server, "cancelled")
        self._inputs.refuse()

    def inviteAcknowledged(self, server: InviteServer, ack: Request) -> None:
        """L{InviteServer}: the ACK came."""
        self.owner.legAcknowledged(self, server, ack)
        self._confirm()

    def ackMissing(self, server: InviteServer) -> None:
        """L{InviteServer}: no ACK in 64*T1; the session is ended (RFC 3261 section 13.3.1.4)."""
        self._unacknowledged.pop(server.request.cseq.number, None)
        self._inputs.confirm()
        self.giveUp("the answer was never acknowledged")

    def prackMissing(self, server: InviteServer) -> None:
        """L{InviteServer}: no PRACK in 64*T1: 500, and the call is over (RFC 3262 section 3)."""
        if not server.required:
            # It claims what it cannot do: the next call shall not suffer.
            self.side.earlyAnswersReliable = False
            self._log.warn("{side}: no PRACK; it is not relied on any more", side=self.side.name)
        if self._pending is server:
            server.refuse(self._response(server.request, 500))
            self.connectionLost()
            return
        self._endUnanswered(server, 500, "the early answer was never acknowledged")

    def _endUnanswered(self, server: InviteServer, status: int, cause: str) -> None:
        """The end of a call whose 2xx waits for a PRACK."""
        server.refuse(self._response(server.request, status))
        self._unacknowledged.pop(server.request.cseq.number, None)
        self.owner.legEnded(self, cause)
        self._inputs.end()

    # UPDATE, PRACK, INFO

    def updateReceived(self, transaction: IServerTransaction) -> None:
        """
        UPDATE (RFC 3311 section 5.2).  One without an offer refreshes target and session; an offer crosses
        once the call is answered, and before that is answered here.
        """
        if not self._inOrder(transaction):
            return
        request = transaction.request
        if not request.body:
            self._read(request)
            self._acceptUpdate(transaction, b"")
        elif not self._established:
            self._updateEarly(transaction)
        elif not self._crosses(transaction):
            server = self._pending = UpdateServer(transaction)
            self.owner.legInvited(self, server)

    def _updateEarly(self, transaction: IServerTransaction) -> None:
        request = transaction.request
        tag = request.fromAddress.tag or ""
        if self.dialog is None and not self._early.answered(tag):
            # Our own offer has no answer yet.
            transaction.respond(self._response(request, 491))
            return
        if self.dialog is not None and not (self._served is not None and self._served.settled):
            # The peer's offer has none.
            self._respondLater(transaction)
            return
        self._read(request)
        try:
            answer = self.owner.legReoffered(self, description(request), tag)
        except RemoteError as error:
            self.warn("the early offer", error)
            transaction.respond(self._response(request, error.status or 488, warningOf(error)))
            return
        self._acceptUpdate(transaction, answer)

    def _acceptUpdate(self, transaction: IServerTransaction, answer: bytes) -> None:
        request = transaction.request
        dialog = self.dialogWith(request.fromAddress.tag or "")
        assert dialog is not None
        dialog.refreshTarget(request)
        timer = self.refresh.timer.acceptedHeaders(request) if self._established else ()
        transaction.respond(self._response(request, 200, (ALLOW, SUPPORTED, *timer), answer))

    def prackReceived(self, transaction: IServerTransaction) -> None:
        """
        PRACK of a provisional response of ours; one of none is answered 481 (RFC 3262 section 3).  An offer
        in it is answered here, as one in an early UPDATE.
        """
        request = transaction.request
        if not self._inOrder(transaction):
            return
        if self._served is None or not self._served.prackReceived(request):
            transaction.respond(self._response(request, 481))
            return
        answer = b""
        if request.body:
            try:
                if not self._served.settled:
                    raise RemoteError("an offer while ours or theirs has no answer", 488)
                answer = self.owner.legReoffered(self, description(request), "")
            except RemoteError as error:
                self.warn("the offer in PRACK", error)
                transaction.respond(self._response(request, error.status or 488, warningOf(error)))
                return
        transaction.respond(self._response(request, 200, (), answer))

    def infoReceived(self, transaction: IServerTransaction) -> None:
        """INFO: a key crosses, any other is refused (RFC 6086 section 4.2.2)."""
        request = transaction.request
        try:
            key = keyIn(request)
        except InfoRefused as error:
            self.respond(transaction, error.status or 415, [ACCEPT_INFO])
            return
        if key is None:
            self.respond(transaction, 200)
        elif self._inOrder(transaction):
            self.owner.legInformed(
                self, *key, lambda status: transaction.respond(self._response(request, status))
            )

    # REFER and NOTIFY

    def takes(self, method: str) -> bool:
        """
        May the peer send this now?  Before the call is answered, in a dialog that our INVITE made, it may not
        end or change much; after its end only the subscriptions of a REFER live on (RFC 5057 section 4).
        """
        if self._gone:
            return method == "NOTIFY"
        return self.dialog is not None or method in ("UPDATE", "OPTIONS")

    def referReceived(self, transaction: IServerTransaction) -> None:
        """The peer wants the other side to call somebody else (RFC 3515)."""
        if not self._inOrder(transaction):
            return
        request = transaction.request
        assert self.dialog is not None

        def respond(status: int, headers: Sequence[Header]) -> None:
            transaction.respond(self._response(request, status, headers))

        try:
            refer = ReferServer(request, self.dialog, not self._referred, respond, self.sendRequest)
        except RemoteError as error:
            self.warn("the REFER", error)
            respond(error.status or 400, ())
            return
        self._referred = True
        self.owner.legReferred(self, refer)

    def notifyReceived(self, transaction: IServerTransaction) -> None:
        """What became of a REFER of ours."""
        if self._inOrder(transaction):
            status = self.refers.notifyReceived(transaction.request)
            headers = [Header("Allow-Events", "refer")] if status == 489 else []
            transaction.respond(self._response(transaction.request, status, headers))
