"""
One end of a call's audio: RTP or SRTP on a pair of ports of its own.

It plays a tone, sends back what it hears, or is silent; it records what it hears and
counts what it was sent, so that both ends of a call can be held against each other.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import suppress
from struct import Struct

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard, LegStatistics, MediaAddress
from skypetrunk.lab.audio import FRAME, PCMA, RATE, Codec, Tone
from skypetrunk.lab.ports import IReactor, closePorts, listenPair, portNumber
from skypetrunk.media.counters import Counters
from skypetrunk.media.srtp import protector, unprotector
from skypetrunk.wire.rtp import RTPHeader, parseRTCP, parseRTP
from skypetrunk.wire.sdes import MasterKey

__all__ = ["MediaEndpoint"]

_EVENT = Struct("!BBH")
_HEADER = Struct("!BBHII")
_SENDER_REPORT = Struct("!BBHIIIIII")
_SOURCE_DESCRIPTION = Struct("!BBHI")
_NTP_EPOCH = 2_208_988_800
_CNAME = b"lab@skypetrunk.invalid"

_INTERVAL = FRAME / RATE
_RTCP_EVERY = 5.0
_EARLY = 50
_FORMER = 2.0
"""Seconds that the key before is taken: packets under it are on their way when the new one is agreed."""

_RECORDED = 30_000
"""Packets that are recorded: ten minutes; a call left alone must not fill the memory."""


class _Port(DatagramProtocol):
    """Hands datagrams to its endpoint."""

    noisy = False

    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One packet."""
        self._received(datagram, addr[:2])


class MediaEndpoint:
    """
    An endpoint binds its ports when it is made; it sends once it knows where to.

    @ivar address: where it receives, for its SDP.
    @ivar codec: what it plays and records.
    @ivar tone: what it plays, or C{None}.
    @ivar echo: whether it sends back what it hears.
    @ivar latch: send nothing before a packet of the peer was accepted, and then to
        where that came from: what many carriers do.
    @ivar firstHeard: the clock's time of the first packet, or C{None}.
    """

    def __init__(
        self, reactor: IReactor, address: str, entropy: Callable[[int], bytes], name: str, secure: bool
    ) -> None:
        """
        @param entropy: gives so many random octets.
        @param name: for the statistics.
        @param secure: whether anything but SRTP is refused.
        @raise CannotListenError: no pair of ports is left.
        """
        self._clock = reactor
        self.name = name
        self.secure = secure
        self._rtp, self._rtcp, self._ports = listenPair(
            reactor, address, lambda: _Port(self._rtpReceived), lambda: _Port(self._rtcpReceived)
        )
        port = portNumber(self._ports[0])
        self.address = MediaAddress(address, port, port + 1)
        self.codec: Codec = PCMA
        self.tone: Tone | None = None
        self.echo = False
        self.latch = False
        self.firstHeard: float | None = None
        self.suite: str | None = None
        self._remote: MediaAddress | None = None
        self._source: tuple[str, int] | None = None
        self._keys: tuple[MasterKey, MasterKey] | None = None
        self._protector: IPacketGuard | None = None
        self._unprotector: IPacketGuard | None = None
        self._former: tuple[IPacketGuard, float] | None = None
        self._early: list[tuple[Callable[[bytes, tuple[str, int]], None], bytes, tuple[str, int]]] = []
        self._received = Counters()
        self._sent = Counters()
        self._payloadOctets = 0
        self._recorded: list[tuple[int, int, bytes]] = []
        self._ssrc = int.from_bytes(entropy(4))
        self._sequence = int.from_bytes(entropy(2)) >> 1
        self._timestamp = int.from_bytes(entropy(4))
        self._echoed: tuple[int, int] | None = None
        self._started = False
        self._frames = LoopingCall.withCount(self._playFrames)
        self._reports = LoopingCall(self._report)
        for loop in (self._frames, self._reports):
            loop.clock = reactor

    def setRemote(self, remote: MediaAddress | None) -> None:
        """Where the peer's SDP says it receives; C{None} on hold."""
        self._remote = remote

    def seconds(self) -> float:
        """The time on its clock."""
        return self._clock.seconds()

    def setKeys(self, suite: str, local: MasterKey, remote: MasterKey, ssrc: int | None = None) -> None:
        """
        What was agreed.  The same keys again change nothing: a context lives as long as its key.

        @param ssrc: that the peer was told of; C{None}: it was not.
        """
        if self._keys is None or self._keys[0] != local:
            self._protector = protector(suite, local)
            self._ssrc = self._ssrc if ssrc is None else ssrc
        if self._keys is None or self._keys[1] != remote:
            if self._unprotector is not None:
                self._former = self._unprotector, self._clock.seconds() + _FORMER
            self._unprotector = unprotector(suite, remote)
        self._keys = (local, remote)
        self.suite = suite
        early, self._early = self._early, []
        for received, packet, source in early:
            self._received.early += 1
            received(packet, source)

    def start(self) -> None:
        """Begin to send.  A second call changes nothing."""
        if not self._started:
            self._started = True
            self._frames.start(_INTERVAL)
            # RFC 3550 section 6.2: the first report after half the interval
            self._reports.start(_RTCP_EVERY / 2, now=False)
            self._reports.interval = _RTCP_EVERY

    def stop(self) -> Deferred[None]:
        """Stop sending and close both ports."""
        for loop in (self._frames, self._reports):
            if loop.running:
                loop.stop()
        ports, self._ports = self._ports, ()  # type: ignore[assignment]
        return closePorts(ports)

    def statistics(self) -> LegStatistics:
        """Counters so far; what was received is counted once it was authenticated."""
        return LegStatistics(
            self.name, self.secure, self.suite, self._received.snapshot(), self._sent.snapshot()
        )

    def recording(self) -> array[int]:
        """What was heard since the first packet; what is missing is silence."""
        samples = array("h")
        source: int | None = None
        origin = start = 0
        for ssrc, timestamp, payload in self._recorded:
            offset = (timestamp - origin) & 0xFFFFFFFF
            # A new source, or ten seconds in one step: it goes on where the recording ends
            if ssrc != source or offset > len(samples) - start + 10 * RATE:
                source, origin, start, offset = ssrc, timestamp, len(samples), 0
            heard = self.codec.decode(payload)
            at = start + offset
            if at + len(heard) > len(samples):
                samples.extend([0] * (at + len(heard) - len(samples)))
            samples[at : at + len(heard)] = heard
        return samples

    # Receiving

    def _rtpReceived(self, packet: bytes, source: tuple[str, int]) -> None:
        if self.secure and self._unprotector is None and len(self._early) < _EARLY:
            self._early.append((self._rtpReceived, packet, source))
            return
        try:
            if self._unprotector is not None:
                packet = self._unprotected(self._unprotector, lambda guard: guard.rtp(packet))
            elif self.secure:
                raise PacketRefused("no-key")
            elif self._remote is None or source[0] != self._remote.host:
                raise PacketRefused("source")
            header = parseRTP(packet)
        except PacketRefused as refusal:
            self._received.refuse(refusal.reason)
            return
        self._accepted(packet, header, source)

    def _unprotected(self, current: IPacketGuard, read: Callable[[IPacketGuard], bytes]) -> bytes:
        try:
            return read(current)
        except PacketRefused:
            former = self._former
            if former is None or self._clock.seconds() > former[1]:
                raise
            with suppress(PacketRefused):
                return read(former[0])
            raise

    def _accepted(self, packet: bytes, header: RTPHeader, source: tuple[str, int]) -> None:
        counters = self._received
        counters.packets += 1
        counters.octets += len(packet)
        counters.authenticated += self.secure
        counters.reception.received(header, self._clock.seconds())
        self._source = source
        if self.firstHeard is None:
            self.firstHeard = self._clock.seconds()
        payload = packet[header.headerLength :]
        if header.padding and payload:
            payload = payload[: -payload[-1]]
        if header.payloadType == self.codec.payloadType and len(self._recorded) < _RECORDED:
            self._recorded.append((header.ssrc, header.timestamp, payload))
        if self.echo and self._started and payload:
            self._sendBack(header, payload)

    def _rtcpReceived(self, packet: bytes, source: tuple[str, int]) -> None:
        if self.secure and self._unprotector is None and len(self._early) < _EARLY:
            self._early.append((self._rtcpReceived, packet, source))
            return
        try:
            if self._unprotector is not None:
                packet = self._unprotected(self._unprotector, lambda guard: guard.rtcp(packet))
            elif self.secure:
                raise PacketRefused("no-key")
            parseRTCP(packet)
        except PacketRefused as refusal:
            self._received.refuse(refusal.reason)
            return
        self._received.rtcpPackets += 1

    # Sending

    def _destination(self) -> tuple[str, int] | None:
        if self._remote is None or (self.secure and self._protector is None):
            return None
        if self.latch:
            return self._source
        return self._remote.host, self._remote.port

    def _playFrames(self, count: int) -> None:
        """Send the frames that are due: more than one when the process was late."""
        if self.tone is None or self._destination() is None:
            self._timestamp += FRAME * count
            return
        frame = self.tone.frame(self.codec)
        for _ in range(min(count, 10)):
            self._send(self.codec.payloadType, frame, marker=self._sent.packets == 0)
            self._timestamp += FRAME

    def press(self, code: int, payloadType: int) -> None:
        """A key: one event of 100 ms (RFC 4733 section 2.5), its end three times."""
        duration = 5 * FRAME
        for place, end in enumerate((False, True, True, True)):
            payload = _EVENT.pack(code, 10 | end << 7, duration)
            self._send(payloadType, payload, marker=place == 0)
        self._timestamp += duration

    def _sendBack(self, header: RTPHeader, payload: bytes) -> None:
        if self._destination() is None:
            return
        if self._echoed is None or self._echoed[0] != header.ssrc:
            self._echoed = header.ssrc, (self._timestamp - header.timestamp) & 0xFFFFFFFF
        self._timestamp = header.timestamp + self._echoed[1]
        self._send(header.payloadType, payload, header.marker)

    def _send(self, payloadType: int, payload: bytes, marker: bool) -> None:
        destination = self._destination()
        if destination is None or self._rtp.transport is None:
            return
        fields = payloadType | marker << 7, self._sequence, self._timestamp & 0xFFFFFFFF, self._ssrc
        packet = _HEADER.pack(0x80, *fields) + payload
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._protector is not None:
            packet = self._protector.rtp(packet)
            self._sent.authenticated += 1
        if _written(self._rtp, packet, destination):
            self._sent.packets += 1
            self._sent.octets += len(packet)
            self._payloadOctets += len(payload)

    def _report(self) -> None:
        """A sender report and our CNAME (RFC 3550 section 6.4.1, 6.5)."""
        remote = self._remote
        if remote is None or self._destination() is None or self._rtcp.transport is None:
            return
        now = self._clock.seconds() + _NTP_EPOCH
        whole = int(now)
        packet = _SENDER_REPORT.pack(
            0x80,
            200,
            6,
            self._ssrc,
            whole & 0xFFFFFFFF,
            int((now - whole) * 2**32) & 0xFFFFFFFF,
            self._timestamp & 0xFFFFFFFF,
            self._sent.packets,
            self._payloadOctets & 0xFFFFFFFF,
        )
        items = bytes((1, len(_CNAME))) + _CNAME
        items += bytes(4 - len(items) % 4)
        packet += _SOURCE_DESCRIPTION.pack(0x81, 202, 1 + len(items) // 4, self._ssrc) + items
        if self._protector is not None:
            packet = self._protector.rtcp(packet)
        if _written(self._rtcp, packet, (remote.host, remote.rtcpPort)):
            self._sent.rtcpPackets += 1


def _written(port: _Port, packet: bytes, destination: tuple[str, int]) -> bool:
    """Did C{packet} leave?  Where there is no way it is lost, as it could be anywhere else."""
    assert port.transport is not None
    try:
        port.transport.write(packet, destination)
    except OSError:
        return False
    return True
