"""
Long calls whose PBX does what PBXes do: rtpengine and ffmpeg, with SRTP of their own, lose nothing of ours.
And a carrier, GStreamer, that loses count.

The calls are real media legs on sockets; only their clock is turned by hand, since half an hour is long.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

from twisted.internet.interfaces import IReactorUDP
from twisted.internet.task import Clock

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media import MediaPlane
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.stream import MAX_FORWARD
from skypetrunk.wire.rtp import SR, parseRTCP
from skypetrunk.wire.sdes import MasterKey
from tests.interop.rig.case import InteropCase
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.rtpengine import RTPEngine
from tests.interop.rig.srtp import ffmpegPayload
from tests.interop.rig.srtp_filters import gstreamerProtects
from tests.media.doubles import CARRIER, PBX, Call, rtp
from tests.media.test_poller import Readers

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
_KEEP_ALIVE = 22
A, B = 0x0A0A0A0A, 0x0B0B0B0B


class Trunk:
    """
    A call on sockets.

    @ivar key: what it protects with.
    @ivar place: where its carrier sends to.
    """

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.key = os.urandom(30)
        self.clock = Clock()
        self.clock.advance(1000)
        self._readers = Readers()
        address = host(72)
        first = takePorts(address, 8)
        reactor = cast(IReactorUDP, self._readers)
        self._plane = MediaPlane(reactor, self.clock, address, None, (first, first + 7), self._entropy)
        self.pbx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.pbx.bind((host(73), 0))
        plain, secure = self._plane.allocate("pbx", False), self._plane.allocate("carrier", True)
        assert isinstance(plain, PlainLeg) and isinstance(secure, SecureLeg)
        self.plain, self.secure = plain, secure
        self._plane.join(plain, secure, "call")
        pbxHost, pbxPort = self.pbx.getsockname()
        plain.setRemote(MediaAddress(pbxHost, pbxPort, pbxPort + 1))
        secure.setPayloadTypes({8: ""}, {8: ""})
        secure.setLocalKey(suite, MasterKey(self.key[:16], self.key[16:]))
        self.place = address, secure.address.port
        self.said: list[bytes] = []

    @staticmethod
    def _entropy(count: int) -> bytes:
        """All ones: the stream begins at sequence 32,767, as near to the end as it ever may."""
        return b"\xff" * count if count == 2 else os.urandom(count)

    def connect(self, address: tuple[str, int], key: bytes, together: bool = False) -> None:
        """The carrier has answered."""
        name, port = address
        self.secure.setRemote(MediaAddress(name, port, port if together else port + 1))
        self.secure.setRemoteKey(self.suite, MasterKey(key[:16], key[16:]))

    def say(self, sequences: Iterable[int], ssrc: int = A, skew: int = 0, pause: float = 0.02) -> None:
        """The PBX sends; each packet has a payload of its own, and counts as said."""
        for sequence in sequences:
            self.clock.advance(pause)
            payload = len(self.said).to_bytes(4, "big") * 40
            self.said.append(payload)
            packet = bytearray(rtp(sequence, timestamp=sequence * 160 + skew, ssrc=ssrc, payload=payload))
            packet[1] = packet[1] & 0x80 | 8
            self.pbx.sendto(packet, (self.plain.address.host, self.plain.address.port))
            self.turn()
            time.sleep(0.0005)  # nobody has to keep up with a burst

    def turn(self, times: int = 1) -> None:
        """What came is read: one packet of each socket."""
        for _ in range(times):
            for reader in self._readers.getReaders():
                reader.doRead()

    def behave(self) -> Iterator[str]:
        """A call with all that a PBX does to it: what, when it has spoken."""
        self.say(range(1000, 1040))
        yield "the beginning"
        self.say(range(30_000, 30_040), B, 999_999)
        yield "transfer: another machine's stream"
        self.say(range(7, 107), 0x0E0E0E0E, 31_415)
        yield "hold music: a stream of its own"
        self.say(range(1040, 1080), A)
        yield "resumed: the old stream goes on"
        self.secure.setSending(False)
        self.clock.pump([1.0] * 60)
        self.secure.setSending(True)
        self.say(range(1080, 1120), A)
        yield "a minute of hold without media"
        self.say(range(5, 45), A, 77_777_777)
        yield "a restart of the PBX: the same SSRC, a lower sequence, other time stamps"
        self.say(range(65_520, 65_560), 0x0C0C0C0C)
        yield "a new SSRC"
        self.say(range(40_024, 40_064), 0x0C0C0C0C, 5)
        yield "a jump of 40,000"
        self.secure.setLocalKey(self.suite, MasterKey(self.key[:16], self.key[16:]))
        self.say(range(40_064, 40_084), 0x0C0C0C0C, 5)
        yield "a session refresh, which repeats keys and address"

    def acrossTheEnd(self) -> Iterator[str]:
        """Over the end of our sequence: the longest steps that are still taken for loss, then each packet."""
        self.say(range(50_000, 50_002), 0x0D0D0D0D)  # two in a row prove a new source
        last = 50_001 + 317 * MAX_FORWARD
        self.say(range(50_001 + MAX_FORWARD, last + 1, MAX_FORWARD), 0x0D0D0D0D)
        yield "steps"
        self.say(range(last + 1, last + 900), 0x0D0D0D0D)
        yield "the end of the sequence numbers"

    def end(self) -> None:
        """Hang up."""
        self.plain.release()
        self.secure.release()
        self.pbx.close()


class LongLifeTests(InteropCase):
    """Nothing is lost at the other end, whatever the PBX does."""

    bound = 60

    def called(self, suite: str) -> Trunk:
        """A call that ends with the test."""
        trunk = Trunk(suite)
        self.addCleanup(trunk.end)
        return trunk

    def receiver(self) -> socket.socket:
        """A socket that waits for half a second."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.bind((host(74), takePorts(host(74), 2)))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.settimeout(0.5)
        return opened

    def heard(self, receiver: socket.socket, count: int) -> list[bytes]:
        """Payloads that came, as many as wanted; those of keep-alives are empty."""
        found: list[bytes] = []
        while len(found) < count:
            try:
                packet = receiver.recv(4096)
            except TimeoutError:
                break
            if len(packet) > 12:
                found.append(packet[12:])
        return found

    def test_rtpengine(self) -> None:
        """All of it, over the end of the sequence, and all of it again; and its own packets back."""
        engine = self.started(RTPEngine(self.scratch))
        for suite in SUITES:
            trunk, receiver = self.called(suite), self.receiver()
            port, key, back = engine.end(suite, trunk.place, suite, trunk.key, receiver.getsockname())
            trunk.connect((engine.address, port), key)
            before = 0
            for what in chain(trunk.behave(), trunk.acrossTheEnd(), trunk.behave()):
                wanted = trunk.said[before:]
                before = len(trunk.said)
                self.assertEqual(self.heard(receiver, len(wanted)), wanted, what)
            self.assertEqual(trunk.secure.statistics().sent.refused, ())
            for sequence in range(65_500, 65_600):
                receiver.sendto(rtp(sequence, payload=b"%d" % sequence), (engine.address, back))
                time.sleep(0.0005)
            time.sleep(0.1)
            trunk.turn(200)
            received = trunk.secure.statistics().received
            self.assertEqual((received.authenticated, received.lost, received.refused), (100, 0, ()))

    def test_onePort(self) -> None:
        """RTP and RTCP over one port towards rtpengine, in both directions."""
        engine = self.started(RTPEngine(self.scratch))
        trunk, receiver = self.called(SUITES[0]), self.receiver()
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(control.close)
        name, number = receiver.getsockname()
        control.bind((name, number + 1))
        control.settimeout(2)
        port, key, back = engine.end("mux", trunk.place, SUITES[0], trunk.key, (name, number), True)
        trunk.connect((engine.address, port), key, together=True)
        trunk.say(range(100))
        self.assertEqual(self.heard(receiver, 100), trunk.said)
        report = bytes.fromhex("80c80006") + A.to_bytes(4, "big") + bytes(20)
        trunk.pbx.sendto(report, (trunk.plain.address.host, trunk.plain.address.rtcpPort))
        trunk.turn(3)
        self.assertEqual([each.packetType for each in parseRTCP(control.recv(4096))][0], SR)
        before = trunk.secure.statistics().received
        control.sendto(bytes.fromhex("80c900010000cafe"), (engine.address, back + 1))
        receiver.sendto(rtp(1, payload=b"x" * 160), (engine.address, back))
        time.sleep(0.1)
        trunk.turn(10)
        received = trunk.secure.statistics().received
        self.assertEqual((received.packets, received.refused), (before.packets + 1, ()))
        self.assertGreater(received.rtcpPackets, before.rtcpPackets)

    def test_srtpenc(self) -> None:
        """GStreamer begins again with the same key, twice, the second time with other time stamps, too."""
        call, key = Call(ready=False), os.urandom(30)
        call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        call.secure.setRemoteKey(SUITES[0], MasterKey(key[:16], key[16:]))
        call.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        recorded: list[bytes] = []
        for number, (first, count, skew) in enumerate(((65_400, 200, 0), (100, 50, 0), (20, 50, 2**30))):
            # From its first round on: whoever has begun again has forgotten the others.
            clear = [
                rtp(first + n, timestamp=(1000 * number + n) * 160 + skew, payload=b"%d-%d" % (number, n))
                for n in range(count)
            ]
            made = gstreamerProtects(self.scratch, clear, {SUITES[0]: key})[SUITES[0]]
            self.assertEqual(len(made), count)
            call.clock.advance(20)
            for packet in made:
                call.clock.advance(0.02)
                call.fromCarrier(packet)
            self.assertEqual([each.data for each in call.receiveAll()], clear)
            recorded += made
            self.assertEqual(call.secure.statistics().received.resumptions, number)
            for packet in recorded:
                call.clock.advance(0.02)
                call.fromCarrier(packet)
            self.assertEqual(call.receiveAll(), [])

    def test_ffmpeg(self) -> None:
        """The same for ffmpeg, which joins shortly before the end of the sequence."""
        trunk, receiver = self.called(SUITES[0]), self.receiver()
        trunk.connect(receiver.getsockname(), os.urandom(30))
        for _ in chain(trunk.acrossTheEnd(), trunk.behave()):
            pass
        sent: list[bytes] = []
        while len(sent) < len(trunk.said) + 3 or select.select([receiver], [], [], 0)[0]:
            sent.append(receiver.recv(4096))
        near = next(n for n, packet in enumerate(sent) if int.from_bytes(packet[2:4], "big") >= 65_500)
        self.assertEqual(sum(len(packet) > _KEEP_ALIVE for packet in sent), len(trunk.said))
        missed = sum(len(packet) > _KEEP_ALIVE for packet in sent[:near])
        self.assertGreater(missed, 300)
        payload = ffmpegPayload(self.scratch, sent[near:], SUITES[0], trunk.key)
        self.assertEqual(payload, b"".join(trunk.said[missed:]))
