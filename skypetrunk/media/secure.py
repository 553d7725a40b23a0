"""
The carrier side: SRTP, where only a verified tag says who sent a packet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import PacketRefused, StreamLost
from skypetrunk.interfaces import ANY_PATH, MediaPath
from skypetrunk.media.keepalive import KeepAlive
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.source import AuthenticatedSource
from skypetrunk.media.srtp import protector, unprotector
from skypetrunk.media.stream import OutboundStream
from skypetrunk.wire.rtp import RTPHeader, parseRTCP, parseRTP

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys, IPacketGuard
    from skypetrunk.media.source import Address
    from skypetrunk.wire.sdes import MasterKey

EARLY_PACKETS = 50
"""Packets kept before the key is known: a second of sound."""

EARLY_SECONDS = 1.0
"""Older ones are of no use to a listener any more."""

REMOTE_KEYS = 8
"""Inbound contexts kept, by key: a peer that returns to one finds its replay list; none can pile them up."""


class _Early(NamedTuple):
    """A datagram that came before its key."""

    time: float
    receive: Callable[[bytes, Address], None]
    packet: bytes
    address: Address


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
        self._entropy = entropy
        self._rtp: AuthenticatedSource = AuthenticatedSource(path)
        self._rtcp = AuthenticatedSource(path)
        self._stream: OutboundStream | None = None
        self._suite: str | None = None
        self._localKey = b""
        self._usedKeys: tuple[bytes, ...] = ()
        self._inbound: IPacketGuard | None = None
        self._guards: dict[bytes, IPacketGuard] = {}
        self._early: deque[_Early] | None = None
        # When the packet that is taken came in, if not just now.
        self._arrived: float | None = None
        self._keepAlive = KeepAlive(clock, self._sendKeepAlive, self.sync)
        self._keepAliveType = 127

    @property
    def suite(self) -> str | None:
        """The suite that we protect with, or the peer's while we have no key."""
        if self._suite is None and self._inbound is not None:
            return self._inbound.suite
        return self._suite

    def setPayloadTypes(self, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """Keep-alives take the highest dynamic type that means nothing (127 at first)."""
        super().setPayloadTypes(ours, theirs)
        free = [number for number in range(127, 95, -1) if number not in ours and number not in theirs]
        self._keepAliveType = free[0] if free else 127

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """
        The key we protect with.  Its context is made here, once.

        @raise StreamLost: it had one before, with another suite or key since.
        """
        self.takeBack()
        identity = _identity(key)
        if identity == self._localKey and suite == self._suite and not self._released:
            return
        if identity in self._usedKeys or self._released:
            raise StreamLost(f"{self.name}: an outbound SRTP key is used only once")
        guard = protector(suite, key)
        self._usedKeys += (identity,)
        self._localKey = identity
        self._suite = suite
        self._stream = OutboundStream(guard, self._entropy, self._cname, ssrc)
        self._wayKnown()

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """The keys the peer protects with.  What came early is decrypted now, in order."""
        self.takeBack()
        if self._released:
            return
        identity = suite.encode("ascii") + (_identity(key) if declared is None else _identityOf(declared))
        guard = self._guards.pop(identity, None) or unprotector(suite, key, declared)
        if isinstance(guard, OwnGuard):
            for before in self._guards.values():
                if isinstance(before, OwnGuard):
                    guard.adopt(before)
        self._guards[identity] = self._inbound = guard
        if len(self._guards) > REMOTE_KEYS:
            del self._guards[next(iter(self._guards))]
        self._wayKnown()
        self._takeEarly()

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTP port."""
        guard = self._inbound
        if guard is None:
            self._keepEarly(self.rtpReceived, packet, address)
            return
        plain = guard.rtp(packet)
        now = self._seconds() if self._arrived is None else self._arrived
        received = self.received
        received.packets += 1
        received.octets += len(packet)
        received.authenticated += 1
        self._rtp.authenticated(address, now)
        header = parseRTP(plain)
        received.reception.received(header, now)
        if self._onward is not None:
            self._onward.sendRTP(plain, header, now)

    def rtcpReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the RTCP port."""
        guard = self._inbound
        if guard is None:
            self._keepEarly(self.rtcpReceived, packet, address)
            return
        self.sync()
        plain = guard.rtcp(packet)
        self.received.rtcpPackets += 1
        self._rtcp.authenticated(address, self._seconds())
        if self._stream is not None:
            plain = self._stream.reportsToSource(plain)
        else:
            parseRTCP(plain)
        if plain and self._onward is not None:
            self._onward.sendRTCP(plain)

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """Send a packet of the other side in our own stream."""
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
        destination = self._rtcp.destination
        if destination is None or self._stream is None:
            return
        protected = self._stream.rtcp(compound)
        if protected:
            self._transmitRTCP(protected, destination)

    @property
    def usualSource(self) -> Address | None:
        """Where the last authenticated packet came from, while another one from there changes nothing."""
        return self._rtp.usual()

    @property
    def usualGuard(self) -> IPacketGuard | None:
        """What takes SRTP off the peer's packets."""
        return self._inbound

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
        self._early = None
        self._stream = self._inbound = None
        self._guards.clear()

    def _wayKnown(self) -> None:
        """Something of keys and address is new: when all are known, the stream may be waited for."""
        if self._stream and self._inbound and self._rtp.destination and not self._released:
            self._keepAlive.start()

    def _sendKeepAlive(self) -> bool:
        self.takeBack()
        destination = self._rtp.destination
        if destination is None or self._stream is None:
            return False
        if not self._transmit(self._stream.keepAlive(self._keepAliveType, self._seconds()), destination):
            return False
        self.sent.authenticated += 1
        return True

    def _keepEarly(self, receive: Callable[[bytes, Address], None], packet: bytes, address: Address) -> None:
        now = self._seconds()
        early = self._early
        if early is None:
            early = self._early = deque()
        early.append(_Early(now, receive, packet, address))
        while len(early) > EARLY_PACKETS or early[0].time < now - EARLY_SECONDS:
            early.popleft()
            self.received.refuse("no-key")

    def _takeEarly(self) -> None:
        early, self._early = self._early, None
        oldest = self._seconds() - EARLY_SECONDS
        while early:
            time, receive, packet, address = early.popleft()
            if time < oldest:
                self.received.refuse("no-key")
                continue
            self._arrived = time
            try:
                receive(packet, address)
            except PacketRefused as refusal:
                self.received.refuse(refusal.reason)
            else:
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
