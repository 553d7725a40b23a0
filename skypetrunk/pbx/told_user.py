"""Between a call and the vendor's object that is told of it: turns, names in the log, failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.interfaces import AudioPacket, IPBXCallUser
from skypetrunk.pbx.memory import Turns

Tell = Callable[[IPBXCallUser], Awaitable[None] | None]


class ToldUser:
    """
    The L{IPBXCallUser} of one call.

    @ivar user: the vendor's, C{None} as long as there is none.
    @ivar listening: it is told of what is heard: of a call that it placed from the start, of one that came in
        once it knows that its answer was taken.
    """

    _log = Logger()

    def __init__(self, call: str, plugin: str, turns: Turns, failed: Callable[[], None]) -> None:
        """
        @param call: its name, for the log.
        @param failed: told of each failure, after it was logged.
        """
        self.user: IPBXCallUser | None = None
        self.listening = False
        self._call = call
        self._plugin = plugin
        self._turns = turns
        self._ended = failed

    def packetReceived(self, packet: AudioPacket) -> None:
        """Sound."""
        if self.listening:
            self.now("packetReceived", lambda user: user.packetReceived(packet))

    def digitReceived(self, digit: str) -> None:
        """A key."""
        if self.listening:
            self.now("digitReceived", lambda user: user.digitReceived(digit))

    def later(self, what: str, tell: Tell) -> None:
        """In the next turn: what the vendor does then meets machines at rest."""
        self._turns.later(lambda: self.now(what, tell))

    def now(self, what: str, tell: Tell) -> None:
        """
        At once.

        @param what: the name of the method, for the log.
        """
        user = self.user

        async def run() -> None:
            said = None if user is None else tell(user)
            if said is not None:
                await said

        told = Deferred.fromCoroutine(run())
        told.addErrback(lambda failure: self.failed(what, failure))

    def failed(self, what: str, failure: Failure | None = None) -> None:
        """
        What the vendor raises ends this call alone.

        @param failure: C{None} for the exception that is being handled.
        """
        format = "{call}: the plugin {plugin} failed as a PBX: {what}"
        self._log.failure(format, failure, call=self._call, plugin=self._plugin, what=what)
        self._ended()


__all__ = ["Tell", "ToldUser"]
