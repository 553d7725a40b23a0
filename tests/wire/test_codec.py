"""Tests of L{skypetrunk.wire.codec}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.codec import clockRate, encodingOf, isPayloadType, nameOf


class CodecTests(SynchronousTestCase):
    """What a payload type means."""

    def test_static(self) -> None:
        """Without a map, with one of its own, with half of one (RFC 3551 section 6)."""
        for text in ("", "PCMA/8000", "pcma/8000/1", " PCMA / 8000 ", "PCMA", "PCMA/"):
            self.assertEqual(encodingOf(8, text), "pcma/8000", text)
        self.assertEqual((encodingOf(9), clockRate(encodingOf(9))), ("g722/8000", 8000))
        self.assertEqual(encodingOf(18, "G729/8000"), encodingOf(18))

    def test_dynamic(self) -> None:
        """Any number, any case; channels count, one of them does not."""
        self.assertEqual(encodingOf(111, "opus/48000/2"), encodingOf(96, "OPUS/48000/2"))
        self.assertEqual(encodingOf(101, "telephone-event/8000"), encodingOf(96, "Telephone-Event/8000/1"))
        self.assertNotEqual(encodingOf(101, "telephone-event/8000"), encodingOf(101, "telephone-event/48000"))
        self.assertNotEqual(encodingOf(10), encodingOf(11))
        self.assertEqual((nameOf("opus/48000/2"), clockRate("opus/48000/2")), ("opus", 48000))

    def test_unknown(self) -> None:
        """What nobody explains is the same as itself, and has no clock."""
        self.assertEqual(encodingOf(99), encodingOf(99))
        self.assertNotEqual(encodingOf(99), encodingOf(98))
        self.assertEqual((clockRate(encodingOf(99)), clockRate("x/99999999"), clockRate("x/y")), (0, 0, 0))

    def test_numbers(self) -> None:
        """Seven bits."""
        for text in ("0", "8", "101", "127"):
            self.assertTrue(isPayloadType(text), text)
        for text in ("128", "1000", "-1", "t38", "", "\u0668", "1 "):
            self.assertFalse(isPayloadType(text), text)
