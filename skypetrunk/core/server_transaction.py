"""
One request received: RFC 3261 section 17.2.  When it does what is in L{skypetrunk.core.server_machines}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.interim import Interim
from skypetrunk.core.timers import Timers
from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import IMessageChannel, IServerTransaction, ITransactionUser
from skypetrunk.wire.address import TransportAddress, isLiteral
from skypetrunk.wire.message import Request, Response, responseTo


class ServerInputs(Protocol):
    """What happens to a server transaction."""

    def repeated(self) -> None:
        """The request came again."""

    def acknowledged(self, ack: Request) -> None:
        """An ACK came that has the branch of the INVITE."""

    def cancelled(self) -> None:
        """A CANCEL of this INVITE came, and was answered."""

    def provisional(self, response: Response) -> None:
        """The user gives a 1xx."""

    def accepted(self, response: Response) -> None:
        """The user gives a 2xx."""

    def refused(self, response: Response) -> None:
        """The user gives a 3xx to 6xx."""

    def resend(self) -> None:
        """Timer G."""

    def expired(self) -> None:
        """The state has lasted long enough: timer H, I, J or L, or no answer was given in time."""

    def unsent(self, reason: Exception) -> None:
        """A response could not leave."""

    def failed(self, reason: Exception) -> None:
        """The channel broke."""

    def stopped(self) -> None:
        """The transaction layer ends; nobody is told."""


class ServerLayer(Protocol):
    """What a server transaction needs of the layer it lives in."""

    clock: IReactorTime
    timers: Timers
    user: ITransactionUser
    token: Callable[[], str]

    def serverEnded(self, transaction: ServerTransaction) -> None:
        """C{transaction} takes no more requests."""


def replyChannel(request: Request, channel: IMessageChannel) -> IMessageChannel:
    """
    Where the responses to C{request} go (RFC 3261 section 18.2.2, RFC 3581 section 4).

    @param request: with C{received} and C{rport} filled in.
    @param channel: where it came from.
    """
    if channel.reliable:
        return channel
    via, peer = request.topVia, channel.peer
    maddr = via.maddr
    # A name would have to be resolved first, on nothing but the request's word.
    if maddr is not None and isLiteral(maddr):
        host, port = maddr, via.port or 5060
    elif via.rport is not None:
        return channel
    else:
        host, port = peer.host, via.port or 5060
    address = TransportAddress(peer.transport, host, port)
    return channel if address == peer else channel.toward(address)


@implementer(IServerTransaction)
class ServerTransaction:
    """
    One request received; also the core of its machine.

    @ivar last: the last response given, to be sent again.
    """

    __slots__ = (
        "__weakref__",
        "_failure",
        "_machine",
        "_replies",
        "cancel",
        "channel",
        "key",
        "last",
        "layer",
        "origin",
        "request",
    )

    log = Logger()

    def __init__(
        self,
        request: Request,
        channel: IMessageChannel,
        key: tuple[object, ...],
        origin: tuple[object, ...] | None,
        layer: ServerLayer,
        start: Callable[[ServerTransaction], ServerInputs],
    ) -> None:
        """
        @param request: with C{received} and C{rport} filled in.
        @param key: what C{layer} finds this transaction by.
        @param origin: what it recognises a merged request by (RFC 3261 section 8.2.2.2), or C{None}.
        @param start: makes its machine, see L{skypetrunk.core.server_machines}.
        """
        self.request = request
        self.cancel: Request | None = None
        self.channel = channel
        self.key = key
        self.origin = origin
        self.layer = layer
        self._replies = replyChannel(request, channel)
        self.last: Response | None = None
        self._failure: IDelayedCall | None = None
        self._machine: ServerInputs | None = start(self)

    @property
    def answerTag(self) -> str | None:
        """The To tag of the last response, if one was given."""
        return None if self.last is None else self.last.toAddress.tag

    def respond(self, response: Response) -> None:
        """Send C{response}; too late a one is dropped."""
        machine = self._machine
        if machine is None:
            return
        if response.status < 200:
            machine.provisional(response)
        elif response.status < 300:
            machine.accepted(response)
        else:
            machine.refused(response)

    # Called by the layer

    def repeated(self) -> None:
        """The request came again."""
        if self._machine is not None:
            self._machine.repeated()

    def acknowledged(self, ack: Request) -> None:
        """An ACK of the same branch came."""
        if self._machine is not None:
            self._machine.acknowledged(ack)

    def cancelled(self, cancel: Request) -> None:
        """C{cancel} came, and was answered."""
        if self._machine is not None:
            self.cancel = cancel
            self._machine.cancelled()

    def failed(self, reason: Exception) -> None:
        """The channel broke."""
        if self._machine is not None:
            self._machine.failed(reason)

    def hold(self) -> None:
        """The channel broke; there may soon be another, and until then answers wait."""
        self._replies = Interim(self.channel)

    @property
    def held(self) -> bool:
        """Do answers wait for another channel?"""
        return isinstance(self._replies, Interim)

    def moveTo(self, channel: IMessageChannel) -> None:
        """
        Go on over C{channel}: what has waited is sent, or else the last answer again, as it may have
        been lost with the connection.  A 2xx to INVITE is the user's to send again, until its ACK comes.
        """
        interim, self._replies = self._replies, channel
        self.channel = channel
        machine = self._machine
        if machine is None or not isinstance(interim, Interim):
            return
        last = [] if self.last is None or self._acceptedInvite else [self.last]
        for message in interim.kept or last:
            if isinstance(message, Response):
                self.send(machine, message)

    @property
    def _acceptedInvite(self) -> bool:
        """Of such an answer no more than the To tag is kept."""
        return self.request.method == "INVITE" and self.last is not None and 200 <= self.last.status < 300

    def stop(self) -> None:
        """End without telling anybody."""
        if self._machine is not None:
            self._machine.stopped()

    def userFailed(self) -> None:
        """The user raised: answer 500, unless it has answered already."""
        try:
            self.respond(responseTo(self.request, 500, toTag=self.answerTag or self.layer.token()))
        except MalformedMessage:
            self.log.failure("answering {method} with 500", method=self.request.method)

    # Called by the machine

    def send(self, machine: ServerInputs, response: Response) -> bool:
        """
        Send C{response}, for the first time or again.

        @return: whether it could leave; if not, the machine hears of it later.
        """
        self.last = response
        try:
            self._replies.send(response)
            return True
        except Exception as error:
            if not isinstance(error, ChannelFailed):
                self.log.failure("sending {status} failed", status=response.status)
            # Not now: the user is in the middle of giving this response.
            if self._failure is None:
                self._failure = self.layer.clock.callLater(0, machine.unsent, error)
            return False

    def settled(self) -> None:
        """A final response was given, and is kept for 64*T1: there may be thousands like it."""
        self.request = self.request.bare("via", "from", "to", "call-id", "cseq")
        self.cancel = None

    def tellCancelled(self) -> None:
        """Tell the user of a CANCEL."""
        try:
            self.layer.user.cancelReceived(self)
        except Exception:
            self.log.failure("taking CANCEL")
            self.userFailed()

    def tellAcknowledged(self, ack: Request) -> None:
        """Give the ACK of a 2xx to the user."""
        try:
            self.layer.user.ackReceived(ack, self.channel)
        except Exception:
            self.log.failure("taking ACK")

    def tellFailed(self, reason: Exception) -> None:
        """Tell the user that its answer did not arrive."""
        try:
            self.layer.user.transactionFailed(self, reason)
        except Exception:
            self.log.failure("taking the failure of {method}", method=self.request.method)

    def end(self) -> None:
        """Terminated: nothing refers to this any more but its user."""
        failure = self._failure
        if failure is not None and failure.active():
            failure.cancel()
        self._failure = None
        self.layer.serverEnded(self)
        # The machine refers to us: without this the pair would wait for the garbage collector.
        self._machine = None
