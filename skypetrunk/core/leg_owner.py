"""What a leg works with, and whom it tells what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.timers import Timers
from skypetrunk.wire.message import Request, Response

if TYPE_CHECKING:
    from skypetrunk.core.leg import Leg


@dataclass(frozen=True, slots=True)
class Workshop:
    """
    What every leg works with.

    @ivar token: makes random text for tags and Call-IDs.
    @ivar entropy: random octets.
    @ivar register: makes a leg's dialog known, so that requests find it; called again when it changes.
    @ivar unregister: the leg is gone.
    """

    clock: IReactorTime
    timers: Timers
    token: Callable[[], str]
    entropy: Callable[[int], bytes]
    register: Callable[[Leg], None]
    unregister: Callable[[Leg], None]


class LegOwner(Protocol):
    """Who is told what happens on a leg."""

    def legInvited(self, leg: Leg, server: InviteServer) -> None:
        """The peer sent a re-INVITE; answer it with C{server}."""

    def legCancelled(self, leg: Leg, server: InviteServer, cause: str) -> None:
        """The peer took back the INVITE, or its connection broke; no answer is wanted any more."""

    def legAcknowledged(self, leg: Leg, server: InviteServer, ack: Request) -> None:
        """The ACK of our 2xx."""

    def legProgressed(self, leg: Leg, response: Response) -> None:
        """A provisional response to our INVITE."""

    def legAccepted(self, leg: Leg, response: Response) -> None:
        """The 2xx to our INVITE; L{Leg.acknowledge} is to be called."""

    def legFailed(self, leg: Leg, status: int, response: Response | None, reason: str) -> None:
        """
        Our INVITE was refused or went unanswered.  A first INVITE leaves no leg behind, another one
        the session as it was.
        """

    def legCrossed(self, leg: Leg, response: Response) -> None:
        """The 2xx to a re-INVITE that we took back too late; it was acknowledged."""

    def legInformed(self, leg: Leg, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """The peer pressed a key: INFO, of a type that may cross; C{done} takes its status."""

    def legEnded(self, leg: Leg, cause: str) -> None:
        """The peer hung up, or the dialog can go on no longer; the leg ends by itself."""

    def legGone(self, leg: Leg) -> None:
        """Nothing of the leg is left on the wire."""
