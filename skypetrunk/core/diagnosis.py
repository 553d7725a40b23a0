"""
One sentence on what is wrong with the audio of a call, or with its fax: the usual faults, from what its two
legs have seen.

Only what the figures show is said; where they show nothing, nothing is.  The worst comes first: no audio,
audio that ended, audio that is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from skypetrunk.interfaces import DirectionStatistics, LegStatistics, MediaWay
from skypetrunk.values import quick
from skypetrunk.wire.codec import COMPANIONS

LEAST_SECONDS = 2.0
"""A call as short has had no time for a fault to show."""

SOME = 5
"""Packets that are no leftover of another call, and no accident."""

QUIET_SECONDS = 10.0
"""Without a packet: longer than silence suppression leaves a stream without comfort noise, mostly."""

LOSS = 0.01
"""Part of the packets: half as much is hardly heard."""

A_SECOND = 50
"""Packets of sound, mostly: more than were on their way when something else was agreed."""

FAX_CODECS = ("pcma", "pcmu")
"""What carries fax as sound."""

JITTER = 40.0
"""Milliseconds: more than jitter buffers of telephones begin with."""

TRIP = 500.0
"""Milliseconds there and back: with its ends, more than the 300 ms one way that G.114 lets pass."""


class CallMedia(NamedTuple):
    """
    What is known of the media of a call.

    @ivar legs: what each has seen.
    @ivar silent: names of the sides from which nothing comes, though it should.
    @ivar diagnosis: see L{diagnose}.
    """

    legs: tuple[LegStatistics, ...] = ()
    silent: tuple[str, ...] = ()
    diagnosis: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class Side:
    """
    One side of a call.

    @ivar name: of the configuration.
    @ivar expected: by what was agreed last, it is to send.
    @ivar leg: what our leg towards it has seen.
    @ivar seenAt: the host at which it sees us, where that is not the one we have.
    """

    name: str
    expected: bool
    leg: LegStatistics
    seenAt: str | None = None

    @property
    def way(self) -> MediaWay:
        """Its addresses."""
        return self.leg.way

    def refused(self, reason: str) -> int:
        """Packets of it that were."""
        return dict(self.leg.received.refused).get(reason, 0)


class FaxInSound(NamedTuple):
    """
    A fax that is sound, as one side did not get the T.38 that it wanted.

    @ivar wanted: its name.
    @ivar by: of the side that refused, C{None}: T.38 may not cross.
    """

    wanted: str
    by: str | None


def diagnose(sides: tuple[Side, Side], seconds: float, fax: FaxInSound | None = None) -> str | None:
    """
    What is wrong, or C{None}: nothing that shows.

    @param sides: who calls, and who is called.
    @param seconds: since the call was answered.
    @param fax: it is one, as sound.
    """
    if seconds < LEAST_SECONDS:
        return None
    if any(side.leg.fax for side in sides):
        # Sound has ended then, and may have begun again: its figures say nothing.
        return _first(_FAX_RULES, sides, seconds)
    found = _first(_NO_SOUND, sides, seconds)
    if found is None and fax is not None:
        # What is bad for the ear, as silence, is nothing to a fax, and it stands less than an ear.
        return _faxInSound(fax, sides)
    return found or _first(_BAD_SOUND, sides, seconds)


def _first(rules: tuple[_Rule, ...], sides: tuple[Side, Side], seconds: float) -> str | None:
    pairs = (sides[1], sides[0]), (sides[0], sides[1])
    for rule in rules:
        for side, other in pairs:
            found = rule(side, other, seconds)
            if found is not None:
                return found
    return None


def _neither(side: Side, other: Side, seconds: float) -> str | None:
    if not all(each.expected and not _anything(each.leg.received) for each in (side, other)):
        return None
    return f"neither {other.name} nor {side.name} sent a packet"


def _refused(side: Side, other: Side, seconds: float) -> str | None:
    """Packets come, and none can be taken."""
    way = side.way
    if side.leg.received.packets:
        return None
    if side.refused("authentication") >= SOME:
        return (
            f"packets of {side.name} arrive but fail authentication: it protects them with another key than"
            " its SDP says"
        )
    if side.refused("source") >= SOME and way.stranger is not None:
        return f"{side.name} sends from {way.stranger}, its SDP says {way.signalled}"
    if side.refused("no-key") >= SOME:
        return f"packets of {side.name} arrive, but no key for them was agreed"
    if side.refused("malformed") >= SOME:
        return f"what {side.name} sends is not RTP"
    return None


def _unheard(side: Side, other: Side, seconds: float) -> str | None:
    """Nothing comes at all."""
    way, sent = side.way, side.leg.sent.packets
    if not side.expected or _anything(side.leg.received):
        return None
    if side.seenAt is not None and way.told != side.seenAt:
        return (
            f"nothing comes back: {side.name} sends to {way.told} because our SDP says so, and sees us at"
            f" {side.seenAt}: media.advertise"
        )
    if not _global(way.told) and _global(way.signalled):
        return (
            f"nothing comes back: {side.name} sends to {way.told} because our SDP says so, which"
            f" {way.signalled} cannot reach: media.advertise"
        )
    if way.told != way.bound and way.bound not in ("", "0.0.0.0", "::"):
        return (
            f"nothing comes back: {side.name} sends to {way.told} because our SDP says so, and none of it"
            f" arrives at {way.bound}: media.advertise"
        )
    if other.leg.received.packets and sent:
        return f"one-way audio: {side.name} never sent; {sent} packets went to {way.signalled}"
    return f"one-way audio: {side.name} never sent" if other.leg.received.packets else None


def _since(side: Side, other: Side, seconds: float) -> str | None:
    """What came before a re-INVITE comes no more."""
    way = side.way
    if way.described is None or way.described > seconds - 0.5 or not side.leg.received.packets:
        return None
    if way.packetsSince >= SOME:
        return None
    when = f"since the re-INVITE {way.described:.0f} s ago"
    if way.unauthenticSince >= SOME:
        return f"packets of {side.name} arrive but fail authentication {when}"
    if way.strangeSince >= SOME and way.stranger is not None:
        return f"{side.name} sends from {way.stranger} {when}, its SDP says {way.signalled}"
    return None


def _unsent(side: Side, other: Side, seconds: float) -> str | None:
    unsent = dict(side.leg.sent.refused).get("unsent", 0)
    if unsent < SOME or unsent < side.leg.sent.packets:
        return None
    return f"packets for {side.name} cannot be sent to {side.way.signalled}: no route, or a closed port"


def _stopped(side: Side, other: Side, seconds: float) -> str | None:
    quiet = side.way.quiet
    if not side.expected or quiet is None or quiet < QUIET_SECONDS:
        return None
    return f"{side.name} has sent nothing for {quiet:.0f} s"


def _silent(side: Side, other: Side, seconds: float) -> str | None:
    if not side.leg.received.silent or other.leg.received.silent or not other.leg.received.packets:
        return None
    return f"{side.name} sends nothing but digital silence"


def _clipped(side: Side, other: Side, seconds: float) -> str | None:
    return f"the sound of {side.name} is too loud, and clipped" if side.leg.received.clipped else None


def _lost(side: Side, other: Side, seconds: float) -> str | None:
    received = side.leg.received
    share = _share(received.lost, received.packets)
    if share < LOSS or received.lost < SOME:
        return None
    if received.bursts and 2 * received.burstLost >= received.lost:
        density = 100 * received.burstLost / received.burstLength
        return (
            f"loss in bursts on the way from {side.name}: {100 * share:.1f} %, in {received.bursts} bursts of"
            f" {density:.0f} %"
        )
    return f"{100 * share:.1f} % of the packets are lost on the way from {side.name}"


def _lostBehind(side: Side, other: Side, seconds: float) -> str | None:
    sent = side.leg.sent
    lost = sent.lost - other.leg.received.lost
    share = _share(lost, sent.packets - lost)
    if not sent.reports or lost < SOME or share < LOSS:
        return None
    return f"{100 * share:.1f} % of the packets are lost on the way to {side.name}, as it reports"


def _uneven(side: Side, other: Side, seconds: float) -> str | None:
    jitter = side.leg.received.jitter
    if jitter is None or jitter < JITTER:
        return None
    return f"packets come unevenly from {side.name}: jitter {jitter:.0f} ms"


def _late(side: Side, other: Side, seconds: float) -> str | None:
    trip = side.leg.roundTrip
    if trip is None or trip < TRIP:
        return None
    return f"the way to {side.name} and back takes {trip:.0f} ms"


# Fax by T.38


def _faxRefused(side: Side, other: Side, seconds: float) -> str | None:
    """Something comes, and nothing of it can be taken."""
    way = side.way
    if side.leg.received.fax:
        return None
    if side.refused("source") >= SOME and way.stranger is not None:
        return f"fax by T.38: {side.name} sends from {way.stranger}, its SDP says {way.signalled}"
    if side.refused("fax") >= A_SECOND:
        return f"fax by T.38: {side.name} has agreed to it, and goes on to send sound"
    return None


def _noFax(side: Side, other: Side, seconds: float) -> str | None:
    """Both ends send datagrams in every fax, as each page is asked for and confirmed."""
    way, sent = side.way, side.leg.sent.fax
    if side.leg.received.fax or way.described is None or way.described < LEAST_SECONDS:
        return None
    if not other.leg.received.fax:
        return f"fax by T.38: neither {other.name} nor {side.name} sent a datagram"
    return f"fax by T.38: {side.name} never sent a datagram; {sent} went to {way.signalled}"


def _faxUnsent(side: Side, other: Side, seconds: float) -> str | None:
    unsent = dict(side.leg.sent.refused).get("unsent", 0)
    if unsent < SOME or unsent < side.leg.sent.fax:
        return None
    return f"fax by T.38: datagrams for {side.name} cannot be sent to {side.way.signalled}"


def _faxInSound(fax: FaxInSound, sides: tuple[Side, Side]) -> str:
    """The reason, and what of the sound such a fax does not stand."""
    what = f"{fax.wanted} wanted fax by T.38, which {fax.by or 'trunk.media.t38'} refuses"
    for side in sides:
        codec = side.leg.received.codec
        if codec is not None and codec.lower() not in (*FAX_CODECS, *COMPANIONS):
            return f"{what}: {codec} carries no fax"
    for side in sides:
        lost = side.leg.received.lost
        if lost > 0:
            return f"{what}: it went on over G.711, and {lost} packets are lost on the way from {side.name}"
    return f"{what}: it went on over G.711"


_Rule = Callable[[Side, Side, float], str | None]

_FAX_RULES: tuple[_Rule, ...] = (_faxRefused, _noFax, _faxUnsent)

_NO_SOUND: tuple[_Rule, ...] = (
    _refused,
    _since,
    _neither,
    _unheard,
    _unsent,
    _stopped,
)

_BAD_SOUND: tuple[_Rule, ...] = (
    _silent,
    _lost,
    _lostBehind,
    _uneven,
    _late,
    _clipped,
)


def _anything(received: DirectionStatistics) -> bool:
    """Did anything come, taken or not?"""
    return bool(received.packets) or any(_counts(received))


def _counts(received: DirectionStatistics) -> Iterator[int]:
    return (count for _, count in received.refused)


def _share(lost: int, received: int) -> float:
    return lost / (lost + received) if lost > 0 and received > 0 else 0.0


def _global(host: str | None) -> bool:
    """Can it be reached from everywhere?"""
    try:
        return host is not None and ip_address(host).is_global
    except ValueError:
        return False


__all__ = ["CallMedia", "FaxInSound", "Side", "diagnose"]
