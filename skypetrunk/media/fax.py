"""
Fax by T.38 (ITU-T T.38 clause 9.1): UDPTL datagrams that cross from one leg to the other as they are, in
clear.

They come and go at the port of RTP, which sound has again afterwards: keys, contexts and figures of its
stream stay as they are meanwhile.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from skypetrunk.errors import PacketRefused
from skypetrunk.media.leg_reports import ReportingLeg
from skypetrunk.media.port import UNSENT, MediaPort
from skypetrunk.media.source import SignalledSource
from skypetrunk.media.srtp import DATAGRAM_LIMIT

if TYPE_CHECKING:
    from skypetrunk.interfaces import LegStatistics, MediaAddress, MediaPath
    from skypetrunk.media.source import Address

LEAST = 4
"""Octets of a datagram: its number, and a field that is not empty."""


class Fax:
    """
    What a leg has of it.

    @ivar active: it is what was agreed last.
    @ivar source: who is heard, and where ours go.
    @ivar received: datagrams taken; C{sent}: passed on to the peer.
    @ivar strange: datagrams of strangers.
    """

    __slots__ = ("active", "received", "sent", "source", "strange")

    def __init__(self, path: MediaPath) -> None:
        self.active = False
        self.source = SignalledSource(path)
        self.received = self.sent = self.strange = 0


class FaxLeg(ReportingLeg):
    """
    The part of a leg that is fax, while it is.

    @ivar faxed: datagrams that have come and gone.
    """

    _path: MediaPath
    _released: bool
    rtpPort: MediaPort
    rtcpPort: MediaPort
    _fax: Fax | None = None

    @property
    def faxing(self) -> bool:
        """Is it fax, and no sound?"""
        return self._fax is not None and self._fax.active

    @property
    def faxed(self) -> tuple[int, int]:
        """Datagrams taken of the peer, and sent to it."""
        fax = self._fax
        return (0, 0) if fax is None else (fax.received, fax.sent)

    def setFax(self, address: MediaAddress | None) -> None:
        """
        Fax, until the next C{setRemote}.

        @param address: where the peer's SDP says that it receives UDPTL.
        @raise MalformedSDP: not a literal address, or one of the other family; nothing has changed.
        """
        host = None if address is None or not address.port else self._reached(address.host)
        self.takeBack()
        self._described(host)
        self.setSending(False)
        fax = self._fax
        if fax is None:
            fax = self._fax = Fax(self._path)
        elif not fax.active:
            # Who sent the last fax says nothing of this one.
            fax.source = SignalledSource(self._path)
        fax.active = True
        fax.source.signal(None if host is None or address is None else (host, address.port))
        if not self._released:
            self.rtpPort.hear(self._faxReceived, connects=False)
            self.rtcpPort.receive = self._reportReceived

    def _faxReceived(self, packet: bytes, address: Address) -> None:
        """A datagram came in at the port."""
        fax, other = self._fax, self._other
        assert fax is not None
        if not fax.source.allows(address[0]):
            fax.strange += 1
            raise self._stranger("fax", fax.strange, fax.source.host, address)
        if len(packet) > DATAGRAM_LIMIT:
            raise PacketRefused("size")
        if len(packet) < LEAST:
            raise PacketRefused("malformed")
        if self._isSound(packet):
            raise PacketRefused("fax")
        if not fax.source.accepts(address, self._seconds()):
            raise PacketRefused("source")
        fax.received += 1
        if isinstance(other, FaxLeg):
            other.sendFax(packet)

    def _isSound(self, packet: bytes) -> bool:
        """
        RTP of the peer that was still on its way.  A number of UDPTL that begins so would have the source
        of the sound nine octets later by chance only; as a number of UDPTL RTP would end a fax.
        """
        if packet[0] >> 6 != 2 or len(packet) < 12:
            return False
        return self.received.reception.knows(int.from_bytes(packet[8:12], "big"))

    def _reportReceived(self, packet: bytes, address: Address) -> None:
        """There is no RTCP of a fax."""
        raise PacketRefused("fax")

    def sendFax(self, packet: bytes) -> None:
        """The other side's peer sent a datagram.  Where this leg has no fax it goes nowhere."""
        fax = self._fax
        if fax is None or not fax.active or fax.source.destination is None or self._released:
            return
        try:
            self.rtpPort.send(packet, fax.source.destination)
        except OSError:
            self.sent.refuse(UNSENT)
        else:
            fax.sent += 1

    def _soundAgain(self) -> None:
        """The ports are those of RTP and RTCP."""
        fax = self._fax
        if fax is not None and fax.active:
            fax.active = False
            if not self._released:
                self._hearSound()

    def report(self, now: float) -> None:
        """There is nothing to report of a fax."""
        if not self.faxing:
            super().report(now)

    def _seen(self, secure: bool, suite: str | None) -> LegStatistics:
        """With the datagrams."""
        seen = super()._seen(secure, suite)
        if self._fax is None:
            return seen
        received, sent = self.faxed
        return replace(
            seen, fax=True, received=replace(seen.received, fax=received), sent=replace(seen.sent, fax=sent)
        )

    @abstractmethod
    def takeBack(self) -> None:
        """Before anything changes of what the helper was told."""

    @abstractmethod
    def setSending(self, sending: bool) -> None:
        """Whether we may send RTP."""

    @abstractmethod
    def _reached(self, host: str) -> str | None:
        """A host of the peer's SDP as packets come from it; raises L{MalformedSDP}."""

    @abstractmethod
    def _hearSound(self) -> None:
        """RTP and RTCP are read at the ports."""


__all__ = ["Fax", "FaxLeg"]
