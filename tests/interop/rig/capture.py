"""What crosses the loopback interface: every UDP datagram of this run, once, with the kernel's time."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.interop.rig.ports import isOurs
from tests.interop.rig.processes import PeerFailed
from tests.interop.rig.sip import Message

_ETH_P_IP = 0x0800
_PACKET_HOST = 0
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 26, 35
_UDP = 17


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram; C{time} in seconds of the wall clock, addresses as (host, port)."""

    time: float
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


class Capture:
    """
    A packet socket on C{lo} and a thread that reads it, from C{with} to its end.

    Needs root.  A datagram that the kernel had to drop makes the end fail: a capture with holes
    proves nothing.
    """

    def __init__(self) -> None:
        self.datagrams: list[Datagram] = []
        self._end: float | None = None

    def __enter__(self) -> Capture:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        except PermissionError:
            raise PeerFailed("capturing needs root") from None
        self._onlyUDP()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("lo", _ETH_P_IP))
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take what was sent until now, then end.  A second call does nothing."""
        if self._end is not None:
            return
        time.sleep(0.1)
        self._end = time.time()
        self._thread.join(10)
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._socket.close()
        dropped = struct.unpack("II", statistics)[1]
        if dropped:
            raise AssertionError(f"the capture lost {dropped} packets")

    def _onlyUDP(self) -> None:
        # load the protocol octet of the IP header; keep the packet if it is UDP, else nothing of it
        code = [(0x30, 0, 0, 9), (0x15, 0, 1, _UDP), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)]
        filter = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
        program = struct.pack("HP", len(code), ctypes.addressof(filter))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def _read(self) -> None:
        while True:
            try:
                packet, ancillary, _, address = self._socket.recvmsg(65535, 64)
            except TimeoutError:
                if self._end is not None:
                    return
                continue
            # On loopback each packet is seen leaving and arriving; count it once.
            if address[2] != _PACKET_HOST:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            when = seconds + nanoseconds / 1e9
            if self._end is not None and when > self._end:
                return
            start = (packet[0] & 15) * 4
            ports = struct.unpack_from("!HH", packet, start)
            source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            if not (isOurs(source) or isOurs(destination)):
                continue
            self.datagrams.append(
                Datagram(
                    when,
                    (source, ports[0]),
                    (destination, ports[1]),
                    packet[start + 8 :],
                )
            )

    def to(self, ports: Iterable[int]) -> list[Datagram]:
        """
        Datagrams sent to one of C{ports}.  By port alone: the rig gives no port twice, and a phone
        may send from C{127.0.0.1} whatever address its SDP has.
        """
        wanted = set(ports)
        return [one for one in self.datagrams if one.destination[1] in wanted]

    def sentFrom(self, ports: Iterable[int]) -> list[Datagram]:
        """Datagrams sent from one of C{ports}."""
        wanted = set(ports)
        return [one for one in self.datagrams if one.source[1] in wanted]

    def sip(self, host: str, port: int) -> list[Message]:
        """SIP messages over UDP that C{host} sent or received at C{port}."""
        found = []
        for one in self.datagrams:
            if (host, port) in (one.source, one.destination) and b"SIP/2.0" in one.payload:
                text = one.payload.decode("utf-8", "replace").replace("\r\n", "\n")
                found.append(Message(text, sent=one.source == (host, port), time=one.time))
        return found


def isRTCP(payload: bytes) -> bool:
    """Is this an RTCP packet rather than RTP (RFC 5761 section 4)?"""
    return len(payload) >= 8 and 192 <= payload[1] <= 223


def media(datagrams: Iterable[Datagram], *, rtcp: bool = False) -> list[Datagram]:
    """Those that are RTP, or RTCP."""
    packets = (one for one in datagrams if one.payload and one.payload[0] >> 6 == 2)
    return [one for one in packets if isRTCP(one.payload) == rtcp]
