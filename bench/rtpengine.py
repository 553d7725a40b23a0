"""rtpengine in userspace as a relay, asked over its NG protocol."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import messages
from bench.carrier import KEY
from bench.media import Load
from bench.processes import Failed, Program, find, takePorts
from bench.trunk import HOST, mediaPorts

_SUITE = re.compile(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 ")


def _encode(values: Mapping[str, str | bytes]) -> bytes:
    """Bencode a flat dictionary."""
    parts = [b"d"]
    for key in sorted(values):
        value = values[key]
        for text in (key.encode(), value.encode() if isinstance(value, str) else value):
            parts.append(b"%d:%b" % (len(text), text))
    return b"".join([*parts, b"e"])


class _Control:
    """The NG socket."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(1)
        self._socket.connect((HOST, port))
        self._asked = 0

    def ask(self, values: Mapping[str, str | bytes]) -> bytes:
        """
        Send a command.

        @return: its answer, still encoded: what is wanted of it is only looked for.
        @raise Failed: anything but ok.
        """
        self._asked += 1
        self._socket.send(b"%d %b" % (self._asked, _encode(values)))
        answer = self._socket.recv(65536)
        if b"6:result2:ok" not in answer and b"6:result4:pong" not in answer:
            raise Failed(f"rtpengine: {answer.decode('utf-8', 'replace')}")
        return answer

    def isReady(self) -> bool:
        """Does it answer?"""
        try:
            self.ask({"command": "ping"})
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give back the port."""
        self._socket.close()


@contextlib.contextmanager
def rtpengine(calls: int) -> Iterator[tuple[Program, Load]]:
    """
    One thread of it, with C{calls} between RTP and SRTP.

    @raise Missing: it is not installed.
    """
    command = find("rtpengine", "apt-get install rtpengine-daemon")
    port, (first, last) = takePorts(HOST), mediaPorts(calls)
    load = Load(calls)
    control = _Control(port)
    with tempfile.TemporaryDirectory(prefix="skypetrunk-bench-") as directory:
        # Several at once: none of the ports of its configuration file.
        options = ["--config-file=none", "--foreground", "--log-stderr", "--table=-1"]
        options += ["--num-threads=1", "--log-level=3"]
        options += [f"--interface={HOST}", f"--listen-ng={HOST}:{port}", f"--pidfile={directory}/pid"]
        options += [f"--port-min={first}", f"--port-max={last}"]
        program = Program([command, *options], Path(directory), "rtpengine")
        try:
            program.waitUntil(control.isReady, 5)
            plain, secure = [], []
            for number, (one, other) in enumerate(zip(load.plainPorts, load.securePorts, strict=True)):
                call = {"call-id": f"call{number}", "from-tag": "a", "ICE": "remove", "DTLS": "off"}
                offer = messages.description(HOST, one, None)
                asked = {"command": "offer", "transport-protocol": "RTP/SAVP"}
                offered = control.ask({**call, **asked, "sdp": offer})
                secure.append(_media(offered))
                answer = messages.description(HOST, other, _chosen(offered))
                asked = {"command": "answer", "transport-protocol": "RTP/AVP", "to-tag": "b"}
                plain.append(_media(control.ask({**call, **asked, "sdp": answer})))
            load.connect(plain, secure)
            yield program, load
        finally:
            control.close()
            program.stop()
            load.close()


def _media(answer: bytes) -> tuple[str, int]:
    found = messages.media(answer)
    if found is None:
        raise Failed("rtpengine gave no media address")
    return found


def _chosen(offered: bytes) -> bytes:
    """Our line for that of its lines that has the suite of the trunk."""
    found = _SUITE.search(offered)
    if found is None:
        raise Failed("rtpengine did not offer AES_CM_128_HMAC_SHA1_80")
    return b"%b AES_CM_128_HMAC_SHA1_80 inline:%b" % (found[1], base64.b64encode(KEY))
