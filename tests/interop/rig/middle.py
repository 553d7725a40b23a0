"""Who stands between the trunk and its carrier, and does to the octets what networks and attackers do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import Peer

#: Seconds between two octets that go alone.
_BETWEEN = 0.0


class _Pair:
    """One connection: both of its ends, and whether anything still crosses."""

    def __init__(self, trunk: asyncio.StreamWriter, carrier: asyncio.StreamWriter) -> None:
        self.trunk = trunk
        self.carrier = carrier
        self.frozen = False
        self.deaf = False
        self.counted = 0

    @property
    def ends(self) -> tuple[asyncio.StreamWriter, asyncio.StreamWriter]:
        return self.trunk, self.carrier


class Middle(Peer):
    """
    A TCP relay in a thread.

    @ivar to: the carrier's host and port; to be set.
    @ivar port: where the trunk connects to.
    @ivar alone: each octet goes in a segment of its own.
    @ivar delay: seconds that all that crosses waits.
    @ivar limits: for each connection in turn, after how many octets towards the trunk it is reset; those
        beyond the list live.
    @ivar flip: of the first connection, the number of the octet towards the trunk whose lowest bit is turned.
    @ivar instead: what it says itself, in clear, instead of connecting to the carrier.
    @ivar heard: what the trunk sent, all connections together.
    @ivar accepted: connections so far.
    """

    def __init__(self, scratch: Path, name: str = "middle") -> None:
        super().__init__(scratch, name)
        self.address = host(14)
        self.port = takePorts(self.address)
        self.alone = False
        self.delay = 0.0
        self.limits: Sequence[int] = ()
        self.flip: int | None = None
        self.instead = b""
        self.heard = bytearray()
        self.accepted = 0
        self.to = ("", 0)
        self._pairs: list[_Pair] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # As a peer

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self.listen()

    def stop(self, seconds: float = 5.0) -> int | None:
        """End all of it."""
        if self._thread.is_alive():
            self.refuse()
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(seconds)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(seconds)
            self._loop.close()
        return 0

    async def _end(self) -> None:
        for pair in self._pairs:
            for end in pair.ends:
                end.transport.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def running(self) -> bool:
        """See the class."""
        return self._thread.is_alive()

    # What it does

    def listen(self) -> None:
        """Take connections, at first or again."""

        async def serve() -> None:
            self._server = await asyncio.start_server(self._connected, self.address, self.port)

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(5)

    def refuse(self) -> None:
        """Take no more connections; those that stand go on."""

        def close() -> None:
            if self._server is not None:
                self._server.close()

        self._do(close)

    def reset(self) -> None:
        """RST towards both, on all connections."""

        def each(pair: _Pair) -> None:
            for end in pair.ends:
                _reset(end)

        self._each(each)

    def close(self) -> None:
        """FIN towards both, without a word of TLS."""

        def each(pair: _Pair) -> None:
            pair.deaf = True
            for end in pair.ends:
                end.close()

        self._each(each)

    def halfClose(self) -> None:
        """FIN towards the trunk only; what it sends still arrives at the carrier."""
        self._each(lambda pair: pair.trunk.write_eof())

    def freeze(self) -> None:
        """The connections stay, and nothing crosses any more; new ones are good."""

        def each(pair: _Pair) -> None:
            pair.frozen = True

        self._each(each)

    def connections(self) -> int:
        """How many stand."""
        return sum(1 for pair in tuple(self._pairs) if not pair.trunk.is_closing())

    def _each(self, what: Callable[[_Pair], None]) -> None:
        def all() -> None:
            for pair in self._pairs:
                if not pair.trunk.is_closing():
                    what(pair)

        self._do(all)

    def _do(self, what: Callable[[], None]) -> None:
        async def done() -> None:
            what()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(5)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.write(self.instead)
            while data := await reader.read(65536):
                self.heard += data
            writer.close()

    # Octets

    async def _connected(self, fromTrunk: asyncio.StreamReader, toTrunk: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        number = self.accepted
        self.accepted += 1
        if self.instead:
            await self._answer(fromTrunk, toTrunk)
            return
        try:
            fromCarrier, toCarrier = await asyncio.open_connection(*self.to)
        except OSError:
            _reset(toTrunk)
            return
        pair = _Pair(toTrunk, toCarrier)
        self._pairs.append(pair)
        pumps = self._pump(pair, fromTrunk, toCarrier, None), self._pump(pair, fromCarrier, toTrunk, number)
        # Cancelled at the end, which asyncio would print.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps)

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int | None
    ) -> None:
        """
        @param number: of the connection, in the direction towards the trunk.
        """
        try:
            while data := await reader.read(65536):
                if number is None:
                    self.heard += data
                if self.delay:
                    await asyncio.sleep(self.delay)
                while pair.frozen:
                    await asyncio.sleep(0.1)
                if number is not None:
                    data = self._spoiled(pair, data, number)
                await self._send(writer, data)
                if number is not None and number < len(self.limits) and pair.counted >= self.limits[number]:
                    for end in pair.ends:
                        _reset(end)
                    return
            while pair.frozen:
                await asyncio.sleep(0.1)
            if not pair.deaf and not writer.is_closing():
                writer.close()
        except OSError:
            for end in pair.ends:
                end.transport.abort()

    def _spoiled(self, pair: _Pair, data: bytes, number: int) -> bytes:
        start = pair.counted
        if number < len(self.limits):
            data = data[: self.limits[number] - start]
        pair.counted += len(data)
        if number == 0 and self.flip is not None and start <= self.flip < pair.counted:
            changed = bytearray(data)
            changed[self.flip - start] ^= 1
            return bytes(changed)
        return data

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for part in (bytes((octet,)) for octet in data) if self.alone else (data,):
            writer.write(part)
            await writer.drain()
            if self.alone:
                await asyncio.sleep(_BETWEEN)


def _reset(end: asyncio.StreamWriter) -> None:
    connection = end.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
