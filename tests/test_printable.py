"""Tests of L{skypetrunk.printable}: what a peer has written orders no terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.printable import printable, printableLines

TEXT = some.text(some.characters() | some.sampled_from("\x1b\x9b\r\n\t\u202e\udcff"))


class PrintableTests(SynchronousTestCase):
    """One line, and several."""

    def test_text(self) -> None:
        """What is only text stays, in every script; so does a backslash."""
        for text in ("", "Busy Here", "J\u00f6rg \u4e2d\u6587", "\\x1b", '"quoted"'):
            self.assertEqual((printable(text), printableLines(text)), (text, text))

    def test_orders(self) -> None:
        """Control characters of both tables, line ends, what turns the direction, what nobody sees."""
        for text, shown in (
            ("Bu\x1b[2Jsy", r"Bu\x1b[2Jsy"),
            ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
            ("one\r\ntwo\tthree", r"one\r\ntwo\tthree"),
            ("a\u202eb\u200bc\u2028d", r"a\u202eb\u200bc\u2028d"),
            ("\U000e0041", r"\U000e0041"),
        ):
            self.assertEqual(printable(text), shown)

    def test_octets(self) -> None:
        """What was no UTF-8 on the wire is the octet that it was; other lone surrogates are shown."""
        self.assertEqual(printable(b"caf\xe9 \xf0".decode("utf-8", "surrogateescape")), r"caf\xe9 \xf0")
        self.assertEqual(printable("\ud800\udc00"), r"\ud800\udc00")

    def test_lines(self) -> None:
        """Ends of lines and tabs stay; a return alone would overwrite the line."""
        for text, shown in (
            ("one\n\ttwo\r\nthree\n", "one\n\ttwo\r\nthree\n"),
            ("true\rfalse\n", "true\\rfalse\n"),
            ("\x1b\n\n\x1b", "\\x1b\n\n\\x1b"),
            ("\r\r\n", "\\r\r\n"),
        ):
            self.assertEqual(printableLines(text), shown)

    @given(TEXT)
    def test_any(self, text: str) -> None:
        """Whatever it is: it can be printed and written, and done twice it is the same."""
        shown = printable(text)
        self.assertTrue(shown.isprintable())
        self.assertEqual(printable(shown), shown)
        lines = printableLines(text)
        lines.encode()
        self.assertEqual(printableLines(lines), lines)
        self.assertEqual(set(filter(lambda each: not each.isprintable(), lines)) - set("\r\n\t"), set())
        self.assertNotIn("\r", lines.replace("\r\n", ""))
