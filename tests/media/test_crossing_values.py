"""What crosses to a media worker comes out as it went in, and nothing else does."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk import interfaces
from skypetrunk.interfaces import (
    DeclaredKeys,
    DirectionStatistics,
    LegStatistics,
    MediaAddress,
    MediaHost,
    MediaPath,
    MediaWay,
)
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.keeping import Opening
from skypetrunk.media.kept_leg import added
from skypetrunk.wire.sdes import InlineKey, MasterKey
from tests.media.doubles import key

HEARD = DirectionStatistics(
    packets=7, lost=2, refused=(("replay", 3), ("source", 1)), longestLoss=2, jitter=1.5, codec="PCMA"
)


class CrossingTests(SynchronousTestCase):
    """There and back."""

    def test_values(self) -> None:
        """Everything that a leg is told, or tells."""
        path = MediaPath(
            (MediaHost("192.0.2.1", None),), (ip_network("10.0.0.0/8"), ip_network("fd00::/8")), False
        )
        for value in (
            (None,),
            (MediaAddress("192.0.2.9", 4000, 4001, "192.0.2.8"),),
            (True,),
            ({0: "", 96: "opus/48000/2"},),
            ("AES_CM_128_HMAC_SHA1_80", key(1), None),
            ("AES_CM_128_HMAC_SHA1_80", key(1), DeclaredKeys((InlineKey(key(1), 2**20, 1, 4),), 1024)),
            Opening("call/carrier", True, path, "192.0.2.1", "203.0.113.1", 20000),
            LegStatistics("call/carrier", True, "AEAD_AES_128_GCM", HEARD, DirectionStatistics()),
        ):
            back = unpacked(packed(value))
            self.assertEqual(back, value)
            self.assertIs(type(back), type(value))

    def test_allCounters(self) -> None:
        """Counters are made of what crosses, whatever is added to them."""
        for kind in (DirectionStatistics, LegStatistics, MediaWay):
            for field in fields(kind):
                inner = getattr(interfaces, str(field.type), None)
                if inner is not None and is_dataclass(inner):
                    self.assertIn(inner, (DirectionStatistics, MediaWay))

    def test_nothingElse(self) -> None:
        """No other class goes, or comes."""
        self.assertRaises(TypeError, packed, object())
        self.assertRaises(TypeError, packed, (1, self))
        for data in (
            b"",
            b"[",
            b'{"class":"Path","of":[]}',
            b'{"class":"MediaAddress","of":[]}',
            b'{"no":1}',
        ):
            self.assertRaises(ValueError, unpacked, data)

    @given(st.binary(max_size=60))
    def test_noise(self, data: bytes) -> None:
        """What is not of ours is a ValueError, whatever it is."""
        try:
            unpacked(data)
        except ValueError:
            pass

    def test_hidden(self) -> None:
        """Keys are still no part of what is printed."""
        back = unpacked(packed(("suite", key(1))))
        self.assertIsInstance(back[1], MasterKey)
        self.assertNotIn(key(1).key.hex(), repr(back))


class AddedTests(SynchronousTestCase):
    """The counters of a leg that was kept by one, and then by another."""

    def leg(self, suite: str | None, received: DirectionStatistics) -> LegStatistics:
        """One that sent nothing."""
        return LegStatistics("call/carrier", True, suite, received, DirectionStatistics())

    def test_added(self) -> None:
        """Numbers add up, extremes stay, what is said of the end is said of the later."""
        later = DirectionStatistics(
            packets=5, lost=1, refused=(("replay", 1), ("size", 1)), longestLoss=1, jitter=0.5, opinion=4.0
        )
        total = added(self.leg("one", HEARD), self.leg(None, later))
        self.assertEqual(
            total,
            self.leg(
                "one",
                DirectionStatistics(
                    packets=12,
                    lost=3,
                    refused=(("replay", 4), ("size", 1), ("source", 1)),
                    longestLoss=2,
                    jitter=0.5,
                    codec="PCMA",
                    opinion=4.0,
                ),
            ),
        )
        self.assertEqual(added(self.leg(None, HEARD), self.leg("two", DirectionStatistics())).suite, "two")
