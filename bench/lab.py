"""The practice carrier as a process, and trunks that register with it: how long that takes."""

from __future__ import annotations

import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from twisted.protocols import amp

import skypetrunk
from bench.processes import Failed, Program, takePorts

HOST = "127.0.0.1"
DOMAIN = "carrier.example"
_ACCOUNT = "99051000000001"

_TRUNK = """
[[trunk]]
name = "carrier{number}"
profile = "{profile}"
domain = "{domain}"
username = "{account}"
password_file = "{directory}/password"
{lines}
[trunk.limits]
calls = 1
[trunk.tls]
ca_file = "{directory}/ca.pem"
{inbound}
"""

_REST = """
[[pbx]]
name = "office"
listen = ["udp:{host}:{port}"]
address = "udp:{host}:9"
allow = ["127.0.0.0/8"]
[media]
address = "{host}"
ports = "{first}-{last}"
[dns]
servers = ["{host}:{dns}"]
[numbers]
country = "GB"
"""


def _routes(count: int) -> str:
    """With one trunk they need not be said."""
    if count == 1:
        return ""
    pairs = [("office", "carrier0"), *((f"carrier{number}", "office") for number in range(count))]
    return "".join(f'[[route]]\nfrom = "{one}"\nto = ["{other}"]\n' for one, other in pairs)


def _twistd(plugin: str, *arguments: str) -> list[str]:
    run = "from twisted.scripts.twistd import run; run()"
    return [sys.executable, "-c", run, "-n", "--pidfile=", plugin, *arguments]


def environment() -> dict[str, str]:
    """What its processes need to find this package."""
    # In a checkout without installation it must be found where it was found here.
    return {"PYTHONPATH": str(Path(skypetrunk.__file__).parents[1])}


class Lab:
    """
    C{twistd -n skypetrunk-lab}; a context manager.

    @ivar directory: what it has written: C{ca.pem}, C{password}.
    @ivar dns: port of its name server.
    """

    def __init__(self, *switches: str) -> None:
        """
        @param switches: how it begins, C{NAME=VALUE}.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="skypetrunk-bench-")
        self.directory = Path(self._scratch.name)
        self.dns = takePorts(HOST)
        ports = ("--port", str(takePorts(HOST)), "--dns-port", str(self.dns))
        names = ("--directory", str(self.directory), "--domain", DOMAIN, "--account", _ACCOUNT)
        command = _twistd("skypetrunk-lab", *ports, *names, *switches)
        self.program = Program(command, self.directory, "lab", environment())
        self._control: socket.socket | None = None

    def __enter__(self) -> Lab:
        try:
            self.program.waitUntil(lambda: "is ready" in self.program.written(), 15)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._control = socket.socket(socket.AF_UNIX)
        self._control.settimeout(10)
        self._control.connect(str(self.directory / "control.sock"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._control is not None:
            self._control.close()
        self.program.stop()
        self._scratch.cleanup()

    def switch(self, **changes: str) -> float:
        """
        Set switches, without what starting a tool would cost.

        @return: the moment before it was asked to.
        @raise Failed: it refuses.
        """
        assert self._control is not None
        untyped: Any = amp
        question = untyped.Box(_ask=b"1", _command=b"SetSwitches", changes=json.dumps(changes).encode())
        begun = time.monotonic()
        self._control.sendall(question.serialize())
        received = b""
        while not received.endswith(b"\0\0"):
            more = self._control.recv(65536)
            if not more:
                break
            received += more
        answer = untyped.parseString(received)
        if not answer or b"_answer" not in answer[0]:
            raise Failed(f"the lab refuses {changes}: {received[:200]!r}")
        return begun


class Trunks:
    """
    One process with as many trunks as wanted, each registering with the lab; a context manager.

    @ivar program: the process.
    @ivar begun: when it was started, in seconds of C{time.monotonic}.
    """

    def __init__(
        self,
        lab: Lab,
        count: int = 1,
        *,
        profile: str = "skype-connect",
        targets: Sequence[str] = (),
        lines: str = "",
        inbound: str = "",
    ) -> None:
        """
        @param lines: more settings of each C{[[trunk]]}.
        @param inbound: tables of each, behind the others.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="skypetrunk-bench-")
        directory = Path(self._scratch.name)
        first = takePorts(HOST, 8)
        text = "".join(
            _TRUNK.format(
                number=number,
                profile=profile,
                domain=DOMAIN,
                account=_ACCOUNT,
                directory=lab.directory,
                lines=lines,
                inbound=inbound,
            )
            for number in range(count)
        )
        rest = _REST.format(host=HOST, port=takePorts(HOST), first=first, last=first + 7, dns=lab.dns)
        (directory / "trunk.toml").write_text(text + rest + _routes(count))
        self.begun = time.monotonic()
        command = _twistd("skypetrunk", "--config", "trunk.toml")
        self.program = Program(command, directory, "skypetrunk", environment())
        self._read = 0

    def __enter__(self) -> Trunks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.program.stop()
        self._scratch.cleanup()

    def waitFor(self, line: str, count: int, seconds: float) -> list[float]:
        """
        Wait until C{count} more lines with C{line}, a regular expression, are in its log.

        @return: when each was seen, to 2 ms, in seconds of C{time.monotonic}.
        @raise Failed: there are not so many within C{seconds}.
        """
        found: list[float] = []

        def enough() -> bool:
            with self.program.log.open("rb") as log:
                log.seek(self._read)
                new = log.read()
            complete = new[: new.rfind(b"\n") + 1]
            self._read += len(complete)
            found.extend([time.monotonic()] * len(re.findall(line.encode(), complete)))
            return len(found) >= count

        self.program.waitUntil(enough, seconds, 0.002)
        return found

    def waitRegistered(self, count: int = 1, seconds: float = 20) -> list[float]:
        """Wait until C{count} more registrations were granted; when each was."""
        return self.waitFor(r"\] registered \d+ at ", count, seconds)
