"""
Doubles for tests, built from the real values: what stands around the core without a
socket, a resolver or a clock of its own.

Each provides its interface for real (the tests say so with C{verifyObject}), records what
happened in the order in which it happened, and fails to order.

Beside them are conformance tests for plugins, and in L{skypetrunk.testing.stage} a whole call path to
run a plugin in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import (
    IClientTransaction,
    IClientTransactionUser,
    ICredentials,
    IMessageChannel,
    IServerTransaction,
    ITransactionUser,
)
from skypetrunk.testing.conformance import NumberPlanConformance, PolicyConformance, RecordSinkConformance
from skypetrunk.testing.conformance_dialect import DialectConformance
from skypetrunk.testing.conformance_listeners import ObserverConformance, TapsConformance
from skypetrunk.testing.in_process import (
    PBXConformance,
    RecordingPBXCall,
    RecordingPBXLine,
    RecordingPBXMedia,
)
from skypetrunk.wire.address import TransportAddress, parseAddress
from skypetrunk.wire.message import Request, Response, parseMessage
from skypetrunk.wire.secret import Secret


def countingToken() -> Callable[[], str]:
    """A source of branches and tags that gives C{t1}, C{t2}, ...: unique, and the same in each run."""
    numbers = count(1)
    return lambda: f"t{next(numbers)}"


@dataclass(frozen=True, slots=True)
class Sent:
    """
    One message that left by a L{RecordingChannel}.

    @ivar time: seconds on the channel's clock.
    @ivar peer: where it went.
    @ivar message: as it would be read from the wire.
    """

    time: float
    peer: TransportAddress
    message: Request | Response


@implementer(IMessageChannel)
class RecordingChannel:
    """
    A channel that keeps what is sent.  Each message is written and read again, so that a
    test sees what a peer would see, and what could not be parsed fails the test at once.

    @ivar sent: everything, in order; shared with the channels of L{toward}.
    @ivar failure: set it, and each C{send} raises L{ChannelFailed} with this text.
    @ivar receiver: set it, and each message is given to it too (a peer that answers).
    """

    def __init__(
        self,
        clock: IReactorTime,
        peer: str = "udp:192.0.2.1:5060",
        localAddress: str = "udp:198.51.100.1:5060",
        secure: bool | None = None,
    ) -> None:
        """
        @param peer: as L{parseAddress} reads it; its transport says whether this is reliable.
        @param secure: C{None}: over TLS only.
        """
        self.clock = clock
        self.peer = parseAddress(peer)
        self.localAddress = parseAddress(localAddress)
        self.reliable = self.peer.transport != "UDP"
        self.secure = self.peer.transport == "TLS" if secure is None else secure
        self.sent: list[Sent] = []
        self.failure: str | None = None
        self.receiver: Callable[[Request | Response], None] | None = None

    def send(self, message: Request | Response) -> None:
        """Record C{message}, or fail to order."""
        if self.failure is not None:
            raise ChannelFailed(self.failure)
        seen = parseMessage(message.encode(), stream=self.reliable)
        self.sent.append(Sent(self.clock.seconds(), self.peer, seen))
        if self.receiver is not None:
            self.receiver(seen)

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """A stream returns itself; else a channel to C{peer} that records here as well."""
        if self.reliable:
            return self
        other = RecordingChannel(self.clock, str(peer), str(self.localAddress), self.secure)
        other.sent, other.failure, other.receiver = self.sent, self.failure, self.receiver
        return other

    # For the test

    @property
    def messages(self) -> list[Request | Response]:
        """Everything sent, without times."""
        return [sent.message for sent in self.sent]

    @property
    def requests(self) -> list[Request]:
        """The requests sent."""
        return [message for message in self.messages if isinstance(message, Request)]

    @property
    def responses(self) -> list[Response]:
        """The responses sent."""
        return [message for message in self.messages if isinstance(message, Response)]

    def summary(self) -> list[str | int]:
        """Methods and statuses of everything sent, in order."""
        return [m.method if isinstance(m, Request) else m.status for m in self.messages]

    def times(self) -> list[float]:
        """When each message left, in seconds after the first."""
        return [round(sent.time - self.sent[0].time, 6) for sent in self.sent]

    def clear(self) -> list[Sent]:
        """Forget what was sent; it is returned."""
        sent = self.sent[:]
        del self.sent[:]
        return sent


@implementer(IClientTransactionUser)
class RecordingClientUser:
    """
    Keeps what a client transaction tells: C{("response", status)}, C{("timed out",)} or
    C{("failed", text)}.

    @ivar responses: the responses themselves.
    @ivar onResponse: set it, and it is called with each response and its transaction.
    """

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.responses: list[Response] = []
        self.onResponse: Callable[[Response, IClientTransaction], None] | None = None

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Record C{response}."""
        self.events.append(("response", response.status))
        self.responses.append(response)
        if self.onResponse is not None:
            self.onResponse(response, transaction)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Record it."""
        self.events.append(("timed out",))

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """Record C{reason}."""
        self.events.append(("failed", str(reason)))


@implementer(ITransactionUser)
class RecordingTransactionUser:
    """
    Keeps what the transaction layer tells: C{("request", method)}, C{("ack", CSeq number)},
    C{("cancel",)} or C{("failed", text)}.

    @ivar transactions: the transactions of the requests.
    @ivar acks: the ACKs.
    @ivar onRequest: set it, and it is called with each transaction (and may raise).
    @ivar onCancel: the same for each CANCEL.
    """

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.transactions: list[IServerTransaction] = []
        self.acks: list[Request] = []
        self.onRequest: Callable[[IServerTransaction], None] | None = None
        self.onCancel: Callable[[IServerTransaction], None] | None = None

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """Record the request."""
        self.events.append(("request", transaction.request.method))
        self.transactions.append(transaction)
        if self.onRequest is not None:
            self.onRequest(transaction)

    def ackReceived(self, request: Request, channel: IMessageChannel) -> None:
        """Record the ACK."""
        self.events.append(("ack", request.cseq.number))
        self.acks.append(request)

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """Record it."""
        self.events.append(("cancel",))
        if self.onCancel is not None:
            self.onCancel(transaction)

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """Record C{reason}."""
        self.events.append(("failed", str(reason)))


@implementer(ICredentials)
class MemoryCredentials:
    """User names and passwords by realm; C{"*"} stands for any realm."""

    def __init__(self, realms: Mapping[str, tuple[str, str]]) -> None:
        """@param realms: user name and password of each realm."""
        self._realms = {realm: (user, Secret(password)) for realm, (user, password) in realms.items()}

    def find(self, realm: str) -> tuple[str, Secret] | None:
        """User name and password for C{realm}."""
        return self._realms.get(realm) or self._realms.get("*")


__all__ = [
    "DialectConformance",
    "MemoryCredentials",
    "NumberPlanConformance",
    "ObserverConformance",
    "PBXConformance",
    "PolicyConformance",
    "RecordSinkConformance",
    "RecordingChannel",
    "RecordingClientUser",
    "RecordingPBXCall",
    "RecordingPBXLine",
    "RecordingPBXMedia",
    "RecordingTransactionUser",
    "Sent",
    "TapsConformance",
    "countingToken",
]
