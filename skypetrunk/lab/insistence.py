"""
What some carriers of today insist on beside what RFC 3261 asks (Skype Connect facts, section 10.3): for tests
of profiles that speak their dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from skypetrunk.errors import MalformedMessage
from skypetrunk.lab.abilities import OWN
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.wire.headers import STAR
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI

__all__ = ["insisted", "withSecurity"]

SERVER = ("msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp;mediasec")
"""What the carrier can do of media security, as one was seen to say it."""

_SERVER = tuple(Header("Security-Server", each) for each in SERVER)
_ATTRIBUTE = b"\r\na=3ge2ae:requested\r\n"


def insisted(request: Request, settings: CarrierSettings, token: Callable[[], str]) -> Response | None:
    """
    The answer to a request that lacks what the switches insist on, or C{None}.

    @param token: makes random text.
    """
    for status, why, headers in _objections(request, settings):
        return responseTo(request, status, why, (*headers, *OWN), toTag=token())
    return None


def withSecurity(response: Response, settings: CarrierSettings) -> Response:
    """C{response}, to REGISTER, with what the carrier can do of media security, if it is a challenge."""
    if settings.mediasec and response.status == 401 and response.cseq.method == "REGISTER":
        for header in _SERVER:
            response = response.addingHeader(*header)
    return response


def _objections(
    request: Request, settings: CarrierSettings
) -> Iterator[tuple[int, str | None, tuple[Header, ...]]]:
    if settings.mediasec and not _secured(request):
        # RFC 3329 section 2.3.1
        yield 494, "Security Agreement Required", _SERVER
    begins = request.method == "INVITE" and request.toAddress.tag is None
    if settings.mediasec and begins and request.body and _ATTRIBUTE not in request.body:
        yield 488, "No 3ge2ae", ()
    if settings.contactHost is not None and _contactHost(request) not in (None, settings.contactHost):
        yield 403, f"Contact is not at {settings.contactHost}", ()
    if settings.uriParameters is not None and begins:
        lacking = [text for text in settings.uriParameters.split(";") if text not in _parameters(request)]
        if lacking:
            yield 403, f"The Request-URI lacks {', '.join(lacking)}", ()


def _secured(request: Request) -> bool:
    """Is what mediasec asks of a request told?  The first REGISTER knows nothing to repeat."""
    try:
        required = [request.values(name) for name in ("Require", "Proxy-Require")]
        client, verify = request.values("Security-Client"), request.values("Security-Verify")
    except MalformedMessage:
        return False
    if not all("mediasec" in each for each in required):
        return False
    if request.method == "REGISTER":
        first = request.header("Authorization") is None and not verify
        return client == ("sdes-srtp;mediasec",) and (first or verify == SERVER)
    return verify == SERVER


def _contactHost(request: Request) -> str | None:
    contacts = request.contacts
    if contacts is STAR or not contacts:
        return None
    uri = contacts[0].uri
    return uri.host.lower() if isinstance(uri, SIPURI) else ""


def _parameters(request: Request) -> list[str]:
    uri = request.requestURI
    if not isinstance(uri, SIPURI):
        return []
    return [name if value is None else f"{name}={value}" for name, value in uri.params]
