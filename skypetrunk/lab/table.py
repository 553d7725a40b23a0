"""
All switches of the lab: one table, which command line, file, control and documentation are made from.

A switch changes one value of L{LabSettings} or of the L{CarrierSettings} in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from OpenSSL import SSL

from skypetrunk.core.mikey import PROTOCOLS
from skypetrunk.lab.abilities import METHODS, REFRESHERS
from skypetrunk.lab.cuts import CUTS, MOMENTS
from skypetrunk.lab.dns import NAMES
from skypetrunk.lab.kinds import FLAG, Address, Domain, Kind, Named, Number, Numbers, Several, Text, choice
from skypetrunk.lab.leaves import FAULTS
from skypetrunk.lab.nodes import NODES
from skypetrunk.lab.numbers import FORMS
from skypetrunk.lab.registrar import NONCES
from skypetrunk.lab.revocation import ANSWERS
from skypetrunk.lab.session import SRTP_MODES
from skypetrunk.lab.settings import CarrierSettings, LabSettings
from skypetrunk.lab.tls import CLIENT_CERTIFICATE, KEY_EXCHANGES, VERSIONS
from skypetrunk.wire.digest import ALGORITHMS
from skypetrunk.wire.secret import Secret

__all__ = ["CUT", "DEFAULTS", "SWITCHES", "Switch"]

CUT = "cut"
"""The one switch that is no state: it is done once to the connections there are, and is off again."""

_SUITES = {"80": "AES_CM_128_HMAC_SHA1_80", "32": "AES_CM_128_HMAC_SHA1_32"}
_DAY = 86400


class _Ciphers(Text):
    """A cipher string that OpenSSL takes."""

    def parse(self, text: str) -> object:
        value = super().parse(text)
        if value is not None:
            try:
                SSL.Context(SSL.TLS_SERVER_METHOD).set_cipher_list(text.encode("ascii"))
            except (SSL.Error, UnicodeError):
                raise ValueError(self.wanted) from None
        return value


class _HexadecimalKey(Text):
    """A key that is not shown."""

    def parse(self, text: str) -> object:
        if text == "none":
            return None
        if not re.fullmatch("([0-9A-Fa-f]{2}){16,}", text):
            raise ValueError(self.wanted)
        return Secret(text)


@dataclass(frozen=True, slots=True)
class Switch:
    """
    One switch.

    @ivar name: as it is written.
    @ivar path: attributes that lead from L{LabSettings} to its value; empty for L{CUT}.
    @ivar kind: what it may be.
    @ivar words: what it does.
    @ivar values: what each value is, where that needs words.
    """

    name: str
    path: str
    kind: Kind
    words: str
    values: Mapping[str, str] = field(default_factory=dict)

    def shown(self, settings: LabSettings) -> str:
        """Its value, as it would be written."""
        return self.kind.show(attrgetter(self.path)(settings)) if self.path else "none"

    @property
    def explained(self) -> str:
        """Words, and those of its values."""
        if not self.values:
            return self.words
        values = "; ".join(f"{name}: {words}" for name, words in self.values.items())
        return f"{self.words} {values}."

    @property
    def default(self) -> str:
        """What it is where nobody says anything."""
        return self.shown(DEFAULTS)


DEFAULTS = LabSettings(CarrierSettings({}), Path())

SWITCHES = (
    # Found
    Switch("dns", "names", choice(NAMES), "What the name server says of the domain.", NAMES),
    Switch(
        "nodes",
        "nodes",
        Several({name: name for name in NODES}, most=9),
        "One word for each SRV target, in their order.",
        NODES,
    ),
    Switch(
        "srv",
        "balanced",
        Named({"ordered": False, "balanced": True}),
        "Priorities: one after the other, or all the same.",
    ),
    Switch(
        "weights",
        "weights",
        Numbers(0, 65535),
        "SRV weights of the nodes, in their order; the last one is that of all further nodes.",
    ),
    Switch("ttl", "ttl", Number(0, _DAY), "Time to live of DNS records, seconds."),
    Switch("naptr", "naptr", FLAG, "NAPTR records lead to the SRV records (RFC 3263)."),
    # TLS
    Switch("tls", "tls", choice(VERSIONS), "The one TLS version spoken; any: 1.2 and 1.3."),
    Switch(
        "key-exchange",
        "keyExchange",
        choice(KEY_EXCHANGES),
        "Suites up to TLS 1.2; with rsa, static RSA as in the datasheet, there is no TLS 1.3.",
    ),
    Switch(
        "ciphers",
        "ciphers",
        _Ciphers("an OpenSSL cipher string"),
        "Suites up to TLS 1.2 instead, as OpenSSL writes them.",
    ),
    Switch("certificate", "fault", choice(FAULTS), "The carrier's certificate.", FAULTS),
    Switch(
        "client-certificate",
        "clientCertificate",
        choice(CLIENT_CERTIFICATE),
        "Clients are asked for a certificate of the lab's CA, and may or may not come without.",
    ),
    Switch(
        "ocsp",
        "ocsp",
        choice(ANSWERS),
        "What the OCSP responder says of the certificate.",
        ANSWERS,
    ),
    Switch("staple", "staple", FLAG, "The handshake carries that OCSP answer."),
    # Connections
    Switch("delay", "delay", Number(0, 3600, whole=False), "Seconds, of a slow node."),
    Switch(
        "idle",
        "idle",
        Number(0, _DAY, whole=False),
        "Seconds until a connection that nothing goes over is closed; 0: never.",
    ),
    Switch("pongs", "pongs", FLAG, "CRLF pings are answered (RFC 5626)."),
    Switch(
        "seen-at",
        "seenAt",
        Address(),
        "Where the carrier says that it sees the trunk, as if NAT was in between (RFC 3581).",
    ),
    Switch("alg", "alg", FLAG, "A router on the way puts its own address into the Via of answers."),
    Switch(
        "clock",
        "clock",
        Number(-10 * _DAY, 10 * _DAY, word="none"),
        "Seconds that the Date of answers is ahead; none: there is no Date.",
    ),
    Switch(CUT, "", choice(("none", *CUTS)), "Cuts all connections that stand, now.", CUTS),
    Switch("cut-on", "cutOn", choice(MOMENTS), "When each new connection is cut.", MOMENTS),
    Switch("cut-how", "cutHow", choice(CUTS), "How it is cut then; values as for cut."),
    Switch(
        "grace",
        "carrier.grace",
        Number(0, 3600, whole=False),
        "Seconds that a call goes on whose connection was lost.",
    ),
    # Registered
    Switch(
        "authentication",
        "carrier.authentication",
        choice(("registration", "ip")),
        "ip: nobody registers or is challenged.",
    ),
    Switch(
        "challenge",
        "carrier.challengeAll",
        Named({"all": True, "some": False}),
        "What is challenged: everything, or INVITE and REGISTER only.",
    ),
    Switch(
        "challenge-status",
        "carrier.proxyChallenge",
        Named({"407": True, "401": False}),
        "Status of challenges to all but REGISTER.",
    ),
    Switch(
        "algorithms",
        "carrier.algorithms",
        Several({name: name for name in ALGORITHMS}),
        "Digest algorithms of the challenges, in order.",
    ),
    Switch("qop", "carrier.qop", FLAG, "Challenges ask for qop=auth; off is as in RFC 2069."),
    Switch("nonce", "carrier.nonce", choice(NONCES), "What becomes of nonces.", NONCES),
    Switch(
        "nonce-lifetime",
        "carrier.nonceLifetime",
        Number(0, _DAY, whole=False),
        "Seconds until a nonce is stale.",
    ),
    Switch(
        "expires",
        "carrier.granted",
        Number(1, 10 * _DAY, word="auto"),
        "Registration time granted, seconds; auto: 45 behind NAT, else at most 3600.",
    ),
    Switch(
        "minimum-expires",
        "carrier.minimumExpires",
        Number(0, _DAY),
        "Shorter registrations are refused with 423.",
    ),
    Switch(
        "registration",
        "carrier.registration",
        Number(300, 699, word="ok"),
        "Status that every authenticated REGISTER is refused with; ok: none is.",
    ),
    Switch(
        "retry-after",
        "carrier.retryAfter",
        Number(0, _DAY),
        "Retry-After of refused registrations and of 503, seconds; 0: none.",
    ),
    Switch(
        "bindings",
        "carrier.bindings",
        choice(("one", "all")),
        "The last Contact of an account counts, or all that registered.",
    ),
    Switch(
        "other-contacts",
        "carrier.others",
        Number(0, 20),
        "So many Contacts of somebody else stand in the answers to REGISTER.",
    ),
    Switch(
        "service-route",
        "carrier.serviceRoute",
        Text("a SIP URI"),
        "Service-Route of the answers to REGISTER (RFC 3608).",
    ),
    Switch(
        "outbound",
        "carrier.outbound",
        FLAG,
        "Several flows of one instance are kept (RFC 5626), and asked for with Require.",
    ),
    Switch(
        "flow-timer",
        "carrier.flowTimer",
        Number(0, _DAY),
        "Flow-Timer of the answers to REGISTER, seconds; 0: none.",
    ),
    # Called
    Switch(
        "from-check",
        "carrier.strictFrom",
        Named({"strict": True, "lax": False}),
        "strict: 403 for calls whose From user is not the account.",
    ),
    Switch(
        "number-forms",
        "carrier.forms",
        Several({name: name for name in FORMS}),
        "Number forms that are taken.",
    ),
    Switch(
        "uri-parameters",
        "carrier.uriParameters",
        Text("parameters with semicolons in between"),
        "403 for calls whose Request-URI lacks one of these, as transport=tls;media=srtp.",
    ),
    Switch(
        "contact-host",
        "carrier.contactHost",
        Domain(),
        "403 for requests whose Contact is not at this host.",
    ),
    Switch(
        "mediasec",
        "carrier.mediasec",
        FLAG,
        "Media security must be told as 3GPP TS 33.328 has it: else 494, or 488 to an offer without 3ge2ae.",
    ),
    Switch(
        "contact",
        "carrier.maddr",
        Named({"maddr": True, "plain": False}),
        "Contact with the domain as host and the node in maddr, or with the node's address.",
    ),
    Switch(
        "call-in",
        "callIn",
        Domain(),
        "Domain of the customer that lab-call calls: by its SRV records, over TLS, wanting its certificate"
        " under the lab's CA; none: who is registered.",
    ),
    Switch("call-in-dns", "callInDNS", Address(), "Name server to ask for them; none: the lab's own."),
    Switch("call-in-at", "callInAt", Address(), "Where the lab's own says that the customer is."),
    Switch(
        "methods",
        "carrier.methods",
        Several({name: name for name in METHODS}, least=0),
        "Methods that are allowed; others get 405.",
        METHODS,
    ),
    Switch(
        "session-expires",
        "carrier.sessionExpires",
        Number(0, _DAY),
        "Session timer (RFC 4028), seconds; Skype's gateways that had one said 1800. 0: none.",
    ),
    Switch(
        "session-refresher",
        "carrier.sessionRefresher",
        choice(REFRESHERS),
        "Who refreshes the session, where the caller leaves it open.",
    ),
    Switch(
        "session-minimum",
        "carrier.sessionMinimum",
        Number(0, _DAY),
        "Shorter sessions are refused with 422, seconds.",
    ),
    Switch(
        "invitation",
        "carrier.invitation",
        Number(300, 699, word="ok"),
        "Status that every call is refused with; ok: none is.",
    ),
    Switch(
        "credit",
        "carrier.credit",
        Named({"enough": True, "empty": False}),
        "Calls cost money; without it they are refused with 402.",
    ),
    Switch("channels", "carrier.channels", Number(0, 300), "Calls at once; one more gets 503."),
    Switch(
        "codecs",
        "carrier.formats",
        Several({"PCMA": "8", "PCMU": "0", "G729": "18", "telephone-event": "101"}),
        "Codecs offered and taken; G.729 is only named, never played.",
    ),
    Switch("srtp", "carrier.srtp.mode", choice(SRTP_MODES), "What is wanted of SRTP.", SRTP_MODES),
    Switch(
        "suites",
        "carrier.srtp.suites",
        Several(_SUITES),
        "SRTP suites taken, the preferred first: AES_CM_128_HMAC_SHA1_80 and _32.",
    ),
    Switch(
        "keys",
        "carrier.srtp.keys",
        choice(PROTOCOLS),
        "How SRTP keys are agreed: by SDES (RFC 4568) or by MIKEY (RFC 3830).",
    ),
    Switch(
        "mikey_key",
        "carrier.srtp.mikeyKey",
        _HexadecimalKey("32 hexadecimal digits or more"),
        "Pre-shared key of MIKEY; none: keys go in clear. Not shown.",
    ),
)
"""In the order that they are listed in."""
