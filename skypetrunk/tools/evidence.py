"""
What a demonstration has shown, as values, and whether that is enough.

Nothing here is claimed that was not counted, heard or told by OpenSSL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skypetrunk.interfaces import LegStatistics
from skypetrunk.lab.audio import ToneReport
from skypetrunk.net.handshake import HandshakeRecord
from skypetrunk.tools.ladder import Section

__all__ = ["CallEvidence", "Evidence", "Flow", "Heard", "callProblems", "problems"]


@dataclass(frozen=True, slots=True)
class Heard:
    """
    One direction of one call, as it was recorded at its far end.

    @ivar outward: from the PBX to the carrier.
    @ivar recording: the WAV file.
    """

    outward: bool
    tone: ToneReport
    recording: Path


@dataclass(frozen=True, slots=True)
class Flow:
    """
    One direction of the carrier's side, counted at both of its ends.

    @ivar outward: from the trunk to the carrier.
    @ivar protected: SRTP packets that the sender says it protected.
    @ivar clear: packets it sent without that.
    @ivar authenticated: packets that the receiver proved.
    @ivar refused: those it did not let through, by reason.
    @ivar lost: those it missed.
    @ivar rtcpSent: RTCP packets sent.
    @ivar rtcpReceived: those of them that were proved too.
    """

    outward: bool
    protected: int
    clear: int
    authenticated: int
    refused: tuple[tuple[str, int], ...]
    lost: int
    rtcpSent: int
    rtcpReceived: int

    @property
    def refusedPackets(self) -> int:
        """All that the receiver did not let through."""
        return sum(count for _, count in self.refused)

    @property
    def unread(self) -> int:
        """What was sent behind the last packet that the receiver took: the call was over."""
        return max(0, self.protected - self.authenticated - self.refusedPackets - self.lost)


@dataclass(frozen=True, slots=True)
class CallEvidence:
    """
    One call.

    @ivar title: which one.
    @ivar problem: why it did not come about, in words; C{None} if it did.
    @ivar seconds: how long it lasted.
    @ivar endedBy: who hung up.
    @ivar trunk: the trunk's legs.
    @ivar carrier: the carrier's own counters.
    """

    title: str
    problem: str | None = None
    seconds: float = 0.0
    endedBy: str = ""
    trunk: tuple[LegStatistics, ...] = ()
    carrier: LegStatistics | None = None
    heard: tuple[Heard, ...] = ()

    @property
    def secureLeg(self) -> LegStatistics | None:
        """The trunk's leg towards the carrier, if it is one with SRTP."""
        return next((leg for leg in self.trunk if leg.secure), None)

    @property
    def plainLeg(self) -> LegStatistics | None:
        """The trunk's leg towards the PBX."""
        return next((leg for leg in self.trunk if not leg.secure), None)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Both directions of the carrier's side; none where there was no SRTP."""
        trunk, carrier = self.secureLeg, self.carrier
        if trunk is None or carrier is None:
            return ()
        return _flow(True, trunk, carrier), _flow(False, carrier, trunk)


def _flow(outward: bool, sender: LegStatistics, receiver: LegStatistics) -> Flow:
    sent, received = sender.sent, receiver.received
    return Flow(
        outward,
        sent.authenticated,
        sent.packets - sent.authenticated,
        received.authenticated,
        received.refused,
        received.lost,
        sent.rtcpPackets,
        received.rtcpPackets,
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    Everything.

    @ivar handshake: of the trunk's connection to the carrier.
    @ivar domain: what the carrier had to prove.
    @ivar peer: the address that was connected to.
    @ivar roots: the file of the trusted roots.
    @ivar pins: keys one of which the chain had to have.
    @ivar granted: seconds for which the trunk was registered.
    @ivar unforeseen: errors in the log, in words.
    @ivar log: the log.
    """

    handshake: HandshakeRecord
    domain: str
    peer: str
    roots: Path
    pins: tuple[str, ...]
    granted: int
    ladder: tuple[Section, ...]
    calls: tuple[CallEvidence, ...]
    unforeseen: tuple[str, ...]
    log: Path


def problems(evidence: Evidence) -> Sequence[str]:
    """What is missing, one sentence each; empty if everything was shown."""
    found: list[str] = []
    if evidence.handshake.proof is None:
        found.append(f"Nothing proved that the peer is {evidence.domain}.")
    if not evidence.calls:
        found.append("There was no call.")
    for call in evidence.calls:
        found += [f"{call.title}: {text}" for text in callProblems(call)]
    for text in evidence.unforeseen:
        found.append(f"An error was logged: {text} (in {evidence.log})")
    return found


def callProblems(call: CallEvidence) -> Iterator[str]:
    """What is missing of one call."""
    if call.problem is not None:
        yield f"{call.problem}."
        return
    trunk, carrier = call.secureLeg, call.carrier
    if trunk is None or carrier is None or not carrier.secure:
        yield "there was no SRTP on the carrier's side."
    elif trunk.suite is None or trunk.suite != carrier.suite:
        yield f"the ends name different suites, {trunk.suite} and {carrier.suite}."
    for flow in call.flows:
        yield from _flowProblems(flow)
    if {heard.outward for heard in call.heard} != {True, False}:
        yield "not both directions were recorded."
    for heard in call.heard:
        tone, where = heard.tone, "at the carrier" if heard.outward else "at the PBX"
        if not tone.recognised:
            others = f", {tone.foreign} with another tone" if tone.foreign else ""
            yield (
                f"the tone of {tone.frequency} Hz was not recognised {where}: "
                f"it is in {tone.right} of {tone.frames} frames{others}."
            )


def _flowProblems(flow: Flow) -> Iterator[str]:
    sender, receiver = ("trunk", "carrier") if flow.outward else ("carrier", "trunk")
    if flow.refused:
        reasons = ", ".join(f"{count} for {reason}" for reason, count in flow.refused)
        yield f"the {receiver} refused {flow.refusedPackets} packets of the {sender} ({reasons})."
    if flow.clear:
        yield f"the {sender} sent {flow.clear} media packets without SRTP."
    if not flow.authenticated:
        yield f"the {receiver} received no authenticated packet."
