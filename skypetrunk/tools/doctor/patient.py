"""
One trunk under examination: what is configured, and what the examinations before have found out.

All that is asked of the carrier is asked by the product's own parts, with the trunk's own configuration.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from attrs import evolve
from cryptography import x509
from twisted.internet.task import deferLater

from skypetrunk.interfaces import (
    CallEnded,
    IMessageChannel,
    ITargetLocator,
    LegStatistics,
    Target,
)
from skypetrunk.net.dns_records import Records
from skypetrunk.net.handshake import HandshakeRecord
from skypetrunk.service.carrier import Carrier
from skypetrunk.service.settings import (
    Configuration,
    Control,
    PBXConfiguration,
    Route,
    TrunkConfiguration,
)
from skypetrunk.service.trunk import Skypetrunk
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.glance import Glance
from skypetrunk.tools.doctor.questions import Question
from skypetrunk.tools.ended_calls import EndedCalls
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response

__all__ = ["Attempt", "Exchanged", "Patient"]

_POLL = 0.02


@dataclass(slots=True)
class Attempt:
    """
    One TLS connection to one target, made and verified as the trunk makes it.

    @ivar record: its handshake, as far as it came.
    @ivar problem: why it was not made, or C{None}.
    @ivar lost: why it ended right after the handshake, or C{None}: it stood.
    @ivar chain: the certificates that the server sent, its own first.
    @ivar glance: a second look, without any claim on the server, where the first went wrong.
    """

    target: Target
    record: HandshakeRecord | None = None
    problem: Exception | None = None
    lost: str | None = None
    chain: Sequence[x509.Certificate] = ()
    glance: Glance | None = None

    @property
    def good(self) -> bool:
        """It was verified, and stood."""
        return self.problem is None and self.lost is None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """
    One SIP message on the carrier's side.

    @ivar when: by the clock of this machine.
    """

    sent: bool
    message: Request | Response
    channel: IMessageChannel
    when: datetime.datetime


@dataclass
class Patient:
    """
    One trunk.

    @ivar running: a trunk with this configuration runs, whose registration must not be touched.
    @ivar number: what the test call goes to, or C{None} for none.
    @ivar now: the time of this machine, with its zone.
    @ivar questions: what was asked of DNS.
    @ivar records: the way to DNS, once it was asked.
    @ivar locator: the way to the carrier's servers, by that.
    @ivar targets: where the carrier is, in the order to try.
    @ivar reached: seconds until TCP stood, by target; what is not in it was not reached.
    @ivar attempts: at TLS, one for each target that was reached.
    @ivar messages: what went over the trunk's connection.
    @ivar registered: seconds that the carrier granted, if it did.
    @ivar ended: calls that are over.
    """

    reactor: Any
    configuration: Configuration
    trunk: TrunkConfiguration
    running: bool = False
    number: str | None = None
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    questions: list[Question] = field(default_factory=list)
    records: Records | None = None
    locator: ITargetLocator | None = None
    targets: Sequence[Target] = ()
    reached: dict[Target, float] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    messages: list[Exchanged] = field(default_factory=list)
    registered: int | None = None
    carrier: Carrier | None = None
    _service: Skypetrunk | None = None
    _calls: EndedCalls = field(default_factory=EndedCalls)

    @property
    def ended(self) -> Sequence[tuple[CallEnded, tuple[LegStatistics, ...]]]:
        """Calls that are over, and their media."""
        return self._calls.calls

    @property
    def refusal(self) -> Severity:
        """How bad it is that one server is of no use: another may be."""
        return Severity.AMBER if any(each.good for each in self.attempts) else Severity.RED

    def key(self, name: str) -> str:
        """A key of this trunk, as it stands in the messages of C{skypetrunk check}."""
        return f"trunk.{self.trunk.name}.{name}"

    def profileKey(self, name: str) -> str:
        """A key of the carrier profile."""
        return f"{name} of the profile {self.trunk.profile.name}"

    def carrierLeg(self, legs: Sequence[LegStatistics]) -> LegStatistics | None:
        """The one towards the carrier, of a call's."""
        return next((each for each in legs if each.name.endswith(f"/{self.trunk.name}")), None)

    def skipped(self, examination: str, subject: str, why: str) -> Finding:
        """It cannot be looked at."""
        return Finding(examination, Severity.SKIPPED, subject, why)

    async def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait for C{done}, at the longest so many seconds; whether it came about."""
        end = self.reactor.seconds() + seconds
        while not done():
            if self.reactor.seconds() >= end:
                return False
            await deferLater(self.reactor, _POLL)
        return True

    # The trunk itself

    def start(self, pbx: PBXConfiguration | None = None) -> Carrier:
        """
        Run the trunk, with its good targets only: registered, or without that where another one is.

        @param pbx: where the test call comes from.
        @raise CannotListenError: an address is taken.
        """
        good = [each.target for each in self.attempts if each.good]
        profile = evolve(self.trunk.profile, register=self.trunk.profile.register and not self.running)
        # A carrier that calls in finds the trunk itself, or nobody.
        targets = tuple((each.host, each.port) for each in good)
        trunk = evolve(self.trunk, profile=profile, targets=targets, inbound=None)
        configuration = evolve(
            self.configuration,
            trunks=(trunk,),
            pbxes=() if pbx is None else (pbx,),
            # The carrier's calls find no way: they are none of ours.
            routes=() if pbx is None else (Route(pbx.name, (trunk.name,)),),
            control=Control(),
            plugins=(),
        )
        service = self._service = Skypetrunk(
            configuration, self.reactor, observers=[self._calls], messageObserver=self._observe
        )
        service.listen()
        carrier = self.carrier = service.carriers[trunk.name]
        if self.trunk.inbound is not None:
            # A carrier that knows the trunk by its name in Contact knows it by nothing else.
            carrier.side.local = self.trunk.inbound.contact
        service.startService()
        return carrier

    async def stop(self) -> None:
        """Take the registration back, and close all."""
        service, carrier = self._service, self.carrier
        self._service = None
        if service is None or carrier is None:
            return
        flow = carrier.flows.current()
        await service.stopService()
        for each in self.attempts:
            # The trunk's own connection has all 15 steps: something was said over it, and goodbye.
            if flow is not None and each.good and shown(each.target) == flow.peer.hostPort:
                each.record = carrier.flows.handshake()

    def _observe(self, sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
        if channel.localAddress.transport == "TLS":
            self.messages.append(Exchanged(sent, message, channel, self.now()))

    def answers(self, method: str) -> list[Response]:
        """The final responses to requests of ours with this method, in order."""
        return [each for each in self.heard(method) if each.status >= 200]

    def heard(self, method: str) -> list[Response]:
        """All responses to such requests, provisional ones too."""
        return [
            each.message
            for each in self.messages
            if not each.sent and isinstance(each.message, Response) and each.message.cseq.method == method
        ]

    def asked(self, method: str) -> list[Request]:
        """Requests of ours with this method."""
        return [
            each.message
            for each in self.messages
            if each.sent and isinstance(each.message, Request) and each.message.method == method
        ]


def shown(target: Target) -> str:
    """A target for people: C{192.0.2.1:5061}."""
    return TransportAddress("TLS", target.host, target.port).hostPort
