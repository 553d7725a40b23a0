"""
Calls whose outbound SRTP contexts are lost with the process that had them.

A context is made once for a key (RFC 3711 section 9.1), so nobody can go on with it: the peer is offered a
new key by re-INVITE, as soon as its leg is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from skypetrunk.core.bridge import Bridge
from skypetrunk.core.leg import Leg

LOOK_SECONDS = 0.5
"""Between two looks at calls that cannot be re-INVITEd yet: they ring, or something else is under way."""

FIRST_PATIENCE = 4.0
LONGEST_PATIENCE = 64.0
"""Seconds before who refused a new key is offered one again; doubled each time."""


class LostMedia:
    """Brings the sound of calls back."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, calls: Callable[[], Iterable[Bridge]]) -> None:
        """
        @param calls: all there are.
        """
        self._clock = clock
        self._calls = calls
        # When a leg may be offered a key, and how long it is left alone after that.
        self._due: dict[Leg, tuple[float, float]] = {}
        self._next: IDelayedCall | None = None

    def begin(self) -> None:
        """Some leg has lost its context."""
        self.end()
        self._look()

    def end(self) -> None:
        """There is no call any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        now = self._clock.seconds()
        before, self._due = self._due, {}
        for call in tuple(self._calls()):
            for leg in call.legs:
                if leg.session.media.lost:
                    due, patience = before.get(leg, (now, FIRST_PATIENCE))
                    if now >= due and call.settled and leg.refresh.rekey():
                        self._log.info(
                            "{call}: {side} is offered a new SRTP key, as the other is lost",
                            call=leg.call,
                            side=leg.side.name,
                        )
                        due, patience = now + patience, min(2 * patience, LONGEST_PATIENCE)
                    self._due[leg] = due, patience
        if self._due:
            self._next = self._clock.callLater(LOOK_SECONDS, self._look)


__all__ = ["FIRST_PATIENCE", "LONGEST_PATIENCE", "LOOK_SECONDS", "LostMedia"]
