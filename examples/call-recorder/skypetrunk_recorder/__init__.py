"""Calls as WAV files: who calls on the left, who is called on the right."""

from __future__ import annotations

import os
import wave
from array import array
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import CallRequest, IMediaTap, IMediaTaps, TappedPacket
from skypetrunk_recorder.track import RATE, Track

_WRITTEN_AT_ONCE = 5 * RATE
_STILL_OPEN = 2 * RATE
"""Samples: later than this no packet takes its place."""
_MOST_WAITING = 24
"""Times that something waits to be written: two minutes of sound, and the disk is too slow."""


def readSettings(settings: Mapping[str, object], directory: Path) -> tuple[Path, Collection[str] | None]:
    """
    Where recordings go, and whose calls are recorded; C{None}: all.

    @raise ConfigurationError: what is wrong.
    """
    unknown = sorted(settings.keys() - {"directory", "sources"})
    problems = [f"settings.{name}: is not known" for name in unknown]
    where, sources = settings.get("directory"), settings.get("sources")
    if not isinstance(where, str) or not where:
        problems.append('settings.directory: would be right: "recordings"')
    elif not os.access(directory / where, os.W_OK | os.X_OK) or not (directory / where).is_dir():
        problems.append(f"settings.directory: {where} is no directory that can be written to")
    if sources is not None and not (
        isinstance(sources, list) and sources and all(isinstance(each, str) for each in sources)
    ):
        problems.append('settings.sources: would be right: ["office"]')
    if problems:
        raise ConfigurationError(tuple(problems))
    assert isinstance(where, str) and (sources is None or isinstance(sources, list))
    return directory / where, sources


class StereoFile:
    """A WAV file; its methods wait for the disk.  There is none before the first sound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None

    def write(self, left: array[int], right: array[int]) -> None:
        """
        As many samples of each.  The file is whole after each call, whatever happens to the process.

        @raise OSError: the disk is full, or there is such a file.
        """
        if self._wave is None:
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(opened, "wb")
            self._wave = wave.open(self._file, "wb")
            self._wave.setparams((2, 2, RATE, 0, "NONE", ""))
        frames = array("h", bytes(4 * len(left)))
        frames[::2], frames[1::2] = left, right
        self._wave.writeframes(frames.tobytes())

    def silence(self, count: int) -> None:
        """
        As many samples of silence, however many.

        @raise OSError: as for L{write}.
        """
        for start in range(0, count, RATE):
            nothing = array("h", bytes(2 * min(RATE, count - start)))
            self.write(nothing, nothing)

    def close(self) -> None:
        """The end of it."""
        if self._wave is not None and self._file is not None:
            try:
                self._wave.close()
            finally:
                self._file.close()


@implementer(IMediaTap)
class Recording:
    """
    One call.

    @ivar closed: fires when all is written.
    """

    _log = Logger()

    def __init__(self, call: str, path: Path, inThread: Callable[..., Deferred[None]]) -> None:
        """
        @param inThread: has a function called with some arguments, in another thread.
        """
        self.closed: Deferred[None] = Deferred()
        self._call = call
        self._file = StereoFile(path)
        self._inThread = inThread
        self._left, self._right = Track(), Track()
        self._began = 0.0
        self._written = 0
        # One after the other, whatever the number of threads.
        self._writing: Deferred[None] = succeed(None)
        self._waiting = 0
        self._broken = False

    def packetReceived(self, packet: TappedPacket) -> None:
        """See L{IMediaTap}."""
        if self._broken:
            return
        if not (self._left.end or self._right.end):
            # With the first sound: what comes before it may be another codec, for an hour.
            self._began = packet.time
        track = self._left if packet.fromCaller else self._right
        now = int((packet.time - self._began) * RATE)
        self._pause(now - _STILL_OPEN)
        track.put(packet.data, now)
        if track.end - self._written >= _WRITTEN_AT_ONCE + _STILL_OPEN:
            self._write(track.end - _STILL_OPEN)

    def ended(self) -> None:
        """See L{IMediaTap}."""
        end = max(self._left.end, self._right.end)
        if end > self._written and not self._broken:
            self._write(end)
        others = self._left.others + self._right.others
        if others:
            format = "{call}: {others} packets are no G.711, and not in the recording"
            self._log.warn(format, call=self._call, others=others)
        self._next(self._file.close)
        self._writing.chainDeferred(self.closed)

    def _pause(self, end: int) -> None:
        """Nothing may have been heard for long, until C{end}: nobody keeps that."""
        last = max(self._left.end, self._right.end)
        if not last or end - last < _WRITTEN_AT_ONCE:
            return
        if last > self._written:
            self._write(last)
        for track in (self._left, self._right):
            track.skip(end)
        self._written = end
        self._next(self._file.silence, end - last)

    def _write(self, end: int) -> None:
        self._written = end
        self._next(self._file.write, self._left.take(end), self._right.take(end))

    def _next(self, call: Callable[..., None], *arguments: object) -> None:
        self._waiting += 1
        self._writing.addCallback(lambda _: self._inThread(call, *arguments)).addErrback(self._failed)
        self._writing.addCallback(self._done)
        if self._waiting > _MOST_WAITING and not self._broken:
            self._log.error("{call}: is not recorded any more, the disk is too slow", call=self._call)
            self._broken = True

    def _done(self, _: object) -> None:
        self._waiting -= 1

    def _failed(self, failure: Failure) -> None:
        self._log.failure("{call}: is not recorded any more", failure, call=self._call)
        self._broken = True


@implementer(IMediaTaps)
class CallRecorder(Service):
    """Records calls.  A service, so that the trunk waits for the last file."""

    def __init__(self, reactor: Any, directory: Path, sources: Collection[str] | None = None) -> None:
        """
        @param sources: names of PBXes and trunks whose calls are recorded; C{None} for all.
        """
        self._reactor = reactor
        self._directory = directory
        self._sources = sources
        self._open: set[Deferred[None]] = set()

    def tap(self, request: CallRequest) -> IMediaTap | None:
        """See L{IMediaTaps}."""
        if self._sources is not None and request.source not in self._sources:
            return None
        recording = Recording(request.call, self._directory / f"{request.call}.wav", self._inThread)
        closed = recording.closed
        self._open.add(closed)
        closed.addCallback(lambda _: self._open.discard(closed))
        return recording

    def _inThread(self, call: Callable[..., None], *arguments: object) -> Deferred[None]:
        pool = self._reactor.getThreadPool()
        done: Deferred[None] = deferToThreadPool(self._reactor, pool, call, *arguments)
        return done

    def stopService(self) -> Deferred[Any]:
        """Fires when every file is written; the calls are over."""
        super().stopService()
        return DeferredList(list(self._open), consumeErrors=True)


__all__ = ["CallRecorder", "Recording", "StereoFile", "readSettings"]
