"""The last of all: every trunk that was set aside ends with nothing left in it."""

from __future__ import annotations

from tests.interop.rig import leftovers
from tests.interop.rig.calls import CallCase, listen


class ZeroLeftTests(CallCase):
    """Sessions, ports and transactions, after the longest timer of SIP."""

    bound = 120

    def test_zeroLeft(self) -> None:
        """
        After a last call, every trunk of this run is waited for: no session, no port, no transaction
        is left in any, and each ends in order on SIGTERM.
        """
        self.stage()
        self.callBob()
        listen(0.5)
        self.pbx.hangUp()
        self.bothClosed()
        self.trunk.checkIdle()
        self.assertGreater(self.trunk.status().transactions, 0)
        leftovers.judgeAll()
        self.trunk.checkEmpty(leftovers.LAST_TIMER)
        self.trunk.terminate()
