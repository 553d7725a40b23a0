"""
The practice carrier as a Twisted service: certificates, DNS, OCSP, nodes, and the carrier behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger

from skypetrunk.lab.authority import Authority, Identity
from skypetrunk.lab.carrier import Carrier, Way
from skypetrunk.lab.control import LabControl
from skypetrunk.lab.credentials import Credentials
from skypetrunk.lab.cuts import cut
from skypetrunk.lab.dns import NameServer, Target, Zone
from skypetrunk.lab.kinds import addressOf
from skypetrunk.lab.nodes import Node, NodeSignallingFactory, nodeAddress, wireOf
from skypetrunk.lab.outward import Outward
from skypetrunk.lab.rewriting import Rewriting
from skypetrunk.lab.settings import LabSettings
from skypetrunk.lab.switches import changed, parsed, shown
from skypetrunk.net.reception import MessageObserver
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.control import ControlServer
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import escape

__all__ = ["Lab", "LabSettings"]

_GOODBYE = 1.0
"""Seconds that a PBX has to answer our BYEs when the lab stops."""

_CLOSING = 3.0
"""Seconds until every connection is closed: the channels abort their own after two."""

_SENT = 0.02
"""Seconds until what was written last is on its way: the end of a handshake."""

_LATER = 0.5
"""Seconds from an answer to the cut of the connection it went over."""


class Lab(Service):
    """
    Everything of the carrier's side.

    @ivar credentials: certificates, OCSP and what TLS makes of them.
    @ivar carrier: what answers and places calls.
    @ivar nodes: what listens, in the order of the SRV records.
    @ivar names: the name server.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: LabSettings, observer: MessageObserver | None = None) -> None:
        """
        @param observer: told of each SIP message.
        """
        self._reactor = reactor
        self._observer = observer
        self._control: ControlServer | None = None
        self.settings = settings
        self.credentials = Credentials(reactor, settings)
        self.nodes: list[Node] = []
        self._cuts: list[IDelayedCall] = []
        self.names = NameServer(
            reactor, Zone(settings.carrier.domain, ()), settings.address, settings.dnsPort
        )
        self.carrier = Carrier(
            reactor,
            self._token,
            settings.entropy,
            settings.carrier,
            TransportAddress("TLS", settings.address, settings.port),
            done=self._done,
            outward=self._outward,
        )
        self.outward = Outward(reactor, self._makeSignalling)

    @property
    def authority(self) -> Authority:
        """The throw-away CA."""
        return self.credentials.authority

    @property
    def identity(self) -> Identity:
        """The carrier's certificate, once L{listen} was called."""
        return self.credentials.identity

    @property
    def caFile(self) -> Path:
        """The root certificate: a trunk's C{ca_file}."""
        return self.credentials.caFile

    def _token(self) -> str:
        return self.settings.entropy(12).hex()

    @property
    def port(self) -> int:
        """See the class."""
        return self.nodes[0].address.port if self.nodes else self.settings.port

    @property
    def channels(self) -> tuple[StreamSignalling, ...]:
        """Open TLS connections."""
        own = tuple(each for node in self.nodes for each in node.signalling.channels)
        return own + self.outward.channels

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self.channels)

    # Beginning

    def listen(self) -> None:
        """
        Write the CA file and bind everything, so that the caller can report what fails.

        @raise CannotListenError: a port or the socket is in use; nothing stays bound.
        @raise OSError: a file cannot be written.
        """
        settings = self.settings
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            if settings.control is not None:
                # First of all: whoever has it runs with the files of this directory.
                protocol = LabControl.of(self)
                self._control = ControlServer(self._reactor, settings.control, self.carrier, protocol)
                self._control.listen()
            self.credentials.listen()
            self.credentials.certify(settings, self._nodeNames())
            for kind in settings.nodes:
                self._addNode().become(kind, settings.delay)
            self._connectionsBehave()
            self.names.listen()
            self._publish()
        except Exception:
            self._release()
            raise

    def _nodeNames(self) -> list[str]:
        return [self._nodeName(number) for number in range(len(self.settings.nodes))]

    def _nodeName(self, number: int) -> str:
        return f"edge{number + 1}.{self.settings.carrier.domain}"

    def _addNode(self) -> Node:
        settings, number = self.settings, len(self.nodes)
        host = nodeAddress(settings.address, number)
        port = settings.port
        if number and port and host == settings.address:
            port += number
        signalling = self._makeSignalling(lambda channel, reason: None)
        node = Node(self._reactor, self._nodeName(number), host, port, signalling, self.credentials.contexts)
        self.nodes.append(node)
        return node

    def _makeSignalling(self, lost: Callable[[StreamSignalling, Exception], None]) -> NodeSignallingFactory:
        def connectionLost(channel: StreamSignalling, reason: Exception) -> None:
            self.carrier.channelLost(channel)
            lost(channel, reason)

        made = NodeSignallingFactory(
            self.carrier.agent.transactions,
            self._reactor,
            self._token,
            transport="TLS",
            observer=self._observer,
            lost=connectionLost,
        )
        made.shaken = self._shaken
        return made

    def _outward(self) -> Deferred[Way | None]:
        """Where calls go, if to nobody who is registered."""

        async def way() -> Way | None:
            settings, domain = self.settings, self.settings.callIn
            if domain is None:
                return None
            server = (
                addressOf(settings.callInDNS) if settings.callInDNS else (settings.address, self.names.port)
            )
            roots = self.authority.rootPEM
            channel = await self.outward.connected(domain, server, self.identity, roots)
            account = next(iter(settings.carrier.accounts))
            return f"sip:{escape(account)}@{domain};transport=tls", channel

        return Deferred.fromCoroutine(way())

    def _publish(self) -> None:
        """The records of the nodes, which the carrier is told of too."""
        settings = self.settings
        there = [node for node in self.nodes if node.kind is not None]
        self.names.zone.setTargets(
            [
                Target(
                    node.name,
                    (node.address.host,),
                    node.address.port,
                    10 if settings.balanced else 10 * number,
                    settings.weights[min(number, len(settings.weights)) - 1],
                )
                for number, node in enumerate(there, 1)
            ],
            settings.ttl,
            settings.naptr,
            settings.names,
            self._customer(),
        )
        self.carrier.node = self.nodes[0].address
        self.carrier.nodes = {node.address: node.kind for node in self.nodes}

    def _customer(self) -> tuple[str, Target] | None:
        domain, place = self.settings.callIn, self.settings.callInAt
        if domain is None or place is None:
            return None
        host, port = addressOf(place)
        return domain, Target(f"pbx.{domain}", (host,), port)

    # Switches

    def switches(self) -> list[dict[str, str]]:
        """See L{skypetrunk.lab.control.ISwitched}."""
        return shown(self.settings)

    def switch(self, changes: Mapping[str, str]) -> Deferred[None]:
        """See L{skypetrunk.lab.control.ISwitched}."""
        values = parsed(changes)
        how = values.pop("", "none")
        old, self.settings = self.settings, changed(self.settings, values)
        for name, text in changes.items():
            self.log.info("{name} is {value} now", name=name, value=text)
        return Deferred.fromCoroutine(self._changed(old, str(how)))

    async def _changed(self, old: LabSettings, how: str) -> None:
        """Do what new settings ask for."""
        new = self.settings
        self.carrier.configure(new.carrier)
        # A new certificate for another answer: nobody knows what was said of the last one
        if (old.fault, old.ocsp, old.nodes) != (new.fault, new.ocsp, new.nodes):
            self.credentials.certify(new, self._nodeNames())
        else:
            self.credentials.secure(new)
        if old.callIn != new.callIn:
            self.credentials.issueClient(new)
        for number, kind in enumerate(new.nodes):
            if number == len(self.nodes):
                self._addNode()
            node = self.nodes[number]
            if (node.kind, old.delay) != (kind, new.delay):
                await node.change(kind, new.delay)
        for node in self.nodes[len(new.nodes) :]:
            await node.leave()
        self._connectionsBehave()
        self._publish()
        if how != "none":
            for channel in self.channels:
                self._cut(channel, how)

    def _connectionsBehave(self) -> None:
        for node in self.nodes:
            node.signalling.pongs = self.settings.pongs
            node.signalling.rewriting = Rewriting.of(self.settings)
            node.wires.idle = self.settings.idle

    # Connections

    def _shaken(self, channel: StreamSignalling) -> None:
        """The handshake is over."""
        if self.settings.cutOn == "handshake":
            self._cutLater(_SENT, channel)

    def _done(self, moment: str, channel: Any) -> None:
        """The carrier has done something after which connections may be cut."""
        if moment == self.settings.cutOn:
            self._cutLater(_LATER, channel)

    def _cutLater(self, seconds: float, channel: StreamSignalling) -> None:
        self._cuts = [each for each in self._cuts if each.active()]
        self._cuts.append(self._reactor.callLater(seconds, self._cut, channel, self.settings.cutHow))

    def _cut(self, channel: StreamSignalling, how: str) -> None:
        if channel in self.channels:
            self.log.info("{peer}: cut: {how}", peer=channel.peer, how=how)
            cut(channel.close, wireOf(channel), how)

    # Service

    def startService(self) -> None:
        """Bind, unless L{listen} was called before."""
        super().startService()
        if not self.nodes:
            self.listen()
        for each in (self.names, self._control):
            if each is not None:
                each.startService()

    def stopService(self) -> Deferred[None]:
        """Hang up, say goodbye, close everything; within a few seconds."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for node in self.nodes:
            await node.leave()
        transactions = self.carrier.agent.transactions
        self.carrier.stop()
        await self._until(lambda: not transactions.pending, _GOODBYE)
        transactions.stop()
        for channel in self.channels:
            channel.close()
        await self._until(lambda: not self.connections, _CLOSING)
        wires = [*(node.wires for node in self.nodes), *self.outward.wires]
        for wire in [wire for factory in wires for wire in factory.wires]:
            wire.reset()
        await self._until(lambda: not any(factory.wires for factory in wires), _CLOSING)
        for each in self._cuts:
            if each.active():
                each.cancel()
        await self._release()

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = self._reactor.seconds() + seconds
        while not done() and self._reactor.seconds() < end:
            await deferLater(self._reactor, 0.02)

    def _release(self) -> Deferred[None]:
        """Give back what is bound; files and sockets of this run too."""

        async def release() -> None:
            for node in self.nodes:
                await node.leave()
            await self.credentials.stop()
            await self.names.stopService()
            if self._control is not None:
                await self._control.stopService()
                self._control = None

        return Deferred.fromCoroutine(release())
