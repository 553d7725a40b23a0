"""Whether a peer hears our stream, as it reports: L{skypetrunk.media.hearing}."""

from __future__ import annotations

from skypetrunk.media.hearing import ENOUGH, Hearing
from skypetrunk.media.stream import MAX_FORWARD
from skypetrunk.wire.reports import ReportBlock, writeReport
from skypetrunk.wire.rtp import parseRTCP
from tests.media.doubles import SUITE, key, rtp
from tests.media.test_reporting import CARRIER_SSRC, PBX_SSRC, ReportingCase


class HearingTests(ReportingCase):
    """A carrier that reports on our stream, over the end of its numbers and before."""

    def reports(self, highest: int | None, ssrc: int | None = None) -> bool:
        """
        The PBX speaks for a while, and the carrier reports.

        @param highest: extended highest sequence number; C{None}: no block.
        @param ssrc: of the block; C{None}: ours.
        @return: is the leg unheard?
        """
        self.talk(ENOUGH / 50)
        self.told(highest, ssrc)
        return self.call.secure.unheard

    def told(self, highest: int | None, ssrc: int | None = None) -> None:
        """The carrier reports."""
        which = self.ownSSRC() if ssrc is None else ssrc
        blocks = () if highest is None else (ReportBlock(which, 0, 0, highest, 0, 0, 0),)
        self.carrierReports(writeReport(CARRIER_SSRC, None, blocks, b"carrier"))

    def wind(self) -> None:
        """Our stream goes over its end."""
        for _ in range(0, 0x10000, MAX_FORWARD):
            self.number += MAX_FORWARD - 1
            self.call.clock.advance(0.02)
            self.call.fromPBX(rtp(self.number, ssrc=PBX_SSRC))

    def test_noBlock(self) -> None:
        """Two reports without a block on our stream, behind some that had it; a new key begins anew."""
        self.assertFalse(self.reports(100))
        self.assertFalse(self.reports(150))
        self.wind()
        self.assertFalse(self.reports(None))
        self.assertTrue(self.reports(None))
        self.assertFalse(self.call.plain.unheard)
        self.call.secure.setLocalKey(SUITE, key(7))
        for _ in range(5):
            self.assertFalse(self.reports(None, 0))
        self.call.secure.release()
        self.assertFalse(self.call.secure.unheard)

    def test_standing(self) -> None:
        """A number that stays where it is says the same, and so does a block on another stream."""
        for ssrc in (None, PBX_SSRC):
            self.setUp()
            self.assertFalse(self.reports(69_950))
            self.assertFalse(self.reports(70_000))
            self.wind()
            self.assertFalse(self.reports(70_000, ssrc))
            self.assertTrue(self.reports(70_000, ssrc))

    def test_again(self) -> None:
        """Who begins to count anew hears us, and who hears us again does."""
        self.assertFalse(self.reports(70_000))
        self.wind()
        for highest in (None, 200, None, 300, 301, None):
            self.assertFalse(self.reports(highest))
        self.assertTrue(self.reports(None))
        self.assertFalse(self.reports(302))

    def test_first(self) -> None:
        """Before its numbers have begun anew a stream has no roll-over counter that could be forgotten."""
        for highest in (100, 150, None, None, None):
            self.assertFalse(self.reports(highest))
        self.wind()
        self.assertTrue(self.call.secure.unheard)

    def test_neverReported(self) -> None:
        """Of a carrier that reports on nothing, or always has the same number, nobody knows."""
        for highest in (None, 0):
            self.setUp()
            self.wind()
            for _ in range(9):
                self.assertFalse(self.reports(highest))

    def test_silence(self) -> None:
        """While nothing is sent there is nothing to hear."""
        self.assertFalse(self.reports(100))
        self.wind()
        self.assertFalse(self.reports(200))
        for _ in range(9):
            self.talk(0.1, pbx=False)
            self.told(200)
        self.assertFalse(self.call.secure.unheard)
        # It is not yet two reports, each behind as much as could be heard.
        self.talk((ENOUGH + 1) / 50)
        for _ in range(9):
            self.told(200)
        self.assertFalse(self.call.secure.unheard)

    def test_other(self) -> None:
        """A compound without a report says nothing."""
        hearing = Hearing()
        for highest in (4, 5):
            block = ReportBlock(1, 0, 0, highest, 0, 0, 0)
            report = parseRTCP(writeReport(2, None, (block,), b"carrier"))
            hearing.reported(report, 1, 100)
        for sent in range(200, 1000, 100):
            hearing.reported(report[1:], 1, sent)
        self.assertFalse(hearing.lost)
        for sent in (1000, 1100):
            hearing.reported(report, 1, sent)
        self.assertTrue(hearing.lost)
