"""The carrier's certificate: a good one, or one of each bad kind."""

from __future__ import annotations

import datetime

from cryptography.x509.oid import ExtendedKeyUsageOID

from skypetrunk.lab.authority import Authority, Identity

__all__ = ["FAULTS", "carrierIdentity"]

FAULTS = {
    "none": "a good certificate",
    "wrong-name": "of another name",
    "target-name": "of the SRV targets' names only",
    "wildcard": "of a wildcard above the domain",
    "no-san": "the domain in the subject only, no alternative name",
    "expired": "ended yesterday",
    "expires-soon": "good, but ends in two days",
    "not-yet-valid": "begins tomorrow",
    "other-ca": "of a CA nobody has",
    "self-signed": "signed by its own key",
    "no-intermediate": "good, but sent without the intermediate",
    "weak-key": "a key of 1024 bits",
    "client-only": "the extended key usage is for clients",
    "must-staple": "good, if an OCSP answer is stapled (RFC 7633)",
}
"""What can be wrong with the carrier's certificate, by name."""

_DAY = datetime.timedelta(days=1)


def carrierIdentity(
    authority: Authority,
    domain: str,
    target: str,
    now: datetime.datetime,
    fault: str = "none",
    ocsp: str | None = None,
    *targets: str,
) -> Identity:
    """
    The certificate of a carrier for C{domain}: URI and DNS names (RFC 5922 section 4.1), or one with a fault.

    @param target: the name of the host the SRV record points to.
    @param fault: a key of L{FAULTS}.
    @param ocsp: the address of the OCSP responder, for the certificate, or C{None}.
    @param targets: more of them.
    @raise ValueError: there is no such fault.
    """
    names = [f"sip:{domain}", domain]
    if fault not in FAULTS:
        raise ValueError(f"no such certificate fault: {fault!r}")
    if fault == "wrong-name":
        return authority.issue("other.example", ["sip:other.example", "other.example"], ocsp=ocsp)
    if fault == "target-name":
        return authority.issue(target, [target, *targets], ocsp=ocsp)
    if fault == "wildcard":
        wildcard = f"*.{domain.partition('.')[2]}"
        return authority.issue(wildcard, [wildcard], ocsp=ocsp)
    if fault == "no-san":
        return authority.issue(domain, ocsp=ocsp)
    if fault == "expired":
        return authority.issue(domain, names, until=now - _DAY, ocsp=ocsp)
    if fault == "expires-soon":
        return authority.issue(domain, names, until=now + 2 * _DAY, ocsp=ocsp)
    if fault == "not-yet-valid":
        return authority.issue(domain, names, since=now + _DAY, ocsp=ocsp)
    if fault == "other-ca":
        return Authority(now, "skypetrunk lab stranger").issue(domain, names, ocsp=ocsp)
    if fault == "self-signed":
        return authority.issue(domain, names, own=True, ocsp=ocsp)
    if fault == "weak-key":
        return authority.issue(domain, names, bits=1024, ocsp=ocsp)
    if fault == "client-only":
        return authority.issue(domain, names, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,), ocsp=ocsp)
    if fault == "must-staple":
        return authority.issue(domain, names, mustStaple=True, ocsp=ocsp)
    whole = authority.issue(domain, names, ocsp=ocsp)
    return Identity(whole.key, whole.chain[:1]) if fault == "no-intermediate" else whole
