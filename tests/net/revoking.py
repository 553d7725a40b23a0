"""What CAs and their responders say about certificates of L{tests.net.certificates}: right, late, forged."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from twisted.internet.defer import Deferred, fail, succeed

from skypetrunk.errors import ChannelFailed
from tests.net.certificates import Issued, authority, leaf, usage

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
"""About the time of the test, as certificates of L{tests.net.certificates} are of today."""

URL = "http://ocsp.example/ca"

HOUR = datetime.timedelta(hours=1)

_STATES = {
    "good": ocsp.OCSPCertStatus.GOOD,
    "revoked": ocsp.OCSPCertStatus.REVOKED,
    "unknown": ocsp.OCSPCertStatus.UNKNOWN,
}


def access(*urls: str) -> x509.AuthorityInformationAccess:
    """The extension that names responders."""
    kind = AuthorityInformationAccessOID.OCSP
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(kind, x509.UniformResourceIdentifier(url)) for url in urls]
    )


def responder(subject: str = "Responder", issuer: Issued | None = None, expired: bool = False) -> Issued:
    """A certificate for signing OCSP answers."""
    purpose = usage(ExtendedKeyUsageOID.OCSP_SIGNING)
    return leaf((), issuer, subject=subject, keyName=subject, expired=expired, extensions=[purpose])


def answer(
    about: Issued,
    status: str = "good",
    *,
    issuer: Issued | None = None,
    signer: Issued | None = None,
    byHash: bool = False,
    enclosed: Sequence[Issued] | None = None,
    age: datetime.timedelta = HOUR,
    lasts: datetime.timedelta | None = 24 * HOUR,
    nonce: bytes | None = None,
    digest: HashAlgorithm = SHA1(),  # noqa: B008, S303 (a value; of the certID)
) -> bytes:
    """
    An OCSP answer, DER.

    @param issuer: whose certificate it is said to be; default: the root.
    @param signer: default: the issuer itself.
    @param byHash: the responder is named by its key.
    @param enclosed: certificates in the answer; default: the signer's, if that is not the issuer.
    @param age: how long ago it was made.
    @param lasts: from then; C{None}: it does not say.
    """
    issuer = issuer or authority()
    by = signer or issuer
    revoked = status == "revoked"
    made = NOW - age
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate,
            issuer.certificate,
            digest,  # type: ignore[arg-type, unused-ignore]
            _STATES[status],
            made,
            None if lasts is None else made + lasts,
            NOW - 2 * HOUR if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(
            ocsp.OCSPResponderEncoding.HASH if byHash else ocsp.OCSPResponderEncoding.NAME, by.certificate
        )
    )
    if enclosed is None:
        enclosed = () if signer is None else (signer,)
    if enclosed:
        builder = builder.certificates([each.certificate for each in enclosed])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(by.key, SHA256()).public_bytes(Encoding.DER)


def crl(
    *revoked: Issued,
    issuer: Issued | None = None,
    signer: Issued | None = None,
    age: datetime.timedelta = HOUR,
    lasts: datetime.timedelta = 24 * HOUR,
    extensions: Sequence[x509.ExtensionType] = (),
    reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
) -> bytes:
    """A CRL, PEM."""
    issuer = issuer or authority()
    made = NOW - age
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(made)
        .next_update(made + lasts)
    )
    for each in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate.serial_number)
            .revocation_date(made)
        )
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign((signer or issuer).key, SHA256()).public_bytes(Encoding.PEM)


class Responders:
    """
    Stands where the network would be.

    @ivar answers: by URL: octets to answer with, an exception to fail with, or a Deferred.
    @ivar asked: URL and request of each question.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Exception | Deferred[bytes]] = {}
        self.asked: list[tuple[str, bytes]] = []

    def fetch(self, url: str, request: bytes) -> Deferred[bytes]:
        """See L{skypetrunk.net.revocation.Fetch}."""
        self.asked.append((url, request))
        found = self.answers.get(url, ChannelFailed("refused"))
        if isinstance(found, Deferred):
            return found
        return fail(found) if isinstance(found, Exception) else succeed(found)
