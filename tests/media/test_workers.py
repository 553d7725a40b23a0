"""
Media workers: real processes and real packets.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError, MalformedSDP, StreamLost
from skypetrunk.interfaces import (
    DeclaredKeys,
    DirectionStatistics,
    IMediaLeg,
    IMediaPlane,
    LegStatistics,
    MediaAddress,
)
from skypetrunk.media import remote_keeper
from skypetrunk.media.heard import Heard
from skypetrunk.media.keeping import ORDERS
from skypetrunk.media.kept_leg import KeptLeg, PendingStatistics
from skypetrunk.media.known import MOST_SOURCES
from skypetrunk.media.relay import Show
from skypetrunk.media.remote_keeper import PATIENCE, RemoteKeeper
from skypetrunk.media.roll_over import MOST_RUNS
from skypetrunk.media.worker_commands import Ask, Ready
from skypetrunk.media.worker_plane import POSSIBLE, WorkerPlane
from skypetrunk.media.workers import MediaWorker
from skypetrunk.wire.reports import ReportBlock, writeReport
from skypetrunk.wire.rtp import parseRTP
from skypetrunk.wire.sdes import InlineKey
from tests.media.doubles import SUITE, SecurePeer, key, rtp
from tests.media.test_loopback import LoopbackTests, ports, reactor

clock = cast(Any, reactor)

LATER = 80_000
"""Units of a time stamp: ten seconds, more than go by in a test."""


async def until(test: TestCase, true: Callable[[], object], what: str) -> None:
    """Wait for it, ten seconds at most."""
    for _ in range(1000):
        if true():
            return
        await deferLater(clock, 0.01)
    test.fail(f"never: {what}")


class WorkerTests(LoopbackTests):
    """The calls of the other tests, carried by another process."""

    number = 1

    async def setUp(self) -> None:  # type: ignore[override]
        """The workers are ready, and carry a call."""
        if not POSSIBLE:
            self.skipTest("no epoll")
        self.shows: tuple[Show, Show] | None = None
        self.losses = 0
        self.made = self.makePlane(ports())
        self.made.lost = self.lost
        self.made.start()
        await self.ready()
        super().setUp()

    def lost(self) -> None:
        """Called with the plane's legs that are lost."""
        self.losses += 1

    async def ready(self) -> None:
        """All workers can be given legs."""
        await until(self, lambda: len(self.made.workers.ready) == self.number, "the workers are ready")

    def firstPlane(self) -> WorkerPlane:
        """It has workers."""
        return self.made

    def makePlane(self, ports: tuple[int, int]) -> WorkerPlane:
        """Its workers are not started yet."""
        place = (clock, clock, self.host, None, ports, os.urandom, lambda call: self.shows)
        made = WorkerPlane(*place, workers=self.number)
        self.addCleanup(made.stop)
        return made

    async def counted(self, leg: IMediaLeg, right: Callable[[DirectionStatistics], bool]) -> None:
        """It comes to be right."""
        await until(self, lambda: right(leg.statistics().received), "the counters are right")

    async def final(self, leg: IMediaLeg) -> LegStatistics:
        """It comes after the release."""
        known = leg.release()
        assert isinstance(known, PendingStatistics), known
        return await known.final

    async def told(self, leg: IMediaLeg) -> None:
        """A worker does one thing after the other."""
        await self.kept(leg).keeper.release(0)

    def kept(self, leg: IMediaLeg) -> KeptLeg:
        """It is one."""
        assert isinstance(leg, KeptLeg)
        return leg

    def kill(self, worker: MediaWorker) -> None:
        """End its process as the kernel does where memory is short."""
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)

    def test_interfaces(self) -> None:
        """Plane and legs are what they stand for, and the legs are kept by the worker."""
        self.assertTrue(verifyObject(IMediaPlane, self.plane))
        for leg in (self.plain, self.secure):
            self.assertTrue(verifyObject(IMediaLeg, leg))
            self.assertIs(self.kept(leg).keeper, self.made.workers.all[0].keeper)
        self.assertEqual([each["legs"] for each in self.made.workers.status()], [2])

    def test_everyOrder(self) -> None:
        """What a leg is told is told to its keeper: a leg that does it here does nothing."""
        told = {name for name in IMediaLeg if name.startswith("set")} | {"hearKeys", "sendKey"}
        # These come of keepers before, not of what the leg is told.
        self.assertEqual(told | {"goOn", "hearOn"}, ORDERS)
        self.assertEqual({name for name in ORDERS if name not in vars(KeptLeg)}, {"goOn", "hearOn"})

    def test_refusedAtOnce(self) -> None:
        """What a leg refuses is refused here, as by a leg of this process."""
        name = MediaAddress("carrier.example", 4000, 4001)
        self.assertRaises(MalformedSDP, self.plain.setRemote, name)
        self.assertRaises(LocalError, self.plain.setLocalKey, SUITE, key(1))
        self.assertRaises(LocalError, self.plain.setRemoteKey, SUITE, key(1))
        self.secure.setLocalKey(SUITE, key(1))
        self.secure.setLocalKey(SUITE, key(3))
        self.assertRaises(StreamLost, self.secure.setLocalKey, SUITE, key(1))
        self.secure.setLocalKey("AES_CM_128_HMAC_SHA1_32", key(5))
        self.assertRaises(StreamLost, self.secure.setLocalKey, SUITE, key(1))
        self.secure.setLocalKey(SUITE, key(3))
        self.secure.release()
        self.assertRaises(StreamLost, self.secure.setLocalKey, SUITE, key(4))

    async def test_lostOfAllBranches(self) -> None:
        """Branches of the call had a key of ours each: those of a dead worker are all lost."""
        short = "AES_CM_128_HMAC_SHA1_32"
        self.secure.setLocalKey(SUITE, key(1))
        self.secure.setLocalKey(short, key(3))
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        for suite, number in ((SUITE, 1), (short, 3)):
            self.secure.setLocalKey(suite, key(number))
            self.assertTrue(self.secure.lost)
            self.assertFalse(self.kept(self.secure).keyed)
        self.secure.setLocalKey(SUITE, key(7))
        self.assertFalse(self.secure.lost)

    async def test_killed(self) -> None:
        """
        Its calls go on at once: the PBX notices nothing; the carrier's leg has other ports, and waits for a
        new key.  What the old one has protected is never protected again.
        """
        await self.talk()
        plain, secure = self.plain.address, self.secure.address
        await self.counted(self.plain, lambda received: received.packets == 50)
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.assertEqual((self.plain.lost, self.secure.lost), (False, True))
        self.assertEqual(self.plain.address, plain)
        self.assertNotEqual(self.secure.address.port, secure.port)
        self.assertEqual(self.plane.openPorts, 4)
        # An exchange that was under way still has the old key; nothing is sent with it.
        self.secure.setLocalKey(SUITE, key(1))
        self.send(self.pbx, self.plain, rtp(50))
        self.send(self.carrier, self.secure, self.srtp.protect(rtp(50)))
        await self.pbx.wait(51)
        self.assertEqual(len(self.carrier.heard), 53)
        self.assertTrue(self.secure.lost)
        self.secure.setLocalKey(SUITE, key(7))
        self.assertFalse(self.secure.lost)
        peer = SecurePeer(key(2), key(7))
        for sequence in range(51, 61):
            self.send(self.pbx, self.plain, rtp(sequence, payload=b"to carrier"))
        await self.carrier.wait(53 + 10)
        for datagram, source in self.carrier.heard[53:]:
            peer.receive(datagram)
            self.assertEqual(source, (self.host, self.secure.address.port))
        self.assertEqual(peer.refused, [])
        await self.ready()
        self.assertEqual(self.made.workers.all[0].starts, 2)
        # Of the dead one the counters are those that it told last.
        self.assertEqual((await self.end(self.plain)).received.packets, 61)
        self.assertEqual(self.plane.openPorts, 2)

    async def test_endedAtOnce(self) -> None:
        """A leg that is closed in the turn that has opened it, as of a refused call, harms no other."""
        before = self.made.workers.all[0].keeper
        for number in range(10):
            self.plane.allocate(f"refused{number}/pbx", False).release()
        await self.talk()
        self.assertIs(self.made.workers.all[0].keeper, before)
        self.assertEqual(self.losses, 0)

    async def test_lastFiles(self) -> None:
        """A leg that has got the last files that the process may open is a leg as any other."""
        files = [os.dup(0) for _ in range(2)]
        for each in files:
            os.close(each)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files) + 1, limits[1]))
        try:
            leg = self.plane.allocate("last/pbx", False)
            self.addCleanup(leg.release)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        leg.setRemote(self.address(self.pbx))
        self.plane.join(leg, self.secure, "last")
        self.send(self.pbx, leg, rtp(1))
        await self.counted(leg, lambda received: received.packets == 1)

    async def test_lossCountedOnce(self) -> None:
        """A PBX counts on in its reports when the worker is gone: what it lost before is no loss again."""
        await self.talk()
        ssrc = parseRTP(self.pbx.heard[-1][0]).ssrc

        def report(lost: int) -> None:
            block = ReportBlock(ssrc, 0, lost, 1000, 0, 0, 0)
            where = self.host, self.plain.address.rtcpPort
            self.pbx.transport.write(writeReport(7, None, (block,), b"pbx"), where)  # type: ignore[union-attr]

        def counted(reports: int, lost: int) -> bool:
            sent = self.plain.statistics().sent
            return (sent.reports, sent.lost) == (reports, lost)

        report(20)
        await until(self, lambda: counted(1, 20), "the first is counted")
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.send(self.carrier, self.secure, self.srtp.protect(rtp(50)))
        await self.pbx.wait(51)
        for number, lost in enumerate((20, 25), 2):
            report(lost)
            await until(self, partial(counted, number, lost), "it is counted")

    async def test_killedInFax(self) -> None:
        """A fax goes on at once, at the same ports; sound after it needs a new key, as its own is lost."""
        for leg, peer in ((self.plain, self.pbx), (self.secure, self.carrier)):
            leg.setFax(self.address(peer))
        await self.told(self.secure)
        addresses = self.plain.address, self.secure.address
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.assertEqual((self.plain.address, self.secure.address), addresses)
        self.assertTrue(self.secure.lost)
        self.send(self.pbx, self.plain, b"\0\1\1\6\0\0")
        self.send(self.carrier, self.secure, b"\0\2\1\6\0\0")
        # Three keep-alives came before the fax.
        await self.carrier.wait(4)
        await self.pbx.wait(1)
        self.assertEqual(self.carrier.heard[3][0], b"\0\1\1\6\0\0")
        self.assertEqual(self.pbx.heard[0][0], b"\0\2\1\6\0\0")
        for leg, peer in ((self.plain, self.pbx), (self.secure, self.carrier)):
            leg.setRemote(self.address(peer))
            leg.setSending(True)
        self.secure.setLocalKey(SUITE, key(1))
        self.send(self.pbx, self.plain, rtp(1))
        self.assertTrue(self.secure.lost)
        self.secure.setLocalKey(SUITE, key(7))
        self.assertFalse(self.secure.lost)
        self.send(self.pbx, self.plain, rtp(2))
        srtp = SecurePeer(key(2), key(7))
        await self.carrier.wait(5)
        srtp.receive(self.carrier.heard[-1][0])
        self.assertEqual(srtp.refused, [])

    async def test_heardOn(self) -> None:
        """
        The next keeper begins where the dead one was: it knows the carrier's roll-over counter, though it is
        too high to be found, and lets in nothing that was recorded before.
        """
        await self.talk()
        recorded = [self.srtp.protect(rtp(each)) for each in range(100, 6 * 0x10000, 0x7000)]
        for packet in recorded:
            self.send(self.carrier, self.secure, packet)
            await deferLater(clock, 0.005)
        last = 100 + (len(recorded) - 1) * 0x7000
        keeper, number = self.kept(self.secure).keeper, self.kept(self.secure).number

        def told() -> bool:
            return any(source[1] == last for each in keeper.heard(number) for source in each.sources)

        await until(self, told, "the index is told")
        self.assertEqual(len(self.pbx.heard), 50 + len(recorded))
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.secure.setLocalKey(SUITE, key(7))
        for packet in recorded:
            self.send(self.carrier, self.secure, packet)
        self.send(self.carrier, self.secure, self.srtp.protect(rtp(last + 1, timestamp=last * 160 + LATER)))
        await self.pbx.wait(51 + len(recorded))
        self.assertEqual(parseRTP(self.pbx.heard[-1][0]).sequence, last + 1 & 0xFFFF)
        received = (await self.end(self.secure)).received
        self.assertEqual(received.packets, 51 + len(recorded))
        self.assertEqual(sum(dict(received.refused).values()), len(recorded))
        self.assertEqual(received.resumptions, 0)

    async def recorded(self) -> list[bytes]:
        """The last ten of sixty packets that were heard, as the carrier sent them."""
        await self.talk()
        recorded = [self.srtp.protect(rtp(each)) for each in range(50, 60)]
        for packet in recorded:
            self.send(self.carrier, self.secure, packet)
        await self.pbx.wait(60)
        return recorded

    async def playedAgain(self, recorded: list[bytes], step: int = 160) -> None:
        """They come once more and are refused; the carrier's next packet, by time C{step} later, is heard."""
        for packet in (*recorded, self.srtp.protect(rtp(60, timestamp=59 * 160 + step))):
            self.send(self.carrier, self.secure, packet)
        await self.pbx.wait(61)
        self.assertEqual(parseRTP(self.pbx.heard[-1][0]).sequence, 60)
        received = (await self.end(self.secure)).received
        self.assertEqual((received.packets, dict(received.refused)), (61, {"replay": 10}))

    async def test_formerKey(self) -> None:
        """What was heard under a key that was just given up is known to the next keeper, too."""
        await self.talk()
        self.secure.setRemoteKey(SUITE, key(9))
        await self.told(self.secure)
        recorded = [self.srtp.protect(rtp(each)) for each in range(50, 60)]
        for packet in recorded:
            self.send(self.carrier, self.secure, packet)
        keeper, number = self.kept(self.secure).keeper, self.kept(self.secure).number

        def told() -> bool:
            return any(source[1] == 59 for each in keeper.heard(number) for source in each.sources)

        await until(self, told, "the index is told")
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.secure.setLocalKey(SUITE, key(7))
        self.secure.setRemoteKey(SUITE, key(2))
        await self.playedAgain(recorded, LATER)

    async def test_recordedUntold(self) -> None:
        """What was heard after it was told for the last time is not let in again; what goes on is heard."""
        await self.talk()
        keeper, number = self.kept(self.secure).keeper, self.kept(self.secure).number
        await until(self, lambda: keeper.heard(number), "it is told")
        self.patch(remote_keeper, "remember", lambda *_: None)
        began = clock.seconds()
        recorded: list[bytes] = []

        async def next() -> None:
            passed = max(50, int((clock.seconds() - began) / 0.02))
            recorded.append(self.srtp.protect(rtp(50 + len(recorded), timestamp=(50 + passed) * 160)))
            self.send(self.carrier, self.secure, recorded[-1])
            await deferLater(clock, 0.02)

        await deferLater(clock, 1.0)
        while len(recorded) < 20:
            await next()
        await self.pbx.wait(70)
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        died = clock.seconds()
        self.secure.setLocalKey(SUITE, key(7))
        for packet in recorded[:10]:
            self.send(self.carrier, self.secure, packet)
        await deferLater(clock, 0.05)
        self.assertEqual(len(self.pbx.heard), 70)
        while len(self.pbx.heard) == 70:
            await next()
        self.assertLess(clock.seconds() - died, 1.0)
        again = recorded[10:20]
        for packet in again:
            self.send(self.carrier, self.secure, packet)
        await next()
        heard = [parseRTP(packet).sequence for packet, _ in self.pbx.heard]
        self.assertEqual(len(heard), len(set(heard)))

    async def test_muchHeard(self) -> None:
        """Of a carrier with as many sources as there may be, each of which has begun anew, all is told."""
        last = 0xFFFFFFFF
        runs = tuple((last - each, last) for each in range(MOST_RUNS))
        sources = [(last - each, last, last, last, 0.1, True, last, runs) for each in range(MOST_SOURCES)]
        much = Heard((bytes(32),), 0.1, tuple(sources), ())
        keeper, number = self.kept(self.secure).keeper, self.kept(self.secure).number
        keeper.order(number, "hearOn", much)
        await self.talk()

        def told() -> bool:
            return any(each.sources == much.sources and each is not much for each in keeper.heard(number))

        await until(self, told, "it is told")

    async def test_unheard(self) -> None:
        """It tells that the carrier no longer hears us; a key that is lost with it says no such thing."""
        await self.talk()
        secure, said, sequence = self.kept(self.secure), 50, 100

        def came(count: int, received: DirectionStatistics) -> bool:
            return received.packets == count

        for highest, last in ((1, 0), (2, 80_000), (None, 90_000), (None, 0)):
            block = ReportBlock(self.srtp.headers[0].ssrc, 0, 0, highest or 0, 0, 0, 0)
            blocks = () if highest is None else (block,)
            compound = self.srtp.protectRTCP(writeReport(0x22222222, None, blocks, b"carrier"))
            where = (self.host, secure.address.rtcpPort)
            self.carrier.transport.write(compound, where)  # type: ignore[union-attr]
            self.assertFalse(secure.unheard)
            while sequence < last:
                self.send(self.pbx, self.plain, rtp(sequence))
                sequence, said = sequence + 90, said + 1
                if not sequence % 20:
                    await deferLater(clock, 0.001)
            await self.counted(self.plain, partial(came, said))
        await until(self, lambda: secure.unheard, "it is told")
        self.assertFalse(self.plain.unheard)
        self.kill(self.made.workers.all[0])
        await until(self, lambda: self.losses, "the loss is told")
        self.assertFalse(secure.unheard)
        self.secure.setLocalKey(SUITE, key(7))
        self.assertFalse(secure.unheard)

    async def test_signals(self) -> None:
        """What ends the trunk by a terminal or a service manager does not end its workers before it."""
        pid = self.made.workers.all[0].pid
        assert pid is not None
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, each)
        await self.talk()
        self.assertEqual(self.made.workers.all[0].pid, pid)

    async def test_nothingToSee(self) -> None:
        """Command line and environment of a worker show no key, and no secret of the trunk's environment."""
        os.environ["SKYPETRUNK_TEST_PASSWORD"] = "marker-secret"
        self.addCleanup(os.environ.pop, "SKYPETRUNK_TEST_PASSWORD")
        worker = self.made.workers.all[0]
        self.kill(worker)
        await until(self, lambda: worker.starts == 2 and self.made.workers.ready, "it is there again")
        leg = self.plane.allocate("another", True)
        self.addCleanup(leg.release)
        leg.setLocalKey(SUITE, key(7))
        await self.told(leg)
        for name in ("cmdline", "environ"):
            seen = Path(f"/proc/{worker.pid}/{name}").read_bytes()
            self.assertIn(b"python" if name == "cmdline" else b"PATH=", seen)
            for secret in (key(7).key, key(7).key.hex().encode(), b"marker-secret"):
                self.assertNotIn(secret, seen)

    async def test_tapped(self) -> None:
        """A call that somebody listens to is carried here, with all its packets; then by a worker no more."""
        heard: list[bytes] = []
        await self.talk()

        def show(packet: bytes, time: float) -> bool:
            heard.append(packet)
            return True

        self.shows = (show, lambda packet, time: True)
        self.plane.join(self.plain, self.secure, "another")
        # Until it is told so the worker still reads what comes there.
        await self.made.workers.ready[0].release(0)
        self.assertEqual([each["legs"] for each in self.made.workers.status()], [0])
        self.assertEqual((self.secure.lost, self.losses), (True, 1))
        self.secure.setLocalKey(SUITE, key(7))
        self.send(self.pbx, self.plain, rtp(50))
        await until(self, lambda: heard, "it is shown")
        self.assertEqual(heard, [rtp(50)])
        self.assertEqual((await self.end(self.plain)).received.packets, 51)
        tapped = self.kept(self.leg(True))
        self.assertIs(tapped.keeper.alive, True)
        self.assertNotIn(tapped.keeper, self.made.workers.ready)

    async def test_long(self) -> None:
        """However much a peer's description says, it comes to the worker, and counters come back."""
        keys = [InlineKey(key(number), None, number, 4) for number in range(2, 250)]
        types = {0: "P" * 66_000 + "/8000", 96: ""}
        for leg in (self.plain, self.secure):
            leg.setPayloadTypes(types, types)
        self.secure.setRemoteKey(SUITE, key(2), DeclaredKeys(tuple(keys * 4), 0))
        self.secure.setRemoteKey(SUITE, key(2))
        await self.talk()
        await self.counted(self.plain, lambda received: received.packets == 50)
        self.assertEqual(self.plain.statistics().received.codec, "P" * 32)
        self.assertEqual(len(self.made.workers.ready), 1)

    async def test_movedKnowing(self) -> None:
        """
        Who goes on with a leg that moves knows what was heard to the last packet: a recording of it is let
        in no more, and what comes before that is known waits.
        """
        recorded = await self.recorded()
        self.shows = (lambda packet, time: True, lambda packet, time: True)
        self.plane.join(self.plain, self.secure, "another")
        self.secure.setLocalKey(SUITE, key(7))
        self.secure.setRemoteKey(SUITE, key(2))
        await self.playedAgain(recorded)

    async def test_movedTwice(self) -> None:
        """A leg that moves on before the first keeper has said what it has heard waits for that, too."""
        recorded = await self.recorded()
        self.shows = (lambda packet, time: True, lambda packet, time: True)
        self.plane.join(self.plain, self.secure, "another")
        self.shows = None
        third = self.plane.allocate("third/pbx", False)
        self.addCleanup(third.release)
        third.setRemote(self.address(self.pbx))
        self.plane.join(third, self.secure, "third")
        self.assertTrue(self.kept(self.secure).keeper in self.made.workers.ready)
        self.secure.setLocalKey(SUITE, key(7))
        await self.playedAgain(recorded)

    async def test_movedWithNewKeys(self) -> None:
        """
        The carrier takes a new key before a leg moves, and others before it has moved: what comes under the
        one before the last is heard, as where nothing moves.
        """
        await self.talk()
        self.secure.setRemoteKey(SUITE, key(3))
        self.shows = (lambda packet, time: True, lambda packet, time: True)
        self.plane.join(self.plain, self.secure, "another")
        self.secure.setLocalKey(SUITE, key(7))
        third, fourth = (SecurePeer(key(number), key(7)) for number in (3, 4))
        for sequence, peer in enumerate((self.srtp, third, fourth), 50):
            self.send(self.carrier, self.secure, peer.protect(rtp(sequence)))
        self.secure.setRemoteKey(SUITE, key(4))
        await self.pbx.wait(53)

    async def test_keysHeard(self) -> None:
        """A call in which keys are to be heard is carried here, too, and tells of them."""
        heard: list[str] = []
        await self.talk()
        self.plain.setPayloadTypes({0: ""}, {0: ""})
        self.secure.setPayloadTypes(
            {0: "", 101: "telephone-event/8000"}, {0: "", 101: "telephone-event/8000"}
        )
        self.secure.hearKeys(heard.append)
        self.plane.join(self.plain, self.secure, "another")
        await self.made.workers.ready[0].release(0)
        packet = bytearray(rtp(3000, payload=b"\x05\x8a\x03\x20"))
        packet[1] = 101
        self.send(self.carrier, self.secure, self.srtp.protect(bytes(packet)))
        await until(self, lambda: heard, "it is told")
        self.assertEqual(heard, ["5"])

    async def end(self, leg: IMediaLeg) -> LegStatistics:
        """The counters of C{leg} in the end, whoever kept it."""
        known = leg.release()
        return await known.final if isinstance(known, PendingStatistics) else known

    async def test_hung(self) -> None:
        """A worker that does not answer when a leg is closed delays the record, and no more than a second."""
        await self.talk()
        await self.counted(self.plain, lambda received: received.packets == 50)
        pid = self.made.workers.all[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        began = clock.seconds()
        self.assertEqual((await self.final(self.plain)).received.packets, 50)
        self.assertLess(clock.seconds() - began, 2)


class SeveralWorkersTests(TestCase):
    """Two of them."""

    host = LoopbackTests.host

    def plane(self, workers: int, own: int = 0) -> WorkerPlane:
        """One that ends with the test."""
        if not POSSIBLE:
            self.skipTest("no epoll")
        place = (clock, clock, self.host, None, ports(), os.urandom)
        made = WorkerPlane(*place, workers=workers, own=own)
        self.addCleanup(made.stop)
        made.start()
        return made

    def leg(self, plane: WorkerPlane, name: str, secure: bool) -> KeptLeg:
        """A leg, released at the end."""
        leg = plane.allocate(name, secure)
        self.addCleanup(leg.release)
        assert isinstance(leg, KeptLeg)
        return leg

    async def test_shared(self) -> None:
        """
        Calls are shared out, each to one worker; after a transfer the leg moves that loses nothing, or the
        called one.
        """
        plane = self.plane(2)
        await until(self, lambda: len(plane.workers.ready) == 2, "both are ready")
        one = [self.leg(plane, f"one/{secure}", secure) for secure in (False, True)]
        other = [self.leg(plane, f"other/{secure}", secure) for secure in (False, True)]
        self.assertEqual([each["legs"] for each in plane.workers.status()], [2, 2])
        self.assertIs(one[0].keeper, one[1].keeper)
        self.assertIsNot(one[0].keeper, other[0].keeper)
        for leg in (one[1], other[1]):
            leg.setLocalKey(SUITE, key(1))
        plane.join(one[1], other[0], "third")
        self.assertIs(one[1].keeper, other[0].keeper)
        self.assertFalse(one[1].lost)
        address = other[1].address
        plane.join(one[1], other[1], "third")
        self.assertIs(one[1].keeper, other[1].keeper)
        self.assertEqual((one[1].lost, other[1].lost), (False, True))
        self.assertNotEqual(other[1].address, address)

    async def test_lossOfOthers(self) -> None:
        """What was lost of one party is no loss of the next one, whom a leg meets in another worker."""
        plane = self.plane(2)
        await until(self, lambda: len(plane.workers.ready) == 2, "both are ready")
        one = [self.leg(plane, f"one/{each}", False) for each in range(2)]
        other = [self.leg(plane, f"other/{each}", False) for each in range(2)]
        self.assertIsNot(one[0].keeper, other[0].keeper)
        peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in other]
        for peer, leg in zip(peers, other, strict=True):
            self.addCleanup(peer.close)
            peer.bind((self.host, 0))
            port = peer.getsockname()[1]
            leg.setRemote(MediaAddress(self.host, port, port))
        plane.join(other[0], other[1], "other")
        for sequence in (*range(50), *range(70, 90)):
            peers[1].sendto(rtp(sequence), (self.host, other[1].address.port))
        await until(self, lambda: other[1].statistics().received.lost == 20, "the loss is told")
        block = ReportBlock(parseRTP(rtp(0)).ssrc, 0, 20, 89, 0, 0, 0)
        report = writeReport(7, None, (block,), b"peer")
        peers[0].sendto(report, (self.host, other[0].address.rtcpPort))
        await until(self, lambda: other[0].statistics().sent.lost == 20, "it is reported")
        plane.join(one[0], other[0], "third")
        self.assertIs(one[0].keeper, other[0].keeper)
        self.assertEqual(other[0].statistics().sent.lost, 0)

    async def test_aloneInDeath(self) -> None:
        """A leg whose other one is over, as between branches, is joined to nobody when its worker dies."""
        plane = self.plane(2)
        await until(self, lambda: len(plane.workers.ready) == 2, "both are ready")
        one = [self.leg(plane, f"one/{each}", False) for each in range(2)]
        other = [self.leg(plane, f"other/{each}", False) for each in range(2)]
        self.assertEqual(one[1].number, other[1].number)
        plane.join(one[0], one[1], "one")
        plane.join(other[0], other[1], "other")
        peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(3)]
        for peer, leg in zip(peers, (one[0], *other), strict=True):
            self.addCleanup(peer.close)
            peer.bind((self.host, 0))
            port = peer.getsockname()[1]
            leg.setRemote(MediaAddress(self.host, port, port))
        one[1].release()
        losses: list[bool] = []
        plane.lost = lambda: losses.append(True)
        [worker] = [each for each in plane.workers.all if each.keeper is one[0].keeper]
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await until(self, lambda: losses, "the loss is told")
        await other[0].keeper.release(0)
        peers[2].sendto(rtp(1), (self.host, other[1].address.port))
        await until(self, lambda: other[1].statistics().received.packets, "it is heard")
        self.assertEqual(peers[1].recv(100), rtp(1))
        self.assertRaises(BlockingIOError, peers[0].recv, 100)

    async def test_twoDeaths(self) -> None:
        """What a worker had heard that dies before it has told of it is let in no more, either."""
        plane = self.plane(2)
        await until(self, lambda: len(plane.workers.ready) == 2, "both are ready")
        plain, secure = (self.leg(plane, f"one/{secure}", secure) for secure in (False, True))
        pbx, carrier = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in "ab")
        for each in (pbx, carrier):
            self.addCleanup(each.close)
            each.bind((self.host, 0))
        port = pbx.getsockname()[1]
        plain.setRemote(MediaAddress(self.host, port, port))
        secure.setRemoteKey(SUITE, key(2))
        plane.join(plain, secure, "one")
        srtp, began = SecurePeer(key(2), key(1)), clock.seconds()
        heard: list[int] = []

        async def talk(packets: int) -> list[bytes]:
            sent: list[bytes] = []
            last = len(heard) + packets
            while len(heard) < last:
                timestamp = int((clock.seconds() - began) * 8000)
                sent.append(srtp.protect(rtp(timestamp // 160, timestamp=timestamp)))
                carrier.sendto(sent[-1], (self.host, secure.address.port))
                await deferLater(clock, 0.03)
                listen()
            return sent

        def listen() -> None:
            while select.select([pbx], [], [], 0)[0]:
                heard.append(parseRTP(pbx.recv(1000)).sequence)

        await talk(3)
        await until(self, lambda: secure.keeper.heard(secure.number), "it is told")
        self.patch(remote_keeper, "remember", lambda *_: None)
        losses: list[bool] = []
        plane.lost = lambda: losses.append(True)
        for _ in range(2):
            losses.clear()
            sent = await talk(3)
            [worker] = [each for each in plane.workers.all if each.keeper is secure.keeper]
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            await until(self, lambda: losses, "the loss is told")
        for packet in sent:
            carrier.sendto(packet, (self.host, secure.address.port))
        await talk(3)
        self.assertEqual(len(heard), len(set(heard)))

    async def test_grows(self) -> None:
        """Few calls are carried here, and no process is started for them."""
        plane = self.plane(1, own=1)
        few = [plane.allocate(f"few/{secure}", secure) for secure in (False, True)]
        for leg in few:
            self.addCleanup(leg.release)
            self.assertNotIsInstance(leg, KeptLeg)
        self.assertEqual([each["starts"] for each in plane.workers.status()], [0])
        first = self.leg(plane, "first/carrier", True)
        self.assertEqual([each["starts"] for each in plane.workers.status()], [1])
        await until(self, lambda: plane.workers.ready, "it is ready")
        second = self.leg(plane, "second/carrier", True)
        self.assertEqual([each["legs"] for each in plane.workers.status()], [1])
        self.assertNotIn(first.keeper, plane.workers.ready)
        self.assertIn(second.keeper, plane.workers.ready)
        # Transfers join legs of either kind: here, with a new key where one is lost.
        second.setLocalKey(SUITE, key(1))
        plane.join(few[0], second, "few")
        self.assertNotIn(second.keeper, plane.workers.ready)
        self.assertTrue(second.lost)
        plane.join(few[0], few[1], "few")
        for leg in (*few, first, second):
            leg.release()
        again = plane.allocate("again/carrier", True)
        self.addCleanup(again.release)
        self.assertNotIsInstance(again, KeptLeg)

    async def test_keysHeard(self) -> None:
        """After a transfer to one of the calls that are carried here keys are told, too."""
        plane = self.plane(1, own=1)
        few, far = (plane.allocate(f"few/{secure}", secure) for secure in (False, True))
        self.addCleanup(few.release)
        self.addCleanup(far.release)
        kept = self.leg(plane, "kept/pbx", False)
        heard: list[str] = []
        for leg, types in ((few, {0: ""}), (kept, {0: "", 101: "telephone-event/8000"})):
            leg.setPayloadTypes(types, types)
            leg.setRemote(MediaAddress(self.host, 9, 10))
        kept.hearKeys(heard.append)
        plane.join(few, kept, "few")
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        sender.bind((self.host, 0))
        packet = bytearray(rtp(1, payload=b"\x05\x8a\x03\x20"))
        packet[1] = 101
        sender.sendto(packet, (self.host, kept.address.port))
        await until(self, lambda: heard, "it is told")
        self.assertEqual(heard, ["5"])

    async def test_stopped(self) -> None:
        """A worker that lives and does nothing is killed; its calls go on as those of one that has died."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.patch(remote_keeper, "ASKING_SECONDS", 0.4)
        plane = self.plane(1)
        await until(self, lambda: plane.workers.ready, "it is ready")
        told: list[bool] = []
        plane.lost = lambda: told.append(True)
        plain, secure = (self.leg(plane, f"one/{each}", each) for each in (False, True))
        secure.setLocalKey(SUITE, key(1))
        plane.join(plain, secure, "one")
        # One that answers is let alone.
        await deferLater(clock, 0.4 * (PATIENCE + 1))
        (worker,) = plane.workers.all
        pid = worker.pid
        assert pid is not None
        self.assertEqual(worker.starts, 1)
        os.kill(pid, signal.SIGSTOP)
        await until(self, lambda: told, "the loss is told")
        self.assertEqual((plain.lost, secure.lost), (False, True))
        self.assertNotIn(plain.keeper, plane.workers.ready)
        await until(self, lambda: worker.starts == 2 and plane.workers.ready, "there is another one")
        self.assertFalse(_runs(pid))
        texts = [formatEvent(event) for event in events]
        (why,) = [text for text in texts if "has not answered" in text]
        self.assertEqual(why, f"media worker 1, process {pid}, has not answered for 5 s: it is killed")
        self.assertEqual(len([text for text in texts if "signal 9" in text and "in 1 s" in text]), 1)

    async def test_cannotRun(self) -> None:
        """Where no process can be had, calls are carried here; the log says so, and it is tried again."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.patch(sys, "executable", "/nonexistent/python")
        plane = self.plane(1)
        worker = plane.workers.all[0]
        await until(self, lambda: worker.starts and worker.pid is None, "it has ended")
        self.assertEqual(self.leg(plane, "call/pbx", False).keeper.legs, 1)
        texts = [formatEvent(event) for event in events]
        self.assertEqual(len([text for text in texts if "nonexistent" in text and "in 1 s" in text]), 1)
        self.assertFalse(worker.idle)
        await plane.stop()
        self.assertTrue(worker.idle)

    async def test_orphans(self) -> None:
        """However the trunk ends, its workers end with it."""
        ended: Deferred[None] = Deferred()
        trunk = _Trunk(ended)
        clock.spawnProcess(
            trunk,
            sys.executable,
            [sys.executable, "-c", _TRUNK],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        await until(self, lambda: trunk.said.endswith(b"\n"), "its workers run")
        workers = [int(each) for each in trunk.said.split()]
        self.assertEqual(len(workers), 2)
        self.assertTrue(all(map(_runs, workers)))
        trunk.transport.signalProcess("KILL")  # type: ignore[union-attr]
        await ended
        await until(self, lambda: not any(map(_runs, workers)), "its workers are gone")


class AskingTests(SynchronousTestCase):
    """When a worker counts as hung."""

    def setUp(self) -> None:
        """A worker that answers when it is told to."""
        self.clock = Clock()
        self.hung: list[RemoteKeeper] = []
        made = RemoteKeeper(self.clock, lambda _: None, lambda _: None, self.hung.append)
        self.worker, self.keeper, self.pump = connectedServerAndClient(lambda: made, _Slow)
        self.worker.callRemote(Ready)
        self.pump.flush()

    def passes(self, seconds: float) -> None:
        """So long a turn of the trunk's takes; then it reads."""
        self.clock.advance(seconds)
        self.pump.flush()

    def test_slow(self) -> None:
        """Who answers one question within the bound is well, however often that is late."""
        for _ in range(10):
            for _ in range(PATIENCE - 1):
                self.passes(1)
            self.worker.answer()
            self.pump.flush()
        self.assertEqual(self.hung, [])
        # It was not asked again before it had answered.
        self.assertLessEqual(self.worker.asked, 11)

    def test_ourOwnPause(self) -> None:
        """Whoever stops the trunk itself, or its machine, has not shown that the worker hangs."""
        for _ in range(3):
            self.passes(3600)
        self.assertEqual(self.hung, [])
        self.worker.answer()
        self.passes(3600)
        self.assertEqual(self.hung, [])

    def test_hung(self) -> None:
        """It is told once, after five seconds."""
        for second in range(20):
            self.assertEqual(self.hung, [self.keeper] * (second >= PATIENCE))
            self.passes(1)

    def test_gone(self) -> None:
        """One whose connection is lost is not asked."""
        self.worker.transport.loseConnection()  # type: ignore[union-attr]
        self.pump.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.hung, [])


class _Slow(AMP):
    """The worker's end."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self._waiting: list[Deferred[dict[str, object]]] = []

    @Ask.responder
    def was(self) -> Deferred[dict[str, object]]:
        """It will be answered."""
        self.asked += 1
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def answer(self) -> None:
        """Now."""
        while self._waiting:
            self._waiting.pop().callback({})


_TRUNK = """
import os
from twisted.internet import reactor
from skypetrunk.media.worker_plane import WorkerPlane
plane = WorkerPlane(reactor, reactor, "127.0.0.1", None, (20000, 20009), os.urandom, workers=2)
def look():
    if len(plane.workers.ready) == 2:
        print(*[each.pid for each in plane.workers.all], flush=True)
    else:
        reactor.callLater(0.01, look)
reactor.callWhenRunning(plane.start)
reactor.callWhenRunning(look)
reactor.run()
"""


class _Trunk(ProcessProtocol):
    """A process with workers."""

    def __init__(self, ended: Deferred[None]) -> None:
        self.said = b""
        self._ended = ended

    def outReceived(self, data: bytes) -> None:
        """Keep it."""
        self.said += data

    def processEnded(self, reason: Failure) -> None:
        """Say so."""
        self._ended.callback(None)


def _runs(pid: int) -> bool:
    """Is there such a process, and not only its remains?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
