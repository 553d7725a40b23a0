"""
Tests of L{skypetrunk.media.glance}.
"""

from __future__ import annotations

from math import pi, sin

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.audio import PCMA, PCMU, Codec
from skypetrunk.media.glance import Glance, Looks
from tests.media.doubles import Call, rtp

SILENCE = bytes([0xFF, 0x7F] * 80)


def sine(codec: Codec, volume: float, frequency: float = 200.0) -> bytes:
    """20 ms of a tone, cut off where it is louder than the codec can be."""
    peaks = (volume * 32635 * sin(2 * pi * frequency * n / 8000) for n in range(160))
    return bytes(codec.encode([int(max(-32635, min(32635, peak))) for peak in peaks]))


def looked(codec: str, *payloads: bytes, apart: float = 5.0) -> tuple[bool | None, bool | None]:
    """Silent and clipped, after these."""
    looks = Looks()
    for number, payload in enumerate(payloads):
        looks.at(payload, codec, number * apart)
    return looks.silent, looks.clipped


class LooksTests(SynchronousTestCase):
    """What some packets of G.711 say."""

    def test_silence(self) -> None:
        """Octets of no sound, or the same octet all the time; not a faint hum, nor what is hardly known."""
        for codec, payload in (
            ("PCMU", SILENCE),
            ("pcmu", b"\xff" * 160),
            ("PCMA", b"\xd5" * 160),
            ("PCMA", b"\x55\xd5" * 80),
            ("PCMU", bytes(160)),
        ):
            self.assertEqual(looked(codec, payload, payload, payload), (True, False))
            self.assertEqual(looked(codec, payload, payload), (None, None))
            self.assertEqual(looked(codec, *[payload] * 3, apart=1.0), (None, False))
        self.assertEqual(looked("PCMU", SILENCE, SILENCE, b"\xfe\xff" * 80), (False, False))
        self.assertEqual(looked("G729", *[bytes(20)] * 9), (None, None))
        self.assertEqual(looked("PCMU", *[b""] * 9), (None, None))

    def test_clipped(self) -> None:
        """Tones at the right level, at the loudest there is, and beyond it."""
        for name, codec in (("PCMA", PCMA), ("PCMU", PCMU)):
            for volume, expected in ((0.1, False), (0.7, False), (2.0, True), (5.0, True)):
                payload = sine(codec, volume)
                self.assertEqual(looked(name, *[payload] * 5), (False, expected), (name, volume))
            loud, quiet = sine(codec, 5.0), sine(codec, 0.1)
            # In a quarter of it, silence aside.
            self.assertEqual(looked(name, *[loud] * 3, *[quiet] * 9)[1], True)
            self.assertEqual(looked(name, *[loud] * 3, *[quiet] * 10)[1], False)
            self.assertEqual(looked(name, *[loud] * 2)[1], None)

    def test_intervals(self) -> None:
        """Three at the beginning, then each third."""
        looks = Looks()
        self.assertEqual([n for n in range(1, 16) if looks.isDue()], [1, 2, 3, 6, 9, 12, 15])


class GlanceTests(SynchronousTestCase):
    """In the way of one packet in some hundreds."""

    def test_leg(self) -> None:
        """All packets arrive; few were looked at; both directions have a verdict of their own."""
        call = Call(reports=True)
        glances = 0
        for number in range(3000):
            call.clock.advance(0.02)
            before = isinstance(call.plain._onward, Glance)
            call.fromPBX(rtp(number, payload=SILENCE))
            glances += before and not isinstance(call.plain._onward, Glance)
            call.fromCarrier(call.peer.protect(rtp(number, ssrc=5, payload=sine(PCMU, 0.3))))
        call.receiveAll()
        self.assertEqual(len([packet for packet in call.peer.plain if len(packet) > 12]), 3000)
        self.assertTrue(5 <= glances <= 15, glances)
        self.assertIs(call.plain._onward, call.secure)
        received = [leg.statistics().received for leg in (call.plain, call.secure)]
        self.assertEqual([(each.silent, each.clipped) for each in received], [(True, False), (False, False)])

    def test_padding(self) -> None:
        """Padding is no sound; more of it than there is is nothing."""
        call = Call()
        for padded in (SILENCE + bytes((0, 0, 0, 4)), b"\xff\xff\xff\xff\xff\x09"):
            call.plain.glance()
            packet = rtp(padded[-1], payload=padded)
            call.fromPBX(bytes((packet[0] | 0x20,)) + packet[1:])
        self.assertEqual((call.plain._looks._looks, call.plain._looks._silent), (1, 1))

    def test_arranged(self) -> None:
        """What changes between the legs meanwhile is not undone."""
        call = Call()
        call.plain.glance()
        call.plain.glance()
        call.plain.join(None)
        call.fromPBX(rtp(1))
        self.assertIsNone(call.plain._onward)
