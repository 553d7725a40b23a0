"""
Whose packets are taken, and where ours go: latching, for one port of a leg.

The signalled address is what the peer's SDP says.  Behind NAT packets come from another
one, and there ours must go; but on the plain side anybody can send packets, and on the
secure side only the tag tells who sent one.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from skypetrunk.interfaces import ANY_PATH, MediaPath
from skypetrunk.wire.address import literal

Address = tuple[str, int]

SILENCE = 0.3
"""Seconds without a packet after which another port of the signalled host may take over."""

SETTLING = 0.5
"""Seconds after a move was signalled in which packets from the old place are still on their way."""


_ALLOWED, _HOST, _SIGNALLED = range(3)
"""How sure it is that a source is the peer: in an allowed network, the signalled host, the very port."""


class SignalledSource:
    """
    The plain side: the signalled host is heard, from any port, and hosts that are allowed besides.  Where
    it sends from is learned, and kept while it is in use.  A source that is more surely the peer takes
    over at once, the signalled port from all others; any other one after L{SILENCE} only.

    @ivar destination: where our packets go, or C{None}.
    @ivar host: the signalled host, or C{None}: nobody is heard yet.
    """

    def __init__(self, path: MediaPath = ANY_PATH) -> None:
        self.destination: Address | None = None
        self.host: str | None = None
        self._path = path
        self._signalled: Address | None = None
        self._learned: Address | None = None
        self._sureness = _ALLOWED
        self._heard = 0.0

    def signal(self, address: Address | None) -> None:
        """
        The SDP says C{address}; C{None} (hold) sends nothing, and still hears the host.  The same again, as
        in a refresh, leaves ours their way, which behind NAT is what was learned, until somebody sends.
        """
        if address is not None and address == self._signalled:
            self._heard = -SILENCE
            return
        self._signalled = self.destination = address
        self._learned = None
        if address is not None:
            self.host = address[0]

    def allows(self, host: str) -> bool:
        """May C{host} be the peer, if what it sends is media?"""
        if host == self.host:
            return True
        if self.host is None or not self._path.allow:
            return False
        if self._learned is not None and host == self._learned[0]:
            return True
        literal = ip_address(host)
        return any(literal in network for network in self._path.allow)

    def usual(self) -> Address | None:
        """Who is heard without a question."""
        return self._learned

    @property
    def steady(self) -> Address | None:
        """The peer, if it is where its SDP says, and ours go there."""
        return self.destination if self._learned == self._signalled == self.destination else None

    @property
    def heard(self) -> float:
        """When the last packet from there came (seconds)."""
        return self._heard

    def went(self, now: float) -> None:
        """Packets from there came, the last one at C{now} (seconds)."""
        self._heard = now

    def accepts(self, address: Address, now: float) -> bool:
        """Is a packet from C{address}, whose host is allowed, at time C{now} (seconds) the peer's?"""
        if address == self._learned:
            self._heard = now
            return True
        if not self.allows(address[0]):
            return False
        sureness = (
            _SIGNALLED if address == self._signalled else _HOST if address[0] == self.host else _ALLOWED
        )
        inUse = self._learned is not None and now - self._heard < SILENCE
        if inUse and sureness <= self._sureness:
            return False
        self._learned = address
        self._sureness = sureness
        self._heard = now
        if self._signalled is not None and self._path.symmetric and self.host != self._path.group:
            self.destination = address
        return True


class AuthenticatedSource:
    """
    The secure side: where the last authenticated packet came from.

    When the SDP names a new address, that is where ours go at once: the new place may wait
    for our first packet.  Packets from the old place decide again once none can be left on
    the way, since behind NAT the signalled address may be nobody's.

    A peer that is not symmetric gets ours where its SDP says, wherever its own come from.

    @ivar destination: where our packets go, or C{None}.
    @ivar heard: when the last authentic packet from where they are learned to come came (seconds).
    """

    def __init__(self, path: MediaPath = ANY_PATH) -> None:
        self.destination: Address | None = None
        self.heard = 0.0
        self._symmetric = path.symmetric
        self._signalled: Address | None = None
        self._learned: Address | None = None
        self._left: Address | None = None
        self._moved = 0.0

    def signal(self, address: Address | None, now: float) -> None:
        """The SDP says C{address}; C{None} is hold: nothing is sent, what was learned is kept."""
        if address is None:
            self.destination = None
            return
        if address != self._signalled:
            if self._signalled is not None:  # else what was learned came early, before the answer
                self._left, self._learned = self._learned, None
                self._moved = now
            self._signalled = address
        self.destination = (self._learned if self._symmetric else None) or address

    def usual(self) -> Address | None:
        """From whom an authenticated packet changes nothing."""
        return self._learned

    @property
    def steady(self) -> Address | None:
        """The peer, if it is where its SDP says, and ours go there."""
        return self.destination if self._learned == self._signalled == self.destination else None

    def went(self, now: float) -> None:
        """Packets from there came, the last one at C{now} (seconds)."""
        self.heard = now

    def authenticated(self, address: Address, now: float) -> None:
        """A packet from C{address} proved to be the peer's."""
        if address == self._learned:
            self.heard = now
            return
        if address == self._left and now - self._moved < SETTLING:
            return
        self._learned = address
        self.heard = now
        if self.destination is not None and self._symmetric:
            self.destination = address


@lru_cache(maxsize=1000)
def signalledHost(host: str) -> tuple[str, int, bool, bool]:
    """A host of SDP as packets come from it, its IP version, and whether it is none, or a group."""
    address = literal(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address), address.version, address.is_unspecified, address.is_multicast
