"""G.711 in both directions of many calls at once, at the pace of real ones."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pylibsrtp import Policy, Session

from bench.carrier import KEY
from bench.trunk import HOST

FRAMES = 50
"""Packets per second of one direction of one call: 20 ms each."""

_PAYLOAD = os.urandom(160)
_HEADER = struct.Struct("!BBHII")
_PCMU = 0


@dataclass
class Result:
    """
    What came of one run.

    @ivar seconds: in which they were sent.
    @ivar delays: seconds from sending to receiving, of each packet that came.
    """

    sent: int = 0
    received: int = 0
    seconds: float = 0.0
    delays: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self.sent - self.received

    def percentile(self, share: float) -> float:
        """The delay, milliseconds, that C{share} of the packets had at most."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


class _Stream:
    """One direction of one call: packets made ahead, and the times when they left."""

    def __init__(self, source: int, number: int, secure: bool) -> None:
        self.number = number
        self.secure = secure
        self.sequence = 0
        self.packets: list[bytes] = []
        self.times: list[float] = []
        self.first: int | None = None
        self._source = source
        self._session = (
            Session(
                Policy(
                    key=KEY,
                    ssrc_type=Policy.SSRC_ANY_OUTBOUND,
                    srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
                )
            )
            if secure
            else None
        )

    def prepare(self, count: int) -> None:
        """The next packets."""
        self.packets, self.times, self.first = [], [], None
        for _ in range(count):
            at = self.sequence * 160 & 0xFFFFFFFF
            packet = _HEADER.pack(0x80, _PCMU, self.sequence & 0xFFFF, at, self._source) + _PAYLOAD
            self.packets.append(packet if self._session is None else self._session.protect(packet))
            self.sequence += 1

    def delay(self, packet: bytes, now: float) -> float:
        """How long ago this packet was sent, by its place in the stream."""
        sequence = int.from_bytes(packet[2:4], "big")
        if self.first is None:
            self.first = sequence
        return now - self.times[(sequence - self.first) & 0xFFFF]


class Load:
    """
    Both ends of some calls.  The sockets are there before the calls, whose SDP names them.

    @ivar plainPorts: of the ends without SRTP.
    @ivar securePorts: of the ends with SRTP, keyed with L{KEY}.
    """

    def __init__(self, calls: int) -> None:
        self._sockets = [self._open() for _ in range(2 * calls)]
        ports = [each.getsockname()[1] for each in self._sockets]
        self.plainPorts, self.securePorts = ports[0::2], ports[1::2]
        self._streams: list[_Stream] = []

    @staticmethod
    def _open() -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        one.bind((HOST, 0))
        return one

    def connect(self, plain: Sequence[tuple[str, int]], secure: Sequence[tuple[str, int]]) -> None:
        """Where the relay has its ports, in the order of ours."""
        for number, target in enumerate(each for pair in zip(plain, secure, strict=True) for each in pair):
            self._sockets[number].connect(target)
            self._streams.append(_Stream(number + 1, number, bool(number % 2)))

    def run(self, seconds: float, ends: Sequence[bool] = (False, True), rate: int = FRAMES) -> Result:
        """
        Send and receive for so long.

        @param ends: which ends send: those without SRTP, those with it.
        @param rate: packets per second of each stream.
        """
        frames = int(seconds * rate)
        sending = [each for each in self._streams if each.secure in ends]
        for stream in sending:
            stream.prepare(frames)
        count = len(sending)
        pace, total, result = count * rate, count * frames, Result()
        with select.epoll() as poll:
            # What one end receives is what the stream of the other one sent.
            others = {}
            for number, one in enumerate(self._sockets):
                poll.register(one, select.EPOLLIN)
                others[one.fileno()] = (one, self._streams[number ^ 1])
                self._drain(one)
            start = time.perf_counter()
            while result.sent < total:
                due = min(total, int((time.perf_counter() - start) * pace) + 1)
                while result.sent < due:
                    frame, number = divmod(result.sent, count)
                    stream = sending[number]
                    stream.times.append(time.perf_counter())
                    with contextlib.suppress(OSError):
                        self._sockets[stream.number].send(stream.packets[frame])
                    result.sent += 1
                self._receive(poll, others, result, 0.0005)
            last = time.perf_counter()
            result.seconds = last - start
            while result.received < result.sent and time.perf_counter() - last < 0.5:
                self._receive(poll, others, result, 0.05)
        return result

    def flood(self) -> None:
        """Send from the ends without SRTP, as fast as can be, and never return."""
        ends = list(zip(self._sockets[0::2], self._streams[0::2], strict=True))
        while True:
            for _, stream in ends:
                stream.prepare(FRAMES)
            for frame in range(FRAMES):
                for one, stream in ends:
                    with contextlib.suppress(OSError):
                        one.send(stream.packets[frame])

    @staticmethod
    def _receive(
        poll: select.epoll, others: dict[int, tuple[socket.socket, _Stream]], result: Result, seconds: float
    ) -> None:
        for descriptor, _ in poll.poll(seconds):
            one, stream = others[descriptor]
            with contextlib.suppress(OSError):
                packet = one.recv(2048)
                if packet[1] & 0x7F == _PCMU:  # the others are keep-alives
                    result.received += 1
                    result.delays.append(stream.delay(packet, time.perf_counter()))

    @staticmethod
    def _drain(one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                one.recv(2048)

    def close(self) -> None:
        """Give back the ports."""
        for each in self._sockets:
            each.close()
