"""
SIP user agents in this process: the test reads each message, and writes the answer in time.

It is for calls whose descriptions depend on one another, which no scenario can know before.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import re
import select
import socket
import ssl
import threading
from collections.abc import Sequence

from tests.interop.rig.certificates import DOMAIN, Certificate
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.sip import Message

_SECONDS = 5
_PAUSE = 0.2
_numbers = itertools.count(1)


class Agent:
    """
    One end of the trunk.  What only keeps the connection (REGISTER, OPTIONS) it answers by itself.

    @ivar address: where it is; C{port} is its SIP port.
    @ivar contact: of the trunk, after its REGISTER.
    """

    def __init__(self, number: int, transport: str) -> None:
        """
        @param number: of its address, see L{host}.
        @param transport: for Via and Contact.
        """
        self.address = host(number)
        self.port = takePorts(self.address)
        self.transport = transport
        self.contact = ""
        self._messages: list[Message] = []
        self._came: queue.Queue[Message] = queue.Queue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._ending.set()
        self._thread.join(_SECONDS)

    def _read(self) -> None:
        raise NotImplementedError

    def _write(self, octets: bytes) -> None:
        raise NotImplementedError

    def messages(self) -> list[Message]:
        """All that it sent and received, but what keeps the connection."""
        return list(self._messages)

    def send(self, lines: Sequence[str], body: str = "") -> None:
        """Send one message, with what says how long its body is."""
        kind = ["Content-Type: application/sdp"] if body else []
        head = "\n".join([*lines, *kind, f"Content-Length: {len(body.encode()) + body.count(chr(10))}"])
        text = f"{head}\n\n{body}"
        self._messages.append(Message(text, sent=True))
        self._write(text.replace("\n", "\r\n").encode())

    def answer(self, request: Message, status: str, body: str = "", headers: Sequence[str] = ()) -> None:
        """Answer a request; one outside a dialog gets a tag."""
        lines = [f"SIP/2.0 {status}"]
        lines += [f"Via: {value}" for value in request.headers("Via")]
        to = request.header("To")
        lines += [f"From: {request.header('From')}", f"To: {to}{'' if ';tag=' in to else ';tag=answered'}"]
        lines += [f"Call-ID: {request.header('Call-ID')}", f"CSeq: {request.header('CSeq')}"]
        self.send([*lines, f"Contact: {self.place}", *headers], body)

    @property
    def place(self) -> str:
        """Its own Contact."""
        return f"<sip:agent@{self.address}:{self.port};transport={self.transport.lower()}>"

    @property
    def via(self) -> str:
        """A Via header for a new transaction."""
        branch = f"z9hG4bKagent{next(_numbers)}"
        return f"Via: SIP/2.0/{self.transport} {self.address}:{self.port};branch={branch};rport"

    def wait(self, start: str, callID: str = "") -> Message:
        """
        The next message with that start line, a regular expression; others are passed over.

        @raise AssertionError: none comes in time.
        """
        passed: list[str] = []
        while True:
            try:
                message = self._came.get(timeout=_SECONDS)
            except queue.Empty:
                raise AssertionError(f"waited for {start} in vain, there were {passed}") from None
            if re.match(start, message.startLine) and callID in message.header("Call-ID"):
                return message
            passed.append(message.startLine)

    def _take(self, octets: bytes) -> None:
        message = Message(octets.decode().replace("\r\n", "\n"), sent=False)
        method = message.startLine.split()[0]
        if method == "REGISTER":
            self.contact = message.header("Contact")
            lines = ["SIP/2.0 200 OK"]
            lines += [f"{name}: {message.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
            lines += [f"To: {message.header('To')};tag=registrar", f"Contact: {self.contact};expires=3600"]
            self._write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        elif method == "OPTIONS":
            self.answer(message, "200 OK")
        else:
            self._messages.append(message)
            self._came.put(message)


class PBXAgent(Agent):
    """The PBX, over UDP."""

    def __init__(self) -> None:
        super().__init__(41, "UDP")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, self.port))
        self._trunk = ("", 0)

    def meet(self, trunk: tuple[str, int]) -> None:
        """Where the trunk is."""
        self._trunk = trunk

    def stop(self) -> None:
        """See L{Agent.stop}."""
        super().stop()
        self._socket.close()

    def _write(self, octets: bytes) -> None:
        self._socket.sendto(octets, self._trunk)

    def _read(self) -> None:
        while not self._ending.is_set():
            if select.select([self._socket], [], [], _PAUSE)[0]:
                octets = self._socket.recv(65536)
                if octets.strip():
                    self._take(octets)


class CarrierAgent(Agent):
    """The carrier, over TLS: one connection after another."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(43, "TLS")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._listener = socket.create_server((self.address, self.port))
        self._listener.settimeout(_PAUSE)
        self._connection: ssl.SSLSocket | None = None
        # OpenSSL wants one thread at a time.
        self._turn = threading.Lock()

    def stop(self) -> None:
        """See L{Agent.stop}."""
        super().stop()
        self._listener.close()

    def _write(self, octets: bytes) -> None:
        assert self._connection is not None, "the trunk has not connected"
        with self._turn:
            self._connection.settimeout(_SECONDS)
            self._connection.sendall(octets)

    def _read(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError):
                plain, _ = self._listener.accept()
                plain.settimeout(_SECONDS)
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    self._connection = connection
                    self._serve(connection)

    def _serve(self, connection: ssl.SSLSocket) -> None:
        buffer = b""
        while not self._ending.is_set():
            if not connection.pending() and not select.select([connection], [], [], _PAUSE)[0]:
                continue
            with self._turn:
                connection.settimeout(0)
                try:
                    octets = connection.recv(65536)
                except ssl.SSLWantReadError:
                    continue
            if not octets:
                return
            buffer = (buffer + octets).lstrip(b"\r\n")  # keep-alives
            while b"\r\n\r\n" in buffer:
                head, _, rest = buffer.partition(b"\r\n\r\n")
                length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
                size = int(length[1]) if length else 0
                if len(rest) < size:
                    break
                self._take(buffer[: len(head) + 4 + size])
                buffer = rest[size:].lstrip(b"\r\n")


class Dialog:
    """
    One end of a call that stands.

    @ivar agent: whose end it is.
    """

    def __init__(self, agent: Agent, callID: str, mine: str, other: str, target: str) -> None:
        """
        @param mine: its From, with tag; C{other}: its To, with tag.
        @param target: the other end's Contact.
        """
        self.agent = agent
        self._callID, self._mine, self._other = callID, mine, other
        found = re.search(r"<([^>]+)>", target)
        self._target = found[1] if found else target
        self._number = 10

    def request(self, method: str, body: str = "") -> int:
        """
        Send a request; an ACK is one of the last number.

        @return: its number.
        """
        self._number += method != "ACK"
        agent = self.agent
        lines = [f"{method} {self._target} SIP/2.0", agent.via, f"From: {self._mine}", f"To: {self._other}"]
        lines += [f"Call-ID: {self._callID}", f"CSeq: {self._number} {method}", "Max-Forwards: 70"]
        agent.send([*lines, f"Contact: {agent.place}"], body)
        return self._number

    def wait(self, start: str) -> Message:
        """See L{Agent.wait}: of this call."""
        return self.agent.wait(start, self._callID)

    def change(self, body: str) -> None:
        """Begin a re-INVITE."""
        self.request("INVITE", body)

    def changed(self) -> Message:
        """The answer to it, which is confirmed."""
        answer = self.wait("SIP/2.0 [2-6]")
        assert answer.status == 200, answer.text
        self.request("ACK")
        return answer


def invite(agent: Agent, uri: str, to: str, body: str) -> tuple[str, str]:
    """
    Begin a call.

    @param uri: Request-URI.
    @param to: whom it calls, a URI.
    @return: Call-ID, and From with its tag.
    """
    number = next(_numbers)
    callID, mine = f"agent-{number}@{agent.address}", f"<sip:+4930123456@{DOMAIN}>;tag=caller{number}"
    lines = [f"INVITE {uri} SIP/2.0", agent.via, f"From: {mine}", f"To: <{to}>", f"Call-ID: {callID}"]
    lines += ["CSeq: 10 INVITE", f"Contact: {agent.place}", "Max-Forwards: 70"]
    agent.send(lines, body)
    return callID, mine


def answered(agent: Agent, callID: str, mine: str) -> tuple[Dialog, Message]:
    """A call that was begun is answered, and confirmed: its end, and the answer."""
    answer = agent.wait("SIP/2.0 [2-6]", callID)
    assert answer.status == 200, answer.text
    dialog = Dialog(agent, callID, mine, answer.header("To"), answer.header("Contact"))
    dialog.request("ACK")
    return dialog, answer


def accept(agent: Agent, request: Message, body: str) -> Dialog:
    """Answer a call that came: its end."""
    agent.answer(request, "200 OK", body)
    callID = request.header("Call-ID")
    agent.wait("ACK ", callID)
    mine = f"{request.header('To')};tag=answered"
    return Dialog(agent, callID, mine, request.header("From"), request.header("Contact"))
