"""
Who may send what: digest challenges, and the registrations of the carrier's accounts.

In registration mode every request is challenged but ACK and CANCEL (Skype Connect facts 3.2); the
transaction layer never shows those two to us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.lab.calls import OWN
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.wire.digest import Credentials, makeChallenge, parseCredentials, verify
from skypetrunk.wire.headers import STAR, NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI

__all__ = ["NONCES", "Authenticator", "Binding", "Registrar"]

NONCES = {
    "kept": "good until the end of their lifetime",
    "once": "stale once they were used, so that every request is challenged anew",
    "stale": "always stale, however fresh",
    "refused": "every answer is challenged again, as if it was wrong",
}
"""What becomes of nonces, by name."""

_NAT_EXPIRES = 45
_OPEN_EXPIRES = 3600
_NONCES_KEPT = 1000
_STRANGER = "192.0.2.99"


@dataclass(slots=True)
class _Nonce:
    """A nonce that was given out: when, and the highest count it came back with."""

    since: float
    count: int = 0
    used: bool = False


class Authenticator:
    """
    Digest authentication of one realm, the domain.

    @ivar settings: how; they may be replaced.
    """

    def __init__(self, clock: IReactorTime, token: Callable[[], str], settings: CarrierSettings) -> None:
        self.settings = settings
        self._clock = clock
        self._token = token
        self._nonces: dict[str, _Nonce] = {}

    def check(self, request: Request) -> str | Response:
        """The account that C{request} proves to come from, or the answer to it."""
        proxy = self.settings.proxyChallenge and request.method != "REGISTER"
        try:
            found = [
                parseCredentials(value)
                for value in request.values("Proxy-Authorization" if proxy else "Authorization")
            ]
        except MalformedMessage:
            return self._answer(request, 400)
        ours = [each for each in found if each.realm == self.settings.domain]
        if not ours:
            return self._challenge(request, proxy, stale=False)
        return self._verified(request, ours[0], proxy)

    def _verified(self, request: Request, credentials: Credentials, proxy: bool) -> str | Response:
        settings = self.settings
        nonce = self._nonces.get(credentials.nonce)
        algorithm = (credentials.algorithm or "MD5").upper()
        wrongQop = settings.qop and credentials.qop != "auth"
        if algorithm not in settings.algorithms or wrongQop or settings.nonce == "refused":
            return self._challenge(request, proxy, stale=False)
        if credentials.uri != request.uri:
            # RFC 7616 section 3.4.6: made for another request
            return self._answer(request, 400)
        password = settings.accounts.get(credentials.username)
        if password is None or not verify(credentials, password, request.method, request.body):
            return self._answer(request, 403)
        if nonce is None or not self._fresh(nonce, credentials):
            return self._challenge(request, proxy, stale=True)
        return credentials.username

    def _fresh(self, nonce: _Nonce, credentials: Credentials) -> bool:
        policy = self.settings.nonce
        old = self._clock.seconds() - nonce.since > self.settings.nonceLifetime
        if old or policy == "stale" or (policy == "once" and nonce.used):
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
        settings = self.settings
        nonce = self._token() + self._token()
        while len(self._nonces) >= _NONCES_KEPT:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[nonce] = _Nonce(self._clock.seconds())
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        qop = "auth" if settings.qop else None
        challenges = [
            Header(name, makeChallenge(settings.domain, nonce, algorithm, qop, stale))
            for algorithm in settings.algorithms
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
    """
    Who is registered: one Contact for each account, as a trunk has one PBX, or all of them.

    @ivar settings: how; they may be replaced.
    """

    def __init__(self, clock: IReactorTime, token: Callable[[], str], settings: CarrierSettings) -> None:
        self.settings = settings
        self._clock = clock
        self._token = token
        self._bindings: dict[tuple[str, str], Binding] = {}

    def bindings(self) -> tuple[Binding, ...]:
        """Those that have not ended, the newest first."""
        now = self._clock.seconds()
        self._bindings = {key: each for key, each in self._bindings.items() if each.until > now}
        return tuple(reversed(self._bindings.values()))

    def find(self, account: str) -> Binding | None:
        """Where C{account} is: by its newest binding."""
        return next((each for each in self.bindings() if each.account == account), None)

    def channelLost(self, channel: IMessageChannel) -> None:
        """A connection is gone, and with it the way to who registered over it."""
        self._bindings = {k: each for k, each in self._bindings.items() if each.channel is not channel}

    def register(self, request: Request, channel: IMessageChannel, account: str) -> Response:
        """The answer to an authenticated REGISTER (RFC 3261 section 10.3)."""
        uri, aor = request.requestURI, request.toAddress.uri
        # A Request-URI with a user is no domain; some registrars drop such a REGISTER silently
        if not isinstance(uri, SIPURI) or uri.host.lower() != self.settings.domain or uri.user is not None:
            return self._answer(request, 404)
        if not isinstance(aor, SIPURI) or aor.userUnescaped != account:
            return self._answer(request, 403)
        if self.settings.registration is not None:
            return self._answer(request, self.settings.registration, self._retryAfter())
        if request.contacts is STAR:
            if request.header("Expires") != "0":
                return self._answer(request, 400)
            self._bindings = {k: each for k, each in self._bindings.items() if each.account != account}
            return self._answer(request, 200)
        for contact in request.contacts:
            refused = self._bind(request, channel, account, contact)
            if refused is not None:
                return refused
        return self._answer(request, 200, self._current(request, account))

    def _retryAfter(self) -> tuple[Header, ...]:
        seconds = self.settings.retryAfter
        return (Header("Retry-After", str(seconds)),) if seconds else ()

    def _bind(
        self, request: Request, channel: IMessageChannel, account: str, contact: NameAddr
    ) -> Response | None:
        settings = self.settings
        key = account, self._distinguished(contact)
        text = contact.params.get("expires") or request.header("Expires")
        asked = int(text) if text and text.isascii() and text.isdigit() and len(text) < 11 else _OPEN_EXPIRES
        if asked == 0:
            self._bindings.pop(key, None)
            return None
        if asked < settings.minimumExpires:
            minimum = Header("Min-Expires", str(settings.minimumExpires))
            return self._answer(request, 423, (minimum,))
        granted = settings.granted
        if granted is None:
            granted = min(asked, self._default(contact, channel))
        # Once more at the end: the newest
        self._bindings.pop(key, None)
        self._bindings[key] = Binding(account, contact, channel, granted, self._clock.seconds() + granted)
        return None

    def _distinguished(self, contact: NameAddr) -> str:
        """What tells bindings of one account from each other; nothing, where there is only one."""
        instance, flow = contact.params.get("+sip.instance"), contact.params.get("reg-id")
        if self.settings.outbound and instance is not None and flow is not None:
            # RFC 5626 section 6: the same flow of the same instance, whatever its URI
            return f"{instance} {flow}"
        return str(contact.uri) if self.settings.bindings == "all" else ""

    def _default(self, contact: NameAddr, channel: IMessageChannel) -> int:
        host = contact.uri.host if isinstance(contact.uri, SIPURI) else ""
        return _OPEN_EXPIRES if host == channel.peer.host else _NAT_EXPIRES

    def _current(self, request: Request, account: str) -> tuple[Header, ...]:
        """All Contacts of the account with what is left of them, those of somebody else first."""
        settings, now = self.settings, self._clock.seconds()
        headers = []
        for number in range(settings.others):
            port = 5060 + number
            headers.append(Header("Contact", f"<sip:{account}@{_STRANGER}:{port}>;expires={60 + number}"))
        own = [each for each in self.bindings() if each.account == account]
        for each in own:
            left = str(max(1, round(each.until - now)))
            headers.append(
                Header(
                    "Contact", str(each.contact.replace(params=each.contact.params.with_("expires", left)))
                )
            )
        if own:
            headers.append(Header("Expires", str(max(1, round(own[0].until - now)))))
        if settings.serviceRoute is not None:
            headers.append(Header("Service-Route", f"<{settings.serviceRoute}>"))
        if settings.outbound and "outbound" in [each.lower() for each in request.values("Supported")]:
            headers.append(Header("Require", "outbound"))
        if settings.flowTimer:
            headers.append(Header("Flow-Timer", str(settings.flowTimer)))
        return tuple(headers)

    def _answer(self, request: Request, status: int, headers: tuple[Header, ...] = ()) -> Response:
        return responseTo(request, status, headers=(*headers, *OWN), toTag=self._token())
