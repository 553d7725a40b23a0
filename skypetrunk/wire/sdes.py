"""
SRTP keys in SDP: the C{a=crypto} attribute (RFC 4568; suites of RFC 6188 and 7714 too).

What a suite I{is} stands here.  Which suites a trunk I{allows}, and whether it takes
what a session parameter asks for, is decided elsewhere.  Key octets never reach a
repr, a str or the text of an error.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from types import MappingProxyType
from typing import NoReturn

from skypetrunk.errors import MalformedSDP
from skypetrunk.values import quick

__all__ = [
    "MAX_LIFETIME",
    "SUITES",
    "CryptoAttribute",
    "InlineKey",
    "MalformedCrypto",
    "MasterKey",
    "Suite",
    "UnsupportedCrypto",
    "parseCrypto",
    "usableCrypto",
]

# RFC 3711 section 9.2: no key protects more than 2**48 SRTP packets.
MAX_LIFETIME = 2**48


class MalformedCrypto(MalformedSDP):
    """A crypto line that breaks RFC 4568.  The line is skipped and its key never used."""


class UnsupportedCrypto(MalformedSDP):
    """
    A well-formed crypto line with a suite, key method or FEC that is not known here: look
    at the next one.

    @ivar tag: its tag.
    @ivar suite: its suite, upper case.
    """

    def __init__(self, text: str, tag: int, suite: str) -> None:
        super().__init__(text)
        self.tag = tag
        self.suite = suite


@dataclass(frozen=True, slots=True)
class Suite:
    """One crypto suite (RFC 4568 section 6.2, RFC 6188 section 4, RFC 7714 section 14.2); sizes in octets."""

    name: str
    keyOctets: int
    saltOctets: int
    tagOctets: int
    srtcpTagOctets: int


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        suite.name: suite
        for suite in (
            Suite("AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10),
            # RFC 4568 section 6.2.2: the short tag is for SRTP only.
            Suite("AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10),
            Suite("AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10),
            Suite("AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10),
            Suite("AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10),
            Suite("AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10),
            Suite("AEAD_AES_128_GCM", 16, 12, 16, 16),
            Suite("AEAD_AES_256_GCM", 32, 12, 16, 16),
        )
    }
)


@quick
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MasterKey:
    """An SRTP master key and its salt.  Compares in constant time; shows nothing; is not pickled."""

    key: bytes
    salt: bytes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MasterKey):
            return NotImplemented
        return compare_digest(self.key, other.key) and compare_digest(self.salt, other.salt)

    def __hash__(self) -> int:
        return hash((self.key, self.salt))

    def __repr__(self) -> str:
        return "MasterKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an SRTP key is not pickled")


@quick
@dataclass(frozen=True, slots=True)
class InlineKey:
    """
    One C{inline:} key (RFC 4568 section 6.1).

    @ivar lifetime: packets, or C{None}: the default of the suite.
    @ivar mki: master key identifier, or C{None}: packets carry none.
    @ivar mkiLength: octets of it in each packet.
    """

    master: MasterKey
    lifetime: int | None = None
    mki: int | None = None
    mkiLength: int | None = None

    def encode(self) -> str:
        """The key as a key-param of the attribute.  It is in there in clear."""
        text = "inline:" + b64encode(self.master.key + self.master.salt).decode("ascii")
        if self.lifetime is not None:
            exponent = self.lifetime.bit_length() - 1
            text += f"|2^{exponent}" if self.lifetime == 1 << exponent else f"|{self.lifetime}"
        if self.mki is not None:
            text += f"|{self.mki}:{self.mkiLength}"
        return text


@quick
@dataclass(frozen=True, slots=True, repr=False)
class CryptoAttribute:
    """
    One C{a=crypto} line.

    @ivar suite: a name of L{SUITES}.
    @ivar sessionParameters: as written, unknown ones with a dash included.
    """

    tag: int
    suite: str
    keys: tuple[InlineKey, ...]
    sessionParameters: tuple[str, ...] = ()

    def encode(self) -> str:
        """The value behind C{a=crypto:}.  The keys are in there in clear."""
        fields = [str(self.tag), self.suite, ";".join(key.encode() for key in self.keys)]
        return " ".join([*fields, *self.sessionParameters])

    @property
    def negotiated(self) -> frozenset[str]:
        """The negotiated session parameters (RFC 4568 section 6.3), in upper case: both sides must agree."""
        return frozenset(p.upper() for p in self.sessionParameters) & NEGOTIATED

    @property
    def derivationRate(self) -> int:
        """Packets after which the sender derives its session keys anew (section 6.3.1); 0: never."""
        for parameter in self.sessionParameters:
            word, _, value = parameter.partition("=")
            if word.upper() == "KDR" and int(value):
                return 1 << int(value)
        return 0

    def __repr__(self) -> str:
        words = " ".join([f"{len(self.keys)} hidden", *self.sessionParameters])
        return f"<CryptoAttribute {self.tag} {self.suite}, keys: {words}>"


NEGOTIATED = frozenset({"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"})

_TAG = re.compile(r"0|[1-9][0-9]{0,8}")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_BASE64 = re.compile(r"([A-Za-z0-9+/]+)(={0,2})")
# As nearly all are written: no lifetime, MKI or session parameters.
_USUAL = re.compile(rf"({_TAG.pattern})[ \t]+([A-Z0-9_]+)[ \t]+inline:([A-Za-z0-9+/]+={{0,2}})")
_LIFETIME = re.compile(r"(?:2\^(0|[1-9][0-9]?)|([1-9][0-9]{0,14}))")
# 128 octets (RFC 4568 section 6.1) are at most 309 digits.
_MKI = re.compile(r"(0|[1-9][0-9]{0,308}):([1-9][0-9]{0,2})")
_WHITE = re.compile(r"[ \t]+")
_PARAMETERS = re.compile(
    r"""KDR=(?:[0-9]|1[0-9]|2[0-4])              # section 6.3.1: 0 to 24
      | UNENCRYPTED_SRTC?P | UNAUTHENTICATED_SRTP
      | FEC_ORDER=(?:FEC_SRTP|SRTP_FEC)
      | WSH=(?:6[4-9]|[7-9][0-9]|[1-9][0-9]{2,9})  # section 6.3.6: 64 at least
      | -[!-~]+                                  # section 6.3.7: unknown and optional
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def parseCrypto(value: str) -> CryptoAttribute:
    """
    Read what stands behind C{a=crypto:}.

    @raise MalformedCrypto: it breaks the grammar or a rule of RFC 4568.
    @raise UnsupportedCrypto: well formed, but not known here.
    """
    usual = _USUAL.fullmatch(value)
    if usual is not None and usual[2] in SUITES:
        tag, suite = int(usual[1]), SUITES[usual[2]]
        return CryptoAttribute(tag, suite.name, (InlineKey(_parseSecret(usual[3], tag, suite)),))
    fields = _WHITE.split(value.strip(" \t"))
    if len(fields) < 3:
        raise MalformedCrypto("crypto: tag, suite and key are wanted")
    if not _TAG.fullmatch(fields[0]):
        raise MalformedCrypto("crypto: tag is not a number of up to nine digits without leading zero")
    tag = int(fields[0])
    if not _WORD.fullmatch(fields[1]):
        raise MalformedCrypto(f"crypto {tag}: not a suite name")
    # Section 9.2: the strings of the grammar compare without regard to case.
    name = fields[1].upper()
    if name not in SUITES:
        raise UnsupportedCrypto(f"crypto {tag}: suite {name[:60]} is not known", tag, name)
    suite = SUITES[name]
    keys = tuple(_parseKey(text, tag, suite) for text in fields[2].split(";"))
    _checkKeys(keys, tag)
    seen: set[str] = set()
    for parameter in fields[3:]:
        word = parameter.partition("=")[0].upper()
        if word == "FEC_KEY":
            raise UnsupportedCrypto(f"crypto {tag}: FEC_KEY needs FEC, which is not known", tag, name)
        if not _PARAMETERS.fullmatch(parameter):
            # Section 6.3.7: an unknown parameter without a dash makes the line invalid.
            # Not named: after a stray space it may be half of a key.
            raise MalformedCrypto(f"crypto {tag}: unknown session parameter, or a value out of range")
        if word in seen and not word.startswith("-"):
            raise MalformedCrypto(f"crypto {tag}: session parameter {word} twice")
        seen.add(word)
    return CryptoAttribute(tag, name, keys, tuple(fields[3:]))


def usableCrypto(values: Iterable[str]) -> tuple[CryptoAttribute, ...]:
    """
    The lines of an offer that can be used, in its order; the others are skipped as RFC
    4568 section 7.1.2 wants it.  Of two lines with the same tag the first counts.
    """
    found: dict[int, CryptoAttribute] = {}
    for value in values:
        try:
            line = parseCrypto(value)
        except (MalformedCrypto, UnsupportedCrypto):
            continue
        found.setdefault(line.tag, line)
    return tuple(found.values())


def _parseKey(text: str, tag: int, suite: Suite) -> InlineKey:
    method, colon, info = text.partition(":")
    if not colon or not _WORD.fullmatch(method):
        raise MalformedCrypto(f"crypto {tag}: a key must be written as inline:...")
    if method.lower() != "inline":
        raise UnsupportedCrypto(f"crypto {tag}: key method is not inline", tag, suite.name)
    secret, *rest = info.split("|")
    master = _parseSecret(secret, tag, suite)
    lifetime = mki = mkiLength = None
    # Section 6.1: both are optional; the one with the colon is the MKI.
    if rest and ":" not in rest[0]:
        lifetime = _parseLifetime(rest.pop(0), tag)
    if rest:
        matched = _MKI.fullmatch(rest.pop(0))
        if matched is None:
            raise MalformedCrypto(f"crypto {tag}: MKI is not written as value:length")
        mki, mkiLength = int(matched[1]), int(matched[2])
        if mkiLength > 128 or mki.bit_length() > 8 * mkiLength:
            raise MalformedCrypto(f"crypto {tag}: MKI longer than 128 octets, or not fitting its length")
    if rest:
        raise MalformedCrypto(f"crypto {tag}: more than lifetime and MKI behind a key")
    return InlineKey(master, lifetime, mki, mkiLength)


def _parseSecret(text: str, tag: int, suite: Suite) -> MasterKey:
    matched = _BASE64.fullmatch(text)
    # Missing padding is taken, as section 6.1 says that padding is discarded when decoding;
    # padding that is there must be right.
    if matched is None or len(matched[1]) % 4 == 1 or (matched[2] and len(text) % 4):
        raise MalformedCrypto(f"crypto {tag}: key is not base64")
    octets = b64decode(matched[1] + "=" * (-len(matched[1]) % 4), validate=True)
    wanted = suite.keyOctets + suite.saltOctets
    if len(octets) != wanted:
        raise MalformedCrypto(f"crypto {tag}: key and salt of {len(octets)} octets, {wanted} wanted")
    return MasterKey(octets[: suite.keyOctets], octets[suite.keyOctets :])


def _parseLifetime(text: str, tag: int) -> int:
    matched = _LIFETIME.fullmatch(text)
    lifetime = 0
    if matched is not None:
        lifetime = 2 ** int(matched[1]) if matched[1] is not None else int(matched[2])
    if not 1 <= lifetime <= MAX_LIFETIME:
        raise MalformedCrypto(f"crypto {tag}: lifetime is not 2^n or a number, up to 2^48 packets")
    return lifetime


def _checkKeys(keys: tuple[InlineKey, ...], tag: int) -> None:
    if len(keys) == 1:
        return
    # Section 6.1: several keys are told apart by their MKI, of one length, and differ.
    lengths = {key.mkiLength for key in keys}
    if None in lengths or len(lengths) > 1:
        raise MalformedCrypto(f"crypto {tag}: several keys need MKIs of one length")
    if len({key.mki for key in keys}) < len(keys) or len({key.master for key in keys}) < len(keys):
        raise MalformedCrypto(f"crypto {tag}: several keys with the same MKI or the same octets")
