"""The clock of this machine, compared with the Date of the carrier's answers (RFC 3261 section 20.17)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.message import Response

NAME = "clock"

_OFF = 30.0
"""Seconds that call records and logs may be off before nobody can match them with the carrier's."""


async def examine(patient: Patient) -> Sequence[Finding]:
    """The last Date that was seen; without one, what the certificates say."""
    for each in reversed(patient.messages):
        if not each.sent and isinstance(each.message, Response):
            told = _date(each.message)
            if told is not None:
                return [_compared((each.when - told).total_seconds(), told)]
    return [_certified(patient)]


def _date(response: Response) -> datetime.datetime | None:
    text = response.header("Date")
    try:
        found = None if text is None else parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _compared(off: float, told: datetime.datetime) -> Finding:
    seen = f"{told:%Y-%m-%d %H:%M:%S} UTC at the carrier"
    if abs(off) <= _OFF:
        text = f"The clock agrees with the carrier's to {max(1, round(abs(off)))} s."
        return Finding(NAME, Severity.GREEN, "Date", text, seen=seen)
    way = "before" if off > 0 else "behind"
    text = f"The clock of this machine is {_long(abs(off))} {way} the carrier's."
    # Where a certificate is judged wrongly because of it, that is told of the certificate.
    setting = "the clock of this machine (NTP)"
    return Finding(NAME, Severity.AMBER, "Date", text, f"within {_OFF:g} s", seen, setting)


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def _certified(patient: Patient) -> Finding:
    now = patient.now()
    leaves = [each.chain[0] for each in patient.attempts if each.chain]
    if not leaves:
        return patient.skipped(NAME, "Date", "The carrier has not told its time.")
    begins = max(each.not_valid_before_utc for each in leaves)
    if now < begins:
        text = f"By this clock the certificates begin in the future, on {begins:%Y-%m-%d}."
        seen, wanted = f"{now:%Y-%m-%d %H:%M} UTC", f"after {begins:%Y-%m-%d %H:%M} UTC"
        return Finding(NAME, Severity.AMBER, "clock", text, wanted, seen, "the clock of this machine (NTP)")
    text = "The carrier does not tell its time; this clock is past the beginning of its certificate."
    return Finding(NAME, Severity.GREEN, "clock", text, seen=f"{now:%Y-%m-%d %H:%M:%S} UTC")
