"""C{skypetrunk doctor} against the practice carrier that is well, and what it prints."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import skypetrunk
from skypetrunk.lab.authority import writePrivately
from skypetrunk.service.config import loadConfiguration
from skypetrunk.service.trunk import Skypetrunk
from skypetrunk.tools.doctor import diagnose, media
from skypetrunk.tools.doctor.finding import Severity, worst
from skypetrunk.tools.terminal import Terminal
from tests.tools.doctorcase import PASSWORD, PIN, DoctorCase


class _Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class _Interrupted(ProcessProtocol):
    """
    Sends SIGINT as soon as hands are to be shaken.

    @ivar text: all that was printed.
    """

    def __init__(self, ended: Deferred[int | None]) -> None:
        self._ended = ended
        self.text = ""

    def outReceived(self, data: bytes) -> None:
        """Some lines."""
        before, self.text = self.text, self.text + data.decode()
        if "Connecting" in self.text and "Connecting" not in before:
            assert self.transport is not None
            reactor.callLater(0.3, self.transport.signalProcess, "INT")

    def errReceived(self, data: bytes) -> None:
        """There should be none."""
        self.text += data.decode()

    def processEnded(self, reason: Failure) -> None:
        """It is over."""
        self._ended.callback(getattr(reason.value, "exitCode", None))


class HealthyTests(DoctorCase):
    """A lab that is well."""

    def setUp(self) -> None:
        """Calls are short."""
        super().setUp()
        self.patch(media, "TALK", 1.5)

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
        self.assertGreater(heard.authenticated, 50)
        self.assertEqual(heard.refused, ())

    async def test_clientCertificate(self) -> None:
        """A carrier that wants a certificate, and gets ours: steps 4, 7 and 9 were seen."""
        lab = self.lab(clientCertificate="required", tls="1.2")
        ours = lab.authority.issue("trunk.example.com")
        writePrivately(self.directory / "client.pem", b"".join(ours.chain))
        writePrivately(self.directory / "client.key", ours.key)
        configuration = self.configuration(lab, tls='certificate = "client.pem"\nkey = "client.key"')
        findings = await self.examined(configuration)
        self.assertEqual(worst(findings), Severity.GREEN, findings)
        record = self.patient.attempts[0].record
        assert record is not None
        self.assertEqual([step.mark for step in record.steps if step.number in (4, 7, 9)], ["seen"] * 3)

    async def test_known(self) -> None:
        """A carrier that knows us by our address is sent no REGISTER."""
        lab = self.lab(self.healthy(authentication="ip"))
        (self.directory / "own.toml").write_text(
            'title = "Own"\ndomain = "sip.skype.com"\nregister = false\n'
        )
        configuration = self.configuration(lab)
        path = configuration.path
        path.write_text(path.read_text().replace('"skype-connect"', '"own.toml"'))
        findings = await self.examined(loadConfiguration(path, {})[0])
        self.assertEqual(worst(findings), Severity.GREEN, findings)
        self.assertEqual(self.patient.asked("REGISTER"), [])
        (found,) = (each for each in findings if each.examination == "register")
        self.assertEqual(found.severity, Severity.SKIPPED)

    async def test_callWithoutSRTP(self) -> None:
        """A carrier that answers without SRTP is named so."""
        lab = self.lab()
        findings = await self.examined(self.configuration(lab), "+442079460006")
        (found,) = (each for each in findings if each.examination == "media")
        self.assertEqual(found.severity, Severity.RED)
        self.assertIn("without SRTP", found.sentence)


class ClosingTests(DoctorCase):
    """A server that closes."""

    async def test_whileAsked(self) -> None:
        """After the handshake, while OCSP is still asked: that is no matter of cipher suites."""
        lab = self.lab(cutOn="handshake", ocsp="silent")
        findings = await self.examined(self.configuration(lab))
        (found,) = (each for each in findings if each.examination == "tls")
        self.assertIn("closes the connection right after the handshake", found.sentence)
        self.assertEqual(found.setting, "at the carrier: does it know this account, or this address?")

    async def test_beforeOptions(self) -> None:
        """Before OPTIONS is answered: the carrier has said nothing, least of all that it takes no calls."""
        lab = self.lab(cutOn="registration", cutHow="reset", nodes=("slow",), delay=0.7)
        findings = await self.examined(self.configuration(lab))
        (found,) = (each for each in findings if each.examination == "options")
        self.assertIn("ended before OPTIONS was answered", found.sentence)
        self.assertEqual((found.severity, found.seen), (Severity.AMBER, "none"))


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
            self.assertNotIn(PASSWORD, text)
            for line in re.sub(r"\x1b\[\d*[mK]|.*\r", "", text).splitlines():
                self.assertLessEqual(len(line), 100, line)
            self.assertIn("Reading certificates\n", text)
            self.assertIn("change at the carrier: a new certificate", text)

    async def test_status(self) -> None:
        """0, 1 and 2; the JSON is one object that says the same."""
        lab = self.lab()
        self.configuration(lab)
        status, out, err = await self.ran("doctor")
        self.assertEqual((status, err), (0, ""), out)
        self.assertTrue(out.endswith("11 green: all is well\n\n"), out)
        for tls, wanted, verdict in (("report", 1, "amber"), ("enforce", 2, "red")):
            self.configuration(lab, tls=f'{PIN}\npins_mode = "{tls}"')
            status, out, err = await self.ran("doctor", "--json")
            found = json.loads(out)
            self.assertEqual((status, found["verdict"]), (wanted, verdict), out)
            self.assertEqual(found["trunks"]["carrier"]["tls"][0]["steps"][0]["name"], "Client Hello")
            self.assertIn("only one pin", err)

    async def test_interrupted(self) -> None:
        """A signal ends it in the middle of a handshake, with 130 and without a table."""
        lab = self.lab(nodes=("stuck",))
        self.configuration(lab)
        ended: Deferred[int | None] = Deferred()
        process = _Interrupted(ended)
        environ = {**os.environ, "PYTHONPATH": str(Path(skypetrunk.__file__).parent.parent)}
        program = ["-m", "skypetrunk.tools.main", "doctor", "--config", str(self.directory / "trunk.toml")]
        reactor.spawnProcess(process, sys.executable, [sys.executable, *program], environ)
        self.assertEqual(await ended, 130, process.text)
        self.assertNotIn("calls", process.text)

    async def test_mistakes(self) -> None:
        """A trunk that is not there, and an emergency number."""
        self.configuration(self.lab())
        status, out, err = await self.ran("doctor", "--trunk", "other")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("there is no other in", err)
        status, out, err = await self.ran("doctor", "--call", "9 9 9")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("emergency number", err)
