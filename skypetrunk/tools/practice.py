"""
What a demonstration needs: practice carrier, phone, and between them a trunk from a configuration file.

The trunk is the one a user would run; its file is left behind to be read.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from skypetrunk.interfaces import IDialogObserver
from skypetrunk.lab.authority import writePrivately
from skypetrunk.lab.phone import Phone
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.net.identity import keyPin
from skypetrunk.net.reception import MessageObserver
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.trunk import Skypetrunk, randomToken
from skypetrunk.wire.secret import Secret

__all__ = ["ACCOUNT", "ADDRESS", "EXTENSION", "Practice", "Tones"]

ADDRESS = "127.0.0.1"
ACCOUNT = "99051000000001"
EXTENSION = "1001"

_CIPHER = "ECDHE-RSA-AES128-GCM-SHA256"
"""Ephemeral keys, signed: the one kind of TLS 1.2 suite that has all 15 steps."""

_CONFIGURATION = """\
# The trunk of "skypetrunk demo". Carrier, PBX, keys and certificates are on this machine and thrown away.

[[trunk]]
name = "carrier"
profile = "skype-connect"
username = "{account}"
password_file = "password"

[trunk.tls]
ca_file = "ca.pem"
pins = ["{pin}"]
certificate = "client.pem"
key = "client.key"

[[pbx]]
name = "pbx"
listen = ["udp:{address}:{listen}"]
address = "{phone}"
allow = ["{address}"]

[media]
address = "{address}"

[dns]
servers = ["{address}:{dns}"]

[numbers]
country = "GB"
"""

_CONTROL = """
[control]
socket = "trunk.sock"
"""


@dataclass(frozen=True, slots=True)
class Tones:
    """
    What is played, in Hz: four tones of which none is an overtone of another.

    @ivar outCaller: by the phone, in the call that it places.
    @ivar outCalled: by the carrier in that call.
    @ivar inCaller: by the carrier, in the call that it places.
    @ivar inCalled: by the phone in that call.
    """

    outCaller: int = 450
    outCalled: int = 650
    inCaller: int = 1250
    inCalled: int = 850

    def others(self, frequency: int) -> Sequence[int]:
        """All but one."""
        every = (self.outCaller, self.outCalled, self.inCaller, self.inCalled)
        return [each for each in every if each != frequency]


class Practice:
    """
    Carrier, phone and trunk.

    @ivar lab: the practice carrier.
    @ivar phone: where an IP-PBX would stand.
    @ivar trunk: between them; C{configuration} is what it runs with.
    """

    configuration: Configuration
    lab: Lab
    phone: Phone
    trunk: Skypetrunk

    def __init__(self, reactor: Any, directory: Path, tones: Tones, tls: str, control: bool) -> None:
        """
        @param directory: for all files; made if it is missing.
        @param tls: C{"1.2"} or C{"1.3"}.
        @param control: whether trunk and carrier have control sockets.
        """
        self._reactor = reactor
        self._directory = directory
        self._tones = tones
        self._tls = tls
        self._control = control
        self._stops: list[Callable[[], Any]] = []

    def startCarrier(self) -> None:
        """
        The carrier listens; the certificate that the trunk will show is written.

        @raise CannotListenError: a port is in use.
        @raise OSError: a file cannot be written.
        """
        secret = os.urandom(12).hex()
        carrier = CarrierSettings(
            {ACCOUNT: Secret(secret)},
            answeringTone=self._tones.outCalled,
            callingTone=self._tones.inCaller,
        )
        settings = LabSettings(
            carrier,
            self._directory,
            address=ADDRESS,
            port=0,
            dnsPort=0,
            tls=self._tls,
            ciphers=_CIPHER,
            clientCertificate="required",
            control=self._directory / "carrier.sock" if self._control else None,
        )
        self.lab = Lab(self._reactor, settings)
        self.lab.listen()
        self._stops.append(self.lab.stopService)
        self.lab.startService()
        client = self.lab.authority.issue("skypetrunk demo")
        writePrivately(self._directory / "password", secret.encode("ascii"))
        writePrivately(self._directory / "client.pem", b"".join(client.chain))
        writePrivately(self._directory / "client.key", client.key)

    def startPhone(self) -> None:
        """
        The phone listens.

        @raise CannotListenError: there is no port.
        """
        self.phone = Phone(
            self._reactor,
            randomToken,
            os.urandom,
            EXTENSION,
            self._tones.outCaller,
            self._tones.inCalled,
            host=ADDRESS,
        )
        self.phone.listen()
        self._stops.append(self.phone.stop)

    def startTrunk(self, calls: IDialogObserver, messages: MessageObserver) -> None:
        """
        The trunk runs, between carrier and phone.

        @param calls: told of its calls.
        @param messages: told of its SIP messages.
        @raise CannotListenError: a port is in use.
        @raise OSError: a file cannot be written.
        """
        leaf = x509.load_pem_x509_certificate(self.lab.identity.chain[0])
        text = _CONFIGURATION.format(
            account=ACCOUNT,
            address=ADDRESS,
            pin=keyPin(leaf),
            listen=_freePort(),
            phone=self.phone.address,
            dns=self.lab.names.port,
        )
        path = self._directory / "trunk.toml"
        writePrivately(path, (text + _CONTROL if self._control else text).encode("utf-8"))
        self.configuration, _ = loadConfiguration(path, {})
        self.trunk = Skypetrunk(
            self.configuration,
            self._reactor,
            observers=[calls],
            messageObserver=messages,
        )
        self.trunk.listen()
        # Before the carrier: it takes its registration back and says goodbye
        self._stops.append(self.trunk.stopService)
        self.trunk.startService()

    async def stopPhone(self) -> None:
        """Make room for another phone at its address."""
        self._stops.remove(self.phone.stop)
        await self.phone.stop()

    async def stop(self) -> None:
        """Take everything down, what was started last first."""
        while self._stops:
            stopped = self._stops.pop()()
            if isinstance(stopped, Deferred):
                await stopped


def _freePort() -> int:
    """
    A UDP port that nobody has now.

    @raise CannotListenError: there is none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ADDRESS, 0))
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise CannotListenError(ADDRESS, 0, error) from error
