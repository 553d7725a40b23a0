"""
The REGISTERs of one account: a series with one Call-ID and From tag (RFC 3261 section 10.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skypetrunk.core.bindings import OwnBinding
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.grammar import NO_PARAMETERS, Parameters, escape, quote
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request
from skypetrunk.wire.uri import SIPURI

MOST_CONTACTS = 8
"""Contacts of ours that are remembered, and bindings that are taken back at once: the others run out."""


@dataclass(frozen=True, slots=True)
class Account:
    """
    What is registered.

    @ivar user: user part of From, To and Contact, unescaped.
    @ivar domain: the registrar's, without user part (RFC 3261 section 10.2).
    @ivar expires: seconds to ask for.
    @ivar instance: C{urn:uuid:...}, lower case, the same after each start (RFC 5626 section 4.1); empty:
        none is told.
    @ivar outbound: register a flow (RFC 5626 section 4.2); needs C{instance}.
    @ivar flow: its number.
    """

    user: str
    domain: str
    expires: int = 3600
    userAgent: str = "skypetrunk"
    instance: str = ""
    outbound: bool = False
    flow: int = 1


class RegisterRequests:
    """
    Makes them, each with the next CSeq number.

    @ivar asFlow: the Contact is a flow of this instance (RFC 5626 section 4.2).
    @ivar used: Contacts that were sent, the last one last: each may have been left behind.
    """

    __slots__ = ("_account", "_address", "_callID", "_sequence", "_tag", "asFlow", "used")

    def __init__(self, account: Account, address: PublicAddress, token: Callable[[], str]) -> None:
        """
        @param address: where the Contact is.
        @param token: makes random text for Call-ID and tag.
        """
        self._account = account
        self._address = address
        self._callID = token()
        self._tag = token()
        self._sequence = 0
        self.asFlow = account.outbound
        self.used: list[SIPURI] = []

    def nextSequence(self) -> int:
        """Reserves a CSeq number."""
        self._sequence += 1
        return self._sequence

    def own(self, channel: IMessageChannel) -> OwnBinding:
        """How our binding over C{channel} is known."""
        uri, local = self._uri(channel), channel.localAddress.host
        flow = self._account.flow if self.asFlow else None
        return OwnBinding(uri, self._account.instance, local if uri.host == local else None, flow)

    def contact(self, channel: IMessageChannel, expires: int) -> str:
        """Our Contact over C{channel}, as it stands in the header."""
        uri = self._uri(channel)
        if uri not in self.used:
            self.used = [*self.used[1 - MOST_CONTACTS :], uri]
        flow = f";reg-id={self._account.flow}" if self.asFlow else ""
        instance = self._account.instance
        mark = f";+sip.instance={quote(f'<{instance}>')}" if instance else ""
        return f"{NameAddr(None, uri)};expires={expires}{flow}{mark}"

    def register(self, channel: IMessageChannel, expires: int) -> Request:
        """A REGISTER for C{channel}, without credentials; 0 seconds take it back."""
        supported = [Header("Supported", "path, outbound")] if self.asFlow else []
        return self._make([self.contact(channel, expires)], expires, supported)

    def removal(self, uris: Sequence[SIPURI]) -> Request:
        """
        Takes back bindings that were left behind: by their URIs alone, as instance and flow number would mean
        the one that we need.
        """
        return self._make([f"{NameAddr(None, uri)};expires=0" for uri in uris], 0, [])

    def query(self) -> Request:
        """Asks for all bindings of the account, and changes none of them (section 10.2.3)."""
        return self._make([], None, [])

    def removalOfAll(self) -> Request:
        """Takes back all of them, also those of others (section 10.2.2)."""
        return self._make(["*"], 0, [])

    def _uri(self, channel: IMessageChannel) -> SIPURI:
        params, transport = NO_PARAMETERS, channel.localAddress.transport
        if transport != "UDP":
            params = Parameters([("transport", transport.lower())])
        return SIPURI("sip", escape(self._account.user), None, *self._address.of(channel), params)

    def _make(self, contacts: Sequence[str], expires: int | None, more: Sequence[Header]) -> Request:
        """Same Call-ID and From tag, CSeq one higher (section 10.2)."""
        account = self._account
        registrar = SIPURI("sip", None, None, account.domain)
        address = NameAddr(None, registrar.replace(user=escape(account.user)))
        headers = [
            Header("Max-Forwards", "70"),
            Header("From", f"{address};tag={self._tag}"),
            Header("To", str(address)),
            Header("Call-ID", self._callID),
            Header("CSeq", f"{self.nextSequence()} REGISTER"),
            *(Header("Contact", contact) for contact in contacts),
            *([] if expires is None else [Header("Expires", str(expires))]),
            *more,
            Header("User-Agent", account.userAgent),
        ]
        return Request("REGISTER", str(registrar), tuple(headers))


__all__ = ["MOST_CONTACTS", "Account", "RegisterRequests"]
