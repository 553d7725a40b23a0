"""The text of a configuration that C{skypetrunk init} writes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from skypetrunk.profiles import CarrierProfile
from skypetrunk.service.addresses import isLiteral, splitHostPort
from skypetrunk.wire.address import TransportAddress, parseAddress


@frozen
class Own:
    """
    What a carrier knows us by beside the account; file names as they stand in the file.

    @ivar listen: where it connects to us, C{None} where it does not.
    @ivar name: our host name.
    @ivar roots: who vouches for it there, where the trunk itself takes the system's.
    """

    certificate: str
    key: str
    listen: str | None
    name: str | None
    roots: str | None


@frozen
class Answers:
    """
    What the file says.

    @ivar profile: C{profileName} is what the file calls it.
    @ivar socket: name of the control socket; C{None} where its path would be too long.
    @ivar password: key and value, as in C{("password_file", "trunk.secret")}; C{None} for none.
    """

    profile: CarrierProfile
    profileName: str
    trunk: str
    domain: str
    username: str
    password: tuple[str, str] | None
    targets: Sequence[str]
    caFile: str | None
    own: Own | None
    pbx: str
    listen: str
    allow: Sequence[str]
    mediaAddress: str | None
    advertise: str | None
    servers: Sequence[str]
    country: str
    outsideLine: str | None
    socket: str | None

    def withPassword(self, key: str, value: str) -> Answers:
        """The same with another source of the password."""
        return evolve(self, password=(key, value))


def completeAddress(text: str) -> str:
    """C{text} with C{udp:} and C{:5060} where these were left out; what is no address stays as it is."""
    found = splitHostPort(text, 5060)
    return text if found is None else str(TransportAddress("UDP", *found))


def isSIPAddress(text: str) -> bool:
    """Is C{text} a transport, a literal address and a port?"""
    try:
        return isLiteral(parseAddress(text).host)
    except ValueError:
        return False


def ownAddress(pbx: str) -> str:
    """
    Where this machine can be reached from the PBX at C{pbx}; empty when there is no way to it.

    No packet is sent: the system only chooses a route.
    """
    address = parseAddress(pbx)
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address.host, address.port))
            host = probe.getsockname()[0]
    except OSError:
        return ""
    # A PBX on this machine has the usual port itself.
    port = 5080 if host == address.host and address.port == 5060 else 5060
    return str(TransportAddress(address.transport, host, port))


def _hostOf(address: str) -> str:
    """The host of C{udp:host:port}; what is no address stays, for the check to complain about."""
    try:
        return parseAddress(address).host
    except ValueError:
        return address


def _written(value: str | Sequence[str]) -> str:
    """C{value} in TOML: a JSON string is a TOML basic string, but for DEL."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(_written, value))}]"


def _key(key: str, value: str | Sequence[str] | None, comment: str, example: str = "") -> str:
    """
    One line with its comment.

    @param value: C{None} or empty: the key stands in a comment too, with C{example}.
    """
    text = f"{key} = {_written(value)}" if value else f"# {key} = {example}"
    return f"{text:<37} # {comment}"


def render(answers: Answers) -> str:
    """The configuration: every key with a comment, those that are not needed in comments themselves."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    profile = answers.profile
    yield f"# skypetrunk: {profile.title}"
    yield '# "skypetrunk check" says whether this file is right; the configuration reference has every key.'
    yield ""
    yield from _trunk(answers)
    yield ""
    yield "[[pbx]]"
    yield _key("name", "pbx", "unique; used in logs and routes")
    yield _key("listen", [answers.listen], "where the PBX sends its calls; literal addresses")
    yield _key("address", answers.pbx, "where calls from the carrier go; several: in order")
    yield _key(
        "allow", answers.allow or [_hostOf(answers.pbx)], "who may call; others are dropped and counted"
    )
    yield _key("username", None, "if its calls must prove where they come from", '"office"')
    yield _key("password_file", None, "with this password", '"office.secret"')
    yield _key("register", None, "true: it registers here, and has no address", "false")
    yield _key("options_interval", None, "seconds; asks each address for its health", "30")
    yield _key("options_unusable", None, "answer to OPTIONS while the trunk is not usable", "503")
    yield _key("emergency_status", None, "answer to emergency numbers", "503")
    yield _key("caller_from", None, "which header says who calls", '"p-asserted-identity"')
    yield _key("number_form", None, "numbers of calls to it: plus, 00, bare", '"plus"')
    yield _key("redirect", None, "when it forwards a call by 3xx: refuse, follow, pass", '"follow"')
    yield _key("redirect_allow", None, "hosts that this may name, beside its own", '["pbx.example"]')
    yield ""
    yield "[pbx.limits]"
    yield from _limits("20")
    yield ""
    yield "# Calls go from the PBX to the trunk and back. With several trunks or PBXes each way is written,"
    yield "# and the first that fits wins:"
    yield "# [[route]]"
    yield _key("from", None, "a pbx or a trunk", '"pbx"')
    yield _key("to", None, "in order", _written([answers.trunk]))
    yield _key("called", None, "optional: prefixes of the normalised number", '["+44"]')
    yield ""
    yield "[media]"
    yield _key("address", answers.mediaAddress or _hostOf(answers.listen), "where audio is received; literal")
    yield _key("advertise", answers.advertise, "what carriers see, where NAT stands between", '"203.0.113.7"')
    yield _key("ports", "20000-29999", "UDP, four for each call")
    yield _key("silence", None, "seconds without a packet from either side that end a call; 0: never", "600")
    yield ""
    yield "[dns]"
    yield _key("servers", answers.servers, "default: the system's", '["192.0.2.53"]')
    yield ""
    yield "[numbers]"
    yield _key("country", answers.country, "its emergency numbers never go to a trunk")
    yield _key("outside_line", answers.outsideLine, "dialled first, if the PBX leaves it in", '"9"')
    yield _key("emergency", None, "in addition to the country's own", '["117"]')
    yield ""
    yield "[control]"
    yield _key("socket", answers.socket, "UNIX socket for skypetrunk status", '"/run/skypetrunk.sock"')


def _trunk(answers: Answers) -> Iterator[str]:
    profile = answers.profile
    key, value = answers.password or ("password_file", None)
    replaced = "profile's" if profile.caFile else "system's"
    yield "[[trunk]]"
    yield _key("name", answers.trunk, "unique; used in logs and routes")
    yield _key("profile", answers.profileName, "what the carrier wants; the default of much below")
    yield _key("domain", answers.domain, "what the carrier's certificate must prove")
    yield _key("username", answers.username, "account at the carrier")
    yield _key(key, value, "password_file, password_env or password_credential", '"trunk.secret"')
    yield _key("targets", answers.targets, "instead of DNS", '["192.0.2.10:5061"]')
    yield _key("contact", None, "where it is told that we are: learned, local, or a host", '"learned"')
    yield _key("redirect", None, "its 3xx: refuse, follow, pass", '"follow"')
    yield _key("redirect_allow", None, "hosts that these may name, beside the domain", '["gw.example"]')
    yield _key("balance", None, "true: each call draws its server; else it follows REGISTER", "false")
    yield _key("transfer", None, "a REFER of the PBX: take-over, pass, refuse", '"take-over"')
    yield _key("carrier_transfer", None, "a REFER of the carrier: the same", '"refuse"')
    yield ""
    yield "[trunk.dns]"
    yield _key("naptr", None, "ask for NAPTR records before SRV", "true")
    yield _key("families", None, "of addresses, the better one first", '["ipv4", "ipv6"]')
    yield _key("domain", None, "whose records say where the servers are", '"other.example"')
    yield _key("srv", None, "owner of the SRV records; asked alone", '"_sips._tcp.other.example"')
    yield ""
    yield "[trunk.tls]"
    yield _key("ca_file", answers.caFile, f"roots that replace the {replaced}", '"carrier-ca.pem"')
    yield _key("pins", None, "of SubjectPublicKeyInfo, CA or leaf; two for roll-over", '["sha256/BASE64"]')
    yield _key("pins_mode", None, "report: only warn of a key that is not pinned", '"enforce"')
    yield _key("revocation", None, "is its certificate revoked: off, soft, hard", '"soft"')
    yield _key("crl_file", None, "lists of revoked certificates", '"carrier.crl"')
    own = answers.own
    certificate, ownKey = (None, None) if own is None else (own.certificate, own.key)
    yield _key("certificate", certificate, "where the carrier asks for one", '"client.pem"')
    yield _key("key", ownKey, "its key", '"client.key"')
    yield _key("key_password_file", None, "if the key is encrypted", '"client.pass"')
    yield ""
    listen = name = roots = None
    if own is None or own.listen is None:
        certificate = ownKey = None
    else:
        listen, name, roots = [own.listen], own.name, own.roots
    yield "# Where the carrier connects to us, if it does:"
    yield "# [trunk.inbound]" if listen is None else "[trunk.inbound]"
    yield _key("listen", listen, "TLS, literal", '["tls:192.0.2.1:5061"]')
    yield _key("certificate", certificate, "ours, with its chain", '"trunk.pem"')
    yield _key("key", ownKey, "its key", '"trunk.key"')
    yield _key("key_password_file", None, "if the key is encrypted", '"trunk.pass"')
    yield _key("verify", None, "the carrier must show a certificate; if not, allow is required", "true")
    yield _key("ca_file", roots, "who vouches for it; default: as in trunk.tls", '"carrier-ca.pem"')
    yield _key("allow", None, "addresses that may connect; default: all", '["192.0.2.0/24"]')
    yield _key("name", name, "our host name, for Contact", '"trunk.example.com"')
    yield ""
    yield "[trunk.media]"
    yield _key("srtp", profile.srtp, "or opportunistic: where the carrier can; or off")
    yield _key("suites", profile.suites, "in order of preference")
    yield ""
    yield "[trunk.limits]"
    yield from _limits(str(profile.calls or 30))
    yield _key("incoming_burst", None, "per cent more of the carrier's own calls", "20")


def _limits(calls: str) -> Iterator[str]:
    yield _key("calls", None, "simultaneous calls", calls)
    yield _key("calls_per_second", None, "new calls", "5")
    yield _key("minutes_per_day", None, "of calls to carriers; bounds what fraud can cost", "1000")
    yield _key("allow", None, "prefixes that may be called", '["+44"]')
    yield _key("deny", None, "that may not; the longest prefix of both decides", '["+44909", "+882"]')
