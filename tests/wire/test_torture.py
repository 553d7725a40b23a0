"""
The torture messages of RFC 4475, each with its verdict, its fields and what differs on a stream.

What cannot pass is listed with its reason in C{tests/vectors/sip_torture/exceptions.json}: nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import MalformedMessage
from skypetrunk.testing import RecordingChannel, RecordingClientUser, RecordingTransactionUser
from skypetrunk.wire.framing import PING, PONG, StreamFramer
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.headers import NameAddr, Via, parseNameAddr
from skypetrunk.wire.message import Request, Response, parseMessage, responseTo
from skypetrunk.wire.uri import SIPURI, URI, OpaqueURI
from tests.wire.vectors import VECTORS, checkAgainst, readJSON

TORTURE = VECTORS / "sip_torture"
ENTRIES: dict[str, dict[str, Any]] = {
    entry["name"]: entry for entry in readJSON("sip_torture/rfc4475.json")["messages"]
}


def octets(name: str) -> bytes:
    """The message as in the RFC's archive."""
    return (TORTURE / str(ENTRIES[name]["file"])).read_bytes()


def describeURI(uri: URI) -> dict[str, Any]:
    """A URI in the form of the vectors."""
    if isinstance(uri, OpaqueURI):
        return {"raw": str(uri), "scheme": uri.scheme, "opaque": uri.rest}
    assert isinstance(uri, SIPURI)
    described = {
        "raw": str(uri),
        "scheme": uri.scheme,
        "host": uri.host,
        "port": uri.port,
        "params": dict(uri.params),
        "headers": dict(uri.headers),
    }
    if uri.user is not None:
        described["user"] = uri.user
    if uri.password is not None:
        described["password"] = uri.password
    return described


def describeAddress(address: NameAddr) -> dict[str, Any]:
    """An address in the form of the vectors."""
    return {
        "display": address.display,
        "uri": describeURI(address.uri),
        "params": dict(address.params),
    }


def describeVia(via: Via) -> dict[str, Any]:
    """A Via in the form of the vectors."""
    return {
        "protocol": via.protocol,
        "transport": via.transport,
        "host": via.host,
        "port": via.port,
        "params": dict(via.params),
    }


def describeCSeq(value: str) -> dict[str, Any]:
    """A CSeq, whether or not its number is one that we take."""
    number, method = value.split()
    return {"number": int(number), "method": method}


def seen(message: Request | Response, field: str, wanted: Any) -> Any:
    """What C{message} shows for one field of the vectors."""
    match field:
        case "kind":
            return "request" if isinstance(message, Request) else "response"
        case "header_lines":
            return len(message.headers)
        case "request_uri":
            assert isinstance(message, Request)
            return describeURI(message.requestURI)
        case "method" | "version" | "status" | "reason":
            return getattr(message, field)
        case "via":
            return [describeVia(via) for via in message.vias]
        case "from" | "to":
            found = [describeAddress(parseNameAddr(value)) for value in message.values(field)]
            return found if isinstance(wanted, list) else found[0]
        case "contact":
            return [describeAddress(address) for address in message.contacts]
        case "route":
            return [describeAddress(address) for address in message.routes]
        case "record_route":
            return [describeAddress(address) for address in message.recordRoutes]
        case "cseq":
            sequences = [describeCSeq(value) for value in message.values("cseq")]
            return sequences if isinstance(wanted, list) else sequences[0]
        case "other_headers":
            return {header.name: header.value for header in message.headers if header.name in wanted}
    values = list(message.values(field.replace("_", "-")))
    if field in ("accept", "require", "proxy_require", "warning"):
        return ", ".join(values)
    if isinstance(wanted, list):
        return [int(value) for value in values] if isinstance(wanted[0], int) else values
    return int(values[0]) if isinstance(wanted, int) else values[0]


def wrongFields(message: Request | Response, fields: dict[str, Any]) -> str | None:
    """The first field that C{message} shows otherwise than the vectors."""
    for field, wanted in fields.items():
        try:
            found = seen(message, field, wanted)
        except MalformedMessage as e:
            found = e
        if found != wanted:
            return f"{field}: wanted {wanted!r}, seen {found!r}"
    return None


def droppedLater(response: Response) -> str | None:
    """
    What is wrong with the transaction layer's reading of a response that is well formed and not for us
    (RFC 4475 section 3.3.10, RFC 3261 sections 8.1.3.3 and 18.1.2): whether or not a request of ours waits
    for one with its branch.
    """
    clock = Clock()
    via = response.topVia
    assert via.branch is not None
    token = via.branch
    for waiting in (False, True):
        channel = RecordingChannel(clock, localAddress=f"udp:{via.host}:{via.port or 5060}")
        layer, user = Transactions(clock, RecordingTransactionUser(), lambda: token), RecordingClientUser()
        if waiting:
            request = Request("INVITE", "sip:user@example.edu", tuple(response.headers[2:6]))
            layer.sendRequest(request, channel, user)
            # Our branches are unique in a way that RFC 2543's are not.
            response = response.withTopVia(channel.requests[0].topVia)
        layer.messageReceived(response, channel)
        layer.stop()
        if user.events or layer.dropped != 1:
            return f"taken by the transaction layer, with {'one' if waiting else 'no'} request waiting"
    return None


def problem(entry: dict[str, Any]) -> str | None:
    """What is wrong with our reading of one message as a datagram."""
    data = octets(entry["name"])
    fields, statuses = entry["fields"], entry.get("reject_status", [])
    try:
        message = parseMessage(data)
    except MalformedMessage as error:
        if entry["verdict"] == "discard":
            return None if error.silent else "refused aloud"
        if entry["verdict"] == "accept":
            return f"refused: {error}"
        if error.status is None or error.status not in statuses:
            return f"refused with {error.status} instead of {statuses}"
        if error.silent or error.message is None:
            return "refused without an answer"
        responseTo(error.message, error.status, toTag="t").encode()
        return wrongFields(error.message, fields)
    if entry["verdict"] == "discard":
        assert isinstance(message, Response)
        return wrongFields(message, fields) or droppedLater(message)
    if entry["verdict"] == "reject" and not entry.get("lenient_ok"):
        return "taken instead of refused"
    if len(message.body) != entry["body_octets"]:
        return f"a body of {len(message.body)} octets"
    if message.body not in data:
        return "another body"
    again = parseMessage(message.encode(), stream=True)
    return wrongFields(message, fields) or wrongFields(
        again, {field: value for field, value in fields.items() if field != "header_lines"}
    )


class Torture(SynchronousTestCase):
    """RFC 4475 at the parser."""

    def test_octets(self) -> None:
        """The copies are those of the archive, and all 49 (and the filler) are here."""
        self.assertEqual(len(ENTRIES), 50)
        for name, entry in ENTRIES.items():
            self.assertEqual(len(octets(name)), entry["octets"], name)
            self.assertEqual(hashlib.sha256(octets(name)).hexdigest(), entry["sha256"], name)

    def test_verdictsAndFields(self) -> None:
        """Each message gets its verdict, status and fields, whether it is taken, refused or dropped."""
        checkAgainst(
            self,
            readJSON("sip_torture/exceptions.json"),
            [(name, problem(entry)) for name, entry in ENTRIES.items() if entry["verdict"] != "none"],
        )

    def test_filler(self) -> None:
        """C{test.dat} is no message; it is refused like any other octets."""
        error = self.assertRaises(MalformedMessage, parseMessage, octets("test"))
        self.assertTrue(error.silent)

    def test_unescaped(self) -> None:
        """Escapes are decoded once, for comparing only (RFC 4475 sections 3.1.1.3, 3.1.1.4 and 3.1.1.9)."""
        for name in ("esc01", "escnull", "semiuri", "escruri", "regescrt"):
            message = parseMessage(octets(name))
            assert isinstance(message, Request)
            uri, to, caller = message.requestURI, message.toAddress.uri, message.fromAddress.uri
            contacts = [contact.uri for contact in message.contacts]
            assert isinstance(uri, SIPURI) and isinstance(to, SIPURI) and isinstance(caller, SIPURI)
            for what, wanted in ENTRIES[name]["unescaped"].items():
                sip = [contact for contact in contacts if isinstance(contact, SIPURI)]
                found = {
                    "request_uri_user": uri.userUnescaped,
                    "to_user": to.userUnescaped,
                    "from_user": caller.userUnescaped,
                    "contact_users": [contact.userUnescaped for contact in sip],
                    "contact_uri_params": {
                        unescape(known): None if value is None else unescape(value)
                        for known, value in (sip[0].params if sip else ())
                    },
                    "request_uri_headers": {known: unescape(value) for known, value in uri.headers},
                    "contact_uri_headers": {
                        known: unescape(value) for known, value in (sip[0].headers if sip else ())
                    },
                }[what]
                self.assertEqual(found, wanted, (name, what))

    def test_escapedParameterNames(self) -> None:
        """C{;%6C%72} is C{;lr}, and C{name} is unescaped once, never twice (RFC 4475 section 3.1.1.3)."""
        contact = parseMessage(octets("esc01")).contacts[0].uri
        assert isinstance(contact, SIPURI)
        self.assertTrue(contact.lr)
        self.assertEqual(contact.param("name"), "value%41")


class TortureOnStream(SynchronousTestCase):
    """The same octets over TCP or TLS, where Content-Length cuts."""

    def test_framed(self) -> None:
        """Without a note for streams a message is cut as it is, and means the same."""
        for name, entry in ENTRIES.items():
            if "on_stream" in entry or entry["verdict"] == "none":
                continue
            data = octets(name)
            framed = StreamFramer().receive(data)[0]
            assert isinstance(framed, bytes)
            try:
                wanted: object = parseMessage(data)
            except MalformedMessage as e:
                error = self.assertRaises(MalformedMessage, parseMessage, framed, stream=True)
                self.assertEqual((error.status, error.silent, str(error)), (e.status, e.silent, str(e)), name)
            else:
                self.assertEqual(parseMessage(framed, stream=True), wanted, name)

    def test_dblreq(self) -> None:
        """
        Two messages (RFC 4475 section 3.1.1.8), and what is beyond the Content-Length of the second,
        which ends the stream.
        """
        framer = StreamFramer()
        frames = framer.receive(octets("dblreq"))
        messages = [parseMessage(frame, stream=True) for frame in frames if isinstance(frame, bytes)]
        self.assertEqual([message.cseq.method for message in messages], ["REGISTER", "INVITE"])
        written = {PING: b"\r\n\r\n", PONG: b"\r\n"}
        joined = b"".join(frame if isinstance(frame, bytes) else written[frame] for frame in frames)
        self.assertEqual(joined + b"C\r\n\r\n", octets("dblreq"))
        self.assertIsInstance(framer.failure, MalformedMessage)

    def test_clerr(self) -> None:
        """The missing octets are waited for (RFC 4475 section 3.1.2.2)."""
        framer = StreamFramer()
        self.assertEqual(framer.receive(octets("clerr")), [])
        self.assertIsNone(framer.failure)

    def test_framingLost(self) -> None:
        """
        A negative, a repeated and a missing Content-Length end the stream, with an answer
        (RFC 4475 sections 3.1.2.3, 3.3.9 and 3.4.1).
        """
        for name in ("ncl", "mcl01", "inv2543"):
            error = self.assertRaises(MalformedMessage, StreamFramer().receive, octets(name))
            self.assertEqual(error.status, 400, name)
            assert error.message is not None
            self.assertEqual(error.message.header("Call-ID"), ENTRIES[name]["fields"]["call_id"])

    def test_baddn(self) -> None:
        """Incomplete in the archive; with its empty line refused for its display names (3.1.2.15)."""
        framer = StreamFramer()
        self.assertEqual(framer.receive(octets("baddn")), [])
        [framed] = framer.receive(b"\r\n")
        assert isinstance(framed, bytes)
        error = self.assertRaises(MalformedMessage, parseMessage, framed, stream=True)
        self.assertEqual((error.status, error.silent), (400, False))
        self.assertIn("display name", str(error))

    def test_everyNoteIsTested(self) -> None:
        """Each message with a note for streams has its test above."""
        noted = {name for name, entry in ENTRIES.items() if "on_stream" in entry}
        self.assertEqual(noted, {"dblreq", "clerr", "ncl", "mcl01", "inv2543", "baddn"})
