"""
The end of a call inside this process: where a PBX without sockets sends and hears RTP.

Its peer is always the plain leg of a bridge, on another pair of ports of the same media plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from struct import Struct
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from skypetrunk.interfaces import AudioPacket, IMediaEndpoint, MediaAddress
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.playing import RATE, Playing
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from skypetrunk.wire.telephone_event import KeyReader

if TYPE_CHECKING:
    from skypetrunk.media.source import Address

_HEADER = Struct("!BBHII")


@implementer(IMediaEndpoint)
class Endpoint(PlainLeg):
    """
    See L{IMediaEndpoint} and L{skypetrunk.interfaces.IPBXMedia}.

    @ivar codec: C{"PCMA"} or C{"PCMU"}.
    """

    def __init__(
        self, name: str, clock: IReactorTime, entropy: Callable[[int], bytes], giveBack: Callable[[], None]
    ) -> None:
        super().__init__(name, clock, entropy, giveBack)
        self.codec = "PCMA"
        self._payloadType = 8
        self._eventType: int | None = None
        self._clock = clock
        self._began = clock.seconds()
        self._ssrc = int.from_bytes(entropy(4), "big")
        self._sequence = int.from_bytes(entropy(2), "big")
        self._origin = int.from_bytes(entropy(4), "big")
        # Where the audio sent so far ends, in samples since the beginning.
        self._end = 0
        self._keys = KeyReader()
        self._playing: Playing | None = None
        self._heard: Callable[[AudioPacket], None] = _nobody
        self._pressed: Callable[[str], None] = _nobody
        self._broke: Callable[[], None] = _nothing

    # IMediaEndpoint

    def attach(
        self,
        packetReceived: Callable[[AudioPacket], None],
        digitReceived: Callable[[str], None],
        failed: Callable[[], None],
    ) -> None:
        """See L{IMediaEndpoint}."""
        self._heard, self._pressed, self._broke = packetReceived, digitReceived, failed

    def agreed(self, codec: str, payloadType: int, eventType: int | None) -> None:
        """See L{IMediaEndpoint}."""
        if codec != self.codec:
            # What is being played was made for the other one.
            self.stop()
        self.codec, self._payloadType, self._eventType = codec, payloadType, eventType

    def setRemote(self, address: MediaAddress | None) -> None:
        """Where the bridge's leg is: on our own host, whatever name it is shown under beyond NAT."""
        super().setRemote(address and replace(address, host=self.address.host))

    # IPBXMedia

    @property
    def sending(self) -> bool:
        """See L{skypetrunk.interfaces.IPBXMedia}."""
        return self._sending and self._rtp.destination is not None and not self._released

    def play(self, frames: Iterable[bytes]) -> Deferred[bool]:
        """See L{skypetrunk.interfaces.IPBXMedia}."""
        self.stop()
        playing = Playing(self._clock, frames, lambda: self.sending, self._sendNext, self._broke)
        self._playing = playing
        if self._released:
            playing.stop()
        return playing.finished

    def stop(self) -> None:
        """See L{skypetrunk.interfaces.IPBXMedia}."""
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.stop()

    def send(self, payload: bytes, marker: bool = False, timestamp: int | None = None) -> None:
        """See L{skypetrunk.interfaces.IPBXMedia}."""
        start = max(self._end, self._now()) if timestamp is None else timestamp
        self._end = start + len(payload)
        if not self.sending:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        stamp = (self._origin + start) & 0xFFFFFFFF
        header = RTPHeader(2, False, marker, self._payloadType, self._sequence, stamp, self._ssrc, 12)
        second = self._payloadType | marker << 7
        packet = _HEADER.pack(0x80, second, self._sequence, stamp, self._ssrc) + payload
        self.sendRTP(packet, header, self._seconds())

    def _sendNext(self, frame: bytes, first: bool) -> None:
        """After the frame before; the first after a pause at its place in time (RFC 3550 section 5.1)."""
        self.send(frame, first, None if first else self._end)

    def _now(self) -> int:
        return int((self._seconds() - self._began) * RATE)

    # PlainLeg

    def _sentSSRC(self) -> int | None:
        return self._ssrc

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port."""
        super().rtpReceived(packet, address)
        header = parseRTP(packet)
        payload = packet[header.headerLength :]
        if header.padding and payload:
            payload = payload[: -payload[-1]]
        if header.payloadType == self._eventType:
            for key in self._keys.received(header.ssrc, header.timestamp, payload):
                self._pressed(key)
        elif header.payloadType == self._payloadType and payload:
            self._heard(AudioPacket(payload, header.sequence, header.timestamp, header.marker))

    def _ended(self) -> None:
        super()._ended()
        self.stop()
        self._heard = self._pressed = _nobody
        self._broke = _nothing


def _nobody(received: object) -> None:
    """Nobody listens."""


def _nothing() -> None:
    """Nobody is to be told."""
