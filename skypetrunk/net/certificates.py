"""
Trust roots and certificates of our own, from PEM files.
"""

from __future__ import annotations

import datetime
import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import crypto
from twisted.internet import ssl


@dataclass(frozen=True)
class TrustRoots:
    """
    Who may vouch for the peer.

    @ivar trust: what Twisted wants as C{trustRoot}.
    @ivar names: subjects, for people.
    @ivar unusable: subjects of certificates that cannot be roots, because somebody else issued
        them: OpenSSL does not accept a part of a chain.
    @ivar verify: C{False}: nobody vouches, and the chain is not looked at.
    """

    trust: Any
    names: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    verify: bool = True


def readCertificates(pem: bytes) -> list[x509.Certificate]:
    """
    All certificates of a PEM file.  Systems have odd roots among theirs, of which the library warns in words
    that are for programmers.

    @raise ValueError: none, or one that cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificates(pem)


def loadTrustRoots(pem: bytes) -> TrustRoots:
    """
    The roots of a PEM file, which replace the system's.

    @raise ValueError: no certificate in it, or one that cannot be read.
    """
    certificates = readCertificates(pem)
    return TrustRoots(
        ssl.trustRootFromCertificates([_twistedCertificate(each) for each in certificates]),
        tuple(each.subject.rfc4514_string() for each in certificates),
        tuple(each.subject.rfc4514_string() for each in certificates if each.subject != each.issuer),
    )


def systemTrustRoots() -> TrustRoots:
    """The roots of the operating system."""
    return TrustRoots(ssl.platformTrust(), ("the system's roots",))


def noTrustRoots() -> TrustRoots:
    """Nobody: for L{skypetrunk.net.identity.PinnedKey}, which knows the peer's key itself."""
    return TrustRoots(None, (), verify=False)


@dataclass(frozen=True)
class OwnCertificate:
    """A certificate of ours, its key, and the rest of its chain, as OpenSSL takes them."""

    certificate: crypto.X509
    key: crypto.PKey
    chain: tuple[crypto.X509, ...]


def loadOwnCertificate(chainPEM: bytes, keyPEM: bytes, keyPassword: bytes | None = None) -> OwnCertificate:
    """
    @param chainPEM: PEM blocks, our own certificate first.
    @param keyPEM: the private key.
    @raise ValueError: one of them cannot be read, or they do not belong together.
    """
    leaf, *rest = readCertificates(chainPEM)
    try:
        key = load_pem_private_key(keyPEM, keyPassword)
    except TypeError as problem:  # a password too many, or too few
        raise ValueError(str(problem)) from problem
    if key.public_key() != leaf.public_key():
        raise ValueError(f"the key is not that of {leaf.subject.rfc4514_string()}")
    return OwnCertificate(
        crypto.X509.from_cryptography(leaf),
        crypto.PKey.from_cryptography_key(key),  # type: ignore[arg-type, unused-ignore]
        tuple(crypto.X509.from_cryptography(each) for each in rest),
    )


def checkOwnCertificate(own: OwnCertificate, now: datetime.datetime) -> None:
    """
    Can it be used now: does each certificate of its chain issue the one before, and are all of them valid?

    @param now: with its time zone.
    @raise ValueError: says what is wrong.
    """
    chain = [each.to_cryptography() for each in (own.certificate, *own.chain)]
    for each in chain:
        name = each.subject.rfc4514_string()
        if now < each.not_valid_before_utc:
            raise ValueError(f"{name} is not valid before {each.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
        if now > each.not_valid_after_utc:
            raise ValueError(f"{name} ended on {each.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    for each, issuer in pairwise(chain):
        try:
            each.verify_directly_issued_by(issuer)
        except Exception:
            names = each.subject.rfc4514_string(), issuer.subject.rfc4514_string()
            raise ValueError("{} was not issued by {}, which follows it".format(*names)) from None


def _twistedCertificate(certificate: x509.Certificate) -> ssl.Certificate:
    return ssl.Certificate.load(certificate.public_bytes(Encoding.DER), crypto.FILETYPE_ASN1)
