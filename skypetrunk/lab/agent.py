"""
A small SIP user agent: all calls of one end of the lab.

It matches requests to calls and answers what belongs to none.  Whether a request is
let in, and what becomes of a call, its owner says: the carrier, or the phone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import IMessageChannel, IServerTransaction, ITransactionUser
from skypetrunk.lab.abilities import OWN, Abilities
from skypetrunk.lab.calls import Call
from skypetrunk.lab.dialog import Dialog
from skypetrunk.lab.incoming import IncomingCall
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.session import AudioSession
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo

__all__ = ["Agent", "Owner"]


class Owner(Protocol):
    """Who decides about requests and calls."""

    @property
    def abilities(self) -> Abilities:
        """What calls can do that begin now."""

    def admit(self, request: Request, channel: IMessageChannel) -> str | Response:
        """Whose request (never ACK or CANCEL) this is, or the answer that keeps it out."""

    def callReceived(self, call: IncomingCall, request: Request, account: str) -> None:
        """A new call; answer, ring or refuse, now or later."""

    def requestReceived(self, transaction: IServerTransaction, account: str) -> bool:
        """A request outside any dialog, neither INVITE nor OPTIONS; false if it is not answered here."""

    def contact(self, user: str, channel: IMessageChannel) -> str:
        """The Contact value of a dialog with C{user} on our side, which begins over C{channel}."""

    def callEnded(self, call: Call) -> None:
        """A call is over."""


@implementer(ITransactionUser)
class Agent:
    """
    The user of a transaction layer of its own.

    @ivar transactions: that layer; channels hand their messages to it.
    @ivar calls: those that exist now.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        token: Callable[[], str],
        owner: Owner,
        timers: Timers = Timers(),  # noqa: B008 (a frozen value)
    ) -> None:
        """
        @param token: makes random text for tags, branches and Call-IDs.
        """
        self.transactions = Transactions(clock, self, token, timers)
        self._clock = clock
        self._token = token
        self._owner = owner
        self._timers = timers
        self._calls: dict[tuple[str, str | None], IncomingCall | OutgoingCall] = {}
        self._count = 0

    @property
    def calls(self) -> tuple[IncomingCall | OutgoingCall, ...]:
        """All calls that are not over."""
        return tuple(self._calls.values())

    def placeCall(
        self,
        uri: str,
        local: NameAddr,
        remote: NameAddr,
        channel: IMessageChannel,
        session: AudioSession,
        extra: tuple[Header, ...] = (),
    ) -> OutgoingCall:
        """
        Send an INVITE.

        @param uri: its Request-URI.
        @param local: From, without a tag.
        @param remote: To.
        """
        user = _user(local)
        call = OutgoingCall(self._name(), _user(remote), user, *self._common())
        tagged = local.replace(params=local.params.with_("tag", self._token()))
        dialog = Dialog(
            f"{self._token()}@{channel.localAddress.host}",
            tagged,
            remote,
            uri,
            self._owner.contact(user, channel),
            channel,
            allow=self._owner.abilities.allow,
        )
        # Known before it is sent: a channel in memory may answer at once
        self._calls[dialog.callID, tagged.tag] = call
        call.begin(dialog, session, extra)
        return call

    def stop(self) -> None:
        """Hang up all calls."""
        for call in self.calls:
            call.hangUp()

    # ITransactionUser

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """A request, neither ACK nor CANCEL."""
        request, able = transaction.request, self._owner.abilities.able
        account = self._owner.admit(request, transaction.channel)
        if isinstance(account, Response):
            transaction.respond(account)
            return
        tag = request.toAddress.tag
        if tag is not None:
            call = self._calls.get((request.callID, tag))
            if call is None:
                transaction.respond(responseTo(request, 481, headers=OWN))
            else:
                call.requestReceived(transaction)
        elif request.method == "INVITE":
            short = self._owner.abilities.tooShort(request)
            if short is not None:
                transaction.respond(responseTo(request, 422, headers=short, toTag=self._token()))
                return
            self._callReceived(transaction, account)
        elif request.method == "OPTIONS":
            transaction.respond(responseTo(request, 200, headers=able, toTag=self._token()))
        elif not self._owner.requestReceived(transaction, account):
            transaction.respond(responseTo(request, 405, headers=able, toTag=self._token()))

    def ackReceived(self, request: Request, channel: IMessageChannel) -> None:
        """The ACK of a 2xx."""
        call = self._calls.get((request.callID, request.toAddress.tag))
        if call is not None:
            call.ackReceived(request)

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """An INVITE was cancelled before its final answer."""
        call = self._of(transaction)
        if call is not None:
            call.cancelled()

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """An answer was not acknowledged, or could not be sent."""
        call = self._of(transaction)
        if call is not None:
            call.transactionFailed(reason)

    def _callReceived(self, transaction: IServerTransaction, account: str) -> None:
        request = transaction.request
        called = getattr(request.requestURI, "userUnescaped", None) or ""
        call = IncomingCall(self._name(), called, _user(request.fromAddress), *self._common())
        call.received(transaction, self._token(), self._owner.contact(called, transaction.channel))
        self._calls[call.key] = call
        self._owner.callReceived(call, request, account)

    def _of(self, transaction: IServerTransaction) -> IncomingCall | None:
        for call in self._calls.values():
            if isinstance(call, IncomingCall) and call.isOf(transaction):
                return call
        return None

    def _name(self) -> str:
        self._count += 1
        return f"lab-{self._count}"

    def _common(self) -> tuple[IReactorTime, Transactions, Timers, Callable[[Call], None], Abilities]:
        return self._clock, self.transactions, self._timers, self._callEnded, self._owner.abilities

    def _callEnded(self, call: Call) -> None:
        self._calls = {key: each for key, each in self._calls.items() if each is not call}
        self._owner.callEnded(call)


def _user(address: NameAddr) -> str:
    return getattr(address.uri, "userUnescaped", None) or ""
