"""
The carrier's certificate: whom it proves, who vouches for it, what it is for, and how long it holds.

What was verified is told as the trunk verified it.  Where that failed, the certificates themselves say why,
so that there is one thing to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from skypetrunk.errors import PeerNotVerified
from skypetrunk.net.identity import extendedUsage, keyPin, namesOf
from skypetrunk.net.ocsp import responders
from skypetrunk.service.tls_files import trustRoots
from skypetrunk.service.tls_table import EXPIRY_DAYS, endsSoon
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Attempt, Patient, shown

NAME = "identity"

_LEAST_BITS = 2048


async def examine(patient: Patient) -> Sequence[Finding]:
    """Each certificate once, however many servers show it."""
    findings: list[Finding] = []
    known: set[bytes] = set()
    for attempt in patient.attempts:
        if not attempt.chain:
            continue
        if isinstance(attempt.problem, PeerNotVerified) or (
            attempt.problem is None and attempt.record is not None
        ):
            mark = attempt.chain[0].fingerprint(SHA256())
            if mark not in known:
                known.add(mark)
                findings += _judged(patient, attempt)
    return findings or [patient.skipped(NAME, "certificate", "No server has shown a certificate.")]


def _judged(patient: Patient, attempt: Attempt) -> Iterator[Finding]:
    if isinstance(attempt.problem, PeerNotVerified):
        yield _refused(patient, attempt, attempt.problem)
        return
    record, leaf = attempt.record, attempt.chain[0]
    assert record is not None
    proof = record.proof or "nothing"
    sentence = f"{shown(attempt.target)} proves that it is {patient.trunk.domain}, by {proof}."
    seen = ", ".join(namesOf(leaf))
    yield Finding(NAME, Severity.GREEN, "certificate", sentence, patient.trunk.domain, seen)
    yield from _ends(patient, attempt)
    yield from _pins(patient, attempt)
    yield from _revocation(patient, record.revocation, leaf)
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_BITS:
        yield Finding(
            NAME,
            Severity.AMBER,
            "key",
            f"The certificate's key has {key.key_size} bits only.",
            f"{_LEAST_BITS} bits or more",
            f"RSA, {key.key_size} bits",
            "at the carrier: a new certificate",
        )


def _ends(patient: Patient, attempt: Attempt) -> Iterator[Finding]:
    """Whether it, or a CA of its chain, ends soon."""
    now = patient.now()
    for each in attempt.chain:
        end, life = each.not_valid_after_utc, each.not_valid_after_utc - each.not_valid_before_utc
        if endsSoon(each.not_valid_before_utc, end, now):
            left = (end - now).days
            who = each.subject.rfc4514_string() or "(no name)"
            yield Finding(
                NAME,
                Severity.AMBER,
                "expiry",
                f"The certificate of {who} ends in {left} day{'' if left == 1 else 's'}; calls end with it.",
                f"more than {min(EXPIRY_DAYS, life.days // 2)} days",
                f"{end:%Y-%m-%d %H:%M} UTC",
                "at the carrier: a new certificate",
            )


def _pins(patient: Patient, attempt: Attempt) -> Iterator[Finding]:
    tls, record = patient.trunk.tls, attempt.record
    if tls.pins and record is not None and "no pinned key" in (record.proof or ""):
        yield Finding(
            NAME,
            Severity.AMBER,
            "pins",
            "No key of the chain is pinned, which is only reported as yet; enforced, it would end all calls.",
            " or ".join(tls.pins),
            ", ".join(keyPin(each) for each in attempt.chain),
            patient.key("tls.pins"),
        )


def _revocation(patient: Patient, found: str | None, leaf: x509.Certificate) -> Iterator[Finding]:
    """What the trunk has found out of revocation, where it let the certificate pass."""
    subject = "revocation"
    if found is None:
        text = "Whether the certificate is revoked is not asked, as configured."
        yield Finding(NAME, Severity.AMBER, subject, text, setting=patient.key("tls.revocation"))
    elif not found.startswith("revocation not known"):
        yield Finding(NAME, Severity.GREEN, subject, "The certificate is not revoked.", seen=found)
    elif not responders(leaf) and patient.trunk.tls.crlFile is None:
        text = "The certificate names nobody who could be asked whether it is revoked."
        yield Finding(NAME, Severity.GREEN, subject, text, seen=found)
    else:
        text = "Nobody has told whether the certificate is revoked; as configured it is let pass."
        setting = "the firewall: TCP to the OCSP responder, port 80; or the responder, at the carrier's CA"
        yield Finding(NAME, Severity.AMBER, subject, text, "an answer that counts", found, setting)


def _refused(patient: Patient, attempt: Attempt, problem: PeerNotVerified) -> Finding:
    sentence, setting = _why(patient, attempt, problem)
    return Finding(NAME, patient.refusal, "certificate", sentence, problem.wanted, problem.seen, setting)


_RENEW = "at the carrier: a new certificate"


def _why(patient: Patient, attempt: Attempt, problem: PeerNotVerified) -> tuple[str, str]:
    """One sentence, and the one thing to change."""
    chain, now = attempt.chain, patient.now()
    leaf, domain = chain[0], patient.trunk.domain
    where = shown(attempt.target)
    unknown = _unknown(patient, chain, problem.seen)
    if leaf.subject == leaf.issuer:
        text = f"{where} shows a certificate that it has signed itself, so nobody vouches for it"
        return f"{text}.", patient.key("tls.ca_file")
    if unknown is not None:
        return unknown
    for each in chain:
        who = "The certificate" if each is leaf else f"The CA {each.subject.rfc4514_string()}"
        if each.not_valid_after_utc < now:
            text = f"{who} of {where} expired on {each.not_valid_after_utc:%Y-%m-%d}"
            return f"{text}, or the clock of this machine is wrong.", _RENEW
        if each.not_valid_before_utc > now:
            text = f"{who} of {where} holds from {each.not_valid_before_utc:%Y-%m-%d} only"
            return f"{text}, or the clock of this machine is behind.", "the clock of this machine (NTP)"
    usage = extendedUsage(leaf)
    if usage and "serverAuth" not in usage:
        return f"The certificate is for {', '.join(usage)}, not for servers.", _RENEW
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_BITS and "weak" in problem.seen:
        return f"The certificate's key has {key.key_size} bits, which is too weak.", _RENEW
    if problem.wanted.startswith("proof that"):
        text = "Nobody proves that the certificate is not revoked, which is wanted here"
        return f"{text} (hard).", patient.key("tls.revocation")
    if problem.wanted.startswith("an OCSP answer stapled"):
        text = f"The certificate promises that {where} staples an OCSP answer, and there is none"
        return f"{text}.", "at the carrier: OCSP stapling"
    if "not revoked" in problem.wanted or "revoked" in problem.seen:
        who = problem.wanted.removesuffix(", not revoked")
        return f"The certificate of {who} was revoked: who holds its key may be anybody.", _RENEW
    if problem.wanted.startswith("a key pinned"):
        text = f"{where} is {domain} by its certificate, but none of its keys is pinned"
        return f"{text}: a new key, or somebody in between.", patient.key("tls.pins")
    return _names(patient, attempt) or (f"{where} does not prove that it is {domain}.", patient.key("domain"))


def _unknown(patient: Patient, chain: Sequence[x509.Certificate], seen: str) -> tuple[str, str] | None:
    """Where the chain leads to nobody who is trusted."""
    roots, tls = trustRoots(patient.trunk.tls), patient.trunk.tls
    top = chain[-1]
    names = {each.subject for each in chain}
    known = set(roots.names)
    broken = next((each for each in chain if each.issuer not in names and each is not top), None)
    issuer = (broken or top).issuer.rfc4514_string()
    whose = f"the roots in {tls.caFile}" if tls.caFile else "the system's roots"
    if tls.caFile is None and "root" not in seen:
        return None
    if issuer in known:
        if "not among the roots" not in seen:
            return None
        text = f"The certificate names {issuer} as its CA, but has not been signed by the key in {tls.caFile}"
        return f"{text}.", patient.key("tls.ca_file")
    if len(chain) == 1 and chain[0].subject != chain[0].issuer:
        text = f"The server sends its certificate without that of the CA that issued it, {issuer}"
        return f"{text}.", f"at the carrier: the whole chain; or that CA in {patient.key('tls.ca_file')}"
    text = f"The certificate was issued under {issuer}, which is not among {whose}"
    return f"{text}.", patient.key("tls.ca_file")


def _names(patient: Patient, attempt: Attempt) -> tuple[str, str] | None:
    """Whom the certificate names instead."""
    leaf, domain = attempt.chain[0], patient.trunk.domain
    # Once each: the same name may stand there as URI and as DNS.
    names = list(dict.fromkeys(each.partition(" ")[2].removeprefix("sip:").lower() for each in namesOf(leaf)))
    if domain in names:
        return None
    if not names:
        text = f"The certificate has no SubjectAltName; {domain} in its subject proves nothing (RFC 5922)"
        return f"{text}.", _RENEW
    hosts = [each.name.rstrip(".").lower() for each in patient.targets]
    if any(host in names for host in hosts) and domain not in hosts:
        text = f"The certificate names the server, {', '.join(names[:2])}, and not {domain}"
        return f"{text}.", patient.profileKey("target_names")
    parent = f"*.{domain.partition('.')[2]}"
    if parent in names:
        text = f"The certificate names {parent}, and wildcards prove nothing for SIP (RFC 5922)"
        return f"{text}.", patient.profileKey("wildcards")
    text = f"The certificate is that of {', '.join(names[:2])}, and not of {domain}"
    return f"{text}.", patient.key("domain")
