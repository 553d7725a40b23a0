"""OPTIONS outside a dialog: does the carrier answer, and does it take calls now (RFC 3261 section 11)?"""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.core.options_ping import makeOptions
from skypetrunk.service.trunk import randomToken
from skypetrunk.tools.doctor.asking import ask
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.nat import rewritten
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.grammar import escape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.uri import SIPURI

NAME = "options"

_PATIENCE = 4.0


async def askOptions(patient: Patient, seconds: float) -> int | None:
    """The status that OPTIONS is answered with; C{None}: with none in time, or there is no connection."""
    carrier, trunk = patient.carrier, patient.trunk
    channel = None if carrier is None else carrier.flows.current()
    if carrier is None or channel is None:
        return None
    domain = SIPURI("sip", None, None, trunk.domain)
    own = NameAddr(None, carrier.side.addressOfRecord)
    contact = carrier.side.contactFor(escape(trunk.username), channel)
    return await ask(
        patient, makeOptions(own, domain, contact, randomToken, carrier.side.requestHeaders), seconds
    )


async def examine(patient: Patient) -> Sequence[Finding]:
    """Over the trunk's own connection."""
    carrier, trunk = patient.carrier, patient.trunk
    channel = None if carrier is None else carrier.flows.current()
    if carrier is None or channel is None:
        return [patient.skipped(NAME, "OPTIONS", "There is no connection to ask over.")]
    if rewritten(patient) is not None:
        return [patient.skipped(NAME, "OPTIONS", "What comes back is changed on the way: see nat.")]
    # Who answers nothing is not waited for a second time.
    seconds = _PATIENCE if any(not each.sent for each in patient.messages) else _PATIENCE / 2
    status = await askOptions(patient, seconds)
    if status is None and carrier.flows.current() is not channel:
        text = f"The connection to {trunk.domain} ended before OPTIONS was answered."
        setting = "at the carrier, or a firewall in between: why it ends connections"
        return [Finding(NAME, Severity.AMBER, "OPTIONS", text, "any answer", "none", setting)]
    if status is None:
        text = f"{trunk.domain} does not answer OPTIONS within {seconds:g} s."
        setting = patient.profileKey("options_interval")
        return [Finding(NAME, Severity.AMBER, "OPTIONS", text, "any answer", "none", setting)]
    if status == 503:
        text = f"{trunk.domain} lives and takes no calls now (503)."
        setting = "nothing: the trunk turns to other servers; ask the carrier if it stays so"
        return [Finding(NAME, Severity.RED, "OPTIONS", text, "anything but 503", "503", setting)]
    text = f"{trunk.domain} answers OPTIONS with {status}: it lives."
    return [Finding(NAME, Severity.GREEN, "OPTIONS", text, seen=str(status))]
