"""
Offers that a leg makes of its own, and that never cross: refreshes of its session (RFC 4028), and renewals
that tell the peer what the other side has come to want.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from skypetrunk.core.audio_stream import AudioStream
from skypetrunk.core.fax_stream import FaxStream
from skypetrunk.core.invite_client import InviteClient
from skypetrunk.core.leg_owner import Workshop
from skypetrunk.core.session import Session, description
from skypetrunk.core.session_timer import RETRY_SECONDS, SessionTimer
from skypetrunk.core.sides import Side
from skypetrunk.core.timers import glareDelay
from skypetrunk.core.update import UpdateClient
from skypetrunk.errors import MalformedSDP, RemoteError
from skypetrunk.wire.message import Response

GLARES = 5
"""How often a renewal that meets the peer's own change is tried again."""

NOT_TAKEN = (405, 501)
"""Refusals of an UPDATE that say that none is taken (RFC 3261 sections 21.4.6 and 21.5.2)."""

Client = InviteClient | UpdateClient


@dataclass(frozen=True, slots=True)
class Renewal:
    """
    What a peer is to be offered, as soon as its leg is free.

    @ivar stream: the audio.
    @ivar freshKey: with a new key of ours: more than one party has the one in use.
    @ivar inFax: it ends a fax, as the other side has sound; else sound is offered when the fax has ended.
    @ivar ifNews: not if the peer was told the same meanwhile, by what is under way now.
    @ivar done: told what the peer answered; C{None}: it refused, and what stood before stands.
    """

    stream: AudioStream
    freshKey: bool = False
    inFax: bool = False
    ifNews: bool = False
    done: Callable[[AudioStream | None], None] = lambda answer: None


class RefreshedLeg(Protocol):
    """The leg whose session it is."""

    session: Session
    side: Side

    @property
    def free(self) -> bool:
        """The session is established, and no INVITE, UPDATE or ACK is awaited in either direction."""

    def reinvite(self, body: bytes) -> InviteClient:
        """Send a re-INVITE."""

    def update(self, body: bytes) -> UpdateClient:
        """Send an UPDATE."""

    def allows(self, method: str) -> bool:
        """Does the peer say that it takes this method?"""

    def acknowledge(self, response: Response, body: bytes = b"") -> None:
        """Send the ACK of a 2xx, where it wants one."""

    def giveUp(self, cause: str) -> None:
        """End the leg, and with it the call."""


class SessionRefresh:
    """
    The own offers of one leg.

    @ivar timer: the session timer.
    @ivar active: what the leg has sent last, and waits for, is an offer of its own.
    """

    __slots__ = (
        "_byInvite",
        "_glares",
        "_later",
        "_leg",
        "_sent",
        "_stopped",
        "_updating",
        "_waiting",
        "_wanted",
        "_workshop",
        "active",
        "timer",
    )

    def __init__(self, leg: RefreshedLeg, workshop: Workshop) -> None:
        self.timer = SessionTimer(self, workshop.clock, leg.side.sessionExpires, leg.side.leastExpires)
        # The leg has us: each would keep the other until the garbage collector comes.
        self._leg: RefreshedLeg = weakref.proxy(leg)
        self._workshop = workshop
        self.active = False
        self._waiting: Renewal | None = None
        self._sent: Renewal | None = None
        self._later: IDelayedCall | None = None
        self._glares = 0
        self._wanted = False
        self._stopped = False
        self._updating = self._byInvite = False

    # SessionTimerUser

    def sessionRefreshDue(self) -> None:
        """
        L{SessionTimer}: an UPDATE without description where the peer takes that, else an INVITE with the
        one that stands (RFC 4028 section 7.4).  Some say that they take UPDATE, and refuse it.
        """
        leg = self._leg
        if not leg.free:
            self.timer.postpone(RETRY_SECONDS)
            return
        # Before it is sent: where nothing can be reached it has failed at once.
        self.active = True
        if leg.allows("UPDATE") and not self._byInvite:
            self._updating = True
            leg.update(b"")
        else:
            leg.reinvite(leg.session.repeatOffer())

    def refreshSoon(self) -> None:
        """The peer is to hear of us as soon as the leg is free, whatever the timer says."""
        self._wanted = True
        self.proceed()

    def sessionExpired(self) -> None:
        """L{SessionTimer}: the session ends with BYE (RFC 4028 section 10)."""
        self._leg.giveUp("the session was not refreshed")

    # Renewals

    def renew(self, renewal: Renewal) -> None:
        """Offer this as soon as the leg is free, instead of what has waited for that."""
        self._replace(renewal)
        self._glares = 0
        self.proceed()

    def _replace(self, renewal: Renewal | None) -> None:
        """Nothing older waits any more; but who is not to have our key has it still."""
        before, self._waiting = self._waiting, renewal
        if before is None:
            return
        said = self._leg.session.said
        if before.freshKey and renewal is not None:
            self._waiting = replace(renewal, freshKey=True)
        elif before.freshKey and said is not None:
            self._waiting = Renewal(said, freshKey=True)
        before.done(None)

    def superseded(self) -> None:
        """Both sides have agreed on something newer than what waits."""
        self._replace(None)

    @property
    def offering(self) -> bool:
        """Something is to be offered, or was, and has no answer: what stands will not stand for long."""
        return self._sent is not None or self._waiting is not None

    def tell(self, stream: AudioStream) -> None:
        """The peer is to know of C{stream}, if it was not told so already."""
        if self.offering or self._leg.session.isNews(stream):
            self.renew(Renewal(stream, ifNews=True))

    def rekey(self) -> bool:
        """
        Offer what stands with a new key of ours.

        @return: false where the leg has anything else to do, which is not put off for that.
        """
        said = self._leg.session.said
        if said is None or self.active or self._waiting is not None or not self._leg.free:
            return False
        if self._leg.session.fax:
            # It has no key: sound gets the new one.
            return False
        self.renew(Renewal(said, freshKey=True))
        return True

    def restore(self, stream: AudioStream) -> None:
        """Offer again what stood before a change that came to nothing, unless something newer waits."""
        if self._waiting is None:
            self.renew(Renewal(stream))

    def proceed(self) -> None:
        """The leg may be free: begin what waits for that."""
        if self._later is not None or self.active or self._stopped or not self._leg.free:
            return
        if self._waiting is not None and self._isKnown(self._waiting):
            self._waiting = None
        if self._waiting is None or self._isForLater(self._waiting):
            if self._wanted:
                self._wanted = False
                self.sessionRefreshDue()
            return
        self._wanted = False
        wanted, self._waiting = self._waiting, None
        try:
            if isinstance(wanted.stream, FaxStream) and not self._leg.session.fax:
                raise MalformedSDP("the fax has ended meanwhile")
            offer = self._leg.session.makeOffer(wanted.stream, wanted.freshKey)
        except MalformedSDP:
            # The peer may have none of its codecs, as after a refusal.
            self._cameToNothing(wanted)
            return
        self._sent, self.active = wanted, True
        self._leg.reinvite(offer)

    def _isKnown(self, renewal: Renewal) -> bool:
        session = self._leg.session
        optional = renewal.ifNews and not renewal.freshKey and not session.fax
        return optional and not session.isNews(renewal.stream)

    def _isForLater(self, renewal: Renewal) -> bool:
        """Sound that was to be renewed before a fax began, on both legs."""
        return self._leg.session.fax and not renewal.inFax and not isinstance(renewal.stream, FaxStream)

    def _cameToNothing(self, renewal: Renewal) -> None:
        renewal.done(None)
        session = self._leg.session
        fax = session.fax and isinstance(renewal.stream, FaxStream)
        if session.faxing != fax and not self._stopped:
            # The other leg has what was offered: nothing would cross any more.
            theirs = "T.38 any more, which the other side has"
            self._leg.giveUp(f"no {theirs if fax else 'sound after T.38, which the other side has not'}")

    def _again(self) -> None:
        self._later = None
        self.proceed()

    # What became of it

    def accepted(self, client: Client, response: Response) -> None:
        """The peer took it."""
        sent, self._sent = self._sent, None
        self._updating = False
        self._leg.acknowledge(response)
        answer = None
        if isinstance(client, InviteClient):
            try:
                answer = self._leg.session.answerReceived(description(response))
                self._leg.session.answered()
            except RemoteError as error:
                self._leg.giveUp(f"the refresh was answered with {error}")
                return
        self.active = False
        if sent is not None:
            sent.done(answer)
        self.proceed()

    def failed(self, status: int, ours: bool) -> None:
        """
        The peer did not take it.

        @param ours: the call is one that we placed: then the peer's retry is the earlier one.
        """
        sent, self._sent, self.active = self._sent, None, False
        updating, self._updating = self._updating, False
        self._byInvite = self._byInvite or (updating and status != 491)
        if status in (408, 481):
            # RFC 4028 section 10, RFC 3261 section 12.2.1.2: the dialog is gone.
            self._leg.giveUp(f"the refresh was answered {status}")
            return
        delay = RETRY_SECONDS
        if status == 491:
            chance = int.from_bytes(self._workshop.entropy(2), "big")
            delay = glareDelay(ours, chance)
        if sent is None and updating and status in NOT_TAKEN:
            self._wanted = True
        elif sent is None:
            self.timer.postpone(delay)
        elif status == 491 and self._waiting is None and self._glares < GLARES:
            self._glares += 1
            self._waiting = sent
        else:
            # The peer keeps what it has; what it hears of another codec is its own affair.
            self._cameToNothing(sent)
        if status == 491 and self._waiting is not None and self._later is None:
            self._later = self._workshop.clock.callLater(delay, self._again)
        self.proceed()

    def stop(self) -> None:
        """The leg ends: nothing of it changes anything any more."""
        self.timer.stop()
        self._stopped, self.active = True, False
        self._waiting = self._sent = None
        self._wanted = False
        if self._later is not None:
            self._later.cancel()
            self._later = None


__all__ = ["Client", "RefreshedLeg", "Renewal", "SessionRefresh"]
