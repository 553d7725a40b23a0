"""
A neighbour that does anything at any time, for L{tests.core.test_transfer_races}: it remembers its dialogs
and what waits for an answer, so that most of what it does by chance means something.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from skypetrunk.errors import ChannelFailed
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.replaces import Replaces
from tests.core.callnet import KEY, OTHER_KEY, PCMA, SAVP, Neighbour, sdp

CALLS = 7
"""Calls that one neighbour begins."""

OTHER = "m=video 0 RTP/AVP 31\r\n"
"""A line that may stand before that of the sound."""

ODD = (
    "101\r\na=rtpmap:101 red/8000\r\n",
    "101\r\na=rtpmap:101 telephone-event/8000\r\n",
    "97\r\n",
    " ".join(map(str, range(128))) + "\r\n" + "".join(f"a=rtpmap:{n} c{n}/8000\r\n" for n in range(127)),
)
"""Formats of which little or nothing can cross."""

FAX = "a=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"

CHALLENGE = 'Digest realm="carrier.example", nonce="n1", algorithm=MD5, qop="auth"'

Headers = Sequence[tuple[str, str]]


@dataclass(eq=False)
class Known:
    """A dialog, as a neighbour knows it."""

    invite: Request
    made: Response | None
    tag: str
    number: int = 10

    @property
    def names(self) -> tuple[str, str, str]:
        """Call-ID, the trunk's tag, the neighbour's."""
        if self.made is None:
            return self.invite.callID, self.invite.fromAddress.tag or "", self.tag
        return self.invite.callID, self.made.toAddress.tag or "", self.invite.fromAddress.tag or ""


class Player:
    """One neighbour, who remembers what it may go on with."""

    def __init__(self, neighbour: Neighbour, secure: bool, chance: random.Random) -> None:
        self.neighbour = neighbour
        self.secure = secure
        self.chance = chance
        self.dialogs: list[Known] = []
        self.waiting: list[Request] = []  # the trunk's requests without a final answer
        self.unacknowledged: list[tuple[Request, Response]] = []
        self.asked: dict[str, Request] = {}  # first INVITEs, by Call-ID
        self.changes: list[Request] = []  # INVITEs of both kinds, to be cancelled
        self.reliable: list[Response] = []
        self.calls = 0
        self.wild = 0.0
        self.fax = 0.0  # how often it wants T.38
        self.challenges = 0.0  # how often it wants to know who asks
        self.diligent = False
        self._read = 0
        self._version = 1

    def body(self, offer: bytes = b"") -> bytes:
        """An offer, or the answer to one: mostly a good one."""
        if self.chance.random() < (0.9 if b"m=image" in offer else self.fax):
            port = 0 if offer and self.chance.random() < 0.2 else 4900
            return sdp(f"m=image {port} udptl t38\r\n{FAX}", self.neighbour.host, self._version)
        media = SAVP if self.secure else PCMA
        if self._now(0.2):
            return b""
        if self._now(0.05):
            return b"no description at all"
        if self.chance.random() < 0.3:
            media = media.replace(" 0 101", "").replace(" 101", "")
        if self._now(0.2):
            media = media.replace(" 8 101", " 18").replace(" 8 0 101", " 18").replace(" 8\r", " 18\r")
        if self.chance.random() < 0.1:
            media = media.replace(KEY, OTHER_KEY)
        if self._now(0.1):
            formats = self.chance.choice(ODD)
            media = re.sub(r"(AVP)[ 0-9]+\r\n(a=rtpmap:.*\r\n)*", rf"\1 {formats}", media)
        direction = self.chance.choice(("sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"))
        self._version += self.chance.randrange(2)
        before = OTHER * (offer.count(OTHER.split()[0].encode()) if offer else self.chance.random() < 0.1)
        return sdp(f"{before}{media}a={direction}\r\n", self.neighbour.host, self._version)

    def _now(self, often: float) -> bool:
        """Is it time for something odd?"""
        return not self.diligent and self.chance.random() < often * self.wild

    def read(self) -> None:
        """Take in what the trunk has sent since the last time."""
        messages = self.neighbour.channel.messages
        for message in messages[self._read :]:
            if isinstance(message, Response):
                self._answered(message)
            elif message.method == "CANCEL":
                self.neighbour.answers(message, 200)
                if self.chance.random() < 0.8 or self.diligent:
                    self._refuse(message)
            elif message.method == "BYE" and (self.diligent or self.chance.random() < 0.5):
                self.neighbour.answers(message, 200)
            elif message.method != "ACK":
                self.waiting.append(message)
        self._read = len(messages)

    def _refuse(self, cancel: Request) -> None:
        for each in self.waiting:
            if (each.callID, each.cseq.number, each.method) == (cancel.callID, cancel.cseq.number, "INVITE"):
                self.waiting.remove(each)
                self.neighbour.answers(each, 487)
                return

    def _answered(self, response: Response) -> None:
        if response.cseq.method != "INVITE" or response.status == 100:
            return
        invite = self.asked.get(response.callID)
        if response.status < 300 and invite is not None and response.cseq.number == invite.cseq.number:
            if not any(each.invite is invite for each in self.dialogs):
                self.dialogs.append(Known(invite, response, ""))
        if response.header("RSeq") is not None:
            self.reliable.append(response)
        if response.status >= 300:
            self.neighbour.ackOf(response)
        elif response.status >= 200:
            self.unacknowledged.append((self._inviteOf(response), response))

    def _inviteOf(self, response: Response) -> Request:
        return next(
            each
            for each in self.changes
            if (each.callID, each.cseq.number) == (response.callID, response.cseq.number)
        )

    # What it may do

    def invites(self, uri: str, headers: Headers = ()) -> None:
        """A call."""
        if self.calls >= CALLS:
            return
        self.calls += 1
        more = list(headers)
        if self.chance.random() < 0.4:
            more.append((self.chance.choice(("Require", "Supported")), "100rel"))
        if self.chance.random() < 0.3:
            more.append(("Allow", "INVITE, ACK, BYE, UPDATE, REFER, NOTIFY"))
        if self.chance.random() < 0.2:
            more.append(("Session-Expires", "90;refresher=" + self.chance.choice(("uac", "uas"))))
            more.append(("Supported", "timer"))
        invite = self.neighbour.invite(uri, self.body(), more)
        self.asked[invite.callID] = invite
        self.changes.append(invite)

    def answers(self, request: Request | None = None) -> None:
        """An answer to some request of the trunk."""
        if request is None and self.waiting:
            request = self.chance.choice(self.waiting)
        if request is None:
            return
        status = self._status(request)
        if status >= 200 and self._challenges(request):
            status = 401
        tag, first = request.toAddress.tag, request.toAddress.tag is None
        if first:
            tag = self.chance.choice(("far", "far", "fork"))
        headers: list[tuple[str, str]] = []
        body = b""
        if request.method == "INVITE":
            if status == 200 and not self._now(0.3) or status == 183:
                body = self.body(request.body)
            if 100 < status < 200 and self.chance.random() < 0.3:
                headers = [("Require", "100rel"), ("RSeq", str(self.chance.randrange(1, 4)))]
            if status == 422 and self.chance.random() < 0.5:
                headers = [("Min-SE", "1900")]
            if status == 302:
                number = self.chance.choice(("+4455", "112", "404"))
                headers = [("Contact", f"<sip:{number}@{self.chance.choice(self.hosts())}>")]
            if status == 200 and self.chance.random() < 0.5:
                headers.append(("Allow", "INVITE, ACK, BYE, UPDATE, REFER, NOTIFY"))
            if first and 100 < status < 300:
                if not any(each.invite is request and each.tag == tag for each in self.dialogs):
                    self.dialogs.append(Known(request, None, tag or ""))
        elif request.method == "UPDATE" and status == 200 and request.body:
            body = self.body(request.body)
        if status == 401:
            headers = [("WWW-Authenticate", CHALLENGE)]
        if status >= 200 and not (status < 300 and first and self.chance.random() < 0.2):
            # The trunk may hear of another branch that answers.
            self.waiting.remove(request)
        self.neighbour.answers(request, status, body, tag or "far", headers)

    def _challenges(self, request: Request) -> bool:
        asked = not self.diligent and request.header("Authorization") is None
        return asked and self.chance.random() < self.challenges

    def _status(self, request: Request) -> int:
        if self.diligent:
            return 200
        if self._now(0.5):
            return self.chance.choice((100, 302, 404, 408, 422, 481, 486, 488, 491, 500, 503, 603))
        return self.chance.choice((180, 183, 200, 200)) if request.method == "INVITE" else 200

    def hosts(self) -> list[str]:
        """Where numbers may be: with us, at this neighbour, with strangers."""
        ours = "198.51.100.2:40000" if self.secure else "198.51.100.1"
        own = "carrier.example" if self.secure else "192.0.2.10:5070"
        return [ours, ours, own, "elsewhere.example"]

    def acknowledges(self) -> None:
        """The ACK of some 2xx, with an answer where that was the offer."""
        if not self.unacknowledged:
            return
        at = self.chance.randrange(len(self.unacknowledged))
        invite, response = self.unacknowledged[at]
        if self.diligent or self.chance.random() < 0.9:
            del self.unacknowledged[at]
        self.neighbour.ack(invite, response, b"" if invite.body else self.body(response.body))

    def cancels(self) -> None:
        """CANCEL of some INVITE, whether it is answered or not."""
        if self.changes:
            self.neighbour.cancel(self.chance.choice(self.changes))

    def _dialog(self) -> Known | None:
        return self.chance.choice(self.dialogs) if self.dialogs else None

    def within(
        self, method: str, body: bytes = b"", headers: Headers = (), known: Known | None = None
    ) -> None:
        """A request in some dialog."""
        known = known or self._dialog()
        if known is None:
            return
        known.number += 1
        if known.made is not None:
            request = self.neighbour.within(known.invite, known.made, method, known.number, body, headers)
        else:
            request = self.neighbour.back(known.invite, method, known.number, known.tag, body, headers)
        if method == "INVITE":
            self.changes.append(request)

    def pracks(self) -> None:
        """PRACK of some response, at times with an offer."""
        if not self.reliable:
            return
        response = self.reliable.pop(self.chance.randrange(len(self.reliable)))
        rack = ("RAck", f"{response.header('RSeq')} {response.cseq.number} INVITE")
        for known in self.dialogs:
            if known.made is not None and known.invite.callID == response.callID:
                body = self.body() if self.chance.random() < 0.3 else b""
                self.within("PRACK", body, [rack], known)
                return

    def refers(self, others: Sequence[Known]) -> None:
        """A REFER: blind, attended, into its own world, to an emergency number, or with nonsense."""
        number = self.chance.choice(("+4430", "+4431"))
        if self._now(0.3):
            number = self.chance.choice(("112", "404", ""))
        target = f"sip:{number}@" if number else "sip:"
        target += self.chance.choice(self.hosts())
        pick = self.chance.random()
        if pick < 0.55 and others:
            names = Replaces(*self.chance.choice(others).names, earlyOnly=self.chance.random() < 0.1)
            target += f"?Replaces={names.escaped()}"
        elif pick < 0.65:
            target += "?Replaces=one%3Bto-tag%3D1%3Bfrom-tag%3D2"
        self.within("REFER", b"", [("Refer-To", f"<{target}>")])

    def replaces(self, uri: str, others: Sequence[Known]) -> None:
        """A call that is to take over another one."""
        if others:
            names = Replaces(*self.chance.choice(others).names, earlyOnly=self.chance.random() < 0.2)
            self.invites(uri, [("Replaces", str(names))])

    def notifies(self) -> None:
        """A NOTIFY of what became of a REFER."""
        status = self.chance.choice(("100 Trying", "180 Ringing", "200 OK", "503 None", "nonsense"))
        state = self.chance.choice(("active;expires=60", "terminated;reason=noresource"))
        body = f"SIP/2.0 {status}\r\n".encode()
        self.neighbour.twist = lambda message: message.withBody(body, "message/sipfrag").encode()
        event = self.chance.choice(("refer", "refer", "refer;id=3", "presence"))
        self.within("NOTIFY", b"", [("Event", event), ("Subscription-State", state)])
        self.neighbour.twist = None

    def loses(self) -> None:
        """The connection breaks; the next one is there at once, or later."""
        if self.neighbour.channel.reliable:
            transactions = self.neighbour.side.transactions
            transactions.channelLost(self.neighbour.channel, ChannelFailed("reset"))
        self.neighbour.finder.down = self.chance.random() < 0.3


__all__ = ["Known", "Player"]
