"""
A dialog (RFC 3261 section 12): the state that two user agents share, and the requests made from it.

The route set is fixed when the dialog is made; only the remote target may change later
(section 12.2.1.2).  One CSeq counter serves every request of the dialog.
"""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.core.call_addresses import CallAddresses
from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Message, Request, Response
from skypetrunk.wire.uri import SIPURI

MAX_FORWARDS = 70
"""RFC 3261 section 8.1.1.6."""

_FORWARDED = Header("Max-Forwards", str(MAX_FORWARDS))

TARGET_REFRESHING = frozenset(("INVITE", "ACK", "UPDATE", "REFER", "NOTIFY"))
"""Requests with a Contact (RFC 3261 section 12.2.1.1, RFC 3311 section 5.1, RFC 3515, RFC 6665)."""


class Dialog:
    """
    One dialog as one of its two user agents sees it.

    @ivar local: our From or To value with its tag.
    @ivar remote: the peer's; its tag may be empty (RFC 2543 peers).
    @ivar contact: our own Contact, repeated in each request that refreshes the target.
    @ivar remoteTarget: where requests go in the end: the peer's Contact.
    @ivar routes: the route set, in the order of our requests.
    """

    __slots__ = (
        "callID",
        "contact",
        "local",
        "localSequence",
        "remote",
        "remoteSequence",
        "remoteTarget",
        "routes",
    )

    def __init__(
        self,
        callID: str,
        local: NameAddr,
        remote: NameAddr,
        contact: NameAddr,
        remoteTarget: SIPURI,
        routes: tuple[NameAddr, ...],
        localSequence: int,
        remoteSequence: int | None,
    ) -> None:
        self.callID = callID
        self.local = local
        self.remote = remote
        self.contact = contact
        self.remoteTarget = remoteTarget
        self.routes = routes
        self.localSequence = localSequence
        self.remoteSequence = remoteSequence

    @classmethod
    def fromRequest(cls, request: Request, localTag: str, contact: NameAddr) -> Dialog:
        """
        The dialog that an INVITE from the peer makes (section 12.1.1).

        @raise MalformedMessage: no usable Contact (400).
        """
        return cls(
            callID=request.callID,
            local=request.toAddress.tagged(localTag),
            remote=request.fromAddress,
            contact=contact,
            remoteTarget=targetOf(request),
            routes=request.recordRoutes,
            localSequence=0,
            remoteSequence=request.cseq.number,
        )

    @classmethod
    def fromResponse(cls, request: Request, response: Response, contact: NameAddr) -> Dialog:
        """
        The dialog that a response with a To tag to our INVITE makes (section 12.1.2).  One without a
        usable Contact is answered where the INVITE went: better than an ACK that is never sent.
        """
        try:
            target = targetOf(response)
        except MalformedMessage:
            uri = request.requestURI
            assert isinstance(uri, SIPURI)
            target = uri
        return cls(
            callID=request.callID,
            local=request.fromAddress,
            remote=response.toAddress,
            contact=contact,
            remoteTarget=target,
            routes=tuple(reversed(response.recordRoutes)),
            localSequence=request.cseq.number,
            remoteSequence=None,
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """Call-ID, local tag, remote tag: the dialog identifier (section 12)."""
        return (self.callID, self.local.tag or "", self.remote.tag or "")

    @property
    def nextHop(self) -> SIPURI:
        """Where requests of this dialog are sent first (section 8.1.2)."""
        if self.routes and isinstance(self.routes[0].uri, SIPURI):
            return self.routes[0].uri
        return self.remoteTarget

    def reserveSequence(self) -> int:
        """The next CSeq number, taken before anything is sent (section 12.2.1.1)."""
        self.localSequence += 1
        return self.localSequence

    def makeRequest(
        self,
        method: str,
        sequence: int,
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> Request:
        """
        A request within the dialog, without Via (section 12.2.1.1).

        @param sequence: its CSeq number: a reserved one, or the INVITE's for ACK.
        """
        target, routes = routed(self.remoteTarget, self.routes)
        lines = [_FORWARDED]
        lines += [Header("Route", str(route)) for route in routes]
        lines += [
            Header("From", str(self.local)),
            Header("To", str(self.remote)),
            Header("Call-ID", self.callID),
            Header("CSeq", f"{sequence} {method}"),
        ]
        if method in TARGET_REFRESHING:
            lines.append(Header("Contact", str(self.contact)))
        lines += headers
        return Request(method, str(target), tuple(lines), body)

    def sequenceAccepted(self, request: Request) -> bool:
        """
        Whether a request of the peer is in order; false is answered 500 (section 12.2.2).
        An equal number is out of order too: retransmissions never come here.
        """
        number = request.cseq.number
        if self.remoteSequence is not None and number <= self.remoteSequence:
            return False
        self.remoteSequence = number
        return True

    def refreshTarget(self, message: Message) -> None:
        """Take over the Contact of a re-INVITE, UPDATE or 2xx, if it has a usable one (section 12.2)."""
        try:
            self.remoteTarget = targetOf(message)
        except MalformedMessage:
            # RFC 3261 wants a Contact here; without one the old target still stands.
            pass


def firstInvite(
    addresses: CallAddresses,
    sequence: int,
    contact: NameAddr,
    maxForwards: int,
    headers: Sequence[Header],
    body: bytes,
) -> Request:
    """
    An INVITE outside of any dialog, without Via (section 8.1.1).

    @param addresses: with Call-ID and From tag.
    """
    target, routes = routed(addresses.requestURI, addresses.routes)
    lines = [
        Header("Max-Forwards", str(maxForwards)),
        *(Header("Route", str(route)) for route in routes),
        Header("From", str(addresses.caller)),
        Header("To", str(addresses.called)),
        Header("Call-ID", addresses.callID or ""),
        Header("CSeq", f"{sequence} INVITE"),
        Header("Contact", str(contact)),
        *addresses.headers,
        *headers,
    ]
    return Request("INVITE", str(target), tuple(lines), body)


def routed(target: SIPURI, routes: Sequence[NameAddr]) -> tuple[SIPURI, Sequence[NameAddr]]:
    """Request-URI and Route of a request to C{target} by way of C{routes} (section 12.2.1.1)."""
    first = routes[0].uri if routes else None
    if not isinstance(first, SIPURI) or first.lr:
        return target, routes
    # Strict routing: the first route is the Request-URI, the target goes last.
    return _asRequestURI(first), (*routes[1:], NameAddr(None, target))


def targetOf(message: Message) -> SIPURI:
    """
    The SIP URI of a message's one Contact (section 8.1.1.8).

    @raise MalformedMessage: none, or no SIP URI.
    """
    contacts = message.contacts
    if not isinstance(contacts, tuple) or not contacts or not isinstance(contacts[0].uri, SIPURI):
        raise MalformedMessage("wanted a Contact with a SIP URI", 400)
    return _asRequestURI(contacts[0].uri)


def _asRequestURI(uri: SIPURI) -> SIPURI:
    """C{uri} without what may not stand in a Request-URI (section 19.1.1): headers and method."""
    if uri.headers or "method" in uri.params:
        return uri.replace(headers=(), params=uri.params.without("method"))
    return uri
