"""The throw-away certificate authority."""

import datetime
import stat
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.authority import Authority, Identity, writePrivately
from skypetrunk.lab.leaves import FAULTS, carrierIdentity

NOW = datetime.datetime.now(datetime.UTC)
DOMAIN = "sip.skype.com"
TARGET = "edge1.sip.skype.com"


class AuthorityTests(SynchronousTestCase):
    """Certificates, judged by cryptography's own verifier."""

    authority = Authority(NOW)

    def accepted(self, identity: Identity, domain: str = DOMAIN) -> bool:
        """Does a client that has our root accept C{identity} for C{domain}?"""
        store = Store([x509.load_pem_x509_certificate(self.authority.rootPEM)])
        verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(domain))
        leaf, *others = (x509.load_pem_x509_certificate(pem) for pem in identity.chain)
        try:
            verifier.verify(leaf, others)
        except VerificationError:
            return False
        return True

    def identity(self, fault: str) -> Identity:
        """The carrier's certificate with C{fault}."""
        return carrierIdentity(self.authority, DOMAIN, TARGET, NOW, fault)

    def test_good(self) -> None:
        """The chain verifies, and the leaf has a URI and a DNS name (RFC 5922 section 4.1)."""
        identity = self.identity("none")
        self.assertTrue(self.accepted(identity))
        leaf = x509.load_pem_x509_certificate(identity.chain[0])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.UniformResourceIdentifier), [f"sip:{DOMAIN}"])
        self.assertEqual(names.get_values_for_type(x509.DNSName), [DOMAIN])

    def test_faults(self) -> None:
        """Each fault is refused, but those that only a policy stricter than the Web's refuses."""
        lenient = ("none", "wildcard", "expires-soon", "must-staple", "weak-key")
        for fault in FAULTS:
            self.assertEqual(self.accepted(self.identity(fault)), fault in lenient, fault)
        self.assertTrue(self.accepted(self.identity("target-name"), TARGET))
        self.assertRaises(ValueError, self.identity, "nonsense")

    def test_keyHidden(self) -> None:
        """The private key is not in the repr."""
        identity = self.identity("none")
        self.assertNotIn("PRIVATE", repr(identity))
        self.assertIn(b"PRIVATE", identity.pem)

    def test_writtenPrivately(self) -> None:
        """Files have mode 0600, also when another was there, and a link is not followed."""
        path = Path(self.mktemp())
        path.write_bytes(b"old")
        path.chmod(0o644)
        writePrivately(path, b"new")
        self.assertEqual(path.read_bytes(), b"new")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        link = Path(self.mktemp())
        link.symlink_to(path)
        writePrivately(link, b"other")
        self.assertEqual((path.read_bytes(), link.is_symlink()), (b"new", False))
