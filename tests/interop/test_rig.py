"""The rig itself: what judges the trunk is judged first."""

from __future__ import annotations

import base64
import struct
import subprocess
import time
import urllib.parse

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.rig.audio import decodeG711, encodeALaw, judge, readWAV, sineALaw
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.capture import Capture, Datagram
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.evidence import judgePayloads, secureLeg
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.openssl import SServer
from tests.interop.rig.ports import host
from tests.interop.rig.processes import program, waitUntil
from tests.interop.rig.sip import agreed, requests, responses
from tests.interop.rig.srtp import ReferenceSRTP, decryptAll, derive, keystream
from tests.interop.rig.trunk import secretForms


def _packet(sequence: int, payload: bytes = b"x" * 160, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence, sequence * 160, ssrc) + payload


def _datagrams(packets: list[bytes]) -> list[Datagram]:
    return [Datagram(0.0, ("127.0.0.1", 1), ("127.0.0.1", 2), packet) for packet in packets]


class ReferenceTests(SynchronousTestCase):
    """The reference SRTP, without peers."""

    suite = "AES_CM_128_HMAC_SHA1_32"
    master = bytes(range(30))

    def test_keystreamVectors(self) -> None:
        """RFC 3711 appendix B.2: the first blocks of AES counter mode."""
        key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        salt = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd")
        expected = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
        self.assertEqual(keystream(key, salt, 0, 0, 32).hex(), expected)

    def test_keyDerivationVectors(self) -> None:
        """RFC 3711 appendix B.3: session keys of a master key."""
        master = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
        self.assertEqual(derive(master, 0, 16).hex(), "c61e7a93744f39ee10734afe3ff7a087")
        self.assertEqual(derive(master, 2, 14).hex(), "30cbbc08863d8c85d49db34a9ae1")
        self.assertEqual(derive(master, 1, 20).hex(), "cebe321f6ff7716b6fd4ab49af256a156d38baa4")

    def test_plainPacketIsFound(self) -> None:
        """One packet in clear among SRTP is not overlooked."""
        sender = ReferenceSRTP(self.suite, self.master)
        packets = [sender.protect(_packet(number)) for number in range(3)] + [_packet(3)]
        self.assertRaises(AssertionError, decryptAll, _datagrams(packets), self.suite, self.master)
        self.assertEqual(len(decryptAll(_datagrams(packets[:3]), self.suite, self.master).rtp), 3)

    def test_reusedIndexIsFound(self) -> None:
        """The same index twice, even with another payload, is not overlooked; nor across the roll-over."""
        sender = ReferenceSRTP(self.suite, self.master)
        packets = [sender.protect(_packet(number & 0xFFFF)) for number in range(0xFFFE, 0x10002)]
        found = decryptAll(_datagrams(packets), self.suite, self.master)
        self.assertEqual([index for _, index, _ in found.rtp], list(range(0xFFFE, 0x10002)))
        again = ReferenceSRTP(self.suite, self.master).protect(_packet(0xFFFE, b"other"))
        self.assertRaises(
            AssertionError, decryptAll, _datagrams([packets[0], again]), self.suite, self.master
        )

    def test_wrongToneIsFound(self) -> None:
        """Another tone, a mixture and silence are not the right tone."""
        right = judge(decodeG711(sineALaw(450, 1)), 450)
        self.assertEqual((right.frames, right.right), (50, 50))
        one, other = decodeG711(sineALaw(450, 1)), decodeG711(sineALaw(1000, 1, 400))
        mixture = decodeG711(encodeALaw([a + b for a, b in zip(one, other, strict=True)]))
        for samples in (decodeG711(sineALaw(1000, 1)), mixture, [0] * 8000):
            self.assertEqual(judge(samples, 450).right, 0)

    def test_secretForms(self) -> None:
        """A secret is found in hex, in URL form and in base64 at any place."""
        secret = b"Mark3r+Secret/7=q&s"
        forms = secretForms(secret)
        hidden = [secret.hex().encode(), urllib.parse.quote(secret, safe="").encode()]
        hidden += [base64.b64encode(b"user:xyz"[:length] + secret + b"tail") for length in range(9)]
        for text in hidden:
            self.assertTrue(any(form in text for form in forms), text)
        self.assertFalse(any(form in b"an innocent line of a log" for form in forms))


class PeerTests(InteropCase):
    """The peers among themselves, without the trunk."""

    def test_securePhones(self) -> None:
        """
        Two phones behind the carrier: every packet between them decrypts, with the reference and
        with ffmpeg, and each hears the other's tone.  What the trunk's tests ask for can be met.
        """
        certificate = Authority(self.scratch).issue("server")
        users = {"alice": "one", "bob": "two"}
        carrier = self.started(Kamailio(self.scratch, certificate, users, {"+442079460000": "bob"}))
        where = f"{carrier.address}:{carrier.port}"
        phones = [
            Baresip.atCarrier(
                self.scratch, user, password, tone, where, certificate=certificate, address=address
            )
            for (user, password), tone, address in zip(
                users.items(), (450, 1000), (host(21), host(22)), strict=True
            )
        ]
        alice, bob = (self.started(phone) for phone in phones)
        carrier.waitRegistered("alice")
        carrier.waitRegistered("bob")
        with Capture() as capture:
            alice.dial(f"sip:+442079460000@{DOMAIN}")
            alice.waitEvent("CALL_ESTABLISHED")
            time.sleep(5.5)  # an RTCP report comes every five seconds
            alice.hangUp()
            bob.waitEvent("CALL_CLOSED")
        messages = bob.messages()
        offer = requests(messages, "INVITE", sent=False)[-1]
        keys = agreed(offer, responses(messages, "INVITE", 200, sent=True)[-1])
        leg = secureLeg(self.scratch, capture, bob.mediaPorts, keys, phoneOffered=False, trunk=False)
        for found, tone in ((leg.toPhone, 450), (leg.fromPhone, 1000)):
            verdict = judgePayloads(found, tone)
            self.assertGreater(verdict.frames, 250)
            self.assertGreaterEqual(verdict.share, 0.98)
            self.assertGreaterEqual(len(found.rtcp), 1)
        for phone, tone in ((alice, 1000), (bob, 450)):
            self.assertGreaterEqual(judge(readWAV(phone.recordings()[-1]), tone).share, 0.98)

    def test_applicationOctets(self) -> None:
        """C{s_server} keeps exactly what a client sends above TLS; a handshake alone is nothing."""
        authority = Authority(self.scratch)
        server = self.started(SServer(self.scratch, authority.issue("server")))
        client = [program("openssl"), "s_client", "-connect", f"{server.address}:{server.port}", "-quiet"]
        client += ["-CAfile", str(authority.file), "-verify_return_error", "-no_ign_eof"]
        for said, name in ((b"", DOMAIN), (b"sixteen octets..", DOMAIN), (b"never sent", "other.example")):
            subprocess.run(
                [*client, "-servername", name, "-verify_hostname", name],
                input=said,
                capture_output=True,
                timeout=10,
            )
        waitUntil(lambda: server.hellos() == 3, 5, "three handshakes")
        self.assertEqual(server.applicationOctets(), b"sixteen octets..")
        self.assertEqual(server.alerts()[-1:], ["fatal bad_certificate"])
