"""
One INVITE on its way across the bridge, with its offer and answer (RFC 3264, RFC 6337 patterns 1 and 2).

The two legs are named by what they do here: the asking one received the INVITE, the answering one
sends it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from skypetrunk.core.audio_stream import AudioStream, alike, within
from skypetrunk.core.fax_stream import FaxStream
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg import Leg
from skypetrunk.core.session import description
from skypetrunk.core.session_refresh import Renewal
from skypetrunk.core.sides import Side
from skypetrunk.core.update import UpdateServer
from skypetrunk.errors import RemoteError
from skypetrunk.wire.message import Header, Request, Response


@dataclass(slots=True)
class Exchange:
    """
    Each method raises L{RemoteError} for a description that cannot be taken.

    @ivar late: the INVITE has no offer; that comes in the 2xx, the answer in the ACK.
    @ivar success: the 2xx whose ACK waits for the asking side's answer.
    @ivar renewal: what the asking side is to be offered after its ACK: the branch that answered wants
        another stream than the early media had, and an answer once given stays (RFC 3261 section 13.2.1).
    @ivar answeringRenewal: what the answering side is to be offered then: the asking one has changed its
        stream since, or more than one branch has our key.
    """

    asking: Leg
    server: InviteServer | UpdateServer | None
    answering: Leg | None = None
    late: bool = False
    success: Response | None = None
    renewal: Renewal | None = None
    answeringRenewal: Renewal | None = None
    _offer: AudioStream | None = None
    _answer: AudioStream | None = None
    _branches: dict[str, bytes] = field(default_factory=dict, repr=False)
    _secured: set[str] = field(default_factory=set)
    _shown: tuple[AudioStream, bytes] | None = field(default=None, repr=False)
    _reoffered: bool = False
    _settledBy: str | None = None
    _updates: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def fax(self) -> bool:
        """Does it offer T.38?"""
        return isinstance(self._offer, FaxStream)

    def receiveOffer(self) -> None:
        """Read the INVITE's offer, if it has one."""
        assert self.server is not None
        body = description(self.server.request)
        self.late = not body
        if body:
            self._offer = self.asking.session.offerReceived(body)

    def check(self, side: Side) -> None:
        """
        May C{side} have the offer?

        @raise MalformedSDP: none of its codecs.
        """
        if self._offer is not None:
            side.choice.toPeer(self._offer)

    def sendTo(self, answering: Leg) -> bytes:
        """C{answering} is to send the INVITE on; what was answered by another one counts no more."""
        self.answering = answering
        self._answer = self._settledBy = None
        self._reoffered = False
        self._branches.clear()
        self._updates.clear()
        self._secured.clear()
        return b"" if self._offer is None else answering.session.makeOffer(self._offer)

    def progress(self, response: Response) -> bytes:
        """
        The description to go with a provisional response: early media, or none.  Media follows the branch
        that spoke last (RFC 3960 section 3.2), what the asking side is told stays as it was first.
        """
        body, tag = description(response), response.toAddress.tag or ""
        if body and self._settledBy not in (None, tag):
            # It may be the one that answers, and say this only here.
            self._branches[tag] = body
        if not body or self.late or self.answering is None or self._settledBy is not None:
            return b""
        self._hear(tag, body)
        assert self._answer is not None
        if self._shown is None:
            self._shown = self._answer, self.asking.session.makeAnswer(self._answer)
        return self._shown[1]

    def accept(self, response: Response) -> bytes:
        """The description of our 2xx.  Unless the offer is late, the exchange is over with it."""
        assert self.answering is not None
        if self.late:
            self._offer = self.answering.session.offerReceived(description(response))
            offer = self.asking.session.makeOffer(self._offer)
            self.success = response
            return offer
        answer = self._toAsking(self._answered(response))
        self.answering.session.answered()
        self._agreed(self.answering)
        return answer

    def _agreed(self, answering: Leg) -> None:
        """What waits to be offered to one of the two is older than this."""
        if not self.fax:
            self.asking.refresh.superseded()
            answering.refresh.superseded()

    def _toAsking(self, stream: AudioStream) -> bytes:
        """The final answer for the asking side; one that was given before stays."""
        if self._shown is None:
            answer = self.asking.session.makeAnswer(stream)
        else:
            shown, answer = self._shown
            assert self._offer is not None
            if not alike(within(stream, self._offer), within(shown, self._offer)):
                assert self.answering is not None
                self.renewal = _changed(stream, self.answering)
        self.asking.session.answerSent()
        return answer

    def pickedUp(self, leg: Leg, body: bytes) -> tuple[bytes, bytes]:
        """
        Somebody else takes the call with an INVITE of its own, so that both sides offer.

        @param leg: that one's.
        @param body: its offer.
        @return: the answers, for C{leg} and for the asking side.
        @raise RemoteError: it cannot be taken.
        """
        if self._offer is None or not body:
            raise RemoteError("wanted offers of both sides", 488)
        offered = leg.session.offerReceived(body)
        answer = leg.session.makeAnswer(self._offer)
        leg.session.answerSent()
        return answer, self._toAsking(offered)

    def _hear(self, tag: str, body: bytes) -> None:
        """The answer of one branch.  One that has agreed on SRTP is held to it."""
        assert self.answering is not None
        session = self.answering.session
        self._answer = session.answerReceived(body, tag in self._secured)
        self._branches[tag] = body
        if session.secure:
            self._secured.add(tag)

    def _answered(self, response: Response) -> AudioStream:
        """
        What the 2xx answers, or its branch has answered before.

        @raise RemoteError: nothing, or nothing that can be taken.
        """
        assert self.answering is not None
        tag = response.toAddress.tag or ""
        body = description(response) or self._branches.get(tag, b"")
        if tag in self._updates:
            # What it has offered since stands, though another branch may have offered after it.
            if tag != self._settledBy and self._offer is not None:
                self._answer, _ = _answered(self.answering, self._updates[tag], self._offer)
        elif body:
            self._hear(tag, body)
        if self._answer is None:
            raise RemoteError("the 2xx holds no answer", 502)
        forked = self.answering.session.secure and len(self._branches) > 1
        # Every branch that answered has our key (RFC 4568 section 7.3), and only one is to hear us.
        if self._offer is not None and self._reoffered:
            self.answeringRenewal = _changed(self._offer, self.asking, forked)
        elif self._offer is not None and forked:
            self.answeringRenewal = Renewal(self._offer, freshKey=True)
        return self._answer

    # What the asking side is told

    def tellProgress(self, status: int, body: bytes) -> None:
        """A provisional response."""
        assert self.server is not None
        self.asking.progress(self.server, status, body)

    def tellAccepted(self, body: bytes) -> None:
        """The 2xx."""
        assert self.server is not None
        self.asking.accept(self.server, body)

    def refuse(self, status: int, headers: Sequence[Header] = ()) -> None:
        """Another final response: what stood before stands."""
        assert self.server is not None
        self.asking.session.forget()
        self.asking.refuse(self.server, status, headers)

    def withdrawn(self) -> None:
        """The asking side took it back, or the call has ended."""

    def reoffered(self, leg: Leg, body: bytes, tag: str) -> bytes:
        """
        Our answer to an offer that came before the call is answered, on one leg.  What it changes for the
        other one is renewed there after the answer.

        @param tag: of the branch that it came from, on the answering leg.
        """
        known = self._offer if self._shown is None or leg is not self.asking else self._shown[0]
        if known is None or (leg is self.asking and self._shown is None):
            raise RemoteError("an offer while another one has no answer", 491)
        offer, answer = _answered(leg, body, known)
        if leg is self.asking:
            self._offer, self._reoffered = offer, True
        else:
            self._answer, self._settledBy = offer, tag
            self._updates[tag] = body
        return answer

    def acknowledge(self, ack: Request) -> bytes:
        """The answer for the ACK of the 2xx that held the offer; the exchange is over with it."""
        assert self.answering is not None
        answer = self.answering.session.makeAnswer(self.asking.session.answerReceived(description(ack)))
        self.asking.session.answered()
        self.answering.session.answerSent()
        self._agreed(self.answering)
        return answer


def reofferedLate(leg: Leg, other: Leg, body: bytes) -> bytes:
    """
    Our answer to an offer of C{leg} that came after the exchange was over; C{other} is offered it next.

    @raise RemoteError: it cannot be taken.
    """
    known = other.session.heard
    if known is None:
        raise RemoteError("an offer while another one has no answer", 491)
    offer, answer = _answered(leg, body, known)
    other.refresh.renew(_changed(offer, leg))
    return answer


def _changed(stream: AudioStream, leg: Leg, freshKey: bool = False) -> Renewal:
    """
    An offer of C{stream}, which C{leg} has said before the other side could answer it; if that answers
    something else than C{leg} was told it hears of that.
    """

    def answered(answer: AudioStream | None) -> None:
        if answer is not None:
            leg.refresh.tell(answer)

    return Renewal(stream, freshKey, done=answered)


def _answered(leg: Leg, body: bytes, known: AudioStream) -> tuple[AudioStream, bytes]:
    """
    An offer of C{leg}, and our answer to it, which is C{known} of the other side.

    @raise RemoteError: it cannot be taken.
    """
    try:
        offer = leg.session.offerReceived(body)
        answer = leg.session.makeAnswer(known)
    except RemoteError:
        leg.session.refused()
        raise
    leg.session.answerSent()
    return offer, answer
