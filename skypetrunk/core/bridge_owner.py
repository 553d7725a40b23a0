"""Whom a bridge tells how its call goes, and how long a call may ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallEnded, CallRequest, LegStatistics

if TYPE_CHECKING:
    from skypetrunk.core.bridge import Bridge
    from skypetrunk.core.leg import Leg
    from skypetrunk.core.refer import ReferServer
    from skypetrunk.core.sides import Side
    from skypetrunk.core.transferable import Transferable

RINGING_SECONDS = 180.0
"""How long a call may ring; RFC 3261 section 16.6 (timer C) wants more than three minutes of a proxy,
a phone gives up long before."""


class BridgeOwner(Protocol):
    """Who holds the calls."""

    def bridgeAnswered(self, bridge: Bridge) -> None:
        """Both sides are connected."""

    def bridgeEnded(self, bridge: Bridge, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """The call is over, media is given back."""

    def refusal(self, side: Side, asked: CallRequest) -> CallRefused | None:
        """Why there is no room for this call, before anything is taken for it."""

    def bridgeReferred(
        self, bridge: Transferable, referrer: Leg, transferee: Leg, refer: ReferServer
    ) -> None:
        """One side of a call that stands wants the other to call somebody else; answer it with C{refer}."""

    def bridgeGone(self, bridge: Bridge) -> None:
        """Nothing of the call is left on the wire."""
