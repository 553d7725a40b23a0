"""
What a leg has of its dialog: who it is there, its CSeq numbers, and the requests and responses made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.capabilities import ALLOW, DESCRIBED, LATE_SUPPORTED, SERVER, SUPPORTED, USER_AGENT
from skypetrunk.core.dialog import Dialog
from skypetrunk.core.early_dialogs import EarlyDialogs, isReliable
from skypetrunk.core.invite_client import InviteClient
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.request_client import Done, RequestClient
from skypetrunk.core.session import Session, description
from skypetrunk.core.sides import Side
from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import ICallAttempt, IChannelFinder, IServerTransaction
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI

MOST_KEYS = 32
"""That wait for the answer to the one before: more than a card number, and no flood."""

KEY_AGAIN = 0.5
"""Seconds until a key is sent again, once, that met something else of the peer's (491)."""


class LegDialog:
    """
    The dialog of one leg with one side.

    @ivar call: name of the call, for logs.
    @ivar session: its offers, answers and media.
    @ivar dialog: set from the first INVITE received, or the 2xx to ours.
    @ivar key: Call-ID and our tag, by which requests of the peer find the leg; set with the first INVITE.
    @ivar placed: the addresses of our first INVITE, once it was sent.
    @ivar finder: the way of our requests.
    @ivar attempt: the same, where our first INVITE goes to one of several servers.
    @ivar keysTold: keys of the peer that went on in INFO lately: each with whether it was an event, and when.
    @ivar sequence: the CSeq number used last before there was a dialog; 0 where the peer began it.
    """

    _log = Logger()

    def __init__(self, call: str, side: Side, session: Session, workshop: Workshop) -> None:
        self.call = call
        self.side = side
        self.session = session
        self.dialog: Dialog | None = None
        self.key: tuple[str, str] | None = None
        self._authentication = Authentication(side.credentials, workshop.token)
        self._workshop = workshop
        self._contact: NameAddr | None = None
        self.sequence = 0
        self.placed: CallAddresses | None = None
        self._served: InviteServer | None = None
        self._early = EarlyDialogs()
        self._reasons: tuple[Header, ...] = ()
        self._allow = ""
        self.keysTold: tuple[tuple[str, bool, float], ...] = ()
        # What is sent in INFO, and what waits for its answer.
        self._informing: tuple[tuple[str, bytes, Callable[[int], None]], ...] = ()
        self._informAgain: IDelayedCall | None = None
        self._mayInformAgain = True
        self.finder: IChannelFinder = side.finder
        self.attempt: ICallAttempt | None = None

    def ourAddresses(self) -> Sequence[SIPURI]:
        """Where the peer may reach us, as it knows us."""
        contact = None if self._contact is None else self._contact.uri
        return [uri for uri in (self.side.local, contact) if isinstance(uri, SIPURI)]

    def _nextSequence(self) -> int:
        if self.dialog is not None:
            return self.dialog.reserveSequence()
        self.sequence += 1
        return self.sequence

    def _inviteHeaders(self, body: bytes, more: Sequence[Header]) -> list[Header]:
        headers = [ALLOW, SUPPORTED if body else LATE_SUPPORTED, *more, USER_AGENT]
        if body:
            headers.append(DESCRIBED)
        return headers

    def dialogWith(self, remoteTag: str) -> Dialog | None:
        """The dialog with the peer of this tag: the leg's own, or while there is none an early one."""
        if self.dialog is None:
            return self._early.find(remoteTag)
        return self.dialog if (self.dialog.remote.tag or "") == remoteTag else None

    def allows(self, method: str) -> bool:
        """Does the peer say that it takes C{method} (RFC 3261 section 20.5)?"""
        return method in [each.strip() for each in self._allow.split(",")]

    def rulesOut(self, method: str) -> bool:
        """Does the peer say what it takes, and C{method} is not there?"""
        return bool(self._allow) and not self.allows(method)

    def _read(self, message: Request | Response) -> None:
        """Take over what the peer tells of itself; of several Allow lines the first will do."""
        self._allow = message.header("Allow") or self._allow

    def respond(self, transaction: IServerTransaction, status: int, headers: Sequence[Header] = ()) -> None:
        """Answer another request within the dialog."""
        if self._inOrder(transaction):
            transaction.respond(self._response(transaction.request, status, headers))

    def _inOrder(self, transaction: IServerTransaction) -> bool:
        """Is this the peer's next request?  Others are answered 500 (RFC 3261 section 12.2.2)."""
        request = transaction.request
        dialog = self.dialogWith(request.fromAddress.tag or "")
        if dialog is not None and dialog.sequenceAccepted(request):
            return True
        transaction.respond(self._response(request, 500))
        return False

    def _acknowledgeReliable(self, invite: Request, response: Response) -> bool:
        """PRACK for a provisional response that wants one; false if it counts for nothing."""
        if not isReliable(response):
            return True
        assert self._contact is not None
        found = self._early.progressed(invite, response, self._contact, self.dialog)
        if found is None:
            return False
        self.sendRequest(*found, _ignore)
        return True

    def _acknowledge(self, client: InviteClient, dialog: Dialog, response: Response, body: bytes) -> None:
        headers = [USER_AGENT]
        if client.late and not body:
            # RFC 3261 section 13.2.2.4: an offer has its answer in the ACK, also where a BYE follows.
            body = self.session.refuseOffer(description(response), elsewhere=dialog is not self.dialog)
        if body:
            headers.append(DESCRIBED)
        ack = dialog.makeRequest("ACK", client.request.cseq.number, headers, body)
        client.acknowledge(response, ack, dialog.nextHop)

    def inform(self, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """
        Send INFO (RFC 6086), one after the other: where a datagram is lost the key after it would come first,
        and the lost one be refused for its CSeq.

        @param done: takes the status; 503 where too many wait, and 480 where the call ends before it is sent.
        """
        if len(self._informing) > MOST_KEYS:
            done(503)
            return
        self._informing = (*self._informing, (kind, body, done))
        if len(self._informing) == 1:
            self._informNext()

    def _informNext(self, again: bool = True) -> None:
        assert self.dialog is not None
        kind, body, done = self._informing[0]
        self._informAgain = None

        def answered(status: int, _: Response | None) -> None:
            if status == 491 and again and self._mayInformAgain:
                self._informAgain = self._workshop.clock.callLater(KEY_AGAIN, self._informNext, False)
                return
            self._informing = self._informing[1:]
            done(status)
            if self._informing:
                self._informNext()

        headers = [USER_AGENT, Header("Content-Type", kind)]
        request = self.dialog.makeRequest("INFO", self.dialog.reserveSequence(), headers, body)
        self.sendRequest(self.dialog, request, answered)

    def _informNoMore(self) -> None:
        """The call ends: what waits is not sent."""
        self._mayInformAgain = False
        sent = 1
        if self._informAgain is not None:
            self._informAgain.cancel()
            self._informAgain, sent = None, 0
        waiting, self._informing = self._informing[sent:], self._informing[:sent]
        for _, _, done in waiting:
            done(480)

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
        headers = [*self._reasons, USER_AGENT]
        request = dialog.makeRequest("BYE", dialog.reserveSequence(), headers)
        self.sendRequest(dialog, request, lambda status, response: done(status))

    def sendRequest(self, dialog: Dialog, request: Request, done: Done) -> None:
        """
        Send a request made of C{dialog}, other than INVITE and ACK.

        @param done: takes its final status, and the response where one came.
        """
        side = self.side
        RequestClient(
            self._told(request),
            side.transactions,
            self.finder,
            self._authentication,
            dialog.reserveSequence,
            done,
        ).start(dialog.nextHop)

    def _told(self, request: Request) -> Request:
        """C{request} with what each request to this side carries."""
        for name, value in self.side.requestHeaders:
            request = request.addingHeader(name, value)
        return request

    def _response(
        self,
        request: Request,
        status: int,
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> Response:
        assert self._contact is not None
        lines = list(headers)
        if request.method in ("INVITE", "UPDATE", "REFER", "NOTIFY") and status < 300:
            lines.append(Header("Contact", str(self._contact)))
        lines.append(SERVER)
        if body:
            lines.append(DESCRIBED)
        tag = None if self.dialog is None else self.dialog.local.tag
        return responseTo(request, status, None, tuple(lines), body, tag, recordRoute=status < 300)


def _ignore(status: int, response: Response | None) -> None:
    """Whatever the answer is, nothing follows from it."""
