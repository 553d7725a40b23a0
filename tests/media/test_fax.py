"""Tests of L{skypetrunk.media.fax}: datagrams that cross between two legs in the place of sound."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedSDP
from skypetrunk.interfaces import LegStatistics, MediaAddress, MediaPath
from skypetrunk.media.keepalive import INTERVAL
from skypetrunk.media.leg_reports import STRANGE
from skypetrunk.media.relay import UNSENT
from skypetrunk.media.srtp import DATAGRAM_LIMIT
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, Datagram, key, rtp

PBX_FAX = (PBX[0], 4900)
CARRIER_FAX = (CARRIER[0], 6900)


def udptl(number: int) -> bytes:
    """A datagram: its number, the primary packet, no redundant ones (ITU-T T.38 clause 9.1)."""
    return number.to_bytes(2, "big") + b"\x01\x06\x00\x00"


class FaxTests(SynchronousTestCase):
    """A call of a plain and a secure leg, that becomes a fax."""

    def setUp(self) -> None:
        """Sound, of which something was heard in both directions."""
        self.call = Call()
        self.speak(1)

    def speak(self, first: int) -> None:
        """Five packets in each direction cross."""
        call = self.call
        heard = len(call.peer.plain)
        for number in range(first, first + 5):
            call.fromPBX(rtp(number))
            call.fromCarrier(call.peer.protect(rtp(number, ssrc=0x2222)))
        self.assertEqual([each.destination for each in call.receiveAll()], [PBX] * 5)
        self.assertEqual(len(call.peer.plain) - heard, 5)
        self.assertEqual(call.peer.refused, [])

    def fax(self) -> None:
        """Both legs."""
        self.call.plain.setFax(MediaAddress(*PBX_FAX, 0))
        self.call.secure.setFax(MediaAddress(*CARRIER_FAX, 0))

    def sound(self) -> None:
        """Both legs, as it was: what the session says again."""
        plain, secure = self.call.plain, self.call.secure
        plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        secure.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        for leg in (plain, secure):
            leg.setSending(True)
        secure.setRemoteKey(SUITE, key(2))
        secure.setLocalKey(SUITE, key(1))

    def sent(self) -> list[Datagram]:
        """By both legs since the last time."""
        return self.call.network.take()

    def counted(self) -> tuple[LegStatistics, LegStatistics]:
        """Of the PBX's and of the carrier's leg."""
        return self.call.plain.statistics(), self.call.secure.statistics()

    def test_crosses(self) -> None:
        """In both directions, octet by octet, from the ports of the sound to where SDP says."""
        self.fax()
        call = self.call
        call.fromPBX(udptl(0), PBX_FAX)
        call.fromCarrier(udptl(7), CARRIER_FAX)
        self.assertEqual(
            self.sent(),
            [
                Datagram(call.secure.address.port, udptl(0), CARRIER_FAX),
                Datagram(call.plain.address.port, udptl(7), PBX_FAX),
            ],
        )
        for leg in self.counted():
            self.assertEqual((leg.fax, leg.received.fax, leg.sent.fax), (True, 1, 1))
            self.assertEqual((leg.received.packets, leg.received.octets > 0), (5, True))

    def test_noFigures(self) -> None:
        """Sound is counted as if there had been no fax."""
        before = self.counted()
        self.fax()
        for number in range(20):
            self.call.clock.advance(0.02)
            self.call.fromPBX(udptl(number), PBX_FAX)
            self.call.fromCarrier(udptl(number), CARRIER_FAX)
        for leg, then in zip(self.counted(), before, strict=True):
            for now, old in ((leg.received, then.received), (leg.sent, then.sent)):
                self.assertEqual(now, replace(old, fax=20))

    def test_soundAfterwards(self) -> None:
        """With the same keys and contexts, whose counters went on: no number is used twice."""
        self.fax()
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.sent()
        self.sound()
        self.call.clock.advance(30)
        self.call.fromPBX(rtp(6, timestamp=300 * 160))
        self.call.receiveAll()
        self.speak(7)
        self.assertEqual(self.call.peer.refused, [])
        numbers = [header[4] for header in self.call.peer.headers]
        self.assertEqual(len(set(numbers)), len(numbers))

    def test_strangers(self) -> None:
        """Nobody but the host of the SDP is heard; the tenth is told of, once."""
        self.fax()
        with capturedLogs() as events:
            for _ in range(2 * STRANGE):
                self.call.fromPBX(udptl(0), STRANGER)
                self.call.fromCarrier(udptl(0), STRANGER)
        self.assertEqual(self.sent(), [])
        for leg in self.counted():
            self.assertEqual(dict(leg.received.refused), {"source": 2 * STRANGE})
            self.assertEqual((leg.received.fax, leg.way.stranger), (0, STRANGER[0]))
        lines = [formatEvent(event) or "" for event in events]
        self.assertEqual(len(lines), 2)
        self.assertIn("fax from 198.51.100.66 port 6666 is refused, as SDP names 192.0.2.10", lines[0])

    def test_symmetric(self) -> None:
        """From another port of that host ours go there; while it is in use, no third one takes over."""
        self.fax()
        behind, other = (CARRIER[0], 7777), (CARRIER[0], 7778)
        self.call.fromCarrier(udptl(0), behind)
        self.call.fromCarrier(udptl(1), other)
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.assertEqual([each.destination for each in self.sent()], [PBX_FAX, behind])
        self.assertEqual(dict(self.counted()[1].received.refused), {"source": 1})

    def test_notSymmetric(self) -> None:
        """A side that is configured so gets ours where its SDP says."""
        self.call = Call(path=MediaPath(symmetric=False))
        self.fax()
        self.call.fromCarrier(udptl(0), (CARRIER[0], 7777))
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.assertEqual([each.destination for each in self.sent()], [PBX_FAX, CARRIER_FAX])

    def test_sizes(self) -> None:
        """Too long and too short ones are refused, and move nothing."""
        self.fax()
        behind = (CARRIER[0], 7777)
        for packet in (bytes(DATAGRAM_LIMIT + 1), b"", b"\0\1\2"):
            self.call.fromCarrier(packet, behind)
        self.call.fromCarrier(bytes(DATAGRAM_LIMIT), CARRIER_FAX)
        self.assertEqual([len(each.data) for each in self.sent()], [DATAGRAM_LIMIT])
        self.assertEqual(dict(self.counted()[1].received.refused), {"malformed": 2, "size": 1})
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.assertEqual([each.destination for each in self.sent()], [CARRIER_FAX])

    def test_lateSound(self) -> None:
        """RTP, SRTP and RTCP that were still on their way do not become fax, whose numbers may look so."""
        self.fax()
        call = self.call
        call.fromPBX(rtp(6))
        call.fromCarrier(call.peer.protect(rtp(6, ssrc=0x2222)))
        call.network.deliver(call.plain.address.rtcpPort, bytes.fromhex("80c9000111111111"), PBX)
        self.assertEqual(self.sent(), [])
        self.assertEqual([dict(leg.received.refused) for leg in self.counted()], [{"fax": 2}, {"fax": 1}])
        high = udptl(0x8008) + bytes(10)
        call.fromPBX(high, PBX_FAX)
        self.assertEqual([each.data for each in self.sent()], [high])

    def test_neverHalf(self) -> None:
        """Between the two legs nothing crosses while one of them has sound."""
        self.call.plain.setFax(MediaAddress(*PBX_FAX, 0))
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.call.fromCarrier(self.call.peer.protect(rtp(6, ssrc=0x2222)))
        self.assertEqual(self.sent(), [])
        self.call.secure.setFax(MediaAddress(*CARRIER_FAX, 0))
        self.call.fromPBX(udptl(1), PBX_FAX)
        self.assertEqual([each.data for each in self.sent()], [udptl(1)])

    def test_hold(self) -> None:
        """To 0.0.0.0 nothing is sent; who was on hold is found again."""
        self.fax()
        self.call.plain.setFax(None)
        self.call.fromCarrier(udptl(0), CARRIER_FAX)
        self.call.plain.setFax(MediaAddress("0.0.0.0", 4900, 0))
        self.call.fromCarrier(udptl(1), CARRIER_FAX)
        self.assertEqual(self.sent(), [])
        self.fax()
        self.call.fromCarrier(udptl(2), CARRIER_FAX)
        self.assertEqual([each.data for each in self.sent()], [udptl(2)])

    def test_badAddress(self) -> None:
        """A name, or another family: refused, and there is sound as before."""
        for host in ("fax.example", "2001:db8::1"):
            self.assertRaises(MalformedSDP, self.call.secure.setFax, MediaAddress(host, 6900, 0))
        self.assertFalse(self.counted()[1].fax)
        self.speak(6)

    def test_badSound(self) -> None:
        """Sound at an address that is refused ends no fax: nothing has changed."""
        self.fax()
        for leg in (self.call.plain, self.call.secure):
            for address in (MediaAddress("nowhere.example", 4, 5), MediaAddress("127.0.0.2", 4, 5, "::1")):
                self.assertRaises(MalformedSDP, leg.setRemote, address)
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.call.fromCarrier(udptl(7), CARRIER_FAX)
        self.assertEqual([each.destination for each in self.sent()], [CARRIER_FAX, PBX_FAX])

    def test_quiet(self) -> None:
        """No keep-alive and no report is sent into a fax; after it there are some again."""
        self.call = Call(reports=True)
        self.speak(1)
        self.fax()
        self.call.clock.pump([0.25] * int(8 * INTERVAL))
        self.assertEqual(self.sent(), [])
        self.sound()
        self.call.clock.pump([0.25] * int(8 * INTERVAL))
        self.assertNotEqual(self.sent(), [])

    def test_anotherFax(self) -> None:
        """The second one is heard from where its own SDP says."""
        self.fax()
        self.call.fromCarrier(udptl(0), (CARRIER[0], 7777))
        self.sound()
        self.fax()
        self.sent()
        self.call.fromCarrier(udptl(0), CARRIER_FAX)
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.assertEqual([each.destination for each in self.sent()], [PBX_FAX, CARRIER_FAX])
        self.assertEqual([leg.received.fax for leg in self.counted()], [1, 2])

    def test_unsent(self) -> None:
        """What the system does not take is counted."""
        self.fax()
        port = self.call.network.ports[self.call.secure.address.port]
        port.failure = OSError("no route")
        self.call.fromPBX(udptl(0), PBX_FAX)
        self.assertEqual(self.counted()[1].sent.refused, ((UNSENT, 1),))
        self.assertEqual(self.counted()[1].sent.fax, 0)

    def test_released(self) -> None:
        """The end of the call: figures stay, nothing is sent any more."""
        self.fax()
        self.call.fromPBX(udptl(0), PBX_FAX)
        plain, secure = self.call.release()
        self.assertEqual((plain.received.fax, secure.sent.fax, plain.fax, secure.fax), (1, 1, True, True))
        self.sent()
        self.call.secure.setFax(MediaAddress(*CARRIER_FAX, 0))
        self.call.secure.sendFax(udptl(1))
        self.assertEqual(self.sent(), [])


class EitherTests(FaxTests):
    """The same with a carrier of an opportunistic trunk that has SRTP."""

    def setUp(self) -> None:
        """The carrier's leg is of the other kind."""
        self.path = MediaPath(srtp="opportunistic")
        self.call = Call(path=self.path)
        self.speak(1)
