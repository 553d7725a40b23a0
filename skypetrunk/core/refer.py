"""
REFER within a dialog, and the NOTIFYs of its implicit subscription (RFC 3515): at the one who got it, and at
the one who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.capabilities import USER_AGENT
from skypetrunk.core.dialog import Dialog
from skypetrunk.core.request_client import Done
from skypetrunk.errors import RemoteError
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.headers import NameAddr, parseNameAddrs
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.reasons import reasonPhrase
from skypetrunk.wire.replaces import Replaces, parseReplaces
from skypetrunk.wire.uri import SIPURI

SIPFRAG = "message/sipfrag"
SUBSCRIPTION_SECONDS = 240
"""How long a subscription lives, of theirs and of ours: longer than a call may ring."""

_status = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t\r\n]|$)", re.IGNORECASE).match

SendRequest = Callable[[Dialog, Request, Done], None]
Respond = Callable[[int, Sequence[Header]], None]


class ReferRefused(RemoteError):
    """A REFER that cannot be carried out, whatever the policy is."""


@dataclass(frozen=True, slots=True)
class Referral:
    """
    What a REFER asks for.

    @ivar target: whom to call, without its headers.
    @ivar replaces: the call that is to be taken over there, if there is one.
    """

    target: NameAddr
    replaces: Replaces | None


def readReferral(request: Request) -> Referral:
    """
    The Refer-To of a REFER (RFC 3515 section 2.1).

    @raise ReferRefused: none or several (400); another method than INVITE, or headers that we do not know and
        may not pass over (603).
    @raise MalformedMessage: it breaks its grammar.
    """
    addresses = parseNameAddrs(request.values("Refer-To"))
    if len(addresses) != 1:
        raise ReferRefused("wanted one Refer-To", 400)
    [target] = addresses
    uri = target.uri
    if not isinstance(uri, SIPURI):
        return Referral(target, None)
    if (uri.params.get("method") or "INVITE").upper() != "INVITE":
        raise ReferRefused("another method than INVITE", 603)
    replaces = None
    for name, value in uri.headers:
        if unescape(name).lower() == "replaces":
            replaces = parseReplaces(unescape(value))
    bare = uri.replace(headers=(), params=uri.params.without("method"))
    return Referral(NameAddr(target.display, bare), replaces)


class ReferServer:
    """
    One REFER received.

    @ivar request: the REFER.
    @ivar referral: what it asks for.
    """

    __slots__ = ("_dialog", "_event", "_last", "_respond", "_send", "referral", "request")

    def __init__(
        self, request: Request, dialog: Dialog, first: bool, respond: Respond, send: SendRequest
    ) -> None:
        """
        @param first: it is the first one in its dialog, whose event needs no id (RFC 3515 section 2.4.6).
        @param respond: answers the REFER.
        @param send: sends a request of the dialog.
        @raise RemoteError: it cannot be carried out; nothing was answered.
        """
        self.request = request
        self.referral = readReferral(request)
        self._dialog = dialog
        self._event = "refer" if first else f"refer;id={request.cseq.number}"
        self._respond = respond
        self._send = send
        self._last = 0

    def accept(self) -> None:
        """202, and the first NOTIFY at once (RFC 3515 section 2.4.4)."""
        self.acceptForOther()
        self.progress(100)

    def acceptForOther(self) -> None:
        """202 alone: somebody else carries it out, and its NOTIFYs are passed."""
        self._respond(202, ())

    def refuse(self, status: int, headers: Sequence[Header] = ()) -> None:
        """Another final response; no subscription begins."""
        self._respond(status, headers)

    def progress(self, status: int) -> None:
        """NOTIFY of a provisional status, each once."""
        if status != self._last:
            self._last = status
            self._notify(status, f"active;expires={SUBSCRIPTION_SECONDS}")

    def finish(self, status: int) -> None:
        """NOTIFY of the final status: the subscription ends with it."""
        if self._last < 200:
            self._last = status
            self._notify(status, "terminated;reason=noresource")

    def _notify(self, status: int, state: str) -> None:
        dialog = self._dialog
        headers = [
            Header("Event", self._event),
            Header("Subscription-State", state),
            USER_AGENT,
            Header("Content-Type", f"{SIPFRAG};version=2.0"),
        ]
        # Only the status: everything else of the other side's answer is its own affair.
        body = f"SIP/2.0 {status} {reasonPhrase(status)}\r\n".encode()
        request = dialog.makeRequest("NOTIFY", dialog.reserveSequence(), headers, body)
        self._send(dialog, request, lambda status, response: None)


class ReferClients:
    """The REFERs sent in one dialog, whose subscriptions have not ended; their number is its length."""

    __slots__ = ("_clock", "_open")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._open: dict[int, tuple[Callable[[int], None], Callable[[], None], IDelayedCall]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def sent(self, sequence: int, notified: Callable[[int], None], ended: Callable[[], None]) -> None:
        """
        A REFER goes out.

        @param sequence: its CSeq number, which is the id of its events.
        @param notified: takes each status that is told; the first one from 200 on is the last.  408: nothing
            was told in time.
        @param ended: told of its end, whatever that was.
        """
        expiry = self._clock.callLater(SUBSCRIPTION_SECONDS, self._expired, sequence)
        self._open[sequence] = (notified, ended, expiry)

    def forget(self, sequence: int) -> None:
        """It was refused, or its outcome is known."""
        found = self._open.pop(sequence, None)
        if found is not None:
            _, ended, expiry = found
            if expiry.active():
                expiry.cancel()
            ended()

    def _expired(self, sequence: int) -> None:
        notified = self._open[sequence][0]
        self.forget(sequence)
        notified(408)

    def notifyReceived(self, request: Request) -> int:
        """
        A NOTIFY in the dialog (RFC 3515 section 2.4.5).

        @return: the status that answers it.
        """
        event, _, rest = (request.header("Event") or "").partition(";")
        if event.strip().lower() != "refer":
            return 489
        sequence = self._sequence(rest)
        if sequence is None:
            return 481
        found = _status(request.body)
        status = int(found[1]) if found is not None else 100
        state = (request.header("Subscription-State") or "").strip().lower()
        if status < 200 and state.startswith("terminated"):
            # It ended without telling how.
            status = 487
        notified = self._open[sequence][0]
        if status >= 200:
            self.forget(sequence)
        notified(status)
        return 200

    def _sequence(self, parameters: str) -> int | None:
        """Which REFER an event is of; without an id the first (RFC 3515 section 2.4.6)."""
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "id":
                number = value.strip()
                known = number.isascii() and number.isdecimal() and len(number) < 11
                return int(number) if known and int(number) in self._open else None
        return min(self._open, default=None)


__all__ = [
    "SIPFRAG",
    "SUBSCRIPTION_SECONDS",
    "ReferClients",
    "ReferRefused",
    "ReferServer",
    "Referral",
    "readReferral",
]
