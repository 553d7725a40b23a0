"""Methods, session timers and refusals that can be switched, as a scripted PBX sees them."""

from __future__ import annotations

from skypetrunk.lab.abilities import METHODS
from skypetrunk.lab.calls import Phase
from skypetrunk.wire.message import Request, Response, responseTo
from skypetrunk.wire.sdp import parseSDP
from tests.lab.peer import ACCOUNT, offer
from tests.lab.test_carrier import BUSY, EARLY, TONE, CallCase

ALL = tuple(METHODS)


class MethodTests(CallCase):
    """C{methods}."""

    def confirmed(self, number: str = TONE) -> Response:
        """A call that is up: its 200."""
        invite, ok = self.answered(number)
        self.peer.give(self.peer.ack(invite, ok))
        self.peer.sent.clear()
        return ok

    def within(self, method: str, ok: Response, body: bytes = b"", **headers: str) -> Response:
        """The answer to a request in that call."""
        request = self.peer.within(method, ok, body)
        for name, value in headers.items():
            request = request.withHeader(name.replace("_", "-"), value)
        self.peer.asked(request)
        return next(each for each in self.peer.sent if isinstance(each, Response))

    def test_refused(self) -> None:
        """405 where they are not allowed, and Allow leaves them out."""
        ok = self.confirmed()
        for method in ALL:
            answer = self.within(method, ok)
            self.assertEqual(
                (answer.status, answer.header("Allow")), (405, "INVITE, ACK, CANCEL, OPTIONS, BYE")
            )
            self.peer.sent.clear()

    def test_allowed(self) -> None:
        """INFO and UPDATE are taken, an offer is answered; a stray PRACK is not; Allow names them."""
        self.start(methods=ALL)
        ok = self.confirmed()
        self.assertEqual(ok.header("Allow"), "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, INFO, PRACK, UPDATE")
        for method, body, status in [
            ("INFO", b"Signal=1", 200),
            ("UPDATE", b"", 200),
            ("UPDATE", offer(), 200),
            ("PRACK", b"", 481),
        ]:
            answer = self.within(method, ok, body, RAck="7 7 INVITE")
            self.assertEqual(answer.status, status, method)
            self.assertEqual(bool(answer.body), method == "UPDATE" and bool(body))
            self.peer.sent.clear()
        bad = self.within("UPDATE", ok, offer("RTP/AVP"))
        self.assertEqual(bad.status, 488)

    def test_refer(self) -> None:
        """202, then a NOTIFY with what the number would have answered (RFC 3515)."""
        self.start(methods=("REFER",))
        ok = self.confirmed()
        for number, status in ((TONE, 200), (BUSY, 486), ("112", 403)):
            answer = self.within("REFER", ok, Refer_To=f"<sip:{number}@sip.skype.com>")
            self.assertEqual(answer.status, 202)
            notify = next(each for each in self.peer.sent if isinstance(each, Request))
            self.assertEqual((notify.method, notify.header("Event")), ("NOTIFY", "refer"))
            self.assertTrue(notify.body.startswith(f"SIP/2.0 {status} ".encode()))
            self.peer.give(responseTo(notify, 200))
            self.peer.sent.clear()
        self.assertEqual(self.within("REFER", ok, Refer_To="nowhere").status, 400)

    def test_prack(self) -> None:
        """RFC 3262: who supports 100rel gets reliable answers, each acknowledged once, others do not."""
        self.start(methods=("PRACK",))
        invite = self.peer.request("INVITE", f"sip:{EARLY}@sip.skype.com", body=offer())
        self.peer.asked(invite.withHeader("Supported", "100rel"))
        self.network.run(0.1)
        progress = next(each for each in self.peer.sent if isinstance(each, Response) and each.status == 183)
        self.assertEqual((progress.header("Require"), progress.header("RSeq")), ("100rel", "1"))
        self.assertTrue(parseSDP(progress.body).media)
        self.peer.sent.clear()
        number = progress.cseq.number
        self.assertEqual(self.within("PRACK", progress, RAck=f"2 {number} INVITE").status, 481)
        self.peer.sent.clear()
        self.assertEqual(self.within("PRACK", progress, RAck=f"1 {number} INVITE").status, 200)
        self.peer.sent.clear()
        self.peer.call(EARLY, offer())
        self.network.run(0.1)
        plain = next(each for each in self.peer.sent if isinstance(each, Response) and each.status == 183)
        self.assertIsNone(plain.header("RSeq"))


class SessionTimerTests(CallCase):
    """C{session-expires}, C{session-refresher}, C{session-minimum} (RFC 4028, facts 6.3.3)."""

    def up(self, *extra: tuple[str, str]) -> Response:
        """A call with those headers; its 200."""
        invite = self.peer.request("INVITE", f"sip:{TONE}@sip.skype.com", body=offer(), extra=extra)
        invite = self.peer.asked(invite)
        self.network.run(0.6)
        ok = next(each for each in self.peer.sent if isinstance(each, Response) and each.status == 200)
        self.peer.give(self.peer.ack(invite, ok))
        self.peer.sent.clear()
        return ok

    def test_off(self) -> None:
        """By default there is none."""
        self.assertIsNone(
            self.up(("Supported", "timer"), ("Session-Expires", "90")).header("Session-Expires")
        )

    def test_uas(self) -> None:
        """The lab refreshes with a re-INVITE after half of the time, again and again."""
        self.start(sessionExpires=1800)
        self.assertEqual(self.up().header("Session-Expires"), "1800;refresher=uas")
        for _ in range(2):
            self.network.advance(899)
            self.assertEqual(self.peer.sent, [])
            self.network.advance(1)
            again = self.peer.takeRequest()
            self.assertEqual(
                (again.method, again.header("Session-Expires")), ("INVITE", "1800;refresher=uac")
            )
            ok = responseTo(again, 200, headers=again.headers[:0]).withBody(
                offer(suites=("80",)), "application/sdp"
            )
            ok = ok.withHeader("Contact", f"<sip:{ACCOUNT}@127.0.0.9>")
            self.peer.give(ok.withHeader("Session-Expires", "1800;refresher=uac"))
            self.assertEqual(self.peer.takeRequest().method, "ACK")

    def test_uac(self) -> None:
        """The PBX has to refresh; a call where it does not ends a little before the time."""
        self.start(sessionExpires=90, sessionRefresher="uac")
        ok = self.up(("Supported", "timer"), ("Session-Expires", "3600"))
        self.assertEqual((ok.header("Session-Expires"), ok.header("Require")), ("90;refresher=uac", "timer"))
        [call] = self.carrier.agent.calls
        self.network.advance(59)
        again = self.peer.within("INVITE", ok, offer()).withHeader("Supported", "timer")
        again = self.peer.asked(again.withHeader("Session-Expires", "90;refresher=uac"))
        fresh = next(each for each in self.peer.sent if isinstance(each, Response) and each.status == 200)
        self.peer.give(self.peer.ack(again, fresh))
        self.network.advance(59)
        self.assertIs(call.phase, Phase.ANSWERED)
        self.peer.sent.clear()
        self.network.advance(2)
        self.assertEqual(self.peer.takeRequest().method, "BYE")
        self.assertEqual(call.cause, "the session was not refreshed")

    def test_minimum(self) -> None:
        """422 with Min-SE."""
        self.start(sessionExpires=1800, sessionMinimum=300)
        invite = self.peer.request("INVITE", f"sip:{TONE}@sip.skype.com", body=offer())
        self.peer.asked(invite.withHeader("Session-Expires", "299").withHeader("Supported", "timer"))
        answers = [each for each in self.peer.sent if isinstance(each, Response) and each.status > 199]
        self.assertEqual((answers[-1].status, answers[-1].header("Min-SE")), (422, "300"))
        self.assertEqual(self.carrier.agent.calls, ())

    def test_callsToThePBX(self) -> None:
        """It is asked for, and the PBX's answer decides."""
        self.start(sessionExpires=90)
        self.peer.register()
        self.carrier.dial("+442079460100", "+442079460200")
        invite = self.peer.takeRequest()
        self.assertEqual((invite.header("Session-Expires"), invite.header("Supported")), ("90", "timer"))
        ok = responseTo(invite, 200, toTag="x").withBody(offer(suites=("80",)), "application/sdp")
        ok = ok.withHeader("Contact", f"<sip:{ACCOUNT}@127.0.0.9>")
        self.peer.give(ok.withHeader("Session-Expires", "90;refresher=uac"))
        self.assertEqual(self.peer.takeRequest().method, "ACK")
        self.network.advance(45)
        self.assertEqual(self.peer.takeRequest().method, "INVITE")


class CodecTests(CallCase):
    """C{codecs}."""

    def test_offered(self) -> None:
        """Those, in that order, in calls to the PBX; and no other in answers to it."""
        self.start(formats=("0", "101"))
        self.peer.register()
        self.carrier.dial("+442079460100", "+442079460200")
        self.assertEqual(parseSDP(self.peer.takeRequest().body).media[0].formats, ("0", "101"))
        self.peer.sent.clear()
        _, ok = self.answered()
        self.assertEqual(parseSDP(ok.body).media[0].formats, ("0", "101"))


class RefusalTests(CallCase):
    """C{invitation}, C{credit} and C{channels}."""

    def test_refusals(self) -> None:
        """Any status; 402 without credit; 503 with Retry-After above the channels."""
        self.start(invitation=480)
        self.assertEqual(self.refused(TONE).status, 480)
        self.start(credit=False)
        self.assertEqual(self.refused(TONE).status, 402)
        self.start(channels=0, retryAfter=7)
        answer = self.refused(TONE)
        self.assertEqual((answer.status, answer.header("Retry-After")), (503, "7"))
        self.assertEqual(self.refused("112").status, 403)
