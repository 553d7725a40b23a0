"""C{skypetrunk init --profile}: each profile becomes a configuration that C{skypetrunk check} accepts."""

from __future__ import annotations

import builtins
import io
import sys
from pathlib import Path

from skypetrunk.profiles import loadProfile, profileNames
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.tools import init
from skypetrunk.tools import main as command
from tests.service.configurations import MARKER, keyPEM, makeCertificate
from tests.tools.test_tools import ToolTestCase, _Terminal


class ProfileTests(ToolTestCase):
    """All that come with the package."""

    OFFICE = ("--pbx", "192.0.2.5:5060", "--listen", "192.0.2.1:5060", "--country", "GB")
    OWN = ("--certificate", "sbc.pem", "--key", "sbc.key")
    CALLED = ("--inbound", "tls:192.0.2.1:5061", "--host-name", "sbc.example.com")

    def setUp(self) -> None:
        """With a certificate of ours."""
        super().setUp()
        certificate, key = makeCertificate("sbc.example.com")
        Path("sbc.pem").write_bytes(certificate)
        Path("sbc.key").write_bytes(keyPEM(key))
        Path("ca.pem").write_bytes(makeCertificate("Root")[0])

    def load(self) -> Configuration:
        """What was written."""
        return loadConfiguration(Path("trunk.toml"), {})[0]

    def test_each(self) -> None:
        """init writes it, check accepts it; what has to be known of the profile is said by both."""
        for name in profileNames():
            profile = loadProfile(name)
            arguments = ["init", "--profile", name, *self.OFFICE, "--force", "--ca-file", "ca.pem"]
            arguments += ["--username", "alice", "--password-file", "-"]
            if profile.domain is None:
                arguments += ["--domain", "trunk.carrier.example"]
            if profile.clientCertificate:
                arguments += self.OWN
            if profile.ownName:
                arguments += self.CALLED
            status, out, err = self.run_(*arguments, stdin=f"{MARKER}\n")
            self.assertEqual((status, err), (0, ""), name)
            self.assertEqual("\nNote: " in out, profile.notice is not None)
            status, checked, err = self.run_("check")
            self.assertEqual((status, err), (0, ""), name)
            if profile.notice is not None:
                self.assertIn(f"Note: {profile.notice}\n", out)
                self.assertIn(f"profile {name}: {profile.notice}\n", checked)
            (trunk,) = self.load().trunks
            self.assertEqual((trunk.profile.name, trunk.media.suites), (name, profile.suites))
            self.assertEqual(trunk.targets, profile.servers)

    def test_retired(self) -> None:
        """Nobody is led to believe that Skype still answers."""
        self.assertIn("retired", loadProfile("skype-connect").notice or "")

    def test_noPassword(self) -> None:
        """A trunk that does not register may be known by its address."""
        arguments = ("init", "--profile", "vonage", "--username", "key", *self.OFFICE)
        self.assertEqual(self.run_(*arguments)[0], 0)
        self.assertIsNone(self.load().trunks[0].password)

    def test_own(self) -> None:
        """What the carrier must know us by is asked for; the account is only a name there."""
        status, _, err = self.run_("init", "--profile", "teams-direct-routing", *self.OFFICE)
        missing = "--certificate, --key, --inbound, --host-name"
        self.assertEqual(status, 2)
        self.assertIn(f"missing: {missing}", err)
        self.patch(init, "systemBundle", lambda: str(Path("ca.pem").absolute()))
        arguments = ("init", "--profile", "teams-direct-routing", *self.OFFICE, *self.OWN, *self.CALLED)
        self.assertEqual(self.run_(*arguments)[::2], (0, ""))
        (trunk,) = self.load().trunks
        assert trunk.inbound is not None and trunk.inbound.files.caFile is not None
        self.assertEqual((trunk.username, trunk.inbound.name), ("trunk", "sbc.example.com"))
        self.assertIsNone(trunk.tls.caFile)
        self.assertEqual(trunk.inbound.files.caFile.name, "ca.pem")

    def test_certificateOnly(self) -> None:
        """A certificate may be given for any carrier, and its place to call in too."""
        account = ("--domain", "c.example", "--username", "alice", "--password-file", "-")
        arguments = ("init", *account, *self.OFFICE)
        self.assertEqual(self.run_(*arguments, *self.OWN, stdin=MARKER)[0], 0)
        (trunk,) = self.load().trunks
        self.assertIsNotNone(trunk.tls.certificate)
        self.assertIsNone(trunk.inbound)
        again = ("--force", "--ca-file", "ca.pem")
        self.assertEqual(self.run_(*arguments, *self.OWN, *self.CALLED, *again, stdin=MARKER)[0], 0)
        self.assertIsNotNone(self.load().trunks[0].inbound)

    def test_questions(self) -> None:
        """Of a trunk that need not register it is asked whether there is a password."""
        answers = iter(["no"])
        for name, stream in (("stdin", _Terminal()), ("stdout", _Terminal()), ("stderr", io.StringIO())):
            self.patch(sys, name, stream)
        asked: list[str] = []

        def answer(question: str) -> str:
            asked.append(question)
            return next(answers)

        self.patch(builtins, "input", answer)
        arguments = ["init", "--profile", "vonage", "--username", "key", *self.OFFICE]
        self.assertEqual(command.run(arguments), 0)
        self.assertEqual(asked, ["Has the account a password [yes/no]: "])
        self.assertIsNone(self.load().trunks[0].password)
