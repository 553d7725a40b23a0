"""
SRTP by libsrtp: one direction, one key (RFC 3711, the suites of RFC 4568 section 6.2 and RFC 7714).  What
libsrtp's interface does not know goes to L{skypetrunk.media.own_srtp}.

pylibsrtp's public call allocates twice and refuses packets that would still fit into a
datagram.  Its binding, called in place, costs half.  That use of a private binding stays
in this module, is verified when the module is imported, and falls back to the public call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pylibsrtp
from zope.interface import implementer

from skypetrunk.errors import LocalError, PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard, SessionParameters
from skypetrunk.media.replay import WINDOW
from skypetrunk.wire.rtp import rewriteHeader

if TYPE_CHECKING:
    from skypetrunk.interfaces import DeclaredKeys
    from skypetrunk.wire.sdes import InlineKey, MasterKey

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    "AES_CM_128_HMAC_SHA1_32": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 16, 14),
    "AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "AEAD_AES_256_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
}
"""What libsrtp does for us: profile, octets of the master key, octets of the master salt."""

DATAGRAM_LIMIT = 2048
"""Longer packets are refused: no media comes near it, and the buffer of a guard is that long."""

_STEP = 0x7000
"""Less than half of the sequence numbers: a longer step would be one back (RFC 3711 section 3.3.1)."""

_EMPTY = b"\x80" + bytes(11)

_TRAILER = 32
"""Room for the tag and the SRTCP index behind the longest packet."""

_REASONS = {
    "authentication failure": "authentication",
    "replay check failed (bad index)": "replay",
    "replay check failed (index too old)": "replay",
    "can't use key any more": "no-key",
    "no appropriate context found": "no-key",
}
"""libsrtp's texts and the counters they go under; everything else it says means a malformed packet."""


def _refusal(text: str) -> PacketRefused:
    return PacketRefused(_REASONS.get(text, "malformed"))


def _policy(suite: str, key: MasterKey, outbound: bool) -> pylibsrtp.Policy:
    """
    One wildcard policy: libsrtp makes a context for each SSRC it meets.  Whoever gets it takes the key away
    again.
    """
    if suite not in PROFILES:
        raise LocalError(f"no SRTP implementation for {suite}")
    profile, keyOctets, saltOctets = PROFILES[suite]
    if (len(key.key), len(key.salt)) != (keyOctets, saltOctets):  # libsrtp accepts longer ones silently
        raise LocalError(
            f"{suite} wants a key of {keyOctets} and a salt of {saltOctets} octets,"
            f" not {len(key.key)} and {len(key.salt)}"
        )
    policy = _keyless(profile, outbound)
    policy.key = key.key + key.salt
    return policy


@cache
def _keyless(profile: int, outbound: bool) -> pylibsrtp.Policy:
    """The same but for its key: making one costs as much as a context."""
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if outbound else pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Policy(ssrc_type=kind, srtp_profile=profile)


@implementer(IPacketGuard)
class PublicGuard:
    """SRTP through pylibsrtp's public interface."""

    def __init__(self, suite: str, key: MasterKey, outbound: bool) -> None:
        policy = _policy(suite, key, outbound)
        try:
            session = pylibsrtp.Session(policy)
        except pylibsrtp.Error as error:
            raise LocalError(f"libsrtp refuses the key: {error}") from None
        finally:
            policy.key = None
        self.suite = suite
        self._rtp: Callable[[bytes], bytes] = session.protect if outbound else session.unprotect
        self._rtcp: Callable[[bytes], bytes] = session.protect_rtcp if outbound else session.unprotect_rtcp

    def rtp(self, packet: bytes) -> bytes:
        """The other form of an RTP packet."""
        return self._call(self._rtp, packet)

    def rtcp(self, packet: bytes) -> bytes:
        """The other form of an RTCP compound packet."""
        return self._call(self._rtcp, packet)

    def _call(self, function: Callable[[bytes], bytes], packet: bytes) -> bytes:
        try:
            return function(packet)
        except ValueError:
            raise PacketRefused("size") from None
        except pylibsrtp.Error as error:
            raise _refusal(str(error)) from None


@implementer(IPacketGuard)
class InPlaceGuard:
    """
    SRTP through pylibsrtp's private binding, in one buffer for all: packets pass it one by one.  A session
    of pylibsrtp's own has a buffer of 1,500 octets, and there are two for each call.
    """

    __slots__ = ("_context", "_owned", "_rtcp", "_rtp", "suite")

    _ffi: Any = None
    _lib: Any
    _buffer: Any
    _view: Any
    _length: Any

    def __init__(self, suite: str, key: MasterKey, outbound: bool) -> None:
        if InPlaceGuard._ffi is None:
            self._bind()
        lib = self._lib
        self.suite = suite
        context = self._ffi.new("srtp_t *")
        policy = _policy(suite, key, outbound)
        status = lib.srtp_create(context, policy._policy)
        policy.key = None
        if status:
            raise LocalError(f"libsrtp refuses the key: {pylibsrtp.ERRORS[status]}")
        self._owned = self._ffi.gc(context, self._free)
        self._context = context[0]
        self._rtp: Any = lib.srtp_protect if outbound else lib.srtp_unprotect
        self._rtcp: Any = lib.srtp_protect_rtcp if outbound else lib.srtp_unprotect_rtcp

    @property
    def addresses(self) -> tuple[int, int]:
        """
        Where the function for RTP and its context are in memory; they stay there while this guard lives.

        @raise LocalError: it is not the function that the helper can call.
        """
        pointer = self._ffi.addressof(self._lib, self._rtp.__name__)
        kind = self._ffi.typeof(pointer)
        if [each.cname for each in kind.args] != ["struct srtp_ctx_t_ *", "void *", "int *"]:
            raise LocalError(f"libsrtp has become {kind.cname}")
        function, context = (self._ffi.cast("uintptr_t", each) for each in (pointer, self._context))
        return int(function), int(context)

    @property
    def inPlace(self) -> tuple[Any, Any, Any, Any, Any]:
        """
        For who calls libsrtp himself: the memory that a packet is put into, and found in afterwards; where
        its length is; the function, which gives 0 when it is done; and what stands before the length there.
        """
        return self._view, self._length, self._rtp, self._context, self._buffer

    @classmethod
    def _bind(cls) -> None:
        from pylibsrtp._binding import ffi, lib

        cls._lib = lib
        cls._buffer = ffi.new("char[]", DATAGRAM_LIMIT + _TRAILER)
        cls._view = ffi.buffer(cls._buffer)
        cls._length = ffi.new("int *")
        cls._ffi = ffi

    @staticmethod
    def _free(context: Any) -> None:
        InPlaceGuard._lib.srtp_dealloc(context[0])

    def rtp(self, packet: bytes) -> bytes:
        """The other form of an RTP packet."""
        return self._call(self._rtp, packet)

    def rtcp(self, packet: bytes) -> bytes:
        """The other form of an RTCP compound packet."""
        return self._call(self._rtcp, packet)

    def _call(self, function: Any, packet: bytes) -> bytes:
        size = len(packet)
        if size > DATAGRAM_LIMIT:
            raise PacketRefused("size")
        view, length = self._view, self._length
        view[0:size] = packet
        length[0] = size
        status = function(self._context, self._buffer, length)
        if status:
            raise _refusal(pylibsrtp.ERRORS[status])
        result: bytes = view[0 : length[0]]
        return result


class Probe:
    """A key and a packet of RFC 3711's kind with a known outcome (libsrtp's own self-test)."""

    suite = "AES_CM_128_HMAC_SHA1_80"
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139")
    salt = bytes.fromhex("0ec675ad498afeebb6960b3aabe6")
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    protected = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")


def inPlaceWorks(guard: Callable[[str, Any, bool], IPacketGuard] = InPlaceGuard) -> bool:
    """
    Does the private binding still do what this module believes?  Protects and
    unprotects a known packet, then a forged one; anything unexpected means no.
    """
    probe = Probe()
    suite = probe.suite
    try:
        if guard(suite, probe, True).rtp(probe.plain) != probe.protected:
            return False
        receiver = guard(suite, probe, False)
        try:
            receiver.rtp(probe.protected[:-1] + b"\0")
        except PacketRefused as refusal:
            return refusal.reason == "authentication" and receiver.rtp(probe.protected) == probe.plain
        return False
    except Exception:
        # Whatever a changed binding raises, the public call stays.
        return False


Guard: Callable[[str, MasterKey, bool], IPacketGuard] = InPlaceGuard if inPlaceWorks() else PublicGuard
"""The implementation in use, of those by libsrtp."""


def _guard(suite: str, key: MasterKey, outbound: bool) -> IPacketGuard:
    """libsrtp where it knows the suite: it costs less."""
    return (Guard if suite in PROFILES else OwnGuard)(suite, key, outbound)


def protector(suite: str, key: MasterKey) -> IPacketGuard:
    """
    The guard of one outbound key.

    @raise LocalError: unknown suite, or a key of the wrong length.
    """
    return _guard(suite, key, True)


def unprotector(
    suite: str, key: MasterKey, declared: DeclaredKeys | None = None, seen: Mapping[int, int] | None = None
) -> IPacketGuard:
    """
    The guard of one inbound key, or of all that the peer has declared.  Raises as L{protector}.

    @param seen: SSRCs, and an index of each up to which nothing is taken.
    """
    guard = _guard(suite, key, False) if declared is None else ownUnprotector(suite, key, declared)
    if isinstance(guard, OwnGuard):
        for ssrc, index in (seen or {}).items():
            guard.skip(ssrc, index)
    elif seen:
        sender = protector(suite, key)
        for ssrc, index in seen.items():
            _lead(guard, sender, ssrc, index)
    return guard


def _lead(guard: IPacketGuard, sender: IPacketGuard, ssrc: int, index: int) -> None:
    """
    libsrtp cannot be told an index by its binding, so packets lead it there that nobody else sees: by
    the longest steps over each end of the sequence numbers, and at last by each packet of its replay window.
    """
    last = max(0, index - WINDOW + 1)
    for each in (*range(0, last, _STEP), *range(last, index + 1)):
        packet = rewriteHeader(_EMPTY, marker=False, sequence=each & 0xFFFF, timestamp=0, ssrc=ssrc)
        guard.rtp(sender.rtp(packet))


def ownUnprotector(suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> OwnGuard:
    """The same of the kind that can be told a roll-over counter."""
    if declared is None:
        return OwnGuard(suite, key, False)
    keys = [KeyedMKI(each.master, _octets(each)) for each in declared.keys]
    return OwnGuard(suite, keys, False, SessionParameters(rate=declared.derivationRate))


def _octets(key: InlineKey) -> bytes:
    """Its MKI, as packets have it."""
    return b"" if key.mki is None or key.mkiLength is None else key.mki.to_bytes(key.mkiLength, "big")
