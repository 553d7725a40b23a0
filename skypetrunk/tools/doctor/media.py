"""
A test call, where one is asked for: by the trunk itself, from a small phone on loopback in the PBX's place.

SRTP packets of the carrier that were authenticated are counted by the trunk.  Whether the carrier could
authenticate ours is heard where the number called sends back what it hears.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from twisted.internet.task import deferLater

from skypetrunk.core.protection import REQUIRED
from skypetrunk.interfaces import ANY_PATH, CallEnded, LegStatistics
from skypetrunk.lab.audio import examine as listen
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.phone import Phone
from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.service.trunk import randomToken
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.address import TransportAddress

NAME = "media"

_HOST = "127.0.0.1"
_TONE = 450
TALK = 3.0
"""Seconds of the call: its beginning and its steady state."""

_PATIENCE = 5.0
_RINGING = 30.0
"""Seconds for somebody to answer."""


async def examine(patient: Patient) -> Sequence[Finding]:
    """Call, listen for some seconds, and hang up."""
    number = patient.number
    if number is None:
        return [patient.skipped(NAME, "test call", "No test call was asked for: --call NUMBER makes one.")]
    if not any(each.good for each in patient.attempts):
        return [patient.skipped(NAME, "test call", "There is no verified connection for a call.")]
    await patient.stop()
    phone = Phone(patient.reactor, randomToken, os.urandom, "doctor", _TONE, None, host=_HOST)
    phone.listen()
    try:
        return await _called(patient, phone, number)
    finally:
        await phone.stop()
        await patient.stop()


async def _called(patient: Patient, phone: Phone, number: str) -> Sequence[Finding]:
    place = TransportAddress("UDP", _HOST, _freePort())
    path = patient.configuration.media.path(ANY_PATH).preferring(4)
    pbx = PBXConfiguration("doctor", (place,), phone.address, (ip_network(_HOST),), mediaPath=path)
    carrier = patient.start(pbx)
    if not await patient.until(lambda: carrier.side.up, _PATIENCE):
        text = "The trunk did not come up for the call."
        return [Finding(NAME, Severity.RED, "test call", text, seen=str(carrier.status()["problem"]))]
    call = phone.dial(number, place)
    try:
        await patient.until(
            lambda: call.phase is not Phase.CALLING and call.phase is not Phase.RINGING, _RINGING
        )
        if call.phase is Phase.ANSWERED:
            await deferLater(patient.reactor, TALK)
    finally:
        call.hangUp()
    await patient.until(lambda: bool(patient.ended), _PATIENCE)
    if not patient.ended:
        text = f"The call to {number} came to nothing: {call.cause or 'no answer'}."
        return [Finding(NAME, Severity.RED, "test call", text, "a call", call.cause, patient.key("limits"))]
    ended, legs = patient.ended[-1]
    if not ended.duration:
        return [unanswered(patient, number, ended)]
    return list(_judged(patient, call, legs))


def unanswered(patient: Patient, number: str, ended: CallEnded) -> Finding:
    """Why a call came to nothing: as the carrier said, whatever a PBX is told of that."""
    heard = patient.heard("INVITE")
    # Not the challenge to the one before it.
    last = [(each.callID, each.cseq) for each in patient.asked("INVITE")][-1:]
    said = [each.status for each in patient.answers("INVITE") if (each.callID, each.cseq) in last]
    status = said[-1] if said else ended.status
    if ended.by == "trunk" and "RTP/AVP" in ended.cause:
        text = f"The carrier answers {number} without SRTP, which is refused."
        setting = "at the carrier: SRTP for this account"
        return Finding(NAME, Severity.RED, "SRTP", text, "RTP/SAVP", ended.cause, setting)
    if "credit" in ended.cause.lower():
        text = f"The carrier does not let the account call: {ended.cause}."
        setting = f"at the carrier: the credit of {patient.trunk.username}"
        return Finding(NAME, Severity.RED, "credit", text, "200", f"{status}: {ended.cause}", setting)
    if not heard and ended.by == "trunk":
        text = f"The trunk does not place the call: {ended.cause}."
        return Finding(NAME, Severity.RED, "test call", text, "a call", ended.cause)
    if not heard:
        text = "The carrier does not answer the call at all."
        setting = f"at the carrier: may {patient.trunk.username} make calls?"
        return Finding(NAME, Severity.RED, "test call", text, "any answer", "none", setting)
    unproved = ("The carrier does not accept user name and password.", patient.key("password_file"))
    settings = {
        401: unproved,
        407: unproved,
        403: (f"The carrier forbids the call to {number}.", patient.profileKey("from_user")),
        404: (f"The carrier knows no number {number}.", patient.profileKey("number_form")),
        484: (f"The carrier finds {number} too short.", patient.profileKey("number_form")),
        488: (
            "It takes neither our codecs nor SRTP; is SRTP on for the account?",
            patient.key("media.suites"),
        ),
        503: ("The carrier takes no more calls now.", patient.key("limits.calls")),
    }
    default = (f"{number} was not answered: {ended.cause}.", "another number, which answers")
    sentence, setting = settings.get(said[-1] if said else 0, default)
    return Finding(
        NAME, Severity.RED, "test call", sentence, "200", f"{status or 'no status'}: {ended.cause}", setting
    )


def _judged(patient: Patient, call: Call, legs: Sequence[LegStatistics]) -> Iterator[Finding]:
    leg = patient.carrierLeg(legs)
    if leg is None or not leg.secure:
        mode = patient.trunk.media.path.srtp
        yield Finding(
            NAME,
            Severity.RED if leg is None or mode == REQUIRED else Severity.AMBER,
            "SRTP",
            f"There was no SRTP on the carrier's side; srtp is {mode}.",
            "SRTP",
            "none",
            patient.key("media.srtp"),
        )
    if leg is None:
        return
    first, last = patient.configuration.media.ports
    if leg.secure:
        came, went = leg.received.authenticated, leg.sent.authenticated
        sentence = f"{came} packets of the carrier were authenticated ({leg.suite}), {went} of ours protected"
        seen = f"{leg.suite}: {came} authenticated of {leg.received.packets}, {went} protected and sent"
    else:
        came, went = leg.received.packets, leg.sent.packets
        sentence = f"{came} packets of the carrier came in clear, {went} of ours went so"
        seen = f"in clear: {came} received, {went} sent"
    if leg.received.refused:
        reasons = ", ".join(f"{count} for {reason}" for reason, count in leg.received.refused)
        yield Finding(
            NAME,
            Severity.AMBER if came else Severity.RED,
            "SRTP",
            f"Packets of the carrier were refused: {reasons}.",
            "every packet authenticated" if leg.secure else "packets of the signalled host only",
            seen,
            patient.key("media.suites"),
        )
    if not leg.received.packets:
        yield Finding(
            NAME,
            Severity.RED,
            "audio",
            "The call was answered, and no sound came from the carrier.",
            "packets",
            seen,
            f"the firewall: UDP to ports {first}-{last}; or media.advertise",
        )
        return
    if not came:
        return
    echo = _echoed(call)
    text = sentence + (
        "; our tone came back: both ways work." if echo else "; only an echo would prove that they arrived."
    )
    yield Finding(NAME, Severity.GREEN, "audio", text, seen=seen)


def _echoed(call: Call) -> bool:
    """Did the phone hear its own tone?"""
    if call.session is None:
        return False
    return listen(call.session.recording(), _TONE, ()).recognised


def _freePort() -> int:
    """A UDP port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
