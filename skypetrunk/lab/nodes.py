"""
The carrier's nodes: what listens at the targets of its SRV records, well or badly.

Each has an address and a port of its own and keeps them, whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IHandshakeListener,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IReactorTCP,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from skypetrunk.lab.cuts import Wire, WireFactory
from skypetrunk.lab.ports import closePorts, portNumber
from skypetrunk.lab.rewriting import Rewriting
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response

__all__ = ["NODES", "Node", "NodeSignalling", "NodeSignallingFactory", "nodeAddress", "wireOf"]

NODES = {
    "good": "works",
    "dead": "refuses connections; those that stood are reset",
    "silent": "drops connection requests, as a machine without power does",
    "stuck": "accepts TCP connections and does not answer the ClientHello",
    "slow": "hears everything so many seconds late as the switch delay says",
    "mute": "TLS works, and no SIP message is ever answered",
    "503": "answers every new request with 503",
}
"""What a node may be, by name."""

_LISTENING = ("good", "stuck", "slow", "mute", "503")


@implementer(IHandshakeListener)
class NodeSignalling(StreamSignalling):
    """One connection to a node: SIP over TLS."""

    factory: NodeSignallingFactory

    def handshakeCompleted(self) -> None:
        """Step 15 of the datasheet."""
        self.factory.shaken(self)

    def dataReceived(self, data: bytes) -> None:
        """Messages, which a mute node does not hear, and pings, which may stay unanswered."""
        if self.factory.mute or (not self.factory.pongs and not data.strip(b"\r\n")):
            return
        super().dataReceived(data)

    def send(self, message: Request | Response) -> None:
        """See L{IMessageChannel.send}; what happens on the way to the trunk is done to it."""
        super().send(self.factory.rewriting.applied(message, time.time()))


class NodeSignallingFactory(StreamSignallingFactory):
    """
    Makes those.

    @ivar rewriting: what happens to answers on their way.

    @ivar mute: nothing is heard.
    @ivar pongs: pings are answered.
    @ivar shaken: told of each connection whose handshake is over.
    """

    mostConnections = 4096  # a carrier has many customers, and here all of them are on one host
    rewriting = Rewriting()
    mute = False
    pongs = True
    shaken: Callable[[StreamSignalling], None]

    def buildProtocol(self, addr: Any) -> NodeSignalling:  # type: ignore[override]
        """One for each connection."""
        return NodeSignalling(self)


def wireOf(channel: StreamSignalling) -> Wire:
    """What a connection goes over, below TLS."""
    wire = channel.transport.transport  # type: ignore[union-attr]  # of TLSMemoryBIOProtocol
    assert isinstance(wire, Wire)
    return wire


def nodeAddress(first: str, number: int) -> str:
    """The address of node C{number}, counted from 0: in 127.0.0.0/8 the next ones, else the same."""
    address = ipaddress.ip_address(first)
    return str(address + number) if address.version == 4 and address.is_loopback else first


class Node:
    """
    One node.

    @ivar name: its host name.
    @ivar address: where it listens; the port is known once it was bound.
    @ivar kind: a key of L{NODES}, or C{None}: not there.
    @ivar signalling: its SIP connections.
    @ivar wires: its TCP connections.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        name: str,
        host: str,
        port: int,
        signalling: NodeSignallingFactory,
        contexts: IOpenSSLServerConnectionCreator,
    ) -> None:
        self._reactor = reactor
        self.name = name
        self.address = TransportAddress("TLS", host, port)
        self.kind: str | None = None
        self.signalling = signalling
        tls = TLSMemoryBIOFactory(contexts, False, signalling)
        tls.noisy = False
        self.wires = WireFactory(tls, signalling.clock)
        self._port: IListeningPort | None = None
        self._held: list[socket.socket] = []

    def become(self, kind: str, delay: float) -> None:
        """
        Listen, or hold the port without listening.  Only where nothing listens: after L{leave}, or at first.

        @param delay: seconds, of a slow node.
        @raise CannotListenError: the port is in use.
        """
        self._behave(kind, delay)
        host, port = self.address.host, self.address.port
        if kind in _LISTENING:
            self._port = self._reactor.listenTCP(port, self.wires, interface=host)  # type: ignore[arg-type]
            port = portNumber(self._port)
        else:
            port = self._hold(host, port, kind == "silent")
        self.address = TransportAddress("TLS", host, port)
        # Not before: what could not be bound can be asked for again
        self.kind = kind

    def _behave(self, kind: str, delay: float) -> None:
        self.signalling.mute = kind == "mute"
        self.wires.stuck = kind == "stuck"
        self.wires.delay = delay if kind == "slow" else 0.0
        for wire in self.wires.wires:
            wire.delay = self.wires.delay
            if kind in ("stuck", "silent"):
                wire.swallowing = True
            elif kind == "dead":
                wire.reset()

    async def change(self, kind: str, delay: float) -> None:
        """Become another one, at the same address and port.  Raises as L{become}."""
        if kind in _LISTENING and self._port is not None:
            self.kind = kind
            self._behave(kind, delay)
        else:
            await self.leave()
            self.become(kind, delay)

    async def leave(self) -> None:
        """Listen no more; connections stay."""
        self.kind = None
        port, self._port = self._port, None
        held, self._held = self._held, []
        for each in held:
            each.close()
        if port is not None:
            await closePorts([port])

    def _hold(self, host: str, port: int, silent: bool) -> int:
        """
        Take the port, so that nobody else can, and do not listen: connections are refused.

        @param silent: listen, with a queue that one connection of our own fills: the system then drops
            what others send to connect.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.socket(family)
        self._held.append(taken)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((host, port))
            port = int(taken.getsockname()[1])
            if silent:
                taken.listen(0)
                self._fill(family, host, port)
        except OSError as error:
            for each in self._held:
                each.close()
            self._held = []
            raise CannotListenError(host, port, error) from error
        return port

    def _fill(self, family: socket.AddressFamily, host: str, port: int) -> None:
        filler = socket.socket(family)
        self._held.append(filler)
        # Loopback: it is there at once
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect((host, port))
