"""
Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): challenges and credentials.

Values and computations only.  Who is asked for a password, how often a nonce was
used and when to give up is kept by the caller.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import quote

if TYPE_CHECKING:
    from skypetrunk.wire.secret import Secret

__all__ = [
    "ALGORITHMS",
    "Challenge",
    "Credentials",
    "chooseChallenge",
    "chooseChallenges",
    "digestResponse",
    "hashedA1",
    "makeChallenge",
    "parseChallenge",
    "parseChallenges",
    "parseCredentials",
    "parseParameters",
    "respond",
    "verify",
]

# Names are compared without regard to case (RFC 3261 section 25.1); each has a -sess form.
# MD5 is what most carriers ask for; the TLS around it is what protects it.
_HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {
    "MD5": partial(hashlib.md5, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
}
if "sha512_256" in hashlib.algorithms_available:
    _HASHES["SHA-512-256"] = partial(hashlib.new, "sha512_256")

ALGORITHMS = tuple(name + session for name in _HASHES for session in ("", "-sess"))

_ELEMENT = re.compile(
    r"""[ \t\r\n]*+
        (?:([^][\0- \x7f()<>@,;:\\"/?={}]++) [ \t\r\n]*+ = [ \t\r\n]*+
           (?: "((?:[^"\\]++|\\.)*+)" | ([^ \t\r\n,"]++) )
           [ \t\r\n]*+ )?+
        (?:,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SCHEME = re.compile(r"[ \t\r\n]*+digest(?:[ \t\r\n]++|\Z)", re.IGNORECASE)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    One C{WWW-Authenticate} or C{Proxy-Authenticate} value.

    @ivar algorithm: as written, C{None} if the challenge names none: MD5.
    @ivar qop: the options in lower case; empty: the form of RFC 2069, without nc and cnonce.
    @ivar stale: the password was right, only the nonce is too old.
    @ivar domain: as written, or C{None}.
    """

    realm: str
    nonce: str
    algorithm: str | None = None
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    One C{Authorization} or C{Proxy-Authorization} value.

    @ivar response: hidden from repr: with it a weak password can be guessed.
    @ivar nonceCount: eight hex digits, as written; C{int(credentials.nonceCount, 16)}.
    @ivar opaque: what the challenge gave, to be sent back.
    """

    username: str
    realm: str
    nonce: str
    uri: str
    response: str = field(repr=False)
    algorithm: str | None = None
    qop: str | None = None
    nonceCount: str | None = None
    cnonce: str | None = None
    opaque: str | None = None

    def encode(self) -> str:
        """The header value."""
        parameters = [
            f"username={quote(self.username)}",
            f"realm={quote(self.realm)}",
            f"nonce={quote(self.nonce)}",
            f"uri={quote(self.uri)}",
            f"response={quote(self.response)}",
        ]
        if self.algorithm is not None:
            parameters.append(f"algorithm={self.algorithm}")
        if self.opaque is not None:
            parameters.append(f"opaque={quote(self.opaque)}")
        if self.qop is not None:
            # RFC 7616 section 3.4: qop and nc stand without quotes here.
            parameters += [f"qop={self.qop}", f"nc={self.nonceCount}", f"cnonce={quote(self.cnonce or '')}"]
        return "Digest " + ", ".join(parameters)


def parseParameters(text: str) -> dict[str, str]:
    """
    C{name=value, ...}, also the whole of an C{Authentication-Info}: names in lower case,
    values without quotes and escapes.

    @raise MalformedMessage: it is no such list, or a name stands twice.
    """
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        matched = _ELEMENT.match(text, position)
        if matched is None:
            raise MalformedMessage("digest: not a list of name=value")
        position = matched.end()
        name, quoted, token = matched.groups()
        if name is None:
            continue
        name = name.lower()
        if name in found:
            raise MalformedMessage(f"digest: parameter {name[:40]} twice")
        found[name] = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
    return found


def parseChallenge(value: str) -> Challenge | None:
    """
    Read one challenge; C{None} for a scheme other than Digest.

    @raise MalformedMessage: it is Digest, and not readable.
    """
    parameters = _digestParameters(value)
    if parameters is None:
        return None
    _demand(parameters, "realm", "nonce")
    qop = parameters.get("qop", "").lower().split(",")
    return Challenge(
        parameters["realm"],
        parameters["nonce"],
        parameters.get("algorithm"),
        tuple(option.strip() for option in qop if option.strip()),
        parameters.get("opaque"),
        # RFC 7616 section 3.3: anything but "true" means false.
        parameters.get("stale", "").lower() == "true",
        parameters.get("domain"),
    )


def parseChallenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of a response that can be read, in order; other schemes and broken ones are skipped."""
    found = []
    for value in values:
        try:
            challenge = parseChallenge(value)
        except MalformedMessage:
            continue
        if challenge is not None:
            found.append(challenge)
    return tuple(found)


def chooseChallenges(
    challenges: Iterable[Challenge], algorithms: Collection[str] = ALGORITHMS
) -> tuple[Challenge, ...]:
    """
    The challenge to answer for each realm: the topmost with an algorithm and a qop that
    we know (RFC 8760 section 2.4: the order is the server's).

    @param algorithms: names as in L{ALGORITHMS}; leave MD5 out where policy forbids it.
    """
    known = {name.upper() for name in algorithms}
    chosen: dict[str, Challenge] = {}
    for challenge in challenges:
        name = _algorithm(challenge.algorithm)
        if name not in known or (challenge.qop and _chooseQop(challenge) is None):
            continue
        if name.endswith("-SESS") and not challenge.qop:
            # The session key needs a cnonce, which may not be sent without qop.
            continue
        chosen.setdefault(challenge.realm, challenge)
    return tuple(chosen.values())


def chooseChallenge(
    challenges: Iterable[Challenge], algorithms: Collection[str] = ALGORITHMS
) -> Challenge | None:
    """The first of L{chooseChallenges}, or C{None}: nothing can be answered."""
    return next(iter(chooseChallenges(challenges, algorithms)), None)


def respond(
    challenge: Challenge,
    username: str,
    password: Secret,
    method: str,
    uri: str,
    *,
    nonceCount: int,
    cnonce: str,
    body: bytes = b"",
) -> str:
    """
    The value of C{Authorization} or C{Proxy-Authorization}.

    @param uri: the Request-URI as sent.
    @param nonceCount: 1 for the first request with this nonce, then one more each time.
    @param cnonce: fresh random text; not sent where the challenge has no qop.
    @raise ValueError: a challenge that L{chooseChallenges} would not take.
    """
    qop = _chooseQop(challenge)
    if challenge.qop and qop is None:
        raise ValueError("none of the qop options of the challenge is known")
    credentials = Credentials(
        username,
        challenge.realm,
        challenge.nonce,
        uri,
        "",
        challenge.algorithm,
        qop,
        f"{nonceCount:08x}" if qop else None,
        cnonce if qop else None,
        challenge.opaque,
    )
    response = digestResponse(credentials, password, method, body)
    return replace(credentials, response=response).encode()


def parseCredentials(value: str) -> Credentials:
    """
    Read C{Authorization} or C{Proxy-Authorization}.

    @raise MalformedMessage: another scheme, or something is missing or broken.
    """
    parameters = _digestParameters(value)
    if parameters is None:
        raise MalformedMessage("digest: another authentication scheme")
    _demand(parameters, "username", "realm", "nonce", "uri", "response")
    qop = parameters.get("qop")
    if qop is not None:
        _demand(parameters, "nc", "cnonce")
        if not _NONCE_COUNT.fullmatch(parameters["nc"]):
            raise MalformedMessage("digest: nc is not eight hex digits")
    return Credentials(
        parameters["username"],
        parameters["realm"],
        parameters["nonce"],
        parameters["uri"],
        parameters["response"],
        parameters.get("algorithm"),
        qop,
        parameters.get("nc"),
        parameters.get("cnonce"),
        parameters.get("opaque"),
    )


def verify(credentials: Credentials, password: Secret, method: str, body: bytes = b"") -> bool:
    """
    Do these credentials prove C{password}?  Whether nonce, count, realm and C{uri} are the
    right ones, the caller must check.  What cannot be computed proves nothing.
    """
    try:
        wanted = digestResponse(credentials, password, method, body)
    except ValueError:
        return False
    return compare_digest(wanted.encode(), _octets(credentials.response.lower()))


def digestResponse(credentials: Credentials, password: Secret, method: str, body: bytes = b"") -> str:
    """
    The response that C{credentials} should have (RFC 7616 section 3.4.1).  With an empty
    C{method} it is the C{rspauth} by which the server proves itself (section 3.5).

    @raise ValueError: unknown algorithm or qop, or a cnonce is wanted and not there.
    """
    qop = credentials.qop.lower() if credentials.qop is not None else None
    if qop not in (None, "auth", "auth-int"):
        raise ValueError("unknown qop")
    algorithm = credentials.algorithm
    a1 = hashedA1(
        algorithm, credentials.username, credentials.realm, password, credentials.nonce, credentials.cnonce
    )
    a2 = f"{method}:{credentials.uri}"
    if qop == "auth-int":
        a2 += ":" + _hash(algorithm, body)
    a2 = _hash(algorithm, _octets(a2))
    if qop is None:
        middle = credentials.nonce
    else:
        middle = f"{credentials.nonce}:{credentials.nonceCount}:{credentials.cnonce}:{credentials.qop}"
    return _hash(algorithm, _octets(f"{a1}:{middle}:{a2}"))


def hashedA1(
    algorithm: str | None,
    username: str,
    realm: str,
    password: Secret,
    nonce: str = "",
    cnonce: str | None = None,
) -> str:
    """
    H(A1) (RFC 7616 section 3.4.2).  It is worth as much as the password: never print it.

    @raise ValueError: unknown algorithm, or a -sess one without cnonce.
    """
    a1 = _hash(algorithm, _octets(f"{username}:{realm}:{password.reveal()}"))
    if _algorithm(algorithm).endswith("-SESS"):
        if cnonce is None:
            raise ValueError("a session algorithm needs a cnonce")
        a1 = _hash(algorithm, _octets(f"{a1}:{nonce}:{cnonce}"))
    return a1


def makeChallenge(
    realm: str,
    nonce: str,
    algorithm: str | None = "MD5",
    qop: str | None = "auth",
    stale: bool = False,
    opaque: str | None = None,
) -> str:
    """The value of a challenge; C{None} leaves a parameter out."""
    parameters = [f"realm={quote(realm)}", f"nonce={quote(nonce)}"]
    if opaque is not None:
        parameters.append(f"opaque={quote(opaque)}")
    if stale:
        parameters.append("stale=true")
    if algorithm is not None:
        parameters.append(f"algorithm={algorithm}")
    if qop is not None:
        parameters.append(f"qop={quote(qop)}")
    return "Digest " + ", ".join(parameters)


def _digestParameters(value: str) -> dict[str, str] | None:
    scheme = _SCHEME.match(value)
    return None if scheme is None else parseParameters(value[scheme.end() :])


def _demand(parameters: dict[str, str], *names: str) -> None:
    for name in names:
        if name not in parameters:
            raise MalformedMessage(f"digest: no {name}")


def _chooseQop(challenge: Challenge) -> str | None:
    # auth-int breaks wherever something on the way touches a body, so only if nothing else is offered.
    return next((option for option in ("auth", "auth-int") if option in challenge.qop), None)


def _algorithm(name: str | None) -> str:
    return "MD5" if name is None else name.upper()


def _hash(algorithm: str | None, octets: bytes) -> str:
    name = _algorithm(algorithm).removesuffix("-SESS")
    if name not in _HASHES:
        raise ValueError("unknown digest algorithm")
    return _HASHES[name](octets).hexdigest()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
