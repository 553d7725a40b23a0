"""Each leg has its own numbers for the codecs (RFC 3264 sections 6.1 and 8.3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.audio_stream import (
    REMEMBERED,
    AudioStream,
    _meanings,
    _stream,
    alike,
    common,
    renumbered,
    streamOf,
    within,
)
from skypetrunk.core.payload_types import PayloadTypes
from skypetrunk.errors import MalformedSDP
from skypetrunk.media.renumbering import Numbers
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import MediaDescription, parseSDP
from tests.core.callnet import KEY, Neighbour, sdp
from tests.core.races import Race


def stream(*codecs: str, direction: str = "sendrecv") -> AudioStream:
    """Of C{"96 opus/48000/2"}, with parameters behind a second blank."""
    formats, attributes = [], []
    for each in codecs:
        number, _, rest = each.partition(" ")
        encoding, _, parameters = rest.partition(" ")
        formats.append(number)
        attributes += [("rtpmap", f"{number} {encoding}")] if encoding else []
        attributes += [("fmtp", f"{number} {parameters}")] if parameters else []
    return AudioStream(tuple(formats), tuple(attributes), direction)


EVENTS = "telephone-event/8000"


class StreamTests(SynchronousTestCase):
    """Comparing and renumbering."""

    def test_common(self) -> None:
        """An answer gets the numbers of the offer, with map and parameters; what was not offered goes."""
        answer = stream("96 opus/48000/2 useinbandfec=1", "8", f"100 {EVENTS} 0-15", "97 speex/8000")
        offer = stream("8", "0", "111 opus/48000/2", f"101 {EVENTS} 0-16")
        wanted = stream("111 opus/48000/2 useinbandfec=1", "8", f"101 {EVENTS} 0-15")
        self.assertEqual(common(answer, offer), wanted)

    def test_parameters(self) -> None:
        """Two of a kind are told apart by their numbers, then by their parameters, then by their order."""
        amr = ("96 amr/8000 octet-align=1", "97 amr/8000")
        for answered, wanted in (
            (("97 amr/8000 mode-set=7",), ("97",)),
            (("100 amr/8000 octet-align=1",), ("96",)),
            (("100 amr/8000", "101 amr/8000 octet-align=1"), ("97", "96")),
            (("100 amr/8000 mode-set=7",), ("96",)),
        ):
            self.assertEqual(common(stream(*answered), stream(*amr)).formats, wanted)

    def test_annexB(self) -> None:
        """What is said of annex B crosses as it is; silence means yes to both sides (RFC 3551, RFC 4856)."""
        for parameters in ("", " annexb=no", " annexb=yes"):
            said = stream(f"18 G729/8000{parameters}")
            self.assertEqual(common(said, stream("18")), said)

    def test_nothing(self) -> None:
        """Events alone are no codec: 488 with 305."""
        for answer in (stream("0"), stream(f"101 {EVENTS}"), stream("13")):
            error = self.assertRaises(MalformedSDP, common, answer, stream("8", "13", f"101 {EVENTS}"))
            self.assertEqual((error.status, error.warning), (488, 305))

    def test_silent(self) -> None:
        """A dynamic number without a map means in an answer what the offer says, and the other way round."""
        full = stream("8", f"101 {EVENTS}")
        self.assertEqual(common(stream("8", "101"), full).codecs, full.codecs)
        self.assertEqual(common(full, stream("8", "101")).codecs, full.codecs)
        self.assertTrue(alike(stream("8", "101"), stream("8", f"96 {EVENTS}")) is False)
        self.assertTrue(alike(stream("8", f"101 {EVENTS}"), stream("8", f"96 {EVENTS}")))

    def test_spaces(self) -> None:
        """Where some write spaces or tabs, the codec is the same, and the other side reads none of them."""
        lines = "a=rtpmap: 101 telephone-event/8000\r\na=fmtp:101\t0-15\r\na=ptime: 20\r\n"
        found = streamOf(parseSDP(sdp(f"m=audio 4000 RTP/AVP 8 101\r\n{lines}")).media[0])
        self.assertEqual(found.codecs, {"8": "pcma/8000", "101": "telephone-event/8000"})
        wanted = (("rtpmap", "101 telephone-event/8000"), ("fmtp", "101 0-15"), ("ptime", "20"))
        self.assertEqual(found.attributes, wanted)

    def test_redundant(self) -> None:
        """Redundant audio names numbers in its packets: it stays only while none changes (RFC 2198)."""
        red = stream("96 opus/48000/2", "97 red/48000/2 96/96")
        self.assertEqual(renumbered(red, {"96": "96", "97": "97"}), red)
        self.assertEqual(renumbered(red, {"96": "111", "97": "97"}).formats, ("111",))

    def test_notRTP(self) -> None:
        """Formats that are no payload types do not cross, nor the same one twice."""
        line = MediaDescription("audio", 4000, formats=("8", "128", "t38", "8", "x"))
        self.assertEqual(streamOf(line).formats, ("8",))

    def test_remembered(self) -> None:
        """The same audio is read once, whatever key and port go with it; so many are kept, no more."""

        def line(number: int, name: str) -> MediaDescription:
            crypto = ("crypto", f"1 AES_CM_128_HMAC_SHA1_80 inline:{number}")
            attributes = (crypto, ("rtpmap", f"96 {name}/8000"))
            return MediaDescription("audio", number, formats=("96",), attributes=attributes)

        first = streamOf(line(4000, "speex"))
        self.assertIs(streamOf(line(4002, "speex")), first)
        self.assertEqual(first, stream("96 speex/8000"))
        for number in range(3 * REMEMBERED):
            other = streamOf(line(4000, f"x{number}"))
            self.assertEqual(within(other, other).codecs, {"96": f"x{number}/8000"})
        for function in (_stream, _meanings, within):
            self.assertEqual(function.cache_info().currsize, REMEMBERED)


class OfferedTests(SynchronousTestCase):
    """Numbers stay for the life of a session."""

    def test_asGiven(self) -> None:
        """The other side's numbers serve, as long as nothing is known of others."""
        types = PayloadTypes()
        self.assertEqual(types.offered(stream("8", f"101 {EVENTS}")), {"8": "8", "101": "101"})

    def test_kept(self) -> None:
        """A codec keeps its number; one that meant something else is never given again."""
        types = PayloadTypes()
        types.offered(stream("8", f"101 {EVENTS}"))
        self.assertEqual(types.offered(stream("8", f"96 {EVENTS}")), {"8": "8", "96": "101"})
        found = types.offered(stream("101 opus/48000/2", f"96 {EVENTS}"))
        self.assertEqual(found["96"], "101")
        self.assertNotIn(found["101"], ("101", "96"))
        # And so it stays.
        self.assertEqual(types.offered(stream("98 opus/48000/2")), {"98": found["101"]})

    def test_answered(self) -> None:
        """What was answered counts too: those are the numbers of the peer's offer."""
        types = PayloadTypes()
        types.answered(stream("8", f"100 {EVENTS}"))
        self.assertEqual(types.offered(stream("8", f"101 {EVENTS}")), {"8": "8", "101": "100"})

    def test_usedUp(self) -> None:
        """However often a peer changes its mind there is a number, and none twice in one offer."""
        types = PayloadTypes()
        for turn in range(200):
            wanted = stream(*(f"{96 + n} codec{turn}{n}/8000" for n in range(32)))
            found = types.offered(wanted)
            self.assertEqual(len(set(found.values())), 32)

    def test_all(self) -> None:
        """Who names all numbers there are gets those that can be had."""
        types = PayloadTypes()
        types.offered(stream("96 opus/48000/2", f"101 {EVENTS}"))
        found = types.offered(stream(*(f"{n} codec{n}/8000" for n in range(128))))
        self.assertEqual(len(found), 126)
        self.assertEqual([number for number, to in found.items() if number != to], [])


class RenumberingTests(Race):
    """Whole calls: what each side is told, and what becomes of packets."""

    def media(self, neighbour: Neighbour, *codecs: str, version: int = 1) -> bytes:
        """The description of a neighbour with these codecs."""
        maps = "".join(f"a=rtpmap:{each}\r\n" for each in codecs if " " in each)
        numbers = " ".join(each.split(" ")[0] for each in codecs)
        if neighbour is self.net.pbx:
            return sdp(f"m=audio 4000 RTP/AVP {numbers}\r\n{maps}", version=version)
        crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"
        return sdp(f"m=audio 6000 RTP/SAVP {numbers}\r\n{maps}{crypto}", "203.0.113.9", version)

    def told(self, message: Request | Response) -> Mapping[str, str]:
        """The codecs of a description of ours."""
        return streamOf(parseSDP(message.body).media[0]).codecs

    def changes(self) -> tuple[Mapping[int, int | None], Mapping[int, int | None]]:
        """What becomes of the numbers of the caller's packets, and of the callee's."""
        legs = self.net.plane.legs[:2]
        near, far = (Numbers.of(*map(dict, leg.last("numbers"))) for leg in legs)  # type: ignore[call-overload]
        return near.towards(far), far.towards(near)

    def begun(self) -> tuple[Request, Response, Request]:
        """The caller's events are 101, the callee's 96; both have opus, as 111 and 97."""
        codecs = ("111 opus/48000/2", "8", f"101 {EVENTS}")
        near, far = self.call(self.media(self.caller, *codecs))
        self.assertEqual(list(self.told(far)), ["111", "8", "101"])
        answer = self.media(self.callee, "97 opus/48000/2", "8", f"96 {EVENTS}")
        self.callee.answers(far, 200, answer)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.got()
        self.callee.got()
        return near, accepted, far

    def test_answer(self) -> None:
        """The caller reads its own numbers in the answer; packets to the callee change, those back do not."""
        _, accepted, _ = self.begun()
        self.assertEqual(list(self.told(accepted)), ["111", "8", "101"])
        self.assertEqual(self.changes(), ({111: 97, 101: 96}, {97: 111, 96: 101}))

    def test_same(self) -> None:
        """Where both have the same numbers nothing changes."""
        self.established()
        self.assertEqual(self.changes(), ({}, {}))

    def test_late(self) -> None:
        """The callee offers in its 200, the caller answers in its ACK with other numbers."""
        near, far = self.call(b"")
        self.callee.answers(far, 200, self.media(self.callee, "97 opus/48000/2", f"96 {EVENTS}"))
        accepted = self.caller.response(200)
        self.assertEqual(list(self.told(accepted)), ["97", "96"])
        self.caller.ack(near, accepted, self.media(self.caller, "111 opus/48000/2", f"101 {EVENTS}"))
        self.assertEqual(list(self.told(self.callee.request("ACK"))), ["97", "96"])
        self.assertEqual(self.changes(), ({111: 97, 101: 96}, {97: 111, 96: 101}))

    def test_renumbered(self) -> None:
        """A re-INVITE with new numbers: the other side is offered those that it knows, and packets change."""
        near, accepted, _ = self.begun()
        codecs = ("100 opus/48000/2", f"111 {EVENTS}")
        self.caller.within(near, accepted, "INVITE", 2, self.media(self.caller, *codecs, version=2))
        again = self.callee.request("INVITE")
        self.assertEqual(self.told(again), {"111": "opus/48000/2", "101": EVENTS})
        answer = self.media(self.callee, "97 opus/48000/2", f"96 {EVENTS}", version=2)
        self.callee.answers(again, 200, answer)
        self.assertEqual(list(self.told(self.caller.response(200))), ["100", "111"])
        self.assertEqual(self.changes()[0], {100: 97, 111: 96})
        self.assertEqual(self.changes()[1], {97: 100, 111: 100, 96: 111, 101: 111})

    def test_allNumbers(self) -> None:
        """A re-INVITE that gives all numbers another meaning: what there is no number for is left out."""
        near, accepted, _ = self.begun()
        codecs = [f"{n} codec{n}/8000" for n in range(127)]
        body = self.media(self.caller, *codecs, "127 PCMA/8000", version=2)
        self.caller.within(near, accepted, "INVITE", 2, body)
        again = self.callee.request("INVITE")
        told = self.told(again)
        self.assertEqual(len(told), 125)
        self.assertEqual(told["8"], "pcma/8000")
        self.callee.answers(again, 200, self.media(self.callee, "8", version=2))
        self.assertEqual(self.told(self.caller.response(200)), {"127": "pcma/8000"})

    def test_calleeRenumbers(self) -> None:
        """The same from the other side."""
        _, _, far = self.begun()
        body = self.media(self.callee, "8", f"110 {EVENTS}", version=2)
        self.callee.back(far, "INVITE", 1, body=body)
        again = self.caller.request("INVITE")
        self.assertEqual(self.told(again), {"8": "pcma/8000", "101": EVENTS})
        self.caller.answers(again, 200, self.media(self.caller, "8", f"101 {EVENTS}", version=2))
        self.assertEqual(list(self.told(self.callee.response(200))), ["8", "110"])
        self.assertEqual(self.changes(), ({101: 110}, {110: 101}))

    def test_refused(self) -> None:
        """A re-INVITE with other numbers that is refused changes nothing."""
        near, accepted, _ = self.begun()
        before = self.changes()
        body = self.media(self.caller, f"99 {EVENTS}", "8", version=2)
        self.caller.within(near, accepted, "INVITE", 2, body)
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.assertEqual(self.changes(), before)

    def test_fork(self) -> None:
        """Branches with other numbers: the answer to the caller stays, packets follow who spoke last."""
        near, far = self.call(self.media(self.caller, "8", f"101 {EVENTS}"))
        for tag, number in (("one", 101), ("two", 96)):
            self.callee.answers(far, 183, self.media(self.callee, "8", f"{number} {EVENTS}"), tag=tag)
            self.assertEqual(list(self.told(self.caller.response(183))), ["8", "101"])
        self.assertEqual(self.changes(), ({101: 96}, {96: 101}))
        self.callee.answers(far, 200, self.media(self.callee, "8", f"101 {EVENTS}"), tag="one")
        accepted = self.caller.response(200)
        self.assertEqual(self.changes(), ({}, {}))
        self.caller.ack(near, accepted)
        # The same codecs under other numbers are no change: no re-INVITE for the caller.
        self.assertEqual(self.caller.got(), [100, 183, 183, 200])

    def test_nothingLeft(self) -> None:
        """Redundant audio alone, which cannot have another number: 488, and no line without formats."""
        near, accepted, _ = self.begun()
        body = self.media(self.caller, "101 red/8000", version=2)
        self.caller.within(near, accepted, "INVITE", 2, body)
        self.caller.ackRefusal(488)
        self.assertEqual(self.callee.got(), [])
        # And that was all: the next one crosses.
        self.caller.within(near, accepted, "INVITE", 3, self.media(self.caller, "8", version=3))
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_notOffered(self) -> None:
        """An answer without any codec of the offer: the call ends, both sides learn why (488, 305)."""
        _, far = self.call(self.media(self.caller, "8", f"101 {EVENTS}"))
        self.callee.answers(far, 200, self.media(self.callee, "0", f"101 {EVENTS}"))
        self.assertEqual(self.callee.got(), ["INVITE", "ACK", "BYE"])
        refusal = self.caller.response(488)
        self.assertTrue((refusal.header("Warning") or "").startswith("305 "))


class InboundRenumberingTests(RenumberingTests):
    """The same where the carrier calls."""

    outbound = False
