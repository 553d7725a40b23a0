"""
Bad peers: each is refused with what was wanted and seen, and has heard nothing of SIP, at the first attempt,
after reconnecting, and at a second target.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.net.certificates import authority, dns, intermediate, leaf
from tests.net.network import Listeners
from tests.net.zone import Zone
from tests.service.bad_peers import BAD, DOMAIN, RESPONDER, Bad, tlsServer
from tests.service.carriernet import ADDRESS, CarrierCase

SECOND = ("192.0.2.2", 5061)


class _Answer(Resource):
    """An OCSP responder with one answer."""

    isLeaf = True

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def render_POST(self, request: Any) -> bytes:
        """Whatever is asked."""
        return self._answer


class BadPeerCase(CarrierCase):
    """A trunk with two targets, at both of which the same peer listens."""

    targets = (ADDRESS, SECOND)

    def meet(self, bad: Bad) -> None:
        """Start such a trunk, with such peers."""
        self.bad = bad
        self.profile = "wildcards = true" if bad.wildcards else ""
        self.tls = dict(bad.tls)
        if bad.lists:
            path = self.tls["crlFile"] = Path(self.mktemp())
            path.write_bytes(bad.lists)
        CarrierCase.setUp(self)
        self.listeners = Listeners()
        for place in self.targets:
            self.network.listen(*place, bad.server(self.listeners, self.reactor))
        if bad.answer is not None:
            self.network.listen(*RESPONDER, Site(_Answer(bad.answer), reactor=self.reactor))
        self.start()

    def setUp(self) -> None:
        """Nobody is there yet."""

    def roots(self) -> bytes:
        """Of this peer."""
        return self.bad.roots or authority().pem

    def attempts(self, place: tuple[str, int]) -> int:
        """Connections that were tried."""
        return self.network.attempts.count(place)


def _refused(name: str) -> Any:
    bad = BAD[name]

    def test(self: BadPeerCase) -> None:
        self.meet(bad)
        for _ in range(60):
            if all(self.attempts(place) >= 2 for place in self.targets):
                break
            self.network.advance(10)
        else:
            self.fail(f"tried {self.network.attempts} only")
        self.network.advance(4)
        # Octets above TLS that a peer could read; whoever speaks no TLS got handshakes and alerts.
        heard = b"".join(self.listeners.heard)
        for word in (b"SIP/2.0", b"REGISTER", DOMAIN.encode() + b";"):
            self.assertNotIn(word, heard)
        if not bad.seen.startswith(("TLS handshake", "closed", "no TLS")):
            self.assertEqual(heard, b"")
        self.assertEqual(self.carrier.transactions, [])
        self.assertIsNone(self.trunk.flows.current())
        status: Any = self.trunk.status()
        self.assertFalse(status["up"])
        problem = str(status["problem"])
        self.assertIn(bad.seen, problem)
        self.assertIn(bad.wanted, problem)
        self.assertTrue(problem.isprintable(), problem)
        self.assertEqual(self.flushLoggedErrors(), [])

    test.__doc__ = f"{name}: {bad.seen}."
    return test


class BadPeerTests(BadPeerCase):
    """One test for each of L{BAD}."""

    for _name in BAD:
        locals()[f"test_{_name}"] = _refused(_name)
    del _name

    def test_enough(self) -> None:
        """They are many; a good one, met in the same way, gets the REGISTER: the others prove something."""
        self.assertGreaterEqual(len(BAD), 40)
        self.meet(Bad(tlsServer(leaf(dns(DOMAIN), intermediate())), ""))
        self.assertIn(b"REGISTER sip:carrier.example SIP/2.0\r\n", b"".join(self.listeners.heard))


class DNSTests(CarrierCase):
    """
    Whoever answers for DNS leads the trunk to a server of theirs, whose certificate is right for every name
    but the trunk's domain.
    """

    targets = ()

    LIES: Mapping[str, Zone] = {
        "another server": {"_sips._tcp.carrier.example": [("SRV", 0, 0, 5061, "evil.example")]},
        "another name": {"_sips._tcp.carrier.example": [("CNAME", "_sips._tcp.evil.example")]},
        "an alias": {"carrier.example": [("CNAME", "evil.example")]},
        "an address": {"carrier.example": [("A", ADDRESS[0])]},
        "another domain": {
            "carrier.example": [("NAPTR", 1, 1, "s", "SIPS+D2T", "", "_sips._tcp.evil.example")]
        },
        "a host with the address as its name": {
            "_sips._tcp.carrier.example": [("SRV", 0, 0, 5061, ADDRESS[0])]
        },
    }
    """By what it leads to."""

    def setUp(self) -> None:
        """Nobody is there yet."""

    def test_lies(self) -> None:
        """Each leads to that server, which hears nothing, also when it is tried again."""
        for name, zone in self.LIES.items():
            self.zone = {
                "evil.example": [("A", ADDRESS[0])],
                "_sips._tcp.evil.example": [("SRV", 0, 0, 5061, "evil.example")],
                ADDRESS[0]: [("A", ADDRESS[0])],
                **zone,
            }
            super().setUp()
            listeners = Listeners()
            names = [*dns("evil.example", "_sips._tcp.evil.example"), x509.IPAddress(ip_address(ADDRESS[0]))]
            server = tlsServer(leaf(names))
            self.network.listen(*ADDRESS, server(listeners, self.reactor))
            self.start()
            for _ in range(10):
                self.network.advance(30)
            self.assertGreater(self.network.attempts.count(ADDRESS), 1, name)
            self.assertEqual(b"".join(listeners.heard), b"", name)
            wanted = "wanted a certificate for URI sip:carrier.example or DNS carrier.example"
            self.assertIn(f"{wanted}, seen DNS evil.example", str(self.trunk.status()["problem"]))
