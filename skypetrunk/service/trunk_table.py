"""One C{[[trunk]]}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from skypetrunk.core.fax_stream import PASS, POLICIES
from skypetrunk.core.fax_stream import REFUSE as REFUSE_FAX
from skypetrunk.core.keys_pressed import AUTO, KEY_FORMS
from skypetrunk.core.protection import MODES, OFF, OPPORTUNISTIC
from skypetrunk.core.sides import REFUSE, TAKE_OVER, TRANSFERS
from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import MediaPath
from skypetrunk.net.locate import FAMILIES
from skypetrunk.profiles import CarrierProfile, loadProfile, profileNames, readCodecs, readProfile, readSuites
from skypetrunk.profiles.tables import Table, didYouMean
from skypetrunk.service.addresses import isHostName, readHosts, readName, splitHostPort
from skypetrunk.service.inbound_table import readInbound
from skypetrunk.service.key_table import readKeys
from skypetrunk.service.limit_table import readLimits
from skypetrunk.service.redirection_table import readRedirection
from skypetrunk.service.secrets import readPasswordSource
from skypetrunk.service.settings import (
    InboundConfiguration,
    TLSConfiguration,
    TrunkConfiguration,
    TrunkDNS,
    TrunkMedia,
)
from skypetrunk.service.tls_table import checkProved, readTLS


def isAccount(text: str) -> bool:
    """Can C{text} be the user part of an address of record?"""
    return re.fullmatch(r"[^\s@:;<>\"]+", text) is not None


def readTrunk(
    table: Table, directory: Path, environ: Mapping[str, str], fileIsPublic: bool
) -> TrunkConfiguration:
    """
    The trunk in C{table}; what is wrong is noted in its problems.

    @param directory: where relative paths start.
    @param fileIsPublic: the configuration file can be read by everybody.
    """
    name = readName(table, "carrier")
    profile = _readProfile(table, directory)
    username = table.text("username", 'username = "account"', required=True) or ""
    if username and not isAccount(username):
        right = "the account alone, without sip: and @domain"
        table.wrong("username", f'is "{username}"', right)
    media = table.table("media")
    targets = _readTargets(table)
    contact, contactLearned = _readContact(table)
    redirect, redirectAllow = readRedirection(table)
    # Where the profile is wrong the generic one keeps the types honest until the problems are raised.
    kept = loadProfile("generic") if profile is None else profile
    tls = readTLS(table.table("tls"), directory, kept.caFile)
    password = readPasswordSource(table, directory, environ, fileIsPublic, required=kept.register)
    inbound = readInbound(table.table("inbound"), directory, tls)
    _checkOwn(table, kept, tls, inbound)
    srtp = _readSRTP(media, kept)
    keys, mikeyKey = readKeys(media, directory, kept, srtp)
    domain = _readDomain(table, profile)
    dns = _readDNS(table.table("dns"), kept, bool(targets))
    if not targets and domain == kept.domain and dns.domain is None and dns.srv is None:
        # Who names another domain, or other records, is at another service of the same carrier.
        targets = kept.servers
    return TrunkConfiguration(
        name=name,
        profile=kept,
        domain=domain,
        username=username,
        password=password.secret,
        targets=targets,
        tls=tls,
        media=TrunkMedia(
            suites=readSuites(media, kept.suites),
            silence=media.integer("silence", 0, 86400, 0),
            codecs=readCodecs(media, kept.codecs),
            path=MediaPath(
                hosts=readHosts(media, "address", "advertise"),
                symmetric=media.boolean("symmetric_rtp", kept.symmetricRTP),
                srtp=srtp,
            ),
            keys=keys,
            mikeyKey=mikeyKey,
            t38=_readT38(media),
        ),
        limits=readLimits(table.table("limits"), kept.calls, incoming=True),
        redirect=redirect,
        redirectAllow=redirectAllow,
        inbound=inbound,
        dtmf=table.choice("dtmf", KEY_FORMS, AUTO),
        transfer=table.choice("transfer", TRANSFERS, TAKE_OVER),
        carrierTransfer=table.choice("carrier_transfer", TRANSFERS, REFUSE),
        balance=table.boolean("balance", False),
        passwordFile=password.path,
        contact=contact,
        contactLearned=contactLearned,
        dns=dns,
    )


def _readProfile(table: Table, directory: Path) -> CarrierProfile | None:
    name = table.text("profile", 'profile = "generic"', required=True)
    if name is None:
        return None
    if not name.endswith(".toml"):
        if name in profileNames():
            return loadProfile(name)
        table.wrong("profile", f'there is no "{name}"', didYouMean(name, profileNames()))
        return None
    try:
        return readProfile(directory / name)
    except ConfigurationError as error:
        table.problems.problems.extend(error.problems)
        return None


def _checkOwn(
    table: Table, profile: CarrierProfile, tls: TLSConfiguration, inbound: InboundConfiguration | None
) -> None:
    """What the carrier must know us by."""
    if profile.clientCertificate and tls.certificate is None:
        wrong = f"is missing: {profile.title} knows the trunk by its certificate"
        table.problems.add(table.key("tls.certificate"), wrong, 'certificate = "client.pem"')
    if profile.ownName and (inbound is None or inbound.name is None):
        wrong = f"is missing: {profile.title} wants the host name of the trunk in Contact"
        table.problems.add(table.key("inbound.name"), wrong, '[trunk.inbound] with name = "sbc.example.com"')
    elif profile.ownName and inbound is not None and inbound.name is not None:
        for key, files in (("tls", tls), ("inbound", inbound.files)):
            checkProved(Table(table.problems, table.key(key), {}), files.certificate, inbound.name)


def _readSRTP(media: Table, profile: CarrierProfile) -> str:
    mode = media.choice("srtp", MODES, profile.srtp)
    if mode == OPPORTUNISTIC:
        media.problems.warn(media.key("srtp"), "is opportunistic: calls may be in clear")
    elif mode == OFF:
        media.problems.warn(media.key("srtp"), "is off: calls of this trunk are in clear")
        if profile.mediasec:
            media.wrong("srtp", f"is off, but {profile.title} is told of SRTP", "required")
    return mode


def _readT38(media: Table) -> str:
    policy = media.choice("t38", POLICIES, REFUSE_FAX)
    if policy == PASS:
        media.problems.warn(media.key("t38"), "is pass: faxes by T.38 are in clear")
    return policy


def _readDomain(table: Table, profile: CarrierProfile | None) -> str:
    required = profile is not None and profile.domain is None
    domain = table.text("domain", 'domain = "sip.carrier.example"', required=required)
    if domain is None:
        domain = (profile.domain if profile is not None else None) or ""
    elif not isHostName(domain):
        right = "the name that the carrier's certificate proves, without sip: and port"
        if not domain.isascii():
            right = "its ASCII form, xn--..."
        table.wrong("domain", f'"{domain}" is no domain name', right)
    return domain.rstrip(".").lower()


def _readContact(table: Table) -> tuple[tuple[str, int] | None, bool]:
    """What our Contacts name, and whether it is learned."""
    text = table.text("contact", 'contact = "learned"')
    if text in (None, "learned", "local"):
        return None, text != "local"
    place = splitHostPort(text or "", 5061)
    if place is None:
        table.wrong("contact", f'"{text}" is no address', '"learned", "local" or "sbc.example.com:5061"')
    return place, False


def _readTargets(table: Table) -> tuple[tuple[str, int], ...]:
    found = []
    for text in table.texts("targets", 'targets = ["192.0.2.10:5061"]') or ():
        target = splitHostPort(text, 5061)
        if target is None:
            right = '"192.0.2.10:5061" or "[2001:db8::1]:5061"'
            table.wrong("targets", f'"{text}" is no target', right)
        else:
            found.append(target)
    return tuple(found)


def _readDNS(table: Table, profile: CarrierProfile, fixed: bool) -> TrunkDNS:
    """
    @param fixed: the trunk has C{targets}, which stand instead of DNS.
    """
    names: dict[str, str | None] = {}
    for key, example in (("domain", "other.example"), ("srv", "_sips._tcp.other.example")):
        name = table.text(key, f'{key} = "{example}"')
        if name is not None and not isHostName(name):
            table.wrong(key, f'"{name}" is no domain name', f'{key} = "{example}"')
        names[key] = None if name is None else name.rstrip(".").lower()
        if fixed and name is not None:
            table.problems.warn(table.key(key), "does not count: targets stand instead of DNS")
    if names["domain"] is not None and names["srv"] is not None:
        table.problems.warn(table.key("domain"), "does not count: srv is asked alone")
    families = table.texts("families", 'families = ["ipv4", "ipv6"]', required="families" in table)
    for family in families or ():
        if family not in FAMILIES:
            table.wrong("families", f'"{family}" is not known', didYouMean(family, FAMILIES))
    return TrunkDNS(
        domain=names["domain"],
        srv=names["srv"],
        naptr=table.boolean("naptr", profile.naptr),
        families=tuple(dict.fromkeys(families or FAMILIES)),
    )
