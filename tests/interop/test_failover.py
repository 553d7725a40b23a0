"""Two nodes of a carrier, found by NAPTR and SRV: one dies or falls silent, and calls follow to the other."""

from __future__ import annotations

import signal
import time

from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase, listen
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.dns import Dnsmasq
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.trunk import PASSWORD, USER, Trunk

#: Seconds from the death of a node to the registration at the next one, or to the INVITE there.
REFUSED, SILENT = 2.0, 5.0

_POOL = "pool"


class NodesTests(CallCase):
    """Kamailio twice; bob is registered at the second node only."""

    def nodes(self) -> None:
        """Both nodes, their name server, bob and the PBX; no trunk yet."""
        self.authority = authority = Authority(self.scratch)
        self.certificate = authority.issue("server")
        users = {USER: PASSWORD, "bob": "bobs-own"}
        numbers = {form: "bob" for form in (NUMBER, f"00{NUMBER[1:]}", NUMBER[1:])}
        self.first, self.carrier = (
            self.started(
                Kamailio(self.scratch, self.certificate, users, numbers, name=f"node{one}", number=9 + one)
            )
            for one in (1, 2)
        )
        records = [
            ("node1", self.first.address, self.first.port, 10),
            ("node2", self.carrier.address, self.carrier.port, 20),
        ]
        self.server = self.started(Dnsmasq(self.scratch, records, _POOL))
        self.keep(self.server)
        where = f"{self.carrier.address}:{self.carrier.port}"
        self.bob = self.started(
            Baresip.atCarrier(
                self.scratch, "bob", "bobs-own", CARRIER_TONE, where, certificate=self.certificate
            )
        )
        self.carrier.waitRegistered("bob")
        self.pbx = self.started(Baresip.atPBX(self.scratch, PBX_NUMBER, PBX_TONE))

    def connect(self) -> None:
        """The trunk."""
        trunk = Trunk(
            self.scratch,
            (self.pbx.address, self.pbx.port),
            caFile=self.authority.file,
            dnsServers=[self.server.server],
            trunkLines=["[trunk.dns]", "naptr = true"],
        )
        self.startTrunk(trunk, self.carrier)

    def test_dead(self) -> None:
        """
        The node where the trunk is registered dies, and refuses connections: within 2 s the trunk is
        registered at the other, and calls go there.
        """
        self.nodes()
        self.connect()
        self.trunk.waitRegistered()
        self.assertEqual((self.first.registered(), self.carrier.registered()), ([USER], ["bob"]))
        asked = self.server.text()
        self.assertIn(f"query[NAPTR] {DOMAIN}", asked)
        self.assertIn(f"query[SRV] _sips._tcp.{_POOL}.{DOMAIN}", asked)
        died = time.monotonic()
        self.first.signal(signal.SIGKILL)
        waitUntil(lambda: self.carrier.count(f"REGISTERED au={USER}"), 10, "registered at the other node")
        took = time.monotonic() - died
        self.assertLessEqual(took, REFUSED)
        self.trunk.waitRegistered()
        self.callBob()
        listen(1)
        self.pbx.hangUp()
        self.bothClosed()

    def test_silent(self) -> None:
        """
        The node where the trunk is registered falls silent, with its connection up: a call that it leaves
        without an answer is at the other node within 5 s.  When the silent one wakes up, nothing comes of the
        INVITE there.
        """
        self.nodes()
        self.connect()
        self.trunk.waitRegistered()
        self.first.signal(signal.SIGSTOP)
        self.addCleanup(self.first.signal, signal.SIGCONT)
        dialled = time.monotonic()
        self.dial()
        waitUntil(lambda: self.carrier.count("CHALLENGE INVITE .*au=<null>"), 10, "INVITE at the other node")
        took = time.monotonic() - dialled
        self.assertLessEqual(took, SILENT)
        self.pbx.waitEvent("CALL_ESTABLISHED")
        self.bob.waitEvent("CALL_ESTABLISHED")
        self.assertIn("INVITE is not answered", self.trunk.tool("status").stdout)
        self.first.signal(signal.SIGCONT)
        waitUntil(lambda: self.first.count("CHALLENGE INVITE"), 5, "the silent node answers late")
        listen(1)
        self.assertEqual(self.first.count("AUTHENTICATED INVITE"), 0)
        self.pbx.hangUp()
        self.bothClosed()

    def test_silentFromTheBeginning(self) -> None:
        """A node that takes the connection and says nothing costs the 3 s that a handshake has."""
        self.nodes()
        self.first.signal(signal.SIGSTOP)
        self.addCleanup(self.first.signal, signal.SIGCONT)
        self.connect()
        began = time.monotonic()
        waitUntil(lambda: self.carrier.count(f"REGISTERED au={USER}"), 10, "registered at the other node")
        took = time.monotonic() - began
        self.assertLessEqual(took, SILENT)
        self.assertIn("no TLS handshake within 3 s", self.trunk.text())
