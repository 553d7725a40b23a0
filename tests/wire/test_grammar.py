"""Tests of L{skypetrunk.wire.grammar}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import (
    NO_PARAMETERS,
    Parameters,
    checkLine,
    escape,
    isToken,
    parseParameters,
    quote,
    splitCommas,
    unescape,
    unquote,
)
from tests.wire.strategies import LINES, TEXTS, parameters


class Words(SynchronousTestCase):
    """Tokens, quoted strings and escapes (RFC 3261 section 25.1)."""

    def test_isToken(self) -> None:
        """Letters, digits and C{-.!%*_+`'~}, at least one, ASCII only."""
        for good in ("a", "INVITE", "-.!%*_+`'~", "z9hG4bK"):
            self.assertTrue(isToken(good), good)
        for bad in ("", "a b", "a\n", "a:", "ä", "a\u0665", '"a"', "a\x00"):
            self.assertFalse(isToken(bad), bad)

    def test_quote(self) -> None:
        """Quotes, backslashes and control characters are escaped, CR and LF cannot be."""
        self.assertEqual(quote('a "b" \\c\t\x00'), '"a \\"b\\" \\\\c\t\\\x00"')
        for bad in ("a\rb", "a\nb"):
            self.assertRaises(ValueError, quote, bad)

    def test_unquote(self) -> None:
        """Only a quoted string changes."""
        self.assertEqual(unquote('"J Rosenberg \\\\\\""'), 'J Rosenberg \\"')
        for plain in ("token", '"', "", '"open', 'half"'):
            self.assertEqual(unquote(plain), plain)

    @given(LINES)
    def test_quoteAndBack(self, text: str) -> None:
        """Any text of one line survives quoting."""
        self.assertEqual(unquote(quote(text)), text)

    def test_unescape(self) -> None:
        """Once, case-insensitively, to UTF-8; octets that are none survive; broken escapes stay."""
        self.assertEqual(unescape("%25%34%31"), "%41")
        self.assertEqual(unescape("%c3%A4%00%ff"), "ä\x00\udcff")
        self.assertEqual(unescape("%zz%"), "%zz%")

    @given(TEXTS)
    def test_escapeAndBack(self, text: str) -> None:
        """Any text survives escaping, which leaves nothing that a user part may not hold."""
        escaped = escape(text)
        self.assertEqual(unescape(escaped), text)
        self.assertTrue(escaped.isascii())
        self.assertFalse(set(escaped) & set('@:<>" \r\n'))

    def test_checkLine(self) -> None:
        """No line break, nothing without octets; the separators that only Unicode knows are harmless."""
        for good in ("", "ä\udcff", "a\x85b\u2028c\x0b\x1c"):
            self.assertEqual(checkLine(good), good)
        for bad in ("a\r\nb", "\n", "\r", "\ud800", "\udc0a"):
            self.assertRaises(ValueError, checkLine, bad)


class Lists(SynchronousTestCase):
    """L{splitCommas}."""

    def test_split(self) -> None:
        """Commas count outside quoted strings and angle brackets; elements are stripped."""
        for text, wanted in (
            ("", ()),
            (" \t", ()),
            ("a", ("a",)),
            (" a ,\tb", ("a", "b")),
            ("a,,b,", ("a", "", "b", "")),
            ('"a, b" <sip:c,d@e>, f', ('"a, b" <sip:c,d@e>', "f")),
            ('"a \\", b", c', ('"a \\", b"', "c")),
            ('"a \\\\", b', ('"a \\\\"', "b")),
            ('<sip:a"@b>, "<", c', ('<sip:a"@b>', '"<"', "c")),
        ):
            self.assertEqual(splitCommas(text), wanted, text)

    def test_unbalanced(self) -> None:
        """A quoted string or bracket that does not end is refused, where commas depend on it."""
        for text in ('"a, b', "<a, b", 'a, "b', '"a, b\\"', 'a"b",c"'):
            self.assertRaises(MalformedMessage, splitCommas, text)


class ParametersTests(SynchronousTestCase):
    """L{Parameters} and L{parseParameters}."""

    def test_read(self) -> None:
        """Order, spelling, values as written; white space around the separators goes."""
        for text, wanted in (
            ("", []),
            (";a=b;c", [("a", "b"), ("c", None)]),
            (" ; Branch =  z9hG4bK\t; rport ", [("Branch", "z9hG4bK"), ("rport", None)]),
            (';a="b;c=\\"d"', [("a", '"b;c=\\"d"')]),
            (";received=2001:db8::1;maddr=[::1]", [("received", "2001:db8::1"), ("maddr", "[::1]")]),
            (";branch=z9==;tag=x@192.0.2.1", [("branch", "z9=="), ("tag", "x@192.0.2.1")]),
        ):
            self.assertEqual(list(parseParameters(text)), wanted, text)

    def test_refused(self) -> None:
        """Empty parameters and values, open quotes, text that is no parameter (RFC 4475 section 3.1.2.1)."""
        for text in (";", ";;", ";a;", ";a=", ";=b", "a=b", ';a="b', ";a b", ";a=b c", ';a="b"c', ";ä=b"):
            self.assertRaises(MalformedMessage, parseParameters, text)

    def test_names(self) -> None:
        """Names compare case-insensitively; the first of two counts."""
        params = parseParameters(";Tag=a;LR;tag=b")
        for name in ("tag", "Tag", "TAG"):
            self.assertEqual(params.get(name), "a")
        self.assertIn("lr", params)
        self.assertNotIn("l", params)
        self.assertIsNone(params.get("lr"))
        self.assertEqual(len(params), 3)

    def test_changed(self) -> None:
        """C{with_} keeps the place, or adds; C{without} removes each."""
        params = parseParameters(";a=1;B=2;b=3")
        self.assertEqual(str(params.with_("b", "4")), ";a=1;B=4")
        self.assertEqual(str(params.with_("A")), ";a;B=2;b=3")
        self.assertEqual(str(params.with_("c", '"x y"')), ';a=1;B=2;b=3;c="x y"')
        self.assertEqual(str(params.without("B")), ";a=1")
        self.assertEqual(NO_PARAMETERS.with_("a"), Parameters([("a", None)]))

    def test_not_cut(self) -> None:
        """A parameter found in text that was not cut into pairs is the same that the pairs have."""
        for text in (
            ";tag=a",
            ";tagged=x;tag=a",
            ";x=tag;tag=a;y",
            ";tag;tag=a",
            ";TAG=b;tag=a",
            ";x=1;tag",
            ";a=\u0130;tag=a",
            ";tag=\u0130\u212a",
            "",
        ):
            cut = Parameters(list(parseParameters(text)))
            for name in ("tag", "Tag", "tagged", "ta", "x", "y", "k"):
                self.assertEqual(parseParameters(text).get(name), cut.get(name), (text, name))
                self.assertEqual(name in parseParameters(text), name in cut, (text, name))

    def test_injection(self) -> None:
        """Nothing gets into a parameter that would end it, its line, or become another one."""
        for name, value in (
            ("a b", None),
            ("", None),
            ("a;b", None),
            ("a=b", None),
            ("a", ""),
            ("a", "b;c"),
            ("a", "b c"),
            ("a", "b>c"),
            ("a", "b\r\nX: y"),
            ("a", '"b\r\nX: y"'),
            ("a", '"b\ny"'),
            ("a", '"b"c"'),
            ("a", "b\ud800"),
        ):
            self.assertRaises(ValueError, Parameters, [(name, value)])
            self.assertRaises(ValueError, NO_PARAMETERS.with_, name, value)

    @given(parameters())
    def test_writtenAndRead(self, params: Parameters) -> None:
        """Reading what was written gives the same parameters."""
        read = parseParameters(str(params))
        self.assertEqual(read, params)
        self.assertEqual(list(read), list(params))
        self.assertEqual(hash(read), hash(params))

    @given(st.text(alphabet=';=, "\\ab<>\t', max_size=30))
    def test_anyText(self, text: str) -> None:
        """Any text is read as what it writes again, or refused."""
        try:
            params = parseParameters(text)
        except MalformedMessage:
            return
        self.assertEqual(parseParameters(str(params)), params)
        self.assertEqual(Parameters(params), params)
