"""
Tests of L{skypetrunk.media.inbound}: when the peer's key changes, and when forks have keys of their own.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media.inbound import FORMER_SECONDS
from skypetrunk.media.secure import EARLY_PACKETS, EARLY_SECONDS
from skypetrunk.media.srtp import protector
from skypetrunk.wire.rtp import parseRTP
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, key, rtp

ELSEWHERE = ("203.0.113.99", 7000)
REPORT = bytes.fromhex("80c9000111111111")


class ChangeTests(SynchronousTestCase):
    """The carrier goes from key 2 to key 9."""

    def setUp(self) -> None:
        """A call, and both contexts of the carrier."""
        self.call = Call()
        self.leg = self.call.secure
        self.old = self.call.peer.protect
        self.new = protector(SUITE, key(9)).rtp

    def change(self) -> None:
        """It is agreed."""
        self.leg.setRemoteKey(SUITE, key(9))

    def heard(self) -> list[int]:
        """Sequence numbers that reach the PBX, in order."""
        return [parseRTP(sent.data).sequence for sent in self.call.receiveAll()]

    def refused(self) -> dict[str, int]:
        """What was not let in."""
        return dict(self.leg.statistics().received.refused)

    def test_bothOnTheirWay(self) -> None:
        """Packets under either key arrive, mixed: all are heard, in the order in which they come."""
        packets = {n: (self.old if n < 20 else self.new)(rtp(n)) for n in range(40)}
        order = [*range(10), *range(10, 16), 16, 20, 17, 21, 18, 22, 19, *range(23, 40)]
        for place, number in enumerate(order):
            if place == 10:
                self.change()
            self.call.clock.advance(0.02)
            self.call.fromCarrier(packets[number])
        self.assertEqual(self.heard(), order)
        received = self.leg.statistics().received
        self.assertEqual((received.packets, received.authenticated, received.refused), (40, 40, ()))

    def test_window(self) -> None:
        """The old key ends with the window, and what it let in comes in no second time."""
        first = self.old(rtp(1))
        self.call.fromCarrier(first)
        self.change()
        self.call.clock.advance(FORMER_SECONDS - 0.01)
        self.call.fromCarrier(self.old(rtp(2)))
        self.call.fromCarrier(first)
        self.call.clock.advance(0.01)
        self.call.fromCarrier(self.old(rtp(3)))
        self.assertEqual(self.heard(), [1, 2])
        self.assertEqual(self.refused(), {"authentication": 2})

    def test_repeated(self) -> None:
        """The new key again, in a refresh, opens no second window, and does not end the first."""
        self.change()
        self.call.clock.advance(1.5)
        self.change()
        self.call.fromCarrier(self.old(rtp(1)))
        self.call.clock.advance(0.5)
        self.change()
        self.call.fromCarrier(self.old(rtp(2)))
        self.assertEqual(self.heard(), [1])

    def test_control(self) -> None:
        """RTCP under either."""
        compounds = [self.call.peer.protectRTCP(REPORT), protector(SUITE, key(9)).rtcp(REPORT)]
        second, late = (self.call.peer.protectRTCP(REPORT) for _ in range(2))
        self.change()
        for compound in (*reversed(compounds), compounds[0], second):
            self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        self.call.clock.advance(FORMER_SECONDS)
        self.call.network.deliver(self.leg.address.rtcpPort, late, CARRIER)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 3)
        self.assertEqual(self.refused(), {"replay": 1, "authentication": 1})

    def test_otherNumbers(self) -> None:
        """Numbers that are too old under the new key, or were there, are looked at under the old one."""
        last = [self.old(rtp(sequence)) for sequence in (99, 100, 500)]
        self.change()
        self.call.fromCarrier(self.new(rtp(500)))
        for packet in (*last, *last):
            self.call.fromCarrier(packet)
        self.assertEqual(self.heard(), [500, 99, 100, 500])
        self.assertEqual(self.refused(), {"replay": 3})

    def test_settledCostsNothing(self) -> None:
        """The old context sees no packet that the new one takes."""
        self.change()
        assert self.leg._inbound._former is not None
        former = self.leg._inbound._former.guard
        self.leg._inbound._former.guard = None  # type: ignore[assignment]
        self.call.fromCarrier(self.new(rtp(1)))
        self.assertEqual(self.heard(), [1])
        self.leg._inbound._former.guard = former

    def test_latch(self) -> None:
        """Who has the old key only does not draw our packets to himself."""
        self.change()
        self.call.clock.advance(1)
        self.call.fromCarrier(self.old(rtp(1)), ELSEWHERE)
        self.call.fromPBX(rtp(1))
        sent = [each for each in self.call.network.take() if each.port == self.leg.address.port]
        self.assertEqual([each.destination for each in sent], [CARRIER])

    def test_forged(self) -> None:
        """A key that was never agreed is none of the two."""
        self.change()
        self.call.fromCarrier(protector(SUITE, key(7)).rtp(rtp(1)), STRANGER)
        self.assertEqual((self.heard(), self.refused()), ([], {"authentication": 1}))

    def test_fasterThanTheAnswer(self) -> None:
        """Packets under the new key that come before we know it wait for it, as before the first."""
        self.call.fromCarrier(self.old(rtp(1)))
        for sequence in range(2, 10):
            self.call.clock.advance(0.02)
            self.call.fromCarrier(self.new(rtp(sequence)))
        self.assertEqual((self.heard(), self.refused()), ([1], {"authentication": 8}))
        self.change()
        self.call.fromCarrier(self.new(rtp(10)))
        self.assertEqual(self.heard(), list(range(2, 11)))
        received = self.leg.statistics().received
        self.assertEqual((received.early, received.packets, received.refused), (8, 10, ()))

    def test_waitingIsBounded(self) -> None:
        """No more of them, and no longer, than before the first key; each is counted once."""
        for sequence in range(80):
            self.call.fromCarrier(self.new(rtp(sequence)))
        self.change()
        self.assertEqual(self.heard(), list(range(80 - EARLY_PACKETS, 80)))
        self.assertEqual(self.refused(), {"authentication": 80 - EARLY_PACKETS})
        self.call.clock.advance(FORMER_SECONDS)
        third = protector(SUITE, key(10))
        self.call.fromCarrier(third.rtp(rtp(80)))
        self.call.network.deliver(self.leg.address.rtcpPort, third.rtcp(REPORT), CARRIER)
        self.call.clock.advance(EARLY_SECONDS / 2)
        self.call.fromCarrier(rtp(81, payload=bytes(60)), STRANGER)
        self.call.clock.advance(EARLY_SECONDS / 2 + 0.01)
        self.leg.setRemoteKey(SUITE, key(10))
        self.assertEqual(self.heard(), [])
        self.assertEqual(self.refused(), {"authentication": 33})
        self.call.fromCarrier(third.rtp(rtp(82)))
        self.assertEqual(self.heard(), [82])


class ForkTests(SynchronousTestCase):
    """Early dialogs of one INVITE: each has its own key, and so its own context, address and source."""

    def setUp(self) -> None:
        """Our offer is out, with one key."""
        self.call = Call(ready=False)
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.leg.setLocalKey(SUITE, key(1))
        self.branches = {number: protector(SUITE, key(number)) for number in (20, 21, 22)}

    def answer(self, number: int) -> None:
        """The description of one branch, in a 183 or in the 200."""
        self.leg.setRemote(MediaAddress("203.0.113.1", 6000 + 2 * number, 6001 + 2 * number))
        self.leg.setRemoteKey(SUITE, key(number))
        self.leg.setLocalKey(SUITE, key(1))

    def send(self, number: int, *sequences: int) -> None:
        """Media of one branch, each with an SSRC of its own."""
        for sequence in sequences:
            self.call.clock.advance(0.02)
            packet = self.branches[number].rtp(rtp(sequence, ssrc=number))
            self.call.fromCarrier(packet, ("203.0.113.1", 6000 + 2 * number))

    def heard(self) -> list[tuple[int, int]]:
        """SSRC and sequence of what reaches the PBX."""
        headers = [parseRTP(sent.data) for sent in self.call.receiveAll()]
        return [(header.ssrc, header.sequence) for header in headers]

    def test_answeringBranchTakesOver(self) -> None:
        """
        It is heard from its first packet on, also where that comes before its 200; the other until then, and
        not after.
        """
        self.answer(20)
        self.send(20, *range(10))
        self.answer(21)
        self.send(20, 10)
        self.send(21, *range(5))
        self.send(20, 11, 12)
        self.assertEqual(self.heard(), [(20, n) for n in range(11)] + [(21, n) for n in range(5)])
        self.send(22, 0, 1)
        self.assertEqual(self.heard(), [])
        self.answer(22)
        self.send(22, 2, 3)
        self.send(21, 5)
        self.assertEqual(self.heard(), [(22, n) for n in range(4)])

    def test_backToTheFirst(self) -> None:
        """The branch that was heard first answers: its context has gone on, nothing of it can be replayed."""
        self.answer(20)
        first = self.branches[20].rtp(rtp(65_530, ssrc=20))
        self.call.fromCarrier(first)
        self.send(20, *range(65_531, 65_545))
        self.answer(21)
        self.send(21, *range(3))
        self.answer(20)
        self.send(21, 3)
        self.call.fromCarrier(first, STRANGER)
        self.send(20, *range(65_545, 65_550))
        self.assertEqual([n for ssrc, n in self.heard() if ssrc == 20][-5:], list(range(9, 14)))
        self.assertEqual(self.leg.statistics().received.packets, 1 + 14 + 4 + 5)

    def test_oursGoesWithTheAnswer(self) -> None:
        """While the other branch goes on for a while our packets go to the one that answered."""
        self.answer(20)
        self.send(20, *range(3))
        self.answer(21)
        for sequence in range(3, 60):
            self.send(20, sequence)
        self.call.network.take()
        self.call.fromPBX(rtp(1))
        sent = [each for each in self.call.network.take() if each.port == self.leg.address.port]
        self.assertEqual({each.destination for each in sent}, {("203.0.113.1", 6042)})
