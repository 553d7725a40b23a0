"""Hold with and without music, from either side, in calls through a real trunk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.task import deferLater

from skypetrunk.lab.calls import Call
from skypetrunk.lab.media import MediaEndpoint
from tests.service.scene import Scene, SceneCase

SETTLED = 0.15
"""Seconds in which what was under way has come, and in which seven packets would come."""


def media(call: Call) -> MediaEndpoint:
    """The media of one end."""
    assert call.session is not None
    return call.session.media


def came(call: Call) -> int:
    """Packets that came to one end.  The phone lets nobody speak while it is on hold: those count, too."""
    received = media(call).statistics().received
    return received.packets + sum(count for _, count in received.refused)


class HoldTests(SceneCase):
    """One call, held and resumed again and again."""

    async def holds(self, scene: Scene, holder: Call, other: Call) -> None:
        """By C{holder}, in each way that there is."""
        for direction, unspecified, music in (
            ("sendonly", False, True),
            ("inactive", False, False),
            ("sendrecv", True, True),
            ("inactive", True, False),
        ):
            offers = len(scene.requests("INVITE"))
            holder.renegotiate(direction, unspecified)
            await self.more(scene, lambda: len(scene.requests("INVITE")), offers, "crossed")
            await deferLater(self.reactor, SETTLED)
            toHolder, toOther = came(holder), came(other)
            if music:
                await self.more(scene, partial(came, other), toOther + 10, "music")
                # Reports go on (RFC 3264 section 8.4).
                reports = self.reports(other)
                media(holder)._report()
                await self.more(scene, partial(self.reports, other), reports, "a report")
            else:
                await deferLater(self.reactor, SETTLED)
                self.assertEqual(came(other), toOther)
            # Who holds hears nothing.
            self.assertEqual(came(holder), toHolder, direction)
            holder.renegotiate()
            await scene.hearing(holder, other)

    @staticmethod
    def reports(call: Call) -> int:
        """Compounds of RTCP that came to one end."""
        return media(call).statistics().received.rtcpPackets

    async def more(self, scene: Scene, counted: Callable[[], int], before: int, what: str) -> None:
        """Wait until there are more."""
        await scene.until(lambda: counted() > before, what)

    async def test_pbx(self) -> None:
        """The PBX holds, in a call that it has made."""
        scene = await self.begin()
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        await self.holds(scene, near, far)
        near.hangUp()
        await scene.over(near, far)
        (ended,) = scene.status["ended"]
        self.assertEqual(ended["silent"], ())

    async def test_carrier(self) -> None:
        """The carrier holds, in one of its own."""
        scene = await self.begin()
        near, far = await scene.callIn()
        await scene.hearing(near, far)
        await self.holds(scene, far, near)
        near.hangUp()
        await scene.over(near, far)
