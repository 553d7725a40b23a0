"""Peers without manners: they say any octets, and keep what they hear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Protocol, connectionDone
from twisted.python.failure import Failure

from skypetrunk.wire.framing import StreamFramer


class Datagrams(DatagramProtocol):
    """
    A UDP socket.

    @ivar heard: datagrams, as they came.
    """

    noisy = False

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def say(self, data: bytes) -> None:
        """Send one datagram, to where it is connected."""
        transport: Any = self.transport
        transport.write(data)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Keep it."""
        self.heard.append(datagram)

    def statuses(self) -> list[int]:
        """Of the responses among what was heard."""
        return _statuses(self.heard)


class Stream(Protocol):
    """
    A TCP connection.

    @ivar heard: everything, as it came.
    @ivar closed: the other side has ended it.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.closed = False

    def say(self, data: bytes) -> None:
        """Write some octets."""
        transport: Any = self.transport
        transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.closed = True

    def statuses(self) -> list[int]:
        """Of the responses among what was heard."""
        return _statuses(each for each in StreamFramer().receive(self.heard) if isinstance(each, bytes))


def _statuses(heard: Iterable[bytes]) -> list[int]:
    """Also of answers that repeat what was wrong with the request."""
    return [int(each.split()[1]) for each in heard if each.startswith(b"SIP/2.0 ")]


def mutated(octets: bytes, random: Any) -> bytes:
    """C{octets} with one to four things wrong."""
    data = bytearray(octets)
    for _ in range(random.randint(1, 4)):
        if not data:
            break
        start = random.randrange(len(data))
        end = min(len(data), start + random.randint(1, 40))
        match random.randrange(6):
            case 0:
                data[start] = random.randrange(256)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start:end] * random.randint(1, 5)
            case 3:
                data[start:start] = random.choice(_ODDITIES)
            case 4:
                data[start:end] = random.choice(_ODDITIES)
            case 5 if random.random() < 0.3:
                del data[start:]
            case _:
                data[start] ^= 1 << random.randrange(8)
    return bytes(data)


_ODDITIES = (
    b"\x00",
    b"\xff\xfe",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\t",
    b";",
    b",",
    b'"',
    b"<",
    b"%",
    b"[::",
    b"4294967296",
    b"-1",
    b"99999999999999999999",
    b"\xc3\xa4",
    b"SIP/2.0",
    b"Via: ",
    b"Contact: *\r\n",
    b"Content-Length: 5\r\n",
    b";tag=x;tag=y",
    b";maddr=127.0.0.99",
    b";transport=sctp",
)
