"""What a stream's SDP says of SRTP keys, in a few words and without any key."""

from __future__ import annotations

from collections.abc import Iterator

from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.mikey import ERROR, INITIATE, VERIFY, messageIn, parseMIKEY
from skypetrunk.wire.mikey_payloads import NULL, KeyTransport, SecurityPolicy, Verification
from skypetrunk.wire.mikey_policy import suiteOf
from skypetrunk.wire.sdp import MediaDescription, SessionDescription

_KINDS = {INITIATE: "offer", VERIFY: "response", ERROR: "error"}


def keySummary(session: SessionDescription, media: MediaDescription) -> str:
    """To be written behind what else is told of the stream; empty where nothing is said of keys."""
    # Of a crypto line its tag and suite; the rest is the key.
    suites = ", ".join(line.split()[1] for line in media.crypto if len(line.split()) > 1)
    told = [f"keys for {suites}"] if suites else []
    values = media.all("key-mgmt") or session.all("key-mgmt")
    try:
        octets = messageIn(values)
        if octets is not None:
            told.append(f"keys by MIKEY ({', '.join(_message(octets))})")
    except MalformedSDP as problem:
        told.append(f"keys by MIKEY that cannot be read: {problem}")
    return "".join(f", {each}" for each in told)


def _message(octets: bytes) -> Iterator[str]:
    message = parseMIKEY(octets)
    yield _KINDS[message.type]
    for payload in message.payloads:
        match payload:
            case KeyTransport():
                yield "in clear" if payload.encryption == NULL else "encrypted"
                yield "no MAC" if payload.algorithm == NULL else "with a MAC"
            case Verification():
                yield "no MAC" if payload.algorithm == NULL else "with a MAC"
            case SecurityPolicy():
                yield suiteOf(payload)
    if message.sessions:
        yield f"{len(message.sessions)} crypto sessions"


__all__ = ["keySummary"]
