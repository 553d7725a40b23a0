"""
The practice carrier: what Skype Connect's side of a trunk did, as far as it is known.

It registers PBXes, takes their calls to its test numbers, and calls them on request.
It knows nothing of connections: channels are handed to its transactions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.timers import Timers
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IMessageChannel, IServerTransaction
from skypetrunk.lab.abilities import Abilities
from skypetrunk.lab.agent import Agent
from skypetrunk.lab.audio import Tone
from skypetrunk.lab.calls import OWN, Call, Phase
from skypetrunk.lab.incoming import IncomingCall
from skypetrunk.lab.insistence import insisted, withSecurity
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.lab.numbers import Behaviour, behaviourOf, digitsOf
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.ports import IReactor
from skypetrunk.lab.registrar import Authenticator, Registrar
from skypetrunk.lab.session import AudioSession
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.service.control import ControlRefused, IControlled, PlacedCall
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import NO_PARAMETERS, Parameters, escape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.uri import SIPURI

__all__ = ["Carrier", "Way"]

Way = tuple[str, IMessageChannel]
"""The Request-URI of a call, and its connection."""

_SESSION_NAME = "Skype call"
_KEPT = 100


@implementer(IControlled)
class Carrier:
    """
    The carrier, behind all its nodes.

    @ivar agent: its calls; C{agent.transactions} takes the messages of its channels.
    @ivar registrar: who is registered.
    @ivar finished: the last calls that are over.
    @ivar node: where the first node listens, for its Contact.
    @ivar nodes: what each is, a key of L{skypetrunk.lab.nodes.NODES}, by where it listens.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        token: Callable[[], str],
        entropy: Callable[[int], bytes],
        settings: CarrierSettings,
        node: TransportAddress,
        timers: Timers = Timers(),  # noqa: B008 (a frozen value)
        done: Callable[[str, IMessageChannel], None] | None = None,
        outward: Callable[[], Deferred[Way | None]] | None = None,
    ) -> None:
        """
        @param token: makes random text.
        @param entropy: gives so many random octets.
        @param done: told of each C{"registration"}, and of each C{"call"} that was answered.
        @param outward: where calls to the PBX go instead of to who is registered, or C{None}.
        """
        self.settings = settings
        self.node = node
        self.nodes: Mapping[TransportAddress, str | None] = {}
        self.agent = Agent(reactor, token, self, timers)
        self.registrar = Registrar(reactor, token, settings)
        self.finished: deque[Call] = deque(maxlen=_KEPT)
        self._reactor = reactor
        self._entropy = entropy
        self._token = token
        self._authenticator = Authenticator(reactor, token, settings)
        self._done = done
        self._outward = outward
        self._due: dict[Call, list[IDelayedCall]] = {}
        self._lastChannel: IMessageChannel | None = None
        self._registered: list[Deferred[None]] = []

    def configure(self, settings: CarrierSettings) -> None:
        """Go on with other settings."""
        self.settings = self.registrar.settings = self._authenticator.settings = settings

    def whenRegistered(self) -> Deferred[None]:
        """Fires when an account is registered."""
        if self.registrar.bindings():
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._registered.append(waiting)
        return waiting

    def channelLost(self, channel: IMessageChannel) -> None:
        """
        A connection ended; the transactions know it already.  Its calls go on if their PBX
        comes back on another.
        """
        self.registrar.channelLost(channel)
        for call in self.agent.calls:
            if call.channel is channel:
                self._later(call, self.settings.grace, self._orphaned, call, channel)
        if self._lastChannel is channel:
            self._lastChannel = None

    def stop(self) -> None:
        """Hang up all calls; what they left is ended at once."""
        self.agent.stop()

    # Owner of the agent

    @property
    def abilities(self) -> Abilities:
        """Of calls that begin now."""
        settings = self.settings
        return Abilities(
            settings.methods, settings.sessionExpires, settings.sessionRefresher, settings.sessionMinimum
        )

    def admit(self, request: Request, channel: IMessageChannel) -> str | Response:
        """Challenge, as the switches say."""
        settings = self.settings
        self._lastChannel = channel
        if self.nodes.get(channel.localAddress) == "503" and request.toAddress.tag is None:
            return responseTo(request, 503, headers=(*self._retryAfter(), *OWN))
        refused = insisted(request, settings, self._token)
        if refused is not None:
            return refused
        if settings.authentication == "ip":
            return next(iter(settings.accounts))
        if not settings.challengeAll and request.method not in ("INVITE", "REGISTER"):
            return ""
        found = self._authenticator.check(request)
        return withSecurity(found, settings) if isinstance(found, Response) else found

    def requestReceived(self, transaction: IServerTransaction, account: str) -> bool:
        """REGISTER; no other method is known here (facts, trace B)."""
        if transaction.request.method != "REGISTER":
            return False
        response = self.registrar.register(transaction.request, transaction.channel, account)
        transaction.respond(response)
        if response.status == 200:
            self._tell("registration", transaction.channel)
        if self.registrar.bindings():
            waiting, self._registered = self._registered, []
            for each in waiting:
                each.callback(None)
        return True

    def _tell(self, moment: str, channel: IMessageChannel) -> None:
        if self._done is not None:
            self._done(moment, channel)

    def _retryAfter(self) -> tuple[Header, ...]:
        seconds = self.settings.retryAfter
        return (Header("Retry-After", str(seconds)),) if seconds else ()

    def contact(self, user: str, channel: IMessageChannel) -> str:
        """The 2011 trace has the domain as host, and the node in maddr (facts 6.1.4)."""
        node, domain = self.node, self.settings.domain
        if channel.localAddress in tuple(self.nodes)[1:]:
            # A call belongs to the node that its connection leads to
            node = channel.localAddress
        maddr = [("maddr", node.host)] if self.settings.maddr else []
        params = Parameters([*maddr, ("transport", node.transport.lower())])
        host = domain if self.settings.maddr else node.host
        return str(NameAddr(None, SIPURI("sip", escape(user) or None, None, host, node.port, params)))

    def callReceived(self, call: IncomingCall, request: Request, account: str) -> None:
        """A call of the PBX."""
        try:
            digits = self._checked(call, request, account)
            call.session = self._session(call.name, call.caller)
        except CallRefused as refused:
            self.log.info("{call} to {number}: {why}", call=call.name, number=call.number, why=str(refused))
            more = self._retryAfter() if refused.status == 503 else ()
            call.refuse(refused.status or 403, str(refused), str(refused), more)
            return
        call.when(Phase.ANSWERED).addCallback(self._answered)
        behaviour = behaviourOf(digits)
        self.log.info("{call} to {number}, which {does}", call=call.name, number=digits, does=behaviour.value)
        call.clear = behaviour is Behaviour.REFUSES_SRTP
        if call.prepare():
            self._behave(call, call.session, behaviour)

    def _answered(self, call: Call) -> None:
        if call.phase is Phase.ANSWERED:
            self._tell("call", call.channel)

    def callEnded(self, call: Call) -> None:
        """A call is over."""
        for due in self._due.pop(call, ()):
            if due.active():
                due.cancel()
        self.finished.append(call)
        self.log.info("{call} ended: {cause}", call=call.name, cause=call.cause)

    def _checked(self, call: IncomingCall, request: Request, account: str) -> str:
        """The digits that are called, where nothing is against the call."""
        uri, settings = request.requestURI, self.settings
        if not isinstance(uri, SIPURI) or uri.host.lower() != settings.domain:
            raise CallRefused("Not a number of this carrier", 404)
        digits = digitsOf(call.number, settings.forms)
        if settings.strictFrom and call.caller != account:
            raise CallRefused("From must be the SIP user", 403)
        if settings.invitation is not None:
            raise CallRefused("Switched so", settings.invitation)
        if not settings.credit:
            raise CallRefused("No credit", 402)
        # The call is among them already
        if len(self.agent.calls) > settings.channels:
            raise CallRefused("All channels are in use", 503)
        return digits

    def _session(self, name: str, user: str) -> AudioSession:
        policy = self.settings.srtp
        try:
            media = MediaEndpoint(
                self._reactor, self.node.host, self._entropy, name, secure=policy.keyed
            )
        except CannotListenError as error:
            raise CallRefused("No media port is left", 503) from error
        formats = self.settings.formats
        return AudioSession(media, self._entropy, policy, escape(user) or "-", _SESSION_NAME, formats)

    def _orphaned(self, call: Call, channel: IMessageChannel) -> None:
        if call.channel is channel:
            call.orphaned()

    # What numbers do

    def _behave(self, call: IncomingCall, session: AudioSession, behaviour: Behaviour) -> None:
        settings, media = self.settings, session.media
        media.echo = behaviour is Behaviour.ECHO
        if not media.echo:
            media.tone = Tone(settings.answeringTone)
        if behaviour is Behaviour.BUSY:
            call.refuse(486, "busy")
        elif behaviour is Behaviour.UNKNOWN:
            call.refuse(404, "not in use")
        elif behaviour is Behaviour.EARLY:
            media.latch = True
            call.playEarly()
            self._later(call, 2.0, call.answer)
        else:
            call.ring()
            if behaviour is Behaviour.NO_ANSWER:
                self._later(call, settings.patience, call.refuse, 480, "nobody answered")
            elif behaviour is Behaviour.DECLINE:
                self._later(call, settings.ringing, call.refuse, 603, "declined")
            else:
                self._later(call, settings.ringing, call.answer)
            if behaviour is Behaviour.HANG_UP:
                self._later(call, settings.ringing + 3.0, call.hangUp)

    def _later(self, call: Call, seconds: float, do: Callable[..., None], *arguments: object) -> None:
        self._due.setdefault(call, []).append(self._reactor.callLater(seconds, do, *arguments))

    # Calls to the PBX

    def dial(
        self, number: str, caller: str, account: str | None = None, way: Way | None = None
    ) -> OutgoingCall:
        """
        Call a registered PBX: Request-URI user is the account, the called number stands in To, From
        has our domain (facts 6.1.6, 6.1.7).

        @param caller: a number, C{"anonymous"}, or a Skype name.
        @param account: by default the one that is registered.
        @param way: where to, instead of there.
        @raise ControlRefused: it cannot be reached, or its channels are in use.
        """
        settings = self.settings
        uri, channel = self._reach(account) if way is None else way
        if len(self.agent.calls) >= settings.channels + settings.channels // 5:
            raise ControlRefused("all channels are in use, those for bursts too")
        try:
            session = self._session(f"to {number}", caller)
        except CallRefused as refused:
            raise ControlRefused(str(refused)) from refused
        session.media.tone = Tone(settings.callingTone)
        display = None if caller.removeprefix("+").isdigit() else caller
        local = NameAddr(display, self._address(caller))
        remote = NameAddr(None, self._address(number))
        call = self.agent.placeCall(uri, local, remote, channel, session)
        call.when(Phase.ANSWERED).addCallback(self._answered)
        self._later(call, settings.patience, self._giveUp, call)
        return call

    def _giveUp(self, call: OutgoingCall) -> None:
        if call.phase in (Phase.CALLING, Phase.RINGING):
            call.hangUp()

    def _address(self, user: str) -> SIPURI:
        return SIPURI("sip", escape(user) or None, None, self.settings.domain, None, NO_PARAMETERS)

    def _reach(self, account: str | None) -> Way:
        """The Request-URI and the connection of a PBX."""
        if self.settings.authentication == "ip" and self._lastChannel is not None:
            peer = self._lastChannel.peer
            user = account or next(iter(self.settings.accounts))
            return f"sip:{escape(user)}@{peer.hostPort};transport=tls", self._lastChannel
        for binding in self.registrar.bindings():
            if account in (None, binding.account):
                return str(binding.contact.uri), binding.channel
        raise ControlRefused("no PBX is registered" if account is None else f"{account} is not registered")

    # IControlled

    def status(self) -> Mapping[str, object]:
        """Registrations and calls."""
        now = self._reactor.seconds()
        return {
            "domain": self.settings.domain,
            "registrations": [
                {
                    "account": each.account,
                    "contact": str(each.contact.uri),
                    "peer": str(each.channel.peer),
                    "granted": each.granted,
                    "left": round(each.until - now),
                }
                for each in self.registrar.bindings()
            ],
            "calls": [self._shown(call) for call in self.agent.calls],
            "finished": [self._shown(call) for call in self.finished],
        }

    def placeCall(self, number: str, caller: str) -> Deferred[PlacedCall]:
        """See L{IControlled}."""

        def answered(call: Call) -> PlacedCall:
            status = call.status or 408
            return PlacedCall(call.name, status, "OK" if call.phase is Phase.ANSWERED else call.cause)

        def dial(way: Way | None) -> Deferred[Call]:
            return self.dial(number, caller, way=way).when(Phase.ANSWERED)

        if self._outward is None:
            return dial(None).addCallback(answered)
        return self._outward().addCallback(dial).addCallback(answered)

    def hangUp(self, call: str) -> None:
        """See L{IControlled}."""
        for each in self.agent.calls:
            if each.name == call:
                each.hangUp()
                return
        raise ControlRefused(f"there is no call {call!r}")

    def _shown(self, call: Call) -> dict[str, object]:
        return {
            "call": call.name,
            "from": call.caller,
            "to": call.number,
            "phase": call.phase.value,
            "status": call.status,
            "cause": call.cause,
            "seconds": round(call.duration, 3),
            "media": None if call.session is None else asdict(call.session.statistics()),
        }
