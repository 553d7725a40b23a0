"""The connection to the carrier ends while a call is up: who talks does not notice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.interop.rig.calls import PBX_NUMBER, CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.certificates import DOMAIN
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


class CallTests(FlowLossCase):
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

    def test_resetCallOut(self) -> None:
        """RST, a call out, the carrier's side hangs up."""
        self.survives("reset", bobCalled=False, bobEnds=True)

    def test_halfClosedCallIn(self) -> None:
        """FIN towards the trunk only, a call in, the carrier's side hangs up."""
        self.survives("halfClose", bobCalled=True, bobEnds=True)

    def test_silentCallOut(self) -> None:
        """
        The connection stands and nothing crosses it any more, a call out, the PBX hangs up: a ping without a
        pong shows it, half a minute later.
        """
        self.survives("freeze", bobCalled=False, bobEnds=False, seconds=50)


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
