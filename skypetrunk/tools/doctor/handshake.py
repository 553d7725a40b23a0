"""
TLS to each target that was reached: the handshake of the trunk itself, with its own certificate, and what
became of it.  Where it fails, a second look (L{skypetrunk.tools.doctor.glance}) says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import Target
from skypetrunk.net.client_tls import ClientTLS
from skypetrunk.net.handshake import SEEN, HandshakeRecord
from skypetrunk.net.revocation import AnswerCache
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.targets_endpoint import Budgets, tlsConnector
from skypetrunk.service.tls_files import clientTLS
from skypetrunk.service.trunk import randomToken
from skypetrunk.tools.doctor.finding import Finding, Severity
from skypetrunk.tools.doctor.glance import glance
from skypetrunk.tools.doctor.nobody import Nobody
from skypetrunk.tools.doctor.patient import Attempt, Patient, shown
from skypetrunk.tools.doctor.reach import endpointOf

NAME = "tls"

_SECONDS = 2.0
"""For the second look."""

_MOMENT = 0.2
"""
Seconds that a new connection is watched.  A server of TLS 1.3 that wants a certificate refuses after
the client thinks that all is well (RFC 8446 section 4.4.2.4).
"""

_SLOW = 1.0
"""Seconds: the handshake is two times there and back, to the other end of the world too."""

_LATE = "no verified TLS connection within"
"""What L{skypetrunk.net.tls} says of a connection that takes too long."""

_OLD = ("SSLv3", "TLSv1", "TLSv1.1")


async def examine(patient: Patient) -> Sequence[Finding]:
    """All at the same time."""
    reached = [each for each in dict.fromkeys(patient.targets) if each in patient.reached]
    if not reached:
        return [patient.skipped(NAME, "handshake", "There is no connection for a handshake.")]
    # The OCSP responder that the certificate names is looked up too.
    assert patient.locator is not None
    tls = clientTLS(patient.trunk, patient.reactor, patient.locator, AnswerCache())
    patient.attempts = await gatherResults(
        [Deferred.fromCoroutine(_attempt(patient, tls, each)) for each in reached]
    )
    return [finding for each in patient.attempts for finding in _judged(patient, each)]


async def _attempt(patient: Patient, tls: ClientTLS, target: Target) -> Attempt:
    reactor = patient.reactor
    found = Attempt(target)
    lost: list[str] = []
    gone: Deferred[None] = Deferred()

    def ended(channel: StreamSignalling, reason: Exception) -> None:
        lost.append(str(reason))
        if not gone.called:
            gone.callback(None)

    factory = StreamSignallingFactory(
        Transactions(reactor, Nobody(), randomToken),
        reactor,
        randomToken,
        transport="TLS",
        secure=True,
        lost=ended,
    )
    profile = patient.trunk.profile
    budgets = Budgets(profile.connectTimeout, profile.handshakeTimeout)
    endpoint = tlsConnector(reactor, tls, budgets)(target)
    try:
        channel = await endpoint.connect(factory)
    except CancelledError:
        raise
    except Exception as problem:
        found.problem = problem
        found.record = endpoint.handshake()
        found.glance = await glance(endpointOf(patient, target), patient.trunk.domain, reactor, _SECONDS)
        found.chain = found.glance.chain
        return found
    assert isinstance(channel, StreamSignalling)
    handle = channel.transport.getHandle()  # type: ignore[union-attr]
    found.chain = [each.to_cryptography() for each in handle.get_peer_cert_chain() or ()]
    await deferLater(reactor, max(_MOMENT, 2 * patient.reached[target]))
    if lost:
        found.lost = lost[0]
    else:
        # Both sides say goodbye, which is step 15.
        channel.close()
        await gone
    found.record = endpoint.handshake()
    return found


def _judged(patient: Patient, attempt: Attempt) -> Iterator[Finding]:
    where, record = shown(attempt.target), attempt.record
    if isinstance(attempt.problem, PeerNotVerified):
        yield patient.skipped(
            NAME, where, "The handshake came as far as the certificate, which was refused: see identity."
        )
    elif attempt.problem is not None:
        # A version is there when the handshake is over.  What was lost then was lost while OCSP was asked.
        over = record is not None and record.version is not None
        if over and _LATE not in str(attempt.problem):
            yield _lost(patient, attempt, where, str(attempt.problem))
        else:
            yield _failed(patient, attempt, where)
    elif attempt.lost is not None:
        yield _lost(patient, attempt, where, attempt.lost)
    else:
        assert record is not None
        yield _good(patient, record, where)


def _good(patient: Patient, record: HandshakeRecord, where: str) -> Finding:
    last = max((step.seconds or 0.0 for step in record.steps if step.number < 14), default=0.0)
    seen = f"{record.version} {record.cipher}"
    sentence = f"The handshake takes {last * 1000:.0f} ms: {seen}"
    if record.version != "TLSv1.3" and not str(record.cipher).startswith(("ECDHE", "DHE")):
        return Finding(
            NAME,
            Severity.AMBER,
            where,
            f"{sentence}, without forward secrecy: who steals the server's key can read what was recorded.",
            "a suite with ECDHE",
            seen,
            f"{patient.profileKey('static_rsa')}, once the carrier takes others",
        )
    if last > _SLOW:
        text = f"{where} takes {last:.1f} s for the handshake: each new connection waits as long."
        setting = f"at the carrier, or the line: what makes {where} slow"
        return Finding(NAME, Severity.AMBER, where, text, f"less than {_SLOW:g} s", f"{last:.1f} s", setting)
    if _asked(record):
        shows = "we show ours" if patient.trunk.tls.certificate else "it takes us without"
        sentence += f"; the server asks for a certificate, and {shows}"
    return Finding(NAME, Severity.GREEN, where, f"{sentence}.", seen=seen)


def _asked(record: HandshakeRecord | None) -> bool:
    """Step 4: did the server ask for a certificate of ours?"""
    return record is not None and any(step.number == 4 and step.mark == SEEN for step in record.steps)


def _failed(patient: Patient, attempt: Attempt, where: str) -> Finding:
    look, problem = attempt.glance, str(attempt.problem)
    wanted = "TLS 1.2 or later, with ECDHE and AES-GCM or ChaCha20"
    if look is not None and look.version in _OLD:
        sentence = f"{where} speaks {look.version} at the best; TLS 1.2 is the least that is taken."
        return Finding(
            NAME, patient.refusal, where, sentence, wanted, look.version, "at the carrier: TLS 1.2 or later"
        )
    if _asked(attempt.record) and (look is None or look.problem is not None):
        return _certificate(patient, where, problem)
    if look is not None and look.version is not None:
        weak = not str(look.cipher).startswith(("ECDHE", "DHE", "TLS_"))
        sentence = f"{where} takes none of our cipher suites; of all there are it would take {look.cipher}."
        setting = (
            patient.profileKey("static_rsa") if weak else "at the carrier: suites with ECDHE and AES-GCM"
        )
        return Finding(
            NAME, patient.refusal, where, sentence, wanted, f"{look.version} {look.cipher}", setting
        )
    if _LATE in problem or (look and "ClientHello" in (look.problem or "")):
        sentence = f"{where} accepts the connection and then says nothing."
        return Finding(
            NAME,
            patient.refusal,
            where,
            sentence,
            "a ServerHello",
            problem,
            f"a proxy or firewall between here and {where}, or at the carrier",
        )
    sentence = f"{where} ends the handshake: perhaps it is no TLS server, or something stands between."
    return Finding(NAME, patient.refusal, where, sentence, wanted, problem, patient.key("targets"))


def _certificate(patient: Patient, where: str, problem: str) -> Finding:
    own = patient.trunk.tls.certificate
    if own is None:
        sentence = f"{where} wants a certificate of ours, and none is configured."
    else:
        sentence = f"{where} does not accept our certificate {own}."
    return Finding(
        NAME,
        patient.refusal,
        where,
        sentence,
        "a client certificate",
        problem,
        patient.key("tls.certificate"),
    )


def _lost(patient: Patient, attempt: Attempt, where: str, why: str) -> Finding:
    if _asked(attempt.record):
        return _certificate(patient, where, why)
    sentence = f"{where} closes the connection right after the handshake."
    return Finding(
        NAME,
        patient.refusal,
        where,
        sentence,
        "a connection that stands",
        why,
        "at the carrier: does it know this account, or this address?",
    )
