"""One trunk of the configuration, wired: its side of calls, its connections and its registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.answers import retryAfterOf
from skypetrunk.core.media_security import MediaSecurity
from skypetrunk.core.registration import REFUSED, Registration
from skypetrunk.core.servers import Servers
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import (
    IChannelFinder,
    IMessageChannel,
    INumberPlan,
    IRegistrationObserver,
    ITargetLocator,
    Target,
)
from skypetrunk.net.call_targets import CallTargets
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.net.inbound import CarrierListener
from skypetrunk.net.reception import MessageObserver
from skypetrunk.service.carrier_side import trunkSide
from skypetrunk.service.carrier_tls import CarrierTLS
from skypetrunk.service.media_advice import MediaAdvice
from skypetrunk.service.options_instead import OptionsInstead, pingMaker
from skypetrunk.service.password_file import watchedAccount
from skypetrunk.service.registrations import keepsFlows, publicAddress, register
from skypetrunk.service.second_flow import SecondFlow
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.service.trunk_status import trunkStatus
from skypetrunk.service.ways import REDIAL_SECONDS, Ways
from skypetrunk.wire.message import Response
from skypetrunk.wire.uri import SIPURI

UNREGISTER_SECONDS = 2.0
"""How long the carrier has to confirm that our registration is removed when we stop."""

_UNWILLING = "OPTIONS is answered 503"


@implementer(IChannelFinder, IRegistrationObserver)
class Carrier:
    """
    One trunk.  It is up while a verified connection stands, what is asked for is registered, and the last
    OPTIONS, where any are sent, was answered by something else than 503.

    @ivar side: as the calls see it.
    @ivar limits: of its calls.
    @ivar flows: its connections.
    @ivar instance: what the registrar knows it by, empty if it is told none.
    """

    _log = Logger()

    def __init__(
        self,
        configuration: TrunkConfiguration,
        reactor: Any,
        locator: ITargetLocator,
        numbers: INumberPlan,
        token: Callable[[], str],
        chance: Callable[[], float],
        timers: Timers,
        observer: MessageObserver | None,
        *,
        instance: str = "",
    ) -> None:
        """
        @param chance: random, from 0 to 1.
        @param instance: see L{skypetrunk.service.instance.instanceURN}; empty: none is told.
        @raise ConfigurationError: a certificate file that cannot be used.
        """
        self.name = configuration.name
        self.instance = instance
        self._reactor = reactor
        self._profile = configuration.profile
        account, self._passwordWatch = watchedAccount(
            reactor,
            configuration.username,
            configuration.password,
            configuration.passwordFile,
            self._passwordChanged,
        )
        self.side = trunkSide(configuration, self, numbers, account, reactor.seconds)
        self.limits = configuration.limits
        self._address = publicAddress(configuration)
        self.side.address = self._address
        self._advice = MediaAdvice(
            configuration.name, [host.advertised or host.host for host in configuration.media.path.hosts]
        )
        self.transactions = Transactions(reactor, self.side, token, timers, patience=REDIAL_SECONDS)
        self.side.transactions = self.transactions
        self._tls = CarrierTLS(configuration, reactor, locator, lambda: self.flows.handshake())
        self.flows = TrunkFlows(
            configuration.domain,
            locator,
            self._tls.connector,
            self.transactions,
            reactor,
            token,
            chance,
            observer=observer,
            up=self._flowUp,
            down=self._flowDown,
            mute=self._pingUnanswered,
            besideDown=lambda channel: self._second.down(channel),
        )
        self.inbound: CarrierListener | None = None
        inbound = configuration.inbound
        if inbound is not None and self._tls.inbound is not None:
            self.inbound = CarrierListener(
                reactor,
                reactor,
                token,
                self._tls.inbound,
                inbound.listen,
                inbound.allow,
                self.transactions,
                observer,
            )
            self._tls.replaceInbound = self.inbound.replaceTLS
            self.side.local = inbound.contact
        self.side.servers = Servers(
            lambda: CallTargets(self.flows, self.find, configuration.balance, self._secondInstead),
            configuration.profile.inviteTimeout,
            configuration.profile.failover,
        )
        self.registration: Registration | None = None
        registering = register(configuration, instance, reactor, self.transactions, account, token, chance)
        self._second = SecondFlow(
            self.name, reactor, self.flows, publicAddress(configuration), registering, self._secondChanged
        )
        self._ways = Ways(self.name, reactor, self.flows, self._second, lambda: self._registered)
        self._several = keepsFlows(configuration, instance)
        self._security: MediaSecurity | None = None
        if configuration.profile.register:
            if configuration.profile.mediasec:
                self._security = MediaSecurity()
            self.registration = registering(1, self, self._address, self._security)
        makePing = pingMaker(configuration, self.side, reactor, self.transactions, token)
        interval = configuration.profile.optionsInterval
        self._ping = makePing(self, interval) if interval else None
        self._instead = OptionsInstead(self.name, makePing, self.lost)
        self._answering = self._ping is None
        self._told: IMessageChannel | None = None
        self._problem: str | None = None
        self._expires: int | None = None
        self._refused = False
        self._lapse: IDelayedCall | None = None

    def listen(self) -> None:
        """
        Bind where the carrier calls in.

        @raise CannotListenError: it is taken; nothing stays bound.
        """
        if self.inbound is not None:
            self.inbound.listen()

    def close(self) -> None:
        """Give back what L{listen} has bound."""
        if self.inbound is not None:
            self.inbound.stop()

    def start(self) -> None:
        """Connect, and register if the carrier wants it."""
        self.flows.start()
        self._tls.start()

    async def stop(self) -> None:
        """Take the registration back, then close; bounded."""
        self._forgetGrant()
        self.side.up = False
        self._passwordWatch.stop()
        self._instead.stop()
        self._tls.stop()
        if self._ping is not None:
            self._ping.stop()
        # At the same time: a flow that leads nowhere must not take the time of the other.
        removing = [Deferred.fromCoroutine(self._second.stop())]
        if self.registration is not None and self.flows.current() is not None:
            removing.append(self.registration.stop())
        removed = gatherResults(removing, consumeErrors=True)
        removed.addTimeout(UNREGISTER_SECONDS, self._reactor, _unanswered)
        try:
            await removed
        except Exception as problem:
            self._log.warn("{trunk}: not unregistered: {problem}", trunk=self.name, problem=problem)
        self._ways.stop()
        self.transactions.stop()
        if self.inbound is not None:
            await self.inbound.stop()
        await self.flows.stop()

    def find(self, uri: SIPURI, otherwise: IMessageChannel | None = None) -> Deferred[IMessageChannel]:
        """See L{Ways.find}."""
        return self._ways.find(uri, otherwise)

    def _flowUp(self, channel: IMessageChannel) -> None:
        self._tls.connected()
        self._address.use(channel)
        if self.registration is not None:
            self.registration.start(channel)
        if self._ping is not None:
            self._ping.start(channel)
        self._judge()
        self.transactions.channelFound(channel)
        self._ways.found(channel)
        if self.registration is None:
            self._tellMoved()

    def _tellMoved(self) -> None:
        """The calls that stand go on over another connection than they began with."""
        channel = self._ways.current
        if channel is not None and self.side.manager is not None and channel is not self._told:
            if self._told is not None:
                self.side.manager.sideMoved(self.side, channel)
            self._told = channel

    def _pingUnanswered(self, channel: IMessageChannel) -> None:
        if self._ping is None:
            self._instead.begin(channel)

    def _flowDown(self, reason: Exception) -> None:
        self._forgetGrant()
        self._instead.stop()
        if self._ping is not None:
            self._answering = False
            self._ping.stop()
        if self.registration is not None:
            self.registration.channelLost()
        self._secondChanged()

    def _secondChanged(self) -> None:
        """Calls go by another flow, or the same: those that stand, and those that come."""
        self._judge()
        flow = self.flows.current()
        if not self._tookSecond() and self._several and flow is not None and flow is self._told:
            if self.side.manager is not None:
                # For those that were left behind.
                self.side.manager.sideMoved(self.side, flow)

    def _tookSecond(self) -> bool:
        """The second flow is registered and the first is not: everything moves there."""
        second = self._second.channel
        if second is None or self._ways.current is not second:
            return False
        self.transactions.channelFound(second)
        self._ways.found(second)
        self._tellMoved()
        return True

    @property
    def _registered(self) -> bool:
        """Is the first flow, or has it no need to be?"""
        return self.registration is None or self._expires is not None

    @property
    def _firstIsGood(self) -> bool:
        """May new calls take the first flow?"""
        return self._registered and self._answering and self.flows.current() is not None

    def _secondInstead(self) -> tuple[Target, IMessageChannel] | None:
        """The second flow, where new calls are to take it and not the first."""
        return None if self._firstIsGood or self._refused else self._second.flow

    def _judge(self) -> None:
        """May new calls go by this trunk, and how?"""
        side = self.side
        side.up = self._firstIsGood or self._secondInstead() is not None
        # Calls that stand have moved there also while no new ones may come.
        if not self._firstIsGood and self._second.channel is not None:
            side.address, side.serviceRoute = self._second.address, self._second.serviceRoute
        else:
            registration = None if self._expires is None else self.registration
            side.address = self._address
            side.serviceRoute = () if registration is None else registration.serviceRoute

    # IRegistrationObserver

    def registered(self, expires: int) -> None:
        """The carrier knows us: calls may go this way."""
        self._forgetGrant()
        self._passwordWatch.stop()
        self._problem, self._refused = None, False
        self._expires = expires
        self._advice.compare(self._address.learned)
        if self._security is not None:
            self.side.requestHeaders = self._security.requestHeaders()
        self._judge()
        if self.registration is not None and self.registration.outbound:
            self.flows.pingsAnswered(self.registration.flowTimer)
            if self._several:
                self._second.want()
        self.flows.answered()
        self._tellMoved()
        self._lapse = self._reactor.callLater(expires, self._lapsed)

    def refused(self, reason: str, status: int) -> None:
        """The carrier refuses us; what it granted before may hold a while."""
        if self.registration is None or not self.registration.registered:
            self._forgetGrant()
        self._problem = f"{status} {reason}"
        if status == 503:
            wanted = None if self.registration is None else self.registration.retryAfter
            self.flows.refused(f"REGISTER is answered {self._problem}", wanted)
        self._refused = status in REFUSED
        if self._refused:
            self._passwordWatch.begin()
        self._judge()
        self._tookSecond()

    def lost(self, reason: str) -> None:
        """No answer: this connection is worth nothing."""
        self._forgetGrant()
        self._judge()
        self._problem = reason
        self.flows.renew(reason)

    def _passwordChanged(self) -> None:
        if self.registration is not None:
            self.registration.credentialsChanged()
        self._second.credentialsChanged()

    # OptionsPingUser

    def pingAnswered(self, response: Response) -> None:
        """The carrier lives; 503 says that it takes no calls (RFC 3261 section 21.5.4)."""
        self._address.learn(response)
        self._advice.compare(self._address.learned)
        before, self._answering = self._answering, response.status != 503
        if not self._answering:
            if self._problem != _UNWILLING:
                self._log.warn("{trunk}: {problem}", trunk=self.name, problem=_UNWILLING)
            self._problem = _UNWILLING
            self._judge()
            self.flows.refused(_UNWILLING, retryAfterOf(response))
            return
        self.flows.answered()
        if not before:
            self._problem = None
            self._log.info("{trunk}: OPTIONS is answered {status}", trunk=self.name, status=response.status)
        self._judge()

    def pingUnanswered(self) -> None:
        """No answer: this connection is worth nothing."""
        self.lost("OPTIONS is not answered")

    def _forgetGrant(self) -> None:
        """The first flow is not registered any more."""
        self._expires = None
        lapse, self._lapse = self._lapse, None
        if lapse is not None and lapse.active():
            lapse.cancel()

    def _lapsed(self) -> None:
        """What the carrier granted has run out, and no refresh has come through."""
        self._forgetGrant()
        self._judge()
        self._tookSecond()
        self._problem = f"the registration ran out: {self._problem or 'it was not refreshed in time'}"
        self._log.error("{trunk}: {problem}", trunk=self.name, problem=self._problem)

    def status(self) -> Mapping[str, object]:
        """State and evidence, ready for JSON."""
        second = self._second.channel
        return {
            **trunkStatus(self.side, self.flows, self.registration, self._reactor.seconds()),
            "problem": self.flows.problem or self._problem,
            "expires": self._expires,
            "alarm": self._refused,
            "secondPeer": None if second is None else str(second.peer),
            "inbound": None if self.inbound is None else self.inbound.status(),
            "transactions": self.transactions.pending,
        }


def _unanswered(result: object, seconds: float) -> Failure:
    return Failure(TimeoutError(f"no answer within {seconds:g} s"))
