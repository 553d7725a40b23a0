"""
Does a peer hear the stream that it gets from us?  Its reports say so (RFC 3550 section 6.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.wire.reports import reportBlocks
from skypetrunk.wire.rtp import RR, SR, RTCPPacket

ENOUGH = 50
"""Packets sent, a second of sound: a report after so many that shows none of them is no accident."""

REPORTS = 2
"""So many of these, one after the other, and the peer hears nothing."""


class Hearing:
    """Of one stream of ours, which has one key and one SSRC."""

    __slots__ = ("_deaf", "_highest", "_moved", "_sent")

    def __init__(self) -> None:
        # The extended highest sequence number that was reported last, and how many packets were sent by then.
        self._highest: int | None = None
        self._moved = False
        self._sent = 0
        self._deaf = 0

    @property
    def lost(self) -> bool:
        """It was heard, and is no longer.  Of a peer whose reports never showed its packets nobody knows."""
        return self._moved and self._deaf >= REPORTS

    def reported(self, packets: Sequence[RTCPPacket], ssrc: int, sent: int) -> None:
        """
        A compound of the peer came.

        @param ssrc: of the stream; C{sent}: packets of it so far.
        """
        reports = [packet for packet in packets if packet.packetType in (SR, RR)]
        blocks = [block for packet in reports for block in reportBlocks(packet) if block.ssrc == ssrc]
        # Another number, not a higher one: who begins to count anew hears us.
        if blocks and blocks[-1].highest != self._highest:
            self._moved = self._highest is not None
            self._highest = blocks[-1].highest
            self._sent, self._deaf = sent, 0
        elif reports and self._highest is not None and sent - self._sent >= ENOUGH:
            self._sent = sent
            self._deaf += 1


__all__ = ["ENOUGH", "REPORTS", "Hearing"]
