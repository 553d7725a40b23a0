"""What takes minutes: a long call, and beside it whatever else has to wait."""

from __future__ import annotations

import time

from tests.interop.rig import leftovers
from tests.interop.rig.aside import Aside
from tests.interop.rig.calls import CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.trunk import USER

#: Modules of the rig with a test that waits, and one that looks for what it left; with their ports.
BESIDE = {"session_timers": "2000-5999", "silent_flow": "6000-9999"}


class EnduranceTests(CallCase):
    """A call and the registration under it."""

    bound = 180

    def granted(self) -> int:
        """How often the trunk's registration was granted."""
        return self.carrier.count(rf"REGISTERED au={USER}")

    def test_outlivesRegistrations(self) -> None:
        """
        The registrar grants 45 s, as behind NAT.  The call lives on over two re-registrations, and
        no packet of it is missing or not authentic.  It promises to answer pings: three or more are
        sent in this time, and one without pong would end the connection.

        Meanwhile other trunks play L{BESIDE}.
        """
        others = [
            self.started(Aside(self.scratch, f"tests.interop.rig.{name}", ports))
            for name, ports in BESIDE.items()
        ]
        self.stage(carrier={"expires": 45})
        before = self.granted()
        with Capture() as capture:
            self.callBob()
            # Twice 45 s and more: a binding that was not renewed would be gone, and so would be the flow.
            end = time.monotonic() + 95
            while time.monotonic() < end:
                listen(5)
                self.assertEqual(self.carrier.registered().count(USER), 1)
                self.assertEqual(self.trunk.status().calls, 1)
                leftovers.judgeDue()
            self.assertGreaterEqual(self.granted(), before + 2)
            self.assertEqual(self.trunk.status().trunks, {"skype": "registered"})
            log = self.trunk.log.read_text(errors="replace")
            self.assertEqual(log.count("sip.skype.com: connected to"), 1)
            self.assertEqual(log.count("connection given up"), 0)
            self.pbx.hangUp()
            self.bothClosed()
        # The whole of it by the reference alone: ffmpeg has judged the same in short calls.
        leg = self.secure(capture, ffmpeg=False)
        self.goodAudio(capture, leg)
        self.assertGreaterEqual(len(leg.toPhone.rtcp), 12)
        for other in others:
            other.passed(2, 40)
