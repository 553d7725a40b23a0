"""
The transaction layer: which message belongs to which transaction (RFC 3261 sections
17.1.3 and 17.2.3), and what belongs to none.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core import client_machines, server_machines
from skypetrunk.core.client_transaction import ClientTransaction
from skypetrunk.core.clock import QueuedClock
from skypetrunk.core.server_transaction import ServerTransaction
from skypetrunk.core.timers import Timers
from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import (
    IClientTransaction,
    IClientTransactionUser,
    IMessageChannel,
    ITransactions,
    ITransactionUser,
)
from skypetrunk.wire.address import foldedHost
from skypetrunk.wire.headers import CSeq, Via
from skypetrunk.wire.message import Request, Response, responseTo

#: A branch that begins so, and goes on, is unique (RFC 3261 section 8.1.1.7).
MAGIC = "z9hG4bK"

Key = tuple[object, ...]


@implementer(IClientTransactionUser)
class _Nobody:
    """The user of a CANCEL: only the answer to its INVITE counts (RFC 3261 section 9.1)."""

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Answered, or 481."""

    def timedOut(self, transaction: IClientTransaction) -> None:
        """The INVITE has its own bound."""

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The INVITE fails as well."""


@implementer(ITransactions)
class Transactions:
    """
    All transactions of some channels.

    @ivar dropped: responses and ill-formed requests that were not answered and told to nobody.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        user: ITransactionUser,
        token: Callable[[], str],
        timers: Timers = Timers(),  # noqa: B008 (a frozen value)
        patience: float = 0.0,
    ) -> None:
        """
        @param user: takes the requests.
        @param token: makes random text, at least 32 bits of it, for branches and tags (section 19.3).
        @param patience: seconds that answers wait for another channel when theirs was lost.
        """
        self.clock: IReactorTime = QueuedClock(clock, (timers.t1, timers.t4, timers.bound))
        self.user = user
        self.timers = timers
        self.dropped = 0
        self.token = token
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self._origins: dict[Key, ServerTransaction] = {}
        self._patience = patience
        self._impatient: dict[IMessageChannel, IDelayedCall] = {}
        self._cancels: dict[IMessageChannel, list[Request]] = {}

    @property
    def pending(self) -> int:
        """How many transactions live."""
        return len(self._clients) + len(self._servers)

    def stop(self) -> None:
        """End all transactions at once and tell nobody."""
        for waiting in self._impatient.values():
            waiting.cancel()
        self._impatient.clear()
        self._cancels.clear()
        for transaction in self._all():
            transaction.stop()

    def _all(self) -> list[ClientTransaction | ServerTransaction]:
        """A copy: ending one changes the tables."""
        return [*self._clients.values(), *self._servers.values()]

    # ITransactions

    def messageReceived(self, message: Request | Response, channel: IMessageChannel) -> None:
        """Give C{message} to its transaction, or begin one, or tell the user of a stray ACK."""
        try:
            if isinstance(message, Response):
                self._responseReceived(message)
            else:
                self._requestReceived(message, channel)
        except MalformedMessage as error:
            self._malformed(message, channel, error)
        except Exception:
            self.log.failure("taking a message from {peer}", peer=channel.peer)

    def sendRequest(
        self, request: Request, channel: IMessageChannel, user: IClientTransactionUser
    ) -> IClientTransaction:
        """Send C{request}; its Via is added here."""
        branch = MAGIC + self.token()
        return self._begin(request.prependingHeader("Via", _via(channel, branch)), branch, channel, user)

    def sendAck(self, ack: Request, channel: IMessageChannel) -> Request:
        """Send the ACK of a 2xx.  A channel that fails is only logged: the 2xx will come again."""
        if ack.header("Via") is None:
            ack = ack.prependingHeader("Via", _via(channel, MAGIC + self.token()))
        try:
            channel.send(ack)
        except ChannelFailed as error:
            self.log.info("ACK to {peer} could not be sent: {error}", peer=channel.peer, error=error)
        return ack

    def channelLost(self, channel: IMessageChannel, reason: Exception) -> None:
        """
        Fail what goes over C{channel}; with patience, answers wait for L{channelFound} first, and so do the
        CANCELs of INVITEs that were taken on.
        """
        held = False
        for transaction in self._all():
            if transaction.channel is not channel:
                continue
            if self._patience and isinstance(transaction, ServerTransaction):
                transaction.hold()
                held = True
            else:
                transaction.failed(reason)
        if held or channel in self._cancels:
            self._impatient[channel] = self.clock.callLater(self._patience, self._giveUp, channel, reason)

    def _giveUp(self, channel: IMessageChannel, reason: Exception) -> None:
        del self._impatient[channel]
        self._cancels.pop(channel, None)
        for transaction in tuple(self._servers.values()):
            if transaction.channel is channel:
                transaction.failed(reason)

    def channelFound(self, channel: IMessageChannel) -> None:
        """C{channel} leads to where those that were lost did: what waits for one goes there."""
        for waiting in self._impatient.values():
            waiting.cancel()
        self._impatient.clear()
        for transaction in tuple(self._servers.values()):
            if transaction.held:
                transaction.moveTo(channel)
        cancels, self._cancels = self._cancels, {}
        for cancel in (each for some in cancels.values() for each in some):
            try:
                # Its answer, to the old address in its Via, is of no use to anybody.
                channel.send(cancel)
            except ChannelFailed as error:
                self.log.info("CANCEL to {peer} could not be sent: {error}", peer=channel.peer, error=error)

    # ClientLayer and ServerLayer: called by the transactions

    def clientEnded(self, transaction: ClientTransaction) -> None:
        """Forget C{transaction}."""
        del self._clients[transaction.key]

    def serverEnded(self, transaction: ServerTransaction) -> None:
        """Forget C{transaction}."""
        del self._servers[transaction.key]
        if transaction.origin is not None and self._origins.get(transaction.origin) is transaction:
            del self._origins[transaction.origin]

    def sendCancel(self, cancel: Request, branch: str, channel: IMessageChannel) -> None:
        """Send C{cancel}, which has the Via of its INVITE."""
        self._begin(cancel, branch, channel, _NOBODY)

    def cancelElsewhere(self, cancel: Request, channel: IMessageChannel) -> None:
        """Keep C{cancel} as long as answers wait."""
        if self._patience:
            self._cancels.setdefault(channel, []).append(cancel)

    # Requests

    def _requestReceived(self, request: Request, channel: IMessageChannel) -> None:
        via, cseq, method = request.topVia, request.cseq, request.method
        if cseq.method != method:
            raise MalformedMessage("CSeq names another method than the request line")
        key = _serverKey(request, via, cseq, "INVITE" if method == "ACK" else method)
        known = self._servers.get(key)
        if method == "ACK":
            self._ackReceived(request, channel, known)
        elif known is not None:
            known.repeated()
        elif method == "CANCEL":
            self._cancelReceived(_received(request, via, channel), channel, key)
        else:
            self._newRequest(_received(request, via, channel), channel, key)

    def _ackReceived(self, ack: Request, channel: IMessageChannel, known: ServerTransaction | None) -> None:
        # An RFC 2543 branch does not tell the ACK of a 2xx from others: its To tag does (section 17.2.3).
        if known is not None and (known.key[0] is not None or ack.toAddress.tag == known.answerTag):
            known.acknowledged(ack)
            return
        try:
            self.user.ackReceived(ack, channel)
        except Exception:
            self.log.failure("taking ACK")

    def _cancelReceived(self, cancel: Request, channel: IMessageChannel, key: Key) -> None:
        """Answer CANCEL, and tell its INVITE (section 9.2)."""
        invite = self._servers.get((*key[:-1], "INVITE"))
        transaction = self._open(cancel, channel, key, None)
        tag = (invite.answerTag if invite is not None else None) or self.token()
        transaction.respond(responseTo(cancel, 481 if invite is None else 200, toTag=tag))
        if invite is not None:
            invite.cancelled(cancel)

    def _newRequest(self, request: Request, channel: IMessageChannel, key: Key) -> None:
        origin: Key | None = None
        if request.toAddress.tag is None:
            origin = (request.callID, request.fromAddress.tag, request.cseq.number, request.method)
            if origin in self._origins:
                # Section 8.2.2.2: the same request came another way.
                merged = self._open(request, channel, key, None)
                merged.respond(responseTo(request, 482, toTag=self.token()))
                return
        transaction = self._open(request, channel, key, origin)
        if request.method == "INVITE":
            # Section 17.2.1; at once, as what follows may have to wait for others.
            transaction.respond(responseTo(request, 100))
        try:
            self.user.requestReceived(transaction)
        except Exception:
            self.log.failure("taking {method}", method=request.method)
            transaction.userFailed()

    def _open(
        self, request: Request, channel: IMessageChannel, key: Key, origin: Key | None
    ) -> ServerTransaction:
        start = server_machines.startInvite if request.method == "INVITE" else server_machines.startOther
        transaction = self._servers[key] = ServerTransaction(request, channel, key, origin, self, start)
        if origin is not None:
            self._origins[origin] = transaction
        return transaction

    # Responses

    def _responseReceived(self, response: Response) -> None:
        via = response.topVia
        transaction = self._clients.get((via.branch or "", response.cseq.method))
        # Sections 8.1.3.3 and 18.1.2: exactly one Via, which is ours.
        if transaction is None or len(response.vias) > 1 or not _isOurs(via, transaction.channel):
            self.dropped += 1
            self.log.debug("dropped a response {status} that belongs to no request", status=response.status)
            return
        transaction.responseReceived(response)

    # Both

    def _begin(
        self, request: Request, branch: str, channel: IMessageChannel, user: IClientTransactionUser
    ) -> ClientTransaction:
        key = (branch, request.method)
        start = client_machines.startInvite if request.method == "INVITE" else client_machines.startOther
        transaction = self._clients[key] = ClientTransaction(request, channel, key, user, self, start)
        transaction.begin()
        return transaction

    def _malformed(
        self, message: Request | Response, channel: IMessageChannel, error: MalformedMessage
    ) -> None:
        """Answer 400, without a transaction; nothing to a response, an ACK, or without a way back."""
        self.log.info("{peer} sent {message}: {error}", peer=channel.peer, message=message, error=error)
        if isinstance(message, Response) or message.method == "ACK" or message.header("Via") is None:
            self.dropped += 1
            return
        try:
            channel.send(responseTo(message, error.status or 400, toTag=self.token()))
        except (ChannelFailed, ValueError) as e:
            self.dropped += 1
            self.log.info("{peer} gets no answer: {error}", peer=channel.peer, error=e)


_NOBODY = _Nobody()


def _via(channel: IMessageChannel, branch: str) -> str:
    local = channel.localAddress
    return f"SIP/2.0/{local.transport} {local.hostPort};rport;branch={branch}"


def _isOurs(via: Via, channel: IMessageChannel) -> bool:
    local = channel.localAddress
    if via.port == local.port and via.host.lower() == local.host.lower():
        return True
    # A peer that reads and writes it may write an IPv6 address in another of its forms (RFC 5952).
    return via.port == local.port and foldedHost(via.host) == foldedHost(local.host)


def _serverKey(request: Request, via: Via, cseq: CSeq, method: str) -> Key:
    """
    What a server transaction is found by.  It ends with the method, and begins with
    C{None} for a branch that is not unique (RFC 2543).
    """
    branch = via.branch
    if branch is not None and len(branch) > len(MAGIC) and branch.startswith(MAGIC):
        return branch, via.host.lower(), via.port, method
    # The To tag is left out: that of an ACK is the one of the answer.
    return None, request.uri, request.fromAddress.tag, request.callID, cseq.number, str(via), method


def _received(request: Request, via: Via, channel: IMessageChannel) -> Request:
    """C{request} with where it came from in its Via."""
    peer = channel.peer
    seen = via.seenFrom(peer.host, peer.port)
    return request if seen is via else request.withTopVia(seen)
