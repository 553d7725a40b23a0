"""The practice carrier, judged by a phone that is not ours, and by a name server's client that is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.interop.rig.audio import judge, readWAV
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import Authority
from tests.interop.rig.ports import takePorts
from tests.interop.rig.processes import Peer, program
from tests.interop.rig.trunk import sourceRoot

_ADDRESS = "127.0.0.1"
_ACCOUNT = "99051000000001"
_TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
_TOOL = [sys.executable, "-m", "skypetrunk.tools.main"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    environment = {**os.environ, "PYTHONPATH": str(sourceRoot())}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, env=environment
    )


class LabProcess(Peer):
    """
    C{twistd skypetrunk-lab}.

    @ivar directory: what it writes.
    @ivar port: its TLS port.
    @ivar dns: its name server's port.
    """

    def __init__(self, scratch: Path, *arguments: str) -> None:
        super().__init__(scratch, "lab")
        self.directory = scratch / "lab-files"
        self.port, self.dns = takePorts(_ADDRESS), takePorts(_ADDRESS)
        self._arguments = arguments

    @property
    def password(self) -> str:
        """The password it made up."""
        return (self.directory / "password").read_text()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        options = ["-d", str(self.directory), "--port", str(self.port), "--dns-port", str(self.dns)]
        self.launch(
            [*_TWISTD, "skypetrunk-lab", *options, *self._arguments],
            environment={"PYTHONPATH": str(sourceRoot())},
        )
        self.waitFor(lambda: "is ready" in self.text(), 15, "be ready")

    def call(self, seconds: str = "1.5") -> subprocess.CompletedProcess[str]:
        """Let it call whoever is registered."""
        socket = str(self.directory / "control.sock")
        return run(*_TOOL, "lab-call", "--socket", socket, "--seconds", seconds)


class LabTests(InteropCase):
    """baresip as the customer: TLS, digest, SRTP."""

    def phone(self, lab: LabProcess) -> Baresip:
        """A registered phone that says 1000 Hz."""
        certificate = Authority(self.scratch).issue("phone", "phone.example")
        made = Baresip.atCarrier(
            self.scratch,
            _ACCOUNT,
            lab.password,
            1000,
            f"{_ADDRESS}:{lab.port}",
            certificate=certificate,
            address=_ADDRESS,
        )
        phone = self.started(made)
        phone.waitRegistered()
        return phone

    def heard(self, phone: Baresip, tone: int, number: int) -> None:
        """The phone's recording holds C{tone}."""
        verdict = judge(readWAV(phone.recordings()[number]), tone)
        self.assertGreater(verdict.right, 50)
        self.assertGreater(verdict.right / (verdict.frames - round(verdict.first * 50)), 0.95)

    def test_calls(self) -> None:
        """Echo and tone numbers, and a call from the lab."""
        lab = self.started(LabProcess(self.scratch))
        phone = self.phone(lab)
        for count, (number, tone) in enumerate([("+442079460001", 1000), ("00442079460002", 650)], 1):
            phone.dial(f"sip:{number}@sip.skype.com")
            phone.waitEvent("CALL_ESTABLISHED", count=count)
            self.assertIn("AES_CM_128_HMAC_SHA1_80", phone.waitEvent("CALL_MENC", count=count).parameter)
            time.sleep(1.5)
            phone.hangUp()
            self.heard(phone, tone, count - 1)
        placed = lab.call()
        self.assertEqual((placed.returncode, placed.stderr), (0, ""))
        phone.waitEvent("CALL_CLOSED")
        self.heard(phone, 950, 2)
        self.assertNotIn("Traceback", lab.text())

    def test_refusals(self) -> None:
        """Busy, unknown and emergency numbers; nobody to call."""
        lab = self.started(LabProcess(self.scratch))
        alone = lab.call()
        self.assertEqual((alone.returncode, alone.stdout), (1, ""))
        self.assertIn("no PBX is registered", alone.stderr)
        phone = self.phone(lab)
        for count, (number, status) in enumerate(
            [("+442079460003", "486"), ("+442079460009", "404"), ("112", "403")], 1
        ):
            phone.dial(f"sip:{number}@sip.skype.com")
            self.assertIn(status, phone.waitEvent("CALL_CLOSED", count=count).parameter)

    def test_names(self) -> None:
        """SRV and address records over UDP and TCP, asked by dig; the certificate, by openssl."""
        lab = self.started(LabProcess(self.scratch, "nodes=dead,good"))
        for transport in ("+notcp", "+tcp"):
            asked = [program("dig"), "+short", transport, f"@{_ADDRESS}", "-p", str(lab.dns)]
            found = run(*asked, "_sips._tcp.sip.skype.com", "SRV").stdout
            records = sorted(line.split() for line in found.splitlines())
            self.assertEqual(
                [(each[0], each[3]) for each in records],
                [("10", "edge1.sip.skype.com."), ("20", "edge2.sip.skype.com.")],
            )
            self.assertEqual(records[1][2], str(lab.port))
            found = run(*asked, "edge2.sip.skype.com", "A").stdout
            self.assertEqual(found.split(), ["127.0.0.2"])
        options = ["-CAfile", str(lab.directory / "ca.pem"), "-verify_hostname", "sip.skype.com"]
        client = [program("openssl"), "s_client", "-connect", f"127.0.0.2:{lab.port}", *options]
        self.assertIn("Verify return code: 0 (ok)", run(*client, "-verify_return_error").stdout)

    def test_switches(self) -> None:
        """Set and listed by the command; certificate, stapled answer and responder, judged by openssl."""
        lab = self.started(LabProcess(self.scratch, "staple=on"))
        tool = [*_TOOL, "lab-set", "--socket", str(lab.directory / "control.sock")]
        client = [
            program("openssl"),
            "s_client",
            "-connect",
            f"{_ADDRESS}:{lab.port}",
            "-status",
            "-showcerts",
        ]
        client += ["-CAfile", str(lab.directory / "ca.pem")]
        good = run(*client).stdout
        self.assertIn("Verify return code: 0 (ok)", good)
        self.assertIn("OCSP Response Status: successful", good)
        leaf, issuer = self.scratch / "leaf.pem", self.scratch / "issuer.pem"
        for path, pem in zip((leaf, issuer), good.split("-----BEGIN CERTIFICATE-----")[1:], strict=False):
            path.write_text(
                "-----BEGIN CERTIFICATE-----" + pem.partition("-----END")[0] + "-----END CERTIFICATE-----\n"
            )
        url = run(program("openssl"), "x509", "-in", str(leaf), "-noout", "-ocsp_uri").stdout.strip()
        asked = [program("openssl"), "ocsp", "-issuer", str(issuer), "-cert", str(leaf), "-url", url]
        asked += ["-CAfile", str(lab.directory / "ca.pem"), "-verify_other", str(issuer), "-no_nonce"]
        for answer in ("good", "revoked"):
            done = run(*tool, f"ocsp={answer}")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            said = run(*asked)
            self.assertIn(f"{leaf}: {answer}", said.stdout)
            self.assertIn("Response verify OK", said.stderr)
        run(*tool, "certificate=expired", "tls=1.1")
        old = run(*client, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").stdout
        self.assertIn("Verify return code: 10 (certificate has expired)", old)
        self.assertIn("* certificate = expired\n", run(*tool).stdout)
        wrong = run(*tool, "certificate=better")
        self.assertEqual((wrong.returncode, wrong.stdout), (1, ""))
        self.assertIn("lab-set: certificate: 'better' is not none or", wrong.stderr)
        self.assertNotIn("Traceback", lab.text())

    def test_inUse(self) -> None:
        """A second lab on the same port: one clear line."""
        lab = self.started(LabProcess(self.scratch))
        options = ["-d", str(self.scratch / "other"), "--port", str(lab.port), "--dns-port", "0"]
        second = run(*_TWISTD, "skypetrunk-lab", *options)
        self.assertEqual(second.returncode, 1)
        said = second.stderr + second.stdout
        lines = [line for line in said.splitlines() if "skypetrunk-lab: " in line]
        self.assertEqual(len(lines), 1)
        self.assertIn(f"cannot listen on {_ADDRESS}:{lab.port}", lines[0])
        self.assertNotIn("Traceback", said)
