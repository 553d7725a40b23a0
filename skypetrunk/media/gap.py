"""
A source of which it is not known what was accepted in a while: who has heard it is lost, and could not tell.
Whoever has recorded that could play it once, if nothing stood before it.
"""

from __future__ import annotations

from skypetrunk.errors import PacketRefused
from skypetrunk.media.replay import WINDOW
from skypetrunk.media.roll_over import Run, isIn
from skypetrunk.wire.rtp import RTPHeader


class Gap:
    """
    What is taken of it until its replay window has passed that while.

    @ivar runs: the time stamps that it had then; empty when a packet was accepted that has none of them.
    """

    __slots__ = ("_first", "runs")

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self.runs = runs
        self._first = 0

    def knows(self, timestamp: int) -> bool:
        """May it have been accepted then?"""
        return any(isIn(run, timestamp) for run in self.runs)

    def check(self, header: RTPHeader) -> None:
        """
        Can it be that a packet was not accepted then?

        @raise PacketRefused: C{replay}: no.
        """
        if self.knows(header.timestamp):
            raise PacketRefused("replay")
        if not self.runs and (header.sequence - self._first) & 0xFFFF >= 0x8000:
            raise PacketRefused("replay")  # from before the first that is known to be new

    def begin(self, header: RTPHeader) -> None:
        """A packet is known to be new; those that follow it are."""
        self.runs, self._first = (), header.sequence

    def accepted(self, header: RTPHeader) -> bool:
        """
        A packet was accepted that L{check} lets through.

        @return: that while is passed.
        """
        if self.runs:
            self.begin(header)
        return (header.sequence - self._first) & 0xFFFF >= WINDOW


__all__ = ["Gap"]
