"""
Server transactions: RFC 3261 section 17.2, with the Accepted state of RFC 6026.

Two machines over one set of inputs.  Each state's data are its timers.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from automat import TypeMachineBuilder, pep614
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.machines import indexed
from skypetrunk.core.timers import StateTimers, Timers, untimed, waiting
from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import IMessageChannel, IServerTransaction, ITransactionUser
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response, responseTo

if TYPE_CHECKING:
    from automat._typed import TypedState


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
    via = request.topVia
    host, port = via.received or via.host, via.rport or via.port or 5060
    maddr = via.maddr
    # A name would have to be resolved first, on nothing but the request's word.
    if maddr is not None and _isLiteral(maddr):
        host, port = maddr, via.port or 5060
    peer = channel.peer
    address = TransportAddress(peer.transport, host, port)
    return channel if address == peer else channel.toward(address)


def _isLiteral(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@implementer(IServerTransaction)
class ServerTransaction:
    """One request received; also the core of its machine."""

    __slots__ = (
        "__weakref__",
        "_failure",
        "_last",
        "_layer",
        "_machine",
        "_replies",
        "channel",
        "key",
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
    ) -> None:
        """
        @param request: with C{received} and C{rport} filled in.
        @param key: what C{layer} finds this transaction by.
        @param origin: what it recognises a merged request by (RFC 3261 section 8.2.2.2), or C{None}.
        """
        self.request = request
        self.channel = channel
        self.key = key
        self.origin = origin
        self._layer = layer
        self._replies = replyChannel(request, channel)
        self._last: Response | None = None
        self._failure: IDelayedCall | None = None
        start = _startInvite if request.method == "INVITE" else _startOther
        self._machine: ServerInputs | None = start(self)

    @property
    def answerTag(self) -> str | None:
        """The To tag of the last response, if one was given."""
        return None if self._last is None else self._last.toAddress.tag

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

    def cancelled(self) -> None:
        """A CANCEL came, and was answered."""
        if self._machine is not None:
            self._machine.cancelled()

    def failed(self, reason: Exception) -> None:
        """The channel broke."""
        if self._machine is not None:
            self._machine.failed(reason)

    def stop(self) -> None:
        """End without telling anybody."""
        if self._machine is not None:
            self._machine.stopped()

    def userFailed(self) -> None:
        """The user raised: answer 500, unless it has answered already."""
        try:
            self.respond(responseTo(self.request, 500, toTag=self.answerTag or self._layer.token()))
        except MalformedMessage:
            self.log.failure("answering {method} with 500", method=self.request.method)

    # Called by the machine

    def _send(self, machine: ServerInputs, response: Response) -> bool:
        self._last = response
        try:
            self._replies.send(response)
            return True
        except Exception as error:
            if not isinstance(error, ChannelFailed):
                self.log.failure("sending {status} failed", status=response.status)
            # Not now: the user is in the middle of giving this response.
            self._failure = self._layer.clock.callLater(0, machine.unsent, error)
            return False

    def _tellCancelled(self) -> None:
        try:
            self._layer.user.cancelReceived(self)
        except Exception:
            self.log.failure("taking CANCEL")
            self.userFailed()

    def _tellAcknowledged(self, ack: Request) -> None:
        try:
            self._layer.user.ackReceived(ack, self.channel)
        except Exception:
            self.log.failure("taking ACK")

    def _tellFailed(self, reason: Exception) -> None:
        try:
            self._layer.user.transactionFailed(self, reason)
        except Exception:
            self.log.failure("taking the failure of {method}", method=self.request.method)

    def _end(self) -> None:
        failure = self._failure
        if failure is not None and failure.active():
            failure.cancel()
        self._failure = None
        self._layer.serverEnded(self)
        # The machine refers to us: without this the pair would wait for the garbage collector.
        self._machine = None


# On the way into a state: its timers


def _proceeding(machine: ServerInputs, core: ServerTransaction) -> StateTimers:
    """None: how long a call may ring is for the user to say."""
    return untimed()


def _trying(machine: ServerInputs, core: ServerTransaction) -> StateTimers:
    """An answer after timer F of the client is of no use to anybody (RFC 4320 section 4.2)."""
    return waiting(core._layer.clock, core._layer.timers.bound, machine.expired)


def _accepted(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timer L (RFC 6026 section 8.7)."""
    return waiting(core._layer.clock, core._layer.timers.bound, machine.expired)


def _refused(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timers G and H."""
    clock, timers = core._layer.clock, core._layer.timers
    running = StateTimers(clock.callLater(timers.bound, machine.expired))
    if not core.channel.reliable:
        running.resendBy(clock.callLater(timers.t1, machine.resend))
        running.interval = timers.capped(timers.t1)
    return running


def _confirmed(machine: ServerInputs, core: ServerTransaction, ack: Request) -> StateTimers:
    """Timer I."""
    seconds = 0.0 if core.channel.reliable else core._layer.timers.t4
    return waiting(core._layer.clock, seconds, machine.expired)


def _answered(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timer J, once the answer has left."""
    left = core._send(machine, response)
    seconds = 0.0 if left and core.channel.reliable else core._layer.timers.bound
    return waiting(core._layer.clock, seconds, machine.expired)


# On a transition


def _sent(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response) -> None:
    core._send(machine, response)


def _sentFinal(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response
) -> None:
    timers.cancel()
    core._send(machine, response)


def _sentAgain(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
    if core._last is not None:
        core._send(machine, core._last)


def _broken(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core._end()
    core._tellFailed(reason)


def _brokenQuietly(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core._end()


def _ended(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core._end()


def _inviteMachine() -> Callable[[ServerTransaction], ServerInputs]:
    """Figure 7 of RFC 3261 with RFC 6026."""
    inputs = ServerInputs
    builder = TypeMachineBuilder(ServerInputs, ServerTransaction)
    terminated = builder.state("Terminated")
    proceeding = builder.state("Proceeding", _proceeding)
    completed = builder.state("Completed", _refused)
    confirmed = builder.state("Confirmed", _confirmed)
    accepted = builder.state("Accepted", _accepted)

    @pep614(proceeding.upon(inputs.cancelled).loop())
    def cancelled(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        core._tellCancelled()

    @pep614(completed.upon(inputs.acknowledged).to(confirmed))
    def confirm(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, ack: Request) -> None:
        timers.cancel()

    @pep614(completed.upon(inputs.resend).loop())
    def resent(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        _sentAgain(machine, core, timers)
        timers.resendBy(core._layer.clock.callLater(timers.interval, machine.resend))
        timers.interval = core._layer.timers.capped(timers.interval)

    @pep614(completed.upon(inputs.expired).to(terminated))
    def unconfirmed(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        timers.cancel()
        core._end()
        core._tellFailed(ChannelFailed(f"no ACK within {core._layer.timers.bound:g} s (timer H)"))

    @pep614(accepted.upon(inputs.acknowledged).loop())
    def passed(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, ack: Request) -> None:
        core._tellAcknowledged(ack)

    proceeding.upon(inputs.repeated).loop()(_sentAgain)
    proceeding.upon(inputs.provisional).loop()(_sent)
    proceeding.upon(inputs.accepted).to(accepted)(_sentFinal)
    proceeding.upon(inputs.refused).to(completed)(_sentFinal)
    proceeding.upon(inputs.failed).to(terminated)(_broken)
    completed.upon(inputs.repeated).loop()(_sentAgain)
    completed.upon(inputs.failed).to(terminated)(_broken)
    # The user retransmits its 2xx (RFC 6026 section 8.7).
    accepted.upon(inputs.accepted).loop()(_sent)
    accepted.upon(inputs.expired).to(terminated)(_ended)
    accepted.upon(inputs.failed).to(terminated)(_brokenQuietly)
    confirmed.upon(inputs.expired).to(terminated)(_ended)
    confirmed.upon(inputs.failed).to(terminated)(_brokenQuietly)
    confirmed.upon(inputs.unsent).to(terminated)(_brokenQuietly)
    for live in (proceeding, completed, accepted):
        live.upon(inputs.unsent).to(terminated)(_broken)
        live.upon(inputs.stopped).to(terminated)(_ended)
    confirmed.upon(inputs.stopped).to(terminated)(_ended)

    # Nothing to do: late timers, answers after the final one, retransmissions that are only absorbed.
    proceeding.upon(inputs.acknowledged).loop().returns(None)
    for passing in (inputs.resend, inputs.expired):
        proceeding.upon(passing).loop().returns(None)
    for answer in (inputs.provisional, inputs.accepted, inputs.refused):
        completed.upon(answer).loop().returns(None)
        confirmed.upon(answer).loop().returns(None)
    accepted.upon(inputs.provisional).loop().returns(None)
    accepted.upon(inputs.refused).loop().returns(None)
    for passing in (inputs.repeated, inputs.resend):
        accepted.upon(passing).loop().returns(None)
        confirmed.upon(passing).loop().returns(None)
    confirmed.upon(inputs.acknowledged).loop().returns(None)
    completed.upon(inputs.cancelled).loop().returns(None)
    confirmed.upon(inputs.cancelled).loop().returns(None)
    accepted.upon(inputs.cancelled).loop().returns(None)
    _decideTerminated(terminated)

    machine = indexed(builder.build())
    return lambda core: machine(core, proceeding, _proceeding)


def _otherMachine() -> Callable[[ServerTransaction], ServerInputs]:
    """Figure 8 of RFC 3261.  Trying is its Trying and Proceeding: the last 1xx, if any, is repeated."""
    inputs = ServerInputs
    builder = TypeMachineBuilder(ServerInputs, ServerTransaction)
    terminated = builder.state("Terminated")
    trying = builder.state("Trying", _trying)
    completed = builder.state("Completed", _answered)

    @pep614(trying.upon(inputs.expired).to(terminated))
    def unanswered(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        timers.cancel()
        core._end()
        core._tellFailed(ChannelFailed(f"no answer was given within {core._layer.timers.bound:g} s"))

    trying.upon(inputs.repeated).loop()(_sentAgain)
    trying.upon(inputs.provisional).loop()(_sent)
    @pep614(trying.upon(inputs.accepted).to(completed))
    @pep614(trying.upon(inputs.refused).to(completed))
    def answered(
        machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response
    ) -> None:
        timers.cancel()

    trying.upon(inputs.failed).to(terminated)(_broken)
    completed.upon(inputs.repeated).loop()(_sentAgain)
    completed.upon(inputs.expired).to(terminated)(_ended)
    completed.upon(inputs.failed).to(terminated)(_brokenQuietly)
    for live in (trying, completed):
        live.upon(inputs.unsent).to(terminated)(_broken)
        live.upon(inputs.stopped).to(terminated)(_ended)
        # Nothing to do: neither ACK nor CANCEL reaches these, no response is retransmitted unasked.
        live.upon(inputs.acknowledged).loop().returns(None)
        for passing in (inputs.cancelled, inputs.resend):
            live.upon(passing).loop().returns(None)
    for answer in (inputs.provisional, inputs.accepted, inputs.refused):
        completed.upon(answer).loop().returns(None)
    _decideTerminated(terminated)

    machine = indexed(builder.build())
    return lambda core: machine(core, trying, _trying)


def _decideTerminated(terminated: TypedState[ServerInputs, ServerTransaction]) -> None:
    """What was queued when the transaction ended changes nothing."""
    inputs = ServerInputs
    for answer in (inputs.provisional, inputs.accepted, inputs.refused):
        terminated.upon(answer).loop().returns(None)
    for passing in (inputs.repeated, inputs.cancelled, inputs.resend, inputs.expired, inputs.stopped):
        terminated.upon(passing).loop().returns(None)
    for broken in (inputs.unsent, inputs.failed):
        terminated.upon(broken).loop().returns(None)
    terminated.upon(inputs.acknowledged).loop().returns(None)


_startInvite = _inviteMachine()
_startOther = _otherMachine()
