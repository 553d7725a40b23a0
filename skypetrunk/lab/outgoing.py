"""The caller's side of a call (RFC 3261 section 13.2)."""

from __future__ import annotations

from zope.interface import implementer

from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import IClientTransaction, IClientTransactionUser
from skypetrunk.lab.calls import Call, Ignored, Phase
from skypetrunk.lab.dialog import Dialog
from skypetrunk.lab.session import AudioSession
from skypetrunk.wire.message import Header, Request, Response

__all__ = ["OutgoingCall"]


@implementer(IClientTransactionUser)
class OutgoingCall(Call):
    """A call that was placed: the caller's side."""

    incoming = False

    def begin(self, dialog: Dialog, session: AudioSession, extra: tuple[Header, ...] = ()) -> None:
        """Send the INVITE."""
        self.session = session
        self._dialog = dialog
        self._cancelled = False
        self._acknowledged: dict[str | None, Request] = {}
        request = dialog.request("INVITE", session.offer(), extra=(*extra, *self._timer.asks()))
        self._number = request.cseq.number
        self._transaction = self._transactions.sendRequest(request, dialog.channel, self)

    @property
    def key(self) -> tuple[str, str | None]:
        """What requests within this dialog have: Call-ID, and our tag."""
        return self._dialog.callID, self._dialog.local.tag

    def hangUp(self) -> None:
        """CANCEL or BYE."""
        if self.phase is Phase.ANSWERED:
            self._bye("hung up")
        elif self.phase is not Phase.ENDED and not self._cancelled:
            self._cancelled = True
            self._transaction.cancel()

    # IClientTransactionUser, of the INVITE

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """A response to the INVITE."""
        if response.status < 200:
            self._progress(response)
        elif response.status < 300:
            self._success(response)
        else:
            cause = "cancelled" if self._cancelled else f"{response.status} {response.reason}"
            self._end(cause, response.status)

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Nobody answered."""
        self._end("no answer to INVITE", 408)

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The way there broke."""
        self._end(f"INVITE could not be delivered: {reason}", 503)

    def _progress(self, response: Response) -> None:
        if response.status == 100 or self.session is None or self._cancelled:
            return
        if response.body and self.session.peer is None:
            try:
                self.session.answered(response.body)
            except RemoteError as error:
                self.log.info("call {call}: early answer is not usable: {error}", call=self.name, error=error)
            else:
                self.session.start()
        self._become(Phase.RINGING)

    def _success(self, response: Response) -> None:
        tag = response.toAddress.tag
        if tag in self._acknowledged:
            # RFC 3261 section 13.2.2.4: the same ACK for each retransmission
            self._transactions.sendAck(self._acknowledged[tag], self._dialog.channel)
            return
        if self._acknowledged or self.phase is Phase.ENDED or self._cancelled:
            self._unwanted(response)
            return
        self._dialog.answered(response)
        self._timer.answered(response)
        self._acknowledge(tag, self._dialog)
        assert self.session is not None
        self.status = response.status
        self._become(Phase.ANSWERED)
        self._try(lambda session: session.answered(response.body))
        if self.phase is Phase.ANSWERED:
            self.session.start()

    def _acknowledge(self, tag: str | None, dialog: Dialog) -> None:
        ack = dialog.request("ACK", number=self._number)
        self._acknowledged[tag] = self._transactions.sendAck(ack, dialog.channel)

    def _unwanted(self, response: Response) -> None:
        """A forked 2xx, or one that crossed our CANCEL: ACK, then BYE."""
        ours = self._dialog
        other = Dialog(
            ours.callID, ours.local, ours.remote, ours.target, ours.contact, ours.channel, sent=self._number
        )
        other.answered(response)
        self._acknowledge(response.toAddress.tag, other)
        self._transactions.sendRequest(other.request("BYE"), other.channel, Ignored())
        if self.phase is not Phase.ANSWERED:
            self._end("cancelled", 487)
