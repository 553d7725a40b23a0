"""
What a leg has of its dialog: who it is there, its CSeq numbers, and the requests and responses made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.capabilities import AGENT, ALLOW, LATE_SUPPORTED, SUPPORTED
from skypetrunk.core.dialog import Dialog
from skypetrunk.core.early_dialogs import EarlyDialogs, isReliable
from skypetrunk.core.info import ACCEPT_INFO, InfoRefused, keyIn
from skypetrunk.core.invite_client import InviteClient
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.request_client import RequestClient
from skypetrunk.core.session import SDP_TYPE, Session
from skypetrunk.core.sides import Side
from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo


class LegDialog:
    """
    The dialog of one leg with one side.

    @ivar call: name of the call, for logs.
    @ivar session: its offers, answers and media.
    @ivar dialog: set from the first INVITE received, or the 2xx to ours.
    """

    _log = Logger()

    def __init__(self, call: str, side: Side, session: Session, workshop: Workshop) -> None:
        self.call = call
        self.side = side
        self.session = session
        self.dialog: Dialog | None = None
        self._authentication = Authentication(side.credentials, workshop.token)
        self._workshop = workshop
        self._contact: NameAddr | None = None
        self._sequence = 0
        self._served: InviteServer | None = None
        self._early = EarlyDialogs()
        self._reasons: tuple[Header, ...] = ()

    def _nextSequence(self) -> int:
        if self.dialog is not None:
            return self.dialog.reserveSequence()
        self._sequence += 1
        return self._sequence

    def _inviteHeaders(self, body: bytes, more: Sequence[Header]) -> list[Header]:
        headers = [ALLOW, SUPPORTED if body else LATE_SUPPORTED, *more, Header("User-Agent", AGENT)]
        if body:
            headers.append(Header("Content-Type", SDP_TYPE))
        return headers

    def respond(self, transaction: IServerTransaction, status: int, headers: Sequence[Header] = ()) -> None:
        """Answer another request within the dialog."""
        assert self.dialog is not None
        if self.dialog.sequenceAccepted(transaction.request):
            transaction.respond(self._response(transaction.request, status, headers))
        else:
            transaction.respond(self._response(transaction.request, 500))

    def prackReceived(self, transaction: IServerTransaction) -> None:
        """PRACK of a provisional response of ours; one of none is answered 481 (RFC 3262 section 3)."""
        request = transaction.request
        assert self.dialog is not None
        if not self.dialog.sequenceAccepted(request):
            transaction.respond(self._response(request, 500))
        elif request.body:
            # An offer in PRACK would have to be answered in its 200, before the other side knows of it.
            transaction.respond(self._response(request, 488))
        elif self._served is None or not self._served.prackReceived(request):
            transaction.respond(self._response(request, 481))
        else:
            transaction.respond(self._response(request, 200))

    def _acknowledgeReliable(self, invite: Request, response: Response) -> bool:
        """PRACK for a provisional response that wants one; false if it counts for nothing."""
        if not isReliable(response):
            return True
        assert self._contact is not None
        found = self._early.progressed(invite, response, self._contact, self.dialog)
        if found is None:
            return False
        self._sendRequest(*found, lambda status: None)
        return True

    def _acknowledge(self, client: InviteClient, dialog: Dialog, response: Response, body: bytes) -> None:
        headers = [Header("User-Agent", AGENT)]
        if body:
            headers.append(Header("Content-Type", SDP_TYPE))
        ack = dialog.makeRequest("ACK", client.request.cseq.number, headers, body)
        client.acknowledge(response, ack, dialog.nextHop)

    def keyReceived(
        self,
        transaction: IServerTransaction,
        cross: Callable[[str, bytes, Callable[[int], None]], None],
    ) -> None:
        """
        INFO: a key crosses, any other is refused (RFC 6086 section 4.2.2).

        @param cross: takes type and body for the other leg, and who is told of its answer.
        """
        request = transaction.request
        try:
            key = keyIn(request)
        except InfoRefused as error:
            self.respond(transaction, error.status or 415, [ACCEPT_INFO])
            return
        assert self.dialog is not None
        if key is None:
            self.respond(transaction, 200)
        elif not self.dialog.sequenceAccepted(request):
            transaction.respond(self._response(request, 500))
        else:
            cross(*key, lambda status: transaction.respond(self._response(request, status)))

    def inform(self, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """Send INFO (RFC 6086)."""
        assert self.dialog is not None
        headers = [Header("User-Agent", AGENT), Header("Content-Type", kind)]
        sequence = self.dialog.reserveSequence()
        self._sendRequest(self.dialog, self.dialog.makeRequest("INFO", sequence, headers, body), done)

    def warn(self, what: str, error: RemoteError) -> None:
        """Log what of the peer is refused."""
        self._log.warn(
            "{call}: {what} of {side} is refused: {reason}",
            call=self.call,
            what=what,
            side=self.side.name,
            reason=str(error),
        )

    def _bye(self, dialog: Dialog, done: Callable[[int], None]) -> None:
        headers = [*self._reasons, Header("User-Agent", AGENT)]
        self._sendRequest(dialog, dialog.makeRequest("BYE", dialog.reserveSequence(), headers), done)

    def _sendRequest(self, dialog: Dialog, request: Request, done: Callable[[int], None]) -> None:
        side = self.side
        RequestClient(
            request, side.transactions, side.finder, self._authentication, dialog.reserveSequence, done
        ).start(dialog.nextHop)

    def _response(
        self,
        request: Request,
        status: int,
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> Response:
        assert self.dialog is not None
        lines = list(headers)
        if request.method == "INVITE" and status < 300:
            lines.append(Header("Contact", str(self.dialog.contact)))
        lines.append(Header("Server", AGENT))
        if body:
            lines.append(Header("Content-Type", SDP_TYPE))
        tag = self.dialog.local.tag
        return responseTo(request, status, None, tuple(lines), body, tag, recordRoute=status < 300)
