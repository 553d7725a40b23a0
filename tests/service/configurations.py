"""What the configuration tests share: a directory with a complete file, and ways to change it."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import ConfigurationError
from skypetrunk.service.config import Configuration, loadConfiguration

MARKER = "hunter2-MARKER"
"""The password of the test configurations."""

COMPLETE = """\
[[trunk]]
name = "skype"
profile = "skype-connect"
domain = "sip.skype.com"
username = "99051000000001"
password_file = "skype.secret"

[trunk.tls]
ca_file = "carrier-ca.pem"
pins = []

[trunk.media]
srtp = "required"
suites = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]

[trunk.limits]
calls = 30

[[pbx]]
name = "office"
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
address = "udp:127.0.0.1:5070"
allow = ["127.0.0.0/8"]

[[route]]
from = "office"
to = ["skype"]
called = ["+44", "+49"]

[[route]]
from = "skype"
to = ["office"]

[media]
address = "127.0.0.1"
ports = "20000-29999"

[dns]
servers = ["127.0.0.1:5353"]

[numbers]
country = "GB"
outside_line = "9"
emergency = ["117"]

[control]
socket = "skypetrunk.sock"
"""

SHORT = """\
[[trunk]]
name = "carrier"
profile = "generic"
domain = "sip.carrier.example"
username = "alice"
password_file = "skype.secret"

[[pbx]]
name = "office"
listen = ["udp:192.0.2.1:5060"]
address = "udp:192.0.2.5:5060"

[media]
address = "192.0.2.1"

[numbers]
country = "DE"
"""


def makeCertificate(
    name: str, *, issuer: str | None = None, days: int = 30, named: bool = True
) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """
    A certificate as PEM, and its private key; one with a dot in C{name} is of that host.

    @param issuer: who seems to have issued it; default: itself.
    @param days: until it expires; negative for an expired one.
    @param named: false: the host is its common name alone.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer or name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(other)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
    if "." in name and named:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM), key


def makeCRL(name: str = "Root", *, days: int = 1) -> bytes:
    """
    A CRL as PEM, empty.

    @param days: until it ends; negative for one that is over.
    """
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .last_update(now - datetime.timedelta(days=60))
        .next_update(now + datetime.timedelta(days=days))
    )
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def keyPEM(key: ec.EllipticCurvePrivateKey, password: str | None = None) -> bytes:
    """C{key} as PEM, encrypted when there is a password."""
    encryption: KeySerializationEncryption = NoEncryption()
    if password is not None:
        encryption = BestAvailableEncryption(password.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class ConfigurationTestCase(SynchronousTestCase):
    """
    Has a directory of its own with everything that L{COMPLETE} names.

    @ivar directory: the directory, absolute.
    """

    roots: bytes = makeCertificate("Root")[0]

    def setUp(self) -> None:
        """Make the directory and the files."""
        # Not mktemp: the path of a UNIX socket must be short.
        self.directory = Path(tempfile.mkdtemp(prefix="skypetrunk-")).resolve()
        self.addCleanup(shutil.rmtree, self.directory)
        self.write("skype.secret", MARKER + "\n")
        self.write("carrier-ca.pem", self.roots)

    def write(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        """Write a file of the directory."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def load(
        self, text: str, environ: Mapping[str, str] | None = None, mode: int = 0o600
    ) -> tuple[Configuration, tuple[str, ...]]:
        """Load C{text} as C{trunk.toml}."""
        return loadConfiguration(self.write("trunk.toml", text, mode), {} if environ is None else environ)

    def problems(self, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """The problems of C{text}, without the file's name, which each has; the password is in none."""
        with self.assertRaises(ConfigurationError) as caught:
            self.load(text, environ)
        prefix = f"{self.directory / 'trunk.toml'}: "
        for problem in caught.exception.problems:
            self.assertTrue(problem.startswith(prefix), problem)
            self.assertNotIn("\n", problem)
            self.assertNotIn(MARKER, problem)
        return [
            problem.removeprefix(prefix).replace(str(self.directory) + os.sep, "")
            for problem in caught.exception.problems
        ]

    def assertProblem(self, old: str, new: str, *expected: str, base: str = COMPLETE) -> None:
        """C{base} with C{old} replaced by C{new} has exactly these problems."""
        self.assertIn(old, base)
        self.assertEqual(self.problems(base.replace(old, new, 1)), list(expected))
