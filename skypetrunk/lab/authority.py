"""
A throw-away certificate authority: root, intermediate, and whatever leaf a lab needs.

Everything is made anew at each start and is good for a few days, so that nothing of
it is ever worth stealing or trusting.  Certificates with faults are made to order.
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
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Identity", "carrierIdentity", "FAULTS", "writePrivately"]

FAULTS = {
    "none": "a good certificate",
    "wrong-name": "a certificate of another name",
    "target-name": "a certificate of the SRV target's name only",
    "expired": "a certificate that ended yesterday",
    "other-ca": "a certificate of a CA nobody has",
    "no-intermediate": "a good certificate, sent without the intermediate",
}
"""What can be wrong with the carrier's certificate, by option value."""

_LIFETIME = datetime.timedelta(days=7)
_BACKDATED = datetime.timedelta(days=2)

_CAKey = ec.EllipticCurvePrivateKey


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
        # Elliptic-curve keys for the CA, for a quick start; leaves are RSA, which every cipher suite of the
        # datasheet can use.
        rootKey = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign(_name(name), rootKey.public_key(), _name(name), rootKey, pathLength=1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._intermediate = self._sign(
            _name(f"{name}: intermediate"), self._key.public_key(), self._root.subject, rootKey, pathLength=0
        )
        self.rootPEM = self._root.public_bytes(Encoding.PEM)
        self.intermediatePEM = self._intermediate.public_bytes(Encoding.PEM)

    def _sign(
        self,
        subject: x509.Name,
        publicKey: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        issuer: x509.Name,
        issuerKey: _CAKey,
        *,
        pathLength: int | None = None,
        names: Sequence[str] = (),
        until: datetime.datetime | None = None,
    ) -> x509.Certificate:
        ca = pathLength is not None
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(publicKey)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _BACKDATED)
            .not_valid_after(until or self._now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=pathLength), critical=True)
            .add_extension(_keyUsage(ca=ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(publicKey), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuerKey.public_key()), critical=False
            )
        )
        if not ca:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(usage, critical=False)
        if names:
            alternative = x509.SubjectAlternativeName([_alternativeName(each) for each in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(issuerKey, SHA256())

    def issue(
        self, commonName: str, names: Sequence[str] = (), until: datetime.datetime | None = None
    ) -> Identity:
        """
        A new RSA key and its certificate, for servers and clients.

        @param names: alternative names: C{"sip:domain"}, a literal address, else a DNS name.
        @param until: the last moment of its validity; by default some days from now.
        """
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        leaf = self._sign(
            _name(commonName),
            key.public_key(),
            self._intermediate.subject,
            self._key,
            names=names,
            until=until,
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Identity(pem, (leaf.public_bytes(Encoding.PEM), self.intermediatePEM))


def carrierIdentity(
    authority: Authority, domain: str, target: str, now: datetime.datetime, fault: str = "none"
) -> Identity:
    """
    The certificate of a carrier for C{domain}: URI and DNS names (RFC 5922 section 4.1), or one with a fault.

    @param target: the name of the host the SRV record points to.
    @param fault: a key of L{FAULTS}.
    """
    names = [f"sip:{domain}", domain]
    if fault == "wrong-name":
        return authority.issue("other.example", ["sip:other.example", "other.example"])
    if fault == "target-name":
        return authority.issue(target, [target])
    if fault == "expired":
        return authority.issue(domain, names, until=now - datetime.timedelta(days=1))
    if fault == "other-ca":
        return Authority(now, "skypetrunk lab stranger").issue(domain, names)
    if fault == "no-intermediate":
        whole = authority.issue(domain, names)
        return Identity(whole.key, whole.chain[:1])
    if fault != "none":
        raise ValueError(f"no such certificate fault: {fault!r}")
    return authority.issue(domain, names)


def writePrivately(path: Path, data: bytes) -> None:
    """Write C{data} to a new file that only its owner can read, replacing what was there."""
    path.unlink(missing_ok=True)
    # O_EXCL: never through a link that somebody else laid there
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
