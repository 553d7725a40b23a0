"""A whole trunk and a carrier whose faults are switched while it runs."""

from __future__ import annotations

from skypetrunk.lab.calls import Phase
from tests.service.scene import Scene, SceneCase


class LabFaultTests(SceneCase):
    """What the practice carrier does to a trunk that is up."""

    def peer(self, scene: Scene) -> str:
        """The node where the trunk is registered."""
        bindings = scene.lab.carrier.registrar.bindings()
        return str(bindings[0].channel.localAddress) if bindings else ""

    async def test_nodeSwitch(self) -> None:
        """The node that the trunk is registered at dies with a call up: the call ends over the other one."""
        scene = self.build()
        await scene.lab.switch({"nodes": "good,good"})
        scene.start()
        await scene.registered()
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        first, second = (str(node.address) for node in scene.lab.nodes)
        self.assertEqual(self.peer(scene), first)
        await scene.lab.switch({"nodes": "dead,good"})
        await scene.until(lambda: self.peer(scene) == second, "registered at the second node")
        await scene.hearing(near, far)
        self.assertIs(far.phase, Phase.ANSWERED)
        near.hangUp()
        await scene.over(near, far)
        self.assertEqual(far.cause, "the other end hung up")

    async def test_secondFlow(self) -> None:
        """
        With a flow to each of two nodes the death of the first is no more than a refresh: the trunk stays up,
        and the call goes on and ends over the second.
        """
        scene = self.build(outbound=True, profile="outbound = true")
        await scene.lab.switch({"nodes": "good,good"})
        scene.start()
        await scene.registered()
        bindings = scene.lab.carrier.registrar.bindings
        await scene.until(lambda: len(bindings()) == 2, "two flows")
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        self.assertEqual(len({str(each.channel.localAddress) for each in bindings()}), 2)
        await scene.lab.switch({"nodes": "dead,good"})
        await scene.until(lambda: scene.carrier["peer"] is None, "the first is lost")
        self.assertTrue(scene.carrier["up"])
        await scene.hearing(near, far)
        near.hangUp()
        await scene.over(near, far)
        self.assertEqual(far.cause, "the other end hung up")

    async def test_callsIn(self) -> None:
        """The carrier finds the trunk by the trunk's own SRV record; each proves itself; the phone rings."""
        scene = self.build(inbound="trunk.example")
        scene.start()
        await scene.registered()
        called = scene.phone.whenCalled()
        placed = scene.lab.carrier.placeCall("+442079460100", "+493012345678")
        near = await called
        await near.when(Phase.ANSWERED)
        self.assertEqual((await placed).status, 200)
        [far] = scene.lab.carrier.agent.calls
        await scene.hearing(near, far)
        [own] = scene.lab.outward.channels
        self.assertIs(far.channel, own)
        near.hangUp()
        await scene.over(near, far)
        self.assertEqual(far.cause, "the other end hung up")

    async def test_certificate(self) -> None:
        """A certificate that has expired, after a reset: the trunk says so, and takes the next good one."""
        scene = await self.begin()
        await scene.lab.switch({"certificate": "expired", "cut": "reset"})
        await scene.until(lambda: scene.carrier["state"] != "registered", "gone")
        await scene.until(lambda: any("expired" in line for line in self.logged()), "says why")
        self.assertFalse(scene.lab.carrier.registrar.bindings())
        await scene.lab.switch({"certificate": "none"})
        await scene.until(lambda: scene.carrier["state"] == "registered", "back", 15)
