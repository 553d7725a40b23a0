"""
Python's garbage collector, kept from pauses that callers would hear.

Left to itself it goes through all objects now and then: with 500 calls per second, whose transactions are
remembered for half a minute, that takes more than a second, in which no packet is relayed and no request
answered.  Nor does it come to the youngest in time: it waits until more objects were made than freed, and a
trunk with much to do frees as many of its old ones, so that the young pile up for seconds, and take 0.3 s.
But a call leaves hardly any garbage in cycles; what it made is freed when nobody refers to it.
"""

from __future__ import annotations

import gc
import sys

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

YOUNG = 0.1
"""Seconds between two looks through what was made since the last one: 1 ms for each 1,000 objects."""

INTERVAL = 600.0
"""Seconds between two looks whether all may be looked through."""

FEW = 100_000
"""
Blocks of memory, two for each object, that are looked through in 30 ms at most: less than what phones keep
in store against jitter.
"""

LONGEST = 86_400.0
"""
Seconds after which all are looked through, however many they are: garbage must not pile up for ever.  In a
day each trunk has some minutes in which they are few.
"""


class Collector(Service):
    """
    Looks for garbage among the youngest objects all the time, among all of them when they are few, or when
    that was long ago; what was there at the start, modules and number plans, is left out for ever.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._young = LoopingCall(gc.collect, 0)
        self._all = LoopingCall(self._look)
        self._young.clock = self._all.clock = clock
        self._last = 0.0
        self._lasting = 0
        self._before = True

    def startService(self) -> None:
        """Everything that stays has been made."""
        super().startService()
        gc.collect()
        gc.freeze()
        self._before = gc.isenabled()
        gc.disable()
        self._last = self._clock.seconds()
        self._lasting = sys.getallocatedblocks()
        self._young.start(YOUNG, now=False)
        self._all.start(INTERVAL, now=False)

    def stopService(self) -> None:
        """Python may do as it likes again."""
        super().stopService()
        self._young.stop()
        self._all.stop()
        if self._before:
            gc.enable()
        gc.unfreeze()

    def _look(self) -> None:
        # To count the objects themselves takes 0.2 s where they are many.
        blocks = sys.getallocatedblocks() - self._lasting
        if blocks <= FEW or self._clock.seconds() - self._last >= LONGEST:
            gc.collect()
            self._last = self._clock.seconds()
