"""
MIKEY messages that were seen before, or come at the wrong time (RFC 3830 section 5.4): a message that
somebody recorded makes no key a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256

from skypetrunk.wire.mikey_payloads import Timestamp, UnsupportedMIKEY
from skypetrunk.wire.sdes import MasterKey

SKEW_SECONDS = 300.0
"""How far the clocks of the two ends may be apart, and how old a message may be when it arrives."""

MOST_DIGESTS = 40_000
"""Kept, of a message and its key each, some 8 MB: 33 calls in each second."""

_NTP_EPOCH = 2_208_988_800
"""1970 as NTP counts, in seconds from 1900."""

_ERA = 2**64


def ntpTime(seconds: float) -> Timestamp:
    """A time stamp of type NTP-UTC (section 6.6) for so many seconds since 1970."""
    fraction = int((seconds + _NTP_EPOCH) * 2**32) % _ERA
    return Timestamp(0, fraction.to_bytes(8, "big"))


class SeenMessages:
    """The messages from one peer that have made keys."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: since 1970, as L{time.time}.
        """
        self._seconds = seconds
        self._seen: dict[bytes, float] = {}
        self._floor = -math.inf

    def now(self) -> Timestamp:
        """For a message of ours."""
        return ntpTime(self._seconds())

    def check(self, octets: bytes, time: Timestamp, key: MasterKey | None) -> None:
        """
        May a message make a key now?

        @param time: its time stamp, proved.
        @param key: what we would protect with: whatever else is new, no key is used in two calls.  C{None}:
            what we protect with already.
        @raise UnsupportedMIKEY: no; the text says why.
        """
        trouble = self._trouble(octets, time, key)
        if trouble:
            raise UnsupportedMIKEY(trouble)

    def _trouble(self, octets: bytes, time: Timestamp, key: MasterKey | None) -> str:
        if time.kind == 2:
            return "its time stamp is a counter, NTP is wanted"
        age = self._age(time)
        if abs(age) > SKEW_SECONDS:
            late, most = ("old", age) if age > 0 else ("ahead", -age)
            return f"it is {most:.0f} seconds {late}, {SKEW_SECONDS:.0f} at most are taken"
        if _digest(octets) in self._seen:
            return "it was used before"
        if key is not None and _digest(key.key + key.salt) in self._seen:
            return "its key was used before"
        if self._seconds() - age <= self._floor:
            return "it is older than what is remembered"
        return ""

    def add(self, octets: bytes, time: Timestamp, key: MasterKey) -> None:
        """A message has made a key, with which we protect."""
        now = self._seconds()
        made = now - self._age(time)
        self._seen[_digest(octets)] = self._seen[_digest(key.key + key.salt)] = made
        # In the order in which they came; an old one behind a young one only stays longer.
        while self._seen:
            first = next(iter(self._seen))
            old = self._seen[first] < now - 2 * SKEW_SECONDS
            if not old and len(self._seen) <= MOST_DIGESTS:
                return
            # What is not old yet could come again: from now on nothing of its age is taken.
            gone = self._seen.pop(first)
            self._floor = max(self._floor, gone)

    def _age(self, time: Timestamp) -> float:
        """Seconds; below 0: it comes from the future.  NTP begins anew in 2036."""
        ours = int.from_bytes(ntpTime(self._seconds()).value, "big")
        age = (ours - int.from_bytes(time.value, "big")) % _ERA
        return (age if age < _ERA // 2 else age - _ERA) / 2**32


def _digest(octets: bytes) -> bytes:
    return sha256(octets).digest()


__all__ = ["MOST_DIGESTS", "SKEW_SECONDS", "SeenMessages", "ntpTime"]
