"""
RTCP with tags of 32 bits, as linphone, baresip and ffmpeg give it in the suites whose RTP has them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DeclaredKeys, MediaAddress
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard
from skypetrunk.wire.reports import SenderInfo, writeReport
from skypetrunk.wire.sdes import SUITES, InlineKey, MasterKey
from tests.media.doubles import CARRIER, PBX, STRANGER, Call, rtp

SSRC = 0x11111111
SHORT = [name for name, suite in SUITES.items() if suite.tagOctets < suite.srtcpTagOctets]
CUT = 6
"""Octets that are missing."""


def keyOf(suite: str) -> MasterKey:
    """A key of the right length."""
    return MasterKey(b"k" * SUITES[suite].keyOctets, b"s" * SUITES[suite].saltOctets)


class ShortTagTests(SynchronousTestCase):
    """A carrier's reports."""

    def begin(self, suite: str, told: bytes = b"", mki: bytes = b"") -> None:
        """A call by that suite."""
        self.suite = suite
        self.call = Call(ready=False)
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        if told:
            self.leg.hearOn(unpacked(told))
        declared = DeclaredKeys((InlineKey(keyOf(suite), None, mki[0], 1),)) if mki else None
        self.leg.setRemoteKey(suite, keyOf(suite), declared)
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.sender = OwnGuard(suite, [KeyedMKI(keyOf(suite), mki)], True)
        self.time = 0

    def report(self, ssrc: int = SSRC) -> bytes:
        """The next one, as it should be."""
        self.time += 1
        return self.sender.rtcp(writeReport(ssrc, SenderInfo(self.time, 0, 1, 1), (), b"carrier"))

    def heard(self, packet: bytes, source: tuple[str, int] = CARRIER) -> bool:
        """Is it accepted?"""
        self.call.clock.advance(1)
        before = self.leg.statistics().received.rtcpPackets
        self.call.network.deliver(self.leg.address.rtcpPort, packet, source)
        return self.leg.statistics().received.rtcpPackets > before

    def test_taken(self) -> None:
        """By each of the suites; none twice, and none that was changed."""
        self.assertEqual(len(SHORT), 3)
        for suite in SHORT:
            self.begin(suite)
            reports = [self.report()[:-CUT] for _ in range(20)]
            for number, packet in enumerate(reports):
                for octet in (1, 10, len(packet) - 5, len(packet) - 1):
                    changed = bytearray(packet)
                    changed[octet] ^= 1
                    self.assertFalse(self.heard(bytes(changed), STRANGER), (suite, octet))
                if number not in (5, 7):
                    self.assertTrue(self.heard(packet), suite)
            self.assertTrue(self.heard(reports[5]), "late")
            for number, packet in enumerate(reports):
                self.assertEqual(self.heard(packet), number == 7, suite)
            self.assertTrue(self.heard(self.report(9)[:-CUT]))

    def test_rtpAsBefore(self) -> None:
        """Sound is still decrypted by who had done it."""
        self.begin("AES_CM_128_HMAC_SHA1_32")
        assert self.leg._context is not None
        guard = self.leg._context.guard
        self.assertTrue(self.heard(self.report()[:-CUT]))
        self.call.fromCarrier(self.sender.rtp(rtp(1)))
        self.assertEqual(self.leg.statistics().received.packets, 1)
        self.assertIs(self.leg._context.guard, guard)

    def test_noLessThanBefore(self) -> None:
        """Who has shown that he knows the long tag is believed by no other, nor is what he has sent cut."""
        for suite in SHORT:
            self.begin(suite)
            self.assertTrue(self.heard(self.report()[:-CUT]))
            last = self.report()
            self.assertTrue(self.heard(last))
            self.assertFalse(self.heard(last[:-CUT]))
            self.assertFalse(self.heard(self.report()[:-CUT]))
            self.assertFalse(self.heard(self.report(9)[:-CUT]))
            self.assertTrue(self.heard(self.report()))
            self.assertTrue(self.heard(self.report(9)))

    def test_otherSuites(self) -> None:
        """No other suite has such tags."""
        for suite in SUITES.keys() - set(SHORT):
            self.begin(suite)
            packet = self.report()
            tagOctets = SUITES[suite].srtcpTagOctets
            # The tag of AEAD stands before the index (RFC 7714 section 9.3).
            end = len(packet) - (4 if suite.startswith("AEAD") else 0)
            for octets in (0, 4, 8, tagOctets - 1):
                cut = packet[: end - tagOctets + octets] + packet[end:]
                self.assertFalse(self.heard(cut), (suite, octets))
            self.assertTrue(self.heard(packet), suite)

    def test_withMKI(self) -> None:
        """The MKI stands before the tag."""
        self.begin("AES_CM_128_HMAC_SHA1_32", mki=b"\7")
        packet = self.report()[:-CUT]
        self.assertFalse(self.heard(packet[:-5] + b"\6" + packet[-4:]))
        self.assertTrue(self.heard(packet))
        self.assertFalse(self.heard(packet))

    def test_begunAgain(self) -> None:
        """A carrier that begins again is followed, as with long tags; what was recorded is not heard."""
        for suite in SHORT:
            self.begin(suite)
            recorded = [self.report()[:-CUT] for _ in range(10)]
            for packet in recorded:
                self.assertTrue(self.heard(packet))
            self.sender = OwnGuard(suite, keyOf(suite), True)
            again = [self.report()[:-CUT] for _ in range(5)]
            self.assertEqual([self.heard(packet) for packet in again], [True] * 5)
            for packet in recorded + again:
                self.assertFalse(self.heard(packet))
            self.assertEqual(self.leg.statistics().received.resumptions, 1)

    def test_handedOn(self) -> None:
        """Another process hears none of them again, and those that follow."""
        for suite in SHORT:
            self.begin(suite)
            recorded = [self.report()[:-CUT] for _ in range(10)]
            for packet in recorded:
                self.assertTrue(self.heard(packet))
            sender, time = self.sender, self.time
            (told,) = self.leg.accepted
            self.begin(suite, packed(told))
            self.sender, self.time = sender, time
            for packet in recorded:
                self.assertFalse(self.heard(packet))
            self.assertTrue(self.heard(self.report()[:-CUT]))
