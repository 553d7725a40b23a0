"""
One INVITE on its way across the bridge, with its offer and answer (RFC 3264, RFC 6337 patterns 1 and 2).

The two legs are named by what they do here: the asking one received the INVITE, the answering one
sends it on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.leg import Leg
from skypetrunk.core.session import AudioStream, description
from skypetrunk.errors import RemoteError
from skypetrunk.wire.message import Request, Response


@dataclass(slots=True)
class Exchange:
    """
    Each method raises L{RemoteError} for a description that cannot be taken.

    @ivar late: the INVITE has no offer; that comes in the 2xx, the answer in the ACK.
    @ivar success: the 2xx whose ACK waits for the asking side's answer.
    @ivar renewal: what the asking side is to be offered after its ACK: the branch that answered wants
        another stream than the early media had, and an answer once given stays (RFC 3261 section 13.2.1).
    """

    asking: Leg
    server: InviteServer
    answering: Leg | None = None
    late: bool = False
    success: Response | None = None
    renewal: AudioStream | None = None
    _offer: AudioStream | None = None
    _answer: AudioStream | None = None
    _branches: dict[str, bytes] = field(default_factory=dict, repr=False)
    _shown: tuple[AudioStream, bytes] | None = field(default=None, repr=False)

    def receiveOffer(self) -> None:
        """Read the INVITE's offer, if it has one."""
        body = description(self.server.request)
        self.late = not body
        if body:
            self._offer = self.asking.session.offerReceived(body)

    def sendTo(self, answering: Leg) -> bytes:
        """C{answering} is to send the INVITE on; what was answered by another one counts no more."""
        self.answering = answering
        self._answer = None
        self._branches.clear()
        return b"" if self._offer is None else answering.session.makeOffer(self._offer)

    def progress(self, response: Response) -> bytes:
        """
        The description to go with a provisional response: early media, or none.  Media follows the branch
        that spoke last (RFC 3960 section 3.2), what the asking side is told stays as it was first.
        """
        body = description(response)
        if not body or self.late or self.answering is None:
            return b""
        self._answer = self.answering.session.answerReceived(body)
        self._branches[response.toAddress.tag or ""] = body
        if self._shown is None:
            self._shown = self._answer, self.asking.session.makeAnswer(self._answer)
        return self._shown[1]

    def accept(self, response: Response) -> bytes:
        """The description of our 2xx.  Unless the offer is late, the exchange is over with it."""
        assert self.answering is not None
        body = description(response)
        if not body and not self.late:
            body = self._branches.get(response.toAddress.tag or "", b"")
        if self.late:
            offer = self.asking.session.makeOffer(self.answering.session.offerReceived(body))
            self.success = response
            return offer
        if body:
            self._answer = self.answering.session.answerReceived(body)
        if self._answer is None:
            raise RemoteError("the 2xx holds no answer", 502)
        if self._shown is None:
            answer = self.asking.session.makeAnswer(self._answer)
        else:
            stream, answer = self._shown
            if self._answer != stream:
                self.renewal = self._answer
        self.answering.session.answered()
        self.asking.session.answerSent()
        return answer

    def acknowledge(self, ack: Request) -> bytes:
        """The answer for the ACK of the 2xx that held the offer; the exchange is over with it."""
        assert self.answering is not None
        answer = self.answering.session.makeAnswer(self.asking.session.answerReceived(description(ack)))
        self.asking.session.answered()
        self.answering.session.answerSent()
        return answer
