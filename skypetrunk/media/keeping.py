"""
Where the legs of calls are kept, in this process or in a worker: by number, and told what to do by name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTime

from skypetrunk.interfaces import LegStatistics, MediaPath
from skypetrunk.media.connecting import disconnect
from skypetrunk.media.heard import Heard
from skypetrunk.media.plane import kindOf, withGroup
from skypetrunk.media.relay import MediaLeg, Show
from skypetrunk.media.reporting import ReportClock
from skypetrunk.media.srtp import DATAGRAM_LIMIT

ORDERS = frozenset(
    {
        *("hearKeys", "sendKey", "setClear", "setLocalKey", "setPacketTime", "setPayloadTypes"),
        *("goOn", "hearOn", "setFax", "setRemote", "setRemoteKey", "setSending"),
    }
)
"""
What a leg is told by name: methods of L{skypetrunk.interfaces.IMediaLeg} that give nothing back; and what was
before: C{goOn} and, of L{skypetrunk.media.secure.SecureLeg}, C{hearOn}.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """
    What a leg is made of, beside its sockets.

    @ivar secure: see L{skypetrunk.interfaces.IMediaPlane.allocate}.
    @ivar host: literal address that they are bound to.
    @ivar shown: the one that our SDP says.
    @ivar port: of RTP; RTCP is on the next.
    """

    name: str
    secure: bool
    path: MediaPath
    host: str
    shown: str
    port: int


class Keeper(Protocol):
    """
    Keeps legs.  Orders are carried out one after the other; what can be wrong with them was found out before.

    @ivar alive: false: what it kept is lost.
    @ivar legs: how many it keeps.
    """

    alive: bool

    @property
    def legs(self) -> int:
        """How many it keeps."""

    def open(self, opening: Opening, rtp: socket.socket, rtcp: socket.socket) -> int:
        """
        A new leg that reads these sockets, which stay open here.

        @return: its number.
        """

    def order(self, number: int, name: str, *arguments: object) -> None:
        """
        Tell a leg something.

        @param name: one of L{ORDERS}.
        """

    def join(self, caller: int, called: int, shows: tuple[Show, Show] | None = None) -> None:
        """
        Relay between two of its legs.

        @param shows: who gets what the caller sends, and what the called one does; here only.
        """

    def statistics(self, number: int) -> LegStatistics | None:
        """Of a leg, as far as they are known here."""

    def unheard(self, number: int) -> bool:
        """See L{skypetrunk.interfaces.IMediaLeg}; as far as it is known here."""

    def heard(self, number: int) -> tuple[Heard, ...]:
        """What was accepted of a leg's peer, for each of its keys that is known here; the latest last."""

    def release(
        self, number: int, tell: Callable[[Heard], object] | None = None
    ) -> Deferred[LegStatistics | None]:
        """
        Close a leg.  Fires with the final counters, with the last known where they cannot be had.

        @param tell: called before, with each of L{heard} by then, where the leg goes to another keeper.
        """


class LocalKeeper:
    """
    Keeps legs in this process.

    @ivar alive: it is.
    """

    alive = True

    def __init__(
        self, poller: Any, clock: IReactorTime, entropy: Callable[[int], bytes], reactor: object
    ) -> None:
        """
        @param poller: a L{skypetrunk.media.poller.Poller}.
        @param entropy: that many random octets.
        @param reactor: of this process.
        """
        self._poller = poller
        self._reactor = reactor
        self._clock = clock
        self._entropy = entropy
        self._numbers = count(1)
        self._legs: dict[int, MediaLeg] = {}
        self._reports = ReportClock(clock, entropy)

    @property
    def legs(self) -> int:
        """How many it keeps."""
        return len(self._legs)

    def open(self, opening: Opening, rtp: socket.socket, rtcp: socket.socket) -> int:
        """See L{Keeper}."""
        number = next(self._numbers)
        self.take(number, opening, rtp, rtcp, lent=True)
        return number

    def take(
        self, number: int, opening: Opening, rtp: socket.socket, rtcp: socket.socket, lent: bool = False
    ) -> None:
        """
        The same with a given number.

        @param lent: the sockets are not ours, and stay open.
        """
        ports: list[IListeningPort] = []

        def close() -> None:
            while ports:
                ports.pop().stopListening()

        kind = kindOf(opening.secure, opening.path)
        leg: MediaLeg = kind(opening.name, self._clock, self._entropy, close, opening.path)
        disconnect(rtp)  # who kept it before may have lost it while it was connected
        for opened, protocol in zip((rtp, rtcp), leg.openPorts(), strict=True):
            protocol.shared = True
            ports.append(self._poller.adopt(opened, protocol, DATAGRAM_LIMIT + 1, lent))
        leg.bound(opening.host, opening.shown, opening.port)
        withGroup(leg, self._reactor, opening.host)
        self._reports.add(leg)
        self._legs[number] = leg

    def order(self, number: int, name: str, *arguments: object) -> None:
        """See L{Keeper}."""
        if name not in ORDERS:
            raise ValueError(f"no order: {name}")
        getattr(self._legs[number], name)(*arguments)

    def join(self, caller: int, called: int, shows: tuple[Show, Show] | None = None) -> None:
        """See L{Keeper}."""
        one, other = shows or (None, None)
        calling, answering = self._legs[caller], self._legs[called]
        calling.join(answering, one)
        answering.join(calling, other)

    def statistics(self, number: int) -> LegStatistics | None:
        """Exactly."""
        leg = self._legs.get(number)
        return None if leg is None else leg.statistics()

    def unheard(self, number: int) -> bool:
        """See L{Keeper}."""
        return number in self._legs and self._legs[number].unheard

    def heard(self, number: int) -> tuple[Heard, ...]:
        """Exactly."""
        leg = self._legs.get(number)
        if leg is None:
            return ()
        accepted, tick = leg.accepted, leg.received.reception.tick
        return tuple(each if tick is None else replace(each, tick=tick) for each in accepted)

    def leg(self, number: int) -> MediaLeg:
        """The one of this number."""
        return self._legs[number]

    def packets(self, number: int) -> tuple[int, ...]:
        """What has come and gone on a leg, of which the rest is made; empty if there is no such leg."""
        leg = self._legs.get(number)
        if leg is None:
            return ()
        leg.sync()
        return (
            *(leg.received.packets, leg.received.rtcpPackets, leg.received.refused),
            *(leg.sent.packets, leg.sent.rtcpPackets, leg.sent.refused),
            *leg.faxed,
        )

    def release(
        self, number: int, tell: Callable[[Heard], object] | None = None
    ) -> Deferred[LegStatistics | None]:
        """Fires at once."""
        if tell is not None:
            for heard in self.heard(number):
                tell(heard)
        leg = self._legs.pop(number)
        self._reports.remove(leg)
        return succeed(leg.release())

    def numbers(self) -> tuple[int, ...]:
        """Of all legs."""
        return tuple(self._legs)


__all__ = ["ORDERS", "Keeper", "LocalKeeper", "Opening"]
