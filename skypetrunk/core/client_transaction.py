"""
One request sent: RFC 3261 section 17.1.  When it does what is in L{skypetrunk.core.client_machines}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.timers import Timers
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IClientTransaction, IClientTransactionUser, IMessageChannel
from skypetrunk.wire.message import Header, Request, Response

Headers = tuple[tuple[str, str], ...]

_FORWARDED = Header("Max-Forwards", "70")

REMEMBERED = ("via", "from", "to", "call-id", "cseq", "authorization", "proxy-authorization")
"""What is kept of a request after its 2xx: what names dialog and transaction, and what its ACK repeats."""


class ClientInputs(Protocol):
    """What happens to a client transaction."""

    def provisional(self, response: Response) -> None:
        """A 1xx came."""

    def succeeded(self, response: Response) -> None:
        """A 2xx came."""

    def refused(self, response: Response) -> None:
        """A 3xx to 6xx came."""

    def resend(self) -> None:
        """Timer A or E."""

    def expired(self) -> None:
        """The state has lasted long enough: timer B, D, F, K, M, or the bound after CANCEL."""

    def cancelled(self, headers: Headers) -> None:
        """The user wants the INVITE cancelled."""

    def failed(self, reason: Exception) -> None:
        """The channel broke."""

    def stopped(self) -> None:
        """The transaction layer ends; nobody is told."""


class ClientLayer(Protocol):
    """What a client transaction needs of the layer it lives in."""

    clock: IReactorTime
    timers: Timers

    def clientEnded(self, transaction: ClientTransaction) -> None:
        """C{transaction} takes no more responses."""

    def sendCancel(self, cancel: Request, branch: str, channel: IMessageChannel) -> None:
        """Send C{cancel}, which has its Via, as a transaction of its own, whose end matters to nobody."""

    def cancelElsewhere(self, cancel: Request, channel: IMessageChannel) -> None:
        """C{channel} was lost: send C{cancel}, which has its Via, over the next one that leads there."""


def _ack(invite: Request, response: Response) -> Request:
    """The ACK of a non-2xx answer (RFC 3261 section 17.1.1.3), with the credentials (22.1)."""
    credentials = [each for each in invite.headers if each.name in ("Authorization", "Proxy-Authorization")]
    return Request("ACK", invite.uri, (*_repeated(invite, "ACK", response), *credentials))


def _cancel(invite: Request, extraHeaders: Headers) -> Request:
    """The CANCEL of C{invite} (RFC 3261 section 9.1)."""
    headers = _repeated(invite, "CANCEL", invite)
    headers.extend(Header(name, value) for name, value in extraHeaders)
    return Request("CANCEL", invite.uri, tuple(headers))


def _repeated(invite: Request, method: str, to: Request | Response) -> list[Header]:
    """The headers that an ACK or CANCEL has from its INVITE, with the To of C{to}."""
    first: dict[str, Header] = {}
    for header in invite.headers:
        first.setdefault(header.name, header)
    routes = invite.values("Route") if "Route" in first else ()
    return [
        first["Via"],
        _FORWARDED,
        *[Header("Route", value) for value in routes],
        first["From"],
        Header("To", to.header("To") or ""),
        first["Call-ID"],
        Header("CSeq", f"{invite.cseq.number} {method}"),
    ]


@implementer(IClientTransaction)
class ClientTransaction:
    """
    One request sent; also the core of its machine.

    @ivar key: branch and method, under which the layer finds it.
    """

    __slots__ = ("__weakref__", "_failure", "_machine", "_user", "channel", "key", "layer", "request")

    log = Logger()

    def __init__(
        self,
        request: Request,
        channel: IMessageChannel,
        key: tuple[str, str],
        user: IClientTransactionUser,
        layer: ClientLayer,
        start: Callable[[ClientTransaction], ClientInputs],
    ) -> None:
        """
        @param request: with its Via.
        @param key: branch and method, under which C{layer} finds this transaction.
        @param start: makes its machine, see L{skypetrunk.core.client_machines}.
        """
        self.request = request
        self.channel = channel
        self.key = key
        self._user: IClientTransactionUser | None = user
        self.layer = layer
        self._failure: IDelayedCall | None = None
        self._machine: ClientInputs | None = start(self)

    def cancel(self, extraHeaders: Sequence[tuple[str, str]] = ()) -> None:
        """Cancel the INVITE; any other request, and one that was answered, goes on (section 9.1)."""
        if self._machine is not None:
            self._machine.cancelled(tuple(extraHeaders))

    # Called by the layer

    def begin(self) -> None:
        """Send the request for the first time."""
        if self._machine is not None:
            self.transmit(self._machine)

    def responseReceived(self, response: Response) -> None:
        """A response of this transaction came."""
        machine = self._machine
        if machine is None:
            return
        if response.status < 200:
            machine.provisional(response)
        elif response.status < 300:
            machine.succeeded(response)
        else:
            machine.refused(response)

    def failed(self, reason: Exception) -> None:
        """The channel broke."""
        if self._machine is not None:
            self._machine.failed(reason)

    def stop(self) -> None:
        """End without telling anybody."""
        if self._machine is not None:
            self._machine.stopped()

    # Called by the machine

    def transmit(self, machine: ClientInputs) -> None:
        """Send the request, for the first time or again."""
        try:
            self.channel.send(self.request)
        except Exception as error:
            if not isinstance(error, ChannelFailed):
                self.log.failure("sending {method} failed", method=self.request.method)
            # Not now: the user has not got its transaction yet.
            if self._failure is None:
                self._failure = self.layer.clock.callLater(0, machine.failed, error)

    def acknowledge(self, response: Response) -> None:
        """Send the ACK of a non-2xx.  If it cannot leave, the answer will come again."""
        try:
            self.channel.send(_ack(self.request, response))
        except ChannelFailed as error:
            self.log.info("ACK could not be sent: {error}", error=error)
        except Exception:
            self.log.failure("sending ACK failed")

    def tell(self, response: Response) -> None:
        """Give C{response} to the user."""
        try:
            if self._user is not None:
                self._user.responseReceived(response, self)
        except Exception:
            self.log.failure("taking {status} to {method}", status=response.status, method=self.key[1])

    def tellTimedOut(self) -> None:
        """Tell the user that no final answer came."""
        try:
            if self._user is not None:
                self._user.timedOut(self)
        except Exception:
            self.log.failure("taking the time-out of {method}", method=self.key[1])

    def tellFailed(self, reason: Exception) -> None:
        """Tell the user that the channel broke."""
        try:
            if self._user is not None:
                self._user.channelFailed(self, reason)
        except Exception:
            self.log.failure("taking the lost channel of {method}", method=self.key[1])

    def settled(self) -> None:
        """A 2xx came.  The INVITE is not sent again, and 64*T1 is long: there may be thousands like it."""
        self.request = self.request.bare(*REMEMBERED)

    def sendCancel(self, headers: Headers) -> None:
        """Send the CANCEL of this INVITE."""
        self.layer.sendCancel(_cancel(self.request, headers), self.key[0], self.channel)

    def abandon(self) -> None:
        """The channel of an INVITE broke that somebody has taken on: nobody is to ring for ever."""
        credentials = [h for h in self.request.headers if h.name in ("Authorization", "Proxy-Authorization")]
        self.layer.cancelElsewhere(_cancel(self.request, tuple(credentials)), self.channel)

    def release(self) -> None:
        """The user was told the last: it has us, and each would keep the other."""
        self._user = None

    def end(self) -> None:
        """Terminated: nothing refers to this any more but its user."""
        failure = self._failure
        if failure is not None and failure.active():
            failure.cancel()
        self._failure = None
        self.layer.clientEnded(self)
        # The machine refers to us: without this the pair would wait for the garbage collector.
        self._machine = None
