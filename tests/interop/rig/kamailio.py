"""Kamailio as the carrier: TLS registrar and proxy with digest authentication."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.interop.rig.certificates import Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render

_MODULES = [
    Path("/usr/lib/x86_64-linux-gnu/kamailio/modules"),
    Path("/usr/lib/aarch64-linux-gnu/kamailio/modules"),
    Path("/usr/lib/kamailio/modules"),
]


class Kamailio(Peer):
    """
    The carrier.

    @ivar port: its TLS port.
    @ivar phonePort: the TLS port for phones, the same where nobody stands before it.
    @ivar udpPort: its port for the rest of the telephone network, in clear and without authentication.
    """

    def __init__(
        self,
        scratch: Path,
        certificate: Certificate,
        users: Mapping[str, str],
        numbers: Mapping[str, str],
        *,
        suites: Mapping[str, str] | None = None,
        expires: int = 300,
        nonceExpires: int = 300,
        algorithm: str = "MD5",
        tls: str = "TLSv1.2+",
        name: str = "kamailio",
        number: int = 10,
        instances: bool = True,
        clients: Path | None = None,
        demanding: bool = False,
        advertised: tuple[str, int] | None = None,
    ) -> None:
        """
        @param users: passwords by user name.
        @param numbers: the user, or the SIP URI in clear, behind each dialled number.
        @param suites: dialled numbers whose owners have only one SRTP suite: C{"32"} or C{"80"}.
        @param expires: the longest registration, in seconds.
        @param tls: the versions it speaks, in Kamailio's words.
        @param number: last octet of its address.
        @param instances: a new registration takes the place of the same instance's old one (RFC 5626); else
            the registrar never sees C{+sip.instance}.
        @param clients: the CA of the certificates that clients are asked for; C{None}: they are not.
        @param demanding: who shows none is refused.
        @param advertised: where who stands before it takes the trunk's connections; it then has another port
            for phones, and sends each request over the connection that its target's Contact came by.
        """
        super().__init__(scratch, name)
        self.address = address = host(number)
        self.port = takePorts(address)
        self.udpPort = takePorts(address)
        self.phonePort = self.port if advertised is None else takePorts(address)
        behind = f"#!define BEHIND\nlisten=tls:{address}:{self.phonePort}" if advertised else ""
        self._run = scratch / name
        self._run.mkdir()
        tables = [f'\t$sht(users=>{user}) = "{password}";' for user, password in users.items()]
        tables += [f'\t$sht(numbers=>{number}) = "{user}";' for number, user in numbers.items()]
        tables += [f'\t$sht(suites=>{number}) = "{suite}";' for number, suite in (suites or {}).items()]
        values = {
            "ADDRESS": address,
            "TLSPORT": self.port,
            "ADVERTISE": f"advertise {advertised[0]}:{advertised[1]}" if advertised else "",
            "BEHIND": behind,
            "UDPPORT": self.udpPort,
            "RUN": self._run,
            "MODULES": next((path for path in _MODULES if path.is_dir()), _MODULES[-1]),
            "TABLES": "\n".join(tables),
            "EXPIRES": expires,
            "NONCEEXPIRE": nonceExpires,
            "ALGORITHM": algorithm,
            "TLSMETHOD": tls,
            "INSTANCES": "" if instances else "#!define NO_INSTANCES",
            "CERTIFICATE": certificate.certificate,
            "KEY": certificate.key,
            "VERIFY": "no" if clients is None else "yes",
            "REQUIRE": "yes" if demanding else "no",
            "CLIENTS": "" if clients is None else f"ca_list = {clients}",
        }
        render("kamailio.cfg.in", self._run / "kamailio.cfg", values)
        render("kamailio-tls.cfg.in", self._run / "kamailio-tls.cfg", values)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch(
            [program("kamailio"), "-f", str(self._run / "kamailio.cfg"), "-DD", "-E", "-m", "64", "-M", "8"]
            + ["-Y", str(self._run), "-P", str(self._run / "pid")]
        )
        self.waitFor(lambda: listening("tcp", self.address, self.port), 10, "listen for TLS")
        self.waitFor(lambda: (self._run / "ctl").exists(), 5, "open its control socket")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes, which are a group of their own."""
        os.killpg(self.pid, number)

    def registered(self) -> list[str]:
        """Users that are registered now."""
        return re.findall(r"AoR: (\S+)", self._asked("ul.dump"))

    def contacts(self) -> list[str]:
        """The Contacts of all registrations."""
        return re.findall(r"Address: (\S+)", self._asked("ul.dump"))

    def addContact(self, user: str, contact: str) -> None:
        """Somebody else registers for C{user}."""
        # "s:" is for what looks like a number.  Time, q, no path, flags, methods.
        self._asked("ul.add", "location", f"s:{user}", contact, "3000", "1.0", "s:0", "0", "0", "0")

    def changePassword(self, user: str, password: str) -> None:
        """From now on C{user} has another password."""
        self._asked("htable.sets", "users", f"s:{user}", password)

    def _asked(self, command: str, *parameters: str) -> str:
        done = subprocess.run(
            [program("kamcmd"), "-s", f"unix:{self._run / 'ctl'}", command, *parameters],
            capture_output=True,
            text=True,
            timeout=5,
        )
        assert "error" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout

    def waitRegistered(self, user: str, seconds: float = 15) -> None:
        """Wait until C{user} is registered."""
        self.waitFor(lambda: user in self.registered(), seconds, f"registration of {user}")

    def count(self, pattern: str) -> int:
        """How many lines of its log match the regular expression C{pattern}."""
        return len(re.findall(pattern, self.text(), re.MULTILINE))
