"""
How long SRTP keys are used: ours are renewed before they are spent, and who overruns its own is asked for a
new one (RFC 3711 section 9.2, RFC 4568 section 6.1).

Nothing is counted here.  The media legs count packets anyway, and are looked at once in a minute.
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

    def begin(self) -> None:
        """There is a call."""
        if self._next is None:
            self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def end(self) -> None:
        """There is none any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        self.begin()
        for call in tuple(self._calls()):
            for leg in call.legs if call.settled else ():
                if leg.session.secure:
                    self._lookAt(leg)

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


__all__ = ["LOOK_SECONDS", "OWN_LIFETIME", "KeyWatch"]
