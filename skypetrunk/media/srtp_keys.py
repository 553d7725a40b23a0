"""
Keys of SRTP, their derivation, and ciphers (RFC 3711 sections 4.1.1 and 4.3, RFC 6188, RFC 7714), without any
state.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from skypetrunk.errors import PacketRefused
from skypetrunk.wire.sdes import MasterKey, Suite

RTP_KEY, RTP_AUTHENTICATION, RTP_SALT, RTCP_KEY, RTCP_AUTHENTICATION, RTCP_SALT = range(6)
"""Labels (RFC 3711 section 4.3)."""

AUTHENTICATION_OCTETS = 20
"""Of a key for HMAC-SHA1 (RFC 3711 section 5.2)."""

AEAD_TAG_OCTETS = 16
"""RFC 7714 section 13.2."""


@dataclass(frozen=True, slots=True)
class KeyedMKI:
    """
    One master key with its MKI (RFC 3711 section 3.1).

    @ivar mki: empty where there is none; all of one context have the same length.
    """

    key: MasterKey
    mki: bytes = b""


@dataclass(frozen=True, slots=True)
class SessionParameters:
    """
    What RFC 4568 section 6.3 may change.

    @ivar encryptRTP: false for C{UNENCRYPTED_SRTP}.
    @ivar encryptRTCP: false for C{UNENCRYPTED_SRTCP}.
    @ivar authenticateRTP: false for C{UNAUTHENTICATED_SRTP}; AEAD suites have no such thing.
    @ivar rate: key derivation rate in packets, 0 for once.
    """

    encryptRTP: bool = True
    encryptRTCP: bool = True
    authenticateRTP: bool = True
    rate: int = 0


def reportEnd(suite: Suite, packet: bytes, mkiOctets: int = 0, tagOctets: int | None = None) -> int:
    """
    Where the word with the index ends in an SRTCP packet.

    @param tagOctets: of its tag; C{None}: as many as the suite says.
    """
    # AEAD: data, tag, word, MKI.  Else: data, word, MKI, tag.
    if tagOctets is None:
        tagOctets = suite.srtcpTagOctets
    return len(packet) - mkiOctets - (0 if suite.name.startswith("AEAD") else tagOctets)


def counterMode(key: bytes, counter: bytes, data: bytes) -> bytes:
    """
    AES in counter mode (RFC 3711 section 4.1.1): C{data} encrypted, or decrypted, which is the same.

    @param counter: 16 octets.
    """
    return Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor().update(data)


def derive(masterKey: bytes, masterSalt: bytes, label: int, octets: int, epoch: int = 0) -> bytes:
    """
    One session key (RFC 3711 section 4.3.1, with the AES of the master key's length: RFC 6188, RFC 7714
    section 11).

    @param epoch: packet index divided by the key derivation rate; 0 without a rate.
    """
    # The salt of 96 bits of the AEAD suites is followed by zeros.
    salt = int.from_bytes(masterSalt.ljust(14, b"\0"), "big")
    x = salt ^ (label << 48 | epoch)
    return counterMode(masterKey, (x << 16).to_bytes(16, "big"), bytes(octets))


def counterOf(salt: bytes, ssrc: int, index: int) -> bytes:
    """
    The first counter for one packet (RFC 3711 section 4.1.1).

    @param salt: session salt, 14 octets.
    @param index: 48 bits for RTP, 31 for RTCP.
    """
    value = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    return value.to_bytes(16, "big")


def nonceOf(salt: bytes, ssrc: int, index: int) -> bytes:
    """
    The initialization vector of AES-GCM for one packet (RFC 7714 sections 8.1 and 9.1).

    @param salt: session salt, 12 octets.
    @param index: ROC and sequence number for RTP, the 31 bits for RTCP.
    """
    return (int.from_bytes(salt, "big") ^ (ssrc << 48 | index)).to_bytes(12, "big")


def seal(aead: AESGCM, nonce: bytes, head: bytes, data: bytes, encrypt: bool, word: bytes = b"") -> bytes:
    """
    One packet with its tag (RFC 7714 sections 5, 8.2 and 9.2 to 9.3).

    @param head: what is never encrypted.
    @param data: what is encrypted, unless C{encrypt} is false.
    @param word: E bit and SRTCP index, which the tag covers, and which is not added here.
    """
    if encrypt:
        return head + aead.encrypt(nonce, data, head + word)
    return head + data + aead.encrypt(nonce, b"", head + data + word)


def unseal(
    aead: AESGCM, nonce: bytes, head: bytes, sealed: bytes, encrypted: bool, word: bytes = b""
) -> bytes:
    """
    The reverse of L{seal}.

    @raise PacketRefused: the tag is wrong.
    """
    try:
        if encrypted:
            return head + aead.decrypt(nonce, sealed, head + word)
        data, tag = sealed[:-AEAD_TAG_OCTETS], sealed[-AEAD_TAG_OCTETS:]
        aead.decrypt(nonce, tag, head + data + word)
        return head + data
    except InvalidTag:
        raise PacketRefused("authentication") from None


__all__ = [
    "AEAD_TAG_OCTETS",
    "AUTHENTICATION_OCTETS",
    "RTCP_AUTHENTICATION",
    "RTCP_KEY",
    "RTCP_SALT",
    "RTP_AUTHENTICATION",
    "RTP_KEY",
    "RTP_SALT",
    "KeyedMKI",
    "SessionParameters",
    "counterMode",
    "counterOf",
    "derive",
    "nonceOf",
    "reportEnd",
    "seal",
    "unseal",
]
