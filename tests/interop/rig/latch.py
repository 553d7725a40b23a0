"""A carrier's media edge that sends nothing until it has heard us, and then only to where it heard us."""

from __future__ import annotations

import socket
import threading
import time

from tests.interop.rig.rtp import packetOf
from tests.interop.rig.srtp import NotAuthentic, ReferenceSRTP


class LatchingEdge:
    """
    Waits for a first authentic packet, then says a tone, in SRTP, to the source of that packet.

    @ivar port: where it waits.
    @ivar latched: wall clock time of the first authentic packet, and its source.
    @ivar strangers: packets that were not authentic.
    """

    def __init__(self, address: str, port: int, audio: bytes) -> None:
        """
        @param audio: G.711 A-law, said again and again.
        """
        self.port = port
        self.latched: tuple[float, tuple[str, int]] | None = None
        self.strangers = 0
        self._audio = audio
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.settimeout(0.05)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, suite: str, theirs: bytes, ours: bytes) -> None:
        """Begin to listen for packets of the key C{theirs}; C{ours} protects what is said."""
        self._thread = threading.Thread(target=self._run, args=(suite, theirs, ours), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(5)
        self._socket.close()

    def _run(self, suite: str, theirs: bytes, ours: bytes) -> None:
        incoming, outgoing = ReferenceSRTP(suite, theirs), ReferenceSRTP(suite, ours)
        while self.latched is None and not self._ending.is_set():
            try:
                packet, source = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            try:
                incoming.unprotect(packet)
            except NotAuthentic:
                self.strangers += 1
                continue
            self.latched = (time.time(), source)
        begun, number = time.monotonic(), 0
        while self.latched is not None and not self._ending.is_set():
            packet = packetOf(self._audio, number, ssrc=0x4C415443)
            self._socket.sendto(outgoing.protect(packet), self.latched[1])
            number += 1
            self._ending.wait(max(0.0, begun + number * 0.02 - time.monotonic()))
