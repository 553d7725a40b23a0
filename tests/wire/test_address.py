"""Tests of L{skypetrunk.wire.address}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.address import TransportAddress, isLiteral, parseAddress


class AddressTests(SynchronousTestCase):
    """L{parseAddress} and L{TransportAddress} are each other's inverse."""

    def test_read(self) -> None:
        """Transport, host and port, for names, IPv4 and IPv6."""
        for text, transport, host, port in (
            ("udp:127.0.0.1:5060", "UDP", "127.0.0.1", 5060),
            ("tcp:pbx.example:0", "TCP", "pbx.example", 0),
            ("tls:[::1]:5061", "TLS", "::1", 5061),
            ("tls:[2001:db8::1]:65535", "TLS", "2001:db8::1", 65535),
        ):
            address = parseAddress(text)
            self.assertEqual(address, TransportAddress(transport, host, port))
            self.assertEqual(str(address), text)
        self.assertEqual(parseAddress("UDP:127.0.0.1:5060").transport, "UDP")

    def test_hostPort(self) -> None:
        """IPv6 gets brackets."""
        self.assertEqual(TransportAddress("TLS", "::1", 5061).hostPort, "[::1]:5061")
        self.assertEqual(TransportAddress("TLS", "192.0.2.1", 5061).hostPort, "192.0.2.1:5061")

    def test_literal(self) -> None:
        """Addresses without brackets; everything else is a name, or nothing."""
        for host in ("192.0.2.1", "::1", "2001:db8::1"):
            self.assertTrue(isLiteral(host), host)
        for host in ("", "[::1]", "a.example", "192.0.2", "192.0.2.300", "192.0.2.1:5060"):
            self.assertFalse(isLiteral(host), host)

    def test_refused(self) -> None:
        """What is wrong is named, with what would be right."""
        for text, said in (
            ("sctp:127.0.0.1:5060", "udp:, tcp: or tls:"),
            ("127.0.0.1:5060", "udp:, tcp: or tls:"),
            ("udp:127.0.0.1", "PORT"),
            ("udp:127.0.0.1:", "PORT"),
            ("udp:127.0.0.1:65536", "65535"),
            ("udp:127.0.0.1:-1", "PORT"),
            ("udp:127.0.0.1:\u0665\u0660", "PORT"),
            ("udp::5060", "no host"),
            ("udp:a b:5060", "no host"),
            ("udp:::1:5060", "brackets"),
            ("udp:[::g]:5060", "no IPv6"),
            ("udp:[192.0.2.1]:5060", "no IPv6"),
            ("", "udp:"),
        ):
            error = self.assertRaises(ValueError, parseAddress, text)
            self.assertIn(said, str(error), text)
            self.assertIn(repr(text), str(error))
