"""
SRTP of our own (RFC 3711, RFC 6188, RFC 7714), with AES of C{cryptography}: for what the interface of libsrtp
lacks.  That is AES-192 and AES-256 in counter mode, MKI, a given roll-over counter or SRTCP index, a key
derivation rate, parameters of a session, and packets of any size.

It is an implementation apart: each of the two decrypts what the other has encrypted.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from zope.interface import implementer

from skypetrunk.errors import LocalError, PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.replay import Seen
from skypetrunk.media.srtp_keys import (
    AEAD_TAG_OCTETS,
    AUTHENTICATION_OCTETS,
    RTCP_AUTHENTICATION,
    RTCP_KEY,
    RTCP_SALT,
    RTP_AUTHENTICATION,
    RTP_KEY,
    RTP_SALT,
    KeyedMKI,
    SessionParameters,
    counterMode,
    counterOf,
    derive,
    nonceOf,
    reportEnd,
    seal,
    unseal,
)
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from skypetrunk.wire.sdes import SUITES, MasterKey, Suite

LAST_INDEX = 2**48 - 1
LAST_RTCP_INDEX = 2**31 - 1
"""No key goes beyond them (RFC 3711 section 9.2)."""

_ENCRYPTED = 1 << 31
_EPOCHS = 4
"""Session keys kept with a key derivation rate: packets come late, and out of order."""


@dataclass(slots=True)
class _Keys:
    """The session keys of one master key in one direction, for RTP or RTCP."""

    cipher: bytes
    salt: bytes
    authentication: bytes
    aead: AESGCM | None


@dataclass(slots=True)
class _Master:
    """One master key, and what was derived from it."""

    source: KeyedMKI
    derived: dict[tuple[int, int], _Keys] = field(default_factory=dict)


@implementer(IPacketGuard)
class OwnGuard:
    """
    One crypto context, one direction: protects or unprotects.

    @ivar suite: its name.
    @ivar mkiOctets: how long its MKIs are.
    @ivar seen: of each SSRC; guards with the same key may share it.
    """

    def __init__(
        self,
        suite: str,
        keys: MasterKey | Sequence[KeyedMKI],
        outbound: bool,
        parameters: SessionParameters = SessionParameters(),  # noqa: B008 (a frozen value)
        rollOver: Mapping[int, int] | None = None,
        rtcpIndex: Mapping[int, int] | None = None,
    ) -> None:
        """
        @param keys: with MKI where there are several; the first protects, until L{select}.
        @param rollOver: roll-over counters by SSRC, for who joins late.
        @param rtcpIndex: the first SRTCP index to send, by SSRC; 0 for others.
        @raise LocalError: unknown suite, a key of the wrong length, MKIs of several lengths.
        """
        if suite not in SUITES:
            raise LocalError(f"no SRTP implementation for {suite}")
        self.suite = suite
        self._suite: Suite = SUITES[suite]
        self._aead = suite.startswith("AEAD")
        self._parameters = parameters
        given = [KeyedMKI(keys)] if isinstance(keys, MasterKey) else list(keys)
        for each in given:
            self._checkLength(each.key)
        self._masters = {each.mki: _Master(each) for each in given}
        lengths = {len(each.mki) for each in given}
        if len(lengths) != 1 or len(self._masters) != len(given):
            raise LocalError("wanted keys with MKIs of one length, each another")
        self.mkiOctets = lengths.pop()
        self._current = self._masters[given[0].mki]
        self.seen: dict[int, Seen] = {}
        for ssrc, counter in (rollOver or {}).items():
            self._source(ssrc).resume(counter)
        for ssrc, index in (rtcpIndex or {}).items():
            self._source(ssrc).nextRTCP = index
        self.rtp = self._protect if outbound else self._unprotect  # type: ignore[method-assign]
        self.rtcp = self._protectRTCP if outbound else self._unprotectRTCP  # type: ignore[method-assign]

    def rtp(self, packet: bytes) -> bytes:
        """The other form of an RTP packet; see L{IPacketGuard}."""
        raise AssertionError("set by direction")

    def rtcp(self, packet: bytes) -> bytes:
        """The other form of an RTCP compound packet; see L{IPacketGuard}."""
        raise AssertionError("set by direction")

    def select(self, mki: bytes) -> None:
        """
        Protect with the key of this MKI from now on.

        @raise KeyError: there is none.
        """
        self._current = self._masters[mki]

    def opens(self, packet: bytes, header: RTPHeader, counter: int) -> bool:
        """Is an RTP packet authentic with this roll-over counter?  Nothing changes."""
        try:
            self._open(packet, header, counter << 16 | header.sequence)
        except PacketRefused:
            return False
        return True

    def resume(self, ssrc: int, counter: int) -> None:
        """The next packet of C{ssrc} has this roll-over counter, whatever came before."""
        self._source(ssrc).resume(counter)

    def skip(self, ssrc: int, index: int) -> None:
        """Nothing of C{ssrc} is taken up to this index."""
        if index > self.highest(ssrc):
            self._source(ssrc).rtp.begin(index, seen=True)

    def openReport(self, packet: bytes, tagOctets: int | None = None) -> tuple[int, bytes]:
        """
        The index of an authentic RTCP compound, and what it says.  Nothing changes.

        @param tagOctets: how long its tag is; C{None}: as the suite says.
        @raise PacketRefused: it is none.
        """
        return self._openRTCP(packet, tagOctets=tagOctets)

    def takeReport(self, ssrc: int, index: int) -> None:
        """
        It is accepted.

        @raise PacketRefused: the index was seen.
        """
        window = self._source(ssrc).rtcp
        window.check(index)
        window.add(index)

    def resumeReports(self, ssrc: int, index: int, seen: bool = False) -> None:
        """
        The highest index of C{ssrc} is this one, whatever came before.

        @param seen: nothing is taken up to there.
        """
        self._source(ssrc).rtcp.begin(index, seen)

    def highest(self, ssrc: int) -> int:
        """The highest index of RTP so far, -1 at first."""
        source = self.seen.get(ssrc)
        return -1 if source is None else source.rtp.highest

    # RTP

    def _protect(self, packet: bytes) -> bytes:
        header = parseRTP(packet)
        source = self._source(header.ssrc)
        index = self._index(source, header.sequence)
        source.rtp.check(index)
        keys = self._keys(self._current, RTP_KEY, index)
        head, payload = packet[: header.headerLength], packet[header.headerLength :]
        mki = self._current.source.mki
        if keys.aead is not None:
            nonce = nonceOf(keys.salt, header.ssrc, index)
            protected = seal(keys.aead, nonce, head, payload, self._parameters.encryptRTP) + mki
        else:
            if self._parameters.encryptRTP:
                payload = counterMode(keys.cipher, counterOf(keys.salt, header.ssrc, index), payload)
            protected = head + payload
            protected += mki + self._tag(keys, protected, index)
        source.given = False
        source.rtp.add(index)
        return protected

    def _unprotect(self, packet: bytes) -> bytes:
        header = parseRTP(packet)
        source = self.seen.get(header.ssrc) or Seen()
        index = self._index(source, header.sequence)
        plain = self._open(packet, header, index, source)
        self.seen[header.ssrc] = source
        source.given = False
        source.rtp.add(index)
        return plain

    def _open(self, packet: bytes, header: RTPHeader, index: int, source: Seen | None = None) -> bytes:
        """
        What is authentic with this index.

        @param source: that must not have seen it.
        """
        tagOctets = self._tagOctets()
        body = len(packet) - self.mkiOctets - (AEAD_TAG_OCTETS if self._aead else tagOctets)
        if header.headerLength > body:
            raise PacketRefused("malformed")
        if source is not None:
            source.rtp.check(index)
        mkiAt = len(packet) - self.mkiOctets if self._aead else body
        keys = self._keys(self._master(packet[mkiAt : mkiAt + self.mkiOctets]), RTP_KEY, index)
        head = packet[: header.headerLength]
        if keys.aead is not None:
            nonce = nonceOf(keys.salt, header.ssrc, index)
            sealed = packet[header.headerLength : mkiAt]
            return unseal(keys.aead, nonce, head, sealed, self._parameters.encryptRTP)
        tag = self._tag(keys, packet[:body], index)
        if not hmac.compare_digest(tag, packet[len(packet) - tagOctets :]):
            raise PacketRefused("authentication")
        payload = packet[header.headerLength : body]
        if self._parameters.encryptRTP:
            payload = counterMode(keys.cipher, counterOf(keys.salt, header.ssrc, index), payload)
        return head + payload

    def _tagOctets(self) -> int:
        return self._suite.tagOctets if self._parameters.authenticateRTP else 0

    def _tag(self, keys: _Keys, packet: bytes, index: int) -> bytes:
        """RFC 3711 section 4.2: over the packet and the roll-over counter."""
        octets = self._tagOctets()
        counter = (index >> 16).to_bytes(4, "big")
        return hmac.digest(keys.authentication, packet + counter, "sha1")[:octets] if octets else b""

    def _index(self, source: Seen, sequence: int) -> int:
        """
        The packet index that C{sequence} most likely means (RFC 3711 section 3.3.1).

        @raise PacketRefused: C{no-key}: there is none, the key is used up.
        """
        highest = source.rtp.highest
        if highest < 0:
            return sequence
        if source.given:
            return highest & ~0xFFFF | sequence
        counter, last = highest >> 16, highest & 0xFFFF
        if last < 0x8000 and sequence - last > 0x8000:
            counter -= 1
        elif last >= 0x8000 and last - 0x8000 > sequence:
            counter += 1
        index = counter << 16 | sequence
        if counter < 0:
            raise PacketRefused("replay")
        if index > LAST_INDEX:
            raise PacketRefused("no-key")
        return index

    # RTCP

    def _protectRTCP(self, packet: bytes) -> bytes:
        if len(packet) < 8:
            raise PacketRefused("malformed")
        ssrc = int.from_bytes(packet[4:8], "big")
        source = self._source(ssrc)
        index = source.nextRTCP
        if index > LAST_RTCP_INDEX:
            raise PacketRefused("no-key")
        keys = self._keys(self._current, RTCP_KEY, index)
        encrypted = self._parameters.encryptRTCP
        word = (index | (_ENCRYPTED if encrypted else 0)).to_bytes(4, "big")
        mki = self._current.source.mki
        if keys.aead is not None:
            nonce = nonceOf(keys.salt, ssrc, index)
            protected = seal(keys.aead, nonce, packet[:8], packet[8:], encrypted, word) + word + mki
        else:
            body = packet[8:]
            if encrypted:
                body = counterMode(keys.cipher, counterOf(keys.salt, ssrc, index), body)
            protected = packet[:8] + body + word
            protected += mki + self._rtcpTag(keys, protected)
        source.nextRTCP = index + 1
        return protected

    def _unprotectRTCP(self, packet: bytes) -> bytes:
        ssrc = int.from_bytes(packet[4:8], "big")
        source = self.seen.get(ssrc) or Seen()
        index, plain = self._openRTCP(packet, source)
        self.seen[ssrc] = source
        source.rtcp.add(index)
        return plain

    def _openRTCP(
        self, packet: bytes, source: Seen | None = None, tagOctets: int | None = None
    ) -> tuple[int, bytes]:
        """
        The index of what is authentic, and what it says.

        @param source: that must not have seen it.
        """
        if tagOctets is None:
            tagOctets = AEAD_TAG_OCTETS if self._aead else self._suite.srtcpTagOctets
        if len(packet) < 8 + 4 + tagOctets + self.mkiOctets:
            raise PacketRefused("malformed")
        end = reportEnd(self._suite, packet, self.mkiOctets, tagOctets)
        word, mki = packet[end - 4 : end], packet[end : end + self.mkiOctets]
        value = int.from_bytes(word, "big")
        encrypted, index = bool(value & _ENCRYPTED), value & LAST_RTCP_INDEX
        ssrc = int.from_bytes(packet[4:8], "big")
        if source is not None:
            source.rtcp.check(index)
        keys = self._keys(self._master(mki), RTCP_KEY, index)
        if keys.aead is not None:
            nonce = nonceOf(keys.salt, ssrc, index)
            plain = unseal(keys.aead, nonce, packet[:8], packet[8 : end - 4], encrypted, word)
        else:
            tag = self._rtcpTag(keys, packet[:end])[:tagOctets]
            if not hmac.compare_digest(tag, packet[len(packet) - tagOctets :]):
                raise PacketRefused("authentication")
            body = packet[8 : end - 4]
            if encrypted:
                body = counterMode(keys.cipher, counterOf(keys.salt, ssrc, index), body)
            plain = packet[:8] + body
        return index, plain

    def _rtcpTag(self, keys: _Keys, packet: bytes) -> bytes:
        return hmac.digest(keys.authentication, packet, "sha1")[: self._suite.srtcpTagOctets]

    # Both

    def _source(self, ssrc: int) -> Seen:
        source = self.seen.get(ssrc)
        if source is None:
            source = self.seen[ssrc] = Seen()
        return source

    def _master(self, mki: bytes) -> _Master:
        master = self._masters.get(mki)
        if master is None:
            raise PacketRefused("authentication")
        return master

    def _keys(self, master: _Master, label: int, index: int) -> _Keys:
        """The session keys for one packet, derived once for each period of the rate."""
        rate = self._parameters.rate
        epoch = index // rate if rate else 0
        found = master.derived.get((label, epoch))
        if found is not None:
            return found
        key, salt = master.source.key.key, master.source.key.salt
        cipher = derive(key, salt, label, self._suite.keyOctets, epoch)
        tagLabel, saltLabel = (
            (RTP_AUTHENTICATION, RTP_SALT) if label == RTP_KEY else (RTCP_AUTHENTICATION, RTCP_SALT)
        )
        keys = master.derived[label, epoch] = _Keys(
            cipher,
            derive(key, salt, saltLabel, self._suite.saltOctets, epoch),
            b"" if self._aead else derive(key, salt, tagLabel, AUTHENTICATION_OCTETS, epoch),
            AESGCM(cipher) if self._aead else None,
        )
        if len(master.derived) > 2 * _EPOCHS:
            del master.derived[next(iter(master.derived))]
        return keys

    def _checkLength(self, key: MasterKey) -> None:
        wanted = self._suite.keyOctets, self._suite.saltOctets
        if (len(key.key), len(key.salt)) != wanted:
            raise LocalError(
                f"{self.suite} wants a key of {wanted[0]} and a salt of {wanted[1]} octets,"
                f" not {len(key.key)} and {len(key.salt)}"
            )


__all__ = ["KeyedMKI", "OwnGuard", "SessionParameters"]
