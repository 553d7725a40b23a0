"""Tests of L{skypetrunk.net.ocsp} (RFC 6960) and L{skypetrunk.net.crl} (RFC 5280): what is believed."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.net.crl import loadCRLs, lookUp
from skypetrunk.net.ocsp import Answer, mustStaple, question, readAnswer, responders
from tests.net.certificates import (
    Issued,
    authority,
    dns,
    impostor,
    intermediate,
    leaf,
    usage,
    weakened,
    weaklySigned,
)
from tests.net.revoking import HOUR, NOW, URL, access, answer, crl, responder

PEER = leaf(dns("carrier.example"), extensions=[access(URL)])
OTHER = leaf(dns("carrier.example"))


def read(der: bytes, about: Issued = PEER, nonce: bytes | None = None) -> Answer:
    """What the answer says about a certificate of the root."""
    return readAnswer(der, about.certificate, authority().certificate, NOW, "says it", nonce)


class AnswerTests(SynchronousTestCase):
    """L{readAnswer}."""

    def assertUseless(self, words: str, der: bytes, nonce: bytes | None = None) -> None:
        """It is not believed, for this reason."""
        problem = self.assertRaises(ValueError, read, der, PEER, nonce)
        self.assertIn(words, str(problem))

    def test_good(self) -> None:
        """Signed by the issuer, named by name or key, whatever the certID's digest; with all its times."""
        for der in (answer(PEER), answer(PEER, byHash=True), answer(PEER, digest=SHA256())):
            found = read(der)
            self.assertEqual((found.status, found.until), ("good", NOW + 23 * HOUR))
        self.assertEqual(str(found), f"good, says it, until {NOW + 23 * HOUR:%Y-%m-%d %H:%M} UTC")

    def test_revoked(self) -> None:
        """Since when and why."""
        found = read(answer(PEER, "revoked"))
        day = f"{NOW - 2 * HOUR:%Y-%m-%d}"
        self.assertEqual((found.status, found.detail), ("revoked", f"on {day} (keyCompromise)"))
        self.assertEqual(str(found), f"revoked on {day} (keyCompromise), says it")

    def test_unknown(self) -> None:
        """A responder that does not know the certificate."""
        self.assertEqual(read(answer(PEER, "unknown")).status, "unknown")

    def test_delegate(self) -> None:
        """Section 4.2.2.2: a responder whose certificate the issuer made for that, by name or by key."""
        for byHash in (False, True):
            self.assertEqual(read(answer(PEER, signer=responder(), byHash=byHash)).status, "good")

    def test_notADelegate(self) -> None:
        """Section 4.2.2.2: somebody else's responder, another certificate of the issuer, an old responder."""
        stranger = authority("Stranger")
        for signer, words in (
            (stranger, "signed by CN=Stranger, whom the issuer does not know"),
            (responder("Foreign", stranger), "signed by CN=Foreign, whom the issuer does not know"),
            (responder("Below", intermediate()), "signed by CN=Below, whom the issuer does not know"),
            (OTHER, "signed by CN=Test Leaf, which is no OCSP responder"),
            (
                leaf((), extensions=[usage(ExtendedKeyUsageOID.SERVER_AUTH)], keyName="server"),
                "which is no OCSP responder",
            ),
            (responder("Old", expired=True), "signed by CN=Old, whose certificate is not valid now"),
        ):
            self.assertUseless(words, answer(PEER, signer=signer))
        self.assertUseless("does not say who that is", answer(PEER, signer=responder(), enclosed=()))

    def test_forged(self) -> None:
        """An octet changed; another key under the issuer's name, or beside a responder's certificate."""
        der = bytearray(answer(PEER))
        der[-1] ^= 1
        self.assertUseless("its signature is wrong", bytes(der))
        self.assertUseless("its signature is wrong", answer(PEER, signer=impostor("Test Root")))
        false = answer(PEER, signer=impostor("Responder"), enclosed=(responder(),))
        self.assertUseless("its signature is wrong", false)

    def test_weak(self) -> None:
        """Signed by the issuer, with SHA-1."""
        about, root = weaklySigned(dns("carrier.example"))
        strong = answer(about, issuer=root)
        read = ocsp.load_der_ocsp_response(strong)
        weak = weakened(strong, read.tbs_response_bytes, read.signature, root)
        self.assertIsInstance(ocsp.load_der_ocsp_response(weak).signature_hash_algorithm, SHA1)
        found = readAnswer(strong, about.certificate, root.certificate, NOW, "says it", None)
        self.assertEqual(found.status, "good")
        told = (weak, about.certificate, root.certificate, NOW, "says it", None)
        problem = self.assertRaises(ValueError, readAnswer, *told)
        self.assertEqual(str(problem), "its signature is too weak (sha1)")

    def test_everyOctet(self) -> None:
        """An answer of which any octet was changed, or that ends anywhere, says the same or nothing."""
        for der in (answer(PEER, "revoked"), answer(PEER, signer=responder(), nonce=b"n" * 32)):
            found, refused = read(der), 0
            for place in range(len(der)):
                for flip in (0x01, 0x20, 0x80):
                    changed = bytearray(der)
                    changed[place] ^= flip
                    try:
                        self.assertEqual(read(bytes(changed)), found, f"octet {place}")
                    except ValueError:
                        refused += 1
                self.assertRaises(ValueError, read, der[:place])
            self.assertGreater(refused, len(der))

    def test_anotherCertificate(self) -> None:
        """The certID must match: another serial number, the same one of another issuer."""
        self.assertUseless("about another certificate", answer(OTHER))
        namesake = Issued(PEER.certificate, PEER.key)
        self.assertUseless(
            "about another certificate",
            answer(namesake, issuer=authority("Stranger"), signer=authority(), enclosed=()),
        )

    def test_time(self) -> None:
        """Section 3.2: not old, not of the future; without an end it holds for a day; clocks may differ."""
        day = 24 * HOUR
        for age, lasts, words in (
            (day, HOUR, "it ended on "),
            (-HOUR, day, "it is of the future"),
            (2 * day, None, "it ended on "),
        ):
            self.assertUseless(words, answer(PEER, age=age, lasts=lasts))
        minute = datetime.timedelta(minutes=1)
        for age, lasts in ((HOUR + minute, HOUR), (-minute, HOUR), (day - minute, None)):
            self.assertEqual(read(answer(PEER, age=age, lasts=lasts)).status, "good")

    def test_nonce(self) -> None:
        """The nonce of the question is repeated, or left out, as in answers made in advance."""
        self.assertEqual(read(answer(PEER, nonce=b"n" * 32), nonce=b"n" * 32).status, "good")
        self.assertEqual(read(answer(PEER), nonce=b"n" * 32).status, "good")
        self.assertUseless("its nonce is not ours", answer(PEER, nonce=b"o" * 32), b"n" * 32)

    def test_noAnswer(self) -> None:
        """A responder that has none, and octets that are none."""
        for status in (ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED):
            der = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
            self.assertUseless(f"the responder answers {status.name.lower()}", der)
        for nothing in (b"", b"<html>", answer(PEER)[:-20]):
            self.assertRaises(ValueError, read, nothing)

    def test_question(self) -> None:
        """About this certificate, with the nonce."""
        request = ocsp.load_der_ocsp_request(question(PEER.certificate, authority().certificate, b"n" * 32))
        self.assertEqual(request.serial_number, PEER.certificate.serial_number)
        nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        self.assertEqual(nonce, b"n" * 32)

    def test_named(self) -> None:
        """Responders on HTTP; whether a stapled answer is promised (RFC 7633)."""
        urls = (URL, "https://ocsp.example/", "ldap://ocsp.example/", "http://other.example/")
        several = leaf((), extensions=[access(*urls), x509.TLSFeature([x509.TLSFeatureType.status_request])])
        self.assertEqual(responders(several.certificate), (urls[0], urls[3]))
        self.assertEqual(responders(OTHER.certificate), ())
        self.assertTrue(mustStaple(several.certificate))
        self.assertFalse(mustStaple(OTHER.certificate))


class ListTests(SynchronousTestCase):
    """L{lookUp}."""

    def find(self, *pems: bytes, about: Issued = PEER) -> Answer | str:
        """In the lists of one file."""
        return lookUp(loadCRLs(b"\n".join(pems)), about.certificate, authority().certificate, NOW)

    def assertGood(self, *pems: bytes, about: Issued = PEER) -> None:
        """It is not on them, and would be."""
        found = self.find(*pems, about=about)
        assert isinstance(found, Answer), found
        self.assertEqual((found.status, found.source), ("good", "says the CRL of CN=Test Root"))

    def test_good(self) -> None:
        """A list of the issuer, among others; the end of the answer is the list's."""
        self.assertGood(crl(OTHER))
        stranger = authority("Stranger")
        self.assertGood(crl(issuer=stranger), crl(OTHER), crl(PEER, issuer=stranger))
        found = self.find(crl(OTHER))
        assert isinstance(found, Answer)
        self.assertEqual(found.until, NOW + 23 * HOUR)

    def test_revoked(self) -> None:
        """Also where the list is old, or another one does not name it."""
        for pems in ((crl(PEER),), (crl(PEER, age=48 * HOUR),), (crl(OTHER), crl(PEER)), (crl(PEER), crl())):
            found = self.find(*pems)
            assert isinstance(found, Answer), found
            self.assertEqual(found.status, "revoked")
        self.assertIn("keyCompromise", str(found))
        found = self.find(crl(PEER, reason=None))
        assert isinstance(found, Answer)
        self.assertNotIn("(", str(found))

    def test_useless(self) -> None:
        """Old, of the future, forged, of somebody else."""
        for pem, why in (
            (crl(age=48 * HOUR), "the CRL of CN=Test Root ended on "),
            (crl(age=-HOUR), "the CRL of CN=Test Root is of the future"),
            (crl(signer=OTHER), "the CRL of CN=Test Root is not signed by it"),
            (crl(PEER, signer=OTHER), "the CRL of CN=Test Root is not signed by it"),
            (crl(issuer=authority("Stranger")), "no CRL of CN=Test Root"),
        ):
            found = self.find(pem)
            assert isinstance(found, str), found
            self.assertIn(why, found)

    def test_scope(self) -> None:
        """RFC 5280 section 5.2.5: a list of others than this certificate is no proof that it is good."""
        url = x509.UniformResourceIdentifier("http://crl.example/1")
        sharded = leaf((), extensions=[x509.CRLDistributionPoints([_point(url)])])
        for extension, about, good in (
            (_scope(onlyUsers=True), PEER, True),
            (_scope(onlyAuthorities=True), PEER, False),
            (_scope(onlyUsers=True), intermediate(), False),
            (_scope(onlyAuthorities=True), intermediate(), True),
            (_scope(full=[url]), PEER, False),
            (_scope(full=[url]), sharded, True),
            (_scope(full=[x509.UniformResourceIdentifier("http://crl.example/2")]), sharded, False),
            (_scope(reasons=frozenset([x509.ReasonFlags.key_compromise])), PEER, False),
            (_scope(indirect=True), PEER, False),
            (x509.DeltaCRLIndicator(1), PEER, False),
        ):
            if good:
                self.assertGood(crl(extensions=[extension]), about=about)
            else:
                found = self.find(crl(extensions=[extension]), about=about)
                self.assertEqual(found, "the CRL of CN=Test Root is about other certificates")
        # The serial numbers of an indirect list may be those of other issuers.
        found = self.find(crl(PEER, extensions=[_scope(indirect=True)]))
        self.assertEqual(found, "the CRL of CN=Test Root is about other certificates")

    def test_everyOctet(self) -> None:
        """A list of which any octet was changed names the same certificates or proves nothing."""
        (one,) = loadCRLs(crl(OTHER))
        der = one.public_bytes(Encoding.DER)
        for place in range(len(der)):
            changed = bytearray(der)
            changed[place] ^= 0x01
            for about in (PEER, OTHER):
                wanted = lookUp([one], about.certificate, authority().certificate, NOW)
                try:
                    lists = loadCRLs(bytes(changed))
                    found = lookUp(lists, about.certificate, authority().certificate, NOW)
                except ValueError:
                    continue
                self.assertTrue(isinstance(found, str) or found == wanted, f"octet {place}")

    def test_files(self) -> None:
        """PEM with text between the blocks, DER; nothing is an error."""
        (one,) = loadCRLs(crl(PEER))
        self.assertEqual(len(loadCRLs(b"of today\n" + crl(PEER) + b"\nof tomorrow\n" + crl())), 2)
        self.assertEqual(loadCRLs(one.public_bytes(Encoding.DER)), (one,))
        for nothing in (b"", b"nothing", authority().pem):
            self.assertRaises(ValueError, loadCRLs, nothing)


def _point(name: x509.GeneralName) -> x509.DistributionPoint:
    return x509.DistributionPoint([name], None, None, None)


def _scope(
    *,
    full: list[x509.GeneralName] | None = None,
    onlyUsers: bool = False,
    onlyAuthorities: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    indirect: bool = False,
) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(full, None, onlyUsers, onlyAuthorities, reasons, indirect, False)
