"""What the registrar has for an account (RFC 3261 section 10.2.3): this trunk, and who else registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from skypetrunk.core.bindings import bindingsIn, instanceOf, unreadableIn
from skypetrunk.core.capabilities import AGENT
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.register_request import Account, RegisterRequests
from skypetrunk.printable import printable
from skypetrunk.service.trunk import randomToken
from skypetrunk.tools.doctor.asking import ask
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI, URI

__all__ = ["PATIENCE", "askBindings", "bindingText", "others", "registered", "unreadable"]

PATIENCE = 4.0
"""Seconds until a registrar counts as silent; it takes a fraction of one."""


async def askBindings(patient: Patient, request: Callable[[RegisterRequests], Request]) -> int:
    """
    The final status of a REGISTER beside those of the trunk.

    @param request: what is asked; what is registered then, L{Patient.answers} have.
    """
    trunk = patient.trunk
    requests = RegisterRequests(
        Account(trunk.username, trunk.domain, userAgent=AGENT), PublicAddress(), randomToken
    )
    status = await ask(patient, request(requests), PATIENCE)
    return 408 if status is None else status


def registered(patient: Patient) -> tuple[Sequence[NameAddr], Sequence[NameAddr]]:
    """
    What the registrar has for the account, by its last answer: ours, and all else.  Ours has our instance, or
    is a Contact of this run, or is on the same host as one of these.
    """
    assert patient.carrier is not None
    instance = patient.carrier.instance
    final = _lastAnswer(patient)
    listed = () if final is None else bindingsIn(final)
    sent = [each.uri for request in patient.asked("REGISTER") for each in bindingsIn(request)]
    known = [
        each.uri
        for each in listed
        if isinstance(each.uri, SIPURI) and (instanceOf(each) == instance or _isIn(each.uri, sent))
    ]
    hosts = {uri.host for uri in known}
    ours: list[NameAddr] = []
    rest: list[NameAddr] = []
    for each in listed:
        left = not instanceOf(each) and isinstance(each.uri, SIPURI) and each.uri.host in hosts
        (ours if left or _isIn(each.uri, known) else rest).append(each)
    return ours, rest


def unreadable(patient: Patient) -> Sequence[str]:
    """What of that answer is no Contact that can be read, for people."""
    final = _lastAnswer(patient)
    return [] if final is None else [printable(each) for each in unreadableIn(final)]


def _lastAnswer(patient: Patient) -> Response | None:
    final = [each for each in patient.answers("REGISTER") if each.status < 300]
    return final[-1] if final else None


def _isIn(uri: URI, uris: Sequence[URI]) -> bool:
    return isinstance(uri, SIPURI) and any(uri.equivalent(each) for each in uris)


def bindingText(each: NameAddr) -> str:
    """Where it leads, for people."""
    uri = each.uri.replace(password=None, headers=()) if isinstance(each.uri, SIPURI) else each.uri
    return printable(str(uri))


def others(patient: Patient) -> Iterator[Finding]:
    """Somebody else gets our calls."""
    ours, readable = registered(patient)
    rest = [*map(bindingText, readable), *unreadable(patient)]
    if ours and rest:  # else ours may be written another way, and be one of them
        count, user = len(rest), patient.trunk.username
        who = "Another is" if count == 1 else f"{count} others are"
        yield Finding(
            "register",
            Severity.AMBER,
            "bindings",
            f"{who} registered as {user} too: calls of the carrier go there as well, or instead.",
            "this trunk alone",
            ", ".join(rest),
            "what is registered there; or skypetrunk bindings --remove-all, while the trunk is stopped",
        )
