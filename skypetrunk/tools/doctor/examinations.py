"""All examinations of one trunk, in their order: each stands on what those before it have found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred, FirstError
from twisted.internet.defer import TimeoutError as DeferTimeout

from skypetrunk.tools.doctor import (
    alive,
    clock,
    handshake,
    identity,
    media,
    names,
    nat,
    own,
    reach,
    registering,
    steady,
    walls,
)
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient

__all__ = ["EXAMINATIONS", "Examination", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """
    One of them.

    @ivar name: for findings and JSON.
    @ivar status: what is shown while it works.
    @ivar run: does it.
    @ivar bound: seconds after which it is given up; each part of it has a bound of its own that is shorter.
    """

    name: str
    status: str
    run: Callable[[Patient], Awaitable[Sequence[Finding]]]
    bound: float = 15.0


EXAMINATIONS = (
    Examination(names.NAME, "Looking the carrier up", names.examine, 30.0),
    Examination(reach.NAME, "Connecting", reach.examine),
    Examination(handshake.NAME, "Shaking hands", handshake.examine),
    Examination(identity.NAME, "Reading certificates", identity.examine),
    Examination(registering.NAME, "Registering", registering.examine),
    Examination(alive.NAME, "Asking whether it takes calls", alive.examine),
    Examination(steady.NAME, "Watching the connection", steady.examine),
    Examination(nat.NAME, "Comparing what came back", nat.examine),
    Examination(clock.NAME, "Comparing clocks", clock.examine),
    Examination(own.NAME, "Looking at what is ours", own.examine),
    Examination(media.NAME, "Calling", media.examine, 60.0),
    Examination(walls.NAME, "Looking at the firewall", walls.examine),
)


async def examine(
    patient: Patient,
    began: Callable[[Examination], object],
    ended: Callable[[Examination, Sequence[Finding]], object],
) -> Sequence[Finding]:
    """
    All of them; nothing of C{patient} runs afterwards.

    @param began: told of each that begins.
    @param ended: told what it has found.
    """
    findings: list[Finding] = []
    try:
        for each in EXAMINATIONS:
            began(each)
            found = await _one(each, patient)
            findings += found
            ended(each, found)
    finally:
        await patient.stop()
    return findings


async def _one(examination: Examination, patient: Patient) -> Sequence[Finding]:
    """What it finds; one that breaks is a finding too, and the others go on."""

    async def run() -> Sequence[Finding]:
        try:
            return await examination.run(patient)
        except FirstError as problem:
            # Several things at once: what ended all of them counts.
            problem.subFailure.raiseException()
            raise

    running = Deferred.fromCoroutine(run()).addTimeout(examination.bound, patient.reactor)
    try:
        return await running
    except CancelledError:
        raise
    except DeferTimeout:
        text = f"This took more than {examination.bound:g} s and was given up."
        return [
            Finding(examination.name, Severity.AMBER, "time", text, setting="skypetrunk doctor, once more")
        ]
    except Exception as problem:
        text = f"The examination itself broke: {type(problem).__name__}: {problem}."
        return [Finding(examination.name, Severity.AMBER, "doctor", text, setting="report this as a bug")]
