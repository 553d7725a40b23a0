"""C{[trunk.inbound]}: what is said about it before any connection."""

from __future__ import annotations

from skypetrunk.errors import ConfigurationError
from skypetrunk.profiles import loadProfile
from skypetrunk.service.tls_files import inboundTLS
from skypetrunk.tools.check import summary
from tests.service.configurations import SHORT, ConfigurationTestCase, keyPEM, makeCertificate

_LISTEN = 'listen = ["tls:192.0.2.1:5061"]'
_OURS = ('certificate = "trunk.pem"', 'key = "trunk.key"')
_CA = 'ca_file = "carrier-ca.pem"'


class TableTests(ConfigurationTestCase):
    """The table."""

    def setUp(self) -> None:
        """Certificates of both sides."""
        super().setUp()
        certificate, key = makeCertificate("trunk")
        self.write("trunk.pem", certificate)
        self.write("trunk.key", keyPEM(key))
        self.write("carrier-ca.pem", makeCertificate("Carrier")[0])

    def text(self, *lines: str) -> str:
        """A configuration with this table."""
        table = "\n".join(["[trunk.inbound]", *lines])
        return SHORT.replace("[[pbx]]", f"{table}\n[[pbx]]", 1)

    def test_none(self) -> None:
        """Without the table nobody can call in."""
        configuration, _ = self.load(SHORT)
        self.assertIsNone(configuration.trunks[0].inbound)

    def test_verified(self) -> None:
        """A certificate is asked for; C{check} says by whom it must be issued."""
        configuration, _ = self.load(self.text(_LISTEN, *_OURS, _CA, 'name = "Trunk.Example.com"'))
        inbound = configuration.trunks[0].inbound
        assert inbound is not None
        self.assertEqual((str(inbound.listen[0]), inbound.name), ("tls:192.0.2.1:5061", "trunk.example.com"))
        self.assertIsNone(inbound.allow)
        self.assertTrue(inboundTLS(inbound, "carrier.example", loadProfile("generic")).asks)
        (line,) = [line for line in summary(configuration) if line.startswith("trunk ")]
        self.assertIn("is called at tls:192.0.2.1:5061, by who has a certificate under", line)

    def test_listed(self) -> None:
        """Addresses alone, if that is said."""
        lines = (_LISTEN, *_OURS, "verify = false", 'allow = ["198.51.100.0/24"]')
        configuration, _ = self.load(self.text(*lines))
        inbound = configuration.trunks[0].inbound
        assert inbound is not None
        self.assertFalse(inboundTLS(inbound, "carrier.example", loadProfile("generic")).asks)
        (line,) = [line for line in summary(configuration) if line.startswith("trunk ")]
        self.assertIn("by who has an address in 198.51.100.0/24", line)

    def test_wrong(self) -> None:
        """What is missing, and what would be right."""
        for lines, wanted in (
            ((*_OURS, _CA), "inbound.listen"),
            ((_LISTEN, _CA), "inbound.certificate"),
            ((_LISTEN, _OURS[0], _CA), "inbound.key"),
            ((_LISTEN, *_OURS), "inbound.ca_file: is missing"),
            ((_LISTEN, *_OURS, "verify = false"), "inbound.allow: is missing beside verify = false"),
            (('listen = ["udp:192.0.2.1:5061"]', *_OURS, _CA), "no TLS address"),
            ((_LISTEN, *_OURS, _CA, 'name = "a b"'), "no host name"),
            ((_LISTEN, *_OURS, _CA, "colour = 1"), "inbound.colour"),
            ((_LISTEN, *_OURS, 'ca_file = "trunk.key"'), "holds no certificate"),
        ):
            problems = self.problems(self.text(*lines))
            self.assertTrue([line for line in problems if wanted in line], (lines, problems))

    def test_taken(self) -> None:
        """Two listeners at one address."""
        text = self.text(_LISTEN, *_OURS, _CA)
        listen = 'listen = ["udp:192.0.2.1:5060"]'
        again = text.replace(listen, 'listen = ["udp:192.0.2.1:5060", "tls:192.0.2.1:5061"]')
        again = again.replace("[[route]]", "[[route]]")
        tls = "[pbx.tls]\n" + "\n".join(_OURS) + "\n"
        self.assertIn("[media]", again)
        problems = self.problems(again.replace("[media]", f"{tls}[media]", 1))
        self.assertTrue([line for line in problems if "stands in" in line], problems)

    def test_fileGone(self) -> None:
        """A file that is gone at the start is one clear line."""
        configuration, _ = self.load(self.text(_LISTEN, *_OURS, _CA))
        inbound = configuration.trunks[0].inbound
        assert inbound is not None
        (self.directory / "carrier-ca.pem").unlink()
        with self.assertRaises(ConfigurationError) as caught:
            inboundTLS(inbound, "carrier.example", loadProfile("generic"))
        self.assertIn("carrier-ca.pem", str(caught.exception))
