"""Tests of L{skypetrunk.net.handshake}: what OpenSSL really shows of each handshake, and no more."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.python.failure import Failure

from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.net.handshake import (
    NOT_IN_CIPHER,
    NOT_IN_VERSION,
    NOT_REQUESTED,
    NOT_SEEN,
    NOT_SENT,
    OURS_ONLY,
    SEEN,
    STEPS,
    THEIRS_ONLY,
    HandshakeRecord,
    handshakeEnd,
)
from skypetrunk.net.identity import IdentityPolicy, keyPin
from skypetrunk.net.tls import TLSClientEndpoint
from tests.net.certificates import authority, dns, leaf, uris
from tests.net.test_tls import DOMAIN, TLSTestCase


class HandshakeTests(TLSTestCase):
    """A recorder on real handshakes, with a clock that the test moves."""

    ciphers: str | None = None

    def handshake(self, *, tls13: bool = False, request: bool = False, own: bool = False) -> HandshakeRecord:
        """Connect; each direction takes a second."""
        self.serve(
            leaf(dns(DOMAIN), keyName="rsa"),
            maximum=None if tls13 else ssl.TLSVersion.TLSv1_2,
            ciphers=self.ciphers,
            clientRoots=authority().pem if request else None,
        )
        ours = leaf(dns("trunk.example"))
        certificate = loadOwnCertificate(ours.pem, ours.keyPEM) if own else None
        self.client = self.endpoint(self.tls(certificate=certificate, staticRSA=True))
        connecting = self.client.connect(self.speakers)
        for _ in range(6):
            self.clock.advance(1)
            self.network.pumps[-1].pump()
        self.network.flush()
        self.successResultOf(connecting)
        return self.record()

    def record(self, endpoint: TLSClientEndpoint | None = None) -> HandshakeRecord:
        """The record as it stands."""
        record = (endpoint or self.client).handshake()
        assert record is not None
        return record

    def marks(self, record: HandshakeRecord) -> dict[int, str]:
        """Marks by number, for steps that were not seen."""
        self.assertEqual([step.number for step in record.steps], list(range(1, 16)))
        return {step.number: step.mark for step in record.steps if step.mark != SEEN}

    def flights(self, record: HandshakeRecord) -> dict[int, tuple[float | None, list[int]]]:
        """Steps and the moment of each flight."""
        flights: dict[int, tuple[float | None, list[int]]] = {}
        for step in record.steps:
            if step.flight is not None:
                flights.setdefault(step.flight, (step.seconds, []))[1].append(step.number)
                self.assertEqual(flights[step.flight][0], step.seconds)
        return flights

    def test_everyStep(self) -> None:
        """TLS 1.2, ECDHE, a certificate asked for and given: all 15 steps, 13 of them in four flights."""
        record = self.handshake(request=True, own=True)
        self.assertEqual(self.marks(record), {14: NOT_SEEN, 15: NOT_SEEN})
        self.assertEqual(
            self.flights(record),
            {1: (0, [1]), 2: (2, [2, 3, 4, 5, 6]), 3: (2, [7, 8, 9, 10, 11]), 4: (4, [12, 13])},
        )
        self.assertEqual((record.version, record.cipher), ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"))
        self.listeners.protocols[0].transport.write(b"SIP/2.0 200 OK\r\n")  # type: ignore[union-attr]
        self.clock.advance(1)
        self.network.flush()
        self.assertEqual(self.marks(self.record()), {15: NOT_SEEN})
        self.speakers.built[0].transport.loseConnection()  # type: ignore[union-attr]
        self.assertEqual(self.marks(self.record()), {15: OURS_ONLY})
        self.network.flush()
        self.assertEqual(self.marks(self.record()), {})

    def test_staticRSA(self) -> None:
        """TLS 1.2 with key exchange by RSA alone has no Server Key Exchange."""
        for self.ciphers in ("AES128-SHA", "AES128-GCM-SHA256"):
            record = self.handshake(request=True, own=True)
            self.assertEqual(record.cipher, self.ciphers)
            self.assertEqual(self.marks(record), {5: NOT_IN_CIPHER, 14: NOT_SEEN, 15: NOT_SEEN})

    def test_noCertificateOfOurs(self) -> None:
        """Asked for a certificate and without one: the empty message goes, Certificate Verify does not."""
        record = self.handshake(request=True)
        self.assertEqual(self.marks(record), {9: NOT_SENT, 14: NOT_SEEN, 15: NOT_SEEN})

    def test_notRequested(self) -> None:
        """Without a request there is no client certificate."""
        record = self.handshake()
        self.assertEqual(
            self.marks(record),
            {4: NOT_REQUESTED, 7: NOT_REQUESTED, 9: NOT_REQUESTED, 14: NOT_SEEN, 15: NOT_SEEN},
        )

    def test_tls13(self) -> None:
        """TLS 1.3 has fewer messages, in three flights."""
        record = self.handshake(tls13=True, request=True, own=True)
        gone = {number: NOT_IN_VERSION for number in (5, 6, 8, 10, 12)}
        self.assertEqual(self.marks(record), {**gone, 14: NOT_SEEN, 15: NOT_SEEN})
        self.assertEqual(self.flights(record), {1: (0, [1]), 2: (2, [2, 3, 4, 13]), 3: (2, [7, 9, 11])})
        self.assertEqual(record.version, "TLSv1.3")

    def test_tls13NotRequested(self) -> None:
        """TLS 1.3 without a request."""
        record = self.handshake(tls13=True)
        marks = self.marks(record)
        self.assertEqual([marks[number] for number in (4, 7, 9)], [NOT_REQUESTED] * 3)

    def test_theirClose(self) -> None:
        """The server closes, and we answer with our own close_notify."""
        self.handshake()
        self.listeners.protocols[0].transport.loseConnection()  # type: ignore[union-attr]
        self.network.flush()
        self.assertNotIn(15, self.marks(self.record()))

    def test_theirsOnly(self) -> None:
        """A close_notify of the server alone is shown as such."""
        self.handshake()
        self.client._recorder.stateChanged(None, SSL.SSL_CB_READ_ALERT, 256)  # type: ignore[union-attr, arg-type]
        self.assertEqual(self.marks(self.record())[15], THEIRS_ONLY)

    def test_certificate(self) -> None:
        """What the peer's certificate says, what proved the domain, and whose key was pinned."""
        issued = leaf([*uris("sip:carrier.example"), *dns("other.example")], subject="Carrier")
        self.serve(issued)
        endpoint = self.endpoint(self.tls(IdentityPolicy([keyPin(authority().certificate)])))
        self.assertIsNone(endpoint.handshake())
        endpoint.connect(self.speakers)
        self.network.flush()
        record = self.record(endpoint)
        assert record.certificate is not None
        self.assertEqual(record.certificate.subject, "CN=Carrier")
        self.assertEqual(record.certificate.issuer, "CN=Test Root")
        self.assertEqual(record.certificate.names, ("URI sip:carrier.example", "DNS other.example"))
        self.assertEqual(record.certificate.expires, issued.certificate.not_valid_after_utc)
        self.assertEqual(record.proof, "URI sip:carrier.example; pinned key of CN=Test Root")
        self.assertEqual(record.domain, DOMAIN)

    def test_denied(self) -> None:
        """A refused peer leaves what was seen, and no proof."""
        self.serve(leaf(dns("other.example")), maximum=ssl.TLSVersion.TLSv1_2)
        endpoint = self.endpoint()
        endpoint.connect(self.speakers).addErrback(lambda reason: None)
        self.network.flush()
        record = self.record(endpoint)
        self.assertIsNone(record.proof)
        assert record.certificate is not None
        self.assertEqual(record.certificate.names, ("DNS other.example",))
        self.assertEqual(record.steps[12].mark, SEEN)

    def test_wrongAuthority(self) -> None:
        """OpenSSL ended it at the certificate: later steps were not seen, and nothing is claimed of them."""
        self.serve(leaf(dns(DOMAIN), authority("Other Root")), maximum=ssl.TLSVersion.TLSv1_2)
        endpoint = self.endpoint()
        endpoint.connect(self.speakers).addErrback(lambda reason: None)
        self.network.flush()
        record = self.record(endpoint)
        self.assertEqual([step.number for step in record.steps if step.mark == SEEN], [1, 2, 3])
        self.assertEqual({step.mark for step in record.steps[3:]}, {NOT_SEEN})
        self.assertIsNone(record.version)

    def test_renegotiation(self) -> None:
        """The record is of the first handshake."""
        record = self.handshake()
        server = self.network.pumps[0].server
        server.getHandle().renegotiate()
        server.getHandle().do_handshake()
        server._flushSendBIO()
        self.clock.advance(5)
        self.network.flush()
        self.assertEqual(server.getHandle().total_renegotiations(), 1)
        self.assertEqual(self.record().steps[:13], record.steps[:13])

    def test_names(self) -> None:
        """The steps are the datasheet's, numbered as there."""
        self.assertEqual([number for number, _, _ in STEPS], list(range(1, 16)))
        self.assertEqual(STEPS[0][1], "Client Hello")
        self.assertEqual(STEPS[14][1], "Close messages")

    def test_end(self) -> None:
        """OpenSSL's error queue in words."""
        failure = Failure(SSL.Error([("SSL routines", "", "wrong version number"), ("", "", "second")]))
        self.assertEqual(handshakeEnd(failure), "TLS handshake failed: wrong version number, second")
        self.assertEqual(handshakeEnd(Failure(SSL.Error())), "TLS handshake failed: no reason given")
        self.assertEqual(
            handshakeEnd(Failure(SSL.SysCallError(-1, "Unexpected EOF"))),
            "TLS handshake failed: Unexpected EOF",
        )
