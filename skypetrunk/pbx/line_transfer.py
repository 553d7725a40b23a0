"""One transfer that a PBX in this process asks for: our REFER, until its outcome is known (RFC 3515)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from skypetrunk.core.answers import causesOf
from skypetrunk.errors import CallRefused, EmergencyRefused
from skypetrunk.pbx.memory import Turns
from skypetrunk.wire.message import Response
from skypetrunk.wire.reasons import reasonPhrase


class LineTransfer:
    """
    What becomes of it.

    @ivar finished: see L{skypetrunk.interfaces.IPBXCall.transfer}.
    @ivar pending: nobody knows yet.
    """

    def __init__(self, turns: Turns, emergency: bool, succeeded: Callable[[], None]) -> None:
        """
        @param emergency: the number is one for emergencies: how the refusal is told.
        @param succeeded: told when the number has answered.
        """
        self.finished: Deferred[None] = Deferred()
        self.pending = True
        self._succeeded = succeeded
        self._turns = turns
        self._emergency = emergency

    def answered(self, status: int, response: Response | None) -> None:
        """The answer to the REFER: whether it is tried."""
        if status >= 300:
            cause = None if response is None else next(causesOf(response), None)
            self.fail(status, cause)

    def notified(self, status: int) -> None:
        """How the new call goes."""
        if status >= 300:
            self.fail(status)
        elif status >= 200 and self.pending:
            self.pending = False
            self._turns.later(lambda: self.finished.callback(None))
            self._succeeded()

    def fail(self, status: int, cause: int | None = None) -> None:
        """It came to nothing; nothing once the outcome is known."""
        if self.pending:
            self.pending = False
            refusal = CallRefused(reasonPhrase(status), status, cause)
            if self._emergency:
                refusal = EmergencyRefused("emergency numbers never leave by a trunk", status, cause)
            self._turns.later(lambda: self.finished.errback(refusal))


__all__ = ["LineTransfer"]
