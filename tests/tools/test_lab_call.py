"""C{skypetrunk lab-call}: a call that it placed does not outlive it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.service.control import ControlRefused, ControlServer, IControlled, PlacedCall
from skypetrunk.tools.lab_call import placeCall


@implementer(IControlled)
class Answering:
    """
    A carrier whose calls are answered at once.

    @ivar up: calls that are.
    @ivar placed: fires when there was one.
    """

    def __init__(self) -> None:
        self.up: list[str] = []
        self.placed: Deferred[None] = Deferred()

    def status(self) -> Mapping[str, object]:
        """Nothing to tell."""
        return {}

    def placeCall(self, number: str, caller: str) -> Deferred[PlacedCall]:
        """Answered."""
        self.up.append(number)
        self.placed.callback(None)
        return succeed(PlacedCall(number, 200, "OK"))

    def hangUp(self, call: str) -> None:
        """Only what is up."""
        if call not in self.up:
            raise ControlRefused(f"there is no call {call!r}")
        self.up.remove(call)


class PlaceCallTests(TestCase):
    """L{placeCall} against a real socket."""

    def setUp(self) -> None:
        """Something that answers, at a path that is short enough."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "control"
        self.carrier = Answering()
        self.assertTrue(verifyObject(IControlled, self.carrier))
        server = ControlServer(reactor, self.path, self.carrier)  # type: ignore[arg-type]
        server.startService()
        self.addCleanup(server.stopService)

    def place(self, seconds: float) -> Deferred[tuple[bool, str]]:
        """A call of so many seconds."""
        return Deferred.fromCoroutine(placeCall(reactor, self.path, "100", "200", seconds))

    async def test_ended(self) -> None:
        """After its time it is over."""
        self.assertEqual(await self.place(0.01), (True, "answered, and ended after 0.01 s (100)"))
        self.assertEqual(self.carrier.up, [])

    async def test_interrupted(self) -> None:
        """Who is interrupted ends it."""
        placing = self.place(3600)
        await self.carrier.placed
        # The answer is on its way; the one that waits for the end of the call comes after it.
        answered: Deferred[None] = Deferred()
        reactor.callLater(0.1, answered.callback, None)
        await answered
        placing.cancel()
        with self.assertRaises(CancelledError):
            await placing
        self.assertEqual(self.carrier.up, [])

    async def test_hungUp(self) -> None:
        """That the other side has hung up is no failure."""
        placing = self.place(0.05)
        await self.carrier.placed
        self.carrier.up.clear()
        self.assertEqual((await placing)[0], True)
