"""
Tests of L{skypetrunk.service.carrier} at a registrar: which address it is told, the password that changes,
and what the status says.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import ICredentials
from skypetrunk.service.instance import instanceURN, machineID
from skypetrunk.service.password_file import WATCH_SECONDS, FileAccount, PasswordWatch
from skypetrunk.testing import RecordingClientUser
from skypetrunk.tools.status import summary
from skypetrunk.wire.digest import makeChallenge, parseCredentials, verify
from skypetrunk.wire.secret import Secret
from tests.core.messages import outgoing
from tests.service.carriernet import CarrierCase


class AddressTests(CarrierCase):
    """Behind a router."""

    router = ("203.0.113.7", 61000)
    profile = "outbound = true"
    instance = "urn:uuid:00000000-0000-5000-8000-000000000001"

    def contact(self) -> str:
        """That of a call."""
        channel = self.trunk.flows.current()
        assert channel is not None
        return str(self.trunk.side.contactFor("account", channel).uri)

    def test_learned(self) -> None:
        """Calls name the address that was registered; that SDP shows another one is said once."""
        self.start()
        self.assertEqual(self.contact(), "sip:account@192.0.2.99:40000;transport=tls")
        with capturedLogs() as logs:
            self.answers(401, ("WWW-Authenticate", makeChallenge("carrier", "n1")))
            self.grants(seconds=60)
            self.assertEqual(self.contact(), "sip:account@203.0.113.7:61000;transport=tls")
            self.network.advance(30)
            self.grants(("Require", "outbound"), seconds=60)
        self.assertEqual(self.contact(), "sip:account@203.0.113.7:61000;transport=tls;ob")
        [warning] = [each for each in logs if each["log_level"] is LogLevel.warn]
        self.assertEqual((warning["seen"], warning["shown"]), ("203.0.113.7", "192.0.2.99"))
        self.assertEqual(self.trunk.status()["seenAt"], "203.0.113.7:61000")
        register = self.requests("REGISTER")[-1]
        self.assertIn(f';reg-id=1;+sip.instance="<{self.instance}>"', register.header("Contact") or "")

    def test_newConnection(self) -> None:
        """The next connection leaves the router by another port."""
        self.test_learned()
        self.connections[0].abort("gone")
        self.network.flush()
        self.network.advance(4)
        self.router = ("203.0.113.7", 61001)
        self.assertEqual(self.contact(), "sip:account@192.0.2.99:40001;transport=tls")
        self.grants()
        self.grants()
        self.assertEqual(self.contact(), "sip:account@203.0.113.7:61001;transport=tls")


class UnregisteredAddressTests(CarrierCase):
    """Behind a router, with a carrier that wants no registration: OPTIONS tells it."""

    profile = "register = false"
    router = ("203.0.113.7", 61000)

    def test_learned(self) -> None:
        """From the second OPTIONS on."""
        self.start()
        with capturedLogs() as logs:
            self.answers(200)
            self.network.advance(60)
            self.answers(200)
        self.assertEqual(
            [str(each.contacts[0].uri) for each in self.requests("OPTIONS")],
            ["sip:account@192.0.2.99:40000;transport=tls", "sip:account@203.0.113.7:61000;transport=tls"],
        )
        self.assertEqual(len([each for each in logs if each["log_level"] is LogLevel.warn]), 1)


class NamedTests(CarrierCase):
    """A name instead, whatever the carrier sees."""

    router = ("203.0.113.7", 61000)
    configured = {"contact": ("sbc.example.com", 5061), "contactLearned": False}  # noqa: RUF012

    def test_named(self) -> None:
        """In the Contact of the registration."""
        self.start()
        self.grants()
        [register] = self.requests("REGISTER")
        self.assertEqual(str(register.contacts[0].uri), "sip:account@sbc.example.com:5061;transport=tls")


class ShortTests(CarrierCase):
    """A registrar that grants as little as there can be."""

    def test_oneSecond(self) -> None:
        """It is asked before that is over: the trunk stays up, though the answer takes a while."""
        self.start()
        self.grants(seconds=1)
        for count in range(2, 5):
            self.network.advance(0.5)
            self.assertEqual(len(self.requests("REGISTER")), count)
            self.network.advance(0.4)
            self.assertTrue(self.trunk.side.up)
            self.grants(seconds=1)
        self.assertTrue(self.trunk.side.up)


class AccountsTests(CarrierCase):
    """Two accounts with one carrier are two trunks."""

    def test_two(self) -> None:
        """Each has a connection and a registration; a call belongs to the one by whose it comes."""
        self.start()
        self.grants()
        self.username = "second"
        second = self._makeTrunk(self.directory)
        second.start()
        self.network.flush()
        self.grants()
        self.assertTrue(self.trunk.side.up and second.side.up)
        self.assertEqual(
            [str(each.toAddress.uri) for each in self.requests("REGISTER")],
            ["sip:account@carrier.example", "sip:second@carrier.example"],
        )
        channel = self.connections[1]
        self.layer.sendRequest(
            outgoing(uri=f"sip:second@{channel.peer.hostPort}"), channel, RecordingClientUser()
        )
        self.network.flush()
        self.assertEqual((self.trunk.transactions.pending, second.transactions.pending), (0, 1))
        stopped = Deferred.fromCoroutine(second.stop())
        self.network.flush()
        self.grants(seconds=0)
        self.successResultOf(stopped)
        self.assertEqual((self.trunk.side.up, second.side.up), (True, False))


class PasswordTests(CarrierCase):
    """The password is in a file."""

    def setUp(self) -> None:
        """The trunk starts with what the configuration has read."""
        super().setUp()
        self.file = self.directory / "secret"
        self.file.write_text("s3cret\n")
        self.configured = {"passwordFile": self.file}
        self.trunk = self._makeTrunk(self.directory)
        self.start()

    def challenge(self, nonce: str) -> None:
        """The carrier wants proof."""
        self.answers(401, ("WWW-Authenticate", makeChallenge("carrier", nonce)))

    def assertProves(self, password: str) -> None:
        """The last REGISTER was made with it."""
        credentials = parseCredentials(self.requests("REGISTER")[-1].header("Authorization") or "")
        self.assertTrue(verify(credentials, Secret(password), "REGISTER"))

    def test_refresh(self) -> None:
        """Changed in time: the next refresh takes it, and the trunk was up all the time."""
        self.challenge("n1")
        self.grants(seconds=60)
        self.file.write_text("changed\n")
        self.network.advance(30)
        self.assertProves("s3cret")
        self.challenge("n2")
        self.assertProves("changed")
        self.assertTrue(self.trunk.side.up)
        self.grants(seconds=60)
        self.assertTrue(self.trunk.side.up)

    def test_refused(self) -> None:
        """Changed late: an alarm until then, and a few seconds later it is taken, not after an hour."""
        self.challenge("n1")
        self.answers(403)
        status = self.trunk.status()
        self.assertEqual((status["alarm"], status["retry"], status["up"]), (True, 45, False))
        line = next(iter(summary({"trunks": {"carrier": {**status, "limits": {}}}})))
        self.assertIn("password or permission of account account is wrong; next attempt in 45 s", line)
        self.network.advance(20)
        self.assertEqual(len(self.requests("REGISTER")), 2)
        self.file.write_text("changed\n")
        self.network.advance(WATCH_SECONDS)
        self.assertEqual(len(self.requests("REGISTER")), 3)
        self.challenge("n2")
        self.assertProves("changed")
        self.grants()
        status = self.trunk.status()
        self.assertEqual((status["alarm"], status["retry"], status["up"]), (False, None, True))
        self.file.write_text("once more\n")
        self.network.advance(60)
        self.assertEqual(len(self.requests("REGISTER")), 4)

    def test_stop(self) -> None:
        """Nothing is looked at after the end."""
        self.challenge("n1")
        self.answers(403)
        self.connections[0].abort("gone")
        self.network.flush()
        stopped = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.successResultOf(stopped)
        self.network.advance(60)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class FileTests(SynchronousTestCase):
    """L{FileAccount} and L{PasswordWatch}."""

    def setUp(self) -> None:
        """A file, as it was when the configuration was read."""
        self.path = Path(self.mktemp())
        self.path.write_text("first\n")
        self.account = FileAccount("user", self.path, Secret("first"))

    def assertPassword(self, password: str) -> None:
        """This one is used."""
        self.assertEqual(self.account.find("realm"), ("user", Secret(password)))

    def test_interface(self) -> None:
        """It can stand for any account."""
        self.assertTrue(verifyObject(ICredentials, self.account))

    def test_replaced(self) -> None:
        """Written anew, or another file put in its place within the same tick of the clock."""
        self.assertPassword("first")
        self.path.write_text("second\n")
        self.assertPassword("second")
        before = self.path.stat()
        other = self.path.with_suffix(".new")
        other.write_text("third\n")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(self.path)
        self.assertPassword("third")

    def test_unusable(self) -> None:
        """Missing, empty or no text: the one before is used, that is said once, and nothing is shown."""
        with capturedLogs() as logs:
            for content in (None, b"", b"two\nlines", b"\xff\xfe", b"x" * 513):
                if content is None:
                    self.path.unlink()
                else:
                    self.path.write_bytes(content)
                self.assertPassword("first")
                self.assertPassword("first")
            self.path.write_text("second")
            self.assertPassword("second")
        problems = [each["problem"] for each in logs if each["log_level"] is LogLevel.warn]
        several, binary = "holds more than one line of text", "is not UTF-8 text"
        self.assertEqual(problems, ["No such file or directory", "is empty", several, binary, several])
        self.assertNotIn("second", repr(logs))

    def test_watch(self) -> None:
        """Told once, after the file holds another password; touching it is none."""
        clock, told = Clock(), []
        watch = PasswordWatch(clock, self.account, lambda: told.append(clock.seconds()))
        watch.begin()
        watch.begin()
        self.path.write_text("first\n")
        clock.pump([WATCH_SECONDS] * 3)
        self.assertEqual(told, [])
        self.path.write_text("second\n")
        clock.pump([WATCH_SECONDS] * 3)
        self.assertEqual(told, [4 * WATCH_SECONDS])
        self.assertEqual(clock.getDelayedCalls(), [])
        watch.begin()
        watch.stop()
        self.assertEqual(clock.getDelayedCalls(), [])


class InstanceTests(SynchronousTestCase):
    """L{instanceURN}."""

    def test_same(self) -> None:
        """The same for the same, a UUID, lower case; another one for everything else."""
        arguments = ("machine", Path("/etc/skypetrunk/trunk.toml"), "carrier", "user@carrier.example")
        found = instanceURN(*arguments)
        self.assertEqual(found, instanceURN(*arguments))
        for same in ("/etc/x/../skypetrunk/trunk.toml", os.path.relpath("/etc/skypetrunk/trunk.toml")):
            self.assertEqual(found, instanceURN("machine", Path(same), *arguments[2:]), same)
        self.assertRegex(
            found, r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
        )
        others = {
            instanceURN("other", *arguments[1:]),
            instanceURN("machine", Path("/etc/other.toml"), *arguments[2:]),
            instanceURN(*arguments[:2], "second", arguments[3]),
            instanceURN(*arguments[:3], "other@carrier.example"),
            instanceURN("machine", Path(os.fsdecode(b"/\xff")), *arguments[2:]),
        }
        self.assertEqual(len(others | {found}), 6)

    def test_machine(self) -> None:
        """There is a name in any case."""
        self.assertTrue(machineID())
        self.assertEqual(machineID(), machineID())
