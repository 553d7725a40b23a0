"""
Tests of L{skypetrunk.media.python_path} by itself, where numbers end; what it does in calls is in
L{tests.media.test_settled}.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from struct import Struct

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.python_path import PythonPath
from skypetrunk.media.srtp import InPlaceGuard, unprotector
from skypetrunk.media.stream import REORDERING
from tests.media.doubles import SUITE, key

HEADER = Struct("!BBHII")
SOURCE = ("127.0.0.1", 5004)
SSRC, OURS = 0x11111111, 0x22222222


class Stream:
    """RTP packets of a PBX, which follow one another."""

    def __init__(self, sequence: int, timestamp: int, step: int = 160) -> None:
        self.sequence, self.timestamp, self.step = sequence, timestamp, step

    def next(self, marker: bool = False, csrcs: int = 0, size: int = 160) -> bytes:
        """One later than the last."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + self.step) & 0xFFFFFFFF
        header = HEADER.pack(0x80 | csrcs, 0x80 * marker, self.sequence, self.timestamp, SSRC)
        return header + bytes(4 * csrcs) + bytes(size)


class EndsTests(SynchronousTestCase):
    """What leaves has the next number and the right time stamp, wherever numbers begin again with 0."""

    def setUp(self) -> None:
        """Nobody sends here."""
        self.departure = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.departure.close)

    def path(self, stream: Stream, sequence: int, timestamp: int) -> PythonPath:
        """From this PBX to a carrier who had a packet with these numbers last."""
        path = PythonPath(0, self.departure)
        guard = InPlaceGuard(SUITE, key(1), True)
        path.transform, path.tag = guard.inPlace, 10
        path.source = SOURCE
        path.ssrc, path.own_ssrc, path.tick = SSRC, OURS, 1 / 8000
        path.sequence, path.timestamp = stream.sequence, stream.timestamp
        path.own_sequence = sequence
        path.offset = (timestamp - stream.timestamp) & 0xFFFFFFFF
        path.transit = -stream.timestamp * path.tick
        self.receiver = unprotector(SUITE, key(1))
        self.guard = guard
        return path

    def relayed(self, path: PythonPath, packets: Iterable[bytes]) -> list[tuple[int, int, int]]:
        """Marker with payload type, sequence number and time stamp of each, as the carrier has it."""
        found: list[tuple[int, int, int]] = []
        for number, packet in enumerate(packets, 1):
            made = path.relay(packet, SOURCE, number / 50)
            assert made is not None, number
            first, second, sequence, timestamp, ssrc = HEADER.unpack_from(self.receiver.rtp(made))
            self.assertEqual((first & 0xF0, ssrc), (0x80, OURS))
            found.append((second, sequence, timestamp))
        return found

    def test_ourSequence(self) -> None:
        """Ours begins again, in the midst of a run."""
        stream = Stream(100, 5000)
        path = self.path(stream, 65530, 800)
        found = self.relayed(path, (stream.next() for _ in range(20)))
        self.assertEqual(found, [(0, (65530 + n) & 0xFFFF, 800 + 160 * n) for n in range(1, 21)])

    def test_ourTimestamp(self) -> None:
        """And our time stamp."""
        stream = Stream(100, 5000)
        start = 2**32 - 160 * 7
        path = self.path(stream, 7, start)
        found = self.relayed(path, (stream.next() for _ in range(20)))
        self.assertEqual(found, [(0, 7 + n, (start + 160 * n) & 0xFFFFFFFF) for n in range(1, 21)])

    def test_together(self) -> None:
        """Both, in the same packet and in the next one."""
        for start in (2**32 - 160 * 5, 2**32 - 160 * 6, 2**32 - 1 - 160 * 5):
            stream = Stream(65534, 5000)
            path = self.path(stream, 65530, start)
            found = self.relayed(path, (stream.next() for _ in range(20)))
            wanted = [(0, (65530 + n) & 0xFFFF, (start + 160 * n) & 0xFFFFFFFF) for n in range(1, 21)]
            self.assertEqual(found, wanted)

    def test_sameTime(self) -> None:
        """Packets of one picture have one time stamp."""
        stream = Stream(65530, 5000, 0)
        path = self.path(stream, 65533, 2**32 - 1)
        found = self.relayed(path, (stream.next() for _ in range(20)))
        self.assertEqual(found, [(0, (65533 + n) & 0xFFFF, 2**32 - 1) for n in range(1, 21)])

    def test_theirs(self) -> None:
        """Of the PBX's numbers none that begins again is carried to what stands before it."""
        for sequence, timestamp, carried in ((65530, 5000, (1, 0)), (100, 2**32 - 160 * 6, (0, 1))):
            stream = Stream(sequence, timestamp)
            path = self.path(stream, 7, 800)
            for number in range(1, 6):
                self.assertIsNotNone(path.relay(stream.next(), SOURCE, number / 50))
            sequence, timestamp = (stream.sequence + 1) & 0xFFFF, (stream.timestamp + 160) & 0xFFFFFFFF
            payloadType, lost = carried
            other = HEADER.pack(0x80, payloadType, sequence + lost, timestamp, SSRC) + bytes(160)
            self.assertIsNone(path.relay(other, SOURCE, 0.12), carried)
            # That its time stamp begins again goes the long way, which knows how late it is.
            self.assertEqual(path.relay(stream.next(), SOURCE, 0.12) is None, timestamp < 160)

    def test_marker(self) -> None:
        """It is that packet's alone."""
        stream = Stream(100, 5000)
        path = self.path(stream, 7, 800)
        found = self.relayed(path, (stream.next(n == 3) for n in range(6)))
        self.assertEqual([second for second, *_ in found], [0, 0, 0, 0x80, 0, 0])

    def test_counted(self) -> None:
        """Whenever it is asked for, all is counted; and headers of all lengths are no payload."""
        stream = Stream(65500, 5000)
        path = self.path(stream, 65530, 800)
        sizes = [(0, 160), (0, 160), (0, 20), (2, 160), (2, 160), (15, 7), (0, 0), *[(0, 160)] * 80]
        for number, (csrcs, size) in enumerate(sizes, 1):
            packet = stream.next(csrcs=csrcs, size=size)
            self.assertIsNotNone(path.relay(packet, SOURCE, number / 50))
            if number % 7 == 0 or number == len(sizes):
                path.count()
                self.assertEqual(path.packets, number)
        self.assertEqual((path.sequence, path.timestamp), (stream.sequence, stream.timestamp))
        self.assertEqual(path.own_sequence, (65530 + len(sizes)) & 0xFFFF)
        self.assertEqual(path.payload, sum(size for _, size in sizes))
        self.assertEqual(path.octets, sum(12 + 4 * csrcs + size for csrcs, size in sizes))
        self.assertEqual((path.sent, path.sent_octets), (len(sizes), path.octets + 10 * len(sizes)))
        last = [(stream.sequence - n & 0xFFFF, stream.timestamp - 160 * n) for n in range(REORDERING)]
        self.assertEqual(sorted(path.recent), sorted(sequence << 32 | stamp for sequence, stamp in last))

    def test_extensions(self) -> None:
        """A header that may have any length is that packet's alone, also where one like it was refused."""
        stream = Stream(100, 5000)
        path = self.path(stream, 7, 800)
        for words, now in ((2, 2.1), (1, 0.02)):
            head = HEADER.pack(0x90, 0, stream.sequence + 1, stream.timestamp + 160, SSRC)
            packet = head + bytes((0xBE, 0xDE, 0, words)) + bytes(4 * words + 160)
            self.assertEqual(path.relay(packet, SOURCE, now) is None, now > 2)
        path.count()
        self.assertEqual((path.packets, path.payload), (1, 160))

    def test_others(self) -> None:
        """Nothing is done with what is not the next packet, and the next one is still relayed."""
        stream = Stream(100, 5000)
        path = self.path(stream, 7, 800)
        self.relayed(path, (stream.next() for _ in range(3)))
        before = stream.sequence, stream.timestamp
        others = [(0, n) for n in (-1, 0, 2, 3)] + [(payloadType, 1) for payloadType in (8, 200)]
        for payloadType, ahead in others:
            header = HEADER.pack(0x80, payloadType, before[0] + ahead, before[1] + 160 * ahead, SSRC)
            self.assertIsNone(path.relay(header + bytes(160), SOURCE, 0.06), (payloadType, ahead))
        for packet in (b"", bytes(11), bytes(12), bytes(3000)):
            self.assertIsNone(path.relay(packet, SOURCE, 0.06), len(packet))
        following = stream.next()
        self.assertIsNone(path.relay(following, ("127.0.0.1", 5006), 0.08))
        self.assertIsNone(path.relay(following, SOURCE, 2.2))
        self.assertEqual(self.relayed(path, [following]), [(0, 11, 800 + 160 * 4)])
        path.count()
        self.assertEqual((path.packets, path.sequence), (4, stream.sequence))
