"""The whole trunk in each mode of SRTP, and carriers with other ones: calls with sound, both ways."""

from __future__ import annotations

from functools import partial
from typing import Any

from skypetrunk.lab.audio import examine
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.wire.sdp import parseSDP
from tests.service.scene import NUMBER, TONE, Scene, SceneCase

LONG = "AES_CM_128_HMAC_SHA1_80"
IN_CLEAR = "carrier is heard in clear"


class ModeTests(SceneCase):
    """C{trunk.media.srtp}, and C{srtp} of the practice carrier."""

    async def scene(self, mode: str, carrier: str) -> Scene:
        """A trunk and a carrier in these modes."""
        scene = await self.begin(keys=[f'srtp = "{mode}"'], srtp=SRTPPolicy(carrier))
        told = f"carrier: SRTP is {mode}: calls may be in clear"
        self.assertEqual(any(told in line for line in self.logged()), mode != "required")
        return scene

    def offers(self, scene: Scene) -> list[str]:
        """What the trunk has offered the carrier; what was challenged and sent again counts once."""
        found: dict[tuple[str, int], str] = {}
        for request in scene.requests("INVITE", transport="TLS"):
            line = parseSDP(request.body).media[0]
            found[request.callID, line.port] = f"{line.protocol} {len(line.crypto)}"
        return list(found.values())

    async def talks(self, scene: Scene, near: Call, far: Call, *, out: bool, secure: bool) -> None:
        """Both hear each other; the trunk's word of it is right, and so is what the carrier has seen."""
        before = len([line for line in self.logged() if IN_CLEAR in line])
        await scene.hearing(near, far, more=40)
        for call, own, other in ((near, 650 if out else 950, 400), (far, 400 if out else 1400, 650)):
            assert call.session is not None
            self.assertGreaterEqual(examine(call.session.recording(), own, [other]).right, 30)
        near.hangUp()
        await scene.over(near, far)
        media: dict[str, Any] = {leg["name"].split("/")[1]: leg for leg in scene.status["ended"][-1]["media"]}
        leg = media["carrier"]
        self.assertEqual((leg["secure"], leg["suite"]), (secure, LONG if secure else None))
        self.assertEqual(bool(leg["received"]["authenticated"]), secure)
        assert far.session is not None
        seen = far.session.statistics()
        self.assertEqual((seen.secure, seen.received.refused), (secure, ()))
        self.assertEqual(before, 0 if secure else 1)
        self.events.clear()

    async def refusedOut(self, scene: Scene) -> None:
        """The PBX gets 488."""
        near = scene.phone.dial(TONE, scene.proxy)
        await near.when(Phase.ENDED)
        self.assertEqual(near.status, 488)
        await scene.idle()

    async def refusedIn(self, scene: Scene) -> None:
        """The carrier gets 488, and nothing has rung."""
        far = scene.lab.carrier.dial(NUMBER, "+493012345678")
        await far.when(Phase.ENDED)
        self.assertEqual(far.status, 488)
        self.assertEqual(scene.requests("INVITE", transport="UDP"), [])
        await scene.idle()

    async def both(self, mode: str, carrier: str, *, secure: bool, offers: list[str]) -> Scene:
        """A call out, a call in."""
        scene = await self.scene(mode, carrier)
        near, far = await scene.callOut()
        await self.talks(scene, near, far, out=True, secure=secure)
        self.assertEqual(self.offers(scene), offers)
        near, far = await scene.callIn()  # type: ignore[assignment]
        await self.talks(scene, near, far, out=False, secure=secure)
        return scene

    async def test_opportunistic(self) -> None:
        """Both can do it: SRTP, under RTP/AVP; hold and resume change nothing of that."""
        scene = await self.both("opportunistic", "opportunistic", secure=True, offers=["RTP/AVP 2"])
        self.assertEqual(scene.carrier["srtp"], "opportunistic")
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        for direction, answer in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
            near.renegotiate(direction)
            await scene.until(partial(self.isTold, near, answer), "a hold, or its end")
        await self.talks(scene, near, far, out=True, secure=True)

    def isTold(self, call: Call, direction: str) -> bool:
        """Has the other side said that last?"""
        assert call.session is not None and call.session.peer is not None
        return call.session.peer.media[0].direction == direction

    async def test_carrierRequires(self) -> None:
        """A carrier that wants RTP/SAVP gets it, in a second INVITE."""
        await self.both("opportunistic", "required", secure=True, offers=["RTP/AVP 2", "RTP/SAVP 2"])

    async def test_carrierWithout(self) -> None:
        """A carrier that declines keys is heard in clear."""
        await self.both("opportunistic", "off", secure=False, offers=["RTP/AVP 2"])

    async def test_carrierKnowsNone(self) -> None:
        """A carrier that refuses keys is offered none, in a third INVITE."""
        offers = ["RTP/AVP 2", "RTP/SAVP 2", "RTP/AVP 0"]
        await self.both("opportunistic", "never", secure=False, offers=offers)

    async def test_off(self) -> None:
        """Neither has SRTP."""
        await self.both("off", "never", secure=False, offers=["RTP/AVP 0"])

    async def test_offAndRequired(self) -> None:
        """Without SRTP there is no call with a carrier that requires it, in either direction."""
        scene = await self.scene("off", "required")
        await self.refusedIn(scene)
        await self.refusedOut(scene)
        self.assertEqual(self.offers(scene), ["RTP/AVP 0"])

    async def test_required(self) -> None:
        """Nor is there one where we require it and the carrier has none: no second INVITE asks for less."""
        for carrier in ("off", "never"):
            scene = await self.scene("required", carrier)
            await self.refusedIn(scene)
            await self.refusedOut(scene)
            self.assertEqual(self.offers(scene), ["RTP/SAVP 2"])

    async def test_requiredAndOpportunistic(self) -> None:
        """An offer that leaves the choice is refused; ours leaves none, and is taken."""
        scene = await self.scene("required", "opportunistic")
        await self.refusedIn(scene)
        near, far = await scene.callOut()
        await self.talks(scene, near, far, out=True, secure=True)
