"""Certificates, ours and theirs: each kind of bad server, and carriers that ask who we are."""

from __future__ import annotations

import re
from ipaddress import ip_address

from cryptography import x509

from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import DOMAIN, Authority, Certificate, encrypted
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.openssl import SServer
from tests.interop.rig.ports import host
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.trunk import PASSWORD, USER, Trunk

#: A PBX that is never called.
NOBODY = ("127.0.0.1", 5999)


class ServerTests(InteropCase):
    """Servers that do not prove the trunk's domain."""

    def test_eachKind(self) -> None:
        """
        One of each kind, one after the other, twice: each is refused with what was wanted and seen, and not
        one octet is sent above TLS.
        """
        authority = Authority(self.scratch)
        servers = {
            words: self.started(SServer(self.scratch, certificate, name=f"server{number}"))
            for number, (words, certificate) in enumerate(self.certificates(authority).items())
        }
        targets = [f"{each.address}:{each.port}" for each in servers.values()]
        trunk = self.started(Trunk(self.scratch, NOBODY, caFile=authority.file, targets=targets))
        waitUntil(lambda: all(each.hellos() >= 2 for each in servers.values()), 20, "a second attempt at all")
        self.assertNotEqual(trunk.status().trunks, {"skype": "registered"})
        said = re.search(r"no connection: (.*)", trunk.text())
        assert said is not None
        for words, server in servers.items():
            where = re.escape(f"{server.address}:{server.port}")
            reason = re.search(rf"{where}: wanted (.*?)(; tls:|$)", said[1])
            self.assertIsNotNone(reason, f"{words}: {said[1]}")
            assert reason is not None
            self.assertRegex(reason[1], f"(?i)seen .*{words}")
        trunk.terminate()
        trunk.checkNoTraceback()
        self.assertEqual([each.applicationOctets() for each in servers.values()], [b""] * len(servers))

    def certificates(self, authority: Authority) -> dict[str, Certificate]:
        """By what is seen instead of what is wanted."""
        below = Authority(self.scratch, "below", authority)
        uri, name = x509.UniformResourceIdentifier, x509.DNSName
        return {
            "not valid before": authority.issue("future", since=2),
            "its extended key usage is clientAuth": authority.issue("client", clientOnly=True),
            # Its intermediate is not sent.
            "issued by CN=Throw-away CA below": below.issue("below"),
            r"\*\.skype\.com": authority.issue("wild", names=[name("*.skype.com")]),
            host(12): authority.issue("literal", names=[x509.IPAddress(ip_address(host(12)))]),
            r"sip:user@": authority.issue("user", names=[uri(f"sip:user@{DOMAIN}")]),
            r"sip\.skype\.com\.evil\.example": authority.issue(
                "longer", names=[name(f"{DOMAIN}.evil.example")]
            ),
            "sip:skype\\.com": authority.issue("parent", names=[name("skype.com"), uri("sip:skype.com")]),
            "no SubjectAltName": authority.issue("common", names=[]),
        }


class ClientTests(InteropCase):
    """Kamailio asks for the trunk's certificate."""

    def trunkAt(self, certificate: Certificate | None, *, demanding: bool) -> None:
        """
        A trunk, and a carrier that asks it.

        @param certificate: what it shows; its key needs a password.
        """
        self.authority = getattr(self, "authority", None) or Authority(self.scratch)
        own = []
        if certificate is not None:
            password = self.scratch / "key.secret"
            password.write_text("of the key\n")
            password.chmod(0o600)
            own = [
                f'certificate = "{certificate.certificate}"',
                f'key = "{encrypted(certificate, "of the key")}"',
                f'key_password_file = "{password}"',
            ]
        self.carrier = self.started(
            Kamailio(
                self.scratch,
                self.authority.issue("server"),
                {USER: PASSWORD},
                {},
                clients=self.authority.file,
                demanding=demanding,
            )
        )
        target = f"{self.carrier.address}:{self.carrier.port}"
        self.trunk = self.started(
            Trunk(self.scratch, NOBODY, caFile=self.authority.file, targets=[target], tlsLines=own)
        )

    def refused(self, words: str) -> None:
        """The carrier takes nothing, and the trunk says why, as far as it is told."""
        waitUntil(lambda: re.search(words, self.trunk.text()), 10, f"the log says {words}")
        self.assertEqual(self.carrier.registered(), [])
        self.assertEqual(self.carrier.count("REQ REGISTER"), 0)
        self.assertNotEqual(self.trunk.status().trunks, {"skype": "registered"})
        self.trunk.terminate()
        self.trunk.checkNoTraceback()

    def test_demanded(self) -> None:
        """With the right one, whose key is encrypted, it registers; the password of the key is nowhere."""
        self.authority = Authority(self.scratch)
        self.trunkAt(self.authority.issue("own", "pbx.example"), demanding=True)
        self.trunk.waitRegistered()
        self.assertIn("require_certificate=1", self.carrier.text())
        self.assertNotIn("of the key", self.trunk.text())

    def test_asked(self) -> None:
        """It has none, and none is demanded: the carrier is answered that there is none."""
        self.trunkAt(None, demanding=False)
        self.trunk.waitRegistered()
        self.assertIn("verify_certificate=1", self.carrier.text())

    def test_missing(self) -> None:
        """It has none where one is demanded."""
        self.trunkAt(None, demanding=True)
        self.refused("certificate.required")

    def test_unknown(self) -> None:
        """It has one of a CA that the carrier does not know."""
        other = Authority(self.scratch, "another").issue("own", "pbx.example")
        self.trunkAt(other, demanding=True)
        self.refused("unknown.ca")
