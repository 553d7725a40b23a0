"""Certificates that were revoked, or are good: OCSP and CRLs of openssl."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import DOMAIN, Authority, Certificate
from tests.interop.rig.openssl import Registry, Responder, SServer
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.trunk import Trunk


class RevocationTests(InteropCase):
    """A carrier whose certificate is right in all else."""

    def setUp(self) -> None:
        """A CA with a responder."""
        super().setUp()
        self.authority = Authority(self.scratch)
        self.registry = Registry(self.scratch, self.authority)
        self.responder = Responder(self.scratch, self.registry)

    def connect(self, certificate: Certificate, lines: Sequence[str], stapled: Path | None = None) -> None:
        """Start the server and the trunk."""
        self.server = self.started(SServer(self.scratch, certificate, stapled))
        target = f"{self.server.address}:{self.server.port}"
        self.trunk = self.started(
            Trunk(
                self.scratch,
                ("127.0.0.1", 5999),
                caFile=self.authority.file,
                targets=[target],
                tlsLines=lines,
            )
        )

    def accepted(self, words: str) -> None:
        """The trunk registers, and its status says what proved that the certificate is good."""
        waitUntil(self.server.applicationOctets, 10, "application octets")
        self.assertTrue(self.server.applicationOctets().startswith(b"REGISTER sip:" + DOMAIN.encode()))
        found = json.loads(self.trunk.tool("status", "--json").stdout)["trunks"]["skype"]["tls"]["revocation"]
        self.assertRegex(found, rf"^good, says {words}.*, until ")
        self.trunk.terminate(bound=15)

    def refused(self, words: str) -> None:
        """Not one octet is sent above TLS, also at the second attempt, and a line in the log says why."""
        line = rf"wanted .*\bCN={re.escape(DOMAIN)}.*\bseen .*{words}"
        waitUntil(lambda: re.search(line, self.trunk.text()), 10, f"a log line like {line}")
        waitUntil(lambda: self.server.hellos() >= 2, 20, "a second attempt")
        self.assertNotEqual(self.trunk.status().trunks, {"skype": "registered"})
        self.trunk.terminate()
        self.assertEqual(self.server.applicationOctets(), b"")
        self.trunk.checkNoTraceback()

    def test_responder(self) -> None:
        """The responder that the certificate names says that it is good."""
        server = self.authority.issue("server", ocsp=self.responder.url)
        self.registry.enter(server)
        self.started(self.responder)
        self.connect(server, ['revocation = "hard"'])
        self.accepted("the OCSP responder http://")
        self.assertEqual(self.responder.asked(), 1)

    def test_responderRevoked(self) -> None:
        """It says that it was revoked; soft, the default, refuses too."""
        server = self.authority.issue("server", ocsp=self.responder.url)
        self.registry.enter(server, revoked=True)
        self.started(self.responder)
        self.connect(server, [])
        self.refused(r"revoked on \S+ \(keyCompromise\), says the OCSP responder")

    def test_responderUnknown(self) -> None:
        """It does not know the certificate: not good enough where it is hard."""
        self.registry.enter(self.authority.issue("another"))
        server = self.authority.issue("server", ocsp=self.responder.url)
        self.started(self.responder)
        self.connect(server, ['revocation = "hard"'])
        self.refused("unknown, says the OCSP responder")

    def test_stapled(self) -> None:
        """The server staples that it is good; nobody is asked."""
        server = self.authority.issue("server", ocsp=self.responder.url)
        self.registry.enter(server)
        self.started(self.responder)
        self.connect(server, ['revocation = "hard"'], self.registry.staple(server))
        self.accepted("the stapled OCSP answer")
        self.assertEqual(self.responder.asked(), 0)

    def test_stapledRevoked(self) -> None:
        """The server staples that it was revoked."""
        server = self.authority.issue("server")
        self.registry.enter(server, revoked=True)
        self.connect(server, [], self.registry.staple(server))
        self.refused(r"revoked on \S+ \(keyCompromise\), says the stapled OCSP answer")

    def test_list(self) -> None:
        """A CRL of openssl's own CA that does not name it, and one that does."""
        server = self.authority.issue("server")
        self.registry.enter(self.authority.issue("another"), revoked=True)
        self.connect(server, ['revocation = "hard"', f'crl_file = "{self.registry.list()}"'])
        self.accepted("the CRL of CN=Throw-away CA ca")
        self.registry.enter(server, revoked=True)
        self.scratch = self.scratch / "again"
        self.scratch.mkdir()
        self.connect(server, [f'crl_file = "{self.registry.list()}"'])
        self.refused(r"revoked on \S+ \(keyCompromise\), says the CRL of CN=Throw-away CA ca")
