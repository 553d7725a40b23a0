"""What a profile wants of its trunk's configuration."""

from __future__ import annotations

from tests.service.configurations import SHORT, ConfigurationTestCase, keyPEM, makeCertificate

NAMES = tuple((f"sip{number}.pstnhub.microsoft.com", 5061) for number in ("", "2", "3"))
OWN = 'certificate = "own.pem"\nkey = "own.key"\n'
TLS = f'[trunk.tls]\nca_file = "carrier-ca.pem"\n{OWN}'
INBOUND = f'[trunk.inbound]\nlisten = ["tls:192.0.2.1:5061"]\n{OWN}'
NAMED = 'name = "sbc.example.com"\n'


class TeamsTests(ConfigurationTestCase):
    """A carrier that knows its customers by certificate and host name, and has three names."""

    def setUp(self) -> None:
        """With a certificate of ours."""
        super().setUp()
        certificate, key = makeCertificate("sbc.example.com")
        self.write("own.pem", certificate)
        self.write("own.key", keyPEM(key))
        self.write("carrier-ca.pem", makeCertificate("Carrier")[0])

    def text(self, tables: str, lines: str = "") -> str:
        """A configuration with these tables, and lines before them."""
        text = SHORT.replace('"generic"', '"teams-direct-routing"')
        text = text.replace('domain = "sip.carrier.example"\n', lines)
        return text.replace("[[pbx]]", f"{tables}\n[[pbx]]", 1)

    def test_complete(self) -> None:
        """The three names, in order."""
        configuration, _ = self.load(self.text(TLS + INBOUND + NAMED))
        (trunk,) = configuration.trunks
        self.assertEqual((trunk.domain, trunk.targets), (NAMES[0][0], NAMES))

    def test_otherName(self) -> None:
        """A certificate of another host, or of none, is no proof of the name; one of all hosts there is."""
        for host, wanted in (
            ("other.example.com", "DNS other.example.com"),
            ("sbc", "no SubjectAltName"),
            ("*.example.com", None),
        ):
            certificate, key = makeCertificate(host)
            self.write("own.pem", certificate)
            self.write("own.key", keyPEM(key))
            if wanted is None:
                self.load(self.text(TLS + INBOUND + NAMED))
                continue
            problems = self.problems(self.text(TLS + INBOUND + NAMED))
            self.assertEqual(
                problems,
                [
                    f"trunk.carrier.{each}.certificate: own.pem does not prove"
                    f" sbc.example.com, but {wanted}; would be right: one for sbc.example.com"
                    for each in ("tls", "inbound")
                ],
            )

    def test_commonName(self) -> None:
        """
        Microsoft's page takes the name as common name too, "CN or SAN": where a certificate has no other
        names that is no error, but told.
        """
        for common, wanted in (("SBC.example.com", 2), ("other.example.com", None)):
            certificate, key = makeCertificate(common, named=False)
            self.write("own.pem", certificate)
            self.write("own.key", keyPEM(key))
            if wanted is None:
                self.assertEqual(len(self.problems(self.text(TLS + INBOUND + NAMED))), 2)
                continue
            _, warnings = self.load(self.text(TLS + INBOUND + NAMED))
            told = [each for each in warnings if "sbc.example.com as common name only" in each]
            self.assertEqual(len(told), wanted, warnings)

    def test_others(self) -> None:
        """Who names other servers, another domain or other records means them."""
        for lines, tables in (
            ('targets = ["192.0.2.10:5061"]\n', ""),
            ('domain = "sip.pstnhub.gov.example"\n', ""),
            ("", '[trunk.dns]\ndomain = "other.example"\n'),
            ("", '[trunk.dns]\nsrv = "_sips._tcp.other.example"\n'),
        ):
            (trunk,) = self.load(self.text(tables + TLS + INBOUND + NAMED, lines))[0].trunks
            self.assertNotEqual(trunk.targets, NAMES)

    def test_missing(self) -> None:
        """Without certificate or name the carrier would not know the trunk; each is named."""
        certificate = "trunk.carrier.tls.certificate: is missing: Microsoft Teams Direct Routing knows"
        name = "trunk.carrier.inbound.name: is missing: Microsoft Teams Direct Routing wants the host name"
        for tables, wanted in (
            ("", [certificate, name]),
            (TLS, [name]),
            (TLS + INBOUND, [name]),
            (TLS.replace(OWN, "") + INBOUND + NAMED, [certificate]),
        ):
            problems = self.problems(self.text(tables))
            self.assertEqual(len(problems), len(wanted), problems)
            for problem, text in zip(problems, wanted, strict=True):
                self.assertTrue(problem.startswith(text), problem)
