"""One INVITE with SDP: parsed, its routing headers read, written again; beside three other libraries."""

from __future__ import annotations

import importlib
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench.table import Figure, Row, ratio
from skypetrunk.wire.message import Request, parseMessage

RUNS = 9
TIMES = 300

Work = Callable[[bytes], object]

_INVITE = """\
INVITE sip:+{number}@sip.carrier.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKPj{branch};rport
Max-Forwards: 70
From: "Alice Example" <sip:100@192.0.2.20>;tag={tag}
To: <sip:+{number}@sip.carrier.example>
Contact: <sip:100@192.0.2.20:5060>
Call-ID: {call}
CSeq: {cseq} INVITE
Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER
Supported: 100rel, timer, replaces, norefersub
Session-Expires: 1800
Min-SE: 90
User-Agent: Some PBX 1.0
Content-Type: application/sdp
Content-Length: 245

v=0
o=- {session} 3842 IN IP4 192.0.2.20
s=Some PBX
c=IN IP4 192.0.2.20
t=0 0
m=audio {port} RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=sendrecv
""".replace("\n", "\r\n")


def _invites() -> list[bytes]:
    """As a PBX of today sends them, each for a call of its own; none comes twice."""
    return [
        _INVITE.format(
            number=random.randrange(10**11, 10**12),
            branch=random.randbytes(16).hex(),
            tag=random.randbytes(8).hex(),
            call=uuid.uuid4(),
            cseq=random.randrange(10000, 32768),
            session=random.randrange(1000, 10000),
            port=random.randrange(10000, 32768),
        ).encode("ascii")
        for _ in range(TIMES)
    ]


def _ours(invite: bytes) -> None:
    message = parseMessage(invite)
    assert isinstance(message, Request)
    assert message.topVia.branch and message.fromAddress.tag and not message.toAddress.tag
    assert message.cseq.number and message.callID and message.requestURI
    assert message.contacts[0].uri and message.body
    message.withHeader("Max-Forwards", "69").encode()


def _sippy() -> Work:
    request = importlib.import_module("sippy.SipRequest").SipRequest

    def work(invite: bytes) -> None:
        message = request(invite.decode())
        via, fromHeader, to = (message.getHFBody(name) for name in ("via", "from", "to"))
        assert via.getBranch() and fromHeader.getTag() and not to.getTag()
        assert message.getHFBody("cseq").cseq and message.getHFBody("call-id") and message.getRURI()
        assert message.getHFBody("contact").getUri() and message.body
        message.getHFBody("max-forwards").number = 69
        str(message)

    return work


def _sipmessage() -> Work:
    parse = importlib.import_module("sipmessage").Message.parse

    def work(invite: bytes) -> None:
        message = parse(invite)
        assert message.via[0].parameters.get("branch") and message.from_address.parameters.get("tag")
        assert not message.to_address.parameters.get("tag")
        assert message.cseq.sequence and message.call_id and message.uri
        assert message.contact[0].uri and message.body
        message.max_forwards = 69
        bytes(message)

    return work


def _twisted() -> Work:
    sip = importlib.import_module("twisted.protocols.sip")

    def work(invite: bytes) -> None:
        messages: list[Any] = []
        parser = sip.MessagesParser(messages.append)
        parser.dataReceived(invite)
        parser.dataDone()
        (message,) = messages
        headers = message.headers
        assert sip.parseViaHeader(headers["via"][0]).branch
        assert sip.parseAddress(headers["from"][0])[2]["tag"]
        assert "tag" not in sip.parseAddress(headers["to"][0])[2]
        assert headers["cseq"][0].split()[0] and headers["call-id"][0] and message.uri
        assert sip.parseAddress(headers["contact"][0])[1] and message.body
        headers["max-forwards"] = ["69"]
        message.toString()

    return work


_OTHERS = {
    "sippy": (_sippy, "sippy"),
    "sipmessage": (_sipmessage, "sipmessage"),
    "twisted.protocols.sip": (_twisted, "twisted"),
}


def measure() -> Figure:
    """Runs of all in turn."""
    works: dict[str, Work] = {"skypetrunk": _ours}
    notes: dict[str, str] = {}
    for name, (make, package) in _OTHERS.items():
        try:
            works[name] = make()
        except ImportError:
            notes[name] = f"not installed: {sys.executable} -m pip install {package}"
    values: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(RUNS):
        invites = _invites()
        for name, work in works.items():
            values[name].append(_microseconds(work, invites))
    middles = {name: statistics.median(values[name]) for name in works if name != "skypetrunk"}
    best = min(middles, key=lambda name: middles[name], default=None)
    if best is not None:
        notes[best] = "the best of the others"
    rows = [Row(name, tuple(values.get(name, ())), "us", None, notes.get(name, "")) for name in _OTHERS]
    ours = values["skypetrunk"]
    rows.append(Row("skypetrunk", tuple(ours), "us", ratio(ours, values[best]) if best else None))
    rate = 1e6 / statistics.median(ours)
    return Figure(f"An INVITE with SDP read and written, {rate:.0f} per second", "parse", tuple(rows))


def _microseconds(work: Work, invites: list[bytes]) -> float:
    """CPU time of one, as the mean of all."""
    start = time.process_time()
    for invite in invites:
        work(invite)
    return (time.process_time() - start) * 1e6 / len(invites)
