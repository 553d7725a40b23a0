"""TLS between trunk and PBX, over real sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy, keyPin
from skypetrunk.net.pbx_tls import PBXTLS
from skypetrunk.net.pbx_transports import PBXTransports
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.wire.address import TransportAddress, parseAddress
from skypetrunk.wire.message import Request
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.net.certificates import Issued, authority, dns, leaf
from tests.net.hostile import Stream
from tests.net.test_pbx_transports import REQUEST, Recorder

HERE = (x509.IPAddress(ip_address("127.0.0.1")),)


def pbxCertificate(names: Sequence[x509.GeneralName] = HERE, issuer: Issued | None = None) -> Issued:
    """What the PBX shows."""
    return leaf(names, issuer, subject="PBX", keyName="pbx")


class TLSCase(TestCase):
    """
    A PBX's transports with TLS, and a PBX.

    @ivar recorder: what they hand on.
    """

    timeout = 20

    def setUp(self) -> None:
        """Nobody listens yet."""
        super().setUp()
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.recorder = Recorder()

    def listen(
        self,
        *addresses: str,
        roots: bool = True,
        pins: Sequence[str] = (),
        name: str | None = None,
        pbx: str | None = "tls:127.0.0.1:9",
        allow: Sequence[str] = ("127.0.0.1",),
    ) -> PBXTransports:
        """Transports that listen at ports of the system's."""
        own = leaf(HERE, subject="Trunk", keyName="trunk")
        tls = PBXTLS(
            loadOwnCertificate(own.pem, own.keyPEM),
            roots=authority().pem if roots else None,
            pins=pins,
            name=name,
        )
        transports = PBXTransports(
            self.reactor,
            self.reactor,
            lambda: "t",
            [parseAddress(each) for each in addresses or ("tls:127.0.0.1:0",)],
            None if pbx is None else parseAddress(pbx),
            [ip_network(each) for each in allow],
            tls=tls,
        )
        transactions: Any = self.recorder
        transports.listen(transactions)
        self.addCleanup(transports.stop)
        return transports

    async def found(self, transports: PBXTransports, uri: str) -> IMessageChannel:
        """The channel to C{uri}."""
        parsed = parseURI(uri)
        assert isinstance(parsed, SIPURI)
        return await transports.find(parsed)

    async def until(self, done: Callable[[], object]) -> None:
        """Wait for something, not for long."""
        for _ in range(500):
            if done():
                return
            await deferLater(self.reactor, 0.01)
        self.fail("it did not come about")

    def server(self, issued: Issued, *, asks: bool = False) -> tuple[list[Stream], int]:
        """A PBX that takes TLS connections: those it got, and its port."""
        streams: list[Stream] = []

        class Streams(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Stream:
                stream = Stream()
                streams.append(stream)
                return stream

        options = tlsServerOptions(
            loadOwnCertificate(issued.pem, issued.keyPEM),
            clientRoots=authority().pem if asks else None,
            clientMust=asks,
        )
        factory = TLSMemoryBIOFactory(options, False, Streams(), self.reactor)
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        async def end() -> None:
            for each in streams:
                await self.gone(each)

        self.addCleanup(end)
        return streams, port.getHost().port

    async def gone(self, stream: Stream) -> None:
        """Wait for its end."""
        if not stream.closed:
            transport: Any = stream.transport
            transport.abortConnection()
        await self.until(lambda: stream.closed)

    async def closed(self, stream: Stream) -> None:
        """Wait until the other side has ended it."""
        await self.until(lambda: stream.closed)

    async def call(self, address: TransportAddress, issued: Issued | None = None) -> Stream:
        """A connection of the PBX, which verifies the trunk and shows this certificate."""
        own = None if issued is None else loadOwnCertificate(issued.pem, issued.keyPEM)
        tls = ClientTLS(address.host, loadTrustRoots(authority().pem), IdentityPolicy(), certificate=own)
        tcp = TCP4ClientEndpoint(self.reactor, address.host, address.port)
        endpoint = TLSClientEndpoint(tcp, tls, self.reactor, str(address))
        stream: Stream = await connectProtocol(endpoint, Stream())
        self.addCleanup(self.gone, stream)
        return stream


class ConnectTests(TLSCase):
    """We connect."""

    async def test_verified(self) -> None:
        """A certificate under the root, for the address; ours is shown to who asks; Via says TLS."""
        transports = self.listen()
        streams, port = self.server(pbxCertificate(), asks=True)
        for uri in (f"sip:1001@127.0.0.1:{port};transport=tls", f"sips:1001@127.0.0.1:{port}"):
            channel = await self.found(transports, uri)
            self.assertEqual(str(channel.peer), f"tls:127.0.0.1:{port}")
            self.assertEqual(channel.localAddress.transport, "TLS")
            self.assertTrue(channel.reliable and channel.secure)
        channel.send(Request("OPTIONS", "sip:a@127.0.0.1", ()))
        await self.until(lambda: streams and streams[0].heard)
        self.assertEqual(len(streams), 1)
        streams[0].say(REQUEST)
        await self.until(lambda: self.recorder.received)
        self.assertIs(self.recorder.received[0][1], channel)

    async def test_name(self) -> None:
        """Where a name is configured that one counts, whatever the address."""
        transports = self.listen(name="pbx.example")
        _, port = self.server(pbxCertificate(dns("pbx.example")))
        channel = await self.found(transports, f"sip:127.0.0.1:{port};transport=tls")
        self.assertEqual(channel.peer.port, port)

    async def test_pin(self) -> None:
        """A certificate that nobody issued, known by its key."""
        itself = pbxCertificate((), authority("PBX itself"))
        transports = self.listen(roots=False, pins=[keyPin(itself.certificate)])
        streams, port = self.server(itself)
        channel = await self.found(transports, f"sip:127.0.0.1:{port};transport=tls")
        channel.send(Request("OPTIONS", "sip:a@127.0.0.1", ()))
        await self.until(lambda: streams and streams[0].heard)

    async def test_refused(self) -> None:
        """Another root, another name, another key: no connection, and nothing of SIP was heard."""
        pin = "sha256/" + "A" * 43 + "="
        for issued, roots, pins, words in (
            (pbxCertificate(issuer=authority("Other Root")), True, [], "issued by CN=Other Root"),
            (pbxCertificate(dns("other.example")), True, [], "wanted a certificate for IP 127.0.0.1"),
            (pbxCertificate(), True, [pin], "wanted a key pinned as"),
            (pbxCertificate(), False, [pin], "wanted a key pinned as"),
        ):
            streams, port = self.server(issued)
            transports = self.listen(roots=roots, pins=pins, pbx=f"tls:127.0.0.1:{port}")
            with self.assertRaises(NoTarget) as caught:
                await self.found(transports, f"sip:127.0.0.1:{port};transport=tls")
            self.assertIn(words, str(caught.exception))
            for each in streams:
                await self.closed(each)
                self.assertEqual(each.heard, b"")

    async def test_noTransportBeside(self) -> None:
        """No Contact leads past TLS, where nothing else is listened for; a port is 5061 where none stands."""
        streams, port = self.server(pbxCertificate())
        transports = self.listen(pbx=f"tls:127.0.0.1:{port}")
        for parameter in ("", ";transport=tcp", ";transport=udp", ";transport=ws"):
            channel = await self.found(transports, f"sip:127.0.0.1:{port}{parameter}")
            self.assertEqual(str(channel.peer), f"tls:127.0.0.1:{port}")
        self.assertEqual(
            str(transports._wanted(SIPURI("sips", "a", None, "127.0.0.1", None))), "tls:127.0.0.1:5061"
        )

    async def test_stopWhileConnecting(self) -> None:
        """A handshake that goes nowhere ends with a stop."""
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            port = deaf.getsockname()[1]
            transports = self.listen(pbx=f"tls:127.0.0.1:{port}")
            outcome: list[object] = []
            transports.find(SIPURI("sip", None, None, "127.0.0.1", port)).addBoth(outcome.append)
            await deferLater(self.reactor, 0.05)
            stopped: Deferred[None] = transports.stop()
            await stopped
            self.assertEqual(len(outcome), 1)


class CallerTests(TLSCase):
    """The PBX connects."""

    async def test_mutual(self) -> None:
        """With a certificate it is heard, and its connection is used again, whatever port its Contact has."""
        transports = self.listen()
        stream = await self.call(transports.listening[0], pbxCertificate())
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        channel = await self.found(transports, "sip:1001@127.0.0.1:5099;transport=tls")
        self.assertIs(channel, self.recorder.received[0][1])
        self.assertTrue(channel.secure)

    async def test_refused(self) -> None:
        """Without one, or with that of another, nothing is heard; it is counted."""
        transports = self.listen()
        for number, issued in enumerate((None, pbxCertificate(dns("other.example"))), 1):
            stream = await self.call(transports.listening[0], issued)
            stream.say(REQUEST)
            await self.closed(stream)
            self.assertEqual((stream.heard, transports.handshakes), (b"", number))
        self.assertEqual((self.recorder.received, transports.strangers), ([], 0))

    async def test_notAsked(self) -> None:
        """With pins alone the PBX is heard without one; what we begin takes a connection that is verified."""
        itself = pbxCertificate((), authority("PBX itself"))
        streams, port = self.server(itself)
        transports = self.listen(roots=False, pins=[keyPin(itself.certificate)], pbx=f"tls:127.0.0.1:{port}")
        stream = await self.call(transports.listening[0])
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        own = self.recorder.received[0][1]
        self.assertFalse(own.secure)
        channel = await self.found(transports, f"sip:127.0.0.1:{port};transport=tls")
        self.assertIsNot(channel, own)
        self.assertTrue(channel.secure)

    async def test_registered(self) -> None:
        """A PBX that cannot be verified is reached by its own connection, and never by one of ours."""
        transports = self.listen(roots=False, pbx=None)
        with self.assertRaises(NoTarget) as caught:
            await self.found(transports, "sip:127.0.0.1:5099;transport=tls")
        self.assertIn("is not configured", str(caught.exception))
        stream = await self.call(transports.listening[0])
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        channel = await self.found(transports, "sip:127.0.0.1:5099;transport=tls")
        self.assertIs(channel, self.recorder.received[0][1])

    async def test_strangers(self) -> None:
        """A stranger gets no octet, and is counted; garbage of a friend ends its connection alone."""
        transports = self.listen(allow=("127.0.0.1",))
        address = transports.listening[0]
        for source, counts in (("127.0.0.2", (1, 0)), ("127.0.0.1", (1, 1))):
            endpoint = TCP4ClientEndpoint(self.reactor, address.host, address.port, bindAddress=(source, 0))
            stream = await connectProtocol(endpoint, Stream())
            stream.say(REQUEST)
            await self.closed(stream)
            self.assertEqual((transports.strangers, transports.handshakes), counts)
            self.assertEqual(b"SIP" in stream.heard, False)
            self.assertTrue(counts[1] or stream.heard == b"")
        friend = await self.call(address, pbxCertificate())
        friend.say(REQUEST.replace(b"CSeq: 1", b"CSeq: x"))
        await self.until(lambda: friend.heard)
        self.assertEqual((friend.statuses(), transports.malformed), ([400], 1))

    async def test_stop(self) -> None:
        """Connections are closed and handshakes given up when it says that it has stopped."""
        transports = self.listen()
        stream = await self.call(transports.listening[0], pbxCertificate())
        stream.say(REQUEST)
        address = transports.listening[0]
        silent = await connectProtocol(TCP4ClientEndpoint(self.reactor, address.host, address.port), Stream())
        await self.until(lambda: self.recorder.received)
        await transports.stop()
        await self.until(lambda: self.recorder.lost and stream.closed and silent.closed)
        self.assertEqual(transports.handshakes, 0)


