"""
The connections of one trunk: one flow that is kept (RFC 5626 section 4.5), and others where the
carrier's routing asks for them.

Every one of them is verified against the trunk's domain, whatever name or address led to it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.target_health import TargetHealth
from skypetrunk.errors import ChannelFailed, NoTarget, PeerNotVerified
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, ITargetLocator, ITransactions, Target
from skypetrunk.net.backoff import Backoff
from skypetrunk.net.handshake import HandshakeRecord
from skypetrunk.net.locate import DEFAULT_PORT
from skypetrunk.net.reception import MessageObserver
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.targets_endpoint import Connector, TargetsEndpoint
from skypetrunk.wire.address import isLiteral
from skypetrunk.wire.uri import SIPURI

#: A server that closes a connection sooner than this, in seconds, has not taken us on.
_TAKEN_ON = 10.0

#: When a quiet connection is pinged, as a part of the time after which the carrier closes one.
_PING_BEFORE = 0.8

#: Connections beside the flow.  A carrier has a handful of gateways.
_MOST_EXTRA = 16


@implementer(IChannelFinder)
class TrunkFlows:
    """
    Keeps one verified connection to a carrier, and finds the right one for a URI.

    @ivar problem: why there is no flow, or C{None} while there is one.
    @ivar health: of the carrier's servers.
    """

    _log = Logger()

    def __init__(
        self,
        domain: str,
        locator: ITargetLocator,
        connector: Connector,
        transactions: ITransactions,
        clock: IReactorTime,
        token: Callable[[], str],
        random: Callable[[], float],
        *,
        observer: MessageObserver | None = None,
        up: Callable[[IMessageChannel], None] | None = None,
        down: Callable[[Exception], None] | None = None,
        mute: Callable[[IMessageChannel], None] | None = None,
        besideDown: Callable[[IMessageChannel], None] | None = None,
    ) -> None:
        """
        @param connector: makes verified connections only; see L{tlsConnector}.
        @param token: random text for tags.
        @param random: from 0 to 1.
        @param up: told of each new flow, at once.
        @param down: told that the flow was lost.
        @param mute: told of each ping over the flow that proves nothing, as it is not answered.
        @param besideDown: told that a connection beside the flow was lost.
        """
        self.problem: str | None = "not started"
        self.health = TargetHealth(clock.seconds)
        self._domain = domain.rstrip(".").lower()
        self._locator = locator
        self._connector = connector
        self._clock = clock
        self._up = up
        self._down = down
        self._besideDown = besideDown
        self._current: StreamSignalling | None = None
        self._since = 0.0
        self._condemned = False
        self._backoff = Backoff(random)

        def factory(
            connected: Callable[[StreamSignalling], None] | None,
            lost: Callable[[StreamSignalling, ChannelFailed], None],
        ) -> StreamSignallingFactory:
            return StreamSignallingFactory(
                transactions,
                clock,
                token,
                transport="TLS",
                secure=True,
                observer=observer,
                connected=connected,
                lost=lost,
                chance=random,
            )

        self._factory = factory(self._flowUp, self._flowDown)
        if mute is not None:
            self._factory.pongMissing = mute
        self._extraFactory = factory(None, self._extraDown)
        self._endpoint = TargetsEndpoint(
            domain, lambda: locator.locate(domain), connector, self._noFlow, self.health
        )
        self._service = ClientService(self._endpoint, self._factory, self._backoff, clock)
        # Connections beside the flow, by the host and port that were asked for; the last one comes last.
        self._extras: dict[tuple[str, int | None], StreamSignalling] = {}
        self._waiting: dict[tuple[str, int | None], list[Deferred[IMessageChannel]]] = {}
        self._connecting: dict[tuple[str, int | None], Deferred[StreamSignalling]] = {}
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        self.problem = "connecting"
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """
        Close everything.  Fires when all is closed, at the latest after the bound of
        L{skypetrunk.net.tls.closeWithin}.
        """
        self.problem = "stopped"
        self._stopped = Deferred()
        for connecting in tuple(self._connecting.values()):
            connecting.cancel()
        for channel in (*self._factory.channels, *self._extraFactory.channels):
            channel.close()
        stopped = gatherResults([self._service.stopService(), self._stopped])
        self._checkStopped()
        return stopped.addCallback(lambda results: None)

    def renew(self, why: str) -> None:
        """
        The flow is believed dead (RFC 5626 section 4.4): drop it, and connect anew, to another server if
        there is one.
        """
        current, target = self._current, self.target
        if current is not None and target is not None and not self._condemned:
            self.health.failed(target, why, mute=True)
            self._condemned = True
            current.abort(why)

    def refused(self, why: str, retryAfter: float | None) -> None:
        """
        The server takes nothing now (503, RFC 3261 section 21.5.4): move to another one, if one is well.

        @param retryAfter: seconds, if it said so.
        """
        current, target = self._current, self.target
        if current is None or target is None or self._condemned:
            return
        self.health.failed(target, why, retryAfter, mute=True)
        if any(self.health.usable(each) for each in self._endpoint.known):
            self._condemned = True
            current.abort(why)

    def answered(self) -> None:
        """The server has answered a request over the flow."""
        if self._current is not None and self.target is not None:
            self.health.answered(self.target)

    @property
    def target(self) -> Target | None:
        """The server that the flow leads to, or that was tried last."""
        return self._endpoint.target

    def pingsAnswered(self, flowTimer: int | None) -> None:
        """
        The registrar has promised that pings over the flow are answered (RFC 5626 section 5.4).

        @param flowTimer: seconds of silence after which it gives the flow up, if it says so.
        """
        if self._current is not None:
            self._current.pingsAnswered(flowTimer)

    def current(self) -> IMessageChannel | None:
        """The flow, while there is one."""
        return self._current

    def handshake(self) -> HandshakeRecord | None:
        """Evidence of the flow, or of the last attempt at one."""
        return None if self._endpoint.endpoint is None else self._endpoint.endpoint.handshake()

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """
        See L{IChannelFinder.find}.  The trunk's domain, and the address and name of the server
        that we are connected to, are the flow.  Anything else is connected to and kept.
        """
        host = (uri.maddr or uri.host).rstrip(".").lower()
        if self._isFlow(host):
            return self._flow()
        port = _tlsPort(uri)
        return self._beside((host, port), lambda: self._open(host, port))

    def _beside(
        self,
        key: tuple[str, int | None],
        opening: Callable[[], Coroutine[Deferred[Any], Any, StreamSignalling]],
    ) -> Deferred[IMessageChannel]:
        """The connection of this key, or a new one."""
        host = key[0]
        if key in self._extras:
            self._extras[key] = self._extras.pop(key)
            return succeed(self._extras[key])
        result: Deferred[IMessageChannel] = Deferred()
        if key in self._waiting:
            self._waiting[key].append(result)
            return result
        if self._stopped is not None or len(self._waiting) >= _MOST_EXTRA:
            return fail(NoTarget(f"{host}: {self.problem or 'too many connections beside the flow'}"))
        if len(self._extras) + len(self._waiting) >= _MOST_EXTRA:
            # Pings keep them open: the one that nobody asked for the longest makes room.
            longest = next(iter(self._extras.values()))
            self._forget(longest)
            longest.close()
        self._waiting[key] = [result]
        connecting = self._connecting[key] = Deferred.fromCoroutine(opening())
        connecting.addBoth(self._opened, key)
        return result

    # For calls

    def isDomain(self, uri: SIPURI) -> bool:
        """Does C{uri} name the trunk's domain, and no certain server?"""
        return (uri.maddr or uri.host).rstrip(".").lower() == self._domain

    @property
    def known(self) -> Sequence[Target]:
        """The servers that were found last."""
        return self._endpoint.known

    def locate(self) -> Deferred[Sequence[Target]]:
        """The servers, in an order drawn anew; see L{ITargetLocator.locate}."""

        def found(targets: Sequence[Target]) -> Sequence[Target]:
            self._endpoint.known = targets
            return targets

        return self._locator.locate(self._domain).addCallback(found)

    def stands(self, channel: IMessageChannel) -> bool:
        """Is C{channel} a connection of ours that has not ended?"""
        return channel in self._factory.channels or channel in self._extraFactory.channels

    def channelTo(self, target: Target) -> Deferred[IMessageChannel]:
        """
        A channel to one server: the flow if it leads there, else one beside it.

        @raise NoTarget: (errback) it cannot be reached.
        @raise PeerNotVerified: (errback) somebody else was reached.
        """
        current, flow = self._current, self.target
        if current is not None and flow is not None and flow.address == target.address:
            return succeed(current)
        return self._beside((target.host, target.port), lambda: self._connect(target.host, [target]))

    def _isFlow(self, host: str) -> bool:
        if host == self._domain:
            return True
        target = self._endpoint.target
        return (
            self._current is not None
            and target is not None
            and host
            in (self._current.peer.host.lower(), target.host.lower(), target.name.rstrip(".").lower())
        )

    def _flow(self) -> Deferred[IMessageChannel]:
        if self._current is None:
            return fail(NoTarget(f"{self._domain}: no connection: {self.problem}"))
        return succeed(self._current)

    # The flow

    def _flowUp(self, channel: StreamSignalling) -> None:
        self._current = channel
        self._condemned = False
        self._since = self._clock.seconds()
        self.problem = None
        record = self.handshake()
        if record is not None:
            self._log.info(
                "{domain}: connected to {peer}, {version} {cipher}, proved by {proof}; {revocation}",
                domain=self._domain,
                peer=channel.peer,
                version=record.version,
                cipher=record.cipher,
                proof=record.proof,
                revocation=record.revocation or "revocation not asked for",
            )
        if self._up is not None:
            with self._log.failuresHandled("while telling that {domain} is up", domain=self._domain):
                self._up(channel)

    def _flowDown(self, channel: StreamSignalling, reason: ChannelFailed) -> None:
        self._current = None
        lasted = self._clock.seconds() - self._since
        self._backoff.lost(lasted)
        if lasted < _TAKEN_ON and not self._condemned and self._stopped is None and self.target is not None:
            self.health.failed(self.target, f"it closed the connection after {lasted:.1f} s")
        if self._stopped is None:
            self.problem = str(reason)
            idle = None if self._condemned else channel.quiet.idle
            if idle is None:
                self._log.warn("{domain}: connection lost: {reason}", domain=self._domain, reason=str(reason))
            else:
                self._closedIdle(channel, idle)
        if self._down is not None:
            with self._log.failuresHandled("while telling that {domain} is down", domain=self._domain):
                self._down(reason)

    def _closedIdle(self, channel: StreamSignalling, idle: float) -> None:
        """The carrier closes what is quiet: no failure.  From now on a ping comes before that."""
        self._backoff.reset()
        self._log.info(
            "{domain}: {peer} closed the connection, after {idle:.0f} s of quiet; connecting again",
            domain=self._domain,
            peer=channel.peer,
            idle=idle,
        )
        within = _PING_BEFORE * idle
        before = self._factory.pingWithin
        # Where pings were sent they did not help: more of them would not either.
        if not channel.quiet.pinged and (before is None or within < before):
            self._factory.pingWithin = self._extraFactory.pingWithin = within

    def _noFlow(self, problem: str) -> None:
        self.problem = problem
        self._log.warn("{domain}: no connection: {problem}", domain=self._domain, problem=problem)

    # Beside the flow

    async def _open(self, host: str, port: int | None) -> StreamSignalling:
        if isLiteral(host):
            targets: Sequence[Target] = [Target(host, port or DEFAULT_PORT, host)]
        else:
            targets = await self._locator.locate(host, port)
        current = self._current
        if current is not None and any(target.host == current.peer.host for target in targets):
            return current
        return await self._connect(host, targets)

    async def _connect(self, host: str, targets: Sequence[Target]) -> StreamSignalling:
        # Where a dialog leads there is no choice.
        endpoint = TargetsEndpoint(
            host, lambda: succeed(targets), self._connector, self._noExtra, self.health, must=True
        )
        channel = await endpoint.connect(self._extraFactory)
        assert isinstance(channel, StreamSignalling)
        return channel

    def _opened(self, result: StreamSignalling | Failure, key: tuple[str, int | None]) -> None:
        del self._connecting[key]
        waiting = self._waiting.pop(key)
        if isinstance(result, Failure):
            if not isinstance(result.value, (NoTarget, PeerNotVerified)):
                result = Failure(NoTarget(f"{key[0]}: {result.getErrorMessage()}"))
        elif result in self._extraFactory.channels:
            self._extras[key] = result
        for each in waiting:
            each.callback(result)

    def _extraDown(self, channel: StreamSignalling, reason: ChannelFailed) -> None:
        self._forget(channel)
        if self._besideDown is not None:
            self._besideDown(channel)
        self._checkStopped()

    def _forget(self, channel: StreamSignalling) -> None:
        for key in [key for key, each in self._extras.items() if each is channel]:
            del self._extras[key]

    def _noExtra(self, problem: str) -> None:
        self._log.warn("{domain}: beside the flow: {problem}", domain=self._domain, problem=problem)

    def _checkStopped(self) -> None:
        stopped = self._stopped
        if stopped is not None and not stopped.called and not self._extraFactory.channels:
            stopped.callback(None)


def _tlsPort(uri: SIPURI) -> int | None:
    """
    The URI's port, unless it is one for UDP: carriers write C{:5060;transport=udp} into Contacts
    that are used over TLS.
    """
    if uri.transport == "udp" or (uri.port == 5060 and uri.transport != "tls"):
        return None
    return uri.port
