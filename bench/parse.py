"""One INVITE with SDP: parsed, its routing headers read, written again."""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable

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
    message.withHeader("Max-Forwards", "69").encode()


def _sippy() -> Callable[[], object]:
    request = importlib.import_module("sippy.SipRequest").SipRequest
    text = INVITE.decode()

    def work() -> None:
        message = request(text)
        via, fromHeader, to = (message.getHFBody(name) for name in ("via", "from", "to"))
        assert via.getBranch() and fromHeader.getTag() and not to.getTag()
        assert message.getHFBody("cseq").cseq and message.getHFBody("call-id") and message.getRURI()
        message.getHFBody("max-forwards").number = 69
        str(message)

    return work


def measure() -> Figure:
    """Runs of both in turn."""
    works: dict[str, Callable[[], object]] = {}
    note = ""
    try:
        works["sippy"] = _sippy()
    except ImportError:
        note = f"sippy is not installed: {sys.executable} -m pip install sippy"
    works["skypetrunk"] = _ours
    values: dict[str, list[float]] = {"sippy": [], "skypetrunk": []}
    for _ in range(RUNS):
        for name, work in works.items():
            values[name].append(_microseconds(work))
    rows = (
        Row("sippy", tuple(values["sippy"]), "us", None, note),
        Row("skypetrunk", tuple(values["skypetrunk"]), "us", ratio(values["skypetrunk"], values["sippy"])),
    )
    best = statistics.median(values["skypetrunk"])
    return Figure(f"An INVITE with SDP read and written, {1e6 / best:.0f} per second", "parse", rows)


def _microseconds(work: Callable[[], object]) -> float:
    """CPU time of one, as the mean of some."""
    start = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - start) * 1e6 / TIMES
