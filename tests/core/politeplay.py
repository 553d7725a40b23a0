"""
A neighbour that keeps to the RFCs, and yet does everything that they allow, in any order, for
L{tests.core.test_polite}.  What the trunk sends waits until the neighbour reads it, so that messages cross.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf

from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.replaces import Replaces
from tests.core.callnet import KEY, OTHER_KEY, Neighbour, sdp
from tests.core.races import BOUND

Headers = Sequence[tuple[str, str]]

ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, REFER, NOTIFY, OPTIONS")

SENDS = ("sendrecv", "sendonly")
RECEIVES = ("sendrecv", "recvonly")


def directionOf(body: bytes) -> str:
    """What a description says of its audio."""
    found = re.search(rb"^a=(sendrecv|sendonly|recvonly|inactive)\r$", body, re.MULTILINE)
    return "sendrecv" if found is None else found[1].decode()


def _withStatus(body: bytes, message: Request | Response) -> bytes:
    return message.withBody(body, "message/sipfrag").encode()


def limited(wish: str, offer: str) -> str:
    """The direction of an answer (RFC 3264 section 6.1)."""
    sends = wish in SENDS and offer in RECEIVES
    receives = wish in RECEIVES and offer in SENDS
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (sends, receives), "inactive"
    )


@dataclass(frozen=True)
class Said:
    """One description of a neighbour."""

    port: int
    direction: str
    body: bytes


@dataclass(eq=False)
class Talk:
    """
    One dialog, which C{ours} we have begun.

    @ivar wish: the direction that is wanted, C{before} the one that was before that was asked for.
    @ivar made: the response that made it, where it is ours.
    @ivar local: what we have agreed to last, C{remote} what the trunk has.
    @ivar offered: our offer that waits for its answer, in C{offering}.
    @ivar asking: our INVITE that has no final answer; C{serving}: the trunk's.
    @ivar preview: what was said in a provisional response that may be lost; C{answered} in a reliable one.
    @ivar unacknowledged: the CSeq number of our 2xx that waits for its ACK.
    @ivar reliable: our RSeq that waits for its PRACK, C{sequence} the last of either side.
    @ivar seen: the trunk's CSeq number.
    @ivar updates: the trunk takes UPDATE.
    @ivar retry: what is tried again, and when.
    @ivar pending: requests without a final response.
    @ivar until: when a branch that has not answered is over.
    @ivar acks: by CSeq number, our INVITE and the body of its ACK.
    @ivar odd: it has refused what it could have taken.
    """

    invite: Request
    tag: str
    ours: bool
    key: str
    wish: str = "sendrecv"
    made: Response | None = None
    number: int = 1
    local: Said | None = None
    remote: bytes = b""
    before: str = "sendrecv"
    offered: Said | None = None
    offering: str = ""
    asking: Request | None = None
    serving: Request | None = None
    preview: Said | None = None
    answered: bool = False
    unacknowledged: int | None = None
    reliable: int | None = None
    sequence: int = 0
    seen: int = 0
    updates: bool = False
    confirmed: bool = False
    ended: bool = False
    odd: bool = False
    cancelled: bool = False
    retry: tuple[float, Callable[[], None]] | None = None
    pending: int = 0
    until: float = inf
    acks: dict[int, tuple[Request, bytes]] = field(default_factory=dict)

    @property
    def theirTag(self) -> str:
        """The trunk's."""
        if not self.ours:
            return self.invite.fromAddress.tag or ""
        return "" if self.made is None else self.made.toAddress.tag or ""

    @property
    def names(self) -> tuple[str, str, str]:
        """Call-ID, the trunk's tag, ours."""
        return self.invite.callID, self.theirTag, self.tag

    @property
    def free(self) -> bool:
        """An offer may be made now."""
        busy = self.asking or self.serving or self.offered or self.unacknowledged or self.retry
        return self.confirmed and not self.ended and not busy


class Agent:
    """
    One neighbour.

    @ivar calm: it refuses nothing, and leaves nothing unanswered.
    @ivar faults: what the trunk should not have done.
    @ivar refuses: how often it refuses an INVITE.
    @ivar redirects: hosts to which it redirects.
    """

    def __init__(self, neighbour: Neighbour, secure: bool, chance: random.Random) -> None:
        self.neighbour = neighbour
        self.secure = secure
        self.chance = chance
        self.talks: list[Talk] = []
        self.calm = False
        self.faults: list[str] = []
        self.refuses = 0.0
        self.redirects: Sequence[str] = ()
        self._read = 0
        self._version = 0
        self._port = 7000
        self._served: dict[tuple[str, str], Response | None] = {}
        self._asked: dict[tuple[str, str], tuple[Talk, Request]] = {}
        self._done: set[tuple[str, str]] = set()
        self._tags = 0

    # Descriptions

    def describe(self, talk: Talk, direction: str) -> Said:
        """A new description, with a port of its own."""
        self._version += 1
        self._port += 2
        media = f"m=audio {self._port} RTP/{'SAVP' if self.secure else 'AVP'} 8 101\r\n"
        media += "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        if self.secure:
            media += f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {talk.key}\r\n"
        media += f"a={direction}\r\n"
        return Said(self._port, direction, sdp(media, self.neighbour.host, self._version))

    def _answer(self, talk: Talk, offer: bytes) -> Said:
        """To an offer of the trunk; from now on it stands."""
        # A change that is asked for, and not offered yet, may be refused.
        wish = talk.before if talk.confirmed and talk.asking is not None else talk.wish
        answer = self.describe(talk, limited(wish, directionOf(offer)))
        talk.local, talk.remote = answer, offer
        return answer

    def _offer(self, talk: Talk, method: str) -> Said:
        talk.offered = self.describe(talk, talk.wish)
        talk.offering = method
        return talk.offered

    def _agreed(self, talk: Talk, answer: bytes) -> None:
        """The trunk's answer to our offer."""
        if talk.offered is not None:
            talk.local, talk.remote, talk.offered = talk.offered, answer, None

    def fault(self, text: str, message: object = "") -> None:
        """Something that the trunk should not have done."""
        self.faults.append(f"{self._now():.1f} {self.neighbour.side.name}: {text} {message!r}")

    def _now(self) -> float:
        return self.neighbour.channel.clock.seconds()

    # What the trunk has sent

    @property
    def unread(self) -> int:
        """Messages that are on their way."""
        return len(self.neighbour.channel.sent) - self._read

    def read(self) -> None:
        """The next message."""
        if self.unread:
            message = self.neighbour.channel.sent[self._read].message
            self._read += 1
            if isinstance(message, Response):
                self._responded(message)
            elif message.method == "ACK":
                self._acknowledged(message)
            else:
                self._requested(message)

    def respond(self, request: Request, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        """Answer a request within a dialog, or with the tag that it has."""
        tag = request.toAddress.tag or self._newTag()
        self._say(request, status, tag, body, headers)

    def _say(self, request: Request, status: int, tag: str, body: bytes = b"", headers: Headers = ()) -> None:
        response = self.neighbour.answers(request, status, body, tag, (*headers, ALLOW))
        if status >= 200:
            self._served[request.topVia.branch or "", request.method] = response

    def _newTag(self) -> str:
        self._tags += 1
        return f"fork{self._tags}"

    def _find(self, request: Request) -> Talk | None:
        names = request.callID, request.fromAddress.tag or "", request.toAddress.tag or ""
        return next((each for each in self.talks if each.names == names), None)

    def _requested(self, request: Request) -> None:
        key = request.topVia.branch or "", request.method
        if key in self._served:
            again = self._served[key]
            if again is not None:
                self.neighbour.says(again)
            return
        self._served[key] = None
        if request.method == "CANCEL":
            self._cancelled(request)
        elif request.toAddress.tag is None:
            if request.method == "INVITE":
                self._fork(request)
            else:
                self.respond(request, 481)
        else:
            talk = self._find(request)
            if talk is None or (talk.ended and request.method != "NOTIFY"):
                self.respond(request, 481)
            elif request.cseq.number <= talk.seen:
                self.fault("CSeq out of order", request)
            else:
                talk.seen = request.cseq.number
                self._within(talk, request)

    def _fork(self, request: Request) -> Talk:
        key = self.chance.choice((KEY, OTHER_KEY))
        talk = Talk(request, self._newTag(), False, key, serving=request)
        talk.wish = self.chance.choice(("sendrecv", "sendrecv", "sendonly", "inactive"))
        talk.number = self.chance.randrange(1, 100)
        talk.seen = request.cseq.number
        talk.updates = "UPDATE" in (request.header("Allow") or "")
        self.talks.append(talk)
        return talk

    def _cancelled(self, cancel: Request) -> None:
        self.respond(cancel, 200)
        for talk in self.talks:
            invite = talk.serving
            if invite is not None and invite.topVia.branch == cancel.topVia.branch:
                if self._served[invite.topVia.branch or "", "INVITE"] is None:
                    self._say(invite, 487, talk.tag)
                talk.serving = None
                talk.ended = talk.ended or not talk.confirmed

    def _within(self, talk: Talk, request: Request) -> None:
        method = request.method
        if method == "BYE":
            if talk.serving is not None and talk.confirmed:
                self._say(talk.serving, 487, talk.tag)
            talk.serving, talk.ended = None, True
            self.respond(request, 200)
        elif method == "INVITE":
            if not talk.confirmed:
                self.fault("INVITE in an early dialog", request)
            if talk.unacknowledged is not None:
                self.fault("INVITE before the ACK", request)
            if talk.asking is not None or talk.offered is not None:
                self.respond(request, 491)
            elif talk.serving is not None:
                self.respond(request, 500, headers=[("Retry-After", "1")])
                self.fault("a second INVITE", request)
            else:
                talk.serving = request
                talk.answered = False
        elif method == "UPDATE" and request.body:
            if talk.offered is not None:
                self.respond(request, 491)
            elif talk.serving is not None and not talk.answered:
                self.respond(request, 500, headers=[("Retry-After", "1")])
                self.fault("UPDATE over an offer of its own", request)
            else:
                self.respond(request, 200, self._answer(talk, request.body).body)
        elif method == "PRACK":
            rack = (request.header("RAck") or "").split()
            if talk.reliable is None or rack[:1] != [str(talk.reliable)]:
                self.fault(f"PRACK of {rack} where {talk.reliable} waits", request)
            talk.reliable = None
            self.respond(request, 200)
        elif method == "REFER":
            self._refer(talk, request)
        else:
            self.respond(request, 200)

    def _refer(self, talk: Talk, request: Request) -> None:
        if self.chance.random() < 0.3:
            self.respond(request, 603)
            return
        self.respond(request, 202)
        for status, state in (("100 Trying", "active"), ("200 OK", "terminated;reason=noresource")):
            body = f"SIP/2.0 {status}\r\n".encode()
            event = ("Event", f"refer;id={request.cseq.number}"), ("Subscription-State", state)
            self.neighbour.twist = partial(_withStatus, body)
            self.send(talk, "NOTIFY", headers=event)
            self.neighbour.twist = None

    def _acknowledged(self, ack: Request) -> None:
        talk = self._find(ack)
        if talk is None or talk.unacknowledged != ack.cseq.number:
            return
        talk.unacknowledged = None
        talk.confirmed = True
        if talk.offered is not None and talk.offering == "200":
            if not ack.body:
                self.fault("an ACK without the answer", ack)
            self._agreed(talk, ack.body)
        elif ack.body:
            self.fault("an ACK with a description", ack)

    # Answers

    def _responded(self, response: Response) -> None:
        key = response.topVia.branch or "", response.cseq.method
        found = self._asked.get(key)
        if found is None:
            return
        talk, request = found
        if response.status == 100:
            return
        if request.method == "INVITE" and 200 <= response.status < 300 and key in self._done:
            invite, body = talk.acks[request.cseq.number]
            self.neighbour.ack(invite, response, body)
            return
        if key in self._done:
            if request.method == "INVITE" and response.status >= 300:
                self.neighbour.ackOf(response)
            return
        if response.status < 200:
            self._progressed(talk, request, response)
            return
        self._done.add(key)
        talk.pending -= 1
        if response.status == 500 and response.header("Retry-After") is None:
            self.fault("500", response)
        early = talk.ours and not talk.cancelled and request.method != "INVITE"
        alive = not talk.ended and (talk.confirmed or early)
        if response.status == 481 and alive and request.method != "REFER":
            self.fault(f"481 to {request.method}", response)
        if request.method == "INVITE":
            self._invited(talk, request, response)
        elif request.method in ("UPDATE", "PRACK") and request.body:
            if response.status < 300:
                self._agreed(talk, response.body)
            else:
                self._refused(talk, request, response)

    def _progressed(self, talk: Talk, request: Request, response: Response) -> None:
        if request.method != "INVITE" or request.toAddress.tag is not None or talk.ended:
            return
        if talk.made is not None and response.toAddress.tag != talk.made.toAddress.tag:
            self.fault("another To tag", response)
        talk.made = talk.made or response
        talk.updates = "UPDATE" in (response.header("Allow") or "UPDATE")
        number = int(response.header("RSeq") or 0)
        if number and number <= talk.sequence and talk.sequence:
            return
        if number and response.body and talk.offering == "INVITE":
            self._agreed(talk, response.body)
        if number:
            talk.sequence = number
            rack = [("RAck", f"{number} {request.cseq.number} INVITE")]
            body = b""
            if talk.offered is None and talk.local is not None and self.chance.random() < 0.3:
                talk.before = talk.wish
                body = self._offer(talk, "PRACK").body
            self.send(talk, "PRACK", body, rack)

    def _invited(self, talk: Talk, request: Request, response: Response) -> None:
        first = request.toAddress.tag is None
        talk.asking = None
        if response.status >= 300:
            self.neighbour.ackOf(response)
            if first:
                talk.ended = True
            else:
                self._refused(talk, request, response)
            return
        if first and talk.made is not None and response.toAddress.tag != talk.made.toAddress.tag:
            self.fault("another To tag", response)
        if first:
            talk.made = response
        body = b""
        if request.body:
            if talk.offered is not None and talk.offering == "INVITE":
                if not response.body:
                    self.fault("a 2xx without answer", response)
                self._agreed(talk, response.body)
        elif talk.ended:
            body = self.describe(talk, "inactive").body
        else:
            if not response.body:
                self.fault("a 2xx without offer", response)
            body = self._answer(talk, response.body).body
        talk.acks[request.cseq.number] = request, body
        self.neighbour.ack(request, response, body)
        talk.confirmed = True
        if talk.cancelled and first and not talk.ended:
            self.bye(talk)

    def _refused(self, talk: Talk, request: Request, response: Response) -> None:
        """What stood before stands; after glare it is tried again."""
        talk.offered = None
        wish, talk.wish = talk.wish, talk.before
        if talk.ended or talk.cancelled and request.method == "INVITE":
            talk.cancelled = False
            return
        if response.status in (491, 500):
            delay = self.chance.uniform(2.1, 4.0) if talk.ours else self.chance.uniform(0.0, 2.0)

            def again() -> None:
                self.change(talk, request.method if request.method != "PRACK" else "INVITE", wish)

            talk.retry = self._now() + delay, again

    # What it does of its own

    def send(self, talk: Talk, method: str, body: bytes = b"", headers: Headers = ()) -> Request:
        """A request within a dialog."""
        talk.number += 1
        headers = (*headers, ALLOW)
        if talk.ours:
            assert talk.made is not None
            request = self.neighbour.within(talk.invite, talk.made, method, talk.number, body, headers)
        else:
            request = self.neighbour.back(talk.invite, method, talk.number, talk.tag, body, headers)
        talk.pending += 1
        self._asked[request.topVia.branch or "", method] = talk, request
        return request

    def call(self, uri: str, headers: Headers = ()) -> None:
        """A new call: with an offer or without."""
        more = [*headers]
        if self.chance.random() < 0.6:
            more.append((self.chance.choice(("Require", "Supported", "Supported")), "100rel"))
        if self.chance.random() < 0.3:
            more += [("Session-Expires", "90;refresher=uas"), ("Supported", "timer")]
        if self.chance.random() < 0.7:
            more.append(ALLOW)
        key = self.chance.choice((KEY, OTHER_KEY))
        talk = Talk(_NOTHING, "", True, key)
        talk.wish = talk.before = self.chance.choice(("sendrecv", "sendrecv", "sendonly", "inactive"))
        body = self._offer(talk, "INVITE").body if self.chance.random() < 0.75 else b""
        talk.asking = talk.invite = self._invite(talk, uri, body, more)

    def _invite(self, talk: Talk, uri: str, body: bytes, headers: Headers) -> Request:
        said: list[Request] = []
        says = self.neighbour.says

        def first(message: Request | Response) -> None:
            # Before the trunk has it: its answer may come at once.
            if not said and isinstance(message, Request):
                said.append(message)
                talk.invite, talk.tag = message, message.fromAddress.tag or ""
                talk.pending += 1
                self.talks.append(talk)
                self._asked[message.topVia.branch or "", "INVITE"] = talk, message
            says(message)

        self.neighbour.says = first  # type: ignore[method-assign]
        try:
            return self.neighbour.invite(uri, body, headers)
        finally:
            self.neighbour.says = says  # type: ignore[method-assign]

    def rings(self) -> None:
        """A provisional response of some branch."""
        found = [each for each in self.talks if each.serving is not None and not each.ended]
        if not found:
            return
        talk = self.chance.choice(found)
        invite = talk.serving
        assert invite is not None
        if talk.confirmed:
            self._say(invite, self.chance.choice((100, 180)), talk.tag)
            return
        if self.chance.random() < 0.25:
            until, talk = talk.until, self._fork(invite)
            talk.until = until
        late = not invite.body
        needs = "100rel" in (invite.header("Require") or "")
        may = needs or "100rel" in (invite.header("Supported") or "")
        headers: list[tuple[str, str]] = []
        body = b""
        reliable = may and talk.reliable is None and (needs or self.chance.random() < 0.6)
        if may and talk.reliable is not None and self.chance.random() < 0.9:
            return
        if reliable:
            talk.sequence += 1
            talk.reliable = talk.sequence
            headers = [("Require", "100rel"), ("RSeq", str(talk.sequence))]
        if not late and self.chance.random() < 0.6 and not talk.answered:
            said = talk.preview or self._answer(talk, invite.body)
            talk.preview, body = said, said.body
            if reliable:
                talk.answered = True
        self._say(invite, 183 if body else 180, talk.tag, body, headers)

    def accepts(self, talk: Talk | None = None) -> None:
        """A final response to an INVITE."""
        found = [each for each in self.talks if each.serving is not None and each.reliable is None]
        if talk is None and not found:
            return
        talk = talk or self.chance.choice(found)
        invite = talk.serving
        assert invite is not None
        if not self.calm and self.chance.random() < self.refuses:
            self._refuses(talk, invite)
            return
        body = b""
        if not invite.body:
            talk.before = talk.wish
            body = self._offer(talk, "200").body
        elif not talk.answered:
            body = (talk.preview or self._answer(talk, invite.body)).body
        talk.answered = True
        talk.unacknowledged = invite.cseq.number
        for each in self.talks:
            if each is not talk and each.serving is invite:
                each.until = self._now() + (BOUND - 2.0 if self.chance.random() < 0.1 else 0.0)
        self._ends()
        talk.serving, talk.preview, talk.until = None, None, inf
        headers = []
        if "timer" in (invite.header("Supported") or "") and self.chance.random() < 0.1:
            headers = [("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]
        self._say(invite, 200, talk.tag, body, headers)

    def acceptsAll(self) -> bool:
        """Whatever may be answered now is; false where there is nothing."""
        found = [e for e in self.talks if e.serving is not None and e.reliable is None and not e.ended]
        for talk in found:
            if talk.serving is not None:
                self.accepts(talk)
        return bool(found)

    def _refuses(self, talk: Talk, invite: Request) -> None:
        if talk.confirmed:
            status = self.chance.choice((488, 491, 503))
            talk.odd = talk.odd or status != 491
            self._say(invite, status, talk.tag)
            talk.serving = None
            return
        status = self.chance.choice((302, 404, 486, 503, 603)) if self.redirects else 486
        number = self.chance.choice(("+4455", "+4456"))
        contact = ("Contact", f"<sip:{number}@{self.chance.choice(self.redirects)}>")
        for each in self.talks:
            if each.serving is invite:
                each.serving, each.ended = None, True
        self._say(invite, status, talk.tag, b"", [contact] if status == 302 else [])

    def cancels(self) -> None:
        """An INVITE is taken back."""
        found = [each for each in self.talks if each.asking is not None and not each.cancelled]
        found = [each for each in found if each.made is not None]
        if found:
            talk = self.chance.choice(found)
            talk.cancelled = True
            assert talk.asking is not None
            self.neighbour.cancel(talk.asking)

    def change(self, talk: Talk, method: str, wish: str | None = None) -> None:
        """An offer within a call, or, as INVITE, the wish for one."""
        talk.before = talk.wish
        talk.wish = wish or self.chance.choice(("sendrecv", "sendonly", "inactive", "recvonly"))
        if method == "UPDATE" and talk.updates:
            self.send(talk, "UPDATE", self._offer(talk, "UPDATE").body)
            return
        body = self._offer(talk, "INVITE").body if wish or self.chance.random() < 0.8 else b""
        talk.cancelled = False
        talk.asking = self.send(talk, "INVITE", body)

    def changes(self) -> None:
        """Hold, resume, or something between."""
        found = [each for each in self.talks if each.free]
        if found:
            self.change(self.chance.choice(found), self.chance.choice(("INVITE", "UPDATE")))

    def updatesEarly(self) -> None:
        """An UPDATE before the call is answered (RFC 3311 section 5.1)."""
        for talk in self.talks:
            early = not talk.confirmed and not talk.ended and not talk.cancelled and talk.updates
            mine = talk.ours and talk.made is not None and talk.asking is not None and talk.local is not None
            theirs = talk.serving is not None and talk.answered and talk.reliable is None
            if early and (mine or theirs) and talk.offered is None and talk.retry is None:
                talk.before = talk.wish
                talk.wish = self.chance.choice(("sendrecv", "sendonly", "inactive"))
                self.send(talk, "UPDATE", self._offer(talk, "UPDATE").body)
                return

    def asks(self, method: str) -> None:
        """INFO, OPTIONS, or an UPDATE that changes nothing."""
        found = [each for each in self.talks if each.confirmed and not each.ended]
        if found:
            self.send(self.chance.choice(found), method)

    def bye(self, talk: Talk | None = None) -> None:
        """The end of a call."""
        found = [each for each in self.talks if each.confirmed and not each.ended]
        talk = talk or (self.chance.choice(found) if found else None)
        if talk is None or talk.unacknowledged is not None:
            return
        talk.ended = True
        if talk.serving is not None:
            self._say(talk.serving, 487, talk.tag)
            talk.serving = None
        self.send(talk, "BYE")

    def _ends(self) -> None:
        """Branches of which another one has answered are over, at once or a little later."""
        for talk in self.talks:
            if talk.until <= self._now() and talk.serving is not None:
                talk.serving, talk.ended = None, True

    def retries(self) -> None:
        """What was put off."""
        self._ends()
        now = self._now()
        for talk in self.talks:
            if talk.retry is not None and talk.retry[0] <= now:
                again = talk.retry[1]
                talk.retry = None
                if talk.free:
                    again()

    def refers(self, hosts: Sequence[str]) -> None:
        """A transfer: blind or attended."""
        found = [e for e in self.talks if e.confirmed and not e.ended and e.unacknowledged is None]
        if not found:
            return
        talk = self.chance.choice(found)
        target = f"sip:+4430@{self.chance.choice(hosts)}"
        mine = [each for each in self.talks if each is not talk and (each.made or each.confirmed)]
        if mine and self.chance.random() < 0.5:
            target += f"?Replaces={Replaces(*self.chance.choice(mine).names).escaped()}"
        self.send(talk, "REFER", headers=[("Refer-To", f"<{target}>")])

    def replaces(self, uri: str) -> None:
        """A call that is to take over another one of this neighbour."""
        found = [each for each in self.talks if each.confirmed and not each.ended]
        if found:
            self.call(uri, [("Replaces", str(Replaces(*self.chance.choice(found).names)))])


_NOTHING = Request("INVITE", "sip:nobody@invalid", (), b"")

__all__ = ["RECEIVES", "SENDS", "Agent", "Said", "Talk", "directionOf"]
