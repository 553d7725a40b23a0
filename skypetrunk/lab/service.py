"""
The practice carrier as a Twisted service: certificates, DNS, TLS, and the carrier behind them.
"""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.ssl import TLSVersion
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from skypetrunk.lab.authority import Authority, carrierIdentity, writePrivately
from skypetrunk.lab.carrier import Carrier
from skypetrunk.lab.dns import NameServer, Node, Zone
from skypetrunk.lab.ports import closePorts, portNumber
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.net.reception import MessageObserver
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.service.control import ControlServer
from skypetrunk.wire.address import TransportAddress

__all__ = ["CLIENT_CERTIFICATE", "TLS_VERSIONS", "Lab", "LabSettings"]

TLS_VERSIONS = {
    "1.2": (TLSVersion.TLSv1_2, TLSVersion.TLSv1_2),
    "1.3": (TLSVersion.TLSv1_3, None),
    "any": (TLSVersion.TLSv1_2, None),
}
"""Lowest and highest version, by option value."""

CLIENT_CERTIFICATE = ("off", "optional", "required")

_GOODBYE = 1.0
"""Seconds that a PBX has to answer our BYEs when the lab stops."""

_CLOSING = 3.0
"""Seconds until every connection is closed: the channels abort their own after two."""


@dataclass(frozen=True, slots=True)
class LabSettings:
    """
    What is around the carrier.

    @ivar directory: for the CA's certificate and the control socket.
    @ivar address: where everything listens: loopback.
    @ivar port: TLS; 0 lets the system choose.
    @ivar dnsPort: the name server's; 0 lets the system choose.
    @ivar tls: a key of L{TLS_VERSIONS}.
    @ivar ciphers: OpenSSL's cipher string for TLS 1.2, or C{None}.
    @ivar clientCertificate: one of L{CLIENT_CERTIFICATE}.
    @ivar fault: of the server certificate, a key of L{skypetrunk.lab.authority.FAULTS}.
    @ivar deadNode: let the SRV record of highest priority lead to a port where nobody listens.
    @ivar control: path of the control socket, or C{None} for none.
    """

    carrier: CarrierSettings
    directory: Path
    address: str = "127.0.0.1"
    port: int = 5061
    dnsPort: int = 5353
    tls: str = "any"
    ciphers: str | None = None
    clientCertificate: str = "off"
    fault: str = "none"
    deadNode: bool = False
    control: Path | None = None
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)


class Lab(Service):
    """
    Everything of the carrier's side.

    @ivar authority: the throw-away CA.
    @ivar carrier: what answers and places calls; known once L{listen} was called.
    @ivar caFile: the root certificate: a trunk's C{ca_file}.
    @ivar port: the TLS port in use.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: LabSettings, observer: MessageObserver | None = None) -> None:
        """
        @param observer: told of each SIP message.
        """
        self._reactor = reactor
        self._observer = observer
        self._ports: list[IListeningPort] = []
        self._dead: socket.socket | None = None
        self._control: ControlServer | None = None
        self.settings = settings
        now = datetime.datetime.now(datetime.UTC)
        domain = settings.carrier.domain
        self.target = f"edge1.{domain}"
        self.authority = Authority(now)
        self.identity = carrierIdentity(self.authority, domain, self.target, now, settings.fault)
        self.caFile = settings.directory / "ca.pem"
        self.port = settings.port
        self.names = NameServer(reactor, Zone(domain, ()), settings.address, settings.dnsPort)
        self.carrier = Carrier(
            reactor, self._token, settings.entropy, settings.carrier, self._node(settings.port)
        )
        self._signalling = StreamSignallingFactory(
            self.carrier.agent.transactions,
            reactor,
            self._token,
            transport="TLS",
            observer=observer,
            lost=self._connectionLost,
        )

    def _token(self) -> str:
        return self.settings.entropy(12).hex()

    def _node(self, port: int) -> TransportAddress:
        return TransportAddress("TLS", self.settings.address, port)

    def _connectionLost(self, channel: StreamSignalling, reason: Exception) -> None:
        self.carrier.channelLost(channel)

    @property
    def connections(self) -> int:
        """Open TLS connections."""
        return len(self._signalling.channels)

    def listen(self) -> None:
        """
        Write the CA file and bind everything, so that the caller can report what fails.

        @raise CannotListenError: a port or the socket is in use; nothing stays bound.
        @raise OSError: a file cannot be written.
        """
        settings = self.settings
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        writePrivately(self.caFile, self.authority.rootPEM)
        minimum, maximum = TLS_VERSIONS[settings.tls]
        asked = settings.clientCertificate != "off"
        options = tlsServerOptions(
            loadOwnCertificate(b"".join(self.identity.chain), self.identity.key),
            minimum=minimum,
            maximum=maximum,
            ciphers=settings.ciphers,
            clientRoots=self.authority.rootPEM if asked else None,
            clientMust=settings.clientCertificate == "required",
        )
        try:
            factory = TLSMemoryBIOFactory(options, False, self._signalling)
            factory.noisy = False
            port = self._reactor.listenTCP(settings.port, factory, interface=settings.address)
            self._ports.append(port)
            self.port = portNumber(port)
            self.carrier.node = self._node(self.port)
            self.names.listen()
            self._publish()
            if settings.control is not None:
                self._control = ControlServer(self._reactor, settings.control, self.carrier)
                self._control.listen()
        except Exception:
            self._release()
            raise

    def _publish(self) -> None:
        """The SRV records."""
        address = (self.settings.address,)
        nodes = [Node(self.target, address, self.port, 20)]
        if self.settings.deadNode:
            # Bound and not listened at: refused for sure, and nobody else can take it
            self._dead = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self._dead.bind((address[0], 0))
            port = self._dead.getsockname()[1]
            nodes.append(Node(f"edge0.{self.settings.carrier.domain}", address, port, 10))
        self.names.zone.setNodes(nodes)

    def startService(self) -> None:
        """Bind, unless L{listen} was called before."""
        super().startService()
        if not self._ports:
            self.listen()
        for each in (self.names, self._control):
            if each is not None:
                each.startService()

    def stopService(self) -> Deferred[None]:
        """Hang up, say goodbye, close everything; within a few seconds."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await closePorts(self._ports)
        self._ports = []
        transactions = self.carrier.agent.transactions
        self.carrier.stop()
        await self._until(lambda: not transactions.pending, _GOODBYE)
        transactions.stop()
        for channel in tuple(self._signalling.channels):
            channel.close()
        await self._until(lambda: not self._signalling.channels, _CLOSING)
        await self._release()

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = self._reactor.seconds() + seconds
        while not done() and self._reactor.seconds() < end:
            await deferLater(self._reactor, 0.02)

    def _release(self) -> Deferred[None]:
        """Give back what is bound; files and sockets of this run too."""
        if self._dead is not None:
            self._dead.close()
            self._dead = None

        async def release() -> None:
            await closePorts(self._ports)
            self._ports = []
            await self.names.stopService()
            if self._control is not None:
                await self._control.stopService()
                self._control = None

        return Deferred.fromCoroutine(release())
