"""
UPDATE (RFC 3311): a change of the session, or of one's own address, by a request that is answered at once.

Both ends have the shape of those of a re-INVITE, so that a leg and the bridge treat them alike, and one may
go on as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from skypetrunk.core.request_client import Done
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.wire.message import Header, Request, Response

UPDATE_SECONDS = 20.0
"""How long the other leg may take: an UPDATE is to be answered before its transaction ends, after 64*T1."""


class UpdateServer:
    """One UPDATE received, whose answer waits for the other leg."""

    __slots__ = ("request", "_transaction")

    def __init__(self, transaction: IServerTransaction) -> None:
        self.request: Request = transaction.request
        self._transaction = transaction

    def progress(self, response: Response) -> None:
        """Nothing: an UPDATE has no provisional responses."""

    def accept(self, response: Response) -> None:
        """Send the 2xx."""
        self._transaction.respond(response)

    def refuse(self, response: Response) -> None:
        """Send another final response."""
        self._transaction.respond(response)

    def cancel(self, response: Response) -> None:
        """Nothing: an UPDATE cannot be taken back."""


class UpdateClientUser(Protocol):
    """Who sent the UPDATE; exactly one of the first two is called."""

    def updateAccepted(self, client: UpdateClient, response: Response) -> None:
        """A 2xx."""

    def updateFailed(self, client: UpdateClient, status: int, response: Response | None) -> None:
        """Refused; or 408 for silence, 503 when nothing could be reached."""

    def updateTooBrief(self, client: UpdateClient, response: Response) -> Request | None:
        """A 422 (RFC 4028 section 7.3): the UPDATE to send instead, or C{None} to let it fail."""


class UpdateClient:
    """
    One UPDATE sent.

    @ivar request: as last sent, without Via and credentials.
    """

    __slots__ = ("request", "_send", "_user")

    def __init__(
        self, request: Request, user: UpdateClientUser, send: Callable[[Request, Done], None]
    ) -> None:
        """
        @param send: sends a request of the dialog, and tells of its final response.
        """
        self.request = request
        self._user = user
        self._send = send

    def start(self) -> None:
        """Send it."""
        self._send(self.request, self._done)

    def cancel(self, reasons: Sequence[Header] = ()) -> None:
        """Nothing: an UPDATE cannot be taken back."""

    def _done(self, status: int, response: Response | None) -> None:
        if response is not None and status < 300:
            self._user.updateAccepted(self, response)
            return
        retry = None
        if response is not None and status == 422:
            retry = self._user.updateTooBrief(self, response)
        if retry is None:
            self._user.updateFailed(self, status, response)
        else:
            self.request = retry
            self.start()


__all__ = ["UPDATE_SECONDS", "UpdateClient", "UpdateClientUser", "UpdateServer"]
