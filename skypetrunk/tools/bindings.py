"""C{skypetrunk bindings}: who else is registered with our account, and gets its calls?"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.logger import globalLogBeginner
from twisted.python import usage

from skypetrunk.core.register_request import RegisterRequests
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.options import CommandOptions
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.tools.doctor import chosenTrunks, handshake, identity, isRunning, names, reach
from skypetrunk.tools.doctor.bindings import askBindings, bindingText, registered, unreadable
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.tools.one_run import OneRun

__all__ = ["Options", "main"]

_PATIENCE = 4.0
"""Seconds until the connection, which stood a moment before, stands again."""


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Lists what is registered at the carrier for the account of each trunk: this trunk, and whoever else"
        " has the password. Nothing is changed, but with --remove-all. Exits with 0 if the carrier told it,"
        " with 1 if it did not."
    )
    optParameters: Any = [
        ["config", "c", "trunk.toml", "The configuration file."],
        ["trunk", "t", None, "Name of the one trunk. [default: all that register]"],
    ]
    optFlags: Any = [
        ["remove-all", None, "Remove all of them, whosever they are; not while the trunk runs."],
    ]


def main(options: Options) -> int:
    """
    Ask, and tell.

    @raise ConfigurationError: with every problem of the configuration.
    @raise UsageError: there is no such trunk, or none that registers.
    """
    from twisted.internet import reactor

    configuration, _ = loadConfiguration(Path(options["config"]), os.environ)
    chosen = chosenTrunks(configuration, options["trunk"])
    trunks = [each for each in chosen if each.profile.register]
    if not trunks:
        which = ", ".join(each.name for each in chosen)
        raise usage.UsageError(f"{which} does not register: the carrier knows it otherwise")
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    remove = bool(options["remove-all"])
    return OneRun(reactor, lambda: _all(reactor, configuration, trunks, remove)).run()


async def _all(
    reactor: Any, configuration: Configuration, trunks: Sequence[TrunkConfiguration], remove: bool
) -> int:
    """The exit status."""
    running = await isRunning(reactor, configuration)
    if remove and running:
        text = "a trunk runs with this configuration, and would lose its registration: stop it first"
        print(f"skypetrunk: {text}", file=sys.stderr)
        return 1
    status = 0
    for trunk in trunks:
        # As if it ran: it must not register itself.
        patient = Patient(reactor, configuration, trunk, running=True)
        try:
            problem = await _one(patient, remove)
        finally:
            await patient.stop()
        if problem is not None:
            print(f"skypetrunk: trunk {trunk.name}: {problem}", file=sys.stderr)
            status = 1
    return status


async def _one(patient: Patient, remove: bool) -> str | None:
    """What one trunk has; or why that is not known."""
    if patient.trunk.profile.mediasec:
        # RFC 3329: it would have to be agreed anew, beside the trunk.
        return "not asked: its carrier tells only the trunk, with which it agrees on security (mediasec)"
    findings: list[Finding] = []
    for each in (names, reach, handshake, identity):
        findings += await each.examine(patient)
    if not any(each.good for each in patient.attempts):
        told = next((each for each in findings if each.severity is Severity.RED), None)
        return "there is no verified connection" if told is None else told.sentence
    carrier = patient.start()
    if not await patient.until(lambda: carrier.flows.current() is not None, _PATIENCE):
        return carrier.flows.problem or "no connection"
    domain, user = patient.trunk.domain, patient.trunk.username
    status = await askBindings(patient, RegisterRequests.query)
    if status < 300:
        _show(patient)
        if remove:
            status = await askBindings(patient, RegisterRequests.removalOfAll)
    if status >= 300:
        return f"{domain} answers REGISTER with {status}: skypetrunk doctor says why"
    if remove:
        _, left = registered(patient)
        count = len(left) + len(unreadable(patient))
        rest = f"; {count} are there still" if count else ""
        print(f"all bindings of {user} were removed{rest}")
    return None


def _show(patient: Patient) -> None:
    ours, others = registered(patient)
    strange = unreadable(patient)
    count = len(ours) + len(others) + len(strange)
    what = f"{count} binding{'' if count == 1 else 's'} of {patient.trunk.username}"
    print(f"trunk {patient.trunk.name}: {what} at {patient.trunk.domain}")
    for each in (*ours, *others):
        expires = each.params.get("expires")
        left = f", {expires} s" if expires and expires.isascii() and expires.isdigit() else ""
        print(f"  {bindingText(each)}{left}{', this trunk' if each in ours else ''}")
    for text in strange:
        print(f"  {text}, which cannot be read")
