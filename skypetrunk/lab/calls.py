"""
One call at one end of the lab, caller's or callee's side, with its audio.

Plain code instead of the trunk's machines: this is the second opinion.  What happens
is told to whoever waits for it by Deferreds; nothing here decides about calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.timers import Timers
from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import (
    IClientTransaction,
    IClientTransactionUser,
    IMessageChannel,
    IServerTransaction,
    ITransactions,
)
from skypetrunk.lab.abilities import OWN, Abilities, SessionTimer
from skypetrunk.lab.accepted import Accepted
from skypetrunk.lab.dialog import Dialog
from skypetrunk.lab.numbers import outcomeOf
from skypetrunk.lab.session import AudioSession
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.message import Header, Request, Response, responseTo

__all__ = ["OWN", "Call", "Ignored", "Phase", "refusal"]

# Who somebody is referred to
_USER = re.compile(r"sips?:([^@;>?\s]+)@")


class Phase(Enum):
    """How far a call is."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Call:
    """
    What both sides of a call have in common.

    @ivar name: of this call, in logs and the status.
    @ivar number: the called number.
    @ivar caller: the calling number or name.
    @ivar session: its audio; C{None} until it is needed.
    @ivar status: the final status of its INVITE, or C{None}.
    @ivar cause: why it ended, in words.
    """

    log = Logger()
    incoming: bool

    def __init__(
        self,
        name: str,
        number: str,
        caller: str,
        clock: IReactorTime,
        transactions: ITransactions,
        timers: Timers,
        ended: Callable[[Call], None],
        abilities: Abilities,
    ) -> None:
        """
        @param ended: told once, when it is over.
        """
        self.abilities = abilities
        self._timer = SessionTimer(clock, abilities, self.renegotiate, self._expired)
        self.name = name
        self.number = number
        self.caller = caller
        self.phase = Phase.CALLING
        self.session: AudioSession | None = None
        self.status: int | None = None
        self.cause = ""
        self.duration = 0.0
        self._answeredAt: float | None = None
        self._clock = clock
        self._transactions = transactions
        self._timers = timers
        self._ended = ended
        self._waiting: list[tuple[Phase, Deferred[Call]]] = []

    def when(self, phase: Phase) -> Deferred[Call]:
        """Fires with this call when it has come to C{phase}, or past it, or is over."""
        if self._order(self.phase) >= self._order(phase):
            return succeed(self)
        waiting: Deferred[Call] = Deferred()
        self._waiting.append((phase, waiting))
        return waiting

    @staticmethod
    def _order(phase: Phase) -> int:
        return list(Phase).index(phase)

    def _become(self, phase: Phase) -> None:
        if self._order(phase) <= self._order(self.phase):
            return
        self.phase = phase
        if phase is Phase.ANSWERED:
            self._answeredAt = self._clock.seconds()
        due = [each for each in self._waiting if self._order(each[0]) <= self._order(phase)]
        self._waiting = [each for each in self._waiting if each not in due]
        for _, waiting in due:
            waiting.callback(self)

    def _end(self, cause: str, status: int | None = None) -> None:
        if self.phase is Phase.ENDED:
            return
        self.cause = cause
        self.status = self.status or status
        if self._answeredAt is not None:
            self.duration = self._clock.seconds() - self._answeredAt
        if self._accepted is not None:
            self._accepted.stop()
        if self.session is not None:
            self.session.stop()
        self._timer.stop()
        self._become(Phase.ENDED)
        self._ended(self)

    def _expired(self) -> None:
        self._bye("the session was not refreshed", 'SIP;cause=408;text="session expired"')

    # In a dialog, either way

    _dialog: Dialog

    @property
    def channel(self) -> IMessageChannel:
        """What our requests within the call go over."""
        return self._dialog.channel

    def orphaned(self) -> None:
        """The peer's connection is gone, and it made no new one."""
        self._end("the connection was lost")

    def hangUp(self) -> None:
        """End the call, in the way that its phase asks for."""
        raise NotImplementedError

    def renegotiate(self, direction: str = "sendrecv", hold: bool = False) -> None:
        """Send a re-INVITE with a new offer.  Its answer is taken like the first."""
        assert self.session is not None
        offer = self.session.offer(direction, hold)
        request = self._dialog.request("INVITE", offer, extra=self._timer.asks())
        self._transactions.sendRequest(request, self._dialog.channel, _Reinvite(self))

    def reanswered(self, response: Response, number: int) -> None:
        """The final answer to our re-INVITE (C{number}) came."""
        if response.status < 300:
            self._dialog.refreshed(response)
            self._timer.answered(response)
            self._transactions.sendAck(self._dialog.request("ACK", number=number), self._dialog.channel)
            if self.session is not None and response.body and self.phase is not Phase.ENDED:
                self._try(lambda session: session.answered(response.body))
        elif response.status in (408, 481):
            # RFC 3261 section 12.2.1.2: the peer knows nothing of this dialog any more
            self._end(f"re-INVITE was answered {response.status}")

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """A request within this dialog, ACK excepted."""
        request = transaction.request
        if request.fromAddress.tag != self._dialog.remote.tag:
            # Another branch of a forked call, which was given up
            transaction.respond(responseTo(request, 481, headers=OWN))
            return
        # A peer that lost its connection goes on over a new one
        self._dialog.channel = transaction.channel
        last, self._dialog.received = self._dialog.received, request.cseq.number
        if last is not None and request.cseq.number <= last:
            # RFC 3261 section 12.2.2: out of order
            self._dialog.received = last
            transaction.respond(responseTo(request, 500, headers=OWN))
        elif request.method == "BYE":
            transaction.respond(responseTo(request, 200, headers=OWN))
            self._end("the other end hung up")
        elif request.method == "INVITE":
            self._reinvited(transaction)
        elif request.method == "OPTIONS":
            transaction.respond(responseTo(request, 200, headers=self.abilities.able))
        elif request.method not in self.abilities.methods:
            transaction.respond(responseTo(request, 405, headers=self.abilities.able))
        elif request.method == "REFER":
            self._referred(transaction)
        elif request.method == "PRACK" and not self.provisionalAcknowledged(request):
            transaction.respond(responseTo(request, 481, headers=OWN))
        else:
            self._took(transaction)

    def provisionalAcknowledged(self, prack: Request) -> bool:
        """Is C{prack} that of an answer of ours that waits for it (RFC 3262 section 3)?"""
        return False

    def _took(self, transaction: IServerTransaction) -> None:
        """INFO, PRACK and UPDATE, the latter two perhaps with an offer."""
        request, session = transaction.request, self.session
        headers, body = [*self.abilities.able], b""
        if request.method == "UPDATE":
            short = self.abilities.tooShort(request)
            if short is not None:
                transaction.respond(responseTo(request, 422, headers=short))
                return
            headers += [Header("Contact", self._dialog.contact), *self._timer.answers(request)]
        if request.method != "INFO" and request.body and session is not None:
            try:
                body = session.answer(request.body)
            except RemoteError as error:
                transaction.respond(refusal(request, error))
                return
        response = responseTo(request, 200, headers=headers)
        transaction.respond(response.withBody(body, "application/sdp") if body else response)

    def _referred(self, transaction: IServerTransaction) -> None:
        """RFC 3515: 202, and the end of it at once, as if the number had been called."""
        request = transaction.request
        found = _USER.search(request.header("Refer-To") or request.header("r") or "")
        if found is None:
            transaction.respond(responseTo(request, 400, headers=OWN))
            return
        headers = [Header("Contact", self._dialog.contact), *OWN]
        transaction.respond(responseTo(request, 202, headers=headers))
        state = Header("Subscription-State", "terminated;reason=noresource")
        extra = (Header("Event", "refer"), state, Header("Contact", self._dialog.contact))
        status = f"SIP/2.0 {outcomeOf(unescape(found[1]))} Told by the lab\r\n".encode()
        notify = self._dialog.request("NOTIFY", extra=extra).withBody(status, "message/sipfrag;version=2.0")
        self._transactions.sendRequest(notify, self._dialog.channel, Ignored())

    def _reinvited(self, transaction: IServerTransaction) -> None:
        request, session = transaction.request, self.session
        short = self.abilities.tooShort(request)
        if short is not None:
            transaction.respond(responseTo(request, 422, headers=short))
            return
        if session is None or self.phase is not Phase.ANSWERED:
            transaction.respond(responseTo(request, 491, headers=OWN))
            return
        try:
            body = session.answer(request.body) if request.body else session.offer()
        except RemoteError as error:
            transaction.respond(refusal(request, error))
            return
        self._dialog.refreshed(request)
        self._accept(transaction, body, late=not request.body)

    # The 2xx that we send, until its ACK

    _accepted: Accepted | None = None

    def _accept(self, transaction: IServerTransaction, body: bytes, late: bool) -> None:
        request = transaction.request
        contact = Header("Contact", self._dialog.contact)
        headers = [contact, *self.abilities.able, *self._timer.answers(request)]
        response = responseTo(request, 200, None, headers, b"", self._dialog.local.tag, recordRoute=True)
        response = response.withBody(body, "application/sdp")
        accepted = Accepted(transaction, response, late, self.unacknowledged)
        if self._accepted is not None:
            # A re-INVITE shows that the 2xx before it arrived, even if its ACK did not.
            self._accepted.stop()
        self._accepted = accepted
        accepted.begin(self._clock, self._timers)

    def ackReceived(self, ack: Request) -> None:
        """An ACK for our 2xx: the first, or one of its repetitions."""
        accepted = self._accepted
        if accepted is None or accepted.number != ack.cseq.number:
            return
        self._accepted = None
        accepted.stop()
        if accepted.late and self.session is not None:
            self._try(lambda session: session.answered(ack.body))
        self._confirmed()

    def _confirmed(self) -> None:
        """An ACK came."""

    def unacknowledged(self) -> None:
        """No ACK for 64*T1: RFC 3261 section 13.3.1.4."""
        self._accepted = None
        self._bye("no ACK came", 'Q.850;cause=102;text="no ACK"')

    def _try(self, negotiate: Callable[[AudioSession], None]) -> None:
        """Take an answer; a call whose media cannot be is over."""
        assert self.session is not None
        try:
            negotiate(self.session)
        except RemoteError as error:
            self._bye(str(error), 'SIP;cause=488;text="answer not acceptable"')

    def _bye(self, cause: str, reason: str | None = None) -> None:
        if self.phase is not Phase.ENDED:
            extra = () if reason is None else (Header("Reason", reason),)
            request = self._dialog.request("BYE", extra=extra)
            self._transactions.sendRequest(request, self._dialog.channel, Ignored())
            self._end(cause)


@implementer(IClientTransactionUser)
class Ignored:
    """The user of a BYE: the call is over, whatever the answer."""

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Whatever it says."""

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Over all the same."""

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """Over all the same."""


@implementer(IClientTransactionUser)
class _Reinvite:
    """The user of one re-INVITE."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Final answers count."""
        if response.status >= 200:
            self._call.reanswered(response, transaction.request.cseq.number)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """RFC 3261 section 12.2.1.2: as if answered 408."""
        self._call.hangUp()

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The dialog cannot be reached any more."""
        self._call.hangUp()


def refusal(request: Request, error: RemoteError) -> Response:
    """The answer that an error asks for."""
    return responseTo(request, error.status or 488, headers=OWN)
