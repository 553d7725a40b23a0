"""
Media security as carriers of 3GPP networks want it told: the header fields of RFC 3329 with the C{mediasec}
parameter, and the SDP attribute of end-to-access-edge security (3GPP TS 24.229 and TS 33.328).

It changes nothing of the keys, which SDES agrees; it says that we can do that, and repeats what the carrier
can do, so that nobody between us could have taken something off that list.
"""

from __future__ import annotations

import re

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import PARAMETER_NAME
from skypetrunk.wire.message import Header, Request, Response

OURS = "sdes-srtp;mediasec"
"""What we can do."""

REQUESTED = ("3ge2ae", "requested")
"""Attribute of the audio stream in our offers: SRTP up to the edge of the carrier's network."""

MOST_MECHANISMS = 10
"""Each makes every request longer."""

_REQUIRED = (Header("Require", "mediasec"), Header("Proxy-Require", "mediasec"))
_CLIENT = Header("Security-Client", OURS)
_isMechanism = re.compile(rf"{PARAMETER_NAME}(?:\s*;\s*{PARAMETER_NAME}(?:\s*=\s*[^\s;,\"]+)?)*").fullmatch


class MediaSecurity:
    """What one carrier was told, and has told us."""

    log = Logger()

    def __init__(self) -> None:
        self._verify: tuple[Header, ...] = ()

    def registerHeaders(self) -> tuple[Header, ...]:
        """Of each REGISTER: what we can do, and what the carrier can do where that is known."""
        return (_CLIENT, *self._verify, *_REQUIRED)

    def requestHeaders(self) -> tuple[Header, ...]:
        """Of each other request (RFC 3329 section 2.3.1); none while the carrier has told nothing."""
        return (*self._verify, *_REQUIRED) if self._verify else ()

    def learn(self, response: Response) -> None:
        """
        Keep what the carrier can do, of a response to REGISTER.  A 494 that tells nothing says that what we
        kept is wrong.
        """
        try:
            told = [value.strip() for value in response.values("Security-Server")]
        except MalformedMessage as problem:
            self.log.warn("Security-Server cannot be read: {problem}", problem=str(problem))
            return
        ours = [each for each in told if _isMechanism(each) and "mediasec" in _parameters(each)]
        if not told:
            if response.status == 494:
                self._verify = ()
            return
        if not any(each.partition(";")[0].strip().lower() == "sdes-srtp" for each in ours):
            self.log.warn("Security-Server {told} names no sdes-srtp with mediasec", told=", ".join(told))
        self._verify = tuple(Header("Security-Verify", each) for each in ours[:MOST_MECHANISMS])

    def told(self, request: Request) -> Request:
        """C{request}, a REGISTER, with what is to be told now instead of what was told before."""
        for name in ("Security-Client", "Security-Verify", "Require", "Proxy-Require"):
            if request.header(name) is not None:
                request = request.withoutHeader(name)
        for header in self.registerHeaders():
            request = request.addingHeader(header.name, header.value)
        return request


def _parameters(mechanism: str) -> list[str]:
    return [each.partition("=")[0].strip().lower() for each in mechanism.split(";")[1:]]


__all__ = ["MOST_MECHANISMS", "OURS", "REQUESTED", "MediaSecurity"]
