"""Call records in SQLite, and a policy that reads them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from zope.interface import implementer

from skypetrunk.errors import CallRefused, ConfigurationError
from skypetrunk.interfaces import CallRecord, CallRequest, ICallPolicy, ICallRecordSink

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call TEXT NOT NULL,
    source TEXT NOT NULL,
    caller TEXT NOT NULL,
    called TEXT NOT NULL,
    started REAL NOT NULL,
    answered REAL,
    duration REAL NOT NULL,
    status INTEGER,
    ended_by TEXT NOT NULL,
    cause TEXT NOT NULL,
    authenticated INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_caller ON calls (source, caller, started);
"""

_REJECTED = 21
"""Q.850 cause: call rejected."""


def readSettings(settings: Mapping[str, object], directory: Path) -> tuple[Path, int | None]:
    """
    Path of the database, and calls per hour.

    @raise ConfigurationError: what is wrong.
    """
    unknown = sorted(settings.keys() - {"database", "calls_per_hour"})
    problems = [f"settings.{name}: is not known" for name in unknown]
    database, calls = settings.get("database"), settings.get("calls_per_hour")
    if not isinstance(database, str) or not database:
        problems.append('settings.database: would be right: "calls.sqlite"')
    if calls is not None and (not isinstance(calls, int) or isinstance(calls, bool) or calls < 1):
        problems.append("settings.calls_per_hour: would be right: 20")
    if problems:
        raise ConfigurationError(tuple(problems))
    assert isinstance(database, str) and (calls is None or isinstance(calls, int))
    return directory / database, calls


def _text(value: str) -> str:
    """What a peer sent need not be Unicode, and SQLite takes nothing else."""
    return value.encode("utf-8", "backslashreplace").decode()


@implementer(ICallPolicy, ICallRecordSink)
class SQLiteRecords(Service):
    """
    The database; a service, so that it is closed after the last record.

    The pool has one thread: SQLite has one writer, and a policy sees every record that was kept before.
    """

    def __init__(self, reactor: Any, path: Path, callsPerHour: int | None = None) -> None:
        """
        @param callsPerHour: of one caller, counted when they are over; C{None} for no bound.
        @raise sqlite3.Error: the database cannot be used: better now than at the first call.
        """
        self._seconds = reactor.seconds
        self._callsPerHour = callsPerHour
        # Who has called whom is nobody else's, and SQLite makes its files for all to read.
        with suppress(OSError):  # which SQLite will have something to say about
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(path)
        try:
            database.executescript(_SCHEMA)
        finally:
            database.close()
        self._pool = ConnectionPool(
            "sqlite3", str(path), check_same_thread=False, cp_min=1, cp_max=1, cp_reactor=reactor
        )

    def stopService(self) -> None:
        """Close the database."""
        super().stopService()
        self._pool.close()

    def record(self, record: CallRecord) -> Deferred[None]:
        """See L{ICallRecordSink}."""
        request, ended = record.request, record.ended
        row = (
            request.call,
            _text(request.source),
            _text(request.caller),
            _text(request.called),
            record.started,
            record.answered,
            ended.duration,
            ended.status,
            ended.by,
            _text(ended.cause),
            sum(leg.received.authenticated for leg in record.media if leg.secure),
        )
        marks = ", ".join("?" * len(row))
        written: Deferred[None] = self._pool.runOperation(f"INSERT INTO calls VALUES ({marks})", row)
        return written

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """See L{ICallPolicy}."""
        if self._callsPerHour is None:
            return None
        return Deferred.fromCoroutine(self._admit(request, self._callsPerHour))

    async def _admit(self, request: CallRequest, most: int) -> None:
        query = "SELECT COUNT(*) FROM calls WHERE source = ? AND caller = ? AND started > ?"
        since = self._seconds() - 3600
        ((calls,),) = await self._pool.runQuery(query, (_text(request.source), _text(request.caller), since))
        if calls >= most:
            raise CallRefused(f"{calls} calls of this caller in an hour", 403, _REJECTED)

    def calls(self) -> Deferred[list[tuple[Any, ...]]]:
        """All records, oldest first: call, caller, called, status, authenticated packets."""
        query = "SELECT call, caller, called, status, authenticated FROM calls ORDER BY started"
        found: Deferred[list[tuple[Any, ...]]] = self._pool.runQuery(query)
        return found


__all__ = ["SQLiteRecords", "readSettings"]
