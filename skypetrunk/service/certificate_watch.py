"""
Certificate files that change while the trunk runs: looked at, checked, and taken into use for new handshakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from skypetrunk.service.settings import TLSConfiguration
from skypetrunk.service.tls_files import Ending, checkFiles, endings
from skypetrunk.service.tls_table import endsSoon

WATCH_SECONDS = 5.0
"""
How often the files are looked at.  They are taken into use when two looks in a row see the same: certificate
and key are written one after the other.
"""

_DAY_SECONDS = 86400.0

Made = TypeVar("Made")

_Seen = tuple[tuple[int, ...] | None, ...]


class CertificateWatch(Generic[Made]):
    """The files of one TLS table."""

    _log = Logger()

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        files: TLSConfiguration,
        make: Callable[[], Made],
        swap: Callable[[Made], None],
        ends: Callable[[], Iterator[Ending]] = lambda: iter(()),
    ) -> None:
        """
        @param name: of the trunk or PBX.
        @param make: makes something of the files; what it raises is logged, and changes nothing.
        @param swap: takes it into use.
        @param ends: further certificates that may end.
        """
        self._name = name
        self._clock = clock
        self._files = files
        self._make = make
        self._swap = swap
        self._ends = ends
        self._paths = [path for path in _paths(files) if path is not None]
        # What was read before this is in use.
        self._used = self._pending = self._look()
        self._remind = 0.0
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to look."""
        if not self._loop.running:
            self._remind = self._clock.seconds()
            self._loop.start(WATCH_SECONDS, now=False).addErrback(self._broken)

    def stop(self) -> None:
        """Do not look any more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Look at the files, once."""
        if self._clock.seconds() >= self._remind:
            self._remind = self._clock.seconds() + _DAY_SECONDS
            self._warn()
        seen = self._look()
        if seen == self._used:
            self._pending = seen
        elif seen != self._pending:
            self._pending = seen
        else:
            self._used = seen
            self._take()

    def _look(self) -> _Seen:
        return tuple(_state(path) for path in self._paths)

    def _take(self) -> None:
        try:
            checkFiles(self._files)
            made = self._make()
        except Exception as problem:
            self._log.error(
                "{name}: certificate files have changed and cannot be used, those before are: {problem}",
                name=self._name,
                problem=str(problem),
            )
            return
        self._swap(made)
        self._log.info("{name}: certificate files have changed; new handshakes use them", name=self._name)

    def _warn(self) -> None:
        now = datetime.now(UTC)
        try:
            ends = [*endings(self._files), *self._ends()]
        except Exception as problem:
            # Files that cannot be read are told of when they change.
            self._log.debug("{name}: {problem}", name=self._name, problem=str(problem))
            return
        for each in ends:
            if endsSoon(each.begin, each.end, now):
                self._log.warn("{name}: {ending}", name=self._name, ending=inWords(each, now))

    def _broken(self, failure: object) -> None:
        text = "{name}: certificate files are not watched: {problem}"
        self._log.error(text, name=self._name, problem=failure)


def inWords(ending: Ending, now: datetime) -> str:
    """That something ends soon, or has ended."""
    end = ending.end
    if end < now:
        return f"{ending.what} ended on {end:%Y-%m-%d}"
    return f"{ending.what} ends on {end:%Y-%m-%d}, in {(end - now).days} days"


def _paths(files: TLSConfiguration) -> tuple[Path | None, ...]:
    return files.caFile, files.certificate, files.key, files.keyPasswordFile, files.crlFile


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written or replaced; C{None} while it is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


__all__ = ["WATCH_SECONDS", "CertificateWatch", "inWords"]
