"""Switches of certificates, TLS, OCSP, names and nodes do what they say, as a client on the wire sees it."""

from __future__ import annotations

import base64
import datetime
import socket
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL
from twisted.internet import defer
from twisted.internet.error import CannotListenError, ConnectionLost, ConnectionRefusedError, TimeoutError
from twisted.names import client as names
from twisted.names import dns, error
from twisted.web.client import Agent, readBody

from skypetrunk.lab.dns import NAMES
from skypetrunk.lab.leaves import FAULTS
from skypetrunk.lab.nodes import NODES
from skypetrunk.lab.revocation import ANSWERS
from skypetrunk.net.crl import loadCRLs
from tests.lab.raw import DOMAIN, LabCase, RawClient

GOOD = 0
NO_ISSUER, NOT_YET, EXPIRED, SELF_SIGNED, PURPOSE = 20, 9, 10, 18, 26
"""Error numbers of OpenSSL (X509_V_ERR_)."""


class CertificateTests(LabCase):
    """C{certificate}."""

    def names(self, client: RawClient) -> list[str]:
        """The DNS names of the certificate."""
        found = client.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return found.get_values_for_type(x509.DNSName)

    async def test_all(self) -> None:
        """Each kind, switched while the lab runs; OpenSSL says what is wrong with it."""
        self.start(nodes="good,dead")
        verdicts = {
            "expired": EXPIRED,
            "not-yet-valid": NOT_YET,
            "other-ca": NO_ISSUER,
            "no-intermediate": NO_ISSUER,
            "self-signed": SELF_SIGNED,
            "client-only": PURPOSE,
        }
        seen = {}
        for fault in FAULTS:
            await self.lab.switch({"certificate": fault})
            client = seen[fault] = await self.connect()
            self.assertTrue(client.shaken, fault)
            wanted = verdicts.get(fault, GOOD)
            self.assertIn(wanted, client.verdicts, fault)
            self.assertEqual(bool(client.verdicts - {GOOD}), wanted != GOOD, fault)
        self.assertEqual(self.names(seen["none"]), [DOMAIN])
        self.assertEqual(self.names(seen["wrong-name"]), ["other.example"])
        self.assertEqual(self.names(seen["wildcard"]), ["*.skype.com"])
        self.assertEqual(self.names(seen["target-name"]), [f"edge1.{DOMAIN}", f"edge2.{DOMAIN}"])
        self.assertRaises(x509.ExtensionNotFound, self.names, seen["no-san"])
        self.assertIn(DOMAIN, seen["no-san"].leaf.subject.rfc4514_string())
        self.assertEqual([seen[each].chain for each in ("none", "no-intermediate", "self-signed")], [2, 1, 1])
        key = seen["weak-key"].leaf.public_key()
        assert isinstance(key, RSAPublicKey)
        self.assertEqual(key.key_size, 1024)
        left = seen["expires-soon"].leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        self.assertLess(left, datetime.timedelta(days=3))
        feature = seen["must-staple"].leaf.extensions.get_extension_for_class(x509.TLSFeature).value
        self.assertIn(x509.TLSFeatureType.status_request, feature)


class TLSTests(LabCase):
    """C{tls}, C{key-exchange}, C{ciphers}, C{client-certificate}."""

    async def agreed(self, **switches: str) -> tuple[str, str]:
        """Version and suite of a client that takes all."""
        await self.lab.switch({name.replace("_", "-"): value for name, value in switches.items()})
        client = await self.connect()
        self.assertTrue(client.shaken, switches)
        return client.handle.get_protocol_version_name(), client.handle.get_cipher_name() or ""

    async def test_versions(self) -> None:
        """One version, old ones too; who wants another gets an alert."""
        self.start()
        for switch, version in [("1.0", "TLSv1"), ("1.1", "TLSv1.1"), ("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")]:
            self.assertEqual((await self.agreed(tls=switch))[0], version)
        self.assertEqual((await self.agreed(tls="any"))[0], "TLSv1.3")
        await self.lab.switch({"tls": "1.1"})
        modern = self.context()
        modern.set_min_proto_version(SSL.TLS1_2_VERSION)
        client = await self.connect(context=modern)
        self.assertIsInstance(client.lost, SSL.Error)
        self.assertIn("protocol version", str(client.lost))

    async def test_suites(self) -> None:
        """Static RSA leaves nothing for who insists on forward secrecy."""
        self.start()
        version, suite = await self.agreed(key_exchange="rsa")
        self.assertEqual((version, suite), ("TLSv1.2", "AES256-GCM-SHA384"))
        secret = self.context()
        secret.set_cipher_list(b"ECDHE+AESGCM")
        client = await self.connect(context=secret)
        self.assertIn("handshake failure", str(client.lost))
        self.assertIn("ECDHE-RSA", (await self.agreed(key_exchange="ecdhe", tls="1.2"))[1])
        self.assertEqual((await self.agreed(ciphers="AES128-SHA"))[1], "AES128-SHA")

    async def test_clientCertificate(self) -> None:
        """Not asked for, asked for, required; files for who has to show one."""
        self.start(tls="1.2")
        for switch, shows, wanted in [
            ("off", False, (True, False)),
            ("optional", False, (True, True)),
            ("optional", True, (True, True)),
            ("required", True, (True, True)),
            ("required", False, (False, True)),
        ]:
            await self.lab.switch({"client-certificate": switch})
            client = await self.connect(context=self.context(shows))
            asked = bool(client.handle.get_client_ca_list())
            self.assertEqual((client.shaken, asked), wanted, (switch, shows))


class OCSPTests(LabCase):
    """C{ocsp} and C{staple}: the responder's answers, read by cryptography, and those in the handshake."""

    def question(self, client: RawClient) -> bytes:
        """The request about a certificate."""
        issuer = self.lab.authority.issuer
        request = ocsp.OCSPRequestBuilder().add_certificate(client.leaf, issuer, SHA1()).build()
        return request.public_bytes(Encoding.DER)

    async def asked(self, client: RawClient, post: bool = False) -> bytes:
        """What the responder says, at the address that stands in the certificate."""
        access = client.leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        url = access[0].access_location.value.encode()
        web = Agent(self.reactor)
        question = self.question(client)
        if post:
            from io import BytesIO

            from twisted.web.client import FileBodyProducer

            response: Any = await web.request(b"POST", url, None, FileBodyProducer(BytesIO(question)))
        else:
            response = await web.request(b"GET", url + base64.b64encode(question).replace(b"/", b"%2F"))
        body: bytes = await readBody(response)
        return body

    async def test_answers(self) -> None:
        """Good, revoked, unknown, old, of a stranger, busy; stapled or not."""
        self.start(staple="on")
        for answer in ANSWERS:
            await self.lab.switch({"ocsp": answer})
            client = await self.connect()
            if answer in ("silent", "no-url"):
                self.assertEqual(client.staple, b"")
                continue
            assert client.staple is not None
            for octets in (client.staple, await self.asked(client), await self.asked(client, post=True)):
                response = ocsp.load_der_ocsp_response(octets)
                if answer == "try-later":
                    self.assertEqual(response.response_status, ocsp.OCSPResponseStatus.TRY_LATER)
                    continue
                status = {"revoked": "REVOKED", "unknown": "UNKNOWN"}.get(answer, "GOOD")
                self.assertEqual(response.certificate_status.name, status)
                self.assertEqual(response.serial_number, client.leaf.serial_number)
                ended = response.next_update_utc < datetime.datetime.now(datetime.UTC)  # type: ignore[operator]
                self.assertEqual(ended, answer == "old")
                key = self.lab.authority.issuer.public_key()
                assert isinstance(key, ec.EllipticCurvePublicKey)
                assert response.signature_hash_algorithm is not None
                signed = ec.ECDSA(response.signature_hash_algorithm)
                try:
                    key.verify(response.signature, response.tbs_response_bytes, signed)
                    valid = True
                except Exception:
                    valid = False
                self.assertEqual(valid, answer != "stranger")
        await self.lab.switch({"ocsp": "good", "staple": "off"})
        self.assertEqual((await self.connect()).staple, b"")

    async def test_intermediate(self) -> None:
        """The responder and the lists know the intermediate too, for who wants all of the chain proved."""
        self.start()
        root = self.lab.authority.root
        for answer, status in (("good", "GOOD"), ("revoked", "GOOD"), ("ca-revoked", "REVOKED")):
            await self.lab.switch({"ocsp": answer})
            issuer = x509.load_pem_x509_certificate(self.lab.identity.chain[1])
            octets = self.lab.credentials.responder.answer(issuer.serial_number)
            assert octets is not None
            response = ocsp.load_der_ocsp_response(octets)
            self.assertEqual(response.certificate_status.name, status)
            key = root.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            assert response.signature_hash_algorithm is not None
            signed = ec.ECDSA(response.signature_hash_algorithm)
            key.verify(response.signature, response.tbs_response_bytes, signed)
            access = issuer.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
            self.assertIn(str(self.lab.credentials.port), access[0].access_location.value)
            _, crl = loadCRLs(self.lab.credentials.revocationFile.read_bytes())
            self.assertTrue(crl.is_signature_valid(key))
            entry = crl.get_revoked_certificate_by_serial_number(issuer.serial_number)
            self.assertEqual(entry is not None, answer == "ca-revoked")

    async def test_silent(self) -> None:
        """The responder hears the question and says nothing."""
        self.start(ocsp="silent")
        client = await self.connect()
        waiting = self.asked(client)
        from twisted.internet.defer import Deferred

        asking = Deferred.fromCoroutine(waiting)
        await self.until(lambda: self.lab.credentials.responder.asked)
        await self.pause(0.05)
        self.assertFalse(asking.called)
        asking.addErrback(lambda failure: None)
        asking.cancel()

    async def test_noAddress(self) -> None:
        """No responder in the certificate."""
        self.start(ocsp="no-url")
        leaf = (await self.connect()).leaf
        self.assertRaises(
            x509.ExtensionNotFound, leaf.extensions.get_extension_for_class, x509.AuthorityInformationAccess
        )

    async def test_noQuestion(self) -> None:
        """What is no OCSP request gets 400; of certificates that are not the lab's nothing is known."""
        self.start()
        base = f"http://127.0.0.1:{self.lab.credentials.port}/".encode()
        for path in (b"", b"!!", b"AAAA", b"%zz"):
            response: Any = await Agent(self.reactor).request(b"GET", base + path)
            self.assertEqual(response.code, 400, path)
            await readBody(response)
        octets = self.lab.credentials.responder.answer(1)
        assert octets is not None
        answer = ocsp.load_der_ocsp_response(octets)
        self.assertEqual(answer.response_status, ocsp.OCSPResponseStatus.TRY_LATER)

    async def test_newCertificate(self) -> None:
        """Another answer is about another certificate, as the last answer may be remembered; each gets it."""
        self.start()
        first = await self.connect()
        await self.lab.switch({"ocsp": "revoked"})
        second = await self.connect()
        self.assertNotEqual(first.leaf.serial_number, second.leaf.serial_number)
        for client in (first, second):
            response = ocsp.load_der_ocsp_response(await self.asked(client))
            self.assertEqual(response.certificate_status.name, "REVOKED")

    async def test_list(self) -> None:
        """The revocation list has the certificate in it once it is revoked."""
        self.start()
        client = await self.connect()
        for answer in ("good", "revoked"):
            await self.lab.switch({"ocsp": answer})
            crl, _ = loadCRLs(self.lab.credentials.revocationFile.read_bytes())
            key = self.lab.authority.issuer.public_key()
            self.assertTrue(crl.is_signature_valid(key))  # type: ignore[arg-type]
            entry = crl.get_revoked_certificate_by_serial_number(client.leaf.serial_number)
            self.assertEqual(entry is not None, answer == "revoked")


class NameTests(LabCase):
    """C{dns}, C{nodes}, C{srv}, C{ttl}, C{naptr}, asked over UDP."""

    def resolver(self) -> names.Resolver:
        """Asks the lab's name server, once."""
        return names.Resolver(
            servers=[(self.lab.settings.address, self.lab.names.port)], timeout=(1,), reactor=self.reactor
        )

    async def srv(self) -> list[tuple[int, int, str, int]]:
        """Priority, weight, target and port of each record."""
        answers, _, _ = await self.resolver().lookupService(f"_sips._tcp.{DOMAIN}")
        return sorted(
            (a.payload.priority, a.payload.weight, str(a.payload.target), a.payload.port) for a in answers
        )

    async def address(self, name: str) -> list[str]:
        """Addresses."""
        answers, _, _ = await self.resolver().lookupAddress(name)
        return [a.payload.dottedQuad() for a in answers]

    async def test_nodes(self) -> None:
        """A record and an address for each node; records change with the nodes."""
        self.start(nodes="dead,good")
        one, two = (node.address for node in self.lab.nodes)
        self.assertEqual((one.host, two.host), ("127.0.0.1", "127.0.0.2"))
        records = await self.srv()
        self.assertEqual(
            records, [(10, 50, f"edge1.{DOMAIN}", one.port), (20, 50, f"edge2.{DOMAIN}", two.port)]
        )
        self.assertEqual(await self.address(f"edge2.{DOMAIN}"), ["127.0.0.2"])
        await self.lab.switch({"srv": "balanced", "nodes": "good,good,good", "ttl": "7", "weights": "60,0"})
        records = await self.srv()
        self.assertEqual([each[:2] for each in records], [(10, 0), (10, 0), (10, 60)])
        self.assertEqual(records[0][3], two.port)
        answers, _, _ = await self.resolver().lookupAddress(f"edge3.{DOMAIN}")
        self.assertEqual(answers[0].ttl, 7)
        await self.lab.switch({"nodes": "good"})
        self.assertEqual(len(await self.srv()), 1)

    async def test_version6(self) -> None:
        """On ::1 the nodes have other ports instead of other addresses; the responder's URL has brackets."""
        self.start(address="::1", nodes="dead,good")
        records = await self.srv()
        one, two = (node.address for node in self.lab.nodes)
        self.assertEqual([each[3] for each in records], [one.port, two.port])
        self.assertEqual((one.host, two.host), ("::1", "::1"))
        answers, _, _ = await self.resolver().lookupIPV6Address(f"edge2.{DOMAIN}")
        self.assertEqual(answers[0].type, dns.AAAA)
        with self.assertRaises(ConnectionRefusedError):
            await self.tcp(0)
        client = await self.connect(1)
        self.assertTrue(client.shaken)
        access = client.leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        self.assertTrue(access[0].access_location.value.startswith("http://[::1]:"))

    async def test_naptr(self) -> None:
        """RFC 3263 section 4.1: SIPS over TCP, and its SRV owner."""
        self.start(naptr="on")
        answers, _, _ = await self.resolver().lookupNamingAuthorityPointer(DOMAIN)
        payload = answers[0].payload
        self.assertEqual(
            (payload.service.string, payload.flags.string, str(payload.replacement)),
            (b"SIPS+D2T", b"s", f"_sips._tcp.{DOMAIN}"),
        )

    async def test_faults(self) -> None:
        """What a client is told instead of the records."""
        self.start()
        failures: dict[str, type[Exception]] = {
            "nxdomain": error.DNSNameError,
            "no-srv": error.DNSNameError,
            "servfail": error.DNSServerError,
            "refused": error.DNSQueryRefusedError,
            "silent": defer.TimeoutError,
        }
        for answer in NAMES:
            await self.lab.switch({"dns": answer})
            if answer in failures:
                with self.assertRaises(failures[answer], msg=answer):
                    await self.srv()
                if answer == "no-srv":
                    self.assertEqual(await self.address(DOMAIN), ["127.0.0.1"])
                continue
            records = await self.srv()
            targets = [each[2] for each in records]
            wanted = {"good": [f"edge1.{DOMAIN}"], "unresolved": [f"edge1.{DOMAIN}"], "not-offered": [""]}
            self.assertEqual(targets, wanted.get(answer, []), answer)
            self.assertEqual(await self.address(DOMAIN), [], answer)
            if answer == "unresolved":
                self.assertEqual(await self.address(f"edge1.{DOMAIN}"), [])


class NodeTests(LabCase):
    """Each kind of node."""

    async def kind(self, kind: str) -> None:
        """Let the one node be that."""
        await self.lab.switch({"nodes": kind})

    async def test_deadAndSilent(self) -> None:
        """Refused; no answer to SYN; back at the same port."""
        self.start(nodes="dead")
        port = self.lab.port
        with self.assertRaises(ConnectionRefusedError):
            await self.tcp()
        await self.kind("silent")
        with self.assertRaises(TimeoutError):
            await self.tcp(timeout=1)
        await self.kind("good")
        self.assertTrue((await self.connect()).shaken)
        self.assertEqual(self.lab.port, port)

    async def test_dies(self) -> None:
        """Connections to a node that dies are reset."""
        self.start()
        client = await self.connect()
        await self.kind("dead")
        await self.until(lambda: client.lost)
        self.assertIsInstance(client.lost, ConnectionLost)

    async def test_stuck(self) -> None:
        """TCP stands, and no handshake comes."""
        self.start(nodes="stuck")
        client = await self.tcp()
        await self.pause(0.1)
        self.assertEqual((client.shaken, client.lost), (False, None))

    async def test_slow(self) -> None:
        """Each thing that is said waits, so that a handshake of TLS 1.2 takes two delays."""
        self.start(nodes="slow", delay="0.1", tls="1.2")
        before = self.reactor.seconds()
        self.assertTrue((await self.connect()).shaken)
        self.assertGreater(self.reactor.seconds() - before, 0.19)

    async def test_busy(self) -> None:
        """503 to everything new, with Retry-After where it is set."""
        self.start(nodes="503", retry_after="9")
        answer = await self.answer(await self.connect(), self.request("OPTIONS", 1))
        self.assertEqual((answer.status, answer.header("Retry-After")), (503, "9"))

    async def test_mute(self) -> None:
        """TLS is well, and no message is answered."""
        self.start(nodes="mute")
        client = await self.connect()
        client.transport.write(self.request("OPTIONS", 1).encode() + b"\r\n\r\n")
        await self.pause(0.1)
        self.assertEqual((client.shaken, client.data, client.lost), (True, b"", None))

    async def test_taken(self) -> None:
        """A node whose port somebody else has is told of, and can be asked for again."""
        self.start(nodes="dead")
        [node] = self.lab.nodes
        await node.leave()
        with socket.socket() as taken:
            taken.bind((node.address.host, node.address.port))
            taken.listen()
            with self.assertRaises(CannotListenError):
                await self.kind("good")
        await self.kind("good")
        self.assertTrue((await self.connect()).shaken)

    def test_all(self) -> None:
        """No kind is left out above."""
        self.assertEqual(set(NODES), {"good", "dead", "silent", "stuck", "slow", "503", "mute"})
