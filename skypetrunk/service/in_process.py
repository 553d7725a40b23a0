"""One PBX of the configuration that lives in this process, wired: a vendor's plugin and its line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from skypetrunk.core.sides import PBXSide
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import IPBX, IMediaEndpoint, INumberPlan
from skypetrunk.pbx.line import PBX_URI, TRUNK_URI, Line
from skypetrunk.pbx.memory import Observer
from skypetrunk.service.settings import PBXConfiguration


class InProcessPBX:
    """
    The sibling of L{skypetrunk.service.neighbour.PBX}.

    @ivar name: as configured.
    @ivar side: as the calls see it.
    @ivar limits: of its calls.
    @ivar transactions: the trunk's.
    """

    def __init__(
        self,
        configuration: PBXConfiguration,
        vendor: IPBX,
        reactor: Any,
        numbers: INumberPlan,
        token: Callable[[], str],
        timers: Timers,
        endpoint: Callable[[str], IMediaEndpoint],
        observer: Observer | None,
    ) -> None:
        """
        @param vendor: what the plugin C{configuration.plugin} has made.
        @param endpoint: makes the end of a call's media.
        """
        self.name = configuration.name
        self._plugin = configuration.plugin or ""
        self._line = Line(
            self.name, vendor, self._plugin, reactor, timers, token, os.urandom, numbers, endpoint
        )
        self.side = PBXSide(
            self.name,
            self._line.finder,
            PBX_URI,
            TRUNK_URI,
            numberForm=configuration.numberForm,
            numbers=numbers,
        )
        self.limits = configuration.limits
        self.side.limit = self.limits.calls
        self.transactions = Transactions(reactor, self.side, token, timers)
        self.side.transactions = self.transactions
        self._line.connect(self.transactions, observer)

    def listen(self) -> None:
        """There is nothing to bind."""

    def close(self) -> None:
        """There is nothing to close."""

    def start(self) -> None:
        """The vendor gets its line."""
        self._line.attach()

    async def stop(self) -> None:
        """The vendor loses it; what is still under way is dropped."""
        self._line.stop()
        self.transactions.stop()

    def status(self) -> Mapping[str, object]:
        """Counters, ready for JSON."""
        return {
            "plugin": self._plugin,
            "listen": [],
            "addresses": [],
            "registration": None,
            "unproved": {},
            "calls": self.side.calls,
            "transactions": self.transactions.pending + self._line.transactions.pending,
            "strangers": 0,
            "strangerHosts": [],
            "crowded": 0,
            "malformed": 0,
        }


__all__ = ["InProcessPBX"]
