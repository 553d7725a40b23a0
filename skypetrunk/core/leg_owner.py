"""What a leg works with, and whom it tells what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.interfaces import IReactorTime

from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.timers import Timers
from skypetrunk.core.update import UpdateServer
from skypetrunk.wire.message import Request, Response

if TYPE_CHECKING:
    from skypetrunk.core.leg import Leg
    from skypetrunk.core.leg_client import LegClient


@dataclass(frozen=True, slots=True)
class Workshop:
    """
    What every leg works with.

    @ivar token: makes random text for tags and Call-IDs.
    @ivar entropy: random octets.
    @ivar register: makes a leg known by its key, so that requests find it.
    @ivar unregister: the leg is gone.
    """

    clock: IReactorTime
    timers: Timers
    token: Callable[[], str]
    entropy: Callable[[int], bytes]
    register: Callable[[LegClient], None]
    unregister: Callable[[LegClient], None]


class LegOwner(Protocol):
    """Who is told what happens on a leg."""

    def legInvited(self, leg: Leg, server: InviteServer | UpdateServer) -> None:
        """The peer sent a re-INVITE, or an UPDATE with an offer; answer it with C{server}."""

    def legReoffered(self, leg: Leg, body: bytes, tag: str) -> bytes:
        """
        The peer offers anew before the call is answered: UPDATE or PRACK.

        @param tag: of the branch, where it is our INVITE that rings there.
        @return: the answer.
        @raise RemoteError: it cannot be taken; nothing has changed.
        """

    def legCancelled(self, leg: Leg, server: InviteServer, cause: str) -> None:
        """The peer took back the INVITE, or its connection broke; no answer is wanted any more."""

    def legAcknowledged(self, leg: Leg, server: InviteServer, ack: Request) -> None:
        """The ACK of our 2xx."""

    def legProgressed(self, leg: LegClient, response: Response) -> None:
        """A provisional response to our INVITE."""

    def legAccepted(self, leg: LegClient, response: Response) -> None:
        """The 2xx to our INVITE; L{Leg.acknowledge} is to be called."""

    def legSilent(self, leg: LegClient) -> None:
        """Our first INVITE has no answer within the patience of its side."""

    def legFailed(self, leg: LegClient, status: int, response: Response | None, reason: str) -> None:
        """
        Our INVITE was refused or went unanswered.  A first INVITE leaves no leg behind, another one
        the session as it was.
        """

    def legCrossed(self, leg: LegClient, response: Response) -> None:
        """The 2xx to a re-INVITE that we took back too late; it was acknowledged."""

    def legOffered(self, leg: LegClient, response: Response) -> bytes:
        """
        The 2xx to a re-INVITE without an offer that we took back too late holds one.

        @return: its answer, for the ACK, which is sent after that; empty if there is none.
        """

    def legInformed(self, leg: Leg, kind: str, body: bytes, done: Callable[[int], None]) -> None:
        """The peer pressed a key: INFO, of a type that may cross; C{done} takes its status."""

    def legReferred(self, leg: Leg, refer: ReferServer) -> None:
        """The peer wants the other side to call somebody else; answer it with C{refer}."""

    def legEnded(self, leg: LegClient, cause: str) -> None:
        """The peer hung up, or the dialog can go on no longer; the leg ends by itself."""

    def legGone(self, leg: LegClient) -> None:
        """Nothing of the leg is left on the wire."""


class Nobody:
    """The L{LegOwner} of a leg whose call is over, when a branch still answers its INVITE."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Nothing of what happens matters to anybody."""
        return _ignore


def _ignore(*what: object) -> None:
    """Nobody hears of it."""


NOBODY = cast(LegOwner, Nobody())
