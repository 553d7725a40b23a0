"""C{skypetrunk doctor}: why does this trunk not work, and what is to be changed?"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import globalLogBeginner
from twisted.python import usage

from skypetrunk import __version__
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.control import ControlRefused, ControlUnavailable, askStatus
from skypetrunk.service.options import CommandOptions
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.tools.doctor.document import document
from skypetrunk.tools.doctor.evidence import evidence
from skypetrunk.tools.doctor.examinations import Examination, examine
from skypetrunk.tools.doctor.finding import Finding, worst
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.tools.doctor.table import sign, table, verdict
from skypetrunk.tools.one_run import OneRun
from skypetrunk.tools.terminal import Terminal

__all__ = ["Options", "chosenTrunks", "diagnose", "isRunning", "main"]

_TICK = 0.25


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Examines each trunk of the configuration as the trunk itself works: DNS, TCP, the TLS handshake in"
        " the 15 steps of the datasheet, the certificate, REGISTER, OPTIONS, NAT, clock and firewall. It"
        " ends with a table, green, amber or red: one sentence and one thing to change for each finding."
        " Exits with 0 if all is green, with 1 for amber, with 2 for red. A trunk that runs already keeps"
        " its registration."
    )
    optParameters: Any = [
        ["config", "c", "trunk.toml", "The configuration file."],
        ["trunk", "t", None, "Name of the one trunk to examine. [default: all]"],
        ["call", None, None, "A number to call, as the PBX would dial it; one with an echo shows both ways."],
    ]
    optFlags: Any = [["json", None, "Print one JSON object, and no progress."]]


def main(options: Options) -> int:
    """
    Examine, and tell.

    @raise ConfigurationError: with every problem of the configuration.
    @raise UsageError: there is no such trunk, or the number must not be called.
    """
    from twisted.internet import reactor

    configuration, warnings = loadConfiguration(Path(options["config"]), os.environ)
    trunks = chosenTrunks(configuration, options["trunk"])
    _checkNumber(configuration, options["call"])
    # What the trunk would log is told by the findings.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return _Run(reactor, configuration, trunks, options).run()


def chosenTrunks(configuration: Configuration, name: str | None) -> Sequence[TrunkConfiguration]:
    """
    The one of that name; by default all.

    @raise UsageError: there is none.
    """
    if name is None:
        return configuration.trunks
    chosen = [each for each in configuration.trunks if each.name == name]
    if not chosen:
        known = ", ".join(each.name for each in configuration.trunks)
        raise usage.UsageError(f"--trunk: there is no {name} in {configuration.path}; there is {known}")
    return chosen


def _checkNumber(configuration: Configuration, number: str | None) -> None:
    numbers = configuration.numbers
    plan = NumberPlan(numbers.country, numbers.outsideLine, numbers.emergency)
    if number is not None and plan.isEmergency(number):
        raise usage.UsageError(f"--call: {number} is an emergency number, which is never called for a test")


async def isRunning(reactor: Any, configuration: Configuration) -> bool:
    """
    Does a trunk run with this configuration?  Its control socket says so, or that one of the addresses where
    it would listen is taken.
    """
    if configuration.control.socket is not None:
        try:
            await askStatus(reactor, configuration.control.socket)
        except (ControlUnavailable, ControlRefused):
            pass
        else:
            return True
    return any(
        _taken(each.transport, each.host, each.port) for pbx in configuration.pbxes for each in pbx.listen
    )


def _taken(transport: str, host: str, port: int) -> bool:
    kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if transport != "UDP":
            # Connections of before that are not quite over do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            return problem.errno == errno.EADDRINUSE
    return False


async def diagnose(
    reactor: Any,
    configuration: Configuration,
    trunks: Sequence[TrunkConfiguration],
    terminal: Terminal | None = None,
    number: str | None = None,
) -> Sequence[tuple[Patient, Sequence[Finding]]]:
    """
    Examine C{trunks}, one after the other.

    @param terminal: where progress is shown.
    @param number: what to call over each of them.
    """
    running = await isRunning(reactor, configuration)
    results = []
    for trunk in trunks:
        patient = Patient(reactor, configuration, trunk, running, number)
        if terminal is not None:
            title = f"trunk {trunk.name}: {trunk.domain}, profile {trunk.profile.name}"
            terminal.write(terminal.style.bold(title))

        def began(examination: Examination) -> None:
            if terminal is not None:
                terminal.begin(examination.status)

        def ended(examination: Examination, findings: Sequence[Finding]) -> None:
            if terminal is not None:
                terminal.write(f"{sign(worst(findings), terminal.style)} {examination.status}")

        findings = await examine(patient, began, ended)
        results.append((patient, findings))
        if terminal is not None:
            for line in evidence(patient, terminal.style):
                terminal.write(line)
            terminal.write()
            for line in table(findings, terminal.style):
                terminal.write(line)
            terminal.write()
            terminal.write(verdict(findings, terminal.style))
            terminal.write()
    return results


class _Run:
    """One run of the reactor."""

    def __init__(
        self,
        reactor: Any,
        configuration: Configuration,
        trunks: Sequence[TrunkConfiguration],
        options: Options,
    ) -> None:
        self._reactor = reactor
        self._configuration = configuration
        self._trunks = trunks
        self._number: str | None = options["call"]
        self._terminal = None if options["json"] else Terminal(sys.stdout, os.environ)

    def run(self) -> int:
        """Until it is over, or a signal ends it; the exit status."""
        return OneRun(self._reactor, self._whole).run()

    async def _whole(self) -> int:
        ticking = LoopingCall(self._tick)
        ticking.clock = self._reactor
        ticking.start(_TICK)
        try:
            results = await diagnose(
                self._reactor, self._configuration, self._trunks, self._terminal, self._number
            )
        finally:
            ticking.stop()
            if self._terminal is not None:
                self._terminal.clear()
        if self._terminal is None:
            print(json.dumps(document(results, __version__), indent=2))
        return worst([each for _, findings in results for each in findings]).status

    def _tick(self) -> None:
        if self._terminal is not None:
            self._terminal.tick()
