"""
Ports of the lab: pairs taken from the system, and bound in one place.

A fixed number is taken as given; 0 lets the system choose the first, and another is
chosen when its neighbour is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTCP, IReactorTime, IReactorUDP
from twisted.internet.protocol import DatagramProtocol, ServerFactory

__all__ = ["IReactor", "closePorts", "listenBoth", "listenPair", "portNumber"]

P = TypeVar("P", bound=DatagramProtocol)

_TRIES = 50
_DATAGRAM = 8192


class IReactor(IReactorTCP, IReactorUDP, IReactorTime):
    """What the lab wants of a reactor."""


def portNumber(port: IListeningPort) -> int:
    """The number of a bound UDP or TCP port."""
    host = port.getHost()
    assert isinstance(host, IPv4Address | IPv6Address), host
    return host.port


def closePorts(ports: Iterable[IListeningPort]) -> Deferred[None]:
    """Close all of them; fires when none is left."""
    closing = [port.stopListening() for port in ports]
    done = DeferredList([each for each in closing if each is not None], consumeErrors=True)
    return done.addCallback(lambda _: None)


def listenBoth(
    reactor: IReactor, address: str, port: int, datagrams: DatagramProtocol, factory: ServerFactory
) -> tuple[IListeningPort, IListeningPort]:
    """
    Listen with UDP and TCP on one port number.

    @return: the UDP and the TCP port.
    @raise CannotListenError: the port is in use.
    """
    for attempt in range(_TRIES):
        tcp = reactor.listenTCP(port, factory, interface=address)
        try:
            return reactor.listenUDP(portNumber(tcp), datagrams, address, _DATAGRAM), tcp
        except CannotListenError:
            tcp.stopListening()
            if port or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def listenPair(
    reactor: IReactor, address: str, makeRTP: Callable[[], P], makeRTCP: Callable[[], P]
) -> tuple[P, P, tuple[IListeningPort, IListeningPort]]:
    """
    An even port and its odd neighbour (RFC 3550 section 11), from the system.

    @return: the protocols that are bound, and their ports.
    @raise CannotListenError: there seem to be none left.
    """
    error: CannotListenError | None = None
    for _ in range(_TRIES):
        # A protocol serves one port: that of an attempt that failed closes only later
        rtp, rtcp = makeRTP(), makeRTCP()
        first = reactor.listenUDP(0, rtp, address, _DATAGRAM)
        number = portNumber(first)
        if number % 2 == 0:
            try:
                return rtp, rtcp, (first, reactor.listenUDP(number + 1, rtcp, address, _DATAGRAM))
            except CannotListenError as caught:
                error = caught
        first.stopListening()
    raise error or CannotListenError(address, 0, OSError("no even port"))
