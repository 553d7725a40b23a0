"""
Nothing of a carrier's is heard twice, whatever comes together: keys that change and come back with another
suite or MKI, sources that are heard while they do, and media workers that die.  And a carrier that goes on is
heard.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DeclaredKeys, MediaAddress
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard
from skypetrunk.wire.rtp import parseRTP
from skypetrunk.wire.sdes import InlineKey
from tests.media.doubles import CARRIER, PBX, SUITE, Call, key, rtp

SHORT = "AES_CM_128_HMAC_SHA1_32"
TAGS = {SUITE: 10, SHORT: 4}
SSRC, OTHER = 0x11111111, 0x22222222

Form = tuple[str, tuple[int, ...]]
"""How packets of a carrier look: its suite, and the numbers of its keys; several are MKIs, too."""


class Carrier:
    """
    Sends under any of its keys in any form; each packet once, with numbers that go on over all keys.

    @ivar said: RTP as it was sent: key, form and packet.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.indices: dict[int, int] = {}
        self.reports: dict[int, int] = {}
        self.said: list[tuple[int, Form, bytes]] = []

    def _guard(self, number: int, form: Form, ssrc: int, index: int, report: int = 0) -> OwnGuard:
        suite, numbers = form
        keys = [KeyedMKI(key(number), bytes([number]) if len(numbers) > 1 else b"")]
        return OwnGuard(suite, keys, True, rollOver={ssrc: index >> 16}, rtcpIndex={ssrc: report})

    def say(self, number: int, form: Form, ssrc: int = SSRC, ahead: int = 1) -> bytes:
        """The next packet; its payload names it."""
        index = self.indices.get(ssrc, 65_500) + ahead
        self.indices[ssrc] = index
        name = bytes([number]) + ssrc.to_bytes(4, "big") + index.to_bytes(6, "big")
        timestamp = int(self.clock.seconds() * 8000)
        plain = rtp(index, timestamp=timestamp, ssrc=ssrc, payload=name)
        packet = self._guard(number, form, ssrc, index).rtp(plain)
        self.said.append((number, form, packet))
        return packet

    def report(self, number: int, form: Form, ssrc: int) -> bytes:
        """The next RTCP compound."""
        index = self.reports[ssrc] = self.reports.get(ssrc, 0) + 1
        compound = bytes.fromhex("80c90001") + ssrc.to_bytes(4, "big")
        return self._guard(number, form, ssrc, 0, index).rtcp(compound)


def otherwise(number: int, form: Form, packet: bytes) -> list[bytes]:
    """A recorded packet in each form that can be made of it without its key."""
    suite, numbers = form
    tag = TAGS[suite]
    body = packet[: len(packet) - tag - (len(numbers) > 1)]
    tags = [packet[-tag:], packet[-tag:][:4]]
    return [body + mki + each for mki in (b"", bytes([number])) for each in dict.fromkeys(tags)]


class ReplayCase(SynchronousTestCase):
    """A call, and who keeps it next."""

    def setUp(self) -> None:
        """A call whose carrier has no key yet."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.carrier = Carrier(self.clock)
        self.told: list[bytes] = []
        self.before = 0
        self.heard: list[bytes] = []
        self.agreed: Form | None = None
        self.begin()

    def begin(self) -> None:
        """Another process keeps the call."""
        self.call = Call(ready=False)
        self.call.clock.advance(self.clock.seconds() - self.call.clock.seconds())
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        for each in self.told:
            self.leg.hearOn(unpacked(each))
        if self.agreed is not None:
            self.agree(self.agreed)
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))

    def die(self) -> None:
        """The process that keeps the call ends just after it has told what it has heard."""
        self.collect()
        kept = {unpacked(each).masters: each for each in self.told}
        for heard in self.leg.accepted:
            kept.pop(heard.masters, None)
            kept[heard.masters] = packed(heard)
        self.told = list(kept.values())
        self.begin()

    def passes(self, seconds: float) -> None:
        """Time."""
        self.clock.advance(seconds)
        self.call.clock.advance(seconds)

    def agree(self, form: Form) -> None:
        """What the carrier declares in its SDP."""
        self.agreed = form
        suite, numbers = form
        declared = DeclaredKeys(tuple(InlineKey(key(each), None, each, 1) for each in numbers))
        self.leg.setRemoteKey(suite, key(numbers[0]), declared if len(numbers) > 1 else None)
        self.collect()

    def collect(self) -> list[bytes]:
        """Names of the packets that have come to the PBX since; none comes twice."""
        sound = [each.data for each in self.call.receiveAll() if each.destination == PBX]
        new = [packet[parseRTP(packet).headerLength :] for packet in sound]
        self.heard += new
        self.assertEqual(len(set(self.heard)), len(self.heard), "heard twice")
        return new

    def deliver(self, packet: bytes) -> bool:
        """Is it heard?"""
        self.call.fromCarrier(packet)
        return bool(self.collect())

    def deliverReport(self, compound: bytes) -> bool:
        """The same of RTCP."""
        before = self.leg.statistics().received.rtcpPackets
        self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        return self.leg.statistics().received.rtcpPackets > before

    def speak(self, number: int, form: Form, ssrc: int = SSRC, count: int = 3) -> list[bool]:
        """The carrier goes on; which of it is heard."""
        found = []
        for _ in range(count):
            self.passes(0.02)
            found.append(self.deliver(self.carrier.say(number, form, ssrc)))
        return found

    def replay(self) -> None:
        """Who has recorded all of it plays it, in each form, slowly enough to be looked at each time."""
        for recorded in list(self.carrier.said):
            for packet in otherwise(*recorded):
                self.passes(0.2)
                self.deliver(packet)


class TogetherTests(ReplayCase):
    """What was found by reading."""

    def test_suiteThenDeath(self) -> None:
        """
        The suite changes, and packets of a new source are still heard in the former one; the process dies;
        the former suite is agreed again.
        """
        self.agree((SHORT, (2,)))
        self.speak(2, (SHORT, (2,)))
        self.agree((SUITE, (2,)))
        self.assertEqual(self.speak(2, (SHORT, (2,)), OTHER), [True] * 3)
        self.die()
        self.agree((SHORT, (2,)))
        self.replay()
        self.assertEqual(len(self.heard), 6)
        self.assertEqual(self.speak(2, (SHORT, (2,)), OTHER), [True] * 3)

    def test_tagCutUnderWay(self) -> None:
        """What is heard in the former suite when another one is agreed is not heard again in that one."""
        self.agree((SUITE, (2,)))
        self.speak(2, (SUITE, (2,)))
        self.agree((SHORT, (2,)))
        for ssrc in (SSRC, OTHER):
            self.assertEqual(self.speak(2, (SUITE, (2,)), ssrc), [True] * 3)
        self.replay()
        self.assertEqual(len(self.heard), 9)
        self.assertEqual(self.speak(2, (SHORT, (2,))), [True] * 3)

    def test_back(self) -> None:
        """A source was heard in the former suite, and then in the new one; the former is agreed again."""
        self.agree((SHORT, (2,)))
        self.agree((SUITE, (2,)))
        self.speak(2, (SHORT, (2,)), OTHER)
        self.speak(2, (SUITE, (2,)), OTHER)
        self.agree((SHORT, (2,)))
        self.replay()
        self.assertEqual(len(self.heard), 6)

    def test_formerKey(self) -> None:
        """The key changes, the one before is heard for two seconds more; after a death it comes back."""
        first, second = (SUITE, (2,)), (SUITE, (3,))
        self.agree(first)
        self.speak(2, first)
        self.agree(second)
        self.assertEqual(self.speak(2, first, count=50), [True] * 50)
        self.die()
        self.agree(first)
        self.replay()
        self.assertEqual(len(self.heard), 53)
        self.assertEqual(self.speak(2, first), [True] * 3)

    def test_chain(self) -> None:
        """Keys that are declared in pairs, each with the next: one that two of them have is one."""
        forms = [(SUITE, (2, 3)), (SUITE, (3, 4)), (SUITE, (4, 5))]
        for form in forms:
            self.agree(form)
            for number in form[1]:
                self.speak(number, form, OTHER)
        self.die()
        self.agree((SUITE, (2, 5)))
        self.replay()
        for form in forms:
            self.agree(form)
            self.replay()
        self.assertEqual(len(self.heard), 18)


class AnythingTests(ReplayCase):
    """Random plays."""

    forms: tuple[Form, ...] = (
        *((suite, (number,)) for suite in (SUITE, SHORT) for number in (2, 3)),
        *((suite, numbers) for suite in (SUITE, SHORT) for numbers in ((2, 3), (3, 4))),
    )

    def play(self, seed: int) -> None:
        """Forty things happen, one after the other."""
        random = Random(seed)
        self.reports: list[bytes] = []
        self.agree(random.choice(self.forms))
        former: Form | None = None
        for _ in range(40):
            assert self.agreed is not None
            what = random.random()
            if what < 0.15:
                former = self.agreed
                self.agree(random.choice(self.forms))
            elif what < 0.25:
                self.die()
                former = None
            elif what < 0.35:
                self.passes(random.choice((0.1, 1, 3)))
            elif what < 0.55:
                recorded = random.choice(self.carrier.said) if self.carrier.said else None
                for packet in otherwise(*recorded) if recorded else ():
                    self.deliver(packet)
                for compound in self.reports[-5:]:
                    self.assertFalse(self.deliverReport(compound), "a report is heard twice")
            elif what < 0.65:
                number, ssrc = random.choice(self.agreed[1]), random.choice((SSRC, OTHER))
                self.reports.append(self.carrier.report(number, self.agreed, ssrc))
                self.assertTrue(self.deliverReport(self.reports[-1]), "a report is not heard")
            elif what < 0.8 and former is not None:
                self.speak(random.choice(former[1]), former, random.choice((SSRC, OTHER)))
            else:
                number, ssrc = random.choice(self.agreed[1]), random.choice((SSRC, OTHER))
                found = self.speak(number, self.agreed, ssrc, random.randrange(1, 5))
                self.assertTrue(all(found), "not heard")
        self.replay()

    def test_random(self) -> None:
        """Nothing is heard twice, all of it being played again in the end; what is new is always heard."""
        for seed in range(40):
            self.setUp()
            try:
                self.play(seed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from None
