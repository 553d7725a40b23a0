"""One PBX of the configuration, wired: its side of calls, its transactions and its transports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from skypetrunk.core.sides import PBXSide
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.net.pbx_transports import PBXTransports
from skypetrunk.net.signalling import MessageObserver
from skypetrunk.pbx.doorkeeper import Doorkeeper
from skypetrunk.pbx.health import HealthTable
from skypetrunk.service.health import HealthWatch, OptionsProbe, WatchedTransactions
from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.uri import SIPURI

QUICK_T1 = 0.1
"""T1 of a PBX with several addresses: on a private network it may be less than 0.5 s (RFC 3261 section
17.1.1.1), and with 64*T1 a call finds out within 6.4 s that an address is dead."""


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
        token: Callable[[], str],
        timers: Timers,
        observer: MessageObserver | None,
    ) -> None:
        self.name = configuration.name
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
            preferred=self._best,
            unreachable=watch.failed,
        )
        self.side = PBXSide(
            configuration.name,
            self.transports,
            _uri(configuration.address),
            _uri(configuration.listen[0]),
            configuration.optionsUnusable,
            configuration.emergencyStatus,
        )
        self.limits = configuration.limits
        self.side.limit = self.limits.calls
        self.doorkeeper: Doorkeeper | None = None
        if configuration.password is not None:
            self.doorkeeper = Doorkeeper(
                configuration.username, configuration.password, reactor.seconds, token, os.urandom
            )
            self.side.doorkeeper = self.doorkeeper.check
        self.side.choose = lambda: _uri(self._best())
        self.side.ways = len(configuration.addresses)
        if self.side.ways > 1:
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

    def _best(self) -> TransportAddress:
        return self.health.order()[0]

    def start(self) -> None:
        """Ask for its health, if that is wanted."""
        if self.probe is not None:
            self.probe.start()

    def listen(self) -> None:
        """
        Bind its listeners.

        @raise CannotListenError: one is taken.
        """
        self.transports.listen(self.transactions)
        streams = [each.port for each in self.transports.listening if each.transport == "TCP"]
        self.side.streamPort = streams[0] if streams else None

    async def stop(self) -> None:
        """Close the listeners; what is still on the wire is dropped."""
        if self.probe is not None:
            self.probe.stop()
        self.transactions.stop()
        await self.transports.stop()

    def status(self) -> Mapping[str, object]:
        """Addresses and counters, ready for JSON."""
        return {
            "listen": [str(address) for address in self.transports.listening],
            "addresses": self.health.status(),
            "unproved": {} if self.doorkeeper is None else dict(self.doorkeeper.refused),
            "calls": self.side.calls,
            "transactions": self.transactions.pending,
            "strangers": self.transports.strangers,
            "malformed": self.transports.malformed,
        }


def _uri(address: TransportAddress) -> SIPURI:
    """C{sip:host:port}, with the transport unless it is UDP."""
    transport = address.transport.lower()
    parameters = Parameters() if transport == "udp" else Parameters().with_("transport", transport)
    return SIPURI("sip", None, None, address.host, address.port, parameters)
