"""Tests of L{skypetrunk.core.answers}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.answers import NO_CIRCUIT, acrossStatus, reasonHeader


class AcrossTests(SynchronousTestCase):
    """What one leg's refusal is on the other."""

    def test_ofTheCallee(self) -> None:
        """Refusals that speak of the callee or of capacity stay what they are."""
        for status in (403, 404, 408, 410, 480, 484, 486, 488, 500, 503, 600, 603, 604, 606):
            self.assertEqual(acrossStatus(status), status)

    def test_ofOurRequest(self) -> None:
        """What was wrong with our own request, or the carrier's trust in us, is not the caller's fault."""
        for status in (400, 405, 414, 415, 416, 420, 421, 482, 483, 505, 513):
            self.assertEqual(acrossStatus(status), 502)
        for status in (401, 407):
            self.assertEqual(acrossStatus(status), 503)

    def test_ofAnotherDialog(self) -> None:
        """481 and 487 speak of a dialog and a transaction that the other side does not know."""
        self.assertEqual((acrossStatus(481), acrossStatus(487)), (480, 480))

    def test_redirection(self) -> None:
        """A redirection is not followed."""
        self.assertEqual({acrossStatus(status) for status in (300, 301, 302, 305, 380)}, {480})

    def test_always(self) -> None:
        """Every final refusal becomes one."""
        self.assertTrue(all(400 <= acrossStatus(status) < 700 for status in range(300, 700)))

    def test_reason(self) -> None:
        """RFC 3326; whatever the text holds stays within its quotes."""
        header = reasonHeader(NO_CIRCUIT, "no circuit")
        self.assertEqual(header, ("Reason", 'Q.850;cause=34;text="no circuit"'))
        header = reasonHeader(21, 'a "quoted\\ text\r\nEvil: 1')
        self.assertEqual(header.value, 'Q.850;cause=21;text="a \\"quoted\\\\ text Evil: 1"')
