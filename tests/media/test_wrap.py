"""
Over the end of the sequence, in both directions, while a call is held, resumed, transferred and refreshed.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media import srtp
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.stream import MAX_FORWARD
from tests.media.doubles import CARRIER, PBX, SUITE, Call, Datagram, key, rtp

OTHER = ("192.0.2.77", 5000)
MOVED = ("203.0.113.77", 7000)
NEAR = 65_480


class WrapTests(SynchronousTestCase):
    """What happens, happens between the last packets before the end and the first after it."""

    def setUp(self) -> None:
        """A call whose two streams are near the end."""
        self.call = Call(ready=False)
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.refresh()
        self.place = PBX
        self.plain = self.call.plain
        self.peer = self.call.peer
        self.source = 10_000
        self.sequence = NEAR
        self.ssrc = 0x11111111
        self.said = 0
        self.toCarrier()
        while self.peer.headers[-1].sequence < NEAR:
            self.source += MAX_FORWARD - 1
            self.toCarrier()
        self.peer.plain.clear()

    def refresh(self) -> None:
        """An exchange that repeats everything."""
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.leg.setRemoteKey(SUITE, key(2))
        self.leg.setLocalKey(SUITE, key(1))
        self.leg.setSending(True)

    def sent(self) -> list[Datagram]:
        """What left; the carrier has got its part."""
        rest = []
        for datagram in self.call.network.take():
            if datagram.port == self.leg.address.port:
                self.peer.receive(datagram.data)
            else:
                rest.append(datagram)
        return rest

    def toCarrier(self) -> None:
        """The PBX sends."""
        self.source += 1
        self.said += 1
        self.call.clock.advance(0.02)
        packet = rtp(self.source, ssrc=self.ssrc, payload=b"%08d" % self.said)
        self.call.network.deliver(self.plain.address.port, packet, self.place)
        self.sent()

    def both(self, count: int) -> None:
        """Packets in both directions; none is lost."""
        for _ in range(count):
            self.toCarrier()
            self.assertEqual(self.peer.refused, [])
            self.assertEqual(self.peer.plain[-1][12:], b"%08d" % self.said)
            packet = rtp(self.sequence, payload=b"%08d" % self.sequence)
            self.call.fromCarrier(self.peer.protect(packet))
            (datagram,) = self.sent()
            self.assertEqual((datagram.data, datagram.destination), (packet, self.place))
            self.sequence += 1

    def over(self, event: Callable[[], object]) -> None:
        """Over the end, and C{event} on the way: shortly before it, just at it, shortly after it."""
        for before in (20, 1, 0):
            self.setUp()
            left = 65_536 - self.sequence
            self.both(left - before)
            event()
            self.both(before + 40)
            self.assertGreater(self.sequence, 65_536)
            ends = [header.sequence for header in self.peer.headers]
            self.assertGreater(ends[0], ends[-1])
            received = self.leg.statistics().received
            self.assertEqual((received.lost, received.refused, received.resumptions), (0, (), 0))

    def test_hold(self) -> None:
        """Hold by direction, with music from the carrier and keep-alives of ours, and resume."""

        def hold() -> None:
            self.leg.setSending(False)
            for _ in range(50):
                self.toCarrier()
                self.call.fromCarrier(self.peer.protect(rtp(self.sequence)))
                self.sequence += 1
            self.call.clock.pump([1.0] * 40)
            self.sent()
            self.refresh()

        self.over(hold)

    def test_holdWithoutAddress(self) -> None:
        """Hold by 0.0.0.0, for longer than a sequence is."""

        def hold() -> None:
            self.leg.setRemote(None)
            self.call.clock.pump([60.0] * 30)
            self.sent()
            self.refresh()

        self.over(hold)

    def test_refresh(self) -> None:
        """A session refresh, three times."""

        def refresh() -> None:
            for _ in range(3):
                self.refresh()

        self.over(refresh)

    def test_transfer(self) -> None:
        """The PBX's side becomes another leg, with a stream of its own."""

        def transfer() -> None:
            another = self.call.plane.allocate("other", False)
            assert isinstance(another, PlainLeg)
            self.call.plane.join(another, self.leg, "call")
            another.setRemote(MediaAddress(*OTHER, OTHER[1] + 1))
            self.call.plain.release()
            self.plain, self.place, self.ssrc, self.source = another, OTHER, 0x22222222, 3

        self.over(transfer)

    def test_restart(self) -> None:
        """The PBX restarts: the same SSRC, a lower sequence; then a jump of 40,000."""

        def restart() -> None:
            for source in (7, 40_009):
                self.source = source
                # The first one proves nothing, and goes with the second.
                self.toCarrier()
                self.toCarrier()
                said = [packet[12:] for packet in self.peer.plain[-2:]]
                self.assertEqual(said, [b"%08d" % (self.said - 1), b"%08d" % self.said])

        self.over(restart)

    def test_move(self) -> None:
        """The carrier's media moves to another place."""

        def move() -> None:
            self.leg.setRemote(MediaAddress(*MOVED, MOVED[1] + 1))
            self.sent()

        self.over(move)

    def test_disorder(self) -> None:
        """Packets come late, in any order and twice, on both sides of the end."""
        packets = [self.peer.protect(rtp(number)) for number in range(NEAR, NEAR + 120)]
        order = sorted(range(120), key=lambda number: number + (number * 7919 % 23))
        for number in order:
            for _ in range(2):
                self.call.fromCarrier(packets[number])
        heard = [each.data for each in self.sent()]
        self.assertEqual(heard, [rtp(NEAR + number) for number in order])
        received = self.leg.statistics().received
        self.assertEqual((received.lost, dict(received.refused)), (0, {"replay": 120}))


class OwnWrapTests(WrapTests):
    """The same by the other implementation."""

    def setUp(self) -> None:
        """Without libsrtp."""
        self.patch(srtp, "PROFILES", {})
        super().setUp()
        assert self.leg._context is not None
        self.assertIsInstance(self.leg._context.guard, OwnGuard)
