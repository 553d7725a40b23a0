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
from skypetrunk.interfaces import CallRecord, CallRequest, ICallPolicy, ICallRecordSink, IPBXDialect
from skypetrunk.lab.calls import Phase
from skypetrunk.testing.stage import TONE, Stage
from skypetrunk.wire.message import Request, Response
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
        from tests.service.test_vendor_calls import Dialect, Vendor
        kind = Dialect if "dialect" in settings else Vendor
        return kind(reactor, settings, directory)

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


@implementer(IPBXDialect)
class Dialect:
    """
    Does in a call what its settings say.

    @cvar made: the last one.
    """

    made: Dialect

    def __init__(self, reactor: Any, settings: Mapping[str, object], directory: Path) -> None:
        self._kind = settings["dialect"]
        self._count = 0
        Dialect.made = self

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """The number stands in a header; or a mistake."""
        if self._kind == "raises":
            raise Boom
        if self._kind == "damages":
            return message.withHeader("Call-ID", "other")
        number = message.header("X-Number")
        return message.withURI(f"sip:{number}@b") if isinstance(message, Request) and number else message

    def toPBX(self, message: Request | Response) -> Request | Response:
        """Every message has another number; or a mistake."""
        if self._kind == "raises":
            raise Boom
        if self._kind == "damages":
            return message.withHeader("To", "<sip:other@b>;tag=other")
        self._count += 1
        return message.withHeader("X-Count", str(self._count))


class VendorCallTests(SceneCase):
    """Calls of a trunk with a plugin."""

    async def stage(self, settings: str = "{}", *pbx: str) -> Stage:
        """A trunk with the plugin."""
        directory = Path(self.mktemp()) / "twisted" / "plugins"
        directory.mkdir(parents=True)
        (directory / "vendor_calls_dropin.py").write_text(_DROPIN)
        self.patch(dropins, "__path__", [*dropins.__path__, str(directory.resolve())])
        stage = Stage(self.reactor, ["[[plugin]]", 'name = "vendor"', f"settings = {settings}"], pbx=pbx)
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

    async def test_dialect(self) -> None:
        """Every message of the PBX's side passes it; what is sent again is as it was."""
        stage = await self.stage('{ dialect = "good" }', 'dialect = "vendor"')
        call = await stage.dial("100", [("X-Number", TONE)])
        self.assertIs(call.phase, Phase.ANSWERED)
        call.hangUp()
        await stage.idle()
        phone = await stage.ring()
        phone.hangUp()
        await stage.idle()
        heard = [message for sent, message in stage.heard if not sent]
        found = {message.method if isinstance(message, Request) else str(message.status) for message in heard}
        self.assertTrue({"100", "200", "INVITE", "ACK", "BYE"} <= found, found)
        # Another number means that it is not the same message sent again.
        seen: dict[str | None, bytes] = {}
        for message in heard:
            self.assertEqual(seen.setdefault(message.header("X-Count"), message.encode()), message.encode())
        self.assertNotIn(None, seen)
        status: Any = stage.trunk.status()
        self.assertEqual(status["pbxes"]["office"]["dialect"], {"plugin": "vendor", "failures": 0})

    async def test_dialectFails(self) -> None:
        """One that raises, and one that makes another message of each: calls go on as without it."""
        for kind, problem in (("raises", "failed as a dialect"), ("damages", "went too far as a dialect")):
            stage = await self.stage(f'{{ dialect = "{kind}" }}', 'dialect = "vendor"')
            for place in (stage.dial, stage.ring):
                call = await place()
                self.assertIs(call.phase, Phase.ANSWERED)
                call.hangUp()
                await stage.idle()
            self.assertLogged(f"office: the plugin vendor {problem} (1 so far)", level=LogLevel.error)
            status: Any = stage.trunk.status()
            self.assertGreater(status["pbxes"]["office"]["dialect"]["failures"], 10)
            await stage.close()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    async def test_noDialect(self) -> None:
        """A PBX whose plugin is something else is told so at the start."""
        with self.assertRaises(ConfigurationError) as caught:
            await self.stage("{}", 'dialect = "vendor"')
        self.assertIn("pbx.office.dialect: the plugin vendor provides no IPBXDialect", str(caught.exception))

    async def test_unknown(self) -> None:
        """A trunk whose plugin is not there is not made."""
        stage = Stage(self.reactor, ["[[plugin]]", 'name = "nobody"'])
        self.addCleanup(stage.close)
        with self.assertRaises(ConfigurationError) as caught:
            await stage.start()
        self.assertIn("plugin.nobody: there is no such plugin", str(caught.exception))
