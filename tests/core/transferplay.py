"""
Plays the transfers of RFC 5359 with skypetrunk in the place of one user agent.

As in L{tests.core.flowplay} the flow's messages are those of one side, the I{wire}, and what the user agent's
owner does is done by the neighbour on the other, the I{user}; but here the wire has several peers, each with
a dialog.
"""

from __future__ import annotations

import re
from typing import Any

from skypetrunk.core.sides import PASS, TAKE_OVER
from skypetrunk.wire.grammar import unescape
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.replaces import Replaces, parseReplaces
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import PCMA, SAVP, Neighbour, sdp
from tests.core.flowplay import FlowFailed, FlowNet, direction, same

Step = dict[str, Any]

STRANGERS = Replaces("bob-carol", "carol", "bob")
"""The call of two others, which did not go through this trunk."""

_BODY = re.compile(r"body (SIP/2.0 \d{3} \w+)").search


class Peer:
    """
    One party on the wire, with its dialog.

    @ivar invite: the first INVITE of it, whoever sent it.
    @ivar made: the response of ours that made the dialog, where the peer has called.
    @ivar called: it has.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.invite: Request | None = None
        self.made: Response | None = None
        self.ours: dict[str, Request] = {}
        self.called = False
        self.number = 0
        self.shift: int | None = None
        self.version = 0


class TransferPlayer:
    """One flow, one user agent."""

    def __init__(self, flow: dict[str, Any], actor: str, leg: str, transport: str) -> None:
        self.actor = actor
        self.steps = [step for step in flow["steps"] if actor in (step["from"], step["to"])]
        self.net = FlowNet(transport, False, "refuse")
        self.wire: Neighbour = getattr(self.net, leg)
        self.user = self.net.pbx if leg == "carrier" else self.net.carrier
        # Who refers to others has them called by the other side.
        self.refers = any(step.get("method") == "REFER" and step["from"] == actor for step in self.steps)
        self.net.carrier.side.ownTransfer = TAKE_OVER
        if self.refers:
            self.net.carrier.side.transfer = self.net.carrier.side.ownTransfer = PASS
        self.peers: dict[str, Peer] = {}
        self._read: set[int] = set()
        self._seen = 0
        self._calls: list[tuple[Request, Response | None]] = []  # the user's dialogs, and what made them
        self._numbers = 10

    def play(self) -> None:
        """
        Do all steps.

        @raise FlowFailed: with the first step that went otherwise.
        """
        for step in self.steps:
            try:
                name = step["to"] if step["from"] == self.actor else step["from"]
                peer = self.peers.setdefault(name, Peer(name))
                if step["from"] == self.actor:
                    self._expect(step, peer)
                else:
                    self._say(step, peer)
                self._userReacts()
            except (FlowFailed, AssertionError) as problem:
                raise FlowFailed(f"{step['n']}: {problem}") from problem
        rest = [each for each in self._unread() if getattr(each, "status", 0) != 100]
        if rest:
            raise FlowFailed(f"not in the flow: {rest}")
        self._end()

    # What skypetrunk sends

    def _unread(self) -> list[Request | Response]:
        return [each for at, each in enumerate(self.wire.channel.messages) if at not in self._read]

    def _take(self, step: Step, peer: Peer) -> Request | Response | None:
        known = {each.invite.callID for each in self.peers.values() if each.invite is not None}
        for at, message in enumerate(self.wire.channel.messages):
            kind = message.method if isinstance(message, Request) else message.status
            if at in self._read or kind != step.get("method", step.get("status")):
                continue
            if message.callID == (peer.invite.callID if peer.invite else None) or (
                peer.invite is None and message.callID not in known
            ):
                self._read.add(at)
                return message
        return None

    def _expect(self, step: Step, peer: Peer) -> None:
        message = self._take(step, peer)
        if message is None:
            self._urge(step, peer)
            self._userReacts()
            message = self._take(step, peer)
        if message is None:
            raise FlowFailed(f"no {step.get('method', step.get('status'))} among {self._unread()}")
        notes = step.get("notes", [])
        if isinstance(message, Request):
            self._checkRequest(step, peer, message)
        elif message.cseq.method == "INVITE" and message.status == 200 and peer.called:
            peer.made = message
        if "sdp" in step:
            same("direction", parseSDP(message.body).media[0].direction, direction(step["sdp"]))
        body = next((found[1] for found in map(_BODY, notes) if found), None)
        if body is not None:
            same("body", message.body.decode().strip(), body)
            ended = int(body.split()[1]) >= 200
            state = message.header("Subscription-State") or ""
            same("Subscription-State", state.partition(";")[0], "terminated" if ended else "active")
            same("Event", message.header("Event"), "refer")

    def _checkRequest(self, step: Step, peer: Peer, request: Request) -> None:
        if "cseq" in step:
            number = int(step["cseq"].split()[0])
            peer.shift = request.cseq.number - number if peer.shift is None else peer.shift
            same("CSeq", request.cseq.number - peer.shift, number)
        peer.ours[request.method] = request
        if peer.invite is None:
            peer.invite = request
        if any("Replaces:" in note for note in step.get("notes", [])):
            same("Replaces", parseReplaces(request.header("Replaces") or ""), STRANGERS)
            same("Require", "replaces" in request.values("Require"), True)
        if request.method == "REFER" and any("Replaces" in note for note in step.get("notes", [])):
            uri = (request.header("Refer-To") or "").strip("<>")
            carol = self.peers["carol"].invite
            assert carol is not None
            same("target", uri.partition("?")[0], f"sip:carol@{self.wire.host}:5071")
            value = dict(each.split("=", 1) for each in uri.partition("?")[2].split("&"))["Replaces"]
            wanted = Replaces(carol.callID, "carol", carol.fromAddress.tag or "")
            same("Replaces", parseReplaces(unescape(value)), wanted)

    def _urge(self, step: Step, peer: Peer) -> None:
        """The user does what makes skypetrunk send this."""
        method = step.get("method")
        if method == "INVITE" and peer.invite is None:
            self._calls.append((self.user.invite(self._ours(self.user), self._userBody("")), None))
        elif method == "INVITE":
            self._userRequest(peer, "INVITE", self._userBody(step["sdp"]))
        elif method == "REFER":
            self._userRequest(peer, "REFER", b"", [("Refer-To", self._userReference(step))])
        elif method == "BYE":
            self._userRequest(peer, "BYE", b"")
        elif method is None and self._ringing is not None:
            body = self._userBody(step.get("sdp", "")) if step["status"] == 200 else b""
            self.user.answers(self._ringing, step["status"], body)

    # What skypetrunk is told

    def _say(self, step: Step, peer: Peer) -> None:
        if "status" in step:
            method = step["cseq"].split()[1] if "cseq" in step else list(peer.ours)[-1]
            contact = f"<sip:{peer.name}@{self.wire.host}:5071>"
            body = self._wireBody(peer, step["sdp"]) if "sdp" in step else b""
            self.wire.answers(peer.ours[method], step["status"], body, peer.name, contact=contact)
            return
        method = step["method"]
        if method == "INVITE" and peer.invite is None:
            headers = []
            if any("Replaces" in note for note in step.get("notes", [])):
                headers = [("Replaces", str(self._replaced())), ("Require", "replaces")]
            peer.invite = self.wire.invite(self._ours(self.wire), self._wireBody(peer, step["sdp"]), headers)
            peer.called, peer.number = True, 1
            return
        if method == "ACK":
            peer.number -= 1
            self._send(self.wire, peer, "ACK", b"", [])
            return
        body = self._wireBody(peer, step["sdp"]) if "sdp" in step else b""
        headers = []
        if method == "REFER":
            host = "carrier.example" if self.wire is self.net.carrier else self.wire.host + ":5070"
            replaces = any("Replaces" in note for note in step["notes"])
            query = f"?Replaces={STRANGERS.escaped()}&Require=replaces"
            headers.append(("Refer-To", f"<sip:carol@{host}{query if replaces else ''}>"))
        if method == "NOTIFY":
            text = next(found[1] for found in map(_BODY, step["notes"]) if found)
            state = "active;expires=60" if " 1" in text else "terminated;reason=noresource"
            headers += [("Event", "refer"), ("Subscription-State", state)]
            self.wire.twist = lambda message: message.withBody(text.encode(), "message/sipfrag").encode()
        self._send(self.wire, peer, method, body, headers)
        self.wire.twist = None

    def _ours(self, neighbour: Neighbour) -> str:
        return "sip:+4420@198.51.100.1" if neighbour is self.net.pbx else "sip:account@198.51.100.2:40000"

    def _send(
        self, wire: Neighbour, peer: Peer, method: str, body: bytes, headers: list[tuple[str, str]]
    ) -> None:
        assert peer.invite is not None
        peer.number += 1
        if peer.made is None:
            wire.back(peer.invite, method, peer.number, peer.name, body, headers)
        else:
            wire.within(peer.invite, peer.made, method, peer.number, body, headers)

    def _replaced(self) -> Replaces:
        """The call of bob and carol, where skypetrunk is carol."""
        bob = self.peers["bob"]
        assert bob.invite is not None and bob.made is not None
        return Replaces(bob.invite.callID, bob.made.toAddress.tag or "", bob.invite.fromAddress.tag or "")

    def _wireBody(self, peer: Peer, wanted: str) -> bytes:
        peer.version += 1
        media = SAVP if self.wire is self.net.carrier else PCMA
        return sdp(f"{media}a={direction(wanted)}\r\n", self.wire.host, peer.version)

    # The user

    _ringing: Request | None = None

    def _userBody(self, wanted: str) -> bytes:
        self._numbers += 1
        media = SAVP if self.user is self.net.carrier else PCMA
        return sdp(f"{media}a={direction(wanted)}\r\n", self.user.host, self._numbers)

    def _userRequest(
        self, peer: Peer, method: str, body: bytes, headers: list[tuple[str, str]] | None = None
    ) -> None:
        invite, made = self._calls[list(self.peers).index(peer.name)]
        self._numbers += 1
        if made is None:
            self.user.back(invite, method, self._numbers, body=body, headers=headers or [])
        else:
            self.user.within(invite, made, method, self._numbers, body, headers or [])

    def _userReference(self, step: Step) -> str:
        """The Refer-To of the user, who knows its own dialogs."""
        target = "<sip:+4430@198.51.100.1"
        if not any("Replaces" in note for note in step["notes"]):
            return target + ">"
        invite, made = self._calls[list(self.peers).index("carol")]
        assert made is not None
        tags = made.toAddress.tag or "", invite.fromAddress.tag or ""
        return f"{target}?Replaces={Replaces(invite.callID, *tags).escaped()}>"

    def _userReacts(self) -> None:
        while self._seen < len(self.user.channel.messages):
            message = self.user.channel.messages[self._seen]
            self._seen += 1
            if isinstance(message, Response):
                if message.cseq.method == "INVITE" and message.status >= 200:
                    self._acknowledge(message)
            elif message.method == "INVITE" and message.toAddress.tag is None:
                self._ringing = message
                self._calls.append((message, None))
            elif message.method == "INVITE":
                offered = parseSDP(message.body).media[0].direction
                wanted = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, offered)
                self.user.answers(message, 200, self._userBody(f"a={wanted}"))
            elif message.method == "REFER":
                self.user.answers(message, 202)
            elif message.method != "ACK":
                self.user.answers(message, 200)

    def _acknowledge(self, accepted: Response) -> None:
        for at, (invite, made) in enumerate(self._calls):
            if invite.callID == accepted.callID:
                if made is None and invite.fromAddress.tag == accepted.fromAddress.tag:
                    self._calls[at] = invite, accepted
                number = f"{accepted.cseq.number} INVITE"
                if self._calls[at][1] is None:
                    self.user.back(invite, "ACK", accepted.cseq.number)
                else:
                    self.user.ack(invite.withHeader("CSeq", number), accepted)

    def _end(self) -> None:
        """Hang up what is up; then nothing may be left."""
        self.net.manager.drain(5.0)
        self.net.settle()
        left = {what: number for what, number in self.net.leftovers().items() if number}
        if left:
            raise FlowFailed(f"left over: {left}")


__all__ = ["TransferPlayer"]
