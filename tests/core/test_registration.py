"""
Tests of L{skypetrunk.core.registration}: RFC 3261 section 10.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from zope.interface.verify import verifyObject

from skypetrunk.core import registration_machine
from skypetrunk.core.registration import Account
from skypetrunk.core.registration_machine import refreshAfter
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IRegistrationObserver
from skypetrunk.wire.digest import makeChallenge, parseCredentials, verify
from skypetrunk.wire.message import Request
from skypetrunk.wire.secret import Secret
from tests.core.messages import answer, undecided
from tests.core.registrationplay import PASSWORD, RegistrationCase


class RegistrationTests(RegistrationCase):
    """L{Registration} against answers of a registrar."""

    def test_nextNonce(self) -> None:
        """The nonce given for the next request is used in the refresh (RFC 7616 section 3.5)."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.answered(200, Contact=f"{self.contact()};expires=3600", Authentication_Info='nextnonce="n2"')
        self.channel.clear()
        self.clock.advance(3600)
        credentials = parseCredentials(self.channel.requests[0].header("Authorization") or "")
        self.assertEqual((credentials.nonce, credentials.nonceCount), ("n2", "00000001"))

    def test_serviceRoute(self) -> None:
        """
        RFC 3608 section 6.1: the last answer's Service-Route counts, in its order, over several lines; none
        is none.  What cannot be read counts for nothing.
        """
        one, two, three = "<sip:a.example;lr>", "<sips:b.example:5062;lr>", '"C" <sip:c.example>;x=y'
        many = ", ".join(f"<sip:{number}.example;lr>" for number in range(11))
        self.registration.start(self.channel)
        for value, wanted in (
            (f"{one}, {two}", [one, two]),
            (f"{two},{three} , {one}", [two, three, one]),
            (None, []),
            (one, [one]),
            ("<sip:a.example;lr>, <<", []),
            ("<tel:+49>", []),
            (many, []),
            (two, [two]),
        ):
            more = {} if value is None else {"Service_Route": value}
            self.answered(200, Contact=f"{self.contact()};expires=60", **more)
            self.assertEqual([str(each) for each in self.registration.serviceRoute], wanted, value)
            self.assertIsNone(self.last.header("Route"))
            self.clock.advance(60)
        self.answered(200, Contact=f"{self.contact()};expires=60", Service_Route=one)
        self.registration.channelLost()
        self.assertEqual(self.registration.serviceRoute, ())

    def test_outbound(self) -> None:
        """RFC 5626 section 6: the registrar says that it answers pings, and when it wants them."""
        headers: list[tuple[dict[str, str], bool, int | None]] = [
            ({}, False, None),
            ({"Supported": "path, Outbound"}, True, None),
            ({"Require": "outbound"}, True, None),
            ({"Flow-Timer": "120"}, True, 120),
            ({"Flow-Timer": "soon"}, False, None),
            ({"Supported": "path"}, False, None),
        ]
        self.registration.start(self.channel)
        for more, outbound, seconds in headers:
            named = {name.replace("-", "_"): value for name, value in more.items()}
            self.answered(200, Contact=f"{self.contact()};expires=60", **named)
            self.assertEqual((self.registration.outbound, self.registration.flowTimer), (outbound, seconds))
            self.clock.advance(60)

    # Requests

    def test_table(self) -> None:
        """Every input is decided in every state; the double of this test provides its interface."""
        self.assertEqual(undecided(registration_machine.begin), [])
        self.assertTrue(verifyObject(IRegistrationObserver, self.observer))

    def test_10_2_request(self) -> None:
        """Request-URI is the bare domain; To and From the account; Contact our address and transport."""
        self.registration.start(self.channel)
        self.assertEqual(
            (self.last.startLine(), [tuple(header) for header in self.last.headers[1:]]),
            (
                "REGISTER sip:sip.carrier.example SIP/2.0",
                [
                    ("Max-Forwards", "70"),
                    ("From", "<sip:990510001234567@sip.carrier.example>;tag=t2"),
                    ("To", "<sip:990510001234567@sip.carrier.example>"),
                    ("Call-ID", "t1"),
                    ("CSeq", "1 REGISTER"),
                    ("Contact", "<sip:990510001234567@198.51.100.1:40000;transport=tls>;expires=3600"),
                    ("Expires", "3600"),
                    ("User-Agent", "skypetrunk"),
                    ("Content-Length", "0"),
                ],
            ),
        )

    def test_contact_over_udp_and_ipv6(self) -> None:
        """No transport parameter over UDP; IPv6 in brackets; a user part is escaped."""
        account = Account("a b", "carrier.example")
        channel = self.connection("udp:[2001:db8::1]:5060", "udp:[2001:db8::2]:5060")
        self.make(account).start(channel)
        self.assertEqual(channel.requests[0].header("Contact"), "<sip:a%20b@[2001:db8::1]:5060>;expires=3600")

    def test_10_2_series(self) -> None:
        """All REGISTERs, over all channels, have one Call-ID and From tag, and CSeq goes up by one."""
        self.registered(60)
        self.clock.advance(30)
        self.answered(200)
        seen = self.channel.requests
        self.registration.channelLost()
        self.channel = self.connection("tls:198.51.100.1:40001")
        self.registration.start(self.channel)
        seen += self.channel.requests
        self.assertEqual({(r.callID, r.fromAddress.tag) for r in seen}, {("t1", "t2")})
        self.assertEqual([r.cseq.number for r in seen], [1, 2, 3])
        self.assertIn(":40001", seen[-1].header("Contact") or "")

    # Granted times

    def test_10_2_4_granted(self) -> None:
        """The time is that of our Contact; else of Expires; else what was asked."""
        others = "<sip:x@203.0.113.1>;expires=7, <sip:990510001234567@203.0.113.1:40000>;expires=8"
        ours = "<sip:990510001234567@198.51.100.1:40000;transport=TLS>"
        answers: list[tuple[dict[str, str], int]] = [
            ({"Contact": f"{ours};expires=45"}, 45),
            ({"Contact": f"{others}, {ours};expires=45", "Expires": "9"}, 45),
            ({"Contact": ours, "Expires": "45"}, 45),
            ({"Contact": others, "Expires": "45"}, 45),
            ({"Contact": "<sip:990510001234567@10.0.0.1:1>;expires=45"}, 45),
            ({"Expires": "45"}, 45),
            ({"Contact": f"{ours};expires=soon"}, 3600),
            ({"Contact": "nonsense <", "Expires": "45"}, 45),
            ({}, 3600),
        ]
        for headers, seconds in answers:
            self.setUp()
            self.registration.start(self.channel)
            self.answered(200, **headers)
            self.assertEqual(self.observer.events, [("registered", seconds)], headers)
            self.clock.advance(seconds - 0.5)
            self.assertEqual(self.registration.registered, True)
            self.clock.advance(0.5)
            self.assertEqual(self.registration.registered, False)

    def test_granted_nothing(self) -> None:
        """A 200 with expires=0 is a refusal."""
        self.registration.start(self.channel)
        self.answered(200, Contact=f"{self.contact()};expires=0")
        self.assertEqual(self.observer.events, [("refused", "it granted 0 seconds", 200)])
        self.assertFalse(self.registration.registered)

    def test_refresh_times(self) -> None:
        """Half of a short time, two minutes before the end of a long one; never only at its end."""
        self.assertEqual(
            [refreshAfter(seconds) for seconds in (1, 45, 240, 3600)], [0.5, 22.5, 120.0, 3480.0]
        )

    def test_refresh_45_seconds(self) -> None:
        """A registrar that grants 45 s is asked every 22.5 s, and the registration never lapses."""
        self.registered(45)
        for _ in range(10):
            self.clock.advance(22.5)
            self.assertTrue(self.registration.registered)
            self.answered(200, Contact=f"{self.contact()};expires=45")
        self.assertEqual(self.channel.times(), [22.5 * number for number in range(11)])
        self.assertEqual(self.observer.events, [("registered", 45)] * 11)

    def test_path_and_service_route(self) -> None:
        """Path (RFC 3327) and Service-Route (RFC 3608) are not followed, and do no harm, broken ones too."""
        self.registration.start(self.channel)
        self.answered(200, Path='"<, x', Service_Route="<sip:s1;lr>, <sip:s2;lr>")
        self.assertTrue(self.registration.registered)
        self.clock.advance(3480)
        self.assertEqual(len(self.channel.requests), 2)
        self.assertIsNone(self.last.header("Route"))

    # Challenges

    def test_22_challenge(self) -> None:
        """401 is answered; a refresh uses the nonce again before it is asked; stale gets the new one."""
        self.registration.start(self.channel)
        self.challenged("n1")
        self.answered(200, Expires="60")
        self.clock.advance(30)
        self.challenged("n2", stale=True)
        self.answered(200, Expires="60")
        found = []
        for request in self.channel.requests[1:]:
            credentials = parseCredentials(request.header("Authorization") or "")
            self.assertTrue(verify(credentials, Secret(PASSWORD), "REGISTER"))
            found.append((request.cseq.number, credentials.nonce, credentials.nonceCount, credentials.uri))
        uri = "sip:sip.carrier.example"
        self.assertEqual(
            found, [(2, "n1", "00000001", uri), (3, "n1", "00000002", uri), (4, "n2", "00000001", uri)]
        )
        self.assertEqual(self.observer.events, [("registered", 60)] * 2)

    def test_wrong_password(self) -> None:
        """A wrong password: said plainly, and tried again slowly."""
        self.registration.start(self.channel)
        self.challenged("n1")
        with capturedLogs() as logs:
            self.challenged("n2")
        reason = "Unauthorized: user name or password is wrong for realm 'carrier'"
        self.assertEqual(self.observer.events, [("refused", reason, 401)])
        [log] = logs
        self.assertEqual((log["log_level"], log["reason"]), (LogLevel.error, f"401 {reason}"))
        self.assertNotIn(PASSWORD, repr(logs))
        self.channel.clear()
        self.clock.advance(59.9)
        self.assertSent()
        self.clock.advance(0.1)
        self.assertSent("3600")

    def test_no_password_for_the_realm(self) -> None:
        """A realm without password is named."""
        self.registration.start(self.channel)
        self.challenged("n1", realm="other")
        self.assertEqual(
            self.observer.events,
            [("refused", "Unauthorized: there is no password for realm 'other'", 401)],
        )

    def test_403_404(self) -> None:
        """403 and 404 name the account, go to the slow lane, and end a registration that was there."""
        for status, reason in (
            (403, "Forbidden: password or permission of account 990510001234567 is wrong"),
            (404, "Not Found: account 990510001234567 is not known at sip.carrier.example"),
        ):
            self.setUp()
            self.registered(60)
            self.clock.advance(30)
            self.answered(status)
            self.assertEqual(self.observer.events[1:], [("refused", reason, status)])
            self.assertFalse(self.registration.registered)
            self.channel.clear()
            delays = []
            for _ in range(7):
                start = self.clock.seconds()
                [call] = self.clock.getDelayedCalls()
                self.clock.advance(call.getTime() - start)
                delays.append(self.clock.seconds() - start)
                self.answered(status)
            self.assertEqual(delays, [60, 120, 240, 480, 960, 1800, 1800])

    # Other failures

    def test_10_2_8_min_expires(self) -> None:
        """423: asked again at once, for as long as the registrar wants, from then on."""
        self.registration.start(self.channel)
        self.answered(423, Min_Expires="7200")
        self.answered(200)
        self.assertEqual(self.observer.events, [("registered", 7200)])
        self.clock.advance(7200 - 120)
        self.assertSent("3600", "7200", "7200")

    def test_10_2_8_no_use(self) -> None:
        """423 without a Min-Expires, or with one that we asked for, is a refusal like others."""
        for headers in ({}, {"Min_Expires": "3600"}, {"Min_Expires": "x"}):
            self.setUp()
            self.registration.start(self.channel)
            self.answered(423, **headers)
            self.assertEqual(self.observer.events, [("refused", "Interval Too Brief", 423)])
            self.assertSent("3600")

    def test_back_off(self) -> None:
        """Failures: 4 s, doubling, at most 300 s; success begins anew."""
        self.registration.start(self.channel)
        delays = []
        for _ in range(9):
            self.answered(503)
            start = self.clock.seconds()
            [call] = self.clock.getDelayedCalls()
            self.clock.advance(call.getTime() - start)
            delays.append(self.clock.seconds() - start)
        self.assertEqual(delays, [4, 8, 16, 32, 64, 128, 256, 300, 300])
        self.answered(200)
        self.clock.advance(3480)
        self.answered(503)
        self.channel.clear()
        self.clock.advance(4)
        self.assertSent("3600")

    def test_back_off_jitter(self) -> None:
        """The random source takes up to half off."""
        self.registration._lanes._random = lambda: 0.0
        self.registration.start(self.channel)
        self.answered(503)
        self.channel.clear()
        self.clock.advance(2)
        self.assertSent("3600")

    def test_retry_after(self) -> None:
        """Retry-After is obeyed, also with a comment, up to an hour; never earlier than the back-off."""
        values = {"120": 120, "30 (busy);duration=9": 30, "1": 4, "999999": 3600, "x": 4}
        values.update({"9" * 5000: 3600, "00000000000120": 120})
        for value, seconds in values.items():
            self.setUp()
            self.registration.start(self.channel)
            self.answered(503, Retry_After=value)
            self.channel.clear()
            self.clock.advance(seconds - 0.5)
            self.assertSent()
            self.clock.advance(0.5)
            self.assertSent("3600")

    def test_retry_after_jitter(self) -> None:
        """Never earlier than the registrar said, and up to a tenth later: it has told that to many."""
        self.registration._lanes._random = lambda: 0.0
        self.registration.start(self.channel)
        self.answered(503, Retry_After="120")
        self.channel.clear()
        self.clock.advance(131.9)
        self.assertSent()
        self.clock.advance(0.2)
        self.assertSent("3600")

    def test_failed_refresh_keeps_registration(self) -> None:
        """A 503 to a refresh leaves the registration until its end, and it is tried again before that."""
        self.registered(45)
        self.clock.advance(22.5)
        self.answered(503)
        self.assertTrue(self.registration.registered)
        self.clock.advance(4)
        self.answered(200, Contact=f"{self.contact()};expires=45")
        self.assertEqual(
            self.observer.events,
            [("registered", 45), ("refused", "Service Unavailable", 503), ("registered", 45)],
        )

    def test_time_out(self) -> None:
        """No answer: the owner is told, and the same channel is tried again if nothing else happens."""
        self.registration.start(self.channel)
        self.clock.advance(32)
        self.assertEqual(self.observer.events, [("lost", "the registrar does not answer")])
        self.clock.advance(4)
        self.assertSent("3600", "3600")

    def test_time_out_condemns(self) -> None:
        """What an owner does about it: the channel is lost, another one is used at once."""
        self.registration.start(self.channel)
        self.clock.advance(32)
        self.registration.channelLost()
        self.assertNothingLeft()
        self.channel = self.connection("tls:198.51.100.1:40001")
        self.registration.start(self.channel)
        self.answered(200)
        self.assertTrue(self.registration.registered)

    def test_channel_fails(self) -> None:
        """A channel that breaks under a REGISTER: told once, and quiet until there is another."""
        self.channel.failure = "reset by peer"
        self.registration.start(self.channel)
        self.clock.advance(0)
        self.registration.channelLost()
        self.assertEqual(self.observer.events, [("lost", "the connection is lost: reset by peer")])
        self.assertNothingLeft()

    def test_channel_lost(self) -> None:
        """Without a channel nothing is registered, and nothing is sent; who said so is not told."""
        self.registered()
        self.registration.channelLost()
        self.registration.channelLost()
        self.assertEqual(self.observer.events[1:], [])
        self.assertFalse(self.registration.registered)
        self.assertNothingLeft()

    def test_late_answer(self) -> None:
        """The answer to a REGISTER of a channel that was replaced is ignored."""
        self.registration.start(self.channel)
        old, self.channel = self.channel, self.connection("tls:198.51.100.1:40001")
        self.registration.start(self.channel)
        self.layer.messageReceived(answer(old.requests[0], 403), old)
        self.assertEqual(self.observer.events, [])
        self.layer.channelLost(old, ChannelFailed("closed"))
        self.answered(200)
        self.assertEqual(self.observer.events, [("registered", 3600)])

    def test_new_channel_while_registered(self) -> None:
        """A new channel is registered at once, whatever went before."""
        self.registered()
        self.channel = self.connection("tls:198.51.100.1:40001")
        self.registration.start(self.channel)
        self.answered(503)
        self.registration.start(self.channel)
        self.assertSent("3600", "3600")

    def test_observer_raises(self) -> None:
        """What an observer raises is logged and changes nothing."""

        def explode(*ignored: object) -> None:
            raise ZeroDivisionError

        for name in ("registered", "refused", "lost"):
            self.patch(self.observer, name, explode)
        self.registered(60)
        self.clock.advance(30)
        self.answered(503)
        self.clock.advance(4)
        self.layer.channelLost(self.channel, ChannelFailed("gone"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertNothingLeft()

    # Stopping

    def test_10_2_2_stop(self) -> None:
        """Our Contact with expires 0; the Deferred fires with the answer, also through a challenge."""
        self.registered()
        stopped = self.registration.stop()
        self.assertNoResult(stopped)
        self.challenged("n9")
        self.assertNoResult(stopped)
        self.assertIn(";expires=0", self.last.header("Contact") or "")
        self.answered(200)
        self.successResultOf(stopped)
        self.assertSent("3600", "0", "0")
        self.assertFalse(self.registration.registered)
        self.assertNothingLeft()

    def test_stop_refused(self) -> None:
        """A registrar that refuses, in whatever way, ends it as well."""
        for status in (423, 500):
            self.setUp()
            self.registered()
            stopped = self.registration.stop()
            self.answered(status, Min_Expires="9999")
            self.successResultOf(stopped)
            self.assertSent("3600", "0")
            self.assertNothingLeft()

    def test_stop_without_answer(self) -> None:
        """The Deferred fires after a bound; late answers change nothing."""
        self.registered()
        stopped, again = self.registration.stop(), self.registration.stop()
        self.clock.advance(3.9)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
        self.successResultOf(again)
        self.answered(200)
        self.assertNothingLeft()

    def test_10_2_stop_while_registering(self) -> None:
        """A REGISTER on its way has its answer first; then what it registered is taken back."""
        self.registration.start(self.channel)
        stopped = self.registration.stop()
        self.assertSent("3600")
        self.layer.messageReceived(answer(self.sentFirst(), 200), self.channel)
        self.assertSent("0")
        self.assertNoResult(stopped)

    def sentFirst(self) -> Request:
        """The request of the only transaction."""
        [transaction] = self.layer._clients.values()
        return transaction.request

    def test_stop_while_refused(self) -> None:
        """A REGISTER on its way that is challenged or refused leaves nothing to take back."""
        for status in (401, 403):
            self.setUp()
            self.registration.start(self.channel)
            stopped = self.registration.stop()
            self.answered(status, WWW_Authenticate=makeChallenge("carrier", "n1"))
            self.successResultOf(stopped)
            self.assertSent("3600")
            self.assertNothingLeft()

    def test_stop_while_waiting(self) -> None:
        """Between attempts: taken back if there is something, else done at once."""
        self.registration.start(self.channel)
        self.answered(503)
        self.successResultOf(self.registration.stop())
        self.assertNothingLeft()
        self.setUp()
        self.registered(60)
        self.clock.advance(30)
        self.answered(503)
        self.channel.clear()
        self.assertNoResult(self.registration.stop())
        self.assertSent("0")

    def test_stop_without_channel(self) -> None:
        """Never started, or the channel is lost: fires at once."""
        self.successResultOf(self.registration.stop())
        self.registered()
        stopped = self.registration.stop()
        self.registration.channelLost()
        self.successResultOf(stopped)
        self.assertEqual(self.observer.events, [("registered", 3600)])

    def test_start_after_stop(self) -> None:
        """It can be begun again."""
        self.registered()
        stopped = self.registration.stop()
        stopped.addCallback(lambda ignored: self.registration.start(self.channel))
        self.answered(200)
        self.assertSent("3600", "0", "3600")
