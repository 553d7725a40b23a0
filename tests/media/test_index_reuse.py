"""
Never the same (key, SSRC, index) twice: RFC 3711 section 9.1, over the life of a call.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import StreamLost
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.rtp import parseRTP
from tests.media.doubles import CARRIER, PBX, SUITE, Call, SecurePeer, key, rtp


class IndexReuseTests(SynchronousTestCase):
    """Each packet that leaves a secure leg is recorded, with the key of that moment."""

    def setUp(self) -> None:
        """A call at its start, and an empty record."""
        self.call = Call(ready=False)
        self.peers: dict[int, SecurePeer] = {}
        self.newest: dict[tuple[int, int], int] = {}
        self.seen: dict[tuple[int, int, int], bytes] = {}
        self.control: dict[tuple[int, int, int], bytes] = {}
        self.localKey = 0
        self.media = 0

    def useKey(self, number: int) -> None:
        """Our SDP carries this key."""
        self.record()
        self.call.secure.setLocalKey(SUITE, key(number))
        self.localKey = number
        self.peers.setdefault(number, SecurePeer(key(200), key(number)))

    def play(self, *sequences: int, ssrc: int = 0x11111111) -> None:
        """The PBX sends these packets, each with octets of its own, 20 ms apart."""
        for sequence in sequences:
            self.media += 1
            self.call.clock.advance(0.02)
            self.call.fromPBX(rtp(sequence, ssrc=ssrc, payload=b"%08d" % self.media))
            report = bytes.fromhex("80c90001") + ssrc.to_bytes(4, "big")
            self.call.network.deliver(self.call.plain.address.rtcpPort, report, PBX)
        self.record()

    def record(self) -> None:
        """Look at each packet that left: its index is new, and its receiver can read it."""
        for sent in self.call.network.take():
            if sent.port == self.call.secure.address.rtcpPort:
                ssrc = int.from_bytes(sent.data[4:8], "big")
                entry = (self.localKey, ssrc, int.from_bytes(sent.data[-14:-10], "big") & 0x7FFFFFFF)
                self.assertNotIn(entry, self.control)
                self.control[entry] = sent.data
            elif sent.port == self.call.secure.address.port:
                header = parseRTP(sent.data)
                stream = (self.localKey, header.ssrc)
                newest = self.newest.get(stream, header.sequence)
                # The 48-bit index nearest to the newest (RFC 3711 section 3.3.1).
                index = newest + ((header.sequence - newest + 0x8000) & 0xFFFF) - 0x8000
                self.newest[stream] = max(newest, index)
                self.assertNotIn((*stream, index), self.seen)
                self.seen[(*stream, index)] = sent.data
                self.peers[self.localKey].receive(sent.data)
                self.assertEqual(self.peers[self.localKey].refused, [])

    def test_life(self) -> None:
        """Early media, hold, re-INVITE with the same key, source changes, a new key, the old one again."""
        leg, plain = self.call.secure, self.call.plain
        plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.useKey(1)
        leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        leg.setRemoteKey(SUITE, key(200))
        self.play(*range(65_500, 65_600))
        # Duplicates, reordering, loss.
        self.play(65_600, 65_600, 65_602, 65_601, 65_601, 65_610)
        # Hold by direction, by address; keep-alives go on.
        leg.setSending(False)
        self.play(*range(65_611, 65_650))
        self.call.clock.pump([1] * 40)
        leg.setRemote(None)
        self.call.clock.pump([1] * 40)
        self.record()
        # Resume: the same key, suite and address again, several times.
        for _ in range(3):
            self.useKey(1)
            leg.setRemoteKey(SUITE, key(200))
            leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
            leg.setSending(True)
            self.play(*range(65_611, 65_620))
        # Music on hold, transfer, a restarted PBX: other SSRC, lower and far sequences, one by one and mixed.
        self.play(*range(5), ssrc=0x22222222)
        self.play(*range(65_611, 65_640))
        self.play(*range(10))
        self.play(*range(40_010, 40_020), *range(40_005, 40_025), 12, 40_026, 13, 40_027)
        for number in range(20):
            self.play(100 + number, ssrc=0x11111111)
            self.play(100 + number, ssrc=0x22222222)
        # The carrier moves.
        leg.setRemote(MediaAddress("203.0.113.77", 6000, 6001))
        self.play(*range(120, 130))
        # A new key, and the old one, which must not come back.
        self.useKey(3)
        self.play(*range(130, 150))
        self.assertRaises(StreamLost, leg.setLocalKey, SUITE, key(1))
        self.play(*range(150, 170))
        # The end: what still arrives leaves no more.
        count = len(self.seen)
        self.call.release()
        self.assertRaises(StreamLost, leg.setLocalKey, SUITE, key(3))
        self.assertRaises(StreamLost, leg.setLocalKey, SUITE, key(5))
        self.record()
        self.assertEqual(len(self.seen), count)
        self.assertGreater(count, 250)
        self.assertGreater(len(self.control), 250)
        self.assertEqual(len({(number, ssrc) for number, ssrc, _ in self.seen}), 2)
        heard = [packet[12:] for peer in self.peers.values() for packet in peer.plain if len(packet) > 12]
        self.assertEqual(len(heard), len(set(heard)))
