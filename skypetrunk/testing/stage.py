"""
A whole call path in one reactor, over real sockets of this machine: a phone where a PBX would stand, the
trunk with the plugins that are tested, and the practice carrier.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from skypetrunk.core.timers import Timers
from skypetrunk.lab.calls import Phase
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.phone import Phone
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.service.config import loadConfiguration
from skypetrunk.service.trunk import Skypetrunk, randomToken
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret

TONE = "+442079460002"
"""A number of the practice carrier that answers, with a tone."""

BUSY = "+442079460003"
"""One that is always busy."""

NUMBER = "+442079460100"
"""One of the customer's: its calls ring the phone."""

_ACCOUNT = "99051000000001"
_PASSWORD = "practice only"
_PORTS = 40
# So that the transactions of a call over UDP are gone soon after it.
_QUICK = Timers(t1=0.03, t2=0.2, t4=0.2)


def _freePorts(count: int) -> int:
    """The first of C{count} ports that nobody has, below those that the system gives out."""
    for _ in range(100):
        first = random.randrange(20000, 32000 - count, 2)
        try:
            for port in range(first, first + count):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                    trial.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


class Stage:
    """
    Phone, trunk and carrier.  A test calls L{start}, L{dial} and, at its end, L{close}.

    @ivar heard: messages that the phone sent (true) and received, in order.
    @ivar directory: of the configuration; empty but for what belongs to the stage.
    @ivar trunk: the service under test, once it has been started.
    """

    trunk: Skypetrunk

    def __init__(
        self, reactor: Any, lines: Sequence[str] = (), *, country: str = "GB", pbx: Sequence[str] = ()
    ) -> None:
        """
        @param lines: further ones of the configuration, such as a C{[[plugin]]}.
        @param pbx: further ones of its C{[[pbx]]}, such as a C{dialect}.
        """
        self.heard: list[tuple[bool, Request | Response]] = []
        self.reactor = reactor
        self._temporary = tempfile.TemporaryDirectory()
        self.directory = Path(self._temporary.name)
        settings = CarrierSettings({_ACCOUNT: Secret(_PASSWORD)}, ringing=0.02)
        self._lab = Lab(reactor, LabSettings(settings, self.directory, port=0, dnsPort=0, tls="1.2"))
        self._phone = Phone(
            reactor,
            randomToken,
            os.urandom,
            "1001",
            400,
            1400,
            ringing=0.02,
            observer=lambda sent, message, channel: self.heard.append((sent, message)),
        )
        self._lab.listen()
        self._phone.listen()
        self._proxy = TransportAddress("UDP", "127.0.0.1", _freePorts(_PORTS + 2))
        path = self.directory / "trunk.toml"
        path.write_text("\n".join([*self._configuration(country, pbx), *lines]))
        self._running = False

    def _configuration(self, country: str, pbx: Sequence[str]) -> Sequence[str]:
        secret = self.directory / "carrier.secret"
        secret.write_text(_PASSWORD)
        secret.chmod(0o600)
        first = self._proxy.port + 2
        return [
            "[[trunk]]",
            'name = "carrier"',
            'profile = "skype-connect"',
            f'username = "{_ACCOUNT}"',
            'password_file = "carrier.secret"',
            "[trunk.limits]",
            f"calls = {_PORTS // 4}",
            "[trunk.tls]",
            f'ca_file = "{self._lab.caFile}"',
            "[[pbx]]",
            'name = "office"',
            f'listen = ["{self._proxy}"]',
            f'address = "{self._phone.address}"',
            *pbx,
            "[media]",
            'address = "127.0.0.1"',
            f'ports = "{first}-{first + _PORTS - 1}"',
            "[dns]",
            f'servers = ["127.0.0.1:{self._lab.names.port}"]',
            "[numbers]",
            f'country = "{country}"',
        ]

    async def until(self, done: Callable[[], object], what: str, seconds: float = 8.0) -> None:
        """
        Wait for something.

        @raise AssertionError: it did not come about.
        """
        end = self.reactor.seconds() + seconds
        while not done():
            if self.reactor.seconds() > end:
                raise AssertionError(f"not within {seconds} s: {what}")
            await deferLater(self.reactor, 0.01)

    async def start(self) -> None:
        """
        Begin, and wait until the trunk is registered.

        @raise ConfigurationError: what the trunk has to say about the configuration, or a plugin.
        """
        configuration, _ = loadConfiguration(self.directory / "trunk.toml", os.environ)
        self.trunk = Skypetrunk(configuration, self.reactor, timers=_QUICK)
        self._running = True
        self._lab.startService()
        self.trunk.privilegedStartService()
        self.trunk.startService()
        carrier = self.trunk.carriers["carrier"]
        await self.until(lambda: carrier.status()["state"] == "registered", "registered")

    async def dial(self, number: str = TONE, headers: Sequence[tuple[str, str]] = ()) -> OutgoingCall:
        """
        A call of the phone: answered, or over with its C{status}.  Who called hangs up by C{hangUp}, and
        waits for L{idle}.

        @param headers: more of them for the INVITE.
        """
        call = self._phone.dial(number, self._proxy, headers)
        await call.when(Phase.ANSWERED)
        return call

    async def ring(self, number: str = NUMBER) -> OutgoingCall:
        """A call of the carrier to C{number}, which the phone answers; as L{dial}."""
        call = self._lab.carrier.dial(number, "+493012345678")
        await call.when(Phase.ANSWERED)
        return call

    async def callIn(self, number: str, caller: str = "+493012345678") -> OutgoingCall:
        """
        A call of the carrier to C{number} of the trunk: answered, or over with its C{status}.  What is
        heard there is in C{call.session.recording()}; C{call.session.press("1")} presses a key.
        """
        call = self._lab.carrier.dial(number, caller)
        await call.when(Phase.ANSWERED)
        return call

    async def idle(self) -> None:
        """Wait until no call is left in the trunk."""
        await self.until(lambda: not self.trunk.manager.callCount(), "no call is left")

    async def stopTrunk(self) -> None:
        """Stop the trunk, once: what its plugins were told to keep is kept then."""
        if self._running:
            self._running = False
            await self.trunk.stopService()

    async def close(self) -> None:
        """Stop everything, and take the directory away."""
        await self.stopTrunk()
        await self._phone.stop()
        self._lab.carrier.agent.stop()
        # The practice carrier would wait for answers that the trunk no longer gives.
        self._lab.carrier.agent.transactions.stop()
        await self._lab.stopService()
        self._temporary.cleanup()


__all__ = ["BUSY", "NUMBER", "TONE", "Stage"]
