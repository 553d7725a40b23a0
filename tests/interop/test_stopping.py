"""SIGTERM, and a second instance."""

from __future__ import annotations

from tests.interop.rig.calls import CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.ports import boundPorts
from tests.interop.rig.sip import requests
from tests.interop.rig.trunk import USER, Trunk


class StoppingTests(CallCase):
    """The end of the process."""

    def test_terminate(self) -> None:
        """SIGTERM in a call: BYE to both sides, the registration removed, all within a bound."""
        self.stage()
        with Capture() as capture:
            self.callBob()
            listen(0.5)
            seconds = self.trunk.terminate(bound=10)
            self.bothClosed()
        self.assertLess(seconds, 5)
        self.assertEqual(len(requests(capture.sip(self.pbx.address, self.pbx.port), "BYE", sent=False)), 1)
        self.assertEqual(len(requests(self.bob.messages(), "BYE", sent=False)), 1)
        self.assertNotIn(USER, self.carrier.registered())
        first, last = self.trunk.mediaPorts[0], self.trunk.mediaPorts[-1]
        self.assertEqual(boundPorts("udp", self.trunk.address, first, last), [])
        self.trunk.checkNoTraceback()

    def test_terminateWhileRinging(self) -> None:
        """SIGTERM while the far end rings: CANCEL there, a final answer here."""
        self.stage(bob={"answers": False})
        self.dial()
        self.bob.waitEvent("CALL_INCOMING")
        self.pbx.waitEvent("CALL_RINGING")
        self.assertLess(self.trunk.terminate(bound=10), 5)
        self.bothClosed()
        self.assertNotIn(USER, self.carrier.registered())
        self.trunk.checkNoTraceback()

    def test_secondInstance(self) -> None:
        """A second instance on the same port says so in one line and ends with a non-zero status."""
        self.stage(bob={"absent": True})
        second = Trunk(
            self.scratch,
            (self.pbx.address, self.pbx.port),
            caFile=self.scratch / "ca.crt",
            targets=[f"{self.carrier.address}:{self.carrier.port}"],
            port=self.trunk.port,
            name="second",
        )
        self.addCleanup(second.stop)
        second.startOnly()
        self.assertNotEqual(second.waitEnded(10), 0)
        where = f"{self.trunk.address}:{self.trunk.port}"
        lines = [line for line in second.text().splitlines() if where in line and "in use" in line.lower()]
        self.assertEqual(len(lines), 1, second.text())
        second.checkNoTraceback()
        self.assertEqual(self.trunk.status().trunks, {"skype": "registered"})
