"""Registration at a real registrar, over TLS, with digest authentication."""

from __future__ import annotations

import re
from typing import Any

from tests.interop.rig.calls import CallCase
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.dns import Dnsmasq
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.trunk import PASSWORD, USER, Trunk

#: A PBX that is never called.
NOBODY = ("127.0.0.1", 5999)


class RegisterTests(CallCase):
    """The trunk and the registrar."""

    def carrierOnly(self, password: str = PASSWORD, **options: Any) -> None:
        """Start a carrier that knows the trunk by C{password}; C{options} are those of L{Kamailio}."""
        self.authority = Authority(self.scratch)
        certificate = self.authority.issue("server")
        self.carrier = self.started(Kamailio(self.scratch, certificate, {USER: password}, {}, **options))
        self.target = f"{self.carrier.address}:{self.carrier.port}"

    def trunkOnly(self, *, targets: list[str] | None = None, dns: list[str] | None = None) -> None:
        """Start the trunk."""
        trunk = Trunk(
            self.scratch, NOBODY, caFile=self.authority.file, targets=targets or [], dnsServers=dns or []
        )
        self.startTrunk(trunk, self.carrier)

    def test_register(self) -> None:
        """
        REGISTER is challenged once and then granted; To, From and Contact name the account, the
        Request-URI the bare domain (RFC 3261 section 10.2).
        """
        self.carrierOnly()
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        self.assertEqual(self.carrier.registered(), [USER])
        sent = re.findall(
            r"REQ REGISTER (\S+) src=tls:\S+ cs=(\d+) from=(\S+) to=(\S+) au=(\S+) ct=(\S+)",
            self.carrier.text(),
        )
        self.assertEqual([one[4] for one in sent], ["<null>", USER])
        first, second = sent
        self.assertEqual(first[0], f"sip:{DOMAIN}")
        self.assertEqual(int(second[1]), int(first[1]) + 1)
        for _, _, sender, to, _, contact in sent:
            self.assertEqual((sender, to), (f"sip:{USER}@{DOMAIN}",) * 2)
            self.assertRegex(contact, rf"^<sips?:{USER}@127\.\d+\.\d+\.\d+")

    def test_registerSHA256(self) -> None:
        """A registrar that speaks only SHA-256 (RFC 8760)."""
        self.carrierOnly(algorithm="SHA-256")
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()

    def test_registerTLS12(self) -> None:
        """A registrar that speaks nothing newer than TLS 1.2, as the datasheet says."""
        self.carrierOnly(tls="TLSv1.2")
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        self.assertIn("TLSv1.2", self.trunk.text())

    def test_staleNonce(self) -> None:
        """
        The registrar's nonce has expired by the time of the refresh, and is said to be stale: the same
        password goes with the new one, and the binding stays (RFC 7616 section 3.3).
        """
        self.carrierOnly(expires=12, nonceExpires=1)
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        waitUntil(lambda: self.carrier.count(r"CHALLENGE REGISTER rc=-4"), 12, "a nonce is called stale")
        waitUntil(lambda: self.carrier.count(rf"REGISTERED au={USER}") == 2, 5, "the refresh is granted")
        self.assertEqual(self.carrier.count(r"CHALLENGE REGISTER rc=-2"), 0)

    def test_wrongPassword(self) -> None:
        """A refused password is said in the log, is tried once and not hammered, and shows in the status."""
        self.carrierOnly(password="quite another")
        self.trunkOnly(targets=[self.target])
        waitUntil(lambda: self.carrier.count(r"CHALLENGE REGISTER rc=-2"), 10, "the password is refused")
        waitUntil(lambda: re.search(r"(?i)password|credentials|401", self.trunk.text()), 5, "a log line")
        self.assertNotEqual(self.trunk.status().trunks, {"skype": "registered"})
        self.assertEqual(self.carrier.registered(), [])
        self.assertLessEqual(self.carrier.count(r"CHALLENGE REGISTER rc=-2"), 2)

    def test_foundByDNS(self) -> None:
        """
        The targets come from C{_sips._tcp} SRV records of the configured name server; the first is
        dead, the next one is taken, and the domain is what has to be proved (RFC 3263, RFC 5922).
        """
        self.carrierOnly()
        dead = takePorts(host(13))
        records = [
            ("node1", host(13), dead, 10),
            ("node2", self.carrier.address, self.carrier.port, 20),
        ]
        server = self.started(Dnsmasq(self.scratch, records))
        self.keep(server)
        self.trunkOnly(dns=[server.server])
        self.trunk.waitRegistered()
        self.assertEqual(self.carrier.registered(), [USER])
        self.assertIn(f"query[SRV] _sips._tcp.{DOMAIN}", server.text())

    def test_unregister(self) -> None:
        """SIGTERM removes the registration, soon."""
        self.carrierOnly()
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        self.assertLess(self.trunk.terminate(), 5)
        self.assertEqual(self.carrier.registered(), [])
