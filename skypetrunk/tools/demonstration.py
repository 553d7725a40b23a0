"""The demonstration itself: two calls between practice carrier and phone, by way of the trunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from skypetrunk.lab.audio import examine, writeWAV
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.session import AudioSession
from skypetrunk.service.control import ControlRefused
from skypetrunk.tools.ended_calls import EndedCalls
from skypetrunk.tools.evidence import CallEvidence, Evidence, Heard
from skypetrunk.tools.ladder import Ladder
from skypetrunk.tools.practice import ACCOUNT, ADDRESS, EXTENSION, Practice, Tones
from skypetrunk.tools.report import shownPath
from skypetrunk.tools.terminal import Terminal

__all__ = ["OWN_NUMBER", "Demonstration", "DemonstrationFailed"]

OWN_NUMBER = "+442079460100"
"""What the carrier calls when it calls the PBX."""

_CALLED = "+442079460002"
_CALLER = "+442079460200"

_TALK = 4.0
"""Seconds of each call: enough for a report of RTCP, and for a share of frames that means something."""

_PATIENCE = 8.0
"""Seconds for anything else: on loopback it takes parts of one."""

_POLL = 0.05


class DemonstrationFailed(Exception):
    """Something did not come about; the text is a sentence without its full stop."""


class Demonstration:
    """
    One run.

    @ivar calls: what was shown so far.
    @ivar practice: what it is shown with.
    @ivar stopping: it is being taken down, or is.
    """

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
        # Apart, so that a trunk.toml of the user's own is never replaced
        self.practice = Practice(reactor, directory / "trunk", tones, tls, control)
        self._recordings = directory
        self._terminal = terminal
        self._tones = tones
        self._ladder = Ladder(reactor.seconds)
        self._ended = EndedCalls()
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
        terminal, practice = self._terminal, self.practice
        terminal.begin("Starting the practice carrier")
        practice.startCarrier()
        terminal.done(
            f"Practice carrier: certificates made, DNS on {ADDRESS}:{practice.lab.names.port},"
            f" SIP over TLS on {ADDRESS}:{practice.lab.port}"
        )
        practice.startPhone()
        self._ladder.begin("Registration")
        practice.startTrunk(self._ended, self._ladder.observe)
        where = ", ".join(map(str, practice.configuration.pbxes[0].listen))
        terminal.done(f"Trunk: runs with {shownPath(practice.configuration.path)}, for the PBX on {where}")
        terminal.begin("Looking for the carrier")
        carrier = practice.trunk.carriers["carrier"]
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
        terminal.done(f"Registered: as {ACCOUNT}, for {self._granted} s")

    # Calls

    async def callOut(self) -> None:
        """From the phone to the carrier; the phone hangs up."""
        title = f"Call out: extension {EXTENSION} calls {_CALLED}"

        def place() -> Call:
            return self.practice.phone.dial(_CALLED, self.practice.configuration.pbxes[0].listen[0])

        await self._tried(title, place, lambda: self.practice.lab.carrier.agent.calls, outward=True)

    async def callIn(self) -> None:
        """From the carrier to the phone; the carrier hangs up."""
        title = f"Call in: {_CALLER} calls {OWN_NUMBER}"

        def place() -> Call:
            try:
                return self.practice.lab.carrier.dial(OWN_NUMBER, _CALLER)
            except ControlRefused as problem:
                raise DemonstrationFailed(f"the carrier cannot call: {problem}") from problem

        await self._tried(title, place, lambda: self.practice.phone.agent.calls, outward=False)

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
        carrier, trunk = self.practice.trunk.carriers["carrier"], self.practice.configuration.trunks[0]
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

    async def stop(self) -> None:
        """Take everything down.  A second call changes nothing."""
        if self.stopping:
            return
        self.stopping = True
        if any(section.rungs for section in self._ladder.sections):
            self._ladder.begin("Goodbye")
        await self.practice.stop()


def _isOver(call: Call) -> bool:
    return call.phase is Phase.ENDED


def _session(call: Call) -> AudioSession:
    assert call.session is not None
    return call.session
