"""TCP to each target: does anybody listen, and does a firewall let us through?"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from skypetrunk.interfaces import Target
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient, shown

NAME = "tcp"

SECONDS = 2.5
"""Until a target counts as silent: the first SYN and the one after a second were lost."""

_NO_WAY = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def endpointOf(patient: Patient, target: Target, seconds: float = SECONDS) -> IStreamClientEndpoint:
    """Plain TCP to C{target}."""
    kind = TCP6ClientEndpoint if ":" in target.host else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(patient.reactor, target.host, target.port, timeout=seconds)
    return endpoint


async def examine(patient: Patient) -> Sequence[Finding]:
    """Connect to all of them at the same time, and close again."""
    if not patient.targets:
        return [patient.skipped(NAME, "targets", "There is nothing to connect to.")]
    problems: dict[Target, Exception] = {}

    async def connect(target: Target) -> None:
        began = time.monotonic()
        try:
            protocol: Any = await endpointOf(patient, target).connect(Factory.forProtocol(Protocol))
        except CancelledError:
            raise
        except Exception as problem:
            problems[target] = problem
            return
        patient.reached[target] = time.monotonic() - began
        protocol.transport.abortConnection()

    targets = list(dict.fromkeys(patient.targets))
    await gatherResults([Deferred.fromCoroutine(connect(each)) for each in targets])
    findings = [unreached(patient, each, problems[each]) for each in targets if each in problems]
    if patient.reached:
        times = ", ".join(
            f"{shown(each)} in {patient.reached[each] * 1000:.1f} ms"
            for each in targets
            if each in patient.reached
        )
        count = len(patient.reached)
        sentence = f"{count} of {len(targets)} target{'s' if len(targets) > 1 else ''} can be reached."
        findings.insert(0, Finding(NAME, Severity.GREEN, "targets", sentence, seen=times))
    return findings


def unreached(patient: Patient, target: Target, problem: Exception) -> Finding:
    """Why no connection came about, and what to change."""
    where = shown(target)
    severity = Severity.AMBER if patient.reached else Severity.RED
    setting = f"the firewall: TCP from here to {where}"
    system = getattr(problem, "osError", None)
    seen = str(problem) or repr(problem)
    if isinstance(problem, error.ConnectionRefusedError):
        sentence = f"{where} refuses connections: nobody listens there, or a firewall says so."
    elif isinstance(problem, error.TimeoutError):
        sentence = f"{where} does not answer at all: a firewall drops what we send, or the server is down."
        seen = "no answer"
    elif system in _NO_WAY and ":" in target.host and patient.reached:
        # It costs nothing but this attempt.
        severity = Severity.GREEN
        sentence = f"This machine has no way to IPv6, so {where} is passed over."
        setting = ""
    elif system in _NO_WAY or isinstance(problem, error.NoRouteError):
        sentence = f"This machine has no way to {where}."
        setting = f"the routing of this machine: a way to {target.host}"
    else:
        sentence = f"{where} cannot be reached."
    return Finding(NAME, severity, where, sentence, "a TCP connection", seen, setting)
