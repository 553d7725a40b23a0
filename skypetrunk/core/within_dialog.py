"""Requests within a dialog (RFC 3261 section 12.2.2): each method to what a leg makes of it."""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.core.capabilities import ACCEPT, ALLOW, SUPPORTED, notTaken
from skypetrunk.core.leg import Leg
from skypetrunk.interfaces import IServerTransaction

_TAKEN: dict[str, Callable[[Leg, IServerTransaction], None]] = {
    "BYE": Leg.byeReceived,
    "INFO": Leg.infoReceived,
    "INVITE": Leg.reinvited,
    "NOTIFY": Leg.notifyReceived,
    "PRACK": Leg.prackReceived,
    "REFER": Leg.referReceived,
    "UPDATE": Leg.updateReceived,
}


def takeWithin(leg: Leg, transaction: IServerTransaction) -> None:
    """A request that belongs to C{leg}, which L{takes<Leg.takes>} it now."""
    method = transaction.request.method
    if method == "OPTIONS":
        leg.respond(transaction, 200, [ALLOW, SUPPORTED, ACCEPT])
    elif method in _TAKEN:
        _TAKEN[method](leg, transaction)
    else:
        leg.respond(transaction, notTaken(method), [ALLOW])


__all__ = ["takeWithin"]
