"""C{[trunk.inbound]}."""

from __future__ import annotations

from pathlib import Path

from skypetrunk.profiles.tables import Table
from skypetrunk.service.addresses import isHostName, readNetwork, readSIPAddress
from skypetrunk.service.settings import InboundConfiguration, TLSConfiguration
from skypetrunk.service.tls_table import readOwnCertificate, readRoots
from skypetrunk.wire.address import TransportAddress


def readInbound(table: Table, directory: Path, trunk: TLSConfiguration) -> InboundConfiguration | None:
    """
    The table; what is wrong is noted in its problems.

    @param directory: where relative paths start.
    @param trunk: how the carrier proves itself when we connect.
    """
    if table.empty:
        return None
    listen: list[TransportAddress] = []
    for text in table.texts("listen", 'listen = ["tls:192.0.2.1:5061"]', required=True) or ():
        address = readSIPAddress(table, "listen", text)
        if address is not None and address.transport != "TLS":
            table.wrong("listen", f'"{text}" is no TLS address', f'"tls:{address.hostPort}"')
        elif address is not None:
            listen.append(address)
    certificate, key, keyPasswordFile = readOwnCertificate(table, directory, required=True)
    allow = None
    if "allow" in table:
        texts = table.texts("allow", 'allow = ["192.0.2.0/24"]') or ()
        found = [readNetwork(table, "allow", text) for text in texts]
        allow = tuple(network for network in found if network is not None)
    caFile = None
    if table.boolean("verify", True):
        caFile = readRoots(table, directory) or trunk.caFile
        if caFile is None:
            right = 'ca_file = "carrier-ca.pem", or verify = false beside allow'
            table.wrong("ca_file", "is missing: nothing would say whether the carrier calls", right)
    elif not allow:
        right = 'allow = ["192.0.2.0/24"], the addresses that the carrier names, or verify = true'
        table.wrong("allow", "is missing beside verify = false: anybody could call in", right)
    name = table.text("name", 'name = "trunk.example.com"')
    if name is not None and not isHostName(name):
        table.wrong("name", f'"{name}" is no host name', 'name = "trunk.example.com"')
    files = TLSConfiguration(caFile, trunk.pins, certificate, key, keyPasswordFile)
    return InboundConfiguration(tuple(listen), files, allow, None if name is None else name.lower())


__all__ = ["readInbound"]
