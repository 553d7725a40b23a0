"""rtpengine as the end of a stream: its SRTP is its own, not libsrtp's, and it passes on what it has read."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import Peer, program

_CRYPTO = re.compile(rb"a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/=]+)")
_MEDIA = re.compile(rb"m=audio (\d+) ")

Value = str | Sequence[str]


def _encode(value: Value | bytes) -> bytes:
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, str):
        return _encode(value.encode())
    return b"l" + b"".join(map(_encode, value)) + b"e"


class RTPEngine(Peer):
    """
    One process, asked over its NG protocol.

    @ivar address: of its media.
    """

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch, "rtpengine")
        self.address = host(71)
        self._ng = takePorts(self.address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._asked = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        first = takePorts(self.address, 100)
        options = ["--foreground", "--log-stderr", "--table=-1", "--num-threads=1", "--log-level=6"]
        options += [f"--interface={self.address}", f"--listen-ng={self.address}:{self._ng}"]
        options += [f"--listen-cli={self.address}:{takePorts(self.address)}"]
        options += [f"--pidfile={self.scratch}/pid", f"--port-min={first}", f"--port-max={first + 99}"]
        self.launch([program("rtpengine"), *options])
        self._socket.settimeout(1)
        self._socket.connect((self.address, self._ng))
        self.waitFor(self._answers, 5, "answer")

    def _answers(self) -> bool:
        try:
            self._ask({"command": "ping"})
        except OSError:
            return False
        return True

    def stop(self, seconds: float = 5.0) -> int | None:
        """See L{Peer.stop}."""
        self._socket.close()
        return super().stop(seconds)

    def _ask(self, values: Mapping[str, Value]) -> bytes:
        self._asked += 1
        pairs = b"".join(_encode(key) + _encode(values[key]) for key in sorted(values))
        self._socket.send(b"%d d%be" % (self._asked, pairs))
        answer = self._socket.recv(65536)
        assert b"6:result2:ok" in answer or b"6:result4:pong" in answer, answer
        return answer

    def end(
        self,
        name: str,
        secure: tuple[str, int],
        suite: str,
        key: bytes,
        plain: tuple[str, int],
        together: bool = False,
    ) -> tuple[int, bytes, int]:
        """
        A call between somebody with SRTP, and somebody with RTP who gets what it decrypts.

        @param secure: where the first one receives; C{key}, what it sends with.
        @param plain: where the second one receives.
        @param together: the first one has RTCP on the port of RTP (RFC 5761).
        @return: the port that the first one sends to, the key of the SRTP that it gets, and the port that the
            second one sends to.
        """
        call = _call(name)
        if together:
            call["rtcp-mux"] = ["accept"]
        line = _line(1, suite, key)
        if together:
            line += "a=rtcp-mux\r\n"
        offer = {"command": "offer", "transport-protocol": "RTP/AVP", "sdp": _description(secure, line)}
        offered = _MEDIA.search(self._ask({**call, **offer}))
        answer = {"command": "answer", "to-tag": "b", "sdp": _description(plain)}
        found = self._ask({**call, **answer})
        media, crypto = _MEDIA.search(found), _CRYPTO.search(found)
        assert (b"a=rtcp-mux" in found) == together, found
        assert offered and media and crypto and crypto[2] == suite.encode(), found
        return int(media[1]), base64.b64decode(crypto[3] + b"==="), int(offered[1])

    def offer(self, name: str, suite: str, plain: tuple[str, int]) -> tuple[int, int, bytes]:
        """
        The same call from the other end: somebody with RTP calls somebody with SRTP.

        @return: the port that the called one sends to, and tag and key of the suite for it, of all that are
            offered.
        """
        offer = {"command": "offer", "transport-protocol": "RTP/SAVP", "sdp": _description(plain)}
        found = self._ask({**_call(name), **offer})
        media = _MEDIA.search(found)
        lines = {each[2]: each for each in _CRYPTO.finditer(found)}
        assert media and suite.encode() in lines, found
        line = lines[suite.encode()]
        return int(media[1]), int(line[1]), base64.b64decode(line[3] + b"===")

    def answer(self, name: str, secure: tuple[str, int], suite: str, tag: int, key: bytes) -> int:
        """
        The called one has answered; C{tag} says what it has chosen.

        @return: the port that the caller sends to.
        """
        answer = {"command": "answer", "to-tag": "b", "sdp": _description(secure, _line(tag, suite, key))}
        found = self._ask({**_call(name), **answer})
        media = _MEDIA.search(found)
        assert media and b"RTP/AVP" in found, found
        return int(media[1])


def _call(name: str) -> dict[str, Value]:
    return {"call-id": name, "from-tag": "a", "ICE": "remove", "DTLS": "off"}


def _line(tag: int, suite: str, key: bytes) -> str:
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}\r\n"


def _description(place: tuple[str, int], crypto: str = "") -> str:
    address, port = place
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/{'SAVP' if crypto else 'AVP'} 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n{crypto}"
    )
