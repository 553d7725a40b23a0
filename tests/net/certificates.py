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
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
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
    critical: bool = False,
    pathLength: int | None = None,
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
        .add_extension(x509.BasicConstraints(ca=ca, path_length=pathLength), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=critical)
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
    expired: bool = False,
    pathLength: int | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Issued:
    """
    A CA below the root.

    @param ca: C{False}: it only pretends to be one.
    @param pathLength: how many CAs may stand below it.
    """
    return _intermediate(subject, issuer or authority(), ca, expired, pathLength, tuple(extensions))


@cache
def _intermediate(
    subject: str,
    issuer: Issued,
    ca: bool,
    expired: bool,
    pathLength: int | None,
    extensions: tuple[x509.ExtensionType, ...],
) -> Issued:
    end = datetime.timedelta(hours=-1 if expired else 24)
    return _issue(
        subject, issuer, _key(subject), ca=ca, end=end, extensions=extensions, pathLength=pathLength
    )


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
    critical: bool = False,
) -> Issued:
    """
    A server's (or client's) certificate.

    @param keyName: C{"rsa"} for an RSA key, C{"rsa-1024"} for a weak one; any other name is a P-256 key of
        its own.
    @param critical: of C{extensions}.
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
        critical=critical,
    )


def tampered(issued: Issued) -> Issued:
    """The same certificate with an octet of its signature changed."""
    der = bytearray(issued.der)
    der[-1] ^= 1
    return Issued(x509.load_der_x509_certificate(bytes(der)), issued.key, issued.chain)


def weaklySigned(names: Sequence[x509.GeneralName]) -> tuple[Issued, Issued]:
    """
    A leaf that is signed with SHA-1, which no library makes any more, and its root.

    The names of the two algorithms, sha256WithRSAEncryption and sha1WithRSAEncryption, are equally long.
    """
    root = _issue("RSA Root", None, _key("rsa"), ca=True)
    issued = leaf(names, root)
    der = weakened(issued.der, issued.certificate.tbs_certificate_bytes, issued.certificate.signature, root)
    return Issued(x509.load_der_x509_certificate(der), issued.key), root


def weakened(der: bytes, signed: bytes, signature: bytes, issuer: Issued) -> bytes:
    """C{der}, of which C{issuer} signed C{signed} with SHA-256 and RSA, as if it was SHA-1."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    strong, weak = (bytes.fromhex(f"06092a864886f70d0101{each}") for each in ("0b", "05"))
    other = issuer.key.sign(signed.replace(strong, weak), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    return der.replace(strong, weak).replace(signature, other)


def usage(*purposes: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    """What a certificate may be used for."""
    return x509.ExtendedKeyUsage(purposes)
