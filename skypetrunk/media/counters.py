"""What a leg counts of each direction: packets, octets, refusals."""

from __future__ import annotations

from skypetrunk.interfaces import DirectionStatistics
from skypetrunk.media.opinion import score
from skypetrunk.media.statistics import Reception


class Counters:
    """The counters of one direction; the relay writes the attributes directly."""

    __slots__ = (
        *("_refused", "authenticated", "early", "octets", "packets", "reception"),
        *("resumptions", "rtcpPackets"),
    )

    def __init__(self) -> None:
        self.packets = 0
        self.octets = 0
        self.authenticated = 0
        self.early = 0
        self.resumptions = 0
        self.rtcpPackets = 0
        self.reception = Reception()
        self._refused: dict[str, int] | None = None

    def refuse(self, reason: str, packets: int = 1) -> None:
        """So many packets were not let through, because of C{reason}."""
        if self._refused is None:
            self._refused = {}
        self._refused[reason] = self._refused.get(reason, 0) + packets

    def reconsider(self, reason: str) -> None:
        """A packet that was refused was let through after all."""
        refused = self._refused or {}
        refused[reason] -= 1
        if not refused[reason]:
            del refused[reason]

    def refusals(self, reason: str) -> int:
        """Packets that were not let through because of C{reason}."""
        return 0 if self._refused is None else self._refused.get(reason, 0)

    @property
    def refused(self) -> int:
        """Packets that were not let through."""
        return sum((self._refused or {}).values())

    def snapshot(
        self, silent: bool | None = None, clipped: bool | None = None, trip: float | None = None
    ) -> DirectionStatistics:
        """
        The counters as a value.

        @param silent: as the value has it, and so C{clipped}.
        @param trip: seconds there and back, on the ways of both sides; C{None} where they are not known.
        """
        reception, packets = self.reception, self.packets
        refused = () if self._refused is None else tuple(sorted(self._refused.items()))
        if reception.current is None:  # what was sent; or nothing came
            return DirectionStatistics(
                packets=packets,
                octets=self.octets,
                authenticated=self.authenticated,
                rtcpPackets=self.rtcpPackets,
                early=self.early,
                resumptions=self.resumptions,
                refused=refused,
                silent=silent,
                clipped=clipped,
            )
        codec, lost, bursts = reception.codec, reception.lost, reception.bursts()
        opinion = conversation = None
        if codec is not None:
            opinion = score(codec, packets, lost, bursts.runs)
            conversation = None if trip is None else score(codec, packets, lost, bursts.runs, trip)
        return DirectionStatistics(
            packets=packets,
            octets=self.octets,
            authenticated=self.authenticated,
            lost=lost,
            early=self.early,
            resumptions=self.resumptions,
            rtcpPackets=self.rtcpPackets,
            refused=refused,
            reordered=reception.reordered,
            duplicates=reception.duplicates,
            longestLoss=bursts.longest,
            bursts=bursts.bursts,
            burstLost=bursts.burstLost,
            burstLength=bursts.burstLength,
            jitter=reception.jitter,
            worstJitter=reception.worstJitter,
            codec=codec,
            opinion=opinion,
            silent=silent,
            clipped=clipped,
            conversation=conversation,
        )


__all__ = ["Counters"]
