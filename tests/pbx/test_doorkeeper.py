"""Digest challenges to a PBX."""

from __future__ import annotations

from itertools import count

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.pbx import doorkeeper
from skypetrunk.pbx.doorkeeper import NONCE_SECONDS, Doorkeeper
from skypetrunk.testing import countingToken
from skypetrunk.wire.digest import Challenge, parseChallenge, respond
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.secret import Secret
from tests.core.callnet import CallNet, sdp
from tests.service.configurations import COMPLETE, MARKER, ConfigurationTestCase

PASSWORD = Secret("marker \u00fc")
URI = "sip:+4420@198.51.100.1"


def invite(*headers: tuple[str, str], method: str = "INVITE", uri: str = URI) -> Request:
    """A request of the PBX."""
    lines = [
        ("Via", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1"),
        ("From", "<sip:1001@192.0.2.10>;tag=1"),
        ("To", f"<{uri}>"),
        ("Call-ID", "1"),
        ("CSeq", f"1 {method}"),
        *headers,
    ]
    return Request(method, uri, tuple(Header(*line) for line in lines))


class DoorkeeperTests(SynchronousTestCase):
    """L{Doorkeeper}."""

    def setUp(self) -> None:
        """Its time is that of a clock."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.doorkeeper = self.build()
        self.cnonces = count(1)

    def build(self) -> Doorkeeper:
        """One that knows one user."""
        return Doorkeeper("office", PASSWORD, self.clock.seconds, countingToken(), lambda n: b"k" * n)

    def challenge(self, request: Request | None = None) -> Challenge:
        """The challenge that a request gets."""
        response = self.doorkeeper.check(invite() if request is None else request)
        assert response is not None
        self.assertEqual(response.status, 401)
        self.assertTrue(response.toAddress.tag)
        challenge = parseChallenge(response.header("WWW-Authenticate") or "")
        assert challenge is not None
        return challenge

    def answer(
        self,
        challenge: Challenge,
        number: int = 1,
        *,
        user: str = "office",
        password: Secret = PASSWORD,
        uri: str = URI,
        method: str = "INVITE",
    ) -> Request:
        """A request with credentials."""
        value = respond(
            challenge, user, password, method, uri, nonceCount=number, cnonce=f"c{next(self.cnonces)}"
        )
        return invite(("Authorization", value), method=method)

    def status(self, request: Request) -> int | None:
        """The answer, if there is one."""
        response = self.doorkeeper.check(request)
        return None if response is None else response.status

    def test_challenge(self) -> None:
        """A realm, a nonce of its own each time, MD5 and qop."""
        one, other = self.challenge(), self.challenge()
        self.assertEqual(
            (one.realm, one.algorithm, one.qop, one.stale), ("skypetrunk", "MD5", ("auth",), False)
        )
        self.assertNotEqual(one.nonce, other.nonce)

    def test_right(self) -> None:
        """Who knows the password may go on, also again with the next count."""
        challenge = self.challenge()
        for number in (1, 2, 5):
            self.assertIsNone(self.status(self.answer(challenge, number)))
        self.assertEqual(self.doorkeeper.refused, {})

    def test_replay(self) -> None:
        """A count that was there gets a new challenge, which says that the password was right."""
        challenge = self.challenge()
        self.assertIsNone(self.status(self.answer(challenge, 3)))
        for number in (3, 2, 0):
            self.assertTrue(self.challenge(self.answer(challenge, number)).stale)

    def test_stale(self) -> None:
        """A nonce is good for some minutes; its successor works at once."""
        challenge = self.challenge()
        self.clock.advance(NONCE_SECONDS)
        self.assertIsNone(self.status(self.answer(challenge, 1)))
        self.clock.advance(1)
        renewed = self.challenge(self.answer(challenge, 2))
        self.assertTrue(renewed.stale)
        self.assertIsNone(self.status(self.answer(renewed)))

    def test_foreignNonces(self) -> None:
        """Nonces of somebody else, of the future and of no form are stale for who knows the password."""
        good = self.challenge().nonce
        since, salt, signature = good.split("-")
        for nonce in (
            "x",
            "",
            "-",
            f"{since}-{salt}-{signature[:-1]}0"
            if signature[-1] != "0"
            else f"{since}-{salt}-{signature[:-1]}1",
            f"{int(since, 16) + 10:x}-{salt}-{signature}",
            f"zz-{salt}-{signature}",
            "\u00fc-\u00fc-\u00fc",
        ):
            challenge = Challenge("skypetrunk", nonce, "MD5", ("auth",))
            self.assertTrue(self.challenge(self.answer(challenge)).stale, nonce)

    def test_wrong(self) -> None:
        """A wrong password and a wrong name are 403, and counted; nothing of them is in the answer."""
        challenge = self.challenge()
        for wanted, request in (
            (1, self.answer(challenge, password=Secret("other"))),
            (2, self.answer(challenge, user="other")),
            (3, self.answer(challenge, user="\udcff")),
        ):
            self.assertEqual(self.status(request), 403)
            self.assertEqual(self.doorkeeper.refused["password"], wanted)
        # What was wrong has used nothing up.
        self.assertIsNone(self.status(self.answer(challenge)))

    def test_otherRequest(self) -> None:
        """Credentials of another Request-URI are 400 (RFC 7616 section 3.4.6), of another method 403."""
        challenge = self.challenge()
        self.assertEqual(self.status(self.answer(challenge, uri="sip:+49@198.51.100.1")), 400)
        value = self.answer(challenge, method="REGISTER").header("Authorization") or ""
        self.assertEqual(self.status(invite(("Authorization", value))), 403)

    def test_notOurs(self) -> None:
        """Credentials for another realm, algorithm or without qop are none."""
        challenge = self.challenge()
        for other in (
            Challenge("other", challenge.nonce, "MD5", ("auth",)),
            Challenge("skypetrunk", challenge.nonce, "SHA-256", ("auth",)),
            Challenge("skypetrunk", challenge.nonce, "MD5", ()),
        ):
            self.assertFalse(self.challenge(self.answer(other)).stale)

    def test_malformed(self) -> None:
        """Credentials that cannot be read are 400."""
        for value in ("Basic YTpi", "Digest realm=", 'Digest username="office"'):
            self.assertEqual(self.status(invite(("Authorization", value))), 400, value)
        self.assertEqual(self.doorkeeper.refused, {"malformed": 3})

    def test_bounded(self) -> None:
        """So many nonces in use make all of them stale, and none good again."""
        self.patch(doorkeeper, "_NONCES", 3)
        challenges = [self.challenge() for _ in range(4)]
        for challenge in challenges[:3]:
            self.assertIsNone(self.status(self.answer(challenge)))
        renewed = self.challenge(self.answer(challenges[3]))
        for challenge in challenges:
            self.assertTrue(self.challenge(self.answer(challenge)).stale)
        self.assertTrue(renewed.stale)
        self.assertIsNone(self.status(self.answer(self.challenge())))


class CallTests(SynchronousTestCase):
    """A PBX that must prove itself."""

    def setUp(self) -> None:
        """It is challenged."""
        self.net = CallNet()
        keeper = Doorkeeper("office", PASSWORD, self.net.clock.seconds, countingToken(), lambda n: b"k" * n)
        self.net.pbx.side.doorkeeper = keeper.check

    def test_call(self) -> None:
        """Nothing is taken for a call before it is proved; the ACK of the 401 ends that transaction."""
        net = self.net
        net.pbx.invite(URI, sdp())
        refusal = net.pbx.response(401)
        self.assertEqual((net.plane.legs, net.carrier.got(), net.observer.events), ([], [], []))
        net.pbx.ackRefusal(401)
        challenge = parseChallenge(refusal.header("WWW-Authenticate") or "")
        assert challenge is not None
        value = respond(challenge, "office", PASSWORD, "INVITE", URI, nonceCount=1, cnonce="c")
        net.pbx.invite(URI, sdp(), [("Authorization", value)])
        (request,) = net.carrier.channel.requests
        self.assertIsNone(request.header("Authorization"))
        self.assertIsNone(request.header("Proxy-Authorization"))

    def test_emergency(self) -> None:
        """An emergency call is never asked for a password."""
        self.net.pbx.invite("sip:112@198.51.100.1", sdp())
        self.assertIn("cause=34", self.net.pbx.response(503).header("Reason") or "")

    def test_options(self) -> None:
        """Nor is OPTIONS, by which the PBX sees whether the trunk is up."""
        self.net.pbx.says(invite(method="OPTIONS", uri="sip:198.51.100.1"))
        self.assertEqual(self.net.pbx.got(), [200])

    def test_incoming(self) -> None:
        """Calls to the PBX are as they were, and its BYE too."""
        near, far = self.net.inboundCall()
        self.net.pbx.back(far, "BYE", 1)
        self.assertIn("BYE", self.net.carrier.got())


class TableTests(ConfigurationTestCase):
    """C{pbx.username} and C{pbx.password_file}."""

    def test_both(self) -> None:
        """The password is read from its file, and hidden."""
        text = COMPLETE.replace("allow =", 'username = "office"\npassword_file = "skype.secret"\nallow =')
        (pbx,) = self.load(text)[0].pbxes
        self.assertEqual((pbx.username, pbx.password), ("office", Secret(MARKER)))
        self.assertNotIn(MARKER, repr(pbx))

    def test_one(self) -> None:
        """One without the other is a mistake."""
        right = "would be right: both, or none where the address is proof enough"
        for key, other in (("username", "password_file"), ("password_file", "username")):
            self.assertProblem(
                "allow =",
                f'{key} = "skype.secret"\nallow =',
                f"pbx.office.{other}: is missing beside {key}; {right}",
            )
