"""
Client transactions: RFC 3261 section 17.1, with the Accepted state of RFC 6026.

Two machines over one set of inputs.  Each state's data are its timers; states of RFC
3261 that differ by a timer's interval only (Trying and Proceeding of section 17.1.2)
are one state here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from automat import TypeMachineBuilder, pep614
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.machines import indexed
from skypetrunk.core.timers import StateTimers, Timers, untimed, waiting
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IClientTransaction, IClientTransactionUser, IMessageChannel
from skypetrunk.wire.message import Header, Request, Response

if TYPE_CHECKING:
    from automat._typed import TypedState

Headers = tuple[tuple[str, str], ...]

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


def _ack(invite: Request, response: Response) -> Request:
    """The ACK of a non-2xx answer (RFC 3261 section 17.1.1.3), with the credentials (22.1)."""
    headers = _repeated(invite, "ACK", response)
    for name in ("Authorization", "Proxy-Authorization"):
        headers.extend(Header(name, value) for value in invite.values(name))
    return Request("ACK", invite.uri, tuple(headers))


def _cancel(invite: Request, extraHeaders: Headers) -> Request:
    """The CANCEL of C{invite} (RFC 3261 section 9.1)."""
    headers = _repeated(invite, "CANCEL", invite)
    headers.extend(Header(name, value) for name, value in extraHeaders)
    return Request("CANCEL", invite.uri, tuple(headers))


def _repeated(invite: Request, method: str, to: Request | Response) -> list[Header]:
    """The headers that an ACK or CANCEL has from its INVITE, with the To of C{to}."""
    headers = [Header("Via", invite.header("Via") or ""), Header("Max-Forwards", "70")]
    headers.extend(Header("Route", value) for value in invite.values("Route"))
    for name, source in (("From", invite), ("To", to), ("Call-ID", invite)):
        headers.append(Header(name, source.header(name) or ""))
    headers.append(Header("CSeq", f"{invite.cseq.number} {method}"))
    return headers


@implementer(IClientTransaction)
class ClientTransaction:
    """One request sent; also the core of its machine."""

    __slots__ = ("__weakref__", "_failure", "_layer", "_machine", "_user", "channel", "key", "request")

    log = Logger()

    def __init__(
        self,
        request: Request,
        channel: IMessageChannel,
        key: tuple[str, str],
        user: IClientTransactionUser,
        layer: ClientLayer,
    ) -> None:
        """
        @param request: with its Via.
        @param key: branch and method, under which C{layer} finds this transaction.
        """
        self.request = request
        self.channel = channel
        self.key = key
        self._user = user
        self._layer = layer
        self._failure: IDelayedCall | None = None
        start = _startInvite if request.method == "INVITE" else _startOther
        self._machine: ClientInputs | None = start(self)

    def cancel(self, extraHeaders: Sequence[tuple[str, str]] = ()) -> None:
        """Cancel the INVITE; any other request, and one that was answered, goes on (section 9.1)."""
        if self._machine is not None:
            self._machine.cancelled(tuple(extraHeaders))

    # Called by the layer

    def begin(self) -> None:
        """Send the request for the first time."""
        if self._machine is not None:
            self._transmit(self._machine)

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

    def _transmit(self, machine: ClientInputs) -> None:
        try:
            self.channel.send(self.request)
        except Exception as error:
            if not isinstance(error, ChannelFailed):
                self.log.failure("sending {method} failed", method=self.request.method)
            # Not now: the user has not got its transaction yet.
            self._failure = self._layer.clock.callLater(0, machine.failed, error)

    def _acknowledge(self, response: Response) -> None:
        try:
            self.channel.send(_ack(self.request, response))
        except ChannelFailed as error:
            self.log.info("ACK could not be sent: {error}", error=error)

    def _tell(self, response: Response) -> None:
        try:
            self._user.responseReceived(response, self)
        except Exception:
            self.log.failure("taking {status} to {method}", status=response.status, method=self.key[1])

    def _tellTimedOut(self) -> None:
        try:
            self._user.timedOut(self)
        except Exception:
            self.log.failure("taking the time-out of {method}", method=self.key[1])

    def _tellFailed(self, reason: Exception) -> None:
        try:
            self._user.channelFailed(self, reason)
        except Exception:
            self.log.failure("taking the lost channel of {method}", method=self.key[1])

    def _sendCancel(self, headers: Headers) -> None:
        self._layer.sendCancel(_cancel(self.request, headers), self.key[0], self.channel)

    def _end(self) -> None:
        failure = self._failure
        if failure is not None and failure.active():
            failure.cancel()
        self._failure = None
        self._layer.clientEnded(self)
        # The machine refers to us: without this the pair would wait for the garbage collector.
        self._machine = None


# On the way into a state: its timers


def _sending(machine: ClientInputs, core: ClientTransaction) -> StateTimers:
    """Timers A and B, or E and F."""
    clock, timers = core._layer.clock, core._layer.timers
    running = StateTimers(clock.callLater(timers.bound, machine.expired))
    if not core.channel.reliable:
        running.resendBy(clock.callLater(timers.t1, machine.resend))
        running.interval = 2 * timers.t1
    return running


def _proceeding(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """None: how long a called user may ring is for the transaction's user to say."""
    return untimed()


def _cancelling(machine: ClientInputs, core: ClientTransaction, headers: Headers) -> StateTimers:
    """The bound after CANCEL (section 9.1)."""
    return waiting(core._layer.clock, core._layer.timers.bound, machine.expired)


def _accepted(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer M (RFC 6026 section 8.4)."""
    return waiting(core._layer.clock, core._layer.timers.bound, machine.expired)


def _refused(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer D."""
    seconds = 0.0 if core.channel.reliable else core._layer.timers.bound
    return waiting(core._layer.clock, seconds, machine.expired)


def _answered(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer K."""
    seconds = 0.0 if core.channel.reliable else core._layer.timers.t4
    return waiting(core._layer.clock, seconds, machine.expired)


# On a transition


def _told(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response) -> None:
    core._tell(response)


def _final(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response) -> None:
    timers.cancel()
    core._tell(response)


def _timedOut(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core._end()
    core._tellTimedOut()


def _channelFailed(
    machine: ClientInputs, core: ClientTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core._end()
    core._tellFailed(reason)


def _failedQuietly(
    machine: ClientInputs, core: ClientTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core._end()


def _ended(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core._end()


def _inviteMachine() -> Callable[[ClientTransaction], ClientInputs]:
    """Figure 5 of RFC 3261 with RFC 6026; Cancelling is Proceeding with the bound of section 9.1."""
    inputs = ClientInputs
    builder = TypeMachineBuilder(ClientInputs, ClientTransaction)
    terminated = builder.state("Terminated")
    calling = builder.state("Calling", _sending)
    proceeding = builder.state("Proceeding", _proceeding)
    cancelling = builder.state("Cancelling", _cancelling)
    completed = builder.state("Completed", _refused)
    accepted = builder.state("Accepted", _accepted)

    @pep614(calling.upon(inputs.provisional).to(proceeding))
    def heard(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        timers.cancel()
        core._tell(response)
        if timers.held is not None:
            machine.cancelled(timers.held)

    @pep614(calling.upon(inputs.cancelled).loop())
    def held(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, headers: Headers) -> None:
        timers.held = headers

    @pep614(calling.upon(inputs.resend).loop())
    def resent(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
        core._transmit(machine)
        timers.resendBy(core._layer.clock.callLater(timers.interval, machine.resend))
        timers.interval *= 2

    @pep614(proceeding.upon(inputs.cancelled).to(cancelling))
    def cancelSent(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, headers: Headers
    ) -> None:
        core._sendCancel(headers)

    @pep614(calling.upon(inputs.refused).to(completed))
    @pep614(proceeding.upon(inputs.refused).to(completed))
    @pep614(cancelling.upon(inputs.refused).to(completed))
    def refused(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        timers.cancel()
        core._acknowledge(response)
        core._tell(response)

    @pep614(completed.upon(inputs.refused).loop())
    def acknowledged(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        core._acknowledge(response)

    proceeding.upon(inputs.provisional).loop()(_told)
    cancelling.upon(inputs.provisional).loop()(_told)
    for unanswered in (calling, proceeding, cancelling):
        unanswered.upon(inputs.succeeded).to(accepted)(_final)
        unanswered.upon(inputs.failed).to(terminated)(_channelFailed)
        unanswered.upon(inputs.stopped).to(terminated)(_ended)
    calling.upon(inputs.expired).to(terminated)(_timedOut)
    cancelling.upon(inputs.expired).to(terminated)(_timedOut)
    # Every 2xx is the user's, also a retransmitted or forked one (RFC 6026 section 8.4).
    accepted.upon(inputs.succeeded).loop()(_told)
    for answered in (completed, accepted):
        answered.upon(inputs.expired).to(terminated)(_ended)
        answered.upon(inputs.failed).to(terminated)(_failedQuietly)
        answered.upon(inputs.stopped).to(terminated)(_ended)

    # Nothing to do: late timers, late or reordered responses, a CANCEL that was sent or comes too late.
    for ignored in (inputs.resend, inputs.expired):
        proceeding.upon(ignored).loop().returns(None)
    cancelling.upon(inputs.resend).loop().returns(None)
    for late in (completed, accepted):
        late.upon(inputs.provisional).loop().returns(None)
        late.upon(inputs.resend).loop().returns(None)
    completed.upon(inputs.succeeded).loop().returns(None)
    accepted.upon(inputs.refused).loop().returns(None)
    for sent in (cancelling, completed, accepted):
        sent.upon(inputs.cancelled).loop().returns(None)
    _decideTerminated(terminated)

    machine = indexed(builder.build())
    return lambda core: machine(core, calling, _sending)


def _otherMachine() -> Callable[[ClientTransaction], ClientInputs]:
    """
    Figure 6 of RFC 3261.  Trying is its Trying and Proceeding: a 1xx changes the
    interval of timer E, and nothing else (section 17.1.2.2).
    """
    inputs = ClientInputs
    builder = TypeMachineBuilder(ClientInputs, ClientTransaction)
    terminated = builder.state("Terminated")
    trying = builder.state("Trying", _sending)
    completed = builder.state("Completed", _answered)

    @pep614(trying.upon(inputs.provisional).loop())
    def heard(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        timers.interval = core._layer.timers.t2
        core._tell(response)

    @pep614(trying.upon(inputs.resend).loop())
    def resent(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
        core._transmit(machine)
        timers.resendBy(core._layer.clock.callLater(timers.interval, machine.resend))
        timers.interval = core._layer.timers.capped(timers.interval)

    trying.upon(inputs.succeeded).to(completed)(_final)
    trying.upon(inputs.refused).to(completed)(_final)
    trying.upon(inputs.expired).to(terminated)(_timedOut)
    trying.upon(inputs.failed).to(terminated)(_channelFailed)
    trying.upon(inputs.stopped).to(terminated)(_ended)
    completed.upon(inputs.expired).to(terminated)(_ended)
    completed.upon(inputs.failed).to(terminated)(_failedQuietly)
    completed.upon(inputs.stopped).to(terminated)(_ended)

    # Nothing to do: only an INVITE can be cancelled (section 9.1); retransmitted answers end here.
    trying.upon(inputs.cancelled).loop().returns(None)
    for answer in (inputs.provisional, inputs.succeeded, inputs.refused):
        completed.upon(answer).loop().returns(None)
    completed.upon(inputs.resend).loop().returns(None)
    completed.upon(inputs.cancelled).loop().returns(None)
    _decideTerminated(terminated)

    machine = indexed(builder.build())
    return lambda core: machine(core, trying, _sending)


def _decideTerminated(terminated: TypedState[ClientInputs, ClientTransaction]) -> None:
    """What was queued when the transaction ended changes nothing."""
    inputs = ClientInputs
    for answer in (inputs.provisional, inputs.succeeded, inputs.refused):
        terminated.upon(answer).loop().returns(None)
    for passing in (inputs.resend, inputs.expired, inputs.stopped):
        terminated.upon(passing).loop().returns(None)
    terminated.upon(inputs.cancelled).loop().returns(None)
    terminated.upon(inputs.failed).loop().returns(None)


_startInvite = _inviteMachine()
_startOther = _otherMachine()
