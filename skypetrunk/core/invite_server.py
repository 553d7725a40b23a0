"""
One INVITE received, initial or re-INVITE, from its arrival to its ACK (RFC 3261 sections 13.3 and 14.2).

The transaction below ends with the final response it was given; what a user agent must do
beyond that stands here: 2xx is sent again until the ACK arrives, over TLS too (section
13.3.1.4), and after 64*T1 without one the user is told to hang up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.machines import indexed
from skypetrunk.core.reliable_provisional import ReliableProvisionals
from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.wire.message import Request, Response


class InviteServerUser(Protocol):
    """Who answers the INVITE."""

    def inviteCancelled(self, server: InviteServer) -> None:
        """CANCEL, or a BYE before the answer; 487 was already sent."""

    def inviteAcknowledged(self, server: InviteServer, ack: Request) -> None:
        """The ACK of our 2xx, its body may hold an answer."""

    def ackMissing(self, server: InviteServer) -> None:
        """No ACK came for 64*T1: the call is to be ended with BYE."""

    def prackMissing(self, server: InviteServer) -> None:
        """No PRACK came for 64*T1: the INVITE is to be refused (RFC 3262 section 3)."""


class _Inputs(Protocol):
    def progress(self, response: Response) -> None: ...
    def accept(self, response: Response) -> None: ...
    def refuse(self, response: Response) -> None: ...
    def cancel(self, response: Response) -> None: ...
    def ackReceived(self, ack: Request) -> None: ...
    def intervalPassed(self) -> None: ...
    def stop(self) -> None: ...


class _Core:
    def __init__(
        self,
        server: InviteServer,
        transaction: IServerTransaction,
        user: InviteServerUser,
        clock: IReactorTime,
        timers: Timers,
    ) -> None:
        self.server = server
        self.transaction = transaction
        self.user = user
        self.clock = clock
        self.timers = timers


class _Unacknowledged:
    """A 2xx on the air: its next retransmission, and when to give up."""

    def __init__(self, response: Response, interval: float, deadline: float, timer: IDelayedCall) -> None:
        self.response = response
        self.interval = interval
        self.deadline = deadline
        self.timer = timer


def _startResending(inputs: _Inputs, core: _Core, response: Response) -> _Unacknowledged:
    interval = core.timers.t1
    return _Unacknowledged(
        response,
        interval,
        core.clock.seconds() + core.timers.bound,
        core.clock.callLater(interval, inputs.intervalPassed),
    )


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    proceeding = builder.state("proceeding")
    unacknowledged = builder.state("unacknowledged", _startResending)
    acknowledged = builder.state("acknowledged")
    ended = builder.state("ended")

    # proceeding

    @proceeding.upon(_Inputs.progress).loop()
    def sendProgress(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.transaction.respond(response)

    @proceeding.upon(_Inputs.accept).to(unacknowledged)
    def sendSuccess(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.transaction.respond(response)

    @proceeding.upon(_Inputs.refuse).to(ended)
    def sendRefusal(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.transaction.respond(response)

    @proceeding.upon(_Inputs.cancel).to(ended)
    def sendTerminated(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.transaction.respond(response)
        core.user.inviteCancelled(core.server)

    proceeding.upon(_Inputs.ackReceived).loop().returns(None)
    proceeding.upon(_Inputs.intervalPassed).loop().returns(None)
    proceeding.upon(_Inputs.stop).to(ended).returns(None)

    # unacknowledged

    @unacknowledged.upon(_Inputs.intervalPassed).loop()
    def resendOrGiveUp(inputs: _Inputs, core: _Core, waiting: _Unacknowledged) -> None:
        now = core.clock.seconds()
        if now >= waiting.deadline:
            inputs.stop()
            core.user.ackMissing(core.server)
            return
        core.transaction.respond(waiting.response)
        waiting.interval = core.timers.capped(waiting.interval)
        delay = min(waiting.interval, waiting.deadline - now)
        waiting.timer = core.clock.callLater(delay, inputs.intervalPassed)

    @unacknowledged.upon(_Inputs.ackReceived).to(acknowledged)
    def stopResending(inputs: _Inputs, core: _Core, waiting: _Unacknowledged, ack: Request) -> None:
        _cancelTimer(waiting)
        core.user.inviteAcknowledged(core.server, ack)
        # The leg keeps us, as PRACKs may come late, and a call may last for hours.
        core.server.request = core.server.request.bare("cseq")

    @unacknowledged.upon(_Inputs.stop).to(ended)
    def forget(inputs: _Inputs, core: _Core, waiting: _Unacknowledged) -> None:
        _cancelTimer(waiting)

    unacknowledged.upon(_Inputs.progress).loop().returns(None)
    unacknowledged.upon(_Inputs.accept).loop().returns(None)
    unacknowledged.upon(_Inputs.refuse).loop().returns(None)
    unacknowledged.upon(_Inputs.cancel).loop().returns(None)

    # acknowledged, ended: whatever comes is late

    for state in (acknowledged, ended):
        state.upon(_Inputs.progress).loop().returns(None)
        state.upon(_Inputs.accept).loop().returns(None)
        state.upon(_Inputs.refuse).loop().returns(None)
        state.upon(_Inputs.cancel).loop().returns(None)
        state.upon(_Inputs.ackReceived).loop().returns(None)
        state.upon(_Inputs.intervalPassed).loop().returns(None)
        state.upon(_Inputs.stop).loop().returns(None)

    return builder.build()


def _cancelTimer(waiting: _Unacknowledged) -> None:
    if waiting.timer.active():
        waiting.timer.cancel()


_machine = indexed(_build())


class InviteServer:
    """
    The user agent server of one INVITE.

    @ivar request: the INVITE.
    @ivar required: the peer requires reliable provisional responses.
    """

    __slots__ = ("request", "required", "_begun", "_inputs", "_reliable")

    def __init__(
        self,
        transaction: IServerTransaction,
        user: InviteServerUser,
        clock: IReactorTime,
        timers: Timers,
        sequence: int = 1,
        willing: bool = False,
    ) -> None:
        """
        @param sequence: the first RSeq of reliable provisional responses.
        @param willing: an early answer goes reliably to a peer that only supports that, too.
        """
        self.request: Request = transaction.request
        self._inputs = _machine(_Core(self, transaction, user, clock, timers))
        self._reliable: ReliableProvisionals | None = None
        self.required = self._names("Require")
        self._begun = self.required
        if self.required or (willing and self.request.body and self._names("Supported")):
            self._reliable = ReliableProvisionals(
                self.request, self._inputs.progress, lambda: user.prackMissing(self), clock, timers, sequence
            )

    def _names(self, header: str) -> bool:
        return "100rel" in {name.lower() for name in self.request.values(header)}

    def progress(self, response: Response) -> None:
        """
        Send a provisional response, nothing after the final one.  All are reliable where the peer requires
        that; else from the first on that holds an answer (RFC 3262 section 3).
        """
        self._begun = self._begun or bool(response.body)
        if self._reliable is not None and self._begun:
            self._reliable.send(response)
        else:
            self._inputs.progress(response)

    def accept(self, response: Response) -> None:
        """Send the 2xx, and again until its ACK."""
        if self._reliable is not None:
            self._reliable.finish(self._inputs.accept, response)
        else:
            self._inputs.accept(response)

    def refuse(self, response: Response) -> None:
        """Send a final response other than 2xx."""
        self._stopReliable()
        self._inputs.refuse(response)

    def cancel(self, response: Response) -> None:
        """The peer takes the INVITE back: send C{response} (487), tell the user; too late after an answer."""
        self._stopReliable()
        self._inputs.cancel(response)

    def ackReceived(self, ack: Request) -> None:
        """The ACK of our 2xx, or one of its retransmissions."""
        self._inputs.ackReceived(ack)

    def stop(self) -> None:
        """Send nothing more."""
        self._stopReliable()
        self._inputs.stop()

    def prackReceived(self, prack: Request) -> bool:
        """Does a PRACK belong to this INVITE?"""
        return self._reliable is not None and self._reliable.prackReceived(prack)

    @property
    def held(self) -> bool:
        """It has a 2xx, which waits for a PRACK (RFC 3262 section 3): for the peer it rings."""
        return self._reliable is not None and self._reliable.held

    @property
    def settled(self) -> bool:
        """Its offer was answered already, in a provisional response that was acknowledged."""
        return self._reliable is not None and self._reliable.settled

    def _stopReliable(self) -> None:
        if self._reliable is not None:
            self._reliable.stop()
