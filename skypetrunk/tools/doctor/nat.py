"""
NAT, and routers that rewrite SIP: what we sent compared with what came back.

A response repeats our Via, with what the carrier saw (RFC 3261 section 18.2.1, RFC 3581); whatever else
differs was changed on the way, which TLS does not let anybody do who is not an end of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from skypetrunk.core.bindings import bindingsIn
from skypetrunk.errors import MalformedMessage
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.tools.needs import isInner
from skypetrunk.wire.address import foldedHost, isLiteral
from skypetrunk.wire.headers import Via
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

NAME = "nat"

ALG = "the router: switch its SIP ALG off"
"""What to change where SIP is rewritten on the way."""


async def examine(patient: Patient) -> Sequence[Finding]:
    """Every request of ours that was answered."""
    pairs = list(_pairs(patient))
    if not pairs:
        return [patient.skipped(NAME, "Via", "Nothing was answered that could be compared.")]
    changed = rewritten(patient)
    if changed is not None:
        header, sent, back = changed
        text = f"{header} came back otherwise than it was sent: something on the way rewrites SIP (an ALG)."
        return [Finding(NAME, Severity.RED, header, text, sent, back, ALG)]
    return [_seen(patient, pairs), *_contacts(patient, pairs)]


def rewritten(patient: Patient) -> tuple[str, str, str] | None:
    """The first header that came back otherwise than it was sent: its name, and both; C{None} for none."""
    return next((found for pair in _pairs(patient) if (found := _changed(*pair)) is not None), None)


def _pairs(patient: Patient) -> Iterator[tuple[Request, Response]]:
    sent = {
        (each.message.header("Call-ID"), each.message.cseq): each.message
        for each in patient.messages
        if each.sent and isinstance(each.message, Request)
    }
    for each in patient.messages:
        if not each.sent and isinstance(each.message, Response):
            request = sent.get((each.message.header("Call-ID"), each.message.cseq))
            if request is not None:
                yield request, each.message


def _changed(request: Request, response: Response) -> tuple[str, str, str] | None:
    """A header that is not as it was sent: which, and both."""
    try:
        ours, theirs = request.topVia, response.topVia
        if _bare(ours) != _bare(theirs):
            return "Via", str(ours), str(theirs)
        if request.fromAddress != response.fromAddress:
            return "From", str(request.fromAddress), str(response.fromAddress)
    except MalformedMessage as problem:
        return "Via", str(request.header("Via")), str(problem)
    return None


def _bare(via: Via) -> tuple[str, str, int | None, str | None]:
    return via.transport, via.host.lower(), via.port, via.branch


def _seen(patient: Patient, pairs: Sequence[tuple[Request, Response]]) -> Finding:
    """Where the carrier sees us."""
    local = next(each.channel.localAddress for each in patient.messages)
    places = {
        (via.received or local.host, via.rport or local.port)
        for _, response in pairs
        for via in [response.topVia]
        if (via.received is not None or via.rport is not None) and isLiteral(via.received or local.host)
    }
    if not places:
        text = "The carrier does not say where it sees us, and sends back what we sent as it was."
        return Finding(NAME, Severity.GREEN, "Via", text, seen=str(local.hostPort))
    host, port = sorted(places)[-1]
    where = f"{host}:{port}"
    hosts = patient.trunk.media.path.preferring(6 if ":" in host else 4).hosts
    told = hosts[0].advertised or hosts[0].host
    if foldedHost(host) == foldedHost(local.host):
        text = f"The carrier sees us at {host}, as we are: there is no NAT in between."
        return Finding(NAME, Severity.GREEN, "address", text, seen=where)
    if foldedHost(host) == foldedHost(told):
        text = (
            f"There is NAT in between: the carrier sees us at {host}, where it is told to send sound to, too."
        )
        return Finding(NAME, Severity.GREEN, "address", text, seen=where)
    text = f"The carrier sees us at {host}, but is told to send sound to {told}, which is somewhere else."
    severity = Severity.RED if isInner(told) and not isInner(host) else Severity.AMBER
    return Finding(
        NAME,
        severity,
        "address",
        text,
        host,
        told,
        f'media.advertise = "{host}", and its ports in the router',
    )


def _contacts(patient: Patient, pairs: Sequence[tuple[Request, Response]]) -> Iterator[Finding]:
    """Whether the registrar has our Contact as it was sent."""
    registered = [
        (request, response)
        for request, response in pairs
        if request.method == "REGISTER" and response.status < 300 and request.contacts
    ]
    for request, response in registered[:1]:
        listed = bindingsIn(response)
        (ours,) = [each.uri for each in request.contacts][:1]
        assert isinstance(ours, SIPURI)
        if listed and not any(ours.equivalent(each.uri) for each in listed):
            yield Finding(
                NAME,
                Severity.AMBER,
                "Contact",
                "The registrar lists another Contact than ours: it, or something on the way, rewrites it.",
                str(ours),
                ", ".join(str(each.uri) for each in listed),
                patient.key("contact"),
            )
