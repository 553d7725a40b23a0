"""
Tests of when a registration that was refused is tried again: L{skypetrunk.core.retry_lanes}, and with which
password.
"""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.retry_lanes import refusalReason
from skypetrunk.testing import MemoryCredentials
from skypetrunk.wire.digest import parseCredentials, verify
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret
from tests.core.registrationplay import ACCOUNT, PASSWORD, RegistrationCase

NEW = "another-marker"


class ReasonTests(SynchronousTestCase):
    """The registrar's words."""

    def test_words(self) -> None:
        """They are kept, in any script; orders to a terminal, and octets that are no UTF-8, are shown."""
        for said, kept in (
            ("Gesperrt f\u00fcr heute", "Gesperrt f\u00fcr heute"),
            ("Gone\x1b[2J\udcff", r"Gone\x1b[2J\xff"),
            ("", "Forbidden"),
        ):
            reason = refusalReason(Response(403, said, ()), "account", "carrier.example", "")
            self.assertEqual(reason, f"{kept}: password or permission of account account is wrong")


class HoldOffTests(RegistrationCase):
    """A carrier that closes the connection after its refusal."""

    def reconnect(self, peer: str = "tls:192.0.2.1:5061") -> None:
        """The connection is lost, and another one is there."""
        self.registration.channelLost()
        self.channel = self.connection("tls:198.51.100.1:40001", peer)
        self.registration.start(self.channel)

    def test_slowLane(self) -> None:
        """What somebody has to change is not asked at each new connection: the account could be locked."""
        for status in (401, 403, 404):
            self.setUp()
            self.registration.start(self.channel)
            self.answered(status)
            self.assertEqual(self.registration.retryAt, 60)
            self.clock.advance(20)
            self.reconnect("tls:192.0.2.2:5061")
            self.assertSent()
            self.assertEqual(self.observer.events[0], self.observer.events[1])
            self.assertEqual(self.registration.retryAt, 60)
            self.clock.advance(39.9)
            self.assertSent()
            self.clock.advance(0.2)
            self.assertSent("3600")
            self.assertIsNone(self.registration.retryAt)

    def test_retryAfter(self) -> None:
        """Who named a time is not asked before it, over whatever connection; others are."""
        self.registration.start(self.channel)
        self.answered(503, Retry_After="30")
        self.reconnect()
        self.assertSent()
        self.reconnect("tls:192.0.2.2:5061")
        self.answered(200)
        self.assertSent("3600")
        self.reconnect()
        self.assertSent("3600")

    def test_otherFailures(self) -> None:
        """A failure that names no time is forgotten with its connection."""
        self.registration.start(self.channel)
        self.answered(503)
        self.reconnect()
        self.assertSent("3600")

    def test_over(self) -> None:
        """The time is over before there is another connection."""
        self.registration.start(self.channel)
        self.answered(403)
        self.registration.channelLost()
        self.assertNothingLeft()
        self.clock.advance(60)
        self.reconnect()
        self.assertSent("3600")

    def test_endless(self) -> None:
        """A registrar that wants each request another way is given up for a while."""
        self.registration.start(self.channel)
        for seconds in range(3601, 3700):
            if not self.observer.events:
                self.answered(423, Min_Expires=str(seconds))
        self.assertEqual(self.observer.events, [("refused", "Interval Too Brief", 423)])
        self.assertEqual(len(self.channel.requests), 12)


class PasswordTests(RegistrationCase):
    """The password changes at the carrier and in its file, while the trunk runs."""

    def change(self) -> None:
        """From now on there is another password."""
        self.credentials._realms = MemoryCredentials({"carrier": (ACCOUNT.user, NEW)})._realms

    def assertProves(self, request: Request, password: str) -> None:
        """C{request} was made with C{password}."""
        credentials = parseCredentials(request.header("Authorization") or "")
        self.assertTrue(verify(credentials, Secret(password), "REGISTER"))

    def begin(self) -> None:
        """Registered with the old one, and it is time to refresh."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.answered(200, Expires="60")
        self.change()
        self.clock.advance(30)
        self.assertProves(self.last, PASSWORD)

    def test_refresh(self) -> None:
        """Whatever way the registrar refuses the old one, the new one is taken; no registration is lost."""
        for status, nonce in ((401, "n2"), (401, "n1"), (403, None)):
            self.setUp()
            self.begin()
            if nonce is None:
                self.answered(403)
            else:
                self.challenged(nonce)
            if self.last.header("Authorization") is None:
                self.challenged("n3")
            self.assertProves(self.last, NEW)
            self.answered(200, Expires="60")
            self.assertEqual(self.observer.events, [("registered", 60)] * 2, (status, nonce))

    def test_firstUse(self) -> None:
        """Refused at the first use of a nonce, as after nextnonce."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.change()
        self.challenged("n2")
        self.assertIsNone(self.last.header("Authorization"))
        self.challenged("n3")
        self.assertProves(self.last, NEW)

    def test_newOneWrongToo(self) -> None:
        """It is tried once, then slowly."""
        self.begin()
        self.answered(403)
        self.challenged("n3")
        with capturedLogs() as logs:
            self.answered(403)
        self.assertEqual(len(self.channel.requests), 5)
        self.assertEqual(self.observer.events[-1][2], 403)
        self.assertNotIn(NEW, repr(logs))

    def test_sameAsBefore(self) -> None:
        """A 403 with the password that is still there is final."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.answered(403)
        self.assertEqual(len(self.channel.requests), 2)

    def test_whileWaiting(self) -> None:
        """Who says that it changed is believed at once, over a new connection too, and begins anew."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.challenged("n2")
        self.channel.clear()
        self.change()
        self.registration.credentialsChanged()
        self.assertSent("3600")
        self.setUp()
        self.registration.start(self.channel)
        self.answered(403)
        self.registration.channelLost()
        self.registration.credentialsChanged()
        self.channel.clear()
        self.registration.start(self.channel)
        self.assertSent("3600")

    def test_whileRegistered(self) -> None:
        """Nothing to do: the next challenge asks for it."""
        self.registered()
        self.channel.clear()
        self.registration.credentialsChanged()
        self.assertSent()
        self.assertTrue(self.registration.registered)
