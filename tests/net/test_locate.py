"""Tests of L{skypetrunk.net.locate}: SRV, A and AAAA in the order of RFC 2782 and RFC 3263."""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IResolver
from twisted.internet.task import Clock
from twisted.names import dns, error
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ITargetLocator, Target
from skypetrunk.net.configured_targets import FixedTargets, NamedRecords
from skypetrunk.net.dns_records import Records
from skypetrunk.net.locate import Locator, ServiceRecord, orderRecords
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.net.zone import Zone, ZoneResolver, silence

VECTORS = Path(__file__).parent.parent / "vectors" / "dns"
DOMAIN = "carrier.example"
SRV = "_sips._tcp.carrier.example"


def zero(highest: int) -> int:
    """A draw that always takes the first record."""
    return 0


def locator(resolver: IResolver, draw: Callable[[int], int] = zero, **options: Any) -> Locator:
    """One with a memory of its own."""
    return Locator(Records(resolver, Clock()), draw, **options)


def vectors() -> dict[str, list[dict[str, Any]]]:
    """The cases."""
    cases: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / "cases.json").read_text("utf-8"))
    return cases


class VectorTests(SynchronousTestCase):
    """C{tests/vectors/dns}."""

    def locate(self, case: dict[str, Any]) -> tuple[list[Target], list[str]]:
        """What we would try for a case, and what we asked."""
        resolver = ZoneResolver(case["zone"])
        uri = parseURI(case["uri"])
        assert isinstance(uri, SIPURI)
        families = [{"A": "ipv4", "AAAA": "ipv6"}[each] for each in case.get("families", ("A", "AAAA"))]
        asked = locator(resolver, transports=case["supported"], families=families)
        located = asked.locateURI(uri)
        located.addErrback(lambda reason: reason.trap(NoTarget) and [])
        targets: Sequence[Target] = self.successResultOf(located)
        return list(targets), resolver.queries

    def test_locate(self) -> None:
        """Every case comes out as expected, with no more questions than the reference asked."""
        cases = vectors()["locate"]
        self.assertTrue(cases)
        for case in cases:
            targets, queries = self.locate(case)
            self.assertTrue(set(queries) <= set(case["expect"]["queries"]), (case["id"], queries))
            for group in case["expect"]["groups"] or ():
                wanted = [
                    Target(address, each["port"], each["host"].lower(), each["transport"])
                    for each in group
                    for address in each["addresses"]
                ]
                seen = [replace(each, name=each.name.lower()) for each in targets[: len(wanted)]]
                self.assertCountEqual(seen, wanted, case["id"])
                del targets[: len(wanted)]
            self.assertEqual(targets, [], case["id"])

    def test_secureOnly(self) -> None:
        """What is left of a case for a trunk that demands TLS."""
        cases = [case for case in vectors()["locate"] if "secure_only_groups" in case]
        self.assertTrue(cases)
        for case in cases:
            self.assertEqual(case["secure_only_groups"], [])
            self.assertEqual(self.locate({**case, "supported": ["TLS"]})[0], [])

    def test_weighted(self) -> None:
        """RFC 2782 selection with given dice."""
        cases = vectors()
        self.assertTrue(cases["weighted"])
        for case in cases["weighted"]:
            records = [ServiceRecord(1, each["weight"], 5061, each["target"]) for each in case["records"]]
            draws = iter(case["draws"])
            ordered = orderRecords(records, lambda highest, draws=draws: next(draws))  # type: ignore[misc]
            self.assertEqual([each.target for each in ordered], case["order"], case["id"])

    def test_distribution(self) -> None:
        """How often each record comes first."""
        cases = vectors()
        dice = random.Random(2782)
        for case in cases["distribution"]:
            records = [ServiceRecord(1, weight, 5061, name) for name, weight in case["weights"].items()]
            runs = 5000
            firsts = [
                orderRecords(records, lambda highest: dice.randint(0, highest))[0].target for _ in range(runs)
            ]
            for name, share in case["first_pick"].items():
                self.assertApproximates(firsts.count(name) / runs, share, case["tolerance"], case["id"])

    def test_noExceptions(self) -> None:
        """Nothing is left out; C{failover} is run by L{tests.service.test_failover}."""
        self.assertEqual(json.loads((VECTORS / "exceptions.json").read_text("utf-8")), {})
        lists = {name for name, cases in vectors().items() if isinstance(cases, list)}
        self.assertEqual(lists, {"locate", "weighted", "distribution", "failover"})


class LocatorTests(SynchronousTestCase):
    """Errors, and what the vectors do not show."""

    def located(self, zone: Zone, domain: str = DOMAIN, port: int | None = None) -> list[Target]:
        """Targets of a domain."""
        located = locator(ZoneResolver(zone), zero).locate(domain, port)
        targets: Sequence[Target] = self.successResultOf(located)
        return list(targets)

    def failed(self, resolver: ZoneResolver, domain: str = DOMAIN) -> str:
        """The text of the failure."""
        return str(self.failureResultOf(locator(resolver, zero).locate(domain), NoTarget).value)

    def test_interface(self) -> None:
        """It is a locator."""
        self.assertTrue(verifyObject(ITargetLocator, locator(ZoneResolver({}), zero)))

    def test_weights(self) -> None:
        """Records of one priority are drawn, priorities are not."""
        zone: Zone = {
            SRV: [
                ("SRV", 20, 0, 5061, "c.carrier.example"),
                ("SRV", 10, 1, 5062, "a.carrier.example"),
                ("SRV", 10, 9, 5063, "b.carrier.example"),
            ],
            "a.carrier.example": [("A", "192.0.2.1")],
            "b.carrier.example": [("A", "192.0.2.2"), ("AAAA", "2001:db8::2")],
            "c.carrier.example": [("A", "192.0.2.3")],
        }
        asked: list[int] = []

        def highest(number: int) -> int:
            asked.append(number)
            return number

        targets = self.successResultOf(locator(ZoneResolver(zone), highest).locate(DOMAIN))
        self.assertEqual(asked, [10, 1, 0])
        self.assertEqual(
            targets,
            [
                Target("192.0.2.2", 5063, "b.carrier.example"),
                Target("2001:db8::2", 5063, "b.carrier.example"),
                Target("192.0.2.1", 5062, "a.carrier.example"),
                Target("192.0.2.3", 5061, "c.carrier.example"),
            ],
        )

    def test_notOffered(self) -> None:
        """RFC 2782: a target of "." is a refusal; A records are not tried instead."""
        resolver = ZoneResolver({SRV: [("SRV", 0, 0, 0, ".")], DOMAIN: [("A", "192.0.2.1")]})
        self.assertIn("not offered", self.failed(resolver))
        self.assertEqual(resolver.queries, [f"NAPTR {DOMAIN}", f"SRV {SRV}"])

    def test_silence(self) -> None:
        """A name server that does not answer: who was asked what; no guess is made instead."""
        resolver = ZoneResolver({DOMAIN: [("A", "192.0.2.1")]})
        resolver.errors[f"SRV {SRV}"] = silence()
        self.assertEqual(self.failed(resolver), f"SRV {SRV}: no answer within 4 s")
        self.assertEqual(resolver.queries, [f"NAPTR {DOMAIN}", f"SRV {SRV}"])

    def test_everythingTried(self) -> None:
        """Without any address the text names each look-up with its result."""
        zone: Zone = {
            SRV: [("SRV", 1, 0, 5061, "a.carrier.example"), ("SRV", 2, 0, 5061, "b.carrier.example")],
            "a.carrier.example": [("AAAA", "2001:db8::1")],
        }
        resolver = ZoneResolver(zone)
        resolver.errors = {
            "A a.carrier.example": error.DNSServerError(dns.Message()),
            "AAAA a.carrier.example": error.DNSQueryRefusedError(dns.Message()),
            "A b.carrier.example": OSError("No domain name servers available"),
        }
        self.assertEqual(
            self.failed(resolver),
            "no address for carrier.example: A a.carrier.example: the name server failed (SERVFAIL); "
            "AAAA a.carrier.example: the name server refused; "
            "A b.carrier.example: OSError: No domain name servers available; "
            "AAAA b.carrier.example: no record",
        )

    def test_oneFamilyFails(self) -> None:
        """An address of the other family is enough."""
        resolver = ZoneResolver({DOMAIN: [("A", "192.0.2.1")]})
        resolver.errors[f"AAAA {DOMAIN}"] = silence()
        targets = self.successResultOf(locator(resolver, zero).locate(DOMAIN))
        self.assertEqual(targets, [Target("192.0.2.1", 5061, DOMAIN)])

    def test_literal(self) -> None:
        """A literal address is its own target; DNS is not asked."""
        self.assertEqual(self.located({}, "2001:db8::1"), [Target("2001:db8::1", 5061, "2001:db8::1")])
        self.assertEqual(self.located({}, "192.0.2.1", 5071), [Target("192.0.2.1", 5071, "192.0.2.1")])

    def test_literalInSRV(self) -> None:
        """A literal where a name belongs (RFC 2782 forbids it, some do it) is taken as it is."""
        zone: Zone = {SRV: [("SRV", 1, 0, 5061, "192.0.2.7")]}
        self.assertEqual(self.located(zone), [Target("192.0.2.7", 5061, "192.0.2.7")])

    def test_aliases(self) -> None:
        """Aliases are followed when the server does not do it, but not in a circle."""
        zone: Zone = {
            DOMAIN: [("CNAME", "one.example")],
            "one.example": [("CNAME", "two.example")],
            "two.example": [("A", "192.0.2.1")],
        }
        targets = self.successResultOf(locator(ZoneResolver(zone, follow=False), zero).locate(DOMAIN))
        self.assertEqual(targets, [Target("192.0.2.1", 5061, DOMAIN)])
        circle = ZoneResolver({DOMAIN: [("CNAME", DOMAIN)]}, follow=False)
        self.assertIn("more than 8 aliases", self.failed(circle))

    def test_naptrUnknown(self) -> None:
        """A name server that cannot do NAPTR does not stand in the way of SRV; told if that fails as well."""
        zone: Zone = {SRV: [("SRV", 1, 0, 5061, "192.0.2.7")]}
        resolver = ZoneResolver(zone)
        resolver.errors[f"NAPTR {DOMAIN}"] = error.DNSServerError(dns.Message())
        targets = self.successResultOf(locator(resolver).locate(DOMAIN))
        self.assertEqual(targets, [Target("192.0.2.7", 5061, "192.0.2.7")])
        resolver.zone = {}
        self.assertIn(f"NAPTR {DOMAIN}: the name server failed (SERVFAIL); A {DOMAIN}", self.failed(resolver))

    def test_naptrOff(self) -> None:
        """Without NAPTR, SRV is asked at once."""
        resolver = ZoneResolver({SRV: [("SRV", 1, 0, 5061, "192.0.2.7")]})
        self.successResultOf(locator(resolver, naptr=False).locate(DOMAIN))
        self.assertEqual(resolver.queries, [f"SRV {SRV}"])

    def test_naptrLeadsNowhere(self) -> None:
        """NAPTR records whose SRV records are silent, or not there, are as good as none."""
        zone: Zone = {
            DOMAIN: [
                ("NAPTR", 1, 1, "s", "SIPS+D2T", "", "_sips._tcp.silent.example"),
                ("NAPTR", 2, 1, "s", "SIPS+D2T", "", "_sips._tcp.none.example"),
            ],
            SRV: [("SRV", 1, 0, 5061, "192.0.2.7")],
        }
        resolver = ZoneResolver(zone)
        resolver.errors["SRV _sips._tcp.silent.example"] = silence()
        targets = self.successResultOf(locator(resolver).locate(DOMAIN))
        self.assertEqual(targets, [Target("192.0.2.7", 5061, "192.0.2.7")])

    def test_families(self) -> None:
        """The better family comes first, for each host."""
        zone: Zone = {DOMAIN: [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")]}
        located = locator(ZoneResolver(zone), families=("ipv6", "ipv4")).locate(DOMAIN)
        hosts = [each.host for each in self.successResultOf(located)]
        self.assertEqual(hosts, ["2001:db8::1", "192.0.2.1"])

    def test_manyTargets(self) -> None:
        """A domain with very many servers is cut."""
        zone = {SRV: [("SRV", 1, 0, port, "192.0.2.7") for port in range(5000, 5100)]}
        self.assertEqual(len(self.located(zone)), 32)

    def test_manyPointers(self) -> None:
        """
        Nobody needs more than a few NAPTR records: those that lead to silent name servers were waited for,
        one after the other, for half an hour.
        """
        zone: Zone = {
            DOMAIN: [
                ("NAPTR", 1, 0, "u", "E2U+sip", "", ""),
                *(("NAPTR", 2, each, "s", "SIPS+D2T", "", f"s{each}.example") for each in range(500)),
            ]
        }
        resolver = ZoneResolver(zone)
        resolver.errors = {f"SRV s{each}.example": silence() for each in range(500)}
        self.failed(resolver)
        followed = [each for each in resolver.queries if each.startswith("SRV s")]
        self.assertEqual(followed, [f"SRV s{each}.example" for each in range(8)])

    def test_noDomain(self) -> None:
        """A domain that cannot stand in DNS."""
        self.assertIn("is no domain name", self.failed(ZoneResolver({}), "a" * 64 + ".example"))

    def test_cancel(self) -> None:
        """A cancelled look-up ends as such."""
        resolver = ZoneResolver({})
        never: Deferred[Any] = Deferred()
        self.patch(resolver, "lookupService", lambda name, timeout: never)
        located = locator(resolver, zero).locate(DOMAIN)
        located.cancel()
        self.failureResultOf(located, CancelledError)

    def test_cancelAddresses(self) -> None:
        """The same while the addresses of several servers are looked up; nothing of it is logged."""
        resolver = ZoneResolver({SRV: [("SRV", 1, 0, 5061, f"{each}.example") for each in "ab"]})
        self.patch(resolver, "lookupAddress", lambda name, timeout: Deferred())
        self.patch(resolver, "lookupIPV6Address", lambda name, timeout: Deferred())
        located = locator(resolver).locate(DOMAIN)
        self.assertNoResult(located)
        located.cancel()
        self.failureResultOf(located, CancelledError)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])


class NamedTests(SynchronousTestCase):
    """Records under another name."""

    zone: Zone = {
        "other.example": [("NAPTR", 1, 1, "s", "SIPS+D2T", "", "_sips._tcp.pool.example")],
        "_sips._tcp.pool.example": [("SRV", 1, 0, 5071, "192.0.2.7")],
        "_sips._tcp.odd.example": [("SRV", 1, 0, 5072, "192.0.2.8")],
        SRV: [("SRV", 1, 0, 5061, "192.0.2.9")],
        "gw.carrier.example": [("A", "192.0.2.10")],
    }

    def ask(self, domain: str = DOMAIN, port: int | None = None, **names: str) -> list[tuple[str, int]]:
        """Targets of a domain, as host and port."""
        located = NamedRecords(DOMAIN, locator(ZoneResolver(self.zone)), **names).locate(domain, port)
        return [(each.host, each.port) for each in self.successResultOf(located)]

    def test_name(self) -> None:
        """The records of another domain hold for the trunk's, for no other, and not with a port."""
        self.assertTrue(verifyObject(ITargetLocator, NamedRecords(DOMAIN, locator(ZoneResolver({})))))
        self.assertEqual(self.ask("Carrier.Example.", name="other.example"), [("192.0.2.7", 5071)])
        self.assertEqual(self.ask("gw.carrier.example", 5099, name="other.example"), [("192.0.2.10", 5099)])

    def test_srv(self) -> None:
        """The SRV records of one owner, and nothing else is asked, even where there are none."""
        self.assertEqual(self.ask(srv="_sips._tcp.odd.example"), [("192.0.2.8", 5072)])
        resolver = ZoneResolver(self.zone)
        located = NamedRecords(DOMAIN, locator(resolver), srv="_sips._tcp.none.example").locate(DOMAIN)
        problem = self.failureResultOf(located, NoTarget).value
        self.assertEqual(str(problem), "SRV _sips._tcp.none.example: no record")
        self.assertEqual(resolver.queries, ["SRV _sips._tcp.none.example"])


class FixedTests(SynchronousTestCase):
    """Targets from the configuration."""

    def test_fixed(self) -> None:
        """
        They stand for the trunk's domain, in the order given; a name among them is looked up, without
        SRV as it has a port, and one that has no address is passed over.  Other domains go to DNS.
        """
        resolver = ZoneResolver({"gw.carrier.example": [("A", "192.0.2.8")]})
        names = [("no.example", 5061), ("gw.carrier.example", 5062)]
        targets = [("192.0.2.10", 5071), *names, ("2001:db8::1", 5061)]
        fixed = FixedTargets(DOMAIN, targets, locator(resolver))
        self.assertTrue(verifyObject(ITargetLocator, fixed))
        self.assertEqual(
            self.successResultOf(fixed.locate("Carrier.Example.")),
            [
                Target("192.0.2.10", 5071, "192.0.2.10"),
                Target("192.0.2.8", 5062, "gw.carrier.example"),
                Target("2001:db8::1", 5061, "2001:db8::1"),
            ],
        )
        self.assertEqual([query for query in resolver.queries if query.startswith("SRV")], [])
        self.assertEqual(
            self.successResultOf(fixed.locate("gw.carrier.example", 5063)),
            [Target("192.0.2.8", 5063, "gw.carrier.example")],
        )

    def test_none(self) -> None:
        """None of them has an address: each is named, and no others are tried in their place."""
        resolver = ZoneResolver({f"_sips._tcp.{DOMAIN}": [("SRV", 0, 0, 5061, "gw.carrier.example")]})
        fixed = FixedTargets(DOMAIN, [("a.example", 1), ("b.example", 2)], locator(resolver))
        problem = self.failureResultOf(fixed.locate(DOMAIN), NoTarget).value
        self.assertIn("a.example", str(problem))
        self.assertIn("b.example", str(problem))
