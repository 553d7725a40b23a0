"""Tests of L{skypetrunk.wire.sdp}."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.sdes import UnsupportedCrypto, parseCrypto, usableCrypto
from skypetrunk.wire.sdp import (
    DIRECTIONS,
    MAX_LINES,
    MAX_MEDIA,
    MediaDescription,
    Origin,
    SessionDescription,
    parseSDP,
)
from tests.wire.vectors import checkAgainst, readJSON, readLines

EXCEPTIONS = readJSON("sdp/exceptions.json")
SMALL = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _asVector(media: MediaDescription) -> dict[str, Any]:
    crypto = []
    for value in media.crypto:
        try:
            line = parseCrypto(value)
            crypto.append({"tag": line.tag, "suite": line.suite})
        except UnsupportedCrypto as error:
            crypto.append({"tag": error.tag, "suite": error.suite})
    security = "none"
    if not media.port:
        security = "off"
    elif media.protocol.startswith("UDP/TLS/"):
        security = "dtls-srtp"
    elif crypto:
        security = "sdes" if media.isSecure else "opportunistic"
    return {
        "type": media.kind,
        "port": media.port,
        "proto": media.protocol,
        "formats": list(media.formats),
        "connection": media.address,
        "direction": media.direction,
        "rtpmap": media.rtpmaps,
        "fmtp": media.fmtps,
        "telephone_event": list(media.telephoneEvents),
        "ptime": media.ptime,
        "rtcp_port": media.rtcpPort,
        "rtcp_mux": media.has("rtcp-mux"),
        "crypto": crypto,
        "security": security,
    }


def _toPlain(session: SessionDescription) -> SessionDescription:
    return replace(
        session,
        media=tuple(
            replace(m.withoutAttributes("crypto", "3ge2ae"), protocol=m.protocol.replace("/SAVP", "/AVP"))
            for m in session.media
        ),
    )


def _toSecure(session: SessionDescription, lines: list[str]) -> SessionDescription:
    added = tuple(("crypto", line.removeprefix("a=crypto:")) for line in lines)
    return replace(
        session,
        media=tuple(
            replace(m, protocol=m.protocol.replace("RTP/AVP", "RTP/SAVP")).addingAttributes(*added)
            if m.kind == "audio" and m.port
            else m
            for m in session.media
        ),
    )


class VectorTests(SynchronousTestCase):
    """The bodies of C{sdp/}."""

    def test_userAgents(self) -> None:
        """
        The bodies of many user agents are read as wanted, written as they were, and turned
        to plain and to secure media without a change elsewhere.
        """

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in readLines("sdp/user_agents.jsonl"):
                name, octets = vector["id"], _octets(vector["sdp"])
                session, wanted = parseSDP(octets), vector["expect"]
                origin = session.origin
                got = {
                    "origin": {
                        "user": origin.username,
                        "id": origin.sessionID,
                        "version": origin.version,
                        "address": origin.address,
                    },
                    "session_name": session.sessionName,
                    "media": [_asVector(media) for media in session.media],
                }
                for media, read in zip(wanted["media"], session.media, strict=True):
                    # Taken by who refuses media or RTCP in clear.
                    accept = media.pop("accept_crypto", None)
                    lines = [line for line in usableCrypto(read.crypto) if not line.negotiated]
                    if accept is not None and accept != {"tag": lines[0].tag, "suite": lines[0].suite}:
                        yield f"{name} crypto", f"{lines} instead of {accept}"
                yield f"{name} values", None if got == wanted else repr((got, wanted))
                yield f"{name} round trip", None if session.encode() == octets else "other octets"
                if "to_plain" in vector:
                    plain = _toPlain(session).encode() == _octets(vector["to_plain"])
                    yield f"{name} to_plain", None if plain else "other octets"
                if "to_secure" in vector:
                    task = vector["to_secure"]
                    secure = _toSecure(parseSDP(_octets(vector[task["from"]])), task["add_lines"])
                    same = secure.encode() == _octets(task["sdp"])
                    yield f"{name} to_secure", None if same else "other octets"

        checkAgainst(self, EXCEPTIONS["user_agents"], results())

    def test_malformed(self) -> None:
        """Malformed offers are refused with a status that answers them."""
        vectors = [v for v in readLines("sdp/offer_answer.jsonl") if v["kind"] == "malformed"]
        self.assertTrue(vectors)
        for vector in vectors:
            error = self.assertRaises(MalformedSDP, parseSDP, _octets(vector["offer"]))
            self.assertIn(error.status, vector["sip_status_in"], vector["id"])

    def test_readable(self) -> None:
        """All other offers and answers are read and written octet for octet."""
        bodies = [
            exchange[role]
            for group in readJSON("sdp/exchanges.json")["exchanges"]
            for exchange in group["exchanges"]
            for role in ("offer", "answer")
        ]
        for vector in readLines("sdp/offer_answer.jsonl"):
            if vector["kind"] != "malformed":
                bodies += [vector[role] for role in ("offer", "answer") if role in vector]
        self.assertGreater(len(bodies), 80)
        for body in bodies:
            self.assertEqual(parseSDP(_octets(body)).encode(), _octets(body))


class ReadingTests(SynchronousTestCase):
    """Single rules of reading."""

    def media(self, *lines: bytes, session: bytes = SMALL) -> MediaDescription:
        """The stream of a description with more lines at its end."""
        return parseSDP(session + b"".join(line + b"\r\n" for line in lines)).media[0]

    def test_inherited(self) -> None:
        """Address and direction of the session count where the stream has none."""
        session = SMALL.replace(b"t=0 0\r\n", b"t=0 0\r\na=recvonly\r\n")
        self.assertEqual(self.media(session=session).direction, "recvonly")
        self.assertEqual(self.media(b"a=sendonly", session=session).direction, "sendonly")
        self.assertEqual(self.media().direction, "sendrecv")
        media = self.media(b"c=IN IP6 2001:db8::1")
        self.assertEqual((media.address, media.connection), ("2001:db8::1", "2001:db8::1"))
        self.assertEqual((self.media().address, self.media().connection), ("192.0.2.1", None))

    def test_inheritedAnew(self) -> None:
        """A stream put into another session takes over what holds there."""
        media = self.media()
        session = SessionDescription(
            Origin("-", "1", "1", "192.0.2.9"),
            connection="192.0.2.9",
            media=(media,),
            attributes=(("inactive", None),),
        )
        self.assertEqual((session.media[0].address, session.media[0].direction), ("192.0.2.9", "inactive"))
        self.assertEqual((media.address, media.direction), ("192.0.2.1", "sendrecv"))

    def test_rtcp(self) -> None:
        """RTCP goes to the next port unless C{a=rtcp} says otherwise (RFC 3605)."""
        self.assertEqual((self.media().rtcpPort, self.media().rtcpAddress), (4001, "192.0.2.1"))
        self.assertEqual(self.media(b"a=rtcp:53020").rtcpPort, 53020)
        media = self.media(b"a=rtcp:53020 IN IP6 2001:db8::2")
        self.assertEqual((media.rtcpPort, media.rtcpAddress), (53020, "2001:db8::2"))
        for broken in (b"a=rtcp", b"a=rtcp:", b"a=rtcp:x", b"a=rtcp:0", b"a=rtcp:99999", b"a=rtcp: "):
            self.assertEqual(self.media(broken).rtcpPort, 4001, broken)
        self.assertIsNone(self.media(session=SMALL.replace(b"4000", b"65535")).rtcpPort)

    def test_hold(self) -> None:
        """C{c=0.0.0.0} is hold (RFC 3264 section 8.4)."""
        self.assertTrue(self.media(b"c=IN IP4 0.0.0.0").isHold)
        self.assertFalse(self.media().isHold)

    def test_ports(self) -> None:
        """A port count is kept, impossible ports are refused."""
        media = parseSDP(SMALL.replace(b"4000", b"4000/2")).media[0]
        self.assertEqual((media.port, media.portCount), (4000, 2))
        for port in (b"65536", b"-1", b"x", b"", b"4000/", b"4000/0", b"1e3", b"9" * 5000, "\u0664".encode()):
            self.assertRaises(MalformedSDP, parseSDP, SMALL.replace(b"4000", port))

    def test_noAddress(self) -> None:
        """A stream needs an address (RFC 8866 section 5.7) unless it is off."""
        bare = SMALL.replace(b"c=IN IP4 192.0.2.1\r\n", b"")
        self.assertRaises(MalformedSDP, parseSDP, bare)
        self.assertIsNone(parseSDP(bare.replace(b"4000", b"0")).media[0].address)
        self.assertEqual(self.media(b"c=IN IP4 192.0.2.7", session=bare).address, "192.0.2.7")

    def test_refused(self) -> None:
        """What breaks the grammar is refused with 488."""
        for broken in (
            SMALL[5:],
            SMALL.replace(b"v=0", b"v=0 "),
            SMALL.replace(b"v=0\r\n", b"v=0\r\ns=x\r\n"),
            SMALL.replace(b"o=-", b"o=- x"),
            SMALL.replace(b"o=- 1", b"o=- x"),
            SMALL.replace(b"o=- 1 2 IN IP4", b"o=- 1 2 IN IP5"),
            SMALL.replace(b"c=IN IP4", b"c=IP4"),
            SMALL.replace(b"c=IN", b"c=ATM"),
            SMALL.replace(b"s=-", b"s=-\r\ns=-"),
            SMALL.replace(b"s=-", b"x=-"),
            SMALL.replace(b"s=-", b"S=-"),
            SMALL.replace(b"s=-", b"s =-"),
            SMALL.replace(b"s=-", b"s=\0"),
            SMALL.replace(b"s=-", b"s=\rb=1"),
            SMALL.replace(b"t=0", b"\r\nt=0"),
            SMALL + b"s=-\r\n",
            SMALL + b"c=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\n",
            b"m=audio 1 RTP/AVP 0\r\n" + SMALL,
            b"\r\n\r\n",
        ):
            error = self.assertRaises(MalformedSDP, parseSDP, broken)
            self.assertEqual(error.status, 488)

    def test_tolerated(self) -> None:
        """What user agents get wrong without harm is taken, and written as it came."""
        for sloppy in (
            SMALL.replace(b"t=0 0\r\n", b""),
            SMALL.replace(b"s=-\r\n", b""),
            SMALL.replace(b"s=-", b"s="),
            SMALL.replace(b"c=IN IP4", b"c=IN  IP4"),
            SMALL.replace(b"s=-\r\nc=IN IP4 192.0.2.1\r\n", b"c=IN IP4 192.0.2.1\r\ns=-\r\n"),
            SMALL + b"a=sendonly \r\n",
            SMALL + b"a=\r\na=:\r\na=fmtp:\r\n",
            SMALL.replace(b"s=-", b"s=caf\xe9 \xc3\xa9"),
        ):
            self.assertEqual(parseSDP(sloppy).encode(), sloppy)
        self.assertEqual(parseSDP(SMALL + b"a=sendonly \r\n").media[0].direction, "sendonly")
        self.assertEqual(parseSDP(SMALL + b"\r\n\r\n").encode(), SMALL)
        self.assertEqual(parseSDP(SMALL[:-2]).encode(), SMALL)

    def test_limits(self) -> None:
        """Descriptions have limits, and reading up to them is quick."""
        parseSDP(SMALL + b"a=x\r\n" * (MAX_LINES - 6))
        self.assertRaises(MalformedSDP, parseSDP, SMALL + b"a=x\r\n" * (MAX_LINES - 5))
        self.assertRaises(MalformedSDP, parseSDP, SMALL + b"a=x\r\n" * 1000000)
        head, stream = SMALL[: SMALL.index(b"m=")], SMALL[SMALL.index(b"m=") :]
        self.assertEqual(len(parseSDP(head + stream * MAX_MEDIA).media), MAX_MEDIA)
        self.assertRaises(MalformedSDP, parseSDP, head + stream * (MAX_MEDIA + 1))
        self.assertEqual(len(parseSDP(SMALL + b"a=x:" + b" " * 1000000).media), 1)

    def test_helpers(self) -> None:
        """Attributes are found by their names, in order."""
        media = self.media(b"a=x:1", b"a=flag", b"a=x:2:3")
        self.assertEqual((media.all("x"), media.first("x"), media.first("flag")), (("1", "2:3"), "1", ""))
        self.assertEqual((media.all("y"), media.first("y"), media.has("y")), ((), None, False))
        media = self.media(b"a=rtpmap:8 PCMA/8000", b"a=rtpmap:8 other/8000", b"a=ptime:x")
        self.assertEqual((media.rtpmaps, media.ptime), ({"8": "PCMA/8000"}, None))

    def test_hidden(self) -> None:
        """No repr holds an attribute: it may be a key."""
        session = parseSDP(SMALL + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEYKEY\r\n")
        self.assertEqual(session.media[0].crypto, ("1 AES_CM_128_HMAC_SHA1_80 inline:KEYKEY",))
        self.assertNotIn("KEY", f"{session!r}{session}{session.media!r}{session.media[0]}")


class WritingTests(SynchronousTestCase):
    """Changed descriptions."""

    def test_own(self) -> None:
        """A description made from values has the order of RFC 8866."""
        session = SessionDescription(
            origin=Origin("-", "7", "8", "2001:db8::1"),
            connection="2001:db8::1",
            bandwidths=("AS:80",),
            attributes=(("tool", "x"),),
            media=(
                MediaDescription(
                    kind="audio",
                    port=4000,
                    protocol="RTP/SAVP",
                    formats=("8", "101"),
                    connection="192.0.2.1",
                    attributes=(("rtpmap", "8 PCMA/8000"), ("sendrecv", None)),
                    bandwidths=("TIAS:64000",),
                    others=(("i", "title"),),
                ),
            ),
        )
        self.assertEqual(
            session.encode(),
            b"v=0\r\no=- 7 8 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nb=AS:80\r\nt=0 0\r\n"
            b"a=tool:x\r\n"
            b"m=audio 4000 RTP/SAVP 8 101\r\ni=title\r\nc=IN IP4 192.0.2.1\r\nb=TIAS:64000\r\n"
            b"a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n",
        )
        self.assertEqual(parseSDP(session.encode()), session)

    def test_inPlace(self) -> None:
        """A changed line takes the place of the old one, also in an order that is not the RFC's."""
        octets = SMALL.replace(b"s=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0", b"t=0 0\r\nc=IN IP4 192.0.2.1\r\ns=-")
        octets += b"a=x\r\na=y\r\nb=AS:1\r\na=z\r\n"
        session = parseSDP(octets)
        media = replace(session.media[0].withoutAttributes("x"), connection="192.0.2.8", bandwidths=("AS:2",))
        session = replace(session, connection="192.0.2.9", media=(media,))
        self.assertEqual(
            session.encode(),
            b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\nt=0 0\r\nc=IN IP4 192.0.2.9\r\ns=-\r\n"
            b"m=audio 4000 RTP/AVP 0 8\r\nc=IN IP4 192.0.2.8\r\na=y\r\nb=AS:2\r\na=z\r\n",
        )

    def test_newOrder(self) -> None:
        """Attributes given in a new order are written in it."""
        media = parseSDP(SMALL + b"a=x\r\nb=AS:1\r\na=y\r\n").media[0]
        media = replace(media, attributes=(("y", None), ("x", None)))
        self.assertEqual(media.lines(), ["m=audio 4000 RTP/AVP 0 8", "b=AS:1", "a=y", "a=x"])

    def test_lineEnds(self) -> None:
        """LF alone stays, also where lines change; where one line has CRLF, and in what is new, all have."""
        bare = SMALL.replace(b"\r\n", b"\n")
        session = parseSDP(bare)
        [media] = session.media
        changed = replace(session, media=(media.addingAttributes(("ptime", "20")),))
        self.assertEqual(changed.encode(), bare + b"a=ptime:20\n")
        self.assertEqual(parseSDP(bare.replace(b"\n", b"\r\n", 1)).encode(), SMALL)
        self.assertEqual(parseSDP(bare, keepLines=False).encode(), SMALL)
        self.assertEqual(parseSDP(bare), parseSDP(SMALL))
        for value in ("a\r", "a\nb=AS:1", "a\r\nb=AS:1"):
            self.assertRaises(ValueError, replace(session, sessionName=value).encode)

    def test_noLineEnds(self) -> None:
        """No value can bring a line of its own."""
        session = parseSDP(SMALL)
        for text in ("x\r\na=y", "x\na=y", "x\ra=y"):
            self.assertRaises(ValueError, replace(session, sessionName=text).encode)
            self.assertRaises(
                ValueError, replace(session, media=(session.media[0].addingAttributes(("x", text)),)).encode
            )


_TOKEN = st.text(alphabet="abcXYZ019-._", min_size=1, max_size=8)
_VALUE = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=12)
_ATTRIBUTES = st.lists(
    st.tuples(_TOKEN, st.none() | _VALUE) | st.sampled_from(DIRECTIONS).map(lambda d: (d, None)), max_size=6
).map(tuple)
_HOST = st.sampled_from(["192.0.2.1", "2001:db8::1", "host.example"])
_MEDIA = st.builds(
    MediaDescription,
    kind=st.sampled_from(["audio", "video"]),
    port=st.integers(0, 65535),
    portCount=st.integers(1, 3),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP"]),
    formats=st.lists(_TOKEN, min_size=1, max_size=4).map(tuple),
    connection=_HOST,
    attributes=_ATTRIBUTES,
    bandwidths=st.lists(_VALUE, max_size=2).map(tuple),
)
_SESSIONS = st.builds(
    SessionDescription,
    origin=st.builds(Origin, _TOKEN, st.just("1"), st.integers(0, 2**70).map(str), _HOST),
    sessionName=st.none() | _VALUE,
    connection=st.none() | _HOST,
    media=st.lists(_MEDIA, max_size=3).map(tuple),
    attributes=_ATTRIBUTES,
    bandwidths=st.lists(_VALUE, max_size=2).map(tuple),
    times=st.lists(_VALUE, max_size=2).map(tuple),
)


class PropertyTests(SynchronousTestCase):
    """For any value and any octets."""

    @given(_SESSIONS)
    def test_roundTrip(self, session: SessionDescription) -> None:
        """What is written is read as the same."""
        self.assertEqual(parseSDP(session.encode()), session)

    @given(st.permutations(SMALL.split(b"\r\n")[2:5]), _SESSIONS)
    def test_changed(self, middle: list[bytes], wanted: SessionDescription) -> None:
        """Whatever a description was read from, it is written with the values it has now."""
        lines = SMALL.split(b"\r\n")
        read = parseSDP(b"\r\n".join([*lines[:2], *middle, *lines[5:]]))
        changed = replace(
            wanted,
            written=read.written,
            media=tuple(replace(m, written=read.media[0].written) for m in wanted.media),
        )
        self.assertEqual(parseSDP(changed.encode()), wanted)

    @given(
        st.lists(st.sampled_from([*SMALL.split(b"\r\n"), b"a=x", b"m=x 1 y z"]), max_size=12),
        st.binary(max_size=9),
    )
    def test_anyOctets(self, lines: list[bytes], tail: bytes) -> None:
        """Any octets are read, and then written so that they read the same; or refused."""
        try:
            session = parseSDP(b"\r\n".join([b"v=0", b"o=- 1 1 IN IP4 0.0.0.0", *lines]) + tail)
        except MalformedSDP:
            return
        self.assertEqual(parseSDP(session.encode()), session)
