"""The lab's name server, asked as a client would ask it."""

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.dns import Target, Zone

DOMAIN = "sip.skype.com"


class ZoneTests(SynchronousTestCase):
    """Records of one domain (datasheet: SRV look-up on sip.skype.com)."""

    def setUp(self) -> None:
        """Two gateways, the first of them preferred."""
        first = Target("edge1.sip.skype.com", ("127.0.0.1", "::1"), 5061)
        self.zone = Zone(DOMAIN, [first, Target("edge2.sip.skype.com", ("127.0.0.2",), 5071, 20, 7)])

    def test_srv(self) -> None:
        """Priority, weight, port and target of each node, in any case of the name."""
        for name in (b"_sips._tcp.sip.skype.com", b"_SIPS._TCP.SIP.skype.com"):
            answers, _, _ = self.successResultOf(self.zone.lookupService(name))
            self.assertEqual(
                [
                    (a.payload.priority, a.payload.weight, a.payload.port, str(a.payload.target))
                    for a in answers
                ],
                [(10, 50, 5061, "edge1.sip.skype.com"), (20, 7, 5071, "edge2.sip.skype.com")],
            )

    def test_addresses(self) -> None:
        """Both families of a target."""
        answers, _, _ = self.successResultOf(self.zone.lookupAddress("edge1.sip.skype.com"))
        self.assertEqual([a.payload.dottedQuad() for a in answers], ["127.0.0.1"])
        answers, _, _ = self.successResultOf(self.zone.lookupIPV6Address("edge1.sip.skype.com"))
        self.assertEqual(len(answers), 1)

    def test_domainHasNoAddress(self) -> None:
        """The domain itself has no address: who does not ask for SRV finds nothing."""
        answers, authority, _ = self.successResultOf(self.zone.lookupAddress(DOMAIN))
        self.assertEqual(([], [dns.SOA]), (answers, [a.type for a in authority]))

    def test_unknownName(self) -> None:
        """Other names below the domain do not exist."""
        self.failureResultOf(self.zone.lookupAddress("nobody.sip.skype.com"), dns.AuthoritativeDomainError)

    def test_changed(self) -> None:
        """Nodes can be exchanged while the server runs."""
        self.zone.setTargets([Target("edge3.sip.skype.com", ("127.0.0.3",), 5081)])
        answers, _, _ = self.successResultOf(self.zone.lookupService("_sips._tcp.sip.skype.com"))
        self.assertEqual([a.payload.port for a in answers], [5081])
