"""The trunk that is measured: a C{twistd} process of this Python, with a configuration of its own."""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType

import skypetrunk
from bench.caller import Caller
from bench.carrier import DOMAIN, Carrier
from bench.processes import Failed, Program, takePorts

HOST = "127.0.0.1"

MANY = 400
"""Calls whose media ports are looked for in one row."""

WIDE = (33000, 60999)
"""Media ports of more calls: those that are taken are passed over."""


def mediaPorts(calls: int) -> tuple[int, int]:
    """The first and the last of ports that are enough for so many calls."""
    if calls > MANY:
        return WIDE
    try:
        first = takePorts(HOST, calls * 4 + 8)
    except Failed:
        return WIDE  # after many other benchmarks no row is left
    return first, first + calls * 4 + 7


_CONFIGURATION = """
[[trunk]]
name = "carrier"
profile = "profile.toml"
domain = "{domain}"
username = "account"
password_file = "secret"
targets = ["{host}:{port}"]
[trunk.limits]
calls = {calls}
[trunk.tls]
ca_file = "{caFile}"
[[pbx]]
name = "office"
listen = ["udp:{host}:{pbxPort}"]
address = "udp:{host}:9"
allow = ["127.0.0.0/8"]
[media]
address = "{host}"
ports = "{first}-{last}"
{media}
helper = {helper}
[numbers]
country = "GB"
[control]
socket = "control"
"""


class Trunk:
    """
    The trunk between a caller and a carrier of the benchmark; a context manager.

    @ivar program: the trunk's process.
    """

    def __init__(
        self,
        calls: int,
        *,
        callerPorts: Sequence[int] = (),
        carrierPorts: Sequence[int] = (),
        challenging: bool = False,
        helper: bool = True,
        wrapper: Sequence[str] = (),
        media: str = "",
    ) -> None:
        """
        @param calls: at most, at the same time.
        @param callerPorts: audio ports of the caller, in turn; without any, one where nobody listens.
        @param carrierPorts: audio ports of the carrier, as many.
        @param challenging: registration, and every INVITE and BYE is challenged.
        @param helper: may packets be relayed by the compiled helper?
        @param wrapper: a command that runs another one: a profiler.
        @param media: more settings of C{[media]}; without any all is in one process, without media workers.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="skypetrunk-bench-")
        directory = Path(self._scratch.name)
        # Bound, as each packet to a closed port would cost an ICMP message.
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind((HOST, 0))
        sink = (self._sink.getsockname()[1],)
        self.carrier = Carrier(HOST, takePorts(HOST), carrierPorts or sink, challenging)
        caFile = self.carrier.startTLS(directory)
        port = takePorts(HOST)
        first, last = mediaPorts(calls)
        (directory / "secret").write_text("of the benchmark\n")
        (directory / "secret").chmod(0o600)
        profile = (resources.files("skypetrunk.profiles") / "generic.toml").read_text()
        if not challenging:
            profile = profile.replace("register = true", "register = false")
        (directory / "profile.toml").write_text(profile)
        (directory / "trunk.toml").write_text(
            _CONFIGURATION.format(
                domain=DOMAIN,
                host=HOST,
                port=self.carrier.address[1],
                calls=calls,
                caFile=caFile,
                pbxPort=port,
                first=first,
                last=last,
                media=media or "workers = 0",
                helper=str(helper).lower(),
            )
        )
        # In a checkout without installation the trunk must be found where it was found here.
        root = str(Path(skypetrunk.__file__).parents[1])
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
        self.program = Program(
            [*wrapper, *twistd, "skypetrunk", "--config", "trunk.toml"],
            directory,
            "skypetrunk",
            {"PYTHONPATH": root},
        )
        self.caller = Caller(HOST, (HOST, port), callerPorts or sink)

    def __enter__(self) -> Trunk:
        """Wait until calls can be placed."""
        try:
            self.program.waitUntil(self.caller.isReady, 15)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.program.stop()
        self.caller.close()
        self.carrier.stop()
        self._sink.close()
        self._scratch.cleanup()
