"""
The media session of one leg: its side of offer and answer (RFC 3264), written from an allow-list.

Nothing of the other leg's SDP crosses but what L{AudioStream} names: codecs, packet time and
direction of one audio stream.  Addresses, ports, keys and the origin line are the leg's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from skypetrunk.core.audio_stream import (
    RECEIVES,
    SENDS,
    AudioStream,
    alike,
    completed,
    groupOf,
    limited,
    remoteOf,
    renumbered,
    within,
)
from skypetrunk.core.codec_choice import ANY, CodecChoice
from skypetrunk.core.description import MULTIPART, SDP_TYPE, description
from skypetrunk.core.fax_stream import IMAGE, T38, UDPTL, FaxStream, commonStream, isFax, streamIn
from skypetrunk.core.keys import KeyUses
from skypetrunk.core.media_lines import (
    Described,
    Offered,
    Slot,
    Slots,
    Standing,
    audioLine,
    checkAnswer,
    chosenLine,
    faxLine,
    lineAnswering,
    linesOf,
    placed,
    refusedLines,
    slotsOf,
)
from skypetrunk.core.packet_time import wish
from skypetrunk.core.payload_types import PayloadTypes
from skypetrunk.core.protection import Form, Protection
from skypetrunk.core.session_version import SessionVersion
from skypetrunk.errors import MalformedSDP
from skypetrunk.interfaces import IKeyAgreement, IMediaLeg, KeyPair
from skypetrunk.wire.sdp import MediaDescription, SessionDescription, parseSDP
from skypetrunk.wire.sdp_lines import Attribute

__all__ = ["MULTIPART", "SDP_TYPE", "AudioStream", "Session", "description"]


class Session:
    """
    One leg's offers and answers, and the media leg and keys they settle.  In the place of sound there may be
    fax by T.38, whose leg is in clear, until another exchange brings sound again.

    Methods come in pairs: C{makeOffer} then C{answerReceived}, or C{offerReceived} then
    C{makeAnswer}.  A refused exchange leaves ports, keys and remote as they were.

    @ivar faxing: the media leg has fax, though the exchange may come to nothing.
    """

    def __init__(
        self,
        media: IMediaLeg,
        keys: IKeyAgreement | None,
        entropy: Callable[[int], bytes],
        asked: Sequence[tuple[str, str | None]] = (),
        optional: bool = False,
        form: Form | None = None,
        choice: CodecChoice = ANY,
        group: str | None = None,
    ) -> None:
        """
        @param asked: attributes of the audio stream in our offers that have keys, beside those that make it.
        @param choice: what may cross.
        @param keys: the key agreement of a leg whose media is SRTP, C{None} for plain RTP.
        @param optional: it may be plain RTP all the same.
        @param form: of the first offer.
        @param group: the one multicast group that the peer may name.
        """
        self.media = media
        self.faxing = False
        self.uses = KeyUses()
        self._types = PayloadTypes()
        self.protection = Protection(keys, optional, form)
        self._asked = tuple(asked)
        self._choice = choice
        self._together: tuple[Attribute, ...] = ()
        self._group = group
        self._version = SessionVersion(int.from_bytes(entropy(7), "big") + 1)
        self._slots: Slots = ()
        self._audio = 0
        self._agreed: tuple[Slots, int] | None = None
        # What waits for its answer: ours, and the peer's.
        self._offered: Offered | None = None
        self._offer: Described | None = None
        self._said: AudioStream | None = None
        self._heard: Described | None = None
        self._standing: Standing | None = None
        self._ours = False

    def forget(self) -> None:
        """The pending exchange came to nothing: what was agreed before stands (RFC 3261 section 14.1)."""
        self._offered = None
        self.refused()

    def refused(self) -> None:
        """The peer's offer is refused; ours, if there is one, goes on waiting for its answer."""
        self._offer = None
        if self._agreed is not None:
            self._slots, self._audio = self._agreed

    def close(self) -> None:
        """The leg is over: keys and descriptions are let go, though its INVITE is remembered for 64*T1."""
        self.protection.forget()
        self._version.close()
        self._standing = self._agreed = None
        self._offered = self._offer = self._heard = self._said = None
        self.uses.forget()

    # We offer

    def makeOffer(self, stream: AudioStream, freshKey: bool = False) -> bytes:
        """
        Our offer of C{stream}: one audio line, every line the session once had beside it with port 0.

        @param freshKey: with a new key of ours, where the media is SRTP.
        @raise MalformedSDP: the peer may have none of its codecs; nothing has changed.
        """
        stream = self._choice.toPeer(stream)
        keys: tuple[Attribute, ...] = ()
        if isinstance(stream, FaxStream):
            protocol, wanted = UDPTL, Slot(IMAGE, UDPTL, (T38,))
        else:
            stream = renumbered(stream, self._types.offered(stream))
            if not stream.formats:
                raise MalformedSDP("wanted a codec, offered is what goes with one alone", warning=305)
            keys = self.protection.offer(freshKey)
            protocol = self.protection.form.protocol
            wanted = Slot("audio", protocol, stream.formats)
        self._slots, self._audio = placed(self._slots, self._audio, wanted)
        self._said = stream
        written = self._write(stream, protocol, (*keys, *self._asked) if keys else ())
        self._offered = Offered(written, stream, stream, self._slots, self._audio)
        return written.encode()

    def answerReceived(self, body: bytes, secured: bool = False) -> AudioStream:
        """
        The answer to our last offer, from a provisional or final response or an ACK.  It may come
        again; a second, different one replaces the first.

        @param secured: who answers has agreed on SRTP before.
        @raise MalformedSDP: it breaks RFC 3264; the text names the rules.
        @raise KeyAgreementFailed: no key, or not from our offer: clear media to a secure offer.
        """
        if self._offered is None:
            raise MalformedSDP("an answer without an offer")
        offer, ours, said, slots, place = self._offered
        answer = parseSDP(body, keepLines=False)
        offered = offer.media[place]
        audio = lineAnswering(offered, answer, place)
        self.protection.checkProtocol(offered, audio)
        checkAnswer(offer, answer, place)
        fax = isinstance(ours, FaxStream)
        pair = None if fax else self.protection.answered(offered, answer, place, secured)
        heard = Described(answer, streamIn(audio))
        stream = commonStream(heard.stream, ours)
        direction = limited(stream.direction, ours.direction)
        self._version.last, self._said, self._slots, self._audio = offer, said, slots, place
        if fax:
            self._settleFax(audio)
        else:
            together = offered.multiplexesRTCP and audio.multiplexesRTCP
            self._settle(heard, pair, direction in RECEIVES, ours, together)
        self._heard, self._ours = heard, True
        return self._choice.shown(stream).directed(direction)

    def answered(self) -> None:
        """The final answer is in; later ones are out of place."""
        self._stand()
        self._offered = None

    # The peer offers

    def offerReceived(self, body: bytes) -> AudioStream:
        """
        The peer's offer: the first audio line that this leg can take.

        @raise MalformedSDP: no session description, or none of its lines can be taken (488).
        @raise KeyAgreementFailed: only clear media is offered to a secure leg, or no usable key.
        """
        offer = parseSDP(body, keepLines=False)
        known = None if self._agreed is None else self._audio
        host = self.media.address.host
        index, stream = chosenLine(offer, known, self.protection, self._choice, host, self._group)
        self._offer = Described(offer, stream)
        self._audio = index
        self._slots = slotsOf(offer)
        return self._choice.fromPeer(stream)

    def makeAnswer(self, stream: AudioStream) -> bytes:
        """
        Our answer to the offer received: C{stream} at the place of the chosen audio line, every
        other line refused with port 0 (RFC 3264 section 6).  May be made again for the same offer
        (a provisional answer, then the final one).
        """
        if self._offer is None:
            raise MalformedSDP("an answer without an offer")
        offer, offered = self._offer
        line = offer.media[self._audio]
        fax = isinstance(offered, FaxStream)
        keys, pair = ((), None) if fax else self.protection.take(offer, self._audio)
        stream = commonStream(stream, self._choice.toPeer(offered))
        direction = limited(stream.direction, offered.direction)
        if fax:
            self._settleFax(line)
        else:
            together = line.multiplexesRTCP and groupOf(line) is None
            self._settle(self._offer, pair, direction in SENDS, stream, together)
            self._types.answered(stream)
        self._said, self._heard, self._ours = stream, self._offer, False
        return self._write(stream.directed(direction), line.protocol, keys).encode()

    def refuseOffer(self, body: bytes, elsewhere: bool = False) -> bytes:
        """
        The answer to an offer in a 2xx that cannot be taken: port 0 for each line, as the ACK has no other
        refusal; empty to what cannot be read.  Media is as it was, and the lines are those of the offer,
        unless it is of a branch C{elsewhere}, whose dialog is another one.
        """
        if not elsewhere:
            self.forget()
        try:
            slots = slotsOf(parseSDP(body, keepLines=False))
        except MalformedSDP:
            return b""
        if not elsewhere:
            self._slots, self._audio = slots, self._audio if self._audio < len(slots) else 0
            self._agreed = (self._slots, self._audio)
        refusal = self._version.described(self.media.address.host, refusedLines(slots))
        return (refusal if elsewhere else self._version.written(refusal)).encode()

    def answerSent(self) -> None:
        """Our answer went out in a final response or ACK; the exchange is over."""
        self._stand()
        self._offer = None

    @property
    def secure(self) -> bool:
        """Is its media SRTP, or to be?"""
        return self.protection.secure

    @property
    def fax(self) -> bool:
        """Is T.38 what stands?"""
        return isinstance(self.said, FaxStream)

    @property
    def expectsMedia(self) -> bool:
        """By what stands, is the peer to send?"""
        heard, said = self.heard, self.said
        if heard is None or said is None:
            return False
        return heard.direction in SENDS and said.direction in RECEIVES

    # Refreshes of what stands (RFC 4028)

    @property
    def said(self) -> AudioStream | None:
        """The stream that the peer was told last; C{None} before anything was agreed."""
        return None if self._standing is None else self._standing.said

    @property
    def heard(self) -> AudioStream | None:
        """The stream that the peer told us last."""
        return None if self._standing is None else self._choice.shown(self._standing.heard.stream)

    def isNews(self, stream: AudioStream) -> bool:
        """Would C{stream} tell the peer anything else than it was told last?"""
        standing, heard = self._standing, self.heard
        if standing is None or heard is None:
            return False
        said = standing.said
        if standing.offered and any(
            stream.direction in way and said.direction not in way for way in (SENDS, RECEIVES)
        ):
            # Its answer could not say what it would do with that.
            return True
        now, told = (each.directed(limited(each.direction, heard.direction)) for each in (stream, said))
        return not alike(within(now, heard), within(told, heard))

    def _stand(self) -> None:
        if not isinstance(self._said, FaxStream):
            self.protection.stands()
        written = self._version.last
        if written is not None and self._said is not None and self._heard is not None:
            self._standing = Standing(written, self._said, self._heard, self._ours, self._slots, self._audio)

    def repeats(self, body: bytes, refresh: bool) -> bool:
        """
        Does the peer's offer change nothing?

        @param refresh: it says of itself that it is a refresh: then some raise its version all the same.
        """
        return self._standing is not None and self._standing.repeatedBy(body, refresh)

    def repeatAnswer(self, body: bytes) -> bytes:
        """Our answer to an offer that L{repeats}: what this leg was told last, as far as it is offered."""
        assert self._standing is not None
        offered = self.offerReceived(body)
        said = self._standing.said
        answer = self.makeAnswer(commonStream(said, offered) if self._standing.offered else said)
        self.answerSent()
        return answer

    def repeatOffer(self) -> bytes:
        """
        Our description that stands, as an offer: the same octets unless another one was tried since, or its
        keys cannot be offered again.
        """
        assert self._standing is not None
        standing, slots, place = self._standing.written, self._standing.slots, self._standing.place
        self._said, self._slots, self._audio = self._standing.said, slots, place
        media = list(standing.media)
        audio = media[place]
        if not isFax(audio):
            media[place] = replace(audio, attributes=self.protection.repeat(audio))
        origin = replace(standing.origin, version=str(self._version.number))
        written = self._version.written(replace(standing, media=tuple(media), origin=origin))
        self._offered = Offered(written, streamIn(audio), self._said, slots, place)
        return written.encode()

    # Both

    def _settle(
        self, heard: Described, pair: KeyPair | None, sending: bool, ours: AudioStream, together: bool
    ) -> None:
        """@param ours: what we have written, or are about to."""
        line, theirs = heard.whole.media[self._audio], heard.stream
        # The address first: the media leg may refuse it, and then nothing has changed.
        self.media.setRemote(remoteOf(line, self.media.address.host, together, self._group))
        self.faxing = False
        self._together = (("rtcp-mux", None),) if together else ()
        self.media.setPayloadTypes(completed(ours, theirs).encodings, completed(theirs, ours).encodings)
        self.media.setPacketTime(wish(theirs))
        self.media.setSending(sending)
        self.protection.settled(pair, line.protocol)
        if pair is not None:
            self.uses.settled(pair, self.media)
            self.media.setRemoteKey(pair.suite, pair.remote, pair.declared)
            self.media.setLocalKey(pair.suite, pair.local, pair.ssrc)
        else:
            self.uses.forget()
            self.media.setClear()
        self._agreed = (self._slots, self._audio)

    def _settleFax(self, line: MediaDescription) -> None:
        """Keys, and what else is known of the sound, stay as they are: it comes again after the fax."""
        self.media.setFax(remoteOf(line, self.media.address.host))
        self.faxing = True
        self._agreed = (self._slots, self._audio)

    def _write(self, stream: AudioStream, protocol: str, more: Sequence[Attribute]) -> SessionDescription:
        """Our description, with C{stream} in the line in use."""
        address = self.media.address
        offered = None if self._offer is None else self._offer.whole.media[self._audio]
        if isinstance(stream, FaxStream):
            line = faxLine(stream, protocol, self._slots[self._audio].formats, address)
        else:
            line = audioLine(stream, protocol, (*more, *self._together), address, offered)
        lines = linesOf(self._slots, self._audio, line)
        return self._version.written(self._version.described(address.host, lines))
