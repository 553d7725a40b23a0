"""Keys in RTP: each once, whatever is lost or repeated."""

from __future__ import annotations

from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import PacketRefused
from skypetrunk.wire.telephone_event import KEYS, KeyReader


def packets(code: int, timestamp: int, count: int = 4, ends: int = 3) -> list[tuple[int, bytes]]:
    """Time stamp and payload of the packets of one event."""
    going = [(timestamp, pack("!BBH", code, 10, 160 * n)) for n in range(1, count + 1)]
    return going + [(timestamp, pack("!BBH", code, 0x80 | 10, 160 * count))] * ends


def read(reader: KeyReader, received: list[tuple[int, bytes]], ssrc: int = 1) -> str:
    """The keys in these packets."""
    return "".join(reader.received(ssrc, timestamp, payload) for timestamp, payload in received)


class KeyReaderTests(SynchronousTestCase):
    """L{KeyReader}."""

    def test_keys(self) -> None:
        """Every key, once; flash and tones of other kinds are none."""
        reader = KeyReader()
        found = [read(reader, packets(code, 1000 * code)) for code in range(20)]
        self.assertEqual(found, [*KEYS, "", "", "", ""])

    def test_sameKeyTwice(self) -> None:
        """Two events of one key are two."""
        self.assertEqual(read(KeyReader(), packets(5, 0) + packets(5, 3200)), "55")

    def test_long(self) -> None:
        """A key that is held is one, in however many segments it comes (RFC 4733 section 2.5.1.3)."""
        for cut in (0xFFFF, 65_280):
            for lost in range(2):
                held: list[tuple[int, bytes]] = []
                for segment in range(3):
                    timestamp = (0xFFFF0000 + segment * cut) & 0xFFFFFFFF
                    lasts = [*range(960, 0xFF00, 960), *([] if lost and cut == 0xFFFF else [cut])]
                    held += [(timestamp, pack("!BBH", 5, 10, each)) for each in lasts]
                last = (0xFFFF0000 + 3 * cut) & 0xFFFFFFFF
                held += packets(5, last)
                self.assertEqual(read(KeyReader(), held + packets(5, last + 3200)), "55")
                # Another key, or another source, is another one.
                self.assertEqual(read(KeyReader(), held[:200] + packets(6, last)), "56")
                self.assertEqual(read(KeyReader(), held[-7:-3]) + read(KeyReader(), held[-7:], ssrc=2), "5")

    def test_lost(self) -> None:
        """One packet of an event is enough, if it is its end; else the next event tells."""
        reader = KeyReader()
        self.assertEqual(read(reader, packets(1, 0, count=1)[-1:]), "1")
        self.assertEqual(read(reader, packets(2, 4000, ends=0)), "")
        self.assertEqual(read(reader, packets(3, 8000)[:1]), "2")
        self.assertEqual(read(reader, packets(3, 8000)), "3")

    def test_late(self) -> None:
        """What is left of an older event says nothing, also where time stamps begin anew."""
        reader = KeyReader()
        first, second = packets(1, 0xFFFFFF00), packets(2, 0x100)
        self.assertEqual(read(reader, first + second + first[-1:]), "12")

    def test_beginsAgain(self) -> None:
        """A source whose time stamps begin again, or go anywhere, is heard on."""
        reader = KeyReader()
        self.assertEqual(read(reader, packets(1, 3_000_000) + packets(2, 160) + packets(3, 3360)), "123")
        self.assertEqual(read(reader, packets(4, 0xF0000000) + packets(5, 0x70000000)), "45")

    def test_otherSource(self) -> None:
        """Another source has time stamps of its own."""
        reader = KeyReader()
        self.assertEqual(read(reader, packets(1, 80000)), "1")
        self.assertEqual(read(reader, packets(2, 160), ssrc=2), "2")

    @given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(max_size=6)), max_size=20))
    def test_anything(self, received: list[tuple[int, bytes]]) -> None:
        """Too short is refused, all else is read; there are never more keys than packets."""
        reader, keys = KeyReader(), ""
        for timestamp, payload in received:
            if len(payload) < 4:
                self.assertRaises(PacketRefused, reader.received, 1, timestamp, payload)
            else:
                keys += reader.received(1, timestamp, payload)
        self.assertLessEqual(len(keys), len(received))
        self.assertLessEqual(set(keys), set(KEYS))
