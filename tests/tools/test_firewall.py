"""C{skypetrunk firewall}: rules for nftables, by the configuration alone."""

from __future__ import annotations

import shutil
import subprocess

from skypetrunk.tools.firewall import rules
from tests.service.configurations import COMPLETE, ConfigurationTestCase, keyPEM, makeCertificate

NEIGHBOURS = (
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert,"
    " mld-listener-query, mld-listener-report, mld2-listener-report } accept"
)
"""Without it, as it was once, nothing went by IPv6: unlike ARP it passes these chains."""


class FirewallTests(ConfigurationTestCase):
    """The rules of some configurations."""

    def rules(self, text: str) -> list[str]:
        """The rules, without their comments; the chain stands before each."""
        configuration, _ = self.load(text)
        found, chain = [], ""
        for line in rules(configuration):
            words = line.split()
            if words[:1] == ["chain"]:
                chain = words[1]
            elif words[-1:] == ["accept"]:
                found.append(f"{chain}: {' '.join(words)}")
        self.checkRuleset("".join(f"{line}\n" for line in rules(configuration)))
        return found

    def checkRuleset(self, text: str) -> None:
        """nft takes it; where there is none, or it may not be asked, it is not asked."""
        nft, unshare = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin"), shutil.which("unshare")
        if nft is None or unshare is None:
            return
        alone = [unshare, "--user", "--map-root-user", "--net"]
        if subprocess.run([*alone, "true"], capture_output=True).returncode:
            return
        done = subprocess.run([*alone, nft, "-c", "-f", "-"], input=text.encode(), capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""), text)

    def test_complete(self) -> None:
        """Each way that the configuration needs, and no other."""
        self.assertEqual(
            self.rules(COMPLETE),
            [
                "output: ct state established,related accept",
                f"output: {NEIGHBOURS}",
                "output: ip daddr 127.0.0.1 udp dport 5353 accept",
                "output: ip daddr 127.0.0.1 tcp dport 5353 accept",
                "output: tcp dport 5061 accept",
                "output: tcp dport 80 accept",
                "output: ip saddr 127.0.0.1 udp sport 20000-29999 accept",
                "output: ip daddr 127.0.0.1 udp dport 5070 accept",
                "input: ct state established,related accept",
                f"input: {NEIGHBOURS}",
                "input: ip daddr 127.0.0.1 udp dport 20000-29999 accept",
                "input: ip daddr 127.0.0.1 ip saddr 127.0.0.0/8 udp dport 5060 accept",
                "input: ip daddr 127.0.0.1 ip saddr 127.0.0.0/8 tcp dport 5060 accept",
                "input: ip daddr 127.0.0.1 ip saddr 127.0.0.0/8 udp dport 20000-29999 accept",
            ],
        )

    def test_media(self) -> None:
        """Every address of media, each for whom it is, and the machines that the PBX's audio comes from."""
        text = COMPLETE.replace('address = "127.0.0.1"', 'address = ["127.0.0.1", "::1"]', 1)
        text = text.replace("[trunk.media]", '[trunk.media]\naddress = "192.0.2.1"', 1)
        text = text.replace("[[route]]", 'media_allow = ["192.0.2.64/26", "2001:db8::/64"]\n[[route]]', 1)
        found = [each for each in self.rules(text) if "20000-29999" in each]
        self.assertEqual(
            found,
            [
                "output: ip saddr 192.0.2.1 udp sport 20000-29999 accept",
                "output: ip saddr 127.0.0.1 ip daddr { 127.0.0.0/8, 192.0.2.64/26 } udp sport 20000-29999"
                " accept",
                "output: ip6 saddr ::1 ip6 daddr 2001:db8::/64 udp sport 20000-29999 accept",
                "input: ip daddr 192.0.2.1 udp dport 20000-29999 accept",
                "input: ip daddr 127.0.0.1 ip saddr { 127.0.0.0/8, 192.0.2.64/26 } udp dport 20000-29999"
                " accept",
                "input: ip6 daddr ::1 ip6 saddr 2001:db8::/64 udp dport 20000-29999 accept",
            ],
        )

    def test_pbxMedia(self) -> None:
        """What only the PBX has: an address, in both directions, and a multicast group."""
        keys = 'media_address = "192.0.2.2"\nmulticast = "239.1.2.3"\n'
        found = [each for each in self.rules(COMPLETE.replace("[[route]]", f"{keys}[[route]]", 1))]
        for rule in (
            "input: ip daddr 192.0.2.2 ip saddr 127.0.0.0/8 udp dport 20000-29999 accept",
            "output: ip saddr 192.0.2.2 ip daddr 127.0.0.0/8 udp sport 20000-29999 accept",
            "input: ip daddr 239.1.2.3 ip saddr 127.0.0.0/8 udp dport 1024-65535 accept",
            "output: ip daddr 239.1.2.3 udp dport 1024-65535 accept",
        ):
            self.assertIn(rule, found)
        keys = keys.replace("239.1.2.3", "ff15::101") + 'media_allow = ["2001:db8::/32"]\n'
        found = [each for each in self.rules(COMPLETE.replace("[[route]]", f"{keys}[[route]]", 1))]
        self.assertIn("input: ip6 daddr ff15::101 ip6 saddr 2001:db8::/32 udp dport 1024-65535 accept", found)
        self.assertIn("output: ip6 daddr ff15::101 udp dport 1024-65535 accept", found)

    def test_targets(self) -> None:
        """Literal targets are named, each family by itself, and DNS is not needed for them."""
        text = COMPLETE.replace(
            'username = "99051000000001"',
            'username = "99051000000001"\ntargets = ["192.0.2.1", "192.0.2.2", "[2001:db8::1]:5061"]',
        )
        found = self.rules(text)
        self.assertIn("output: ip daddr { 192.0.2.1, 192.0.2.2 } tcp dport 5061 accept", found)
        self.assertIn("output: ip6 daddr 2001:db8::1 tcp dport 5061 accept", found)
        self.assertFalse([each for each in found if "5353" in each])

    def test_named(self) -> None:
        """A target with a name may be anywhere, and DNS is needed."""
        text = COMPLETE.replace(
            'username = "99051000000001"', 'username = "99051000000001"\ntargets = ["sbc.example:6061"]'
        )
        found = self.rules(text)
        self.assertIn("output: tcp dport 6061 accept", found)
        self.assertIn("output: ip daddr 127.0.0.1 udp dport 5353 accept", found)

    def test_inbound(self) -> None:
        """A carrier that calls in needs an open port, and records that lead to it, through NAT too."""
        certificate, key = makeCertificate("trunk.example.com")
        self.write("inbound.pem", certificate)
        self.write("inbound.key", keyPEM(key))
        inbound = """
[trunk.inbound]
listen = ["tls:192.168.1.5:5062"]
certificate = "inbound.pem"
key = "inbound.key"
allow = ["198.51.100.0/24"]
name = "trunk.example.com"

[[pbx]]"""
        text = COMPLETE.replace("\n[[pbx]]", inbound)
        found = self.rules(text)
        wanted = "input: ip daddr 192.168.1.5 ip saddr 198.51.100.0/24 tcp dport 5062 accept"
        self.assertIn(wanted, found)
        text = text.replace("[media]", '[media]\nadvertise = "203.0.113.7"')
        lines = list(rules(self.load(text)[0]))
        self.assertEqual(
            lines[-2:],
            [
                "#   _sips._tcp.trunk.example.com. 3600 IN SRV 10 10 5062 trunk.example.com.",
                "#   trunk.example.com. 3600 IN A 203.0.113.7",
            ],
        )
        lines = list(rules(self.load(text.replace('name = "trunk.example.com"\n', ""))[0]))
        self.assertIn("trunk.inbound.name", lines[-1])

    def test_system(self) -> None:
        """The system's name servers are not known."""
        text = COMPLETE.replace('servers = ["127.0.0.1:5353"]', "")
        self.assertIn("output: udp dport 53 accept", self.rules(text))
