"""
Answers to digest challenges: RFC 3261 section 22, on the client's side; and the server's own proof
(RFC 7616 section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hmac import compare_digest

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import ICredentials
from skypetrunk.wire.digest import (
    Challenge,
    Credentials,
    chooseChallenges,
    digestResponse,
    parseChallenges,
    parseCredentials,
    parseParameters,
    respond,
)
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.secret import Secret

# Names of a challenge and its answer, from user agents (401) and from proxies (407).
_HEADERS = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))

_CREDENTIALS = frozenset(name for _, name in _HEADERS)

# What says that credentials were right: RFC 7616 section 3.5, RFC 7615 section 4.
_INFOS = (("Authentication-Info", "Authorization"), ("Proxy-Authentication-Info", "Proxy-Authorization"))

# A peer that asks for one realm after the other would have us try for ever.
_REALMS = 8

#: The header that answers, and the realm.
_Key = tuple[str, str]


class _Nonce:
    """
    The last challenge of one realm.

    @ivar count: how often its nonce was used.
    @ivar renewed: it came because the nonce before it was stale.
    @ivar offered: it came as nextnonce, after the password had been found right.
    """

    __slots__ = ("challenge", "count", "offered", "password", "renewed", "user")

    def __init__(self, challenge: Challenge, user: str, password: Secret, renewed: bool) -> None:
        self.challenge = challenge
        self.user = user
        self.password = password
        self.renewed = renewed
        self.offered = False
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
            values = response.values(challengeName)
            for challenge in chooseChallenges(parseChallenges(values)) if values else ():
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

    def anew(self, request: Request, nextSequence: Callable[[], int]) -> Request | None:
        """
        C{request}, which was refused, once more and without credentials, where a password has changed since
        those in it were made; else C{None}: the same would be sent again.

        @param nextSequence: reserves a CSeq number; called only when there is a request.
        """
        changed = [
            key
            for key in _sentCredentials(request)
            if key in self._nonces and self._nonces[key].password != self._passwordOf(key[1])
        ]
        if not changed:
            return None
        for key in changed:
            del self._nonces[key]
        return _replaced(request, nextSequence(), ())

    def forget(self) -> None:
        """The next request has no credentials."""
        self._nonces.clear()

    def accepted(self, request: Request, response: Response) -> bool | None:
        """
        Read what C{response}, a 2xx to C{request}, says about our credentials: the next nonce to use, and
        the proof that the server knows the password too (RFC 7616 section 3.5).

        @return: was that proof right?  C{None}: there was none.  Of what comes with a wrong proof nothing is
            used; the peer itself was proved by TLS.
        """
        proved: bool | None = None
        sent: dict[_Key, Credentials] | None = None
        for infoName, name in _INFOS:
            value = response.header(infoName)
            if value is None:
                continue
            try:
                info = parseParameters(value)
            except MalformedMessage as problem:
                self.log.debug("{header} cannot be read: {problem}", header=infoName, problem=str(problem))
                continue
            sent = _sentCredentials(request) if sent is None else sent
            for key, credentials in sent.items():
                # It names no realm: of several answers the one with its cnonce is meant.
                known = self._nonces.get(key)
                if (
                    key[0] != name
                    or known is None
                    or known.challenge.nonce != credentials.nonce
                    or info.get("cnonce", credentials.cnonce) != credentials.cnonce
                ):
                    continue
                right = _isProof(info, credentials, known.password, response.body)
                if right is not None:
                    proved = right and proved is not False
                if right is False:
                    self.log.warn(
                        "{header}: the server does not prove the password of realm {realm}",
                        header=infoName,
                        realm=key[1],
                    )
                elif info.get("nextnonce"):
                    known.challenge = replace(known.challenge, nonce=info["nextnonce"], stale=False)
                    known.offered = True
                    known.renewed = False
                    known.count = 0
        return proved

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
        # Nor does one that they gave for the next request, however late that came.
        return firstUse and not (ours is not None and ours.offered)

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
        found = self._find(challenge.realm)
        if found is None:
            return False
        self._nonces[key] = _Nonce(challenge, *found, challenge.stale)
        return True

    def _find(self, realm: str) -> tuple[str, Secret] | None:
        try:
            return None if self._credentials is None else self._credentials.find(realm)
        except Exception:
            self.log.failure("looking for the password of realm {realm}", realm=realm)
            return None

    def _passwordOf(self, realm: str) -> Secret | None:
        found = self._find(realm)
        return None if found is None else found[1]

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
    for name, value in request.headers:
        if name in _CREDENTIALS:
            try:
                credentials = parseCredentials(value)
            except MalformedMessage:
                continue
            sent[name, credentials.realm] = credentials
    return sent


def _isProof(info: dict[str, str], sent: Credentials, password: Secret, body: bytes) -> bool | None:
    """Is C{rspauth} what who knows the password says to C{sent}?  C{None}: there is none."""
    proof = info.get("rspauth")
    if proof is None:
        return None
    if info.get("nc", sent.nonceCount) != sent.nonceCount:
        return False
    try:
        wanted = digestResponse(replace(sent, qop=info.get("qop", sent.qop)), password, "", body)
    except ValueError:
        return False
    return compare_digest(wanted.encode(), proof.lower().encode("utf-8", "surrogatepass"))


def _replaced(request: Request, sequence: int, credentials: tuple[Header, ...]) -> Request:
    """C{request}, which is ours, with another CSeq number and other credentials, and without Via."""
    counted = Header("CSeq", f"{sequence} {request.method}")
    kept = [
        counted if header.name == "CSeq" else header
        for header in request.headers
        if header.name != "Via" and header.name not in _CREDENTIALS
    ]
    return Request(request.method, request.uri, (*kept, *credentials), request.body, request.version)
