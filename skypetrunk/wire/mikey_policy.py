"""
SRTP policies in MIKEY (RFC 3830 section 6.10.1, RFC 7714 section 14.4): which suite one stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skypetrunk.wire.mikey_payloads import MalformedMIKEY, SecurityPolicy, UnsupportedMIKEY
from skypetrunk.wire.sdes import SUITES, Suite

__all__ = ["policyOf", "suiteOf"]

_SRTP = 0

(
    _ENCRYPTION,
    _KEY,
    _AUTHENTICATION,
    _AUTHENTICATION_KEY,
    _SALT,
    _PRF,
    _RATE,
    _SRTP_ENCRYPTED,
    _SRTCP_ENCRYPTED,
    _FEC_ORDER,
    _AUTHENTICATED,
    _TAG,
    _PREFIX,
) = range(13)
_AEAD_TAG = 20

_AES_CM, _AES_GCM = 1, 6
_HMAC_SHA1 = 1

_DEFAULTS: Mapping[int, int] = MappingProxyType(
    {
        _ENCRYPTION: _AES_CM,
        _KEY: 16,
        _AUTHENTICATION: _HMAC_SHA1,
        _AUTHENTICATION_KEY: 20,
        _SALT: 14,
        _PRF: 0,
        _RATE: 0,
        _SRTP_ENCRYPTED: 1,
        _SRTCP_ENCRYPTED: 1,
        _FEC_ORDER: 0,
        _AUTHENTICATED: 1,
        _TAG: 10,
        _PREFIX: 0,
        _AEAD_TAG: 16,
    }
)
"""What counts where a parameter is not there."""

_TAGS = (4, 10)

_MUST = {
    _AUTHENTICATION_KEY: "the length of the authentication key",
    _PRF: "the key derivation of SRTP",
    _RATE: "a key derivation rate",
    _SRTP_ENCRYPTED: "SRTP without encryption",
    _SRTCP_ENCRYPTED: "SRTCP without encryption",
    _AUTHENTICATED: "SRTP without authentication",
    _PREFIX: "a prefix before the key stream",
}
"""What must be as by default: the rest would be weaker, or cannot be done."""


def policyOf(suite: str, number: int = 0) -> SecurityPolicy:
    """The policy C{number} that stands for a suite, all of it written out."""
    known = SUITES[suite]
    values = dict(_DEFAULTS)
    values[_KEY], values[_SALT] = known.keyOctets, known.saltOctets
    if _isAEAD(known):
        values[_ENCRYPTION], values[_AUTHENTICATION], values[_AEAD_TAG] = _AES_GCM, 0, known.tagOctets
        left = {_AUTHENTICATION_KEY, _TAG, _PREFIX}
    else:
        values[_TAG] = known.tagOctets
        left = {_AEAD_TAG, _PREFIX}
    written = tuple((kind, bytes((value,))) for kind, value in values.items() if kind not in left)
    return SecurityPolicy(number, _SRTP, written)


def suiteOf(policy: SecurityPolicy) -> str:
    """
    The suite that C{policy} stands for, a name of L{SUITES}.

    @raise MalformedMIKEY: a parameter stands there twice, or has no value.
    @raise UnsupportedMIKEY: it asks for what no suite is, or for less security; the text names it.
    """
    if policy.protocol != _SRTP:
        raise UnsupportedMIKEY(f"a policy for protocol {policy.protocol}, 0 is SRTP")
    given: dict[int, int] = {}
    for kind, octets in policy.parameters:
        if kind in given or not 1 <= len(octets) <= 4:
            raise MalformedMIKEY(f"parameter {kind} of the policy twice, or of {len(octets)} octets")
        if kind not in _DEFAULTS:
            raise UnsupportedMIKEY(f"parameter {kind} of the policy is not known")
        given[kind] = int.from_bytes(octets, "big")
    if given.get(_AUTHENTICATION_KEY) in _TAGS and _TAG not in given:
        # GStreamer writes the length of the tag there; no suite has keys as short as that.
        given[_TAG] = given.pop(_AUTHENTICATION_KEY)
    aead = given.get(_ENCRYPTION) == _AES_GCM
    values = {**_DEFAULTS, **given}
    for kind, what in _MUST.items():
        if values[kind] != _DEFAULTS[kind] and not (aead and kind == _AUTHENTICATION_KEY):
            raise UnsupportedMIKEY(f"the policy asks for {what} ({values[kind]})")
    cipher = (values[_ENCRYPTION], values[_AUTHENTICATION], values[_KEY], values[_SALT])
    for name, suite in SUITES.items():
        if cipher == _cipher(suite) and values[_AEAD_TAG if aead else _TAG] == suite.tagOctets:
            return name
    raise UnsupportedMIKEY(
        f"the policy asks for encryption {cipher[0]}, authentication {cipher[1]}, a key of"
        f" {cipher[2]}, a salt of {cipher[3]} and a tag of {values[_AEAD_TAG if aead else _TAG]} octets"
    )


def _isAEAD(suite: Suite) -> bool:
    return suite.name.startswith("AEAD")


def _cipher(suite: Suite) -> tuple[int, int, int, int]:
    kinds = (_AES_GCM, 0) if _isAEAD(suite) else (_AES_CM, _HMAC_SHA1)
    return (*kinds, suite.keyOctets, suite.saltOctets)
