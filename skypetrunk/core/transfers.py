"""
What becomes of a REFER: refused, passed to the other side, or carried out here (RFC 3515, RFC 5589).  A
transferred call is a new call: the same checks stand before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.logger import Logger

from skypetrunk.core.answers import NO_CIRCUIT, across, reasonHeader, refusalHeaders
from skypetrunk.core.bridge import Bridge
from skypetrunk.core.emergency import isEmergencyURI, numberNamed
from skypetrunk.core.identity import Caller
from skypetrunk.core.leg import Leg
from skypetrunk.core.redirection import isOurs
from skypetrunk.core.refer import ReferServer
from skypetrunk.core.replacing import Replacing
from skypetrunk.core.sides import PASS, REFUSE, PBXSide, Side
from skypetrunk.core.transfer import Transfer, referredExchange
from skypetrunk.core.transferable import Transferable
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallRequest, INumberPlan
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Response
from skypetrunk.wire.replaces import Replaces
from skypetrunk.wire.uri import SIPURI, URI


class Calls(Protocol):
    """What a transfer needs of the dialog manager."""

    def destinations(self, source: Side, called: str) -> Sequence[Side]:
        """Where a call from C{source} may go."""

    def refusal(self, side: Side, asked: CallRequest) -> CallRefused | None:
        """Why there is no room for this call."""

    def newCall(
        self, asked: CallRequest, caller: Caller, source: Side, destinations: Sequence[Side]
    ) -> Bridge:
        """A call that is begun."""

    def emergencyRefused(self, side: Side) -> None:
        """A transfer to an emergency number was refused."""


class Transfers:
    """The transfers of one process."""

    _log = Logger()

    def __init__(
        self, calls: Calls, numbers: INumberPlan, token: Callable[[], str], replacing: Replacing
    ) -> None:
        """
        @param token: makes random text for the names of calls.
        """
        self._calls = calls
        self._numbers = numbers
        self._token = token
        self._replacing = replacing

    def referred(self, call: Transferable, referrer: Leg, transferee: Leg, refer: ReferServer) -> None:
        """A REFER on one leg of C{call}."""
        target = refer.referral.target.uri
        called = referrer.side.readNumber(numberNamed(target))
        if isEmergencyURI(target, self._numbers) or self._numbers.isEmergency(called):
            # Before any rewriting or policy: an emergency call never goes to a trunk.
            self._calls.emergencyRefused(referrer.side)
            refer.refuse(503, [reasonHeader(NO_CIRCUIT, "emergency numbers never leave by this trunk")])
            return
        policy = referrer.side.ownTransfer if referrer.side.secure else transferee.side.transfer
        self._log.info(
            "{call}: {side} transfers to {target}: {policy}",
            call=call.request.call,
            side=referrer.side.name,
            target=called,
            policy=policy,
        )
        if policy == REFUSE:
            refer.refuse(603)
        elif transferee.session.fax:
            # Whom it goes to would have to be a fax, too.
            refer.refuse(488)
        elif policy == PASS:
            self._pass(referrer, transferee, refer, called)
        else:
            self._takeOver(call, referrer, transferee, refer, called)

    # Pass

    def _pass(self, referrer: Leg, transferee: Leg, refer: ReferServer, called: str) -> None:
        target = self._translated(referrer, transferee, refer, called)
        if target is None:
            refer.refuse(481)
            return
        refusal = transferee.refusalOfRefer()
        if refusal is not None:
            self._log.warn("{side}: {reason}", side=referrer.side.name, reason=str(refusal))
            refer.refuse(refusal.status or 480, refusalHeaders(refusal))
            return
        toPBX = isinstance(referrer.side, PBXSide)

        def answered(status: int, response: Response | None) -> None:
            if status < 300:
                refer.acceptForOther()
            else:
                answer = across(status, response, toPBX, invite=False)
                refer.refuse(answer.status, answer.headers)

        def notified(status: int) -> None:
            if status < 200:
                refer.progress(status)
            else:
                refer.finish(status)

        transferee.refer(str(target), answered, notified)

    def _translated(
        self, referrer: Leg, transferee: Leg, refer: ReferServer, called: str
    ) -> NameAddr | None:
        """The Refer-To for the other side: dialogs there have other names (RFC 3891 section 3)."""
        side, replaces = transferee.side, refer.referral.replaces
        if replaces is None:
            return NameAddr(None, side.addressOf(called)) if called else None
        _, _, there = self._replacing.named(referrer.side, replaces)
        if there is None or there.side is not side or there.dialog is None:
            return None
        dialog = there.dialog
        names = Replaces(dialog.callID, dialog.remote.tag or "", dialog.local.tag or "", replaces.earlyOnly)
        headers = (("Replaces", names.escaped()), ("Require", "replaces"))
        return NameAddr(None, dialog.remoteTarget.replace(headers=headers))

    # Take over

    def _takeOver(
        self, call: Transferable, referrer: Leg, transferee: Leg, refer: ReferServer, called: str
    ) -> None:
        replaces = refer.referral.replaces
        headers: tuple[Header, ...] = ()
        source, target = referrer.side, refer.referral.target.uri
        if replaces is not None:
            other, replaced, _ = self._replacing.named(source, replaces)
            if other is not None and replaced is not None:
                self._merge(call, transferee, other, replaced, refer)
                return
            if not _isAt(referrer, target):
                refer.refuse(481)
                return
            # A dialog of the referrer's own world: whom it names knows it by the same name.
            headers = (Header("Replaces", str(replaces)), Header("Require", "replaces"))
        ways = [source] if _isAt(referrer, target) else self._calls.destinations(source, called)
        if not called or not ways:
            refer.refuse(404)
            return
        asked = CallRequest(
            call=self._token()[:8],
            caller=call.callerOf(transferee).user,
            called=called,
            source=source.name,
            destinations=tuple(dict.fromkeys(way.name for way in ways)),
        )
        refusal = self._calls.refusal(source, asked)
        if refusal is not None:
            refer.refuse(refusal.status or 403, refusalHeaders(refusal))
            return
        new = self._calls.newCall(asked, call.callerOf(transferee), source, ways)
        transfer = Transfer(call, new, transferee, refer)
        refer.accept()
        call.transferBegun(transfer)
        new.startReferred(referredExchange(transfer), headers)

    def _merge(
        self, call: Transferable, transferee: Leg, other: Transferable, replaced: Leg, refer: ReferServer
    ) -> None:
        """Two calls through this trunk become one, and nobody else has to do anything for it."""
        problem = _unmergeable(call, other, replaced, refer)
        if problem:
            refer.refuse(problem)
            return

        def admitted() -> None:
            problem = _unmergeable(call, other, replaced, refer)
            if call.other(transferee) is None:
                problem = 481
            elif not call.movable:
                problem = 491
            if problem:
                # It was another call when the policy was asked.
                refer.finish(problem)
            elif not other.standing:
                transfer = Transfer(call, other, transferee, refer)
                other.takeOverRinging(transfer)
                call.transferBegun(transfer)
            else:
                refer.finish(200)
                call.release(transferee, hangUp=True)
                other.swap(replaced, transferee)
                other.agree(transferee)

        def refused(refusal: CallRefused) -> None:
            refer.finish(refusal.status or 403)

        try:
            asked = self._replacing.check(other, replaced, call.callerOf(transferee))
        except CallRefused as refusal:
            refer.refuse(refusal.status or 403, refusalHeaders(refusal))
            return
        refer.accept()
        self._replacing.ask(other, asked, refer, admitted, refused, call)


def _unmergeable(call: Transferable, other: Transferable, replaced: Leg, refer: ReferServer) -> int:
    """The status that says why C{call} cannot become one with C{other}; 0 if it can."""
    if other is call:
        return 481
    if any(leg.session.fax for leg in (*call.legs, *other.legs)):
        return 488
    if not other.standing:
        return 0 if other.ringsFor(replaced) else 481
    if other.other(replaced) is None:
        return 481
    if not other.movable:
        return 491
    replaces = refer.referral.replaces
    return 486 if replaces is not None and replaces.earlyOnly else 0


def _isAt(referrer: Leg, target: URI) -> bool:
    """Is C{target} at the referrer's own side, and not with us?"""
    if not isinstance(target, SIPURI) or not referrer.side.isAt(target.host):
        return False
    return not isOurs(target.host, target.port, referrer)
