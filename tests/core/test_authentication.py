"""
Tests of L{skypetrunk.core.authentication}: RFC 3261 section 22, RFC 7616, RFC 8760.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.authentication import Authentication
from skypetrunk.testing import MemoryCredentials, countingToken
from skypetrunk.wire.digest import (
    Credentials,
    digestResponse,
    makeChallenge,
    parseChallenge,
    parseCredentials,
    verify,
)
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.secret import Secret
from tests.core.messages import answer, outgoing
from tests.wire.vectors import readJSON

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
            response = response.addingHeader("Proxy-Authenticate" if proxy else "WWW-Authenticate", challenge)
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
        self.assertEqual(retry.withoutHeader("Authorization"), request.withHeader("CSeq", "8 INVITE"))
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

    # RFC 7616 section 3.5

    def proved(self, request: Request, **changes: str) -> bool | None:
        """A 200 to C{request} with the server's proof, changed as told; what is made of it."""
        [credentials] = self.sent(request)
        values = {
            "rspauth": f'"{digestResponse(credentials, Secret(PASSWORD), "")}"',
            "cnonce": f'"{credentials.cnonce}"',
            "nc": str(credentials.nonceCount),
            "qop": "auth",
            **changes,
        }
        info = ", ".join(f"{name}={value}" for name, value in values.items() if value)
        return self.authentication.accepted(request, answer(request, 200, Authentication_Info=info))

    def test_rfc7616_3_5_nextnonce(self) -> None:
        """The next nonce is used from then on, counted from one, by every request."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1", opaque="kept"))
        for number in range(2, 5):
            self.assertTrue(self.proved(retry, nextnonce=f'"n{number}"'))
            retry = self.withHeaders(outgoing("BYE"))
            self.assertEqual(self.counts(retry), [(f"n{number}", "00000001")])
            self.assertEqual(self.sent(retry)[0].opaque, "kept")

    def test_rfc7616_3_5_rspauth(self) -> None:
        """Without proof nothing is said; with a wrong one nothing is taken from the same header."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"))
        self.assertIsNone(self.authentication.accepted(retry, answer(retry, 200)))
        self.assertIsNone(self.proved(retry, rspauth=""))
        self.assertTrue(self.proved(retry))
        for wrong in (
            {"rspauth": f'"{"0" * 32}"'},
            {"rspauth": '"\udcff"'},
            {"nc": "00000002"},
            {"qop": "auth-int"},
            {"qop": "auth-conf"},
        ):
            self.assertIs(self.proved(retry, nextnonce='"stolen"', **wrong), False, wrong)
        again = self.withHeaders(outgoing("BYE"))
        self.assertEqual(self.counts(again), [("n1", "00000002")])

    def test_rfc7616_3_5_not_ours(self) -> None:
        """What answers other credentials, an older nonce, or cannot be read, changes nothing."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"))
        self.assertIsNone(self.proved(retry, cnonce='"other"', nextnonce='"x"'))
        for value in ('nextnonce="', "", "nextnonce", 'nextnonce=""'):
            self.assertIsNone(
                self.authentication.accepted(retry, answer(retry, 200, Authentication_Info=value))
            )
            self.assertIsNone(
                self.authentication.accepted(
                    outgoing(), answer(retry, 200, Authentication_Info='nextnonce="x"')
                )
            )
        info = answer(retry, 200, Proxy_Authentication_Info='nextnonce="x"')
        self.assertIsNone(self.authentication.accepted(retry, info))
        self.assertTrue(self.proved(retry, nextnonce='"n2"'))
        self.assertIsNone(self.proved(retry, nextnonce='"n3"'))
        self.assertEqual(self.counts(self.withHeaders(outgoing("BYE"))), [("n2", "00000001")])

    def test_rfc7615_4_proxy(self) -> None:
        """Proxies have a header of their own; of two realms the one with the cnonce is meant."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"), makeChallenge("two", "m1"), proxy=True)
        _, second = self.sent(retry, "Proxy-Authorization")
        info = f'nextnonce="m2", cnonce="{second.cnonce}"'
        self.authentication.accepted(retry, answer(retry, 200, Proxy_Authentication_Info=info))
        again = self.withHeaders(outgoing("BYE"))
        self.assertEqual(self.counts(again, "Proxy-Authorization"), [("n1", "00000002"), ("m2", "00000001")])

    def test_rfc7616_3_5_late(self) -> None:
        """A next nonce that is too old when it is used gets one more try, also where nobody says stale."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1"))
        self.proved(retry, nextnonce='"n2"')
        retry = self.answered(self.withHeaders(outgoing("BYE")), makeChallenge("one", "n3"))
        self.assertEqual(self.counts(retry), [("n3", "00000001")])
        self.refused(retry, makeChallenge("one", "n4"))

    def test_rfc7616_3_5_auth_int(self) -> None:
        """With auth-int the proof covers the body of the answer."""
        retry = self.answered(outgoing(), makeChallenge("one", "n1", qop="auth-int"))
        [credentials] = self.sent(retry)
        proof = digestResponse(credentials, Secret(PASSWORD), "", b"good")
        for body, right in ((b"good", True), (b"bad", False)):
            response = answer(retry, 200, Authentication_Info=f'rspauth="{proof}"')
            response = response.withBody(body, "text/plain")
            self.assertIs(self.authentication.accepted(retry, response), right)


class VectorTests(SynchronousTestCase):
    """The lists of C{digest/digest.json} that are about who sends the requests."""

    VECTORS: dict[str, list[dict[str, Any]]] = readJSON("digest/digest.json")

    def authentication(self, user: str = "u", password: str = PASSWORD, cnonce: str = "c") -> Authentication:
        """One that knows a password for every realm."""
        return Authentication(MemoryCredentials({"*": (user, password)}), lambda: cnonce)

    def test_selection(self) -> None:
        """What is answered of several challenges, and what follows from a second one (then)."""
        followed = []
        for vector in self.VECTORS["selection"]:
            authentication = self.authentication()
            request = outgoing("REGISTER")
            before = vector.get("previous_attempt_nonce", "old" if "stale" in vector["id"] else None)
            if before is not None:
                first = answer(request, 401, WWW_Authenticate=makeChallenge("r", before))
                retry = authentication.answer(request, first, lambda: 8)
                assert retry is not None
                request = retry
            response = answer(request, 401)
            for line in vector["challenges"]:
                response = response.addingHeader("WWW-Authenticate", line)
            retry = authentication.answer(request, response, lambda: 9)
            if vector["use"] is None:
                self.assertIsNone(retry, vector["id"])
                continue
            if vector["id"] == "same-nonce-again":
                self.assertIn("stop (no loop)", vector["then"])
                self.assertIsNone(retry)
                followed.append(vector["id"])
                continue
            assert retry is not None, vector["id"]
            used = [parseCredentials(value) for value in retry.values("Authorization")]
            lines = vector["use"] if isinstance(vector["use"], list) else [vector["use"]]
            wanted = [parseChallenge(vector["challenges"][line]) for line in lines]
            self.assertEqual(
                [(each.realm, each.nonce, each.algorithm) for each in used],
                [(each.realm, each.nonce, each.algorithm) for each in wanted if each is not None],
                vector["id"],
            )
            for each in used:
                self.assertIn(each.qop, vector.get("qop_choices", ["auth"]))
                self.assertTrue(verify(each, Secret(PASSWORD), "REGISTER"))
            if "then" in vector:
                self.assertIn("retry at once with the new nonce and nc=00000001", vector["then"])
                self.assertEqual(used[0].nonceCount, "00000001")
                followed.append(vector["id"])
        self.assertEqual(followed, [vector["id"] for vector in self.VECTORS["selection"] if "then" in vector])

    def test_authenticationInfo(self) -> None:
        """The server is proved, and the next request uses nonce n2 with nc=00000001."""
        for vector in self.VECTORS["authentication_info"]:
            self.assertEqual(vector["expect"], "server proven; next request uses nonce n2 with nc=00000001")
            authentication = self.authentication(vector["username"], vector["password"], vector["cnonce"])
            request = replace(outgoing("REGISTER"), uri=vector["uri"])
            challenge = makeChallenge(vector["realm"], vector["nonce"], vector["algorithm"], vector["qop"])
            response = answer(request, 401, WWW_Authenticate=challenge)
            retry = authentication.answer(request, response, lambda: 8)
            assert retry is not None
            name, _, value = vector["header"].partition(": ")
            self.assertIs(authentication.accepted(retry, answer(retry, 200).addingHeader(name, value)), True)
            [header] = authentication.headersFor("REGISTER", vector["uri"])
            following = parseCredentials(header.value)
            self.assertEqual((following.nonce, following.nonceCount), ("n2", "00000001"))

    def test_exchanges(self) -> None:
        """Each server's challenge is answered as it wants it, and the next request too."""
        for vector in self.VECTORS["exchanges"]:
            if "sha512" in vector["id"]:
                # About a client that lacks SHA-512-256; the tests of the digest itself run it.
                continue
            cnonces = iter([request["params"].get("cnonce", "unused") for request in vector["requests"]])
            authentication = Authentication(
                MemoryCredentials({"*": (vector["username"], vector["password"])}),
                lambda cnonces=cnonces: next(cnonces),  # type: ignore[misc]
            )
            request = replace(outgoing(vector["method"]), uri=vector["uri"])
            response = answer(request, vector["status"])
            for line in vector["challenges"]:
                response = response.addingHeader(*line.split(": ", 1))
            retry = authentication.answer(request, response, lambda: 8)
            self.assertEqual(retry is None, not vector["requests"], vector["id"])
            if retry is None:
                continue
            first, second = (request["header"].split(": ", 1) for request in vector["requests"])
            self.assertEqual(retry.header(first[0]), first[1], vector["id"])
            [header] = authentication.headersFor(vector["method"], vector["uri"])
            self.assertEqual([header.name, header.value], second, vector["id"])
