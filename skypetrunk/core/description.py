"""Where the session description is in a message."""

from __future__ import annotations

from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.multipart import partOf

SDP_TYPE = "application/sdp"
MULTIPART = "multipart/mixed"


def description(message: Request | Response) -> bytes:
    """The session description in a message, or in a part of it; empty if there is none."""
    kind = message.contentType
    if kind is None or kind == SDP_TYPE:
        return message.body
    if kind == MULTIPART:
        return partOf(message.header("Content-Type") or "", message.body, SDP_TYPE) or b""
    return b""


__all__ = ["MULTIPART", "SDP_TYPE", "description"]
