"""
Traps of media that makers of such clients fell into: checked by the vectors of RFC 3711 and by an
implementation that shares nothing with libsrtp, never only by our one end against our other.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.srtp import protector
from skypetrunk.wire.rtp import parseRTCP
from skypetrunk.wire.sdes import MasterKey
from tests.interop.rig.srtp import NotAuthentic, ReferenceSRTP, derive, keystream
from tests.media.doubles import CARRIER, PBX, SUITE, Call, key, rtp
from tests.media.test_vectors import VECTORS

REPORT = bytes.fromhex("80c80006 0000cafe") + bytes(20)


def vector(name: str) -> dict[str, Any]:
    """A vector of RFC 3711."""
    vectors = json.loads((VECTORS / "rfc_vectors.json").read_text())["vectors"]
    return next(each for each in vectors if each["id"] == name)


def masterKey() -> MasterKey:
    """That of RFC 3711 B.3."""
    found = vector("rfc3711-B.3")
    return MasterKey(bytes.fromhex(found["master_key"]), bytes.fromhex(found["master_salt"]))


def octets(key: MasterKey) -> bytes:
    """Key and salt in one."""
    return key.key + key.salt


class TrapTests(SynchronousTestCase):
    """One test for each trap."""

    def test_L1_packetIndex(self) -> None:
        """
        The 48-bit index was XORed into the wrong octets of the IV, alike at both ends.  It stands in octets 8
        to 13 (RFC 3711 section 4.1.1): zeros that we protect are the key stream of B.2 and B.3's keys, also
        after the sequence number has wrapped and the index has more than 16 bits.
        """
        found = vector("rfc3711-B.2")
        stream = b"".join(bytes.fromhex(each["keystream"]) for each in found["blocks"][:3])
        session, salt = (bytes.fromhex(found[name]) for name in ("session_key", "session_salt_shifted"))
        self.assertEqual(keystream(session, salt[:14], 0, 0, 48), stream)
        outputs = {each["label"]: bytes.fromhex(each["value"]) for each in vector("rfc3711-B.3")["outputs"]}
        ours = protector(SUITE, masterKey())
        for sequence in range(0xFFF0, 0x10010):
            packet = ours.rtp(rtp(sequence, ssrc=0x12345678, payload=bytes(64)))
            wanted = keystream(outputs[0], outputs[2], 0x12345678, sequence, 64)
            self.assertEqual(packet[12:76].hex(), wanted.hex())

    def test_L1_bothWays(self) -> None:
        """A foreign implementation reads what a call sends, and the call what it sends, over the wrap."""
        call = Call()
        carrier, reader = ReferenceSRTP(SUITE, octets(key(2))), ReferenceSRTP(SUITE, octets(key(1)))
        for sequence in range(65_500, 65_580):
            call.clock.advance(0.02)
            call.fromPBX(rtp(sequence, payload=b"out %d" % sequence))
            _, plain = reader.unprotect(call.network.sent.pop().data)
            self.assertEqual(plain[12:], b"out %d" % sequence)
            call.fromCarrier(carrier.protect(rtp(sequence, payload=b"in %d" % sequence)))
            self.assertEqual(call.network.sent.pop().data[12:], b"in %d" % sequence)
        self.assertEqual(call.secure.statistics().received.refused, ())

    def test_L2_labels(self) -> None:
        """
        SRTCP keys were derived with the labels of SRTP: every RTCP packet of the carrier failed.  Labels are
        0, 1, 2 for SRTP and 3, 4, 5 for SRTCP (RFC 3711 section 4.3.2).
        """
        for each in vector("rfc3711-B.3")["outputs"]:
            derived = derive(octets(masterKey()), each["label"], each["octets"])
            self.assertEqual(derived.hex(), each["value"])
        call = Call()
        carrier, reader = ReferenceSRTP(SUITE, octets(key(2))), ReferenceSRTP(SUITE, octets(key(1)))
        call.fromPBX(rtp(10))
        call.network.take()
        for number in range(1, 4):
            call.network.deliver(call.secure.address.rtcpPort, carrier.protectRTCP(REPORT), CARRIER)
            self.assertEqual(call.secure.statistics().received.rtcpPackets, number)
            call.network.take()
            report = bytes.fromhex("80c80006 11111111") + bytes(20)
            call.network.deliver(call.plain.address.rtcpPort, report, (PBX[0], PBX[1] + 1))
            _, plain = reader.unprotectRTCP(call.network.take()[-1].data)
            self.assertEqual(parseRTCP(plain)[0].packetType, 200)

    def test_L2_mixedUp(self) -> None:
        """A carrier that falls into it is refused, so these tests would see it."""
        wrong = ReferenceSRTP(SUITE, octets(key(2)))
        wrong._rtcpKeys = wrong._keys
        call = Call()
        call.network.deliver(call.secure.address.rtcpPort, wrong.protectRTCP(REPORT), CARRIER)
        self.assertEqual(call.secure.statistics().received.rtcpPackets, 0)
        ours = protector(SUITE, key(2)).rtcp(REPORT)
        self.assertRaises(NotAuthentic, wrong.unprotectRTCP, ours)

    def test_L11_severalSources(self) -> None:
        """
        A carrier used four SSRCs on one pair of ports, and the loss went wild: each has a sequence and a
        roll-over counter of its own, also when they alternate and wrap at different times.
        """
        call = Call()
        carrier = ReferenceSRTP(SUITE, octets(key(2)))
        firsts = {0xA1: 65_500, 0xA2: 10, 0xA3: 40_000, 0xA4: 65_530}
        heard = 0
        for number in range(100):
            call.clock.advance(0.02)
            for ssrc, first in firsts.items():
                payload = b"%x %d" % (ssrc, number)
                packet = carrier.protect(rtp(first + number, ssrc=ssrc, payload=payload))
                if number % 10 == 3 and ssrc == 0xA3:
                    continue  # lost on the way
                call.fromCarrier(packet)
                self.assertEqual(call.network.sent.pop().data[12:], payload)
                heard += 1
        received = call.secure.statistics().received
        self.assertEqual((received.authenticated, received.lost, received.refused), (heard, 10, ()))
