"""A PBX in this process transfers its calls: REFER to the trunk, and what is told of the outcome."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skypetrunk.core.sides import TAKE_OVER
from skypetrunk.errors import CallRefused, EmergencyRefused
from skypetrunk.interfaces import IPBXCall
from skypetrunk.wire.message import Request
from tests.core.callnet import sdp
from tests.pbx.linenet import OFFER, LineCase, User


class TransferTests(LineCase):
    """Of calls that came in from the carrier, to other numbers of it."""

    def begun(self, called: str = "+4430") -> tuple[Request, IPBXCall, User, Deferred[None]]:
        """The carrier's INVITE, the call, and a transfer that is under way."""
        invite, call, user = self.net.answeredCall()
        self.accepted = self.carrier.response(200)
        self.carrier.channel.clear()
        transferring = call.transfer(called)
        self.net.turn()
        return invite, call, user, transferring

    def refused(self, transferring: Deferred[None]) -> CallRefused:
        """What a transfer failed with."""
        refusal: object = self.failureResultOf(transferring, CallRefused).value
        assert isinstance(refusal, CallRefused)
        return refusal

    def test_succeeds(self) -> None:
        """The trunk calls by the routes of this PBX; when it is answered this call is over for it."""
        invite, call, user, transferring = self.begun("tel:+44-30")
        placed = self.carrier.request("INVITE")
        self.assertEqual(placed.uri, "sip:+4430@carrier.example")
        self.assertNoResult(transferring)
        self.assertTrue(call.media.sending)
        _, asked = [event for event in self.net.observer.events if event[0] == "started"][-1]
        self.assertEqual((asked.called, asked.source), ("+4430", "attendant"))  # type: ignore[attr-defined]
        self.carrier.answers(placed, 180)
        self.net.turn()
        self.carrier.answers(placed, 200, sdp(OFFER, "203.0.113.10"), tag="target")
        self.net.turn()
        self.successResultOf(transferring)
        self.assertEqual(user.events, ["answered", ("ended", "transferred")])
        self.assertFalse(call.media.sending)
        self.assertEqual((self.net.side.calls, self.net.line.calls), (0, 0))
        self.assertNotIn("BYE", self.carrier.channel.summary())
        # The PBX has hung up by itself: no timer is left that would do it.
        self.assertNotIn("hangUp", str(self.net.clock.getDelayedCalls()))
        self.carrier.back(placed, "BYE", 1, tag="target")
        self.net.turn()
        self.carrier.answers(self.carrier.request("BYE"), 200)
        self.net.turn()
        self.settled()

    def test_refused(self) -> None:
        """The target does not answer: the call goes on, and may be transferred again."""
        invite, call, user, transferring = self.begun()
        self.carrier.answers(self.carrier.request("INVITE"), 486)
        self.net.turn()
        self.assertEqual(self.refused(transferring).status, 486)
        self.assertEqual(user.events, ["answered"])
        self.assertTrue(call.media.sending)
        again = call.transfer("404")
        self.net.turn()
        self.assertEqual(self.refused(again).status, 404)
        self.carrier.within(invite, self.accepted, "BYE", 2)
        self.net.turn()
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        self.settled()

    def test_emergencyNumbers(self) -> None:
        """Refused before anything else, in every form, and counted; the call goes on."""
        invite, call, user = self.net.answeredCall()
        before = self.carrier.channel.summary()
        forms = ("112", "9112", "tel:1-1-2", "sip:%31%31%32@x.example", "urn:service:sos")
        for number, form in enumerate(forms, 1):
            transferring = call.transfer(form)
            self.net.turn()
            refusal = self.refused(transferring)
            self.assertIsInstance(refusal, EmergencyRefused, form)
            self.assertEqual((refusal.status, refusal.cause), (503, 34))
            self.assertEqual(self.net.manager.emergencies, number)
        self.assertEqual(self.carrier.channel.summary(), before)
        self.assertEqual(user.events, ["answered"])

    def test_notNow(self) -> None:
        """Before it is answered, while another transfer is under way, and after the end."""
        self.vendor.take = lambda call: call.ring()
        self.net.incoming()
        self.assertEqual(self.refused(self.vendor.calls[0].transfer("+4430")).status, 491)
        _, call, _, transferring = self.begun()
        self.assertEqual(self.refused(call.transfer("+4431")).status, 491)
        self.assertNoResult(transferring)
        call.hangUp()
        self.net.turn()
        self.assertEqual(self.refused(transferring).status, 487)
        self.assertEqual(self.refused(call.transfer("+4432")).status, 491)

    def test_callerGone(self) -> None:
        """The caller does not wait: the other call is taken back."""
        invite, _, user, transferring = self.begun()
        placed = self.carrier.request("INVITE")
        self.carrier.answers(placed, 180)
        self.net.turn()
        self.carrier.within(invite, self.accepted, "BYE", 2)
        self.net.turn()
        self.assertIn(self.refused(transferring).status, (487, 503))
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        self.carrier.answers(self.carrier.request("CANCEL"), 200)
        self.carrier.answers(placed, 487)
        self.net.turn()
        self.settled()

    def test_leaves(self) -> None:
        """The vendor need not wait: who hangs up leaves the caller with the new call."""
        invite, call, user, transferring = self.begun()
        placed = self.carrier.request("INVITE")
        call.hangUp()
        self.net.turn()
        self.refused(transferring)
        self.carrier.answers(placed, 200, sdp(OFFER, "203.0.113.10"), tag="target")
        self.net.turn()
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertNotIn("BYE", self.carrier.channel.summary())

    def test_isReferred(self) -> None:
        """The carrier cannot transfer the PBX: there is nobody to take it over there but the trunk."""
        self.net.carrier.side.ownTransfer = TAKE_OVER
        invite, call, user = self.net.answeredCall()
        self.net.turn()
        self.assertEqual(user.events, ["answered"])
        refer = [("Refer-To", "<sip:+4430@carrier.example>")]
        self.carrier.within(invite, self.carrier.response(200), "REFER", 2, headers=refer)
        self.net.turn()
        self.assertIn(202, self.carrier.channel.summary())
        self.assertTrue(call.media.sending)
