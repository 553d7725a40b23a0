"""
The early dialogs of one INVITE that we sent: one for each To tag, each with its own CSeq and RSeq numbers
(RFC 3261 section 12.1.2, RFC 3262 section 4).
"""

from __future__ import annotations

from skypetrunk.core.dialog import Dialog
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response

BRANCHES = 32
"""Early dialogs kept of one INVITE: no carrier forks to more phones, and none can pile them up."""


class EarlyDialogs:
    """Which reliable provisional responses are new, and the PRACKs that they get."""

    __slots__ = ("_answered", "_branches", "_seen")

    def __init__(self) -> None:
        self._branches: dict[str, tuple[Dialog, dict[int, int]]] = {}
        self._seen: dict[str, tuple[Request, Response, NameAddr]] = {}
        self._answered: tuple[str, ...] = ()

    def seen(self, invite: Request, response: Response, contact: NameAddr) -> bool:
        """
        A provisional response to the first INVITE: each To tag is a dialog (RFC 3261 section 12.1).

        @return: false where it is of one too many, and counts for nothing.
        """
        tag = response.toAddress.tag
        if tag and tag not in self._seen:
            if len(self._seen) >= BRANCHES:
                return False
            self._seen[tag] = invite, response, contact
        return True

    def find(self, tag: str) -> Dialog | None:
        """The early dialog with the peer of this tag."""
        if tag not in self._branches:
            if tag not in self._seen:
                return None
            self._branches[tag] = (Dialog.fromResponse(*self._seen[tag]), {})
        return self._branches[tag][0]

    def answered(self, tag: str) -> bool:
        """Was our offer answered reliably on this branch, so that the peer may make one of its own?"""
        return tag in self._answered

    def progressed(
        self, invite: Request, response: Response, contact: NameAddr, confirmed: Dialog | None
    ) -> tuple[Dialog, Request] | None:
        """
        A reliable provisional response.

        @param confirmed: the dialog of a re-INVITE.
        @return: the dialog and its PRACK.  C{None}: it came before, or one before it is missing, and it
            counts for nothing (RFC 3262 section 4); so does one of too many branches.
        """
        tag = response.toAddress.tag or ""
        if tag not in self._branches:
            if confirmed is None and len(self._branches) >= BRANCHES:
                return None
            self._branches[tag] = (confirmed or Dialog.fromResponse(invite, response, contact), {})
        early, numbers = self._branches[tag]
        dialog = confirmed or early
        number = int(response.header("RSeq") or 0)
        last = numbers.get(invite.cseq.number)
        if last is not None and number != last + 1:
            return None
        numbers[invite.cseq.number] = number
        if response.body and invite.body and tag not in self._answered:
            self._answered += (tag,)
        rack = Header("RAck", f"{number} {invite.cseq}")
        return dialog, dialog.makeRequest("PRACK", dialog.reserveSequence(), [rack])

    def continued(self, dialog: Dialog) -> Dialog:
        """
        The dialog of a 2xx, from which C{dialog} was read.  The early one of its branch goes on, as a PRACK
        may have to be sent there again; the route set is that of the 2xx (RFC 3261 section 13.2.2.4).
        """
        self._seen.clear()
        found = self._branches.get(dialog.remote.tag or "")
        if found is None:
            return dialog
        early = found[0]
        early.localSequence = max(dialog.localSequence, early.localSequence)
        early.remote, early.remoteTarget, early.routes = dialog.remote, dialog.remoteTarget, dialog.routes
        return early


def isReliable(response: Response) -> bool:
    """Does a provisional response want a PRACK, and can it have one (RFC 3262 section 4)?"""
    number = response.header("RSeq") or ""
    if not (number.isascii() and number.isdecimal() and 0 < len(number) <= 10):
        return False
    required = ",".join(value for name, value in response.headers if name.lower() == "require")
    return any(each.strip().lower() == "100rel" for each in required.split(","))
