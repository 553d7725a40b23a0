"""sipp: scripted peers that say exactly what a test wants to be said."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

from tests.interop.rig.ports import listening, takePorts
from tests.interop.rig.processes import Peer, program
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import Message


class Sipp(Peer):
    """
    One scenario, played once unless C{calls} says otherwise.

    @ivar port: its SIP port.
    @ivar mediaPorts: ports it may use for RTP and RTCP.
    """

    def __init__(
        self,
        scratch: Path,
        name: str,
        scenario: Scenario,
        *,
        address: str,
        remote: tuple[str, int] | None = None,
        service: str = "service",
        transport: str = "u1",
        port: int | None = None,
        seconds: int = 60,
        keys: Mapping[str, str] | None = None,
        echo: bool = False,
        calls: int = 1,
    ) -> None:
        """
        @param remote: whom to call; C{None} when the scenario begins by waiting for a request.
        @param service: the called number.
        @param transport: sipp's C{-t}: C{u1} is UDP, C{t1} TCP over one connection.
        @param keys: values of C{[name]} in the scenario.
        @param echo: send RTP back that arrives at the first media port.
        @param calls: Call-IDs for which the scenario is played, before it ends.
        """
        super().__init__(scratch, f"sipp-{name}")
        self.address = address
        self.port = takePorts(address) if port is None else port
        first = takePorts(address, 6)
        self.mediaPorts = range(first, first + 6)
        self._transport = transport
        self._server = remote is None
        self._trace = scratch / f"{self.name}.messages"
        self._errors = scratch / f"{self.name}.errors"
        file = scratch / f"{self.name}.xml"
        file.write_text(scenario.xml())
        self._arguments = [program("sipp")] + ([f"{remote[0]}:{remote[1]}"] if remote else [])
        self._arguments += ["-sf", str(file), "-s", service, "-t", transport, "-nostdin"]
        # Its Call-IDs hold nothing that has to be escaped in a URI.
        self._arguments += ["-cid_str", "%u-%p"]
        self._arguments += ["-m", str(calls)]
        self._arguments += ["-i", address, "-p", str(self.port), "-mi", address, "-mp", str(first)]
        self._arguments += ["-trace_msg", "-message_file", str(self._trace)]
        self._arguments += ["-trace_err", "-error_file", str(self._errors)]
        self._arguments += ["-timeout", str(seconds), "-timeout_error"]
        for key, value in (keys or {}).items():
            self._arguments += ["-key", key, value]
        if echo:
            self._arguments.append("-rtp_echo")

    def start(self) -> None:
        """Start it; a server is waited for."""
        self.launch(self._arguments)
        if self._server:
            kind = "udp" if self._transport.startswith("u") else "tcp"
            self.waitFor(lambda: listening(kind, self.address, self.port), 5, "listen")

    def finish(self, seconds: float = 30) -> list[Message]:
        """
        Wait until the scenario has been played to its end.

        @return: its messages.
        @raise AssertionError: something else happened than the scenario says.
        """
        status = self.waitEnded(seconds)
        if status != 0:
            errors = self._errors.read_text(errors="replace")[-3000:] if self._errors.exists() else ""
            raise AssertionError(f"{self.name} ended with {status}\n{errors}\n{self.story()}")
        return self.messages()

    def messages(self) -> list[Message]:
        """All messages so far, in order, with the wall clock's time."""
        if not self._trace.exists():
            return []
        found = []
        pattern = r"-{20,} (\S+ \S+?)\s*\n\S+ message (sent|received) [^\n]*\n\n(.*?)(?=\n-{20,} |\Z)"
        text = self._trace.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
        for match in re.finditer(pattern, text, re.DOTALL):
            time = datetime.datetime.fromisoformat(match[1].replace("/", "-")).timestamp()
            found.append(Message(match[3].rstrip("\n") + "\n", sent=match[2] == "sent", time=time))
        return found

    def story(self) -> str:
        """Start lines of all messages, for failure messages."""
        return "\n".join(f"{'>' if one.sent else '<'} {one.startLine}" for one in self.messages())
