"""
How keys cross between two sides of a call: as events in RTP (RFC 4733), or in INFO.

A side that has keys in INFO only has no telephone-event in its descriptions; the other one is offered it
all the same, and what crosses is translated.
"""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.core.audio_stream import RECEIVES, limited
from skypetrunk.core.codec_choice import hasEvents
from skypetrunk.core.info import RELAY, durationOf, writtenKey
from skypetrunk.core.leg import Leg
from skypetrunk.wire.telephone_event import BOTH

AUTO, RFC4733, INFO = KEY_FORMS = ("auto", "rfc4733", "info")
"""
How a side has keys: events where they are agreed, else INFO; events only; INFO only.
"""

DURATION = 160
"""Milliseconds, told in INFO for a key that was an event."""


def listen(leg: Leg, other: Leg, seconds: Callable[[], float]) -> None:
    """
    Have keys of C{leg} told where C{other} wants them in INFO; before their media is joined.

    @param seconds: of the clock.
    """
    wanted = other.side.keys == INFO

    def heard(key: str) -> None:
        if other.dialog is not None and _isNew(leg, key, True, seconds()):
            other.inform(RELAY, f"Signal={key}\r\nDuration={DURATION}\r\n".encode(), _ignore)

    leg.session.media.hearKeys(heard if wanted else None)


def passOn(
    leg: Leg, other: Leg, kind: str, body: bytes, done: Callable[[int], None], now: float
) -> None:
    """
    A key came in INFO on C{leg}.

    @param kind: its type, C{body} as L{skypetrunk.core.info.keyIn} has written it.
    @param done: takes the status of the INFO, which came at C{now} (seconds).
    """
    key, side = writtenKey(body), other.side
    # Who gets nothing now may take INFO all the same, where no other way was agreed.
    mayBeTold = side.keys != RFC4733 and _hasEvents(leg) and not other.rulesOut("INFO")
    if key and _hasEvents(other) and (_hears(other) or not mayBeTold):
        # Not INFO: who presses may say each key both ways, and the leg knows by the events.
        if _hears(other):
            other.session.media.sendKey(key, durationOf(body))
        done(200 if _hears(other) else 480)
    elif side.keys == RFC4733:
        done(480)
    elif key and side.keys == INFO and not _isNew(leg, key, False, now):
        done(200)
    else:
        other.inform(kind, body, done)


def _isNew(leg: Leg, key: str, event: bool, now: float) -> bool:
    """Was this key of C{leg} not told yet?  Some telephones send each both as an event and in INFO."""
    lately = [each for each in leg.keysTold if now - each[2] < BOTH]
    same = [each for each in lately if each[0] == key and each[1] is not event]
    if same:
        lately.remove(same[0])
    else:
        lately.append((key, event, now))
    leg.keysTold = tuple(lately)
    return not same


def _hasEvents(leg: Leg) -> bool:
    """Are keys agreed to be events in RTP (RFC 4733)?"""
    said, heard = leg.session.said, leg.session.heard
    return said is not None and heard is not None and hasEvents(said, heard)


def _hears(leg: Leg) -> bool:
    """By what was agreed last, may it be sent anything?  On hold it may not."""
    said, heard = leg.session.said, leg.session.heard
    return said is not None and heard is not None and limited(heard.direction, said.direction) in RECEIVES


def _ignore(status: int) -> None:
    """Whatever the answer is, nothing follows from it."""


__all__ = ["AUTO", "INFO", "KEY_FORMS", "RFC4733", "listen", "passOn"]
