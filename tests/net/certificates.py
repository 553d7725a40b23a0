"""
Throw-away certificates for the tests: a root, and leaves with whatever names a test wants.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, eq=False)
class Issued:
    """A certificate with its key and the chain that leads to (but leaves out) the root."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate alone, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate and its chain, PEM blocks, leaf first."""
        return b"".join(
            each.public_bytes(serialization.Encoding.PEM) for each in (self.certificate, *self.chain)
        )

    @property
    def keyPEM(self) -> bytes:
        """The private key, PEM, unencrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def dns(*names: str) -> tuple[x509.GeneralName, ...]:
    """DNS names of a SubjectAltName."""
    return tuple(x509.DNSName(name) for name in names)


def uris(*names: str) -> tuple[x509.GeneralName, ...]:
    """URIs of a SubjectAltName."""
    return tuple(x509.UniformResourceIdentifier(name) for name in names)


def _issue(
    subject: str,
    issuer: Issued | None,
    key: Key,
    *,
    ca: bool,
    names: Sequence[x509.GeneralName] = (),
    start: datetime.timedelta = datetime.timedelta(days=-1),
    end: datetime.timedelta = datetime.timedelta(days=30),
    extensions: Sequence[x509.ExtensionType] = (),
) -> Issued:
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    chain: tuple[x509.Certificate, ...] = ()
    if issuer is not None and issuer.certificate.issuer != issuer.certificate.subject:
        chain = (issuer.certificate, *issuer.chain)
    return Issued(certificate, key, chain)


@cache
def _key(name: str) -> Key:
    # A key of RSA takes long to make: one for all leaves whose test does not look at it.
    if name == "rsa-1024":
        return rsa.generate_private_key(public_exponent=65537, key_size=1024)
    if name == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


@cache
def authority(subject: str = "Test Root") -> Issued:
    """A self-signed root."""
    return _issue(subject, None, _key(subject), ca=True)


def impostor(subject: str) -> Issued:
    """A root that has somebody else's name, and a key of its own."""
    return _issue(subject, None, _key(f"not {subject}"), ca=True)


def intermediate(
    subject: str = "Test Intermediate",
    issuer: Issued | None = None,
    *,
    ca: bool = True,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Issued:
    """
    A CA below the root.

    @param ca: C{False}: it only pretends to be one.
    """
    return _intermediate(subject, issuer or authority(), ca, tuple(extensions))


@cache
def _intermediate(
    subject: str, issuer: Issued, ca: bool, extensions: tuple[x509.ExtensionType, ...]
) -> Issued:
    return _issue(subject, issuer, _key(subject), ca=ca, extensions=extensions)


def issueItself(names: Sequence[x509.GeneralName]) -> Issued:
    """A certificate that nobody issued, and that is no CA, with a key of its own."""
    return _issue("Nobody's", None, ec.generate_private_key(ec.SECP256R1()), ca=False, names=names)


def leaf(
    names: Sequence[x509.GeneralName],
    issuer: Issued | None = None,
    *,
    subject: str = "Test Leaf",
    keyName: str = "leaf",
    expired: bool = False,
    notYet: bool = False,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Issued:
    """
    A server's (or client's) certificate.

    @param keyName: C{"rsa"} for an RSA key, C{"rsa-1024"} for a weak one; any other name is a P-256 key of
        its own.
    """
    start, end = datetime.timedelta(days=-1), datetime.timedelta(days=30)
    if expired:
        start, end = datetime.timedelta(days=-3), datetime.timedelta(days=-2)
    if notYet:
        start, end = datetime.timedelta(days=2), datetime.timedelta(days=3)
    return _issue(
        subject,
        issuer or authority(),
        _key(keyName),
        ca=False,
        names=names,
        start=start,
        end=end,
        extensions=extensions,
    )


def usage(*purposes: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    """What a certificate may be used for."""
    return x509.ExtendedKeyUsage(purposes)
