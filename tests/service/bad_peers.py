"""
Peers that must not get the trunk's attention: what they are, and what is said when they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.net.identity import keyPin
from skypetrunk.net.tls_server import tlsServerOptions
from tests.net.certificates import (
    Issued,
    authority,
    dns,
    impostor,
    intermediate,
    leaf,
    tampered,
    uris,
    usage,
    weaklySigned,
)
from tests.net.network import Listener, Listeners
from tests.net.revoking import HOUR, access, answer, crl, responder

DOMAIN = "carrier.example"

RESPONDER = ("192.0.2.80", 80)

Server = Callable[[Listeners, Any], Factory]
"""Makes the factory of a server from that of its application protocols, and a clock."""


@dataclass(frozen=True)
class Bad:
    """
    One bad peer.

    @ivar server: what listens at each target.
    @ivar seen: in what the trunk says about it.
    @ivar wanted: likewise; empty for a peer that never came as far as a certificate.
    @ivar tls: what is not the default of the trunk's TLS configuration.
    @ivar wildcards: the profile allows them.
    @ivar answer: what the OCSP responder of C{RESPONDER} answers; C{None}: nobody listens there.
    @ivar lists: CRLs, PEM.
    @ivar roots: PEM.
    @ivar hangs: it is given up after a while.
    """

    server: Server
    seen: str
    wanted: str = ""
    tls: Mapping[str, Any] = field(default_factory=dict)
    wildcards: bool = False
    answer: bytes | None = None
    lists: bytes = b""
    roots: bytes = b""
    hangs: bool = False


def tlsServer(issued: Issued, **more: Any) -> Server:
    """A TLS server with a certificate."""

    def server(listeners: Listeners, clock: Any) -> Factory:
        options = tlsServerOptions(loadOwnCertificate(issued.pem, issued.keyPEM), **more)
        return cast(Factory, TLSMemoryBIOFactory(options, False, listeners, clock))

    return server


@implementer(IOpenSSLServerConnectionCreator)
class _Contexts:
    """A server of a context that Twisted would not make."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """One more."""
        return SSL.Connection(self._context)


def _old(version: int, ciphers: bytes = b"ALL:@SECLEVEL=0", issued: Issued | None = None) -> Server:
    """A server that speaks nothing newer, and is not choosy."""
    issued = issued or leaf(dns(DOMAIN), keyName="rsa")

    def server(listeners: Listeners, clock: Any) -> Factory:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(version)
        context.set_cipher_list(ciphers)
        context.use_certificate(crypto.X509.from_cryptography(issued.certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))  # type: ignore[arg-type, unused-ignore]
        return cast(Factory, TLSMemoryBIOFactory(_Contexts(context), False, listeners, clock))

    return server


class _Says(Listener):
    """
    Answers whatever it hears with some octets, and may close.
    """

    says: bytes = b""
    closes = False

    def connectionMade(self) -> None:
        """A server that does not wait."""
        if self.closes and not self.says:
            self._transport().loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Keep it, and answer."""
        super().dataReceived(data)
        if self.says:
            self._transport().write(self.says)
        if self.closes:
            self._transport().loseConnection()

    def _transport(self) -> Any:
        return self.transport


def _raw(octets: bytes, *, close: bool = False) -> Server:
    """A server that speaks no TLS, or not for long."""

    class Says(_Says):
        says, closes = octets, close

    class Servers(Factory):
        noisy = False

        def __init__(self, listeners: Listeners) -> None:
            self._listeners = listeners

        def buildProtocol(self, addr: object) -> Protocol:
            return Says(self._listeners.heard)

    return lambda listeners, clock: Servers(listeners)


def _record(kind: int, version: int, body: bytes) -> bytes:
    """A TLS record (RFC 8446 section 5.1)."""
    return bytes([kind]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


_CHAIN = "a valid certificate for carrier.example issued under CN=Test Root"
_NAME = "a certificate for URI sip:carrier.example or DNS carrier.example"
_FAILED = "TLS handshake failed"
_FINE = dns(DOMAIN)


def _chain(issued: Issued, seen: str, **more: Any) -> Bad:
    return Bad(tlsServer(issued), seen, _CHAIN, **more)


def _named(names: tuple[x509.GeneralName, ...], seen: str, **more: Any) -> Bad:
    return Bad(tlsServer(leaf(names)), seen, _NAME, **more)


def _asked(seen: str, answered: bytes | None, mode: str = "hard", **more: Any) -> Bad:
    return Bad(tlsServer(ASKING), seen, "CN=Test Leaf", {"revocation": mode}, answer=answered, **more)


ASKING = leaf(_FINE, extensions=[access(f"http://{RESPONDER[0]}/")])
"""A certificate that names a responder."""

_WEAK, _WEAK_ROOT = weaklySigned(_FINE)
_BELOW = leaf(_FINE, intermediate())
_HARD = {"revocation": "hard"}
_LONG = intermediate("Long One", intermediate("Short", pathLength=0))
_OTHERS = intermediate(
    "Others",
    extensions=[x509.NameConstraints([x509.DNSName("other.example")], None)],
)
_HUGE = leaf(_FINE)
_NOBODYS = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")


def _huge() -> Issued:
    """A chain of more octets than anybody reads."""
    padding = x509.UnrecognizedExtension(_NOBODYS, bytes(60000))
    return Issued(_HUGE.certificate, _HUGE.key, (leaf(_FINE, extensions=[padding]).certificate,) * 3)


BAD: Mapping[str, Bad] = {
    # The chain
    "otherAuthority": _chain(leaf(_FINE, authority("Other Root")), "CN=Other Root"),
    "signedByItself": _chain(authority("Somebody"), "signed by itself"),
    "expired": _chain(leaf(_FINE, expired=True), "expired on "),
    "notYetValid": _chain(leaf(_FINE, notYet=True), "not valid before "),
    "missingIntermediate": _chain(
        Issued(_BELOW.certificate, _BELOW.key),
        "issued by CN=Test Intermediate, which is not among the roots and was not sent",
    ),
    "expiredIntermediate": _chain(
        leaf(_FINE, intermediate("Old CA", expired=True)), "CN=Old CA, expired on "
    ),
    "noAuthority": _chain(
        leaf(_FINE, intermediate("No CA", ca=False)), "CN=No CA, issued by something that is no CA"
    ),
    "customersCertificate": _chain(
        leaf(_FINE, leaf(dns("customer.example"), subject="Customer")), "something that is no CA"
    ),
    "pathTooLong": _chain(leaf(_FINE, _LONG), "below more CAs than one of them allows"),
    "nameConstraints": _chain(leaf(_FINE, _OTHERS), "for names that its CA may not vouch for"),
    "forged": _chain(tampered(leaf(_FINE)), "whose signature is wrong"),
    "impostor": _chain(leaf(_FINE, impostor("Test Root")), "whose signature is wrong"),
    "weakKey": Bad(
        _old(SSL.TLS1_3_VERSION, issued=leaf(_FINE, keyName="rsa-1024")), "its key is too weak", _CHAIN
    ),
    "weakSignature": Bad(
        tlsServer(_WEAK),
        "its signature algorithm is too weak",
        "issued under CN=RSA Root",
        roots=_WEAK_ROOT.pem,
    ),
    "unknownCritical": _chain(
        leaf(
            _FINE,
            extensions=[x509.UnrecognizedExtension(_NOBODYS, b"\x05\x00")],
            critical=True,
        ),
        "with a critical extension that nobody here knows",
    ),
    "forClients": _chain(
        leaf(_FINE, extensions=[usage(ExtendedKeyUsageOID.CLIENT_AUTH)]),
        "not meant for this: its extended key usage is clientAuth",
    ),
    "forCode": _chain(
        leaf(_FINE, extensions=[usage(ExtendedKeyUsageOID.CODE_SIGNING)]), "extended key usage is codeSigning"
    ),
    "forResponders": _chain(
        leaf(_FINE, extensions=[usage(ExtendedKeyUsageOID.OCSP_SIGNING)]), "extended key usage is OCSPSigning"
    ),
    "forNothing": _chain(
        leaf(_FINE, extensions=[x509.KeyUsage(False, True, False, False, False, False, True, False, False)]),
        "not meant for this: its extended key usage is open, and its key usage another",
    ),
    "controlCharacters": _chain(
        leaf(_FINE, authority("Evil\x1b[2J\n"), subject="It is\r\nall right\x9b"), r"\x1b[2J"
    ),
    # The name
    "anotherName": _named(dns("other.example"), "seen DNS other.example"),
    "parentName": _named(dns("example"), "seen DNS example"),
    "childName": _named(dns("sip.carrier.example"), "seen DNS sip.carrier.example"),
    "longerName": _named(dns("carrier.example.evil.example"), "seen DNS carrier.example.evil.example"),
    "manyNames": _named(dns(*(f"n{number}.example" for number in range(500))), "and 496 more"),
    "onlyCommonName": Bad(tlsServer(leaf((), subject=DOMAIN)), "seen no SubjectAltName", _NAME),
    "mailAddress": _named((x509.RFC822Name("sip@carrier.example"),), "e-mail sip@carrier.example"),
    "likeAnAddress": _named(dns("192.0.2.1"), "DNS 192.0.2.1"),
    "emptyName": _named(dns(""), "seen DNS "),
    "wildcard": _named(dns("*.example"), "wildcards are refused, RFC 5922 section 7.2"),
    "wildcardTooWide": _named(dns("*.example"), "DNS *.example", wildcards=True),
    "wildcardAlone": _named(dns("*"), "DNS *", wildcards=True),
    "wildcardNotLeftMost": _named(dns("carrier.*"), "DNS carrier.*", wildcards=True),
    "wildcardBelow": _named(dns("*.carrier.example"), "DNS *.carrier.example", wildcards=True),
    "wildcardTwice": _named(dns("*.*.example"), "DNS *.*.example", wildcards=True),
    "wildcardInAWord": _named(dns("carr*.example"), "DNS carr*.example", wildcards=True),
    "embeddedNUL": _named(dns("carrier.example\x00.evil.example"), "DNS carrier.example"),
    "blank": _named(dns(" carrier.example"), "a blank or control character in a name"),
    "blankURI": _named(uris("sip:carrier.example "), "a blank or control character in a name"),
    "nulURI": _named(uris("sip:carrier.example\x00.evil.example"), "a blank or control character"),
    "looksAlike": _named(dns("xn--crrier-0nf.example"), "DNS xn--crrier-0nf.example"),
    "twoColons": _named(uris("sip:carrier.example:5061"), "URI sip:carrier.example:5061"),
    "user": _named(uris("sip:admin@carrier.example"), "URI sip:admin@carrier.example"),
    "otherScheme": _named(uris("https://carrier.example"), "URI https://carrier.example"),
    "sipsScheme": _named(uris("sips:carrier.example"), "URI sips:carrier.example"),
    "uriOfAnother": _named(
        (*uris("sip:other.example"), *dns(DOMAIN)), "seen URI sip:other.example, DNS carrier.example"
    ),
    # Pins
    "pinned": Bad(
        tlsServer(leaf(_FINE)),
        f"keys {keyPin(leaf(_FINE).certificate)}",
        "a key pinned as sha256/",
        {"pins": (keyPin(leaf(_FINE, keyName="spare").certificate),)},
    ),
    "pinnedAuthority": Bad(
        tlsServer(leaf(_FINE)),
        "keys sha256/",
        "a key pinned as ",
        {"pins": (keyPin(intermediate().certificate),)},
    ),
    # Revocation
    "revoked": _asked("revoked on ", answer(ASKING, "revoked"), "soft"),
    "unknown": _asked("unknown, says the OCSP responder", answer(ASKING, "unknown")),
    "answerForged": _asked("its signature is wrong", answer(ASKING, signer=impostor("Test Root"))),
    "answerForeign": _asked(
        "whom the issuer does not know", answer(ASKING, signer=responder("R", authority("Other Root")))
    ),
    "answerOfAServer": _asked("which is no OCSP responder", answer(ASKING, signer=leaf(_FINE))),
    "answerOld": _asked("it ended on ", answer(ASKING, age=48 * HOUR)),
    "answerOfTheFuture": _asked("it is of the future", answer(ASKING, age=-HOUR)),
    "answerAboutAnother": _asked("about another certificate", answer(leaf(_FINE))),
    "answerReplayed": _asked("its nonce is not ours", answer(ASKING, nonce=b"o" * 32)),
    "answerBroken": _asked("error parsing asn1 value", b"<html>"),
    "answerEndless": _asked("more than 65536 octets", bytes(100000)),
    "noAnswer": _asked("refused", None),
    "noResponder": Bad(tlsServer(leaf(_FINE)), "it names no OCSP responder", "is not revoked", _HARD),
    "listed": Bad(tlsServer(ASKING), "revoked on ", "not revoked", lists=crl(ASKING)),
    "listOld": Bad(tlsServer(leaf(_FINE)), "ended on ", "is not revoked", _HARD, lists=crl(age=48 * HOUR)),
    "listForged": Bad(
        tlsServer(leaf(_FINE)), "is not signed by it", "is not revoked", _HARD, lists=crl(signer=ASKING)
    ),
    "authorityListed": Bad(
        tlsServer(_BELOW), "revoked on ", "CN=Test Intermediate, not revoked", lists=crl(intermediate())
    ),
    "notStapled": Bad(
        tlsServer(leaf(_FINE, extensions=[x509.TLSFeature([x509.TLSFeatureType.status_request])])),
        "seen none",
        "an OCSP answer stapled, as CN=Test Leaf promises",
    ),
    # TLS
    "tls10": Bad(_old(SSL.TLS1_VERSION), _FAILED),
    "tls11": Bad(_old(SSL.TLS1_1_VERSION), _FAILED),
    "staticRSA": Bad(_old(SSL.TLS1_2_VERSION, b"AES128-SHA:@SECLEVEL=0"), _FAILED),
    "noEncryption": Bad(_old(SSL.TLS1_2_VERSION, b"eNULL:@SECLEVEL=0"), _FAILED),
    "noCertificate": Bad(_old(SSL.TLS1_2_VERSION, b"aNULL:@SECLEVEL=0"), _FAILED),
    "cbc": Bad(_old(SSL.TLS1_2_VERSION, b"ECDHE-RSA-AES128-SHA"), _FAILED),
    "onlyTLS12": Bad(
        tlsServer(leaf(_FINE, keyName="rsa"), ciphers="AES128-GCM-SHA256", maximum=ssl.TLSVersion.TLSv1_2),
        _FAILED,
    ),
    "hugeChain": Bad(tlsServer(_huge()), _FAILED),
    # No TLS
    "sip": Bad(_raw(b"SIP/2.0 400 Bad Request\r\n\r\n"), _FAILED),
    "http": Bad(_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", close=True), _FAILED),
    "ssl2": Bad(_raw(bytes.fromhex("801c040001000200000003000000010001") + bytes(16)), _FAILED),
    "garbage": Bad(_raw(bytes(range(255, 0, -1))), _FAILED),
    "alert": Bad(_raw(_record(21, 0x0303, b"\x02\x28"), close=True), _FAILED),
    "finishedAtOnce": Bad(_raw(_record(22, 0x0303, b"\x14\x00\x00\x0c" + bytes(12))), _FAILED),
    "dataAtOnce": Bad(_raw(_record(23, 0x0303, b"SIP/2.0 200 OK\r\n\r\n")), _FAILED),
    "hugeRecord": Bad(_raw(_record(22, 0x0303, bytes(65535))), _FAILED),
    "echo": Bad(_raw(_record(22, 0x0301, b"\x01\x00\x00\x04\x03\x03\x00\x00")), _FAILED),
    "closesAtOnce": Bad(_raw(b"", close=True), "closed during the TLS handshake"),
    "closesMidHandshake": Bad(
        _raw(_record(22, 0x0303, b"\x02\x00\x00\x50")[:7], close=True), "closed during the TLS handshake"
    ),
    "silent": Bad(_raw(b""), "no TLS handshake", hangs=True),
    "stutters": Bad(_raw(_record(22, 0x0303, b"\x02\x00\x00\x50")[:7]), "no TLS handshake", hangs=True),
}
"""By name."""
