"""
Tests of L{skypetrunk.media.own_srtp}; its packets are those of C{test_vectors}.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError, PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard, SessionParameters
from skypetrunk.media.srtp import PROFILES, InPlaceGuard
from skypetrunk.wire.sdes import SUITES, MasterKey
from tests.media.doubles import rtp

REPORT = bytes.fromhex("80c9000111111111")
AES_256 = "AES_256_CM_HMAC_SHA1_80"


def master(suite: str, number: int = 1) -> MasterKey:
    """A key for C{suite}."""
    known = SUITES[suite]
    return MasterKey(bytes([number]) * known.keyOctets, bytes([number + 100]) * known.saltOctets)


class OwnGuardTests(SynchronousTestCase):
    """What the vectors do not show."""

    def refusal(self, guard: OwnGuard, packet: bytes, kind: str = "rtp") -> str:
        """Why C{packet} is refused."""
        return str(self.assertRaises(PacketRefused, getattr(guard, kind), packet).reason)

    def test_interface(self) -> None:
        """It provides L{IPacketGuard}, and does not show its key."""
        guard = OwnGuard(AES_256, MasterKey(b"k" * 32, b"s" * 14), True)
        self.assertTrue(verifyObject(IPacketGuard, guard))
        self.assertNotIn("kkkk", repr(guard))

    def test_otherImplementation(self) -> None:
        """Each of the two reads what the other has written, in any order, across the wrap."""
        for suite in PROFILES:
            random = Random(suite)
            for write, read in ((OwnGuard, InPlaceGuard), (InPlaceGuard, OwnGuard)):
                sender, receiver = write(suite, master(suite), True), read(suite, master(suite), False)
                packets = [rtp(n & 0xFFFF, payload=random.randbytes(160)) for n in range(65300, 66000)]
                for start in range(0, len(packets), 10):
                    group = [(plain, sender.rtp(plain)) for plain in packets[start : start + 10]]
                    random.shuffle(group)
                    for plain, protected in group:
                        self.assertEqual(receiver.rtp(protected), plain)
                for _ in range(10):
                    self.assertEqual(receiver.rtcp(sender.rtcp(REPORT)), REPORT)

    def test_reasons(self) -> None:
        """Each way to fail has its reason, and changes nothing."""
        for suite in SUITES:
            sender, receiver = (OwnGuard(suite, master(suite), outbound) for outbound in (True, False))
            first, report = sender.rtp(rtp(1)), sender.rtcp(REPORT)
            for octet in range(len(first)):
                changed = first[:octet] + bytes([first[octet] ^ 1]) + first[octet + 1 :]
                self.assertIn(self.refusal(receiver, changed), ("authentication", "malformed"))
            for octet in range(4, len(report)):
                changed = report[:octet] + bytes([report[octet] ^ 1]) + report[octet + 1 :]
                self.assertEqual(self.refusal(receiver, changed, "rtcp"), "authentication")
            for short in (b"", b"\x80", first[:11], first[:13]):
                self.assertEqual(self.refusal(receiver, short), "malformed")
                self.assertEqual(self.refusal(receiver, short, "rtcp"), "malformed")
            self.assertEqual(receiver.rtp(first), rtp(1))
            self.assertEqual(receiver.rtcp(report), REPORT)
            self.assertEqual(self.refusal(receiver, first), "replay")
            self.assertEqual(self.refusal(receiver, report, "rtcp"), "replay")
            self.assertEqual(self.refusal(sender, rtp(1)), "replay")
            self.assertEqual(self.refusal(sender, b"\x80"), "malformed")
            self.assertEqual(self.refusal(sender, b"\x80", "rtcp"), "malformed")

    def test_strangerHasNoState(self) -> None:
        """What is not authentic leaves nothing behind, whatever its SSRC."""
        receiver = OwnGuard(AES_256, master(AES_256), False)
        for number in range(1000):
            packet = rtp(1)[:8] + number.to_bytes(4, "big") + bytes(60)
            self.assertEqual(self.refusal(receiver, packet), "authentication")
            self.assertEqual(self.refusal(receiver, packet, "rtcp"), "authentication")
        self.assertEqual(len(receiver.seen), 0)

    def test_largePackets(self) -> None:
        """As large as a datagram may be."""
        sender, receiver = (OwnGuard(AES_256, master(AES_256), outbound) for outbound in (True, False))
        plain = rtp(1, payload=bytes(65000))
        self.assertEqual(receiver.rtp(sender.rtp(plain)), plain)

    def test_severalKeys(self) -> None:
        """The MKI of a packet names its key; one that is not known is refused."""
        keys = [KeyedMKI(master(AES_256, number), bytes([0, number])) for number in (1, 2)]
        sender, receiver = (OwnGuard(AES_256, keys, outbound) for outbound in (True, False))
        only = OwnGuard(AES_256, keys[:1], False)
        first = sender.rtp(rtp(1))
        sender.select(b"\0\2")
        second = sender.rtp(rtp(2))
        self.assertEqual([receiver.rtp(packet) for packet in (first, second)], [rtp(1), rtp(2)])
        self.assertEqual(only.rtp(first), rtp(1))
        self.assertEqual(self.refusal(only, second), "authentication")
        self.assertRaises(KeyError, sender.select, b"\0\3")

    def test_givenRollOver(self) -> None:
        """Who joins late is told the roll-over counter, and goes on over the next wrap."""
        ssrc = int.from_bytes(rtp(1)[8:12], "big")
        sender = OwnGuard(AES_256, master(AES_256), True, rollOver={ssrc: 7})
        late = OwnGuard(AES_256, master(AES_256), False, rollOver={ssrc: 7})
        without = OwnGuard(AES_256, master(AES_256), False)
        for sequence in (65000, 65535, 0, 1):
            protected = sender.rtp(rtp(sequence))
            self.assertEqual(late.rtp(protected), rtp(sequence))
            self.assertEqual(self.refusal(without, protected), "authentication")

    def test_spentKey(self) -> None:
        """No packet leaves after the last index of a key (RFC 3711 section 9.2)."""
        ssrc = int.from_bytes(rtp(1)[8:12], "big")
        sender = OwnGuard(
            AES_256, master(AES_256), True, rollOver={ssrc: 2**32 - 1}, rtcpIndex={0x11111111: 2**31 - 1}
        )
        sender.rtp(rtp(65535))
        self.assertEqual(self.refusal(sender, rtp(0)), "no-key")
        sender.rtcp(REPORT)
        self.assertEqual(self.refusal(sender, REPORT, "rtcp"), "no-key")

    def test_derivationRate(self) -> None:
        """Session keys change with the rate, and few are kept."""
        parameters = SessionParameters(rate=16)
        sender, receiver = (
            OwnGuard(AES_256, master(AES_256), outbound, parameters) for outbound in (True, False)
        )
        for sequence in range(1000):
            self.assertEqual(receiver.rtp(sender.rtp(rtp(sequence))), rtp(sequence))
        self.assertLessEqual(len(receiver._current.derived), 8)
        plain = OwnGuard(AES_256, master(AES_256), False)
        self.assertEqual(self.refusal(plain, sender.rtp(rtp(1000))), "authentication")

    def test_wrongKeys(self) -> None:
        """Lengths and MKIs that cannot be are errors of ours, which show no key."""
        for keys in (
            MasterKey(b"k" * 31, b"s" * 14),
            MasterKey(b"k" * 32, b"s" * 12),
            [],
            [KeyedMKI(master(AES_256), b"1"), KeyedMKI(master(AES_256), b"22")],
            [KeyedMKI(master(AES_256), b"1"), KeyedMKI(master(AES_256, 2), b"1")],
        ):
            error = self.assertRaises(LocalError, OwnGuard, AES_256, keys, True)
            self.assertNotIn("kkk", str(error))
        self.assertRaises(LocalError, OwnGuard, "F8_128_HMAC_SHA1_80", master(AES_256), True)

    def test_garbage(self) -> None:
        """Nothing raises anything but L{PacketRefused}."""

        @settings(deadline=None)
        @given(st.sampled_from(sorted(SUITES)), st.binary(max_size=100), st.booleans(), st.booleans())
        def check(suite: str, packet: bytes, outbound: bool, control: bool) -> None:
            guard = OwnGuard(suite, master(suite), outbound)
            try:
                (guard.rtcp if control else guard.rtp)(packet)
            except PacketRefused as refusal:
                self.assertIn(refusal.reason, ("malformed", "authentication", "replay"))
            else:
                self.assertTrue(outbound)

        check()
