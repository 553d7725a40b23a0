"""Tests of L{skypetrunk.wire.request_response}."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.headers import Via, parseVia
from skypetrunk.wire.message import Header, Message, Request, Response, parseMessage, responseTo, validate
from tests.wire.strategies import messages
from tests.wire.test_message import INVITE, request, wire


class Building(SynchronousTestCase):
    """Messages that we make, and changed copies."""

    def test_same(self) -> None:
        """A message that was built equals the one that was received, and is as frozen."""
        headers = tuple([Header(header.name, header.value) for header in request(wire(INVITE)).headers])
        built = Request("INVITE", "sip:bob@biloxi.example", headers, b"body")
        self.assertEqual(built, parseMessage(wire(INVITE)))
        self.assertEqual(hash(built), hash(parseMessage(wire(INVITE))))
        validate(built)
        self.assertEqual(built.encode(), wire(INVITE))
        self.assertRaises(FrozenInstanceError, setattr, built, "body", b"")

    def test_unvalidated(self) -> None:
        """What is built may be incomplete; its typed properties say so."""
        bare = Request("INVITE", "sip:h", ())
        for name in ("fromAddress", "toAddress", "cseq", "callID", "topVia"):
            self.assertRaises(MalformedMessage, getattr, bare, name)
        self.assertEqual((bare.vias, bare.contacts, bare.maxForwards), ((), (), None))
        self.assertRaises(MalformedMessage, validate, bare)
        self.assertRaises(MalformedMessage, getattr, Request("INVITE", "nothing", ()), "requestURI")

    def test_injection(self) -> None:
        """CR, LF, and all that would change the line around it, raise ValueError wherever they are given."""
        message = request(wire(INVITE))
        for value in ("a\r\nX: y", "a\n", "\r", "\ud800"):
            for add in (message.withHeader, message.addingHeader, message.prependingHeader):
                self.assertRaises(ValueError, add, "X", value)
            self.assertRaises(ValueError, Request, "INVITE", "sip:h", (Header("X", value),))
            self.assertRaises(ValueError, Request, "INVITE", f"sip:{value}", ())
            self.assertRaises(ValueError, Request, "INVITE", "sip:h", (), b"", value)
            self.assertRaises(ValueError, Response, 200, value, ())
            self.assertRaises(ValueError, Response, 200, "OK", (("X", value),))
            self.assertRaises(ValueError, message.withBody, b"", value)
            self.assertRaises(ValueError, responseTo, message, 200, value)
            self.assertRaises(ValueError, responseTo, message, 200, None, [("X", value)])
            self.assertRaises(ValueError, responseTo, message, 200, toTag=value)
        for name in ("", "X:", "X\r\nY", "X ", "ä", "X\x00"):
            self.assertRaises(ValueError, message.withHeader, name, "a")
            self.assertRaises(ValueError, Response, 200, "OK", (Header(name, "a"),))
        for method in ("", "A B", "A\r\n", "SIP/2.0"):
            self.assertRaises(ValueError, Request, method, "sip:h", ())
        for uri in ("", "sip:h SIP/2.0", "sip:\t"):
            self.assertRaises(ValueError, Request, "INVITE", uri, ())
        for status in (99, 700):
            self.assertRaises(ValueError, Response, status, "", ())
        self.assertRaises(ValueError, responseTo, message, 200, toTag="a;b")

    def test_withHeader(self) -> None:
        """Exactly one line, where the first one was or last; compact and long are one name."""
        message = request(wire(INVITE))
        changed = message.withHeader("Contact", "<sip:x@y>")
        self.assertEqual(changed.values("m"), ("<sip:x@y>",))
        self.assertEqual(changed.headers[8], Header("Contact", "<sip:x@y>"))
        self.assertEqual([str(contact) for contact in changed.contacts], ["<sip:x@y>"])
        self.assertEqual(len(message.contacts), 3)
        self.assertEqual(message.withHeader("X", "y").headers[-1], Header("X", "y"))

    def test_addedAndRemoved(self) -> None:
        """Lines at either end, and none of a name."""
        message = request(wire(INVITE))
        self.assertEqual(message.addingHeader("Via", "x").headers, (*message.headers, ("Via", "x")))
        self.assertEqual(message.prependingHeader("Via", "x").headers, (("Via", "x"), *message.headers))
        without = message.withoutHeader("m")
        self.assertEqual((without.contacts, without.header("Contact")), ((), None))
        self.assertEqual(len(without.headers), len(message.headers) - 2)

    def test_withTopVia(self) -> None:
        """Only the first value changes, also on a line of several."""
        message = request(wire(INVITE)).withTopVia(Via("TLS", "x"))
        self.assertEqual([via.host for via in message.vias], ["x", "a.example", "2001:db8::1"])
        one = Response(200, "OK", (Header("v", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b"),))
        self.assertEqual(
            one.withTopVia(parseVia("SIP/2.0/UDP c")).header("Via"), "SIP/2.0/UDP c, SIP/2.0/UDP b"
        )
        self.assertRaises(ValueError, Response(200, "OK", ()).withTopVia, Via("UDP", "h"))

    def test_copiesReadAnew(self) -> None:
        """A changed header is read anew, whatever was read before; the others are what they were."""
        message = request(wire(INVITE))
        self.typed(message)
        changes = {
            "v": "SIP/2.0/UDP c;branch=2",
            "FROM": "<sip:c@d>;tag=2",
            "t": "<sip:d@e>;tag=3",
            "i": "other",
            "CSeq": "9 INVITE",
            "Max-Forwards": "7",
            "m": "<sip:f@g>",
            "Route": "<sip:r>",
            "Record-Route": "<sip:s>",
        }
        for name, value in changes.items():
            for change in (message.withHeader, message.addingHeader, message.prependingHeader):
                copy = change(name, value)
                fresh = Request(copy.method, copy.uri, copy.headers, copy.body)
                self.assertEqual(self.typed(copy), self.typed(fresh), name)
        copy = message.withTopVia(Via("TLS", "x", 5061, parseVia("SIP/2.0/UDP c;branch=2").params))
        fresh = Request(copy.method, copy.uri, copy.headers)
        self.assertEqual(self.typed(copy), self.typed(fresh))
        for name, _ in copy.headers:
            self.assertEqual(copy.values(name), fresh.values(name))

    def test_withURI(self) -> None:
        """Another Request-URI, and its value; what it was received as is remembered through every change."""
        old = request(wire(INVITE))
        self.assertEqual(old.uriReceived, "sip:bob@biloxi.example")
        new = old.withURI("sip:carol@chicago.example")
        self.assertEqual(str(new.requestURI), "sip:carol@chicago.example")
        self.assertEqual((new.headers, new.body, new.callID), (old.headers, old.body, old.callID))
        self.assertEqual(new.uriReceived, new.uri)
        kept = new.receivedAs(old.uri).withHeader("X", "1").withTopVia(old.topVia).withBody(b"1", "a/b")
        self.assertEqual((kept.uri, kept.uriReceived), (new.uri, old.uri))
        self.assertEqual(new.receivedAs(old.uri), new)
        for wrong in ("", "sip:a b", "sip:a\r\nX: 1", "sip:\ud800"):
            self.assertRaises(ValueError, old.withURI, wrong)

    def test_withBody(self) -> None:
        """Body, type and length change together."""
        message = request(wire(INVITE))
        changed = parseMessage(message.withBody(b"\xff\x00", "x/y").encode(), stream=True)
        self.assertEqual((changed.body, changed.contentType), (b"\xff\x00", "x/y"))
        self.assertEqual(changed.headers[-1], Header("Content-Length", "2"))
        self.assertIsNone(message.withBody(b"").contentType)

    def test_contentLength(self) -> None:
        """Always right: in its place under its name, last without one, never twice."""
        for headers, wanted in (
            ((), b"Content-Length: 2\r\n\r\nab"),
            ((Header("X", "y"),), b"X: y\r\nContent-Length: 2\r\n\r\nab"),
            ((Header("l", "9"), Header("X", "y")), b"l: 2\r\nX: y\r\n\r\nab"),
            ((Header("L", "9"), Header("content-LENGTH", "7")), b"L: 2\r\n\r\nab"),
        ):
            written = Response(200, "OK", headers, b"ab").encode()
            self.assertEqual(written, b"SIP/2.0 200 OK\r\n" + wanted)

    def test_repr(self) -> None:
        """Neither headers (credentials) nor bodies (SRTP keys) nor a password in the URI are shown."""
        built = Request("INVITE", "sip:u:marker@h", (Header("Authorization", "marker"),), b"marker")
        self.assertEqual(repr(built), "<Request INVITE <SIPURI sip:u:hidden@h>>")
        self.assertNotIn("marker", repr(Request("INVITE", "marker", ())))
        response = Response(200, "OK", (Header("X", "marker"),), b"marker")
        self.assertEqual(repr(response), "<Response 'SIP/2.0 200 OK'>")

    @settings(max_examples=50)
    @given(messages())
    def test_writtenAndRead(self, message: Request | Response) -> None:
        """Any message that can be built is read as it was, from a datagram and from a stream."""
        for stream in (False, True):
            read = parseMessage(message.encode(), stream=stream)
            self.assertEqual(read.headers, (*message.headers, ("Content-Length", str(len(message.body)))))
            self.assertEqual(read.withoutHeader("l"), message)
        self.assertEqual(self.typed(read), self.typed(message))
        self.assertEqual(read.encode(), message.encode())

    def typed(self, message: Message) -> list[object]:
        """What the typed properties show."""
        names = "vias fromAddress toAddress cseq callID contacts routes recordRoutes maxForwards contentType"
        return [getattr(message, name) for name in names.split()]
