"""
The legs that a media worker keeps, as the trunk sees them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from skypetrunk.interfaces import LegStatistics
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.heard import Heard, remember
from skypetrunk.media.keeping import ORDERS, Opening
from skypetrunk.media.relay import Show
from skypetrunk.media.worker_commands import Ask, Counted, Join, Open, Order, Ready, Release, Went

RELEASE_SECONDS = 1.0
"""How long final counters are waited for: the worker answers between two packets."""

ASKING_SECONDS = 1.0
"""A worker is asked that often whether it is there."""

PATIENCE = 5
"""
So many times it may have been due to be asked again before it counts as hung: a worker in a flood, on two
cores with eight other busy processes, needs 0.16 s at most.  Times, not seconds: after a pause of the trunk's
own one has passed, however long that was, and then the answer is read.
"""


class RemoteKeeper(AMP):
    """
    The trunk's end of one worker; a L{skypetrunk.media.keeping.Keeper}.

    @ivar alive: it has said that it is ready, and its connection stands.
    """

    def __init__(
        self,
        clock: IReactorTime,
        ready: Callable[[RemoteKeeper], None],
        lost: Callable[[RemoteKeeper], None],
        hung: Callable[[RemoteKeeper], None],
    ) -> None:
        """
        @param ready: told when it may be given legs.
        @param lost: told when its connection is lost, and with it what it kept.
        @param hung: told, once, when it no longer answers.
        """
        super().__init__()
        self.alive = False
        self._clock = clock
        self._ready = ready
        self._lost = lost
        self._hung = hung
        self._asking = LoopingCall(self._ask)
        self._asking.clock = clock
        self._unanswered = 0
        self._numbers = count(1)
        self._known: dict[int, LegStatistics | None] = {}
        self._unheard: set[int] = set()
        self._heard: dict[int, dict[tuple[bytes, ...], Heard]] = {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The process is gone, or is to go: what it cannot be told it cannot do."""
        self.alive = False
        if self._asking.running:
            self._asking.stop()
        super().connectionLost(reason)
        self._lost(self)

    @property
    def legs(self) -> int:
        """How many it keeps."""
        return len(self._known)

    def open(self, opening: Opening, rtp: socket.socket, rtcp: socket.socket) -> int:
        """See L{skypetrunk.media.keeping.Keeper}."""
        number = next(self._numbers)
        self._known[number] = None
        copies: list[socket.socket] = []
        with suppress(OSError):  # too many are open
            # They leave in a later turn, and the call may be refused, and they be closed, in this one.
            copies += rtp.dup(), rtcp.dup()
        one, other = copies or (rtp, rtcp)
        opened: Deferred[Any] = self.callRemote(
            Open, number=number, opening=packed(opening), rtp=one.fileno(), rtcp=other.fileno()
        )

        def sent(_: object) -> None:
            for each in copies:
                each.close()

        opened.addBoth(sent)
        return number

    def order(self, number: int, name: str, *arguments: object) -> None:
        """See L{skypetrunk.media.keeping.Keeper}."""
        if name not in ORDERS:
            raise ValueError(f"no order: {name}")
        if name == "hearOn" and isinstance(arguments[0], Heard):
            # Until it tells more, this is what it has heard.
            self._heard.setdefault(number, {})[arguments[0].masters] = arguments[0]
        self.callRemote(Order, number=number, name=name.encode("ascii"), given=packed(arguments))

    def join(self, caller: int, called: int, shows: tuple[Show, Show] | None = None) -> None:
        """See L{skypetrunk.media.keeping.Keeper}.  Nobody here can be shown what another process has."""
        assert shows is None
        self.callRemote(Join, caller=caller, called=called)

    def statistics(self, number: int) -> LegStatistics | None:
        """As it has told last."""
        return self._known.get(number)

    def unheard(self, number: int) -> bool:
        """As it has told last."""
        return number in self._unheard

    def heard(self, number: int) -> tuple[Heard, ...]:
        """As it has told last."""
        return tuple(self._heard.get(number, {}).values())

    def release(
        self, number: int, tell: Callable[[Heard], object] | None = None
    ) -> Deferred[LegStatistics | None]:
        """See L{skypetrunk.media.keeping.Keeper}."""
        known = self._known.pop(number, None)
        self._unheard.discard(number)
        before = self._heard.pop(number, {})

        def released(answer: dict[str, bytes]) -> LegStatistics | None:
            if tell is not None:
                for each in unpacked(answer["heard"]):
                    tell(each)
            final: LegStatistics | None = unpacked(answer["counted"])
            return final or known

        if tell is not None:
            # It may be gone, and what it has told is all then.
            for heard in before.values():
                tell(heard.until(self._clock.seconds()))
        answered: Deferred[Any] = self.callRemote(Release, number=number, moves=tell is not None)
        answered.addTimeout(RELEASE_SECONDS, self._clock)
        return answered.addCallbacks(released, lambda failure: known)

    @Ready.responder
    def said(self) -> dict[str, object]:
        """See L{Ready}."""
        self.alive = True
        # Not before: nobody knows how long a process takes to begin, and it has no legs yet.
        self._asking.start(ASKING_SECONDS)
        self._ready(self)
        return {}

    def _ask(self) -> None:
        if self._unanswered == PATIENCE:
            self._asking.stop()
            self._hung(self)
            return
        self._unanswered += 1
        if self._unanswered == 1:
            self.callRemote(Ask).addCallbacks(self._answered, lambda _: None)

    def _answered(self, _: object) -> None:
        self._unanswered = 0

    @Counted.responder
    def counted(self, counted: bytes, unheard: bytes) -> dict[str, object]:
        """See L{Counted}."""
        known = {number: each for number, each in unpacked(counted).items() if number in self._known}
        self._known |= known
        self._unheard = (self._unheard - known.keys()) | (known.keys() & set(unpacked(unheard)))
        return {}

    @Went.responder
    def went(self, number: int, heard: bytes) -> dict[str, object]:
        """See L{Went}."""
        if number in self._known:
            remember(self._heard.setdefault(number, {}), unpacked(heard))
        return {}


__all__ = ["ASKING_SECONDS", "PATIENCE", "RELEASE_SECONDS", "RemoteKeeper"]
