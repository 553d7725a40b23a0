"""A PBX in this process: calls that come in, hold, keys and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IMessageChannel, IPBXCall, IPBXLine, ITransactionUser
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import KEY, sdp
from tests.pbx.linenet import OFFER, SOUND, LineCase, User, key, sound


class IncomingTests(LineCase):
    """Calls of the carrier."""

    def test_provided(self) -> None:
        """The line, its calls and its channels are what they say."""
        _, call, _ = self.net.answeredCall()
        self.assertTrue(verifyObject(IPBXLine, self.net.line))
        self.assertTrue(verifyObject(ITransactionUser, self.net.line))
        self.assertTrue(verifyObject(IPBXCall, call))
        self.assertTrue(verifyObject(IMessageChannel, self.net.line._near))

    def test_answered(self) -> None:
        """Greeted, heard, read, and hung up by the caller."""
        invite, call, user = self.net.answeredCall()
        self.assertEqual((call.caller, call.callerName, call.called), ("1001", "Marker", "account"))
        self.assertEqual((user.events, call.media.codec), (["answered"], "PCMA"))
        self.assertIs(self.vendor.line, self.net.line)
        finished = call.media.play([SOUND])
        self.net.clock.pump([0, 0.02])
        self.assertIs(self.successResultOf(finished), True)
        (sent,) = self.net.network.take()
        self.assertEqual((sent.destination[1], sent.data[12:]), (self.net.plane.legs[1].address.port, SOUND))
        self.net.relayed(sound(SOUND), key(7), key(7))
        self.assertEqual(user.events[1:], [SOUND, "key 7"])
        self.carrier.within(invite, self.carrier.response(200), "BYE", 2)
        self.net.turn()
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        self.assertFalse(call.media.sending)
        self.settled()

    def test_answerOfOurs(self) -> None:
        """One codec and keys; what crosses to the carrier is that, and nothing of the line."""
        self.net.answeredCall()
        answer = self.carrier.response(200)
        (audio,) = parseSDP(answer.body).media
        self.assertEqual((audio.formats, audio.rtpmaps["101"]), (("8", "101"), "telephone-event/8000"))
        for name in (b"invalid", b"acme", b"attendant", b":30000"):
            self.assertNotIn(name, answer.encode())

    def test_hangsUp(self) -> None:
        """The vendor ends it; a second time changes nothing."""
        _, call, user = self.net.answeredCall()
        call.hangUp()
        call.hangUp()
        self.net.turn()
        self.carrier.answers(self.carrier.request("BYE"), 200)
        self.net.turn()
        self.assertEqual(user.events[1:], [("ended", "hung up")])
        self.settled()

    def test_hangsUpAtOnce(self) -> None:
        """As soon as it is answered, before the ACK came: BYE waits for it."""

        def take(call: IPBXCall) -> None:
            call.answer()
            call.hangUp()

        self.vendor.take = take
        invite = self.net.incoming()
        self.assertNotIn("BYE", self.carrier.channel.summary())
        self.carrier.ack(invite, self.carrier.response(200))
        self.net.turn()
        self.carrier.answers(self.carrier.request("BYE"), 200)
        self.net.turn()
        self.assertEqual(self.vendor.users[0].events, [("ended", "hung up")])
        self.settled()

    def test_ringsFirst(self) -> None:
        """180, and the answer later."""
        self.vendor.take = lambda call: call.ring()
        invite = self.net.incoming()
        self.assertEqual(self.carrier.got(), [100, 180])
        self.net.clock.advance(5)
        self.vendor.calls[0].answer()
        self.vendor.calls[0].answer()
        self.vendor.calls[0].ring()
        self.vendor.calls[0].refuse(CallRefused("too late"))
        self.net.turn()
        self.assertEqual(self.carrier.channel.summary(), [200])
        self.carrier.ack(invite, self.carrier.response(200))
        self.net.turn()
        self.assertEqual(self.vendor.users[0].events, ["answered"])

    def test_refused(self) -> None:
        """By raising, by refuse, by hanging up: status, cause and Retry-After reach the caller."""

        def raising(call: IPBXCall) -> None:
            raise CallRefused("the queue is full", 486, 17)

        text: Any = "486"

        def wrong(call: IPBXCall) -> None:
            raise CallRefused("text", text)

        kinds: list[tuple[Callable[[IPBXCall], object], int, str | None]] = [
            (raising, 486, "Q.850;cause=17"),
            (lambda call: call.refuse(CallRefused("gone", 480, 20)), 480, "Q.850;cause=20"),
            (lambda call: call.refuse(CallRefused("odd", 200)), 500, None),
            (lambda call: call.refuse(CallRefused("cause", 486, text)), 500, None),
            (wrong, 500, None),
            (lambda call: call.hangUp(), 603, "Q.850;cause=21"),
        ]
        for take, status, reason in kinds:
            self.vendor.take = take
            self.net.incoming()
            self.assertEqual(self.carrier.response(status).header("Reason"), reason)
            self.carrier.ackRefusal(status)
        told = [user.events for user in self.vendor.users]
        causes = (None, "gone", "odd", "cause", None, "declined")  # who has raised is told nothing
        self.assertEqual(told, [[("ended", f"refused: {cause}")] if cause else [] for cause in causes])
        self.settled()

    def test_cancelled(self) -> None:
        """The caller gives up while it rings."""
        self.vendor.take = lambda call: call.ring()
        invite = self.net.incoming()
        self.carrier.cancel(invite)
        self.net.turn()
        self.assertEqual(self.vendor.users[0].events, [("ended", "cancelled")])
        self.vendor.calls[0].answer()
        self.carrier.ackRefusal(487)
        self.settled()

    def test_noCodec(self) -> None:
        """Without G.711 it is refused with 488, and the vendor never hears of it."""
        other = OFFER.replace("RTP/SAVP 8 101", "RTP/SAVP 18 101").replace("8 PCMA", "18 G729")
        self.net.incoming(sdp(other, "203.0.113.9"))
        self.assertEqual((self.carrier.response(488).status, self.vendor.calls), (488, []))
        self.carrier.ackRefusal(488)
        self.settled()

    def test_muLaw(self) -> None:
        """What the carrier offers first, by whatever number it has."""
        other = OFFER.replace("RTP/SAVP 8 101", "RTP/SAVP 96 8").replace("8 PCMA", "96 pcmu")
        self.vendor.take = lambda call: call.answer()
        self.net.incoming(sdp(other, "203.0.113.9"))
        self.assertEqual(self.vendor.calls[0].media.codec, "PCMU")
        (audio,) = parseSDP(self.carrier.response(200).body).media
        self.assertEqual(audio.formats, ("96",))

    def test_lateOffer(self) -> None:
        """An INVITE without offer: ours is in the 2xx, and it is answered once the ACK is there."""
        self.vendor.take = lambda call: call.answer()
        invite = self.net.incoming(b"")
        offer = self.carrier.response(200)
        self.assertEqual(parseSDP(offer.body).media[0].formats, ("8", "0", "101"))
        crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"
        answer = f"m=audio 6000 RTP/SAVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n{crypto}"
        self.carrier.ack(invite, offer, sdp(answer, "203.0.113.9"))
        self.net.turn()
        self.assertEqual(self.vendor.users[0].events, ["answered"])
        self.assertEqual(
            (self.vendor.calls[0].media.codec, self.vendor.calls[0].media.sending), ("PCMU", True)
        )

    def test_hold(self) -> None:
        """On hold nothing is sent; the vendor is told, also of the end of it."""
        invite, call, user = self.net.answeredCall()
        held = sdp(OFFER + "a=sendonly\r\n", "203.0.113.9", 2)
        answer = self.carrier.response(200)
        for number, body, sending in ((2, held, False), (3, sdp(OFFER, "203.0.113.9", 3), True)):
            self.carrier.channel.clear()
            again = self.carrier.within(invite, answer, "INVITE", number, body)
            self.net.turn()
            self.carrier.ack(again, self.carrier.response(200))
            self.net.turn()
            self.assertIs(call.media.sending, sending)
        self.assertEqual(user.events, ["answered", "changed", "changed"])

    def test_otherCodec(self) -> None:
        """A re-INVITE with another law changes it; one with neither is refused and changes nothing."""
        invite, call, user = self.net.answeredCall()
        answer = self.carrier.response(200)
        for number, formats, status, codec in (
            (2, "18", 488, "PCMA"),
            (3, "0 101", 200, "PCMU"),
            (4, "8 0 101", 200, "PCMU"),
        ):
            self.carrier.channel.clear()
            media = OFFER.replace("RTP/SAVP 8 101", f"RTP/SAVP {formats}")
            again = self.carrier.within(invite, answer, "INVITE", number, sdp(media, "203.0.113.9", number))
            self.net.turn()
            self.assertEqual(self.carrier.response(status).cseq.number, number)
            if status == 200:
                self.carrier.ack(again, self.carrier.response(200))
            else:
                self.carrier.ackRefusal(status)
            self.net.turn()
            self.assertEqual(call.media.codec, codec)
        self.assertEqual(user.events, ["answered", "changed"])

    def test_keysInINFO(self) -> None:
        """
        Both forms of them, where there are no events; a flash is no key, and another body no reason to tell
        the vendor.
        """
        noEvents = sdp(OFFER.replace("8 101", "8"), "203.0.113.9")
        invite, _, user = self.net.answeredCall(noEvents)
        answer = self.carrier.response(200)
        for number, (kind, body, status) in enumerate(
            (
                ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", 200),
                ("application/dtmf", b"#", 200),
                ("application/dtmf-relay", b"Signal=11\r\n", 200),
                ("application/dtmf", b"a", 200),
                ("application/dtmf", b"16", 200),
                ("text/plain", b"1", 415),
            ),
            2,
        ):
            self.carrier.twist = lambda message, kind=kind: message.encode().replace(
                b"application/sdp", kind.encode()
            )
            self.carrier.within(invite, answer, "INFO", number, body)
            self.net.turn()
            self.assertEqual(self.carrier.got()[-1], status)
        self.assertEqual(user.events, ["answered", "key 5", "key #", "key #", "key A"])

    def test_noPorts(self) -> None:
        """No room for its audio: 503, and the vendor never hears of it."""
        kept = [self.net.ends.endpoint("x") for _ in range(10)]
        self.net.incoming()
        self.assertEqual((self.carrier.response(503).status, self.vendor.calls), (503, []))
        self.carrier.ackRefusal(503)
        with self.assertRaises(CallRefused) as caught:
            self.vendor.line.placeCall("+4420", "1001", User())
        self.assertEqual(caught.exception.status, 503)
        for each in kept:
            each.release()
        self.settled()
