"""Tests of L{skypetrunk.net.dns_records}: answers are kept, as long as they may be."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.names import dns, error
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.net.dns_records import Records, Unanswered
from tests.net.zone import ZoneResolver, silence

NAME = "a.carrier.example"
QUERY = f"A {NAME}"


class RecordsTests(SynchronousTestCase):
    """One host with one address."""

    def setUp(self) -> None:
        """Its TTL is a minute."""
        self.clock = Clock()
        self.resolver = ZoneResolver({NAME: [("A", "192.0.2.1")]})
        self.resolver.ttl = 60
        self.records = Records(self.resolver, self.clock)
        self.log = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)  # type: ignore[arg-type]

    def find(self, name: str = NAME) -> list[str]:
        """The addresses now."""
        return [each.dottedQuad() for each in self.successResultOf(self.records.find(dns.A, name))]

    def test_ttl(self) -> None:
        """RFC 1035 section 3.2.1: an answer serves as long as its TTL says, in any spelling."""
        self.assertEqual(self.find(), ["192.0.2.1"])
        self.resolver.zone[NAME] = [("A", "192.0.2.2")]
        self.clock.advance(59)
        self.assertEqual(self.find("A.Carrier.Example."), ["192.0.2.1"])
        self.assertEqual(self.resolver.queries, [QUERY])
        self.clock.advance(1)
        self.assertEqual(self.find(), ["192.0.2.2"])
        self.assertEqual(self.resolver.queries, [QUERY] * 2)

    def test_zero(self) -> None:
        """A TTL of 0 is for this question only."""
        self.resolver.ttl = 0
        self.find()
        self.find()
        self.assertEqual(self.resolver.queries, [QUERY] * 2)

    def test_longest(self) -> None:
        """A TTL of weeks counts for a day."""
        self.resolver.ttl = 4_000_000
        self.find()
        self.clock.advance(86401)
        self.find()
        self.assertEqual(self.resolver.queries, [QUERY] * 2)

    def test_kinds(self) -> None:
        """Types are kept apart."""
        self.find()
        self.assertEqual(self.successResultOf(self.records.find(dns.AAAA, NAME)), ())
        self.assertEqual(self.resolver.queries, [QUERY, f"AAAA {NAME}"])

    def negative(self, soa: dns.RRHeader | None) -> int:
        """How often is asked for what does not exist, at 0, 29, 31 and 400 s."""
        message = dns.Message()
        message.authority = [] if soa is None else [soa]
        self.resolver.errors[QUERY] = error.DNSNameError(message)
        for seconds in (0, 29, 2, 369):
            self.clock.advance(seconds)
            self.assertEqual(self.find(), [])
        return len(self.resolver.queries)

    def test_negative(self) -> None:
        """RFC 2308 section 5: "there is none" is kept as long as the SOA says."""
        soa = dns.Record_SOA(b"ns.example", b"h.example", 1, 1, 1, 1, 30)
        self.assertEqual(self.negative(dns.RRHeader(b"carrier.example", dns.SOA, ttl=900, payload=soa)), 3)

    def test_negativeLongest(self) -> None:
        """But never longer than a few minutes, so that a new record is found."""
        soa = dns.Record_SOA(b"ns.example", b"h.example", 1, 1, 1, 1, 90000)
        self.assertEqual(self.negative(dns.RRHeader(b"carrier.example", dns.SOA, ttl=90000, payload=soa)), 2)

    def test_negativeWithoutSOA(self) -> None:
        """Without an SOA it is not kept (section 5, too)."""
        self.assertEqual(self.negative(None), 4)

    def test_stale(self) -> None:
        """
        RFC 8767: while no server answers, what was known serves; the servers are asked again after 30 s, and
        less patiently.  What they say then counts.
        """
        self.find()
        self.clock.advance(3600)
        for problem in (silence(), error.DNSServerError(dns.Message()), OSError("no network")):
            self.resolver.errors[QUERY] = problem
            self.assertEqual(self.find(), ["192.0.2.1"])
            asked = len(self.resolver.queries)
            self.clock.advance(29)
            self.assertEqual(self.find(), ["192.0.2.1"])
            self.assertEqual(len(self.resolver.queries), asked)
            self.clock.advance(1)
        texts = [str(event["log_format"]).format(**event) for event in self.log]
        self.assertIn(
            f"A {NAME}: no answer within 1 s: an answer of before serves, which ended 3540 s ago", texts
        )
        self.resolver.errors[QUERY] = error.DNSNameError(dns.Message())
        self.assertEqual(self.find(), [])

    def test_tooStale(self) -> None:
        """After three days it is not believed any more."""
        self.find()
        self.clock.advance(60 + 3 * 86400)
        self.resolver.errors[QUERY] = silence()
        problem = self.failureResultOf(self.records.find(dns.A, NAME), Unanswered).value
        self.assertEqual(str(problem), "no answer within 4 s")

    def test_bounded(self) -> None:
        """Many names: the one asked the longest ago makes room."""
        self.find()
        for number in range(1000):
            self.find(f"host{number}.example")
        self.find()
        self.assertEqual(self.resolver.queries.count(QUERY), 2)

    def test_aliasTTL(self) -> None:
        """The shortest TTL on the way counts."""
        self.resolver.zone["alias.example"] = [("CNAME", NAME)]

        def lookup(name: str, timeout: object) -> Deferred[Any]:
            answers = self.successResultOf(ZoneResolver.lookupAddress(self.resolver, name, timeout))
            answers[0][0].ttl = 10
            return succeed(answers)

        self.patch(self.resolver, "lookupAddress", lookup)
        self.assertEqual(self.find("alias.example"), ["192.0.2.1"])
        self.clock.advance(10)
        self.find("alias.example")
        self.assertEqual(self.resolver.queries, [QUERY] * 2)

    def test_cancel(self) -> None:
        """Who loses interest hears so; an old answer is not given instead."""
        self.find()
        self.clock.advance(60)
        self.patch(self.resolver, "lookupAddress", lambda name, timeout: fail(CancelledError()))
        self.failureResultOf(self.records.find(dns.A, NAME), CancelledError)

    def test_together(self) -> None:
        """
        Two who ask the same at the same time are one question, as two certificates of a chain that name one
        OCSP responder; who loses interest first takes nothing from the other.
        """
        questions: list[Deferred[Any]] = []

        def lookup(name: str, timeout: object) -> Deferred[Any]:
            questions.append(Deferred())
            return questions[-1]

        self.patch(self.resolver, "lookupAddress", lookup)
        first, second, third = (self.records.find(dns.A, NAME) for _ in range(3))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        (question,) = questions
        question.callback(([dns.RRHeader(NAME.encode(), payload=dns.Record_A("192.0.2.3"))], [], []))
        for each in (second, third):
            self.assertEqual([one.dottedQuad() for one in self.successResultOf(each)], ["192.0.2.3"])

    def test_nobody(self) -> None:
        """A question that nobody waits for any more ends; the next one is asked anew."""
        questions: list[Deferred[Any]] = []
        ended: list[Deferred[Any]] = []

        def lookup(name: str, timeout: object) -> Deferred[Any]:
            questions.append(Deferred(ended.append))
            return questions[-1]

        self.patch(self.resolver, "lookupAddress", lookup)
        both = [self.records.find(dns.A, NAME) for _ in range(2)]
        for each in both:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual(ended, questions)
        self.records.find(dns.A, NAME)
        self.assertEqual(len(questions), 2)
