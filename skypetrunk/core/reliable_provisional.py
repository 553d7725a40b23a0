"""
Provisional responses that are sent again until their PRACK comes, as the user agent server (RFC 3262
section 3).

One at a time: the next one, and a 2xx, wait for the PRACK of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.machines import indexed
from skypetrunk.core.timers import Timers
from skypetrunk.wire.message import Request, Response

Send = Callable[[], None]

MOST_WAITING = 32
"""Responses that wait for the PRACK of one before them; what the others would say the 2xx says, too."""


class _Inputs(Protocol):
    def send(self, send: Send) -> None: ...
    def finish(self, send: Send) -> None: ...
    def prackReceived(self) -> None: ...
    def intervalPassed(self) -> None: ...
    def giveUp(self) -> None: ...
    def stop(self) -> None: ...


class _Core:
    def __init__(self, lost: Send, clock: IReactorTime, timers: Timers) -> None:
        self.lost = lost
        self.clock = clock
        self.timers = timers
        self.waiting: list[Send] = []
        self.final: Send | None = None


class _Unacknowledged:
    def __init__(self, send: Send, interval: float, deadline: float, timer: IDelayedCall) -> None:
        self.send = send
        self.interval = interval
        self.deadline = deadline
        self.timer = timer

    def cancel(self) -> None:
        if self.timer.active():
            self.timer.cancel()


def _startResending(inputs: _Inputs, core: _Core, send: Send) -> _Unacknowledged:
    interval = core.timers.t1
    deadline = core.clock.seconds() + core.timers.bound
    timer = core.clock.callLater(interval, inputs.intervalPassed)
    return _Unacknowledged(send, interval, deadline, timer)


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    idle = builder.state("idle")
    unacknowledged = builder.state("unacknowledged", _startResending)
    ended = builder.state("ended")

    @idle.upon(_Inputs.send).to(unacknowledged)
    def sendNow(inputs: _Inputs, core: _Core, send: Send) -> None:
        send()

    @idle.upon(_Inputs.finish).to(ended)
    def finishNow(inputs: _Inputs, core: _Core, send: Send) -> None:
        send()

    @unacknowledged.upon(_Inputs.send).loop()
    def queue(inputs: _Inputs, core: _Core, last: _Unacknowledged, send: Send) -> None:
        if len(core.waiting) < MOST_WAITING:
            core.waiting.append(send)

    @unacknowledged.upon(_Inputs.finish).loop()
    def holdFinal(inputs: _Inputs, core: _Core, last: _Unacknowledged, send: Send) -> None:
        # RFC 3262 section 3: no 2xx before a description in a provisional response was acknowledged.
        core.waiting.clear()
        core.final = send

    @unacknowledged.upon(_Inputs.prackReceived).to(idle)
    def sendNext(inputs: _Inputs, core: _Core, last: _Unacknowledged) -> None:
        last.cancel()
        final, core.final = core.final, None
        if final is not None:
            inputs.finish(final)
        elif core.waiting:
            inputs.send(core.waiting.pop(0))

    @unacknowledged.upon(_Inputs.intervalPassed).loop()
    def resendOrGiveUp(inputs: _Inputs, core: _Core, last: _Unacknowledged) -> None:
        now = core.clock.seconds()
        if now >= last.deadline:
            inputs.giveUp()
            return
        last.send()
        # Without the bound of T2 (section 3).
        last.interval *= 2
        last.timer = core.clock.callLater(min(last.interval, last.deadline - now), inputs.intervalPassed)

    @unacknowledged.upon(_Inputs.giveUp).to(ended)
    def tellLost(inputs: _Inputs, core: _Core, last: _Unacknowledged) -> None:
        core.lost()

    @unacknowledged.upon(_Inputs.stop).to(ended)
    def forget(inputs: _Inputs, core: _Core, last: _Unacknowledged) -> None:
        last.cancel()

    idle.upon(_Inputs.stop).to(ended).returns(None)
    for state in (idle, ended):
        state.upon(_Inputs.prackReceived).loop().returns(None)
        state.upon(_Inputs.intervalPassed).loop().returns(None)
        state.upon(_Inputs.giveUp).loop().returns(None)
    ended.upon(_Inputs.send).loop().returns(None)
    ended.upon(_Inputs.finish).loop().returns(None)
    ended.upon(_Inputs.stop).loop().returns(None)
    return builder.build()


_machine = indexed(_build())


class ReliableProvisionals:
    """The reliable provisional responses of one INVITE."""

    __slots__ = ("_answered", "_finished", "_inputs", "_invite", "_number", "_open", "_progress", "_shown")

    def __init__(
        self,
        invite: Request,
        progress: Callable[[Response], None],
        lost: Send,
        clock: IReactorTime,
        timers: Timers,
        first: int,
    ) -> None:
        """
        @param progress: sends a provisional response once.
        @param lost: told when no PRACK came within 64*T1: the INVITE is to be refused (section 3).
        @param first: the first RSeq, a random number from 1 to 2**31 - 1.
        """
        self._invite = invite
        self._progress = progress
        self._inputs = _machine(_Core(lost, clock, timers))
        self._number = first - 1
        self._open: set[str] = set()
        # The answer is in one that was sent, of this number, or that may wait yet.
        self._answered = ""
        self._shown = self._finished = False

    def send(self, response: Response) -> None:
        """
        Send a provisional response reliably.  An answer goes into one of them only, and where the INVITE
        left the offer to us none is sent: the first would have to hold it (section 5).
        """
        if not self._invite.body:
            return
        if self._shown:
            response = response.withBody(b"", None)
        self._shown = self._shown or bool(response.body)
        self._number += 1
        number = str(self._number)
        numbered = response.addingHeader("Require", "100rel").addingHeader("RSeq", number)

        def send() -> None:
            self._open.add(number)
            if numbered.body:
                self._answered = number
            self._progress(numbered)

        self._inputs.send(send)

    def finish(self, accept: Callable[[Response], None], response: Response) -> None:
        """
        Send the 2xx with C{accept}, as soon as that may be.  An answer is not given again in it, but one that
        has waited in vain is.
        """
        self._finished = True
        if self._answered:
            response = response.withBody(b"", None)
        self._inputs.finish(lambda: accept(response))

    def prackReceived(self, prack: Request) -> bool:
        """Does a PRACK belong to a response that waits for it (section 3)?  Then that is acknowledged."""
        number, _, rest = " ".join((prack.header("RAck") or "").split()).partition(" ")
        if rest != f"{self._invite.cseq.number} INVITE" or number not in self._open:
            return False
        self._open.discard(number)
        self._inputs.prackReceived()
        return True

    @property
    def held(self) -> bool:
        """The 2xx waits for a PRACK."""
        return self._finished and bool(self._open)

    @property
    def settled(self) -> bool:
        """An answer was sent, and acknowledged: the peer may make an offer anew (RFC 3311 section 5.1)."""
        return bool(self._answered) and self._answered not in self._open

    def stop(self) -> None:
        """Another final response was sent, or nothing is to be sent any more."""
        self._open.clear()
        self._inputs.stop()
