"""
The session timer of one leg (RFC 4028): who refreshes the session and when, and its end where nobody does.

The interval is agreed anew by each INVITE with its 2xx.  It belongs to one leg: the other one has a timer
of its own, or none, where its peer knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.machines import indexed
from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.message import Header, Message, Request, Response

INTERVAL = 1800
"""Seconds asked for by default: what RFC 4028 section 4 recommends."""

LEAST = 90
"""The smallest interval that may be asked for or taken, in seconds (RFC 4028 section 5)."""

RETRY_SECONDS = 10.0
"""How long after a refresh that failed the next one is tried."""

_MOST = 2**32 - 1
_RAISES = 3
"""How often one INVITE may be refused for its interval, and be sent again."""


class SessionTimerUser(Protocol):
    """Whose session it is."""

    def sessionRefreshDue(self) -> None:
        """Half of the interval has passed: refresh the session, or call L{SessionTimer.postpone}."""

    def sessionExpired(self) -> None:
        """Nobody refreshed the session: it is to be ended with BYE (RFC 4028 section 10)."""


class _Inputs(Protocol):
    def weRefresh(self, seconds: int) -> None: ...
    def peerRefreshes(self, seconds: int) -> None: ...
    def nobodyRefreshes(self) -> None: ...
    def refreshDue(self) -> None: ...
    def postpone(self, seconds: float) -> None: ...
    def expire(self) -> None: ...
    def stop(self) -> None: ...


class _Core:
    def __init__(self, user: SessionTimerUser, clock: IReactorTime) -> None:
        self.user = user
        self.clock = clock


class _Running:
    """The timers of an agreed interval: its end, and the next refresh where that is ours."""

    def __init__(self, expiry: IDelayedCall, refresh: IDelayedCall | None) -> None:
        self.expiry = expiry
        self.refresh = refresh

    def cancel(self) -> None:
        for timer in (self.expiry, self.refresh):
            if timer is not None and timer.active():
                timer.cancel()


def _end(seconds: int) -> float:
    """RFC 4028 section 10: BYE is sent a third of the interval before its end, at most 32 seconds."""
    return seconds - min(32.0, seconds / 3)


def _startRefreshing(inputs: _Inputs, core: _Core, seconds: int) -> _Running:
    return _Running(
        core.clock.callLater(_end(seconds), inputs.expire),
        core.clock.callLater(seconds / 2, inputs.refreshDue),
    )


def _startWatching(inputs: _Inputs, core: _Core, seconds: int) -> _Running:
    return _Running(core.clock.callLater(_end(seconds), inputs.expire), None)


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    off = builder.state("off")
    refreshing = builder.state("refreshing", _startRefreshing)
    watching = builder.state("watching", _startWatching)
    ended = builder.state("ended")

    off.upon(_Inputs.weRefresh).to(refreshing).returns(None)
    off.upon(_Inputs.peerRefreshes).to(watching).returns(None)
    off.upon(_Inputs.stop).to(ended).returns(None)

    @refreshing.upon(_Inputs.weRefresh).loop()
    def refreshAgain(inputs: _Inputs, core: _Core, running: _Running, seconds: int) -> None:
        running.cancel()
        again = _startRefreshing(inputs, core, seconds)
        running.expiry, running.refresh = again.expiry, again.refresh

    @refreshing.upon(_Inputs.peerRefreshes).to(watching)
    def leaveItToThePeer(inputs: _Inputs, core: _Core, running: _Running, seconds: int) -> None:
        running.cancel()

    @refreshing.upon(_Inputs.refreshDue).loop()
    def tellDue(inputs: _Inputs, core: _Core, running: _Running) -> None:
        core.user.sessionRefreshDue()

    @refreshing.upon(_Inputs.postpone).loop()
    def tryLater(inputs: _Inputs, core: _Core, running: _Running, seconds: float) -> None:
        if running.refresh is not None and running.refresh.active():
            running.refresh.cancel()
        running.refresh = core.clock.callLater(seconds, inputs.refreshDue)

    @watching.upon(_Inputs.peerRefreshes).loop()
    def watchAgain(inputs: _Inputs, core: _Core, running: _Running, seconds: int) -> None:
        running.cancel()
        running.expiry = _startWatching(inputs, core, seconds).expiry

    @watching.upon(_Inputs.weRefresh).to(refreshing)
    def takeOver(inputs: _Inputs, core: _Core, running: _Running, seconds: int) -> None:
        running.cancel()

    for state in (refreshing, watching):

        @state.upon(_Inputs.expire).to(ended)
        def tellExpired(inputs: _Inputs, core: _Core, running: _Running) -> None:
            running.cancel()
            core.user.sessionExpired()

        @state.upon(_Inputs.nobodyRefreshes).to(off)
        def forget(inputs: _Inputs, core: _Core, running: _Running) -> None:
            running.cancel()

        @state.upon(_Inputs.stop).to(ended)
        def stopTimers(inputs: _Inputs, core: _Core, running: _Running) -> None:
            running.cancel()

    watching.upon(_Inputs.refreshDue).loop().returns(None)
    watching.upon(_Inputs.postpone).loop().returns(None)
    for idle in (off, ended):
        idle.upon(_Inputs.nobodyRefreshes).loop().returns(None)
        idle.upon(_Inputs.refreshDue).loop().returns(None)
        idle.upon(_Inputs.postpone).loop().returns(None)
        idle.upon(_Inputs.expire).loop().returns(None)
    ended.upon(_Inputs.weRefresh).loop().returns(None)
    ended.upon(_Inputs.peerRefreshes).loop().returns(None)
    ended.upon(_Inputs.stop).loop().returns(None)
    return builder.build()


_machine = indexed(_build())


class SessionTimer:
    """What one leg says of session timers in its INVITEs and answers, and the timer that follows."""

    __slots__ = ("_inputs", "_interval", "_least", "_ours", "_raises")

    def __init__(
        self, user: SessionTimerUser, clock: IReactorTime, interval: int = INTERVAL, least: int = LEAST
    ) -> None:
        """
        @param interval: seconds to ask for.
        @param least: the smallest interval to be agreed, in seconds, at least L{LEAST}.
        """
        self._inputs = _machine(_Core(user, clock))
        self._interval = max(interval, least)
        self._least = least
        self._ours: bool | None = None
        self._raises = 0

    def requestHeaders(self) -> list[Header]:
        """For an INVITE of ours: the refresher stays who it is (RFC 4028 section 7.4)."""
        role = {None: "", True: ";refresher=uac", False: ";refresher=uas"}[self._ours]
        return [
            Header("Session-Expires", f"{self._interval}{role}"),
            Header("Min-SE", str(self._least)),
        ]

    def raised(self, response: Response) -> bool:
        """Take over the Min-SE of a 422; true if the INVITE may be sent again (RFC 4028 section 7.3)."""
        least = _seconds(response.header("Min-SE"))
        if least is None or least <= self._least or self._raises >= _RAISES:
            return False
        self._raises += 1
        self._least = least
        self._interval = max(self._interval, least)
        return True

    def accepted(self, response: Response) -> None:
        """A 2xx to our INVITE; without Session-Expires there is no interval (RFC 4028 section 7.2)."""
        self._raises = 0
        try:
            agreed = _sessionExpires(response)
        except MalformedMessage:
            agreed = None
        if agreed is None or agreed[0] < LEAST:
            self._agree(None, 0)
        else:
            self._agree(agreed[1] != "uas", agreed[0])

    def acceptedHeaders(self, request: Request) -> list[Header]:
        """
        For our 2xx to an INVITE; the interval begins (RFC 4028 section 9, table 2).  A peer that knows
        the timer refreshes itself, unless it wants us to; for one that does not, but whose proxy asks, we do.
        """
        asked = _sessionExpires(request)
        if asked is None and self._ours is not None and _knowsTimer(request):
            asked = (self._interval, "uas" if self._ours else "uac")
        if asked is None:
            self._agree(None, 0)
            return []
        ours = asked[1] == "uas" or not _knowsTimer(request)
        self._least = max(self._least, _seconds(request.header("Min-SE")) or 0)
        self._agree(ours, asked[0])
        if ours:
            return [Header("Session-Expires", f"{asked[0]};refresher=uas")]
        return [Header("Require", "timer"), Header("Session-Expires", f"{asked[0]};refresher=uac")]

    def _agree(self, ours: bool | None, seconds: int) -> None:
        self._ours = ours
        if ours is None:
            self._inputs.nobodyRefreshes()
            return
        self._interval = seconds
        if ours:
            self._inputs.weRefresh(seconds)
        else:
            self._inputs.peerRefreshes(seconds)

    def postpone(self, seconds: float) -> None:
        """The refresh that was due could not be made: it is due again in so many seconds."""
        self._inputs.postpone(seconds)

    def stop(self) -> None:
        """The session ends by itself."""
        self._inputs.stop()


def intervalTooSmall(request: Request, smallest: int) -> Header | None:
    """
    The Min-SE, C{smallest}, of the 422 that C{request} gets; C{None}: its interval can be taken, or whoever
    made it so small would not understand (RFC 4028 section 9).

    @raise MalformedMessage: the header cannot be read (400).
    """
    asked = _sessionExpires(request)
    if asked is None or asked[0] >= smallest or not _knowsTimer(request):
        return None
    return Header("Min-SE", str(smallest))


def _knowsTimer(request: Request) -> bool:
    return "timer" in [name.lower() for name in request.values("Supported")]


def _sessionExpires(message: Message) -> tuple[int, str] | None:
    """Interval in seconds and C{uac}, C{uas} or nothing."""
    value = message.header("Session-Expires")
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None:
        raise MalformedMessage("wanted a Session-Expires in seconds", 400)
    for parameter in value.split(";")[1:]:
        name, _, role = parameter.partition("=")
        if name.strip().lower() == "refresher" and role.strip().lower() in ("uac", "uas"):
            return seconds, role.strip().lower()
    return seconds, ""


def _seconds(value: str | None) -> int | None:
    """delta-seconds before any parameters."""
    digits = (value or "").partition(";")[0].strip()
    return min(int(digits), _MOST) if digits.isdecimal() and digits.isascii() and len(digits) < 20 else None
