"""
A connection that falls silent in a call.  It takes a minute, nearly all of it waiting, so that
C{tests.interop.test_endurance} has it run beside its own.
"""

from __future__ import annotations

from tests.interop.rig import leftovers
from tests.interop.rig.flow_loss import SurvivalCase


class SilentTests(SurvivalCase):
    """Nothing is closed."""

    def test_silentCallOut(self) -> None:
        """
        The connection stands and nothing crosses it any more, a call out, the PBX hangs up: a ping without a
        pong shows it, half a minute later.
        """
        self.survives("freeze", bobCalled=False, bobEnds=False, seconds=50)

    def test_zeroLeft(self) -> None:
        """In the end nothing of it is left in the trunk."""
        self.assertEqual(leftovers.judgeAll(), 1)
