"""The end of the service, with calls up or never begun; and two services that share a process."""

from __future__ import annotations

from twisted.internet.error import CannotListenError

from skypetrunk.lab.calls import Phase
from skypetrunk.service.trunk import Skypetrunk
from tests.service.scene import NO_ANSWER, SceneCase


class StopTests(SceneCase):
    """The end of the service."""

    async def test_callsUp(self) -> None:
        """With calls up: BYE on both legs of each, the registration removed, soon, and nothing is left."""
        scene = await self.begin()
        ends = [*await scene.callOut(), *await scene.callIn()]
        start = self.reactor.seconds()
        await scene.stopTrunk()
        self.assertLess(self.reactor.seconds() - start, 2.0)
        for call in ends:
            await call.when(Phase.ENDED)
        self.assertEqual(scene.lab.carrier.registrar.bindings(), ())
        for transport in ("UDP", "TLS"):
            byes = {each.callID for each in scene.requests("BYE", transport=transport)}
            self.assertEqual(len(byes), 2, transport)
        removal = scene.requests("REGISTER")[-1]
        self.assertEqual(removal.header("Expires"), "0")
        for key in ("calls", "dialogs", "mediaPorts", "transactions"):
            self.assertEqual(scene.status[key], 0, key)
        self.assertFalse((scene.directory / "control").exists())
        await scene.until(lambda: not scene.lab.connections, "closed", 3)

    async def test_ringing(self) -> None:
        """While it rings: CANCEL there, 503 here."""
        scene = await self.begin()
        near = scene.phone.dial(NO_ANSWER, scene.proxy)
        await near.when(Phase.RINGING)
        [far] = scene.lab.carrier.agent.calls
        await scene.stopTrunk()
        await near.when(Phase.ENDED)
        await far.when(Phase.ENDED)
        self.assertEqual(near.status, 503)
        self.assertEqual(len(scene.requests("CANCEL", transport="TLS")), 1)

    async def test_silentPhone(self) -> None:
        """A phone that answers no BYE cannot hold it up beyond the bound."""
        scene = await self.begin()
        await scene.callOut()
        await scene.phone.stop()
        start = self.reactor.seconds()
        await scene.stopTrunk()
        self.assertLess(self.reactor.seconds() - start, 8.0)
        self.assertEqual(scene.status["transactions"], 0)

    async def test_silentCarrier(self) -> None:
        """Nor can a carrier that answers nothing."""
        scene = await self.begin()
        scene.muteCarrier()
        start = self.reactor.seconds()
        await scene.stopTrunk()
        self.assertLess(self.reactor.seconds() - start, 8.0)
        self.assertEqual(scene.carrier["state"], "down")

    async def test_neverStarted(self) -> None:
        """A trunk that was only made, or only bound, stops too, and every port is free again."""
        scene = self.build(targets=["127.0.0.1:9"])
        await scene.trunk.stopService()
        scene.trunk.privilegedStartService()
        await scene.trunk.stopService()
        scene.trunk.listen()
        scene.trunk.startService()
        await scene.trunk.stopService()

    async def test_whileConnecting(self) -> None:
        """A trunk whose carrier does not answer at all stops at once."""
        scene = self.build(targets=["127.0.0.1:9"])
        scene.start()
        await scene.until(lambda: "refused" in str(scene.carrier["problem"]), "no connection")
        self.assertEqual(scene.carrier["state"], "down")
        start = self.reactor.seconds()
        await scene.stopTrunk()
        self.assertLess(self.reactor.seconds() - start, 1.0)

    async def test_secondListener(self) -> None:
        """Where one address is taken, none stays bound."""
        scene = await self.begin()
        second = Skypetrunk(scene.configuration, self.reactor)
        self.assertRaises(CannotListenError, second.listen)
        await second.stopService()
        await scene.stopTrunk()
        second.listen()
        await second.stopService()


class TwoTrunksTests(SceneCase):
    """Two of everything in one process."""

    async def test_apart(self) -> None:
        """Each has its own carrier, calls and end; the one knows nothing of the other."""
        one = await self.begin()
        two = await self.begin(account="99051000000002", password="quite another")
        first = await one.callOut()
        second = await two.callIn()
        await one.hearing(*first, *second)
        for scene in (one, two):
            self.assertEqual((scene.status["calls"], scene.status["mediaPorts"]), (1, 4))
            self.assertEqual(len(scene.lab.carrier.agent.calls), 1)
        await one.stopTrunk()
        for call in first:
            await call.when(Phase.ENDED)
        self.assertEqual(one.status["calls"], 0)
        await two.hearing(*second)
        self.assertEqual((two.status["calls"], two.carrier["state"]), (1, "registered"))
        second[0].hangUp()
        await two.over(*second)
        self.assertEqual([each["from"] for each in one.status["ended"]], ["office"])
        self.assertEqual([each["from"] for each in two.status["ended"]], ["carrier"])
