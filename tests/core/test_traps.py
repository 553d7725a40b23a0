"""Traps of dialogs, timers and keys that makers of such clients fell into: on whole calls."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.registration import Registration
from skypetrunk.core.transactions import Transactions
from skypetrunk.testing import MemoryCredentials, RecordingChannel, RecordingTransactionUser, countingToken
from skypetrunk.wire.digest import makeChallenge
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, SAVP, CallNet, sdp
from tests.core.messages import answer
from tests.core.races import Race
from tests.core.registrationplay import ACCOUNT, PASSWORD, TLS, Observer

EDGE, INNER = "<sip:192.0.2.77:5061;transport=tls;lr>", "<sip:inner.carrier.example;lr>"
CHALLENGE = [("Proxy-Authenticate", 'Digest realm="carrier.example", nonce="n1", qop="auth"')]
WE_REFRESH = [("Session-Expires", "90;refresher=uac"), ("Require", "timer")]


class TrapTests(Race):
    """The PBX calls, the carrier sets the trap; L8 and L10 have their registrations below."""

    def standing(self, *headers: tuple[str, str]) -> tuple[Request, Response, Request]:
        """A call that the carrier has answered with C{headers}: INVITE, our 200, the carrier's INVITE."""
        near, far = self.call()
        self.callee.answers(far, 200, self.description(self.callee), headers=headers)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        return near, accepted, far

    def crossing(self, near: Request, accepted: Response, number: int) -> Request:
        """A re-INVITE of the PBX, as the carrier gets it."""
        self.caller.within(near, accepted, "INVITE", number, self.description(self.caller, number))
        return self.callee.request("INVITE")

    def numbers(self) -> list[tuple[int, str]]:
        """CSeq of every request sent to the carrier, ACKs left out."""
        sent = self.callee.channel.requests
        return [(each.cseq.number, each.method) for each in sent if each.method != "ACK"]

    def test_L6_routeSetFixed(self) -> None:
        """
        The 2xx to a re-INVITE replaced the route set, and the BYE got 408.  It is fixed when the dialog is
        made (RFC 3261 section 12.2): only the target moves.
        """
        near, accepted, _ = self.standing(("Record-Route", INNER), ("Record-Route", EDGE))
        again = self.crossing(near, accepted, 2)
        self.assertEqual([str(route) for route in again.routes], [EDGE, INNER])
        self.callee.answers(
            again,
            200,
            self.description(self.callee, 2),
            headers=[("Record-Route", "<sip:elsewhere.example;lr>")],
            contact="<sip:moved@192.0.2.88>",
        )
        ack = self.callee.request("ACK")
        self.caller.ack(again, self.caller.response(200))
        self.caller.within(near, accepted, "BYE", 3)
        bye = self.callee.request("BYE")
        for request in (ack, bye):
            self.assertEqual([str(route) for route in request.routes], [EDGE, INNER])
            self.assertEqual(request.uri, "sip:moved@192.0.2.88")
        self.assertEqual(self.callee.finder.asked[-1], EDGE.strip("<>"))

    def test_L7_oneCounter(self) -> None:
        """
        The session timer and the calls counted apart, and a BYE used a number again.  One counter, and a
        number is gone with the request that it was reserved for, whatever became of that.
        """
        near, accepted, far = self.standing(*WE_REFRESH)
        first = far.cseq.number
        self.net.clock.advance(45)
        self.callee.answers(self.callee.request("INVITE"), 503)
        self.net.clock.advance(10)
        self.callee.answers(
            self.callee.request("INVITE"), 200, self.description(self.callee), headers=WE_REFRESH
        )
        refused = self.crossing(near, accepted, 2)
        self.callee.answers(refused, 488)
        self.caller.within(near, accepted, "BYE", 3)
        numbers = self.numbers()
        self.assertEqual([number for number, _ in numbers], list(range(first, first + 5)))
        self.assertEqual([method for _, method in numbers], ["INVITE"] * 4 + ["BYE"])

    def test_L7_unsent(self) -> None:
        """Neither does a connection that breaks under a request give its number back."""
        near, accepted, _ = self.standing()
        refused = self.crossing(near, accepted, 2)
        self.callee.side.transactions.channelLost(self.callee.channel, Exception("closed"))
        self.caller.within(near, accepted, "BYE", 3)
        self.assertEqual(self.callee.request("BYE").cseq.number, refused.cseq.number + 1)

    def test_L8_refreshAtHalf(self) -> None:
        """A refresh at C{max(90, SE/2)} came when a session of 90 s was over: it comes after 45."""
        self.standing(*WE_REFRESH)
        self.callee.got()
        self.net.clock.advance(44.9)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(0.1)
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_L8_tooBrief(self) -> None:
        """422 to a refresh counted as success: it goes again, with the carrier's Min-SE (RFC 4028 7.4)."""
        self.standing(*WE_REFRESH)
        self.net.clock.advance(45)
        self.callee.answers(self.callee.request("INVITE"), 422, headers=[("Min-SE", "600")])
        again = self.callee.request("INVITE")
        self.assertEqual(again.header("Session-Expires"), "600;refresher=uac")
        self.assertEqual(again.header("Min-SE"), "600")

    def test_L8_refusedIsNoSuccess(self) -> None:
        """503 to a refresh counted as success: it is tried again, and the call ends in time without one."""
        self.standing(*WE_REFRESH)
        self.callee.got()
        for _ in range(2):
            self.net.clock.advance(45 if self.net.clock.seconds() < 45 else 10)
            self.callee.answers(self.callee.request("INVITE"), 503)
            self.assertEqual(self.callee.got(), ["INVITE", "ACK"])
        self.net.clock.advance(5)
        self.assertEqual((self.caller.got()[-1], self.callee.got()), ("BYE", ["BYE"]))

    def test_L8_gone(self) -> None:
        """408 and 481 to a refresh end the call at once: there is no such dialog any more."""
        for status in (408, 481):
            self.standing(*WE_REFRESH)
            self.net.clock.advance(45)
            self.callee.answers(self.callee.request("INVITE"), status)
            self.assertEqual(self.caller.got()[-1], "BYE")
            self.assertIn(str(status), self.net.observer.ended[-1].cause)

    def test_L9_challenged(self) -> None:
        """
        407 to an INVITE was final.  It is sent again with credentials: same Call-ID and From tag, next CSeq,
        new branch (RFC 3261 section 22.3); the PBX hears nothing of it.
        """
        near, first = self.call()
        self.callee.answers(first, 407, headers=CHALLENGE)
        second = self.callee.request("INVITE")
        self.assertIn('username="account"', second.header("Proxy-Authorization") or "")
        self.assertEqual((second.callID, second.header("From")), (first.callID, first.header("From")))
        self.assertIsNone(second.toAddress.tag)
        self.assertEqual(second.cseq.number, first.cseq.number + 1)
        self.assertNotEqual(second.topVia.branch, first.topVia.branch)
        self.assertEqual(self.caller.got(), [100])
        self.answer(second)
        self.caller.ack(near, self.caller.response(200))

    def test_L10_newTags(self) -> None:
        """One From tag for the life of the process: each dialog has a tag and a Call-ID of its own."""
        invites = [self.standing()[2] for _ in range(3)]
        self.assertEqual(len({invite.fromAddress.tag for invite in invites}), 3)
        self.assertEqual(len({invite.callID for invite in invites}), 3)

    def test_L12_downgrade(self) -> None:
        """A carrier that answers RTP/SAVP with RTP/AVP: the call fails, and no packet is sent in clear."""
        self.call()
        self.callee.answers(self.callee.request("INVITE"), 200, sdp(PCMA, "203.0.113.9"))
        self.assertEqual(self.callee.got()[-2:], ["ACK", "BYE"])
        self.assertEqual(self.caller.got(), [100, 488])
        for leg in self.net.plane.legs:
            self.assertNotIn("remote", [event[0] for event in leg.events])

    def test_L12_downgradeLater(self) -> None:
        """Nor may a re-INVITE take the keys away: it is refused, and what was agreed stands."""
        _, _, far = self.standing()
        events = [list(leg.events) for leg in self.net.plane.legs]
        self.callee.back(far, "INVITE", 1, body=sdp(PCMA, "203.0.113.9", 2))
        self.callee.ackRefusal(488)
        self.assertEqual([leg.events for leg in self.net.plane.legs], events)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_L12_keysOverTLSOnly(self) -> None:
        """Whatever connection is found for a carrier: keys go to a verified peer, or nowhere."""
        for transport in ("tls", "tcp", "udp"):
            net = CallNet(self.transport)
            plain = RecordingChannel(
                net.clock, f"{transport}:203.0.113.1:5060", f"{transport}:198.51.100.2:5060", secure=False
            )
            net.carrier.finder.channel = plain
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            self.assertEqual(plain.sent, [])
            self.assertEqual(net.pbx.got(), [100, 503])
            net.carrier.channel = plain
            net.carrier.invite("sip:account@198.51.100.2:40000", sdp(SAVP, "203.0.113.9"))
            self.assertEqual([each for each in net.carrier.got() if each != 100], [403])
            self.assertFalse(any(message.body for message in plain.messages))
            self.assertEqual(net.pbx.got(), [])

    def test_L12_offered(self) -> None:
        """Where the connection is verified the offer is RTP/SAVP with keys, to the carrier alone."""
        _, far = self.call()
        (media,) = parseSDP(far.body).media
        self.assertEqual(media.protocol, "RTP/SAVP")
        self.callee.answers(far, 200, self.description(self.callee))
        self.assertNotIn(b"crypto", self.caller.response(200).body)


class SeriesTests(SynchronousTestCase):
    """The REGISTER series beside the dialogs."""

    def test_L10_series(self) -> None:
        """REGISTERs keep one From tag and one Call-ID, and count on (RFC 3261 section 10.2)."""
        clock = Clock()
        layer = Transactions(clock, RecordingTransactionUser(), countingToken())
        credentials = MemoryCredentials({"carrier": (ACCOUNT.user, PASSWORD)})
        registration = Registration(
            clock, layer, ACCOUNT, credentials, Observer(), countingToken(), lambda: 1.0
        )
        requests: list[Request] = []
        for port in (40000, 40001):
            channel = RecordingChannel(clock, TLS, f"tls:198.51.100.1:{port}")
            registration.start(channel)
            for status in (401, 200):
                challenge = makeChallenge("carrier", f"n{port}")
                layer.messageReceived(
                    answer(channel.requests[-1], status, WWW_Authenticate=challenge), channel
                )
            clock.advance(3600)
            requests += channel.requests
            registration.channelLost()
        self.assertEqual([each.cseq.number for each in requests], list(range(1, 7)))
        self.assertEqual(len({each.callID for each in requests}), 1)
        self.assertEqual(len({each.fromAddress.tag for each in requests}), 1)
