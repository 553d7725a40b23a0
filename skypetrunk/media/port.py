"""A UDP port of a media leg: nothing that arrives there may raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import DatagramProtocol

from skypetrunk.errors import PacketRefused

if TYPE_CHECKING:
    from skypetrunk.media.relay import MediaLeg
    from skypetrunk.media.source import Address

Receive = Callable[[bytes, "Address"], None]

UNSENT = "unsent"
"""The counter of packets that the system did not take: no route, buffer full, peer's port closed."""


class MediaPort(DatagramProtocol):
    """
    One UDP port of a leg.

    @ivar receive: takes each datagram; raises L{PacketRefused}.
    @ivar leg: whose it is, until it is over.
    @ivar send: writes a datagram; raises L{OSError} when the system does not take it.
    """

    noisy = False

    def __init__(self, receive: Receive, leg: MediaLeg) -> None:
        """
        @param receive: takes each datagram; raises L{PacketRefused}.
        @param leg: told of what was refused, and of what nobody foresaw.
        """
        self.receive = receive
        self.leg: MediaLeg | None = leg
        self.send: Callable[[bytes, Address], object] = self._unbound

    def startProtocol(self) -> None:
        """The port is bound."""
        transport: Any = self.transport
        # One datagram for each turn of the reactor: legs share it fairly, and no read is
        # wasted on finding out that a socket is empty.
        transport.maxThroughput = 1
        # The transport looks at the address of each packet; ours were looked at when signalled.
        getHandle: Any = getattr(transport, "getHandle", None)
        self.send = transport.write if getHandle is None else getHandle().sendto

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """A packet came in.  Nothing that is in it may raise from here: each would be a traceback."""
        try:
            self.receive(datagram, addr)
        except PacketRefused as refusal:
            if self.leg is not None:
                self.leg.received.refuse(refusal.reason)
        except Exception:
            if self.leg is not None:
                self.leg.packetFailed()

    def connectionRefused(self) -> None:
        """The peer's port is closed: it may open yet."""

    def forget(self) -> None:
        """The leg is over.  While both refer to each other, both would wait for the garbage collector."""
        self.receive, self.leg, self.send = _unheard, None, self._unbound

    @staticmethod
    def _unbound(datagram: bytes, addr: Address) -> object:
        raise OSError("the port is not bound")


def _unheard(datagram: bytes, addr: Address) -> None:
    """A datagram after the end."""


__all__ = ["UNSENT", "MediaPort", "Receive"]
