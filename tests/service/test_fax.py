"""The whole trunk with either policy of T.38, between a phone and a carrier that have only sound."""

from __future__ import annotations

from functools import partial

from skypetrunk.lab.calls import Call, _Reinvite
from skypetrunk.wire.message import Response
from skypetrunk.wire.sdp import parseSDP
from tests.service.scene import Scene, SceneCase

IMAGE = b"m=image 4900 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"


class FaxTests(SceneCase):
    """One side asks for T.38 in a call, and the call goes on with sound, whoever refuses it."""

    def asks(self, call: Call) -> None:
        """A re-INVITE with T.38 alone."""
        assert call.session is not None
        head, _, _ = call.session.offer().partition(b"m=audio")
        request = call._dialog.request("INVITE", head + IMAGE)
        call._transactions.sendRequest(request, call._dialog.channel, _Reinvite(call))

    def offered(self, scene: Scene) -> set[str]:
        """The Call-IDs in which the trunk has offered it."""
        found = [each for each in scene.requests("INVITE") if each.body]
        return {each.callID for each in found if parseSDP(each.body).media[0].kind == "image"}

    async def goesOn(self, policy: str, inbound: bool, crossed: int) -> None:
        """
        Both sides ask.

        @param crossed: how many of the two are offered it.
        """
        scene = await self.begin(keys=[f't38 = "{policy}"'])
        near, far = await (scene.callIn() if inbound else scene.callOut())
        await scene.hearing(near, far)
        for call in (near, far):
            before = self.refusals(scene)
            self.asks(call)
            await scene.until(partial(self.refusedAfter, scene, before), "a refusal")
            await scene.hearing(near, far, more=20)
        self.assertEqual(len(self.offered(scene)), crossed)
        self.assertEqual(scene.status["calls"], 1)
        await scene.until(lambda: scene.status["up"][0]["diagnosis"], "it is said what is wrong")
        near.hangUp()
        await scene.over(near, far)
        ended = scene.status["ended"][-1]
        by = r"\w+" if crossed else r"trunk\.media\.t38"
        self.assertRegex(ended["diagnosis"], rf"^\w+ wanted fax by T\.38, which {by} refuses: it went on")
        for leg in ended["media"]:
            self.assertEqual((leg["fax"], leg["received"]["fax"], leg["received"]["refused"]), (False, 0, {}))

    def refusals(self, scene: Scene) -> int:
        """488 of the trunk, to whom it was asked by."""
        responses = [each for sent, each, _ in scene.seen if sent and isinstance(each, Response)]
        return sum(each.status == 488 for each in responses)

    def refusedAfter(self, scene: Scene, before: int) -> bool:
        """Are there more?"""
        return self.refusals(scene) > before

    async def test_refuse(self) -> None:
        """It is told at once, and the other side hears nothing of it."""
        await self.goesOn("refuse", False, 0)

    async def test_pass(self) -> None:
        """It crosses, and so does the refusal."""
        await self.goesOn("pass", False, 2)

    async def test_passIn(self) -> None:
        """The same in a call of the carrier."""
        await self.goesOn("pass", True, 2)
