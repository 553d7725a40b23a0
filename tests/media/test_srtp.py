"""
Tests of L{skypetrunk.media.srtp}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError, PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.srtp import (
    PROFILES,
    Guard,
    InPlaceGuard,
    PublicGuard,
    _keyless,
    inPlaceWorks,
    protector,
    unprotector,
)
from skypetrunk.wire.sdes import SUITES, MasterKey
from tests.media.doubles import key, rtp


class GuardTests(SynchronousTestCase):
    """What both implementations do."""

    guard: Any = InPlaceGuard

    def refusal(self, guard: IPacketGuard, packet: bytes) -> str:
        """Why C{packet} is refused."""
        error = self.assertRaises(PacketRefused, guard.rtp, packet)
        self.assertIsNone(error.status)
        return str(error.reason)

    def test_interface(self) -> None:
        """It provides L{IPacketGuard}."""
        self.assertTrue(verifyObject(IPacketGuard, self.guard("AES_CM_128_HMAC_SHA1_80", key(1), True)))

    def test_roundTrip(self) -> None:
        """What one end protects the other reads; the tag has the suite's length; RTCP's tag has 80 bits."""
        for suite, tag in (("AES_CM_128_HMAC_SHA1_80", 10), ("AES_CM_128_HMAC_SHA1_32", 4)):
            sender, receiver = self.guard(suite, key(1), True), self.guard(suite, key(1), False)
            protected = sender.rtp(rtp(7))
            self.assertEqual(len(protected), len(rtp(7)) + tag)
            self.assertEqual(protected[:12], rtp(7)[:12])
            self.assertEqual(receiver.rtp(protected), rtp(7))
            report = bytes.fromhex("80c9000111111111")
            hidden = sender.rtcp(report)
            self.assertEqual(len(hidden), len(report) + 4 + 10)
            self.assertEqual(receiver.rtcp(hidden), report)

    def test_keysApart(self) -> None:
        """Contexts of several keys, made one after the other, do not get in each other's way; none stays."""
        suite = "AES_CM_128_HMAC_SHA1_80"
        senders = [self.guard(suite, key(n), True) for n in range(3)]
        receivers = [self.guard(suite, key(n), False) for n in range(3)]
        for n in range(3):
            protected = senders[n].rtp(rtp(n))
            self.assertEqual(self.refusal(receivers[n - 1], protected), "authentication")
            self.assertEqual(receivers[n].rtp(protected), rtp(n))
        for outbound in (True, False):
            self.assertIsNone(_keyless(PROFILES[suite][0], outbound).key)

    def test_reasons(self) -> None:
        """Each way to fail has its reason, and changes nothing."""
        sender = self.guard("AES_CM_128_HMAC_SHA1_80", key(1), True)
        receiver = self.guard("AES_CM_128_HMAC_SHA1_80", key(1), False)
        first, second = sender.rtp(rtp(1)), sender.rtp(rtp(2))
        self.assertEqual(self.refusal(receiver, second[:-1] + bytes([second[-1] ^ 1])), "authentication")
        self.assertEqual(receiver.rtp(second), rtp(2))
        self.assertEqual(self.refusal(receiver, second), "replay")
        self.assertEqual(receiver.rtp(first), rtp(1))
        for short in (b"", b"\x80", first[:11]):
            self.assertEqual(self.refusal(receiver, short), "malformed")
        self.assertEqual(self.refusal(receiver, bytes(5000)), "size")
        self.assertEqual(self.refusal(sender, rtp(3, payload=bytes(5000))), "size")
        self.assertEqual(self.refusal(sender, rtp(2)), "replay")
        self.assertEqual(receiver.rtp(sender.rtp(rtp(3))), rtp(3))

    def test_tooOld(self) -> None:
        """A packet behind the replay window is a replay."""
        sender = self.guard("AES_CM_128_HMAC_SHA1_80", key(1), True)
        receiver = self.guard("AES_CM_128_HMAC_SHA1_80", key(1), False)
        old = sender.rtp(rtp(1))
        for sequence in range(2, 400):
            receiver.rtp(sender.rtp(rtp(sequence)))
        self.assertEqual(self.refusal(receiver, old), "replay")

    def test_keyLength(self) -> None:
        """Too short and too long are refused, and the key is not shown."""
        for wrong in (
            MasterKey(b"k" * 15, b"s" * 14),
            MasterKey(b"k" * 17, b"s" * 14),
            MasterKey(b"k" * 30, b""),
        ):
            error = self.assertRaises(LocalError, self.guard, "AES_CM_128_HMAC_SHA1_80", wrong, True)
            self.assertIn("16 and a salt of 14", str(error))
            self.assertNotIn("kkk", str(error))

    def test_unknownSuite(self) -> None:
        """A suite that cannot be done is an error of ours."""
        self.assertRaises(LocalError, self.guard, "F8_128_HMAC_SHA1_80", key(1), True)

    def test_keyNotShown(self) -> None:
        """The repr of a guard does not hold the key."""
        self.assertNotIn(
            "kkkk", repr(self.guard("AES_CM_128_HMAC_SHA1_80", MasterKey(b"k" * 16, b"s" * 14), True))
        )

    def test_garbage(self) -> None:
        """Nothing raises anything but L{PacketRefused}."""

        @settings(deadline=None)
        @given(st.binary(max_size=100), st.booleans(), st.booleans())
        def check(packet: bytes, outbound: bool, control: bool) -> None:
            guard = self.guard("AES_CM_128_HMAC_SHA1_32", key(1), outbound)
            try:
                (guard.rtcp if control else guard.rtp)(packet)
            except PacketRefused as refusal:
                self.assertIn(refusal.reason, ("malformed", "authentication", "replay"))
            else:
                self.assertTrue(outbound)

        check()


class PublicGuardTests(GuardTests):
    """The fall-back does all of the same."""

    guard = PublicGuard


class ChoiceTests(SynchronousTestCase):
    """Which implementation is used."""

    def test_suites(self) -> None:
        """libsrtp for what it knows, our own for the rest: no suite is without a guard."""
        for name, suite in SUITES.items():
            master = MasterKey(bytes(suite.keyOctets), bytes(suite.saltOctets))
            wanted = Guard if name in PROFILES else OwnGuard
            self.assertIsInstance(protector(name, master), wanted)
            self.assertIsInstance(unprotector(name, master), wanted)

    def test_inPlace(self) -> None:
        """The private binding of the installed pylibsrtp works, and is used."""
        self.assertTrue(inPlaceWorks())
        self.assertIs(Guard, InPlaceGuard)

    def test_fallBack(self) -> None:
        """A binding that raises, or that does nothing, or that believes everything, is not used."""

        class Broken(InPlaceGuard):
            def _call(self, function: Any, packet: bytes) -> bytes:
                raise AttributeError("srtp_protect")

        class Idle(InPlaceGuard):
            def _call(self, function: Any, packet: bytes) -> bytes:
                return packet

        class Gullible(InPlaceGuard):
            def _call(self, function: Any, packet: bytes) -> bytes:
                try:
                    return super()._call(function, packet)
                except PacketRefused:
                    return packet

        for broken in (Broken, Idle, Gullible):
            self.assertFalse(inPlaceWorks(broken))
        self.assertTrue(inPlaceWorks(PublicGuard))

    def test_sizes(self) -> None:
        """The sizes here are those that the suites are known by."""
        for name, (_, keyOctets, saltOctets) in PROFILES.items():
            self.assertEqual((SUITES[name].keyOctets, SUITES[name].saltOctets), (keyOctets, saltOctets))
