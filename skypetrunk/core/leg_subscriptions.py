"""
The REFERs of a leg, and the subscriptions that come with them (RFC 3515): a dialog lives on as long as they
do (RFC 5057 section 4).
"""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.core.answers import CONGESTION
from skypetrunk.core.capabilities import USER_AGENT
from skypetrunk.core.leg_dialog import LegDialog
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.refer import ReferClients
from skypetrunk.core.request_client import Done
from skypetrunk.core.session import Session
from skypetrunk.core.sides import Side
from skypetrunk.errors import CallRefused
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Response

MOST_REFERS = 4
"""REFERs of one dialog whose outcome is not known: nobody transfers one call to more places at a time."""

MOST_OF_SIDE = 500
"""The same of all dialogs with a neighbour: two transfers in each second, none of which is ever told of."""

RETRY_SECONDS = 30
"""When to ask again after that; by then most of those that are told of have ended."""


class LegSubscriptions(LegDialog):
    """
    What a leg has beside its call.

    @ivar refers: our REFERs.
    """

    def __init__(self, call: str, side: Side, session: Session, workshop: Workshop) -> None:
        super().__init__(call, side, session, workshop)
        self.refers = ReferClients(workshop.clock)
        self._referred = False
        self._gone = False

    def refusalOfRefer(self) -> CallRefused | None:
        """Why the peer is asked for no further transfer now."""
        if len(self.refers) >= MOST_REFERS:
            return CallRefused("as many transfers as one call may have are open", 491)
        if self.side.refers >= MOST_OF_SIDE:
            text = f"as many transfers as {self.side.name} may have are open"
            # Not 503: whoever gets a Retry-After with that may make no calls either.
            return CallRefused(text, 480, CONGESTION, RETRY_SECONDS)
        return None

    def refer(self, target: str, done: Done, notified: Callable[[int], None]) -> None:
        """
        Ask the peer to call somebody else (RFC 3515).

        @param target: the Refer-To.
        @param done: takes the answer to the REFER.
        @param notified: takes each status that the peer tells of the call, up to the first final one; 408 if
            it has told none in time.
        """
        dialog = self.dialog
        assert dialog is not None
        sequence = dialog.reserveSequence()
        by = NameAddr(None, dialog.local.uri)
        headers = [Header("Refer-To", target), Header("Referred-By", str(by)), USER_AGENT]
        self.side.refers += 1
        self.refers.sent(sequence, notified, self._referEnded)

        def answered(status: int, response: Response | None) -> None:
            if status >= 300:
                self.refers.forget(sequence)
            done(status, response)

        self.sendRequest(dialog, dialog.makeRequest("REFER", sequence, headers), answered)

    def _referEnded(self) -> None:
        self.side.refers -= 1
        self._leave()

    def _unregister(self) -> None:
        """Requests find this leg no more."""

    def _linger(self) -> None:
        """The call is over; the dialog is, too, unless somebody is still to tell us something."""
        self._gone = True
        self._leave()

    def _leave(self) -> None:
        """The end of the last subscription in a dialog whose call is over."""
        if self._gone and not self.refers:
            self._unregister()
