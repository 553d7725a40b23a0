"""The trunk's connection, held for a moment: does it stay once it is used?"""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.tools.doctor.alive import askOptions
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient

NAME = "connection"

_PATIENCE = 3.0

HELD = 0.7
"""Seconds; whoever closes connections because of what was said does it at once."""


def _swallowed(where: str) -> Finding:
    text = f"The connection to {where} stays, and nothing comes back any more over it."
    setting = "a firewall or router in between: does it forget connections?"
    return Finding(NAME, Severity.AMBER, "hold", text, "an answer to OPTIONS", "none", setting)


async def examine(patient: Patient) -> Sequence[Finding]:
    """Watch it."""
    carrier = patient.carrier
    channel = None if carrier is None else carrier.flows.current()
    if carrier is None or channel is None:
        return [patient.skipped(NAME, "hold", "There is no connection to watch.")]
    if not await patient.until(lambda: carrier.flows.current() is not channel, HELD):
        answered = [each for each in patient.answers("OPTIONS") if each.status not in (401, 407)]
        if answered and await askOptions(patient, _PATIENCE) is None:
            return [_swallowed(channel.peer.hostPort)]
        text = f"The connection to {channel.peer.hostPort} stays."
        return [Finding(NAME, Severity.GREEN, "hold", text)]
    why = carrier.flows.problem or "another took its place"
    return [
        Finding(
            NAME,
            Severity.AMBER,
            "hold",
            f"{channel.peer.hostPort} ended the connection soon after it was used; the trunk makes another.",
            "a connection that stays",
            why,
            "at the carrier, or a firewall in between: why it ends connections",
        )
    ]
