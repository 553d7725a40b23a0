"""The configuration as frozen values: what L{skypetrunk.service.config} makes of the file."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from attrs import frozen

from skypetrunk.core.mikey import SDES_KEYS
from skypetrunk.interfaces import ANY_PATH, MediaHost, MediaPath
from skypetrunk.net.locate import FAMILIES
from skypetrunk.profiles import CarrierProfile
from skypetrunk.service.plugin_table import PluginConfiguration
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.secret import Secret
from skypetrunk.wire.uri import SIPURI


@frozen
class TLSConfiguration:
    """
    How a trunk's peer proves itself, and how we do.

    @ivar caFile: PEM file of the roots that replace the system's (the trunk's, else the
        profile's), or C{None} for the system's.
    @ivar pins: C{sha256/BASE64} of SubjectPublicKeyInfo, as written.
    @ivar certificate: PEM file with our own certificate and chain, or C{None}.
    @ivar pinsReported: a key that is not pinned is reported, not refused.
    @ivar revocation: C{"off"}, C{"soft"} or C{"hard"}.
    @ivar crlFile: file with CRLs, or C{None}.
    @ivar key: PEM file with its private key; set where C{certificate} is.
    @ivar keyPasswordFile: file with the pass phrase of C{key}, or C{None}.
    """

    caFile: Path | None
    pins: tuple[str, ...]
    certificate: Path | None
    key: Path | None
    keyPasswordFile: Path | None
    pinsReported: bool = False
    revocation: str = "soft"
    crlFile: Path | None = None


@frozen
class PBXTLSConfiguration:
    """
    TLS with a PBX.

    @ivar files: C{certificate} and C{key} are there; C{caFile} and C{pins}, of the PBX, may be missing.
    @ivar name: host name in the PBX's certificate, lower case; C{None}: its address.
    """

    files: TLSConfiguration
    name: str | None


@frozen
class InboundConfiguration:
    """
    A TLS port where a carrier calls in.

    @ivar listen: literal addresses.
    @ivar files: C{certificate} and C{key} are ours; C{caFile} vouches for the carrier's certificate, C{None}:
        it is not asked for one, and C{allow} tells who it is.
    @ivar allow: who may connect; C{None} for everybody.
    @ivar name: host name that the carrier reaches us by, for Contact; C{None}: the address.
    """

    listen: tuple[TransportAddress, ...]
    files: TLSConfiguration
    allow: tuple[IPv4Network | IPv6Network, ...] | None = None
    name: str | None = None

    @property
    def contact(self) -> SIPURI:
        """Where the carrier is told that we are, without a user."""
        first = self.listen[0]
        transport = Parameters((("transport", "tls"),))
        return SIPURI("sip", None, None, self.name or first.host, first.port, transport)


@frozen
class TrunkMedia:
    """
    Media towards a carrier.

    @ivar suites: SRTP suites in order of preference.
    @ivar codecs: names of those allowed, in order of preference; empty: any.
    @ivar keys: of L{skypetrunk.core.mikey.PROTOCOLS}.
    @ivar mikeyKey: the pre-shared key of MIKEY in hexadecimal digits; C{None}: there is none.
    @ivar path: how it travels, and what of SRTP there is.
    @ivar silence: seconds without a packet from the carrier that end a call; 0 for none.
    @ivar t38: what becomes of fax by T.38, of L{skypetrunk.core.fax_stream.POLICIES}.
    """

    suites: tuple[str, ...]
    path: MediaPath = ANY_PATH
    silence: int = 0
    keys: str = SDES_KEYS
    mikeyKey: Secret | None = None
    codecs: tuple[str, ...] = ()
    t38: str = "refuse"


@frozen
class Limits:
    """
    Bounds of a trunk or PBX; C{None} and empty for none.

    @ivar calls: simultaneous calls.
    @ivar incomingBurst: per cent more calls of those that a carrier makes.
    @ivar callsPerSecond: new calls, both directions together.
    @ivar minutesPerDay: of calls to trunks, from midnight to midnight, UTC.
    @ivar allow: prefixes of numbers that may be called over a trunk.
    @ivar deny: prefixes of those that may not; the longest of both decides.
    """

    calls: int | None = None
    incomingBurst: int = 0
    callsPerSecond: int | None = None
    minutesPerDay: int | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @property
    def burst(self) -> int:
        """Calls above C{calls}, of those that a carrier makes."""
        return (self.calls or 0) * self.incomingBurst // 100


@frozen
class TrunkDNS:
    """
    Where a trunk's records are in DNS, and which of them count.

    @ivar domain: whose records hold instead of the trunk's own domain, or C{None}.
    @ivar srv: the owner of the SRV records; then nothing else is asked.
    @ivar naptr: NAPTR records are asked for.
    @ivar families: C{"ipv4"} and C{"ipv6"}, the better one first.
    """

    domain: str | None = None
    srv: str | None = None
    naptr: bool = True
    families: tuple[str, ...] = FAMILIES


@frozen
class TrunkConfiguration:
    """
    One C{[[trunk]]}.

    @ivar domain: what TLS must prove, lower case.
    @ivar username: account, the user part only.
    @ivar password: C{None} only where the profile does not register and none was given.
    @ivar passwordFile: where it was read from, C{None} if not from a file of its own.
    @ivar contact: host and port that our Contacts name, C{None} for where we are.
    @ivar contactLearned: that is where the carrier sees us, else where the connection begins.
    @ivar targets: host (name or literal, IPv6 without brackets) and port, instead of DNS.
    @ivar redirect: what becomes of its redirections.
    @ivar redirectAllow: hosts that one to be followed may name beside C{domain}, folded.
    @ivar transfer: what becomes of a REFER of the PBX in its calls.
    @ivar dtmf: how it has keys pressed.
    @ivar carrierTransfer: what becomes of one of the carrier.
    @ivar dns: where its records are.
    @ivar inbound: where the carrier calls in, beside the connection that we keep.
    @ivar balance: each call draws its server anew, and does not follow the registration.
    """

    name: str
    profile: CarrierProfile
    domain: str
    username: str
    password: Secret | None
    targets: tuple[tuple[str, int], ...]
    tls: TLSConfiguration
    media: TrunkMedia
    limits: Limits
    redirect: str = "refuse"
    redirectAllow: frozenset[str] = frozenset()
    transfer: str = "take-over"
    dtmf: str = "auto"
    carrierTransfer: str = "refuse"
    passwordFile: Path | None = None
    contact: tuple[str, int] | None = None
    contactLearned: bool = True
    dns: TrunkDNS = TrunkDNS()  # noqa: RUF009 (a frozen value)
    inbound: InboundConfiguration | None = None
    balance: bool = False


@frozen
class PBXConfiguration:
    """
    One C{[[pbx]]}.

    @ivar listen: UDP, TCP and TLS addresses we bind, all literal.
    @ivar address: where calls from the carrier go, literal; C{None}: where the PBX has registered.
    @ivar others: where they go instead, in order.
    @ivar username: who its calls must prove to come from; empty if they need not.
    @ivar password: set where C{username} is.
    @ivar optionsInterval: seconds between two OPTIONS to each address; 0 for none.
    @ivar allow: who may call.
    @ivar optionsUnusable: status for OPTIONS while no trunk is usable.
    @ivar emergencyStatus: status for an emergency number, which never goes to a trunk.
    @ivar callerFrom: which of its headers says who calls.
    @ivar numberForm: how it wants the numbers of calls to it.
    @ivar mediaPath: how its media travels.
    @ivar dtmf: how it has keys pressed.
    @ivar mediaSilence: seconds without a packet from it that end a call; 0 for none.
    @ivar plugin: the plugin that is this PBX, in this process; C{None} for one with SIP and addresses.
    @ivar tls: set where C{listen} has a TLS address.
    @ivar dialect: the plugin that knows how it writes its messages, or C{None}.
    @ivar redirect: what becomes of its redirections.
    @ivar redirectAllow: hosts that one to be followed may name beside its own and ours, folded.
    """

    name: str
    listen: tuple[TransportAddress, ...]
    address: TransportAddress | None
    allow: tuple[IPv4Network | IPv6Network, ...]
    optionsUnusable: int = 503
    emergencyStatus: int = 503
    callerFrom: str = "from"
    numberForm: str = "as-dialled"
    limits: Limits = Limits()  # noqa: RUF009 (a frozen value)
    others: tuple[TransportAddress, ...] = ()
    optionsInterval: int = 0
    username: str = ""
    password: Secret | None = None
    dialect: str | None = None
    redirect: str = "refuse"
    redirectAllow: frozenset[str] = frozenset()
    mediaPath: MediaPath = ANY_PATH
    dtmf: str = "auto"
    mediaSilence: int = 0
    plugin: str | None = None
    tls: PBXTLSConfiguration | None = None

    @property
    def addresses(self) -> tuple[TransportAddress, ...]:
        """All of them, in order; none where it registers, or is in this process."""
        return () if self.address is None else (self.address, *self.others)


@frozen
class Route:
    """
    One C{[[route]]}: the first that fits wins.

    @ivar source: name of the PBX or trunk a call comes from.
    @ivar to: names of where it may go, in order.
    @ivar called: prefixes of the normalised called number; empty for all.
    """

    source: str
    to: tuple[str, ...]
    called: tuple[str, ...] = ()


MOST_WORKERS = 64
"""Processes that carry media."""


@frozen
class MediaConfiguration:
    """
    C{[media]}.

    @ivar hosts: where the media ports are, one of an IP version at most.
    @ivar ports: first and last port; the first is even, the last odd.
    @ivar silence: seconds without a packet from either side that end a call; 0 for none.
    @ivar helper: may the compiled helper be used?
    @ivar workers: processes that carry media; C{None}: as many as there are cores for, when they are needed.
    """

    hosts: tuple[MediaHost, ...]
    ports: tuple[int, int]
    silence: int = 600
    helper: bool = True
    workers: int | None = None

    @property
    def address(self) -> str:
        """The first of them."""
        return self.hosts[0].host

    @property
    def advertise(self) -> str | None:
        """What SDP shows to a carrier instead of the first."""
        return self.hosts[0].advertised

    def path(self, path: MediaPath) -> MediaPath:
        """C{path}, with these hosts if it has none of its own."""
        return replace(path, hosts=path.hosts or self.hosts)


@frozen
class DSCP:
    """
    C{[dscp]}: the marks of what we send, 0 to 63.

    @ivar media: of RTP and RTCP.
    @ivar signalling: of SIP.
    """

    media: int = 46
    signalling: int = 24


@frozen
class DNS:
    """
    C{[dns]}.

    @ivar servers: literal host and port; empty for the system's.
    """

    servers: tuple[tuple[str, int], ...] = ()


@frozen
class Numbers:
    """
    C{[numbers]}.

    @ivar country: two letters, ISO 3166.
    @ivar outsideLine: digits dialled before an outside number, or empty.
    @ivar emergency: emergency numbers in addition to the country's.
    """

    country: str
    outsideLine: str = ""
    emergency: tuple[str, ...] = ()


@frozen
class Control:
    """
    C{[control]}.

    @ivar socket: path of the UNIX socket, or C{None} for no control socket.
    """

    socket: Path | None = None


@frozen
class Configuration:
    """
    A whole configuration, checked.

    @ivar routes: as written, or the two implied by one trunk and one PBX.
    @ivar path: the file it came from.
    @ivar plugins: in the order in which they are asked.
    @ivar dscp: marks of what we send.
    """

    trunks: tuple[TrunkConfiguration, ...]
    pbxes: tuple[PBXConfiguration, ...]
    routes: tuple[Route, ...]
    media: MediaConfiguration
    dns: DNS
    numbers: Numbers
    control: Control
    path: Path
    plugins: tuple[PluginConfiguration, ...] = ()
    dscp: DSCP = DSCP()  # noqa: RUF009 (a frozen value)
