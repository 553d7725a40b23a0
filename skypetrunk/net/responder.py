"""
The way to an OCSP responder: one POST over HTTP (RFC 6960 appendix A.1), bounded in time and size.

Import it when there is something to ask: it loads Twisted's HTTP client.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IConsumer, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import ITargetLocator

#: Seconds for look-up, connection and answer together: a trunk that comes up waits for it.
FETCH_SECONDS = 2.0

#: Octets of an answer: one with the responder's certificate has two thousand.
MOST_OCTETS = 65536


def askResponder(reactor: Any, locator: ITargetLocator, url: str, request: bytes) -> Deferred[bytes]:
    """
    Ask a responder; fires with its answer, DER, of which nothing was checked.

    @param locator: looks the name up, so that the configured name servers are asked.
    @raise ChannelFailed: (errback) no answer, or none of these bounds.
    """
    asking = Deferred.fromCoroutine(_post(reactor, locator, url, request))
    return asking.addTimeout(FETCH_SECONDS, reactor, onTimeoutCancel=_timedOut)


def _timedOut(result: bytes | Failure, seconds: float) -> bytes | Failure:
    if isinstance(result, Failure):
        raise ChannelFailed(f"nothing within {seconds:g} s")
    return result


async def _post(reactor: Any, locator: ITargetLocator, url: str, request: bytes) -> bytes:
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, locator), pool)
    headers = Headers({"Content-Type": ["application/ocsp-request"]})
    try:
        response = await agent.request(b"POST", url.encode("ascii"), headers, _Octets(request))
        # Nobody is redirected: the address is the one that the certificate names.
        answer = _Answer(None if response.code == 200 else f"HTTP status {response.code}")
        response.deliverBody(answer)
        return await answer.whole
    except (CancelledError, ChannelFailed):
        raise
    except Exception as problem:
        raise ChannelFailed(str(problem) or type(problem).__name__) from problem


class _Answer(Protocol):
    """
    The body of an answer.

    @ivar whole: fires with it.
    """

    def __init__(self, problem: str | None) -> None:
        """
        @param problem: what is wrong with it already.
        """
        self.whole: Deferred[bytes] = Deferred(lambda whole: self._close())
        self._problem = problem
        self._data = b""

    def connectionMade(self) -> None:
        """It begins."""
        if self._problem is not None:
            self._end(ChannelFailed(self._problem))
            self._close()

    def dataReceived(self, data: bytes) -> None:
        """A piece of it."""
        self._data += data
        if len(self._data) > MOST_OCTETS:
            self._data = b""
            self._end(ChannelFailed(f"more than {MOST_OCTETS} octets"))
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All of it, or no more of it."""
        if reason.check(ResponseDone, PotentialDataLoss):
            self._end(self._data)
        else:
            self._end(ChannelFailed(f"it broke off: {reason.getErrorMessage()}"))

    def _end(self, result: bytes | Exception) -> None:
        if self.whole.called:
            return
        if isinstance(result, bytes):
            self.whole.callback(result)
        else:
            self.whole.errback(result)

    def _close(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


@implementer(IBodyProducer)
class _Octets:
    """The body of a request: a hundred octets, written at once."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self._octets = octets

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Too late."""

    def resumeProducing(self) -> None:
        """Nothing is left."""

    def stopProducing(self) -> None:
        """Nothing is left."""


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, locator: ITargetLocator) -> None:
        self._reactor = reactor
        self._locator = locator

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return _Located(self._reactor, self._locator, uri.host.decode("ascii"), uri.port)


@implementer(IStreamClientEndpoint)
class _Located:
    """The first address of a host that can be reached."""

    def __init__(self, reactor: Any, locator: ITargetLocator, host: str, port: int) -> None:
        self._reactor = reactor
        self._locator = locator
        self._host = host.strip("[]")
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        problem: Exception = ChannelFailed(f"{self._host} has no address")
        if isinstance(factory, Factory):
            factory.noisy = False
        for target in await self._locator.locate(self._host, self._port):
            kind = TCP6ClientEndpoint if ":" in target.host else TCP4ClientEndpoint
            try:
                return await kind(self._reactor, target.host, self._port).connect(factory)
            except CancelledError:
                raise
            except Exception as error:
                problem = error
        raise problem


__all__ = ["FETCH_SECONDS", "MOST_OCTETS", "askResponder"]
