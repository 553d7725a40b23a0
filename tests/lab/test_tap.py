"""The command line of the practice carrier."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import skypetrunk
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.lab.switches import SWITCHES
from skypetrunk.lab.tap import Options, makeLab, makeService, snippet, writeKey
from skypetrunk.service.config import LONGEST_SOCKET, loadConfiguration
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.wire.secret import Secret


class OptionsTests(SynchronousTestCase):
    """Options and their values."""

    def service(self, *arguments: str) -> Lab:
        """What a command line makes."""
        options = Options()
        options.parseOptions(["-d", self.mktemp(), *arguments])
        return makeLab(options)

    def test_defaults(self) -> None:
        """Without options it is the carrier of the datasheet: SRTP required, everything challenged."""
        lab = self.service()
        carrier = lab.settings.carrier
        self.assertEqual((lab.settings.port, lab.settings.address), (5061, "127.0.0.1"))
        self.assertEqual((carrier.domain, carrier.srtp.mode), ("sip.skype.com", "required"))
        self.assertEqual((carrier.authentication, carrier.challengeAll), ("registration", True))
        self.assertEqual((carrier.granted, carrier.strictFrom, carrier.maddr), (None, True, True))
        self.assertEqual(carrier.srtp, CarrierSettings({}).srtp)

    def test_password(self) -> None:
        """Made up once, in a file only its owner reads, and kept; or read from a file."""
        first = self.service("-u", "42").settings
        path = first.directory / "password"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(first.carrier.accounts["42"], Secret(path.read_text()))
        self.assertEqual(len(path.read_text()), 14)
        self.assertNotIn(path.read_text(), repr(first))
        again = self.service("-d", str(first.directory), "-u", "42").settings.carrier
        self.assertEqual(again.accounts, first.carrier.accounts)
        own = Path(self.mktemp())
        own.write_text("mine\n")
        self.assertEqual(
            self.service("-u", "42", "--password-file", str(own)).settings.carrier.accounts["42"],
            Secret("mine"),
        )

    def test_switches(self) -> None:
        """Every switch arrives, from the command line and from a file; the command line has the last word."""
        path = Path(self.mktemp())
        path.write_text(
            'suites = ["32"]\nqop = false\nexpires = 3600\ndelay = 0.5\n'
            'srtp = "optional"\ncertificate = "expired"'
        )
        lab = self.service(
            *("-s", str(path), "certificate=wrong-name", "nodes=dead,good", "algorithms=SHA-256,MD5"),
            *("challenge=some", "challenge-status=401", "from-check=lax", "contact=plain", "tls=1.0"),
        ).settings
        carrier = lab.carrier
        self.assertEqual((carrier.srtp.mode, carrier.srtp.suites), ("optional", ("AES_CM_128_HMAC_SHA1_32",)))
        self.assertEqual((carrier.algorithms, carrier.qop), (("SHA-256", "MD5"), False))
        self.assertEqual(carrier.granted, 3600)
        self.assertEqual((carrier.challengeAll, carrier.proxyChallenge), (False, False))
        self.assertEqual((carrier.strictFrom, carrier.maddr), (False, False))
        self.assertEqual((lab.tls, lab.fault, lab.delay), ("1.0", "wrong-name", 0.5))
        self.assertEqual(lab.nodes, ("dead", "good"))

    def test_mistakes(self) -> None:
        """All mistakes at once, one line each, status 2."""
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            stopped = self.assertRaises(
                SystemExit,
                self.service,
                *("--port=70000", "--dns-port=x", "srtp=x", "suites=80,99", "zebra=0", "cut=reset"),
            )
        self.assertEqual(stopped.code, 2)
        lines = told.getvalue().splitlines()
        self.assertEqual(len(lines), 6)
        self.assertIn("skypetrunk-lab: --port: 70000 is no port", lines)
        self.assertIn("skypetrunk-lab: --dns-port: x is no port", lines)
        modes = "required or optional or opportunistic or off or never"
        self.assertIn(f"skypetrunk-lab: srtp: 'x' is not {modes}", lines)
        for words in (["srtp"], ["-s", "/nowhere/at/all"], ["srtp=off", "--port=0"]):
            with contextlib.redirect_stderr(io.StringIO()) as told:
                self.assertRaises(SystemExit, self.service, *words)
            self.assertEqual(told.getvalue().count("\n"), 1)
        self.assertEqual(told.getvalue(), "skypetrunk-lab: --port=0: options stand before the switches\n")

    def test_nobody(self) -> None:
        """A domain, account or password that can be none is told at once, in a line."""
        for option, value, told in (
            ("--domain", "a b", "'a b' is no domain name"),
            ("--domain", "", "'' is no domain name"),
            ("--account", "a@b", "'a@b' is no account"),
            ("--account", "", "'' is no account"),
        ):
            with contextlib.redirect_stderr(io.StringIO()) as err:
                stopped = self.assertRaises(SystemExit, self.service, option, value)
            self.assertEqual((stopped.code, err.getvalue()), (2, f"skypetrunk-lab: {option}: {told}\n"))
        path = Path(self.mktemp()).absolute()
        for content, told in (
            (b"", "is empty"),
            (b"a\nb\n", "holds more than one line of text"),
            (b"\xff\n", "is not UTF-8 text"),
        ):
            path.write_bytes(content)
            with contextlib.redirect_stderr(io.StringIO()) as err:
                stopped = self.assertRaises(SystemExit, self.service, "--password-file", str(path))
            self.assertEqual((stopped.code, err.getvalue()), (1, f"skypetrunk-lab: {path} {told}\n"))

    def test_listInPart(self) -> None:
        """Who reads the first lines alone ends it without a traceback."""
        root = Path(skypetrunk.__file__).parent.parent
        listing = "from skypetrunk.lab.tap import Options; Options().parseOptions(['--list'])"
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [sys.executable, "-c", listing],
                stdout=writing,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(root)},
                timeout=60,
            )
        finally:
            os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (141, b""))

    def test_list(self) -> None:
        """Every switch is listed, with its default."""
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            self.assertRaises(SystemExit, self.service, "--list")
        for switch in SWITCHES:
            self.assertIn(f"  {switch.name} = {switch.default}\n", told.getvalue())

    def test_portInUse(self) -> None:
        """One line, status 1: nothing was started that would have to be stopped."""
        with socket.socket() as taken, contextlib.redirect_stderr(io.StringIO()) as told:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            options = Options()
            port = str(taken.getsockname()[1])
            options.parseOptions(["-d", self.mktemp(), "--dns-port=0", "--control=x", "--port", port])
            stopped = self.assertRaises(SystemExit, makeService, options)
        self.assertEqual(stopped.code, 1)
        self.assertRegex(told.getvalue(), rf"^skypetrunk-lab: cannot listen on 127\.0\.0\.1:{port}: .*in use")
        self.assertEqual(told.getvalue().count("\n"), 1)

    def test_secondInDirectory(self) -> None:
        """Where a lab runs a second one gives up before it has touched a file: one line, status 1."""
        with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as running:
            path = Path(name) / "control.sock"
            running.bind(str(path))
            running.listen()
            (Path(name) / "ca.pem").write_text("of the one that runs")
            options = Options()
            options.parseOptions(["-d", name, "--dns-port=0", "--port=0"])
            with contextlib.redirect_stderr(io.StringIO()) as told:
                stopped = self.assertRaises(SystemExit, makeService, options)
            self.assertEqual(stopped.code, 1)
            said = f"skypetrunk-lab: cannot listen on {path}: Address already in use\n"
            self.assertEqual(told.getvalue(), said)
            self.assertEqual((Path(name) / "ca.pem").read_text(), "of the one that runs")
            self.assertFalse((Path(name) / "client.key").exists())

    def test_noDirectory(self) -> None:
        """A control socket where there is no directory: its path as it was given, in one line."""
        options = Options()
        where = Path(self.mktemp()).absolute() / "none" / "x"
        options.parseOptions(["-d", self.mktemp(), "--dns-port=0", "--port=0", "--control", str(where)])
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertRaises(SystemExit, makeService, options)
        self.assertRegex(told.getvalue(), rf"^skypetrunk-lab: cannot listen on {where}: [^\n]+\n$")

    def test_help(self) -> None:
        """Every option is explained, and every test number."""
        text = str(Options())
        for option in Options.optParameters:
            self.assertIn(f"--{option[0]}", text)
        self.assertEqual(text.count("+44207946000"), 9)


class SnippetTests(SynchronousTestCase):
    """What is printed for trunk.toml."""

    def taken(self, srtp: SRTPPolicy | None = None, **settings: Any) -> TrunkConfiguration:
        """The trunk that the trunk's own configuration reader makes of it, without a warning."""
        directory = Path(self.mktemp()).absolute() / 'a "b"\\c'
        directory.mkdir(parents=True)
        password = directory / "password"
        password.write_text("marker")
        password.chmod(0o600)
        carrier = CarrierSettings({"42": Secret("marker")}, srtp=srtp or SRTPPolicy())
        lab = Lab(Clock(), LabSettings(carrier, directory, **settings))
        writeKey(lab.settings)
        lab.caFile.write_bytes(lab.authority.rootPEM)
        lab.credentials.issueClient(lab.settings)
        path = directory / "trunk.toml"
        path.write_text(snippet(lab, password, "42"))
        self.assertNotIn("marker", path.read_text())
        configuration, warnings = loadConfiguration(path, {})
        self.assertEqual(list(warnings), [])
        [trunk] = configuration.trunks
        self.assertEqual(trunk.domain, "sip.skype.com")
        # As long as a path may be: "skypetrunk status" finds the trunk.
        socket = directory / "trunk.sock"
        long = len(os.fsencode(socket)) > LONGEST_SOCKET
        self.assertEqual(configuration.control.socket, None if long else socket)
        return trunk

    def test_accepted(self) -> None:
        """By default there is no certificate of its own, and no port for the carrier."""
        trunk = self.taken()
        self.assertEqual((trunk.tls.certificate, trunk.inbound), (None, None))

    def test_certificate(self) -> None:
        """Where it is asked for, it is the one that the lab issued."""
        certificate = self.taken(clientCertificate="required").tls.certificate
        assert certificate is not None
        self.assertEqual(certificate.name, "client.pem")

    def test_callsIn(self) -> None:
        """Where the carrier calls in, the trunk listens."""
        inbound = self.taken(callIn="trunk.example", callInAt="127.0.0.1:5071").inbound
        assert inbound is not None
        self.assertEqual(
            ([str(each) for each in inbound.listen], inbound.name), (["tls:127.0.0.1:5071"], "trunk.example")
        )

    def test_mikey(self) -> None:
        """Where keys are agreed by MIKEY, so they are by the trunk, with the same pre-shared key."""
        self.assertEqual(self.taken().media.keys, "sdes")
        media = self.taken(SRTPPolicy(keys="mikey")).media
        self.assertEqual((media.keys, media.mikeyKey), ("mikey", None))
        key = Secret("00112233445566778899aabbccddeeff")
        media = self.taken(SRTPPolicy(keys="mikey", mikeyKey=key)).media
        self.assertEqual((media.keys, media.mikeyKey), ("mikey", key))
