"""
REGISTER, by the trunk itself: is the account known, is the password right, and for how long does it hold?

Where a trunk with this configuration runs already, its registration is left alone: a REGISTER without a
Contact asks what is registered (RFC 3261 section 10.2.3), and proves the password all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from skypetrunk.core.register_request import RegisterRequests
from skypetrunk.errors import MalformedMessage
from skypetrunk.printable import printable
from skypetrunk.tools.doctor.bindings import PATIENCE, askBindings, others
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.nat import ALG, rewritten
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.digest import parseChallenges, parseCredentials
from skypetrunk.wire.message import Response

NAME = "register"

_SHORT = 60
"""Seconds: a carrier that grants less thinks that a router would forget the connection otherwise."""


async def examine(patient: Patient) -> Sequence[Finding]:
    """Run the trunk, and see whether it comes up."""
    if not any(each.good for each in patient.attempts):
        return [patient.skipped(NAME, "account", "There is no verified connection to register over.")]
    carrier = patient.start()
    if patient.trunk.profile.register and not patient.running:
        await patient.until(lambda: carrier.side.up or _refused(patient), PATIENCE)
        if carrier.side.up:
            patient.registered = int(str(carrier.status()["expires"]))
            return [_registered(patient), *_doubts(patient), *others(patient)]
        return [_failed(patient, str(carrier.status()["problem"] or "no answer"))]
    connected = await patient.until(lambda: carrier.flows.current() is not None, PATIENCE)
    if not connected:
        return [_failed(patient, carrier.flows.problem or "no connection")]
    if not patient.trunk.profile.register:
        text = f"The profile {patient.trunk.profile.name} does not register: the carrier knows us otherwise."
        return [patient.skipped(NAME, "account", text)]
    if patient.trunk.profile.mediasec:
        # RFC 3329: it would have to agree on that anew, beside the trunk that runs.
        text = "Media security is agreed by the running trunk, which says itself whether it is registered."
        return [patient.skipped(NAME, "account", text)]
    status = await askBindings(patient, RegisterRequests.query)
    if status < 300:
        return [_known(patient), *_doubts(patient), *others(patient)]
    return [_failed(patient, str(status))]


def _refused(patient: Patient) -> bool:
    """Has the trunk given an attempt up, or will it have to?"""
    assert patient.carrier is not None
    problem = patient.carrier.status()["problem"]
    return problem not in (None, "connecting") or rewritten(patient) is not None


def algorithms(patient: Patient) -> tuple[list[str], str | None]:
    """Digest algorithms that the registrar offered, and the one that was answered with."""
    offered: list[str] = []
    for response in patient.answers("REGISTER"):
        for name in ("WWW-Authenticate", "Proxy-Authenticate"):
            for challenge in parseChallenges(response.values(name)):
                algorithm = challenge.algorithm or "MD5"
                if algorithm not in offered:
                    offered.append(algorithm)
    used = None
    for request in patient.asked("REGISTER"):
        for name in ("Authorization", "Proxy-Authorization"):
            for value in request.values(name):
                try:
                    used = parseCredentials(value).algorithm or "MD5"
                except MalformedMessage:
                    continue
    return offered, used


def _digest(patient: Patient) -> str:
    offered, used = algorithms(patient)
    if used is None:
        return "without asking for the password"
    others = [each for each in offered if each != used]
    return f"digest {used}" + (f", of {', '.join(offered)}" if others else "")


def _registered(patient: Patient) -> Finding:
    user, digest = patient.trunk.username, _digest(patient)
    sentence = f"{user} is registered for {patient.registered} s; {digest}."
    return Finding(NAME, Severity.GREEN, "account", sentence, seen=digest)


def _known(patient: Patient) -> Finding:
    digest = _digest(patient)
    text = f"The password of {patient.trunk.username} is right; {digest}."
    return Finding(NAME, Severity.GREEN, "account", f"{text} The running trunk keeps its registration.")


def _doubts(patient: Patient) -> Iterator[Finding]:
    final = patient.answers("REGISTER")
    least = [each.header("Min-Expires") for each in final if each.status == 423]
    if least:
        yield Finding(
            NAME,
            Severity.AMBER,
            "expiry",
            "The registrar refuses what the profile asks for as too short: each start costs one more.",
            f"{least[-1]} s or more",
            f"{patient.trunk.profile.expires} s",
            patient.profileKey("expires"),
        )
    stale = sum(_stale(each) for each in final)
    if stale > 1:
        yield Finding(
            NAME,
            Severity.AMBER,
            "nonce",
            f"The registrar called {stale} nonces stale at once: each request costs one more.",
            "a nonce that holds for a while",
            f"stale {stale} times",
            "at the carrier: the lifetime of nonces",
        )
    seconds = patient.registered
    if seconds is not None and seconds < _SHORT:
        yield Finding(
            NAME,
            Severity.AMBER,
            "expiry",
            f"The carrier grants {seconds} s only, as it does behind NAT: the trunk registers all the time.",
            f"{patient.trunk.profile.expires} s",
            f"{seconds} s",
            "a public address for this machine, if that can be had; the trunk obeys",
        )


def _stale(response: Response) -> bool:
    return response.status in (401, 407) and any(
        each.stale
        for name in ("WWW-Authenticate", "Proxy-Authenticate")
        for each in parseChallenges(response.values(name))
    )


def _failed(patient: Patient, problem: str) -> Finding:
    final = patient.answers("REGISTER")
    status = final[-1].status if final else None
    user, domain = patient.trunk.username, patient.trunk.domain
    ended = "connection" in problem.lower()
    wait = final[-1].header("Retry-After") if final else None
    reason = "" if not final else printable(final[-1].reason)
    if rewritten(patient) is not None:
        sentence, setting = "The answers to REGISTER come back changed, and belong to nothing: see nat.", ALG
    elif not patient.asked("REGISTER"):
        sentence, setting = f"{domain} closes the connection before we can register.", patient.key("username")
    elif status is None or (status in (401, 407) and ended):
        silent = "closes the connection at REGISTER" if ended else "does not answer REGISTER"
        sentence = f"{domain} {silent}."
        setting = f"at the carrier: does it know the account {user}?"
    elif status in (401, 407) and _stale(final[-1]):
        sentence = f"{domain} calls each nonce stale, however fresh it is."
        setting = "at the carrier: its digest challenges"
    elif status in (401, 407) and "no password" not in problem and algorithms(patient)[1] is not None:
        sentence = f"{domain} does not accept user name and password of {user}."
        setting = patient.key("password_file")
    elif status in (401, 407):
        sentence = f"{domain} asks for a password in a way that is not known, or none is configured."
        setting = patient.key("password_file")
    elif status == 403 and "contact" in reason.lower():
        sentence, setting = f'{domain} does not take our Contact: "{reason}".', patient.key("contact")
    elif status == 494:
        sentence = f"{domain} wants the security agreement of RFC 3329 (mediasec), which is not configured."
        setting = patient.profileKey("mediasec")
    elif status == 403:
        sentence = f"{domain} forbids {user} to register: the password is wrong, or the account is closed."
        setting = patient.key("password_file")
    elif status == 404:
        sentence = f"{domain} does not know the account {user}."
        setting = patient.key("username")
    elif status == 423:
        sentence = f"{domain} refuses every registration time that is asked for."
        setting = patient.profileKey("expires")
    elif status >= 500:
        sentence = f"{domain} cannot register anybody now ({status})."
        setting = "nothing: the trunk tries again" + (f", after the {wait} s asked for" if wait else "")
    elif status < 300 and ended:
        sentence = f"{domain} registers {user} and ends the connection at once: nothing can come over it."
        setting = "at the carrier, or a firewall in between: why it ends connections"
    elif status < 300:
        sentence = f"{domain} registers {user} for no time at all."
        setting = "at the carrier: the time that it grants"
    else:
        sentence, setting = f"{domain} refuses to register {user} ({status}).", patient.key("username")
    return Finding(NAME, Severity.RED, "account", sentence, "200", problem, setting)
