"""
A PBX whose audio is a multicast group: who belongs to it hears what is sent to it, and so do we.

Ours leave from the ports of the leg, as always; what the others say comes in at two ports more, which only
the group leads to.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from struct import Struct
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

HOPS = 64
"""Routers that a packet of ours may pass, of IPv6: where it ends the group says (RFC 4291 section 2.7)."""

_UNSIGNED = Struct("@I")


class Group(NamedTuple):
    """
    What SDP says of a group (RFC 8866 section 5.7).

    @ivar ttl: through how many routers ours may go, 1 for none; nothing of IPv6.
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
        @param interface: address of ours in the group's network, of the group's IP version.
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
        host = self.group.host
        index = _index(interface)
        place = f"{host}%{index}" if index else host
        port = reactor.listenMulticast(number, protocol, place, DATAGRAM_LIMIT + 1, True)
        self._ports.append(port)
        self._protocols.append(protocol)
        if index:  # Twisted takes an address for it, which IPv6 does not
            membership = socket.inet_pton(socket.AF_INET6, host) + _UNSIGNED.pack(index)
            port.getHandle().setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
            return
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
    if index := _index(interface):
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return
    handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))


def _index(interface: str) -> int:
    """
    The number of the device that has this address.

    @return: 0 for IPv4, which needs none.
    @raise OSError: none has it.
    """
    if ":" not in interface:
        return 0
    wanted = ip_address(interface).packed.hex()
    with open("/proc/net/if_inet6") as table:
        for line in table:
            words = line.split()
            if words[0] == wanted:
                return int(words[1], 16)
    raise OSError(f"no device has {interface}")


__all__ = ["Group", "Membership"]
