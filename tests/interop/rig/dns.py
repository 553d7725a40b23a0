"""dnsmasq as the name server of the carrier's domain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render


class Dnsmasq(Peer):
    """
    Serves SRV records of L{DOMAIN}, and a NAPTR record if they are to be under another name.

    @ivar server: host and port, as a resolver wants them.
    """

    def __init__(
        self, scratch: Path, targets: Sequence[tuple[str, str, int, int]], pool: str | None = None
    ) -> None:
        """
        @param targets: host name below the domain, address, port, priority.
        @param pool: name below the domain whose SRV records they are, by NAPTR.
        """
        super().__init__(scratch, "dnsmasq")
        self._address = address = host(53)
        self._port = takePorts(address)
        self.server = f"{address}:{self._port}"
        owner = f"_sips._tcp.{DOMAIN}" if pool is None else f"_sips._tcp.{pool}.{DOMAIN}"
        records = [] if pool is None else [f"naptr-record={DOMAIN},10,10,s,SIPS+D2T,,{owner}"]
        for name, literal, port, priority in targets:
            records.append(f"host-record={name}.{DOMAIN},{literal}")
            records.append(f"srv-host={owner},{name}.{DOMAIN},{port},{priority},50")
        values = {"PORT": self._port, "ADDRESS": address, "SCRATCH": scratch, "RECORDS": "\n".join(records)}
        render("dnsmasq.in", scratch / "dnsmasq.conf", values)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch([program("dnsmasq"), "-k", "-C", str(self.scratch / "dnsmasq.conf")])
        self.waitFor(lambda: listening("udp", self._address, self._port), 5, "listen")
