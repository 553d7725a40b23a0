"""
Tests of L{skypetrunk.media.stream}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.srtp import protector, unprotector
from skypetrunk.media.stream import MAX_FORWARD, REORDERING, OutboundStream
from skypetrunk.wire.rtp import RR, SDES, SR, RTPHeader, parseRTCP, parseRTP
from tests.media.doubles import SUITE, entropy, key, rtp

STEP = 160
OTHER = 0x22222222


@implementer(IPacketGuard)
class OpenGuard:
    """Shows what would be protected."""

    suite = SUITE

    def rtp(self, packet: bytes) -> bytes:
        """As it is."""
        return packet

    def rtcp(self, packet: bytes) -> bytes:
        """As it is."""
        return packet


class StreamTestCase(SynchronousTestCase):
    """A stream, and what it was given at which time."""

    def setUp(self) -> None:
        """A stream whose octets can be read."""
        self.stream = OutboundStream(OpenGuard(), entropy(), b"us")
        self.now = 50.0

    def send(self, packet: bytes, after: float = 0.02) -> RTPHeader:
        """Give C{packet} to the stream; the header that leaves."""
        self.now += after
        return parseRTP(self.stream.rtp(packet, parseRTP(packet), self.now))

    def drop(self, packet: bytes) -> None:
        """C{packet} is refused."""
        refusal = self.assertRaises(PacketRefused, self.send, packet)
        self.assertEqual(refusal.reason, "replay")

    def follows(self, before: RTPHeader, after: RTPHeader, steps: int = 1) -> None:
        """C{after} comes C{steps} packets after C{before}, in one stream."""
        self.assertEqual(after.ssrc, before.ssrc)
        self.assertEqual((after.sequence - before.sequence) & 0xFFFF, steps)


class NumbersTests(StreamTestCase):
    """Sequence numbers, time stamps, marker and SSRC are ours, and continuous."""

    def test_first(self) -> None:
        """Random SSRC and time stamp, first sequence below 2^15, marker set, payload untouched."""
        seen = set()
        for seed in range(200):
            stream = OutboundStream(OpenGuard(), entropy(seed), b"us")
            packet = rtp(60_000, payload=b"hello")
            sent = stream.rtp(packet, parseRTP(packet), 0.0)
            header = parseRTP(sent)
            self.assertLess(header.sequence, 1 << 15)
            self.assertTrue(header.marker)
            self.assertEqual(sent[12:], b"hello")
            self.assertEqual(header.ssrc, stream.ssrc)
            seen.add((header.ssrc, header.timestamp))
        self.assertEqual(len(seen), 200)

    def test_neverRTCP(self) -> None:
        """With the marker set payload types 64 to 95 would be taken for RTCP (RFC 5761 section 4)."""
        for payloadType in (63, 64, 95, 96):
            self.setUp()
            packet = bytearray(rtp(10))
            packet[1] = payloadType
            sent = self.send(bytes(packet))
            self.assertEqual((sent.payloadType, sent.marker), (payloadType, payloadType in (63, 96)))

    def test_inOrder(self) -> None:
        """Packets in order stay so; marker and time stamp steps are the source's."""
        first = self.send(rtp(65_530))
        for number in range(1, 300):
            sent = self.send(rtp(65_530 + number, marker=number == 7))
            self.follows(first, sent, number)
            self.assertEqual((sent.timestamp - first.timestamp) & 0xFFFFFFFF, number * STEP)
            self.assertEqual(sent.marker, number == 7)

    def test_loss(self) -> None:
        """A gap of the source stays a gap: the receiver may conceal it."""
        first = self.send(rtp(10))
        after = self.send(rtp(10 + MAX_FORWARD))
        self.follows(first, after, MAX_FORWARD)
        self.assertFalse(after.marker)

    def test_reordering(self) -> None:
        """A late packet takes the place that it left."""
        first = self.send(rtp(10))
        self.follows(first, self.send(rtp(13)), 3)
        self.follows(first, self.send(rtp(11)), 1)
        late = self.send(rtp(12))
        self.follows(first, late, 2)
        self.assertEqual((late.timestamp - first.timestamp) & 0xFFFFFFFF, 2 * STEP)
        self.follows(first, self.send(rtp(14)), 4)

    def test_duplicates(self) -> None:
        """The same packet again is dropped, the newest and a late one."""
        for sequence in (10, 12, 11):
            self.send(rtp(sequence))
        for sequence in (10, 11, 12):
            self.drop(rtp(sequence))
        self.assertEqual(self.stream.packets, 3)

    def continues(self, packet: bytes) -> None:
        """C{packet} leaves at +1 with the marker, a little later; then the source is followed."""
        last = self.send(rtp(1000))
        self.follows(last, jumped := self.send(packet))
        self.assertTrue(jumped.marker)
        self.assertEqual((jumped.timestamp - last.timestamp) & 0xFFFFFFFF, STEP)
        header = parseRTP(packet)
        following = rtp(header.sequence + 1, timestamp=header.timestamp + STEP, ssrc=header.ssrc)
        self.follows(jumped, after := self.send(following))
        self.assertFalse(after.marker)
        self.assertEqual((after.timestamp - jumped.timestamp) & 0xFFFFFFFF, STEP)

    def test_newSource(self) -> None:
        """Another SSRC: transfer, music on hold."""
        self.continues(rtp(1001, ssrc=OTHER))

    def test_jumpForward(self) -> None:
        """A jump of +40,000, of 2^15, and one just too far to be loss."""
        for jump in (40_000, 1 << 15, MAX_FORWARD + 1):
            self.setUp()
            self.continues(rtp(1000 + jump))

    def test_jumpBackward(self) -> None:
        """A PBX that restarted: same SSRC, lower sequence."""
        for jump in (REORDERING, 999, 30_000):
            self.setUp()
            self.continues(rtp(1000 - jump))

    def test_smallJumpBackward(self) -> None:
        """A restart within the reordering window shows in the time stamps of known numbers."""
        for sequence in range(980, 1000):
            self.send(rtp(sequence))
        self.continues(rtp(990, timestamp=7_000_000))

    def test_restartBeforeTheFirst(self) -> None:
        """Two packets in a row from before the first one that was followed: no reordering does that."""
        last = self.send(rtp(1000))
        self.drop(rtp(990))
        self.follows(last, sent := self.send(rtp(991)))
        self.assertTrue(sent.marker)

    def test_timestampJump(self) -> None:
        """A time stamp that no silence explains is a new source with the numbers of the old one."""
        self.continues(rtp(1001, timestamp=3_000_000_000))

    def test_silence(self) -> None:
        """A time stamp that continues after a long silence is passed on."""
        first = self.send(rtp(1, timestamp=0))
        second = self.send(rtp(2, timestamp=600 * 8000), after=600)
        self.assertEqual((second.timestamp - first.timestamp) & 0xFFFFFFFF, 600 * 8000)

    def test_events(self) -> None:
        """RFC 4733: packets of one event share a time stamp, also one a little in the past."""
        first = self.send(rtp(1))
        sent = [self.send(rtp(sequence, timestamp=150)) for sequence in (2, 3, 4)]
        self.assertEqual(
            {(header.timestamp - first.timestamp) & 0xFFFFFFFF for header in sent}, {0x100000000 - 10}
        )
        self.follows(first, sent[-1], 3)

    def test_timePasses(self) -> None:
        """A new source after a pause: the time stamp shows the pause."""
        last = self.send(rtp(1))
        sent = self.send(rtp(5, ssrc=OTHER), after=2.0)
        self.assertEqual((sent.timestamp - last.timestamp) & 0xFFFFFFFF, 16_000)


class KeepAliveTests(StreamTestCase):
    """RFC 6263 packets belong to the stream."""

    def test_continuous(self) -> None:
        """Keep-alive, media, keep-alive, media: each at +1, without payload, time stamps growing."""
        headers = []
        for round_ in range(3):
            self.now += 15
            packet = self.stream.keepAlive(127, self.now)
            self.assertEqual(len(packet), 12)
            headers.append(parseRTP(packet))
            self.assertEqual(headers[-1].payloadType, 127)
            headers.append(self.send(rtp(500 + round_)))
            self.assertTrue(headers[-1].marker)
        for before, after in zip(headers, headers[1:], strict=False):
            self.follows(before, after)
            self.assertLess(0, (after.timestamp - before.timestamp) & 0xFFFFFFFF)
            self.assertLess((after.timestamp - before.timestamp) & 0xFFFFFFFF, 200_000)
        self.assertLess(headers[0].sequence, 1 << 15)

    def test_lateAfter(self) -> None:
        """A packet from before a keep-alive cannot take the keep-alive's number."""
        self.send(rtp(1))
        self.send(rtp(3))
        keepAlive = parseRTP(self.stream.keepAlive(127, self.now))
        sent = self.send(rtp(4))
        self.follows(keepAlive, sent)
        self.drop(rtp(2))


class RTCPTests(StreamTestCase):
    """RTCP speaks of our stream, and shows nothing of who wrote it."""

    def report(self, ssrc: int, timestamp: int, name: bytes = b"bob@10.1.2.3") -> bytes:
        """A sender report with a report on stream 9, source description, APP and BYE."""
        sr = bytes.fromhex("81c8000c") + ssrc.to_bytes(4, "big") + b"NTP-time" + timestamp.to_bytes(4, "big")
        sr += bytes.fromhex("0000006300001234") + bytes.fromhex(
            "00000009 0a000005 00010203 00000010 11223344 00000001"
        )
        items = b"\x01" + bytes([len(name)]) + name + b"\x06\x0410.1"
        items += bytes(4 - len(items) % 4)
        sdes = b"\x81\xca" + (len(items) // 4 + 1).to_bytes(2, "big") + ssrc.to_bytes(4, "big") + items
        app = bytes.fromhex("80cc0003") + ssrc.to_bytes(4, "big") + b"PBX!10.1"
        bye = bytes.fromhex("81cb0003") + ssrc.to_bytes(4, "big") + b"\x0710.1.2."
        return sr + sdes + app + bye

    def test_senderReport(self) -> None:
        """SSRC, time stamp and counts are ours; NTP time and reports stay; our CNAME; no APP, no BYE."""
        self.send(rtp(10, payload=b"123"))
        out = self.send(rtp(11, payload=b"45"))
        compound = self.stream.rtcp(self.report(0x11111111, 11 * STEP))
        sr, sdes = parseRTCP(compound)
        self.assertEqual((sr.packetType, sr.count, sr.ssrc), (SR, 1, self.stream.ssrc))
        self.assertEqual(sr.body[4:12], b"NTP-time")
        self.assertEqual(sr.body[12:16], out.timestamp.to_bytes(4, "big"))
        self.assertEqual(sr.body[16:24], bytes.fromhex("0000000200000005"))
        self.assertEqual(sr.body[24:], bytes.fromhex("000000090a000005000102030000001011223344 00000001"))
        self.assertEqual(
            (sdes.packetType, sdes.ssrc, sdes.body[4:8]), (SDES, self.stream.ssrc, b"\x01\x02us")
        )
        self.assertNotIn(b"10.1", compound)

    def test_otherSender(self) -> None:
        """A sender report of a stream that is not followed has no place; one before any packet neither."""
        self.assertEqual(self.stream.rtcp(self.report(0x11111111, 5)), b"")
        self.send(rtp(10))
        self.assertEqual(self.stream.rtcp(self.report(OTHER, 5)), b"")

    def test_receiverReport(self) -> None:
        """A source that only listens reports under our SSRC."""
        compound = self.stream.rtcp(
            bytes.fromhex("81c90007 00000077 00000009 0a000005 00010203 00000010 11223344 00000001")
        )
        (rr,) = parseRTCP(compound)
        self.assertEqual(
            (rr.packetType, rr.ssrc, rr.body[4:8]), (RR, self.stream.ssrc, bytes.fromhex("00000009"))
        )

    def test_goodbyeAlone(self) -> None:
        """A BYE without a report leaves nothing to send."""
        self.assertEqual(self.stream.rtcp(bytes.fromhex("81cb000111111111")), b"")

    def test_reportsToSource(self) -> None:
        """The report on our stream, as the source counts; reports on other streams are left out."""
        for sequence in range(1000, 1010):
            out = self.send(rtp(sequence))
        block = (
            self.stream.ssrc.to_bytes(4, "big") + bytes(4) + (out.sequence - 4).to_bytes(4, "big") + bytes(12)
        )
        compound = bytes.fromhex("82c9000d 00000088") + bytes(24) + block
        (rr,) = parseRTCP(self.stream.reportsToSource(compound))
        self.assertEqual((rr.ssrc, rr.count), (0x88, 1))
        self.assertEqual(
            rr.body[4:16], (0x11111111).to_bytes(4, "big") + bytes(4) + (1005).to_bytes(4, "big")
        )

    def test_malformed(self) -> None:
        """Broken compounds are refused, both ways."""
        for broken in (b"", b"\x80", bytes.fromhex("81c8000c00000001"), bytes(40)):
            for function in (self.stream.rtcp, self.stream.reportsToSource):
                self.assertEqual(self.assertRaises(PacketRefused, function, broken).reason, "malformed")


packets = st.tuples(
    st.sampled_from((0x11111111, OTHER)),
    st.one_of(st.integers(0, 12), st.integers(0, 0xFFFF), st.integers(65_500, 65_535)),
    st.sampled_from((0, 0, 0, 1, 1_000_000_000)),
    st.sampled_from((0.0, 0.02, 3.0, 3600.0)),
    st.booleans(),
)


class IndexTests(SynchronousTestCase):
    """Whatever comes in, no index is used twice, and a receiver can follow."""

    def test_anything(self) -> None:
        """Any packets, keep-alives among them: what leaves is decrypted by libsrtp, each index once."""

        @settings(deadline=None, max_examples=300)
        @given(st.lists(packets, max_size=150))
        def check(given: list[tuple[int, int, int, float, bool]]) -> None:
            stream = OutboundStream(protector(SUITE, key(1)), entropy(), b"us")
            receiver = unprotector(SUITE, key(1))
            now = 0.0
            indices: set[int] = set()
            for number, (ssrc, sequence, shift, passed, keepAlive) in enumerate(given):
                now += passed
                packet = rtp(sequence, timestamp=sequence * STEP + shift, ssrc=ssrc, payload=b"%d" % number)
                try:
                    if keepAlive:
                        sent = stream.keepAlive(127, now)
                    else:
                        sent = stream.rtp(packet, parseRTP(packet), now)
                except PacketRefused as refusal:
                    self.assertEqual(refusal.reason, "replay")
                    continue
                header = parseRTP(receiver.rtp(sent))  # raises where it lost the roll-over counter
                self.assertNotIn(header.sequence, indices)
                indices.add(header.sequence)
                self.assertEqual(header.ssrc, stream.ssrc)
            self.assertEqual(len(indices), stream.packets)

        check()

    def test_longCall(self) -> None:
        """Over two wraps, with a new source each 1,000 packets, the receiver loses nothing."""
        stream = OutboundStream(protector(SUITE, key(1)), entropy(), b"us")
        receiver = unprotector(SUITE, key(1))
        last = None
        for number in range(140_000):
            packet = rtp(
                number * 7919 if number % 1000 == 0 else self.sequence,
                ssrc=number // 1000,
                timestamp=number * STEP,
            )
            self.sequence = (parseRTP(packet).sequence + 1) & 0xFFFF
            header = parseRTP(receiver.rtp(stream.rtp(packet, parseRTP(packet), number * 0.02)))
            if last is not None:
                self.assertEqual(header.sequence, (last + 1) & 0xFFFF)
            last = header.sequence
        self.assertEqual(stream.packets, 140_000)

    sequence = 0
