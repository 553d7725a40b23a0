"""Plugins that fail in a real trunk, and those of the examples' kind that do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel
from zope.interface import implementer

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import CallRecord, CallRequest, ICallPolicy, ICallRecordSink
from skypetrunk.lab.calls import Phase
from skypetrunk.testing.stage import TONE, Stage
from tests.service.scene import SceneCase
from twisted import plugins as dropins

_DROPIN = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from skypetrunk.interfaces import IVendorPlugin

@implementer(IPlugin, IVendorPlugin)
class Maker:
    name = "vendor"
    def create(self, reactor, settings, directory):
        from tests.service.test_vendor_calls import Vendor
        return Vendor(reactor, settings, directory)

maker = Maker()
"""


class Boom(Exception):
    """A mistake of a vendor."""


@implementer(ICallPolicy, ICallRecordSink)
class Vendor(Service):
    """
    Fails where its settings say so.

    @cvar made: the last one.
    """

    made: Vendor

    def __init__(self, reactor: Any, settings: Mapping[str, object], directory: Path) -> None:
        self._reactor = reactor
        self._settings = settings
        self.kept: list[CallRecord] = []
        self.keptAtStop = -1
        Vendor.made = self

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """After a while, or not at all."""
        if "policy" in self._settings:
            raise Boom
        return deferLater(self._reactor, 0.05)

    async def _keep(self, record: CallRecord) -> None:
        await deferLater(self._reactor, 0.2)
        if "sink" in self._settings:
            raise Boom
        self.kept.append(record)

    def record(self, record: CallRecord) -> Deferred[None] | None:
        """After a while."""
        return Deferred.fromCoroutine(self._keep(record))

    def stopService(self) -> None:
        """Count what is there."""
        super().stopService()
        self.keptAtStop = len(self.kept)


class VendorCallTests(SceneCase):
    """Calls of a trunk with a plugin."""

    async def stage(self, settings: str = "{}") -> Stage:
        """A trunk with the plugin."""
        directory = Path(self.mktemp()) / "twisted" / "plugins"
        directory.mkdir(parents=True)
        (directory / "vendor_calls_dropin.py").write_text(_DROPIN)
        self.patch(dropins, "__path__", [*dropins.__path__, str(directory.resolve())])
        stage = Stage(self.reactor, ["[[plugin]]", 'name = "vendor"', f"settings = {settings}"])
        self.addCleanup(stage.close)
        await stage.start()
        return stage

    async def test_good(self) -> None:
        """Asked, told, started; the trunk stops after the record of the last call was kept."""
        stage = await self.stage()
        self.assertTrue(Vendor.made.running)
        self.assertIs((await stage.dial()).phase, Phase.ANSWERED)
        await stage.stopTrunk()
        (record,) = Vendor.made.kept
        assert record.answered is not None
        self.assertGreater(record.answered, record.started)
        self.assertEqual((record.request.called, len(record.media)), (TONE, 2))
        self.assertEqual((Vendor.made.running, Vendor.made.keptAtStop), (0, 1))

    async def test_policyFails(self) -> None:
        """It denies with 500, and is named."""
        stage = await self.stage("{ policy = true }")
        self.assertEqual((await stage.dial()).status, 500)
        self.assertLogged("the plugin vendor failed as a policy", level=LogLevel.critical)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    async def test_sinkFails(self) -> None:
        """The call never knows of it."""
        stage = await self.stage("{ sink = true }")
        call = await stage.dial()
        self.assertIs(call.phase, Phase.ANSWERED)
        call.hangUp()
        await stage.idle()
        await stage.until(lambda: not stage.trunk.records.pending, "the record is given up")
        self.assertLogged("the plugin vendor kept no record", level=LogLevel.critical)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(stage.trunk.book.ended[-1]["by"], "caller")

    async def test_unknown(self) -> None:
        """A trunk whose plugin is not there is not made."""
        stage = Stage(self.reactor, ["[[plugin]]", 'name = "nobody"'])
        self.addCleanup(stage.close)
        with self.assertRaises(ConfigurationError) as caught:
            await stage.start()
        self.assertIn("plugin.nobody: there is no such plugin", str(caught.exception))
