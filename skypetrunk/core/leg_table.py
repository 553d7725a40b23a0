"""Which leg a request belongs to (RFC 3261 section 12.2.2)."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from skypetrunk.core.leg import Leg
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.sides import Side
from skypetrunk.core.within_dialog import takeWithin
from skypetrunk.interfaces import IMessageChannel, IServerTransaction
from skypetrunk.wire.message import Request

MOVING_SECONDS = 0.02
"""Between two legs that tell their peers of a new connection: fifty in a second."""


class LegTable:
    """The legs of one process, by Call-ID and our tag; its length is their number."""

    __slots__ = ("_legs",)

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str], list[Leg]] = {}

    def __len__(self) -> int:
        return sum(len(legs) for legs in self._legs.values())

    def register(self, leg: LegClient) -> None:
        """Requests may come for C{leg} from now on."""
        assert leg.key is not None and isinstance(leg, Leg)
        self._legs.setdefault(leg.key, []).append(leg)

    def unregister(self, leg: LegClient) -> None:
        """C{leg} is gone."""
        if leg.key is None:
            return
        legs = self._legs.get(leg.key, [])
        if leg in legs:
            legs.remove(leg)
            if not legs:
                del self._legs[leg.key]

    def find(self, side: Side, callID: str, localTag: str, remoteTag: str) -> Leg | None:
        """The leg with this dialog, established or early, with C{side}."""
        for leg in self._legs.get((callID, localTag), ()):
            if leg.side is side and leg.dialogWith(remoteTag) is not None:
                return leg
        return None

    def moved(self, side: Side, channel: IMessageChannel, clock: IReactorTime) -> None:
        """C{side} is reached over another connection: each leg with it tells its peer, one by one."""
        legs = [leg for legs in self._legs.values() for leg in legs if leg.side is side]
        for number, leg in enumerate(legs):
            clock.callLater(number * MOVING_SECONDS, leg.moved, channel)

    # What a transaction layer tells its user

    def take(self, side: Side, transaction: IServerTransaction) -> bool:
        """Hand a request within a dialog to its leg; false if there is none that takes it now (481)."""
        leg = self._of(side, transaction.request)
        if leg is None or not leg.takes(transaction.request.method):
            return False
        takeWithin(leg, transaction)
        return True

    def ackReceived(self, side: Side, request: Request) -> None:
        """The ACK of a 2xx; one of no dialog is dropped."""
        leg = self._of(side, request)
        if leg is not None:
            leg.ackReceived(request)

    def cancelled(self, transaction: IServerTransaction) -> bool:
        """An INVITE was taken back; false if no leg has it."""
        leg = self._awaiting(transaction.request)
        if leg is not None:
            leg.cancelled(transaction.cancel)
        return leg is not None

    def connectionLost(self, request: Request) -> bool:
        """No answer to C{request} has a way any more: nobody waits for that of an INVITE.  The same."""
        leg = self._awaiting(request)
        if leg is not None:
            leg.connectionLost()
        return leg is not None

    def _of(self, side: Side, request: Request) -> Leg | None:
        tags = request.toAddress.tag or "", request.fromAddress.tag or ""
        return self.find(side, request.callID, *tags)

    def _awaiting(self, request: Request) -> Leg | None:
        """The leg that has not answered the INVITE C{request} yet."""
        for (callID, _), legs in self._legs.items():
            if callID == request.callID:
                for leg in legs:
                    if leg.awaits(request):
                        return leg
        return None
