"""
The m= lines of one session, which keep their places over all offers: how we write them, which one of an offer
is taken, what was agreed of them, and answers that break RFC 3264.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from skypetrunk.core.audio_stream import AudioStream, groupOf, remoteOf, streamOf
from skypetrunk.core.codec_choice import CodecChoice
from skypetrunk.core.fax_stream import IMAGE, FaxStream, isFax, streamIn
from skypetrunk.core.keys import troubles
from skypetrunk.core.protection import Protection, carriesKeys
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.offer_answer import RULES, brokenRules
from skypetrunk.wire.sdp import MediaDescription, SessionDescription, parseSDP
from skypetrunk.wire.sdp_lines import Attribute


class Slot(NamedTuple):
    """One m= line of the session: its place stays the same over all offers (RFC 3264 section 8)."""

    kind: str
    protocol: str
    formats: tuple[str, ...]


Slots = tuple[Slot, ...]


class Described(NamedTuple):
    """A description, and the stream of its line in use, which was read once."""

    whole: SessionDescription
    stream: AudioStream


class Offered(NamedTuple):
    """
    An offer of ours, and all that belongs to it.  The peer may offer something else before it is answered:
    one branch by UPDATE, and then another one answers.

    @ivar stream: of its line in use.
    @ivar said: the stream that it was made of.
    @ivar slots: its lines.
    @ivar place: of the line in use.
    """

    whole: SessionDescription
    stream: AudioStream
    said: AudioStream
    slots: Slots
    place: int


class Standing(NamedTuple):
    """
    What was agreed last: our description, the stream it was made of, and the peer's description.

    @ivar offered: ours was the offer.
    @ivar slots: the lines of both.
    @ivar place: of the line in use.
    """

    written: SessionDescription
    said: AudioStream
    heard: Described
    offered: bool
    slots: Slots
    place: int

    def repeatedBy(self, body: bytes, refresh: bool) -> bool:
        """See L{skypetrunk.core.session.Session.repeats}."""
        try:
            offer = parseSDP(body, keepLines=False)
        except MalformedSDP:
            return False
        heard = self.heard.whole
        if refresh:
            offer = replace(offer, origin=replace(offer.origin, version=heard.origin.version))
        return offer == heard


def placed(slots: Slots, used: int, wanted: Slot) -> tuple[Slots, int]:
    """
    The lines of an offer, and the place of C{wanted} among them: that of the line in use, or of one that was
    of this kind before.  The line in use may become one of another kind (RFC 3264 section 8.3.3).

    @param used: place of the line in use.
    """
    if not slots:
        return (wanted,), 0
    if slots[used].kind.lower() == wanted.kind:
        return slots, used
    same = [place for place, slot in enumerate(slots) if slot.kind.lower() == wanted.kind]
    place = same[0] if same else used
    return (*slots[:place], wanted, *slots[place + 1 :]), place


def audioLine(
    stream: AudioStream,
    protocol: str,
    more: Sequence[Attribute],
    address: MediaAddress,
    offered: MediaDescription | None,
) -> MediaDescription:
    """
    The line of sound in a description of ours.

    @param more: attributes beside those of C{stream}.
    @param offered: the line that it answers.
    """
    group = None if offered is None else groupOf(offered)
    attributes = [*stream.attributes, *more]
    if address.rtcpPort != address.port + 1 and group is None:
        attributes.append(("rtcp", str(address.rtcpPort)))
    attributes.append((stream.direction, None))
    return MediaDescription(
        "audio",
        address.port if offered is None or group is None else offered.port,
        protocol=protocol,
        formats=stream.formats,
        connection=group,  # that was offered (RFC 3264 section 6.2)
        attributes=tuple(attributes),
        inherited=(address.host, None),
    )


def faxLine(
    stream: FaxStream, protocol: str, formats: tuple[str, ...], address: MediaAddress
) -> MediaDescription:
    """The same of fax."""
    return MediaDescription(
        IMAGE,
        address.port,
        protocol=protocol,
        formats=formats,
        attributes=(*stream.attributes, (stream.direction, None)),
        inherited=(address.host, None),
    )


def linesOf(slots: Slots, used: int, line: MediaDescription) -> tuple[MediaDescription, ...]:
    """All lines of our description: C{line} at the place C{used}, the others with port 0."""
    return tuple(
        line if place == used else MediaDescription(slot.kind, 0, 1, *slot[1:], inherited=line.inherited)
        for place, slot in enumerate(slots)
    )


def slotsOf(offer: SessionDescription) -> Slots:
    """The places of its lines."""
    return tuple(Slot(line.kind, line.protocol, line.formats) for line in offer.media)


def refusedLines(slots: Slots) -> tuple[MediaDescription, ...]:
    """Every line with port 0 (RFC 3264 section 6)."""
    return tuple(MediaDescription(slot.kind, 0, 1, *slot[1:]) for slot in slots)


def chosenLine(
    offer: SessionDescription,
    known: int | None,
    protection: Protection,
    choice: CodecChoice,
    host: str,
    group: str | None,
) -> tuple[int, AudioStream]:
    """
    The first line of C{offer} that can be taken, and its stream: the line in use before all others, sound
    before fax.

    @param known: the place of the line in use.
    @param host: our address for media.
    @param group: the one multicast group that the peer may name.
    @raise MalformedSDP: there is none.
    @raise KeyAgreementFailed: only clear media is offered to a secure leg, or no usable key.
    """
    trouble: Exception | None = None
    places = sorted(enumerate(offer.media), key=lambda each: (each[0] != known, protection.rank(each[1])))
    for index, line in places:
        if line.kind.lower() != "audio" or line.port == 0:
            continue
        try:
            remoteOf(line, host, allowedGroup=group)
            protection.take(offer, index)
            stream = streamOf(line)
            choice.toPeer(stream)
        except (KeyAgreementFailed, MalformedSDP) as failure:
            trouble = trouble or failure
            continue
        return index, stream
    if trouble is not None:
        raise trouble
    for index, line in enumerate(offer.media):
        if isFax(line):
            remoteOf(line, host)
            stream = streamIn(line)
            choice.toPeer(stream)
            return index, stream
    text = f"the offer has no usable audio line, wanted {protection.wanted}"
    raise MalformedSDP(text, warning=304)


def lineAnswering(offered: MediaDescription, answer: SessionDescription, place: int) -> MediaDescription:
    """
    The line of C{answer} that answers C{offered}.

    @raise MalformedSDP: there is none, or it refuses the stream.
    """
    if place >= len(answer.media):
        raise MalformedSDP(f"the answer has no {offered.kind} line at its place")
    if answer.media[place].port == 0:
        raise MalformedSDP(f"the answer refuses the {offered.kind} stream")
    return answer.media[place]


def checkAnswer(offer: SessionDescription, answer: SessionDescription, place: int) -> None:
    """
    Is C{answer} one that C{offer} allows?

    @param place: of the line in use.
    @raise MalformedSDP: it breaks RFC 3264; the text names the rules.
    @raise KeyAgreementFailed: it breaks RFC 4568.
    """
    offered = offer.media[place]
    broken = [rule for rule in brokenRules(offer, answer) if not _tolerates(rule, offered)]
    if not broken:
        return
    text = f"the answer breaks: {', '.join(RULES[rule] for rule in broken)}"
    if not any(rule.startswith("crypto") for rule in broken):
        raise MalformedSDP(text)
    raise _toldMore(KeyAgreementFailed(text), troubles(answer.media[place].crypto, weakening=True))


def _tolerates(rule: str, offered: MediaDescription) -> bool:
    """A direction is put right when it is read; keys that nobody offered mean nothing."""
    return rule == "direction" or (not carriesKeys(offered) and rule.startswith("crypto"))


def _toldMore(failure: KeyAgreementFailed, more: str) -> KeyAgreementFailed:
    return KeyAgreementFailed(f"{failure}; {more}", warning=failure.warning) if more else failure


__all__ = [
    "Described",
    "Offered",
    "Slot",
    "Slots",
    "Standing",
    "audioLine",
    "checkAnswer",
    "chosenLine",
    "faxLine",
    "lineAnswering",
    "linesOf",
    "placed",
    "refusedLines",
    "slotsOf",
]
