"""stunnel: the TLS side of a peer that speaks only TCP."""

from __future__ import annotations

from pathlib import Path

from tests.interop.rig.certificates import Certificate
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render


class Stunnel(Peer):
    """
    A TLS server in front of a TCP peer.

    @ivar port: its TLS port.
    """

    def __init__(
        self,
        scratch: Path,
        certificate: Certificate,
        connect: tuple[str, int],
        name: str = "stunnel",
    ) -> None:
        super().__init__(scratch, name)
        self.address = address = host(11)
        self.port = takePorts(address)
        values = {
            "ACCEPT": f"{address}:{self.port}",
            "CONNECT": f"{connect[0]}:{connect[1]}",
            "CERTIFICATE": certificate.certificate,
            "KEY": certificate.key,
        }
        self._configuration = scratch / f"{name}.conf"
        render("stunnel.in", self._configuration, values)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch([program("stunnel"), str(self._configuration)])
        self.waitFor(lambda: listening("tcp", self.address, self.port), 5, "listen")

    def connections(self) -> int:
        """TLS connections it accepted so far."""
        return self.text().count("accepted connection from")
