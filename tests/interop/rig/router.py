"""A router with address translation: TCP connections go on from an address of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from tests.interop.rig.ports import host
from tests.interop.rig.processes import Peer


class Router(Peer):
    """
    In threads of this process.

    @ivar port: where it takes connections to the one peer behind it.
    @ivar outside: the address that the peer sees.
    """

    def __init__(self, scratch: Path, peer: tuple[str, int]) -> None:
        super().__init__(scratch, "router")
        self.address = host(15)
        self.outside = host(16)
        self.port = 0
        self._peer = peer
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen."""
        self._listener = socket.create_server((self.address, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def running(self) -> bool:
        """It listens."""
        return self._listener is not None

    def stop(self, seconds: float = 5.0) -> int | None:
        """Close everything."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Only that ends the waiting of another thread.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()
        return None

    def cut(self) -> None:
        """All connections are lost, on both sides."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._peer, 5, (self.outside, 0))
                far.settimeout(None)
                self._sockets += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                target.sendall(octets)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
