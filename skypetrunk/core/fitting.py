"""Requests that are too large for a datagram (RFC 3261 section 18.1.1)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skypetrunk.interfaces import IMessageChannel, ISizedChannel
from skypetrunk.wire.message import Request

# "Via: SIP/2.0/UDP [IPv6]:port;rport;branch=z9hG4bK" and 24 digits, which the transaction adds.
_VIA_OCTETS = 115


def fitting(request: Request, channel: IMessageChannel) -> IMessageChannel | Deferred[IMessageChannel]:
    """The channel that C{request}, which has no Via yet, takes instead of C{channel}."""
    if not ISizedChannel.providedBy(channel):
        return channel
    sized: ISizedChannel = ISizedChannel(channel)
    return sized.fitting(len(request.encode()) + _VIA_OCTETS)
