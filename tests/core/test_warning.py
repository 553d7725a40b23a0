"""What is said of a session description that is not acceptable (RFC 3261 section 20.43)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.answers import across
from skypetrunk.core.warning import LONGEST_TEXT, PHRASES, warningCodes, warningOf, warningsAcross
from skypetrunk.errors import MalformedSDP, RemoteError
from skypetrunk.wire.grammar import unquote
from skypetrunk.wire.message import Response, parseMessage, responseTo
from tests.core.callnet import KEY, PCMA, SAVP, CallNet, sdp
from tests.core.messages import incoming

ACCOUNT = "sip:account@198.51.100.2:40000;transport=tls"
NUMBER = "sip:+4420@198.51.100.1"


def refusal(status: int, *warnings: str) -> Response:
    """A refusal with Warnings."""
    return responseTo(incoming(), status, None, [("Warning", each) for each in warnings], toTag="far")


class TextTests(SynchronousTestCase):
    """The header itself."""

    def test_ours(self) -> None:
        """Code, our pseudonym, and what was wrong; only with 488."""
        (header,) = warningOf(MalformedSDP("SDP: empty"))
        self.assertEqual(header, ("Warning", '399 skypetrunk "SDP: empty"'))
        (header,) = warningOf(RemoteError("no", 488, 305))
        self.assertEqual(header.value, '305 skypetrunk "no"')
        self.assertEqual(warningOf(RemoteError("no", 491)), ())

    @settings(deadline=None)
    @given(st.text(max_size=400))
    def test_anyText(self, text: str) -> None:
        """Whatever the peer wrote: one quoted string of printable ASCII in one line, and not a long one."""
        headers = warningOf(MalformedSDP(text))
        self.assertTrue(headers[0].value.isascii() and headers[0].value.isprintable())
        octets = responseTo(incoming(), 488, None, headers, toTag="a").encode()
        read = parseMessage(octets)
        assert isinstance(read, Response)
        (value,) = read.values("Warning")
        self.assertEqual(warningCodes(read), [399])
        self.assertLessEqual(len(unquote(value.split(" ", 2)[2])), LONGEST_TEXT)

    def test_across(self) -> None:
        """Known codes, each once, in order; texts and names of who warns stay where they are."""
        both = '304 gw.secret.example "x, 301 y", 305 10.0.0.1 "\\"z\\""'
        response = refusal(488, both, '304 b "c"', "399 a b")
        self.assertEqual(warningCodes(response), [304, 305, 304, 399])
        expected = ['304 skypetrunk "Media type not available"', '305 skypetrunk "Incompatible media format"']
        for status in (488, 606):
            told = across(status, refusal(status, *response.values("Warning")), True)
            self.assertEqual([h.value for h in told.headers if h.name == "Warning"], expected)
        self.assertEqual(across(486, refusal(486, '304 a "b"'), True).headers, ())
        self.assertEqual(len(warningsAcross(range(1000))), len(PHRASES))

    def test_unreadable(self) -> None:
        """What breaks the grammar says nothing."""
        for value in ("", "304", "x a b", "30 a b", "3040 a b", '304 a "b, c', '"'):
            self.assertEqual(warningCodes(refusal(488, value)), [], value)


class CallTests(SynchronousTestCase):
    """Who is told what."""

    def warned(self, offer: bytes) -> str:
        """The Warning that a carrier gets for C{offer}."""
        net = CallNet()
        net.carrier.invite(ACCOUNT, offer)
        warning = net.carrier.response(488).header("Warning")
        net.carrier.ackRefusal(488)
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0})
        assert warning is not None
        return warning

    def test_offers(self) -> None:
        """What is wrong with an offer."""
        host = "203.0.113.9"
        line = "m=audio 6000 RTP/SAVP 8\r\n"
        other = '302 skypetrunk "wanted RTP/SAVP, the offer has RTP/'
        for media, where, wanted in (
            (PCMA, host, other + 'AVP"'),
            ('m=audio 6000 RTP/"x\\ 8\r\n', host, other + '\\"x\\\\"'),
            ("m=video 6000 RTP/SAVP 8\r\n", host, "304 skypetrunk"),
            (SAVP, "media.example", "301 skypetrunk"),
            (line, host, "306 skypetrunk"),
            (f"{line}a=crypto:1 NOT_KNOWN {KEY}\r\n", host, "306 skypetrunk"),
            ("m=audio\r\n", host, '399 skypetrunk "SDP: m= must have'),
        ):
            warning = self.warned(sdp(media, where))
            self.assertTrue(warning.startswith(wanted), (warning, wanted))
            self.assertNotIn(KEY.partition(":")[2], warning)

    def test_reinvite(self) -> None:
        """The same in a call that stands, which goes on."""
        net = CallNet()
        near, _ = net.outboundCall()
        accepted = net.pbx.response(200)
        net.pbx.within(near, accepted, "INVITE", 2, sdp("m=video 6000 RTP/AVP 8\r\n", version=2))
        self.assertTrue((net.pbx.response(488).header("Warning") or "").startswith("304 skypetrunk"))
        net.pbx.ackRefusal(488)
        self.assertEqual(net.manager.callCount(), 1)

    def test_answer(self) -> None:
        """An answer that cannot be taken: whoever asked gets the code, and not what the other side wrote."""
        net = CallNet()
        net.pbx.invite(NUMBER, sdp())
        answer = sdp(PCMA.replace("AVP", "MARK"), "203.0.113.9")
        net.carrier.answers(net.carrier.request("INVITE"), 200, answer)
        warning = net.pbx.response(488).header("Warning")
        self.assertEqual(warning, '302 skypetrunk "Incompatible transport protocol"')

    def test_crosses(self) -> None:
        """Both ways; nothing but the code."""
        header = ("Warning", '305 gw7.mark.example "MARK"')
        net = CallNet()
        net.pbx.invite(NUMBER, sdp())
        net.carrier.answers(net.carrier.request("INVITE"), 488, headers=[header])
        wanted = '305 skypetrunk "Incompatible media format"'
        self.assertEqual(net.pbx.response(488).header("Warning"), wanted)
        net = CallNet()
        net.carrier.invite(ACCOUNT, sdp(SAVP, "203.0.113.9"))
        net.pbx.answers(net.pbx.request("INVITE"), 606, headers=[header])
        self.assertEqual(net.carrier.response(606).header("Warning"), wanted)
        self.assertNotIn(b"MARK", net.carrier.response(606).encode())
