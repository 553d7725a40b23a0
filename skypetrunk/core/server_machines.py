"""
The machines of server transactions: RFC 3261 section 17.2, with the Accepted state of RFC 6026.

Two tables over one set of inputs.  Each state's data are its timers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from automat import TypeMachineBuilder, pep614

from skypetrunk.core.machines import indexed
from skypetrunk.core.server_transaction import ServerInputs, ServerTransaction
from skypetrunk.core.timers import StateTimers, untimed, waiting
from skypetrunk.errors import ChannelFailed
from skypetrunk.wire.message import Request, Response

if TYPE_CHECKING:
    from automat._typed import TypedState

# On the way into a state: its timers


def _proceeding(machine: ServerInputs, core: ServerTransaction) -> StateTimers:
    """None: how long a call may ring is for the user to say."""
    return untimed()


def _trying(machine: ServerInputs, core: ServerTransaction) -> StateTimers:
    """An answer after timer F of the client is of no use to anybody (RFC 4320 section 4.2)."""
    return waiting(core.layer.clock, core.layer.timers.bound, machine.expired)


def _accepted(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timer L (RFC 6026 section 8.7)."""
    core.settled()
    return waiting(core.layer.clock, core.layer.timers.bound, machine.expired)


def _refused(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timers G and H."""
    clock, timers = core.layer.clock, core.layer.timers
    running = StateTimers(clock.callLater(timers.bound, machine.expired))
    if not core.channel.reliable:
        running.resendBy(clock.callLater(timers.t1, machine.resend))
        running.interval = timers.capped(timers.t1)
    return running


def _confirmed(machine: ServerInputs, core: ServerTransaction, ack: Request) -> StateTimers:
    """Timer I."""
    seconds = 0.0 if core.channel.reliable else core.layer.timers.t4
    return waiting(core.layer.clock, seconds, machine.expired)


def _answered(machine: ServerInputs, core: ServerTransaction, response: Response) -> StateTimers:
    """Timer J, once the answer has left."""
    left = core.send(machine, response)
    core.settled()
    # What waits for another connection has not left yet.
    gone = left and core.channel.reliable and not core.held
    return waiting(core.layer.clock, 0.0 if gone else core.layer.timers.bound, machine.expired)


# On a transition


def _sent(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response) -> None:
    core.send(machine, response)


def _sentFinal(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response
) -> None:
    timers.cancel()
    core.send(machine, response)


def _sentAccepted(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, response: Response
) -> None:
    """Of a 2xx to INVITE, which is the user's to send again, only the To tag is remembered."""
    core.send(machine, response)
    core.last = response.bare("to")


def _sentAgain(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
    if core.last is not None:
        core.send(machine, core.last)


def _broken(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core.end()
    core.tellFailed(reason)


def _brokenQuietly(
    machine: ServerInputs, core: ServerTransaction, timers: StateTimers, reason: Exception
) -> None:
    timers.cancel()
    core.end()


def _ended(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
    timers.cancel()
    core.end()


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
        core.tellCancelled()

    @pep614(completed.upon(inputs.acknowledged).to(confirmed))
    def confirm(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, ack: Request) -> None:
        timers.cancel()

    @pep614(completed.upon(inputs.resend).loop())
    def resent(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        _sentAgain(machine, core, timers)
        timers.resendBy(core.layer.clock.callLater(timers.interval, machine.resend))
        timers.interval = core.layer.timers.capped(timers.interval)

    @pep614(completed.upon(inputs.expired).to(terminated))
    def unconfirmed(machine: ServerInputs, core: ServerTransaction, timers: StateTimers) -> None:
        timers.cancel()
        core.end()
        core.tellFailed(ChannelFailed(f"no ACK within {core.layer.timers.bound:g} s (timer H)"))

    @pep614(accepted.upon(inputs.acknowledged).loop())
    def passed(machine: ServerInputs, core: ServerTransaction, timers: StateTimers, ack: Request) -> None:
        core.tellAcknowledged(ack)

    proceeding.upon(inputs.repeated).loop()(_sentAgain)
    proceeding.upon(inputs.provisional).loop()(_sent)
    proceeding.upon(inputs.accepted).to(accepted)(_sentAccepted)
    proceeding.upon(inputs.refused).to(completed)(_sentFinal)
    proceeding.upon(inputs.failed).to(terminated)(_broken)
    completed.upon(inputs.repeated).loop()(_sentAgain)
    completed.upon(inputs.failed).to(terminated)(_broken)
    # The user retransmits its 2xx (RFC 6026 section 8.7).
    accepted.upon(inputs.accepted).loop()(_sentAccepted)
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
        core.end()
        core.tellFailed(ChannelFailed(f"no answer was given within {core.layer.timers.bound:g} s"))

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


startInvite = _inviteMachine()
startOther = _otherMachine()

__all__ = ["startInvite", "startOther"]
