"""
The values behind the lab's switches, and what else a lab needs to know.

The switches and their values are those of the Skype Connect facts, section 11, and the faults that
a trunk has to bear.  What each is called and does stands in L{skypetrunk.lab.switches}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skypetrunk.lab.numbers import FORMS
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.wire.secret import Secret

__all__ = ["CarrierSettings", "LabSettings"]


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """
    What the carrier does with SIP.

    @ivar accounts: passwords, by SIP user name.
    @ivar domain: of the service: registrar, digest realm, From host of its calls.
    @ivar authentication: C{"registration"}, or C{"ip"}: nobody registers or is challenged.
    @ivar challengeAll: challenge every request, else INVITE and REGISTER only.
    @ivar proxyChallenge: challenge all but REGISTER with 407, else with 401.
    @ivar algorithms: of the digest challenges, in order.
    @ivar qop: ask for C{qop=auth}.
    @ivar nonce: a key of L{skypetrunk.lab.registrar.NONCES}.
    @ivar nonceLifetime: seconds until a nonce is stale.
    @ivar granted: expiry granted, seconds; C{None}: 45 behind NAT, else 3600.
    @ivar minimumExpires: shorter registrations are refused with 423.
    @ivar registration: status of the answer to every authenticated REGISTER; C{None}: as it should be.
    @ivar retryAfter: seconds, in refusals of REGISTER and in 503; 0 for none.
    @ivar bindings: C{"one"} for each account, C{"all"} Contacts that registered.
    @ivar others: so many Contacts of somebody else stand in the answers to REGISTER.
    @ivar serviceRoute: the Service-Route of answers to REGISTER (RFC 3608), or C{None}.
    @ivar outbound: take several flows of one instance (RFC 5626).
    @ivar flowTimer: the Flow-Timer header of RFC 5626, seconds; 0 for none.
    @ivar strictFrom: calls whose From user is not the account are refused with 403.
    @ivar forms: number forms that are taken.
    @ivar mediasec: of L{skypetrunk.lab.insistence}, as are the next two.
    @ivar contactHost: where the Contact of each request has to be, or C{None}.
    @ivar uriParameters: what the Request-URI of each call must have, with semicolons in between, or C{None}.
    @ivar formats: payload types offered and taken.
    @ivar srtp: what is wanted of media.
    @ivar maddr: Contact as in the 2011 trace, with the domain as host and the node in C{maddr}; else
        with the node's address as host.
    @ivar methods: allowed beside those of RFC 3261, keys of L{skypetrunk.lab.abilities.METHODS}.
    @ivar sessionExpires: of session timers, seconds; 0: none.
    @ivar sessionRefresher: of L{skypetrunk.lab.abilities.REFRESHERS}, where the PBX leaves it open.
    @ivar sessionMinimum: shorter sessions are refused with 422, seconds.
    @ivar invitation: status that every call is refused with; C{None}: none is.
    @ivar credit: without it calls are refused with 402.
    @ivar channels: calls at once; one fifth more for calls to the PBX.
    @ivar answeringTone: Hz, of the tone test number and of ordinary numbers.
    @ivar callingTone: Hz, of calls to the PBX.
    @ivar ringing: seconds until a test number answers.
    @ivar patience: seconds until a call nobody answers is given up.
    @ivar grace: seconds that a call goes on whose connection was lost.
    """

    accounts: Mapping[str, Secret] = field(repr=False)
    domain: str = "sip.skype.com"
    authentication: str = "registration"
    challengeAll: bool = True
    proxyChallenge: bool = True
    algorithms: tuple[str, ...] = ("MD5",)
    qop: bool = True
    nonce: str = "kept"
    nonceLifetime: float = 300.0
    granted: int | None = None
    minimumExpires: int = 0
    registration: int | None = None
    retryAfter: int = 0
    bindings: str = "one"
    others: int = 0
    serviceRoute: str | None = None
    outbound: bool = False
    flowTimer: int = 0
    strictFrom: bool = True
    forms: tuple[str, ...] = tuple(FORMS)
    mediasec: bool = False
    contactHost: str | None = None
    uriParameters: str | None = None
    formats: tuple[str, ...] = ("8", "0", "18", "101")
    srtp: SRTPPolicy = field(default_factory=SRTPPolicy)
    maddr: bool = True
    methods: tuple[str, ...] = ()
    sessionExpires: int = 0
    sessionRefresher: str = "uas"
    sessionMinimum: int = 0
    invitation: int | None = None
    credit: bool = True
    channels: int = 30
    answeringTone: int = 650
    callingTone: int = 950
    ringing: float = 0.5
    patience: float = 60.0
    grace: float = 32.0


@dataclass(frozen=True, slots=True)
class LabSettings:
    """
    What is around the carrier.

    @ivar directory: for the CA's certificate and the control socket.
    @ivar address: where everything listens: loopback.
    @ivar port: TLS; 0 lets the system choose.
    @ivar dnsPort: the name server's; 0 lets the system choose.
    @ivar ocspPort: the OCSP responder's; 0 lets the system choose.
    @ivar control: path of the control socket, or C{None} for none.
    @ivar nodes: a key of L{skypetrunk.lab.nodes.NODES} for each node, in the order of the SRV records.
    @ivar balanced: all nodes have the same SRV priority, else each the next one.
    @ivar weights: SRV weights of the nodes; the last one is that of all further nodes.
    @ivar ttl: of all DNS records, seconds.
    @ivar names: what the name server does, a key of L{skypetrunk.lab.dns.NAMES}.
    @ivar naptr: publish NAPTR records (RFC 3263 section 4.1).
    @ivar tls: a key of L{skypetrunk.lab.tls.VERSIONS}.
    @ivar keyExchange: a key of L{skypetrunk.lab.tls.KEY_EXCHANGES}.
    @ivar ciphers: OpenSSL's cipher string for TLS 1.2 instead, or C{None}.
    @ivar clientCertificate: one of L{skypetrunk.lab.tls.CLIENT_CERTIFICATE}.
    @ivar fault: of the server certificate, a key of L{skypetrunk.lab.leaves.FAULTS}.
    @ivar ocsp: a key of L{skypetrunk.lab.revocation.ANSWERS}.
    @ivar staple: send the OCSP answer in the handshake.
    @ivar delay: seconds, of nodes that are slow.
    @ivar idle: seconds until a connection is closed that nothing goes over; 0: never.
    @ivar pongs: answer the CRLF pings of RFC 5626.
    @ivar clock: of L{skypetrunk.lab.rewriting.Rewriting}, as are the next two.
    @ivar seenAt: see there.
    @ivar alg: see there.
    @ivar callIn: domain of the customer that calls go to, by its SRV records; C{None}: who is registered.
    @ivar callInDNS: C{ADDRESS:PORT} of the name server to ask for them; C{None}: the lab's own.
    @ivar callInAt: C{ADDRESS:PORT} that the lab's own says; C{None}: it knows no customer.
    @ivar cutOn: when a connection is cut by itself, a key of L{skypetrunk.lab.cuts.MOMENTS}.
    @ivar cutHow: and how, a key of L{skypetrunk.lab.cuts.CUTS}.
    """

    carrier: CarrierSettings
    directory: Path
    address: str = "127.0.0.1"
    port: int = 5061
    dnsPort: int = 5353
    ocspPort: int = 0
    control: Path | None = None
    nodes: tuple[str, ...] = ("good",)
    balanced: bool = False
    weights: tuple[int, ...] = (50,)
    ttl: int = 30
    names: str = "good"
    naptr: bool = False
    tls: str = "any"
    keyExchange: str = "any"
    ciphers: str | None = None
    clientCertificate: str = "off"
    fault: str = "none"
    ocsp: str = "good"
    staple: bool = False
    delay: float = 3.0
    idle: float = 0.0
    pongs: bool = True
    clock: int | None = None
    seenAt: str | None = None
    alg: bool = False
    callIn: str | None = None
    callInDNS: str | None = None
    callInAt: str | None = None
    cutOn: str = "never"
    cutHow: str = "close"
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)
