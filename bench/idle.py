"""Memory of what waits: a registered trunk without calls, and a carrier's connection to us."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import time
from pathlib import Path

from bench.lab import DOMAIN, HOST, Lab, Trunks
from bench.processes import takePorts
from bench.table import Figure, Row
from skypetrunk.lab.authority import Authority
from skypetrunk.lab.leaves import carrierIdentity

TRUNKS = 200
CONNECTIONS = 320

_EACH = 16
"""Connections that one host may have (L{skypetrunk.net.tls_server.MOST_FROM_ONE})."""

_PAUSE = 0.05
"""Seconds between two: there may be 30 in a second."""

_KAMAILIO = "Kamailio's published figure: 61 kB for a TLS connection"

_INBOUND = """
[trunk.inbound]
listen = ["tls:{host}:{port}"]
certificate = "{directory}/client.pem"
key = "{directory}/client.key"
ca_file = "{roots}"
"""


def measure() -> Figure:
    """Processes of their own for trunks and for connections."""
    with Lab() as lab:
        alone = _idle(lab, 1)
        many = _idle(lab, TRUNKS + 1)
        connection = _connections(lab)
    rows = (
        Row(
            "an idle trunk",
            ((many - alone) / TRUNKS / 1024,),
            "KiB",
            note="with its connection to the carrier",
        ),
        Row("an inbound TLS connection", (connection / 1024,), "KiB", note=_KAMAILIO),
        Row("the process with one trunk", (alone / 2**20,), "MiB"),
        Row(f"the process with {TRUNKS + 1}", (many / 2**20,), "MiB"),
    )
    return Figure("Private memory of what is registered, or connected, and idle", "idle", rows)


def _idle(lab: Lab, count: int) -> int:
    with Trunks(lab, count) as trunks:
        trunks.waitRegistered(count, 60)
        time.sleep(2)
        return trunks.program.memory()


def _connections(lab: Lab) -> float:
    """Octets for each connection of a carrier that shows its certificate, as it must."""
    now = datetime.datetime.now(datetime.UTC)
    authority = Authority(now)
    roots, own = lab.directory / "inbound-ca.pem", lab.directory / "inbound-carrier.pem"
    roots.write_bytes(authority.rootPEM)
    own.write_bytes(carrierIdentity(authority, DOMAIN, DOMAIN, now).pem)
    port = takePorts(HOST)
    inbound = _INBOUND.format(host=HOST, port=port, directory=lab.directory, roots=roots)
    with Trunks(lab, inbound=inbound) as trunk, contextlib.ExitStack() as stack:
        trunk.waitRegistered()
        # What the first ones cost once is not the price of a connection.
        for number in range(_EACH):
            stack.enter_context(_connect(number, port, own, lab.directory / "ca.pem"))
        time.sleep(1)
        before = trunk.program.memory()
        for number in range(_EACH, _EACH + CONNECTIONS):
            stack.enter_context(_connect(number, port, own, lab.directory / "ca.pem"))
        time.sleep(1)
        return (trunk.program.memory() - before) / CONNECTIONS


def _connect(number: int, port: int, own: Path, roots: Path) -> ssl.SSLSocket:
    """A connection that has sent a ping and has got the pong: all that a connection needs is there."""
    context = ssl.create_default_context(cafile=roots)
    context.check_hostname = False
    context.load_cert_chain(own)
    time.sleep(_PAUSE)
    plain = socket.create_connection((HOST, port), 10, (f"127.0.2.{1 + number // _EACH}", 0))
    connection = context.wrap_socket(plain)
    connection.sendall(b"\r\n\r\n")
    connection.recv(2)
    return connection
