"""
Certificate revocation lists (RFC 5280 section 5), from files.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.hashes import MD5, SHA1

from skypetrunk.net.ocsp import GOOD, REVOKED, SKEW, Answer

_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def loadCRLs(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """
    The lists of a file: one or more PEM blocks, or one in DER.

    @raise ValueError: none in it, or one that cannot be read.
    """
    blocks = _BLOCK.findall(data)
    try:
        if blocks:
            return tuple(x509.load_pem_x509_crl(each) for each in blocks)
        return (x509.load_der_x509_crl(data),)
    except x509.InvalidVersion as problem:
        raise ValueError(str(problem)) from problem


def lookUp(
    lists: Sequence[x509.CertificateRevocationList],
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime.datetime,
) -> Answer | str:
    """
    What the issuer's lists say about its certificate.

    @param issuer: of C{certificate}; it has been verified.
    @param now: with its time zone.
    @return: C{"revoked"}, also from a list that is out of date; C{"good"} from one that is not and would
        name this certificate; or why there is no answer.
    """
    why = f"no CRL of {issuer.subject.rfc4514_string()}"
    found: Answer | None = None
    for each in lists:
        if each.issuer != issuer.subject:
            continue
        try:
            answer = _lookUpIn(each, certificate, issuer, now)
        except Exception as problem:  # the other lists still count
            answer = f"{_name(each)} cannot be read ({type(problem).__name__}: {problem})"
        if isinstance(answer, str):
            why = answer
        elif answer.status == REVOKED:
            return answer
        else:
            found = answer
    return found or why


def _lookUpIn(
    crl: x509.CertificateRevocationList,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime.datetime,
) -> Answer | str:
    if not _signed(crl, issuer):
        return f"{_name(crl)} is not signed by it"
    # RFC 5280 section 5.1.2.5: nextUpdate must be there.
    end = crl.next_update_utc or crl.last_update_utc
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None and not _indirect(crl):
        detail = f"on {entry.revocation_date_utc:%Y-%m-%d}{_reason(entry)}"
        return Answer(REVOKED, end, f"says {_name(crl)}", detail)
    if crl.last_update_utc > now + SKEW:
        return f"{_name(crl)} is of the future"
    if end < now - SKEW:
        return f"{_name(crl)} ended on {end:%Y-%m-%d}"
    if isinstance(crl.signature_hash_algorithm, MD5 | SHA1):
        return f"the signature of {_name(crl)} is too weak"
    if not _covers(crl, certificate):
        return f"{_name(crl)} is about other certificates"
    return Answer(GOOD, end, f"says {_name(crl)}")


def _name(crl: x509.CertificateRevocationList) -> str:
    return f"the CRL of {crl.issuer.rfc4514_string()}"


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type, unused-ignore]
    except Exception:  # a key or algorithm that is another, or unknown
        return False


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return f" ({entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value})"
    except x509.ExtensionNotFound:
        return ""


def _scope(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def _indirect(crl: x509.CertificateRevocationList) -> bool:
    """Does it list certificates of other issuers, too, whose serial numbers mean nothing here?"""
    scope = _scope(crl)
    return scope is not None and scope.indirect_crl


def _covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Would it name C{certificate}, were it revoked (RFC 5280 sections 5.2.5 and 6.3.3)?"""
    for extension in crl.extensions:
        # A delta CRL has an extension of this kind as well.
        if extension.critical and not isinstance(extension.value, x509.IssuingDistributionPoint):
            return False
    scope = _scope(crl)
    if scope is None:
        return True
    if scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs:
        return False
    authority = _isAuthority(certificate)
    if (scope.only_contains_user_certs and authority) or (scope.only_contains_ca_certs and not authority):
        return False
    if scope.relative_name is not None:
        return False
    return scope.full_name is None or bool(set(scope.full_name) & _points(certificate))


def _isAuthority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _points(certificate: x509.Certificate) -> set[x509.GeneralName]:
    """Where the certificate says that its CRL is: a CA may keep several, each for some of them."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return set()
    return {name for point in points for name in point.full_name or ()}


__all__ = ["loadCRLs", "lookUp"]
