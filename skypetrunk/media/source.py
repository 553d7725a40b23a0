"""
Whose packets are taken, and where ours go: latching, for one port of a leg.

The signalled address is what the peer's SDP says.  Behind NAT packets come from another
one, and there ours must go; but on the plain side anybody can send packets, and on the
secure side only the tag tells who sent one.
"""

from __future__ import annotations

Address = tuple[str, int]

SILENCE = 0.3
"""Seconds without a packet after which another port of the signalled host may take over."""

SETTLING = 0.5
"""Seconds after a move was signalled in which packets from the old place are still on their way."""


class SignalledSource:
    """
    The plain side: only the signalled host is heard, from any port.  The port it sends
    from is learned, and kept while it is in use; the signalled port goes before any other.

    @ivar destination: where our packets go, or C{None}.
    @ivar host: the only host that is heard, or C{None}: nobody yet.
    """

    def __init__(self) -> None:
        self.destination: Address | None = None
        self.host: str | None = None
        self._signalled: Address | None = None
        self._learned: Address | None = None
        self._heard = 0.0

    def signal(self, address: Address | None) -> None:
        """The SDP says C{address}; C{None} (hold) sends nothing, and still hears the host."""
        self._signalled = self.destination = address
        self._learned = None
        if address is not None:
            self.host = address[0]

    def accepts(self, address: Address, now: float) -> bool:
        """Is a packet from C{address} at time C{now} (seconds) the peer's?"""
        if address == self._learned:
            self._heard = now
            return True
        if address[0] != self.host:
            return False
        if self._learned is not None and address != self._signalled and now - self._heard < SILENCE:
            return False
        self._learned = address
        self._heard = now
        if self._signalled is not None:
            self.destination = address
        return True


class AuthenticatedSource:
    """
    The secure side: where the last authenticated packet came from.

    When the SDP names a new address, that is where ours go at once: the new place may wait
    for our first packet.  Packets from the old place decide again once none can be left on
    the way, since behind NAT the signalled address may be nobody's.

    @ivar destination: where our packets go, or C{None}.
    """

    def __init__(self) -> None:
        self.destination: Address | None = None
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
        self.destination = self._learned or address

    def authenticated(self, address: Address, now: float) -> None:
        """A packet from C{address} proved to be the peer's."""
        if address == self._learned:
            return
        if address == self._left and now - self._moved < SETTLING:
            return
        self._learned = address
        if self.destination is not None:
            self.destination = address
