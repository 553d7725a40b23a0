"""DNS: where the carrier is, how it was found, and how long that holds (RFC 3263, RFC 2782)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from skypetrunk.errors import NoTarget
from skypetrunk.net.dns_records import Records
from skypetrunk.net.resolver import buildResolver
from skypetrunk.service.finding import trunkLocator
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient, shown
from skypetrunk.tools.doctor.questions import Question, WatchedResolver
from skypetrunk.wire.uri import writeHost

NAME = "dns"

_SLOW = 1.0
"""Seconds of one answer: a call that has to wait for it is noticed by who makes it."""


async def examine(patient: Patient) -> Sequence[Finding]:
    """Ask as the trunk does when it starts, with nothing remembered."""
    servers = [writeHost(host, port) for host, port in patient.configuration.dns.servers]
    watched = WatchedResolver(
        buildResolver(patient.reactor, servers), time.monotonic, patient.questions.append
    )
    draw = random.SystemRandom()
    records = patient.records = Records(watched, patient.reactor)
    locator = patient.locator = trunkLocator(patient.trunk, records, lambda most: draw.randint(0, most))
    try:
        patient.targets = await locator.locate(patient.trunk.domain)
    except NoTarget as problem:
        return [_nowhere(patient, str(problem))]
    return [_found(patient), *_doubts(patient)]


def _servers(patient: Patient) -> str:
    servers = [writeHost(host, port) for host, port in patient.configuration.dns.servers]
    return ", ".join(servers) or "the system's name servers"


def _nowhere(patient: Patient, problem: str) -> Finding:
    silent = next((each for each in patient.questions if each.problem is not None), None)
    domain = patient.trunk.domain
    if silent is not None:
        sentence = f"{_servers(patient)} did not tell where {domain} is: {silent.problem}."
        setting = "dns.servers"
    elif "target is '.'" in problem:
        sentence = f"{domain} says that it offers no SIP over TLS (its SRV target is a dot)."
        setting = patient.key("domain")
    elif any(each.kind == "SRV" and each.answers for each in patient.questions):
        sentence = f"The SRV records of {domain} lead to hosts that have no address."
        setting = patient.key("targets")
    elif patient.trunk.targets:
        sentence = "None of the configured targets has an address."
        setting = patient.key("targets")
    else:
        sentence = f"DNS knows no server of {domain}: neither SRV records nor an address."
        setting = patient.key("domain")
    return Finding(NAME, Severity.RED, domain, sentence, "SRV records or an address", problem, setting)


def _found(patient: Patient) -> Finding:
    where = ", ".join(shown(each) for each in patient.targets)
    count = len(patient.targets)
    servers = f"{count} server{'s' if count > 1 else ''}"
    if patient.trunk.targets:
        sentence = f"The configuration names {servers}."
    else:
        lives = [answer.ttl for each in patient.questions for answer in each.answers]
        least = f"; the answers hold for {min(lives)} s" if lives else ""
        sentence = f"DNS knows {servers}{least}."
    return Finding(NAME, Severity.GREEN, patient.trunk.domain, sentence, seen=where)


def _doubts(patient: Patient) -> Iterator[Finding]:
    questions, domain = patient.questions, patient.trunk.domain
    asked = [each for each in questions if each.kind == "SRV"]
    found = [answer for each in questions for answer in each.answers]
    if asked and not any(each.answers for each in asked):
        yield Finding(
            NAME,
            Severity.AMBER,
            "SRV",
            f"{domain} has no SRV record, so its own address is used: there is no other server to turn to.",
            f"SRV {asked[0].name}",
            "no record",
            patient.key("targets"),
        )
    for each in questions:
        if each.problem is not None:
            yield _unanswered(patient, each)
    if not patient.trunk.targets and any(answer.ttl == 0 for answer in found):
        yield Finding(
            NAME,
            Severity.AMBER,
            "TTL",
            "The answers may not be kept, so that each new connection waits for DNS.",
            "a TTL of 30 s or more",
            "a TTL of 0 s",
            "dns.servers",
        )
    yield from _empty(patient)
    slowest = max(questions, key=lambda each: each.seconds, default=None)
    if slowest is not None and slowest.seconds > _SLOW and slowest.problem is None:
        yield Finding(
            NAME,
            Severity.AMBER,
            f"{slowest.kind} {slowest.name}",
            f"{_servers(patient)} took {slowest.seconds:.1f} s to answer.",
            f"less than {_SLOW:g} s",
            f"{slowest.seconds:.1f} s",
            "dns.servers",
        )


def _unanswered(patient: Patient, question: Question) -> Finding:
    setting = patient.profileKey("naptr") if question.kind == "NAPTR" else "dns.servers"
    return Finding(
        NAME,
        Severity.AMBER,
        f"{question.kind} {question.name}",
        f"{question.kind} of {question.name} was not told; the trunk goes on without it.",
        "an answer",
        question.problem or "",
        setting,
    )


def _empty(patient: Patient) -> Iterator[Finding]:
    """Hosts of SRV records that have no address of either family."""
    known = {each.name.rstrip(".").lower() for each in patient.targets}
    for question in patient.questions:
        if question.kind != "SRV":
            continue
        for answer in question.answers:
            host = answer.text.rpartition(" ")[2].rstrip(".").lower()
            if answer.kind == "SRV" and host and host not in known:
                yield Finding(
                    NAME,
                    Severity.AMBER,
                    host,
                    f"{host}, one of the carrier's servers, has no address.",
                    f"A or AAAA {host}",
                    "no record",
                    patient.key("targets"),
                )
