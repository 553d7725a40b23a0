"""
Who calls: what is believed of it, and what the other side is told.

Nothing of the identity headers crosses by itself.  A L{Caller} is read from a request, by the rules for
the neighbour that sent it; headers for the other neighbour are written from that, by its own rules.  A
call that wants to be anonymous (RFC 3323) shows no name, number or signature of the caller beyond us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from skypetrunk.errors import MalformedMessage
from skypetrunk.values import quick
from skypetrunk.wire.grammar import NO_PARAMETERS, USER_SAFE, escape, isToken
from skypetrunk.wire.headers import NameAddr, parseNameAddrs
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI, TelURI

FROM = "from"
"""The place of the caller that every request has; the others are names of headers."""

CALLER_PLACES = (FROM, "p-asserted-identity", "p-preferred-identity", "remote-party-id")

ANONYMOUS = NameAddr("Anonymous", SIPURI("sip", "anonymous", None, "anonymous.invalid"))
"""RFC 3323 section 4.1.1.3."""

PRIVATE = Header("Privacy", "id")
"""RFC 3325 section 9.3."""

LONGEST_SIGNATURE = 8192
"""Octets of an Identity header that are handed on: a PASSporT with a certificate's URL has about 600."""

MOST_DIVERSIONS = 5
"""Diversions of one call that are told; a telephone network allows as many (Q.732)."""

_SPELLED = {
    "p-asserted-identity": "P-Asserted-Identity",
    "p-preferred-identity": "P-Preferred-Identity",
    "remote-party-id": "Remote-Party-ID",
}

# RFC 7544 section 2: what Diversion says in a word, History-Info says by cause (RFC 4458).
_CAUSES = {
    "unknown": 404,
    "unconditional": 302,
    "user-busy": 486,
    "no-answer": 408,
    "deflection": 480,
    "unavailable": 503,
}
_REASONS = {str(cause): reason for reason, cause in _CAUSES.items()}

# 3GPP TS 24.229 section 7.2A.20: TN-Validation-Passed and its like.
_verstat = re.compile(r"[A-Za-z0-9-]{1,40}").fullmatch


@dataclass(frozen=True, slots=True)
class Diversion:
    """Who sent the call on, and why (a token of RFC 5806)."""

    number: str
    reason: str


@quick
@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who calls, as the other side may be told.

    @ivar user: user part or number.
    @ivar display: the name, or C{None}.
    @ivar private: nothing of it may be shown to the callee.
    @ivar asserted: the number that the neighbour vouches for, or C{None}.
    @ivar verstat: what the carrier has found out about the number (STIR), or C{None}.
    @ivar signatures: Identity headers (RFC 8224) and the Date that they sign.
    @ivar diversions: the first one first.
    """

    user: str
    display: str | None
    private: bool = False
    asserted: str | None = None
    verstat: str | None = None
    signatures: tuple[Header, ...] = ()
    diversions: tuple[Diversion, ...] = ()

    def renumbered(self, change: Callable[[str], str]) -> Caller:
        """The same with every number in another form."""
        return Caller(
            change(self.user),
            self.display,
            self.private,
            None if self.asserted is None else change(self.asserted),
            self.verstat,
            self.signatures,
            tuple([Diversion(change(each.number), each.reason) for each in self.diversions]),
        )


# Reading


def callerOf(request: Request, place: str = FROM) -> Caller:
    """
    Who calls in C{request}.

    @param place: one of L{CALLER_PLACES}, as configured for the sender; where that header is missing or
        cannot be read, From counts.
    """
    address = request.fromAddress
    if place != FROM:
        address = next(iter(_addresses(request, place)), address)
    return Caller(
        numberOf(address.uri) or "anonymous",
        address.display,
        isPrivate(request),
        diversions=tuple(_diversions(request))[-MOST_DIVERSIONS:],
    )


def assertedCallerOf(request: Request, place: str = FROM) -> Caller:
    """The same of a carrier, with what it vouches for; nothing of that if the call is to be anonymous."""
    caller = callerOf(request, place)
    if caller.private:
        return caller
    asserted = next(iter(_addresses(request, "p-asserted-identity")), None)
    shown = request.fromAddress if asserted is None else asserted
    return replace(
        caller,
        asserted=None if asserted is None else numberOf(asserted.uri),
        verstat=_verstatOf(shown.uri),
        signatures=tuple(_signatures(request)),
    )


def diversionReason(response: Response) -> str:
    """Why the sender of a 3xx sends the call on; a 302 alone says nothing but that it does (RFC 7544)."""
    return next((each.reason for each in reversed(tuple(_diversions(response)))), "unconditional")


def isPrivate(request: Request) -> bool:
    """
    Is the call to be anonymous: by Privacy, by an anonymous From, or by an older Remote-Party-ID?

    It is a wish, not a claim, so it is granted to everybody.
    """
    uri = request.fromAddress.uri
    if isinstance(uri, SIPURI):
        # RFC 3323 section 4.1.1.3; the host is often the domain of the PBX.
        if uri.host.lower() == "anonymous.invalid" or (uri.userUnescaped or "").lower() == "anonymous":
            return True
    wishes = {
        wish.strip().lower() for value in request.values("Privacy") for wish in re.split("[;,]", value)
    }
    if "none" not in wishes and wishes & {"id", "user", "header"}:
        return True
    for each in _addresses(request, "remote-party-id"):
        if (each.params.get("privacy") or "").lower() in ("full", "uri"):
            return True
    return False


def numberOf(uri: object) -> str:
    """The number or name in a URI, unescaped and without password or parameters."""
    if isinstance(uri, SIPURI):
        return (uri.userUnescaped or "").split(";", 1)[0]
    if isinstance(uri, TelURI):
        return uri.number
    return ""


def _addresses(request: Request | Response, header: str) -> Sequence[NameAddr]:
    """The addresses of C{header} that name somebody; none if it cannot be read."""
    try:
        found = request.values(header)
        return [address for address in parseNameAddrs(found) if numberOf(address.uri)] if found else ()
    except MalformedMessage:
        return ()


def _verstatOf(uri: object) -> str | None:
    found: str | None = None
    if isinstance(uri, SIPURI):
        _, *parameters = (uri.userUnescaped or "").split(";")
        named = [text.partition("=") for text in parameters]
        values = [value for name, _, value in named if name.lower() == "verstat"]
        found = values[0] if values else uri.param("verstat")
    elif isinstance(uri, TelURI):
        found = uri.params.get("verstat")
    return found if found and _verstat(found) else None


def _signatures(request: Request) -> Iterator[Header]:
    """Whole lines, as they came: a verifier reads them octet by octet."""
    lines = [header for header in request.headers if header.name.lower() in ("identity", "y")]
    kept = [header for header in lines if len(header.value) <= LONGEST_SIGNATURE]
    yield from (Header("Identity", header.value) for header in kept)
    date = request.header("Date")
    if kept and date is not None:
        yield Header("Date", date)


def _diversions(request: Request | Response) -> Iterator[Diversion]:
    """From Diversion, where the last one comes first, or from History-Info, which ends with the callee."""
    for address in reversed(_addresses(request, "diversion")):
        if (address.params.get("privacy") or "off").lower() == "off":
            reason = (address.params.get("reason") or "").strip('"').lower()
            yield Diversion(numberOf(address.uri), reason if isToken(reason) else "unknown")
    if request.header("Diversion") is None:
        history = _addresses(request, "history-info")
        for address, target in zip(history, history[1:], strict=False):
            uri, later = address.uri, target.uri
            hidden = isinstance(uri, SIPURI) and any(name.lower() == "privacy" for name, _ in uri.headers)
            cause = later.param("cause") if isinstance(later, SIPURI) else None
            # An entry without a cause was routed, not diverted (RFC 7544 section 3).
            if cause is not None and not hidden:
                yield Diversion(numberOf(uri), _REASONS.get(cause, "unknown"))


# Writing


def identityHeader(kind: str, uri: SIPURI, private: bool) -> Header:
    """
    The caller in a header of its own.

    @param kind: one of L{CALLER_PLACES} but C{from}.
    """
    if kind == "remote-party-id":
        parameters = ";party=calling;screen=no" + (";privacy=full" if private else "")
        return Header(_SPELLED[kind], f"<{uri}>{parameters}")
    return Header(_SPELLED[kind], f"<{uri}>")


def withVerstat(uri: SIPURI, verstat: str | None, inUser: bool) -> SIPURI:
    """C{uri} with C{verstat}: in the user part, or where a PBX that does not know it takes no harm."""
    if verstat is None:
        return uri
    if inUser:
        return uri.replace(user=f"{uri.user};verstat={verstat}")
    return uri.replace(params=uri.params.with_("verstat", verstat))


def diversionHeaders(
    kind: str, diversions: Sequence[Diversion], called: SIPURI, ours: SIPURI
) -> Iterable[Header]:
    """
    Diversions as headers.

    @param kind: C{none}, C{diversion} (RFC 5806) or C{history-info} (RFC 7044).
    @param called: the Request-URI.
    @param ours: gets each number as its user part.
    """
    uris = [ours.replace(user=escape(each.number, USER_SAFE)) for each in diversions]
    if kind == "diversion":
        for uri, each in zip(reversed(uris), reversed(diversions), strict=True):
            yield Header("Diversion", f"<{uri}>;reason={each.reason}")
    elif kind == "history-info" and uris:
        causes = [str(_CAUSES.get(each.reason, 404)) for each in diversions]
        parameters = [NO_PARAMETERS, *(NO_PARAMETERS.with_("cause", cause) for cause in causes)]
        for level, (uri, params) in enumerate(zip((*uris, called), parameters, strict=True)):
            index = ".".join(["1"] * (level + 1))
            yield Header("History-Info", f"<{uri.replace(params=params)}>;index={index}")


__all__ = [
    "ANONYMOUS",
    "CALLER_PLACES",
    "Caller",
    "Diversion",
    "assertedCallerOf",
    "callerOf",
    "diversionHeaders",
    "diversionReason",
    "identityHeader",
    "isPrivate",
    "numberOf",
    "withVerstat",
]
