"""Which media plane a configuration wants: all in this process, or with media workers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IListeningPort,
    IReactorFDSet,
    IReactorProcess,
    IReactorSocket,
    IReactorTime,
)

from skypetrunk.media.plane import MediaPlane
from skypetrunk.media.relay import Show
from skypetrunk.media.worker_plane import POSSIBLE, WorkerPlane
from skypetrunk.service.settings import MOST_WORKERS, MediaConfiguration

OWN_CALLS = 20
"""
Calls that the trunk's own process carries before it starts workers by itself: they are a few hundredths of a
core, and each worker takes memory.
"""


def workersByCores() -> int:
    """One for each core that we may use, beside the one of the signalling."""
    return min(len(os.sched_getaffinity(0)) - 1, MOST_WORKERS)


def makePlane(
    media: MediaConfiguration,
    reactor: Any,
    clock: IReactorTime,
    taps: Callable[[str], tuple[Show, Show] | None],
    opened: Callable[[IListeningPort], object],
) -> MediaPlane:
    """A plane for C{[media]}: a L{WorkerPlane} where workers are wanted, and the system can have them."""
    place = (
        reactor,
        clock,
        media.address,
        media.advertise,
        media.ports,
        os.urandom,
        taps,
        media.helper,
        opened,
    )
    able = all(each.providedBy(reactor) for each in (IReactorFDSet, IReactorProcess, IReactorSocket))
    if not POSSIBLE or not able:
        return MediaPlane(*place)
    workers = workersByCores() if media.workers is None else media.workers
    if not workers:
        return MediaPlane(*place)
    return WorkerPlane(*place, workers=workers, own=OWN_CALLS if media.workers is None else 0)


__all__ = ["OWN_CALLS", "makePlane", "workersByCores"]
