"""
How long SRTP keys are used: ours are renewed before they are spent, and who overruns its own is asked for a
new one (RFC 3711 section 9.2, RFC 4568 section 6.1).

A key of ours is renewed, too, when the peer no longer hears us under it: some forget the roll-over counter
when they resume, against RFC 3711 section 3.3.1, and with a new key it is 0 at both ends.  Not before: others
take no second key.

Nothing is counted here.  The media legs count packets anyway, and are looked at now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from skypetrunk.core.bridge import Bridge
from skypetrunk.core.keys import KeyUse
from skypetrunk.core.leg import Leg
from skypetrunk.interfaces import DirectionStatistics

LOOK_SECONDS = 60.0
"""A minute is 3,000 packets of sound, or 6,000 of the shortest there are."""

HEARING_SECONDS = 5.0
"""So often a look is taken at who hears us: most peers report as often, and it costs next to nothing."""

OWN_LIFETIME = 2**31
"""
Packets that a key of ours is good for: with none named it is 2^48 of SRTP and 2^31 of SRTCP, whichever is
spent first (RFC 3711 section 9.2).  The smaller stands for both: it is 16 months of sound.
"""

_IN_TIME = 15 / 16
"""Part of the lifetime after which a key of ours is renewed.  A peer that refuses is asked each minute."""


class KeyWatch:
    """Looks after the keys of all calls."""

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, calls: Callable[[], Iterable[Bridge]], ownLifetime: int = OWN_LIFETIME
    ) -> None:
        """
        @param calls: all there are.
        @param ownLifetime: packets that a key of ours is good for.
        """
        self._clock = clock
        self._calls = calls
        self._renewAt = int(ownLifetime * _IN_TIME)
        self._next: IDelayedCall | None = None
        self._due = 0.0

    def begin(self) -> None:
        """There is a call."""
        if self._next is None:
            self._due = self._clock.seconds() + LOOK_SECONDS
            self._next = self._clock.callLater(HEARING_SECONDS, self._look)

    def end(self) -> None:
        """There is none any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = self._clock.callLater(HEARING_SECONDS, self._look)
        now = self._clock.seconds()
        counting = now >= self._due
        if counting:
            self._due = now + LOOK_SECONDS
        for call in tuple(self._calls()):
            for leg in call.legs if call.settled else ():
                if leg.session.secure:
                    self._listen(leg)
                    if counting:
                        self._lookAt(leg)

    def _listen(self, leg: Leg) -> None:
        """Is it to have a new key?  Once until it hears us again: who takes none is left alone."""
        uses = leg.session.uses
        if not leg.session.media.unheard:
            uses.unheard = False
        elif not uses.unheard and leg.refresh.rekey():
            uses.unheard = True
            self._log.info(
                "{call}: {side} reports that it no longer hears us, and is offered a new SRTP key",
                call=leg.call,
                side=leg.side.name,
            )

    def _lookAt(self, leg: Leg) -> None:
        ours, theirs = leg.session.uses.ours, leg.session.uses.theirs
        counted = leg.session.media.statistics()
        spent = ours is not None and used(ours, counted.sent) >= self._renewAt
        overrun = theirs is not None and self._overrun(leg, theirs, used(theirs, counted.received))
        if not spent and not overrun:
            return
        if leg.refresh.rekey():
            self._log.info("{call}: {side} is offered a new SRTP key", call=leg.call, side=leg.side.name)
            if theirs is not None:
                theirs.asked = True

    def _overrun(self, leg: Leg, theirs: KeyUse, packets: int) -> bool:
        """Is the peer to be asked?  Once for a key: who keeps it all the same goes on being heard."""
        if theirs.lifetime is None or packets <= theirs.lifetime:
            return False
        if not theirs.told:
            theirs.told = True
            self._log.warn(
                "{call}: {side} has sent {packets} packets with a key that it said is good for {lifetime}",
                call=leg.call,
                side=leg.side.name,
                packets=packets,
                lifetime=theirs.lifetime,
            )
        return not theirs.asked


def used(use: KeyUse, counted: DirectionStatistics) -> int:
    """Packets since the key came into use: of SRTP or of SRTCP, whichever are more."""
    return max(counted.authenticated - use.packets, counted.rtcpPackets - use.rtcpPackets)


__all__ = ["HEARING_SECONDS", "LOOK_SECONDS", "OWN_LIFETIME", "KeyWatch"]
