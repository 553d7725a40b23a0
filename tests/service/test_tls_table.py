"""What is said about the files of a trunk's TLS before any connection."""

from __future__ import annotations

from skypetrunk.service.tls_files import ownCertificate
from tests.service.configurations import (
    COMPLETE,
    MARKER,
    ConfigurationTestCase,
    keyPEM,
    makeCertificate,
    makeCRL,
)

_PINS = "pins = []"
_PIN = "sha256/" + "A" * 43 + "="


class RootsTests(ConfigurationTestCase):
    """C{ca_file}."""

    def test_unusable(self) -> None:
        """A file that is missing, or holds no certificate, or no root."""
        self.write("text.pem", "nothing\n")
        self.write("middle.pem", makeCertificate("Middle", issuer="Root of All")[0])
        for name, wrong, right in (
            ("none.pem", "cannot be read: No such file or directory", "a readable PEM file"),
            ("/dev/zero", "cannot be read: File too large", "a readable PEM file"),
            ("text.pem", "holds no certificate", "PEM, -----BEGIN CERTIFICATE-----"),
            ("middle.pem", "holds no root, only what others issued", "the root, CN=Root of All"),
        ):
            self.assertProblem(
                "carrier-ca.pem", name, f"trunk.skype.tls.ca_file: {name} {wrong}; would be right: {right}"
            )

    def test_expired(self) -> None:
        """An expired root is warned of; there may be another in the file."""
        path = self.write("carrier-ca.pem", makeCertificate("Old", days=-1)[0] + self.roots)
        _, warnings = self.load(COMPLETE)
        self.assertEqual(len(warnings), 1)
        self.assertIn(f"trunk.skype.tls.ca_file: {path}: CN=Old expired on ", warnings[0])
        self.write("carrier-ca.pem", makeCertificate("Old", days=13)[0])
        _, (warning,) = self.load(COMPLETE)
        self.assertIn(f"trunk.skype.tls.ca_file: {path}: CN=Old expires on ", warning)

    def test_bundle(self) -> None:
        """In a bundle of many roots some have always ended: nobody is told."""
        self.write("carrier-ca.pem", makeCertificate("Old", days=-1)[0] + self.roots * 20)
        self.assertEqual(self.load(COMPLETE)[1], ())


class PinTests(ConfigurationTestCase):
    """C{pins}."""

    def test_good(self) -> None:
        """Two are right, one is warned of."""
        other = "sha256/" + "B" * 42 + "A="
        configuration, warnings = self.load(COMPLETE.replace(_PINS, f'pins = ["{_PIN}", "{other}"]'))
        self.assertEqual(configuration.trunks[0].tls.pins, (_PIN, other))
        self.assertEqual(warnings, ())
        _, warnings = self.load(COMPLETE.replace(_PINS, f'pins = ["{_PIN}"]'))
        self.assertIn("only one pin", warnings[0])

    def test_mode(self) -> None:
        """Pins that are only tried are warned of; the key without pins is a mistake."""
        other = "sha256/" + "B" * 42 + "A="
        pins = f'pins = ["{_PIN}", "{other}"]\npins_mode = '
        for mode, reported in (("enforce", False), ("report", True)):
            configuration, warnings = self.load(COMPLETE.replace(_PINS, f'{pins}"{mode}"'))
            self.assertEqual(configuration.trunks[0].tls.pinsReported, reported)
            warned = any("pins_mode: a key that is not pinned" in each for each in warnings)
            self.assertEqual(warned, reported)
        where = "trunk.skype.tls.pins_mode: "
        self.assertProblem(_PINS, f'{pins}"reports"', f'{where}is "reports"; did you mean "report"?')
        self.assertProblem(
            _PINS,
            'pins_mode = "report"',
            f'{where}stands without pins; would be right: pins = ["sha256/BASE64"] too',
        )

    def test_wrong(self) -> None:
        """Another digest, another length, no base64."""
        for pin in (
            "sha1/" + "A" * 43 + "=",
            "sha256/AAAA",
            "sha256/!" + "A" * 42 + "=",
            "A" * 43 + "=",
            "sha256/ä",
        ):
            self.assertProblem(
                _PINS,
                f'pins = ["{pin}", "{_PIN}"]',
                f'trunk.skype.tls.pins: "{pin}" is no pin; '
                'would be right: "sha256/" and 44 characters of base64',
            )


class RevocationTests(ConfigurationTestCase):
    """C{revocation} and C{crl_file}."""

    def test_good(self) -> None:
        """Soft unless it is said otherwise; a list that has ended is warned of."""
        tls = self.load(COMPLETE)[0].trunks[0].tls
        self.assertEqual((tls.revocation, tls.crlFile), ("soft", None))
        path = self.write("carrier.crl", makeCRL())
        for mode, line in (("hard", 'crl_file = "carrier.crl"'), ("off", "")):
            text = COMPLETE.replace(_PINS, f'revocation = "{mode}"\n{line}')
            configuration, warnings = self.load(text)
            tls = configuration.trunks[0].tls
            self.assertEqual((tls.revocation, tls.crlFile), (mode, path if line else None))
            self.assertEqual(warnings, ())
        self.write("carrier.crl", makeCRL(days=-1) + makeCRL("Other"))
        _, (warning,) = self.load(COMPLETE.replace(_PINS, 'crl_file = "carrier.crl"'))
        self.assertIn(f"trunk.skype.tls.crl_file: {path}: the CRL of CN=Root ended on ", warning)

    def test_wrong(self) -> None:
        """No such mode; a file that is missing, holds no list, or is never looked at."""
        where = "trunk.skype.tls."
        self.write("carrier.crl", makeCRL())
        for lines, problem in (
            ('revocation = "hart"', 'revocation: is "hart"; did you mean "hard"?'),
            (
                'crl_file = "none.crl"',
                "crl_file: none.crl cannot be read: No such file or directory; "
                "would be right: a readable PEM file",
            ),
            (
                'crl_file = "carrier-ca.pem"',
                "crl_file: carrier-ca.pem holds no CRL; "
                "would be right: PEM, -----BEGIN X509 CRL-----, or DER",
            ),
            (
                'revocation = "off"\ncrl_file = "carrier.crl"',
                'crl_file: is of no use where revocation is "off"; would be right: revocation = "soft"',
            ),
        ):
            self.assertProblem(_PINS, lines, where + problem)


class ClientCertificateTests(ConfigurationTestCase):
    """C{certificate}, C{key}, C{key_password_file}."""

    def setUp(self) -> None:
        """Make a pair, the key also encrypted, and a key of somebody else."""
        super().setUp()
        certificate, key = makeCertificate("client")
        self.write("client.pem", certificate)
        self.write("client.key", keyPEM(key))
        self.write("locked.key", keyPEM(key, MARKER))
        self.write("other.key", keyPEM(makeCertificate("other")[1]))
        self.write("wrong.secret", "wrong\n")

    def test_good(self) -> None:
        """With the key in clear, or with its pass phrase."""
        text = 'certificate = "client.pem"\nkey = "client.key"'
        tls = self.load(COMPLETE.replace(_PINS, text))[0].trunks[0].tls
        self.assertEqual(
            (tls.certificate, tls.key, tls.keyPasswordFile),
            (self.directory / "client.pem", self.directory / "client.key", None),
        )
        text = 'certificate = "client.pem"\nkey = "locked.key"\nkey_password_file = "skype.secret"'
        tls = self.load(COMPLETE.replace(_PINS, text))[0].trunks[0].tls
        self.assertEqual(tls.keyPasswordFile, self.directory / "skype.secret")
        self.assertIsNotNone(ownCertificate(tls))

    def test_blanks(self) -> None:
        """A blank at either end belongs to the pass phrase: what the check takes the trunk can use."""
        certificate, key = makeCertificate("client")
        self.write("client.pem", certificate)
        self.write("locked.key", keyPEM(key, f" {MARKER} "))
        self.write("blank.secret", f" {MARKER} \n")
        text = 'certificate = "client.pem"\nkey = "locked.key"\nkey_password_file = "blank.secret"'
        tls = self.load(COMPLETE.replace(_PINS, text))[0].trunks[0].tls
        self.assertIsNotNone(ownCertificate(tls))

    def test_wrong(self) -> None:
        """One without the other, keys that cannot be used, keys of others."""
        certificate = 'certificate = "client.pem"'
        phrase = 'key_password_file = "skype.secret"'
        for lines, expected in (
            ([certificate], 'key: is missing; would be right: key = "client.key", beside certificate'),
            (
                ['key = "client.key"'],
                'key: stands without a certificate; would be right: certificate = "client.pem" too',
            ),
            (
                [certificate, 'key = "none.key"'],
                "key: none.key cannot be read: No such file or directory; "
                "would be right: a readable PEM file",
            ),
            (
                ['certificate = "client.key"', 'key = "client.key"'],
                "certificate: client.key holds no certificate; "
                "would be right: PEM, -----BEGIN CERTIFICATE-----",
            ),
            (
                [certificate, 'key = "client.pem"'],
                "key: client.pem is no private key, or its pass phrase is another; "
                "would be right: PEM, PKCS #8",
            ),
            (
                [certificate, 'key = "other.key"'],
                "key: other.key does not belong to client.pem; "
                "would be right: the key of its first certificate",
            ),
            (
                [certificate, 'key = "locked.key"'],
                'key: locked.key is encrypted; would be right: key_password_file = "client.pass" beside it',
            ),
            (
                [certificate, 'key = "client.key"', phrase],
                "key: client.key is not encrypted; would be right: no key_password_file",
            ),
            (
                [certificate, 'key = "locked.key"', 'key_password_file = "wrong.secret"'],
                "key: locked.key is no private key, or its pass phrase is another; "
                "would be right: PEM, PKCS #8",
            ),
            (
                [certificate, 'key = "locked.key"', 'key_password_file = "none"'],
                "key_password_file: none cannot be read: No such file or directory; would be right: "
                "a file that holds the password",
            ),
        ):
            self.assertProblem(_PINS, "\n".join(lines), f"trunk.skype.tls.{expected}")
