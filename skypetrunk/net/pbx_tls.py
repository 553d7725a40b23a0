"""TLS between us and one PBX, whoever connects: what each side shows, which connections are used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint

from skypetrunk.interfaces import IPBXDialect, ITransactions
from skypetrunk.net.certificates import OwnCertificate, loadTrustRoots, noTrustRoots
from skypetrunk.net.identity import IdentityPolicy, PinnedKey
from skypetrunk.net.reception import MessageObserver, Networks
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import ServerTLS, TLSListener
from skypetrunk.wire.address import TransportAddress

CONNECT_SECONDS = 5.0
"""For TCP and TLS together: a PBX stands on the same network."""


class PBXTLS:
    """
    What a PBX must prove, and what we show it.

    With C{roots}, its certificate must be issued under one of them and prove its name, in both directions; a
    pin then comes on top.  With pins alone its key must be one of them when we connect, and it is not
    asked for a certificate when it does.  With neither we do not connect at all.

    @ivar verifies: we may connect.
    @ivar server: what is shown to the PBX when it connects.
    """

    def __init__(
        self,
        certificate: OwnCertificate,
        *,
        roots: bytes | None = None,
        pins: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        """
        @param certificate: ours, for both directions.
        @param roots: PEM.
        @param pins: C{"sha256/BASE64"}.
        @param name: the host name in its certificate; default: the address that it has.
        @raise ValueError: roots or pins that are none, a name that is none.
        """
        self._certificate = certificate
        self._name = name
        self._roots = noTrustRoots() if roots is None else loadTrustRoots(roots)
        self._identity: IdentityPolicy | None = None
        if roots is not None:
            self._identity = IdentityPolicy(pins)
        elif pins:
            self._identity = PinnedKey(pins)
        asking = None if roots is None else self._identity
        self.server = ServerTLS(certificate, roots=roots, identity=asking, name=name)

    @property
    def verifies(self) -> bool:
        """Is there anything that its certificate can be held against?"""
        return self._identity is not None

    def client(self, host: str) -> ClientTLS:
        """What is asked of the PBX at C{host} when we connect."""
        assert self._identity is not None
        return ClientTLS(self._name or host, self._roots, self._identity, certificate=self._certificate)


class TLSStreams:
    """
    The TLS connections with one PBX.

    @ivar tls: what they ask and show.
    @ivar listener: for the listening ports.
    """

    def __init__(
        self,
        tls: PBXTLS,
        transactions: ITransactions,
        clock: IReactorTime,
        token: Callable[[], str],
        allow: Networks,
        observer: MessageObserver | None,
        dialect: IPBXDialect | None,
        ended: Callable[[], None],
    ) -> None:
        """
        @param allow: who may connect; asked before the handshake.
        @param ended: told of the end of each connection and handshake.
        """
        self.tls = tls
        self._clock = clock

        def factory(secure: bool) -> StreamSignallingFactory:
            return StreamSignallingFactory(
                transactions,
                clock,
                token,
                transport="TLS",
                secure=secure,
                observer=observer,
                lost=lambda channel, reason: ended(),
                dialect=dialect,
            )

        self._called = factory(True)
        self._callers = factory(tls.server.asks)
        self.listener = TLSListener(tls.server, self._callers, clock, allow, ended)

    @property
    def strangers(self) -> int:
        """Connections of others than C{allow}."""
        return self.listener.strangers

    @property
    def crowded(self) -> int:
        """Connections that were closed as there were too many."""
        return self.listener.crowded + self._called.crowded + self._callers.crowded

    @property
    def failures(self) -> int:
        """Connections of those in C{allow} whose handshake did not come to a good end."""
        return self.listener.failures

    @property
    def malformed(self) -> int:
        """Messages that were none."""
        return self._called.reception.malformed + self._callers.reception.malformed

    @property
    def open(self) -> bool:
        """Is there any connection, or a handshake of one?"""
        return bool(self._called.channels or self._callers.channels or self.listener.gates)

    def reusable(self) -> Iterator[StreamSignalling]:
        """
        The connections that requests may take, whoever made them.  Where the PBX can be verified, those on
        which it was: one of its own, where it was not asked for a certificate, is good for answers only.
        """
        for factory in (self._called, self._callers):
            for channel in factory.channels:
                if channel.secure or not self.tls.verifies:
                    yield channel

    def connect(self, address: TransportAddress, tcp: IStreamClientEndpoint) -> Deferred[IProtocol]:
        """
        A verified connection.

        @param tcp: the way to C{address}.
        @raise PeerNotVerified: (errback) somebody else is there.
        @raise ChannelFailed: (errback) nobody is.
        """
        tls = self.tls.client(address.host)
        return TLSClientEndpoint(tcp, tls, self._clock, str(address), CONNECT_SECONDS).connect(self._called)

    def replace(self, tls: PBXTLS) -> None:
        """From the next connection on, ask and show this; whether a PBX that connects is asked stays so."""
        self.tls = tls
        self.listener.tls = tls.server

    def close(self) -> None:
        """Close all of it."""
        self.listener.abandon()
        for channel in (*self._called.channels, *self._callers.channels):
            channel.close()


__all__ = ["PBXTLS", "TLSStreams"]
