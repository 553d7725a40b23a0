"""
Registration of one account with its registrar: RFC 3261 section 10, on the client's side.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core import registration_machine
from skypetrunk.core.answers import retryAfterOf
from skypetrunk.core.authentication import Authentication
from skypetrunk.core.bindings import bindingsIn, readNumber
from skypetrunk.core.media_security import MediaSecurity
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.register_request import MOST_CONTACTS, Account, RegisterRequests
from skypetrunk.core.registration_machine import RegistrationInputs
from skypetrunk.core.retry_lanes import REFUSED, RetryLanes, refusalReason
from skypetrunk.core.service_route import readServiceRoute
from skypetrunk.interfaces import (
    IClientTransaction,
    IClientTransactionUser,
    ICredentials,
    IMessageChannel,
    IRegistrationObserver,
    ITransactions,
)
from skypetrunk.printable import printable
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

#: Requests to which one attempt may lead: a registrar that wants each of them another way wants none.
_MOST_TRIES = 12


class _Purpose(Enum):
    """What a REGISTER is for."""

    REGISTER = 1
    TIDY = 2
    LEAVE = 3


@implementer(IClientTransactionUser)
class _Attempt:
    """One REGISTER; what comes after another was sent is ignored."""

    __slots__ = ("_registration", "purpose", "request")

    def __init__(self, registration: Registration, request: Request, purpose: _Purpose) -> None:
        self._registration = registration
        self.request = request
        self.purpose = purpose

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """A final response counts."""
        if response.status >= 200:
            self._registration._answered(self, response)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Timer F."""
        self._registration._unanswered(self)

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The channel broke."""
        self._registration._broken(self, reason)


class Registration:
    """
    One account, registered over one channel at a time.

    @ivar outbound: the registrar has said that it answers pings (RFC 5626 section 6).
    @ivar flowTimer: its Flow-Timer in seconds, if it named one.
    @ivar retryAfter: seconds that the last refusal asked for, if it did.
    @ivar serviceRoute: by which requests outside dialogs are to leave (RFC 3608), next hop first.
    @ivar retryAt: the clock's time of the next attempt after a failure, C{None} where none is waited for.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        transactions: ITransactions,
        account: Account,
        credentials: ICredentials,
        observer: IRegistrationObserver,
        token: Callable[[], str],
        random: Callable[[], float],
        address: PublicAddress | None = None,
        *,
        security: MediaSecurity | None = None,
    ) -> None:
        """
        @param security: what is told of media security, where the carrier wants that.
        @param token: makes random text for Call-ID, tag and cnonce.
        @param random: 0 to 1, spreads the attempts of many customers after an outage.
        @param address: where the Contact is; default: where the channel begins.
        """
        self.clock = clock
        self._transactions = transactions
        self._account = account
        self._observer = observer
        self._lanes = RetryLanes(clock, random)
        self._address = PublicAddress() if address is None else address
        self._security = security
        self._authentication = Authentication(credentials, token)
        self._requests = RegisterRequests(account, self._address, token)
        self._asked = account.expires
        self._until = 0.0
        self._channel: IMessageChannel | None = None
        self._attempt: _Attempt | None = None
        self._tries = 0
        self._purpose = _Purpose.REGISTER
        self._stale: tuple[SIPURI, ...] = ()
        self._tidied: list[SIPURI] = []
        self._waiters: list[Deferred[None]] = []
        self._machine: RegistrationInputs = registration_machine.begin(self)
        self.serviceRoute: tuple[NameAddr, ...] = ()
        self.outbound = False
        self.flowTimer: int | None = None
        self.retryAfter: int | None = None
        self.retryAt: float | None = None

    @property
    def registered(self) -> bool:
        """Is there a registration that has not run out?"""
        return self.clock.seconds() < self._until

    def start(self, channel: IMessageChannel) -> None:
        """
        Register over C{channel}, now, or when the last refusal allows it; one that was used before is
        forgotten.
        """
        self._machine.started(channel)

    def channelLost(self) -> None:
        """The channel is gone: nothing is sent until L{start}.  The observer is not told."""
        self._machine.lost()

    def credentialsChanged(self) -> None:
        """There is another password: what waits after a refusal is tried at once."""
        self._lanes.reset()
        self._authentication.forget()
        self._machine.changed()

    def stop(self) -> Deferred[None]:
        """
        Take the registration back (RFC 3261 section 10.2.2).

        @return: fires when that was answered or after L{registration_machine.STOP_BOUND} seconds.
        """
        stopped: Deferred[None] = Deferred()
        self._waiters.append(stopped)
        self._machine.stopping()
        return stopped

    # Answers

    def _answered(self, attempt: _Attempt, response: Response) -> None:
        if attempt is not self._attempt:
            return
        if self._security is not None:
            self._security.learn(response)
        again = self._corrected(attempt, response) if self._tries < _MOST_TRIES else None
        if again is not None:
            if attempt.purpose is _Purpose.LEAVE:
                self.send(again)
            else:
                self._machine.again(again)
        elif attempt.purpose is _Purpose.LEAVE:
            self._until = 0.0
            self._machine.left()
        elif attempt.purpose is _Purpose.TIDY:
            self._tidyAnswered(response)
        elif response.status < 300:
            self._accepted(attempt.request, response)
        else:
            self._refused(response)

    def _corrected(self, attempt: _Attempt, response: Response) -> Request | None:
        """The request that C{response} asks for instead, or C{None}."""
        status, request, channel = response.status, attempt.request, self._channel
        assert channel is not None
        moved = attempt.purpose is _Purpose.REGISTER and self._address.learn(response)
        if status in (401, 403, 407):
            answer = None
            if status != 403:
                contact = self._requests.contact(channel, self._asked)
                asked = request.withHeader("Contact", contact) if moved else request
                answer = self._authentication.answer(asked, response, self._requests.nextSequence)
            return answer or self._authentication.anew(request, self._requests.nextSequence)
        if attempt.purpose is not _Purpose.REGISTER:
            return None
        if status == 423:
            # Section 10.2.8
            wanted = readNumber(response.header("Min-Expires"))
            if wanted is None or wanted <= self._asked:
                return None
            self._asked = wanted
        elif status == 439 and self._requests.asFlow:
            # RFC 5626 section 11.6: the first hop knows nothing of flows.
            self._requests.asFlow = False
        elif not (moved and status < 300):
            return None
        return self._request(self._asked)

    def _accepted(self, request: Request, response: Response) -> None:
        self._authentication.accepted(request, response)
        assert self._channel is not None
        own = self._requests.own(self._channel)
        seconds = own.granted(response, self._asked)
        if seconds <= 0:
            self._fail("it granted 0 seconds", response, slowly=True)
            return
        self.flowTimer = readNumber(response.header("Flow-Timer"))
        required = {name.lower() for name in response.values("Require")}
        options = required.union(name.lower() for name in response.values("Supported"))
        self.outbound = self.flowTimer is not None or "outbound" in options
        # RFC 5626 section 6: so a registrar says that it keeps to the flow.
        self._address.overFlow = self._requests.asFlow and "outbound" in required
        self.serviceRoute = readServiceRoute(response, self.serviceRoute, self._account.domain)
        self._machine.granted(seconds)
        stale = [uri for uri in own.stale(response, self._requests.used) if uri not in self._tidied]
        self._stale = tuple(stale[:MOST_CONTACTS])
        if self._stale:
            self._machine.staleFound()

    def _tidyAnswered(self, response: Response) -> None:
        if response.status >= 300:
            answer = f"{response.status} {printable(response.reason)}"
            self.log.info("{domain} keeps it: {answer}", domain=self._account.domain, answer=answer)
        assert self._channel is not None
        own = self._requests.own(self._channel)
        self._attempt = None
        self._machine.tidied(max(1, int(self._until - self.clock.seconds())))
        if response.status < 300 and bindingsIn(response) and not own.isIn(response):
            # It took more than it was asked to.
            self._machine.due()

    def _refused(self, response: Response) -> None:
        account, slowly = self._account, response.status in REFUSED
        reason = refusalReason(response, account.user, account.domain, self._authentication.problem)
        if slowly:
            self._until = 0.0
        self._fail(reason, response, slowly)

    def _fail(self, reason: str, response: Response, slowly: bool) -> None:
        assert self._channel is not None
        status, retryAfter = response.status, retryAfterOf(response)
        delay = self._lanes.after(reason, status, self._channel.peer, retryAfter, slowly)
        self.retryAfter = retryAfter
        self._machine.failed(reason, status, delay)

    def _unanswered(self, attempt: _Attempt) -> None:
        if attempt is not self._attempt:
            return
        if attempt.purpose is _Purpose.LEAVE:
            self._machine.left()
        else:
            self._machine.failed("the registrar does not answer", None, self._lanes.afterSilence())

    def _broken(self, attempt: _Attempt, reason: Exception) -> None:
        if attempt is self._attempt:
            self._machine.broken(f"the connection is lost: {reason}")

    # Requests

    def _request(self, expires: int) -> Request:
        assert self._channel is not None
        return self._withCredentials(self._requests.register(self._channel, expires))

    def _withCredentials(self, request: Request) -> Request:
        for header in self._authentication.headersFor("REGISTER", request.uri):
            request = request.addingHeader(header.name, header.value)
        return request

    def _begin(self, purpose: _Purpose, request: Request) -> None:
        self._purpose = purpose
        self._tries = 0
        self.send(request)

    # Called by the machine

    def send(self, request: Request) -> None:
        """Send C{request}; what was sent before is no longer waited for."""
        assert self._channel is not None
        self._tries += 1
        self.retryAt = None
        if self._security is not None:
            request = self._security.told(request)
        attempt = self._attempt = _Attempt(self, request, self._purpose)
        self._transactions.sendRequest(request, self._channel, attempt)

    def register(self) -> None:
        """Send a REGISTER."""
        self._begin(_Purpose.REGISTER, self._request(self._asked))

    def take(self, channel: IMessageChannel) -> None:
        """Register over C{channel}, unless a refusal forbids it for now."""
        self._channel = channel
        self._attempt = None
        self._address.use(channel)
        self._requests.asFlow = self._account.outbound
        self._tidied = []
        held = self._lanes.holdOff(channel.peer)
        if held is None:
            self.register()
        else:
            refusal, left = held
            self._machine.failed(refusal.reason, refusal.status, left)

    def tidy(self) -> None:
        """Take back what was left behind."""
        self.log.info(
            "{domain} still has {contacts} of {user} from before; taking that back",
            domain=self._account.domain,
            user=self._account.user,
            contacts=", ".join(map(str, self._stale)),
        )
        self._tidied = [*self._tidied, *self._stale]
        self._begin(_Purpose.TIDY, self._withCredentials(self._requests.removal(self._stale)))

    def leave(self, machine: RegistrationInputs) -> None:
        """Take the registration back, if there is one."""
        if self.registered:
            self._begin(_Purpose.LEAVE, self._request(0))
        else:
            machine.left()

    def drop(self) -> None:
        """The channel is gone, and what was registered over it."""
        self._until = 0.0
        self.serviceRoute = ()
        self._channel = None
        self._attempt = None
        self.retryAt = None

    def finish(self) -> None:
        """Tell whoever waits for the end."""
        self.drop()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def hold(self, seconds: int) -> None:
        """Registered for C{seconds} from now."""
        self._until = self.clock.seconds() + seconds

    def remember(self, seconds: int) -> None:
        """Registered, or refreshed."""
        # Some registrars want a refresh every 20 seconds: only the first is news.
        write = self.log.debug if self.registered else self.log.info
        self._attempt = None
        self._lanes.reset()
        self.hold(seconds)
        write(
            "registered {user} at {domain} for {seconds} s",
            user=self._account.user,
            domain=self._account.domain,
            seconds=seconds,
        )
        self._tell(self._observer.registered, seconds)

    def report(self, reason: str, status: int | None, delay: float) -> None:
        """Not registered."""
        self._attempt = None
        self.retryAt = self.clock.seconds() + delay
        write = self.log.error if status in REFUSED else self.log.warn
        write(
            "cannot register {user} at {domain}: {reason}; next attempt in {delay:.0f} s",
            user=self._account.user,
            domain=self._account.domain,
            reason=reason if status is None else f"{status} {reason}",
            delay=delay,
        )
        if status is None:
            self._tell(self._observer.lost, reason)
        else:
            self._tell(self._observer.refused, reason, status)

    def tellBroken(self, reason: str) -> None:
        """The channel broke under a REGISTER."""
        self.drop()
        self._tell(self._observer.lost, reason)

    def _tell(self, event: Callable[..., None], *what: object) -> None:
        with self.log.failuresHandled("telling of the registration of {user}", user=self._account.user):
            event(*what)


__all__ = ["REFUSED", "Account", "Registration"]
