"""
OCSP (RFC 6960): questions, and answers that are believed only after everything in them was verified.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

GOOD, REVOKED, UNKNOWN = "good", "revoked", "unknown"

#: How far our clock and the responder's may be apart.
SKEW = datetime.timedelta(minutes=5)

#: How long an answer holds that does not say when the next one comes (RFC 6960 section 4.2.2.1).
_WITHOUT_NEXT = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What somebody who must know says about one certificate.

    @ivar status: C{"good"}, C{"revoked"} or C{"unknown"}.
    @ivar until: when it is out of date.
    @ivar source: who said it, for people.
    @ivar detail: since when, and why, it is revoked.
    """

    status: str
    until: datetime.datetime
    source: str
    detail: str = ""

    def __str__(self) -> str:
        if self.status == REVOKED:
            return f"revoked {self.detail}, {self.source}"
        return f"{self.status}, {self.source}, until {self.until:%Y-%m-%d %H:%M} UTC"


def responders(certificate: x509.Certificate) -> tuple[str, ...]:
    """The addresses of the responders that the certificate names, those on HTTP (RFC 6960 section 3.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    found = [
        each.access_location.value
        for each in access
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]
    # On HTTPS its certificate would have to be asked for in turn; the answer is signed anyway.
    return tuple(url for url in found if urlsplit(url).scheme == "http")


def mustStaple(certificate: x509.Certificate) -> bool:
    """Has the CA promised that its answer always comes with the handshake (RFC 7633)?"""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def question(certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes) -> bytes:
    """A request, DER; the digest of its certID is the one that every responder knows."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA1())  # noqa: S303
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(Encoding.DER)


def readAnswer(
    der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime.datetime,
    source: str,
    nonce: bytes | None = None,
) -> Answer:
    """
    A verified answer (RFC 6960 section 3.2).

    @param issuer: of C{certificate}; it has been verified.
    @param now: with its time zone.
    @param source: where it came from, for people.
    @param nonce: that of the question, which the answer repeats or leaves out; C{None}: a stapled one.
    @raise ValueError: it cannot be believed, or is no answer; says why.
    """
    try:
        return _read(der, certificate, issuer, now, source, nonce)
    except ValueError:
        raise
    except Exception as problem:  # the library has exceptions of its own for what it does not know
        raise ValueError(f"it cannot be read ({type(problem).__name__}: {problem})") from problem


def _read(
    der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime.datetime,
    source: str,
    nonce: bytes | None,
) -> Answer:
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder answers {response.response_status.name.lower()}")
    _checkSignature(response, issuer, now)
    if any(each.critical and not isinstance(each.value, x509.OCSPNonce) for each in response.extensions):
        raise ValueError("it holds a critical extension that nobody here knows")
    if nonce is not None:
        _checkNonce(response, nonce)
    single = _single(response, certificate, issuer)
    end = single.next_update_utc or single.this_update_utc + _WITHOUT_NEXT
    if single.this_update_utc > now + SKEW:
        raise ValueError(f"it is of the future, {single.this_update_utc:%Y-%m-%d %H:%M} UTC")
    if end < now - SKEW:
        raise ValueError(f"it ended on {end:%Y-%m-%d %H:%M} UTC")
    status = single.certificate_status.name.lower()
    detail = ""
    if status == REVOKED:
        reason = single.revocation_reason
        detail = f"on {single.revocation_time_utc:%Y-%m-%d}{f' ({reason.value})' if reason else ''}"
    return Answer(status, end, source, detail)


def _checkNonce(response: ocsp.OCSPResponse, nonce: bytes) -> None:
    try:
        seen = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return  # answers made in advance have none
    if seen != nonce:
        raise ValueError("it answers another question: its nonce is not ours")


def _single(
    response: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.OCSPSingleResponse:
    """The part of the response about this certificate."""
    for single in response.responses:
        # cryptography knows how a certID is made when it makes a request.
        wanted = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
        if (
            single.serial_number == wanted.serial_number
            and single.issuer_name_hash == wanted.issuer_name_hash
            and single.issuer_key_hash == wanted.issuer_key_hash
        ):
            return single
    raise ValueError("it is about another certificate")


def _checkSignature(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime.datetime
) -> None:
    """
    It is signed by the issuer, or by somebody whom the issuer has made a responder (section 4.2.2.2).
    """
    if _isResponder(response, issuer):
        return _verify(issuer, response)
    for each in response.certificates:
        if _isResponder(response, each):
            _checkDelegate(each, issuer, now)
            return _verify(each, response)
    raise ValueError("it is signed by somebody else than the issuer and does not say who that is")


def _isResponder(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return response.responder_key_hash == key.digest


def _checkDelegate(delegate: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime) -> None:
    who = delegate.subject.rfc4514_string()
    try:
        delegate.verify_directly_issued_by(issuer)
    except Exception:
        raise ValueError(f"it is signed by {who}, whom the issuer does not know") from None
    try:
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = x509.ExtendedKeyUsage([])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        raise ValueError(f"it is signed by {who}, which is no OCSP responder")
    if not delegate.not_valid_before_utc - SKEW <= now <= delegate.not_valid_after_utc + SKEW:
        raise ValueError(f"it is signed by {who}, whose certificate is not valid now")


def _verify(signer: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    key, digest = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), _strong(digest))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(_strong(digest)))
        else:
            raise ValueError(f"its signature is of an unknown kind ({type(key).__name__})")
    except ValueError:
        raise
    except Exception:
        raise ValueError("its signature is wrong") from None


def _strong(digest: HashAlgorithm | None) -> HashAlgorithm:
    if digest is None or isinstance(digest, MD5 | SHA1):
        raise ValueError(f"its signature is too weak ({digest.name if digest else 'no digest'})")
    return digest


__all__ = [
    "GOOD",
    "REVOKED",
    "SKEW",
    "UNKNOWN",
    "Answer",
    "mustStaple",
    "question",
    "readAnswer",
    "responders",
]
