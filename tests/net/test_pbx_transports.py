"""The PBX side's transports, over real sockets on loopback."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_network
from itertools import count
from random import randrange
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed, NoTarget
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, IPBXDialect, ISizedChannel
from skypetrunk.net import signalling
from skypetrunk.net.pbx_transports import PBXTransports
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.wire.address import TransportAddress, parseAddress
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.net.hostile import Datagrams, Stream

REQUEST = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Recorder:
    """
    Stands for the transactions.

    @ivar received: messages, with their channels.
    @ivar lost: channels that are gone.
    """

    def __init__(self) -> None:
        self.received: list[tuple[Request | Response, IMessageChannel]] = []
        self.lost: list[IMessageChannel] = []

    def messageReceived(self, message: Request | Response, channel: IMessageChannel) -> None:
        """Keep it."""
        self.received.append((message, channel))

    def channelLost(self, channel: IMessageChannel, reason: Exception) -> None:
        """Keep it."""
        self.lost.append(channel)


class TransportsCase(TestCase):
    """
    A PBX's transports.

    @ivar recorder: what they hand on.
    """

    timeout = 20

    def setUp(self) -> None:
        """Nothing listens yet."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.recorder = Recorder()

    def listen(
        self,
        *addresses: str,
        pbx: str = "udp:127.0.0.1:9",
        allow: tuple[str, ...] = ("127.0.0.1",),
        dialect: IPBXDialect | None = None,
        others: tuple[str, ...] = (),
        registered: Callable[[], TransportAddress | None] | None = None,
    ) -> PBXTransports:
        """
        Transports that listen at ports of the system's.

        @param registered: where the PBX is, in place of C{pbx}.
        """
        tokens = count(1)
        transports = PBXTransports(
            self.reactor,
            self.reactor,
            lambda: f"t{next(tokens)}",
            [TransportAddress(*address) for address in map(_split, addresses)],
            parseAddress(pbx) if registered is None else None,
            [ip_network(each) for each in allow],
            others=[parseAddress(each) for each in others],
            preferred=registered,
            dialect=dialect,
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

    async def stream(self, address: TransportAddress, source: str = "127.0.0.1") -> Stream:
        """A connection of somebody."""
        endpoint = TCP4ClientEndpoint(self.reactor, address.host, address.port, bindAddress=(source, 0))
        stream: Stream = await connectProtocol(endpoint, Stream())
        self.addCleanup(self.gone, stream)
        return stream

    async def stream6(self, address: TransportAddress) -> Stream:
        """The same by IPv6."""
        endpoint = TCP6ClientEndpoint(self.reactor, address.host, address.port)
        stream: Stream = await connectProtocol(endpoint, Stream())
        self.addCleanup(self.gone, stream)
        return stream

    async def gone(self, stream: Stream) -> None:
        """Wait for its end."""
        transport: Any = stream.transport
        transport.abortConnection()
        await self.until(lambda: stream.closed)

    def datagrams(self, source: str = "127.0.0.1") -> tuple[Datagrams, int]:
        """A UDP socket of somebody, and its port."""
        protocol = Datagrams()
        port = self.reactor.listenUDP(0, protocol, interface=source)
        self.addCleanup(port.stopListening)
        return protocol, port.getHost().port

    def server(self, host: str = "127.0.0.1") -> tuple[list[Stream], int]:
        """A PBX that takes TCP connections: those it got, and its port."""
        streams: list[Stream] = []

        class Streams(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Stream:
                stream = Stream()
                streams.append(stream)
                return stream

        port = self.reactor.listenTCP(0, Streams(), interface=host)
        self.addCleanup(port.stopListening)

        async def end() -> None:
            for each in streams:
                await self.gone(each)

        self.addCleanup(end)
        return streams, port.getHost().port


class FindTests(TransportsCase):
    """Where requests to the PBX go (RFC 3261 section 8.1.2)."""

    async def test_datagrams(self) -> None:
        """A literal host; C{maddr} before it; the configured address for a name and a stranger."""
        transports = self.listen("udp:127.0.0.1:0", pbx="udp:127.0.0.1:5070", allow=("127.0.0.0/8",))
        self.assertTrue(verifyObject(IChannelFinder, transports))
        for uri, wanted in (
            ("sip:1001@127.0.0.2:5090", "udp:127.0.0.2:5090"),
            ("sip:1001@127.0.0.2", "udp:127.0.0.2:5060"),
            ("sip:1001@127.0.0.2:5090;maddr=127.0.0.3", "udp:127.0.0.3:5090"),
            ("sip:1001@pbx.example:5090", "udp:127.0.0.1:5070"),
            ("sip:1001@pbx.example;maddr=127.0.0.3", "udp:127.0.0.3:5060"),
            ("sip:1001@127.0.0.2;maddr=pbx.example", "udp:127.0.0.1:5070"),
            ("sip:1001@192.0.2.1:5090", "udp:127.0.0.1:5070"),
            ("sip:1001@127.0.0.2:5090;maddr=192.0.2.1", "udp:127.0.0.1:5070"),
            ("sip:1001@127.0.0.2:5090;transport=sctp", "udp:127.0.0.2:5090"),
            ("sip:1001@127.0.0.2:5090;transport=UDP", "udp:127.0.0.2:5090"),
        ):
            channel = await self.found(transports, uri)
            self.assertTrue(verifyObject(IMessageChannel, channel))
            self.assertEqual(str(channel.peer), wanted, uri)
            self.assertEqual(channel.localAddress, transports.listening[0])

    async def test_sends(self) -> None:
        """What is found leads there, from the address that listens."""
        transports = self.listen("udp:127.0.0.1:0")
        pbx, port = self.datagrams()
        channel = await self.found(transports, f"sip:1001@127.0.0.1:{port}")
        channel.send(_request())
        await self.until(lambda: pbx.heard)
        self.assertTrue(pbx.heard[0].startswith(b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"))

    async def test_connects(self) -> None:
        """Over TCP a connection is made, from the address that listens, and used again."""
        transports = self.listen("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        streams, port = self.server()
        uri = f"sip:1001@127.0.0.1:{port};transport=tcp"
        channel = await self.found(transports, uri)
        self.assertEqual(str(channel.peer), f"tcp:127.0.0.1:{port}")
        self.assertIs(await self.found(transports, uri), channel)
        channel.send(_request())
        await self.until(lambda: streams and streams[0].heard)
        self.assertEqual(len(streams), 1)
        streams[0].say(REQUEST)
        await self.until(lambda: self.recorder.received)
        self.assertIs(self.recorder.received[0][1], channel)

    async def test_reuse(self) -> None:
        """The PBX's own connection is the way back to it, whatever port its Contact names."""
        transports = self.listen("tcp:127.0.0.1:0", pbx="tcp:127.0.0.1:9")
        stream = await self.stream(transports.listening[0])
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        channel = await self.found(transports, "sip:1001@127.0.0.1:5099;transport=tcp")
        self.assertIs(channel, self.recorder.received[0][1])

    async def connected(self, transports: PBXTransports) -> tuple[Stream, IMessageChannel]:
        """Another connection of the PBX, and our end of it."""
        before = len(self.recorder.received)
        stream = await self.stream(transports.listening[0])
        stream.say(REQUEST)
        await self.until(lambda: len(self.recorder.received) > before)
        return stream, self.recorder.received[-1][1]

    async def test_newest(self) -> None:
        """
        A PBX that lost its power leaves connections behind which nobody hears: the newest is the way to it,
        unless one comes from the very port that is asked for.
        """
        transports = self.listen("tcp:127.0.0.1:0", pbx="tcp:127.0.0.1:9")
        pairs = [await self.connected(transports) for _ in range(6)]
        uri = "sip:1001@127.0.0.1:5099;transport=tcp"
        while pairs:
            stream, channel = pairs.pop()
            self.assertIs(await self.found(transports, uri), channel)
            for _, older in pairs:
                self.assertIs(await self.found(transports, f"sip:a@127.0.0.1:{older.peer.port}"), older)
            await self.gone(stream)
            await self.until(lambda: len(self.recorder.lost) + len(pairs) == 6)

    async def test_closing(self) -> None:
        """A connection that is being closed, while its peer does not read, is no way to anywhere."""
        transports = self.listen("tcp:127.0.0.1:0", registered=lambda: None)
        stream, channel = await self.connected(transports)
        deaf: Any = stream.transport
        deaf.pauseProducing()
        assert isinstance(channel, StreamSignalling)
        ours: Any = channel.transport
        ours.write(bytes(10**7))
        channel.close()
        self.assertRaises(ChannelFailed, channel.send, _request())
        uri = f"sip:1001@127.0.0.1:{channel.peer.port};transport=tcp"
        with self.assertRaises(NoTarget):
            await self.found(transports, uri)
        _, other = await self.connected(transports)
        self.assertIs(await self.found(transports, uri), other)
        deaf.resumeProducing()

    async def test_registeredFrom(self) -> None:
        """Where the PBX registers, the connection that it did so over comes before a newer one."""
        where: list[TransportAddress] = []
        transports = self.listen("tcp:127.0.0.1:0", registered=lambda: where[-1] if where else None)
        pairs = [await self.connected(transports) for _ in range(3)]
        for _, channel in pairs:
            where.append(channel.peer)
            for uri in ("sip:1001@127.0.0.1:5099", "sip:1001@192.0.2.7:40000;transport=tcp"):
                self.assertIs(await self.found(transports, uri), channel)

    async def test_registeredAndGone(self) -> None:
        """
        Nobody listens at a port that the PBX only called from: without a connection from its host that is
        said at once; a Contact that may be called is.
        """
        streams, port = self.server()
        where = TransportAddress("TCP", "127.0.0.1", port)
        transports = self.listen("tcp:127.0.0.1:0", registered=lambda: where)
        for uri in ("sip:office@192.0.2.7:40000;transport=tcp", "sip:office@pbx.example"):
            with self.assertRaises(NoTarget) as caught:
                await self.found(transports, uri)
            self.assertIn("registered over is gone", str(caught.exception))
        self.assertEqual(streams, [])
        again, channel = await self.connected(transports)
        self.assertIs(await self.found(transports, "sip:office@192.0.2.7:40000;transport=tcp"), channel)
        await self.gone(again)
        await self.until(lambda: self.recorder.lost)
        channel = await self.found(transports, f"sip:office@127.0.0.1:{port};transport=tcp")
        self.assertEqual(channel.peer, where)

    async def test_sameHost(self) -> None:
        """Two addresses at one host are two PBXes: neither gets what is for the other."""
        servers = [self.server() for _ in range(2)]
        first, second = (f"tcp:127.0.0.1:{port}" for _, port in servers)
        transports = self.listen("tcp:127.0.0.1:0", pbx=first, others=(second,))
        await self.connected(transports)
        for _ in range(2):
            for address, (_, port) in zip((first, second), servers, strict=True):
                channel = await self.found(transports, f"sip:1001@127.0.0.1:{port};transport=tcp")
                self.assertEqual(str(channel.peer), address)
        await self.until(lambda: all(len(streams) == 1 for streams, _ in servers))

    async def test_writtenOtherwise(self) -> None:
        """An IPv6 address is the same however it is written."""
        _need6()
        transports = self.listen("tcp:[::1]:0", registered=lambda: None, allow=("::1",))
        stream = await self.stream6(transports.listening[0])
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        channel = await self.found(transports, "sip:1001@[0:0:0:0:0:0:0:1]:5099;transport=tcp")
        self.assertIs(channel, self.recorder.received[0][1])

    async def test_lost(self) -> None:
        """The transactions are told that a connection ended; the next is a new one."""
        transports = self.listen("tcp:127.0.0.1:0")
        streams, port = self.server()
        uri = f"sip:1001@127.0.0.1:{port};transport=tcp"
        channel = await self.found(transports, uri)
        await self.until(lambda: streams)
        transport: Any = streams[0].transport
        transport.loseConnection()
        await self.until(lambda: self.recorder.lost)
        self.assertEqual(self.recorder.lost, [channel])
        self.assertRaises(ChannelFailed, channel.send, _request())
        again = await self.found(transports, uri)
        self.assertIsNot(again, channel)
        again.send(_request())
        await self.until(lambda: len(streams) == 2 and streams[1].heard)

    async def test_fallBack(self) -> None:
        """Where a Contact leads nowhere, requests go to the configured address."""
        pbx, port = self.datagrams()
        transports = self.listen("udp:127.0.0.1:0", "tcp:127.0.0.1:0", pbx=f"udp:127.0.0.1:{port}")
        channel = await self.found(transports, f"sip:1001@127.0.0.1:{_closed()};transport=tcp")
        self.assertEqual(str(channel.peer), f"udp:127.0.0.1:{port}")
        transports = self.listen("udp:127.0.0.1:0", pbx=f"udp:127.0.0.1:{port}", allow=("127.0.0.1", "::1"))
        channel = await self.found(transports, "sip:1001@[::1]:5090")
        self.assertEqual(str(channel.peer), f"udp:127.0.0.1:{port}")

    async def test_unreachable(self) -> None:
        """The configured address cannot be reached either: an error that names it."""
        port = _closed()
        transports = self.listen("tcp:127.0.0.1:0", pbx=f"tcp:127.0.0.1:{port}")
        for uri in ("sip:1001@pbx.example", f"sip:1001@127.0.0.1:{_closed()}"):
            with self.assertRaises(NoTarget) as caught:
                await self.found(transports, uri)
            self.assertIn(f"tcp:127.0.0.1:{port}", str(caught.exception))

    async def test_IPv6(self) -> None:
        """Both families at once, each from its own socket."""
        _need6()
        transports = self.listen("udp:127.0.0.1:0", "udp:[::1]:0", "tcp:[::1]:0", allow=("127.0.0.1", "::1"))
        self.assertEqual([each.host for each in transports.listening], ["127.0.0.1", "::1", "::1"])
        pbx, port = self.datagrams("::1")
        channel = await self.found(transports, f"sip:1001@[::1]:{port}")
        channel.send(_request())
        await self.until(lambda: pbx.heard)
        transport: Any = pbx.transport
        transport.write(REQUEST, ("::1", transports.listening[1].port))
        await self.until(lambda: self.recorder.received)
        self.assertIs(self.recorder.received[0][1], channel)
        streams, port = self.server("::1")
        channel = await self.found(transports, f"sip:1001@[::1]:{port};transport=tcp")
        self.assertEqual((str(channel.peer), channel.localAddress.host), (f"tcp:[::1]:{port}", "::1"))
        await self.until(lambda: streams)


class LargeTests(TransportsCase):
    """Requests that are too large for a datagram (RFC 3261 section 18.1.1)."""

    async def fitting(self, transports: PBXTransports, uri: str, octets: int) -> IMessageChannel:
        """The channel for a request of this size, which C{uri} names."""
        channel = await self.found(transports, uri)
        self.assertTrue(verifyObject(ISizedChannel, channel))
        return await ISizedChannel(channel).fitting(octets)

    async def test_18_1_1_stream(self) -> None:
        """More than 1300 octets go by TCP, to the port that takes datagrams."""
        transports = self.listen("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        streams, port = self.server()
        uri = f"sip:1001@127.0.0.1:{port}"
        small = await self.fitting(transports, uri, 1300)
        self.assertEqual(str(small.peer), f"udp:127.0.0.1:{port}")
        large = await self.fitting(transports, uri, 1301)
        self.assertEqual(str(large.peer), f"tcp:127.0.0.1:{port}")
        large.send(_request())
        await self.until(lambda: streams and streams[0].heard)
        self.assertIs(await self.fitting(transports, uri, 5000), large)

    async def test_18_1_1_refused(self) -> None:
        """Where no connection is taken they go by UDP, and it is said; it is not tried again soon."""
        transports = self.listen("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        uri = f"sip:1001@127.0.0.1:{_closed()}"
        events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        for problem in ("refused", "takes no connections"):
            channel = await self.fitting(transports, uri, 1301)
            self.assertEqual(channel.peer.transport, "UDP")
            (warning,) = (eventAsText(event) for event in events if event["log_level"] is LogLevel.warn)
            self.assertIn("1301 octets goes by UDP", warning)
            self.assertIn(problem, warning)
            events.clear()

    async def test_18_1_1_noStreams(self) -> None:
        """Without a TCP address of ours the PBX could not answer: UDP."""
        transports = self.listen("udp:127.0.0.1:0")
        streams, port = self.server()
        channel = await self.fitting(transports, f"sip:1001@127.0.0.1:{port}", 1301)
        self.assertEqual(channel.peer.transport, "UDP")
        await transports.stop()
        self.assertEqual((await ISizedChannel(channel).fitting(1301)).peer.transport, "UDP")
        self.assertEqual(streams, [])


class StrangerTests(TransportsCase):
    """Who is heard."""

    async def test_datagrams(self) -> None:
        """A stranger gets no answer, whatever it says, and is counted."""
        transports = self.listen("udp:127.0.0.1:0", allow=("127.0.0.1",))
        where = (transports.listening[0].host, transports.listening[0].port)
        stranger, _ = self.datagrams("127.0.0.2")
        friend, _ = self.datagrams()
        for protocol in (stranger, friend):
            transport: Any = protocol.transport
            transport.write(REQUEST, where)
            transport.write(REQUEST.replace(b"CSeq: 1", b"CSeq: x"), where)
        await self.until(lambda: friend.heard)
        self.assertEqual(friend.statuses(), [400])
        self.assertEqual((stranger.heard, transports.strangers, transports.malformed), ([], 2, 1))
        self.assertEqual(len(self.recorder.received), 1)

    async def test_streams(self) -> None:
        """A stranger's connection is closed without a word, and counted."""
        transports = self.listen("tcp:127.0.0.1:0", allow=("127.0.0.1",))
        stranger = await self.stream(transports.listening[0], "127.0.0.2")
        friend = await self.stream(transports.listening[0])
        stranger.say(REQUEST)
        friend.say(REQUEST.replace(b"CSeq: 1", b"CSeq: x") + REQUEST)
        await self.until(lambda: stranger.closed and self.recorder.received and friend.statuses())
        self.assertEqual((stranger.heard, transports.strangers, transports.malformed), (b"", 1, 1))
        self.assertEqual(friend.statuses(), [400])
        self.assertFalse(friend.closed)


class CrowdTests(TransportsCase):
    """Connections of those who are allowed."""

    async def heard(self, messages: int) -> None:
        """Wait until there are so many."""
        await self.until(lambda: len(self.recorder.received) == messages)

    async def test_tooMany(self) -> None:
        """Who has the most of them loses the one that was quiet the longest; others keep theirs."""
        self.patch(signalling.StreamSignallingFactory, "mostConnections", 4)
        transports = self.listen("tcp:127.0.0.1:0", allow=("127.0.0.0/8",))
        where = transports.listening[0]
        other = await self.stream(where, "127.0.0.2")
        streams = []
        for number in range(1, 4):
            stream = await self.stream(where)
            streams.append(stream)
            stream.say(REQUEST)
            await self.heard(number)
        # The first has said something since.
        streams[0].say(REQUEST)
        await self.heard(4)
        for number in (5, 6):
            newest = await self.stream(where)
            newest.say(REQUEST)
            await self.heard(number)
        await self.until(lambda: streams[1].closed and streams[2].closed)
        closed = [each.closed for each in (other, newest, *streams)]
        self.assertEqual(closed, [False, False, False, True, True])
        self.assertEqual((len(self.recorder.lost), transports.crowded, transports.strangers), (2, 2, 0))

    async def test_silent(self) -> None:
        """Connections that never say anything take none from who does; of many the log says one line."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        self.patch(signalling.StreamSignallingFactory, "mostConnections", 4)
        self.patch(signalling, "FIRST_WORDS", 0.0)
        transports = self.listen("tcp:127.0.0.1:0", allow=("127.0.0.0/8",))
        where = transports.listening[0]
        talker = await self.stream(where)
        talker.say(REQUEST)
        await self.heard(1)
        silent = [await self.stream(where) for _ in range(6)]
        await self.until(lambda: [each.closed for each in silent] == [True] * 3 + [False] * 3)
        self.assertEqual((talker.closed, transports.crowded), (False, 3))
        [line] = [each for each in map(eventAsText, events) if "too many" in each]
        self.assertIn("4 of this host (1 ended so far)", line)

    async def test_new(self) -> None:
        """One that has just come, and whose first message is on its way, is not the one that is ended."""
        self.patch(signalling.StreamSignallingFactory, "mostConnections", 3)
        transports = self.listen("tcp:127.0.0.1:0", allow=("127.0.0.0/8",))
        where = transports.listening[0]
        streams = [await self.stream(where) for _ in range(3)]
        for number, each in enumerate(streams, 1):
            each.say(REQUEST)
            await self.heard(number)
        new = [await self.stream(where) for _ in range(2)]
        for number, each in enumerate(new, 4):
            each.say(REQUEST)
            await self.heard(number)
        await self.until(lambda: transports.crowded == 2 and streams[1].closed)
        self.assertEqual([each.closed for each in (*streams, *new)], [True, True, False, False, False])


@implementer(IPBXDialect)
class Marked:
    """Says which way a message went."""

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """In."""
        return message.withHeader("X-Way", "in")

    def toPBX(self, message: Request | Response) -> Request | Response:
        """Out."""
        return message.withHeader("X-Way", "out")


class DialectTests(TransportsCase):
    """Everything that goes either way is translated."""

    async def test_datagrams(self) -> None:
        """What is received, what is sent, and the answer to what is malformed."""
        transports = self.listen("udp:127.0.0.1:0", dialect=Marked())
        pbx, port = self.datagrams()
        transport: Any = pbx.transport
        where = (transports.listening[0].host, transports.listening[0].port)
        transport.write(REQUEST, where)
        transport.write(REQUEST.replace(b"CSeq: 1", b"CSeq: x"), where)
        await self.until(lambda: self.recorder.received and pbx.heard)
        message, channel = self.recorder.received[0]
        self.assertEqual(message.header("X-Way"), "in")
        channel.send(_request())
        await self.until(lambda: len(pbx.heard) == 2)
        self.assertEqual([b"X-Way: out\r\n" in each for each in pbx.heard], [True, True])

    async def test_streams(self) -> None:
        """The same over TCP."""
        transports = self.listen("tcp:127.0.0.1:0", dialect=Marked())
        stream = await self.stream(transports.listening[0])
        stream.say(REQUEST + REQUEST.replace(b"CSeq: 1", b"CSeq: x"))
        await self.until(lambda: self.recorder.received and stream.heard)
        message, channel = self.recorder.received[0]
        self.assertEqual(message.header("X-Way"), "in")
        channel.send(_request())
        await self.until(lambda: stream.heard.count(b"X-Way: out\r\n") == 2)


class LifeTests(TransportsCase):
    """Beginning and end."""

    async def test_taken(self) -> None:
        """Where one address is taken, none stays bound."""
        # At an address of its own nobody else takes a port while it is free.
        host = f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}"
        taken = self.listen(f"tcp:{host}:0").listening[0].port
        free = self.listen(f"udp:{host}:0")
        port = free.listening[0].port
        await free.stop()
        with self.assertRaises(CannotListenError):
            self.listen(f"udp:{host}:{port}", f"tcp:{host}:{taken}")
        await deferLater(self.reactor, 0)
        self.assertEqual(str(self.listen(f"udp:{host}:{port}").listening[0]), f"udp:{host}:{port}")

    async def test_stop(self) -> None:
        """Ports and connections are closed when it says so, and nothing is found any more."""
        transports = self.listen("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        stream = await self.stream(transports.listening[1])
        stream.say(REQUEST)
        await self.until(lambda: self.recorder.received)
        await transports.stop()
        self.assertEqual(len(self.recorder.lost), 1)
        await self.until(lambda: stream.closed)
        for uri in ("sip:1001@127.0.0.1:5090", "sip:1001@127.0.0.1:5090;transport=tcp"):
            with self.assertRaises(NoTarget):
                await self.found(transports, uri)
        for address in transports.listening:
            self.listen(str(address))
        await transports.stop()

    async def test_stopWhileConnecting(self) -> None:
        """A connection that is on its way is given up."""
        # Its queue is full: further connections are neither taken nor refused.
        with socket.socket() as deaf, socket.socket() as filler:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            filler.connect(deaf.getsockname())
            port = deaf.getsockname()[1]
            transports = self.listen("tcp:127.0.0.1:0", pbx=f"tcp:127.0.0.1:{port}")
            found = transports.find(SIPURI("sip", None, None, "127.0.0.1", port))
            outcome: Counter[str] = Counter()
            found.addCallbacks(
                lambda channel: None, lambda failure: outcome.update([type(failure.value).__name__])
            )
            await deferLater(self.reactor, 0.05)
            stopped: Deferred[None] = transports.stop()
            await stopped
            self.assertEqual(outcome, {"NoTarget": 1})

    async def test_neverListened(self) -> None:
        """One that never listened stops, and finds nothing."""
        transports = PBXTransports(
            self.reactor, self.reactor, str, [], parseAddress("tcp:127.0.0.1:9"), [ip_network("127.0.0.1")]
        )
        with self.assertRaises(NoTarget):
            await self.found(transports, "sip:1001@127.0.0.1")
        self.assertEqual((transports.strangers, transports.malformed), (0, 0))
        await transports.stop()


def _split(text: str) -> tuple[str, str, int]:
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    return transport.upper(), host.strip("[]"), int(port)


def _need6() -> None:
    """@raise SkipTest: there is no IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
            trial.bind(("::1", 0))
    except OSError:
        raise SkipTest("there is no ::1 here") from None


def _closed() -> int:
    """A port where nobody listens."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _request() -> Request:
    return Request("OPTIONS", "sip:a@127.0.0.1", ())
