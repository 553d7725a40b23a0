"""
Does a certificate prove a SIP domain (RFC 5922 section 7)?

Every exception denies: whatever goes wrong in here becomes L{PeerNotVerified}.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from service_identity import VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import (
    DNS_ID,
    URI_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    URIPattern,
    verify_service_identity,
)
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy
from skypetrunk.wire.address import isLiteral

PIN_PREFIX = "sha256/"

_ODD = re.compile(r"(DNS|URI) .*[^!-~]", re.DOTALL)
"""A name of a certificate, as L{namesOf} writes it, with a character that no host name or URI has."""

#: X509_V_ERR_INVALID_PURPOSE: the certificate is meant for something else.
WRONG_PURPOSE = 26

#: X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, which comes first, and _UNABLE_TO_VERIFY_LEAF_SIGNATURE.
_UNKNOWN_ISSUER, _ALONE = 20, 21

#: X509_V_ERR numbers of OpenSSL that administrators meet, in words.
_PROBLEMS = {
    7: "whose signature is wrong",
    9: "not valid before {start}",
    10: "expired on {end}",
    18: "signed by itself",
    19: "issued under the unknown root {issuer}",
    20: "issued by {issuer}, which is not among the roots",
    21: "issued by {issuer}, which is not among the roots and was not sent",
    23: "revoked",
    25: "below more CAs than one of them allows",
    34: "with a critical extension that nobody here knows",
    47: "for names that its CA may not vouch for",
    24: "issued by something that is no CA",
    79: "issued by something that is no CA",
    WRONG_PURPOSE: "not meant for this: its extended key usage is {usage}",
    66: "its key is too weak",
    67: "the key of its CA is too weak",
    68: "its signature algorithm is too weak",
}


def asciiDomain(domain: str) -> str:
    """A domain as certificates and SNI write it: lower case, IDNA, no dot at the end."""
    return domain.rstrip(".").encode("idna").decode("ascii").lower()


def keyPin(certificate: x509.Certificate) -> str:
    """The pin C{sha256/BASE64} of a certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4)."""
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PIN_PREFIX + base64.b64encode(hashlib.sha256(info).digest()).decode("ascii")


def parsePin(text: str) -> bytes:
    """
    The digest of a pin written as C{sha256/BASE64}.

    @raise ValueError: says what is wrong and what would be right.
    """
    if not text.startswith(PIN_PREFIX):
        raise ValueError(f"a pin starts with {PIN_PREFIX!r}, not {text[:7]!r}")
    try:
        digest = base64.b64decode(text[len(PIN_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {PIN_PREFIX!r} is not base64") from None
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError(f"a pin holds 32 octets, this one {len(digest)}")
    return digest


def namesOf(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names in SubjectAltName, for people: C{("DNS a.example", "URI sip:a.example")}."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds: dict[type[x509.GeneralName], str] = {
        x509.DNSName: "DNS",
        x509.UniformResourceIdentifier: "URI",
        x509.RFC822Name: "e-mail",
        x509.IPAddress: "IP",
    }
    return tuple(f"{kinds.get(type(name), 'other')} {name.value}" for name in names)


def extendedUsage(certificate: x509.Certificate) -> tuple[str, ...]:
    """What the certificate says it is for, by OpenSSL's names: C{("serverAuth",)}; empty: for anything."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(each._name for each in usage)


def forServersOnly(certificate: x509.Certificate) -> bool:
    """
    Is that it cannot be used by clients all that is wrong with its usage?  Public CAs leave clientAuth out
    these days, and carriers show their one certificate when they connect, too.
    """
    usage = extendedUsage(certificate)
    if "serverAuth" not in usage or "clientAuth" in usage:
        return False
    try:
        keyUsage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return keyUsage.digital_signature or keyUsage.key_cert_sign


def chainProblem(
    error: int, certificate: x509.Certificate, domain: str, roots: Sequence[str], depth: int = 1
) -> PeerNotVerified:
    """
    What OpenSSL disliked in the chain, in words.

    @param error: OpenSSL's X509_V_ERR number.
    @param certificate: the certificate of the chain that it disliked.
    @param roots: subjects of the trusted roots.
    @param depth: its place in the chain; 0 is the peer's own.
    """
    if error == _UNKNOWN_ISSUER and depth == 0:
        error = _ALONE
    reason = _PROBLEMS.get(error, f"refused by OpenSSL with X509 error {error}").format(
        start=certificate.not_valid_before_utc.isoformat(" "),
        end=certificate.not_valid_after_utc.isoformat(" "),
        issuer=certificate.issuer.rfc4514_string() or "(no name)",
        usage=_listed(extendedUsage(certificate)) or "open, and its key usage another",
    )
    return PeerNotVerified(
        wanted=f"a valid certificate for {domain} issued under {_listed(roots)}",
        seen=f"the certificate {certificate.subject.rfc4514_string() or '(no name)'}, {reason}",
    )


@implementer(IIdentityPolicy)
class IdentityPolicy:
    """
    RFC 5922 and pins.

    @ivar pins: digests one of which the key of the leaf, or of a CA of the verified chain, must
        have; empty for no pinning.
    @ivar wildcards: whether C{*.carrier.example} proves C{sip.carrier.example}.  RFC 5922 section
        7.2 forbids it; some carriers need it.
    @ivar targetNames: names of hosts that prove the domain too, where the carrier's certificates name what
        its SRV records point to: C{edge.carrier.example}, or C{*.edge.carrier.example} for each host there.
        They are configured: what DNS says proves nothing.
    @ivar pinsReported: a key that is not pinned is reported, not refused.
    """

    _log = Logger()

    def __init__(
        self,
        pins: Sequence[str] = (),
        wildcards: bool = False,
        targetNames: Sequence[str] = (),
        pinsReported: bool = False,
    ) -> None:
        """
        @param pins: C{"sha256/BASE64"}, the one in use and a spare.
        @raise ValueError: a pin that is none.
        """
        self.pins = tuple(parsePin(pin) for pin in pins)
        self.wildcards = wildcards
        self.targetNames = tuple(name.lower() for name in targetNames)
        self.pinsReported = pinsReported

    def verify(self, chain: Sequence[bytes], domain: str) -> str:
        """See L{IIdentityPolicy.verify}."""
        try:
            certificates = [x509.load_der_x509_certificate(each) for each in chain]
            proof = self._proof(certificates[0], asciiDomain(domain))
            pinned = self._pinnedOrReported(certificates, domain)
        except PeerNotVerified:
            raise
        except Exception as problem:
            raise PeerNotVerified(
                wanted=f"a certificate for {domain}",
                seen=f"one that cannot be checked ({type(problem).__name__}: {problem})",
            ) from problem
        return proof if pinned is None else f"{proof}; {pinned}"

    def _pinnedOrReported(self, certificates: Sequence[x509.Certificate], domain: str) -> str | None:
        try:
            pinned = self._pinned(certificates)
        except PeerNotVerified as problem:
            if not self.pinsReported:
                raise
            self._log.warn(
                "{domain}: no pinned key, let pass as pins_mode is report: {problem}",
                domain=domain,
                problem=str(problem),
            )
            return f"no pinned key (only reported), {problem.seen}"
        return None if pinned is None else f"pinned key of {pinned}"

    def _proof(self, leaf: x509.Certificate, domain: str) -> str:
        try:
            # The library takes white space off, and knows no NUL.
            if any(_ODD.match(name) for name in namesOf(leaf)):
                raise ValueError("a blank or control character in a name")
            patterns = extract_patterns(leaf)
            if isLiteral(domain):
                addresses: list[CertificatePattern] = [
                    each for each in patterns if isinstance(each, IPAddressPattern)
                ]
                verify_service_identity(addresses, [IPAddress_ID(ip_address(domain))], [])
                return f"IP {domain}"
            # RFC 5922 section 7.1: only the scheme "sip" counts, and a URI with a user part names
            # a person, not a domain.
            uris: list[CertificatePattern] = [
                each
                for each in patterns
                if isinstance(each, URIPattern)
                and each.protocol_pattern == b"sip"
                and b"@" not in each.dns_pattern.pattern
            ]
            hosts: list[CertificatePattern] = [
                each
                for each in patterns
                if isinstance(each, DNSPattern) and (self.wildcards or b"*" not in each.pattern)
            ]
            # RFC 5922 section 7.1: DNS names count only where there is no such URI.
            try:
                return _matched(uris, hosts, domain)
            except VerificationError:
                for name in self._targets(uris or hosts):
                    with suppress(VerificationError):
                        return f"{_matched(uris, hosts, name)}, one of target_names"
                raise
        except Exception as problem:
            if isLiteral(domain):
                wanted = f"IP {domain}"
            else:
                wanted = " or DNS ".join((f"URI sip:{domain}", domain, *self.targetNames))
            raise PeerNotVerified(
                wanted=f"a certificate for {wanted}",
                seen=self._seen(leaf, problem),
            ) from problem

    def _targets(self, patterns: Sequence[CertificatePattern]) -> Iterator[str]:
        """The hosts that prove the domain; of C{*.edge.carrier.example} those that the certificate names."""
        for name in self.targetNames:
            if not name.startswith("*."):
                yield name
                continue
            for each in patterns:
                host = each.dns_pattern if isinstance(each, URIPattern) else each
                if isinstance(host, DNSPattern):
                    label, _, parent = host.pattern.decode("ascii").partition(".")
                    if parent == name[2:]:
                        yield f"{'host' if label == '*' else label}.{parent}"

    def _seen(self, leaf: x509.Certificate, problem: Exception) -> str:
        """The names of a certificate that proves nothing, and why, where the names do not show it."""
        names = namesOf(leaf)
        if not names:
            return "no SubjectAltName"
        if not self.wildcards and any("*" in name for name in names):
            return f"{_listed(names)} (wildcards are refused, RFC 5922 section 7.2)"
        if not isinstance(problem, VerificationError):
            return f"{_listed(names)} ({type(problem).__name__}: {problem})"
        return _listed(names)

    def _pinned(self, certificates: Sequence[x509.Certificate]) -> str | None:
        """Subject of the certificate whose key is pinned, or C{None} without pins."""
        if not self.pins:
            return None
        seen = [keyPin(each) for each in certificates]
        for pin, certificate in zip(seen, certificates, strict=True):
            if any([hmac.compare_digest(parsePin(pin), wanted) for wanted in self.pins]):
                return certificate.subject.rfc4514_string()
        wanted = [PIN_PREFIX + base64.b64encode(each).decode("ascii") for each in self.pins]
        raise PeerNotVerified(wanted=f"a key pinned as {' or '.join(wanted)}", seen=f"keys {', '.join(seen)}")


class PinnedKey(IdentityPolicy):
    """
    The peer's own key, and nothing else: for a PBX whose certificate nobody issued.  The chain that it
    shows was not verified, so that no other key of it counts.
    """

    def __init__(self, pins: Sequence[str]) -> None:
        """
        @param pins: as for L{IdentityPolicy}; at least one.
        @raise ValueError: none, or one that is none.
        """
        super().__init__(pins)
        if not self.pins:
            raise ValueError("no key is pinned")

    def verify(self, chain: Sequence[bytes], domain: str) -> str:
        """See L{IIdentityPolicy.verify}."""
        try:
            pinned = self._pinned([x509.load_der_x509_certificate(chain[0])])
        except PeerNotVerified:
            raise
        except Exception as problem:
            raise PeerNotVerified(
                wanted=f"the pinned key of {domain}",
                seen=f"a certificate that cannot be read ({type(problem).__name__}: {problem})",
            ) from problem
        return f"pinned key of {pinned or '(no name)'}"


def _matched(uris: Sequence[CertificatePattern], hosts: Sequence[CertificatePattern], name: str) -> str:
    """
    What proves C{name}.

    @raise VerificationError: nothing does.
    """
    if uris:
        verify_service_identity(uris, [URI_ID(f"sip:{name}")], [])
        return f"URI sip:{name}"
    if not hosts:
        raise VerificationError(errors=[])
    match = verify_service_identity(hosts, [DNS_ID(name)], [])[0].cert_pattern
    assert isinstance(match, DNSPattern)
    return f"DNS {match.pattern.decode('ascii')}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    """A few names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
