"""Requests that are too large for a datagram (RFC 3261 section 18.1.1)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from skypetrunk.interfaces import IMessageChannel, ISizedChannel
from skypetrunk.wire.message import Request

# "Via: SIP/2.0/UDP [IPv6]:port;rport;branch=z9hG4bK" and 24 digits, which the transaction adds.
_VIA_OCTETS = 115


def fitting(
    request: Request | Callable[[IMessageChannel], Request], channel: IMessageChannel
) -> IMessageChannel | Deferred[IMessageChannel]:
    """
    The channel that C{request} takes instead of C{channel}.

    @param request: without its Via; or what makes it, if its size matters.
    """
    if not ISizedChannel.providedBy(channel):
        return channel
    sized: ISizedChannel = ISizedChannel(channel)
    made = request if isinstance(request, Request) else request(channel)
    return sized.fitting(len(made.encode()) + _VIA_OCTETS)
