"""A practice carrier in this process, a configuration for it, and the doctor on it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import skypetrunk
from skypetrunk.lab.authority import writePrivately
from skypetrunk.lab.service import Lab
from skypetrunk.lab.settings import CarrierSettings, LabSettings
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.tools.doctor import diagnose
from skypetrunk.tools.doctor.document import document
from skypetrunk.tools.doctor.finding import Finding
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.secret import Secret

ACCOUNT = "99051000000001"
PASSWORD = "hunter2-MARKER"
HOST = "127.0.0.1"

PIN = f'pins = ["sha256/{"A" * 43}="]'
"""Of a key that nobody has."""

_TRUNK = """\
[[trunk]]
name = "carrier"
profile = "skype-connect"
username = "{account}"
password_file = "password"

[trunk.tls]
ca_file = "ca.pem"
{tls}

[[pbx]]
name = "pbx"
listen = ["udp:127.0.0.1:{listen}"]
address = "udp:127.0.0.1:5070"

[media]
address = "127.0.0.1"

[dns]
servers = ["{address}:{dns}"]

[numbers]
country = "GB"
"""


class DoctorCase(TestCase):
    """
    Has a lab, and a trunk for it.

    @ivar directory: where the configuration is.
    @ivar patient: the last one that was examined.
    """

    patient: Patient
    timeout = 60

    def setUp(self) -> None:
        """The directory."""
        self.directory = Path(tempfile.mkdtemp(prefix="doctor-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def lab(self, settings: LabSettings | None = None, **changes: Any) -> Lab:
        """A lab that runs until the test ends."""
        lab = self.started(replace(settings or self.healthy(), **changes))
        self.addCleanup(lab.stopService)
        return lab

    def started(self, settings: LabSettings) -> Lab:
        """A lab that somebody else stops."""
        lab = Lab(reactor, settings)
        lab.listen()
        lab.startService()
        return lab

    def healthy(self, **changes: Any) -> LabSettings:
        """Settings of a lab that is well; C{changes} are those of its carrier."""
        carrier = CarrierSettings({ACCOUNT: Secret(PASSWORD)}, **changes)
        return LabSettings(carrier, self.directory, port=0, dnsPort=0)

    def configuration(
        self, lab: Lab, *, account: str = ACCOUNT, password: str = PASSWORD, tls: str = ""
    ) -> Configuration:
        """The trunk for C{lab}."""
        directory = lab.settings.directory
        writePrivately(directory / "password", password.encode())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, 0))
            listen = probe.getsockname()[1]
        text = _TRUNK.format(
            account=account, listen=listen, address=lab.settings.address, dns=lab.names.port, tls=tls
        )
        path = directory / "trunk.toml"
        writePrivately(path, text.encode())
        return loadConfiguration(path, {})[0]

    async def ran(self, command: str, *options: str) -> tuple[int, str, str]:
        """Run C{skypetrunk} itself with the trunk's configuration: status, output and errors."""
        environ = {**os.environ, "PYTHONPATH": str(Path(skypetrunk.__file__).parent.parent)}
        program = ["-m", "skypetrunk.tools.main", command, "--config", str(self.directory / "trunk.toml")]
        out, err, status = await getProcessOutputAndValue(sys.executable, [*program, *options], environ)
        self.assertNotIn(PASSWORD.encode(), out + err)
        return status, out.decode(), err.decode()

    async def examined(self, configuration: Configuration, number: str | None = None) -> Sequence[Finding]:
        """What the doctor finds."""
        ((self.patient, findings),) = await diagnose(
            reactor, configuration, configuration.trunks, None, number
        )
        text = json.dumps(document([(self.patient, findings)], "1"))
        self.assertNotIn(PASSWORD, text + repr(findings))
        return findings
