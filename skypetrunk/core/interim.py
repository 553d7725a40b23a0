"""What stands for a connection that was lost, until there is another one."""

from __future__ import annotations

from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response

MOST_KEPT = 16
"""Messages kept for one transaction: provisional responses and the final one."""


@implementer(IMessageChannel)
class Interim:
    """
    Keeps what is to be sent; it stays a way to where the lost connection led.

    @ivar kept: in order.
    """

    __slots__ = ("kept", "localAddress", "peer", "reliable", "secure")

    def __init__(self, lost: IMessageChannel) -> None:
        self.reliable: bool = lost.reliable
        self.secure: bool = lost.secure
        self.localAddress: TransportAddress = lost.localAddress
        self.peer: TransportAddress = lost.peer
        self.kept: list[Request | Response] = []

    def send(self, message: Request | Response) -> None:
        """
        Keep C{message}.

        @raise ChannelFailed: too many wait already.
        """
        if len(self.kept) >= MOST_KEPT:
            raise ChannelFailed("the connection was lost, and too much waits for another")
        self.kept.append(message)

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """Itself."""
        return self


__all__ = ["Interim"]
