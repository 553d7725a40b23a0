"""Traced messages: complete, but for what is secret."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.service.trace import redacted, traceMessage
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.message import Header, Request

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def message(lines: str = "", *headers: Header) -> Request:
    """A request with an SDP body of C{lines}."""
    return Request("INVITE", "sip:a@b.example", headers, lines.encode())


class TraceTests(SynchronousTestCase):
    """What stays and what is hidden."""

    def test_credentials(self) -> None:
        """What a password could be tried against is hidden; who answers which challenge stays."""
        for response in ('"0123abcd"', "0123abcd"):
            header = Header(
                "Authorization",
                f'Digest username="u", realm="r", Response = {response}, cnonce="c0ffee", nonce="n",'
                ' uri="sip:r"',
            )
            text = redacted(message("", header))
            for gone in ("0123abcd", "c0ffee"):
                self.assertNotIn(gone, text)
            for kept in ('username="u"', 'realm="r"', 'nonce="n"', 'uri="sip:r"'):
                self.assertIn(kept, text)

    def test_keys(self) -> None:
        """Tag and suite of a crypto line stay; of a line that is none, nothing."""
        good = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4"
        for line, shown in (
            (good, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<hidden>"),
            (good.upper().replace("A=", "a="), "a=CRYPTO:1 AES_CM_128_HMAC_SHA1_80 INLINE:<hidden>"),
            (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80  {KEY}", "a=crypto:<hidden>"),
            (f"a=key-mgmt:mikey {KEY}", "a=key-mgmt:mikey <hidden>"),
            (f"k=base64:{KEY}", "k=base64:<hidden>"),
            (f"x inline:{KEY}", "x inline:<hidden>"),
            ("a=rtpmap:8 PCMA/8000", "a=rtpmap:8 PCMA/8000"),
        ):
            text = redacted(message(f"v=0\r\n{line}\r\nt=0 0\r\n"))
            self.assertTrue(text.endswith(f"\r\n\r\nv=0\r\n{shown}\r\nt=0 0\r\n"), text)

    def test_pressed(self) -> None:
        """Keys pressed are hidden, in each form in which INFO and NOTIFY have them."""
        for method, kind, body, shown in (
            (
                "INFO",
                "application/dtmf-relay",
                "Signal=7\r\nDuration=160\r\n",
                "Signal=<hidden>\r\nDuration=160\r\n",
            ),
            (
                "INFO",
                "Application/DTMF-Relay",
                "  SIGNAL = 7\nDuration= 160",
                "  SIGNAL =<hidden>\nDuration= 160",
            ),
            ("INFO", "application/dtmf", "7", "<hidden>"),
            ("INFO", "application/x-dtmf", "Signal=7", "<hidden>"),
            ("INFO", None, "7", "<hidden>"),
            ("INFO", "application/dtmf-relay", "Signal 7\r\nDuration=7x\r\n", "<hidden>\r\n<hidden>\r\n"),
            ("INFO", "application/dtmf-relay", "", ""),
            (
                "NOTIFY",
                "application/kpml-response+xml",
                '<k digits="77#" code="200"/>',
                '<k digits=<hidden> code="200"/>',
            ),
            ("NOTIFY", "application/kpml-response+xml", "<k digits = '77", "<k digits = <hidden>"),
            ("NOTIFY", "message/sipfrag", "SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\n"),
        ):
            headers = () if kind is None else (Header("Content-Type", kind),)
            text = redacted(Request(method, "sip:a@b.example", headers, body.encode()))
            self.assertEqual(text.partition("\r\n\r\n")[2], shown, body)

    def test_anyOctets(self) -> None:
        """A body that is no text is shown all the same."""
        self.assertIn("\\xff", redacted(Request("INVITE", "sip:a@b.example", (), b"\xff")))

    def test_log(self) -> None:
        """One debug event for each message: which way, with whom, what."""
        events: list[dict[str, object]] = []
        observer: object = events.append
        globalLogPublisher.addObserver(observer)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, observer)  # type: ignore[arg-type]
        channel = RecordingChannel(Clock())
        for sent in (True, False):
            traceMessage(sent, message(), channel)
        ours = [event for event in events if event["log_namespace"] == "skypetrunk.trace"]
        self.assertEqual([event["arrow"] for event in ours], ["sent to", "received from"])
        self.assertEqual([event["log_level"] for event in ours], [LogLevel.debug] * 2)
        self.assertEqual([event["peer"] for event in ours], [str(channel.peer)] * 2)
