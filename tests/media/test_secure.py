"""
Tests of L{skypetrunk.media.secure}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError, StreamLost
from skypetrunk.interfaces import DeclaredKeys, IMediaLeg, MediaAddress
from skypetrunk.media.heard import REMOTE_KEYS
from skypetrunk.media.inbound import FORMER_SECONDS
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard, SessionParameters
from skypetrunk.media.secure import EARLY_PACKETS
from skypetrunk.media.srtp import protector
from skypetrunk.wire.rtp import SDES, SR, parseRTCP, parseRTP
from skypetrunk.wire.sdes import InlineKey, MasterKey
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, SecurePeer, key, rtp

ELSEWHERE = ("203.0.113.99", 7000)


def declared(*numbers: int, rate: int = 0) -> DeclaredKeys:
    """Keys of a peer, each with its number as an MKI of two octets."""
    return DeclaredKeys(tuple(InlineKey(key(number), None, number, 2) for number in numbers), rate)


def sender(*numbers: int, rate: int = 0) -> OwnGuard:
    """A peer that has declared that."""
    keys = [KeyedMKI(key(number), bytes((0, number))) for number in numbers]
    return OwnGuard(SUITE, keys, True, SessionParameters(rate=rate))


class SecureTestCase(SynchronousTestCase):
    """A call with both peers known, keep-alives behind it."""

    def setUp(self) -> None:
        """Make the call."""
        self.call = Call()
        self.leg = self.call.secure

    def refused(self) -> dict[str, int]:
        """What was not let in, by reason."""
        return dict(self.leg.statistics().received.refused)

    def toCarrier(self) -> list[tuple[str, int]]:
        """Where a packet of the PBX goes now."""
        self.call.fromPBX(rtp(self.call.plain.statistics().received.packets))
        return [sent.destination for sent in self.call.network.take()]


class RelayTests(SecureTestCase):
    """RTP to SRTP and back."""

    def test_interface(self) -> None:
        """It provides L{IMediaLeg}."""
        self.assertTrue(verifyObject(IMediaLeg, self.leg))

    def test_bothSuites(self) -> None:
        """Packets of the PBX reach the carrier protected, in a stream of ours; the carrier's come back."""
        for suite, tag in ((SUITE, 10), ("AES_CM_128_HMAC_SHA1_32", 4)):
            call = Call(suite)
            for sequence in range(65_530, 65_560):
                call.clock.advance(0.02)
                call.fromPBX(rtp(sequence, payload=b"p%d" % sequence))
                sent = call.network.sent.pop()
                self.assertEqual((sent.destination, len(sent.data)), (CARRIER, 12 + 6 + tag))
                self.assertNotIn(b"p%d" % sequence, sent.data)
                call.peer.receive(sent.data)
                call.fromCarrier(call.peer.protect(rtp(sequence)))
            self.assertEqual(call.peer.refused, [])
            self.assertEqual(
                [packet[12:] for packet in call.peer.plain], [b"p%d" % n for n in range(65_530, 65_560)]
            )
            self.assertEqual(len({header.ssrc for header in call.peer.headers}), 1)
            self.assertNotEqual(call.peer.headers[0].ssrc, 0x11111111)
            statistics = call.secure.statistics()
            self.assertEqual((statistics.secure, statistics.suite), (True, suite))
            self.assertEqual((statistics.received.packets, statistics.received.authenticated), (30, 30))
            self.assertEqual((statistics.received.lost, statistics.received.refused), (0, ()))
            self.assertEqual((statistics.sent.packets, statistics.sent.authenticated), (33, 33))
            self.assertEqual(len(call.receiveAll()), 30)

    def test_refused(self) -> None:
        """Forged, replayed, truncated and oversized packets reach nobody; each has its counter."""
        good = self.call.peer.protect(rtp(1))
        self.call.fromCarrier(good)
        self.call.receiveAll()
        self.call.fromCarrier(good)
        self.call.fromCarrier(rtp(2, payload=bytes(160)))
        self.call.fromCarrier(protector(SUITE, key(77)).rtp(rtp(3)))
        self.call.fromCarrier(good[:11])
        self.call.fromCarrier(bytes(4000))
        self.call.fromCarrier(b"")
        self.assertEqual(self.refused(), {"replay": 1, "authentication": 2, "malformed": 2, "size": 1})
        self.assertEqual(self.call.network.sent, [])

    def test_duplicateOfPBX(self) -> None:
        """A duplicate is dropped before it is protected."""
        for sequence in (1, 2, 2, 1, 3):
            self.call.fromPBX(rtp(sequence))
        self.call.receiveAll()
        self.assertEqual(len(self.call.peer.plain), 3)
        self.assertEqual(dict(self.leg.statistics().sent.refused), {"replay": 2})

    def test_noKey(self) -> None:
        """Without a key nothing leaves."""
        call = Call(ready=False)
        call.plain.setRemote(MediaAddress(*PBX, 0))
        call.secure.setRemote(MediaAddress(*CARRIER, 0))
        call.fromPBX(rtp(1))
        self.assertEqual(call.network.sent, [])
        self.assertEqual(dict(call.secure.statistics().sent.refused), {"no-key": 1})

    def test_systemRefuses(self) -> None:
        """What the system does not take is counted, and is not counted as sent."""
        self.call.network.ports[self.leg.address.port].failure = ConnectionRefusedError()
        before = self.leg.statistics().sent
        self.call.fromPBX(rtp(1))
        after = self.leg.statistics().sent
        self.assertEqual((after.packets, after.authenticated), (before.packets, before.authenticated))
        self.assertEqual(dict(after.refused), {"closed": 1, "unsent": 1})


class RTCPTests(SecureTestCase):
    """SRTCP both ways."""

    def test_toCarrier(self) -> None:
        """A report of the PBX leaves protected, as one of our stream, to the RTCP port."""
        self.call.fromPBX(rtp(10))
        self.call.receiveAll()
        header = self.call.peer.headers[-1]
        report = bytes.fromhex("80c80006 11111111") + bytes(8) + (10 * 160).to_bytes(4, "big") + bytes(8)
        name = bytes.fromhex("81ca0004 11111111") + b"\x01\x08pbx@10.1" + bytes(2)
        self.call.network.deliver(self.call.plain.address.rtcpPort, report + name, (PBX[0], PBX[1] + 1))
        (sent,) = self.call.network.take()
        self.assertEqual(sent.port, self.leg.address.rtcpPort)
        self.assertEqual(sent.destination, (CARRIER[0], CARRIER[1] + 1))
        plain = self.call.peer.unprotectRTCP(sent.data)
        self.assertEqual([p.packetType for p in parseRTCP(plain)], [SR, SDES])
        self.assertEqual({p.ssrc for p in parseRTCP(plain)}, {header.ssrc})
        self.assertEqual(plain[16:20], header.timestamp.to_bytes(4, "big"))
        self.assertNotIn(b"10.1", plain)
        self.assertEqual(self.leg.statistics().sent.rtcpPackets, 1)

    def test_malformed(self) -> None:
        """An authentic compound that says more than it has is refused, and counted as that alone."""
        compound = self.call.peer.protectRTCP(bytes.fromhex("80c90001 0000cafe 81ca0009 0000cafe"))
        self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        self.assertEqual(self.call.receiveAll(), [])
        received = self.leg.statistics().received
        self.assertEqual((received.rtcpPackets, received.refused), (0, (("malformed", 1),)))

    def test_toPBX(self) -> None:
        """The carrier's report on our stream speaks of the PBX's."""
        for sequence in range(100, 105):
            self.call.fromPBX(rtp(sequence))
        self.call.receiveAll()
        ours = self.call.peer.headers[-1]
        block = ours.ssrc.to_bytes(4, "big") + bytes(4) + ours.sequence.to_bytes(4, "big") + bytes(12)
        compound = self.call.peer.protectRTCP(bytes.fromhex("81c90007 0000cafe") + block)
        self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        (sent,) = self.call.receiveAll()
        (rr,) = parseRTCP(sent.data)
        self.assertEqual(rr.body[4:16], (0x11111111).to_bytes(4, "big") + bytes(4) + (104).to_bytes(4, "big"))
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 1)

    def test_refused(self) -> None:
        """Plain and forged RTCP are refused."""
        plain = bytes.fromhex("80c90001 0000cafe")
        self.call.network.deliver(self.leg.address.rtcpPort, plain, CARRIER)
        self.call.network.deliver(self.leg.address.rtcpPort, plain + bytes(14), CARRIER)
        self.assertEqual(self.call.network.sent, [])
        self.assertEqual(sum(self.refused().values()), 2)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 0)


class LatchTests(SecureTestCase):
    """The source is learned from authenticated packets only."""

    def test_signalledFirst(self) -> None:
        """Until then ours go where the SDP says."""
        self.assertEqual(self.toCarrier(), [CARRIER])

    def test_learned(self) -> None:
        """An authenticated packet from elsewhere moves ours there."""
        self.call.fromCarrier(self.call.peer.protect(rtp(1)), ELSEWHERE)
        self.call.network.take()
        self.assertEqual(self.toCarrier(), [ELSEWHERE])

    def test_stranger(self) -> None:
        """A forged packet, a replay, RTP in clear: none moves it."""
        good = self.call.peer.protect(rtp(1))
        self.call.fromCarrier(good)
        for packet in (good, good[:-1] + bytes([good[-1] ^ 1]), rtp(2), b"", bytes(3000)):
            self.call.fromCarrier(packet, STRANGER)
        self.call.network.take()
        self.assertEqual(self.toCarrier(), [CARRIER])
        self.assertEqual(sum(self.refused().values()), 5)

    def test_reInvite(self) -> None:
        """The same SDP again changes nothing; a new address counts at once."""
        self.call.fromCarrier(self.call.peer.protect(rtp(1)), ELSEWHERE)
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.call.network.take()
        self.assertEqual(self.toCarrier(), [ELSEWHERE])
        self.leg.setRemote(MediaAddress("203.0.113.30", 8000, 8001))
        self.assertEqual(self.toCarrier(), [("203.0.113.30", 8000)])
        self.call.clock.advance(1)
        self.call.fromCarrier(self.call.peer.protect(rtp(2)), ELSEWHERE)
        self.call.network.take()
        self.assertEqual(self.toCarrier(), [ELSEWHERE])


class KeyTests(SecureTestCase):
    """Contexts live as long as their keys."""

    def test_sameLocalKey(self) -> None:
        """A re-INVITE that repeats the key keeps stream and numbers."""
        self.call.fromPBX(rtp(1))
        self.leg.setLocalKey(SUITE, MasterKey(bytes(key(1).key), bytes(key(1).salt)))
        self.call.fromPBX(rtp(2))
        self.call.receiveAll()
        before, after = self.call.peer.headers
        self.assertEqual((after.ssrc, after.sequence), (before.ssrc, before.sequence + 1))

    def test_keyOnce(self) -> None:
        """A key that was replaced, or that another suite used, never comes back."""
        self.assertRaises(StreamLost, self.leg.setLocalKey, "AES_CM_128_HMAC_SHA1_32", key(1))
        self.leg.setLocalKey(SUITE, key(3))
        self.assertRaises(StreamLost, self.leg.setLocalKey, SUITE, key(1))
        self.leg.setLocalKey(SUITE, key(3))
        self.leg.release()
        self.assertRaises(StreamLost, self.leg.setLocalKey, SUITE, key(3))
        self.assertRaises(StreamLost, self.leg.setLocalKey, SUITE, key(4))

    def test_otherSuiteAndBack(self) -> None:
        """Two branches have a suite each: a stream goes on where it was, however often they take turns."""
        short = "AES_CM_128_HMAC_SHA1_32"
        peers = {SUITE: self.call.peer, short: SecurePeer(key(2), key(3), short)}
        control: dict[str, list[int]] = {SUITE: [], short: []}
        for turn in range(6):
            suite = (SUITE, short)[turn % 2]
            self.leg.setLocalKey(suite, key(1 if suite == SUITE else 3))
            self.assertEqual(self.leg.suite, suite)
            for number in range(3):
                self.call.fromPBX(rtp(turn * 10 + number))
            report = bytes.fromhex("80c9000111111111")
            self.call.network.deliver(self.call.plain.address.rtcpPort, report, PBX)
            for sent in self.call.network.take():
                if sent.port == self.leg.address.port:
                    peers[suite].receive(sent.data)
                elif sent.port == self.leg.address.rtcpPort:
                    peers[suite].unprotectRTCP(sent.data)
                    control[suite].append(int.from_bytes(sent.data[-14:-10], "big") & 0x7FFFFFFF)
        streams = []
        for suite, peer in peers.items():
            self.assertEqual(peer.refused, [])
            # The first packet of a source may wait for the next one; keep-alives are without sound.
            sequences = [each.sequence for each in peer.headers]
            self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(sequences))))
            self.assertGreaterEqual(len(sequences), 9)
            self.assertEqual(control[suite], [1, 2, 3])
            streams.append({each.ssrc for each in peer.headers})
        self.assertEqual([len(each) for each in streams], [1, 1])
        self.assertNotEqual(*streams)
        self.leg.setLocalKey(SUITE, key(5))
        self.assertRaises(StreamLost, self.leg.setLocalKey, SUITE, key(1))
        self.leg.setLocalKey(short, key(3))

    def test_newLocalKey(self) -> None:
        """A new key has a stream of its own."""
        self.call.fromPBX(rtp(1))
        self.call.receiveAll()
        self.leg.setLocalKey(SUITE, key(3))
        renewed = SecurePeer(key(2), key(3))
        self.call.fromPBX(rtp(2))
        for sent in self.call.network.take():
            renewed.receive(sent.data)
        self.assertEqual(renewed.refused, [])
        self.assertNotEqual(renewed.headers[0].ssrc, self.call.peer.headers[0].ssrc)

    def test_toldSSRC(self) -> None:
        """An SSRC that the peer was told is that of the stream under the key, and only of that."""
        self.leg.setLocalKey(SUITE, key(3), 0x12345678)
        self.leg.setLocalKey(SUITE, key(3), 0x12345678)
        renewed = SecurePeer(key(2), key(3))
        self.call.fromPBX(rtp(2))
        for sent in self.call.network.take():
            renewed.receive(sent.data)
        self.assertEqual({each.ssrc for each in renewed.headers}, {0x12345678})

    def test_badLocalKey(self) -> None:
        """A key that cannot be used changes nothing."""
        self.assertRaises(LocalError, self.leg.setLocalKey, SUITE, MasterKey(b"short", b"salt"))
        self.call.fromPBX(rtp(1))
        self.call.receiveAll()
        self.assertEqual(len(self.call.peer.plain), 1)

    def test_sameRemoteKey(self) -> None:
        """The same key again keeps the replay list and the roll-over counter."""
        first = self.call.peer.protect(rtp(65_535))
        self.call.fromCarrier(first)
        for sequence in range(65_536, 65_600):
            self.call.fromCarrier(self.call.peer.protect(rtp(sequence)))
        self.leg.setRemoteKey(SUITE, key(2))
        self.call.fromCarrier(first)
        self.call.fromCarrier(self.call.peer.protect(rtp(65_600)))
        self.assertEqual(self.refused(), {"replay": 1})
        self.assertEqual(self.leg.statistics().received.packets, 66)

    def test_returningRemoteKey(self) -> None:
        """A key that comes back after another finds its context, so its packets cannot be replayed."""
        first = self.call.peer.protect(rtp(1))
        self.call.fromCarrier(first)
        self.leg.setRemoteKey(SUITE, key(9))
        self.call.fromCarrier(first)
        self.leg.setRemoteKey(SUITE, key(2))
        self.call.fromCarrier(first)
        self.call.fromCarrier(self.call.peer.protect(rtp(2)))
        self.assertEqual(self.refused(), {"authentication": 1, "replay": 1})

    def test_manyRemoteKeys(self) -> None:
        """A peer cannot pile up contexts, and loses none of the newest."""
        for number in range(10, 10 + 5 * REMOTE_KEYS):
            self.leg.setRemoteKey(SUITE, key(number))
        self.call.fromCarrier(protector(SUITE, key(number)).rtp(rtp(1)))
        self.assertEqual(self.leg.statistics().received.packets, 1)
        self.assertEqual(len(self.leg._inbound._contexts), REMOTE_KEYS)

    def test_forgottenRemoteKey(self) -> None:
        """One that comes back when its context is gone lets nothing in twice, and goes on."""
        packets = [self.call.peer.protect(rtp(sequence)) for sequence in range(60)]
        report = self.call.peer.protectRTCP(bytes.fromhex("80c9000111111111"))
        for packet in packets[:40]:
            self.call.fromCarrier(packet)
        self.call.network.deliver(self.leg.address.rtcpPort, report, CARRIER)
        for number in range(10, 10 + 5 * REMOTE_KEYS):
            self.leg.setRemoteKey(SUITE, key(number))
        self.assertEqual([len(each.sources) for each in self.leg.accepted], [1, *[0] * REMOTE_KEYS])
        self.leg.setRemoteKey(SUITE, key(2))
        self.call.clock.advance(FORMER_SECONDS)
        for packet in packets[:40]:
            self.call.fromCarrier(packet)
        self.call.network.deliver(self.leg.address.rtcpPort, report, CARRIER)
        received = self.leg.statistics().received
        self.assertEqual((received.packets, received.rtcpPackets), (40, 1))
        for packet in packets[40:]:
            self.call.fromCarrier(packet)
        self.assertEqual(self.leg.statistics().received.packets, 60)

    def test_severalKeys(self) -> None:
        """A packet's MKI names the key (RFC 3711 section 3.1); one that names none is refused."""
        self.leg.setRemoteKey(SUITE, key(5), declared(5, 6))
        peer = sender(5, 6, 7)
        for sequence, mki in enumerate((5, 6, 5)):
            peer.select(bytes((0, mki)))
            self.call.fromCarrier(peer.rtp(rtp(sequence)))
        last = peer.rtp(rtp(9))
        peer.select(b"\0\7")
        self.call.fromCarrier(peer.rtp(rtp(10)))
        self.call.fromCarrier(last)
        self.call.fromCarrier(last)
        self.call.fromCarrier(protector(SUITE, key(5)).rtp(rtp(11)))
        self.assertEqual(self.refused(), {"authentication": 2, "replay": 1})
        heard = [sent.data for sent in self.call.receiveAll()]
        self.assertEqual(heard, [rtp(sequence) for sequence in (0, 1, 2, 9)])

    def test_severalKeysChanged(self) -> None:
        """
        With another key beside one that stays, and back, the roll-over counter goes on, and nothing that was
        heard is heard again.
        """
        peer = sender(5, 6)
        self.leg.setRemoteKey(SUITE, key(5), declared(5))
        first = peer.rtp(rtp(65_535))
        self.call.fromCarrier(first)
        self.leg.setRemoteKey(SUITE, key(6), declared(6, 5))
        second = peer.rtp(rtp(65_536))
        for packet in (first, second):
            self.call.fromCarrier(packet)
        self.leg.setRemoteKey(SUITE, key(5), declared(5))
        for packet in (first, second, peer.rtp(rtp(65_537))):
            self.call.fromCarrier(packet)
        self.assertEqual(self.refused(), {"replay": 3})
        self.assertEqual(self.leg.statistics().received.packets, 3)

    def test_otherKeysBesideNothing(self) -> None:
        """Keys that have nothing to do with the former ones begin anew."""
        self.leg.setRemoteKey(SUITE, key(5), declared(5))
        self.call.fromCarrier(sender(5).rtp(rtp(40_000)))
        self.leg.setRemoteKey(SUITE, key(6), declared(6))
        self.call.fromCarrier(sender(6).rtp(rtp(1)))
        self.assertEqual((self.refused(), self.leg.statistics().received.packets), ({}, 2))

    def test_derivationRate(self) -> None:
        """Session keys of the peer that are derived anew every two packets; another rate is another key."""
        self.leg.setRemoteKey(SUITE, key(5), declared(5, rate=2))
        peer = sender(5, rate=2)
        for sequence in range(6):
            self.call.fromCarrier(peer.rtp(rtp(sequence)))
        self.leg.setRemoteKey(SUITE, key(5), declared(5, rate=4))
        self.call.clock.advance(FORMER_SECONDS)
        self.call.fromCarrier(peer.rtp(rtp(6)))
        self.assertEqual(self.refused(), {"authentication": 1})
        self.assertEqual(self.leg.statistics().received.packets, 6)

    def test_notShown(self) -> None:
        """No key in the repr of a leg or its values."""
        text = repr((self.leg, vars(self.leg), self.leg.statistics()))
        for secret in (key(1).key, key(2).key):
            self.assertNotIn(repr(secret)[2:-1], text)
            self.assertNotIn(secret.hex(), text)


class EarlyTests(SynchronousTestCase):
    """Packets that come before the remote key: at most 50, at most 1 s."""

    def setUp(self) -> None:
        """Our offer is out: a local key, the PBX is known, no answer yet."""
        self.call = Call(ready=False)
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.leg.setLocalKey(SUITE, key(1))

    def answer(self) -> list[int]:
        """The answer arrives; sequence numbers that reach the PBX."""
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.leg.setRemoteKey(SUITE, key(2))
        return [parseRTP(sent.data).sequence for sent in self.call.receiveAll()]

    def early(self, *sequences: int) -> None:
        """The carrier sends, 20 ms apart."""
        for sequence in sequences:
            self.call.clock.advance(0.02)
            self.call.fromCarrier(self.call.peer.protect(rtp(sequence)))

    def test_inOrder(self) -> None:
        """They are decrypted in the order of arrival, and counted."""
        self.early(*range(100, 130))
        self.assertEqual(self.call.network.sent, [])
        self.assertEqual(self.answer(), list(range(100, 130)))
        statistics = self.leg.statistics().received
        self.assertEqual((statistics.early, statistics.packets, statistics.authenticated), (30, 30, 30))
        # They came evenly, and are taken all at once.
        self.assertLess(statistics.worstJitter or 0.0, 0.01)
        self.assertIsNotNone(statistics.jitter)
        self.early(130)
        self.assertEqual(len(self.call.receiveAll()), 1)
        self.assertEqual(self.leg.statistics().received.early, 30)

    def test_tooMany(self) -> None:
        """The newest 50 are kept."""
        for sequence in range(80):
            self.call.fromCarrier(self.call.peer.protect(rtp(sequence)))
        self.assertEqual(self.answer(), list(range(80 - EARLY_PACKETS, 80)))
        statistics = self.leg.statistics().received
        self.assertEqual((statistics.early, dict(statistics.refused)), (50, {"no-key": 30}))

    def test_tooOld(self) -> None:
        """What has waited longer than a second is dropped."""
        self.early(1, 2)
        self.call.clock.advance(0.985)
        self.assertEqual(self.answer(), [2])
        statistics = self.leg.statistics().received
        self.assertEqual((statistics.early, dict(statistics.refused)), (1, {"no-key": 1}))

    def test_forged(self) -> None:
        """Among them, those of a stranger are refused, and move nothing."""
        self.call.fromCarrier(rtp(1) + bytes(10), STRANGER)
        self.early(2)
        self.call.fromCarrier(b"garbage", STRANGER)
        self.assertEqual(self.answer(), [2])
        statistics = self.leg.statistics().received
        self.assertEqual(dict(statistics.refused), {"authentication": 1, "malformed": 1})
        self.assertEqual((statistics.early, statistics.packets), (1, 1))

    def test_underTheNextKey(self) -> None:
        """What is under none of the keys yet waits on: another branch of the call may have sent it."""
        self.early(1, 2)
        self.leg.setRemoteKey(SUITE, key(9))
        self.assertEqual(dict(self.leg.statistics().received.refused), {"authentication": 2})
        self.assertEqual(self.answer(), [1, 2])
        statistics = self.leg.statistics().received
        self.assertEqual((statistics.early, statistics.packets, statistics.refused), (2, 2, ()))

    def test_source(self) -> None:
        """They show where the carrier sends from: our first packet goes there."""
        self.call.fromCarrier(self.call.peer.protect(rtp(1)), ELSEWHERE)
        self.answer()
        self.call.fromPBX(rtp(1))
        self.assertEqual(self.call.network.take()[-1].destination, ELSEWHERE)

    def test_keyFirst(self) -> None:
        """So they do where the answer's key is applied before its address."""
        self.call.fromCarrier(self.call.peer.protect(rtp(1)), ELSEWHERE)
        self.leg.setRemoteKey(SUITE, key(2))
        self.call.network.take()
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.assertEqual({sent.destination for sent in self.call.network.take()}, {ELSEWHERE})

    def test_control(self) -> None:
        """RTCP waits with them."""
        report = self.call.peer.protectRTCP(bytes.fromhex("80c90001 0000cafe"))
        self.call.network.deliver(self.leg.address.rtcpPort, report, CARRIER)
        self.early(1)
        self.leg.setRemoteKey(SUITE, key(2))
        ports = [sent.port for sent in self.call.receiveAll()]
        self.assertEqual(ports, [self.call.plain.address.rtcpPort, self.call.plain.address.port])
        self.assertEqual(self.leg.statistics().received.early, 2)


class FirstPacketTests(SynchronousTestCase):
    """RFC 6263 keep-alives on a secure leg."""

    def setUp(self) -> None:
        """Nothing is known yet."""
        self.call = Call(ready=False)
        self.leg = self.call.secure

    def sequences(self) -> list[int]:
        """Sequence numbers of keep-alives sent to the carrier since the last call."""
        self.assertEqual(self.call.receiveAll(), [])
        self.assertEqual(self.call.peer.refused, [])
        for packet in self.call.peer.plain:
            self.assertEqual((len(packet), parseRTP(packet).payloadType), (12, 127))
        sequences = [header.sequence for header in self.call.peer.headers]
        self.call.peer.plain.clear()
        return sequences

    def test_allKnown(self) -> None:
        """In any order: only when both keys and the address are known, three leave at once."""
        steps = {
            "local": lambda leg: leg.setLocalKey(SUITE, key(1)),
            "remote": lambda leg: leg.setRemoteKey(SUITE, key(2)),
            "address": lambda leg: leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1)),
        }
        for order in (
            ("local", "remote", "address"),
            ("address", "local", "remote"),
            ("remote", "address", "local"),
        ):
            self.setUp()
            before = self.call.clock.getDelayedCalls()
            for step in order[:2]:
                steps[step](self.leg)
            self.assertEqual(self.sequences(), [])
            self.assertEqual(self.call.clock.getDelayedCalls(), before)
            steps[order[2]](self.leg)
            self.assertEqual(len(self.sequences()), 3)

    def ready(self) -> None:
        """Both peers are known."""
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.leg.setLocalKey(SUITE, key(1))
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.leg.setRemoteKey(SUITE, key(2))

    def test_silence(self) -> None:
        """Every 15 s of silence one more, then media, all in one sequence."""
        self.ready()
        seen = self.sequences()
        self.call.clock.pump([1] * 45)
        seen += self.sequences()
        self.assertEqual(len(seen), 6)
        self.assertEqual(seen, list(range(seen[0], seen[0] + 6)))
        self.call.fromPBX(rtp(1))
        self.call.receiveAll()
        self.assertEqual(self.call.peer.headers[-1].sequence, seen[-1] + 1)

    def test_hold(self) -> None:
        """On hold too, while media of the PBX is not sent; not where there is no address."""
        self.ready()
        self.leg.setSending(False)
        self.sequences()
        for second in range(30):
            self.call.clock.advance(1)
            self.call.fromPBX(rtp(second))
        self.assertEqual(len(self.sequences()), 2)
        self.leg.setRemote(None)
        self.call.clock.pump([1] * 60)
        self.assertEqual(self.sequences(), [])
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.assertNotEqual(self.sequences(), [])

    def test_media(self) -> None:
        """While media flows there are none."""
        self.ready()
        self.sequences()
        for number in range(100):
            self.call.clock.advance(0.5)
            self.call.fromPBX(rtp(number))
        self.call.receiveAll()
        self.assertEqual({header.payloadType for header in self.call.peer.headers}, {0})

    def test_newAddress(self) -> None:
        """A carrier that moves may wait for our first packet at the new place."""
        self.ready()
        self.call.clock.advance(5)
        self.call.network.take()
        self.leg.setRemote(MediaAddress(*ELSEWHERE, 0))
        self.assertEqual([sent.destination for sent in self.call.network.take()], [ELSEWHERE] * 3)

    def test_payloadType(self) -> None:
        """A payload type in use is not taken for it."""
        self.leg.setPayloadTypes(dict.fromkeys((0, 101, 127), ""), {126: ""})
        self.ready()
        self.call.receiveAll()
        self.assertEqual({header.payloadType for header in self.call.peer.headers}, {125})
        self.leg.setPayloadTypes(dict.fromkeys(range(128), ""), {})

    def test_latchingCarrier(self) -> None:
        """
        183 with early media while the PBX is silent: a carrier that sends only after our first
        packet, to where it came from, is heard by the PBX.
        """
        self.ready()
        first = self.call.network.take()[0]
        self.call.peer.receive(first.data)
        self.assertEqual(self.call.peer.refused, [])
        self.call.network.deliver(first.port, self.call.peer.protect(rtp(1, payload=b"ringing")), CARRIER)
        (heard,) = self.call.network.take()
        self.assertEqual((heard.data[12:], heard.destination), (b"ringing", PBX))

    def test_released(self) -> None:
        """After the call there is no timer and nothing is sent."""
        self.ready()
        self.call.network.take()
        self.call.release()
        self.assertEqual(self.call.clock.getDelayedCalls(), [])
        self.leg.setRemote(MediaAddress(*ELSEWHERE, 0))
        self.leg.setRemoteKey(SUITE, key(2))
        self.assertEqual(self.call.clock.getDelayedCalls(), [])
        self.assertEqual(self.call.network.sent, [])
