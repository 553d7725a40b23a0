"""
The connection to the carrier ends while a call is up: who talks does not notice.  What takes a minute of it
is in L{tests.interop.rig.silent_flow}, and is run by C{test_endurance}.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.interop.rig.calls import PBX_NUMBER, listen
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.flow_loss import FlowLossCase, SurvivalCase
from tests.interop.rig.processes import waitUntil


class CallTests(SurvivalCase):
    """The connection is closed, in one way or the other."""

    def test_resetCallOut(self) -> None:
        """RST, a call out, the carrier's side hangs up."""
        self.survives("reset", bobCalled=False, bobEnds=True)

    def test_halfClosedCallIn(self) -> None:
        """FIN towards the trunk only, a call in, the carrier's side hangs up."""
        self.survives("halfClose", bobCalled=True, bobEnds=True)


class RingingTests(FlowLossCase):
    """There is no connection while somebody rings."""

    def lost(self, end: Callable[[], None]) -> None:
        """There is no connection, and for a while there can be none."""
        self.middle.refuse()
        end()
        waitUntil(lambda: "connection lost" in self.trunk.text(), 5, "the trunk notices")

    def test_answeredCallIn(self) -> None:
        """
        FIN without close_notify while a call in rings; it is answered meanwhile: the 200 goes by the next
        connection, and so does what follows.
        """
        self.staged(pbxAnswers=False)
        self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        self.pbx.waitEvent("CALL_INCOMING")
        self.bob.waitEvent("CALL_RINGING")
        self.lost(self.middle.close)
        self.pbx.accept()
        self.pbx.waitEvent("CALL_ESTABLISHED")
        listen(0.3)
        self.assertEqual(self.bob.events("CALL_ESTABLISHED"), [])
        self.middle.listen()
        self.bob.waitEvent("CALL_ESTABLISHED", 8)
        listen(1)
        self.bob.hangUp()
        self.bothClosed()

    def test_ringingCallOut(self) -> None:
        """
        A call out rings when the connection ends: the PBX is told at once, and may take another way; bob's
        phone stops ringing as soon as there is a connection again.
        """
        self.staged(bob={"answers": False})
        self.dial()
        self.bob.waitEvent("CALL_INCOMING")
        self.pbx.waitEvent("CALL_RINGING")
        self.lost(self.middle.reset)
        self.pbx.waitEvent("CALL_CLOSED", 2)
        self.middle.listen()
        self.bob.waitEvent("CALL_CLOSED", 8)
        self.assertEqual(self.carrier.count("REQ CANCEL"), 1)
