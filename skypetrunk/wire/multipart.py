"""Bodies of several parts (RFC 2046 section 5.1): finding the one part that is wanted (RFC 5621)."""

from __future__ import annotations

import re

__all__ = ["partOf"]

PARTS = 16
"""More parts than that are not looked at."""

_boundary = re.compile(r';\s*boundary\s*=\s*(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE).search


def partOf(contentType: str, body: bytes, wanted: str) -> bytes | None:
    """
    The first part of a type, without encoding; C{None} if there is none.

    @param contentType: the whole value of Content-Type, with its boundary.
    @param wanted: type and subtype in lower case.
    """
    found = _boundary(contentType)
    if found is None:
        return None
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + body).split(delimiter, PARTS + 1)
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        # After the delimiter: white space, the end of its line, headers, an empty line.
        head, separator, content = piece.partition(b"\r\n\r\n")
        if not separator:
            continue
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        fields = {name.strip().lower(): value.strip().lower() for name, _, value in lines}
        kind = fields.get(b"content-type", fields.get(b"c", b"text/plain")).partition(b";")[0].strip()
        encoding = fields.get(b"content-transfer-encoding", b"binary")
        if kind == wanted.encode() and encoding in (b"binary", b"8bit", b"7bit"):
            return content
    return None
