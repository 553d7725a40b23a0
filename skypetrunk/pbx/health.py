"""Which of a PBX's addresses can take calls: what was seen of each, and for how long that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define

from skypetrunk.wire.address import TransportAddress

FIRST_PENALTY = 15.0
"""Seconds that an address is passed over after a failure; twice as long after each further one."""

LONGEST_PENALTY = 240.0
"""A PBX that came back is used again within this time, even if nothing asks for its health."""


@define
class _State:
    """
    One address.

    @ivar failures: in a row.
    @ivar until: end of the penalty.
    @ivar reason: of the last failure; empty while it is well.
    """

    failures: int = 0
    until: float = 0.0
    reason: str = ""


class HealthTable:
    """The addresses of one PBX, in the order of the configuration."""

    def __init__(self, addresses: Sequence[TransportAddress], seconds: Callable[[], float]) -> None:
        """
        @param addresses: at least one.
        """
        self._states = {address: _State() for address in addresses}
        self._seconds = seconds

    def find(self, peer: TransportAddress) -> TransportAddress | None:
        """The address that C{peer} belongs to: a connection that the PBX opened has a port of its own."""
        if peer in self._states:
            return peer
        same = [each for each in self._states if (each.host, each.transport) == (peer.host, peer.transport)]
        return same[0] if len(same) == 1 and peer.transport != "UDP" else None

    def failed(self, address: TransportAddress, reason: str, seconds: float | None = None) -> bool:
        """
        C{address} could not be reached, or takes no calls.

        @param seconds: how long, if it said so.
        @return: it was well before.
        """
        state = self._states[address]
        well = not state.reason
        penalty = min(FIRST_PENALTY * 2**state.failures, LONGEST_PENALTY)
        state.failures = min(state.failures + 1, 10)
        state.until = self._seconds() + (penalty if seconds is None else min(seconds, LONGEST_PENALTY))
        state.reason = reason
        return well

    def succeeded(self, address: TransportAddress) -> bool:
        """
        C{address} has answered.

        @return: it was not well before.
        """
        state = self._states[address]
        ill = bool(state.reason)
        if ill:
            self._states[address] = _State()
        return ill

    def order(self) -> tuple[TransportAddress, ...]:
        """All addresses, the best first: those without a penalty as configured, then by its end."""
        now = self._seconds()
        # The sort is stable.
        return tuple(sorted(self._states, key=lambda each: max(self._states[each].until - now, 0.0)))

    @property
    def ill(self) -> bool:
        """Is there none without a penalty?"""
        now = self._seconds()
        return bool(self._states) and all(each.until > now for each in self._states.values())

    def status(self) -> list[Mapping[str, Any]]:
        """Ready for JSON."""
        now = self._seconds()
        return [
            {
                "address": str(address),
                "penalty": round(max(state.until - now, 0.0), 1),
                "failures": state.failures,
                "reason": state.reason or None,
            }
            for address, state in self._states.items()
        ]
