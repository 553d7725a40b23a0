"""C{[pbx.tls]}: what is said about it before any connection, and what becomes of it."""

from __future__ import annotations

import io
import sys

from twisted.internet.task import Clock

from skypetrunk.errors import ConfigurationError
from skypetrunk.service.settings import PBXTLSConfiguration
from skypetrunk.service.tls_files import pbxTLS
from skypetrunk.service.trunk import Skypetrunk
from skypetrunk.tools import main
from skypetrunk.tools.check import summary
from tests.service.configurations import SHORT, ConfigurationTestCase, keyPEM, makeCertificate

_PIN = "sha256/" + "A" * 43 + "="
_OURS = ('certificate = "trunk.pem"', 'key = "trunk.key"')
_CA = 'ca_file = "pbx-ca.pem"'


class TableTests(ConfigurationTestCase):
    """The table."""

    def setUp(self) -> None:
        """Certificates of both sides."""
        super().setUp()
        certificate, self.key = makeCertificate("trunk")
        self.write("trunk.pem", certificate)
        self.write("trunk.key", keyPEM(self.key))
        self.write("pbx-ca.pem", makeCertificate("PBX")[0])

    def text(self, *lines: str, listen: str = "tls", address: str = "tls", pbx: str = "") -> str:
        """A configuration whose PBX speaks TLS; C{lines} are of its C{[pbx.tls]}."""
        pbx = pbx or f'address = "{address}:192.0.2.5:5061"'
        place = f'listen = ["{listen}:192.0.2.1:5061"]\n{pbx}'
        old = 'listen = ["udp:192.0.2.1:5060"]\naddress = "udp:192.0.2.5:5060"'
        self.assertIn(old, SHORT)
        return SHORT.replace(old, "\n".join([place, *(["[pbx.tls]"] if lines else []), *lines]))

    def tls(self, text: str) -> PBXTLSConfiguration:
        """What was read, without a warning."""
        configuration, warnings = self.load(text)
        self.assertEqual(warnings, ())
        tls = configuration.pbxes[0].tls
        assert tls is not None
        return tls

    def test_right(self) -> None:
        """Roots, a pin or both; a name beside roots; a key with a pass phrase."""
        for lines, ca, pins, name in (
            ((_CA,), True, (), None),
            ((f'pins = ["{_PIN}"]',), False, (_PIN,), None),
            ((_CA, f'pins = ["{_PIN}"]', 'name = "PBX.example"'), True, (_PIN,), "pbx.example"),
        ):
            tls = self.tls(self.text(*_OURS, *lines))
            self.assertEqual(tls.files.certificate, self.directory / "trunk.pem")
            self.assertEqual((tls.files.caFile is not None, tls.files.pins, tls.name), (ca, pins, name))
            self.assertEqual(pbxTLS(tls).server.asks, ca)
            self.assertTrue(pbxTLS(tls).verifies)
        self.write("trunk.key", keyPEM(self.key, "phrase"))
        self.write("trunk.pass", "phrase\n")
        pbxTLS(self.tls(self.text(*_OURS, 'key_password_file = "trunk.pass"', _CA)))

    def test_neverUnverified(self) -> None:
        """Whoever is called over TLS must be verified by something; this names what would be right."""
        self.assertEqual(
            self.problems(self.text(*_OURS)),
            [
                "pbx.office.tls.ca_file: is missing: nothing would say whether it is the PBX that answers; "
                'would be right: ca_file = "pbx-ca.pem", or pins = ["sha256/BASE64"] for the key of the PBX '
                "itself"
            ],
        )
        # One that only calls us need not show a certificate; then we never connect to it.
        self.write("office.secret", "secret\n")
        registers = 'register = true\nusername = "office"\npassword_file = "office.secret"\n'
        tls = self.tls(self.text(*_OURS, pbx=registers + 'allow = ["192.0.2.5"]'))
        self.assertEqual((pbxTLS(tls).verifies, pbxTLS(tls).server.asks), (False, False))

    def test_missing(self) -> None:
        """We have to show a certificate; the address must be reached from a TLS address of ours."""
        self.assertEqual(
            self.problems(self.text(_CA)),
            [
                'pbx.office.tls.certificate: is missing; would be right: certificate = "trunk.pem"',
                'pbx.office.tls.key: is missing; would be right: key = "trunk.key"',
            ],
        )
        self.assertIn(
            'pbx.office.address: "tls:192.0.2.5:5061" cannot be reached: listen has no tls address with IPv4;'
            " would be right: one in listen too",
            self.problems(self.text(listen="udp")),
        )

    def test_useless(self) -> None:
        """A table that nothing uses, and a name that nothing is held against, are mistakes."""
        self.assertEqual(
            self.problems(self.text(*_OURS, listen="udp", address="udp")),
            [
                'pbx.office.tls.certificate: is of no use; would be right: a "tls:" address in listen, or no '
                "[pbx.tls]"
            ],
        )
        self.assertEqual(
            self.problems(self.text(*_OURS, f'pins = ["{_PIN}"]', 'name = "pbx.example"')),
            [
                "pbx.office.tls.name: stands without ca_file, and is not looked at; "
                'would be right: ca_file = "pbx-ca.pem" too'
            ],
        )
        self.assertEqual(
            self.problems(self.text(*_OURS, _CA, 'name = "192.0.2.5"')),
            [
                'pbx.office.tls.name: "192.0.2.5" is no host name; '
                'would be right: name = "pbx.example", as in its certificate'
            ],
        )

    def test_files(self) -> None:
        """Each bad file is one clear line of "skypetrunk check"."""
        self.write("text.pem", "nothing\n")
        self.write("other.key", keyPEM(makeCertificate("other")[1]))
        self.write("middle.pem", makeCertificate("Middle", issuer="Root of All")[0])
        for old, new, problem in (
            ("trunk.pem", "none.pem", "certificate: none.pem cannot be read: No such file or directory"),
            ("trunk.pem", "text.pem", "certificate: text.pem holds no certificate"),
            ("trunk.key", "text.pem", "key: text.pem is no private key, or its pass phrase is another"),
            ("trunk.key", "other.key", "key: other.key does not belong to trunk.pem"),
            ("pbx-ca.pem", "text.pem", "ca_file: text.pem holds no certificate"),
            ("pbx-ca.pem", "middle.pem", "ca_file: middle.pem holds no root, only what others issued"),
            (_CA, 'pins = ["sha256/AA"]', 'pins: "sha256/AA" is no pin'),
        ):
            (found,) = self.problems(self.text(*_OURS, _CA).replace(old, new))
            self.assertTrue(found.startswith(f"pbx.office.tls.{problem}; would be right: "), found)
            said = io.StringIO()
            self.patch(sys, "stderr", said)
            self.assertEqual(main.run(["check", str(self.directory / "trunk.toml")]), 2)
            self.assertEqual(len(said.getvalue().splitlines()), 1, said.getvalue())

    def test_expired(self) -> None:
        """Our own certificate, which the PBX will refuse, and that of its root: a warning each."""
        certificate, key = makeCertificate("Old", days=-1)
        self.write("trunk.pem", certificate)
        self.write("trunk.key", keyPEM(key))
        self.write("pbx-ca.pem", certificate)
        _, warnings = self.load(self.text(*_OURS, _CA))
        for warning, name in zip(warnings, ("certificate", "ca_file"), strict=True):
            self.assertIn(f"pbx.office.tls.{name}: ", warning)
            self.assertIn(": CN=Old expired on ", warning)

    def test_summary(self) -> None:
        """What C{check} says of it."""
        configuration, _ = self.load(self.text(*_OURS, _CA, f'pins = ["{_PIN}"]', 'name = "pbx.example"'))
        (line,) = (each for each in summary(configuration) if each.startswith("pbx office: "))
        self.assertIn(
            f"; TLS with {self.directory / 'trunk.pem'}, the PBX has to show a certificate of pbx.example"
            f" under {self.directory / 'pbx-ca.pem'}, 1 pinned keys",
            line,
        )

    def test_goneSince(self) -> None:
        """A file that was good when the configuration was read, and is not when the trunk is made."""
        configuration, _ = self.load(self.text(*_OURS, _CA))
        for name in ("trunk.key", "pbx-ca.pem"):
            content = (self.directory / name).read_bytes()
            (self.directory / name).write_text("")
            with self.assertRaises(ConfigurationError) as caught:
                Skypetrunk(configuration, Clock())
            self.assertEqual(len(caught.exception.problems), 1)
            (self.directory / name).write_bytes(content)
