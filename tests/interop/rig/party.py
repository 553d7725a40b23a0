"""
What the two scripted parties of a call write: a PBX, and a carrier behind stunnel.

A scenario of a carrier that calls begins with the trunk's REGISTER: that is the connection to call over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.interop.rig.calls import PBX_NUMBER
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.scenarios import FIXED_KEY, Scenario, sdp

#: What a called party keeps of the INVITE, for requests of its own in the dialog.
KEPT = {"from": "From", "to": "To"}

#: What has to be kept of a request that is answered after another one came: see L{late}.
LATE = {"via": "Via", "from": "From", "to": "To", "callid": "Call-ID", "cseq": "CSeq"}

SDP_TYPE = "application/sdp"


class InDialog(Protocol):
    """L{Party.again} and L{Party.back}."""

    def __call__(
        self, method: str, number: int, body: str = "", *, headers: Sequence[str] = (), kind: str = SDP_TYPE
    ) -> str: ...


@dataclass(frozen=True)
class Party:
    """
    How one side writes its messages.

    @ivar via: sent-protocol and sent-by, after C{SIP/2.0/}.
    @ivar contact: its own Contact, which says where requests of the dialog go.
    @ivar uri: whom it calls, as Request-URI.
    @ivar caller: its From, without tag.
    @ivar called: its To, without tag.
    @ivar callID: of calls that it makes.
    @ivar secure: its media is SRTP, with a fixed key.
    """

    via: str
    contact: str
    uri: str
    caller: str
    called: str
    callID: str
    secure: bool

    def sdp(
        self,
        version: int = 1,
        *,
        direction: str = "sendrecv",
        port: str = "[media_port]",
        connection: str = "[media_ip]",
        codec: int = 8,
    ) -> str:
        """
        An audio stream with one codec and telephone-event.

        @param codec: 8, A-law, or 0, mu-law.
        """
        secure = [f"1 AES_CM_128_HMAC_SHA1_80 inline:{FIXED_KEY}"] if self.secure else []
        body = sdp(version=version, attributes=[direction], port=port, connection=connection, secure=secure)
        return body if codec == 8 else body.replace("AVP 8", "AVP 0").replace("8 PCMA", "0 PCMU")

    def invite(
        self,
        body: str = "",
        *,
        headers: Sequence[str] = (),
        hops: int = 70,
        kind: str = SDP_TYPE,
        method: str = "INVITE",
        number: int = 1,
    ) -> str:
        """
        The first INVITE of a call that it makes, or another request outside dialogs.

        @param hops: Max-Forwards.
        @param kind: Content-Type.
        @param number: CSeq, of a request that is not the first with its Call-ID.
        """
        return self._request(
            f"{method} {self.uri}",
            f"From: {self.caller};tag=[pid]a[call_number]",
            f"To: {self.called}",
            self.callID,
            f"{number} {method}",
            body,
            (f"Max-Forwards: {hops}", *headers),
            kind,
        )

    def again(
        self, method: str, number: int, body: str = "", *, headers: Sequence[str] = (), kind: str = SDP_TYPE
    ) -> str:
        """A request in the dialog of a call that it made; C{number} is its CSeq."""
        return self._request(
            f"{method} [next_url]",
            f"From: {self.caller};tag=[pid]a[call_number]",
            f"To: {self.called}[peer_tag_param]",
            self.callID,
            f"{number} {method}",
            body,
            ("[routes]", "Max-Forwards: 70", *headers),
            kind,
        )

    def back(
        self,
        method: str,
        number: int,
        body: str = "",
        *,
        headers: Sequence[str] = (),
        kind: str = SDP_TYPE,
        tag: str = "b",
    ) -> str:
        """A request in the dialog of a call that it got; the INVITE was received with L{KEPT}."""
        return self._request(
            f"{method} [next_url]",
            f"From:[$to];tag=[pid]{tag}[call_number]",
            "To:[$from]",
            "[call_id]",
            f"{number} {method}",
            body,
            ("[routes]", "Max-Forwards: 70", *headers),
            kind,
        )

    def refusalTaken(self, number: int = 1, *, inside: bool = False) -> str:
        """
        The ACK of a refused INVITE that it sent, of its transaction (RFC 3261 section 17.1.1.3).

        @param inside: it was a re-INVITE.
        """
        uri = "[next_url]" if inside else self.uri
        lines = ["[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]"]
        lines += [f"CSeq: {number} ACK", "Max-Forwards: 70", "Content-Length: 0"]
        return "\n".join([f"ACK {uri} SIP/2.0", *lines, "", ""])

    def answer(
        self,
        status: str,
        body: str = "",
        *,
        tag: str = "b",
        headers: Sequence[str] = (),
        kind: str = SDP_TYPE,
    ) -> str:
        """
        A response to the last request received.

        @param tag: what makes its To tag; empty for a request in a dialog, which has one already.
        """
        lines = ["[last_Via:]", "[last_From:]"]
        lines.append("[last_To:]" + (f";tag=[pid]{tag}[call_number]" if tag else ""))
        lines += ["[last_Call-ID:]", "[last_CSeq:]", "[last_Record-Route:]", f"Contact: {self.contact}"]
        return _message(f"SIP/2.0 {status}", (*lines, *headers), body, kind)

    def _request(
        self,
        start: str,
        sender: str,
        to: str,
        callID: str,
        number: str,
        body: str,
        headers: Sequence[str],
        kind: str,
    ) -> str:
        lines = [f"Via: SIP/2.0/{self.via};branch=[branch];rport", sender, to]
        lines += [f"Call-ID: {callID}", f"CSeq: {number}", f"Contact: {self.contact}"]
        return _message(f"{start} SIP/2.0", (*lines, *headers), body, kind)

    # What calls begin and end with

    def calls(self, scenario: Scenario, invite: str) -> Scenario:
        """It calls: the INVITE, answers to be told afterwards."""
        return scenario.send(invite).response(100, optional=True)

    def connected(self, scenario: Scenario) -> Scenario:
        """Its call is answered and confirmed."""
        for status in (180, 183):
            scenario.response(status, optional=True)
        return scenario.response(200, store=True).send(self.again("ACK", 1), retransmit=False)

    def hangsUp(
        self, scenario: Scenario, number: int, *, called: bool = False, headers: Sequence[str] = ()
    ) -> Scenario:
        """It ends the call, with this CSeq."""
        return scenario.send(self.inside(called)("BYE", number, headers=headers)).response(200)

    def inside(self, called: bool) -> InDialog:
        """How it writes requests in a dialog in which it was the callee, or the caller."""
        return self.back if called else self.again

    def hungUp(self, scenario: Scenario) -> Scenario:
        """The other one ends the call."""
        return scenario.request("BYE").send(self.answer("200 OK", tag=""), retransmit=False)

    def isCalled(self, scenario: Scenario) -> Scenario:
        """It is called, and has not answered."""
        return scenario.request("INVITE", store=True, keep=KEPT)

    def answers(self, scenario: Scenario, body: str = "", *, headers: Sequence[str] = ()) -> Scenario:
        """It answers the call that it got, and the answer is confirmed."""
        return scenario.send(self.answer("200 OK", body or self.sdp(), headers=headers)).request("ACK")


def _message(start: str, headers: Sequence[str], body: str, kind: str) -> str:
    lines = [start, *headers]
    if body:
        return "\n".join([*lines, f"Content-Type: {kind}", "Content-Length: [len]", "", body])
    return "\n".join([*lines, "Content-Length: 0", "", ""])


PBX = Party(
    via="[transport] [local_ip]:[local_port]",
    contact="<sip:1001@[local_ip]:[local_port];transport=[transport]>",
    uri="sip:[service]@[remote_ip]:[remote_port]",
    caller="<sip:1001@[local_ip]:[local_port]>",
    called="<sip:[service]@[remote_ip]:[remote_port]>",
    callID="[call_id]",
    secure=False,
)

# sipp goes by what stands behind the slashes, so one scenario can hold the REGISTER and a call of its own.
CARRIER = Party(
    via=f"TLS {DOMAIN}",
    contact=f"<sip:edge@{DOMAIN};transport=tls>",
    uri="[next_url]",
    caller=f"<sip:+4930123456@{DOMAIN}>",
    called=f"<sip:{PBX_NUMBER}@{DOMAIN}>",
    callID="inbound///[call_id]",
    secure=True,
)


def lateAs(prefix: str) -> dict[str, str]:
    """L{LATE}, with variables of another name."""
    return {f"{prefix}{variable}": header for variable, header in LATE.items()}


def late(response: str, prefix: str = "") -> str:
    """C{response} as the answer to a request of which L{LATE} was kept, rather than to the last one."""
    for variable, header in lateAs(prefix).items():
        response = response.replace(f"[last_{header}:]", f"{header}:[${variable}]")
    return response


def established(
    name: str,
    *,
    inbound: bool,
    headers: Sequence[str] = (),
    callee: Sequence[str] = (),
    invite: str = "",
) -> tuple[Scenario, Scenario]:
    """
    The scenarios of a call that is up: the PBX's and the carrier's, or with C{inbound} the other way.

    @param headers: of the caller's INVITE.
    @param callee: headers of its answer.
    @param invite: all of the caller's INVITE.
    @return: the caller's and the callee's.
    """
    theirs, ours = (CARRIER, PBX) if inbound else (PBX, CARRIER)
    called = ours.answers(ours.isCalled(Scenario(f"{name} callee")), headers=callee)
    calling = Scenario(f"{name} caller")
    if inbound:
        registrar(calling)
    theirs.calls(calling, invite or theirs.invite(theirs.sdp(), headers=headers))
    return theirs.connected(calling), called


def registrar(scenario: Scenario) -> Scenario:
    """The carrier grants the trunk's REGISTER, to call it afterwards."""
    granted = CARRIER.answer("200 OK", headers=["Expires: 3600"])
    granted = granted.replace(f"Contact: {CARRIER.contact}", "[last_Contact:]")
    return scenario.request("REGISTER", store=True).send(granted, retransmit=False).pause(300)
