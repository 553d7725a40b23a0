"""
One request other than INVITE: a channel is found, a challenge answered, the result told.

Within a dialog, a connection that breaks under it costs one more attempt, over another: a BYE that is lost
leaves the peer with a dead call.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.reaching import reach
from skypetrunk.errors import RemoteError, SkypetrunkError
from skypetrunk.interfaces import (
    IChannelFinder,
    IClientTransaction,
    IClientTransactionUser,
    IMessageChannel,
    ITransactions,
)
from skypetrunk.wire.headers import CSeq
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

Done = Callable[[int, Response | None], None]
"""Takes the final status of a request, and the response where there was one."""


@implementer(IClientTransactionUser)
class RequestClient:
    """The user agent client of one request (RFC 3261 section 17.1.2)."""

    __slots__ = (
        "_authentication",
        "_channel",
        "_done",
        "_finder",
        "_nextHop",
        "_nextSequence",
        "_request",
        "_transactions",
    )

    _log = Logger()

    def __init__(
        self,
        request: Request,
        transactions: ITransactions,
        finder: IChannelFinder,
        authentication: Authentication,
        nextSequence: Callable[[], int],
        done: Done,
    ) -> None:
        """
        @param done: called once with the final status and response; 408 and none for silence, 503 and
            none when nothing could be reached.
        """
        self._request = request
        self._transactions = transactions
        self._finder = finder
        self._authentication = authentication
        self._nextSequence = nextSequence
        self._done: Done | None = done
        self._channel: IMessageChannel | None = None
        self._nextHop: SIPURI | None = None

    def start(self, nextHop: SIPURI) -> None:
        """Send the request to C{nextHop}."""
        self._nextHop = nextHop
        self._find(nextHop)

    def _find(self, nextHop: SIPURI) -> None:
        reach(self._finder, nextHop, self._request, self._send, self._notFound)

    def _notFound(self, failure: Failure) -> None:
        if not isinstance(failure.value, SkypetrunkError):
            self._log.failure("{method} cannot be sent", failure, method=self._request.method)
        self._finish(503)

    def _send(self, channel: IMessageChannel) -> None:
        self._channel = channel
        self._transactions.sendRequest(self._request, channel, self)

    def _finish(self, status: int, response: Response | None = None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status, response)

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """A challenge is answered, any other final response is the result."""
        if response.status < 200:
            return
        if response.status in (401, 407) and self._channel is not None:
            try:
                retry = self._authentication.answer(self._request, response, self._nextSequence)
            except RemoteError:
                retry = None
            if retry is not None:
                self._request = retry
                self._send(self._channel)
                return
        if response.status < 300:
            self._authentication.accepted(self._request, response)
        self._finish(response.status, response)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Timer F."""
        self._finish(408)

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """
        The connection broke before a final response: a request within a dialog goes over another, once.
        The peer may have got it, so its number is not used again (RFC 3261 section 12.2.1.1).
        """
        nextHop, self._nextHop = self._nextHop, None
        if nextHop is None or self._request.toAddress.tag is None:
            self._finish(503)
            return
        method = self._request.method
        self._request = (
            self._request.withHeader("CSeq", str(CSeq(self._nextSequence(), method)))
            .withoutHeader("Authorization")
            .withoutHeader("Proxy-Authorization")
        )
        self._find(nextHop)
