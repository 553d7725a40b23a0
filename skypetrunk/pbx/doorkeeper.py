"""Who may call: digest challenges to a PBX (RFC 3261 section 22), on the server's side."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.digest import Credentials, makeChallenge, parseCredentials, verify
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.secret import Secret

REALM = "skypetrunk"
"""The realm of every challenge."""

NONCE_SECONDS = 300
"""How long a nonce is good: a PBX that calls often is challenged once in this time."""

#: Nonces that were used, with their counts; each was used by somebody who knows the password.
_NONCES = 1000


class Doorkeeper:
    """
    Asks a PBX for its password.

    Nonces are signed rather than kept, so that nobody can fill a table with challenges; what is kept is the
    count of those that came back with the right password.

    @ivar refused: requests by reason: C{"password"}, C{"malformed"}.
    """

    _log = Logger()

    def __init__(
        self,
        username: str,
        password: Secret,
        seconds: Callable[[], float],
        token: Callable[[], str],
        entropy: Callable[[int], bytes],
    ) -> None:
        """
        @param entropy: random octets, as L{os.urandom}.
        """
        self.refused: Counter[str] = Counter()
        self._username = username
        self._password = password
        self._seconds = seconds
        self._token = token
        self._key = entropy(32)
        self._counts: dict[str, int] = {}

    def check(self, request: Request) -> Response | None:
        """The answer to C{request}, or C{None}: it comes from who knows the password."""
        try:
            found = [parseCredentials(value) for value in request.values("Authorization")]
        except MalformedMessage as problem:
            self.refused["malformed"] += 1
            self._log.info("credentials that cannot be read: {problem}", problem=str(problem))
            return self._answer(request, 400)
        ours = [each for each in found if each.realm == REALM]
        if not ours or not self._isOfOurs(ours[0]):
            return self._challenge(request, stale=False)
        return self._verified(request, ours[0])

    def _isOfOurs(self, credentials: Credentials) -> bool:
        """Was it made for a challenge of ours?  Without qop a replay could not be noticed."""
        algorithm = (credentials.algorithm or "MD5").upper()
        return algorithm == "MD5" and credentials.qop is not None and credentials.nonceCount is not None

    def _verified(self, request: Request, credentials: Credentials) -> Response | None:
        if credentials.uri != request.uriReceived:
            # RFC 7616 section 3.4.6: made for another request.
            self.refused["malformed"] += 1
            return self._answer(request, 400)
        known = hmac.compare_digest(_octets(credentials.username), _octets(self._username))
        # Both are computed for every name, so that the time tells nothing of it.
        if not verify(credentials, self._password, request.method, request.body) or not known:
            self.refused["password"] += 1
            self._log.warn("{method} with a wrong user name or password", method=request.method)
            return self._answer(request, 403)
        if not self._fresh(credentials):
            return self._challenge(request, stale=True)
        return None

    def _fresh(self, credentials: Credentials) -> bool:
        since, _, rest = credentials.nonce.partition("-")
        signed = self._sign(since, rest.partition("-")[0])
        if not hmac.compare_digest(_octets(signed), _octets(credentials.nonce)):
            return False
        if not 0 <= self._seconds() - int(since, 16) <= NONCE_SECONDS:
            return False
        count = int(credentials.nonceCount or "0", 16)
        if count <= self._counts.get(credentials.nonce, 0):
            # RFC 7616 section 3.4: a count that was there before is a replay.
            return False
        # Forgetting one would make it good again; with another key none of them is.
        if credentials.nonce not in self._counts and len(self._counts) >= _NONCES:
            self._key = hmac.digest(self._key, b"next", "sha256")
            self._counts.clear()
            return False
        self._counts[credentials.nonce] = count
        return True

    def _sign(self, since: str, salt: str) -> str:
        return f"{since}-{salt}-{hmac.digest(self._key, _octets(f'{since}-{salt}'), 'sha256').hex()[:32]}"

    def _challenge(self, request: Request, stale: bool) -> Response:
        nonce = self._sign(f"{int(self._seconds()):x}", self._token()[:16])
        # MD5 is what every PBX knows; some take no call at all if another algorithm stands beside it.
        header = Header("WWW-Authenticate", makeChallenge(REALM, nonce, "MD5", "auth", stale))
        return self._answer(request, 401, header)

    def _answer(self, request: Request, status: int, *headers: Header) -> Response:
        return responseTo(request, status, headers=headers, toTag=self._token())


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


__all__ = ["NONCE_SECONDS", "REALM", "Doorkeeper"]
