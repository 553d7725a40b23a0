"""
Tests of how somebody is shown the packets of a call: L{skypetrunk.media.relay.Tapped}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.media import srtp
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.relay import Show
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.srtp import PROFILES, Guard
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, key, rtp


class TappedTests(SynchronousTestCase):
    """A call whose caller is the PBX."""

    def setUp(self) -> None:
        """Nobody has heard anything."""
        self.caller: list[bytes] = []
        self.called: list[bytes] = []
        self.times: list[float] = []
        self.asked: list[str] = []
        self.wants = True

    def taps(self, call: str) -> tuple[Show, Show] | None:
        """One for every call but C{quiet}."""
        self.asked.append(call)

        def show(heard: list[bytes]) -> Show:
            def shown(packet: bytes, time: float) -> bool:
                heard.append(packet)
                self.times.append(time)
                return self.wants

            return shown

        return None if call == "quiet" else (show(self.caller), show(self.called))

    def test_order(self) -> None:
        """Both directions, plain, as they came: in either implementation of SRTP, and both peers get them."""
        for kind, profiles in ((Guard, PROFILES), (OwnGuard, {})):
            self.patch(srtp, "PROFILES", profiles)
            call = Call(taps=self.taps)
            assert call.secure._context is not None
            self.assertIsInstance(call.secure._context.guard, kind)
            made = [rtp((65_534 + n) % 65_536, timestamp=160 * n, payload=b"p%d" % n) for n in range(5)]
            protected = [call.peer.protect(packet) for packet in made]
            arrival = (0, 1, 3, 2, 4)
            packets = [made[number] for number in arrival]
            for number in arrival:
                call.clock.advance(0.02)
                call.fromPBX(made[number])
                call.fromCarrier(protected[number])
            self.assertEqual((self.caller, self.called), (packets, packets))
            seen = [round(time - 1000, 3) for time in self.times]
            self.assertEqual(seen, [n / 50 for n in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)])
            self.assertEqual([sent.data for sent in call.receiveAll()], packets)
            self.assertEqual([each[12:] for each in call.peer.plain], [each[12:] for each in packets])
            for heard in (self.caller, self.called, self.times):
                del heard[:]

    def test_unproved(self) -> None:
        """What is refused is not shown: strangers, garbage, forgeries, replays."""
        call = Call(taps=self.taps)
        good = call.peer.protect(rtp(1))
        for packet in (good, good, good[:-1] + bytes([good[-1] ^ 1]), b"", rtp(2)):
            call.fromCarrier(packet)
        for packet, source in ((rtp(1), STRANGER), (b"garbage", PBX), (b"", PBX)):
            call.fromPBX(packet, source)
        self.assertEqual((self.caller, self.called), ([], [rtp(1)]))

    def test_hold(self) -> None:
        """What a side on hold sends is shown, though the other does not get it; afterwards it goes on."""
        call = Call(taps=self.taps)
        call.secure.setSending(False)
        call.plain.setRemote(MediaAddress("0.0.0.0", PBX[1], PBX[1] + 1))
        call.fromCarrier(call.peer.protect(rtp(1)))
        self.assertEqual(call.network.take(), [])
        call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        call.fromPBX(rtp(5))
        self.assertEqual(call.network.take(), [])
        call.secure.setSending(True)
        call.fromPBX(rtp(6))
        call.fromCarrier(call.peer.protect(rtp(2)))
        self.assertEqual(len(call.receiveAll()), 1)
        self.assertEqual((self.caller, self.called), ([rtp(5), rtp(6)], [rtp(1), rtp(2)]))

    def test_early(self) -> None:
        """What came before the key is shown when it is decrypted, in order."""
        call = Call(ready=False, taps=self.taps)
        call.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        for sequence in (1, 2):
            call.fromCarrier(call.peer.protect(rtp(sequence)))
        self.assertEqual(self.called, [])
        call.secure.setRemoteKey(SUITE, key(2))
        self.assertEqual(self.called, [rtp(1), rtp(2)])

    def test_wantsNoMore(self) -> None:
        """One that wants no more has nothing in the path afterwards; the packet itself still went across."""
        call = Call(taps=self.taps)
        self.wants = False
        for sequence in (1, 2):
            call.fromPBX(rtp(sequence))
            call.fromCarrier(call.peer.protect(rtp(sequence)))
        self.assertEqual((self.caller, self.called), ([rtp(1)], [rtp(1)]))
        self.assertEqual((len(call.receiveAll()), len(call.peer.plain)), (2, 2))
        self.assertIs(call.plain._onward, call.secure)
        self.assertIs(call.secure._onward, call.plain)

    def test_nobody(self) -> None:
        """A call that nobody listens to is joined as where there are no plugins at all."""
        call = Call(taps=self.taps)
        call.plane.join(call.plain, call.secure, "quiet")
        self.assertIs(call.plain._onward, call.secure)
        self.assertIs(call.secure._onward, call.plain)
        self.assertEqual(self.asked, ["call", "quiet"])
        call.fromPBX(rtp(1))
        self.assertEqual(self.caller, [])

    def test_transferred(self) -> None:
        """A leg that goes to another call is heard there, and no longer in its old one."""
        call = Call(taps=self.taps)
        other = call.plane.allocate("carrier", True)
        assert isinstance(other, SecureLeg)
        call.plane.join(call.plain, other, "quiet")
        call.fromPBX(rtp(1))
        call.fromCarrier(call.peer.protect(rtp(1)))
        self.assertEqual((self.caller, self.called), ([], []))
        self.assertIsNone(call.secure._onward)

    def test_rtcp(self) -> None:
        """RTCP crosses as ever, and is not shown."""
        call = Call(taps=self.taps)
        report = bytes.fromhex("80c9000100000001")
        call.network.deliver(call.secure.address.rtcpPort, call.peer.protectRTCP(report), CARRIER)
        self.assertEqual(len(call.network.take()), 1)
        self.assertEqual((self.caller, self.called), ([], []))

    def test_end(self) -> None:
        """Released legs show nothing, and hold nobody."""
        call = Call(taps=self.taps)
        call.release()
        self.assertIsNone(call.plain._onward)
        self.assertIsNone(call.secure._onward)
