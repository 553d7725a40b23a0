"""
Was a certificate of the peer's chain revoked?  CRL files, the stapled OCSP answer, the issuer's responder.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IRevocationPolicy
from skypetrunk.net.crl import lookUp
from skypetrunk.net.ocsp import GOOD, REVOKED, Answer, mustStaple, question, readAnswer, responders

OFF, SOFT, HARD = MODES = ("off", "soft", "hard")

#: Sends a request, DER, to a responder's URL; the Deferred fires with the answer, DER.
Fetch = Callable[[str, bytes], Deferred[bytes]]

#: How long an answer is used at most: a CA gives them for a week, and may revoke a certificate today.
KEPT = datetime.timedelta(hours=12)

#: How long a responder that gave no answer is not asked again: connections must not wait for it each time.
SILENT = datetime.timedelta(minutes=5)

#: Answers kept: a carrier has a handful of certificates.
_MOST_KEPT = 64

_MOST_RESPONDERS = 2

_Key = tuple[bytes, int]


class AnswerCache:
    """Answers of responders, good and missing; each trunk has its own."""

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[datetime.datetime, Answer | str]] = {}

    def get(self, key: _Key, now: datetime.datetime) -> Answer | str | None:
        """An answer that still holds, or why there was none; C{None}: ask."""
        end, answer = self._kept.get(key, (now, None))
        return answer if now < end else None

    def put(self, key: _Key, answer: Answer | str, now: datetime.datetime) -> None:
        """Keep an answer as long as it may be."""
        self._kept.pop(key, None)
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        end = min(answer.until, now + KEPT) if isinstance(answer, Answer) else now + SILENT
        self._kept[key] = (end, answer)


@implementer(IRevocationPolicy)
class RevocationPolicy:
    """
    One trunk's policy.  Whatever says "revoked" denies.  Where nobody says "good", soft lets the peer pass
    and says so, hard denies.  Every certificate of the chain below the root is looked at.
    """

    _log = Logger()

    def __init__(
        self,
        mode: str,
        lists: Sequence[x509.CertificateRevocationList],
        fetch: Fetch,
        cache: AnswerCache,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        @param mode: C{"soft"} or C{"hard"}; where it is off there is no policy.
        @param lists: CRLs.
        @param random: so many octets of chance, for nonces.
        """
        if mode not in (SOFT, HARD):
            raise ValueError(f"{mode!r} is no mode of this policy")
        self._hard = mode == HARD
        self._lists = tuple(lists)
        self._fetch = fetch
        self._cache = cache
        self._now = now
        self._random = random

    def check(self, chain: Sequence[bytes], stapled: bytes | None) -> Deferred[str]:
        """See L{IRevocationPolicy.check}."""
        return Deferred.fromCoroutine(self._check(chain, stapled))

    async def _check(self, chain: Sequence[bytes], stapled: bytes | None) -> str:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
        if not certificates:
            raise PeerNotVerified(wanted="a certificate", seen="none")
        if len(certificates) == 1:
            return "nobody to ask: the certificate is a root itself"
        # At the same time: silent responders must not add up to more than a connection may take.
        checks = [
            Deferred.fromCoroutine(self._one(certificate, issuer, None if depth else stapled))
            for depth, (certificate, issuer) in enumerate(pairwise(certificates))
        ]
        try:
            first, *others = await gatherResults(checks, consumeErrors=True)
        except FirstError as problem:
            problem.subFailure.raiseException()
            raise
        below = [f"{_name(each)}: {text}" for each, text in zip(certificates[1:], others, strict=False)]
        return "; ".join([first, *below])

    async def _one(
        self, certificate: x509.Certificate, issuer: x509.Certificate, stapled: bytes | None
    ) -> str:
        """
        What was found about one certificate.

        @param stapled: C{None} where none could be; of the peer's own certificate only.
        @raise PeerNotVerified: it is revoked, or hard and nobody knows.
        """
        problems: list[str] = []
        good: Answer | None = None
        for local in (self._listed, self._stapled):
            try:
                good = self._judged(certificate, local(certificate, issuer, stapled)) or good
            except PeerNotVerified:
                raise
            except Exception as problem:
                problems.append(str(problem))
        if good is None and responders(certificate):
            try:
                good = self._judged(certificate, await self._asked(certificate, issuer))
            except ValueError as problem:
                problems.append(str(problem))
        elif good is None:
            problems.append("it names no OCSP responder")
        if good is not None:
            return str(good)
        why = ", ".join(problems)
        if self._hard:
            raise PeerNotVerified(wanted=f"proof that {_name(certificate)} is not revoked", seen=why)
        if responders(certificate):
            self._log.warn(
                "{name}: whether it is revoked is not known: {why}; let pass, as revocation is soft",
                name=_name(certificate),
                why=why,
            )
        return f"revocation not known (soft): {why}"

    def _judged(self, certificate: x509.Certificate, answer: Answer | None) -> Answer | None:
        """
        An answer if it is good.

        @raise PeerNotVerified: it is revoked.
        @raise ValueError: the responder does not know the certificate.
        """
        if answer is None or answer.status == GOOD:
            return answer
        if answer.status == REVOKED:
            raise PeerNotVerified(wanted=f"{_name(certificate)}, not revoked", seen=str(answer))
        raise ValueError(str(answer))

    def _listed(
        self, certificate: x509.Certificate, issuer: x509.Certificate, stapled: bytes | None
    ) -> Answer | None:
        if not self._lists:
            return None
        found = lookUp(self._lists, certificate, issuer, self._now())
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _stapled(
        self, certificate: x509.Certificate, issuer: x509.Certificate, stapled: bytes | None
    ) -> Answer | None:
        if stapled:
            try:
                return readAnswer(stapled, certificate, issuer, self._now(), "says the stapled OCSP answer")
            except Exception as problem:
                raise ValueError(f"the stapled OCSP answer counts for nothing: {problem}") from None
        if stapled is not None and mustStaple(certificate):
            wanted = f"an OCSP answer stapled, as {_name(certificate)} promises (RFC 7633)"
            raise PeerNotVerified(wanted=wanted, seen="none")
        return None

    async def _asked(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Answer:
        """
        What the issuer's responder says, or has said lately.

        @raise ValueError: nothing that counts.
        """
        key = (issuer.public_bytes(Encoding.DER), certificate.serial_number)
        answer = self._cache.get(key, self._now())
        if answer is None:
            answer = await self._fetched(certificate, issuer)
            self._cache.put(key, answer, self._now())
        if isinstance(answer, str):
            raise ValueError(answer)
        return answer

    async def _fetched(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Answer | str:
        problems = []
        for url in responders(certificate)[:_MOST_RESPONDERS]:
            nonce = self._random(32)
            try:
                der = await self._fetch(url, question(certificate, issuer, nonce))
                return readAnswer(
                    der, certificate, issuer, self._now(), f"says the OCSP responder {url}", nonce
                )
            except CancelledError:
                raise
            except Exception as problem:
                problems.append(f"no answer of the OCSP responder {url} that counts: {problem}")
        return ", ".join(problems)


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"certificate {certificate.serial_number:x}"


__all__ = ["HARD", "KEPT", "MODES", "OFF", "SILENT", "SOFT", "AnswerCache", "Fetch", "RevocationPolicy"]
