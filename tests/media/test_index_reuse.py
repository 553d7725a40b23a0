"""
Never the same (key, SSRC, index) twice: RFC 3711 section 9.1, over the life of a call.
"""

from __future__ import annotations

import os
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import StreamLost
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.rtp import isRTCP, parseRTP
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
            if sent.port not in (self.call.secure.address.port, self.call.secure.address.rtcpPort):
                continue
            if isRTCP(sent.data):
                ssrc = int.from_bytes(sent.data[4:8], "big")
                entry = (self.localKey, ssrc, int.from_bytes(sent.data[-14:-10], "big") & 0x7FFFFFFF)
                self.assertNotIn(entry, self.control)
                self.control[entry] = sent.data
            else:
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

    def test_forks(self) -> None:
        """Branches answer our one key, in any order: one stream; the new key after it has another."""
        leg, plain = self.call.secure, self.call.plain
        plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        source = 65_000
        for branch in (201, 202, 201, 203, 202, 202):
            leg.setRemote(MediaAddress("203.0.113.1", 6000 + branch * 2, 6001 + branch * 2))
            leg.setRemoteKey(SUITE, key(branch))
            self.useKey(1)
            self.play(*range(source, source + 200))
            source += 200
        self.assertEqual(len({ssrc for _, ssrc, _ in self.seen}), 1)
        self.useKey(2)
        self.play(*range(source, source + 50))
        self.assertEqual(len({ssrc for _, ssrc, _ in self.seen}), 2)

    def test_anything(self) -> None:
        """All that signalling and a PBX can do, in any order."""
        for _ in range(15):
            seed = int.from_bytes(os.urandom(4), "big")
            self.setUp()
            try:
                self.anything(Random(seed))
            except Exception as error:
                error.add_note(f"The seed was {seed}.")
                raise

    def anything(self, random: Random) -> None:
        """One call."""
        leg, plain = self.call.secure, self.call.plain
        plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.useKey(1)
        used = [1]

        def newKey() -> None:
            used.append(len(used) + 1)
            self.useKey(used[-1])

        def oldKey() -> None:
            if len(used) > 1:
                self.record()
                self.assertRaises(StreamLost, leg.setLocalKey, SUITE, key(random.choice(used[:-1])))

        def move() -> None:
            port = random.randrange(5000, 5010)
            leg.setRemote(MediaAddress("203.0.113.5", port, port + random.randrange(2)))

        def speak() -> None:
            first, ssrc = random.choice((0, 65_500, 40_000, self.media)), random.choice((7, 8))
            numbers = list(range(first, first + random.randrange(1, 60)))
            if random.random() < 0.3:
                numbers = sorted(numbers + numbers[:10], key=lambda number: number + random.randrange(9))
            self.play(*numbers, ssrc=ssrc)

        def sound() -> None:
            move()
            leg.setSending(True)

        def fax() -> None:
            leg.setFax(MediaAddress("203.0.113.5", 7000, 0))
            speak()
            sound()

        doings = [speak] * 8 + [newKey, oldKey, move, fax]
        doings += [
            lambda: self.useKey(used[-1]),
            lambda: leg.setRemoteKey(SUITE, key(200 + random.randrange(4))),
            lambda: leg.setRemote(None),
            lambda: leg.setSending(random.random() < 0.7),
            lambda: self.call.clock.pump([1.0] * random.randrange(40)),
        ]
        move()
        for _ in range(80):
            random.choice(doings)()
        # Whatever was last, something leaves.
        sound()
        self.play(*range(3000, 3050))
        self.record()
        self.assertNotEqual(self.seen, {})
