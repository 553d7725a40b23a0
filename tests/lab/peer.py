"""A scripted PBX that speaks raw SIP to the practice carrier, over a channel in memory."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping

from zope.interface import implementer

from skypetrunk.interfaces import IMessageChannel
from skypetrunk.lab.carrier import Carrier
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.digest import chooseChallenge, parseChallenges, respond
from skypetrunk.wire.message import Header, Request, Response, parseMessage
from skypetrunk.wire.secret import Secret
from tests.lab.network import MemoryNetwork

ACCOUNT = "99051000000001"
PASSWORD = Secret("marker-Passw0rd")
KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx"


def offer(protocol: str = "RTP/SAVP", suites: tuple[str, ...] = ("80", "32"), extra: str = "") -> bytes:
    """An offer of one G.711 stream."""
    crypto = [
        f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_{suite} inline:{KEY}" for tag, suite in enumerate(suites, 1)
    ]
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.9",
        "s=-",
        "c=IN IP4 127.0.0.9",
        "t=0 0",
        f"m=audio 30000 {protocol} 8 0 101",
        *crypto,
        "a=rtpmap:101 telephone-event/8000",
    ]
    return ("\r\n".join(lines) + "\r\n" + extra).encode()


@implementer(IMessageChannel)
class MemoryChannel:
    """The carrier's side of a connection; what it sends is kept, after a trip through octets."""

    reliable = True
    secure = True

    def __init__(self, host: str = "127.0.0.9") -> None:
        self.localAddress = TransportAddress("TLS", "127.0.0.1", 5061)
        self.peer = TransportAddress("TLS", host, 40000)
        self.sent: list[Request | Response] = []

    def send(self, message: Request | Response) -> None:
        """Keep it."""
        self.sent.append(parseMessage(message.encode(), stream=True))

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """A connection leads to one peer."""
        return self


def makeCarrier(network: MemoryNetwork, **settings: object) -> Carrier:
    """A carrier with one account; the same random numbers in each run."""
    source = random.Random(1)
    accounts: Mapping[str, Secret] = {ACCOUNT: PASSWORD}
    return Carrier(
        network,  # type: ignore[arg-type]
        lambda: f"{source.getrandbits(64):016x}",
        source.randbytes,
        CarrierSettings(accounts, **settings),  # type: ignore[arg-type]
        TransportAddress("TLS", "127.0.0.1", 5061),
    )


class Peer:
    """
    A PBX with one connection to the carrier.

    @ivar sent: what the carrier sent to it and was not yet taken.
    """

    def __init__(self, carrier: Carrier, host: str = "127.0.0.9") -> None:
        self.carrier = carrier
        self.channel = MemoryChannel(host)
        self.sent = self.channel.sent
        self._count = itertools.count(1)

    def give(self, message: Request | Response) -> None:
        """Send something to the carrier."""
        read = parseMessage(message.encode(), stream=True)
        self.carrier.agent.transactions.messageReceived(read, self.channel)

    def take(self) -> Request | Response:
        """The oldest message that the carrier sent."""
        return self.sent.pop(0)

    def takeResponse(self) -> Response:
        """The next message, which is a response."""
        message = self.take()
        assert isinstance(message, Response), message
        return message

    def takeRequest(self) -> Request:
        """The next message, which is a request."""
        message = self.take()
        assert isinstance(message, Request), message
        return message

    def statuses(self) -> list[int | str]:
        """Statuses and methods of all that was sent, taken."""
        taken, self.sent[:] = self.sent[:], []
        return [m.status if isinstance(m, Response) else m.method for m in taken]

    def request(
        self,
        method: str,
        uri: str = "sip:sip.skype.com",
        *,
        user: str = ACCOUNT,
        to: str | None = None,
        callID: str = "one",
        body: bytes = b"",
        extra: tuple[tuple[str, str], ...] = (),
    ) -> Request:
        """A request with a branch and CSeq of its own."""
        number = next(self._count)
        headers = [
            ("Via", f"SIP/2.0/TLS 127.0.0.9:40000;branch=z9hG4bKpeer{number}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{user}@sip.skype.com>;tag=peer"),
            ("To", to or f"<{uri}>"),
            ("Call-ID", callID),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:{ACCOUNT}@192.0.2.7:5070;transport=tls>"),
            *extra,
        ]
        made = Request(method, uri, tuple(Header(*each) for each in headers))
        return made.withBody(body, "application/sdp") if body else made

    def authorised(
        self, request: Request, challenge: Response, password: Secret = PASSWORD, count: int = 1
    ) -> Request:
        """C{request} again, with the next CSeq and credentials for C{challenge}."""
        proxy = challenge.status == 407
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        chosen = chooseChallenge(parseChallenges(challenge.values(name)))
        assert chosen is not None
        value = respond(
            chosen, ACCOUNT, password, request.method, request.uri, nonceCount=count, cnonce="c", body=b""
        )
        number = next(self._count)
        again = request.withHeader("CSeq", f"{number} {request.method}")
        again = again.withHeader("Via", f"SIP/2.0/TLS 127.0.0.9:40000;branch=z9hG4bKpeer{number}")
        return again.withHeader("Proxy-Authorization" if proxy else "Authorization", value)

    def asked(self, request: Request) -> Request:
        """Send C{request}, acknowledge and answer its challenge; what was sent in the end."""
        self.give(request)
        challenge = self.takeResponse()
        if challenge.status == 100:
            challenge = self.takeResponse()
        assert challenge.status in (401, 407), challenge
        if request.method == "INVITE":
            self.give(self.ack(request, challenge))
        again = self.authorised(request, challenge)
        self.give(again)
        return again

    def ack(self, invite: Request, response: Response, body: bytes = b"") -> Request:
        """The ACK of a final response: of its transaction, or on its own for a 2xx."""
        branch = invite.topVia.branch if response.status >= 300 else f"z9hG4bKack{next(self._count)}"
        target = invite.uri if response.status >= 300 else str(response.contacts[0].uri)
        made = (
            Request("ACK", target, invite.headers)
            .withHeader("Via", f"SIP/2.0/TLS 127.0.0.9:40000;branch={branch}")
            .withHeader("To", str(response.toAddress))
            .withHeader("CSeq", f"{invite.cseq.number} ACK")
            .withoutHeader("Content-Length")
        )
        return made.withBody(body, "application/sdp" if body else None)

    def within(self, method: str, response: Response, body: bytes = b"") -> Request:
        """A request within the dialog that C{response} made."""
        uri = str(response.contacts[0].uri)
        return self.request(method, uri, to=str(response.toAddress), callID=response.callID, body=body)

    def register(self, extra: tuple[tuple[str, str], ...] = ()) -> Response:
        """REGISTER, challenge, REGISTER; the final answer."""
        self.asked(self.request("REGISTER", to=f"<sip:{ACCOUNT}@sip.skype.com>", extra=extra))
        return self.takeResponse()

    def call(self, number: str, body: bytes, until: Callable[[], None] = lambda: None) -> Request:
        """Call a number; the INVITE that was taken."""
        invite = self.asked(self.request("INVITE", f"sip:{number}@sip.skype.com", body=body))
        until()
        return invite
