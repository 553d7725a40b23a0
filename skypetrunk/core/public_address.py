"""
Our address in Contacts towards a carrier: as the carrier sees it, behind NAT too.

What it sees is told in each response, in C{received} and C{rport} of our Via (RFC 3261 section 18.2.1,
RFC 3581).
"""

from __future__ import annotations

from ipaddress import ip_address

from twisted.logger import Logger

from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.address import TransportAddress, isLiteral
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Response
from skypetrunk.wire.uri import SIPURI


class PublicAddress:
    """
    The address that one trunk's Contacts name.

    @ivar learned: host and port that the carrier sees on the connection in use, C{None} while that is not
        known.
    @ivar overFlow: the carrier keeps to the connection that we registered over (RFC 5626): Contacts of
        calls ask for the same (section 4.3).
    """

    _log = Logger()

    def __init__(self, *, learning: bool = False, fixed: tuple[str, int] | None = None) -> None:
        """
        @param learning: believe what the carrier sees.
        @param fixed: host, literal or name, and port that are told whatever it sees.
        """
        self._learning = learning
        self._fixed = fixed
        self._local: TransportAddress | None = None
        self._decided = False
        self.learned: tuple[str, int] | None = None
        self.overFlow = False

    def use(self, channel: IMessageChannel) -> None:
        """
        C{channel} is the trunk's connection from now on.  What was learned on another one holds no more: a
        router has given this one another port.
        """
        if channel.localAddress != self._local:
            self._local = channel.localAddress
            self._decided = False
            self.learned = None
            self.overFlow = False

    def learn(self, response: Response) -> bool:
        """
        What C{response}, which came over the connection in use, says about where we are.  The first that says
        something decides: while a connection stands it stays where it is.

        @return: do Contacts name another address now?
        """
        local = self._local
        if local is None or self._decided:
            return False
        try:
            via = response.topVia
        except MalformedMessage:
            return False
        host, port = via.received or local.host, via.rport or local.port
        # A zone index means something on the machine that wrote it only.
        if (via.received is None and via.rport is None) or not isLiteral(host) or "%" in host:
            return False
        self._decided = True
        mapped = getattr(ip_address(host), "ipv4_mapped", None)
        host = host if mapped is None else str(mapped)
        if (host, port) == (local.host, local.port) or not _believable(host, local.host):
            return False
        self.learned = (host, port)
        return self._learning and self._fixed is None

    @property
    def version(self) -> int | None:
        """The IP version of the connection in use; C{None} without one."""
        return None if self._local is None else 6 if ":" in self._local.host else 4

    def of(self, channel: IMessageChannel) -> tuple[str, int]:
        """
        Host and port for a Contact on C{channel}.  On a connection beside the one in use, too, that one's
        address is told: it is the way that the carrier knows.
        """
        local = channel.localAddress
        if self._fixed is not None:
            return self._fixed
        if (
            self._learning
            and self.learned is not None
            and self._local is not None
            and local.host == self._local.host
        ):
            return self.learned
        return local.host, local.port

    def contact(self, contact: NameAddr, channel: IMessageChannel) -> NameAddr:
        """C{contact}, of a call on C{channel}, with that; and over our flow, if the carrier keeps to it."""
        assert isinstance(contact.uri, SIPURI)
        host, port = self.of(channel)
        if not self.overFlow and (host, port) == (contact.uri.host, contact.uri.port):
            return contact
        params = contact.uri.params.with_("ob") if self.overFlow else contact.uri.params
        return contact.replace(uri=contact.uri.replace(host=host, port=port, params=params))


def _believable(seen: str, local: str) -> bool:
    """
    Not if a machine of the carrier's inner network stands between, which is what it sees: our own address
    is better, if it is one that everybody can reach.
    """
    address = ip_address(seen)
    if address.is_unspecified or address.is_multicast:
        return False
    return address.is_global or not (isLiteral(local) and ip_address(local).is_global)


__all__ = ["PublicAddress"]
