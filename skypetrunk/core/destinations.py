"""
Where one call may go, one place after the other: the destinations of its route, and what redirections
add to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.core.answers import NO_CIRCUIT, Answer, reasonHeader, refusalHeaders
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.identity import Caller
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallRequest, ICallAttempt, ICallTargets
from skypetrunk.wire.uri import SIPURI, writeHost

MOST_REDIRECTIONS = 5
"""INVITEs of one call that a redirection may cause; a telephone network diverts a call as often (Q.732)."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """
    What a redirection says of a way.

    @ivar target: the Request-URI that it wants; C{None} for one that we write.
    @ivar placed: the INVITE that goes on under its Call-ID, with its last CSeq number; C{None} for a new one.
    @ivar forwarder: the PBX that sends the call on and answers for it; C{None} if it was the carrier.
    """

    target: SIPURI | None = None
    placed: tuple[CallAddresses, int] | None = None
    forwarder: PBXSide | None = None


@dataclass(slots=True)
class Way:
    """
    One place that a call may go to.

    @ivar caller: who calls, as the place may be told.
    @ivar request: the call as limits and policies see it.
    @ivar redirected: set if a redirection led here.
    @ivar admitted: limits and policy have let the call go this way.
    @ivar targets: the servers that it tries there, once it has begun.
    @ivar again: it was tried over a connection that turned out to be none any more.
    """

    side: Side
    caller: Caller
    request: CallRequest
    redirected: Redirected | None = None
    admitted: bool = True
    targets: ICallTargets | None = None
    again: bool = False

    def attempt(self) -> ICallAttempt | None:
        """For the next INVITE that goes this way, where its side has several servers."""
        if self.targets is None and self.side.servers is not None:
            self.targets = self.side.servers.targets()
        return None if self.targets is None else self.targets.attempt()

    @property
    def forwarder(self) -> PBXSide | None:
        """The PBX that has sent the call on to here."""
        return None if self.redirected is None else self.redirected.forwarder

    def addresses(self) -> CallAddresses:
        """How the call is addressed there."""
        found = self.side.addresses(self.caller, self.request.called)
        if self.redirected is None or self.redirected.placed is None:
            return found
        return found.redirected(*self.redirected.placed, self.redirected.target)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the asking side is told if there is no further place.

    @ivar by: who ends the call; see L{CallEnded}.
    """

    answer: Answer
    by: str
    reason: str


UNUSABLE = Verdict(
    Answer(503, (reasonHeader(NO_CIRCUIT, "no destination is usable"),)), "trunk", "no destination is usable"
)
"""There is no way at all."""


def unusable(reason: str) -> Verdict:
    """The same, as C{reason} says."""
    return replace(UNUSABLE, reason=reason)


class Left(Enum):
    """Which of the places that were not tried yet may still be."""

    ALL = auto()
    CONTACTS = auto()
    NONE = auto()


def leftAfter(status: int) -> Left:
    """
    What a refusal leaves: all if it speaks of the way, else the other Contacts of a redirection
    (RFC 3261 section 8.1.3.4), and nothing after 6xx (section 21.6).
    """
    return Left.ALL if 500 <= status < 600 else Left.CONTACTS if status < 600 else Left.NONE


Placing = Callable[[Way, CallAddresses], None]
GivingUp = Callable[[Verdict], None]


class Destinations:
    """
    The places of one call.

    @ivar redirections: INVITEs that redirections have caused.
    """

    _log = Logger()

    def __init__(self, ways: Sequence[Way], admit: Callable[[Way], Deferred[None]]) -> None:
        """
        @param admit: asks limits and policy whether a redirected call may go on; fails with L{CallRefused}.
        """
        self._ways = list(ways)
        self._admit = admit
        self._tried: set[tuple[str, str]] = set()
        self.redirections = 0

    @property
    def left(self) -> bool:
        """Is there a place that may still be tried?"""
        return any(way.side.usable() for way in self._ways)

    def add(self, ways: Sequence[Way], left: Left = Left.ALL) -> None:
        """Try C{ways} first, and then what is C{left}."""
        if left is not Left.ALL:
            self._ways = [way for way in self._ways if way.redirected is not None and left is Left.CONTACTS]
        self._ways[:0] = ways

    def next(self, verdict: Verdict, place: Placing, giveUp: GivingUp) -> None:
        """
        Find the next place that can take the call, at once or when the policy has answered.

        @param verdict: what holds if there is none.
        @param place: told of it.
        @param giveUp: told that there is none, and what holds.
        """
        while self._ways:
            way = self._ways.pop(0)
            if not way.side.usable():
                reason = f"{way.side.name} is not usable"
                verdict = replace(verdict, reason=reason) if way.redirected is None else unusable(reason)
                continue
            refusal = None if way.side.guard is None else way.side.guard.refusal(way.side.name, way.request)
            if refusal is not None:
                verdict = self._refused(way, refusal, verdict)
                continue
            addresses = way.addresses()
            if way.redirected is not None:
                if self.redirections >= MOST_REDIRECTIONS or _key(way, addresses) in self._tried:
                    continue
                if not way.admitted:
                    self._ask(way, verdict, place, giveUp)
                    return
                self.redirections += 1
            self._tried.add(_key(way, addresses))
            place(way, addresses)
            return
        giveUp(verdict)

    def _ask(self, way: Way, verdict: Verdict, place: Placing, giveUp: GivingUp) -> None:
        """Limits and policy first; what they let go is looked at once more, time may have passed."""

        def admitted(result: None) -> None:
            way.admitted = True
            self._ways.insert(0, way)
            self.next(verdict, place, giveUp)

        def refused(failure: Failure) -> Failure | None:
            if not isinstance(failure.value, CallRefused):
                return failure
            self.next(self._refused(way, failure.value, verdict), place, giveUp)
            return None

        def broken(failure: Failure) -> None:
            self._log.failure("{call}: cannot be redirected", failure, call=way.request.call)
            giveUp(Verdict(Answer(500), "trunk", "internal error"))

        self._admit(way).addCallbacks(admitted, refused).addErrback(broken)

    def _refused(self, way: Way, refusal: CallRefused, verdict: Verdict) -> Verdict:
        """A redirection is refused like a new call; for a destination of the route others are left."""
        if way.redirected is None:
            return replace(verdict, reason=str(refusal))
        self._log.warn(
            "{call}: redirected to {called}, which is refused: {reason}",
            call=way.request.call,
            called=way.request.called,
            reason=str(refusal),
        )
        status = refusal.status or 403
        self.add((), leftAfter(status))
        return Verdict(Answer(status, tuple(refusalHeaders(refusal))), "trunk", str(refusal))


def _key(way: Way, addresses: CallAddresses) -> tuple[str, str]:
    """What is the same for two ways that lead to one place."""
    uri = addresses.requestURI
    return way.side.name, f"{uri.scheme}:{uri.userUnescaped}@{writeHost(uri.host.lower(), uri.port)}"


__all__ = ["UNUSABLE", "Destinations", "Left", "Redirected", "Verdict", "Way", "leftAfter", "unusable"]
