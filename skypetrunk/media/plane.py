"""
Where media legs come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EADDRINUSE
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorMulticast, IReactorTime, IReactorUDP
from zope.interface import implementer

from skypetrunk.core.protection import OFF, OPPORTUNISTIC, REQUIRED
from skypetrunk.errors import PortsExhausted
from skypetrunk.interfaces import ANY_PATH, IMediaEndpoint, IMediaLeg, IMediaPlane, MediaHost, MediaPath
from skypetrunk.media.either import EitherLeg
from skypetrunk.media.endpoint import Endpoint
from skypetrunk.media.helper import findHelper
from skypetrunk.media.multicast import Membership
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.ports import PortRange
from skypetrunk.media.relay import MediaLeg, Show
from skypetrunk.media.reporting import ReportClock, Reporter
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.settling import HelpedPoller, mediaReactor
from skypetrunk.media.srtp import DATAGRAM_LIMIT
from skypetrunk.wire.address import literal

Leg = TypeVar("Leg", bound=MediaLeg)

_KINDS: Mapping[str, type[PlainLeg | SecureLeg]] = {
    REQUIRED: SecureLeg,
    OPPORTUNISTIC: EitherLeg,
    OFF: PlainLeg,
}
"""Legs towards a carrier."""


def kindOf(secure: bool, path: MediaPath) -> type[PlainLeg | SecureLeg]:
    """What a leg is, by what L{IMediaPlane.allocate} takes."""
    return _KINDS[path.srtp] if secure else PlainLeg


def withGroup(leg: MediaLeg, reactor: object, interface: str) -> None:
    """
    Where a multicast group is configured C{leg} is able to join it.

    @param reactor: who has multicast, or has not.
    @param interface: address of ours that its ports are bound to.
    """
    if leg.group is not None and isinstance(leg, PlainLeg) and IReactorMulticast.providedBy(reactor):
        leg.joinGroup = partial(Membership, reactor, interface)


class Lease:
    """
    The ports of one leg.

    @ivar port: the first of the two.
    """

    __slots__ = ("_returned", "bound", "port", "reporter")

    def __init__(self, returned: Callable[[Lease], None]) -> None:
        self._returned = returned
        self.port = 0
        self.bound: list[IListeningPort] = []
        self.reporter: Reporter | None = None

    def end(self) -> None:
        """Close them and give them back."""
        self._returned(self)


@implementer(IMediaPlane)
class MediaPlane:
    """
    Binds media ports in this process.

    @ivar openPorts: UDP ports bound now.
    @ivar helped: does the compiled helper relay what is usual?
    """

    def __init__(
        self,
        reactor: IReactorUDP,
        clock: IReactorTime,
        address: str,
        advertise: str | None,
        ports: tuple[int, int],
        entropy: Callable[[int], bytes],
        taps: Callable[[str], tuple[Show, Show] | None] | None = None,
        helped: bool = True,
        opened: Callable[[IListeningPort], object] | None = None,
    ) -> None:
        """
        @param address: literal IPv4 or IPv6 address to bind, where the path of a leg names none.
        @param advertise: what the SDP of legs towards a carrier says instead, where NAT stands between
            us and the carrier; the PBX is on our side of it and is told C{address}, unless
            that is a wildcard.
        @param ports: the first and the last port that may be used.
        @param entropy: that many random octets: C{os.urandom}.
        @param taps: by the name of a call, who is shown what its caller sends, and what the called one does.
        @param helped: whether the compiled helper is used, where it was built.
        @param opened: told of each port that was bound.
        @raise ValueError: not literal, or no pair in the range.
        """
        helper = findHelper() if helped else None
        self._system = reactor
        self._reactor = mediaReactor(reactor, clock, helper)
        self.helped = isinstance(self._reactor, HelpedPoller)
        self._clock = clock
        self._host = MediaHost(address, advertise)
        self._entropy = entropy
        self._taps = taps
        self._opened = opened
        self._ports = PortRange(*ports)
        for each in (address, advertise or address):
            ip_address(each)
        self.openPorts = 0
        self._reports = ReportClock(clock, entropy)

    def allocate(self, name: str, secure: bool, path: MediaPath = ANY_PATH) -> IMediaLeg:
        """
        Bind a pair of ports; see L{IMediaPlane}.

        @raise PortsExhausted: none is left.
        """
        kind = partial(kindOf(secure, path), path=path)
        host = path.hosts[0] if path.hosts else self._host
        leg = self._allocate(kind, name, host, secure)
        withGroup(leg, self._system, host.host)
        self._reports.add(leg)
        return leg

    def endpoint(self, name: str) -> IMediaEndpoint:
        """
        Bind a pair of ports for the end of a call inside this process.

        @raise PortsExhausted: none is left.
        """
        address = ip_address(self._host.host)
        # Its peer is a leg of this plane, and a packet to the wildcard comes from the loopback address.
        near = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else str(address)
        return self._allocate(Endpoint, name, MediaHost(self._host.host, near), True)

    def _allocate(self, kind: Callable[..., Leg], name: str, host: MediaHost, beyond: bool) -> Leg:
        """@param beyond: its peer is beyond NAT; the PBX is on our side of it."""
        lease = Lease(self._returned)
        leg = kind(name, self._clock, self._entropy, lease.end)
        self._take(lease, leg, host, beyond)
        lease.reporter = leg
        return leg

    def _take(self, lease: Lease, leg: MediaLeg, host: MediaHost, beyond: bool) -> None:
        lease.port, lease.bound = self._ports.allocate(lambda port: self._bind(host.host, port, leg))
        inner = not beyond and not literal(host.host).is_unspecified
        leg.bound(host.host, host.host if inner else host.advertised or host.host, lease.port)

    def _returned(self, lease: Lease) -> None:
        reporter, lease.reporter = lease.reporter, None
        if reporter is not None:
            self._reports.remove(reporter)
        self._close(lease.bound)
        self._ports.release(lease.port)

    def join(self, caller: IMediaLeg, called: IMediaLeg, call: str) -> None:
        """Relay between two legs from now on."""
        if not isinstance(caller, MediaLeg) or not isinstance(called, MediaLeg):
            raise TypeError("legs of another media plane cannot be joined here")
        one, other = (self._taps and self._taps(call)) or (None, None)
        caller.join(called, one)
        called.join(caller, other)

    def _opener(self, leg: MediaLeg) -> IReactorUDP:
        """What opens the ports of C{leg}."""
        return self._reactor

    def _bind(self, host: str, port: int, leg: MediaLeg) -> list[IListeningPort] | None:
        bound: list[IListeningPort] = []
        opener = self._opener(leg)
        try:
            for number, protocol in enumerate(leg.openPorts(), port):
                # One octet more than the limit, so that a packet cut off here is seen to be too long.
                opened = opener.listenUDP(
                    number, protocol, interface=host, maxPacketSize=DATAGRAM_LIMIT + 1
                )
                bound.append(opened)
                self.openPorts += 1
                if self._opened is not None:
                    self._opened(opened)
        except CannotListenError as error:
            self._close(bound)
            if error.socketError.errno != EADDRINUSE:
                # No other port would do better: the address is not ours, or there are no descriptors.
                raise PortsExhausted(f"media port {host}: {error.socketError}") from None
            return None
        return bound

    def _close(self, bound: list[IListeningPort]) -> None:
        while bound:
            bound.pop().stopListening()
            self.openPorts -= 1
