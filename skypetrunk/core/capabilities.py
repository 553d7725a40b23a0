"""What this user agent can do, and says so: methods, extensions and bodies (RFC 3261 sections 8.2 and 20)."""

from __future__ import annotations

from skypetrunk import __version__
from skypetrunk.core.emergency import isServiceURN
from skypetrunk.core.session import MULTIPART, SDP_TYPE, description
from skypetrunk.core.session_timer import LEAST, intervalTooSmall
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.uri import OpaqueURI

AGENT = f"skypetrunk/{__version__}"

SERVER, USER_AGENT = Header("Server", AGENT), Header("User-Agent", AGENT)
"""Of each response, and of each request."""

DESCRIBED = Header("Content-Type", SDP_TYPE)
"""Of each body of ours."""

ALLOW = Header("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, INFO, UPDATE, REFER, NOTIFY")

SUPPORTED = Header("Supported", "timer, 100rel, replaces")

LATE_SUPPORTED = Header("Supported", "timer, replaces")
"""Of an INVITE without offer: one in a reliable provisional response would want its answer in PRACK."""

ACCEPT = Header("Accept", f"{SDP_TYPE}, {MULTIPART}")

_EXTENSIONS = frozenset(("timer", "100rel", "replaces"))

_KNOWN = frozenset(
    ("REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH")
)


def notTaken(method: str) -> int:
    """Recognised and not supported, or not recognised (RFC 3261 sections 8.2.1 and 21.5.2)."""
    return 405 if method in _KNOWN else 501


def refusalOf(request: Request, leastExpires: int = LEAST) -> tuple[int, list[Header]] | None:
    """
    What RFC 3261 section 8.2 refuses in any request, in its order: status and headers.

    @param leastExpires: the smallest session interval that is taken, in seconds.
    """
    first = request.method == "INVITE" and request.toAddress.tag is None
    if isinstance(request.requestURI, OpaqueURI) and not (first and isServiceURN(request.requestURI)):
        return 416, []
    if request.maxForwards == 0 and first:
        # Only what goes on counts as forwarded.
        return 483, []
    unknown = [name for name in request.values("Require") if name.lower() not in _EXTENSIONS]
    if unknown:
        return 420, [Header("Unsupported", ", ".join(unknown))]
    if request.method not in ("INVITE", "UPDATE"):
        return None
    if request.body:
        kind = request.contentType
        if kind != SDP_TYPE and (kind != MULTIPART or not description(request)):
            return 415, [ACCEPT]
        if (request.header("Content-Encoding") or "identity").lower() != "identity":
            return 415, [Header("Accept-Encoding", "identity")]
    least = intervalTooSmall(request, leastExpires)
    return None if least is None else (422, [least])
