"""
Tests of L{skypetrunk.core.authentication}: RFC 3261 section 22, RFC 7616, RFC 8760.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.authentication import Authentication
from skypetrunk.testing import MemoryCredentials, countingToken
from skypetrunk.wire.digest import Credentials, makeChallenge, parseCredentials, verify
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret
from tests.core.messages import answer, outgoing

PASSWORD = "marker-password"


class AuthenticationTests(SynchronousTestCase):
    """L{Authentication} against challenges."""

    def setUp(self) -> None:
        """Passwords for two realms."""
        self.credentials = MemoryCredentials({"one": ("1000", PASSWORD), "two": ("1000", PASSWORD)})
        self.authentication = Authentication(self.credentials, countingToken())
        self.sequence = 7

    def nextSequence(self) -> int:
        """The next CSeq number."""
        self.sequence += 1
        return self.sequence

    def challenged(
        self,
        request: Request,
        *challenges: str,
        proxy: bool = False,
    ) -> Response:
        """A 401 or 407 to C{request}."""
        response = answer(request, 407 if proxy else 401)
        for challenge in challenges:
            response = response.addingHeader(
                "Proxy-Authenticate" if proxy else "WWW-Authenticate", challenge
            )
        return response

    def answered(self, request: Request, *challenges: str, proxy: bool = False) -> Request:
        """The request that answers C{challenges}."""
        response = self.challenged(request, *challenges, proxy=proxy)
        retry = self.authentication.answer(request, response, self.nextSequence)
        assert retry is not None, self.authentication.problem
        return retry

    def refused(self, request: Request, *challenges: str, proxy: bool = False) -> str:
        """C{challenges} are not answered, and no CSeq number is lost: the reason."""
        before = self.sequence
        response = self.challenged(request, *challenges, proxy=proxy)
        self.assertIsNone(self.authentication.answer(request, response, self.nextSequence))
        self.assertEqual(self.sequence, before)
        return self.authentication.problem

    def sent(self, request: Request, name: str = "Authorization") -> list[Credentials]:
        """The credentials in C{request}, each of which proves the password."""
        found = [parseCredentials(value) for value in request.values(name)]
        for credentials in found:
            self.assertTrue(verify(credentials, Secret(PASSWORD), request.method, request.body))
        return found

    def counts(self, request: Request, name: str = "Authorization") -> list[tuple[str, str | None]]:
        """Nonce and nonce count of each."""
        return [(each.nonce, each.nonceCount) for each in self.sent(request, name)]

    def test_22_2_401(self) -> None:
        """401: Authorization, CSeq one higher, all else as it was; no Via, which the transaction adds."""
        request = outgoing().withBody(b"v=0\r\n", "application/sdp")
        retry = self.answered(
            request.prependingHeader("Via", "SIP/2.0/UDP x;branch=z9hG4bK1"), makeChallenge("one", "n1")
        )
        self.assertEqual(
            retry.withoutHeader("Authorization"), request.withHeader("CSeq", "8 INVITE")
        )
        [credentials] = self.sent(retry)
        self.assertEqual(
            (credentials.username, credentials.realm, credentials.uri, credentials.nonceCount),
            ("1000", "one", request.uri, "00000001"),
        )

    def test_22_3_407(self) -> None:
        """407: Proxy-Authorization."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), proxy=True)
        self.assertEqual(self.counts(retry, "Proxy-Authorization"), [("n1", "00000001")])
        self.assertIsNone(retry.header("Authorization"))

    def test_22_3_several_realms(self) -> None:
        """Each challenge of a response is answered; a later one of another realm is added to them."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), makeChallenge("two", "n2"))
        self.assertEqual(self.counts(retry), [("n1", "00000001"), ("n2", "00000001")])
        self.setUp()
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), proxy=True)
        retry = self.answered(retry, makeChallenge("two", "n2"))
        self.assertEqual(self.counts(retry), [("n2", "00000001")])
        self.assertEqual(self.counts(retry, "Proxy-Authorization"), [("n1", "00000002")])
        self.assertEqual(str(retry.cseq), "9 INVITE")

    def test_22_3_same_realm_both_kinds(self) -> None:
        """A proxy and a user agent of one realm have nonces of their own."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), proxy=True)
        retry = self.answered(retry, makeChallenge("one", "n2"))
        self.assertEqual(self.counts(retry), [("n2", "00000001")])
        self.assertEqual(self.counts(retry, "Proxy-Authorization"), [("n1", "00000002")])

    def test_22_3_password_for_one_of_two(self) -> None:
        """What can be answered is answered; the other realm may be content."""
        retry = self.answered(outgoing(), makeChallenge("other", "n0"), makeChallenge("one", "n1"))
        self.assertEqual(self.counts(retry), [("n1", "00000001")])

    def test_rfc8760_2_4_algorithms(self) -> None:
        """Of several algorithms for a realm the topmost known one is answered."""
        challenges = (
            makeChallenge("one", "n1", "SHA-1024"),
            makeChallenge("one", "n2", "SHA-256"),
            makeChallenge("one", "n3", "MD5"),
        )
        [credentials] = self.sent(self.answered(outgoing(), *challenges))
        self.assertEqual((credentials.nonce, credentials.algorithm), ("n2", "SHA-256"))

    def test_unusable(self) -> None:
        """Nothing to answer: unknown algorithm, other scheme, no challenge, unknown realm, no passwords."""
        unknown = "it asks for no kind of authentication that is known here"
        for challenges in ((makeChallenge("one", "n1", "AKAv1-MD5"),), ("Basic realm=x",), ("Digest",), ()):
            self.assertEqual(self.refused(outgoing(), *challenges), unknown)
        missing = self.refused(outgoing(), makeChallenge("other", "n1"))
        self.assertEqual(missing, "there is no password for realm 'other'")
        self.authentication = Authentication(None, countingToken())
        self.assertEqual(
            self.refused(outgoing(), makeChallenge("one", "n1")), "there is no password for realm 'one'"
        )

    def test_22_2_wrong_password(self) -> None:
        """A second challenge of the realm is a refusal, with another nonce or the same."""
        for nonce in ("n1", "n2"):
            self.setUp()
            retry = self.answered(outgoing(), makeChallenge("one", "n1"))
            problem = self.refused(retry, makeChallenge("one", nonce))
            self.assertEqual(problem, "user name or password is wrong for realm 'one'")

    def test_22_2_wrong_password_without_qop(self) -> None:
        """The same where no count is sent (RFC 2069)."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1", qop=None))
        self.assertEqual(self.counts(retry), [("n1", None)])
        self.refused(retry, makeChallenge("one", "n2", qop=None))

    def test_stale(self) -> None:
        """stale=true is answered with the new nonce; a nonce that is stale at once, twice, is a loop."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"))
        retry = self.answered(retry, makeChallenge("one", "n2", stale=True))
        self.assertEqual(self.counts(retry), [("n2", "00000001")])
        self.refused(retry, makeChallenge("one", "n3", stale=True))

    def test_stale_without_a_new_nonce(self) -> None:
        """A nonce that is called stale and given again is a loop, whatever its count."""
        self.answered(outgoing(), makeChallenge("one", "n1"))
        self.refused(self.withHeaders(outgoing()), makeChallenge("one", "n1", stale=True))

    def test_endless_realms(self) -> None:
        """A peer that asks for ever new realms is given up, even where there is a password for each."""
        self.authentication = Authentication(MemoryCredentials({"*": ("1", PASSWORD)}), countingToken())
        retry = outgoing()
        for number in range(8):
            retry = self.answered(retry, makeChallenge(f"realm {number}", "n"))
        self.refused(retry, makeChallenge("realm 8", "n"))

    def test_stale_after_reuse(self) -> None:
        """Nonces that live for one request: each refresh is told that its nonce is stale, for ever."""
        retry = self.answered(outgoing("REGISTER"), makeChallenge("one", "n1"))
        for number in range(2, 6):
            again = self.withHeaders(outgoing("REGISTER"))
            self.assertEqual(self.counts(again), [(f"n{number - 1}", "00000002")])
            retry = self.answered(again, makeChallenge("one", f"n{number}", stale=True))
            self.assertEqual(self.counts(retry), [(f"n{number}", "00000001")])
        self.assertEqual(str(retry.cseq), "12 REGISTER")

    def withHeaders(self, request: Request) -> Request:
        """C{request} with the credentials that are known before it is sent."""
        for header in self.authentication.headersFor(request.method, request.uri, request.body):
            request = request.addingHeader(*header)
        return request

    def test_reused_nonce_refused_without_stale(self) -> None:
        """A server that forgets to say stale gets one answer with its new nonce."""
        self.answered(outgoing(), makeChallenge("one", "n1"))
        again = self.withHeaders(outgoing("BYE"))
        retry = self.answered(again, makeChallenge("one", "n2"))
        self.refused(retry, makeChallenge("one", "n3"))
        again = self.withHeaders(outgoing("BYE"))
        self.refused(again, makeChallenge("one", "n2"))

    def test_nonce_count(self) -> None:
        """A nonce that is given again goes on counting (RFC 7616 section 3.4)."""
        for number, method in enumerate(("INVITE", "BYE", "OPTIONS"), 1):
            retry = self.answered(outgoing(method), makeChallenge("one", "n1"))
            self.assertEqual(self.counts(retry), [("n1", f"{number:08x}")])

    def test_22_1_ack_and_cancel(self) -> None:
        """ACK and CANCEL repeat the credentials of the INVITE, whatever was sent after it."""
        self.assertEqual(self.authentication.headersFor("CANCEL", "sip:x"), ())
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), proxy=True)
        self.answered(outgoing("OPTIONS"), makeChallenge("one", "n2"), proxy=True)
        for method in ("ACK", "CANCEL"):
            [header] = self.authentication.headersFor(method, "sip:x")
            self.assertEqual(
                (header.name, header.value), ("Proxy-Authorization", retry.header("Proxy-Authorization"))
            )

    def test_credentials_explode(self) -> None:
        """A vendor's credentials that raise: logged, and the challenge stays unanswered."""

        def explode(realm: str) -> None:
            raise ZeroDivisionError

        self.patch(self.credentials, "find", explode)
        self.refused(outgoing(), makeChallenge("one", "n1"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nothing_shows_the_password(self) -> None:
        """Neither the object, nor the request, nor a problem."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"))
        self.refused(retry, makeChallenge("one", "n2"))
        shown: Sequence[object] = (
            self.authentication.problem,
            vars(self.authentication),
            retry,
            retry.encode(),
            [getattr(n, name) for n in self.authentication._nonces.values() for name in n.__slots__],
        )
        self.assertNotIn(PASSWORD, repr(shown))
