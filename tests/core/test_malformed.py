"""
Calls in which one message is broken: whatever a peer sends, there is no traceback in the log, nothing
escapes to the transaction layer, and nothing of the call is left when its timers have run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.message import Header, Request, Response
from tests.core.callnet import PCMA, SAVP, CallNet, Neighbour, sdp

Twist = Callable[[Request | Response], bytes]
Said = list[Request | Response]

VALUES = ("", "<<<", '"', "*", "\udcff\udc80", "<tel:1>", "0 INVITE", "99999999999")
"""What stands instead of a header's value."""

ADDED = (
    ("Contact", "<tel:+4420>"),
    ("Contact", "*"),
    ("Record-Route", "<tel:1>"),
    ("Record-Route", "<sip:p;lr>, <mailto:x@y>"),
    ("Require", '"'),
    ("Content-Encoding", "gzip"),
    ("P-Called-Party-ID", "<<<"),
    ("WWW-Authenticate", 'Digest realm="'),
    ("Proxy-Authenticate", "Digest"),
    ("Max-Forwards", "0"),
)
"""Headers that are put in front, in addition."""

BODIES = (b"", b"nonsense", b"\x00\xff" * 40, sdp("m=audio 1 RTP/AVP\r\n"), sdp("m=audio 0 RTP/SAVP 8\r\n"))
"""What stands instead of a body."""


def twists(message: Request | Response) -> Iterator[Twist]:
    """Every way to break a message like C{message}: by header, by body."""
    for header in message.headers:
        yield lambda m, name=header.name: m.withoutHeader(name).encode()  # type: ignore[misc]
        for value in VALUES:
            yield lambda m, name=header.name, value=value: m.withHeader(name, value).encode()  # type: ignore[misc]
    for added in ADDED:
        yield lambda m, added=added: _with(m, added).encode()  # type: ignore[misc]
    for body in BODIES:
        yield lambda m, body=body: m.withBody(body, "application/sdp").encode()  # type: ignore[misc]
    yield lambda m: m.withBody(m.body, "text/plain").encode()
    yield lambda m: m.encode()[:-1]
    yield lambda m: m.encode().replace(b"RTP/", b"rtp/").replace(b"192.0.2.10", b"media.example")


def _with(message: Request | Response, added: tuple[str, str]) -> Request | Response:
    if message.header(added[0]) is not None:
        message = message.withoutHeader(added[0])
    return message.prependingHeader(*added)


class BrokenCallTests(SynchronousTestCase):
    """One message of a call is broken, each in turn."""

    def outbound(self, net: CallNet) -> None:
        """Challenge, ringing, early media, answer, re-INVITE both ways, BYE of the callee."""
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        challenge = ("Proxy-Authenticate", 'Digest realm="carrier.example", nonce="n", qop="auth"')
        net.carrier.answers(net.carrier.request("INVITE"), 407, headers=[challenge])
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 183, sdp(SAVP, "203.0.113.9"))
        net.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9"))
        accepted = net.pbx.response(200)
        net.pbx.ack(near, accepted)
        again = net.pbx.within(near, accepted, "INVITE", 2, sdp(version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(again, accepted)
        net.carrier.back(far, "BYE", 1)
        net.pbx.answers(net.pbx.request("BYE"), 200)

    def inbound(self, net: CallNet) -> None:
        """A late offer, a re-INVITE of the callee, BYE of the caller."""
        near = net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls")
        far = net.pbx.request("INVITE")
        net.pbx.answers(far, 180)
        net.pbx.answers(far, 200, sdp())
        accepted = net.carrier.response(200)
        net.carrier.ack(near, accepted, sdp(SAVP, "203.0.113.9"))
        net.pbx.back(far, "INVITE", 1, body=sdp(PCMA + "a=sendonly\r\n", version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.back(far, "ACK", 1)
        net.carrier.within(near, accepted, "BYE", 2)
        net.pbx.answers(net.pbx.request("BYE"), 200)

    def cancelled(self, net: CallNet) -> None:
        """CANCEL, and a 2xx that crosses it."""
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 180)
        net.pbx.cancel(near)
        net.pbx.ackRefusal(487)
        net.carrier.answers(net.carrier.request("CANCEL"), 200)
        net.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9"))
        net.carrier.answers(net.carrier.request("BYE"), 200)

    def play(self, script: Callable[[CallNet], None], at: int, twist: Twist | None) -> Said:
        """
        Play a script with its message number C{at} twisted.

        @return: the messages that the neighbours said.
        """
        net = CallNet()
        object.__setattr__(net.profile, "calledFrom", "p-called-party-id")
        said: Said = []

        def speak(message: Request | Response) -> bytes:
            said.append(message)
            if twist is not None and len(said) == at + 1:
                return twist(message)
            return message.encode()

        for neighbour in (net.pbx, net.carrier):
            neighbour.twist = speak
        try:
            script(net)
        except (AssertionError, LookupError):
            # The script cannot go on: what it waits for is not sent.
            if twist is None:
                raise
        net.settle()
        left = net.leftovers()
        if any(left.values()) and twist is not None:
            # The call stands, and nobody has said BYE.
            net.manager.drain(1.0)
            net.settle()
            left = net.leftovers()
        self.assertEqual(set(left.values()), {0}, (script.__name__, at, left))
        self.assertEqual(self.flushLoggedErrors(), [], (script.__name__, at))
        return said

    def broken(self, script: Callable[[CallNet], None]) -> int:
        """Play a script once for each way to break each of its messages."""
        played = 0
        for at, message in enumerate(self.play(script, 0, None)):
            for twist in twists(message):
                self.play(script, at, twist)
                played += 1
        return played

    def test_outbound(self) -> None:
        """A call of the PBX."""
        self.assertGreater(self.broken(self.outbound), 700)

    def test_inbound(self) -> None:
        """A call of the carrier."""
        self.assertGreater(self.broken(self.inbound), 700)

    def test_cancelled(self) -> None:
        """A call that is taken back."""
        self.assertGreater(self.broken(self.cancelled), 400)


class OddHeaderTests(SynchronousTestCase):
    """Headers that only calls read."""

    def said(self, neighbour: Neighbour, uri: str, *headers: tuple[str, str]) -> list[str | int]:
        """What an INVITE gets."""
        neighbour.invite(uri, b"", headers)
        return neighbour.got()

    def test_called(self) -> None:
        """A P-Called-Party-ID that breaks its grammar is 400, one without a number is 404."""
        net = CallNet()
        object.__setattr__(net.profile, "calledFrom", "p-called-party-id")
        uri = "sip:account@198.51.100.2:40000;transport=tls"
        self.assertEqual(self.said(net.carrier, uri, ("P-Called-Party-ID", "<<<")), [100, 400])
        self.assertEqual(self.said(net.carrier, uri, ("P-Called-Party-ID", "<sip:a.example>")), [100, 404])

    def test_uris(self) -> None:
        """No number: 404; another scheme: 416; a tel URI is a number; urn:service:sos an emergency."""
        for uri, status in (
            ("sip:198.51.100.1", 404),
            ("mailto:a@b.example", 416),
            ("urn:service:sos.police", 503),
            ("tel:1-1-2", 180),
            ("tel:+4420", 180),
        ):
            net = CallNet()
            said = self.said(net.pbx, uri)
            if status == 180:
                net.carrier.answers(net.carrier.request("INVITE"), 180)
                said += net.pbx.got()
            self.assertEqual(said, [100, status], uri)

    def test_noContact(self) -> None:
        """An INVITE without a usable Contact is 400, and nothing was taken for it."""
        net = CallNet()
        invite = net.pbx.invite("sip:404@198.51.100.1")
        for number, contact in enumerate((None, "*", "<tel:1>")):
            again = Request("INVITE", "sip:+4420@198.51.100.1", invite.withoutHeader("Contact").headers)
            again = again.withHeader("Via", f"SIP/2.0/UDP a;branch=z9hG4bKx{number}")
            again = again.withHeader("Call-ID", f"x{number}").withHeader("To", "<sip:+4420@198.51.100.1>")
            net.pbx.got()
            net.pbx.says(again if contact is None else again.addingHeader("Contact", contact))
            self.assertEqual(net.pbx.got(), [100, 400])
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0})
        self.assertEqual(net.carrier.got(), [])

    def test_maxForwards(self) -> None:
        """Only a new call is forwarded: at 0 it is 483, while OPTIONS is answered (section 11)."""
        net = CallNet()
        invite = net.pbx.invite("sip:404@198.51.100.1")
        net.pbx.got()
        for method, status in (("INVITE", [100, 483]), ("OPTIONS", [200])):
            headers = [
                Header(name, f"9 {method}" if name == "CSeq" else value) for name, value in invite.headers
            ]
            request = Request(method, "sip:+4420@198.51.100.1", tuple(headers))
            request = request.withHeader("Via", f"SIP/2.0/UDP a;branch=z9hG4bKmf{method}")
            net.pbx.says(request.withHeader("Max-Forwards", "0"))
            self.assertEqual(net.pbx.got(), status)
