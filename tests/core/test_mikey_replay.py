"""Tests of L{skypetrunk.core.mikey_replay}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core import mikey_replay
from skypetrunk.core.mikey_replay import SKEW_SECONDS, SeenMessages, ntpTime
from skypetrunk.wire.mikey_payloads import Timestamp, UnsupportedMIKEY
from skypetrunk.wire.sdes import MasterKey

NOW = 1_800_000_000.0
ERA_END = 2_085_978_496.0
"""7 February 2036: NTP's seconds are 0 again."""


def keyOf(octets: bytes) -> MasterKey:
    """What a message makes here."""
    return MasterKey(b"key of " + octets, b"salt")


class SeenTests(SynchronousTestCase):
    """RFC 3830 section 5.4."""

    def setUp(self) -> None:
        """Nothing was seen."""
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.seen = SeenMessages(self.clock.seconds)

    def refused(self, octets: bytes, time: Timestamp, text: str) -> None:
        """A message makes no key, for that reason."""
        failure = self.assertRaises(UnsupportedMIKEY, self.seen.check, octets, time, keyOf(octets))
        self.assertIn(text, str(failure))

    def taken(self, octets: bytes, time: Timestamp) -> None:
        """A message may make a key."""
        self.seen.check(octets, time, keyOf(octets))

    def add(self, octets: bytes, time: Timestamp) -> None:
        """It has made one."""
        self.seen.add(octets, time, keyOf(octets))

    def test_ntp(self) -> None:
        """Section 6.6: NTP counts from 1900, in 2^-32 seconds."""
        self.assertEqual(ntpTime(0.5).value.hex(), "83aa7e8080000000")
        self.assertEqual(ntpTime(ERA_END).value.hex(), "0000000000000000")
        self.assertEqual(self.seen.now(), ntpTime(NOW))

    def test_time(self) -> None:
        """The clocks may be five minutes apart, and no more."""
        for offset in (-SKEW_SECONDS, 0, SKEW_SECONDS):
            self.taken(b"m", ntpTime(NOW + offset))
        self.refused(b"m", ntpTime(NOW - SKEW_SECONDS - 1), "301 seconds old, 300 at most")
        self.refused(b"m", ntpTime(NOW + SKEW_SECONDS + 1), "301 seconds ahead")
        self.refused(b"m", Timestamp(2, bytes(4)), "counter")

    def test_era(self) -> None:
        """A message from before the wrap of NTP's seconds arrives after it."""
        self.clock.rightNow = ERA_END + 2
        self.taken(b"m", ntpTime(ERA_END - 2))
        self.taken(b"m", ntpTime(ERA_END + 4))

    def test_replay(self) -> None:
        """What has made a key makes none again; asking alone changes nothing."""
        time = ntpTime(NOW)
        self.taken(b"m", time)
        self.taken(b"m", time)
        self.add(b"m", time)
        self.refused(b"m", time, "used before")
        self.taken(b"n", time)
        self.clock.advance(SKEW_SECONDS)
        self.refused(b"m", time, "used before")
        self.clock.advance(1)
        self.refused(b"m", time, "old")

    def test_fromTheFuture(self) -> None:
        """A message of a clock that is ahead is remembered until it is too old."""
        time = ntpTime(NOW + SKEW_SECONDS)
        self.add(b"m", time)
        for _ in range(10):
            self.clock.advance(SKEW_SECONDS / 5)
            self.add(bytes(str(self.clock.seconds()), "ascii"), ntpTime(self.clock.seconds()))
            self.refused(b"m", time, "used before")

    def test_forgets(self) -> None:
        """What is too old to be taken is not kept."""
        for number in range(100):
            self.add(b"%d" % number, ntpTime(self.clock.seconds()))
            self.clock.advance(SKEW_SECONDS)
        self.assertLess(len(self.seen._seen), 10)

    def test_keys(self) -> None:
        """A new message with a key that was used makes none: no key protects two streams."""
        self.add(b"m", ntpTime(NOW))
        failure = self.assertRaises(UnsupportedMIKEY, self.seen.check, b"n", ntpTime(NOW), keyOf(b"m"))
        self.assertIn("its key was used before", str(failure))

    def test_bounded(self) -> None:
        """More than can be kept: what is older than what was forgotten makes no key."""
        self.patch(mikey_replay, "MOST_DIGESTS", 6)
        for number in range(4):
            self.add(b"%d" % number, ntpTime(NOW + number))
        self.assertEqual(len(self.seen._seen), 6)
        for number in range(4):
            self.refused(b"%d" % number, ntpTime(NOW + number), "older" if not number else "used before")
        self.refused(b"new", ntpTime(NOW - 1), "older than what is remembered")
        self.taken(b"new", ntpTime(NOW + 5))
