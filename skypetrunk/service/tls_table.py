"""C{[trunk.tls]} and C{[pbx.tls]}: all that can be said about their files before a connection is made."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from skypetrunk.errors import PeerNotVerified
from skypetrunk.net.certificates import readCertificates
from skypetrunk.net.crl import loadCRLs
from skypetrunk.net.identity import IdentityPolicy, namesOf
from skypetrunk.net.revocation import MODES, OFF, SOFT
from skypetrunk.profiles.tables import Table, readFile
from skypetrunk.service.addresses import isHostName
from skypetrunk.service.secrets import readSecretFile
from skypetrunk.service.settings import PBXTLSConfiguration, TLSConfiguration

EXPIRY_DAYS = 14
"""How many days before its end a certificate is warned of; one with a short life, in its second half."""

_BUNDLE = 20
"""Roots above which a file is the system's, or like it: somebody else looks after it, and some have ended."""


def endsSoon(begin: datetime | None, end: datetime, now: datetime) -> bool:
    """
    Should it be said that a certificate ends, or has ended?

    @param begin: of its life, where that is known.
    """
    soon = timedelta(days=EXPIRY_DAYS)
    return end - now < (soon if begin is None else min(soon, (end - begin) / 2))


_PBX_KEYS = ("certificate", "key", "key_password_file", "ca_file", "pins", "name")


def readTLS(table: Table, directory: Path, defaultRoots: Path | None) -> TLSConfiguration:
    """
    The table C{trunk.tls}; what is wrong is noted in its problems.

    @param directory: where relative paths start.
    @param defaultRoots: the profile's C{ca_file}.
    """
    caFile = readRoots(table, directory) or defaultRoots
    certificate, key, keyPasswordFile = readOwnCertificate(table, directory)
    pins = _pins(table)
    reported = table.choice("pins_mode", ("enforce", "report"), "enforce") == "report"
    if "pins_mode" in table and not pins:
        table.wrong("pins_mode", "stands without pins", 'pins = ["sha256/BASE64"] too')
    elif reported:
        text = "a key that is not pinned is let pass, and only reported"
        table.problems.warn(table.key("pins_mode"), text)
    if len(pins) == 1:
        text = "only one pin; a second, kept in reserve, lets the carrier change its key"
        table.problems.warn(table.key("pins"), text)
    revocation = table.choice("revocation", MODES, SOFT)
    crlFile = _path(table, "crl_file", directory, "carrier.crl")
    if crlFile is not None:
        _checkLists(table, crlFile)
        if revocation == OFF:
            table.wrong("crl_file", 'is of no use where revocation is "off"', 'revocation = "soft"')
    return TLSConfiguration(caFile, pins, certificate, key, keyPasswordFile, reported, revocation, crlFile)


def readRoots(table: Table, directory: Path) -> Path | None:
    """C{ca_file}: who vouches for the carrier."""
    caFile = _path(table, "ca_file", directory, "carrier-ca.pem")
    if caFile is not None:
        _checkRoots(table, caFile)
    return caFile


def readOwnCertificate(
    table: Table, directory: Path, *, required: bool = False
) -> tuple[Path | None, Path | None, Path | None]:
    """C{certificate}, C{key} and C{key_password_file}, ours; they belong together, or are noted."""
    certificate = _path(table, "certificate", directory, "client.pem", required=required)
    key = _path(table, "key", directory, "client.key")
    keyPasswordFile = _path(table, "key_password_file", directory, "client.pass")
    if certificate is not None and key is not None:
        _checkPair(table, certificate, key, keyPasswordFile)
    elif "certificate" in table and "key" not in table:
        table.wrong("key", "is missing", 'key = "client.key", beside certificate')
    elif "certificate" not in table:
        for name in ("key", "key_password_file"):
            if name in table:
                table.wrong(name, "stands without a certificate", 'certificate = "client.pem" too')
    elif keyPasswordFile is not None and "key" not in table:
        table.wrong("key_password_file", "stands without a key", 'key = "client.key" too')
    return certificate, key, keyPasswordFile


def readPBXTLS(table: Table, directory: Path, *, listens: bool, calls: bool) -> PBXTLSConfiguration | None:
    """
    The table C{pbx.tls}; what is wrong is noted in its problems.

    @param directory: where relative paths start.
    @param listens: we listen for TLS connections of the PBX.
    @param calls: we make some.
    """
    certificate = _path(table, "certificate", directory, "trunk.pem", required=listens)
    key = _path(table, "key", directory, "trunk.key", required=listens)
    keyPasswordFile = _path(table, "key_password_file", directory, "trunk.pass")
    if certificate is not None and key is not None:
        _checkPair(table, certificate, key, keyPasswordFile)
    caFile = _path(table, "ca_file", directory, "pbx-ca.pem")
    if caFile is not None:
        _checkRoots(table, caFile)
    pins = _pins(table)
    if calls and caFile is None and not pins:
        right = 'ca_file = "pbx-ca.pem", or pins = ["sha256/BASE64"] for the key of the PBX itself'
        table.wrong("ca_file", "is missing: nothing would say whether it is the PBX that answers", right)
    name = table.text("name", 'name = "pbx.example"')
    if name is not None and not isHostName(name):
        table.wrong("name", f'"{name}" is no host name', 'name = "pbx.example", as in its certificate')
    elif name is not None and caFile is None:
        table.wrong("name", "stands without ca_file, and is not looked at", 'ca_file = "pbx-ca.pem" too')
    if not listens:
        if any(each in table for each in _PBX_KEYS):
            table.wrong("certificate", "is of no use", 'a "tls:" address in listen, or no [pbx.tls]')
        return None
    files = TLSConfiguration(caFile, pins, certificate, key, keyPasswordFile)
    return PBXTLSConfiguration(files, None if name is None else name.lower())


def _path(table: Table, name: str, directory: Path, example: str, *, required: bool = False) -> Path | None:
    text = table.text(name, f'{name} = "{example}"', required=required)
    return None if text is None else directory / text


def _read(table: Table, name: str, path: Path) -> bytes | None:
    try:
        return readFile(path)
    except OSError as error:
        table.wrong(name, f"{path} cannot be read: {error.strerror}", "a readable PEM file")
        return None


def _certificates(table: Table, name: str, path: Path) -> list[x509.Certificate] | None:
    content = _read(table, name, path)
    if content is None:
        return None
    try:
        return readCertificates(content)
    except (ValueError, x509.InvalidVersion):
        table.wrong(name, f"{path} holds no certificate", "PEM, -----BEGIN CERTIFICATE-----")
        return None


def _checkRoots(table: Table, path: Path) -> None:
    found = _certificates(table, "ca_file", path)
    if found is None:
        return
    # OpenSSL builds no chain that ends at an intermediate.
    roots = [certificate for certificate in found if certificate.subject == certificate.issuer]
    if not roots:
        issuer = found[0].issuer.rfc4514_string()
        table.wrong("ca_file", f"{path} holds no root, only what others issued", f"the root, {issuer}")
        return
    for root in roots if len(roots) <= _BUNDLE else ():
        _warnExpired(table, "ca_file", path, root)


def _warnExpired(table: Table, name: str, path: Path, certificate: x509.Certificate) -> None:
    end, now = certificate.not_valid_after_utc, datetime.now(UTC)
    if endsSoon(certificate.not_valid_before_utc, end, now):
        word = "expired" if end < now else "expires"
        text = f"{path}: {certificate.subject.rfc4514_string()} {word} on {end:%Y-%m-%d}"
        table.problems.warn(table.key(name), text)


def _checkLists(table: Table, path: Path) -> None:
    content = _read(table, "crl_file", path)
    if content is None:
        return
    try:
        lists = loadCRLs(content)
    except ValueError:
        table.wrong("crl_file", f"{path} holds no CRL", "PEM, -----BEGIN X509 CRL-----, or DER")
        return
    for each in lists:
        end = each.next_update_utc
        if end is not None and end < datetime.now(UTC):
            text = f"{path}: the CRL of {each.issuer.rfc4514_string()} ended on {end:%Y-%m-%d}"
            table.problems.warn(table.key("crl_file"), text)


def _checkPair(table: Table, certificate: Path, key: Path, keyPasswordFile: Path | None) -> None:
    found = _certificates(table, "certificate", certificate)
    pem = _read(table, "key", key)
    secret = None if keyPasswordFile is None else readSecretFile(table, "key_password_file", keyPasswordFile)
    if found is None or pem is None or (keyPasswordFile is not None and secret is None):
        return
    try:
        private = load_pem_private_key(pem, None if secret is None else secret.reveal().encode())
    except TypeError:
        # cryptography's word for a pass phrase that is missing, or given for a key that has none.
        if secret is None:
            table.wrong("key", f"{key} is encrypted", 'key_password_file = "client.pass" beside it')
        else:
            table.wrong("key", f"{key} is not encrypted", "no key_password_file")
        return
    except (ValueError, UnsupportedAlgorithm):
        table.wrong("key", f"{key} is no private key, or its pass phrase is another", "PEM, PKCS #8")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != found[0].public_key().public_bytes(*form):
        table.wrong("key", f"{key} does not belong to {certificate}", "the key of its first certificate")
    _warnExpired(table, "certificate", certificate, found[0])


def checkProved(table: Table, certificate: Path | None, name: str) -> None:
    """Note it where C{certificate}, of the key C{certificate} of C{table}, does not prove C{name}."""
    try:
        chain = [] if certificate is None else readCertificates(readFile(certificate))
    except (OSError, ValueError, x509.InvalidVersion):
        return  # which was noted
    if not chain:
        return
    try:
        IdentityPolicy(wildcards=True).verify([chain[0].public_bytes(Encoding.DER)], name)
    except PeerNotVerified as problem:
        commonNames = chain[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        if not namesOf(chain[0]) and name in [str(each.value).lower() for each in commonNames]:
            # Carriers that look there are told of by their own pages (Teams); others need not (RFC 5922).
            text = f"{certificate} has {name} as common name only, which not every carrier looks at"
            table.problems.warn(table.key("certificate"), text)
            return
        wrong = f"{certificate} does not prove {name}, but {problem.seen}"
        table.wrong("certificate", wrong, f"one for {name}")


def _pins(table: Table) -> tuple[str, ...]:
    right = '"sha256/" and 44 characters of base64'
    pins = table.texts("pins", 'pins = ["sha256/BASE64"]') or ()
    for pin in pins:
        kind, _, value = pin.partition("/")
        try:
            digest = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            digest = b""
        if kind != "sha256" or len(digest) != 32:
            table.wrong("pins", f'"{pin}" is no pin', right)
    return pins
