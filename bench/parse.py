"""One INVITE with SDP: parsed, its routing headers read, written again; beside three other libraries."""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.table import Figure, Row, ratio
from skypetrunk.wire.message import Request, parseMessage

RUNS = 9
TIMES = 300

INVITE = b"""\
INVITE sip:+442079460002@sip.carrier.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKPj6e1c7b5a;rport
Max-Forwards: 70
From: "Alice Example" <sip:100@192.0.2.20>;tag=f2a1c0de
To: <sip:+442079460002@sip.carrier.example>
Contact: <sip:100@192.0.2.20:5060>
Call-ID: 4b1f9f0e-9d6b-4a0c-8f4d-1f0f7f5b7a31
CSeq: 21034 INVITE
Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER
Supported: 100rel, timer, replaces, norefersub
Session-Expires: 1800
Min-SE: 90
User-Agent: Some PBX 1.0
Content-Type: application/sdp
Content-Length: 245

v=0
o=- 3842 3842 IN IP4 192.0.2.20
s=Some PBX
c=IN IP4 192.0.2.20
t=0 0
m=audio 14036 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=sendrecv
""".replace(b"\n", b"\r\n")
"""As PBXes of today send it."""


def _ours() -> None:
    message = parseMessage(INVITE)
    assert isinstance(message, Request)
    assert message.topVia.branch and message.fromAddress.tag and not message.toAddress.tag
    assert message.cseq.number and message.callID and message.requestURI
    assert message.contacts[0].uri and message.body
    message.withHeader("Max-Forwards", "69").encode()


def _sippy() -> Callable[[], object]:
    request = importlib.import_module("sippy.SipRequest").SipRequest
    text = INVITE.decode()

    def work() -> None:
        message = request(text)
        via, fromHeader, to = (message.getHFBody(name) for name in ("via", "from", "to"))
        assert via.getBranch() and fromHeader.getTag() and not to.getTag()
        assert message.getHFBody("cseq").cseq and message.getHFBody("call-id") and message.getRURI()
        assert message.getHFBody("contact").getUri() and message.body
        message.getHFBody("max-forwards").number = 69
        str(message)

    return work


def _sipmessage() -> Callable[[], object]:
    parse = importlib.import_module("sipmessage").Message.parse

    def work() -> None:
        message = parse(INVITE)
        assert message.via[0].parameters.get("branch") and message.from_address.parameters.get("tag")
        assert not message.to_address.parameters.get("tag")
        assert message.cseq.sequence and message.call_id and message.uri
        assert message.contact[0].uri and message.body
        message.max_forwards = 69
        bytes(message)

    return work


def _twisted() -> Callable[[], object]:
    sip = importlib.import_module("twisted.protocols.sip")

    def work() -> None:
        messages: list[Any] = []
        parser = sip.MessagesParser(messages.append)
        parser.dataReceived(INVITE)
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
    works: dict[str, Callable[[], object]] = {"skypetrunk": _ours}
    notes: dict[str, str] = {}
    for name, (make, package) in _OTHERS.items():
        try:
            works[name] = make()
        except ImportError:
            notes[name] = f"not installed: {sys.executable} -m pip install {package}"
    values: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(RUNS):
        for name, work in works.items():
            values[name].append(_microseconds(work))
    middles = {name: statistics.median(values[name]) for name in works if name != "skypetrunk"}
    best = min(middles, key=lambda name: middles[name], default=None)
    if best is not None:
        notes[best] = "the best of the others"
    rows = [Row(name, tuple(values.get(name, ())), "us", None, notes.get(name, "")) for name in _OTHERS]
    ours = values["skypetrunk"]
    rows.append(Row("skypetrunk", tuple(ours), "us", ratio(ours, values[best]) if best else None))
    rate = 1e6 / statistics.median(ours)
    return Figure(f"An INVITE with SDP read and written, {rate:.0f} per second", "parse", tuple(rows))


def _microseconds(work: Callable[[], object]) -> float:
    """CPU time of one, as the mean of some."""
    start = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - start) * 1e6 / TIMES
