"""One PBX of the configuration, wired: its side of calls, its transactions and its transports."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from skypetrunk.core.sides import PBXSide
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import INumberPlan, IPBXDialect, IServerTransaction
from skypetrunk.net.pbx_tls import PBXTLS
from skypetrunk.net.pbx_transports import PBXTransports
from skypetrunk.net.reception import MessageObserver
from skypetrunk.pbx.dialect import BoundedDialect
from skypetrunk.pbx.doorkeeper import Doorkeeper
from skypetrunk.pbx.health import HealthTable
from skypetrunk.pbx.registrar import Registrar
from skypetrunk.service.certificate_watch import CertificateWatch
from skypetrunk.service.health import HealthWatch, OptionsProbe, WatchedTransactions
from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.service.tls_files import pbxTLS
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.message import Response
from skypetrunk.wire.uri import SIPURI

QUICK_T1 = 0.1
"""T1 of a PBX with several addresses: on a private network it may be less than 0.5 s (RFC 3261 section
17.1.1.1), and with 64*T1 a call finds out within 6.4 s that an address is dead."""

_PATIENCE = 64 * QUICK_T1
"""The same for a PBX with one address, where the route has another destination: the caller would hear
nothing for 32 s."""


class PBX:
    """
    One PBX.

    @ivar name: as configured.
    @ivar side: as the calls see it.
    @ivar limits: of its calls.
    """

    def __init__(
        self,
        configuration: PBXConfiguration,
        reactor: Any,
        numbers: INumberPlan,
        token: Callable[[], str],
        timers: Timers,
        observer: MessageObserver | None,
        dialect: IPBXDialect | None = None,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        """
        @param dialect: what the plugin C{configuration.dialect} has made.
        @param waited: told how many seconds each datagram waited until it was read.
        @raise ConfigurationError: a certificate file that cannot be used.
        """
        self.name = configuration.name
        self.dialect: BoundedDialect | None = None
        if dialect is not None:
            plugin = configuration.dialect or ""
            self.dialect = BoundedDialect(plugin, self.name, dialect, numbers, reactor.seconds)
        self._addresses = configuration.addresses
        self.health = HealthTable(configuration.addresses, reactor.seconds)
        watch = HealthWatch(configuration.name, self.health)
        self.transports = PBXTransports(
            reactor,
            reactor,
            token,
            configuration.listen,
            configuration.address,
            configuration.allow,
            observer,
            others=configuration.others,
            preferred=self._place,
            unreachable=watch.failed,
            dialect=self.dialect,
            tls=None if configuration.tls is None else pbxTLS(configuration.tls),
            waited=waited,
        )
        self._watch: CertificateWatch[PBXTLS] | None = None
        secure = configuration.tls
        if secure is not None:
            self._watch = CertificateWatch(
                self.name, reactor, secure.files, lambda: pbxTLS(secure), self.transports.replaceTLS
            )
        self.side = PBXSide(
            configuration.name,
            self.transports,
            _uri(configuration.address or configuration.listen[0]),
            _uri(configuration.listen[0]),
            configuration.optionsUnusable,
            configuration.emergencyStatus,
            configuration.callerFrom,
            configuration.numberForm,
            numbers,
        )
        self.limits = configuration.limits
        self.side.limit = self.limits.calls
        self.doorkeeper: Doorkeeper | None = None
        if configuration.password is not None:
            self.doorkeeper = Doorkeeper(
                configuration.username, configuration.password, reactor.seconds, token, os.urandom
            )
            self.side.doorkeeper = self.doorkeeper.check
        self.registrar: Registrar | None = None
        if configuration.address is None:
            self.registrar = Registrar(configuration.username, reactor.seconds, token)
            self.side.registrar = self._register
            self.side.registered = lambda: self._place() is not None
        self.side.choose = self._target
        self.side.hosts = self._hosts
        self.side.redirect = configuration.redirect
        self.side.redirectAllow = configuration.redirectAllow
        self.side.keys = configuration.dtmf
        self.side.mediaPath = configuration.mediaPath
        self.side.silence = configuration.mediaSilence
        self.side.ill = lambda: self.health.ill
        self.side.ways = max(len(configuration.addresses), 1)
        if self.side.ways == 1:
            self.side.patience = _PATIENCE
        else:
            timers = replace(timers, t1=min(timers.t1, QUICK_T1))
        self.transactions = Transactions(reactor, self.side, token, timers)
        self.side.transactions = WatchedTransactions(self.transactions, watch)
        self.probe: OptionsProbe | None = None
        if configuration.optionsInterval:
            self.probe = OptionsProbe(
                reactor,
                token,
                self.side.transactions,
                self.transports,
                _uri(configuration.listen[0]),
                [_uri(address) for address in configuration.addresses],
                configuration.optionsInterval,
            )

    def _place(self) -> TransportAddress | None:
        """Where it is reached now."""
        if self.registrar is None:
            return self.health.order()[0]
        binding = self.registrar.find()
        return None if binding is None else binding.source

    def _hosts(self) -> Collection[str]:
        """Every address that is the PBX's."""
        binding = None if self.registrar is None else self.registrar.find()
        if binding is not None:
            return (binding.uri.host, binding.source.host)
        return [address.host for address in self._addresses]

    def _target(self) -> SIPURI:
        """How it is addressed now."""
        binding = None if self.registrar is None else self.registrar.find()
        if binding is not None:
            return binding.uri.replace(password=None, headers=())
        place = self._place()
        if place is None:
            raise NoTarget(f"{self.name} is not registered")
        return _uri(place)

    def _register(self, transaction: IServerTransaction) -> Response:
        """The answer to a REGISTER."""
        request = transaction.request
        assert self.registrar is not None
        refusal = None if self.doorkeeper is None else self.doorkeeper.check(request)
        return refusal or self.registrar.register(request, transaction.channel.peer)

    def start(self) -> None:
        """Ask for its health, if that is wanted; watch its certificates."""
        if self._watch is not None:
            self._watch.start()
        if self.probe is not None:
            self.probe.start()

    def listen(self) -> None:
        """
        Bind its listeners.

        @raise CannotListenError: one is taken.
        """
        self.transports.listen(self.transactions)
        # The first of each transport, as with the address that sends.
        listening = reversed(self.transports.listening)
        self.side.streamPorts = {each.transport: each.port for each in listening if each.transport != "UDP"}

    def close(self) -> None:
        """Close the listeners, since something else could not be bound."""
        self.transports.stop()

    async def stop(self) -> None:
        """Close the listeners; what is still on the wire is dropped."""
        if self._watch is not None:
            self._watch.stop()
        if self.probe is not None:
            self.probe.stop()
        self.transactions.stop()
        await self.transports.stop()

    def status(self) -> Mapping[str, object]:
        """Addresses and counters, ready for JSON."""
        return {
            "listen": [str(address) for address in self.transports.listening],
            "addresses": self.health.status(),
            "registration": self._registration(),
            "unproved": {} if self.doorkeeper is None else dict(self.doorkeeper.refused),
            "dialect": self._dialect(),
            "calls": self.side.calls,
            "transactions": self.transactions.pending,
            "strangers": self.transports.strangers,
            "strangerHosts": self.transports.strangerHosts,
            "crowded": self.transports.crowded,
            "malformed": self.transports.malformed,
            "handshakes": self.transports.handshakes,
        }

    def _dialect(self) -> Mapping[str, object] | None:
        if self.dialect is None:
            return None
        return {"plugin": self.dialect.plugin, "failures": self.dialect.failures}

    def _registration(self) -> Mapping[str, object] | None:
        if self.registrar is None:
            return None
        binding = self.registrar.find()
        if binding is None:
            return {"contact": None}
        return {
            "contact": str(binding.uri),
            "source": str(binding.source),
            "expires": self.registrar.left(binding),
        }


def _uri(address: TransportAddress) -> SIPURI:
    """C{sip:host:port}, with the transport unless it is UDP."""
    transport = address.transport.lower()
    parameters = Parameters() if transport == "udp" else Parameters().with_("transport", transport)
    return SIPURI("sip", None, None, address.host, address.port, parameters)
