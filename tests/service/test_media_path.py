"""Where audio comes from and goes to in calls through a real trunk."""

from __future__ import annotations

import socket

from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from skypetrunk.lab.calls import Call
from tests.media.doubles import rtp
from tests.service.scene import Scene, SceneCase

ELSEWHERE = "127.77.0.3"


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


class ElsewhereTests(SceneCase):
    """A PBX whose audio comes from another machine than its SDP names."""

    def setUp(self) -> None:
        """There is another loopback address."""
        super().setUp()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((ELSEWHERE, 0))
        except OSError as error:
            self.skipTest(f"{ELSEWHERE}: {error}")

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
