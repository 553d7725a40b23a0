"""
Somebody takes the place of another one in a call: by an INVITE with Replaces, or by a REFER that names a call
of ours (RFC 3891).  It stays one call, and is asked what a new one is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.core.admission import askPolicy
from skypetrunk.core.bridge_owner import RINGING_SECONDS
from skypetrunk.core.identity import Caller
from skypetrunk.core.leg import Leg
from skypetrunk.core.sides import Side
from skypetrunk.core.transferable import Transferable
from skypetrunk.errors import CallRefused, PortsExhausted, RemoteError
from skypetrunk.interfaces import CallRequest, ICallPolicy, IServerTransaction
from skypetrunk.wire.replaces import Replaces, parseReplaces


class Answering(Protocol):
    """What this needs of the dialog manager."""

    def findLeg(self, side: Side, callID: str, localTag: str, remoteTag: str) -> Leg | None:
        """The leg of this dialog."""

    def refuse(self, side: Side, transaction: IServerTransaction, error: RemoteError) -> None:
        """Answer a request that cannot be carried out."""


@dataclass(slots=True, eq=False)
class _Question:
    """
    One that the policy is asked.

    @ivar calls: none of which may end meanwhile; the first is the one with the place.
    @ivar why: what made us ask.
    @ivar admitted: told if it may be; C{refused}: if not.
    @ivar bound: ends it.
    """

    calls: tuple[Transferable, ...]
    why: object
    admitted: Callable[[], None]
    refused: Callable[[CallRefused], None]
    bound: IDelayedCall | None = None


class Replacing:
    """Those of one process."""

    _log = Logger()

    def __init__(self, calls: Answering, policy: ICallPolicy, clock: IReactorTime) -> None:
        self._calls = calls
        self._policy = policy
        self._clock = clock
        # By the call with the place.
        self._asking: dict[Transferable, _Question] = {}

    def named(self, side: Side, replaces: Replaces) -> tuple[Transferable | None, Leg | None, Leg | None]:
        """The call that C{side} names, its own leg in it, and the other one."""
        leg = self._calls.findLeg(side, replaces.callID, replaces.toTag, replaces.fromTag)
        if leg is None or not isinstance(leg.owner, Transferable):
            return None, None, None
        return leg.owner, leg, leg.owner.other(leg)

    def check(self, call: Transferable, leg: Leg, caller: Caller) -> CallRequest:
        """
        Limits first.

        @param caller: who is to take the place of C{leg}.
        @return: what the policy is to be L{asked<ask>}.
        @raise CallRefused: they do not let it, or somebody is asked for already (491).
        """
        if call in self._asking:
            raise CallRefused("somebody else is to take a place in this call", 491)
        asked = call.asReplaced(leg, caller)
        refusal = call.refusal(leg, asked)
        if refusal is not None:
            raise refusal
        return asked

    def ask(
        self,
        call: Transferable,
        asked: CallRequest,
        why: object,
        admitted: Callable[[], None],
        refused: Callable[[CallRefused], None],
        *others: Transferable,
    ) -> None:
        """
        Then the policy, which answers at once or later.  Nobody waits for it longer than a call may ring, or
        than the calls last; whatever it says after that counts for nothing.

        @param why: names this question, see L{withdrawn}.
        @param admitted: told if it may be.
        @param refused: told if not: by the policy, with 500 where it does not answer, with 481 where a call
            has ended.
        @param others: calls that have to last, beside C{call}.
        """
        question = self._asking[call] = _Question((call, *others), why, admitted, refused)

        def answered(result: Failure | None) -> None:
            if self._drop(question):
                if result is None:
                    question.admitted()
                elif isinstance(result.value, CallRefused):
                    question.refused(result.value)

        def unanswered() -> None:
            self._drop(question)
            self._log.warn("{call}: the call policy does not answer", call=asked.call)
            question.refused(CallRefused("the call policy does not answer", 500))
            asking.cancel()

        # First: a policy may end the call before it says anything.
        question.bound = self._clock.callLater(RINGING_SECONDS, unanswered)
        asking = askPolicy(self._policy, asked)
        asking.addBoth(answered)
        asking.addErrback(lambda failure: self._log.failure("{call}: not replaced", failure, call=asked.call))

    def _drop(self, question: _Question) -> bool:
        """Nobody waits for the answer any more; false if nobody did."""
        if self._asking.get(question.calls[0]) is not question:
            return False
        del self._asking[question.calls[0]]
        if question.bound is not None and question.bound.active():
            question.bound.cancel()
        return True

    def withdrawn(self, why: object) -> bool:
        """Nobody wants to know any more what L{ask} was asked; false if nothing was."""
        return any(self._drop(each) for each in tuple(self._asking.values()) if each.why is why)

    def ended(self, call: Transferable) -> None:
        """Nobody can take a place in C{call} any more, or leave it for one."""
        for each in tuple(self._asking.values()):
            if call in each.calls and self._drop(each):
                each.refused(CallRefused("the call has ended", 481))

    def stop(self) -> None:
        """Nobody takes a place any more."""
        for each in tuple(self._asking.values()):
            if self._drop(each):
                each.refused(CallRefused("the trunk is stopping", 503))

    def invited(self, side: Side, transaction: IServerTransaction) -> None:
        """An INVITE with Replaces (RFC 3891 section 3)."""
        request = transaction.request

        def refused(error: RemoteError) -> None:
            self._calls.refuse(side, transaction, error)

        def admitted() -> None:
            try:
                call, leg = self._found(side, names)
                call.replaced(leg, transaction)
            except PortsExhausted as error:
                refused(CallRefused(str(error), 503))
            except RemoteError as error:
                refused(error)

        try:
            values = request.values("Replaces")
            if len(values) != 1:
                raise CallRefused("more than one Replaces", 400)
            names = parseReplaces(values[0])
            call, leg = self._found(side, names)
            self.ask(call, self.check(call, leg, side.callerOf(request)), transaction, admitted, refused)
        except RemoteError as error:
            refused(error)

    def _found(self, side: Side, replaces: Replaces) -> tuple[Transferable, Leg]:
        """
        The call and the leg that an INVITE from C{side} is to take over.

        @raise CallRefused: none (481), or one that was answered and may not be (486).
        """
        call, leg, _ = self.named(side, replaces)
        if call is None or leg is None:
            raise CallRefused("Replaces names no dialog", 481)
        if replaces.earlyOnly and call.standing:
            raise CallRefused("the call to be replaced was answered", 486)
        return call, leg


__all__ = ["Replacing"]
