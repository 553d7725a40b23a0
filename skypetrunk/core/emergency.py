"""
Emergency numbers in the addresses of a request: what may never go to a trunk.

Asked with what was received, before any rewriting, routing or policy.  The number plan knows the
numbers; this module knows where in SIP they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import INumberPlan
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.headers import parseNameAddrs
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI, URI, OpaqueURI, TelURI, parseURI

# RFC 5031 section 4.1: "sos" alone or with sub-services; the case does not matter.
_SERVICE = re.compile(r"urn:service:sos(?:\..*)?", re.IGNORECASE | re.DOTALL).fullmatch

_SEPARATORS = str.maketrans("", "", "-.()")
"""RFC 3966 section 5.1.1."""


def isServiceURN(uri: URI) -> bool:
    """Is this C{urn:service:sos} or one of its sub-services (RFC 5031)?"""
    return isinstance(uri, OpaqueURI) and _SERVICE(unescape(str(uri))) is not None


def numbersIn(uri: URI) -> Iterator[str]:
    """
    What C{uri} may mean as a dialled number: with escapes undone, without parameters, and behind the
    prefix in C{phone-context} (RFC 3966 section 5.1.5) where it has one.
    """
    if isinstance(uri, SIPURI):
        user, *parameters = (uri.userUnescaped or "").split(";")
        named = [text.partition("=") for text in parameters]
        contexts = [value for name, _, value in named if name.lower() == "phone-context"]
        context = contexts[0] if contexts else uri.param("phone-context")
    elif isinstance(uri, TelURI):
        user, context = uri.number, uri.params.get("phone-context")
    else:
        return
    if user:
        yield user
        if context and context.startswith("+"):
            yield context + user


def numberNamed(uri: URI) -> str:
    """The one number that C{uri} stands for, without visual separators; empty if it names nobody."""
    *_, number = ("", *numbersIn(uri))
    return number.translate(_SEPARATORS) if isinstance(uri, TelURI) else number


def isEmergencyURI(uri: URI, numbers: INumberPlan) -> bool:
    """
    Does C{uri} name an emergency service?  For a Request-URI, a To, a Refer-To and a Contact of a
    3xx alike.
    """
    return isServiceURN(uri) or any(_isEmergency(number, numbers) for number in numbersIn(uri))


def _isEmergency(number: str, numbers: INumberPlan) -> bool:
    # A PBX that knows no URN writes the whole of it into the user part.
    return _SERVICE(number) is not None or numbers.isEmergency(number)


def isEmergencyNumber(called: str, numbers: INumberPlan) -> bool:
    """The same for text of a program or a person: a number, or a URI of any scheme."""
    text = called.strip()
    try:
        uri = parseURI(text)
    except MalformedMessage:
        return bool(text) and numbers.isEmergency(unescape(text))
    return isEmergencyURI(uri, numbers)


def isEmergencyCall(request: Request, numbers: INumberPlan, called: str = "") -> bool:
    """
    Does the Request-URI or the To of C{request} name an emergency service?

    @param called: what was found to be called in another way.
    """
    uris = (request.requestURI, request.toAddress.uri)
    # Nearly always these are one number, and asking is not free.
    found = {called, *(number for uri in uris for number in numbersIn(uri))} - {""}
    return any(map(isServiceURN, uris)) or any(_isEmergency(number, numbers) for number in found)


def refersToEmergency(message: Request | Response, numbers: INumberPlan) -> bool:
    """
    Would following the Refer-To of a REFER, or any Contact of a 3xx, call an emergency service?

    @raise MalformedMessage: one of them breaks its grammar.
    """
    name = "Refer-To" if isinstance(message, Request) else "Contact"
    return any(isEmergencyURI(address.uri, numbers) for address in parseNameAddrs(message.values(name)))


__all__ = [
    "isEmergencyCall",
    "isEmergencyNumber",
    "isEmergencyURI",
    "isServiceURN",
    "numberNamed",
    "numbersIn",
    "refersToEmergency",
]
