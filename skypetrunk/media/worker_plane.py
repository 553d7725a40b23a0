"""
A media plane whose calls are carried by other processes.

Addresses and ports are given out here, at once, and every socket is open here as well, unread: so another
keeper can read it when the one that does is gone.  Both legs of a call have the same keeper.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP
from twisted.logger import Logger

from skypetrunk.errors import PortsExhausted
from skypetrunk.interfaces import ANY_PATH, IMediaLeg, MediaHost, MediaPath
from skypetrunk.media.keeping import Keeper, LocalKeeper
from skypetrunk.media.kept_leg import KeptLeg
from skypetrunk.media.plane import Lease, MediaPlane
from skypetrunk.media.poller import Binder
from skypetrunk.media.relay import MediaLeg, Show
from skypetrunk.media.remote_keeper import RemoteKeeper
from skypetrunk.media.workers import Workers

POSSIBLE = hasattr(select, "epoll")
"""Sockets that are read elsewhere want an epoll."""


def _nobody() -> None:
    """Nobody is to be told."""


class WorkerPlane(MediaPlane):
    """
    See L{skypetrunk.interfaces.IMediaPlane}.

    @ivar workers: the processes.
    @ivar lost: called when legs have lost their outbound contexts, as their C{lost} says.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        address: str,
        advertise: str | None,
        ports: tuple[int, int],
        entropy: Callable[[int], bytes],
        taps: Callable[[str], tuple[Show, Show] | None] | None = None,
        helped: bool = True,
        opened: Callable[[IListeningPort], object] | None = None,
        *,
        workers: int,
        own: int = 0,
    ) -> None:
        """
        For the others see L{MediaPlane}.

        @param workers: how many processes.
        @param own: calls that this process carries before the first of them is started.
        """
        super().__init__(reactor, clock, address, advertise, ports, entropy, taps, helped, opened)
        self.workers = Workers(reactor, workers, self._changed, helped)
        self.lost: Callable[[], None] = _nobody
        self._ownLegs = 2 * own
        self._running = False
        self._local = LocalKeeper(self._reactor, clock, entropy, reactor)
        self._binder = Binder()
        self._legs: dict[KeptLeg, tuple[Lease, MediaHost]] = {}
        self._calls: dict[str, list[KeptLeg]] = {}
        # Legs without a keeper, and their calls.
        self._own: dict[object, str] = {}

    def start(self) -> None:
        """Processes may be started from now on."""
        self._running = True
        self._grow()

    def stop(self) -> Deferred[None]:
        """End the processes.  Fires when they have ended."""
        self._running = False
        return self.workers.stop()

    def _grow(self) -> None:
        if self._running and len(self._legs) + len(self._own) >= self._ownLegs:
            self.workers.start()

    def allocate(self, name: str, secure: bool, path: MediaPath = ANY_PATH) -> IMediaLeg:
        """
        Bind a pair of ports.

        @raise PortsExhausted: none is left.
        """
        if self._isOwn(name):
            # A leg without a keeper, as on a plane without workers.
            own = super().allocate(name, secure, path)
            self._own[own] = _callOf(name)
            return own
        lease = Lease(self._returned)
        leg = KeptLeg(name, self._clock, self._entropy, lambda: self._ended(leg), secure, path)
        host = path.hosts[0] if path.hosts else self._host
        self._take(lease, leg, host, secure)
        self._grow()
        call = _callOf(leg.name)
        keeper = self._keeper(call)
        self._legs[leg] = lease, host
        self._calls.setdefault(call, []).append(leg)
        leg.carry(keeper, self._rebind)
        return leg

    def _isOwn(self, name: str) -> bool:
        """Does a new leg of this name belong to one of the few calls that this process carries?"""
        call = _callOf(name)
        if call in self._calls:
            return False
        return call in self._own.values() or len(self._legs) + len(self._own) < self._ownLegs

    def _returned(self, lease: Lease) -> None:
        self._own.pop(lease.reporter, None)
        super()._returned(lease)

    def _opener(self, leg: MediaLeg) -> IReactorUDP:
        return self._binder if isinstance(leg, KeptLeg) else self._reactor

    def _keeper(self, call: str) -> Keeper:
        """Of a new leg of this call."""
        for leg in self._calls.get(call, ()):
            if leg.keeper.alive:
                return leg.keeper
        if self._taps is not None and self._taps(call) is not None:
            # Who listens does so here.
            return self._local
        ready = self.workers.ready
        if not ready:
            return self._local
        return min(ready, key=lambda keeper: keeper.legs)

    def _ended(self, leg: KeptLeg) -> None:
        lease, _ = self._legs.pop(leg)
        call = _callOf(leg.name)
        self._calls[call].remove(leg)
        if not self._calls[call]:
            del self._calls[call]
        lease.end()

    def join(self, caller: IMediaLeg, called: IMediaLeg, call: str) -> None:
        """Relay between two legs from now on."""
        if not isinstance(caller, KeptLeg) or not isinstance(called, KeptLeg):
            super().join(self._here(caller), self._here(called), call)
            return
        shows = self._taps(call) if self._taps is not None else None
        hears = caller.keysHeard is not None or called.keysHeard is not None
        if shows is not None or hears:
            self._carry((caller, called), self._local, (caller, called))
        elif caller.keeper is not called.keeper:
            # After a transfer.  Without an outbound context nothing is lost.
            stays, moves = (caller, called) if caller.keyed or not called.keyed else (called, caller)
            self._carry((moves,), stays.keeper, (caller, called))
        for leg in (caller, called):
            self._part(leg)
        caller.pairing = called.pairing = (caller, called, call)
        if caller.keeper is self._local:
            for leg in (caller, called):
                self._local.order(leg.number, "hearKeys", leg.keysHeard)
        caller.keeper.join(caller.number, called.number, shows)

    def _here(self, leg: IMediaLeg) -> IMediaLeg:
        """C{leg} as one of this process, to be joined to one without a keeper: after a transfer."""
        if not isinstance(leg, KeptLeg):
            return leg
        self._carry((leg,), self._local)
        self._part(leg)
        self._local.order(leg.number, "hearKeys", leg.keysHeard)
        return self._local.leg(leg.number)

    def _part(self, leg: KeptLeg) -> None:
        if leg.pairing is not None:
            for before in leg.pairing[:2]:
                before.pairing = None

    def _carry(
        self, legs: tuple[KeptLeg, ...], keeper: Keeper, pair: tuple[KeptLeg, KeptLeg] | None = None
    ) -> None:
        """@param pair: which two are to be joined."""
        for leg in legs:
            if leg.keeper is not keeper:
                leg.carry(keeper, self._rebind, None if pair is None else pair[leg is pair[0]])
        if any(leg.lost for leg in legs):
            self.lost()

    def _rebind(self, leg: KeptLeg) -> None:
        lease, host = self._legs[leg]
        before = Lease(self._returned)
        before.port, before.bound = lease.port, lease.bound
        try:
            self._take(lease, leg, host, leg.beyond)
        except PortsExhausted:
            # The old ones do as well, for who takes a new key for a new context.
            return
        before.end()

    def _changed(self, keeper: RemoteKeeper) -> None:
        if keeper.alive:
            return
        moved = [leg for leg in self._legs if leg.keeper is keeper]
        if not moved:
            return
        self._log.warn("{number} media legs of a media worker are carried on elsewhere", number=len(moved))
        for leg in moved:
            other = leg.partner
            if other not in self._legs:
                other = None  # it is over, and elsewhere its number is another one's
            alive = None if other is None or not other.keeper.alive else other.keeper
            leg.carry(alive or self._keeper(_callOf(leg.name)), self._rebind, other)
            if other is None:
                self._part(leg)
        for pairing in {leg.pairing: None for leg in moved if leg.pairing is not None}:
            caller, called, call = pairing
            caller.keeper.join(caller.number, called.number)
        self.lost()


def _callOf(name: str) -> str:
    """The call of a leg of this name."""
    return name.partition("/")[0]


__all__ = ["POSSIBLE", "WorkerPlane"]
