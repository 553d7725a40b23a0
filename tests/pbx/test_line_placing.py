"""A PBX in this process: calls that it places, and emergency numbers, which never leave."""

from __future__ import annotations

from skypetrunk.errors import CallRefused, EmergencyRefused
from tests.core.callnet import sdp
from tests.pbx.linenet import OFFER, SOUND, Boom, LineCase, User, key, sound


class OutgoingTests(LineCase):
    """Calls of the vendor."""

    def accept(self) -> None:
        """The carrier answers."""
        self.carrier.answers(self.carrier.request("INVITE"), 200, sdp(OFFER, "203.0.113.9"))
        self.net.turn()

    def test_answered(self) -> None:
        """It rings, is answered, and ends; it is routed and told as the call of any PBX."""
        call, user = self.net.placedCall("tel:+44-20")
        invite = self.carrier.request("INVITE")
        self.assertEqual(invite.uri, "sip:+4420@carrier.example")
        name, asked = self.net.observer.events[0]
        self.assertEqual((name, asked.called, asked.source), ("started", "+4420", "attendant"))  # type: ignore[attr-defined]
        self.carrier.answers(invite, 180)
        self.net.turn()
        self.accept()
        self.assertEqual(user.events, [180, "answered"])
        self.assertTrue(call.media.sending)
        self.net.relayed(sound(SOUND))
        self.assertEqual(user.events[-1], SOUND)
        self.carrier.back(invite, "BYE", 1)
        self.net.turn()
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        self.settled()

    def test_nothingWithin(self) -> None:
        """Nobody is told anything while placeCall runs."""
        user = User()
        self.vendor.line.placeCall("404", "", user)
        self.assertEqual(user.events, [])
        self.net.turn()
        self.assertEqual(user.events, [("refused", 404)])
        self.settled()

    def test_refused(self) -> None:
        """Status and cause, as any PBX is told them."""
        _, user = self.net.placedCall()
        self.carrier.answers(self.carrier.request("INVITE"), 486, headers=[("Reason", "Q.850;cause=17")])
        self.net.turn()
        assert user.refusal is not None
        self.assertNotIsInstance(user.refusal, EmergencyRefused)
        self.assertEqual((user.events, user.refusal.cause), ([("refused", 486)], 17))
        self.settled()

    def test_early(self) -> None:
        """Audio before the answer."""
        call, user = self.net.placedCall()
        self.carrier.answers(self.carrier.request("INVITE"), 183, sdp(OFFER, "203.0.113.9"))
        self.net.turn()
        self.net.relayed(sound(SOUND), key(1))
        self.assertEqual(user.events, [183, SOUND, "key 1"])
        self.accept()
        self.assertEqual(user.events[-1], "answered")
        self.assertTrue(call.media.sending)

    def test_takenBack(self) -> None:
        """Hung up while it rings: CANCEL."""
        call, user = self.net.placedCall()
        invite = self.carrier.request("INVITE")
        self.carrier.answers(invite, 180)
        self.net.turn()
        call.hangUp()
        self.net.turn()
        self.carrier.answers(self.carrier.request("CANCEL"), 200)
        self.carrier.answers(invite, 487)
        self.net.turn()
        self.assertEqual(user.events, [180, ("refused", 487)])
        self.settled()

    def test_callerShown(self) -> None:
        """The number and a name; nothing that a program puts there can break a message."""
        self.net.profile = self.net.profile.__class__(fromUser="caller")
        seen = []
        for caller, name in (("1001", "A\r\nX: y"), ("", None), ("a b\r\n\udcff\ud800", "\u00fc")):
            self.vendor.line.placeCall("+4420", caller, User(), name)
            self.net.turn()
            sent = [m for received, m in self.net.seen if not received]
            address = sent[-1].fromAddress  # type: ignore[attr-defined]
            seen.append((address.display, address.uri.userUnescaped))
        self.assertEqual(seen[:2], [("AX: y", "1001"), ("Anonymous", "anonymous")])
        self.assertEqual(seen[2], ("\u00fc", "a b\r\n\\udcff\\ud800"))

    def test_stopped(self) -> None:
        """Who has calls when the line stops is told; later calls are refused at once."""
        _, user = self.net.placedCall()
        _, _, other = self.net.answeredCall()
        self.net.line.stop()
        self.assertEqual(user.events[-1], ("refused", 487))
        self.assertEqual(other.events[-1], ("ended", "the trunk has stopped"))
        self.assertRaises(CallRefused, self.vendor.line.placeCall, "+4420", "1", User())
        self.assertEqual(self.net.ends.openPorts, 0)


class EmergencyTests(LineCase):
    """No emergency number reaches a trunk, and the vendor is told why."""

    def test_emergencyNumbers(self) -> None:
        """In every form: the number, behind the outside line, as tel: and sip:, escaped, and the service."""
        forms = [
            "112",
            " 112 ",
            "9112",
            "tel:112",
            "tel:1-1-2",
            "tel:9112",
            "TEL:112;phone-context=+44",
            "sip:112@anywhere.example",
            "sip:%31%31%32@anywhere.example;user=phone",
            "sips:9112;x=y@anywhere.example",
            "%31%31%32",
            "urn:service:sos",
            "URN:Service:SOS.police",
        ]
        for number, form in enumerate(forms, 1):
            _, user = self.net.placedCall(form)
            self.assertEqual(user.events, [("refused", 503)], form)
            assert isinstance(user.refusal, EmergencyRefused), form
            self.assertEqual(user.refusal.cause, 34)
            self.assertEqual(self.net.manager.emergencies, number)
        self.assertEqual(self.carrier.channel.sent, [])
        self.settled()

    def test_planFails(self) -> None:
        """Who cannot say whether it is one has said so: the trunk's own plan is not asked any more."""

        class Broken:
            def isEmergency(self, called: str) -> bool:
                raise Boom

        self.net.line._numbers = Broken()  # type: ignore[assignment]
        _, user = self.net.placedCall("+4420")
        self.assertIsInstance(user.refusal, EmergencyRefused)
        self.assertEqual((len(self.flushLoggedErrors(Boom)), self.carrier.channel.sent), (1, []))
