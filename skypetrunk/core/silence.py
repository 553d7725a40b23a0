"""
Calls in which nothing comes from one side, or from neither, and nobody has hung up.

A side that is told to listen only, or has said that it will not send, may be silent as long as it likes:
its time begins when that ends.

A PBX from which nothing comes is asked whether it still has the call: it may have lost its power, while the
carrier's side plays music that nobody hears.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from skypetrunk.core.bridge import Bridge
from skypetrunk.core.capabilities import ACCEPT, USER_AGENT
from skypetrunk.core.leg import Leg
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.interfaces import DirectionStatistics
from skypetrunk.wire.message import Response

LOOKS = 10
"""How often a call is looked at within the time that it may be silent, or more often, for L{ASKED}."""

ONE_SIDED = 30.0
"""Seconds of silence of one side that are worth a line in the log; they are seen at the next look."""

ASKED = 60.0
"""Seconds of silence of a PBX after which it is asked for its call, and between two such questions."""


class _Watched:
    """
    What was seen of one call.

    @ivar since: when something came last, from either side, or nothing had to.
    @ivar legs: packets of each leg, and the same of it alone.
    @ivar asked: when each was asked last.
    """

    __slots__ = ("asked", "legs", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self.legs: dict[Leg, tuple[int, float]] = {}
        self.asked: dict[Leg, float] = {}


class SilenceWatch:
    """Tells of calls that stand, should have media, and have had none for too long; and ends them."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        calls: Callable[[], Iterable[Bridge]],
        sides: Callable[[], Iterable[Side]] = tuple,
    ) -> None:
        """
        @param seconds: of silence from both sides that end a call; 0 for none, and then no PBX is asked.
        @param calls: all there are.
        @param sides: all there are; C{Side.silence} of each ends calls in which nothing comes from it.
        """
        self._clock = clock
        self._seconds = seconds
        self._calls = calls
        self._sides = sides
        self._watched: dict[Bridge, _Watched] = {}
        self._next: IDelayedCall | None = None

    def begin(self) -> None:
        """There is a call."""
        bounds = [bound for bound in (self._seconds, *(side.silence for side in self._sides())) if bound]
        if bounds and self._next is None:
            self._next = self._clock.callLater(min(*bounds, LOOKS * ASKED) / LOOKS, self._look)

    def end(self) -> None:
        """There is none any more."""
        self._watched.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        self.begin()
        now = self._clock.seconds()
        before, self._watched = self._watched, {}
        for call in tuple(self._calls()):
            if call.standing:
                watched = self._watched[call] = before.get(call) or _Watched(now)
                self._listen(watched, call, now)
                self._judge(watched, call, now)

    def _listen(self, watched: _Watched, call: Bridge, now: float) -> None:
        before, watched.legs = watched.legs, {}
        for leg in call.legs:
            count = _received(leg)
            seen, since = before.get(leg, (-1, now))
            if count != seen:
                since = watched.since = now
            elif not leg.session.expectsMedia or leg.session.fax:
                # Who gets a page by T.38 is silent meanwhile.
                since = now
            watched.legs[leg] = count, since
        if not call.expectsMedia:
            watched.since = now

    def _judge(self, watched: _Watched, call: Bridge, now: float) -> None:
        silent = {
            leg.side.name: now - since for leg, (_, since) in watched.legs.items() if now - since >= ONE_SIDED
        }
        before, call.silent = call.silent, tuple(silent)
        name = call.request.call
        for side in call.silent:
            if side not in before:
                text = "{call}: nothing has come from {side} for {seconds:.0f} s"
                self._log.warn(text, call=name, side=side, seconds=silent[side])
        for side in before:
            if side not in silent:
                self._log.info("{call}: {side} is heard again", call=name, side=side)
        if self._seconds and now - watched.since >= self._seconds:
            call.hangUp(f"no packet from either side for {self._seconds:.0f} s")
            return
        for leg, (_, since) in watched.legs.items():
            bound = leg.side.silence
            if bound and now - since >= bound:
                call.hangUp(f"no packet from {leg.side.name} for {bound:.0f} s")
                return
            asked = watched.asked.get(leg, since)
            if self._seconds and isinstance(leg.side, PBXSide) and now - max(since, asked) >= ASKED:
                watched.asked[leg] = now
                self._ask(call, leg)

    def _ask(self, call: Bridge, leg: Leg) -> None:
        """OPTIONS within the dialog, which change nothing there (RFC 3261 section 11.2)."""
        dialog, count = leg.dialog, _received(leg)
        if dialog is None:
            return

        def answered(status: int, response: Response | None) -> None:
            # RFC 3261 section 12.2.1.2; where nothing can be reached there is no response at all.
            gone = response is None or status in (408, 481)
            if gone and call.standing and leg in call.legs and _received(leg) == count:
                call.hangUp(f"no packet from {leg.side.name}, and OPTIONS within the call got {status}")

        request = dialog.makeRequest("OPTIONS", dialog.reserveSequence(), [ACCEPT, USER_AGENT])
        leg.sendRequest(dialog, request, answered)


def _received(leg: Leg) -> int:
    return _packets(leg.session.media.statistics().received)


def _packets(received: DirectionStatistics) -> int:
    """All that shows that somebody is there, also what was refused."""
    taken = received.packets + received.fax + received.rtcpPackets
    return taken + sum(number for _, number in received.refused)


__all__ = ["ONE_SIDED", "SilenceWatch"]
