"""What is ours: the certificates that we show, and the DNS records by which a carrier finds us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from twisted.names import dns

from skypetrunk.net.dns_records import Records, Unanswered
from skypetrunk.service.settings import InboundConfiguration
from skypetrunk.service.tls_table import EXPIRY_DAYS, endsSoon
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.tools.firewall import inboundRecords

NAME = "own"


async def examine(patient: Patient) -> Sequence[Finding]:
    """Our own certificates, and our own records."""
    trunk, inbound = patient.trunk, patient.trunk.inbound
    findings: list[Finding] = []
    if trunk.tls.certificate is not None:
        findings += _certificate(patient, trunk.tls.certificate, "tls.certificate")
    if inbound is not None:
        if inbound.files.certificate is not None:
            findings += _certificate(patient, inbound.files.certificate, "inbound.certificate")
        if inbound.name is not None and patient.records is not None:
            findings.append(await _published(patient, patient.records, inbound))
    if findings:
        return findings
    return [patient.skipped(NAME, "certificate", "We have no certificate, and no carrier calls in.")]


def _certificate(patient: Patient, path: Path, key: str) -> Iterator[Finding]:
    """Whether it holds; that key and chain fit was checked when the configuration was read."""
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    now, end = patient.now(), certificate.not_valid_after_utc
    setting, seen = patient.key(key), f"{end:%Y-%m-%d %H:%M} UTC"
    wanted = f"more than {EXPIRY_DAYS} days"
    if now < certificate.not_valid_before_utc:
        text = f"Our certificate {path} holds from {certificate.not_valid_before_utc:%Y-%m-%d} only."
        yield Finding(NAME, Severity.RED, "certificate", text, setting=setting)
    elif end <= now:
        text = f"Our certificate {path} expired on {end:%Y-%m-%d}."
        yield Finding(NAME, Severity.RED, "certificate", text, wanted, seen, setting)
    elif endsSoon(certificate.not_valid_before_utc, end, now):
        text = f"Our certificate {path} ends in {(end - now).days} days."
        yield Finding(NAME, Severity.AMBER, "certificate", text, wanted, seen, setting)
    else:
        text = f"Our certificate {path.name} holds until {end:%Y-%m-%d}."
        yield Finding(NAME, Severity.GREEN, "certificate", text, seen=seen)


async def _published(patient: Patient, records: Records, inbound: InboundConfiguration) -> Finding:
    """Whether DNS says of us what it should."""
    name = inbound.name or ""
    wanted = "; ".join(inboundRecords(inbound, patient.configuration.media.advertise))
    try:
        found = await records.find(dns.SRV, f"_sips._tcp.{name}")
    except Unanswered as problem:
        text = f"DNS does not tell whether {name} is published: {problem}."
        return Finding(NAME, Severity.AMBER, name, text, wanted, str(problem), "dns.servers")
    ports = {each.port for each in found}
    missing = sorted({each.port for each in inbound.listen} - ports)
    if missing:
        text = f"No SRV record leads to port {missing[0]} of {name}: a carrier that calls in finds nobody."
        seen = f"ports {', '.join(map(str, sorted(ports)))}" if ports else "no record"
        setting = f"the zone of {name}: skypetrunk firewall prints the records"
        return Finding(NAME, Severity.RED, name, text, wanted, seen, setting)
    return Finding(NAME, Severity.GREEN, name, f"{name} is published for carriers that call in.", seen=wanted)
