"""The callee's side of a call (RFC 3261 section 13.3)."""

from __future__ import annotations

from skypetrunk.errors import RemoteError
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.lab.calls import OWN, Call, Phase, refusal
from skypetrunk.lab.dialog import Dialog
from skypetrunk.wire.message import Header, Request, responseTo

__all__ = ["IncomingCall"]


class IncomingCall(Call):
    """
    A call that came in: the callee's side.

    @ivar clear: answer without SRTP, as no carrier should.
    """

    incoming = True
    clear = False

    def received(self, transaction: IServerTransaction, tag: str, contact: str) -> None:
        """The INVITE that began it."""
        self._transaction = transaction
        self._dialog = Dialog.ofRequest(
            transaction.request, transaction.channel, tag, contact, self.abilities.allow
        )
        self._sequence = 0
        self._hangingUp = False
        self._description = b""

    @property
    def key(self) -> tuple[str, str | None]:
        """What requests within this dialog have: Call-ID, and our tag."""
        return self._dialog.callID, self._dialog.local.tag

    def isOf(self, transaction: IServerTransaction) -> bool:
        """Did this INVITE begin the call?"""
        return self._transaction is transaction

    def ring(self) -> None:
        """180."""
        if self.phase is Phase.CALLING:
            self._provisional(180, b"")

    def playEarly(self) -> None:
        """183 with a description, and media before the answer (RFC 3960)."""
        if self.phase in (Phase.CALLING, Phase.RINGING) and self.prepare():
            self._provisional(183, self._description)
            assert self.session is not None
            self.session.start()

    def answer(self) -> None:
        """200, again and again until its ACK comes (RFC 3261 section 13.3.1.4)."""
        if self.phase in (Phase.CALLING, Phase.RINGING) and self.prepare():
            assert self.session is not None
            self.status = 200
            self._accept(self._transaction, self._description, late=not self._transaction.request.body)
            self._become(Phase.ANSWERED)
            self.session.start()

    def refuse(
        self, status: int, cause: str, reason: str | None = None, more: tuple[Header, ...] = ()
    ) -> None:
        """
        A final answer that is no.

        @param more: headers of it.
        """
        if self.phase in (Phase.CALLING, Phase.RINGING):
            request, tag = self._transaction.request, self._dialog.local.tag
            self._transaction.respond(responseTo(request, status, reason, (*more, *OWN), toTag=tag))
            self._end(cause, status)

    def cancelled(self) -> None:
        """CANCEL came in time; it was answered already (section 9.2)."""
        self.refuse(487, "cancelled by the caller")

    def transactionFailed(self, reason: Exception) -> None:
        """The INVITE's transaction could not deliver our answer."""
        self._end(f"the answer could not be delivered: {reason}", 500)

    def hangUp(self) -> None:
        """Decline, or BYE; before the ACK, BYE waits for it (section 15)."""
        if self.phase is not Phase.ANSWERED:
            self.refuse(603, "declined")
        elif self._accepted is not None:
            self._hangingUp = True
        else:
            self._bye("hung up")

    def _confirmed(self) -> None:
        if self._hangingUp:
            self._bye("hung up")

    def _provisional(self, status: int, body: bytes) -> None:
        request = self._transaction.request
        headers = [Header("Contact", self._dialog.contact), *self.abilities.able, *self._reliably()]
        tag = self._dialog.local.tag
        response = responseTo(request, status, None, headers, b"", tag, recordRoute=True)
        self._transaction.respond(response.withBody(body, "application/sdp") if body else response)
        self._become(Phase.RINGING)

    def _reliably(self) -> tuple[Header, ...]:
        """RFC 3262 section 3, sent once: the lab's connections lose nothing."""
        request = self._transaction.request
        options = {each.lower() for name in ("Supported", "Require") for each in request.values(name)}
        if "PRACK" not in self.abilities.methods or "100rel" not in options:
            return ()
        self._sequence += 1
        return (Header("Require", "100rel"), Header("RSeq", str(self._sequence)))

    def provisionalAcknowledged(self, prack: Request) -> bool:
        """Is it that of our last one?"""
        wanted = [str(self._sequence), str(self._transaction.request.cseq.number), "INVITE"]
        return bool(self._sequence) and (prack.header("RAck") or "").split() == wanted

    def prepare(self) -> bool:
        """Make our description, the same for 183 and 200; an offer that cannot be answered is refused."""
        assert self.session is not None
        request = self._transaction.request
        try:
            if not self._description:
                body = request.body
                self._description = self.session.answer(body, self.clear) if body else self.session.offer()
        except RemoteError as error:
            response = refusal(request, error)
            self.refuse(response.status, str(error))
            return False
        return True
