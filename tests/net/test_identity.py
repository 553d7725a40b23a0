"""Tests of L{skypetrunk.net.identity}: RFC 5922 section 7 and pins."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy
from skypetrunk.net.identity import (
    IdentityPolicy,
    PinnedKey,
    asciiDomain,
    chainProblem,
    keyPin,
    namesOf,
    parsePin,
)
from tests.net.certificates import authority, dns, intermediate, leaf, uris

DOMAIN = "carrier.example"


class IdentityTests(SynchronousTestCase):
    """What proves a domain, and what does not."""

    def verify(self, names: Sequence[x509.GeneralName], wildcards: bool = False, domain: str = DOMAIN) -> str:
        """The policy's answer for a certificate with these names."""
        return IdentityPolicy(wildcards=wildcards).verify([leaf(names).der], domain)

    def refused(self, names: Sequence[x509.GeneralName], wildcards: bool = False) -> PeerNotVerified:
        """The policy's refusal for a certificate with these names."""
        problem: PeerNotVerified = self.assertRaises(PeerNotVerified, self.verify, names, wildcards)
        return problem

    def test_interface(self) -> None:
        """It is an identity policy."""
        self.assertTrue(verifyObject(IIdentityPolicy, IdentityPolicy()))

    def test_uri(self) -> None:
        """RFC 5922 section 7.1: a URI with scheme sip and no user proves its host."""
        self.assertEqual(self.verify(uris("sip:carrier.example")), "URI sip:carrier.example")

    def test_dns(self) -> None:
        """A DNS name proves itself where no sip URI stands beside it."""
        self.assertEqual(self.verify(dns("other.example", DOMAIN)), "DNS carrier.example")

    def test_case(self) -> None:
        """RFC 5922 section 7.2: names compare without case."""
        self.assertEqual(self.verify(dns("Carrier.EXAMPLE")), "DNS carrier.example")
        proof = self.verify(uris("SIP:Carrier.EXAMPLE"), domain="CARRIER.example.")
        self.assertEqual(proof, "URI sip:carrier.example")

    def test_uriBeforeDNS(self) -> None:
        """With a sip URI for another domain the DNS name does not count."""
        self.refused([*uris("sip:other.example"), *dns(DOMAIN)])

    def test_otherSchemes(self) -> None:
        """Only the scheme sip counts; the others do not stand in the way of a DNS name."""
        self.refused(uris("sips:carrier.example"))
        self.refused(uris("https://carrier.example"))
        self.assertEqual(self.verify([*uris("https://carrier.example"), *dns(DOMAIN)]), "DNS carrier.example")

    def test_userPart(self) -> None:
        """RFC 5922 section 7.1: a URI with a user part is no domain's identity."""
        self.refused(uris("sip:carrier@carrier.example"))
        proof = self.verify([*uris("sip:somebody@elsewhere.example"), *dns(DOMAIN)])
        self.assertEqual(proof, "DNS carrier.example")

    def test_noNames(self) -> None:
        """A certificate without SubjectAltName proves nothing, whatever its subject says."""
        problem = self.assertRaises(
            PeerNotVerified, IdentityPolicy().verify, [leaf((), subject=DOMAIN).der], DOMAIN
        )
        self.assertEqual(problem.seen, "no SubjectAltName")

    def test_onlyMail(self) -> None:
        """Nor does an e-mail address."""
        problem = self.refused([x509.RFC822Name("sip@carrier.example")])
        self.assertEqual(problem.seen, "e-mail sip@carrier.example")

    def test_wrongName(self) -> None:
        """The error names what was wanted and what was seen."""
        problem = self.refused(dns("other.example", "third.example"))
        self.assertEqual(problem.wanted, "a certificate for URI sip:carrier.example or DNS carrier.example")
        self.assertEqual(problem.seen, "DNS other.example, DNS third.example")

    def test_parentAndChild(self) -> None:
        """RFC 5922 section 7.2: no suffix matching."""
        self.refused(dns("example", "sip.carrier.example"))

    def test_addresses(self) -> None:
        """A literal address is proved by itself alone; no name stands in its way, and none proves it."""
        for address in ("192.0.2.5", "2001:db8::5", "2001:db8:0::5"):
            names = [x509.IPAddress(ip_address("192.0.2.5")), x509.IPAddress(ip_address("2001:db8::5"))]
            proof = self.verify([*uris("sip:pbx.example"), *dns("a.example"), *names], domain=address)
            self.assertEqual(proof, f"IP {address}")
        for wrong in (
            dns("192.0.2.5"),
            uris("sip:192.0.2.5"),
            (x509.IPAddress(ip_address("192.0.2.6")),),
            (),
        ):
            with self.assertRaises(PeerNotVerified) as caught:
                self.verify(wrong, domain="192.0.2.5")
            self.assertEqual(caught.exception.wanted, "a certificate for IP 192.0.2.5")

    def test_wildcardRefused(self) -> None:
        """RFC 5922 section 7.2: no wildcards, and the error says so."""
        problem = self.refused(dns("*.example"))
        self.assertIn("wildcards are refused", problem.seen)

    def test_wildcardAllowed(self) -> None:
        """A profile may allow them."""
        self.assertEqual(self.verify(dns("*.example.org"), True, "sip.example.org"), "DNS *.example.org")
        self.refused(dns("*.example.org"), wildcards=True)

    def test_libraryRejects(self) -> None:
        """Names that service-identity calls invalid deny the whole certificate, wildcards allowed or not."""
        for bad in ("*", "*.example", "carrier.*.example", "c*r.carrier.example", "192.0.2.1", "4711"):
            for wildcards in (False, True):
                self.refused(dns(bad), wildcards)

    def test_twoColons(self) -> None:
        """A URI with a port makes the library explode: that denies too."""
        self.assertIn("URI sip:carrier.example:5061", self.refused(uris("sip:carrier.example:5061")).seen)

    def test_targetNames(self) -> None:
        """
        Names of the carrier's hosts prove its domain where they are configured, one by one or all of a
        domain's, and only these: nothing above or below, and no wildcard that is not allowed.
        """

        def verify(names: Sequence[x509.GeneralName], *targets: str, wildcards: bool = False) -> str:
            policy = IdentityPolicy(wildcards=wildcards, targetNames=targets)
            return policy.verify([leaf(names).der], DOMAIN)

        every = "*.edge.example"
        told = "DNS b.edge.example, one of target_names"
        self.assertEqual(verify(dns("b.edge.example"), "B.edge.example"), told)
        self.assertEqual(verify(dns("b.edge.example"), "a.edge.example", every), told)
        self.assertEqual(verify(uris("sip:b.edge.example"), every), told.replace("DNS ", "URI sip:"))
        self.assertEqual(verify(dns(DOMAIN, "b.edge.example"), every), f"DNS {DOMAIN}")
        star = verify(dns("*.edge.example"), every, wildcards=True)
        self.assertEqual(star, "DNS *.edge.example, one of target_names")
        for names, targets in (
            (dns("b.edge.example"), ()),
            (dns("b.edge.example"), ("a.edge.example",)),
            (dns("edge.example"), (every,)),
            (dns("a.b.edge.example"), (every,)),
            (dns("b.edge.example.evil.example"), (every,)),
            (dns("*.edge.example"), (every,)),
            (uris("sips:b.edge.example"), (every,)),
            ((*uris("sip:evil.example"), *dns("b.edge.example")), (every,)),
            ((), (every,)),
        ):
            with self.assertRaises(PeerNotVerified) as caught:
                verify(names, *targets)
            wanted = " or DNS ".join(("URI sip:carrier.example", DOMAIN, *targets))
            self.assertEqual(caught.exception.wanted, f"a certificate for {wanted}")

    def test_notACertificate(self) -> None:
        """Neither octets that are no certificate nor an empty chain prove anything."""
        policy = IdentityPolicy()
        self.assertRaises(PeerNotVerified, policy.verify, [b"nonsense"], DOMAIN)
        self.assertRaises(PeerNotVerified, policy.verify, [], DOMAIN)

    def test_badDomain(self) -> None:
        """A domain that is none denies."""
        for domain in ("", "192.0.2.1", "a" * 64 + ".example"):
            self.assertRaises(PeerNotVerified, self.verify, dns(DOMAIN), False, domain)

    def test_international(self) -> None:
        """Domains compare in their ASCII form."""
        self.assertEqual(asciiDomain("Bücher.example."), "xn--bcher-kva.example")
        self.assertEqual(
            self.verify(dns("xn--bcher-kva.example"), domain="bücher.example"), "DNS xn--bcher-kva.example"
        )


class PinTests(SynchronousTestCase):
    """SHA-256 of SubjectPublicKeyInfo."""

    def setUp(self) -> None:
        """A leaf below an intermediate below the root."""
        self.leaf = leaf(dns(DOMAIN), intermediate(), keyName="pinned")
        self.chain = [self.leaf.der, intermediate().der, authority().der]
        self.other = keyPin(leaf(dns(DOMAIN), keyName="other").certificate)

    def test_known(self) -> None:
        """The pin is what C{openssl pkey -pubin -outform der | openssl dgst -sha256} gives."""
        spki = self.leaf.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = hashlib.sha256(spki).digest()
        self.assertEqual(keyPin(self.leaf.certificate), f"sha256/{base64.b64encode(digest).decode()}")
        self.assertEqual(parsePin(keyPin(self.leaf.certificate)), digest)

    def test_leafAndAuthorities(self) -> None:
        """Any key of the verified chain will do, and the evidence says whose it was."""
        for pinned in (self.leaf, intermediate(), authority()):
            policy = IdentityPolicy([keyPin(pinned.certificate)])
            self.assertEqual(
                policy.verify(self.chain, DOMAIN),
                f"DNS carrier.example; pinned key of {pinned.certificate.subject.rfc4514_string()}",
            )

    def test_spare(self) -> None:
        """One of several pins is enough: the others are for the next key."""
        policy = IdentityPolicy([self.other, keyPin(intermediate().certificate)])
        self.assertIn("pinned key of CN=Test Intermediate", policy.verify(self.chain, DOMAIN))

    def test_mismatch(self) -> None:
        """No pinned key: refused, with the pins wanted and seen."""
        problem = self.assertRaises(PeerNotVerified, IdentityPolicy([self.other]).verify, self.chain, DOMAIN)
        self.assertIn(self.other, problem.wanted)
        self.assertIn(keyPin(self.leaf.certificate), problem.seen)

    def test_reported(self) -> None:
        """A trunk that only tries its pins: the key is told, in the evidence and the log, and let pass."""
        policy = IdentityPolicy([self.other], pinsReported=True)
        events: list[LogEvent] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        proof = policy.verify(self.chain, DOMAIN)
        self.assertTrue(proof.startswith("DNS carrier.example; no pinned key (only reported), keys sha256/"))
        (event,) = events
        for each in (self.other, keyPin(self.leaf.certificate)):
            self.assertIn(each, eventAsText(event))
        self.assertRaises(PeerNotVerified, policy.verify, self.chain, "other.example")
        pinned = IdentityPolicy([keyPin(self.leaf.certificate)], pinsReported=True)
        self.assertIn("; pinned key of ", pinned.verify(self.chain, DOMAIN))
        self.assertEqual(len(events), 1)

    def test_nameStillCounts(self) -> None:
        """A pinned key does not replace the name."""
        policy = IdentityPolicy([keyPin(self.leaf.certificate)])
        self.assertRaises(PeerNotVerified, policy.verify, self.chain, "other.example")

    def test_badPins(self) -> None:
        """A pin that is none is refused when the policy is made."""
        for bad in ("", "sha1/AAAA", "sha256/!!!", "sha256/AAAA", "sha256/" + "A" * 43):
            self.assertRaises(ValueError, IdentityPolicy, [bad])


class PinnedKeyTests(SynchronousTestCase):
    """A key proves the peer, whatever its certificate says."""

    def test_leaf(self) -> None:
        """The peer's own key, under any name; a spare one beside it."""
        peer = leaf((), subject="PBX")
        for pins in ([keyPin(peer.certificate)], ["sha256/" + "A" * 43 + "=", keyPin(peer.certificate)]):
            self.assertEqual(PinnedKey(pins).verify([peer.der], "192.0.2.5"), "pinned key of CN=PBX")

    def test_notTheChain(self) -> None:
        """Nobody has verified the chain: the key of a CA in it, which is no secret, proves nothing."""
        peer = leaf(dns(DOMAIN), intermediate())
        policy = PinnedKey([keyPin(intermediate().certificate), keyPin(authority().certificate)])
        chain = [peer.der, intermediate().der, authority().der]
        with self.assertRaises(PeerNotVerified) as caught:
            policy.verify(chain, DOMAIN)
        self.assertIn(keyPin(peer.certificate), caught.exception.seen)
        self.assertNotIn(keyPin(authority().certificate), caught.exception.seen)

    def test_broken(self) -> None:
        """What cannot be read denies; without a pin there is no policy."""
        policy = PinnedKey([keyPin(leaf(()).certificate)])
        for chain in ([], [b""], [b"nothing"]):
            self.assertRaises(PeerNotVerified, policy.verify, chain, DOMAIN)
        self.assertRaises(ValueError, PinnedKey, [])
        self.assertRaises(ValueError, PinnedKey, ["sha256/A"])


class ChainProblemTests(SynchronousTestCase):
    """OpenSSL's verdicts in words."""

    def test_issuer(self) -> None:
        """An unknown issuer: who it is, and which roots would have been right."""
        problem = chainProblem(20, leaf(dns(DOMAIN)).certificate, DOMAIN, ["CN=One", "CN=Two"])
        self.assertEqual(
            problem.wanted, "a valid certificate for carrier.example issued under CN=One, CN=Two"
        )
        self.assertEqual(
            problem.seen, "the certificate CN=Test Leaf, issued by CN=Test Root, which is not among the roots"
        )
        alone = chainProblem(20, leaf(dns(DOMAIN)).certificate, DOMAIN, ["CN=One"], 0)
        self.assertEqual(alone.seen, f"{problem.seen} and was not sent")

    def test_expired(self) -> None:
        """An expired certificate: since when."""
        certificate = leaf(dns(DOMAIN), expired=True).certificate
        problem = chainProblem(10, certificate, DOMAIN, ["CN=One"])
        self.assertIn(f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}", problem.seen)

    def test_unheardOf(self) -> None:
        """A number without a text is shown as it is."""
        problem = chainProblem(4711, leaf(dns(DOMAIN)).certificate, DOMAIN, [str(n) for n in range(9)])
        self.assertIn("X509 error 4711", problem.seen)
        self.assertIn("0, 1, 2, 3 and 5 more", problem.wanted)

    def test_namesOf(self) -> None:
        """All kinds of names are shown."""
        names = [*dns("a.example"), *uris("sip:a.example"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))]
        shown = namesOf(leaf(names).certificate)
        self.assertEqual(shown[:2], ("DNS a.example", "URI sip:a.example"))
        self.assertTrue(shown[2].startswith("other "))
