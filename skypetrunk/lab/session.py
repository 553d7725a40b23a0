"""
Offer and answer of the lab's ends (RFC 3264, RFC 4568): the carrier's and the phone's.

Apart from the trunk's own session code on purpose.  One audio stream, G.711 that is
really played, G.729 that is only named, as Skype's gateways did, and telephone-event.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred

from skypetrunk.core.mikey import MIKEY, MIKEY_KEYS, SDES_KEYS, MIKEYPeer
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import KeyPair, LegStatistics, MediaAddress
from skypetrunk.lab.audio import PCMA, PCMU
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.wire.sdes import SUITES, CryptoAttribute, InlineKey, MasterKey, usableCrypto
from skypetrunk.wire.sdp import MediaDescription, Origin, SessionDescription, parseSDP
from skypetrunk.wire.sdp_lines import Attribute
from skypetrunk.wire.secret import Secret

__all__ = ["AudioSession", "SRTPPolicy", "SRTP_MODES"]

SRTP_MODES = {
    "required": "RTP/SAVP is offered and taken, all else gets 488",
    "optional": "RTP/SAVP is offered; an offer is taken as it is, and keys in RTP/AVP are declined",
    "opportunistic": "RTP/AVP with keys is offered, and taken with and without (RFC 8643); RTP/SAVP too",
    "off": "RTP/AVP is offered and taken, keys in it are declined; RTP/SAVP gets 488",
    "never": "as off, and any offer with keys gets 488",
}
"""What an end wants of SRTP."""

_CODECS = {"8": PCMA, "0": PCMU}
_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "18": "G729/8000"}
_EVENT = "telephone-event/8000"
# Skype's gateways named no ptime, and G.729 without annex B (facts 6.2 and 7.2)
_ATTRIBUTES = {
    "8": (("rtpmap", "8 PCMA/8000"),),
    "0": (("rtpmap", "0 PCMU/8000"),),
    "18": (("rtpmap", "18 G729/8000"), ("fmtp", "18 annexb=no")),
    "101": (("rtpmap", f"101 {_EVENT}"), ("fmtp", "101 0-15")),
}


@dataclass(frozen=True, slots=True)
class SRTPPolicy:
    """
    What an end wants of its media.

    @ivar mode: a key of L{SRTP_MODES}.
    @ivar suites: the suites taken, the preferred one first.
    @ivar keys: how keys are agreed: of L{skypetrunk.core.mikey.PROTOCOLS}.
    @ivar mikeyKey: the pre-shared key of MIKEY in hexadecimal digits; C{None}: there is none.
    """

    mode: str = "required"
    suites: tuple[str, ...] = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
    keys: str = SDES_KEYS
    mikeyKey: Secret | None = None

    @property
    def keyed(self) -> bool:
        """Is there any SRTP?"""
        return self.mode not in ("off", "never")

    @property
    def secure(self) -> bool:
        """Do own offers want it?"""
        return self.mode in ("required", "optional")


class AudioSession:
    """
    The audio of one call, at one end.

    @ivar media: its endpoint.
    @ivar peer: the last description the other end sent.
    """

    def __init__(
        self,
        media: MediaEndpoint,
        entropy: Callable[[int], bytes],
        policy: SRTPPolicy,
        user: str,
        name: str,
        formats: tuple[str, ...] = ("8", "0", "18", "101"),
    ) -> None:
        """
        @param entropy: gives so many random octets, for keys too.
        @param user: the user of C{o=}; the trace of Skype's gateway has the caller's number there.
        @param name: C{s=}, C{"Skype call"} of the carrier.
        @param formats: payload types offered and taken; an event has the number that the peer gives it.
        """
        self.media = media
        self.peer: SessionDescription | None = None
        self._entropy = entropy
        self._policy = policy
        self._formats = formats
        self._name = name
        self._origin = Origin(user, str(int.from_bytes(entropy(4))), "0", media.address.host)
        self._keys: dict[str, MasterKey] = {}
        self._offered: tuple[CryptoAttribute, ...] = ()
        self._mikey: MIKEY | None = None
        if policy.keys == MIKEY_KEYS and policy.keyed:
            self._mikey = MIKEYPeer(policy.mikeyKey, media.seconds).agreement(policy.suites, entropy)
        self._written: SessionDescription | None = None

    def offer(self, direction: str = "sendrecv", hold: bool = False) -> bytes:
        """
        An offer with all that we take.

        @param direction: of our own side.
        @param hold: write C{c=0.0.0.0}, the hold of RFC 2543.
        """
        lines: tuple[CryptoAttribute, ...] = ()
        if self._policy.keyed and self._mikey is None:
            lines = tuple(self._line(tag, suite) for tag, suite in enumerate(self._policy.suites, 1))
        self._offered = lines
        keys = _attributes(lines) if self._mikey is None else self._mikey.offer()
        attributes = [each for name in self._formats for each in _ATTRIBUTES[name]]
        return self._write(
            (self._stream(self._formats, attributes, keys, direction, self._policy.secure),),
            "0.0.0.0" if hold else None,
        )

    def answered(self, body: bytes) -> None:
        """
        The other end's answer to our last offer.

        @raise MalformedSDP: it is none.
        @raise KeyAgreementFailed: it is not secure, or with a suite or tag that was not offered.
        """
        peer = parseSDP(body)
        if not peer.media or peer.media[0].kind != "audio" or not peer.media[0].port:
            raise MalformedSDP("the answer has no audio")
        audio = peer.media[0]
        if audio.isSecure != self._policy.secure:
            raise KeyAgreementFailed(f"the answer to our offer has {audio.protocol}")
        if not (audio.isSecure or _hasKeys(audio)):
            self.media.secure = False
        elif self._mikey is not None:
            self._agree(self._mikey, self._mikey.answered(peer, 0))
        elif self._offered:
            lines = usableCrypto(audio.crypto)
            pairs = [(line.tag, line.suite) for line in self._offered]
            if len(audio.crypto) != 1 or len(lines) != 1 or (lines[0].tag, lines[0].suite) not in pairs:
                raise KeyAgreementFailed("the answer does not choose one of the offered crypto lines")
            self._keyed(lines[0])
        self._agreed(peer, audio, audio.formats)

    def answer(self, body: bytes, clear: bool = False) -> bytes:
        """
        Our answer to an offer.

        @param clear: answer C{RTP/AVP} whatever is offered, as a carrier must not.
        @raise MalformedSDP: it is none, or has no audio or codec that is known here.
        @raise KeyAgreementFailed: SRTP is missing, unwanted, or with no suite that is taken.
        """
        peer = parseSDP(body)
        place = next((n for n, m in enumerate(peer.media) if m.kind == "audio" and m.port), None)
        if place is None:
            raise MalformedSDP("the offer has no audio")
        audio = peer.media[place]
        maps = _STATIC | audio.rtpmaps
        codecs = [f for f in self._formats if f in _STATIC]
        events = "101" in self._formats
        taken = tuple(
            f for f in audio.formats if f in codecs or (events and maps.get(f, "").startswith(_EVENT))
        )
        if not any(f in codecs for f in taken):
            raise MalformedSDP("the offer has no codec that is taken here")
        keys = () if clear else self._choose(peer, place)
        # MIKEY may have nothing to answer to a stream that it has keyed.
        secure = not clear and audio.isSecure
        attributes = [("rtpmap", f"{f} {maps[f]}") for f in taken]
        attributes += [("fmtp", f"{f} {audio.fmtps[f]}") for f in taken if f in audio.fmtps]
        direction = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(audio.direction, audio.direction)
        streams = [
            self._stream(taken, attributes, keys, direction, secure)
            if n == place
            # RFC 3264 section 6: every stream is answered in its place, one not wanted with port 0
            else MediaDescription(each.kind, 0, protocol=each.protocol, formats=each.formats)
            for n, each in enumerate(peer.media)
        ]
        self._agreed(peer, audio, taken)
        return self._write(tuple(streams))

    def start(self) -> None:
        """Media may flow."""
        self.media.start()

    def press(self, key: str) -> None:
        """
        Press a key, C{0-9 * # A-D}: the other end hears of it by telephone-event.

        @raise MalformedSDP: the other end takes none.
        """
        for each in () if self.peer is None else self.peer.media:
            for number, encoding in each.rtpmaps.items():
                if encoding.lower() == _EVENT:
                    self.media.press("0123456789*#ABCD".index(key), int(number))
                    return
        raise MalformedSDP("no telephone-event was agreed")

    def stop(self) -> Deferred[None]:
        """The call is over."""
        return self.media.stop()

    def statistics(self) -> LegStatistics:
        """What was sent and received."""
        return self.media.statistics()

    def recording(self) -> array[int]:
        """What was heard."""
        return self.media.recording()

    # Keys

    def _line(self, tag: int, suite: str) -> CryptoAttribute:
        if suite not in self._keys:
            known = SUITES[suite]
            self._keys[suite] = MasterKey(self._entropy(known.keyOctets), self._entropy(known.saltOctets))
        return CryptoAttribute(tag, suite, (InlineKey(self._keys[suite]),))

    def _choose(self, peer: SessionDescription, place: int) -> tuple[Attribute, ...]:
        mode, audio = self._policy.mode, peer.media[place]
        if mode == "never" and _hasKeys(audio):
            raise KeyAgreementFailed("nothing is known here of keys")
        if not audio.isSecure:
            if mode == "required":
                raise KeyAgreementFailed(f"SRTP is required here, the offer has {audio.protocol}")
            if mode != "opportunistic" or not _hasKeys(audio):
                self.media.secure = False
                return ()
        if not self._policy.keyed:
            raise KeyAgreementFailed("there is no SRTP here")
        if self._mikey is not None:
            attributes, pair = self._mikey.answer(peer, place)
            self._agree(self._mikey, pair)
            return attributes
        offered = usableCrypto(audio.crypto)
        for suite in self._policy.suites:
            for line in offered:
                if line.suite == suite and len(line.keys) == 1 and not line.negotiated:
                    ours = self._line(line.tag, suite)
                    self._keyed(line)
                    return _attributes([ours])
        raise KeyAgreementFailed("no crypto line with a suite that is taken here")

    def _agree(self, mikey: MIKEY, pair: KeyPair) -> None:
        mikey.agree(pair)
        self.media.secure = True
        self.media.setKeys(pair.suite, pair.local, pair.remote, pair.ssrc)

    def _keyed(self, line: CryptoAttribute) -> None:
        self.media.secure = True
        self.media.setKeys(line.suite, self._keys[line.suite], line.keys[0].master)

    # Descriptions

    def _agreed(self, peer: SessionDescription, audio: MediaDescription, formats: tuple[str, ...]) -> None:
        self.peer = peer
        codecs = [_CODECS[each] for each in formats if each in _CODECS]
        if codecs:
            self.media.codec = codecs[0]
        held = audio.isHold or audio.direction in ("sendonly", "inactive") or audio.address is None
        remote = None
        if not held and audio.address is not None:
            remote = MediaAddress(audio.address, audio.port, audio.rtcpPort or audio.port + 1)
        self.media.setRemote(remote)

    def _stream(
        self,
        formats: tuple[str, ...],
        attributes: list[tuple[str, str]],
        keys: tuple[Attribute, ...],
        direction: str,
        secure: bool,
    ) -> MediaDescription:
        return MediaDescription(
            "audio",
            self.media.address.port,
            protocol="RTP/SAVP" if secure else "RTP/AVP",
            formats=formats,
            attributes=(*keys, *attributes, (direction, None)),
        )

    def _write(self, streams: tuple[MediaDescription, ...], connection: str | None = None) -> bytes:
        """The description, its version one up where it says something new (RFC 3264 section 8)."""
        address = connection or self.media.address.host
        new = SessionDescription(self._origin, self._name, address, streams)
        if self._written is None or replace(new, origin=self._written.origin) != self._written:
            self._origin = replace(self._origin, version=str(int(self._origin.version) + 1))
            new = replace(new, origin=self._origin)
        self._written = new
        return new.encode()


def _hasKeys(audio: MediaDescription) -> bool:
    return bool(audio.crypto) or audio.has("key-mgmt")


def _attributes(lines: Iterable[CryptoAttribute]) -> tuple[Attribute, ...]:
    return tuple(("crypto", line.encode()) for line in lines)
