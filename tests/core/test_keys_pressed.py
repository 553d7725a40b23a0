"""How keys cross, by what the two sides have: L{skypetrunk.core.keys_pressed}."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.service.trace import redacted
from skypetrunk.tools.ladder import labelOf
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP
from skypetrunk.wire.telephone_event import BOTH
from tests.core.callnet import KEY, Neighbour, RecordingMediaLeg, sdp
from tests.core.races import Race
from tests.core.test_info import PLAIN, RELAY

EVENTS = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"


class Pressing(Race):
    """A call in which keys are pressed."""

    def media(self, neighbour: Neighbour, events: bool, version: int = 1) -> bytes:
        """A description of a neighbour with A-law, and events or not."""
        numbers, maps = ("8 101", EVENTS) if events else ("8", "")
        if neighbour is self.net.pbx:
            return sdp(f"m=audio 4000 RTP/AVP {numbers}\r\n{maps}", version=version)
        crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"
        return sdp(f"m=audio 6000 RTP/SAVP {numbers}\r\n{maps}{crypto}", "203.0.113.9", version)

    def stands(self, caller: bool, callee: bool, allow: str = "INVITE, ACK, BYE, INFO") -> None:
        """
        A call that stands.

        @param caller: has the caller events in its SDP; C{callee} likewise, which says what it allows.
        """
        near, far = self.call(self.media(self.caller, caller))
        self.far = far
        self.callee.answers(
            far, 200, self.media(self.callee, callee), headers=[("Allow", allow)] if allow else []
        )
        self.near, self.accepted = near, self.caller.response(200)
        self.caller.ack(near, self.accepted)
        self.caller.got()
        self.callee.got()

    def press(self, key: str = "5", number: int = 2, kind: str = RELAY) -> None:
        """INFO of the caller."""
        lines = self.near.withHeader("To", self.accepted.header("To") or "")
        lines = lines.withHeader("CSeq", f"{number} INFO").withoutHeader("Via")
        lines = lines.withHeader("Content-Type", kind)
        body = key if kind == PLAIN else f"Signal={key}\r\nDuration=250\r\n"
        request = Request("INFO", str(self.accepted.contacts[0].uri), lines.headers, body.encode())
        via = str(self.near.topVia).replace("branch=", f"branch=z9hG4bKpress{number}")
        self.caller.says(request.prependingHeader("Via", via))

    def pressBack(self, key: str, number: int) -> None:
        """INFO of the callee."""
        self.callee.back(
            self.far, "INFO", number, body=f"Signal={key}\r\nDuration=250\r\n".encode(), kind=RELAY
        )

    def keysIn(self, leg: int) -> list[object]:
        """Keys sent as events on this leg: 0 is the caller's."""
        return [event[1] for event in self.net.plane.legs[leg].events if event[0] == "key"]

    def formats(self, message: Request | Response) -> tuple[str, ...]:
        """Of a description of ours."""
        return parseSDP(message.body).media[0].formats

    def leg(self, number: int) -> RecordingMediaLeg:
        """0 is the caller's."""
        return self.net.plane.legs[number]


class AutoTests(Pressing):
    """Nothing is configured."""

    def test_bothHaveEvents(self) -> None:
        """Who sends INFO all the same may do both, and who takes both would hear the key twice."""
        for allow in ("INVITE, ACK, BYE, INFO", ""):
            self.stands(True, True, allow)
            self.press()
            self.assertEqual((self.caller.got(), self.callee.got()), ([200], []))
            self.assertEqual(self.net.plane.legs[-1].events[-1], ("key", ("5", 250)))

    def test_holdAndINFO(self) -> None:
        """Who sends and does not hear, as an announcement, may still take INFO."""
        self.stands(True, True)
        hold = self.media(self.callee, True, 2) + b"a=sendonly\r\n"
        again = self.callee.back(self.far, "INVITE", 1, body=hold)
        told = self.media(self.caller, True, 2) + b"a=recvonly\r\n"
        self.caller.answers(self.caller.request("INVITE"), 200, told)
        self.callee.ack(again, self.callee.response(200))
        self.caller.got()
        self.press()
        self.callee.answers(self.callee.request("INFO"), 200)
        self.assertEqual((self.caller.got(), self.keysIn(1)), ([200], []))

    def test_noINFO(self) -> None:
        """The other side takes no INFO, and has events: that is what it gets."""
        self.stands(True, True, "INVITE, ACK, BYE")
        for number, kind in ((2, RELAY), (3, PLAIN)):
            self.press("#", number, kind)
        self.assertEqual((self.caller.got(), self.callee.got()), ([200, 200], []))
        self.assertEqual(self.keysIn(1), [("#", 250), ("#", 100)])

    def test_hold(self) -> None:
        """Nothing may be sent to who holds, and so no event: whoever pressed is not told that all is well."""
        self.stands(True, True, "INVITE, ACK, BYE")
        for version, (direction, answer, status) in enumerate(
            (("sendonly", "recvonly", 480), ("sendrecv", "sendrecv", 200)), 2
        ):
            hold = self.media(self.callee, True, version) + f"a={direction}\r\n".encode()
            again = self.callee.back(self.far, "INVITE", version - 1, body=hold)
            told = self.media(self.caller, True, version) + f"a={answer}\r\n".encode()
            self.caller.answers(self.caller.request("INVITE"), 200, told)
            self.callee.ack(again, self.callee.response(200))
            self.caller.got()
            self.press("1", version)
            self.assertEqual(self.caller.got(), [status])
        self.assertEqual(self.keysIn(1), [("1", 250)])

    def test_noEvents(self) -> None:
        """Nobody has them: INFO, whatever is allowed, as before."""
        self.stands(False, False, "INVITE")
        self.press()
        self.callee.answers(self.callee.request("INFO"), 200)
        self.assertEqual(self.caller.got(), [200])
        self.assertEqual([self.leg(0).keysHeard, self.leg(1).keysHeard], [None, None])

    def test_descriptions(self) -> None:
        """Nothing is added to what is offered."""
        near, far = self.call(self.media(self.caller, False))
        self.assertEqual(self.formats(far), ("8",))
        self.callee.answers(far, 200, self.media(self.callee, False))
        self.caller.ack(near, self.caller.response(200))

    def test_flash(self) -> None:
        """A flash of the hook is no key: it crosses in INFO alone."""
        self.stands(True, True, "INVITE")
        self.press("16")
        self.assertEqual(self.callee.request("INFO").body, b"Signal=16\r\nDuration=250\r\n")
        self.callee.answers(self.callee.request("INFO"), 200)


class InboundAutoTests(AutoTests):
    """The same where the carrier calls."""

    outbound = False


class EventsOnly(Pressing):
    """The called side has C{rfc4733}."""

    def setUp(self) -> None:
        """It is so."""
        super().setUp()
        self.callee.side.keys = "rfc4733"

    def test_made(self) -> None:
        """INFO becomes events, whatever the side allows."""
        self.stands(True, True)
        self.press("A")
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], []))
        self.assertEqual(self.keysIn(1), [("A", 250)])

    def test_cannot(self) -> None:
        """Without events there is no way, and none for a flash: 480, and the call stands."""
        self.stands(True, False)
        self.press()
        self.press("16", 3)
        self.assertEqual((self.caller.got(), self.callee.got()), ([480, 480], []))
        self.assertEqual(self.net.manager.callCount(), 1)


class InboundEventsOnly(EventsOnly):
    """The same where the carrier calls."""

    outbound = False


class CallerHasINFO(Pressing):
    """The caller has C{info}: what it is used for, a PBX with keys in INFO alone."""

    def setUp(self) -> None:
        """It is so."""
        super().setUp()
        self.caller.side.keys = "info"

    def test_offer(self) -> None:
        """The other side is offered events; the caller sees nothing of them."""
        near, far = self.call(self.media(self.caller, False))
        self.assertEqual(self.formats(far), ("8", "101"))
        self.assertEqual(parseSDP(far.body).media[0].rtpmaps["101"], "telephone-event/8000")
        self.callee.answers(far, 200, self.media(self.callee, True))
        accepted = self.caller.response(200)
        self.assertEqual(self.formats(accepted), ("8",))
        self.caller.ack(near, accepted)

    def test_hidden(self) -> None:
        """Events in its own offer count no more than none."""
        near, far = self.call(self.media(self.caller, True))
        self.callee.answers(far, 200, self.media(self.callee, True))
        accepted = self.caller.response(200)
        self.assertEqual(self.formats(accepted), ("8",))
        self.caller.ack(near, accepted)

    def test_toEvents(self) -> None:
        """Its INFO is answered 200 at once, and the other side gets events."""
        self.stands(False, True)
        for number, key in enumerate("159*D", 2):
            self.press(key, number)
        self.assertEqual((self.caller.got(), self.callee.got()), ([200] * 5, []))
        self.assertEqual(self.keysIn(1), [(key, 250) for key in "159*D"])

    def test_toINFO(self) -> None:
        """Events of the other side become INFO to it."""
        self.stands(False, True)
        heard = self.leg(1).keysHeard
        assert heard is not None
        self.assertIsNone(self.leg(0).keysHeard)
        for key in "7#":
            heard(key)
            info = self.caller.request("INFO")
            self.assertEqual(
                (info.contentType, info.body), (RELAY, f"Signal={key}\r\nDuration=160\r\n".encode())
            )
            self.caller.answers(info, 200)

    def test_both(self) -> None:
        """The other side's telephone sends each key as an event and in INFO: one INFO for each."""
        self.stands(False, True)
        heard = self.leg(1).keysHeard
        assert heard is not None
        number = 1
        orders = ["7ei", "7ie", "7ei", "8ie", "9i", "9i", "1e"]
        # Later the same keys are others.
        for key, order in [(each[0], each[1:]) for each in (*orders, "1-i", "1-e")]:
            first = True
            for form in order:
                self.net.clock.advance(BOTH if form == "-" else 0.1)
                if form == "-":
                    continue
                if form == "e":
                    heard(key)
                else:
                    self.pressBack(key, number)
                    number += 1
                if first:
                    info = self.caller.request("INFO")
                    self.assertEqual(info.body[:10], f"Signal={key}\r\n".encode())
                    self.caller.answers(info, 200)
                first = False
                self.assertEqual(self.callee.got(), [200] if form == "i" else [])
        self.assertEqual(self.caller.got(), ["INFO"] * 9)

    def test_otherHasNone(self) -> None:
        """The other side has no events: INFO crosses."""
        self.stands(False, False)
        self.press()
        self.callee.answers(self.callee.request("INFO"), 200)
        self.assertEqual(self.caller.got(), [200])

    def test_reinvite(self) -> None:
        """Hold keeps it as it was, on both sides; so does a re-INVITE of the other one."""
        self.stands(False, True)
        body = self.media(self.caller, False, 2) + b"a=sendonly\r\n"
        self.caller.within(self.near, self.accepted, "INVITE", 2, body)
        again = self.callee.request("INVITE")
        self.assertEqual(self.formats(again), ("8", "101"))
        self.callee.answers(again, 200, self.media(self.callee, True, 2) + b"a=recvonly\r\n")
        self.assertEqual(self.formats(self.caller.response(200)), ("8",))
        self.caller.ack(self.near.withHeader("CSeq", "2 INVITE"), self.accepted)
        self.callee.back(self.far, "INVITE", 1, body=self.media(self.callee, True, 3))
        self.assertEqual(self.formats(self.caller.request("INVITE")), ("8",))
        self.caller.answers(self.caller.request("INVITE"), 200, self.media(self.caller, False, 3))
        self.assertEqual(self.formats(self.callee.response(200)), ("8", "101"))


class InboundCallerHasINFO(CallerHasINFO):
    """The same where the carrier calls."""

    outbound = False


class CalleeHasINFO(Pressing):
    """The called side has C{info}."""

    def setUp(self) -> None:
        """It is so."""
        super().setUp()
        self.callee.side.keys = "info"

    def test_answer(self) -> None:
        """It is offered none; the caller, who has offered them, gets them in the answer, and INFO is made."""
        near, far = self.call(self.media(self.caller, True))
        self.assertEqual(self.formats(far), ("8",))
        self.callee.answers(far, 200, self.media(self.callee, False))
        accepted = self.caller.response(200)
        self.assertEqual(self.formats(accepted), ("8", "101"))
        self.caller.ack(near, accepted)
        heard = self.leg(0).keysHeard
        assert heard is not None
        heard("3")
        self.assertEqual(self.callee.request("INFO").body, b"Signal=3\r\nDuration=160\r\n")
        self.callee.answers(self.callee.request("INFO"), 200)

    def test_eventsAlone(self) -> None:
        """An offer of events alone, of which the callee may have nothing: 488, and it is not called."""
        crypto = "" if self.caller is self.net.pbx else f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"
        protocol = "RTP/SAVP" if crypto else "RTP/AVP"
        self.invite(sdp(f"m=audio 4000 {protocol} 101\r\n{EVENTS}{crypto}"))
        self.assertEqual((self.caller.got()[-1], self.callee.got()), (488, []))

    def test_late(self) -> None:
        """An offer of its own in the 2xx: the caller is offered events with it."""
        near, far = self.call(b"")
        self.callee.answers(far, 200, self.media(self.callee, False))
        accepted = self.caller.response(200)
        self.assertEqual(self.formats(accepted), ("8", "101"))
        self.caller.ack(near, accepted, self.media(self.caller, True))
        self.assertEqual(self.formats(self.callee.request("ACK")), ("8",))

    def test_keyBeforeTheAnswer(self) -> None:
        """A key in early media: there is no dialog yet in which INFO could go."""
        near, far = self.call(self.media(self.caller, True))
        self.callee.answers(far, 183, self.media(self.callee, False))
        heard = self.leg(0).keysHeard
        assert heard is not None
        heard("3")
        self.assertEqual(self.callee.got(), ["INVITE"])
        self.caller.cancel(near)
        self.callee.answers(self.callee.request("CANCEL"), 200)
        self.callee.answers(far, 487)


class InboundCalleeHasINFO(CalleeHasINFO):
    """The same where the carrier calls."""

    outbound = False


class SecrecyTests(SynchronousTestCase):
    """Which key it was stands nowhere."""

    def play(self, key: str) -> list[str]:
        """Every line of log, trace and ladder of calls in which C{key} is pressed in each way."""
        lines: list[str] = []
        for scene in (CallerHasINFO(), InboundCallerHasINFO(), AutoTests(), EventsOnly()):
            scene.setUp()
            with capturedLogs() as events:
                scene.stands(False, isinstance(scene, CallerHasINFO | EventsOnly))
                scene.press(key)
                scene.press(key, 3, PLAIN)
                scene.press("bad" + key, 4)
                for info in [each for each in scene.callee.channel.requests if each.method == "INFO"]:
                    scene.callee.answers(info, 200)
                heard = scene.leg(1).keysHeard
                if heard is not None:
                    heard(key)
                    scene.caller.answers(scene.caller.request("INFO"), 200)
                scene.net.manager.drain(1.0)
                scene.net.settle()
            lines += [text for text in map(formatEvent, events) if text is not None]
            lines += [str(sorted(map(str, event.items()))) for event in events if "failure" in str(event)]
            for neighbour in (scene.caller, scene.callee):
                for sent in neighbour.channel.sent:
                    lines += [redacted(sent.message), labelOf(sent.message)]
        return lines

    def test_same(self) -> None:
        """The lines are the same, whatever key it was."""
        one, other = self.play("7"), self.play("B")
        self.assertGreater(len(one), 50)
        self.assertEqual(one, other)
        self.assertIn("Signal=<hidden>", "".join(one))
