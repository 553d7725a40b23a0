"""Tests of L{skypetrunk.wire.uri}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import Parameters, escape, parseParameters
from skypetrunk.wire.uri import SIPURI, URI, OpaqueURI, TelURI, parseURI
from tests.wire.strategies import TEXTS, uris


def sip(text: str) -> SIPURI:
    """C{text}, which must be a SIP URI."""
    uri = parseURI(text)
    assert isinstance(uri, SIPURI)
    return uri


class Reading(SynchronousTestCase):
    """L{parseURI}."""

    def test_sip(self) -> None:
        """Each part of a SIP URI (RFC 3261 section 19.1.1), written again as it was."""
        for text, fields in (
            ("sip:h", dict(scheme="sip", user=None, password=None, host="h", port=None)),
            ("sips:+1-201@h.example:5061", dict(scheme="sips", user="+1-201", host="h.example", port=5061)),
            ("sip:u:p:q@h", dict(user="u", password="p:q")),
            ("sip:u:@h", dict(user="u", password="")),
            ("sip:[2001:db8::1]:5060", dict(user=None, host="2001:db8::1", port=5060)),
            ("sip:u@[::ffff:192.0.2.1]", dict(user="u", host="::ffff:192.0.2.1", port=None)),
            ("sip:u@192.0.2.1;transport=tcp;lr", dict(params=parseParameters(";transport=tcp;lr"))),
            ("sip:u;a=b@h;c", dict(user="u;a=b", params=parseParameters(";c"))),
            ("sip:h?Route=%3Csip:x%3E&x=", dict(headers=(("Route", "%3Csip:x%3E"), ("x", "")))),
            ("sip:h;maddr=[::1]?a=b", dict(maddr="::1", headers=(("a", "b"),))),
            ("sip:a_container", dict(host="a_container")),
            ("sip:%00@h", dict(user="%00", userUnescaped="\x00")),
            ("sip:josé@h", dict(user="josé")),
        ):
            uri = sip(text)
            self.assertEqual({name: getattr(uri, name) for name in fields}, fields, text)
            self.assertEqual(str(uri), text)

    def test_refused(self) -> None:
        """What breaks the grammar, or would be read otherwise by another element."""
        for text in (
            "",
            "sip",
            "sip:",
            "sip:@h",
            "sip:u@",
            "sip:u@h@i",
            "sip:u@h;a=b@c",
            "sip:h:",
            "sip:h:65536",
            "sip:h:123456",
            "sip:h:5060x",
            "sip:h:\u0665",
            "sip:[::1",
            "sip:[::g]",
            "sip:[1.2.3.4]",
            "sip:[fe80::1%25eth0]",
            "sip:::1",
            "sip:h;",
            "sip:h;;a",
            "sip:h;a=",
            "sip:h?",
            "sip:h?a",
            "sip:h?=b",
            "sip:h?a=b=c",
            "sip:h a",
            " sip:h",
            "sip:h\r\n",
            "<sip:h>",
            'sip:u"@h',
            "sip:u@h,sip:v@h",
            "sip:hö.example",
            "sip: u@h",
            "1a:b",
            "nothing",
            "tel:",
            "tel:x",
            "tel:1;",
            "http:",
            "http://a b",
            "://a",
        ):
            self.assertRaises(MalformedMessage, parseURI, text)

    def test_passwordNotInErrors(self) -> None:
        """No refusal and no repr repeats a password; C{str} is what goes on the wire."""
        for text in ("sip:u:marker@h:99999", "sip:u:marker@h h", "sip:u:marker@h;;"):
            self.assertNotIn("marker", str(self.assertRaises(MalformedMessage, parseURI, text)))
        self.assertNotIn("marker", repr(sip("sip:u:marker@h")))
        self.assertIn("marker", str(sip("sip:u:marker@h")))
        error = self.assertRaises(ValueError, SIPURI, "sip", "u", "marker marker", "h")
        self.assertNotIn("marker", str(error))

    def test_tel(self) -> None:
        """RFC 3966 section 3: visual separators are kept and do not count."""
        uri = parseURI("tel:+1-(201).555;ext=5")
        assert isinstance(uri, TelURI)
        self.assertEqual((uri.number, uri.digits), ("+1-(201).555", "+1201555"))
        self.assertEqual(str(uri), "tel:+1-(201).555;ext=5")
        self.assertEqual(uri.params.get("ext"), "5")
        self.assertRaises(ValueError, TelURI, "1\r\n")

    def test_opaque(self) -> None:
        """Other schemes stay as they are."""
        uri = parseURI("soap.beep://192.0.2.103:3002")
        self.assertEqual(uri, OpaqueURI("soap.beep", "//192.0.2.103:3002"))
        self.assertRaises(ValueError, OpaqueURI, "x", "a\r\nb")
        self.assertRaises(ValueError, OpaqueURI, "x", "a>")

    def test_properties(self) -> None:
        """Shortcuts to parameters, which may be escaped; a missing one is not an empty one."""
        uri = sip("sip:h;LR;Transport=TLS;m%61ddr=192.0.2.1;x")
        self.assertEqual((uri.lr, uri.transport, uri.maddr, uri.param("x")), (True, "tls", "192.0.2.1", ""))
        bare = sip("sip:h")
        self.assertEqual((bare.lr, bare.transport, bare.maddr, bare.param("x")), (False, None, None, None))

    @given(uris())
    def test_writtenAndRead(self, uri: URI) -> None:
        """Reading what was written gives the same URI."""
        self.assertEqual(parseURI(str(uri)), uri)

    @given(st.one_of(st.text(max_size=30), st.text("sip:@;?=&[]<>,%a1.", max_size=30).map("sip:".__add__)))
    def test_anyText(self, text: str) -> None:
        """Any text is refused, or read as something that our own constructor takes."""
        try:
            uri = parseURI(text)
        except MalformedMessage:
            return
        self.assertEqual(parseURI(str(uri)), uri)
        if isinstance(uri, SIPURI):
            self.assertEqual(uri.replace(), uri)


class Building(SynchronousTestCase):
    """Nothing gets into a URI that would end it or become another part."""

    def test_injection(self) -> None:
        """Each field refuses what would be read as something else."""
        good: dict[str, Any] = dict(scheme="sip", user="u", password=None, host="h")
        SIPURI(**good)
        for field, value in (
            ("scheme", "tel"),
            ("user", ""),
            ("user", "a@b"),
            ("user", "a:b"),
            ("user", "a>b"),
            ("user", "a\r\nb"),
            ("password", "a@b"),
            ("password", "a\nb"),
            ("host", ""),
            ("host", "a:b"),
            ("host", "h\r\n"),
            ("host", "h;lr"),
            ("host", "[::1]"),
            ("host", "fe80::1%eth0"),
            ("port", 65536),
            ("port", -1),
            ("params", Parameters([("a", "b@c")])),
            ("params", Parameters([("a", '"b"')])),
            ("headers", (("a", "b&c"),)),
            ("headers", (("a=", "b"),)),
            ("headers", (("a", "b\r\n"),)),
            ("headers", (("", "b"),)),
        ):
            self.assertRaises(ValueError, SIPURI, **{**good, field: value})
        self.assertRaises(ValueError, SIPURI, "sip", None, "password", "h")

    @given(TEXTS.filter(bool))
    def test_anyUser(self, user: str) -> None:
        """Any text can be a user once it is escaped."""
        uri = sip(str(SIPURI("sip", escape(user), None, "h")))
        self.assertEqual(uri.userUnescaped, user)

    def test_replace(self) -> None:
        """A changed copy is checked like a new one."""
        uri = sip("sip:u@h:5060;lr")
        self.assertEqual(str(uri.replace(host="::1", user=None, port=None)), "sip:[::1];lr")
        self.assertRaises(ValueError, uri.replace, host="h\r\n")


class Equivalence(SynchronousTestCase):
    """RFC 3261 section 19.1.4, with its own examples."""

    def test_equivalent(self) -> None:
        """These name the same."""
        for one, other in (
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            ("sip:alice@h?subject=p&priority=u", "sip:alice@h?priority=u&subject=p"),
            ("sip:[2001:DB8:0::1]", "sip:[2001:db8::1]"),
        ):
            self.assertTrue(sip(one).equivalent(sip(other)), (one, other))
            self.assertTrue(sip(other).equivalent(sip(one)), (other, one))

    def test_different(self) -> None:
        """These do not."""
        for one, other in (
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:bob@h", "sips:bob@h"),
            ("sip:bob@h", "sip:bob:@h"),
            ("sip:h", "sip:bob@h"),
            ("sip:bob@h", "sip:bob@h;maddr=192.0.2.1"),
            ("sip:bob@h;user=phone", "sip:bob@h"),
        ):
            self.assertFalse(sip(one).equivalent(sip(other)), (one, other))
            self.assertFalse(sip(other).equivalent(sip(one)), (other, one))
        self.assertFalse(sip("sip:h").equivalent(parseURI("tel:1")))
