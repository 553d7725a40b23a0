"""
The servers of a trunk, as one call tries them (RFC 3263 section 4.3).

A call goes where the trunk is registered, as carriers want it; with C{balance} each call draws its server.
Either way those that are well come first, and no call asks a server twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.target_health import shown
from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ICallAttempt, ICallTargets, IMessageChannel, Target
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.wire.uri import SIPURI

#: Finds the way to a URI; where it cannot be reached, the channel given may be taken.
Find = Callable[[SIPURI, IMessageChannel | None], Deferred[IMessageChannel]]

#: A server, and the connection to it.
Flow = tuple[Target, IMessageChannel]


@implementer(ICallTargets)
class CallTargets:
    """Those of one call."""

    __slots__ = ("_instead", "balance", "find", "flows", "tried")

    def __init__(
        self, flows: TrunkFlows, find: Find, balance: bool, instead: Callable[[], Flow | None]
    ) -> None:
        """
        @param find: the way of all other requests of the trunk.
        @param balance: the server is drawn anew, else the call follows the registration.
        @param instead: the flow that is registered while that of C{flows} is not, if there is one.
        """
        self.flows = flows
        self.find = find
        self.balance = balance
        self._instead = instead
        self.tried: set[tuple[str, str, int]] = set()

    def attempt(self) -> ICallAttempt:
        """See L{ICallTargets.attempt}."""
        return CallAttempt(self)

    def followed(self) -> Flow | None:
        """Where the trunk is registered, if that comes first."""
        flow = None if self.balance else self._instead() or self._first()
        if flow is None or flow[0].address in self.tried or not self.flows.health.usable(flow[0]):
            return None
        return flow

    def _first(self) -> Flow | None:
        target, current = self.flows.target, self.flows.current()
        return None if target is None or current is None else (target, current)

    async def left(self) -> Sequence[Target]:
        """Those to try, in order."""
        try:
            found = await self.flows.locate()
        except NoTarget:
            found = self.flows.known
        ordered = self.flows.health.order(found)
        target = None if self.flows.current() is None else self.flows.target
        if target is not None and target.address not in {each.address for each in found}:
            # DNS names it no longer, and yet it serves.
            ordered.append(target)
        return [each for each in ordered if each.address not in self.tried]


@implementer(ICallAttempt)
class CallAttempt:
    """See L{ICallAttempt}."""

    __slots__ = ("_begun", "_bound", "_channel", "_flows", "_target", "_targets")

    _log = Logger()

    def __init__(self, targets: CallTargets) -> None:
        self._targets = targets
        self._flows = targets.flows
        self._begun = False
        # Its first hop is named by a route: only that one will do.
        self._bound = False
        self._target: Target | None = None
        self._channel: IMessageChannel | None = None

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """See L{ICallAttempt.find}."""
        isDomain = self._flows.isDomain(uri)
        if self._begun:
            if self.stands() and isDomain and self._channel is not None:
                return succeed(self._channel)
            return self._targets.find(uri, self._channel if self.stands() else None)
        self._begun = True
        if not isDomain:
            self._bound = True
            return self._targets.find(uri, None)
        followed = self._targets.followed()
        if followed is not None:
            self._take(*followed)
            return succeed(followed[1])
        return Deferred.fromCoroutine(self._choose())

    async def _choose(self) -> IMessageChannel:
        problems: list[str] = []
        for target in await self._targets.left():
            self._targets.tried.add(target.address)
            try:
                channel = await self._flows.channelTo(target)
            except CancelledError:
                raise
            except Exception as problem:
                problems.append(str(problem))
                continue
            self._take(target, channel)
            return channel
        raise NoTarget("; ".join(problems) or "no server is left to try")

    def _take(self, target: Target, channel: IMessageChannel) -> None:
        self._targets.tried.add(target.address)
        self._target, self._channel = target, channel

    def stands(self) -> bool:
        """See L{ICallAttempt.stands}."""
        return self._channel is not None and self._flows.stands(self._channel)

    def another(self) -> bool:
        """See L{ICallAttempt.another}."""
        health, tried = self._flows.health, self._targets.tried
        return not self._bound and any(
            each.address not in tried and not health.avoided(each) for each in self._flows.known
        )

    def answered(self) -> None:
        """See L{ICallAttempt.answered}."""
        if self._target is not None:
            self._flows.health.answered(self._target)

    def silent(self, reason: str) -> None:
        """See L{ICallAttempt.silent}."""
        if self._target is not None:
            self._told(self._target, self._flows.health.failed(self._target, reason, mute=True), reason)

    def refused(self, reason: str, retryAfter: float | None) -> None:
        """See L{ICallAttempt.refused}."""
        target, health = self._target, self._flows.health
        if target is None:
            return
        if retryAfter is None:
            self._told(target, health.struck(target, reason), reason)
        else:
            self._told(target, health.failed(target, reason, retryAfter, mute=True), reason)

    def _told(self, target: Target, seconds: float, reason: str) -> None:
        if seconds:
            self._log.warn(
                "{target} is passed over for {seconds} s: {reason}",
                target=shown(target),
                seconds=round(seconds),
                reason=reason,
            )


__all__ = ["CallAttempt", "CallTargets"]
