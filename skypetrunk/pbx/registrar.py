"""A registrar for one PBX, and its table of where that PBX is (RFC 3261 section 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.logger import Logger

from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.headers import STAR, NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI

SHORTEST = 60
"""Seconds; who asks for less would have us do little else (RFC 3261 section 10.2.8)."""

LONGEST = 3600
"""Seconds that are granted at most: a PBX that is gone is not called for longer."""

_BINDINGS = 5
"""A PBX that starts again with another port leaves its old Contact behind."""


@frozen
class Binding:
    """
    One place where the PBX takes calls.

    @ivar uri: as registered.
    @ivar source: where the REGISTER came from.
    @ivar until: the clock's time when it ends.
    """

    uri: SIPURI
    source: TransportAddress
    until: float
    callID: str
    sequence: int


class _Refused(Exception):
    """A REGISTER is answered with C{status}, and nothing has changed."""

    def __init__(self, status: int, *headers: Header) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class Registrar:
    """Registrations of one account."""

    _log = Logger()

    def __init__(self, username: str, seconds: Callable[[], float], token: Callable[[], str]) -> None:
        self._username = username
        self._seconds = seconds
        self._token = token
        self._bindings: dict[str, Binding] = {}

    def bindings(self) -> Sequence[Binding]:
        """Those that have not ended, the newest last."""
        now = self._seconds()
        for key in [key for key, binding in self._bindings.items() if binding.until <= now]:
            del self._bindings[key]
        return tuple(self._bindings.values())

    def find(self) -> Binding | None:
        """Where the PBX is: what was registered, or refreshed, last."""
        bindings = self.bindings()
        return bindings[-1] if bindings else None

    def left(self, binding: Binding) -> int:
        """Seconds until its end."""
        return max(round(binding.until - self._seconds()), 1)

    def register(self, request: Request, source: TransportAddress) -> Response:
        """The answer to a REGISTER of who has proved to be the PBX."""
        before = self.find()
        try:
            self._update(request, source)
        except _Refused as refusal:
            return responseTo(request, refusal.status, headers=refusal.headers, toTag=self._token())
        after = self.find()
        if (before and before.uri) != (after and after.uri):
            where = "not registered any more" if after is None else f"registered at {after.uri} from {source}"
            self._log.info("{username}: {where}", username=self._username, where=where)
        contacts = [
            Header("Contact", f"<{binding.uri}>;expires={self.left(binding)}") for binding in self.bindings()
        ]
        return responseTo(request, 200, headers=contacts, toTag=self._token())

    def _update(self, request: Request, source: TransportAddress) -> None:
        # Section 10.3, step by step from 5: the account, then everything of the request or nothing.
        account = request.toAddress.uri
        if not isinstance(account, SIPURI) or account.userUnescaped != self._username:
            raise _Refused(404)
        callID, sequence = request.callID, request.cseq.number
        self.bindings()
        updated = dict(self._bindings)
        contacts = request.contacts
        if contacts is STAR:
            if request.header("Expires") != "0":
                raise _Refused(400)
            for key, known in self._bindings.items():
                self._checkOrder(known, callID, sequence)
                del updated[key]
        else:
            for contact in contacts:
                self._bind(updated, request, contact, source)
        while len(updated) > _BINDINGS:
            del updated[next(iter(updated))]
        self._bindings = updated

    def _bind(
        self, updated: dict[str, Binding], request: Request, contact: NameAddr, source: TransportAddress
    ) -> None:
        uri = contact.uri
        if not isinstance(uri, SIPURI) or (uri.scheme == "sips" and source.transport != "TLS"):
            raise _Refused(400)
        asked = _seconds(contact.params.get("expires") or request.header("Expires"))
        if 0 < asked < SHORTEST:
            raise _Refused(423, Header("Min-Expires", str(SHORTEST)))
        # Text and not equivalence: what differs in a parameter is another place.
        key = str(uri)
        known = updated.pop(key, None)
        if known is not None:
            self._checkOrder(known, request.callID, request.cseq.number)
        if asked:
            until = self._seconds() + min(asked, LONGEST)
            updated[key] = Binding(uri, source, until, request.callID, request.cseq.number)

    def _checkOrder(self, known: Binding, callID: str, sequence: int) -> None:
        """A REGISTER that was overtaken changes nothing (step 7)."""
        if known.callID == callID and sequence <= known.sequence:
            raise _Refused(500)


def _seconds(text: str | None) -> int:
    """What is no number counts as an hour (section 10.2.1.1 and 20.19)."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else LONGEST
