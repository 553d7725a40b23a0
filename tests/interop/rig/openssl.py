"""C{openssl s_server}: a TLS server that keeps every application octet it decrypts."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.rig.certificates import Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program


class SServer(Peer):
    """
    The server; one connection after another, never an answer above TLS.

    @ivar port: its port.
    """

    def __init__(self, scratch: Path, certificate: Certificate) -> None:
        super().__init__(scratch, "s_server")
        self.address = host(12)
        self.port = takePorts(self.address)
        self._certificate = certificate
        self._octets = scratch / "s_server.octets"
        self._records = scratch / "s_server.records"

    def start(self) -> None:
        """Start it and wait until it listens."""
        # -quiet leaves nothing but application data on standard output; the TLS records go to a file.
        self.launch(
            [program("openssl"), "s_server", "-accept", f"{self.address}:{self.port}", "-quiet"]
            + ["-cert", str(self._certificate.certificate), "-key", str(self._certificate.key)]
            + ["-msg", "-msgfile", str(self._records)],
            output=self._octets,
            input=True,  # it ends its connections when its standard input ends
        )
        self.waitFor(lambda: listening("tcp", self.address, self.port), 5, "listen")

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
