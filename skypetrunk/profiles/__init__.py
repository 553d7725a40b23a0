"""
Carrier profiles: what a carrier wants, as data.

C{README.rst} beside this module describes the files.
"""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen
from zope.interface import implementer

from skypetrunk.core.identity import CALLER_PLACES, FROM
from skypetrunk.core.mikey import PROTOCOLS, SDES_KEYS
from skypetrunk.core.number_form import AS_GIVEN, FORMS
from skypetrunk.core.protection import MODES, REQUIRED
from skypetrunk.core.session_timer import INTERVAL, LEAST
from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICarrierProfile
from skypetrunk.profiles.tables import Problems, Table, didYouMean, problem, readTOML
from skypetrunk.wire.codec import CODECS, COMPANIONS
from skypetrunk.wire.grammar import Parameters, isToken
from skypetrunk.wire.sdes import SUITES

DEFAULT_SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""Offered unless something else is wanted: phones exist that answer one suite of many, and use another."""

OPTIONS_SECONDS = 60
"""Default of C{options_interval} where nothing is registered: what carriers of that kind do themselves."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTS = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.(?!\d+$){_LABEL}")
"""A host name with a dot in it, or C{*.} and a domain with one: C{*.example} would be anybody."""

_ALAW, _MULAW = '"PCMA"', '"PCMU"'
_USUAL = {
    **dict.fromkeys(("alaw", "a-law", "g711a", "g.711a", "g711alaw"), _ALAW),
    **dict.fromkeys(("ulaw", "mulaw", "mu-law", "u-law", "g711u", "g.711u", "g711ulaw", "g711mu"), _MULAW),
    **dict.fromkeys(("g711", "g.711"), f"{_ALAW} or {_MULAW}"),
}
"""What people and PBXes call G.711, and how its codecs are registered."""

TLS_PORT = 5061
"""Of servers that name none."""

_OURS = ("lr", "maddr", "method", "ttl", "user")
"""Parameters of a Request-URI that say where a call goes, or how (RFC 3261 section 19.1.1)."""

_HERE = Path(__file__).parent


@implementer(ICarrierProfile)
@frozen
class CarrierProfile:
    """
    One carrier's wishes; see L{ICarrierProfile}.

    @ivar title: for people.
    @ivar caFile: PEM file with the roots that replace the system's, or C{None}.
    @ivar outbound: register a flow (RFC 5626).
    @ivar optionsInterval: seconds between two OPTIONS to the carrier; 0 for none.
    @ivar sessionExpires: seconds of the session interval that is asked for (RFC 4028).
    @ivar leastExpires: the smallest that is taken, in seconds.
    @ivar keys: of L{skypetrunk.core.mikey.PROTOCOLS}.
    @ivar srtp: of L{skypetrunk.core.protection.MODES}.
    @ivar targetNames: host names that prove the carrier too, or C{*.} and the domain of some, lower case.
    @ivar naptr: the carrier's NAPTR records are asked for (RFC 3263 section 4.1).
    @ivar codecs: names of those that may cross, in order of preference; empty: any.
    @ivar connectTimeout: seconds of TCP until the next server is tried.
    @ivar handshakeTimeout: seconds of TLS until the next server is tried.
    @ivar inviteTimeout: seconds without any answer to INVITE until the next server is tried.
    @ivar failover: answers to INVITE, beside 503, after which it is tried.
    @ivar laxUsage: its certificate is good when it calls in, too, if it is for servers only.
    @ivar calls: simultaneous calls the carrier allows, or C{None} where it is not known.
    @ivar notice: what whoever chooses the profile has to know, or C{None}.
    @ivar servers: host names and ports, in order, that stand instead of SRV records; empty for none.
    @ivar clientCertificate: the carrier knows the trunk by a certificate of its own.
    @ivar symmetricRTP: it receives media where it sends it from.
    """

    name: str
    title: str
    domain: str | None
    caFile: Path | None
    register: bool
    expires: int
    outbound: bool
    optionsInterval: int
    sessionExpires: int
    leastExpires: int
    suites: tuple[str, ...]
    codecs: tuple[str, ...]
    keys: str
    srtp: str
    calledFrom: str
    fromUser: str
    numberForm: str
    callerForm: str
    inboundForm: str
    callerFrom: str
    callerHeader: str
    anonymous: str
    diversion: str
    wildcards: bool
    targetNames: tuple[str, ...]
    laxUsage: bool
    staticRSA: bool
    naptr: bool
    connectTimeout: int
    handshakeTimeout: int
    inviteTimeout: int
    failover: tuple[int, ...]
    calls: int | None
    notice: str | None
    servers: tuple[tuple[str, int], ...]
    clientCertificate: bool
    ownName: bool
    userPhone: bool
    uriParameters: Parameters
    mediasec: bool
    symmetricRTP: bool


def profileNames() -> tuple[str, ...]:
    """The profiles that come with the package."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


def loadProfile(name: str) -> CarrierProfile:
    """
    The profile C{name} of those that come with the package.

    @raise ConfigurationError: there is none of that name.
    """
    names = profileNames()
    if name not in names:
        raise ConfigurationError((problem("profile", f'there is no "{name}"', didYouMean(name, names)),))
    return readProfile(_HERE / f"{name}.toml")


def readProfile(path: Path, shown: str | None = None) -> CarrierProfile:
    """
    The profile in the file C{path}; what it names is looked for beside it.

    @param shown: what the file is called in errors; default: its path.
    @raise ConfigurationError: with every problem of the file.
    """
    problems = Problems(shown or str(path))
    table = Table(problems, "", readTOML(path, problems.file))
    register = table.boolean("register", True)
    profile = CarrierProfile(
        name=path.stem,
        title=table.text("title", 'title = "What people call this carrier"', required=True) or "",
        domain=table.text("domain", 'domain = "sip.carrier.example"'),
        caFile=_caFile(table, path.parent),
        register=register,
        expires=table.integer("expires", 60, 86400, 3600),
        outbound=table.boolean("outbound", False),
        optionsInterval=table.integer("options_interval", 0, 3600, 0 if register else OPTIONS_SECONDS),
        sessionExpires=table.integer("session_expires", LEAST, 86400, INTERVAL),
        leastExpires=table.integer("min_se", LEAST, 86400, LEAST),
        suites=readSuites(table, DEFAULT_SUITES),
        codecs=readCodecs(table, ()),
        keys=table.choice("keys", PROTOCOLS, SDES_KEYS),
        srtp=table.choice("srtp", MODES, REQUIRED),
        calledFrom=table.choice("called_from", ("request-uri", "to", "p-called-party-id"), "request-uri"),
        fromUser=table.choice("from_user", ("account", "caller"), "account"),
        numberForm=table.choice("number_form", FORMS, AS_GIVEN),
        callerForm=table.choice("caller_form", FORMS, AS_GIVEN),
        inboundForm=table.choice("inbound_form", FORMS, AS_GIVEN),
        callerFrom=table.choice("caller_from", CALLER_PLACES, FROM),
        callerHeader=table.choice("caller_header", ("none", *CALLER_PLACES[1:]), "none"),
        anonymous=table.choice("anonymous", ("from", "asserted", "account"), "from"),
        diversion=table.choice("diversion", ("none", "diversion", "history-info"), "none"),
        wildcards=table.boolean("wildcards", False),
        targetNames=_targetNames(table),
        laxUsage=table.boolean("lax_usage", False),
        staticRSA=table.boolean("static_rsa", False),
        naptr=table.boolean("naptr", True),
        connectTimeout=table.integer("tcp_timeout", 1, 30, 2),
        handshakeTimeout=table.integer("tls_timeout", 1, 30, 3),
        inviteTimeout=table.integer("invite_timeout", 1, 32, 4),
        failover=_failover(table),
        calls=table.integer("calls", 1, 100000, 0) or None,
        notice=table.text("notice", 'notice = "What whoever chooses it has to know"'),
        servers=_servers(table),
        clientCertificate=table.boolean("client_certificate", False),
        ownName=table.boolean("own_name", False),
        userPhone=table.boolean("user_phone", False),
        uriParameters=_uriParameters(table),
        mediasec=table.boolean("mediasec", False),
        symmetricRTP=table.boolean("symmetric_rtp", True),
    )
    if profile.anonymous == "asserted" and profile.callerHeader == "none":
        table.wrong("anonymous", 'is "asserted", but caller_header is "none"', "a caller_header too")
    if profile.sessionExpires < profile.leastExpires:
        right = f"{profile.leastExpires} (min_se) or more"
        table.wrong("session_expires", f"is {profile.sessionExpires}", right)
    if profile.mediasec and not register:
        table.wrong("mediasec", "is true, but register is false", "register = true: it is agreed by REGISTER")
    if profile.mediasec and profile.keys != SDES_KEYS:
        table.wrong("mediasec", f'is true, but keys is "{profile.keys}"', 'keys = "sdes": it speaks of that')
    table.finish()
    problems.raiseAny()
    return profile


def _targetNames(table: Table) -> tuple[str, ...]:
    right = '"edge.carrier.example", or "*.edge.carrier.example" for each host there'
    names = table.texts("target_names", 'target_names = ["edge.carrier.example"]') or ()
    for name in names:
        if not _HOSTS.fullmatch(name):
            table.wrong("target_names", f'"{name}" is no name of hosts', right)
    return tuple(name.lower() for name in names)


def _servers(table: Table) -> tuple[tuple[str, int], ...]:
    """Host names, with a port where it is not that of SIP over TLS (RFC 3261 section 19.1.2)."""
    right = '"sip.carrier.example", or "sip.carrier.example:7443"'
    found = []
    for text in table.texts("servers", 'servers = ["sip.carrier.example"]') or ():
        host, colon, port = text.partition(":")
        number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 0 if colon else TLS_PORT
        if not _HOSTS.fullmatch(host) or host[0] == "*" or not 0 < number < 65536:
            table.wrong("servers", f'"{text}" is no server', right)
        found.append((host.lower(), number))
    return tuple(found)


def _uriParameters(table: Table) -> Parameters:
    right = 'uri_parameters = ["transport=tls"]'
    parameters = Parameters()
    for text in table.texts("uri_parameters", right) or ():
        name, equals, value = text.partition("=")
        if not isToken(name) or (equals and not isToken(value)) or name.lower() in _OURS:
            table.wrong("uri_parameters", f'"{text}" is no parameter that can stand there', right)
        elif name.lower() == "transport" and value.lower() != "tls":
            table.wrong("uri_parameters", f'"{text}" would take the call off TLS', right)
        else:
            parameters = parameters.with_(name, value if equals else None)
    return parameters


def _caFile(table: Table, directory: Path) -> Path | None:
    name = table.text("ca_file", 'ca_file = "carrier-ca.pem"')
    if name is None:
        return None
    path = directory / name
    if not path.is_file():
        table.wrong("ca_file", f"there is no file {path}", "a PEM file with the carrier's roots")
    return path


def _failover(table: Table) -> tuple[int, ...]:
    statuses = table.integers("failover", "failover = [408, 504]") or ()
    for status in statuses:
        if status not in (408, 480) and not 500 <= status < 600:
            # They speak of the callee, who is the same at every server.
            table.wrong("failover", f"holds {status}", "408, 480 or 500 to 599")
    return statuses


def readSuites(table: Table, default: tuple[str, ...]) -> tuple[str, ...]:
    """The key C{suites} of a table: SRTP suites in order of preference."""
    names = table.texts("suites", f'suites = ["{DEFAULT_SUITES[0]}"]')
    if names is None:
        return default
    if not names:
        table.wrong("suites", "is empty", f'suites = ["{DEFAULT_SUITES[0]}"]')
    for name in names:
        if name not in SUITES:
            table.wrong("suites", f'"{name}" is not known', didYouMean(name, tuple(SUITES)))
    if len(set(names)) < len(names):
        table.wrong("suites", "names a suite twice", "each once")
    return names


def readCodecs(table: Table, default: tuple[str, ...]) -> tuple[str, ...]:
    """The key C{codecs} of a table: names of codecs in order of preference, as they are registered."""
    example = 'codecs = ["PCMA", "PCMU"]'
    names = table.texts("codecs", example)
    if names is None:
        return default
    if not names:
        table.wrong("codecs", "is empty", f"{example}, or no such key: then every codec may cross")
    known = {name.lower(): name for name in CODECS}
    for name in names:
        if name.lower() in COMPANIONS:
            table.wrong("codecs", f'"{name}" is no codec', "nothing: it goes with every codec")
        elif name.lower() not in known:
            usual = _USUAL.get(name.lower())
            right = didYouMean(name, CODECS) if usual is None else f"did you mean {usual}?"
            table.wrong("codecs", f'"{name}" is not known', right)
    if len({name.lower() for name in names}) < len(names):
        table.wrong("codecs", "names a codec twice", "each once")
    return tuple(known.get(name.lower(), name) for name in names)


__all__ = [
    "DEFAULT_SUITES",
    "CarrierProfile",
    "loadProfile",
    "profileNames",
    "readCodecs",
    "readProfile",
    "readSuites",
]
