"""Names of header fields: their compact forms and which of them hold lists (RFC 3261 section 7.3)."""

from __future__ import annotations

# RFC 3261 section 7.3.3 and the registrations of later RFCs.
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

#: Headers whose grammar is a comma-separated list.  All others keep their commas (Date, Subject, digest).
LIST_HEADERS = frozenset(
    """accept accept-contact accept-encoding accept-language alert-info allow allow-events call-info contact
    content-encoding content-language diversion error-info feature-caps geolocation history-info in-reply-to
    p-access-network-info p-asserted-identity p-associated-uri p-preferred-identity p-visited-network-id path
    proxy-require reason record-route recv-info reject-contact remote-party-id request-disposition require
    resource-priority route security-client security-server security-verify service-route supported
    unsupported via warning""".split()
)

#: Spellings seen in nearly every message, so that most lookups need neither folding nor a second table.
SPELLINGS = {
    spelling: name
    for name in (
        *LIST_HEADERS,
        *_COMPACT.values(),
        *"""authentication-info authorization content-disposition date expires max-forwards mime-version
        min-expires min-se organization p-called-party-id priority privacy proxy-authenticate
        proxy-authorization rack refer-sub replaces reply-to retry-after rseq server timestamp user-agent
        www-authenticate""".split(),
    )
    for spelling in (name, name.title())
} | {
    "Call-ID": "call-id",
    "CSeq": "cseq",
    "Cseq": "cseq",
    "cseq": "cseq",
    "MIME-Version": "mime-version",
    "Min-SE": "min-se",
    "RAck": "rack",
    "RSeq": "rseq",
    "WWW-Authenticate": "www-authenticate",
    **_COMPACT,
    **{short.upper(): name for short, name in _COMPACT.items()},
}


def canonicalName(name: str) -> str:
    """The long lower-case form of a header name: C{v}, C{VIA} and C{Via} are C{via}."""
    known = SPELLINGS.get(name)
    if known is None:
        known = name.lower()
        known = _COMPACT.get(known, known)
    return known


__all__ = ["LIST_HEADERS", "SPELLINGS", "canonicalName"]
