"""What a firewall must let through for this trunk, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attrs import evolve

from skypetrunk.service.own_addresses import foreignAddresses
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.tools.doctor.questions import SILENT
from skypetrunk.tools.needs import Need, needs

NAME = "firewall"


@dataclass(frozen=True, slots=True)
class Wall:
    """
    One rule.

    @ivar holds: whether something went through; C{None}: it was not tried.
    """

    need: Need
    holds: bool | None


def walls(patient: Patient) -> Sequence[Wall]:
    """The rules for this trunk, as far as they were tried."""
    found = tuple((each.host, each.port) for each in patient.targets)
    trunk = evolve(patient.trunk, targets=found or patient.trunk.targets)
    return [Wall(each, _holds(patient, each)) for each in _needs(patient, trunk)]


def _needs(patient: Patient, trunk: TrunkConfiguration) -> Iterator[Need]:
    """What the trunk needs at the servers that it has found."""
    if not patient.trunk.targets:
        yield from (each for each in needs(patient.configuration, (patient.trunk,)) if each.purpose == "dns")
    yield from (each for each in needs(patient.configuration, (trunk,)) if each.purpose != "dns")


def _holds(patient: Patient, need: Need) -> bool | None:
    if need.purpose == "dns":
        # A name server that fails, or refuses, has been asked all the same.
        answered = [each for each in patient.questions if each.problem != SILENT]
        if need.protocol == "tcp" or not patient.questions:
            return None
        return bool(answered)
    if need.purpose == "signalling":
        if need.remote:
            tried = [
                each
                for each in patient.targets
                if each.host in need.remote and str(each.port) == need.remotePorts
            ]
        else:
            tried = list(patient.targets)
        if any(each in patient.reached for each in tried):
            return True
        # A server that is down looks the same; while another one answers, who tried it has told of it.
        return None if patient.reached or not tried else False
    if need.purpose == "ocsp":
        told = [each.record.revocation or "" for each in patient.attempts if each.record is not None]
        return True if any("says the OCSP responder" in each for each in told) else None
    if need.purpose == "media" and patient.ended:
        ended, legs = patient.ended[-1]
        if not ended.duration:
            return None
        leg = patient.carrierLeg(legs)
        if leg is not None:
            return bool(leg.received.packets if need.inbound else leg.sent.packets)
    return None


async def examine(patient: Patient) -> Sequence[Finding]:
    """Count what holds; what does not was told by who tried it."""
    return [_counted(walls(patient)), *_addresses(patient)]


def _counted(rules: Sequence[Wall]) -> Finding:
    closed = [each for each in rules if each.holds is False]
    tried = [each for each in rules if each.holds is not None]
    if closed:
        text = f"{len(closed)} of {len(rules)} rules that are needed do not hold: {closed[0].need}."
        return Finding(
            NAME,
            Severity.RED,
            "rules",
            text,
            "all of them",
            ", ".join(str(each.need) for each in closed),
            "the firewall: skypetrunk firewall prints its rules",
        )
    if not tried:
        text = f"None of {len(rules)} rules that are needed was tried."
        return Finding(NAME, Severity.SKIPPED, "rules", text)
    rest = len(rules) - len(tried)
    text = f"{len(tried)} of {len(rules)} rules that are needed were tried and hold"
    text += "; the others only a call shows." if rest else "."
    return Finding(NAME, Severity.GREEN, "rules", text)


def _addresses(patient: Patient) -> Iterator[Finding]:
    """What is bound must be an address of this machine."""
    for each in foreignAddresses(patient.configuration):
        yield Finding(
            NAME, Severity.RED, each.address, f"{each}.", "an address of this machine", each.why, each.setting
        )
