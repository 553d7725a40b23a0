"""
Tests of L{skypetrunk.media.source}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaPath
from skypetrunk.media.source import SETTLING, SILENCE, AuthenticatedSource, SignalledSource

SIGNALLED = ("192.0.2.10", 4000)
PORT = ("192.0.2.10", 4321)
PORT2 = ("192.0.2.10", 5555)
OTHER = ("192.0.2.99", 4000)


class SignalledSourceTests(SynchronousTestCase):
    """The plain side."""

    def setUp(self) -> None:
        """The SDP named an address."""
        self.source = SignalledSource()
        self.source.signal(SIGNALLED)

    def test_unknown(self) -> None:
        """Before any SDP nobody is heard and nothing is sent."""
        source = SignalledSource()
        self.assertFalse(source.accepts(SIGNALLED, 0.0))
        self.assertIsNone(source.destination)

    def test_stranger(self) -> None:
        """Another host is not heard, and moves nothing."""
        self.assertFalse(self.source.accepts(OTHER, 0.0))
        self.assertEqual(self.source.destination, SIGNALLED)

    def test_latch(self) -> None:
        """Any port of the host; ours go there."""
        self.assertTrue(self.source.accepts(PORT, 0.0))
        self.assertEqual(self.source.destination, PORT)

    def test_latchHolds(self) -> None:
        """While one port is in use another of the same host is not heard; after silence it is."""
        self.source.accepts(PORT, 0.0)
        self.source.accepts(PORT, 0.2)
        self.assertFalse(self.source.accepts(PORT2, 0.2 + SILENCE - 0.01))
        self.assertEqual(self.source.destination, PORT)
        self.assertTrue(self.source.accepts(PORT2, 0.2 + SILENCE))
        self.assertEqual(self.source.destination, PORT2)

    def test_signalledFirst(self) -> None:
        """The signalled port takes over at once, and keeps it."""
        self.source.accepts(PORT, 0.0)
        self.assertTrue(self.source.accepts(SIGNALLED, 0.01))
        self.assertFalse(self.source.accepts(PORT, 0.02))
        self.assertEqual(self.source.destination, SIGNALLED)

    def test_newDescription(self) -> None:
        """A new SDP resets what was learned."""
        self.source.accepts(PORT, 0.0)
        self.source.signal(OTHER)
        self.assertEqual(self.source.destination, OTHER)
        self.assertFalse(self.source.accepts(PORT, 0.01))
        self.assertTrue(self.source.accepts(OTHER, 0.02))

    def test_sameDescription(self) -> None:
        """One that says the same, as a refresh does: ours go on to where they went, until somebody sends."""
        for again in (PORT, PORT2):
            self.source.accepts(PORT, 0.0)
            self.source.signal(SIGNALLED)
            self.assertEqual((self.source.destination, self.source.usual()), (PORT, PORT))
            self.assertTrue(self.source.accepts(again, 0.0))
            self.assertEqual(self.source.destination, again)
            self.assertFalse(self.source.accepts(PORT if again == PORT2 else PORT2, SILENCE - 0.01))
        self.source.accepts(SIGNALLED, 1.0)
        self.source.signal(SIGNALLED)
        self.source.accepts(SIGNALLED, 1.0)
        self.assertFalse(self.source.accepts(PORT, 1.01))

    def test_hold(self) -> None:
        """Hold: nothing is sent; the host is still heard, and known when it resumes."""
        self.source.signal(None)
        self.assertIsNone(self.source.destination)
        self.assertTrue(self.source.accepts(PORT, 0.0))
        self.assertIsNone(self.source.destination)
        self.source.signal(SIGNALLED)
        self.assertEqual(self.source.destination, SIGNALLED)


class AllowedSourceTests(SynchronousTestCase):
    """The plain side, where the PBX may send from other hosts."""

    def setUp(self) -> None:
        """The SDP named an address; its neighbours are allowed."""
        self.source = SignalledSource(
            MediaPath(allow=(ip_network("192.0.2.64/26"), ip_network("2001:db8::/32")))
        )
        self.source.signal(SIGNALLED)

    def test_allowed(self) -> None:
        """A host of the network is heard, and gets ours; others are not."""
        self.assertTrue(self.source.allows(OTHER[0]))
        self.assertTrue(self.source.accepts(OTHER, 0.0))
        self.assertEqual(self.source.destination, OTHER)
        for host in ("192.0.2.63", "192.0.2.128", "203.0.113.1", "2001:db9::1"):
            self.assertFalse(self.source.allows(host))
            self.assertFalse(self.source.accepts((host, 4000), 10.0))
        self.assertTrue(self.source.allows("2001:db8::1%eth0"))

    def test_unknown(self) -> None:
        """Before any SDP nobody is heard, allowed or not."""
        source = SignalledSource(MediaPath(allow=(ip_network("0.0.0.0/0"),)))
        self.assertFalse(source.allows(OTHER[0]))
        self.assertFalse(source.accepts(OTHER, 0.0))

    def test_signalledHostFirst(self) -> None:
        """Who came first does not win over the signalled host, and that not over the signalled port."""
        for time, address in enumerate((OTHER, PORT, SIGNALLED)):
            self.assertTrue(self.source.accepts(address, time / 100))
            self.assertEqual(self.source.destination, address)
        for address in (OTHER, PORT):
            self.assertFalse(self.source.accepts(address, 0.03))

    def test_silence(self) -> None:
        """A source that is less surely the peer, or as surely, takes over after silence only."""
        self.source.accepts(PORT, 0.0)
        self.assertFalse(self.source.accepts(OTHER, SILENCE - 0.01))
        self.assertTrue(self.source.accepts(OTHER, SILENCE))
        other = ("192.0.2.98", 4000)
        self.assertFalse(self.source.accepts(other, 2 * SILENCE - 0.01))
        self.assertTrue(self.source.accepts(other, 2 * SILENCE))
        self.assertEqual(self.source.destination, other)


class AsymmetricSourceTests(SynchronousTestCase):
    """A peer that does not receive where it sends from."""

    def test_plain(self) -> None:
        """It is heard from any port of its host, and gets ours where its SDP says."""
        source = SignalledSource(MediaPath(symmetric=False))
        source.signal(SIGNALLED)
        self.assertTrue(source.accepts(PORT, 0.0))
        self.assertEqual(source.destination, SIGNALLED)

    def test_secure(self) -> None:
        """The same with a key, before and after a new SDP, and after hold."""
        source = AuthenticatedSource(MediaPath(symmetric=False))
        source.authenticated(PORT, 0.0)
        source.signal(SIGNALLED, 1.0)
        source.authenticated(OTHER, 2.0)
        self.assertEqual(source.destination, SIGNALLED)
        source.signal(None, 3.0)
        source.authenticated(OTHER, 4.0)
        self.assertIsNone(source.destination)
        source.signal(PORT2, 5.0)
        source.authenticated(OTHER, 6.0)
        self.assertEqual((source.destination, source.usual(), source.steady), (PORT2, OTHER, None))


class AuthenticatedSourceTests(SynchronousTestCase):
    """The secure side."""

    def setUp(self) -> None:
        """The SDP named an address."""
        self.source = AuthenticatedSource()
        self.source.signal(SIGNALLED, 0.0)

    def test_signalledUntilHeard(self) -> None:
        """Ours go to the signalled address until a packet proved another."""
        self.assertEqual(self.source.destination, SIGNALLED)
        self.source.authenticated(OTHER, 1.0)
        self.assertEqual(self.source.destination, OTHER)

    def test_heardBefore(self) -> None:
        """A packet that came before the first SDP has shown the way already."""
        source = AuthenticatedSource()
        source.authenticated(OTHER, 1.0)
        self.assertIsNone(source.destination)
        source.signal(SIGNALLED, 1.0)
        self.assertEqual(source.destination, OTHER)

    def test_repeated(self) -> None:
        """The same SDP again, a session refresh, keeps what was learned."""
        self.source.authenticated(OTHER, 1.0)
        self.source.signal(SIGNALLED, 2.0)
        self.assertEqual(self.source.destination, OTHER)

    def test_moved(self) -> None:
        """A new signalled address counts at once; late packets from the old place do not move it back."""
        self.source.authenticated(SIGNALLED, 1.0)
        self.source.signal(OTHER, 2.0)
        self.assertEqual(self.source.destination, OTHER)
        self.source.authenticated(SIGNALLED, 2.1)
        self.assertEqual(self.source.destination, OTHER)
        self.source.authenticated(PORT, 2.2)
        self.assertEqual(self.source.destination, PORT)

    def test_movedBehindNAT(self) -> None:
        """Where the new address is nobody's, packets from the old place decide once things have settled."""
        self.source.authenticated(PORT, 1.0)
        self.source.signal(OTHER, 2.0)
        self.source.authenticated(PORT, 2.0 + SETTLING)
        self.assertEqual(self.source.destination, PORT)

    def test_hold(self) -> None:
        """Hold sends nothing; what was learned before and during it is kept."""
        self.source.authenticated(PORT, 1.0)
        self.source.signal(None, 2.0)
        self.assertIsNone(self.source.destination)
        self.source.authenticated(PORT2, 3.0)
        self.assertIsNone(self.source.destination)
        self.source.signal(SIGNALLED, 4.0)
        self.assertEqual(self.source.destination, PORT2)
