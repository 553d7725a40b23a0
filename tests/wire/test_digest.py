"""Tests of L{skypetrunk.wire.digest}."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.digest import (
    ALGORITHMS,
    Challenge,
    Credentials,
    chooseChallenge,
    chooseChallenges,
    digestResponse,
    hashedA1,
    makeChallenge,
    parseChallenge,
    parseChallenges,
    parseCredentials,
    parseParameters,
    respond,
    verify,
)
from skypetrunk.wire.secret import Secret
from tests.wire.vectors import checkAgainst, readJSON

VECTORS = readJSON("digest/digest.json")
PASSWORD = Secret("s3cr3t")
CREDENTIALS = (
    'Digest username="u", realm="r", nonce="n", uri="sip:r", response="0", qop=auth, nc=00000001, cnonce="c"'
)


def _value(header: str) -> str:
    return header.partition(": ")[2]


def _ofVector(vector: dict[str, Any]) -> Credentials:
    return Credentials(
        vector["username"],
        vector["realm"],
        vector["nonce"],
        vector["uri"],
        vector.get("response", ""),
        vector["algorithm"],
        vector["qop"],
        vector.get("nc"),
        vector.get("cnonce"),
    )


class VectorTests(SynchronousTestCase):
    """The lists of C{digest/digest.json}."""

    def test_responses(self) -> None:
        """H(A1) and response of each vector; the response is accepted, another one is not."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in VECTORS["vectors"]:
                credentials, password = _ofVector(vector), Secret(vector["password"])
                body = vector.get("body", "").encode()
                a1 = hashedA1(
                    credentials.algorithm,
                    credentials.username,
                    credentials.realm,
                    password,
                    credentials.nonce,
                    credentials.cnonce,
                )
                problem = None if a1 == vector["ha1"] else f"H(A1) {a1}"
                if digestResponse(credentials, password, vector["method"], body) != vector["response"]:
                    problem = "response"
                if not verify(credentials, password, vector["method"], body):
                    problem = "not accepted"
                for other in (
                    replace(credentials, response="0" * len(credentials.response)),
                    replace(credentials, response=""),
                    replace(credentials, username="other"),
                    replace(credentials, uri="sip:other"),
                    replace(credentials, nonce="other"),
                ):
                    if verify(other, password, vector["method"], body):
                        problem = f"accepted: {other}"
                if verify(credentials, Secret("other"), vector["method"], body):
                    problem = "accepted with another password"
                yield vector["id"], problem

        checkAgainst(self, {}, results())

    def test_exchanges(self) -> None:
        """The challenges of many servers are answered as they want it, twice, or not at all."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in VECTORS["exchanges"]:
                lines = [_value(line) for line in vector["challenges"]]
                algorithms = set(ALGORITHMS)
                if "sha512" in vector["id"]:
                    # The vector is about a client that has two of the three algorithms.
                    algorithms -= {"SHA-512-256"}
                challenge = chooseChallenge(parseChallenges(lines), algorithms)
                wanted = None if vector["use"] is None else parseChallenge(lines[vector["use"]])
                problem = None if challenge == wanted else f"answered {challenge}"
                for count, request in enumerate(vector["requests"], 1):
                    assert challenge is not None
                    header = respond(
                        challenge,
                        vector["username"],
                        Secret(vector["password"]),
                        vector["method"],
                        vector["uri"],
                        nonceCount=count,
                        cnonce=request["params"].get("cnonce", "unused"),
                    )
                    if header != _value(request["header"]):
                        problem = header
                    if parseParameters(header.removeprefix("Digest ")) != request["params"]:
                        problem = f"parameters of {header}"
                    if not verify(parseCredentials(header), Secret(vector["password"]), vector["method"]):
                        problem = f"not accepted: {header}"
                yield vector["id"], problem

        checkAgainst(self, {}, results())

    def test_selection(self) -> None:
        """
        Of several challenges the topmost that can be answered is taken, one for each realm
        (RFC 8760 section 2.4).
        """
        for vector in VECTORS["selection"]:
            lines = vector["challenges"]
            wanted = vector["use"]
            wanted = [] if wanted is None else wanted if isinstance(wanted, list) else [wanted]
            chosen = chooseChallenges(parseChallenges(lines), vector["supported"])
            self.assertEqual(chosen, tuple(parseChallenge(lines[index]) for index in wanted), vector["id"])
            if vector["id"] == "stale-true":
                self.assertTrue(chosen[0].stale)

    def test_parsing(self) -> None:
        """Challenges are read, or refused, as given."""
        for vector in VECTORS["challenge_parsing"]:
            text = vector["text"]
            if not vector["ok"]:
                self.assertEqual(parseChallenges([text]), (), text)
                continue
            wanted = vector["params"]
            self.assertEqual(parseParameters(text[len("Digest ") :]), wanted, text)
            challenge = parseChallenge(text)
            assert challenge is not None
            self.assertEqual((challenge.realm, challenge.nonce), (wanted["realm"], wanted["nonce"]))
            self.assertEqual(challenge.algorithm, wanted.get("algorithm"))
            self.assertEqual(challenge.opaque, wanted.get("opaque"))
            self.assertEqual(challenge.domain, wanted.get("domain"))
            self.assertFalse(challenge.stale)

    def test_authenticationInfo(self) -> None:
        """A server proves that it knows the password too (RFC 7616 section 3.5)."""
        for vector in VECTORS["authentication_info"]:
            parameters = parseParameters(_value(vector["header"]))
            self.assertEqual(parameters["nextnonce"], "n2")
            proof = digestResponse(_ofVector(vector), Secret(vector["password"]), "")
            self.assertEqual((parameters["rspauth"], vector["rspauth"]), (proof, proof))


class ChallengeTests(SynchronousTestCase):
    """Challenges beyond the vectors."""

    def test_made(self) -> None:
        """A challenge that we make is read with its values."""
        text = makeChallenge('a "realm"\\', "n,1=", "SHA-256", "auth", stale=True, opaque="")
        self.assertEqual(
            text,
            'Digest realm="a \\"realm\\"\\\\", nonce="n,1=", opaque="", stale=true, algorithm=SHA-256, '
            'qop="auth"',
        )
        self.assertEqual(
            parseChallenge(text), Challenge('a "realm"\\', "n,1=", "SHA-256", ("auth",), "", True)
        )
        self.assertEqual(makeChallenge("r", "n", None, None), 'Digest realm="r", nonce="n"')

    def test_order(self) -> None:
        """The server's order counts; policy can forbid an algorithm."""
        one, two = Challenge("r", "1", "MD5", ("auth",)), Challenge("r", "2", "SHA-256", ("auth",))
        self.assertIs(chooseChallenge([one, two]), one)
        self.assertIs(chooseChallenge([one, two], {"SHA-256"}), two)
        self.assertIsNone(chooseChallenge([]))

    def test_unusable(self) -> None:
        """A challenge that cannot be answered is not taken, and not answered either."""
        for challenge in (Challenge("r", "n", "SHA-1"), Challenge("r", "n", "MD5", ("auth-conf",))):
            self.assertIsNone(chooseChallenge([challenge]))
            self.assertRaises(
                ValueError, respond, challenge, "u", PASSWORD, "INVITE", "sip:r", nonceCount=1, cnonce="c"
            )
        # RFC 7616 section 3.4: no cnonce without qop, so no session key.
        self.assertIsNone(chooseChallenge([Challenge("r", "n", "MD5-sess")]))

    def test_authInt(self) -> None:
        """auth is preferred; where only auth-int is offered, the body counts."""
        both = Challenge("r", "n", None, ("auth-int", "auth"))
        header = respond(both, "u", PASSWORD, "INVITE", "sip:r", nonceCount=1, cnonce="c", body=b"x")
        self.assertIn("qop=auth,", header)
        header = respond(
            replace(both, qop=("auth-int",)),
            "u",
            PASSWORD,
            "INVITE",
            "sip:r",
            nonceCount=17,
            cnonce="c",
            body=b"x",
        )
        self.assertIn("qop=auth-int, nc=00000011,", header)
        credentials = parseCredentials(header)
        self.assertTrue(verify(credentials, PASSWORD, "INVITE", b"x"))
        self.assertFalse(verify(credentials, PASSWORD, "INVITE", b"y"))

    def test_brokenBesideGood(self) -> None:
        """A broken challenge does not hide a good one."""
        good = 'Digest realm="r", nonce="n"'
        self.assertEqual(
            parseChallenges(['Digest realm="r', "Digest", "Basic x", good]), (Challenge("r", "n"),)
        )

    def test_notDigest(self) -> None:
        """Another scheme is no error, and a name that begins with Digest is another scheme."""
        self.assertIsNone(parseChallenge('Basic realm="r"'))
        self.assertIsNone(parseChallenge('Digestive realm="r", nonce="n"'))

    def test_endless(self) -> None:
        """A megabyte of anything is refused as quickly as a line."""
        for filler in ('"', "\\", '\\"', "a", "a=", 'a="', " ", ",", '"",', 'a="b" '):
            text = 'Digest realm="' + filler * 200000 + "\0"
            self.assertRaises(MalformedMessage, parseCredentials, text)


class CredentialsTests(SynchronousTestCase):
    """Credentials beyond the vectors."""

    def test_roundTrip(self) -> None:
        """Credentials are written as they were read."""
        self.assertEqual(
            parseCredentials(CREDENTIALS).encode(),
            'Digest username="u", realm="r", nonce="n", uri="sip:r", response="0", qop=auth, nc=00000001, '
            'cnonce="c"',
        )

    def test_malformed(self) -> None:
        """What lacks a mandatory parameter, or has a broken one, is refused with 400."""
        for text in (
            "",
            "Basic abc",
            *(
                CREDENTIALS.replace(name, "x" + name)
                for name in ("username", "realm", " nonce", "uri", "response", "nc", "cnonce")
            ),
            CREDENTIALS.replace("00000001", "1"),
            CREDENTIALS.replace("00000001", "0000000g"),
            CREDENTIALS + ' x="',
            CREDENTIALS + ' realm="r"',
            CREDENTIALS + ', realm="r"',
        ):
            error = self.assertRaises(MalformedMessage, parseCredentials, text)
            self.assertEqual(error.status, 400)

    def test_failClosed(self) -> None:
        """What cannot be computed proves nothing."""
        good = parseCredentials(
            respond(
                Challenge("r", "n", None, ("auth",)), "u", PASSWORD, "BYE", "sip:r", nonceCount=1, cnonce="c"
            )
        )
        self.assertTrue(verify(good, PASSWORD, "BYE"))
        self.assertTrue(verify(replace(good, response=good.response.upper()), PASSWORD, "BYE"))
        for bad in (
            replace(good, algorithm="SHA-1"),
            replace(good, algorithm=""),
            replace(good, algorithm="MD5-sess", qop=None, cnonce=None),
            replace(good, qop="auth-conf"),
            replace(good, qop="auth-int"),
            replace(good, qop=None),
            replace(good, nonceCount="00000002"),
            replace(good, cnonce="d"),
            replace(good, response="\udc80"),
            replace(good, username="\ud800"),
        ):
            self.assertFalse(verify(bad, PASSWORD, "BYE"), bad)
        self.assertFalse(verify(good, PASSWORD, "ACK"))

    def test_verifierExplodes(self) -> None:
        """An error within the check is no proof: it comes out as an error, never as C{True}."""

        class Broken(Secret):
            """A secret that cannot be had."""

            def reveal(self) -> str:
                """Fail."""
                raise OSError("gone")

        self.assertRaises(OSError, verify, parseCredentials(CREDENTIALS), Broken("x"), "BYE")

    def test_hidden(self) -> None:
        """Neither password nor response come out of a repr or an error."""
        credentials = replace(parseCredentials(CREDENTIALS), response="6629fae49393a05397450978507c4ef1")
        self.assertNotIn("6629fae4", f"{credentials!r}{credentials}")
        error = self.assertRaises(
            ValueError, digestResponse, replace(credentials, algorithm="x"), PASSWORD, "BYE"
        )
        self.assertNotIn(PASSWORD.reveal(), str(error))

    def test_noLineEnds(self) -> None:
        """No value brings a header line of its own."""
        challenge = Challenge("r", "n", None, ("auth",))
        self.assertRaises(
            ValueError, respond, challenge, "u\r\nX: y", PASSWORD, "BYE", "sip:r", nonceCount=1, cnonce="c"
        )


_TEXT = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=12)


class PropertyTests(SynchronousTestCase):
    """For any value and any text."""

    @given(
        st.builds(
            Challenge,
            realm=_TEXT,
            nonce=_TEXT,
            algorithm=st.none() | st.sampled_from(ALGORITHMS),
            qop=st.sampled_from([("auth",), ("auth-int",), ("auth", "auth-int")]),
            opaque=st.none() | _TEXT,
            stale=st.booleans(),
        ),
        _TEXT,
        _TEXT,
        st.integers(1, 2**32 - 1),
    )
    def test_roundTrip(self, challenge: Challenge, username: str, password: str, count: int) -> None:
        """A challenge is read as it was made, and its answer proves the password."""
        text = makeChallenge(
            challenge.realm,
            challenge.nonce,
            challenge.algorithm,
            ",".join(challenge.qop),
            challenge.stale,
            challenge.opaque,
        )
        self.assertEqual(parseChallenge(text), challenge)
        header = respond(
            challenge,
            username,
            Secret(password),
            "INVITE",
            "sip:a@b",
            nonceCount=count,
            cnonce="c",
            body=b"b",
        )
        credentials = parseCredentials(header)
        self.assertEqual((credentials.username, credentials.realm), (username, challenge.realm))
        self.assertTrue(verify(credentials, Secret(password), "INVITE", b"b"))
        self.assertFalse(verify(credentials, Secret(password + "x"), "INVITE", b"b"))

    @given(st.text(alphabet='ab="\\, \t\r\n\udc80=nonce', max_size=40))
    def test_anyText(self, text: str) -> None:
        """Any text is a list of parameters or refused."""
        try:
            parameters = parseParameters(text)
        except MalformedMessage:
            return
        self.assertTrue(all(name == name.lower() for name in parameters))
