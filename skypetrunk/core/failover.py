"""
Which outcome of an INVITE sends a call to another server of the same carrier (RFC 3263 section 4.3).

Errors of the transport, silence, and 503: they speak of the server.  What else a carrier answers speaks of
the call, and would be answered so again; a profile may name more, where its carrier documents them.
"""

from __future__ import annotations

from skypetrunk.core.answers import retryAfterOf
from skypetrunk.core.leg_client import LegClient
from skypetrunk.wire.message import Response


def isAnother(leg: LegClient, status: int, response: Response | None) -> bool:
    """
    Is the INVITE of C{leg} to be sent to another server?

    @param status: its outcome.
    @param response: C{None} where no final one came.
    """
    if response is None:
        # Once a server has taken the INVITE on, its silence means that somebody may be ringing.
        return status == 503 or (status == 408 and not leg.anyProvisional)
    servers = leg.side.servers
    return status == 503 or (servers is not None and status in servers.failover)


def tellServer(leg: LegClient, status: int, response: Response | None, reason: str) -> None:
    """Note what that outcome says of the server."""
    attempt = leg.attempt
    if attempt is None:
        return
    if response is None:
        if status == 408 and not leg.anyProvisional:
            attempt.silent("INVITE is not answered")
    elif status == 503:
        attempt.refused(f"INVITE is answered 503 {reason}", retryAfterOf(response))
    else:
        attempt.answered()


__all__ = ["isAnother", "tellServer"]
