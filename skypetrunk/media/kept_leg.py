"""
A leg that another process may keep: what the signalling says to it goes there, and is known here, so that
another keeper can take it over.

Everything that may be refused is refused here, at once.  One thing cannot be taken over: an outbound SRTP
context (RFC 3711 section 9.1).  It is lost with its keeper, and its key with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from skypetrunk.errors import LocalError, StreamLost
from skypetrunk.interfaces import DirectionStatistics, LegStatistics, MediaAddress, MediaPath
from skypetrunk.media.heard import Heard, remember
from skypetrunk.media.keeping import Keeper, Opening
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.plane import kindOf
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.remote_keys import RemoteKeys
from skypetrunk.media.reporting import Sending
from skypetrunk.media.secure import SecureLeg

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys
    from skypetrunk.media.source import Address
    from skypetrunk.wire.rtp import RTPHeader
    from skypetrunk.wire.sdes import MasterKey


@dataclass(frozen=True, slots=True)
class PendingStatistics(LegStatistics):
    """
    What is known of a leg that was just closed.

    @ivar final: fires, within L{skypetrunk.media.remote_keeper.RELEASE_SECONDS}, with what it is in the end.
    """

    final: Deferred[LegStatistics] = field(kw_only=True)


class KeptLeg(MediaLeg):
    """
    A leg, wherever it is kept.

    @ivar secure: may it be SRTP?
    @ivar beyond: it is towards a carrier.
    @ivar keeper: who keeps it.
    @ivar number: its number there.
    @ivar pairing: the calling and the called leg, and the name of their call, while it is joined.
    @ivar lost: its outbound context is lost, and the peer has no new key yet.
    """

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        giveBack: Callable[[], None],
        beyond: bool,
        path: MediaPath,
    ) -> None:
        """
        @param beyond: towards a carrier: see L{skypetrunk.interfaces.IMediaPlane.allocate}.
        """
        super().__init__(name, clock, entropy, giveBack)
        self.beyond = beyond
        self._kind = kindOf(beyond, path)
        self.secure = self._kind is not PlainLeg
        self.group = None if self.secure else path.group
        self._path = path
        self.keeper: Keeper
        self.number = 0
        self.pairing: tuple[KeptLeg, KeptLeg, str] | None = None
        self.lost = False
        self._orders: dict[str, tuple[object, ...]] = {}
        self._remoteKeys = RemoteKeys()
        self._used: set[bytes] = set()
        self._spent: set[bytes] = set()
        self._localKey: bytes | None = None
        # By suite, what the keeper has contexts of: another branch of the call may go back to one of them.
        self._living: dict[str, bytes] = {}
        # What keepers before have counted, the last known or the final.
        self._before: list[LegStatistics | None] = []
        self._finals: list[Deferred[None]] = []
        self._last: LegStatistics | None = None
        # Packets that the peer has missed, and no way has lost.
        self._explained = 0
        # What keepers before have accepted of the peer; the last one is still to say it.
        self._heard: dict[tuple[bytes, ...], Heard] = {}
        self._waits = False

    @property
    def partner(self) -> KeptLeg | None:
        """The other one of L{pairing}; it may be over."""
        if self.pairing is None:
            return None
        caller, called, _ = self.pairing
        return called if self is caller else caller

    @property
    def keyed(self) -> bool:
        """Has it an outbound context?"""
        return self._localKey is not None

    @property
    def unheard(self) -> bool:
        """See L{MediaLeg}; as its keeper has told last, and never of a key that is lost."""
        return self.keyed and self.keeper.unheard(self.number)

    @property
    def suite(self) -> str | None:
        """As it is counted."""
        return self.statistics().suite

    def carry(
        self, keeper: Keeper, rebind: Callable[[KeptLeg], None], other: KeptLeg | None = None
    ) -> None:
        """
        Be kept by C{keeper} from now on; the one before loses it, if it is not lost there.

        @param other: what it is joined to then.
        @param rebind: binds other ports: they are told to the peer with its new key, and who still sends to
            the old ones does so in the old context.
        """
        if self.number:
            self._leave(partial(remember, self._heard))
        waiting = self._unanswered()
        self._waits = bool(waiting)
        before = self.partner
        if before is not None and before is not other:
            # What was lost of whoever is left is nothing to those who come.
            self._explained += before.statistics().received.lost
        # Without a key of ours the peer gets what the other side's sends: the same stream.
        goesOn = before is not None and before is other and not self.keyed
        self._spent.update(self._living.values())
        self._living.clear()
        if self.keyed:
            self._localKey = None
            self.lost = True
            if not self.faxing:
                # Fax has no context, and its peer hears of no other port before there is sound again.
                rebind(self)
        self.keeper = keeper
        rtp, rtcp = (self._socket(each) for each in (self.rtpPort, self.rtcpPort))
        self.number = keeper.open(self._opening(), rtp, rtcp)
        if goesOn:
            keeper.order(self.number, "goOn")
        for name, arguments in self._orders.items():
            keeper.order(self.number, name, *arguments)
        # Until each keeper before has answered what comes waits for the key, as before the peer's first one.
        number = self.number
        gatherResults(waiting).addCallback(lambda _: self._hearOn(keeper, number))

    def _unanswered(self) -> list[Deferred[None]]:
        """Keepers before that are still to say what they have in the end.  Each has a bound; none fails."""
        return [each for each in self._finals if not each.called]

    def _hearOn(self, keeper: Keeper, number: int) -> None:
        """What keepers before have accepted of the peer is known, to the last packet."""
        if (keeper, number) != (self.keeper, self.number) or self._released:
            return
        self._waits = False
        for heard in self._heard.values():
            keeper.order(number, "hearOn", heard)
        for given in self._remoteKeys.taken(self._seconds()):
            keeper.order(number, "setRemoteKey", *given)

    def _opening(self) -> Opening:
        return Opening(self.name, self.beyond, self._path, self._host, self.address.host, self.address.port)

    def _leave(self, tell: Callable[[Heard], object] | None = None) -> None:
        place = len(self._before)
        self._before.append(self.keeper.statistics(self.number))

        def counted(final: LegStatistics | None) -> None:
            self._before[place] = final

        leaving = self.keeper.release(self.number, tell).addCallback(counted)
        if not leaving.called:
            self._finals.append(leaving)

    @staticmethod
    def _socket(port: Any) -> Any:
        return port.transport.getHandle()

    def bound(self, host: str, advertised: str, port: int) -> None:
        """Both ports are bound on C{host}; C{advertised} is what the peer is told."""
        super().bound(host, advertised, port)
        self._host = host

    def _order(self, name: str, *arguments: object) -> None:
        self._orders[name] = arguments
        if not self._released:
            self.keeper.order(self.number, name, *arguments)

    # IMediaLeg

    def setRemote(self, address: MediaAddress | None) -> None:
        """See L{MediaLeg}."""
        super().setRemote(address)
        self._orders.pop("setFax", None)
        self._order("setRemote", address)

    @property
    def faxing(self) -> bool:
        """As it was told last."""
        return "setFax" in self._orders

    def setFax(self, address: MediaAddress | None) -> None:
        """See L{MediaLeg}."""
        if address is not None:
            self._reached(address.host)
        # The last of all, whoever keeps the leg next.
        self._orders.pop("setFax", None)
        self._order("setFax", address)

    def _signal(self, rtp: Address | None, rtcp: Address | None) -> None:
        """It was looked at, and that is all."""

    def setSending(self, sending: bool) -> None:
        """See L{MediaLeg}."""
        self._order("setSending", sending)

    def setPayloadTypes(self, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """See L{MediaLeg}."""
        self._order("setPayloadTypes", dict(ours), dict(theirs))

    def setPacketTime(self, milliseconds: int | None) -> None:
        """See L{MediaLeg}."""
        self._order("setPacketTime", milliseconds)

    def hearKeys(self, heard: Callable[[str], None] | None) -> None:
        """See L{MediaLeg}; who hears does so in this process, so that counts when the leg is joined."""
        self._keysHeard = heard

    @property
    def keysHeard(self) -> Callable[[str], None] | None:
        """Who is told of keys."""
        return self._keysHeard

    def sendKey(self, key: str, milliseconds: int) -> None:
        """See L{MediaLeg}; not repeated to another keeper."""
        if not self._released:
            self.keeper.order(self.number, "sendKey", key, milliseconds)

    def setClear(self) -> None:
        """See L{MediaLeg}."""
        if self._kind is SecureLeg:
            super().setClear()
        # What was agreed last counts, whoever keeps the leg next.
        self._remoteKeys.clear()
        self._localKey, self.lost = None, False
        self._order("setClear")

    def setLocalKey(self, suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """
        The key we protect with.  One that was lost is left alone: an offer or answer that was under way then
        has it, and the next one brings another.

        @raise StreamLost: it had one before, with another suite, or another key of this one since.
        """
        if not self.secure:
            raise LocalError(f"{self.name} is a plain leg")
        identity = sha256(suite.encode("ascii") + key.key + key.salt).digest()
        if identity in self._spent:
            self.lost = True
            return
        if identity == self._localKey:
            return
        if self._living.get(suite) != identity and (identity in self._used or self._released):
            raise StreamLost(f"{self.name}: an outbound SRTP key is used only once")
        self._used.add(identity)
        self._localKey = self._living[suite] = identity
        self.lost = False
        # Another keeper must never get it.
        self.keeper.order(self.number, "setLocalKey", suite, key, ssrc)

    def setRemoteKey(self, suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """See L{MediaLeg}."""
        if not self.secure:
            raise LocalError(f"{self.name} is a plain leg")
        self._orders.pop("setClear", None)
        given = suite, key, declared
        self._remoteKeys.add(given, self._seconds())
        if not self._released and not self._waits:
            self.keeper.order(self.number, "setRemoteKey", *given)

    def statistics(self) -> LegStatistics:
        """Counters, some of them a while ago: see L{skypetrunk.media.worker.COUNTING_SECONDS}."""
        now = self._last if self._released else self.keeper.statistics(self.number)
        total = LegStatistics(
            self.name, self._kind is SecureLeg, None, DirectionStatistics(), DirectionStatistics()
        )
        for each in (*self._before, now):
            if each is not None:
                total = added(total, each)
        lost = max(0, total.sent.lost - self._explained)
        return replace(total, sent=replace(total.sent, lost=lost))

    def release(self) -> LegStatistics:
        """See L{MediaLeg}; what is not known yet comes with L{PendingStatistics}."""
        if not self._released:
            self._leave()
            self._released = True
            self.pairing = None
            self.lost = False
            self._keysHeard = None
            self._orders.clear()
            self._remoteKeys.clear()
            self._heard.clear()
            self._giveBack()
            self.rtpPort.forget()
            self.rtcpPort.forget()
        known = self.statistics()
        waiting = self._unanswered()
        if not waiting:
            return known
        final = gatherResults(waiting).addCallback(lambda _: self.statistics())
        values = {each.name: getattr(known, each.name) for each in fields(known)}
        return PendingStatistics(**values, final=final)

    # Packets never come here.

    def rtpReceived(self, packet: bytes, address: Address) -> None:
        """It is read elsewhere."""
        raise AssertionError("a kept leg reads no packets")

    rtcpReceived = rtpReceived

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """It is joined elsewhere."""
        raise AssertionError("a kept leg sends no packets")

    def sendRTCP(self, compound: bytes) -> None:
        """It is pairing elsewhere."""
        raise AssertionError("a kept leg sends no packets")

    def _sentSSRC(self) -> int | None:
        """It is counted elsewhere."""
        raise AssertionError("a kept leg sends no reports")

    def _sentSoFar(self, now: float) -> Sending | None:
        """It is counted elsewhere."""
        raise AssertionError("a kept leg sends no reports")

    def _sendReport(self, compound: bytes) -> None:
        """It is made elsewhere."""
        raise AssertionError("a kept leg sends no reports")


def added(before: LegStatistics, after: LegStatistics) -> LegStatistics:
    """The counters of one leg, kept by one and then by another."""
    return replace(
        after,
        suite=after.suite or before.suite,
        fax=after.fax or before.fax,
        roundTrip=before.roundTrip if after.roundTrip is None else after.roundTrip,
        worstRoundTrip=max((before.worstRoundTrip, after.worstRoundTrip), key=lambda each: each or 0.0),
        received=_added(before.received, after.received),
        sent=_added(before.sent, after.sent),
    )


_HIGHEST = frozenset({"longestLoss", "worstJitter"})


def _added(before: DirectionStatistics, after: DirectionStatistics) -> DirectionStatistics:
    sums: dict[str, Any] = {}
    for each in fields(DirectionStatistics):
        one, other = getattr(before, each.name), getattr(after, each.name)
        if one is None or other is None:
            sums[each.name] = one if other is None else other
        elif each.name in _HIGHEST:
            sums[each.name] = max(one, other)
        elif each.name in ("conversation", "opinion"):
            sums[each.name] = min(one, other)
        elif isinstance(other, bool):
            sums[each.name] = (one and other) if each.name == "silent" else (one or other)
        elif isinstance(other, int):
            sums[each.name] = one + other
        elif isinstance(other, tuple):
            reasons = dict(one)
            for reason, number in other:
                reasons[reason] = reasons.get(reason, 0) + number
            sums[each.name] = tuple(sorted(reasons.items()))
        else:
            sums[each.name] = other
    return DirectionStatistics(**sums)


__all__ = ["KeptLeg", "PendingStatistics", "added"]
