"""
What must hold of all that the trunk sends to one neighbour, whatever that says: L{tests.core.chanceplay} does
anything, and this reads along.

Only what the trunk owes is judged: a neighbour may answer a request twice, forget its ACK, or offer over its
own offer.
"""

from __future__ import annotations

from math import inf

from attrs import define, field

from skypetrunk.core.session import description
from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from tests.core.callnet import Neighbour

BOUND = 31.9
"""Just below 64*T1: what is older may have been given up."""

Names = tuple[str, str, str]


@define(eq=False)
class _Taken:
    """A request of the neighbour."""

    request: Request
    final: Response | None = None
    early: bytes = b""
    held: bool = False
    cancelled: bool = False


@define(eq=False)
class _Sent:
    """
    A request of ours.

    @ivar until: when nobody waits for its responses any more.
    """

    request: Request
    at: float
    until: float = inf
    provisional: bool = False
    final: int | None = None


@define
class _Dialog:
    """One dialog as the neighbour sees it."""

    sequence: int = 0
    ended: bool = False


@define
class _Written:
    """The description that we have sent last in a dialog."""

    version: int
    session: str
    rest: bytes
    lines: int


@define(eq=False)
class Wire:
    """
    Everything between one neighbour and the trunk.

    @ivar faults: what the trunk should not have sent, in order.
    @ivar lost: the connection broke once, and what belongs together is not known any more.
    """

    neighbour: Neighbour
    faults: list[str] = field(factory=list)
    lost: bool = False
    _taken: dict[tuple[str, str], _Taken] = field(factory=dict)
    _sent: dict[tuple[str, str], _Sent] = field(factory=dict)
    _dialogs: dict[Names, _Dialog] = field(factory=dict)
    _written: dict[Names, _Written] = field(factory=dict)
    _successes: dict[tuple[Names, int], Response] = field(factory=dict)
    _acks: dict[tuple[Names, int], Request] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Read along from now on."""
        said = self.neighbour.says

        def says(message: Request | Response) -> None:
            if isinstance(message, Request):
                self._asked(message)
            else:
                self._answered(message)
            said(message)

        self.neighbour.says = says  # type: ignore[method-assign]
        self.neighbour.channel.receiver = self._read

    def _now(self) -> float:
        return self.neighbour.channel.clock.seconds()

    def _isOld(self, sent: _Sent) -> bool:
        return self._now() - sent.at > BOUND

    def _fault(self, text: str, message: Request | Response) -> None:
        if not self.lost:
            self.faults.append(f"{self._now():.1f} {self.neighbour.side.name}: {text}: {message!r}")

    def _dialog(self, names: Names) -> _Dialog:
        return self._dialogs.setdefault(names, _Dialog())

    # What the neighbour says

    def _asked(self, request: Request) -> None:
        key = _transaction(request)
        if request.method == "CANCEL":
            invite = self._taken.get((key[0], "INVITE"))
            if invite is not None and invite.final is None:
                invite.cancelled = True
        elif request.method != "ACK" and key not in self._taken:
            self._taken[key] = _Taken(request)

    def _answered(self, response: Response) -> None:
        sent = self._sent.get(_transaction(response))
        if sent is None or self._now() > sent.until or (not sent.provisional and self._isOld(sent)):
            return
        if response.status < 200:
            sent.provisional = True
            return
        if response.cseq.method == "INVITE" and response.status < 300 and (sent.final or 200) < 300:
            self._successes.setdefault((_ours(response), response.cseq.number), response)
        sent.final = sent.final or response.status
        sent.until = min(sent.until, self._now() + BOUND)

    # What the trunk sends

    def _read(self, message: Request | Response) -> None:
        if isinstance(message, Response):
            self._responded(message)
        elif message.method == "ACK":
            self._acknowledged(message)
        elif message.method == "CANCEL":
            invite = self._sent.get((_transaction(message)[0], "INVITE"))
            if invite is not None:
                invite.until = min(invite.until, self._now() + BOUND)
        elif _transaction(message) not in self._sent:
            self._requested(message)

    def _requested(self, request: Request) -> None:
        names = _ours(request)
        dialog = self._dialog(names)
        if request.cseq.number <= dialog.sequence:
            self._fault(f"CSeq {request.cseq.number} after {dialog.sequence}", request)
        dialog.sequence = request.cseq.number
        # PRACK may be owed for what was said before; what a REFER began outlives the call (RFC 5057).
        if dialog.ended and request.method in ("INVITE", "INFO", "OPTIONS"):
            self._fault(f"{request.method} in a dialog that has ended", request)
        if request.method == "INVITE" and names[2] and self._underWay(names):
            self._fault("a second INVITE in one dialog (RFC 3261 section 14.1)", request)
        if request.method == "BYE":
            byes = [each for each in self._sent.values() if each.request.method == "BYE"]
            if any(_ours(each.request) == names and each.final not in (401, 407) for each in byes):
                self._fault("a second BYE", request)
            dialog.ended = True
        if request.method in ("INVITE", "UPDATE") and request.body:
            self._describes(names, request, None)
        self._sent[_transaction(request)] = _Sent(request, self._now())

    def _underWay(self, names: Names) -> bool:
        """Is an INVITE without a final response in this dialog, of either side?"""
        return any(
            each.request.method == "INVITE" and each.final is None and _theirs(each.request) == names
            for each in self._taken.values()
        ) or any(
            each.request.method == "INVITE"
            and each.final is None
            and _ours(each.request) == names
            and self._now() <= each.until
            and (each.provisional or not self._isOld(each))
            for each in self._sent.values()
        )

    def _acknowledged(self, ack: Request) -> None:
        if (_transaction(ack)[0], "INVITE") in self._sent:
            # Of a refusal.
            return
        key = _ours(ack), ack.cseq.number
        success, before = self._successes.get(key), self._acks.setdefault(key, ack)
        if success is None:
            return
        if before.body != ack.body:
            self._fault("another ACK of one 2xx", ack)
        [invite] = [
            each.request
            for each in self._sent.values()
            if (each.request.method, each.request.callID) == ("INVITE", ack.callID)
            and each.request.cseq.number == ack.cseq.number
            and each.request.fromAddress.tag == ack.fromAddress.tag
        ]
        if invite.body and ack.body:
            self._fault("an answer to an answer", ack)
        if not invite.body and _parsed(description(success)) is not None:
            if not ack.body:
                self._fault("an offer in a 2xx without answer (RFC 3261 section 13.2.2.4)", ack)
            elif before is ack:
                self._describes(key[0], ack, description(success))

    def _responded(self, response: Response) -> None:
        taken = self._taken.get(_transaction(response))
        if taken is None or response.cseq.method == "CANCEL":
            return
        request, names = taken.request, _responding(response)
        if taken.final is not None:
            if taken.final.status != response.status or taken.final.body != response.body:
                self._fault(f"another final response than {taken.final.status}", response)
            return
        if response.status < 200:
            if response.body and taken.early and taken.early != response.body:
                self._fault("another early answer", response)
            elif response.body and not taken.early:
                self._describes(names, response, request.body)
            taken.early = taken.early or response.body
            taken.held = taken.held or bool(response.body and response.header("RSeq"))
            return
        taken.final = response
        if request.method == "BYE" and response.status < 300:
            self._dialog(names).ended = True
        if response.status >= 300 or request.method not in ("INVITE", "UPDATE", "PRACK"):
            return
        if taken.cancelled:
            self._fault("a 2xx after CANCEL", response)
        if request.method == "INVITE" and not response.body and not taken.held:
            self._fault("a 2xx without description", response)
        if request.method != "INVITE" and bool(request.body) != bool(response.body):
            self._fault(f"{request.method} and its answer do not match", response)
        if response.body and taken.early and taken.early != response.body:
            self._fault("another answer than the early one", response)
        elif response.body and not taken.early:
            self._describes(names, response, request.body or None)

    def _describes(self, names: Names, message: Request | Response, offer: bytes | None) -> None:
        """RFC 3264 section 8 for each description of ours, section 6 for an answer."""
        ours, theirs = _parsed(message.body), _parsed(offer or b"")
        if ours is None:
            self._fault("no description", message)
            return
        origin, rest = ours.origin, message.body.split(b"\r\n", 2)[2]
        # The first INVITE names no tag of the peer: each dialog goes on from there.
        before = self._written.get(names) or self._written.get((*names[:2], ""))
        if before is not None and not names[2] and origin.sessionID != before.session:
            # A redirected INVITE keeps its Call-ID, and is a new one.
            before = None
        version = int(origin.version)
        if before is not None and origin.sessionID != before.session:
            self._fault("another session", message)
        elif before is not None:
            # The branches of one INVITE share the numbers, and none of them hears of all; when one answers
            # after another one has offered, what it was told is written once more.
            known = max(each.version for key, each in self._written.items() if key[:2] == names[:2])
            same = rest == before.rest
            right = range(before.version + (not same), known + (1 if same and known == before.version else 3))
            if version not in right:
                self._fault(f"version {version} after {before.version}", message)
        if offer is None and before is not None and len(ours.media) < before.lines:
            self._fault("lines of the session are gone", message)
        if theirs is not None and [each.kind for each in ours.media] != [each.kind for each in theirs.media]:
            self._fault("other lines than in the offer", message)
        self._written[names] = _Written(version, origin.sessionID, rest, len(ours.media))

    def end(self) -> list[str]:
        """Nothing more comes.  What is wrong."""
        for key, success in self._successes.items():
            if key not in self._acks:
                self._fault("a 2xx was never acknowledged", success)
        return self.faults


def _parsed(body: bytes) -> SessionDescription | None:
    try:
        return parseSDP(body) if body else None
    except MalformedSDP:
        return None


def _transaction(message: Request | Response) -> tuple[str, str]:
    return message.topVia.branch or "", message.cseq.method


def _ours(message: Request | Response) -> Names:
    """The dialog of a request of ours, and of its response: Call-ID, our tag, theirs."""
    return message.callID, message.fromAddress.tag or "", message.toAddress.tag or ""


def _theirs(request: Request) -> Names:
    """The same of a request of theirs."""
    return request.callID, request.toAddress.tag or "", request.fromAddress.tag or ""


def _responding(response: Response) -> Names:
    return response.callID, response.toAddress.tag or "", response.fromAddress.tag or ""


__all__ = ["Wire"]
