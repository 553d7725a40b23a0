"""Messages as they go between a trunk and a PBX, for those who test a dialect."""

from __future__ import annotations

from collections.abc import Iterator

from skypetrunk.wire.message import Request, Response, parseMessage

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)

_URIS = (
    "sip:+442079460100@192.0.2.1:5060;user=phone",
    "sip:0100;phone-context=+4420@192.0.2.1",
    "sip:192.0.2.1",
    "sips:a%20b@[2001:db8::1]",
    "tel:+44-20-7946-0100",
    "urn:service:counseling",
)

_FROMS = (
    '"J. \u00fc" <sip:1001@192.0.2.5>;tag=f1',
    "sip:anonymous@anonymous.invalid;tag=f1",
    "<sip:1001@192.0.2.5;user=phone>",
    "<tel:+442079460101>;tag=f1",
)

_CONTACT = "Contact: <sip:1@192.0.2.5>"
_SDP_TYPE = "Content-Type: application/sdp"
_CREDENTIALS = 'Authorization: Digest username="a", realm="b", nonce="c", uri="d", response="e"'
_ASSERTED = "P-Asserted-Identity: <sip:1@a>, <tel:+1>"

_REQUESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("INVITE", (_CONTACT, _SDP_TYPE)),
    ("INVITE", ()),
    ("INVITE", ("k: timer,100rel", "x: 1800", "m: <sip:1@192.0.2.5>", "Record-Route: <sip:p;lr>")),
    ("INVITE", (_CREDENTIALS,)),
    ("INVITE", (_ASSERTED, "Privacy: id", "X-Odd:", "X-Odd: \udcff")),
    ("ACK", ()),
    ("CANCEL", ('Reason: Q.850;cause=16;text="x, y"',)),
    ("BYE", ()),
    ("OPTIONS", ("Accept: application/sdp",)),
    ("REGISTER", ("Contact: *", "Expires: 0")),
    ("REGISTER", ("Contact: <sip:1@192.0.2.5>;expires=60",)),
    ("PRACK", ("RAck: 1 1 INVITE",)),
    ("INFO", ("Content-Type: application/dtmf-relay",)),
    ("UPDATE", ()),
    ("REFER", ("Refer-To: <sip:2@192.0.2.5?Replaces=a%3Bto-tag%3Db>", "Referred-By: <sip:1@192.0.2.5>")),
    ("FROBNICATE", ()),
)

_RESPONSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("100 Trying", ()),
    ("180 Ringing", (_CONTACT,)),
    ("183 Session Progress", ("RSeq: 1", "Require: 100rel", _SDP_TYPE)),
    ("200 OK", (_CONTACT, "Record-Route: <sip:p;lr>", _SDP_TYPE)),
    ("200", ()),
    ("302 Moved", ("Contact: <sip:2@192.0.2.5>, <tel:+442079460102>",)),
    ("401 Unauthorized", ('WWW-Authenticate: Digest realm="skypetrunk", nonce="n", qop="auth"',)),
    ("486 Busy Here", ("Reason: Q.850;cause=17",)),
    ("503 Service Unavailable", ("Retry-After: 10",)),
    ("603 Decline \u00fc", ()),
)


def messages() -> Iterator[Request | Response]:
    """Requests and responses of all kinds, as a parser of the trunk gives them."""
    for place, (method, headers) in enumerate(_REQUESTS):
        for turn, uri in enumerate(_URIS):
            text = f"{method} {uri} SIP/2.0"
            called = f"<{uri}>;tag=t1" if turn % 2 else f"<{uri}>"
            yield _read(text, method, _FROMS[(place + turn) % len(_FROMS)], called, headers)
    for place, (status, headers) in enumerate(_RESPONSES):
        for turn, method in enumerate(("INVITE", "OPTIONS")):
            text = f"SIP/2.0 {status}" if " " in status else f"SIP/2.0 {status} "
            called = _URIS[(place + turn) % len(_URIS)]
            yield _read(text, method, _FROMS[(place + turn) % len(_FROMS)], f"<{called}>;tag=t1", headers)


def _read(start: str, method: str, caller: str, called: str, headers: tuple[str, ...]) -> Request | Response:
    described = _SDP_TYPE in headers
    lines = [
        start,
        "Via: SIP/2.0/UDP 192.0.2.5:5060;rport;branch=z9hG4bKc1",
        "v: SIP/2.0/TCP 198.51.100.7;branch=z9hG4bKc2, SIP/2.0/UDP [2001:db8::2]",
        f"From: {caller}",
        f"t: {called}",
        "Call-ID: c1@192.0.2.5",
        f"CSeq: 7 {method}",
        *headers,
        "",
        _SDP if described else "",
    ]
    return parseMessage("\r\n".join(lines).encode("utf-8", "surrogateescape"))


__all__ = ["messages"]
