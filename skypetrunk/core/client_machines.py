"""
The machines of client transactions: RFC 3261 section 17.1, with the Accepted state of RFC 6026.

Two tables over one set of inputs.  Each state's data are its timers; states of RFC 3261
that differ by a timer's interval only (Trying and Proceeding of section 17.1.2) are one here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from automat import TypeMachineBuilder, pep614

from skypetrunk.core.client_transaction import ClientInputs, ClientTransaction, Headers
from skypetrunk.core.machines import indexed
from skypetrunk.core.timers import StateTimers, untimed, waiting
from skypetrunk.wire.message import Response

if TYPE_CHECKING:
    from automat._typed import TypedState

# On the way into a state: its timers


def _sending(machine: ClientInputs, core: ClientTransaction) -> StateTimers:
    """Timers A and B, or E and F."""
    clock, timers = core.layer.clock, core.layer.timers
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
    return waiting(core.layer.clock, core.layer.timers.bound, machine.expired)


def _accepted(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer M (RFC 6026 section 8.4)."""
    core.settled()
    return waiting(core.layer.clock, core.layer.timers.bound, machine.expired)


def _refused(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer D."""
    seconds = 0.0 if core.channel.reliable else core.layer.timers.bound
    return waiting(core.layer.clock, seconds, machine.expired)


def _answered(machine: ClientInputs, core: ClientTransaction, response: Response) -> StateTimers:
    """Timer K."""
    seconds = 0.0 if core.channel.reliable else core.layer.timers.t4
    return waiting(core.layer.clock, seconds, machine.expired)


# On a transition


def _told(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response) -> None:
    core.tell(response)


def _final(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response) -> None:
    timers.cancel()
    core.tell(response)


def _timedOut(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core.end()
    core.tellTimedOut()
    core.release()


def _channelFailed(
    machine: ClientInputs, core: ClientTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core.end()
    core.tellFailed(reason)
    core.release()


def _abandoned(
    machine: ClientInputs, core: ClientTransaction, timers: StateTimers, reason: Exception
) -> None:
    core.abandon()
    _channelFailed(machine, core, timers, reason)


def _failedQuietly(
    machine: ClientInputs, core: ClientTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core.end()
    core.release()


def _ended(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core.end()
    core.release()


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
        core.tell(response)
        if timers.held is not None:
            machine.cancelled(timers.held)

    @pep614(calling.upon(inputs.cancelled).loop())
    def held(machine: ClientInputs, core: ClientTransaction, timers: StateTimers, headers: Headers) -> None:
        timers.held = headers

    @pep614(calling.upon(inputs.resend).loop())
    def resent(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
        core.transmit(machine)
        timers.resendBy(core.layer.clock.callLater(timers.interval, machine.resend))
        timers.interval *= 2

    @pep614(proceeding.upon(inputs.cancelled).to(cancelling))
    def cancelSent(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, headers: Headers
    ) -> None:
        core.sendCancel(headers)

    @pep614(calling.upon(inputs.refused).to(completed))
    @pep614(proceeding.upon(inputs.refused).to(completed))
    @pep614(cancelling.upon(inputs.refused).to(completed))
    def refused(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        timers.cancel()
        core.acknowledge(response)
        core.tell(response)

    @pep614(completed.upon(inputs.refused).loop())
    def acknowledged(
        machine: ClientInputs, core: ClientTransaction, timers: StateTimers, response: Response
    ) -> None:
        core.acknowledge(response)

    proceeding.upon(inputs.provisional).loop()(_told)
    cancelling.upon(inputs.provisional).loop()(_told)
    for unanswered in (calling, proceeding, cancelling):
        unanswered.upon(inputs.succeeded).to(accepted)(_final)
        unanswered.upon(inputs.stopped).to(terminated)(_ended)
    calling.upon(inputs.failed).to(terminated)(_channelFailed)
    # A CANCEL that was sent may have been lost with the connection.
    for ringing in (proceeding, cancelling):
        ringing.upon(inputs.failed).to(terminated)(_abandoned)
    calling.upon(inputs.expired).to(terminated)(_timedOut)
    cancelling.upon(inputs.expired).to(terminated)(_timedOut)
    # Every 2xx is the user's, also a retransmitted or forked one (RFC 6026 section 8.4).
    accepted.upon(inputs.succeeded).loop()(_told)
    for answered in (completed, accepted):
        answered.upon(inputs.expired).to(terminated)(_ended)
        answered.upon(inputs.stopped).to(terminated)(_ended)
    completed.upon(inputs.failed).to(terminated)(_failedQuietly)
    # A 2xx whose ACK was lost with the connection comes again over the next one.
    accepted.upon(inputs.failed).loop().returns(None)

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
        timers.interval = core.layer.timers.t2
        core.tell(response)

    @pep614(trying.upon(inputs.resend).loop())
    def resent(machine: ClientInputs, core: ClientTransaction, timers: StateTimers) -> None:
        core.transmit(machine)
        timers.resendBy(core.layer.clock.callLater(timers.interval, machine.resend))
        timers.interval = core.layer.timers.capped(timers.interval)

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


startInvite = _inviteMachine()
startOther = _otherMachine()

__all__ = ["startInvite", "startOther"]
