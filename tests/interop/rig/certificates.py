"""A throw-away CA and the certificates that tests need, good and bad."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

#: The domain whose identity the trunk wants to see proved.
DOMAIN = "sip.skype.com"


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate, its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """
    A certificate authority of one test.

    @ivar file: its certificate in PEM.
    """

    def __init__(self, directory: Path, name: str = "ca", above: Authority | None = None) -> None:
        """
        @param above: who signs its certificate; C{None}: itself, as a root.
        """
        self._directory = directory
        self._certificate: x509.Certificate
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Throw-away CA {name}")
        self._certificate = (
            _builder(subject, above._certificate.subject if above else subject, self._key, *_validity(0, 30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(keyCertSign=True), critical=True)
            .sign(above._key if above else self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.crt"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.key = directory / f"{name}.key"
        self.key.write_bytes(_pem(self._key))

    def issue(
        self,
        file: str,
        host: str = DOMAIN,
        *,
        expired: bool = False,
        days: int = 20,
        ocsp: str | None = None,
        signsAnswers: bool = False,
        names: Sequence[x509.GeneralName] | None = None,
        since: int = -1,
        clientOnly: bool = False,
    ) -> Certificate:
        """
        A leaf certificate for C{host}, as DNS name and SIP URI; for a literal address as that.

        @param expired: one that ended yesterday.
        @param days: how long another one is valid from now.
        @param ocsp: where it says that its issuer's responder is.
        @param signsAnswers: it is that of such a responder.
        @param names: alternative names instead, or none.
        @param since: days from now on which another one than an expired begins.
        @param clientOnly: its extended key usage is for clients.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        if names is None:
            names = _namesOf(host)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        if signsAnswers:
            usages = [ExtendedKeyUsageOID.OCSP_SIGNING]
        if clientOnly:
            usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        validity = _validity(-20, -1) if expired else _validity(since, days)
        builder = (
            _builder(_name(host), self._certificate.subject, key, *validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(keyCertSign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if ocsp is not None:
            where = x509.UniformResourceIdentifier(ocsp)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        pem, keyPEM = leaf.public_bytes(serialization.Encoding.PEM), _pem(key)
        files = Certificate(*(self._directory / f"{file}.{kind}" for kind in ("crt", "key", "pem")))
        files.certificate.write_bytes(pem)
        files.key.write_bytes(keyPEM)
        files.both.write_bytes(pem + keyPEM)
        return files


def encrypted(certificate: Certificate, password: str) -> Path:
    """Its key again, in a file that needs a password."""
    key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    found = certificate.key.with_suffix(".encrypted")
    found.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return found


def _namesOf(host: str) -> list[x509.GeneralName]:
    try:
        return [x509.IPAddress(ip_address(host))]
    except ValueError:
        return [x509.DNSName(host), x509.UniformResourceIdentifier(f"sip:{host}")]


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _validity(first: int, last: int) -> tuple[datetime.datetime, datetime.datetime]:
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    return now + datetime.timedelta(days=first) - hour, now + datetime.timedelta(days=last)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    first: datetime.datetime,
    last: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )


def _usage(*, keyCertSign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not keyCertSign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=keyCertSign,
        crl_sign=keyCertSign,
        encipher_only=False,
        decipher_only=False,
    )
