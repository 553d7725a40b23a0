"""
Answers to digest challenges: RFC 3261 section 22, on the client's side.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import ICredentials
from skypetrunk.wire.digest import (
    Challenge,
    Credentials,
    chooseChallenges,
    parseChallenges,
    parseCredentials,
    respond,
)
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.secret import Secret

# Names of a challenge and its answer, from user agents (401) and from proxies (407).
_HEADERS = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))

# A peer that asks for one realm after the other would have us try for ever.
_REALMS = 8

#: The header that answers, and the realm.
_Key = tuple[str, str]


class _Nonce:
    """
    The last challenge of one realm.

    @ivar count: how often its nonce was used.
    @ivar renewed: it came because the nonce before it was stale.
    """

    __slots__ = ("challenge", "count", "password", "renewed", "user")

    def __init__(self, challenge: Challenge, user: str, password: Secret, renewed: bool) -> None:
        self.challenge = challenge
        self.user = user
        self.password = password
        self.renewed = renewed
        self.count = 0


class Authentication:
    """
    What one leg or registration knows about the challenges of its peer.

    @ivar problem: why the last challenge was not answered, in words for the operator.
    """

    log = Logger()

    def __init__(self, credentials: ICredentials | None, token: Callable[[], str]) -> None:
        """
        @param credentials: C{None}: no challenge is answered.
        @param token: makes random text for cnonces.
        """
        self.problem = ""
        self._credentials = credentials
        self._token = token
        self._nonces: dict[_Key, _Nonce] = {}
        self._invite: tuple[Header, ...] = ()

    def answer(self, request: Request, response: Response, nextSequence: Callable[[], int]) -> Request | None:
        """
        The request to be sent after C{response}, a 401 or 407 to C{request}, or C{None}: it is final.

        All challenges are answered for which there is a password (section 22.3).  A
        realm that refuses an answer made with its own last nonce is not tried again.

        @param request: as sent, with or without Via.
        @param nextSequence: reserves a CSeq number; called only when there is an answer (section 22.2).
        """
        sent = _sentCredentials(request)
        answered: list[_Key] = []
        missing: list[str] = []
        for challengeName, name in _HEADERS:
            for challenge in chooseChallenges(parseChallenges(response.values(challengeName))):
                key = (name, challenge.realm)
                if self._isRefusal(key, challenge, sent.get(key)):
                    self.problem = f"user name or password is wrong for realm {challenge.realm!r}"
                    return None
                if self._remember(key, challenge):
                    answered.append(key)
                else:
                    missing.append(challenge.realm)
        if not answered:
            self.problem = (
                f"there is no password for realm {missing[0]!r}"
                if missing
                else "it asks for no kind of authentication that is known here"
            )
            return None
        kept = [key for key in sent if key in self._nonces and key not in answered]
        headers = self._headers(request.method, request.uri, request.body, answered + kept)
        return _replaced(request, nextSequence(), headers)

    def headersFor(self, method: str, uri: str, body: bytes = b"") -> tuple[Header, ...]:
        """
        Credentials for a request that is not sent yet.  ACK and CANCEL repeat those of the last
        INVITE, as they are never challenged (section 22.1); others use each known nonce again.

        @param uri: the Request-URI.
        """
        if method in ("ACK", "CANCEL"):
            return self._invite
        return self._headers(method, uri, body, list(self._nonces))

    def _isRefusal(self, key: _Key, challenge: Challenge, previous: Credentials | None) -> bool:
        """Does C{challenge} say that C{previous}, the credentials it answers, prove nothing?"""
        if previous is None:
            return False
        known = self._nonces.get(key)
        ours = known if known is not None and known.challenge.nonce == previous.nonce else None
        if previous.nonceCount is not None:
            firstUse = int(previous.nonceCount, 16) == 1
        else:
            firstUse = ours is None or ours.count == 1
        if challenge.nonce == previous.nonce:
            return True
        if challenge.stale:
            # The password is right.  A nonce that is stale at its first use may be bad luck, two are a loop.
            return firstUse and ours is not None and ours.renewed
        # Some servers forget to say stale: a nonce that was used again, and is replaced, proves nothing yet.
        return firstUse

    def _remember(self, key: _Key, challenge: Challenge) -> bool:
        """
        Make C{challenge} the last one of its realm; the count of a nonce that is known goes on.

        @return: whether there is a password for it.
        """
        known = self._nonces.get(key)
        if known is not None and known.challenge.nonce == challenge.nonce:
            known.challenge = challenge
            return True
        if known is None and len(self._nonces) >= _REALMS:
            return False
        try:
            found = None if self._credentials is None else self._credentials.find(challenge.realm)
        except Exception:
            self.log.failure("looking for the password of realm {realm}", realm=challenge.realm)
            found = None
        if found is None:
            return False
        self._nonces[key] = _Nonce(challenge, *found, challenge.stale)
        return True

    def _headers(self, method: str, uri: str, body: bytes, keys: list[_Key]) -> tuple[Header, ...]:
        headers = []
        for key in keys:
            nonce = self._nonces[key]
            nonce.count += 1
            value = respond(
                nonce.challenge,
                nonce.user,
                nonce.password,
                method,
                uri,
                nonceCount=nonce.count,
                cnonce=self._token(),
                body=body,
            )
            headers.append(Header(key[0], value))
        if method == "INVITE":
            self._invite = tuple(headers)
        return tuple(headers)


def _sentCredentials(request: Request) -> dict[_Key, Credentials]:
    """The credentials in C{request}."""
    sent = {}
    for _, name in _HEADERS:
        for value in request.values(name):
            try:
                credentials = parseCredentials(value)
            except MalformedMessage:
                continue
            sent[name, credentials.realm] = credentials
    return sent


def _replaced(request: Request, sequence: int, credentials: tuple[Header, ...]) -> Request:
    """C{request} with another CSeq number and other credentials, and without Via."""
    for name in ("Via", "Authorization", "Proxy-Authorization"):
        if request.header(name) is not None:
            request = request.withoutHeader(name)
    request = request.withHeader("CSeq", f"{sequence} {request.method}")
    for header in credentials:
        request = request.addingHeader(header.name, header.value)
    return request
