"""
Evidence of one TLS handshake: the datasheet's 15 steps, when each flight went, and what was proved.

OpenSSL tells the state it is in (C{SSL_CTX_set_info_callback(3)}); nothing else is known, so
nothing else is claimed.  Steps of one flight share the moment at which the flight was complete.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from OpenSSL import SSL
from twisted.python.failure import Failure

from skypetrunk.net.identity import namesOf

SEEN = "seen"
NOT_SEEN = "not seen"
NOT_IN_VERSION = "not in TLS 1.3"
NOT_IN_CIPHER = "not in this cipher"
NOT_REQUESTED = "not requested"
NOT_SENT = "not sent: we showed no certificate"
OURS_ONLY = "ours only"
THEIRS_ONLY = "theirs only"

#: The steps as the datasheet numbers and names them, with OpenSSL's name of the state that shows each.
STEPS: tuple[tuple[int, str, str | None], ...] = (
    (1, "Client Hello", "SSLv3/TLS write client hello"),
    (2, "Server Hello", "SSLv3/TLS read server hello"),
    (3, "Certificate (server)", "SSLv3/TLS read server certificate"),
    (4, "Certificate Request", "SSLv3/TLS read server certificate request"),
    (5, "Server Key Exchange", "SSLv3/TLS read server key exchange"),
    (6, "Server Hello Done", "SSLv3/TLS read server done"),
    (7, "Certificate (client)", "SSLv3/TLS write client certificate"),
    (8, "Client Key Exchange", "SSLv3/TLS write client key exchange"),
    (9, "Certificate Verify", "SSLv3/TLS write certificate verify"),
    (10, "Change Cipher Spec (client)", "SSLv3/TLS write change cipher spec"),
    (11, "Finished (client)", "SSLv3/TLS write finished"),
    (12, "Change Cipher Spec (server)", "SSLv3/TLS read change cipher spec"),
    (13, "Finished (server)", "SSLv3/TLS read finished"),
    (14, "Encrypted data", None),
    (15, "Close messages", None),
)

#: RFC 8446 has none of these; the change_cipher_spec records that some of its implementations
#: still send say nothing (section 5).
_GONE_IN_13 = frozenset({5, 6, 8, 10, 12})

_CLOSE_NOTIFY = 1 << 8


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """
    What the peer's certificate says.

    @ivar names: of SubjectAltName, as C{"DNS a.example"}.
    @ivar begins: when it began to be valid, where that is known.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    expires: datetime.datetime
    begins: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class HandshakeStep:
    """
    One of the 15 steps.

    @ivar mark: C{"seen"}, or why not.
    @ivar flight: 1 for the first flight of messages; C{None} when not seen or outside the handshake.
    @ivar seconds: since the handshake began, measured; C{None} when not seen.
    """

    number: int
    name: str
    mark: str
    flight: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HandshakeRecord:
    """
    One TLS connection as it stands now.

    @ivar domain: what the peer had to prove.
    @ivar proof: what proved it, or C{None}: it was not proved.
    @ivar certificate: C{None} if none was received and parsed.
    @ivar revocation: what was found out about revocation, or C{None}: nothing was asked.
    """

    domain: str
    version: str | None
    cipher: str | None
    certificate: PeerCertificate | None
    proof: str | None
    steps: tuple[HandshakeStep, ...]
    revocation: str | None = None


class HandshakeRecorder:
    """Listens to one OpenSSL connection."""

    def __init__(self, domain: str, monotonic: Callable[[], float]) -> None:
        """
        @param monotonic: seconds, from a clock that never goes back.
        """
        self.domain = domain
        self._monotonic = monotonic
        self._began: float | None = None
        self._flights: list[tuple[str, list[str], float]] = []
        self._established = False
        self._data: float | None = None
        self._closes: dict[str, float] = {}
        self._version: str | None = None
        self._cipher: str | None = None
        self._certificate: PeerCertificate | None = None
        self._proof: str | None = None
        self._revocation: str | None = None

    def stateChanged(self, connection: SSL.Connection, where: int, code: int) -> None:
        """
        OpenSSL's information callback.  What it raises is ignored by OpenSSL: it
        may record, never decide.
        """
        now = self._monotonic()
        if where & SSL.SSL_CB_ALERT:
            if code == _CLOSE_NOTIFY:
                side = "ours" if where & SSL.SSL_CB_WRITE else "theirs"
                self._closes.setdefault(side, self._since(now))
        elif self._established:
            # Renegotiations and session tickets: the record is of the first handshake.
            return
        elif where & SSL.SSL_CB_HANDSHAKE_START:
            self._began = now
        elif where & SSL.SSL_CB_HANDSHAKE_DONE:
            self._established = True
            self._version = connection.get_protocol_version_name()
            self._cipher = connection.get_cipher_name()
        elif where & SSL.SSL_CB_CONNECT_LOOP == SSL.SSL_CB_CONNECT_LOOP:
            self._stateSeen(connection.get_state_string().decode("ascii"), now)

    def certificateSeen(self, certificate: x509.Certificate) -> None:
        """The peer's own certificate, verified or not."""
        self._certificate = PeerCertificate(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            namesOf(certificate),
            certificate.not_valid_after_utc,
            certificate.not_valid_before_utc,
        )

    def identityProved(self, proof: str, revocation: str | None = None) -> None:
        """The identity policy was content, because of C{proof}, and so was the revocation policy, if any."""
        self._proof = proof
        self._revocation = revocation

    def dataReceived(self) -> None:
        """Application data was received and decrypted."""
        if self._data is None:
            self._data = self._since(self._monotonic())

    def record(self) -> HandshakeRecord:
        """What was seen so far."""
        return HandshakeRecord(
            self.domain,
            self._version,
            self._cipher,
            self._certificate,
            self._proof,
            tuple(self._step(*step) for step in STEPS),
            self._revocation,
        )

    def _since(self, now: float) -> float:
        return now - (now if self._began is None else self._began)

    def _stateSeen(self, state: str, now: float) -> None:
        # A state is told again when the connection leaves it: the first time counts.
        if any(state in states for _, states, _ in self._flights):
            return
        direction = "write" if " write " in state else "read" if " read " in state else None
        if direction is None:
            return
        if self._flights and self._flights[-1][0] == direction:
            _, states, _ = self._flights.pop()
            self._flights.append((direction, [*states, state], self._since(now)))
        else:
            self._flights.append((direction, [state], self._since(now)))

    def _step(self, number: int, name: str, state: str | None) -> HandshakeStep:
        if number == 14:
            return HandshakeStep(number, name, NOT_SEEN if self._data is None else SEEN, None, self._data)
        if number == 15:
            return self._closeStep(number, name)
        if not (self._version == "TLSv1.3" and number in _GONE_IN_13):
            for flight, (_, states, seconds) in enumerate(self._flights, start=1):
                if state in states:
                    return HandshakeStep(number, name, SEEN, flight, seconds)
        if number == 3 and self._certificate is not None:
            # OpenSSL tells of the state once it is past it, which it never is if we refuse the certificate.
            return HandshakeStep(number, name, SEEN)
        return HandshakeStep(number, name, self._whyNot(number))

    def _closeStep(self, number: int, name: str) -> HandshakeStep:
        marks = {
            frozenset[str](): NOT_SEEN,
            frozenset({"ours"}): OURS_ONLY,
            frozenset({"theirs"}): THEIRS_ONLY,
            frozenset({"ours", "theirs"}): SEEN,
        }
        last = max(self._closes.values(), default=None)
        return HandshakeStep(number, name, marks[frozenset(self._closes)], None, last)

    def _whyNot(self, number: int) -> str:
        if not self._established:
            return NOT_SEEN
        if self._version == "TLSv1.3" and number in _GONE_IN_13:
            return NOT_IN_VERSION
        if number == 5:
            return NOT_IN_CIPHER
        requested = any(
            "SSLv3/TLS read server certificate request" in states for _, states, _ in self._flights
        )
        if number in (4, 7, 9) and not requested:
            return NOT_REQUESTED
        return NOT_SENT if number == 9 else NOT_SEEN


def handshakeEnd(reason: Failure) -> str:
    """Why a handshake ended, from what Twisted makes of OpenSSL's error queue."""
    problem = reason.value
    if isinstance(problem, SSL.SysCallError):
        return f"TLS handshake failed: {problem.args[-1]}"
    if isinstance(problem, SSL.Error):
        return f"TLS handshake failed: {connectionEnd(reason)}"
    return f"closed during the TLS handshake: {reason.getErrorMessage()}"


def connectionEnd(reason: Failure) -> str:
    """
    Why a connection ended.  In TLS 1.3 the server refuses a client's certificate only after the handshake
    (RFC 8446 section 4.4.2.4).
    """
    problem = reason.value
    if isinstance(problem, SSL.Error) and not isinstance(problem, SSL.SysCallError):
        queue = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
        return ", ".join(str(each[-1]) for each in queue) or "no reason given"
    return reason.getErrorMessage()
