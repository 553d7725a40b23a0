"""
Tests of L{skypetrunk.media.settled}: with the compiled helper a call is what it is without.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from random import Random
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import ANY_PATH, DirectionStatistics, LegStatistics, MediaAddress, MediaPath
from skypetrunk.media import MediaPlane, helper, settling
from skypetrunk.media.either import EitherLeg
from skypetrunk.media.glance import Looks
from skypetrunk.media.hearing import Hearing
from skypetrunk.media.helper import findHelper
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.poller import REST
from skypetrunk.media.relay import MediaLeg
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.settling import CALM, SettlingPoller
from skypetrunk.media.srtp import Probe
from skypetrunk.wire.rtp import writeHeader
from tests.media.doubles import SUITE, SecurePeer, entropy, key
from tests.media.test_poller import Heard, Readers

# Addresses of this process's own: what else runs on the machine has other ports.
_OWN = f"{os.getpid() % 256}.{os.getpid() // 256 % 254 + 1}"
HOST, STRANGER = f"127.10.{_OWN}", f"127.11.{_OWN}"

REPORT = bytes.fromhex("80c80006 11111111") + bytes(20) + bytes.fromhex("81ca0002 11111111 01016100")


def packet(sequence: int, timestamp: int, payloadType: int, marker: bool, ssrc: int, payload: bytes) -> bytes:
    """An RTP packet."""
    made = bytearray(12) + payload
    made[0] = 0x80
    fields = {"sequence": sequence & 0xFFFF, "timestamp": timestamp & 0xFFFFFFFF, "ssrc": ssrc}
    writeHeader(made, marker=marker, payloadType=payloadType, **fields)
    return bytes(made)


class Rig:
    """
    A call on sockets of the loopback interface, read turn by turn.

    @ivar sockets: of the PBX, the carrier, another port of the PBX, another of the carrier, a stranger.
    """

    def __init__(
        self, test: SynchronousTestCase, helped: bool, ports: int, path: MediaPath = ANY_PATH
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.readers = Readers()
        random = entropy()
        self.plane = MediaPlane(
            self.readers,  # type: ignore[arg-type]
            self.clock,
            HOST,
            None,
            (ports, ports + 99),
            random,
            helped=helped,
        )
        self.sockets = [self._open(host) for host in (HOST, HOST, HOST, HOST, STRANGER)]
        test.addCleanup(self.close)
        plain, secure = self.plane.allocate("pbx", False), self.plane.allocate("carrier", True, path)
        assert isinstance(plain, PlainLeg) and isinstance(secure, SecureLeg)
        self.plain, self.secure = plain, secure
        self.plane.join(plain, secure, "call")
        self.peer = SecurePeer(key(2), key(1))
        plain.setRemote(self.addressOf(0))
        secure.setLocalKey(SUITE, key(1))
        secure.setRemoteKey(SUITE, key(2))
        secure.setRemote(self.addressOf(1))
        self.take()
        self.taken = 0

    def close(self) -> None:
        """The call is over, for all."""
        self.plain.release()
        self.secure.release()
        for each in self.sockets:
            each.close()

    @staticmethod
    def _open(host: str) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind((host, 0))
        return opened

    def addressOf(self, place: int) -> MediaAddress:
        """What the SDP of this socket's owner says; the other sockets of a peer take no RTCP with media."""
        host, port = self.sockets[place].getsockname()
        return MediaAddress(host, port, port if place < 2 else 9)

    def deliver(self, data: bytes, place: int, leg: MediaLeg, rtcp: bool = False) -> None:
        """This socket sends to a leg, which reads it."""
        port = leg.address.rtcpPort if rtcp else leg.address.port
        self.sockets[place].sendto(data, (HOST, port))
        self.turn()

    def turn(self) -> None:
        """What came is read; while ports are open."""
        before = self.lent
        for reader in list(self.readers.readers):
            reader.doRead()
        self.taken += before and self.lent

    @property
    def lent(self) -> bool:
        """Is any direction lent to the helper?"""
        return any((self.plain.heardBy, self.plain.sentBy, self.secure.heardBy, self.secure.sentBy))

    def take(self) -> list[list[tuple[bytes, int]]]:
        """What each socket received, and which of the trunk's four ports it came from."""
        base = min(self.plain.address.port, self.secure.address.port)
        return [self._drained(each, base) for each in self.sockets]

    @staticmethod
    def _drained(one: socket.socket, base: int) -> list[tuple[bytes, int]]:
        found: list[tuple[bytes, int]] = []
        while True:
            try:
                data, (_, port) = one.recvfrom(4096)
            except BlockingIOError:
                return found
            found.append((data, port - base))

    def statistics(self) -> tuple[LegStatistics, LegStatistics]:
        """Of both legs."""
        return self.plain.statistics(), self.secure.statistics()


class Run(NamedTuple):
    """
    Packets of one source, one after the other.

    @ivar carrier: are they the carrier's?
    @ivar place: which socket of the sender's: see L{Rig}.
    @ivar jump: from the last sequence number to the first of these.
    @ivar skew: of the time stamp, the same.
    @ivar damage: change one octet of the last packet at this place; -1 leaves it.
    @ivar pause: seconds before each.
    @ivar more: bits of the first octet, and what stands behind the header.
    """

    carrier: bool
    frames: int
    place: int
    jump: int
    skew: int
    payloadType: int
    marker: bool
    ssrc: int
    size: int
    damage: int
    pause: float
    more: tuple[int, bytes] = (0, b"")


ODD: dict[str, tuple[Any, ...]] = {
    "place": (1, 2),
    "jump": (2, 0, -1, -3, 3, 90, 120, 5000, 40_000),
    "skew": (160, -160, 80_000, 600_000, 0x7FFFFF00),
    "payloadType": (8, 72, 100, 101),
    "marker": (True,),
    "ssrc": (0x22222222,),
    "size": (0, 5, 1400, 2030, 2060),
    "damage": (0, 1, 3, 12, 20),
    "pause": (0.0, 0.021, 0.5, 3.0),
    # Two CSRCs, an extension, padding; and some that are not all there.
    "more": (
        *((2, bytes(8)), (0x10, b"\xbe\xde\0\1abcd"), (0x20, b"")),
        *((15, b""), (0x10, b"\0\0\xff\xff"), (0x11, b"")),
    ),
}
"""What a packet may be instead of usual."""

EVENTS = (
    "hold",
    "resume",
    "nowhere",
    "moved",
    "back",
    "repeated key",
    "new key",
    "other key",
    "other branch",
    "first branch",
    "types",
    "renumbered",
    "number of RTCP",
    "look",
    "clear",
    "statistics",
    "rejoined",
    "alone",
    "16 s",
    "report of the PBX",
    "report of the carrier",
    "report of the PBX beside media",
    "report of the carrier beside media",
    "unreachable",
    "fax",
)

FIRST = Run(False, 12, 0, 1, 0, 0, False, 0x11111111, 160, -1, 0.02)
"""What a call begins with."""

runs = st.builds(
    Run,
    carrier=st.booleans(),
    frames=st.integers(1, 12),
    **{name: st.sampled_from((getattr(FIRST, name),) * 4 + odd) for name, odd in ODD.items()},
)
events = st.sampled_from(EVENTS)
REMOTE = {"nowhere": None, "moved": 1, "back": 0}


def skipWithout(helped: bool) -> None:
    """A test that needs the helper, where there is none, is not for here."""
    if not hasattr(select, "epoll"):
        raise SkipTest("no epoll")
    if helped and findHelper() is None:
        raise SkipTest("skypetrunk was installed without a compiler")


class SameTests(SynchronousTestCase):
    """The same packets and the same signalling, with the helper and by the long way, with nothing lent."""

    helped = True

    def setUp(self) -> None:
        """Lend after one packet, so that much is lent."""
        skipWithout(self.helped)
        self.patch(settling, "CALM", 1)
        self.ports = 20000

    def rigs(self, opportunistic: bool) -> tuple[Rig, Rig]:
        """Two calls that differ in nothing else."""
        path = MediaPath(srtp="opportunistic") if opportunistic else ANY_PATH
        self.ports = 20000 + (self.ports - 20000 + 200) % 9000
        rigs = Rig(self, self.helped, self.ports, path), Rig(self, False, self.ports + 100, path)
        poller = rigs[1].readers.readers[0]
        assert isinstance(poller, SettlingPoller)
        poller._calm.clear()
        return rigs

    def assertSame(self, first: object, second: object) -> None:
        """What both say, but for sums that are made in another order, and may be rounded the other way."""
        self.assertTrue(same(first, second), (first, second))

    def play(self, steps: list[Run | str], opportunistic: bool) -> int:
        """
        Do the same to both.

        @return: how many turns were taken while something was lent.
        """
        rigs = self.rigs(opportunistic)
        plays = [Play(rig) for rig in rigs]
        for step in [FIRST, FIRST._replace(carrier=True), *steps]:
            for play in plays:
                play.step(step)
            self.assertEqual(rigs[0].take(), rigs[1].take(), step)
        self.assertSame(rigs[0].statistics(), rigs[1].statistics())
        for rig in rigs:
            rig.plain.takeBack()
            rig.secure.takeBack()
        self.assertSame(remembered(rigs[0]), remembered(rigs[1]))
        self.assertEqual(rigs[1].taken, 0)
        self.assertSame(rigs[0].plain.release(), rigs[1].plain.release())
        self.assertSame(rigs[0].secure.release(), rigs[1].secure.release())
        for rig in rigs:
            rig.close()
        return rigs[0].taken

    def test_anything(self) -> None:
        """The same octets leave, from and to the same places, and the same is counted."""

        @settings(deadline=None, max_examples=100)
        @given(st.lists(st.one_of(runs, runs, runs, events), min_size=3, max_size=20), st.booleans())
        def check(steps: list[Run | str], opportunistic: bool) -> None:
            self.play(steps, opportunistic)

        check()

    def test_long(self) -> None:
        """The same with calls that go on, now and then with something odd."""
        seed = int.from_bytes(os.urandom(4), "big")
        try:
            self.long(Random(seed))
        except Exception as error:
            error.add_note(f"The seed was {seed}.")
            raise

    def long(self, random: Random) -> None:
        """Forty of them."""
        taken = 0
        for _ in range(40):
            steps: list[Run | str] = []
            for _ in range(30):
                run = FIRST._replace(carrier=random.random() < 0.5, frames=random.randint(1, 8))
                if random.random() < 0.3:
                    field, values = random.choice(list(ODD.items()))
                    run = run._replace(**{field: random.choice(values)})
                steps.append(random.choice(EVENTS) if random.random() < 0.3 else run)
            taken += self.play(steps, random.random() < 0.3)
        self.assertGreater(taken, 1000)


class SameByPythonTests(SameTests):
    """The same with what is lent to Python."""

    helped = False


def same(first: Any, second: Any) -> bool:
    """Equal, times to the microsecond; milliseconds of statistics, which have two digits, to the last."""
    if isinstance(first, float) and isinstance(second, float):
        last = 0.01 if first == round(first, 2) and second == round(second, 2) else 0.0
        return abs(first - second) < last + 1e-6
    if isinstance(first, LegStatistics | DirectionStatistics):
        return type(first) is type(second) and same(astuple(first), astuple(second))
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def remembered(rig: Rig) -> list[Any]:
    """All that is remembered of the streams."""
    found: list[Any] = [rig.secure._keepAlive.last, rig.plain._rtp._heard, rig.plain.wayOut is None]
    found.append(rig.plain._probation.taken)
    context = rig.secure._context
    if context is not None:
        found += [(line.index, line.newest, line.time, line.steady) for line in context.known.lines.values()]
    for leg in (rig.plain, rig.secure):
        reception = leg.received.reception
        found += [reception._worst, reception._current and reception._current.ssrc]
        for source in reception._sources.values():
            found += [source.ssrc, source.highest, source.expected, source.received]
            found += [source.transit, source.jitter, source.payloadType, source.holes]
    if rig.secure.stream is not None:
        kept = ("_guard", "_cname", "_hearing")
        found.append({k: v for k, v in vars(rig.secure.stream).items() if k not in kept})
        found.append([getattr(rig.secure.stream._hearing, each) for each in Hearing.__slots__])
    return found


class Play:
    """Does the same to any rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.last = {False: (65_530, 0xFFFFFE00), True: (100, 5000)}
        self.keys = 2
        self.local = key(1)

    def step(self, step: Run | str) -> None:
        """One of them."""
        if isinstance(step, Run):
            self.run(step)
        else:
            self.event(step)

    def run(self, run: Run) -> None:
        """Packets, each read before the next is sent."""
        rig = self.rig
        sequence, timestamp = self.last[run.carrier]
        for number in range(run.frames):
            sequence = (sequence + (1 if number else run.jump)) & 0xFFFF
            timestamp += 160 if number else 160 * run.jump + run.skew
            rig.clock.advance(run.pause)
            data = packet(
                sequence, timestamp, run.payloadType, run.marker, run.ssrc, b"%04d" % number * (run.size // 4)
            )
            bits, octets = run.more
            data = bytes([data[0] | bits]) + data[1:12] + octets + data[12:]
            if run.carrier:
                try:
                    data = rig.peer.protect(data)
                except Exception:
                    continue  # the carrier itself would send an index twice
            if run.damage >= 0 and number == run.frames - 1 and run.damage < len(data):
                data = data[: run.damage] + bytes([data[run.damage] ^ 0x41]) + data[run.damage + 1 :]
            place = (0, 2, 4)[run.place] if not run.carrier else (1, 3, 4)[run.place]
            rig.deliver(data, place, rig.secure if run.carrier else rig.plain)
        self.last[run.carrier] = sequence, timestamp

    def fax(self, datagrams: int) -> None:
        """T.38 instead of sound, in both directions."""
        rig = self.rig
        rig.plain.setFax(rig.addressOf(0))
        rig.secure.setFax(rig.addressOf(1))
        for number in range(datagrams):
            data = number.to_bytes(2, "big") + b"\x01\x06\x00\x00"
            rig.deliver(data, 0, rig.plain)
            rig.deliver(data, 1, rig.secure)

    def sound(self) -> None:
        """Again, as it was in the beginning."""
        rig = self.rig
        rig.plain.setRemote(rig.addressOf(0))
        rig.secure.setRemote(rig.addressOf(1))
        for leg in (rig.plain, rig.secure):
            leg.setSending(True)

    def event(self, event: str) -> None:
        """Signalling, time, or RTCP."""
        rig = self.rig
        if event in REMOTE:
            change = REMOTE[event]
            rig.plain.setRemote(None if change is None else rig.addressOf(0 if not change else 2))
            rig.secure.setRemote(None if change is None else rig.addressOf(1 if not change else 3))
        elif event in ("hold", "resume"):
            rig.plain.setSending(event == "resume")
            rig.secure.setSending(event == "resume")
        elif event == "repeated key":
            rig.secure.setRemoteKey(SUITE, key(2))
        elif event == "new key":
            self.keys += 1
            self.local = key(10 + self.keys)
            rig.secure.setLocalKey(SUITE, self.local)
        elif event == "other branch":
            rig.secure.setLocalKey("AES_CM_128_HMAC_SHA1_32", key(5))
        elif event == "first branch":
            rig.secure.setLocalKey(SUITE, self.local)
        elif event == "other key":
            rig.secure.setRemoteKey(SUITE, key(3))
        elif event == "types":
            rig.plain.setPayloadTypes({0: "PCMU/8000", 8: "W/900000", 72: "V/8000", 101: "CN/8000"}, {})
            rig.secure.setPayloadTypes({0: "X/16000", 8: "telephone-event/8000", 101: "Y/90000"}, {})
        elif event == "renumbered":
            rig.plain.setPayloadTypes({0: "PCMU/8000", 8: "X/8000"}, {0: "PCMU/8000", 8: "X/8000"})
            rig.secure.setPayloadTypes({0: "PCMU/8000", 100: "X/8000"}, {0: "PCMU/8000", 100: "X/8000"})
        elif event == "number of RTCP":
            rig.plain.setPayloadTypes({0: "PCMU/8000"}, {72: "PCMU/8000"})
            rig.secure.setPayloadTypes({0: "PCMU/8000"}, {0: "PCMU/8000"})
        elif event == "look":
            rig.plain.glance()
            rig.secure.glance()
        elif event == "clear":
            if isinstance(rig.secure, EitherLeg):
                rig.secure.setClear()
        elif event == "statistics":
            rig.statistics()
        elif event == "rejoined":
            rig.plane.join(rig.secure, rig.plain, "call")
        elif event == "alone":
            rig.plain.join(None)
        elif event == "16 s":
            rig.clock.advance(16)
        elif event == "report of the PBX":
            rig.deliver(REPORT, 0, rig.plain, rtcp=True)
        elif event == "report of the carrier":
            rig.deliver(rig.peer.protectRTCP(REPORT), 1, rig.secure, rtcp=True)
        elif event == "report of the PBX beside media":
            rig.deliver(REPORT, 0, rig.plain)
        elif event == "report of the carrier beside media":
            rig.deliver(rig.peer.protectRTCP(REPORT), 1, rig.secure)
        elif event == "fax":
            self.fax(3)
            self.sound()
        else:
            assert event == "unreachable"
            rig.plain.setRemote(MediaAddress("255.255.255.255", 9, 9))
            rig.secure.setRemote(MediaAddress("255.255.255.255", 9, 9))


class LendingTests(SynchronousTestCase):
    """When a direction is lent, and when no more."""

    helped = True

    def setUp(self) -> None:
        """A call in which both directions are lent."""
        skipWithout(self.helped)
        self.rig = Rig(self, self.helped, 29000)
        for leg in (self.rig.plain, self.rig.secure):
            # Whoever looks at a packet interrupts.
            self.rig.plane._reports.remove(leg)
        self.play = Play(self.rig)
        self.play.run(FIRST._replace(frames=CALM + 1))
        self.play.run(FIRST._replace(frames=CALM, carrier=True))

    def directions(self) -> tuple[bool, bool]:
        """Are PBX to carrier and carrier to PBX lent?  Both legs of one say the same."""
        rig = self.rig
        self.assertIs(rig.plain.heardBy, rig.secure.sentBy)
        self.assertIs(rig.secure.heardBy, rig.plain.sentBy)
        return rig.plain.heardBy is not None, rig.secure.heardBy is not None

    def test_interfaces(self) -> None:
        """The plane says whether it has a helper, and its reactor is one for UDP."""
        self.assertEqual(self.rig.plane.helped, self.helped)
        self.assertTrue(verifyObject(IReactorUDP, self.rig.readers.readers[0]))

    def test_calm(self) -> None:
        """A direction is lent when some packets in a row were taken; each by itself."""
        self.assertEqual(self.directions(), (True, False))
        self.play.run(FIRST._replace(frames=1, carrier=True))
        self.assertEqual(self.directions(), (True, True))

    def test_glance(self) -> None:
        """Who looks at a packet is shown it, in clear, and the directions stay lent."""
        self.both()
        seen: list[tuple[bytes, int]] = []
        self.patch(Looks, "at", lambda looks, payload, codec, now: seen.append((payload, codec)))
        for carrier, leg in ((False, self.rig.plain), (True, self.rig.secure)):
            leg.glance()
            self.play.run(FIRST._replace(frames=3, carrier=carrier))
            self.assertEqual(self.directions(), (True, True))
            self.assertEqual(seen, [(b"0000" * 40, "PCMU")])
            seen.clear()

    def test_unforeseen(self) -> None:
        """What nobody foresaw while something is lent is logged, once, and sound goes on in all calls."""
        self.both()

        def failing(looks: Looks, payload: bytes, codec: str | None, now: float) -> None:
            raise RuntimeError("nobody foresaw it")

        self.patch(Looks, "at", failing)
        self.rig.take()
        for carrier, leg in ((False, self.rig.plain), (True, self.rig.secure)):
            leg.glance()
            self.play.run(FIRST._replace(frames=3, carrier=carrier))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual([len(each) for each in self.rig.take()[:2]], [3, 3])

    def endedBy(self, carrier: bool) -> bool:
        """
        What is not usual comes from C{carrier}, or from the PBX, and ends the other leg, to which something
        came, too.

        @return: was that relayed before?
        """
        self.both()
        rig, heard = self.rig, Heard()
        ending, ended = (rig.secure, rig.plain) if carrier else (rig.plain, rig.secure)
        poller: Any = rig.readers.readers[0]
        descriptor = ended.rtpPort.transport.getHandle().fileno()  # type: ignore[union-attr]

        def end(datagram: bytes, address: tuple[str, int]) -> None:
            ended.release()
            port = poller.listenUDP(0, heard, HOST)
            self.addCleanup(port.stopListening)
            self.assertEqual(port.getHandle().fileno(), descriptor)

        ending.rtpPort.receive = end
        sequence, timestamp = self.play.last[not carrier]
        sound = packet(sequence + 1, timestamp + 160, 0, False, FIRST.ssrc, bytes(160))
        before = ended.statistics().received.packets
        rig.sockets[carrier].sendto(b"not usual", (HOST, ending.address.port))
        rig.sockets[not carrier].sendto(
            sound if carrier else rig.peer.protect(sound), (HOST, ended.address.port)
        )
        rig.turn()
        self.assertEqual(heard.datagrams, [])
        return ended.statistics().received.packets > before

    def test_endedMeanwhile(self) -> None:
        """What was read where a leg has ended since is for nobody, nor for who has its descriptor then."""
        # The system says which socket is read first.
        before = self.endedBy(False)
        self.setUp()
        self.assertIn(False, (before, self.endedBy(True)))

    def test_glanceAtOther(self) -> None:
        """What is not usual is shown, too, if it is the next that is relayed."""
        self.both()
        seen: list[bytes] = []
        self.patch(Looks, "at", lambda looks, payload, codec, now: seen.append(payload))
        for carrier, leg in ((False, self.rig.plain), (True, self.rig.secure)):
            leg.glance()
            self.play.run(FIRST._replace(frames=1, carrier=carrier, damage=1))
            self.play.run(FIRST._replace(frames=2, carrier=carrier, size=40))
            self.assertEqual([len(each) for each in seen], [160 if not carrier else 40])
            seen.clear()

    def test_glanceAtMarker(self) -> None:
        """A number of the PBX's that is RTCP with the marker: who looks has that of the carrier."""
        self.play.event("number of RTCP")
        self.both()
        seen: list[tuple[bytes, int]] = []
        self.patch(Looks, "at", lambda looks, payload, codec, now: seen.append((payload, codec)))
        self.rig.secure.glance()
        self.play.run(FIRST._replace(frames=1, carrier=True, marker=True))
        self.assertEqual(self.directions(), (True, True))
        self.assertEqual(seen, [(b"0000" * 40, "PCMU")])
        self.assertEqual(self.rig.take()[0][-1][0][1], 0x80 | 72)

    def test_fax(self) -> None:
        """Of a fax nothing is lent, however calm it is; the sound that follows is lent as ever."""
        self.both()
        self.rig.take()
        self.play.fax(3 * CALM)
        self.assertEqual(self.directions(), (False, False))
        self.assertEqual([len(each) for each in self.rig.take()], [3 * CALM, 3 * CALM, 0, 0, 0])
        self.play.sound()
        self.both()
        self.assertEqual([leg.received.fax for leg in self.rig.statistics()], [3 * CALM] * 2)

    def both(self) -> None:
        """Both are lent, and some packets were relayed so."""
        for carrier in (False, True):
            self.play.run(FIRST._replace(frames=CALM + 1, carrier=carrier))
        self.assertEqual(self.directions(), (True, True))
        for carrier in (False, True):
            self.play.run(FIRST._replace(frames=5, carrier=carrier))
        self.assertEqual(self.directions(), (True, True))

    def test_counters(self) -> None:
        """A look at the counters leaves it lent, and they are true."""
        self.both()
        plain, secure = self.rig.statistics()
        self.assertEqual((plain.received.packets, plain.sent.packets), (CALM * 2 + 7, CALM * 2 + 6))
        self.assertEqual(
            (secure.received.authenticated, secure.sent.authenticated), (CALM * 2 + 6, CALM * 2 + 10)
        )
        self.assertEqual((plain.received.lost, secure.received.lost), (0, 0))
        self.assertEqual(self.directions(), (True, True))
        self.assertEqual(self.rig.statistics(), (plain, secure))

    def test_ends(self) -> None:
        """What changes for one direction takes it back; what changes a leg, both."""
        rig, odd = self.rig, FIRST._replace(frames=1)
        changes: list[tuple[Callable[[], object], tuple[bool, bool]]] = [
            (lambda: self.play.run(odd._replace(jump=2)), (False, True)),
            (lambda: self.play.run(odd._replace(place=2)), (True, True)),  # not heard: it is connected
            (lambda: self.play.run(odd._replace(ssrc=5)), (False, True)),
            (lambda: self.play.run(odd._replace(payloadType=101)), (False, True)),
            (lambda: rig.deliver(b"", 0, rig.plain), (False, True)),
            (lambda: self.play.run(odd._replace(carrier=True, damage=20)), (True, False)),
            (lambda: self.play.run(odd._replace(carrier=True, jump=3)), (True, False)),
            (lambda: rig.plain.setSending(True), (False, False)),
            (lambda: rig.plain.setRemote(rig.addressOf(0)), (False, False)),
            (lambda: rig.secure.setPayloadTypes({0: "PCMU/8000"}, {}), (False, False)),
            (lambda: rig.secure.setLocalKey(SUITE, key(1)), (False, False)),
            (lambda: rig.secure.setRemoteKey(SUITE, key(2)), (False, False)),
            (lambda: rig.plane.join(rig.plain, rig.secure, "call"), (False, False)),
            (lambda: rig.clock.advance(15.1), (False, False)),
            (lambda: rig.plain.release(), (False, False)),
        ]
        for number, (change, left) in enumerate(changes):
            self.both()
            change()
            self.assertEqual(self.directions(), left, number)

    def test_edges(self) -> None:
        """With the marker some payload types are RTCP; a fast clock may step further than is plausible."""
        self.rig.plain.setPayloadTypes({72: "V/8000", 8: "W/900000"}, {})
        odd = FIRST._replace(frames=CALM + 2, payloadType=72)
        self.play.run(odd)
        self.assertTrue(self.directions()[0])
        self.play.run(odd._replace(frames=1, marker=True))
        self.assertFalse(self.directions()[0])
        self.assertEqual(self.rig.plain.statistics().received.refused, (("malformed", 1),))
        odd = FIRST._replace(frames=CALM + 2, payloadType=8)
        self.play.run(odd)
        self.assertTrue(self.directions()[0])
        self.play.run(odd._replace(frames=1, skew=600_000, pause=0.25))
        self.assertFalse(self.directions()[0])

    def test_renumbered(self) -> None:
        """A payload type that is another one at the other side is lent, too."""
        self.play.event("renumbered")
        self.rig.take()
        self.play.run(FIRST._replace(frames=CALM + 2, payloadType=8))
        self.play.run(FIRST._replace(frames=CALM + 2, payloadType=100, carrier=True))
        self.assertEqual(self.directions(), (True, True))
        found = self.rig.take()
        self.assertEqual({data[1] & 0x7F for data, _ in found[1]}, {100})
        self.assertEqual({data[1] for data, _ in found[0]}, {8})

    def test_notSymmetric(self) -> None:
        """Nor does it matter that ours go elsewhere than where the carrier's come from."""
        self.rig = Rig(self, self.helped, 29400, MediaPath(symmetric=False))
        self.play = Play(self.rig)
        self.rig.secure.setRemote(self.rig.addressOf(3))
        self.rig.take()
        self.both()
        found = self.rig.take()
        self.assertEqual([len(each) for each in found], [CALM + 6, 0, 0, CALM + 6, 0])

    def test_opportunistic(self) -> None:
        """A leg that may be SRTP or not is lent while it is."""
        self.rig = Rig(self, self.helped, 29600, MediaPath(srtp="opportunistic"))
        self.play = Play(self.rig)
        self.both()
        self.play.event("clear")
        self.assertEqual(self.directions(), (False, False))
        self.play.run(FIRST._replace(frames=CALM * 3))
        self.assertEqual(self.directions(), (False, False))

    def test_otherSources(self) -> None:
        """Of one that has died with a worker not all is known: the one that is heard is lent."""
        self.rig.secure.setRemoteKey(SUITE, key(3))
        gone = SecurePeer(key(3), key(1)).protect(packet(1, 5, 0, False, 7, b""))
        self.rig.deliver(gone, 1, self.rig.secure)
        told = self.rig.secure.accepted[-1]
        self.rig = Rig(self, self.helped, 29700)
        self.rig.secure.hearOn(replace(told, tick=1 / 8000).until(self.rig.clock.seconds()))
        self.rig.peer = SecurePeer(key(3), key(1))
        self.rig.secure.setRemoteKey(SUITE, key(3))
        self.play = Play(self.rig)
        self.both()

    def test_otherSocket(self) -> None:
        """A packet that came by a socket that the helper does not read: the stream goes on after it."""
        self.both()
        rig = self.rig
        rig.take()
        sequence, timestamp = self.play.last[False]
        data = packet(sequence + 1, timestamp + 160, 0, False, 0x11111111, b"from a group")
        rig.plain.rtpReceived(data, rig.sockets[0].getsockname())
        self.assertEqual(self.directions(), (False, True))
        self.play.last[False] = sequence + 1, timestamp + 160
        self.play.run(FIRST._replace(frames=1))
        sent = [int.from_bytes(data[2:4], "big") for data, _ in rig.take()[1]]
        self.assertEqual(sent[1], sent[0] + 1)
        self.assertEqual(rig.statistics()[1].sent.refused, ())
        rig.deliver(rig.peer.protect(packet(9000, 5, 0, False, 7, b"")), 1, rig.secure)
        self.assertEqual(self.directions(), (False, False))

    def test_otherLeg(self) -> None:
        """Two legs whose packets leave in one stream, as in a transfer: never both by the helper."""
        self.both()
        rig = self.rig
        other = rig.plane.allocate("other", False)
        assert isinstance(other, PlainLeg)
        self.addCleanup(other.release)
        other.setRemote(rig.addressOf(2))
        other.join(rig.secure)
        self.assertEqual(self.directions(), (False, False))
        self.both()
        rig.take()
        for number in range(CALM * 3):
            rig.clock.advance(0.02)
            rig.deliver(packet(number, number * 160, 0, False, 9, b"other"), 2, other)
            if number < CALM:
                self.assertIsNone(rig.plain.heardBy)
            if number == CALM:
                self.play.run(FIRST._replace(frames=2))
                self.assertIsNone(other.heardBy)
        self.assertIsNotNone(other.heardBy)
        self.assertIs(other.heardBy, rig.secure.sentBy)
        self.play.run(FIRST._replace(frames=CALM * 2))
        self.assertIsNone(other.heardBy)
        self.assertIs(rig.plain.heardBy, rig.secure.sentBy)
        sent = [int.from_bytes(data[2:4], "big") for data, _ in rig.take()[1]]
        self.assertEqual(sent, list(range(sent[0], sent[0] + CALM * 5 + 2)))

    def test_keepAlive(self) -> None:
        """Packets that the helper sent count: no keep-alive leaves until 15 s after the last."""
        self.both()
        for _ in range(64):
            self.play.run(FIRST._replace(frames=1, pause=0.25, skew=1840))
        self.assertEqual(self.directions(), (True, False))
        self.rig.take()
        self.rig.clock.advance(14)
        self.assertEqual(self.rig.take()[1], [])
        self.rig.clock.advance(1.1)
        self.assertEqual(len(self.rig.take()[1]), 1)

    def test_tapped(self) -> None:
        """Who listens to a call gets each packet: nothing is lent."""
        seen: list[bytes] = []

        def show(packet: bytes, now: float) -> bool:
            seen.append(packet)
            return True

        self.rig.plain.join(self.rig.secure, show)
        self.play.run(FIRST._replace(frames=3 * CALM))
        self.assertEqual(self.directions(), (False, False))
        self.assertEqual(len(seen), 3 * CALM)

    def test_rests(self) -> None:
        """Where much comes the helper lets it gather, and relays it in the same turn of the reactor."""
        self.both()
        rig = self.rig
        poller = rig.readers.readers[0]
        assert isinstance(poller, SettlingPoller)
        sequence, timestamp = self.play.last[False]
        for busy, turns in ((False, 3), (True, 1)):
            rig.take()
            for _ in range(3):
                sequence, timestamp = sequence + 1 & 0xFFFF, timestamp + 160
                data = packet(sequence, timestamp, 0, False, 0x11111111, b"much")
                rig.sockets[0].sendto(data, (HOST, rig.plain.address.port))
            began = time.monotonic()
            for _ in range(turns):
                poller._busy = busy
                poller.doRead()
            self.assertEqual(len(rig.take()[1]), 3)
            self.assertEqual(self.directions(), (True, True))
            if busy:
                self.assertGreater(time.monotonic() - began, 3 * REST)

    def test_together(self) -> None:
        """What is usual and what is not, read in one turn: all of it leaves, and is counted."""
        self.both()
        rig = self.rig
        before = [leg.statistics() for leg in (rig.plain, rig.secure)]
        rig.take()
        sequence, timestamp = self.play.last[False]
        usual = packet(sequence + 1, timestamp + 160, 0, False, 0x11111111, b"usual")
        sequence, timestamp = self.play.last[True]
        jumped = rig.peer.protect(packet(sequence + 7, timestamp + 1120, 0, False, 0x11111111, b"not"))
        rig.sockets[0].sendto(usual, (HOST, rig.plain.address.port))
        rig.sockets[1].sendto(jumped, (HOST, rig.secure.address.port))
        rig.turn()
        self.assertEqual([len(each) for each in rig.take()], [1, 1, 0, 0, 0])
        self.assertEqual(self.directions(), (True, False))
        for leg, was in zip((rig.plain, rig.secure), before, strict=True):
            now = leg.statistics()
            self.assertEqual(now.received.packets, was.received.packets + 1)
            self.assertEqual(now.sent.packets, was.sent.packets + 1)

    def test_closedMeanwhile(self) -> None:
        """A call that is over while its packets wait to be read."""
        self.both()
        rig = self.rig
        poller = rig.readers.readers[0]
        assert isinstance(poller, SettlingPoller)
        for place, leg in ((0, rig.plain), (1, rig.secure)):
            rig.sockets[place].sendto(b"late", (HOST, leg.address.port))
        rig.plain.release()
        rig.secure.release()
        poller.doRead()
        self.assertEqual(rig.readers.readers, [])
        self.assertEqual(rig.secure.statistics().received.refused, ())


class LendingByPythonTests(LendingTests):
    """The same to Python."""

    helped = False


class WithoutTests(SynchronousTestCase):
    """Where the helper is not what it should be, Python does all."""

    def found(self) -> object:
        """A look, as if it were the first."""
        return findHelper.__wrapped__()

    def test_notBuilt(self) -> None:
        """There is no such module."""
        self.patch(helper, "import_module", lambda name: __import__(name + "_which_nobody_built"))
        self.assertIsNone(self.found())

    def test_otherLimits(self) -> None:
        """It was built from another version's source."""
        self.patch(helper, "REORDERING", 63)
        self.assertIsNone(self.found())

    def test_otherLibrary(self) -> None:
        """What is at the address does something else."""
        if self.found() is None:
            raise SkipTest("skypetrunk was installed without a compiler")
        self.patch(Probe, "protected", Probe.protected[:-1] + b"\0")
        self.assertIsNone(self.found())
