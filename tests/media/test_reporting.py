"""
Reports of peers, read on their way across, and those that we make: L{skypetrunk.media.feedback} and
L{skypetrunk.media.reporting}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media.feedback import Feedback, Stream
from skypetrunk.media.opinion import score
from skypetrunk.media.reporting import COMPENSATION, INTERVAL, QUIET, SLOT, ReportClock
from skypetrunk.wire.reports import ReportBlock, SenderInfo, middle, reportBlocks, writeReport
from skypetrunk.wire.rtp import RR, SDES, SR, RTCPPacket, parseRTCP
from tests.media.doubles import CARRIER, PBX, Call, entropy, rtp

PBX_SSRC, CARRIER_SSRC, OTHER_SSRC = 0x11111111, 0x22222222, 0x33333333
PBX_RTCP, CARRIER_RTCP = (PBX[0], PBX[1] + 1), (CARRIER[0], CARRIER[1] + 1)


KEEP_ALIVES = 3
"""Packets without payload at the beginning of a stream."""


class ReportingCase(SynchronousTestCase):
    """A call of two legs, both of whose peers send."""

    def setUp(self) -> None:
        """Nothing has crossed yet."""
        self.call = Call(reports=True)
        self.number = 0

    def talk(self, seconds: float, missing: int = 0, *, pbx: bool = True, carrier: bool = True) -> None:
        """
        Packets of both sides, each 20 ms.

        @param missing: one of so many packets of the PBX is lost before it comes to us.
        """
        for _ in range(round(seconds * 50)):
            self.call.clock.advance(0.02)
            self.number += 1
            if pbx and not (missing and self.number % missing == 0):
                self.call.fromPBX(rtp(self.number, ssrc=PBX_SSRC))
            if carrier:
                self.call.fromCarrier(self.call.peer.protect(rtp(self.number, ssrc=CARRIER_SSRC)))

    def toPBX(self) -> list[RTCPPacket]:
        """Packets of RTCP that were sent to the PBX since the last call."""
        port = self.call.plain.address.rtcpPort
        found = [each.data for each in self.call.network.sent if each.port == port]
        self.call.network.sent[:] = [each for each in self.call.network.sent if each.port != port]
        return [packet for compound in found for packet in parseRTCP(compound)]

    def toCarrier(self) -> list[RTCPPacket]:
        """The same of the carrier, decrypted."""
        port = self.call.secure.address.rtcpPort
        found = [each.data for each in self.call.network.sent if each.port == port]
        self.call.network.sent[:] = [each for each in self.call.network.sent if each.port != port]
        return [packet for compound in found for packet in parseRTCP(self.call.peer.unprotectRTCP(compound))]

    def pbxReports(self, compound: bytes) -> None:
        """RTCP of the PBX."""
        self.call.network.deliver(self.call.plain.address.rtcpPort, compound, PBX_RTCP)

    def carrierReports(self, compound: bytes) -> None:
        """RTCP of the carrier."""
        protected = self.call.peer.protectRTCP(compound)
        self.call.network.deliver(self.call.secure.address.rtcpPort, protected, CARRIER_RTCP)

    @property
    def now(self) -> float:
        """The clock's time."""
        return self.call.clock.seconds()

    def ownSSRC(self) -> int:
        """Of the stream to the carrier."""
        self.call.receiveAll()
        return self.call.peer.headers[-1].ssrc


class CrossingTests(ReportingCase):
    """Both peers report; nothing is made here."""

    def test_timesOfAnother(self) -> None:
        """Who comes by a transfer is told of its own sender reports alone."""
        self.talk(1)
        self.pbxReports(writeReport(PBX_SSRC, SenderInfo(1.0, 0, 50, 8000), (), b"pbx"))
        other, place = self.call.plane.allocate("other", False), ("192.0.2.50", 4001)
        other.setRemote(MediaAddress(place[0], 4000, 4001))
        self.call.plane.join(other, self.call.secure, "another")
        self.call.network.deliver(other.address.port, rtp(1, ssrc=OTHER_SSRC), (place[0], 4000))
        ours = self.ownSSRC()
        for time, told in ((1.0, 0), (2.0, middle(2.0))):
            block = ReportBlock(ours, 0, 0, 0, 0, middle(time), 99)
            self.carrierReports(writeReport(CARRIER_SSRC, None, (block,), b"carrier"))
            [crossed] = [each.data for each in self.call.network.take() if each.destination == place]
            [seen] = reportBlocks(parseRTCP(crossed)[0])
            self.assertEqual((seen.ssrc, seen.lastReport), (OTHER_SSRC, told))
            sent = writeReport(OTHER_SSRC, SenderInfo(2.0, 0, 50, 8000), (), b"other")
            self.call.network.deliver(other.address.rtcpPort, sent, place)
            self.call.network.take()
        other.release()

    def test_roundTrips(self) -> None:
        """
        Each leg has a round trip of its own, though the reports cross, and whatever clocks the peers have.
        """
        self.talk(1)
        # The PBX's clock is years behind; its report crosses, and the carrier answers to that.
        sent = SenderInfo(12_345.5, 0, 50, 8000)
        self.pbxReports(writeReport(PBX_SSRC, sent, (), b"pbx"))
        self.call.clock.advance(0.3)
        block = ReportBlock(self.ownSSRC(), 26, 5, 0, 80, middle(12_345.5), round(0.22 * 65536))
        self.toPBX()
        self.carrierReports(writeReport(CARRIER_SSRC, SenderInfo(99.0, 0, 50, 8000), (block,), b"carrier"))
        secure = self.call.secure.statistics()
        self.assertEqual((secure.roundTrip, secure.worstRoundTrip), (80.0, 80.0))
        self.assertIsNone(self.call.plain.statistics().roundTrip)
        # The PBX answers to what crossed from the carrier.
        [crossed, _] = self.toPBX()
        [asked] = reportBlocks(crossed)
        self.assertEqual((crossed.packetType, asked.ssrc, asked.lastReport), (SR, PBX_SSRC, middle(12_345.5)))
        self.call.clock.advance(0.1)
        answer = ReportBlock(CARRIER_SSRC, 0, 0, 0, 8, middle(99.0), round(0.095 * 65536))
        self.pbxReports(writeReport(PBX_SSRC, None, (answer,), b"pbx"))
        plain = self.call.plain.statistics()
        self.assertEqual((plain.roundTrip, plain.worstRoundTrip), (5.0, 5.0))
        self.assertEqual(self.call.secure.statistics().roundTrip, 80.0)

    def test_asTheReceiverSawIt(self) -> None:
        """Loss and jitter of what we sent, with an opinion of it."""
        self.talk(2)
        self.assertEqual(self.call.secure.statistics().sent.reports, 0)
        for lost, jitter in ((3, 160), (5, 80)):
            block = ReportBlock(self.ownSSRC(), 128, lost, 0, jitter, 0, 0)
            self.carrierReports(writeReport(CARRIER_SSRC, None, (block,), b"carrier"))
        sent = self.call.secure.statistics().sent
        self.assertEqual((sent.reports, sent.lost, sent.fractionLost), (2, 5, 0.5))
        self.assertEqual((sent.jitter, sent.worstJitter, sent.codec), (10.0, 20.0, "PCMU"))
        self.assertEqual(sent.opinion, score("PCMU", sent.packets - 5, 5))
        self.assertIsNone(sent.conversation)

    def test_lostBefore(self) -> None:
        """What was lost before it came to us the receiver misses too, but it was not lost twice."""
        self.talk(4, missing=20)
        lost = self.call.plain.statistics().received.lost
        self.assertEqual(lost, 9)
        block = ReportBlock(self.ownSSRC(), 0, lost + 2, 0, 0, 0, 0)
        self.carrierReports(writeReport(CARRIER_SSRC, None, (block,), b"carrier"))
        sent = self.call.secure.statistics().sent
        self.assertEqual((sent.lost, sent.opinion), (11, score("PCMU", sent.packets - 2, 11)))

    def report(self, lost: int) -> int:
        """The carrier reports so many lost; what is said of it."""
        block = ReportBlock(self.ownSSRC(), 0, lost, 0, 0, 0, 0)
        self.carrierReports(writeReport(CARRIER_SSRC, None, (block,), b"carrier"))
        return self.call.secure.statistics().sent.lost

    def test_transferred(self) -> None:
        """What had been lost of a party that is gone was not lost behind us."""
        self.talk(4, missing=20)
        self.assertEqual(self.report(9), 9)
        other = self.call.plane.allocate("c2/pbx", False)
        self.call.plain.join(None)
        self.call.plane.join(other, self.call.secure, "c1")
        self.assertEqual(self.report(9), 0)
        self.call.plane.join(other, self.call.secure, "c1")
        self.assertEqual(self.report(11), 2)

    def test_takenOut(self) -> None:
        """Neither were packets that the other side is not shown."""
        events = {0: "", 101: "telephone-event/8000"}
        pbx = {**events, 96: "speex/8000"}
        self.call.plain.setPayloadTypes(pbx, pbx)
        self.call.secure.setPayloadTypes({0: "", 96: "opus/48000/2"}, {0: "", 96: "opus/48000/2"})
        self.call.plain.hearKeys(lambda key: None)
        self.talk(1)
        for sequence, number in ((50, 101), (51, 101), (52, 96)):
            packet = bytearray(rtp(sequence, ssrc=PBX_SSRC))
            packet[1] = number
            self.call.fromPBX(bytes(packet))
        self.assertEqual(self.report(4), 1)

    def test_conversation(self) -> None:
        """The round trips of both legs count: a satellite beyond the PBX is heard by the carrier too."""
        self.test_roundTrips()
        self.assertEqual(self.call.plain.statistics().received.conversation, score("PCMU", 50, 0, 0, 0.085))
        feedback = self.call.plain.feedback
        feedback.roundTrip = 0.6
        self.carrierReports(
            writeReport(CARRIER_SSRC, None, (ReportBlock(self.ownSSRC(), 0, 0, 0, 0, 0, 0),), b"c")
        )
        received = self.call.secure.statistics().received
        self.assertEqual(received.conversation, score("PCMU", 50, 0, 0, 0.68))
        assert received.opinion is not None and received.conversation is not None
        self.assertLess(received.conversation, received.opinion - 0.5)
        self.assertEqual(self.call.release()[1].received.conversation, received.conversation)

    def test_noneOfOurs(self) -> None:
        """While both report, nothing is added to it."""
        for _ in range(12):
            self.talk(5)
            self.pbxReports(writeReport(PBX_SSRC, SenderInfo(self.now, 0, 9, 9), (), b"pbx"))
            self.carrierReports(writeReport(CARRIER_SSRC, SenderInfo(self.now, 0, 9, 9), (), b"carrier"))
        self.assertEqual([p.packetType for p in self.toPBX()], [SR, SDES] * 12)
        self.assertEqual([p.packetType for p in self.toCarrier()], [SR, SDES] * 12)

    def test_nonsense(self) -> None:
        """What peers make up changes no round trip, and never fails."""
        self.talk(1)
        self.pbxReports(writeReport(PBX_SSRC, SenderInfo(50.0, 0, 0, 0), (), b"pbx"))
        self.call.clock.advance(0.1)
        for lastReport, delay in ((middle(50.0), 65536), (middle(50.0), 0xFFFFFFFF), (12345, 0), (0, 0)):
            block = ReportBlock(self.ownSSRC(), 255, -5, 0xFFFFFFFF, 0xFFFFFFFF, lastReport, delay)
            self.carrierReports(writeReport(CARRIER_SSRC, None, (block,) * 31, b"carrier"))
        statistics = self.call.secure.statistics()
        self.assertEqual((statistics.roundTrip, statistics.sent.lost), (None, 0))
        self.assertEqual(statistics.sent.reports, 4 * 31)

    def test_rounding(self) -> None:
        """A delay that the peer rounded up is a way of no length; a negative one is none."""
        for delay, expected in ((0.105, 0.0), (0.2, None)):
            feedback = Feedback()
            feedback.left(77, 10.0, own=False)
            block = ReportBlock(1, 0, 0, 0, 0, 77, round(delay * 65536))
            packets = parseRTCP(writeReport(2, None, (block,), b"x"))
            feedback.heard(packets, Stream(1, None, None, 0, 0.0), 10.1)
            self.assertEqual(feedback.roundTrip, expected)

    def test_newStream(self) -> None:
        """
        Each stream of ours is reported on from 0; what was lost of the one before stays lost, and is lost
        once where that comes back.
        """
        feedback = Feedback()
        many = [(ssrc, 1) for ssrc in range(10, 40)]
        found = []
        for ssrc, lost in ((1, 4), (1, 6), (2, 1), (1, 6), (1, 8), (2, 1), *many, (39, 2)):
            packets = parseRTCP(writeReport(9, None, (ReportBlock(ssrc, 0, lost, 0, 0, 0, 0),), b"x"))
            feedback.heard(packets, Stream(ssrc, None, None, 0, 0.0), 0.0)
            found.append(feedback.lost)
        self.assertEqual(found, [4, 6, 7, 7, 9, 9, *range(10, 40), 40])
        self.assertEqual(feedback.reports, len(found))


class MadeTests(ReportingCase):
    """One side sends no RTCP: the other is told by us."""

    def test_carrierAlone(self) -> None:
        """
        The PBX is silent in RTCP: the carrier gets sender reports in our own stream's numbers, encrypted,
        with its own loss in them; the PBX, to which the carrier's cross, none of ours.
        """
        for _ in range(8):
            self.talk(5)
            self.carrierReports(writeReport(CARRIER_SSRC, SenderInfo(self.now, 0, 9, 9), (), b"carrier"))
        self.assertEqual([p.packetType for p in self.toPBX()], [SR, SDES] * 8)
        made = self.toCarrier()
        reports = [packet for packet in made if packet.packetType == SR]
        self.assertEqual([packet.packetType for packet in made], [SR, SDES] * len(reports))
        self.assertTrue(3 <= len(reports) <= 12, len(reports))
        self.assertEqual({packet.ssrc for packet in made}, {self.ownSSRC()})
        [block] = reportBlocks(reports[-1])
        self.assertEqual((block.ssrc, block.lost, block.fraction), (CARRIER_SSRC, 0, 0))
        self.assertEqual(block.lastReport != 0, True)
        self.assertLess(block.delay, 7 * 65536)
        packets, octets = (int.from_bytes(reports[-1].body[n : n + 4], "big") for n in (16, 20))
        self.assertEqual(octets, 5 * (packets - KEEP_ALIVES))

    def test_times(self) -> None:
        """RTP and NTP times of a sender report are of one instant, in the stream's own time stamps."""
        self.talk(40, carrier=False)
        last = next(p for p in reversed(self.toCarrier()) if p.packetType == SR)
        seconds = int.from_bytes(last.body[4:12], "big") / 2**32 - 2_208_988_800
        stamp = int.from_bytes(last.body[12:16], "big")
        self.call.receiveAll()
        header = self.call.peer.headers[-1]
        ago = self.now - seconds
        self.assertLess(abs((header.timestamp - stamp & 0xFFFFFFFF) - 8000 * ago), 170)

    def test_pbxAlone(self) -> None:
        """The carrier is silent in RTCP: the PBX gets reports in the numbers that it hears, with its loss."""
        for _ in range(8):
            self.talk(5, missing=10)
            self.pbxReports(writeReport(PBX_SSRC, SenderInfo(self.now, 0, 9, 9), (), b"pbx"))
        reports = [packet for packet in self.toPBX() if packet.packetType == SR]
        self.assertTrue(3 <= len(reports) <= 12, len(reports))
        self.assertEqual({packet.ssrc for packet in reports}, {CARRIER_SSRC})
        [block] = reportBlocks(reports[-1])
        self.assertEqual(block.ssrc, PBX_SSRC)
        self.assertTrue(23 <= block.fraction <= 28, block)
        self.assertTrue(abs(block.lost - self.number / 10) <= 25, block)
        packets, octets = (int.from_bytes(reports[-1].body[n : n + 4], "big") for n in (16, 20))
        self.assertEqual(octets, 5 * packets)
        stamp = int.from_bytes(reports[-1].body[12:16], "big")
        self.assertLess(abs(stamp - 160 * packets), 170)

    def test_ourRoundTrip(self) -> None:
        """
        A peer that answers to a report of ours shows how far away it is; the other side, which never sent
        that report, is not told of it.
        """
        self.talk(20)
        sender = next(packet for packet in self.toCarrier() if packet.packetType == SR)
        [left] = [time for time, _ in self.call.secure.feedback._leaving][:1]
        when = self.call.secure.feedback._leaving[0][1]
        self.assertEqual(left, int.from_bytes(sender.body[6:10], "big"))
        delay = self.now - when - 0.05
        block = ReportBlock(self.ownSSRC(), 0, 0, 0, 0, left, round(delay * 65536))
        self.toPBX()
        self.carrierReports(writeReport(CARRIER_SSRC, None, (block,), b"carrier"))
        self.assertEqual(self.call.secure.statistics().roundTrip, 50.0)
        [crossed] = [packet for packet in self.toPBX() if packet.packetType == RR]
        [told] = reportBlocks(crossed)
        self.assertEqual((told.ssrc, told.lastReport, told.delay), (PBX_SSRC, 0, 0))

    def test_listening(self) -> None:
        """Where we only hear, RR; without media, on hold and after the end nothing."""
        self.talk(30, carrier=False)
        kinds = {packet.packetType for packet in self.toPBX()}
        self.assertEqual(kinds, {RR, SDES})
        self.toCarrier()
        self.call.clock.pump([0.1] * 100)
        self.toPBX(), self.toCarrier()
        self.call.clock.pump([0.1] * 600)
        self.assertEqual((self.toPBX(), self.toCarrier()), ([], []))
        self.talk(1)
        self.call.plain.setRemote(None)
        self.toPBX()
        self.talk(30)
        self.assertEqual(self.toPBX(), [])
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.call.release()
        self.assertEqual(self.call.clock.getDelayedCalls(), [])

    def test_begins(self) -> None:
        """Whoever reports is given the time to; the peer that begins late is heard, and ours end."""
        self.talk(QUIET - 1)
        self.assertEqual((self.toPBX(), self.toCarrier()), ([], []))
        self.talk(20)
        self.assertTrue(self.toCarrier())
        for _ in range(6):
            self.pbxReports(writeReport(PBX_SSRC, SenderInfo(self.now, 0, 9, 9), (), b"pbx"))
            self.assertEqual([packet.packetType for packet in self.toCarrier()], [SR, SDES])
            self.talk(5)
            self.assertEqual(self.toCarrier(), [])


class Noting:
    """A leg that notes when it is asked."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def report(self, now: float) -> None:
        """See L{skypetrunk.media.reporting.Reporter}."""
        self.times.append(now)


class ReportClockTests(SynchronousTestCase):
    """RFC 3550 section 6.3.1: intervals by chance, for any number of legs."""

    def test_intervals(self) -> None:
        """Between half and one and a half of five seconds, less what the RFC takes off, and all of these."""
        clock = Clock()
        reports = ReportClock(clock, entropy())
        legs = [Noting() for _ in range(40)]
        for leg in legs:
            reports.add(leg)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.pump([SLOT] * 1200)
        least, most = 0.5 * INTERVAL / COMPENSATION - SLOT, 1.5 * INTERVAL / COMPENSATION + SLOT
        apart = [b - a for leg in legs for a, b in zip(leg.times, leg.times[1:], strict=False)]
        self.assertTrue(all(least <= each <= most for each in apart))
        self.assertLess(min(apart), least + 0.6)
        self.assertGreater(max(apart), most - 0.6)
        self.assertTrue(all(leg.times[0] <= most / 2 + SLOT for leg in legs))
        together = [sum(time in leg.times for leg in legs) for time in legs[0].times]
        self.assertLess(max(together), 12)

    def test_end(self) -> None:
        """One that is over is asked no more; the timer ends with the last, and begins again."""
        clock = Clock()
        reports = ReportClock(clock, entropy())
        one, two = Noting(), Noting()
        reports.add(one)
        reports.add(two)
        clock.pump([SLOT] * 40)
        reports.remove(one)
        reports.remove(one)
        before = len(one.times), len(two.times)
        clock.pump([SLOT] * 40)
        self.assertEqual(len(one.times), before[0])
        self.assertGreater(len(two.times), before[1])
        reports.remove(two)
        self.assertEqual(clock.getDelayedCalls(), [])
        reports.add(one)
        clock.pump([SLOT] * 40)
        self.assertGreater(len(one.times), before[0])
