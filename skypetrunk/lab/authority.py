"""
A throw-away certificate authority: root, intermediate, and whatever leaf a lab needs.

Everything is made anew at each start and is good for ninety days at most: nothing of it is
ever worth stealing or trusting.  Certificates with faults are made to order.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Identity", "writePrivately"]

_LIFETIME = datetime.timedelta(days=90)
"""So long that nobody is warned of the end of a certificate that is meant to be good."""

_BACKDATED = datetime.timedelta(days=2)

_CAKey = ec.EllipticCurvePrivateKey

_BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Identity:
    """
    A private key with its certificate chain.

    @ivar key: the private key, PEM (PKCS #8, without a password).
    @ivar chain: certificates in PEM, leaf first, without the root.
    """

    key: bytes = field(repr=False)
    chain: tuple[bytes, ...]

    @property
    def pem(self) -> bytes:
        """Chain and key in one file, as most programs read it."""
        return b"".join(self.chain) + self.key


def _keyUsage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        # TLS 1.2's static-RSA suites encrypt the pre-master secret (datasheet, "pre-master")
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "skypetrunk lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _responder(url: str) -> x509.AuthorityInformationAccess:
    place = x509.UniformResourceIdentifier(url)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
    return x509.AuthorityInformationAccess([access])


def _alternativeName(text: str) -> x509.GeneralName:
    if ":" in text and text.split(":", 1)[0] in ("sip", "sips"):
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """
    Root and intermediate, and the leaves they sign.

    @ivar rootPEM: the root certificate: the trunk's C{ca_file}.
    @ivar intermediatePEM: the intermediate certificate, part of each chain.
    """

    def __init__(self, now: datetime.datetime, name: str = "skypetrunk lab root") -> None:
        """
        @param now: the present, with its time zone.
        """
        self._now = now
        self._called = name
        # Elliptic-curve keys for the CA, for a quick start; leaves are RSA, which every cipher suite of the
        # datasheet can use.
        self._rootKey = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign(
            _name(name), self._rootKey.public_key(), _name(name), self._rootKey, pathLength=1
        )
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.rootPEM = self._root.public_bytes(Encoding.PEM)
        self.certify(None)

    def certify(self, ocsp: str | None) -> None:
        """
        Make the intermediate certificate anew, with the same name and key.

        @param ocsp: URL of a responder to name, or C{None}.
        """
        self._intermediate = self._sign(
            _name(f"{self._called}: intermediate"),
            self._key.public_key(),
            self._root.subject,
            self._rootKey,
            pathLength=0,
            extensions=() if ocsp is None else (_responder(ocsp),),
        )
        self.intermediatePEM = self._intermediate.public_bytes(Encoding.PEM)

    @property
    def issuer(self) -> x509.Certificate:
        """The certificate that leaves are issued under."""
        return self._intermediate

    @property
    def root(self) -> x509.Certificate:
        """The certificate that this one is issued under."""
        return self._root

    def keyOf(self, issuer: x509.Certificate) -> _CAKey:
        """The key of L{issuer} or L{root}."""
        return self._rootKey if issuer == self._root else self._key

    def _sign(
        self,
        subject: x509.Name,
        publicKey: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        issuer: x509.Name,
        issuerKey: _CAKey | rsa.RSAPrivateKey,
        *,
        pathLength: int | None = None,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        ca = pathLength is not None
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(publicKey)
            .serial_number(x509.random_serial_number())
            .not_valid_before(since or self._now - _BACKDATED)
            .not_valid_after(until or self._now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=pathLength), critical=True)
            .add_extension(_keyUsage(ca=ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(publicKey), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuerKey.public_key()), critical=False
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuerKey, SHA256())

    def issue(
        self,
        commonName: str,
        names: Sequence[str] = (),
        until: datetime.datetime | None = None,
        *,
        since: datetime.datetime | None = None,
        bits: int = 2048,
        usages: Sequence[x509.ObjectIdentifier] = _BOTH,
        ocsp: str | None = None,
        mustStaple: bool = False,
        own: bool = False,
    ) -> Identity:
        """
        A new key and its certificate, for servers and clients.

        @param names: alternative names: C{"sip:domain"}, a literal address, else a DNS name.
        @param until: the last moment of its validity; by default some weeks from now.
        @param since: the first moment.
        @param bits: of an RSA key; 0: one of an elliptic curve, which is made much quicker.
        @param usages: extended key usages.
        @param ocsp: URL of a responder to name, or C{None}.
        @param mustStaple: it counts only with an OCSP answer in the handshake (RFC 7633).
        @param own: signed by its own key, by nobody else.
        """
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if bits:
            key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage(usages)]
        if names:
            extensions.append(x509.SubjectAlternativeName([_alternativeName(each) for each in names]))
        if ocsp is not None:
            extensions.append(_responder(ocsp))
        if mustStaple:
            extensions.append(x509.TLSFeature([x509.TLSFeatureType.status_request]))
        leaf = self._sign(
            _name(commonName),
            key.public_key(),
            _name(commonName) if own else self._intermediate.subject,
            key if own else self._key,
            since=since,
            until=until,
            extensions=extensions,
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = (leaf.public_bytes(Encoding.PEM), self.intermediatePEM)
        return Identity(pem, chain[:1] if own else chain)


def writePrivately(path: Path, data: bytes) -> None:
    """Write C{data} to a new file that only its owner can read, replacing what was there."""
    path.unlink(missing_ok=True)
    # O_EXCL: never through a link that somebody else laid there
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
