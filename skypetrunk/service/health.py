"""How the health of a PBX's addresses is learned: from every request sent there, and from OPTIONS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.answers import retryAfterOf
from skypetrunk.core.authentication import Authentication
from skypetrunk.core.options_ping import makeOptions
from skypetrunk.core.request_client import RequestClient
from skypetrunk.interfaces import (
    IChannelFinder,
    IClientTransaction,
    IClientTransactionUser,
    IMessageChannel,
    ITransactions,
)
from skypetrunk.pbx.health import HealthTable
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI


class HealthWatch:
    """What is seen goes into the table, and a change into the log."""

    _log = Logger()

    def __init__(self, name: str, table: HealthTable) -> None:
        """
        @param name: of the PBX.
        """
        self.name = name
        self.table = table

    def failed(self, peer: TransportAddress, reason: str, seconds: float | None = None) -> None:
        """A request to C{peer} failed."""
        address = self.table.find(peer)
        if address is not None and self.table.failed(address, reason, seconds):
            self._log.warn(
                "{pbx}: {address} is not used: {reason}", pbx=self.name, address=address, reason=reason
            )

    def succeeded(self, peer: TransportAddress) -> None:
        """C{peer} has answered."""
        address = self.table.find(peer)
        if address is not None and self.table.succeeded(address):
            self._log.info("{pbx}: {address} is used again", pbx=self.name, address=address)


@implementer(ITransactions)
class WatchedTransactions:
    """The transactions of a PBX, whose answers and silences are seen by the watch."""

    def __init__(self, transactions: ITransactions, watch: HealthWatch) -> None:
        self._transactions = transactions
        self._watch = watch
        self.messageReceived = transactions.messageReceived
        self.sendAck = transactions.sendAck
        self.channelLost = transactions.channelLost
        self.channelFound = transactions.channelFound

    def sendRequest(
        self, request: Request, channel: IMessageChannel, user: IClientTransactionUser
    ) -> IClientTransaction:
        """As the transactions do."""
        return self._transactions.sendRequest(request, channel, _Watched(user, self._watch))


@implementer(IClientTransactionUser)
class _Watched:
    """Sees how one request goes."""

    __slots__ = ("_answered", "_user", "_watch")

    def __init__(self, user: IClientTransactionUser, watch: HealthWatch) -> None:
        self._user = user
        self._watch = watch
        self._answered = False

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Any answer but 503 is a sign of life (RFC 3261 section 21.5.4)."""
        peer = transaction.channel.peer
        if response.status == 503:
            self._watch.failed(peer, f"503 {response.reason}", retryAfterOf(response))
        elif not self._answered:
            self._watch.succeeded(peer)
        self._answered = True
        self._user.responseReceived(response, transaction)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Silence; what rings for too long was heard before."""
        if not self._answered:
            self._watch.failed(transaction.channel.peer, "no answer")
        self._user.timedOut(transaction)

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The connection broke."""
        self._watch.failed(transaction.channel.peer, str(reason))
        self._user.channelFailed(transaction, reason)


class OptionsProbe:
    """Asks each address for its health, again and again, by OPTIONS (RFC 3261 section 11)."""

    def __init__(
        self,
        clock: IReactorTime,
        token: Callable[[], str],
        transactions: ITransactions,
        finder: IChannelFinder,
        local: SIPURI,
        targets: Sequence[SIPURI],
        interval: float,
    ) -> None:
        """
        @param transactions: whose answers are watched.
        @param local: who asks.
        @param interval: seconds.
        """
        self._clock = clock
        self._token = token
        self._transactions = transactions
        self._finder = finder
        self._local = local
        self._targets = tuple(targets)
        self._interval = interval
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Ask now, and then in each interval."""
        self._next = self._clock.callLater(self._interval, self.start)
        local = NameAddr(None, self._local)
        for target in self._targets:
            request = makeOptions(local, target, local, self._token)
            RequestClient(
                request,
                self._transactions,
                self._finder,
                Authentication(None, self._token),
                lambda: 2,
                _ignore,
            ).start(target)

    def stop(self) -> None:
        """Ask no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()


def _ignore(status: int, response: Response | None) -> None:
    """The watch has seen it."""
