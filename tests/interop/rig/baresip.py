"""baresip as a phone, on the PBX side (UDP, RTP) or behind the carrier (TLS, SRTP)."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.interop.rig.certificates import DOMAIN, Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render, waitUntil
from tests.interop.rig.sip import Message

#: Ports that one phone has for RTP and RTCP.
_MEDIA_PORTS = 20


@dataclass(frozen=True)
class Event:
    """Something that happened at a phone: C{time} is monotonic; C{parameter} its words."""

    time: float
    kind: str
    parameter: str


class Baresip(Peer):
    """
    A phone with a sine tone for a voice and a recorder for an ear.

    @ivar address: its literal address, in signalling and media.
    @ivar port: its SIP port for UDP; TLS is on the next.
    @ivar mediaPorts: the range of its RTP and RTCP ports.
    """

    def __init__(
        self,
        scratch: Path,
        name: str,
        address: str,
        accounts: list[str],
        tone: int,
        *,
        certificate: Certificate | None = None,
    ) -> None:
        """
        @param accounts: lines as in baresip's accounts file, with C{@ADDRESS@} for its own address.
        @param tone: what it says, in Hz.
        """
        super().__init__(scratch, f"baresip-{name}")
        self.address = address
        self.port = takePorts(address, 2)
        self._control = takePorts(address)
        first = takePorts(address, _MEDIA_PORTS + 2)
        self.mediaPorts = range(first, first + _MEDIA_PORTS + 2)
        self._directory = scratch / self.name
        self._wav = self._directory / "wav"
        self._wav.mkdir(parents=True)
        values = {
            "ADDRESS": address,
            "PORT": self.port,
            "CERTIFICATE": certificate.both if certificate else "",
            "SOURCE": f"ausine,{tone}",
            "RTPLOW": first,
            "RTPHIGH": first + _MEDIA_PORTS,
            "DNS": f"{host(53)}:53",  # never asked: all its hosts are literal
            "CONTROL": self._control,
            "WAV": self._wav,
        }
        render("baresip.in", self._directory / "config", values)
        lines = [line.replace("@ADDRESS@", address) for line in accounts]
        (self._directory / "accounts").write_text("\n".join(lines) + "\n")
        self._events: list[Event] = []
        self._answers: dict[str, dict[str, object]] = {}
        self._news = threading.Condition()
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None

    @classmethod
    def atPBX(
        cls,
        scratch: Path,
        number: str,
        tone: int,
        *,
        address: str = "127.0.0.1",
        answers: bool = True,
        certificate: Certificate | None = None,
    ) -> Baresip:
        """
        A phone of the PBX, or the PBX itself as the trunk sees it: plain UDP and RTP, no registration.

        @param address: by default the one that its RTP comes from whatever its SDP says, because the
            trunk takes plain media from the signalled host only.
        @param certificate: what it shows, for TLS instead of UDP, at the port after its own.
        """
        transport = "udp" if certificate is None else "tls"
        account = f"<sip:{number}@@ADDRESS@;transport={transport}>;regint=0;audio_codecs=pcma,pcmu"
        account += ";answermode=auto" if answers else ";answermode=manual"
        return cls(scratch, "pbx", address, [account], tone, certificate=certificate)

    @classmethod
    def atCarrier(
        cls,
        scratch: Path,
        user: str,
        password: str,
        tone: int,
        carrier: str,
        *,
        certificate: Certificate,
        address: str = host(22),
        answers: bool = True,
        encryption: str = "srtp-mand",
    ) -> Baresip:
        """
        A phone of the carrier: registered over TLS, SRTP mandatory.

        @param carrier: host and port of the carrier's TLS.
        """
        account = (
            f"<sip:{user}@{DOMAIN};transport=tls>;auth_user={user};auth_pass={password}"
            f';outbound="sip:{carrier};transport=tls";regint=600;audio_codecs=pcma,pcmu'
        )
        account += f";mediaenc={encryption}" if encryption else ""
        account += ";answermode=auto" if answers else ";answermode=manual"
        return cls(scratch, user, address, [account], tone, certificate=certificate)

    def start(self) -> None:
        """Start it, wait until it listens and connect to its control port."""
        # Line buffering, so that the trace of a running phone can be read.
        self.launch(
            [program("stdbuf"), "-oL", program("baresip"), "-f", str(self._directory), "-4", "-v", "-s"]
        )
        self.waitFor(lambda: listening("tcp", self.address, self._control), 10, "open its control port")
        self.waitFor(lambda: "baresip is ready" in self.text(), 5, "be ready")
        self._socket = socket.create_connection((self.address, self._control), timeout=5)
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, args=(self._socket,), daemon=True)
        self._reader.start()

    def stop(self, seconds: float = 5.0) -> int | None:
        """End it; it unregisters first, so the carrier is to be stopped after it."""
        status = super().stop(seconds)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._reader is not None:
            self._reader.join(5)
        return status

    def _read(self, control: socket.socket) -> None:
        buffer = b""
        while True:
            try:
                data = control.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while b":" in buffer:  # netstrings: length ":" JSON ","
                length, rest = buffer.split(b":", 1)
                if len(rest) <= int(length):
                    break
                message, buffer = json.loads(rest[: int(length)]), rest[int(length) + 1 :]
                with self._news:
                    if message.get("event"):
                        kind, parameter = str(message.get("type")), str(message.get("param", ""))
                        self._events.append(Event(time.monotonic(), kind, parameter))
                    elif message.get("response"):
                        self._answers[str(message.get("token"))] = message
                    self._news.notify_all()

    def command(self, command: str, parameters: str = "") -> str:
        """
        Give a command (C{dial}, C{hangup}, C{accept}, C{hold}, C{resume}...) and wait for its answer.

        @return: its words.
        """
        assert self._socket is not None
        token = f"t{len(self._answers)}-{time.monotonic_ns()}"
        message = json.dumps({"command": command, "params": parameters, "token": token}).encode()
        self._socket.sendall(b"%d:%s," % (len(message), message))
        with self._news:
            if not self._news.wait_for(lambda: token in self._answers, 5):
                raise AssertionError(f"{self.name} did not answer {command}\n{self.tail()}")
            answer = self._answers[token]
        if not answer.get("ok"):
            raise AssertionError(f"{self.name} refused {command} {parameters}: {answer.get('data')}")
        return str(answer.get("data", ""))

    def dial(self, uri: str) -> None:
        """Call C{uri}; returns at once."""
        self.command("dial", uri)

    def accept(self) -> None:
        """Answer the call that rings."""
        self.command("accept")

    def hangUp(self) -> None:
        """End the call, or refuse it (486) while it rings, or cancel it."""
        self.command("hangup")

    def events(self, kind: str) -> list[Event]:
        """What happened so far, of one kind: C{CALL_RINGING}, C{CALL_ESTABLISHED}, C{CALL_CLOSED}..."""
        with self._news:
            return [event for event in self._events if event.kind == kind]

    def waitEvent(self, kind: str, seconds: float = 10, count: int = 1) -> Event:
        """Wait until C{kind} has happened C{count} times since the start; the last of them."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.events(kind)) >= count, seconds):
                happened = [event.kind for event in self._events]
                what = f"{self.name}: no {kind} (number {count}) within {seconds:g} s, only {happened}"
                raise AssertionError(f"{what}\n{self.tail()}")
            return self.events(kind)[count - 1]

    def messages(self) -> list[Message]:
        """The SIP messages it sent and received so far, from its trace."""
        found = []
        # A message ends where the next terminal colour sequence begins.
        pattern = r"\x1b\[36;1m#\n(\S+) (\S+) -> (\S+)\n(.*?)\x1b\[;m"
        for match in re.finditer(pattern, self.log.read_bytes().decode("utf-8", "replace"), re.DOTALL):
            _, source, _, text = match.groups()
            found.append(Message(text.replace("\r\n", "\n").rstrip("\n"), sent=self._own(source)))
        return found

    def _own(self, source: str) -> bool:
        # TLS connections come from 127.0.0.1, whatever the phone's own address is: everything that
        # did not come from somebody else's listening port was sent by this phone.
        host, port = source.rsplit(":", 1)
        return (host, int(port)) == (self.address, self.port) or host == "127.0.0.1"

    def recordings(self, kind: str = "dec") -> list[Path]:
        """WAV files of its calls, oldest first: C{"dec"} is what it heard, C{"enc"} what it said."""
        return sorted(self._wav.glob(f"dump-*-{kind}.wav"), key=lambda path: path.stat().st_mtime)

    def waitRegistered(self) -> None:
        """Wait until its registration was accepted."""
        waitUntil(lambda: self.events("REGISTER_OK") or "200 OK" in self.text(), 10, f"{self.name} registers")
