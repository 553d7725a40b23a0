"""That a side has several servers, and when an INVITE goes from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from skypetrunk.interfaces import ICallTargets


@dataclass(frozen=True, slots=True)
class Servers:
    """
    The servers of one side.

    @ivar targets: makes those of one call.
    @ivar patience: seconds without any answer after which an INVITE goes to the next.
    @ivar failover: answers, beside 503, after which it does.
    """

    targets: Callable[[], ICallTargets]
    patience: float
    failover: Collection[int] = frozenset()


__all__ = ["Servers"]
