"""Tests of L{skypetrunk.wire.headers} and L{skypetrunk.wire.names}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import Parameters, parseParameters
from skypetrunk.wire.headers import (
    STAR,
    CSeq,
    NameAddr,
    parseContacts,
    parseCSeq,
    parseNameAddr,
    parseNameAddrs,
    parseNumber,
)
from skypetrunk.wire.names import LIST_HEADERS, canonicalName
from skypetrunk.wire.uri import parseURI
from tests.wire.strategies import TOKENS, nameAddrs


class Names(SynchronousTestCase):
    """L{canonicalName}."""

    def test_compact(self) -> None:
        """Compact forms in either case are the long name (RFC 3261 section 7.3.3)."""
        for short, long in (
            ("v", "Via"),
            ("f", "From"),
            ("t", "To"),
            ("i", "Call-ID"),
            ("m", "Contact"),
            ("l", "Content-Length"),
            ("c", "Content-Type"),
            ("e", "Content-Encoding"),
            ("k", "Supported"),
            ("s", "Subject"),
            ("r", "Refer-To"),
            ("b", "Referred-By"),
            ("o", "Event"),
            ("u", "Allow-Events"),
            ("x", "Session-Expires"),
        ):
            for name in (short, short.upper(), long, long.lower(), long.upper(), long.swapcase()):
                self.assertEqual(canonicalName(name), long.lower())

    def test_others(self) -> None:
        """Any other name is folded; a spelling is never taken for another name."""
        self.assertEqual(canonicalName("X-Thing"), "x-thing")
        self.assertEqual(canonicalName("Z"), "z")
        self.assertEqual(canonicalName("CSEQ"), "cseq")

    def test_lists(self) -> None:
        """Headers with commas of their own are no lists."""
        names = "date subject authorization proxy-authorization www-authenticate proxy-authenticate server"
        for name in names.split():
            self.assertNotIn(name, LIST_HEADERS)
        self.assertTrue(all(canonicalName(name) == name for name in LIST_HEADERS))


class Addresses(SynchronousTestCase):
    """L{parseNameAddr} and its like."""

    def test_read(self) -> None:
        """Display names, brackets and parameters in every form (RFC 3261 sections 20.10 and 25.1)."""
        for text, display, uri, params in (
            ("<sip:a@h>", None, "sip:a@h", ""),
            ("<sip:a@h>;tag=x", None, "sip:a@h", ";tag=x"),
            ("sip:a@h;tag=x", None, "sip:a@h", ";tag=x"),
            ("sip:a@h", None, "sip:a@h", ""),
            ("<sip:a@h;lr>", None, "sip:a@h;lr", ""),
            ("Bob <sip:a@h>", "Bob", "sip:a@h", ""),
            ("caller<sip:a@h>;tag=323", "caller", "sip:a@h", ";tag=323"),
            ("Bob  A.\tB <sip:a@h>", "Bob A. B", "sip:a@h", ""),
            ('"" <sip:a@h>', "", "sip:a@h", ""),
            ('"A, \\"B\\" <c>"  <sip:a@h> ; tag=x', 'A, "B" <c>', "sip:a@h", ";tag=x"),
            ('"A;B"<sip:a@h;x=y>;z', "A;B", "sip:a@h;x=y", ";z"),
            ("José García <sip:a@h>", "José García", "sip:a@h", ""),
            ("< sip:a@h >", None, "sip:a@h", ""),
            ('sip:a@h;x="<y>"', None, "sip:a@h", ';x="<y>"'),
            ('<sip:a@h>;x="a,b;c>"', None, "sip:a@h", ';x="a,b;c>"'),
            (" <tel:+1>\t", None, "tel:+1", ""),
        ):
            self.assertEqual(
                parseNameAddr(text), NameAddr(display, parseURI(uri), parseParameters(params)), text
            )

    def test_refused(self) -> None:
        """Quotes and brackets that do not balance, names that must be quoted, parameters that are none."""
        for text in (
            "",
            '"Mr. J. User <sip:a@h>',
            "<sip:a@h",
            "sip:a@h>",
            '"A" sip:a@h',
            '"A"',
            "Bell, Alexander <sip:a@h>",
            'A "B" <sip:a@h>',
            "sip:a@h?x=y",
            "sip:a,b@h",
            "<sip:a@h> x",
            "<sip:a@h>;;",
            "<sip:a@h><sip:b@h>",
            "<<sip:a@h>>",
            "<>",
            "*",
        ):
            self.assertRaises(MalformedMessage, parseNameAddr, text)

    def test_tag(self) -> None:
        """The tag, in any case."""
        self.assertEqual(parseNameAddr("<sip:h>;Tag=x").tag, "x")
        self.assertIsNone(parseNameAddr("<sip:h;tag=x>").tag)

    def test_several(self) -> None:
        """Several values per line and several lines; commas in names and URIs do not count."""
        values = ['"A, B" <sip:a,b@h>, <sip:c@h>', "sip:d@h", ""]
        self.assertEqual(
            [str(address.uri) for address in parseNameAddrs(values)], ["sip:a,b@h", "sip:c@h", "sip:d@h"]
        )
        self.assertRaises(MalformedMessage, parseNameAddrs, ["<sip:a@h>,"])

    def test_star(self) -> None:
        """C{*} alone (RFC 3261 section 10.2.2)."""
        self.assertIs(parseContacts([" * "]), STAR)
        self.assertIsNot(parseContacts([]), STAR)
        self.assertEqual(repr(STAR), "STAR")
        for values in (["*", "<sip:a@h>"], ["*, <sip:a@h>"], ["*;q=1"], ["*", "*"]):
            self.assertRaises(MalformedMessage, parseContacts, values)

    def test_remembered(self) -> None:
        """A Contact that comes again is the same value; strangers' ones take no more than a bounded place."""
        first = parseContacts(["<sip:a@h>"])
        self.assertIs(parseContacts(["<sip:a@h>"])[0], first[0])
        long = f"<sip:{'a' * 300}@h>"
        self.assertIsNot(parseContacts([long])[0], parseContacts([long])[0])
        for number in range(300):
            parseContacts([f"<sip:{number}@h>"])
        again = parseContacts(["<sip:a@h>"])
        self.assertEqual(again, first)
        self.assertIsNot(again[0], first[0])

    def test_written(self) -> None:
        """A display name is always quoted, a URI always bracketed; line breaks get nowhere."""
        address = NameAddr('A "B"', parseURI("sip:a@h"), Parameters([("tag", "x")]))
        self.assertEqual(str(address), '"A \\"B\\"" <sip:a@h>;tag=x')
        self.assertEqual(str(address.replace(display=None)), "<sip:a@h>;tag=x")
        for bad in ("a\r\nX: y", "\n"):
            self.assertRaises(ValueError, NameAddr, bad, address.uri)

    @given(nameAddrs())
    def test_writtenAndRead(self, address: NameAddr) -> None:
        """Reading what was written gives the same address."""
        self.assertEqual(parseNameAddr(str(address)), address)

    @given(st.lists(nameAddrs(), max_size=3))
    def test_listWrittenAndRead(self, addresses: list[NameAddr]) -> None:
        """So does reading a line of several."""
        self.assertEqual(parseNameAddrs([", ".join(map(str, addresses))]), tuple(addresses))

    @given(st.text('sip:a@h;=", <>\\\t*', max_size=30))
    def test_anyText(self, text: str) -> None:
        """Any text is refused, or read as something that can be written."""
        try:
            address = parseNameAddr(text)
        except MalformedMessage:
            return
        self.assertEqual(parseNameAddr(str(address)), address)


class Numbers(SynchronousTestCase):
    """CSeq and other numbers."""

    def test_cseq(self) -> None:
        """Leading zeros and any white space; below 2**32 (RFC 3261 section 8.1.1.5)."""
        self.assertEqual(parseCSeq(" 0009 \t INVITE "), CSeq(9, "INVITE"))
        self.assertEqual(parseCSeq("4294967295\tX"), CSeq(2**32 - 1, "X"))
        self.assertEqual(str(CSeq(1, "BYE")), "1 BYE")
        for text in ("", "1", "X", "-1 X", "+1 X", "1_0 X", "\u0661 X", "4294967296 X", "1 X Y", "1 a:b"):
            self.assertRaises(MalformedMessage, parseCSeq, text)
        self.assertRaises(ValueError, CSeq, -1, "X")
        self.assertRaises(ValueError, CSeq, 2**32, "X")
        self.assertRaises(ValueError, CSeq, 1, "X\r\n")

    @given(st.integers(0, 2**32 - 1), TOKENS)
    def test_cseqWrittenAndRead(self, number: int, method: str) -> None:
        """Reading what was written gives the same."""
        self.assertEqual(parseCSeq(str(CSeq(number, method))), CSeq(number, method))

    def test_parseNumber(self) -> None:
        """A number is never used before its size is known."""
        self.assertEqual(parseNumber("0" * 10000 + "70", "X", 255), 70)
        self.assertEqual(parseNumber("0", "X", 255), 0)
        for text in ("256", "9" * 10000, "", "-0", "1.0", "0x1", "²"):
            self.assertRaises(MalformedMessage, parseNumber, text, "X", 255)
