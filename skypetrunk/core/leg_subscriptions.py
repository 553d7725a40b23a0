"""
The REFERs of a leg, and the subscriptions that come with them (RFC 3515): a dialog lives on as long as they
do (RFC 5057 section 4).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from skypetrunk.core.capabilities import AGENT
from skypetrunk.core.leg_dialog import LegDialog
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.refer import SUBSCRIPTION_SECONDS, ReferClients
from skypetrunk.core.request_client import Done
from skypetrunk.core.session import Session
from skypetrunk.core.sides import Side
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Response


class LegSubscriptions(LegDialog):
    """
    What a leg has beside its call.

    @ivar refers: our REFERs.
    """

    def __init__(self, call: str, side: Side, session: Session, workshop: Workshop) -> None:
        super().__init__(call, side, session, workshop)
        self.refers = ReferClients()
        self._referred = False
        self._gone = False
        self._subscribed: IDelayedCall | None = None

    def refer(self, target: str, done: Done, notified: Callable[[int], None]) -> None:
        """
        Ask the peer to call somebody else (RFC 3515).

        @param target: the Refer-To.
        @param done: takes the answer to the REFER.
        @param notified: takes each status that the peer tells of the call, up to the first final one.
        """
        dialog = self.dialog
        assert dialog is not None
        sequence = dialog.reserveSequence()
        by = NameAddr(None, dialog.local.uri)
        headers = [Header("Refer-To", target), Header("Referred-By", str(by)), Header("User-Agent", AGENT)]
        self.refers.sent(sequence, notified)

        def answered(status: int, response: Response | None) -> None:
            if status >= 300:
                self.refers.forget(sequence)
                self._leave()
            done(status, response)

        self.sendRequest(dialog, dialog.makeRequest("REFER", sequence, headers), answered)

    def _unregister(self) -> None:
        """Requests find this leg no more."""

    def _linger(self) -> None:
        """The call is over; the dialog is, too, unless somebody is still to tell us something."""
        self._gone = True
        if self.refers:
            self._subscribed = self._workshop.clock.callLater(SUBSCRIPTION_SECONDS, self._forgotten)
        self._leave()

    def _leave(self) -> None:
        """The end of the last subscription in a dialog whose call is over."""
        if not self._gone or self.refers:
            return
        if self._subscribed is not None and self._subscribed.active():
            self._subscribed.cancel()
        self._unregister()

    def _forgotten(self) -> None:
        self.refers = ReferClients()
        self._leave()
