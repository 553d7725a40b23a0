"""Signalling within the process: two channels that hand messages to each other, one turn later."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IMessageChannel, ITransactions
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request, Response

Observer = Callable[[bool, Request | Response, IMessageChannel], None]
"""Told of each message of one end: sent or received, the message, the channel."""


class Turns:
    """What is to be done in the next turn of the reactor, in order: nothing runs within its cause."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[Callable[[], None]] = []
        self._due: IDelayedCall | None = None
        self._stopped = False

    def later(self, do: Callable[[], None]) -> None:
        """Do this in the next turn; nothing once it was stopped."""
        if self._stopped:
            return
        self._waiting.append(do)
        if self._due is None:
            self._due = self._clock.callLater(0, self._turn)

    def stop(self) -> None:
        """Do what waits, and nothing more."""
        self._stopped = True
        due, self._due = self._due, None
        if due is not None:
            due.cancel()
            self._turn()

    def _turn(self) -> None:
        # What is added from here on has its own turn.
        waiting, self._waiting, self._due = self._waiting, [], None
        for do in waiting:
            with self._log.failuresHandled("a turn within the process"):
                do()


@implementer(IMessageChannel)
class MemoryChannel:
    """
    One end.

    @ivar receiver: takes what the other end sends; set it before anything is sent.
    @ivar observer: told of each message of this end, or C{None}.
    """

    reliable = True
    secure = False
    receiver: ITransactions
    other: MemoryChannel

    def __init__(self, turns: Turns, localAddress: TransportAddress, peer: TransportAddress) -> None:
        self.localAddress = localAddress
        self.peer = peer
        self.observer: Observer | None = None
        self._turns = turns
        self._closed = False

    def send(self, message: Request | Response) -> None:
        """
        Hand C{message} over as it is: values cannot change.

        @raise ChannelFailed: it was closed.
        """
        if self._closed:
            raise ChannelFailed(f"{self.peer.host} has stopped")
        if self.observer is not None:
            self.observer(True, message, self)
        self._turns.later(lambda: self.other.received(message))

    def received(self, message: Request | Response) -> None:
        """A message of the other end."""
        if self._closed:
            return
        if self.observer is not None:
            self.observer(False, message, self)
        self.receiver.messageReceived(message, self)

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """There is one peer."""
        return self

    def close(self) -> None:
        """No more is sent or received here."""
        self._closed = True


def channelPair(
    turns: Turns, one: TransportAddress, other: TransportAddress
) -> tuple[MemoryChannel, MemoryChannel]:
    """The ends at C{one} and at C{other}."""
    pair = MemoryChannel(turns, one, other), MemoryChannel(turns, other, one)
    pair[0].other, pair[1].other = pair[1], pair[0]
    return pair


__all__ = ["MemoryChannel", "Observer", "Turns", "channelPair"]
