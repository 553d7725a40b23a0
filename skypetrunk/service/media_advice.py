"""Says when SDP shows a carrier another address than the one at which it sees us."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger


class MediaAdvice:
    """For one trunk."""

    _log = Logger()

    def __init__(self, trunk: str, shown: Sequence[str]) -> None:
        """
        @param shown: what SDP shows to the carrier, one address of an IP version at most.
        """
        self._trunk = trunk
        self._shown = {":" in host: host for host in shown}
        self._said = ""

    def compare(self, learned: tuple[str, int] | None) -> None:
        """
        Behind a router audio does not come back unless SDP shows the address outside.  Said once for each.

        @param learned: where the carrier sees us, if not where we are.
        """
        if learned is None:
            return
        shown = self._shown.get(":" in learned[0])
        if shown is None or learned[0] in (shown, self._said):
            return
        self._said = learned[0]
        self._log.warn(
            "{trunk}: the carrier sees this machine at {seen}, but is told to send audio to {shown}:"
            ' media.advertise = "{seen}" may be missing',
            trunk=self._trunk,
            seen=self._said,
            shown=shown,
        )


__all__ = ["MediaAdvice"]
