"""Endpoints of audio, two by two over a network in memory."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.lab.audio import PCMU, Tone, examine
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.media.srtp import unprotector
from skypetrunk.wire.rtp import parseRTP
from skypetrunk.wire.sdes import MasterKey
from tests.lab.network import MemoryNetwork

ONE = MasterKey(b"1" * 16, b"1" * 14)
TWO = MasterKey(b"2" * 16, b"2" * 14)
THREE = MasterKey(b"3" * 16, b"3" * 14)
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")


def entropy(seed: int) -> Callable[[int], bytes]:
    """Octets that are the same in each run."""
    return random.Random(seed).randbytes


class MediaEndpointTests(SynchronousTestCase):
    """Sending, receiving, recording and counting."""

    def setUp(self) -> None:
        """A network."""
        self.network = MemoryNetwork()

    def endpoint(self, name: str, secure: bool) -> MediaEndpoint:
        """An endpoint on the network, stopped at the end."""
        made = MediaEndpoint(self.network, "127.0.0.1", entropy(len(name)), name, secure)  # type: ignore[arg-type]
        self.addCleanup(made.stop)
        return made

    def pair(self, suite: str | None) -> tuple[MediaEndpoint, MediaEndpoint]:
        """Two endpoints that know each other; C{suite} is C{None} for plain RTP."""
        one, two = self.endpoint("one", suite is not None), self.endpoint("other", suite is not None)
        one.setRemote(two.address)
        two.setRemote(one.address)
        if suite is not None:
            one.setKeys(suite, ONE, TWO)
            two.setKeys(suite, TWO, ONE)
        return one, two

    def test_tones(self) -> None:
        """Both tones arrive whole, plain and with each suite, each SRTP packet authenticated."""
        for suite in (None, *SUITES):
            one, two = self.pair(suite)
            one.tone, two.tone = Tone(400), Tone(650)
            for end in (one, two):
                end.start()
            self.network.run(1.01)
            for end, frequency, other in ((one, 650, 400), (two, 400, 650)):
                self.assertTrue(examine(end.recording(), frequency, [other]).recognised, suite)
                got = end.statistics()
                self.assertEqual((got.suite, got.received.packets, got.received.lost), (suite, 51, 0))
                self.assertEqual(got.received.authenticated, 51 if suite else 0)
                self.assertEqual(got.sent.packets, 51)
            one.stop()
            two.stop()

    def test_unreachable(self) -> None:
        """While there is no way to the peer packets are lost, as by any network; then they come again."""
        for suite in (None, SUITES[0]):
            one, two = self.pair(suite)
            one.tone = two.tone = Tone(400)
            for end in (one, two):
                end.start()
            self.network.run(1)
            self.network.unreachable = True
            self.network.run(6)
            self.network.unreachable = False
            self.network.run(6)
            for end in (one, two):
                got = end.statistics()
                self.assertIn(got.sent.packets, range(348, 353))
                self.assertIn(got.received.packets, range(348, 353))
                self.assertIn(got.received.lost, range(298, 303))
                self.assertEqual(got.received.rtcpPackets, 1)
                end.stop()

    def test_evenPorts(self) -> None:
        """RTP is on an even port and RTCP on the next (RFC 3550 section 11); both are given back."""
        one = self.endpoint("one", False)
        self.assertEqual((one.address.port % 2, one.address.rtcpPort), (0, one.address.port + 1))
        self.successResultOf(one.stop())
        self.assertEqual(self.network.ports, {})
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_reports(self) -> None:
        """The first sender report after 2.5 seconds, encrypted where media is (RFC 3711 section 3.4)."""
        one, two = self.pair(SUITES[1])
        one.tone = Tone(400)
        one.start()
        self.network.run(4.9)
        self.assertEqual(two.statistics().received.rtcpPackets, 1)
        report = next(datagram for _, (_, port), datagram in self.network.sent if port % 2)
        # E bit and index, and the long tag also with the suite whose RTP tag is short
        self.assertEqual(len(report) % 4, 2)
        self.assertEqual(unprotector(SUITES[1], ONE).rtcp(report)[28:32], b"\x81\xca\x00\x08")

    def test_echo(self) -> None:
        """An echo sends back payload, payload type and marker, in a stream of its own."""
        one, two = self.pair(SUITES[0])
        one.codec, one.tone = PCMU, Tone(950)
        two.echo = True
        one.start()
        two.start()
        self.network.run(1.001)
        self.assertTrue(examine(one.recording(), 950).recognised)
        there, back = (
            [d for source, _, d in self.network.sent if source[1] == end.address.port] for end in (one, two)
        )
        sent, echoed = parseRTP(there[0]), parseRTP(back[0])
        self.assertNotEqual(sent.ssrc, echoed.ssrc)
        self.assertEqual((sent.payloadType, sent.marker), (echoed.payloadType, echoed.marker))

    def test_latch(self) -> None:
        """One that latches is silent until it was sent something real, then follows its source."""
        one, two = self.pair(SUITES[0])
        two.latch, two.tone = True, Tone(400)
        two.setRemote(MediaAddress("127.0.0.1", 9, 10))
        two.start()
        self.network.deliver(b"\x80\x08" + bytes(40), ("127.0.0.1", 7), ("127.0.0.1", two.address.port))
        self.network.run(0.1)
        self.assertEqual(two.statistics().received.refused, (("authentication", 1),))
        self.assertEqual(self.network.sent, [])
        one.tone = Tone(650)
        one.start()
        self.network.run(0.7)
        self.assertTrue(examine(one.recording(), 400).recognised)

    def test_plainRefused(self) -> None:
        """A secure endpoint takes no plain packet, and a plain one none of a stranger."""
        secure, plain = self.endpoint("secure", True), self.endpoint("plain", False)
        secure.setKeys(SUITES[0], ONE, TWO)
        plain.setRemote(MediaAddress("127.0.0.2", 4000, 4001))
        packet = b"\x80\x08" + bytes(170)
        for end in (secure, plain):
            self.network.deliver(packet, ("127.0.0.1", 7), ("127.0.0.1", end.address.port))
        self.assertEqual(secure.statistics().received.refused, (("authentication", 1),))
        self.assertEqual(plain.statistics().received.refused, (("source", 1),))
        self.assertEqual(list(plain.recording()), [])

    def test_early(self) -> None:
        """What comes before the key is kept, and heard in its order."""
        one, two = self.endpoint("one", True), self.endpoint("other", True)
        one.setRemote(two.address)
        one.setKeys(SUITES[0], ONE, TWO)
        one.tone = Tone(400)
        one.start()
        self.network.run(0.5)
        two.setKeys(SUITES[0], TWO, ONE)
        self.network.run(0.5)
        got = two.statistics().received
        self.assertEqual((got.early, got.packets, got.lost), (25, 50, 0))
        self.assertTrue(examine(two.recording(), 400).recognised)

    def test_newKey(self) -> None:
        """What is under the key before is taken for two seconds: it was on its way.  Then it is no longer."""
        one, two = self.pair(SUITES[0])
        one.tone = Tone(400)
        one.start()
        self.network.run(0.1)
        two.setKeys(SUITES[0], TWO, THREE)
        self.network.run(1.98)
        self.assertEqual(two.statistics().received.refused, ())
        self.network.run(0.12)
        (refused,) = two.statistics().received.refused
        self.assertIn(refused, (("authentication", 5), ("authentication", 6)))
        one.setKeys(SUITES[0], THREE, TWO)
        before = two.statistics().received.packets
        self.network.run(1)
        received = two.statistics().received
        self.assertEqual((received.packets - before, received.refused), (50, (refused,)))
        self.assertEqual(received.rtcpPackets, 1)

    def test_lossIsSilence(self) -> None:
        """A lost packet is counted, and a silent frame in the recording."""
        one, two = self.pair(None)
        one.tone = Tone(400)
        self.network.lose = lambda datagram: parseRTP(datagram).sequence % 10 == 5
        one.start()
        self.network.run(1.001)
        report = examine(two.recording(), 400)
        self.assertEqual(report.frames - report.right, two.statistics().received.lost)
        self.assertIn(two.statistics().received.lost, (4, 5))

    def test_late(self) -> None:
        """A process that was late sends what is due, and the time stamps stay true."""
        one, two = self.pair(None)
        one.tone = Tone(400)
        one.start()
        self.network.advance(0.1)
        self.network.run(0.51)
        self.assertEqual(len(two.recording()), 31 * 160)
