"""Tests of L{skypetrunk.wire.via}."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import parseParameters
from skypetrunk.wire.via import Via, parseVia
from tests.wire.strategies import vias


class ViaTests(SynchronousTestCase):
    """L{parseVia} and L{Via}."""

    def test_read(self) -> None:
        """Hosts of each kind, white space wherever the grammar allows it (RFC 4475 section 3.1.1.1)."""
        branch = parseParameters(";branch=x")
        for text, wanted in (
            ("SIP/2.0/UDP h;branch=x", Via("UDP", "h", None, branch)),
            ("SIP/2.0/tls [::1]:5061", Via("TLS", "::1", 5061)),
            ("sip/2.0/TCP 192.0.2.1:05060", Via("TCP", "192.0.2.1", 5060)),
            ("SIP / 2.0 \t/ UDP\t h : 5060 ; branch = x", Via("UDP", "h", 5060, branch)),
            ("SIP/7.0/TLS-SCTP h", Via("TLS-SCTP", "h", None, protocol="SIP/7.0")),
        ):
            self.assertEqual(parseVia(text), wanted, text)

    def test_refused(self) -> None:
        """What breaks the grammar."""
        for text in (
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP h",
            "SIP/2.0/UDPh",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0/UDP h i",
            "SIP/2.0/UDP ::1",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP [::g]",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h;branch=",
            "SIP/2.0/UDP h,",
            "/2.0/UDP h",
        ):
            self.assertRaises(MalformedMessage, parseVia, text)

    def test_properties(self) -> None:
        """Where a response goes (RFC 3261 section 18.2.2, RFC 3581)."""
        via = parseVia("SIP/2.0/UDP h:1;Branch=x;received=[2001:db8::1];rport=5070;maddr=192.0.2.9")
        self.assertEqual((via.branch, via.received, via.rport), ("x", "2001:db8::1", 5070))
        self.assertEqual((via.maddr, via.sentBy), ("192.0.2.9", "h:1"))
        asks = parseVia("SIP/2.0/UDP [::1];rport")
        self.assertEqual((asks.rport, "rport" in asks.params, asks.sentBy), (None, True, "[::1]"))
        self.assertEqual((asks.branch, asks.received, asks.maddr), (None, None, None))
        for value in ("x", "123456", "\u0665", "70000"):
            self.assertIsNone(parseVia(f"SIP/2.0/UDP h;rport={value}").rport, value)

    def test_injection(self) -> None:
        """Nothing gets into a Via that would end it."""
        for fields in (
            dict(transport="UDP\r\n", host="h"),
            dict(transport="", host="h"),
            dict(transport="UDP", host="h, SIP/2.0/UDP i"),
            dict(transport="UDP", host="h\r\n"),
            dict(transport="UDP", host="h", port=65536),
            dict(transport="UDP", host="h", protocol="SIP/2.0\r\n"),
            dict(transport="UDP", host="h", protocol="SIP"),
        ):
            self.assertRaises(ValueError, Via, **fields)

    @given(vias())
    def test_writtenAndRead(self, via: Via) -> None:
        """Reading what was written gives the same Via."""
        self.assertEqual(parseVia(str(via)), via)

    def test_replace(self) -> None:
        """As a server fills it in."""
        via = parseVia("SIP/2.0/UDP h;rport;branch=x")
        filled = via.replace(params=via.params.with_("rport", "5").with_("received", "192.0.2.1"))
        self.assertEqual(str(filled), "SIP/2.0/UDP h;rport=5;branch=x;received=192.0.2.1")
