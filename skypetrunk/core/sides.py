"""
Neighbours that calls come from and go to, and a PBX as one; a trunk is in L{skypetrunk.core.trunk_side}.

A side knows how requests to its neighbour are addressed, where the numbers stand in
requests from it, and how it is reached.  It is the L{ITransactionUser} of its own
transactions, and hands on what it gets together with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from zope.interface import implementer

from skypetrunk.core.audio_stream import offeredVersion
from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.codec_choice import CodecChoice
from skypetrunk.core.crypto_attributes import CryptoAttributes
from skypetrunk.core.identity import (
    ANONYMOUS,
    FROM,
    PRIVATE,
    Caller,
    callerOf,
    diversionHeaders,
    identityHeader,
    numberOf,
    withVerstat,
)
from skypetrunk.core.keys import SecurityDescriptions
from skypetrunk.core.mikey import MIKEYPeer
from skypetrunk.core.number_form import AS_GIVEN, writeNumber
from skypetrunk.core.protection import OFF
from skypetrunk.core.servers import Servers
from skypetrunk.core.session_timer import INTERVAL, LEAST
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    ANY_PATH,
    CallRequest,
    IChannelFinder,
    ICredentials,
    IKeyAgreement,
    IMessageChannel,
    INumberPlan,
    IServerTransaction,
    ITransactions,
    ITransactionUser,
    MediaPath,
)
from skypetrunk.wire.address import foldedHost
from skypetrunk.wire.grammar import NO_PARAMETERS, Parameters, escape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI

if TYPE_CHECKING:
    from skypetrunk.core.dialogs import DialogManager

USER_CHARACTERS = "-_.!~*'()&=+$,;?/"
"""What a user part may hold unescaped beside letters and digits (RFC 3261 section 25.1)."""

REFUSE, FOLLOW, PASS = REDIRECTIONS = ("refuse", "follow", "pass")
"""What becomes of a neighbour's redirections: see L{skypetrunk.core.redirection}."""

TAKE_OVER = "take-over"
TRANSFERS = (TAKE_OVER, PASS, REFUSE)
"""What becomes of a REFER in a call over a trunk: see L{skypetrunk.core.transfers}."""


_TRANSPORTS = {
    "UDP": NO_PARAMETERS,
    "TCP": Parameters([("transport", "tcp")]),
    "TLS": Parameters([("transport", "tls")]),
}
"""What a Contact says of the transport."""


@lru_cache(maxsize=64)
def _ourURI(transport: str, host: str, port: int) -> SIPURI:
    """Of a Contact there, without its user."""
    return SIPURI("sip", None, None, host, port, _TRANSPORTS[transport])


class Guard(Protocol):
    """Keeps the limits of neighbours."""

    def refusal(self, name: str, request: CallRequest) -> CallRefused | None:
        """Why the neighbour C{name} may not take its part in C{request} now."""

    def taken(self, name: str, request: CallRequest) -> None:
        """C{request} goes to the neighbour C{name} now."""

    def goesOn(self, call: str, name: str) -> bool:
        """C{call} ends, and its leg with the neighbour C{name} goes on in another: does it cost something?"""

    def legEnded(self, call: str) -> None:
        """The leg of C{call} that went on has ended."""

    def legReplaced(self, call: str) -> None:
        """C{call} goes on without the leg that it was placed with."""


@implementer(ITransactionUser)
class Side:
    """
    One neighbour.

    @ivar name: as configured.
    @ivar secure: its signalling is verified TLS, and its media SRTP as C{mediaPath} says.
    @ivar suites: SRTP suites allowed, in order; empty on a plain side.
    @ivar transactions: set once when the side is wired.
    @ivar calls: legs that exist now.
    @ivar refers: REFERs to it whose outcome is not known.
    @ivar burst: calls from it above the limit of those at the same time.
    @ivar guard: keeps its other limits.
    @ivar doorkeeper: answers an INVITE from it that does not prove who sent it, and gives C{None} for others.
    @ivar registrar: answers a REGISTER from it, where it may register.
    @ivar earlyAnswersReliable: early answers to it are sent until their PRACK (RFC 3262) where it supports
        that; else only where it requires that.
    @ivar sessionExpires: seconds of the session interval that it is asked for (RFC 4028).
    @ivar leastExpires: the smallest that it may have, in seconds.
    @ivar ways: addresses that a call may try, one after the other.
    @ivar redirect: one of L{REDIRECTIONS}.
    @ivar transfer: one of L{TRANSFERS}, for a REFER of the other side; that of the trunk counts.
    @ivar ownTransfer: one of them for a REFER of its own.
    @ivar redirectAllow: hosts, folded, that a redirection to be followed may name beside its own and ours.
    @ivar local: where we listen for it, C{None} where we do not.
    @ivar requestHeaders: what each request to it carries beside its own.
    @ivar offerAttributes: what the audio stream of our offers to it carries beside its own.
    @ivar silence: seconds without a packet from it that end a call, if it has to send; 0 for none.
    @ivar mediaPath: how media travels between it and us.
    @ivar codecs: names of those that it is offered and that are taken of its offers, in order; empty: any.
    @ivar keys: how it has keys pressed, of L{skypetrunk.core.keys_pressed.KEY_FORMS}.
    @ivar fax: T.38 may take the place of sound; the other side of the call has to allow it, too.
    @ivar servers: where it has several; else C{finder} leads to it.
    @ivar patience: where it has one, seconds of silence after which a call tries its next destination.
    @ivar ill: tells whether it has lately shown that it takes no calls: others of a route come first.
    @ivar mikey: keys are agreed with it by MIKEY; C{None}: by SDES.
    """

    transactions: ITransactions
    secure = False
    suites: Sequence[str] = ()
    credentials: ICredentials | None = None
    burst = 0
    guard: Guard | None = None
    doorkeeper: Callable[[Request], Response | None] | None = None
    registrar: Callable[[IServerTransaction], Response] | None = None
    ways = 1
    earlyAnswersReliable = False
    sessionExpires = INTERVAL
    leastExpires = LEAST
    redirect = REFUSE
    transfer = TAKE_OVER
    ownTransfer = REFUSE
    redirectAllow: Collection[str] = frozenset()
    local: SIPURI | None = None
    requestHeaders: Sequence[Header] = ()
    offerAttributes: Sequence[tuple[str, str | None]] = ()
    silence = 0.0
    mediaPath = ANY_PATH
    codecs: Sequence[str] = ()
    keys = "auto"
    fax = False
    servers: Servers | None = None
    patience: float | None = None
    ill: Callable[[], bool] = staticmethod(lambda: False)
    mikey: MIKEYPeer | None = None

    @property
    def choice(self) -> CodecChoice:
        """What of audio may cross to and from it."""
        return CodecChoice(self.codecs, events=self.keys != "info", fax=self.fax)

    def __init__(self, name: str, finder: IChannelFinder, limit: int | None = None) -> None:
        """
        @param limit: calls at the same time, C{None} for any number.
        """
        self.name = name
        self.finder = finder
        self.limit = limit
        self.calls = 0
        self.refers = 0
        self.manager: DialogManager | None = None

    def keyAgreement(self, entropy: Callable[[int], bytes]) -> IKeyAgreement:
        """For one more leg with SRTP."""
        if self.mikey is not None:
            return self.mikey.agreement(self.suites, entropy)
        return CryptoAttributes(SecurityDescriptions(self.suites, entropy))

    @property
    def srtp(self) -> str:
        """What of SRTP there is, of L{skypetrunk.core.protection.MODES}."""
        return self.mediaPath.srtp if self.secure else OFF

    def usable(self) -> bool:
        """Can a call be sent this way now?"""
        return not self.full

    @property
    def full(self) -> bool:
        """As many calls as allowed are up."""
        return self.limit is not None and self.calls >= self.limit

    @property
    def overfull(self) -> bool:
        """As many calls as it may have while it makes some of them itself."""
        return self.limit is not None and self.calls >= self.limit + self.burst

    def addresses(self, caller: Caller, called: str) -> CallAddresses:
        """How a call to C{called} is addressed towards this neighbour."""
        raise AssertionError("each kind of side has its own")

    def mediaPathFor(self, offer: bytes) -> MediaPath:
        """
        How media of one call travels: in the IP version of its offer, else in that of our signalling.

        @param offer: the neighbour's, empty where it has made none.
        """
        if len(self.mediaPath.hosts) < 2:
            return self.mediaPath
        return self.mediaPath.preferring((offer and offeredVersion(offer)) or self._signallingVersion())

    def _signallingVersion(self) -> int | None:
        """Of IP, towards this neighbour; C{None} where the order of the configuration has that in mind."""
        return None

    def isAt(self, host: str) -> bool:
        """Is C{host} an address or name of this neighbour?"""
        raise AssertionError("each kind of side has its own")

    def addressOf(self, number: str) -> SIPURI:
        """C{number} as this neighbour is to call it through us."""
        raise AssertionError("each kind of side has its own")

    def readNumber(self, number: str) -> str:
        """A number that this neighbour has written where it expects ours, as we read it."""
        return number

    def callerOf(self, request: Request) -> Caller:
        """Who calls in an INVITE from this neighbour: its From (RFC 3261 section 8.1.1.3)."""
        return callerOf(request)

    def calledOf(self, request: Request) -> str:
        """The number called in an INVITE from this neighbour."""
        return numberOf(request.requestURI)

    def contactFor(self, user: str, channel: IMessageChannel) -> NameAddr:
        """Our Contact on C{channel} (RFC 3261 section 8.1.1.8)."""
        local = channel.localAddress
        return NameAddr(None, _ourURI(local.transport, local.host, local.port).replace(user=user))

    # ITransactionUser

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """Handed on to the dialog manager."""
        if self.manager is not None:
            self.manager.requestReceived(self, transaction)

    def ackReceived(self, request: Request, channel: IMessageChannel) -> None:
        """Handed on to the dialog manager."""
        if self.manager is not None:
            self.manager.ackReceived(self, request)

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """Handed on to the dialog manager."""
        if self.manager is not None:
            self.manager.cancelReceived(transaction)

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """Handed on to the dialog manager."""
        if self.manager is not None:
            self.manager.transactionFailed(transaction, reason)


class PBXSide(Side):
    """
    A PBX: plain SIP and RTP.

    @ivar optionsUnusable: status that answers its OPTIONS while no trunk is usable.
    @ivar emergencyStatus: status that sends an emergency call back to its own line.
    @ivar streamPorts: where we take connections, by transport.
    @ivar choose: tells where the next call goes, where there is more than one address.
    @ivar registered: tells whether its place is known, where it registers.
    @ivar hosts: tells its addresses, where there are others than the first.
    """

    fax = True  # Its sound is in clear as well.

    def __init__(
        self,
        name: str,
        finder: IChannelFinder,
        address: SIPURI,
        local: SIPURI,
        optionsUnusable: int = 503,
        emergencyStatus: int = 503,
        callerFrom: str = FROM,
        numberForm: str = AS_GIVEN,
        numbers: INumberPlan | None = None,
    ) -> None:
        """
        @param address: where it takes calls: host, port and transport.
        @param local: our own address towards it: host and port of the first listener.
        @param callerFrom: which header says who calls.
        @param numberForm: how it wants numbers; any but the first form needs C{numbers}.
        """
        super().__init__(name, finder)
        self._address = address
        self.local: SIPURI = local
        self.optionsUnusable = optionsUnusable
        self.emergencyStatus = emergencyStatus
        self.callerFrom = callerFrom
        self._numberForm = numberForm
        self._numbers = numbers
        self.streamPorts: Mapping[str, int] = {}
        self.choose: Callable[[], SIPURI] | None = None
        self.registered: Callable[[], bool] | None = None
        self.hosts: Callable[[], Collection[str]] | None = None

    def isAt(self, host: str) -> bool:
        """One of its addresses."""
        hosts = (self._address.host,) if self.hosts is None else self.hosts()
        return foldedHost(host) in map(foldedHost, hosts)

    def addressOf(self, number: str) -> SIPURI:
        """At our own address, so that it asks us."""
        return self._ours(self._written(number))

    def usable(self) -> bool:
        """Not full, and registered where it registers."""
        return super().usable() and (self.registered is None or self.registered())

    def contactFor(self, user: str, channel: IMessageChannel) -> NameAddr:
        """Our Contact: a connection that we opened has a port where nobody listens."""
        contact = super().contactFor(user, channel)
        port = self.streamPorts.get(channel.localAddress.transport)
        if port is not None:
            assert isinstance(contact.uri, SIPURI)
            return NameAddr(None, contact.uri.replace(port=port))
        return contact

    def callerOf(self, request: Request) -> Caller:
        """From where the configuration says; no other header of a PBX is believed."""
        return callerOf(request, self.callerFrom)

    def addresses(self, caller: Caller, called: str) -> CallAddresses:
        """
        number@pbx; the caller lives at our own address, so that it can be called back, unless it is to be
        anonymous (RFC 3323 section 5.1).
        """
        address = self._address if self.choose is None else self.choose()
        target = address.replace(user=escape(self._written(called), USER_CHARACTERS))
        to = NameAddr(None, target)
        if caller.private:
            return CallAddresses(target, to, ANONYMOUS, "anonymous", (PRIVATE,))
        caller = caller.renumbered(self._written)
        source = self._ours(caller.user)
        headers = [*caller.signatures]
        if caller.asserted is not None:
            shown = withVerstat(self._ours(caller.asserted), caller.verstat, inUser=True)
            headers.append(identityHeader("p-asserted-identity", shown, private=False))
        headers.extend(diversionHeaders("diversion", caller.diversions, target, self.local))
        shown = withVerstat(source, None if caller.asserted else caller.verstat, inUser=False)
        return CallAddresses(
            requestURI=target,
            called=to,
            caller=NameAddr(caller.display, shown),
            contactUser=escape(caller.user, USER_CHARACTERS),
            headers=tuple(headers),
        )

    def _ours(self, user: str) -> SIPURI:
        return self.local.replace(user=escape(user, USER_CHARACTERS))

    def _written(self, number: str) -> str:
        return number if self._numbers is None else writeNumber(number, self._numberForm, self._numbers)
