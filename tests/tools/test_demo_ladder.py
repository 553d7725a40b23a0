"""The SIP ladder, and what a terminal shows while a command works."""

from __future__ import annotations

import io

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.testing import RecordingChannel
from skypetrunk.tools.ladder import Ladder, Rung, Section, labelOf, render
from skypetrunk.tools.terminal import Style, Terminal
from skypetrunk.wire.message import Request, Response, parseMessage

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
SECURE = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\n"
)
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
TWO = CRYPTO + CRYPTO.replace(":1 ", ":2 ").replace("_80", "_32")


def message(first: str, *headers: str, body: str = "") -> Request | Response:
    """A message as it is read from the wire."""
    lines = [
        first,
        "Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:a@example.com>;tag=1",
        "To: <sip:b@example.com>",
        "Call-ID: 1",
        "CSeq: 1 INVITE",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return parseMessage(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


class LabelTests(SynchronousTestCase):
    """A message in a few words."""

    def test_labels(self) -> None:
        """Methods, status, credentials, and the kind of media."""
        invite = "INVITE sip:b@example.com SIP/2.0"
        for made, label in (
            (message(invite), "INVITE"),
            (message(invite, body=SECURE.replace("SAVP", "AVP")), "INVITE, RTP/AVP"),
            (message(invite, 'Proxy-Authorization: Digest username="u"'), "INVITE + credentials"),
            (
                message(invite, 'Authorization: Digest username="u"', body=SECURE + TWO),
                "INVITE + credentials, RTP/SAVP 2 keys",
            ),
            (message("SIP/2.0 200 OK", body=SECURE + CRYPTO), "200 OK (INVITE), RTP/SAVP 1 key"),
            (message(invite, body=SECURE + "a=key-mgmt:mikey AAAA\r\n"), "INVITE, RTP/SAVP 1 key"),
            (message("SIP/2.0 486 Busy Here"), "486 Busy Here (INVITE)"),
            (message("SIP/2.0 200 OK", body="hello"), "200 OK (INVITE)"),
        ):
            self.assertEqual(labelOf(made), label)

    def test_hostileReason(self) -> None:
        """A peer's words cannot move the cursor."""
        self.assertEqual(
            labelOf(Response(200, "\x1b[2J", message("SIP/2.0 200 OK").headers)), "200 \\x1b[2J (INVITE)"
        )


class LadderTests(SynchronousTestCase):
    """Both legs side by side."""

    def test_observed(self) -> None:
        """Messages go into the last section; directions are seen from the PBX."""
        clock = Clock()
        ladder = Ladder(clock.seconds)
        invite = message("INVITE sip:b@example.com SIP/2.0", body=SECURE + CRYPTO)
        plain, secure = RecordingChannel(clock, secure=False), RecordingChannel(clock, secure=True)
        ladder.observe(False, invite, plain)
        ladder.begin("Call")
        ladder.observe(False, invite, plain)
        clock.advance(0.25)
        ladder.observe(True, invite, secure)
        ladder.observe(False, invite, secure)
        ladder.observe(True, invite, plain)
        [section] = ladder.sections
        self.assertEqual(
            [(rung.seconds, rung.secure, rung.outward) for rung in section.rungs],
            [(0.0, False, True), (0.25, True, True), (0.25, True, False), (0.25, False, False)],
        )
        self.assertNotIn(KEY, repr(ladder.sections))

    def test_drawn(self) -> None:
        """Arrows of equal length, times since the first message."""
        section = Section(
            "Call", [Rung(5.0, False, True, "INVITE"), Rung(5.5, True, False, "100 Trying (INVITE)")]
        )
        lines = list(render(section, Style()))
        self.assertEqual(lines[0], "Call")
        self.assertEqual(
            lines[2:],
            [
                "  0.000  |-- INVITE --------------------------->|" + " " * 50 + "|",
                "  0.500  |" + " " * 38 + "|<-- 100 Trying (INVITE) --------------------------|",
            ],
        )

    def test_long(self) -> None:
        """A label that is too long is cut."""
        lines = list(render(Section("Call", [Rung(0.0, False, True, "x" * 200)]), Style(unicode=True)))
        self.assertEqual(len(lines[2]), 100)
        self.assertIn("x.. ─▶│", lines[2])


class _Tty(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """It is one."""
        return True


class TerminalTests(SynchronousTestCase):
    """What is written while a command works."""

    def shown(self, stream: io.StringIO, **environ: str) -> str:
        """One step that takes two seconds, and a line."""
        clock = Clock()
        terminal = Terminal(stream, environ, clock.seconds)
        terminal.begin("Working")
        for _ in range(20):
            clock.advance(0.1)
            terminal.tick()
        terminal.done("Worked")
        terminal.write("line")
        terminal.failed("Broke")
        return stream.getvalue()

    def test_plain(self) -> None:
        """A file gets whole lines, one for each step."""
        self.assertEqual(self.shown(io.StringIO(), TERM="xterm"), "+ Worked\nline\n! Broke\n")

    def test_live(self) -> None:
        """A terminal gets a status that is written only when it changes, and taken back."""
        text = self.shown(_Tty(), TERM="xterm", NO_COLOR="1")
        self.assertEqual(text.count("Working"), 3)
        self.assertTrue(text.endswith("\r\x1b[K✓ Worked\nline\n✗ Broke\n"), text)
        self.assertNotIn("[32m", text)
        self.assertIn("\x1b[32m✓", self.shown(_Tty(), TERM="xterm"))

    def test_orders(self) -> None:
        """Neither a file nor a terminal gets what a peer has written for it; our own colours stay."""
        plain, live = io.StringIO(), _Tty()
        for stream in (plain, live):
            terminal = Terminal(stream, {"TERM": "xterm"})
            terminal.write(f"{terminal.style.bad} Bu\x1b[2Jsy\x9b\udcff\nand more")
        self.assertEqual(plain.getvalue(), "! Bu\\x1b[2Jsy\\x9b\\xff\nand more\n")
        self.assertEqual(live.getvalue(), "\x1b[31m✗\x1b[0m Bu\\x1b[2Jsy\\x9b\\xff\nand more\n")

    def test_dumb(self) -> None:
        """A terminal that cannot take anything back is treated as a file."""
        self.assertEqual(self.shown(_Tty(), TERM="dumb"), "✓ Worked\nline\n✗ Broke\n")
