"""What a trunk says of its connection and registration, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping

from skypetrunk.core.registration import Registration
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.wire.uri import writeHost


def trunkStatus(
    side: TrunkSide, flows: TrunkFlows, registration: Registration | None, now: float
) -> Mapping[str, object]:
    """
    State and evidence.

    @param now: the clock's time.
    """
    record, current, learned = flows.handshake(), flows.current(), side.address.learned
    retryAt = None if registration is None else registration.retryAt
    if side.up:
        state = "registered" if registration is not None else "connected"
    else:
        state = "connected" if current is not None else "down"
    return {
        "state": state,
        "up": side.up,
        "srtp": side.srtp,
        "retry": None if retryAt is None else max(0, round(retryAt - now)),
        "seenAt": None if learned is None else writeHost(*learned),
        "peer": None if current is None else str(current.peer),
        "tls": None
        if record is None
        else {
            "version": record.version,
            "cipher": record.cipher,
            "domain": record.domain,
            "proof": record.proof,
            "revocation": record.revocation,
            "expires": None if record.certificate is None else record.certificate.expires.isoformat(),
        },
        "targets": flows.health.status(),
        "calls": side.calls,
    }


__all__ = ["trunkStatus"]
