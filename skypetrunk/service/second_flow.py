"""
A second flow of a trunk, to another server (RFC 5626 section 4.2): calls go on over it, and new ones come and
go, while the first is made anew.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.registration import Registration
from skypetrunk.interfaces import IMessageChannel, IRegistrationObserver, Target
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.registrations import Register
from skypetrunk.wire.headers import NameAddr

RETRY_SECONDS = 30.0
"""From the loss of a second flow, or an attempt at one, to the next: the first one has all the hurry."""

_NUMBER = 2


@implementer(IRegistrationObserver)
class SecondFlow:
    """
    Of one trunk, and only while it has another server than that of the first flow.

    @ivar address: which of our addresses the carrier sees over it.
    """

    _log = Logger()

    def __init__(
        self,
        trunk: str,
        clock: IReactorTime,
        flows: TrunkFlows,
        address: PublicAddress,
        register: Register,
        changed: Callable[[], None],
    ) -> None:
        """
        @param register: makes its registration.
        @param changed: told that L{channel} has changed.
        """
        self.address = address
        self._trunk = trunk
        self._clock = clock
        self._flows = flows
        self._register = register
        self._registration: Registration | None = None
        self._changed = changed
        self._channel: StreamSignalling | None = None
        self._target: Target | None = None
        self._opening: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._registered = False
        self._stopped = False

    @property
    def channel(self) -> IMessageChannel | None:
        """The connection, while it is registered."""
        return self._channel if self._registered else None

    @property
    def flow(self) -> tuple[Target, IMessageChannel] | None:
        """L{channel}, and the server that it leads to."""
        channel = self.channel
        return None if channel is None or self._target is None else (self._target, channel)

    @property
    def serviceRoute(self) -> tuple[NameAddr, ...]:
        """See L{Registration.serviceRoute}."""
        return () if self._registration is None else self._registration.serviceRoute

    def want(self) -> None:
        """The first flow is registered with who keeps several: have a second, if there can be one."""
        if self._stopped or self._opening is not None or self._retry is not None:
            return
        first = self._flows.target
        if self._channel is not None and (
            first is None or self._target is None or self._target.address != first.address
        ):
            return
        targets = self._others()
        if targets:
            opening = self._opening = Deferred.fromCoroutine(self._open(targets[0]))
            opening.addCallbacks(self._opened, self._failed)
        elif len(self._flows.known) > 1:
            self._later()

    def down(self, channel: IMessageChannel) -> None:
        """A connection beside the first flow has ended."""
        if channel is self._channel:
            self._log.info("{trunk}: the second flow is lost", trunk=self._trunk)
            self._drop()
            self._later()
        else:
            # It may have been ours before, and calls were on it.
            self._changed()

    def credentialsChanged(self) -> None:
        """There is another password."""
        if self._registration is not None:
            self._registration.credentialsChanged()

    async def stop(self) -> None:
        """Take its registration back."""
        self._stopped = True
        retry, self._retry = self._retry, None
        if retry is not None:
            retry.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._registration is not None and self.channel is not None:
            await self._registration.stop()

    def _others(self) -> list[Target]:
        first = self._flows.target
        return [
            each
            for each in self._flows.health.order(self._flows.known)
            if self._flows.health.usable(each) and (first is None or each.address != first.address)
        ]

    async def _open(self, target: Target) -> None:
        channel = await self._flows.channelTo(target)
        if channel is self._flows.current():
            self._later()
            return
        assert isinstance(channel, StreamSignalling)
        # The first flow has moved to the server of this one: its binding is replaced.
        before, self._channel, self._target = self._channel, channel, target
        self._registered = False
        if before is not None:
            before.close()
        if self._registration is None:
            self._registration = self._register(_NUMBER, self, self.address)
        self._registration.start(channel)

    def _opened(self, result: None) -> None:
        self._opening = None

    def _failed(self, failure: Failure) -> None:
        self._opening = None
        if not self._stopped:
            problem = failure.getErrorMessage()
            self._log.info("{trunk}: no second flow: {problem}", trunk=self._trunk, problem=problem)
            self._later()

    def _later(self) -> None:
        if not self._stopped and self._retry is None:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._again)

    def _again(self) -> None:
        self._retry = None
        if self._flows.current() is not None:
            self.want()
        else:
            self._later()

    def _drop(self) -> None:
        was, self._registered = self._registered, False
        self._channel = None
        if self._registration is not None:
            self._registration.channelLost()
        if was:
            self._changed()

    # IRegistrationObserver

    def registered(self, expires: int) -> None:
        """The carrier knows it."""
        channel, registration = self._channel, self._registration
        if channel is not None and registration is not None and registration.outbound:
            channel.pingsAnswered(registration.flowTimer)
        if not self._registered:
            self._registered = True
            self._changed()

    def refused(self, reason: str, status: int) -> None:
        """The carrier does not want it, or not now; what it granted may hold a while."""
        self._log.info(
            "{trunk}: the second flow is refused: {status} {reason}",
            trunk=self._trunk,
            status=status,
            reason=reason,
        )
        if self._registered and self._registration is not None and not self._registration.registered:
            self._registered = False
            self._changed()

    def lost(self, reason: str) -> None:
        """No answer: this connection is worth nothing."""
        if self._channel is not None:
            self._channel.abort(reason)


__all__ = ["SecondFlow"]
