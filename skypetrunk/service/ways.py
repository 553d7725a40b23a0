"""
Which connection of a trunk a request takes that is bound to none: requests within calls, mostly (RFC 5626
section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.core.reaching import happened
from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.service.next_flow import NextFlow
from skypetrunk.service.second_flow import SecondFlow
from skypetrunk.wire.uri import SIPURI

REDIAL_SECONDS = 8.0
"""How long a request within a call waits for a connection that was lost: two or three attempts to make it."""


class Ways:
    """Those of one trunk."""

    _log = Logger()

    def __init__(
        self,
        trunk: str,
        clock: IReactorTime,
        flows: TrunkFlows,
        second: SecondFlow,
        registered: Callable[[], bool],
    ) -> None:
        """
        @param registered: is the first flow, or has it no need to be?
        """
        self._trunk = trunk
        self._flows = flows
        self._second = second
        self._registered = registered
        self._next = NextFlow(clock, REDIAL_SECONDS)

    @property
    def current(self) -> IMessageChannel | None:
        """
        The flow that is registered, the first one before the second; else the first as it is, as what ends a
        call may have no other way.
        """
        first, second = self._flows.current(), self._second.channel
        return first if second is None or (first is not None and self._registered()) else second

    def find(self, uri: SIPURI, otherwise: IMessageChannel | None = None) -> Deferred[IMessageChannel]:
        """
        The way to C{uri}; where that cannot be reached, the L{current} one: carriers put addresses of their
        inner network into Contacts and mean the connection that they came by.  A flow that was lost is
        waited for; new calls go elsewhere while it is down.

        @param otherwise: to be taken instead of the flow: the connection that the dialog began on.
        """
        way = self.current if self._flows.isDomain(uri) else None
        if way is not None:
            return succeed(way)
        found = self._flows.find(uri)
        if happened(found):
            return found
        return found.addErrback(lambda failure: self._fallBack(failure, uri, otherwise))

    def _fallBack(
        self, failure: Failure, uri: SIPURI, otherwise: IMessageChannel | None
    ) -> Deferred[IMessageChannel]:
        flow = otherwise or self.current
        if flow is None:
            return self._next.wait(NoTarget(failure.getErrorMessage()))
        self._log.warn(
            "{trunk}: {host} cannot be reached, its requests take the connection to {peer}: {problem}",
            trunk=self._trunk,
            peer=flow.peer,
            host=uri.maddr or uri.host,
            problem=failure.getErrorMessage(),
        )
        return succeed(flow)

    def found(self, channel: IMessageChannel) -> None:
        """What has waited for a connection takes this one."""
        self._next.found(channel)

    def stop(self) -> None:
        """There will be none."""
        self._next.stop()


__all__ = ["REDIAL_SECONDS", "Ways"]
