"""
Tests of L{skypetrunk.media.ports}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import PortsExhausted
from skypetrunk.media.ports import PortRange


class PortRangeTests(SynchronousTestCase):
    """RFC 3550 section 11: RTP on an even port, RTCP on the next."""

    def take(self, ports: PortRange, busy: tuple[int, ...] = ()) -> int:
        """The next port, where C{busy} ones cannot be bound."""
        return ports.allocate(lambda port: None if port in busy else "bound")[0]

    def test_pairs(self) -> None:
        """Even ports within the range whose odd neighbour is in it too."""
        ports = PortRange(10001, 10006)
        self.assertEqual([self.take(ports), self.take(ports)], [10002, 10004])
        self.assertEqual(ports.inUse, {10002, 10004})
        error = self.assertRaises(PortsExhausted, self.take, ports)
        self.assertIn("10002-10005", str(error))

    def test_bound(self) -> None:
        """What was bound comes back with its port."""
        self.assertEqual(PortRange(4, 9).allocate(lambda port: f"at {port}"), (4, "at 4"))

    def test_inTurn(self) -> None:
        """A port given back rests until all others had their turn."""
        ports = PortRange(10000, 10007)
        self.assertEqual(self.take(ports), 10000)
        ports.release(10000)
        self.assertEqual([self.take(ports) for _ in range(4)], [10002, 10004, 10006, 10000])

    def test_taken(self) -> None:
        """Pairs of other programs are passed over, and tried again the next time."""
        ports = PortRange(10000, 10005)
        self.assertEqual(self.take(ports, busy=(10000, 10002)), 10004)
        self.assertRaises(PortsExhausted, self.take, ports, (10000, 10002))
        self.assertEqual(self.take(ports), 10000)

    def test_failedBind(self) -> None:
        """A bind that raises takes nothing."""
        ports = PortRange(10000, 10001)

        def explode(port: int) -> None:
            raise PortsExhausted("no descriptors")

        self.assertRaises(PortsExhausted, ports.allocate, explode)
        self.assertEqual(ports.inUse, set())

    def test_badRange(self) -> None:
        """A range without a pair is refused at once."""
        for lowest, highest in (
            (10000, 10000),
            (10001, 10002),
            (10, 5),
            (0, 1),
            (65536, 65539),
            (60000, 70000),
        ):
            self.assertRaises(ValueError, PortRange, lowest, highest)
