"""
Registration of one account with its registrar: RFC 3261 section 10, on the client's side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core import registration_machine
from skypetrunk.core.authentication import Authentication
from skypetrunk.core.registration_machine import RegistrationInputs
from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import (
    IClientTransaction,
    IClientTransactionUser,
    ICredentials,
    IMessageChannel,
    IRegistrationObserver,
    ITransactions,
)
from skypetrunk.wire.grammar import NO_PARAMETERS, Parameters, escape
from skypetrunk.wire.headers import NameAddr, parseNameAddrs
from skypetrunk.wire.message import Header, Request, Response, reasonPhrase
from skypetrunk.wire.uri import SIPURI

#: Seconds until the first attempt after a failure, and the longest; doubling in between.
RETRY = (4.0, 300.0)
#: The same where somebody has to change something first: trying more often may lock the account.
RETRY_SLOWLY = (60.0, 1800.0)
#: A Retry-After is obeyed up to here: one that is wrong must not cost a day of calls.
RETRY_AFTER_LIMIT = 3600.0

#: Addresses of a Service-Route: each makes every INVITE longer.
MOST_ROUTES = 10

_SLOW = frozenset({401, 403, 404, 407})
_seconds = re.compile(r"[ \t]*([0-9]{1,9})(?![0-9])").match


@dataclass(frozen=True, slots=True)
class Account:
    """
    What is registered.

    @ivar user: user part of From, To and Contact, unescaped.
    @ivar domain: the registrar's, without user part (RFC 3261 section 10.2).
    @ivar expires: seconds to ask for.
    """

    user: str
    domain: str
    expires: int = 3600
    userAgent: str = "skypetrunk"


@implementer(IClientTransactionUser)
class _Attempt:
    """One REGISTER; what comes after another was sent is ignored."""

    __slots__ = ("_registration", "leaving", "request")

    def __init__(self, registration: Registration, request: Request, leaving: bool) -> None:
        self._registration = registration
        self.request = request
        self.leaving = leaving

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
    ) -> None:
        """
        @param token: makes random text for Call-ID, tag and cnonce.
        @param random: 0 to 1, spreads the attempts of many customers after an outage.
        """
        self.clock = clock
        self._transactions = transactions
        self._account = account
        self._observer = observer
        self._random = random
        self._authentication = Authentication(credentials, token)
        self._callID = token()
        self._tag = token()
        self._sequence = 0
        self._asked = account.expires
        self._failures = 0
        self._until = 0.0
        self._channel: IMessageChannel | None = None
        self._attempt: _Attempt | None = None
        self._waiters: list[Deferred[None]] = []
        self._machine: RegistrationInputs = registration_machine.begin(self)
        self.serviceRoute: tuple[NameAddr, ...] = ()
        self.outbound = False
        self.flowTimer: int | None = None
        self.retryAfter: int | None = None

    @property
    def registered(self) -> bool:
        """Is there a registration that has not run out?"""
        return self.clock.seconds() < self._until

    def start(self, channel: IMessageChannel) -> None:
        """Register over C{channel}, now; one that was used before is forgotten."""
        self._machine.started(channel)

    def channelLost(self) -> None:
        """The channel is gone: nothing is sent until L{start}.  The observer is not told."""
        self._machine.lost()

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
        again = self._corrected(attempt, response)
        if again is not None:
            if attempt.leaving:
                self.send(again, leaving=True)
            else:
                self._machine.again(again)
        elif attempt.leaving:
            self._until = 0.0
            self._machine.left()
        elif response.status < 300:
            self._accepted(attempt.request, response)
        else:
            self._refused(response)

    def _corrected(self, attempt: _Attempt, response: Response) -> Request | None:
        """The request that C{response} asks for instead, or C{None}."""
        if response.status in (401, 407):
            return self._authentication.answer(attempt.request, response, self._nextSequence)
        if response.status == 423 and not attempt.leaving:
            # Section 10.2.8
            wanted = _number(response.header("Min-Expires"))
            if wanted is not None and wanted > self._asked:
                self._asked = wanted
                return self._request(self._asked)
        return None

    def _accepted(self, request: Request, response: Response) -> None:
        self._authentication.accepted(request, response)
        seconds = self._grantedBy(response)
        if seconds <= 0:
            self._fail("it granted 0 seconds", response.status, RETRY_SLOWLY, None)
            return
        self.flowTimer = _number(response.header("Flow-Timer"))
        options = {name.lower() for header in ("Require", "Supported") for name in response.values(header)}
        self.outbound = self.flowTimer is not None or "outbound" in options
        self._takeRoute(response)
        self._machine.granted(seconds)

    def _takeRoute(self, response: Response) -> None:
        """
        RFC 3608 section 6.1: what the last answer names, nothing if it names none.  What cannot be read, or
        is no SIP URI, is as if it were not there: a carrier that needs it refuses the call.
        """
        before = self.serviceRoute
        try:
            found = parseNameAddrs(response.values("Service-Route"))
            if len(found) > MOST_ROUTES or not all(isinstance(each.uri, SIPURI) for each in found):
                raise MalformedMessage(f"more than {MOST_ROUTES} routes, or no SIP URI")
            self.serviceRoute = found
        except MalformedMessage as error:
            self.serviceRoute = ()
            self.log.warn("Service-Route of {domain}: {error}", domain=self._account.domain, error=error)
        if self.serviceRoute != before:
            route = ", ".join(map(str, self.serviceRoute)) or "no route"
            self.log.info("calls to {domain} take {route}", domain=self._account.domain, route=route)

    def _grantedBy(self, response: Response) -> int:
        """Seconds: of our Contact in the list, else of Expires, else what was asked (section 10.2.4)."""
        ours = self._contact().uri
        try:
            listed = response.contacts
        except MalformedMessage:
            listed = ()
        known = [contact for contact in listed if isinstance(ours, SIPURI) and ours.equivalent(contact.uri)]
        if not known and len(listed) == 1:
            # A registrar behind NAT may list where it sees us.
            known = list(listed)
        for text in (*(contact.params.get("expires") for contact in known), response.header("Expires")):
            seconds = _number(text)
            if seconds is not None:
                return seconds
        return self._asked

    def _refused(self, response: Response) -> None:
        status, account = response.status, self._account
        phrase = response.reason.encode("ascii", "backslashreplace").decode()
        reason = phrase or reasonPhrase(status)
        if status in (401, 407):
            reason += f": {self._authentication.problem}"
        elif status == 403:
            reason += f": password or permission of account {account.user} is wrong"
        elif status == 404:
            reason += f": account {account.user} is not known at {account.domain}"
        if status in _SLOW:
            self._until = 0.0
        lane = RETRY_SLOWLY if status in _SLOW else RETRY
        self._fail(reason, status, lane, _number(response.header("Retry-After")))

    def _fail(
        self, reason: str, status: int | None, lane: tuple[float, float], retryAfter: int | None
    ) -> None:
        first, longest = lane
        delay = min(first * 2.0 ** min(self._failures, 30), longest) * (0.5 + 0.5 * self._random())
        if retryAfter is not None:
            delay = max(delay, min(float(retryAfter), RETRY_AFTER_LIMIT))
        self._failures += 1
        self.retryAfter = retryAfter
        self._machine.failed(reason, status, delay)

    def _unanswered(self, attempt: _Attempt) -> None:
        if attempt is not self._attempt:
            return
        if attempt.leaving:
            self._machine.left()
        else:
            self._fail("the registrar does not answer", None, RETRY, None)

    def _broken(self, attempt: _Attempt, reason: Exception) -> None:
        if attempt is self._attempt:
            self._machine.broken(f"the connection is lost: {reason}")

    # Requests

    def _nextSequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _contact(self) -> NameAddr:
        assert self._channel is not None
        local = self._channel.localAddress
        params = NO_PARAMETERS
        if local.transport != "UDP":
            params = Parameters([("transport", local.transport.lower())])
        return NameAddr(None, SIPURI("sip", escape(self._account.user), None, local.host, local.port, params))

    def _request(self, expires: int) -> Request:
        """The next REGISTER: same Call-ID and From tag, CSeq one higher (section 10.2)."""
        account = self._account
        registrar = SIPURI("sip", None, None, account.domain)
        address = NameAddr(None, registrar.replace(user=escape(account.user)))
        contact = self._contact()
        uri = str(registrar)
        headers = [
            Header("Max-Forwards", "70"),
            Header("From", f"{address};tag={self._tag}"),
            Header("To", str(address)),
            Header("Call-ID", self._callID),
            Header("CSeq", f"{self._nextSequence()} REGISTER"),
            Header("Contact", f"{contact};expires={expires}"),
            Header("Expires", str(expires)),
            Header("User-Agent", account.userAgent),
        ]
        return Request("REGISTER", uri, (*headers, *self._authentication.headersFor("REGISTER", uri)))

    def send(self, request: Request, leaving: bool = False) -> None:
        """Send C{request}; what was sent before is no longer waited for."""
        assert self._channel is not None
        attempt = self._attempt = _Attempt(self, request, leaving)
        self._transactions.sendRequest(request, self._channel, attempt)

    # Called by the machine

    def register(self) -> None:
        """Send a REGISTER."""
        self.send(self._request(self._asked))

    def take(self, channel: IMessageChannel) -> None:
        """Register over C{channel}."""
        self._channel = channel
        self.register()

    def leave(self, machine: RegistrationInputs) -> None:
        """Take the registration back, if there is one."""
        if self.registered:
            self.send(self._request(0), leaving=True)
        else:
            machine.left()

    def drop(self) -> None:
        """The channel is gone, and what was registered over it."""
        self._until = 0.0
        self.serviceRoute = ()
        self._channel = None
        self._attempt = None

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
        self._failures = 0
        self.hold(seconds)
        write(
            "registered {user} at {domain} for {seconds} s",
            user=self._account.user,
            domain=self._account.domain,
            seconds=seconds,
        )
        with self.log.failuresHandled("telling that {user} is registered", user=self._account.user):
            self._observer.registered(seconds)

    def report(self, reason: str, status: int | None, delay: float) -> None:
        """Not registered."""
        self._attempt = None
        write = self.log.error if status in _SLOW else self.log.warn
        write(
            "cannot register {user} at {domain}: {reason}; next attempt in {delay:.0f} s",
            user=self._account.user,
            domain=self._account.domain,
            reason=reason if status is None else f"{status} {reason}",
            delay=delay,
        )
        with self.log.failuresHandled("telling that {user} is not registered", user=self._account.user):
            if status is None:
                self._observer.lost(reason)
            else:
                self._observer.refused(reason, status)

    def tellBroken(self, reason: str) -> None:
        """The channel broke under a REGISTER."""
        self.drop()
        with self.log.failuresHandled("telling that {user} is not registered", user=self._account.user):
            self._observer.lost(reason)


def _number(text: str | None) -> int | None:
    """The number that C{text} begins with: Expires, Min-Expires, Retry-After (a comment may follow)."""
    match = _seconds(text or "")
    return None if match is None else int(match[1])


__all__ = ["Account", "Registration"]
