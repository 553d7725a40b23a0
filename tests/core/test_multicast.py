"""A PBX whose SDP names a multicast group."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.audio_stream import remoteOf
from skypetrunk.errors import MalformedSDP
from skypetrunk.interfaces import MediaAddress, MediaPath
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, SAVP, CallNet, sdp

GROUP = "239.1.2.3"
OFFER = sdp(PCMA, "192.0.2.10").replace(b"c=IN IP4 192.0.2.10", b"c=IN IP4 239.1.2.3/15")


class MulticastTests(SynchronousTestCase):
    """One group that is configured, and no other."""

    def setUp(self) -> None:
        """The PBX may name it."""
        self.net = CallNet()
        self.net.manager.sides["office"].mediaPath = MediaPath(group=GROUP)

    def test_taken(self) -> None:
        """The answer has the same group, TTL and port (RFC 3264 section 6.2), its origin our own address."""
        self.net.pbx.invite("sip:+4420@198.51.100.1", OFFER)
        self.net.carrier.answers(self.net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        answer = parseSDP(self.net.pbx.response(200).body)
        (audio,) = answer.media
        self.assertEqual((audio.address, audio.port, audio.first("rtcp")), ("239.1.2.3/15", 4000, None))
        self.assertEqual((answer.origin.address, answer.connection), ("198.51.100.1", "198.51.100.1"))
        leg = self.net.plane.legs[0]
        self.assertEqual(leg.last("remote"), MediaAddress(GROUP, 4000, 4001, ttl=15))
        self.assertEqual(leg.path.group, GROUP)
        self.assertNotIn(b"239.1", self.net.carrier.request("INVITE").body)

    def test_refused(self) -> None:
        """Another group, and any where none is configured: 488 and Warning 301; the carrier is not asked."""
        for group, path in ((b"239.1.2.4", MediaPath(group=GROUP)), (b"239.1.2.3", MediaPath())):
            net = CallNet()
            net.manager.sides["office"].mediaPath = path
            net.pbx.invite("sip:+4420@198.51.100.1", OFFER.replace(b"239.1.2.3", group))
            self.assertIn("301", net.pbx.response(488).header("Warning") or "")
            self.assertNotIn(200, net.pbx.got())
            self.assertEqual((net.carrier.got(), net.plane.open), ([], 0))

    def test_carrier(self) -> None:
        """A carrier has none."""
        self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        answer = sdp(SAVP, "203.0.113.9").replace(b"c=IN IP4 203.0.113.9", b"c=IN IP4 239.1.2.3/15")
        self.net.carrier.answers(self.net.carrier.request("INVITE"), 200, answer)
        self.assertNotIn(200, self.net.pbx.got())

    def test_written(self) -> None:
        """As SDP writes it, and not otherwise."""
        for written, ttl in (("239.1.2.3", 1), ("239.1.2.3/0", 0), ("239.1.2.3/255", 255)):
            (line,) = parseSDP(OFFER.replace(b"239.1.2.3/15", written.encode())).media
            self.assertEqual(
                remoteOf(line, "192.0.2.1", False, GROUP), MediaAddress(GROUP, 4000, 4001, ttl=ttl)
            )
        for written in ("239.1.2.3/256", "239.1.2.3/15/2", "239.1.2.3/", "239.1.2.3/x", "192.0.2.1/15"):
            (line,) = parseSDP(OFFER.replace(b"239.1.2.3/15", written.encode())).media
            self.assertRaises(MalformedSDP, remoteOf, line, "192.0.2.1", False, GROUP)
        (line,) = parseSDP(OFFER).media
        self.assertRaises(MalformedSDP, remoteOf, line, "2001:db8::1", False, GROUP)

    def test_writtenIPv6(self) -> None:
        """Without a TTL, in any form of the address; how many addresses there are may not be said."""
        group = "ff15::101"
        for written in ("ff15::101", "FF15:0::0101"):
            (line,) = parseSDP(OFFER.replace(b"IP4 239.1.2.3/15", b"IP6 " + written.encode())).media
            wanted = MediaAddress(group, 4000, 4001, ttl=1)
            self.assertEqual(remoteOf(line, "2001:db8::1", False, group), wanted)
            for ours, allowed in (("192.0.2.1", group), ("2001:db8::1", "ff15::102"), ("2001:db8::1", None)):
                self.assertRaises(MalformedSDP, remoteOf, line, ours, False, allowed)
        (line,) = parseSDP(OFFER.replace(b"IP4 239.1.2.3/15", b"IP6 ff15::101/3")).media
        self.assertRaises(MalformedSDP, remoteOf, line, "2001:db8::1", False, group)
