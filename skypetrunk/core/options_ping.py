"""
OPTIONS sent again and again, as proof that a carrier answers (RFC 3261 section 11): for trunks that do not
register, and so would learn only from a call that nobody is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from skypetrunk.core.capabilities import USER_AGENT
from skypetrunk.core.machines import indexed
from skypetrunk.interfaces import IClientTransaction, IClientTransactionUser, IMessageChannel, ITransactions
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI


def makeOptions(
    caller: NameAddr,
    target: SIPURI,
    contact: NameAddr,
    token: Callable[[], str],
    more: Sequence[Header] = (),
) -> Request:
    """
    An OPTIONS outside any dialog (RFC 3261 section 11.1), without Via.

    @param caller: who asks, without tag.
    @param token: random text for tag and Call-ID.
    @param more: other lines.
    """
    lines = [
        Header("Max-Forwards", "70"),
        Header("From", str(caller.replace(params=caller.params.with_("tag", token())))),
        Header("To", f"<{target}>"),
        Header("Call-ID", token()),
        Header("CSeq", "1 OPTIONS"),
        Header("Contact", str(contact)),
        Header("Accept", "application/sdp"),
        USER_AGENT,
        *more,
    ]
    return Request("OPTIONS", str(target), tuple(lines))


class OptionsPingUser(Protocol):
    """Who wants to know whether a peer lives."""

    def pingAnswered(self, response: Response) -> None:
        """The peer lives: any final response shows that, 404 and 405 too."""

    def pingUnanswered(self) -> None:
        """Silence until timer F; nothing is asked until L{OptionsPing.start}."""


class _Inputs(Protocol):
    def start(self, channel: IMessageChannel) -> None: ...
    def answered(self, response: Response) -> None: ...
    def unanswered(self) -> None: ...
    def due(self) -> None: ...
    def stop(self) -> None: ...


@implementer(IClientTransactionUser)
class _Asking:
    """One OPTIONS; what comes after another was sent, or after the end, is ignored."""

    __slots__ = ("_core", "_inputs")

    def __init__(self, inputs: _Inputs, core: _Core) -> None:
        self._inputs = inputs
        self._core = core

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """A final response counts."""
        if self._core.asking is self and response.status >= 200:
            self._inputs.answered(response)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Timer F."""
        if self._core.asking is self:
            self._inputs.unanswered()

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """Whoever owns the channel hears of that by itself."""


@dataclass(slots=True, eq=False)
class _Core:
    user: OptionsPingUser
    clock: IReactorTime
    transactions: ITransactions
    makeRequest: Callable[[IMessageChannel], Request]
    interval: float
    channel: IMessageChannel | None = None
    asking: _Asking | None = None

    def ask(self, inputs: _Inputs) -> None:
        assert self.channel is not None
        self.asking = _Asking(inputs, self)
        self.transactions.sendRequest(self.makeRequest(self.channel), self.channel, self.asking)


def _untilNext(inputs: _Inputs, core: _Core, response: Response) -> IDelayedCall:
    return core.clock.callLater(core.interval, inputs.due)


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    idle = builder.state("idle")
    asking = builder.state("asking")
    waiting = builder.state("waiting", _untilNext)

    @idle.upon(_Inputs.start).to(asking)
    @asking.upon(_Inputs.start).loop()
    def begin(inputs: _Inputs, core: _Core, channel: IMessageChannel) -> None:
        core.channel = channel
        core.ask(inputs)

    @waiting.upon(_Inputs.start).to(asking)
    def beginAnew(inputs: _Inputs, core: _Core, timer: IDelayedCall, channel: IMessageChannel) -> None:
        timer.cancel()
        core.channel = channel
        core.ask(inputs)

    @asking.upon(_Inputs.answered).to(waiting)
    def tellAnswered(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.user.pingAnswered(response)

    @asking.upon(_Inputs.unanswered).to(idle)
    def tellUnanswered(inputs: _Inputs, core: _Core) -> None:
        core.user.pingUnanswered()

    @waiting.upon(_Inputs.due).to(asking)
    def askAgain(inputs: _Inputs, core: _Core, timer: IDelayedCall) -> None:
        core.ask(inputs)

    @asking.upon(_Inputs.stop).to(idle)
    def forget(inputs: _Inputs, core: _Core) -> None:
        core.asking = None

    @waiting.upon(_Inputs.stop).to(idle)
    def stopWaiting(inputs: _Inputs, core: _Core, timer: IDelayedCall) -> None:
        timer.cancel()

    asking.upon(_Inputs.due).loop().returns(None)
    idle.upon(_Inputs.answered).loop().returns(None)
    idle.upon(_Inputs.unanswered).loop().returns(None)
    idle.upon(_Inputs.due).loop().returns(None)
    idle.upon(_Inputs.stop).loop().returns(None)
    waiting.upon(_Inputs.answered).loop().returns(None)
    waiting.upon(_Inputs.unanswered).loop().returns(None)
    return builder.build()


_machine = indexed(_build())


class OptionsPing:
    """OPTIONS over one channel at a time."""

    __slots__ = ("_inputs",)

    def __init__(
        self,
        user: OptionsPingUser,
        clock: IReactorTime,
        transactions: ITransactions,
        makeRequest: Callable[[IMessageChannel], Request],
        interval: float,
    ) -> None:
        """
        @param makeRequest: see L{makeOptions}.
        @param interval: seconds from an answer to the next question.
        """
        self._inputs = _machine(_Core(user, clock, transactions, makeRequest, interval))

    def start(self, channel: IMessageChannel) -> None:
        """Ask over C{channel}, now and after each interval; another that was used before is forgotten."""
        self._inputs.start(channel)

    def stop(self) -> None:
        """Ask no more."""
        self._inputs.stop()


__all__ = ["OptionsPing", "OptionsPingUser", "makeOptions"]
