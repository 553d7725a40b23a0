"""Challenges and registrations of the practice carrier (Skype Connect facts, section 3)."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.digest import parseChallenges
from skypetrunk.wire.message import Response
from skypetrunk.wire.secret import Secret
from tests.lab.network import MemoryNetwork
from tests.lab.peer import ACCOUNT, Peer, makeCarrier


class CarrierCase(SynchronousTestCase):
    """A carrier and a PBX."""

    def setUp(self) -> None:
        """With the defaults."""
        self.network = MemoryNetwork()
        self.start()

    def start(self, **settings: object) -> None:
        """The carrier, with these settings."""
        self.carrier = makeCarrier(self.network, **settings)
        self.peer = Peer(self.carrier)


class ChallengeTests(CarrierCase):
    """Facts 3.2: in registration mode every request is challenged; never ACK and CANCEL."""

    def challengeOf(self, method: str) -> Response:
        """The answer to a request without credentials."""
        request = self.peer.request(method)
        self.peer.give(request)
        answer = self.peer.takeResponse()
        if answer.status == 100:
            answer = self.peer.takeResponse()
        return answer

    def test_everyRequest(self) -> None:
        """401 for REGISTER, 407 for all others, known or not, with the domain as realm."""
        for method in ("REGISTER", "INVITE", "OPTIONS", "BYE", "MESSAGE", "REFER", "NONSENSE"):
            answer = self.challengeOf(method)
            self.assertEqual(answer.status, 401 if method == "REGISTER" else 407, method)
            name = "WWW-Authenticate" if method == "REGISTER" else "Proxy-Authenticate"
            challenge = parseChallenges(answer.values(name))[0]
            self.assertEqual((challenge.realm, challenge.qop), ("sip.skype.com", ("auth",)))

    def test_switches(self) -> None:
        """401 for INVITE too; only INVITE and REGISTER; no qop; SHA-256 before MD5; nobody at all."""
        self.start(proxyChallenge=False, qop=False, algorithms=("SHA-256", "MD5"))
        challenges = parseChallenges(self.challengeOf("INVITE").values("WWW-Authenticate"))
        self.assertEqual([c.algorithm for c in challenges], ["SHA-256", "MD5"])
        self.assertEqual([c.qop for c in challenges], [(), ()])
        self.assertEqual(self.peer.register().status, 200)
        self.start(challengeAll=False)
        self.assertEqual([self.challengeOf(m).status for m in ("OPTIONS", "INVITE")], [200, 407])
        self.start(authentication="ip")
        self.assertEqual(self.challengeOf("OPTIONS").status, 200)

    def test_wrongPassword(self) -> None:
        """403, and so for an account that does not exist."""
        request = self.peer.request("REGISTER")
        self.peer.give(request)
        challenge = self.peer.takeResponse()
        self.peer.give(self.peer.authorised(request, challenge, Secret("wrong")))
        self.assertEqual(self.peer.takeResponse().status, 403)
        unknown = self.peer.authorised(request, challenge, count=2)
        value = (unknown.header("Authorization") or "").replace(ACCOUNT, "nobody")
        self.peer.give(unknown.withHeader("Authorization", value))
        self.assertEqual(self.peer.takeResponse().status, 403)

    def test_otherRequest(self) -> None:
        """Credentials made for another request are refused with 400 (RFC 7616 section 3.4.6)."""
        request = self.peer.request("OPTIONS")
        self.peer.give(request)
        again = self.peer.authorised(request, self.peer.takeResponse())
        value = again.header("Proxy-Authorization") or ""
        self.peer.give(again.withHeader("Proxy-Authorization", value.replace("sip:sip.", "sip:sop.")))
        self.assertEqual(self.peer.takeResponse().status, 400)
        self.peer.give(self.peer.request("OPTIONS", extra=(("Proxy-Authorization", "Digest x"),)))
        self.assertEqual(self.peer.takeResponse().status, 400)

    def staleAfter(self, seconds: float, count: int) -> bool:
        """Is a nonce stale when it comes again, after some time, with this count?"""
        request = self.peer.request("OPTIONS")
        self.peer.give(request)
        challenge = self.peer.takeResponse()
        self.peer.give(self.peer.authorised(request, challenge))
        self.assertEqual(self.peer.takeResponse().status, 200)
        self.network.advance(seconds)
        self.peer.give(self.peer.authorised(request, challenge, count=count))
        answer = self.peer.takeResponse()
        if answer.status == 200:
            return False
        self.assertEqual(answer.status, 407)
        self.assertTrue(parseChallenges(answer.values("Proxy-Authenticate"))[0].stale)
        return True

    def test_stale(self) -> None:
        """A nonce is stale when it is too old, when its count is repeated, or after one use where so set."""
        self.assertFalse(self.staleAfter(299, 2))
        self.assertTrue(self.staleAfter(301, 2))
        self.assertTrue(self.staleAfter(1, 1))
        self.start(nonce="once")
        self.assertTrue(self.staleAfter(1, 2))

    def test_neverFresh(self) -> None:
        """C{stale}: stale again and again; C{refused}: challenged again, as if the password was wrong."""
        for nonce, stale in (("stale", True), ("refused", False)):
            self.start(nonce=nonce)
            request = self.peer.request("OPTIONS")
            self.peer.give(request)
            for _ in range(3):
                self.peer.give(self.peer.authorised(request, self.peer.takeResponse()))
                [answer] = self.peer.sent
                assert isinstance(answer, Response)
                self.assertEqual(answer.status, 407)
                challenge = parseChallenges(answer.values("Proxy-Authenticate"))[0]
                self.assertEqual(challenge.stale, stale)

    def test_noncesAreBounded(self) -> None:
        """Who only asks cannot fill the memory."""
        for _ in range(1200):
            self.peer.give(self.peer.request("OPTIONS"))
        self.assertEqual(len(self.carrier._authenticator._nonces), 1000)


class RegistrationTests(CarrierCase):
    """Facts 3.6 and 3.9, RFC 3261 section 10.3."""

    def test_grantedExpiry(self) -> None:
        """45 s behind NAT, else 3600 s, never more than asked; or as set, whatever is asked."""
        for host, asked, granted in [
            ("127.0.0.9", "3600", "45"),
            ("192.0.2.7", "9999", "3600"),
            ("192.0.2.7", "30", "30"),
        ]:
            self.peer = Peer(self.carrier, host)
            answer = self.peer.register((("Expires", asked),))
            self.assertEqual((answer.status, answer.header("Expires")), (200, granted))
            self.assertEqual(answer.contacts[0].params.get("expires"), granted)
        self.start(granted=120)
        self.assertEqual(self.peer.register().header("Expires"), "120")

    def test_ends(self) -> None:
        """A registration ends by itself, or with its connection."""
        self.peer.register()
        self.network.advance(44)
        self.assertIsNotNone(self.carrier.registrar.find(ACCOUNT))
        self.network.advance(2)
        self.assertIsNone(self.carrier.registrar.find(ACCOUNT))
        self.peer.register()
        self.carrier.channelLost(self.peer.channel)
        self.assertEqual(self.carrier.registrar.bindings(), ())

    def test_removed(self) -> None:
        """Expires 0, with a Contact or a star, ends it (RFC 3261 section 10.2.2)."""
        for extra in ((("Expires", "0"),), (("Expires", "0"), ("Contact", "*"))):
            self.peer.register()
            request = self.peer.request("REGISTER", to=f"<sip:{ACCOUNT}@sip.skype.com>")
            for name, value in extra:
                request = request.withHeader(name, value)
            self.peer.asked(request)
            answer = self.peer.takeResponse()
            self.assertEqual((answer.status, answer.contacts), (200, ()))
            self.assertEqual(self.carrier.registrar.bindings(), ())

    def test_query(self) -> None:
        """Without a Contact it says what is registered."""
        self.peer.register()
        self.network.advance(5)
        self.peer.asked(self.peer.request("REGISTER", to=f"<sip:{ACCOUNT}@x>").withoutHeader("Contact"))
        self.assertEqual(self.peer.takeResponse().contacts[0].params.get("expires"), "40")

    def test_refused(self) -> None:
        """423 with Min-Expires; 404 for a Request-URI that is no bare domain; 403 for another account."""
        self.start(minimumExpires=60)
        brief = self.peer.register((("Expires", "59"),))
        self.assertEqual((brief.status, brief.header("Min-Expires")), (423, "60"))
        for uri, to, status in [
            (f"sip:{ACCOUNT}@sip.skype.com", ACCOUNT, 404),
            ("sip:other.example", ACCOUNT, 404),
            ("sip:sip.skype.com", "99051000000002", 403),
        ]:
            self.peer.asked(self.peer.request("REGISTER", uri, to=f"<sip:{to}@sip.skype.com>"))
            self.assertEqual(self.peer.takeResponse().status, status)
        self.assertEqual(self.carrier.registrar.bindings(), ())

    def test_refusedAlways(self) -> None:
        """Any status, with Retry-After where it is set."""
        for status, retry in ((403, 0), (404, 0), (503, 30)):
            self.start(registration=status, retryAfter=retry)
            answer = self.peer.register()
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.header("Retry-After"), str(retry) if retry else None)
        self.assertEqual(self.carrier.registrar.bindings(), ())

    def registered(self, contact: str, *extra: tuple[str, str]) -> Response:
        """The answer to a REGISTER with that Contact."""
        request = self.peer.request("REGISTER", to=f"<sip:{ACCOUNT}@sip.skype.com>", extra=extra)
        self.peer.asked(request.withHeader("Contact", contact))
        answer = self.peer.takeResponse()
        self.assertEqual(answer.status, 200)
        return answer

    def test_severalContacts(self) -> None:
        """All that registered, the newest first, where bindings are kept; and those of somebody else."""
        one, two = f"<sip:{ACCOUNT}@192.0.2.7:5070>", f"<sip:{ACCOUNT}@192.0.2.7:5071>"
        self.registered(one)
        self.assertEqual(len(self.registered(two).contacts), 1)
        self.start(bindings="all", others=2)
        self.registered(one)
        answer = self.registered(two)
        ports = [each.uri.port for each in answer.contacts]  # type: ignore[union-attr]
        self.assertEqual(ports, [5060, 5061, 5071, 5070])
        self.assertEqual([each.params.get("expires") for each in answer.contacts][:2], ["60", "61"])
        self.assertEqual(len(self.registered(f"{one};expires=0").contacts), 3)

    def test_headers(self) -> None:
        """Service-Route (RFC 3608) and Flow-Timer (RFC 5626 section 10)."""
        self.start(serviceRoute="sip:edge.sip.skype.com;lr", flowTimer=25)
        answer = self.peer.register()
        self.assertEqual(answer.header("Service-Route"), "<sip:edge.sip.skype.com;lr>")
        self.assertEqual(answer.header("Flow-Timer"), "25")

    def test_flows(self) -> None:
        """
        RFC 5626 section 6: two flows of one instance, each replaced by itself; calls take the newest that
        is left.
        """
        self.start(outbound=True)
        flow = f'<sip:{ACCOUNT}@192.0.2.7:5070>;+sip.instance="<urn:uuid:1>";reg-id='
        supported = ("Supported", "path, outbound")
        first = self.peer
        self.assertEqual(self.registered(flow + "1", supported).header("Require"), "outbound")
        self.peer = Peer(self.carrier)
        self.assertEqual(len(self.registered(flow + "2", supported).contacts), 2)
        self.assertEqual(len(self.registered(flow + "2", supported).contacts), 2)
        binding = self.carrier.registrar.find(ACCOUNT)
        assert binding is not None
        self.assertIs(binding.channel, self.peer.channel)
        self.carrier.channelLost(self.peer.channel)
        binding = self.carrier.registrar.find(ACCOUNT)
        assert binding is not None
        self.assertIs(binding.channel, first.channel)
        self.assertIsNone(self.registered("<sip:1@192.0.2.7>").header("Require"))

    def test_whileItRuns(self) -> None:
        """Settings are taken up at once, and who was registered stays so."""
        self.peer.register()
        self.carrier.configure(replace(self.carrier.settings, granted=77, proxyChallenge=False))
        self.assertEqual(len(self.carrier.registrar.bindings()), 1)
        self.assertEqual(self.peer.register().header("Expires"), "77")
        self.peer.give(self.peer.request("OPTIONS"))
        self.assertEqual(self.peer.takeResponse().status, 401)

    def test_whenRegistered(self) -> None:
        """Who waits for a registration is told, at once when there is one."""
        waiting = self.carrier.whenRegistered()
        self.assertNoResult(waiting)
        self.peer.register()
        self.successResultOf(waiting)
        self.successResultOf(self.carrier.whenRegistered())
