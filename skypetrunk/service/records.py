"""The calls that are up, and the last that ended, with their evidence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any, TypeVar

from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.diagnosis import CallMedia
from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    DirectionStatistics,
    IDialogObserver,
    LegStatistics,
    MediaWay,
)

Kind = TypeVar("Kind")

KEPT = 100
"""Ended calls that are kept for the status; a page of them, not an archive."""


@implementer(IDialogObserver)
class CallBook:
    """
    Calls for the status.  What they become in JSON is made when somebody asks.

    @ivar started: calls so far.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: a clock, to show how long a call has been up.
        """
        self._seconds = seconds
        self._up: dict[str, tuple[CallRequest, float, float | None]] = {}
        self._ended: deque[tuple[CallRequest | None, CallEnded, Sequence[LegStatistics]]] = deque(maxlen=KEPT)
        self.started = 0

    def callStarted(self, request: CallRequest) -> None:
        """See L{IDialogObserver}."""
        self.started += 1
        self._up[request.call] = (request, self._seconds(), None)

    def callAnswered(self, call: str) -> None:
        """See L{IDialogObserver}."""
        known = self._up.get(call)
        if known is not None:
            self._up[call] = (known[0], known[1], self._seconds())

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """See L{IDialogObserver}."""
        known = self._up.pop(ended.call, None)
        self._ended.append((None if known is None else known[0], ended, tuple(media)))
        if media:
            self._log.info("{media}", media="\n".join(map(evidence, media)))
        if ended.diagnosis is not None:
            self._log.warn("{call}: {diagnosis}", call=ended.call, diagnosis=ended.diagnosis)

    @property
    def ended(self) -> list[dict[str, Any]]:
        """Records of the last calls, oldest first, ready for JSON."""
        return [
            asdict(ended)
            | ({} if request is None else _who(request))
            | {"media": [_leg(leg) for leg in media]}
            for request, ended, media in self._ended
        ]

    def up(self, media: Mapping[str, CallMedia]) -> list[dict[str, Any]]:
        """
        The calls that are up, ready for JSON.

        @param media: what is known of it, by call.
        """
        now = self._seconds()
        return [
            _who(request)
            | {"call": call, "age": round(max(now - started, 0.0), 3), "answered": answered is not None}
            | _seen(media.get(call, CallMedia()))
            for call, (request, started, answered) in self._up.items()
        ]


def _seen(media: CallMedia) -> dict[str, Any]:
    return {
        "media": [_leg(leg) for leg in media.legs],
        "silent": list(media.silent),
        "diagnosis": media.diagnosis,
    }


def _who(request: CallRequest) -> dict[str, Any]:
    return {"from": request.source, "caller": request.caller, "called": request.called}


def evidence(leg: LegStatistics) -> str:
    """One line that says what a media leg saw, and what of it was proved."""
    received, sent = leg.received, leg.sent
    refused = "".join([f", {count} refused ({reason})" for reason, count in received.refused])
    suite = leg.suite or "SRTP, no key agreed"
    proof = f"{suite}: {received.authenticated} authenticated, " if leg.secure else "plain RTP: "
    return (
        f"{leg.name}: {proof}{received.packets} packets received, {_order(received)}{refused};"
        f" {sent.packets} sent{_reported(sent)};"
        f" RTCP {received.rtcpPackets} received, {sent.rtcpPackets} sent{_trip(leg)}{_fax(leg)}"
    )


def legLine(leg: Mapping[str, Any]) -> str:
    """L{evidence} of a leg in the status."""
    directions = {
        name: _read(DirectionStatistics, {**leg[name], "refused": tuple(leg[name]["refused"].items())})
        for name in ("received", "sent")
    }
    return evidence(_read(LegStatistics, {**leg, **directions}))


def _read(kind: type[Kind], shown: Mapping[str, Any]) -> Kind:
    """The value; a trunk of another release may show more of it, or less."""
    return kind(**{name: shown[name] for name in _FIELDS[kind][0] if name in shown})


def _reported(sent: DirectionStatistics) -> str:
    """What the receiver says of it."""
    if not sent.reports:
        return ""
    parts = [f"{sent.lost} lost"]
    if sent.jitter is not None:
        parts.append(f"jitter {sent.jitter:.1f} ms, {sent.worstJitter:.1f} at worst")
    parts += _opinions(sent)
    return f", as the receiver says: {', '.join(parts)}"


def _fax(leg: LegStatistics) -> str:
    if not leg.fax:
        return ""
    return f"; T.38 in clear: {leg.received.fax} datagrams received, {leg.sent.fax} sent"


def _trip(leg: LegStatistics) -> str:
    if leg.roundTrip is None:
        return ""
    return f"; round trip {leg.roundTrip:.0f} ms, {leg.worstRoundTrip:.0f} at worst"


def _opinions(direction: DirectionStatistics) -> Iterator[str]:
    if direction.opinion is not None:
        talking = direction.conversation
        beside = "" if talking is None else f", {talking:.2f} with delay"
        yield f"MOS {direction.opinion:.2f} ({direction.codec}{beside})"


def _order(received: DirectionStatistics) -> str:
    """What was lost on the way, or came late."""
    lost = [f"{received.lost} lost"]
    if received.longestLoss > 1:
        lost.append(f"{received.longestLoss} in a row")
    if received.bursts:
        density = 100 * received.burstLost / received.burstLength
        lost.append(f"{received.bursts} bursts of {density:.0f} % loss")
    parts = [lost[0] if len(lost) == 1 else f"{lost[0]} ({', '.join(lost[1:])})"]
    if received.reordered:
        parts.append(f"{received.reordered} reordered")
    if received.duplicates:
        parts.append(f"{received.duplicates} twice")
    if received.resumptions:
        parts.append(f"roll-over counter lost {received.resumptions} times")
    if received.jitter is not None:
        parts.append(f"jitter {received.jitter:.1f} ms, {received.worstJitter:.1f} at worst")
    parts += _opinions(received)
    for name, words in (("silent", "nothing but digital silence"), ("clipped", "clipped")):
        if getattr(received, name):
            parts.append(words)
    return ", ".join(parts)


def _leg(leg: LegStatistics) -> dict[str, Any]:
    """One leg's counters, refusals as a table.  Made for each call: nothing is copied that need not be."""
    # Not what is waited for of a leg that is just closed.
    described = _shown(leg, LegStatistics) | {"way": _shown(leg.way, MediaWay)}
    for direction, counted in (("received", leg.received), ("sent", leg.sent)):
        described[direction] = _shown(counted, DirectionStatistics) | {"refused": dict(counted.refused)}
    return described


def _shown(value: object, kind: type) -> dict[str, Any]:
    names, values = _FIELDS[kind]
    return dict(zip(names, values(value), strict=True))


_Fields = tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]


def _fieldsOf(kind: type) -> _Fields:
    """Names, and what gives all their values at once."""
    names = tuple(each.name for each in fields(kind))
    return names, attrgetter(*names)


_FIELDS: Mapping[type, _Fields] = {
    kind: _fieldsOf(kind) for kind in (LegStatistics, DirectionStatistics, MediaWay)
}
