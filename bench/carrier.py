"""A carrier that answers every call at once, over TLS or UDP, in a thread of the benchmark."""

from __future__ import annotations

import base64
import contextlib
import datetime
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import messages
from skypetrunk.lab.authority import Authority
from skypetrunk.lab.leaves import carrierIdentity

DOMAIN = "carrier.example"

KEY = bytes(range(30))
"""Master key and salt of what the carrier sends, the same in all calls."""

_CRYPTO = b"1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(KEY)
_CHALLENGE = b'Proxy-Authenticate: Digest realm="carrier.example", nonce="%d", algorithm=MD5, qop="auth"\r\n'


class Carrier:
    """
    Answers INVITE with 180 and 200, and everything else with 200.

    @ivar address: where its signalling listens.
    @ivar media: by media port of the carrier, where the other side wants to have audio.
    """

    def __init__(self, host: str, port: int, mediaPorts: Sequence[int], challenging: bool = False) -> None:
        """
        @param mediaPorts: the audio ports of its answers, by place.
        @param challenging: each INVITE and BYE without credentials gets 407, as Skype's did.
        """
        self.address = (host, port)
        self.media: dict[int, tuple[str, int]] = {}
        self._ports = mediaPorts
        self._challenging = challenging
        self._nonces = itertools.count()
        self._crypto: bytes | None = None
        self._stopped = False
        self._listener: socket.socket | None = None

    def startTLS(self, directory: Path) -> Path:
        """
        Listen for TLS.

        @return: file with the CA's certificate.
        """
        authority = Authority(datetime.datetime.now(datetime.UTC))
        identity = carrierIdentity(authority, DOMAIN, DOMAIN, datetime.datetime.now(datetime.UTC))
        caFile, ownFile = directory / "ca.pem", directory / "carrier.pem"
        caFile.write_bytes(authority.rootPEM)
        ownFile.write_bytes(identity.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ownFile)
        listener = socket.create_server(self.address)
        self._listener = listener
        self._crypto = _CRYPTO
        self._start(lambda: self._acceptTLS(listener, context))
        return caFile

    def startUDP(self) -> None:
        """Listen for UDP."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(self.address)
        self._listener = listener
        self._start(lambda: self._answerDatagrams(listener))

    def stop(self) -> None:
        """Listen no more; connections end with their peer."""
        self._stopped = True
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _start(self, run: Callable[[], None]) -> None:
        threading.Thread(target=run, daemon=True).start()

    def _acceptTLS(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError):
            while not self._stopped:
                plain, _ = listener.accept()
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = context.wrap_socket(plain, server_side=True)
                self._start(lambda connection=connection: self._answerStream(connection))  # type: ignore[misc]

    def _answerStream(self, connection: socket.socket) -> None:
        received = bytearray()
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                received += data
                for request in messages.split(received):
                    for each in self._answers(request):
                        connection.sendall(each)

    def _answerDatagrams(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self._stopped:
                request, peer = listener.recvfrom(65536)
                if peer is None:  # shut down
                    return
                for each in self._answers(request):
                    listener.sendto(each, peer)

    def _answers(self, request: bytes) -> list[bytes]:
        method = request.partition(b" ")[0]
        if method == b"ACK" or request.startswith(b"SIP/2.0"):
            return []
        if self._challenging and method in (b"INVITE", b"BYE") and b"uthorization:" not in request:
            challenge = _CHALLENGE % next(self._nonces)
            return [messages.answer(request, b"407 Proxy Authentication Required", challenge)]
        if method == b"REGISTER":
            uri = messages.contact(request) or b""
            return [messages.answer(request, b"200 OK", b"Contact: <%b>;expires=3600\r\n" % uri)]
        if method != b"INVITE":
            return [messages.answer(request, b"200 OK")]
        host, port = self.address
        transport = b";transport=tls" if self._crypto else b""
        headers = b"Contact: <sip:carrier@%b:%d%b>\r\n" % (host.encode(), port, transport)
        audio = self._ports[messages.place(request)]
        wanted = messages.media(request)
        if wanted is not None:
            self.media[audio] = wanted
        body = messages.description(host, audio, self._crypto)
        return [
            messages.answer(request, b"180 Ringing", headers),
            messages.answer(request, b"200 OK", headers + b"Content-Type: application/sdp\r\n", body),
        ]
