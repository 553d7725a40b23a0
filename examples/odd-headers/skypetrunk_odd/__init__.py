"""The dialect of a PBX that has headers of its own for numbers and for its billing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zope.interface import implementer

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import IPBXDialect
from skypetrunk.wire.grammar import escape
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

_NAME = re.compile(r"[A-Za-z0-9-]+").fullmatch


def oddHeaders(settings: Mapping[str, object]) -> OddHeaders:
    """
    The dialect of C{settings}.

    @raise ConfigurationError: what is wrong with them.
    """
    known = {"dialled": "X-Dialed-Number", "called": "X-Called-Number", "strip": ["P-Charging"]}
    problems = [f"settings.{name}: is not known" for name in sorted(settings) if name not in known]
    chosen = known | dict(settings)
    for name in ("dialled", "called"):
        value = chosen[name]
        if not isinstance(value, str) or not _NAME(value):
            problems.append(f'settings.{name}: would be right: "{known[name]}"')
    strip = chosen["strip"]
    if not isinstance(strip, list) or not all(isinstance(each, str) and _NAME(each) for each in strip):
        problems.append('settings.strip: would be right: ["P-Charging"]')
    if problems:
        raise ConfigurationError(tuple(problems))
    return OddHeaders(str(chosen["dialled"]), str(chosen["called"]), tuple(strip))


@implementer(IPBXDialect)
class OddHeaders:
    """What has none of the headers passes as it is."""

    def __init__(self, dialled: str, called: str, strip: tuple[str, ...]) -> None:
        """
        @param dialled: the PBX's header that says whom it calls.
        @param called: the header in which it wants to know who is called.
        @param strip: headers of the PBX that mean nothing here.
        """
        self._dialled = dialled
        self._called = called
        self._strip = strip

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """The dialled number to where it belongs."""
        for name in self._strip:
            if message.header(name) is not None:
                message = message.withoutHeader(name)
        number = message.header(self._dialled)
        if number is None or not isinstance(message, Request):
            return message
        uri = message.requestURI
        if _beginsCall(message) and isinstance(uri, SIPURI) and re.fullmatch(r"\+?[0-9*#]+", number):
            message = message.withURI(str(uri.replace(user=escape(number, "+*"))))
        return message.withoutHeader(self._dialled)

    def toPBX(self, message: Request | Response) -> Request | Response:
        """The called number to where the PBX looks for it."""
        if isinstance(message, Request) and _beginsCall(message):
            uri = message.requestURI
            if isinstance(uri, SIPURI) and uri.userUnescaped:
                return message.withHeader(self._called, escape(uri.userUnescaped, "+*#"))
        return message


def _beginsCall(request: Request) -> bool:
    """Is it the INVITE of a new call?  In a dialog the Request-URI is an address, not a number."""
    return request.method == "INVITE" and request.toAddress.tag is None


__all__ = ["OddHeaders", "oddHeaders"]
