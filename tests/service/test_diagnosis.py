"""Faults of audio that are made, in calls over real sockets: the trunk says in one sentence what is wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.media.srtp import protector
from skypetrunk.tools.status import summary
from skypetrunk.wire.sdes import MasterKey
from tests.service.scene import TONE, Scene, SceneCase

SECONDS = 2.4
"""Longer than what a call must have lasted."""

ELSEWHERE, ANOTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of this machine: another host of the PBX, and one where nobody listens."""

Fault = Callable[[Any, Any], None]
"""Made in the media of the phone and of the carrier, before either has sent."""


def mediaOf(call: Call) -> MediaEndpoint:
    """One end's sockets and streams."""
    assert call.session is not None
    found = call.session.media
    assert isinstance(found, MediaEndpoint)
    return found


def none(phone: Any, carrier: Any) -> None:
    """Nothing is wrong."""


def wrongKey(phone: Any, carrier: Any) -> None:
    """The carrier protects with another key than its SDP says."""
    send = carrier._send

    def falsified(*what: Any, **more: Any) -> None:
        if carrier._protector is not carrier.wrong:
            carrier._protector = carrier.wrong = protector(
                carrier.suite, MasterKey(os.urandom(16), os.urandom(14))
            )
        send(*what, **more)

    carrier.wrong = None
    carrier._send = falsified


def neverSends(phone: Any, carrier: Any) -> None:
    """The carrier hears, and says nothing."""
    carrier.start = lambda: None


def otherHost(phone: Any, carrier: Any) -> None:
    """The PBX sends from another host than its SDP says."""

    class Other:
        transport = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    Other.transport.bind((ELSEWHERE, 0))

    class Transport:
        @staticmethod
        def write(packet: bytes, destination: tuple[str, int]) -> None:
            Other.transport.sendto(packet, destination)

    phone._rtp = type("", (), {"transport": Transport, "socket": Other.transport})


def gaps(phone: Any, carrier: Any) -> None:
    """Of each 40 packets of the carrier 6 in a row are lost on the way."""
    send, count = carrier._send, iter(range(10**6))

    def some(*what: Any, **more: Any) -> None:
        if next(count) % 40 in range(20, 26):
            carrier._sequence = (carrier._sequence + 1) & 0xFFFF
        else:
            send(*what, **more)

    carrier._send = some


class DiagnosisTests(SceneCase):
    """With the practice carrier and a phone, of which one does something wrong."""

    async def call(self, scene: Scene, fault: Fault) -> tuple[Call, Call]:
        """A call of the phone, beside others; the fault is there before it is answered."""
        before = set(scene.lab.carrier.agent.calls)
        near = scene.phone.dial(TONE, scene.proxy)
        new: set[Any] = set()

        def placed() -> bool:
            new.update(set(scene.lab.carrier.agent.calls) - before)
            return any(each.session is not None for each in new)

        await scene.until(placed, "the carrier has it")
        (far,) = new
        fault(mediaOf(near), mediaOf(far))
        await near.when(Phase.ANSWERED)
        await scene.until(lambda: far.phase is Phase.ANSWERED, "answered")
        return near, far

    async def said(self, scene: Scene, *calls: Call) -> list[str | None]:
        """What is said of them when they have ended, which was said before too, in the order of the calls."""
        up = [call["diagnosis"] for call in scene.status["up"]]
        lines = list(summary(scene.status))
        for sentence in filter(None, up):
            self.assertIn(f"    {sentence}", lines)
        for call in calls:
            call.hangUp()
            await call.when(Phase.ENDED)
        await scene.idle()
        found = {call["call"]: call["diagnosis"] for call in scene.status["ended"]}
        for name, sentence in found.items():
            if sentence is not None:
                self.assertLogged(f"{name}: {sentence}")
        self.assertEqual([each and each[:9] for each in up], [each and each[:9] for each in found.values()])
        return list(found.values())

    async def test_faults(self) -> None:
        """Calls side by side, each with a fault of its own, and one without."""
        scene = await self.begin()
        calls = []
        for fault in (none, wrongKey, neverSends, otherHost, gaps):
            near, far = await self.call(scene, fault)
            calls.append(near)
            if fault is otherHost:
                self.addCleanup(mediaOf(near)._rtp.socket.close)  # type: ignore[attr-defined]
        await deferLater(self.reactor, SECONDS)
        good, key, silent, host, bursts = await self.said(scene, *calls)
        self.assertIsNone(good)
        self.assertEqual(
            key,
            "packets of carrier arrive but fail authentication: it protects them with another key than"
            " its SDP says",
        )
        assert silent is not None and bursts is not None
        self.assertRegex(silent, r"^one-way audio: carrier never sent; \d{2,} packets went to 127\.0\.0\.1$")
        self.assertEqual(host, f"office sends from {ELSEWHERE}, its SDP says 127.0.0.1")
        self.assertRegex(
            bursts, r"^loss in bursts on the way from carrier: 1\d\.\d %, in \d+ bursts of 100 %$"
        )

    async def test_sinceReINVITE(self) -> None:
        """The keys are right until the PBX changes the call; then the carrier uses one that it never told."""
        scene = await self.begin()
        near, far = await self.call(scene, none)
        await scene.hearing(near, far)
        near.renegotiate("sendonly", hold=True)
        await deferLater(self.reactor, 0.7)
        wrongKey(None, mediaOf(far))
        near.renegotiate()
        await deferLater(self.reactor, SECONDS)
        (found,) = await self.said(scene, near)
        assert found is not None
        pattern = r"^packets of carrier arrive but fail authentication since the re-INVITE \d s ago$"
        self.assertRegex(found, pattern)

    async def test_advertised(self) -> None:
        """Our SDP tells the carrier an address at which nothing of it arrives."""
        media = ('address = "127.0.0.1"', f'advertise = "{ANOTHER}"')
        scene = await self.begin(media=media)
        near, _ = await self.call(scene, none)
        await deferLater(self.reactor, SECONDS)
        self.assertEqual(
            await self.said(scene, near),
            [
                f"nothing comes back: carrier sends to {ANOTHER} because our SDP says so, and none of it"
                " arrives at 127.0.0.1: media.advertise"
            ],
        )
