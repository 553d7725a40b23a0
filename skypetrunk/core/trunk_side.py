"""
The carrier as a neighbour: what requests to it carry, and where those from it have the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.core.identity import (
    ANONYMOUS,
    PRIVATE,
    Caller,
    assertedCallerOf,
    diversionHeaders,
    identityHeader,
    numberOf,
)
from skypetrunk.core.media_security import REQUESTED
from skypetrunk.core.number_form import readNumber, writeNumber
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.sides import USER_CHARACTERS, Side
from skypetrunk.core.verified import VerifiedFinder, fromStranger
from skypetrunk.interfaces import (
    ICarrierProfile,
    IChannelFinder,
    ICredentials,
    IMessageChannel,
    INumberPlan,
    IServerTransaction,
)
from skypetrunk.wire.address import foldedHost
from skypetrunk.wire.grammar import NO_PARAMETERS, Parameters, escape
from skypetrunk.wire.headers import NameAddr, parseNameAddr
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.uri import SIPURI

_PHONE = Parameters([("user", "phone")])
_isTelephone = re.compile(r"\+?[0-9]+").fullmatch


@lru_cache(maxsize=64)
def _uriAt(host: str, phone: bool) -> SIPURI:
    """Of somebody there, without the user; C{phone}: it is a number, and says so."""
    return SIPURI("sip", None, None, host, None, _PHONE if phone else NO_PARAMETERS)


class TrunkSide(Side):
    """
    A carrier: verified TLS, SRTP, addressed by its domain and our account (facts of its profile).

    @ivar serviceRoute: by which calls leave, as the carrier said when we registered (RFC 3608).
    @ivar address: which of our addresses it is told.
    """

    secure = True
    earlyAnswersReliable = True

    def __init__(
        self,
        name: str,
        finder: IChannelFinder,
        domain: str,
        account: str,
        profile: ICarrierProfile,
        numbers: INumberPlan,
        credentials: ICredentials,
        suites: Sequence[str],
        limit: int | None = None,
    ) -> None:
        super().__init__(name, VerifiedFinder(finder), limit)
        self._domain = domain
        self._account = account
        self._profile = profile
        self._numbers = numbers
        self.credentials = credentials
        self.suites = suites
        self.up = False
        self.serviceRoute: tuple[NameAddr, ...] = ()
        self.address = PublicAddress()
        if profile.mediasec:
            self.offerAttributes = (REQUESTED,)

    def contactFor(self, user: str, channel: IMessageChannel) -> NameAddr:
        """Our Contact: where the carrier calls in, if it does, whatever connection this is."""
        if self.local is None:
            return self.address.contact(super().contactFor(user, channel), channel)
        return NameAddr(None, self.local.replace(user=user))

    @property
    def addressOfRecord(self) -> SIPURI:
        """Our account, at the carrier's domain; or at our own name, for a carrier that knows us by that."""
        host = self.local.host if self._profile.ownName and self.local is not None else self._domain
        return _uriAt(host, False).replace(user=escape(self._account, USER_CHARACTERS))

    def _signallingVersion(self) -> int | None:
        return self.address.version

    def isAt(self, host: str) -> bool:
        """Its domain, and nothing else: that alone is proved."""
        return foldedHost(host) == foldedHost(self._domain)

    def addressOf(self, number: str) -> SIPURI:
        """number@domain, as the carrier wants numbers."""
        written = writeNumber(number, self._profile.numberForm, self._numbers)
        return self._told(written, self._domain)

    def _told(self, user: str, host: str) -> SIPURI:
        """C{user} at C{host}; a number says that it is one, where the carrier wants that."""
        phone = self._profile.userPhone and _isTelephone(user) is not None
        return _uriAt(host, phone).replace(user=escape(user, USER_CHARACTERS))

    def readNumber(self, number: str) -> str:
        """As the carrier wants numbers."""
        return readNumber(number, self._profile.numberForm)

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """Handed on, if it came from the carrier."""
        if not fromStranger(transaction):
            super().requestReceived(transaction)

    def usable(self) -> bool:
        """Registered, or verified and connected where the carrier wants no registration."""
        return self.up and not self.full

    def addresses(self, caller: Caller, called: str) -> CallAddresses:
        """
        number@domain; From is the account where the profile says so.  An anonymous call shows nobody
        (RFC 3323 section 4.1), but to a carrier that has to know, and hides it from the callee.
        """
        profile = self._profile
        target = self.addressOf(called)
        caller = caller.renumbered(lambda each: writeNumber(each, profile.callerForm, self._numbers))
        account = self.addressOfRecord
        source = self._told(caller.user, account.host)
        shown = NameAddr(None, account if profile.fromUser == "account" else source)
        headers: list[Header] = []
        if caller.private:
            headers.append(PRIVATE)
            shown = NameAddr(None, account) if profile.anonymous == "account" else ANONYMOUS
        if profile.callerHeader != "none" and caller.user != "anonymous":
            if not caller.private or profile.anonymous == "asserted":
                headers.append(identityHeader(profile.callerHeader, source, caller.private))
        if not caller.private:
            headers.extend(diversionHeaders(profile.diversion, caller.diversions, target, target))
        asked = target
        if profile.uriParameters:
            asked = target.replace(params=Parameters((*target.params, *profile.uriParameters)))
        return CallAddresses(
            requestURI=asked,
            called=NameAddr(None, target),
            caller=shown,
            contactUser="anonymous" if shown is ANONYMOUS else account.user or "",
            headers=tuple(headers),
            routes=self.serviceRoute,
        )

    def callerOf(self, request: Request) -> Caller:
        """From where the profile says, with what the carrier vouches for."""
        caller = assertedCallerOf(request, self._profile.callerFrom)
        return caller.renumbered(self._read)

    def _read(self, number: str) -> str:
        return readNumber(number, self._profile.inboundForm)

    def calledOf(self, request: Request) -> str:
        """From where the profile says; the Request-URI where that header is missing."""
        return self._read(self._calledIn(request))

    def _calledIn(self, request: Request) -> str:
        where = self._profile.calledFrom
        if where == "to":
            return numberOf(request.toAddress.uri)
        if where == "p-called-party-id":
            value = request.header("P-Called-Party-ID")
            if value is not None:
                return numberOf(parseNameAddr(value).uri)
        return numberOf(request.requestURI)
