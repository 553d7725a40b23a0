"""SIP, SIPS and tel URIs, and others left as they are (RFC 3261 section 19.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Any

from skypetrunk.errors import MalformedMessage
from skypetrunk.values import draftOf, quick
from skypetrunk.wire.grammar import (
    NO_PARAMETERS,
    PARAMETER_NAME,
    Parameters,
    checkLine,
    parseParameters,
    plainParameters,
    unescape,
)

# Underscores are no part of a host name, but container networks have them.
_HOST = r"([A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])"
_USER = r'([^\x00-\x20"<>@:\x7f]++)(?::([^\x00-\x20"<>@\x7f]*+))?+@'
_PARAMS = rf"((?:;{PARAMETER_NAME}(?:=[^\x00-\x20;,\"<>?@\x7f]++)?+)*+)"
_HEADERS = r'(?:\?([^\x00-\x20"<>@\x7f]++))?+'
#: The groups of this pattern are what L{sipURI} takes.
SIP_URI = rf"([sS][iI][pP][sS]?+):(?:{_USER})?{_HOST}(?::([0-9]{{1,5}}))?+{_PARAMS}{_HEADERS}"

_sipURI = re.compile(SIP_URI).fullmatch
_userText = re.compile(r'[^\x00-\x20"<>@:\x7f]++').fullmatch
_passwordText = re.compile(r'[^\x00-\x20"<>@\x7f]*+').fullmatch
_headerText = re.compile(r'[^\x00-\x20"<>@&=\x7f]*+').fullmatch
_hostText = re.compile(r"[A-Za-z0-9_.\-]++").fullmatch
_tel = re.compile(r"[tT][eE][lL]:([0-9A-Fa-f*#+\-.()]++)((?:;[^;\x00-\x20\"<>\x7f]++)*+)").fullmatch
_telNumber = re.compile(r"[0-9A-Fa-f*#+\-.()]++").fullmatch
_opaque = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*+):([^\x00-\x20"<>\x7f]++)').fullmatch
_visualSeparators = str.maketrans("", "", "-.()")

# RFC 3261 section 19.1.4: these make two URIs different when only one of them has the parameter.
_NEVER_IGNORED = ("user", "ttl", "method", "maddr", "transport")


def checkHost(host: str) -> str:
    """
    C{host} unchanged, if it is a name or a literal address, IPv6 without brackets.

    @raise ValueError: it is neither.
    """
    if ":" in host:
        IPv6Address(host)
        if "%" in host:
            raise ValueError(f"a zone index in {host!r}")
    elif not _hostText(host):
        raise ValueError(f"no host: {host!r}")
    return host


def writeHost(host: str, port: int | None) -> str:
    """C{host} with brackets if it needs them, and C{port} if there is one."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


@quick
@dataclass(frozen=True, slots=True, repr=False)
class SIPURI:
    """
    A SIP or SIPS URI.  Text is kept as written, with its escapes.

    @ivar scheme: C{"sip"} or C{"sips"}.
    @ivar host: a name or a literal address; IPv6 without brackets.
    @ivar headers: names and values after the C{?}; they never become headers of a request by themselves.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None = None
    params: Parameters = NO_PARAMETERS
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in ("sip", "sips"):
            raise ValueError(f"no scheme of a SIP URI: {self.scheme!r}")
        if self.user is not None and not _userText(self.user):
            raise ValueError(f"no user part: {self.user!r}; see grammar.escape")
        if self.password is not None and (self.user is None or not _passwordText(self.password)):
            raise ValueError("a password that cannot stand in a SIP URI")
        checkHost(self.host)
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ValueError(f"no port: {self.port}")
        if self.params:
            for name, value in self.params:
                if value is not None and ("@" in value or value[0] == '"'):
                    raise ValueError(f"no URI parameter: {name!r}")
        for name, value in self.headers:
            if not (name and _headerText(name) and _headerText(value)):
                raise ValueError(f"no URI header: {name!r}; see grammar.escape")

    @property
    def userUnescaped(self) -> str | None:
        """The user part with its escapes decoded, to compare and to show."""
        return None if self.user is None else unescape(self.user)

    def param(self, name: str) -> str | None:
        """A parameter's value, decoded, under a name that may be escaped too; C{""} without a value."""
        text = str(self.params)
        if "%" in text or name.lower() in text.lower():  # nearly always it is not there
            for known, value in self.params:
                if known == name or unescape(known).lower() == name.lower():
                    return "" if value is None else unescape(value)
        return None

    @property
    def maddr(self) -> str | None:
        """Where to send instead of C{host} (RFC 3261 section 8.1.2); IPv6 without brackets."""
        value = self.param("maddr")
        return value[1:-1] if value and value[0] == "[" and value[-1] == "]" else value or None

    @property
    def transport(self) -> str | None:
        """The C{transport} parameter in lower case."""
        value = self.param("transport")
        return value.lower() if value else None

    @property
    def lr(self) -> bool:
        """Does the element at this URI route loosely (RFC 3261 section 16.12)?"""
        return self.param("lr") is not None

    def replace(self, **changes: Any) -> SIPURI:
        """The same URI with some fields changed.  @raise ValueError: as the constructor."""
        if changes.keys() == {"user"} and self.password is None:  # several times in each call
            user = changes["user"]
            if user is not None and not _userText(user):
                raise ValueError(f"no user part: {user!r}; see grammar.escape")
            made = _SIPURIDraft()
            made.scheme, made.user, made.password, made.host = self.scheme, user, None, self.host
            made.port, made.params, made.headers = self.port, self.params, self.headers
            made.__class__ = SIPURI
            return made  # type: ignore[no-any-return]
        return replace(self, **changes)

    def equivalent(self, other: object) -> bool:
        """Do both name the same resource, by RFC 3261 section 19.1.4?"""
        if not isinstance(other, SIPURI):
            return False
        if (
            self.scheme != other.scheme
            or self.userUnescaped != other.userUnescaped
            or (self.password is None) != (other.password is None)
            or unescape(self.password or "") != unescape(other.password or "")
            or _sameHostKey(self.host) != _sameHostKey(other.host)
            or self.port != other.port
        ):
            return False
        ours, theirs = _foldedParameters(self.params), _foldedParameters(other.params)
        for name in ours.keys() | theirs.keys():
            if name in ours and name in theirs:
                if ours[name] != theirs[name]:
                    return False
            elif name in _NEVER_IGNORED:
                return False
        return _foldedHeaders(self.headers) == _foldedHeaders(other.headers)

    def __str__(self) -> str:
        user = ""
        if self.user is not None:
            user = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        text = f"{self.scheme}:{user}{writeHost(self.host, self.port)}{self.params}"
        if self.headers:
            text += "?" + "&".join([f"{name}={value}" for name, value in self.headers])
        return text

    def __repr__(self) -> str:
        shown = self if self.password is None else replace(self, password="hidden")
        return f"<SIPURI {shown}>"


def _sameHostKey(host: str) -> object:
    return IPv6Address(host) if ":" in host else host.lower()


def _foldedParameters(params: Parameters) -> dict[str, str]:
    return {unescape(name).lower(): unescape(value or "").lower() for name, value in params}


def _foldedHeaders(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return sorted((unescape(name).lower(), unescape(value)) for name, value in headers)


@dataclass(frozen=True, slots=True)
class TelURI:
    """
    A telephone number (RFC 3966).

    @ivar number: as written, with its visual separators.
    """

    number: str
    params: Parameters = NO_PARAMETERS

    def __post_init__(self) -> None:
        if not _telNumber(self.number):
            raise ValueError(f"no telephone number: {self.number!r}")

    @property
    def digits(self) -> str:
        """The number without visual separators; a global one begins with C{+}."""
        return self.number.translate(_visualSeparators)

    def __str__(self) -> str:
        return f"tel:{self.number}{self.params}"


@dataclass(frozen=True, slots=True)
class OpaqueURI:
    """A URI of another scheme, kept as it is."""

    scheme: str
    rest: str

    def __post_init__(self) -> None:
        if not _opaque(f"{self.scheme}:{self.rest}"):
            raise ValueError(f"no URI: {self.scheme!r}, {self.rest!r}")
        checkLine(self.rest)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


URI = SIPURI | TelURI | OpaqueURI


def parseURI(text: str) -> URI:
    """
    Read one URI, without C{<>} around it.

    @raise MalformedMessage: it is none.
    """
    match = _sipURI(text)
    if match is not None:
        return sipURI(*match.groups())
    scheme = text.partition(":")[0].lower()
    if scheme in ("sip", "sips"):
        raise MalformedMessage("a SIP URI that breaks its grammar")
    if scheme == "tel":
        match = _tel(text)
        if match is None:
            raise MalformedMessage("a tel URI that breaks its grammar")
        return TelURI(match[1], parseParameters(match[2]))
    match = _opaque(text)
    if match is None:
        raise MalformedMessage("no URI where one must stand")
    return OpaqueURI(match[1], match[2])


# Of text that was matched, which needs no check.
_SIPURIDraft = draftOf(SIPURI)


def sipURI(
    scheme: str,
    user: str | None,
    password: str | None,
    host: str,
    port: str | None,
    params: str,
    headers: str | None,
) -> SIPURI:
    """
    The URI of text that was matched by L{SIP_URI}.

    @raise MalformedMessage: what a pattern cannot see.
    """
    made = _SIPURIDraft()
    made.scheme = scheme if scheme == "sip" else scheme.lower()
    made.user = user
    made.password = password
    made.host = host if host[0] != "[" else readIPv6(host)
    made.port = None if port is None else readPort(port)
    made.params = plainParameters(params) if params else NO_PARAMETERS
    made.headers = () if headers is None else _readHeaders(headers)
    made.__class__ = SIPURI
    return made  # type: ignore[no-any-return]


def readPort(text: str) -> int:
    """The port of up to five digits.  @raise MalformedMessage: above 65535."""
    port = int(text)
    if port > 65535:
        raise MalformedMessage("a port above 65535")
    return port


def readIPv6(text: str) -> str:
    """The address of an IPv6 reference, without its brackets.  @raise MalformedMessage: it is none."""
    try:
        IPv6Address(text[1:-1])
    except ValueError:
        raise MalformedMessage("no IPv6 address between brackets") from None
    return text[1:-1]


def _readHeaders(text: str) -> tuple[tuple[str, str], ...]:
    split = [pair.partition("=") for pair in text.split("&")]
    if not all(name and equals and "=" not in value for name, equals, value in split):
        raise MalformedMessage("the headers of a SIP URI break their grammar")
    return tuple([(name, value) for name, _, value in split])


__all__ = [
    "OpaqueURI",
    "SIPURI",
    "SIP_URI",
    "TelURI",
    "URI",
    "checkHost",
    "parseURI",
    "readIPv6",
    "readPort",
    "sipURI",
    "writeHost",
]
