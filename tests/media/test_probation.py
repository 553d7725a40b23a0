"""New sources on the plain side have to prove themselves."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.statistics import SOURCES
from tests.media.doubles import PBX, Call, rtp


class ProbationTests(SynchronousTestCase):
    """A PBX talks; what else comes from its address and port is nobody's until it goes on."""

    def setUp(self) -> None:
        self.call = Call()
        for sequence in range(1, 4):
            self.call.fromPBX(rtp(sequence, ssrc=1, payload=b"talk"))
            self.call.clock.advance(0.02)
        self.call.receiveAll()
        self.before = len(self.call.peer.plain)

    def heard(self) -> list[bytes]:
        """What the carrier got since then."""
        self.call.receiveAll()
        self.assertEqual(self.call.peer.refused, [])
        numbers = [header.sequence for header in self.call.peer.headers]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        return [packet[12:] for packet in self.call.peer.plain[self.before:]]

    def refused(self) -> dict[str, int]:
        """Counted when the call is over."""
        return dict(self.call.plain.release().received.refused)

    def test_alone(self) -> None:
        """One packet of another source, or far away in the same, is counted and not heard."""
        self.call.fromPBX(rtp(77, ssrc=2, payload=b"noise"))
        self.call.fromPBX(rtp(30_000, ssrc=1, payload=b"noise"))
        self.call.fromPBX(rtp(4, ssrc=1, payload=b"talk"))
        self.assertEqual(self.heard(), [b"talk"])
        self.assertEqual(self.refused(), {"ssrc": 1, "sequence": 1})

    def test_goesOn(self) -> None:
        """Two in sequence are a source: nothing of it is lost, and the first goes first."""
        self.call.fromPBX(rtp(10, ssrc=2, payload=b"10"))
        self.assertEqual(self.heard(), [])
        for sequence in (11, 12):
            self.call.fromPBX(rtp(sequence, ssrc=2, payload=b"%d" % sequence))
        self.assertEqual(self.heard(), [b"10", b"11", b"12"])
        self.assertEqual(self.refused(), {})

    def test_jump(self) -> None:
        """So are two that are 40,000 ahead, or begin again."""
        for sequence in (40_003, 40_004, 5, 6):
            self.call.fromPBX(rtp(sequence, ssrc=1, payload=b"%d" % sequence))
        self.assertEqual(self.heard(), [b"40003", b"40004", b"5", b"6"])

    def test_between(self) -> None:
        """Two sources at a time are both heard."""
        for sequence in range(4, 8):
            self.call.fromPBX(rtp(sequence, ssrc=1, payload=b"one"))
            self.call.fromPBX(rtp(sequence, ssrc=2, payload=b"two"))
        one, two = b"one", b"two"
        self.assertEqual(self.heard(), [one, one, two, two, one, two, one, two])

    def test_flood(self) -> None:
        """After some strays what is sent again in order turns nothing while the source is heard."""
        for sequence in range(4, 400):
            self.call.clock.advance(0.02)
            self.call.fromPBX(rtp(sequence, ssrc=1, payload=b"talk"))
            if sequence > 300:
                self.call.fromPBX(rtp(sequence, ssrc=sequence, payload=b"noise"))
            if sequence > 330:
                for old in (100, 101, 102):
                    self.call.fromPBX(rtp(old, ssrc=1, payload=b"talk again"))
        self.assertEqual(self.heard(), 396 * [b"talk"])
        # As soon as it is silent, another one is heard.
        for sequence in range(10, 30):
            self.call.clock.advance(0.02)
            self.call.fromPBX(rtp(sequence, ssrc=2, payload=b"%d" % sequence))
        self.assertEqual(self.heard()[-20:], [b"%d" % each for each in range(10, 30)])

    def test_many(self) -> None:
        """Thousands of sources take no room, and each packet is counted once."""
        for source in range(2, 2002):
            self.call.fromPBX(rtp(9, ssrc=source, payload=b"noise"))
        self.call.fromPBX(rtp(4, ssrc=1, payload=b"talk"))
        self.assertEqual(self.heard(), [b"talk"])
        waiting = 2000 - dict(self.call.plain.statistics().received.refused)["ssrc"]
        self.assertEqual(waiting, SOURCES)
        self.assertEqual(self.refused(), {"ssrc": 2000})

    def test_first(self) -> None:
        """The first packet of a call is heard at once, from whatever source."""
        call = Call()
        call.fromPBX(rtp(9, ssrc=7, payload=b"first"), PBX)
        call.receiveAll()
        self.assertEqual([packet[12:] for packet in call.peer.plain], [b"first"])
