"""The way to one of several servers: each is tried within its budget, the healthy ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.target_health import TargetHealth, shown
from skypetrunk.errors import NoTarget, PeerNotVerified
from skypetrunk.interfaces import Target
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint

#: The way to one target.
Connector = Callable[[Target], TLSClientEndpoint]


@frozen
class Budgets:
    """
    Seconds that one server has, before the next is tried.

    @ivar connect: for TCP.
    @ivar handshake: for TLS after that.
    """

    connect: float = 2.0
    handshake: float = 3.0


def tlsConnector(reactor: Any, tls: ClientTLS, budgets: Budgets = Budgets()) -> Connector:  # noqa: B008
    """Real connections, over C{reactor}, to literal targets."""

    def connector(target: Target) -> TLSClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in target.host else TCP4ClientEndpoint
        tcp = kind(reactor, target.host, target.port, budgets.connect)
        return TLSClientEndpoint(tcp, tls, reactor, shown(target), handshake=budgets.handshake)

    return connector


@implementer(IStreamClientEndpoint)
class TargetsEndpoint:
    """
    Tries targets until one is reached and verified (RFC 3263 section 4.3).

    @ivar target: the one tried last.
    @ivar endpoint: the way to it.
    @ivar known: all that were found last.
    """

    _log = Logger()
    target: Target | None = None
    endpoint: TLSClientEndpoint | None = None
    known: Sequence[Target] = ()

    def __init__(
        self,
        name: str,
        locate: Callable[[], Deferred[Sequence[Target]]],
        connector: Connector,
        failed: Callable[[str], None],
        health: TargetHealth,
        *,
        must: bool = False,
    ) -> None:
        """
        @param name: what is connected to, for the log.
        @param locate: called anew for each connection.
        @param failed: told why no target could be used, each by name.
        @param health: says in which order they are tried, and is told how that went.
        @param must: there is no other way: a target that asked to be left alone is tried all the same.
        """
        self._name = name
        self._locate = locate
        self._connector = connector
        self._failed = failed
        self._health = health
        self._must = must

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        See L{IStreamClientEndpoint.connect}; errbacks with L{NoTarget}, with L{PeerNotVerified} if
        all that was reached was somebody else, or with L{CancelledError}.
        """
        return Deferred.fromCoroutine(self._walk(protocolFactory))

    async def _walk(self, factory: IProtocolFactory) -> IProtocol:
        try:
            self.known = await self._locate()
        except NoTarget as problem:
            self._failed(str(problem))
            raise
        problems: list[tuple[Target, Exception]] = []
        targets = self._health.order(self.known)
        if self._must:
            targets += [each for each in self.known if each not in targets]
        for target in targets:
            self.target = target
            self.endpoint = self._connector(target)
            try:
                protocol = await self.endpoint.connect(factory)
            except CancelledError:
                raise
            except Exception as problem:
                problems.append((target, problem))
                self._health.failed(target, _without(target, problem))
            else:
                self._health.connected(target)
                if problems:
                    self._log.warn("{name}: passed over: {text}", name=self._name, text=_listed(problems))
                return protocol
        text = _listed(problems)
        if not problems:
            text = "each server has asked to be left alone" if self.known else "no targets"
        self._failed(text)
        if problems and all(isinstance(problem, PeerNotVerified) for _, problem in problems):
            raise problems[0][1]
        raise NoTarget(text)

    def __repr__(self) -> str:
        return f"<the targets of {self._name}>"


def _listed(problems: Sequence[tuple[Target, Exception]]) -> str:
    return "; ".join(f"{shown(target)}: {_without(target, problem)}" for target, problem in problems)


def _without(target: Target, problem: Exception) -> str:
    """The text of C{problem}; a failed channel begins it with its peer."""
    return str(problem).removeprefix(f"{shown(target)}: ")


__all__ = ["Budgets", "Connector", "TargetsEndpoint", "tlsConnector"]
