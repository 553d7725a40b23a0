"""What the findings stand on, as lines for people: DNS, the handshake, certificates, the firewall's rules."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from cryptography import x509

from skypetrunk.net.identity import extendedUsage, keyPin, namesOf
from skypetrunk.tools.doctor.patient import Attempt, Patient, shown
from skypetrunk.tools.doctor.walls import walls
from skypetrunk.tools.report import handshakeLines
from skypetrunk.tools.terminal import Style

__all__ = ["evidence"]

_WIDTH = 100


def evidence(patient: Patient, style: Style) -> Iterator[str]:
    """All of it; nothing of what was not done."""
    if patient.questions:
        yield ""
        yield style.bold("What DNS was asked, and said")
        yield from _questions(patient, style)
    for attempt in _telling(patient):
        if attempt.record is not None:
            yield ""
            yield style.bold(f"With {shown(attempt.target)}")
            yield from handshakeLines(attempt.record, style)
        if attempt.chain:
            yield ""
            yield style.bold(f"The certificates of {shown(attempt.target)}")
            yield from _chain(patient, attempt)
    yield ""
    yield style.bold("What the firewall must let through (skypetrunk firewall prints the rules)")
    for wall in walls(patient):
        sign = style.dim("-") if wall.holds is None else style.good if wall.holds else style.bad
        word = "not tried" if wall.holds is None else "holds" if wall.holds else "does not hold"
        yield f"  {sign} {str(wall.need):58} {style.dim(f'{word}; {wall.need.why}')}"


def _telling(patient: Patient) -> Sequence[Attempt]:
    """The attempts that tell most: the first that went wrong, and the first that did not."""
    chosen = []
    for good in (False, True):
        chosen += [each for each in patient.attempts if each.good is good][:1]
    return chosen


def _questions(patient: Patient, style: Style) -> Iterator[str]:
    for each in patient.questions:
        head = f"  {each.kind:5} {each.name}"
        took = style.dim(f"  {each.seconds * 1000:.0f} ms")
        if each.problem is not None:
            yield f"{head}  {style.bad} {each.problem}{took}"
        elif not each.answers:
            yield f"{head}  {style.dim('no record')}{took}"
        else:
            yield head + took
        for answer in each.answers:
            yield f"        {answer.kind:5} {answer.text}  {style.dim(f'for {answer.ttl} s')}"


def _chain(patient: Patient, attempt: Attempt) -> Iterator[str]:
    for number, each in enumerate(attempt.chain):
        yield from _fact("server" if number == 0 else "CA", each.subject.rfc4514_string() or "(no name)")
        yield from _fact("issued by", each.issuer.rfc4514_string() or "(no name)")
        if number == 0:
            yield from _fact("wanted", f"{patient.trunk.domain}, whatever address led there")
            yield from _fact("names seen", ", ".join(namesOf(each)) or "none")
            yield from _fact("usage", ", ".join(usages(each)) or "not limited")
        yield from _fact(
            "holds", f"{each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
        yield from _fact("key", keyPin(each))
    record = attempt.record
    if record is not None:
        yield from _fact("proved by", record.proof or "nothing")
        yield from _fact("pins", " or ".join(patient.trunk.tls.pins) or "none configured")
        yield from _fact("revoked", record.revocation or "not asked")


def usages(certificate: x509.Certificate) -> Sequence[str]:
    """Key usage and extended key usage, by their names in RFC 5280."""
    found: list[str] = []
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        pass
    else:
        for name, word in (
            ("digital_signature", "digitalSignature"),
            ("key_encipherment", "keyEncipherment"),
            ("key_cert_sign", "keyCertSign"),
        ):
            if getattr(usage, name):
                found.append(word)
    return [*found, *extendedUsage(certificate)]


def _fact(name: str, text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - 14, break_on_hyphens=False):
        yield f"  {name:11} {line}"
        name = ""
