"""
The processes of media workers: started, watched, and started again.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import InvalidLogLevelError, Logger, LogLevel
from twisted.python.failure import Failure

import skypetrunk
from skypetrunk.media.remote_keeper import ASKING_SECONDS, PATIENCE, RemoteKeeper
from skypetrunk.media.worker import CHANNEL

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
"""Seconds before a worker is started again: doubled each time, until one has lived as long as the longest."""

ENDING_SECONDS = 2.0
"""After which a worker that has not ended is killed."""

_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TZ")
"""What a worker may need to know; passwords can be in what is not named here."""

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); import skypetrunk; del sys.path[0]; "
    "from skypetrunk.media.worker import main; main()"
)
"""The same package as ours, wherever that is, and nothing else from there."""


_ROOT = Path(skypetrunk.__file__).absolute().parent.parent


class MediaWorker(ProcessProtocol):
    """
    One worker, over all the processes that it has been.

    @ivar keeper: the legs that it keeps; C{None} while there is no process.
    @ivar starts: how often it was started.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, number: int, changed: Callable[[RemoteKeeper], None], helped: bool
    ) -> None:
        """
        @param number: for logs.
        @param changed: told of keepers that are ready, or lost.
        @param helped: may it use the compiled helper?
        """
        self.keeper: RemoteKeeper | None = None
        self.starts = 0
        self.number = number
        self._reactor = reactor
        self._changed = changed
        self._helped = helped
        self._delay = FIRST_DELAY
        self._began = 0.0
        self._again: IDelayedCall | None = None
        self._process: Any = None
        self._unread = b""
        self._ended: Deferred[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs."""
        return None if self._process is None else self._process.pid

    @property
    def idle(self) -> bool:
        """There is no process, and none that is to come."""
        return self._process is None and self._again is None

    def start(self) -> None:
        """Begin a process."""
        self._again = None
        self.starts += 1
        self._began = self._reactor.seconds()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            keeper = self.keeper = RemoteKeeper(self._reactor, self._ready, self._lost, self._hung)
            factory = Factory.forProtocol(lambda: keeper)
            factory.noisy = False
            ours.setblocking(False)
            theirs.setblocking(False)
            try:
                self._process = self._reactor.spawnProcess(
                    self,
                    sys.executable,
                    [sys.executable, "-P", "-c", _PROGRAM, str(_ROOT), *(["helped"] if self._helped else [])],
                    {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                    childFDs={0: "w", 1: "r", 2: "r", CHANNEL: theirs.fileno()},
                )
            except OSError as error:
                self.keeper = None
                self._startAgain(str(error))
                return
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)

    def stop(self) -> Deferred[None]:
        """End it.  Fires when it has."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._process is None:
            return succeed(None)
        self._ended = Deferred()
        if self.keeper is not None and self.keeper.transport is not None:
            self.keeper.transport.loseConnection()
        killing = self._reactor.callLater(ENDING_SECONDS, self._kill)
        return self._ended.addCallback(lambda _: killing.active() and killing.cancel()).addCallback(
            lambda _: None
        )

    def _kill(self) -> None:
        if self._process is not None:
            try:
                self._process.signalProcess("KILL")
            except ProcessExitedAlready:
                pass

    def _ready(self, keeper: RemoteKeeper) -> None:
        self._log.info("media worker {number} is ready, process {pid}", number=self.number, pid=self.pid)
        self._changed(keeper)

    def _hung(self, keeper: RemoteKeeper) -> None:
        """It lives, and does nothing: stopped, or caught in a loop.  It is to be one that has died."""
        self._log.error(
            "media worker {number}, process {pid}, has not answered for {seconds:.0f} s: it is killed",
            number=self.number,
            pid=self.pid,
            seconds=PATIENCE * ASKING_SECONDS,
        )
        self._kill()
        # Not when the kernel has ended it, which may take longer: it never reads a packet again.
        keeper.transport.abortConnection()  # type: ignore[union-attr]

    def _lost(self, keeper: RemoteKeeper) -> None:
        """Without its connection it is no use, even if it lives."""
        self.keeper = None
        if self._ended is None:
            self._kill()
        self._changed(keeper)

    # ProcessProtocol

    def connectionMade(self) -> None:
        """It has no input."""
        self.transport.closeStdin()  # type: ignore[union-attr]

    def errReceived(self, data: bytes) -> None:
        """What it has to say to the log."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            name, _, text = line.decode("utf-8", "replace").partition(" ")
            try:
                level = LogLevel.levelWithName(name)
            except InvalidLogLevelError:
                # Python's own words, of a worker that cannot run.
                level, text = LogLevel.error, f"{name} {text}"
            self._log.emit(level, "media worker {number}: {text}", number=self.number, text=text)

    def processEnded(self, reason: Failure) -> None:
        """Start it again, later, unless it was to end."""
        self._process = None
        if self._unread:
            self.errReceived(b"\n")
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.callback(None)
            return
        self._startAgain("by itself" if reason.check(ProcessDone) else reason.getErrorMessage().rstrip("."))

    def _startAgain(self, why: str) -> None:
        if self._reactor.seconds() - self._began >= LONGEST_DELAY:
            self._delay = FIRST_DELAY
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        self._log.error(
            "media worker {number} has ended ({why}); it is started again in {delay:.0f} s",
            number=self.number,
            why=why,
            delay=delay,
        )
        self._again = self._reactor.callLater(delay, self.start)


class Workers:
    """All media workers of a trunk."""

    def __init__(
        self, reactor: Any, number: int, changed: Callable[[RemoteKeeper], None], helped: bool
    ) -> None:
        """
        @param number: of workers.
        @param changed: told of keepers that are ready, or lost.
        @param helped: may they use the compiled helper?
        """
        self.all = tuple(MediaWorker(reactor, each, changed, helped) for each in range(1, number + 1))

    def start(self) -> None:
        """Begin, those that have not."""
        for each in self.all:
            if each.idle:
                each.start()

    def stop(self) -> Deferred[None]:
        """End all.  Fires when they have."""
        return gatherResults([each.stop() for each in self.all]).addCallback(lambda _: None)

    @property
    def ready(self) -> list[RemoteKeeper]:
        """Those that can be given legs."""
        return [each.keeper for each in self.all if each.keeper is not None and each.keeper.alive]

    def status(self) -> list[dict[str, object]]:
        """Of each, ready for JSON."""
        return [
            {
                "process": each.pid,
                "ready": each.keeper is not None and each.keeper.alive,
                "legs": 0 if each.keeper is None else each.keeper.legs,
                "starts": each.starts,
            }
            for each in self.all
        ]


__all__ = ["MediaWorker", "Workers"]
