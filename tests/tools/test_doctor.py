"""C{skypetrunk doctor} against the practice carrier: green where it is well, and each fault by name."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import skypetrunk
from skypetrunk.lab.authority import writePrivately
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.lab.switches import changed, parsed
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.trunk import Skypetrunk
from skypetrunk.tools.doctor import diagnose, steady
from skypetrunk.tools.doctor.document import document
from skypetrunk.tools.doctor.finding import Finding, Severity, worst
from skypetrunk.tools.terminal import Terminal
from skypetrunk.wire.secret import Secret

_ACCOUNT = "99051000000001"
_PASSWORD = "hunter2-MARKER"
_HOST = "127.0.0.1"

_PIN = f'pins = ["sha256/{"A" * 43}="]'
"""Of a key that nobody has."""

_TRUNK = """\
[[trunk]]
name = "carrier"
profile = "skype-connect"
username = "{account}"
password_file = "password"

[trunk.tls]
ca_file = "ca.pem"
{tls}

[[pbx]]
name = "pbx"
listen = ["udp:127.0.0.1:{listen}"]
address = "udp:127.0.0.1:5070"

[media]
address = "127.0.0.1"

[dns]
servers = ["127.0.0.1:{dns}"]

[numbers]
country = "GB"
"""


class _Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class DoctorCase(TestCase):
    """
    Has a lab, and a trunk for it.

    @ivar directory: where the configuration is.
    """

    timeout = 60

    def setUp(self) -> None:
        """The directory."""
        self.directory = Path(tempfile.mkdtemp(prefix="doctor-"))
        self.addCleanup(shutil.rmtree, self.directory)
        # Long enough for the one fault that it is for.
        self.patch(steady, "HELD", 0.05)

    def lab(self, settings: LabSettings | None = None, **changes: Any) -> Lab:
        """A lab that runs until the test ends."""
        lab = Lab(reactor, replace(settings or self.healthy(), **changes))
        lab.listen()
        lab.startService()
        self.addCleanup(lab.stopService)
        return lab

    def healthy(self, **changes: Any) -> LabSettings:
        """Settings of a lab that is well; C{changes} are those of its carrier."""
        carrier = CarrierSettings({_ACCOUNT: Secret(_PASSWORD)}, **changes)
        return LabSettings(carrier, self.directory, port=0, dnsPort=0)

    def configuration(
        self, lab: Lab, *, account: str = _ACCOUNT, password: str = _PASSWORD, tls: str = ""
    ) -> Configuration:
        """The trunk for C{lab}."""
        writePrivately(self.directory / "password", password.encode())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((_HOST, 0))
            listen = probe.getsockname()[1]
        text = _TRUNK.format(account=account, listen=listen, dns=lab.names.port, tls=tls)
        path = self.directory / "trunk.toml"
        writePrivately(path, text.encode())
        return loadConfiguration(path, {})[0]

    async def examined(self, configuration: Configuration, number: str | None = None) -> Sequence[Finding]:
        """What the doctor finds."""
        (self.patient, findings), *_ = await diagnose(
            reactor, configuration, configuration.trunks, None, number
        )
        text = json.dumps(document([(self.patient, findings)], "1"))
        self.assertNotIn(_PASSWORD, text + repr(findings))
        return findings


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
    @ivar also: other examinations that are not green because of it.
    """

    switches: dict[str, str]
    examination: str
    severity: Severity
    sentence: str
    setting: str
    account: str = _ACCOUNT
    password: str = _PASSWORD
    tls: str = ""
    also: tuple[str, ...] = ()


RED, AMBER = Severity.RED, Severity.AMBER

FAULTS = {
    "dead node": Fault({"nodes": "dead,good"}, "tcp", AMBER, "refuses connections", "firewall: TCP"),
    "wrong name": Fault(
        {"certificate": "wrong-name"}, "identity", RED, "is that of other.example", "trunk.carrier.domain"
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
        tls=_PIN,
    ),
    "another key, reported": Fault(
        {},
        "identity",
        AMBER,
        "only reported",
        "trunk.carrier.tls.pins",
        tls=f'{_PIN}\npins_mode = "report"',
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
        {"tls": "1.2", "ciphers": "AES128-SHA"}, "tls", AMBER, "without forward secrecy", "static_rsa"
    ),
    "wrong password": Fault(
        {}, "register", RED, "the password is wrong, or", "trunk.carrier.password_file", password="another"
    ),
    "wrong account": Fault({}, "register", RED, "forbids alice", "carrier.password_file", account="alice"),
    "45 seconds": Fault({"expires": "45"}, "register", AMBER, "45 s only", "a public address"),
    "423": Fault(
        {"minimum-expires": "7200"}, "register", AMBER, "too short", "expires of the profile skype-connect"
    ),
}
"""What can be wrong with the lab, and with what is configured for it."""


class HealthyTests(DoctorCase):
    """A lab that is well."""

    async def test_green(self) -> None:
        """All green, in less than five seconds; the registration is gone afterwards."""
        lab = self.lab()
        configuration = self.configuration(lab)
        began = reactor.seconds()
        findings = await self.examined(configuration)
        self.assertLess(reactor.seconds() - began, 5.0)
        self.assertEqual(worst(findings), Severity.GREEN)
        skipped = [each.examination for each in findings if each.severity is Severity.SKIPPED]
        self.assertEqual(skipped, ["own", "media"])
        self.assertEqual(lab.carrier.registrar.bindings(), ())
        record = self.patient.attempts[0].record
        assert record is not None
        marks = {step.number: step.mark for step in record.steps}
        self.assertEqual((marks[14], marks[15]), ("seen", "seen"))

    async def test_running(self) -> None:
        """The registration of a trunk that runs already stays; the password is checked all the same."""
        lab = self.lab()
        configuration = self.configuration(lab)
        trunk = Skypetrunk(configuration, reactor)
        trunk.listen()
        trunk.startService()
        self.addCleanup(trunk.stopService)
        await lab.carrier.whenRegistered()
        (before,) = lab.carrier.registrar.bindings()
        findings = await self.examined(configuration)
        self.assertEqual(worst(findings), Severity.GREEN)
        (found,) = (each for each in findings if each.examination == "register")
        self.assertIn("The running trunk keeps its registration", found.sentence)
        self.assertEqual(lab.carrier.registrar.bindings(), (before,))

    async def test_call(self) -> None:
        """A number with an echo: packets both ways, counted at both ends."""
        lab = self.lab()
        findings = await self.examined(self.configuration(lab), "+442079460001")
        (found,) = (each for each in findings if each.examination == "media")
        self.assertEqual(found.severity, Severity.GREEN, found)
        self.assertIn("our tone came back", found.sentence)
        (call,) = lab.carrier.finished
        assert call.session is not None
        heard = call.session.statistics().received
        self.assertGreater(heard.authenticated, 100)
        self.assertEqual(heard.refused, ())

    async def test_callWithoutSRTP(self) -> None:
        """A carrier that answers without SRTP is named so."""
        lab = self.lab()
        findings = await self.examined(self.configuration(lab), "+442079460006")
        (found,) = (each for each in findings if each.examination == "media")
        self.assertEqual(found.severity, Severity.RED)
        self.assertIn("without SRTP", found.sentence)


class OutputTests(DoctorCase):
    """What is printed."""

    async def test_lines(self) -> None:
        """No line is wider than 100 columns; where nobody sees colours, there are none."""
        lab = self.lab(fault="expired")
        configuration = self.configuration(lab)
        for colour in (False, True):
            stream = _Screen() if colour else io.StringIO()
            terminal = Terminal(stream, {"TERM": "xterm"})
            await diagnose(reactor, configuration, configuration.trunks, terminal)
            text = stream.getvalue()
            self.assertEqual("\x1b[31m" in text, colour)
            self.assertEqual("\x1b" in text, colour)
            self.assertNotIn(_PASSWORD, text)
            for line in re.sub(r"\x1b\[\d*[mK]|.*\r", "", text).splitlines():
                self.assertLessEqual(len(line), 100, line)
            self.assertIn("Reading certificates\n", text)
            self.assertIn("change at the carrier: a new certificate", text)

    async def command(self, *options: str) -> tuple[int, str, str]:
        """Run the command itself: status, output and errors."""
        environ = {**os.environ, "PYTHONPATH": str(Path(skypetrunk.__file__).parent.parent)}
        program = ["-m", "skypetrunk.tools.main", "doctor", "--config", str(self.directory / "trunk.toml")]
        out, err, status = await getProcessOutputAndValue(sys.executable, [*program, *options], environ)
        return status, out.decode(), err.decode()

    async def test_status(self) -> None:
        """0, 1 and 2; the JSON is one object that says the same."""
        lab = self.lab()
        self.configuration(lab)
        status, out, err = await self.command()
        self.assertEqual((status, err), (0, ""), out)
        self.assertTrue(out.endswith("10 green: all is well\n\n") or "+ green" in out, out)
        for tls, wanted, verdict in (("report", 1, "amber"), ("enforce", 2, "red")):
            self.configuration(lab, tls=f'{_PIN}\npins_mode = "{tls}"')
            status, out, err = await self.command("--json")
            found = json.loads(out)
            self.assertEqual((status, found["verdict"]), (wanted, verdict), out)
            self.assertEqual(found["trunks"]["carrier"]["tls"][0]["steps"][0]["name"], "Client Hello")
            self.assertIn("only one pin", err)

    async def test_mistakes(self) -> None:
        """A trunk that is not there, and an emergency number."""
        self.configuration(self.lab())
        status, out, err = await self.command("--trunk", "other")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("there is no other in", err)
        status, out, err = await self.command("--call", "9 9 9")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("emergency number", err)


class FaultTests(DoctorCase):
    """Each fault; the methods are made from L{FAULTS}."""

    async def check(self, fault: Fault) -> None:
        """The doctor names C{fault}, and nothing else that is not there."""
        lab = self.lab(changed(self.healthy(), parsed(fault.switches)))
        configuration = self.configuration(lab, account=fault.account, password=fault.password, tls=fault.tls)
        findings = await self.examined(configuration)
        wrong = [each for each in findings if each.severity.status]
        named = [each for each in wrong if each.examination == fault.examination]
        self.assertTrue(named, findings)
        text = "\n".join(map(str, wrong))
        self.assertIn(fault.sentence, named[0].sentence, text)
        self.assertIn(fault.setting, named[0].setting, text)
        self.assertEqual(worst(findings), fault.severity, text)
        self.assertEqual({each.examination for each in wrong} - {fault.examination}, set(fault.also), text)


def _method(fault: Fault) -> Callable[[FaultTests], Any]:
    async def test(self: FaultTests) -> None:
        await self.check(fault)

    return test


for _name, _fault in FAULTS.items():
    _title = "".join(word.strip(",.").capitalize() for word in _name.replace(".", "").split())
    setattr(FaultTests, f"test_{_title[0].lower()}{_title[1:]}", _method(_fault))
