"""
Whether a certificate was revoked: the lab's OCSP responder (RFC 6960) and its list (RFC 5280 section 5).

The responder answers over plain HTTP, as they all do; the same answers can be stapled in the handshake.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Callable, Sequence
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from skypetrunk.lab.authority import Authority

__all__ = ["ANSWERS", "OCSPResource", "ocspAnswer", "ocspSite", "revocationLists"]

ANSWERS = {
    "good": "the certificate is good",
    "revoked": "it was revoked an hour ago",
    "unknown": "it is unknown",
    "silent": "no answer; nothing is stapled",
    "old": "good, but the answer ended an hour ago",
    "stranger": "good, signed by somebody else",
    "try-later": "the responder is busy (RFC 6960 section 2.3)",
    "no-url": "the certificate names no responder",
    "ca-revoked": "good, but the intermediate was revoked an hour ago",
}
"""What the responder says of the carrier's certificate, by name."""

_HOUR = datetime.timedelta(hours=1)
_LARGEST = 4096


def ocspAnswer(
    authority: Authority, certificate: x509.Certificate, answer: str, now: datetime.datetime
) -> bytes | None:
    """
    The DER octets of an OCSP response, or C{None} where nothing is said.

    @param certificate: a leaf, or the intermediate.
    @param answer: a key of L{ANSWERS}.
    """
    if answer in ("silent", "no-url"):
        return None
    if answer == "try-later":
        busy = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
        return busy.public_bytes(Encoding.DER)
    status = {
        "revoked": ocsp.OCSPCertStatus.REVOKED,
        "unknown": ocsp.OCSPCertStatus.UNKNOWN,
    }.get(answer, ocsp.OCSPCertStatus.GOOD)
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    end = now - _HOUR if answer == "old" else now + _HOUR
    ca = certificate.issuer == authority.root.subject
    issuer = authority.root if ca else authority.issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=issuer,
        algorithm=SHA1(),
        cert_status=status,
        this_update=end - 2 * _HOUR,
        next_update=end,
        revocation_time=now - _HOUR if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    signer = Authority(now, "skypetrunk lab stranger") if answer == "stranger" else authority
    by = signer.issuer if answer == "stranger" else issuer
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by)
    return builder.sign(signer.keyOf(by), SHA256()).public_bytes(Encoding.DER)


def revocationLists(
    authority: Authority, revoked: Sequence[x509.Certificate], now: datetime.datetime
) -> bytes:
    """
    The CRLs of intermediate and root, PEM.

    @param revoked: leaves, or the intermediate.
    """
    return b"".join(
        _list(authority, issuer, [each for each in revoked if each.issuer == issuer.subject], now)
        for issuer in (authority.issuer, authority.root)
    )


def _list(
    authority: Authority,
    issuer: x509.Certificate,
    revoked: Sequence[x509.Certificate],
    now: datetime.datetime,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - _HOUR)
        .next_update(now + 24 * _HOUR)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now - _HOUR).build())
    return builder.sign(authority.keyOf(issuer), SHA256()).public_bytes(Encoding.PEM)


class OCSPResource(Resource):
    """
    The responder: GET and POST (RFC 6960 appendix A).

    @ivar asked: so many requests were read.
    @ivar answer: the response for a serial number.
    """

    isLeaf = True

    def __init__(self, answer: Callable[[int], bytes | None]) -> None:
        """
        @param answer: the response for a serial number, or C{None} for none at all.
        """
        super().__init__()
        self.asked = 0
        self.answer = answer

    def render_GET(self, request: Request) -> bytes | int:
        """The request stands in the path, in base 64."""
        try:
            return self._respond(request, base64.b64decode(unquote_to_bytes(request.path.lstrip(b"/"))))
        except binascii.Error:
            return self._refuse(request)

    def render_POST(self, request: Request) -> bytes | int:
        """The request is the body."""
        assert request.content is not None
        return self._respond(request, request.content.read(_LARGEST))

    def _respond(self, request: Request, der: bytes) -> bytes | int:
        try:
            serial = ocsp.load_der_ocsp_request(der).serial_number
        except (ValueError, NotImplementedError):
            # The latter for more than one question
            return self._refuse(request)
        self.asked += 1
        answer = self.answer(serial)
        if answer is None:
            return NOT_DONE_YET
        request.setHeader(b"Content-Type", b"application/ocsp-response")
        return answer

    def _refuse(self, request: Request) -> bytes:
        request.setResponseCode(400)
        return b"no OCSP request\n"


def ocspSite(resource: OCSPResource) -> Site:
    """What listens; it writes no log of its own."""
    site = Site(resource)
    site.noisy = False
    site.displayTracebacks = False
    return site
