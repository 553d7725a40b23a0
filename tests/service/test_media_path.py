"""Where audio comes from and goes to in calls through a real trunk."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import ISystemHandle
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import LogLevel

from skypetrunk.lab.calls import Call, Phase
from skypetrunk.wire.message import Response
from tests.media.doubles import rtp
from tests.service.scene import NUMBER, TONE, Scene, SceneCase

ELSEWHERE = "127.77.0.3"


class AddressCase(SceneCase):
    """Tests that need further addresses of this machine."""

    def needs(self, host: str) -> None:
        """Not every system has all of loopback."""
        try:
            with socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
            ) as probe:
                probe.bind((host, 0))
        except OSError as error:
            self.skipTest(f"{host}: {error}")


class MixedTests(AddressCase):
    """PBX and carrier have different IP versions; audio crosses from one to the other."""

    BOTH = ('address = ["127.0.0.1", "::1"]', 'advertise = ["127.0.0.1"]')

    def setUp(self) -> None:
        """There is IPv6 here."""
        super().setUp()
        self.needs("::1")

    async def crosses(self, carrierAt: str, phoneAt: str, **options: Any) -> None:
        """A call each way; each side is told, and tells, addresses of its own IP version only."""
        scene = await self.begin(carrierAt=carrierAt, phoneAt=phoneAt, **options)
        for placing in (scene.callOut, scene.callIn):
            ends: tuple[Call, Call] = await placing()
            await scene.hearing(*ends)
            for end, host in zip(ends, (phoneAt, carrierAt), strict=True):
                assert end.session is not None and end.session.peer is not None
                self.assertEqual(end.session.media.address.host, host)
                self.assertEqual(end.session.peer.media[0].address, host)
            ends[0].hangUp()
            await scene.over(*ends)

    async def test_carrierIPv6(self) -> None:
        """A PBX of IPv4 and a carrier of IPv6: the connection to it says which address it gets."""
        await self.crosses("::1", "127.0.0.1", media=self.BOTH)

    async def test_pbxIPv6(self) -> None:
        """The other way round."""
        await self.crosses("127.0.0.1", "::1", media=self.BOTH)

    async def test_ofItsOwn(self) -> None:
        """A PBX with an address of its own, which the carrier does not get."""
        await self.crosses(
            "127.0.0.1", "::1", media=('address = "127.0.0.1"',), lines=['media_address = "::1"']
        )

    async def test_refused(self) -> None:
        """Where there is no address of its IP version a call is refused, with the reason."""
        scene = await self.begin(phoneAt="::1")
        call = scene.phone.dial(TONE, scene.proxy)
        await call.when(Phase.ENDED)
        self.assertEqual(call.status, 488)
        self.assertLogged("wanted a media address of IPv4, seen ::1", level=LogLevel.warn)


class MarkTests(AddressCase):
    """What the trunk sends carries its marks, as others see them."""

    def setUp(self) -> None:
        """There is another loopback address."""
        super().setUp()
        self.needs(ELSEWHERE)

    async def marks(self, lines: Sequence[str] = ()) -> tuple[int, int, set[int]]:
        """DSCP of an answer over UDP, of an RTP packet, and of the connections of TLS."""
        scene = await self.begin(lines=['allow = ["127.0.0.0/8"]', f'media_allow = ["{ELSEWHERE}"]', *lines])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as observer:
            observer.bind((ELSEWHERE, 0))
            observer.setblocking(False)
            observer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            seen: list[int] = []

            def look() -> bool:
                try:
                    _, ancillary, _, _ = observer.recvmsg(3000, 100)
                except BlockingIOError:
                    return False
                seen.extend(value[0] >> 2 for _, _, value in ancillary)
                return True

            place = f"{ELSEWHERE}:{observer.getsockname()[1]}"
            lines = [
                f"OPTIONS sip:{scene.proxy.hostPort} SIP/2.0",
                f"Via: SIP/2.0/UDP {place};branch=z9hG4bK77",
                f"From: <sip:{place}>;tag=1",
                f"To: <sip:{scene.proxy.hostPort}>",
                "Call-ID: marks",
                "CSeq: 1 OPTIONS",
                "Max-Forwards: 70",
                "Content-Length: 0",
                "\r\n",
            ]
            observer.sendto("\r\n".join(lines).encode(), (scene.proxy.host, scene.proxy.port))
            await scene.until(look, "an answer")
            near, far = await scene.callOut()
            await scene.hearing(near, far)
            assert near.session is not None and near.session.peer is not None
            near.session.media.tone = None
            audio = near.session.peer.media[0]

            def speak() -> bool:
                observer.sendto(rtp(1), (audio.address, audio.port))
                return look()

            await scene.until(speak, "audio")
        found = set()
        for reader in self.reactor.getReaders():
            handle = reader.getHandle() if ISystemHandle.providedBy(reader) else None
            if isinstance(handle, socket.socket) and handle.type == socket.SOCK_STREAM:
                with contextlib.suppress(OSError):
                    if handle.getpeername()[1] == scene.lab.port:
                        found.add(handle.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2)
        near.hangUp()
        await scene.over(near, far)
        return seen[0], seen[1], found

    async def test_default(self) -> None:
        """Audio is not to wait (EF), SIP not much (CS3)."""
        self.assertEqual(await self.marks(), (24, 46, {24}))

    async def test_configured(self) -> None:
        """Others, and none."""
        self.assertEqual(await self.marks(["[dscp]", "media = 0", "signalling = 40"]), (40, 0, {40}))


class SilentSideTests(SceneCase):
    """A side from which nothing comes."""

    async def test_ends(self) -> None:
        """The call ends where that is configured, and the record says whose silence it was."""
        for options, name in (
            ({"lines": ["media_silence = 1"]}, "office"),
            ({"lines": ["[trunk.media]", "silence = 1"]}, "carrier"),
        ):
            scene = await self.begin(**options)
            near, far = await scene.callOut()
            await scene.hearing(near, far)
            silent = near if name == "office" else far
            assert silent.session is not None
            silent.session.media.tone, silent.session.media.echo = None, False
            await scene.over(near, far)
            (ended,) = scene.status["ended"]
            self.assertEqual((ended["by"], ended["cause"]), ("trunk", f"no packet from {name} for 1 s"))


class ExhaustedTests(SceneCase):
    """Media ports are used up, by another program."""

    def take(self, scene: Scene, left: int) -> list[socket.socket]:
        """Take all of them but so many pairs."""
        first, last = scene.configuration.media.ports
        taken = []
        for port in range(first + 2 * left, last + 1):
            taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.addCleanup(taken[-1].close)
            taken[-1].bind(("127.0.0.1", port))
        return taken

    async def test_refused(self) -> None:
        """503 both ways, before anything is promised; nothing stays, and with ports there are calls again."""
        scene = await self.begin()
        for left in (0, 1):
            taken = self.take(scene, left)
            call: Call = scene.phone.dial(TONE, scene.proxy)
            await call.when(Phase.ENDED)
            self.assertEqual(call.status, 503)
            call = scene.lab.carrier.dial(NUMBER, "+493012345678")
            await call.when(Phase.ENDED)
            self.assertEqual(call.status, 503)
            await scene.idle()
            for port in taken:
                port.close()
        self.assertEqual(scene.requests("INVITE"), [])
        statuses = {
            message.status
            for sent, message, _ in scene.seen
            if sent and isinstance(message, Response) and message.cseq.method == "INVITE"
        }
        self.assertEqual(statuses, {100, 503})
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        near.hangUp()
        await scene.over(near, far)


class MediaServer(DatagramProtocol):
    """
    Another machine of the PBX.

    @ivar heard: packets that it got.
    """

    noisy = False

    def __init__(self) -> None:
        self.heard = 0
        self._sequence = 0

    def speak(self, host: str, port: int) -> None:
        """One packet of G.711."""
        self._sequence += 1
        assert self.transport is not None
        self.transport.write(rtp(self._sequence, payload=bytes(160)), (host, port))

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """Count it."""
        self.heard += 1


class ElsewhereTests(AddressCase):
    """A PBX whose audio comes from another machine than its SDP names."""

    def setUp(self) -> None:
        """There is another loopback address."""
        super().setUp()
        self.needs(ELSEWHERE)

    async def call(self, scene: Scene) -> tuple[Call, Call, MediaServer]:
        """A call in which the phone is silent, and the other machine speaks all the time."""
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        assert near.session is not None and near.session.peer is not None
        near.session.media.tone = None
        audio = near.session.peer.media[0]
        assert audio.address is not None
        server = MediaServer()
        port = self.reactor.listenUDP(0, server, ELSEWHERE)
        self.addCleanup(port.stopListening)
        speaking = LoopingCall(server.speak, audio.address, audio.port)
        self.addCleanup(speaking.stop)
        speaking.start(0.02)
        return near, far, server

    async def test_allowed(self) -> None:
        """It is heard at the carrier, and gets the carrier's audio."""
        scene = await self.begin(lines=[f'media_allow = ["{ELSEWHERE}"]'])
        near, far, server = await self.call(scene)
        await scene.hearing(far)
        await scene.until(lambda: server.heard > 10, "heard by the other machine")
        near.hangUp()
        await scene.over(near, far)
        self.assertNotIn("is refused, as SDP", str(self.logged()))

    async def test_asymmetric(self) -> None:
        """Where that is said the carrier's audio goes to the phone all the same."""
        scene = await self.begin(lines=[f'media_allow = ["{ELSEWHERE}"]', "symmetric_rtp = false"])
        near, far, server = await self.call(scene)
        await scene.hearing(near, far)
        self.assertEqual(server.heard, 0)

    async def test_stranger(self) -> None:
        """Unless it is configured it is refused, named in the log once, and counted."""
        scene = await self.begin()
        near, far, server = await self.call(scene)
        await scene.hearing(near)
        await scene.until(lambda: len(self.logged()) and "is refused, as SDP" in str(self.logged()), "told")
        await scene.hearing(near)
        self.assertLogged(f"audio from {ELSEWHERE} port ", " is refused, as SDP names 127.0.0.1")
        near.hangUp()
        await scene.over(near, far)
        (plain,) = [leg for leg in scene.status["ended"][0]["media"] if not leg["secure"]]
        self.assertGreater(plain["received"]["refused"]["source"], 10)
        self.assertEqual(server.heard, 0)
