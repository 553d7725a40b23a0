"""Octets that are as dear to read as we could think of, of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_HEAD = (
    b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
)
_SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"

#: A pattern and where it is repeated: before, between and after.
_Frame = Callable[[bytes], bytes]


def _message(body: bytes = b"", headers: bytes = b"") -> bytes:
    return _HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _frames(name: str) -> tuple[_Frame, ...]:
    """Where the repeated octets stand."""
    match name:
        case "message" | "framing":
            first = b"\xff" if name == "framing" else b""
            return (
                lambda octets: first + octets,
                lambda octets: first + _message(headers=b"X: " + octets + b"\r\n"),
                lambda octets: first + _message(headers=b"Contact: " + octets + b"\r\n"),
                lambda octets: first + _message(headers=b"Via: SIP/2.0/UDP a;" + octets + b"\r\n"),
                lambda octets: first + _message(headers=b'Route: "' + octets + b"\r\n"),
                lambda octets: first + _message(headers=b"Record-Route: <sip:" + octets + b">\r\n"),
                lambda octets: first + _message(headers=octets),
                lambda octets: first + _message(octets),
                lambda octets: first + _HEAD.replace(b"sip:a@b", b"sip:" + octets, 1) + b"\r\n",
            )
        case "uri":
            return (
                lambda octets: octets,
                lambda octets: b"sip:" + octets,
                lambda octets: b"sip:" + octets + b"@a",
                lambda octets: b"sip:a@b;" + octets,
                lambda octets: b"sip:a@b?" + octets,
                lambda octets: b"tel:+1;" + octets,
            )
        case "sdp":
            return (
                lambda octets: octets,
                lambda octets: _SDP + octets,
                lambda octets: _SDP + b"a=crypto:" + octets + b"\r\n",
                lambda octets: _SDP.replace(b"RTP/SAVP 0", b"RTP/SAVP " + octets),
                lambda octets: _SDP.replace(b"s=-", b"s=" + octets),
            )
        case "sdes":
            return (
                lambda octets: octets,
                lambda octets: b"1 AES_CM_128_HMAC_SHA1_80 " + octets,
                lambda octets: b"1 AES_CM_128_HMAC_SHA1_80 inline:" + octets,
                lambda octets: b"1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + octets,
            )
        case "mikey":
            return (
                lambda octets: octets,
                lambda octets: b"mikey " + octets,
                lambda octets: b"\1\0\x05\0" + octets,
                lambda octets: b"\1\0\x0a\0\0\0\0\1\0\0\0\0\0\x07\xd0" + octets[:2000],
                lambda octets: b"\1\0\x01\0\0\0\0\1\xff\0" + octets[:2030],
            )
    return (
        lambda octets: octets,
        lambda octets: b"Digest " + octets,
        lambda octets: b'Digest realm="' + octets,
        lambda octets: b'Digest realm="r", nonce="n", ' + octets,
        lambda octets: b'Digest realm="r", nonce="n", qop="' + octets + b'"',
    )


_PATTERNS = (
    *(b"a", b"1", b" ", b"\t", b",", b";", b'"', b"\\", b'\\"', b"<", b">", b"<>", b"=", b"@", b":", b"["),
    *(b"(", b"|", b"%", b"%41", b"%%4", b"\r", b"\n", b"\r\n", b"\r\n ", b" \r\n", b"\r\n\t \r\n"),
    *(b"\r\n\r\n", b"\x00", b"\xff", b"\xc3\xa9", b";a", b";a=b", b";=", b"a=b;", b"&a=b", b'"",'),
    *(b"<sip:a>,", b"a,", b'a="b",', b'"a" ', b"a=b, ", b"X: y\r\n", b"Via: a\r\n", b"a:\r\n b\r\n"),
    *(b"l:\r\n", b"Content-Length: 0\r\n", b"Route: <sip:a;lr>\r\n", b"m=audio 1 RTP/AVP 0\r\n", b"a=b\r\n"),
    *(b"a=rtpmap:0 a/1\r\n", b"c=IN IP4 1.1.1.1\r\n", b"a=crypto:1 a b\r\n", b"inline:A|", b"|2^20|1:4"),
    *(b": \r\n", b";inline:" + b"A" * 40, b" UNENCRYPTED_SRTP", b"0 ", b"a/b "),
)


def hostile(name: str, size: int) -> Iterator[bytes]:
    """Inputs of about C{size} octets for one target."""
    for frame in _frames(name):
        for pattern in _PATTERNS:
            yield frame(pattern * (size // len(pattern)))


def plain(name: str, size: int) -> bytes:
    """What an honest peer would send, made so large by more of the same."""

    def repeated(unit: bytes) -> bytes:
        return unit * (size // len(unit))

    match name:
        case "message":
            return _message(headers=repeated(b"Supported: replaces, timer\r\n"))
        case "framing":
            return b"\xff" + repeated(_message(headers=b"User-Agent: a phone\r\n"))
        case "uri":
            return b"sip:a@b" + repeated(b";name=a%20value")
        case "sdp":
            return _SDP + b"a=fmtp:0 mode=20\r\n" * 900
        case "mikey":
            return b"mikey " + repeated(b"QUJD")
        case "sdes":
            return b"1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + repeated(b";inline:" + b"B" * 40)
    return b'Digest realm="r", nonce="n", ' + b", ".join(b'p%d="value"' % n for n in range(size // 15))
