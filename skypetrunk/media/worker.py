"""
A media worker: a process that carries packets of calls, and nothing else.

The trunk starts it, and speaks to it over a pair of sockets that nobody else has.  It ends when that does, so
however the trunk ends, no worker stays behind.  Signals that a terminal or a service manager sends to all of
the trunk's processes are left to the trunk, which still says goodbye to its calls then.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import FileLogObserver, Logger, formatEvent, globalLogBeginner
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from skypetrunk.interfaces import LegStatistics
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.heard import Heard
from skypetrunk.media.helper import findHelper
from skypetrunk.media.keeping import LocalKeeper
from skypetrunk.media.settling import mediaReactor
from skypetrunk.media.worker_commands import Ask, Counted, Join, Open, Order, Ready, Release, Went

CHANNEL = 3
"""The descriptor of our end of the pair."""

COUNTING_SECONDS = 5.0
"""In which the trunk is told the counters of every leg that has new ones; with few legs it is sooner."""

_TURNS = 50
"""Parts of that time: all legs at once would keep packets waiting."""

_TOGETHER = 50
"""Legs told of in one turn at most: packets wait so long."""


class WorkerProtocol(AMP):
    """What a worker does as it is told.  Nothing that goes wrong with one leg ends it: it has others."""

    _log = Logger()

    def __init__(self, reactor: Any, ended: Callable[[], object], helped: bool) -> None:
        """
        @param helped: may the compiled helper be used?
        @param ended: called when the trunk is gone.
        """
        super().__init__()
        poller = mediaReactor(reactor, reactor, findHelper() if helped else None)
        self._keeper = LocalKeeper(poller, reactor, os.urandom, reactor)
        self._ended = ended
        self._told: dict[int, tuple[int, ...]] = {}
        self._heard: dict[int, tuple[Heard, ...]] = {}
        self._waiting: list[int] = []
        self._counting = LoopingCall(self._count)
        self._counting.clock = reactor

    def connectionMade(self) -> None:
        """We are ready."""
        super().connectionMade()
        self.callRemote(Ready)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The trunk is gone."""
        super().connectionLost(reason)
        self._ended()

    @Open.responder
    def opened(self, number: int, opening: bytes, rtp: int, rtcp: int) -> dict[str, object]:
        """See L{Open}."""
        sockets = socket.socket(fileno=rtp), socket.socket(fileno=rtcp)
        for each in sockets:
            each.setblocking(False)
        with self._log.failuresHandled("leg {number} cannot be opened", number=number):
            self._keeper.take(number, unpacked(opening), *sockets)
        if not self._counting.running:
            self._counting.start(COUNTING_SECONDS / _TURNS, now=False)
        return {}

    @Order.responder
    def ordered(self, number: int, name: bytes, given: bytes) -> dict[str, object]:
        """See L{Order}."""
        # The arguments may be keys: they are no part of the message.
        with self._log.failuresHandled("leg {number}: {name} failed", number=number, name=name.decode()):
            self._keeper.order(number, name.decode(), *unpacked(given))
        return {}

    @Join.responder
    def joined(self, caller: int, called: int) -> dict[str, object]:
        """See L{Join}."""
        with self._log.failuresHandled("legs {one} and {two} cannot be joined", one=caller, two=called):
            self._keeper.join(caller, called)
        return {}

    @Ask.responder
    def asked(self) -> dict[str, object]:
        """See L{Ask}."""
        return {}

    @Release.responder
    def released(self, number: int, moves: bool) -> dict[str, object]:
        """See L{Release}."""
        self._told.pop(number, None)
        self._heard.pop(number, None)
        final = self._keeper.statistics(number)
        heard = self._keeper.heard(number) if moves else ()
        if final is not None:
            with self._log.failuresHandled("leg {number} cannot be closed", number=number):
                self._keeper.release(number)
        if not self._keeper.legs and self._counting.running:
            self._counting.stop()
        return {"counted": packed(final), "heard": packed(heard)}

    def _count(self) -> None:
        """Tell what is new of some of the legs."""
        if not self._waiting:
            self._waiting = list(self._keeper.numbers())
        some = min(-(-self._keeper.legs // _TURNS), _TOGETHER)
        now, self._waiting = self._waiting[:some], self._waiting[some:]
        counted: dict[int, LegStatistics | None] = {}
        for number in now:
            packets = self._keeper.packets(number)
            # None at all: it was released while it waited, and would be remembered for ever.
            if packets and packets != self._told.get(number):
                self._told[number] = packets
                counted[number] = self._keeper.statistics(number)
                self._tellHeard(number)
        if counted:
            unheard = [number for number in counted if self._keeper.unheard(number)]
            self.callRemote(Counted, counted=packed(counted), unheard=packed(unheard))

    def _tellHeard(self, number: int) -> None:
        before = frozenset(self._heard.get(number, ()))
        self._heard[number] = now = self._keeper.heard(number)
        # A key that was given up, too, as long as something comes under it.
        for heard in now:
            if heard not in before:
                self.callRemote(Went, number=number, heard=packed(heard))


def main() -> None:
    """Run until the trunk is gone."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, signal.SIG_IGN)
    globalLogBeginner.beginLoggingTo(
        [FileLogObserver(sys.stderr, _line)], redirectStandardIO=False, discardBuffer=True
    )
    from twisted.internet import reactor

    running: Any = reactor

    def end() -> None:
        if running.running:
            running.stop()

    factory = Factory.forProtocol(lambda: WorkerProtocol(running, end, "helped" in sys.argv[2:]))
    factory.noisy = False
    running.adoptStreamConnection(CHANNEL, socket.AF_UNIX, factory)
    os.close(CHANNEL)
    running.run(installSignalHandlers=False)


def _line(event: Any) -> str | None:
    """What the trunk's log is to have of it, on one line that begins with its level."""
    level: str = event["log_level"].name
    if level == "debug" or (level == "info" and not event["log_namespace"].startswith("skypetrunk.")):
        return None
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text}: {failure.type.__name__}"
        if failure.frames:
            # The line, not the values: they may be keys.
            text += " at {1}:{2}".format(*failure.frames[-1])
    return level + " " + text.replace("\n", " ") + "\n"


__all__ = ["CHANNEL", "COUNTING_SECONDS", "WorkerProtocol", "main"]
