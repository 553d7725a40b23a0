"""The records, the policy that reads them, and both in a real trunk."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skypetrunk_sqlite import SQLiteRecords, readSettings
from twisted.plugin import getPlugins
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICallRecordSink, ICheckedPlugin, IVendorPlugin
from skypetrunk.lab.calls import Phase
from skypetrunk.testing import PolicyConformance, RecordSinkConformance
from skypetrunk.testing.stage import BUSY, TONE, Stage


class SQLiteRecordsTests(PolicyConformance, RecordSinkConformance, TestCase):
    """On a database of its own."""

    def make(self) -> SQLiteRecords:
        """An empty database, with a bound."""
        from twisted.internet import reactor

        records = SQLiteRecords(reactor, Path(self.mktemp()), 100)
        records.startService()
        self.addCleanup(records.stopService)
        return records

    makePolicy = makeSink = make

    async def kept(self, sink: ICallRecordSink) -> Sequence[str]:
        """From the table."""
        assert isinstance(sink, SQLiteRecords)
        return [row[0] for row in await sink.calls()]

    def test_settings(self) -> None:
        """Right ones, and every mistake at once."""
        here = Path("here")
        self.assertEqual(readSettings({"database": "x", "calls_per_hour": 2}, here), (here / "x", 2))
        with self.assertRaises(ConfigurationError) as caught:
            readSettings({"calls_per_hour": 0, "other": 1}, here)
        self.assertEqual(len(caught.exception.problems), 3)

    def test_unusable(self) -> None:
        """A database that cannot be opened is told at once."""
        from twisted.internet import reactor

        self.assertRaises(sqlite3.Error, SQLiteRecords, reactor, Path(self.mktemp()) / "nowhere" / "x")

    def test_private(self) -> None:
        """Only their owner may read who has called whom."""
        from twisted.internet import reactor

        path = Path(self.mktemp())
        SQLiteRecords(reactor, path).stopService()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_check(self) -> None:
        """C{skypetrunk check} asks the plugin, which makes nothing for it."""
        [plugin] = [each for each in getPlugins(IVendorPlugin) if each.name == "sqlite-records"]
        self.assertTrue(verifyObject(ICheckedPlugin, plugin))
        directory = Path(self.mktemp())
        directory.mkdir()
        plugin.check({"database": "calls.sqlite"}, directory)
        self.assertEqual(list(directory.iterdir()), [], "nothing was made")
        self.assertRaises(ConfigurationError, plugin.check, {"x": 1}, directory)


class TrunkTests(TestCase):
    """Found by the trunk, and used by it."""

    timeout = 30

    async def stage(self, settings: str) -> Stage:
        """A trunk with the plugin."""
        from twisted.internet import reactor

        plugin = ["[[plugin]]", 'name = "sqlite-records"', f"settings = {settings}"]
        stage: Any = Stage(reactor, plugin)
        self.addCleanup(stage.close)
        await stage.start()
        return stage

    async def test_records(self) -> None:
        """An answered call and a busy one are kept, also what the trunk ends when it stops."""
        stage = await self.stage('{ database = "calls.sqlite" }')
        call = await stage.dial(TONE)
        self.assertIs(call.phase, Phase.ANSWERED)
        received = lambda: call.session and call.session.statistics().received.packets  # noqa: E731
        await stage.until(lambda: (received() or 0) > 5, "five packets")
        self.assertEqual((await stage.dial(BUSY)).status, 486)
        await stage.stopTrunk()
        database = sqlite3.connect(stage.directory / "calls.sqlite")
        self.addCleanup(database.close)
        query = "SELECT called, status, authenticated > 0 FROM calls ORDER BY started"
        rows = database.execute(query).fetchall()
        self.assertEqual(rows, [(TONE, None, 1), (BUSY, 486, 0)])

    async def test_policy(self) -> None:
        """The second call within the hour is refused, and that is a record too."""
        stage = await self.stage('{ database = "calls.sqlite", calls_per_hour = 1 }')
        call = await stage.dial(TONE)
        call.hangUp()
        await stage.idle()
        await stage.until(lambda: not stage.trunk.records.pending, "the record is kept")
        self.assertEqual((await stage.dial(TONE)).status, 403)
        await stage.stopTrunk()
        database = sqlite3.connect(stage.directory / "calls.sqlite")
        self.addCleanup(database.close)
        rows = database.execute("SELECT status FROM calls ORDER BY started").fetchall()
        self.assertEqual(rows, [(None,), (403,)])
