"""The way to DNS: the configured name servers, or the system's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.interfaces import IResolver
from twisted.names import client, common, dns, error, hosts, resolve
from twisted.python.failure import Failure

from skypetrunk.net.dns_records import TIMEOUTS
from skypetrunk.wire.address import isLiteral

#: Seconds that a server has beyond those for UDP, to tell by TCP what was too long.
_TCP_SECONDS = 2.0


def buildResolver(reactor: Any, servers: Sequence[str] = ()) -> IResolver:
    """
    The way to DNS.

    @param reactor: for UDP, TCP and time.
    @param servers: C{"192.0.2.53"} or C{"192.0.2.53:5353"}; with none, the system's hosts file and
        name servers.
    @raise ValueError: a server that is no literal address.
    """
    if servers:
        addresses = [_hostPort(each, dns.PORT) for each in servers]
        return NameServers(reactor, lambda: addresses)
    # It reads the file, again when that has changed; it is asked nothing.
    system = client.Resolver(resolv="/etc/resolv.conf", timeout=TIMEOUTS, reactor=reactor)
    return resolve.ResolverChain([hosts.Resolver(), NameServers(reactor, lambda: tuple(system.dynServers))])


class NameServers(common.ResolverBase):
    """
    Name servers, in their order.  One that is silent, fails or refuses has said nothing of the name, so that
    the next is asked (RFC 1035 section 7.2, RFC 2308 section 7); Twisted's own goes on after silence only.
    """

    def __init__(self, reactor: Any, addresses: Callable[[], Sequence[tuple[str, int]]]) -> None:
        """
        @param addresses: literal host and port of each, as they are now.
        """
        super().__init__()
        self._reactor = reactor
        self._resolvers: dict[tuple[str, int], client.Resolver] = {}
        self.addresses = addresses

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None) -> Deferred[Any]:
        """See L{common.ResolverBase}: all lookups end here."""
        return Deferred.fromCoroutine(self._ask(dns.Query(name, type, cls), timeout or TIMEOUTS))

    async def _ask(self, query: dns.Query, timeouts: Sequence[int]) -> Any:
        """
        The first answer; that there is none is one.  The silent are asked once for each of C{timeouts}; not
        those that have said by UDP that their answer is too long for it, and are silent on TCP.

        @raise Exception: what the last of those said that said anything, else L{DeferTimeout}.
        """
        left = list(self.addresses())
        problem: Exception = DeferTimeout(query)
        for seconds in timeouts:
            for address in tuple(left):
                asked = self._resolver(address).query(query, (seconds,))
                asked.addTimeout(seconds + _TCP_SECONDS, self._reactor, _silentOnTCP)
                try:
                    return await asked
                except (error.DNSNameError, CancelledError):
                    raise
                except DeferTimeout:
                    continue
                except Exception as seen:
                    problem = seen
                    left.remove(address)
        raise problem

    def _resolver(self, address: tuple[str, int]) -> client.Resolver:
        found = self._resolvers.get(address)
        if found is None:
            found = client.Resolver(servers=[address], timeout=TIMEOUTS, reactor=self._reactor)
            self._resolvers[address] = found
        return found


def _silentOnTCP(result: object, seconds: float) -> Failure:
    """The answer by UDP has come, or the time for that would have been over before this one."""
    return Failure(ConnectionError("the answer is too long for UDP, and TCP is silent"))


def _hostPort(text: str, default: int) -> tuple[str, int]:
    """A literal address, in brackets if it is IPv6 and a port follows."""
    if isLiteral(text):
        return text, default
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: write [{host}]:{port}")
    if not isLiteral(host):
        raise ValueError(f"{text!r} must be a literal address, as 192.0.2.1:{default}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: {port!r} is no port")
    return host, int(port)


__all__ = ["NameServers", "buildResolver"]
