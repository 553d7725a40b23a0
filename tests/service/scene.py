"""
A whole call path in one reactor, over real sockets on loopback: a phone where a PBX would stand, the
trunk, and the practice carrier.  Everything of it is closed when the test is over.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, globalLogPublisher
from twisted.logger import eventAsText as formatted
from twisted.trial.unittest import TestCase

from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.incoming import IncomingCall
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.phone import Phone
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.config import loadConfiguration
from skypetrunk.service.trunk import Skypetrunk, randomToken
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret

ACCOUNT = "99051000000001"

PASSWORD = "Mark3r+Secret/7=q&s%\u00fc"
"""Every form it could leak in differs from the others."""

NUMBER = "+442079460100"
"""The customer's own."""

TONE, BUSY, NO_ANSWER, HANGS_UP, CLEAR, UNUSED = (f"+44207946000{n}" for n in (2, 3, 4, 5, 6, 9))

QUICK = Timers(t1=0.03, t2=0.2, t4=0.2)
"""So that the transactions of a call over UDP are gone within two seconds."""

_MEDIA_PORTS = 40


def freePorts(count: int = 1, address: str = "127.0.0.1") -> int:
    """The first of C{count} ports that nobody has, UDP and TCP, below those that the system gives out."""
    for _ in range(100):
        first = random.randrange(20000, 32000 - count, 2)
        try:
            for port in range(first, first + count):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with socket.socket(_family(address), kind) as trial:
                        trial.bind((address, port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Scene:
    """
    Lab, trunk and phone.

    @ivar configuration: the trunk's.
    @ivar directory: of the configuration and everything else on disk.
    @ivar proxy: the trunk's UDP address for the PBX; TCP has the same port.
    @ivar seen: messages that the trunk sent (true) and received, in order.
    @ivar phoneSaw: the same of the phone.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        account: str = ACCOUNT,
        password: str = PASSWORD,
        trunkPassword: str | None = None,
        country: str = "GB",
        debug: bool = False,
        lines: Sequence[str] = (),
        targets: Sequence[str] = (),
        before: Sequence[str] = (),
        registers: str = "",
        listen: Sequence[str] = (),
        inbound: str = "",
        profile: str = "",
        carrierAt: str = "127.0.0.1",
        phoneAt: str = "127.0.0.1",
        media: Sequence[str] = ('address = "127.0.0.1"',),
        keys: Sequence[str] = (),
        **carrier: Any,
    ) -> None:
        """
        @param trunkPassword: another one than the carrier knows.
        @param lines: further ones of the configuration's C{[[pbx]]}.
        @param targets: where the carrier is, instead of its DNS.
        @param before: addresses of the PBX before that of the phone.
        @param registers: the password with which the PBX registers, instead of having an address.
        @param listen: where it listens for the PBX too.
        @param inbound: the name under which the carrier finds the trunk and calls in, instead of over its
            registration.
        @param profile: lines of a profile of its own.
        @param carrierAt: the carrier's address.
        @param phoneAt: that of the phone, and of the trunk for it.
        @param media: lines of the configuration's C{[media]}.
        @param keys: lines of the trunk's own table of media.
        @param carrier: of L{CarrierSettings}.
        """
        self.reactor = reactor
        self._temporary = tempfile.TemporaryDirectory()
        self.directory = Path(self._temporary.name)
        self.account = account
        self.seen: list[tuple[bool, Request | Response, IMessageChannel]] = []
        self.phoneSaw: list[tuple[bool, Request | Response]] = []
        carrier = {"ringing": 0.02} | carrier
        settings = CarrierSettings({account: Secret(password)}, **carrier)
        around = LabSettings(settings, self.directory, carrierAt, port=0, dnsPort=0, tls="1.2")
        self._inbound: tuple[str, ...] = ()
        if inbound:
            place = f"127.0.0.1:{freePorts()}"
            around = replace(around, callIn=inbound, callInAt=place)
            self._inbound = (
                "[trunk.inbound]",
                f'listen = ["tls:{place}"]',
                'certificate = "client.pem"',
                'key = "client.key"',
                f'name = "{inbound}"',
            )
        self.lab = Lab(reactor, around)
        self.phone = Phone(
            reactor,
            randomToken,
            os.urandom,
            "1001",
            400,
            1400,
            host=phoneAt,
            ringing=0.02,
            observer=lambda sent, message, channel: self.phoneSaw.append((sent, message)),
        )
        self.lab.listen()
        self.phone.listen()
        self.proxy = TransportAddress("UDP", phoneAt, freePorts(_MEDIA_PORTS + 2, phoneAt))
        pbx = [f"address = {[*before, str(self.phone.address)]}"]
        if registers:
            (self.directory / "office.secret").write_text(registers)
            (self.directory / "office.secret").chmod(0o600)
            pbx = ["register = true", 'username = "office"', 'password_file = "office.secret"']
            pbx.append('allow = ["127.0.0.1"]')
        lines = [*pbx, *lines]
        if profile:
            domain = self.lab.settings.carrier.domain
            (self.directory / "own.toml").write_text(f'title = "Own"\ndomain = "{domain}"\n{profile}\n')
        self._profile = "own.toml" if profile else "skype-connect"
        self._carrierAt, self._media = carrierAt, media
        self._keys = ("[trunk.media]", *keys) if keys else ()
        self._write(password if trunkPassword is None else trunkPassword, country, lines, targets, listen)
        self.configuration, _ = loadConfiguration(self.directory / "trunk.toml", os.environ)
        self.trunk = Skypetrunk(
            self.configuration,
            reactor,
            debug=debug,
            messageObserver=lambda *message: self.seen.append(message),
            timers=QUICK,
        )
        self._running = False

    def _write(
        self,
        password: str,
        country: str,
        lines: Sequence[str],
        targets: Sequence[str],
        listen: Sequence[str],
    ) -> None:
        secret = self.directory / "carrier.secret"
        secret.write_text(password)
        secret.chmod(0o600)
        first = self.proxy.port + 2
        where = self.proxy.hostPort
        text = [
            "[[trunk]]",
            'name = "carrier"',
            f'profile = "{self._profile}"',
            f'username = "{self.account}"',
            'password_file = "carrier.secret"',
            *([f"targets = {list(targets)}"] if targets else []),
            "[trunk.limits]",
            f"calls = {_MEDIA_PORTS // 4}",
            "[trunk.tls]",
            f'ca_file = "{self.lab.caFile}"',
            *self._inbound,
            *self._keys,
            "[[pbx]]",
            'name = "office"',
            f"listen = {[f'udp:{where}', f'tcp:{where}', *listen]}",
            *lines,
            "[media]",
            *self._media,
            f'ports = "{first}-{first + _MEDIA_PORTS - 1}"',
            "[dns]",
            f'servers = ["{TransportAddress("UDP", self._carrierAt, self.lab.names.port).hostPort}"]',
            "[numbers]",
            f'country = "{country}"',
            "[control]",
            'socket = "control"',
        ]
        (self.directory / "trunk.toml").write_text("\n".join(text))

    @property
    def status(self) -> Mapping[str, Any]:
        """The trunk's own word."""
        return self.trunk.status()

    @property
    def carrier(self) -> Mapping[str, Any]:
        """What the status says of the trunk to the carrier."""
        status: Mapping[str, Any] = self.trunk.status()["trunks"]["carrier"]  # type: ignore[index]
        return status

    def start(self) -> None:
        """Lab and trunk begin."""
        self.lab.startService()
        self.trunk.privilegedStartService()
        self.trunk.startService()
        self._running = True

    async def until(self, done: Callable[[], object], what: str, seconds: float = 8.0) -> None:
        """
        Wait for something.

        @raise AssertionError: it did not come about.
        """
        end = self.reactor.seconds() + seconds
        while not done():
            if self.reactor.seconds() > end:
                raise AssertionError(f"not within {seconds} s: {what}; {self.status}")
            await deferLater(self.reactor, 0.01)

    async def registered(self) -> None:
        """Wait until the trunk is registered, and believes it."""
        await self.until(lambda: self.carrier["state"] == "registered", "registered")

    async def callOut(self, number: str = TONE) -> tuple[OutgoingCall, IncomingCall]:
        """A call of the phone that was answered: its two ends."""
        near = self.phone.dial(number, self.proxy)
        await near.when(Phase.ANSWERED)
        assert near.phase is Phase.ANSWERED, (near.status, near.cause)
        # The carrier knows it as soon as the ACK of its answer is there.
        far = next(call for call in self.lab.carrier.agent.calls if isinstance(call, IncomingCall))
        await self.until(lambda: far.phase is Phase.ANSWERED, "answered at the carrier")
        return near, far

    async def callIn(self) -> tuple[IncomingCall, OutgoingCall]:
        """A call of the carrier that was answered: its two ends, the phone's first."""
        called: Deferred[IncomingCall] = self.phone.whenCalled()
        far = self.lab.carrier.dial(NUMBER, "+493012345678")
        near = await called
        await far.when(Phase.ANSWERED)
        assert far.phase is Phase.ANSWERED, (far.status, far.cause)
        await self.until(lambda: near.phase is Phase.ANSWERED, "answered at the phone")
        return near, far

    async def hearing(self, *calls: Call, more: int = 10) -> None:
        """Wait until each of these ends has got so many packets more."""
        before = [_received(call) for call in calls]
        await self.until(
            lambda: all(_received(call) >= n + more for call, n in zip(calls, before, strict=True)),
            f"{more} packets more each",
        )

    async def over(self, *calls: Call) -> None:
        """Wait until both ends of a call are over, and the trunk holds nothing of it."""
        for call in calls:
            await call.when(Phase.ENDED)
        await self.idle()

    async def idle(self) -> None:
        """Wait until the trunk holds no call, no dialog and no media port."""
        await self.until(
            lambda: not (self.status["calls"] or self.status["dialogs"] or self.status["mediaPorts"]), "idle"
        )
        assert self.carrier["calls"] == 0
        assert self.status["pbxes"]["office"]["calls"] == 0

    def muteCarrier(self) -> None:
        """From now on the carrier hears nothing that is said to it."""
        ignored: Callable[..., None] = lambda *message: None  # noqa: E731
        self.lab.carrier.agent.transactions.messageReceived = ignored  # type: ignore[method-assign]

    def dropFlow(self) -> None:
        """The carrier lets the trunk's connection go."""
        for binding in self.lab.carrier.registrar.bindings():
            assert isinstance(binding.channel, StreamSignalling)
            binding.channel.abort("restarting")

    def requests(self, method: str, *, sent: bool = True, transport: str = "") -> list[Request]:
        """The trunk's own requests, or those it got."""
        return [
            message
            for was, message, channel in self.seen
            if was is sent
            and isinstance(message, Request)
            and message.method == method
            and transport in channel.peer.transport
        ]

    async def stopTrunk(self) -> None:
        """Stop it, once."""
        if self._running:
            self._running = False
            await self.trunk.stopService()

    async def close(self) -> None:
        """Everything is given back."""
        await self.stopTrunk()
        await self.phone.stop()
        self.lab.carrier.agent.stop()
        # The lab would wait for answers that the trunk no longer gives.
        self.lab.carrier.agent.transactions.stop()
        await self.lab.stopService()
        self._temporary.cleanup()


def _received(call: Call) -> int:
    assert call.session is not None
    return call.session.statistics().received.packets


class SceneCase(TestCase):
    """
    Tests with scenes.

    @ivar events: what was logged, at any level.
    """

    timeout = 60

    def setUp(self) -> None:
        """Listen to the log."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def build(self, **options: Any) -> Scene:
        """A scene that nobody has started; it is closed after the test."""
        scene = Scene(self.reactor, **options)
        self.addCleanup(scene.close)
        return scene

    async def begin(self, **options: Any) -> Scene:
        """A scene whose trunk is registered."""
        scene = self.build(**options)
        scene.start()
        await scene.registered()
        return scene

    def logged(self, level: LogLevel = LogLevel.info) -> list[str]:
        """The lines that the log of a trunk has, at this level and above."""
        return [
            formatted(event, includeTraceback=True, includeTimestamp=False, includeSystem=False)
            for event in self.events
            if str(event.get("log_namespace", "")).startswith("skypetrunk.")
            and event.get("log_level", LogLevel.info) >= level
        ]

    def assertLogged(self, *parts: str, level: LogLevel = LogLevel.info) -> None:
        """Exactly one line holds all of C{parts}."""
        found = [line for line in self.logged(level) if all(part in line for part in parts)]
        self.assertEqual(len(found), 1, "\n".join(self.logged(level)))
