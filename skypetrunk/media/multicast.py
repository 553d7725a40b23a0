"""
A PBX whose audio is a multicast group: who belongs to it hears what is sent to it, and so do we.

Ours leave from the ports of the leg, as always; what the others say comes in at two ports more, which only
the group leads to.
"""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, ISystemHandle
from twisted.python.failure import Failure

from skypetrunk.errors import MalformedSDP
from skypetrunk.media.port import MediaPort, Receive
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.source import Address
from skypetrunk.media.srtp import DATAGRAM_LIMIT


class Group(NamedTuple):
    """
    What SDP says of a group (RFC 8866 section 5.7).

    @ivar ttl: through how many routers ours may go, 1 for none.
    """

    host: str
    port: int
    rtcpPort: int
    ttl: int


class Membership:
    """A leg takes part in a group, until it leaves."""

    def __init__(self, reactor: Any, interface: str, leg: MediaLeg, group: Group) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorMulticast}.
        @param interface: IPv4 address of ours in the group's network.
        @raise MalformedSDP: the group cannot be joined (488).
        """
        self.group = group
        self._ports: list[IListeningPort] = []
        self._protocols: list[MediaPort] = []
        own = leg.address.port, leg.address.rtcpPort
        try:
            for place, number, receive in (
                (own[0], group.port, leg.rtpReceived),
                (own[1], group.rtcpPort, leg.rtcpReceived),
            ):
                if number:
                    others = _fromOthers((interface, place), receive)
                    self._join(reactor, interface, number, MediaPort(others, leg))
            for port in (leg.rtpPort, leg.rtcpPort):
                _sendTo(port, interface, group.ttl)
        except (CannotListenError, OSError) as error:
            self.leave()
            raise MalformedSDP(f"the group {group.host} cannot be joined: {error}", warning=301) from None

    def _join(self, reactor: Any, interface: str, number: int, protocol: MediaPort) -> None:
        # Bound to the group, it gets nothing that is sent to us, or to another group at the same port.
        port = reactor.listenMulticast(number, protocol, self.group.host, DATAGRAM_LIMIT + 1, True)
        self._ports.append(port)
        self._protocols.append(protocol)
        failures: list[Failure] = []
        # Both are literal, so that all is done at once.
        joined: Deferred[Any] = port.joinGroup(self.group.host, interface)
        joined.addErrback(failures.append)
        if failures:
            raise OSError(failures[0].getErrorMessage())

    def leave(self) -> None:
        """Hear it no longer."""
        while self._ports:
            self._ports.pop().stopListening()
        while self._protocols:
            self._protocols.pop().forget()


def _fromOthers(own: Address, receive: Receive) -> Receive:
    """What we send comes back, as to all who listen on this machine."""

    def received(packet: bytes, address: Address) -> None:
        if address != own:
            receive(packet, address)

    return received


def _sendTo(port: MediaPort, interface: str, ttl: int) -> None:
    transport: Any = port.transport
    if not ISystemHandle.providedBy(transport):
        return
    handle: Any = transport.getHandle()
    handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))


__all__ = ["Group", "Membership"]
