"""
Pairs of media ports: RTP on an even port, RTCP on the next (RFC 3550 section 11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from skypetrunk.errors import PortsExhausted

T = TypeVar("T")


class PortRange:
    """
    The pairs between two ports, given out in turn so that a port just given back rests:
    late packets of an ended call do not reach the next one.

    @ivar inUse: even ports of the pairs that are given out.
    """

    def __init__(self, lowest: int, highest: int) -> None:
        """
        @param lowest: first port that may be used.
        @param highest: last port that may be used.
        @raise ValueError: no pair fits between them.
        """
        self._pairs = range(lowest + lowest % 2, highest, 2)
        if not self._pairs or not 0 < lowest <= highest <= 65535:
            raise ValueError(f"no pair of ports in {lowest}-{highest}")
        self._next = 0
        self.inUse: set[int] = set()

    def allocate(self, bind: Callable[[int], T | None]) -> tuple[int, T]:
        """
        Take the next pair that can be bound.

        @param bind: binds the pair that begins at an even port; C{None} when another program has one of them.
        @raise PortsExhausted: each pair was tried.
        """
        count = len(self._pairs)
        for _ in range(count):
            port = self._pairs[self._next]
            self._next = (self._next + 1) % count
            if port in self.inUse:
                continue
            bound = bind(port)
            if bound is not None:
                self.inUse.add(port)
                return port, bound
        raise PortsExhausted(f"none of the {count} port pairs {self._pairs[0]}-{self._pairs[-1] + 1} is free")

    def release(self, port: int) -> None:
        """Give back the pair that begins at C{port}."""
        self.inUse.discard(port)
