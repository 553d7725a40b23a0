"""
Scenarios for sipp, put together from steps.

Words in square brackets are sipp's own: C{[call_id]}, C{[media_port]}, C{[next_url]}...
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

#: A fixed key for peers that sign the SDP but carry no SRTP themselves: 30 octets, 0 to 29.
FIXED_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"


class Scenario:
    """The steps of one call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._steps: list[str] = []
        self._variables: set[str] = set()
        self._labels = 0

    def xml(self) -> str:
        """The file that sipp reads."""
        # sipp refuses a variable that is set and never used.
        names = ",".join(sorted(self._variables))
        used = [f'  <Reference variables="{names}"/>'] if names else []
        ends = [f'  <label id="{number + 101}"/>' for number in range(self._labels)]
        steps = "\n".join(self._steps + ends + used)
        head = '<?xml version="1.0" encoding="ISO-8859-1" ?>'
        return f'{head}\n<scenario name="{self._name}">\n{steps}\n</scenario>\n'

    def send(self, message: str, *, retransmit: bool = True) -> Scenario:
        """
        Send a message; over UDP again and again until the next expected one comes.

        @param retransmit: off for ACK and for what nobody answers.
        """
        indented = textwrap.indent(message, "      ")
        attributes = ' retrans="500"' if retransmit else ""
        self._steps.append(f"  <send{attributes}>\n    <![CDATA[\n\n{indented}\n    ]]>\n  </send>")
        return self

    def request(
        self,
        method: str,
        *,
        store: bool = False,
        optional: bool = False,
        body: str = "",
        keep: Mapping[str, str] | None = None,
        tag: str = "",
        next: int | None = None,
        called: str = "",
        within: int = 0,
        otherwise: int = 0,
    ) -> Scenario:
        """
        Wait for a request.

        @param store: keep its route set and Contact for requests of our own.
        @param body: a regular expression that its body has to match.
        @param keep: header names by the variable that keeps what stands behind the colon, for C{[$variable]}.
        @param tag: the variable that keeps the tag in From.
        @param next: the L{label} to go on at when it has come.
        @param called: a regular expression for To; C{next} is for requests that match it.
        @param within: milliseconds to wait; then it goes on at the label C{otherwise}.
        """
        what = f'request="{method}"' + ("" if next is None else f' next="{next}"')
        if called:
            what += f' test="called{next}"'
        if within:
            what += f' timeout="{within}" ontimeout="{otherwise}"'
        found = _tag(tag, "From")
        if called:
            found[f"called{next}"] = ("To", called)
        return self._receive(what, store, optional, False, body, keep or {}, found)

    def response(
        self,
        status: int,
        *,
        store: bool = False,
        optional: bool = False,
        challenge: bool = False,
        body: str = "",
        keep: Mapping[str, str] | None = None,
        tag: str = "",
    ) -> Scenario:
        """
        Wait for a response.

        @param challenge: keep its challenge for C{[authentication]}.
        @param tag: the variable that keeps the tag in To.
        """
        what = f'response="{status}"'
        return self._receive(what, store, optional, challenge, body, keep or {}, _tag(tag, "To"))

    def _receive(
        self,
        what: str,
        store: bool,
        optional: bool,
        challenge: bool,
        body: str,
        keep: Mapping[str, str],
        patterns: Mapping[str, tuple[str, str]],
    ) -> Scenario:
        switches = {"rrs": store, "optional": optional, "auth": challenge}
        attributes = "".join(f' {name}="true"' for name, on in switches.items() if on)
        found = [
            f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}"/>'
            for name, header in keep.items()
        ]
        self._variables |= set(keep)
        for name, (header, pattern) in patterns.items():
            # With a group, what it matched goes to the second variable.
            names = f"whole,{name}" if "(" in pattern else name
            found.append(f'<ereg regexp="{pattern}" search_in="hdr" header="{header}:" assign_to="{names}"/>')
            self._variables |= set(names.split(","))
        if body:
            found.append(f'<ereg regexp="{body}" search_in="body" check_it="true" assign_to="found"/>')
            self._variables.add("found")
        action = f"><action>{''.join(found)}</action></recv>" if found else "/>"
        self._steps.append(f"  <recv {what}{attributes}{action}")
        return self

    def label(self, number: int) -> Scenario:
        """A place to go on at; who gets here by the step before it is at the end of the scenario."""
        self._labels += 1
        self._steps.append(f'  <nop next="{self._labels + 100}"/>\n  <label id="{number}"/>')
        return self

    def pause(self, milliseconds: int) -> Scenario:
        """Do nothing for a while."""
        self._steps.append(f'  <pause milliseconds="{milliseconds}"/>')
        return self

    def play(self, file: str, payloadType: int = 8) -> Scenario:
        """Send a headerless G.711 file to where the peer's SDP says, again and again, and go on at once."""
        self._steps.append(f'  <nop><action><exec rtp_stream="{file},-1,{payloadType}"/></action></nop>')
        return self


def _tag(variable: str, header: str) -> dict[str, tuple[str, str]]:
    return {variable: (header, "tag=([^;[:space:]]+)")} if variable else {}


def sdp(
    *,
    connection: str = "[media_ip]",
    port: str = "[rtpstream_audio_port]",
    version: int = 1,
    attributes: Sequence[str] = ("sendrecv",),
    secure: Sequence[str] = (),
    more: Sequence[str] = (),
    session: Sequence[str] = (),
    name: str = "-",
) -> str:
    """
    A session description of one audio stream, PCMA and telephone-event.

    @param attributes: C{a=} values of the audio stream.
    @param secure: C{a=crypto} values; with any the stream is RTP/SAVP.
    @param more: further lines, after the audio stream's.
    @param session: C{a=} values of the session.
    """
    origin = f"o=peer 53655765 {version} IN IP4 [local_ip]"
    lines = ["v=0", origin, f"s={name}", f"c=IN IP4 {connection}", "t=0 0"]
    lines += [f"a={value}" for value in session]
    lines += [f"m=audio {port} {'RTP/SAVP' if secure else 'RTP/AVP'} 8 101"]
    lines += ["a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20"]
    lines += [f"a={value}" for value in attributes]
    lines += [f"a=crypto:{value}" for value in secure]
    lines += list(more)
    return "\n".join(lines) + "\n"


def _message(start: str, headers: Sequence[str], body: str) -> str:
    lines = [start, *headers]
    if body:
        return "\n".join([*lines, "Content-Type: application/sdp", "Content-Length: [len]", "", body])
    return "\n".join([*lines, "Content-Length: 0", "", ""])


def invite(body: str, *, caller: str = "1001", headers: Sequence[str] = ()) -> str:
    """The first INVITE of a caller, to the called number."""
    return _message(
        "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
        [
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
            f"From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]a[call_number]",
            "To: <sip:[service]@[remote_ip]:[remote_port]>",
            "Call-ID: [call_id]",
            "CSeq: 1 INVITE",
            f"Contact: <sip:{caller}@[local_ip]:[local_port];transport=[transport]>",
            "Max-Forwards: 70",
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS",
            *headers,
        ],
        body,
    )


def again(method: str, number: int, body: str = "", *, caller: str = "1001") -> str:
    """A request of the caller inside the dialog: ACK, BYE, a second INVITE; C{number} is its CSeq."""
    contact = f"Contact: <sip:{caller}@[local_ip]:[local_port];transport=[transport]>"
    return _message(
        f"{method} [next_url] SIP/2.0",
        [
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
            f"From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]a[call_number]",
            "To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]",
            "[routes]",
            "Call-ID: [call_id]",
            f"CSeq: {number} {method}",
            *([contact] if method == "INVITE" else []),
            "Max-Forwards: 70",
        ],
        body,
    )


def acknowledge() -> str:
    """The ACK of a refusal, which belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3)."""
    return _message(
        "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
        [
            "[last_Via:]",
            "[last_From:]",
            "[last_To:]",
            "[last_Call-ID:]",
            "CSeq: 1 ACK",
            "Max-Forwards: 70",
        ],
        "",
    )


def answer(
    status: str,
    body: str = "",
    *,
    tag: bool = True,
    contact: str = "<sip:[local_ip]:[local_port];transport=[transport]>",
    headers: Sequence[str] = (),
) -> str:
    """
    A response to the last request received.

    @param status: code and reason.
    @param tag: give To a tag; not for a request inside the dialog, which has it already.
    """
    return _message(
        f"SIP/2.0 {status}",
        [
            "[last_Via:]",
            "[last_From:]",
            "[last_To:]" + (";tag=[pid]b[call_number]" if tag else ""),
            "[last_Call-ID:]",
            "[last_CSeq:]",
            "[last_Record-Route:]",
            f"Contact: {contact}",
            *headers,
        ],
        body,
    )
