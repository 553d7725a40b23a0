"""
A small PBX-side phone: plain SIP over UDP, plain RTP.

It stands where an IP-PBX would.  It calls, takes calls, plays a tone and records what
it hears; each end of a call can then be held against the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger

from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IMessageChannel, IServerTransaction
from skypetrunk.lab.abilities import Abilities
from skypetrunk.lab.agent import Agent
from skypetrunk.lab.audio import Tone
from skypetrunk.lab.calls import Call
from skypetrunk.lab.incoming import IncomingCall
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.ports import IReactor, closePorts
from skypetrunk.lab.session import AudioSession, SRTPPolicy
from skypetrunk.net.datagram_signalling import DatagramSignalling
from skypetrunk.net.reception import MessageObserver
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.grammar import NO_PARAMETERS, escape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI

__all__ = ["Phone"]

_PLAIN = SRTPPolicy("off")
_FORMATS = ("8", "0", "101")


class Phone:
    """
    One phone with one UDP socket.

    @ivar agent: its calls.
    @ivar address: where it takes calls, once it listens.
    @ivar ringing: seconds until it answers; C{None}: it rings until its owner says C{call.answer()}.
    @ivar finished: calls that are over.
    """

    log = Logger()
    abilities = Abilities()

    def __init__(
        self,
        reactor: IReactor,
        token: Callable[[], str],
        entropy: Callable[[int], bytes],
        user: str,
        callingTone: int | None,
        answeringTone: int | None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ringing: float | None = 0.3,
        observer: MessageObserver | None = None,
        timers: Timers = Timers(),  # noqa: B008 (a frozen value)
    ) -> None:
        """
        @param token: makes random text.
        @param entropy: gives so many random octets.
        @param user: its extension.
        @param callingTone: Hz, played in calls it places; C{None} for silence.
        @param answeringTone: Hz, played in calls it takes.
        @param port: 0 lets the system choose.
        @param observer: told of each SIP message.
        """
        self.agent = Agent(reactor, token, self, timers)
        self.address = TransportAddress("UDP", host, port)
        self.ringing = ringing
        self.finished: list[Call] = []
        self._user = user
        self._reactor = reactor
        self._entropy = entropy
        self._callingTone = callingTone
        self._answeringTone = answeringTone
        self._signalling = DatagramSignalling(self.agent.transactions, token, observer=observer)
        self._ports: tuple[IListeningPort, ...] = ()
        self._answering: dict[Call, IDelayedCall] = {}
        self._called: list[Deferred[IncomingCall]] = []

    def listen(self) -> None:
        """
        Bind its socket.

        @raise CannotListenError: the port is in use.
        """
        port = self._reactor.listenUDP(
            self.address.port, self._signalling, self.address.host, DatagramSignalling.LARGEST
        )
        self._ports = (port,)
        self.address = self._signalling.localAddress

    def stop(self) -> Deferred[None]:
        """Hang up and close the socket, without waiting for anybody's answer."""
        self.agent.stop()
        self.agent.transactions.stop()
        ports, self._ports = self._ports, ()
        return closePorts(ports) if ports else succeed(None)

    def dial(
        self, number: str, proxy: TransportAddress, headers: Sequence[tuple[str, str]] = ()
    ) -> OutgoingCall:
        """
        Call C{number} through the trunk at C{proxy}.

        @param headers: more of them for the INVITE.
        """
        session = self._session("placed", self._callingTone)
        target = SIPURI("sip", escape(number), None, proxy.host, proxy.port, NO_PARAMETERS)
        local = SIPURI("sip", escape(self._user), None, self.address.host, None, NO_PARAMETERS)
        remote = target.replace(port=None)
        channel = self._signalling.channel(proxy.host, proxy.port)
        extra = tuple(Header(*header) for header in headers)
        return self.agent.placeCall(
            str(target), NameAddr(None, local), NameAddr(None, remote), channel, session, extra
        )

    def whenCalled(self) -> Deferred[IncomingCall]:
        """Fires with the next call that comes in, while it rings."""
        waiting: Deferred[IncomingCall] = Deferred()
        self._called.append(waiting)
        return waiting

    # Owner of the agent

    def admit(self, request: Request, channel: IMessageChannel) -> str | Response:
        """Everybody who reaches it."""
        return self._user

    def requestReceived(self, transaction: IServerTransaction, account: str) -> bool:
        """Nothing but calls."""
        return False

    def contact(self, user: str, channel: IMessageChannel) -> str:
        """Its own address."""
        uri = SIPURI("sip", escape(self._user), None, self.address.host, self.address.port, NO_PARAMETERS)
        return str(NameAddr(None, uri))

    def callReceived(self, call: IncomingCall, request: Request, account: str) -> None:
        """Ring, and answer after a while."""
        call.session = self._session("taken", self._answeringTone)
        call.ring()
        if self.ringing is not None:
            self._answering[call] = self._reactor.callLater(self.ringing, call.answer)
        called, self._called = self._called, []
        for each in called:
            each.callback(call)

    def callEnded(self, call: Call) -> None:
        """Keep it, for its recording and counters."""
        answering = self._answering.pop(call, None)
        if answering is not None and answering.active():
            answering.cancel()
        self.finished.append(call)

    def _session(self, name: str, tone: int | None) -> AudioSession:
        media = MediaEndpoint(self._reactor, self.address.host, self._entropy, name, secure=False)
        media.tone = None if tone is None else Tone(tone)
        return AudioSession(media, self._entropy, _PLAIN, escape(self._user), "-", _FORMATS)
