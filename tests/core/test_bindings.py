"""
Tests of what a registration makes of the list of bindings, and of where the carrier sees us:
L{skypetrunk.core.bindings}, L{skypetrunk.core.public_address}.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.registration import Account
from skypetrunk.errors import ChannelFailed
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.digest import makeChallenge
from skypetrunk.wire.message import Request
from skypetrunk.wire.uri import SIPURI
from tests.core.messages import answer
from tests.core.registrationplay import ACCOUNT, RegistrationCase

INSTANCE = "urn:uuid:00000000-0000-5000-8000-000000000001"
MARK = f';+sip.instance="<{INSTANCE}>"'
MARKED = Account(ACCOUNT.user, ACCOUNT.domain, 3600, instance=INSTANCE)
USER = ACCOUNT.user


def uris(request: Request) -> list[tuple[str, str | None]]:
    """Host and port, and C{expires}, of each Contact."""
    return [
        (f"{cast(SIPURI, each.uri).host}:{cast(SIPURI, each.uri).port}", each.params.get("expires"))
        for each in request.contacts
    ]


class GrantedTests(RegistrationCase):
    """What a registrar that lists several grants to us (section 10.2.4)."""

    def test_granted(self) -> None:
        """Of our URI, else of our instance, else of the only one, else Expires, else the shortest of ours."""
        ours = f"<sip:{USER}@198.51.100.1:40000;transport=tls>"
        rewritten = f"<sip:{USER}@203.0.113.9:61000;transport=tls>"
        other = f"<sip:{USER}@203.0.113.1:5061;transport=tls>"
        stranger = "<sip:4711@203.0.113.1>;expires=7"
        cases = [
            ([f"{other};expires=7{MARK}", f"{ours};expires=45"], None, 45),
            ([f"{other};expires=7", f"{rewritten};expires=45{MARK}"], "9", 45),
            ([f"{other};expires=7", f'{rewritten};expires=45;+sip.instance="<{INSTANCE.upper()}>"'], "9", 45),
            ([f"{other};expires=45{MARK}", f"{rewritten};expires=90{MARK}"], "9", 45),
            ([stranger, f"{other};expires=60", f"{rewritten};expires=45"], "50", 50),
            ([stranger, f"{other};expires=60", f"{rewritten};expires=45"], None, 45),
            ([stranger, stranger], None, 3600),
            (["<tel:+49>;expires=8", f"{ours};expires=45"], None, 45),
            ([f"{ours};expires=45", f"{ours};expires=30"], None, 30),
            # Of somebody else, and none that can be read.
            (["<sip:a b@203.0.113.1>;expires=7", f"{ours};expires=45"], "9", 45),
            ([f'"A, \\" <x>" {ours};expires=45', "<sip:4711@203.0.113.1;;x>"], "9", 45),
            (["<sip:a b@203.0.113.1>;expires=7"], "50", 50),
        ]
        for contacts, expires, seconds in cases:
            self.setUp()
            self.registration = self.make(MARKED)
            self.registration.start(self.channel)
            more = {} if expires is None else {"Expires": expires}
            self.answered(200, Contact=", ".join(contacts), **more)
            self.assertEqual(self.observer.events, [("registered", seconds)], contacts)

    def test_otherFlow(self) -> None:
        """Another flow of ours is no binding of this one, whatever URI it has (RFC 5626 section 6)."""
        account = Account(ACCOUNT.user, ACCOUNT.domain, 3600, instance=INSTANCE, outbound=True, flow=1)
        for address in ("198.51.100.1:40000", "203.0.113.9:61000"):
            self.setUp()
            self.registration = self.make(account)
            self.registration.start(self.channel)
            uri = f"<sip:{USER}@{address};transport=tls>"
            listed = [f"{uri};expires=0{MARK};reg-id=2", f"{uri};expires=45{MARK};reg-id=1"]
            self.answered(200, Contact=", ".join(listed))
            self.assertEqual(self.observer.events, [("registered", 45)], address)


class StaleTests(RegistrationCase):
    """Bindings that a process which was killed has left behind."""

    def lists(self, *more: str, seconds: int = 3600, mark: str = "") -> None:
        """The registrar grants, and lists C{more} before our Contact."""
        uri = self.last.contacts[0].uri
        self.answered(200, Contact=", ".join([*more, f"<{uri}>;expires={seconds}{mark}"]))

    def stale(self, port: int, host: str = "198.51.100.1", user: str = USER, mark: str = "") -> str:
        """Another binding."""
        return f"<sip:{user}@{host}:{port};transport=tls>;expires=900{mark}"

    def begin(self, account: Account = MARKED) -> None:
        """Registering."""
        self.registration = self.make(account)
        self.registration.start(self.channel)

    def test_removed(self) -> None:
        """
        Those of our instance, or of our host where no instances are kept, are taken back by their URIs alone,
        never by C{*}; ours stays, and calls go on meanwhile.
        """
        for account, mark in ((MARKED, MARK), (MARKED, ""), (ACCOUNT, "")):
            self.setUp()
            self.begin(account)
            self.lists(self.stale(1, mark=mark), self.stale(2, mark=mark), mark=mark)
            self.assertEqual(self.observer.events, [("registered", 3600)])
            self.assertEqual(uris(self.last), [("198.51.100.1:1", "0"), ("198.51.100.1:2", "0")])
            self.assertNotIn("instance", self.last.header("Contact") or "")
            self.assertEqual((self.last.header("Expires"), self.last.cseq.number), ("0", 2))
            self.assertTrue(self.registration.registered)
            self.answered(200, Contact=f"<sip:{USER}@198.51.100.1:40000;transport=tls>;expires=3600")
            self.channel.clear()
            self.clock.advance(3479)
            self.assertSent()
            self.clock.advance(1)
            self.assertSent("3600")
            self.assertEqual(self.observer.events, [("registered", 3600)])

    def test_otherTransport(self) -> None:
        """The same host over another transport, from before a change of the configuration."""
        self.begin(ACCOUNT)
        self.lists(f"<sip:{USER}@198.51.100.1:5060>;expires=900")
        self.assertEqual(str(self.last.contacts[0]), f"<sip:{USER}@198.51.100.1:5060>;expires=0")

    def test_others(self) -> None:
        """What may be somebody else's is left alone."""
        other = ';+sip.instance="<urn:uuid:00000000-0000-5000-8000-000000000002>"'
        cases = [
            (MARKED, self.stale(1, mark=other), MARK),
            (MARKED, self.stale(1, mark=other), ""),
            # The registrar keeps instances: who told none is none of ours.
            (MARKED, self.stale(1), MARK),
            (MARKED, self.stale(1, host="203.0.113.1"), ""),
            (ACCOUNT, self.stale(1, user="4711"), ""),
            (ACCOUNT, self.stale(1, mark=other), ""),
            (ACCOUNT, "<tel:+49301234>;expires=5", ""),
        ]
        for account, contact, mark in cases:
            self.setUp()
            self.begin(account)
            self.lists(contact, mark=mark)
            self.assertSent("3600")
            self.assertTrue(self.registration.registered)

    def test_ourOwnNotListed(self) -> None:
        """A registrar that writes ours another way: any of them may be it, none is removed."""
        self.begin()
        self.answered(200, Contact=f"{self.stale(1, mark=MARK)}, {self.stale(2, mark=MARK)}")
        self.assertSent("3600")

    def test_onlyOnce(self) -> None:
        """What stays is not asked for at each refresh, but once more over the next connection."""
        self.begin()
        self.lists(self.stale(1), seconds=60)
        self.answered(500)
        self.assertSent("3600", "0")
        self.clock.advance(30)
        self.lists(self.stale(1), seconds=60)
        self.assertSent("3600")
        self.registration.channelLost()
        self.registration.start(self.channel)
        self.lists(self.stale(1))
        self.assertSent("3600", "0")

    def test_tookMore(self) -> None:
        """A registrar that removes ours too is asked again at once."""
        self.begin()
        self.lists(self.stale(1))
        self.answered(200, Contact=f"<sip:{USER}@203.0.113.1>;expires=900")
        self.assertSent("3600", "0", "3600")

    def test_challenged(self) -> None:
        """The removal is challenged like any other."""
        self.begin()
        self.lists(self.stale(1))
        self.challenged("n1")
        self.assertEqual(uris(self.last), [("198.51.100.1:1", "0")])
        self.assertIsNotNone(self.last.header("Authorization"))
        self.answered(200)
        self.assertSent("3600", "0", "0")

    def test_refreshWaits(self) -> None:
        """Section 10.2: no REGISTER while one is on its way; the refresh comes after its end."""
        self.begin()
        self.lists(self.stale(1), seconds=45)
        self.clock.advance(30)
        self.assertSent("3600", "0")
        self.layer.messageReceived(answer(self.sentLast(), 200), self.channel)
        self.clock.advance(7.4)
        self.assertSent()
        self.clock.advance(0.2)
        self.assertSent("3600")

    def sentLast(self) -> Request:
        """The request of the only transaction."""
        [transaction] = self.layer._clients.values()
        return transaction.request

    def test_silence(self) -> None:
        """No answer condemns the connection, as with any REGISTER."""
        self.begin()
        self.lists(self.stale(1))
        self.clock.advance(32)
        self.assertEqual(self.observer.events[1:], [("lost", "the registrar does not answer")])

    def test_broken(self) -> None:
        """The connection breaks meanwhile."""
        self.begin()
        self.lists(self.stale(1))
        self.layer.channelLost(self.channel, ChannelFailed("gone"))
        self.assertEqual(self.observer.events[1:], [("lost", "the connection is lost: gone")])
        self.registration.channelLost()
        self.assertNothingLeft()

    def test_lost(self) -> None:
        """The owner says so, or has another connection."""
        self.begin()
        self.lists(self.stale(1))
        self.registration.start(self.channel)
        self.lists(self.stale(1))
        self.registration.channelLost()
        self.assertSent("3600", "0", "3600", "0")
        self.assertFalse(self.registration.registered)

    def test_stopped(self) -> None:
        """Stopped meanwhile: its end is waited for, then ours is taken back."""
        for status in (200, 500):
            self.setUp()
            self.begin()
            self.lists(self.stale(1))
            stopped = self.registration.stop()
            self.assertSent("3600", "0")
            self.layer.messageReceived(answer(self.sentLast(), status), self.channel)
            self.assertEqual(uris(self.last), [("198.51.100.1:40000", "0")])
            self.assertNoResult(stopped)
            self.answered(200)
            self.successResultOf(stopped)
            self.assertNothingLeft()


class PublicAddressTests(RegistrationCase):
    """Behind NAT: C{received} and C{rport} of our Via (RFC 3581) are where the carrier sees us."""

    def begin(self, account: Account = ACCOUNT, **options: object) -> None:
        """Registering from behind a router."""
        self.address = PublicAddress(**(options or {"learning": True}))  # type: ignore[arg-type]
        self.registration = self.make(account, self.address)
        self.channel = self.connection("tls:10.0.0.5:40000")
        self.registration.start(self.channel)

    def seen(self, status: int, place: str = ";received=203.0.113.7;rport=61000", **more: str) -> None:
        """The registrar answers, and says where it sees us."""
        via = f"{self.last.header('Via')}".replace(";rport", place)
        self.layer.messageReceived(answer(self.last, status, Via=via, **more), self.channel)

    def test_challenge(self) -> None:
        """The challenge tells it: the answer to it has the Contact, which stays for refresh and end."""
        self.begin()
        self.assertEqual(uris(self.last), [("10.0.0.5:40000", "3600")])
        self.seen(401, WWW_Authenticate=makeChallenge("carrier", "n1"))
        self.assertEqual(uris(self.last), [("203.0.113.7:61000", "3600")])
        self.seen(200, Contact=f"{self.contact()};expires=60")
        self.assertEqual(self.observer.events, [("registered", 60)])
        self.clock.advance(30)
        self.assertEqual(uris(self.last), [("203.0.113.7:61000", "3600")])
        self.seen(200, Contact=f"{self.contact()};expires=60")
        stopped = self.registration.stop()
        self.assertEqual(uris(self.last), [("203.0.113.7:61000", "0")])
        self.seen(200)
        self.successResultOf(stopped)
        self.assertEqual(len(self.channel.requests), 4)

    def test_granted(self) -> None:
        """Granted at once: registered anew under the right address, and the first is taken back."""
        self.begin()
        first = self.contact()
        self.seen(200, Contact=f"{first};expires=60")
        self.assertEqual(self.observer.events, [])
        self.assertEqual(uris(self.last), [("203.0.113.7:61000", "3600")])
        self.seen(200, Contact=f"{first};expires=60, {self.contact()};expires=45")
        self.assertEqual(self.observer.events, [("registered", 45)])
        self.assertEqual(uris(self.last), [("10.0.0.5:40000", "0")])

    def test_otherOffice(self) -> None:
        """Behind NAT the same public address may be that of others: only what we used ourselves is ours."""
        self.begin()
        self.seen(200, Contact=f"{self.contact()};expires=60")
        other = f"<sip:{USER}@203.0.113.7:61001;transport=tls>;expires=60"
        self.seen(200, Contact=f"{other}, {self.contact()};expires=45")
        self.assertSent("3600", "3600")
        self.registration.channelLost()
        self.channel = self.connection("tls:10.0.0.5:40001")
        self.registration.start(self.channel)
        mine = f"<sip:{USER}@203.0.113.7:61000;transport=tls>;expires=60"
        self.seen(200, place=";received=203.0.113.7;rport=61002", Contact=f"{self.contact()};expires=60")
        self.seen(200, Contact=f"{other}, {mine}, {self.contact()};expires=45")
        self.assertEqual(uris(self.last), [("203.0.113.7:61000", "0")])

    def test_switchedOff(self) -> None:
        """Nothing is learned, or a name is told instead."""
        for options, place in (
            ({"learning": False}, "10.0.0.5:40000"),
            ({"fixed": ("sbc.example.com", 5061)}, "sbc.example.com:5061"),
            ({"fixed": ("sbc.example.com", 5061), "learning": True}, "sbc.example.com:5061"),
        ):
            self.setUp()
            self.begin(**options)
            self.seen(200, Contact=f"{self.contact()};expires=45")
            self.assertEqual([uris(each) for each in self.channel.requests], [[(place, "3600")]])
            self.assertEqual(self.observer.events, [("registered", 45)])
            self.assertEqual(self.address.learned, ("203.0.113.7", 61000))

    def test_endless(self) -> None:
        """A registrar that sees us elsewhere each time is believed once for each connection."""
        self.begin()
        for port in range(1, 5):
            if self.observer.events:
                self.clock.advance(30)
            self.seen(
                200, place=f";received=203.0.113.7;rport={port}", Contact=f"{self.contact()};expires=60"
            )
        self.assertEqual({uris(each)[0][0] for each in self.channel.requests[1:]}, {"203.0.113.7:1"})
        self.assertEqual(len(self.channel.requests), 4)


class LearningTests(SynchronousTestCase):
    """L{PublicAddress} by itself."""

    def learned(self, place: str, local: str = "tls:10.0.0.5:40000") -> tuple[str, int] | None:
        """What C{place} in a Via teaches."""
        address = PublicAddress(learning=True)
        channel = RecordingChannel(Clock(), "tls:192.0.2.1:5061", local)
        address.use(channel)
        request = Request("OPTIONS", "sip:a.example", ()).withHeader(
            "Via", f"SIP/2.0/TLS 10.0.0.5:40000;branch=z9hG4bKx{place}"
        )
        changed = address.learn(answer(request.withHeader("To", "<sip:a.example>"), 200))
        self.assertEqual(changed, address.learned is not None, place)
        self.assertEqual(address.of(channel), address.learned or (channel.localAddress.host, 40000))
        return address.learned

    def test_places(self) -> None:
        """Host and port, either alone, IPv6; nothing of what cannot be right."""
        for place, wanted in (
            (";received=203.0.113.7;rport=61000", ("203.0.113.7", 61000)),
            (";received=203.0.113.7", ("203.0.113.7", 40000)),
            (";rport=61000", ("10.0.0.5", 61000)),
            (";received=[2001:db8::7];rport=61000", ("2001:db8::7", 61000)),
            (";received=2001:db8::7;rport=61000", ("2001:db8::7", 61000)),
            ("", None),
            (";rport", None),
            (";received=10.0.0.5;rport=40000", None),
            (";received=nat.example;rport=61000", None),
            (";received=0.0.0.0;rport=61000", None),
            (";received=224.0.0.1;rport=61000", None),
            (";rport=99999", None),
            (";received=fe80::1%eth0;rport=61000", None),
            (";received=::ffff:203.0.113.7;rport=61000", ("203.0.113.7", 61000)),
            (";received=::ffff:10.0.0.5;rport=40000", None),
        ):
            self.assertEqual(self.learned(place), wanted, place)

    def test_innerNetwork(self) -> None:
        """A balancer of the carrier's stands between: its address is worse than ours, if ours is public."""
        self.assertIsNone(self.learned(";received=10.9.9.9;rport=7", "tls:8.8.4.4:40000"))
        self.assertEqual(self.learned(";received=8.8.8.8;rport=7", "tls:8.8.4.4:40000"), ("8.8.8.8", 7))

    def test_connections(self) -> None:
        """A new connection begins anew; one beside it, from the same machine, tells the same address."""
        address = PublicAddress(learning=True)
        flow, beside, other = (
            RecordingChannel(Clock(), "tls:192.0.2.1:5061", local)
            for local in ("tls:10.0.0.5:40000", "tls:10.0.0.5:40001", "tls:[2001:db8::5]:40002")
        )
        response = answer(
            Request("OPTIONS", "sip:a.example", ())
            .withHeader("Via", "SIP/2.0/TLS 10.0.0.5:40000;branch=z9hG4bKx;received=203.0.113.7;rport=7")
            .withHeader("To", "<sip:a.example>"),
            200,
        )
        self.assertFalse(address.learn(response))
        address.use(flow)
        self.assertTrue(address.learn(response))
        address.use(flow)
        self.assertEqual(address.of(flow), ("203.0.113.7", 7))
        self.assertEqual(address.of(beside), ("203.0.113.7", 7))
        self.assertEqual(address.of(other), ("2001:db8::5", 40002))
        address.use(beside)
        self.assertEqual(address.of(beside), ("10.0.0.5", 40001))
        self.assertFalse(
            address.learn(answer(Request("OPTIONS", "sip:a", ()).withHeader("To", "<sip:a>"), 200))
        )


class OutboundTests(RegistrationCase):
    """A flow of an instance (RFC 5626 sections 4.2, 6)."""

    FLOW = Account(ACCOUNT.user, ACCOUNT.domain, 3600, instance=INSTANCE, outbound=True)

    def begin(self, account: Account) -> None:
        """Registering."""
        self.address = PublicAddress()
        self.registration = self.make(account, self.address)
        self.registration.start(self.channel)

    def test_4_2_instance(self) -> None:
        """The instance alone, for a carrier that knows nothing of flows."""
        self.begin(MARKED)
        contact = f"<sip:{USER}@198.51.100.1:40000;transport=tls>;expires=3600"
        self.assertEqual(self.last.header("Contact"), contact + MARK)
        self.assertIsNone(self.last.header("Supported"))

    def test_4_2_1_flow(self) -> None:
        """C{reg-id} and instance, C{path} and C{outbound} supported; at its end too."""
        self.begin(self.FLOW)
        contact = f"<sip:{USER}@198.51.100.1:40000;transport=tls>;expires="
        self.assertEqual(self.last.header("Contact"), f"{contact}3600;reg-id=1{MARK}")
        self.assertEqual(self.last.values("Supported"), ("path", "outbound"))
        self.answered(200, Contact=f"{self.contact()};expires=3600")
        self.registration.stop()
        self.assertEqual(self.last.header("Contact"), f"{contact}0;reg-id=1{MARK}")

    def test_6_required(self) -> None:
        """C{Require: outbound} says that the registrar keeps to the flow; C{Supported} does not."""
        for account, headers, wanted in (
            (self.FLOW, {"Require": "outbound"}, True),
            (self.FLOW, {"Supported": "outbound"}, False),
            (MARKED, {"Require": "outbound"}, False),
        ):
            self.setUp()
            self.begin(account)
            self.answered(200, Contact=f"{self.contact()};expires=60", **headers)
            self.assertEqual(self.address.overFlow, wanted)
            self.registration.channelLost()
            self.registration.start(self.connection("tls:198.51.100.1:40001"))
            self.assertFalse(self.address.overFlow)

    def test_11_6_439(self) -> None:
        """First Hop Lacks Outbound Support: without a flow then, until the next connection."""
        self.begin(self.FLOW)
        self.answered(439)
        self.assertNotIn("reg-id", self.last.header("Contact") or "")
        self.assertIsNone(self.last.header("Supported"))
        self.answered(439)
        self.assertEqual(len(self.observer.events), 1)
        self.assertEqual(len(self.channel.requests), 2)
        self.registration.channelLost()
        self.registration.start(self.channel)
        self.assertIn("reg-id=1", self.last.header("Contact") or "")
