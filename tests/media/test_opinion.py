"""
Tests of L{skypetrunk.media.opinion}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.opinion import burstRatio, delayImpairment, impairment, opinion, score


class OpinionTests(SynchronousTestCase):
    """The E-model beside published values."""

    def test_ratings(self) -> None:
        """G.107 table B.1, and the score of the default values."""
        for rating, published in ((90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (93.2, 4.41)):
            self.assertLess(abs(opinion(rating) - published), 0.01)

    def test_ends(self) -> None:
        """The scale has ends, and never falls as the rating grows."""
        self.assertEqual((opinion(-20), opinion(0), opinion(100), opinion(130)), (1, 1, 4.5, 4.5))
        scores = [opinion(rating / 2) for rating in range(220)]
        self.assertEqual(scores, sorted(scores))

    def test_g729(self) -> None:
        """G.113 (2001) table I.3: whole numbers by per cent of loss."""
        published = {0: 11, 0.5: 13, 1: 15, 1.5: 17, 2: 19, 3: 23, 4: 26, 8: 36, 16: 49}
        for percent, value in published.items():
            self.assertLess(abs((impairment("G729", percent / 100) or 0) - value), 0.6, percent)

    def test_g711(self) -> None:
        """G.113 (2001) table I.2, with concealment, random loss: measured, which the formula smooths."""
        for percent, value in {0: 0, 1: 5, 2: 7, 3: 10, 5: 15, 7: 20, 10: 25}.items():
            for codec in ("PCMU", "pcma"):
                found = impairment(codec, percent / 100)
                assert found is not None
                self.assertLess(abs(found - value), 2.2, percent)

    def test_bursts(self) -> None:
        """
        G.107 section 3.5: losses of chance have a BurstR of 1; longer ones are heard more, at the same loss.
        """
        self.assertAlmostEqual(burstRatio(0.2, 1 / 0.8), 1.0)
        self.assertEqual(burstRatio(0.5, 1.0), 1.0)
        self.assertAlmostEqual(burstRatio(0.02, 4.0), 3.92)
        self.assertAlmostEqual(impairment("PCMA", 0.02, 2.0) or 0, 95 * 2 / (1 + 25.1))
        self.assertEqual(score("PCMA", 95, 5, 5), score("PCMA", 95, 5))
        self.assertEqual(score("PCMA", 95, 5, 1), round(opinion(93.2 - 95 * 5 / (5 / 4.75 + 25.1)), 2))

    def test_delay(self) -> None:
        """
        Id beside the approximation by Cole and Rosenbluth (2001), 0.024 d + 0.11 (d - 177.3), the latter
        above 177.3 ms; nothing without delay, and ever more.
        """
        self.assertEqual(delayImpairment(0.0), 0.0)
        for ms in range(0, 320, 20):
            approximation = 0.024 * ms + max(0.0, 0.11 * (ms - 177.3))
            self.assertLess(abs(delayImpairment(ms / 1000) - approximation), 0.8, ms)  # it has an edge
        damages = [delayImpairment(ms / 1000) for ms in range(0, 2000, 10)]
        self.assertEqual(damages, sorted(damages))
        self.assertEqual(score("PCMA", 100, 0, 0, 0.0), round(opinion(93.2 - delayImpairment(0.04)), 2))
        self.assertEqual(score("PCMA", 100, 0, 0, 0.5), round(opinion(93.2 - delayImpairment(0.29)), 2))
        self.assertIsNone(score("opus", 100, 0, 0, 0.5))

    def test_score(self) -> None:
        """A clean stream, one with loss, none, and a codec that has no figures."""
        self.assertEqual(score("PCMA", 1000, 0), 4.41)
        self.assertEqual(score("G729", 1000, 0), 4.1)
        self.assertEqual(score("PCMA", 95, 5), round(opinion(93.2 - 95 * 5 / 30.1), 2))
        self.assertIsNone(score("PCMA", 0, 0))
        self.assertIsNone(score("opus", 1000, 0))
