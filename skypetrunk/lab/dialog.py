"""
The lab's own idea of a dialog (RFC 3261 section 12): names, numbers, and the next request.

Apart from the trunk's on purpose: a mistake made in both would go unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response

__all__ = ["ALLOW", "AGENT", "Dialog"]

# Skype's gateway listed these and no more (facts, trace B): no REFER, UPDATE, INFO, PRACK
ALLOW = "INVITE, ACK, CANCEL, OPTIONS, BYE"
AGENT = "skypetrunk-lab"


@dataclass(slots=True)
class Dialog:
    """
    One end's view of a dialog, early or confirmed.

    @ivar local: our From or To value, with our tag.
    @ivar remote: the peer's, with its tag once known.
    @ivar target: where requests go: the peer's Contact.
    @ivar routes: Route values, the next hop first; fixed when the dialog is made (section 12.1).
    @ivar sent: number of our last request.
    @ivar received: number of the peer's last request, or C{None}.
    @ivar allow: the Allow of our INVITEs.
    """

    callID: str
    local: NameAddr
    remote: NameAddr
    target: str
    contact: str
    channel: IMessageChannel
    routes: tuple[str, ...] = ()
    sent: int = 0
    received: int | None = None
    allow: str = ALLOW

    @classmethod
    def ofRequest(
        cls, request: Request, channel: IMessageChannel, tag: str, contact: str, allow: str = ALLOW
    ) -> Dialog:
        """The dialog that our 2xx to C{request} makes (section 12.1.1)."""
        local = request.toAddress
        return cls(
            request.callID,
            local.replace(params=local.params.with_("tag", tag)),
            request.fromAddress,
            str(request.contacts[0].uri) if request.contacts else str(request.fromAddress.uri),
            contact,
            channel,
            tuple(str(route) for route in request.recordRoutes),
            0,
            request.cseq.number,
            allow,
        )

    def answered(self, response: Response) -> None:
        """The peer's 2xx to our INVITE (section 12.1.2)."""
        self.remote = response.toAddress
        self.routes = tuple(str(route) for route in reversed(response.recordRoutes))
        self.refreshed(response)

    def refreshed(self, message: Request | Response) -> None:
        """A target refresh (section 12.2): only the target changes, never the routes."""
        if message.contacts:
            self.target = str(message.contacts[0].uri)

    def request(
        self, method: str, body: bytes = b"", number: int | None = None, extra: tuple[Header, ...] = ()
    ) -> Request:
        """
        Our next request.

        @param number: for ACK: that of its INVITE.
        """
        if number is None:
            self.sent += 1
            number = self.sent
        headers = [
            Header("Max-Forwards", "70"),
            Header("From", str(self.local)),
            Header("To", str(self.remote)),
            Header("Call-ID", self.callID),
            Header("CSeq", f"{number} {method}"),
            *[Header("Route", route) for route in self.routes],
        ]
        if method == "INVITE":
            headers += [Header("Contact", self.contact), Header("Allow", self.allow)]
        headers += [Header("User-Agent", AGENT), *extra]
        request = Request(method, self.target, tuple(headers))
        return request.withBody(body, "application/sdp") if body else request
