"""C{skypetrunk demo}: a call out and a call in over TLS and SRTP on this machine, with evidence."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    globalLogBeginner,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import ConfigurationError
from skypetrunk.lab.numbers import TEST_NUMBERS
from skypetrunk.service.listening import placeOf
from skypetrunk.service.logs import LogFilter
from skypetrunk.service.options import CommandOptions
from skypetrunk.tools.demonstration import OWN_NUMBER, Demonstration, DemonstrationFailed
from skypetrunk.tools.evidence import problems
from skypetrunk.tools.one_run import INTERRUPTED, OneRun
from skypetrunk.tools.practice import Practice
from skypetrunk.tools.report import report, shownPath
from skypetrunk.tools.terminal import Terminal

_log = Logger()


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Starts a practice carrier, a trunk and a small phone in this process, connected by real sockets on"
        " loopback. The phone calls the carrier and the carrier calls the phone; in each direction another"
        " tone is played. Then it prints the TLS handshake, what was verified, the SIP messages of both"
        " legs, what SRTP protected and refused, and whether each tone was heard at its far end. Exits with"
        " 0 only if every tone was recognised and every media packet on the carrier's side was"
        " authenticated SRTP."
    )
    optParameters = [
        ["directory", "d", "skypetrunk-demo", "Where the recordings, the configuration and the log go."],
        ["tls", None, "1.2", "TLS version, 1.2 or 1.3; the 15 steps are those of 1.2."],
    ]
    optFlags = [["keep", "k", "Leave it running, and say how to point a softphone at it."]]

    def postOptions(self) -> None:
        """Versions that are none."""
        if self["tls"] not in ("1.2", "1.3"):
            raise usage.UsageError(f"--tls: {self['tls']} is neither 1.2 nor 1.3")


def main(options: Options) -> int:
    """
    Show it.

    @return: 0 if everything was shown, 1 if not, 130 if it was interrupted.
    """
    from twisted.internet import reactor

    directory = Path(options["directory"])
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = directory / "demo.log"
        with open(log, "w", encoding="utf-8") as file:
            return _Run(reactor, options, directory, _Diary(log, file)).run()
    except BrokenPipeError:
        # For the command itself: whoever read has gone
        raise
    except (OSError, CannotListenError) as error:
        print(f"skypetrunk demo: {_said(error)}", file=sys.stderr)
    return 1


@implementer(ILogObserver)
class _Diary:
    """
    The log file, and what in it nobody foresaw.

    @ivar unforeseen: one line each.
    """

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self.unforeseen: list[str] = []
        observers = [textFileLogObserver(file), self]
        globalLogBeginner.beginLoggingTo(observers, discardBuffer=True, redirectStandardIO=False)
        LogFilter(globalLogPublisher, False).startService()

    def __call__(self, event: LogEvent) -> None:
        """See L{ILogObserver}: looks for what is critical."""
        if event.get("log_level") is LogLevel.critical:
            failure = event.get("log_failure")
            text = event.get("log_format") if failure is None else failure.getErrorMessage()
            self.unforeseen.append(" ".join(str(text).split()))


class _Run:
    """One run of the reactor."""

    def __init__(self, reactor: Any, options: Options, directory: Path, diary: _Diary) -> None:
        self._options = options
        self._diary = diary
        self._terminal = Terminal(sys.stdout, os.environ)
        self._demonstration = Demonstration(
            reactor, directory, self._terminal, tls=options["tls"], control=bool(options["keep"])
        )
        self._once = OneRun(reactor, self._whole, lambda: self._demonstration.stopping)

    def run(self) -> int:
        """
        Until it is over, or a signal ends it.

        @return: the exit status.
        """
        try:
            status = self._once.run()
        except Exception:
            self._terminal.clear()
            return self._told(Failure())
        self._terminal.clear()
        if status == INTERRUPTED:
            self._terminal.write("Interrupted; everything was stopped.")
        return status

    async def _whole(self) -> int:
        try:
            return await self._shown()
        finally:
            await self._demonstration.stop()

    async def _shown(self) -> int:
        demonstration, terminal = self._demonstration, self._terminal
        keep = bool(self._options["keep"])
        await demonstration.start()
        await demonstration.callOut()
        await demonstration.callIn()
        if not keep:
            terminal.begin("Saying goodbye")
            await demonstration.stop()
            terminal.done("Stopped: registration taken back, every connection and port closed")
        evidence = demonstration.evidence(self._diary.unforeseen, self._diary.path)
        terminal.write()
        for line in report(evidence, terminal.style, datetime.datetime.now(datetime.UTC)):
            terminal.write(line)
        status = 1 if problems(evidence) else 0
        if keep:
            await self._kept()
        return status

    async def _kept(self) -> None:
        await self._demonstration.practice.stopPhone()
        self._terminal.write()
        for line in _instructions(self._demonstration.practice):
            self._terminal.write(line)
        try:
            await Deferred[None]()
        except CancelledError:
            self._terminal.write()
            self._terminal.begin("Stopping")
        await self._demonstration.stop()
        self._terminal.done("Stopped")

    def _told(self, failure: Failure) -> int:
        problem = failure.value
        if isinstance(problem, BrokenPipeError | ConfigurationError):
            # For the command itself to tell
            raise problem
        if isinstance(problem, DemonstrationFailed):
            self._terminal.failed(f"{problem}.")
        elif isinstance(problem, OSError | CannotListenError):
            print(f"skypetrunk demo: {_said(problem)}", file=sys.stderr)
        else:
            _log.failure("the demonstration broke", failure)
            name = type(problem).__name__
            where = shownPath(self._diary.path)
            print(f"skypetrunk demo: broken by {name}: {problem}; more in {where}", file=sys.stderr)
        return 1


def _said(error: Exception) -> str:
    """What the system refused, in one line."""
    if isinstance(error, CannotListenError):
        return f"cannot listen on {placeOf(error)}: {error.socketError}"
    if isinstance(error, OSError) and error.strerror:
        # A disk that is full names no file
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _instructions(practice: Practice) -> Iterator[str]:
    """How to use what was left running."""
    pbx = practice.configuration.pbxes[0]
    trunk, phone = pbx.listen[0], pbx.addresses[0]
    command = sys.argv[0] if Path(sys.argv[0]).name == "skypetrunk" else "skypetrunk"
    lab = practice.lab.settings.control
    assert lab is not None
    yield "Trunk and carrier are still running. Point a softphone on this machine at them:"
    yield f"  proxy or server   {trunk.host}:{trunk.port}, UDP, without registration"
    yield f"  user              {OWN_NUMBER}, no password; codec G.711 (PCMA or PCMU), plain RTP"
    yield f"  local SIP port    {phone.port} on {phone.host}, so that calls from the carrier find it"
    yield f"  media address     {phone.host}: its SDP must name the address that its sound comes from"
    yield "  numbers to call"
    for digits, behaviour in TEST_NUMBERS.items():
        yield f"    +{digits}   {behaviour.value}"
    yield "    any other       answers and plays a tone"
    yield "The carrier calls in, for 10 s, when you say in another terminal:"
    yield f"  {command} lab-call --socket {shownPath(lab)} --seconds 10"
    yield "What the trunk is doing:"
    yield f"  {command} status --config {shownPath(practice.configuration.path)}"
    yield "Ctrl-C ends it."
