"""What the refusal of one leg becomes on the other."""

from __future__ import annotations

from skypetrunk.wire.grammar import quote
from skypetrunk.wire.message import Header

NO_CIRCUIT = 34
"""Q.850 cause: no circuit or channel available; makes a PBX take its next route."""

_ACROSS = {
    # A challenge that we could not answer is our trouble, never the other side's.
    401: 503,
    407: 503,
    # The other side's dialog is not this one's (RFC 3261 section 12).
    481: 480,
    # What was wrong with our own request cannot be mended by the other side.
    400: 502,
    405: 502,
    414: 502,
    415: 502,
    416: 502,
    420: 502,
    421: 502,
    482: 502,
    483: 502,
    487: 480,
    505: 502,
    513: 502,
}


def acrossStatus(status: int) -> int:
    """
    The status that tells one leg of the other leg's refusal: the same one wherever it speaks of the
    callee or of capacity, else one that speaks of us.
    """
    if 300 <= status < 400:
        # Redirection is not followed; the caller could not reach the contact either.
        return 480
    return _ACROSS.get(status, status)


def reasonHeader(cause: int, text: str) -> Header:
    """A Reason header with a Q.850 cause (RFC 3326).  A policy's text may be anything."""
    return Header("Reason", f"Q.850;cause={cause};text={quote(' '.join(text.split()))}")
