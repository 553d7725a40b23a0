"""TLS of one trunk: what is asked and shown now, both ways, and the watch over its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from twisted.logger import Logger

from skypetrunk.interfaces import ITargetLocator, Target
from skypetrunk.net.client_tls import ClientTLS
from skypetrunk.net.handshake import HandshakeRecord
from skypetrunk.net.revocation import AnswerCache
from skypetrunk.net.targets_endpoint import Budgets, tlsConnector
from skypetrunk.net.tls import TLSClientEndpoint
from skypetrunk.net.tls_server import ServerTLS
from skypetrunk.service.certificate_watch import CertificateWatch, inWords
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.service.tls_files import Ending, clientTLS, inboundTLS
from skypetrunk.service.tls_table import endsSoon

_Both = tuple[ClientTLS, ServerTLS | None]


class CarrierTLS:
    """
    One trunk's.

    @ivar current: for the next connection to the carrier.
    @ivar inbound: for the next connection of the carrier; C{None} where it does not call in.
    """

    _log = Logger()

    def __init__(
        self,
        trunk: TrunkConfiguration,
        reactor: Any,
        locator: ITargetLocator,
        handshake: Callable[[], HandshakeRecord | None],
    ) -> None:
        """
        @param locator: finds OCSP responders.
        @param handshake: evidence of the connection that stands.
        @raise ConfigurationError: a file that cannot be used.
        """
        self._name = trunk.name
        self._reactor = reactor
        self._handshake = handshake
        self._budgets = Budgets(trunk.profile.connectTimeout, trunk.profile.handshakeTimeout)
        cache = AnswerCache()

        def make() -> _Both:
            client = clientTLS(trunk, reactor, locator, cache)
            if inbound is None:
                return client, None
            return client, inboundTLS(inbound, trunk.domain, trunk.profile, client.revocation)

        inbound = trunk.inbound
        self.current, self.inbound = make()
        self.replaceInbound: Callable[[ServerTLS], None] = lambda tls: None
        watch = CertificateWatch(trunk.name, reactor, trunk.tls, make, self._replace, self._carriers)
        self._watches = [watch]
        if inbound is not None:
            self._watches.append(CertificateWatch(trunk.name, reactor, inbound.files, make, self._replace))

    def connector(self, target: Target) -> TLSClientEndpoint:
        """The way to one target, with the files as they are now."""
        return tlsConnector(self._reactor, self.current, self._budgets)(target)

    def start(self) -> None:
        """Begin to watch the files."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Do not watch them any more."""
        for watch in self._watches:
            watch.stop()

    def connected(self) -> None:
        """A connection to the carrier stands: say so if its certificate ends soon."""
        now = datetime.now(UTC)
        for each in self._carriers():
            if endsSoon(each.begin, each.end, now):
                self._log.warn("{trunk}: {ending}", trunk=self._name, ending=inWords(each, now))

    def _carriers(self) -> Iterator[Ending]:
        record = self._handshake()
        if record is not None and record.proof is not None and record.certificate is not None:
            what = f"the carrier's certificate {record.certificate.subject}"
            yield Ending(what, record.certificate.begins, record.certificate.expires)

    def _replace(self, both: _Both) -> None:
        self.current, self.inbound = both
        if self.inbound is not None:
            self.replaceInbound(self.inbound)


__all__ = ["CarrierTLS"]
