"""A voice in clear, for PBXes whose scenario has none of its own."""

from __future__ import annotations

import socket
import struct
import threading
import time

from tests.interop.rig.ports import takePorts


class Voice:
    """
    Sends G.711 A-law as RTP, a packet every 20 ms, and throws away what comes back.

    @ivar port: the port it sends from.
    """

    def __init__(self, address: str, audio: bytes) -> None:
        """
        @param audio: said again and again.
        """
        self.port = takePorts(address, 2)
        self._audio = audio
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, self.port))
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, destination: tuple[str, int]) -> None:
        """Begin to speak."""
        self._thread = threading.Thread(target=self._run, args=(destination,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(5)
        self._socket.close()

    def _run(self, destination: tuple[str, int]) -> None:
        begun, number = time.monotonic(), 0
        while not self._ending.is_set():
            packet = packetOf(self._audio, number, ssrc=0x564F4943)
            self._socket.sendto(packet, destination)
            number += 1
            self._ending.wait(max(0.0, begun + number * 0.02 - time.monotonic()))


def packetOf(audio: bytes, number: int, ssrc: int) -> bytes:
    """The RTP packet with 20 ms of G.711 A-law that has this number, from 0; the audio is repeated."""
    place = number * 160 % (len(audio) // 160 * 160)
    kind = 8 | (0x80 if number == 0 else 0)  # PCMA, with the marker on the first
    header = struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc)
    return header + audio[place : place + 160]
