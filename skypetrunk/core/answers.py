"""
What the refusal of one leg becomes on the other.

L{ROWS} is the whole table; C{docs/answers.rst} shows it, and a test compares the two.  Towards a PBX it
keeps one promise: a status of 500 to 599 speaks of the way, and the PBX should take another; any other
speaks of the call itself, and another way would not help.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from skypetrunk.core.warning import warningCodes, warningsAcross
from skypetrunk.errors import CallRefused, MalformedMessage
from skypetrunk.wire.grammar import parseParameters, quote
from skypetrunk.wire.message import Header, Request, Response

NO_CIRCUIT = 34
"""Q.850 cause: no circuit or channel available; makes a PBX take its next route."""

OUT_OF_ORDER = 38
"""Q.850 cause: network out of order."""

CONGESTION = 42
"""Q.850 cause: switching equipment congestion."""

ELSEWHERE = Header("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
"""Of a CANCEL: somebody else has answered, so that a phone shows no missed call (RFC 3326 section 3.1)."""

LONGEST_PAUSE = 60
"""
Seconds of Retry-After beside a 503.  Whoever gets one may send nothing at all until then (RFC 3261
section 21.5.4), also not what another trunk could carry, so the other side may not ask for long.
"""

_RETRY_AFTER = frozenset({404, 480, 486, 500, 503, 600, 603})
"""Where RFC 3261 section 20.33 gives it a meaning that survives the crossing."""

_OF_MEDIA = frozenset({488, 606})
"""Their Warning says what about the description is not acceptable (RFC 3261 sections 21.4.26 and 21.6.4)."""

#: Seconds in nine figures: the grammar has no bound for them (RFC 3261 section 25.1), nobody waits longer.
_LONGEST = 10**9 - 1

_seconds = re.compile(r"[ \t]*([0-9]++)(?:[ \t;(]|$)").match


@dataclass(frozen=True, slots=True)
class Row:
    """
    One kind of refusal.

    @ivar meaning: in words.
    @ivar statuses: the other leg's.
    @ivar causes: the row is for these Q.850 causes only; empty for any and for none.
    @ivar toPBX: what the PBX gets, C{None} for the same.
    @ivar toCarrier: what the carrier gets, C{None} for the same.
    @ivar cause: the Q.850 cause that we give; C{None} where the other leg's own crosses, if it gave one.
    """

    meaning: str
    statuses: tuple[int, ...]
    causes: tuple[int, ...] = ()
    toPBX: int | None = None
    toCarrier: int | None = None
    cause: int | None = None


ROWS = (
    Row("no route to the number", (404, 410, 480, 484, 500, 502, 504), (2, 3), 503, None, 3),
    Row("congestion, by its cause", (404, 410, 480, 484), (34, 38, 41, 42, 44, 47), 503, 503, NO_CIRCUIT),
    Row("busy", (486, 600)),
    Row("unavailable, or no answer", (408, 480)),
    Row("no such number", (404, 410, 484, 485, 604)),
    Row("refused by the callee", (603,)),
    Row("refused by or for the callee as unwanted", (607, 608), (), 603, None),
    Row("forbidden by the carrier or PBX", (403, 433)),
    Row("no credit", (402,), (), 503, 480, NO_CIRCUIT),
    Row("congestion, or a failure on the way", (500, 503, 504)),
    Row("a failure of the other side's own way", (502,)),
    Row("media that the callee cannot take", (488, 606)),
    Row("media, in other words", (406, 493, 580), (), 488, 488),
    Row(
        "our account or identity is not believed",
        (401, 407, 428, 429, 436, 437, 438, 494),
        (),
        503,
        503,
        NO_CIRCUIT,
    ),
    Row(
        "something wrong with our own request",
        (400, 405, 411, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 430, 439, 440, 469, 470)
        + (482, 483, 489, 501, 505, 513, 555),
        (),
        502,
        502,
        OUT_OF_ORDER,
    ),
    Row("a redirection that is not followed", (300, 301, 302, 305, 380), (), 480, 480),
    Row("a dialog or transaction of the other leg", (481, 487), (), 480, 480),
    Row("a change at the same time from both sides", (491,)),
)
"""The first that fits counts.  What stands in none stays as it is, other 3xx become 480."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What one leg is told.

    @ivar headers: Reason, Retry-After and Warning where there is something to say.
    """

    status: int
    headers: tuple[Header, ...] = ()


def across(status: int, response: Response | None, toPBX: bool, invite: bool = True) -> Answer:
    """
    What one leg is told of the other leg's refusal.

    @param response: the refusal, or C{None} where none came, and C{status} says so.
    @param toPBX: it is the PBX that is told, else the carrier.
    @param invite: what is answered is an INVITE.  Other requests are never answered 408: who gets that may
        take us for dead (RFC 4320 section 4.2).
    """
    causes = () if response is None else tuple(causesOf(response))
    for row in ROWS:
        if status in row.statuses and (not row.causes or any(cause in row.causes for cause in causes)):
            told = (row.toPBX if toPBX else row.toCarrier) or status
            ours = row.cause if told != status or row.causes else None
            break
    else:
        told, ours = (480 if status < 400 else status), None
    if told == 408 and not invite:
        told = 504
    headers = []
    if ours is not None:
        headers.append(Header("Reason", f"Q.850;cause={ours}"))
    elif causes:
        headers.append(Header("Reason", f"Q.850;cause={causes[0]}"))
    if response is not None and told == status and told in _RETRY_AFTER:
        headers.extend(_retryAfter(response))
    if response is not None and status in _OF_MEDIA:
        headers.extend(warningsAcross(warningCodes(response)))
    return Answer(told, tuple(headers))


def acrossStatus(status: int, toPBX: bool = True, invite: bool = True) -> int:
    """The status alone."""
    return across(status, None, toPBX, invite).status


def causesOf(message: Request | Response) -> Iterator[int]:
    """The Q.850 causes in C{message} (RFC 3326); what breaks the grammar says nothing."""
    # Q.850 section 2.2.5: seven bits; 0 stands for none.
    return (cause for cause in _causes(message, "q.850") if 0 < cause < 128)


def _causes(message: Request | Response, wanted: str) -> Iterator[int]:
    try:
        values = message.values("Reason")
    except MalformedMessage:
        return
    for value in values:
        protocol, _, rest = value.partition(";")
        if protocol.strip().lower() != wanted:
            continue
        try:
            cause = parseParameters(";" + rest).get("cause")
        except MalformedMessage:
            continue
        if cause and cause.isascii() and cause.isdigit() and len(cause) <= 3:
            yield int(cause)


def reasonsAcross(message: Request | Response) -> tuple[Header, ...]:
    """
    What crosses of the Reason of a CANCEL, a BYE or a refusal: its first Q.850 cause, never the text, which
    may name machines and people of the other side; and of a CANCEL that somebody else has answered.
    """
    found = [Header("Reason", f"Q.850;cause={cause}") for cause in list(causesOf(message))[:1]]
    if isinstance(message, Request) and message.method == "CANCEL" and 200 in _causes(message, "sip"):
        found.append(ELSEWHERE)
    return tuple(found)


def retryAfterOf(response: Response) -> int | None:
    """Seconds of Retry-After (RFC 3261 section 20.33), at most nine figures of them; C{None} without."""
    found = _seconds(response.header("Retry-After") or "")
    if found is None:
        return None
    digits = found[1].lstrip("0")
    return _LONGEST if len(digits) > 9 else int(digits or "0")


def _retryAfter(response: Response) -> Iterator[Header]:
    seconds = retryAfterOf(response)
    if seconds is not None:
        yield Header("Retry-After", str(min(seconds, LONGEST_PAUSE) if response.status == 503 else seconds))


def isRefusal(refusal: CallRefused) -> bool:
    """Can C{refusal}, as a vendor has made it, be sent?  A status of its own must be that of a refusal."""
    numbers: tuple[object, ...] = refusal.status, refusal.cause, refusal.retryAfter
    return all(each is None or isinstance(each, int) for each in numbers) and (
        refusal.status is None or 400 <= refusal.status <= 699
    )


def refusalHeaders(refusal: CallRefused) -> list[Header]:
    """Reason and Retry-After of a call that policy refuses, as far as it names them."""
    headers = [] if refusal.cause is None else [reasonHeader(refusal.cause, str(refusal))]
    if refusal.retryAfter is not None:
        headers.append(Header("Retry-After", str(refusal.retryAfter)))
    return headers


def reasonHeader(cause: int, text: str) -> Header:
    """A Reason header with a Q.850 cause (RFC 3326).  A policy's text may be anything."""
    return Header("Reason", f"Q.850;cause={cause};text={quote(' '.join(text.split()))}")


__all__ = [
    "CONGESTION",
    "ELSEWHERE",
    "LONGEST_PAUSE",
    "NO_CIRCUIT",
    "OUT_OF_ORDER",
    "ROWS",
    "Answer",
    "Row",
    "across",
    "acrossStatus",
    "causesOf",
    "isRefusal",
    "reasonHeader",
    "refusalHeaders",
    "reasonsAcross",
    "retryAfterOf",
]
