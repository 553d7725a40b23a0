"""Every fault of the practice carrier is named rightly by C{skypetrunk doctor}; Kamailio has none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from skypetrunk.lab.service import Lab
from skypetrunk.lab.switches import changed, parsed
from skypetrunk.tools.doctor.finding import Severity
from tests.interop.rig.calls import CallCase
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import Authority
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.trunk import PASSWORD as TRUNK_PASSWORD
from tests.interop.rig.trunk import USER, Trunk
from tests.tools.doctorcase import ACCOUNT, HOST, PASSWORD, PIN, DoctorCase


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong, and what is to be said of it.

    @ivar switches: of the lab.
    @ivar examination: which one finds it.
    @ivar sentence: what is in its sentence.
    @ivar setting: what is in the one thing to change.
    @ivar account: other than the lab's.
    @ivar password: other than the lab's.
    @ivar tls: more lines of C{[trunk.tls]}.
    @ivar also: other examinations that are amber or red because of it.
    @ivar address: of the lab.
    @ivar call: the number of a test call.
    """

    switches: dict[str, str]
    examination: str
    severity: Severity
    sentence: str
    setting: str
    account: str = ACCOUNT
    password: str = PASSWORD
    tls: str = ""
    also: tuple[str, ...] = ()
    address: str = HOST
    call: str | None = None


_TONE = "+442079460002"

RED, AMBER = Severity.RED, Severity.AMBER

FAULTS = {
    "dead node": Fault({"nodes": "dead,good"}, "tcp", AMBER, "refuses connections", "firewall: TCP"),
    "wrong name": Fault(
        {"certificate": "wrong-name"},
        "identity",
        RED,
        "is that of other.example, and",
        "trunk.carrier.domain",
    ),
    "target name": Fault(
        {"certificate": "target-name"},
        "identity",
        RED,
        "names the server, edge1.sip",
        "target_names",
    ),
    "expired": Fault({"certificate": "expired"}, "identity", RED, "expired on", "a new certificate"),
    "other CA": Fault(
        {"certificate": "other-ca"}, "identity", RED, "not among the roots", "trunk.carrier.tls.ca_file"
    ),
    "no intermediate": Fault(
        {"certificate": "no-intermediate"}, "identity", RED, "without that of the CA", "the whole chain"
    ),
    "another key": Fault(
        {},
        "identity",
        RED,
        "none of its keys is pinned",
        "trunk.carrier.tls.pins",
        tls=PIN,
    ),
    "another key, reported": Fault(
        {},
        "identity",
        AMBER,
        "only reported",
        "trunk.carrier.tls.pins",
        tls=f'{PIN}\npins_mode = "report"',
    ),
    "client certificate, TLS 1.2": Fault(
        {"client-certificate": "required", "tls": "1.2"},
        "tls",
        RED,
        "wants a certificate of ours, and none is configured",
        "trunk.carrier.tls.certificate",
    ),
    "client certificate, TLS 1.3": Fault(
        {"client-certificate": "required", "tls": "1.3"},
        "tls",
        RED,
        "wants a certificate of ours, and none is configured",
        "trunk.carrier.tls.certificate",
    ),
    "static RSA": Fault(
        {"tls": "1.2", "ciphers": "AES128-SHA"}, "tls", AMBER, "forward secrecy", "static_rsa"
    ),
    "wrong password": Fault(
        {}, "register", RED, "the password is wrong, or", "trunk.carrier.password_file", password="another"
    ),
    "wrong account": Fault({}, "register", RED, "forbids alice", "carrier.password_file", account="alice"),
    "45 seconds": Fault({"expires": "45"}, "register", AMBER, "45 s only", "a public address"),
    "423": Fault(
        {"minimum-expires": "7200"}, "register", AMBER, "too short", "expires of the profile skype-connect"
    ),
    "stuck node": Fault({"nodes": "stuck,good"}, "tls", AMBER, "says nothing", "a proxy or firewall"),
    "stuck node alone": Fault({"nodes": "stuck"}, "tls", RED, "says nothing", "a proxy or firewall"),
    "silent node": Fault({"nodes": "silent,good"}, "tcp", AMBER, "does not answer at all", "firewall: TCP"),
    "dead node alone": Fault(
        {"nodes": "dead"}, "tcp", RED, "refuses connections", "firewall: TCP", also=("firewall",)
    ),
    "slow node": Fault({"nodes": "slow", "delay": "1.05"}, "tls", AMBER, "for the handshake", "slow"),
    "mute node": Fault(
        {"nodes": "mute"}, "register", RED, "does not answer REGISTER", "at the carrier", also=("options",)
    ),
    "503": Fault(
        {"nodes": "503"},
        "register",
        RED,
        "cannot register anybody now (503)",
        "tries again",
        also=("options",),
    ),
    "no SRV": Fault(
        {"dns": "no-srv"},
        "dns",
        AMBER,
        "has no SRV record",
        "carrier.targets",
        also=("tcp", "firewall"),
        address="127.77.0.1",
    ),
    "not offered": Fault({"dns": "not-offered"}, "dns", RED, "offers no SIP over TLS", "carrier.domain"),
    "unresolved": Fault({"dns": "unresolved"}, "dns", RED, "lead to hosts that have no address", "targets"),
    "nothing": Fault({"dns": "nothing"}, "dns", RED, "DNS knows no server", "carrier.domain"),
    "no domain": Fault({"dns": "nxdomain"}, "dns", RED, "DNS knows no server", "carrier.domain"),
    "name server fails": Fault({"dns": "servfail"}, "dns", RED, "SERVFAIL", "dns.servers"),
    "name server refuses": Fault({"dns": "refused"}, "dns", RED, "refused", "dns.servers"),
    "name server silent": Fault(
        {"dns": "silent"}, "dns", RED, "no answer", "dns.servers", also=("firewall",)
    ),
    "no TTL": Fault({"ttl": "0"}, "dns", AMBER, "may not be kept", "dns.servers"),
    "TLS 1.0": Fault({"tls": "1.0"}, "tls", RED, "speaks TLSv1 at the best", "TLS 1.2 or later"),
    "TLS 1.1": Fault({"tls": "1.1"}, "tls", RED, "speaks TLSv1.1 at the best", "TLS 1.2 or later"),
    "strange suites": Fault(
        {"tls": "1.2", "ciphers": "ECDHE-RSA-AES128-SHA"},
        "tls",
        RED,
        "none of our cipher suites",
        "at the carrier",
    ),
    "key exchange by RSA": Fault({"key-exchange": "rsa"}, "tls", AMBER, "forward secrecy", "static_rsa"),
    "wildcard": Fault({"certificate": "wildcard"}, "identity", RED, "wildcards prove nothing", "wildcards"),
    "no SAN": Fault({"certificate": "no-san"}, "identity", RED, "no SubjectAltName", "a new certificate"),
    "expires soon": Fault({"certificate": "expires-soon"}, "identity", AMBER, "ends in", "new certificate"),
    "not yet valid": Fault(
        {"certificate": "not-yet-valid"}, "identity", RED, "holds from", "clock of this", also=("clock",)
    ),
    "self-signed": Fault({"certificate": "self-signed"}, "identity", RED, "signed itself", "tls.ca_file"),
    "weak key": Fault({"certificate": "weak-key"}, "identity", RED, "1024 bits", "a new certificate"),
    "client only": Fault({"certificate": "client-only"}, "identity", RED, "for servers", "new certificate"),
    "closed after the handshake": Fault(
        {"cut-on": "handshake", "cut-how": "close"}, "tls", RED, "right after the handshake", "at the carrier"
    ),
    "reset after the handshake": Fault(
        {"cut-on": "handshake", "cut-how": "reset"}, "tls", RED, "right after the handshake", "at the carrier"
    ),
    "closed when registered": Fault(
        {"cut-on": "registration", "cut-how": "close"},
        "connection",
        AMBER,
        "soon after it was used",
        "carrier",
    ),
    "reset when registered": Fault(
        {"cut-on": "registration", "cut-how": "reset"},
        "connection",
        AMBER,
        "soon after it was used",
        "carrier",
    ),
    "half-closed when registered": Fault(
        {"cut-on": "registration", "cut-how": "half-close"}, "connection", AMBER, "soon after", "carrier"
    ),
    "swallowed when registered": Fault(
        {"cut-on": "registration", "cut-how": "swallow"}, "connection", AMBER, "nothing comes back", "forget"
    ),
    "closed when idle": Fault({"idle": "0.4"}, "connection", AMBER, "soon after", "at the carrier"),
    "stale nonces": Fault({"nonce": "stale"}, "register", RED, "calls each nonce stale", "digest challenges"),
    "refused nonces": Fault(
        {"nonce": "refused"}, "register", RED, "does not accept user name and password", "password_file"
    ),
    "account closed": Fault({"registration": "403"}, "register", RED, "forbids", "password_file"),
    "account unknown": Fault({"registration": "404"}, "register", RED, "does not know", "username"),
    "registrar busy": Fault(
        {"registration": "503", "retry-after": "30"}, "register", RED, "(503)", "after the 30 s asked for"
    ),
    "no SRTP": Fault({"srtp": "off"}, "media", RED, "is SRTP on for the account", "media.suites", call=_TONE),
    "no channel": Fault({"channels": "0"}, "media", RED, "takes no more calls", "limits.calls", call=_TONE),
    "busy": Fault({}, "media", RED, "was not answered", "another number", call="+442079460003"),
    "not in use": Fault({}, "media", RED, "knows no number", "number_form", call="+442079460009"),
    "revoked": Fault({"ocsp": "revoked"}, "identity", RED, "was revoked", "a new certificate"),
    "revoked, stapled": Fault(
        {"ocsp": "revoked", "staple": "on"}, "identity", RED, "was revoked", "a new certificate"
    ),
    "OCSP unknown": Fault({"ocsp": "unknown"}, "identity", AMBER, "Nobody has told", "OCSP responder"),
    "OCSP silent": Fault({"ocsp": "silent"}, "identity", AMBER, "Nobody has told", "OCSP responder"),
    "OCSP old": Fault({"ocsp": "old"}, "identity", AMBER, "Nobody has told", "OCSP responder"),
    "OCSP of a stranger": Fault({"ocsp": "stranger"}, "identity", AMBER, "Nobody has told", "OCSP responder"),
    "OCSP busy": Fault({"ocsp": "try-later"}, "identity", AMBER, "Nobody has told", "OCSP responder"),
    "OCSP silent, hard": Fault(
        {"ocsp": "silent"},
        "identity",
        RED,
        "Nobody proves",
        "carrier.tls.revocation",
        tls='revocation = "hard"',
    ),
    "nobody to ask, hard": Fault(
        {"ocsp": "no-url"},
        "identity",
        RED,
        "Nobody proves",
        "carrier.tls.revocation",
        tls='revocation = "hard"',
    ),
    "not asked": Fault(
        {}, "identity", AMBER, "is not asked", "carrier.tls.revocation", tls='revocation = "off"'
    ),
    "must staple": Fault(
        {"certificate": "must-staple"}, "identity", RED, "staples an OCSP answer", "stapling"
    ),
    "CA revoked": Fault({"ocsp": "ca-revoked"}, "identity", RED, "intermediate", "a new certificate"),
    "NAT": Fault(
        {"seen-at": "198.51.100.7:6000", "expires": "3600"},
        "nat",
        AMBER,
        "sees us at 198.51.100.7",
        "advertise",
    ),
    "ALG": Fault({"alg": "on"}, "nat", RED, "rewrites SIP", "SIP ALG off", also=("register",)),
    "clock": Fault({"clock": "600"}, "clock", AMBER, "10 min behind", "NTP"),
    "wrong clock": Fault({"clock": "-7200"}, "clock", AMBER, "2 h before", "NTP"),
    "no credit": Fault({"credit": "empty"}, "media", RED, "No credit", "credit of", call=_TONE),
    "forbidden": Fault({"invitation": "403"}, "media", RED, "forbids the call", "from_user", call=_TONE),
    "other codecs": Fault({"codecs": "G729"}, "media", RED, "neither our codecs", "suites", call=_TONE),
    "other form": Fault({"number-forms": "bare"}, "media", RED, "knows no number", "number_form", call=_TONE),
    "mediasec": Fault({"mediasec": "on"}, "register", RED, "security agreement", "mediasec"),
    "Contact by name": Fault(
        {"contact-host": "other.example"}, "register", RED, "does not take our Contact", "carrier.contact"
    ),
}
"""What can be wrong with the lab, and with what is configured for it."""


_AT_ONCE = 16
"""Doctors at work: they wait most of their time."""


class FaultTests(DoctorCase):
    """The faults, by the examination that finds them; several at once, each with a lab of its own."""

    skip = InteropCase.skip
    timeout = 90

    async def named(self, examination: str) -> None:
        """Each fault of C{examination}, and nothing else that is not there."""
        faults = {name: each for name, each in FAULTS.items() if each.examination == examination}
        self.assertTrue(faults)
        labs = {name: self.faulty(number, each) for number, (name, each) in enumerate(faults.items())}
        room = DeferredSemaphore(_AT_ONCE)

        def check(name: str) -> Deferred[str]:
            return Deferred.fromCoroutine(self.wrong(faults[name], labs[name]))

        try:
            found: Sequence[str] = await gatherResults([room.run(check, name) for name in faults])
        finally:
            await gatherResults([lab.stopService() for lab in labs.values()])
        wrong = [f"{name}: {text}" for name, text in zip(faults, found, strict=True) if text]
        self.assertEqual(wrong, [])

    def faulty(self, number: int, fault: Fault) -> Lab:
        """A lab with C{fault}, and a directory of its own."""
        directory = self.directory / str(number)
        settings = replace(self.healthy(), address=fault.address, directory=directory)
        return self.started(changed(settings, parsed(fault.switches)))

    async def wrong(self, fault: Fault, lab: Lab) -> str:
        """What is not said as it should be; empty if all is."""
        configuration = self.configuration(lab, account=fault.account, password=fault.password, tls=fault.tls)
        findings = await self.examined(configuration, fault.call)
        bad = [each for each in findings if each.severity.status]
        named = [each for each in bad if each.examination == fault.examination]
        found = "\n".join(map(str, bad))
        if not named:
            return f"not found: {found}"
        if fault.sentence not in named[0].sentence or fault.setting not in named[0].setting:
            return f"named wrongly: {found}"
        if named[0].severity is not fault.severity:
            return f"not {fault.severity}: {found}"
        others = {each.examination for each in bad} - {fault.examination}
        return "" if others == set(fault.also) else f"more, or less, than {fault.also}: {found}"

    async def test_dns(self) -> None:
        """Names."""
        await self.named("dns")

    async def test_tcp(self) -> None:
        """Nodes that cannot be reached."""
        await self.named("tcp")

    async def test_tls(self) -> None:
        """Handshakes."""
        await self.named("tls")

    async def test_identity(self) -> None:
        """Certificates."""
        await self.named("identity")

    async def test_register(self) -> None:
        """Accounts and registrars."""
        await self.named("register")

    async def test_nat(self) -> None:
        """Routers in between."""
        await self.named("nat")

    async def test_clock(self) -> None:
        """Clocks that differ."""
        await self.named("clock")

    async def test_media(self) -> None:
        """Calls that come to nothing."""
        await self.named("media")

    async def test_connection(self) -> None:
        """Connections that do not stay."""
        await self.named("connection")

    def test_all(self) -> None:
        """No fault is left out."""
        methods = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual({each.examination for each in FAULTS.values()} - methods, set())


class KamailioTests(CallCase):
    """A registrar that is not ours."""

    def doctor(self) -> dict[str, Any]:
        """The JSON of the trunk's only carrier."""
        done = self.trunk.tool("doctor", "--json")
        self.assertNotIn(TRUNK_PASSWORD, done.stdout + done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)["trunks"]["skype"]
        self.assertEqual((done.returncode, found["verdict"]), (0, "green"), done.stdout)
        return found

    def test_running(self) -> None:
        """Green beside a trunk that runs, and that is still registered, and called, afterwards."""
        self.stage()
        found = self.doctor()
        self.assertTrue(found["running"])
        self.assertEqual(self.carrier.registered().count(USER), 1)
        self.callBob()
        self.pbx.hangUp()
        self.bothClosed()

    def test_alone(self) -> None:
        """Green where no trunk runs; nothing is registered afterwards, and goodbye was said."""
        authority = Authority(self.scratch)
        self.carrier = self.started(
            Kamailio(self.scratch, authority.issue("server"), {USER: TRUNK_PASSWORD}, {})
        )
        target = f"{self.carrier.address}:{self.carrier.port}"
        self.trunk = Trunk(self.scratch, ("127.0.0.1", 5999), caFile=authority.file, targets=[target])
        found = self.doctor()
        self.assertFalse(found["running"])
        self.assertGreater(found["registration"]["granted"], 60)
        self.assertEqual(self.carrier.registered(), [])
        marks = {step["number"]: step["mark"] for step in found["tls"][0]["steps"]}
        self.assertEqual((marks[1], marks[14]), ("seen", "seen"))
        # Kamailio answers close_notify with the end of TCP alone.
        self.assertIn(marks[15], ("seen", "ours only"))
