"""
The machine of a registration: when it is sent, refreshed, tried again and taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder, pep614
from twisted.internet.interfaces import IReactorTime

from skypetrunk.core.machines import indexed
from skypetrunk.core.timers import StateTimers, waiting
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.message import Request

#: A refresh leaves half of the time, or this many seconds, for more attempts before the end.
REFRESH_AHEAD = 120.0
#: Seconds for taking the registration back, as the program that ends does not wait longer.
STOP_BOUND = 4.0


class RegistrationInputs(Protocol):
    """What happens to a registration."""

    def started(self, channel: IMessageChannel) -> None:
        """There is a channel to the registrar: the first, or a new one."""

    def lost(self) -> None:
        """The owner says that the channel is gone."""

    def broken(self, reason: str) -> None:
        """The channel broke under a REGISTER."""

    def due(self) -> None:
        """Time to refresh, or to try again."""

    def again(self, request: Request) -> None:
        """The registrar wants the request another way: with credentials, or for longer."""

    def granted(self, seconds: int) -> None:
        """Registered."""

    def failed(self, reason: str, status: int | None, delay: float) -> None:
        """Not registered: the status, C{None} for silence, and when to try again."""

    def staleFound(self) -> None:
        """The registrar still has bindings of ours that lead nowhere."""

    def tidied(self, seconds: int) -> None:
        """They were taken back, or that was refused; registered for C{seconds} more."""

    def changed(self) -> None:
        """What was refused may be granted now: the password is another one."""

    def stopping(self) -> None:
        """The owner wants it taken back."""

    def left(self) -> None:
        """It was taken back, or there is no time left for that."""


class RegistrationCore(Protocol):
    """What the machine needs of the registration: what is done on its transitions."""

    @property
    def clock(self) -> IReactorTime:
        """Runs the timers."""

    def take(self, channel: IMessageChannel) -> None:
        """Register over C{channel}."""

    def register(self) -> None:
        """Send a REGISTER."""

    def send(self, request: Request) -> None:
        """Send C{request}, which the registrar asked for."""

    def hold(self, seconds: int) -> None:
        """Registered for C{seconds}."""

    def remember(self, seconds: int) -> None:
        """The same, and the observer is told."""

    def report(self, reason: str, status: int | None, delay: float) -> None:
        """Not registered; the observer is told."""

    def drop(self) -> None:
        """The channel is gone, and the registration with it."""

    def tellBroken(self, reason: str) -> None:
        """The same, and the observer is told."""

    def tidy(self) -> None:
        """Take the stale bindings back."""

    def leave(self, machine: RegistrationInputs) -> None:
        """Take the registration back, if there is one; else nothing is left."""

    def finish(self) -> None:
        """Whoever waits for the end is told."""


def refreshAfter(seconds: int) -> float:
    """When to refresh a registration of C{seconds}: early enough to try again before its end."""
    return max(seconds / 2, seconds - REFRESH_AHEAD)


# On the way into a state: its timer


def _refreshing(machine: RegistrationInputs, core: RegistrationCore, seconds: int) -> StateTimers:
    return waiting(core.clock, refreshAfter(seconds), machine.due)


def _retrying(
    machine: RegistrationInputs, core: RegistrationCore, reason: str, status: int | None, delay: float
) -> StateTimers:
    return waiting(core.clock, delay, machine.due)


def _bounded(machine: RegistrationInputs, core: RegistrationCore) -> StateTimers:
    return waiting(core.clock, STOP_BOUND, machine.left)


def _build() -> Callable[[RegistrationCore], RegistrationInputs]:
    inputs = RegistrationInputs
    # Automat only wants to know the type of the core, never makes one.
    builder = TypeMachineBuilder(RegistrationInputs, RegistrationCore)  # type: ignore[type-abstract]
    offline = builder.state("Offline")
    registering = builder.state("Registering")
    registered = builder.state("Registered", _refreshing)
    tidying = builder.state("Tidying")
    waitingToRetry = builder.state("Waiting", _retrying)
    stopping = builder.state("Stopping", _bounded)

    # No channel

    @pep614(offline.upon(inputs.started).to(registering))
    @pep614(registering.upon(inputs.started).loop())
    @pep614(tidying.upon(inputs.started).to(registering))
    def begin(machine: RegistrationInputs, core: RegistrationCore, channel: IMessageChannel) -> None:
        core.take(channel)

    @pep614(offline.upon(inputs.stopping).loop())
    def nothingToStop(machine: RegistrationInputs, core: RegistrationCore) -> None:
        core.finish()

    # One REGISTER is on its way; a second may not be sent before its end (section 10.2)

    @pep614(registering.upon(inputs.lost).to(offline))
    @pep614(tidying.upon(inputs.lost).to(offline))
    def lostRegistering(machine: RegistrationInputs, core: RegistrationCore) -> None:
        core.drop()

    @pep614(registering.upon(inputs.broken).to(offline))
    @pep614(tidying.upon(inputs.broken).to(offline))
    def broken(machine: RegistrationInputs, core: RegistrationCore, reason: str) -> None:
        core.tellBroken(reason)

    @pep614(registering.upon(inputs.again).loop())
    @pep614(tidying.upon(inputs.again).loop())
    def sendAgain(machine: RegistrationInputs, core: RegistrationCore, request: Request) -> None:
        core.send(request)

    @pep614(registering.upon(inputs.granted).to(registered))
    def remember(machine: RegistrationInputs, core: RegistrationCore, seconds: int) -> None:
        core.remember(seconds)

    @pep614(registering.upon(inputs.failed).to(waitingToRetry))
    @pep614(tidying.upon(inputs.failed).to(waitingToRetry))
    def report(
        machine: RegistrationInputs, core: RegistrationCore, reason: str, status: int | None, delay: float
    ) -> None:
        core.report(reason, status, delay)

    registering.upon(inputs.stopping).to(stopping).returns(None)
    tidying.upon(inputs.stopping).to(stopping).returns(None)

    # Registered, and a REGISTER on its way that takes stale bindings back: the refresh waits for its end

    @pep614(registered.upon(inputs.staleFound).to(tidying))
    def tidy(machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers) -> None:
        timers.cancel()
        core.tidy()

    tidying.upon(inputs.tidied).to(registered).returns(None)

    # Waiting for a time

    @pep614(registered.upon(inputs.due).to(registering))
    @pep614(waitingToRetry.upon(inputs.due).to(registering))
    @pep614(waitingToRetry.upon(inputs.changed).to(registering))
    def register(machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers) -> None:
        timers.cancel()
        core.register()

    @pep614(registered.upon(inputs.started).to(registering))
    @pep614(waitingToRetry.upon(inputs.started).to(registering))
    def beginAnew(
        machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers, channel: IMessageChannel
    ) -> None:
        timers.cancel()
        core.take(channel)

    @pep614(registered.upon(inputs.lost).to(offline))
    @pep614(waitingToRetry.upon(inputs.lost).to(offline))
    def lost(machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers) -> None:
        timers.cancel()
        core.drop()

    @pep614(registered.upon(inputs.stopping).to(stopping))
    @pep614(waitingToRetry.upon(inputs.stopping).to(stopping))
    def leave(machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers) -> None:
        timers.cancel()
        core.leave(machine)

    # What was on its way when the owner stopped has its end, then the registration is taken back

    @pep614(stopping.upon(inputs.again).loop())
    def leaveUnanswered(
        machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers, request: Request
    ) -> None:
        core.leave(machine)

    @pep614(stopping.upon(inputs.granted).loop())
    def leaveGranted(
        machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers, seconds: int
    ) -> None:
        core.hold(seconds)
        core.leave(machine)

    @pep614(stopping.upon(inputs.tidied).loop())
    def leaveTidied(
        machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers, seconds: int
    ) -> None:
        core.leave(machine)

    @pep614(stopping.upon(inputs.failed).loop())
    def leaveRefused(
        machine: RegistrationInputs,
        core: RegistrationCore,
        timers: StateTimers,
        reason: str,
        status: int | None,
        delay: float,
    ) -> None:
        core.leave(machine)

    @pep614(stopping.upon(inputs.left).to(offline))
    @pep614(stopping.upon(inputs.lost).to(offline))
    def finish(machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers) -> None:
        timers.cancel()
        core.finish()

    @pep614(stopping.upon(inputs.broken).to(offline))
    def finishBroken(
        machine: RegistrationInputs, core: RegistrationCore, timers: StateTimers, reason: str
    ) -> None:
        timers.cancel()
        core.finish()

    # Nothing to do

    offline.upon(inputs.lost).loop().returns(None)
    offline.upon(inputs.broken).loop().returns(None)
    offline.upon(inputs.again).loop().returns(None)
    offline.upon(inputs.granted).loop().returns(None)
    offline.upon(inputs.failed).loop().returns(None)
    offline.upon(inputs.due).loop().returns(None)
    offline.upon(inputs.left).loop().returns(None)
    for busy in (registering, tidying):
        busy.upon(inputs.due).loop().returns(None)
        busy.upon(inputs.left).loop().returns(None)
        busy.upon(inputs.staleFound).loop().returns(None)
        busy.upon(inputs.changed).loop().returns(None)
    registering.upon(inputs.tidied).loop().returns(None)
    tidying.upon(inputs.granted).loop().returns(None)
    for idle in (registered, waitingToRetry):
        idle.upon(inputs.again).loop().returns(None)
        idle.upon(inputs.granted).loop().returns(None)
        idle.upon(inputs.failed).loop().returns(None)
        idle.upon(inputs.left).loop().returns(None)
        idle.upon(inputs.broken).loop().returns(None)
        idle.upon(inputs.tidied).loop().returns(None)
    registered.upon(inputs.changed).loop().returns(None)
    waitingToRetry.upon(inputs.staleFound).loop().returns(None)
    for ended in (offline, stopping):
        ended.upon(inputs.staleFound).loop().returns(None)
        ended.upon(inputs.changed).loop().returns(None)
    offline.upon(inputs.tidied).loop().returns(None)
    stopping.upon(inputs.started).loop().returns(None)
    stopping.upon(inputs.due).loop().returns(None)
    stopping.upon(inputs.stopping).loop().returns(None)

    return indexed(builder.build())


begin = _build()

__all__ = ["RegistrationCore", "RegistrationInputs", "begin", "refreshAfter"]
