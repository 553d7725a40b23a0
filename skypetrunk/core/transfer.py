"""
A transfer that we carry out (RFC 3515, RFC 5589): the call that it asks for, and two calls that become one.

The referrer asked for it, the transferee is on the other leg of its call, and the target is whom the
transferee is to talk to.  Until the target has answered the old call stands as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from skypetrunk.core.audio_stream import AudioStream, completed
from skypetrunk.core.exchange import Exchange
from skypetrunk.core.leg import Leg
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.session import description
from skypetrunk.core.session_refresh import Renewal
from skypetrunk.wire.message import Header, Response

if TYPE_CHECKING:
    from skypetrunk.core.transferable import Transferable

TRANSFERRED = "transferred"
"""The cause of a call's end, for people."""

REFERRER_SECONDS = 2.0
"""How long the referrer has to hang up by itself after the last NOTIFY (RFC 5589 section 6.1)."""


class Transfer:
    """
    One REFER whose call is being set up.

    @ivar refer: told how it goes.
    @ivar transferee: the leg that is to go on.
    """

    __slots__ = ("_call", "_old", "_taken", "refer", "transferee")

    def __init__(self, old: Transferable, call: Transferable, transferee: Leg, refer: ReferServer) -> None:
        """
        @param old: the call of referrer and transferee.
        @param call: that of transferee and target.
        """
        self.refer = refer
        self.transferee = transferee
        self._old = old
        self._call = call
        self._taken = False

    # The new call

    def earlyMedia(self) -> None:
        """The target is heard already: so is what comes from the transferee."""
        self._call.joinMedia(self.transferee)

    def succeeded(self, answer: AudioStream) -> None:
        """The target has answered."""
        self.refer.finish(200)
        self._take(hangUp=True)
        if _differ(answer, self.transferee):
            refresh = self.transferee.refresh
            refresh.renew(Renewal(answer, inFax=True, ifNews=refresh.offering))

    def failed(self, status: int) -> None:
        """There will be no such call: the old one goes on, if it still stands."""
        self.refer.finish(status)
        if self._taken:
            self.transferee.hangUp()
        else:
            self._old.transferFailed(self.transferee)

    # The old call

    def referrerLeft(self) -> None:
        """The referrer did not wait for the outcome."""
        self._take(hangUp=False)

    def abandon(self) -> None:
        """The old call ends, and this with it."""
        if not self._taken:
            self._call.hangUp("the call that was to be transferred ended")

    def _take(self, hangUp: bool) -> None:
        if not self._taken:
            self._taken = True
            self._old.release(self.transferee, hangUp)
            self._call.takeOver(self.transferee)


@dataclass(slots=True, kw_only=True)
class ReferredExchange(Exchange):
    """
    The INVITE to the target.  The transferee asked for nothing: the offer is what it said last, and what the
    target answers is offered to it afterwards, if it is anything else than it has now.
    """

    transfer: Transfer

    def progress(self, response: Response) -> bytes:
        """Early media of the target."""
        body = description(response)
        if body and self.answering is not None:
            self._hear(response.toAddress.tag or "", body)
            self.transfer.earlyMedia()
        return b""

    def _toAsking(self, stream: AudioStream) -> bytes:
        """The transferee is told later."""
        self._answer = stream
        return b""

    def tellProgress(self, status: int, body: bytes) -> None:
        """Nothing: one NOTIFY at the beginning and one at the end are enough (RFC 5359 section 2.4)."""

    def tellAccepted(self, body: bytes) -> None:
        """The transferee changes over."""
        assert self._answer is not None
        self.transfer.succeeded(self._answer)

    def refuse(self, status: int, headers: Sequence[Header] = ()) -> None:
        """NOTIFY of the failure."""
        self.transfer.failed(status)

    def withdrawn(self) -> None:
        """The transferee hung up."""
        self.transfer.refer.finish(487)


def referredExchange(transfer: Transfer, ringing: Exchange | None = None) -> ReferredExchange:
    """
    The exchange of C{transfer}.

    @param ringing: the one that the referrer has begun already, whose place it takes.
    """
    transferee = transfer.transferee
    heard = transferee.session.heard
    assert heard is not None  # its call was answered
    exchange = ReferredExchange(asking=transferee, server=None, transfer=transfer)
    exchange._offer = replace(heard, direction="sendrecv")
    if ringing is not None:
        exchange.answering = ringing.answering
        assert ringing._offer is not None
        exchange._offer, exchange._answer = replace(ringing._offer, direction="sendrecv"), ringing._answer
        # It may have called as if on hold, or have said something else since.
        exchange._reoffered = ringing._reoffered or exchange._offer != ringing._offer
        exchange._branches, exchange._settledBy = ringing._branches, ringing._settledBy
        exchange._updates = ringing._updates
    return exchange


@dataclass(slots=True, kw_only=True)
class ReplacingExchange(Exchange):
    """
    An INVITE with Replaces (RFC 3891): for the other leg a re-INVITE; when that is accepted, the asking leg
    takes the place of the one it replaces.

    @ivar replaced: the leg that goes.
    @ivar swap: makes the change.
    """

    replaced: Leg
    swap: Callable[[Leg, Leg], None]

    def tellAccepted(self, body: bytes) -> None:
        """200, and the change."""
        assert self.server is not None
        self.asking.accept(self.server, body)
        self.swap(self.replaced, self.asking)

    def refuse(self, status: int, headers: Sequence[Header] = ()) -> None:
        """The call stays as it was."""
        assert self.server is not None
        self.asking.refuse(self.server, status, headers)
        self.withdrawn()

    def withdrawn(self) -> None:
        """It was taken back, or the call has ended; after our 2xx it is one of the call's two."""
        if self.success is None:
            self.asking.session.media.release()
            self.asking.hangUp()


def agree(one: Leg, other: Leg) -> None:
    """
    Two legs of two calls have become one call: each is offered what the other can do (RFC 3725 flow I, within
    dialogs).  What one of them refuses stays as it was.
    """

    def answered(stream: AudioStream | None) -> None:
        if stream is not None and _differ(stream, other):
            other.refresh.renew(Renewal(replace(stream, direction="sendrecv"), inFax=True))

    heard = other.session.heard
    if heard is not None:
        one.refresh.renew(Renewal(replace(heard, direction="sendrecv"), inFax=True, done=answered))


def _differ(stream: AudioStream, leg: Leg) -> bool:
    """Is C{stream} another one than what C{leg} was told last, or is about to be told?"""
    said = leg.session.said
    if leg.refresh.offering or said is None or stream.direction != said.direction:
        return True
    codecs = completed(stream, said).codecs, completed(said, stream).codecs
    return [*codecs[0].values()] != [*codecs[1].values()]


__all__ = [
    "TRANSFERRED",
    "ReferredExchange",
    "ReplacingExchange",
    "Transfer",
    "agree",
    "referredExchange",
]
