"""A TLS port for a carrier that calls in: what connects to it must prove to be the carrier, or be listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime

from skypetrunk.interfaces import ITransactions
from skypetrunk.net.reception import MessageObserver, Networks
from skypetrunk.net.signalling import StreamSignallingFactory
from skypetrunk.net.tls_server import ServerTLS, TLSListener
from skypetrunk.wire.address import TransportAddress


class CarrierListener:
    """
    The listening ports of one trunk.

    @ivar listening: the addresses bound, with the ports the system gave.
    """

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        token: Callable[[], str],
        tls: ServerTLS,
        listen: Sequence[TransportAddress],
        allow: Networks | None,
        transactions: ITransactions,
        observer: MessageObserver | None = None,
    ) -> None:
        """
        @param tls: what we show, and what is asked; with a certificate asked for, its owner is the carrier.
        @param listen: literal.
        @param allow: who may connect; C{None} for everybody, where a certificate is asked for.
        @raise ValueError: everybody may connect, and nobody has to prove anything.
        """
        if allow is None and not tls.asks:
            raise ValueError("neither addresses nor a certificate would tell who calls")
        self._reactor = reactor
        self._listen = tuple(listen)
        self._ports: list[IListeningPort] = []
        self._stopped: Deferred[None] | None = None
        self.listening: tuple[TransportAddress, ...] = ()
        self._streams = StreamSignallingFactory(
            transactions,
            clock,
            token,
            transport="TLS",
            secure=True,
            observer=observer,
            lost=lambda channel, reason: self._checkStopped(),
        )
        self._listener = TLSListener(tls, self._streams, clock, allow, self._checkStopped)

    def listen(self) -> None:
        """
        Bind every address.

        @raise CannotListenError: one is taken, or not ours; none stays bound.
        """
        self._stopped = None
        try:
            for address in self._listen:
                port = self._reactor.listenTCP(address.port, self._listener, interface=address.host)
                self._ports.append(port)
        except Exception:
            self.stop()
            raise
        self.listening = tuple(
            TransportAddress("TLS", address.host, getattr(port.getHost(), "port", 0))
            for address, port in zip(self._listen, self._ports, strict=True)
        )

    def replaceTLS(self, tls: ServerTLS) -> None:
        """From the next connection on, show and ask this."""
        self._listener.tls = tls

    def stop(self) -> Deferred[None]:
        """Close all of it; fires when every port is free again and every connection closed."""
        ports, self._ports = self._ports, []
        self._stopped = Deferred()
        waiting: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        waiting.append(self._stopped)
        self._listener.abandon()
        for channel in tuple(self._streams.channels):
            channel.close()
        self._checkStopped()
        return DeferredList(waiting, consumeErrors=True).addCallback(lambda _: None)

    def _checkStopped(self) -> None:
        stopped = self._stopped
        if stopped is not None and not stopped.called:
            if not self._streams.channels and not self._listener.gates:
                stopped.callback(None)

    def status(self) -> dict[str, object]:
        """What is connected, and who was sent away; ready for JSON."""
        return {
            "listening": [str(each) for each in self.listening],
            "connections": len(self._streams.channels),
            "strangers": self._listener.strangers,
            "handshakes": self._listener.failures,
            "crowded": self._listener.crowded,
            "malformed": self._streams.reception.malformed,
        }


__all__ = ["CarrierListener"]
