"""A registration on a clock, and a registrar that the test plays."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.registration import Account, Registration
from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import IRegistrationObserver
from skypetrunk.testing import MemoryCredentials, RecordingChannel, RecordingTransactionUser, countingToken
from skypetrunk.wire.digest import makeChallenge
from skypetrunk.wire.message import Request
from tests.core.messages import answer

ACCOUNT = Account("990510001234567", "sip.carrier.example", 3600)
PASSWORD = "marker-password"
TLS = "tls:192.0.2.1:5061"


@implementer(IRegistrationObserver)
class Observer:
    """Keeps what a registration tells."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.events: list[tuple[object, ...]] = []

    def registered(self, expires: int) -> None:
        """Record it."""
        self.events.append(("registered", expires))

    def refused(self, reason: str, status: int) -> None:
        """Record it."""
        self.events.append(("refused", reason, status))

    def lost(self, reason: str) -> None:
        """Record it."""
        self.events.append(("lost", reason))


class RegistrationCase(SynchronousTestCase):
    """A registration, and a registrar that the test plays."""

    def setUp(self) -> None:
        """A registration that has not begun."""
        self.clock = Clock()
        self.layer = Transactions(self.clock, RecordingTransactionUser(), countingToken())
        self.observer = Observer()
        self.registration = self.make()
        self.channel = self.connection()

    def make(self, account: Account = ACCOUNT, address: PublicAddress | None = None) -> Registration:
        """A registration."""
        self.credentials = MemoryCredentials({"carrier": (account.user, PASSWORD)})
        return Registration(
            self.clock,
            self.layer,
            account,
            self.credentials,
            self.observer,
            countingToken(),
            lambda: 1.0,
            address,
        )

    def connection(self, local: str = "tls:198.51.100.1:40000", peer: str = TLS) -> RecordingChannel:
        """A channel to the registrar."""
        return RecordingChannel(self.clock, peer, local)

    @property
    def last(self) -> Request:
        """The last request sent."""
        return self.channel.requests[-1]

    def answered(self, status: int, **more: str) -> None:
        """The registrar answers the last request."""
        self.layer.messageReceived(answer(self.last, status, **more), self.channel)

    def challenged(self, nonce: str, stale: bool = False, realm: str = "carrier") -> None:
        """The registrar wants a password."""
        self.answered(401, WWW_Authenticate=makeChallenge(realm, nonce, stale=stale))

    def registered(self, seconds: int = 3600) -> None:
        """Registered over the first channel, for C{seconds}."""
        self.registration.start(self.channel)
        self.answered(200, Contact=f"{self.contact()};expires={seconds}")

    def contact(self) -> str:
        """Our Contact in the last request, without its expires parameter."""
        contact = self.last.contacts[0]
        return str(contact.replace(params=contact.params.without("expires")))

    def assertSent(self, *expires: str) -> None:
        """REGISTERs were sent that ask for C{expires}; they are forgotten now."""
        self.assertEqual([request.header("Expires") for request in self.channel.requests], list(expires))
        self.channel.clear()

    def assertNothingLeft(self) -> None:
        """No timer and no transaction."""
        self.assertEqual((self.layer.pending, self.clock.getDelayedCalls()), (0, []))
