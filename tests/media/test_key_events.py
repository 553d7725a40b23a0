"""Keys in RTP: L{skypetrunk.media.key_events}, on a call with a plain and a secure leg."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.key_events import GAP, LONGEST, MOST_KEYS, SHORTEST
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from skypetrunk.wire.telephone_event import BOTH, KEYS, KeyReader
from tests.media.doubles import Call, rtp

EVENTS = "telephone-event/8000"
PBX_TYPES = {0: "", 101: EVENTS}
CARRIER_TYPES = {0: "", 96: EVENTS}


class Keys(SynchronousTestCase):
    """What is common: events are 101 for the PBX, 96 for the carrier."""

    def setUp(self) -> None:
        """Both have agreed."""
        self.call = Call()
        self.sequence = 1000
        self.agree(PBX_TYPES, CARRIER_TYPES)

    def agree(self, pbx: dict[int, str], carrier: dict[int, str]) -> None:
        """What both descriptions of each leg have."""
        self.call.plain.setPayloadTypes(pbx, pbx)
        self.call.secure.setPayloadTypes(carrier, carrier)

    def audio(self, ssrc: int = 0x11111111) -> None:
        """20 ms pass, and each side sends a packet."""
        self.call.clock.advance(0.02)
        self.sequence += 1
        self.call.fromPBX(rtp(self.sequence, ssrc=ssrc))
        self.call.fromCarrier(self.call.peer.protect(rtp(self.sequence, ssrc=ssrc)))

    def carrierGot(self) -> list[bytes]:
        """What came to the carrier since the last time."""
        got, self.call.peer.plain[:] = list(self.call.peer.plain), []
        self.assertEqual(self.call.peer.refused, [])
        return got

    def assertContinuous(self, packets: list[bytes]) -> list[RTPHeader]:
        """One stream: one SSRC, and no number is missing or there twice."""
        headers = [parseRTP(packet) for packet in packets]
        self.assertEqual(len({header.ssrc for header in headers}), 1)
        steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in zip(headers, headers[1:], strict=False)}
        self.assertEqual(steps, {1})
        return headers

    def read(self, packets: list[bytes], number: int) -> str:
        """The keys that a receiver finds."""
        reader, keys = KeyReader(), ""
        for packet in packets:
            header = parseRTP(packet)
            if header.payloadType == number:
                keys += reader.received(header.ssrc, header.timestamp, packet[12:])
        return keys

    def events(self, packets: list[bytes], number: int) -> list[tuple[RTPHeader, int, bool, int]]:
        """Header, code, end bit and duration of each packet of an event."""
        parsed = [(parseRTP(packet), packet[12:]) for packet in packets]
        return [
            (header, payload[0], bool(payload[1] & 0x80), int.from_bytes(payload[2:4], "big"))
            for header, payload in parsed
            if header.payloadType == number
        ]


class SendTests(Keys):
    """A key that came in INFO goes out in RTP."""

    def both(self, count: int) -> tuple[list[bytes], list[bytes]]:
        """What the carrier and the PBX get of this much audio."""
        pbx: list[bytes] = []
        for _ in range(count):
            self.audio()
            pbx += [datagram.data for datagram in self.call.receiveAll()]
        return self.carrierGot(), pbx

    def test_event(self) -> None:
        """Marker, one time stamp, a duration that grows by the clock, three ends (RFC 4733 section 2.5.1)."""
        for leg, number, index in ((self.call.secure, 96, 0), (self.call.plain, 101, 1)):
            before = self.both(5)[index]
            leg.sendKey("5", 100)
            packets = self.both(20)[index]
            headers = self.assertContinuous(before + packets)
            events = self.events(packets, number)
            self.assertEqual([header.marker for header, *_ in events], [True] + [False] * (len(events) - 1))
            self.assertEqual(len({header.timestamp for header, *_ in events}), 1)
            self.assertEqual({code for _, code, _, _ in events}, {5})
            self.assertEqual([end for _, _, end, _ in events], [False] * 4 + [True] * 3)
            self.assertEqual([lasts for *_, lasts in events], [160, 320, 480, 640, 800, 800, 800])
            self.assertEqual(self.read(packets, number), "5")
            # Time goes on: the key begins after the audio before it, and the audio after it later still.
            stamps = [header.timestamp for header in headers if header.payloadType == 0]
            start = events[0][0].timestamp
            # Two packets came while it waited, lest the source sends the key itself.
            self.assertEqual((start - stamps[6]) & 0xFFFFFFFF, 160)
            self.assertEqual((stamps[7] - stamps[6]) & 0xFFFFFFFF, 160 * len(events))

    def test_all(self) -> None:
        """All sixteen, in a row, with audio between them."""
        for key in KEYS:
            self.call.secure.sendKey(key, 80)
            self.call.plain.sendKey(key, 80)
        carrier, pbx = self.both(16 * 12)
        self.assertEqual((self.read(carrier, 96), self.read(pbx, 101)), (KEYS, KEYS))
        for packets in (carrier, pbx):
            self.assertContinuous(packets)

    def test_silentSource(self) -> None:
        """Before and without audio of the other side: a stream of our own, which the audio then follows."""
        for key in "12":
            self.call.secure.sendKey(key, 80)
        for _ in range(30):
            self.call.clock.advance(0.02)
            self.call.receiveAll()
        first = self.carrierGot()
        self.assertEqual(self.read(first, 96), "12")
        stamps = list(dict.fromkeys(header.timestamp for header, *_ in self.events(first, 96)))
        self.assertGreaterEqual((stamps[1] - stamps[0]) & 0xFFFFFFFF, 80 * 8 + int(GAP * 8000))
        after = self.both(5)[0]
        self.assertContinuous(first + after)

    def test_lostAndLate(self) -> None:
        """What is lost stays lost, what is late has its place, unless a key has it."""
        self.both(3)
        self.call.plain.sendKey("1", 80)
        self.both(12)
        for offset in (1, 2, 5, 4):
            self.call.fromCarrier(self.call.peer.protect(rtp(self.sequence + offset)))
        got = [parseRTP(datagram.data).sequence for datagram in self.call.receiveAll()]
        self.assertEqual([(number - got[0]) & 0xFFFF for number in got], [0, 1, 4, 3])
        self.sequence += 5
        self.call.secure.sendKey("1", 80)
        before = self.both(12)[0]
        self.call.fromPBX(rtp(self.sequence - 10))
        self.call.receiveAll()
        self.assertEqual((self.carrierGot(), self.read(before, 96)), ([], "1"))

    def test_newSource(self) -> None:
        """Another SSRC: its own numbers; a source that begins again: our numbers go on."""
        self.both(3)
        self.call.plain.sendKey("1", 80)
        self.both(12)
        self.call.clock.advance(0.02)
        self.call.fromCarrier(self.call.peer.protect(rtp(7, ssrc=0x22222222)))
        [datagram] = self.call.receiveAll()
        self.assertEqual(datagram.data, rtp(7, ssrc=0x22222222))
        self.call.fromCarrier(self.call.peer.protect(rtp(8, ssrc=0x22222222)))
        self.assertEqual([datagram.data for datagram in self.call.receiveAll()], [rtp(8, ssrc=0x22222222)])

    def test_wrap(self) -> None:
        """Over the end of the sequence numbers."""
        self.sequence = 65_530
        before = self.both(3)[0]
        self.call.secure.sendKey("9", 80)
        self.assertContinuous(before + self.both(12)[0])

    def test_bounds(self) -> None:
        """Durations have bounds; of too many keys the last are left out."""
        for asked, lasts in ((1, SHORTEST), (99_999, LONGEST)):
            self.both(1)
            self.call.secure.sendKey("1", asked)
            events = self.events(self.both(70)[0], 96)
            self.assertEqual(events[-1][3], lasts * 8)
        self.both(10)
        for _ in range(MOST_KEYS + 20):
            self.call.secure.sendKey("1", 80)
        self.assertEqual(len(self.read(self.both(600)[0], 96)), MOST_KEYS)

    def timers(self) -> int:
        """How many of senders of keys run."""
        return sum("KeySender" in str(call) for call in self.call.clock.getDelayedCalls())

    def test_notAgreed(self) -> None:
        """Without events, on hold, after the end: nothing is sent, nothing is left."""
        self.agree({0: ""}, {0: ""})
        self.call.secure.sendKey("1", 80)
        self.agree(PBX_TYPES, CARRIER_TYPES)
        self.call.secure.setSending(False)
        self.call.secure.sendKey("1", 80)
        self.call.secure.setSending(True)
        self.assertEqual(self.read(self.both(10)[0], 96), "")
        self.call.secure.sendKey("1", 80)
        self.call.secure.setPayloadTypes({0: ""}, {0: ""})
        self.both(20)
        self.call.secure.setPayloadTypes(CARRIER_TYPES, CARRIER_TYPES)
        self.call.secure.sendKey("2", 80)
        self.assertEqual(self.timers(), 1)
        self.call.release()
        self.assertEqual(self.timers(), 0)
        self.call.secure.sendKey("3", 80)

    def test_clock(self) -> None:
        """With opus the events of 48000 are taken."""
        types = {111: "opus/48000/2", 100: "telephone-event/8000", 99: "telephone-event/48000"}
        self.agree(types, types)
        self.call.secure.sendKey("7", 100)
        for _ in range(3):
            self.call.clock.advance(0.02)
            self.sequence += 1
            packet = bytearray(rtp(self.sequence))
            packet[1] = 111
            self.call.fromPBX(bytes(packet))
        events = self.events(self.both(10)[0], 99)
        self.assertEqual([lasts for *_, lasts in events][-1], 4800)

    def pressed(self, key: str, count: int = 6) -> None:
        """The PBX presses a key itself: 20 ms pass before each packet."""
        timestamp = 160 * (self.sequence + 1)
        for step in range(count):
            self.call.clock.advance(0.02)
            self.sequence += 1
            packet = bytearray(rtp(self.sequence, timestamp=timestamp))
            packet[1] = 101
            packet[12:] = bytes((KEYS.index(key), 0x80 | 10 if step >= count - 3 else 10))
            packet += (160 * min(step + 1, count - 2)).to_bytes(2, "big")
            self.call.fromPBX(bytes(packet))

    def test_both(self) -> None:
        """A telephone that sends its keys as events and in INFO: each is there once."""
        for order in ("ei", "ie", "i.e", "i...e", "i.........e"):
            for key in "1223":
                packets = self.both(2)[0]
                for each in order:
                    if each == "e":
                        self.pressed(key, 12)
                    elif each == "i":
                        self.call.secure.sendKey(key, 100)
                    else:
                        packets += self.both(4)[0]
                packets += self.carrierGot() + self.both(20)[0]
                self.assertEqual(self.read(packets, 96), key, order)
                self.assertContinuous(packets)
                self.both(int(BOTH / 0.02))

    def test_both_fast(self) -> None:
        """The same key in fast succession is as many."""
        packets = self.both(2)[0]
        for order in ("ei", "ie", "ei", "ie", "ie"):
            for each in order:
                if each == "e":
                    self.pressed("4")
                else:
                    self.call.secure.sendKey("4", 80)
                    packets += self.both(5)[0]
            packets += self.both(5)[0]
        self.assertEqual(self.read(packets + self.both(20)[0], 96), "4" * 5)

    def test_both_outOfOrder(self) -> None:
        """Sound that an event has overtaken which is left out comes too late: its place is taken."""
        packets = self.both(2)[0]
        self.call.secure.sendKey("4", 80)
        packets += self.both(20)[0]
        self.sequence += 1
        late = rtp(self.sequence)
        self.pressed("4")
        self.call.fromPBX(late)
        packets += self.both(10)[0]
        self.assertEqual(self.read(packets, 96), "4")
        self.assertContinuous(packets)

    def test_both_later(self) -> None:
        """Who sends no events any more is believed in INFO."""
        self.both(2)
        self.pressed("1")
        self.both(int(BOTH / 0.02))
        self.call.secure.sendKey("1", 100)
        self.assertEqual(self.read(self.both(20)[0], 96), "1")

    def test_onlyWhereNeeded(self) -> None:
        """A call without such keys has nothing of it; with one, in that direction alone."""
        self.call = Call()
        self.agree(PBX_TYPES, PBX_TYPES)
        self.assertIs(self.call.plain._onward, self.call.secure)
        self.call.secure.sendKey("1", 80)
        self.assertIsNot(self.call.plain._onward, self.call.secure)
        self.assertIs(self.call.secure._onward, self.call.plain)


class HearTests(Keys):
    """Keys in RTP for a side that has them in INFO."""

    def press(self, number: int, key: str, timestamp: int) -> None:
        """The carrier presses a key, as RFC 4733 has it."""
        for step in range(6):
            self.sequence += 1
            packet = bytearray(rtp(self.sequence, timestamp=timestamp, marker=not step))
            packet[1] = number | (0x80 if not step else 0)
            end = 0x80 if step >= 3 else 0
            packet[12:] = bytes((KEYS.index(key), end | 10)) + (160 * min(step + 1, 4)).to_bytes(2, "big")
            self.call.fromCarrier(self.call.peer.protect(bytes(packet)))

    def test_heard(self) -> None:
        """Each once, and the PBX gets the audio alone."""
        heard: list[str] = []
        self.agree({0: ""}, CARRIER_TYPES)
        self.call.secure.hearKeys(heard.append)
        for place, key in enumerate("18#D"):
            self.audio()
            self.press(96, key, 160 * (self.sequence + 1) + place)
        self.assertEqual("".join(heard), "18#D")
        self.assertEqual({parseRTP(sent.data).payloadType for sent in self.call.receiveAll()}, {0})

    def test_agreed(self) -> None:
        """A PBX that has events gets them, and nobody is told."""
        self.call.secure.hearKeys(self.fail)
        self.press(96, "1", 160)
        self.assertEqual({parseRTP(sent.data).payloadType for sent in self.call.receiveAll()}, {101})

    def test_malformed(self) -> None:
        """Too short to be one: counted, no traceback."""
        self.agree({0: ""}, CARRIER_TYPES)
        self.call.secure.hearKeys(self.fail)
        packet = bytearray(rtp(1, payload=b"\x01"))
        packet[1] = 96
        self.call.fromCarrier(self.call.peer.protect(bytes(packet)))
        self.assertEqual(dict(self.call.secure.statistics().received.refused), {"malformed": 1})

    def test_released(self) -> None:
        """Nobody is held after the end."""
        self.call.secure.hearKeys(self.fail)
        self.call.release()
        self.assertIsNone(self.call.secure._keysHeard)
