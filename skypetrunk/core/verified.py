"""
What is said to a carrier, and answered to it, may hold SRTP keys: only peers that proved who they are get it
(RFC 4568 section 7).  The connections of a trunk are made so; here it is checked, at the last place that all
messages pass.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.reaching import channelIn
from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, IServerTransaction
from skypetrunk.wire.message import responseTo
from skypetrunk.wire.uri import SIPURI

_log = Logger()


@implementer(IChannelFinder)
class VerifiedFinder:
    """Lets through only what leads to a verified peer."""

    def __init__(self, finder: IChannelFinder) -> None:
        self._finder = finder

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """As the finder that it stands before; errbacks with L{PeerNotVerified}, too."""
        way = self._finder.find(uri)
        channel = channelIn(way)
        return way if channel is not None and channel.secure is True else way.addCallback(_checked)


def _checked(channel: IMessageChannel) -> IMessageChannel:
    if channel.secure is not True:
        raise PeerNotVerified("a verified TLS connection", str(channel.peer))
    return channel


def fromStranger(transaction: IServerTransaction) -> bool:
    """Did a request come over a connection that proves nothing?  Then it has been refused with 403."""
    channel = transaction.channel
    if channel.secure is True:
        return False
    _log.error("{peer} has not proved who it is: refused", peer=channel.peer)
    transaction.respond(responseTo(transaction.request, 403))
    return True


__all__ = ["VerifiedFinder", "fromStranger"]
