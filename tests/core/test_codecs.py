"""Which codecs a trunk may have, and packet times."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.audio_stream import AudioStream, allowed
from skypetrunk.core.packet_time import difference, wish
from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.sdp import MediaDescription, parseSDP
from tests.core.callnet import SAVP, CallNet, sdp
from tests.core.races import Race
from tests.core.test_payload_types import EVENTS, stream

ALL = (
    "m=audio 4000 RTP/AVP 96 9 8 0 18 101 102 13\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    "a=rtpmap:101 telephone-event/48000\r\na=rtpmap:102 telephone-event/8000\r\na=fmtp:102 0-15\r\n"
    "a=fmtp:18 annexb=no\r\n"
)
SECURE = ALL.replace("RTP/AVP", "RTP/SAVP") + SAVP[SAVP.index("a=crypto") :]


class AllowedTests(SynchronousTestCase):
    """The list itself."""

    def test_order(self) -> None:
        """Names in any case, in the order of the list; maps and parameters go with them."""
        offer = stream("0", "96 opus/48000/2 useinbandfec=1", "8", "18 G729/8000 annexb=no")
        kept = allowed(offer, ("g729", "OPUS", "PCMA"))
        self.assertEqual(kept.formats, ("18", "96", "8"))
        self.assertEqual(kept.fmtps, {"96": "useinbandfec=1", "18": "annexb=no"})

    def test_companions(self) -> None:
        """Events and comfort noise stay with a codec of their clock rate; G.722 counts 8000."""
        offer = stream("96 opus/48000/2", "9", "101 telephone-event/48000", f"102 {EVENTS}", "13")
        self.assertEqual(allowed(offer, ("opus",)).formats, ("96", "101"))
        self.assertEqual(allowed(offer, ("G722",)).formats, ("9", "102", "13"))
        self.assertEqual(allowed(offer, ("G722", "opus")).formats, ("9", "96", "101", "102", "13"))
        self.assertEqual(allowed(offer, ()), offer)

    def test_long(self) -> None:
        """However long the names of a peer are, what is logged is not."""
        stream = AudioStream(("96",), (("rtpmap", f"96 {'x' * 60_000}/8000"),), "sendrecv")
        error = self.assertRaises(MalformedSDP, allowed, stream, ("PCMA",))
        self.assertLess(len(str(error)), 300)
        stream = AudioStream(("96",), (("rtpmap", "96 \x1b[2J/8000"),), "sendrecv")
        self.assertTrue(str(self.assertRaises(MalformedSDP, allowed, stream, ("PCMA",))).isprintable())

    def test_none(self) -> None:
        """488 with 305, and the words of both sides; a line without payload types is none either."""
        error = self.assertRaises(MalformedSDP, allowed, stream("8", f"101 {EVENTS}"), ("PCMU", "G729"))
        self.assertEqual((error.status, error.warning), (488, 305))
        self.assertEqual(str(error), "wanted PCMU, G729, offered is pcma")
        empty = AudioStream((), (), "sendrecv")
        self.assertEqual(self.assertRaises(MalformedSDP, allowed, empty, ()).warning, 305)


class TrunkCodecs(Race):
    """A trunk with G.729 and A-law."""

    def setUp(self) -> None:
        """In this order."""
        super().setUp()
        self.net.carrier.side.codecs = ("G729", "PCMA")

    def line(self, body: bytes) -> MediaDescription:
        """The audio line of a description."""
        return parseSDP(body).media[0]

    def offer(self) -> bytes:
        """Of the caller: everything."""
        return sdp(ALL) if self.outbound else sdp(SECURE, "203.0.113.9")

    def test_offer(self) -> None:
        """The other side is offered what may cross, in order; its answer has nothing else."""
        near, far = self.call(self.offer())
        line = self.line(far.body)
        self.assertEqual(line.formats, ("18", "8", "102", "13"))
        self.assertEqual(line.fmtps, {"18": "annexb=no", "102": "0-15"})
        self.answer(far)
        accepted = self.caller.response(200)
        # The PBX has events as 101, and the caller as 102.
        wanted = ("8",) if self.outbound else ("8", "102")
        self.assertEqual(self.line(accepted.body).formats, wanted)
        self.caller.ack(near, accepted)

    def test_none(self) -> None:
        """488 with 305, no INVITE, and no port is kept."""
        body = self.offer().replace(b" 96 9 8 0 18 ", b" 96 9 0 ")
        self.invite(body)
        refusal = self.caller.response(488)
        self.assertTrue((refusal.header("Warning") or "").startswith("305 "))
        self.caller.ackRefusal(488)
        self.assertEqual((self.callee.got(), self.net.plane.open), ([], 0))

    def test_reinvite(self) -> None:
        """Within a call the same, and the call stays as it was."""
        near, accepted, _ = self.established()
        body = self.description(self.caller, 2).replace(b" 8 0 101", b" 0").replace(b" 8 101", b" 0")
        self.caller.within(near, accepted, "INVITE", 2, body)
        refusal = self.caller.response(488)
        self.assertTrue((refusal.header("Warning") or "").startswith("305 "))
        self.caller.ackRefusal(488)
        self.assertEqual((self.callee.got(), self.net.manager.callCount()), ([], 1))

    def test_late(self) -> None:
        """An offer in a 2xx is filtered, too."""
        near, far = self.call(b"")
        offer = sdp(SECURE, "203.0.113.9") if self.outbound else sdp(ALL)
        self.callee.answers(far, 200, offer)
        accepted = self.caller.response(200)
        self.assertEqual(self.line(accepted.body).formats, ("18", "8", "102", "13"))
        self.caller.ack(near, accepted, self.description(self.caller))


class InboundTrunkCodecs(TrunkCodecs):
    """The same where the carrier calls."""

    outbound = False


class DestinationTests(SynchronousTestCase):
    """A route with two trunks."""

    def test_next(self) -> None:
        """One that may have none of the codecs is passed over, and nothing is taken for it."""
        net = CallNet(second=True)
        assert net.second is not None
        net.carrier.side.codecs = ("G729",)
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertEqual(net.carrier.got(), [])
        self.assertEqual(net.second.got(), ["INVITE"])
        self.assertEqual(net.carrier.side.calls, 0)


class PacketTimes(Race):
    """What is told of them."""

    def times(self, caller: str, callee: str) -> list[str]:
        """What a call with these attributes leaves in the log."""
        with capturedLogs() as events:
            near, far = self.call(self.description(self.caller, attributes=caller))
            self.callee.answers(far, 200, self.description(self.callee, attributes=callee))
            self.caller.ack(near, self.caller.response(200))
        return [line for line in map(formatEvent, events) if "they cross as they are sent" in line]

    def test_differ(self) -> None:
        """One line, with both; the legs know what their peers want."""
        [line] = self.times("a=ptime:20\r\n", "a=ptime:30\r\n")
        self.assertIn("packets of 20 and of 30 ms are asked for", line)
        self.assertEqual([leg.last("packet time") for leg in self.net.plane.legs], [20, 30])

    def test_same(self) -> None:
        """Nothing to tell: the same, or one says nothing."""
        self.assertEqual(self.times("a=ptime:20\r\n", "a=ptime:20\r\n"), [])
        self.assertEqual(self.times("a=ptime:20\r\n", ""), [])


class WishTests(SynchronousTestCase):
    """The words."""

    def wanting(self, *attributes: tuple[str, str]) -> AudioStream:
        """A stream with these attributes."""
        return AudioStream(("8",), attributes, "sendrecv")

    def test_most(self) -> None:
        """More is asked for than the other takes."""
        one, other = self.wanting(("ptime", "60")), self.wanting(("maxptime", "40"))
        for pair in ((one, other), (other, one)):
            words = "packets of 60 ms are asked for, and no more than 40 ms are taken"
            self.assertEqual(difference(*pair), words)

    def test_garbage(self) -> None:
        """What is no number is no wish."""
        for text in ("", "x", "-20", "99999", "20.5", "\u0662"):
            self.assertIsNone(wish(self.wanting(("ptime", text))), text)
        self.assertEqual(wish(self.wanting(("ptime", " 20 "))), 20)
