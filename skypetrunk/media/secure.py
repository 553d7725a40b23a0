"""
The carrier side: SRTP, where only a verified tag says who sent a packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import PacketRefused, StreamLost
from skypetrunk.interfaces import ANY_PATH, MediaPath
from skypetrunk.media.context import Context
from skypetrunk.media.inbound import Inbound
from skypetrunk.media.keepalive import KeepAlive
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.reporting import Sending
from skypetrunk.media.source import AuthenticatedSource
from skypetrunk.media.srtp import ownUnprotector, protector, unprotector
from skypetrunk.media.stream import OutboundStream
from skypetrunk.wire.rtp import RTPHeader, parseRTCP, parseRTP

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys
    from skypetrunk.media.heard import Heard
    from skypetrunk.media.source import Address
    from skypetrunk.wire.sdes import MasterKey

EARLY_PACKETS = 50
"""Packets kept before the key is known: a second of sound."""

EARLY_SECONDS = 1.0
"""Older ones are of no use to a listener any more."""

NEXT_STEP = 5760
"""Units of a time stamp from one packet to the next: 120 ms at 48 kHz, the longest packets there are."""


class _Early(NamedTuple):
    """
    A datagram that came before its key.

    @ivar refusal: it was counted as refused for this reason; C{None}: not yet.
    """

    time: float
    receive: Callable[[bytes, Address], None]
    packet: bytes
    address: Address
    refusal: str | None


class SecureLeg(MediaLeg):
    """
    A leg with SRTP.  Contexts live as long as their key (RFC 3711 section 3.2.3): outbound
    one per key, inbound by key, whatever re-INVITEs say in between.
    """

    secure = True

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        giveBack: Callable[[], None],
        path: MediaPath = ANY_PATH,
    ) -> None:
        super().__init__(name, clock, entropy, giveBack)
        self._entropy, self._path = entropy, path
        self._rtp: AuthenticatedSource = AuthenticatedSource(path)
        self._rtcp: AuthenticatedSource = AuthenticatedSource(path)
        self.connects = path.symmetric
        self._stream: OutboundStream | None = None
        self._suite: str | None = None
        self._localKey = b""
        self._usedKeys: tuple[bytes, ...] = ()
        # By suite: its key, and the stream under it, which another branch of the call may go back to.
        self._streams: dict[str, tuple[bytes, OutboundStream]] = {}
        self._inbound = Inbound(clock.seconds, self._recovered)
        # That of the key agreed last.
        self._context: Context | None = None
        self._early: list[_Early] = []
        # When the packet that is taken came in, if not just now.
        self._arrived: float | None = None
        self._keepAlive = KeepAlive(clock, self._sendKeepAlives, self.sync)
        self._keepAliveType = 127

    @property
    def suite(self) -> str | None:
        """The suite that we protect with, or the peer's while we have no key."""
        if self._suite is None and self._context is not None:
            return self._context.suite
        return self._suite

    @property
    def unheard(self) -> bool:
        """See L{skypetrunk.interfaces.IMediaLeg}."""
        return self.stream is not None and self.stream.unheard

    def setPayloadTypes(self, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """Keep-alives take the highest dynamic type that means nothing (127 at first)."""
        super().setPayloadTypes(ours, theirs)
        free = (number for number in range(127, 95, -1) if number not in ours and number not in theirs)
        self._keepAliveType = next(free, 127)

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """
        The key we protect with.  Its context is made here, once, and lives until its suite has another key.

        @raise StreamLost: it had one before, with another suite, or another key of this one since.
        """
        self.takeBack()
        identity = _identity(key)
        if identity == self._localKey and suite == self._suite and not self._released:
            return
        before, stream = self._streams.get(suite, (b"", None))
        if stream is not None and before == identity:
            stream.interrupted()
        else:
            if identity in self._usedKeys or self._released:
                raise StreamLost(f"{self.name}: an outbound SRTP key is used only once")
            stream = OutboundStream(protector(suite, key), self._entropy, self._cname, ssrc)
            self._usedKeys += (identity,)
            self._streams[suite] = identity, stream
        self._localKey, self._suite, self._stream = identity, suite, stream
        self._wayKnown()

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """The keys the peer protects with.  What came early is decrypted now, in order."""
        self.takeBack()
        if self._released:
            return
        if declared is None:
            identity = _identity(key)
            masters = frozenset((identity,))
        else:
            identity = _identityOf(declared)
            masters = frozenset([_identity(each.master) for each in declared.keys])
        self._context = self._inbound.use(
            suite.encode("ascii") + identity,
            masters,
            lambda seen: unprotector(suite, key, declared, seen),
            lambda: ownUnprotector(suite, key, declared),
        )
        self._wayKnown()
        self._takeEarly()

    @property
    def accepted(self) -> tuple[Heard, ...]:
        """See L{MediaLeg}."""
        self.sync()
        return self._inbound.heard

    def hearOn(self, heard: Heard) -> None:
        """Another leg, of a process that is gone, has heard this before the key comes here."""
        self._inbound.tell(heard)

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port."""
        if self.heardBy is not None:
            self.heardBy.takeBack()
        context = self._context
        if context is None:
            self._keepEarly(self.rtpReceived, packet, address)
            return
        now = self._seconds() if self._arrived is None else self._arrived
        try:
            plain = context.guard.rtp(packet)
        except PacketRefused as refusal:
            found = self._inbound.otherwise(packet, refusal.reason, now)
            context, plain = found or self._refuse(self.rtpReceived, packet, address, refusal)
        received = self.received
        received.packets += 1
        received.octets += len(packet)
        received.authenticated += 1
        header = parseRTP(plain)
        _, _, _, _, sequence, timestamp, ssrc, _ = header
        line = context.line
        if (
            ssrc == line.ssrc
            and (sequence - line.index) & 0xFFFF == 1
            and (timestamp - line.newest) & 0xFFFFFFFF <= NEXT_STEP
        ):
            line.index += 1
            line.newest = timestamp
            line.time = now
        else:
            context.took(header, now)
        if context is self._context:  # where a key was used that was given up its owner is no more
            self._rtp.authenticated(address, now)
        received.reception.received(header, now)
        if self._onward is not None:
            self._onward.sendRTP(plain, header, now)

    def rtcpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTCP port."""
        context = self._context
        if context is None:
            self._keepEarly(self.rtcpReceived, packet, address)
            return
        self.sync()
        now = self._seconds()
        try:
            plain = context.report(packet)
        except PacketRefused as refusal:
            found = self._inbound.reportOtherwise(packet, refusal.reason, now)
            context, plain = found or self._refuse(self.rtcpReceived, packet, address, refusal)
        if context is self._context:
            self._rtcp.authenticated(address, now)
        packets = parseRTCP(plain)
        self._heardReports(packets, now)
        plain = self.feedback.crossing(plain, packets)
        if self._stream is not None:
            self._stream.reported(packets)
            plain = self._stream.reportsToSource(plain)
        if plain and self._onward is not None:
            self._onward.sendRTCP(plain)
        self.received.rtcpPackets += 1  # what was refused meanwhile is counted as that

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """Send a packet of the other side in our own stream."""
        if self.sentBy is not None:
            self.sentBy.takeBack()  # it is of another leg: only one of us may give the next number
        destination = self._rtp.destination
        if destination is None or not self._sending:
            return
        stream = self._stream
        if stream is None:
            self.sent.refuse("no-key")
            return
        try:
            protected = stream.rtp(packet, header, now)
        except PacketRefused as refusal:
            self.sent.refuse(refusal.reason)
            return
        self._keepAlive.last = now
        if self._transmit(protected, destination):
            self.sent.authenticated += 1

    def sendRTCP(self, compound: bytes) -> None:
        """Send a compound of the other side as one of our own stream."""
        destination = self._controlWay
        if destination is None or self._stream is None:
            return
        protected = self._stream.rtcp(compound)
        if protected:
            self._transmitRTCP(protected, destination)
            self._reportCrossed(compound)

    def _sentSSRC(self) -> int | None:
        return None if self._stream is None else self._stream.ssrc

    def _sentSoFar(self, now: float) -> Sending | None:
        stream = self._stream
        tick = None if self._other is None else self._other.received.reception.tick
        if stream is None or tick is None:
            return None
        return Sending(stream.timestampAt(now, tick), stream.packets, stream.octets)

    def _sendReport(self, compound: bytes) -> None:
        destination = self._controlWay
        if destination is not None and self._stream is not None:
            self._transmitRTCP(self._stream.report(compound), destination)

    def heard(self, now: float) -> None:
        """Packets came from there, the last one at C{now} (seconds)."""
        self._rtp.went(now)

    def usualContext(self, ssrc: int, sequence: int) -> Context | None:
        """What takes SRTP off the next packet of this source; C{None} where it is not what was heard last."""
        context = self._context
        if context is None:
            return None
        line = context.line
        return context if line.ssrc == ssrc and line.index & 0xFFFF == sequence else None

    @property
    def stream(self) -> OutboundStream | None:
        """What our packets leave in."""
        return self._stream

    def spoke(self, now: float) -> None:
        """Packets were sent, the last one at C{now} (seconds)."""
        self._keepAlive.last = now

    def _signal(self, rtp: Address | None, rtcp: Address | None) -> None:
        now = self._seconds()
        before = self._rtp.destination
        self._rtp.signal(rtp, now)
        self._rtcp.signal(rtcp, now)
        if self._rtp.destination != before:
            self._wayKnown()

    def _ended(self) -> None:
        self._keepAlive.stop()
        self._early.clear()
        self._stream = self._context = None
        self._streams.clear()
        self._inbound.end()

    def _wayKnown(self) -> None:
        """Something of keys and address is new: when all are known, the stream may be waited for."""
        if self._stream and self._context and self._rtp.destination and not self._released:
            self._keepAlive.start()

    def _sendKeepAlives(self, count: int) -> bool:
        self.takeBack()
        destination, stream = self._rtp.destination, self._stream
        if destination is None or stream is None or self.faxing:
            return False
        left, now = 0, self._seconds()
        for _ in range(count):
            left += self._transmit(stream.keepAlive(self._keepAliveType, now), destination)
        self.sent.authenticated += left
        return left > 0

    def _recovered(self, what: str, expected: int, counter: int) -> None:
        received = self.received
        received.resumptions += 1
        if received.resumptions == 1:
            self._log.warn(
                "{leg}: the peer's {what} is {counter}, not {expected}: it is followed",
                leg=self.name,
                what=what,
                counter=counter,
                expected=expected,
            )

    def _keepEarly(
        self,
        receive: Callable[[bytes, Address], None],
        packet: bytes,
        address: Address,
        refusal: str | None = None,
    ) -> None:
        now, early = self._seconds(), self._early
        early.append(_Early(now, receive, packet, address, refusal))
        while len(early) > EARLY_PACKETS or early[0].time < now - EARLY_SECONDS:
            self._tooEarly(early.pop(0))

    def _refuse(
        self,
        receive: Callable[[bytes, Address], None],
        packet: bytes,
        address: Address,
        refusal: PacketRefused,
    ) -> NoReturn:
        """
        It is under no key that we know, and may be under the next one: media is often faster than the
        answer that has its key.
        """
        if refusal.reason == "authentication" and self._arrived is None:
            self._keepEarly(receive, packet, address, refusal.reason)
        raise refusal

    def _forgetRefused(self) -> None:
        """What was refused as SRTP is not to be heard as anything else."""
        if self._context is not None:
            self._early.clear()

    def _tooEarly(self, kept: _Early) -> None:
        if kept.refusal is None:
            self.received.refuse("no-key")

    def _takeEarly(self) -> None:
        early, self._early = self._early, []
        oldest = self._seconds() - EARLY_SECONDS
        for kept in early:
            if kept.time < oldest:
                self._tooEarly(kept)
                continue
            self._arrived = kept.time
            try:
                kept.receive(kept.packet, kept.address)
            except PacketRefused as refusal:
                if kept.refusal is None:
                    self.received.refuse(refusal.reason)
                if refusal.reason == "authentication":
                    # It may be under the next key.
                    self._early.append(kept._replace(refusal=refusal.reason))
            else:
                if kept.refusal is not None:
                    self.received.reconsider(kept.refusal)
                self.received.early += 1
            finally:
                self._arrived = None


def _identity(key: MasterKey) -> bytes:
    """What a key is known by after it has gone: not the key."""
    return sha256(key.key + key.salt).digest()


def _identityOf(declared: DeclaredKeys) -> bytes:
    """The same of several."""
    each = b"".join(b"%b %d:%d " % (_identity(k.master), k.mki or 0, k.mkiLength or 0) for k in declared.keys)
    return sha256(b"%b%d" % (each, declared.derivationRate)).digest()
