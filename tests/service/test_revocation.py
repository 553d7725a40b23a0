"""A whole trunk whose carrier's certificate names an OCSP responder: real TLS and real HTTP, in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from cryptography import x509
from twisted.web.resource import Resource
from twisted.web.server import Site

from skypetrunk.service.certificate_watch import WATCH_SECONDS
from skypetrunk.tools.status import summary
from tests.net.certificates import Issued, dns, intermediate, leaf
from tests.net.revoking import access, answer, crl
from tests.service.carriernet import DOMAIN, CarrierCase
from tests.service.test_inbound import InboundCase


class _Responder(Resource):
    """Answers what the test wants."""

    isLeaf = True
    body = b""
    asked = 0

    def render_POST(self, request: Any) -> bytes:
        """One more question."""
        self.asked += 1
        return self.body


class HardTests(CarrierCase):
    """C{revocation = "hard"}."""

    tls = {"revocation": "hard"}

    def certificate(self) -> Issued:
        """It names a responder."""
        self.issued = leaf(dns(DOMAIN), extensions=[access("http://192.0.2.80/")])
        return self.issued

    def setUp(self) -> None:
        """The responder listens."""
        super().setUp()
        self.responder = _Responder()
        self.network.listen("192.0.2.80", 80, Site(self.responder, reactor=self.reactor))

    def test_good(self) -> None:
        """Registered; the status says who said what, and until when the certificate holds."""
        self.responder.body = answer(self.issued)
        self.start()
        self.grants()
        status: Any = self.trunk.status()
        self.assertTrue(status["up"])
        found = "good, says the OCSP responder http://192.0.2.80/, until 2"
        self.assertIn(found, status["tls"]["revocation"])
        (line, *_) = summary({"trunks": {"carrier": status}})
        end = self.issued.certificate.not_valid_after_utc
        self.assertIn(f"proved by DNS carrier.example, certificate until {end:%Y-%m-%d}, {found}", line)
        self.connections[0].abort("gone")
        self.network.flush()
        self.network.advance(2)
        self.assertEqual((len(self.connections), self.responder.asked), (1, 1))

    def test_revoked(self) -> None:
        """Nothing of SIP is sent, however often it is tried; the status says why."""
        self.responder.body = answer(self.issued, "revoked")
        self.start()
        for _ in range(5):
            self.network.advance(60)
        self.assertEqual(self.carrier.transactions, [])
        self.assertGreater(len(self.network.pumps), 3)
        self.assertIn("revoked on ", str(self.trunk.status()["problem"]))

    def test_silent(self) -> None:
        """A responder that cannot be reached."""
        self.network.unlisten("192.0.2.80", 80)
        self.network.blackhole("192.0.2.80", 80)
        self.start()
        self.network.advance(2)
        self.assertEqual(self.carrier.transactions, [])
        self.assertIn("nothing within 2 s", str(self.trunk.status()["problem"]))


class OffTests(HardTests):
    """C{revocation = "off"}: nobody is asked."""

    tls = {"revocation": "off"}

    def test_good(self) -> None:
        """Nothing is said about it."""
        self.start()
        status: Any = self.trunk.status()
        self.assertIsNone(status["tls"]["revocation"])
        self.assertEqual(len(self.requests("REGISTER")), 1)
        self.assertEqual(self.responder.asked, 0)

    test_revoked = test_silent = test_good


class SoftTests(HardTests):
    """C{revocation = "soft"}, the default."""

    tls = {}

    def test_silent(self) -> None:
        """A responder that cannot be reached lets the carrier pass, and the status says so."""
        self.network.unlisten("192.0.2.80", 80)
        self.network.blackhole("192.0.2.80", 80)
        self.start()
        self.assertEqual(self.carrier.transactions, [])
        self.network.advance(2)
        self.assertEqual(len(self.requests("REGISTER")), 1)
        status: Any = self.trunk.status()
        self.assertIn("revocation not known (soft): no answer", status["tls"]["revocation"])


class SummaryTests(CarrierCase):
    """What C{skypetrunk status} says about a certificate that ends soon."""

    def certificate(self) -> Issued:
        """It ends within a day."""
        return intermediate("Short", extensions=[x509.SubjectAlternativeName(dns(DOMAIN))])

    def test_soon(self) -> None:
        """So many days are left."""
        self.start()
        self.grants()
        (line, *_) = summary({"trunks": {"carrier": self.trunk.status()}})
        self.assertIn(" (0 days), revocation not known (soft): it names no OCSP responder", line)


class InboundTests(InboundCase):
    """A carrier that calls in with a certificate that may have been revoked."""

    def setUp(self) -> None:
        """The trunk has a CRL."""
        self.files = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
        self.addCleanup(rmtree, self.files)
        self.issued = leaf(dns(DOMAIN), subject="Edge", keyName="edge")
        (self.files / "carrier.crl").write_bytes(crl())
        self.tls = {"crlFile": self.files / "carrier.crl"}
        super().setUp()

    def test_revoked(self) -> None:
        """Let in as long as the CRL does not name it; from then on its next connection is refused."""
        self.assertEqual(len(self.calls(self.issued)), 1)
        (self.files / "carrier.crl").write_bytes(crl(self.issued))
        self.network.advance(WATCH_SECONDS)
        self.network.advance(WATCH_SECONDS)
        self.calls(self.issued)
        assert self.trunk.inbound is not None
        status = self.trunk.inbound.status()
        self.assertEqual((status["connections"], status["handshakes"]), (1, 1))
