"""G.711, tones, recognition and WAV files."""

import wave
from array import array
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.audio import FRAME, PCMA, PCMU, Tone, examine, goertzel, writeWAV


class G711Tests(SynchronousTestCase):
    """Both laws of ITU-T G.711."""

    def test_knownLevels(self) -> None:
        """The ends and the middle of both tables."""
        self.assertEqual(list(PCMA.decode(b"\xd5\x55\xaa\x2a\x80\x00")), [8, -8, 32256, -32256, 5504, -5504])
        self.assertEqual(list(PCMU.decode(b"\xff\x7f\x80\x00\xfe\x7e")), [0, 0, 32124, -32124, 8, -8])
        self.assertEqual((PCMA.silence, PCMU.silence), (0xD5, 0xFF))
        self.assertEqual((PCMA.payloadType, PCMU.payloadType), (8, 0))

    def test_roundTrip(self) -> None:
        """Decoding and encoding gives every octet back, but for mu-law's second zero."""
        every = bytes(range(256))
        self.assertEqual(PCMA.encode(PCMA.decode(every)), every)
        self.assertEqual(PCMU.encode(PCMU.decode(every)), every.replace(b"\x7f", b"\xff"))

    @given(st.integers(-32768, 32767))
    def test_nearest(self, sample: int) -> None:
        """A sample becomes the octet with the nearest level."""
        for codec in (PCMA, PCMU):
            levels = codec.decode(bytes(range(256)))
            chosen = codec.decode(codec.encode([sample]))[0]
            self.assertEqual(abs(chosen - sample), min(abs(level - sample) for level in levels))


class ToneTests(SynchronousTestCase):
    """Making and recognising tones."""

    def test_wholeFrames(self) -> None:
        """Only tones that fill a frame exactly are made."""
        for frequency in (0, 440, 4000, -50):
            self.assertRaises(ValueError, Tone, frequency)

    def test_goertzel(self) -> None:
        """A sine's mean square is found at its frequency, and nothing at others."""
        samples = Tone(1000, 8000).samples
        self.assertApproximates(goertzel(samples, 1000), 8000**2 / 2, 8000)
        for other in (950, 1050, 400):
            self.assertLess(goertzel(samples, other), 1)

    def test_recognisedThroughG711(self) -> None:
        """A tone is recognised after encoding, and is no other tone."""
        for codec in (PCMA, PCMU):
            heard = codec.decode(bytes([codec.silence]) * FRAME * 5 + Tone(650).frame(codec) * 50)
            report = examine(heard, 650, [400, 950])
            self.assertEqual((report.frames, report.right, report.foreign, report.first), (55, 50, 0, 5))
            self.assertTrue(report.recognised)
            self.assertFalse(examine(heard, 400, [650]).recognised)

    def test_foreignTone(self) -> None:
        """A second tone above -30 dB spoils a frame; one below it does not."""
        wanted = Tone(400, 8000).samples
        for amplitude, foreign in [(400, 1), (150, 0)]:
            other = Tone(950, amplitude).samples
            mixed = [one + two for one, two in zip(wanted, other, strict=True)]
            self.assertEqual(examine(mixed, 400, [950]).foreign, foreign)

    def test_gaps(self) -> None:
        """A frame half silent is not right, and more than 2 % of them are not recognised."""
        good = Tone(400).samples
        broken = good[: FRAME // 2] + array("h", [0] * (FRAME // 2))
        report = examine((good * 19 + broken) * 5, 400)
        self.assertEqual((report.frames, report.right), (100, 95))
        self.assertFalse(report.recognised)

    def test_silence(self) -> None:
        """Silence holds no tone, and neither does nothing."""
        for samples in ([0] * 8000, []):
            report = examine(samples, 400, [650])
            self.assertEqual((report.right, report.foreign, report.share), (0, 0, 0.0))
            self.assertFalse(report.recognised)


class WAVTests(SynchronousTestCase):
    """Recordings."""

    def test_readBack(self) -> None:
        """The standard library reads what was written."""
        path = Path(self.mktemp())
        writeWAV(path, Tone(400).samples)
        with wave.open(str(path)) as file:
            self.assertEqual((file.getnchannels(), file.getsampwidth(), file.getframerate()), (1, 2, 8000))
            self.assertEqual(array("h", file.readframes(FRAME)), Tone(400).samples)
