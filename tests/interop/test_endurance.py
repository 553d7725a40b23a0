"""One long call."""

from __future__ import annotations

from functools import partial

from tests.interop.rig import leftovers
from tests.interop.rig.calls import CallCase
from tests.interop.rig.capture import Capture
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.trunk import USER


class EnduranceTests(CallCase):
    """A call and the registration under it."""

    bound = 180

    def granted(self) -> int:
        """How often the trunk's registration was granted."""
        return self.carrier.count(rf"REGISTERED au={USER}")

    def grantedAtLeast(self, count: int) -> bool:
        """Was it granted C{count} times?"""
        return self.granted() >= count

    def test_outlivesRegistrations(self) -> None:
        """
        The registrar grants 45 s, as behind NAT.  The call lives on over two re-registrations, and
        no packet of it is missing or not authentic.
        """
        self.stage(carrier={"expires": 45})
        before = self.granted()
        with Capture() as capture:
            self.callBob()
            for number in (1, 2):
                waitUntil(partial(self.grantedAtLeast, before + number), 50, f"renewal {number}")
                self.assertEqual(self.carrier.registered().count(USER), 1)
                self.assertEqual(self.trunk.status().calls, 1)
                leftovers.judgeDue()
            self.assertEqual(self.trunk.status().trunks, {"skype": "registered"})
            self.pbx.hangUp()
            self.bothClosed()
        # The whole of it by the reference alone: ffmpeg has judged the same in short calls.
        leg = self.secure(capture, ffmpeg=False)
        self.goodAudio(capture, leg)
        self.assertGreaterEqual(len(leg.toPhone.rtcp), 12)
