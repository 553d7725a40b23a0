"""The trunk under test: a real C{twistd} process with a configuration file."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.rig.certificates import DOMAIN, Certificate
from tests.interop.rig.ports import boundPorts, host, listening, takePorts
from tests.interop.rig.processes import Peer, PeerFailed, waitUntil

#: The trunk's account at the carrier.
USER = "99051000000001"

#: Its password: every form it could leak in is searched for.  The odd characters make URL form differ.
PASSWORD = "Mark3r+Secret/7=q&s"

_MEDIA_PORTS = 40


@dataclass(frozen=True)
class Status:
    """What the trunk says about itself, over its control socket."""

    calls: int
    mediaPorts: int
    transactions: int
    trunks: dict[str, str]


class Trunk(Peer):
    """
    skypetrunk with one trunk and one PBX, logging at debug level.

    @ivar address: where it listens for the PBX and has its media.
    @ivar port: its SIP port for the PBX, UDP and TCP; TLS is on the next.
    @ivar mediaPorts: the range of its media ports.
    @ivar configuration: its TOML file.
    """

    def __init__(
        self,
        scratch: Path,
        pbx: tuple[str, int],
        *,
        caFile: Path,
        targets: Sequence[str] = (),
        dnsServers: Sequence[str] = (),
        password: str = PASSWORD,
        port: int | None = None,
        name: str = "trunk",
        trunkLines: Sequence[str] = (),
        certificate: Certificate | None = None,
        tlsLines: Sequence[str] = (),
        pbxLines: Sequence[str] = (),
    ) -> None:
        """
        @param pbx: where calls from the carrier go, over UDP.
        @param targets: the carrier's addresses; without any they come from C{dnsServers}.
        @param trunkLines: further lines of the C{[[trunk]]} table.
        @param tlsLines: further lines of the C{[trunk.tls]} table.
        @param pbxLines: further lines of the C{[[pbx]]} table.
        @param certificate: what the PBX is shown, over TLS instead of UDP; its own must be of C{caFile} too.
        """
        super().__init__(scratch, name)
        self.address = address = host(2)
        self.port = takePorts(address, 2) if port is None else port
        first = takePorts(address, _MEDIA_PORTS)
        self.mediaPorts = range(first, first + _MEDIA_PORTS)
        self._directory = scratch / name
        self._directory.mkdir()
        secret = self._directory / "carrier.secret"
        secret.write_text(password + "\n")
        secret.chmod(0o600)
        self.configuration = self._directory / "trunk.toml"
        lines = [
            "[[trunk]]",
            'name = "skype"',
            'profile = "skype-connect"',
            f'domain = "{DOMAIN}"',
            f'username = "{USER}"',
            f'password_file = "{secret}"',
            *([f"targets = {json.dumps(list(targets))}"] if targets else []),
            *trunkLines,
            "[trunk.limits]",
            f"calls = {_MEDIA_PORTS // 4}",
            "[trunk.tls]",
            f'ca_file = "{caFile}"',
            *tlsLines,
            "[[pbx]]",
            'name = "office"',
            *pbxLines,
            *_office(address, self.port, pbx, certificate, caFile),
            "[media]",
            f'address = "{address}"',
            f'ports = "{first}-{first + _MEDIA_PORTS - 1}"',
            *(["[dns]", f"servers = {json.dumps(list(dnsServers))}"] if dnsServers else []),
            "[numbers]",
            'country = "GB"',
            "[control]",
            f'socket = "{self._directory / "control"}"',
        ]
        self.configuration.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it and wait until it listens for the PBX."""
        self.startOnly()
        self.waitFor(lambda: listening("udp", self.address, self.port), 15, "listen for the PBX")

    def startOnly(self) -> None:
        """Start it."""
        self.launch(
            [*_script("twistd"), "-n", "--pidfile=", "skypetrunk", "--config", str(self.configuration)]
            + ["--debug"],
            directory=self._directory,
            environment=_environment(),
        )

    def status(self) -> Status:
        """Ask it for its status, as a user would."""
        asked = self.tool("status", "--json")
        # It exits with 1 also when a trunk is not up.
        if not asked.stdout.startswith("{"):
            said = asked.stdout + asked.stderr
            raise AssertionError(f"skypetrunk status: {asked.returncode}\n{said}\n{self.tail()}")
        answer: dict[str, Any] = json.loads(asked.stdout)
        states = {name: str(trunk["state"]) for name, trunk in answer["trunks"].items()}
        return Status(answer["calls"], answer["mediaPorts"], answer["transactions"], states)

    def tool(
        self, command: str, *options: str, configuration: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the C{skypetrunk} command, with this trunk's configuration unless it is to be written."""
        named = ["--config", str(self.configuration)] if configuration else []
        return subprocess.run(
            [*_script("skypetrunk"), command, *named, *options],
            capture_output=True,
            text=True,
            timeout=20,
            env=_environment(),
            cwd=self._directory,
        )

    def waitRegistered(self, seconds: float = 15) -> None:
        """Wait until it says that it is registered."""
        # Each question is a process of its own: not too often.
        self.waitFor(
            lambda: self.status().trunks == {"skype": "registered"}, seconds, "be registered", pause=0.3
        )

    def kill(self) -> None:
        """As if the machine had lost its power."""
        assert self._process is not None
        self._process.kill()
        self.waitEnded(5)

    def changePassword(self, password: str) -> None:
        """Put another password into its file."""
        (self._directory / "carrier.secret").write_text(password + "\n")

    def checkIdle(self, seconds: float = 3) -> None:
        """
        Nothing of a call is left: no session, no media port, by its own word and by the kernel's.

        @raise AssertionError: not so within C{seconds}.
        """

        def idle() -> bool:
            status = self.status()
            return status.calls == 0 and status.mediaPorts == 0

        waitUntil(idle, seconds, f"{self.name} gives back its sessions and ports", pause=0.3)
        bound = boundPorts("udp", self.address, self.mediaPorts[0], self.mediaPorts[-1])
        assert not bound, f"{self.name} says it has no media ports, but {bound} are bound"

    def checkEmpty(self, seconds: float) -> None:
        """No transaction, and so no timer of one, is left; the longest lives 64*T1, 32 s."""
        waitUntil(
            lambda: self.status().transactions == 0, seconds, f"{self.name} ends its transactions", pause=1
        )
        self.checkIdle()

    def terminate(self, bound: float = 10) -> float:
        """
        SIGTERM, and wait.

        @return: seconds until it had ended.
        @raise AssertionError: not within C{bound}, or not in order.
        """
        start = time.monotonic()
        assert self._process is not None
        self._process.terminate()
        status = self.waitEnded(bound)
        # twistd ends itself with the signal it got, after everything was stopped.
        assert status in (0, -15), f"{self.name} ended with {status}\n{self.tail()}"
        return time.monotonic() - start

    def checkSecrets(self, keys: Iterable[bytes] = ()) -> None:
        """
        Neither the password nor an SRTP key stands in anything the trunk wrote or says of itself, in
        whatever form.

        @param keys: master keys with salt, 30 octets each, of the calls it carried.
        """
        written = {self.log: self.log.read_bytes()}
        if self.running():
            asked = [self.tool("status", "--json"), self.tool("status")]
            written[Path("status")] = "".join(one.stdout + one.stderr for one in asked).encode()
        for path in self._directory.rglob("*"):
            if path.is_file() and path.name != "carrier.secret":
                written[path] = path.read_bytes()
        forms = {form for secret in (PASSWORD.encode(), *keys) for form in secretForms(secret)}
        for path, text in written.items():
            assert path == self.configuration or text, f"{path.name} is empty"
            lowered = text.lower()
            for form in forms:
                where = lowered.find(form.lower())
                assert where < 0, f"{path.name} holds a secret: {text[max(0, where - 60) : where]!r}..."

    def checkNoTraceback(self) -> None:
        """Nothing went wrong that it did not expect, and it understood every peer."""
        for sign in ("Traceback", "malformed message"):
            assert sign not in self.text(), f"{sign}\n{self.tail(80)}"


def _office(
    address: str, port: int, pbx: tuple[str, int], certificate: Certificate | None, caFile: Path
) -> list[str]:
    """The PBX's table."""
    listen = [f"udp:{address}:{port}", f"tcp:{address}:{port}"]
    transport = "udp" if certificate is None else "tls"
    if certificate is not None:
        listen.append(f"tls:{address}:{port + 1}")
    lines = [
        f"listen = {json.dumps(listen)}",
        f'address = "{transport}:{pbx[0]}:{pbx[1]}"',
        'allow = ["127.0.0.0/8"]',
    ]
    if certificate is not None:
        lines += ["[pbx.tls]", f'certificate = "{certificate.certificate}"', f'key = "{certificate.key}"']
        lines.append(f'ca_file = "{caFile}"')
    return lines


def secretForms(secret: bytes) -> set[bytes]:
    """
    A secret as text, hex, URL form, Python's repr, and base64 at each of the three places it may
    begin in; key and salt of an SRTP master key also each alone.
    """
    parts = [secret, secret[:16], secret[16:]] if len(secret) == 30 else [secret]
    forms = set()
    for part in parts:
        forms |= {part, part.hex().encode(), part.hex(" ").encode(), repr(part)[2:-1].encode()}
        forms.add(urllib.parse.quote(part, safe="").encode())
        forms.add(urllib.parse.quote_plus(part).encode())
        for before in range(3):
            text = base64.b64encode(bytes(before) + part)
            # Only the characters whose six bits are all the secret's.
            forms.add(text[-(-before * 8 // 6) : (before + len(part)) * 8 // 6])
    return forms


def sourceRoot() -> Path:
    """The directory that the package comes from: an installation's, or a checkout's."""
    found = importlib.util.find_spec("skypetrunk")
    if found is None or not found.submodule_search_locations:
        raise PeerFailed("skypetrunk is neither installed nor in the working directory")
    return Path(found.submodule_search_locations[0]).resolve().parent


def _environment() -> dict[str, str]:
    # The trunk runs elsewhere; it is to be the package that the tests were started with.
    return {"PYTHONPATH": str(sourceRoot()), "PYTHONUNBUFFERED": "1"}


def _script(name: str) -> list[str]:
    """A console script of this Python, or, in a checkout, what it would call."""
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [str(script)]
    setup = (sourceRoot() / "setup.cfg").read_text()
    entry = re.search(rf"^\s*{name}\s*=\s*([\w.]+):(\w+)", setup, re.MULTILINE)
    if entry is None:
        raise PeerFailed(f"the command {name} is not installed")
    return [sys.executable, "-c", f"import sys; from {entry[1]} import {entry[2]}; sys.exit({entry[2]}())"]
