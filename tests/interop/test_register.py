"""Registration at a real registrar, over TLS, with digest authentication."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.interop.rig.calls import CallCase
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.dns import Dnsmasq
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.router import Router
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

    def test_leftBehind(self) -> None:
        """
        A trunk that was killed takes its old registration back when it starts again, out of the list of all
        that the registrar has, and leaves somebody else's of the same account (RFC 3261 section 10.2.4).
        """
        self.carrierOnly(instances=False)
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        [old] = self.carrier.contacts()
        other = f"sip:{USER}@127.0.0.9:5999;transport=tls"
        self.carrier.addContact(USER, other)
        self.trunk.kill()
        self.trunk.start()
        self.trunk.waitRegistered()
        waitUntil(lambda: old not in self.carrier.contacts(), 5, "the old registration is taken back")
        found = self.carrier.contacts()
        self.assertIn(other, found)
        self.assertEqual(len(found), 2)
        self.assertEqual(self.carrier.count(r"REGISTERED .*contact=<[^>]*>;expires=0 expires=0"), 1)
        self.assertLess(self.trunk.terminate(), 5)
        self.assertEqual(self.carrier.contacts(), [other])

    def test_bindings(self) -> None:
        """
        All that the registrar has is listed (RFC 3261 section 10.2.3), ours is known, the doctor warns of
        the other one, and both are removed (section 10.2.2) when the trunk is stopped.
        """
        self.carrierOnly()
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        [own] = self.carrier.contacts()
        other = f"sip:{USER}@127.0.0.9:5999;transport=tls"
        self.carrier.addContact(USER, other)
        lines = self.trunk.tool("bindings").stdout.splitlines()
        self.assertEqual(lines[0], f"trunk skype: 2 bindings of {USER} at {DOMAIN}")
        self.assertRegex(lines[1], rf"^  {re.escape(own)}, \d+ s, this trunk$")
        self.assertRegex(lines[2], rf"^  {re.escape(other)}, \d+ s$")
        self.assertEqual(self.trunk.tool("bindings", "--remove-all").returncode, 1)
        self.assertIn(f"Another is registered as {USER} too", self.trunk.tool("doctor").stdout)
        self.assertLess(self.trunk.terminate(), 5)
        self.assertEqual(self.carrier.contacts(), [other])
        self.assertIn("were removed", self.trunk.tool("bindings", "--remove-all").stdout)
        self.assertEqual(self.carrier.contacts(), [])

    def test_instance(self) -> None:
        """A registrar that knows instances (RFC 5626) finds out by itself that an old one is meant."""
        self.carrierOnly()
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        [old] = self.carrier.contacts()
        self.trunk.kill()
        self.trunk.start()
        self.trunk.waitRegistered()
        [new] = self.carrier.contacts()
        self.assertNotEqual(old, new)

    def test_behindRouter(self) -> None:
        """
        A router changes the trunk's address: what the registrar sees (RFC 3581) is registered, and nothing
        else, over the next connection too; that audio will not come back is said.
        """
        self.carrierOnly(instances=False)
        router = self.started(Router(self.scratch, (self.carrier.address, self.carrier.port)))
        self.trunkOnly(targets=[f"{router.address}:{router.port}"])
        self.trunk.waitRegistered()
        [first] = self.carrier.contacts()
        self.assertRegex(first, rf"^sip:{USER}@{router.outside}:\d+;transport=tls$")
        [trunk] = json.loads(self.trunk.tool("status", "--json").stdout)["trunks"].values()
        self.assertEqual(f"sip:{USER}@{trunk['seenAt']};transport=tls", first)
        self.assertIn(f"the carrier sees this machine at {router.outside}", self.trunk.text())
        router.cut()
        waitUntil(lambda: first not in self.carrier.contacts(), 10, "the old registration is taken back")
        self.trunk.waitRegistered()
        [second] = self.carrier.contacts()
        self.assertRegex(second, rf"^sip:{USER}@{router.outside}:\d+;transport=tls$")
        self.assertLess(self.trunk.terminate(), 5)
        self.assertEqual(self.carrier.contacts(), [])

    def test_registrarRestarts(self) -> None:
        """A registrar that was restarted has forgotten all: the trunk registers anew, soon, by itself."""
        self.carrierOnly()
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        self.carrier.stop()
        waitUntil(lambda: self.trunk.status().trunks == {"skype": "down"}, 5, "noticed", pause=0.3)
        self.carrier.start()
        self.assertEqual(self.carrier.contacts(), [])
        self.carrier.waitRegistered(USER, 10)
        self.trunk.waitRegistered()

    def test_newPassword(self) -> None:
        """
        The password changes at the carrier and in the file: the next refresh takes it, and the trunk is
        registered all the time.
        """
        self.carrierOnly(expires=12)
        self.trunkOnly(targets=[self.target])
        self.trunk.waitRegistered()
        self.carrier.changePassword(USER, "changed")
        self.trunk.changePassword("changed")
        waitUntil(lambda: self.carrier.count(rf"REGISTERED au={USER}") == 2, 10, "the refresh is granted")
        self.assertEqual(self.carrier.count(r"CHALLENGE REGISTER rc=-2"), 1)
        self.assertNotIn("cannot register", self.trunk.text())
        self.trunk.waitRegistered()

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
