"""The connection to the carrier ends while a call is up: what tests of it have in common."""

from __future__ import annotations

import re
from typing import Any

from tests.interop.rig.calls import CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.middle import Middle
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.sip import Message, requests
from tests.interop.rig.trunk import USER


class FlowLossCase(CallCase):
    """A trunk whose octets go through a middle that can end its connections."""

    def staged(self, **options: Any) -> None:
        """As L{stage}; of all that goes between carrier and trunk, media is what does not pass the middle."""
        self.middle = self.started(Middle(self.scratch))
        self.keep(self.middle)
        self.prepare()
        self.stage(carrier={"advertised": (self.middle.address, self.middle.port)}, **options)

    def prepare(self) -> None:
        """The middle stands, and nobody has passed it."""

    def wayToCarrier(self) -> str:
        """Through the middle."""
        self.middle.to = self.carrier.address, self.carrier.port
        return f"{self.middle.address}:{self.middle.port}"

    def granted(self) -> int:
        """How many REGISTERs of the trunk were granted."""
        return self.carrier.count(rf"REGISTERED au={USER}")

    def refreshes(self) -> list[Message]:
        """What told bob, inside the call, where the trunk is: each names a Contact."""
        messages = self.bob.messages()
        found = [*requests(messages, "UPDATE", sent=False), *requests(messages, "INVITE", sent=False)]
        return [one for one in found if ";tag=" in one.header("To")]


class SurvivalCase(FlowLossCase):
    """With everything that can be heard and captured, in all four places."""

    def survives(self, how: str, *, bobCalled: bool, bobEnds: bool, seconds: float = 6) -> None:
        """
        Talk, lose the connection as C{how} says, talk on, hang up.

        @param how: a method of L{Middle}.
        @param seconds: until the trunk is registered again.
        """
        self.staged()
        with Capture() as capture:
            if bobCalled:
                self.callPBX()
            else:
                self.callBob()
            listen(1)
            before = self.granted()
            getattr(self.middle, how)()
            waitUntil(lambda: self.granted() > before, seconds, "the trunk registers again")
            waitUntil(self.refreshes, 5, "the trunk tells bob's dialog of its new Contact")
            listen(1)
            (self.bob if bobEnds else self.pbx).hangUp()
            self.bothClosed()
        leg = self.secure(capture, bobCalled=bobCalled)
        self.goodAudio(capture, leg, bobCalled=bobCalled)
        ends = requests(self.bob.messages(), "BYE", sent=bobEnds)
        self.assertEqual(len(ends), 1, "one BYE")
        self.assertGreaterEqual(self.middle.accepted, 2)
        # Where the carrier reaches us has changed, and BYE goes there.
        contact = re.search(r"<([^>]+)>", self.refreshes()[-1].header("Contact"))
        assert contact is not None
        if bobEnds:
            self.assertEqual(ends[0].requestURI, contact[1])
