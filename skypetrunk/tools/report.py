"""The report of a demonstration: its evidence in lines for people, at most 100 columns wide."""

from __future__ import annotations

import datetime
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from skypetrunk.net.handshake import SEEN, HandshakeRecord, HandshakeStep
from skypetrunk.tools import ladder
from skypetrunk.tools.evidence import CallEvidence, Evidence, Flow, Heard, problems
from skypetrunk.tools.terminal import Style

__all__ = ["handshakeLines", "report", "shownPath", "verdict"]

_WIDTH = 100
_OURS = frozenset({1, 7, 8, 9, 10, 11})
_BOTH = frozenset({14, 15})


def report(evidence: Evidence, style: Style, now: datetime.datetime) -> Iterator[str]:
    """
    Everything that was shown, and the verdict.

    @param now: with its time zone.
    """
    yield from handshakeLines(evidence.handshake, style)
    yield ""
    yield from _verified(evidence, style, now)
    for section in evidence.ladder:
        yield ""
        yield from ladder.render(section, style)
    for call in evidence.calls:
        yield ""
        yield from _call(call, style)
    yield ""
    yield from verdict(evidence, style)


def shownPath(path: Path) -> str:
    """C{path} as somebody who is here would write it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def verdict(evidence: Evidence, style: Style) -> Iterator[str]:
    """Whether all was shown that was to be shown, and what was not."""
    missing = problems(evidence)
    for text in missing:
        yield from _wrapped(f"{style.bad} ", text)
    if missing:
        return
    flows = [flow for call in evidence.calls for flow in call.flows]
    tones = sum(len(call.heard) for call in evidence.calls)
    packets = sum(flow.authenticated for flow in flows)
    yield style.good + style.bold(
        f" {len(evidence.calls)} calls verified: {tones} of {tones} tones recognised at their far ends;"
    )
    yield f"  all {packets} media packets that arrived on the carrier's side were authenticated SRTP."


def _wrapped(first: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, _WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield (first if number == 0 else "  ") + line


# TLS


def handshakeLines(record: HandshakeRecord, style: Style) -> Iterator[str]:
    """The 15 steps of one handshake."""
    chosen = f"{record.version or 'no version'}, {record.cipher or 'no cipher'}"
    yield style.bold(f"The TLS handshake ({chosen}), in the 15 steps of the datasheet")
    flights: set[int | None] = set()
    for step in record.steps:
        yield _step(step, style, step.flight in flights)
        flights.add(step.flight)


def _step(step: HandshakeStep, style: Style, repeated: bool) -> str:
    """One step; those of one flight went together, and its time stands at the first of them."""
    arrow = style.both if step.number in _BOTH else style.arrow if step.number in _OURS else style.back
    seen = step.mark == SEEN
    mark = (style.green if seen else style.dim)(step.mark.ljust(20))
    text = f"  {step.number:2}  {arrow} {step.name:28} {mark}"
    if step.seconds is None:
        return text.rstrip()
    if step.flight is None:
        return f"{text}          after {_duration(step.seconds)}"
    if repeated:
        return f"{text} {style.dim(f'flight {step.flight}')}"
    return f"{text} flight {step.flight}  complete after {_duration(step.seconds)}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _verified(evidence: Evidence, style: Style, now: datetime.datetime) -> Iterator[str]:
    record = evidence.handshake
    yield style.bold("What was verified before the first SIP message was sent")
    yield from _fact("wanted", f"{evidence.domain}, the trunk's domain, whatever address DNS gives")
    yield from _fact("connected", f"{evidence.peer}, found by SRV _sips._tcp.{evidence.domain}")
    certificate = record.certificate
    if certificate is not None:
        yield from _fact("names seen", ", ".join(certificate.names) or "none")
        yield from _fact("proved by", record.proof or "nothing")
        yield from _fact("issuer", certificate.issuer)
        yield from _fact("roots", f"{shownPath(evidence.roots)}, and no others")
        yield from _fact("pinned", " or ".join(evidence.pins) or "no key")
        yield from _fact("revoked", record.revocation or "not asked")
        left = (certificate.expires - now).days
        yield from _fact("expires", f"{certificate.expires:%Y-%m-%d %H:%M} UTC, in {left} days")
    yield from _fact("registered", f"for {evidence.granted} s, as the carrier granted")


def _fact(name: str, text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - 14, break_on_hyphens=False):
        yield f"  {name:11} {line}"
        name = ""


# Calls


def _call(call: CallEvidence, style: Style) -> Iterator[str]:
    yield style.bold(call.title)
    if call.problem is not None:
        yield from _wrapped(f"  {style.bad} ", call.problem)
        return
    yield f"  lasted {call.seconds:.1f} s, ended by the {call.endedBy}"
    yield from _media(call, style)
    if call.heard:
        yield "  tones recognised at their far ends, in frames of 20 ms:"
    for heard in sorted(call.heard, key=lambda each: not each.outward):
        yield from _tone(heard, style)


def _media(call: CallEvidence, style: Style) -> Iterator[str]:
    leg, plain = call.secureLeg, call.plainLeg
    suite = "no SRTP" if leg is None else f"SRTP {leg.suite}, keys by SDES over TLS"
    yield f"  carrier's side: {suite}"
    if call.flows:
        heads = "protected", "authenticated", "refused", "lost", "RTCP protected", "authenticated"
        yield style.dim(" " * 23 + "".join(f"{head:>{len(head) + 2}}" for head in heads))
        for flow in call.flows:
            yield _flow(flow, style, [len(head) + 2 for head in heads])
        late = sum(flow.unread for flow in call.flows)
        if late:
            yield style.dim(f"    {late} sent behind the last that was read: the call was over")
    if plain is not None:
        yield (
            f"  PBX's side:     plain RTP; {plain.received.packets} packets received,"
            f" {plain.received.lost} lost, {plain.sent.packets} sent"
        )


def _flow(flow: Flow, style: Style, widths: Sequence[int]) -> str:
    ends = ("trunk", "carrier") if flow.outward else ("carrier", "trunk")
    figures = (
        flow.protected,
        flow.authenticated,
        flow.refusedPackets,
        flow.lost,
        flow.rtcpSent,
        flow.rtcpReceived,
    )
    text = "".join(f"{figure:>{width}}" for figure, width in zip(figures, widths, strict=True))
    return f"    {f' {style.arrow} '.join(ends):19}{text}"


def _tone(heard: Heard, style: Style) -> Iterator[str]:
    tone, path = heard.tone, shownPath(heard.recording)
    sign = style.good if tone.recognised else style.bad
    way = f" {style.arrow} ".join(("PBX", "carrier") if heard.outward else ("carrier", "PBX"))
    text = (
        f"{way:13} {tone.frequency:5} Hz in {tone.right} of {tone.frames} frames ({100 * tone.share:.1f} %)"
    )
    # A path must stay whole, to be copied
    if len(text) + len(path) + 8 <= _WIDTH:
        yield f"    {sign} {text}  {path}"
    else:
        yield f"    {sign} {text}"
        yield f"      {path}"
