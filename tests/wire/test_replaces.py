"""The Replaces header (RFC 3891 section 6.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.replaces import Replaces, parseReplaces

WORDS = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)


class ReplacesTests(SynchronousTestCase):
    """Reading and writing."""

    def test_examples(self) -> None:
        """Those of the RFC, with white space and parameters in any order."""
        for text, wanted in (
            ("98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff", ("ff87ff", "r33th4x0r", False)),
            ("12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only", ("12345", "54321", True)),
            ("x@y ; TO-TAG=1 ; From-Tag=2", ("1", "2", False)),
        ):
            read = parseReplaces(text)
            self.assertEqual((read.toTag, read.fromTag, read.earlyOnly), wanted)

    def test_malformed(self) -> None:
        """A Call-ID or tag that is missing, or what is none."""
        tags = ";to-tag=1;from-tag=2"
        for text in ("", tags, "x;to-tag=1", "x;from-tag=1", "x;to-tag", f"a b{tags}", f"@b{tags}"):
            self.assertRaises(MalformedMessage, parseReplaces, text)

    @given(WORDS, WORDS, WORDS, st.booleans())
    def test_roundTrip(self, callID: str, to: str, source: str, early: bool) -> None:
        """What is written is read again, in a header and in a URI."""
        value = Replaces(callID + "@" + callID, to, source, early)
        self.assertEqual(parseReplaces(str(value)), value)
        self.assertEqual(parseReplaces(unescape(value.escaped())), value)
        self.assertFalse(set(value.escaped()) & set(";=@&?,<> "))
