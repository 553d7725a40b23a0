"""Tests of L{skypetrunk.net.revocation}: who is asked, and what is made of the answers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import cast

from cryptography import x509
from cryptography.x509 import ocsp
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed, PeerNotVerified
from skypetrunk.interfaces import IRevocationPolicy
from skypetrunk.net.crl import loadCRLs
from skypetrunk.net.revocation import KEPT, SILENT, AnswerCache, RevocationPolicy
from tests.net.certificates import Issued, authority, dns, intermediate, leaf
from tests.net.revoking import HOUR, NOW, URL, Responders, access, answer, crl

SECOND = datetime.timedelta(seconds=1)
PEER = leaf(dns("carrier.example"), extensions=[access(URL)])
SILENT_PEER = leaf(dns("carrier.example"))
BELOW = leaf(dns("carrier.example"), intermediate(), extensions=[access(URL)])
STAPLING = leaf((), extensions=[x509.TLSFeature([x509.TLSFeatureType.status_request])])


def chainOf(issued: Issued) -> list[bytes]:
    """The verified chain, root last."""
    return [
        issued.der,
        *(Issued(each, issued.key).der for each in issued.chain),
        authority().der,
    ]


class PolicyCase(SynchronousTestCase):
    """A policy whose responders are the test's."""

    def setUp(self) -> None:
        """Nobody answers yet."""
        self.now = NOW
        self.responders = Responders()
        self.cache = AnswerCache()
        events: list[LogEvent] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace", "").startswith("skypetrunk.net.revocation"):
                events.append(event)

        self.events, observer = events, cast(ILogObserver, keep)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def policy(self, mode: str, *lists: bytes) -> RevocationPolicy:
        """With these CRLs."""
        crls = loadCRLs(b"\n".join(lists)) if lists else ()
        return RevocationPolicy(
            mode, crls, self.responders.fetch, self.cache, lambda: self.now, lambda size: b"n" * size
        )

    def passes(
        self, mode: str, issued: Issued = PEER, stapled: bytes = b"", lists: Sequence[bytes] = ()
    ) -> str:
        """The evidence."""
        return self.successResultOf(self.policy(mode, *lists).check(chainOf(issued), stapled))

    def denies(
        self, mode: str, issued: Issued = PEER, stapled: bytes = b"", lists: Sequence[bytes] = ()
    ) -> PeerNotVerified:
        """Why it is refused."""
        checking = self.policy(mode, *lists).check(chainOf(issued), stapled)
        problem: PeerNotVerified = self.failureResultOf(checking, PeerNotVerified).value
        return problem


class SourceTests(PolicyCase):
    """Each source alone, in both modes."""

    def test_interface(self) -> None:
        """It is one; off is no mode of it."""
        self.assertTrue(verifyObject(IRevocationPolicy, self.policy("soft")))
        self.assertRaises(ValueError, self.policy, "off")

    def test_good(self) -> None:
        """The stapled answer, the responder's, or a CRL is enough; what is at hand is not asked for."""
        for mode in ("soft", "hard"):
            found = self.passes(mode, stapled=answer(PEER))
            self.assertRegex(found, "^good, says the stapled OCSP answer, until 2")
            self.assertRegex(self.passes(mode, lists=[crl()]), "^good, says the CRL of CN=Test Root, until 2")
            self.assertEqual(self.responders.asked, [])
            self.responders.answers[URL] = answer(PEER, nonce=b"n" * 32)
            self.assertRegex(self.passes(mode), f"^good, says the OCSP responder {URL}, until 2")
            self.setUp()
        self.assertEqual(self.events, [])

    def test_question(self) -> None:
        """The responder is asked about the peer's certificate."""
        self.passes("soft")
        ((url, request),) = self.responders.asked
        asked = ocsp.load_der_ocsp_request(request)
        self.assertEqual((url, asked.serial_number), (URL, PEER.certificate.serial_number))

    def test_revoked(self) -> None:
        """Whoever says so denies, in both modes, whatever the others say."""
        good, bad = answer(PEER), answer(PEER, "revoked")
        for mode in ("soft", "hard"):
            self.responders.answers[URL] = good
            for stapled, lists in ((bad, []), (good, [crl(PEER)]), (bad, [crl()]), (b"", [crl(PEER)])):
                problem = self.denies(mode, stapled=stapled, lists=lists)
                self.assertEqual(problem.wanted, "CN=Test Leaf, not revoked")
                self.assertIn("revoked on ", problem.seen)
                self.assertIn("(keyCompromise)", problem.seen)
            self.assertEqual(self.responders.asked, [])
            self.responders.answers[URL] = bad
            self.assertIn(f"says the OCSP responder {URL}", self.denies(mode).seen)
            self.setUp()

    def test_nobody(self) -> None:
        """No responder named: soft passes and says so, hard denies, unless there is a CRL."""
        why = "it names no OCSP responder"
        self.assertEqual(self.passes("soft", SILENT_PEER), f"revocation not known (soft): {why}")
        self.assertEqual(self.events, [])
        problem = self.denies("hard", SILENT_PEER)
        self.assertEqual((problem.wanted, problem.seen), ("proof that CN=Test Leaf is not revoked", why))
        self.assertIn("good, says the CRL", self.passes("hard", SILENT_PEER, lists=[crl()]))
        self.assertIn("ended on", self.denies("hard", SILENT_PEER, lists=[crl(age=48 * HOUR)]).seen)

    def test_useless(self) -> None:
        """What cannot be believed is no answer: soft warns and passes, hard denies; both say why."""
        for useless, words in (
            (ChannelFailed("nothing within 2 s"), "nothing within 2 s"),
            (RuntimeError("bang"), "bang"),
            (b"<html>", "error parsing asn1 value"),
            (answer(PEER, signer=authority("Stranger")), "whom the issuer does not know"),
            (answer(PEER, age=48 * HOUR), "it ended on"),
            (answer(SILENT_PEER), "it is about another certificate"),
            (answer(PEER, nonce=b"o" * 32), "its nonce is not ours"),
            (answer(PEER, "unknown"), "unknown, says the OCSP responder"),
        ):
            self.setUp()
            self.responders.answers[URL] = useless
            self.assertIn(words, self.passes("soft"))
            (event,) = self.events
            self.assertIn("let pass, as revocation is soft", eventAsText(event))
            self.assertIn(words, self.denies("hard").seen)

    def test_stapledUseless(self) -> None:
        """A stapled answer that is worth nothing: the responder is asked instead."""
        self.assertIn("counts for nothing: error parsing", self.passes("soft", stapled=b"<html>"))
        self.now += SILENT
        old = answer(PEER, age=48 * HOUR)
        words = "the stapled OCSP answer counts for nothing: it ended on"
        self.assertIn(words, self.denies("hard", stapled=old).seen)
        self.now += SILENT
        self.responders.answers[URL] = answer(PEER)
        self.assertIn(f"good, says the OCSP responder {URL}", self.passes("hard", stapled=old))

    def test_mustStaple(self) -> None:
        """RFC 7633: an answer that was promised must come with the handshake, in both modes."""
        for mode in ("soft", "hard"):
            problem = self.denies(mode, STAPLING, lists=[crl()])
            self.assertIn("an OCSP answer stapled", problem.wanted)
            self.assertEqual(problem.seen, "none")
            self.assertIn("good", self.passes(mode, STAPLING, answer(STAPLING)))

    def test_client(self) -> None:
        """From a client no stapled answer can come, so none is missed; a CRL counts as for servers."""
        checking = self.policy("hard", crl()).check(chainOf(STAPLING), None)
        self.assertIn("good, says the CRL", self.successResultOf(checking))

    def test_chain(self) -> None:
        """Every certificate below the root counts, each under its own issuer."""
        stapled = answer(BELOW, issuer=intermediate())
        found = self.passes("hard", BELOW, stapled, [crl()])
        below = "CN=Test Intermediate: good, says the CRL of CN=Test Root"
        self.assertRegex(found, f"^good, says the stapled.*; {below}")
        self.assertIn("CN=Test Intermediate", self.denies("hard", BELOW, stapled).wanted)
        for mode in ("soft", "hard"):
            problem = self.denies(mode, BELOW, stapled, [crl(intermediate())])
            self.assertEqual(problem.wanted, "CN=Test Intermediate, not revoked")
        self.assertIn("not known (soft)", self.passes("soft", BELOW, stapled))

    def test_together(self) -> None:
        """The responders of a chain are asked at the same time; the first that says "revoked" decides."""
        urls = "http://one.example/", "http://two.example/"
        middle = intermediate("Asking", extensions=[access(urls[1])])
        peer = leaf((), middle, extensions=[access(urls[0])])
        hanging: Deferred[bytes] = Deferred()
        self.responders.answers = {urls[0]: hanging, urls[1]: answer(middle)}
        checking = self.policy("soft").check(chainOf(peer), b"")
        self.assertEqual([url for url, _ in self.responders.asked], list(urls))
        self.assertNoResult(checking)
        hanging.callback(answer(peer, issuer=middle))
        self.assertIn("; CN=Asking: good, says the OCSP", self.successResultOf(checking))
        self.setUp()
        self.responders.answers = {urls[0]: Deferred(), urls[1]: answer(middle, "revoked")}
        self.assertEqual(self.denies("soft", peer).wanted, "CN=Asking, not revoked")

    def test_rootItself(self) -> None:
        """A peer that is a root of ours has nobody to revoke it; a chain that is none denies."""
        checking = self.policy("hard").check([authority().der], b"")
        self.assertIn("nobody to ask", self.successResultOf(checking))
        for chain in ([], [b"nothing"]):
            self.failureResultOf(self.policy("soft").check(chain, b""))

    def test_second(self) -> None:
        """Two responders at most, one after the other."""
        urls = [f"http://ocsp.example/{number}" for number in range(3)]
        several = leaf((), extensions=[access(*urls)])
        self.responders.answers[urls[1]] = answer(several)
        self.assertIn(urls[1], self.passes("hard", several))
        del self.responders.answers[urls[1]]
        self.now += KEPT
        self.assertIn(urls[1], self.denies("hard", several).seen)
        self.assertEqual([url for url, _ in self.responders.asked], urls[:2] * 2)

    def test_cancel(self) -> None:
        """Nobody waits any more: nor does the policy, and nothing is kept of it."""
        hanging: Deferred[bytes] = Deferred()
        self.responders.answers[URL] = hanging
        checking = self.policy("soft").check(chainOf(PEER), b"")
        self.assertNoResult(checking)
        checking.cancel()
        self.failureResultOf(checking, CancelledError)
        self.assertTrue(hanging.called)
        self.responders.answers[URL] = answer(PEER)
        self.assertIn("good", self.passes("soft"))


class CacheTests(PolicyCase):
    """Answers of responders are used again."""

    def asked(self, mode: str = "soft") -> int:
        """How often the responder is asked by one more check."""
        before = len(self.responders.asked)
        self.policy(mode).check(chainOf(PEER), b"").addErrback(lambda failure: None)
        return len(self.responders.asked) - before

    def test_kept(self) -> None:
        """As long as they hold, and not for more than half a day."""
        for lasts, kept in ((5 * HOUR, 4 * HOUR), (100 * HOUR, KEPT)):
            self.setUp()
            self.responders.answers[URL] = answer(PEER, lasts=lasts)
            self.assertEqual(self.asked(), 1)
            self.now += kept - SECOND
            self.assertEqual(self.asked(), 0)
            self.now += SECOND
            self.assertEqual(self.asked(), 1)

    def test_silence(self) -> None:
        """A responder without an answer is left alone for some minutes; hard denies meanwhile."""
        self.assertEqual(self.asked("hard"), 1)
        self.responders.answers[URL] = answer(PEER)
        self.now += SILENT - SECOND
        self.denies("hard")
        self.now += SECOND
        self.assertIn("good", self.passes("hard"))
        self.assertEqual(len(self.responders.asked), 2)

    def test_revoked(self) -> None:
        """Also that a certificate is revoked."""
        self.responders.answers[URL] = answer(PEER, "revoked")
        self.denies("soft")
        self.responders.answers[URL] = answer(PEER)
        self.now += HOUR
        self.denies("soft")
        self.assertEqual(len(self.responders.asked), 1)

    def test_others(self) -> None:
        """For one certificate of one issuer; and only so many."""
        self.responders.answers[URL] = answer(PEER)
        self.passes("hard")
        self.denies("hard", leaf((), extensions=[access(URL)]))
        for number in range(100):
            self.cache.put((b"issuer", number), "no answer", self.now)
        self.assertEqual(self.asked(), 1)
        self.assertIsNone(self.cache.get((b"issuer", 0), self.now))
        self.assertEqual(self.cache.get((b"issuer", 99), self.now), "no answer")
