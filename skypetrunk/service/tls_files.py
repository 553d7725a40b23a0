"""The files of the configuration's TLS tables, as C{net} takes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import IRevocationPolicy, ITargetLocator
from skypetrunk.net.certificates import (
    OwnCertificate,
    TrustRoots,
    checkOwnCertificate,
    loadOwnCertificate,
    loadTrustRoots,
    readCertificates,
    systemTrustRoots,
)
from skypetrunk.net.client_tls import ClientTLS
from skypetrunk.net.crl import loadCRLs
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.pbx_tls import PBXTLS
from skypetrunk.net.revocation import OFF, AnswerCache, RevocationPolicy
from skypetrunk.net.tls_server import ServerTLS
from skypetrunk.profiles import CarrierProfile
from skypetrunk.profiles.tables import readFile
from skypetrunk.service.secrets import parseSecret
from skypetrunk.service.settings import (
    InboundConfiguration,
    PBXTLSConfiguration,
    TLSConfiguration,
    TrunkConfiguration,
)


def trustRoots(tls: TLSConfiguration) -> TrustRoots:
    """
    Who may vouch for a carrier.

    @raise ConfigurationError: nobody whose certificate could be read.
    """
    if tls.caFile is None:
        return systemTrustRoots()
    try:
        return loadTrustRoots(readFile(tls.caFile))
    except (OSError, ValueError) as error:
        raise ConfigurationError((f"{tls.caFile}: no usable CA certificates: {error}",)) from None


def ownCertificate(tls: TLSConfiguration) -> OwnCertificate | None:
    """
    What we show, if that is configured.

    @raise ConfigurationError: it cannot be read.
    """
    if tls.certificate is None or tls.key is None:
        return None
    try:
        password = None
        if tls.keyPasswordFile is not None:
            password = parseSecret(readFile(tls.keyPasswordFile)).reveal().encode()
        return loadOwnCertificate(readFile(tls.certificate), readFile(tls.key), password)
    except (OSError, ValueError) as error:
        raise ConfigurationError((f"{tls.certificate}: no usable certificate and key: {error}",)) from None


class Ending(NamedTuple):
    """
    Something that ends.

    @ivar what: it is, for people.
    @ivar begin: of its life, where that is known.
    """

    what: str
    begin: datetime | None
    end: datetime


def checkFiles(tls: TLSConfiguration) -> None:
    """
    Can the files be used from now on?

    @raise ConfigurationError: says what is wrong.
    """
    own, roots = ownCertificate(tls), trustRoots(tls)
    if own is not None:
        try:
            checkOwnCertificate(own, datetime.now(UTC))
        except ValueError as error:
            raise ConfigurationError((f"{tls.certificate}: {error}",)) from None
    if len(roots.unusable) == len(roots.names):
        raise ConfigurationError((f"{tls.caFile}: no root, only what others issued",))


def endings(tls: TLSConfiguration) -> Iterator[Ending]:
    """
    What of the files ends: our certificate and its chain, and the last of the roots.

    @raise ConfigurationError: one that cannot be read.
    @raise OSError: likewise.
    """
    own = ownCertificate(tls)
    if own is not None:
        for each in (own.certificate, *own.chain):
            certificate = each.to_cryptography()
            name = certificate.subject.rfc4514_string()
            yield Ending(
                f"{tls.certificate}: our certificate {name}",
                certificate.not_valid_before_utc,
                certificate.not_valid_after_utc,
            )
    if tls.caFile is not None:
        roots = readCertificates(readFile(tls.caFile))
        last = max(roots, key=lambda root: root.not_valid_after_utc)
        name = last.subject.rfc4514_string()
        yield Ending(
            f"{tls.caFile}: the last root, {name},", last.not_valid_before_utc, last.not_valid_after_utc
        )


def clientTLS(
    trunk: TrunkConfiguration, reactor: Any, locator: ITargetLocator, cache: AnswerCache
) -> ClientTLS:
    """
    What the carrier of C{trunk} must prove, and what we show it.

    @param locator: finds OCSP responders.
    @param cache: of their answers.
    @raise ConfigurationError: a file that cannot be used.
    """
    profile = trunk.profile
    return ClientTLS(
        trunk.domain,
        trustRoots(trunk.tls),
        IdentityPolicy(trunk.tls.pins, profile.wildcards, profile.targetNames, trunk.tls.pinsReported),
        certificate=ownCertificate(trunk.tls),
        staticRSA=profile.staticRSA,
        revocation=revocationPolicy(trunk.tls, reactor, locator, cache),
    )


def inboundTLS(
    inbound: InboundConfiguration,
    domain: str,
    profile: CarrierProfile,
    revocation: IRevocationPolicy | None = None,
) -> ServerTLS:
    """
    What a carrier that calls in must prove, and what we show it.

    @param domain: what its certificate must prove, where one is asked for.
    @param profile: how.
    @raise ConfigurationError: a file that cannot be used.
    """
    own = ownCertificate(inbound.files)
    if own is None:
        raise ConfigurationError(("trunk.inbound: no certificate",))
    if inbound.files.caFile is None:
        return ServerTLS(own)
    try:
        roots = readFile(inbound.files.caFile)
        identity = IdentityPolicy(inbound.files.pins, profile.wildcards, profile.targetNames)
        return ServerTLS(
            own,
            roots=roots,
            identity=identity,
            name=domain,
            serverAuthClients=profile.laxUsage,
            revocation=revocation,
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError((f"{inbound.files.caFile}: no usable CA certificates: {error}",)) from None


def revocationPolicy(
    tls: TLSConfiguration, reactor: Any, locator: ITargetLocator, cache: AnswerCache
) -> RevocationPolicy | None:
    """
    Who is asked whether a carrier's certificate was revoked, if anybody is.

    @raise ConfigurationError: the CRLs cannot be read.
    """
    if tls.revocation == OFF:
        return None

    def fetch(url: str, request: bytes) -> Deferred[bytes]:
        # Few certificates of today name a responder: HTTP is loaded for those only.
        from skypetrunk.net.responder import askResponder

        return askResponder(reactor, locator, url, request)

    try:
        lists = () if tls.crlFile is None else loadCRLs(readFile(tls.crlFile))
    except (OSError, ValueError) as error:
        raise ConfigurationError((f"{tls.crlFile}: no usable CRL: {error}",)) from None
    return RevocationPolicy(tls.revocation, lists, fetch, cache)


def pbxTLS(tls: PBXTLSConfiguration) -> PBXTLS:
    """
    What a PBX must prove, and what we show it.

    @raise ConfigurationError: a file that cannot be used.
    """
    own = ownCertificate(tls.files)
    if own is None:
        raise ConfigurationError(("pbx.tls: no certificate",))
    try:
        roots = None if tls.files.caFile is None else readFile(tls.files.caFile)
        return PBXTLS(own, roots=roots, pins=tls.files.pins, name=tls.name)
    except (OSError, ValueError) as error:
        raise ConfigurationError((f"{tls.files.caFile}: no usable CA certificates: {error}",)) from None


__all__ = [
    "Ending",
    "checkFiles",
    "clientTLS",
    "endings",
    "inboundTLS",
    "ownCertificate",
    "pbxTLS",
    "revocationPolicy",
    "trustRoots",
]
