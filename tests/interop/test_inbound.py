"""The port where a carrier calls in: what scanners find, and who is heard."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import DOMAIN, Authority, Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import program
from tests.interop.rig.trunk import Trunk

#: What a scanner finds wrong with any certificate of a throw-away authority that is asked for by address.
_THROW_AWAY = re.compile(r"cert_(trust|chain_of_trust)").match

_SEVERE = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")

OPTIONS = (
    "OPTIONS sip:account@trunk.example SIP/2.0\r\n"
    "Via: SIP/2.0/TLS 127.0.0.99:5061;branch=z9hG4bK-scan;rport\r\n"
    "From: <sip:scan@carrier.example>;tag=1\r\nTo: <sip:account@trunk.example>\r\n"
    "Call-ID: scan\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


class InboundCase(InteropCase):
    """A trunk that may be called at C{self.port}; its carrier is not there."""

    def trunkWith(self, *lines: str) -> None:
        """C{lines} are of its C{[trunk.inbound]}."""
        self.authority = Authority(self.scratch)
        self.address = host(2)
        self.port = takePorts(self.address)
        own = self.authority.issue("inbound", "trunk.example", days=90, ocsp="http://127.0.0.1:9/")
        inbound = [
            "[trunk.inbound]",
            f'listen = ["tls:{self.address}:{self.port}"]',
            f'certificate = "{own.certificate}"',
            f'key = "{own.key}"',
            *lines,
        ]
        nobody = f"{host(12)}:{takePorts(host(12))}"
        trunk = Trunk(
            self.scratch,
            ("127.0.0.1", 5999),
            caFile=self.authority.file,
            targets=[nobody],
            trunkLines=inbound,
        )
        self.trunk = self.started(trunk)
        self.trunk.waitFor(lambda: listening("tcp", self.address, self.port), 15, "listen for the carrier")

    def status(self) -> dict[str, object]:
        """What the trunk says of the port."""
        answer = json.loads(self.trunk.tool("status", "--json").stdout)
        found: dict[str, object] = answer["trunks"]["skype"]["inbound"]
        return found

    def run_(self, *command: str, seconds: float = 100, text: str = "") -> str:
        """What a program says."""
        done = subprocess.run(
            [program(command[0]), *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=self.scratch,
        )
        return done.stdout + done.stderr


class ScannerTests(InboundCase):
    """Nothing that a scanner calls worse than low."""

    def setUp(self) -> None:
        """A port that asks for no certificate, so that a scanner gets as far as it can."""
        super().setUp()
        self.trunkWith("verify = false", 'allow = ["127.0.0.0/8"]')

    def test_testssl(self) -> None:
        """testssl.sh: protocols, forward secrecy, cipher order, vulnerabilities, certificate."""
        file = Path(self.scratch) / "testssl.json"
        self.run_(
            *["testssl", "--quiet", "--color", "0", "--warnings", "off", "--openssl", program("openssl")],
            *["--ip", "one", "-p", "-s", "-f", "-P", "-S", "--jsonfile", str(file), "--nodns", "min"],
            f"{self.address}:{self.port}",
        )
        findings = json.loads(file.read_text())
        self.assertGreater(len(findings), 20)
        severe = [each for each in findings if each["severity"] in _SEVERE]
        worse = [(each["id"], each["finding"]) for each in severe if not _THROW_AWAY(each["id"])]
        self.assertEqual(worse, [])
        found = {each["id"]: each["finding"] for each in findings}
        for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            self.assertIn("not offered", found[old])
        self.assertIn("server", found["cipher_order"])

    def test_sslscan(self) -> None:
        """sslscan: TLS 1.2 and 1.3 alone, forward secrecy and AEAD alone, no renegotiation."""
        said = self.run_("sslscan", "--no-colour", "--sleep=60", f"{self.address}:{self.port}")
        for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
            self.assertRegex(said, rf"{old}\s+disabled")
        for new in ("TLSv1.2", "TLSv1.3"):
            self.assertRegex(said, rf"{new}\s+enabled")
        suites = re.findall(r"(?:Preferred|Accepted)\s+TLSv1\.2\s+\d+ bits\s+(\S+)", said)
        self.assertTrue(suites)
        for suite in suites:
            self.assertRegex(suite, r"^ECDHE-.*(GCM|CHACHA20)")
        self.assertIn("Session renegotiation not supported", said)
        self.assertEqual(len(re.findall("vulnerable to heartbleed", said)), 2)
        self.assertEqual(len(re.findall("not vulnerable to heartbleed", said)), 2)


class CallerTests(InboundCase):
    """Who connects with openssl must show the carrier's certificate."""

    def asks(self, certificate: Certificate | None) -> str:
        """What is answered to an OPTIONS."""
        own: list[str] = []
        if certificate is not None:
            own = ["-cert", str(certificate.certificate), "-key", str(certificate.key)]
        return self.run_(
            *["timeout", "3", "openssl", "s_client", "-quiet", "-connect", f"{self.address}:{self.port}"],
            *["-CAfile", str(self.authority.file), "-verify_hostname", "trunk.example"],
            *["-verify_return_error", *own, "-ign_eof"],
            text=OPTIONS,
        )

    def test_carrier(self) -> None:
        """One that proves the trunk's domain is heard, others are not, and are counted."""
        self.trunkWith()
        self.assertIn("SIP/2.0 200", self.asks(self.authority.issue("carrier", DOMAIN)))
        for stranger in (None, self.authority.issue("other", "other.example")):
            self.assertNotIn("SIP/2.0", self.asks(stranger))
        another = Authority(Path(self.scratch), "another").issue("forged", DOMAIN)
        self.assertNotIn("SIP/2.0", self.asks(another))
        status = self.status()
        self.assertEqual((status["handshakes"], status["malformed"]), (3, 0))
