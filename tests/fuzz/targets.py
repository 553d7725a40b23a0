"""
What is fuzzed: for any octets each target returns, or raises what is a bug.

Seeds of a target are the files in C{seeds/NAME}, and those of the test vectors that are octets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from skypetrunk.errors import MalformedMessage, MalformedSDP
from skypetrunk.wire.digest import (
    chooseChallenges,
    digestResponse,
    parseChallenges,
    parseCredentials,
    respond,
    verify,
)
from skypetrunk.wire.framing import Frame, StreamFramer
from skypetrunk.wire.inspection import inspectMessage
from skypetrunk.wire.message import Request, Response, parseMessage, responseTo
from skypetrunk.wire.mikey import messageIn, parseMIKEY, protocolsIn, sdpValue
from skypetrunk.wire.mikey_payloads import KeyTransport, SecurityPolicy, parseKeyData
from skypetrunk.wire.mikey_policy import suiteOf
from skypetrunk.wire.offer_answer import brokenRules
from skypetrunk.wire.replaces import parseReplaces
from skypetrunk.wire.sdes import MalformedCrypto, UnsupportedCrypto, parseCrypto
from skypetrunk.wire.sdp import parseSDP
from skypetrunk.wire.secret import Secret
from skypetrunk.wire.uri import SIPURI, TelURI, parseURI

_SEEDS = Path(__file__).parent / "seeds"
_VECTORS = Path(__file__).parent.parent / "vectors"
#: What is read of a stream when it is wanted.
_PROPERTIES = """direction address isHold isRTP isSecure rtcpPort rtcpAddress rtpmaps fmtps telephoneEvents
ptime""".split()

_PASSWORD = Secret("s3cret")


def _text(data: bytes) -> str:
    """As the parser of messages makes it of octets."""
    return data.decode("utf-8", "surrogateescape")


def _frames(pieces: Iterator[bytes]) -> tuple[list[Frame], str | None]:
    framer = StreamFramer()
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames += framer.receive(piece)
        framer.receive(b"")
    except MalformedMessage as e:
        if e.message is not None and e.status is not None:
            responseTo(e.message, e.status, toTag="t").encode()
        return frames, type(e).__name__
    return frames, None


def framing(data: bytes) -> None:
    """A stream means the same in whatever pieces it comes; the first octet says in which."""
    if not data:
        return
    size, stream = data[0] + 1, data[1:]
    if len(stream) // size > 2000:
        size = len(stream) // 2000
    whole = _frames(iter([stream]))
    pieces = _frames(stream[at : at + size] for at in range(0, len(stream), size))
    # A PING that comes in two pieces is a PONG and a PING; limits bite on what is not finished.
    if pieces[1] is None and whole[1] is None:
        kept = [[frame for frame in frames if isinstance(frame, bytes)] for frames, _ in (whole, pieces)]
        assert kept[0] == kept[1], "frames depend on the pieces"


def message(data: bytes) -> None:
    """A message is refused, with an answer that can be sent or in silence, or is written as it was read."""
    for stream in (False, True):
        seen = inspectMessage(data, stream=stream)
        json.dumps(seen.fields)
        assert seen.valid or seen.problems, "refused without a reason"
        try:
            read = parseMessage(data, stream=stream)
        except MalformedMessage as e:
            if not e.silent:
                assert e.message is not None and e.status is not None
                answer = responseTo(e.message, e.status, toTag="t")
                assert answer.encode().startswith(b"SIP/2.0 "), "an answer that is none"
            continue
        again = parseMessage(read.encode(), stream=True)
        assert type(again) is type(read) and again.body == read.body, "another message"
        assert again.vias == read.vias and again.cseq == read.cseq and again.callID == read.callID
        assert again.encode() == read.encode(), "written in two ways"
        for header in read.values("Replaces"):
            try:
                replaces = parseReplaces(header)
            except MalformedMessage:
                continue
            assert parseReplaces(str(replaces)) == replaces, "another dialog"
        if isinstance(read, Request) and read.method != "ACK":
            response = parseMessage(responseTo(read, 200, toTag="t", recordRoute=True).encode(), stream=True)
            assert isinstance(response, Response) and response.vias == read.vias


def uri(data: bytes) -> None:
    """A URI is refused, or written so that it is read as the same."""
    try:
        read = parseURI(_text(data))
    except MalformedMessage:
        return
    again = parseURI(str(read))
    assert str(again) == str(read), "written in two ways"
    if isinstance(read, SIPURI):
        assert read.equivalent(again), "not itself"
        assert (read.userUnescaped, read.maddr, read.transport, read.lr) == (
            (again.userUnescaped, again.maddr, again.transport, again.lr)  # type: ignore[union-attr]
        )
    elif isinstance(read, TelURI):
        assert read.digits == again.digits  # type: ignore[union-attr]
    repr(read)


def sdp(data: bytes) -> None:
    """A description is refused, or written so that it is read as the same; an answer to itself is judged."""
    try:
        read = parseSDP(data)
    except MalformedSDP:
        return
    again = parseSDP(read.encode())
    assert again == read, "another description"
    assert again.encode() == read.encode(), "written in two ways"
    for media in read.media:
        for name in _PROPERTIES:
            getattr(media, name)
    tuple(brokenRules(read, read))


def sdes(data: bytes) -> None:
    """A crypto line is refused, or written so that it is read as the same; its repr hides the key."""
    try:
        read = parseCrypto(_text(data))
    except (MalformedCrypto, UnsupportedCrypto):
        return
    again = parseCrypto(read.encode())
    assert again == read, "another line"
    for key in read.keys:
        assert repr(key.master.key) not in repr(read) and key.master.key.hex() not in repr(read)


def mikey(data: bytes) -> None:
    """
    A message is refused, or written so that it is read as the same, alone and in SDP; its policies and keys
    are read or refused, and no key is shown.
    """
    text = _text(data)
    protocolsIn([text])
    for read in (lambda: data, lambda: messageIn([text])):
        try:
            octets = read()
            if octets is None:
                continue
            message = parseMIKEY(octets)
        except MalformedSDP:
            continue
        again = message.encode()
        assert parseMIKEY(again) == message, "another message"
        assert messageIn([sdpValue(again)]) == again, "another message in SDP"
        for payload in message.payloads:
            try:
                if isinstance(payload, SecurityPolicy):
                    suiteOf(payload)
                if isinstance(payload, KeyTransport):
                    keys = parseKeyData(payload.data)
                    assert not any(repr(key.key) in repr(keys) for key in keys)
            except MalformedSDP:
                continue


def digest(data: bytes) -> None:
    """Challenges are read or passed over, what is chosen can be answered; credentials prove nothing."""
    text = _text(data)
    for challenge in chooseChallenges(parseChallenges([text])):
        try:
            header = respond(challenge, "u", _PASSWORD, "INVITE", "sip:a@b", nonceCount=1, cnonce="c")
        except ValueError:
            # What would break a line; a challenge that came in a message has none.
            assert "\r" in text or "\n" in text, "a challenge that was chosen cannot be answered"
            continue
        assert verify(parseCredentials(header), _PASSWORD, "INVITE"), "an answer that proves nothing"
    try:
        credentials = parseCredentials(text)
    except MalformedMessage:
        return
    try:
        right = digestResponse(credentials, _PASSWORD, "INVITE")
    except ValueError:
        right = None
    assert verify(credentials, _PASSWORD, "INVITE") is (right == credentials.response.lower())


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (framing, message, uri, sdp, sdes, mikey, digest)
}


def folders(name: str) -> list[Path]:
    """Where the seeds of a target are."""
    more = {"message": [_VECTORS / "sip_torture" / "rfc4475"]}
    return [_SEEDS / name, *more.get(name, [])]


def seeds(name: str) -> list[bytes]:
    """The seeds of a target, always in the same order."""
    return [path.read_bytes() for folder in folders(name) for path in sorted(folder.iterdir())]
