"""
Plays call flows with skypetrunk in the place of one user agent.

The flow's messages are those of one leg, the I{wire}; what the user agent's owner does (calls, answers, hangs
up) is done by the neighbour on the other leg, the I{user}.  Everybody else of the flow (proxies, registrars,
redirect servers, the other phone) is played on the wire, from the steps.
"""

from __future__ import annotations

import re
from typing import Any

from skypetrunk.core.sides import FOLLOW, PASS
from skypetrunk.testing import MemoryCredentials, RecordingChannel
from skypetrunk.wire.digest import makeChallenge, parseCredentials, verify
from skypetrunk.wire.headers import NameAddr, parseNameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.sdp import DIRECTIONS, parseSDP
from skypetrunk.wire.secret import Secret
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import PCMA, SAVP, CallNet, Neighbour, sdp

Step = dict[str, Any]

PASSWORD = "s3cret"

#: Notes that are a header, written by the test and looked for in what skypetrunk sends.
_HEADER = re.compile(
    r"(Supported|Require|RSeq|RAck|Session-Expires|Min-SE|Subscription-State|Contact): (.*)"
).fullmatch
_AFTER = re.compile(r"after (\d+) s").fullmatch
_PROXIES = re.compile(r"(?:Record-)?Route: ((?:proxy\d(?:, )?)+)").fullmatch


class FlowFailed(Exception):
    """A step that went otherwise."""


class FlowNet(CallNet):
    """A net whose trunks use any transport, as the phones and proxies of the RFCs do; all is verified."""

    def __init__(self, transport: str, second: bool, redirect: str) -> None:
        self._transport = transport
        super().__init__("tcp" if transport == "tcp" else "udp", second)
        for neighbour in (self.pbx, self.carrier, self.second):
            if neighbour is not None:
                neighbour.side.credentials = MemoryCredentials({"*": ("account", PASSWORD)})
                neighbour.side.redirect = redirect
                neighbour.side.redirectAllow = {"chicago.example", "other.example"}

    def _trunk(self, name: str, host: str, limit: int | None) -> Neighbour:
        neighbour = super()._trunk(name, host, limit)
        port = 40000 if self._transport == "tls" else 5060
        channel = RecordingChannel(
            self.clock, f"{self._transport}:{host}:5061", f"{self._transport}:198.51.100.2:{port}", True
        )
        neighbour.channel = neighbour.finder.channel = channel
        return neighbour


def proxy(name: str) -> str:
    """The Record-Route value of a proxy of the flow."""
    return f"<sip:{name}.example;lr>"


class Player:
    """
    One flow, one user agent.

    @ivar net: the two legs.
    """

    def __init__(self, flow: dict[str, Any], actor: str, leg: str, transport: str) -> None:
        """
        @param actor: whose place skypetrunk takes.
        @param leg: where the flow's messages are: C{"carrier"} or C{"pbx"}.
        """
        self.steps: list[Step] = inOrder(flow["steps"], actor)
        self.actor = actor
        self.all: list[Step] = flow["steps"]
        # Proxy failure: the next server is another trunk.
        second = flow["id"] == "3665-3.4" and actor == "alice"
        self.net = FlowNet(transport, second, PASS if actor == "peer" else FOLLOW)
        self.wire = getattr(self.net, leg)
        self._setTimers()
        self.user: Neighbour = self.net.pbx if leg == "carrier" else self.net.carrier
        self._places = {"proxy2": self.net.second} if self.net.second else {}
        self._place: Neighbour = self.wire
        # The wire.
        self._read: dict[int, int] = {}
        self._requests: dict[tuple[str, int], Request] = {}  # ours, by method and the flow's number
        self._received: dict[tuple[str, int | None], Request] = {}  # sent to us, likewise
        self._shift: int | None = None  # our CSeq number less the flow's
        self._last = 0
        self._callID = "flow@wire"
        self._ours = ""  # From or To of skypetrunk, with its tag once there is one
        self._theirs = ""
        self._target = ""  # skypetrunk's Contact
        self._contact = "sip:peer@192.0.2.4:5071"
        self._redirection: NameAddr | None = None
        self._routes: list[str] = []
        self._up = False
        self._tag = 0
        self._realms: dict[str, str] = {}
        self._numbers = 0
        self._branches = 0
        self._reliable: int | None = None  # our RSeq less the flow's
        self._supported = ""  # of the wire
        self._given = False  # our answer, in a reliable response
        self._versions = 0
        # The user.
        self._seen = 0
        self._near: Request | None = None
        self._accepted: Response | None = None
        self._far: Request | None = None
        self._first: Request | None = None
        self._userNumber = 1
        self._userVersions = 0

    def _setTimers(self) -> None:
        """The session intervals that the flow has skypetrunk ask for and take."""
        mine = [step for step in self.steps if step["from"] == self.actor]
        for step in mine[:1]:
            for note in map(_HEADER, step.get("notes", [])):
                if note is not None and note[1] == "Session-Expires":
                    self.wire.side.sessionExpires = int(note[2])
                elif note is not None and note[1] == "Min-SE":
                    self.wire.side.leastExpires = int(note[2])

    def play(self) -> None:
        """
        Do all steps, and end what is up.

        @raise FlowFailed: with the first step that went otherwise.
        """
        for step in self.steps:
            try:
                if step["from"] == self.actor:
                    self._expect(step)
                else:
                    self._say(step)
                self._userReacts()
            except (FlowFailed, AssertionError) as problem:
                raise FlowFailed(f"{step['n']}: {problem}") from problem
        rest = [name(message) for message in self._unread(self._place) if not _isTrying(message)]
        if rest:
            raise FlowFailed(f"not in the flow: {rest}")
        self._end()

    # What skypetrunk sends

    def _unread(self, place: Neighbour) -> list[Request | Response]:
        at = self._read.get(id(place), 0)
        return place.channel.messages[at:]

    def _take(self, place: Neighbour, step: Step) -> Request | Response | None:
        """The next message on the wire, a 100 that the flow does not tell of left out."""
        unread = self._unread(place)
        while unread:
            message = unread.pop(0)
            if _isTrying(message) and step.get("status") != 100:
                self._read[id(place)] = self._read.get(id(place), 0) + 1
                continue
            if name(message) != step.get("method", step.get("status")):
                raise FlowFailed(f"{name(message)} instead")
            self._read[id(place)] = self._read.get(id(place), 0) + 1
            return message
        return None

    def _expect(self, step: Step) -> None:
        place = self._place = self._places.get(step["to"]) or self.wire
        notes = step.get("notes", [])
        message = self._take(place, step)
        if message is None:
            self._urge(step, notes)
            self._userReacts()
            message = self._take(place, step)
        if message is None:
            raise FlowFailed(f"no {step.get('method', step.get('status'))} is sent")
        if isinstance(message, Request):
            self._checkRequest(message, step, notes)
        else:
            self._checkResponse(message, step)
        self._checkBody(message, step)
        for note in notes:
            header = _HEADER(note)
            if header is not None and header[1] == "Contact":
                self._checkPassed(message, parseNameAddr(header[2]))
            elif header is not None and header[1] == "RSeq":
                self._checkOrder(message, int(header[2]))
            elif header is not None and header[2] not in message.values(header[1]):
                raise FlowFailed(f"{header[1]} is {message.header(header[1])!r} instead of {header[2]!r}")

    def _checkOrder(self, message: Request | Response, wanted: int) -> None:
        """RSeq begins anywhere and goes up by one (RFC 3262 section 3)."""
        number = int(message.header("RSeq") or -1)
        self._reliable = number - wanted if self._reliable is None else self._reliable
        same("RSeq", number - self._reliable, wanted)
        self._given = self._given or bool(message.body)

    def _urge(self, step: Step, notes: list[str]) -> None:
        """The user, or time, makes skypetrunk send what C{step} says."""
        method = step.get("method")
        if "retransmission" in notes or any("next server" in note for note in notes):
            self._wait(40)
        elif any(_AFTER(note) for note in notes):
            self._wait(next(int(after[1]) for after in map(_AFTER, notes) if after))
        elif method == "OPTIONS" and not self._up:
            self._wait(600)
        elif method == "INVITE" and self._first is None:
            body = b"" if self._sdp(step) == "none" else self._userBody("")
            uri = "sip:+4420@198.51.100.1" if self.user is self.net.pbx else "sip:account@198.51.100.2:40000"
            self._near = self._first = self.user.invite(uri, body)
        elif method == "CANCEL":
            assert self._near is not None
            self.user.cancel(self._near)
        elif method == "INVITE":
            self._near = self._userRequest("INVITE", self._userBody(self._sdp(step)))
        elif method is not None and method != "ACK":
            self._userRequest(method, b"")
        elif method is None and self._far is not None:
            status = step["status"]
            described = self._sdp(step) != "none" and 180 < status < 300
            body = self._userBody(self._sdp(step)) if described else b""
            contacts = [("Contact", each[2]) for each in map(_HEADER, notes) if each and each[1] == "Contact"]
            self.user.answers(self._far, status, body, headers=contacts if status >= 300 else [])

    def _wait(self, seconds: int) -> None:
        for _ in range(seconds * 2):
            if any(not _isTrying(message) for message in self._unread(self._place)):
                return
            self.net.clock.advance(0.5)

    def _checkRequest(self, request: Request, step: Step, notes: list[str]) -> None:
        method = request.method
        if "retransmission" in notes:
            if request != self._requests[key(step)]:
                raise FlowFailed("a retransmission that differs")
            return
        if any("next server" in note for note in notes):
            self._again(request)
        self._checkSequence(request, step)
        invite = self._requests.get(("INVITE", request.cseq.number - (self._shift or 0)))
        if method == "CANCEL":
            assert invite is not None
            for field in ("uri", "callID"):
                same(field, getattr(request, field), getattr(invite, field))
            for header in ("From", "To", "Via"):
                same(header, request.values(header)[0], invite.values(header)[0])
        elif method == "ACK":
            assert invite is not None
            sameBranch = request.topVia.branch == invite.topVia.branch
            if sameBranch is self._up:
                raise FlowFailed("the ACK of a 2xx has a branch of its own, others that of the INVITE")
        elif request.topVia.branch in {each.topVia.branch for each in self._requests.values()}:
            raise FlowFailed("a branch is used again")
        if self._theirs:
            same("Call-ID", request.callID, self._callID)
            same("From", request.header("From"), self._ours)
        if method == "INVITE" and self._redirection is not None:
            self._checkRedirected(request, self._redirection)
        if self._up and method != "CANCEL":
            same("To", request.header("To"), self._theirs)
            same("Request-URI", request.uri, self._contact)
            same("Route", [str(route) for route in request.routes], self._routes)
            hop = self._routes[0].strip("<>") if self._routes else self._contact
            if method != "ACK" or not sameBranch:
                same("next hop", self._place.finder.asked[-1], hop)
        for header in ("Authorization", "Proxy-Authorization"):
            realms = [realm for realm, known in self._realms.items() if known == header]
            proofs = [parseCredentials(value) for value in request.values(header)]
            if method not in ("ACK", "CANCEL"):
                same(f"realms of {header}", sorted(proof.realm for proof in proofs), sorted(realms))
                if not all(verify(proof, Secret(PASSWORD), method, request.body) for proof in proofs):
                    raise FlowFailed(f"{header} proves nothing")
        if method == "INVITE" and not self._up:
            self._callID, self._ours = request.callID, request.header("From") or ""
        if request.contacts:
            self._target = str(request.contacts[0].uri)
        self._requests[method, request.cseq.number - (self._shift or 0)] = request

    def _checkRedirected(self, request: Request, contact: NameAddr) -> None:
        """RFC 3261 section 8.1.3.4: another Request-URI, and the rest stays."""
        before = self._requests["INVITE", request.cseq.number - (self._shift or 0) - 1]
        for header in ("Call-ID", "From", "To"):
            same(header, request.header(header), before.header(header))
        wanted = str(contact.uri) if self.wire is not self.net.pbx else f"{contact.uri}:5070"
        same("Request-URI", request.uri, wanted.replace("sips:", "sip:") if ":5070" in wanted else wanted)
        same("Contact", str(request.contacts[0].uri).partition(":")[0], request.uri.partition(":")[0])
        first, *_, last = (asked.partition("@")[2] for asked in self._place.finder.asked)
        same("next hop", last, first)
        self._redirection = None

    def _checkPassed(self, message: Request | Response, wanted: NameAddr) -> None:
        """A redirection that crossed: number and preference, at our address or the carrier's domain."""
        assert isinstance(wanted.uri, SIPURI)
        host = "198.51.100.1:5060" if self.wire is self.net.pbx else "carrier.example"
        same("Contact", message.header("Contact"), f"<sip:{wanted.uri.user}@{host}>{wanted.params}")

    def _again(self, request: Request) -> None:
        """A new dialog of the same call, towards another server."""
        if request.callID == self._callID:
            raise FlowFailed("the Call-ID of the failed attempt")
        self._requests.clear()
        self._shift, self._last, self._theirs, self._callID = None, 0, "", request.callID
        self._ours = request.header("From") or ""

    def _checkSequence(self, request: Request, step: Step) -> None:
        number = request.cseq.number
        if "cseq" in step:
            wanted = int(step["cseq"].split()[0])
            if self._shift is None:
                # Where a phone of the RFC begins to count is its own choice, and ours is ours.
                self._shift = number - wanted
            same("CSeq number", number - self._shift, wanted)
        elif request.method not in ("ACK", "CANCEL") and number <= self._last:
            raise FlowFailed("CSeq does not go up")
        self._last = max(self._last, number)

    def _checkResponse(self, response: Response, step: Step) -> None:
        same("CSeq method", response.cseq.method, step.get("cseq", f"0 {response.cseq.method}").split()[1])
        if response.cseq.method == "INVITE" and response.status > 100:
            tag = response.header("To") or ""
            if response.toAddress.tag is None:
                raise FlowFailed("no To tag")
            if self._ours and ";tag=" in self._ours:
                same("To", tag, self._ours)
            self._ours = tag
            if response.contacts:
                self._target = str(response.contacts[0].uri)
            if response.status < 300:
                self._up = self._up or response.status >= 200
                routes = [str(route) for route in response.recordRoutes]
                same("Record-Route", routes, self._routes)

    def _checkBody(self, message: Request | Response, step: Step) -> None:
        wanted = self._sdp(step)
        if wanted == "none":
            if message.body:
                raise FlowFailed("SDP where none belongs")
            return
        if wanted == "" or (not message.body and isinstance(message, Response) and message.status < 200):
            return
        if not message.body and self._given:
            # The answer stood in a reliable response.
            return
        if not message.body:
            raise FlowFailed("no SDP")
        same("direction", parseSDP(message.body).media[0].direction, direction(wanted))

    # What skypetrunk is told

    def _say(self, step: Step) -> None:
        place = self._places.get(step["from"]) or self.wire
        message = self._response(step) if "status" in step else self._request(step)
        for note in step.get("notes", []):
            header = _HEADER(note)
            if header is not None:
                value = header[2]
                if header[1] == "RAck" and self._reliable is not None:
                    number, _, rest = value.partition(" ")
                    value = f"{int(number) + self._reliable} {rest}"
                if header[1] == "Contact" and "<" not in value:
                    value = "<sip:bob@chicago.example>"
                if self.wire is self.net.pbx:
                    # A PBX redirects to another of its own phones.
                    value = re.sub("@[^>]+", f"@{self.wire.host}", value)
                if header[1] == "Contact" and step.get("status", 0) >= 300:
                    self._redirection = parseNameAddr(value)
                message = message.withHeader(header[1], value)
                if header[1] == "Supported":
                    self._supported = value
        if self._supported and "method" in step:
            # What a user agent can do it can do in its other requests, too.
            message = message.withHeader("Supported", self._supported)
        if "method" in step:
            assert isinstance(message, Request)
            self._received[message.method, step.get("cseq") and int(step["cseq"].split()[0])] = message
        place.says(message)

    def _response(self, step: Step) -> Response:
        status, notes = step["status"], step.get("notes", [])
        method, number = self._answered(step)
        request = self._requests[method, number]
        headers: list[tuple[str, str]] = []
        if status in (401, 407):
            name, ours = (
                ("WWW-Authenticate", "Authorization")
                if status == 401
                else ("Proxy-Authenticate", "Proxy-Authorization")
            )
            realm = step.get("realm", "carrier.example")
            self._realms[realm] = ours
            headers.append((name, makeChallenge(realm, f"nonce of {step['n']}")))
        if any("To tag differs" in note for note in notes):
            self._tag += 1
        tag = f"peer{self._tag}" if 100 < status < 300 else f"refusal of {step['n']}".replace(" ", "-")
        body = b""
        if method == "INVITE" and 100 < status < 300:
            self._routes = self._wantedRoutes()
            headers += [("Record-Route", route) for route in reversed(self._routes)]
            headers.append(("Contact", f"<{self._contact}>"))
            headers.append(("Allow", ", ".join(sorted({s["method"] for s in self.all if "method" in s}))))
            if self._sdp(step) not in ("", "none") and status > 180:
                body = self._wireBody(self._sdp(step))
                headers.append(("Content-Type", "application/sdp"))
        if self._up:
            tag = self._theirs.rpartition("=")[2]
        response = responseTo(request, status, None, headers, body, toTag=None if status == 100 else tag)
        if method == "INVITE" and 200 <= status < 300:
            self._theirs, self._up = response.header("To") or "", True
        return response

    def _answered(self, step: Step) -> tuple[str, int]:
        """Which request of ours this answers."""
        if "cseq" in step:
            number, method = step["cseq"].split()
            return method, int(number)
        return [sent for sent in self._requests if sent[0] != "ACK"][-1]

    def _wantedRoutes(self) -> list[str]:
        """The route set that the user agent has in the flow, next hop first."""
        for step in self.steps:
            if step["from"] == self.actor and step.get("method") in ("ACK", "BYE"):
                for note in step.get("notes", []):
                    routes = _PROXIES(note)
                    if routes is not None:
                        return [proxy(each) for each in routes[1].split(", ")]
        return []

    def _request(self, step: Step) -> Request:
        method, notes = step["method"], step.get("notes", [])
        initial = not self._theirs
        if initial:
            self._theirs = "<sip:peer@192.0.2.4>;tag=peer"
            self._ours = "<sip:account@198.51.100.2>"
            secure = self.wire is not self.net.pbx
            self._target = "sip:account@198.51.100.2:40000" if secure else "sip:+4420@198.51.100.1"
        if method == "INVITE" and not self._up:
            # A new attempt after a refusal, whose tag made no dialog.
            self._ours = self._ours.partition(";tag=")[0]
        if any("new Contact" in note for note in notes):
            self._contact = "sip:peer@192.0.2.99:5071"
        number = int(step["cseq"].split()[0]) if "cseq" in step else self._number(method)
        self._numbers = max(self._numbers, number)
        invite = self._received.get(("INVITE", number)) or self._received.get(("INVITE", None))
        sameBranch = method == "CANCEL" or (method == "ACK" and not self._up)
        if sameBranch:
            assert invite is not None
            vias = list(invite.values("Via"))[:1]
        else:
            self._branches += 1
            transport = self.wire.channel.peer.transport
            vias = [f"SIP/2.0/{transport} 192.0.2.4:5070;branch=z9hG4bKw{self._branches}"]
        lines = [Header("Via", via) for via in vias]
        for note in notes:
            if note.startswith("Record-Route: "):
                proxies = (_PROXIES(note) or ["", ""])[1].split(", ")
                self._routes = [proxy(each) for each in proxies]
                lines += [Header("Record-Route", route) for route in self._routes]
        lines += [
            Header("Max-Forwards", "68"),
            Header("From", self._theirs),
            Header("To", (invite.header("To") or "") if method == "CANCEL" and invite else self._ours),
            Header("Call-ID", self._callID),
            Header("CSeq", f"{number} {method}"),
            Header("Contact", f"<{self._contact}>"),
        ]
        body = b""
        if method in ("INVITE", "ACK") and self._sdp(step) not in ("", "none"):
            body = self._wireBody(self._sdp(step))
            lines.append(Header("Content-Type", "application/sdp"))
        uri = invite.uri if sameBranch and invite else self._target
        return Request(method, uri, tuple(lines), body)

    def _number(self, method: str) -> int:
        return self._numbers if method in ("ACK", "CANCEL") else self._numbers + 1

    # Session descriptions

    def _sdp(self, step: Step) -> str:
        """C{"none"}, C{""} for what the flow leaves open, or what it says, also of the hop before."""
        if "sdp" in step:
            return str(step["sdp"])
        what = step.get("method", step.get("status"))
        cseq = step.get("cseq")
        if what not in ("INVITE", 200, 183) or (cseq or "INVITE").split()[-1] != "INVITE":
            return "none" if what == "ACK" else ""
        if what == 200 and cseq is None and self._answersOther(step):
            return ""
        for before in reversed(self.all[: self.all.index(step)]):
            if before.get("method", before.get("status")) == what and "sdp" in before:
                return str(before["sdp"])
        return "offer" if what == "INVITE" else "answer"

    def _answersOther(self, step: Step) -> bool:
        """Does this answer a request that is no INVITE?"""
        between = [s for s in self.all[: self.all.index(step)] if "method" in s and s["method"] != "ACK"]
        return bool(between) and between[-1]["method"] != "INVITE"

    def _wireBody(self, wanted: str) -> bytes:
        if "same as" not in wanted and "preview" not in wanted:
            self._versions += 1
        media = PCMA if self.wire is self.net.pbx else SAVP
        host = self._contact.partition("@")[2].partition(":")[0]
        return sdp(f"{media}a={direction(wanted)}\r\n", host, max(self._versions, 1))

    def _userBody(self, wanted: str) -> bytes:
        self._userVersions += 1
        media = PCMA if self.user is self.net.pbx else SAVP
        return sdp(f"{media}a={direction(wanted)}\r\n", self.user.host, self._userVersions)

    # The user

    def _userRequest(self, method: str, body: bytes) -> Request:
        self._userNumber += 1
        if self._accepted is not None:
            assert self._first is not None
            return self.user.within(self._first, self._accepted, method, self._userNumber, body)
        if self._first is None:
            raise FlowFailed(f"no {method} is sent")
        return self.user.back(self._first, method, self._userNumber, body=body)

    def _userReacts(self) -> None:
        """What a phone does by itself: ACK, answers to BYE and CANCEL."""
        while self._seen < len(self.user.channel.sent):
            message = self.user.channel.messages[self._seen]
            self._seen += 1
            if isinstance(message, Response):
                if message.cseq.method == "INVITE" and message.status >= 300:
                    self.user.ackRefusal(message.status)
                elif message.cseq.method == "INVITE" and message.status >= 200:
                    assert self._near is not None
                    if self._near is self._first:
                        self._accepted = message
                    self.user.ack(self._near, message, b"" if self._near.body else self._userBody(""))
            elif message.method == "INVITE":
                self._far = message
                if self._first is None:
                    self._first = message
            elif message.method == "CANCEL":
                self.user.answers(message, 200)
                assert self._far is not None
                self.user.answers(self._far, 487)
            elif message.method != "ACK":
                self.user.answers(message, 200)

    def _end(self) -> None:
        """Hang up what is up; then nothing may be left."""
        if self.net.manager.callCount() and self._accepted is None and self._near is self._first:
            # The flow ends before anybody answers.
            self.wire.answers(self.wire.request("INVITE"), 480)
        elif self.net.manager.callCount():
            self._userRequest("BYE", b"")
            for message in self._unread(self._place):
                if isinstance(message, Request) and message.method in ("BYE", "CANCEL"):
                    self._place.answers(message, 200)
        self.net.settle()
        left = {what: number for what, number in self.net.leftovers().items() if number}
        if left:
            raise FlowFailed(f"left over: {left}")


def inOrder(steps: list[Step], actor: str) -> list[Step]:
    """The steps that C{actor} sends or gets; what it sent before it got the one above goes before that."""
    mine = [step for step in steps if actor in (step["from"], step["to"])]
    for at, step in enumerate(mine):
        if step["from"] == actor and any("sent before" in note for note in step.get("notes", [])):
            mine[at - 1], mine[at] = step, mine[at - 1]
    return mine


def key(step: Step) -> tuple[str, int]:
    """What a request is remembered by: method and the flow's CSeq number, 0 if it tells none."""
    return step["method"], int(step.get("cseq", "0").split()[0])


def name(message: Request | Response) -> str | int:
    """Method or status."""
    return message.method if isinstance(message, Request) else message.status


def direction(wanted: str) -> str:
    """The direction that a flow's word about SDP names, or the usual one."""
    return next((each for each in DIRECTIONS if each in wanted.split("=")[-1].split()), "sendrecv")


def same(what: str, seen: object, wanted: object) -> None:
    """@raise FlowFailed: they differ."""
    if seen != wanted:
        raise FlowFailed(f"{what} is {seen!r} instead of {wanted!r}")


def _isTrying(message: Request | Response) -> bool:
    return isinstance(message, Response) and message.status == 100


__all__ = ["FlowFailed", "Player", "inOrder"]
