"""The addresses of one outgoing call, and what names its INVITE (RFC 3261 section 8.1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from skypetrunk.values import quick
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header
from skypetrunk.wire.uri import SIPURI, URI


@quick
@dataclass(frozen=True, slots=True)
class CallAddresses:
    """
    The addresses of one outgoing call.

    @ivar caller: our From; its tag is made when the call is placed.
    @ivar contactUser: user part of our Contact.
    @ivar headers: what else the neighbour is told of the caller.
    @ivar routes: the preloaded Route (RFC 3261 section 8.1.1.1), the first one first.
    @ivar nextHop: where the INVITE goes first; C{None} for the first route, else the Request-URI.
    @ivar callID: C{None} until the call is placed.
    @ivar sequence: the last CSeq number that was used under this Call-ID.
    """

    requestURI: SIPURI
    called: NameAddr
    caller: NameAddr
    contactUser: str
    headers: tuple[Header, ...] = ()
    routes: tuple[NameAddr, ...] = ()
    nextHop: SIPURI | None = None
    callID: str | None = None
    sequence: int = 0

    @property
    def hop(self) -> SIPURI:
        """Where the INVITE goes first."""
        if self.nextHop is not None:
            return self.nextHop
        first = self.routes[0].uri if self.routes else None
        return first if isinstance(first, SIPURI) else self.requestURI

    @property
    def key(self) -> tuple[str, str]:
        """Call-ID and From tag, once the call is placed."""
        return self.callID or "", self.caller.tag or ""

    def named(self, token: Callable[[], str]) -> CallAddresses:
        """
        With Call-ID and From tag; what was there before stays.

        @param token: makes random text.
        """
        caller = self.caller
        if caller.tag is None:
            caller = caller.tagged(token())
        return CallAddresses(
            self.requestURI,
            self.called,
            caller,
            self.contactUser,
            self.headers,
            self.routes,
            self.nextHop,
            self.callID or token(),
            self.sequence,
        )

    def anew(self) -> CallAddresses:
        """The same, to be placed as another call: of what was placed before, no name stays."""
        caller = replace(self.caller, params=self.caller.params.without("tag"))
        return replace(self, caller=caller, callID=None, sequence=0)

    def redirected(self, placed: CallAddresses, sequence: int, target: SIPURI | None) -> CallAddresses:
        """
        The same for a neighbour that has redirected us: Call-ID, From and To are those of the first
        attempt (RFC 3261 section 8.1.3.4), and so is the next hop.

        @param placed: the first attempt's.
        @param sequence: the last CSeq number that it has used.
        @param target: the new Request-URI, C{None} if it is ours.
        """
        return replace(
            self,
            requestURI=target or self.requestURI,
            called=placed.called,
            caller=placed.caller,
            nextHop=self.hop,
            callID=placed.callID,
            sequence=sequence,
        )

    def secured(self, contact: NameAddr) -> NameAddr:
        """Our Contact, a SIPS URI if the Request-URI or first route is one (RFC 3261 section 8.1.1.8)."""
        return securedLike(contact, (self.requestURI, *(each.uri for each in self.routes[:1])))


def securedLike(contact: NameAddr, leading: Iterable[URI]) -> NameAddr:
    """Our C{contact}, as a SIPS URI if there is one among C{leading}."""
    uri = contact.uri
    secure = any(isinstance(each, SIPURI) and each.scheme == "sips" for each in leading)
    if not secure or not isinstance(uri, SIPURI):
        return contact
    return replace(contact, uri=uri.replace(scheme="sips", params=uri.params.without("transport")))


__all__ = ["CallAddresses", "securedLike"]
