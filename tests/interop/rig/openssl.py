"""
C{openssl s_server}: a TLS server that keeps every application octet it decrypts; C{openssl ocsp}: a responder
of its CA.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from pathlib import Path
from typing import IO

from cryptography import x509

from tests.interop.rig.certificates import Authority, Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program


class SServer(Peer):
    """
    The server; one connection after another, never an answer above TLS.

    @ivar port: its port.
    """

    def __init__(
        self,
        scratch: Path,
        certificate: Certificate,
        stapled: Path | None = None,
        name: str = "s_server",
        says: bytes = b"",
    ) -> None:
        """
        @param stapled: file with the OCSP answer to send with the certificate.
        @param says: what it sends above TLS to the first who connects, unasked.
        """
        super().__init__(scratch, name)
        self._says = says
        self.address = host(12)
        self.port = takePorts(self.address)
        self._certificate = certificate
        self._stapled = stapled
        self._octets = scratch / f"{name}.octets"
        self._records = scratch / f"{name}.records"

    def start(self) -> None:
        """Start it and wait until it listens."""
        # -quiet leaves nothing but application data on standard output; the TLS records go to a file.
        self.launch(
            [program("openssl"), "s_server", "-accept", f"{self.address}:{self.port}", "-quiet"]
            + ["-cert", str(self._certificate.certificate), "-key", str(self._certificate.key)]
            + (["-status_file", str(self._stapled)] if self._stapled else [])
            + ["-msg", "-msgfile", str(self._records)],
            output=self._octets,
            input=True,  # it ends its connections when its standard input ends
        )
        self.waitFor(lambda: listening("tcp", self.address, self.port), 5, "listen")
        if self._says:
            assert self._process is not None and self._process.stdin is not None
            # It reads them once a connection stands.
            threading.Thread(target=self._speak, args=(self._process.stdin,), daemon=True).start()

    def _speak(self, input: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            input.write(self._says)
            input.flush()

    def applicationOctets(self) -> bytes:
        """What a client sent above TLS, all connections together."""
        return self._octets.read_bytes()

    def hellos(self) -> int:
        """How many handshakes began."""
        return len(re.findall("ClientHello", self._recordText()))

    def alerts(self) -> list[str]:
        """The alerts that clients sent, in words: C{fatal unknown_ca}."""
        return re.findall(r"<<< .*Alert.*?, (\w+ \w+)", self._recordText())

    def _recordText(self) -> str:
        return self._records.read_text(errors="replace") if self._records.exists() else ""


class Registry:
    """
    What a CA knows about its certificates, as C{openssl ca} keeps it, and answers without a responder.

    @ivar index: the file.
    """

    def __init__(self, scratch: Path, authority: Authority) -> None:
        self.index = scratch / "index.txt"
        self._scratch = scratch
        self.authority = authority
        self.signer = authority.issue("responder", "ocsp.example", signsAnswers=True)

    def enter(self, certificate: Certificate, *, revoked: bool = False) -> None:
        """The CA knows it."""
        leaf = x509.load_pem_x509_certificate(certificate.certificate.read_bytes())
        form = "%y%m%d%H%M%SZ"
        end = leaf.not_valid_after_utc.strftime(form)
        since = f"{leaf.not_valid_before_utc.strftime(form)},keyCompromise" if revoked else ""
        # An even number of digits, as openssl writes it.
        serial = f"{leaf.serial_number:X}"
        serial = serial.zfill(len(serial) + len(serial) % 2)
        line = "\t".join(("R" if revoked else "V", end, since, serial, "unknown", "/CN=leaf"))
        with self.index.open("a") as file:
            file.write(line + "\n")

    def signing(self) -> list[str]:
        """The options of C{openssl ocsp} that make answers."""
        files = {"-index": self.index, "-rsigner": self.signer.certificate, "-rkey": self.signer.key}
        found = [word for option, path in files.items() for word in (option, str(path))]
        return [*found, "-CA", str(self.authority.file)]

    def staple(self, certificate: Certificate) -> Path:
        """An answer about a certificate, in a file."""
        answer = self._scratch / "stapled.der"
        about = ["-issuer", str(self.authority.file), "-cert", str(certificate.certificate)]
        made = ["-respout", str(answer), "-ndays", "1"]
        command = [program("openssl"), "ocsp", *self.signing(), *about, *made]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        return answer

    def list(self) -> Path:
        """A CRL, in a file."""
        configuration, found = self._scratch / "ca.cnf", self._scratch / "ca.crl"
        text = f"[ca]\ndefault_ca = one\n[one]\ndatabase = {self.index}\ndefault_md = sha256\n"
        configuration.write_text(text + "default_crl_days = 1\n")
        command = [program("openssl"), "ca", "-gencrl", "-config", str(configuration), "-out", str(found)]
        command += ["-cert", str(self.authority.file), "-keyfile", str(self.authority.key)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        return found


class Responder(Peer):
    """C{openssl ocsp}, which answers one request after another."""

    def __init__(self, scratch: Path, registry: Registry) -> None:
        super().__init__(scratch, "responder")
        self._registry = registry
        self.address = host(13)
        self.port = takePorts(self.address)
        self.url = f"http://{self.address}:{self.port}/"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [program("openssl"), "ocsp", "-port", str(self.port), "-ndays", "1"]
        self.launch([*command, *self._registry.signing()])
        self.waitFor(lambda: "ACCEPT" in self.text(), 5, "listen")

    def asked(self) -> int:
        """How often."""
        return self.text().count("Received request")
