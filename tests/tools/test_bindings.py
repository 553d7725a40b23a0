"""C{skypetrunk bindings} at the practice carrier, and what the doctor says of others."""

from __future__ import annotations

from twisted.internet import reactor

from skypetrunk.lab import registrar
from skypetrunk.service.config import Configuration
from skypetrunk.service.trunk import Skypetrunk
from skypetrunk.tools.doctor.finding import Severity, worst
from tests.tools.doctorcase import ACCOUNT, DoctorCase

STRANGER = f"sip:{ACCOUNT}@192.0.2.99:5060"
"""Whom the practice carrier lists with C{others=1}."""


class BindingsTests(DoctorCase):
    """Who is registered with the account."""

    def running(self, configuration: Configuration) -> None:
        """A trunk runs until the test ends."""
        trunk = Skypetrunk(configuration, reactor)
        trunk.listen()
        trunk.startService()
        self.addCleanup(trunk.stopService)

    async def test_list(self) -> None:
        """A trunk that runs is told from others, and keeps its registration, which nobody else removes."""
        lab = self.lab(self.healthy(others=1))
        self.running(self.configuration(lab))
        await lab.carrier.whenRegistered()
        (before,) = lab.carrier.registrar.bindings()
        status, out, err = await self.ran("bindings")
        self.assertEqual((status, err), (0, ""))
        first, own, stranger = out.splitlines()
        self.assertEqual(first, f"trunk carrier: 2 bindings of {ACCOUNT} at sip.skype.com")
        self.assertEqual(own.partition(",")[0], f"  {before.contact.uri}")
        self.assertRegex(own, r", \d+ s, this trunk$")
        self.assertEqual(stranger, f"  {STRANGER}, 60 s")
        status, out, err = await self.ran("bindings", "--remove-all")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("stop it first", err)
        self.assertEqual(lab.carrier.registrar.bindings(), (before,))

    async def test_unreadable(self) -> None:
        """What somebody else has registered and nobody can read is told; the trunk is registered."""
        self.patch(registrar, "_STRANGER", "over the\u001b[2Jhills")
        lab = self.lab(self.healthy(others=1))
        configuration = self.configuration(lab)
        self.running(configuration)
        await lab.carrier.whenRegistered()
        status, out, err = await self.ran("bindings")
        self.assertEqual((status, err), (0, ""))
        first, own, stranger = out.splitlines()
        self.assertEqual(first, f"trunk carrier: 2 bindings of {ACCOUNT} at sip.skype.com")
        self.assertRegex(own, r", \d+ s, this trunk$")
        unreadable = f"<sip:{ACCOUNT}@over the\\x1b[2Jhills:5060>;expires=60"
        self.assertEqual(stranger, f"  {unreadable}, which cannot be read")
        (found,) = (
            each for each in await self.examined(configuration) if each.severity is Severity.AMBER
        )
        self.assertIn(f"Another is registered as {ACCOUNT} too", found.sentence)
        self.assertEqual(found.seen, unreadable)

    async def test_removeAll(self) -> None:
        """All of them go: here that of a trunk which nothing tells to be running."""
        lab = self.lab()
        self.running(self.configuration(lab))
        await lab.carrier.whenRegistered()
        known = lab.carrier.registrar
        self.configuration(lab)  # for another port
        status, out, err = await self.ran("bindings", "--remove-all")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.splitlines()[-1], f"all bindings of {ACCOUNT} were removed")
        self.assertIn(f"1 binding of {ACCOUNT}", out)
        self.assertEqual(known.bindings(), ())

    async def test_refused(self) -> None:
        """With a wrong password nothing is told, and who can say why is named."""
        lab = self.lab()
        self.configuration(lab, password="quite another")
        status, out, err = await self.ran("bindings")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("sip.skype.com answers REGISTER with 403: skypetrunk doctor says why", err)

    async def test_mediaSecurity(self) -> None:
        """A carrier that agrees on security with who registers is not asked, and that is said."""
        lab = self.lab(self.healthy(mediasec=True))
        self.configuration(lab)
        path = self.directory / "trunk.toml"
        own = 'title = "Own"\ndomain = "sip.skype.com"\nregister = true\nmediasec = true\n'
        (self.directory / "own.toml").write_text(own)
        path.write_text(path.read_text().replace('"skype-connect"', '"own.toml"'))
        for options in ((), ("--remove-all",)):
            status, out, err = await self.ran("bindings", *options)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, r"^skypetrunk: trunk carrier: not asked: .* \(mediasec\)$")

    async def test_unreachable(self) -> None:
        """What the doctor would say in red."""
        lab = self.lab(fault="expired")
        self.configuration(lab)
        status, out, err = await self.ran("bindings")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^skypetrunk: trunk carrier: The certificate of .* expired on")

    async def test_doctor(self) -> None:
        """Others are amber, with and without a trunk that runs."""
        lab = self.lab(self.healthy(others=2))
        configuration = self.configuration(lab)
        for again in range(2):
            findings = await self.examined(configuration)
            self.assertEqual(worst(findings), Severity.AMBER)
            (found,) = (each for each in findings if each.severity is Severity.AMBER)
            self.assertIn(f"2 others are registered as {ACCOUNT} too", found.sentence)
            self.assertIn(STRANGER, found.seen)
            if not again:
                self.running(configuration)
                await lab.carrier.whenRegistered()
