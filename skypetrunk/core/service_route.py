"""Service-Route: by which requests outside dialogs leave, as the registrar says (RFC 3608)."""

from __future__ import annotations

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.headers import NameAddr, parseNameAddrs
from skypetrunk.wire.message import Response
from skypetrunk.wire.uri import SIPURI

MOST_ROUTES = 10
"""Addresses of a Service-Route: each makes every INVITE longer."""


_log = Logger()


def readServiceRoute(response: Response, before: tuple[NameAddr, ...], domain: str) -> tuple[NameAddr, ...]:
    """
    What the answer to a REGISTER names, next hop first; nothing if it names none (section 6.1).  What cannot
    be read, or is no SIP URI, is as if it were not there: a carrier that needs it refuses the call.

    @param before: what held until now, and C{domain}, whose it is: a change is logged.
    """
    try:
        found = parseNameAddrs(response.values("Service-Route"))
        if len(found) > MOST_ROUTES or not all(isinstance(each.uri, SIPURI) for each in found):
            raise MalformedMessage(f"more than {MOST_ROUTES} routes, or no SIP URI")
    except MalformedMessage as error:
        found = ()
        _log.warn("Service-Route of {domain}: {error}", domain=domain, error=error)
    if found != before:
        route = ", ".join(map(str, found)) or "no route"
        _log.info("calls to {domain} take {route}", domain=domain, route=route)
    return found


__all__ = ["MOST_ROUTES", "readServiceRoute"]
