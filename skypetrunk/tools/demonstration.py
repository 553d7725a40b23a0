"""
The demonstration itself: practice carrier, trunk and phone over real sockets, and two calls.

The trunk is the one a user would run, from a configuration file that is left behind to be read.
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
from twisted.internet.task import deferLater
from zope.interface import implementer

from skypetrunk.interfaces import CallEnded, CallRequest, IDialogObserver, LegStatistics
from skypetrunk.lab.audio import examine, writeWAV
from skypetrunk.lab.authority import writePrivately
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.phone import Phone
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.session import AudioSession
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.net.identity import keyPin
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.control import ControlRefused
from skypetrunk.service.trunk import Skypetrunk, randomToken
from skypetrunk.tools.evidence import CallEvidence, Evidence, Heard
from skypetrunk.tools.ladder import Ladder
from skypetrunk.tools.report import shownPath
from skypetrunk.tools.terminal import Terminal
from skypetrunk.wire.secret import Secret

__all__ = ["OWN_NUMBER", "Demonstration", "DemonstrationFailed", "Tones"]

OWN_NUMBER = "+442079460100"
"""What the carrier calls when it calls the PBX."""

_ADDRESS = "127.0.0.1"
_ACCOUNT = "99051000000001"
_EXTENSION = "1001"
_CALLED = "+442079460002"
_CALLER = "+442079460200"

_CIPHER = "ECDHE-RSA-AES128-GCM-SHA256"
"""Ephemeral keys, signed: the one kind of TLS 1.2 suite that has all 15 steps."""

_TALK = 4.0
"""Seconds of each call: enough for a report of RTCP, and for a share of frames that means something."""

_PATIENCE = 8.0
"""Seconds for anything else: on loopback it takes parts of one."""

_POLL = 0.05

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


class DemonstrationFailed(Exception):
    """Something did not come about; the text is a sentence without its full stop."""


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


@implementer(IDialogObserver)
class _Ended:
    """Keeps what the trunk says of calls that are over."""

    def __init__(self) -> None:
        self.calls: list[tuple[CallEnded, tuple[LegStatistics, ...]]] = []

    def callStarted(self, request: CallRequest) -> None:
        """See L{IDialogObserver}."""

    def callAnswered(self, call: str) -> None:
        """See L{IDialogObserver}."""

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """See L{IDialogObserver}."""
        self.calls.append((ended, tuple(media)))


class Demonstration:
    """
    One run.

    @ivar calls: what was shown so far.
    @ivar lab: the practice carrier, once it runs.
    @ivar stopping: it is being taken down, or is.
    """

    configuration: Configuration
    trunk: Skypetrunk
    lab: Lab

    def __init__(
        self,
        reactor: Any,
        directory: Path,
        terminal: Terminal,
        *,
        tls: str = "1.2",
        control: bool = False,
        tones: Tones = Tones(),  # noqa: B008 (a frozen value)
    ) -> None:
        """
        @param directory: for the recordings; everything else goes into C{trunk} in there.
        @param tls: C{"1.2"} or C{"1.3"}.
        @param control: whether trunk and carrier have control sockets.
        """
        self.calls: list[CallEvidence] = []
        self.stopping = False
        self._reactor = reactor
        self._recordings = directory
        # Apart, so that a trunk.toml of the user's own is never replaced
        self._directory = directory / "trunk"
        self._terminal = terminal
        self._tls = tls
        self._control = control
        self._tones = tones
        self._ladder = Ladder(reactor.seconds)
        self._ended = _Ended()
        self._stops: list[Callable[[], Any]] = []
        self._peer = ""
        self._granted = 0

    # Setting up

    async def start(self) -> None:
        """
        Everything runs, and the trunk is registered.

        @raise DemonstrationFailed: it does not.
        @raise CannotListenError: a port is in use.
        @raise OSError: a file cannot be written.
        """
        terminal = self._terminal
        terminal.begin("Starting the practice carrier")
        self._startLab()
        terminal.done(
            f"Practice carrier: certificates made, DNS on {_ADDRESS}:{self.lab.names.port},"
            f" SIP over TLS on {_ADDRESS}:{self.lab.port}"
        )
        self._startPhone()
        self._ladder.begin("Registration")
        self._startTrunk()
        where = ", ".join(map(str, self.trunk.pbxes["pbx"].transports.listening))
        terminal.done(f"Trunk: runs with {shownPath(self.configuration.path)}, for the PBX on {where}")
        terminal.begin("Looking for the carrier")
        carrier = self.trunk.carriers["carrier"]
        await self._until(
            lambda: carrier.side.up,
            lambda: f"The trunk could not register: {carrier.status()['problem'] or 'no answer'}",
        )
        handshake, status = carrier.flows.handshake(), carrier.status()
        assert handshake is not None
        self._peer, self._granted = str(status["peer"]), int(str(status["expires"]))
        terminal.done(
            f"TLS: {handshake.version} {handshake.cipher}, the carrier proved to be {handshake.domain}"
        )
        terminal.done(f"Registered: as {_ACCOUNT}, for {self._granted} s")

    def _startLab(self) -> None:
        secret = os.urandom(12).hex()
        carrier = CarrierSettings(
            {_ACCOUNT: Secret(secret)},
            answeringTone=self._tones.outCalled,
            callingTone=self._tones.inCaller,
        )
        settings = LabSettings(
            carrier,
            self._directory,
            address=_ADDRESS,
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

    def _startPhone(self) -> None:
        self.phone = Phone(
            self._reactor,
            randomToken,
            os.urandom,
            _EXTENSION,
            self._tones.outCaller,
            self._tones.inCalled,
            host=_ADDRESS,
        )
        self.phone.listen()
        self._stops.append(self.phone.stop)

    def _startTrunk(self) -> None:
        leaf = x509.load_pem_x509_certificate(self.lab.identity.chain[0])
        text = _CONFIGURATION.format(
            account=_ACCOUNT,
            address=_ADDRESS,
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
            observers=[self._ended],
            messageObserver=self._ladder.observe,
        )
        self.trunk.listen()
        # Before the carrier: it takes its registration back and says goodbye
        self._stops.append(self.trunk.stopService)
        self.trunk.startService()

    # Calls

    async def callOut(self) -> None:
        """From the phone to the carrier; the phone hangs up."""
        title = f"Call out: extension {_EXTENSION} calls {_CALLED}"

        def place() -> Call:
            return self.phone.dial(_CALLED, self.configuration.pbxes[0].listen[0])

        await self._tried(title, place, lambda: self.lab.carrier.agent.calls, outward=True)

    async def callIn(self) -> None:
        """From the carrier to the phone; the carrier hangs up."""
        title = f"Call in: {_CALLER} calls {OWN_NUMBER}"

        def place() -> Call:
            try:
                return self.lab.carrier.dial(OWN_NUMBER, _CALLER)
            except ControlRefused as problem:
                raise DemonstrationFailed(f"the carrier cannot call: {problem}") from problem

        await self._tried(title, place, lambda: self.phone.agent.calls, outward=False)

    async def _tried(
        self, title: str, place: Callable[[], Call], taken: Callable[[], Sequence[Call]], outward: bool
    ) -> None:
        self._terminal.begin(title)
        self._ladder.begin(title)
        try:
            evidence = await self._call(title, place, taken, outward)
        except DemonstrationFailed as problem:
            self._terminal.failed(f"{title}: {problem}")
            evidence = CallEvidence(title, problem=str(problem))
        else:
            self._terminal.done(f"{title}: answered, {evidence.seconds:.1f} s, both ends recorded")
        self.calls.append(evidence)

    async def _call(
        self, title: str, place: Callable[[], Call], taken: Callable[[], Sequence[Call]], outward: bool
    ) -> CallEvidence:
        """
        One call.

        @param taken: the calls at the other end.
        """
        placed = place()
        before = len(self._ended.calls)
        try:
            other = await self._answered(placed, taken)
            await self._talk(placed)
        finally:
            placed.hangUp()
        await self._until(
            lambda: _isOver(other) and len(self._ended.calls) > before,
            lambda: "its end did not reach the other side",
        )
        ended, legs = self._ended.calls[-1]
        atCarrier, atPBX = (_session(each) for each in ((other, placed) if outward else (placed, other)))
        tones = self._tones
        toCarrier, toPBX = (tones.outCaller, tones.outCalled) if outward else (tones.inCalled, tones.inCaller)
        name = "call-out" if outward else "call-in"
        return CallEvidence(
            title,
            seconds=ended.duration,
            endedBy=ended.by,
            trunk=legs,
            carrier=atCarrier.statistics(),
            heard=(
                self._heard(True, atCarrier, toCarrier, f"{name}-at-carrier.wav"),
                self._heard(False, atPBX, toPBX, f"{name}-at-pbx.wav"),
            ),
        )

    def _heard(self, outward: bool, session: AudioSession, frequency: int, name: str) -> Heard:
        samples = session.recording()
        path = self._recordings / name
        writeWAV(path, samples)
        return Heard(outward, examine(samples, frequency, self._tones.others(frequency)), path)

    async def _answered(self, placed: Call, taken: Callable[[], Sequence[Call]]) -> Call:
        """The other end of C{placed}."""
        await self._until(
            lambda: placed.phase is Phase.ANSWERED or _isOver(placed), lambda: "it was not answered in time"
        )
        if _isOver(placed):
            raise DemonstrationFailed(f"it was not answered: {placed.cause}")
        if not taken():
            raise DemonstrationFailed("it was answered, and not by its other end")
        return taken()[-1]

    async def _talk(self, call: Call) -> None:
        end = self._reactor.seconds() + _TALK
        while self._reactor.seconds() < end:
            await deferLater(self._reactor, _POLL)
            self._terminal.tick()
            if _isOver(call):
                raise DemonstrationFailed(f"it ended too early: {call.cause}")

    async def _until(self, done: Callable[[], bool], problem: Callable[[], str]) -> None:
        end = self._reactor.seconds() + _PATIENCE
        while not done():
            if self._reactor.seconds() > end:
                raise DemonstrationFailed(problem())
            await deferLater(self._reactor, _POLL)
            self._terminal.tick()

    # The end

    def evidence(self, unforeseen: Sequence[str], log: Path) -> Evidence:
        """
        What was shown so far.

        @param unforeseen: errors that were logged.
        """
        carrier, trunk = self.trunk.carriers["carrier"], self.configuration.trunks[0]
        handshake, roots = carrier.flows.handshake(), trunk.tls.caFile
        assert handshake is not None and roots is not None
        return Evidence(
            handshake,
            trunk.domain,
            self._peer,
            roots,
            trunk.tls.pins,
            self._granted,
            tuple(self._ladder.sections),
            tuple(self.calls),
            tuple(unforeseen),
            log,
        )

    async def stopPhone(self) -> None:
        """Make room for another phone at its address."""
        self._stops.remove(self.phone.stop)
        await self.phone.stop()

    async def stop(self) -> None:
        """Take everything down, what was started last first.  A second call changes nothing."""
        if self.stopping:
            return
        self.stopping = True
        if any(section.rungs for section in self._ladder.sections):
            self._ladder.begin("Goodbye")
        while self._stops:
            stopped = self._stops.pop()()
            if isinstance(stopped, Deferred):
                await stopped


def _isOver(call: Call) -> bool:
    return call.phase is Phase.ENDED


def _session(call: Call) -> AudioSession:
    assert call.session is not None
    return call.session


def _freePort() -> int:
    """
    A UDP port that nobody has now.

    @raise CannotListenError: there is none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((_ADDRESS, 0))
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise CannotListenError(_ADDRESS, 0, error) from error
