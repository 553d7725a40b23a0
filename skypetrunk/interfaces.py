"""
The joints of the house: every place where one layer hands work to another.

They are also the extension points.  Values that cross a joint are frozen
dataclasses of L{skypetrunk.wire} or of this module, never interfaces.

The module is longer than others, so that a vendor finds every joint in one place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

from skypetrunk.values import quick

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.internet.defer import Deferred

    from skypetrunk.errors import CallRefused
    from skypetrunk.wire.address import TransportAddress
    from skypetrunk.wire.grammar import Parameters
    from skypetrunk.wire.message import Request, Response
    from skypetrunk.wire.sdes import InlineKey, MasterKey
    from skypetrunk.wire.sdp import SessionDescription
    from skypetrunk.wire.secret import Secret
    from skypetrunk.wire.uri import SIPURI


# Signalling


class IMessageChannel(Interface):
    """
    One way to reach one peer: a verified TLS connection, a TCP connection, or
    a UDP socket together with a destination.
    """

    reliable: bool = Attribute("bool: the transport delivers or reports (RFC 3261 section 17)")
    secure: bool = Attribute("bool: the peer proved its identity; keys may be sent")
    localAddress: TransportAddress = Attribute("TransportAddress: ours, what Via and Contact show")
    peer: TransportAddress = Attribute("TransportAddress: where messages go")

    def send(message: Request | Response) -> None:
        """
        Write one message.

        @raise ChannelFailed: when it is known at once that it cannot leave.  A
            connection that breaks later is reported to the transactions by L{ITransactions.channelLost}.
        """

    def toward(peer: TransportAddress) -> IMessageChannel:
        """The same socket towards another destination; a stream channel returns itself."""


class ISizedChannel(IMessageChannel):
    """A channel that is not right for large requests, as UDP."""

    def fitting(octets: int) -> Deferred[IMessageChannel]:
        """The channel for a request of this size: itself, or a connection to the same peer.  Never fails."""


class IChannelFinder(Interface):
    """Knows how to reach the next hop of one side (a trunk or a PBX)."""

    def find(uri: SIPURI) -> Deferred[IMessageChannel]:
        """
        A channel to the next hop that C{uri} names (C{maddr} first, RFC 3261
        section 8.1.2).  For a trunk every connection made here is verified
        against the trunk's configured domain, whatever host C{uri} has.  May
        fire at once.

        @raise NoTarget: (errback) nothing can be reached.
        @raise PeerNotVerified: (errback) something was reached, and is not the trunk.
        """


class ICallAttempt(IChannelFinder):
    """One INVITE at one server of a trunk, and the dialog that comes of it."""

    def find(uri: SIPURI) -> Deferred[IMessageChannel]:
        """
        The first time, for the INVITE: a channel to a server that no attempt of this call went to; one that
        cannot be reached is passed over.  A C{uri} that is not the trunk's own leads where it says.
        Then, for what belongs to the INVITE: as L{IChannelFinder.find}, and where C{uri} cannot be reached,
        the server that has the INVITE.
        """

    def stands() -> bool:
        """Is the connection that the INVITE went over still there?"""

    def another() -> bool:
        """Is there a server that no attempt of this call went to?"""

    def answered() -> None:
        """The server has answered, otherwise than with 503."""

    def silent(reason: str) -> None:
        """It has not answered at all."""

    def refused(reason: str, retryAfter: float | None) -> None:
        """It has answered 503, and named these seconds of Retry-After."""


class ICallTargets(Interface):
    """The servers of a trunk, as one call tries them."""

    def attempt() -> ICallAttempt:
        """For the next INVITE of the call."""


class IServerTransaction(Interface):
    """One request received, to be answered (RFC 3261 section 17.2)."""

    request: Request = Attribute(
        "Request: with C{received} and C{rport} filled in; after its 2xx, only what an answer repeats of it"
    )
    channel: IMessageChannel = Attribute("IMessageChannel: where the request came from")
    cancel: Request | None = Attribute("Request: the CANCEL that took it back, until it is answered")

    def respond(response: Response) -> None:
        """
        Send a response; the last of them ends the transaction.  A 2xx to INVITE may
        be given again for each retransmission (RFC 6026).  Late responses are dropped.
        """


class IClientTransaction(Interface):
    """One request sent (RFC 3261 section 17.1)."""

    request: Request = Attribute(
        "Request: as sent, with its Via; of an INVITE after its 2xx, only the headers that its ACK repeats"
    )
    channel: IMessageChannel = Attribute("IMessageChannel: where it was sent")

    def cancel(extraHeaders: Sequence[tuple[str, str]] = ()) -> None:
        """
        Send the CANCEL of this INVITE, held until the first provisional response
        (RFC 3261 section 9.1).  C{extraHeaders} repeat the INVITE's credentials or carry
        a Reason.  If no final response comes within 64*T1 after it, C{timedOut} is called.
        """


class IClientTransactionUser(Interface):
    """Who sent a request.  Exactly one of C{timedOut}, C{channelFailed} or a final response ends it."""

    def responseReceived(response: Response, transaction: IClientTransaction) -> None:
        """
        A response, provisional or final.  For INVITE every 2xx, also each
        retransmitted or forked one, for 64*T1 (RFC 6026); the ACK of a 2xx is the
        user's, the ACK of any other final response was already sent.
        """

    def timedOut(transaction: IClientTransaction) -> None:
        """No final response within 64*T1 (timer B, F, or the bound after CANCEL)."""

    def channelFailed(transaction: IClientTransaction, reason: Exception) -> None:
        """The channel broke before a final response."""


class ITransactionUser(Interface):
    """Who takes requests: the dialog manager, or the lab's carrier.  None of these may raise or wait."""

    def requestReceived(transaction: IServerTransaction) -> None:
        """A new request, neither ACK nor CANCEL.  For INVITE, 100 was already sent."""

    def ackReceived(request: Request, channel: IMessageChannel) -> None:
        """An ACK that belongs to no non-2xx answer: the ACK of a 2xx, each retransmission of it."""

    def cancelReceived(transaction: IServerTransaction) -> None:
        """The INVITE C{transaction} was cancelled before its final answer; CANCEL was answered 200."""

    def transactionFailed(transaction: IServerTransaction, reason: Exception) -> None:
        """No ACK came for a non-2xx answer (timer H), or the channel broke before the answer left."""


class ITransactions(Interface):
    """The transaction layer (RFC 3261 section 17, RFC 6026) of one or more channels."""

    def messageReceived(message: Request | Response, channel: IMessageChannel) -> None:
        """A message came in.  Never raises for what a peer sent."""

    def sendRequest(
        request: Request, channel: IMessageChannel, user: IClientTransactionUser
    ) -> IClientTransaction:
        """
        Send C{request} (without our Via; it is added with a new branch).  A channel that
        fails at once is reported by C{channelFailed}, after this method has returned.
        """

    def sendAck(ack: Request, channel: IMessageChannel) -> Request:
        """
        Send the ACK of a 2xx, adding a Via with a new branch unless it has one.

        @return: the request as sent, to be sent again for each retransmitted 2xx.
        """

    def channelLost(channel: IMessageChannel, reason: Exception) -> None:
        """C{channel} is gone: its client transactions fail now, answers to requests may wait for another."""

    def channelFound(channel: IMessageChannel) -> None:
        """C{channel} leads to where those that were lost did: answers that have waited go there."""


# Calls


@quick
@dataclass(frozen=True, slots=True)
class CallRequest:
    """
    A call somebody asks for, before any of it was rewritten.

    @ivar caller: the calling number or name, as received.
    @ivar called: the called number, as received.
    @ivar source: name of the PBX or trunk it comes from.
    @ivar destinations: names of the trunks or PBXes it may go to, in order.
    """

    call: str
    caller: str
    called: str
    source: str
    destinations: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True)
class CallEnded:
    """
    Why and how a call ended.

    @ivar cause: in words, for people.
    @ivar status: the SIP status that ended it before it was answered, or C{None}.
    @ivar by: C{"caller"}, C{"callee"} or C{"trunk"} (ourselves).
    @ivar duration: seconds from answer to end; 0.0 if never answered.
    @ivar redirectedTo: the number that it went to at last, if a redirection was followed.
    @ivar silent: names of the sides from which nothing came any more at the end, though it should have.
    @ivar diagnosis: what was wrong with its audio or fax, in one sentence; C{None}: nothing that shows.
    """

    call: str
    cause: str
    status: int | None
    by: str
    duration: float
    redirectedTo: str | None = None
    silent: tuple[str, ...] = ()
    diagnosis: str | None = None


class ICallPolicy(Interface):
    """Admits or refuses calls, before anything was taken for them."""

    def admit(request: CallRequest) -> Deferred[None] | None:
        """
        Let the call go on, now (C{None}) or when the Deferred fires.

        @raise CallRefused: (or errback) becomes the answer with its status and Q.850 cause;
            any other exception denies with 500.
        """


class IPBXDialect(Interface):
    """
    How one PBX wants its messages to look, and how it writes its own: everything on the PBX's side passes
    here, calls, registrations and OPTIONS, in both directions.  The carrier's side has no dialect.

    Both methods get an immutable value and return it, or another one of the same kind
    (C{message.withHeader(...)}, C{request.withURI(...)}, C{message.withBody(...)}).  They answer at once, and
    the same for the same message.  These stay what they are: method or status, Via, the tags of From and To,
    Call-ID, CSeq, RSeq, RAck, and the Request-URI of ACK and CANCEL, which are given that of their INVITE.
    The result must be a valid message.  Content-Length is always that of the body.

    Where one raises, or changes what it may not, the message stays as it was: the call goes on, and the log
    names the plugin, once a minute at most.
    """

    def fromPBX(message: Request | Response) -> Request | Response:
        """
        What the PBX meant by C{message}.  Called for each message that could be read, each time that it is
        received, before anything else looks at it.  What calls an emergency number does not pass here: an
        INVITE with one in Request-URI or To, a REFER or 3xx to one.
        """

    def toPBX(message: Request | Response) -> Request | Response:
        """
        What the PBX is to get for C{message}.  Called once before it is sent; when it is sent again, the
        octets are the same.
        """


class INumberPlan(Interface):
    """What numbers mean where this system stands."""

    def isEmergency(called: str) -> bool:
        """Is C{called}, in the dialled form or with an outside-line prefix removed, an emergency number?"""

    def normalise(called: str) -> str:
        """C{called} as C{+E.164} where it can be understood so, else unchanged (for route prefixes)."""


class ICredentials(Interface):
    """Digest secrets of one trunk."""

    def find(realm: str) -> tuple[str, Secret] | None:
        """User name and password for C{realm}, or C{None}: the challenge stays unanswered."""


class IRegistrationObserver(Interface):
    """Told how the registration of one trunk goes.  What it raises is logged and changes nothing."""

    def registered(expires: int) -> None:
        """Registered, or refreshed, for C{expires} seconds from now."""

    def refused(reason: str, status: int) -> None:
        """
        The registrar refused.  It is asked again by itself, later each time; a registration
        that was there before may hold until its end.

        @param reason: in words, for people: what is wrong, without the status.
        """

    def lost(reason: str) -> None:
        """
        The registrar does not answer, or the channel broke under a REGISTER.  Whoever owns the
        channel should condemn it and start again with another; a silent one is tried again until then.
        """


class IDialogObserver(Interface):
    """Told about each call: status page, records, vendors.  What it raises is logged and changes nothing."""

    def callStarted(request: CallRequest) -> None:
        """A call was admitted."""

    def callAnswered(call: str) -> None:
        """Both sides are connected."""

    def callEnded(ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """A call is over and everything it held was given back."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """
    One call from its beginning to its end, for those who keep such records.

    @ivar started: when it was asked for; seconds since the epoch.
    @ivar answered: when both sides were connected, or C{None}.
    @ivar media: what its media legs saw; empty if it never had any.
    """

    request: CallRequest
    ended: CallEnded
    started: float
    answered: float | None
    media: tuple[LegStatistics, ...]


class ICallRecordSink(Interface):
    """Keeps the records of finished calls.  What it raises is logged with its name, and changes nothing."""

    def record(record: CallRecord) -> Deferred[None] | None:
        """
        A call that was admitted is over.  At the end of the process its services are stopped after the
        Deferreds of the last records have fired, or after some seconds.
        """


class IDialogManager(Interface):
    """Carries all calls of one process."""

    def callCount() -> int:
        """Calls that exist now, in any state."""

    def drain(seconds: float) -> Deferred[None]:
        """
        Take no new calls (503) and end those that exist: CANCEL or 487 and BYE.  Fires
        when the last is gone or, at the latest, after C{seconds}.
        """


class ICarrierProfile(Interface):
    """What a carrier wants; data of L{skypetrunk.profiles}."""

    name: str = Attribute("str")
    domain: str | None = Attribute("str or None: default of the trunk's domain")
    register: bool = Attribute("bool: REGISTER, or a trunk known by its address")
    expires: int = Attribute("int: seconds asked for in REGISTER")
    suites: tuple[str, ...] = Attribute("SRTP suites in order of preference")
    calledFrom: str = Attribute("where inbound calls have the number: request-uri, to, p-called-party-id")
    fromUser: str = Attribute("outbound From user: account (always the account) or caller")
    numberForm: str = Attribute("outbound called number: as-dialled, plus (+CC), 00 (00CC) or bare (CC)")
    callerForm: str = Attribute("outbound calling number: as numberForm")
    inboundForm: str = Attribute("how the carrier writes numbers: as numberForm")
    callerFrom: str = Attribute("where inbound calls have the caller: from, p-asserted-identity, ...")
    callerHeader: str = Attribute("outbound header for the caller beside From, or none")
    anonymous: str = Attribute("outbound anonymous calls: from (nothing is shown), asserted or account")
    diversion: str = Attribute("outbound header for diversions: none, diversion or history-info")
    wildcards: bool = Attribute("bool: wildcard certificates are accepted (RFC 5922 refuses them)")
    staticRSA: bool = Attribute("bool: TLS 1.2 suites without forward secrecy are accepted too")
    ownName: bool = Attribute("bool: From has our host name, where we have one (Contact has it always)")
    userPhone: bool = Attribute("bool: outbound numbers say user=phone (RFC 3261 section 19.1.1)")
    uriParameters: Parameters = Attribute("of the Request-URI of outbound calls")
    mediasec: bool = Attribute("bool: media security is told as 3GPP TS 33.328 has it")


# Media


@quick
@dataclass(frozen=True, slots=True)
class MediaAddress:
    """
    A media destination, literal address: RTP and RTCP port.

    @ivar rtcpPort: 0 without RTCP; the same as C{port}: both over one port, in either direction (RFC 5761).
    @ivar rtcpHost: where RTCP goes, if that is another address (RFC 3605).
    @ivar ttl: of a multicast group, which C{host} is then; else C{None}.
    """

    host: str
    port: int
    rtcpPort: int
    rtcpHost: str | None = None
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class MediaHost:
    """
    An address of this machine for media.

    @ivar host: literal, to bind.
    @ivar advertised: what SDP says instead to who is beyond NAT, or C{None}.
    """

    host: str
    advertised: str | None = None

    @property
    def version(self) -> int:
        """Of IP, 4 or 6."""
        return 6 if ":" in self.host else 4


@dataclass(frozen=True, slots=True)
class MediaPath:
    """
    How media travels between us and one neighbour, as configured.

    @ivar hosts: where we are for the neighbour, one of each IP version at most; the first is offered.  Empty:
        wherever the media plane is.
    @ivar allow: hosts that are heard beside the one that the neighbour's SDP names.  For plain legs: on a
        secure one whoever has the key is heard.
    @ivar symmetric: media goes where the neighbour's comes from; else always where its SDP says.
    @ivar srtp: what of SRTP there is towards a carrier: C{"required"}, C{"opportunistic"} or C{"off"}.
    @ivar group: the one multicast group that the SDP of a PBX may name, C{None} for none.
    """

    hosts: tuple[MediaHost, ...] = ()
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    symmetric: bool = True
    srtp: str = "required"
    group: str | None = None

    def preferring(self, version: int | None) -> MediaPath:
        """The same with a host of this IP version first, if there is one; C{None}: as it is."""
        if version is None:
            return self
        return replace(self, hosts=tuple(sorted(self.hosts, key=lambda host: host.version != version)))


ANY_PATH = MediaPath()
"""Where nothing is configured."""


@quick
@dataclass(frozen=True, slots=True)
class DirectionStatistics:
    """
    Packets of one direction of one leg.

    @ivar refused: packets not let through, by reason (see L{skypetrunk.errors.PacketRefused}).
    @ivar authenticated: packets whose tag was verified (received) or made (sent); 0 on a plain leg.
    @ivar lost: expected but never received, from sequence numbers (RFC 3550 A.3).
    @ivar early: received before the key was known, and kept.
    @ivar resumptions: times that the peer had another SRTP roll-over counter than we, or SRTCP index, and was
        followed.
    @ivar reordered: received after a later one; duplicates: received again, 0 on a secure leg, which refuses
        them as C{replay}.  Both are 0 for sent.
    @ivar longestLoss: packets lost one after the other, at most.
    @ivar bursts: times in which packets were lost closely together: from loss to loss, with never 16 received
        in a row between (RFC 3611 section 4.7.2).  C{burstLost}: those lost in them, of C{burstLength}.
    @ivar silent: was there nothing but digital silence in what was received?  C{clipped}: was it so loud that
        its tops were cut off?  By looks at some packets of G.711; C{None}: not known.
    @ivar reports: of its receiver, which came about what was sent; 0 for received.  With them C{lost},
        C{fractionLost} (of the packets between the last two reports, 0 to 1), C{jitter}, C{worstJitter} and
        C{opinion} of what was sent are as the receiver saw it: what never came to us is among the lost.
    @ivar jitter: of the audio at the end, as RFC 3550 section 6.4.1 has it, but in milliseconds; C{None}
        without audio of a known clock rate.
    @ivar worstJitter: the highest value that C{jitter} had.
    @ivar codec: name in SDP of the audio received last, C{None} without any.
    @ivar opinion: mean opinion score of listening, 1 to 4.5, by the E-model (ITU-T G.107) from codec,
        loss and its bursts; C{None} for codecs without figures: there are those of G.711 and G.729.
    @ivar conversation: the same with the delay that follows from the round trips; C{None} without one.
    @ivar fax: datagrams of T.38; nothing else counts them.
    """

    packets: int = 0
    octets: int = 0
    authenticated: int = 0
    lost: int = 0
    early: int = 0
    resumptions: int = 0
    rtcpPackets: int = 0
    refused: tuple[tuple[str, int], ...] = ()
    reordered: int = 0
    duplicates: int = 0
    longestLoss: int = 0
    bursts: int = 0
    burstLost: int = 0
    burstLength: int = 0
    jitter: float | None = None
    worstJitter: float | None = None
    codec: str | None = None
    opinion: float | None = None
    silent: bool | None = None
    clipped: bool | None = None
    reports: int = 0
    fractionLost: float | None = None
    conversation: float | None = None
    fax: int = 0


@quick
@dataclass(frozen=True, slots=True)
class MediaWay:
    """
    The addresses of one media leg, and what has come since its peer was described last.

    @ivar told: our host in our SDP; C{bound}: the one that we have.
    @ivar signalled: the peer's host in its SDP, C{None}: none yet.
    @ivar source: the host that the peer sends from, where it has sent since; C{None}: not known.
    @ivar stranger: the last host that was refused because no SDP names it.
    @ivar described: seconds since the peer's SDP was taken last, the same one or another; C{None}: never.
    @ivar packetsSince: packets taken since then; C{unauthenticSince}: refused as not authentic,
        C{strangeSince}: as a stranger's.
    @ivar quiet: seconds since the last packet, within some; C{None}: there was none.
    """

    told: str = ""
    bound: str = ""
    signalled: str | None = None
    source: str | None = None
    stranger: str | None = None
    described: float | None = None
    packetsSince: int = 0
    unauthenticSince: int = 0
    strangeSince: int = 0
    quiet: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class LegStatistics:
    """
    What one media leg saw.  C{suite} is C{None} on a plain leg.

    @ivar roundTrip: from us to the peer and back, the last one that RTCP showed, in milliseconds; C{None}:
        none did.
    @ivar worstRoundTrip: the longest.
    @ivar packetTime: milliseconds of sound that the peer wants in a packet; C{None} if it does not say.
    @ivar fax: was T.38 agreed at any time?  It is in clear, also where C{secure} says that sound is not.
    """

    name: str
    secure: bool
    suite: str | None
    received: DirectionStatistics
    sent: DirectionStatistics
    roundTrip: float | None = None
    worstRoundTrip: float | None = None
    packetTime: int | None = None
    way: MediaWay = MediaWay()  # noqa: RUF009 (a frozen value)
    fax: bool = False


class IPacketGuard(Interface):
    """
    SRTP in one direction, one key: protects or unprotects, never both.  It lives as long
    as its key (RFC 3711 section 3.2.3), whatever the signalling does.
    """

    suite: str = Attribute("str: name of the suite (RFC 4568 section 6.2)")

    def rtp(packet: bytes) -> bytes:
        """
        The other form of an RTP packet.

        @raise PacketRefused: nothing has changed.
        """

    def rtcp(packet: bytes) -> bytes:
        """The other form of an RTCP compound packet.  Raises as L{rtp}."""


class IMediaLeg(Interface):
    """One side of a call's media: a pair of ports, RTP and RTCP."""

    address: MediaAddress = Attribute("MediaAddress: what our SDP says (the advertised address)")
    lost: bool = Attribute("bool: our context is gone, and the address is another: the peer needs a new key")
    unheard: bool = Attribute("bool: our numbers have begun anew, and the peer reports that it hears none")

    def setRemote(address: MediaAddress | None) -> None:
        """Where the peer's SDP says it receives; C{None} on hold by C{0.0.0.0} or port 0.  Ends fax."""

    def setFax(address: MediaAddress | None) -> None:
        """
        Fax by T.38 instead of sound, until L{setRemote}: UDPTL datagrams (ITU-T T.38) that come at the RTP
        port go to the other leg as they are, if that has fax as well, in clear, whatever this leg is.  Keys
        and all that is known of the sound stay as they are.  L{setSending} and the rest follow L{setRemote}.

        @param address: where the peer's SDP says it receives them; C{None} on hold by C{0.0.0.0}.
        """

    def setSending(sending: bool) -> None:
        """Whether the agreed direction lets us send media to this peer; RTCP and keep-alives go on."""

    def setPayloadTypes(ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
        """
        The payload types that were agreed: the peer sends with those of our description, and receives with
        those of its own.  Where the other leg has another number for a codec, packets get that.

        @param ours: each with what C{a=rtpmap} says of it, C{"opus/48000/2"}; empty without one.
        @param theirs: the same of the peer's description.
        """

    def hearKeys(heard: Callable[[str], None] | None) -> None:
        """
        Tell of keys in events of the peer (RFC 4733) where the other leg's peer has agreed to none; they go
        no further then.  Counts from the next L{IMediaPlane.join} on.

        @param heard: told of each key when it ends; C{None}: nobody.
        """

    def sendKey(key: str, milliseconds: int) -> None:
        """
        Send a key to the peer as an event (RFC 4733), in place of the audio that comes meanwhile, where it
        has agreed to that.

        @param key: C{0-9 * # A-D}.
        """

    def setPacketTime(milliseconds: int | None) -> None:
        """What the peer wants in a packet, for the statistics; C{None} if it does not say."""

    def setLocalKey(suite: str, key: MasterKey, ssrc: int | None = None) -> None:
        """
        The key we protect with.  The same key again changes nothing, and after one of another suite goes on
        with its context: that is made once.

        @param ssrc: of the stream under it, where it was told to the peer; C{None}: any.
        @raise StreamLost: another key of its suite has replaced it: it may never be used again.
        """

    def setRemoteKey(suite: str, key: MasterKey, declared: DeclaredKeys | None = None) -> None:
        """
        The key the peer protects with.  The same key again keeps context and roll-over counter.

        @param declared: what the peer says beside it; C{None}: it has that one key, without MKI.
        """

    def setClear() -> None:
        """
        The peer has agreed on RTP in clear.  Keys that come later make it SRTP.

        @raise LocalError: the leg was allocated for SRTP alone.
        """

    def statistics() -> LegStatistics:
        """Counters so far."""

    def release() -> LegStatistics:
        """Close both ports, give them back; the final counters.  A second call only returns them."""


class IMediaPlane(Interface):
    """Where media legs come from."""

    def allocate(name: str, secure: bool, path: MediaPath = ANY_PATH) -> IMediaLeg:
        """
        Bind a pair of ports.

        @param name: for logs and statistics: call and side.
        @param secure: towards a carrier, with what C{path} says of SRTP; else it is RTP, towards a PBX.
        @param path: of the neighbour.
        @raise PortsExhausted: becomes 503 before anything is promised.
        """

    def join(caller: IMediaLeg, called: IMediaLeg, call: str) -> None:
        """
        Relay between two legs from now on; what either was joined to before is let go.

        @param call: name of their call.
        """


@dataclass(frozen=True, slots=True)
class TappedPacket:
    """
    One RTP packet of a call, as its sender made it, without SRTP.

    @ivar data: header (RFC 3550 section 5.1) and payload.
    @ivar fromCaller: sent by who calls, the side of C{CallRequest.source}; else by who is called.
    @ivar time: when it came in; seconds on the clock of the trunk's reactor.
    """

    data: bytes
    fromCaller: bool
    time: float


class IMediaTap(Interface):
    """
    Listens to one call.  Neither method may wait: the call would, and every other one with it.

    Where C{packetReceived} raises, the log names the plugin, once, and the tap gets no more packets; the call
    goes on.
    """

    def packetReceived(packet: TappedPacket) -> None:
        """
        A packet crosses, early media too.  Those of one direction come in the order in which they came in:
        some may be lost or late, as the network had them.  What does not prove to be the peer's is never
        shown, nor is RTCP.
        """

    def ended() -> None:
        """The call is over, or goes on as another one after a transfer; the last that is told."""


class IMediaTaps(Interface):
    """Listens to calls.  Whether that is lawful, and who has to be told, is for who installs it to know."""

    def tap(request: CallRequest) -> IMediaTap | None:
        """
        Who listens to this call; C{None}: nobody, and the call is carried as if there were no plugin.

        Asked once for each call, when it begins; it may come to nothing yet.  A transfer makes a call of its
        own to the target.  What this raises is logged with the plugin's name, and nobody listens.
        """


class IKeyAgreement(Interface):
    """
    The SRTP keys of one leg in its SDP: C{a=crypto} (RFC 4568) or C{a=key-mgmt} (RFC 4567).  A leg keeps one
    for its whole life.
    """

    def offer(fresh: bool = False) -> tuple[tuple[str, str | None], ...]:
        """
        Attributes for the audio stream of an offer.  Our key stays the same over the offers of a leg.

        @param fresh: but for this one: a new key, which replaces the other when it is agreed.
        """

    def repeat(
        written: Sequence[tuple[str, str | None]],
    ) -> tuple[tuple[str, str | None], ...]:
        """
        All attributes of our audio stream that stands, as they are offered again: the same where these keys
        can be.
        """

    def answered(answer: SessionDescription, audio: int) -> KeyPair:
        """
        The peer answered our last offer.  Nothing is agreed until L{agree}.

        @param audio: place of the audio stream.
        @raise KeyAgreementFailed: no key, or none that goes with the offer.
        """

    def answer(
        offer: SessionDescription, audio: int
    ) -> tuple[tuple[tuple[str, str | None], ...], KeyPair]:
        """
        Choose from an offer, and make the attributes of our answer.  The same offer gives the same choice.
        Nothing is agreed until L{agree}: the offer may yet be refused.

        @raise KeyAgreementFailed: nothing usable.
        """

    def agree(pair: KeyPair) -> None:
        """
        C{pair} is in use from now on; a key that was in use before, and is not now, is given up when no other
        branch of the call can answer with it any more.
        """


@dataclass(frozen=True, slots=True)
class DeclaredKeys:
    """
    What a peer protects with, where it is more than one plain key (RFC 4568 sections 6.1 and 6.3.1).

    @ivar keys: all of its keys, with their MKIs; its packets say which.
    @ivar derivationRate: packets after which it derives its session keys anew; 0: never.
    """

    keys: tuple[InlineKey, ...]
    derivationRate: int = 0


@quick
@dataclass(frozen=True, slots=True)
class KeyPair:
    """
    What was agreed for one leg: one suite, a key for each direction.

    @ivar remote: the first, where the peer has several.
    @ivar lifetime: packets that the remote keys are good for together; C{None}: the peer does not say.
    @ivar declared: what the peer says beside one key; C{None} where that is nothing.
    @ivar ssrc: of our stream, where the peer was told; else C{None}.
    """

    suite: str
    local: MasterKey
    remote: MasterKey
    lifetime: int | None = None
    declared: DeclaredKeys | None = None
    ssrc: int | None = None


# A PBX in this process


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """
    What one RTP packet of a call brought.

    @ivar payload: in the codec agreed: G.711 has an octet for each sample.
    @ivar sequence: 16 bits, as its sender counts; shows what was lost, or comes late.
    @ivar timestamp: 32 bits, samples, as its sender counts.
    @ivar marker: the first after a silence.
    """

    payload: bytes
    sequence: int
    timestamp: int
    marker: bool


class IPBX(Interface):
    """
    A PBX that lives in this process: it takes calls and places calls, and has no SIP or sockets of its own.

    None of its methods may wait.  To the trunk it is a PBX as every other: routes, limits, policies,
    observers, records, and the rule that no emergency number leaves by a trunk hold for it unchanged.
    """

    def attached(line: IPBXLine) -> None:
        """
        The trunk starts: calls may be placed on C{line} from now on.  Called once, before the first call,
        and after C{startService} where it is a service.  What it raises is logged with the plugin's name;
        calls come all the same.
        """

    def callReceived(call: IPBXCall) -> IPBXCallUser:
        """
        A call came in.  Its offer can be answered; nobody has been told that it rings.

        @return: who is told of the call from now on.  It is answered with L{IPBXCall.answer}, here or later.
        @raise CallRefused: becomes the answer, with its status and Q.850 cause.  Any other exception, or
            something else returned, is answered 500 and logged with the plugin's name.
        """


class IPBXLine(Interface):
    """What an L{IPBX} is attached to: its way to the trunks."""

    name: str = Attribute("str: C{pbx.name} of the configuration")

    def placeCall(called: str, caller: str, user: IPBXCallUser, callerName: str | None = None) -> IPBXCall:
        """
        Call somebody, as the routes of the configuration say.  Whatever becomes of it, C{user} is told,
        and nothing before this method has returned.

        @param called: a number as dialled, or a C{tel:} or C{sip:} URI, of which the number counts.  An
            emergency number, however it is written, and C{urn:service:sos} are refused with
            L{EmergencyRefused<skypetrunk.errors.EmergencyRefused>}: they need a line of their own.
        @param caller: the number of who calls; empty for an anonymous call.
        @param callerName: shown beside it where the carrier lets us.
        """


class IPBXCall(Interface):
    """One call of an L{IPBX}.  What comes too late, or makes no sense for the call, changes nothing."""

    call: str = Attribute("str: its name in the log")
    caller: str = Attribute("str: the number of who calls, or C{anonymous}")
    callerName: str | None = Attribute("str or None: the name shown beside it")
    called: str = Attribute("str: the number called, as received or as given to placeCall")
    media: IPBXMedia = Attribute("IPBXMedia: its audio")

    def ring() -> None:
        """Tell the caller that it rings (180).  Whoever answers at once need not."""

    def answer() -> None:
        """Take the call (200); C{answered} of the user follows as soon as audio can flow."""

    def refuse(refusal: CallRefused) -> None:
        """Refuse a call that came in, as if L{IPBX.callReceived} had raised this."""

    def hangUp() -> None:
        """End it, in the way that its state asks for: one not answered is declined (603) or taken back."""

    def transfer(called: str) -> Deferred[None]:
        """
        Have the other side of an answered call talk to C{called} instead (REFER): the trunk calls it by the
        routes of this PBX, with every check that a call has.  Until it answers this call goes on, then it
        ends.

        @param called: as of L{IPBXLine.placeCall}.
        @return: fires when C{called} has answered; L{IPBXCallUser.ended} follows.
        @raise CallRefused: (errback) it did not, with its status, or may not be called, or the call is not
            one that can be transferred now; this call goes on.  L{EmergencyRefused
            <skypetrunk.errors.EmergencyRefused>} for an emergency number.
        """


class IPBXCallUser(Interface):
    """
    The vendor's side of one call: told what happens, never within a method of the trunk.

    Every method may be a coroutine or return a Deferred, for which nobody waits.  What a method raises or
    its Deferred fails with is logged with the plugin's name, and ends this call: with 500 before it is
    answered, with BYE after.  Other calls know nothing of it.
    """

    def progressed(status: int) -> Awaitable[None] | None:
        """A call that was placed rings (180), or goes on (183); there may be early audio."""

    def answered() -> Awaitable[None] | None:
        """Both sides are connected, and the codec is agreed."""

    def mediaChanged() -> Awaitable[None] | None:
        """The other side went on hold or came back (L{IPBXMedia.sending}), or changed L{IPBXMedia.codec}."""

    def packetReceived(packet: AudioPacket) -> Awaitable[None] | None:
        """
        Audio came in, in the codec agreed: fifty times in a second.  Not before L{answered} of a call that
        came in.
        """

    def digitReceived(digit: str) -> Awaitable[None] | None:
        """
        A key was pressed: one of C{0-9 * # A-D}.  By telephone-event (RFC 4733), told when the key is let
        go, or by INFO.  Not before L{answered} of a call that came in.
        """

    def refused(refusal: CallRefused) -> Awaitable[None] | None:
        """
        A call that was placed came to nothing; the last that is told of it.

        @param refusal: with the status that answered, and the Q.850 cause if there was one.
        """

    def ended(cause: str) -> Awaitable[None] | None:
        """
        Every other call is over; the last that is told of it.

        @param cause: in words.
        """


class IPBXMedia(Interface):
    """The audio of one call: G.711, 8,000 samples in a second, an octet each."""

    codec: str = Attribute('str: "PCMA" (A-law) or "PCMU" (mu-law), as agreed; certain once it is answered')
    sending: bool = Attribute("bool: audio may be sent now: not before an answer, not while on hold")

    def play(frames: Iterable[bytes]) -> Deferred[bool]:
        """
        Send these frames, each in its time, from now on; what was played before is stopped.  While the
        call is on hold the playing waits.

        @param frames: usually of 160 octets, 20 ms; at most 1,280.  They may be made one by one while
            they are played.  What they raise ends the call, and the log names the plugin.
        @return: fires with C{True} when the last one is over; with C{False} when something else ended it:
            L{stop}, another C{play}, another codec, the end of the call.  Never fails.
        """

    def stop() -> None:
        """Stop what is played; nothing if nothing is."""

    def send(payload: bytes, marker: bool = False, timestamp: int | None = None) -> None:
        """
        Send one packet now: for audio that comes in its own time.  Lost where L{sending} is false.

        @param marker: the first after a silence.
        @param timestamp: of its first sample, in samples since any instant of yours; C{None} for now.
            What is sent without it, and what is played, count since the beginning of the call.
        """


class IMediaEndpoint(IMediaLeg, IPBXMedia):
    """An L{IMediaLeg} whose packets are made and taken in this process."""

    def attach(
        packetReceived: Callable[[AudioPacket], None],
        digitReceived: Callable[[str], None],
        failed: Callable[[], None],
    ) -> None:
        """
        Tell these of what comes in, until the leg is released.

        @param digitReceived: once for each key, C{0-9 * # A-D}.
        @param failed: called while an exception of what is played is handled.
        """

    def agreed(codec: str, payloadType: int, eventType: int | None) -> None:
        """
        What the SDP says; may be called again.

        @param eventType: the payload type of telephone-event (RFC 4733), if there is one.
        """


# Finding and verifying


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try; C{host} is a literal address, C{name} what it was found by."""

    host: str
    port: int
    name: str
    transport: str = "TLS"

    @property
    def address(self) -> tuple[str, str, int]:
        """What makes two of them one server, whatever they were found by: transport, host and port."""
        return self.transport, self.host, self.port


class ITargetLocator(Interface):
    """Where a SIP domain is (RFC 3263)."""

    def locate(domain: str, port: int | None = None) -> Deferred[Sequence[Target]]:
        """
        Targets in the order to try.

        @param port: from a URI that has one: then only addresses are looked up, no SRV records
            (RFC 3263 section 4.2).
        @raise NoTarget: (errback) no name server answered, or the domain offers nothing.
        """


class IIdentityPolicy(Interface):
    """Does this certificate prove this SIP domain (RFC 5922), and does it match the pins?"""

    def verify(chain: Sequence[bytes], domain: str) -> str:
        """
        @param chain: DER certificates, leaf first; the chain itself was verified before.
        @return: what proved it, for the evidence: C{"URI sip:carrier.example"}.
        @raise PeerNotVerified: any other exception denies as well.
        """


class IRevocationPolicy(Interface):
    """Was one of these certificates revoked?"""

    def check(chain: Sequence[bytes], stapled: bytes | None) -> Deferred[str]:
        """
        @param chain: DER certificates that are verified, leaf first, root last.
        @param stapled: the OCSP answer that came with the handshake, DER; empty without one, C{None} where
            none can come, as from clients.
        @return: fires with what was found, for the evidence; its canceller gives up.
        @raise PeerNotVerified: (errback) denies; any other exception denies as well.
        """


# Plugins


class IVendorPlugin(Interface):
    """
    What a module in C{twisted/plugins} has, beside C{twisted.plugin.IPlugin}: a name for the
    configuration, and a way to make what it is the name of.
    """

    name: str = Attribute("str: what C{[[plugin]]} calls it; no other plugin has it")

    def create(reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """
        Make the plugin's object, once for each trunk that names it, before anything listens.  It provides
        one or more of L{ICallPolicy}, L{ICallRecordSink}, L{IDialogObserver}, L{INumberPlan},
        L{IPBXDialect}, L{IPBX} and L{IMediaTaps}; where it provides C{twisted.application.service.IService}
        too, it is started and stopped with the trunk.

        @param settings: C{plugin.settings} of the configuration.
        @param directory: where the configuration is; paths in C{settings} are relative to it.
        @raise ConfigurationError: what is wrong with C{settings}; this, and all else, stops the start.
        """


class ICheckedPlugin(IVendorPlugin):
    """A plugin that can say what is wrong with its settings without making anything; nobody has to."""

    def check(settings: Mapping[str, object], directory: Path) -> None:
        """
        Look at C{settings}, for C{skypetrunk check}: a trunk with the same ones may be running, so read what
        they name at the most; make, write and connect to nothing.  At the start L{create} comes alone.

        @param settings: as of L{create}.
        @param directory: as of L{create}.
        @raise ConfigurationError: what is wrong, one line for each mistake.
        """
