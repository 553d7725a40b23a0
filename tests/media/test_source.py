"""
Tests of L{skypetrunk.media.source}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

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

    def test_hold(self) -> None:
        """Hold: nothing is sent; the host is still heard, and known when it resumes."""
        self.source.signal(None)
        self.assertIsNone(self.source.destination)
        self.assertTrue(self.source.accepts(PORT, 0.0))
        self.assertIsNone(self.source.destination)
        self.source.signal(SIGNALLED)
        self.assertEqual(self.source.destination, SIGNALLED)


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
