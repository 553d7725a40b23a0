"""
The trunk as a Twisted service: everything of one configuration, wired.

Each neighbour has transactions of its own; the dialog manager is the one place where they meet.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, TimeoutError, gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk import __version__
from skypetrunk.core.bridge_owner import RINGING_SECONDS
from skypetrunk.core.clock import QueuedClock
from skypetrunk.core.dialogs import DialogManager
from skypetrunk.core.protection import REQUIRED
from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IDialogObserver, INumberPlan
from skypetrunk.media.keepalive import INTERVAL
from skypetrunk.media.worker_plane import WorkerPlane
from skypetrunk.net.dns_records import Records
from skypetrunk.net.marking import MarkingReactor, mark
from skypetrunk.net.reception import MessageObserver
from skypetrunk.net.resolver import buildResolver
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.carrier import Carrier
from skypetrunk.service.control import ControlRefused, ControlServer, IControlled, PlacedCall
from skypetrunk.service.final_counters import FinalCounters
from skypetrunk.service.finding import trunkLocator
from skypetrunk.service.in_process import InProcessPBX
from skypetrunk.service.instance import instanceURN, machineID
from skypetrunk.service.limits import CallLimits
from skypetrunk.service.media_plane import makePlane
from skypetrunk.service.media_taps import MediaTaps
from skypetrunk.service.neighbour import PBX
from skypetrunk.service.overload import LoadMeter
from skypetrunk.service.plugins import checkChosen, createVendors
from skypetrunk.service.records import CallBook
from skypetrunk.service.routing import RouteTable
from skypetrunk.service.settings import Configuration
from skypetrunk.service.trace import traceMessage
from skypetrunk.service.vendors import NamedObserver, Policies, Recorder, VendorNumbers
from skypetrunk.wire.uri import writeHost

DRAIN_SECONDS = 5.0
"""How long the calls have to say goodbye when the process stops."""

CLOSE_SECONDS = 6.0
"""How long a neighbour may take to be left: more than its own bounds add up to, so that these decide."""


def randomToken() -> str:
    """Text of 96 random bits, for tags, branches and Call-IDs (RFC 3261 section 19.3)."""
    return os.urandom(12).hex()


@implementer(IControlled)
class Skypetrunk(MultiService):
    """
    The whole trunk.

    @ivar manager: the calls.
    @ivar carriers: by name.
    @ivar pbxes: by name.
    """

    _log = Logger()

    def __init__(
        self,
        configuration: Configuration,
        reactor: Any,
        *,
        debug: bool = False,
        observers: Sequence[IDialogObserver] = (),
        messageObserver: MessageObserver | None = None,
        timers: Timers = Timers(),  # noqa: B008 (a frozen value)
    ) -> None:
        """
        @param debug: log every SIP message.
        @param observers: told of each call, beside the status.
        @param messageObserver: told of each SIP message.
        @param timers: of every transaction.
        @raise ConfigurationError: a certificate file or a plugin that cannot be used.
        """
        super().__init__()
        self._reactor = reactor
        self._listening = False
        media, numbers = configuration.media, configuration.numbers
        self.book = CallBook(reactor.seconds)
        patience = [each.profile.inviteTimeout for each in configuration.trunks]
        clock = QueuedClock(reactor, (timers.t1, RINGING_SECONDS, INTERVAL, *patience))
        self._vendors = createVendors(configuration.plugins, reactor, configuration.path.absolute().parent)
        checkChosen(
            self._vendors,
            {each.name: each.dialect for each in configuration.pbxes if each.dialect},
            {each.name: each.plugin for each in configuration.pbxes if each.plugin},
        )
        taps = MediaTaps(self._vendors.taps)
        self.plane = makePlane(
            media, reactor, clock, taps.find, lambda port: mark(port, configuration.dscp.media)
        )
        self.records = Recorder(self._vendors.sinks, reactor.seconds)
        own = NumberPlan(numbers.country, numbers.outsideLine, numbers.emergency)
        plan: INumberPlan = own
        for name, vendor in self._vendors.numbers.items():
            plan = VendorNumbers(name, vendor, plan)
        watching = [NamedObserver(name, each) for name, each in self._vendors.observers.items()]
        self._finals = FinalCounters([self.book, self.records, *observers, *watching])
        sides: dict[str, Any] = {}
        draw = random.SystemRandom()
        self.load = LoadMeter(reactor, draw.random)
        self.limits = CallLimits(plan, reactor.seconds, self.load, own.readings)
        self.manager = DialogManager(
            clock,
            timers,
            randomToken,
            os.urandom,
            self.plane,
            plan,
            Policies(self._vendors.policies),
            RouteTable(configuration.routes, sides, plan),
            [self._finals, self.limits, taps],
            gate=self.limits,
            silence=media.silence,
        )
        marking = MarkingReactor(reactor, configuration.dscp.signalling)
        if isinstance(self.plane, WorkerPlane):
            self.plane.lost = self.manager.lostMedia.begin
        watch = _both(traceMessage if debug else None, messageObserver)
        servers = [writeHost(host, port) for host, port in configuration.dns.servers]
        records = Records(buildResolver(reactor, servers), reactor)
        machine = machineID()
        self.carriers = {
            each.name: Carrier(
                each,
                marking,
                trunkLocator(each, records, lambda most: draw.randint(0, most)),
                plan,
                randomToken,
                draw.random,
                timers,
                watch,
                instance=instanceURN(
                    machine, configuration.path, each.name, f"{each.username}@{each.domain}"
                ),
            )
            for each in configuration.trunks
        }
        dialects, within = self._vendors.dialects, self._vendors.pbxes
        self.pbxes: dict[str, PBX | InProcessPBX] = {}
        for pbx in configuration.pbxes:
            if pbx.plugin is None:
                dialect = dialects.get(pbx.dialect or "")
                self.pbxes[pbx.name] = PBX(
                    pbx, marking, plan, randomToken, timers, watch, dialect, self.load.waited
                )
            else:
                self.pbxes[pbx.name] = InProcessPBX(
                    pbx, within[pbx.plugin], reactor, plan, randomToken, timers, self.plane.endpoint, watch
                )
        self._neighbours: tuple[Carrier | PBX | InProcessPBX, ...] = (
            *self.carriers.values(),
            *self.pbxes.values(),
        )
        for neighbour in self._neighbours:
            self.limits.add(neighbour.side, neighbour.limits)
            sides[neighbour.side.name] = neighbour.side
            self.manager.addSide(neighbour.side)
        self._control: ControlServer | None = None
        if configuration.control.socket is not None:
            self._control = ControlServer(reactor, configuration.control.socket, self)

    def privilegedStartService(self) -> None:
        """
        Bind, unless L{listen} was called before, while the process may still be root.

        @raise CannotListenError: see L{listen}.
        """
        super().privilegedStartService()
        if not self._listening:
            self.listen()

    def listen(self) -> None:
        """
        Bind the listeners and the control socket, so that the caller can report what fails.

        @raise CannotListenError: one is taken; none stays bound.
        """
        self._listening = True
        try:
            for carrier in self.carriers.values():
                carrier.listen()
            for pbx in self.pbxes.values():
                pbx.listen()
            if self._control is not None:
                self._control.listen()
        except Exception:
            self._listening = False
            for neighbour in self._neighbours:
                neighbour.close()
            raise

    def startService(self) -> None:
        """Look for the carriers."""
        super().startService()
        for name, service in self._vendors.services.items():
            with self._log.failuresHandled("the plugin {plugin} did not start", plugin=name):
                service.privilegedStartService()
                service.startService()
        if self._control is not None:
            self._control.startService()
        for neighbour in self._neighbours:
            neighbour.start()
        self.load.start()
        if isinstance(self.plane, WorkerPlane):
            self.plane.start()
        self._log.info("skypetrunk {version} is running", version=__version__)
        for name, carrier in self.carriers.items():
            if carrier.side.srtp != REQUIRED:
                text = "{trunk}: SRTP is {mode}: calls may be in clear"
                self._log.warn(text, trunk=name, mode=carrier.side.srtp)

    def stopService(self) -> Deferred[None]:
        """End the calls, take back the registrations, close every port; bounded."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.load.stop()
        await self._ended("the calls", lambda: self.manager.drain(DRAIN_SECONDS))
        await gatherResults([self._ended(each.name, each.stop) for each in self._neighbours])
        if self._control is not None:
            await self._ended("the control socket", self._control.stopService)
        await self._ended("the last counters of media", self._finals.settled)
        await self._ended("the call records", self.records.written)
        self.records.giveUp()
        for name, service in self._vendors.services.items():
            await self._ended(f"the plugin {name}", service.stopService)
        if isinstance(self.plane, WorkerPlane):
            await self._ended("the media workers", self.plane.stop)
        await self._ended("the log", super().stopService)
        self._listening = False

    def _ended(self, what: str, stop: Callable[[], Any]) -> Deferred[None]:
        """Fires when C{stop} is done, at the latest after its bound, and never fails: others follow."""

        def failed(failure: Failure) -> None:
            if failure.check(TimeoutError):
                self._log.warn("{what}: not ended within {bound} s", what=what, bound=CLOSE_SECONDS)
            else:
                self._log.failure("while ending {what}", failure, what=what)

        ending: Deferred[None] = maybeDeferred(stop)
        return ending.addTimeout(CLOSE_SECONDS, self._reactor).addErrback(failed).addCallback(lambda _: None)

    # IControlled

    def status(self) -> Mapping[str, object]:
        """What is up, what was refused, what ended; nothing secret."""
        return {
            "version": __version__,
            "calls": self.manager.callCount(),
            "dialogs": self.manager.dialogCount,
            "mediaPorts": self.plane.openPorts,
            "mediaHelper": self.plane.helped,
            "mediaWorkers": self.plane.workers.status() if isinstance(self.plane, WorkerPlane) else [],
            "transactions": sum(each.transactions.pending for each in self._neighbours),
            "started": self.book.started,
            "emergencies": self.manager.emergencies,
            "overload": {"refused": self.load.refused, "lateness": round(self.load.lateness, 3)},
            "trunks": self._statuses(self.carriers),
            "pbxes": self._statuses(self.pbxes),
            "up": self.book.up(self.manager.media()),
            "ended": list(self.book.ended),
        }

    def _statuses(self, neighbours: Mapping[str, Carrier | PBX | InProcessPBX]) -> Mapping[str, object]:
        return {
            name: {**each.status(), "limits": self.limits.status(name)} for name, each in neighbours.items()
        }

    def placeCall(self, number: str, caller: str) -> Deferred[PlacedCall]:
        """Calls begin at a PBX or a carrier."""
        raise ControlRefused("the trunk places no calls of its own")

    def hangUp(self, call: str) -> None:
        """End one call."""
        if not self.manager.hangUp(call, "ended by the operator"):
            raise ControlRefused(f"there is no call {call}")


def _both(one: MessageObserver | None, other: MessageObserver | None) -> MessageObserver | None:
    if one is None or other is None:
        return one or other

    def observe(sent: Any, message: Any, channel: Any) -> None:
        one(sent, message, channel)
        other(sent, message, channel)

    return observe
