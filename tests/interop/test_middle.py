"""Who stands between trunk and carrier: slow, broken, or hostile."""

from __future__ import annotations

import json
import random

from tests.interop.rig.calls import NUMBER
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import Authority
from tests.interop.rig.flow_loss import FlowLossCase
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.middle import Middle
from tests.interop.rig.openssl import SServer
from tests.interop.rig.trunk import PASSWORD, USER, Trunk


class SlowTests(FlowLossCase):
    """The right octets, at bad times."""

    def prepare(self) -> None:
        """Before the first connection."""
        self.middle.alone = True

    def test_octetByOctet(self) -> None:
        """Each octet comes alone, both ways, from the handshake on: the trunk registers, calls, hangs up."""
        self.staged()
        self.callBob(NUMBER)
        self.pbx.hangUp()
        self.bothClosed()


class HostileTests(InteropCase):
    """Servers that are listed before the carrier, and are not it."""

    def setUp(self) -> None:
        """A carrier."""
        super().setUp()
        self.authority = Authority(self.scratch)
        self.certificate = self.authority.issue("server")
        self.carrier = self.started(Kamailio(self.scratch, self.certificate, {USER: PASSWORD}, {}))
        self.middles: list[Middle] = []

    def middle(self, name: str) -> Middle:
        """One more before the carrier."""
        found = Middle(self.scratch, name)
        found.to = self.carrier.address, self.carrier.port
        self.middles.append(self.started(found))
        return found

    def registersBehind(self, *before: Middle | SServer, seconds: float = 15) -> None:
        """The trunk tries these and then the carrier, and registers there; nothing surprises it."""
        targets = [f"{each.address}:{each.port}" for each in (*before, self.carrier)]
        self.trunk = self.started(
            Trunk(self.scratch, ("127.0.0.1", 5999), caFile=self.authority.file, targets=targets)
        )
        self.trunk.waitRegistered(seconds)
        status = json.loads(self.trunk.tool("status", "--json").stdout)["trunks"]["skype"]
        self.reasons = {each["target"]: each["reason"] for each in status["targets"]}
        self.assertEqual(sorted(self.reasons), sorted(f"tls:{each}" for each in targets[:-1]))
        self.trunk.terminate()
        self.assertNotIn("Traceback", self.trunk.text())
        self.trunk.checkSecrets()

    def test_handshakes(self) -> None:
        """
        Cut after one octet or in the middle of the handshake, one bit turned in it, SIP in clear instead of
        TLS, a carrier that is too slow: each is left for the next, and what was said in clear got no answer.
        """
        first, half, turned, clear, slow = (self.middle(name) for name in ("1", "2", "3", "4", "5"))
        first.limits, half.limits, turned.flip, slow.delay = (1,), (400,), 300, 2.0
        clear.instead = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n" * 20
        self.registersBehind(*self.middles)
        self.assertEqual([each.accepted for each in self.middles], [1] * 5)
        self.assertEqual(clear.heard[0], 0x16, "a TLS handshake, nothing else")
        for each in self.middles:
            self.assertNotIn(b"SIP/2.0", each.heard)
        self.assertRegex(self.reasons[f"tls:{slow.address}:{slow.port}"], "no TLS handshake within 3 s")

    def test_garbage(self) -> None:
        """
        A server with the right certificate says what is not SIP, or begins a message that has no end: it is
        left, and the trunk registers at the carrier.
        """
        noise = random.Random(0).randbytes(200_000)
        endless = b"SIP/2.0 200 OK\r\n" + b"X: " + b"x" * 200_000
        servers = [self.server("noise", noise), self.server("endless", endless)]
        self.registersBehind(*servers, seconds=25)
        self.assertEqual([each.hellos() for each in servers], [1, 1])
        self.assertEqual(self.trunk.text().count("closing: header line above"), 2)

    def server(self, name: str, says: bytes) -> SServer:
        """One that speaks first."""
        return self.started(SServer(self.scratch, self.certificate, name=name, says=says))

    def test_cutInMessage(self) -> None:
        """The connection breaks in the middle of an answer: the trunk comes back and registers."""
        middle = self.middle("cut")
        middle.limits = (2300,)
        self.registersBehind(middle)
        before, _, after = self.trunk.text().partition("connection lost")
        self.assertIn(f"connected to tls:{middle.address}:{middle.port}", before)
        self.assertIn("REGISTER sip:", before)
        self.assertNotIn("] registered", before)
        self.assertIn("] registered", after)
