"""The result as JSON: one object, described in docs/doctor.rst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509

from skypetrunk.net.identity import keyPin, namesOf
from skypetrunk.tools.doctor.evidence import usages
from skypetrunk.tools.doctor.finding import Finding, worst
from skypetrunk.tools.doctor.patient import Attempt, Patient, shown
from skypetrunk.tools.doctor.registering import algorithms
from skypetrunk.tools.doctor.walls import walls

__all__ = ["document", "trunkDocument"]


def document(trunks: Sequence[tuple[Patient, Sequence[Finding]]], version: str) -> Mapping[str, object]:
    """Everything, of all trunks."""
    everything = [finding for _, findings in trunks for finding in findings]
    return {
        "version": version,
        "verdict": worst(everything).value,
        "trunks": {patient.trunk.name: trunkDocument(patient, findings) for patient, findings in trunks},
    }


def trunkDocument(patient: Patient, findings: Sequence[Finding]) -> Mapping[str, object]:
    """One trunk."""
    offered, used = algorithms(patient)
    return {
        "verdict": worst(findings).value,
        "domain": patient.trunk.domain,
        "profile": patient.trunk.profile.name,
        "running": patient.running,
        "findings": [
            {
                "examination": each.examination,
                "severity": each.severity.value,
                "subject": each.subject,
                "sentence": each.sentence,
                "wanted": each.wanted or None,
                "seen": each.seen or None,
                "setting": each.setting or None,
            }
            for each in findings
        ],
        "dns": [
            {
                "kind": each.kind,
                "name": each.name,
                "seconds": round(each.seconds, 4),
                "problem": each.problem,
                "answers": [
                    {"kind": answer.kind, "name": answer.name, "ttl": answer.ttl, "text": answer.text}
                    for answer in each.answers
                ],
            }
            for each in patient.questions
        ],
        "targets": [
            {
                "address": shown(each),
                "name": each.name,
                "tcp": None if each not in patient.reached else round(patient.reached[each], 4),
            }
            for each in patient.targets
        ],
        "tls": [_attempt(each) for each in patient.attempts],
        "registration": {"granted": patient.registered, "offered": offered, "used": used},
        "firewall": [
            {"rule": str(each.need), "why": each.need.why, "holds": each.holds} for each in walls(patient)
        ],
    }


def _attempt(attempt: Attempt) -> Mapping[str, object]:
    record = attempt.record
    problem = attempt.problem or attempt.lost
    return {
        "address": shown(attempt.target),
        "version": None if record is None else record.version,
        "cipher": None if record is None else record.cipher,
        "proof": None if record is None else record.proof,
        "revocation": None if record is None else record.revocation,
        "problem": None if problem is None else str(problem),
        "steps": [
            {"number": each.number, "name": each.name, "mark": each.mark, "seconds": _rounded(each.seconds)}
            for each in (() if record is None else record.steps)
        ],
        "chain": [_certificate(each) for each in attempt.chain],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _certificate(certificate: x509.Certificate) -> Mapping[str, object]:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": list(namesOf(certificate)),
        "usage": list(usages(certificate)),
        "begins": certificate.not_valid_before_utc.isoformat(),
        "ends": certificate.not_valid_after_utc.isoformat(),
        "pin": keyPin(certificate),
    }
