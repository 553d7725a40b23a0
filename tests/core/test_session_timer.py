"""Session timers (RFC 4028): on each leg by itself, over all transports, in both directions."""

from __future__ import annotations

from skypetrunk.core.session_timer import RETRY_SECONDS
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import Neighbour
from tests.core.races import Race

Headers = list[tuple[str, str]]


def ackOf(invite: Request) -> Request:
    """The ACK of the 2xx to a re-INVITE."""
    headers = invite.withHeader("CSeq", f"{invite.cseq.number} ACK").withoutHeader("Content-Type").headers
    return Request("ACK", invite.uri, headers)


class SessionTimers(Race):
    """Half of the interval, its end, and who refreshes."""

    def timed(self, ofCaller: Headers, ofCallee: Headers) -> tuple[Request, Response, Request]:
        """
        A call that stands.

        @param ofCaller: headers of its INVITE.
        @param ofCallee: headers of its 200.
        """
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        near = self.caller.invite(uri, self.description(self.caller), ofCaller)
        far = self.callee.request("INVITE")
        self.callee.answers(far, 200, self.description(self.callee), headers=ofCallee)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.got()
        self.callee.got()
        return near, accepted, far

    def weRefreshTheCallee(self, seconds: int = 1800) -> Request:
        """The caller knows nothing of timers, the callee leaves the refresh to us."""
        _, _, far = self.timed([], [("Session-Expires", f"{seconds};refresher=uac"), ("Require", "timer")])
        return far

    def refresh(self, neighbour: Neighbour, headers: Headers, status: int = 200) -> Request:
        """C{neighbour} accepts the refresh that it got last."""
        request = neighbour.request("INVITE")
        neighbour.answers(request, status, self.description(neighbour), headers=headers)
        neighbour.got()
        return request

    def events(self) -> list[set[tuple[object, ...]]]:
        """What was asked of each media leg so far, each thing once."""
        return [set(leg.events) for leg in self.net.plane.legs]

    def test_offered(self) -> None:
        """Each INVITE of ours asks for 1800 s and says what we support (sections 4 and 7.1)."""
        _, far = self.call()
        self.assertEqual(far.header("Session-Expires"), "1800")
        self.assertEqual(far.header("Min-SE"), "90")
        self.assertIn("timer", far.values("Supported"))

    def test_configured(self) -> None:
        """Each neighbour may be asked for another interval, and held to a longer one (sections 5 and 7.1)."""
        for neighbour in (self.caller, self.callee):
            neighbour.side.sessionExpires, neighbour.side.leastExpires = 1200, 900
        _, far = self.call()
        self.assertEqual((far.header("Session-Expires"), far.header("Min-SE")), ("1200", "900"))
        self.callee.answers(far, 486)
        self.caller.ackRefusal(486)
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        headers = [("Supported", "timer"), ("Session-Expires", "899")]
        self.caller.invite(uri, self.description(self.caller), headers)
        self.assertEqual(self.caller.response(422).header("Min-SE"), "900")
        self.caller.ackRefusal(422)
        _, accepted, _ = self.timed([("Supported", "timer"), ("Session-Expires", "900")], [])
        self.assertEqual(accepted.header("Session-Expires"), "900;refresher=uac")

    def test_legsApart(self) -> None:
        """What a peer asks for is answered on its own leg; the other leg has its own interval (section 8)."""
        near, far = self.call()
        self.assertEqual(near.header("Session-Expires"), None)
        headers = [("Session-Expires", "600;refresher=uac"), ("Supported", "timer")]
        self.callee.answers(far, 200, self.description(self.callee), headers=headers)
        accepted = self.caller.response(200)
        self.assertEqual(accepted.header("Session-Expires"), None)
        self.assertEqual(accepted.values("Require"), ())
        self.caller.ack(near, accepted)

    def test_peerRefreshes(self) -> None:
        """A caller with timer refreshes: 2xx with refresher=uac and Require (section 9, table 2)."""
        near, accepted, _ = self.timed([("Supported", "timer"), ("Session-Expires", "300")], [])
        self.assertEqual(accepted.header("Session-Expires"), "300;refresher=uac")
        self.assertEqual(accepted.values("Require"), ("timer",))
        before = self.events()
        for number in range(2, 6):
            self.net.clock.advance(150)
            body = self.description(self.caller)
            again = self.caller.within(near, accepted, "INVITE", number, body)
            self.caller.ack(again, self.caller.response(200))
            self.assertEqual(self.callee.got(), [], "a refresh never crosses")
        self.assertEqual(self.events(), before)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_peerIsAsked(self) -> None:
        """A caller that wants us to refresh gets its wish; a proxy's wish for one without timer too."""
        for headers in (
            [("Supported", "timer"), ("Session-Expires", "300;refresher=uas")],
            [("Session-Expires", "300")],
        ):
            _, accepted, _ = self.timed(headers, [])
            self.assertEqual(accepted.header("Session-Expires"), "300;refresher=uas")
            self.net.clock.advance(150)
            self.refresh(self.caller, [("Session-Expires", "300;refresher=uac")])
            self.assertEqual(self.callee.got(), [])

    def test_weRefresh(self) -> None:
        """At half of the interval, again and again: one CSeq counter, same SDP, same keys (section 7.4)."""
        first = self.weRefreshTheCallee()
        before = self.events()
        number, body = first.cseq.number, first.body
        for _ in range(3):
            self.net.clock.advance(899)
            self.assertEqual(self.callee.got(), [])
            self.net.clock.advance(1)
            request = self.refresh(self.callee, [("Session-Expires", "1800;refresher=uac")])
            self.assertEqual(request.header("Session-Expires"), "1800;refresher=uac")
            number += 1
            self.assertEqual((request.cseq.number, request.body), (number, body))
        self.assertEqual(self.caller.got(), [], "a refresh never crosses")
        self.assertEqual(self.events(), before)

    def test_weRefreshAfterOffersOfThePeer(self) -> None:
        """What the peer offered last stands, and our answer to it is what is repeated."""
        first = self.weRefreshTheCallee()
        body = self.description(self.callee, 2, "a=sendonly\r\n")
        held = self.callee.back(first, "INVITE", 1, body=body)
        crossed = self.caller.request("INVITE")
        self.caller.answers(crossed, 200, self.description(self.caller, 2, "a=recvonly\r\n"))
        answer = self.callee.response(200)
        self.callee.says(ackOf(held))
        self.callee.got()
        self.caller.got()
        # A re-INVITE without Session-Expires and Supported ends the timer; with them it goes on.
        self.net.clock.advance(1000)
        self.assertEqual(self.callee.got(), [])
        headers = [("Supported", "timer"), ("Session-Expires", "600;refresher=uas")]
        again = self.callee.back(first, "INVITE", 2, body=body, headers=headers)
        self.assertEqual(self.callee.response(200).body, answer.body)
        self.callee.says(ackOf(again))
        self.callee.got()
        self.net.clock.advance(300)
        self.assertEqual(self.callee.request("INVITE").body, answer.body)
        self.assertEqual(self.caller.got(), [])

    def test_raisedVersion(self) -> None:
        """A refresh that says so may raise its version and nothing else; without the header it crosses."""
        near, accepted, _ = self.timed([("Supported", "timer"), ("Session-Expires", "300")], [])
        body = self.description(self.caller, 2)
        said = self.caller.within(near, accepted, "INVITE", 2, body, [("Session-Expires", "300")])
        self.caller.ack(said, self.caller.response(200))
        self.assertEqual(self.callee.got(), [])
        self.caller.within(near, accepted, "INVITE", 3, self.description(self.caller, 3))
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_answerMovesMedia(self) -> None:
        """The answer to a refresh may name another address: media goes there, the other leg hears nothing."""
        self.weRefreshTheCallee()
        self.net.clock.advance(900)
        request = self.callee.request("INVITE")
        body = self.description(self.callee, 2).replace(b"m=audio ", b"m=audio 1")
        self.callee.answers(request, 200, body, headers=[("Session-Expires", "1800;refresher=uac")])
        port = parseSDP(body).media[0].port
        self.assertEqual(self.net.plane.legs[1].last("remote").port, port)  # type: ignore[attr-defined]
        self.assertEqual(self.caller.got(), [])

    def test_unusableAnswer(self) -> None:
        """A refresh whose answer cannot be taken ends the call on both legs."""
        self.weRefreshTheCallee()
        self.net.clock.advance(900)
        request = self.callee.request("INVITE")
        self.callee.answers(request, 200, b"v=0\r\n", headers=[("Session-Expires", "1800;refresher=uac")])
        self.assertEqual(self.callee.got()[-2:], ["ACK", "BYE"])
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_dead(self) -> None:
        """A refresher that is gone: BYE to both 32 s, or a third of the interval, early (section 10)."""
        for seconds, end in ((300, 268), (90, 60)):
            self.timed([("Supported", "timer"), ("Session-Expires", f"{seconds};refresher=uac")], [])
            self.net.clock.advance(end - 1)
            self.assertEqual((self.caller.got(), self.callee.got()), ([], []))
            self.net.clock.advance(1)
            self.assertEqual((self.caller.got(), self.callee.got()), (["BYE"], ["BYE"]))
            self.assertIn("not refreshed", self.net.observer.ended[-1].cause)
            self.net.settle()

    def test_goneAtRefresh(self) -> None:
        """408, 481 or silence to our refresh: the call is over (section 10)."""
        for status in (408, 481, None):
            self.weRefreshTheCallee()
            self.net.clock.advance(900)
            if status is None:
                self.net.clock.advance(32)
            else:
                self.refresh(self.callee, [], status)
            self.assertEqual(self.caller.got(), ["BYE"], status)
            self.net.settle()

    def test_refusedRefresh(self) -> None:
        """Any other refusal is no success: tried again every 10 s, and BYE before the end."""
        self.weRefreshTheCallee(90)
        self.net.clock.advance(45)
        self.refresh(self.callee, [], 503)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(10)
        self.refresh(self.callee, [], 488)
        self.net.clock.advance(5)
        self.assertEqual(self.callee.got(), ["BYE"])
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_recovers(self) -> None:
        """A refresh that succeeds at the second try begins a new interval."""
        self.weRefreshTheCallee(90)
        self.net.clock.advance(45)
        self.refresh(self.callee, [], 503)
        self.net.clock.advance(10)
        self.refresh(self.callee, [("Session-Expires", "90;refresher=uac")])
        self.net.clock.advance(44)
        self.assertEqual(self.callee.got(), [])
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_glare(self) -> None:
        """491 to our refresh: again after 2.1 to 4 s, as the Call-ID is ours (RFC 3261 section 14.1)."""
        self.weRefreshTheCallee()
        self.net.clock.advance(900)
        self.refresh(self.callee, [], 491)
        self.net.clock.advance(2.0)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(2.0)
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_busy(self) -> None:
        """A refresh that falls due while an INVITE crosses waits; that one's 2xx begins a new interval."""
        near, accepted, _ = self.timed([], [("Session-Expires", "90;refresher=uac")])
        self.net.clock.advance(40)
        again = self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        crossing = self.callee.request("INVITE")
        self.callee.answers(crossing, 100)
        self.callee.got()
        self.net.clock.advance(6)
        self.assertEqual(self.callee.got(), [])
        headers = [("Session-Expires", "90;refresher=uac")]
        self.callee.answers(crossing, 200, self.description(self.callee), headers=headers)
        self.caller.ack(again, self.caller.response(200))
        self.callee.got()
        self.net.clock.advance(44)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(1)
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_crossesRefresh(self) -> None:
        """A re-INVITE of either side while our refresh is under way: 491, the next one crosses."""
        near, accepted, far = self.timed([], [("Session-Expires", "1800;refresher=uac")])
        self.net.clock.advance(900)
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        self.assertEqual(self.caller.got()[-1], 491)
        self.callee.back(far, "INVITE", 1, body=self.description(self.callee, 2))
        self.assertEqual(self.callee.response(491).cseq.number, 1)
        self.refresh(self.callee, [("Session-Expires", "1800;refresher=uac")])
        self.caller.within(near, accepted, "INVITE", 3, self.description(self.caller, 3))
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_hangUpDuringRefresh(self) -> None:
        """BYE of the caller while our refresh is under way; its late 200 is acknowledged."""
        near, accepted, _ = self.timed([], [("Session-Expires", "1800;refresher=uac")])
        self.net.clock.advance(900)
        late = self.callee.request("INVITE")
        self.callee.answers(late, 100)
        self.callee.got()
        self.caller.within(near, accepted, "BYE", 2)
        self.assertEqual(self.callee.got(), ["BYE"])
        self.callee.answers(late, 200, self.description(self.callee))
        self.assertEqual(self.callee.got(), ["ACK"])

    def test_calleeHangsUpDuringRefresh(self) -> None:
        """BYE of the callee while our refresh is under way to it."""
        far = self.weRefreshTheCallee()
        self.net.clock.advance(900)
        self.callee.got()
        self.callee.back(far, "BYE", 1)
        self.assertEqual(self.caller.got(), ["BYE"])

    def test_tooSmall(self) -> None:
        """Less than 90 s: 422 with Min-SE, in a first INVITE and a later one (sections 5 and 9)."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        headers = [("Supported", "timer"), ("Session-Expires", "60")]
        self.caller.invite(uri, self.description(self.caller), headers)
        self.assertEqual(self.caller.response(422).header("Min-SE"), "90")
        self.assertEqual(self.callee.got(), [])
        self.caller.ackRefusal(422)
        near, accepted, _ = self.established()
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2), headers)
        self.assertEqual(self.caller.response(422).header("Min-SE"), "90")
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_unreadable(self) -> None:
        """A Session-Expires that is no number: 400."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        self.caller.invite(uri, self.description(self.caller), [("Session-Expires", "soon")])
        self.assertEqual(self.caller.got()[-1], 400)
        self.caller.invite(uri, self.description(self.caller), [("Session-Expires", "9" * 5000)])
        self.assertEqual(self.caller.got()[-1], 400)

    def test_theirTooSmall(self) -> None:
        """422 of the callee: the INVITE again with its Min-SE and the next CSeq (section 7.3)."""
        _, far = self.call()
        self.callee.answers(far, 422, headers=[("Min-SE", "3600")])
        again = self.callee.request("INVITE")
        self.assertEqual((again.header("Session-Expires"), again.header("Min-SE")), ("3600", "3600"))
        self.assertEqual(again.cseq.number, far.cseq.number + 1)
        self.assertEqual((again.callID, again.body), (far.callID, far.body))
        self.answer(again)
        self.assertEqual(self.caller.got()[-1], 200)

    def test_neverEnough(self) -> None:
        """422 again and again, or without a Min-SE: the call is refused."""
        for least in ((2000, 3000, 4000, 5000), (0,)):
            self.call()
            for seconds in least:
                self.callee.answers(self.callee.request("INVITE"), 422, headers=[("Min-SE", str(seconds))])
            self.assertEqual(self.caller.got()[-1], 502)

    def test_unreachable(self) -> None:
        """Nothing can be reached when a refresh is due: it is tried again; at the end both sides are rid."""
        self.weRefreshTheCallee(600)
        self.callee.finder.down = True
        self.net.clock.advance(300)
        self.callee.finder.down = False
        self.net.clock.advance(RETRY_SECONDS)
        self.refresh(self.callee, [("Session-Expires", "600;refresher=uac")])
        self.callee.finder.down = True
        self.caller.got()
        self.net.clock.pump([10.0] * 58)
        self.assertEqual(set(self.caller.got()), {"BYE"})

    def test_422ToRefresh(self) -> None:
        """422 to a refresh raises the interval from then on."""
        self.weRefreshTheCallee(600)
        self.net.clock.advance(300)
        self.callee.answers(self.callee.request("INVITE"), 422, headers=[("Min-SE", "900")])
        again = self.refresh(self.callee, [("Session-Expires", "900;refresher=uac")])
        self.assertEqual(again.header("Session-Expires"), "900;refresher=uac")
        self.net.clock.advance(449)
        self.assertEqual(self.callee.got(), [])

    def test_theyTakeOver(self) -> None:
        """A refresh whose 2xx names the other refresher: we only watch from then on."""
        self.weRefreshTheCallee(600)
        self.net.clock.advance(300)
        self.refresh(self.callee, [("Session-Expires", "600;refresher=uas")])
        self.net.clock.advance(567)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(1)
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_required(self) -> None:
        """Require: timer is understood (section 9); beside an extension that is not only that is named."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        self.caller.invite(uri, self.description(self.caller), [("Require", "timer, marker")])
        self.assertEqual(self.caller.response(420).header("Unsupported"), "marker")
        self.timed([("Require", "timer"), ("Supported", "timer"), ("Session-Expires", "300")], [])
        self.assertEqual(self.net.manager.callCount(), 1)


class InboundSessionTimers(SessionTimers):
    """The same where the carrier calls."""

    outbound = False


class TCPSessionTimers(SessionTimers):
    """The same with the PBX on TCP."""

    transport = "tcp"


class InboundTCPSessionTimers(InboundSessionTimers):
    """The same where the carrier calls, with the PBX on TCP."""

    transport = "tcp"
