"""
Is an answer one that its offer allows (RFC 3264 section 6, RFC 4568 section 5.1)?

Pure checks of two finished descriptions.  An answer that breaks a rule is refused as a
whole: going on with the rest of it is how streams end up in clear.
"""

from __future__ import annotations

from skypetrunk.wire.sdes import MalformedCrypto, UnsupportedCrypto, parseCrypto
from skypetrunk.wire.sdp import MediaDescription, SessionDescription

__all__ = ["RULES", "brokenRules"]

RULES = {
    "m-count": "as many m= lines as in the offer (RFC 3264 section 6)",
    "m-type": "the same media type in each place (RFC 3264 section 6)",
    "m-zero": "a stream offered with port 0 stays at port 0 (RFC 3264 section 6)",
    "proto": "the transport protocol of the offer (RFC 3264 section 6.1)",
    "direction": "a direction that the offer allows (RFC 3264 section 6.1)",
    "crypto-missing": "a secure stream is answered with a key (RFC 4568 section 5.1.2)",
    "crypto-count": "exactly one crypto line (RFC 4568 section 5.1.2)",
    "crypto-invalid": "a crypto line that can be used (RFC 4568 section 7.1.3)",
    "crypto-tag": "a crypto tag that was offered (RFC 4568 section 5.1.3)",
    "crypto-suite": "the suite that was offered under the tag (RFC 4568 section 5.1.3)",
    "crypto-negotiated-param": "the negotiated session parameters of the offer (RFC 4568 section 5.1.2)",
}

# Suite and negotiated session parameters by tag.
_Offered = dict[int, tuple[str, frozenset[str]]]

_ANSWERS = {
    "sendrecv": frozenset({"sendrecv", "sendonly", "recvonly", "inactive"}),
    "sendonly": frozenset({"recvonly", "inactive"}),
    "recvonly": frozenset({"sendonly", "inactive"}),
    "inactive": frozenset({"inactive"}),
}


def brokenRules(offer: SessionDescription, answer: SessionDescription) -> tuple[str, ...]:
    """
    The rules that C{answer} breaks, names of L{RULES} in its order; empty if it is allowed.
    """
    broken: set[str] = set()
    if len(offer.media) != len(answer.media):
        broken.add("m-count")
    for offered, answered in zip(offer.media, answer.media, strict=False):
        broken |= _ofStream(offered, answered)
    return tuple(rule for rule in RULES if rule in broken)


def _ofStream(offered: MediaDescription, answered: MediaDescription) -> set[str]:
    if offered.kind.lower() != answered.kind.lower():
        return {"m-type"}
    if not answered.port:
        # Refused: whatever else the line says is without meaning (RFC 3264 section 6).
        return set()
    if not offered.port:
        return {"m-zero"}
    broken = set()
    if offered.protocol.upper() != answered.protocol.upper():
        broken.add("proto")
    if answered.direction not in _ANSWERS[offered.direction]:
        broken.add("direction")
    return broken | _ofKeys(offered, answered)


def _ofKeys(offered: MediaDescription, answered: MediaDescription) -> set[str]:
    lines = answered.crypto
    if not lines and not offered.crypto and offered.has("key-mgmt"):
        # Keys of another protocol (RFC 4567): whoever offered them knows what goes with them.
        return set()
    if not lines:
        # Under RTP/AVP keys are an offer that may be declined (RFC 8643 section 3.1).
        return {"crypto-missing"} if offered.isSecure or answered.isSecure else set()
    if len(lines) > 1:
        return {"crypto-count"}
    try:
        line = parseCrypto(lines[0])
    except UnsupportedCrypto as error:
        return _ofTag(_offeredLines(offered, error.tag), error.tag, error.suite) or {"crypto-invalid"}
    except MalformedCrypto:
        return {"crypto-invalid"}
    wanted = _offeredLines(offered, line.tag)
    broken = _ofTag(wanted, line.tag, line.suite)
    if not broken and wanted[line.tag][1] != line.negotiated:
        return {"crypto-negotiated-param"}
    return broken


def _ofTag(wanted: _Offered, tag: int, suite: str) -> set[str]:
    if tag not in wanted:
        return {"crypto-tag"}
    return set() if wanted[tag][0] == suite else {"crypto-suite"}


def _offeredLines(offered: MediaDescription, tag: int) -> _Offered:
    """The offered line of that tag, if it can be read, the first of a doubled tag."""
    wanted: _Offered = {}
    for value in offered.crypto:
        if value.split(None, 1)[:1] != [str(tag)]:
            continue  # of another tag, which need not be read
        try:
            line = parseCrypto(value)
            wanted.setdefault(line.tag, (line.suite, line.negotiated))
        except UnsupportedCrypto as error:
            wanted.setdefault(error.tag, (error.suite, frozenset()))
        except MalformedCrypto:
            continue
    return wanted
