"""
One trunk of a configuration on a clock: real TLS and real connections in memory, to a carrier that the test
plays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IServerTransaction, MediaHost, MediaPath
from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.net.dns_records import Records
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.profiles import loadProfile, readProfile
from skypetrunk.service.carrier import Carrier
from skypetrunk.service.finding import trunkLocator
from skypetrunk.service.settings import (
    InboundConfiguration,
    Limits,
    TLSConfiguration,
    TrunkConfiguration,
    TrunkDNS,
    TrunkMedia,
)
from skypetrunk.testing import RecordingTransactionUser, countingToken
from skypetrunk.wire.message import Header, Request, responseTo
from skypetrunk.wire.secret import Secret
from tests.core.callnet import Plan
from tests.net.certificates import Issued, authority, dns, leaf
from tests.net.network import MemoryNetwork
from tests.net.zone import Zone, ZoneResolver

DOMAIN = "carrier.example"
ADDRESS = ("192.0.2.1", 5061)


class NetworkReactor(Clock):
    """A clock whose TCP connections are those of a L{MemoryNetwork}."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MemoryNetwork(self)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float, bindAddress: object) -> None:
        """Connect in memory; see C{IReactorTCP}."""
        connecting: Deferred[IProtocol] = self.network.connect((host, port), factory)

        def failed(reason: Failure) -> None:
            factory.clientConnectionFailed(None, reason)

        connecting.addErrback(failed)


    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> MemoryPort:
        """Listen in memory; see C{IReactorTCP}."""
        self.network.listen(interface, port, factory)
        return MemoryPort(self.network, interface, port)


class MemoryPort:
    """A listening port of a L{NetworkReactor}."""

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self._network = network
        self._place = host, port

    def getHost(self) -> IPv4Address:
        """Where it is."""
        return IPv4Address("TCP", *self._place)

    def stopListening(self) -> None:
        """Nobody can connect any more."""
        self._network.unlisten(*self._place)


class CarrierCase(SynchronousTestCase):
    """
    A trunk to 192.0.2.1, where a carrier listens from the beginning.

    @cvar profile: lines of its profile.
    @cvar packaged: the name of a profile that comes with the package, instead of those lines.
    @cvar domain: of the carrier.
    @cvar zone: what DNS says.
    @cvar tls: what of its L{TLSConfiguration} is not the default.
    @ivar trunk: not started.
    @ivar carrier: what the carrier was asked, over any connection.
    @ivar connections: those of the carrier that stand.
    """

    profile = ""
    packaged = ""
    domain = DOMAIN
    zone: Zone = {}
    targets: tuple[tuple[str, int], ...] = (ADDRESS,)
    balance = False
    router: tuple[str, int] | None = None
    """Where the carrier says that it sees the trunk."""
    configured: Mapping[str, Any] = {}
    """More of L{TrunkConfiguration}."""
    instance = ""
    username = "account"
    tls: Mapping[str, Any] = {}

    def roots(self) -> bytes:
        """Who vouches for the carrier, PEM."""
        return authority().pem

    def certificate(self) -> Issued:
        """The carrier's."""
        return leaf(dns(self.domain))

    def setUp(self) -> None:
        """Both sides are there."""
        self.reactor = NetworkReactor()
        self.network = self.reactor.network
        self.carrier = RecordingTransactionUser()
        # A transaction that was answered keeps only what names it.
        self._asked: list[tuple[str, Request]] = []
        self.carrier.onRequest = self._received
        self.layer = Transactions(self.reactor, self.carrier, countingToken())
        self.connections: list[StreamSignalling] = []
        self.factory = StreamSignallingFactory(
            self.layer,
            self.reactor,
            lambda: "carrier",
            transport="TLS",
            secure=True,
            connected=self.connections.append,
            lost=self._lost,
        )
        self.serve(issued=self.certificate())
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.trunk = self._makeTrunk(self.directory)

    def serve(
        self,
        address: tuple[str, int] = ADDRESS,
        factory: IProtocolFactory | None = None,
        issued: Issued | None = None,
    ) -> None:
        """
        The carrier listens at C{address}.

        @param factory: another server than the carrier's.
        @param issued: its certificate; else a good one.
        """
        issued = issued or leaf(dns(self.domain))
        options = tlsServerOptions(loadOwnCertificate(issued.pem, issued.keyPEM))
        self.network.listenTLS(*address, options, factory or self.factory)

    def _received(self, transaction: IServerTransaction) -> None:
        self._asked.append((transaction.channel.localAddress.host, transaction.request))

    def _lost(self, channel: StreamSignalling, reason: ChannelFailed) -> None:
        self.connections.remove(channel)

    def _makeTrunk(self, directory: Path) -> Carrier:
        own = directory / "test.toml"
        own.write_text(f'title = "Test"\n{self.profile}\n')
        profile = loadProfile(self.packaged) if self.packaged else readProfile(own)
        (directory / "ca.pem").write_bytes(self.roots())
        configuration = TrunkConfiguration(
            name="carrier",
            profile=profile,
            domain=self.domain,
            username=self.username,
            password=Secret("s3cret"),
            targets=self.targets,
            balance=self.balance,
            tls=evolve(TLSConfiguration(directory / "ca.pem", (), None, None, None), **self.tls),
            media=TrunkMedia(
                profile.suites if self.packaged else ("AES_CM_128_HMAC_SHA1_80",),
                MediaPath(hosts=(MediaHost("192.0.2.99"),)),
            ),
            limits=Limits(),
            inbound=self.inbound(directory),
            **{"dns": TrunkDNS(naptr=profile.naptr), **self.configured},
        )
        records = Records(ZoneResolver(self.zone), self.reactor)
        locator = trunkLocator(configuration, records, lambda highest: 0)
        return Carrier(
            configuration,
            self.reactor,
            locator,
            Plan(),
            countingToken(),
            lambda: 0.5,
            Timers(),
            None,
            instance=self.instance,
        )

    def inbound(self, directory: Path) -> InboundConfiguration | None:
        """Where the carrier calls in, if it does."""
        return None

    def start(self) -> None:
        """The trunk starts, and everything happens that happens at once."""
        self.trunk.start()
        self.network.flush()

    def requests(self, method: str) -> list[Request]:
        """What the carrier was asked by C{method}, oldest first."""
        return [request for _, request in self.asked(method)]

    def asked(self, method: str) -> list[tuple[str, Request]]:
        """The same, each with the address of the server that was asked."""
        return [each for each in self._asked if each[1].method == method]

    def answers(self, status: int, *headers: tuple[str, str]) -> None:
        """The carrier answers the last request."""
        transaction = self.carrier.transactions[-1]
        lines = tuple(Header(*header) for header in headers)
        response = responseTo(transaction.request, status, None, lines, toTag="carrier")
        if self.router is not None:
            via = response.topVia
            params = via.params.with_("received", self.router[0]).with_("rport", str(self.router[1]))
            response = response.withTopVia(via.replace(params=params))
        transaction.respond(response)
        self.network.flush()

    def grants(self, *headers: tuple[str, str], seconds: int = 3600) -> None:
        """The carrier accepts the last REGISTER."""
        contact = self.requests("REGISTER")[-1].contacts[0]
        granted = contact.replace(params=contact.params.with_("expires", str(seconds)))
        self.answers(200, ("Contact", str(granted)), *headers)
