"""
Who may send what: digest challenges, and the registrations of the carrier's accounts.

In registration mode every request is challenged but ACK and CANCEL (Skype Connect facts 3.2); the
transaction layer never shows those two to us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.lab.calls import OWN
from skypetrunk.wire.digest import Credentials, makeChallenge, parseCredentials, verify
from skypetrunk.wire.headers import STAR, NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.secret import Secret
from skypetrunk.wire.uri import SIPURI

__all__ = ["Authenticator", "Binding", "Registrar"]

_NAT_EXPIRES = 45
_OPEN_EXPIRES = 3600
_NONCES = 1000


@dataclass(slots=True)
class _Nonce:
    """A nonce that was given out: when, and the highest count it came back with."""

    since: float
    count: int = 0
    used: bool = False


class Authenticator:
    """
    Digest authentication of one realm.

    @ivar passwords: by account.
    """

    def __init__(
        self,
        clock: IReactorTime,
        token: Callable[[], str],
        realm: str,
        passwords: Mapping[str, Secret],
        *,
        algorithms: tuple[str, ...] = ("MD5",),
        qop: bool = True,
        lifetime: float = 300.0,
        once: bool = False,
        proxy: bool = True,
    ) -> None:
        """
        @param algorithms: one challenge for each, in this order.
        @param qop: ask for C{qop=auth}.
        @param lifetime: seconds until a nonce is stale.
        @param once: a nonce is stale once it was used.
        @param proxy: challenge with 407, all but REGISTER; else with 401.
        """
        self.passwords = passwords
        self._clock = clock
        self._token = token
        self._realm = realm
        self._algorithms = algorithms
        self._qop = "auth" if qop else None
        self._lifetime = lifetime
        self._once = once
        self._proxy = proxy
        self._nonces: dict[str, _Nonce] = {}

    def check(self, request: Request) -> str | Response:
        """The account that C{request} proves to come from, or the answer to it."""
        proxy = self._proxy and request.method != "REGISTER"
        try:
            found = [
                parseCredentials(value)
                for value in request.values("Proxy-Authorization" if proxy else "Authorization")
            ]
        except MalformedMessage:
            return self._answer(request, 400)
        ours = [each for each in found if each.realm == self._realm]
        if not ours:
            return self._challenge(request, proxy, stale=False)
        return self._verified(request, ours[0], proxy)

    def _verified(self, request: Request, credentials: Credentials, proxy: bool) -> str | Response:
        nonce = self._nonces.get(credentials.nonce)
        algorithm = (credentials.algorithm or "MD5").upper()
        if algorithm not in self._algorithms or (self._qop and credentials.qop != self._qop):
            return self._challenge(request, proxy, stale=False)
        if credentials.uri != request.uri:
            # RFC 7616 section 3.4.6: made for another request
            return self._answer(request, 400)
        password = self.passwords.get(credentials.username)
        if password is None or not verify(credentials, password, request.method, request.body):
            return self._answer(request, 403)
        if nonce is None or not self._fresh(nonce, credentials):
            return self._challenge(request, proxy, stale=True)
        return credentials.username

    def _fresh(self, nonce: _Nonce, credentials: Credentials) -> bool:
        if self._clock.seconds() - nonce.since > self._lifetime or (self._once and nonce.used):
            return False
        nonce.used = True
        if credentials.nonceCount is None:
            return True
        count = int(credentials.nonceCount, 16)
        if count <= nonce.count:
            # RFC 7616 section 3.4: a count that was there before is a replay
            return False
        nonce.count = count
        return True

    def _challenge(self, request: Request, proxy: bool, stale: bool) -> Response:
        nonce = self._token() + self._token()
        while len(self._nonces) >= _NONCES:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[nonce] = _Nonce(self._clock.seconds())
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        challenges = [
            Header(name, makeChallenge(self._realm, nonce, algorithm, self._qop, stale))
            for algorithm in self._algorithms
        ]
        headers = [*challenges, *OWN]
        return responseTo(request, 407 if proxy else 401, headers=headers, toTag=self._token())

    def _answer(self, request: Request, status: int) -> Response:
        return responseTo(request, status, headers=OWN, toTag=self._token())


@dataclass(frozen=True, slots=True)
class Binding:
    """
    Where an account can be reached.

    @ivar contact: its registered Contact; calls to it have this as Request-URI.
    @ivar channel: the connection it registered over, which calls to it take.
    @ivar until: the clock's time when it ends.
    """

    account: str
    contact: NameAddr
    channel: IMessageChannel
    granted: int
    until: float


class Registrar:
    """One contact for each account: a trunk has one PBX."""

    def __init__(
        self,
        clock: IReactorTime,
        token: Callable[[], str],
        domain: str,
        granted: int | None = None,
        minimum: int = 0,
    ) -> None:
        """
        @param granted: seconds, whatever is asked for; C{None}: 45 where NAT is detected, as the
            Contact is not where the request came from, else 3600 (facts 3.6).
        @param minimum: a shorter time asked for is answered 423.
        """
        self._clock = clock
        self._token = token
        self._domain = domain
        self._granted = granted
        self._minimum = minimum
        self._bindings: dict[str, Binding] = {}

    def bindings(self) -> tuple[Binding, ...]:
        """Those that have not ended."""
        now = self._clock.seconds()
        self._bindings = {name: each for name, each in self._bindings.items() if each.until > now}
        return tuple(self._bindings.values())

    def find(self, account: str) -> Binding | None:
        """Where C{account} is."""
        return next((each for each in self.bindings() if each.account == account), None)

    def channelLost(self, channel: IMessageChannel) -> None:
        """A connection is gone, and with it the way to who registered over it."""
        self._bindings = {n: each for n, each in self._bindings.items() if each.channel is not channel}

    def register(self, request: Request, channel: IMessageChannel, account: str) -> Response:
        """The answer to an authenticated REGISTER (RFC 3261 section 10.3)."""
        uri, aor = request.requestURI, request.toAddress.uri
        # A Request-URI with a user is no domain; some registrars drop such a REGISTER silently
        if not isinstance(uri, SIPURI) or uri.host.lower() != self._domain or uri.user is not None:
            return self._answer(request, 404)
        if not isinstance(aor, SIPURI) or aor.userUnescaped != account:
            return self._answer(request, 403)
        if request.contacts is STAR:
            if request.header("Expires") != "0":
                return self._answer(request, 400)
            self._bindings.pop(account, None)
            return self._answer(request, 200)
        if request.contacts:
            refused = self._bind(request, channel, account, request.contacts[0])
            if refused is not None:
                return refused
        return self._answer(request, 200, self._current(account))

    def _bind(
        self, request: Request, channel: IMessageChannel, account: str, contact: NameAddr
    ) -> Response | None:
        text = contact.params.get("expires") or request.header("Expires")
        asked = int(text) if text and text.isascii() and text.isdigit() and len(text) < 11 else _OPEN_EXPIRES
        if asked == 0:
            self._bindings.pop(account, None)
            return None
        if asked < self._minimum:
            return self._answer(request, 423, (Header("Min-Expires", str(self._minimum)),))
        granted = min(asked, self._default(contact, channel)) if self._granted is None else self._granted
        self._bindings[account] = Binding(account, contact, channel, granted, self._clock.seconds() + granted)
        return None

    def _default(self, contact: NameAddr, channel: IMessageChannel) -> int:
        host = contact.uri.host if isinstance(contact.uri, SIPURI) else ""
        return _OPEN_EXPIRES if host == channel.peer.host else _NAT_EXPIRES

    def _current(self, account: str) -> tuple[Header, ...]:
        binding = self.find(account)
        if binding is None:
            return ()
        left = str(max(1, round(binding.until - self._clock.seconds())))
        contact = binding.contact.replace(params=binding.contact.params.with_("expires", left))
        return (Header("Contact", str(contact)), Header("Expires", left))

    def _answer(self, request: Request, status: int, headers: tuple[Header, ...] = ()) -> Response:
        return responseTo(request, status, headers=(*headers, *OWN), toTag=self._token())
