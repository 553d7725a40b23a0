"""Which addresses of a configuration are none of this machine's, though something is to be received there."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from attrs import frozen

from skypetrunk.service.settings import Configuration


@frozen
class Foreign:
    """
    One address.

    @ivar setting: the key that names it first.
    @ivar why: what the system says.
    """

    setting: str
    address: str
    why: str

    def __str__(self) -> str:
        return f"{self.address} is no address of this machine, so that nothing can be received there"


def foreignAddresses(configuration: Configuration) -> Iterator[Foreign]:
    """Those at which no socket can be bound; nothing is sent."""
    wanted = {host.host: "media.address" for host in configuration.media.hosts}
    for trunk in configuration.trunks:
        for host in trunk.media.path.hosts:
            wanted.setdefault(host.host, f"trunk.{trunk.name}.media.address")
    for pbx in configuration.pbxes:
        for host in pbx.mediaPath.hosts:
            wanted.setdefault(host.host, f"pbx.{pbx.name}.media_address")
        for listen in pbx.listen:
            wanted.setdefault(listen.host, f"pbx.{pbx.name}.listen")
    for address, setting in wanted.items():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        except OSError as problem:
            yield Foreign(setting, address, str(problem.strerror))


__all__ = ["Foreign", "foreignAddresses"]
