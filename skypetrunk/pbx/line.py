"""
The line of a PBX in this process: a user agent in memory that stands between it and the trunk.

The trunk sees a PBX like every other, with dialogs, transactions and SDP; the vendor sees calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.capabilities import ACCEPT, ALLOW, SERVER, SUPPORTED, notTaken, refusalOf
from skypetrunk.core.emergency import isEmergencyNumber
from skypetrunk.core.identity import ANONYMOUS, callerOf, numberOf
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.leg_table import LegTable
from skypetrunk.core.sides import USER_CHARACTERS, Side
from skypetrunk.core.timers import Timers
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import CallRefused, MalformedMessage, PortsExhausted, RemoteError
from skypetrunk.interfaces import (
    IPBX,
    IChannelFinder,
    IMediaEndpoint,
    IMessageChannel,
    INumberPlan,
    IPBXCall,
    IPBXCallUser,
    IPBXLine,
    IServerTransaction,
    ITransactions,
    ITransactionUser,
)
from skypetrunk.pbx.line_call import LineCall, Who
from skypetrunk.pbx.memory import Observer, Turns, channelPair
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import Parameters, escape, unescape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, responseTo
from skypetrunk.wire.uri import SIPURI, OpaqueURI, TelURI, parseURI

# Names that lead nowhere (RFC 6761 section 6.4): what is sent there stays in this process.
_TRUNK = TransportAddress("TCP", "trunk.invalid", 5060)
_PBX = TransportAddress("TCP", "pbx.invalid", 5060)

TRUNK_URI, PBX_URI = (
    SIPURI("sip", None, None, each.host, each.port, Parameters().with_("transport", "tcp"))
    for each in (_TRUNK, _PBX)
)
"""Our own address towards the PBX, and the PBX's."""

_SERVICE = OpaqueURI("urn", "service:sos")


@implementer(IChannelFinder)
class _OneWay:
    """Every request takes the one channel."""

    def __init__(self, channel: IMessageChannel) -> None:
        self._channel = channel

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """See L{IChannelFinder}."""
        return succeed(self._channel)


@implementer(IPBXLine, ITransactionUser)
class Line:
    """
    See L{IPBXLine}.

    @ivar finder: for the trunk's side of this PBX.
    @ivar transactions: the PBX's own.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        pbx: IPBX,
        plugin: str,
        clock: IReactorTime,
        timers: Timers,
        token: Callable[[], str],
        entropy: Callable[[int], bytes],
        numbers: INumberPlan,
        endpoint: Callable[[str], IMediaEndpoint],
    ) -> None:
        """
        @param plugin: the vendor's name, for the log.
        @param endpoint: makes the end of a call's media; raises L{PortsExhausted}.
        """
        self.name = name
        self._pbx = pbx
        self._plugin = plugin
        self._token = token
        self._numbers = numbers
        self._endpoint = endpoint
        self._turns = Turns(clock)
        self._near, self._far = channelPair(self._turns, _PBX, _TRUNK)
        self.finder: IChannelFinder = _OneWay(self._far)
        self._side = Side(name, _OneWay(self._near))
        self.transactions = Transactions(clock, self, token, timers)
        self._side.transactions = self._near.receiver = self.transactions
        self._legs = LegTable()
        register, unregister = self._legs.register, self._legs.unregister
        self._workshop = Workshop(clock, timers, token, entropy, register, unregister)
        self._calls: set[LineCall] = set()
        self._stopped = False

    @property
    def calls(self) -> int:
        """Those that exist now."""
        return len(self._calls)

    def connect(self, transactions: ITransactions, observer: Observer | None) -> None:
        """
        Hand what the PBX sends to C{transactions}, the trunk's for this side.

        @param observer: told of each message, as the trunk sees it.
        """
        self._far.receiver = transactions
        self._far.observer = observer

    def attach(self) -> None:
        """The trunk starts."""
        with self._log.failuresHandled("the plugin {plugin} failed as a PBX: attached", plugin=self._plugin):
            self._pbx.attached(self)

    def stop(self) -> None:
        """Nothing goes this way any more; whose calls are still there is told so."""
        self._stopped = True
        for call in tuple(self._calls):
            call.abandon()
        self.transactions.stop()
        self._near.close()
        self._far.close()
        self._turns.stop()

    # IPBXLine

    def placeCall(
        self, called: str, caller: str, user: IPBXCallUser, callerName: str | None = None
    ) -> IPBXCall:
        """See L{IPBXLine}."""
        name = None if callerName is None else "".join(filter(str.isprintable, callerName))
        who = Who(self._token()[:8], caller or "anonymous", name, called)
        target = _at(called)
        to, emergency = self._reach(called)
        source = NameAddr(name or None, PBX_URI.replace(user=_written(caller))) if caller else ANONYMOUS
        if self._stopped:
            raise CallRefused("the trunk has stopped", 503)
        try:
            call = self._makeCall(who)
        except PortsExhausted as error:
            raise CallRefused(str(error), 503) from None
        call.place(CallAddresses(target, to, source, _written(caller) or "anonymous"), user, emergency)
        return call

    def _reach(self, called: str) -> tuple[NameAddr, bool]:
        """
        The address of C{called}, and whether it is an emergency number.  What we know to be one is called
        so: the trunk need not find out by itself.
        """
        emergency = self._isEmergency(called)
        return NameAddr(None, _SERVICE if emergency else _at(called)), emergency

    def _isEmergency(self, called: str) -> bool:
        try:
            return any(isEmergencyNumber(each, self._numbers) for each in (called, dialled(called)))
        except Exception:
            self._log.failure("is it an emergency number?")
            return True

    def _makeCall(self, who: Who) -> LineCall:
        """@raise PortsExhausted: there is no room for its audio."""
        media = self._endpoint(f"{who.call}/{self._plugin}")
        call = LineCall(
            who,
            self._plugin,
            self._side,
            media,
            self._workshop,
            self._turns,
            self._reach,
            self._calls.discard,
        )
        self._calls.add(call)
        return call

    # ITransactionUser: what the trunk sends

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """A new request, neither ACK nor CANCEL."""
        request = transaction.request
        refusal = refusalOf(request)
        if refusal is not None:
            self._respond(transaction, *refusal)
        elif request.toAddress.tag is not None:
            if not self._legs.take(self._side, transaction):
                self._respond(transaction, 481)
        elif request.method == "INVITE":
            self._invited(transaction)
        elif request.method == "OPTIONS":
            self._respond(transaction, 200, [ALLOW, SUPPORTED, ACCEPT])
        else:
            self._respond(transaction, notTaken(request.method), [ALLOW])

    def ackReceived(self, request: Request, channel: IMessageChannel) -> None:
        """The ACK of a 2xx."""
        self._legs.ackReceived(self._side, request)

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """The caller gave up."""
        self._legs.cancelled(transaction)

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """An answer has no way any more."""
        self._legs.connectionLost(transaction.request)

    def _invited(self, transaction: IServerTransaction) -> None:
        request = transaction.request
        caller = callerOf(request)
        who = Who(self._token()[:8], caller.user, caller.display, numberOf(request.requestURI))
        try:
            call = self._makeCall(who)
        except PortsExhausted as error:
            self._log.warn("a call to {pbx} is refused: {reason}", pbx=self.name, reason=str(error))
            self._respond(transaction, 503)
            return
        try:
            call.receive(transaction, self._pbx.callReceived)
        except RemoteError as error:
            self._respond(transaction, error.status or 400)
            call.abandon()
            self._calls.discard(call)

    def _respond(self, transaction: IServerTransaction, status: int, headers: Sequence[Header] = ()) -> None:
        lines = (*headers, SERVER)
        transaction.respond(responseTo(transaction.request, status, None, lines, toTag=self._token()))


def dialled(called: str) -> str:
    """
    What of C{called} stands for the number: of a C{tel:} URI its digits and context, of a C{sip:} URI its
    user part, of anything else all of it.
    """
    text = called.strip()
    try:
        uri = parseURI(text)
    except MalformedMessage:
        return unescape(text)
    if isinstance(uri, TelURI):
        context = uri.params.get("phone-context")
        return uri.digits if context is None else f"{uri.digits};phone-context={context}"
    return uri.userUnescaped or "" if isinstance(uri, SIPURI) else str(uri)


def _at(called: str) -> SIPURI:
    return TRUNK_URI.replace(user=_written(dialled(called)) or None)


def _written(user: str) -> str:
    """A user part.  What a program gives us need not be text that can be written."""
    return escape(user.encode("utf-8", "backslashreplace").decode(), USER_CHARACTERS)


__all__ = ["PBX_URI", "TRUNK_URI", "Line", "dialled"]
