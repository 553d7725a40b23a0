"""One PBX of the configuration, wired: its side of calls, its transactions and its transports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skypetrunk.core.sides import PBXSide
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.net.pbx_transports import PBXTransports
from skypetrunk.net.signalling import MessageObserver
from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import Parameters
from skypetrunk.wire.uri import SIPURI


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
        self.transports = PBXTransports(
            reactor,
            reactor,
            token,
            configuration.listen,
            configuration.address,
            configuration.allow,
            observer,
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
        self.transactions = Transactions(reactor, self.side, token, timers)
        self.side.transactions = self.transactions

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
        self.transactions.stop()
        await self.transports.stop()

    def status(self) -> Mapping[str, object]:
        """Addresses and counters, ready for JSON."""
        return {
            "listen": [str(address) for address in self.transports.listening],
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
