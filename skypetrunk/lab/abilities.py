"""
What an end of the lab can do beyond RFC 3261, as its switches say: methods and session timers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.lab.dialog import AGENT, ALLOW
from skypetrunk.wire.message import Header, Request, Response

__all__ = ["METHODS", "OWN", "REFRESHERS", "Abilities", "SessionTimer"]

METHODS = {
    "REFER": "taken with 202; NOTIFY says how the number would have answered, and nobody is called",
    "INFO": "taken",
    "PRACK": "provisional answers are reliable, where the caller can do that (RFC 3262)",
    "UPDATE": "taken, its offer answered (RFC 3311)",
}
"""Methods that can be allowed, with what becomes of them."""

REFRESHERS = ("uas", "uac")

OWN = (Header("Server", AGENT),)
"""Headers of each answer of ours."""

_BYE_BEFORE = 32.0


@dataclass(frozen=True, slots=True)
class Abilities:
    """
    What one end can do.

    @ivar methods: of L{METHODS}.
    @ivar expires: of sessions, seconds; 0: no session timer.
    @ivar refresher: who refreshes, where the other side leaves it open.
    @ivar minimum: shorter sessions are refused with 422; 0: none is.
    """

    methods: tuple[str, ...] = ()
    expires: int = 0
    refresher: str = "uas"
    minimum: int = 0

    @property
    def allow(self) -> str:
        """The value of Allow."""
        return ", ".join((ALLOW, *self.methods))

    @property
    def able(self) -> tuple[Header, ...]:
        """Headers of answers where our abilities matter."""
        options = [*(("100rel",) if "PRACK" in self.methods else ()), *(("timer",) if self.expires else ())]
        supported = (Header("Supported", ", ".join(options)),) if options else ()
        return (Header("Allow", self.allow), *supported, *OWN)

    def tooShort(self, request: Request) -> tuple[Header, ...] | None:
        """The headers of a 422 (RFC 4028 section 5), or C{None} where the session is long enough."""
        asked = _interval(request)
        if not self.minimum or asked is None or asked[0] >= self.minimum:
            return None
        return (Header("Min-SE", str(self.minimum)), *OWN)


def _interval(message: Request | Response) -> tuple[int, str | None] | None:
    """Seconds and refresher of a Session-Expires."""
    text = message.header("Session-Expires") or message.header("x")
    seconds, *params = (text or "").replace(" ", "").split(";")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 8):
        return None
    named = [each.partition("=")[2] for each in params if each.lower().startswith("refresher=")]
    return int(seconds), named[0].lower() if named else None


class SessionTimer:
    """One call's."""

    def __init__(
        self,
        clock: IReactorTime,
        abilities: Abilities,
        refresh: Callable[[], None],
        expired: Callable[[], None],
    ) -> None:
        """
        @param refresh: sends a re-INVITE.
        @param expired: nobody refreshed the session: it ends.
        """
        self._clock = clock
        self._abilities = abilities
        self._refresh = refresh
        self._expired = expired
        self._next: IDelayedCall | None = None
        self._ours = False

    def asks(self) -> tuple[Header, ...]:
        """Headers of an INVITE of ours."""
        seconds = self._abilities.expires
        if not seconds:
            return ()
        # Who refreshes goes on to do so; at first the callee decides
        refresher = ";refresher=uac" if self._ours else ""
        return (Header("Supported", "timer"), Header("Session-Expires", f"{seconds}{refresher}"))

    def answers(self, request: Request) -> tuple[Header, ...]:
        """Headers of our 2xx to an INVITE or UPDATE (RFC 4028 section 9); the time runs."""
        ours = self._abilities
        if not ours.expires:
            return ()
        able = "timer" in [each.lower() for each in request.values("Supported")]
        seconds, refresher = _interval(request) or (ours.expires, None)
        seconds = min(seconds, ours.expires)
        if refresher not in REFRESHERS:
            refresher = ours.refresher if able else "uas"
        self._start(seconds, refresher == "uas")
        required = (Header("Require", "timer"),) if able and refresher == "uac" else ()
        return (Header("Session-Expires", f"{seconds};refresher={refresher}"), *required)

    def answered(self, response: Response) -> None:
        """The other end's 2xx to our INVITE."""
        found = _interval(response)
        if found is None or not self._abilities.expires:
            self.stop()
        else:
            self._start(found[0], found[1] != "uas")

    def stop(self) -> None:
        """The call is over, or has no timer."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _start(self, seconds: int, ours: bool) -> None:
        self.stop()
        self._ours = ours
        if ours:
            self._next = self._clock.callLater(seconds / 2, self._refresh)
        else:
            # RFC 4028 section 10: a little before the end
            wait = seconds - min(_BYE_BEFORE, seconds / 3)
            self._next = self._clock.callLater(wait, self._expired)
