"""Tests of L{skypetrunk.wire.framing}."""

from __future__ import annotations

from collections.abc import Iterable
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import LimitExceeded, MalformedMessage
from skypetrunk.wire.framing import PING, PONG, Frame, Limits, StreamFramer
from skypetrunk.wire.message import Request, Response, parseMessage
from tests.wire.strategies import messages

HEAD = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n"
ONE = HEAD + b"Content-Length: 5\r\n\r\n\r\n\r\nx"
TWO = HEAD + b"l :\r\n  0003\r\nX: y\r\n\r\nabc"
EMPTY = HEAD + b"CONTENT-LENGTH:0\r\n\r\n"


def feed(framer: StreamFramer, pieces: Iterable[bytes]) -> list[Frame]:
    """What comes out of C{pieces}, one after another."""
    return [frame for piece in pieces for frame in framer.receive(piece)]


def octet(data: bytes) -> list[bytes]:
    """C{data} in pieces of one octet."""
    return [data[at : at + 1] for at in range(len(data))]


class Framing(SynchronousTestCase):
    """Messages cut by Content-Length (RFC 3261 section 18.3)."""

    def test_everySplit(self) -> None:
        """Wherever the stream is cut, the same messages come out."""
        stream, wanted = ONE + TWO + EMPTY + ONE, [ONE, TWO, EMPTY, ONE]
        self.assertEqual(StreamFramer().receive(stream), wanted)
        self.assertEqual(feed(StreamFramer(), octet(stream)), wanted)
        for at in range(len(stream) + 1):
            self.assertEqual(feed(StreamFramer(), [stream[:at], stream[at:]]), wanted, at)

    def test_everyTwoSplits(self) -> None:
        """Two cuts in one message with a folded length."""
        for one in range(len(TWO) + 1):
            for other in range(one, len(TWO) + 1):
                pieces = [TWO[:one], TWO[one:other], TWO[other:]]
                self.assertEqual(feed(StreamFramer(), pieces), [TWO])

    def test_asSoonAsComplete(self) -> None:
        """A message comes out with its last octet, not later."""
        framer = StreamFramer()
        self.assertEqual(framer.receive(ONE[:-1]), [])
        self.assertEqual(framer.receive(ONE[-1:]), [ONE])
        self.assertEqual(framer.receive(b""), [])

    @settings(max_examples=30)
    @given(st.lists(messages(), max_size=3), st.lists(st.integers(1, 50)))
    def test_anyMessages(self, sent: list[Request | Response], sizes: list[int]) -> None:
        """Any messages in any pieces are what was sent."""
        stream = b"".join(message.encode() for message in sent)
        pieces = []
        for size in sizes:
            pieces.append(stream[:size])
            stream = stream[size:]
        frames = feed(StreamFramer(), [*pieces, stream])
        received = [parseMessage(frame, stream=True) for frame in frames if isinstance(frame, bytes)]
        self.assertEqual([message.withoutHeader("l") for message in received], sent)

    def test_decoys(self) -> None:
        """Only a header line of that name counts: no folded line, no body, no longer name."""
        for decoy in (
            b"Subject: x\r\n Content-Length: 9\r\n",
            b"X-Content-Length: 9\r\n",
            b"Content-Length-X: 9\r\n",
            b"Xl: 9\r\n",
            b"Subject: Content-Length: 9\r\n",
        ):
            message = HEAD + decoy + b"Content-Length: 1\r\n\r\nx"
            self.assertEqual(StreamFramer().receive(message), [message], decoy)

    def test_lengthRefused(self) -> None:
        """Missing, repeated or no number: the stream cannot be followed, but be answered (section 20.14)."""
        for lengths in (
            b"",
            b"l: 1\r\nContent-Length: 1\r\n",
            b"l: 1\r\nl: 2\r\n",
            b"l: -1\r\n",
            b"l: +1\r\n",
            b"l:\r\n",
            b"l: 1 1\r\n",
            b"l: 1\r\n 1\r\n",
            b"l: x\r\n",
            b"l: \xd9\xa1\r\n",
            b"l: 99999999999\r\n",
        ):
            error = self.assertRaises(MalformedMessage, StreamFramer().receive, HEAD + lengths + b"\r\n")
            self.assertEqual((error.status, error.silent), (400, False), lengths)
            assert error.message is not None
            self.assertEqual(error.message.method, "OPTIONS")

    def test_nothingLostBeforeFailure(self) -> None:
        """What was complete is given out; the failure is known at once and raised from then on."""
        framer = StreamFramer()
        self.assertEqual(framer.receive(ONE + b"\r\n" + HEAD + b"\r\n"), [ONE, PONG])
        self.assertIsInstance(framer.failure, MalformedMessage)
        for data in (b"", ONE):
            self.assertRaises(MalformedMessage, framer.receive, data)

    def test_broken(self) -> None:
        """A CR that begins no line is refused at once."""
        self.assertRaises(MalformedMessage, StreamFramer().receive, b"\rX")


class KeepAlives(SynchronousTestCase):
    """CRLF between messages (RFC 5626 section 4.4.1)."""

    def test_pongs(self) -> None:
        """RFC 5626 section 3.5.1: the pongs of two pings of ours, with nothing between, are no ping."""
        framer = StreamFramer()
        for _ in range(3):
            framer.pinged()
            self.assertEqual(framer.receive(b"\r"), [])
            self.assertEqual(framer.receive(b"\n"), [PONG])
        self.assertEqual(framer.receive(b"\r\n"), [PONG])
        self.assertEqual(framer.receive(b"\r\n"), [PING])
        framer.pinged()
        self.assertEqual(framer.receive(b"\r\n\r\n"), [PING])
        self.assertEqual(framer.receive(b"\r\n" + ONE), [PONG, ONE])

    def test_ping(self) -> None:
        """Two CRLF, before, between and after messages."""
        ping = b"\r\n\r\n"
        self.assertEqual(StreamFramer().receive(ping), [PING])
        self.assertEqual(
            StreamFramer().receive(ping + ONE + ping + ping + TWO + ping), [PING, ONE, PING, PING, TWO, PING]
        )

    def test_pong(self) -> None:
        """One CRLF, at once."""
        framer = StreamFramer()
        self.assertEqual(framer.receive(b"\r"), [])
        self.assertEqual(framer.receive(b"\n"), [PONG])
        self.assertEqual(StreamFramer().receive(b"\r\n" + ONE + b"\r\n" + TWO), [PONG, ONE, PONG, TWO])
        self.assertEqual(StreamFramer().receive(b"\r\n\r\n\r\n"), [PING, PONG])

    def test_everySplit(self) -> None:
        """However a ping is cut, it is seen once, and the messages around it are unharmed."""
        stream = ONE + b"\r\n\r\n" + TWO
        for pieces in ([stream[:at], stream[at:]] for at in range(len(stream))):
            frames = feed(StreamFramer(), pieces)
            self.assertEqual([frame for frame in frames if frame is not PONG], [ONE, PING, TWO])
        frames = feed(StreamFramer(), octet(stream))
        self.assertEqual(frames, [ONE, PONG, PING, TWO])

    def test_notAcrossMessages(self) -> None:
        """A CRLF before and one after a message are no ping."""
        framer = StreamFramer()
        self.assertEqual(feed(framer, [b"\r\n", ONE, b"\r\n"]), [PONG, ONE, PONG])


class Limiting(SynchronousTestCase):
    """Limits bite on what is unfinished, whole or in pieces."""

    def exceeded(self, limits: Limits, data: bytes) -> None:
        """C{data} breaks C{limits} however it comes; in single octets before it is all there."""
        error = self.assertRaises(LimitExceeded, StreamFramer(limits).receive, data)
        self.assertEqual(error.status, 513)
        framer = StreamFramer(limits)
        taken = 0
        while framer.failure is None and taken < len(data):
            try:
                framer.receive(data[taken : taken + 1])
            except LimitExceeded as e:
                self.assertEqual(str(e), str(error))
                return
            taken += 1
        self.fail("never noticed")

    def test_line(self) -> None:
        """A line that does not end, or ends too late."""
        limits = Limits(line=100)
        self.exceeded(limits, b"X" * 101)
        self.exceeded(limits, HEAD + b"X: " + b"x" * 98 + b"\r\nl: 0\r\n\r\n")
        self.exceeded(limits, HEAD + b"X: " + b"x" * 98 + b"\r\n" + b"Y: y\r\n" * 20 + b"l: 0\r\n\r\n")
        exact = HEAD + b"X: " + b"x" * 97 + b"\r\nl: 0\r\n\r\n"
        self.assertEqual(StreamFramer(limits).receive(exact), [exact])
        self.assertEqual(feed(StreamFramer(limits), octet(exact)), [exact])

    def test_headerBlock(self) -> None:
        """Many lines within their limit."""
        self.exceeded(Limits(headerBlock=500), HEAD + b"X: y\r\n" * 100 + b"l: 0\r\n\r\n")

    def test_headerCount(self) -> None:
        """As many as allowed, and one more; folded lines count, as they cost the same."""
        limits = Limits(headerCount=4)
        for line in (b"X: y\r\n", b" x\r\n"):
            exact = HEAD + line * 2 + b"l: 0\r\n\r\n"
            self.assertEqual(StreamFramer(limits).receive(exact), [exact])
            self.assertEqual(feed(StreamFramer(limits), octet(exact)), [exact])
            self.exceeded(limits, HEAD + line * 4 + b"l: 0\r\n\r\n")

    def test_body(self) -> None:
        """Refused by its announcement, before any octet of it came."""
        limits = Limits(body=10)
        self.exceeded(limits, HEAD + b"l: 11\r\n\r\n")
        exact = HEAD + b"l: 10\r\n\r\n0123456789"
        self.assertEqual(StreamFramer(limits).receive(exact), [exact])

    def test_answerable(self) -> None:
        """What exceeds a limit can be answered from the headers that came."""
        error = self.assertRaises(LimitExceeded, StreamFramer().receive, HEAD + b"X: " + b"x" * 10000)
        assert error.message is not None
        self.assertEqual(error.message.topVia.transport, "TCP")
        error = self.assertRaises(LimitExceeded, StreamFramer().receive, b"x" * 10000)
        self.assertTrue(error.silent)

    def test_answerableWithBody(self) -> None:
        """The answer to too large a body is built of the headers alone, whatever the body begins with."""
        for body in (b" x", b"\tx\r\n\r\n y", b"Via: SIP/2.0/TCP other\r\n"):
            stream = HEAD + b"X: y\r\n z\r\nContent-Length: 99999999\r\n\r\n" + body
            for pieces in ([stream], octet(stream)):
                error = self.assertRaises(LimitExceeded, feed, StreamFramer(), pieces)
                assert error.message is not None
                self.assertEqual([name for name, _ in error.message.headers], ["Via", "X", "Content-Length"])

    def test_memory(self) -> None:
        """What failed is not kept."""
        framer = StreamFramer(Limits(line=100))
        self.assertRaises(LimitExceeded, framer.receive, b"X" * 100000)
        self.assertEqual(len(framer._buffer), 0)

    def test_linear(self) -> None:
        """A slow peer's octets are not searched again and again, nor are many messages at once."""
        limits = Limits(line=70000, headerBlock=70000, headerCount=70000, body=10**7)
        before = process_time()
        for data in (b"x" * 30000, b"\r\r\n" * 10000, b"X:y\r\n" * 6000, b" " * 30000):
            framer = StreamFramer(limits)
            feed(framer, octet(b"A" + data))
        framer = StreamFramer(limits)
        feed(framer, [HEAD + b"l: 10000000\r\n\r\n", *[b"x" * 200] * 50000])
        self.assertEqual(len(StreamFramer().receive(EMPTY * 10000)), 10000)
        self.assertEqual(len(StreamFramer().receive(b"\r\n" * 32768)), 16384)
        self.assertLess(process_time() - before, 5.0)
