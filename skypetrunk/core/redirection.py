"""
Redirection: what becomes of the 3xx of one side (RFC 3261 sections 8.1.3.4 and 21.3).

It is refused, followed by us, or passed to the side that asked.  Nothing of it is read by anybody before
its Contacts were searched for emergency numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from skypetrunk.core.admission import askPolicy
from skypetrunk.core.answers import NO_CIRCUIT, Answer, across, reasonHeader, reasonsAcross
from skypetrunk.core.destinations import Left, Redirected, Verdict, Way, leftAfter, unusable
from skypetrunk.core.emergency import numberNamed, refersToEmergency
from skypetrunk.core.identity import MOST_DIVERSIONS, Diversion, diversionReason
from skypetrunk.core.leg_client import LegClient
from skypetrunk.core.sides import FOLLOW, REFUSE, PBXSide, Side
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.errors import CallRefused, MalformedMessage
from skypetrunk.interfaces import CallRequest, ICallPolicy, INumberPlan
from skypetrunk.wire.address import foldedHost
from skypetrunk.wire.headers import NameAddr, parseNameAddrs
from skypetrunk.wire.message import Header, Response
from skypetrunk.wire.uri import SIPURI

MOST_CONTACTS = 10
"""Contacts of one 3xx that are looked at."""

_NAMELESS = (305, 380)
"""Their Contacts name a proxy, or another service: no number (RFC 3261 sections 21.3.4 and 21.3.5)."""

_LOOP = 482
"""RFC 3261 section 21.4.20; the table of answers says what each side is told."""

_preference = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch
_seconds = re.compile(r"[0-9]{1,10}").fullmatch


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a refusal leads to.

    @ivar verdict: what the asking side is told if there is no way on.
    @ivar left: which of the other places may be tried.
    @ivar ways: further places, before those.
    """

    verdict: Verdict
    left: Left
    ways: tuple[Way, ...] = ()


class Redirector:
    """What all calls ask about redirections."""

    _log = Logger()

    def __init__(
        self,
        numbers: INumberPlan,
        destinations: Callable[[str, str], Sequence[Side]],
        policy: ICallPolicy,
        refusal: Callable[[Side, CallRequest], CallRefused | None],
        emergency: Callable[[], None],
    ) -> None:
        """
        @param destinations: the sides that calls from one, to a number, go to.
        @param refusal: why there is no room for a call, by limits.
        @param emergency: told of each redirection to an emergency number.
        """
        self._numbers = numbers
        self._destinations = destinations
        self._policy = policy
        self._refusal = refusal
        self._emergency = emergency

    def failed(
        self, leg: LegClient, status: int, response: Response | None, reason: str, way: Way, asking: Side
    ) -> Outcome:
        """
        The first INVITE of C{leg} was refused.

        @param response: C{None} where none came, and C{status} says so.
        @param way: the one that C{leg} stands for.
        @param asking: the side that wants the call.
        """
        if status == 408 and not leg.anyProvisional:
            # Nobody has taken it on, whoever says so.
            return Outcome(unusable(reason), Left.ALL)
        answer = across(status, response, isinstance(asking, PBXSide))
        left = leftAfter(answer.status if status < 600 else status)
        if response is None:
            return Outcome(unusable(reason) if left is Left.ALL else Verdict(answer, "trunk", reason), left)
        refused = Outcome(Verdict(answer, "callee", reason), left)
        return refused if status >= 400 else self._received(response, leg, way, asking, refused)

    def _received(
        self, response: Response, leg: LegClient, way: Way, asking: Side, refused: Outcome
    ) -> Outcome:
        """
        C{leg} is redirected.

        @param refused: the outcome if that leads nowhere.
        """
        side, reason = leg.side, refused.verdict.reason
        if side.redirect == REFUSE or response.status in _NAMELESS:
            return refused
        try:
            if refersToEmergency(response, self._numbers):
                return self._emergencyFound(side, asking, refused)
            contacts = self._numbered(parseNameAddrs(response.values("Contact")), side)
        except MalformedMessage as error:
            leg.warn("a redirection", error)
            return refused
        if any(self._numbers.isEmergency(number) for _, number in contacts):
            # The number of a carrier's Contact, read as that carrier writes numbers.
            return self._emergencyFound(side, asking, refused)
        if side.redirect != FOLLOW:
            headers = (*self._passed(contacts, side, asking), *reasonsAcross(response))
            passed = Verdict(Answer(response.status, headers), "callee", reason)
            return Outcome(passed, Left.NONE) if contacts else refused
        ways = [each for contact in contacts for each in self._ways(response, contact, leg, way)]
        if not ways:
            return refused
        looped = across(_LOOP, None, isinstance(asking, PBXSide))
        verdict = Verdict(looped, "trunk", "redirected in a loop, or too often")
        return Outcome(verdict, leftAfter(looped.status), tuple(ways))

    def _emergencyFound(self, side: Side, asking: Side, refused: Outcome) -> Outcome:
        self._emergency()
        self._log.warn("{side} redirects a call to an emergency number: it is not followed", side=side.name)
        if not isinstance(asking, PBXSide):
            return replace(refused, left=Left.NONE)
        text = "emergency numbers never leave by this trunk"
        answer = Answer(asking.emergencyStatus, (reasonHeader(NO_CIRCUIT, text),))
        return Outcome(Verdict(answer, "trunk", "redirected to an emergency number"), Left.NONE)

    def _numbered(self, contacts: Sequence[NameAddr], side: Side) -> list[tuple[NameAddr, str]]:
        """The Contacts that name somebody, with the number that each means, the preferred ones first."""
        found = []
        for contact in sorted(contacts, key=_preferenceOf, reverse=True)[:MOST_CONTACTS]:
            number = numberNamed(contact.uri)
            if number:
                found.append((contact, side.readNumber(number)))
        return found

    # To pass

    def _passed(self, contacts: Sequence[tuple[NameAddr, str]], side: Side, asking: Side) -> list[Header]:
        """The Contacts for the asking side: the numbers, and nothing else of the other."""
        lines = []
        for contact, number in contacts:
            address = NameAddr(None, asking.addressOf(number))
            for name, valid in (("q", _preference), ("expires", _seconds)):
                value = contact.params.get(name)
                if value is not None and valid(value):
                    address = replace(address, params=address.params.with_(name, value))
            lines.append(Header("Contact", str(address)))
        return list(dict.fromkeys(lines))

    # To follow

    def _ways(self, response: Response, found: tuple[NameAddr, str], leg: LegClient, way: Way) -> list[Way]:
        contact, number = found
        side, uri = leg.side, contact.uri
        if isinstance(uri, SIPURI) and not self._isAllowed(uri, leg):
            self._log.warn(
                "{call}: {side} redirects to {host}, which redirect_allow does not name",
                call=way.request.call,
                side=side.name,
                host=uri.maddr or uri.host,
            )
            return []
        assert leg.placed is not None
        again = (leg.placed, leg.sequence)
        back = replace(way.request, called=number, destinations=(side.name,))
        if isinstance(side, TrunkSide):
            target = None
            if isinstance(uri, SIPURI) and not isOurs(uri.host, uri.port, leg):
                target = uri.replace(password=None, headers=(), params=uri.params.without("method"))
            # The carrier is asked again, so whoever answered for the call still does.
            return [Way(side, way.caller, back, Redirected(target, again, way.forwarder), admitted=False)]
        assert isinstance(side, PBXSide)
        diversion = Diversion(way.request.called, diversionReason(response))
        diversions = (*way.caller.diversions, diversion)[-MOST_DIVERSIONS:]
        caller = replace(way.caller, diversions=diversions)
        if isinstance(uri, SIPURI) and side.isAt(uri.host) and not isOurs(uri.host, uri.port, leg):
            return [Way(side, caller, back, Redirected(placed=again), admitted=False)]
        sides = self._destinations(side.name, number)
        names = tuple(dict.fromkeys(each.name for each in sides))
        request = replace(way.request, called=number, source=side.name, destinations=names)
        redirected = Redirected(forwarder=side)
        return [Way(each, caller, request, redirected, admitted=False) for each in sides]

    def _isAllowed(self, uri: SIPURI, leg: LegClient) -> bool:
        """May a call be sent to where C{uri} points?"""
        side = leg.side
        for host in (uri.host, uri.maddr):
            if host is None or side.isAt(host) or foldedHost(host) in side.redirectAllow:
                continue
            if not isOurs(host, uri.port, leg):
                return False
        return True

    # Limits and policy

    def admit(self, way: Way, near: Side, legs: Collection[Sequence[Side]]) -> Deferred[None]:
        """
        Fires if a redirected call may go C{way}: what a new call is asked, it is asked too.  Fails with
        L{CallRefused}.

        @param near: the side that wants the call.
        @param legs: of each leg of the call the sides that have it among their calls already.  The call of a
            transfer may have none yet.
        """
        source = way.forwarder or near
        counted = sum(side is source for sides in legs for side in sides)
        source.calls -= counted
        try:
            refusal = self._refusal(source, way.request)
        finally:
            source.calls += counted
        return fail(refusal) if refusal is not None else askPolicy(self._policy, way.request)


def isOurs(host: str, port: int | None, leg: LegClient) -> bool:
    """Are we there, as the neighbour of C{leg} knows us?  The port tells us from a PBX on our machine."""
    return any(
        foldedHost(host) == foldedHost(ours.host)
        and (not leg.side.isAt(host) or (port or 5060) == (ours.port or 5060))
        for ours in leg.ourAddresses()
    )


def _preferenceOf(contact: NameAddr) -> float:
    """From 0 to 1; RFC 3261 section 20.10.  What has none is as good as can be."""
    text = contact.params.get("q")
    if text is None:
        return 1.0
    return float(text) if _preference(text) else 0.0


__all__ = ["Outcome", "Redirector", "isOurs"]
