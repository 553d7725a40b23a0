"""Ten thousand bad datagrams per second, from whatever source they claim: a raw socket, which needs root."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Sequence

from tests.interop.rig.processes import PeerFailed

Address = tuple[str, int]

RATE = 10_000
"""Datagrams per second."""

_PAUSE = 0.01


def forged(source: Address, destination: Address, payload: bytes) -> bytes:
    """A UDP datagram with its IP header; the kernel fills in its checksum, UDP's is left out (RFC 768)."""
    length = 8 + len(payload)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + length,
        0,
        0,
        64,
        socket.IPPROTO_UDP,
        0,
        socket.inet_aton(source[0]),
        socket.inet_aton(destination[0]),
    )
    return header + struct.pack("!HHHH", source[1], destination[1], length, 0) + payload


def mutations(packet: bytes, chance: random.Random) -> bytes:
    """C{packet} cut off, lengthened, or with some octets changed."""
    changed = bytearray(packet)
    kind = chance.randrange(8)
    if kind == 0:
        return bytes(changed[: chance.randrange(len(changed))])
    if kind == 1:
        return bytes(changed) + chance.randbytes(chance.randrange(1, 40))
    for _ in range(chance.randrange(1, 5)):
        changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
    return bytes(changed)


def noise(chance: random.Random) -> bytes:
    """Random octets, half of them with the version of RTP."""
    octets = bytearray(chance.randbytes(chance.randrange(1, 220)))
    if chance.randrange(2):
        octets[0] = 0x80 | octets[0] & 0x0F
    return bytes(octets)


class Flood:
    """
    Sends datagrams again and again, C{RATE} per second, from C{with} to its end.

    @ivar sent: how many.
    @ivar seconds: for how long.
    """

    def __init__(self, datagrams: Sequence[bytes]) -> None:
        """
        @param datagrams: with IP headers, from L{forged}.
        """
        self.sent = 0
        self.seconds = 0.0
        self._datagrams = datagrams
        self._ending = threading.Event()

    def __enter__(self) -> Flood:
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        except PermissionError:
            raise PeerFailed("a flood needs root") from None
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        self._thread.join(10)
        self._socket.close()

    def _send(self) -> None:
        begun = time.monotonic()
        while not self._ending.wait(_PAUSE):
            self.seconds = time.monotonic() - begun
            while self.sent < self.seconds * RATE:
                datagram = self._datagrams[self.sent % len(self._datagrams)]
                self._socket.sendto(datagram, (socket.inet_ntoa(datagram[16:20]), 0))
                self.sent += 1
