"""
Keeping a connection open and proving that its peer lives, by CRLF (RFC 5626 section 4.4.1).

Routers and carriers close what is quiet for some minutes.  A ping keeps the way open whether it is
answered or not; a missing pong ends the connection only where the peer is known to answer, as not
every carrier does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.machines import indexed

PING = b"\r\n\r\n"
"""What is sent: two CRLF, as a single one is the pong (RFC 5626 section 3.5.1)."""

INTERVAL = (95.0, 115.0)
"""
Seconds from ping to ping where the registrar names no time: of the 95 to 120 that section 4.4.1 gives,
those below the two minutes after which some carriers close a quiet connection.
"""

PONG_SECONDS = 10.0
"""How long a pong may take (section 4.4.1)."""

ANSWERS = 3
"""
So many pings must have been answered, one after the other, before silence condemns a peer that promised
nothing: some send a CRLF now and then by themselves.
"""

#: Bounds of what a registrar may ask for, in seconds: less is a flood, more keeps no router's way open.
_FLOW_TIMER = (30, 3600)


class _Inputs(Protocol):
    def start(self) -> None: ...
    def due(self) -> None: ...
    def ponged(self) -> None: ...
    def late(self) -> None: ...
    def intervalChanged(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Core:
    clock: IReactorTime
    random: Callable[[], float]
    ping: Callable[[], None]
    dead: Callable[[], None]
    within: float | None
    mute: Callable[[], None]
    bounds: tuple[float, float] = INTERVAL
    promised: bool = False
    answered: int = 0

    def untilPing(self) -> float:
        low, high = self.bounds
        if self.within is not None and self.within < high:
            low, high = 0.8 * self.within, self.within
        return low + (high - low) * self.random()


class _Waiting:
    """The one timer of a state."""

    def __init__(self, timer: IDelayedCall) -> None:
        self.timer = timer

    def cancel(self) -> None:
        if self.timer.active():
            self.timer.cancel()


def _untilPing(inputs: _Inputs, core: _Core) -> _Waiting:
    return _Waiting(core.clock.callLater(core.untilPing(), inputs.due))


def _untilPong(inputs: _Inputs, core: _Core) -> _Waiting:
    return _Waiting(core.clock.callLater(PONG_SECONDS, inputs.late))


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    idle = builder.state("idle")
    quiet = builder.state("quiet", _untilPing)
    pinged = builder.state("pinged", _untilPong)
    unanswered = builder.state("unanswered", _untilPing)
    ended = builder.state("ended")

    idle.upon(_Inputs.start).to(quiet).returns(None)
    idle.upon(_Inputs.stop).to(ended).returns(None)

    for between in (quiet, unanswered):

        @between.upon(_Inputs.due).to(pinged)
        def sendPing(inputs: _Inputs, core: _Core, waiting: _Waiting) -> None:
            core.ping()

        @between.upon(_Inputs.intervalChanged).loop()
        def waitAnew(inputs: _Inputs, core: _Core, waiting: _Waiting) -> None:
            waiting.cancel()
            waiting.timer = _untilPing(inputs, core).timer

    @pinged.upon(_Inputs.ponged).to(quiet)
    def countAnswer(inputs: _Inputs, core: _Core, waiting: _Waiting) -> None:
        waiting.cancel()
        core.answered += 1

    @pinged.upon(_Inputs.late).to(unanswered)
    def judge(inputs: _Inputs, core: _Core, waiting: _Waiting) -> None:
        known = core.promised or core.answered >= ANSWERS
        core.answered = 0
        if known:
            inputs.stop()
            core.dead()
        else:
            core.mute()

    for begun in (quiet, pinged, unanswered):

        @begun.upon(_Inputs.stop).to(ended)
        def forget(inputs: _Inputs, core: _Core, waiting: _Waiting) -> None:
            waiting.cancel()

        begun.upon(_Inputs.start).loop().returns(None)

    # A pong that nobody waits for proves nothing; what comes before the beginning or after the end is late.
    for between in (quiet, unanswered):
        between.upon(_Inputs.ponged).loop().returns(None)
        between.upon(_Inputs.late).loop().returns(None)
    pinged.upon(_Inputs.intervalChanged).loop().returns(None)
    pinged.upon(_Inputs.due).loop().returns(None)
    for still in (idle, ended):
        still.upon(_Inputs.due).loop().returns(None)
        still.upon(_Inputs.ponged).loop().returns(None)
        still.upon(_Inputs.late).loop().returns(None)
        still.upon(_Inputs.intervalChanged).loop().returns(None)
    ended.upon(_Inputs.start).loop().returns(None)
    ended.upon(_Inputs.stop).loop().returns(None)
    return builder.build()


_machine = indexed(_build())


class KeepAlive:
    """The pings of one connection."""

    __slots__ = ("_core", "_inputs")

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[], float],
        ping: Callable[[], None],
        dead: Callable[[], None],
        within: float | None = None,
        mute: Callable[[], None] = lambda: None,
    ) -> None:
        """
        @param random: from 0 to 1.
        @param ping: sends L{PING}.
        @param dead: told once that the peer, which is known to answer, did not.
        @param within: seconds from ping to ping at most, where the peer closes what is quiet longer.
        @param mute: told each time that a peer, which is not known to answer, did not.
        """
        self._core = _Core(clock, random, ping, dead, within, mute)
        self._inputs = _machine(self._core)

    def start(self) -> None:
        """The connection stands."""
        self._inputs.start()

    def ponged(self) -> None:
        """A single CRLF came."""
        self._inputs.ponged()

    def promised(self, flowTimer: int | None) -> None:
        """
        The registrar says that it answers pings.

        @param flowTimer: after so many seconds of silence it takes the connection for dead (section 5.4);
            pings come after 80 to 100 per cent of it.  C{None}: it named none.
        """
        core = self._core
        core.promised = True
        bounds: tuple[float, float] = INTERVAL
        if flowTimer is not None:
            seconds = min(max(flowTimer, _FLOW_TIMER[0]), _FLOW_TIMER[1])
            bounds = (0.8 * seconds, seconds)
        if bounds != core.bounds:
            core.bounds = bounds
            self._inputs.intervalChanged()

    def stop(self) -> None:
        """The connection ends."""
        self._inputs.stop()


__all__ = ["ANSWERS", "INTERVAL", "PING", "PONG_SECONDS", "KeepAlive"]
