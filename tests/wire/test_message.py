"""Tests of L{skypetrunk.wire.message}."""

from __future__ import annotations

import gc
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.headers import STAR, CSeq, parseNameAddr
from skypetrunk.wire.message import (
    Header,
    Request,
    Response,
    parseMessage,
    readHead,
    reasonPhrase,
    responseTo,
    salvage,
    validate,
)
from skypetrunk.wire.uri import SIPURI

INVITE = """INVITE sip:bob@biloxi.example SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bKnashds8;rport
v: SIP/2.0/TCP a.example, SIP/2.0/TLS [2001:db8::1]:5061;branch=x
Max-Forwards: 70
Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>
To: Bob <sip:bob@biloxi.example>
From: "Alice, A." <sip:alice@atlanta.example>;tag=1928301774
Call-ID: a84b4c76e66710@pc33.atlanta.example
CSeq: 314159 INVITE
m: <sip:alice@pc33.atlanta.example>
Contact: "A, B" <sip:a@b>, sip:c@d;q=0.5
Date: Sat, 13 Nov 2010 23:29:00 GMT
Subject: one, two
Allow: INVITE, ACK
ALLOW: BYE
Authorization: Digest username="bob", realm="biloxi"
Content-Type: Application / SDP;x=y
Content-Length: 4

body"""


TO = "To: Bob <sip:bob@biloxi.example>"


def wire(text: str) -> bytes:
    """C{text} with the line ends of the wire."""
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def invite(*changes: tuple[str, str]) -> bytes:
    """L{INVITE} with texts replaced."""
    text = INVITE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return wire(text)


def request(data: bytes) -> Request:
    """C{data} as the request that it must be."""
    message = parseMessage(data)
    assert isinstance(message, Request)
    return message


class Reading(SynchronousTestCase):
    """What a message shows."""

    def test_typed(self) -> None:
        """Each typed property of a request."""
        message = request(wire(INVITE))
        self.assertEqual((message.method, message.uri), ("INVITE", "sip:bob@biloxi.example"))
        self.assertEqual(message.requestURI, SIPURI("sip", "bob", None, "biloxi.example"))
        self.assertEqual([via.transport for via in message.vias], ["UDP", "TCP", "TLS"])
        self.assertEqual(message.topVia.branch, "z9hG4bKnashds8")
        self.assertEqual((message.fromAddress.display, message.fromAddress.tag), ("Alice, A.", "1928301774"))
        self.assertEqual((message.toAddress.display, message.toAddress.tag), ("Bob", None))
        self.assertEqual(message.cseq, CSeq(314159, "INVITE"))
        self.assertEqual(message.callID, "a84b4c76e66710@pc33.atlanta.example")
        self.assertEqual([contact.display for contact in message.contacts], [None, "A, B", None])
        self.assertEqual(
            [str(address) for address in message.recordRoutes], ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
        )
        self.assertEqual(message.routes, ())
        self.assertEqual(message.maxForwards, 70)
        self.assertEqual(message.contentType, "application/sdp")
        self.assertEqual(message.body, b"body")

    def test_response(self) -> None:
        """A response: status, and a reason of any text or none."""
        head = "Via: SIP/2.0/UDP h\nFrom: <sip:a@h>\nTo: <sip:b@h>\ni: x\nCSeq: 1 INVITE\n\n"
        for line, status, reason in (
            ("SIP/2.0 200 OK", 200, "OK"),
            ("SIP/2.0 183 ", 183, ""),
            ("SIP/2.0 699", 699, ""),
            ("sip/2.0 404 нет \udcff %41", 404, "нет \udcff %41"),
        ):
            message = parseMessage(wire(f"{line}\n{head}"))
            assert isinstance(message, Response)
            self.assertEqual((message.status, message.reason), (status, reason))
        self.assertEqual((message.version, message.maxForwards, message.contentType), ("SIP/2.0", None, None))

    def test_cached(self) -> None:
        """A typed property is read once."""
        message = request(wire(INVITE))
        self.assertIs(message.fromAddress, message.fromAddress)
        self.assertIs(message.vias, message.vias)

    def test_header(self) -> None:
        """The first line in any spelling, long or compact."""
        message = request(wire(INVITE))
        for name in ("contact", "m", "M", "CONTACT"):
            self.assertEqual(message.header(name), "<sip:alice@pc33.atlanta.example>")
        self.assertEqual(message.header("call-id"), message.header("i"))
        self.assertIsNone(message.header("X-None"))

    def test_values(self) -> None:
        """Lists are split where the grammar has a list, all lines in order (RFC 3261 section 7.3.1)."""
        message = request(wire(INVITE))
        self.assertEqual(message.values("allow"), ("INVITE", "ACK", "BYE"))
        self.assertEqual(len(message.values("Via")), 3)
        for name, value in (
            ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
            ("s", "one, two"),
            ("Authorization", 'Digest username="bob", realm="biloxi"'),
        ):
            self.assertEqual(message.values(name), (value,))
        self.assertEqual(message.values("X-None"), ())

    def test_folding(self) -> None:
        """A fold is one space, wherever it stands (RFC 3261 section 7.3.1)."""
        folded = invite(
            ("Subject: one, two", "Subject:\n  one,\n\t \n \ttwo"),
            ("CSeq: 314159 INVITE", "CSeq:\n 314159\n INVITE"),
            ("Call-ID: a84", "Call-ID\t :\n a84"),
        )
        message = request(folded)
        self.assertEqual(message.header("Subject"), "one, two")
        self.assertEqual(message.cseq.number, 314159)
        self.assertEqual(message.callID, "a84b4c76e66710@pc33.atlanta.example")

    def test_exact(self) -> None:
        """What was not folded is written as it came: order, spelling, octets that are no UTF-8."""
        for data in (wire(INVITE), invite(("one, two", "\udcff\udcc3 ä \x85 \u2028 \x00 x"))):
            self.assertEqual(parseMessage(data).encode(), data)

    def test_whiteSpace(self) -> None:
        """White space around names and values is not written again; unknown headers are as others."""
        odd = invite(
            ("Subject: one, two", "Subject:one, two"),
            ("Max-Forwards: 70", "Max-Forwards :\t70 "),
            ("Date: ", "Date:   "),
            ("Allow: INVITE, ACK", "Allow: INVITE, ACK\t"),
            ("ALLOW: BYE", "X-Odd: a\nx-odd:b: c \nX-None:\nALLOW: BYE"),
        )
        even = invite(("ALLOW: BYE", "X-Odd: a\nx-odd: b: c\nX-None: \nALLOW: BYE"))
        message = request(odd)
        self.assertEqual(message.encode(), even)
        self.assertEqual(message, request(even))
        self.assertEqual(message.values("X-ODD"), ("a", "b: c"))
        self.assertEqual((message.header("Subject"), message.header("x-none")), ("one, two", ""))
        self.assertIn(Header("x-odd", "b: c"), message.headers)
        self.assertEqual(message.withHeader("X-Odd", " d").values("x-odd"), (" d",))

    def test_toRequestURI(self) -> None:
        """A To that is the Request-URI in brackets is read as any other (RFC 3261 section 8.1.1.1)."""
        for uri in ("sip:bob@[::1]:5062;lr?a=b", "sips:h", "tel:+1-2;x=y", "urn:service:sos"):
            for end in ("", ";tag=1"):
                new = f"<{uri}>{end}"
                message = request(invite(("sip:bob@biloxi.example SIP", f"{uri} SIP"), (TO, f"To: {new}")))
                self.assertEqual(message.toAddress, parseNameAddr(new))
        error = self.assertRaises(
            MalformedMessage, parseMessage, invite(("bob@biloxi.example SIP", ": SIP"), (TO, "To: <sip::>"))
        )
        self.assertIn("Request-URI", str(error))

    def test_sameContact(self) -> None:
        """A Contact that comes again, or is too long to be remembered, is read as the first one was."""
        lines = "m: <sip:alice@pc33.atlanta.example>\n", 'Contact: "A, B" <sip:a@b>, sip:c@d;q=0.5\n'
        for user in ("a", "b" * 300, "a", "\udcff"):
            text = f"<sip:{user}@h>;q=1"
            message = request(invite((lines[0], ""), (lines[1], f"Contact: {text}\n")))
            self.assertEqual(message.contacts, (parseNameAddr(text),))
        for _ in range(2):
            self.assertRaises(
                MalformedMessage, parseMessage, invite((lines[0], ""), (lines[1], "Contact: <sip:@>\n"))
            )

    def test_star(self) -> None:
        """C{Contact: *}."""
        data = invite(("m: <sip:alice@pc33.atlanta.example>\n", ""), ('"A, B" <sip:a@b>, sip:c@d;q=0.5', "*"))
        self.assertIs(parseMessage(data).contacts, STAR)

    def test_leadingLines(self) -> None:
        """CRLF before the start line is ignored (RFC 3261 section 7.5)."""
        self.assertEqual(parseMessage(b"\r\n\r\n\r\n" + wire(INVITE)), parseMessage(wire(INVITE)))

    def test_body(self) -> None:
        """Content-Length cuts a datagram; without it the rest is the body, except on a stream (20.14)."""
        self.assertEqual(parseMessage(wire(INVITE) + b"more").body, b"body")
        without = invite(("Content-Length: 4\n", ""))
        self.assertEqual(parseMessage(without + b"\x00\r\n\xff").body, b"body\x00\r\n\xff")
        self.assertRaises(MalformedMessage, parseMessage, without, stream=True)
        self.assertEqual(parseMessage(wire(INVITE), stream=True).body, b"body")


class Refusing(SynchronousTestCase):
    """What is no message, and how that is answered."""

    def refused(self, data: bytes, status: int = 400) -> MalformedMessage:
        """C{data} is refused aloud with C{status}, and an answer can be built."""
        error = self.assertRaises(MalformedMessage, parseMessage, data)
        assert isinstance(error, MalformedMessage)
        self.assertEqual((error.status, error.silent), (status, False), str(error))
        assert error.message is not None
        answer = responseTo(error.message, status, toTag="t")
        self.assertEqual(answer.encode()[:11], b"SIP/2.0 %d" % status)
        self.assertTrue(answer.header("Via"))
        return error

    def test_startLine(self) -> None:
        """One space twice, a method, a URI, a version (RFC 3261 section 7.1, RFC 4475 3.1.2.8 to 10)."""
        good = "INVITE sip:bob@biloxi.example SIP/2.0\n"
        for line in (
            "INVITE  sip:bob@biloxi.example SIP/2.0",
            "INVITE sip:bob@biloxi.example  SIP/2.0",
            "INVITE sip:bob@biloxi.example SIP/2.0 ",
            "INVITE sip:bob@biloxi.example; lr SIP/2.0",
            "INVITE <sip:bob@biloxi.example> SIP/2.0",
            "INVITE sip:bob@biloxi.example SIP/2",
            "INVITE sip:bob@biloxi.example HTTP/1.1",
            "INVITE sip:bob@biloxi.example",
            "INVITE",
            "INVITE SIP/2.0",
            "INVITE nothing SIP/2.0",
        ):
            self.refused(invite((good, line + "\n")))

    def test_version(self) -> None:
        """Another version is 505, whatever else is wrong (RFC 3261 section 21.5.6)."""
        for version in ("SIP/7.0", "sip/3.0", "SIP/2.1"):
            self.refused(invite((" SIP/2.0\n", f" {version}\n")), 505)
            self.refused(invite((" SIP/2.0\n", f" {version}\n"), ("CSeq: ", "CSeq: x")), 505)

    def test_headerLines(self) -> None:
        """Lines that are none, and line breaks that are none."""
        for old, new in (
            ("Subject: one", "Subject one"),
            ("Subject: one", ": one"),
            ("Subject: one", "Sub ject: one"),
            ("Subject: one", "Subject\x00: one"),
            ("Subject: one", "Sübject: one"),
        ):
            error = self.refused(invite((old, new)))
            self.assertNotIn("one", str(error))
        for bad in (b"\n", b"\r", b"\r\r\n", b"\n\r"):
            self.refused(wire(INVITE).replace(b"one, two", b"one" + bad + b"X: two"))

    def test_mandatory(self) -> None:
        """Each mandatory header is missed by name (RFC 3261 section 8.1.1)."""
        for line, name in (
            ("To: Bob <sip:bob@biloxi.example>\n", "to"),
            ('From: "Alice, A." <sip:alice@atlanta.example>;tag=1928301774\n', "from"),
            ("Call-ID: a84b4c76e66710@pc33.atlanta.example\n", "call-id"),
            ("CSeq: 314159 INVITE\n", "cseq"),
        ):
            self.assertIn(f"no {name} header", str(self.refused(invite((line, "")))))
        self.assertIsNone(parseMessage(invite(("Max-Forwards: 70\n", ""))).maxForwards)

    def test_single(self) -> None:
        """A header that may stand once stands once, also in its compact form (RFC 4475 section 3.3.8)."""
        for name, short, value in (
            ("To", "t", "<sip:x@h>"),
            ("From", "f", "<sip:x@h>"),
            ("Call-ID", "i", "x"),
            ("CSeq", "CSEQ", "314159 INVITE"),
            ("Max-Forwards", "max-forwards", "70"),
            ("Content-Type", "c", "x/y"),
            ("Content-Length", "L", "4"),
        ):
            error = self.refused(invite(("Subject: one", f"{short} : {value}\nSubject: one")))
            self.assertIn("more than one", str(error))
            self.assertIn(name.lower(), str(error).lower())

    def test_broken(self) -> None:
        """A header that is read is read when the message comes, and named."""
        for old, new, name in (
            ("CSeq: 314159 INVITE", "CSeq: 314159 ACK", "CSeq"),
            ("CSeq: 314159", "CSeq: x", "CSeq"),
            ("Max-Forwards: 70", "Max-Forwards: 256", "Max-Forwards"),
            ("a.example,", "a.example;;,", "Via"),
            ("SIP/2.0/UDP", "SIP/1.0/UDP", "Via"),
            ('"Alice, A."', "Alice, A.", "From"),
            ("Bob <", '"Bob <', "To"),
            ("Call-ID: ", "Call-ID: x ", "Call-ID"),
            ("sip:c@d;q", "sip:c@d;;q", "contact"),
            ("<sip:p1.example;lr>", "<sip:p1.example;lr", "record-route"),
            ("Subject:", "Route: sip:\nSubject:", "route"),
        ):
            self.assertIn(name, str(self.refused(invite((old, new)))))

    def test_listOfBindings(self) -> None:
        """
        What a registrar lists may be of somebody else, who wrote it wrong: its answer counts, as if it was
        alone; other answers, and the REGISTER itself, do not (RFC 3261 section 10.3).
        """
        response = responseTo(request(invite()), 200, headers=[Header("Contact", "<sip:a b@c>")])
        answered = response.encode()
        with self.assertRaises(MalformedMessage):
            parseMessage(answered)
        register = answered.replace(b" INVITE\r\n", b" REGISTER\r\n")
        self.assertRaises(MalformedMessage, lambda: parseMessage(register).contacts)
        changes = ("INVITE sip", "REGISTER sip"), (" INVITE\n", " REGISTER\n"), ("sip:c@d", "sip:c d")
        self.refused(invite(*changes))

    def test_contentLength(self) -> None:
        """A number that the datagram holds (RFC 3261 section 18.3, RFC 4475 sections 3.1.2.2 and 3)."""
        for value in ("5", "-4", "+4", "x", "", "4 4", "4, 4", "0x4", "\u0664", "4294967296", "9" * 5000):
            self.refused(invite(("Content-Length: 4", f"Content-Length: {value}")))
        self.assertEqual(parseMessage(invite(("Content-Length: 4", "l : 0002"))).body, b"bo")

    def test_noEnd(self) -> None:
        """Headers without an empty line."""
        head = invite(("Content-Length: 4\n\nbody", "Content-Length: 0"))
        for end in (b"", b"\r", b"\r\n"):
            self.refused(head + end)

    def test_silent(self) -> None:
        """Responses, ACK, what has no way back, and what is no SIP are dropped (RFC 3261 section 8.1.3.3)."""
        response = invite(("INVITE sip:bob@biloxi.example SIP/2.0", "SIP/2.0 200 OK"), ("314159 INVITE", "x"))
        for data in (
            response,
            invite(("INVITE", "ACK"), ("Call-ID: ", "Call-ID: x ")),
            wire("OPTIONS sip:h SIP/2.0\nCSeq: 1 OPTIONS\n\n"),
            wire("SIP/2.0 99 Low\n\n"),
            wire("SIP/2.0 700 High\n\n"),
            wire("SIP/2.0 4294967301 Big\n\n"),
            wire("SIP/3.0 200 OK\n\n"),
            wire("SIP/x 200 OK\n\n"),
            wire("GET / HTTP/1.1\n\n"),
            b"",
            b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\xff" * 100,
        ):
            error = self.assertRaises(MalformedMessage, parseMessage, data)
            self.assertTrue(error.silent, data)

    @given(st.binary(max_size=200))
    def test_anyOctets(self, data: bytes) -> None:
        """Any octets are refused, or are a message that is written and read again."""
        for octets in (data, b"INVITE sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" + data):
            try:
                message = parseMessage(octets)
            except MalformedMessage:
                continue
            self.assertEqual(parseMessage(message.encode()).body, message.body)

    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """A message with octets changed, cut out or doubled is refused or read, and always answerable."""
        octets = bytearray(wire(INVITE))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(octets) - 1))
            length = data.draw(st.integers(0, 20))
            octets[at : at + length] = data.draw(
                st.one_of(st.binary(max_size=4), st.sampled_from([b"\r\n", b" ", b'"', b"<", b",", b";"]))
            )
        try:
            parseMessage(bytes(octets))
        except MalformedMessage as error:
            if not error.silent:
                assert error.message is not None and error.status is not None
                self.assertIn(b"\r\n\r\n", responseTo(error.message, error.status, toTag="t").encode())

    def test_salvage(self) -> None:
        """What can be answered of an unfinished request."""
        head = wire(INVITE).partition(b"\r\nMax")[0]
        saved = salvage(head)
        assert saved is not None
        self.assertEqual((saved.method, len(saved.vias)), ("INVITE", 3))
        for data in (b"", b"INVITE sip:h SIP/2.0", b"SIP/2.0 200 OK\r\nVia: x", b"\xff"):
            self.assertIsNone(salvage(data))

    def test_lineBreakInDisplayName(self) -> None:
        """A bare CR or LF, also within quotes where white space is unusual, is answered with 400."""
        for value in ('"a\nb" <sip:x>', '"a\rb"   <sip:x> ; y = z', '"\n"\t<sip:x>;tag=1'):
            for name in ("To", "From", "Contact"):
                data = wire(INVITE).replace(b"\r\nMax", f"\r\n{name}: {value}\r\nMax".encode(), 1)
                error = self.assertRaises(MalformedMessage, parseMessage, data)
                assert error.message is not None and error.status == 400
                self.assertEqual(responseTo(error.message, 400, toTag="t").status, 400)
        self.assertRaises(MalformedMessage, parseNameAddr, '"a\rb"   <sip:x> ; y = z')

    def test_emptyLineThenFold(self) -> None:
        """A line that goes on where there is none before it is no header, and nothing worse."""
        head = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\n x\r\nA: b"
        message, problem = readHead(head)
        self.assertEqual((message.header("A"), problem), ("b", "line 3 is no header"))


class Answering(SynchronousTestCase):
    """L{responseTo} (RFC 3261 section 8.2.6)."""

    def test_copied(self) -> None:
        """Via, From, To, Call-ID and CSeq as they stand, and nothing else."""
        response = responseTo(request(wire(INVITE)), 486)
        self.assertEqual((response.status, response.reason), (486, "Busy Here"))
        names = [header.name for header in response.headers]
        self.assertEqual(names, ["Via", "v", "To", "From", "Call-ID", "CSeq"])
        self.assertEqual(response.vias, request(wire(INVITE)).vias)
        validate(response)

    def test_toTag(self) -> None:
        """Added to To in its own spelling, unless it has one, or cannot be read."""
        message = request(wire(INVITE))
        self.assertEqual(
            responseTo(message, 180, toTag="x").header("To"), "Bob <sip:bob@biloxi.example>;tag=x"
        )
        self.assertEqual(responseTo(message, 180, toTag="x").toAddress.tag, "x")
        for to in ("<sip:b@h>;tag=own", '"open <sip:b@h>'):
            self.assertEqual(responseTo(message.withHeader("To", to), 200, toTag="x").header("To"), to)
        plain = message.withHeader("t", "sip:b@h;x=y")
        self.assertEqual(responseTo(plain, 200, toTag="x").toAddress.tag, "x")

    def test_more(self) -> None:
        """Record-Route when asked for, Timestamp in 100 only, own headers and body last."""
        message = request(wire(INVITE)).addingHeader("Timestamp", "54")
        response = responseTo(message, 200, "Fine", [("Contact", "<sip:x@y>")], b"b", "t", recordRoute=True)
        self.assertEqual(response.recordRoutes, message.recordRoutes)
        self.assertEqual((response.reason, response.body), ("Fine", b"b"))
        self.assertEqual(response.headers[-1], Header("Contact", "<sip:x@y>"))
        self.assertIsNone(response.header("Timestamp"))
        self.assertEqual(responseTo(message, 100).header("Timestamp"), "54")

    def test_bare(self) -> None:
        """A request that lacks everything can be answered still (RFC 4475 section 3.3.1)."""
        self.assertEqual(responseTo(Request("INVITE", "sip:h", ()), 400, toTag="t").headers, ())

    def test_reasonPhrase(self) -> None:
        """Registered codes have their phrase, others that of their class."""
        for status, phrase in ((200, "OK"), (487, "Request Terminated"), (499, "Request Failure")):
            self.assertEqual(reasonPhrase(status), phrase)
        self.assertTrue(all(reasonPhrase(status) for status in range(100, 700)))


class Linear(SynchronousTestCase):
    """Time grows with the input, not with its square, however hostile it is."""

    def test_hostile(self) -> None:
        """
        64 KiB of what parsers stumble over, in each header that is read: a few milliseconds, where
        going over it once for each octet would take many seconds.
        """
        patterns = ', " ; < > ( [ / : @ = % %4 \\ \\" ;a ;a= ;a=" a=b; a, ", "a <a <> ?a=b& \x00 ä 0'.split(
            " "
        ) + [" ", "\t", " / ", "\r\n ", "\r\n \r\n\t", "\r\na:b", "\r\nv:", "\r\nm: <sip:h>", "\r\nx"]
        frames = (
            ("From: <sip:a@h>", "From: {}"),
            ("From: <sip:a@h>", "From: <sip:a@h>{}"),
            ("From: <sip:a@h>", 'From: "{}'),
            ("From: <sip:a@h>", "From: <sip:{}@h>"),
            ("From: <sip:a@h>", "From: sip:{}"),
            ("Via: ", "Via: {}"),
            ("Via: SIP/2.0/UDP h", "Via: SIP/2.0/UDP h{}"),
            ("Contact: ", "Contact: {}"),
            ("Contact: <sip:a@h>", "Contact: <sip:a@h>,{}"),
            ("CSeq: ", "CSeq: {}"),
            ("sip:h ", "sip:{} "),
            ("Subject: ", "Subject: {}"),
            ("Subject", "{}Subject"),
            ("Call-ID: ", "Call-ID: {}"),
            ("Content-Length: ", "Content-Length: {}"),
        )
        message = wire(
            "INVITE sip:h SIP/2.0\nVia: SIP/2.0/UDP h\nFrom: <sip:a@h>\nTo: <sip:b@h>\nCall-ID: x\n"
            "CSeq: 1 INVITE\nContact: <sip:a@h>\nSubject: s\nContent-Length: 0\n\n"
        ).decode()
        gc.disable()  # what it costs depends on all that other tests left behind
        self.addCleanup(gc.enable)
        slow = []
        for old, new in frames:
            for pattern in patterns:
                hostile = message.replace(old, new.replace("{}", pattern * (65536 // len(pattern))), 1)
                self.assertGreater(len(hostile), 60000)
                before = process_time()
                try:
                    parseMessage(hostile.encode())
                except MalformedMessage as error:
                    if error.message is not None:
                        responseTo(error.message, 400, toTag="t")
                spent = process_time() - before
                if spent > 0.3:
                    slow.append((new, pattern, spent))
        self.assertEqual(slow, [])
