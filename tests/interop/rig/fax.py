"""
Fax machines: T.30 and T.38 of libspandsp, which knows no transport, behind UDPTL (ITU-T T.38 clause 9.1).

Their time is counted in samples, so that a page takes seconds where machines take half a minute.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from pathlib import Path

STEP = 160
"""Samples of a step: 20 ms."""

PACE = 0.002
"""Seconds that a step takes: ten times as fast as machines."""

WIDTH = 1728
"""Dots of a line (ITU-T T.4)."""

GOOD = 0
"""T30_ERR_OK."""

_Sent = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(c_uint8), c_int, c_int)
_Ended = CFUNCTYPE(None, c_void_p, c_void_p, c_int)


def _spandsp() -> ctypes.CDLL:
    library = ctypes.CDLL("libspandsp.so.2")
    signatures: dict[str, tuple[object, Sequence[object]]] = {
        "t38_terminal_init": (c_void_p, (c_void_p, c_int, _Sent, c_void_p)),
        "t38_terminal_free": (c_int, (c_void_p,)),
        "t38_terminal_get_t30_state": (c_void_p, (c_void_p,)),
        "t38_terminal_get_t38_core_state": (c_void_p, (c_void_p,)),
        "t38_terminal_send_timeout": (c_int, (c_void_p, c_int)),
        "t38_core_rx_ifp_packet": (c_int, (c_void_p, c_char_p, c_int, c_uint16)),
        "t30_set_tx_file": (None, (c_void_p, c_char_p, c_int, c_int)),
        "t30_set_rx_file": (None, (c_void_p, c_char_p, c_int)),
        "t30_set_phase_e_handler": (None, (c_void_p, _Ended, c_void_p)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class FaxMachine:
    """
    One end of a fax.

    @ivar port: where it receives UDPTL.
    @ivar peer: where it sends that; nothing happens before it is set.
    @ivar result: how it went in the end, L{GOOD} or another code of T.30; C{None}: it goes on.
    @ivar sources: where what it received came from.
    @ivar sent: datagrams, as they left.
    @ivar received: datagrams, as they came.
    """

    def __init__(self, address: str, file: Path, *, calls: bool) -> None:
        """
        @param file: TIFF to be sent by who C{calls}, else to be written.
        """
        self.peer: tuple[str, int] | None = None
        self.result: int | None = None
        self.sources: set[tuple[str, int]] = set()
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self.port: int = self._socket.getsockname()[1]
        self._next = self._wanted = 0
        self._before: list[bytes] = []
        self._library = _spandsp()
        # What is called back has to live as long as the terminal.
        self._handlers = _Sent(self._send), _Ended(self._end)
        self._terminal = self._library.t38_terminal_init(None, int(calls), self._handlers[0], None)
        t30 = self._library.t38_terminal_get_t30_state(self._terminal)
        self._core = self._library.t38_terminal_get_t38_core_state(self._terminal)
        if calls:
            self._library.t30_set_tx_file(t30, bytes(file), -1, -1)
        else:
            self._library.t30_set_rx_file(t30, bytes(file), -1)
        self._library.t30_set_phase_e_handler(t30, self._handlers[1], None)

    def close(self) -> None:
        """No more."""
        self._socket.close()
        self._library.t38_terminal_free(self._terminal)

    def step(self) -> None:
        """20 ms of its time."""
        if self.peer is None:
            return
        for datagram in self._arrived():
            self._take(datagram)
        self._library.t38_terminal_send_timeout(self._terminal, STEP)

    def _arrived(self) -> Iterator[bytes]:
        while True:
            try:
                datagram, source = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            self.sources.add(source)
            self.received.append(datagram)
            yield datagram

    def _send(self, core: object, user: object, data: object, length: int, count: int) -> int:
        """The packet, and the three before it in case that they were lost."""
        assert self.peer is not None
        packet = ctypes.string_at(data, length)  # type: ignore[arg-type]
        parts = [_opened(packet), b"\0", bytes([len(self._before)]), *map(_opened, self._before)]
        datagram = struct.pack("!H", self._next) + b"".join(parts)
        self._before = [packet, *self._before][:3]
        self._next = (self._next + 1) & 0xFFFF
        self.sent.append(datagram)
        self._socket.sendto(datagram, self.peer)
        return 0

    def _take(self, datagram: bytes) -> None:
        (number,) = struct.unpack_from("!H", datagram)
        primary, place = _read(datagram, 2)
        packets = [primary]
        # What stands before their number says that they are packets, and no parity of such.
        others, place = datagram[place + 1], place + 2
        for _ in range(others):
            packet, place = _read(datagram, place)
            packets.append(packet)
        behind = (number - self._wanted) & 0xFFFF
        if behind >= 0x8000:
            return
        for back in range(min(behind, len(packets) - 1), -1, -1):
            packet = packets[back]
            self._library.t38_core_rx_ifp_packet(self._core, packet, len(packet), (number - back) & 0xFFFF)
        self._wanted = (number + 1) & 0xFFFF

    def _end(self, t30: object, user: object, result: int) -> None:
        self.result = result


def _opened(packet: bytes) -> bytes:
    """With its length before it (ITU-T X.691 clause 10.9)."""
    size = len(packet)
    return (bytes([size]) if size < 128 else struct.pack("!H", 0x8000 | size)) + packet


def _read(datagram: bytes, place: int) -> tuple[bytes, int]:
    size = datagram[place]
    place += 1
    if size & 0x80:
        size = (size & 0x3F) << 8 | datagram[place]
        place += 1
    return datagram[place : place + size], place + size


def run(machines: Sequence[FaxMachine], seconds: float, more: Callable[[], object] = lambda: None) -> None:
    """
    Until all have ended.

    @param seconds: of the clock, after which they have failed.
    @param more: called with each step.
    @raise AssertionError: some have not.
    """
    deadline = time.monotonic() + seconds
    while any(machine.result is None for machine in machines):
        began = time.monotonic()
        if began > deadline:
            counts = [(each.result, len(each.sent), len(each.received)) for each in machines]
            raise AssertionError(f"faxes take too long: {counts}")
        for machine in machines:
            machine.step()
        more()
        time.sleep(max(0.0, PACE - (time.monotonic() - began)))


# Pages


def page(lines: int) -> list[bytes]:
    """Rows of dots, 1 is black: bars that grow, and numbers that look like noise."""
    rows = []
    for line in range(lines):
        seed = (line // 8 + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835
        bar = min(8 * (line % 64), WIDTH // 16)
        middle = (seed % (1 << 128)).to_bytes(16, "big")
        row = b"\xff" * bar + middle
        rows.append(row + bytes(WIDTH // 8 - len(row)))
    return rows


def writeTIFF(file: Path, rows: Sequence[bytes]) -> None:
    """One page without compression, 204 by 98 dots an inch."""
    data = b"".join(rows)
    entries = [
        (256, 4, 1, WIDTH),
        (257, 4, 1, len(rows)),
        (258, 3, 1, 1),
        (259, 3, 1, 1),  # no compression
        (262, 3, 1, 0),  # 0 is white
        (266, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, len(rows)),
        (279, 4, 1, len(data)),
        (282, 5, 1, 8 + len(data)),
        (283, 5, 1, 16 + len(data)),
        (296, 3, 1, 2),
    ]
    directory = 24 + len(data)
    body = struct.pack("<2sHI", b"II", 42, directory) + data + struct.pack("<4I", 204, 1, 98, 1)
    body += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries)
    file.write_bytes(body + bytes(4))


def readTIFF(file: Path) -> list[bytes]:
    """The rows of a page that a fax machine has written, read by libtiff."""
    library = ctypes.CDLL("libtiff.so.6")
    library.TIFFOpen.restype = c_void_p
    library.TIFFReadScanline.argtypes = (c_void_p, c_void_p, c_uint32, c_uint16)
    library.TIFFClose.argtypes = (c_void_p,)
    library.TIFFScanlineSize.argtypes, library.TIFFScanlineSize.restype = (c_void_p,), c_size_t
    opened = library.TIFFOpen(bytes(file), b"r")
    if not opened:
        raise AssertionError(f"{file}: no TIFF")
    row, lines = ctypes.create_string_buffer(library.TIFFScanlineSize(opened)), c_uint32()
    library.TIFFGetField(c_void_p(opened), c_uint32(257), byref(lines))
    rows = []
    for number in range(lines.value):
        library.TIFFReadScanline(opened, row, number, 0)
        rows.append(row.raw)
    library.TIFFClose(opened)
    return rows


__all__ = ["GOOD", "FaxMachine", "page", "readTIFF", "run", "writeTIFF"]
