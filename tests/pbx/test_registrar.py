"""A PBX that registers (RFC 3261 section 10.3)."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.pbx.registrar import Registrar
from skypetrunk.testing import countingToken
from skypetrunk.wire.address import TransportAddress, parseAddress
from skypetrunk.wire.message import Header, Request, Response

SOURCE = parseAddress("udp:192.0.2.10:5070")


class RegistrarTests(SynchronousTestCase):
    """L{Registrar}."""

    def setUp(self) -> None:
        """Nothing is registered."""
        self.clock = Clock()
        self.registrar = Registrar("office", self.clock.seconds, countingToken())
        self.sequence = 0

    def register(
        self,
        *contacts: str,
        to: str = "sip:office@trunk.example",
        expires: str | None = None,
        callID: str = "1",
        sequence: int | None = None,
        source: TransportAddress = SOURCE,
    ) -> Response:
        """The answer to a REGISTER, by default the next of its series."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        lines = [
            ("Via", "SIP/2.0/UDP 192.0.2.10:5070;branch=z9hG4bK1"),
            ("From", f"<{to}>;tag=1"),
            ("To", f"<{to}>"),
            ("Call-ID", callID),
            ("CSeq", f"{self.sequence} REGISTER"),
            *[("Contact", contact) for contact in contacts],
            *([] if expires is None else [("Expires", expires)]),
        ]
        request = Request("REGISTER", "sip:trunk.example", tuple(Header(*line) for line in lines))
        return self.registrar.register(request, source)

    def found(self) -> str | None:
        """Where calls would go."""
        binding = self.registrar.find()
        return None if binding is None else str(binding.uri)

    def test_register(self) -> None:
        """It is granted what it asks for, as the answer says, and ends by itself."""
        response = self.register("<sip:pbx@192.0.2.10:5070;line=x>;expires=300")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.values("Contact"), ("<sip:pbx@192.0.2.10:5070;line=x>;expires=300",))
        binding = self.registrar.find()
        assert binding is not None
        self.assertEqual((str(binding.uri), binding.source), ("sip:pbx@192.0.2.10:5070;line=x", SOURCE))
        self.clock.advance(299)
        self.assertEqual(self.registrar.left(binding), 1)
        self.assertIsNotNone(self.found())
        self.clock.advance(1)
        self.assertIsNone(self.found())

    def test_expires(self) -> None:
        """The parameter before the header before an hour; no more than an hour."""
        for parameter, header, granted in (
            (";expires=120", "600", 120),
            ("", "600", 600),
            ("", None, 3600),
            (";expires=never", "600", 3600),
            (";expires=86400", None, 3600),
        ):
            response = self.register(f"<sip:pbx@192.0.2.10>{parameter}", expires=header)
            self.assertEqual(response.header("Contact"), f"<sip:pbx@192.0.2.10>;expires={granted}")

    def test_tooBrief(self) -> None:
        """Less than a minute is 423 with what would be enough (section 21.4.17)."""
        response = self.register("<sip:pbx@192.0.2.10>;expires=59")
        self.assertEqual((response.status, response.header("Min-Expires")), (423, "60"))
        self.assertIsNone(self.found())

    def test_remove(self) -> None:
        """Zero seconds removes one, a star all."""
        self.register("<sip:a@192.0.2.10>")
        self.register("<sip:b@192.0.2.10>")
        self.assertEqual(self.found(), "sip:b@192.0.2.10")
        response = self.register("<sip:b@192.0.2.10>;expires=0")
        self.assertEqual(len(response.values("Contact")), 1)
        self.assertEqual(self.found(), "sip:a@192.0.2.10")
        self.assertEqual(self.register("*").status, 400)
        self.assertEqual(self.register("*", expires="60").status, 400)
        self.assertEqual(self.found(), "sip:a@192.0.2.10")
        self.assertEqual(self.register("*", expires="0").status, 200)
        self.assertIsNone(self.found())

    def test_query(self) -> None:
        """Without a Contact it only asks; a refresh makes a Contact the newest."""
        self.register("<sip:a@192.0.2.10>")
        self.register("<sip:b@192.0.2.10>")
        self.register("<sip:a@192.0.2.10>")
        self.assertEqual(self.found(), "sip:a@192.0.2.10")
        self.assertEqual(len(self.register().values("Contact")), 2)

    def test_10_3_7_order(self) -> None:
        """A REGISTER that was overtaken is refused, and changes nothing; one of another series is not."""
        self.register("<sip:a@192.0.2.10>", sequence=5)
        for contacts, expires in ((("<sip:a@192.0.2.10>;expires=0",), None), (("*",), "0")):
            self.assertEqual(self.register(*contacts, expires=expires, sequence=5).status, 500)
        # All or nothing.
        self.assertEqual(self.register("<sip:b@192.0.2.10>", "<sip:a@192.0.2.10>", sequence=4).status, 500)
        self.assertEqual([str(each.uri) for each in self.registrar.bindings()], ["sip:a@192.0.2.10"])
        response = self.register("<sip:a@192.0.2.10>;expires=0", callID="2", sequence=1)
        self.assertEqual(response.status, 200)
        self.assertIsNone(self.found())

    def test_wrong(self) -> None:
        """Another account is 404; a Contact that cannot be called is 400."""
        self.assertEqual(self.register("<sip:a@192.0.2.10>", to="sip:other@trunk.example").status, 404)
        self.assertEqual(self.register("<sip:a@192.0.2.10>", to="tel:+4420").status, 404)
        for contact in ("<tel:+4420>", "<sips:a@192.0.2.10>", "<mailto:a@b>"):
            self.assertEqual(self.register(contact).status, 400)
        self.assertIsNone(self.found())

    def test_SIPS(self) -> None:
        """A PBX that registers over TLS may want to be called by a SIPS URI."""
        source = TransportAddress("TLS", "192.0.2.10", 40000)
        self.assertEqual(self.register("<sips:pbx@192.0.2.10:5061>", source=source).status, 200)
        self.assertEqual(self.found(), "sips:pbx@192.0.2.10:5061")

    def test_bounded(self) -> None:
        """Old Contacts make room for new ones."""
        for port in range(5060, 5070):
            self.register(f"<sip:pbx@192.0.2.10:{port}>")
        kept: list[Any] = [each.uri.port for each in self.registrar.bindings()]
        self.assertEqual(kept, [5065, 5066, 5067, 5068, 5069])
